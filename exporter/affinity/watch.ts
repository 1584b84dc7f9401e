import { isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readEffectiveCpuset } from '../../probes/proc-pid-cgroup.ts';
import { USER_HZ } from '../../probes/proc-task-stat.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import { expectationOf, type PinningRule } from '../model/affinity.ts';
import type { Affinity, VmAffinity } from '../model/affinity-reading.ts';
import { type Drift, driftsOf } from '../model/drift.ts';
import { shareOn } from '../model/numa.ts';
import { IO_ROLES, type ObservedThread, type ObservedVm } from '../model/observed.ts';
import { Places } from '../model/places.ts';
import { latestCpus, migrationRate, type Residency } from '../model/residency.ts';
import { SAMPLED_ROLES } from '../model/roles.ts';
import { factsOf, isWithin } from '../model/topology-facts.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import { Pace } from '../pace.ts';
import type { Baselines } from './baselines.ts';
import { type CompletionCpus, readCompletionCpus } from './completions.ts';
import { type Mask, Masks } from './masks.ts';
import type { Memory } from './memory.ts';

export interface AffinitySettings {
  readonly rules: readonly PinningRule[];
  readonly learn: boolean;
  readonly maxMigrationsPerSecond: number;
  /** Seconds between two samples. */
  readonly sampleInterval: number;
}

/** The host as the rest of the daemon knows it. */
export interface Watched {
  readonly vms: readonly Vm[];
  readonly disks: readonly Disk[];
  readonly topology: CpuTopology | undefined;
  threadsOf(vm: Vm): Iterable<VmThread>;
  refreshPins(): void;
}

export interface AffinityParts {
  readonly host: Host;
  readonly watched: Watched;
  readonly memory: Memory;
  readonly baselines: Baselines;
  residencyOf(thread: VmThread): Residency | undefined;
  /** A drift that begins, or ends. */
  onChange(drift: Drift, began: boolean): void;
  /** Seconds since boot. */
  sinceBoot(): number;
}

/** A mask costs as much as a sample: on a host with more threads each is looked at every second or third time. */
const MAX_READS = 500;
/** Whoever starts a VM pins its threads after it has them: so long a mask is taken for a beginning, not for a drift. */
const SETTLING_SECONDS = 5;
/** Interrupts are moved by hand, or by irqbalance, and reading them is slow on a large host. */
const COMPLETIONS_EVERY = 30;
const CPUSET_EVERY = 60;
const MAX_PROBLEMS = 16;

/** Follows where threads may run, against where they should: each second, the kernel's own masks. */
export class AffinityWatch {
  readonly #masks: Masks;
  readonly #cpusets = new WeakMap<VmThread, { tick: number; cpus: readonly number[] | undefined }>();
  #completions: ReadonlyMap<string, CompletionCpus> = new Map();
  #vms: ReadonlyMap<string, VmAffinity> = new Map();
  #problems: SourceError[] = [];
  #completionsProblem: SourceError | undefined;
  #hadMoved = false;
  #ticks = 0;
  #next = 0;

  constructor(
    private readonly parts: AffinityParts,
    private readonly settings: () => AffinitySettings,
  ) {
    this.#masks = new Masks(parts.host);
  }

  /** As of the last look. */
  get reading(): Affinity {
    return { of: ({ key }) => this.#vms.get(key), problems: this.#problems };
  }

  /** Looks once. */
  async tick(): Promise<void> {
    const { watched, memory, baselines } = this.parts;
    const { topology } = watched;
    if (this.#ticks++ % COMPLETIONS_EVERY === 0) this.#readCompletions();
    this.#problems = [memory.problem ?? [], this.#completionsProblem ?? []].flat();
    // On a host with one node there is nothing to tell.
    if ((topology?.nodes.length ?? 0) > 1) void memory.readNext(watched.vms);
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

  async #readMasks(): Promise<void> {
    const pace = new Pace();
    const { learn } = this.settings();
    const all = this.parts.watched.vms.flatMap((vm) => this.#threads(vm).map((thread) => ({ vm, thread })));
    const count = Math.min(MAX_READS, all.length);
    if (this.#next >= all.length) this.#next = 0;
    let hasMoved = false;
    for (let i = 0; i < count; i++) {
      if (pace.isDue()) await pace.giveWay();
      const { vm, thread } = all[(this.#next + i) % all.length] ?? {};
      if (vm === undefined || thread === undefined) continue;
      try {
        const before = this.#masks.of(thread);
        const mask = this.#masks.read(thread);
        if (learn) this.#learn(vm, thread, mask, mask !== before);
        if (mask === before) continue;
        hasMoved ||= before !== undefined && vm.manager === 'libvirt';
      } catch (error) {
        if (!isGone(error)) this.#note(error, thread.path);
      }
    }
    this.#next += count;
    // libvirt itself may have moved the thread: then its state says so, at the latest a moment later.
    if (hasMoved || this.#hadMoved) this.parts.watched.refreshPins();
    this.#hadMoved = hasMoved;
  }

  /**
   * What a thread has when it is first seen, or soon after its VM was started, is how it should be. A mask that somebody
   * made narrower is taken over at any time: that is a pin, and it must not be lost unseen.
   */
  #learn(vm: Vm, thread: VmThread, { text, cpus }: Mask, hasMoved: boolean): void {
    const { baselines, sinceBoot } = this.parts;
    const learnt = baselines.of(vm.key, thread.label);
    if (learnt !== undefined && !hasMoved) return;
    // A clock that went back makes no VM new.
    const isSettling = Math.abs(sinceBoot() - vm.startTime / USER_HZ) < SETTLING_SECONDS;
    if (learnt === undefined || isSettling || this.#isPin(thread, cpus, this.#masks.list(learnt))) {
      baselines.learn(vm.key, thread.label, text);
    }
  }

  /** A mask is also made narrower by a CPU that goes offline and by a cpuset, and wide again with them. */
  #isPin(thread: VmThread, cpus: readonly number[], before: readonly number[]): boolean {
    const { host, watched } = this.parts;
    if (cpus.length === 0 || cpus.length === before.length || !isWithin(cpus, before)) return false;
    const online = new Set(watched.topology?.cpus.map(({ cpu }) => cpu));
    const cpuset = cpusetOf(host, thread.tid);
    const own = new Set(cpus);
    return before.some((cpu) => !own.has(cpu) && online.has(cpu) && cpuset?.includes(cpu) !== false);
  }

  async #judge(topology: CpuTopology): Promise<void> {
    const { watched } = this.parts;
    const settings = this.settings();
    const { maxMigrationsPerSecond } = settings;
    const pace = new Pace();
    const observed: { vm: Vm; seen: ObservedVm }[] = [];
    for (const vm of watched.vms) {
      if (pace.isDue()) await pace.giveWay();
      observed.push({ vm, seen: this.#observe(vm, topology, settings) });
    }
    const places = new Places(
      observed.map(({ seen }) => seen),
      factsOf(topology),
    );
    const vms = new Map<string, VmAffinity>();
    for (const { vm, seen } of observed) {
      if (pace.isDue()) await pace.giveWay();
      const drifts = driftsOf({ vm: seen, places, maxMigrationsPerSecond });
      vms.set(vm.key, { observed: seen, drifts, ...this.#localities(seen, topology) });
      this.#tell(this.#vms.get(vm.key)?.drifts ?? [], drifts);
    }
    for (const [key, { drifts }] of this.#vms) if (!vms.has(key)) this.#tell(drifts, []);
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
      domain: vm.domain,
      uuid: vm.uuid,
      threads,
      memory: topology.nodes.length > 1 ? memory.of(vm) : undefined,
      deviceNodes: [...new Set(disks.flatMap(({ node }) => node ?? []))],
      interruptCpus: [...new Set(used.flatMap((disk) => this.#completionsOf(disk, ioCpus)))],
    };
  }

  /** @returns undefined for one whose mask could not be read yet */
  #observeThread(vm: Vm, thread: VmThread, settings: AffinitySettings): ObservedThread | undefined {
    const mask = this.#masks.of(thread);
    if (mask === undefined) return undefined;
    const { rules, learn, sampleInterval } = settings;
    const residency = this.parts.residencyOf(thread);
    const baseline = learn ? this.parts.baselines.of(vm.key, thread.label) : undefined;
    const learnt = baseline === undefined ? undefined : this.#masks.list(baseline);
    const cpuset = (): readonly number[] | undefined => this.#cpusetOf(thread);
    return {
      label: thread.label,
      role: thread.role,
      tid: thread.tid,
      allowedList: mask.text,
      allowed: mask.cpus,
      // A thread that sleeps is on its last CPU, from which a new mask takes it only when it wakes.
      seenOn: residency === undefined ? [] : latestCpus(residency).filter((cpu) => mask.cpus.includes(cpu)),
      migrationsPerSecond: residency === undefined ? undefined : migrationRate(residency, sampleInterval),
      // Asked for only where a command is advised.
      get cpuset() {
        return cpuset();
      },
      expectation: expectationOf(thread, vm, rules, vm.pins, learnt),
    };
  }

  /** A drift that lasts is judged each second; what its cgroup allows hardly changes. */
  #cpusetOf(thread: VmThread): readonly number[] | undefined {
    const known = this.#cpusets.get(thread);
    if (known !== undefined && this.#ticks - known.tick < CPUSET_EVERY) return known.cpus;
    const cpus = cpusetOf(this.parts.host, thread.tid);
    this.#cpusets.set(thread, { tick: this.#ticks, cpus });
    return cpus;
  }

  #completionsOf(disk: string, cpus: readonly number[]): readonly number[] {
    const completions = this.#completions.get(disk);
    return completions === undefined ? [] : cpus.flatMap((cpu) => completions.get(cpu) ?? []);
  }

  /** How near to each other a VM's parts are, from 0 to 1; undefined where a part is not known. */
  #localities(seen: ObservedVm, topology: CpuTopology): Pick<VmAffinity, 'memoryLocal' | 'completions'> {
    const facts = factsOf(topology);
    const vcpus = seen.threads.filter(({ role }) => role === 'vcpu').flatMap(({ seenOn }) => seenOn);
    const nodes = facts.nodes(vcpus);
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

  #tell(before: readonly Drift[], now: readonly Drift[]): void {
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

function keyOf({ thread, kind }: Drift): string {
  return `${thread} ${kind}`;
}

function cpusetOf(host: Host, tid: number): readonly number[] | undefined {
  try {
    return readEffectiveCpuset(host, tid);
  } catch {
    return undefined;
  }
}
