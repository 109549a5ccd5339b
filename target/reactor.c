/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of each reactor, and the set of them. One turn: events and completed I/O, messages,
 * timers, what was deferred to the end, and then everything that was asked for goes to the kernel
 * with one call, which also waits when nothing is left to do.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "target/driver.h"
#include "target/log.h"
#include "target/mailbox.h"
#include "target/timers.h"
#include "target/watchdog.h"

enum {
	DEFER_ROUNDS = 4,
	MESSAGES_PER_TURN =
		256, /* so that a flood of messages does not starve sockets and timers */
	STALL_MS_DEFAULT = 5000,
	LANE_NICE = -10,
	POLLS_MAX = 8,
	POLL_GAP_NS = 100000,	/* between two looks: another had the core meanwhile */
	POLL_SHARED_MS = 100,	/* then so long we leave it to him when we have nothing to do */
};

struct reactor {
	struct mailbox mailbox;		/* others write here */
	struct reactor_stats stats
		__attribute__((aligned(64))); /* written by this reactor, read by all */
	struct driver *driver;
	uint64_t now;			/* ns */
	struct timers timers;
	struct defer *defers, **defers_tail;
	struct defer *deferred;		/* those being run */
	bool again;			/* do not sleep before the next turn */
	bool stopping;
	unsigned polls;			/* how often in a row polling may be in vain: loop_poll() */
	unsigned polls_before;		/* this turn's end of waiting */
	uint64_t poll_from;		/* ns: not before */
	struct msg stop;
	unsigned index;
	pthread_t thread;
	int err;			/* of opening the driver */
	const char *why;
};

/* How reactors_start() and the threads agree whether to run. */
enum start_verdict { START_WAIT, START_RUN, START_QUIT };
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned opened;
	enum start_verdict verdict;
} start = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, START_WAIT };

static struct reactor *reactors[REACTORS_MAX];
static unsigned reactors_n;
static bool have_lane;			/* the last one is it */
static const struct driver_ops *driver_ops;
static uint64_t poll_ns;
static __thread struct reactor *self;

/* ---- who and when --------------------------------------------------------------------------- */

unsigned reactor_count(void)
{
	return reactors_n;
}

unsigned reactor_dealt(void)
{
	return reactors_n - have_lane;
}

struct reactor *reactor_lane(void)
{
	return have_lane ? reactors[reactors_n - 1] : NULL;
}

struct reactor *reactor_at(unsigned i)
{
	assert(i < reactors_n);
	return reactors[i];
}

struct reactor *reactor_self(void)
{
	return self;
}

unsigned reactor_index(const struct reactor *r)
{
	return r->index;
}

const char *reactor_driver_name(void)
{
	return driver_ops->name;
}

const struct driver_ops *reactor_driver_ops(void)
{
	return driver_ops;
}

struct driver *reactor_driver(void)
{
	assert(self);
	return self->driver;
}

uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t reactor_now(void)
{
	return self ? self->now : clock_ns();
}

void reactor_stats(const struct reactor *r, struct reactor_stats *out)
{
	struct timespec ts = { 0 };
	clockid_t clock;

	out->turns = counter_get(&r->stats.turns);
	out->sleeps = counter_get(&r->stats.sleeps);
	out->messages = counter_get(&r->stats.messages);
	out->rios = counter_get(&r->stats.rios);
	if (!pthread_getcpuclockid(r->thread, &clock))
		clock_gettime(clock, &ts);
	out->cpu_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void reactor_count_rio(void)
{
	counter_add(&self->stats.rios, 1);
}

void reactor_earns_nothing(void)
{
	if (self->polls > self->polls_before)
		self->polls = self->polls_before;
}

uint64_t reactor_turns(const struct reactor *r, bool *asleep)
{
	*asleep = doorbell_asleep(&r->mailbox.bell);
	return counter_get(&r->stats.turns);
}

/* ---- messages, deferred calls, timers, descriptors ------------------------------------------ */

void reactor_send(struct reactor *to, struct msg *m)
{
	assert(m->fn);
	mailbox_put(&to->mailbox, m);
}

void reactor_send_quietly(struct reactor *to, struct msg *m)
{
	assert(m->fn);
	mailbox_put_quietly(&to->mailbox, m);
}

void reactor_wake(struct reactor *r)
{
	doorbell_ring(&r->mailbox.bell);
}

void reactor_defer(struct defer *d)
{
	assert(self && d->fn);
	if (d->queued)
		return;
	d->queued = true;
	d->next = NULL;
	*self->defers_tail = d;
	self->defers_tail = &d->next;
}

static bool defer_unlink(struct defer **at, struct defer *d)
{
	while (*at && *at != d)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = d->next;
	return true;
}

void reactor_defer_cancel(struct defer *d)
{
	if (!d->queued)
		return;
	if (!defer_unlink(&self->deferred, d)) {
		bool found = defer_unlink(&self->defers, d);

		assert(found);
		(void)found;
		self->defers_tail = &self->defers;
		while (*self->defers_tail)
			self->defers_tail = &(*self->defers_tail)->next;
	}
	d->queued = false;
}

void timer_arm_us(struct timer *t, uint64_t us)
{
	assert(self);
	if (us > INT64_MAX / 1000)
		us = INT64_MAX / 1000;		/* 292 years */
	timers_arm(&self->timers, t, self->now + us * 1000);
}

void timer_arm(struct timer *t, uint64_t ms)
{
	timer_arm_us(t, ms > INT64_MAX / 1000 ? INT64_MAX : ms * 1000);
}

void timer_cancel(struct timer *t)
{
	assert(self);
	timers_cancel(&self->timers, t);
}

int rfd_add(struct rfd *f, uint32_t want)
{
	assert(self && f->fn && !(want & ~(uint32_t)(FD_READ | FD_WRITE)));
	f->want = want;
	f->priv = NULL;
	return self->driver->ops->add(self->driver, f);
}

void rfd_want(struct rfd *f, uint32_t want)
{
	uint32_t old = f->want;

	assert(self && !(want & ~(uint32_t)(FD_READ | FD_WRITE)));
	if (want == old)
		return;
	f->want = want;
	self->driver->ops->want(self->driver, f, old);
}

void rfd_del(struct rfd *f)
{
	assert(self);
	self->driver->ops->del(self->driver, f);
}

/* ---- the loop ------------------------------------------------------------------------------- */

/* How long may it sleep? ns; 0: not at all, -1: until something happens. */
static int64_t loop_patience(struct reactor *r)
{
	uint64_t next = timers_next(&r->timers), now;

	if (r->again || r->defers)
		return 0;
	if (next == UINT64_MAX)
		return -1;
	now = clock_ns();
	if (next <= now)
		return 0;
	return next - now < INT64_MAX ? (int64_t)(next - now) : INT64_MAX;
}

static void loop_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool loop_came(struct reactor *r)
{
	return r->driver->ops->ready(r->driver) || !mailbox_empty(&r->mailbox);
}

/*
 * Waking a core that sleeps takes longer than many commands do. So before it sleeps a reactor looks
 * for poll_ns whether something comes, where that pays: a sleep shorter than that earns a poll, one
 * that finds something earns POLLS_MAX, one in vain costs one. Who is idle, or is asked for
 * something now and then, or only hears that its peers live, does not poll; nor where others want
 * the core: they would be given it just when something comes. True: something came.
 */
static bool loop_poll(struct reactor *r, uint64_t from, int64_t ns)
{
	uint64_t patience = ns < 0 || (uint64_t)ns > poll_ns ? poll_ns : (uint64_t)ns;
	uint64_t now = from, last;

	if (!r->polls || from < r->poll_from)
		return false;
	do {
		r->again = !r->driver->ops->wait(r->driver, 0);
		if (r->again || loop_came(r)) {
			r->polls_before = r->polls - 1;
			r->polls = POLLS_MAX;
			return true;
		}
		loop_pause();
		last = now;
		now = clock_ns();
		if (now - last > POLL_GAP_NS)
			r->poll_from = now + POLL_SHARED_MS * 1000000ull;
	} while (now - from < patience);
	r->polls--;
	return false;
}

static void loop_wait(struct reactor *r)
{
	int64_t ns = loop_patience(r);
	uint64_t from = ns && poll_ns ? clock_ns() : 0;

	r->polls_before = r->polls;
	counter_add(&r->stats.turns, 1);
	if (from && loop_poll(r, from, ns)) {
		r->now = clock_ns();
		return;
	}
	if (ns && !mailbox_sleep(&r->mailbox))
		ns = 0;
	if (ns)
		counter_add(&r->stats.sleeps, 1);
	r->again = !r->driver->ops->wait(r->driver, ns);
	if (ns)
		doorbell_awake(&r->mailbox.bell);
	r->now = clock_ns();
	r->polls_before = r->polls;
	/* A timer's time was known: there was nothing to look for. */
	if (from && r->now - from < poll_ns && r->polls < POLLS_MAX &&
	    loop_came(r))
		r->polls++;
}

static void loop_messages(struct reactor *r)
{
	unsigned n = 0;
	struct msg *m;

	while (n < MESSAGES_PER_TURN && (m = mailbox_get(&r->mailbox))) {
		m->fn(m);
		n++;
	}
	counter_add(&r->stats.messages, n);
	/* Over the limit, or half way in: mailbox_sleep() sees it and does not sleep. */
}

/*
 * What a deferred call defers runs in the same turn: a store that completes at the end of the turn
 * and the connection that then sends the answers. Not without end, so that sockets have their turn.
 */
static void loop_defers(struct reactor *r)
{
	for (unsigned i = 0; i < DEFER_ROUNDS && r->defers; i++) {
		r->deferred = r->defers;
		r->defers = NULL;
		r->defers_tail = &r->defers;
		while (r->deferred) {
			struct defer *d = r->deferred;

			r->deferred = d->next;
			d->queued = false;
			d->fn(d);
		}
	}
}

static void reactor_loop(struct reactor *r)
{
	while (!r->stopping) {
		loop_wait(r);
		r->driver->ops->dispatch(r->driver);
		loop_messages(r);
		timers_run(&r->timers, r->now);
		loop_defers(r);
		if (!aio_flush())
			r->again = true;
		workers_flush();
	}
}

/* Says that this reactor has opened its driver, or could not, and waits for the word. */
static bool start_opened(void)
{
	bool run;

	pthread_mutex_lock(&start.lock);
	start.opened++;
	pthread_cond_broadcast(&start.cond);
	while (start.verdict == START_WAIT)
		pthread_cond_wait(&start.cond, &start.lock);
	run = start.verdict == START_RUN;
	pthread_mutex_unlock(&start.lock);
	return run;
}

/*
 * It sleeps nearly always, so it takes little from the others; what it gains is not to wait for
 * their time slices to end. Without the right to it (CAP_SYS_NICE) the kernel's fairness to
 * sleepers has to do.
 */
static void lane_priority(void)
{
	int err = setpriority(PRIO_PROCESS, (id_t)gettid(), LANE_NICE) ? errno : 0;

	log_info("event=lane reactor=%u nice=%d%s%s", self->index, err ? 0 : LANE_NICE,
		 err ? " why=" : "", err ? LOG_Q(strerror(err)) : "");
}

static void *reactor_main(void *arg)
{
	struct reactor *r = arg;

	self = r;
	r->now = clock_ns();
	r->err = driver_ops->open(&r->driver, r->mailbox.bell.fd, &r->why);
	if (start_opened()) {
		if (r == reactor_lane())
			lane_priority();
		reactor_loop(r);
		aio_stop();
		rio_queues_stop();
	}
	if (!r->err)
		r->driver->ops->close(r->driver);
	timers_fini(&r->timers);
	self = NULL;
	return NULL;
}

static void reactor_stop(struct msg *m)
{
	self->stopping = true;
}

/* ---- the set of them ------------------------------------------------------------------------ */

static int reactor_new(unsigned index)
{
	struct reactor *r = aligned_alloc(64, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	memset(r, 0, sizeof(*r));
	r->index = index;
	r->defers_tail = &r->defers;
	r->stop.fn = reactor_stop;
	err = mailbox_init(&r->mailbox);
	if (err) {
		free(r);
		return err;
	}
	reactors[index] = r;
	return 0;
}

static void reactors_free(void)
{
	for (unsigned i = 0; i < reactors_n; i++) {
		mailbox_fini(&reactors[i]->mailbox);
		free(reactors[i]);
		reactors[i] = NULL;
	}
	reactors_n = 0;
}

static int reactors_new(unsigned count)
{
	int err = 0;

	while (!err && reactors_n < count) {
		err = reactor_new(reactors_n);
		if (!err)
			reactors_n++;
	}
	if (err)
		reactors_free();
	return err;
}

static void start_wait_opened(unsigned n)
{
	pthread_mutex_lock(&start.lock);
	while (start.opened < n)
		pthread_cond_wait(&start.cond, &start.lock);
	pthread_mutex_unlock(&start.lock);
}

static void start_go(enum start_verdict v)
{
	pthread_mutex_lock(&start.lock);
	start.verdict = v;
	pthread_cond_broadcast(&start.cond);
	pthread_mutex_unlock(&start.lock);
}

static void reactors_join(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pthread_join(reactors[i]->thread, NULL);
}

/*
 * A thread for each, which opens its driver and waits for the word. When one cannot, all end: 0 or
 * -errno with *why.
 */
static int reactors_launch(const char **why)
{
	unsigned n;
	char name[16];
	int err = 0;

	start.opened = 0;
	start.verdict = START_WAIT;
	for (n = 0; n < reactors_n; n++) {
		err = -pthread_create(&reactors[n]->thread, NULL, reactor_main, reactors[n]);
		if (err) {
			*why = "pthread_create failed";
			break;
		}
		snprintf(name, sizeof(name), reactors[n] == reactor_lane() ? "hf-lane" : "hf-r%u",
			 n);
		pthread_setname_np(reactors[n]->thread, name);
	}
	start_wait_opened(n);
	for (unsigned i = 0; !err && i < n; i++) {
		err = reactors[i]->err;
		*why = reactors[i]->why;
	}
	if (!err)
		return 0;
	start_go(START_QUIT);
	reactors_join(n);
	return err;
}

static unsigned cores_allowed(void)
{
	cpu_set_t set;

	/* More cores than the set has room for (1024) is an error: then one reactor has to do. */
	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return CPU_COUNT(&set) < REACTORS_MAX ? (unsigned)CPU_COUNT(&set) : REACTORS_MAX;
}

/* Faults stay deliverable: they are this thread's own, and the sanitizers' handlers want them. */
static void signals_block(sigset_t *old)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	sigset_t all;

	sigfillset(&all);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

/* The driver that was asked for; for DRIVER_AUTO the first that works. */
static int reactors_launch_driver(enum reactor_driver asked, const char **why)
{
	const char *cannot = "as configured";
	int err = -ENOTSUP;

	if (asked != DRIVER_EPOLL) {
		driver_ops = &driver_uring;
		err = driver_ops->probe(&cannot);
		if (!err)
			err = reactors_launch(&cannot);
		if (!err)
			*why = asked == DRIVER_AUTO ? "the kernel allows it" : "as configured";
		if (!err || asked == DRIVER_URING) {
			*why = err ? cannot : *why;
			return err;
		}
	}
	driver_ops = &driver_epoll;
	*why = cannot;
	err = reactors_launch(&cannot);
	if (err)
		*why = cannot;
	return err;
}

static int reactors_start_parts(const struct reactor_options *o, const char **why)
{
	int err;

	err = workers_start(o->workers, o->lane, why);
	if (err)
		return err;
	err = reactors_launch_driver(o->driver, why);
	if (err) {
		workers_stop();
		return err;
	}
	err = watchdog_start(o->stall_ms ? o->stall_ms : STALL_MS_DEFAULT);
	if (err) {
		*why = "the watchdog's thread";
		start_go(START_QUIT);
		reactors_join(reactors_n);
		workers_stop();
		return err;
	}
	start_go(START_RUN);
	return 0;
}

int reactors_start(const struct reactor_options *o)
{
	unsigned count = (o->count ? o->count : cores_allowed()) + o->lane;
	const char *why = "memory or file descriptors";
	sigset_t old;
	int err;

	assert(!reactors_n && !self);
	if (count > REACTORS_MAX) {
		log_error("event=reactors_start err=%d why=\"at most %d reactors\"", EINVAL,
			  REACTORS_MAX);
		return -EINVAL;
	}
	have_lane = o->lane;
	poll_ns = o->poll_us * 1000ull;
	signals_block(&old);
	if (log_thread_start())
		log_warn(
			"event=log_thread_failed effect=\"log lines are written by whoever logs\"");
	err = reactors_new(count);
	if (!err) {
		err = reactors_start_parts(o, &why);
		if (err)
			reactors_free();
	}
	if (err)
		log_error("event=reactors_start err=%d why=\"%s\"", -err, why);
	else
		log_info("event=reactors_start driver=%s reactors=%u workers=%u why=\"%s\"",
			 driver_ops->name, reactors_n, workers_count(), why);
	if (err)
		log_thread_stop();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

void reactors_stop(void)
{
	assert(!self);
	watchdog_stop();
	for (unsigned i = 0; i < reactors_n; i++)
		reactor_send(reactors[i], &reactors[i]->stop);
	reactors_join(reactors_n);
	workers_stop();
	reactors_free();
	log_thread_stop();
}
