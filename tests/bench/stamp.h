/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verify mode's memory: what every 512 bytes of a LUN must hold. A write stamps each of its
 * 512-byte pieces with place, LUN and generation, and fills the rest from them; a read is compared
 * word by word. Pieces under a write are kept from every other command of this generator, so what a
 * read must return is never in doubt.
 */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAMP = 512, STAMP_WRITING = 255 };

struct stamps {
	uint64_t pieces;		/* of 512 bytes */
	uint32_t *gen;			/* 0: never written by us, content unknown */
	uint8_t *users;			/* readers now, or STAMP_WRITING */
	uint64_t seed;
	uint32_t next_gen;
};

static inline int stamps_init(struct stamps *s, uint64_t bytes, uint64_t seed)
{
	s->pieces = bytes / STAMP;
	s->gen = calloc(s->pieces, sizeof(*s->gen));
	s->users = calloc(s->pieces, 1);
	s->seed = seed;
	s->next_gen = 1;
	return s->gen && s->users ? 0 : -ENOMEM;
}

static inline uint64_t stamp_word(uint64_t key, unsigned i)
{
	uint64_t x = key + (uint64_t)i * 0x9e3779b97f4a7c15u;

	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 29;
}

static inline void stamp_fill(uint8_t *buf, uint64_t piece, unsigned lun, uint32_t gen,
			      uint64_t seed)
{
	uint64_t w[STAMP / 8];
	uint64_t key = seed ^ piece << 20 ^ (uint64_t)lun << 56 ^ gen;

	w[0] = piece;
	w[1] = (uint64_t)lun << 32 | gen;
	for (unsigned i = 2; i < STAMP / 8; i++)
		w[i] = stamp_word(key, i);
	memcpy(buf, w, STAMP);
}

/* May [piece, piece + n) be read (or written) now? */
static inline bool stamps_free(const struct stamps *s, uint64_t piece, uint64_t n, bool write)
{
	for (uint64_t i = piece; i < piece + n; i++)
		if (write ? s->users[i] != 0 : s->users[i] >= STAMP_WRITING - 1)
			return false;
	return true;
}

static inline void stamps_take(struct stamps *s, uint64_t piece, uint64_t n, bool write)
{
	for (uint64_t i = piece; i < piece + n; i++)
		s->users[i] = write ? STAMP_WRITING : s->users[i] + 1;
}

static inline void stamps_give(struct stamps *s, uint64_t piece, uint64_t n, bool write)
{
	for (uint64_t i = piece; i < piece + n; i++)
		s->users[i] = write ? 0 : s->users[i] - 1;
}

/* Fills the buffer of a write; every piece gets the generation returned. */
static inline uint32_t stamps_write(struct stamps *s, uint8_t *buf, uint64_t piece, uint64_t n,
				    unsigned lun)
{
	uint32_t gen = s->next_gen++;

	for (uint64_t i = 0; i < n; i++)
		stamp_fill(buf + i * STAMP, piece + i, lun, gen, s->seed);
	return gen;
}

static inline void stamps_written(struct stamps *s, uint64_t piece, uint64_t n, uint32_t gen)
{
	for (uint64_t i = piece; i < piece + n; i++)
		s->gen[i] = gen;
}

/* Compares what was read; false, with a message on stderr, at the first wrong piece. *checked
 * counts the pieces compared. */
static inline bool stamps_check(const struct stamps *s, const uint8_t *buf, uint64_t piece,
				uint64_t n, unsigned lun, uint64_t *checked)
{
	uint8_t want[STAMP];

	for (uint64_t i = 0; i < n; i++) {
		const uint8_t *got = buf + i * STAMP;
		uint64_t w[2];

		if (!s->gen[piece + i])
			continue;
		stamp_fill(want, piece + i, lun, s->gen[piece + i], s->seed);
		++*checked;
		if (!memcmp(got, want, STAMP))
			continue;
		memcpy(w, got, sizeof(w));
		fprintf(stderr,
			"verify: lun %u byte %llu: expected piece %llu generation %u, found piece "
			"%llu lun %llu "
			"generation %llu%s\n",
			lun, (unsigned long long)(piece + i) * STAMP,
			(unsigned long long)(piece + i), s->gen[piece + i],
			(unsigned long long)w[0], (unsigned long long)(w[1] >> 32),
			(unsigned long long)(w[1] & 0xffffffffu),
			!memcmp(got, want, 16) ? " (the stamp is right, the rest is not)" : "");
		return false;
	}
	return true;
}

#endif
