// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Block requests by thread and device, and the time from issue to completion of each. */
#include "trace.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct gendisk {
	int major;
	int first_minor;
};

struct request_queue {
	struct gendisk *disk;
};

struct request {
	struct request_queue *q;
};

/* Before Linux 5.17. */
struct request___disk {
	struct gendisk *rq_disk;
};

#pragma clang attribute pop

enum { ISSUES };

struct issue_key {
	u32 tid;
	/* As the kernel encodes it: 20 bits of minor number. */
	u32 device;
};

COUNTS(issue_counts, 8192, struct issue_key, u64);
COUNTS(block_durations, 8192, struct duration_key, struct durations);

/* A request that is in progress, if it went on. Two requests with the same slot displace each other. */
struct issue {
	u64 request;
	u64 weight;
	u64 at;
	u32 tid;
	u32 window;
};

#define REQUEST_SLOTS 16384

SLOTS(issues_now, REQUEST_SLOTS, struct issue);

static __always_inline u32 slot_of(u64 request)
{
	/* Requests of a queue are some hundred bytes apart. */
	return ((request >> 6) ^ (request >> 20)) % REQUEST_SLOTS;
}

static __always_inline u32 device_of(struct request *request)
{
	struct request___disk *old = (void *)request;
	struct gendisk *disk;

	if (has(old->rq_disk))
		disk = BPF_CORE_READ(old, rq_disk);
	else
		disk = BPF_CORE_READ(request, q, disk);
	return disk ? (u32)BPF_CORE_READ(disk, major) << 20 | (u32)BPF_CORE_READ(disk, first_minor) : 0;
}

static __always_inline int on_issue(u64 *arguments, int is_timed)
{
	struct gate *gate = gate_of(ISSUES);
	u64 weight = gate ? weigh(gate, ISSUES) : 0;

	if (!weight)
		return 0;
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct issue_key key = { task->pid, device_of((void *)arguments[0]) };

	add(&issue_counts, &key, gate, weight);
	if (is_timed) {
		u32 slot = slot_of(arguments[0]);
		struct issue *now = bpf_map_lookup_elem(&issues_now, &slot);

		if (now)
			*now = (struct issue){ arguments[0], weight, bpf_ktime_get_ns(), key.tid, control.window };
	}
	return 0;
}

/* Since Linux 5.11 the request is the only argument. on_issue() has a helper that is as new, so older kernels refuse the object. */
SEC("raw_tp/block_rq_issue")
int issues(u64 *arguments)
{
	return on_issue(arguments, 0);
}

/* Instead of `issues`, with `completions`. */
SEC("raw_tp/block_rq_issue")
int timed_issues(u64 *arguments)
{
	return on_issue(arguments, 1);
}

SEC("raw_tp/block_rq_complete")
int completions(u64 *arguments)
{
	u32 slot = slot_of(arguments[0]);
	struct issue *now = bpf_map_lookup_elem(&issues_now, &slot);
	struct gate *gate = gate_of(ISSUES);

	if (!now || now->request != arguments[0] || now->window != control.window || !gate)
		return 0;
	struct duration_key key = { .tid = now->tid };

	now->request = 0;
	add_duration(&block_durations, &key, gate, now->weight, now->at);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
