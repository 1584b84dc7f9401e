import { NSEC_PER_SEC } from '../../kernel/units.ts';
import { choice, type MetricDefinition } from './definition.ts';

/**
 * KVM's statistics under KVM's own names (include/linux/kvm_types.h, arch/<arch>/include/asm/kvm_host.h),
 * with the kind that the binary statistics declare. Statistics of newer kernels are exported generically:
 * {@link statisticMetric}.
 */
interface KvmStatistic {
  /** `cumulative` only grows; `instant` and `peak` are current values. */
  readonly kind: 'cumulative' | 'instant' | 'peak';
  readonly help: string;
}

const cumulative = (help: string) => ({ kind: 'cumulative', help }) as const;
const instant = (help: string) => ({ kind: 'instant', help }) as const;
const peak = (help: string) => ({ kind: 'peak', help }) as const;

/** Counted per vCPU. debugfs shows the sum over a VM's vCPUs; the binary statistics show each vCPU. */
const vcpuStatistics = {
  directed_yield_attempted: cumulative('Directed yields attempted after a pause or a hypercall.'),
  directed_yield_successful: cumulative('Directed yields that yielded to another vCPU.'),
  exits: cumulative('VM exits of all kinds.'),
  fpu_reload: cumulative('Loads of the guest FPU state.'),
  guest_mode: instant('vCPUs that currently run a nested guest.'),
  halt_attempted_poll: cumulative('Halts at which KVM polled before it blocked the vCPU.'),
  halt_exits: cumulative('Exits caused by HLT.'),
  halt_poll_fail_ns: cumulative('Time spent in halt polls that found no event.'),
  halt_poll_invalid: cumulative('Halt polls ended by an invalid wakeup.'),
  halt_poll_success_ns: cumulative('Time spent in halt polls that ended with an event.'),
  halt_successful_poll: cumulative('Halts that ended while KVM polled.'),
  halt_wait_ns: cumulative('Time that vCPUs were blocked in halt, without the polling time.'),
  halt_wakeup: cumulative('Wakeups of a halted vCPU.'),
  host_state_reload: cumulative('Reloads of host state.'),
  hvc_exit_stat: cumulative('Exits caused by HVC (arm64).'),
  hypercalls: cumulative('Hypercalls.'),
  insn_emulation: cumulative('Instructions emulated.'),
  insn_emulation_fail: cumulative('Instructions that could not be emulated.'),
  invlpg: cumulative('INVLPG instructions intercepted.'),
  io_exits: cumulative('Exits caused by port I/O.'),
  irq_exits: cumulative('Exits caused by a host interrupt.'),
  irq_injections: cumulative('Interrupts injected by software. Near zero with APICv or AVIC.'),
  irq_window_exits: cumulative('Exits because the guest became ready to take an interrupt.'),
  l1d_flush: cumulative('L1 data cache flushes at VM entry.'),
  mmio_exit_kernel: cumulative('MMIO exits handled in the kernel (arm64).'),
  mmio_exit_user: cumulative('MMIO exits handled in user space (arm64).'),
  mmio_exits: cumulative('MMIO exits to user space. Kicks handled by an ioeventfd are not included.'),
  nested_run: cumulative('Entries into a nested guest.'),
  nmi_injections: cumulative('NMIs injected.'),
  nmi_window_exits: cumulative('Exits because the guest became ready to take an NMI.'),
  notify_window_exits: cumulative('Exits because no event window opened in time.'),
  pf_emulate: cumulative('Page faults resolved by emulation.'),
  pf_fast: cumulative('Page faults fixed without mmu_lock.'),
  pf_fixed: cumulative('Page faults fixed by mapping a page.'),
  pf_guest: cumulative('Page faults passed to the guest.'),
  pf_mmio_spte_created: cumulative('MMIO page table entries created.'),
  pf_spurious: cumulative('Page faults that were already fixed.'),
  pf_taken: cumulative('Page faults taken by KVM.'),
  preemption_other: cumulative('vCPU preemptions that were not reported to the guest.'),
  preemption_reported: cumulative('vCPU preemptions reported to the guest.'),
  req_event: cumulative('Requests to check for pending events.'),
  request_irq_exits: cumulative('Exits to user space because user space requested an interrupt window.'),
  signal_exits: cumulative('Exits to user space caused by a signal.'),
  tlb_flush: cumulative('TLB flushes.'),
  wfe_exit_stat: cumulative('Exits caused by WFE (arm64).'),
  wfi_exit_stat: cumulative('Exits caused by WFI (arm64).'),
} as const satisfies Record<string, KvmStatistic>;

/** Counted per VM. */
const vmOnlyStatistics = {
  // Counted per vCPU, but exported only as a sum, because a query to QEMU wakes the vCPU.
  blocking: instant(
    'vCPUs that are currently blocked (waiting for an event). Read by BPF or from debugfs, because a QMP query would wake them.',
  ),
  max_mmu_page_hash_collisions: peak('Largest number of collisions seen in the MMU page hash.'),
  max_mmu_rmap_size: peak('Longest reverse map seen.'),
  mmu_cache_miss: cumulative('Shadow pages created.'),
  mmu_flooded: cumulative('Shadow pages zapped because the guest wrote to them too often.'),
  mmu_pde_zapped: cumulative('Page directory entries zapped.'),
  mmu_pte_write: cumulative('Guest writes to shadowed page tables.'),
  mmu_recycled: cumulative('Shadow pages recycled.'),
  mmu_shadow_zapped: cumulative('Shadow pages zapped.'),
  mmu_unsync: instant('Shadow pages that are currently out of sync with the guest.'),
  nx_lpage_splits: instant('Huge pages that are currently split for the iTLB multihit mitigation.'),
  pages_1g: instant('Guest pages currently mapped as 1 GiB pages.'),
  pages_2m: instant('Guest pages currently mapped as 2 MiB pages.'),
  pages_4k: instant('Guest pages currently mapped as 4 KiB pages.'),
  remote_tlb_flush: cumulative('Remote TLB flushes performed.'),
  remote_tlb_flush_requests: cumulative('Remote TLB flushes requested.'),
} as const satisfies Record<string, KvmStatistic>;

const known: Readonly<Record<string, KvmStatistic>> = { ...vcpuStatistics, ...vmOnlyStatistics };

export function isKnownStatistic(statistic: string): boolean {
  return Object.hasOwn(known, statistic);
}

/** A KVM statistic as a metric. `value / divisor` is in the metric's unit. */
export interface StatisticMetric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly divisor: number;
}

/**
 * The metric of a KVM statistic: `exits` is `kvm_vm_exits_total`, `halt_wait_ns` is
 * `kvm_vm_halt_wait_seconds_total`, `pages_4k` is the gauge `kvm_vm_pages_4k`.
 *
 * @param subject `vm` for a sum over the VM, `vcpu` for one vCPU
 * @param kindHint kind that the source declares, for a statistic that this version does not know
 */
export function statisticMetric(
  subject: 'vm' | 'vcpu',
  statistic: string,
  kindHint: KvmStatistic['kind'] = 'cumulative',
): StatisticMetric {
  const entry = isKnownStatistic(statistic) ? known[statistic] : undefined;
  const isPeak = entry === undefined && statistic.startsWith('max_');
  const isCounter = !isPeak && (entry?.kind ?? kindHint) === 'cumulative';
  const isTime = statistic.endsWith('_ns');
  const base = `kvm_${subject}_${isTime ? `${statistic.slice(0, -3)}_seconds` : statistic}`;
  return {
    name: isCounter ? `${base}_total` : base,
    type: isCounter ? 'counter' : 'gauge',
    help:
      entry?.help ?? `KVM statistic ${statistic}. This version of the exporter has no description for it.`,
    divisor: isTime ? NSEC_PER_SEC : 1,
  };
}

/** One source per scrape. Another source may take over later. */
const DERIVED = {
  vm: choice(
    "sum over vCPUs if BPF, QEMU or libvirt reports it; after a change of the source it grows by the new source's growth",
  ),
  vcpu: choice("after a change of the source it grows by the new source's growth"),
};

const SOURCES = {
  vm: 'BPF, QMP query-stats, virsh domstats, debugfs',
  vcpu: 'BPF, QMP query-stats, virsh domstats',
};

/** Catalogue entries of the statistics that are known by name. */
export function statisticDefinitions(
  subject: 'vm' | 'vcpu',
  labels: readonly string[],
): Record<string, MetricDefinition> {
  return Object.fromEntries(
    Object.keys(subject === 'vm' ? known : vcpuStatistics).map((statistic) => {
      const { name, type, help } = statisticMetric(subject, statistic);
      const definition = { type, help, labels, source: SOURCES[subject] };
      return [name, type === 'counter' ? { ...definition, derived: DERIVED[subject] } : definition];
    }),
  );
}

type Known = typeof vcpuStatistics & typeof vmOnlyStatistics;
type Base<S extends string> = S extends `${infer Stem}_ns` ? `${Stem}_seconds` : S;
type NameOf<Subject extends string, S extends keyof Known & string> = Known[S]['kind'] extends 'cumulative'
  ? `kvm_${Subject}_${Base<S>}_total`
  : `kvm_${Subject}_${Base<S>}`;
/** Metric names of all known statistics at VM level, so that a typo in a dashboard does not compile. */
export type VmStatisticMetricName = {
  [S in keyof Known & string]: NameOf<'vm', S>;
}[keyof Known & string];
/** The same for a vCPU. */
export type VcpuStatisticMetricName = {
  [S in keyof typeof vcpuStatistics]: NameOf<'vcpu', S>;
}[keyof typeof vcpuStatistics];
