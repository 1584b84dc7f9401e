import type { CpuTopology } from '../../probes/sys-cpu.ts';
import { cpuListOf } from './affinity.ts';

/** A list of CPUs against those that are online. */
export interface CpuMask {
  /** As the kernel writes it, CPUs that are offline among them. */
  readonly text: string;
  /** What of it is online, ascending. */
  readonly online: readonly number[];
  /** Whether it leaves out a CPU that is online. */
  readonly isPart: boolean;
}

/** What is asked of a topology each second, for thousands of threads: worked out once. */
export class TopologyFacts {
  readonly online: ReadonlySet<number>;
  readonly isolated: ReadonlySet<number>;
  readonly #siblings: ReadonlyMap<number, readonly number[]>;
  /** Callers keep their lists, as there are few different ones on a host. */
  readonly #masks = new WeakMap<readonly number[], CpuMask>();

  constructor(readonly topology: CpuTopology) {
    this.online = new Set(topology.cpus.map(({ cpu }) => cpu));
    this.isolated = new Set(topology.cpus.flatMap(({ cpu, isolated }) => (isolated ? [cpu] : [])));
    this.#siblings = new Map(topology.cpus.map(({ cpu, siblings }) => [cpu, siblings]));
  }

  mask(cpus: readonly number[]): CpuMask {
    const before = this.#masks.get(cpus);
    if (before !== undefined) return before;
    const sorted = [...new Set(cpus)].sort((a, b) => a - b);
    const online = sorted.filter((cpu) => this.online.has(cpu));
    const mask = { text: cpuListOf(sorted), online, isPart: online.length < this.online.size };
    this.#masks.set(cpus, mask);
    return mask;
  }

  /** The other threads of its core. */
  siblings(cpu: number): readonly number[] {
    return (this.#siblings.get(cpu) ?? []).filter((sibling) => sibling !== cpu);
  }

  /** Nodes of CPUs, ascending; empty on a kernel without NUMA. */
  nodes(cpus: readonly number[]): number[] {
    const nodes = new Set<number>();
    for (const cpu of cpus) {
      const node = this.topology.nodeOf.get(cpu);
      if (node !== undefined) nodes.add(node);
    }
    return [...nodes].sort((a, b) => a - b);
  }

  /** Nodes whose memory is near to CPUs on these nodes: themselves, or for one without memory the nearest that have any. */
  memoryNear(nodes: readonly number[]): number[] {
    return this.#near(nodes, this.topology.memoryNodes);
  }

  /** Nodes whose CPUs are near to memory or a device on these nodes: themselves, or the nearest that have CPUs. */
  cpusNear(nodes: readonly number[]): number[] {
    return this.#near(nodes, [...new Set(this.topology.nodeOf.values())]);
  }

  /** Where no distance is known each of them may be the nearest. */
  #near(nodes: readonly number[], among: readonly number[]): number[] {
    const near = nodes.flatMap((node): readonly number[] => {
      if (among.includes(node)) return [node];
      const distances = this.topology.distances.get(node);
      const far = (other: number): number => distances?.get(other) ?? 0;
      const least = Math.min(...among.map(far));
      return among.filter((other) => far(other) === least);
    });
    return [...new Set(near)].sort((a, b) => a - b);
  }
}

const known = new WeakMap<CpuTopology, TopologyFacts>();

export function factsOf(topology: CpuTopology): TopologyFacts {
  const facts = known.get(topology) ?? new TopologyFacts(topology);
  known.set(topology, facts);
  return facts;
}

/** Whether all of `part` is in `whole`; both ascending. */
export function isWithin(part: readonly number[], whole: readonly number[]): boolean {
  let i = 0;
  for (const cpu of part) {
    while (i < whole.length && (whole[i] ?? 0) < cpu) i++;
    if (whole[i] !== cpu) return false;
  }
  return true;
}
