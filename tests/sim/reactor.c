/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target/reactor.h for the simulation: several reactors take turns in one thread. A message becomes
 * visible to its receiver after a seeded time, in order per sender and receiver, in any order
 * between senders. A reactor's thread-local variables are exchanged when it gets its turn.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/list.h>

#include "target/log.h"
#include "target/reactor.h"
#include "target/timers.h"
#include "tests/sim/hooks.h"
#include "tests/sim/marks.h"
#include "tests/sim/sim.h"

enum { REACTORS = 8, FDS = 256 };

/* A message on its way. */
struct letter {
	struct msg *m;
	uint64_t at;
};

struct queue { /* of one sender */
	struct letter *v;
	size_t head, n, room;
	uint64_t last;
};

struct post { /* a completion */
	struct post *next;
	uint64_t at;
	void (*fn)(void *arg);
	void *arg;
};

struct reactor {
	unsigned index;
	struct queue from[REACTORS + 1]; /* the last: the main thread */
	struct timers timers;
	struct defer *defers, **defers_tail, *deferred;
	struct rfd *fds[FDS];
	unsigned nfds;
	struct post *posts;
	uint64_t turn_at; /* of the turn that is due; UINT64_MAX: none */
	uint64_t busy_until;
	uint64_t token;
	uint8_t *tls;
};

static struct reactor *reactors;
static unsigned count;
static bool lane;			/* the last one is it */
static struct reactor *self;
static uint64_t turn_now;
uint64_t sim_turns;

/* ---- the daemon's variables ---- */

static uint8_t *data_image;

/*
 * Byte by byte, and not for the address sanitizer to see: it keeps red zones between variables.
 * An asm statement keeps the compiler from making memcpy() of it.
 */
__attribute__((no_sanitize("address", "undefined"), noinline)) static void raw_copy(
	uint8_t *to, const uint8_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = from ? from[i] : 0;
		__asm__ volatile("" ::: "memory");
	}
}

/* Bytes between two marks; the linker has put them in this order. */
static size_t between(const char *first, const char *last)
{
	assert((uintptr_t)last > (uintptr_t)first);
	return (uintptr_t)last - (uintptr_t)first;
}

static size_t tls_size(void)
{
	return between(mark_tls_first, mark_tls_last);
}

void image_save(void)
{
	size_t n = between(mark_data_first, mark_data_last);

	data_image = malloc(n);
	if (!data_image)
		abort();
	raw_copy(data_image, (uint8_t *)mark_data_first, n);
}

void image_reset(void)
{
	raw_copy((uint8_t *)mark_data_first, data_image, between(mark_data_first, mark_data_last));
	raw_copy((uint8_t *)mark_bss_first, NULL, between(mark_bss_first, mark_bss_last));
	raw_copy((uint8_t *)mark_tls_first, NULL, tls_size());
}

void reactor_enter(struct reactor *r)
{
	assert(!self);
	self = r;
	turn_now = sim_now;
	raw_copy((uint8_t *)mark_tls_first, r->tls, tls_size());
}

void reactor_leave(void)
{
	assert(self);
	raw_copy(self->tls, (uint8_t *)mark_tls_first, tls_size());
	raw_copy((uint8_t *)mark_tls_first, NULL, tls_size());
	self = NULL;
}

/* ---- turns ---- */

static void turn(void *arg, uint64_t token);

/* A turn at `at`, or soon after; never while it is stalled. */
static void wake(struct reactor *r, uint64_t at)
{
	if (at < sim_now)
		at = sim_now;
	if (at < r->busy_until)
		at = r->busy_until;
	if (at >= r->turn_at)
		return;
	r->turn_at = at;
	event_at(at + rnd_delay(world.turn_mean), true, turn, r, ++r->token);
}

static struct letter *queue_head(struct queue *q)
{
	return q->head < q->n && q->v[q->head].at <= sim_now ? &q->v[q->head] : NULL;
}

/* One message, from a sender that has one for us, whichever. */
static bool turn_message(struct reactor *r)
{
	unsigned first = (unsigned)rnd_below(count + 1);

	for (unsigned i = 0; i <= count; i++) {
		unsigned k = (first + i) % (count + 1);
		struct queue *q = &r->from[k == count ? REACTORS : k];
		struct letter *l = queue_head(q);
		struct msg *m;

		if (!l)
			continue;
		m = l->m;
		if (++q->head == q->n)
			q->head = q->n = 0;
		m->fn(m);
		return true;
	}
	return false;
}

static void turn_messages(struct reactor *r)
{
	unsigned most = rnd_chance(300) ? 1 + (unsigned)rnd_below(3) : 256;

	while (most-- && turn_message(r))
		;
}

static void turn_posts(struct reactor *r)
{
	unsigned most = rnd_chance(300) ? 1 + (unsigned)rnd_below(3) : 256;

	while (most-- && r->posts && r->posts->at <= sim_now) {
		struct post *p = r->posts;

		r->posts = p->next;
		p->fn(p->arg);
		free(p);
	}
}

static void turn_fds(struct reactor *r)
{
	struct rfd *now[FDS];
	unsigned n = 0;

	for (unsigned i = 0; i < r->nfds; i++)
		now[n++] = r->fds[i];
	for (unsigned i = 0; i < n; i++) {
		uint32_t ready = 0;
		bool here = false;

		for (unsigned k = 0; k < r->nfds; k++)
			here |= r->fds[k] == now[i];
		if (here && vsock_ready(now[i]->fd, now[i]->want, &ready))
			now[i]->fn(now[i], ready);
	}
}

static void turn_defers(struct reactor *r)
{
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

/* When it has something to do next. */
static void turn_plan(struct reactor *r)
{
	uint64_t at = r->defers ? sim_now : UINT64_MAX, t = timers_next(&r->timers);
	uint32_t ready;

	if (t < at)
		at = t;
	if (r->posts && r->posts->at < at)
		at = r->posts->at;
	for (unsigned k = 0; k <= REACTORS; k++) {
		struct queue *q = &r->from[k];

		if (q->head < q->n && q->v[q->head].at < at)
			at = q->v[q->head].at;
	}
	for (unsigned i = 0; i < r->nfds && at > sim_now; i++)
		if (vsock_ready(r->fds[i]->fd, r->fds[i]->want, &ready))
			at = sim_now;
	if (at != UINT64_MAX)
		wake(r, at);
}

static void turn(void *arg, uint64_t token)
{
	struct reactor *r = arg;

	if (token != r->token)
		return;
	r->turn_at = UINT64_MAX;
	if (sim_now < r->busy_until) {
		wake(r, r->busy_until);
		return;
	}
	sim_turns++;
	reactor_enter(r);
	/* Any order of these is a real one: a turn more or less between them is all it takes. */
	switch (rnd_below(3)) {
	case 0:
		turn_posts(r);
		turn_messages(r);
		turn_fds(r);
		break;
	case 1:
		turn_fds(r);
		turn_posts(r);
		turn_messages(r);
		break;
	default:
		turn_messages(r);
		turn_fds(r);
		turn_posts(r);
		break;
	}
	timers_run(&r->timers, turn_now);
	turn_defers(r);
	reactor_leave();
	turn_plan(r);
}

void reactor_post(struct reactor *r, uint64_t at, void (*fn)(void *arg), void *arg)
{
	struct post *p = malloc(sizeof(*p)), **pos = &r->posts;

	if (!p)
		abort();
	*p = (struct post){ .at = at, .fn = fn, .arg = arg };
	while (*pos && (*pos)->at <= at)
		pos = &(*pos)->next;
	p->next = *pos;
	*pos = p;
	wake(r, at);
}

void reactor_poke(struct reactor *r, uint64_t at)
{
	wake(r, at);
}

/* ---- start and stop ---- */

void sim_reactors_start(unsigned n, bool with_lane)
{
	lane = with_lane;
	assert(n <= REACTORS && !reactors);
	count = n;
	reactors = calloc(n, sizeof(*reactors));
	if (!reactors)
		abort();
	for (unsigned i = 0; i < n; i++) {
		struct reactor *r = &reactors[i];

		r->index = i;
		r->defers_tail = &r->defers;
		r->turn_at = UINT64_MAX;
		r->tls = calloc(1, tls_size());
		if (!r->tls)
			abort();
	}
}

void sim_reactors_stop(void)
{
	for (unsigned i = 0; i < count; i++) {
		struct reactor *r = &reactors[i];
		struct post *p;

		for (unsigned k = 0; k <= REACTORS; k++)
			free(r->from[k].v);
		while ((p = r->posts)) {
			r->posts = p->next;
			free(p);
		}
		/* Not timers_fini(): the timers' memory may be gone. */
		free(r->timers.heap);
		free(r->tls);
	}
	free(reactors);
	reactors = NULL;
	count = 0;
	self = NULL;
}

void sim_reactors_stall(unsigned i, uint64_t ns)
{
	TRACE("reactor %u stalls for %.3f ms", i, (double)ns / 1e6);
	reactors[i].busy_until = sim_now + ns;
}

/* But for timers. */
bool sim_reactors_idle(void)
{
	for (unsigned i = 0; i < count; i++) {
		struct reactor *r = &reactors[i];

		if (r->posts || r->defers)
			return false;
		for (unsigned k = 0; k <= REACTORS; k++)
			if (r->from[k].head < r->from[k].n)
				return false;
	}
	return true;
}

/* ---- target/reactor.h ---- */

unsigned reactor_count(void)
{
	return count;
}

unsigned reactor_dealt(void)
{
	return count - lane;
}

struct reactor *reactor_lane(void)
{
	return lane ? &reactors[count - 1] : NULL;
}

struct reactor *reactor_at(unsigned i)
{
	assert(i < count);
	return &reactors[i];
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
	return "simulation";
}

uint64_t reactor_now(void)
{
	return self ? turn_now : sim_now;
}

void reactor_earns_nothing(void) {}

void reactor_send(struct reactor *to, struct msg *m)
{
	struct queue *q = &to->from[self ? self->index : REACTORS];
	uint64_t at = sim_now + (to == self ? 0 : rnd_delay(world.msg_mean));

	if (q->n == q->room) {
		q->room = q->room ? 2 * q->room : 64;
		q->v = realloc(q->v, q->room * sizeof(*q->v));
		if (!q->v)
			abort();
	}
	for (size_t i = q->head; i < q->n; i++)
		assert(q->v[i].m != m);
	if (at < q->last)
		at = q->last;
	q->last = at;
	q->v[q->n++] = (struct letter){ m, at };
	wake(to, at);
}

void reactor_defer(struct defer *d)
{
	assert(self);
	if (d->queued)
		return;
	d->queued = true;
	d->next = NULL;
	*self->defers_tail = d;
	self->defers_tail = &d->next;
	wake(self, sim_now);
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
	assert(self);
	if (!d->queued)
		return;
	if (!defer_unlink(&self->deferred, d)) {
		bool found = defer_unlink(&self->defers, d);

		assert(found);
		self->defers_tail = &self->defers;
		while (*self->defers_tail)
			self->defers_tail = &(*self->defers_tail)->next;
	}
	d->queued = false;
}

void timer_arm_us(struct timer *t, uint64_t us)
{
	assert(self);
	timers_arm(&self->timers, t, turn_now + us * US);
	wake(self, turn_now + us * US);
}

void timer_arm(struct timer *t, uint64_t ms)
{
	timer_arm_us(t, ms * 1000);
}

void timer_cancel(struct timer *t)
{
	assert(self || !t->slot);
	if (t->slot)
		timers_cancel(&self->timers, t);
}

int rfd_add(struct rfd *f, uint32_t want)
{
	assert(self && self->nfds < FDS);
	f->want = want;
	self->fds[self->nfds++] = f;
	vsock_watch(f->fd, self);
	wake(self, sim_now);
	return 0;
}

void rfd_want(struct rfd *f, uint32_t want)
{
	if (f->want == want)
		return;
	f->want = want;
	wake(self, sim_now);
}

void rfd_del(struct rfd *f)
{
	assert(self);
	for (unsigned i = 0; i < self->nfds; i++)
		if (self->fds[i] == f) {
			self->fds[i] = self->fds[--self->nfds];
			vsock_watch(f->fd, NULL);
			return;
		}
	assert(!"rfd_del of what was not added here");
}

/* ---- work that may block: at a seeded time, and its end later ---- */

static struct work *works[64]; /* those not run yet */

static void work_end(void *arg)
{
	struct work *w = arg;

	w->done(w);
}

static bool work_take(const struct work *w)
{
	for (unsigned i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (works[i] == w) {
			works[i] = NULL;
			return true;
		}
	return false;
}

static void work_now(void *arg, uint64_t n)
{
	struct work *w = arg;

	work_take(w);
	w->run(w);
	reactor_post(w->from, sim_now + rnd_delay(world.io_mean), work_end, w);
}

void work_submit(struct work *w)
{
	unsigned i = 0;

	assert(self);
	w->from = self;
	while (works[i])
		assert(++i < sizeof(works) / sizeof(works[0]));
	works[i] = w;
	event_in(rnd_delay(world.io_mean), true, work_now, w, 0);
}

void sim_works_kill(void)
{
	for (unsigned i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		if (!works[i])
			continue;
		os_dying();
		works[i]->run(works[i]);
		os_dead();
		works[i] = NULL;
	}
}

void rio_submit(struct rio *r)
{
	abort(); /* no file backend here */
}

int rio_engine(enum rio_engine asked, bool direct, enum rio_engine *got, const char **why)
{
	abort();
}

/* ---- target/log.h: into the trace ---- */

void log_init(enum log_level level) {}

bool log_enabled(enum log_level level)
{
	return sim_tracing;
}

static void log_trace(const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];

	vsnprintf(line, sizeof(line), fmt, ap);
	trace("r%d: %s", self ? (int)self->index : -1, line);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_trace(fmt, ap);
	va_end(ap);
}

void log_line_about(enum log_level level, const struct log_about *about, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_trace(fmt, ap);
	va_end(ap);
}

const char *log_quote(char *buf, size_t size, const char *s)
{
	snprintf(buf, size, "\"%s\"", s ? s : "");
	return buf;
}

const char *log_quote_n(char *buf, size_t size, const void *s, size_t n)
{
	snprintf(buf, size, "\"%.*s\"", (int)n, (const char *)s);
	return buf;
}
