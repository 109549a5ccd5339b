/* SPDX-License-Identifier: Apache-2.0 */
/* What every block had in it, when, and from when on that was promised to survive. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/medium.h"

struct entry {
	uint64_t at, hash;
	struct cmd *cmd;
};

struct history {
	struct entry *v; /* v[0]: zeroes, since ever */
	unsigned n, room;
	unsigned durable; /* this entry, or a later one, survives a loss of power */
};

static struct history *histories[LUNS];
static uint8_t *contents[LUNS];

static uint64_t hash_of(const uint8_t *p)
{
	uint64_t h = 1, w;

	for (unsigned i = 0; i < DISK_BLOCK; i += 8) {
		memcpy(&w, p + i, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h;
}

static void add(struct history *h, uint64_t hash, struct cmd *c)
{
	if (h->n == h->room) {
		h->room = h->room ? 2 * h->room : 4;
		h->v = realloc(h->v, h->room * sizeof(*h->v));
		if (!h->v)
			abort();
	}
	h->v[h->n++] = (struct entry){ sim_now, hash, c };
}

static struct history *history_of(unsigned lun, uint64_t block)
{
	struct history *h = &histories[lun][block];

	if (!h->n) {
		static const uint8_t zeroes[DISK_BLOCK];

		add(h, hash_of(zeroes), NULL);
		h->v[0].at = 0;
	}
	return h;
}

void medium_start(void)
{
	for (unsigned i = 0; i < LUNS; i++) {
		histories[i] = calloc(disk_blocks(i), sizeof(struct history));
		contents[i] = calloc(disk_blocks(i), DISK_BLOCK);
		if (!histories[i] || !contents[i])
			abort();
	}
}

void medium_stop(void)
{
	for (unsigned i = 0; i < LUNS; i++) {
		for (uint64_t b = 0; histories[i] && b < disk_blocks(i); b++)
			free(histories[i][b].v);
		free(histories[i]);
		free(contents[i]);
		histories[i] = NULL;
		contents[i] = NULL;
	}
}

const uint8_t *medium_now(unsigned lun, uint64_t block)
{
	return contents[lun] + block * DISK_BLOCK;
}

void medium_effect(unsigned lun, uint64_t block, const uint8_t *data, struct cmd *c)
{
	struct history *h = history_of(lun, block);

	memcpy(contents[lun] + block * DISK_BLOCK, data, DISK_BLOCK);
	add(h, hash_of(data), c);
}

/* The first entry with this content between two times, or -1. */
static int had(struct history *h, const uint8_t *data, uint64_t from, uint64_t to)
{
	uint64_t hash = hash_of(data);
	int first = -1;

	for (unsigned i = h->n; i-- > 0;) {
		if (h->v[i].at > to)
			continue;
		if (h->v[i].hash == hash)
			first = (int)i;
		if (h->v[i].at < from)
			break;
	}
	return first;
}

bool medium_had(unsigned lun, uint64_t block, const uint8_t *data, uint64_t from, uint64_t to)
{
	return had(history_of(lun, block), data, from, to) >= 0;
}

void medium_read_durable(const struct cmd *c)
{
	for (uint64_t i = 0; i < c->nblocks; i++) {
		struct history *h = history_of(c->lun, c->lba + i);
		int at = had(h, c->in + i * DISK_BLOCK, c->sent, sim_now);

		if (at > (int)h->durable)
			h->durable = (unsigned)at;
	}
}

void medium_durable(struct cmd *c)
{
	for (uint64_t b = c->lba; b < c->lba + c->nblocks; b++) {
		struct history *h = history_of(c->lun, b);

		for (unsigned i = h->n; i-- > h->durable;)
			if (h->v[i].cmd == c) {
				h->durable = i;
				break;
			}
	}
}

void medium_flushed(struct cmd *c)
{
	for (uint64_t b = 0; b < disk_blocks(c->lun); b++) {
		struct history *h = &histories[c->lun][b];

		for (unsigned i = h->n; i-- > h->durable;) {
			const struct cmd *w = h->v[i].cmd;

			if (w && w->answered && w->status == 0 && w->ended < c->sent) {
				h->durable = i;
				break;
			}
		}
	}
}

void medium_found(unsigned lun, uint64_t block, const uint8_t *data, bool stable)
{
	struct history *h = history_of(lun, block);
	uint64_t hash = hash_of(data);
	unsigned i = h->n;

	while (i-- > h->durable)
		if (h->v[i].hash == hash)
			break;
	if (i + 1 == h->durable)
		fail("lun %u block %llu: what was promised to be durable is gone", lun,
		     (unsigned long long)block);
	if (h->v[h->n - 1].hash != hash)
		medium_effect(lun, block, data, NULL);
	if (stable)
		h->durable = h->n - 1;
}
