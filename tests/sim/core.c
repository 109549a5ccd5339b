/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness, the event queue, the trace, and the daemon's memory. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/hooks.h"
#include "tests/sim/sim.h"

uint64_t sim_now, sim_steps, sim_seed, sim_boot;
bool sim_tracing;

/* ---- randomness: splitmix64 ---- */

static uint64_t state;

uint64_t rnd(void)
{
	uint64_t x = state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t rnd_below(uint64_t n)
{
	return rnd() % n;
}

uint64_t rnd_between(uint64_t lo, uint64_t hi)
{
	return lo + rnd_below(hi - lo + 1);
}

bool rnd_chance(unsigned per_mille)
{
	return rnd_below(1000) < per_mille;
}

uint64_t rnd_delay(uint64_t mean)
{
	uint64_t r = rnd_below(100);

	if (!mean)
		return 0;
	if (r < 4)
		return rnd_below(mean * 20);
	return r < 40 ? rnd_below(mean / 4 + 1) : rnd_below(mean * 2 + 1);
}

/* ---- events ---- */

struct event {
	uint64_t at, order, boot; /* boot 0: whatever the daemon does */
	event_fn *fn;
	void *arg;
	uint64_t n;
};

static struct event *heap; /* from 1 */
static size_t events, room;
static uint64_t orders;

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void event_at(uint64_t at, bool boot, event_fn *fn, void *arg, uint64_t n)
{
	struct event e = { at < sim_now ? sim_now : at, ++orders, boot ? sim_boot : 0, fn, arg, n };
	size_t i;

	if (events + 2 > room) {
		room = room ? 2 * room : 1024;
		heap = realloc(heap, room * sizeof(*heap));
		if (!heap)
			abort();
	}
	for (i = ++events; i > 1 && before(&e, &heap[i / 2]); i /= 2)
		heap[i] = heap[i / 2];
	heap[i] = e;
}

static struct event pop(void)
{
	struct event top = heap[1], e = heap[events--];
	size_t i = 1;

	for (;;) {
		size_t c = 2 * i;

		if (c > events)
			break;
		if (c < events && before(&heap[c + 1], &heap[c]))
			c++;
		if (!before(&heap[c], &e))
			break;
		heap[i] = heap[c];
		i = c;
	}
	heap[i] = e;
	return top;
}

uint64_t event_next(void)
{
	while (events && heap[1].boot && heap[1].boot != sim_boot)
		pop();
	return events ? heap[1].at : UINT64_MAX;
}

bool event_run(void)
{
	struct event e;

	if (event_next() == UINT64_MAX)
		return false;
	e = pop();
	sim_now = e.at;
	sim_steps++;
	e.fn(e.arg, e.n);
	return true;
}

void events_clear(void)
{
	events = 0;
}

/* ---- words ---- */

void trace(const char *fmt, ...)
{
	va_list ap;

	if (!sim_tracing)
		return;
	va_start(ap, fmt);
	printf("%12.3f ", (double)sim_now / 1e6);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	printf("seed %llu, step %llu, %.3f ms: ", (unsigned long long)sim_seed,
	       (unsigned long long)sim_steps, (double)sim_now / 1e6);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\nsee it again: sim --seed %llu --trace\n", (unsigned long long)sim_seed);
	fflush(stdout);
	_exit(3);
}

void core_start(uint64_t seed)
{
	events_clear();
	sim_seed = seed;
	state = seed * 0x2545f4914f6cdd1du + 0x1234567;
	sim_now = SEC;
	sim_steps = 0;
	sim_boot = 1;
	orders = 0;
}

/* ---- the daemon's memory ---- */

struct block {
	void *p;   /* NULL: free place; (void *)1: was used */
	void *who; /* return address of the call */
	size_t n;
};

static struct block *table;
static size_t table_size, table_used, live;
#define GONE ((void *)1)

static size_t slot_of(const void *p)
{
	uint64_t x = (uint64_t)(uintptr_t)p >> 4;

	return (size_t)((x * 0x9e3779b97f4a7c15u) >> 20) & (table_size - 1);
}

static void table_add(struct block b)
{
	size_t i = slot_of(b.p);

	while (table[i].p && table[i].p != GONE)
		i = (i + 1) & (table_size - 1);
	if (!table[i].p)
		table_used++;
	table[i] = b;
	live++;
}

static void table_grow(void)
{
	struct block *old = table;
	size_t n = table_size;

	table_size = live * 4 < 4096 ? 4096 : table_size * (live * 4 > table_size ? 2 : 1);
	table = calloc(table_size, sizeof(*table));
	if (!table)
		abort();
	table_used = live = 0;
	for (size_t i = 0; i < n; i++)
		if (old[i].p && old[i].p != GONE)
			table_add(old[i]);
	free(old);
}

static void *note(void *p, size_t n, void *who)
{
	if (!p)
		abort();
	if (2 * (table_used + 1) > table_size)
		table_grow();
	table_add((struct block){ p, who, n });
	return p;
}

static bool unnote(void *p)
{
	size_t i;

	if (!table_size)
		return false;
	for (i = slot_of(p); table[i].p; i = (i + 1) & (table_size - 1))
		if (table[i].p == p) {
			table[i].p = GONE;
			live--;
			return true;
		}
	return false;
}

void *sim_malloc(size_t n)
{
	void *p = note(malloc(n), n, __builtin_return_address(0));

	/* What is not set shows, and the same in every run. */
	memset(p, 0xa5, n < 65536 ? n : 65536);
	return p;
}

void *sim_calloc(size_t n, size_t size)
{
	return note(calloc(n ? n : 1, size ? size : 1), n * size, __builtin_return_address(0));
}

void *sim_aligned_alloc(size_t align, size_t n)
{
	void *p = note(aligned_alloc(align, n), n, __builtin_return_address(0));

	memset(p, 0xa5, n < 65536 ? n : 65536);
	return p;
}

void *sim_realloc(void *p, size_t n)
{
	if (p)
		unnote(p);
	return note(realloc(p, n), n, __builtin_return_address(0));
}

char *sim_strdup(const char *s)
{
	return note(strdup(s), strlen(s), __builtin_return_address(0));
}

void sim_free(void *p)
{
	if (p)
		unnote(p);
	free(p);
}

void mem_free_all(void)
{
	for (size_t i = 0; i < table_size; i++)
		if (table[i].p && table[i].p != GONE)
			free(table[i].p);
	free(table);
	table = NULL;
	table_size = table_used = live = 0;
}

size_t mem_blocks(void)
{
	return live;
}

bool mem_leaks(void)
{
	bool bad = false;

	for (size_t i = 0; i < table_size; i++) {
		char name[128];

		if (!table[i].p || table[i].p == GONE)
			continue;
		if (mem_pooled(table[i].who, name, sizeof(name)))
			continue;
		printf("left over: %zu bytes from %s\n", table[i].n, name);
		bad = true;
	}
	return bad;
}
