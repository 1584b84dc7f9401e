import type { Control } from '../../../probes/bpf/gates.ts';

/** Programs that can be detached for a part of the time. */
export interface Windowed {
  /** @throws SourceError */
  set(control: Control): void;
  /** @throws SourceError */
  open(): void;
  shut(): void;
}

/** The windows in which the programs of one object run. With a share of one in N, one interval of each N at random is a window. */
export class Windows {
  #share = 1;
  #isOpen = true;
  #number = 0;
  /** Interval of the present N, and the one that is its window. */
  #interval = 0;
  #chosen = 0;

  /** @param random from 0 to 1, without 1 */
  constructor(
    private readonly object: Windowed,
    private readonly random: () => number,
  ) {}

  /** The programs run in one of so many intervals. */
  get share(): number {
    return this.#share;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Begins an interval.
   *
   * @param share at once if it is smaller than before, else when the present window is over
   * @param periods by program: one event in so many goes into the sample
   * @throws SourceError
   */
  next(share: number, periods: readonly number[]): void {
    const isOpen = this.#isWindow(share);
    // Before the share changes: an event weighs as the interval does in which it is.
    if (!isOpen && this.#isOpen) this.object.shut();
    const isNew = isOpen && !this.#isOpen;
    this.#isOpen = isOpen;
    if (isNew) this.#number++;
    this.object.set({ periods, share: this.#share, window: this.#number });
    if (isNew) this.object.open();
  }

  #isWindow(share: number): boolean {
    this.#interval++;
    if (share < this.#share || this.#interval >= this.#share) {
      this.#share = share;
      this.#interval = 0;
      this.#chosen = Math.floor(this.random() * share);
    }
    return this.#interval === this.#chosen;
  }
}
