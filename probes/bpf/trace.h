/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the programs on tracepoints share. Each program has a gate, which lets one event in `period` on, chosen at random. An
 * event that goes on stands for itself and for those before it on its CPU that did not, so the weights of a CPU add up to
 * exactly the events on it, whatever the periods were. If even leaving events out costs too much, user space detaches the programs
 * for most of the time, and an event in a window stands for those outside as well. exporter/trace/bpf/ has the reader.
 */
#ifndef TRACE_H
#define TRACE_H

#include "kernel.h"

/* Programs of an object. */
#define MOST_PROGRAMS 4
#define LONGEST_PERIOD 65536

/* Of one program on one CPU. Only that CPU writes it, so user space must not. */
struct gate {
	/* The period with which the gap was drawn. */
	u32 period;
	/* Events to leave out, and how many of them are still to come. */
	u32 gap;
	u32 left;
	u32 pad;
	/* Events so far, as of the last one that went on. */
	u64 events;
	u64 passed;
	/* Events for which a map had no room. */
	u64 dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MOST_PROGRAMS);
	__type(key, u32);
	__type(value, struct gate);
} gates SEC(".maps");

/* Written by user space, as a whole. The only variable of the object, so that nothing else is overwritten. */
struct control {
	/* 0 is 1. */
	u32 periods[MOST_PROGRAMS];
	/* The programs are attached in one of so many intervals. 0 is 1. */
	u32 share;
	/* Number of the window. What began in another one has no end in this one. */
	u32 window;
};

volatile struct control control;

static __always_inline struct gate *gate_of(u32 program)
{
	return bpf_map_lookup_elem(&gates, &program);
}

/* The weight of this event; 0 if it is left out. A new period applies at once, and not when a long gap has passed. */
static __always_inline u64 weigh(struct gate *gate, u32 program)
{
	u32 period = control.periods[program];
	u32 share = control.share;
	u64 weight;

	if (gate->left && gate->period == period) {
		gate->left--;
		return 0;
	}
	weight = gate->gap - gate->left + 1;
	gate->events += weight;
	gate->passed++;
	gate->period = period;
	gate->gap = 0;
	/* From 0 to 2 * period - 2: period - 1 on average. */
	if (period > 1 && period <= LONGEST_PERIOD)
		gate->gap = bpf_get_prandom_u32() % (2 * period - 1);
	gate->left = gate->gap;
	return share > 1 ? weight * share : weight;
}

static __always_inline u32 thread_id(void)
{
	return (u32)bpf_get_current_pid_tgid();
}

static __always_inline u32 process_id(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

/* Two threads whose ids differ by a multiple of this displace each other in a table of what they do now. */
#define THREAD_SLOTS 8192

/* A map of counts by a key that begins with a thread's id. Preallocated, because a program may run in an interrupt. */
#define COUNTS(name, entries, key_type, value_type)      \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_HASH);         \
		__uint(max_entries, entries);            \
		__type(key, key_type);                   \
		__type(value, value_type);               \
	} name SEC(".maps")

/* Ids of the threads or processes to count. User space writes them. */
#define FOLLOWED(name)                                   \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_HASH);         \
		__uint(max_entries, 65536);              \
		__uint(map_flags, BPF_F_NO_PREALLOC);    \
		__type(key, u32);                        \
		__type(value, u32);                      \
	} name SEC(".maps")

/* A table with one element for each slot. */
#define SLOTS(name, entries, value_type)                 \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_ARRAY);        \
		__uint(max_entries, entries);            \
		__type(key, u32);                        \
		__type(value, value_type);               \
	} name SEC(".maps")

/* Adds to a count. Most keys belong to the thread that runs, but an interrupt may count in the middle of that: hence atomic. */
static __always_inline void add(void *map, const void *key, struct gate *gate, u64 weight)
{
	u64 *count = bpf_map_lookup_elem(map, key);

	if (count)
		__sync_fetch_and_add(count, weight);
	else if (bpf_map_update_elem(map, key, &weight, BPF_NOEXIST))
		gate->dropped += weight;
}

/* Durations of one class: ]2^(exponent - 1), 2^exponent] ns. */
struct durations {
	u64 weight;
	u64 sum;
};

struct duration_key {
	u32 tid;
	u32 exponent;
	/* The kind of duration; 0 if there is only one. */
	u32 kind;
};

static __always_inline u32 exponent_of(u64 ns)
{
	u64 rest = ns ? ns - 1 : 0;
	u32 exponent = 0;

	if (rest >> 32) { exponent += 32; rest >>= 32; }
	if (rest >> 16) { exponent += 16; rest >>= 16; }
	if (rest >> 8) { exponent += 8; rest >>= 8; }
	if (rest >> 4) { exponent += 4; rest >>= 4; }
	if (rest >> 2) { exponent += 2; rest >>= 2; }
	if (rest >> 1) { exponent += 1; rest >>= 1; }
	return exponent + rest;
}

/* The clocks of two CPUs may disagree: then the duration is not counted. */
static __always_inline void add_duration(void *map, struct duration_key *key, struct gate *gate, u64 weight, u64 from)
{
	u64 ns = bpf_ktime_get_ns() - from;
	struct durations first = { .weight = weight, .sum = weight * ns };
	struct durations *durations;

	if ((s64)ns < 0)
		return;
	key->exponent = exponent_of(ns);
	durations = bpf_map_lookup_elem(map, key);
	if (durations) {
		__sync_fetch_and_add(&durations->weight, first.weight);
		__sync_fetch_and_add(&durations->sum, first.sum);
	} else if (bpf_map_update_elem(map, key, &first, BPF_NOEXIST))
		gate->dropped += weight;
}

#endif
