import { USER_HZ } from '../../../kernel/units.ts';
import { isGone, type SourceError, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { readTaskStatus } from '../../../probes/proc-task-status.ts';
import type { Disk } from '../../../probes/sys-block.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import type { Affinity, VmAffinity } from '../../model/affinity-reading.ts';
import { isPin, unpinnedCpus } from '../../model/confinement.ts';
import { CpuHolders } from '../../model/cpu-holders.ts';
import { type Drift, driftsOf } from '../../model/drift.ts';
import { expectationOf, type PinningRule } from '../../model/expectation.ts';
import { shareOn } from '../../model/numa.ts';
import type { ObservedThread, ObservedVm, Unpinned } from '../../model/observed.ts';
import { latestCpus, migrationRate, type Residency } from '../../model/residency.ts';
import { IO_ROLES, SAMPLED_ROLES } from '../../model/roles.ts';
import { factsOf, isWithin, type TopologyFacts } from '../../model/topology-facts.ts';
import type { Vm, VmThread } from '../../model/vm.ts';
import { Yielder } from '../../schedule/yielder.ts';
import type { Baselines } from './baselines.ts';
import { type CompletionCpus, readCompletionCpus } from './completions.ts';
import { Cpusets } from './cpusets.ts';
import { type Mask, Masks } from './masks.ts';
import type { Memory } from './memory.ts';

export interface AffinitySettings {
  readonly rules: readonly PinningRule[];
  readonly learn: boolean;
  readonly maxMigrationsPerSecond: number;
  /** Seconds between two samples. */
  readonly sampleInterval: number;
}

/** The host as the other modules of the daemon know it. */
export interface Watched {
  readonly vms: readonly Vm[];
  readonly disks: readonly Disk[];
  readonly topology: CpuTopology | undefined;
  threadsOf(vm: Vm): Iterable<VmThread>;
  refreshPins(): void;
}

export interface AffinityDependencies {
  readonly host: Host;
  readonly watched: Watched;
  readonly memory: Memory;
  readonly baselines: Baselines;
  residencyOf(thread: VmThread): Residency | undefined;
  /** Called when a drift begins or ends. */
  onChange(drift: Drift, began: boolean): void;
  /** Seconds since boot. */
  sinceBoot(): number;
}

/**
 * Reading a mask costs as much as a sample. With more threads than this, each thread is checked every second
 * or third time.
 */
const MAX_READS = 500;
/**
 * A VM's threads are pinned after they start. For this long a changed mask counts as the initial one, not as
 * drift.
 */
const SETTLING_SECONDS = 5;
/** Only an administrator or irqbalance moves interrupts, and reading them is slow on a large host. */
const COMPLETIONS_EVERY = 30;
const INIT_EVERY = 60;
const MAX_PROBLEMS = 16;

interface Read {
  readonly vm: Vm;
  readonly thread: VmThread;
  readonly mask: Mask;
  readonly hasMoved: boolean;
}

/** Compares the threads' affinity masks in the kernel with their expected affinity, every second. */
export class AffinityWatch {
  readonly #masks: Masks;
  readonly #cpusets: Cpusets;
  /** Threads whose mask was already compared with the mask of an unpinned thread. */
  readonly #compared = new WeakSet<VmThread>();
  /** The mask of the host's first process, which every process inherits. */
  #init: readonly number[] | undefined;
  #completions: ReadonlyMap<string, CompletionCpus> = new Map();
  #vms: ReadonlyMap<string, VmAffinity> = new Map();
  #problems: SourceError[] = [];
  #completionsProblem: SourceError | undefined;
  #hadMoved = false;
  #ticks = 0;
  #next = 0;

  constructor(
    private readonly parts: AffinityDependencies,
    private readonly settings: () => AffinitySettings,
  ) {
    this.#masks = new Masks(parts.host);
    this.#cpusets = new Cpusets(parts.host);
  }

  /** The result of the last tick. */
  get reading(): Affinity {
    return { of: ({ key }) => this.#vms.get(key), problems: this.#problems };
  }

  /** Reads the masks and checks them for drift. */
  async tick(): Promise<void> {
    const { watched, memory, baselines } = this.parts;
    const { topology } = watched;
    if (this.#ticks % INIT_EVERY === 0) this.#readInit();
    if (this.#ticks++ % COMPLETIONS_EVERY === 0) this.#readCompletions();
    this.#cpusets.tick(watched.vms);
    this.#problems = [memory.problem ?? [], this.#completionsProblem ?? []].flat();
    await this.#readMasks();
    if (topology !== undefined) await this.#judge(topology);
    await baselines.keep(new Set(watched.vms.map(({ key }) => key)));
  }

  #readCompletions(): void {
    const { host, watched } = this.parts;
    try {
      this.#completions = readCompletionCpus(host, watched.disks);
      this.#completionsProblem = undefined;
    } catch (error) {
      this.#completionsProblem = sourceError(error, `${host.roots.procfs}/interrupts`);
    }
  }

  /**
   * In a container with its own pid namespace process 1 does not represent the host. If process 1 cannot be
   * read, the check works without it.
   */
  #readInit(): void {
    const { host } = this.parts;
    try {
      this.#init = this.#masks.list(readTaskStatus(host, `${host.roots.procfs}/1`).cpusAllowedList);
    } catch {
      this.#init = undefined;
    }
  }

  async #readMasks(): Promise<void> {
    const yielder = new Yielder();
    const read: Read[] = [];
    const all = this.parts.watched.vms.flatMap((vm) => this.#threads(vm).map((thread) => ({ vm, thread })));
    const count = Math.min(MAX_READS, all.length);
    if (this.#next >= all.length) this.#next = 0;
    let hasMoved = false;
    for (let i = 0; i < count; i++) {
      if (yielder.isDue()) await yielder.yield();
      const { vm, thread } = all[(this.#next + i) % all.length] ?? {};
      if (vm === undefined || thread === undefined) continue;
      try {
        const before = this.#masks.of(thread);
        const mask = this.#masks.read(thread);
        read.push({ vm, thread, mask, hasMoved: mask !== before });
        if (mask === before) continue;
        this.#cpusets.forget(vm, thread);
        hasMoved ||= before !== undefined && vm.manager === 'libvirt';
      } catch (error) {
        if (!isGone(error)) this.#note(error, thread.path);
      }
    }
    this.#next += count;
    // libvirt may have moved the thread itself. Then its state shows the new pin now or in the next second.
    if (hasMoved || this.#hadMoved) this.parts.watched.refreshPins();
    this.#hadMoved = hasMoved;
    const { topology } = this.parts.watched;
    if (topology === undefined || !this.settings().learn) return;
    for (const each of read) {
      if (yielder.isDue()) await yielder.yield();
      this.#learn(each, factsOf(topology));
    }
  }

  /**
   * Learns baselines. A pin that a thread has when it is first seen, or soon after its VM started, is the
   * expected affinity. A mask that was narrowed later is a new pin and replaces the baseline at any time, so
   * that losing it is detected. A thread that is not pinned has no baseline and follows its cgroup and the
   * host.
   */
  #learn({ vm, thread, mask, hasMoved }: Read, facts: TopologyFacts): void {
    const { baselines, sinceBoot } = this.parts;
    const isNew = !this.#compared.has(thread);
    this.#compared.add(thread);
    if (!hasMoved && !isNew) return;
    const learnt = baselines.of(vm.key, thread.label);
    // A clock that went back does not make a VM new.
    const isSettling = Math.abs(sinceBoot() - vm.startTime / USER_HZ) < SETTLING_SECONDS;
    const { unpinned, cpuset } = this.#surroundings(vm, facts);
    const threads = this.#threads(vm).flatMap((each) => {
      const cpus = this.#masks.of(each)?.cpus;
      return cpus === undefined ? [] : { allowed: cpus };
    });
    const isPinned = (cpus: readonly number[]): boolean =>
      isPin(facts.mask(cpus), { unpinned, threads }, facts) === true;
    const before = learnt === undefined ? undefined : this.#masks.list(learnt);
    if (before !== undefined && !isSettling) {
      if (isNarrowed(mask.cpus, before, cpuset, facts)) baselines.learn(vm.key, thread.label, mask.text);
    } else if (isPinned(mask.cpus)) baselines.learn(vm.key, thread.label, mask.text);
    else baselines.forget(vm.key, thread.label);
  }

  /** The CPUs that the VM's threads may use, and those they get if they are not pinned. */
  #surroundings(
    vm: Vm,
    facts: TopologyFacts,
  ): Pick<ObservedVm, 'cpuset' | 'mems'> & { readonly unpinned: Unpinned } {
    const { cpus, mems, isKnown } = this.#cpusets.ofVm(vm, this.#threads(vm));
    return { cpuset: cpus, mems, unpinned: isKnown ? unpinnedCpus(this.#init, cpus, facts) : 'unknown' };
  }

  async #judge(topology: CpuTopology): Promise<void> {
    const { watched } = this.parts;
    const settings = this.settings();
    const { maxMigrationsPerSecond } = settings;
    const yielder = new Yielder();
    const observed: { vm: Vm; seen: ObservedVm }[] = [];
    for (const vm of watched.vms) {
      if (yielder.isDue()) await yielder.yield();
      observed.push({ vm, seen: this.#observe(vm, topology, settings) });
    }
    const holders = new CpuHolders(
      observed.map(({ seen }) => seen),
      factsOf(topology),
    );
    const vms = new Map<string, VmAffinity>();
    for (const { vm, seen } of observed) {
      if (yielder.isDue()) await yielder.yield();
      const drifts = driftsOf({ vm: seen, holders, maxMigrationsPerSecond });
      vms.set(vm.key, { observed: seen, drifts, ...this.#localities(seen, topology) });
      this.#reportChanges(this.#vms.get(vm.key)?.drifts ?? [], drifts);
    }
    for (const [key, { drifts }] of this.#vms) if (!vms.has(key)) this.#reportChanges(drifts, []);
    this.#vms = vms;
  }

  #observe(vm: Vm, topology: CpuTopology, settings: AffinitySettings): ObservedVm {
    const { watched, memory } = this.parts;
    const threads = this.#threads(vm).flatMap((thread) => this.#observeThread(vm, thread, settings) ?? []);
    const used = vm.blockDevices.map(({ device }) => device);
    const disks = watched.disks.filter(({ name }) => used.includes(name));
    const ioCpus = threads.filter(({ role }) => IO_ROLES.has(role)).flatMap(({ seenOn }) => seenOn);
    return {
      vm: vm.label,
      pid: vm.pid,
      ...this.#surroundings(vm, factsOf(topology)),
      domain: vm.domain,
      uuid: vm.uuid,
      threads,
      memory: topology.nodes.length > 1 ? memory.of(vm) : undefined,
      deviceNodes: [...new Set(disks.flatMap(nodesOf))],
      interruptCpus: [...new Set(used.flatMap((disk) => this.#completionsOf(disk, ioCpus)))],
      takersOf: (cpu) => used.flatMap((disk) => this.#completionsOf(disk, [cpu])),
    };
  }

  /** @returns undefined if the thread's mask has not been read yet */
  #observeThread(vm: Vm, thread: VmThread, settings: AffinitySettings): ObservedThread | undefined {
    const mask = this.#masks.of(thread);
    if (mask === undefined) return undefined;
    const { rules, learn, sampleInterval } = settings;
    const residency = this.parts.residencyOf(thread);
    const baseline = learn ? this.parts.baselines.of(vm.key, thread.label) : undefined;
    // A thread that is not pinned has its current mask as its expected affinity.
    const usual = learn ? mask.cpus : undefined;
    const learnt = baseline === undefined ? usual : this.#masks.list(baseline);
    const cpuset = (): readonly number[] | undefined => this.#cpusets.ofThread(thread);
    return {
      label: thread.label,
      role: thread.role,
      tid: thread.tid,
      allowedList: mask.text,
      allowed: mask.cpus,
      // A sleeping thread stays on its last CPU until it wakes, even if a new mask excludes that CPU.
      seenOn: residency === undefined ? [] : latestCpus(residency).filter((cpu) => mask.cpus.includes(cpu)),
      migrationsPerSecond: residency === undefined ? undefined : migrationRate(residency, sampleInterval),
      // Read only if a command is printed.
      get cpuset() {
        return cpuset();
      },
      expectation: expectationOf(thread, vm, rules, vm.pins, learnt),
    };
  }

  #completionsOf(disk: string, cpus: readonly number[]): readonly number[] {
    const completions = this.#completions.get(disk);
    return completions === undefined ? [] : cpus.flatMap((cpu) => completions.get(cpu) ?? []);
  }

  /** Shares of local memory and local completions, 0 to 1; undefined if unknown. */
  #localities(seen: ObservedVm, topology: CpuTopology): Pick<VmAffinity, 'memoryLocal' | 'completions'> {
    const facts = factsOf(topology);
    const vcpus = seen.threads.filter(({ role }) => role === 'vcpu').flatMap(({ seenOn }) => seenOn);
    const nodes = facts.memoryNear(facts.nodes(vcpus));
    const io = seen.threads.filter(({ role }) => IO_ROLES.has(role)).flatMap(({ seenOn }) => seenOn);
    const takers = new Set(seen.interruptCpus);
    const takerNodes = facts.nodes(seen.interruptCpus);
    const share = (isLocal: (cpu: number) => boolean): number | undefined =>
      takers.size === 0 || io.length === 0 ? undefined : io.filter(isLocal).length / io.length;
    return {
      memoryLocal: seen.memory === undefined || nodes.length === 0 ? undefined : shareOn(seen.memory, nodes),
      completions: {
        cpu: share((cpu) => takers.has(cpu)),
        node: share((cpu) => takerNodes.some((node) => facts.nodes([cpu]).includes(node))),
      },
    };
  }

  #reportChanges(before: readonly Drift[], now: readonly Drift[]): void {
    const known = new Set(before.map(keyOf));
    for (const drift of now) if (!known.delete(keyOf(drift))) this.parts.onChange(drift, true);
    for (const drift of before) if (known.has(keyOf(drift))) this.parts.onChange(drift, false);
  }

  #threads(vm: Vm): VmThread[] {
    return [...this.parts.watched.threadsOf(vm)].filter(
      ({ role }) => SAMPLED_ROLES.has(role) || role === 'emulator',
    );
  }

  #note(error: unknown, path: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(sourceError(error, path));
  }
}

/** Nodes of all paths of a disk; none if one is unknown, since a thread may be on that one. */
function nodesOf({ carriers }: Disk): number[] {
  const nodes = carriers.flatMap(({ node }) => node ?? []);
  return nodes.length === carriers.length ? nodes : [];
}

function keyOf({ thread, kind }: Drift): string {
  return `${thread} ${kind}`;
}

/**
 * Whether a pin narrowed the mask. A CPU that goes offline and a cpuset also narrow masks, and widen them
 * again later.
 */
function isNarrowed(
  cpus: readonly number[],
  before: readonly number[],
  cpuset: readonly number[] | undefined,
  { online }: TopologyFacts,
): boolean {
  if (cpus.length === 0 || cpus.length === before.length || !isWithin(cpus, before)) return false;
  const own = new Set(cpus);
  return before.some((cpu) => !own.has(cpu) && online.has(cpu) && cpuset?.includes(cpu) !== false);
}
