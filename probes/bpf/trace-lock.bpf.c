// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The time that threads of some processes wait for contended kernel locks. Linux 5.19. */
#include "trace.h"

enum { CONTENTIONS };

/* Process ids. Of a kernel thread, which is a process of its own, its thread id. */
FOLLOWED(followed);
COUNTS(contention_durations, 8192, struct duration_key, struct durations);

/* The wait that a thread began last, if it went on. */
struct wait {
	u32 tid;
	u32 window;
	u64 lock;
	u64 weight;
	u64 at;
};

SLOTS(waits_now, THREAD_SLOTS, struct wait);

SEC("raw_tp/contention_begin")
int contentions(u64 *arguments)
{
	struct gate *gate = gate_of(CONTENTIONS);
	u64 weight = gate ? weigh(gate, CONTENTIONS) : 0;
	u32 pid, tid, slot;
	struct wait *now;

	if (!weight)
		return 0;
	pid = process_id();
	if (!bpf_map_lookup_elem(&followed, &pid))
		return 0;
	tid = thread_id();
	slot = tid % THREAD_SLOTS;
	now = bpf_map_lookup_elem(&waits_now, &slot);
	if (now)
		*now = (struct wait){ tid, control.window, arguments[0], weight, bpf_ktime_get_ns() };
	return 0;
}

SEC("raw_tp/contention_end")
int ends(u64 *arguments)
{
	u32 tid = thread_id(), slot = tid % THREAD_SLOTS;
	struct wait *now = bpf_map_lookup_elem(&waits_now, &slot);
	struct gate *gate = gate_of(CONTENTIONS);

	if (!now || now->tid != tid || now->lock != arguments[0] || now->window != control.window || !gate)
		return 0;
	struct duration_key key = { .tid = tid };

	add_duration(&contention_durations, &key, gate, now->weight, now->at);
	/* After that, because the map has locks too: this program does not see the ends of their waits. */
	now->tid = 0;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
