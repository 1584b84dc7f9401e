/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The rows that the iterators write, little-endian. probes/bpf/kvm-rows.ts parses them. */
#ifndef ROWS_H
#define ROWS_H

#include "kvm-statistics.h"

enum { ROW_VM = 1, ROW_VCPU = 2 };

/* Every row begins with this. `size` includes it. */
struct row_head {
	u32 kind;
	u32 size;
	u32 tgid;
	u32 pad;
};

#define HIST_BUCKETS 32

struct vcpu_row {
	struct row_head head;
	/* Address of the VM: distinguishes the VMs of a process. Never leaves the exporter. */
	u64 vm;
	u32 vcpu_id;
	/* Thread that ran the vCPU last, in the first pid namespace; 0 before it runs. */
	u32 tid;
	u32 halt_poll_ns;
	u32 has_histograms;
	/* Bit i is set if this kernel has the statistic i. */
	u64 present;
	u64 statistics[VCPU_STATISTICS_COUNT];
	/* halt_poll_success, halt_poll_fail, halt_wait. */
	u64 histograms[3][HIST_BUCKETS];
};

struct vm_row {
	struct row_head head;
	u64 vm;
	u64 present;
	u64 statistics[VM_STATISTICS_COUNT];
};

#endif
