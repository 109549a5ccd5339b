/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <limits.h>

#include "target/rio_queue.h"

void rio_queue_init(struct rio_queue *q, int fd)
{
	*q = (struct rio_queue){ .limit = UINT_MAX, .fd = fd };
	q->last = q->behind = &q->first;
}

void rio_queue_put(struct rio_queue *q, struct rio *r)
{
	r->next = NULL;
	*q->last = r;
	q->last = &r->next;
}

struct rio *rio_queue_take(struct rio_queue *q)
{
	struct rio *r = q->first;

	if (!r || q->given >= q->limit)
		return NULL;
	q->first = r->next;
	if (q->last == &r->next)
		q->last = &q->first;
	if (q->behind == &r->next)
		q->behind = &q->first;
	q->given++;
	return r;
}

void rio_queue_ended(struct rio_queue *q)
{
	assert(q->given);
	q->given--;
	/* A bound that nobody waits for is not tried out either. */
	if (!q->first || ++q->ended < RIO_QUEUE_STEP)
		return;
	q->ended = 0;
	q->limit++;
}

bool rio_queue_refused(struct rio_queue *q, struct rio *r, uint64_t times)
{
	assert(q->given && times);
	q->given--;
	if (times > 1 || q->given < RIO_QUEUE_LEAST)
		return false;
	q->limit = q->given - q->given / 8;
	q->ended = 0;
	r->next = *q->behind;
	*q->behind = r;
	q->behind = &r->next;
	if (!r->next)
		q->last = &r->next;
	return true;
}
