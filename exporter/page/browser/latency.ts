import type { LiveHistogram } from '../live.ts';
import { between, type Distribution, IDLE_REASON, merged, quantile } from './quantiles.ts';

/** Exits are timed in windows. This period contains at least one window, with enough exits for a quantile. */
const WINDOW_MS = 30_000;

export interface Latency {
  readonly reason: string;
  readonly count: number;
  readonly mean: number | undefined;
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

type Histograms = Readonly<Record<string, LiveHistogram>>;

/** Durations of a VM's exits in the last 30 s. */
export class LatencyWindow {
  #taken: { at: number; durations: Histograms }[] = [];

  take(at: number, durations: Histograms): void {
    const all = [...this.#taken, { at, durations }];
    // Keep the sample at the start of the window, which is the subtrahend.
    const first = all.findLastIndex((each) => each.at <= at - WINDOW_MS);
    this.#taken = all.slice(Math.max(0, first));
  }

  /** Over all reasons except idle exits. */
  quantiles(): Readonly<Record<'p50' | 'p90' | 'p99', number | undefined>> {
    const all = merged(
      [...this.#deltas()].filter(([reason]) => !IDLE_REASON.test(reason)).map(([, delta]) => delta),
    );
    return { p50: quantile(all, 0.5), p90: quantile(all, 0.9), p99: quantile(all, 0.99) };
  }

  /** Most frequent first. */
  byReason(): Latency[] {
    return [...this.#deltas()]
      .filter(([, { count }]) => count > 0)
      .sort(([, a], [, b]) => b.count - a.count)
      .map(([reason, delta]) => ({
        reason,
        count: delta.count,
        mean: delta.sum === undefined ? undefined : delta.sum / delta.count,
        p50: quantile(delta, 0.5),
        p99: quantile(delta, 0.99),
      }));
  }

  #deltas(): Map<string, Distribution> {
    const [first] = this.#taken;
    const last = this.#taken.at(-1);
    const deltas = new Map<string, Distribution>();
    if (first === undefined || last === undefined || first === last) return deltas;
    for (const [reason, now] of Object.entries(last.durations)) {
      const delta = between(first.durations[reason], now);
      if (delta !== undefined) deltas.set(reason, delta);
    }
    return deltas;
  }
}
