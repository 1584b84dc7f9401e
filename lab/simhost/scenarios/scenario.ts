import type { DiskSpec } from '../disk.ts';
import type { SimulatedHost } from '../host.ts';

/** Who looks at the host. Changed by a script; only a history heeds it. */
export interface Watchers {
  /** Down and up again is another process. */
  exporter: 'up' | 'down';
  prometheus: 'up' | 'away';
}

/** Lets one of them look away, or be back. */
export function absent(watchers: Watchers, who: keyof Watchers, on: boolean): void {
  if (who === 'exporter') watchers.exporter = on ? 'down' : 'up';
  else watchers.prometheus = on ? 'away' : 'up';
}

/** In seconds since the start. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A host and what happens to it. */
export interface Scenario {
  readonly host: SimulatedHost;
  /** Up all the time by default. */
  readonly watchers?: Readonly<Watchers>;
  /** When the exporter will be down or Prometheus away. */
  readonly unwatched?: readonly Span[];
  /** To be called before each step: what is due by `host.time` happens. */
  script(): void;
}

export interface ScenarioOptions {
  readonly seed: number;
  readonly startTime?: number;
  readonly uptime?: number;
}

export const MINUTE = 60;

export function nvmes(count: number): DiskSpec[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `nvme${i}n1`,
    kind: 'nvme',
    node: i % 2,
    hardwareQueues: 16,
  }));
}

/** Happenings at fixed times of a period, each once in each period. */
export function timetable(
  host: SimulatedHost,
  period: number,
  entries: readonly { readonly at: number; readonly happen: (round: number) => void }[],
): () => void {
  const done = entries.map(() => -1);
  return () => {
    for (const [i, { at, happen }] of entries.entries()) {
      const round = Math.floor((host.time - at) / period);
      if (round <= (done[i] ?? -1)) continue;
      done[i] = round;
      happen(round);
    }
  };
}

/** Something that happens once, so many seconds after the start. */
export interface Happening {
  readonly at: number;
  readonly happen: () => void;
}

/** Happenings in order of time, those of one time as they are given. */
export function agenda(host: SimulatedHost, happenings: readonly Happening[]): () => void {
  const ahead = [...happenings].reverse().sort((a, b) => b.at - a.at);
  return () => {
    for (let next = ahead.at(-1); next !== undefined && next.at <= host.time; next = ahead.at(-1)) {
      ahead.pop();
      next.happen();
    }
  };
}

/** Something that begins and ends. */
export function between(from: number, to: number, set: (on: boolean) => void): Happening[] {
  return [
    { at: from, happen: () => set(true) },
    { at: to, happen: () => set(false) },
  ];
}
