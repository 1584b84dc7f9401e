import { formatCpuList } from '../../kernel/cpu-list.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';

/** A CPU list, compared with the online CPUs. */
export interface CpuMask {
  /** In the kernel's format, including offline CPUs. */
  readonly text: string;
  /** The online CPUs of the list, ascending. */
  readonly online: readonly number[];
  /** Whether an online CPU is not in the list. */
  readonly isPart: boolean;
}

/** SCHED_CAPACITY_SCALE: include/linux/sched.h. */
const FULL_CAPACITY = 1024;

/** Caches the facts of a topology that are needed each second for thousands of threads. */
export class TopologyFacts {
  readonly online: ReadonlySet<number>;
  readonly isolated: ReadonlySet<number>;
  readonly #nodesWithCpus: readonly number[];
  readonly #singles = new Map<number, CpuMask>();
  readonly #nodes = new WeakMap<readonly number[], readonly number[]>();
  readonly #siblings: ReadonlyMap<number, readonly number[]>;
  readonly #capacities: ReadonlyMap<number, number>;
  /** By list object: callers reuse their lists, and a host has few different ones. */
  readonly #masks = new WeakMap<readonly number[], CpuMask>();

  constructor(readonly topology: CpuTopology) {
    this.online = new Set(topology.cpus.map(({ cpu }) => cpu));
    this.isolated = new Set(topology.cpus.flatMap(({ cpu, isolated }) => (isolated ? [cpu] : [])));
    this.#nodesWithCpus = [...new Set(topology.nodeOf.values())];
    this.#siblings = new Map(
      topology.cpus.map(({ cpu, siblings }) => [cpu, siblings.filter((sibling) => sibling !== cpu)]),
    );
    this.#capacities = new Map(
      topology.cpus.flatMap(({ cpu, capacity }) => (capacity === undefined ? [] : [[cpu, capacity]])),
    );
  }

  /** What a CPU lacks of another's capacity, or of the fastest CPUs', as an E-core does: 0 if it lacks none, or that is unknown. */
  slower(cpu: number, than: number | undefined): number {
    const capacityOf = (each: number): number => this.#capacities.get(each) ?? FULL_CAPACITY;
    return Math.max(0, (than === undefined ? FULL_CAPACITY : capacityOf(than)) - capacityOf(cpu));
  }

  mask(cpus: readonly number[]): CpuMask {
    const [first] = cpus;
    const before =
      cpus.length === 1 && first !== undefined ? this.#singles.get(first) : this.#masks.get(cpus);
    if (before !== undefined) return before;
    const sorted = [...new Set(cpus)].sort((a, b) => a - b);
    const online = sorted.filter((cpu) => this.online.has(cpu));
    const mask = { text: formatCpuList(sorted), online, isPart: online.length < this.online.size };
    if (cpus.length === 1 && first !== undefined) this.#singles.set(first, mask);
    else this.#masks.set(cpus, mask);
    return mask;
  }

  /** The other hardware threads of the CPU's core. */
  siblings(cpu: number): readonly number[] {
    return this.#siblings.get(cpu) ?? [];
  }

  /** NUMA nodes of the CPUs, ascending; empty on a kernel without NUMA. */
  nodes(cpus: readonly number[]): readonly number[] {
    const before = this.#nodes.get(cpus);
    if (before !== undefined) return before;
    const found = this.#nodesOf(cpus);
    this.#nodes.set(cpus, found);
    return found;
  }

  #nodesOf(cpus: readonly number[]): number[] {
    const nodes = new Set<number>();
    for (const cpu of cpus) {
      const node = this.topology.nodeOf.get(cpu);
      if (node !== undefined) nodes.add(node);
    }
    return [...nodes].sort((a, b) => a - b);
  }

  /**
   * Nodes with the nearest memory: each node itself, or for a node without memory the nearest nodes with
   * memory.
   */
  memoryNear(nodes: readonly number[]): number[] {
    return this.#near(nodes, this.topology.memoryNodes);
  }

  /**
   * Nodes with the nearest CPUs: each node itself, or for a node without CPUs the nearest nodes with CPUs.
   */
  cpusNear(nodes: readonly number[]): number[] {
    return this.#near(nodes, this.#nodesWithCpus);
  }

  /** Without known distances every node counts as the nearest. */
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

/** Whether all of `part` is in `whole`. Both must be ascending. */
export function isWithin(part: readonly number[], whole: readonly number[]): boolean {
  let i = 0;
  for (const cpu of part) {
    while (i < whole.length && (whole[i] ?? 0) < cpu) i++;
    if (whole[i] !== cpu) return false;
  }
  return true;
}
