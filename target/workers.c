/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for what may block. Two pools: one for file I/O, one for other work, so that a disk that
 * hangs cannot keep reservations from being stored. And within the first no descriptor gets more
 * than its share of threads, so that it cannot keep other disks from being read: each reactor sorts
 * its requests into queues by descriptor, and of a queue few are worked on at a time. The lane has
 * a pool of its own for both.
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
	WORKERS_LANE = 4,
	QUEUES = 64,
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

static struct pool pool_io, pool_work, pool_lane;
static unsigned queue_share;		/* requests of one queue at a time */
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

int workers_start(unsigned count, bool lane, const char **why)
{
	unsigned others;
	int err;

	if (!count)
		count = WORKERS_DEFAULT;
	if (count > WORKERS_MAX) {
		*why = "more than 256 workers";
		return -EINVAL;
	}
	*why = "threads for what may block";
	others = count < 4 ? count : 4;
	/* A quarter of the pool for one descriptor, over all reactors. */
	queue_share = count / (4 * reactor_count());
	if (!queue_share)
		queue_share = 1;
	err = pool_start(&pool_work, others, 0);
	if (err)
		return err;
	err = pool_start(&pool_io, count, others);
	if (!err && lane)
		err = pool_start(&pool_lane, WORKERS_LANE, others + count);
	if (err)
		workers_stop();
	return err;
}

void workers_stop(void)
{
	pool_stop(&pool_lane);
	pool_stop(&pool_io);
	pool_stop(&pool_work);
}

unsigned workers_count(void)
{
	return pool_io.count + pool_work.count + pool_lane.count;
}

/* Where this reactor's jobs go: those of the lane wait for nobody else's. */
static struct jobs *jobs_of(struct pool *others)
{
	return reactor_self() == reactor_lane() ? &pool_lane.jobs : &others->jobs;
}

/* ---- work ----------------------------------------------------------------------------------- */

static struct work *work_of(struct msg *m)
{
	return (struct work *)(void *)((char *)m - offsetof(struct work, msg));
}

static void work_done(struct msg *m)
{
	struct work *w = work_of(m);

	w->done(w);
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
	assert(w->from && w->run && w->done);
	w->msg.fn = work_run;
	jobs_put(jobs_of(&pool_work), &w->msg);
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
	jobs_put(jobs_of(&pool_io), &r->msg);
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
	if (q->running < queue_share) {
		queue_start(q, r);
		return;
	}
	if (!q->waiting)
		q->tail = &q->waiting;
	*q->tail = r;
	q->tail = &r->next;
}
