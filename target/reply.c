/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the target says: PDUs built into transmit descriptors. Sequence numbers and digests are
 * stamped when they are sent.
 */
#include <string.h>

#include "target/conn.h"
#include "target/mutate.h"

/* RFC 7143 11.4.5: which way, and by how much, what was wanted differs from what was expected. */
static uint32_t residual(const struct scsi_cmd *c, uint8_t *flags)
{
	if (c->want > c->edtl) {
		*flags |= RSP_OVERFLOW;
		return (uint32_t)(c->want - c->edtl);
	}
	if (c->want < c->edtl) {
		*flags |= RSP_UNDERFLOW;
		return (uint32_t)(c->edtl - c->want);
	}
	return 0;
}

/* On a session that carries both, what is a witness's goes ahead of the data. */
static void task_send(struct task *t, struct txd *d)
{
	struct conn *c = t->session->conn;

	if (t->session->mixed && t->gate && t->gate->witness && !MUTATION(MUT_NOT_AHEAD))
		conn_send_ahead(c, d);
	else
		conn_send(c, d);
}

static void reply_status(struct task *t)
{
	struct conn *c = t->session->conn;
	struct txd *d = conn_tx(c, SN_TAKE);
	struct bhs_scsi_rsp *h = (struct bhs_scsi_rsp *)d->bhs;
	uint8_t flags = PDU_FINAL;
	uint32_t res = residual(&t->cmd, &flags);

	h->opcode = OP_SCSI_RSP;
	h->flags = flags;
	h->status = t->cmd.status;
	h->itt = be32_of(t->itt);
	h->residual = be32_of(res);
	if (t->cmd.status == SAM_CHECK_CONDITION) {
		/*
		 * Sense goes behind a two-byte length (11.4.7.2); the buffer is page sized, so it
		 * always fits.
		 */
		bool desc = t->gate && t->gate->port->value->v.modes.d_sense;
		struct buf *b = buf_need(SENSE_MAX + 2);

		if (b) {
			size_t n = sense_format(&t->cmd.sense, desc, b->data + 2);

			put_be16(b->data, (uint16_t)n);
			d->buf = b;
			d->data = b->data;
			d->len = (uint32_t)n + 2;
		}
	}
	task_send(t, d);
}

/* The next Data-In of t, the status in the last one (RFC 7143 11.7). */
static struct txd *data_in(struct conn *c, struct task *t)
{
	const struct iscsi_params *p = &c->session->params;
	struct txd *d = conn_tx(c, SN_NONE);
	struct bhs_data_in *h = (struct bhs_data_in *)d->bhs;
	uint32_t left = t->in.len - t->in.pos;
	uint8_t flags = 0;

	d->data = t->cmd.in + t->in.pos;
	d->len = left < p->max_recv_dsl ? left : p->max_recv_dsl;
	/* A sequence is at most MaxBurstLength and ends with F. */
	if (d->len > p->max_burst - t->in.burst)
		d->len = p->max_burst - t->in.burst;
	d->task = t;
	task_get(t);
	h->opcode = OP_DATA_IN;
	h->itt = be32_of(t->itt);
	h->ttt = be32_of(ISCSI_TAG_NONE);
	h->datasn = be32_of(t->in.sn++);
	h->offset = be32_of(t->in.pos);
	t->in.pos += d->len;
	t->in.burst += d->len;
	d->more = t->in.pos < t->in.len;
	if (t->in.burst == p->max_burst || !d->more) {
		h->flags |= PDU_FINAL;
		t->in.burst = 0;
	}
	if (!d->more) {
		h->residual = be32_of(residual(&t->cmd, &flags));
		h->flags |= flags | DATAIN_STATUS;
		h->status = t->cmd.status;
		d->sn = SN_TAKE;
	}
	return d;
}

struct txd *reply_more(struct conn *c, const struct txd *d)
{
	return data_in(c, d->task);
}

void reply_task(struct task *t)
{
	struct session *s = t->session;

	t->in.len = t->cmd.in_len < t->cmd.edtl ? t->cmd.in_len : t->cmd.edtl;
	/* Data goes with GOOD only (scsi_status()): its last PDU carries the status then. */
	if (!t->in.len || !t->cmd.dir_in || t->cmd.status != SAM_GOOD) {
		reply_status(t);
		return;
	}
	s->bytes_out += t->in.len;
	task_send(t, data_in(s->conn, t));
}

void reply_r2t(struct task *t, struct r2t *r)
{
	struct conn *c = t->session->conn;
	struct txd *d = conn_tx(c, SN_PEEK);
	struct bhs_r2t *h = (struct bhs_r2t *)d->bhs;

	h->opcode = OP_R2T;
	h->flags = PDU_FINAL;
	h->lun[0] = (uint8_t)(t->cmd.lun >> 8 ? 0x40 | t->cmd.lun >> 8 : 0);
	h->lun[1] = (uint8_t)t->cmd.lun;
	h->itt = be32_of(t->itt);
	h->ttt = be32_of(r->ttt);
	h->r2tsn = be32_of(t->out.r2tsn);
	h->offset = be32_of(r->off);
	h->length = be32_of(r->end - r->off);
	task_send(t, d);
}

void reply_nop_in(struct conn *c, uint32_t itt, uint32_t ttt, const uint8_t lun[8],
		  struct buf *data, uint32_t len)
{
	/* Our own ping has ITT ffffffffh and takes no StatSN (11.19.1). */
	struct txd *d = conn_tx(c, itt == ISCSI_TAG_NONE ? SN_PEEK : SN_TAKE);
	struct bhs_nop_in *h = (struct bhs_nop_in *)d->bhs;

	h->opcode = OP_NOP_IN;
	h->flags = PDU_FINAL;
	memcpy(h->lun, lun, sizeof(h->lun));
	h->itt = be32_of(itt);
	h->ttt = be32_of(ttt);
	if (data) {
		d->buf = data;
		d->data = data->data;
		d->len = len;
	}
	conn_send(c, d);
}

void reply_tmf(struct conn *c, uint32_t itt, uint8_t response)
{
	struct txd *d = conn_tx(c, SN_TAKE);
	struct bhs_tmf_rsp *h = (struct bhs_tmf_rsp *)d->bhs;

	h->opcode = OP_TMF_RSP;
	h->flags = PDU_FINAL;
	h->response = response;
	h->itt = be32_of(itt);
	conn_send(c, d);
}

void reply_logout(struct conn *c, uint32_t itt, uint8_t response)
{
	struct txd *d = conn_tx(c, SN_TAKE);
	struct bhs_logout_rsp *h = (struct bhs_logout_rsp *)d->bhs;

	h->opcode = OP_LOGOUT_RSP;
	h->flags = PDU_FINAL;
	h->response = response;
	h->itt = be32_of(itt);
	if (c->session) {
		h->time2wait = be16_of(c->session->params.time2wait);
		h->time2retain = be16_of(c->session->params.time2retain);
	}
	conn_send(c, d);
}

void reply_async(struct conn *c, uint8_t event, uint16_t p1, uint16_t p2, uint16_t p3)
{
	struct txd *d = conn_tx(c, SN_TAKE);
	struct bhs_async *h = (struct bhs_async *)d->bhs;

	h->opcode = OP_ASYNC;
	h->flags = PDU_FINAL;
	h->ffffffff = be32_of(0xffffffffu);
	h->event = event;
	h->param1 = be16_of(p1);
	h->param2 = be16_of(p2);
	h->param3 = be16_of(p3);
	conn_send(c, d);
}

void conn_reject(struct conn *c, const uint8_t *hdr, enum iscsi_reject reason)
{
	struct txd *d = conn_tx(c, SN_TAKE);
	struct bhs_reject *h = (struct bhs_reject *)d->bhs;
	bool stranger = c->session && c->session->discovery;
	struct buf *b = stranger ? buf_aside(BHS_LEN) : buf_need(BHS_LEN);

	h->opcode = OP_REJECT;
	h->flags = PDU_FINAL;
	h->reason = (uint8_t)reason;
	h->ffffffff = be32_of(0xffffffffu);
	if (b) {
		/* The complete header of what is rejected (11.17). */
		memcpy(b->data, hdr, BHS_LEN);
		d->buf = b;
		d->data = b->data;
		d->len = BHS_LEN;
	}
	conn_send(c, d);
}
