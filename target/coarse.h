/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers to the second, for what is there by the thousand and is not in a hurry: whether sessions
 * live. All that are due in the same second are called back together, so ten thousand of them wake
 * a reactor once a second and not ten thousand times; but only COARSE_PER_TURN in a turn, so that
 * whoever wants something meanwhile does not wait for all of them.
 *
 * Each reactor has its own; on its thread only.
 */
#ifndef TARGET_COARSE_H
#define TARGET_COARSE_H

#include <stdint.h>
#include <urcu/list.h>

enum { COARSE_PER_TURN = 32 };

struct coarse {
	struct cds_list_head link;	/* private: .next NULL when not armed */
	uint64_t at;			/* private: seconds of reactor_now() */
	void (*fn)(struct coarse *c);
};

/*
 * Calls back once, at the first full second (of reactor_now()) that is no sooner than ms from now.
 * Re-arms when armed. Zeroed struct + fn is a valid unarmed one.
 */
void coarse_arm(struct coarse *c, uint64_t ms_from_now);
void coarse_cancel(struct coarse *c);		/* fine when not armed */

#endif
