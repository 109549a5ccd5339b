/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal is bounded, so what repeats itself must not push out what happened once. A node's
 * sessions that come and go, and its challenges, are told at once at first and then ever more
 * seldom, with how often it was. The picture is what was told: of a node's session that is up, or
 * down, it hears within a minute. Initiators never seen before are told of at once while there are
 * places in the picture that were never used; then, as each pushes another one out, seldom, too,
 * all together.
 */
#include "witness/step.h"

enum {
	SHARE = 12,	       /* entries told at once */
	SHARE_MS = 60000,      /* and one more each */
	CHALLENGE_MS = 10000,  /* one challenge of a node, however often it asks; then longer */
	CHALLENGE_MAX_MS = 640000,
	CHALLENGE_FACTOR = 4,
};

/* Whether one more may be told. */
static bool share_takes(struct witness_share *b, uint64_t now_ms)
{
	uint64_t n = (now_ms - b->since_ms) / SHARE_MS;

	b->since_ms += n * SHARE_MS;
	b->spent = n < b->spent ? (uint8_t)(b->spent - n) : 0;
	if (b->spent == SHARE)
		return false;
	b->since_ms = b->spent ? b->since_ms : now_ms;
	b->spent++;
	return true;
}

/* What was not told since the last time. */
static uint32_t share_untold(struct witness_share *b)
{
	uint32_t n = b->untold;

	b->untold = 0;
	return n;
}

/* A path of the node that is in the picture at this place. */
static struct nexus nexus_of(const struct step *s, unsigned node, const uint8_t isid[6],
			     uint16_t tpgt)
{
	struct nexus n = { .tpgt = tpgt };

	memcpy(n.initiator, s->w->picture.node[node].name, sizeof(n.initiator));
	memcpy(n.isid, isid, sizeof(n.isid));
	return n;
}

/*
 * Whether the login of an initiator that is not in the picture may be told. While it pushes nobody
 * out it is no more than an entry per place, once: a whole cluster may start at the same time.
 */
static bool stranger_takes(struct step *s)
{
	for (unsigned i = 0; i < WITNESS_NODES; i++)
		if (!s->w->picture.node[i].name[0])
			return true;
	return share_takes(&s->w->strangers, s->at.mono_ms);
}

void repeat_forget(struct witness *w, unsigned node)
{
	memset(&w->repeat[node], 0, sizeof(w->repeat[node]));
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void tell_session(struct step *s, struct witness_entry *e)
{
	int n = witness_node_find(&s->w->picture, e->who.initiator);

	if (e->kind == WITNESS_LOGGED_OUT)
		step_tell_defences(s, false);
	step_tell(s, e);
	/* It left in order, with all it had: what it did until now does not go on. */
	if (e->kind == WITNESS_LOGGED_OUT && e->flag && n >= 0 &&
	    !witness_node_sessions(&s->w->picture.node[n]))
		step_rhythms_forget(s->w, (unsigned)n);
}

/* All may be as it was; a path that is not in the picture (any more) has no session there. */
static bool held_differs(const struct step *s, unsigned node, unsigned k)
{
	const struct witness_held *h = &s->w->repeat[node].held[k];
	const struct witness_path *a;
	struct nexus who;

	if (!h->is)
		return false;
	who = nexus_of(s, node, h->isid, h->tpgt);
	a = witness_path_find(&s->w->picture.node[node], &who);
	return h->on != (a && a->session);
}

/* How many there are; what is as the picture has it is held no longer. */
static uint32_t held_count(struct step *s, unsigned node)
{
	uint32_t n = 0;

	for (unsigned k = 0; k < WITNESS_HELD; k++)
		n += s->w->repeat[node].held[k].is = held_differs(s, node, k);
	return n;
}

/* How a node's sessions stand now, if that is not what was told last. */
static void tell_held(struct step *s, unsigned node)
{
	struct witness_repeat *r = &s->w->repeat[node];
	uint32_t n = held_count(s, node), untold;

	if (!n)
		return;
	/* They themselves were counted when they happened. */
	untold = share_untold(&r->sessions);
	untold -= n < untold ? n : untold;
	for (unsigned k = 0; k < WITNESS_HELD; k++) {
		struct witness_held *h = &r->held[k];
		struct witness_entry e = { .kind = h->on ? WITNESS_LOGGED_IN : WITNESS_LOGGED_OUT,
					   .who = nexus_of(s, node, h->isid, h->tpgt),
					   .flag = h->clean,
					   .when = h->at,
					   .count = untold };

		if (!h->is)
			continue;
		untold = 0;
		h->is = false;
		tell_session(s, &e);
	}
}

/*
 * Where it is held how this path's session is, or may be; NULL: no room. Paths that are not in the
 * picture leave room for those that are, and, being behind, are told after them: what is lost
 * first, then what comes in its place.
 */
static struct witness_held *held_get(struct witness_repeat *r, const struct nexus *who, bool known)
{
	struct witness_held *room = NULL;

	for (unsigned k = 0; k < WITNESS_HELD; k++) {
		struct witness_held *h = &r->held[k];

		if (h->is && h->tpgt == who->tpgt && !memcmp(h->isid, who->isid, sizeof(h->isid)))
			return h;
		if (!room && !h->is && (known || k >= WITNESS_PATHS))
			room = h;
	}
	return room;
}

static void step_session(struct step *s, bool on)
{
	const struct nexus *who = s->ev->who;
	int i = witness_node_find(&s->w->picture, who->initiator);
	struct witness_repeat *r = i < 0 ? NULL : &s->w->repeat[i];
	struct witness_share *b = r ? &r->sessions : &s->w->strangers;
	bool known = r && witness_path_find(&s->w->picture.node[i], who);
	struct witness_held *h = r ? held_get(r, who, known) : NULL;
	struct witness_entry e = { .kind = on ? WITNESS_LOGGED_IN : WITNESS_LOGGED_OUT,
				   .who = *who,
				   .flag = !on && s->ev->logout.clean };

	/* It came and went, and nobody was told. */
	if (!on && !known) {
		b->untold++;
		if (h)
			h->is = false;
		return;
	}
	if (r ? share_takes(b, s->at.mono_ms) : stranger_takes(s)) {
		if (h)
			h->is = false;
		/* A new path may need the place of one that is lost. */
		if (r)
			tell_held(s, (unsigned)i);
		e.count = share_untold(b);
		tell_session(s, &e);
		return;
	}
	b->untold++;
	if (h) {
		*h = (struct witness_held){ true, on, e.flag, { 0 }, who->tpgt, s->at };
		memcpy(h->isid, who->isid, sizeof(h->isid));
	}
}

void repeat_login(struct step *s)
{
	step_session(s, true);
}

void repeat_logout(struct step *s)
{
	step_session(s, false);
}

/* ---- challenges ------------------------------------------------------------------------------ */

static void tell_challenges(struct step *s, unsigned node)
{
	const struct witness_node *owner = witness_owner_node(&s->w->picture);
	struct witness_repeat *r = &s->w->repeat[node];
	struct witness_entry e = { .kind = WITNESS_CHALLENGED,
				   .how = r->how,
				   .count = r->challenges,
				   .when = r->challenged,
				   .who = nexus_of(s, node, r->isid, r->tpgt) };

	r->challenges = 0;
	if (!owner)
		return;
	memcpy(e.other, owner->name, sizeof(e.other));
	r->wait_ms = r->wait_ms ? r->wait_ms * CHALLENGE_FACTOR : CHALLENGE_MS;
	if (r->wait_ms > CHALLENGE_MAX_MS)
		r->wait_ms = CHALLENGE_MAX_MS;
	r->due_ms = s->at.mono_ms + r->wait_ms;
	step_tell_defences(s, false);
	step_tell(s, &e);
}

void repeat_challenge(struct step *s)
{
	int i = witness_node_find(&s->w->picture, s->ev->who->initiator);
	struct witness_entry e = { .kind = WITNESS_LOGGED_IN, .who = *s->ev->who };
	struct witness_repeat *r;

	if (i < 0) {
		if (!stranger_takes(s)) {
			s->w->strangers.untold++;
			return;
		}
		/* It has a session, or it could not ask. */
		e.count = share_untold(&s->w->strangers);
		step_tell(s, &e);
		i = witness_node_find(&s->w->picture, s->ev->who->initiator);
		if (i < 0)
			return;
	}
	r = &s->w->repeat[i];
	/* Quiet for as long as it would have to wait: new again. */
	if (!r->challenges && s->at.mono_ms >= r->due_ms + r->wait_ms)
		r->wait_ms = 0;
	r->challenges++;
	r->challenged = s->at;
	memcpy(r->isid, s->ev->who->isid, sizeof(r->isid));
	r->tpgt = s->ev->who->tpgt;
	r->how = s->ev->pr.sa;
	if (!r->wait_ms || s->at.mono_ms >= r->due_ms)
		tell_challenges(s, (unsigned)i);
}

void repeat_challenges(struct step *s)
{
	for (unsigned i = 0; i < WITNESS_NODES; i++)
		if (s->w->repeat[i].challenges)
			tell_challenges(s, i);
}

uint64_t witness_challenges(const struct witness *w)
{
	uint64_t n = w->picture.challenges;

	for (unsigned i = 0; i < WITNESS_NODES; i++)
		n += w->repeat[i].challenges;
	return n;
}

void repeat_tick(struct step *s)
{
	for (unsigned i = 0; i < WITNESS_NODES; i++) {
		struct witness_repeat *r = &s->w->repeat[i];

		if (!s->w->picture.node[i].name[0])
			continue;
		if (held_count(s, i) && share_takes(&r->sessions, s->at.mono_ms))
			tell_held(s, i);
		if (r->challenges && s->at.mono_ms >= r->due_ms)
			tell_challenges(s, i);
	}
}
