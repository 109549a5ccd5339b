/* SPDX-License-Identifier: Apache-2.0 */
#include "target/query_witness.h"

#include <stdlib.h>
#include <string.h>

#include "target/history.h"
#include "target/journal.h"
#include "target/rcall.h"
#include "target/witness.h"
#include "target/witness_json.h"
#include "witness/health.h"
#include "witness/story.h"

/* ---- what is known now ----------------------------------------------------------------------- */

struct take {
	const struct lu *lu;
	const char *state;
	struct witness_view *view;
	bool taken;
};

/* What is wrong with a LUN that is not ready, and so with what is known of it. */
static const struct unready {
	const char *state, *text;
	bool unknown;	/* whose it is */
} unready[] = {
	{ "damaged", "its reservations cannot be read, and no host is served: the log says which "
		     "file", true },
	{ "waiting_for_lock", "it waits for the lock of its store, which another process holds, "
			      "and no host is served", true },
	{ "failed", "what was cached could not be written, and writes fail: see 'holdfast lun "
		    "recover'", false },
};

static const struct unready *unready_of(const struct take *t)
{
	for (unsigned i = 0; t->state && i < sizeof(unready) / sizeof(unready[0]); i++)
		if (!strcmp(unready[i].state, t->state))
			return &unready[i];
	return NULL;
}

static void take_here(void *arg)
{
	struct take *t = arg;

	t->taken |= witness_view_take(t->lu, t->view);
	if (t->lu->home == reactor_self())
		t->state = query_value_state(&t->lu->value->v);
}

/* A moment, null if it never was. */
static void put_time(json_t *o, const char *name, const struct witness_time *t)
{
	if (witness_time_is(t))
		query_put_time(o, name, t->utc_ms * 1000000);
	else
		json_object_set_new(o, name, json_null());
}

/* Milliseconds since then, by the monotonic clock where that goes; null: never, or unknown. */
static void put_age(json_t *o, const char *name, const struct witness_time *t,
		    const struct witness_time *now)
{
	int64_t ms = witness_time_between(t, now);

	json_object_set_new(o, name, ms < 0 ? json_null() : json_integer(ms));
}

static void put_key(json_t *o, const char *name, uint64_t key)
{
	char s[32];

	snprintf(s, sizeof(s), "0x%016llx", (unsigned long long)key);
	query_put_string(o, name, key ? s : NULL);
}

static json_t *owner_json(const struct witness_view *v)
{
	const struct witness_owner *o = &v->w.picture.owner;
	const struct witness_node *n = witness_owner_node(&v->w.picture);
	/* The last defence may not be an entry yet. */
	const struct witness_time *d =
		witness_time_is(&v->w.defended) ? &v->w.defended : &o->defended;
	json_t *j;

	if (o->node == WITNESS_NOBODY)
		return json_null();
	j = json_object();
	query_put_string(j, "initiator", n ? n->name : NULL);
	query_put_bool(j, "everybody", !n);
	query_put_int(j, "type", o->type);
	query_put_string(j, "type_name", history_type_name(o->type));
	put_time(j, "since", &o->since);
	put_age(j, "for_ms", &o->since, &v->now);
	query_put_int(j, "defences", o->defences + v->w.untold);
	query_put_bool(j, "in_rhythm", o->renews);
	put_time(j, "defended", d);
	put_age(j, "defended_ms", d, &v->now);
	return j;
}

static json_t *path_json(const struct witness_path *a)
{
	json_t *o = json_object();

	query_put_hex(o, "isid", a->isid, sizeof(a->isid));
	query_put_int(o, "group", a->tpgt);
	query_put_bool(o, "logged_in", a->session);
	query_put_bool(o, "lost", a->lost);
	put_time(o, "since", &a->since);
	put_key(o, "key", a->key);
	return o;
}

static json_t *beat_json(const struct witness_node *n)
{
	json_t *o;

	if (n->beat == WITNESS_BEAT_NONE)
		return json_null();
	o = json_object();
	query_put_string(o, "software", witness_software_name(n->beat_as));
	query_put_bool(o, "beats", n->beat == WITNESS_BEATS_ON);
	query_put_int(o, "offset", n->beat_off);
	put_time(o, "since", &n->beat_at);
	return o;
}

static json_t *node_json(const struct witness_view *v, const struct witness_node *n)
{
	json_t *o = json_object(), *paths = json_array();

	query_put_string(o, "initiator", n->name);
	query_put_bool(o, "owner", n == witness_owner_node(&v->w.picture));
	query_put_int(o, "sessions", witness_node_sessions(n));
	query_put_int(o, "keys", witness_node_keys(n));
	put_time(o, "gone", &n->gone);
	put_time(o, "challenged", &n->challenged);
	json_object_set_new(o, "heartbeat", beat_json(n));
	for (unsigned i = 0; i < WITNESS_PATHS; i++)
		if (n->path[i].used)
			json_array_append_new(paths, path_json(&n->path[i]));
	json_object_set_new(o, "paths", paths);
	return o;
}

static json_t *nodes_json(const struct witness_view *v)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < WITNESS_NODES; i++)
		if (v->w.picture.node[i].name[0])
			json_array_append_new(a, node_json(v, &v->w.picture.node[i]));
	return a;
}

static json_t *software_json(const struct witness_view *v)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < WITNESS_SOFTWARES; i++) {
		const struct witness_verdict *s = &v->w.picture.software[i];
		json_t *o;

		if (!s->confidence)
			continue;
		o = json_object();
		query_put_string(o, "name", witness_software_name(i));
		query_put_string(o, "confidence", witness_confidence_name(s->confidence));
		put_time(o, "since", &s->at);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *warnings_json(const struct take *t)
{
	const struct witness_view *v = t->view;
	const struct unready *u = unready_of(t);
	uint32_t mask = v->started ? witness_health(&v->w, &v->now) : 0;
	json_t *a = json_array();

	if (u)
		json_array_append_new(a, json_pack("{s:s, s:s}", "name", u->state, "text",
						   u->text));

	for (unsigned i = 0; i < WITNESS_WARNINGS; i++) {
		char text[WITNESS_TEXT_MAX];

		if (mask >> i & 1)
			json_array_append_new(a, json_pack("{s:s, s:o}", "name",
							   witness_warning_name(i), "text",
							   query_string(witness_warning_text(
								   &v->w, (enum witness_warning)i,
								   &v->now, text, sizeof(text)))));
	}
	return a;
}

static json_t *space_json(const struct witness_view *v, enum witness_space i)
{
	return v->w.space[i].known ? json_pack("{s:I, s:I}", "free", (json_int_t)v->w.space[i].free,
					       "size", (json_int_t)v->w.space[i].size)
				   : json_null();
}

static void put_numbers(json_t *o, const struct witness_view *v)
{
	const struct witness_picture *p = &v->w.picture;

	json_object_set_new(o, "counts",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "changes",
				      (json_int_t)p->changes, "challenges",
				      (json_int_t)witness_challenges(&v->w), "removals",
				      (json_int_t)p->removals, "defences",
				      (json_int_t)(p->defences + v->w.untold), "no_room",
				      (json_int_t)p->overflow));
	json_object_set_new(o, "latency",
			    json_pack("{s:I, s:I, s:I}", "usual_us",
				      (json_int_t)v->w.pace.usual_us, "lately_us",
				      (json_int_t)v->w.pace.lately_us, "longest_us",
				      (json_int_t)v->w.pace.longest_us));
	json_object_set_new(o, "space",
			    json_pack("{s:o, s:o}", "store", space_json(v, WITNESS_SPACE_STORE),
				      "state", space_json(v, WITNESS_SPACE_STATE)));
	query_put_int(o, "samples_dropped", v->dropped);
	query_put_int(o, "journal_lost", v->lost);
}

static void put_show(json_t *o, const struct take *t)
{
	const struct witness_view *v = t->view;
	const struct unready *u = unready_of(t);

	query_put_bool(o, "known", !u || !u->unknown);
	query_put_bool(o, "watched", v->started);
	query_put_int(o, "run", v->w.picture.run);
	json_object_set_new(o, "owner", owner_json(v));
	json_object_set_new(o, "nodes", nodes_json(v));
	json_object_set_new(o, "software", software_json(v));
	json_object_set_new(o, "warnings", warnings_json(t));
	put_numbers(o, v);
}

static void put_story(json_t *o, const struct take *t)
{
	const struct witness_view *v = t->view;
	const struct unready *u = unready_of(t);
	char story[WITNESS_STORY_MAX];
	json_t *a = json_array();

	if (u) {
		snprintf(story, sizeof(story), "Not ready: %s.%s", u->text,
			 u->unknown ? " What follows is what was known before." : "");
		json_array_append_new(a, query_string(story));
	}
	witness_story(&v->w, &v->now, story, sizeof(story));
	for (char *rest = story, *line; (line = strsep(&rest, "\n"));)
		if (*line)
			json_array_append_new(a, query_string(line));
	json_object_set_new(o, "story", a);
}

/* {"luns": [...]}, each with what fn puts there. */
static json_t *views_json(const struct lu *only,
			  void (*fn)(json_t *o, const struct take *t))
{
	struct witness_view *view = malloc(sizeof(*view));
	json_t *o, *a;

	if (!view)
		return NULL;
	o = json_object();
	a = json_array();
	for (unsigned i = 0; i < (only ? 1 : daemon_state.nlus); i++) {
		struct take t = { .lu = only ? only : daemon_state.lus[i], .view = view };
		json_t *l;

		if (!t.lu->id.witness)
			continue;
		memset(view, 0, sizeof(*view));
		witness_init(&view->w);
		rcall_each(take_here, &t);
		l = query_lu_json(t.lu);
		query_put_string(l, "state", t.state);
		fn(l, &t);
		json_array_append_new(a, l);
	}
	free(view);
	json_object_set_new(o, "luns", a);
	return o;
}

json_t *query_witness_json(const struct lu *only)
{
	return views_json(only, put_show);
}

json_t *query_witness_story_json(const struct lu *only)
{
	return views_json(only, put_story);
}

static void put_warnings(json_t *o, const struct take *t)
{
	json_object_set_new(o, "warnings", warnings_json(t));
}

json_t *query_witness_status_json(void)
{
	json_t *all = views_json(NULL, put_warnings), *warnings = json_array(), *l, *w;
	json_t *o = json_object();
	size_t i, k;

	json_array_foreach(json_object_get(all, "luns"), i, l)
		json_array_foreach(json_object_get(l, "warnings"), k, w) {
			json_object_set(w, "lun", json_object_get(l, "name"));
			json_array_append(warnings, w);
		}
	query_put_int(o, "luns", json_array_size(json_object_get(all, "luns")));
	json_object_set_new(o, "warnings", warnings);
	json_decref(all);
	return o;
}

/* ---- the journal ----------------------------------------------------------------------------- */

/* The last so many records that are wanted, in a ring. */
struct tail {
	uint64_t since_ns, seq;
	uint64_t n, cap;
	char **text;
};

static bool tail_take(void *arg, const struct journal_record *r)
{
	struct tail *t = arg;
	char **slot = &t->text[t->n % t->cap];

	t->seq = r->seq;
	/* Pictures are for the daemon. */
	if (r->time_ns < t->since_ns || strstr(r->json, "\"kind\":\"picture\""))
		return true;
	free(*slot);
	*slot = strdup(r->json);
	t->n++;
	return true;
}

/* The record as it was kept, with its time as it is shown, and in words. */
static json_t *record_json(const char *text)
{
	json_t *o = text ? json_loads(text, 0, NULL) : NULL, *lost;
	char words[WITNESS_TEXT_MAX] = "";
	struct witness_entry e;

	if (!o)
		return json_null();
	lost = json_object_get(o, "lost");
	if (lost)
		snprintf(words, sizeof(words), "%lld entries could not be written",
			 (long long)json_integer_value(lost));
	else if (witness_entry_read(o, &e))
		witness_entry_text(&e, words, sizeof(words));
	query_put_time(o, "time", (uint64_t)json_integer_value(json_object_get(o, "time")));
	query_put_string(o, "text", words);
	return o;
}

static json_t *log_json(const struct lu *lu, const struct query_witness_log *q)
{
	json_int_t after = json_integer_value(json_object_get(q->after, lu->id.name));
	struct tail t = { .since_ns = q->since_ns, .cap = q->last };
	json_t *o = query_lu_json(lu), *a = json_array();
	unsigned bad = 0;
	int err = 0;

	/* More than there can be. */
	if (t.cap > 10 * JOURNAL_KEEP)
		t.cap = 10 * JOURNAL_KEEP;
	t.seq = after > 0 ? (uint64_t)after : 0;
	t.text = calloc(t.cap + 1, sizeof(*t.text));
	if (t.text && t.cap)
		err = journal_read(witness_journal(lu), t.seq + 1, tail_take, &t, &bad);
	for (uint64_t i = t.n > t.cap ? t.n - t.cap : 0; i < t.n; i++)
		json_array_append_new(a, record_json(t.text[i % t.cap]));
	json_object_set_new(o, "entries", a);
	query_put_int(o, "sequence", t.seq);
	query_put_int(o, "damaged_lines", bad);
	query_put_string(o, "error", err ? strerror(-err) : NULL);
	for (uint64_t i = 0; t.text && i < t.cap; i++)
		free(t.text[i]);
	free(t.text);
	return o;
}

json_t *query_witness_log_json(const struct lu *only, const struct query_witness_log *q)
{
	json_t *o = json_object(), *a = json_array();

	for (unsigned i = 0; i < (only ? 1 : daemon_state.nlus); i++) {
		const struct lu *lu = only ? only : daemon_state.lus[i];

		if (lu->id.witness)
			json_array_append_new(a, log_json(lu, q));
	}
	json_object_set_new(o, "luns", a);
	return o;
}
