/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * KVM's statistics by their names in the kernel, of all architectures and versions. A row has them in this order;
 * kvm-rows.ts has the same list, and a test compares the two. At most 64 of each kind.
 */
#ifndef KVM_STATISTICS_H
#define KVM_STATISTICS_H

/* In struct kvm_vcpu_stat_generic since Linux 5.14, before in struct kvm_vcpu_stat. */
#define VCPU_STATISTICS_GENERIC(X) \
	X(halt_successful_poll) \
	X(halt_attempted_poll) \
	X(halt_poll_invalid) \
	X(halt_wakeup) \
	X(halt_poll_success_ns) \
	X(halt_poll_fail_ns) \
	X(halt_wait_ns) \
	X(blocking)

/* In struct kvm_vcpu_stat. */
#define VCPU_STATISTICS_ARCH(X) \
	X(pf_taken) \
	X(pf_fixed) \
	X(pf_emulate) \
	X(pf_spurious) \
	X(pf_fast) \
	X(pf_mmio_spte_created) \
	X(pf_guest) \
	X(tlb_flush) \
	X(invlpg) \
	X(exits) \
	X(io_exits) \
	X(mmio_exits) \
	X(signal_exits) \
	X(irq_window_exits) \
	X(nmi_window_exits) \
	X(l1d_flush) \
	X(halt_exits) \
	X(request_irq_exits) \
	X(irq_exits) \
	X(host_state_reload) \
	X(fpu_reload) \
	X(insn_emulation) \
	X(insn_emulation_fail) \
	X(hypercalls) \
	X(irq_injections) \
	X(nmi_injections) \
	X(req_event) \
	X(nested_run) \
	X(directed_yield_attempted) \
	X(directed_yield_successful) \
	X(preemption_reported) \
	X(preemption_other) \
	X(guest_mode) \
	X(notify_window_exits) \
	X(hvc_exit_stat) \
	X(wfe_exit_stat) \
	X(wfi_exit_stat) \
	X(mmio_exit_user) \
	X(mmio_exit_kernel)

/* In struct kvm_vm_stat_generic since Linux 5.14, before in struct kvm_vm_stat. */
#define VM_STATISTICS_GENERIC(X) \
	X(remote_tlb_flush) \
	X(remote_tlb_flush_requests)

/* In struct kvm_vm_stat. */
#define VM_STATISTICS_ARCH(X) \
	X(mmu_shadow_zapped) \
	X(mmu_pte_write) \
	X(mmu_pde_zapped) \
	X(mmu_flooded) \
	X(mmu_recycled) \
	X(mmu_cache_miss) \
	X(mmu_unsync) \
	X(nx_lpage_splits) \
	X(max_mmu_page_hash_collisions) \
	X(max_mmu_rmap_size)

/* The same, of type atomic64_t. */
#define VM_STATISTICS_ATOMIC(X) \
	X(pages_4k) \
	X(pages_2m) \
	X(pages_1g)

#define ENUMERATOR_VCPU(name) VCPU_##name,
#define ENUMERATOR_VM(name) VM_##name,
enum {
	VCPU_STATISTICS_GENERIC(ENUMERATOR_VCPU) VCPU_STATISTICS_ARCH(ENUMERATOR_VCPU)
	VCPU_STATISTICS_COUNT
};
enum {
	VM_STATISTICS_GENERIC(ENUMERATOR_VM) VM_STATISTICS_ARCH(ENUMERATOR_VM) VM_STATISTICS_ATOMIC(ENUMERATOR_VM)
	VM_STATISTICS_COUNT
};

#endif
