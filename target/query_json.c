/* SPDX-License-Identifier: Apache-2.0 */
/* What was gathered, as JSON. The names here are promised in holdfast(8): add, never rename. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pr/state.h"
#include "target/buf.h"
#include "target/log.h"
#include "target/query.h"

static const char *const op_names[IO_OPS] = {
	[IO_READ] = "read", [IO_WRITE] = "write", [IO_FLUSH] = "flush", [IO_DISCARD] = "discard", [IO_ZERO] = "zero",
	[IO_EXTENT] = "extent", [IO_SPACE] = "space", [IO_PREFETCH] = "prefetch",
};

static const char *const pr_type_names[] = {
	[PR_NONE] = "none",
	[PR_WRITE_EXCLUSIVE] = "write exclusive",
	[PR_EXCLUSIVE_ACCESS] = "exclusive access",
	[PR_WRITE_EXCLUSIVE_RO] = "write exclusive, registrants only",
	[PR_EXCLUSIVE_ACCESS_RO] = "exclusive access, registrants only",
	[PR_WRITE_EXCLUSIVE_AR] = "write exclusive, all registrants",
	[PR_EXCLUSIVE_ACCESS_AR] = "exclusive access, all registrants",
};

static const char *pr_type_name(uint8_t type)
{
	return type < sizeof(pr_type_names) / sizeof(pr_type_names[0]) && pr_type_names[type] ? pr_type_names[type] : "unknown";
}

json_t *query_string(const char *s)
{
	json_t *j;
	char *copy;

	if (!s)
		return json_null();
	j = json_string(s);
	if (j)
		return j;
	copy = strdup(s);
	for (char *p = copy; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	j = copy ? json_string(copy) : NULL;
	free(copy);
	return j;
}

static json_t *hex(const uint8_t *p, unsigned n)
{
	char s[2 * 16 + 1] = "";

	for (unsigned i = 0; i < n && i < 16; i++)
		snprintf(s + 2 * i, 3, "%02x", p[i]);
	return json_string(s);
}

static json_t *uuid(const uint8_t u[16])
{
	char s[37];

	snprintf(s, sizeof(s), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
		 u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	return json_string(s);
}

static json_t *wall_time(uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;
	char s[64];

	gmtime_r(&t, &tm);
	snprintf(s, sizeof(s), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		 tm.tm_min, tm.tm_sec, (unsigned)(ns / 1000000 % 1000));
	return json_string(s);
}

/*
 * ---- status
 * -----------------------------------------------------------------------------------------
 */

static json_t *reactors_json(const struct query_sessions *q)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < reactor_count(); i++) {
		struct reactor_stats st;

		reactor_stats(reactor_at(i), &st);
		json_array_append_new(a, json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i}",
			"reactor", i, "turns", (json_int_t)st.turns, "sleeps", (json_int_t)st.sleeps,
			"messages", (json_int_t)st.messages, "ios", (json_int_t)st.rios, "cpu_us", (json_int_t)(st.cpu_ns / 1000),
			"connections", q->reactors[i].conns, "sessions", q->reactors[i].sessions, "tasks", q->reactors[i].tasks));
	}
	return a;
}

static json_t *portals_json(void)
{
	const struct config *cfg = daemon_state.cfg;
	json_t *a = json_array();

	for (unsigned i = 0; i < cfg->nportals; i++)
		json_array_append_new(a, json_pack("{s:o, s:o, s:i}", "name", query_string(cfg->portals[i].name),
			"listen", query_string(cfg->portals[i].listen), "group", cfg->portals[i].group));
	return a;
}

static json_t *lu_counts_json(const struct query_lu *v, unsigned n)
{
	unsigned ready = 0, waiting = 0, failed = 0;

	for (unsigned i = 0; i < n; i++) {
		ready += !v[i].not_ready && !v[i].failed;
		waiting += v[i].not_ready;
		failed += v[i].failed && !v[i].not_ready;
	}
	return json_pack("{s:i, s:i, s:i, s:i}", "total", n, "ready", ready, "waiting_for_lock", waiting, "failed", failed);
}

json_t *query_status_json(uint64_t uptime_ms)
{
	const struct config *cfg = daemon_state.cfg;
	struct query_sessions q;
	struct query_lu *lus;
	unsigned nlus, conns = 0, tasks = 0;
	json_t *j;

	if (query_sessions(&q, true))
		return NULL;
	lus = query_lus(NULL, &nlus);
	if (!lus) {
		query_sessions_free(&q);
		return NULL;
	}
	for (unsigned i = 0; i < reactor_count(); i++) {
		conns += q.reactors[i].conns;
		tasks += q.reactors[i].tasks;
	}
	j = json_pack("{s:s, s:i, s:s, s:f, s:o, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:{s:I, s:I}, s:I, s:i, s:o, s:o, s:o}",
		"version", HOLDFAST_VERSION, "pid", (int)getpid(),
		"state", __atomic_load_n(&daemon_state.stopping, __ATOMIC_RELAXED) ? "stopping" : "ready",
		"uptime_s", (double)uptime_ms / 1000, "config", query_string(cfg->file), "driver", reactor_driver_name(),
		"sessions", __atomic_load_n(&daemon_state.nsessions, __ATOMIC_RELAXED), "sessions_max", cfg->limits.sessions,
		"connections", conns,
		"half_open", __atomic_load_n(&daemon_state.half_open, __ATOMIC_RELAXED), "half_open_max", cfg->limits.logins,
		"tasks", tasks,
		"buffers", "used", (json_int_t)buf_used(), "budget", (json_int_t)cfg->limits.buffers,
		"log_dropped", (json_int_t)log_dropped(), "targets", daemon_state.nnodes, "luns", lu_counts_json(lus, nlus),
		"portals", portals_json(), "reactors", reactors_json(&q));
	free(lus);
	query_sessions_free(&q);
	return j;
}

/*
 * ---- sessions
 * ---------------------------------------------------------------------------------------
 */

static json_t *params_json(const struct iscsi_params *p)
{
	static const char *const reporting[] = { "RFC3720", "ResponseFence", "FastAbort" };

	return json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:s}",
		"header_digest", p->header_digest ? "CRC32C" : "None", "data_digest", p->data_digest ? "CRC32C" : "None",
		"initial_r2t", p->initial_r2t, "immediate_data", p->immediate_data,
		"max_recv_data_segment_length", (json_int_t)p->own_max_recv_dsl,
		"initiator_max_recv_data_segment_length", (json_int_t)p->max_recv_dsl,
		"max_burst_length", (json_int_t)p->max_burst, "first_burst_length", (json_int_t)p->first_burst,
		"max_outstanding_r2t", p->max_outstanding_r2t, "max_connections", p->max_connections,
		"default_time2wait", p->time2wait, "default_time2retain", p->time2retain, "error_recovery_level", p->erl,
		"task_reporting", p->task_reporting < 3 ? reporting[p->task_reporting] : "unknown");
}

static json_t *session_json(const struct query_session *q)
{
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:i, s:i, s:o, s:i, s:o, s:o, s:i, s:i, s:o, s:I, s:I, s:I, s:i, s:i, s:i, s:o}",
		"target", query_string(q->node ? q->node->cfg->name : NULL), "type", q->node ? "normal" : "discovery",
		"initiator", query_string(q->nexus.initiator), "alias", query_string(q->alias[0] ? q->alias : NULL),
		"isid", hex(q->nexus.isid, sizeof(q->nexus.isid)), "tsih", q->tsih, "cid", q->cid,
		"portal", query_string(q->portal->name), "group", q->portal->group,
		"peer", query_string(q->peer), "local", query_string(q->local), "reactor", q->reactor, "connection", q->conn,
		"since", wall_time(q->since_ns), "commands", (json_int_t)q->cmds,
		"bytes_from_initiator", (json_int_t)q->bytes_in, "bytes_to_initiator", (json_int_t)q->bytes_out,
		"tasks", q->tasks, "window", q->window, "luns", q->luns, "params", params_json(&q->params));
}

json_t *query_sessions_json(void)
{
	struct query_sessions q;
	json_t *a;

	if (query_sessions(&q, false))
		return NULL;
	a = json_array();
	for (unsigned i = 0; i < q.n; i++)
		json_array_append_new(a, session_json(&q.v[i]));
	a = json_pack("{s:o, s:i}", "sessions", a, "missed", q.missed);
	query_sessions_free(&q);
	return a;
}

/*
 * ---- LUs
 * --------------------------------------------------------------------------------------------
 */

static const struct config_lun *config_of(const struct lu *lu)
{
	const struct config_target *t = query_node(lu)->cfg;

	for (unsigned i = 0; i < t->nluns; i++)
		if (t->luns[i].lun == lu->id.lun)
			return &t->luns[i];
	return NULL;
}

/* "engine=io_uring direct=off kind=..." -> io_uring */
static json_t *engine_json(const char *about)
{
	const char *at = strstr(about, "engine=");
	char word[32] = "";

	if (!at)
		return json_null();
	at += strlen("engine=");
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, " "), at);
	return json_string(word);
}

static json_t *counters_json(const struct query_lu *q)
{
	json_t *o = json_object();

	for (unsigned op = 0; op < IO_OPS; op++)
		json_object_set_new(o, op_names[op], json_pack("{s:I, s:I}", "ios", (json_int_t)q->ios[op],
			"bytes", (json_int_t)q->bytes[op]));
	json_object_set_new(o, "conflicts", json_integer((json_int_t)q->conflicts));
	json_object_set_new(o, "parked", json_integer((json_int_t)q->parks));
	return o;
}

static json_t *lu_pr_json(const struct query_lu *q)
{
	return json_pack("{s:i, s:s, s:i, s:I, s:b}", "type", q->pr_type, "type_name", pr_type_name(q->pr_type),
		"registrants", q->pr_registrants, "generation", (json_int_t)q->pr_generation, "reserve6", q->reserved6);
}

static json_t *lu_json(const struct query_lu *q)
{
	const struct lu *lu = q->lu;
	const struct config_lun *l = config_of(lu);

	return json_pack("{s:o, s:i, s:o, s:s, s:s, s:I, s:i, s:i, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:i,"
			 " s:b, s:b, s:b, s:b, s:i, s:i, s:i, s:o, s:o}",
		"target", query_string(query_node(lu)->cfg->name), "lun", lu->id.lun, "name", query_string(lu->id.name),
		"type", lu->id.witness ? "witness" : "data", "state", query_lu_state(q),
		"size", (json_int_t)q->caps.size, "block_size", q->block_size, "physical_block_size", q->block_size << q->phys_exp,
		"uuid", uuid(lu->id.uuid), "naa", hex(lu->id.naa, sizeof(lu->id.naa)), "serial", lu->id.serial,
		"backend", query_string(l ? l->backend : NULL), "path", query_string(l ? l->path : NULL),
		"engine", engine_json(lu->be->about), "about", query_string(lu->be->about), "home", reactor_index(lu->home),
		"write_cache", q->modes.wce, "thin", q->thin, "readonly", q->caps.readonly, "write_protected", q->write_protected,
		"sessions", q->sessions, "tasks", q->busy, "changes", q->changes,
		"counters", counters_json(q), "pr", lu_pr_json(q));
}

json_t *query_lus_json(const struct lu *only)
{
	unsigned n;
	struct query_lu *v = query_lus(only, &n);
	json_t *a = json_array();

	if (!v) {
		json_decref(a);
		return NULL;
	}
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, lu_json(&v[i]));
	free(v);
	return json_pack("{s:o}", "luns", a);
}

/*
 * ---- reservations
 * ------------------------------------------------------------------------------------
 */

static json_t *nexus_json(const struct nexus *n)
{
	return json_pack("{s:o, s:o, s:i}", "initiator", query_string(n->initiator), "isid", hex(n->isid, sizeof(n->isid)),
		"group", n->tpgt);
}

/* Sessions of an initiator with a target: it is one run in their order. */
static unsigned sessions_of(const struct query_sessions *q, const struct node *node, const char *initiator)
{
	struct nexus first = { 0 };
	unsigned lo = 0, hi = q->n, n = 0;

	snprintf(first.initiator, sizeof(first.initiator), "%s", initiator);
	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		const struct query_session *s = &q->v[mid];

		if (s->node < node || (s->node == node && strcmp(s->nexus.initiator, initiator) < 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo + n < q->n && q->v[lo + n].node == node && !strcmp(q->v[lo + n].nexus.initiator, initiator))
		n++;
	return n;
}

static json_t *registrants_json(const struct query_pr *p, const struct query_sessions *q)
{
	const struct node *node = query_node(p->lu);
	json_t *a = json_array();

	for (unsigned i = 0; i < p->pr->nregs; i++) {
		const struct query_session *s;
		struct nexus who;
		char key[32];
		json_t *j;

		pr_nexus(p->pr, i, &who);
		s = query_session_of(q, node, &who);
		snprintf(key, sizeof(key), "0x%016llx", (unsigned long long)p->pr->regs[i].key);
		j = nexus_json(&who);
		json_object_set_new(j, "key", json_string(key));
		json_object_set_new(j, "holder", json_boolean(pr_is_holder(p->pr, i)));
		json_object_set_new(j, "logged_in", json_boolean(s));
		json_object_set_new(j, "peer", query_string(s ? s->peer : NULL));
		json_object_set_new(j, "initiator_sessions", json_integer(sessions_of(q, node, who.initiator)));
		json_array_append_new(a, j);
	}
	return a;
}

static json_t *pr_json(const struct query_pr *p, const struct query_sessions *q)
{
	return json_pack("{s:o, s:i, s:o, s:i, s:s, s:o, s:I, s:b, s:o, s:o}",
		"target", query_string(query_node(p->lu)->cfg->name), "lun", p->lu->id.lun, "name", query_string(p->lu->id.name),
		"type", p->pr->type, "type_name", pr_type_name(p->pr->type),
		/* SPC-4 table 205: LU_SCOPE is the only one there is. */
		"scope", query_string(p->pr->type ? "LU" : NULL), "generation", (json_int_t)p->pr->generation,
		"aptpl", p->pr->aptpl, "reserve6", p->reserved6 ? nexus_json(&p->reserved6_by) : json_null(),
		"registrants", registrants_json(p, q));
}

json_t *query_prs_json(const struct lu *only)
{
	struct query_sessions q;
	struct query_pr *v;
	json_t *a;
	unsigned n;

	if (query_sessions(&q, false))
		return NULL;
	v = query_prs(only, &n);
	if (!v) {
		query_sessions_free(&q);
		return NULL;
	}
	a = json_array();
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, pr_json(&v[i], &q));
	query_prs_free(v, n);
	query_sessions_free(&q);
	return json_pack("{s:o}", "luns", a);
}
