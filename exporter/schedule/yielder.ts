import { setImmediate } from 'node:timers/promises';

/** Longest run of synchronous reads before other requests are served. */
const STRETCH_MS = 4;

/** Lets long synchronous work yield to the event loop: `if (yielder.isDue()) await yielder.yield()`. */
export class Yielder {
  #since = performance.now();

  isDue(): boolean {
    return performance.now() - this.#since > STRETCH_MS;
  }

  async yield(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}
