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
    this.user.add((share.user + share.guest) * scale);
    this.system.add(share.system * scale);
    const ran = (share.user + share.guest + share.system) * scale;
    this.wait.add(ran * waitShare + (this.demand - this.demand * this.speed) * dt * 1e9);
    this.isRunning = this.demand > 0.5;
    // Who shares a CPU is sent away once in a scheduler's slice of 3 ms.
    this.involuntary.add(this.speed < 1 ? dt / 0.003 : this.demand * dt * 2);
  }
}
