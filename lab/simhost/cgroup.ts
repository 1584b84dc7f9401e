import { Meter } from './random.ts';
import type { SimThread } from './thread.ts';

/** Periods of a quota per second: the kernel's default is 100 ms. */
export const PERIODS_PER_SECOND = 10;

/** Stall time of tasks that wait for a CPU (PSI), in microseconds. */
export class SimPressure {
  readonly some = new Meter();
  readonly full = new Meter();
}

/** The cgroup of a VM: its CPU quota, and the time for which its threads wait for a CPU. */
export class SimCgroup {
  /** In CPUs; undefined: no quota. */
  quota: number | undefined;
  readonly periods = new Meter();
  readonly throttledPeriods = new Meter();
  readonly throttledUsec = new Meter();
  readonly pressure = new SimPressure();
  /** Of tasks that wait for memory in swap, and for the host's I/O. */
  readonly memoryPressure = new SimPressure();
  readonly ioPressure = new SimPressure();

  /**
   * Slows the threads to the quota. Call it after each thread has its share of a CPU for this step.
   * @returns seconds for which a thread of the VM waits
   */
  step(threads: readonly SimThread[], dt: number): number {
    const throttled = this.#throttle(threads, dt);
    const waits = threads.map(({ demand, speed }) => demand * (1 - speed));
    const seconds = Math.max(0, ...waits) * dt;
    this.pressure.some.add(seconds * 1e6);
    this.pressure.full.add(throttled * dt * 1e6);
    return seconds;
  }

  /** @returns the share of the time for which all threads stop */
  #throttle(threads: readonly SimThread[], dt: number): number {
    const { quota } = this;
    if (quota === undefined) return 0;
    this.periods.add(dt * PERIODS_PER_SECOND);
    const wanted = threads.reduce((sum, { demand, speed }) => sum + demand * speed, 0);
    if (wanted <= quota) return 0;
    for (const thread of threads) thread.speed *= quota / wanted;
    this.throttledPeriods.add(dt * PERIODS_PER_SECOND);
    this.throttledUsec.add((wanted - quota) * dt * 1e6);
    return 1 - quota / wanted;
  }
}
