// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A row for each VM and each vCPU of the host, found by their descriptors, whatever the VMM: KVM's own statistics. Needs the
 * types of KVM in vmlinux' BTF: Linux 5.11, KVM built in or as a module. One pass over all descriptors gives both.
 */
#include "kernel.h"
#include "rows.h"

/* include/uapi/linux/magic.h ANON_INODE_FS_MAGIC */
#define ANON_INODES 0x09041934

#define FIELD(name) u64 name;
#define ATOMIC_FIELD(name) atomic64_t name;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	s64 counter;
} atomic64_t;

struct kvm_vcpu_stat_generic {
	VCPU_STATISTICS_GENERIC(FIELD)
	u64 halt_poll_success_hist[HIST_BUCKETS];
	u64 halt_poll_fail_hist[HIST_BUCKETS];
	u64 halt_wait_hist[HIST_BUCKETS];
};

struct kvm_vcpu_stat {
	struct kvm_vcpu_stat_generic generic;
	VCPU_STATISTICS_ARCH(FIELD)
};

struct kvm_vm_stat_generic {
	VM_STATISTICS_GENERIC(FIELD)
};

struct kvm_vm_stat {
	struct kvm_vm_stat_generic generic;
	VM_STATISTICS_ARCH(FIELD)
	VM_STATISTICS_ATOMIC(ATOMIC_FIELD)
};

struct list_head {
	struct list_head *next;
};

struct kvm_arch {
	unsigned long apicv_inhibit_reasons;
	u8 vm_type;
	/* Since Linux 6.17. */
	u64 disabled_exits;
};

/* Before. */
struct kvm_arch___hlt {
	u8 hlt_in_guest;
};

struct kvm___hlt {
	struct kvm_arch___hlt arch;
};

struct kvm {
	struct mm_struct *mm;
	struct kvm_vm_stat stat;
	struct list_head ioeventfds;
	struct kvm_arch arch;
};

struct kvm_vcpu_arch {
	struct kvm_lapic *apic;
	/* x86 only. */
	u64 msr_kvm_poll_control;
};

struct kvm_vcpu {
	struct kvm *kvm;
	int vcpu_id;
	struct pid *pid;
	unsigned int halt_poll_ns;
	struct kvm_vcpu_stat stat;
	struct kvm_vcpu_arch arch;
};

/* Before Linux 6.0. */
struct kvm_vcpu_arch___apicv {
	u8 apicv_active;
};

struct kvm_vcpu___apicv {
	struct kvm_vcpu_arch___apicv arch;
};

/* Before Linux 5.14. */
struct kvm_vcpu_stat___flat {
	VCPU_STATISTICS_GENERIC(FIELD)
};

struct kvm_vcpu___flat {
	struct kvm_vcpu_stat___flat stat;
};

struct kvm_vm_stat___flat {
	VM_STATISTICS_GENERIC(FIELD)
};

struct kvm___flat {
	struct kvm_vm_stat___flat stat;
};

#ifdef MODULE_TYPES
/* arch/x86/kvm/lapic.h, since Linux 6.0 with this field. */
struct kvm_lapic {
	u8 apicv_active;
};

/* virt/kvm/eventfd.c */
struct _ioeventfd {
	struct list_head list;
	u64 addr;
	int length;
	u64 datamatch;
	u8 bus_idx;
	u8 wildcard;
};
#endif

#pragma clang attribute pop

#ifdef MODULE_TYPES
#define ENUMERATOR_KERNEL(name) APICV_INHIBIT_REASON_##name,
/* The kernel's numbers replace these when the object is loaded. DISABLE is DISABLED before Linux 6.9. */
enum kvm_apicv_inhibit {
	APICV_INHIBIT_REASONS(ENUMERATOR_KERNEL)
	APICV_INHIBIT_REASON_DISABLE,
};
#endif

/* A row is too large for the stack. One reader at a time: a descriptor has a lock, and each exporter loads its own copy. */
static struct vcpu_row vcpu_row;
static struct vm_row vm_row;

/* A statistic is 64 bits wide. Of another width, this kernel is unknown to us, and the statistic counts as missing. */
#define TAKE(row, index, field)                                                        \
	if (has(field) && bpf_core_field_size(field) == sizeof(u64)) {                 \
		(row)->present |= 1ULL << (index);                                     \
		bpf_core_read(&(row)->statistics[index], sizeof(u64), &(field));       \
	}

static __always_inline void take_apicv(struct vcpu_row *row, struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu___apicv *before = (void *)vcpu;
	struct kvm_lapic *apic = has(vcpu->arch.apic) ? BPF_CORE_READ(vcpu, arch.apic) : 0;
	u8 active;

	/* Without irqchip in the kernel there is no APIC. */
	if (!apic)
		return;
	if (has(before->arch.apicv_active))
		active = BPF_CORE_READ(before, arch.apicv_active);
#ifdef MODULE_TYPES
	else if (has(apic->apicv_active))
		active = BPF_CORE_READ(apic, apicv_active);
#endif
	else
		return;
	row->fields |= active ? VCPU_APICV | VCPU_APICV_ACTIVE : VCPU_APICV;
}

/* The bits of enum apicv_inhibit that the kernel's bits stand for. */
static __always_inline u32 apicv_inhibited(u64 reasons)
{
	u32 found = 0;
	u64 known = 0;

#ifdef MODULE_TYPES
#define TAKE_REASON(kernel, own)                                                                     \
	if (bpf_core_enum_value_exists(enum kvm_apicv_inhibit, APICV_INHIBIT_REASON_##kernel)) {     \
		u64 bit = 1ULL << bpf_core_enum_value(enum kvm_apicv_inhibit,                        \
						      APICV_INHIBIT_REASON_##kernel);                \
		known |= bit;                                                                        \
		if (reasons & bit)                                                                   \
			found |= 1U << APICV_##own;                                                  \
	}
#define TAKE_SAME(name) TAKE_REASON(name, name)
	APICV_INHIBIT_REASONS(TAKE_SAME)
	TAKE_REASON(DISABLE, DISABLED)
#endif
	return reasons & ~known ? found | 1U << APICV_OTHER : found;
}

static void write_vcpu(struct seq_file *seq, u32 tgid, struct kvm_vcpu *vcpu, struct kvm *kvm)
{
	struct kvm_vcpu___flat *flat = (void *)vcpu;
	struct vcpu_row *row = &vcpu_row;

	row->present = 0;
	row->head = (struct row_head){ .kind = ROW_VCPU, .size = sizeof(*row), .tgid = tgid };
	row->vm = (u64)kvm;
	row->vcpu_id = BPF_CORE_READ(vcpu, vcpu_id);
	row->tid = BPF_CORE_READ(vcpu, pid, numbers[0].nr);
	row->fields = 0;
	if (has(vcpu->halt_poll_ns)) {
		row->fields |= VCPU_HALT_POLL;
		row->halt_poll_ns = BPF_CORE_READ(vcpu, halt_poll_ns);
	}
	take_apicv(row, vcpu);
	/* arch/x86/kvm/x86.c kvm_arch_no_poll(): a guest that polls itself clears bit 0. */
	if (has(vcpu->arch.msr_kvm_poll_control))
		row->fields |= BPF_CORE_READ(vcpu, arch.msr_kvm_poll_control) & 1 ? VCPU_POLL_CONTROL :
										     VCPU_POLL_CONTROL | VCPU_GUEST_POLLS;
#define GENERIC(name)                                                                  \
	TAKE(row, VCPU_##name, vcpu->stat.generic.name)                                \
	else TAKE(row, VCPU_##name, flat->stat.name)
#define ARCH(name) TAKE(row, VCPU_##name, vcpu->stat.name)
	VCPU_STATISTICS_GENERIC(GENERIC)
	VCPU_STATISTICS_ARCH(ARCH)
#undef GENERIC
#undef ARCH
	if (has(vcpu->stat.generic.halt_wait_hist) &&
	    bpf_core_field_size(vcpu->stat.generic.halt_wait_hist) == sizeof(row->histograms[0])) {
		row->fields |= VCPU_HISTOGRAMS;
		bpf_core_read(&row->histograms[0], sizeof(row->histograms[0]), &vcpu->stat.generic.halt_poll_success_hist);
		bpf_core_read(&row->histograms[1], sizeof(row->histograms[1]), &vcpu->stat.generic.halt_poll_fail_hist);
		bpf_core_read(&row->histograms[2], sizeof(row->histograms[2]), &vcpu->stat.generic.halt_wait_hist);
	}
	bpf_seq_write(seq, row, sizeof(*row));
}

#ifdef MODULE_TYPES
/* include/linux/kvm_host.h enum kvm_bus */
#define KVM_PIO_BUS 1

/* Room for struct _ioeventfd, which has 64 bytes. */
#define IOEVENTFD_BYTES 128
#define IOEVENTFD_OFFSET(field) bpf_core_field_offset(struct _ioeventfd, field)

/*
 * KVM changes the list under a lock that is not taken here: an entry may be freed, so the loop ends and each read may fail. One read
 * for each entry: the verifier walks the loop to its end.
 */
static void write_ioeventfds(struct seq_file *seq, u32 tgid, struct kvm *kvm)
{
	struct list_head *head = &kvm->ioeventfds;
	struct list_head *entry = BPF_CORE_READ(head, next);
	struct ioeventfd_row row = {};
	char from[IOEVENTFD_BYTES] = {};

	row.head = (struct row_head){ .kind = ROW_IOEVENTFD, .size = sizeof(row), .tgid = tgid };
	row.vm = (u64)kvm;
	for (int i = 0; i < MAX_IOEVENTFDS && entry && entry != head; i++) {
		if (bpf_probe_read_kernel(from, bpf_core_type_size(struct _ioeventfd), (void *)entry - IOEVENTFD_OFFSET(list)))
			return;
		row.address = *(u64 *)(from + IOEVENTFD_OFFSET(addr));
		row.value = *(u64 *)(from + IOEVENTFD_OFFSET(datamatch));
		row.length = *(u32 *)(from + IOEVENTFD_OFFSET(length));
		row.flags = (from[IOEVENTFD_OFFSET(bus_idx)] == KVM_PIO_BUS) * IOEVENTFD_PORT |
			    (from[IOEVENTFD_OFFSET(wildcard)] & 1) * IOEVENTFD_ANY_VALUE;
		bpf_seq_write(seq, &row, sizeof(row));
		entry = *(struct list_head **)(from + IOEVENTFD_OFFSET(list.next));
	}
}
#endif

/* include/uapi/linux/kvm.h KVM_X86_DISABLE_EXITS_HLT */
#define DISABLE_EXITS_HLT 2

static __always_inline void take_disabled_exits(struct vm_row *row, struct kvm *kvm)
{
	struct kvm___hlt *before = (void *)kvm;
	u64 disabled;

	if (has(kvm->arch.disabled_exits))
		disabled = BPF_CORE_READ(kvm, arch.disabled_exits) & DISABLE_EXITS_HLT;
	else if (has(before->arch.hlt_in_guest))
		disabled = BPF_CORE_READ(before, arch.hlt_in_guest);
	else
		return;
	row->fields |= disabled ? VM_DISABLED_EXITS | VM_HALTS_INSIDE : VM_DISABLED_EXITS;
}

static void write_vm(struct seq_file *seq, u32 tgid, struct kvm *kvm)
{
	struct kvm___flat *flat = (void *)kvm;
	struct vm_row *row = &vm_row;

	row->present = 0;
	row->head = (struct row_head){ .kind = ROW_VM, .size = sizeof(*row), .tgid = tgid };
	row->vm = (u64)kvm;
	row->fields = 0;
	take_disabled_exits(row, kvm);
	if (has(kvm->arch.apicv_inhibit_reasons)) {
		row->fields |= VM_APICV;
		row->apicv_inhibited = apicv_inhibited(BPF_CORE_READ(kvm, arch.apicv_inhibit_reasons));
	}
#ifdef MODULE_TYPES
	if (has(kvm->ioeventfds) && bpf_core_type_exists(struct _ioeventfd)) {
		row->fields |= VM_IOEVENTFDS;
		write_ioeventfds(seq, tgid, kvm);
	}
#endif
	if (has(kvm->arch.vm_type)) {
		row->fields |= VM_TYPE;
		row->type = BPF_CORE_READ(kvm, arch.vm_type);
	}
#define GENERIC(name)                                                                  \
	TAKE(row, VM_##name, kvm->stat.generic.name)                                   \
	else TAKE(row, VM_##name, flat->stat.name)
#define ARCH(name) TAKE(row, VM_##name, kvm->stat.name)
	VM_STATISTICS_GENERIC(GENERIC)
	VM_STATISTICS_ARCH(ARCH)
	VM_STATISTICS_ATOMIC(ARCH)
#undef GENERIC
#undef ARCH
	bpf_seq_write(seq, row, sizeof(*row));
}

static __always_inline int begins(const char *name, const char *with, int length)
{
	for (int i = 0; i < length; i++)
		if (name[i] != with[i])
			return 0;
	return 1;
}

SEC("iter/task_file")
int kvm(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	char name[16] = {};

	if (!task || !file || file->f_inode->i_sb->s_magic != ANON_INODES)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	/* `kvm-vcpu:3` and `kvm-vm`, but not `kvm-vcpu-stats:3` or `kvm-vm-stats`, whose private data is another type. */
	int is_vcpu = begins(name, "kvm-vcpu:", 9);

	if (!is_vcpu && !begins(name, "kvm-vm", 7))
		return 0;
	struct kvm_vcpu *vcpu = file->private_data;
	struct kvm *kvm = is_vcpu ? BPF_CORE_READ(vcpu, kvm) : file->private_data;

	/* A child that inherited the descriptors has another mm, and KVM refuses it the VM. */
	if (BPF_CORE_READ(kvm, mm) != task->mm)
		return 0;
	if (is_vcpu)
		write_vcpu(ctx->meta->seq, task->tgid, vcpu, kvm);
	else
		write_vm(ctx->meta->seq, task->tgid, kvm);
	return 0;
}

/* The helpers that read kernel memory are open to GPL programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
