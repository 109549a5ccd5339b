/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management (RFC 7143 4.2.4, 11.5; SAM-5 7). All of it is: abort what is not in the backend,
 * wait for what is, answer. The waiting is a drain (one nexus) or a change of the LU's value with
 * its publish (everyone).
 */
#include <stdlib.h>
#include <string.h>

#include "target/conn.h"
#include "target/log.h"
#include "target/mutate.h"
#include "target/xfer.h"

enum { TAGS_WAIT_MS = 1000 }; /* for the issuer's open transfer tags, then answer all the same */

struct tmf {
	struct cds_list_head link;	/* session->tmfs */
	struct session *session;	/* NULL: gone, nobody to answer */
	uint32_t itt;
	uint8_t function;
	bool draining;			/* the backend, or the LUs' homes, are still at it */
	bool refused;			/* a home had too many resets waiting */
	struct drain drain;
	struct timer tags;
	struct nexus_ref *nexus;
	struct node *node;
	unsigned nchanges;
	struct lu_change changes[];
};

static void tmf_free(struct tmf *m)
{
	if (m->session) {
		cds_list_del(&m->link);
		m->session->ntmfs--;
	}
	timer_cancel(&m->tags);
	nexus_ref_put(m->nexus);
	free(m);
}

struct cold {
	struct msg msg;
	struct node *node;
};

static void cold_conn(struct conn *c, void *arg)
{
	static const char why[] = "TARGET COLD RESET";

	if (!c->session || c->session->node != arg)
		return;
	if (!c->tx_head) {
		conn_close(c, why);
		return;
	}
	/* What is queued, the response to this very request for one, still goes out. */
	c->why = why;
	c->close_after_tx = true;
	timer_arm(&c->timer, 1000);
}

static void cold_here(struct msg *m)
{
	struct cold *k = caa_container_of(m, struct cold, msg);

	conn_each(cold_conn, k->node);
	free(k);
}

/* TARGET COLD RESET ends every session of the target (RFC 7143 11.5.1). */
static void cold_reset(struct node *node)
{
	for (unsigned i = 0; i < reactor_count(); i++) {
		struct cold *k = calloc(1, sizeof(*k));

		if (!k)
			return;
		k->node = node;
		k->msg.fn = cold_here;
		reactor_send(reactor_at(i), &k->msg);
	}
}

static void tmf_answer(struct tmf *m)
{
	if (m->draining)
		return;
	if (m->session) {
		/*
		 * Where the initiator did not ask for FastAbort it still owes the data of its open
		 * R2Ts; the answer waits for it, but not for long: the tags are dead, late data is
		 * consumed and cannot be taken for anything else.
		 */
		xfer_reap(m->session, TAGS_WAIT_MS);
		if (m->session->dead_tags && m->session->params.task_reporting != 2 && m->tags.fn &&
		    m->function < TMF_LU_RESET) {
			timer_arm(&m->tags, TAGS_WAIT_MS);
			return;
		}
		reply_tmf(m->session->conn, m->itt,
			  m->refused ? TMF_RSP_REJECTED : TMF_RSP_COMPLETE);
	}
	if (m->function == TMF_TARGET_COLD_RESET && !m->refused)
		cold_reset(m->node);
	tmf_free(m);
}

static void tags_waited(struct timer *t)
{
	struct tmf *m = caa_container_of(t, struct tmf, tags);

	m->tags.fn = NULL;
	if (m->session)
		xfer_reap(m->session, TAGS_WAIT_MS / 2);
	tmf_answer(m);
}

void tmf_tags_gone(struct session *s)
{
	struct tmf *m, *tmp;

	cds_list_for_each_entry_safe(m, tmp, &s->tmfs, link) {
		timer_cancel(&m->tags);
		tmf_answer(m);
	}
}

void tmf_session_gone(struct session *s)
{
	struct tmf *m, *tmp;

	cds_list_for_each_entry_safe(m, tmp, &s->tmfs, link) {
		cds_list_del(&m->link);
		timer_cancel(&m->tags);
		m->session = NULL;
		/* What it waits for will come, and free it. */
		if (!m->draining)
			tmf_free(m);
	}
	s->ntmfs = 0;
}

static void tmf_drained(struct drain *d)
{
	struct tmf *m = caa_container_of(d, struct tmf, drain);

	m->draining = false;
	tmf_answer(m);
}

static struct tmf *tmf_new(struct session *s, const struct bhs_tmf_req *h, unsigned nchanges)
{
	struct tmf *m = calloc(1, sizeof(*m) + nchanges * sizeof(m->changes[0]));

	if (!m)
		return NULL;
	m->session = s;
	m->node = s->node;
	m->itt = be32_get(h->itt);
	m->function = h->function & 0x7f;
	m->tags.fn = tags_waited;
	m->nexus = s->nexus;
	m->nexus->refs++;
	m->drain.done = tmf_drained;
	m->nchanges = nchanges;
	cds_list_add_tail(&m->link, &s->tmfs);
	s->ntmfs++;
	return m;
}

/* ---- one nexus ------------------------------------------------------------------------------ */

static void abort_task(struct conn *c, const struct bhs_tmf_req *h)
{
	struct session *s = c->session;
	struct task *t = session_find_task(s, be32_get(h->rtt));
	struct tmf *m;

	/* The LUN is part of what names a task (11.5.4): the tag on another LU is no task. */
	if (t && t->cmd.lun != request_lun(h->lun))
		t = NULL;
	if (!t) {
		/* Not here (yet): a command still on its way is aborted by its number (11.5.1). */
		uint32_t ref = be32_get(h->refcmdsn);
		bool skipped = sn_lt(ref, be32_get(h->cmdsn)) && session_skip_cmdsn(s, ref);

		reply_tmf(c, be32_get(h->itt), skipped ? TMF_RSP_COMPLETE : TMF_RSP_NO_TASK);
		return;
	}
	m = tmf_new(s, h, 0);
	if (!m) {
		reply_tmf(c, be32_get(h->itt), TMF_RSP_REJECTED);
		return;
	}
	m->draining = true;
	if (t->gate && t->pending && !MUTATION(MUT_ABORT_NO_DRAIN)) {
		struct lu_port *p = t->gate->port;

		task_abort(t, false);
		m->drain.kind = DRAIN_TASK;
		m->drain.task = t;
		drain_start(p, &m->drain);
		return;
	}
	task_abort(t, false);
	tmf_drained(&m->drain);
}

/* The issuer's own commands on a LU, as far as they were sent before: no answer (SAM-5 5.7). */
static void abort_own(struct session *s, struct lun_gate *g, const struct bhs_tmf_req *h)
{
	struct task *t, *tmp;

	gate_freeze(g);
	cds_list_for_each_entry_safe(t, tmp, &s->tasks, link)
		if (t->gate == g && sn_lt(t->cmdsn, be32_get(h->cmdsn) + 1))
			task_abort(t, false);
	gate_thaw(g);
}

/* ABORT TASK SET, and with TST=001b CLEAR TASK SET too: the task set of this nexus on one LU. */
static void abort_set(struct conn *c, const struct bhs_tmf_req *h, struct lun_gate *g)
{
	struct session *s = c->session;
	struct tmf *m = tmf_new(s, h, 0);

	if (!m) {
		reply_tmf(c, be32_get(h->itt), TMF_RSP_REJECTED);
		return;
	}
	abort_own(s, g, h);
	m->draining = true;
	m->drain.kind = DRAIN_NEXUS;
	m->drain.nexus = &m->nexus->nexus;
	if (MUTATION(MUT_ABORT_NO_DRAIN)) {
		tmf_drained(&m->drain);
		return;
	}
	drain_start(g->port, &m->drain);
}

/* ---- everyone ------------------------------------------------------------------------------- */

static void reset_done(struct lu_change *ch)
{
	/* The struct tmf is found through param, which a reset does not use otherwise. */
	struct tmf *m = (struct tmf *)(uintptr_t)ch->rq.param;

	m->refused |= ch->status == SAM_BUSY;	/* else it is done, whatever came of its flush */
	if (--m->nchanges)
		return;
	m->draining = false;
	tmf_answer(m);
}

static void gates_each(struct session *s, struct lu **lus, unsigned n,
		       void (*fn)(struct lun_gate *g))
{
	for (unsigned i = 0; i < n; i++) {
		struct lun_gate *g = session_gate_peek(s, lus[i]->id.lun);

		if (g)
			fn(g);
	}
}

static void reset(struct conn *c, const struct bhs_tmf_req *h, struct lu **lus, unsigned n,
		  enum lu_change_kind kind)
{
	const char *who = c->session->nexus->nexus.initiator;
	const char *target = c->session->node->cfg->name;
	struct tmf *m = tmf_new(c->session, h, n);
	const char *what;

	if (!m) {
		reply_tmf(c, be32_get(h->itt), TMF_RSP_REJECTED);
		return;
	}
	what = kind == LU_CHANGE_RESET			? "lu"
	       : m->function == TMF_TARGET_COLD_RESET	? "cold"
							: "warm";
	log_about(LOG_LEVEL_WARN, (NULL, who, target, what),
		  "event=reset kind=%s ini=%s target=%s luns=%u", what, who, target, n);
	m->draining = true;
	if (!n) {
		tmf_drained(&m->drain);
		return;
	}
	/*
	 * What he sent before goes here and now, without an answer. What he sends until home comes
	 * to the reset falls to it as well, but he cannot know that: gate_abort() tells him. None
	 * of them begins, or is asked for data, because another has ended.
	 */
	gates_each(c->session, lus, n, gate_freeze);
	for (unsigned i = 0; i < n; i++) {
		struct lun_gate *g = session_gate_peek(c->session, lus[i]->id.lun);

		if (g)
			abort_own(c->session, g, h);
	}
	gates_each(c->session, lus, n, gate_thaw);
	for (unsigned i = 0; i < n; i++) {
		struct lu_change *ch = &m->changes[i];

		ch->rq.kind = kind;
		ch->rq.has_nexus = true;
		ch->rq.nexus = c->session->nexus->nexus;
		ch->rq.param = (const uint8_t *)m;
		ch->done = reset_done;
		lu_change_submit(lus[i], ch);
	}
}

static void target_reset(struct conn *c, const struct bhs_tmf_req *h)
{
	struct node *node = c->session->node;
	struct lu *lus[LUN_MAX + 1];
	unsigned n = 0;

	for (unsigned i = 0; i < node->scsi.nluns; i++)
		lus[n++] = node->lus[node->scsi.luns[i]];
	reset(c, h, lus, n, LU_CHANGE_TARGET_RESET);
}

void tmf_request(struct conn *c, const struct bhs_tmf_req *h)
{
	struct session *s = c->session;
	uint8_t fn = h->function & 0x7f;
	struct lun_gate *g = NULL;

	if (s->ntmfs >= TMFS_MAX) {
		reply_tmf(c, be32_get(h->itt), TMF_RSP_REJECTED);
		return;
	}
	if (fn >= TMF_ABORT_TASK && fn <= TMF_LU_RESET && fn != TMF_CLEAR_ACA) {
		g = session_gate(s, request_lun(h->lun));
		if (!g && fn != TMF_ABORT_TASK) {
			reply_tmf(c, be32_get(h->itt), TMF_RSP_NO_LUN);
			return;
		}
	}
	switch (fn) {
	case TMF_ABORT_TASK:
		abort_task(c, h);
		return;
	case TMF_ABORT_TASK_SET:
	case TMF_CLEAR_TASK_SET:
		abort_set(c, h, g);
		return;
	case TMF_LU_RESET:
		reset(c, h, &g->port->lu, 1, LU_CHANGE_RESET);
		return;
	case TMF_TARGET_WARM_RESET:
	case TMF_TARGET_COLD_RESET:
		target_reset(c, h);
		return;
	case TMF_TASK_REASSIGN:
		reply_tmf(c, be32_get(h->itt), TMF_RSP_NO_REASSIGN);
		return;
	default:
		reply_tmf(c, be32_get(h->itt), TMF_RSP_NOT_SUPPORTED);
		return;
	}
}
