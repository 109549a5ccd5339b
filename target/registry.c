/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "target/session.h"

enum { BUCKETS = 1024 };

struct registry_entry {
	struct registry_entry *next;
	unsigned node;
	struct nexus nexus;
	struct reactor *where;
	struct session *session;
	uint16_t tsih;
	unsigned refs;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct registry_entry *buckets[BUCKETS];
static uint8_t tsih_used[65536 / 8];
static uint16_t tsih_last;

/* FNV-1a over what identifies a nexus; collisions only cost a comparison. */
static unsigned hash_of(unsigned node, const struct nexus *n)
{
	uint32_t h = 2166136261u ^ node;

	for (const char *p = n->initiator; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (unsigned i = 0; i < sizeof(n->isid); i++)
		h = (h ^ n->isid[i]) * 16777619u;
	return (h ^ n->tpgt) % BUCKETS;
}

static struct registry_entry **find(unsigned node, const struct nexus *n)
{
	struct registry_entry **e = &buckets[hash_of(node, n)];

	while (*e && ((*e)->node != node || !nexus_eq(&(*e)->nexus, n)))
		e = &(*e)->next;
	return e;
}

struct registry_entry *registry_claim(unsigned node, const struct nexus *n, struct reactor *new,
				      struct reactor **where)
{
	struct registry_entry **slot, *e;

	pthread_mutex_lock(&lock);
	slot = find(node, n);
	e = *slot;
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (e) {
			e->node = node;
			e->nexus = *n;
			e->where = new;
			*slot = e;
		}
	}
	if (e) {
		e->refs++;
		*where = e->where;
	}
	pthread_mutex_unlock(&lock);
	return e;
}

void registry_put(struct registry_entry *e)
{
	struct registry_entry **slot;

	if (!e)
		return;
	pthread_mutex_lock(&lock);
	if (--e->refs == 0) {
		slot = find(e->node, &e->nexus);
		*slot = e->next;
		free(e);
	}
	pthread_mutex_unlock(&lock);
}

struct session *registry_session(struct registry_entry *e)
{
	struct session *s;

	pthread_mutex_lock(&lock);
	s = e->session;
	pthread_mutex_unlock(&lock);
	return s;
}

void registry_set(struct registry_entry *e, struct session *s)
{
	pthread_mutex_lock(&lock);
	e->session = s;
	e->tsih = s ? s->tsih : 0;
	pthread_mutex_unlock(&lock);
}

uint16_t registry_tsih(void)
{
	uint16_t t;

	pthread_mutex_lock(&lock);
	/* Sessions are limited to far fewer than 65,535; a handle is reused as late as possible. */
	do
		t = ++tsih_last;
	while (!t || tsih_used[t / 8] & 1 << t % 8);
	tsih_used[t / 8] |= (uint8_t)(1 << t % 8);
	pthread_mutex_unlock(&lock);
	return t;
}

void registry_tsih_put(uint16_t t)
{
	pthread_mutex_lock(&lock);
	tsih_used[t / 8] &= (uint8_t)~(1 << t % 8);
	pthread_mutex_unlock(&lock);
}

bool registry_has_tsih(unsigned node, const struct nexus *n, uint16_t tsih)
{
	struct registry_entry *e;
	bool has;

	pthread_mutex_lock(&lock);
	e = *find(node, n);
	has = e && e->session && e->tsih == tsih;
	pthread_mutex_unlock(&lock);
	return has;
}
