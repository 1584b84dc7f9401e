import type { Control } from '../../../probes/bpf/gates.ts';
import { ChosenInterval } from '../chosen-interval.ts';

/** Programs that can be detached for a part of the time. */
export interface Windowed {
  /** @throws SourceError */
  set(control: Control): void;
  /** @throws SourceError */
  open(): void;
  shut(): void;
}

/** The windows in which the programs of one object run. */
export class Windows {
  readonly #intervals: ChosenInterval;
  #isOpen = true;
  #number = 0;

  /** @param random from 0 to 1, without 1 */
  constructor(
    private readonly object: Windowed,
    random: () => number,
  ) {
    this.#intervals = new ChosenInterval(random);
  }

  /** The programs run in one of so many intervals. */
  get share(): number {
    return this.#intervals.share;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Begins an interval.
   *
   * @param share the programs should run in one of this many intervals
   * @param periods by program: one event in so many goes into the sample
   * @throws SourceError
   */
  next(share: number, periods: readonly number[]): void {
    const isOpen = this.#intervals.next(share);
    // Close before the share changes, because the weight of an event is that of its interval.
    if (!isOpen && this.#isOpen) this.object.shut();
    const isNew = isOpen && !this.#isOpen;
    this.#isOpen = isOpen;
    if (isNew) this.#number++;
    this.object.set({ periods, share: this.share, window: this.#number });
    if (isNew) this.object.open();
  }
}
