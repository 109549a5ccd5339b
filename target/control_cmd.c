/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/control_rq.h"
#include "target/log.h"

static int wake_fd = -1;
static uint64_t started_ms;

void control_cmd_init(int wake)
{
	wake_fd = wake;
	started_ms = reactor_now_ms();
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

json_t *control_answer(json_t *result)
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
	if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	free(c->pr);
	json_decref(c->plan);
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
json_t *control_change_begin(struct control_request *rq, enum lu_change_kind kind, bool holders,
			     struct pr_state *pr, json_t *plan)
{
	struct control_change *c = calloc(1, sizeof(*c));

	if (!c) {
		free(pr);
		json_decref(plan);
		return control_error("internal", NULL, "out of memory");
	}
	log_info("event=admin cmd=\"%s\" target=%s lun=%u name=%s uid=%d pid=%d", rq->cmd->name,
		 query_node(rq->lu)->cfg->name, rq->lu->id.lun, LOG_Q(rq->lu->id.name),
		 (int)rq->who->uid, (int)rq->who->pid);
	c->cmd = rq->cmd;
	c->refs = 2;
	c->pr = pr;
	c->plan = plan;
	c->c.lu = rq->lu;
	c->c.rq.kind = kind;
	c->c.rq.uid = rq->who->uid;
	c->c.rq.pr = pr;
	c->c.rq.pr_holders = holders;
	c->c.done = change_done;
	rq->change = c;
	lu_change_submit(rq->lu, &c->c);
	return NULL;
}

json_t *control_needs_force(const char *what, const struct lu *lu)
{
	return control_error("refused", "say --force (\"force\": true) when that is meant", what,
			     lu->id.name);
}

bool control_cmd_ended(const struct control_change *c)
{
	return __atomic_load_n(&c->ended, __ATOMIC_ACQUIRE);
}

static json_t *change_answer(const struct control_change *c)
{
	const char *name = c->c.lu->id.name;

	if (!control_cmd_ended(c))
		return control_error("timeout", "it will be made when that I/O has ended",
				     "the change waits for I/O of LUN %s that its store does not "
				     "end", name);
	if (c->c.status != SAM_GOOD)
		return control_error("failed", "the log says why",
				     "LUN %s refused the change (SCSI status %02xh)", name,
				     c->c.status);
	return control_answer(c->cmd->after(c));
}

json_t *control_cmd_end(struct control_change *c)
{
	json_t *a = change_answer(c);

	change_put(c);
	return a;
}

void control_cmd_abandon(struct control_change *c)
{
	change_put(c);
}

/* ---- commands -------------------------------------------------------------------------------- */

static json_t *cmd_status(struct control_request *rq)
{
	return control_answer(query_status_json(reactor_now_ms() - started_ms));
}

static json_t *cmd_session_list(struct control_request *rq)
{
	return control_answer(query_sessions_json());
}

static json_t *cmd_lun_list(struct control_request *rq)
{
	return control_answer(query_lus_json(rq->lu));
}

/*
 * A write-back error is kept in two places: by the store, whose flushes fail from then on, and by
 * the LU. The store forgets first, so that whoever finds the LU repaired can flush.
 */
static json_t *cmd_lun_recover(struct control_request *rq)
{
	backend_clear_error(rq->lu->be);
	return control_change_begin(rq, LU_CHANGE_REPAIRED, false, NULL, NULL);
}

static json_t *lun_recovered(const struct control_change *c)
{
	return query_lus_json(c->c.lu);
}

enum { ONE_LUN = ARG_LUN | ARG_LUN_NEEDED | ARG_LUN_READY };

static const struct control_cmd cmds[] = {
	{ "status", 0, cmd_status, NULL },
	{ "session list", 0, cmd_session_list, NULL },
	{ "lun list", ARG_LUN, cmd_lun_list, NULL },
	{ "lun recover", ONE_LUN, cmd_lun_recover, lun_recovered },
	{ "pr show", ARG_LUN, control_pr_show, NULL },
	{ "pr history", ARG_LUN | ARG_LAST, control_pr_history, NULL },
	{ "pr export", ONE_LUN, control_pr_export, NULL },
	{ "pr import", ONE_LUN | ARG_FORCE | ARG_DOCUMENT, control_pr_import, control_pr_after },
	{ "pr prune", ONE_LUN | ARG_FORCE | ARG_DRY_RUN | ARG_HOLDER | ARG_OLDER_THAN,
	  control_pr_prune, control_pr_pruned },
	{ "pr clear", ONE_LUN | ARG_FORCE, control_pr_clear, control_pr_after },
	{ "witness show", ARG_LUN, control_witness_show, NULL },
	{ "witness log", ARG_LUN | ARG_LAST | ARG_SINCE | ARG_AFTER, control_witness_log, NULL },
	{ "witness explain", ARG_LUN, control_witness_explain, NULL },
};

static const struct control_cmd *cmd_find(const char *name)
{
	for (unsigned i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		if (!strcmp(cmds[i].name, name))
			return &cmds[i];
	return NULL;
}

static json_t *take_lun(struct control_request *rq, json_t *v)
{
	json_t *error = NULL;

	if (!json_is_string(v))
		return control_error("bad_request", NULL,
				     "\"lun\" is not a string (expected \"TARGET/LUN\")");
	rq->lu = lu_find(json_string_value(v), &error);
	return error;
}

/* Flags, numbers of 1 and more, and the document. */
static const struct arg {
	const char *name;
	enum control_arg bit;
	size_t at; /* in struct control_request */
	json_type type;
	const char *expected;
} args[] = {
	{ "force", ARG_FORCE, offsetof(struct control_request, force), JSON_TRUE, "true or false" },
	{ "dry_run", ARG_DRY_RUN, offsetof(struct control_request, dry_run), JSON_TRUE,
	  "true or false" },
	{ "holder", ARG_HOLDER, offsetof(struct control_request, holder), JSON_TRUE,
	  "true or false" },
	{ "last", ARG_LAST, offsetof(struct control_request, last), JSON_INTEGER,
	  "a number of 1 or more" },
	{ "older_than", ARG_OLDER_THAN, offsetof(struct control_request, older_than), JSON_INTEGER,
	  "a number of seconds, 1 or more" },
	{ "since", ARG_SINCE, offsetof(struct control_request, since), JSON_INTEGER,
	  "seconds since 1970, 1 or more" },
	{ "after", ARG_AFTER, offsetof(struct control_request, after), JSON_OBJECT, "an object" },
	{ "document", ARG_DOCUMENT, offsetof(struct control_request, document), JSON_OBJECT,
	  "an object" },
};

static bool arg_set(struct control_request *rq, const struct arg *a, json_t *v)
{
	void *at = (char *)rq + a->at;

	if (a->type == JSON_TRUE && json_is_boolean(v))
		*(bool *)at = json_is_true(v);
	else if (a->type == JSON_INTEGER && json_integer_value(v) > 0)
		*(json_int_t *)at = json_integer_value(v);
	else if (a->type == JSON_OBJECT && json_is_object(v))
		*(json_t **)at = v;
	else
		return false;
	return true;
}

/* One member of the request; gives an error's answer or NULL. */
static json_t *arg_take(struct control_request *rq, const char *key, json_t *v)
{
	if (!strcmp(key, "cmd"))
		return NULL;
	if (!strcmp(key, "lun") && rq->cmd->args & ARG_LUN)
		return take_lun(rq, v);
	for (unsigned i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		if (strcmp(key, args[i].name) || !(rq->cmd->args & args[i].bit))
			continue;
		return arg_set(rq, &args[i], v)
			       ? NULL
			       : control_error("bad_request", NULL, "\"%s\" is not %s", key,
					       args[i].expected);
	}
	return control_error("bad_request", NULL, "%s takes no \"%.100s\"", rq->cmd->name, key);
}

/* Fills rq from the members of the request; gives an error's answer or NULL. */
static json_t *args_get(struct control_request *rq, json_t *j)
{
	json_t *error = NULL, *v;
	const char *key;

	json_object_foreach(j, key, v) {
		error = arg_take(rq, key, v);
		if (error)
			return error;
	}
	if (rq->cmd->args & ARG_LUN_NEEDED && !rq->lu)
		return control_error("bad_request", NULL,
				     "%s needs \"lun\" (expected \"TARGET/LUN\")", rq->cmd->name);
	if (rq->cmd->args & ARG_DOCUMENT && !rq->document)
		return control_error("bad_request", NULL,
				     "%s needs \"document\" (expected what pr export gave)",
				     rq->cmd->name);
	return NULL;
}

/* What a LU without its reservations has to say about them, and to changes of them; or NULL. */
static json_t *lun_unready(const struct lu *lu)
{
	unsigned n;
	struct query_lu *q = query_lus(lu, &n);
	bool waiting, damaged;

	if (!q)
		return control_error("internal", NULL, "out of memory");
	damaged = q->damaged;
	waiting = q->not_ready && !damaged;
	free(q);
	if (damaged)
		return control_error(
			"refused", "the log says which file; move it away, or bring back a copy, "
			"and start the daemon again",
			"the reservations of LUN %s cannot be read", lu->id.name);
	if (waiting)
		return control_error(
			"refused", "end the other daemon; this one goes on by itself",
			"LUN %s waits for the lock of its store, which another process holds",
			lu->id.name);
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
	if (!a && rq.cmd->args & ARG_LUN_READY)
		a = lun_unready(rq.lu);
	if (!a)
		a = rq.cmd->run(&rq);
	json_decref(j);
	*change = rq.change;
	return a;
}
