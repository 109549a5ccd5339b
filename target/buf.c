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
/* The budget, and what is kept back beside it. What came from a reserve goes back there. */
enum buf_account { ACCOUNT_ALL, ACCOUNT_NEED, ACCOUNT_LANE, ACCOUNT_ASIDE, ACCOUNTS };
static uint64_t used[ACCOUNTS];
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
	__atomic_sub_fetch(&used[b->account], b->size, __ATOMIC_RELAXED);
	free(b->data);
	free(b);
}

static bool charge(enum buf_account a, uint64_t bytes)
{
	uint64_t limit = a == ACCOUNT_ALL ? budget : budget / 16;

	if (__atomic_add_fetch(&used[a], bytes, __ATOMIC_RELAXED) <= limit)
		return true;
	__atomic_sub_fetch(&used[a], bytes, __ATOMIC_RELAXED);
	return false;
}

/* A new one, charged to an account already. */
static struct buf *buf_make(enum buf_account a, uint32_t bytes)
{
	struct buf *b = malloc(sizeof(*b));

	if (b) {
		b->account = (uint8_t)a;
		b->size = bytes;
		b->data = aligned_alloc(BUF_MIN, b->size);
	}
	if (!b || !b->data) {
		free(b);
		__atomic_sub_fetch(&used[a], bytes, __ATOMIC_RELAXED);
		return NULL;
	}
	return b;
}

static struct buf *buf_take(uint32_t n, bool need)
{
	unsigned c = class_of(n ? n : 1);
	uint32_t bytes = (uint32_t)BUF_MIN << c;
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
	if (charge(ACCOUNT_ALL, bytes))
		return buf_make(ACCOUNT_ALL, bytes);
	if (reactor_self() == reactor_lane() && charge(ACCOUNT_LANE, bytes))
		return buf_make(ACCOUNT_LANE, bytes);
	if (need && charge(ACCOUNT_NEED, bytes))
		return buf_make(ACCOUNT_NEED, bytes);
	return NULL;
}

struct buf *buf_get(uint32_t n)
{
	return buf_take(n, false);
}

struct buf *buf_need(uint32_t n)
{
	return buf_take(n, true);
}

struct buf *buf_aside(uint32_t n)
{
	unsigned c = class_of(n ? n : 1);
	uint32_t bytes = (uint32_t)BUF_MIN << c;

	return c < CLASSES && charge(ACCOUNT_ASIDE, bytes) ? buf_make(ACCOUNT_ASIDE, bytes) : NULL;
}

void buf_put(struct buf *b)
{
	unsigned c;

	if (!b)
		return;
	c = class_of(b->size);
	if (b->account != ACCOUNT_ALL || pool[c].n >= pool_keep(c) || kept + b->size > share) {
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
	uint64_t sum = 0;

	for (unsigned a = 0; a < ACCOUNTS; a++)
		sum += __atomic_load_n(&used[a], __ATOMIC_RELAXED);
	return sum;
}

uint64_t buf_share(void)
{
	return budget / 4;
}
