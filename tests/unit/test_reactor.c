/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, messages between reactors, descriptors, deferred calls and work; each with both
 * drivers. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "target/log.h"
#include "target/reactor.h"
#include "tests/unit/unit.h"

static const enum reactor_driver drivers[] = { DRIVER_URING, DRIVER_EPOLL };

/* One test body on one driver: a message that starts it on a reactor, and a semaphore it posts. */
static sem_t finished;
static unsigned poll_us;		/* for the next start() */
static bool lane;

static bool start(enum reactor_driver driver, unsigned count)
{
	struct reactor_options o = { .count = count, .driver = driver, .workers = 2,
				     .poll_us = poll_us, .lane = lane };
	int err = reactors_start(&o);

	if (err && driver == DRIVER_URING) {
		printf("SKIP io_uring: %s\n", strerror(-err));
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(err, 0);
	sem_init(&finished, 0, 0);
	return true;
}

static void run_on(unsigned i, void (*fn)(struct msg *))
{
	static struct msg m[4];

	m[i].fn = fn;
	reactor_send(reactor_at(i), &m[i]);
}

static void wait_finished(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	CU_ASSERT_EQUAL_FATAL(sem_timedwait(&finished, &until), 0);
}

static void on_each_driver(unsigned count, unsigned at, void (*fn)(struct msg *))
{
	for (unsigned i = 0; i < 4; i++) {
		poll_us = i < 2 ? 0 : 200;
		if (!start(drivers[i % 2], count))
			continue;
		run_on(at, fn);
		wait_finished();
		reactors_stop();
	}
	poll_us = 0;
}

/* ---- set
 * ----------------------------------------------------------------------------------------
 */

static void who(struct msg *m)
{
	char name[16];

	CU_ASSERT_PTR_EQUAL(reactor_self(), reactor_at(1));
	CU_ASSERT_EQUAL(reactor_index(reactor_self()), 1);
	pthread_getname_np(pthread_self(), name, sizeof(name));
	CU_ASSERT_STRING_EQUAL(name, "hf-r1");
	sem_post(&finished);
}

static void test_set(void)
{
	struct reactor_options o = { .count = 0, .driver = DRIVER_AUTO };

	CU_ASSERT_EQUAL_FATAL(reactors_start(&o), 0);
	CU_ASSERT(reactor_count() >= 1);
	CU_ASSERT_PTR_NULL(reactor_self());
	CU_ASSERT(reactor_now() != 0);
	reactors_stop();
	CU_ASSERT_EQUAL(reactor_count(), 0);
	log_init(-1);			/* they complain, as they should */
	o.count = 100000;
	CU_ASSERT_EQUAL(reactors_start(&o), -EINVAL);
	o.count = 1;
	o.workers = 100000;
	CU_ASSERT_EQUAL(reactors_start(&o), -EINVAL);
	CU_ASSERT_EQUAL(reactor_count(), 0);
	log_init(LOG_LEVEL_WARN);
	on_each_driver(2, 1, who);
}

/* Starts and stops while messages, timers and sleeping threads are about. */
static void test_restart(void)
{
	for (unsigned i = 0; i < 20; i++)
		if (start(drivers[i % 2], 3))
			reactors_stop();
}

/* ---- messages
 * ----------------------------------------------------------------------------------------
 */

static struct {
	struct msg m;
	unsigned hops;
} ball;

static void pong(struct msg *m)
{
	CU_ASSERT_PTR_EQUAL(reactor_self(), reactor_at(ball.hops & 1));
	if (++ball.hops == 2000)
		sem_post(&finished);
	else
		reactor_send(reactor_at(ball.hops & 1), m);
}

static void serve(struct msg *m)
{
	ball.hops = 0;
	ball.m.fn = pong;
	reactor_send(reactor_at(0), &ball.m);
}

static void test_ping_pong(void)
{
	on_each_driver(2, 0, serve);
}

static struct {
	struct msg m;
	bool sending;
	unsigned got;
} self_test;

static void self_got(struct msg *m)
{
	CU_ASSERT(!self_test.sending);
	if (++self_test.got == 1000) {
		sem_post(&finished);
		return;
	}
	self_test.sending = true;
	reactor_send(reactor_self(), m);
	self_test.sending = false;
}

static void self_start(struct msg *m)
{
	self_test.got = 0;
	self_test.m.fn = self_got;
	reactor_send(reactor_self(), &self_test.m);
}

static void test_send_to_self(void)
{
	on_each_driver(1, 0, self_start);
}

/* ---- descriptors
 * ----------------------------------------------------------------------------------------
 */

static struct {
	struct rfd f;
	int peer;
	unsigned calls;
} one, two;

static void open_pair(struct rfd *f, int *peer)
{
	int sv[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	f->fd = sv[0];
	*peer = sv[1];
}

static void put(int fd, const char *s)
{
	CU_ASSERT_EQUAL(write(fd, s, strlen(s)), (ssize_t)strlen(s));
}

/* Level triggered: a byte per call, until all five are there; then the other side closes. */
static void level_ready(struct rfd *f, uint32_t ready)
{
	char c;
	ssize_t n;

	CU_ASSERT(ready & FD_READ);
	n = read(f->fd, &c, 1);
	one.calls++;
	if (one.calls <= 5) {
		CU_ASSERT_EQUAL(n, 1);
		if (one.calls == 5)
			close(one.peer);
		return;
	}
	CU_ASSERT_EQUAL(n, 0);
	rfd_del(f);
	close(f->fd);
	sem_post(&finished);
}

static void level_start(struct msg *m)
{
	one.calls = 0;
	one.f.fn = level_ready;
	open_pair(&one.f, &one.peer);
	CU_ASSERT_EQUAL(rfd_add(&one.f, FD_READ), 0);
	put(one.peer, "hello");
}

static void test_level_triggered(void)
{
	on_each_driver(1, 0, level_start);
}

/* Writable at once; not called while not wanted; wanted again. */
static struct timer want_timer;

static void want_ready(struct rfd *f, uint32_t ready)
{
	CU_ASSERT_EQUAL(ready, FD_WRITE);
	one.calls++;
	rfd_want(f, 0);
	rfd_want(f, FD_WRITE);
	rfd_want(f, FD_READ);
	if (one.calls == 1) {
		timer_arm(&want_timer, 30);
		return;
	}
	rfd_del(f);
	close(f->fd);
	close(one.peer);
	sem_post(&finished);
}

static void want_again(struct timer *t)
{
	CU_ASSERT_EQUAL(one.calls, 1);
	rfd_want(&one.f, FD_READ | FD_WRITE);
}

static void want_start(struct msg *m)
{
	one.calls = 0;
	one.f.fn = want_ready;
	want_timer = (struct timer){ .fn = want_again };
	open_pair(&one.f, &one.peer);
	CU_ASSERT_EQUAL(rfd_add(&one.f, 0), 0);
	rfd_want(&one.f, FD_WRITE);
}

static void test_want(void)
{
	on_each_driver(1, 0, want_start);
}

/* Wanted, then not; data comes; nothing happens until it is wanted again. */
static void pause_ready(struct rfd *f, uint32_t ready)
{
	CU_ASSERT_EQUAL(one.calls, 3);
	rfd_del(f);
	close(f->fd);
	close(one.peer);
	sem_post(&finished);
}

static void pause_step(struct timer *t)
{
	switch (++one.calls) {
	case 1:
		rfd_want(&one.f, 0);
		break;
	case 2:
		put(one.peer, "x");
		break;
	case 3:
		rfd_want(&one.f, FD_READ);
		return;
	}
	timer_arm(t, 10);
}

static void pause_start(struct msg *m)
{
	one.calls = 0;
	one.f.fn = pause_ready;
	want_timer = (struct timer){ .fn = pause_step };
	open_pair(&one.f, &one.peer);
	CU_ASSERT_EQUAL(rfd_add(&one.f, FD_READ), 0);
	timer_arm(&want_timer, 10);
}

static void test_pause(void)
{
	on_each_driver(1, 0, pause_start);
}

/* A hang-up nobody wants to hear of does not keep the loop turning, and is told later. */
static uint64_t turns_now(void)
{
	struct reactor_stats s;

	reactor_stats(reactor_self(), &s);
	return s.turns;
}

static uint64_t hangup_turns;

static void hangup_ready(struct rfd *f, uint32_t ready)
{
	char c;

	CU_ASSERT(ready & FD_ERROR);
	CU_ASSERT(ready & FD_READ);
	CU_ASSERT_EQUAL(read(f->fd, &c, 1), 0);
	rfd_del(f);
	close(f->fd);
	sem_post(&finished);
}

static void hangup_later(struct timer *t)
{
	CU_ASSERT(turns_now() - hangup_turns < 5);
	rfd_want(&one.f, FD_READ);
}

static void hangup_start(struct msg *m)
{
	one.f.fn = hangup_ready;
	want_timer = (struct timer){ .fn = hangup_later };
	open_pair(&one.f, &one.peer);
	CU_ASSERT_EQUAL(rfd_add(&one.f, 0), 0);
	close(one.peer);
	hangup_turns = turns_now();
	timer_arm(&want_timer, 50);
}

static void test_hangup_unwanted(void)
{
	on_each_driver(1, 0, hangup_start);
}

/* Both are ready in one turn; whoever is first deletes and frees the other, and itself. */
static struct rfd *victims[2];
static unsigned victim_calls;
static struct timer victim_timer;

static void victim_ready(struct rfd *f, uint32_t ready)
{
	victim_calls++;
	for (unsigned i = 0; i < 2; i++) {
		rfd_del(victims[i]);
		close(victims[i]->fd);
		free(victims[i]);
	}
	timer_arm(&victim_timer, 20);
}

static void victim_check(struct timer *t)
{
	CU_ASSERT_EQUAL(victim_calls, 1);
	close(one.peer);
	close(two.peer);
	sem_post(&finished);
}

static void victim_start(struct msg *m)
{
	int *peers[2] = { &one.peer, &two.peer };

	victim_calls = 0;
	victim_timer = (struct timer){ .fn = victim_check };
	for (unsigned i = 0; i < 2; i++) {
		victims[i] = calloc(1, sizeof(*victims[i]));
		victims[i]->fn = victim_ready;
		open_pair(victims[i], peers[i]);
		CU_ASSERT_EQUAL(rfd_add(victims[i], FD_READ | FD_WRITE), 0);
		put(*peers[i], "x");
	}
}

static void test_delete_in_callback(void)
{
	on_each_driver(1, 0, victim_start);
}

/* Added, deleted and closed in one turn, and the number used again by the next: none hears of the
 * other. */
static void reuse_ready(struct rfd *f, uint32_t ready)
{
	char c = 0;

	CU_ASSERT_EQUAL(read(f->fd, &c, 1), 1);
	CU_ASSERT_EQUAL(c, 'b');
	two.calls++;
	rfd_del(f);
	close(f->fd);
	close(two.peer);
	sem_post(&finished);
}

static void reuse_never(struct rfd *f, uint32_t ready)
{
	CU_FAIL("called after rfd_del()");
}

static void reuse_start(struct msg *m)
{
	one.f.fn = reuse_never;
	open_pair(&one.f, &one.peer);
	put(one.peer, "a");
	CU_ASSERT_EQUAL(rfd_add(&one.f, FD_READ), 0);
	rfd_del(&one.f);
	close(one.f.fd);
	close(one.peer);
	two.f.fn = reuse_ready;
	open_pair(&two.f, &two.peer);
	CU_ASSERT_EQUAL(rfd_add(&two.f, FD_READ), 0);
	put(two.peer, "b");
	one.f.fd = 1000000;
	CU_ASSERT_EQUAL(rfd_add(&one.f, FD_READ), -EBADF);
}

static void test_reuse_of_number(void)
{
	on_each_driver(1, 0, reuse_start);
}

/* Left in the reactor when it stops: the sanitizer looks for leaks. */
static void left_start(struct msg *m)
{
	one.f.fn = reuse_never;
	open_pair(&one.f, &one.peer);
	CU_ASSERT_EQUAL(rfd_add(&one.f, FD_READ), 0);
	two.f.fn = reuse_never;
	open_pair(&two.f, &two.peer);
	CU_ASSERT_EQUAL(rfd_add(&two.f, FD_READ), 0);
	rfd_del(&two.f);
	sem_post(&finished);
}

static void test_left_at_stop(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!start(drivers[i], 1))
			continue;
		run_on(0, left_start);
		wait_finished();
		reactors_stop();
		close(one.f.fd);
		close(one.peer);
		close(two.f.fd);
		close(two.peer);
	}
}

static void watch_start(struct msg *m)
{
	CU_ASSERT_EQUAL(rfd_add(&one.f, FD_READ), 0);
	sem_post(&finished);
}

/* A port is free again when the reactors have stopped, also one they still watched. */
static void test_port_free_after_stop(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	for (unsigned i = 0; i < 2; i++) {
		int again;

		if (!start(drivers[i], 1))
			continue;
		a.sin_port = 0;
		one.f.fn = reuse_never;
		one.f.fd = socket(AF_INET, SOCK_STREAM, 0);
		CU_ASSERT_EQUAL_FATAL(bind(one.f.fd, (struct sockaddr *)&a, sizeof(a)), 0);
		CU_ASSERT_EQUAL_FATAL(listen(one.f.fd, 5), 0);
		getsockname(one.f.fd, (struct sockaddr *)&a, &len);
		run_on(0, watch_start);
		wait_finished();
		reactors_stop();
		close(one.f.fd);
		again = socket(AF_INET, SOCK_STREAM, 0);
		CU_ASSERT_EQUAL(bind(again, (struct sockaddr *)&a, sizeof(a)), 0);
		CU_ASSERT_EQUAL(listen(again, 5), 0);
		close(again);
	}
}

/* More descriptors than the ring has entries. */
enum { MANY = 800 };
static struct rfd many[MANY];
static int many_peer[MANY];
static unsigned many_seen;

static void many_ready(struct rfd *f, uint32_t ready)
{
	char c;

	CU_ASSERT_EQUAL(read(f->fd, &c, 1), 1);
	rfd_del(f);
	close(f->fd);
	close(many_peer[f - many]);
	if (++many_seen == MANY)
		sem_post(&finished);
}

static void many_start(struct msg *m)
{
	many_seen = 0;
	for (unsigned i = 0; i < MANY; i++) {
		many[i].fn = many_ready;
		open_pair(&many[i], &many_peer[i]);
		CU_ASSERT_EQUAL(rfd_add(&many[i], FD_READ), 0);
		put(many_peer[i], "x");
	}
}

static void test_many_descriptors(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < 2 * MANY + 100) {
		printf("SKIP only %llu descriptors\n", (unsigned long long)l.rlim_cur);
		return;
	}
	on_each_driver(1, 0, many_start);
}

/* ---- deferred calls
 * -----------------------------------------------------------------------------------------------
 */

static struct defer defer_a, defer_b, defer_c;
static char defer_trace[32];

static void trace(char c)
{
	size_t n = strlen(defer_trace);

	if (n + 1 < sizeof(defer_trace))
		defer_trace[n] = c;
}

static void run_a(struct defer *d)
{
	trace('a');
	reactor_defer_cancel(&defer_b);
	if (strlen(defer_trace) < 6)
		reactor_defer(&defer_a);	/* next turn */
	else
		sem_post(&finished);
}

static void run_b(struct defer *d)
{
	trace('b');
}

static void run_c(struct defer *d)
{
	trace('c');
	reactor_defer(&defer_b);
	reactor_defer_cancel(&defer_b);
	reactor_defer_cancel(&defer_b);
}

static void defer_start(struct msg *m)
{
	memset(defer_trace, 0, sizeof(defer_trace));
	defer_a.fn = run_a;
	defer_b.fn = run_b;
	defer_c.fn = run_c;
	reactor_defer(&defer_a);
	reactor_defer(&defer_b);
	reactor_defer(&defer_a);
	reactor_defer(&defer_c);
	CU_ASSERT_EQUAL(strlen(defer_trace), 0);
}

static void test_defer(void)
{
	on_each_driver(1, 0, defer_start);
	CU_ASSERT_STRING_EQUAL(defer_trace, "acaaaa");
}

/* ---- work
 * ----------------------------------------------------------------------------------------
 */

enum { WORKS = 200 };
static struct work works[WORKS];
static unsigned works_value[WORKS], works_left;

static void work_run_one(struct work *w)
{
	CU_ASSERT_PTR_NULL(reactor_self());
	works_value[w - works]++;
}

static void work_done_one(struct work *w)
{
	CU_ASSERT_PTR_EQUAL(reactor_self(), reactor_at(1));
	CU_ASSERT_EQUAL(works_value[w - works], 1);
	if (!--works_left)
		sem_post(&finished);
}

static void work_start(struct msg *m)
{
	memset(works_value, 0, sizeof(works_value));
	works_left = WORKS;
	for (unsigned i = 0; i < WORKS; i++) {
		works[i].run = work_run_one;
		works[i].done = work_done_one;
		work_submit(&works[i]);
	}
}

static void test_work(void)
{
	on_each_driver(2, 1, work_start);
}

/*
 * What hangs in one class keeps none of another waiting, on the lane as elsewhere; and what hangs
 * on the lane nothing elsewhere.
 */
enum { HUNG = 40 };
static struct work hung[2 * HUNG], other;
static int hang_pipe[2];

static void hang_run(struct work *w)
{
	char c;

	CU_ASSERT_EQUAL(read(hang_pipe[0], &c, 1), 0);
}

static void quick_run(struct work *w)
{
}

static void hung_done(struct work *w)
{
	sem_post(&finished);
}

static void work_put(struct work *w, enum work_class class, void (*run)(struct work *w))
{
	*w = (struct work){ .class = class, .run = run, .done = hung_done };
	work_submit(w);
}

static void hang_start(struct msg *m)
{
	for (unsigned i = 0; i < HUNG; i++) {
		work_put(&hung[i], WORK_RECORD, hang_run);
		work_put(&hung[HUNG + i], WORK_MEDIUM, hang_run);
	}
	work_put(&other, WORK_STORE, quick_run);
}

static void hung_medium_only(struct msg *m)
{
	for (unsigned i = 0; i < HUNG; i++)
		work_put(&hung[i], WORK_MEDIUM, hang_run);
	sem_post(&finished);
}

static void medium_start(struct msg *m)
{
	work_put(&other, WORK_MEDIUM, quick_run);
}

static void hang_end(unsigned n)
{
	CU_ASSERT_EQUAL(works_pending(), n);
	close(hang_pipe[1]);
	while (n--)
		wait_finished();
	for (unsigned ms = 0; works_pending() && ms < 5000; ms++)
		usleep(1000);
	CU_ASSERT_EQUAL(works_pending(), 0);
	close(hang_pipe[0]);
}

/* done() was called, and so has returned soon. */
static void wait_pending(unsigned n)
{
	wait_finished();
	for (unsigned ms = 0; works_pending() > n && ms < 5000; ms++)
		usleep(1000);
}

static void test_hung_work_leaves_others(void)
{
	lane = true;
	CU_ASSERT_FATAL(start(DRIVER_EPOLL, 1));
	for (unsigned at = 0; at < 2; at++) {
		CU_ASSERT_EQUAL_FATAL(pipe(hang_pipe), 0);
		run_on(at, hang_start);
		wait_pending(2 * HUNG);
		hang_end(2 * HUNG);
	}
	for (unsigned at = 0; at < 2; at++) {
		CU_ASSERT_EQUAL_FATAL(pipe(hang_pipe), 0);
		run_on(at, hung_medium_only);
		wait_finished();
		run_on(!at, medium_start);
		wait_pending(HUNG);
		hang_end(HUNG);
	}
	reactors_stop();
	lane = false;
}

/* ---- idling
 * ----------------------------------------------------------------------------------------
 */

static void idle_start(struct msg *m)
{
	sem_post(&finished);
}

static void test_idle_does_nothing(void)
{
	struct timespec half = { 0, 500000000 };

	for (unsigned i = 0; i < 4; i++) {
		struct reactor_stats before, after;

		poll_us = i < 2 ? 0 : 200;
		if (!start(drivers[i % 2], 2))
			continue;
		for (unsigned k = 0; k < 100; k++) {	/* so that polling pays, for now */
			run_on(0, idle_start);
			wait_finished();
		}
		/* Until it has come to rest: on a busy machine not at once. */
		for (unsigned k = 0; k < 5; k++) {
			nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
			reactor_stats(reactor_at(0), &before);
			nanosleep(&half, NULL);
			reactor_stats(reactor_at(0), &after);
			if (after.turns == before.turns)
				break;
		}
		CU_ASSERT_EQUAL(after.turns, before.turns);
		CU_ASSERT_EQUAL(after.sleeps, before.sleeps);
		CU_ASSERT(after.cpu_ns - before.cpu_ns < 1000000);
		reactors_stop();
	}
	poll_us = 0;
}

static void earns_nothing(struct msg *m)
{
	reactor_earns_nothing();
	sem_post(&finished);
}

/* What is not worth it does not make a reactor poll, however often it comes. */
static void test_earns_nothing(void)
{
	enum { TIMES = 100 };

	for (unsigned i = 0; i < 2; i++) {
		struct reactor_stats before, after;

		poll_us = 5000;
		if (!start(drivers[i], 2))
			continue;
		reactor_stats(reactor_at(0), &before);
		for (unsigned k = 0; k < TIMES; k++) {
			run_on(0, earns_nothing);
			wait_finished();
			nanosleep(&(struct timespec){ 0, 500000 }, NULL);
		}
		reactor_stats(reactor_at(0), &after);
		CU_ASSERT(after.sleeps - before.sleeps >= TIMES - TIMES / 10);
		reactors_stop();
	}
	poll_us = 0;
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_set),
		UNIT(test_restart),
		UNIT(test_ping_pong),
		UNIT(test_send_to_self),
		UNIT(test_level_triggered),
		UNIT(test_want),
		UNIT(test_pause),
		UNIT(test_hangup_unwanted),
		UNIT(test_delete_in_callback),
		UNIT(test_reuse_of_number),
		UNIT(test_left_at_stop),
		UNIT(test_port_free_after_stop),
		UNIT(test_many_descriptors),
		UNIT(test_defer),
		UNIT(test_work),
		UNIT(test_hung_work_leaves_others),
		UNIT(test_idle_does_nothing),
		UNIT(test_earns_nothing),
	};

	log_init(LOG_LEVEL_WARN);
	return unit_run("reactor", tests, sizeof(tests) / sizeof(tests[0]));
}
