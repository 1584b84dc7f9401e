/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The rows that the iterators write, little-endian. probes/bpf/kvm-rows.ts and thread-rows.ts parse them. */
#ifndef ROWS_H
#define ROWS_H

#include "apicv-inhibit.h"
#include "kvm-statistics.h"

enum { ROW_VM = 1, ROW_VCPU = 2, ROW_THREAD = 3, ROW_IOEVENTFD = 4 };

/* Every row begins with this. `size` includes it. */
struct row_head {
	u32 kind;
	u32 size;
	u32 tgid;
	u32 pad;
};

#define HIST_BUCKETS 32

enum vcpu_field {
	VCPU_HISTOGRAMS = 1,
	VCPU_HALT_POLL = 2,
	/* The kernel has the vCPU's APIC. VCPU_APICV_ACTIVE says whether the CPU virtualizes it. */
	VCPU_APICV = 4,
	VCPU_APICV_ACTIVE = 8,
	/* The kernel has MSR_KVM_POLL_CONTROL. VCPU_GUEST_POLLS says that the guest has turned off the host's halt polling. */
	VCPU_POLL_CONTROL = 16,
	VCPU_GUEST_POLLS = 32,
};

struct vcpu_row {
	struct row_head head;
	/* Address of the VM: distinguishes the VMs of a process. Never leaves the exporter. */
	u64 vm;
	u32 vcpu_id;
	/* Thread that ran the vCPU last, in the first pid namespace; 0 before it runs. */
	u32 tid;
	/* The current window of halt polling. */
	u32 halt_poll_ns;
	/* Bits of enum vcpu_field: what this kernel has. */
	u32 fields;
	/* Bit i is set if this kernel has the statistic i. */
	u64 present;
	u64 statistics[VCPU_STATISTICS_COUNT];
	/* halt_poll_success, halt_poll_fail, halt_wait. */
	u64 histograms[3][HIST_BUCKETS];
};

/* Bits of vm_row.fields: what this kernel has. */
enum vm_field {
	VM_APICV = 1,
	VM_TYPE = 2,
	VM_IOEVENTFDS = 4,
	/* The kernel has which exits user space turned off. VM_HALTS_INSIDE says that HLT is one. */
	VM_DISABLED_EXITS = 8,
	VM_HALTS_INSIDE = 16,
};

struct vm_row {
	struct row_head head;
	u64 vm;
	u32 fields;
	/* arch/x86/include/uapi/asm/kvm.h KVM_X86_SEV_VM and the like. */
	u32 type;
	/* Bits of enum apicv_inhibit. */
	u32 apicv_inhibited;
	u32 pad;
	u64 present;
	u64 statistics[VM_STATISTICS_COUNT];
};

/* With more, the rows of a VM might not fit the buffer of an iterator, 32 KiB. */
#define MAX_IOEVENTFDS 512

enum ioeventfd_flag {
	/* An I/O port. Otherwise an address of the guest's memory. */
	IOEVENTFD_PORT = 1,
	/* Any value is a notification. Otherwise only `value`, the number of the queue. */
	IOEVENTFD_ANY_VALUE = 2,
};

/* Where a virtqueue is notified. Before the row of its VM. */
struct ioeventfd_row {
	struct row_head head;
	u64 vm;
	u64 address;
	u64 value;
	u32 length;
	/* Bits of enum ioeventfd_flag. */
	u32 flags;
};

/* Features of this kernel, and facts of this thread. */
enum thread_field {
	THREAD_SCHED_INFO = 1,
	/* The kernel has a previous result of cputime_adjust(), so /proc shows adjusted times. */
	THREAD_ADJUSTED = 2,
	/* The thread runs on a CPU without ticks (nohz_full), and utime, stime and gtime are behind. */
	THREAD_TIMES_BEHIND = 4,
	/* The kernel has core scheduling. The cookie itself is a pointer, which stays in the kernel. */
	THREAD_CORE_SCHED = 8,
	THREAD_CORE_COOKIE = 16,
};

/* A mask of 8192 CPUs, the most that x86 and arm64 can be built for. */
#define MASK_WORDS 128

struct thread_row {
	struct row_head head;
	u32 tid;
	/* Bits of enum thread_field. */
	u32 fields;
	u32 cpu;
	u32 policy;
	/* As in the kernel: /proc shows it less 100. */
	s32 priority;
	u32 mask_words;
	/* Times in nanoseconds. */
	u64 run;
	u64 wait;
	u64 timeslices;
	u64 voluntary_switches;
	u64 involuntary_switches;
	u64 migrations;
	u64 utime;
	u64 stime;
	u64 gtime;
	u64 previous_utime;
	u64 previous_stime;
	/* Ticks since boot, as in /proc: nanoseconds are not exact in JavaScript after 104 days. */
	u64 start;
	char comm[16];
	/* The row ends after `mask_words`. */
	u64 mask[MASK_WORDS];
};

#endif
