/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the backends' tests share: a backend driven from the test's own thread, and the contract
 * suite that every one must pass. The reactors run; each I/O is carried to one, submitted there,
 * and waited for.
 */
#ifndef TESTS_BACKEND_SUITE_H
#define TESTS_BACKEND_SUITE_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "scsi/limits.h"
#include "target/log.h"
#include "tests/unit/unit.h"

struct suite_io {
	struct io_req io;
	struct msg msg;
	struct backend *be;
	unsigned depth;			/* > 0: backend_submit() is on the stack */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool ended;
};

static inline void suite_done(struct io_req *io)
{
	struct suite_io *s = (struct suite_io *)((char *)io - offsetof(struct suite_io, io));

	assert(!s->depth && io->from == reactor_self());
	pthread_mutex_lock(&s->lock);
	assert(!s->ended);
	s->ended = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

static inline void suite_submit(struct msg *m)
{
	struct suite_io *s = (struct suite_io *)((char *)m - offsetof(struct suite_io, msg));

	bool now;

	s->depth++;
	now = backend_submit(s->be, &s->io);
	s->depth--;
	assert(!now || (s->io.at_once && !s->io.pending));
	if (now)
		suite_done(&s->io);
}

/* Starts op on reactor number `on` (modulo their count). */
static inline void suite_start(struct suite_io *s, unsigned on, struct backend *be, enum io_op op,
			       uint32_t flags, uint64_t off, uint64_t len, void *buf)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
	s->be = be;
	s->io = (struct io_req){
		.op = op, .flags = flags, .off = off, .len = len, .buf = buf, .done = suite_done,
		.at_once = on & 2,
	};
	s->msg.fn = suite_submit;
	reactor_send(reactor_at(on % reactor_count()), &s->msg);
}

/* Waits at most ms milliseconds for what was started; false: not ended yet. */
static inline bool suite_wait(struct suite_io *s, unsigned ms)
{
	struct timespec until;
	bool ended;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->lock);
	while (!s->ended && pthread_cond_timedwait(&s->cond, &s->lock, &until) != ETIMEDOUT)
		;
	ended = s->ended;
	pthread_mutex_unlock(&s->lock);
	return ended;
}

/* One I/O from start to end; its result. *answer, when not NULL, gets its answer. */
static inline int suite_io_answer(struct backend *be, enum io_op op, uint32_t flags, uint64_t off,
				  uint64_t len, void *buf, union io_answer *answer)
{
	static unsigned turn;
	struct suite_io s;

	suite_start(&s, turn++, be, op, flags, off, len, buf);
	if (!suite_wait(&s, 60000)) {
		fprintf(stderr, "an I/O (op %d) did not end in 60 s\n", op);
		abort();
	}
	if (answer)
		*answer = s.io.answer;
	return s.io.result;
}

static inline int suite_io(struct backend *be, enum io_op op, uint64_t off, uint64_t len, void *buf)
{
	return suite_io_answer(be, op, 0, off, len, buf, NULL);
}

/* Bytes that tell their place and age: what is at `off` of generation `gen`. */
static inline void suite_fill(void *buf, uint64_t off, uint64_t len, unsigned gen)
{
	uint64_t *p = buf;

	assert(!(off % 8) && !(len % 8));
	for (uint64_t i = 0; i < len / 8; i++)
		p[i] = ((off / 8 + i) * 0x9e3779b97f4a7c15ull + gen * 0x100000001b3ull) | 1;
}

static inline bool suite_is(const void *buf, uint64_t off, uint64_t len, unsigned gen)
{
	unsigned char *want = malloc(len);
	bool same;

	if (!want)
		abort();
	suite_fill(want, off, len, gen);
	same = !memcmp(buf, want, len);
	free(want);
	return same;
}

static inline bool suite_is_zero(const void *buf, uint64_t len)
{
	const char *p = buf;

	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/* ---- a program of such tests ---------------------------------------------------------------- */

static unsigned suite_skipped;

/* Ends a test that cannot be run here. */
#define SUITE_SKIP(why) do {								\
	suite_skipped++;								\
	printf("  SKIP %s: %s\n", __func__, (why));					\
	return;										\
} while (0)

/* unit_run() with reactors around it, and with what SUITE_SKIP counted. */
static inline int suite_run(const char *name, const struct unit_test *tests, unsigned n,
			    enum reactor_driver driver)
{
	struct reactor_options o = { .count = 2, .driver = driver };
	unsigned run, failed;
	CU_pSuite suite;

	log_init(LOG_LEVEL_ERROR);
	if (reactors_start(&o) || CU_initialize_registry() != CUE_SUCCESS)
		abort();
	suite = CU_add_suite(name, NULL, NULL);
	for (unsigned i = 0; i < n; i++)
		if (!suite || !CU_add_test(suite, tests[i].name, tests[i].fn))
			abort();
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	reactors_stop();
	printf("%s: %u passed, %u failed, %u skipped\n", name, run - failed - suite_skipped, failed,
	       suite_skipped);
	return failed || run != n;
}

/* 4096-aligned, or the program ends. */
static inline void *suite_buf(size_t len)
{
	void *buf = aligned_alloc(4096, (len + 4095) / 4096 * 4096);

	if (!buf)
		abort();
	return buf;
}

#endif
