// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Interrupts that are requested by MSI, interrupts that KVM injects, and their EOIs, by thread. x86. */
#include "trace.h"

enum { MSI, INJECTIONS, EOIS, PV_EOIS };

struct msi_key {
	u32 tid;
	u32 pad;
	u64 address;
	u64 data;
};

COUNTS(msi_counts, 8192, struct msi_key, u64);
COUNTS(injection_counts, 4096, u32, u64);
COUNTS(eoi_counts, 4096, u32, u64);
COUNTS(pv_eoi_counts, 4096, u32, u64);

SEC("raw_tp/kvm_msi_set_irq")
int msi(u64 *arguments)
{
	struct gate *gate = gate_of(MSI);
	u64 weight = gate ? weigh(gate, MSI) : 0;

	if (weight) {
		struct msi_key key = { thread_id(), 0, arguments[0], arguments[1] };

		add(&msi_counts, &key, gate, weight);
	}
	return 0;
}

static __always_inline int count(void *map, u32 program)
{
	struct gate *gate = gate_of(program);
	u64 weight = gate ? weigh(gate, program) : 0;

	if (weight) {
		u32 tid = thread_id();

		add(map, &tid, gate, weight);
	}
	return 0;
}

SEC("raw_tp/kvm_inj_virq")
int injections(void *arguments)
{
	return count(&injection_counts, INJECTIONS);
}

SEC("raw_tp/kvm_eoi")
int eois(void *arguments)
{
	return count(&eoi_counts, EOIS);
}

SEC("raw_tp/kvm_pv_eoi")
int pv_eois(void *arguments)
{
	return count(&pv_eoi_counts, PV_EOIS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
