import { addTo } from '../../kernel/maps.ts';
import type { SourceError } from '../../probes/errors.ts';
import type { PerfCounts } from '../../probes/perf-stat.ts';
import type { PerfProcess } from './perf-process.ts';

const FIRST_BACKOFF_MS = 1_000;
export const MAX_BACKOFF_MS = 60_000;

/** One perf process and the threads that it counts. */
export interface Running {
  readonly process: PerfProcess;
  /** Threads that are alive. No other process counts them. */
  readonly tids: Set<number>;
  readonly descriptors: number;
  /** Milliseconds of a monotonic clock. */
  readonly startedAt: number;
  isEnding: boolean;
}

/** The perf processes of one VM: their counts so far, and when to start another after a failure. */
export class PerfVm {
  readonly #totals = new Map<string, number>();
  readonly #running = new Set<Running>();
  /** Called when perf has reported again. */
  readonly #waiting = new Set<() => void>();
  #failure: SourceError | undefined;
  /** Failures since perf last ran for a while. */
  #failures = 0;
  #retryAt = Number.NEGATIVE_INFINITY;

  /** They never fall; undefined if nothing has been counted yet. */
  get counts(): ReadonlyMap<string, number> | undefined {
    return this.#totals.size === 0 ? undefined : this.#totals;
  }

  /** The reason why not all threads are counted. Threads may exit; that is an error only if it repeats. */
  get problem(): SourceError | undefined {
    return this.#failure?.kind === 'vanished' && this.#failures <= 1 ? undefined : this.#failure;
  }

  isDue(now: number): boolean {
    return now >= this.#retryAt;
  }

  /** Threads that no process counts. Forgets threads that are gone, as their ids may be reused. */
  uncounted(tids: readonly number[]): number[] {
    const alive = new Set(tids);
    const uncounted = new Set(tids);
    for (const running of this.#running) {
      for (const tid of running.tids) {
        if (alive.has(tid)) uncounted.delete(tid);
        else running.tids.delete(tid);
      }
      if (running.tids.size === 0) end(running);
    }
    return [...uncounted];
  }

  started(running: Running): void {
    this.#running.add(running);
  }

  /** @param names of the counts, in the same order */
  counted(running: Running, names: readonly string[], counts: PerfCounts): void {
    names.forEach((name, i) => {
      const count = counts[i];
      if (count !== undefined) addTo(this.#totals, name, count);
    });
    // The newest process counts all threads that the older ones do not.
    if (running !== [...this.#running].at(-1)) return;
    this.#failure = undefined;
    this.#release();
  }

  ended(running: Running): void {
    this.#running.delete(running);
    this.#release();
  }

  failed({ startedAt }: Running, problem: SourceError, now: number): void {
    const ranForAWhile = now - startedAt >= MAX_BACKOFF_MS;
    this.#failure = problem;
    this.#failures = ranForAWhile ? 1 : this.#failures + 1;
    const backoffMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.#failures - 1));
    // The threads have exited; restart at once with the threads that replaced them.
    this.#retryAt = now + (problem.kind === 'vanished' && this.#failures === 1 ? 0 : backoffMs);
  }

  /** Resolves when perf has reported again, after `withinMs` at the latest. */
  async next(withinMs: number): Promise<void> {
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      timer.unref();
      this.#waiting.add(done);
    });
  }

  /** Ends all processes. They still report the counts since the last interval. */
  end(): void {
    for (const running of this.#running) end(running);
    this.#release();
  }

  #release(): void {
    for (const done of [...this.#waiting]) done();
  }
}

export function end(running: Running): void {
  if (running.isEnding) return;
  running.isEnding = true;
  running.process.end();
}
