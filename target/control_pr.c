/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the control socket about reservations. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pr/state.h"
#include "target/control_rq.h"
#include "target/history.h"
#include "target/pr_doc.h"
#include "target/presence.h"

enum { HISTORY_LAST = 100 }; /* changes of a LU that are shown, unless it is said how many */

static json_t *no_memory(void)
{
	return control_error("internal", NULL, "out of memory");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

json_t *control_pr_show(struct control_request *rq)
{
	return control_answer(query_prs_json(rq->lu));
}

json_t *control_pr_history(struct control_request *rq)
{
	return control_answer(query_history_json(rq->lu, rq->last ? (uint64_t)rq->last
								   : HISTORY_LAST));
}

json_t *control_pr_clear(struct control_request *rq)
{
	if (!rq->force)
		return control_needs_force("clearing the reservations of LUN %s lets every host "
					   "write it again", rq->lu);
	return control_change_begin(rq, LU_CHANGE_PR_CLEAR, false, NULL, NULL);
}

json_t *control_pr_after(const struct control_change *c)
{
	return query_prs_json(c->c.lu);
}

/* ---- export and import ----------------------------------------------------------------------- */

json_t *control_pr_export(struct control_request *rq)
{
	unsigned n;
	struct query_pr *q = query_prs(rq->lu, &n);
	json_t *doc;

	if (!q)
		return no_memory();
	doc = pr_doc_put(q->pr, &rq->lu->id, rq->lu->target);
	query_prs_free(q, n);
	if (!doc)
		return control_error("failed", NULL,
				     "a registrant's name is no UTF-8, so no document can be made");
	query_put_time(doc, "exported", now_ns());
	return control_answer(doc);
}

json_t *control_pr_import(struct control_request *rq)
{
	struct pr_state *pr;
	char err[700];

	if (!rq->force)
		return control_needs_force("importing replaces all registrations and the "
					   "reservation of LUN %s", rq->lu);
	pr = malloc(pr_state_max());
	if (!pr)
		return no_memory();
	if (!pr_doc_get(rq->document, &rq->lu->id, rq->lu->target, pr, err, sizeof(err))) {
		free(pr);
		return control_error("bad_document", "nothing was changed; 'holdfast pr export' "
				     "shows how a document looks", "the document: %s", err);
	}
	return control_change_begin(rq, LU_CHANGE_PR_IMPORT, false, pr, NULL);
}

/* ---- prune ----------------------------------------------------------------------------------- */

struct prune {
	const struct control_request *rq;
	const struct query_pr *q;
	struct query_sessions sessions;
	struct presence *presence;
	struct pr_state *gone;
	json_t *pruned, *kept;
};

static json_t *prune_json(const struct lu *lu, bool dry_run, json_t *pruned, json_t *kept)
{
	json_t *o = query_lu_json(lu);

	query_put_bool(o, "dry_run", dry_run);
	json_object_set_new(o, "pruned", pruned);
	json_object_set_new(o, "kept", kept);
	return o;
}

/* Why a registration stays, or NULL. */
static const char *prune_keeps(const struct prune *p, unsigned i, bool known, uint64_t seen)
{
	uint64_t age = (uint64_t)p->rq->older_than, now = now_ns();

	if (p->q->pr->type != PR_NONE && pr_is_holder(p->q->pr, i) && !p->rq->holder)
		return "holder";
	if (age && !known)
		return "unknown";
	return age && (now < seen || (now - seen) / 1000000000 < age) ? "recent" : NULL;
}

static void prune_look(struct prune *p, unsigned i)
{
	const struct node *node = query_node(p->rq->lu);
	const struct pr_state *s = p->q->pr;
	const char *why;
	struct nexus n;
	uint64_t seen;
	bool known;
	json_t *o;

	pr_nexus(s, i, &n);
	if (query_session_of(&p->sessions, node, &n))
		return;
	known = presence_seen(p->presence, node->cfg->name, &n, &seen);
	why = prune_keeps(p, i, known, seen);
	o = query_registrant_json(s, i);
	if (known)
		query_put_time(o, "last_seen", seen);
	else
		json_object_set_new(o, "last_seen", json_null());
	if (why) {
		query_put_string(o, "why", why);
		json_array_append_new(p->kept, o);
		return;
	}
	json_array_append_new(p->pruned, o);
	/* As many as there are fit. */
	(void)pr_add(p->gone, &n, s->regs[i].key);
}

/*
 * A nexus that logs in from now on to when the change is made loses its registration all the same:
 * home knows no sessions. It is told, as each one is.
 */
static json_t *prune_do(struct control_request *rq, struct prune *p)
{
	json_t *plan;

	for (unsigned i = 0; i < p->q->pr->nregs; i++)
		prune_look(p, i);
	plan = prune_json(rq->lu, rq->dry_run, p->pruned, p->kept);
	if (rq->dry_run || !p->gone->nregs) {
		free(p->gone);
		return control_answer(plan);
	}
	return control_change_begin(rq, LU_CHANGE_PR_PRUNE, rq->holder, p->gone, plan);
}

json_t *control_pr_prune(struct control_request *rq)
{
	struct prune p = { .rq = rq };
	struct query_pr *q;
	json_t *a;
	unsigned n;

	if (!rq->force && !rq->dry_run)
		return control_needs_force("pruning removes registrations of LUN %s for good "
					   "(\"dry_run\": true, --dry-run, shows which)", rq->lu);
	q = query_prs(rq->lu, &n);
	p.q = q;
	p.gone = malloc(pr_state_max());
	if (!q || !p.gone || query_sessions(&p.sessions, false)) {
		free(p.gone);
		query_prs_free(q, n);
		return no_memory();
	}
	/* Later than the sessions: who has none then, and what is known about him. */
	p.presence = presence_load();
	p.pruned = json_array();
	p.kept = json_array();
	pr_copy(p.gone, pr_none);
	a = prune_do(rq, &p);
	presence_free(p.presence);
	query_sessions_free(&p.sessions);
	query_prs_free(q, n);
	return a;
}

static bool registered(const struct pr_state *s, const struct pr_state *gone, unsigned i)
{
	struct nexus n;
	int k;

	pr_nexus(gone, i, &n);
	k = pr_find(s, &n);
	return k >= 0 && s->regs[k].key == gone->regs[i].key;
}

/* The plan, without those that became the holder meanwhile, or registered again. */
json_t *control_pr_pruned(const struct control_change *c)
{
	json_t *pruned = json_object_get(c->plan, "pruned");
	unsigned n;
	struct query_pr *q = query_prs(c->c.lu, &n);

	if (!q)
		return NULL;
	for (unsigned i = c->pr->nregs; i-- > 0; )
		if (registered(q->pr, c->pr, i))
			json_array_remove(pruned, i);
	query_prs_free(q, n);
	return json_incref(c->plan);
}
