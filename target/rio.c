/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File I/O: which engine, and what is the same in all of them: short transfers, end of file,
 * interrupted calls.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "target/driver.h"
#include "target/rio_queue.h"

/* Of rio.priv: how often the kernel said EAGAIN, in a row. */
enum { PRIV_RETRIES };

enum { QUEUES = 1024 };

static __thread struct rio_queue *queues[QUEUES];	/* by descriptor, lists */

/*
 * A direct read that stopped inside the last block of a file cannot be continued: the rest of it
 * begins at an unaligned offset, and the kernel says EINVAL instead of 0.
 */
static bool rio_past_end(const struct rio *r)
{
	struct stat st;

	return !fstat(r->fd, &st) && S_ISREG(st.st_mode) &&
	       r->off + r->pos >= (uint64_t)st.st_size;
}

static bool rio_end(struct rio *r, int result)
{
	r->result = result;
	return true;
}

static bool rio_end_of_file(struct rio *r)
{
	memset((char *)r->buf + r->pos, 0, r->len - r->pos);
	return rio_end(r, 0);
}

static bool rio_step_error(struct rio *r, int err)
{
	if (err == -EINTR)
		return false;
	if (err == -EAGAIN && r->priv[PRIV_RETRIES] < UINT64_MAX) {
		r->priv[PRIV_RETRIES]++;
		return false;
	}
	if (err == -EINVAL && r->op == RIO_READ && r->pos && rio_past_end(r))
		return rio_end_of_file(r);
	return rio_end(r, err);
}

bool rio_step(struct rio *r, int64_t res)
{
	if (res < 0)
		return rio_step_error(r, (int)res);
	r->priv[PRIV_RETRIES] = 0;
	switch (r->op) {
	case RIO_READ:
		if (!res)
			return rio_end_of_file(r);
		r->pos += (uint64_t)res;
		break;
	case RIO_WRITE:
		if (!res) /* nothing written and no reason: trying again would go on for ever */
			return rio_end(r, -EIO);
		r->pos += (uint64_t)res;
		break;
	case RIO_FADVISE:
		r->pos += rio_chunk(r);
		break;
	case RIO_FDATASYNC:
	case RIO_FALLOCATE:
		return rio_end(r, 0);
	}
	assert(r->pos <= r->len);
	return r->pos == r->len ? rio_end(r, 0) : false;
}

bool rio_tired(const struct rio *r)
{
	return r->priv[PRIV_RETRIES] > RIO_RETRIES;
}

static int64_t rio_call(struct rio *r)
{
	void *buf = rio_place(r);
	off_t at = (off_t)(r->off + r->pos);
	int64_t res = 0;

	switch (r->op) {
	case RIO_READ:
		res = pread(r->fd, buf, rio_chunk(r), at);
		break;
	case RIO_WRITE:
		res = pwrite(r->fd, buf, rio_chunk(r), at);
		break;
	case RIO_FDATASYNC:
		res = fdatasync(r->fd);
		break;
	case RIO_FALLOCATE:
		res = fallocate(r->fd, r->mode, (off_t)r->off, (off_t)r->len);
		break;
	case RIO_FADVISE:
		return -posix_fadvise(r->fd, at, rio_chunk(r), rio_advice(r));
	}
	return res < 0 ? -errno : res;
}

void rio_block(struct rio *r)
{
	while (!rio_step(r, rio_call(r))) {
		/*
		 * Out of some resource of the kernel's: wait here, it is what workers are for; but
		 * not for ever.
		 */
		if (r->priv[PRIV_RETRIES] > 1000)
			r->priv[PRIV_RETRIES] = UINT64_MAX;
		else if (r->priv[PRIV_RETRIES])
			poll(NULL, 0, 1);
	}
}

void rio_finish(struct rio *r)
{
	reactor_count_rio();
	r->done(r);
}

static void rio_finish_msg(struct msg *m)
{
	rio_finish((struct rio *)(void *)((char *)m - offsetof(struct rio, msg)));
}

void rio_finish_later(struct rio *r, int result)
{
	r->result = result;
	r->msg.fn = rio_finish_msg;
	reactor_send(reactor_self(), &r->msg);
}

/* ---- direct: not more than the device takes ------------------------------------------------- */

/* This descriptor's queue on this reactor, made at the first request. NULL: no memory. */
static struct rio_queue *queue_of(int fd)
{
	struct rio_queue **at = &queues[(unsigned)fd % QUEUES], *q;

	for (q = *at; q; q = q->next)
		if (q->fd == fd)
			return q;
	q = malloc(sizeof(*q));
	if (!q)
		return NULL;
	rio_queue_init(q, fd);
	q->next = *at;
	*at = q;
	return q;
}

void rio_queues_stop(void)
{
	struct rio_queue *q;

	for (unsigned i = 0; i < QUEUES; i++)
		while ((q = queues[i])) {
			queues[i] = q->next;
			free(q);
		}
}

static bool rio_queued(const struct rio *r)
{
	return r->direct && (r->op == RIO_READ || r->op == RIO_WRITE);
}

int rio_flags(const struct rio *r)
{
	return rio_queued(r) && !r->may_wait ? RWF_NOWAIT : 0;
}

static void engine_submit(struct rio *r)
{
	struct driver *d = reactor_driver();

	assert(r->engine == RIO_AIO || d->ops->rio);
	if (r->engine == RIO_AIO)
		aio_submit(r);
	else
		d->ops->rio(d, r);
}

static void queue_go(struct rio_queue *q)
{
	struct rio *r;

	while ((r = rio_queue_take(q)))
		engine_submit(r);
}

static void queue_completed(struct rio_queue *q, struct rio *r, int64_t res)
{
	if (res == -EOPNOTSUPP && !r->may_wait) {
		r->may_wait = true;
		engine_submit(r);
		return;
	}
	if (rio_step(r, res)) {
		rio_queue_ended(q);
		queue_go(q);
		rio_finish(r);
		return;
	}
	if (res != -EAGAIN) {
		engine_submit(r);
		return;
	}
	if (!rio_queue_refused(q, r, r->priv[PRIV_RETRIES]))
		workers_rio(r);
	queue_go(q);
}

void rio_completed(struct rio *r, int64_t res)
{
	if (rio_queued(r))
		queue_completed(queue_of(r->fd), r, res);
	else if (rio_step(r, res))
		rio_finish(r);
	else if (rio_tired(r))
		workers_rio(r);
	else
		engine_submit(r);
}

/* ---- submitting ----------------------------------------------------------------------------- */

/*
 * Does the engine have this? libaio has reads and writes that are direct, and does all else at
 * once; io_uring has threads of the kernel's do all but reads and writes, and a few hung ones would
 * keep those of other files waiting, which the workers see to. A write to the page cache io_uring
 * would do at once where the file system says that it will not wait; but XFS does wait, for all
 * that is dirty in it, when it has little space left.
 */
static bool engine_has(const struct rio *r)
{
	switch (r->engine) {
	case RIO_URING:
		return r->op == RIO_READ || (r->op == RIO_WRITE && r->direct);
	case RIO_AIO:
		return rio_queued(r) && aio_ready();
	case RIO_WORKERS:
		return false;
	case RIO_AUTO:
		break;
	}
	assert(!"rio.engine must come from rio_engine()");
	return false;
}

void rio_submit(struct rio *r)
{
	struct rio_queue *q = NULL;

	assert(reactor_self() && r->done);
	r->result = 0;
	r->pos = 0;
	r->next = NULL;
	memset(r->priv, 0, sizeof(r->priv));
	if (r->op != RIO_FDATASYNC && !r->len) {
		rio_finish_later(r, 0);
		return;
	}
	assert(r->op == RIO_FDATASYNC || (r->off <= INT64_MAX && r->len <= INT64_MAX - r->off));
	if (!engine_has(r) || (rio_queued(r) && !(q = queue_of(r->fd)))) {
		workers_rio(r);
	} else if (q) {
		rio_queue_put(q, r);
		queue_go(q);
	} else {
		engine_submit(r);
	}
}

int rio_read_now(int fd, void *buf, uint64_t off, uint64_t len)
{
	struct iovec v = { buf, len };
	ssize_t n = preadv2(fd, &v, 1, (off_t)off, RWF_NOWAIT);

	if (n < 0)
		return errno == EOPNOTSUPP || errno == ENOSYS ? -EOPNOTSUPP : -EAGAIN;
	return (uint64_t)n == len ? 0 : -EAGAIN;
}

static int engine_is(enum rio_engine e, const char *sentence, enum rio_engine *got,
		     const char **why)
{
	*got = e;
	*why = sentence;
	return 0;
}

int rio_engine(enum rio_engine asked, bool direct, enum rio_engine *got, const char **why)
{
	bool uring = reactor_driver_ops()->rio;
	const char *not_aio;

	switch (asked) {
	case RIO_AUTO:
		if (uring)
			return engine_is(RIO_URING, "the reactors run on io_uring", got, why);
		if (!direct)
			return engine_is(
				RIO_WORKERS,
				"no io_uring here, and libaio would block on a buffered file", got,
				why);
		if (aio_probe(&not_aio))
			return engine_is(RIO_WORKERS, not_aio, got, why);
		return engine_is(RIO_AIO, "no io_uring here, and the file is opened O_DIRECT", got,
				 why);
	case RIO_URING:
		if (uring)
			return engine_is(RIO_URING, "as configured", got, why);
		*why = "io_uring was asked for, but the reactors run on epoll";
		return -ENOTSUP;
	case RIO_AIO:
		if (!direct)
			return engine_is(RIO_WORKERS, "libaio would block on a buffered file", got,
					 why);
		if (!aio_probe(why))
			return engine_is(RIO_AIO, "as configured", got, why);
		return -ENOTSUP;
	case RIO_WORKERS:
		return engine_is(RIO_WORKERS, "as configured", got, why);
	}
	*why = "unknown engine";
	return -ENOTSUP;
}
