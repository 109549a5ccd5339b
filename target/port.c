/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reactor's view of a LU: subscription, publishes, drains, holds, and the hand-over of I/O to
 * the backend.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/table.h"
#include "target/conn.h"
#include "target/log.h"
#include "target/mutate.h"
#include "target/port.h"
#include "target/session.h"
#include "target/task.h"

void lu_port_init(struct lu_port *p, struct lu *lu, struct reactor *r)
{
	memset(p, 0, sizeof(*p));
	p->lu = lu;
	p->be = lu->be;
	p->reactor = r;
	CDS_INIT_LIST_HEAD(&p->gates);
	CDS_INIT_LIST_HEAD(&p->busy);
	CDS_INIT_LIST_HEAD(&p->starting);
	CDS_INIT_LIST_HEAD(&p->parked);
	CDS_INIT_LIST_HEAD(&p->drains);
	CDS_INIT_LIST_HEAD(&p->held);
}

struct lu_port *lu_port_use(struct lu *lu)
{
	struct lu_port *p = &lu->ports[reactor_index(reactor_self())];

	if (p->state == PORT_NONE) {
		p->state = PORT_ASKED;
		p->subscribe.fn = lu_subscribe;
		reactor_send(lu->home, &p->subscribe);
	}
	return p;
}

void lu_port_subscribed(struct msg *m)
{
	struct lu_port *p = caa_container_of(m, struct lu_port, subscribe);
	struct lun_gate *g;
	struct task *t, *tmp;

	p->value = p->first;
	p->first = NULL;
	p->state = PORT_LIVE;
	cds_list_for_each_entry(g, &p->gates, link) {
		gate_derive(&g->g, &p->value->v, &g->nexus->nexus);
		/* Of a publish that went out before we were known: the gate was here first. */
		g->g.ua |= lu_owed_take(&p->lu->owed, &g->nexus->nexus);
	}
	cds_list_for_each_entry_safe(t, tmp, &p->starting, wait) {
		cds_list_del_init(&t->wait);
		task_deliver(t);
	}
}

/* ---- drains --------------------------------------------------------------------------------- */

/*
 * The bytes a task touches, all of its units, the same from its first to its last: a drain counts
 * by it when it starts and when the task ends. UNMAP has its span not in the CDB but in
 * descriptors, which cmd.lba and nblocks walk along: the whole LU.
 */
static void task_range(const struct task *t, uint64_t *off, uint64_t *len)
{
	uint32_t block_size = t->gate->port->value->v.block_size;

	if (!(t->cmd.op->flags & OP_BLOCK)) {
		*off = 0;
		*len = UINT64_MAX;
		return;
	}
	*off = t->cmd.lba * block_size;
	*len = t->cmd.nblocks * block_size;
}

static bool overlaps(const struct task *t, uint64_t off, uint64_t len)
{
	uint64_t toff, tlen;

	task_range(t, &toff, &tlen);
	return ranges_overlap(toff, tlen, off, len);
}

static bool drain_covers(const struct drain *d, const struct task *t)
{
	if (d->kind == DRAIN_RANGE)
		return t->first_seq <= d->seq && overlaps(t, d->off, d->len);
	if (!t->pending || !t->in_busy || t->seq > d->seq ||
	    (MUTATION(MUT_NO_ORPHANS) && !t->session))
		return false;
	if (!io_changes_medium(t->io.op) && d->kind != DRAIN_OLD_SELF)
		return false;
	switch (d->kind) {
	case DRAIN_MARKED:
		return t->marked;
	case DRAIN_NEXUS:
	case DRAIN_OLD_SELF:
		return nexus_eq(&t->gate->nexus->nexus, d->nexus);
	default:
		return t == d->task;
	}
}

void drain_start(struct lu_port *p, struct drain *d)
{
	struct task *t;

	d->seq = p->seq;
	d->left = 0;
	cds_list_for_each_entry(t, &p->busy, busy)
		if (drain_covers(d, t))
			d->left++;
	if (!d->left) {
		d->done(d);
		return;
	}
	cds_list_add_tail(&d->link, &p->drains);
}

/* t's unit has ended (still marked pending), or with range set, t as a whole. */
static void drains_step(struct lu_port *p, const struct task *t, bool range)
{
	struct cds_list_head over;
	struct drain *d, *tmp;

	if (cds_list_empty(&p->drains))
		return;
	CDS_INIT_LIST_HEAD(&over);
	cds_list_for_each_entry_safe(d, tmp, &p->drains, link) {
		if ((d->kind == DRAIN_RANGE) != range || !drain_covers(d, t))
			continue;
		if (--d->left == 0) {
			cds_list_del(&d->link);
			cds_list_add_tail(&d->link, &over);
		}
	}
	cds_list_for_each_entry_safe(d, tmp, &over, link) {
		cds_list_del(&d->link);
		d->done(d);
	}
}

/* ---- publishes ------------------------------------------------------------------------------ */

static void publish_drained(struct drain *d)
{
	struct lu_port *p = caa_container_of(d, struct lu_port, note.drain);

	p->note.fx = NULL;
	p->note.rq = NULL;
	p->note.msg.fn = lu_publish_acked;
	reactor_send(p->lu->home, &p->note.msg);
}

static bool in_list(const struct nexus *list, uint32_t n, const struct nexus *who)
{
	for (uint32_t i = 0; i < n; i++)
		if (nexus_eq(&list[i], who))
			return true;
	return false;
}

/*
 * Aborts a gate's tasks. They answer TASK ABORTED when another nexus did it and TAS says so (SAM-5
 * 5.7).
 */
static void gate_abort(struct lun_gate *g, const struct lu_request *rq)
{
	bool self = rq->has_nexus && nexus_eq(&rq->nexus, &g->nexus->nexus);
	/*
	 * What the issuer of a reset had sent before it is gone already (tmf.c). What there is now
	 * came afterwards, and he waits for an answer to it.
	 */
	bool tell = self ? rq->kind != LU_CHANGE_CMD && !MUTATION(MUT_RESET_SILENT)
			 : g->port->value->v.modes.tas;
	struct task *t, *tmp;

	if (!g->session)
		return;
	gate_freeze(g);
	cds_list_for_each_entry_safe(t, tmp, &g->session->tasks, link)
		/*
		 * The change itself (PREEMPT AND ABORT, from a preempted nexus) is not aborted by
		 * what it does.
		 */
		if (t->gate == g && &t->change.rq != rq)
			task_abort(t, tell);
	gate_thaw(g);
}

void lu_port_publish(struct msg *m)
{
	struct lu_port *p = caa_container_of(m, struct lu_port, note.msg);
	const struct lu_fx *fx = p->note.fx;
	struct lu_ref *old = p->value;
	struct lun_gate *g;
	struct task *t;

	assert(p->state == PORT_LIVE);
	p->value = p->note.value;
	p->note.value = NULL;
	cds_list_for_each_entry(t, &p->busy, busy)
		t->marked = t->pending && io_changes_medium(t->io.op) &&
			(fx->abort_all || in_list(fx->abort, fx->nabort, &t->gate->nexus->nexus));
	cds_list_for_each_entry(g, &p->gates, link) {
		gate_derive(&g->g, &p->value->v, &g->nexus->nexus);
		for (uint32_t i = 0; i < fx->nua && g->session && !MUTATION(MUT_UA_LOST); i++)
			if (nexus_eq(&fx->ua[i].to, &g->nexus->nexus))
				g->g.ua |= lu_owed_take(&p->lu->owed, &g->nexus->nexus);
		if (!MUTATION(MUT_NO_ABORT) &&
		    (fx->abort_all || in_list(fx->abort, fx->nabort, &g->nexus->nexus)))
			gate_abort(g, p->note.rq);
	}
	/*
	 * A write in the backend whose nexus may no longer write: it ends first (DESIGN: the
	 * promise, (a)).
	 */
	cds_list_for_each_entry(t, &p->busy, busy)
		if (t->pending && io_changes_medium(t->io.op) &&
		    !(t->gate->g.access & 1u << PRC_WRITE))
			t->marked = true;
	lu_ref_put(old);
	p->note.drain.kind = DRAIN_MARKED;
	p->note.drain.done = publish_drained;
	if (MUTATION(MUT_NO_DRAIN))
		publish_drained(&p->note.drain);
	else
		drain_start(p, &p->note.drain);
}

/* ---- holds ---------------------------------------------------------------------------------- */

static void hold_drained(struct drain *d)
{
	struct hold_note *n = caa_container_of(d, struct hold_note, drain);

	if (n->quiet)
		return;
	n->msg.fn = lu_hold_acked;
	reactor_send(n->port->lu->home, &n->msg);
}

void lu_port_hold(struct msg *m)
{
	struct hold_note *n = caa_container_of(m, struct hold_note, msg);

	cds_list_add_tail(&n->link, &n->port->held);
	n->drain.kind = DRAIN_RANGE;
	n->drain.off = n->hold->off;
	n->drain.len = n->hold->len;
	n->drain.done = hold_drained;
	if (MUTATION(MUT_HOLD_AT_ONCE))
		hold_drained(&n->drain);
	else
		drain_start(n->port, &n->drain);
}

void lu_port_unhold(struct msg *m)
{
	struct hold_note *n = caa_container_of(m, struct hold_note, unmsg);
	struct lu_port *p = n->port;
	struct cds_list_head go;
	struct task *t, *tmp;

	cds_list_del(&n->link);
	n->unmsg.fn = lu_unhold_acked;
	reactor_send(p->lu->home, &n->unmsg);
	/* All of them try again, in order; those that still overlap a hold park again behind it. */
	CDS_INIT_LIST_HEAD(&go);
	cds_list_splice(&p->parked, &go);
	CDS_INIT_LIST_HEAD(&p->parked);
	cds_list_for_each_entry_safe(t, tmp, &go, wait) {
		cds_list_del_init(&t->wait);
		lu_port_submit(t, false);
	}
}

static bool held_against(const struct lu_port *p, const struct task *t)
{
	const struct hold_note *n;

	cds_list_for_each_entry(n, &p->held, link)
		if (n->hold != &t->hold && overlaps(t, n->hold->off, n->hold->len))
			return true;
	return false;
}

/* ---- I/O ------------------------------------------------------------------------------------ */

/* The initiator is told by a sense code that its administrator may never see. */
static void unit_failed(const struct task *t, const struct io_req *io)
{
	const struct lu *lu = t->gate->port->lu;
	const char *err = strerrorname_np(-io->result), *what = strerrordesc_np(-io->result);
	char why[48];

	/* That writes fail as well must not be lost among reads that have failed for long. */
	snprintf(why, sizeof(why), "%s %s", io_op_name(io->op), err ? err : "?");
	log_about(LOG_LEVEL_WARN, (NULL, NULL, lu->id.name, why),
		  "event=io_failed lun=%s op=%s off=%llu len=%llu err=%s msg=\"%s\" ini=%s",
		  lu->id.name, io_op_name(io->op), (unsigned long long)io->off,
		  (unsigned long long)io->len, err ? err : "?", what ? what : "?",
		  t->gate->nexus->nexus.initiator);
}

/* The backend is done with t's unit; what it says is in t->cmd.io. */
static void unit_ended(struct task *t)
{
	const struct io_req *io = &t->io;

	drains_step(t->gate->port, t, false);
	t->pending = false;
	t->gate->port->pending--;
	t->marked = false;
	t->cmd.io.result = io->result;
	t->cmd.io.answer = io->answer;
	if (io->result)
		unit_failed(t, io);
	/* VERIFY: between its units it is in nobody's way. */
	if (io->op == IO_READ && t->cmd.io.area == AREA_SCRATCH && t->hold.state == HOLD_NONE)
		lu_port_task_end(t);
}

static void unit_done(struct io_req *io)
{
	struct task *t = caa_container_of(io, struct task, io);

	unit_ended(t);
	if (!t->dead) {
		task_run(t, SCSI_EV_IO);
	} else {
		if (io->op == IO_FLUSH && io->result)
			t->cmd.flush_failed = true;	/* it is everybody's */
		task_complete(t);
	}
	task_put(t);
}

/*
 * A read of one unit, from the store's memory to the socket without a copy of ours. As long as the
 * memory is lent nothing comes between: no hold is granted to others (none is here now, and asking
 * for one takes a message), and what this reactor changes comes after conn_lent_end().
 */
static bool unit_lent(struct task *t)
{
	const struct scsi_io *sio = &t->cmd.io;
	struct lu_port *p = t->gate->port;

	if (sio->op != IO_READ || sio->area != AREA_IN || sio->len != t->cmd.need_in ||
	    !cds_list_empty(&p->held) || !t->session)
		return false;
	t->lent = backend_lend(p->be, sio->off, sio->len);
	if (t->lent && !conn_lend(t->session->conn))
		t->lent = NULL;
	if (!t->lent)
		return false;
	t->cmd.in = (uint8_t *)(uintptr_t)t->lent;
	t->cmd.io.result = 0;
	p->count[IO_READ].ios++;
	p->count[IO_READ].bytes += sio->len;
	return true;
}

bool lu_port_submit(struct task *t, bool at_once)
{
	struct lun_gate *g = t->gate;
	struct lu_port *p = g->port;
	struct scsi_io *sio = &t->cmd.io;
	struct io_req *io = &t->io;
	struct buf *b = sio->area == AREA_IN	? t->bin
			: sio->area == AREA_OUT ? t->bout
						: t->bscratch;

	/* What was parked, or waited for data, or is at its next unit, passes the gate again. */
	if (io_changes_medium(sio->op) && !MUTATION(MUT_GATE_ONCE) &&
	    !(MUTATION(MUT_PARKED_PASS) && t->state == TASK_PARKED) &&
	    !scsi_recheck(&t->cmd, &g->g)) {
		task_complete(t);
		return false;
	}
	if (io_changes_medium(sio->op))
		conn_lent_end();
	else if (at_once && unit_lent(t))
		return true;
	if (!t->in_busy && (sio->op == IO_READ || io_changes_medium(sio->op))) {
		if (!cds_list_empty(&p->held) && held_against(p, t)) {
			t->state = TASK_PARKED;
			p->parks++;
			cds_list_add_tail(&t->wait, &p->parked);
			return false;
		}
		cds_list_add_tail(&t->busy, &p->busy);
		t->in_busy = true;
		t->first_seq = p->seq + 1;
	}
	t->state = TASK_IO;
	t->pending = true;
	p->pending++;
	task_get(t);
	t->seq = ++p->seq;
	p->count[sio->op].ios++;
	p->count[sio->op].bytes += sio->len;
	io->op = sio->op;
	io->flags = sio->flags;
	io->off = sio->off;
	io->len = sio->len;
	io->buf = sio->area == AREA_NONE ? NULL : b->data + sio->area_off;
	io->done = unit_done;
	io->at_once = at_once;
	if (!backend_submit(p->be, io))
		return false;
	unit_ended(t);
	task_put(t);
	return true;
}

void lu_port_task_end(struct task *t)
{
	if (!t->in_busy)
		return;
	drains_step(t->gate->port, t, true);
	cds_list_del(&t->busy);
	t->in_busy = false;
}

/* ---- gates ---------------------------------------------------------------------------------- */

static void gate_reopened(struct drain *d)
{
	struct lun_gate *g = caa_container_of(d, struct lun_gate, reopen);

	g->closed = false;
	if (g->session)
		gate_kick(g);
	lun_gate_put(g);
}

void lun_gate_open(struct lun_gate *g, struct lu_port *p, struct session *s,
		   struct nexus_ref *nexus, uint64_t login_seq)
{
	g->port = p;
	g->session = s;
	g->nexus = nexus;
	g->witness = p->lu->id.witness;
	g->watched = p->lu->watch != NULL;
	nexus->refs++;
	g->refs = 1;
	g->g.seen = login_seq;
	CDS_INIT_LIST_HEAD(&g->dormant);
	cds_list_add_tail(&g->link, &p->gates);
	if (p->state == PORT_LIVE)
		gate_derive(&g->g, &p->value->v, &nexus->nexus);
	g->g.ua |= lu_owed_take(&p->lu->owed, &nexus->nexus);
	g->closed = true;
	g->refs++;
	g->reopen.kind = DRAIN_OLD_SELF;
	g->reopen.nexus = &nexus->nexus;
	g->reopen.done = gate_reopened;
	if (MUTATION(MUT_REOPEN_AT_ONCE))
		gate_reopened(&g->reopen);
	else
		drain_start(p, &g->reopen);
}

void lun_gate_put(struct lun_gate *g)
{
	if (--g->refs)
		return;
	cds_list_del(&g->link);
	nexus_ref_put(g->nexus);
	free(g);
}

void lun_gate_orphan(struct lun_gate *g)
{
	g->session = NULL;
	lu_owed_return(&g->port->lu->owed, &g->nexus->nexus, g->g.ua);
	lun_gate_put(g);
}

struct nexus_ref *nexus_ref_new(const struct nexus *n)
{
	struct nexus_ref *r = calloc(1, sizeof(*r));

	if (r) {
		r->refs = 1;
		r->nexus = *n;
	}
	return r;
}

void nexus_ref_put(struct nexus_ref *n)
{
	if (--n->refs)
		return;
	registry_put(n->entry);
	free(n);
}
