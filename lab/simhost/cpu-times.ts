import { Meter } from './random.ts';
import type { SimThread } from './thread.ts';

/** Nanoseconds of one CPU, or of all CPUs. `user` includes `guest`, as in the kernel. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
  readonly guest: number;
  readonly idle: number;
  /** Soft interrupts. */
  readonly interrupts: number;
  readonly run: number;
  readonly wait: number;
  readonly slices: number;
}

interface Before {
  user: number;
  system: number;
  guest: number;
  wait: number;
  switches: number;
}

/** CPU time by CPU: the sum over the threads that ran on it; the remaining time is idle. */
export class CpuTimes {
  readonly #cpus: { user: number; system: number; guest: number; wait: number; slices: number }[];
  readonly #idle: Meter[];
  readonly #interrupts: Meter[];
  readonly #before = new WeakMap<SimThread, Before>();
  switches = 0;

  constructor(cpus: number) {
    this.#cpus = Array.from({ length: cpus }, () => ({ user: 0, system: 0, guest: 0, wait: 0, slices: 0 }));
    this.#idle = Array.from({ length: cpus }, () => new Meter());
    this.#interrupts = Array.from({ length: cpus }, () => new Meter());
  }

  /** Adds the CPU time of a step to the CPU of each thread. */
  add(threads: readonly SimThread[], dt: number): void {
    const busy = new Float64Array(this.#cpus.length);
    const interrupted = new Float64Array(this.#cpus.length);
    for (const thread of threads) {
      const before = this.#before.get(thread) ?? { user: 0, system: 0, guest: 0, wait: 0, switches: 0 };
      const cpu = this.#cpus[thread.cpu];
      if (cpu === undefined) continue;
      const user = thread.user.value - before.user;
      const system = thread.system.value - before.system;
      const switches = thread.switches - before.switches;
      cpu.user += user;
      cpu.system += system;
      cpu.guest += thread.guest.value - before.guest;
      cpu.wait += thread.wait.value - before.wait;
      cpu.slices += switches;
      this.switches += switches;
      interrupted[thread.cpu] = Math.max(interrupted[thread.cpu] ?? 0, thread.interrupted);
      busy[thread.cpu] = (busy[thread.cpu] ?? 0) + user + system;
      before.user = thread.user.value;
      before.system = thread.system.value;
      before.guest = thread.guest.value;
      before.wait = thread.wait.value;
      before.switches = thread.switches;
      this.#before.set(thread, before);
    }
    for (const [cpu, idle] of this.#idle.entries()) {
      const taken = (interrupted[cpu] ?? 0) * dt * 1e9;
      this.#interrupts[cpu]?.add(taken);
      idle.add(Math.max(0, dt * 1e9 - (busy[cpu] ?? 0) - taken));
    }
  }

  /** @param cpu -1 for the sum over all CPUs */
  of(cpu: number): CpuTime {
    const chosen = cpu < 0 ? this.#cpus.map((_, i) => i) : [cpu];
    const sum = { user: 0, system: 0, guest: 0, idle: 0, interrupts: 0, run: 0, wait: 0, slices: 0 };
    for (const each of chosen) {
      const { user = 0, system = 0, guest = 0, wait = 0, slices = 0 } = this.#cpus[each] ?? {};
      sum.user += user;
      sum.system += system;
      sum.guest += guest;
      sum.idle += this.#idle[each]?.value ?? 0;
      sum.interrupts += this.#interrupts[each]?.value ?? 0;
      sum.run += user + system;
      sum.wait += wait;
      sum.slices += slices;
    }
    return sum;
  }

  get idleNs(): number {
    return this.of(-1).idle;
  }
}
