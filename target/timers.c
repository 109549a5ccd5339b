/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "target/timers.h"

static bool entry_before(const struct timer_entry *a, const struct timer_entry *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_place(struct timers *ts, size_t i, struct timer_entry e)
{
	ts->heap[i] = e;
	e.t->slot = i;
}

/* Finds the place for e, beginning at the hole i. */
static void heap_settle(struct timers *ts, size_t i, struct timer_entry e)
{
	while (i > 1 && entry_before(&e, &ts->heap[i / 2])) {
		heap_place(ts, i, ts->heap[i / 2]);
		i /= 2;
	}
	for (;;) {
		size_t child = 2 * i;

		if (child > ts->n)
			break;
		if (child < ts->n && entry_before(&ts->heap[child + 1], &ts->heap[child]))
			child++;
		if (!entry_before(&ts->heap[child], &e))
			break;
		heap_place(ts, i, ts->heap[child]);
		i = child;
	}
	heap_place(ts, i, e);
}

static void heap_remove(struct timers *ts, size_t i)
{
	struct timer_entry last = ts->heap[ts->n];

	ts->heap[i].t->slot = 0;
	ts->n--;
	if (i <= ts->n)
		heap_settle(ts, i, last);
}

void timers_fini(struct timers *ts)
{
	while (ts->n)
		ts->heap[ts->n--].t->slot = 0;
	free(ts->heap);
	*ts = (struct timers){ 0 };
}

void timers_arm(struct timers *ts, struct timer *t, uint64_t at_ns)
{
	struct timer_entry e = { .at = at_ns, .order = ts->orders++, .t = t };

	assert(t->fn);
	t->at = at_ns;
	if (t->slot) {
		assert(t->slot <= ts->n && ts->heap[t->slot].t == t);
		heap_settle(ts, t->slot, e);
		return;
	}
	if (ts->n + 1 >= ts->room) {
		size_t room = ts->room ? 2 * ts->room : 64;

		ts->heap = realloc(ts->heap, room * sizeof(*ts->heap));
		if (!ts->heap)
			abort(); /* a timer that never fires breaks promises; a restart does not */
		ts->room = room;
	}
	heap_settle(ts, ++ts->n, e);
}

void timers_cancel(struct timers *ts, struct timer *t)
{
	if (!t->slot)
		return;
	assert(t->slot <= ts->n && ts->heap[t->slot].t == t);
	heap_remove(ts, t->slot);
}

uint64_t timers_next(const struct timers *ts)
{
	return ts->n ? ts->heap[1].at : UINT64_MAX;
}

void timers_run(struct timers *ts, uint64_t now_ns)
{
	uint64_t since = ts->orders;

	/* Those armed from here on sort behind all that are due: their time is not before now. */
	while (ts->n && ts->heap[1].at <= now_ns && ts->heap[1].order < since) {
		struct timer *t = ts->heap[1].t;

		heap_remove(ts, 1);
		t->fn(t);
	}
}
