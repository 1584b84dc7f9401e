/** Chooses one of each N intervals at random, so that a periodic load cannot be in step with the choice. */
export class ChosenInterval {
  #share = 1;
  #interval = 0;
  #chosen = 0;

  /** @param random from 0 to 1, without 1 */
  constructor(private readonly random: () => number) {}

  /** N */
  get share(): number {
    return this.#share;
  }

  /**
   * Begins an interval.
   *
   * @param share N from now on if it is smaller than before, else when the present N intervals are over
   * @returns whether this is the one
   */
  next(share: number): boolean {
    this.#interval++;
    if (share < this.#share || this.#interval >= this.#share) {
      this.#share = share;
      this.#interval = 0;
      this.#chosen = Math.floor(this.random() * share);
    }
    return this.#interval === this.#chosen;
  }
}
