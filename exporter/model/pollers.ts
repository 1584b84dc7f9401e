import { NSEC_PER_SEC } from '../../kernel/units.ts';
import type { QemuDevices } from '../../probes/qemu-devices.ts';
import { diskFactsOf } from './disk-facts.ts';
import type { ObservedThread } from './observed.ts';
import type { VmStatistics } from './vm-statistics.ts';

/** The threads on the host that poll a VM's virtqueues or its disks. */
export interface Pollers {
  /** Whether there is a poller; undefined if no source lists the threads that serve the disks. */
  readonly isThere: boolean | undefined;
  /** In words: `poll-max-ns of io0: 32768`. */
  readonly settings: readonly string[];
  /** At fewer I/Os per second they may sleep, because no I/O arrives within poll-max-ns; 0 if unknown. */
  readonly awakeFrom: number;
}

export interface PollerFacts {
  readonly threads: readonly Pick<ObservedThread, 'role'>[];
  readonly devices: QemuDevices | undefined;
  readonly statistics: Pick<VmStatistics, 'disks' | 'iothreads'> | undefined;
  /** Whether the source has not answered for minutes, so that poll-max-ns may have changed. */
  readonly isStale: boolean;
}

/** QEMU's default of poll-max-ns: iothread.c. */
const DEFAULT_POLL_MAX_NS = 32_768;

/** An IOThread polls if poll-max-ns is not 0. The main loop does not poll: util/main-loop.c. */
export function pollersOf(facts: PollerFacts): Pollers {
  const { threads, isStale } = facts;
  const settings: string[] = [];
  if (threads.some(({ role }) => role === 'sqpoll')) settings.push('SQPOLL thread');
  const hasOthers = settings.length > 0;
  const known = iothreadsOf(facts);
  const when = isStale ? ' when QEMU last answered' : '';
  for (const { id, pollMaxNs } of known ?? []) settings.push(`poll-max-ns of ${id}: ${pollMaxNs}${when}`);
  const polls = hasOthers || (!isStale && (known ?? []).some(({ pollMaxNs }) => pollMaxNs !== 0));
  const hasIothread = threads.some(({ role }) => role === 'iothread');
  // An IOThread that no source lists was hot-plugged.
  const isUnknown =
    isStale || known === undefined || (known.length === 0 && hasIothread && servedBy(facts) === undefined);
  return {
    isThere: polls ? true : isUnknown ? undefined : false,
    settings,
    awakeFrom: hasOthers ? 0 : awakeFrom(known ?? []),
  };
}

/** QEMU's AioContext stops to poll after poll-max-ns without an event: util/aio-posix.c. */
function awakeFrom(iothreads: readonly { readonly pollMaxNs: number }[]): number {
  const longest = Math.max(0, ...iothreads.map(({ pollMaxNs }) => pollMaxNs));
  return longest === 0 ? 0 : NSEC_PER_SEC / longest;
}

/** The IOThreads that serve a disk; undefined if no source lists them. */
function iothreadsOf(facts: PollerFacts): { id: string; pollMaxNs: number }[] | undefined {
  const { statistics, devices } = facts;
  const live = statistics?.iothreads.map(({ id, pollMaxSeconds }) => ({
    id,
    pollMaxNs: Math.round(pollMaxSeconds * NSEC_PER_SEC),
  }));
  const requested = devices?.iothreads.map(({ id, pollMaxNs = DEFAULT_POLL_MAX_NS }) => ({ id, pollMaxNs }));
  const all = [live, requested].find((each) => each !== undefined && each.length > 0) ?? live ?? requested;
  const serving = servedBy(facts);
  return serving === undefined ? all : all?.filter(({ id }) => serving.has(id));
}

/** Ids of the IOThreads that serve the disks; undefined if unknown for one of them. */
function servedBy({ statistics, devices }: PollerFacts): ReadonlySet<string> | undefined {
  const disks = diskFactsOf({ statistics, devices, libvirtDisks: undefined }).find(
    (source) => source.length > 0 && source.every(({ iothreads }) => iothreads !== undefined),
  );
  return disks === undefined ? undefined : new Set(disks.flatMap(({ iothreads }) => iothreads ?? []));
}
