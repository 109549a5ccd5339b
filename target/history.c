/* SPDX-License-Identifier: Apache-2.0 */
#include "target/history.h"

#include <inttypes.h>
#include <isa-l.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pr/state.h"
#include "scsi/wire.h"
#include "target/journal.h"
#include "target/log.h"
#include "target/query.h"
#include "target/rcall.h"
#include "target/state_file.h"

enum {
	LISTED = 48,	/* registrations of each kind that a record lists, if they fit */
	KEY_TEXT = 24,
};

/* A record that waits for its change to be in force. */
struct note {
	struct note *next;
	char *body;
};

struct history {
	struct journal *journal;
	struct note *notes, **tail;
};

/* A start on its way to home. */
struct start {
	struct msg msg;
	struct lu *lu;
	struct history *h;
	char *body; /* what the start changed, or NULL */
};

/* ---- a record -------------------------------------------------------------------------------- */

static const char *const pr_actions[] = {
	"REGISTER", "RESERVE", "RELEASE", "CLEAR", "PREEMPT", "PREEMPT AND ABORT",
	"REGISTER AND IGNORE EXISTING KEY", "REGISTER AND MOVE",
};
enum { PR_ACTIONS = sizeof(pr_actions) / sizeof(pr_actions[0]) };

static const char *const type_names[] = {
	[PR_NONE] = "none",
	[PR_WRITE_EXCLUSIVE] = "write exclusive",
	[PR_EXCLUSIVE_ACCESS] = "exclusive access",
	[PR_WRITE_EXCLUSIVE_RO] = "write exclusive, registrants only",
	[PR_EXCLUSIVE_ACCESS_RO] = "exclusive access, registrants only",
	[PR_WRITE_EXCLUSIVE_AR] = "write exclusive, all registrants",
	[PR_EXCLUSIVE_ACCESS_AR] = "exclusive access, all registrants",
};

const char *history_type_name(uint8_t type)
{
	return type < sizeof(type_names) / sizeof(type_names[0]) && type_names[type]
		       ? type_names[type]
		       : "unknown";
}

static const char *action_of(const struct lu_request *rq)
{
	static const char *const kinds[] = {
		[LU_CHANGE_RESET] = "LOGICAL UNIT RESET",
		[LU_CHANGE_TARGET_RESET] = "TARGET RESET",
		[LU_CHANGE_NEXUS_LOST] = "session ended",
		[LU_CHANGE_PR_CLEAR] = "administrator: clear",
		[LU_CHANGE_PR_IMPORT] = "administrator: import",
		[LU_CHANGE_PR_PRUNE] = "administrator: prune",
	};

	if (rq->kind != LU_CHANGE_CMD)
		return rq->kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[rq->kind]
			       ? kinds[rq->kind]
			       : "other";
	switch (rq->cdb[0]) {
	case 0x16:
		return "RESERVE(6)";
	case 0x17:
		return "RELEASE(6)";
	case 0x56:
		return "RESERVE(10)";
	case 0x57:
		return "RELEASE(10)";
	default:
		return (rq->cdb[1] & 0x1f) < PR_ACTIONS ? pr_actions[rq->cdb[1] & 0x1f] : "other";
	}
}

static json_t *key_json(uint64_t key)
{
	char s[KEY_TEXT];

	snprintf(s, sizeof(s), "0x%016" PRIx64, key);
	return json_string(s);
}

static json_t *reg_json(const struct pr_state *s, unsigned i)
{
	json_t *o = query_registrant_json(s, i);

	json_object_del(o, "holder");
	return o;
}

/* null: none. All hold one of an all registrants type, so none is named. */
static json_t *reservation_json(const struct pr_state *s)
{
	if (s->type == PR_NONE)
		return json_null();
	return json_pack("{s:i, s:s, s:o}", "type", s->type, "type_name",
			 history_type_name(s->type), "holder",
			 s->holder == PR_NO_HOLDER ? json_null() : reg_json(s, s->holder));
}

struct lists {
	json_t *added, *removed, *changed;
	size_t limit;
	unsigned more;
};

static void list_put(struct lists *l, json_t *list, const struct pr_state *s, unsigned i)
{
	if (json_array_size(list) < l->limit)
		json_array_append_new(list, reg_json(s, i));
	else
		l->more++;
}

static void list_fill(void *arg, enum pr_diff what, const struct pr_state *s, unsigned i)
{
	struct lists *l = arg;

	list_put(l,
		 what == PR_DIFF_GONE  ? l->removed
		 : what == PR_DIFF_KEY ? l->changed
				       : l->added,
		 s, i);
}

static void put_lists(json_t *o, const struct pr_state *old, const struct pr_state *next,
		      size_t limit)
{
	struct lists l = { json_array(), json_array(), json_array(), limit, 0 };

	pr_diff(old, next, list_fill, &l);
	json_object_set_new(o, "added", l.added);
	json_object_set_new(o, "removed", l.removed);
	json_object_set_new(o, "changed", l.changed);
	if (l.more)
		json_object_set_new(o, "more", json_integer(l.more));
}

static uint32_t value_crc(const struct pr_state *s)
{
	return crc32_iscsi((unsigned char *)(uintptr_t)s, (int)s->size, 0xffffffffu);
}

static void put_values(json_t *o, const struct pr_state *old, const struct pr_state *next)
{
	char crc[16];

	if (!pr_same_reservation(old, next)) {
		json_object_set_new(o, "before", reservation_json(old));
		json_object_set_new(o, "after", reservation_json(next));
	}
	snprintf(crc, sizeof(crc), "%08" PRIx32, value_crc(next));
	json_object_set_new(o, "registrants", json_integer(next->nregs));
	json_object_set_new(o, "generation", json_integer(next->generation));
	json_object_set_new(o, "aptpl", json_boolean(next->aptpl));
	json_object_set_new(o, "value", json_string(crc));
}

static json_t *by_json(const struct lu_change *c)
{
	if (c->rq.has_nexus)
		return query_nexus_json(&c->rq.nexus);
	return c->rq.kind == LU_CHANGE_PR_CLEAR || c->rq.kind == LU_CHANGE_PR_IMPORT ||
			       c->rq.kind == LU_CHANGE_PR_PRUNE
		       ? json_pack("{s:I}", "administrator", (json_int_t)c->rq.uid)
		       : json_null();
}

/* Keys and type of a PERSISTENT RESERVE OUT (SPC-4 6.16); scope and type mean something to some. */
static void put_pr_out(json_t *o, const struct lu_request *rq)
{
	uint8_t sa = rq->cdb[1] & 0x1f;

	if (rq->kind != LU_CHANGE_CMD || rq->cdb[0] != 0x5f || rq->param_len < 16)
		return;
	if (sa == 1 || sa == 2 || sa == 4 || sa == 5)
		json_object_set_new(o, "type", json_integer(rq->cdb[2] & 0xf));
	json_object_set_new(o, "key", key_json(get_be64(rq->param)));
	json_object_set_new(o, "sa_key", key_json(get_be64(rq->param + 8)));
}

/* Text of a record that fits, with as many registrations as fit; o gets their lists. */
static char *body_of(json_t *o, const struct pr_state *old, const struct pr_state *next)
{
	char *body = NULL;

	for (size_t limit = LISTED;; limit /= 2) {
		json_object_del(o, "more");
		put_lists(o, old, next, limit);
		free(body);
		body = json_dumps(o, JSON_COMPACT);
		if (!body || strlen(body) <= JOURNAL_BODY_MAX || !limit)
			break;
	}
	json_decref(o);
	if (body && strlen(body) > JOURNAL_BODY_MAX) {
		free(body);
		body = NULL;
	}
	return body;
}

static bool same_reserve6(const struct lu_value *a, const struct lu_value *b)
{
	return a->reserved6 == b->reserved6 &&
	       (!a->reserved6 || nexus_eq(&a->reserved6_by, &b->reserved6_by));
}

static char *change_body(const struct lu_change *c, const struct lu_value *old,
			 const struct lu_value *next)
{
	json_t *o = json_pack("{s:o, s:s}", "by", by_json(c), "action", action_of(&c->rq));

	put_pr_out(o, &c->rq);
	if (!same_reserve6(old, next))
		json_object_set_new(o, "reserve6", next->reserved6
							   ? query_nexus_json(&next->reserved6_by)
							   : json_null());
	put_values(o, old->pr, next->pr);
	return body_of(o, old->pr, next->pr);
}

/* ---- changes --------------------------------------------------------------------------------- */

void history_note(struct lu *lu, const struct lu_change *c, const struct lu_value *old,
		  const struct lu_value *next)
{
	struct history *h = lu->history;
	struct note *n;

	/* What was done before the store's lock was ours is in its owner's history. */
	if (!h || c->rq.kind == LU_CHANGE_CAPS || (old->pr == next->pr && same_reserve6(old, next)))
		return;
	n = calloc(1, sizeof(*n));
	if (n)
		n->body = change_body(c, old, next);
	if (!n || !n->body) {
		free(n);
		log_warn("event=history lun=%s msg=\"a change could not be noted: out of memory\"",
			 lu->id.name);
		return;
	}
	*h->tail = n;
	h->tail = &n->next;
}

/* The notes are over: into the journal, or not. */
static void notes_end(struct history *h, bool keep)
{
	while (h && h->notes) {
		struct note *n = h->notes;

		h->notes = n->next;
		if (keep)
			journal_append(h->journal, n->body);
		free(n->body);
		free(n);
	}
	if (h)
		h->tail = &h->notes;
}

void history_commit(struct lu *lu)
{
	notes_end(lu->history, true);
}

void history_drop(struct lu *lu)
{
	notes_end(lu->history, false);
}

struct journal *history_journal(const struct lu *lu)
{
	const struct history *h = __atomic_load_n(&lu->history, __ATOMIC_ACQUIRE);

	return h ? h->journal : NULL;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static void started(struct msg *m)
{
	struct start *s = caa_container_of(m, struct start, msg);

	__atomic_store_n(&s->lu->history, s->h, __ATOMIC_RELEASE);
	if (s->body)
		journal_append(s->h->journal, s->body);
	free(s->body);
	free(s);
}

/* The checksum that the last record left; of no value when that tells of lost ones. */
static uint32_t last_value(const struct journal *j)
{
	const char *last = journal_last(j);
	const char *at = last ? strstr(last, "\"value\":\"") : NULL;

	return !last ? value_crc(pr_none) : at ? (uint32_t)strtoul(at + 9, NULL, 16) : 0;
}

/* What happened since the last record without being recorded; NULL: nothing. */
static char *start_body(const struct journal *j, const struct store_image *img)
{
	json_t *o;

	if (!img) {
		o = json_pack("{s:n, s:s}", "by", "action", "damaged");
		return body_of(o, pr_none, pr_none);
	}
	if (last_value(j) == value_crc(img->pr))
		return NULL;
	o = json_pack("{s:n, s:s}", "by", "action", img->power_on ? "power on" : "found at start");
	put_values(o, img->pr, img->pr);
	json_object_set_new(o, "after", reservation_json(img->pr));
	return body_of(o, img->pr, img->pr);
}

void history_start(struct lu *lu, const char *dir, const struct store_image *img)
{
	struct history *h = calloc(1, sizeof(*h));
	struct start *s = calloc(1, sizeof(*s));
	char name[STATE_NAME_MAX];

	state_name(name, lu->id.uuid, "history");
	if (h)
		h->journal = journal_open(dir, name);
	if (!s || !h || !h->journal) {
		log_warn("event=history lun=%s msg=\"none is kept: out of memory\"", lu->id.name);
		free(h);
		free(s);
		return;
	}
	h->tail = &h->notes;
	s->lu = lu;
	s->h = h;
	s->body = start_body(h->journal, img);
	s->msg.fn = started;
	reactor_send(lu->home, &s->msg);
}

void history_stop(struct lu *lu)
{
	struct history *h;

	/* A start that has not arrived yet does. */
	rcall_flush();
	h = __atomic_load_n(&lu->history, __ATOMIC_ACQUIRE);
	if (!h)
		return;
	notes_end(h, false);
	journal_close(h->journal);
	free(h);
	lu->history = NULL;
}
