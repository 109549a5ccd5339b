/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many direct reads and writes of one descriptor the kernel is given at a time. A device takes
 * so many, and what is given beyond that has a thread stand and wait for a place: the daemon's, or
 * the kernel's own under io_uring. So they wait here instead, first come first served.
 *
 * How many that is nobody can say beforehand: what stands behind a descriptor may be a disk, a part
 * of one, or several of them, shared with others. So it is found out, as TCP finds a path's
 * capacity: without a bound until the kernel refuses one, then an eighth less than it took, then
 * one more for each RIO_QUEUE_STEP that end. The eighth is room for others on the same device: a
 * witness beside data, another reactor, other processes; and none of them is waited past.
 *
 * Of one reactor, like the requests. Pure: calls nobody.
 */
#ifndef TARGET_RIO_QUEUE_H
#define TARGET_RIO_QUEUE_H

#include <stdbool.h>

#include "target/reactor.h"

enum {
	/* With fewer under way the queue cannot be what a request was refused for. */
	RIO_QUEUE_LEAST = 16,
	RIO_QUEUE_STEP = 16,
};

struct rio_queue {
	struct rio *first, **last;	/* they wait; refused ones before the others, */
	struct rio **behind;		/* which begin here */
	unsigned given;			/* with the kernel */
	unsigned limit;			/* of these; UINT_MAX: nothing was refused yet */
	unsigned ended;			/* while others waited, since the limit was changed */
	int fd;
	struct rio_queue *next;		/* the owner's */
};

void rio_queue_init(struct rio_queue *q, int fd);
/* r waits, behind the others. */
void rio_queue_put(struct rio_queue *q, struct rio *r);
/* The next one to be given to the kernel, counted as given; NULL: none, or none now. */
struct rio *rio_queue_take(struct rio_queue *q);
/* One that was given ended, or goes elsewhere. Then there may be more to take. */
void rio_queue_ended(struct rio_queue *q);
/*
 * The kernel had no place for r (EAGAIN), which was given; times: so often in a row. True: r waits
 * again, before those that were not given yet. False: it was refused for something else, or is due;
 * whoever can wait for the kernel shall do it. Either way there may be more to take.
 */
bool rio_queue_refused(struct rio_queue *q, struct rio *r, uint64_t times);

#endif
