import { NSEC_PER_TICK } from '../../kernel/units.ts';
import { Meter } from './random.ts';

export type ThreadRole = 'emulator' | 'vcpu' | 'iothread' | 'vhost' | 'sqpoll' | 'other';

export interface ThreadSpec {
  readonly role: ThreadRole;
  /** At most 15 bytes: TASK_COMM_LEN. */
  readonly comm: string;
  /** Number of the vCPU or IOThread. */
  readonly index: number;
  /** The IOThread's id in QEMU. */
  readonly id?: string;
}

/** Sampling error of the guest time: up to this many ticks in either direction. */
export const WOBBLE = 2;

function wobble(step: number): number {
  return ((Math.imul(step, 0x9e3779b1) >>> 16) % (2 * WOBBLE + 1)) - WOBBLE;
}

/** A thread as the scheduler sees it: CPU time, current CPU and affinity. Times are in nanoseconds. */
export class SimThread {
  readonly user = new Meter();
  readonly system = new Meter();
  /** Included in `user`, as in the kernel. */
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
  /** Affinity, ascending. */
  allowed: readonly number[];
  cpu: number;
  /** Share of one CPU that the thread requests in this step, and the part of it that it gets. */
  demand = 0;
  speed = 1;
  /** Share of its CPU's time that interrupts of the host take. */
  interrupted = 0;
  /** Migrations that the model expects in this step. */
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

  /** @param waitShare seconds of waiting per second of running, not counting contention for a shared CPU */
  run(dt: number, share: { user: number; system: number; guest: number }, waitShare: number): void {
    const scale = this.speed * dt * 1e9;
    this.guest.add(share.guest * scale);
    if (share.guest > 0) {
      const sampled = Math.floor(this.guest.value / NSEC_PER_TICK) + wobble(this.tid + this.#steps++);
      this.guestTicks = Math.max(this.guestTicks, sampled);
    }
    this.user.add((share.user + share.guest) * scale);
    this.system.add(share.system * scale);
    const ran = (share.user + share.guest + share.system) * scale;
    // The scheduler's clock stops in interrupts (CONFIG_IRQ_TIME_ACCOUNTING).
    const scheduled = this.speed / (1 - this.interrupted);
    this.wait.add(ran * waitShare + this.demand * (1 - scheduled) * dt * 1e9);
    this.isRunning = this.demand > 0.5;
    // A thread that shares its CPU is preempted once per scheduler slice of 3 ms.
    this.involuntary.add(scheduled < 1 ? dt / 0.003 : this.demand * dt * 2);
  }
}
