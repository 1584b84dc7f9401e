/** Spreads reads that are due once in `every` collections, so that no collection does all of them. */
export class Turns {
  #collections = 0;

  constructor(private readonly every: number) {}

  /** Begins a collection. */
  begin(): void {
    this.#collections++;
  }

  /** @param index of the subject among all subjects */
  isTurnOf(index: number): boolean {
    return (this.#collections + index) % this.every === 0;
  }
}
