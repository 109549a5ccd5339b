/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations and their history as JSON. The names here are promised in holdfast(8): add, never
 * rename.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pr/state.h"
#include "target/history.h"
#include "target/journal.h"
#include "target/query.h"

json_t *query_nexus_json(const struct nexus *n)
{
	json_t *o = json_object();

	query_put_string(o, "initiator", n->initiator);
	query_put_hex(o, "isid", n->isid, sizeof(n->isid));
	query_put_int(o, "group", n->tpgt);
	return o;
}

/* The first session behind (upper) or not before those of an initiator with a target. */
static unsigned bound(const struct query_sessions *q, const struct node *node,
		      const char *initiator, bool upper)
{
	unsigned lo = 0, hi = q->n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		const struct query_session *s = &q->v[mid];
		int d = s->node != node ? (s->node < node ? -1 : 1)
					: strcmp(s->nexus.initiator, initiator);

		if (d < 0 || (upper && d == 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* How many there are: in the order of query_sessions() they are one run. */
static unsigned sessions_of(const struct query_sessions *q, const struct node *node,
			    const char *initiator)
{
	return bound(q, node, initiator, true) - bound(q, node, initiator, false);
}

json_t *query_registrant_json(const struct pr_state *s, unsigned i)
{
	struct nexus who;
	char key[32];
	json_t *o;

	pr_nexus(s, i, &who);
	snprintf(key, sizeof(key), "0x%016llx", (unsigned long long)s->regs[i].key);
	o = query_nexus_json(&who);
	query_put_string(o, "key", key);
	query_put_bool(o, "holder", s->type != PR_NONE && pr_is_holder(s, i));
	return o;
}

static json_t *registrant_json(const struct query_pr *p, unsigned i, const struct query_sessions *q)
{
	const struct node *node = query_node(p->lu);
	json_t *o = query_registrant_json(p->pr, i);
	const struct query_session *s;
	struct nexus who;

	pr_nexus(p->pr, i, &who);
	s = query_session_of(q, node, &who);
	query_put_bool(o, "logged_in", s);
	query_put_string(o, "peer", s ? s->peer : NULL);
	query_put_int(o, "initiator_sessions", sessions_of(q, node, who.initiator));
	return o;
}

static json_t *pr_json(const struct query_pr *p, const struct query_sessions *q)
{
	json_t *o = query_lu_json(p->lu), *a = json_array();

	query_put_string(o, "state", p->state);
	query_put_int(o, "type", p->pr->type);
	query_put_string(o, "type_name", history_type_name(p->pr->type));
	/* SPC-4 table 205: LU_SCOPE is the only one there is. */
	query_put_string(o, "scope", p->pr->type ? "LU" : NULL);
	query_put_int(o, "generation", p->pr->generation);
	query_put_bool(o, "aptpl", p->pr->aptpl);
	json_object_set_new(o, "reserve6",
			    p->reserved6 ? query_nexus_json(&p->reserved6_by) : json_null());
	for (unsigned i = 0; i < p->pr->nregs; i++)
		json_array_append_new(a, registrant_json(p, i, q));
	json_object_set_new(o, "registrants", a);
	return o;
}

json_t *query_prs_json(const struct lu *only)
{
	struct query_sessions q;
	struct query_pr *v;
	json_t *o, *a;
	unsigned n;

	if (query_sessions(&q, false))
		return NULL;
	v = query_prs(only, &n);
	if (!v) {
		query_sessions_free(&q);
		return NULL;
	}
	o = json_object();
	a = json_array();
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, pr_json(&v[i], &q));
	json_object_set_new(o, "luns", a);
	query_prs_free(v, n);
	query_sessions_free(&q);
	return o;
}

/* ---- history --------------------------------------------------------------------------------- */

/* The last so many records, in a ring. */
struct tail {
	char **text;
	uint64_t n, cap;
};

static bool tail_take(void *arg, const struct journal_record *r)
{
	struct tail *t = arg;
	char **slot = &t->text[t->n++ % t->cap];

	free(*slot);
	*slot = strdup(r->json);
	return true;
}

/* The record as it was kept, with its time as it is shown. */
static json_t *record_json(const char *text)
{
	json_t *o = text ? json_loads(text, 0, NULL) : NULL;

	if (o)
		query_put_time(o, "time", (uint64_t)json_integer_value(json_object_get(o, "time")));
	return o;
}

static json_t *tail_json(struct tail *t)
{
	json_t *a = json_array();

	for (uint64_t i = t->n > t->cap ? t->n - t->cap : 0; i < t->n; i++)
		json_array_append_new(a, record_json(t->text[i % t->cap]));
	return a;
}

static json_t *history_json(const struct lu *lu, uint64_t last)
{
	struct tail t = { .cap = last };
	json_t *o = query_lu_json(lu);
	unsigned bad = 0;
	int err;

	t.text = calloc(t.cap, sizeof(*t.text));
	err = t.text ? journal_read(history_journal(lu), 0, tail_take, &t, &bad) : -ENOMEM;
	json_object_set_new(o, "changes", err ? json_array() : tail_json(&t));
	query_put_int(o, "damaged_lines", bad);
	query_put_int(o, "lost", journal_lost(history_journal(lu)));
	query_put_string(o, "error", err ? strerror(-err) : NULL);
	for (uint64_t i = 0; t.text && i < t.cap; i++)
		free(t.text[i]);
	free(t.text);
	return o;
}

json_t *query_history_json(const struct lu *only, uint64_t last)
{
	json_t *o = json_object(), *a = json_array();

	/* More than there can be. */
	if (last > 10 * JOURNAL_KEEP)
		last = 10 * JOURNAL_KEEP;
	for (unsigned i = 0; i < (only ? 1 : daemon_state.nlus); i++)
		json_array_append_new(a, history_json(only ? only : daemon_state.lus[i], last));
	json_object_set_new(o, "luns", a);
	return o;
}
