// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Changes of a vCPU's halt polling window, by thread. */
#include "trace.h"

enum { HALT_POLL };

struct halt_poll_key {
	u32 tid;
	/* 0 if the window shrinks. */
	u32 grow;
};

COUNTS(halt_poll_counts, 4096, struct halt_poll_key, u64);

SEC("raw_tp/kvm_halt_poll_ns")
int halt_poll(u64 *arguments)
{
	struct gate *gate = gate_of(HALT_POLL);
	u64 weight = gate ? weigh(gate, HALT_POLL) : 0;

	if (weight) {
		struct halt_poll_key key = { thread_id(), (u8)arguments[0] };

		add(&halt_poll_counts, &key, gate, weight);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
