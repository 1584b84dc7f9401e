import { Meter } from './random.ts';

export type ThreadRole = 'emulator' | 'vcpu' | 'iothread' | 'vhost' | 'sqpoll' | 'other';

export interface ThreadSpec {
  readonly role: ThreadRole;
  /** At most 15 bytes: TASK_COMM_LEN. */
  readonly comm: string;
  /** Number of the vCPU or of the IOThread. */
  readonly index: number;
  /** The IOThread's id in QEMU. */
  readonly id?: string;
}

/** Nanoseconds in a clock tick of USER_HZ. */
const TICK_NS = 1e7;
/** By so many ticks the samples may be wrong, either way. */
export const WOBBLE = 2;

function wobble(step: number): number {
  return ((Math.imul(step, 0x9e3779b1) >>> 16) % (2 * WOBBLE + 1)) - WOBBLE;
}

/** A thread as the scheduler sees it: what it used, where it is and may be. Times are nanoseconds. */
export class SimThread {
  readonly user = new Meter();
  readonly system = new Meter();
  /** Inside `user`, as the kernel counts it. */
  readonly guest = new Meter();
  readonly wait = new Meter();
  readonly voluntary = new Meter();
  readonly involuntary = new Meter();
  readonly migrations = new Meter();
  /**
   * Guest time as `stat` has it: sampled in whole ticks and, unlike utime and stime, not scaled to the run time
   * (kernel/sched/cputime.c account_guest_time() and cputime_adjust()), so it runs ahead of utime or behind it.
   */
  guestTicks = 0;
  #steps = 0;
  /** CPUs that it may run on, ascending. */
  allowed: readonly number[];
  cpu: number;
  /** Share of one CPU that it wants in this step, and of that what it gets. */
  demand = 0;
  speed = 1;
  /** Moves that the model expects of it in this step. */
  restless = 0;
  isRunning = false;

  constructor(
    readonly tid: number,
    readonly spec: ThreadSpec,
    /** Clock ticks since boot. */
    readonly startTicks: number,
    allowed: readonly number[],
    cpu: number,
  ) {
    this.allowed = allowed;
    this.cpu = cpu;
  }

  get runNs(): number {
    return this.user.value + this.system.value;
  }

  get switches(): number {
    return this.voluntary.value + this.involuntary.value;
  }

  /** @param waitShare seconds of waiting for each second of running, besides that for a crowded CPU */
  run(dt: number, share: { user: number; system: number; guest: number }, waitShare: number): void {
    const scale = this.speed * dt * 1e9;
    this.guest.add(share.guest * scale);
    if (share.guest > 0) {
      const sampled = Math.floor(this.guest.value / TICK_NS) + wobble(this.tid + this.#steps++);
      this.guestTicks = Math.max(this.guestTicks, sampled);
    }
    this.user.add((share.user + share.guest) * scale);
    this.system.add(share.system * scale);
    const ran = (share.user + share.guest + share.system) * scale;
    this.wait.add(ran * waitShare + (this.demand - this.demand * this.speed) * dt * 1e9);
    this.isRunning = this.demand > 0.5;
    // Who shares a CPU is sent away once in a scheduler's slice of 3 ms.
    this.involuntary.add(this.speed < 1 ? dt / 0.003 : this.demand * dt * 2);
  }
}
