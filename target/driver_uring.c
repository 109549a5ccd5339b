/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The io_uring driver: one ring per reactor, one system call per turn that submits everything and
 * waits for anything.
 *
 * Sockets are watched by one-shot polls, one for reading and one for writing, armed again at the
 * end of the turn in which they fired. Arming looks at the socket first, so this is level triggered
 * by nature, and dropping interest costs nothing: the poll stays in the ring, and what it says is
 * ignored. A record per descriptor (struct watch) is what the ring points to; it outlives the rfd
 * until the ring has let go of it.
 *
 * A poll holds a reference to the open file: after rfd_del() and close() a socket is really closed
 * at the end of the turn.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>

#include "target/driver.h"

enum {
	RING_ENTRIES = 512,
	RING_CQ_ENTRIES =
		8192, /* what does not fit waits in the kernel (IORING_FEAT_NODROP), slower */
	RING_IOWQ =
		64, /* threads of the kernel's for files: a disk that hangs keeps one per request */
	DISPATCH_MAX = 512, /* completions per turn */
};

/*
 * What a completion belongs to: the low bits of user_data. Everything pointed to is aligned to 8.
 */
enum tag { TAG_NONE, TAG_RIO, TAG_READ, TAG_WRITE, TAG_WAKE, TAG_MASK = 7 };

struct watch {
	struct rfd *f;		/* NULL: deleted, waits for the ring to let go */
	int fd;
	uint8_t armed;		/* FD_READ, FD_WRITE: polls in the ring */
	uint8_t cancelled;	/* of those: already told to end */
	bool queued;		/* in driver.changed */
	struct watch *next_changed;
	struct watch *prev, *next;	/* all of them */
};

struct uring {
	struct driver driver;
	struct io_uring ring;
	struct rio *rios, **rios_tail;	/* to be submitted */
	struct watch *changed;		/* to be armed, cancelled or freed */
	struct watch watches;		/* list head */
	int wake_fd;
	bool wake_armed;
	bool closing;
	uint64_t wake_value;
};

static struct uring *uring_of(struct driver *d)
{
	return (struct uring *)(void *)d;
}

static uint64_t tagged(const void *p, enum tag tag)
{
	return (uintptr_t)p | tag;
}

/* ---- opening -------------------------------------------------------------------------------- */

static const char *uring_why(int err)
{
	switch (err) {
	case -ENOSYS: return "this kernel has no io_uring";
	case -EPERM:
		return "io_uring is forbidden here (kernel.io_uring_disabled, or a seccomp filter)";
	case -ENOMEM: return "no memory for an io_uring (the limit of locked memory?)";
	case -EMFILE: case -ENFILE: return "no file descriptor left for an io_uring";
	default: return "io_uring_setup failed";
	}
}

static int uring_setup(struct io_uring *ring, unsigned entries, unsigned cq_entries)
{
	/*
	 * Best first. Task work only when this thread asks for it; at least without interrupting
	 * it; as in 5.11.
	 */
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	int err = -EINVAL;

	for (unsigned i = 0; err == -EINVAL && i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct io_uring_params p = { .flags = flags[i] | IORING_SETUP_CQSIZE |
						      IORING_SETUP_CLAMP,
					     .cq_entries = cq_entries };

		err = io_uring_queue_init_params(entries, ring, &p);
	}
	return err;
}

static int uring_check(struct io_uring *ring, const char **why)
{
	static const int needed[] = { IORING_OP_READ, IORING_OP_WRITE, IORING_OP_POLL_ADD,
				      IORING_OP_POLL_REMOVE };
	struct io_uring_probe *probe;
	int err = 0;

	if (!(ring->features & IORING_FEAT_NODROP) || !(ring->features & IORING_FEAT_EXT_ARG)) {
		*why = "the kernel's io_uring is too old (5.11 is needed)";
		return -ENOTSUP;
	}
	probe = io_uring_get_probe_ring(ring);
	for (unsigned i = 0; !err && i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!probe || !io_uring_opcode_supported(probe, needed[i]))
			err = -ENOTSUP;
	if (err)
		*why = "the kernel's io_uring lacks an operation";
	io_uring_free_probe(probe);
	return err;
}

static int uring_probe(const char **why)
{
	struct io_uring ring;
	int err = uring_setup(&ring, 4, 8);

	if (err) {
		*why = uring_why(err);
		return err;
	}
	err = uring_check(&ring, why);
	io_uring_queue_exit(&ring);
	return err;
}

static int uring_open(struct driver **out, int wake_fd, const char **why)
{
	struct uring *u = calloc(1, sizeof(*u));
	unsigned iowq[2] = { RING_IOWQ, RING_IOWQ };
	int err;

	if (!u) {
		*why = "out of memory";
		return -ENOMEM;
	}
	err = uring_setup(&u->ring, RING_ENTRIES, RING_CQ_ENTRIES);
	if (err) {
		*why = uring_why(err);
		free(u);
		return err;
	}
	/* Both only make it better; kernels before 5.15 and 5.18 do without. */
	(void)io_uring_register_iowq_max_workers(&u->ring, iowq);
	(void)io_uring_register_ring_fd(&u->ring);
	u->driver.ops = &driver_uring;
	u->rios_tail = &u->rios;
	u->watches.next = u->watches.prev = &u->watches;
	u->wake_fd = wake_fd;
	*out = &u->driver;
	return 0;
}

static void watch_free(struct watch *w)
{
	w->prev->next = w->next;
	w->next->prev = w->prev;
	free(w);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static void watch_changed(struct uring *u, struct watch *w)
{
	if (w->queued)
		return;
	w->queued = true;
	w->next_changed = u->changed;
	u->changed = w;
}

static int uring_add(struct driver *d, struct rfd *f)
{
	struct uring *u = uring_of(d);
	struct watch *w;

	/* The ring would tell only later; here the caller can handle it. */
	if (fcntl(f->fd, F_GETFD) < 0)
		return -errno;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->f = f;
	w->fd = f->fd;
	w->next = &u->watches;
	w->prev = u->watches.prev;
	w->prev->next = w->next->prev = w;
	f->priv = w;
	if (f->want)
		watch_changed(u, w);
	return 0;
}

static void uring_want(struct driver *d, struct rfd *f, uint32_t old)
{
	struct watch *w = f->priv;

	if (f->want & ~(uint32_t)w->armed)
		watch_changed(uring_of(d), w);
}

static void uring_del(struct driver *d, struct rfd *f)
{
	struct watch *w = f->priv;

	if (!w)
		return;		/* it could not be added */
	w->f = NULL;
	f->priv = NULL;
	watch_changed(uring_of(d), w);	/* freed no earlier than there */
}

static void watch_fired(struct uring *u, struct watch *w, uint32_t which, int res)
{
	struct rfd *f = w->f;
	uint32_t ready = which;

	w->armed &= (uint8_t)~which;
	if (!f) {
		if (!w->armed && !w->queued)
			watch_free(w);
		return;
	}
	if (!(f->want & which))
		return; /* nobody is interested any more; armed again when somebody is */
	watch_changed(u, w);
	if (res == -ECANCELED)
		return;
	if (res < 0 || res & (POLLERR | POLLHUP | POLLNVAL))
		ready |= FD_ERROR;
	f->fn(f, ready);
}

/* ---- submitting ----------------------------------------------------------------------------- */

static struct io_uring_sqe *uring_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe) {
		(void)io_uring_submit(&u->ring);
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

static bool watch_arm(struct uring *u, struct watch *w, uint32_t which)
{
	struct io_uring_sqe *sqe = uring_sqe(u);

	if (!sqe)
		return false;
	io_uring_prep_poll_add(sqe, w->fd, which == FD_READ ? POLLIN : POLLOUT);
	io_uring_sqe_set_data64(sqe, tagged(w, which == FD_READ ? TAG_READ : TAG_WRITE));
	w->armed |= (uint8_t)which;
	return true;
}

static bool watch_cancel(struct uring *u, struct watch *w, uint32_t which)
{
	struct io_uring_sqe *sqe = uring_sqe(u);

	if (!sqe)
		return false;
	io_uring_prep_poll_remove(sqe, tagged(w, which == FD_READ ? TAG_READ : TAG_WRITE));
	io_uring_sqe_set_data64(sqe, tagged(NULL, TAG_NONE));
	w->cancelled |= (uint8_t)which;
	return true;
}

/* False: the ring is full, the rest has to wait for the next turn. */
static bool watch_flush(struct uring *u, struct watch *w)
{
	static const uint8_t bits[] = { FD_READ, FD_WRITE };

	for (unsigned i = 0; i < 2; i++) {
		uint8_t bit = bits[i];

		if (w->f && w->f->want & bit && !(w->armed & bit) && !watch_arm(u, w, bit))
			return false;
		if (!w->f && w->armed & bit && !(w->cancelled & bit) && !watch_cancel(u, w, bit))
			return false;
	}
	return true;
}

static bool rio_prepare(struct uring *u, struct rio *r)
{
	struct io_uring_sqe *sqe = uring_sqe(u);
	void *buf = rio_place(r);
	uint64_t at = r->off + r->pos;

	if (!sqe)
		return false;
	if (r->op == RIO_READ)
		io_uring_prep_read(sqe, r->fd, buf, rio_chunk(r), at);
	else
		io_uring_prep_write(sqe, r->fd, buf, rio_chunk(r), at);
	sqe->rw_flags = rio_flags(r);
	io_uring_sqe_set_data64(sqe, tagged(r, TAG_RIO));
	return true;
}

/* All that was queued into the ring. False: it did not fit. */
static bool uring_flush(struct uring *u)
{
	struct io_uring_sqe *sqe;

	if (!u->wake_armed) {
		sqe = uring_sqe(u);
		if (!sqe)
			return false;
		io_uring_prep_read(sqe, u->wake_fd, &u->wake_value, sizeof(u->wake_value), 0);
		io_uring_sqe_set_data64(sqe, tagged(NULL, TAG_WAKE));
		u->wake_armed = true;
	}
	while (u->changed) {
		struct watch *w = u->changed;

		if (!watch_flush(u, w))
			return false;
		u->changed = w->next_changed;
		w->queued = false;
		if (!w->f && !w->armed)
			watch_free(w);
	}
	while (u->rios && !u->closing) {
		struct rio *r = u->rios;

		if (!rio_prepare(u, r))
			return false;
		u->rios = r->next;
		if (!u->rios)
			u->rios_tail = &u->rios;
	}
	return true;
}

static void uring_rio(struct driver *d, struct rio *r)
{
	struct uring *u = uring_of(d);

	r->next = NULL;
	*u->rios_tail = r;
	u->rios_tail = &r->next;
}

/* ---- the turn ------------------------------------------------------------------------------- */

/*
 * Is there nothing to tell the kernel, and nothing it would tell us? Then a look costs no system
 * call.
 */
static bool uring_quiet(struct uring *u)
{
	unsigned flags = __atomic_load_n(u->ring.sq.kflags, __ATOMIC_RELAXED);

	return u->ring.flags & IORING_SETUP_TASKRUN_FLAG && !io_uring_sq_ready(&u->ring) &&
	       !(flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

static bool uring_wait(struct driver *d, int64_t ns)
{
	struct uring *u = uring_of(d);
	struct __kernel_timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	struct io_uring_cqe *cqe;
	bool all = uring_flush(u);

	if (!all || ns == 0 || io_uring_cq_ready(&u->ring)) {
		if (!uring_quiet(u))
			(void)io_uring_submit_and_get_events(&u->ring);
	} else {
		(void)io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, ns < 0 ? NULL : &ts,
						       NULL);
	}
	/*
	 * Errors (EINTR, ETIME; EBUSY, EAGAIN: completions first) leave what was not submitted in
	 * the ring.
	 */
	return all && !io_uring_sq_ready(&u->ring);
}

static bool uring_ready(const struct driver *d)
{
	return io_uring_cq_ready(&((const struct uring *)(const void *)d)->ring);
}

static void uring_dispatch(struct driver *d)
{
	struct uring *u = uring_of(d);
	unsigned n = io_uring_cq_ready(&u->ring);

	if (n > DISPATCH_MAX)
		n = DISPATCH_MAX;
	while (n--) {
		struct io_uring_cqe *cqe;
		uintptr_t data;
		void *p;
		int res;

		if (io_uring_peek_cqe(&u->ring, &cqe))
			return;
		data = cqe->user_data;
		res = cqe->res;
		p = (void *)(data & ~(uintptr_t)TAG_MASK);
		io_uring_cqe_seen(&u->ring, cqe);
		switch (data & TAG_MASK) {
		case TAG_RIO:
			if (!u->closing)
				rio_completed(p, res);
			break;
		case TAG_READ:
			watch_fired(u, p, FD_READ, res);
			break;
		case TAG_WRITE:
			watch_fired(u, p, FD_WRITE, res);
			break;
		case TAG_WAKE:
			u->wake_armed = false;
			break;
		default:
			break;		/* a cancellation's own */
		}
	}
}

/*
 * The ring itself dies in the background, and with it its references to sockets: to a port, for
 * one, that the next process wants to listen on. So polls are ended first, and waited for.
 */
static void uring_close(struct driver *d)
{
	struct uring *u = uring_of(d);
	struct watch *w;

	for (w = u->watches.next; w != &u->watches; w = w->next) {
		w->f = NULL;
		watch_changed(u, w);
	}
	u->closing = true;
	for (unsigned i = 0; i < 100 && u->watches.next != &u->watches; i++) {
		uring_wait(d, 1000000);
		uring_dispatch(d);
	}
	io_uring_queue_exit(&u->ring);
	while (u->watches.next != &u->watches)
		watch_free(u->watches.next);
	free(u);
}

const struct driver_ops driver_uring = {
	.name = "io_uring",
	.probe = uring_probe,
	.open = uring_open,
	.close = uring_close,
	.add = uring_add,
	.want = uring_want,
	.del = uring_del,
	.rio = uring_rio,
	.wait = uring_wait,
	.ready = uring_ready,
	.dispatch = uring_dispatch,
};
