/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks: their life from delivery to the response, carrying out what the step function says, and
 * the task set of a gate.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/table.h"
#include "target/conn.h"
#include "target/task.h"
#include "target/witness.h"
#include "target/xfer.h"

enum {
	OPCODE_PR_OUT = 0x5f,
	POOL_KEEP = 1024,
	UNITS_AT_ONCE = 4, /* of one command, if the store is so fast; then others come */
};

static __thread struct {
	struct task *free;	/* chained by ->session, which a free task does not need */
	unsigned n;
} pool;

struct task *task_new(void)
{
	struct task *t = pool.free;

	if (t) {
		pool.free = (struct task *)(void *)t->session;
		pool.n--;
	} else {
		t = malloc(sizeof(*t));
		if (!t)
			return NULL;
		t->hold.notes = NULL;
	}
	memset(&t->cmd, 0, sizeof(*t) - offsetof(struct task, cmd));
	t->io.pending = false;
	t->hold.state = HOLD_NONE;
	t->refs = 1;
	CDS_INIT_LIST_HEAD(&t->wait);
	return t;
}

void task_get(struct task *t)
{
	t->refs++;
}

/*
 * A nexus may hold a share of the daemon's buffers, so that one that does not read its answers
 * leaves room for the others; and as much of witnesses, whose commands do not wait for its data. A
 * page for PR OUT is there even then.
 */
struct buf *task_buf(struct task *t, uint32_t n)
{
	uint64_t *held = t->gate ? &t->gate->nexus->held[t->gate->witness] : NULL;
	bool pr_out = n <= BUF_MIN && t->cmd.cdb[0] == OPCODE_PR_OUT;
	struct buf *b;

	if (held && !pr_out && *held + n > buf_share())
		return NULL;
	b = pr_out || (n <= BUF_MIN && t->gate && t->gate->witness) ? buf_need(n) : buf_get(n);
	if (b && held)
		*held += b->size;
	return b;
}

static void task_buf_put(struct task *t, struct buf *b)
{
	if (b && t->gate)
		t->gate->nexus->held[t->gate->witness] -= b->size;
	buf_put(b);
}

void task_put(struct task *t)
{
	assert(t->refs > 0);
	if (--t->refs)
		return;
	assert(!t->in_busy && !t->pending);
	task_buf_put(t, t->bin);
	task_buf_put(t, t->bout);
	task_buf_put(t, t->bscratch);
	if (t->gate)
		lun_gate_put(t->gate);
	if (pool.n >= POOL_KEEP) {
		free(t->hold.notes);
		free(t);
		return;
	}
	t->session = (struct session *)(void *)pool.free;
	pool.free = t;
	pool.n++;
}

void task_trim(void)
{
	struct task *t;

	while ((t = pool.free)) {
		pool.free = (struct task *)(void *)t->session;
		free(t->hold.notes);
		free(t);
	}
	pool.n = 0;
}

/* ---- the task set (SAM-5 8.6, TST=001b) ----------------------------------------------------- */

/* SIMPLE and ORDERED tasks wait for older ones of HEAD OF QUEUE too (SAM-4 8.6.1, 8.6.2). */
static bool is_barrier(const struct task *t)
{
	return t->cmd.attr == ATTR_ORDERED || t->cmd.attr == ATTR_HEAD_OF_QUEUE;
}

static bool may_enable(const struct lun_gate *g, const struct task *t)
{
	if (g->closed || (g->barriers && t->cmd.attr != ATTR_HEAD_OF_QUEUE))
		return false;
	return t->cmd.attr != ATTR_ORDERED || !g->running;
}

/*
 * A witness's command. A session that looks around does not use it yet: from the first command for
 * its medium or its reservations on.
 */
static void witness_enabled(struct task *t)
{
	struct session *s = t->session;
	const struct scsi_op *op;
	bool bad_sa;

	if (t->gate->watched)
		t->begun_ns = reactor_now();
	if (s->mixed || s->node->lane || !daemon_state.cfg->witness.lane)
		return;
	op = scsi_op_find(t->cmd.cdb, &t->gate->port->value->v, &bad_sa);
	if (op && (op->flags & (OP_BLOCK | OP_WRITE) || op->pr == PRC_PR_IN ||
		   op->pr == PRC_PR_OUT || op->pr == PRC_RESERVE))
		session_mix(s);
}

static void task_enable(struct task *t)
{
	t->enabled = true;
	t->gate->running++;
	t->gate->barriers += is_barrier(t);
	if (t->gate->witness)
		witness_enabled(t);
	task_run(t, SCSI_EV_ARRIVED);
}

void gate_kick(struct lun_gate *g)
{
	/* A task that ends at once kicks again: the outer loop serves it. */
	if (g->kicking || g->frozen || !g->session || g->session->closing)
		return;
	g->kicking = true;
	while (!cds_list_empty(&g->dormant)) {
		struct task *t = cds_list_first_entry(&g->dormant, struct task, wait);

		if (!may_enable(g, t))
			break;
		cds_list_del_init(&t->wait);
		task_enable(t);
	}
	g->kicking = false;
}

void gate_freeze(struct lun_gate *g)
{
	g->frozen++;
}

void gate_thaw(struct lun_gate *g)
{
	if (--g->frozen)
		return;
	gate_kick(g);
	if (g->session)
		xfer_wake(g->session);
}

static void task_leave_set(struct task *t)
{
	struct lun_gate *g = t->gate;

	if (!t->enabled)
		return;
	t->enabled = false;
	g->running--;
	g->barriers -= is_barrier(t);
	gate_kick(g);
}

/* Through a closed gate goes what has nothing to do with the medium, where its attribute allows. */
static bool passes_closed(const struct lun_gate *g, const struct task *t)
{
	const struct scsi_op *op;
	bool bad_sa;

	if (t->cmd.attr == ATTR_ORDERED || (g->barriers && t->cmd.attr != ATTR_HEAD_OF_QUEUE))
		return false;
	op = scsi_op_find(t->cmd.cdb, &g->port->value->v, &bad_sa);
	return !op || !(op->flags & (OP_BLOCK | OP_WRITE));
}

void task_deliver(struct task *t)
{
	struct lun_gate *g = t->gate;

	if (t->refuse) {
		scsi_status(&t->cmd, t->refuse);
		task_complete(t);
		return;
	}
	if (!g) {
		task_run(t, SCSI_EV_ARRIVED);
		return;
	}
	if (g->port->state != PORT_LIVE) {
		t->state = TASK_STARTING;
		cds_list_add_tail(&t->wait, &g->port->starting);
		return;
	}
	if (g->closed ? passes_closed(g, t) : t->cmd.attr == ATTR_HEAD_OF_QUEUE ||
	    (cds_list_empty(&g->dormant) && may_enable(g, t))) {
		task_enable(t);
		return;
	}
	t->state = TASK_DORMANT;
	if (t->cmd.attr == ATTR_HEAD_OF_QUEUE)
		cds_list_add(&t->wait, &g->dormant);
	else
		cds_list_add_tail(&t->wait, &g->dormant);
}

/* ---- carrying out --------------------------------------------------------------------------- */

static bool need_buf(struct task *t, struct buf **b, uint8_t **p, uint32_t n)
{
	if (!n || *b) {
		assert(!n || (*b)->size >= n);
		return true;
	}
	*b = task_buf(t, n);
	if (!*b)
		return false;
	*p = (*b)->data;
	return true;
}

static bool need_buffers(struct task *t, bool out)
{
	struct scsi_cmd *c = &t->cmd;

	return need_buf(t, &t->bin, &c->in, c->need_in) &&
	       need_buf(t, &t->bscratch, &c->scratch, c->need_scratch) &&
	       (!out || need_buf(t, &t->bout, &c->out, c->need_out));
}

static void task_busy(struct task *t)
{
	scsi_status(&t->cmd, SAM_TASK_SET_FULL);
	task_complete(t);
}

static void hold_granted(struct lu_hold *h)
{
	struct task *t = caa_container_of(h, struct task, hold);

	if (t->dead)
		lu_hold_release(h);
	else
		task_run(t, SCSI_EV_HELD);
}

static void hold_released(struct lu_hold *h)
{
	struct task *t = caa_container_of(h, struct task, hold);

	h->state = HOLD_NONE;
	task_put(t);
}

static void task_hold(struct task *t)
{
	t->state = TASK_HOLDING;
	t->hold = (struct lu_hold){
		.port = t->gate->port,
		.off = t->cmd.hold_off,
		.len = t->cmd.hold_len,
		.granted = hold_granted,
		.released = hold_released,
		.notes = t->hold.notes,
	};
	task_get(t);
	lu_hold_ask(&t->hold);
}

static void change_done(struct lu_change *c)
{
	struct task *t = caa_container_of(c, struct task, change);

	if (!t->dead) {
		t->cmd.status = c->status;
		t->cmd.sense = c->sense;
		task_run(t, SCSI_EV_CHANGED);
	}
	task_put(t);
}

static void task_change(struct task *t)
{
	struct lu_request *rq = &t->change.rq;

	t->state = TASK_CHANGING;
	if (t->cmd.op->pr == PRC_RESERVE)
		t->gate->reserve6 = true;
	memset(&t->change, 0, sizeof(t->change));
	rq->kind = LU_CHANGE_CMD;
	rq->has_nexus = true;
	rq->nexus = t->gate->nexus->nexus;
	memcpy(rq->cdb, t->cmd.cdb, sizeof(rq->cdb));
	rq->cdb_len = t->cmd.cdb_len;
	rq->param = t->cmd.out;
	rq->param_len = t->cmd.need_out;
	t->change.done = change_done;
	task_get(t);
	lu_change_submit(t->gate->port->lu, &t->change);
}

void task_run(struct task *t, enum scsi_event ev)
{
	unsigned units = 0;

	for (;;) {
		const struct lu_value *v = t->gate ? &t->gate->port->value->v : NULL;

		switch (scsi_step(&t->cmd, v, t->gate ? &t->gate->g : NULL, ev)) {
		case SCSI_COMPLETE:
			task_complete(t);
			return;
		case SCSI_BUFFERS:
			if (!need_buffers(t, false)) {
				task_busy(t);
				return;
			}
			ev = SCSI_EV_READY;
			continue;
		case SCSI_GATHER:
			if (!need_buffers(t, true)) {
				task_busy(t);
				return;
			}
			t->state = TASK_GATHERING;
			t->out.wanted = true;
			task_data(t);
			return;
		case SCSI_IO:
			if (!need_buffers(t, false)) {
				task_busy(t);
				return;
			}
			if (!lu_port_submit(t, units++ < UNITS_AT_ONCE))
				return;
			ev = SCSI_EV_IO;
			continue;
		case SCSI_HOLD:
			task_hold(t);
			return;
		case SCSI_CHANGE:
			task_change(t);
			return;
		}
	}
}

void task_data(struct task *t)
{
	if (t->state != TASK_GATHERING || t->dead)
		return;
	if (t->out.bad && !t->out.unsol_open && !t->out.r2ts) {
		scsi_fail(&t->cmd, t->fault);
		task_complete(t);
		return;
	}
	if (t->out.got >= t->cmd.need_out && !t->out.unsol_open && !t->out.r2ts) {
		t->out.wanted = false;
		task_run(t, SCSI_EV_READY);
		return;
	}
	if (!t->out.bad)
		xfer_ask(t);
}

/* ---- the end -------------------------------------------------------------------------------- */

/* Everything a task holds except its memory; the session's reference is the caller's to drop. */
static void task_detach(struct task *t)
{
	if (!cds_list_empty(&t->wait))
		cds_list_del_init(&t->wait);
	xfer_forget(t);
	if (t->gate)
		lu_port_task_end(t);
	if (t->hold.state == HOLD_GRANTED)
		lu_hold_release(&t->hold);
	if (t->session)
		session_del_task(t->session, t);
}

static void failed_told(struct lu_change *c)
{
	struct task *t = caa_container_of(c, struct task, change);

	if (!t->dead)
		task_complete(t);
	task_put(t);
}

/* Once it is answered everyone's writes fail, after a restart too: home knows first. */
static void task_tell_failed(struct task *t)
{
	t->told_failed = true;
	memset(&t->change, 0, sizeof(t->change));
	t->change.rq.kind = LU_CHANGE_FAILED;
	t->change.done = failed_told;
	task_get(t);
	lu_change_submit(t->gate->port->lu, &t->change);
}

void task_complete(struct task *t)
{
	assert(!t->pending);
	if (t->cmd.flush_failed && t->gate && !t->told_failed) {
		task_tell_failed(t);
		if (!t->dead)
			return;
	}
	if (t->session && (!t->dead || t->tell)) {
		if (t->dead) {
			scsi_status(&t->cmd, SAM_TASK_ABORTED);
			t->cmd.in_len = 0;
		}
		if (t->gate && t->cmd.status == SAM_RESERVATION_CONFLICT)
			t->gate->port->conflicts++;
		t->state = TASK_SENDING;
		if (t->gate && t->gate->watched)
			witness_ended(t);
		reply_task(t);
	}
	t->dead = true;
	task_detach(t);
	if (t->gate)
		task_leave_set(t);
	task_put(t);
}

/* Nothing of it goes on but what the backend, or the LU's home, has begun. */
static void task_kill(struct task *t, bool tell)
{
	t->dead = true;
	t->tell = tell;
	if (t->state == TASK_CHANGING)
		__atomic_store_n(&t->change.cancelled, true, __ATOMIC_SEQ_CST);
}

void task_abort(struct task *t, bool tell)
{
	if (t->dead) {
		/* Aborted by another before, and now by its own nexus, who hears no more of it. */
		t->tell = t->tell && tell;
		return;
	}
	task_kill(t, tell);
	if (!t->pending)
		task_complete(t);
}

void task_orphan(struct task *t)
{
	task_kill(t, false);
	if (!t->pending) {
		task_complete(t);
		return;
	}
	/* It stays in its port's busy list, counted by drains, until the backend has ended. */
	xfer_forget(t);
	session_del_task(t->session, t);
	t->session = NULL;
}
