/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in this process's memory, sparse. Reads and writes copy at once and are answered together
 * at the end of the turn.
 *
 * A bit per granule says whether something may have been written there: a hole is read without
 * touching the memory (that would allocate page tables for it), and IO_EXTENT can tell. The bits
 * are truthful for accesses that do not overlap in time; for those that do any order is right, as
 * on any disk.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/impl.h"

enum {
	GRANULE = 32768,		/* bytes; what Windows' TRIM copes with */
	CLEAR_INLINE = 256 << 10,	/* bytes; more goes to a worker, madvise takes its time */
	EXTENT_GRANULES = 1 << 21,	/* granules one IO_EXTENT looks at (64 GiB; 32768 words) */
	STORE_LONG = 512,		/* bytes; from here on past the cache */
	LOAD_PIECE = 4096,		/* bytes, and so much is fetched ahead of them */
	LOAD_AHEAD = 2 * LOAD_PIECE,
	LINE = 64,
	BITS = 64
};

struct memory {
	char *base;			/* size bytes, mapped */
	_Atomic uint64_t *map;		/* one bit per granule */
	size_t map_bytes;
	uint64_t size;
};

/*
 * Initiators may read and write the same block from several reactors at once; what they then find
 * is theirs to sort out, as with any disk. The thread sanitizer need not know.
 */
#if defined(__SANITIZE_THREAD__)
#define RELAXED_COPY 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RELAXED_COPY 1
#endif
#endif
#ifdef RELAXED_COPY
/*
 * volatile: so that the compiler does not make a memcpy() of it, which the sanitizer watches
 * whoever calls it.
 */
__attribute__((no_sanitize("thread"), noinline))
static void relaxed_copy(void *to, const void *from, size_t n)
{
	volatile char *t = to;
	const volatile char *f = from;

	for (; n >= 8 && !(((uintptr_t)t | (uintptr_t)f) & 7); n -= 8, t += 8, f += 8)
		*(volatile uint64_t *)t = *(const volatile uint64_t *)f;
	for (; n; n--)
		*t++ = *f++;
}

__attribute__((no_sanitize("thread"), noinline))
static void relaxed_zero(void *to, size_t n)
{
	volatile char *t = to;

	for (; n >= 8 && !((uintptr_t)t & 7); n -= 8, t += 8)
		*(volatile uint64_t *)t = 0;
	for (; n; n--)
		*t++ = 0;
}
#else
#define relaxed_copy memcpy
#define relaxed_zero(to, n) memset((to), 0, (n))
#if defined(__x86_64__)
#include <emmintrin.h>
#define STORE_PAST_CACHE 1
#endif
#endif

/* ---- the map --------------------------------------------------------------------------------- */

static inline bool granule_mapped(const struct memory *m, uint64_t g)
{
	return atomic_load_explicit(&m->map[g / BITS], memory_order_relaxed) >> (g % BITS) & 1;
}

static inline void granule_map(struct memory *m, uint64_t g)
{
	/* Most are mapped already, and a load does not take the cache line from the others. */
	if (!granule_mapped(m, g))
		atomic_fetch_or_explicit(&m->map[g / BITS], (uint64_t)1 << (g % BITS),
					 memory_order_relaxed);
}

static inline void granule_unmap(struct memory *m, uint64_t g)
{
	if (granule_mapped(m, g))
		atomic_fetch_and_explicit(&m->map[g / BITS], ~((uint64_t)1 << (g % BITS)),
					  memory_order_relaxed);
}

/* The first granule in [g, end) whose mapping is not `mapped`; whole words at a time. */
static uint64_t granule_run_end(const struct memory *m, uint64_t g, uint64_t end, bool mapped)
{
	uint64_t word;

	while (g < end) {
		word = atomic_load_explicit(&m->map[g / BITS], memory_order_relaxed);
		word = (mapped ? ~word : word) >> (g % BITS);
		if (word) {
			g += (uint64_t)__builtin_ctzll(word);
			break;
		}
		g += BITS - g % BITS;
	}
	return g < end ? g : end;
}

/* ---- operations ------------------------------------------------------------------------------ */

/*
 * A store is larger than the cache, and the processor's own looking ahead ends at each page: asking
 * for the next ones saves a third of the time of long reads.
 */
static void load_copy(char *to, const char *from, uint64_t len)
{
	uint64_t n;

	for (; len; to += n, from += n, len -= n) {
		n = len < LOAD_PIECE ? len : LOAD_PIECE;
		if (len >= LOAD_AHEAD + LOAD_PIECE)
			for (uint64_t i = 0; i < LOAD_PIECE; i += LINE)
				__builtin_prefetch(from + LOAD_AHEAD + i);
		relaxed_copy(to, from, n);
	}
}

static void memory_read(const struct memory *m, char *to, uint64_t off, uint64_t len)
{
	uint64_t n;

	for (; len; off += n, to += n, len -= n) {
		n = GRANULE - off % GRANULE;
		if (n > len)
			n = len;
		if (granule_mapped(m, off / GRANULE))
			load_copy(to, m->base + off, n);
		else
			memset(to, 0, n);
	}
}

/* Holes are not lent: looking at them would make pages of them. */
static const uint8_t *memory_lend(struct backend *be, uint64_t off, uint64_t len)
{
	const struct memory *m = be->priv;
	uint64_t end = (off + len - 1) / GRANULE + 1;

	if (granule_run_end(m, off / GRANULE, end, true) < end)
		return NULL;
	return (const uint8_t *)m->base + off;
}

#ifdef STORE_PAST_CACHE
/*
 * A store is larger than the cache, mostly: to write whole lines past it saves reading them first.
 * Weakly ordered, see backend_settle().
 */
static void store_copy(char *to, const char *from, uint64_t len)
{
	uint64_t head = -(uintptr_t)to & 63;

	if (len < STORE_LONG) {
		memcpy(to, from, len);
		return;
	}
	memcpy(to, from, head);
	for (to += head, from += head, len -= head; len >= 64; to += 64, from += 64, len -= 64) {
		const __m128i *f = (const __m128i *)(const void *)from;
		__m128i *t = (__m128i *)(void *)to;
		__m128i a = _mm_loadu_si128(f), b = _mm_loadu_si128(f + 1);
		__m128i c = _mm_loadu_si128(f + 2), d = _mm_loadu_si128(f + 3);

		_mm_stream_si128(t, a);
		_mm_stream_si128(t + 1, b);
		_mm_stream_si128(t + 2, c);
		_mm_stream_si128(t + 3, d);
	}
	memcpy(to, from, len);
}
#else
#define store_copy relaxed_copy
#endif

static void memory_write(struct memory *m, const char *from, uint64_t off, uint64_t len)
{
	store_copy(m->base + off, from, len);
	/*
	 * After the copy: a discard clears its bits before it zeroes, so no data is left under a
	 * cleared bit.
	 */
	for (uint64_t g = off / GRANULE; g <= (off + len - 1) / GRANULE; g++)
		granule_map(m, g);
}

/*
 * Zeroes [off, off + len), giving memory back where whole pages allow. Whole granules become
 * unmapped. Any thread.
 */
static int memory_clear(struct memory *m, uint64_t off, uint64_t len)
{
	uint64_t end = off + len, first = (off + GRANULE - 1) / GRANULE;
	/* The last granule may be cut short by the end of the store. */
	uint64_t last = end == m->size ? (end + GRANULE - 1) / GRANULE : end / GRANULE;
	uint64_t from, to;

	for (uint64_t g = first, e; g < last; g = e) {
		/*
		 * Runs of holes in one step: a big sparse store is discarded at a word per 2 MiB.
		 */
		e = granule_run_end(m, g, last, false);
		if (e > g)
			continue;
		granule_unmap(m, g);
		e = g + 1;
	}
	if (first >= last) {
		relaxed_zero(m->base + off, len);
		return 0;
	}
	from = first * GRANULE;
	to = last * GRANULE < m->size ? last * GRANULE : m->size;
	relaxed_zero(m->base + off, from - off);
	if (end > to)
		relaxed_zero(m->base + to, end - to);
	/* Anonymous private pages come back as zeroes. The tail of the last page is nobody's. */
	return madvise(m->base + from, to - from, MADV_DONTNEED) < 0 ? -errno : 0;
}

static void clear_run(struct work *w)
{
	struct io_req *io = container(w, struct io_req, work);

	io->result = memory_clear(io->be->priv, io->off, io->len);
}

static void clear_done(struct work *w)
{
	struct io_req *io = container(w, struct io_req, work);

	backend_complete(io, io->result);
}

static void memory_submit_clear(struct memory *m, struct io_req *io)
{
	if (io->len <= CLEAR_INLINE) {
		backend_complete_later(io, memory_clear(m, io->off, io->len));
		return;
	}
	memset(&io->work, 0, sizeof(io->work));
	io->work.class = WORK_MEDIUM;
	io->work.run = clear_run;
	io->work.done = clear_done;
	work_submit(&io->work);
}

static void memory_extent(const struct memory *m, struct io_req *io)
{
	uint64_t first = io->off / GRANULE, end = (io->off + io->len - 1) / GRANULE + 1, run;

	if (end > first + EXTENT_GRANULES)
		end = first + EXTENT_GRANULES;
	io->answer.extent.mapped = granule_mapped(m, first);
	run = granule_run_end(m, first, end, io->answer.extent.mapped) * GRANULE - io->off;
	io->answer.extent.len = run < io->len ? run : io->len;
}

static void memory_space(const struct memory *m, struct io_req *io)
{
	uint64_t used = 0;

	for (size_t i = 0; i < m->map_bytes / sizeof(*m->map); i++)
		used += (uint64_t)__builtin_popcountll(
			atomic_load_explicit(&m->map[i], memory_order_relaxed));
	used *= GRANULE;
	io->answer.space.used = used < m->size ? used : m->size;
	io->answer.space.avail = m->size - io->answer.space.used;
}

static void space_run(struct work *w)
{
	struct io_req *io = container(w, struct io_req, work);

	memory_space(io->be->priv, io);
	io->result = 0;
}

static void memory_submit(struct backend *be, struct io_req *io)
{
	struct memory *m = be->priv;

	switch (io->op) {
	case IO_READ:
		memory_read(m, io->buf, io->off, io->len);
		break;
	case IO_WRITE:
		memory_write(m, io->buf, io->off, io->len);
		break;
	case IO_DISCARD:
	case IO_ZERO:		/* zeroes that are not there are as good as any */
		memory_submit_clear(m, io);
		return;
	case IO_EXTENT:
		memory_extent(m, io);
		break;
	case IO_SPACE:		/* walks the whole map */
		memset(&io->work, 0, sizeof(io->work));
		io->work.class = WORK_MEDIUM;
		io->work.run = space_run;
		io->work.done = clear_done;
		work_submit(&io->work);
		return;
	default:
		break;
	}
	backend_complete_later(io, 0);
}

/* ---- open and close -------------------------------------------------------------------------- */

static int memory_open(struct backend *be, const struct backend_options *o)
{
	struct memory *m;

	if (!o->size)
		return backend_fail(be, -EINVAL, "a memory backend needs a size");
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->size = o->size;
	m->map_bytes = ((o->size - 1) / GRANULE / BITS + 1) * sizeof(*m->map);
	m->base = mmap(NULL, o->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	m->map = mmap(NULL, m->map_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->base == MAP_FAILED || m->map == MAP_FAILED) {
		int err = errno;

		if (m->base != MAP_FAILED)
			munmap(m->base, o->size);
		free(m);
		return backend_fail(be, -err, "cannot map %llu bytes of memory: %s",
				    (unsigned long long)o->size, strerror(err));
	}
	/*
	 * Random writes of 4 KiB take 690 ns instead of 950 with huge pages, but each block that is
	 * written may then take 2 MiB: only where all of the store would fit into memory.
	 */
	if (o->size <= (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4)
		madvise(m->base, o->size, MADV_HUGEPAGE);
	be->priv = m;
	be->caps = (struct io_caps){
		.size = o->size,
		.discard_granularity = GRANULE,
		.align = 1,
		.extents = true,
		.readonly = o->readonly,
	};
	snprintf(be->about, sizeof(be->about), "engine=memory");
	return 0;
}

static void memory_close(struct backend *be)
{
	struct memory *m = be->priv;

	munmap(m->base, m->size);
	munmap(m->map, m->map_bytes);
	free(m);
}

const struct backend_ops memory_ops = {
	.type = "memory",
	.open = memory_open,
	.close = memory_close,
	.submit = memory_submit,
	.lend = memory_lend,
};
