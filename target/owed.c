/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit attentions about reservations on their way to a nexus. Whoever has a gate is told with the
 * publish; who is logged in without one yet, or not at all, finds them with the next gate. So each
 * order is left here by home before the publish goes out, and taken once: by the gate the publish
 * finds, or by one that is opened later (SPC-4 5.13.11; DESIGN 3, "for logged-out nexuses they are
 * kept for registrants only": nobody else is named in an order).
 *
 * A lock, but only home's changes and the opening and closing of gates come here, never an I/O.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "target/lu.h"

enum {
	/* Orders of one change, and as many left behind by nexuses that never came back. */
	OWED_MAX = 2 * (PR_REGISTRANTS_MAX + 1),
	OWED_FIRST = 16,
};

struct owed {
	struct nexus to;
	uint32_t ua;			/* 1 << enum ua */
};

void lu_owed_init(struct lu_owed *o)
{
	pthread_mutex_init(&o->lock, NULL);
}

void lu_owed_free(struct lu_owed *o)
{
	pthread_mutex_destroy(&o->lock);
	free(o->v);
}

/* Locked. */
static bool make_room(struct lu_owed *o, uint32_t n)
{
	uint32_t room = o->room ? o->room : OWED_FIRST;
	struct owed *v;

	assert(n <= PR_REGISTRANTS_MAX + 1);
	if (o->n + n > OWED_MAX) {
		/* The oldest are given up: their nexuses have not been here for long. */
		uint32_t gone = o->n + n - OWED_MAX;

		o->n -= gone;
		memmove(o->v, o->v + gone, o->n * sizeof(*o->v));
	}
	while (room < o->n + n)
		room *= 2;
	if (room == o->room)
		return true;
	v = realloc(o->v, room * sizeof(*v));
	if (!v)
		return false;
	o->v = v;
	o->room = room;
	return true;
}

bool lu_owed_reserve(struct lu_owed *o, uint32_t n)
{
	bool ok;

	if (!n)
		return true;
	pthread_mutex_lock(&o->lock);
	ok = make_room(o, n);
	pthread_mutex_unlock(&o->lock);
	return ok;
}

/* Locked. One entry for each nexus: it is told once what was ordered many times (SAM-5 5.14). */
static void put(struct lu_owed *o, const struct nexus *to, uint32_t ua)
{
	for (uint32_t i = 0; i < o->n; i++)
		if (nexus_eq(&o->v[i].to, to)) {
			o->v[i].ua |= ua;
			return;
		}
	if (make_room(o, 1))
		o->v[o->n++] = (struct owed){ .to = *to, .ua = ua };
}

void lu_owed_put(struct lu_owed *o, const struct ua_order *orders, uint32_t n)
{
	if (!n)
		return;
	pthread_mutex_lock(&o->lock);
	for (uint32_t i = 0; i < n; i++)
		put(o, &orders[i].to, 1u << orders[i].ua);
	pthread_mutex_unlock(&o->lock);
}

void lu_owed_return(struct lu_owed *o, const struct nexus *to, uint32_t ua)
{
	ua &= 1u << UA_RESERVATIONS_PREEMPTED | 1u << UA_RESERVATIONS_RELEASED |
	      1u << UA_REGISTRATIONS_PREEMPTED;
	if (!ua)
		return;
	pthread_mutex_lock(&o->lock);
	put(o, to, ua);
	pthread_mutex_unlock(&o->lock);
}

uint32_t lu_owed_take(struct lu_owed *o, const struct nexus *who)
{
	uint32_t ua = 0, kept = 0;

	pthread_mutex_lock(&o->lock);
	for (uint32_t i = 0; i < o->n; i++) {
		if (nexus_eq(&o->v[i].to, who))
			ua |= o->v[i].ua;
		else if (kept++ != i)
			o->v[kept - 1] = o->v[i];
	}
	o->n = kept;
	pthread_mutex_unlock(&o->lock);
	return ua;
}
