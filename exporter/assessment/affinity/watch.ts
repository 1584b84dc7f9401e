import type { Host } from '../../../probes/host.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import type { Affinity, VmAffinity } from '../../model/affinity-reading.ts';
import type { Drift } from '../../model/drift.ts';
import type { ObservedVm } from '../../model/observed.ts';
import type { Residency } from '../../model/residency.ts';
import { NO_SNAPSHOT, type ThreadSnapshot } from '../../model/thread-snapshot.ts';
import { factsOf } from '../../model/topology-facts.ts';
import type { VmThread } from '../../model/vm.ts';
import { Yielder } from '../../schedule/yielder.ts';
import type { Baselines } from './baselines.ts';
import { Completions } from './completions.ts';
import { Confinements } from './confinements.ts';
import { changesBetween, judge } from './judge.ts';
import { Learner } from './learner.ts';
import { MaskReader } from './mask-reader.ts';
import { Masks } from './masks.ts';
import type { Memory } from './memory.ts';
import { Observer, type ObserverSettings } from './observer.ts';
import type { Watched } from './watched.ts';

export interface AffinitySettings extends ObserverSettings {
  readonly maxMigrationsPerSecond: number;
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

/** Compares the threads' affinity masks in the kernel with their expected affinity, every second. */
export class AffinityWatch {
  readonly #reader: MaskReader;
  readonly #confinements: Confinements;
  readonly #completions: Completions;
  readonly #learner: Learner;
  readonly #observer: Observer;
  #vms: ReadonlyMap<string, VmAffinity> = new Map();

  constructor(
    private readonly dependencies: AffinityDependencies,
    private settings: AffinitySettings,
  ) {
    const { host, watched } = dependencies;
    const masks = new Masks(host);
    this.#reader = new MaskReader(masks, watched);
    this.#confinements = new Confinements(host, masks);
    this.#completions = new Completions(host);
    const shared = { ...dependencies, masks, confinements: this.#confinements };
    this.#learner = new Learner(shared);
    this.#observer = new Observer({ ...shared, completions: this.#completions });
  }

  configure(settings: AffinitySettings): void {
    this.settings = settings;
  }

  /** The result of the last tick. */
  get reading(): Affinity {
    const { memory } = this.dependencies;
    const problems = [memory.problem ?? [], this.#completions.problem ?? [], this.#reader.problems].flat();
    return { of: ({ key }) => this.#vms.get(key), problems };
  }

  /** Reads the masks and checks them for drift. */
  async tick(snapshot: ThreadSnapshot = NO_SNAPSHOT): Promise<void> {
    const { watched, baselines } = this.dependencies;
    this.#confinements.tick(watched.vms);
    this.#completions.tick(watched.disks);
    const readings = await this.#reader.read(snapshot);
    for (const { vm, thread, change } of readings)
      if (change !== 'none') this.#confinements.forget(vm, thread);
    const { topology } = watched;
    if (topology !== undefined) {
      if (this.settings.learn) await this.#learner.learn(readings, factsOf(topology));
      await this.#judge(topology);
    }
    await baselines.keep(new Set(watched.vms.map(({ key }) => key)));
  }

  async #judge(topology: CpuTopology): Promise<void> {
    const { watched, onChange } = this.dependencies;
    const { settings } = this;
    const yielder = new Yielder();
    const observed = new Map<string, ObservedVm>();
    for (const vm of watched.vms) {
      if (yielder.isDue()) await yielder.yield();
      observed.set(vm.key, this.#observer.observe(vm, topology, settings));
    }
    const before = this.#vms;
    this.#vms = await judge(observed, factsOf(topology), settings.maxMigrationsPerSecond);
    for (const { drift, began } of changesBetween(before, this.#vms)) onChange(drift, began);
  }
}
