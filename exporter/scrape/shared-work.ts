/** Work in progress, which several callers may await. */
export interface Underway<R> {
  /** When the work ends, complete or not. */
  readonly deadline: number;
  readonly result: Promise<R>;
  /** The result so far. */
  soFar(): R;
}

interface Waiter<R> {
  readonly deadline: number;
  resolve(result: R | Promise<R>): void;
}

/** Maximum number of concurrent works. */
const MAX_RUNNING = 4;

/**
 * Shares work among concurrent callers. A caller joins the work with the latest deadline that is not after
 * its own, unless that would leave half of its time unused. Otherwise it starts its own work, up to {@link
 * MAX_RUNNING}. If all places are taken it waits, in FIFO order, for a place or for the first complete
 * result. At its deadline it gets what the oldest work has so far.
 */
export class SharedWork<R> {
  readonly #running = new Set<Underway<R>>();
  readonly #waiting = new Set<Waiter<R>>();

  constructor(
    private readonly begin: (deadline: number) => Underway<R>,
    private readonly isComplete: (result: R) => boolean,
    private readonly onShared: () => void = () => undefined,
  ) {}

  /** @param deadline in time of performance.now() */
  ask(deadline: number): Promise<R> {
    return this.#joined(deadline) ?? this.#begun(deadline) ?? this.#queued(deadline);
  }

  #joined(deadline: number): Promise<R> | undefined {
    const now = performance.now();
    const fitting = [...this.#running]
      .filter((each) => each.deadline <= deadline && each.deadline - now >= (deadline - now) / 2)
      .sort((a, b) => b.deadline - a.deadline)[0];
    if (fitting !== undefined) this.onShared();
    return fitting?.result;
  }

  #begun(deadline: number): Promise<R> | undefined {
    if (this.#running.size >= MAX_RUNNING) return undefined;
    const work = this.begin(deadline);
    this.#running.add(work);
    work.result.then(
      (result) => this.#ended(work, result),
      () => this.#ended(work, undefined),
    );
    return work.result;
  }

  #queued(deadline: number): Promise<R> {
    return new Promise((resolve) => {
      const waiter = {
        deadline,
        resolve: (result: R | Promise<R>): void => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve(result);
        },
      };
      const timer = setTimeout(() => {
        // While anybody waits, all places are taken: each work that ends is followed by another.
        for (const oldest of [...this.#running].slice(0, 1)) {
          this.onShared();
          waiter.resolve(oldest.soFar());
        }
      }, deadline - performance.now());
      this.#waiting.add(waiter);
    });
  }

  #ended(work: Underway<R>, result: R | undefined): void {
    this.#running.delete(work);
    for (const waiter of [...this.#waiting]) {
      if (result !== undefined && this.isComplete(result)) {
        this.onShared();
        waiter.resolve(result);
        continue;
      }
      const found = this.#joined(waiter.deadline) ?? this.#begun(waiter.deadline);
      if (found !== undefined) waiter.resolve(found);
    }
  }
}
