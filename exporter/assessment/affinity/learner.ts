import { USER_HZ } from '../../../kernel/units.ts';
import { isNarrowed, isPin } from '../../model/confinement.ts';
import type { TopologyFacts } from '../../model/topology-facts.ts';
import type { Vm, VmThread } from '../../model/vm.ts';
import { Yielder } from '../../schedule/yielder.ts';
import type { Baselines } from './baselines.ts';
import type { Confinements } from './confinements.ts';
import type { MaskReading } from './mask-reader.ts';
import type { Masks } from './masks.ts';
import { checkedThreads, type Watched } from './watched.ts';

/**
 * A VM's threads are pinned after they start. For this long a changed mask counts as the initial one, not as
 * drift.
 */
const SETTLING_SECONDS = 5;

export interface LearnerDependencies {
  readonly watched: Watched;
  readonly masks: Masks;
  readonly confinements: Confinements;
  readonly baselines: Baselines;
  /** Seconds since boot. */
  sinceBoot(): number;
}

/**
 * Learns baselines. A pin that a thread has when it is first seen, or soon after its VM started, is the
 * expected affinity. A mask that was narrowed later is a new pin and replaces the baseline at any time, so
 * that losing it is detected. A thread that is not pinned has no baseline and follows its cgroup and the
 * host.
 */
export class Learner {
  /** Threads whose mask was already compared with the mask of an unpinned thread. */
  readonly #compared = new WeakSet<VmThread>();

  constructor(private readonly dependencies: LearnerDependencies) {}

  async learn(readings: readonly MaskReading[], facts: TopologyFacts): Promise<void> {
    const yielder = new Yielder();
    for (const reading of readings) {
      if (yielder.isDue()) await yielder.yield();
      const isNew = !this.#compared.has(reading.thread);
      this.#compared.add(reading.thread);
      if (isNew || reading.change !== 'none') this.#learnOne(reading, facts);
    }
  }

  #learnOne({ vm, thread, mask }: MaskReading, facts: TopologyFacts): void {
    const { baselines, masks, confinements, watched } = this.dependencies;
    const threads = checkedThreads(watched, vm);
    const { unpinned, cpuset } = confinements.ofVm(vm, threads, facts);
    const learned = baselines.of(vm.key, thread.label);
    if (learned !== undefined && !this.#isSettling(vm)) {
      if (isNarrowed(mask.cpus, masks.list(learned), cpuset, facts))
        baselines.learn(vm.key, thread.label, mask.text);
      return;
    }
    const masksOfVm = threads.flatMap((each) => masks.of(each) ?? []).map(({ cpus }) => ({ allowed: cpus }));
    if (isPin(facts.mask(mask.cpus), { unpinned, threads: masksOfVm }, facts) === true)
      baselines.learn(vm.key, thread.label, mask.text);
    else baselines.forget(vm.key, thread.label);
  }

  /** A clock that went back does not make a VM new. */
  #isSettling({ startTime }: Vm): boolean {
    return Math.abs(this.dependencies.sinceBoot() - startTime / USER_HZ) < SETTLING_SECONDS;
  }
}
