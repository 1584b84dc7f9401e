import type { Disk } from '../../../probes/sys-block.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import { isPin } from '../../model/confinement.ts';
import { type Expectation, expectationOf, type PinningRule } from '../../model/expectation.ts';
import type { ObservedThread, ObservedVm, Unpinned } from '../../model/observed.ts';
import { latestCpus, migrationRate, type Residency } from '../../model/residency.ts';
import { IO_THREAD_ROLES, type Role } from '../../model/roles.ts';
import { factsOf, type TopologyFacts } from '../../model/topology-facts.ts';
import type { Vm, VmThread } from '../../model/vm.ts';
import type { Baselines } from './baselines.ts';
import type { Completions } from './completions.ts';
import type { Confinements } from './confinements.ts';
import type { Mask, Masks } from './masks.ts';
import type { Memory } from './memory.ts';
import { checkedThreads, type Watched } from './watched.ts';

export interface ObserverSettings {
  readonly rules: readonly PinningRule[];
  /** Whether the masks of pinned threads are learned as their expected affinity. */
  readonly learn: boolean;
  /** Seconds between two samples. */
  readonly sampleInterval: number;
}

export interface ObserverDependencies {
  readonly watched: Watched;
  readonly masks: Masks;
  readonly confinements: Confinements;
  readonly completions: Completions;
  readonly memory: Memory;
  readonly baselines: Baselines;
  residencyOf(thread: VmThread): Residency | undefined;
}

/** Combines the placement of a VM's threads, memory and devices. */
export class Observer {
  constructor(private readonly dependencies: ObserverDependencies) {}

  observe(vm: Vm, topology: CpuTopology, settings: ObserverSettings): ObservedVm {
    const { watched, confinements, completions, memory } = this.dependencies;
    const checked = checkedThreads(watched, vm);
    const facts = factsOf(topology);
    const confinement = confinements.ofVm(vm, checked, facts);
    const expect = this.#unlearned(checked, confinement.unpinned, facts);
    const threads = checked.flatMap((thread) => this.#observeThread(vm, thread, settings, expect) ?? []);
    const used = vm.blockDevices.map(({ device }) => device);
    const disks = watched.disks.filter(({ name }) => used.includes(name));
    const ioCpus = threads.filter(({ role }) => IO_THREAD_ROLES.has(role)).flatMap(({ seenOn }) => seenOn);
    return {
      vm: vm.label,
      pid: vm.pid,
      ...confinement,
      domain: vm.domain,
      uuid: vm.uuid,
      threads,
      memory: topology.nodes.length > 1 ? memory.of(vm) : undefined,
      deviceNodes: [...new Set(disks.flatMap(nodesOf))],
      interruptCpus: [...new Set(used.flatMap((disk) => completions.of(disk, ioCpus)))],
      takersOf: (cpu) => used.flatMap((disk) => completions.of(disk, [cpu])),
    };
  }

  /** The expectation of a thread without a baseline: its present CPUs. Threads with one mask share one. */
  #unlearned(
    checked: readonly VmThread[],
    unpinned: Unpinned,
    facts: TopologyFacts,
  ): (cpus: readonly number[]) => Expectation {
    const threads = checked.flatMap((thread) => this.dependencies.masks.of(thread) ?? []);
    const vm = { unpinned, threads: threads.map(({ cpus }) => ({ allowed: cpus })) };
    const known = new Map<readonly number[], Expectation>();
    return (cpus) => {
      const before = known.get(cpus);
      if (before !== undefined) return before;
      const source = isPin(facts.mask(cpus), vm, facts) === false ? 'unpinned' : 'unknown';
      const expectation: Expectation = { cpus, source };
      known.set(cpus, expectation);
      return expectation;
    };
  }

  /** @returns undefined if the thread's mask has not been read yet */
  #observeThread(
    vm: Vm,
    thread: VmThread,
    { rules, learn, sampleInterval }: ObserverSettings,
    unlearned: (cpus: readonly number[]) => Expectation,
  ): ObservedThread | undefined {
    const { masks, baselines, confinements, residencyOf } = this.dependencies;
    const mask = masks.of(thread);
    if (mask === undefined) return undefined;
    const residency = residencyOf(thread);
    const baseline = learn ? baselines.of(vm.key, thread.label) : undefined;
    const learned: Expectation | undefined =
      baseline === undefined ? undefined : { cpus: masks.list(baseline), source: 'baseline' };
    return new SeenThread(
      thread,
      mask,
      residency === undefined ? [] : latestCpus(residency).filter((cpu) => mask.cpus.includes(cpu)),
      residency === undefined ? undefined : migrationRate(residency, sampleInterval),
      expectationOf(thread, vm, rules, vm.pins, learned ?? (learn ? unlearned(mask.cpus) : undefined)),
      confinements,
    );
  }
}

/** A class, because a host has thousands of them every few seconds and an object with its own getter is ten times as large. */
class SeenThread implements ObservedThread {
  constructor(
    private readonly thread: VmThread,
    private readonly mask: Mask,
    /** Without CPUs outside of the mask: a sleeping thread stays on its last CPU until it wakes. */
    readonly seenOn: readonly number[],
    readonly migrationsPerSecond: number | undefined,
    readonly expectation: Expectation | undefined,
    private readonly confinements: Confinements,
  ) {}

  get label(): string {
    return this.thread.label;
  }

  get role(): Role {
    return this.thread.role;
  }

  get tid(): number {
    return this.thread.tid;
  }

  get allowedList(): string {
    return this.mask.text;
  }

  get allowed(): readonly number[] {
    return this.mask.cpus;
  }

  /** Read only if a command is printed. */
  get cpuset(): readonly number[] | undefined {
    return this.confinements.ofThread(this.thread);
  }
}

/** Nodes of all paths of a disk; none if one is unknown, since a thread may be on that one. */
function nodesOf({ carriers }: Disk): number[] {
  const nodes = carriers.flatMap(({ node }) => node ?? []);
  return nodes.length === carriers.length ? nodes : [];
}
