/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for what may block. A pool for file I/O and one for each class of work, so that neither a
 * disk nor a journal that hangs can keep reservations from being stored. And of the pool for file
 * I/O no descriptor gets more than a quarter, so that it cannot keep other disks from being read:
 * each reactor sorts its requests into queues by descriptor, and of a queue few are worked on at a
 * time. The lane has a set of pools of its own.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "target/driver.h"
#include "target/log.h"
#include "target/mailbox.h"

enum {
	WORKERS_DEFAULT = 16,		/* for file I/O */
	WORKERS_MAX = 256,
	/* More than there are LUNs, mostly: descriptors that share a queue wait for one another. */
	QUEUES = 1024,
};

enum { POOL_IO = WORK_RECORD + 1, POOLS };
enum { SET_OTHERS, SET_LANE, SETS };

/* Threads of the pools; those of SET_OTHERS are no more than is configured for file I/O. */
static const unsigned sizes[SETS][POOLS] = {
	[SET_OTHERS] = { [WORK_STORE] = 4, [WORK_MEDIUM] = 4, [WORK_RECORD] = 4 },
	[SET_LANE] = { [WORK_STORE] = 4, [WORK_MEDIUM] = 4, [WORK_RECORD] = 4, [POOL_IO] = 8 },
};

enum { PRIV_FROM = 1 };			/* rio.priv[1]: the reactor it came from */

struct pool {
	struct jobs jobs;
	pthread_t *threads;
	unsigned count;
};

struct queue {
	unsigned running;
	struct rio *waiting, **tail;
};

static struct pool pools[SETS][POOLS];
static unsigned queue_share[SETS];	/* requests of one reactor's queue at a time */
static unsigned pending;		/* atomic: works */
static __thread struct queue queues[QUEUES];

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
	for (unsigned i = 0; i < SETS * POOLS; i++)
		pool_stop(&pools[i / POOLS][i % POOLS]);
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

static struct queue *queue_of(int fd)
{
	return &queues[(unsigned)fd % QUEUES];
}

static void rio_run(struct msg *m);

static void queue_start(struct queue *q, struct rio *r)
{
	q->running++;
	r->msg.fn = rio_run;
	jobs_put(&pools[set_here()][POOL_IO].jobs, &r->msg);
}

/* On the reactor again. */
static void rio_ran(struct msg *m)
{
	struct rio *r = rio_of(m);
	struct queue *q = queue_of(r->fd);
	struct rio *next = q->waiting;

	assert(q->running);
	q->running--;
	if (next) {
		q->waiting = next->next;
		queue_start(q, next);
	}
	rio_finish(r);
}

static void rio_run(struct msg *m)
{
	struct rio *r = rio_of(m);

	rio_block(r);
	m->fn = rio_ran;
	reactor_send((struct reactor *)(uintptr_t)r->priv[PRIV_FROM], m);
}

void workers_rio(struct rio *r)
{
	struct queue *q = queue_of(r->fd);

	r->priv[PRIV_FROM] = (uintptr_t)reactor_self();
	r->next = NULL;
	if (q->running < queue_share[set_here()]) {
		queue_start(q, r);
		return;
	}
	if (!q->waiting)
		q->tail = &q->waiting;
	*q->tail = r;
	q->tail = &r->next;
}
