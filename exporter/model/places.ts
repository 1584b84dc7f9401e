import { IO_ROLES, type ObservedThread, type ObservedVm } from './observed.ts';
import type { TopologyFacts } from './topology-facts.ts';

/** A thread on the I/O path that has one CPU for its own. */
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
 * The one CPU that a thread is on: its mask's only one, or, for a thread that should be pinned, the only one on which it
 * is seen. undefined for a thread that roams, and where there is but one CPU.
 */
function placeOf(thread: ObservedThread, facts: TopologyFacts): number | undefined {
  if (facts.online.size < 2) return undefined;
  const { online } = facts.mask(thread.allowed);
  if (online.length === 1) return online[0];
  const isMeantToBePinned = thread.expectation !== undefined && facts.mask(thread.expectation.cpus).isPart;
  return isMeantToBePinned && thread.seenOn.length === 1 ? thread.seenOn[0] : undefined;
}

/** Who is where, over all VMs of a host: made once for each round. */
export class Places {
  readonly #holders = new Map<number, Holders>();
  readonly #cpus = new Map<ObservedThread, number>();
  readonly #free = new Map<number | undefined, number | undefined>();

  constructor(
    vms: readonly ObservedVm[],
    readonly facts: TopologyFacts,
  ) {
    for (const vm of vms) {
      for (const thread of vm.threads) {
        const isVcpu = thread.role === 'vcpu';
        if (!isVcpu && !IO_ROLES.has(thread.role)) continue;
        const cpu = placeOf(thread, facts);
        if (cpu === undefined) continue;
        this.#cpus.set(thread, cpu);
        const holders = this.#holders.get(cpu) ?? { vcpus: [], io: [] };
        this.#holders.set(cpu, holders);
        holders[isVcpu ? 'vcpus' : 'io'].push({ vm, thread });
      }
    }
  }

  /** The CPU that a thread on the I/O path has for its own. */
  of(thread: ObservedThread): number | undefined {
    return this.#cpus.get(thread);
  }

  /** Who shares the CPU: for a vCPU an I/O thread or another vCPU, for an I/O thread a vCPU. */
  onSameCpu(thread: ObservedThread, cpu: number): Holder | undefined {
    const { vcpus, io } = this.#holders.get(cpu) ?? NOBODY;
    const other = vcpus.find((holder) => holder.thread !== thread);
    return other ?? (thread.role === 'vcpu' ? io[0] : undefined);
  }

  /** Likewise on the same core. vCPUs of one VM on siblings are how a guest with SMT is pinned, and no drift. */
  onSameCore(vm: ObservedVm, thread: ObservedThread, cpu: number): Holder | undefined {
    for (const sibling of this.facts.siblings(cpu)) {
      const { vcpus, io } = this.#holders.get(sibling) ?? NOBODY;
      const other =
        thread.role === 'vcpu' ? (io[0] ?? vcpus.find((holder) => holder.vm.vm !== vm.vm)) : vcpus[0];
      if (other !== undefined) return other;
    }
    return undefined;
  }

  /** A CPU on whose core nobody has a place, on this node; undefined where there is none. */
  free(node: number | undefined): number | undefined {
    if (!this.#free.has(node)) {
      const isFree = (cpu: number): boolean =>
        [cpu, ...this.facts.siblings(cpu)].every((each) => !this.#holders.has(each));
      const candidates = this.facts.topology.cpus.filter((cpu) => cpu.node === node);
      this.#free.set(node, candidates.find(({ cpu }) => isFree(cpu))?.cpu);
    }
    return this.#free.get(node);
  }
}
