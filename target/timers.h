/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of one thread: a binary heap, first by time, then by who was armed first. Reads no clock.
 */
#ifndef TARGET_TIMERS_H
#define TARGET_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#include "target/reactor.h"

struct timers {
	struct timer_entry {
		uint64_t at;		/* ns */
		uint64_t order;
		struct timer *t;
	} *heap;			/* [1..n] */
	size_t n, room;
	uint64_t orders;		/* handed out */
};

void timers_fini(struct timers *ts);		/* forgets those that are armed */
void timers_arm(struct timers *ts, struct timer *t,
		uint64_t at_ns); /* re-arms when armed; abort() without memory */
void timers_cancel(struct timers *ts, struct timer *t);		/* fine when not armed */
uint64_t timers_next(const struct timers *ts);	/* when the first is due, ns; UINT64_MAX: none */

/* Calls back those due at now, in order; what these arm waits for the next call, even if due. */
void timers_run(struct timers *ts, uint64_t now_ns);

#endif
