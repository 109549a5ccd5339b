/* SPDX-License-Identifier: Apache-2.0 */
/* Health: a row per condition. */
#include "witness/health.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	NO_DEFENCE_MS = 10000, /* three times Windows' 3 s */
	GONE_MS = 10000,       /* a host that reconnects takes less */
	WINDOW_MS = 10000,     /* over which latency is averaged */
	SLOW_WINDOWS = 3,
	SLOW_US = 20000, /* below this nobody is hurt */
	SLOW_TIMES = 4,	 /* as long as usual */
	FULL_PERCENT = 5,
};

/* ---- latency --------------------------------------------------------------------------------- */

void witness_pace_note(struct witness_pace *p, uint32_t n, uint64_t sum_us, uint32_t max_us)
{
	if (max_us > p->longest_us)
		p->longest_us = max_us;
	p->n += n;
	p->sum_us += sum_us;
}

void witness_pace_step(struct witness_pace *p, uint64_t mono_ms)
{
	uint64_t mean;

	if (mono_ms - p->since_ms < WINDOW_MS)
		return;
	p->since_ms = mono_ms;
	if (!p->n)
		return;
	mean = p->sum_us / p->n;
	p->lately_us = mean > UINT32_MAX ? UINT32_MAX : (uint32_t)mean;
	p->n = p->sum_us = 0;
	if (p->usual_us && p->lately_us > SLOW_US && p->lately_us / SLOW_TIMES > p->usual_us) {
		p->slow += p->slow < SLOW_WINDOWS;
		p->warned |= p->slow >= SLOW_WINDOWS;
		return; /* what is not usual does not make it so */
	}
	p->slow = 0;
	p->warned &= p->lately_us > SLOW_US && p->lately_us / 2 > p->usual_us;
	p->usual_us = p->usual_us ? (uint32_t)((p->usual_us * UINT64_C(15) + p->lately_us) / 16)
				  : p->lately_us;
}

/* ---- conditions ------------------------------------------------------------------------------ */

typedef bool holds_fn(const struct witness *w, const struct witness_time *now);

static bool one_registrant(const struct witness *w, const struct witness_time *now)
{
	return witness_members(&w->picture) == 1 && w->picture.members > 1;
}

/* The later of two moments. */
static const struct witness_time *later(const struct witness_time *a, const struct witness_time *b)
{
	return witness_time_between(a, b) >= 0 || !witness_time_is(a) ? b : a;
}

static bool no_defence(const struct witness *w, const struct witness_time *now)
{
	const struct witness_owner *o = &w->picture.owner;

	return o->renews &&
	       witness_time_between(later(&w->defended, &w->started), now) > NO_DEFENCE_MS;
}

static bool owner_gone(const struct witness *w, const struct witness_time *now)
{
	const struct witness_node *n = witness_owner_node(&w->picture);

	return n && !witness_node_sessions(n) &&
	       witness_time_between(witness_time_is(&n->gone) ? &n->gone : &w->started, now) >
		       GONE_MS;
}

/* A node with a session that lost another one, and has not got it back. */
static int path_loser(const struct witness *w, const struct witness_time *now)
{
	for (int i = 0; i < WITNESS_NODES; i++) {
		const struct witness_node *n = &w->picture.node[i];

		for (unsigned k = 0; k < WITNESS_PATHS && witness_node_sessions(n); k++)
			if (n->path[k].lost &&
			    witness_time_between(&n->path[k].since, now) > GONE_MS)
				return i;
	}
	return -1;
}

static bool path_lost(const struct witness *w, const struct witness_time *now)
{
	return path_loser(w, now) >= 0;
}

static int beat_loser(const struct witness *w)
{
	for (int i = 0; i < WITNESS_NODES; i++)
		if (w->picture.node[i].name[0] && w->picture.node[i].beat == WITNESS_BEAT_STOPPED)
			return i;
	return -1;
}

static bool beat_lost(const struct witness *w, const struct witness_time *now)
{
	return beat_loser(w) >= 0;
}

static bool slow(const struct witness *w, const struct witness_time *now)
{
	return w->pace.warned;
}

static unsigned percent_free(const struct witness *w, unsigned i)
{
	uint64_t size = w->space[i].size;

	return !w->space[i].known || !size ? 100
					   : (unsigned)(w->space[i].free / ((size + 99) / 100));
}

static unsigned fullest(const struct witness *w)
{
	return percent_free(w, WITNESS_SPACE_STATE) < percent_free(w, WITNESS_SPACE_STORE)
		       ? WITNESS_SPACE_STATE
		       : WITNESS_SPACE_STORE;
}

static bool full(const struct witness *w, const struct witness_time *now)
{
	return percent_free(w, fullest(w)) < FULL_PERCENT;
}

static bool journal_lost(const struct witness *w, const struct witness_time *now)
{
	return w->journal_lost != 0;
}

uint32_t witness_health(const struct witness *w, const struct witness_time *now)
{
	static holds_fn *const fns[WITNESS_WARNINGS] = {
		[WITNESS_ONE_REGISTRANT] = one_registrant,
		[WITNESS_NO_DEFENCE] = no_defence,
		[WITNESS_OWNER_GONE] = owner_gone,
		[WITNESS_PATH_LOST] = path_lost,
		[WITNESS_BEAT_LOST] = beat_lost,
		[WITNESS_SLOW] = slow,
		[WITNESS_FULL] = full,
		[WITNESS_JOURNAL_LOST] = journal_lost,
	};
	uint32_t mask = 0;

	for (unsigned i = 0; i < WITNESS_WARNINGS; i++)
		if (fns[i](w, now))
			mask |= 1u << i;
	return mask;
}

/* ---- in words -------------------------------------------------------------------------------- */

static const char *name_of(const struct witness *w, int i)
{
	return i < 0 ? "a host" : w->picture.node[i].name;
}

static void owner_text(const struct witness *w, const struct witness_time *now, char *buf,
		       size_t size)
{
	const struct witness_node *n = witness_owner_node(&w->picture);
	char span[48];

	witness_span_text(
		witness_time_between(n && witness_time_is(&n->gone) ? &n->gone : &w->started, now),
		span, sizeof(span));
	snprintf(buf, size, "the owner, %s, has had no session for %s", n ? n->name : "a host",
		 span);
}

const char *witness_warning_text(const struct witness *w, enum witness_warning which,
				 const struct witness_time *now, char *buf, size_t size)
{
	const struct witness_picture *p = &w->picture;
	const struct witness_node *owner = witness_owner_node(p);
	char span[48];

	switch (which) {
	case WITNESS_ONE_REGISTRANT:
		snprintf(buf, size, "only one host is registered, of %u that were", p->members);
		break;
	case WITNESS_NO_DEFENCE:
		witness_span_text(witness_time_between(later(&w->defended, &w->started), now), span,
				  sizeof(span));
		snprintf(buf, size, "the owner, %s, has not defended the disk for %s",
			 owner ? owner->name : "a host", span);
		break;
	case WITNESS_OWNER_GONE:
		owner_text(w, now, buf, size);
		break;
	case WITNESS_PATH_LOST:
		snprintf(buf, size, "%s has lost a path", name_of(w, path_loser(w, now)));
		break;
	case WITNESS_BEAT_LOST:
		snprintf(buf, size, "the heartbeat of %s has stopped", name_of(w, beat_loser(w)));
		break;
	case WITNESS_SLOW:
		snprintf(buf, size, "commands take %" PRIu32 " ms, usually %" PRIu32 " ms",
			 w->pace.lately_us / 1000, w->pace.usual_us / 1000);
		break;
	case WITNESS_FULL:
		snprintf(buf, size, "the file system of %s has %u %% left",
			 fullest(w) == WITNESS_SPACE_STATE ? "the state directory" : "the disk",
			 percent_free(w, fullest(w)));
		break;
	case WITNESS_JOURNAL_LOST:
		snprintf(buf, size, "%" PRIu64 " entries could not be written into the journal",
			 w->journal_lost);
		break;
	default:
		snprintf(buf, size, "?");
		break;
	}
	return buf;
}
