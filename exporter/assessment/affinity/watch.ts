import type { Host } from '../../../probes/host.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import type { Affinity, VmAffinity } from '../../model/affinity-reading.ts';
import type { Drift } from '../../model/drift.ts';
import type { ObservedVm } from '../../model/observed.ts';
import type { Residency } from '../../model/residency.ts';
import { NO_SNAPSHOT, type ThreadSnapshot } from '../../model/thread-snapshot.ts';
import { factsOf } from '../../model/topology-facts.ts';
import type { Vm, VmThread } from '../../model/vm.ts';
import { Yielder } from '../../schedule/yielder.ts';
import { type PlanHost, planHostOf } from '../plan/host.ts';
import { fixOf, type VmPlan } from '../plan/plan.ts';
import { basisOf, HostPlans, NO_WANTS, type Wants } from '../plan/plans.ts';
import type { Accepted } from './accepted.ts';
import type { Baselines } from './baselines.ts';
import { DriftChanges } from './changes.ts';
import { Completions } from './completions.ts';
import { Confinements } from './confinements.ts';
import { judge } from './judge.ts';
import { Learner } from './learner.ts';
import { MaskReader, type MaskReading } from './mask-reader.ts';
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
  readonly accepted: Accepted;
  residencyOf(thread: VmThread): Residency | undefined;
  /**
   * Called when a drift begins or ends.
   *
   * @param fix the command of the VM's plan that fixes a drift that began; undefined if there is none
   */
  onChange(drift: Drift, began: boolean, fix: string | undefined): void;
  /** Seconds since boot. */
  sinceBoot(): number;
}

/**
 * Seconds between two checks of threads that keep their masks. Their CPUs, memory and interrupts change slowly, and a
 * check of 1,100 threads takes ten milliseconds.
 */
const CHECK_SECONDS = 5;

/**
 * Compares the threads' affinity masks in the kernel with their expected affinity: at once if a mask, a VM or a setting
 * changed, else every {@link CHECK_SECONDS}.
 */
export class AffinityWatch {
  readonly #reader: MaskReader;
  readonly #confinements: Confinements;
  readonly #completions: Completions;
  readonly #learner: Learner;
  readonly #observer: Observer;
  #vms: ReadonlyMap<string, VmAffinity> = new Map();
  /** The VMs of the last check, and its time in seconds since boot; undefined if it must be done again. */
  #checked: { readonly vms: readonly Vm[]; readonly at: number } | undefined;
  readonly #changes = new DriftChanges();
  /** The improvements of the last call, kept while nothing changes, because planning is expensive. */
  #improved: { readonly basis: string; readonly plans: HostPlans } | undefined;
  #host: PlanHost | undefined;

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
    this.#checked = undefined;
  }

  /** The result of the last tick. */
  get reading(): Affinity {
    const { memory } = this.dependencies;
    const problems = [memory.problem ?? [], this.#completions.problem ?? [], this.#reader.problems].flat();
    return { of: ({ key }) => this.#vms.get(key), problems };
  }

  /**
   * The plan of a VM, as of the last tick; undefined if the VM was not checked yet.
   *
   * @param wantsOf the improvements that the plan of each VM adds to the repair
   */
  async planFor({ key }: Vm, wantsOf: (vm: Vm) => Wants = () => NO_WANTS): Promise<VmPlan | undefined> {
    const observed = this.#vms.get(key)?.observed;
    if (observed === undefined || this.#host === undefined) return undefined;
    const { vms } = this.dependencies.watched;
    const wants = new Map(vms.map((vm) => [vm.label, wantsOf(vm)]));
    const drifts = [...this.#vms.values()].flatMap(({ drifts: all }) =>
      all.map(({ vm, thread, kind, why }) => `${vm} ${thread} ${kind} ${why}`),
    );
    const basis = `${basisOf(this.#host.vms, drifts)}${JSON.stringify([...wants])}`;
    if (this.#improved?.basis !== basis) this.#improved = { basis, plans: new HostPlans(this.#host.fresh()) };
    const { plans } = this.#improved;
    const wantsOfVm = (vm: string): Wants => wants.get(vm) ?? NO_WANTS;
    const yielder = new Yielder();
    while (plans.advance(observed, wantsOfVm)) if (yielder.isDue()) await yielder.yield();
    return plans.planFor(observed, wantsOfVm);
  }

  /** Reads the masks and checks them for drift. */
  async tick(snapshot: ThreadSnapshot = NO_SNAPSHOT): Promise<void> {
    const { watched, baselines, accepted, sinceBoot } = this.dependencies;
    this.#confinements.tick(watched.vms);
    this.#completions.tick(watched.disks);
    const readings = await this.#reader.read(snapshot);
    for (const { vm, thread, change } of readings)
      if (change !== 'none') this.#confinements.forget(vm, thread);
    accepted.reload();
    for (const { key } of watched.vms) baselines.accept(key, accepted.of(key));
    const { topology } = watched;
    if (topology !== undefined) {
      if (this.settings.learn && baselines.learns) await this.#learner.learn(readings, factsOf(topology));
      const now = sinceBoot();
      if (this.#isDue(readings, now)) {
        this.#checked = { vms: watched.vms, at: now };
        await this.#judge(topology);
      }
    }
    await baselines.keep(new Set(watched.vms.map(({ key }) => key)));
  }

  #isDue(readings: readonly MaskReading[], now: number): boolean {
    const { vms } = this.dependencies.watched;
    const before = this.#checked;
    if (before === undefined || now - before.at >= CHECK_SECONDS) return true;
    if (vms.length !== before.vms.length || vms.some((vm, i) => vm !== before.vms[i])) return true;
    return readings.some(({ change }) => change !== 'none');
  }

  async #judge(topology: CpuTopology): Promise<void> {
    const { watched, onChange, sinceBoot } = this.dependencies;
    const { settings } = this;
    const yielder = new Yielder();
    const observed = new Map<string, ObservedVm>();
    for (const vm of watched.vms) {
      if (yielder.isDue()) await yielder.yield();
      observed.set(vm.key, this.#observer.observe(vm, topology, settings));
    }
    const { maxMigrationsPerSecond } = settings;
    const host = planHostOf([...observed.values()], factsOf(topology), maxMigrationsPerSecond);
    this.#vms = await judge(observed, host);
    this.#host = host;
    const plans = new HostPlans(host.fresh());
    for (const { key, drift, began } of this.#changes.take(this.#vms, sinceBoot())) {
      if (yielder.isDue()) await yielder.yield();
      const vm = began ? observed.get(key) : undefined;
      const plan = vm === undefined ? undefined : plans.repairOf(vm);
      onChange(drift, began, plan === undefined ? undefined : fixOf(plan, drift));
    }
  }
}
