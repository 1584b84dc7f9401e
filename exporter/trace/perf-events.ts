import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readEventFormat } from '../../probes/tracefs-format.ts';
import { DEVICE_EXITS, type Isa, reasonsOfTheIoPath } from '../model/io-path.ts';
import type { ExitCount, VmTrace } from '../model/vm-trace.ts';
import type { PerfCounter } from './perf-counters.ts';
import { MMIO_NOTIFY, type TraceSetName } from './sets.ts';

/** Sets that perf can count, at least in part, on vCPU threads. */
export const PERF_SETS: ReadonlySet<TraceSetName> = new Set([
  'exits',
  'notifications',
  'interrupts',
  'halt_poll',
]);

/** VIRTIO_PCI_QUEUE_NOTIFY of a legacy device: see isKick() in exporter/model/io-path.ts. */
const NOTIFY_FILTER = 'rw == 1 && size == 2 && port >= 4096 && port & 16 && !(port & 15)';

/** VIRTIO 1.2, 4.1.5.2: virtio-pci is notified with 16 bits. */
const SHORT_WRITE = 'type == 2 && len == 2';
/** KVM_EXIT_MMIO. */
const MMIO_EXITS = 'kvm_userspace_exit:6';

/** The counters of the sets, limited to the tracepoints of this kernel. */
export function perfCounters(host: Host, isa: Isa, sets: readonly TraceSetName[]): PerfCounter[] {
  // On arm64 a reason consists of two fields, so perf does not count reasons one by one.
  const reasons = isa === 'arm64' ? [] : reasonsOfTheIoPath(isa);
  const of: Partial<Record<TraceSetName, [name: string, filter?: string][]>> = {
    exits: [
      ['kvm_exit'],
      ...reasons.map((reason): [string, string] => [`kvm_exit:${reason}`, `exit_reason == ${reason}`]),
    ],
    notifications: [
      ['kvm_fast_mmio'],
      ['kvm_mmio'],
      ['kvm_mmio:notify', `type == 2 && ${MMIO_NOTIFY}`],
      ['kvm_mmio:short', SHORT_WRITE],
      ['kvm_pio'],
      ['kvm_pio:notify', NOTIFY_FILTER],
      ['kvm_userspace_exit'],
      ...DEVICE_EXITS.map((reason): [string, string] => [
        `kvm_userspace_exit:${reason}`,
        `reason == ${reason}`,
      ]),
    ],
    interrupts: [['kvm_inj_virq'], ['kvm_eoi'], ['kvm_pv_eoi']],
    halt_poll: [['kvm_halt_poll_ns']],
  };
  return sets
    .flatMap((set) => of[set] ?? [])
    .filter(([name]) => ifThere(() => readEventFormat(host, 'kvm', eventOf(name))) !== undefined)
    .map(([name, filter]) => ({ name, event: `kvm:${eventOf(name)}`, filter }));
}

function eventOf(name: string): string {
  return name.split(':')[0] ?? name;
}

/** Limits of perf for the enabled sets. */
export function perfLimits(sets: readonly TraceSetName[], isa: Isa): string[] {
  const without = sets.filter((set) => !PERF_SETS.has(set));
  const limits = without.length === 0 ? [] : [`perf does not count the sets ${without.join(', ')}`];
  if (sets.includes('notifications')) {
    limits.push(
      isa === 'vmx'
        ? 'perf does not count kicks by virtqueue'
        : 'perf cannot distinguish kicks from other MMIO writes: the kernel has no kvm_fast_mmio for this CPU',
    );
  }
  if (isa === 'other' && sets.includes('exits'))
    limits.push('exits by reason are not available: on this architecture kvm_exit has other fields');
  if (sets.includes('interrupts'))
    limits.push('perf does not count kvm_msi_set_irq, because other threads than vCPUs cause it');
  return limits;
}

/** perf's counts of one VM. */
export function traceFromPerf(counts: ReadonlyMap<string, number>, isa: Isa): VmTrace {
  const events = new Map([...counts].filter(([name]) => !name.includes(':')));
  const fast = counts.get('kvm_fast_mmio');
  const others = (counts.get('kvm_pio:notify') ?? 0) + (counts.get('kvm_mmio:notify') ?? 0);
  const eois = counts.get('kvm_eoi');
  return {
    events,
    exits: isa === 'other' ? undefined : exitsOf(counts),
    kicks: undefined,
    kickTotal: hasFastMmio(counts, isa) ? (fast ?? 0) + others : undefined,
    deviceExits: counts.has('kvm_userspace_exit')
      ? DEVICE_EXITS.reduce((sum, reason) => sum + (counts.get(`kvm_userspace_exit:${reason}`) ?? 0), 0)
      : undefined,
    eois: eois === undefined ? undefined : Math.max(0, eois - (counts.get('kvm_pv_eoi') ?? 0)),
    msi: [],
    exitDurations: new Map(),
    blockRequests: undefined,
    blockDurations: undefined,
    lockContentionNs: undefined,
  };
}

/**
 * Whether kicks by MMIO are kvm_fast_mmio. An Intel CPU without EPT or with kvm.mmio_caching=N has none: then more 2-byte
 * writes than exits for MMIO show that KVM took some of them itself.
 */
function hasFastMmio(counts: ReadonlyMap<string, number>, isa: Isa): boolean {
  const fast = counts.get('kvm_fast_mmio');
  if (fast === undefined || fast > 0) return fast !== undefined;
  return isa === 'vmx' && (counts.get('kvm_mmio:short') ?? 0) <= (counts.get(MMIO_EXITS) ?? 0);
}

function exitsOf(counts: ReadonlyMap<string, number>): ExitCount[] | undefined {
  const all = counts.get('kvm_exit');
  if (all === undefined) return undefined;
  const exits = [...counts]
    .filter(([name]) => name.startsWith('kvm_exit:'))
    .map(([name, count]) => ({ thread: undefined, reason: Number(name.slice('kvm_exit:'.length)), count }));
  const identified = exits.reduce((sum, { count }) => sum + count, 0);
  return [...exits, { thread: undefined, reason: undefined, count: Math.max(0, all - identified) }];
}
