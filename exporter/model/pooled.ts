/** Counters of one thread, in the units of their kernel file. */
export interface ThreadCounters {
  readonly run: number;
  readonly wait: number;
  readonly timeslices: number;
  readonly user: number;
  readonly system: number;
  readonly guest: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
  readonly migrations: number;
}

export const NO_COUNTERS: ThreadCounters = {
  run: 0,
  wait: 0,
  timeslices: 0,
  user: 0,
  system: 0,
  guest: 0,
  voluntarySwitches: 0,
  involuntarySwitches: 0,
  migrations: 0,
};

function addCounters(a: ThreadCounters, b: ThreadCounters): ThreadCounters {
  return {
    run: a.run + b.run,
    wait: a.wait + b.wait,
    timeslices: a.timeslices + b.timeslices,
    user: a.user + b.user,
    system: a.system + b.system,
    guest: a.guest + b.guest,
    voluntarySwitches: a.voluntarySwitches + b.voluntarySwitches,
    involuntarySwitches: a.involuntarySwitches + b.involuntarySwitches,
    migrations: a.migrations + b.migrations,
  };
}

/**
 * The sum over threads that come and go, such as QEMU's workers. What a thread had when it was last seen stays in the
 * sum after it ends, so that the sum never falls.
 */
export class ThreadPool {
  #ended = NO_COUNTERS;
  #alive = new Map<string, ThreadCounters>();

  /** @param alive counters of the threads that live now, by tid and start time */
  update(alive: Map<string, ThreadCounters>): ThreadCounters {
    for (const [key, counters] of this.#alive) {
      if (!alive.has(key)) this.#ended = addCounters(this.#ended, counters);
    }
    this.#alive = alive;
    let sum = this.#ended;
    for (const counters of alive.values()) sum = addCounters(sum, counters);
    return sum;
  }
}
