// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Virtqueue notifications by thread and address, port I/O, MMIO and exits to user space. */
#include "trace.h"

enum { FAST_MMIO, MMIO, PIO, USERSPACE_EXITS };

/* include/trace/events/kvm.h, include/uapi/linux/kvm.h */
#define KVM_TRACE_MMIO_WRITE 2
#define KVM_EXIT_MMIO 6
#define KVM_PIO_OUT 1

struct address_key {
	u32 tid;
	/* 1 if the access may be a notification. Otherwise the address is 0, or a guest could fill the map. */
	u32 is_notify;
	u64 address;
};

struct number_key {
	u32 tid;
	u32 number;
};

COUNTS(fast_mmio_counts, 4096, struct address_key, u64);
COUNTS(mmio_counts, 8192, struct address_key, u64);
COUNTS(mmio_in_user_space, 4096, struct address_key, u64);
COUNTS(pio_counts, 8192, struct address_key, u64);
COUNTS(userspace_exit_counts, 4096, struct number_key, u64);

/* The last MMIO write of a thread, if it went on and may be a notification. */
struct write {
	u32 tid;
	u32 window;
	u64 address;
	u64 weight;
};

SLOTS(last_writes, THREAD_SLOTS, struct write);

SEC("raw_tp/kvm_fast_mmio")
int fast_mmio(u64 *arguments)
{
	struct gate *gate = gate_of(FAST_MMIO);
	u64 weight = gate ? weigh(gate, FAST_MMIO) : 0;

	if (weight) {
		struct address_key key = { thread_id(), 1, arguments[0] };

		add(&fast_mmio_counts, &key, gate, weight);
	}
	return 0;
}

/*
 * VIRTIO 1.2: virtio-pci is notified with 16 bits (4.1.5.2), virtio-mmio with 32 bits at offset 0x50 of registers that have
 * 0x200 bytes or more (4.2.2).
 */
static __always_inline int may_notify(u32 type, u32 length, u64 address)
{
	return type == KVM_TRACE_MMIO_WRITE && (length == 2 || (length == 4 && (address & 0x1ff) == 0x50));
}

SEC("raw_tp/kvm_mmio")
int mmio(u64 *arguments)
{
	u32 tid = thread_id(), slot = tid % THREAD_SLOTS;
	struct write *last = bpf_map_lookup_elem(&last_writes, &slot);
	struct gate *gate = gate_of(MMIO);
	struct address_key key = { .tid = tid };
	u64 weight;

	if (!last || !gate)
		return 0;
	if (last->tid == tid)
		last->tid = 0;
	weight = weigh(gate, MMIO);
	if (!weight)
		return 0;
	if (may_notify(arguments[0], arguments[1], arguments[2])) {
		key.is_notify = 1;
		key.address = arguments[2];
		*last = (struct write){ tid, control.window, key.address, weight };
	}
	add(&mmio_counts, &key, gate, weight);
	return 0;
}

SEC("raw_tp/kvm_pio")
int pio(u64 *arguments)
{
	struct gate *gate = gate_of(PIO);
	u64 weight = gate ? weigh(gate, PIO) : 0;

	if (weight) {
		struct address_key key = { .tid = thread_id() };

		/* VIRTIO_PCI_QUEUE_NOTIFY of a legacy device: at offset 16 of at least 32 ports. */
		if ((u32)arguments[0] == KVM_PIO_OUT && (u32)arguments[2] == 2 && (arguments[1] & 31) == 16) {
			key.is_notify = 1;
			key.address = (u32)arguments[1];
		}
		add(&pio_counts, &key, gate, weight);
	}
	return 0;
}

SEC("raw_tp/kvm_userspace_exit")
int userspace_exits(u64 *arguments)
{
	u32 tid = thread_id(), reason = arguments[0];
	struct gate *gate = gate_of(USERSPACE_EXITS);
	struct number_key key = { tid, reason };
	u64 weight;

	if (!gate)
		return 0;
	if (reason == KVM_EXIT_MMIO) {
		u32 slot = tid % THREAD_SLOTS;
		struct write *last = bpf_map_lookup_elem(&last_writes, &slot);

		/* User space handles the write, so it was no notification that the kernel took. */
		if (last && last->tid == tid && last->window == control.window) {
			struct address_key write = { tid, 1, last->address };

			last->tid = 0;
			add(&mmio_in_user_space, &write, gate, last->weight);
		}
	}
	weight = weigh(gate, USERSPACE_EXITS);
	if (weight)
		add(&userspace_exit_counts, &key, gate, weight);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
