/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suite for the contract of backends/backend.h, run against every backend, on every medium
 * there is: memory, null, files on tmpfs, ext4 and XFS, loop devices; 512 and 4096-byte blocks;
 * each engine; buffered and direct; with filters around it.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/backend_media.h"
#include "tests/unit/backend_suite.h"

enum { WINDOW = 2 << 20, STEPS = 400 };

struct subject {
	const char *type;
	const char *medium;		/* NULL: needs none; "loop": the device itself */
	uint32_t block_size;
	enum rio_engine engine;
	bool direct, preallocate;
	const char *filters;
};

static const struct subject subjects[] = {
	{ "memory", NULL, 512, RIO_AUTO, false, false, NULL },
	{ "memory", NULL, 4096, RIO_AUTO, false, false, NULL },
	{ "memory", NULL, 512, RIO_AUTO, false, false, "log" },
	{ "memory", NULL, 512, RIO_AUTO, false, false, "delay:max_us=20" },
	{ "memory", NULL, 512, RIO_AUTO, false, false, "delay:max_us=20,after" },
	{ "memory", NULL, 512, RIO_AUTO, false, false, "fault:first=1000000000" },
	{ "memory", NULL, 512, RIO_AUTO, false, false, "check:verify" },
	{ "memory", NULL, 512, RIO_AUTO, false, false, "volatile" },
	{ "memory", NULL, 4096, RIO_AUTO, false, false, "check|volatile:limit=1M|check:verify" },
	{ "memory", NULL, 512, RIO_AUTO, false, false,
	  "log|check|volatile:limit=100K|delay:max_us=3|check:verify" },
	{ "file", "tmpfs", 512, RIO_AUTO, false, false, NULL },
	{ "file", "tmpfs", 4096, RIO_WORKERS, false, false, NULL },
	{ "file", "tmpfs", 512, RIO_AUTO, false, true, NULL },
	{ "file", "ext4", 512, RIO_AUTO, false, false, NULL },
	{ "file", "ext4", 4096, RIO_AUTO, false, false, NULL },
	{ "file", "ext4", 512, RIO_AUTO, false, true, NULL },
	{ "file", "ext4", 512, RIO_AUTO, true, false, NULL },
	{ "file", "ext4", 512, RIO_AIO, true, false, NULL },
	{ "file", "ext4", 512, RIO_WORKERS, false, false, NULL },
	{ "file", "ext4", 512, RIO_URING, true, true, NULL },
	{ "file", "xfs", 512, RIO_AUTO, false, false, NULL },
	{ "file", "xfs", 512, RIO_AUTO, false, false, "check|volatile|check:verify" },
	{ "file", "ext4", 4096, RIO_AUTO, true, false, "check|volatile|check:verify" },
	{ "file", "xfs", 4096, RIO_AUTO, true, false, NULL },
	{ "file", "xfs", 512, RIO_AIO, true, false, NULL },
	{ "file", "xfs", 512, RIO_WORKERS, true, true, NULL },
	{ "file", "xfs", 512, RIO_URING, false, false, NULL },
	{ "file", "loop512", 512, RIO_AUTO, false, false, NULL },
	{ "file", "loop512", 4096, RIO_AUTO, true, false, NULL },
	{ "file", "loop512", 512, RIO_AIO, true, false, NULL },
	{ "file", "loop4096", 4096, RIO_AUTO, true, false, NULL },
	{ "file", "loop4096", 4096, RIO_WORKERS, false, false, NULL },
};

static unsigned passed, failed, skipped;
static char label[256];
static bool ok;

static void check(bool cond, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void check(bool cond, const char *fmt, ...)
{
	va_list ap;

	if (cond)
		return;
	ok = false;
	printf("  FAIL %s: ", label);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static uint64_t seed;
static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % below;
}

/* ---- the model: what a window of the store must hold ----------------------------------------- */

struct window {
	struct backend *be;
	uint64_t base;			/* byte offset of the window in the store */
	uint32_t block;
	unsigned gen;
	char *want, *buf;		/* WINDOW bytes each, aligned */
};

static void window_verify(struct window *w, uint64_t off, uint64_t len)
{
	uint64_t n;
	int r;

	for (; len; off += n, len -= n) {
		n = len < IO_UNIT_MAX ? len : IO_UNIT_MAX;
		memset(w->buf, 0xee, n);
		r = suite_io(w->be, IO_READ, w->base + off, n, w->buf);
		check(!r, "read: %d", r);
		check(!memcmp(w->buf, w->want + off, n), "data differs in [%llu, +%llu)",
		      (unsigned long long)(w->base + off), (unsigned long long)n);
	}
}

/* Walks the extents of the whole window: they make progress, and what is not mapped is zero. */
static void window_extents(struct window *w)
{
	union io_answer a;
	uint64_t off, n;
	int r;

	for (off = 0; off < WINDOW; off += n) {
		r = suite_io_answer(w->be, IO_EXTENT, 0, w->base + off, WINDOW - off, NULL, &a);
		check(!r, "extent: %d", r);
		n = a.extent.len;
		if (r || !n || n > WINDOW - off || n % w->block) {
			check(false, "extent of %llu at %llu", (unsigned long long)n,
			      (unsigned long long)off);
			return;
		}
		check(a.extent.mapped || suite_is_zero(w->want + off, n), "hole over data at %llu",
		      (unsigned long long)off);
		check(a.extent.mapped || w->be->caps.extents, "holes without caps.extents");
	}
}

static void window_step(struct window *w)
{
	uint64_t blocks = WINDOW / w->block,
		 len = w->block * (1 + rnd(rnd(4) ? 24 : IO_UNIT_MAX / w->block));
	uint64_t off = w->block * rnd(blocks - len / w->block + 1);
	int r = 0;

	switch (rnd(8)) {
	case 0: case 1: case 2:
		suite_fill(w->want + off, w->base + off, len, ++w->gen);
		memcpy(w->buf, w->want + off, len);
		r = suite_io(w->be, IO_WRITE, w->base + off, len, w->buf);
		break;
	case 3:
		if (!w->be->caps.discard_granularity)
			return;
		memset(w->want + off, 0, len);
		r = suite_io(w->be, IO_DISCARD, w->base + off, len, NULL);
		break;
	case 4:
		memset(w->want + off, 0, len);
		r = suite_io_answer(w->be, IO_ZERO, rnd(2) ? IO_F_UNMAP : 0, w->base + off, len,
				    NULL, NULL);
		break;
	case 5:
		r = suite_io(w->be, rnd(2) ? IO_FLUSH : IO_PREFETCH, w->base + off, len, NULL);
		break;
	case 6:
		window_extents(w);
		return;
	default:
		break;
	}
	check(!r, "step: %d", r);
	window_verify(w, off, len);
}

static void window_run(struct backend *be, uint64_t base, uint32_t block)
{
	struct window w = { .be = be, .base = base, .block = block };

	w.want = aligned_alloc(4096, WINDOW);
	w.buf = aligned_alloc(4096, WINDOW);
	if (!w.want || !w.buf)
		abort();
	memset(w.want, 0, WINDOW);
	/* A loop device may hold what another subject left. */
	check(!suite_io(be, IO_ZERO, base, WINDOW, NULL), "zero");
	for (unsigned i = 0; i < STEPS && ok; i++)
		window_step(&w);
	window_verify(&w, 0, WINDOW);
	window_extents(&w);
	free(w.want);
	free(w.buf);
}

/* ---- the rest of the contract ---------------------------------------------------------------- */

/* Discard of whole granules really gives space back, and says so. */
static void contract_thin(struct backend *be)
{
	uint64_t g = be->caps.discard_granularity, len = 1 << 20;
	union io_answer before, written, after, hole;
	char *buf = aligned_alloc(4096, len);

	if (!buf)
		abort();
	suite_fill(buf, 0, len, 1);
	check(!suite_io(be, IO_ZERO, 0, len, NULL), "zero");
	if (g)
		check(!suite_io(be, IO_DISCARD, 0, len, NULL), "discard");
	check(!suite_io_answer(be, IO_SPACE, 0, 0, 0, NULL, &before), "space");
	check(!suite_io(be, IO_WRITE, 0, len, buf) && !suite_io(be, IO_FLUSH, 0, 0, NULL),
	      "write, flush");
	check(!suite_io_answer(be, IO_SPACE, 0, 0, 0, NULL, &written), "space");
	check(written.space.used <= be->caps.size, "used more than there is");
	if (g && be->caps.extents) {
		check(written.space.used >= before.space.used + len, "writing used no space");
		check(!suite_io_answer(be, IO_EXTENT, 0, 0, len, NULL, &hole) &&
			      hole.extent.mapped && hole.extent.len == len,
		      "written is not mapped");
		check(!suite_io(be, IO_DISCARD, 0, len, NULL) &&
			      !suite_io(be, IO_FLUSH, 0, 0, NULL),
		      "discard");
		check(!suite_io_answer(be, IO_SPACE, 0, 0, 0, NULL, &after), "space");
		check(after.space.used + len <= written.space.used, "discard gave no space back");
		check(!suite_io_answer(be, IO_EXTENT, 0, 0, len, NULL, &hole) &&
			      !hole.extent.mapped && hole.extent.len == len,
		      "discarded is not a hole");
	}
	free(buf);
}

/* Data in a hole: exactly that is mapped, where the store tells extents. */
static void contract_extents(struct backend *be)
{
	enum { AT = 1 << 20, LEN = 128 << 10, ALL = 4 << 20 };
	const struct {
		uint64_t off, len;
		bool mapped;
	} want[] = {
		{ 0, AT, false }, { AT, LEN, true }, { AT + LEN, ALL - AT - LEN, false },
		{ AT - 4096, 4096, false }, { AT + 4096, LEN - 4096, true },
	};
	char *buf = aligned_alloc(4096, LEN);
	union io_answer a;

	if (!buf)
		abort();
	if (!be->caps.extents || !be->caps.discard_granularity) {
		free(buf);
		return;
	}
	suite_fill(buf, AT, LEN, 1);
	check(!suite_io(be, IO_DISCARD, 0, ALL, NULL) && !suite_io(be, IO_WRITE, AT, LEN, buf),
	      "discard, write");
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
			unsigned long long off = want[i].off;

			check(!suite_io_answer(be, IO_EXTENT, 0, off, ALL - off, NULL, &a),
			      "extent");
			check(a.extent.mapped == want[i].mapped, "at %llu %smapped", off,
			      a.extent.mapped ? "" : "not ");
			/* It need not tell all of a run, but not more. */
			check(a.extent.len <= want[i].len, "at %llu too long", off);
			check(off != AT || strstr(label, "volatile") || a.extent.len == LEN,
			      "at %llu only %llu", off, (unsigned long long)a.extent.len);
		}
		check(!suite_io(be, IO_FLUSH, 0, 0, NULL), "flush");
	}
	free(buf);
}

/* What the store cannot do is refused, not asserted. */
static void contract_refusals(struct backend *be)
{
	char *buf = aligned_alloc(4096, 4096);

	if (!buf)
		abort();
	if (!be->caps.discard_granularity)
		check(suite_io(be, IO_DISCARD, 0, 4096, NULL) == -EOPNOTSUPP,
		      "discard of a thick store");
	free(buf);
}

/* Several I/Os at once from every reactor, each on its own blocks. */
static void contract_parallel(struct backend *be)
{
	enum { DEPTH = 64, ROUNDS = 8, LEN = 8192 };
	static struct suite_io s[DEPTH];
	char *buf = aligned_alloc(4096, DEPTH * LEN);

	if (!buf)
		abort();
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < DEPTH; i++) {
			suite_fill(buf + i * LEN, i * LEN, LEN, round);
			suite_start(&s[i], i, be, IO_WRITE, 0, i * LEN, LEN, buf + i * LEN);
		}
		for (unsigned i = 0; i < DEPTH; i++)
			check(suite_wait(&s[i], 60000) && !s[i].io.result, "parallel write");
		memset(buf, 0, DEPTH * LEN);
		for (unsigned i = 0; i < DEPTH; i++)
			suite_start(&s[i], i + round, be, i % 16 ? IO_READ : IO_FLUSH, 0, i * LEN,
				    LEN, buf + i * LEN);
		for (unsigned i = 0; i < DEPTH; i++) {
			check(suite_wait(&s[i], 60000) && !s[i].io.result, "parallel read");
			check(!(i % 16) || suite_is(buf + i * LEN, i * LEN, LEN, round),
			      "parallel data");
		}
	}
	free(buf);
}

static void contract_run(struct backend *be, uint32_t block)
{
	uint64_t size = be->caps.size;

	check(size % block == 0 && size >= 2 * WINDOW, "size %llu", (unsigned long long)size);
	check(be->caps.align <= block, "align %u", be->caps.align);
	contract_thin(be);
	contract_extents(be);
	contract_refusals(be);
	window_run(be, 0, block);
	window_run(be, size - WINDOW, block);
	contract_parallel(be);
}

static void subject_run(const struct subject *s, const struct medium *m)
{
	struct backend_options o = {
		.type = s->type,
		.block_size = s->block_size,
		.engine = s->engine,
		.direct = s->direct,
		.preallocate = s->preallocate,
		.filters = s->filters,
		.name = label,
	};
	char path[256], err[256];
	struct backend *be;
	int r;

	snprintf(label, sizeof(label), "%s on %s, %u, engine %d%s%s%s%s", s->type,
		 s->medium ? s->medium : "-", s->block_size, s->engine, s->direct ? ", direct" : "",
		 s->preallocate ? ", preallocated" : "", s->filters ? ", " : "",
		 s->filters ? s->filters : "");
	if (m && m->why[0]) {
		skipped++;
		printf("  SKIP %s: %s\n", label, m->why);
		return;
	}
	ok = true;
	seed = 1;
	if (m && m->device) {
		o.path = m->path;
	} else {
		/* An odd size: the last granule is cut short. */
		o.size = (64 << 20) + 3 * s->block_size;
		if (m) {
			snprintf(path, sizeof(path), "%s/lun.img", m->path);
			unlink(path);
			o.path = path;
		}
	}
	r = backend_open(&o, &be, err, sizeof(err));
	if (r == -ENOTSUP) {
		skipped++;
		printf("  SKIP %s: %s\n", label, err);
		return;
	}
	check(!r, "open: %s", err);
	if (!r) {
		contract_run(be, s->block_size);
		backend_close(be);
	}
	if (m && !m->device)
		unlink(path);
	if (ok)
		passed++;
	else
		failed++;
	printf("  %s %s\n", ok ? "ok  " : "FAIL", label);
	fflush(stdout);
}

/* Null keeps nothing, so it has a contract of its own. */
static void null_run(void)
{
	struct backend_options o = { .type = "null", .block_size = 512, .size = 1 << 20 };
	char *buf = aligned_alloc(4096, 4096), err[256];
	struct backend *be;

	snprintf(label, sizeof(label), "null");
	ok = true;
	if (!buf || backend_open(&o, &be, err, sizeof(err)))
		abort();
	memset(buf, 1, 4096);
	check(!suite_io(be, IO_WRITE, 0, 4096, buf), "write");
	check(!suite_io(be, IO_READ, 0, 4096, buf) && suite_is_zero(buf, 4096), "read");
	for (enum io_op op = 0; op < IO_OPS; op++)
		check(!suite_io(be, op, 4096, 4096, buf), "op %d", op);
	backend_close(be);
	free(buf);
	passed += ok;
	failed += !ok;
}

static void driver_run(enum reactor_driver driver)
{
	struct reactor_options o = { .count = 2, .driver = driver };
	const struct subject *s;

	if (reactors_start(&o)) {
		skipped++;
		printf("  SKIP driver %d: cannot be had\n", driver);
		return;
	}
	printf("driver %s\n", reactor_driver_name());
	null_run();
	for (s = subjects; s < subjects + sizeof(subjects) / sizeof(subjects[0]); s++) {
		/* io_uring by name, where the reactors have none, is an error by design. */
		if (s->engine != RIO_URING || driver != DRIVER_EPOLL)
			subject_run(s, s->medium ? media_find(s->medium) : NULL);
	}
	reactors_stop();
}

int main(void)
{
	log_init(LOG_LEVEL_ERROR);
	media_make();
	driver_run(DRIVER_URING);
	driver_run(DRIVER_EPOLL);
	printf("backend_contract: %u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed != 0;
}
