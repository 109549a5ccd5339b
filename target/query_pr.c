/* SPDX-License-Identifier: Apache-2.0 */
/* Reservations as JSON. The names here are promised in holdfast(8): add, never rename. */
#include <stdlib.h>
#include <string.h>

#include "pr/state.h"
#include "target/history.h"
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

static json_t *registrant_json(const struct query_pr *p, unsigned i, const struct query_sessions *q)
{
	const struct node *node = query_node(p->lu);
	const struct query_session *s;
	struct nexus who;
	char key[32];
	json_t *o;

	pr_nexus(p->pr, i, &who);
	s = query_session_of(q, node, &who);
	snprintf(key, sizeof(key), "0x%016llx", (unsigned long long)p->pr->regs[i].key);
	o = query_nexus_json(&who);
	query_put_string(o, "key", key);
	query_put_bool(o, "holder", pr_is_holder(p->pr, i));
	query_put_bool(o, "logged_in", s);
	query_put_string(o, "peer", s ? s->peer : NULL);
	query_put_int(o, "initiator_sessions", sessions_of(q, node, who.initiator));
	return o;
}

static json_t *pr_json(const struct query_pr *p, const struct query_sessions *q)
{
	json_t *o = query_lu_json(p->lu), *a = json_array();

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
