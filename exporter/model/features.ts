import { addTo } from '../../kernel/maps.ts';
import type { LibvirtDisk } from '../../probes/libvirt-domain.ts';
import type { NumaPages } from '../../probes/proc-numa-maps.ts';
import type { QemuDevices } from '../../probes/qemu-devices.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import { isPin } from './confinement.ts';
import { type DiskFacts, diskFactsOf } from './disk-facts.ts';
import { shareOn } from './numa.ts';
import type { ObservedThread, Unpinned } from './observed.ts';
import { IO_THREAD_ROLES } from './roles.ts';
import { factsOf, type TopologyFacts } from './topology-facts.ts';
import type { VmStatistics } from './vm-statistics.ts';

export const FEATURES = [
  'vcpus_pinned',
  'io_threads_pinned',
  'io_separate_from_vcpus',
  'numa_local',
  'iothread_polling',
  'sqpoll',
  'vhost',
  'multiqueue',
  'queue_per_vcpu',
  'dedicated_iothreads',
  'iothread_vq_mapping',
  'cache_none',
  'aio_native',
  'aio_io_uring',
] as const;

export type Feature = (typeof FEATURES)[number];

/** The known facts of a VM; undefined if a source was not queried or did not respond. */
export interface FeatureInput {
  readonly topology: CpuTopology;
  readonly threads: readonly Pick<ObservedThread, 'role' | 'allowed'>[];
  /** As in ObservedVm. */
  readonly unpinned: Unpinned | undefined;
  readonly memory: NumaPages | undefined;
  readonly deviceNodes: readonly number[];
  /** From the command line. */
  readonly devices: QemuDevices | undefined;
  readonly libvirtDisks: readonly LibvirtDisk[] | undefined;
  /** From QEMU's monitor or libvirt. */
  readonly statistics: Pick<VmStatistics, 'disks' | 'iothreads'> | undefined;
  /** Whether neither has answered for minutes. Only poll-max-ns may have changed unnoticed. */
  readonly isStale: boolean;
  /** cache.direct of each disk, from QEMU's monitor. */
  readonly direct: readonly boolean[] | undefined;
}

/**
 * Up to 10 % of the memory may be on other nodes: the VMM's own pages stay on the node on which it was
 * started.
 */
const LOCAL_SHARE = 0.9;

/** The features of the methodology: 1 if in force, else 0. A feature that no source reports is missing. */
export function featuresOf(input: FeatureInput): ReadonlyMap<Feature, number> {
  const features = new Map<Feature, number>();
  const all = { ...affinityOf(input), ...pollingOf(input), ...disksOf(input) };
  for (const feature of FEATURES) {
    const value = all[feature];
    if (value !== undefined) features.set(feature, value ? 1 : 0);
  }
  return features;
}

type Answers = Partial<Record<Feature, boolean | undefined>>;

function affinityOf({ topology, threads, unpinned, memory, deviceNodes }: FeatureInput): Answers {
  const facts = factsOf(topology);
  // Threads share their lists: a VM has few different ones.
  const vcpus = masksOf(threads.filter(({ role }) => role === 'vcpu'));
  const io = masksOf(ioThreads(threads));
  const arePinned = (masks: readonly (readonly number[])[]): boolean | undefined => {
    if (masks.length === 0 || facts.online.size < 2) return undefined;
    const pins = masks.map((mask) => isPin(facts.mask(mask), { unpinned, threads }, facts));
    if (pins.includes(false)) return false;
    return pins.includes(undefined) ? undefined : true;
  };
  const ofVcpus = new Set(vcpus.flatMap((mask) => facts.mask(mask).online));
  const isKnown = vcpus.length > 0 && io.length > 0;
  return {
    vcpus_pinned: arePinned(vcpus),
    io_threads_pinned: arePinned(io),
    io_separate_from_vcpus: isKnown
      ? io.every((mask) => facts.mask(mask).online.every((cpu) => !ofVcpus.has(cpu)))
      : undefined,
    numa_local: vcpus.length === 0 ? undefined : isLocal(facts, vcpus, io, memory, deviceNodes),
  };
}

/** In a VM without I/O threads the emulator does the I/O. */
function ioThreads(threads: FeatureInput['threads']): FeatureInput['threads'] {
  const io = threads.filter(({ role }) => IO_THREAD_ROLES.has(role));
  return io.length > 0 ? io : threads.filter(({ role }) => role === 'emulator');
}

function masksOf(threads: FeatureInput['threads']): (readonly number[])[] {
  return [...new Set(threads.map(({ allowed }) => allowed))];
}

/**
 * Each thread is confined to one node, the memory is on the vCPUs' nodes, and the I/O threads run near the
 * device.
 */
export function isLocal(
  facts: TopologyFacts,
  vcpus: readonly (readonly number[])[],
  io: readonly (readonly number[])[],
  memory: NumaPages | undefined,
  deviceNodes: readonly number[],
): boolean | undefined {
  const share =
    memory === undefined ? undefined : shareOn(memory, facts.memoryNear(facts.nodes(vcpus.flat())));
  if (share === undefined) return undefined;
  const stays = [...vcpus, ...io].every((mask) => facts.nodes(mask).length === 1);
  const near = facts.cpusNear(deviceNodes);
  const isWithDevice = near.length === 0 || facts.nodes(io.flat()).every((node) => near.includes(node));
  return stays && share >= LOCAL_SHARE && isWithDevice;
}

function pollingOf({ threads, devices, statistics, isStale }: FeatureInput): Answers {
  const has = (role: ObservedThread['role']): boolean | undefined =>
    threads.length === 0 ? undefined : threads.some((thread) => thread.role === role);
  const asked = statistics?.iothreads.map(({ pollMaxSeconds }) => pollMaxSeconds > 0);
  const wanted = devices?.iothreads.map(({ pollMaxNs }) => pollMaxNs !== 0);
  const polls = [asked, wanted].find((each) => each !== undefined && each.length > 0) ?? asked ?? wanted;
  // An IOThread that no source lists was hotplugged: whether it polls is unknown.
  const isKnown = !isStale && polls !== undefined && (polls.length > 0 || has('iothread') !== true);
  return {
    iothread_polling: isKnown ? polls.length > 0 && polls.every((each) => each) : undefined,
    sqpoll: has('sqpoll'),
    vhost: devices?.nets.some(({ vhost }) => vhost) === true ? true : has('vhost'),
  };
}

function disksOf(input: FeatureInput): Answers {
  const sources = diskFactsOf(input);
  const vcpus = input.threads.filter(({ role }) => role === 'vcpu').length;
  /** The value from the first source that has enough facts. */
  const first = (answer: (disks: readonly DiskFacts[]) => boolean | undefined): boolean | undefined =>
    sources.map(answer).find((each) => each !== undefined);
  const direct = input.direct ?? [];
  return {
    multiqueue: first((disks) => some(disks, ({ queues }) => isAtLeast(queues, 2))),
    queue_per_vcpu:
      vcpus === 0 ? undefined : first((disks) => some(disks, ({ queues }) => isAtLeast(queues, vcpus))),
    dedicated_iothreads: first(haveDedicated),
    iothread_vq_mapping: first((disks) =>
      some(disks, ({ iothreads }) => (iothreads === undefined ? undefined : new Set(iothreads).size > 1)),
    ),
    cache_none:
      direct.length > 0
        ? direct.every((each) => each)
        : first((disks) => every(disks, (disk) => disk.direct)),
    aio_native: first((disks) => some(disks, ({ aio }) => isEngine(aio, 'native'))),
    aio_io_uring: first((disks) => some(disks, ({ aio }) => isEngine(aio, 'io_uring'))),
  };
}

/** True if the test holds for one disk, false if it fails for all; otherwise undefined. */
function some(
  disks: readonly DiskFacts[],
  test: (disk: DiskFacts) => boolean | undefined,
): boolean | undefined {
  const answers = disks.map(test);
  if (answers.includes(true)) return true;
  return answers.length === 0 || answers.some((each) => each !== false) ? undefined : false;
}

/** False if the test fails for one disk, true if it holds for all; otherwise undefined. */
function every(
  disks: readonly DiskFacts[],
  test: (disk: DiskFacts) => boolean | undefined,
): boolean | undefined {
  const denied = some(disks, (disk) => {
    const answer = test(disk);
    return answer === undefined ? undefined : !answer;
  });
  return denied === undefined ? undefined : !denied;
}

function isEngine(aio: string | undefined, engine: string): boolean | undefined {
  return aio === undefined ? undefined : aio === engine;
}

function isAtLeast(count: number | undefined, least: number): boolean | undefined {
  return count === undefined ? undefined : count >= least;
}

/**
 * Whether a disk has IOThreads that serve no other disk. A disk with unknown IOThreads may share them with
 * any other disk.
 */
function haveDedicated(disks: readonly DiskFacts[]): boolean | undefined {
  const uses = new Map<string, number>();
  for (const { iothreads } of disks) for (const id of new Set(iothreads)) addTo(uses, id, 1);
  const areAllKnown = disks.every(({ iothreads }) => iothreads !== undefined);
  return some(disks, ({ iothreads }) => {
    if (iothreads === undefined) return undefined;
    const isDedicated = iothreads.length > 0 && iothreads.every((id) => uses.get(id) === 1);
    return isDedicated && !areAllKnown ? undefined : isDedicated;
  });
}
