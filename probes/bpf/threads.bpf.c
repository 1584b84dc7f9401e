// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A row for each thread of the processes in a map: what stat, schedstat, status and sched of /proc give in four files. The rows
 * of other processes are left out here, because a host may have 20,000 tasks that belong to no VM. Linux 5.8.
 */
#include "kernel.h"
#include "rows.h"

/* Of 1/100 s, as in /proc. */
#define NSEC_PER_TICK 10000000

/* Process ids, in the first pid namespace, and how many words of its threads' masks to write: those of CPUs that can exist. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u32);
} processes SEC(".maps");

/* Too large for the stack. One reader at a time: a descriptor has a lock, and each exporter loads its own copy. */
static struct thread_row row;

static void take_times(struct task_struct *task)
{
	row.run = task->se.sum_exec_runtime;
	row.utime = task->utime;
	row.stime = task->stime;
	row.gtime = task->gtime;
	if (has(task->prev_cputime.utime)) {
		row.fields |= THREAD_ADJUSTED;
		row.previous_utime = task->prev_cputime.utime;
		row.previous_stime = task->prev_cputime.stime;
	}
	if (has(task->vtime.state) && task->vtime.state != VTIME_INACTIVE)
		row.fields |= THREAD_TIMES_BEHIND;
	if (has(task->sched_info.run_delay)) {
		row.fields |= THREAD_SCHED_INFO;
		row.wait = task->sched_info.run_delay;
		row.timeslices = task->sched_info.pcount;
	}
}

static u32 cpu_of(struct task_struct *task)
{
	struct task_struct___cpu *old = (void *)task;

	if (has(task->thread_info.cpu))
		return task->thread_info.cpu;
	return BPF_CORE_READ(old, cpu);
}

SEC("iter/task")
int threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u32 tgid, *wanted, words;

	if (!task || task->exit_state)
		return 0;
	tgid = task->tgid;
	wanted = bpf_map_lookup_elem(&processes, &tgid);
	if (!wanted)
		return 0;
	words = *wanted;
	if (words > MASK_WORDS || words * sizeof(u64) > bpf_core_field_size(task->cpus_mask))
		return 0;

	row.head = (struct row_head){ .kind = ROW_THREAD, .tgid = tgid };
	row.tid = task->pid;
	row.fields = 0;
	row.cpu = cpu_of(task);
	row.policy = task->policy;
	row.priority = task->prio;
	take_times(task);
	if (has(task->core_cookie))
		row.fields |= THREAD_CORE_SCHED | (task->core_cookie ? THREAD_CORE_COOKIE : 0);
	row.voluntary_switches = task->nvcsw;
	row.involuntary_switches = task->nivcsw;
	row.migrations = task->se.nr_migrations;
	row.start = task->start_boottime / NSEC_PER_TICK;
	bpf_probe_read_kernel(row.comm, sizeof(row.comm), task->comm);

	row.mask_words = words;
	if (bpf_probe_read_kernel(row.mask, words * sizeof(u64), &task->cpus_mask))
		return 0;
	row.head.size = sizeof(row) - sizeof(row.mask) + words * sizeof(u64);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row) - sizeof(row.mask) + words * sizeof(u64));
	return 0;
}

/* The helpers that read kernel memory are open to GPL programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
