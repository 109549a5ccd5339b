/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdlib.h>

#include "target/buf.h"
#include "target/reactor.h"

enum { CLASSES = 13 };			/* 4 KiB << 0 .. 12 */

/* What a pool keeps of one size: enough for a busy turn, not a hoard. */
static uint32_t pool_keep(unsigned c)
{
	return c < 4 ? 512 : c < 8 ? 32 : 4;
}

static uint64_t budget = 1ull << 30;
static uint64_t share = 32 << 20;	/* of it, what one reactor keeps for reuse at most */
static uint64_t used;
static __thread struct {
	struct buf *free;
	uint32_t n;
} pool[CLASSES];
static __thread uint64_t kept;		/* bytes in pool */

static unsigned class_of(uint32_t n)
{
	unsigned c = 0;

	while ((uint32_t)BUF_MIN << c < n)
		c++;
	return c;
}

static void buf_drop(struct buf *b)
{
	__atomic_sub_fetch(&used, b->size, __ATOMIC_RELAXED);
	free(b->data);
	free(b);
}

struct buf *buf_get(uint32_t n)
{
	unsigned c = class_of(n ? n : 1);
	uint64_t limit = budget + budget / 16;
	struct buf *b;

	if (c >= CLASSES)
		return NULL;
	b = pool[c].free;
	if (b) {
		pool[c].free = b->next;
		pool[c].n--;
		kept -= b->size;
		return b;
	}
	/*
	 * A page, which is all that PR OUT, sense data and the like need, is there even then; and
	 * whatever the lane needs.
	 */
	if (c && reactor_self() != reactor_lane())
		limit -= budget / 16;
	if (__atomic_add_fetch(&used, (uint64_t)BUF_MIN << c, __ATOMIC_RELAXED) > limit) {
		__atomic_sub_fetch(&used, (uint64_t)BUF_MIN << c, __ATOMIC_RELAXED);
		return NULL;
	}
	b = malloc(sizeof(*b));
	if (b) {
		b->size = (uint32_t)BUF_MIN << c;
		b->data = aligned_alloc(BUF_MIN, b->size);
	}
	if (!b || !b->data) {
		free(b);
		__atomic_sub_fetch(&used, (uint64_t)BUF_MIN << c, __ATOMIC_RELAXED);
		return NULL;
	}
	return b;
}

void buf_put(struct buf *b)
{
	unsigned c;

	if (!b)
		return;
	c = class_of(b->size);
	if (pool[c].n >= pool_keep(c) || kept + b->size > share) {
		buf_drop(b);
		return;
	}
	b->next = pool[c].free;
	pool[c].free = b;
	pool[c].n++;
	kept += b->size;
}

void buf_trim(void)
{
	for (unsigned c = 0; c < CLASSES; c++) {
		struct buf *b;

		while ((b = pool[c].free)) {
			pool[c].free = b->next;
			buf_drop(b);
		}
		pool[c].n = 0;
	}
	kept = 0;
}

void buf_budget(uint64_t bytes)
{
	budget = bytes;
	share = bytes / 4 / (reactor_count() ? reactor_count() : 1);
}

uint64_t buf_used(void)
{
	return __atomic_load_n(&used, __ATOMIC_RELAXED);
}

uint64_t buf_share(void)
{
	return budget / 4;
}
