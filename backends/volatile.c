/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter "volatile": a write cache that loses what was not flushed when the power fails. The
 * power fails by volatile_crash(), or by the end of the process: over a file, kill -9 of the daemon
 * is then a power cut.
 *
 *	survive=P	of 1000 unflushed blocks, P survive volatile_crash() all the same (default
 *			0): a cache may write back any of them, in any order
 *	seed=S		which ones
 *	limit=64M	a write that brings it to more than this unflushed waits for a flush
 *
 * What was written is in one of three tables; a younger one hides an older one, and all hide the
 * store:
 *	dirty		since the last flush began; lost by a crash
 *	stable		survived a crash; to be written back before anything else
 *	flushing	on its way to the store; a crash stops that halfway
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backends/filter.h"
#include "scsi/limits.h"

enum {
	/* Blocks in a page, the bits of a mask: 32 KiB at least, a granule of most stores. */
	SECTORS = 64,
	BUCKETS = 4096,
	BIG = 64 << 20,		/* bytes; to clear more it flushes, and the store does it */
	EXTENT_PAGES = 32	/* pages one IO_EXTENT looks at */
};

struct page {
	struct page *chain;
	uint64_t no;			/* which SECTORS blocks */
	uint64_t valid;			/* blocks that are here */
	uint64_t hole;			/* of them: discarded */
	uint64_t zero;			/* of them: zeroes; data is not used */
	char *data;			/* NULL as long as nothing was written */
};

struct table {
	struct page *bucket[BUCKETS];
	size_t pages;
};

enum run_kind { RUN_NONE, RUN_FLUSH, RUN_STABLE };

struct vol {
	uint64_t survive, seed, limit;	/* arguments */
	uint32_t block;
	pthread_mutex_t lock;
	struct table *dirty, *stable, *flushing;
	struct io_req *waiting;		/* flushes, big clears, too many writes: next run's */
	struct io_req *group;		/* of this run; there is none that nobody waits for */
	enum run_kind run;
	uint64_t epoch, run_epoch;	/* crashes so far; when the run began */
	uint64_t dice;
	struct backend *be;
	/* The run's place in `flushing`; only the run touches these. */
	struct io_req io;
	size_t bucket;
	struct page *page;
	unsigned sector;
	int result;
};

static const struct filter_arg vol_args[] = {
	{ "survive", ARG_U64, offsetof(struct vol, survive) },
	{ "seed", ARG_U64, offsetof(struct vol, seed) },
	{ "limit", ARG_U64, offsetof(struct vol, limit) },
};

/* ---- tables ---------------------------------------------------------------------------------- */

static struct page **page_slot(struct table *t, uint64_t no)
{
	struct page **p = &t->bucket[no % BUCKETS];

	while (*p && (*p)->no != no)
		p = &(*p)->chain;
	return p;
}

static struct page *page_get(struct table *t, uint64_t no)
{
	struct page **slot = page_slot(t, no);

	if (!*slot) {
		*slot = calloc(1, sizeof(**slot));
		if (*slot) {
			(*slot)->no = no;
			t->pages++;
		}
	}
	return *slot;
}

static void page_free(struct page *p)
{
	free(p->data);
	free(p);
}

static void table_clear(struct table *t)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct page *p = t->bucket[b], *next; p; p = next) {
			next = p->chain;
			page_free(p);
		}
	memset(t, 0, sizeof(*t));
}

/* Puts block `sector` of page `no` into t: data, or NULL for zeroes. 0 or -ENOMEM. */
static int sector_put(const struct vol *v, struct table *t, uint64_t no, unsigned sector,
		      const char *data, bool hole)
{
	struct page *p = page_get(t, no);
	uint64_t bit = (uint64_t)1 << sector;

	if (!p)
		return -ENOMEM;
	if (data && !p->data)
		p->data = aligned_alloc(4096, (size_t)v->block * SECTORS);
	if (data && !p->data)
		return -ENOMEM;
	if (data)
		memcpy(p->data + (size_t)sector * v->block, data, v->block);
	p->valid |= bit;
	p->hole = hole ? p->hole | bit : p->hole & ~bit;
	p->zero = data ? p->zero & ~bit : p->zero | bit;
	return 0;
}

/* Moves what is in `from` into `to` where `to` has nothing: it is younger. */
static void table_merge_under(const struct vol *v, struct table *to, struct table *from)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct page *p = from->bucket[b]; p; p = p->chain)
			for (unsigned s = 0; s < SECTORS; s++) {
				struct page *have = *page_slot(to, p->no);

				if (!(p->valid >> s & 1) || (have && have->valid >> s & 1))
					continue;
				if (sector_put(v, to, p->no, s, p->zero >> s & 1 ? NULL :
					       p->data + (size_t)s * v->block, p->hole >> s & 1))
					abort();	/* without memory nothing is tested */
			}
	table_clear(from);
}

/* The page that holds the youngest version of a block, or NULL: the store has it. Locked. */
static const struct page *sector_find(const struct vol *v, uint64_t sector)
{
	struct table *const layers[] = { v->dirty, v->stable, v->flushing };

	for (unsigned i = 0; i < 3; i++) {
		const struct page *p = layers[i]->pages ? *page_slot(layers[i], sector / SECTORS)
							: NULL;

		if (p && p->valid >> (sector % SECTORS) & 1)
			return p;
	}
	return NULL;
}

/* ---- write-back ------------------------------------------------------------------------------ */

static void run_next(struct vol *v);

/*
 * Begins a run when one is needed and none is under way. Locked; true: the caller unlocks and calls
 * run_next().
 */
static bool run_begin(struct vol *v)
{
	struct table **from, *empty = v->flushing;

	if (v->run != RUN_NONE || !v->waiting)
		return false;
	assert(!empty->pages);
	v->run = v->stable->pages ? RUN_STABLE : RUN_FLUSH;
	v->run_epoch = v->epoch;
	from = v->run == RUN_STABLE ? &v->stable : &v->dirty;
	v->flushing = *from;
	*from = empty;
	if (v->run == RUN_FLUSH) {
		v->group = v->waiting;
		v->waiting = NULL;
	}
	v->bucket = 0;
	v->page = v->flushing->bucket[0];
	v->sector = 0;
	return true;
}

/* The range of a big clear is flushed: the store clears it. On the reactor it came from. */
static void clear_msg(struct msg *m)
{
	struct io_req *io = container(m, struct io_req, msg);
	struct vol *v = io->be->priv;
	struct filter_io *f = filter_io_new(v->be, io, filter_io_pass);

	if (f)
		filter_io_down(f);
}

static void group_end(struct io_req *io, int result)
{
	struct io_req *next;

	for (; io; io = next) {
		next = io->next;
		if (io->op == IO_WRITE) {
			/* It is in the cache whatever became of the flush. */
			backend_complete_from(io, 0);
		} else if (io->op == IO_FLUSH || result) {
			backend_complete_from(io, result);
		} else {
			io->msg.fn = clear_msg;
			reactor_send(io->from, &io->msg);
		}
	}
}

static void run_end(struct vol *v, int result, bool crashed)
{
	struct io_req *group;
	bool again;

	pthread_mutex_lock(&v->lock);
	if (result && !crashed)
		table_merge_under(v, v->run == RUN_STABLE ? v->stable : v->dirty, v->flushing);
	else
		table_clear(v->flushing);
	group = v->group;
	v->group = NULL;
	if (result && v->run == RUN_STABLE) {
		group = v->waiting;
		v->waiting = NULL;
	}
	v->run = RUN_NONE;
	again = run_begin(v);
	pthread_mutex_unlock(&v->lock);
	if (again)
		run_next(v);
	group_end(group, result);
}

static void run_done(struct io_req *io)
{
	struct vol *v = container(io, struct vol, io);

	if (io->result || io->op == IO_FLUSH)
		run_end(v, io->result, false);
	else
		run_next(v);
}

static unsigned sector_kind(const struct page *p, unsigned sector)
{
	return (unsigned)((p->hole >> sector & 1) << 1 | (p->zero >> sector & 1));
}

/* The next blocks of `flushing` that go down together, into v->io; false: that was all. */
static bool run_piece(struct vol *v)
{
	struct page *p = v->page;
	unsigned first, s;

	for (;;) {
		while (!p && ++v->bucket < BUCKETS)
			p = v->flushing->bucket[v->bucket];
		if (!p)
			return false;
		for (s = v->sector; s < SECTORS && !(p->valid >> s & 1); s++)
			;
		if (s < SECTORS)
			break;
		p = p->chain;
		v->sector = 0;
	}
	first = s;
	while (s < SECTORS && p->valid >> s & 1 && sector_kind(p, s) == sector_kind(p, first) &&
	       (uint64_t)(s - first + 1) * v->block <= IO_UNIT_MAX)
		s++;
	v->page = p;
	v->sector = s;
	v->io.off = (p->no * SECTORS + first) * v->block;
	v->io.len = (uint64_t)(s - first) * v->block;
	v->io.buf = NULL;
	if (!(p->zero >> first & 1)) {
		v->io.op = IO_WRITE;
		v->io.buf = p->data + (size_t)first * v->block;
	} else {
		v->io.op = p->hole >> first & 1 && v->be->next->caps.discard_granularity
				   ? IO_DISCARD
				   : IO_ZERO;
	}
	return true;
}

static void run_next(struct vol *v)
{
	bool crashed;

	pthread_mutex_lock(&v->lock);
	crashed = v->run == RUN_FLUSH && v->run_epoch != v->epoch;
	pthread_mutex_unlock(&v->lock);
	if (crashed) {
		run_end(v, -EIO, true);
		return;
	}
	memset(&v->io, 0, sizeof(v->io));
	v->io.done = run_done;
	if (!run_piece(v))
		v->io.op = IO_FLUSH;
	backend_submit(v->be->next, &v->io);
}

/* Puts io into the next run and sees that there is one. Called locked, returns unlocked. */
static void run_wait(struct vol *v, struct io_req *io)
{
	bool begin;

	io->next = v->waiting;
	v->waiting = io;
	begin = run_begin(v);
	pthread_mutex_unlock(&v->lock);
	if (begin)
		run_next(v);
}

/* ---- operations ------------------------------------------------------------------------------ */

static void vol_write(struct vol *v, struct io_req *io)
{
	uint64_t first = io->off / v->block, n = io->len / v->block;
	bool hole = io->op == IO_DISCARD || (io->flags & IO_F_UNMAP);
	const char *data = io->op == IO_WRITE ? io->buf : NULL;
	int r = 0;

	pthread_mutex_lock(&v->lock);
	for (uint64_t i = 0; i < n && !r; i++)
		r = sector_put(v, v->dirty, (first + i) / SECTORS, (first + i) % SECTORS,
			       data ? data + i * v->block : NULL, hole);
	if (!r && io->op == IO_WRITE && v->dirty->pages * v->block * SECTORS > v->limit) {
		run_wait(v, io);
		return;
	}
	pthread_mutex_unlock(&v->lock);
	backend_complete_later(io, r);
}

/*
 * What the tables hide of a read: its blocks, then a byte for each that says whether it is there.
 */
struct shadow {
	uint64_t blocks, have;
	char *data;
	bool *there;
};

static void shadow_copy(const struct filter_io *f, const struct shadow *sh, uint32_t block)
{
	for (uint64_t i = 0; i < sh->blocks; i++)
		if (sh->there[i])
			memcpy((char *)f->io.buf + i * block, sh->data + i * block, block);
}

static void vol_read_done(struct io_req *io)
{
	struct filter_io *f = filter_io_of(io);
	struct vol *v = f->be->priv;

	if (!io->result)
		shadow_copy(f, f->p, v->block);
	filter_io_end(f, io->result);
}

/*
 * What is in the tables is taken now and laid over what the store says later: by then a run may
 * have emptied them, and the store's answer may be from before it.
 */
static void vol_read(struct vol *v, struct io_req *io)
{
	struct filter_io *f = filter_io_new(v->be, io, vol_read_done);
	uint64_t first = io->off / v->block, n = io->len / v->block;
	const struct page *p;
	struct shadow *sh;

	if (!f)
		return;
	sh = f->p = malloc(sizeof(*sh) + io->len + n);
	if (!sh) {
		free(f);
		backend_complete_later(io, -ENOMEM);
		return;
	}
	sh->blocks = n;
	sh->have = 0;
	sh->data = (char *)(sh + 1);
	sh->there = (bool *)(sh + 1) + io->len;
	pthread_mutex_lock(&v->lock);
	for (uint64_t i = 0; i < n; i++) {
		p = sector_find(v, first + i);
		sh->there[i] = p;
		if (!p)
			continue;
		sh->have++;
		if (p->zero >> ((first + i) % SECTORS) & 1)
			memset(sh->data + i * v->block, 0, v->block);
		else
			memcpy(sh->data + i * v->block, p->data + (first + i) % SECTORS * v->block,
			       v->block);
	}
	pthread_mutex_unlock(&v->lock);
	if (sh->have < n) {
		filter_io_down(f);
		return;
	}
	shadow_copy(f, sh, v->block);
	free(f->p);
	free(f);
	backend_complete_later(io, 0);
}

/*
 * Tells a run within the tables, or asks the store about the blocks up to where the tables begin
 * again.
 */
static void vol_extent(struct vol *v, struct io_req *io)
{
	uint64_t first = io->off / v->block, n = io->len / v->block, i;
	const struct page *p, *here;
	struct filter_io *f;
	bool mapped = false;

	if (n > EXTENT_PAGES * SECTORS)
		n = EXTENT_PAGES * SECTORS;
	pthread_mutex_lock(&v->lock);
	here = sector_find(v, first);
	if (here)
		mapped = !(here->hole >> (first % SECTORS) & 1);
	for (i = 1; i < n; i++) {
		p = sector_find(v, first + i);
		if (!p != !here || (p && mapped != !(p->hole >> ((first + i) % SECTORS) & 1)))
			break;
	}
	pthread_mutex_unlock(&v->lock);
	if (here) {
		io->answer.extent.mapped = mapped || !v->be->caps.extents;
		io->answer.extent.len = i * v->block;
		backend_complete_later(io, 0);
		return;
	}
	f = filter_io_new(v->be, io, filter_io_pass);
	if (!f)
		return;
	f->io.len = i * v->block;
	filter_io_down(f);
}

static void vol_submit(struct backend *be, struct io_req *io)
{
	struct vol *v = be->priv;
	struct filter_io *f;

	switch (io->op) {
	case IO_READ:
		vol_read(v, io);
		return;
	case IO_DISCARD:
	case IO_ZERO:
		if (io->len > BIG) {
			pthread_mutex_lock(&v->lock);
			run_wait(v, io);
			return;
		}
		vol_write(v, io);
		return;
	case IO_WRITE:
		vol_write(v, io);
		return;
	case IO_FLUSH:
		pthread_mutex_lock(&v->lock);
		run_wait(v, io);
		return;
	case IO_EXTENT:
		vol_extent(v, io);
		return;
	default:
		f = filter_io_new(be, io, filter_io_pass);
		if (f)
			filter_io_down(f);
		return;
	}
}

void volatile_crash(struct backend *be)
{
	struct vol *v;

	be = filter_find(be, &volatile_ops);
	assert(be);
	v = be->priv;
	pthread_mutex_lock(&v->lock);
	v->epoch++;
	for (size_t b = 0; v->survive && b < BUCKETS; b++)
		for (struct page *p = v->dirty->bucket[b]; p; p = p->chain)
			for (unsigned s = 0; s < SECTORS; s++) {
				if (!(p->valid >> s & 1) ||
				    filter_random(v->seed, v->dice++) % 1000 >= v->survive)
					continue;
				if (sector_put(v, v->stable, p->no, s, p->zero >> s & 1 ? NULL :
					       p->data + (size_t)s * v->block, p->hole >> s & 1))
					abort();
			}
	table_clear(v->dirty);
	pthread_mutex_unlock(&v->lock);
}

/* ---- open and close -------------------------------------------------------------------------- */

static void vol_close(struct backend *be)
{
	struct vol *v = be->priv;
	struct table *const all[] = { v->dirty, v->stable, v->flushing };

	assert(v->run == RUN_NONE && !v->waiting);
	for (unsigned i = 0; i < 3; i++) {
		if (all[i])
			table_clear(all[i]);
		free(all[i]);
	}
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static int vol_open(struct backend *be, const struct backend_options *o)
{
	struct vol *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	be->priv = v;
	v->be = be;
	v->block = o->block_size;
	v->seed = 1;
	v->limit = 64 << 20;
	pthread_mutex_init(&v->lock, NULL);
	v->dirty = calloc(1, sizeof(*v->dirty));
	v->stable = calloc(1, sizeof(*v->stable));
	v->flushing = calloc(1, sizeof(*v->flushing));
	r = filter_args(be, o->filters, vol_args, sizeof(vol_args) / sizeof(vol_args[0]), v);
	if (!r && (!v->dirty || !v->stable || !v->flushing))
		r = -ENOMEM;
	if (!r && v->survive > 1000)
		r = backend_fail(be, -EINVAL, "filter volatile: survive is at most 1000");
	if (r) {
		vol_close(be);
		return r;
	}
	if (be->caps.align < v->block)
		be->caps.align = v->block;
	be->caps.atomic_max = 0;
	be->caps.durable = false;
	return 0;
}

const struct backend_ops volatile_ops = {
	.type = "volatile",
	.open = vol_open,
	.close = vol_close,
	.submit = vol_submit,
};
