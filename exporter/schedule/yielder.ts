import { setImmediate } from 'node:timers/promises';

/** Longest run of synchronous reads before other requests are served. */
const STRETCH_MS = 4;

/** Lets long synchronous work yield to the event loop: `if (yielder.isDue()) await yielder.yield()`. */
export class Yielder {
  #since = performance.now();

  constructor(private readonly stretchMs = STRETCH_MS) {}

  isDue(): boolean {
    return performance.now() - this.#since > this.stretchMs;
  }

  async yield(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}
