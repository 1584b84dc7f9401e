import type { SimThread } from './thread.ts';
import type { Topology } from './topology.ts';

/**
 * Assigns CPUs to pinned threads: whole cores, so that no I/O thread shares a core with a vCPU. The first
 * core of each node is for threads that are not pinned to one CPU.
 */
export class CpuAllocator {
  /** CPUs in use, with the VM that uses them. */
  readonly #owners = new Map<number, string>();

  constructor(private readonly topology: Topology) {}

  /** The CPUs for emulators and helpers. */
  housekeeping(node: number): readonly number[] {
    const first = this.topology.nodes[node]?.[0] ?? 0;
    return this.topology.cpus[first]?.siblings ?? [first];
  }

  /** @returns CPUs by thread id */
  pin(vm: string, threads: readonly SimThread[], node: number): Map<number, readonly number[]> {
    const pins = new Map<number, readonly number[]>();
    for (const role of ['vcpu', 'iothread'] as const) {
      const free: number[] = [];
      for (const thread of threads.filter(({ spec }) => spec.role === role)) {
        if (free.length === 0) free.push(...this.#takeCore(vm, node));
        const cpu = free.shift();
        pins.set(thread.tid, cpu === undefined ? this.housekeeping(node) : [cpu]);
      }
    }
    for (const { tid } of threads) if (!pins.has(tid)) pins.set(tid, this.housekeeping(node));
    return pins;
  }

  release(vm: string): void {
    for (const [cpu, owner] of this.#owners) if (owner === vm) this.#owners.delete(cpu);
  }

  /** A free core of this node, else of another node; empty if no core is free. */
  #takeCore(vm: string, node: number): readonly number[] {
    const { cpus, nodes } = this.topology;
    for (let i = 0; i < nodes.length; i++) {
      const there = (node + i) % nodes.length;
      const reserved = this.housekeeping(there);
      const core = nodes[there]
        ?.map((cpu) => cpus[cpu]?.siblings ?? [cpu])
        .find((siblings) => siblings.every((cpu) => !this.#owners.has(cpu) && !reserved.includes(cpu)));
      if (core === undefined) continue;
      for (const cpu of core) this.#owners.set(cpu, vm);
      return core;
    }
    return [];
  }
}
