/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Why KVM does not let the CPU virtualize the APICs of a VM: enum kvm_apicv_inhibit, arch/x86/include/asm/kvm_host.h. The kernel
 * changes its numbers when it adds a reason, so a row has them in this order. kvm-rows.ts has the same list.
 */
#ifndef APICV_INHIBIT_H
#define APICV_INHIBIT_H

#define APICV_INHIBIT_REASONS(X) \
	X(DISABLED) \
	X(HYPERV) \
	X(ABSENT) \
	X(BLOCKIRQ) \
	X(PHYSICAL_ID_ALIASED) \
	X(APIC_ID_MODIFIED) \
	X(APIC_BASE_MODIFIED) \
	X(NESTED) \
	X(IRQWIN) \
	X(PIT_REINJ) \
	X(SEV) \
	X(LOGICAL_ID_ALIASED) \
	X(PHYSICAL_ID_TOO_BIG) \
	X(X2APIC)

#define ENUMERATOR_APICV(name) APICV_##name,
enum apicv_inhibit {
	APICV_INHIBIT_REASONS(ENUMERATOR_APICV)
	/* A reason that is not in the list, or any reason if this kernel does not name its reasons. */
	APICV_OTHER,
};

#endif
