import { getOrInsert } from '../../kernel/maps.ts';
import { isPin } from './confinement.ts';
import type { ObservedThread, ObservedVm } from './observed.ts';
import { IO_THREAD_ROLES } from './roles.ts';
import type { TopologyFacts } from './topology-facts.ts';

/** A thread on the I/O path that is confined to one CPU. */
export interface Holder {
  readonly vm: ObservedVm;
  readonly thread: ObservedThread;
}

interface Holders {
  readonly vcpus: Holder[];
  readonly io: Holder[];
}

const NOBODY: Holders = { vcpus: [], io: [] };

/**
 * The one CPU to which a thread is confined. undefined if the thread may run on several CPUs (an idle thread
 * stays on an arbitrary one), if its cgroup has only one CPU, or if the host has only one CPU.
 */
export function placeOf(
  vm: ObservedVm,
  allowed: readonly number[],
  facts: TopologyFacts,
): number | undefined {
  const mask = facts.mask(allowed);
  if (facts.online.size < 2 || mask.online.length !== 1) return undefined;
  return isPin(mask, vm, facts) === false ? undefined : mask.online[0];
}

/** The threads that are confined to one CPU, over all VMs of a host. Built once per round. */
export class CpuHolders {
  readonly #holders = new Map<number, Holders>();
  readonly #cpus = new Map<ObservedThread, number>();

  constructor(
    vms: readonly ObservedVm[],
    readonly facts: TopologyFacts,
  ) {
    for (const vm of vms) {
      for (const thread of vm.threads) {
        const isVcpu = thread.role === 'vcpu';
        if (!isVcpu && !IO_THREAD_ROLES.has(thread.role)) continue;
        const cpu = placeOf(vm, thread.allowed, facts);
        if (cpu === undefined) continue;
        this.#cpus.set(thread, cpu);
        const holders = getOrInsert(this.#holders, cpu, (): Holders => ({ vcpus: [], io: [] }));
        holders[isVcpu ? 'vcpus' : 'io'].push({ vm, thread });
      }
    }
  }

  /** The CPU to which a thread on the I/O path is confined. */
  of(thread: ObservedThread): number | undefined {
    return this.#cpus.get(thread);
  }

  /** A thread that shares the CPU: for a vCPU an I/O thread or another vCPU, for an I/O thread a vCPU. */
  onSameCpu(thread: ObservedThread, cpu: number): Holder | undefined {
    const { vcpus, io } = this.#holders.get(cpu) ?? NOBODY;
    const other = vcpus.find((holder) => holder.thread !== thread);
    return other ?? (thread.role === 'vcpu' ? io[0] : undefined);
  }

  /** The same for the core. vCPUs of one VM on sibling CPUs are not drift: a guest with SMT is pinned so. */
  onSameCore(vm: ObservedVm, thread: ObservedThread, cpu: number): Holder | undefined {
    for (const sibling of this.facts.siblings(cpu)) {
      const { vcpus, io } = this.#holders.get(sibling) ?? NOBODY;
      const other =
        thread.role === 'vcpu' ? (io[0] ?? vcpus.find((holder) => holder.vm.vm !== vm.vm)) : vcpus[0];
      if (other !== undefined) return other;
    }
    return undefined;
  }

  /** All threads that are confined to the CPU. */
  at(cpu: number): readonly Holder[] {
    const { vcpus, io } = this.#holders.get(cpu) ?? NOBODY;
    return io.length === 0 ? vcpus : [...vcpus, ...io];
  }
}

/**
 * Whether it is drift if two threads on the I/O path are confined to one CPU, or to two CPUs of one core:
 * `onSameCpu` and `onSameCore` for one pair.
 */
export function areInConflict(a: Holder, b: Holder, isSameCpu: boolean): boolean {
  const isVcpu = a.thread.role === 'vcpu';
  const isOther = b.thread.role === 'vcpu';
  if (isVcpu && isOther) return isSameCpu || a.vm.vm !== b.vm.vm;
  return isVcpu || isOther;
}
