/* SPDX-License-Identifier: Apache-2.0 */
/* Gathering: what each reactor knows, copied there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pr/state.h"
#include "target/conn.h"
#include "target/query.h"
#include "target/rcall.h"

enum {
	SLICE = 4096,	     /* list entries looked at in one turn of a reactor: some 100 us */
	PR_SLICE = 1 << 20,  /* bytes of reservations copied in one round */
	SESSIONS_SLACK = 64, /* logins between measuring and copying */
};

const struct node *query_node(const struct lu *lu)
{
	return caa_container_of(lu->target, struct node, scsi);
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* For how long a session's oldest command, of a gate or of all, is in flight. */
static uint64_t oldest_us(const struct session *s, const struct lun_gate *g, unsigned *looked)
{
	const struct task *t = session_oldest(s, g, looked);

	return t ? (reactor_now() - t->came_ns) / 1000 : 0;
}

static void most(uint64_t *of, uint64_t us)
{
	if (us > *of)
		*of = us;
}

static void take_session(const struct conn *c, struct query_session *q)
{
	const struct session *s = c->session;

	q->node = s->node;
	q->portal = c->portal;
	q->nexus = s->nexus->nexus;
	memcpy(q->alias, s->alias, sizeof(q->alias));
	memcpy(q->peer, c->peer, sizeof(q->peer));
	memcpy(q->local, c->local, sizeof(q->local));
	q->params = s->params;
	q->tsih = s->tsih;
	q->cid = s->cid;
	q->conn = c->id;
	q->reactor = reactor_index(c->reactor);
	q->tasks = s->ntasks;
	q->window = s->window;
	q->luns = s->ngates;
	q->since_ns = s->since_ns;
	q->cmds = s->cmds;
	q->bytes_in = s->bytes_in;
	q->bytes_out = s->bytes_out;
}

static void take_conn(struct conn *c, void *arg)
{
	struct query_sessions *q = arg;
	struct query_reactor *r = &q->reactors[reactor_index(reactor_self())];
	unsigned looked = 0;
	uint64_t oldest;

	r->conns++;
	if (!c->session)
		return;
	oldest = oldest_us(c->session, NULL, &looked);
	r->sessions++;
	r->tasks += c->session->ntasks;
	most(&r->oldest_us, oldest);
	if (q->n < q->cap) {
		q->v[q->n].oldest_us = oldest;
		take_session(c, &q->v[q->n++]);
	} else {
		q->missed++;
	}
}

static void take_conns(void *arg)
{
	conn_each(take_conn, arg);
}

static int order(const void *a, const void *b)
{
	return a < b ? -1 : a > b;
}

/* Discovery sessions (no target) first, then the targets as they are configured. */
static int nexus_order(const struct node *an, const struct nexus *a, const struct node *bn,
		       const struct nexus *b)
{
	int d = order(an, bn);

	if (!d)
		d = strcmp(a->initiator, b->initiator);
	if (!d)
		d = memcmp(a->isid, b->isid, sizeof(a->isid));
	return d ? d : (a->tpgt > b->tpgt) - (a->tpgt < b->tpgt);
}

static int session_order(const void *a, const void *b)
{
	const struct query_session *x = a, *y = b;
	int d = nexus_order(x->node, &x->nexus, y->node, &y->nexus);

	return d ? d : (int)x->tsih - (int)y->tsih;
}

int query_sessions(struct query_sessions *q, bool counts)
{
	memset(q, 0, sizeof(*q));
	q->reactors = calloc(reactor_count(), sizeof(*q->reactors));
	if (!q->reactors)
		return -ENOMEM;
	if (!counts) {
		q->cap =
			__atomic_load_n(&daemon_state.nsessions, __ATOMIC_RELAXED) + SESSIONS_SLACK;
		q->v = malloc(q->cap * sizeof(*q->v));
		if (!q->v) {
			query_sessions_free(q);
			return -ENOMEM;
		}
		/* Touched here, so that no reactor waits for the kernel to find the pages. */
		memset(q->v, 0, q->cap * sizeof(*q->v));
	}
	rcall_each(take_conns, q);
	if (q->n)
		qsort(q->v, q->n, sizeof(*q->v), session_order);
	return 0;
}

void query_sessions_free(struct query_sessions *q)
{
	free(q->v);
	free(q->reactors);
	memset(q, 0, sizeof(*q));
}

const struct query_session *query_session_of(const struct query_sessions *q,
					     const struct node *node, const struct nexus *who)
{
	unsigned lo = 0, hi = q->n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		int d = nexus_order(node, who, q->v[mid].node, &q->v[mid].nexus);

		if (!d)
			return &q->v[mid];
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* ---- LUs ------------------------------------------------------------------------------------- */

/* A walk over the LUs on every reactor, each at its own place. */
struct lu_walk {
	struct query_lu *v;
	unsigned n;
	unsigned *next; /* per reactor */
	bool more;	/* somebody has not come to the end */
};

static void take_home(const struct lu *lu, struct query_lu *q)
{
	const struct lu_value *v = &lu->value->v;
	const struct lu_change *c;

	q->caps = v->caps;
	q->block_size = v->block_size;
	q->phys_exp = v->phys_exp;
	q->failed = v->failed;
	q->not_ready = v->not_ready;
	q->damaged = v->damaged;
	q->write_protected = lu_write_protected(v);
	q->thin = lu_thin(v);
	q->modes = v->modes;
	q->pr_type = v->pr->type;
	q->pr_generation = v->pr->generation;
	q->pr_registrants = v->pr->nregs;
	q->reserved6 = v->reserved6;
	q->changing = lu->changing;
	cds_list_for_each_entry(c, &lu->changes, link)
		q->changes++;
}

/* How many list entries were looked at. */
static unsigned take_port(const struct lu_port *p, struct query_lu *q)
{
	const struct lun_gate *g;
	unsigned looked = 1;

	for (unsigned op = 0; op < IO_OPS; op++) {
		q->ios[op] += p->count[op].ios;
		q->bytes[op] += p->count[op].bytes;
	}
	q->conflicts += p->conflicts;
	q->parks += p->parks;
	cds_list_for_each_entry(g, &p->gates, link) {
		looked++;
		if (!g->session)
			continue;
		q->sessions++;
		if (g->ntasks && looked < SLICE)
			most(&q->oldest_us, oldest_us(g->session, g, &looked));
	}
	q->busy += p->pending;
	return looked;
}

static void take_lus(void *arg)
{
	struct lu_walk *w = arg;
	unsigned self = reactor_index(reactor_self()), looked = 0;

	for (; w->next[self] < w->n && looked < SLICE; w->next[self]++) {
		struct query_lu *q = &w->v[w->next[self]];

		if (q->lu->home == reactor_self())
			take_home(q->lu, q);
		looked += take_port(&q->lu->ports[self], q);
	}
	w->more |= w->next[self] < w->n;
}

struct query_lu *query_lus(const struct lu *only, unsigned *n)
{
	struct lu_walk w = { .n = only ? 1 : daemon_state.nlus };

	*n = w.n;
	w.v = calloc(w.n + 1, sizeof(*w.v));
	w.next = calloc(reactor_count(), sizeof(*w.next));
	if (!w.v || !w.next) {
		free(w.v);
		free(w.next);
		return NULL;
	}
	for (unsigned i = 0; i < w.n; i++)
		w.v[i].lu = only ? only : daemon_state.lus[i];
	do {
		w.more = false;
		rcall_each(take_lus, &w);
	} while (w.more);
	free(w.next);
	return w.v;
}

static const char *state_name(bool damaged, bool not_ready, bool failed)
{
	if (damaged)
		return "damaged";
	return not_ready ? "waiting_for_lock" : failed ? "failed" : "ready";
}

const char *query_lu_state(const struct query_lu *q)
{
	return state_name(q->damaged, q->not_ready, q->failed);
}

const char *query_value_state(const struct lu_value *v)
{
	return state_name(v->damaged, v->not_ready, v->failed);
}

/* ---- reservations ---------------------------------------------------------------------------- */

struct pr_walk {
	struct query_pr *v;
	unsigned n;
	uint8_t *taken; /* per LU */
	size_t *at;	/* per LU: where its value is in room */
	uint8_t *room;
	size_t used;
	bool more;
};

static void take_prs(void *arg)
{
	struct pr_walk *w = arg;

	for (unsigned i = 0; i < w->n; i++) {
		struct query_pr *q = &w->v[i];
		const struct lu_value *v;
		size_t size;

		if (w->taken[i] || q->lu->home != reactor_self())
			continue;
		v = &q->lu->value->v;
		size = pr_state_size(v->pr);
		if (size > PR_SLICE - w->used) {
			w->more = true;
			return;
		}
		memcpy(w->room + w->used, v->pr, size);
		w->at[i] = w->used;
		w->used += (size + 7) & ~(size_t)7; /* a value has 64-bit fields */
		w->taken[i] = 1;
		q->state = query_value_state(v);
		q->reserved6 = v->reserved6;
		q->reserved6_by = v->reserved6_by;
	}
}

/* From the room all share into memory of their own, so that the room can be used again. */
static int prs_settle(struct pr_walk *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		const struct pr_state *from = (const struct pr_state *)(w->room + w->at[i]);

		if (!w->taken[i] || w->v[i].pr)
			continue;
		w->v[i].pr = malloc(pr_state_size(from));
		if (!w->v[i].pr)
			return -ENOMEM;
		memcpy(w->v[i].pr, from, pr_state_size(from));
	}
	return 0;
}

struct query_pr *query_prs(const struct lu *only, unsigned *n)
{
	struct pr_walk w = { .n = only ? 1 : daemon_state.nlus };
	int err = -ENOMEM;

	_Static_assert(PR_SLICE > 2 * PR_REGISTRANTS_MAX *
					  (ISCSI_NAME_MAX + 1 + sizeof(struct pr_reg)),
		       "one round takes the largest value");
	*n = w.n;
	w.v = calloc(w.n + 1, sizeof(*w.v));
	w.taken = calloc(w.n + 1, 1);
	w.at = calloc(w.n + 1, sizeof(*w.at));
	w.room = calloc(1, PR_SLICE);
	if (w.v && w.taken && w.at && w.room)
		err = 0;
	for (unsigned i = 0; !err && i < w.n; i++)
		w.v[i].lu = only ? only : daemon_state.lus[i];
	while (!err) {
		w.more = false;
		w.used = 0;
		rcall_each(take_prs, &w);
		err = prs_settle(&w);
		if (!w.more)
			break;
	}
	free(w.taken);
	free(w.at);
	free(w.room);
	if (!err)
		return w.v;
	query_prs_free(w.v, w.n);
	return NULL;
}

void query_prs_free(struct query_pr *v, unsigned n)
{
	for (unsigned i = 0; v && i < n; i++)
		free(v[i].pr);
	free(v);
}
