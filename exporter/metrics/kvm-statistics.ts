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
  directed_yield_attempted: cumulative('Directed yields tried after a pause or a hypercall.'),
  directed_yield_successful: cumulative('Directed yields that found a vCPU to run.'),
  exits: cumulative('VM exits, of every kind.'),
  fpu_reload: cumulative('Loads of the guest FPU state.'),
  guest_mode: instant('vCPUs that run a nested guest now.'),
  halt_attempted_poll: cumulative('Halts that KVM polled before it blocked.'),
  halt_exits: cumulative('Exits by HLT.'),
  halt_poll_fail_ns: cumulative('Time polled in vain before a vCPU blocked.'),
  halt_poll_invalid: cumulative('Polls ended by a wakeup that was none.'),
  halt_poll_success_ns: cumulative('Time polled until the awaited event came.'),
  halt_successful_poll: cumulative('Halts ended while KVM still polled.'),
  halt_wait_ns: cumulative('Time vCPUs were blocked in halt, polling not included.'),
  halt_wakeup: cumulative('Wakeups of a halted vCPU.'),
  host_state_reload: cumulative('Reloads of host state.'),
  hvc_exit_stat: cumulative('Exits by HVC (arm64).'),
  hypercalls: cumulative('Hypercalls.'),
  insn_emulation: cumulative('Instructions emulated.'),
  insn_emulation_fail: cumulative('Instructions that could not be emulated.'),
  invlpg: cumulative('INVLPG instructions intercepted.'),
  io_exits: cumulative('Exits by port I/O.'),
  irq_exits: cumulative('Exits by a host interrupt.'),
  irq_injections: cumulative('Interrupts injected by software; near zero with APICv or AVIC.'),
  irq_window_exits: cumulative('Exits because the guest became ready for an interrupt.'),
  l1d_flush: cumulative('L1 data cache flushes at VM entry.'),
  mmio_exit_kernel: cumulative('MMIO exits handled in the kernel (arm64).'),
  mmio_exit_user: cumulative('MMIO exits handled in user space (arm64).'),
  mmio_exits: cumulative(
    'MMIO exits that left to user space; a kick taken by an ioeventfd is not among them.',
  ),
  nested_run: cumulative('Entries into a nested guest.'),
  nmi_injections: cumulative('NMIs injected.'),
  nmi_window_exits: cumulative('Exits because the guest became ready for an NMI.'),
  notify_window_exits: cumulative('Exits because no event window opened in time.'),
  pf_emulate: cumulative('Page faults resolved by emulation.'),
  pf_fast: cumulative('Page faults fixed without mmu_lock.'),
  pf_fixed: cumulative('Page faults fixed by mapping a page.'),
  pf_guest: cumulative('Page faults passed to the guest.'),
  pf_mmio_spte_created: cumulative('MMIO page table entries made.'),
  pf_spurious: cumulative('Page faults that were already fixed.'),
  pf_taken: cumulative('Page faults taken by KVM.'),
  preemption_other: cumulative('Preemptions at which the guest could not be told.'),
  preemption_reported: cumulative('Preemptions told to the guest.'),
  req_event: cumulative('Checks for pending events requested.'),
  request_irq_exits: cumulative('Exits to user space because it asked for an interrupt window.'),
  signal_exits: cumulative('Exits to user space by a signal.'),
  tlb_flush: cumulative('TLB flushes.'),
  wfe_exit_stat: cumulative('Exits by WFE (arm64).'),
  wfi_exit_stat: cumulative('Exits by WFI (arm64).'),
} as const satisfies Record<string, KvmStatistic>;

/** Counted per VM. */
const vmOnlyStatistics = {
  // Counted per vCPU, but exported only as debugfs' sum, because a query to QEMU wakes the vCPU.
  blocking: instant(
    'vCPUs that block (wait for an event) now; from debugfs, as asking QEMU would wake them.',
  ),
  max_mmu_page_hash_collisions: peak('Most collisions seen in the MMU page hash.'),
  max_mmu_rmap_size: peak('Longest reverse map seen.'),
  mmu_cache_miss: cumulative('Shadow pages made.'),
  mmu_flooded: cumulative('Shadow pages zapped because the guest wrote to them too often.'),
  mmu_pde_zapped: cumulative('Page directory entries zapped.'),
  mmu_pte_write: cumulative('Guest writes to shadowed page tables.'),
  mmu_recycled: cumulative('Shadow pages recycled.'),
  mmu_shadow_zapped: cumulative('Shadow pages zapped.'),
  mmu_unsync: instant('Shadow pages out of step with the guest now.'),
  nx_lpage_splits: instant('Huge pages split now for the iTLB multihit mitigation.'),
  pages_1g: instant('Guest pages mapped as 1 GiB now.'),
  pages_2m: instant('Guest pages mapped as 2 MiB now.'),
  pages_4k: instant('Guest pages mapped as 4 KiB now.'),
  remote_tlb_flush: cumulative('TLB flushes on other CPUs done.'),
  remote_tlb_flush_requests: cumulative('TLB flushes on other CPUs asked for.'),
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

const NANOSECONDS = 1e9;

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
  const guess = statistic.startsWith('max_') ? 'peak' : kindHint;
  const isCounter = (entry?.kind ?? guess) === 'cumulative';
  const isTime = statistic.endsWith('_ns');
  const base = `kvm_${subject}_${isTime ? `${statistic.slice(0, -3)}_seconds` : statistic}`;
  return {
    name: isCounter ? `${base}_total` : base,
    type: isCounter ? 'counter' : 'gauge',
    help: entry?.help ?? `KVM statistic ${statistic}, which this version of the exporter does not know.`,
    divisor: isTime ? NANOSECONDS : 1,
  };
}

/** One source per scrape. Another source may take over later. */
const DERIVED = {
  vm: choice(
    'sum over vCPUs where QEMU or libvirt tells; goes on by its growth where another source takes over',
  ),
  vcpu: choice('goes on by its growth where another source takes over'),
};

const SOURCES = { vm: 'QMP query-stats, virsh domstats, debugfs', vcpu: 'QMP query-stats, virsh domstats' };

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
