/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the reactor: what a driver (io_uring, epoll) does for its loop, and what the parts of the
 * loop know of each other. Only reactor.c, rio.c, aio.c, workers.c and the drivers include this.
 */
#ifndef TARGET_DRIVER_H
#define TARGET_DRIVER_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

#include "target/reactor.h"

struct driver {
	const struct driver_ops *ops;
};

/* Everything but probe() runs on the reactor's own thread. */
struct driver_ops {
	const char *name;
	/* May this process use it? 0 or -errno and *why, a static sentence. Any thread. */
	int (*probe)(const char **why);
	/* wake_fd: an eventfd; when it becomes readable wait() returns and takes the token. 0 or
	 * -errno and *why. */
	int (*open)(struct driver **out, int wake_fd, const char **why);
	void (*close)(struct driver *d);	/* whatever is under way is forgotten */
	int (*add)(struct driver *d, struct rfd *f); /* f->want is set; 0 or -errno */
	void (*want)(struct driver *d, struct rfd *f,
		     uint32_t old); /* f->want is set and is not old */
	void (*del)(struct driver *d, struct rfd *f);
	void (*rio)(struct driver *d,
		    struct rio *r); /* NULL: cannot. Submitted by the next wait() */
	/*
	 * Submits what was queued and waits for events: ns < 0 for ever, 0 not at all. Calls nobody
	 * back. False: there is more to submit, do not sleep before the next one.
	 */
	bool (*wait)(struct driver *d, int64_t ns);
	bool (*ready)(const struct driver *d);	/* has wait() collected anything? */
	void (*dispatch)(struct driver *d);	/* calls back for what wait() collected */
};

extern const struct driver_ops driver_uring, driver_epoll;

const struct driver_ops *reactor_driver_ops(void);	/* any thread, after start */
struct driver *reactor_driver(void);		/* this thread's */
uint64_t reactor_turns(const struct reactor *r, bool *asleep);	/* any thread; for the watchdog */
void reactor_count_rio(void);			/* for the statistics: one more ended here */
/*
 * reactor_send() to one that need not be woken for it: it will be, by reactor_wake() or something
 * else. Any thread.
 */
void reactor_send_quietly(struct reactor *to, struct msg *m);
void reactor_wake(struct reactor *r);
uint64_t clock_ns(void);			/* CLOCK_MONOTONIC, now */

/* ---- rio.c: what is common to the engines
 * ------------------------------------------------------------------ */

enum {
	RIO_CHUNK = 1 << 30, /* bytes in one system call: read(2) stops at 2 GiB - 4 KiB, and an sqe
				has 32 bits */
	RIO_RETRIES = 16,    /* EAGAIN so often in a row: leave it to a worker, which can wait */
};

/* Bytes of the next system call. */
static inline uint32_t rio_chunk(const struct rio *r)
{
	uint64_t left = r->len - r->pos;

	return left < RIO_CHUNK ? (uint32_t)left : RIO_CHUNK;
}

/* Where the next system call reads or writes; NULL for operations without a buffer. */
static inline void *rio_place(const struct rio *r)
{
	return r->buf ? (char *)r->buf + r->pos : NULL;
}

/* RIO_FADVISE: rio.mode is the advice, 0 meaning WILLNEED (POSIX_FADV_NORMAL is nothing to ask
 * for). */
static inline int rio_advice(const struct rio *r)
{
	return r->mode ? r->mode : POSIX_FADV_WILLNEED;
}

/* What became of one system call: res bytes, or 0, or -errno. True: r->result is final; false:
 * issue the next one. */
bool rio_step(struct rio *r, int64_t res);
bool rio_tired(const struct rio *r); /* after false: more than RIO_RETRIES times EAGAIN in a row */
/* The engine's: a system call for r ended. Calls done(), or sees to it that r goes on. */
void rio_completed(struct rio *r, int64_t res);
int rio_flags(const struct rio *r);		/* for the system call: preadv2(2)'s */
void rio_queues_stop(void);			/* forgets what it knows of descriptors */
void rio_block(struct rio *r);			/* does all of it, blocking; on a worker */
void rio_finish(struct rio *r);			/* counts it and calls done() */
void rio_finish_later(struct rio *r, int result);	/* for those that end inside rio_submit() */

/* ---- aio.c: libaio, one context per reactor, made at the first request
 * ------------------------------------- */

int aio_probe(const char **why);		/* any thread */
bool aio_ready(void); /* is there a context? False: there cannot be one, the workers have to do */
void aio_submit(struct rio *r);
bool aio_flush(void); /* at the end of the turn, in one batch. False: try again next turn */
void aio_stop(void);

/* ---- workers.c
 * --------------------------------------------------------------------------------------------- */

/* Main thread; 0 or -errno. count (for file I/O) 0: default; lane: pools for it. */
int workers_start(unsigned count, bool lane, const char **why);
void workers_stop(void);
unsigned workers_count(void);
void workers_rio(struct rio *r);
void workers_flush(void);		/* at the end of the turn: wakes those it needs */

#endif
