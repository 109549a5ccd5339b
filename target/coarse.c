/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdbool.h>

#include "target/coarse.h"
#include "target/reactor.h"

enum { SLOTS = 64 }; /* seconds; what is later comes round in its slot until it is due */

#define SECOND 1000000000ull

static __thread struct {
	struct timer timer;
	struct cds_list_head slots[SLOTS], due;
	unsigned armed;			/* in slots */
	uint64_t next;			/* s: the first slot that was not looked at yet */
	uint64_t wake;			/* s: what the timer is set to; UINT64_MAX: nothing */
} wheel;

static void wheel_tick(struct timer *t);

static void wheel_wake(uint64_t at)
{
	uint64_t now = reactor_now();

	wheel.wake = at;
	timer_arm_us(&wheel.timer, at * SECOND > now ? (at * SECOND - now + 999) / 1000 : 0);
}

static void wheel_begin(void)
{
	wheel.timer.fn = wheel_tick;
	wheel.wake = UINT64_MAX;
	CDS_INIT_LIST_HEAD(&wheel.due);
	for (unsigned i = 0; i < SLOTS; i++)
		CDS_INIT_LIST_HEAD(&wheel.slots[i]);
}

void coarse_arm(struct coarse *c, uint64_t ms)
{
	uint64_t now = reactor_now();

	assert(c->fn && ms <= INT64_MAX / 1000000);
	if (!wheel.timer.fn)
		wheel_begin();
	coarse_cancel(c);
	if (!wheel.armed)
		wheel.next = now / SECOND;
	c->at = (now + ms * 1000000 + SECOND - 1) / SECOND;
	if (c->at < wheel.next)
		c->at = wheel.next;
	cds_list_add_tail(&c->link, &wheel.slots[c->at % SLOTS]);
	wheel.armed++;
	if (c->at < wheel.wake)
		wheel_wake(c->at);
}

void coarse_cancel(struct coarse *c)
{
	if (!c->link.next)
		return;
	cds_list_del(&c->link);
	c->link.next = NULL;
	wheel.armed--;
}

/* What is in the slots of the seconds that have passed. */
static void wheel_turn(void)
{
	uint64_t now = reactor_now() / SECOND;

	/* Stood still for longer than once round: each slot once is all there is. */
	if (now > wheel.next + SLOTS)
		wheel.next = now - SLOTS;
	for (; wheel.next <= now; wheel.next++) {
		struct cds_list_head *slot = &wheel.slots[wheel.next % SLOTS];

		cds_list_splice(slot, wheel.due.prev);
		CDS_INIT_LIST_HEAD(slot);
	}
}

static void wheel_sleep(void)
{
	uint64_t at = wheel.next;

	while (at < wheel.next + SLOTS - 1 && cds_list_empty(&wheel.slots[at % SLOTS]))
		at++;
	wheel_wake(at);
}

static void wheel_tick(struct timer *t)
{
	wheel.wake = UINT64_MAX;
	wheel_turn();
	for (unsigned n = 0; n < COARSE_PER_TURN && !cds_list_empty(&wheel.due); n++) {
		struct coarse *c = cds_list_entry(wheel.due.next, struct coarse, link);

		coarse_cancel(c);
		if (c->at >= wheel.next) { /* another time round */
			cds_list_add_tail(&c->link, &wheel.slots[c->at % SLOTS]);
			wheel.armed++;
			continue;
		}
		c->fn(c);
	}
	if (!cds_list_empty(&wheel.due))
		wheel_wake(0);
	else if (wheel.armed)
		wheel_sleep();
}
