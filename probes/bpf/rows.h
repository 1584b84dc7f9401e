/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The rows that the iterators write, little-endian. probes/bpf/kvm-rows.ts and thread-rows.ts parse them. */
#ifndef ROWS_H
#define ROWS_H

#include "kvm-statistics.h"

enum { ROW_VM = 1, ROW_VCPU = 2, ROW_THREAD = 3 };

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

/* A CPU mask of Linux has at most 8192 bits. */
#define MASK_WORDS 128

struct thread_row {
	struct row_head head;
	u32 tid;
	/* Bits of enum thread_field: what this kernel has. */
	u32 present;
	u32 cpu;
	u32 flags;
	u32 state;
	u32 exit_state;
	u32 policy;
	u32 prio;
	/* Nanoseconds, except the counts. */
	u64 run;
	u64 wait;
	u64 timeslices;
	u64 voluntary_switches;
	u64 involuntary_switches;
	u64 migrations;
	u64 utime;
	u64 stime;
	u64 gtime;
	u64 start;
	char comm[16];
	/* The row ends after the last word that is not 0. */
	u64 mask[MASK_WORDS];
};

enum thread_field { THREAD_SCHED_INFO = 1, THREAD_MIGRATIONS = 2 };

#endif
