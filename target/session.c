/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: the CmdSN window, the tables of tasks and gates. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target/conn.h"
#include "target/log.h"
#include "target/presence.h"
#include "target/session.h"
#include "target/witness.h"

static unsigned hash_of(uint32_t itt)
{
	return (itt ^ itt >> 16) % TASK_HASH;
}

struct session *session_new(struct conn *c, const struct login *l, const struct nexus *n,
			    struct node *node, struct registry_entry *e)
{
	struct session *s = calloc(1, sizeof(*s));
	struct timespec now;

	if (!s)
		return NULL;
	s->nexus = nexus_ref_new(n);
	if (!s->nexus) {
		free(s);
		return NULL;
	}
	/*
	 * The nexus keeps the registry's entry: it outlives the session as long as I/O of it is in
	 * the backend.
	 */
	s->nexus->entry = e;
	s->node = node;
	s->conn = c;
	s->params = l->params;
	s->discovery = l->discovery;
	s->tsih = registry_tsih();
	s->cid = l->cid;
	memcpy(s->alias, l->alias, sizeof(s->alias) - 1);
	s->login_seq = event_seq_now();
	clock_gettime(CLOCK_REALTIME, &now);
	s->since_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	s->window = daemon_state.cfg->limits.commands;
	s->expcmdsn = l->cmdsn;
	s->maxcmdsn = s->expcmdsn + s->window - 1;
	CDS_INIT_LIST_HEAD(&s->early);
	CDS_INIT_LIST_HEAD(&s->tasks);
	CDS_INIT_LIST_HEAD(&s->want_r2t);
	CDS_INIT_LIST_HEAD(&s->tmfs);
	for (unsigned i = 0; i < TASK_HASH; i++)
		CDS_INIT_LIST_HEAD(&s->hash[i]);
	if (e)
		registry_set(e, s);
	__atomic_add_fetch(&daemon_state.nsessions, 1, __ATOMIC_RELAXED);
	presence_tell(s, true);
	return s;
}

void session_free(struct session *s, const char *why)
{
	const char *target = s->node ? s->node->cfg->name : "-";
	struct task *t, *tmp;
	struct early *e, *etmp;

	s->closing = true;
	tmf_session_gone(s);
	cds_list_for_each_entry_safe(e, etmp, &s->early, link) {
		cds_list_del(&e->link);
		buf_put(e->buf);
		if (e->task)
			task_put(e->task);
		free(e);
	}
	cds_list_for_each_entry_safe(t, tmp, &s->tasks, link)
		task_orphan(t);
	assert(cds_list_empty(&s->tasks));
	for (unsigned i = 0; i < GATE_PAGES; i++) {
		if (!s->gates[i])
			continue;
		for (unsigned k = 0; k < GATE_PAGE; k++) {
			if (!s->gates[i][k])
				continue;
			/* Behind a RESERVE that may still be on its way. */
			if (s->gates[i][k]->reserve6)
				lu_tell_nexus_lost(s->gates[i][k]->port->lu, &s->nexus->nexus);
			lun_gate_orphan(s->gates[i][k]);
		}
		free(s->gates[i]);
	}
	if (s->nexus->entry && registry_session(s->nexus->entry) == s) {
		registry_set(s->nexus->entry, NULL);
		/* Ended by us, by its own wish, or broken. */
		witness_logout(s->node, &s->nexus->nexus,
			       s->logged_out ||
				       __atomic_load_n(&daemon_state.stopping, __ATOMIC_RELAXED));
	}
	presence_tell(s, false);
	registry_tsih_put(s->tsih);
	__atomic_sub_fetch(&daemon_state.nsessions, 1, __ATOMIC_RELAXED);
	log_about(LOG_LEVEL_INFO, (NULL, s->nexus->nexus.initiator, target, why),
		  "event=logout ini=%s target=%s tsih=%u why=\"%s\"", s->nexus->nexus.initiator,
		  target, s->tsih, why ? why : "");
	nexus_ref_put(s->nexus);
	free(s->r2ts);
	free(s->text_out);
	free(s);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

struct task *session_find_task(struct session *s, uint32_t itt)
{
	struct task *t;

	cds_list_for_each_entry(t, &s->hash[hash_of(itt)], hash)
		if (t->itt == itt)
			return t;
	return NULL;
}

void session_add_task(struct session *s, struct task *t)
{
	t->session = s;
	cds_list_add_tail(&t->link, &s->tasks);
	cds_list_add_tail(&t->hash, &s->hash[hash_of(t->itt)]);
	s->ntasks++;
	t->counted = true;
	t->came_ns = reactor_now();
	if (!t->immediate) {
		s->inuse++;
		t->windowed = true;
	}
	if (t->gate)
		t->gate->ntasks++;
}

const struct task *session_oldest(const struct session *s, const struct lun_gate *g,
				  unsigned *looked)
{
	const struct task *t;

	cds_list_for_each_entry(t, &s->tasks, link) {
		++*looked;
		if (!g || t->gate == g)
			return t;
	}
	return NULL;
}

void session_del_task(struct session *s, struct task *t)
{
	if (!t->counted)
		return;
	t->counted = false;
	cds_list_del(&t->link);
	cds_list_del(&t->hash);
	s->ntasks--;
	if (t->windowed)
		s->inuse--;
	t->windowed = false;
	if (t->gate)
		t->gate->ntasks--;
}

/* ---- gates ---------------------------------------------------------------------------------- */

struct lun_gate *session_gate_peek(struct session *s, uint16_t lun)
{
	struct lun_gate **page = lun <= LUN_MAX ? s->gates[lun / GATE_PAGE] : NULL;

	return page ? page[lun % GATE_PAGE] : NULL;
}

struct lun_gate *session_gate(struct session *s, uint16_t lun)
{
	struct lun_gate *g = session_gate_peek(s, lun);
	struct lun_gate ***page;

	if (g || lun > LUN_MAX || !s->node || !s->node->lus[lun])
		return g;
	page = &s->gates[lun / GATE_PAGE];
	if (!*page)
		*page = calloc(GATE_PAGE, sizeof(**page));
	g = *page ? calloc(1, sizeof(*g)) : NULL;
	if (!g)
		return NULL;
	(*page)[lun % GATE_PAGE] = g;
	s->ngates++;
	lun_gate_open(g, lu_port_use(s->node->lus[lun]), s, s->nexus, s->login_seq);
	return g;
}

void session_mix(struct session *s)
{
	s->mixed = true;
	conn_keep_short(s->conn);
}

/* ---- CmdSN ---------------------------------------------------------------------------------- */

void session_window_update(struct session *s)
{
	uint32_t room = s->inuse < s->window ? s->window - s->inuse : 0;
	uint32_t max = s->expcmdsn + room - 1;

	/* Never shrinks (RFC 7143 4.2.2.1). */
	if (sn_lt(s->maxcmdsn, max))
		s->maxcmdsn = max;
}

static struct early *early_find(struct session *s, uint32_t cmdsn)
{
	struct early *e;

	cds_list_for_each_entry(e, &s->early, link)
		if (e->cmdsn == cmdsn)
			return e;
	return NULL;
}

bool session_ignores_cmdsn(struct session *s, uint32_t cmdsn, bool immediate)
{
	if (immediate)
		return false;
	return sn_lt(cmdsn, s->expcmdsn) || sn_lt(s->maxcmdsn, cmdsn) || early_find(s, cmdsn);
}

enum cmdsn_verdict session_take_cmdsn(struct session *s, uint32_t cmdsn, bool immediate)
{
	if (immediate)
		return CMDSN_NOW;
	if (session_ignores_cmdsn(s, cmdsn, false))
		return CMDSN_IGNORE;
	if (cmdsn == s->expcmdsn) {
		s->expcmdsn++;
		return CMDSN_NOW;
	}
	return CMDSN_LATER;
}

void session_early(struct session *s, uint32_t cmdsn, const void *hdr, struct task *t,
		   struct buf *buf, uint32_t len)
{
	struct early *e = calloc(1, sizeof(*e)), *pos;
	struct cds_list_head *at = &s->early;

	if (!e)
		abort();	/* bounded by the command window */
	e->cmdsn = cmdsn;
	if (hdr)
		memcpy(e->hdr, hdr, sizeof(e->hdr));
	else
		e->hdr[0] = 0xff;
	e->task = t;
	if (t)
		task_get(t);
	e->buf = buf;
	e->len = len;
	cds_list_for_each_entry(pos, &s->early, link)
		if (sn_lt(cmdsn, pos->cmdsn)) {
			at = &pos->link;
			break;
		}
	/* Before `at`: list order is CmdSN order. */
	cds_list_add_tail(&e->link, at);
}

struct early *session_early_next(struct session *s)
{
	struct early *e;

	if (cds_list_empty(&s->early))
		return NULL;
	e = cds_list_first_entry(&s->early, struct early, link);
	if (e->cmdsn != s->expcmdsn)
		return NULL;
	s->expcmdsn++;
	cds_list_del(&e->link);
	return e;
}

bool session_skip_cmdsn(struct session *s, uint32_t cmdsn)
{
	if (sn_lt(cmdsn, s->expcmdsn) || sn_lt(s->maxcmdsn, cmdsn) || early_find(s, cmdsn))
		return false;
	session_early(s, cmdsn, NULL, NULL, NULL, 0);
	return true;
}
