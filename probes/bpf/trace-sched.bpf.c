// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Context switches and moves between CPUs of some threads. The others of the host, usually far more, are left out here. */
#include "trace.h"

enum { SWITCHES, MIGRATIONS };

FOLLOWED(followed);
COUNTS(switch_counts, 32768, u32, u64);
COUNTS(migration_counts, 32768, u32, u64);

/* The thread that stops running still is the current one. */
SEC("raw_tp/sched_switch")
int switches(void *arguments)
{
	struct gate *gate = gate_of(SWITCHES);
	u64 weight = gate ? weigh(gate, SWITCHES) : 0;
	u32 tid;

	if (!weight)
		return 0;
	tid = thread_id();
	if (bpf_map_lookup_elem(&followed, &tid))
		add(&switch_counts, &tid, gate, weight);
	return 0;
}

/* Any thread may move another. */
SEC("raw_tp/sched_migrate_task")
int migrations(u64 *arguments)
{
	struct gate *gate = gate_of(MIGRATIONS);
	u64 weight = gate ? weigh(gate, MIGRATIONS) : 0;
	u32 tid;

	if (!weight)
		return 0;
	tid = BPF_CORE_READ((struct task_struct *)arguments[0], pid);
	if (bpf_map_lookup_elem(&followed, &tid))
		add(&migration_counts, &tid, gate, weight);
	return 0;
}

/* The helpers that read kernel memory are open to GPL programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
