/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors over wire data. Reading is sticky: past the end every read gives 0 and `bad` stays set,
 * so a parser reads a whole structure into a local and checks once. Writing counts what the whole
 * answer would take while storing only what fits, which is exactly how SPC-4 4.2.5.6 truncates to
 * an ALLOCATION LENGTH.
 */
#ifndef SCSI_CURSOR_H
#define SCSI_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "scsi/wire.h"

struct rcur {
	const uint8_t *p;
	size_t left;
	bool bad;		/* something was read that is not there */
};

static inline struct rcur rcur_of(const void *p, size_t len)
{
	return (struct rcur){ .p = p, .left = len };
}

/*
 * The next n bytes, or NULL (and bad) when fewer are left. The bytes belong to the caller's buffer.
 */
static inline const uint8_t *rcur_take(struct rcur *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || n > c->left) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->left -= n;
	return p;
}

static inline uint8_t rcur_u8(struct rcur *c)
{
	const uint8_t *p = rcur_take(c, 1);
	return p ? *p : 0;
}

static inline uint16_t rcur_be16(struct rcur *c)
{
	const uint8_t *p = rcur_take(c, 2);
	return p ? get_be16(p) : 0;
}

static inline uint32_t rcur_be32(struct rcur *c)
{
	const uint8_t *p = rcur_take(c, 4);
	return p ? get_be32(p) : 0;
}

static inline uint64_t rcur_be64(struct rcur *c)
{
	const uint8_t *p = rcur_take(c, 8);
	return p ? get_be64(p) : 0;
}

struct wcur {
	uint8_t *base;
	size_t cap;		/* bytes that may be stored at base */
	size_t len;		/* bytes written so far, also those that did not fit */
};

static inline struct wcur wcur_of(void *base, size_t cap)
{
	return (struct wcur){ .base = base, .cap = cap };
}

/* Bytes really stored. */
static inline size_t wcur_stored(const struct wcur *c)
{
	return c->len < c->cap ? c->len : c->cap;
}

static inline void wcur_put(struct wcur *c, const void *p, size_t n)
{
	if (c->len < c->cap && n) {
		size_t fit = c->cap - c->len < n ? c->cap - c->len : n;

		memcpy(c->base + c->len, p, fit);
	}
	c->len += n;
}

static inline void wcur_zero(struct wcur *c, size_t n)
{
	if (c->len < c->cap && n) {
		size_t fit = c->cap - c->len < n ? c->cap - c->len : n;

		memset(c->base + c->len, 0, fit);
	}
	c->len += n;
}

static inline void wcur_u8(struct wcur *c, uint8_t v) { wcur_put(c, &v, 1); }
static inline void wcur_be16(struct wcur *c, uint16_t v)
{
	be16 w = be16_of(v);
	wcur_put(c, &w, 2);
}
static inline void wcur_be24(struct wcur *c, uint32_t v)
{
	be24 w = be24_of(v);
	wcur_put(c, &w, 3);
}
static inline void wcur_be32(struct wcur *c, uint32_t v)
{
	be32 w = be32_of(v);
	wcur_put(c, &w, 4);
}
static inline void wcur_be64(struct wcur *c, uint64_t v)
{
	be64 w = be64_of(v);
	wcur_put(c, &w, 8);
}

/* Overwrites what was put at `at` earlier (a length field, once the length is known). */
static inline void wcur_patch(struct wcur *c, size_t at, const void *p, size_t n)
{
	if (at < c->cap) {
		size_t fit = c->cap - at < n ? c->cap - at : n;

		memcpy(c->base + at, p, fit);
	}
}

static inline void wcur_patch_be16(struct wcur *c, size_t at, uint16_t v)
{
	be16 w = be16_of(v);
	wcur_patch(c, at, &w, 2);
}

static inline void wcur_patch_be32(struct wcur *c, size_t at, uint32_t v)
{
	be32 w = be32_of(v);
	wcur_patch(c, at, &w, 4);
}

#endif
