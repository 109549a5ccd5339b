/* SPDX-License-Identifier: Apache-2.0 */
/* What was gathered, as JSON. The names here are promised in holdfast(8): add, never rename. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/buf.h"
#include "target/hex.h"
#include "target/history.h"
#include "target/log.h"
#include "target/query.h"
#include "target/query_witness.h"

void query_put_int(json_t *o, const char *name, uint64_t n)
{
	json_object_set_new(o, name, json_integer((json_int_t)n));
}

void query_put_bool(json_t *o, const char *name, bool b)
{
	json_object_set_new(o, name, json_boolean(b));
}

void query_put_string(json_t *o, const char *name, const char *s)
{
	json_object_set_new(o, name, query_string(s));
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

void query_put_hex(json_t *o, const char *name, const uint8_t *p, unsigned n)
{
	char s[2 * 16 + 1];

	hex_put(s, p, n < 16 ? n : 16);
	query_put_string(o, name, s);
}

void query_put_uuid(json_t *o, const char *name, const uint8_t u[16])
{
	char s[37];

	snprintf(s, sizeof(s),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
	query_put_string(o, name, s);
}

void query_put_time(json_t *o, const char *name, uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;
	char s[64];

	gmtime_r(&t, &tm);
	snprintf(s, sizeof(s), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (unsigned)(ns / 1000000 % 1000));
	query_put_string(o, name, s);
}

/* ---- status ---------------------------------------------------------------------------------- */

static json_t *reactor_json(unsigned i, const struct query_reactor *q)
{
	struct reactor_stats st;
	json_t *o = json_object();

	reactor_stats(reactor_at(i), &st);
	query_put_int(o, "reactor", i);
	query_put_string(o, "serves", reactor_at(i) == reactor_lane() ? "witness" : "all");
	query_put_int(o, "turns", st.turns);
	query_put_int(o, "sleeps", st.sleeps);
	query_put_int(o, "messages", st.messages);
	query_put_int(o, "ios", st.rios);
	query_put_int(o, "cpu_us", st.cpu_ns / 1000);
	query_put_int(o, "connections", q->conns);
	query_put_int(o, "sessions", q->sessions);
	query_put_int(o, "tasks", q->tasks);
	return o;
}

static json_t *portal_json(const struct config_portal *p)
{
	json_t *o = json_object();

	query_put_string(o, "name", p->name);
	query_put_string(o, "listen", p->listen);
	query_put_int(o, "group", p->group);
	return o;
}

static json_t *lu_counts_json(const struct query_lu *v, unsigned n)
{
	unsigned ready = 0, waiting = 0, damaged = 0, failed = 0;
	json_t *o = json_object();

	for (unsigned i = 0; i < n; i++) {
		ready += !v[i].not_ready && !v[i].failed;
		waiting += v[i].not_ready && !v[i].damaged;
		damaged += v[i].damaged;
		failed += v[i].failed && !v[i].not_ready;
	}
	query_put_int(o, "total", n);
	query_put_int(o, "ready", ready);
	query_put_int(o, "waiting_for_lock", waiting);
	query_put_int(o, "damaged", damaged);
	query_put_int(o, "failed", failed);
	return o;
}

static json_t *buffers_json(void)
{
	json_t *o = json_object();

	query_put_int(o, "used", buf_used());
	query_put_int(o, "budget", daemon_state.cfg->limits.buffers);
	return o;
}

/* What is known of the daemon without asking a reactor. */
static json_t *daemon_json(uint64_t uptime_ms)
{
	const struct config *cfg = daemon_state.cfg;
	bool stopping = __atomic_load_n(&daemon_state.stopping, __ATOMIC_RELAXED);
	json_t *o = json_object(), *portals = json_array();

	query_put_string(o, "version", HOLDFAST_VERSION);
	query_put_int(o, "pid", (uint64_t)getpid());
	query_put_string(o, "state", stopping ? "stopping" : "ready");
	json_object_set_new(o, "uptime_s", json_real((double)uptime_ms / 1000));
	query_put_string(o, "config", cfg->file);
	query_put_string(o, "driver", reactor_driver_name());
	query_put_int(o, "sessions", __atomic_load_n(&daemon_state.nsessions, __ATOMIC_RELAXED));
	query_put_int(o, "sessions_max", cfg->limits.sessions);
	query_put_int(o, "half_open", __atomic_load_n(&daemon_state.half_open, __ATOMIC_RELAXED));
	query_put_int(o, "half_open_max", cfg->limits.logins);
	json_object_set_new(o, "buffers", buffers_json());
	query_put_int(o, "log_dropped", log_dropped());
	query_put_int(o, "targets", daemon_state.nnodes);
	for (unsigned i = 0; i < cfg->nportals; i++)
		json_array_append_new(portals, portal_json(&cfg->portals[i]));
	json_object_set_new(o, "portals", portals);
	return o;
}

json_t *query_status_json(uint64_t uptime_ms)
{
	struct query_sessions q;
	struct query_lu *lus;
	unsigned nlus, conns = 0, tasks = 0;
	uint64_t oldest = 0;
	json_t *o, *reactors;

	if (query_sessions(&q, true))
		return NULL;
	lus = query_lus(NULL, &nlus);
	if (!lus) {
		query_sessions_free(&q);
		return NULL;
	}
	o = daemon_json(uptime_ms);
	reactors = json_array();
	for (unsigned i = 0; i < reactor_count(); i++) {
		conns += q.reactors[i].conns;
		tasks += q.reactors[i].tasks;
		if (q.reactors[i].oldest_us > oldest)
			oldest = q.reactors[i].oldest_us;
		json_array_append_new(reactors, reactor_json(i, &q.reactors[i]));
	}
	query_put_int(o, "connections", conns);
	query_put_int(o, "tasks", tasks);
	query_put_int(o, "oldest_us", oldest);
	json_object_set_new(o, "luns", lu_counts_json(lus, nlus));
	json_object_set_new(o, "reactors", reactors);
	json_object_set_new(o, "witness", query_witness_status_json());
	free(lus);
	query_sessions_free(&q);
	return o;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static json_t *params_json(const struct iscsi_params *p)
{
	static const char *const reporting[] = { "RFC3720", "ResponseFence", "FastAbort" };
	json_t *o = json_object();

	query_put_string(o, "header_digest", p->header_digest ? "CRC32C" : "None");
	query_put_string(o, "data_digest", p->data_digest ? "CRC32C" : "None");
	query_put_bool(o, "initial_r2t", p->initial_r2t);
	query_put_bool(o, "immediate_data", p->immediate_data);
	query_put_int(o, "max_recv_data_segment_length", p->own_max_recv_dsl);
	query_put_int(o, "initiator_max_recv_data_segment_length", p->max_recv_dsl);
	query_put_int(o, "max_burst_length", p->max_burst);
	query_put_int(o, "first_burst_length", p->first_burst);
	query_put_int(o, "max_outstanding_r2t", p->max_outstanding_r2t);
	query_put_int(o, "max_connections", p->max_connections);
	query_put_int(o, "default_time2wait", p->time2wait);
	query_put_int(o, "default_time2retain", p->time2retain);
	query_put_int(o, "error_recovery_level", p->erl);
	query_put_string(o, "task_reporting",
		   p->task_reporting < 3 ? reporting[p->task_reporting] : "unknown");
	return o;
}

static json_t *session_json(const struct query_session *q)
{
	json_t *o = json_object();

	query_put_string(o, "target", q->node ? q->node->cfg->name : NULL);
	query_put_string(o, "type", q->node ? "normal" : "discovery");
	query_put_string(o, "initiator", q->nexus.initiator);
	query_put_string(o, "alias", q->alias[0] ? q->alias : NULL);
	query_put_hex(o, "isid", q->nexus.isid, sizeof(q->nexus.isid));
	query_put_int(o, "tsih", q->tsih);
	query_put_int(o, "cid", q->cid);
	query_put_string(o, "portal", q->portal->name);
	query_put_int(o, "group", q->portal->group);
	query_put_string(o, "peer", q->peer);
	query_put_string(o, "local", q->local);
	query_put_int(o, "reactor", q->reactor);
	query_put_int(o, "connection", q->conn);
	query_put_time(o, "since", q->since_ns);
	query_put_int(o, "commands", q->cmds);
	query_put_int(o, "bytes_from_initiator", q->bytes_in);
	query_put_int(o, "bytes_to_initiator", q->bytes_out);
	query_put_int(o, "tasks", q->tasks);
	query_put_int(o, "oldest_us", q->oldest_us);
	query_put_int(o, "window", q->window);
	query_put_int(o, "luns", q->luns);
	json_object_set_new(o, "params", params_json(&q->params));
	return o;
}

json_t *query_sessions_json(void)
{
	struct query_sessions q;
	json_t *o, *a;

	if (query_sessions(&q, false))
		return NULL;
	o = json_object();
	a = json_array();
	for (unsigned i = 0; i < q.n; i++)
		json_array_append_new(a, session_json(&q.v[i]));
	json_object_set_new(o, "sessions", a);
	query_put_int(o, "missed", q.missed);
	query_sessions_free(&q);
	return o;
}

/* ---- LUs ------------------------------------------------------------------------------------- */

static const struct config_lun *config_of(const struct lu *lu)
{
	const struct config_target *t = query_node(lu)->cfg;

	for (unsigned i = 0; i < t->nluns; i++)
		if (t->luns[i].lun == lu->id.lun)
			return &t->luns[i];
	return NULL;
}

/* "engine=io_uring direct=off kind=..." -> io_uring */
static void put_engine(json_t *o, const char *about)
{
	const char *at = strstr(about, "engine=");
	char word[32] = "";

	if (at) {
		at += strlen("engine=");
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, " "), at);
	}
	query_put_string(o, "engine", at ? word : NULL);
	query_put_string(o, "about", about);
}

json_t *query_lu_json(const struct lu *lu)
{
	json_t *o = json_object();

	query_put_string(o, "target", query_node(lu)->cfg->name);
	query_put_int(o, "lun", lu->id.lun);
	query_put_string(o, "name", lu->id.name);
	return o;
}

static json_t *counters_json(const struct query_lu *q)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < IO_OPS; i++) {
		json_t *op = json_object();

		query_put_int(op, "ios", q->ios[i]);
		query_put_int(op, "bytes", q->bytes[i]);
		json_object_set_new(o, io_op_name((enum io_op)i), op);
	}
	query_put_int(o, "conflicts", q->conflicts);
	query_put_int(o, "parked", q->parks);
	return o;
}

static json_t *lu_pr_json(const struct query_lu *q)
{
	json_t *o = json_object();

	query_put_int(o, "type", q->pr_type);
	query_put_string(o, "type_name", history_type_name(q->pr_type));
	query_put_int(o, "registrants", q->pr_registrants);
	query_put_int(o, "generation", q->pr_generation);
	query_put_bool(o, "reserve6", q->reserved6);
	return o;
}

static json_t *lu_json(const struct query_lu *q)
{
	const struct lu *lu = q->lu;
	const struct config_lun *l = config_of(lu);
	json_t *o = query_lu_json(lu);

	query_put_string(o, "type", lu->id.witness ? "witness" : "data");
	query_put_string(o, "state", query_lu_state(q));
	query_put_int(o, "size", q->caps.size);
	query_put_int(o, "block_size", q->block_size);
	query_put_int(o, "physical_block_size", (uint64_t)q->block_size << q->phys_exp);
	query_put_uuid(o, "uuid", lu->id.uuid);
	query_put_hex(o, "naa", lu->id.naa, lu_naa_len(lu->id.naa));
	query_put_string(o, "serial", lu->id.serial);
	query_put_string(o, "backend", l ? l->backend : NULL);
	query_put_string(o, "path", l ? l->path : NULL);
	put_engine(o, lu->be->about);
	query_put_int(o, "home", reactor_index(lu->home));
	query_put_bool(o, "write_cache", q->modes.wce);
	query_put_bool(o, "thin", q->thin);
	query_put_bool(o, "readonly", q->caps.readonly);
	query_put_bool(o, "write_protected", q->write_protected);
	query_put_int(o, "sessions", q->sessions);
	query_put_int(o, "tasks", q->busy);
	query_put_int(o, "oldest_us", q->oldest_us);
	query_put_int(o, "changes", q->changes);
	json_object_set_new(o, "counters", counters_json(q));
	json_object_set_new(o, "pr", lu_pr_json(q));
	return o;
}

json_t *query_lus_json(const struct lu *only)
{
	unsigned n;
	struct query_lu *v = query_lus(only, &n);
	json_t *o, *a;

	if (!v)
		return NULL;
	o = json_object();
	a = json_array();
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, lu_json(&v[i]));
	free(v);
	json_object_set_new(o, "luns", a);
	return o;
}
