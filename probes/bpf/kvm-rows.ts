import { append, getOrInsert } from '../../kernel/maps.ts';
import { malformed, SourceError } from '../errors.ts';
import { Row, rowsIn } from './rows.ts';

/** The order of the statistics in a row: probes/bpf/kvm-statistics.h. */
export const VCPU_STATISTICS = [
  'halt_successful_poll',
  'halt_attempted_poll',
  'halt_poll_invalid',
  'halt_wakeup',
  'halt_poll_success_ns',
  'halt_poll_fail_ns',
  'halt_wait_ns',
  'blocking',
  'pf_taken',
  'pf_fixed',
  'pf_emulate',
  'pf_spurious',
  'pf_fast',
  'pf_mmio_spte_created',
  'pf_guest',
  'tlb_flush',
  'invlpg',
  'exits',
  'io_exits',
  'mmio_exits',
  'signal_exits',
  'irq_window_exits',
  'nmi_window_exits',
  'l1d_flush',
  'halt_exits',
  'request_irq_exits',
  'irq_exits',
  'host_state_reload',
  'fpu_reload',
  'insn_emulation',
  'insn_emulation_fail',
  'hypercalls',
  'irq_injections',
  'nmi_injections',
  'req_event',
  'nested_run',
  'directed_yield_attempted',
  'directed_yield_successful',
  'preemption_reported',
  'preemption_other',
  'guest_mode',
  'notify_window_exits',
  'hvc_exit_stat',
  'wfe_exit_stat',
  'wfi_exit_stat',
  'mmio_exit_user',
  'mmio_exit_kernel',
] as const;

export const VM_STATISTICS = [
  'remote_tlb_flush',
  'remote_tlb_flush_requests',
  'mmu_shadow_zapped',
  'mmu_pte_write',
  'mmu_pde_zapped',
  'mmu_flooded',
  'mmu_recycled',
  'mmu_cache_miss',
  'mmu_unsync',
  'nx_lpage_splits',
  'max_mmu_page_hash_collisions',
  'max_mmu_rmap_size',
  'pages_4k',
  'pages_2m',
  'pages_1g',
] as const;

/**
 * Why KVM does not let the CPU virtualize a VM's APICs, in the order of probes/bpf/apicv-inhibit.h. `other` is a reason that is
 * not in this list, or any reason if the kernel does not name its reasons.
 *
 * @see arch/x86/include/asm/kvm_host.h enum kvm_apicv_inhibit
 */
export const APICV_INHIBIT_REASONS = [
  'disabled',
  'hyperv',
  'absent',
  'blockirq',
  'physical_id_aliased',
  'apic_id_modified',
  'apic_base_modified',
  'nested',
  'irqwin',
  'pit_reinj',
  'sev',
  'logical_id_aliased',
  'physical_id_too_big',
  'x2apic',
  'other',
] as const;

export type ApicvInhibitReason = (typeof APICV_INHIBIT_REASONS)[number];

/** Confidential types of VMs by their number: arch/x86/include/uapi/asm/kvm.h KVM_X86_SEV_VM and the following. */
const CONFIDENTIAL: Readonly<Record<number, string>> = { 2: 'sev', 3: 'sev_es', 4: 'sev_snp', 5: 'tdx' };

/** The order of the histograms in a row: probes/bpf/kvm-statistics.h. */
export const HALT_HISTOGRAMS = ['halt_poll_success_hist', 'halt_poll_fail_hist', 'halt_wait_hist'] as const;
/** Buckets of each histogram. */
export const BUCKETS = 32;

/** One VM or vCPU of the host. A process may have several VMs. */
interface KvmRow {
  readonly pid: number;
  /** Distinguishes the VMs of a process. It derives from a kernel address and never leaves the exporter. */
  readonly vm: number;
}

/** An address of the guest's memory, or a port, where the guest notifies virtqueues. */
export interface NotifyAddress {
  readonly address: number;
  readonly isPort: boolean;
  /** Queues that share it; the guest writes another value for each. */
  readonly queues: number;
}

export interface VmRow extends KvmRow {
  /** KVM's statistics by name, without those that this kernel lacks. Decoded at each access: a search for VMs needs none. */
  readonly statistics: ReadonlyMap<string, number>;
  /** Whether the kernel described the types of the module kvm when the program was loaded. */
  readonly hasModuleTypes: boolean;
  /** Ascending addresses, then ports; undefined if this kernel does not have them, or if there are too many. */
  readonly notifyAddresses: readonly NotifyAddress[] | undefined;
  /** undefined if this kernel does not have it. */
  readonly apicvInhibited: readonly ApicvInhibitReason[] | undefined;
  /** `sev`, `sev_es`, `sev_snp` or `tdx`; undefined for another type, or before Linux 6.8. */
  readonly confidential: string | undefined;
  /** Whether the guest halts without an exit (KVM_CAP_X86_DISABLE_EXITS); undefined if this kernel does not have it. */
  readonly haltsInside: boolean | undefined;
}

export interface VcpuRow extends KvmRow {
  readonly id: number;
  /** The thread that ran the vCPU last; 0 if none did. */
  readonly tid: number;
  /** The current window of halt polling; undefined if this kernel has none. */
  readonly haltPollNs: number | undefined;
  /** Whether the CPU virtualizes its APIC; undefined if unknown, or without an APIC in the kernel. */
  readonly isApicvActive: boolean | undefined;
  /** Whether the guest turned off the host's halt polling, because it polls itself; undefined if this kernel does not have it. */
  readonly guestPolls: boolean | undefined;
  /**
   * Adds KVM's statistics to `values` from `at`, in the order of {@link VCPU_STATISTICS}. One that this kernel lacks adds nothing;
   * the first of one replaces NaN.
   */
  addStatistics(values: Float64Array, at: number): void;
  /** Adds the counts of {@link HALT_HISTOGRAMS} by log2 bucket in KVM's order. Returns false if this kernel has none. */
  addHistograms(counts: readonly Float64Array[]): boolean;
}

export interface KvmRows {
  readonly vms: readonly VmRow[];
  readonly vcpus: readonly VcpuRow[];
}

// probes/bpf/rows.h
const ROW_VM = 1;
const ROW_VCPU = 2;
const ROW_IOEVENTFD = 4;
const MAX_IOEVENTFDS = 512;
const VM = 16;
const VM_FIELDS = 24;
const VM_TYPE = 28;
const VM_APICV_INHIBITED = 32;
const VM_PRESENT = 40;
const VM_VALUES = 48;
const VM_SIZE = VM_VALUES + 8 * VM_STATISTICS.length;
const VCPU_ID = 24;
const VCPU_TID = 28;
const VCPU_HALT_POLL_NS = 32;
const VCPU_FIELDS = 36;
const VCPU_PRESENT = 40;
const VCPU_VALUES = 48;
const VCPU_HISTOGRAMS = VCPU_VALUES + 8 * VCPU_STATISTICS.length;
// enum vcpu_field
const FIELD_HISTOGRAMS = 1;
const FIELD_HALT_POLL = 2;
const FIELD_APICV = 4;
const FIELD_APICV_ACTIVE = 8;
const FIELD_POLL_CONTROL = 16;
const FIELD_GUEST_POLLS = 32;
// enum vm_field
const FIELD_APICV_INHIBITED = 1;
const FIELD_TYPE = 2;
const FIELD_IOEVENTFDS = 4;
const FIELD_DISABLED_EXITS = 8;
const FIELD_HALTS_INSIDE = 16;
const IOEVENTFD_ADDRESS = 24;
const IOEVENTFD_VALUE = 32;
const IOEVENTFD_FLAGS = 44;
const IOEVENTFD_SIZE = 48;
// enum ioeventfd_flag
const FLAG_PORT = 1;
const FLAG_ANY_VALUE = 2;
const VCPU_SIZE = VCPU_HISTOGRAMS + 8 * BUCKETS * HALT_HISTOGRAMS.length;

/**
 * Parses the rows of probes/bpf/kvm.bpf.c. Several descriptors of a vCPU (dup, threads with their own table) give several rows of
 * it, of which the first counts.
 *
 * @param bytes kept by the result
 * @throws SourceError malformed
 */
export function parseKvmRows(bytes: Buffer, format: string): KvmRows {
  const vms = new Map<string, VmRow>();
  const ioeventfds = new Map<string, Ioeventfd[]>();
  const vcpus = new Map<string, VcpuRow>();
  for (const row of rowsIn(bytes, format, (of, at, size) => new Row(of, at, size))) {
    const key = `${row.pid} ${vmOf(row)}`;
    if (row.kind === ROW_VM) {
      checkSize(row, VM_SIZE, format);
      if (!vms.has(key)) vms.set(key, vmRow(row, ioeventfds.get(key) ?? []));
    } else if (row.kind === ROW_IOEVENTFD) {
      checkSize(row, IOEVENTFD_SIZE, format);
      if (!vms.has(key)) append(ioeventfds, key, ioeventfd(row));
    } else if (row.kind === ROW_VCPU) {
      checkSize(row, VCPU_SIZE, format);
      const vcpu = `${key} ${row.u32(VCPU_ID)}`;
      if (!vcpus.has(vcpu)) vcpus.set(vcpu, vcpuRow(row));
    } else throw new SourceError('malformed', format, `unknown kind of row ${row.kind}`);
  }
  return { vms: [...vms.values()], vcpus: [...vcpus.values()] };
}

function checkSize({ size }: Row, wanted: number, format: string): void {
  if (size !== wanted) throw malformed(format, `a row of ${size} bytes, not ${wanted}`);
}

function vmRow(row: Row, ioeventfds: readonly Ioeventfd[]): VmRow {
  const fields = row.u32(VM_FIELDS);
  const inhibited = row.u32(VM_APICV_INHIBITED);
  return {
    pid: row.pid,
    vm: vmOf(row),
    hasModuleTypes: (fields & FIELD_IOEVENTFDS) !== 0,
    get statistics() {
      return vmStatistics(row);
    },
    notifyAddresses:
      (fields & FIELD_IOEVENTFDS) === 0 || ioeventfds.length >= MAX_IOEVENTFDS
        ? undefined
        : notifyAddresses(ioeventfds),
    apicvInhibited:
      (fields & FIELD_APICV_INHIBITED) === 0
        ? undefined
        : APICV_INHIBIT_REASONS.filter((_, bit) => ((inhibited >>> bit) & 1) === 1),
    confidential: (fields & FIELD_TYPE) === 0 ? undefined : CONFIDENTIAL[row.u32(VM_TYPE)],
    haltsInside: flagOf(fields, FIELD_DISABLED_EXITS, FIELD_HALTS_INSIDE),
  };
}

interface Ioeventfd {
  readonly address: number;
  readonly isPort: boolean;
  /** undefined: any value. */
  readonly value: number | undefined;
}

function ioeventfd(row: Row): Ioeventfd {
  const flags = row.u32(IOEVENTFD_FLAGS);
  return {
    address: row.u64(IOEVENTFD_ADDRESS),
    isPort: (flags & FLAG_PORT) !== 0,
    value: (flags & FLAG_ANY_VALUE) === 0 ? row.u64(IOEVENTFD_VALUE) : undefined,
  };
}

/** KVM has an address of memory twice if its notifications may take the fast path. */
function notifyAddresses(all: readonly Ioeventfd[]): NotifyAddress[] {
  const values = new Map<string, { first: Ioeventfd; values: Set<number | undefined> }>();
  for (const first of all) {
    const own = getOrInsert(values, `${first.isPort} ${first.address}`, () => ({ first, values: new Set() }));
    own.values.add(first.value);
  }
  return [...values.values()]
    .map(({ first: { address, isPort }, values: { size } }) => ({ address, isPort, queues: size }))
    .sort((a, b) => Number(a.isPort) - Number(b.isPort) || a.address - b.address);
}

function vcpuRow(row: Row): VcpuRow {
  const fields = row.u32(VCPU_FIELDS);
  return {
    pid: row.pid,
    vm: vmOf(row),
    id: row.u32(VCPU_ID),
    tid: row.u32(VCPU_TID),
    haltPollNs: (fields & FIELD_HALT_POLL) === 0 ? undefined : row.u32(VCPU_HALT_POLL_NS),
    isApicvActive: flagOf(fields, FIELD_APICV, FIELD_APICV_ACTIVE),
    guestPolls: flagOf(fields, FIELD_POLL_CONTROL, FIELD_GUEST_POLLS),
    addStatistics: (values, at) => addVcpuStatistics(row, values, at),
    addHistograms: (counts) => (fields & FIELD_HISTOGRAMS) !== 0 && addHistograms(row, counts),
  };
}

/** @param known the bit that says whether the kernel has the flag */
function flagOf(fields: number, known: number, flag: number): boolean | undefined {
  return (fields & known) === 0 ? undefined : (fields & flag) !== 0;
}

/** The low 53 bits of the address: the others are the same for all of the kernel's memory. */
function vmOf(row: Row): number {
  if (row.size < VM + 8) return 0;
  return row.u32(VM) + (row.u32(VM + 4) & 0x1f_ffff) * 2 ** 32;
}

function vmStatistics(row: Row): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  VM_STATISTICS.forEach((name, i) => {
    if (row.bit(VM_PRESENT, i)) found.set(name, row.u64(VM_VALUES + 8 * i));
  });
  return found;
}

function addVcpuStatistics(row: Row, values: Float64Array, at: number): void {
  for (let i = 0; i < VCPU_STATISTICS.length; i++) {
    if (!row.bit(VCPU_PRESENT, i)) continue;
    const before = values[at + i] ?? Number.NaN;
    const value = row.u64(VCPU_VALUES + 8 * i);
    values[at + i] = Number.isNaN(before) ? value : before + value;
  }
}

function addHistograms(row: Row, counts: readonly Float64Array[]): true {
  let at = VCPU_HISTOGRAMS;
  for (const own of counts) {
    for (let i = 0; i < BUCKETS; i++, at += 8) own[i] = (own[i] ?? 0) + row.u64(at);
  }
  return true;
}
