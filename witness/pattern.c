/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rhythms, and what they mean.
 *
 * Windows Server failover clustering: the owner of a disk of type 5 (write exclusive, registrants
 * only) asserts itself every 3 s, by reserving again or by looking at the registered keys.
 * fence_scsi: type 5, keys of 32 bits (a hash of the cluster's name in front, the node behind)
 * registered with REGISTER AND IGNORE EXISTING KEY, PREEMPT AND ABORT to fence, no defence.
 * fence_mpath: the same with keys of its own, each registered on every path of a node, by REGISTER.
 * sbd: each node reads its slot (block 1 + 2n) and its mailbox (block 2 + 2n) every second.
 * o2cb: each node reads the heartbeat region and writes its own block in it, every 2 s.
 * sanlock: each node reads the 1 MiB lockspace (8 MiB with blocks of 4 KiB) and writes its own
 * sector in it, every 20 s, or twice another I/O timeout (-o).
 */
#include "witness/pattern.h"

#include "pr/pr.h"

enum {
	REGULAR = 3,	   /* alike intervals that make a rhythm */
	OF_ONE_NODE = 64,  /* doings of a node that are remembered */
	TOGETHER_MS = 100, /* closer than this is one doing */
	SLOT_MAX = 4096,   /* bytes of a block that is a heartbeat */
	OVERDUE_MIN_MS = 5000,
	SBD_SLOTS = 255,
	SBD_LOOP_MIN_MS = 700, /* its loop timeout is 1 s, or a few */
	SBD_LOOP_MAX_MS = 4500,
	O2CB_NODES = 255,
	STANDING_MS = 15000, /* a reservation nobody defended for so long is not Windows' */
};

/* ---- rhythms --------------------------------------------------------------------------------- */

/* From one moment to another; 0 if the other came first. */
static uint64_t since(uint64_t from_ms, uint64_t to_ms)
{
	return to_ms > from_ms ? to_ms - from_ms : 0;
}

/* Whether to forget a rather than b: a rhythm is worth more than what happened once. */
static bool worse(const struct witness_rhythm *a, const struct witness_rhythm *b)
{
	bool once_a = a->times < REGULAR, once_b = b->times < REGULAR;

	return once_a != once_b ? once_a : a->last_ms < b->last_ms;
}

/* A place for one more: free, or what matters least; of a node that has many, one of its own. */
static struct witness_rhythm *rhythm_place(struct witness *w, unsigned node)
{
	struct witness_rhythm *all = NULL, *own = NULL, *free = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++) {
		struct witness_rhythm *k = &w->rhythm[i];

		if (!k->used) {
			free = k;
			continue;
		}
		if (!all || worse(k, all))
			all = k;
		if (k->node != node)
			continue;
		n++;
		if (!own || worse(k, own))
			own = k;
	}
	return n >= OF_ONE_NODE ? own : free ? free : all;
}

struct witness_rhythm *witness_rhythm_note(struct witness *w, unsigned node, enum witness_act act,
					   uint64_t off, uint32_t len, uint64_t mono_ms)
{
	struct witness_rhythm *r = NULL;
	uint64_t d;

	for (unsigned i = 0; i < WITNESS_RHYTHMS && !r; i++) {
		struct witness_rhythm *k = &w->rhythm[i];

		if (k->used && k->node == node && k->act == act && k->off == off && k->len == len)
			r = k;
	}
	if (!r) {
		r = rhythm_place(w, node);
		*r = (struct witness_rhythm){ .used = true,
					      .node = (uint8_t)node,
					      .act = (uint8_t)act,
					      .off = off,
					      .len = len,
					      .last_ms = mono_ms };
		return r;
	}
	d = since(r->last_ms, mono_ms);
	if (d < TOGETHER_MS)
		return r;
	r->last_ms = mono_ms;
	if (d > UINT32_MAX)
		d = UINT32_MAX;
	if (r->times && d + r->period_ms * 3 / 10 + 100 >= r->period_ms &&
	    d <= (uint64_t)r->period_ms + r->period_ms * 3 / 10 + 100) {
		r->times += r->times < 255;
		r->period_ms = (uint32_t)((r->period_ms * UINT64_C(3) + d) / 4);
	} else {
		r->times = 1;
		r->period_ms = (uint32_t)d;
	}
	return r;
}

bool witness_rhythm_beats(const struct witness_rhythm *r, uint64_t mono_ms)
{
	uint64_t overdue = r->period_ms * UINT64_C(3);

	if (overdue < OVERDUE_MIN_MS)
		overdue = OVERDUE_MIN_MS;
	return r->used && r->times >= REGULAR && since(r->last_ms, mono_ms) <= overdue;
}

static bool period_in(const struct witness_rhythm *r, uint32_t from_ms, uint32_t to_ms)
{
	return r->period_ms >= from_ms && r->period_ms <= to_ms;
}

/* The k-th rhythm, if it is this node's, of this kind, and goes on. */
static const struct witness_rhythm *beating(const struct witness *w, unsigned k, unsigned node,
					    enum witness_act act, uint64_t mono_ms)
{
	const struct witness_rhythm *r = &w->rhythm[k];

	return r->used && r->node == node && r->act == act && witness_rhythm_beats(r, mono_ms)
		       ? r
		       : NULL;
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

static bool sbd_loop(const struct witness_rhythm *r)
{
	return period_in(r, SBD_LOOP_MIN_MS, SBD_LOOP_MAX_MS);
}

static bool is_mailbox(const struct witness_rhythm *r)
{
	return (r->len == 512 || r->len == 4096) && !(r->off % r->len) && !(r->off / r->len % 2) &&
	       r->off / r->len >= 2 && r->off / r->len <= 2 + 2 * SBD_SLOTS &&
	       sbd_loop(r);
}

/* The slot of the same node is read with the mailbox behind it. */
static bool sbd_slot_read(const struct witness *w, const struct witness_rhythm *mbox,
			  uint64_t mono_ms)
{
	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++) {
		const struct witness_rhythm *r =
			beating(w, i, mbox->node, WITNESS_ACT_READ, mono_ms);

		if (r && r->len == mbox->len && r->off + r->len == mbox->off &&
		    sbd_loop(r))
			return true;
	}
	return false;
}

static const struct witness_rhythm *sbd_of(const struct witness *w, unsigned node, uint64_t mono_ms)
{
	const struct witness_rhythm *found = NULL;

	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++) {
		const struct witness_rhythm *r = beating(w, i, node, WITNESS_ACT_READ, mono_ms);

		if (r && is_mailbox(r) && sbd_slot_read(w, r, mono_ms))
			found = r;
	}
	return found;
}

/* A read in the rhythm of write r, by the same node. */
static const struct witness_rhythm *read_beside(const struct witness *w,
						const struct witness_rhythm *r, uint64_t mono_ms,
						bool (*fits)(const struct witness_rhythm *write,
							     const struct witness_rhythm *read))
{
	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++) {
		const struct witness_rhythm *k = beating(w, i, r->node, WITNESS_ACT_READ, mono_ms);

		if (k && fits(r, k) && period_in(k, r->period_ms * 3 / 4, r->period_ms * 4 / 3))
			return k;
	}
	return NULL;
}

static bool o2cb_fits(const struct witness_rhythm *write, const struct witness_rhythm *read)
{
	return read->off <= write->off && read->off + read->len >= write->off + write->len &&
	       !((write->off - read->off) % write->len) && !(read->len % write->len) &&
	       read->len / write->len <= O2CB_NODES;
}

static bool sanlock_fits(const struct witness_rhythm *write, const struct witness_rhythm *read)
{
	return !(read->off % (1 << 20)) && read->len >= 64 << 10 && read->off <= write->off &&
	       write->off - read->off < (write->len == 4096 ? 8 << 20 : 1 << 20);
}

static const struct witness_rhythm *writer(const struct witness *w, unsigned node, uint64_t mono_ms,
					   uint32_t from_ms, uint32_t to_ms,
					   bool (*fits)(const struct witness_rhythm *write,
							const struct witness_rhythm *read))
{
	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++) {
		const struct witness_rhythm *r = beating(w, i, node, WITNESS_ACT_WRITE, mono_ms);

		if (r && r->len <= SLOT_MAX && r->len >= 512 && !(r->off % r->len) &&
		    period_in(r, from_ms, to_ms) && read_beside(w, r, mono_ms, fits))
			return r;
	}
	return NULL;
}

bool witness_heartbeat(const struct witness *w, unsigned node, uint64_t mono_ms,
		       enum witness_software *as, uint64_t *off)
{
	const struct witness_rhythm *r = writer(w, node, mono_ms, 1500, 2600, o2cb_fits);

	*as = WITNESS_O2CB;
	if (!r) {
		r = writer(w, node, mono_ms, 1500, 25000, sanlock_fits);
		*as = WITNESS_SANLOCK;
	}
	if (!r) {
		r = sbd_of(w, node, mono_ms);
		*as = WITNESS_SBD;
	}
	if (r)
		*off = r->off;
	return r != NULL;
}

bool witness_heartbeat_on(const struct witness *w, unsigned node, uint64_t mono_ms,
			  uint64_t *last_ms)
{
	const struct witness_node *n = &w->picture.node[node];
	enum witness_act act = n->beat_as == WITNESS_SBD ? WITNESS_ACT_READ : WITNESS_ACT_WRITE;
	bool on = false;

	*last_ms = 0;
	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++) {
		const struct witness_rhythm *r = &w->rhythm[i];
		uint64_t overdue = r->period_ms * UINT64_C(3);

		if (!r->used || r->node != node || r->act != act || r->off != n->beat_off ||
		    r->len > SLOT_MAX || r->len < 512)
			continue;
		if (r->last_ms > *last_ms)
			*last_ms = r->last_ms;
		on |= since(r->last_ms, mono_ms) <=
		      (overdue < OVERDUE_MIN_MS ? OVERDUE_MIN_MS : overdue);
	}
	return on;
}

/* Nodes that beat at places of their own. */
static enum witness_confidence recognise_beats(const struct witness *w, enum witness_software s)
{
	const struct witness_picture *p = &w->picture;
	unsigned n = 0;

	for (unsigned i = 0; i < WITNESS_NODES; i++) {
		bool own = true;

		if (!p->node[i].name[0] || p->node[i].beat != WITNESS_BEATS_ON ||
		    p->node[i].beat_as != s)
			continue;
		for (unsigned k = 0; k < i; k++)
			own &= p->node[k].beat != WITNESS_BEATS_ON || p->node[k].beat_as != s ||
			       p->node[k].beat_off != p->node[i].beat_off;
		n += own;
	}
	return n > 1 ? WITNESS_SURE : n ? WITNESS_LIKELY : WITNESS_UNKNOWN;
}

/* ---- reservations ---------------------------------------------------------------------------- */

/* How often in a row the owner asserted itself in Windows' rhythm. */
static unsigned defended(const struct witness *w, uint64_t mono_ms)
{
	unsigned most = 0;

	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++) {
		const struct witness_rhythm *r = &w->rhythm[i];

		if (r->used && r->node == w->picture.owner.node &&
		    (r->act == WITNESS_ACT_DEFEND || r->act == WITNESS_ACT_LOOK) &&
		    witness_rhythm_beats(r, mono_ms) && period_in(r, 2000, 4500) && r->times > most)
			most = r->times;
	}
	return most;
}

static enum witness_confidence recognise_windows(const struct witness *w, uint64_t mono_ms)
{
	unsigned n = defended(w, mono_ms);

	if (w->picture.owner.type != PR_WRITE_EXCLUSIVE_RO || n < REGULAR)
		return WITNESS_UNKNOWN;
	return n >= 10 || w->picture.challenges ? WITNESS_SURE : WITNESS_LIKELY;
}

/* What is registered, as far as it tells fence_scsi from fence_mpath. */
struct keys {
	unsigned nodes; /* with a registration */
	bool one;	/* key per node */
	bool ignore;	/* all by REGISTER AND IGNORE EXISTING KEY */
	bool hashed;	/* 32 bits, the upper 16 the same and not 0 */
	bool paths;	/* a node on several paths */
};

static void keys_look(const struct witness_picture *p, struct keys *k)
{
	uint64_t hash = 0;

	*k = (struct keys){ .one = true, .ignore = true, .hashed = true };
	for (unsigned i = 0; i < WITNESS_NODES; i++) {
		uint64_t own = 0;
		unsigned paths = 0;

		for (unsigned j = 0; j < WITNESS_PATHS; j++) {
			const struct witness_path *a = &p->node[i].path[j];

			if (!a->key)
				continue;
			/* What was found at the start tells nothing of how it came there. */
			k->ignore &= a->how == WITNESS_REGISTER_IGNORE || a->how == WITNESS_FOUND;
			k->one &= !own || own == a->key;
			hash = hash ? hash : a->key >> 16;
			k->hashed &= a->key >> 16 && a->key >> 16 == hash && hash <= 0xffff;
			own = a->key;
			paths++;
		}
		k->nodes += paths != 0;
		k->paths |= paths > 1;
	}
}

static enum witness_confidence recognise_fence(const struct witness *w, enum witness_software s,
					       uint64_t mono_ms)
{
	const struct witness_picture *p = &w->picture;
	struct witness_time now = { .mono_ms = mono_ms, .run = p->run };
	bool scsi = s == WITNESS_FENCE_SCSI;
	bool standing = witness_time_between(&p->owner.since, &now) >= STANDING_MS;
	struct keys k;

	if (p->owner.type != PR_WRITE_EXCLUSIVE_RO || !witness_owner_node(p) || p->owner.renews)
		return WITNESS_UNKNOWN;
	keys_look(p, &k);
	if (!k.nodes || !k.one || k.hashed != scsi || (scsi && !k.ignore))
		return WITNESS_UNKNOWN;
	/* Keys tell nothing then: who has defended only once is not it. */
	if (!scsi && (!k.paths || p->owner.defences || w->untold))
		return WITNESS_UNKNOWN;
	if (scsi ? p->aborted || k.nodes > 1 : p->aborted && standing)
		return WITNESS_SURE;
	return standing ? WITNESS_LIKELY : WITNESS_UNKNOWN;
}

enum witness_confidence witness_recognise(const struct witness *w, enum witness_software s,
					  uint64_t mono_ms)
{
	switch (s) {
	case WITNESS_WINDOWS:
		return recognise_windows(w, mono_ms);
	case WITNESS_FENCE_SCSI:
	case WITNESS_FENCE_MPATH:
		return recognise_fence(w, s, mono_ms);
	default:
		return recognise_beats(w, s);
	}
}
