import type { LibvirtDisk } from '../../probes/libvirt-domain.ts';
import type { NumaPages } from '../../probes/proc-numa-maps.ts';
import type { QemuDevices } from '../../probes/qemu-devices.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import { isPin, type Unpinned } from './confinement.ts';
import { type DiskFacts, diskFactsOf } from './disk-facts.ts';
import { shareOn } from './numa.ts';
import { IO_ROLES, type ObservedThread } from './observed.ts';
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

/** What is known of a VM; undefined where a source was not asked or did not answer. */
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
  /** cache.direct of each disk, from QEMU's monitor. */
  readonly direct: readonly boolean[] | undefined;
}

/** A node's worth of memory elsewhere is still local, as the VMM's own pages lie where it was started. */
const LOCAL_SHARE = 0.9;

/** What of the methodology is in force, 0 or 1; a feature that nothing tells of is absent. */
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
  const vcpus = threads.filter(({ role }) => role === 'vcpu').map(({ allowed }) => allowed);
  const io = ioThreads(threads);
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

/** Where a VM has no thread for I/O, the emulator does it. */
function ioThreads(threads: FeatureInput['threads']): (readonly number[])[] {
  const io = threads.filter(({ role }) => IO_ROLES.has(role));
  return (io.length > 0 ? io : threads.filter(({ role }) => role === 'emulator')).map(
    ({ allowed }) => allowed,
  );
}

/** Each thread stays on one node, the memory is where the vCPUs are, and I/O is done where the device is. */
function isLocal(
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

function pollingOf({ threads, devices, statistics }: FeatureInput): Answers {
  const has = (role: ObservedThread['role']): boolean | undefined =>
    threads.length === 0 ? undefined : threads.some((thread) => thread.role === role);
  const asked = statistics?.iothreads.map(({ pollMaxSeconds }) => pollMaxSeconds > 0);
  const wanted = devices?.iothreads.map(({ pollMaxNs }) => pollMaxNs !== 0);
  const polls = [asked, wanted].find((each) => each !== undefined && each.length > 0) ?? asked ?? wanted;
  return {
    iothread_polling: polls === undefined ? undefined : polls.length > 0 && polls.every((each) => each),
    sqpoll: has('sqpoll'),
    vhost: devices?.nets.some(({ vhost }) => vhost) === true ? true : has('vhost'),
  };
}

function disksOf(input: FeatureInput): Answers {
  const sources = diskFactsOf(input);
  const vcpus = input.threads.filter(({ role }) => role === 'vcpu').length;
  /** What the disks are said to have, by the first source that says it of any. */
  const said = <K extends keyof DiskFacts>(key: K): NonNullable<DiskFacts[K]>[] | undefined =>
    sources
      .map((disks) => disks.map((disk) => disk[key]).filter((value) => value !== undefined))
      .find((values) => values.length > 0) as NonNullable<DiskFacts[K]>[] | undefined;
  const queues = said('queues');
  const iothreads = said('iothreads');
  const aio = said('aio');
  return {
    multiqueue: queues?.some((count) => count > 1),
    queue_per_vcpu: vcpus === 0 ? undefined : queues?.some((count) => count >= vcpus),
    dedicated_iothreads: iothreads === undefined ? undefined : hasDedicated(iothreads),
    iothread_vq_mapping: iothreads?.some((ids) => new Set(ids).size > 1),
    cache_none: (input.direct?.length ? input.direct : said('direct'))?.every((direct) => direct),
    aio_native: aio?.some((engine) => engine === 'native'),
    aio_io_uring: aio?.some((engine) => engine === 'io_uring'),
  };
}

/** Some disk has IOThreads that serve no other. */
function hasDedicated(disks: readonly (readonly string[])[]): boolean {
  const uses = new Map<string, number>();
  for (const ids of disks) for (const id of new Set(ids)) uses.set(id, (uses.get(id) ?? 0) + 1);
  return disks.some((ids) => ids.length > 0 && ids.every((id) => uses.get(id) === 1));
}
