/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for what may block. A pool for file I/O and one for each class of work, so that neither a
 * disk nor a journal that hangs can keep reservations from being stored. And of the pool for file
 * I/O no descriptor gets more than a quarter, so that it cannot keep other disks from being read:
 * each reactor sorts its requests into queues by descriptor, and few workers at a time have leave
 * to serve a queue. The lane has a set of pools of its own.
 *
 * To wake a thread costs more than a write to the page cache. So a worker that serves a queue takes
 * one request after the other, and what it has done waits in the reactor's mailbox until there is
 * something to wake it for.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/list.h>

#include "target/driver.h"
#include "target/log.h"
#include "target/mailbox.h"

enum {
	WORKERS_DEFAULT = 16,		/* for file I/O */
	WORKERS_MAX = 256,
	/* More than there are LUNs, mostly: descriptors that share a queue wait for one another. */
	QUEUES = 1024,
	/*
	 * One leave to serve: so many requests, one that may be slow counting as SLOW, and one of
	 * many bytes as if it was one more for each SERVE_BYTES. A new leave costs a wake-up.
	 */
	SERVE_MAX = 256,
	SERVE_SLOW = 64,
	SERVE_BYTES = 64 << 10,
	/* Done, and the reactor not woken: no more of them than this, nor bytes. */
	QUIET_MAX = 32,
	QUIET_BYTES = 256 << 10,
	/*
	 * So often it is looked whether what should be quick is stuck; when it is, less often, but
	 * not so seldom that others of this reactor would feel it.
	 */
	LOOK_MS = 4,
	LOOK_MS_MAX = 32,
};

enum { POOL_IO = WORK_RECORD + 1, POOLS };
enum { SET_OTHERS, SET_LANE, SETS };

/* Threads of the pools; those of SET_OTHERS are no more than is configured for file I/O. */
static const unsigned sizes[SETS][POOLS] = {
	[SET_OTHERS] = { [WORK_STORE] = 4, [WORK_MEDIUM] = 4, [WORK_RECORD] = 4 },
	[SET_LANE] = { [WORK_STORE] = 4, [WORK_MEDIUM] = 4, [WORK_RECORD] = 4, [POOL_IO] = 8 },
};

struct pool {
	struct jobs jobs;
	pthread_t *threads;
	unsigned count;
};

/* Leave for one worker to serve a queue. */
struct leave {
	struct msg msg;
	struct queue *queue;
	struct leave *next;		/* free */
};

struct queue {
	struct pile pile;		/* requests no worker has taken yet */
	struct reactor *from;		/* whose it is, and all of what follows */
	unsigned given;			/* requests with the workers */
	unsigned slow;			/* of them: not of the quick kind */
	unsigned serving;		/* leaves that are out */
	unsigned stuck;			/* of them: seen to stand still, each with one request */
	uint64_t ended, looked;		/* requests done; when last looked at */
	bool changed;
	struct queue *next_changed;
	struct cds_list_head busy;	/* has something with the workers */
	struct queue *next;		/* all of them, of all reactors */
	struct leave *leaves;		/* free */
	struct leave mem[];
};

static struct pool pools[SETS][POOLS];
static unsigned queue_share[SETS];	/* workers of one reactor's queue at a time */
static unsigned pending;		/* atomic: works */
static struct queue *queues_all;	/* atomic */
static __thread struct {
	struct queue *of[QUEUES];
	struct queue *changed;		/* to be looked at by workers_flush() */
	struct cds_list_head busy;
	struct timer look;
	unsigned look_ms;		/* 0: not armed */
} queues;

static void *worker_main(void *arg)
{
	struct pool *p = arg;
	struct msg *m;

	while ((m = jobs_get(&p->jobs)))
		m->fn(m);
	return NULL;
}

static void pool_stop(struct pool *p)
{
	if (!p->threads)
		return;
	jobs_close(&p->jobs, p->count);
	for (unsigned i = 0; i < p->count; i++)
		pthread_join(p->threads[i], NULL);
	jobs_fini(&p->jobs);
	free(p->threads);
	*p = (struct pool){ .threads = NULL };
}

static int pool_start(struct pool *p, unsigned count, unsigned first)
{
	char name[16];
	int err;

	err = jobs_init(&p->jobs);
	if (err)
		return err;
	p->threads = calloc(count, sizeof(*p->threads));
	if (!p->threads) {
		jobs_fini(&p->jobs);
		return -ENOMEM;
	}
	for (p->count = 0; p->count < count; p->count++) {
		err = pthread_create(&p->threads[p->count], NULL, worker_main, p);
		if (err) {
			pool_stop(p);
			return -err;
		}
		snprintf(name, sizeof(name), "hf-w%u", first + p->count);
		pthread_setname_np(p->threads[p->count], name);
	}
	return 0;
}

static unsigned pool_size(unsigned set, unsigned pool, unsigned count)
{
	unsigned size = sizes[set][pool];

	if (set == SET_LANE)
		return size;
	return pool == POOL_IO || size > count ? count : size;
}

/* A quarter of the pool for one descriptor, over the reactors that use it. */
static unsigned share(unsigned threads, unsigned reactors)
{
	unsigned n = threads / (4 * reactors);

	return n ? n : 1;
}

int workers_start(unsigned count, bool lane, const char **why)
{
	unsigned reactors = reactor_dealt(), threads = 0;

	/* By default as many as a quarter of them is one for each reactor. */
	if (!count)
		count = 4 * reactors > WORKERS_MAX	 ? WORKERS_MAX
			: 4 * reactors > WORKERS_DEFAULT ? 4 * reactors
							 : WORKERS_DEFAULT;
	if (count > WORKERS_MAX) {
		*why = "more than 256 workers";
		return -EINVAL;
	}
	*why = "threads for what may block";
	queue_share[SET_OTHERS] = share(count, reactors);
	queue_share[SET_LANE] = share(sizes[SET_LANE][POOL_IO], 1);
	for (unsigned set = 0; set < (lane ? SETS : SET_LANE); set++) {
		for (unsigned i = 0; i < POOLS; i++) {
			unsigned size = pool_size(set, i, count);
			int err = pool_start(&pools[set][i], size, threads);

			if (err) {
				workers_stop();
				return err;
			}
			threads += size;
		}
	}
	return 0;
}

void workers_stop(void)
{
	struct queue *q;

	for (unsigned i = 0; i < SETS * POOLS; i++)
		pool_stop(&pools[i / POOLS][i % POOLS]);
	while ((q = queues_all)) {
		queues_all = q->next;
		pile_fini(&q->pile);
		free(q);
	}
}

unsigned workers_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SETS * POOLS; i++)
		n += pools[i / POOLS][i % POOLS].count;
	return n;
}

/* This reactor's pools: the lane's jobs wait for nobody else's. */
static unsigned set_here(void)
{
	return reactor_self() == reactor_lane() ? SET_LANE : SET_OTHERS;
}

/* ---- work ----------------------------------------------------------------------------------- */

static struct work *work_of(struct msg *m)
{
	return (struct work *)(void *)((char *)m - offsetof(struct work, msg));
}

static void work_done(struct msg *m)
{
	struct work *w = work_of(m);

	w->done(w);	/* may free it */
	__atomic_sub_fetch(&pending, 1, __ATOMIC_RELEASE);
}

static void work_run(struct msg *m)
{
	struct work *w = work_of(m);

	w->run(w);
	m->fn = work_done;
	reactor_send(w->from, m);
}

void work_submit(struct work *w)
{
	w->from = reactor_self();
	assert(w->from && w->run && w->done && (unsigned)w->class < POOL_IO);
	w->msg.fn = work_run;
	__atomic_add_fetch(&pending, 1, __ATOMIC_RELAXED);
	jobs_put(&pools[set_here()][w->class].jobs, &w->msg);
}

unsigned works_pending(void)
{
	return __atomic_load_n(&pending, __ATOMIC_ACQUIRE);
}

/* ---- file I/O ------------------------------------------------------------------------------- */

static struct rio *rio_of(struct msg *m)
{
	return (struct rio *)(void *)((char *)m - offsetof(struct rio, msg));
}

/*
 * To the page cache: mostly a copy. On one file they take turns anyway (the inode's lock), so they
 * are one worker's, until that one is seen to be stuck.
 */
static bool rio_quick(const struct rio *r)
{
	return r->op == RIO_WRITE && !r->direct;
}

/* On a worker. */
static void queue_serve(struct msg *leave);

/* The reactor's again. */
static void queue_change(struct queue *q)
{
	if (q->changed)
		return;
	q->changed = true;
	q->next_changed = queues.changed;
	queues.changed = q;
}

static void leave_give(struct queue *q)
{
	struct leave *l = q->leaves;

	q->leaves = l->next;
	q->serving++;
	l->msg.fn = queue_serve;
	jobs_put(&pools[set_here()][POOL_IO].jobs, &l->msg);
}

static void leave_back(struct msg *m)
{
	struct leave *l = (struct leave *)(void *)((char *)m - offsetof(struct leave, msg));
	struct queue *q = l->queue;

	assert(q->serving);
	q->serving--;
	if (q->stuck > q->serving)
		q->stuck = q->serving;
	l->next = q->leaves;
	q->leaves = l;
	if (q->given)
		queue_change(q);
}

static void rio_ran(struct msg *m)
{
	struct rio *r = rio_of(m);
	struct queue *q = queues.of[(unsigned)r->fd % QUEUES];

	assert(q->given);
	q->given--;
	q->slow -= !rio_quick(r);
	q->ended++;
	if (!q->given)
		cds_list_del(&q->busy);
	rio_finish(r);
}

static void queue_serve(struct msg *leave)
{
	struct leave *l = (struct leave *)(void *)((char *)leave - offsetof(struct leave, msg));
	struct queue *q = l->queue;
	unsigned served = 0, quiet = 0;
	uint64_t bytes = 0;
	struct msg *m;

	while (served < SERVE_MAX && (m = pile_get(&q->pile))) {
		struct rio *r = rio_of(m);
		bool quick = rio_quick(r);

		if (quiet && (!quick || quiet == QUIET_MAX || bytes >= QUIET_BYTES)) {
			reactor_wake(q->from);
			quiet = 0;
			bytes = 0;
		}
		rio_block(r);
		m->fn = rio_ran;
		if (!quick) {
			reactor_send(q->from, m);
			served += SERVE_SLOW;
			continue;
		}
		quiet++;
		bytes += r->len;
		served += 1 + (unsigned)(r->len / SERVE_BYTES);
		reactor_send_quietly(q->from, m);	/* r is the reactor's */
	}
	l->msg.fn = leave_back;
	reactor_send(q->from, &l->msg);
}

/*
 * What should be quick and is not has the others behind it wait, and what was done before it may be
 * in the mailbox yet: so the reactor does not sleep for long meanwhile, and gives further leaves.
 */
static void queues_look(struct timer *t)
{
	bool quick = false, stuck = true;
	struct cds_list_head *at;

	/* Not cds_list_for_each_entry(): it takes the head, too, for a queue, which is aligned. */
	cds_list_for_each(at, &queues.busy) {
		struct queue *q = cds_list_entry(at, struct queue, busy);

		if (q->given == q->slow)
			continue;
		quick = true;
		if (q->ended != q->looked) {
			stuck = false;
		} else {
			q->stuck = q->serving;
			queue_change(q);
		}
		q->looked = q->ended;
	}
	queues.look_ms = !quick			       ? 0
			 : !stuck		       ? LOOK_MS
			 : queues.look_ms < LOOK_MS_MAX ? queues.look_ms * 2
						       : LOOK_MS_MAX;
	if (queues.look_ms)
		timer_arm(t, queues.look_ms);
}

void workers_flush(void)
{
	struct queue *q;

	while ((q = queues.changed)) {
		unsigned want = q->stuck + q->slow + (q->given > q->slow);

		queues.changed = q->next_changed;
		q->changed = false;
		while (q->leaves && q->serving < want && q->serving < q->given)
			leave_give(q);
		if (q->given > q->slow && !queues.look_ms) {
			queues.look.fn = queues_look;
			queues.look_ms = LOOK_MS;
			timer_arm(&queues.look, LOOK_MS);
		}
	}
}

static struct queue *queue_new(void)
{
	unsigned share = queue_share[set_here()];
	struct queue *q;
	size_t size = (sizeof(*q) + share * sizeof(q->mem[0]) + 63) / 64 * 64;

	q = aligned_alloc(64, size);
	if (!q)
		return NULL;
	memset(q, 0, size);
	if (pile_init(&q->pile)) {
		free(q);
		return NULL;
	}
	q->from = reactor_self();
	for (unsigned i = 0; i < share; i++) {
		q->mem[i].queue = q;
		q->mem[i].next = q->leaves;
		q->leaves = &q->mem[i];
	}
	q->next = __atomic_load_n(&queues_all, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&queues_all, &q->next, q, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	if (!queues.busy.next)
		CDS_INIT_LIST_HEAD(&queues.busy);
	return q;
}

void workers_rio(struct rio *r)
{
	struct queue **at = &queues.of[(unsigned)r->fd % QUEUES], *q = *at;

	if (!q)
		q = *at = queue_new();
	if (!q) {
		rio_finish_later(r, -ENOMEM);
		return;
	}
	if (!q->given++)
		cds_list_add_tail(&q->busy, &queues.busy);
	q->slow += !rio_quick(r);
	pile_put(&q->pile, &r->msg);
	queue_change(q);
}
