/* SPDX-License-Identifier: Apache-2.0 */
/* The filters: their arguments, and that they do what their header comments say. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/filter.h"
#include "tests/unit/backend_suite.h"

enum { SIZE = 8 << 20, LEN = 4096 };

static char err[256];

/* A memory store behind these filters; aborts the test program when it cannot be opened. */
static struct backend *open_filtered(const char *filters)
{
	struct backend_options o = {
		.type = "memory",
		.size = SIZE,
		.block_size = 512,
		.filters = filters,
		.name = "test",
	};
	struct backend *be;

	if (backend_open(&o, &be, err, sizeof(err))) {
		fprintf(stderr, "%s: %s\n", filters, err);
		abort();
	}
	return be;
}

static int open_error(const char *filters)
{
	struct backend_options o = {
		.type = "memory", .size = SIZE, .block_size = 512, .filters = filters
	};
	struct backend *be;
	int r;

	err[0] = 0;
	r = backend_open(&o, &be, err, sizeof(err));
	CU_ASSERT_PTR_NULL(be);
	return r;
}

static void test_arguments_refused(void)
{
	static const struct {
		const char *filters, *says;
	} bad[] = {
		{ "nosuch", "no filter" },
		{ "log:", NULL },
		{ "log|", "no filter" },
		{ "|log", "no filter" },
		{ "log:x=1", "expected no arguments" },
		{ "delay", "give ms=" },
		{ "delay:ms=", "a number" },
		{ "delay:ms=-1", "a number" },
		{ "delay:ms=1x", "a number" },
		{ "delay:ms=99999999999999999999999", "a number" },
		{ "delay:max_us=99999999T", "a number" },
		{ "delay:ms=3600001", "an hour" },
		{ "delay:ms=1,,", "knows no" },
		{ "delay:ms=1,op=reed", "read, write" },
		{ "delay:ms=1,op=", "read, write" },
		{ "delay:ms=1,op=read+", "read, write" },
		{ "delay:ms=1,after=maybe", "yes or no" },
		{ "fault:err=EFOO", "an error" },
		{ "fault:every=0", "count from 1" },
		{ "fault:first=0", "count from 1" },
		{ "fault:permille=1001", "1000" },
		{ "fault:torn=512,op=read", "for writes" },
		{ "fault:torn=512,after", "exclude" },
		{ "fault:off=512", "needs a len" },
		{ "fault:while=", "a path" },
		{ "volatile:survive=1001", "1000" },
		{ "check:atomic=100", "whole blocks" },
		{ "check:atomic=2M", "whole blocks" },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!bad[i].says) {
			backend_close(open_filtered(bad[i].filters));
			continue;
		}
		CU_ASSERT_EQUAL(open_error(bad[i].filters), -EINVAL);
		if (!strstr(err, bad[i].says)) {
			printf("  %s: \"%s\" lacks \"%s\"\n", bad[i].filters, err, bad[i].says);
			CU_FAIL("sentence");
		}
	}
}

/* The results of n writes, as a string of . and E. */
static void results(struct backend *be, enum io_op op, unsigned n, char *out)
{
	char *buf = suite_buf(LEN);

	memset(buf, 1, LEN);
	for (unsigned i = 0; i < n; i++)
		out[i] = suite_io(be, op, (uint64_t)i * LEN, LEN, buf) == -EIO ? 'E' : '.';
	out[n] = 0;
	free(buf);
}

static void test_fault_counts(void)
{
	static const struct {
		const char *filters, *writes;
	} rows[] = {
		{ "fault", "EEEEEEEEEE" },
		{ "fault:op=read", ".........." },
		{ "fault:op=read+write,every=3", "E..E..E..E" },
		{ "fault:first=4", "...EEEEEEE" },
		{ "fault:first=4,every=2,count=2", "...E.E...." },
		{ "fault:count=1", "E........." },
		{ "fault:off=8K,len=4K", "..E......." },
		{ "fault:off=8191,len=2", ".EE......." },
		{ "fault:off=1,len=16777215T", "EEEEEEEEEE" },
		{ "fault:ms=1", ".........." },
		{ "fault:ms=1,err=EIO,count=2", "EE........" },
		{ "fault:op=flush|fault:op=write,count=1", "E........." },
		{ "fault:while=/nonexistent", ".........." },
		{ "fault:while=/", "EEEEEEEEEE" },
	};
	char got[16];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct backend *be = open_filtered(rows[i].filters);

		results(be, IO_WRITE, 10, got);
		if (strcmp(got, rows[i].writes)) {
			printf("  %s: %s, not %s\n", rows[i].filters, got, rows[i].writes);
			CU_FAIL("counts");
		}
		backend_close(be);
	}
}

static void test_fault_seed_repeats(void)
{
	char first[128], second[128], other[128];
	struct backend *be;

	be = open_filtered("fault:permille=300,seed=7");
	results(be, IO_WRITE, 100, first);
	backend_close(be);
	be = open_filtered("fault:permille=300,seed=7");
	results(be, IO_WRITE, 100, second);
	backend_close(be);
	be = open_filtered("fault:permille=300,seed=8");
	results(be, IO_WRITE, 100, other);
	backend_close(be);
	CU_ASSERT_STRING_EQUAL(first, second);
	CU_ASSERT_STRING_NOT_EQUAL(first, other);
	CU_ASSERT_PTR_NOT_NULL(strchr(first, 'E'));
	CU_ASSERT_PTR_NOT_NULL(strchr(first, '.'));
}

static void test_fault_errno(void)
{
	struct backend *be = open_filtered("fault:op=flush,err=ENOSPC");

	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), -ENOSPC);
	backend_close(be);
}

static void test_fault_torn(void)
{
	static const struct {
		const char *filters;
		uint64_t written;	/* of LEN */
	} rows[] = {
		{ "fault:torn=512,count=1", 512 },
		{ "fault:torn=1K,count=1", 1024 },
		{ "fault:torn=0,count=1", 0 },
		{ "fault:torn=1M,count=1", LEN },
		{ "fault:after,count=1", LEN },
		{ "fault:count=1", 0 },
	};
	char *buf = suite_buf(LEN);

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct backend *be = open_filtered(rows[i].filters);

		suite_fill(buf, 0, LEN, i);
		CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, LEN, buf), -EIO);
		CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, buf), 0);
		CU_ASSERT(!rows[i].written || suite_is(buf, 0, rows[i].written, i));
		CU_ASSERT(suite_is_zero(buf + rows[i].written, LEN - rows[i].written));
		backend_close(be);
	}
	free(buf);
}

static void test_fault_hang(void)
{
	struct backend *be = open_filtered("fault:op=write,hang");
	struct suite_io s[4];
	char *buf = suite_buf(LEN), *back = suite_buf(LEN);

	suite_fill(buf, 0, LEN, 1);
	for (unsigned i = 0; i < 4; i++)
		suite_start(&s[i], i, be, IO_WRITE, 0, 0, LEN, buf);
	CU_ASSERT_FALSE(suite_wait(&s[0], 100));
	/* The others go on, and see nothing of it. */
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, back), 0);
	CU_ASSERT(suite_is_zero(back, LEN));
	fault_release(be);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT(suite_wait(&s[i], 10000) && !s[i].io.result);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, back), 0);
	CU_ASSERT(suite_is(back, 0, LEN, 1));
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, LEN, buf), 0);
	backend_close(be);
	free(buf);
	free(back);
}

static void test_fault_hang_while(void)
{
	char path[] = "/tmp/holdfast-while-XXXXXX", filters[128], *buf = suite_buf(LEN);
	int fd = mkstemp(path);
	struct backend *be;
	struct suite_io s;

	if (fd < 0)
		abort();
	close(fd);
	snprintf(filters, sizeof(filters), "fault:hang,while=%s", path);
	be = open_filtered(filters);
	suite_start(&s, 0, be, IO_READ, 0, 0, LEN, buf);
	CU_ASSERT_FALSE(suite_wait(&s, 100));
	unlink(path);
	CU_ASSERT(suite_wait(&s, 10000) && !s.io.result);
	backend_close(be);
	free(buf);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void test_delay(void)
{
	static const char *const filters[] = { "delay:ms=60,op=write",
					       "delay:ms=60,op=write,after" };
	char *buf = suite_buf(LEN), *back = suite_buf(LEN);

	/* Who stands still himself for so long sees nothing of it, and looks again. */
	for (unsigned i = 0, tries = 0; i < 2 && tries < 20; tries++) {
		struct backend *be = open_filtered(filters[i]);
		uint64_t began = now_ms();
		struct suite_io s;
		bool ended, seen;

		suite_fill(buf, 0, LEN, 1);
		suite_start(&s, 0, be, IO_WRITE, 0, 0, LEN, buf);
		ended = suite_wait(&s, 20);
		CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, back), 0);
		seen = now_ms() - began < 55 || tries == 19;
		/* Held back before it is carried out, or after. */
		if (seen) {
			CU_ASSERT_FALSE(ended);
			CU_ASSERT(i ? suite_is(back, 0, LEN, 1) : suite_is_zero(back, LEN));
		}
		CU_ASSERT(suite_wait(&s, 10000) && !s.io.result);
		CU_ASSERT(now_ms() - began >= 55);
		backend_close(be);
		i += seen;
	}
	free(buf);
	free(back);
}

/* ---- volatile -------------------------------------------------------------------------------- */

static void test_volatile_crash(void)
{
	struct backend *be = open_filtered("volatile");
	char *buf = suite_buf(LEN), *back = suite_buf(LEN);
	union io_answer a;

	suite_fill(buf, 0, LEN, 1);
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, LEN, buf), 0);
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
	suite_fill(buf, 0, LEN, 2);
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, LEN, buf), 0);
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 1 << 20, LEN, buf), 0);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, back), 0);
	CU_ASSERT(suite_is(back, 0, LEN, 2));
	volatile_crash(be);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, back), 0);
	CU_ASSERT(suite_is(back, 0, LEN, 1));
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 1 << 20, LEN, back), 0);
	CU_ASSERT(suite_is_zero(back, LEN));

	/* A discard that was not flushed is undone as well. */
	CU_ASSERT_EQUAL(suite_io(be, IO_DISCARD, 0, 32768, NULL), 0);
	CU_ASSERT_EQUAL(suite_io_answer(be, IO_EXTENT, 0, 0, 65536, NULL, &a), 0);
	CU_ASSERT_FALSE(a.extent.mapped);
	volatile_crash(be);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, back), 0);
	CU_ASSERT(suite_is(back, 0, LEN, 1));
	CU_ASSERT_EQUAL(suite_io_answer(be, IO_EXTENT, 0, 0, 65536, NULL, &a), 0);
	CU_ASSERT_TRUE(a.extent.mapped);
	backend_close(be);
	free(buf);
	free(back);
}

/*
 * After a crash each block is wholly the old or the new one; what was flushed is there; what
 * survived stays.
 */
static void test_volatile_survivors(void)
{
	struct backend *be = open_filtered("volatile:survive=500,seed=3");
	enum { N = 64 << 10 };
	char *buf = suite_buf(N), *back = suite_buf(N), *again = suite_buf(N);
	unsigned old = 0, new = 0;

	suite_fill(buf, 0, N, 1);
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, N, buf), 0);
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
	suite_fill(buf, 0, N, 2);
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, N, buf), 0);
	volatile_crash(be);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, N, back), 0);
	for (uint64_t off = 0; off < N; off += 512) {
		bool o = suite_is(back + off, off, 512, 1), n = suite_is(back + off, off, 512, 2);

		CU_ASSERT(o != n);
		old += o;
		new += n;
	}
	CU_ASSERT(old && new);
	volatile_crash(be);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, N, again), 0);
	CU_ASSERT(!memcmp(back, again, N));
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
	volatile_crash(be);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, N, again), 0);
	CU_ASSERT(!memcmp(back, again, N));
	backend_close(be);
	free(buf);
	free(back);
	free(again);
}

/* A flush that fails keeps what it could not write, and says so. */
static void test_volatile_flush_fails(void)
{
	struct backend *be = open_filtered("volatile|fault:op=write+flush,first=2,count=2");
	char *buf = suite_buf(LEN), *back = suite_buf(LEN);

	suite_fill(buf, 0, LEN, 1);
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, LEN, buf), 0);
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), -EIO);
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), -EIO);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, back), 0);
	CU_ASSERT(suite_is(back, 0, LEN, 1));
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
	volatile_crash(be);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, LEN, back), 0);
	CU_ASSERT(suite_is(back, 0, LEN, 1));
	backend_close(be);
	free(buf);
	free(back);
}

/* The power fails while a flush runs: some of it is there, the flush does not claim success. */
static void test_volatile_crash_in_flush(void)
{
	enum { N = 256 << 10, TRIES = 20 };
	struct backend *be = NULL;
	char *buf = suite_buf(N), *back = suite_buf(N);
	struct suite_io s;
	unsigned new = 0;

	suite_fill(buf, 0, N, 1);
	/* Until the flush is not over already, because the machine stood still. */
	for (unsigned i = 1; i <= TRIES; i++) {
		be = open_filtered("volatile|delay:ms=10,op=write");
		CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, N, buf), 0);
		suite_start(&s, 0, be, IO_FLUSH, 0, 0, 0, NULL);
		if (!suite_wait(&s, 25) || i == TRIES)
			break;
		backend_close(be);
	}
	volatile_crash(be);
	CU_ASSERT(suite_wait(&s, 10000) && s.io.result == -EIO);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, N, back), 0);
	for (uint64_t off = 0; off < N; off += 512) {
		bool n = suite_is(back + off, off, 512, 1);

		CU_ASSERT(n || suite_is_zero(back + off, 512));
		new += n;
	}
	CU_ASSERT(new > 0 && new < N / 512);
	backend_close(be);
	free(buf);
	free(back);
}

/*
 * A flush covers what ended before it, also while another runs; parallel writers and flushers on
 * both reactors.
 */
static void test_volatile_parallel(void)
{
	struct backend *be = open_filtered("check|volatile:limit=256K|delay:max_us=200");
	enum { WRITERS = 32, ROUNDS = 20 };
	static struct suite_io s[WRITERS], flush[4];
	char *buf = suite_buf(WRITERS * LEN);

	for (unsigned round = 1; round <= ROUNDS; round++) {
		for (unsigned i = 0; i < WRITERS; i++) {
			suite_fill(buf + i * LEN, i * LEN, LEN, round);
			suite_start(&s[i], i, be, IO_WRITE, 0, (uint64_t)i * 64 * LEN / 4, LEN,
				    buf + i * LEN);
			if (i % 8 == 7)
				suite_start(&flush[i / 8], i / 8, be, IO_FLUSH, 0, 0, 0, NULL);
		}
		for (unsigned i = 0; i < WRITERS; i++)
			CU_ASSERT(suite_wait(&s[i], 10000) && !s[i].io.result);
		for (unsigned i = 0; i < 4; i++)
			CU_ASSERT(suite_wait(&flush[i], 10000) && !flush[i].io.result);
		CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
		volatile_crash(be);
		for (unsigned i = 0; i < WRITERS; i++) {
			CU_ASSERT_EQUAL(suite_io(be, IO_READ, (uint64_t)i * 64 * LEN / 4, LEN,
						 buf + i * LEN),
					0);
			CU_ASSERT(suite_is(buf + i * LEN, i * LEN, LEN, round));
		}
	}
	backend_close(be);
	free(buf);
}

/* To clear much it flushes, and the store does it; then that is durable. */
static void test_volatile_clears_much(void)
{
	struct backend_options o = {
		.type = "memory", .size = 256 << 20, .block_size = 512, .filters = "check|volatile",
	};
	char *buf = suite_buf(LEN), *back = suite_buf(LEN);
	static const enum io_op ops[] = { IO_ZERO, IO_DISCARD };
	struct backend *be;

	CU_ASSERT_EQUAL_FATAL(backend_open(&o, &be, err, sizeof(err)), 0);
	for (unsigned i = 0; i < 2; i++) {
		suite_fill(buf, 0, LEN, 1);
		CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 100 << 20, LEN, buf), 0);
		CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 200 << 20, LEN, buf), 0);
		CU_ASSERT_EQUAL(suite_io(be, ops[i], 1 << 20, 128 << 20, NULL), 0);
		volatile_crash(be);
		CU_ASSERT_EQUAL(suite_io(be, IO_READ, 100 << 20, LEN, back), 0);
		CU_ASSERT(suite_is_zero(back, LEN));
		CU_ASSERT_EQUAL(suite_io(be, IO_READ, 200 << 20, LEN, back), 0);
		CU_ASSERT(!memcmp(back, buf, LEN));
	}
	backend_close(be);
	free(buf);
	free(back);
}

/* ---- check ----------------------------------------------------------------------------------- */

static void test_check_atomic(void)
{
	struct backend *be = open_filtered("check:atomic=64K");
	char *buf = suite_buf(65536);

	CU_ASSERT_EQUAL(backend_caps(be)->atomic_max, 65536);
	memset(buf, 1, 65536);
	CU_ASSERT_EQUAL(suite_io_answer(be, IO_WRITE, IO_F_ATOMIC, 0, 65536, buf, NULL), 0);
	backend_close(be);
	free(buf);
}

/* What breaks the contract ends the program: run in a child, which says how. */
static void breaks_verify(void)
{
	struct backend *be = open_filtered("check:verify|fault:op=read");
	char *buf = suite_buf(LEN);

	suite_io(be, IO_WRITE, 0, LEN, buf);
}

static void breaks_buffer(void)
{
	struct backend *be = open_filtered("check|delay:ms=50");
	char *buf = suite_buf(LEN);
	struct suite_io s;

	/* More than once: it may be over before it is broken, when the machine stands still. */
	for (unsigned i = 0; i < 20; i++) {
		suite_start(&s, 0, be, IO_WRITE, 0, 0, LEN, buf);
		usleep(20000);
		__atomic_fetch_add(buf, 1, __ATOMIC_RELAXED);
		suite_wait(&s, 10000);
	}
}

static void breaks_range(void)
{
	suite_io(open_filtered(NULL), IO_READ, SIZE - 512, 1024, suite_buf(LEN));
}

static void breaks_length(void)
{
	suite_io(open_filtered(NULL), IO_READ, 0, 0, suite_buf(LEN));
}

static bool dies(void (*how)(void))
{
	struct reactor_options o = { .count = 1, .driver = DRIVER_EPOLL };
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		if (!freopen("/dev/null", "w", stderr) || reactors_start(&o))
			_exit(0);
		how();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return WIFSIGNALED(status) || WEXITSTATUS(status);
}

/* Before there are threads: they do not survive a fork. */
static bool deaths[4];

static void test_contract_is_asserted(void)
{
	for (unsigned i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
		CU_ASSERT_TRUE(deaths[i]);
}

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = {
		UNIT(test_arguments_refused),
		UNIT(test_fault_counts),
		UNIT(test_fault_seed_repeats),
		UNIT(test_fault_errno),
		UNIT(test_fault_torn),
		UNIT(test_fault_hang),
		UNIT(test_fault_hang_while),
		UNIT(test_delay),
		UNIT(test_volatile_crash),
		UNIT(test_volatile_survivors),
		UNIT(test_volatile_flush_fails),
		UNIT(test_volatile_crash_in_flush),
		UNIT(test_volatile_parallel),
		UNIT(test_volatile_clears_much),
		UNIT(test_check_atomic),
		UNIT(test_contract_is_asserted),
	};

	deaths[0] = dies(breaks_verify);
	deaths[1] = dies(breaks_buffer);
	deaths[2] = dies(breaks_range);
	deaths[3] = dies(breaks_length);
	return suite_run("backend_filters", tests, sizeof(tests) / sizeof(tests[0]),
			 argc > 1 && !strcmp(argv[1], "epoll") ? DRIVER_EPOLL : DRIVER_AUTO);
}
