/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The epoll driver: for kernels, containers and policies without io_uring. File I/O goes to libaio
 * and the workers.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "target/driver.h"

enum { EPOLL_BATCH = 256 };	/* events per turn */

struct epoll {
	struct driver driver;
	int fd;
	int wake_fd;
	bool no_pwait2;			/* before 5.11: milliseconds */
	int n, at;			/* events collected; the next one to be dispatched */
	struct epoll_event ev[EPOLL_BATCH];
};

static struct epoll *epoll_of(struct driver *d)
{
	return (struct epoll *)(void *)d;
}

static int epoll_probe(const char **why)
{
	return 0;
}

static int epoll_open(struct driver **out, int wake_fd, const char **why)
{
	struct epoll *e = calloc(1, sizeof(*e));
	/*
	 * Edge triggered: each ring of the bell is an event of its own, and nobody need read the
	 * counter.
	 */
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };
	int err;

	if (!e) {
		*why = "out of memory";
		return -ENOMEM;
	}
	e->fd = epoll_create1(EPOLL_CLOEXEC);
	if (e->fd < 0 || epoll_ctl(e->fd, EPOLL_CTL_ADD, wake_fd, &ev)) {
		err = -errno;
		*why = "epoll_create1 failed";
		if (e->fd >= 0)
			close(e->fd);
		free(e);
		return err;
	}
	e->driver.ops = &driver_epoll;
	e->wake_fd = wake_fd;
	*out = &e->driver;
	return 0;
}

static void epoll_close(struct driver *d)
{
	struct epoll *e = epoll_of(d);

	close(e->fd);
	free(e);
}

static int epoll_set(struct epoll *e, struct rfd *f, int op)
{
	struct epoll_event ev = { .data.ptr = f };

	if (f->want & FD_READ)
		ev.events |= EPOLLIN;
	if (f->want & FD_WRITE)
		ev.events |= EPOLLOUT;
	return epoll_ctl(e->fd, op, f->fd, &ev) ? -errno : 0;
}

/*
 * Without wishes it leaves the set: epoll would go on reporting errors and hang-ups of a socket
 * that nobody wants to hear of now, turn after turn. f->priv tells whether it is in.
 */
static void epoll_want(struct driver *d, struct rfd *f, uint32_t old)
{
	struct epoll *e = epoll_of(d);
	int op = !f->want ? EPOLL_CTL_DEL : f->priv ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int err = epoll_set(e, f, op);

	/*
	 * Out of memory or of watches: there is no one to tell, and a connection that is deaf is
	 * worse than none.
	 */
	if (err)
		abort();
	f->priv = f->want ? f : NULL;
}

static int epoll_add(struct driver *d, struct rfd *f)
{
	struct epoll *e = epoll_of(d);
	int err;

	err = epoll_set(
		e, f, EPOLL_CTL_ADD); /* also without wishes: it tells whether it can be watched */
	if (err)
		return err;
	f->priv = f;
	if (!f->want)
		epoll_want(d, f, FD_READ);
	return 0;
}

static void epoll_del(struct driver *d, struct rfd *f)
{
	struct epoll *e = epoll_of(d);

	if (f->priv)
		(void)epoll_set(e, f, EPOLL_CTL_DEL);
	f->priv = NULL;
	/* What was collected for it in this turn is not delivered any more. */
	for (int i = e->at; i < e->n; i++)
		if (e->ev[i].data.ptr == f)
			e->ev[i].data.ptr = NULL;
}

static bool epoll_wait_ns(struct driver *d, int64_t ns)
{
	struct epoll *e = epoll_of(d);
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	int64_t ms = ns < 0 ? -1 : (ns + 999999) / 1000000;

	e->n = -1;
	if (!e->no_pwait2) {
		e->n = epoll_pwait2(e->fd, e->ev, EPOLL_BATCH, ns < 0 ? NULL : &ts, NULL);
		e->no_pwait2 = e->n < 0 && (errno == ENOSYS || errno == EPERM);
	}
	if (e->no_pwait2)
		e->n = epoll_wait(e->fd, e->ev, EPOLL_BATCH, ms > INT_MAX ? INT_MAX : (int)ms);
	if (e->n < 0)
		e->n = 0;		/* EINTR */
	e->at = 0;
	return true;
}

static bool epoll_ready(const struct driver *d)
{
	return ((const struct epoll *)(const void *)d)->n > 0;
}

static void epoll_dispatch(struct driver *d)
{
	struct epoll *e = epoll_of(d);

	while (e->at < e->n) {
		const struct epoll_event *ev = &e->ev[e->at++];
		struct rfd *f = ev->data.ptr;
		uint32_t ready = 0;

		if (!f)
			continue;
		if (ev->events & EPOLLIN)
			ready |= FD_READ;
		if (ev->events & EPOLLOUT)
			ready |= FD_WRITE;
		if (ev->events & (EPOLLERR | EPOLLHUP))
			ready |= FD_READ | FD_WRITE;	/* whatever is tried will tell */
		ready &= f->want;
		if (!ready)
			continue;
		if (ev->events & (EPOLLERR | EPOLLHUP))
			ready |= FD_ERROR;
		f->fn(f, ready);
	}
	e->at = e->n = 0;
}

const struct driver_ops driver_epoll = {
	.name = "epoll",
	.probe = epoll_probe,
	.open = epoll_open,
	.close = epoll_close,
	.add = epoll_add,
	.want = epoll_want,
	.del = epoll_del,
	.wait = epoll_wait_ns,
	.ready = epoll_ready,
	.dispatch = epoll_dispatch,
};
