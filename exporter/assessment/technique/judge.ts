import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import type { Stage } from '../../metrics/stages.ts';
import type { Technique } from '../../metrics/techniques.ts';
import type { VmAffinity } from '../../model/affinity-reading.ts';
import { isPin } from '../../model/confinement.ts';
import { diskFactsOf, servedInWords } from '../../model/disk-facts.ts';
import type { Feature } from '../../model/features.ts';
import { pollersOf } from '../../model/pollers.ts';
import { techniquesOf } from '../../model/stage.ts';
import type { Judgement } from '../../model/technique.ts';
import { factsOf } from '../../model/topology-facts.ts';
import { hiderOf, type Visibility } from '../../model/visibility.ts';
import type { Vm } from '../../model/vm.ts';
import type { VmStatistics } from '../../model/vm-statistics.ts';
import type { Growth } from '../stage/window.ts';
import { judgeAffinity, pinnable } from './affinity.ts';
import { judgeBatching } from './batching.ts';
import type { DeviceFacts } from './disk-kicks.ts';
import { measure } from './measured.ts';
import { judgePolling } from './polling.ts';
import { judgeQueues } from './queues.ts';

/** All facts of one VM at one moment. */
export interface TechniqueFacts {
  readonly vm: Pick<Vm, 'devices' | 'libvirtDisks'>;
  readonly visibility: Visibility;
  readonly affinity: Pick<VmAffinity, 'observed' | 'drifts'>;
  readonly topology: CpuTopology;
  readonly features: ReadonlyMap<Feature, number>;
  readonly statistics: Pick<VmStatistics, 'disks' | 'iothreads'> | undefined;
  readonly isStale: boolean;
  readonly facts: DeviceFacts['facts'];
  readonly nameAt: DeviceFacts['nameAt'];
  /** Whether trace events of this VM are counted. */
  readonly isTraced: boolean;
  /** The latest period with enough I/Os. */
  readonly growth: Growth | undefined;
  readonly phase: string | undefined;
  /** The stage that the phase names. */
  readonly declared: Stage | undefined;
}

/** Judges the four techniques apart: docs/verdicts.md. */
export function judgeTechniques(of: TechniqueFacts): Readonly<Record<Technique, Judgement>> {
  const { vm, affinity, topology, features } = of;
  const { observed, drifts } = affinity;
  const facts = factsOf(topology);
  const { pollers, isPatched, isBatchingPatched, settings } = pollingOf(of);
  const measured = measure(of.growth, { ...of, ...vm, awakeFrom: isPatched ? 0 : pollers.awakeFrom });
  // If the host does not see a disk's I/O, it cannot know its poller.
  const isHidden = hiderOf(of.visibility, 'io') !== undefined;
  const isConfigured = isHidden ? undefined : isPatched || pollers.isThere;
  const polling = { isConfigured, settings, measured };
  const queueSettings = queuesInWords(of);
  const threads = pinnable(observed.threads).map(({ label, role, expectation, allowed }) => ({
    label,
    role,
    expectation,
    isPinned: isPin(facts.mask(allowed), observed, facts),
  }));
  return {
    affinity: judgeAffinity({ threads, features, drifts }),
    exitless_polling: judgePolling(polling),
    parallel_batching: judgeBatching({
      ...polling,
      isParallel: isParallel(features, isBatchingPatched),
      queueSettings,
    }),
    pinned_queues: judgeQueues({
      vcpus: observed.threads.filter(({ role }) => role === 'vcpu').length,
      hasQueuePerVcpu: isHidden ? undefined : flag(features, 'queue_per_vcpu'),
      settings: queueSettings,
      measured,
    }),
  };
}

/** The configuration of polling, batching and queues. After a change, earlier counts prove nothing. */
export function settingsInWords(of: Omit<TechniqueFacts, 'growth'>): string[] {
  return [...pollingOf(of).settings, ...queuesInWords(of)];
}

function pollingOf({ vm, affinity, statistics, isStale, phase, declared }: Omit<TechniqueFacts, 'growth'>) {
  const claimed = declared === undefined ? [] : techniquesOf(declared);
  const { threads } = affinity.observed;
  const pollers = pollersOf({ threads, devices: vm.devices, statistics, isStale });
  const isPatched = claimed.includes('exitless_polling');
  return {
    pollers,
    isPatched,
    isBatchingPatched: claimed.includes('parallel_batching'),
    settings: [...(isPatched ? [`declared: ${phase}`] : []), ...pollers.settings],
  };
}

/** @param isPatched whether a patch with threads of its own is declared */
function isParallel(features: ReadonlyMap<Feature, number>, isPatched: boolean): boolean | undefined {
  const several = flag(features, 'multiqueue');
  if (several !== true || isPatched) return several;
  const threads = [flag(features, 'dedicated_iothreads'), flag(features, 'iothread_vq_mapping')];
  if (threads.includes(true)) return true;
  return threads.includes(undefined) ? undefined : false;
}

function flag(features: ReadonlyMap<Feature, number>, feature: Feature): boolean | undefined {
  const value = features.get(feature);
  return value === undefined ? undefined : value === 1;
}

function queuesInWords({ vm, statistics }: Pick<TechniqueFacts, 'vm' | 'statistics'>): string[] {
  const sources = diskFactsOf({ statistics, devices: vm.devices, libvirtDisks: vm.libvirtDisks });
  const disks = sources.find((source) => source.length > 0) ?? [];
  return disks.map((disk) => servedInWords(disk, 'an unknown number of'));
}
