import { NSEC_PER_TICK } from '../../../kernel/units.ts';
import { LogHistogram, VCPU_STATISTICS } from '../statistics.ts';
import type { SimThread } from '../thread.ts';
import type { SimVcpu } from '../vcpu.ts';
import type { SimVm } from '../vm.ts';
import { vmStatistic } from './debugfs.ts';
import type { HostFacts } from './facts.ts';

/** The kinds of probes/bpf/rows.h. */
const [ROW_VM, ROW_VCPU, ROW_THREAD] = [1, 2, 3];
const PRIORITY = 120;
/** enum thread_field: THREAD_SCHED_INFO. */
const HAS_WAIT = 1;
/** enum vm_field: VM_APICV. */
const HAS_INHIBITED = 1;
/** Bits of enum apicv_inhibit: the module parameter enable_apicv is N, or the guest changed the id of an APIC. */
const [DISABLED, APIC_ID_MODIFIED] = [1, 32];
/** enum vcpu_field: VCPU_HISTOGRAMS and VCPU_APICV, without VCPU_APICV_ACTIVE. */
const HAS_HISTOGRAMS_AND_APIC = 1 + 4;
/** The statistics of arm64, which follow those of x86. */
const ARM64_STATISTICS = 5;

/** The order of probes/bpf/kvm-statistics.h. */
const OF_VCPU = VCPU_STATISTICS.filter(([, kind]) => kind !== 'histogram').map(([name]) => name);
const OF_VM = [
  ...[
    'remote_tlb_flush',
    'remote_tlb_flush_requests',
    'mmu_shadow_zapped',
    'mmu_pte_write',
    'mmu_pde_zapped',
  ],
  ...['mmu_flooded', 'mmu_recycled', 'mmu_cache_miss', 'mmu_unsync', 'nx_lpage_splits'],
  ...['max_mmu_page_hash_collisions', 'max_mmu_rmap_size', 'pages_4k', 'pages_2m', 'pages_1g'],
];
const HISTOGRAMS = ['halt_poll_success_hist', 'halt_poll_fail_hist', 'halt_wait_hist'];
const NONE = new LogHistogram();

/** The output of the iterator in probes/bpf/threads.bpf.c, as latin1. */
export function threadRows(vms: readonly SimVm[], facts: HostFacts): string {
  return vms.flatMap((vm) => vm.threads.map((thread) => threadRow(thread, vm.pid, facts))).join('');
}

/** The output of the iterator in probes/bpf/kvm.bpf.c, as latin1. */
export function kvmRows(vms: readonly SimVm[]): string {
  return vms.flatMap((vm) => [vmRow(vm), ...vm.vcpus.map((vcpu) => vcpuRow(vcpu, vm))]).join('');
}

function threadRow(thread: SimThread, pid: number, facts: HostFacts): string {
  const words = Math.ceil(facts.allCpus.length / 64);
  const mask = new Array<bigint>(words).fill(0n);
  for (const cpu of thread.allowed) mask[cpu >> 6] = (mask[cpu >> 6] ?? 0n) | (1n << BigInt(cpu & 63));
  const name = thread.spec.comm.slice(0, 15).padEnd(16, '\0');
  return row(ROW_THREAD, pid, [
    u32(thread.tid, HAS_WAIT, thread.cpu, 0, PRIORITY, words),
    u64(thread.runNs, thread.wait.value, thread.switches),
    u64(thread.voluntary.value, thread.involuntary.value, thread.migrations.value),
    u64(thread.user.value, thread.system.value, thread.guestTicks * NSEC_PER_TICK, 0, 0, thread.startTicks),
    name,
    u64(...mask),
  ]);
}

function vmRow(vm: SimVm): string {
  const inhibited = vm.spec.apicv !== true ? DISABLED : vm.hasApicv ? 0 : APIC_ID_MODIFIED;
  return row(ROW_VM, vm.pid, [
    u64(vm.pid),
    u32(HAS_INHIBITED, 0, inhibited, 0),
    u64(all(OF_VM.length), ...OF_VM.map((name) => vmStatistic(vm, name))),
  ]);
}

function vcpuRow(vcpu: SimVcpu, vm: SimVm): string {
  const buckets = HISTOGRAMS.flatMap((name) => (vcpu.histograms[name] ?? NONE).buckets);
  return row(ROW_VCPU, vm.pid, [
    u64(vm.pid),
    u32(vcpu.index, vcpu.thread.tid, 0, HAS_HISTOGRAMS_AND_APIC),
    u64(all(OF_VCPU.length), ...OF_VCPU.map((name) => vcpu.statistic(name))),
    u64(...new Array<number>(ARM64_STATISTICS).fill(0), ...buckets),
  ]);
}

/** `struct row_head`, and the rest of the row. */
function row(kind: number, pid: number, rest: readonly string[]): string {
  const body = rest.join('');
  return u32(kind, 16 + body.length, pid, 0) + body;
}

/** A mask with a bit set for each of this many statistics. */
function all(count: number): bigint {
  return (1n << BigInt(count)) - 1n;
}

function u32(...values: readonly number[]): string {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, 4 * i);
  return bytes.toString('latin1');
}

function u64(...values: readonly (number | bigint)[]): string {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), 8 * i);
  return bytes.toString('latin1');
}
