/* SPDX-License-Identifier: Apache-2.0 */
/* The picture as bytes. One walk over its fields serves both directions. */
#include "witness/picture.h"

#define MAGIC 0x48465750u /* "HFWP" */
enum { VERSION = 2 };

/* Either r or w. */
struct walk {
	struct rcur *r;
	struct wcur *w;
	bool bad;
};

static void walk_u8(struct walk *k, uint8_t *v)
{
	if (k->r)
		*v = rcur_u8(k->r);
	else
		wcur_u8(k->w, *v);
	k->bad |= k->r && k->r->bad;
}

static void walk_u16(struct walk *k, uint16_t *v)
{
	if (k->r)
		*v = rcur_be16(k->r);
	else
		wcur_be16(k->w, *v);
}

static void walk_u32(struct walk *k, uint32_t *v)
{
	if (k->r)
		*v = rcur_be32(k->r);
	else
		wcur_be32(k->w, *v);
}

static void walk_u64(struct walk *k, uint64_t *v)
{
	if (k->r)
		*v = rcur_be64(k->r);
	else
		wcur_be64(k->w, *v);
}

static void walk_bool(struct walk *k, bool *v)
{
	uint8_t b = !k->r && *v;

	walk_u8(k, &b);
	*v = b;
	k->bad |= b > 1;
}

static void walk_below(struct walk *k, uint8_t *v, uint8_t end)
{
	walk_u8(k, v);
	k->bad |= *v >= end;
}

static void walk_bytes(struct walk *k, uint8_t *p, size_t n)
{
	const uint8_t *from;

	if (!k->r) {
		wcur_put(k->w, p, n);
		return;
	}
	from = rcur_take(k->r, n);
	if (from)
		memcpy(p, from, n);
}

static void walk_name(struct walk *k, char *name)
{
	uint8_t n = k->r ? 0 : (uint8_t)strlen(name);

	walk_below(k, &n, ISCSI_NAME_MAX + 1);
	if (!k->bad)
		walk_bytes(k, (uint8_t *)name, n);
	k->bad |= k->r && memchr(name, 0, n);
}

static void walk_time(struct walk *k, struct witness_time *t)
{
	walk_u32(k, &t->run);
	if (!t->run)
		return; /* never: there is no more to it */
	walk_u64(k, &t->utc_ms);
	walk_u64(k, &t->mono_ms);
}

/*
 * Where the next one of a table is; `end` when there is none (any more), which is written unless
 * the table's last place was. They ascend.
 */
static bool walk_index(struct walk *k, uint8_t *i, uint8_t end)
{
	uint8_t from = *i;

	walk_below(k, i, (uint8_t)(end + 1));
	k->bad |= *i < from;
	if (k->bad)
		*i = end;
	return *i < end;
}

static void walk_path(struct walk *k, struct witness_path *a)
{
	walk_bytes(k, a->isid, sizeof(a->isid));
	walk_u16(k, &a->tpgt);
	walk_bool(k, &a->session);
	walk_bool(k, &a->lost);
	walk_u64(k, &a->key);
	walk_u8(k, &a->how);
	walk_time(k, &a->since);
	walk_time(k, &a->registered);
	a->used = true;
}

static void walk_node(struct walk *k, struct witness_node *n)
{
	walk_name(k, n->name);
	k->bad |= !n->name[0];
	walk_time(k, &n->first);
	walk_u64(k, &n->seen);
	walk_time(k, &n->gone);
	walk_time(k, &n->challenged);
	walk_below(k, &n->beat, WITNESS_BEAT_STOPPED + 1);
	walk_below(k, &n->beat_as, WITNESS_SOFTWARES);
	walk_u64(k, &n->beat_off);
	walk_time(k, &n->beat_at);
	walk_time(k, &n->mailed);
	walk_name(k, n->mailer);
	for (uint8_t i = 0; i < WITNESS_PATHS; i++) {
		while (!k->r && i < WITNESS_PATHS && !n->path[i].used)
			i++;
		if (walk_index(k, &i, WITNESS_PATHS))
			walk_path(k, &n->path[i]);
	}
}

static void walk_change(struct walk *k, struct witness_change *c)
{
	walk_time(k, &c->at);
	walk_below(k, &c->how, WITNESS_HOWS);
	walk_u8(k, &c->type);
	walk_below(k, &c->software, WITNESS_SOFTWARES + 1);
	walk_bool(k, &c->all);
	walk_bool(k, &c->renewed);
	walk_name(k, c->from);
	walk_name(k, c->to);
	walk_name(k, c->by);
	walk_time(k, &c->owned);
	walk_time(k, &c->defended);
	walk_time(k, &c->gone);
	walk_time(k, &c->challenged);
	walk_u32(k, &c->removed);
}

static void walk_owner(struct walk *k, struct witness_owner *o)
{
	walk_u8(k, &o->node);
	k->bad |= o->node >= WITNESS_NODES && o->node < WITNESS_EVERYBODY;
	walk_u8(k, &o->type);
	walk_bytes(k, o->isid, sizeof(o->isid));
	walk_u16(k, &o->tpgt);
	walk_bool(k, &o->renews);
	walk_time(k, &o->since);
	walk_time(k, &o->defended);
	walk_u64(k, &o->defences);
}

static void walk_removal(struct walk *k, struct witness_removal *r)
{
	walk_time(k, &r->at);
	walk_below(k, &r->how, WITNESS_HOWS);
	walk_u32(k, &r->count);
	walk_bool(k, &r->owner);
	walk_name(k, r->who);
	walk_name(k, r->by);
}

static void walk_picture(struct walk *k, struct witness_picture *p)
{
	uint32_t magic = MAGIC;
	uint8_t version = VERSION;

	walk_u32(k, &magic);
	walk_u8(k, &version);
	k->bad |= magic != MAGIC || version != VERSION;
	walk_u64(k, &p->entries);
	walk_u32(k, &p->run);
	walk_time(k, &p->now);
	walk_owner(k, &p->owner);
	for (unsigned i = 0; i < WITNESS_CHANGES && !k->bad; i++)
		walk_change(k, &p->change[i]);
	walk_removal(k, &p->removal);
	for (unsigned i = 0; i < WITNESS_SOFTWARES; i++) {
		walk_below(k, &p->software[i].confidence, WITNESS_CONFIDENCES);
		walk_time(k, &p->software[i].at);
	}
	walk_u32(k, &p->warnings);
	walk_u64(k, &p->changes);
	walk_u64(k, &p->challenges);
	walk_u64(k, &p->removals);
	walk_u64(k, &p->defences);
	walk_u64(k, &p->overflow);
	walk_u8(k, &p->members);
	walk_bool(k, &p->aborted);
	for (uint8_t i = 0; i < WITNESS_NODES; i++) {
		while (!k->r && i < WITNESS_NODES && !p->node[i].name[0])
			i++;
		if (walk_index(k, &i, WITNESS_NODES))
			walk_node(k, &p->node[i]);
	}
	k->bad |= p->owner.node < WITNESS_NODES && !p->node[p->owner.node].name[0];
}

void witness_picture_put(const struct witness_picture *p, struct wcur *out)
{
	struct walk k = { .w = out };

	/* Writing changes nothing: each walk_ function only reads its field then. */
	walk_picture(&k, (struct witness_picture *)(uintptr_t)p);
}

bool witness_picture_get(struct rcur *in, struct witness_picture *p)
{
	struct walk k = { .r = in };

	witness_picture_init(p);
	walk_picture(&k, p);
	return !k.bad && !in->bad && !in->left && p->warnings < 1u << WITNESS_WARNINGS;
}
