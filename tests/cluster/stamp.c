/* SPDX-License-Identifier: Apache-2.0 */
#include "stamp.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char stamp_magic[8] = "HFSTAMP1";
static const char *const mode_name[] = { "volatile", "fua", "flush", "through" };

struct sector_head {
	char magic[8];
	uint64_t sector;
	uint64_t gen;
};

static uint64_t mix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t stamp_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void sector_fill(uint8_t *data, uint64_t sector, uint32_t gen)
{
	struct sector_head head = { .sector = sector, .gen = gen };
	uint64_t state = sector << 32 ^ gen, word;
	size_t i;

	memcpy(head.magic, stamp_magic, sizeof(head.magic));
	memcpy(data, &head, sizeof(head));
	for (i = sizeof(head); i < STAMP_SECTOR; i += sizeof(word)) {
		word = mix(&state);
		memcpy(data + i, &word, sizeof(word));
	}
}

/* The generation of a whole sector, 0 for one never written (all zeroes), -1 for anything else. */
static int64_t sector_gen(const uint8_t *data, uint64_t sector)
{
	static const uint8_t zero[STAMP_SECTOR];
	uint8_t want[STAMP_SECTOR];
	struct sector_head head;

	if (!memcmp(data, zero, sizeof(zero)))
		return 0;
	memcpy(&head, data, sizeof(head));
	if (head.gen == 0 || head.gen > UINT32_MAX)
		return -1;
	sector_fill(want, sector, (uint32_t)head.gen);
	return memcmp(data, want, sizeof(want)) ? -1 : (int64_t)head.gen;
}

static void lanes_alloc(struct stamp_ledger *l)
{
	unsigned int i;

	for (i = 0; i < l->lanes; i++) {
		l->lane[i].sector = calloc(STAMP_LANE_SECTORS, sizeof(struct stamp_sector));
		if (!l->lane[i].sector)
			err(1, "lane");
		l->lane[i].index = i;
		l->lane[i].rnd = (uint64_t)i << 48 ^ (uint64_t)time(NULL);
	}
}

static enum stamp_mode mode_next(const char **word, const char *modes)
{
	size_t n = strcspn(*word, ","), m;

	for (m = 0; m < sizeof(mode_name) / sizeof(mode_name[0]); m++)
		if (strlen(mode_name[m]) == n && !memcmp(mode_name[m], *word, n))
			break;
	if (m == sizeof(mode_name) / sizeof(mode_name[0]))
		errx(2, "%s: modes are volatile, fua, flush, through", modes);
	*word = (*word)[n] ? *word + n + 1 : modes;
	return (enum stamp_mode)m;
}

void stamp_open(struct stamp_ledger *l, const char *path, unsigned int lanes, const char *modes)
{
	FILE *f = fopen(path, "r");
	const char *word = modes;
	uint32_t head[3];
	unsigned int i;

	*l = (struct stamp_ledger){ .lanes = lanes };
	if (f && fread(&l->lanes, sizeof(l->lanes), 1, f) != 1)
		errx(1, "%s: not a ledger", path);
	if (l->lanes == 0 || l->lanes > STAMP_LANES_MAX)
		errx(2, "%u lanes: 1 to %d are possible", l->lanes, STAMP_LANES_MAX);
	lanes_alloc(l);
	for (i = 0; i < l->lanes; i++) {
		struct stamp_lane *lane = &l->lane[i];

		if (!f) {
			lane->mode = mode_next(&word, modes);
			continue;
		}
		if (fread(head, sizeof(head), 1, f) != 1 ||
		    fread(lane->sector, sizeof(*lane->sector), STAMP_LANE_SECTORS, f) !=
			    STAMP_LANE_SECTORS)
			errx(1, "%s: too short", path);
		lane->mode = (enum stamp_mode)head[0];
		lane->index = head[1];
		lane->gen = head[2];
	}
	if (f)
		fclose(f);
}

void stamp_save(const struct stamp_ledger *l, const char *path)
{
	FILE *f = fopen(path, "w");
	unsigned int i;

	if (!f)
		err(1, "%s", path);
	fwrite(&l->lanes, sizeof(l->lanes), 1, f);
	for (i = 0; i < l->lanes; i++) {
		uint32_t head[3] = { l->lane[i].mode, l->lane[i].index, l->lane[i].gen };

		fwrite(head, sizeof(head), 1, f);
		fwrite(l->lane[i].sector, sizeof(struct stamp_sector), STAMP_LANE_SECTORS, f);
	}
	if (fclose(f))
		err(1, "%s", path);
}

uint64_t stamp_write_start(struct stamp_lane *lane, uint8_t *data)
{
	uint64_t first = (uint64_t)lane->index * STAMP_LANE_SECTORS, r = mix(&lane->rnd);
	uint32_t i;

	/* Mostly small, now and then as large as can be. */
	lane->count =
		r % 8 ? STAMP_UNIT * (1 + (uint32_t)(r >> 8) % 4)
		      : STAMP_UNIT * (1 + (uint32_t)(r >> 8) % (STAMP_WRITE_MAX / STAMP_UNIT));
	lane->start = (uint32_t)(r >> 32) % ((STAMP_LANE_SECTORS - lane->count) / STAMP_UNIT + 1) *
		      STAMP_UNIT;
	lane->gen++;
	for (i = 0; i < lane->count; i++) {
		lane->sector[lane->start + i].issued = lane->gen;
		sector_fill(data + (size_t)i * STAMP_SECTOR, first + lane->start + i, lane->gen);
	}
	if (!lane->acked_ms)
		lane->acked_ms = stamp_now_ms();
	return first + lane->start;
}

static void lane_acked(struct stamp_lane *lane)
{
	uint64_t now = stamp_now_ms();

	if (now - lane->acked_ms > lane->pause_ms)
		lane->pause_ms = now - lane->acked_ms;
	lane->acked_ms = now;
}

void stamp_write_done(struct stamp_lane *lane)
{
	uint32_t i;

	for (i = 0; i < lane->count; i++) {
		struct stamp_sector *s = &lane->sector[lane->start + i];

		s->written = lane->gen;
		if (lane->mode == STAMP_FUA || lane->mode == STAMP_THROUGH)
			s->durable = lane->gen;
	}
	lane->writes++;
	lane->unflushed++;
	lane_acked(lane);
}

bool stamp_flush_due(const struct stamp_lane *lane)
{
	return lane->mode == STAMP_FLUSH && lane->unflushed > lane->rnd % 8;
}

void stamp_flush_done(struct stamp_lane *lane)
{
	uint32_t i;

	for (i = 0; i < STAMP_LANE_SECTORS; i++)
		lane->sector[i].durable = lane->sector[i].written;
	lane->flushes++;
	lane->unflushed = 0;
	lane_acked(lane);
}

void stamp_track_start(const struct stamp_ledger *l, struct stamp_track *t)
{
	unsigned int i;

	*t = (struct stamp_track){ .lanes = l->lanes };
	for (i = 0; i < l->lanes; i++) {
		t->lane[i].mode = l->lane[i].mode;
		t->lane[i].index = l->lane[i].index;
		t->lane[i].seed = l->lane[i].rnd;
	}
}

void stamp_track_replay(const struct stamp_track *t, struct stamp_ledger *l)
{
	uint8_t *data = aligned_alloc(4096, STAMP_WRITE_MAX * STAMP_SECTOR);
	uint64_t acks;
	unsigned int i;

	if (!data)
		err(1, "buffer");
	if (t->lanes == 0 || t->lanes > STAMP_LANES_MAX)
		errx(1, "a track of %u lanes", t->lanes);
	*l = (struct stamp_ledger){ .lanes = t->lanes };
	lanes_alloc(l);
	for (i = 0; i < l->lanes; i++) {
		struct stamp_lane *lane = &l->lane[i];

		lane->mode = (enum stamp_mode)t->lane[i].mode;
		lane->index = t->lane[i].index;
		lane->rnd = t->lane[i].seed;
		for (acks = t->lane[i].acks; acks; acks--) {
			if (stamp_flush_due(lane)) {
				stamp_flush_done(lane);
				continue;
			}
			stamp_write_start(lane, data);
			stamp_write_done(lane);
		}
		/* A flush may have been under way, or a write: of a flush there is nothing to note.
		 */
		if (!stamp_flush_due(lane))
			stamp_write_start(lane, data);
	}
	free(data);
}

static uint64_t lane_check(struct stamp_lane *lane, uint64_t base, const uint8_t *data,
			   uint64_t *forgotten)
{
	uint64_t bad = 0;
	uint32_t i;

	for (i = 0; i < STAMP_LANE_SECTORS; i++) {
		struct stamp_sector *s = &lane->sector[i];
		int64_t gen = sector_gen(data + (size_t)i * STAMP_SECTOR, base + i);

		if (gen < (int64_t)s->durable || gen > (int64_t)s->issued) {
			if (bad++ < 5)
				printf("BAD sector %llu (lane %u, %s): holds %s %lld, durable %u, "
				       "written %u, "
				       "issued %u\n",
				       (unsigned long long)(base + i), lane->index,
				       mode_name[lane->mode], gen < 0 ? "garbage" : "generation",
				       (long long)gen, s->durable, s->written, s->issued);
			continue;
		}
		*forgotten += gen < (int64_t)s->written;
		s->issued = s->written = s->durable = (uint32_t)gen;
	}
	return bad;
}

uint64_t stamp_check(struct stamp_ledger *l, stamp_read_fn *read_fn, void *ctx, uint64_t *forgotten)
{
	uint64_t bad = 0, held = 0, base;
	uint8_t *data;
	unsigned int i;
	uint32_t s;

	data = aligned_alloc(4096, STAMP_REGION);
	if (!data)
		err(1, "buffer");
	*forgotten = 0;
	for (i = 0; i < l->lanes; i++) {
		base = (uint64_t)l->lane[i].index * STAMP_LANE_SECTORS;
		for (s = 0; s < STAMP_LANE_SECTORS; s += STAMP_WRITE_MAX)
			if (read_fn(ctx, base + s, STAMP_WRITE_MAX,
				    data + (size_t)s * STAMP_SECTOR))
				errx(1, "cannot read sector %llu", (unsigned long long)(base + s));
		for (s = 0; s < STAMP_LANE_SECTORS; s++)
			held += l->lane[i].sector[s].durable != 0;
		bad += lane_check(&l->lane[i], base, data, forgotten);
	}
	free(data);
	printf("checked %u lanes: %llu durable sectors, %llu bad, %llu not durable and forgotten\n",
	       l->lanes, (unsigned long long)held, (unsigned long long)bad,
	       (unsigned long long)*forgotten);
	return bad;
}

void stamp_report(const struct stamp_ledger *l, FILE *out)
{
	uint64_t writes = 0, flushes = 0, pause = 0;
	unsigned int i;

	for (i = 0; i < l->lanes; i++) {
		writes += l->lane[i].writes;
		flushes += l->lane[i].flushes;
		if (l->lane[i].pause_ms > pause)
			pause = l->lane[i].pause_ms;
	}
	fprintf(out, "%llu writes and %llu flushes acknowledged, longest pause %llu ms\n",
		(unsigned long long)writes, (unsigned long long)flushes, (unsigned long long)pause);
}
