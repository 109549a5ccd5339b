/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/control_cmd.h"
#include "target/log.h"
#include "target/query.h"

/* A change of a LU on its way: the asker's and the change's reference; the last one frees it. */
struct control_change {
	struct lu_change c;
	unsigned refs; /* atomic */
	bool ended;    /* atomic: c.status holds */
	const struct control_cmd *cmd;
};

struct control_request {
	const struct control_cmd *cmd;
	struct lu *lu; /* "lun" */
	bool force;    /* "force" */
	const struct ucred *who;
	struct control_change *change; /* out: not answered yet */
};

enum { ARG_LUN = 1, ARG_LUN_NEEDED = 2, ARG_FORCE = 4 };

struct control_cmd {
	const char *name;
	unsigned args;
	json_t *(*run)(struct control_request *rq); /* the answer; NULL with rq->change */
	json_t *(*after)(const struct lu *lu);	    /* of a change that was made */
};

static int wake_fd = -1;
static uint64_t started_ms;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void control_cmd_init(int wake)
{
	wake_fd = wake;
	started_ms = now_ms();
}

/* ---- answers --------------------------------------------------------------------------------- */

json_t *control_error(const char *code, const char *hint, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	json_t *j;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	j = json_pack("{s:b, s:s, s:o}", "ok", 0, "code", code, "error", query_string(text));
	if (hint)
		json_object_set_new(j, "hint", query_string(hint));
	return j;
}

/* NULL: out of memory. */
static json_t *answer(json_t *result)
{
	return result ? json_pack("{s:b, s:o}", "ok", 1, "result", result)
		      : control_error("internal", NULL, "out of memory");
}

/* ---- which LU -------------------------------------------------------------------------------- */

bool control_lun_parse(const char *text, size_t *name_len, unsigned *lun)
{
	const char *slash = strrchr(text, '/');
	unsigned n = 0;

	if (!slash || slash == text || !slash[1])
		return false;
	for (const char *p = slash + 1; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (unsigned)(*p - '0');
		n = n > LUN_MAX ? LUN_MAX + 1 : n;
	}
	*name_len = (size_t)(slash - text);
	*lun = n;
	return true;
}

static const char list_hint[] = "'holdfast lun list' shows targets, LUNs and their names";

/* "TARGET/LUN", or the name of the LUN. NULL with *error. */
static struct lu *lu_find(const char *text, json_t **error)
{
	const struct node *node = NULL;
	size_t len;
	unsigned lun;

	if (!control_lun_parse(text, &len, &lun)) {
		for (unsigned i = 0; i < daemon_state.nlus; i++)
			if (!strcmp(daemon_state.lus[i]->id.name, text))
				return daemon_state.lus[i];
		*error = control_error(
			"not_found", list_hint,
			"no LUN \"%.300s\" (expected TARGET/LUN, or the name of a LUN)", text);
		return NULL;
	}
	for (unsigned i = 0; i < daemon_state.nnodes && !node; i++)
		if (strlen(daemon_state.nodes[i].cfg->name) == len &&
		    !memcmp(daemon_state.nodes[i].cfg->name, text, len))
			node = &daemon_state.nodes[i];
	if (!node)
		*error = control_error("not_found", list_hint, "no target \"%.*s\"",
				       len > 300 ? 300 : (int)len, text);
	else if (lun > LUN_MAX || !node->lus[lun])
		*error = control_error("not_found", list_hint, "target %s has no LUN %.20s",
				       node->cfg->name, text + len + 1);
	else
		return node->lus[lun];
	return NULL;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void change_put(struct control_change *c)
{
	if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(c);
}

static void change_done(struct lu_change *lc)
{
	struct control_change *c = caa_container_of(lc, struct control_change, c);
	uint64_t one = 1;

	__atomic_store_n(&c->ended, true, __ATOMIC_RELEASE);
	/* Nonblocking; a counter that is full is as good a wake-up. */
	if (write(wake_fd, &one, sizeof(one)) < 0)
		(void)0;
	change_put(c);
}

/* The control thread is no reactor, so done() runs at the LU's home. */
static json_t *change_begin(struct control_request *rq, enum lu_change_kind kind)
{
	struct control_change *c = calloc(1, sizeof(*c));

	if (!c)
		return control_error("internal", NULL, "out of memory");
	log_info("event=admin cmd=\"%s\" target=%s lun=%u name=%s uid=%d pid=%d", rq->cmd->name,
		 query_node(rq->lu)->cfg->name, rq->lu->id.lun, LOG_Q(rq->lu->id.name),
		 (int)rq->who->uid, (int)rq->who->pid);
	c->cmd = rq->cmd;
	c->refs = 2;
	c->c.lu = rq->lu;
	c->c.rq.kind = kind;
	c->c.rq.uid = rq->who->uid;
	c->c.done = change_done;
	rq->change = c;
	lu_change_submit(rq->lu, &c->c);
	return NULL;
}

bool control_cmd_ended(const struct control_change *c)
{
	return __atomic_load_n(&c->ended, __ATOMIC_ACQUIRE);
}

json_t *control_cmd_end(struct control_change *c)
{
	struct lu *lu = c->c.lu;
	const struct control_cmd *cmd = c->cmd;
	bool ended = control_cmd_ended(c);
	uint8_t status = ended ? c->c.status : 0;

	change_put(c);
	if (!ended)
		return control_error(
			"timeout", "it will be made when that I/O has ended",
			"the change waits for I/O of LUN %s that its store does not end",
			lu->id.name);
	if (status != SAM_GOOD)
		return control_error("failed", "the log says why",
				     "LUN %s refused the change (SCSI status %02xh)", lu->id.name,
				     status);
	return answer(cmd->after(lu));
}

void control_cmd_abandon(struct control_change *c)
{
	change_put(c);
}

/* ---- commands -------------------------------------------------------------------------------- */

static json_t *cmd_status(struct control_request *rq)
{
	return answer(query_status_json(now_ms() - started_ms));
}

static json_t *cmd_session_list(struct control_request *rq)
{
	return answer(query_sessions_json());
}

static json_t *cmd_lun_list(struct control_request *rq)
{
	return answer(query_lus_json(rq->lu));
}

/*
 * A write-back error is kept in two places: by the store, whose flushes fail from then on, and by
 * the LU. The store forgets first, so that whoever finds the LU repaired can flush.
 */
static json_t *cmd_lun_recover(struct control_request *rq)
{
	unsigned n;
	struct query_lu *q = query_lus(rq->lu, &n);
	bool waiting;

	if (!q)
		return control_error("internal", NULL, "out of memory");
	waiting = q->not_ready;
	free(q);
	if (waiting)
		return control_error(
			"refused", "end the other daemon; this one goes on by itself",
			"LUN %s waits for the lock of its store, which another process holds",
			rq->lu->id.name);
	backend_clear_error(rq->lu->be);
	return change_begin(rq, LU_CHANGE_REPAIRED);
}

static json_t *cmd_pr_show(struct control_request *rq)
{
	return answer(query_prs_json(rq->lu));
}

static json_t *cmd_pr_clear(struct control_request *rq)
{
	if (!rq->force)
		return control_error(
			"refused", "say --force (\"force\": true) when that is meant",
			"clearing the reservations of LUN %s lets every host write it again",
			rq->lu->id.name);
	return change_begin(rq, LU_CHANGE_PR_CLEAR);
}

static const struct control_cmd cmds[] = {
	{ "status", 0, cmd_status, NULL },
	{ "session list", 0, cmd_session_list, NULL },
	{ "lun list", ARG_LUN, cmd_lun_list, NULL },
	{ "lun recover", ARG_LUN | ARG_LUN_NEEDED, cmd_lun_recover, query_lus_json },
	{ "pr show", ARG_LUN, cmd_pr_show, NULL },
	{ "pr clear", ARG_LUN | ARG_LUN_NEEDED | ARG_FORCE, cmd_pr_clear, query_prs_json },
};

static const struct control_cmd *cmd_find(const char *name)
{
	for (unsigned i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		if (!strcmp(cmds[i].name, name))
			return &cmds[i];
	return NULL;
}

/* Fills rq from the members of the request; gives an error's answer or NULL. */
static json_t *args_get(struct control_request *rq, json_t *j)
{
	json_t *error = NULL, *v;
	const char *key;

	json_object_foreach(j, key, v) {
		if (!strcmp(key, "cmd"))
			continue;
		if (!strcmp(key, "lun") && rq->cmd->args & ARG_LUN) {
			if (!json_is_string(v))
				return control_error(
					"bad_request", NULL,
					"\"lun\" is not a string (expected \"TARGET/LUN\")");
			rq->lu = lu_find(json_string_value(v), &error);
			if (!rq->lu)
				return error;
		} else if (!strcmp(key, "force") && rq->cmd->args & ARG_FORCE) {
			if (!json_is_boolean(v))
				return control_error("bad_request", NULL,
						     "\"force\" is not true or false");
			rq->force = json_is_true(v);
		} else {
			return control_error("bad_request", NULL, "%s takes no \"%.100s\"",
					     rq->cmd->name, key);
		}
	}
	if (rq->cmd->args & ARG_LUN_NEEDED && !rq->lu)
		return control_error("bad_request", NULL,
				     "%s needs \"lun\" (expected \"TARGET/LUN\")", rq->cmd->name);
	return NULL;
}

json_t *control_cmd_begin(const char *line, size_t len, const struct ucred *who,
			  struct control_change **change)
{
	struct control_request rq = { .who = who };
	const char *name;
	json_error_t err;
	json_t *j = json_loadb(line, len, JSON_REJECT_DUPLICATES, &err), *a;

	*change = NULL;
	if (!j)
		return control_error("bad_request", NULL,
				     "the request is no JSON object in one line: %s", err.text);
	name = json_string_value(json_object_get(j, "cmd"));
	rq.cmd = name ? cmd_find(name) : NULL;
	if (!name)
		a = control_error("bad_request", NULL,
				  "the request has no \"cmd\" that is a string");
	else if (!rq.cmd)
		a = control_error("unknown_command", NULL,
				  "holdfastd %s does not know the command \"%.100s\"",
				  HOLDFAST_VERSION, name);
	else
		a = args_get(&rq, j);
	if (!a && rq.cmd)
		a = rq.cmd->run(&rq);
	json_decref(j);
	*change = rq.change;
	return a;
}
