import type { DiskSpec } from '../disk.ts';
import type { SimulatedHost } from '../host.ts';

/** State of the exporter and of Prometheus. A script changes it; only the history generator uses it. */
export interface Watchers {
  /** A change to 'down' and back to 'up' is a restart: a new process. */
  exporter: 'up' | 'down';
  prometheus: 'up' | 'away';
}

/** Takes one of them away, or brings it back. */
export function absent(watchers: Watchers, who: keyof Watchers, on: boolean): void {
  if (who === 'exporter') watchers.exporter = on ? 'down' : 'up';
  else watchers.prometheus = on ? 'away' : 'up';
}

/** In seconds since the start. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A host and its events. */
export interface Scenario {
  readonly host: SimulatedHost;
  /** Up all the time by default. */
  readonly watchers?: Readonly<Watchers>;
  /** Spans in which the exporter is down or Prometheus is away. */
  readonly unwatched?: readonly Span[];
  /** Call it before each step. It runs the events that are due at `host.time`. */
  script(): void;
}

export interface ScenarioOptions {
  /** Whether the CPUs have cpufreq and cpuidle. */
  readonly cpufreq?: boolean;
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

/** Events at fixed times of a period, each once per period. */
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

/** An event that happens once, at this many seconds after the start. */
export interface Happening {
  readonly at: number;
  readonly happen: () => void;
}

/** Events ordered by time. Events of the same time keep their order. */
export function agenda(host: SimulatedHost, happenings: readonly Happening[]): () => void {
  const ahead = [...happenings].reverse().sort((a, b) => b.at - a.at);
  return () => {
    for (let next = ahead.at(-1); next !== undefined && next.at <= host.time; next = ahead.at(-1)) {
      ahead.pop();
      next.happen();
    }
  };
}

/** An event that starts and ends. */
export function between(from: number, to: number, set: (on: boolean) => void): Happening[] {
  return [
    { at: from, happen: () => set(true) },
    { at: to, happen: () => set(false) },
  ];
}
