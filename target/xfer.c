/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "target/mutate.h"
#include "target/task.h"
#include "target/xfer.h"

/* Bytes a mixed session is asked for at once. */
enum { R2T_MIXED = 512 << 10 };

/*
 * Target transfer tags: slot number and generation. A tag of a dead task stays occupied until its
 * last Data-Out (F) came, so that task management can wait for it, but only for a while and only as
 * long as the slot is not needed: initiators that abort a command often send nothing more for it.
 * Whatever comes after that has an old generation and is consumed in silence as well.
 */
static void r2t_put(struct session *s, struct r2t *r)
{
	if (r->task)
		s->r2t_bytes -= r->end - r->off;
	r->used = false;
	r->task = NULL;
	r->free_next = s->r2t_free;
	s->r2t_free = (uint16_t)(r - s->r2ts);
}

void xfer_reap(struct session *s, unsigned ms)
{
	uint64_t now = reactor_now();

	for (unsigned i = 0; s->dead_tags && i < R2T_SLOTS; i++) {
		struct r2t *r = &s->r2ts[i];

		if (!r->used || r->task || now - r->dead_ns < ms * 1000000ull)
			continue;
		r2t_put(s, r);
		s->dead_tags--;
	}
}

static struct r2t *r2t_get(struct session *s)
{
	struct r2t *r;

	if (!s->r2ts) {
		s->r2ts = calloc(R2T_SLOTS, sizeof(*s->r2ts));
		if (!s->r2ts)
			return NULL;
		for (unsigned i = 0; i < R2T_SLOTS; i++)
			s->r2ts[i].free_next = (uint16_t)(i + 1);
		s->r2t_free = 0;
	}
	if (s->r2t_free == R2T_SLOTS && s->dead_tags)
		xfer_reap(s, 0);
	if (s->r2t_free == R2T_SLOTS)
		return NULL;
	r = &s->r2ts[s->r2t_free];
	s->r2t_free = r->free_next;
	/* 23 bits of generation above 8 bits of slot: never ffffffffh. */
	r->gen = (r->gen + 1) & 0x7fffff;
	r->ttt = r->gen << 8 | (uint32_t)(r - s->r2ts);
	r->used = true;
	return r;
}

static struct r2t *r2t_find(struct session *s, uint32_t ttt)
{
	struct r2t *r = s->r2ts ? &s->r2ts[ttt & (R2T_SLOTS - 1)] : NULL;

	return r && r->used && r->ttt == ttt ? r : NULL;
}

static bool is_witness(const struct task *t)
{
	return t->gate && t->gate->witness;
}

/*
 * On a session that carries a witness's commands as well, those stand in the initiator's queue
 * behind all the data it was asked for; so data waits, and a witness never does.
 */
static bool r2t_enough(const struct session *s, const struct task *t)
{
	return s->mixed && s->r2t_bytes >= R2T_MIXED && !MUTATION(MUT_ASK_ALL) &&
	       (!is_witness(t) || MUTATION(MUT_OWN_WAITS));
}

/* In the order they came, a witness's in front of the others. */
static void want(struct session *s, struct task *t)
{
	struct cds_list_head *at = &s->want_r2t;
	struct task *w;

	if (is_witness(t))
		cds_list_for_each_entry(w, &s->want_r2t, wait)
			if (!is_witness(w)) {
				at = &w->wait;
				break;
			}
	cds_list_add_tail(&t->wait, at);
}

void xfer_ask(struct task *t)
{
	struct session *s = t->session;

	if (!s || !t->out.wanted || t->out.unsol_open)
		return;
	while (t->out.r2ts < s->params.max_outstanding_r2t && t->out.asked < t->cmd.need_out) {
		uint32_t left = t->cmd.need_out - t->out.asked;
		struct r2t *r = r2t_enough(s, t) ? NULL : r2t_get(s);

		/* All tags in use by other commands: theirs end, and xfer_data_end() asks again. */
		if (!r) {
			if (cds_list_empty(&t->wait))
				want(s, t);
			return;
		}
		r->task = t;
		r->off = r->next = t->out.asked;
		r->end = t->out.asked + (left < s->params.max_burst ? left : s->params.max_burst);
		r->datasn = 0;
		s->r2t_bytes += r->end - r->off;
		t->out.asked = r->end;
		t->out.r2ts++;
		reply_r2t(t, r);
		t->out.r2tsn++;
	}
}

void xfer_wake(struct session *s)
{
	while (!s->closing && s->r2ts && !cds_list_empty(&s->want_r2t) &&
	       (s->r2t_free != R2T_SLOTS || s->dead_tags)) {
		struct task *w = cds_list_first_entry(&s->want_r2t, struct task, wait);

		/* Of a frozen gate it may be aborted next: gate_thaw() comes back. */
		if (r2t_enough(s, w) || (w->gate && w->gate->frozen))
			return;
		cds_list_del_init(&w->wait);
		xfer_ask(w);
	}
}

void xfer_forget(struct task *t)
{
	struct session *s = t->session;

	if (!s || !t->out.r2ts || !s->r2ts)
		return;
	for (unsigned i = 0; i < R2T_SLOTS; i++)
		if (s->r2ts[i].used && s->r2ts[i].task == t) {
			s->r2ts[i].task = NULL;
			s->r2t_bytes -= s->r2ts[i].end - s->r2ts[i].off;
			s->r2ts[i].dead_ns = reactor_now();
			s->dead_tags++;
		}
	t->out.r2ts = 0;
	xfer_wake(s);
}

static void rx_into(struct conn *c, struct task *t, uint32_t off)
{
	c->rx.task = t;
	task_get(t);
	if (!t->bout || off >= t->bout->size)
		return;
	c->rx.dst = t->bout->data + off;
	c->rx.room = t->bout->size - off;
}

/* A PDU is missing (RFC 7143 7.9): at ErrorRecoveryLevel 0 the task ends, once its data has come.
 */
static void sequence_error(struct task *t)
{
	t->out.bad = true;
	t->fault = sense_of(SENSE_PROTOCOL_CRC);
}

bool xfer_data_out(struct conn *c)
{
	const struct bhs_data_out *h = (const struct bhs_data_out *)c->rx.hdr;
	struct session *s = c->session;
	uint32_t ttt = be32_get(h->ttt), off = be32_get(h->offset), sn = be32_get(h->datasn),
		 len = c->rx.len;
	struct task *t;
	struct r2t *r;

	if (ttt != ISCSI_TAG_NONE) {
		r = r2t_find(s, ttt);
		if (!r)
			return true;	/* a tag we do not know (any more): consumed in silence */
		c->rx.r2t = r;
		t = r->task;
		if (!t)
			return true;
		if (be32_get(h->itt) != t->itt) { /* 7.6: whose data is it? */
			conn_close(c, "Data-Out with the transfer tag of another task");
			return false;
		}
		if (off != r->next || len > r->end - r->next) {
			conn_close(c, "Data-Out outside its R2T or out of order");
			return false;
		}
		if (sn != r->datasn)
			sequence_error(t);
		rx_into(c, t, off);
		return true;
	}
	t = session_find_task(s, be32_get(h->itt));
	if (!t || !t->out.unsol_open)
		return true;
	if (off != t->out.got || len > t->out.unsol_end - t->out.got) {
		conn_close(c, "unsolicited Data-Out beyond FirstBurstLength or out of order");
		return false;
	}
	if (sn != t->out.unsol_sn)
		sequence_error(t);
	rx_into(c, t, off);
	return true;
}

/* Less data than an R2T asked for, or less unsolicited data than FirstBurstLength (11.4.7.2). */
static void short_of(struct task *t)
{
	if (t->out.bad)
		return;
	t->out.bad = true;
	t->fault = sense_of(SENSE_NOT_ENOUGH_UNSOLICITED);
}

void xfer_data_end(struct conn *c, bool data_ok)
{
	const struct bhs_data_out *h = (const struct bhs_data_out *)c->rx.hdr;
	bool final = h->flags & PDU_FINAL;
	struct session *s = c->session;
	struct r2t *r = c->rx.r2t;
	struct task *t = c->rx.task;

	/* Dead since its header came, and given to another: nothing of this PDU counts. */
	if (r && (!r->used || r->ttt != be32_get(h->ttt)))
		return;
	if (r) {
		r->next += c->rx.len;
		r->datasn++;
		if (r->task && !final && r->next == r->end) {
			conn_close(c, "Data-Out without F where its R2T ends");
			return;
		}
		if (r->task && final && r->next != r->end)
			short_of(r->task);
		if (final || r->next >= r->end) {
			if (r->task)
				r->task->out.r2ts--;
			else if (--s->dead_tags == 0)
				tmf_tags_gone(s);
			r2t_put(s, r);
			xfer_wake(s);
		}
	}
	if (!t || t->dead)
		return;
	if (!data_ok) {
		/*
		 * RFC 7143 7.8: at ErrorRecoveryLevel 0 the task ends, after all its data has come.
		 */
		t->out.bad = true;
		t->fault = sense_of(SENSE_PROTOCOL_CRC);
	}
	t->out.got += c->rx.len;
	s->bytes_in += c->rx.len;
	if (!r) {
		t->out.unsol_sn++;
		if (final) {
			t->out.unsol_open = false;
			if (t->out.got != t->out.unsol_end)
				short_of(t);
		}
		t->out.asked = t->out.got;
	}
	task_data(t);
}
