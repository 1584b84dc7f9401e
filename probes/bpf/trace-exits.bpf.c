// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * VM exits by thread and reason, and the time from an exit to the next entry. A raw tracepoint costs half of what the tracepoint
 * costs, but its arguments do not have the reason: it is read from the vCPU of the vendor's module. x86.
 */
#include "trace.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kvm_vcpu_stat {
	u64 exits;
};

struct kvm_vcpu {
	struct kvm_vcpu_stat stat;
};

struct vmcb_control_area {
	u32 exit_code;
};

struct vmcb {
	struct vmcb_control_area control;
};

struct vcpu_svm {
	struct kvm_vcpu vcpu;
	struct vmcb *vmcb;
};

union vmx_exit_reason {
	u32 full;
};

/* Since Linux 6.16. */
struct vcpu_vt {
	union vmx_exit_reason exit_reason;
};

struct vcpu_vmx___vt {
	struct vcpu_vt vt;
};

/* Since Linux 5.11. */
struct vcpu_vmx {
	union vmx_exit_reason exit_reason;
};

struct vcpu_vmx___number {
	u32 exit_reason;
};

#pragma clang attribute pop

/* arch/x86/include/asm/kvm_host.h */
#define KVM_ISA_VMX 1

enum { EXITS };

struct exit_key {
	u32 tid;
	u32 reason;
};

struct exit_count {
	u64 weight;
	/* Events that the weight comes from. */
	u64 passed;
	/* All exits of the vCPU by KVM's own counter, as of the last of them. */
	u64 exits;
};

COUNTS(exit_counts, 32768, struct exit_key, struct exit_count);

/* The exit that a thread handles now, if it went on. */
struct exit {
	u32 tid;
	u32 reason;
	u64 weight;
	u64 at;
	u32 window;
	u32 pad;
};

SLOTS(exits_now, THREAD_SLOTS, struct exit);
COUNTS(exit_durations, 32768, struct duration_key, struct durations);

/* Both vendors' types may exist. If none does, the object does not load. */
static __always_inline u32 reason_of(void *vcpu, u32 isa)
{
	struct vcpu_svm *svm = vcpu;
	struct vcpu_vmx *vmx = vcpu;
	struct vcpu_vmx___vt *vt = vcpu;
	struct vcpu_vmx___number *number = vcpu;
	int is_intel = has(vmx->exit_reason) || has(vt->vt) || has(number->exit_reason);

	if (has(svm->vmcb) && (isa != KVM_ISA_VMX || !is_intel))
		return BPF_CORE_READ(svm, vmcb, control.exit_code);
	if (has(vt->vt))
		return BPF_CORE_READ(vt, vt.exit_reason.full);
	if (has(number->exit_reason))
		return BPF_CORE_READ(number, exit_reason);
	return BPF_CORE_READ(vmx, exit_reason.full);
}

static __always_inline void count_exit(struct exit_key *key, struct kvm_vcpu *vcpu, struct gate *gate, u64 weight)
{
	struct exit_count *count = bpf_map_lookup_elem(&exit_counts, key);
	struct exit_count first = { .weight = weight, .passed = 1 };
	u64 exits = 0;

	if (has(vcpu->stat.exits))
		exits = BPF_CORE_READ(vcpu, stat.exits);
	/* Only the vCPU's thread comes here, and not in an interrupt. */
	if (count) {
		count->weight += weight;
		count->passed++;
		count->exits = exits;
		return;
	}
	first.exits = exits;
	if (bpf_map_update_elem(&exit_counts, key, &first, BPF_NOEXIST))
		gate->dropped += weight;
}

static __always_inline int on_exit(u64 *arguments, int is_timed)
{
	struct gate *gate = gate_of(EXITS);
	u64 weight = gate ? weigh(gate, EXITS) : 0;
	struct exit_key key = {};
	void *vcpu;

	if (!weight)
		return 0;
	key.tid = thread_id();
	/* Since Linux 5.16 the vCPU and the vendor, before that the reason, the vCPU and the vendor. A pointer is negative. */
	if ((s64)arguments[0] < 0) {
		vcpu = (void *)arguments[0];
		key.reason = reason_of(vcpu, arguments[1]);
	} else {
		vcpu = (void *)arguments[1];
		key.reason = arguments[0];
	}
	count_exit(&key, vcpu, gate, weight);
	if (is_timed) {
		u32 slot = key.tid % THREAD_SLOTS;
		struct exit *now = bpf_map_lookup_elem(&exits_now, &slot);

		if (now)
			*now = (struct exit){ key.tid, key.reason, weight, bpf_ktime_get_ns(), control.window };
	}
	return 0;
}

SEC("raw_tp/kvm_exit")
int exits(u64 *arguments)
{
	return on_exit(arguments, 0);
}

/* Instead of `exits`, with `entries`. */
SEC("raw_tp/kvm_exit")
int timed_exits(u64 *arguments)
{
	return on_exit(arguments, 1);
}

SEC("raw_tp/kvm_entry")
int entries(void *arguments)
{
	u32 tid = thread_id(), slot = tid % THREAD_SLOTS;
	struct exit *now = bpf_map_lookup_elem(&exits_now, &slot);
	struct gate *gate = gate_of(EXITS);

	if (!now || now->tid != tid || now->window != control.window || !gate)
		return 0;
	struct duration_key key = { .tid = tid, .kind = now->reason };

	now->tid = 0;
	add_duration(&exit_durations, &key, gate, now->weight, now->at);
	return 0;
}

/* The helpers that read kernel memory are open to GPL programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
