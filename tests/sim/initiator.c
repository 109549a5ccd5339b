/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fake initiators: login, commands, data, task management, sudden ends. What leaves the daemon is
 * looked at by the oracle at that moment, and by the initiator when it arrives.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/initiator.h"

struct path *paths[PATHS_MAX];
unsigned npaths;

static struct link *links;
static bool quiet;

/* A PDU on its way to the initiator. */
struct parcel {
	struct link *l;
	size_t len;
	union {
		uint8_t b[BHS_LEN];
		struct bhs h;
		struct bhs_login_rsp login;
		struct bhs_scsi_rsp rsp;
		struct bhs_data_in in;
		struct bhs_r2t r2t;
		struct bhs_tmf_rsp tmf;
		struct bhs_nop_in nop;
	};
};

int path_find(const struct nexus *n)
{
	for (unsigned i = 0; i < npaths; i++)
		if (nexus_eq(&paths[i]->nexus, n))
			return (int)i;
	return -1;
}

const struct nexus *path_nexus(const struct path *p)
{
	return &p->nexus;
}

unsigned path_no(const struct path *p)
{
	return p->index;
}

const char *path_name(const struct path *p)
{
	return p->name;
}

uint64_t path_up_at(const struct path *p)
{
	return p->up_at;
}

uint32_t path_session(const struct path *p)
{
	return p->session;
}

struct cmd *path_cmds(const struct path *p)
{
	return p->cmds;
}

void path_cmd_over(struct path *p, unsigned lun)
{
	assert(p->active && p->active_on[lun]);
	p->active--;
	p->active_on[lun]--;
}

bool path_ghost(const struct path *p)
{
	for (const struct link *l = links; l; l = l->next)
		if (l->p == p && l->dead && !vsock_closed(l->s))
			return true;
	return false;
}

static void think(void *arg, uint64_t session);
static void reconnect(void *arg, uint64_t n);

/* ---- sessions ---- */

static struct link *link_new(struct path *p)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		abort();
	l->p = p;
	l->s = vsock_new(p);
	l->next = links;
	links = l;
	return l;
}

static void link_end(struct link *l, bool reset)
{
	l->dead = true;
	vsock_shut(l->s, reset);
	vsock_forget(l->s);
}

static void lost(struct path *p)
{
	p->tmf.pending = false;
	oracle_session_lost(p);
	assert(!p->active);
}

static void down(struct path *p)
{
	p->state = PATH_DOWN;
	p->link = NULL;
	event_in(rnd_delay(5 * world.think_mean) + 100 * US, false, reconnect, p, 0);
}

static void send_pdu(struct path *p, void *hdr, const void *data, uint32_t len)
{
	struct bhs *h = hdr;
	uint32_t pad = -len & 3;
	uint8_t *b = calloc(1, BHS_LEN + len + pad);

	if (!b)
		abort();
	h->data_len = be24_of(len);
	memcpy(b, hdr, BHS_LEN);
	if (len)
		memcpy(b + BHS_LEN, data, len);
	vsock_send(p->link->s, b, BHS_LEN + len + pad);
	free(b);
}

static void login(struct path *p)
{
	char text[1024];
	struct bhs_login_req h;
	int n;

	p->immediate = rnd_chance(700);
	p->initial_r2t = rnd_chance(500);
	p->fast_abort = rnd_chance(300);
	p->first_burst = (uint32_t)rnd_between(1, 4) * 512;
	p->max_burst = p->first_burst + (uint32_t)rnd_below(5) * 512;
	p->max_recv = (uint32_t)rnd_between(1, 8) * 1024;
	if (world.big || world.crowded) {
		p->max_burst = 262144;
		p->max_recv = 65536;
	}
	n = snprintf(
		text, sizeof(text),
		"InitiatorName=%s\nSessionType=Normal\nTargetName=iqn.2026-11.com.example:sim\n"
		"HeaderDigest=None\nDataDigest=None\nInitialR2T=%s\nImmediateData=%"
		"s\nMaxBurstLength=%u\n"
		"FirstBurstLength=%u\nMaxRecvDataSegmentLength=%u\nMaxOutstandingR2T=%"
		"u\nErrorRecoveryLevel=0\n%s",
		p->nexus.initiator, p->initial_r2t ? "Yes" : "No", p->immediate ? "Yes" : "No",
		p->max_burst, p->first_burst, p->max_recv, (unsigned)rnd_between(1, 3),
		p->fast_abort ? "TaskReporting=FastAbort\n" : "");
	for (int i = 0; i < n; i++)
		if (text[i] == '\n')
			text[i] = 0;
	memset(&h, 0, sizeof(h));
	h.opcode = OP_LOGIN_REQ | PDU_IMMEDIATE;
	h.flags = LOGIN_TRANSIT | STAGE_OPERATIONAL << 2 | STAGE_FULL_FEATURE;
	memcpy(h.isid, p->nexus.isid, 6);
	h.itt = be32_of(++p->itt);
	p->cmdsn = (uint32_t)rnd_below(1000);
	h.cmdsn = be32_of(p->cmdsn);
	send_pdu(p, &h, text, (uint32_t)n);
}

static void connect_now(struct path *p)
{
	p->link = link_new(p);
	p->state = PATH_LOGIN;
	path_connect(p, p->link->s);
	login(p);
}

static void reconnect(void *arg, uint64_t n)
{
	struct path *p = arg;

	if (p->state != PATH_DOWN || quiet)
		return;
	if (!daemon_up()) {
		event_in(rnd_delay(5 * MS) + 100 * US, false, reconnect, p, 0);
		return;
	}
	connect_now(p);
}

/* Gives its session up, one way or another; or begins a new one over it. */
static void path_drop(struct path *p)
{
	unsigned how = (unsigned)rnd_below(3);

	TRACE("%s %s its session", p->name, how == 0 ? "replaces" : how == 1 ? "resets" : "closes");
	if (how == 0 && !p->old) {
		p->old = p->link;
		connect_now(p);
		return;
	}
	link_end(p->link, how == 1);
	lost(p);
	down(p);
}

/* ---- sending ---- */

static void send_data(struct path *p, const struct cmd *c, uint32_t ttt, uint32_t off, uint32_t end)
{
	uint32_t sn = 0;

	while (off < end) {
		struct bhs_data_out h;
		uint32_t n = end - off;

		if (n > 512 && rnd_chance(300))
			n = 512 * (1 + (uint32_t)rnd_below(n / 512));
		memset(&h, 0, sizeof(h));
		h.opcode = OP_DATA_OUT;
		h.flags = off + n == end ? PDU_FINAL : 0;
		h.itt = be32_of(c->itt);
		h.ttt = be32_of(ttt);
		h.datasn = be32_of(sn++);
		h.offset = be32_of(off);
		send_pdu(p, &h, c->out + off, n);
		off += n;
	}
}

static void lun_put(uint8_t l[8], unsigned lun)
{
	memset(l, 0, 8);
	l[1] = (uint8_t)lun;
}

static void send_cmd(struct path *p, struct cmd *c)
{
	struct bhs_scsi_cmd h;
	uint32_t unsol = c->out_len < p->first_burst ? c->out_len : p->first_burst, imm = 0;
	bool more;

	c->itt = ++p->itt;
	c->cmdsn = c->immediate ? p->cmdsn : p->cmdsn++;
	c->session = p->session;
	c->sent = sim_now;
	c->next = p->cmds;
	p->cmds = c;
	p->active++;
	p->active_on[c->lun]++;
	if (p->immediate && rnd_chance(800))
		imm = unsol;
	if (imm > 512 && rnd_chance(300))
		imm = 512;
	more = !p->initial_r2t && unsol > imm && rnd_chance(700);
	memset(&h, 0, sizeof(h));
	h.opcode = (uint8_t)(OP_SCSI_CMD | (c->immediate ? PDU_IMMEDIATE : 0));
	h.flags = (uint8_t)((more ? 0 : PDU_FINAL) | (c->out_len ? CMD_WRITE : 0) |
			    (c->in_len ? CMD_READ : 0) | c->attr);
	lun_put(h.lun, c->lun);
	h.itt = be32_of(c->itt);
	h.edtl = be32_of(c->out_len ? c->out_len : c->in_len);
	h.cmdsn = be32_of(c->cmdsn);
	memcpy(h.cdb, c->cdb, 16);
	oracle_sent(c);
	TRACE("%s sends itt %x lun %u: cdb %02x/%02x blocks %llu+%llu", p->name, c->itt, c->lun,
	      c->cdb[0], c->cdb[1], (unsigned long long)c->lba, (unsigned long long)c->nblocks);
	send_pdu(p, &h, c->out, imm);
	c->stream_end = vsock_sent(p->link->s);
	if (more)
		send_data(p, c, ISCSI_TAG_NONE, imm, unsol);
	c->unasked_end = vsock_sent(p->link->s);
}

static struct cmd *any_active(struct path *p)
{
	struct cmd *found = NULL;
	unsigned n = 0;

	for (struct cmd *c = p->cmds; c; c = c->next)
		if (!c->over && rnd_below(++n) == 0)
			found = c;
	return found;
}

static void send_tmf(struct path *p)
{
	static const uint8_t functions[] = {
		TMF_ABORT_TASK,	       TMF_ABORT_TASK,	      TMF_ABORT_TASK,
		TMF_ABORT_TASK_SET,    TMF_ABORT_TASK_SET,    TMF_CLEAR_TASK_SET,
		TMF_LU_RESET,	       TMF_LU_RESET,	      TMF_LU_RESET,
		TMF_TARGET_WARM_RESET, TMF_TARGET_COLD_RESET,
	};
	struct bhs_tmf_req h;
	struct cmd *c = NULL;

	p->tmf.function = functions[rnd_below(sizeof(functions) - (rnd_chance(700) ? 2 : 0))];
	p->tmf.lun = rnd_chance(700) ? world.favourite : (unsigned)rnd_below(LUNS);
	memset(&h, 0, sizeof(h));
	if (p->tmf.function == TMF_ABORT_TASK) {
		c = any_active(p);
		if (!c)
			return;
		p->tmf.lun = c->lun;
		h.rtt = be32_of(c->itt);
		h.refcmdsn = be32_of(c->cmdsn);
	} else {
		h.rtt = be32_of(ISCSI_TAG_NONE);
	}
	p->tmf.cmd = c;
	p->tmf.pending = true;
	p->tmf.consumed = false;
	p->tmf.itt = ++p->itt;
	h.opcode = OP_TMF_REQ | PDU_IMMEDIATE;
	h.function = PDU_FINAL | p->tmf.function;
	lun_put(h.lun, p->tmf.lun);
	h.itt = be32_of(p->tmf.itt);
	h.cmdsn = be32_of(p->cmdsn);
	TRACE("%s sends task management %u, lun %u, task %x", p->name, p->tmf.function, p->tmf.lun,
	      c ? c->itt : 0);
	send_pdu(p, &h, NULL, 0);
	p->tmf.stream_end = vsock_sent(p->link->s);
}

static void think(void *arg, uint64_t session)
{
	struct path *p = arg;

	if (p->session != session || p->state != PATH_UP)
		return;
	event_in(rnd_delay(world.think_mean) + US, false, think, p, session);
	if (quiet)
		return;
	if (rnd_chance(world.drop_share)) {
		path_drop(p);
		return;
	}
	if (!p->tmf.pending && rnd_chance(world.tmf_share)) {
		send_tmf(p);
		return;
	}
	for (unsigned n = 1 + (unsigned)rnd_below(3); n; n--)
		if ((int32_t)(p->maxcmdsn - p->cmdsn) >= 0) {
			struct cmd *c = command_new(p);

			if (p->active_on[c->lun] < (world.crowded && !c->lun ? 1 : world.depth))
				send_cmd(p, c);
			else
				command_free(c);
		}
}

/* ---- what comes back: the initiator's part ---- */

struct grant {
	struct link *l;
	uint32_t itt, ttt, off, end;
};

static void give(void *arg, uint64_t n)
{
	struct grant *g = arg;
	struct path *p = g->l->p;
	struct cmd *c;

	if (!g->l->dead && p->link == g->l) {
		c = oracle_cmd(p, g->itt);
		if (!c->over || c->silent || !p->fast_abort) {
			send_data(p, c, g->ttt, g->off, g->end);
			ahead_given(c, g->end - g->off, vsock_sent(p->link->s));
		}
	}
	free(g);
}

static void got_r2t(struct path *p, const struct bhs_r2t *h)
{
	struct grant *g = malloc(sizeof(*g));
	struct cmd *c = oracle_cmd(p, be32_get(h->itt));
	uint64_t delay = rnd_delay(world.net_mean);

	if (!g)
		abort();
	*g = (struct grant){ p->link, c->itt, be32_get(h->ttt), be32_get(h->offset),
			     be32_get(h->offset) + be32_get(h->length) };
	assert(g->end <= c->out_len);
	if (c->starve && !quiet)
		delay += rnd_below(400 * MS);
	/* Data of one command goes in order. */
	if (delay + sim_now <= c->data_at)
		delay = c->data_at - sim_now;
	c->data_at = sim_now + delay;
	event_in(delay, false, give, g, 0);
}

static void got_login(struct path *p, const struct bhs_login_rsp *h)
{
	if (h->status_class) {
		TRACE("%s: login refused %02x%02x", p->name, h->status_class, h->status_detail);
		link_end(p->link, false);
		down(p);
		return;
	}
	if (p->old) {
		/* The daemon has ended it before it answered. */
		if (!p->old->dead)
			fail("%s: a new session, and the old one's connection is open", p->name);
		p->old = NULL;
	}
	p->state = PATH_UP;
	p->session++;
	ahead_begin(p);
	p->maxcmdsn = be32_get(h->maxcmdsn);
	TRACE("%s is logged in, session %u", p->name, p->session);
	event_in(rnd_delay(world.think_mean), false, think, p, p->session);
}

static void window(struct path *p, uint32_t max)
{
	if ((int32_t)(max - p->maxcmdsn) > 0)
		p->maxcmdsn = max;
}

static void got_nop(struct path *p, const struct bhs_nop_in *n)
{
	struct bhs_nop_out h;

	if (be32_get(n->ttt) == ISCSI_TAG_NONE)
		return;
	memset(&h, 0, sizeof(h));
	h.opcode = OP_NOP_OUT | PDU_IMMEDIATE;
	h.flags = PDU_FINAL;
	h.itt = be32_of(ISCSI_TAG_NONE);
	h.ttt = n->ttt;
	h.cmdsn = be32_of(p->cmdsn);
	send_pdu(p, &h, NULL, 0);
}

static void arrive(void *arg, uint64_t n)
{
	struct parcel *q = arg;
	struct link *l = q->l;
	struct path *p = l->p;

	if (l->dead || p->link != l) {
		free(q);
		return;
	}
	switch (q->h.opcode & 0x3f) {
	case OP_LOGIN_RSP:
		got_login(p, &q->login);
		break;
	case OP_R2T:
		got_r2t(p, &q->r2t);
		window(p, be32_get(q->r2t.maxcmdsn));
		break;
	case OP_NOP_IN:
		got_nop(p, &q->nop);
		window(p, be32_get(q->nop.maxcmdsn));
		break;
	case OP_SCSI_RSP:
	case OP_DATA_IN:
	case OP_TMF_RSP:
		window(p, be32_get(q->rsp.maxcmdsn));
		break;
	case OP_ASYNC:
	case OP_LOGOUT_RSP:
		break;
	default:
		fail("%s got a PDU with opcode %02x, reason %02x", p->name, q->h.opcode, q->h.b2);
	}
	free(q);
}

/* ---- what leaves the daemon: the oracle's part ---- */

static void left_data_in(struct path *p, const struct bhs_data_in *h, const uint8_t *data,
			 uint32_t len)
{
	struct cmd *c = oracle_cmd(p, be32_get(h->itt));
	uint32_t off = be32_get(h->offset);

	if (off != c->in_got || len > c->in_len - off)
		fail("%s itt %x: Data-In out of place", p->name, c->itt);
	memcpy(c->in + off, data, len);
	c->in_got += len;
	if (!(h->flags & DATAIN_STATUS))
		return;
	c->status = h->status;
	oracle_answer(c);
}

static void left_rsp(struct path *p, const struct bhs_scsi_rsp *h, const uint8_t *data,
		     uint32_t len)
{
	struct cmd *c = oracle_cmd(p, be32_get(h->itt));

	c->status = h->status;
	if (h->status == 0x02 && len >= 2 + 18)
		c->sense = (uint32_t)(data[2 + 2] & 0xf) << 16 | (uint32_t)data[2 + 12] << 8 |
			   data[2 + 13];
	oracle_answer(c);
}

static void left_tmf(struct path *p, const struct bhs_tmf_rsp *h)
{
	if (!p->tmf.pending || be32_get(h->itt) != p->tmf.itt)
		fail("%s: an answer to task management that was not asked for", p->name);
	p->tmf.pending = false;
	oracle_tmf_answer(p, p->tmf.function, p->tmf.lun, h->response);
}

static void left_r2t(struct path *p, const struct bhs_r2t *h, uint64_t at)
{
	struct cmd *c = oracle_cmd(p, be32_get(h->itt));

	ahead_said(c, false, at);
	ahead_asked(c, be32_get(h->length));
}

static void left(struct link *l, const uint8_t *b, const uint8_t *data, uint32_t len)
{
	struct path *p = l->p;
	struct parcel *q = malloc(sizeof(*q));
	uint64_t at = sim_now + rnd_delay(world.net_mean);

	if (!q)
		abort();
	if (at < l->last)
		at = l->last;
	l->last = at;
	q->l = l;
	q->len = len;
	memcpy(q->b, b, BHS_LEN);
	event_at(at, false, arrive, q, 0);
	switch (b[0] & 0x3f) {
	case OP_LOGIN_RSP:
		p->up_at = sim_now;
		break;
	case OP_R2T:
		left_r2t(p, &q->r2t, l->parsed);
		break;
	case OP_DATA_IN:
		ahead_said(oracle_cmd(p, be32_get(q->in.itt)), true, l->parsed);
		left_data_in(p, &q->in, data, len);
		break;
	case OP_SCSI_RSP:
		ahead_said(oracle_cmd(p, be32_get(q->rsp.itt)), true, l->parsed);
		left_rsp(p, &q->rsp, data, len);
		break;
	case OP_TMF_RSP:
		left_tmf(p, &q->tmf);
		break;
	default:
		break;
	}
}

static struct link *link_of(struct path *p, const struct vsock *s)
{
	return p->link && p->link->s == s ? p->link : p->old && p->old->s == s ? p->old : NULL;
}

void path_output(struct path *p, struct vsock *s, const uint8_t *bytes, size_t n)
{
	struct link *l = link_of(p, s);
	size_t at = 0;

	if (!l || l->dead)
		return;
	if (l->have + n > l->room) {
		l->room = l->have + n + 4096;
		l->buf = realloc(l->buf, l->room);
		if (!l->buf)
			abort();
	}
	memcpy(l->buf + l->have, bytes, n);
	l->have += n;
	while (l->have >= BHS_LEN) {
		const struct bhs *h = (const struct bhs *)(l->buf + at);
		uint32_t len = be24_get(h->data_len), whole = BHS_LEN + ((len + 3) & ~3u);

		if (l->have < whole)
			break;
		left(l, l->buf + at, l->buf + at + BHS_LEN, len);
		at += whole;
		l->parsed += whole;
		l->have -= whole;
	}
	memmove(l->buf, l->buf + at, l->have);
}

static void consumed(struct path *p, uint64_t upto)
{
	for (struct cmd *c = p->cmds; c && c->session == p->session; c = c->next) {
		if (!c->consumed && c->stream_end <= upto)
			c->consumed = sim_now;
		if (c->unasked_end && c->unasked_end <= upto) {
			c->unasked_end = 0;
			ahead_go(c);
		}
	}
}

void path_consumed(struct path *p, struct vsock *s, uint64_t upto)
{
	if (!p->link || p->link->s != s || p->state != PATH_UP)
		return;
	/* What stood before the task management request, then it, then what stands behind it. */
	if (p->tmf.pending && !p->tmf.consumed && p->tmf.stream_end <= upto) {
		consumed(p, p->tmf.stream_end);
		p->tmf.consumed = true;
		oracle_tmf_consumed(p, p->tmf.lun, p->tmf.function > TMF_LU_RESET, p->tmf.cmd);
	}
	consumed(p, upto);
	ahead_taken(p, upto);
}

void path_closed(struct path *p, struct vsock *s)
{
	struct link *l = link_of(p, s);

	if (!l || l->dead)
		return;
	TRACE("%s: the daemon closes %s", p->name,
	      l == p->old ? "the old session" : "its connection");
	l->dead = true;
	vsock_forget(s);
	if (l == p->old) {
		lost(p);
		if (!p->link)
			p->old = NULL;
		return;
	}
	if (p->state != PATH_LOGIN)
		lost(p);
	else if (p->old && p->old->dead)
		p->old = NULL;
	/* A replacement that failed leaves the old session as it was; it is given up too. */
	if (p->old && !p->old->dead) {
		link_end(p->old, true);
		lost(p);
	}
	p->old = NULL;
	down(p);
}

/* ---- the whole ---- */

void initiators_start(void)
{
	unsigned nodes = 0;

	links = NULL;
	quiet = false;
	for (unsigned i = 0; i < npaths; i++) {
		struct path *p = calloc(1, sizeof(*p));

		if (!p)
			abort();
		paths[i] = p;
		p->index = i;
		if (i && rnd_chance(400) && paths[i - 1]->nexus.tpgt == 1) {
			/* The same initiator port through the other portal group, or another ISID
			 * of it. */
			p->node = paths[i - 1]->node;
			p->nexus = paths[i - 1]->nexus;
			if (rnd_chance(500))
				p->nexus.tpgt = 2;
			else
				p->nexus.isid[5] = (uint8_t)(i + 1);
		} else {
			p->node = nodes++;
			p->nexus.tpgt = 1;
			p->nexus.isid[0] = 0x80;
			p->nexus.isid[5] = 1;
			snprintf(p->nexus.initiator, sizeof(p->nexus.initiator),
				 "iqn.2026-11.com.example:node%u", p->node);
		}
		p->witness = i % 2 == 0;
		p->key = 0x1000 + (world.same_keys ? p->node : i);
		snprintf(p->name, sizeof(p->name), "path%u", i);
		event_in(rnd_below(MS), false, reconnect, p, 0);
	}
}

void initiators_stop(void)
{
	struct link *l;

	for (unsigned i = 0; i < npaths; i++) {
		struct cmd *c;

		while ((c = paths[i]->cmds)) {
			paths[i]->cmds = c->next;
			command_free(c);
		}
		free(paths[i]);
		paths[i] = NULL;
	}
	while ((l = links)) {
		links = l->next;
		free(l->buf);
		free(l);
	}
}

void initiators_quiesce(bool on)
{
	quiet = on;
}

bool initiators_idle(void)
{
	for (unsigned i = 0; i < npaths; i++)
		if (paths[i]->active || paths[i]->tmf.pending || paths[i]->state == PATH_LOGIN)
			return false;
	return true;
}

void initiators_logout(void)
{
	for (unsigned i = 0; i < npaths; i++) {
		struct path *p = paths[i];
		struct bhs_logout_req h;

		if (p->state != PATH_UP)
			continue;
		p->state = PATH_LEAVING;
		memset(&h, 0, sizeof(h));
		h.opcode = OP_LOGOUT_REQ | PDU_IMMEDIATE;
		h.flags = PDU_FINAL;
		h.itt = be32_of(++p->itt);
		h.cmdsn = be32_of(p->cmdsn);
		send_pdu(p, &h, NULL, 0);
	}
}

bool initiators_gone(void)
{
	for (unsigned i = 0; i < npaths; i++)
		if (paths[i]->state != PATH_DOWN)
			return false;
	return true;
}
