/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a login that succeeded to a session: where it lives, what it replaces, whether there is
 * room.
 */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "target/conn.h"
#include "target/log.h"
#include "target/witness.h"

/* Beyond limits.sessions, for targets on the lane. */
enum { LANE_SESSIONS = 128 };

static void random_bytes(void *buf, size_t len)
{
	if (RAND_bytes(buf, (int)len) != 1)
		abort();	/* a CHAP challenge that is not random is no challenge */
}

void conn_login_env(struct conn *c, struct login_env *env)
{
	*env = (struct login_env){
		.targets = daemon_state.login_targets,
		.ntargets = daemon_state.nnodes,
		.discovery_auth = daemon_state.cfg->discovery_auth,
		.offer = daemon_state.cfg->offer,
		.tpgt = c->portal->group,
		.local_address = c->local,
		.random = random_bytes,
	};
}

static void send_login_rsp(struct conn *c, const struct bhs_login_rsp *rsp, const char *text,
			   uint32_t len)
{
	struct buf *b = len ? buf_need(len) : NULL;
	const struct login *l = c->login;
	struct bhs_login_rsp *h;
	struct txd *d;

	if (len && !b) {
		conn_close(c, "out of memory");
		return;
	}
	d = conn_tx(c, SN_TAKE);
	h = (struct bhs_login_rsp *)d->bhs;
	memcpy(d->bhs, rsp, BHS_LEN);
	/* A login is numbered by its own requests; the window opens with the session. */
	h->expcmdsn = be32_of(c->session ? c->session->expcmdsn : l->cmdsn);
	h->maxcmdsn = be32_of(c->session ? c->session->maxcmdsn : l->cmdsn);
	if (b) {
		memcpy(b->data, text, len);
		d->buf = b;
		d->data = b->data;
		d->len = len;
	}
	conn_send(c, d);
}

/* The login was refused, with this response. */
static void refused(struct conn *c, const struct bhs_login_rsp *rsp, const char *text, uint32_t len)
{
	const struct login *l = c->login;

	log_about(LOG_LEVEL_WARN, (c->peer, l->initiator, l->target, l->why),
		  "event=login_refused conn=%u peer=%s ini=%s target=%s status=%02x%02x why=\"%s\"",
		  c->id, c->peer, l->initiator, l->target, l->status_class, l->status_detail,
		  l->why ? l->why : "");
	send_login_rsp(c, rsp, text, len);
	c->why = l->why;
	c->close_after_tx = true;
	timer_arm(&c->timer, 2000);
}

static void refuse(struct conn *c, uint8_t class, uint8_t detail, const char *why)
{
	struct bhs_login_rsp rsp;

	memset(&rsp, 0, sizeof(rsp));
	login_refuse(c->login, (const struct bhs_login_req *)c->rx.hdr, class, detail, why, &rsp);
	refused(c, &rsp, NULL, 0);
}

/* The final response waits here while a connection moves to another reactor. */
struct admission {
	struct nexus nexus;
	struct bhs_login_rsp rsp;
	uint32_t len;
	char text[LOGIN_PDU_TEXT_MAX];
};

static void nexus_of(const struct conn *c, struct nexus *n)
{
	memset(n, 0, sizeof(*n));
	memcpy(n->initiator, c->login->initiator, sizeof(n->initiator));
	memcpy(n->isid, c->login->isid, sizeof(n->isid));
	n->tpgt = c->portal->group;
}

/* On the reactor where the session will live. */
static void admit(struct conn *c, struct admission *a)
{
	struct login *l = c->login;
	struct node *node = l->discovery ? NULL : &daemon_state.nodes[l->target_index];
	struct session *old = c->claim ? registry_session(c->claim) : NULL;
	struct session *s;

	if (old) {
		log_about(LOG_LEVEL_INFO, (c->peer, l->initiator, l->target),
			  "event=reinstatement conn=%u ini=%s target=%s", c->id, l->initiator,
			  l->target);
		conn_close(old->conn, "replaced by a new session of the same nexus");
	}
	if (__atomic_load_n(&daemon_state.nsessions, __ATOMIC_RELAXED) >=
	    daemon_state.cfg->limits.sessions + (node && node->lane ? LANE_SESSIONS : 0)) {
		refuse(c, 3, 2, "too many sessions (limits.sessions)");
		return;
	}
	s = session_new(c, l, &a->nexus, node, c->claim);
	if (!s) {
		refuse(c, 3, 2, "out of memory");
		return;
	}
	c->claim = NULL;
	c->session = s;
	if (node)
		witness_login(node, &a->nexus);
	log_about(LOG_LEVEL_INFO, (c->peer, l->initiator, l->discovery ? NULL : l->target),
		  "event=login conn=%u peer=%s ini=%s target=%s tsih=%u reactor=%u%s", c->id,
		  c->peer, l->initiator, l->discovery ? "-" : l->target, s->tsih,
		  reactor_index(c->reactor), l->discovery ? " type=discovery" : "");
	a->rsp.tsih = be16_of(s->tsih);
	send_login_rsp(c, &a->rsp, a->text, a->len);
	if (c->state == CONN_CLOSING)
		return;
	/*
	 * Digests begin with the first PDU of the full feature phase (RFC 7143 13.1): this response
	 * goes without.
	 */
	conn_stamp(c);
	c->hdigest = l->params.header_digest;
	c->ddigest = l->params.data_digest;
	c->max_data_in = l->params.own_max_recv_dsl;
	conn_full_feature(c);
}

static void settle(struct conn *c)
{
	struct admission *a = c->admission;

	c->admission = NULL;
	c->state = CONN_LOGIN;
	conn_attach(c);
	if (c->state != CONN_CLOSING)
		admit(c, a);
	free(a);
}

static void moved(struct msg *m)
{
	conn_run(caa_container_of(m, struct conn, move), settle);
}

static void login_done(struct conn *c, const struct bhs_login_rsp *rsp, const char *text,
		       uint32_t len)
{
	struct login *l = c->login;
	struct reactor *where = c->reactor;
	struct admission *a;
	struct nexus n;

	nexus_of(c, &n);
	if (__atomic_load_n(&daemon_state.stopping, __ATOMIC_RELAXED)) {
		refuse(c, 3, 1, "shutting down");
		return;
	}
	if (l->tsih) {
		/* A connection for an existing session: we keep to one (MaxConnections=1). */
		bool has =
			!l->discovery && registry_has_tsih((unsigned)l->target_index, &n, l->tsih);

		refuse(c, 2, has ? 0x06 : 0x0a,
		       has ? "a second connection for a session (MaxConnections is 1)"
			   : "no session with this TSIH");
		return;
	}
	a = calloc(1, sizeof(*a));
	if (!a || len > sizeof(a->text)) {
		free(a);
		refuse(c, 3, 2, "out of memory");
		return;
	}
	a->nexus = n;
	a->rsp = *rsp;
	a->len = len;
	if (len)
		memcpy(a->text, text, len);
	if (!l->discovery) {
		struct reactor *new = daemon_state.nodes[l->target_index].lane ? reactor_lane()
									       : c->reactor;

		c->claim = registry_claim((unsigned)l->target_index, &n, new, &where);
		if (!c->claim) {
			free(a);
			refuse(c, 3, 2, "out of memory");
			return;
		}
	}
	if (where == c->reactor) {
		admit(c, a);
		free(a);
		return;
	}
	/* It leaves when the input in hand is over: conn_depart(). */
	c->state = CONN_MOVING;
	c->admission = a;
	c->move_to = where;
}

void conn_depart(struct conn *c)
{
	conn_detach(c);
	c->move.fn = moved;
	reactor_send(c->move_to, &c->move);
}

void conn_login(struct conn *c)
{
	struct login_env env;
	struct bhs_login_rsp rsp;
	const char *text = NULL;
	uint32_t len = 0;

	if (c->rx.len && !c->rx.buf) {
		refuse(c, 3, 2, "out of memory");
		return;
	}
	conn_login_env(c, &env);
	memset(&rsp, 0, sizeof(rsp));
	switch (login_request(c->login, &env, (const struct bhs_login_req *)c->rx.hdr,
			      c->rx.buf ? c->rx.buf->data : NULL, c->rx.buf ? c->rx.len : 0, &rsp,
			      &text, &len)) {
	case LOGIN_GOING:
		send_login_rsp(c, &rsp, text, len);
		return;
	case LOGIN_FAILED:
		refused(c, &rsp, text, len);
		return;
	case LOGIN_DONE:
		login_done(c, &rsp, text, len);
		return;
	}
}
