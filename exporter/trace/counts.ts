import { addTo, append } from '../../kernel/maps.ts';
import { ARM_RET, ARM_TRAP, DEVICE_EXITS, type Isa, reasonNumber } from '../model/io-path.ts';
import {
  type DurationCount,
  type ExitCount,
  isDuration,
  type KickCount,
  kicksOf,
  type MsiCount,
  type VmTrace,
} from '../model/vm-trace.ts';
import type { Tallies } from './tallies.ts';
import type { Tallied } from './tally.ts';
import type { TallyName } from './trigger.ts';

/**
 * The tracepoint that each tally counts in full. A tracepoint must not be listed twice: its events would
 * count twice.
 */
const EVENTS: readonly (readonly [TallyName, string])[] = [
  ['exits', 'kvm_exit'],
  ['fastMmio', 'kvm_fast_mmio'],
  ['mmio', 'kvm_mmio'],
  ['pio', 'kvm_pio'],
  ['userspaceExits', 'kvm_userspace_exit'],
  ['msi', 'kvm_msi_set_irq'],
  ['injections', 'kvm_inj_virq'],
  ['eois', 'kvm_eoi'],
  ['pvEois', 'kvm_pv_eoi'],
  ['haltPoll', 'kvm_halt_poll_ns'],
  ['migrations', 'sched_migrate_task'],
  ['switches', 'sched_switch'],
  ['blockRequests', 'block_rq_issue'],
  ['blockDurations', 'block_rq_complete'],
  ['lockContention', 'contention_end'],
];

/** The hist triggers' counts of one VM. */
export function traceOf(tallies: Tallies, vm: string, isa: Isa): VmTrace {
  const rows = (name: TallyName): Tallied[] => [...(tallies.get(name)?.of(vm) ?? [])];
  const has = (name: TallyName): boolean => tallies.get(name) !== undefined;
  const events = new Map<string, number>();
  for (const [name, event] of EVENTS) if (has(name)) events.set(event, hitsOf(rows(name)));
  const hasKicks = isa !== 'other' && (has('fastMmio') || has('mmioWrites'));
  const kicks = hasKicks ? kicksOf(notifyWrites(rows)) : undefined;
  const pvEois = hitsOf(rows('pvEois'));
  return {
    events,
    exits: isa !== 'other' && has('exits') ? exitsOf(rows('exits'), isa) : undefined,
    kicks,
    kickTotal: kicks?.reduce((sum, { count }) => sum + count, 0),
    deviceExits: has('userspaceExits')
      ? hitsOf(rows('userspaceExits').filter(({ rest }) => DEVICE_EXITS.includes(rest[0] ?? 0)))
      : undefined,
    // KVM learns of a paravirtual EOI from shared memory, without an exit, and traces it as kvm_eoi and
    // kvm_pv_eoi.
    eois: has('eois') ? Math.max(0, hitsOf(rows('eois')) - pvEois) : undefined,
    msi: msiOf(rows('msi')),
    exitDurations: byReason(rows('exitDurations'), isa),
    blockRequests: has('blockRequests') ? byDevice(rows('blockRequests')) : undefined,
    blockDurations: has('blockDurations')
      ? rows('blockDurations').map(({ rest, count }) => duration(rest[0], count))
      : undefined,
    lockContentionNs: has('lockContention')
      ? rows('lockContention')
          .map(({ rest, count }) => duration(rest[0], count))
          .filter(isDuration)
          .reduce((sum, { sumNs }) => sum + sumNs, 0)
      : undefined,
  };
}

function hitsOf(rows: readonly Tallied[]): number {
  return rows.reduce((sum, { count }) => sum + count.hits, 0);
}

function exitsOf(rows: readonly Tallied[], isa: Isa): ExitCount[] {
  return rows.map(({ thread, rest, count }) => ({
    thread,
    reason: reasonOf(isa, rest),
    count: count.hits,
  }));
}

/** arm64 has two fields: the kind of the exit, and the class of a trap. */
function reasonOf(isa: Isa, [first = 0, second = 0]: readonly number[]): number {
  return isa === 'arm64' ? first * ARM_RET + second : reasonNumber(isa, first);
}

function notifyWrites(rows: (name: TallyName) => readonly Tallied[]): KickCount[] {
  const inUserSpace = new Map(
    rows('mmioInUserSpace').map(({ thread, rest, count }) => [`${thread} ${rest[0]}`, count.hits]),
  );
  const writes = [
    ...rows('fastMmio').map((row) => write('kvm_fast_mmio', row, 0)),
    ...rows('mmioWrites').map((row) =>
      write('kvm_mmio', row, inUserSpace.get(`${row.thread} ${row.rest[0]}`) ?? 0),
    ),
    ...rows('pioWrites').map((row) => write('kvm_pio', row, 0)),
  ];
  // 0 remains for an address that only user space serves, such as a device's configuration: not a virtqueue.
  return writes.filter(({ count }) => count > 0);
}

function write(
  event: KickCount['event'],
  { thread, rest, count }: Tallied,
  handledInUserSpace: number,
): KickCount {
  return { event, thread, address: rest[0] ?? 0, count: Math.max(0, count.hits - handledInUserSpace) };
}

/**
 * arch/x86/include/asm/msi.h: bits 12 to 19 of the address hold the destination; the high half holds the
 * upper bits of an x2APIC ID.
 */
function msiOf(rows: readonly Tallied[]): MsiCount[] {
  return rows.map(({ rest: [address = 0, data = 0], count }) => ({
    vector: data % 0x100,
    destination: (Math.floor(address / 0x1000) % 0x100) + Math.floor(address / 2 ** 40) * 0x100,
    count: count.hits,
  }));
}

function byReason(rows: readonly Tallied[], isa: Isa): Map<number, DurationCount[]> {
  const reasons = new Map<number, DurationCount[]>();
  for (const { rest, count } of rows) {
    const [raw = 0, exponent] = rest;
    // On arm64 only the class is recorded. It is 0 for an exit that is not a trap.
    const reason = isa === 'arm64' ? (raw === 0 ? 0 : ARM_TRAP * ARM_RET + raw) : reasonNumber(isa, raw);
    append(reasons, reason, duration(exponent, count));
  }
  return reasons;
}

function byDevice(rows: readonly Tallied[]): Map<number, number> {
  const devices = new Map<number, number>();
  for (const { rest, count } of rows) addTo(devices, rest[0] ?? 0, count.hits);
  return devices;
}

function duration(exponent: number | undefined, { hits, sum }: Tallied['count']): DurationCount {
  return { exponent: exponent ?? 0, count: hits, sumNs: sum };
}
