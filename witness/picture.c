/* SPDX-License-Identifier: Apache-2.0 */
/* The picture: one function per kind of entry. */
#include "witness/picture.h"

#include <stdio.h>

/* ---- looking --------------------------------------------------------------------------------- */

int witness_node_find(const struct witness_picture *p, const char *name)
{
	for (int i = 0; i < WITNESS_NODES; i++)
		if (p->node[i].name[0] && !strcmp(p->node[i].name, name))
			return i;
	return -1;
}

const struct witness_path *witness_path_find(const struct witness_node *n, const struct nexus *who)
{
	for (unsigned i = 0; i < WITNESS_PATHS; i++) {
		const struct witness_path *a = &n->path[i];

		if (a->used && a->tpgt == who->tpgt && !memcmp(a->isid, who->isid, sizeof(a->isid)))
			return a;
	}
	return NULL;
}

unsigned witness_node_sessions(const struct witness_node *n)
{
	unsigned k = 0;

	for (unsigned i = 0; i < WITNESS_PATHS; i++)
		k += n->path[i].session;
	return k;
}

unsigned witness_node_keys(const struct witness_node *n)
{
	unsigned k = 0;

	for (unsigned i = 0; i < WITNESS_PATHS; i++)
		k += n->path[i].key != 0;
	return k;
}

const struct witness_node *witness_owner_node(const struct witness_picture *p)
{
	return p->owner.node < WITNESS_NODES ? &p->node[p->owner.node] : NULL;
}

unsigned witness_members(const struct witness_picture *p)
{
	unsigned k = 0;

	for (unsigned i = 0; i < WITNESS_NODES; i++)
		k += witness_node_keys(&p->node[i]) != 0;
	return k;
}

/* ---- nodes and paths ------------------------------------------------------------------------- */

static bool node_idle(const struct witness_picture *p, unsigned i)
{
	const struct witness_node *n = &p->node[i];

	return p->owner.node != i && !witness_node_sessions(n) && !witness_node_keys(n);
}

/* Made if need be, in the place of the one that was not heard of longest; NULL: no room. */
static struct witness_node *node_get(struct witness_picture *p, const char *name)
{
	int i = witness_node_find(p, name), best = -1;
	struct witness_node *n;

	if (!name[0])
		return NULL;
	for (int k = 0; i < 0 && k < WITNESS_NODES; k++) {
		if (!p->node[k].name[0])
			i = k;
		else if (node_idle(p, (unsigned)k) &&
			 (best < 0 || p->node[k].seen < p->node[best].seen))
			best = k;
	}
	i = i < 0 ? best : i;
	if (i < 0) {
		p->overflow++;
		return NULL;
	}
	n = &p->node[i];
	if (strcmp(n->name, name)) {
		memset(n, 0, sizeof(*n));
		snprintf(n->name, sizeof(n->name), "%s", name);
		n->first = p->now;
	}
	n->seen = p->entries;
	return n;
}

static bool path_is(const struct witness_path *a, const struct nexus *who)
{
	return a->used && a->tpgt == who->tpgt && !memcmp(a->isid, who->isid, sizeof(a->isid));
}

/*
 * Made if need be. A host that comes back with another ISID takes the place of the path it lost:
 * the same way through the network, as far as we can see.
 */
static struct witness_path *path_get(struct witness_picture *p, struct witness_node *n,
				     const struct nexus *who)
{
	struct witness_path *place = NULL, *lost = NULL;

	for (unsigned i = 0; i < WITNESS_PATHS; i++) {
		struct witness_path *a = &n->path[i];

		if (path_is(a, who))
			return a;
		if (!a->used && !place)
			place = a;
		if (a->lost && !a->key && (a->tpgt == who->tpgt || !lost) &&
		    (!lost || lost->tpgt != who->tpgt))
			lost = a;
	}
	if (lost && (lost->tpgt == who->tpgt || !place))
		place = lost;
	if (!place) {
		p->overflow++;
		return NULL;
	}
	memset(place, 0, sizeof(*place));
	place->used = true;
	place->tpgt = who->tpgt;
	memcpy(place->isid, who->isid, sizeof(place->isid));
	return place;
}

static struct witness_path *path_find(struct witness_node *n, const struct nexus *who)
{
	for (unsigned i = 0; n && i < WITNESS_PATHS; i++)
		if (path_is(&n->path[i], who))
			return &n->path[i];
	return NULL;
}

/* Nothing is left to be said of it. */
static void path_drop(struct witness_path *a)
{
	if (!a->session && !a->lost && !a->key)
		memset(a, 0, sizeof(*a));
}

static struct witness_node *node_find(struct witness_picture *p, const char *name)
{
	int i = witness_node_find(p, name);

	if (i < 0)
		return NULL;
	p->node[i].seen = p->entries;
	return &p->node[i];
}

/* ---- what entries do ------------------------------------------------------------------------- */

/* What is told later says when it was. */
static struct witness_time happened(const struct witness_entry *e)
{
	return witness_time_is(&e->when) ? e->when : e->at;
}

typedef void apply_fn(struct witness_picture *p, const struct witness_entry *e);

/* Of sessions nothing is known any more. */
static void apply_started(struct witness_picture *p, const struct witness_entry *e)
{
	p->run = e->at.run;
	p->warnings = 0;
	for (unsigned i = 0; i < WITNESS_NODES; i++) {
		struct witness_node *n = &p->node[i];

		n->beat = WITNESS_BEAT_NONE;
		n->gone = (struct witness_time){ 0 };
		for (unsigned k = 0; k < WITNESS_PATHS; k++) {
			n->path[k].session = n->path[k].lost = false;
			path_drop(&n->path[k]);
		}
	}
}

static void apply_logged_in(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_node *n = node_get(p, e->who.initiator);
	struct witness_path *a = n ? path_get(p, n, &e->who) : NULL;

	if (!a)
		return;
	a->session = true;
	a->lost = false;
	a->since = happened(e);
	n->gone = (struct witness_time){ 0 };
}

static void apply_logged_out(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_node *n = node_find(p, e->who.initiator);
	struct witness_path *a = path_find(n, &e->who);

	if (!a)
		return;
	a->session = false;
	a->lost = !e->flag;
	a->since = happened(e);
	path_drop(a);
	if (witness_node_sessions(n))
		return;
	n->gone = happened(e);
	/* Nobody waits for the heartbeat of a node that left in order. */
	if (e->flag)
		n->beat = WITNESS_BEAT_NONE;
}

static void apply_registered(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_node *n = node_get(p, e->who.initiator);
	struct witness_path *a = n ? path_get(p, n, &e->who) : NULL;

	if (!a || !e->value)
		return;
	if (!a->key)
		a->registered = e->at;
	a->key = e->value;
	a->how = e->how;
}

/* How many nodes were members before a registration goes. */
static void members_note(struct witness_picture *p, const struct witness_time *at)
{
	unsigned k = 0;

	for (unsigned i = 0; i < WITNESS_NODES; i++) {
		const struct witness_node *n = &p->node[i];
		bool settled = false;

		for (unsigned j = 0; j < WITNESS_PATHS && n->name[0]; j++)
			settled |= n->path[j].key && witness_time_between(&n->path[j].registered,
									  at) >= WITNESS_SETTLED_MS;
		k += settled;
	}
	if (k > p->members)
		p->members = (uint8_t)k;
}

static void unregister(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_node *n = node_find(p, e->who.initiator);
	struct witness_path *a = path_find(n, &e->who);

	if (!a)
		return;
	members_note(p, &e->at);
	a->key = 0;
	path_drop(a);
	if (!witness_node_keys(n))
		n->challenged = (struct witness_time){ 0 };
	if (!witness_members(p))
		p->members = 0;
}

static void apply_removed(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_removal *r = &p->removal;
	bool more = r->at.run == e->at.run && r->at.mono_ms == e->at.mono_ms &&
		    r->at.utc_ms == e->at.utc_ms && !strcmp(r->who, e->who.initiator) &&
		    !strcmp(r->by, e->other);

	unregister(p, e);
	p->aborted |= e->how == WITNESS_PREEMPT_ABORT;
	if (more) {
		r->count++;
		return;
	}
	memset(r, 0, sizeof(*r));
	r->at = e->at;
	r->how = e->how;
	r->count = 1;
	/* The change of ownership, if it is one, came just before. */
	r->owner = e->at.mono_ms == p->change[0].at.mono_ms && e->at.run == p->change[0].at.run &&
		   !strcmp(p->change[0].from, e->who.initiator);
	memcpy(r->who, e->who.initiator, sizeof(r->who));
	memcpy(r->by, e->other, sizeof(r->by));
	p->removals++;
}

/* The kind of PR software in use, as far as it is known. */
static uint8_t pr_software(const struct witness_picture *p)
{
	uint8_t best = WITNESS_SOFTWARES;

	for (uint8_t s = WITNESS_WINDOWS; s <= WITNESS_FENCE_MPATH; s++)
		if (p->software[s].confidence &&
		    (best == WITNESS_SOFTWARES ||
		     p->software[s].confidence > p->software[best].confidence))
			best = s;
	return best;
}

static void change_push(struct witness_picture *p, const struct witness_entry *e)
{
	const struct witness_node *from = witness_owner_node(p);
	int to = witness_node_find(p, e->who.initiator);
	struct witness_change *c = &p->change[0];

	memmove(&p->change[1], &p->change[0], sizeof(p->change) - sizeof(p->change[0]));
	memset(c, 0, sizeof(*c));
	c->at = e->at;
	c->how = e->how;
	c->type = e->type;
	c->software = pr_software(p);
	c->all = e->flag;
	c->removed = e->count;
	memcpy(c->to, e->who.initiator, sizeof(c->to));
	memcpy(c->by, e->other, sizeof(c->by));
	if (to >= 0)
		c->challenged = p->node[to].challenged;
	if (p->owner.node == WITNESS_NOBODY)
		return;
	c->owned = p->owner.since;
	c->defended = p->owner.defended;
	c->renewed = p->owner.renews;
	if (from) {
		memcpy(c->from, from->name, sizeof(c->from));
		c->gone = from->gone;
	}
}

static void apply_owned(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_node *n = node_get(p, e->who.initiator);
	uint8_t node = e->flag ? WITNESS_EVERYBODY : n ? (uint8_t)(n - p->node) : WITNESS_NOBODY;

	if (node != p->owner.node) {
		change_push(p, e);
		p->changes++;
		memset(&p->owner, 0, sizeof(p->owner));
		p->owner.since = e->at;
	}
	p->owner.node = node;
	p->owner.type = node == WITNESS_NOBODY ? 0 : e->type;
	p->owner.tpgt = e->who.tpgt;
	memcpy(p->owner.isid, e->who.isid, sizeof(p->owner.isid));
	for (unsigned i = 0; i < WITNESS_NODES; i++)
		p->node[i].challenged = (struct witness_time){ 0 };
}

static void apply_defended(struct witness_picture *p, const struct witness_entry *e)
{
	p->owner.defended = e->when;
	p->owner.defences += e->count;
	p->owner.renews |= e->flag;
	p->defences += e->count;
}

static void apply_challenged(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_node *n = node_get(p, e->who.initiator);

	p->challenges += e->count ? e->count : 1;
	if (n)
		n->challenged = happened(e);
}

static void apply_beat(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_node *n = node_find(p, e->who.initiator);

	if (!n)
		return;
	n->beat = e->flag ? WITNESS_BEATS_ON : WITNESS_BEAT_STOPPED;
	n->beat_as = e->how < WITNESS_SOFTWARES ? e->how : WITNESS_SBD;
	n->beat_off = e->value;
	n->beat_at = !e->flag && witness_time_is(&e->when) ? e->when : e->at;
	if (e->flag)
		n->mailed = (struct witness_time){ 0 };
}

static void apply_message(struct witness_picture *p, const struct witness_entry *e)
{
	struct witness_node *n = node_find(p, e->other);

	if (!n)
		return;
	n->mailed = e->at;
	memcpy(n->mailer, e->who.initiator, sizeof(n->mailer));
}

static void apply_software(struct witness_picture *p, const struct witness_entry *e)
{
	if (e->how < WITNESS_SOFTWARES && e->type < WITNESS_CONFIDENCES)
		p->software[e->how] = (struct witness_verdict){ e->type, e->at };
}

static void apply_warning(struct witness_picture *p, const struct witness_entry *e)
{
	uint32_t bit = e->how < WITNESS_WARNINGS ? 1u << e->how : 0;

	p->warnings = e->flag ? p->warnings | bit : p->warnings & ~bit;
}

void witness_picture_init(struct witness_picture *p)
{
	memset(p, 0, sizeof(*p));
	p->owner.node = WITNESS_NOBODY;
}

void witness_picture_apply(struct witness_picture *p, const struct witness_entry *e)
{
	static apply_fn *const fns[WITNESS_KINDS] = {
		[WITNESS_STARTED] = apply_started,	 [WITNESS_LOGGED_IN] = apply_logged_in,
		[WITNESS_LOGGED_OUT] = apply_logged_out, [WITNESS_REGISTERED] = apply_registered,
		[WITNESS_UNREGISTERED] = unregister,	 [WITNESS_REMOVED] = apply_removed,
		[WITNESS_OWNED] = apply_owned,		 [WITNESS_DEFENDED] = apply_defended,
		[WITNESS_CHALLENGED] = apply_challenged, [WITNESS_BEAT] = apply_beat,
		[WITNESS_MESSAGE] = apply_message,	 [WITNESS_SOFTWARE] = apply_software,
		[WITNESS_WARNING] = apply_warning,
	};

	if (e->kind >= WITNESS_KINDS)
		return;
	p->entries++;
	p->now = e->at;
	fns[e->kind](p, e);
}
