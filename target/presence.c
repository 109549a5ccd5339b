/* SPDX-License-Identifier: Apache-2.0 */
/* All appending is done on the first reactor, wherever sessions live: a journal has one writer. */
#include "target/hex.h"
#include "target/presence.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "target/journal.h"
#include "target/log.h"
#include "target/query.h"
#include "target/rcall.h"
#include "target/session.h"

enum {
	KEY_MAX = 2 * ISCSI_NAME_MAX + 32,
	/* A killed daemon gives its descriptors back a moment after its death. */
	LOCK_TRIES = 40,
	LOCK_WAIT_US = 50000,
};

static struct {
	struct journal *journal; /* atomic */
	int lock_fd;
} presence = { .lock_fd = -1 };

struct event {
	struct msg msg;
	bool start, in;
	uint16_t tsih;
	const char *target;	/* the configuration's */
	struct nexus nexus;
};

/* ---- told ------------------------------------------------------------------------------------ */

static json_t *event_json(const struct event *e)
{
	json_t *o;

	if (e->start)
		return json_pack("{s:s}", "event", "start");
	o = query_nexus_json(&e->nexus);
	query_put_string(o, "event", e->in ? "login" : "logout");
	query_put_string(o, "target", e->target);
	query_put_int(o, "tsih", e->tsih);
	return o;
}

static void event_arrived(struct msg *m)
{
	struct event *e = caa_container_of(m, struct event, msg);
	json_t *o = event_json(e);
	char *body = json_dumps(o, JSON_COMPACT);

	if (body && strlen(body) <= JOURNAL_BODY_MAX)
		journal_append(presence.journal, body);
	else
		log_warn("event=presence msg=\"out of memory: a login or logout is forgotten\"");
	free(body);
	json_decref(o);
	free(e);
}

static void event_send(const struct event *e)
{
	struct event *copy = malloc(sizeof(*copy));

	if (!copy) {
		log_warn("event=presence msg=\"out of memory: a login or logout is forgotten\"");
		return;
	}
	*copy = *e;
	copy->msg.fn = event_arrived;
	reactor_send(reactor_at(0), &copy->msg);
}

void presence_tell(const struct session *s, bool in)
{
	struct event e = { .in = in, .tsih = s->tsih, .nexus = s->nexus->nexus };

	if (!s->node || !__atomic_load_n(&presence.journal, __ATOMIC_ACQUIRE))
		return;
	e.target = s->node->cfg->name;
	event_send(&e);
}

/* ---- start and stop -------------------------------------------------------------------------- */

static bool lock_take(const char *dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/sessions.lock", dir);
	presence.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	for (unsigned i = 0; presence.lock_fd >= 0 && i < LOCK_TRIES; i++) {
		if (!flock(presence.lock_fd, LOCK_EX | LOCK_NB))
			return true;
		usleep(LOCK_WAIT_US);
	}
	return false;
}

static void lock_drop(void)
{
	if (presence.lock_fd >= 0)
		close(presence.lock_fd);
	presence.lock_fd = -1;
}

void presence_start(const char *dir)
{
	struct event e = { .start = true };
	struct journal *j = lock_take(dir) ? journal_open(dir, "sessions") : NULL;

	if (!j) {
		log_warn("event=presence path=%s/sessions.0 msg=\"logins and logouts are not kept: "
			 "another daemon uses this state_dir, or it cannot be written\"", dir);
		lock_drop();
		return;
	}
	__atomic_store_n(&presence.journal, j, __ATOMIC_RELEASE);
	event_send(&e);
}

void presence_stop(void)
{
	struct journal *j = presence.journal;

	/* What was told arrives first. */
	rcall_flush();
	__atomic_store_n(&presence.journal, NULL, __ATOMIC_RELEASE);
	journal_close(j);
	lock_drop();
}

bool presence_busy(void)
{
	rcall_flush();
	return journal_busy(__atomic_load_n(&presence.journal, __ATOMIC_ACQUIRE));
}

/* ---- asked ----------------------------------------------------------------------------------- */

struct presence {
	json_t *map;	/* of a nexus: {"time", "tsih": of its session, or -1: it has ended} */
	uint64_t now;	/* of the records read so far: the clock may have been set back */
	uint64_t base;	/* who is not in the map was there at this time at the latest */
	bool based;	/* by a start: who is not in the map has no session either */
};

static void key_make(char key[KEY_MAX], const char *target, const char *initiator,
		     const char *isid, unsigned group)
{
	snprintf(key, KEY_MAX, "%s %s %s %u", target, initiator, isid, group);
}

static void entry_set(struct presence *p, const char *key, json_int_t tsih)
{
	json_object_set_new(p->map, key, json_pack("{s:I, s:I}", "time", (json_int_t)p->now,
						   "tsih", tsih));
}

static json_int_t entry_tsih(const json_t *entry)
{
	return json_integer_value(json_object_get(entry, "tsih"));
}

/* Every session there was had ended by then. */
static void take_start(struct presence *p)
{
	const char *key;
	json_t *e;

	json_object_foreach(p->map, key, e) {
		if (entry_tsih(e) >= 0) {
			json_object_set_new(e, "time", json_integer((json_int_t)p->now));
			json_object_set_new(e, "tsih", json_integer(-1));
		}
	}
	if (!p->based)
		p->base = p->now;
	p->based = true;
}

static void take_lost(struct presence *p)
{
	json_object_clear(p->map);
	p->base = p->now;
	p->based = false;
}

static void take_session(struct presence *p, json_t *o, bool in)
{
	const char *target, *initiator, *isid;
	int group, tsih;
	char key[KEY_MAX];
	json_t *e;

	if (json_unpack(o, "{s:s, s:s, s:s, s:i, s:i}", "target", &target, "initiator", &initiator,
			"isid", &isid, "group", &group, "tsih", &tsih))
		return;
	key_make(key, target, initiator, isid, (unsigned)group);
	e = json_object_get(p->map, key);
	/* The end of a session that another replaced may be told after the other's beginning. */
	if (in || !e || entry_tsih(e) < 0 || entry_tsih(e) == tsih)
		entry_set(p, key, in ? tsih : -1);
}

static bool take(void *arg, const struct journal_record *r)
{
	struct presence *p = arg;
	json_t *o = json_loadb(r->json, r->len, 0, NULL);
	const char *event = json_string_value(json_object_get(o, "event"));

	p->now = r->time_ns > p->now ? r->time_ns : p->now;
	if (!p->base)
		p->base = p->now;
	if (json_object_get(o, "lost"))
		take_lost(p);
	else if (event && !strcmp(event, "start"))
		take_start(p);
	else if (event)
		take_session(p, o, !strcmp(event, "login"));
	json_decref(o);
	return true;
}

struct presence *presence_load(void)
{
	const struct journal *j = __atomic_load_n(&presence.journal, __ATOMIC_ACQUIRE);
	struct presence *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->map = json_object();
	if (!p->map || journal_read(j, 0, take, p, NULL) || !p->base) {
		presence_free(p);
		return NULL;
	}
	return p;
}

void presence_free(struct presence *p)
{
	if (p)
		json_decref(p->map);
	free(p);
}

bool presence_seen(const struct presence *p, const char *target, const struct nexus *n,
		   uint64_t *ns)
{
	char key[KEY_MAX], isid[13];
	struct timespec t;
	json_t *e;

	if (!p)
		return false;
	hex_put(isid, n->isid, sizeof(n->isid));
	key_make(key, target, n->initiator, isid, n->tpgt);
	e = json_object_get(p->map, key);
	*ns = e ? (uint64_t)json_integer_value(json_object_get(e, "time")) : p->base;
	if (e && entry_tsih(e) >= 0) {
		/* Its end is on its way into the journal. */
		clock_gettime(CLOCK_REALTIME, &t);
		*ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	return true;
}
