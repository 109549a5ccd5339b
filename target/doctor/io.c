/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initiators on libiscsi: sessions with a name and an ISID of their own, commands with a time
 * limit. libiscsi never reconnects by itself here: what a lost session means is the question.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "target/doctor/doctor.h"

enum { TURN_MS = 50, REDIRECTS_MAX = 3, SETTLE_MAX = 16, WORD_OF_PRIVATE_ISID = 0x4844 };

int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- sessions ------------------------------------------------------------------------- */

static void cmd_end(struct cmd *c, enum how how)
{
	c->a.how = how;
	c->a.ms = (double)(now_us() - c->start_us) / 1000;
	c->done = true;
}

/* The session is gone for us; all that was in flight has ended. */
static void node_end(struct node *n, enum how how)
{
	struct cmd *c;

	if (n->ctx) {
		/* Its callbacks would say "lost", so they come first. */
		for (c = n->cmds; c; c = c->next)
			if (!c->done)
				cmd_end(c, how);
		iscsi_destroy_context(n->ctx);
	}
	n->ctx = NULL;
	n->broken = n->held = false;
}

void node_drop(struct node *n)
{
	node_end(n, HOW_LOST);
}

static void doctor_turn(struct doctor *d, int timeout_ms)
{
	struct pollfd p[NODES];
	struct node *who[NODES];
	nfds_t np = 0;

	for (int i = 0; i < NODES; i++) {
		struct node *n = &d->nodes[i];
		int fd = n->ctx ? iscsi_get_fd(n->ctx) : -1;

		if (fd < 0) {
			n->broken |= n->ctx != NULL;
			continue;
		}
		who[np] = n;
		p[np++] = (struct pollfd){
			.fd = fd,
			.events = (short)(iscsi_which_events(n->ctx) & ~(n->held ? POLLIN : 0)),
		};
	}
	if (poll(p, np, timeout_ms) < 0 && errno != EINTR)
		return;
	for (nfds_t i = 0; i < np; i++) {
		struct node *n = who[i];
		int revents = p[i].revents & ~(n->held ? POLLIN | POLLHUP : 0);

		if (revents && n->ctx && iscsi_service(n->ctx, revents) < 0)
			n->broken = true;
	}
	for (int i = 0; i < NODES; i++)
		if (d->nodes[i].broken && d->nodes[i].login != -1)
			node_end(&d->nodes[i], HOW_LOST);
}

static bool stopped(const struct doctor *d)
{
	return doctor_stop && !d->cleaning;
}

void doctor_wait(struct doctor *d, unsigned ms)
{
	int64_t end = now_us() + (int64_t)ms * 1000, left;

	while (!stopped(d) && (left = end - now_us()) > 0) {
		int64_t turn = left / 1000 + 1;

		doctor_turn(d, turn < TURN_MS ? (int)turn : TURN_MS);
	}
}

bool node_closed(struct node *n)
{
	doctor_turn(n->d, 0);
	doctor_turn(n->d, 0);
	return !n->ctx;
}

static void login_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct node *n = arg;

	(void)ctx;
	(void)data;
	n->login = status;
}

static void connect_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct node *n = arg;

	(void)data;
	if (status != SCSI_STATUS_GOOD || iscsi_login_async(ctx, login_done, n))
		n->login = SCSI_STATUS_ERROR;
}

static struct iscsi_context *session_new(struct node *n)
{
	struct doctor *d = n->d;
	struct iscsi_context *ctx = iscsi_create_context(n->name);

	if (!ctx)
		return NULL;
	iscsi_set_noautoreconnect(ctx, 1);
	iscsi_set_session_type(ctx, n->discovery ? ISCSI_SESSION_DISCOVERY : ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(ctx, ISCSI_HEADER_DIGEST_NONE);
	iscsi_set_targetname(ctx, d->target);
	iscsi_set_isid_random(ctx, n->isid, WORD_OF_PRIVATE_ISID);
	if (d->user[0])
		iscsi_set_initiator_username_pwd(ctx, d->user, d->password);
	if (d->target_user[0])
		iscsi_set_target_username_pwd(ctx, d->target_user, d->target_password);
	if (n->asked_only) {
		iscsi_set_immediate_data(ctx, ISCSI_IMMEDIATE_DATA_NO);
		iscsi_set_initial_r2t(ctx, ISCSI_INITIAL_R2T_YES);
	}
	return ctx;
}

static int login_once(struct node *n, const char *portal)
{
	struct doctor *d = n->d;
	int64_t end = now_us() + (int64_t)d->limit_ms * 1000;

	n->ctx = session_new(n);
	if (!n->ctx)
		return SCSI_STATUS_ERROR;
	n->login = -1;
	n->broken = n->held = false;
	if (iscsi_connect_async(n->ctx, portal, connect_done, n))
		n->login = SCSI_STATUS_ERROR;
	while (n->login == -1 && !n->broken && !stopped(d) && now_us() < end)
		doctor_turn(d, TURN_MS);
	if (n->login == -1) {
		d->timeouts += !stopped(d);
		snprintf(d->why, sizeof(d->why), "%s",
			 stopped(d)  ? "interrupted"
			 : n->broken ? "the connection was closed during login"
				     : "no answer within the time limit");
		n->login = SCSI_STATUS_ERROR;
	} else if (n->login != SCSI_STATUS_GOOD) {
		const char *said = n->ctx ? iscsi_get_error(n->ctx) : "";

		snprintf(d->why, sizeof(d->why), "%s",
			 said && *said ? said : "no connection (does a target listen there?)");
	}
	return n->login;
}

bool node_login(struct node *n)
{
	char portal[256], why[200];

	node_drop(n);
	snprintf(portal, sizeof(portal), "%s", n->portal);
	for (int i = 0; i < REDIRECTS_MAX; i++) {
		int status = login_once(n, portal);

		if (status == SCSI_STATUS_GOOD)
			return true;
		if (n->ctx && status == SCSI_STATUS_REDIRECT)
			snprintf(portal, sizeof(portal), "%s", iscsi_get_target_address(n->ctx));
		node_drop(n);
		if (status != SCSI_STATUS_REDIRECT)
			break;
	}
	snprintf(why, sizeof(why), "%.199s", n->d->why);
	why[strcspn(why, "\n")] = 0;
	snprintf(n->d->why, sizeof(n->d->why), "login of %s at %s: %s", n->label, portal, why);
	printable(n->d->why);
	check_line(n->d, n->label, "login", why, 0);
	return false;
}

void node_logout(struct node *n)
{
	int64_t end = now_us() + 1000000;

	if (n->ctx) {
		n->login = -1;
		if (iscsi_logout_async(n->ctx, login_done, n))
			n->login = SCSI_STATUS_ERROR;
		while (n->ctx && n->login == -1 && !n->broken && now_us() < end)
			doctor_turn(n->d, TURN_MS);
		n->login = 0;
	}
	node_drop(n);
}

int node_settle(struct node *n, uint16_t *first)
{
	struct cdb tur = cdb_tur();

	if (first)
		*first = 0;
	for (int i = 0; i < SETTLE_MAX; i++) {
		struct answer a = node_do(n, &tur);

		if (a.how != HOW_STATUS || a.status != SCSI_STATUS_CHECK_CONDITION || a.key != 6)
			return i;
		if (first && !i)
			*first = (uint16_t)(a.asc << 8 | a.ascq);
	}
	return -1;
}

/* The addresses belong to libiscsi, until the callback ends. */
static void discovered(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	const struct iscsi_discovery_address *a = status == SCSI_STATUS_GOOD ? data : NULL;
	struct node *n = arg;

	(void)ctx;
	for (; a; a = a->next) {
		n->found |= !strcmp(a->target_name, n->d->target);
		n->targets++;
	}
	n->login = status;
}

bool node_discover(struct node *n)
{
	int64_t end = now_us() + (int64_t)n->d->limit_ms * 1000;
	bool up;

	n->found = false;
	n->targets = 0;
	n->discovery = true;
	up = node_login(n);
	if (up) {
		n->login = -1;
		if (iscsi_discovery_async(n->ctx, discovered, n))
			n->login = SCSI_STATUS_ERROR;
		while (n->login == -1 && !n->broken && !stopped(n->d) && now_us() < end)
			doctor_turn(n->d, TURN_MS);
		up = n->login == SCSI_STATUS_GOOD;
		n->login = SCSI_STATUS_ERROR;
	}
	node_drop(n);
	n->discovery = false;
	return up;
}

/* ---- commands ------------------------------------------------------------------------- */

static bool is_pr(const struct cdb *c)
{
	return c->len && (c->cdb[0] == 0x5e || c->cdb[0] == 0x5f);
}

static void cmd_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct cmd *c = arg;
	struct scsi_task *t = c->task;

	(void)ctx;
	(void)data;
	if (c->done)
		return;
	if (status < 0 || status > 0xff) {
		c->node->broken = true;
		cmd_end(c, HOW_LOST);
		return;
	}
	c->a.status = (uint8_t)status;
	if (status == SCSI_STATUS_CHECK_CONDITION) {
		c->a.key = (uint8_t)t->sense.key;
		c->a.asc = (uint8_t)(t->sense.ascq >> 8);
		c->a.ascq = (uint8_t)t->sense.ascq;
	} else if (c->in && t->datain.data && t->datain.size > 0) {
		c->a.len =
			(uint32_t)t->datain.size < c->cdb.in ? (uint32_t)t->datain.size : c->cdb.in;
		memcpy(c->in, t->datain.data, c->a.len);
		c->a.data = c->in;
	}
	cmd_end(c, HOW_STATUS);
}

static void tmf_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct cmd *c = arg;

	(void)ctx;
	if (c->done)
		return;
	if (status == SCSI_STATUS_GOOD && data) {
		c->a.status = (uint8_t) * (uint32_t *)data;
		cmd_end(c, HOW_STATUS);
	} else {
		c->node->broken = true;
		cmd_end(c, HOW_LOST);
	}
}

static void *alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		abort();
	return p;
}

static struct cmd *cmd_new(struct node *n, const struct cdb *cdb)
{
	struct cmd *c = alloc(sizeof(*c));

	c->node = n;
	c->cdb = *cdb;
	c->start_us = now_us();
	c->next = n->cmds;
	n->cmds = c;
	return c;
}

struct cmd *cmd_start(struct node *n, const struct cdb *cdb)
{
	struct cmd *c = cmd_new(n, cdb);
	struct iscsi_data out = { .size = cdb->out };
	struct scsi_task *t;
	int dir = cdb->in ? SCSI_XFER_READ : cdb->out ? SCSI_XFER_WRITE : SCSI_XFER_NONE;

	if (!n->ctx) {
		cmd_end(c, HOW_LOST);
		return c;
	}
	t = scsi_create_task(cdb->len, c->cdb.cdb, dir, (int)(cdb->in ? cdb->in : cdb->out));
	if (!t)
		abort();
	c->task = t;
	if (cdb->in)
		c->in = alloc(cdb->in);
	if (cdb->out) {
		c->out = alloc(cdb->out);
		memcpy(c->out, cdb->data ? cdb->data : cdb->param, cdb->out);
		out.data = c->out;
	}
	if (iscsi_scsi_command_async(n->ctx, n->d->lun, t, cmd_done, cdb->out ? &out : NULL, c))
		cmd_end(c, HOW_LOST);
	return c;
}

static struct cmd *tmf_start(struct node *n, const char *text, int lun,
			     enum iscsi_task_mgmt_funcs fn, uint32_t itt, uint32_t cmdsn)
{
	struct cdb none = { 0 };
	struct cmd *c;

	snprintf(none.text, sizeof(none.text), "%s", text);
	c = cmd_new(n, &none);
	if (!n->ctx || iscsi_task_mgmt_async(n->ctx, lun, fn, itt, cmdsn, tmf_done, c))
		cmd_end(c, HOW_LOST);
	return c;
}

struct cmd *cmd_abort_task(struct node *n, const struct cmd *victim)
{
	const struct scsi_task *t = victim->task;

	return tmf_start(n, "ABORT TASK", n->d->lun, ISCSI_TM_ABORT_TASK, t ? t->itt : 0,
			 t ? t->cmdsn : 0);
}

struct cmd *cmd_lun_reset(struct node *n)
{
	return tmf_start(n, "LOGICAL UNIT RESET", n->d->lun, ISCSI_TM_LUN_RESET, 0xffffffff, 0);
}

static void cmd_note(struct cmd *c)
{
	struct doctor *d = c->node->d;
	char text[100], said[100];

	if (c->counted)
		return;
	c->counted = true;
	if (is_pr(&c->cdb) && c->a.how == HOW_STATUS && c->a.ms > d->pr_ms_max) {
		d->pr_ms_max = c->a.ms;
		snprintf(d->pr_ms_what, sizeof(d->pr_ms_what), "%s", c->cdb.text);
	}
	if (!c->cdb.len && c->a.how == HOW_STATUS)
		snprintf(said, sizeof(said), "response %u", c->a.status);
	else
		snprintf(said, sizeof(said), "%s", answer_text(&c->a, text));
	check_line(d, c->node->label, c->cdb.text, said, c->a.ms);
}

void cmd_wait(struct cmd *c, unsigned ms)
{
	struct doctor *d = c->node->d;
	int64_t end = now_us() + (int64_t)(ms ? ms : d->limit_ms) * 1000;

	while (!c->done) {
		if (stopped(d)) {
			node_end(c->node, HOW_STOPPED);
		} else if (now_us() >= end) {
			if (ms)
				return;
			d->timeouts++;
			node_end(c->node, HOW_TIMEOUT);
		} else {
			doctor_turn(d, TURN_MS);
		}
	}
	cmd_note(c);
}

void cmd_free(struct cmd *c)
{
	struct cmd **at = &c->node->cmds;

	if (!c->done)
		node_end(c->node, HOW_LOST);
	cmd_note(c);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->task)
		scsi_free_scsi_task(c->task);
	free(c->in);
	free(c->out);
	free(c);
}

struct answer node_do(struct node *n, const struct cdb *cdb)
{
	struct cmd *c = cmd_start(n, cdb);
	struct answer a;

	cmd_wait(c, 0);
	a = c->a;
	if (a.len > DATA_MAX)
		a.len = DATA_MAX;
	if (a.data)
		memcpy(n->in, a.data, a.len);
	a.data = n->in;
	cmd_free(c);
	return a;
}
