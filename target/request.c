/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the full feature phase: a table from opcode to what happens at the header and what
 * happens when its data has come.
 */
#include <stdlib.h>
#include <string.h>

#include "target/conn.h"
#include "target/log.h"
#include "target/xfer.h"

enum { OPCODE_PR_IN = 0x5e, OPCODE_PR_OUT = 0x5f };

/*
 * What a numbered request does once its turn has come; buf holds its data segment (len bytes).
 * False: it was rejected, and its CmdSN does not count as received (RFC 7143 7.3).
 */
typedef bool request_fn(struct conn *c, const uint8_t *hdr, struct buf *buf, uint32_t len);

static request_fn nop_out, text_req, logout_req, tmf_req;

/* Data of anything but SCSI commands and Data-Out goes to a buffer of its own. */
static void begin_buffered(struct conn *c, struct buf *(*what)(uint32_t))
{
	if (!c->rx.len)
		return;
	c->rx.buf = what(c->rx.len);
	if (!c->rx.buf)
		return;
	c->rx.dst = c->rx.buf->data;
	c->rx.room = c->rx.len;
}

/* ---- SCSI Command (11.3) -------------------------------------------------------------------- */

uint16_t request_lun(const uint8_t l[8])
{
	uint16_t lun = (uint16_t)((l[0] & 0x3f) << 8 | l[1]);

	if (get_be48(l + 2) || l[0] >> 6 > 1 || (!(l[0] >> 6) && l[0] & 0x3f) || lun > LUN_MAX)
		return LUN_MAX + 1;
	return lun;
}

/* An extended CDB (11.2.2.3) follows the 16 bytes in the header. False: an AHS we cannot take. */
static bool take_ahs(struct conn *c, struct task *t)
{
	const struct bhs *h = (const struct bhs *)c->rx.hdr;
	const uint8_t *p = c->rx.hdr + BHS_LEN;
	uint32_t left = h->ahs_len * 4u;

	while (left >= 4) {
		uint32_t len = get_be16(p), whole = (len + 3 + 3) & ~3u;

		if (whole > left)
			return false;
		if (p[2] == 1) {
			if (len < 1 || len - 1 > SCSI_CDB_MAX - 16)
				return false;
			memcpy(t->cmd.cdb + 16, p + 4, len - 1);
			t->cmd.cdb_len = (uint8_t)(16 + len - 1);
		}
		p += whole;
		left -= whole;
	}
	return true;
}

/*
 * How many commands one session may have on one LU: never the whole window, so that a hung LU
 * leaves room for others. A session that has addressed one only, as each disk of QEMU's initiator
 * has, leaves room for none; and QEMU with werror=stop pauses a guest with a scsi-block disk at any
 * status but GOOD.
 */
static unsigned lun_share(const struct session *s)
{
	unsigned n = daemon_state.cfg->limits.lun_commands;

	if (n)
		return n;
	return s->ngates > 1 ? s->window - s->window / 4 : s->window;
}

/*
 * What a node's own I/O on the LU must not keep away: HEAD OF QUEUE, and reservations, of which
 * there are few and on which the cluster's arbitration waits.
 */
static bool beyond_share(const struct task *t)
{
	return t->cmd.attr == ATTR_HEAD_OF_QUEUE || t->cmd.cdb[0] == OPCODE_PR_IN ||
	       t->cmd.cdb[0] == OPCODE_PR_OUT;
}

static void plan_data_out(struct conn *c, struct task *t)
{
	const struct bhs *h = (const struct bhs *)c->rx.hdr;
	const struct iscsi_params *p = &c->session->params;
	uint32_t first = p->first_burst < t->cmd.edtl ? p->first_burst : t->cmd.edtl;
	uint32_t room = t->cmd.edtl < SCSI_XFER_MAX ? t->cmd.edtl : SCSI_XFER_MAX;

	t->out.unsol_open = t->cmd.dir_out && !(h->flags & PDU_FINAL);
	t->out.unsol_end = first;
	if ((c->rx.len && (!p->immediate_data || !t->cmd.dir_out)) || c->rx.len > first ||
	    (t->out.unsol_open && p->initial_r2t)) {
		/*
		 * More than was negotiated: it is received, thrown away, and the command says so.
		 */
		t->out.bad = true;
		t->fault = sense_of(SENSE_UNEXPECTED_UNSOLICITED);
		return;
	}
	if (!c->rx.len && !t->out.unsol_open)
		return;
	t->bout = task_buf(t, room);
	if (!t->bout) {
		t->refuse = SAM_TASK_SET_FULL;
		return;
	}
	t->cmd.out = t->bout->data;
	c->rx.dst = t->bout->data;
	c->rx.room = room;
}

static void cmd_begin(struct conn *c)
{
	const struct bhs_scsi_cmd *h = (const struct bhs_scsi_cmd *)c->rx.hdr;
	struct session *s = c->session;
	struct task *t;

	/* A duplicate of a command under way is no second one with its tag: ignored (4.2.2.1). */
	if (session_ignores_cmdsn(s, be32_get(h->cmdsn), h->opcode & PDU_IMMEDIATE)) {
		c->rx.skip = true;
		return;
	}
	if (s->discovery || session_find_task(s, be32_get(h->itt))) {
		conn_reject(c, c->rx.hdr, s->discovery ? REJECT_PROTOCOL : REJECT_TASK_IN_PROGRESS);
		c->rx.skip = true;
		return;
	}
	/* They are outside of the window; as many again as it has may be. */
	if (h->opcode & PDU_IMMEDIATE && s->ntasks - s->inuse >= s->window) {
		conn_reject(c, c->rx.hdr, REJECT_TOO_MANY_IMMEDIATE);
		c->rx.skip = true;
		return;
	}
	t = task_new();
	if (!t) {
		c->rx.skip = true;
		conn_close(c, "out of memory");
		return;
	}
	c->rx.task = t;			/* the session's reference, until cmd_end hands it over */
	t->session = s;
	t->itt = be32_get(h->itt);
	t->cmdsn = be32_get(h->cmdsn);
	t->immediate = h->opcode & PDU_IMMEDIATE;
	memcpy(t->cmd.cdb, h->cdb, 16);
	t->cmd.cdb_len = 16;
	t->cmd.attr = h->flags & CMD_ATTR_MASK;
	t->cmd.dir_in = h->flags & CMD_READ;
	t->cmd.dir_out = h->flags & CMD_WRITE;
	t->cmd.edtl = h->flags & (CMD_READ | CMD_WRITE) ? be32_get(h->edtl) : 0;
	t->cmd.lun = request_lun(h->lun);
	t->cmd.nexus = &s->nexus->nexus;
	t->cmd.target = &s->node->scsi;
	t->gate = session_gate(s, t->cmd.lun);
	if (t->gate)
		t->gate->refs++;
	if (!take_ahs(c, t)) {
		conn_reject(c, c->rx.hdr, REJECT_INVALID_FIELD);
		c->rx.skip = true;
		return;
	}
	if (t->gate && t->gate->ntasks >= lun_share(s) && !beyond_share(t))
		t->refuse = SAM_TASK_SET_FULL;
	plan_data_out(c, t);
}

static void run_early(struct conn *c);

static void cmd_end(struct conn *c)
{
	struct session *s = c->session;
	struct task *t = c->rx.task;

	c->rx.task = NULL;
	t->out.got = t->out.asked = t->out.bad && !t->bout ? 0 : c->rx.len;
	s->bytes_in += c->rx.len;
	s->cmds++;
	switch (session_take_cmdsn(s, t->cmdsn, t->immediate)) {
	case CMDSN_IGNORE:
		task_put(t);
		return;
	case CMDSN_LATER:
		session_add_task(s, t);
		session_early(s, t->cmdsn, c->rx.hdr, t, NULL, 0);
		return;
	case CMDSN_NOW:
		session_add_task(s, t);
		task_deliver(t);
		run_early(c);
		return;
	}
}

/* ---- the others ----------------------------------------------------------------------------- */

static bool nop_out(struct conn *c, const uint8_t *hdr, struct buf *buf, uint32_t len)
{
	const struct bhs_nop_out *h = (const struct bhs_nop_out *)hdr;
	uint32_t max = c->session->params.max_recv_dsl;

	reactor_earns_nothing();
	if (c->session->discovery) { /* SendTargets and logout, nothing else (4.3) */
		buf_put(buf);
		conn_reject(c, hdr, REJECT_PROTOCOL);
		return false;
	}
	/* The answer to our ping, or a keep-alive: nothing to say. */
	if (be32_get(h->itt) == ISCSI_TAG_NONE) {
		buf_put(buf);
		return true;
	}
	reply_nop_in(c, be32_get(h->itt), ISCSI_TAG_NONE, h->lun, buf, len < max ? len : max);
	return true;
}

static bool tmf_req(struct conn *c, const uint8_t *hdr, struct buf *buf, uint32_t len)
{
	buf_put(buf);
	if (c->session->discovery) {
		conn_reject(c, hdr, REJECT_PROTOCOL);
		return false;
	}
	tmf_request(c, (const struct bhs_tmf_req *)hdr);
	return true;
}

enum { TEXT_OUT_CAP = 256 << 10 };	/* SendTargets: some 2,000 targets with a portal each */

static bool text_req(struct conn *c, const uint8_t *hdr, struct buf *buf, uint32_t len)
{
	struct session *s = c->session;
	struct login_env env;
	const char *text = NULL;
	uint32_t text_len = 0;
	uint8_t reason = REJECT_PROTOCOL;
	struct buf *said = NULL;
	struct bhs_text_rsp rsp;
	struct txd *d;

	if (len && !buf) {	/* no room for what it says (11.17.1) */
		conn_reject(c, hdr, REJECT_LONG_OPERATION);
		return false;
	}
	if (!s->text_out) {
		s->text_out = malloc(TEXT_OUT_CAP);
		if (!s->text_out) {
			buf_put(buf);
			conn_close(c, "out of memory");
			return true;
		}
		text_init(&s->text, s->text_out, TEXT_OUT_CAP);
	}
	conn_login_env(c, &env);
	memset(&rsp, 0, sizeof(rsp));
	if (text_request(&s->text, &env, s->discovery, s->nexus->nexus.initiator,
			 s->node ? s->node->cfg->name : NULL, &s->params,
			 (const struct bhs_text_req *)hdr, buf ? buf->data : NULL, len,
			 s->params.max_recv_dsl, &rsp, &text, &text_len, &reason) == TEXT_REJECT) {
		buf_put(buf);
		conn_reject(c, hdr, (enum iscsi_reject)reason);
		return false;
	}
	buf_put(buf);
	if (text_len)
		said = buf_aside(text_len);
	if (text_len && !said) {
		conn_close(c, "no buffer for text: too much of it waits to be read");
		return true;
	}
	d = conn_tx(c, SN_TAKE);
	memcpy(d->bhs, &rsp, BHS_LEN);
	if (said) {
		memcpy(said->data, text, text_len);
		d->buf = said;
		d->data = said->data;
		d->len = text_len;
	}
	conn_send(c, d);
	return true;
}

static bool logout_req(struct conn *c, const uint8_t *hdr, struct buf *buf, uint32_t len)
{
	const struct bhs_logout_req *h = (const struct bhs_logout_req *)hdr;
	uint8_t reason = h->flags & 0x7f;
	uint8_t rsp = LOGOUT_RSP_OK;

	buf_put(buf);
	if (reason == LOGOUT_RECOVERY)
		rsp = LOGOUT_RSP_NO_RECOVERY;
	else if (reason == LOGOUT_CONNECTION && be16_get(h->cid) != c->session->cid)
		rsp = LOGOUT_RSP_NO_CID;
	else if (reason > LOGOUT_RECOVERY) {
		conn_reject(c, hdr, REJECT_INVALID_FIELD);
		return false;
	}
	reply_logout(c, be32_get(h->itt), rsp);
	if (rsp == LOGOUT_RSP_OK) {
		c->why = "logout";
		c->session->logged_out = true;
		c->close_after_tx = true;
		/* If the initiator does not take the answer, the timer ends it all the same. */
		timer_arm(&c->timer, 2000);
	}
	return true;
}

static request_fn *request_of(uint8_t opcode)
{
	switch (opcode & 0x3f) {
	case OP_NOP_OUT: return nop_out;
	case OP_TMF_REQ: return tmf_req;
	case OP_TEXT_REQ: return text_req;
	case OP_LOGOUT_REQ: return logout_req;
	default: return NULL;
	}
}

/* Requests that waited for the one just served. */
static void run_early(struct conn *c)
{
	struct early *e;

	while (c->state == CONN_FULL && (e = session_early_next(c->session))) {
		request_fn *fn = request_of(e->hdr[0]);

		if (e->task && !e->task->dead)
			task_deliver(e->task);
		else if (!e->task && e->hdr[0] != 0xff && fn && !fn(c, e->hdr, e->buf, e->len))
			c->session->expcmdsn--;
		if (e->task)
			task_put(e->task);
		free(e);
	}
}

static void end_numbered(struct conn *c, request_fn *fn)
{
	const struct bhs_nop_out *h = (const struct bhs_nop_out *)c->rx.hdr;
	bool immediate = h->opcode & PDU_IMMEDIATE;
	const uint8_t *hdr = c->rx.hdr;
	struct buf *buf = c->rx.buf;

	c->rx.buf = NULL;
	switch (session_take_cmdsn(c->session, be32_get(h->cmdsn), immediate)) {
	case CMDSN_IGNORE:
		buf_put(buf);
		return;
	case CMDSN_LATER:
		session_early(c->session, be32_get(h->cmdsn), hdr, NULL, buf, c->rx.len);
		return;
	case CMDSN_NOW:
		if (!fn(c, hdr, buf, c->rx.len) && !immediate)
			c->session->expcmdsn--;
		run_early(c);
		return;
	}
}

void request_begin(struct conn *c)
{
	uint8_t op = c->rx.hdr[0] & 0x3f;

	if (c->close_after_tx) {	/* after logout, or a refusal, nothing is taken any more */
		c->rx.skip = true;
		return;
	}
	if (c->state == CONN_LOGIN) {
		/* 4.2.3: no answer before the login began; in its midst it is refused. */
		if (op != OP_LOGIN_REQ && !c->login->begun)
			conn_close(c, "not a login request before login");
		else
			begin_buffered(c, buf_need);
		return;
	}
	if (op == OP_SCSI_CMD)
		cmd_begin(c);
	else if (op == OP_DATA_OUT)
		xfer_data_out(c);
	else if (request_of(op))
		begin_buffered(c, buf_aside);
}

void request_end(struct conn *c, bool data_ok)
{
	uint8_t op = c->rx.hdr[0] & 0x3f;
	request_fn *fn = request_of(op);

	if (c->rx.skip)
		return;
	if (c->state == CONN_LOGIN) {
		conn_login(c);
		return;
	}
	if (!data_ok) {
		conn_reject(c, c->rx.hdr, REJECT_DATA_DIGEST);
		/*
		 * RFC 7143 7.8: the PDU is discarded, a command with its immediate data as well:
		 * its CmdSN is still expected, and it may be sent again. Only for Data-Out the
		 * command ends, in sense data.
		 */
		if (op != OP_DATA_OUT)
			return;
	}
	if (op == OP_SCSI_CMD)
		cmd_end(c);
	else if (op == OP_DATA_OUT)
		xfer_data_end(c, data_ok);
	else if (fn)
		end_numbered(c, fn);
	else
		conn_reject(c, c->rx.hdr, op == OP_SNACK	    ? REJECT_SNACK
			       : op == OP_LOGIN_REQ ? REJECT_PROTOCOL
						    : REJECT_NOT_SUPPORTED);
}
