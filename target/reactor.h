/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reactor: one thread, one event loop. Everything a connection, a session or a lu_port does
 * happens on its own reactor, so none of them has a lock. Crossing reactors is one verb,
 * reactor_send(). The simulation links another implementation of this header.
 *
 * Unless a function says otherwise it is called on the reactor's own thread.
 */
#ifndef TARGET_REACTOR_H
#define TARGET_REACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <urcu/wfcqueue.h>

enum { REACTORS_MAX = 256 };

struct reactor;

/* ---- the set of reactors -------------------------------------------------------------------- */

enum reactor_driver { DRIVER_AUTO, DRIVER_URING, DRIVER_EPOLL };

struct reactor_options {
	unsigned count;			/* 0: one per core this process may run on */
	enum reactor_driver driver; /* DRIVER_AUTO: io_uring if the kernel allows, else epoll; the
				       log says which and why */
	unsigned workers;		/* threads for what may block; 0: default */
	unsigned poll_us; /* look for so long before sleeping, where it pays; 0: sleep at once */
	bool lane;			/* one reactor more, see reactor_lane() */
	unsigned
		stall_ms; /* watchdog: abort() when a reactor has not turned for so long; 0: 5000 */
};

/*
 * Makes reactors, their threads and the worker pool, and starts them. Main thread. 0 or -errno,
 * with a log line that says what was wrong.
 */
int reactors_start(const struct reactor_options *o);

/*
 * Ends the loops after the turn in hand, joins the threads, frees everything. Main thread; what was
 * not completed is the caller's bug.
 */
void reactors_stop(void);

/*
 * The lane: a reactor beside the others for what must be answered in time whatever they are doing.
 * It has workers of its own, buffers kept back for it (buf.h) and a higher priority where the
 * system grants one; otherwise it is a reactor like any other, the last in reactor_at(). NULL when
 * there is none. Any thread.
 */
struct reactor *reactor_lane(void);
/* How many others there are: connections and LUs are dealt out to 0 .. n - 1. Any thread. */
unsigned reactor_dealt(void);

unsigned reactor_count(void);			/* all of them; any thread */
struct reactor *reactor_at(unsigned i);		/* any thread; 0 <= i < reactor_count() */
struct reactor *reactor_self(void);		/* this thread's, NULL on other threads */
unsigned reactor_index(const struct reactor *r);	/* any thread */
const char *reactor_driver_name(void);		/* "io_uring" or "epoll"; any thread, after start */

/* Nanoseconds, CLOCK_MONOTONIC, taken once per loop turn; on any other thread: now. */
uint64_t reactor_now(void);
static inline uint64_t reactor_now_ms(void)
{
	return reactor_now() / 1000000;
}

/*
 * What came in this turn is not what polling is for (reactor_options.poll_us): that a peer lives,
 * and the like. It makes the reactor poll neither sooner nor longer.
 */
void reactor_earns_nothing(void);

/* ---- messages ------------------------------------------------------------------------------- */

/*
 * Intrusive and preallocated: embed it in what is sent. FIFO per sender and receiver. The handler
 * runs on the receiver and owns the message from then on (it may free it, or send it back).
 */
struct msg {
	struct cds_wfcq_node node;
	void (*fn)(struct msg *m);
};

/*
 * Any thread. Never fails, never blocks. Wakes the receiver only if it is asleep. To oneself: runs
 * later, in order.
 */
void reactor_send(struct reactor *to, struct msg *m);

/* ---- end of turn ---------------------------------------------------------------------------- */

/*
 * Runs fn once at the end of the current loop turn (before sleeping); adding it again before that
 * changes nothing. Connections flush there.
 */
struct defer {
	struct defer *next;
	bool queued;
	void (*fn)(struct defer *d);
};
void reactor_defer(struct defer *d);
void reactor_defer_cancel(struct defer *d);	/* O(n) in what is queued; for teardown */

/* ---- timers --------------------------------------------------------------------------------- */

struct timer {
	uint64_t at;			/* ns; private to the reactor */
	size_t slot;			/* private: 0 when not armed */
	void (*fn)(struct timer *t);
};
void timer_arm(
	struct timer *t,
	uint64_t ms_from_now); /* re-arms when armed. Zeroed struct + fn is a valid unarmed timer */
void timer_arm_us(struct timer *t, uint64_t us_from_now);
void timer_cancel(struct timer *t);			/* fine when not armed */

/* ---- sockets and other descriptors: readiness, level triggered ------------------------------ */

enum { FD_READ = 1, FD_WRITE = 2, FD_ERROR = 4 };
struct rfd {
	int fd;
	uint32_t want;			/* FD_READ | FD_WRITE, as last set */
	void (*fn)(struct rfd *f, uint32_t ready);
	void *priv;			/* the driver's */
};
int rfd_add(struct rfd *f, uint32_t want);	/* 0 or -errno */
void rfd_want(struct rfd *f, uint32_t want);	/* cheap when nothing changes */
/*
 * After it returns fn is not called again, even for readiness already collected in this turn; the
 * struct may be freed at once (the driver copes with completions that still arrive) and the caller
 * closes the descriptor itself.
 */
void rfd_del(struct rfd *f);

/* ---- file I/O (the backends' interface) ----------------------------------------------------- */

enum rio_op { RIO_READ, RIO_WRITE, RIO_FDATASYNC, RIO_FALLOCATE, RIO_FADVISE };
enum rio_engine { RIO_AUTO, RIO_URING, RIO_AIO, RIO_WORKERS };

/*
 * One request on a descriptor. Submitted on a reactor, done() is called on that same reactor, never
 * from within rio_submit(). Short transfers are continued inside: result is 0 or -errno for the
 * whole length (end of file in a read: the rest is zeroed).
 */
struct rio {
	enum rio_op op;
	int fd;
	int mode;			/* RIO_FALLOCATE: fallocate(2) mode */
	uint64_t off, len;		/* bytes */
	void *buf;
	bool direct; /* fd was opened O_DIRECT (libaio is asynchronous only then) */
	/* The file, or its device, does not know RWF_NOWAIT. Set when that is found out, too. */
	bool may_wait;
	enum rio_engine engine;		/* resolved by rio_engine() */
	int result;
	void (*done)(struct rio *r);
	struct msg msg;			/* private from here on */
	uint64_t pos;
	struct rio *next;
	uint64_t priv[4];
};
void rio_submit(struct rio *r);
/*
 * Reads [off, off + len) of fd if all of it is in the page cache and nothing need be waited for: 0.
 * -EAGAIN: it is not, or not all of it was; then rio_submit() is to do all of it. -EOPNOTSUPP: this
 * file system cannot tell. Any thread.
 */
int rio_read_now(int fd, void *buf, uint64_t off, uint64_t len);

/*
 * Which engine a descriptor's requests will take: RIO_AUTO becomes io_uring where the reactors run
 * on it, else libaio for O_DIRECT, else the workers; libaio asked for buffered files becomes the
 * workers (io_submit would block). *why is set to a static sentence for the log. -ENOTSUP when what
 * was asked for is not to be had. Any thread, after start.
 */
int rio_engine(enum rio_engine asked, bool direct, enum rio_engine *got, const char **why);

/* ---- work that may block -------------------------------------------------------------------- */

/* Each class has threads of its own, so none waits for what another hangs in. */
enum work_class {
	WORK_STORE,			/* reservations: what a command's answer waits for */
	WORK_MEDIUM,			/* questions about a medium, and changes of it */
	WORK_RECORD,			/* journals: nobody waits for them */
};

/* run() on a worker thread, then done() on the reactor that submitted it. */
struct work {
	enum work_class class;
	void (*run)(struct work *w);
	void (*done)(struct work *w);
	struct msg msg;			/* private from here on */
	struct reactor *from;
	struct cds_wfcq_node node;
};
void work_submit(struct work *w);
/* How many were submitted of which done() has not returned. Any thread; a snapshot. */
unsigned works_pending(void);

/* ---- what is seen --------------------------------------------------------------------------- */

struct reactor_stats {
	uint64_t turns, sleeps, messages, rios, cpu_ns;
};
void reactor_stats(const struct reactor *r,
		   struct reactor_stats *out); /* any thread; values may be a turn old */

#endif
