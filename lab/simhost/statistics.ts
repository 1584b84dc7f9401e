/** Kind of a KVM statistic: include/linux/kvm_host.h, arch/x86/kvm/x86.c. */
export type StatisticKind = 'cumulative' | 'instant' | 'boolean' | 'peak' | 'histogram';

/** Linux 6.18, x86, in the kernel's order. */
export const VCPU_STATISTICS: readonly (readonly [string, StatisticKind])[] = [
  ['halt_successful_poll', 'cumulative'],
  ['halt_attempted_poll', 'cumulative'],
  ['halt_poll_invalid', 'cumulative'],
  ['halt_wakeup', 'cumulative'],
  ['halt_poll_success_ns', 'cumulative'],
  ['halt_poll_fail_ns', 'cumulative'],
  ['halt_wait_ns', 'cumulative'],
  ['halt_poll_success_hist', 'histogram'],
  ['halt_poll_fail_hist', 'histogram'],
  ['halt_wait_hist', 'histogram'],
  ['blocking', 'boolean'],
  ['pf_taken', 'cumulative'],
  ['pf_fixed', 'cumulative'],
  ['pf_emulate', 'cumulative'],
  ['pf_spurious', 'cumulative'],
  ['pf_fast', 'cumulative'],
  ['pf_mmio_spte_created', 'cumulative'],
  ['pf_guest', 'cumulative'],
  ['tlb_flush', 'cumulative'],
  ['invlpg', 'cumulative'],
  ['exits', 'cumulative'],
  ['io_exits', 'cumulative'],
  ['mmio_exits', 'cumulative'],
  ['signal_exits', 'cumulative'],
  ['irq_window_exits', 'cumulative'],
  ['nmi_window_exits', 'cumulative'],
  ['l1d_flush', 'cumulative'],
  ['halt_exits', 'cumulative'],
  ['request_irq_exits', 'cumulative'],
  ['irq_exits', 'cumulative'],
  ['host_state_reload', 'cumulative'],
  ['fpu_reload', 'cumulative'],
  ['insn_emulation', 'cumulative'],
  ['insn_emulation_fail', 'cumulative'],
  ['hypercalls', 'cumulative'],
  ['irq_injections', 'cumulative'],
  ['nmi_injections', 'cumulative'],
  ['req_event', 'cumulative'],
  ['nested_run', 'cumulative'],
  ['directed_yield_attempted', 'cumulative'],
  ['directed_yield_successful', 'cumulative'],
  ['preemption_reported', 'cumulative'],
  ['preemption_other', 'cumulative'],
  ['guest_mode', 'boolean'],
  ['notify_window_exits', 'cumulative'],
];

export const VM_STATISTICS: readonly (readonly [string, StatisticKind])[] = [
  ['remote_tlb_flush', 'cumulative'],
  ['remote_tlb_flush_requests', 'cumulative'],
  ['mmu_shadow_zapped', 'cumulative'],
  ['mmu_pte_write', 'cumulative'],
  ['mmu_pde_zapped', 'cumulative'],
  ['mmu_flooded', 'cumulative'],
  ['mmu_recycled', 'cumulative'],
  ['mmu_cache_miss', 'cumulative'],
  ['mmu_unsync', 'instant'],
  ['pages_4k', 'instant'],
  ['pages_2m', 'instant'],
  ['pages_1g', 'instant'],
  ['nx_lpage_splits', 'instant'],
  ['max_mmu_rmap_size', 'peak'],
  ['max_mmu_page_hash_collisions', 'peak'],
];

/** HALT_POLL_HIST_COUNT, include/linux/kvm_types.h. */
const HISTOGRAM_BUCKETS = 32;

/** Counts by power of two, as kvm_stats_log_hist_update() does: bucket 0 is 0, bucket n is [2^(n-1), 2^n). */
export class LogHistogram {
  readonly buckets = new Array<number>(HISTOGRAM_BUCKETS).fill(0);

  add(value: number, count: number): void {
    const bucket = value < 1 ? 0 : Math.floor(Math.log2(value)) + 1;
    const last = Math.min(bucket, HISTOGRAM_BUCKETS - 1);
    this.buckets[last] = (this.buckets[last] ?? 0) + count;
  }
}
