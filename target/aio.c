/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libaio engine: one context per reactor, made at its first request; its eventfd is watched
 * like a socket. Requests of a turn are submitted together at its end. For O_DIRECT only: for
 * others io_submit() does the whole transfer.
 */
#include <assert.h>
#include <errno.h>
#include <libaio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "target/driver.h"
#include "target/log.h"

enum {
	AIO_DEPTH = 256
}; /* requests in the kernel per reactor; fs.aio-max-nr is 65536 for the whole machine */

struct aio {
	io_context_t ctx;
	struct rfd event;
	struct rio *queue, **tail;	/* not submitted yet */
	unsigned inflight;
	unsigned free_n;
	struct iocb *free[AIO_DEPTH];
	struct iocb iocbs[AIO_DEPTH];
};

static __thread struct aio *aio_self;
static __thread bool aio_hopeless; /* a context was not to be had: this reactor uses the workers */

int aio_probe(const char **why)
{
	io_context_t ctx = NULL;
	int err = io_setup(1, &ctx);

	if (!err) {
		io_destroy(ctx);
		return 0;
	}
	*why = err == -EAGAIN ? "libaio: all contexts are in use (fs.aio-max-nr)"
			      : "this kernel has no libaio";
	return -ENOTSUP;
}

void aio_submit(struct rio *r)
{
	struct aio *a = aio_self;

	r->next = NULL;
	if (!a->queue)
		a->tail = &a->queue;
	*a->tail = r;
	a->tail = &r->next;
}

static void aio_ended(struct aio *a, const struct io_event *ev)
{
	struct rio *r = ev->data;

	a->inflight--;
	a->free[a->free_n++] = ev->obj;
	rio_completed(r, (int64_t)ev->res);
}

static void aio_event(struct rfd *f, uint32_t ready)
{
	struct aio *a = aio_self;
	struct io_event ev[64];
	uint64_t count;
	int n;

	if (read(f->fd, &count, sizeof(count)) < 0)
		return;
	/* Never more than what is in flight now: those submitted by done() come next time. */
	do {
		struct timespec none = { 0, 0 };

		n = io_getevents(a->ctx, 0, 64, ev, &none);
		for (int i = 0; i < n; i++)
			aio_ended(a, &ev[i]);
	} while (n == 64 || n == -EINTR);
}

static struct aio *aio_open(void)
{
	struct aio *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return NULL;
	err = io_setup(AIO_DEPTH, &a->ctx);
	if (err)
		goto no_context;
	a->event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = a->event.fd < 0 ? -errno : 0;
	if (err)
		goto no_eventfd;
	a->event.fn = aio_event;
	err = rfd_add(&a->event, FD_READ);
	if (err)
		goto no_watch;
	for (a->free_n = 0; a->free_n < AIO_DEPTH; a->free_n++)
		a->free[a->free_n] = &a->iocbs[a->free_n];
	return a;

no_watch:
	close(a->event.fd);
no_eventfd:
	io_destroy(a->ctx);
no_context:
	free(a);
	log_warn("event=aio_unavailable reactor=%u err=%d instead=workers",
		 reactor_index(reactor_self()), -err);
	return NULL;
}

bool aio_ready(void)
{
	if (!aio_self && !aio_hopeless) {
		aio_self = aio_open();
		aio_hopeless = !aio_self;
	}
	return aio_self;
}

static unsigned aio_fill(struct aio *a, struct iocb **batch)
{
	struct rio *r = a->queue;
	unsigned n = 0;

	for (; r && n < a->free_n; r = r->next, n++) {
		struct iocb *cb = a->free[a->free_n - 1 - n];
		void *buf = rio_place(r);
		long long at = (long long)(r->off + r->pos);

		if (r->op == RIO_READ)
			io_prep_pread(cb, r->fd, buf, rio_chunk(r), at);
		else
			io_prep_pwrite(cb, r->fd, buf, rio_chunk(r), at);
		/*
		 * io_submit() waits for a place in the device's queue, for a block to be allocated,
		 * and with a device that hangs for ever. With this it says EAGAIN instead.
		 */
		cb->aio_rw_flags = rio_flags(r);
		io_set_eventfd(cb, a->event.fd);
		cb->data = r;
		batch[n] = cb;
	}
	return n;
}

static void aio_took(struct aio *a, unsigned n)
{
	a->free_n -= n;
	a->inflight += n;
	while (n--)
		a->queue = a->queue->next;
}

bool aio_flush(void)
{
	struct aio *a = aio_self;
	struct iocb *batch[AIO_DEPTH];

	while (a && a->queue && a->free_n) {
		unsigned n = aio_fill(a, batch);
		int took = io_submit(a->ctx, n, batch);

		if (took > 0) {
			aio_took(a, (unsigned)took);
			continue;
		}
		if (took == -EINTR)
			return false;
		if (took == -EAGAIN || !took) {
			/*
			 * Kernel out of something. Completions bring us back here; without any, a
			 * worker can wait.
			 */
			if (a->inflight)
				return true;
			took = -EAGAIN;
		}
		/* The first one is refused: its error, and on with the others. */
		struct rio *r = a->queue;

		a->queue = r->next;
		rio_completed(r, took);
	}
	return true;
}

void aio_stop(void)
{
	struct aio *a = aio_self;

	aio_self = NULL;
	aio_hopeless = false;
	if (!a)
		return;
	rfd_del(&a->event);
	io_destroy(a->ctx);		/* waits for what is under way */
	close(a->event.fd);
	free(a);
}
