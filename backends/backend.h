/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend: a store of bytes behind one contract. It knows nothing of SCSI: results are 0 or
 * -errno. Filters are backends that wrap another. The contract is asserted in one place,
 * backend_submit() and its completion, not in each backend.
 *
 * The contract:
 *  - open and close run on the main thread (before reactors take I/O / after the last I/O ended)
 *    and may block.
 *  - submit runs on any reactor, several at once; done is called on the submitting reactor, never
 *    from within backend_submit() (so callers need not be re-entrant), exactly once. With at_once
 *    set, what ends within backend_submit() is told by its return value instead.
 *  - off and len are multiples of caps.align at least; inside [0, caps.size); READ and WRITE have
 *    0 < len <= IO_UNIT_MAX; buf is aligned to caps.align and belongs to the backend until done.
 *  - IO_FLUSH covers every write completed before it was submitted, from whichever reactor.
 *  - IO_DISCARD and IO_ZERO: the whole range reads back zeroes afterwards, also its edges that are
 *    not aligned to the granularity.
 *  - A lock that makes this daemon the only one is held from open to close on the very descriptor
 *    used for I/O.
 *  - What a store cannot do ends in -EROFS (a change of a read-only one), -EOPNOTSUPP (IO_DISCARD
 *    without caps.discard_granularity) or -EBUSY (its lock is not ours yet), not in an assert.
 */
#ifndef BACKENDS_BACKEND_H
#define BACKENDS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/io.h"
#include "target/reactor.h"

struct backend;

/* One unit of work and its buffer. Owned by the submitter before submit and after done. */
struct io_req {
	enum io_op op;
	uint32_t flags;			/* IO_F_* */
	uint64_t off, len;		/* bytes */
	void *buf;			/* READ, WRITE */
	int result;			/* 0 or -errno, whole length */
	union io_answer answer;
	void (*done)(struct io_req *io);
	bool at_once;			/* the submitter looks at what backend_submit() returns */
	/* Private to the backend chain; a filter saves what it changes in its own copy. */
	struct backend *be;
	union {				/* for the backend at the bottom, one after the other */
		struct rio rio;
		struct work work;
		struct msg msg;
	};
	struct reactor *from;		/* who submitted it: where done() runs */
	struct io_req *next;
	uint32_t step;
	bool pending;			/* asserted by backend_submit() */
};

/* What the configuration says about one store. Strings belong to the caller for the call only. */
struct backend_options {
	const char *type;		/* "file" (also block devices), "memory", "null" */
	const char *path;		/* file */
	uint64_t size;			/* bytes; 0: as found */
	uint32_t block_size;
	enum rio_engine engine;
	bool direct;
	bool readonly;
	bool preallocate;		/* witness: every block allocated at creation */
	const char *filters;		/* "log|delay:ms=50", outermost first: filter.h. Or NULL */
	const char *name;		/* for the log */
};

struct backend_ops {
	const char *type;
	/*
	 * Opens; fills be->caps; be->priv is the backend's. 0 or -errno, with *err a sentence for
	 * the administrator (static or be->errbuf).
	 */
	int (*open)(struct backend *be, const struct backend_options *o);
	void (*close)(struct backend *be);
	void (*submit)(struct backend *be, struct io_req *io);
	/* See backend_lend(). NULL where data is not in this process's memory, and for filters. */
	const uint8_t *(*lend)(struct backend *be, uint64_t off, uint64_t len);
	/*
	 * After -EWOULDBLOCK from open: tries the lock again. 0, -EWOULDBLOCK or another -errno
	 * with be->errbuf set. NULL where open never says so.
	 */
	int (*retry)(struct backend *be);
	void (*clear_error)(struct backend *be);	/* NULL where no error is kept */
};

struct backend {
	const struct backend_ops *ops;
	struct backend *next;		/* filters: the wrapped one */
	struct io_caps caps;
	void *priv;
	bool busy;			/* the lock is another's: see backend_retry() */
	char errbuf[256];		/* why open failed, for people */
	char about[128];		/* what open chose, for the log: "engine=io_uring ..." */
};

/* "read", "write", ...; never NULL. Any thread. */
const char *io_op_name(enum io_op op);

/*
 * Opens a store and its filters. *out is set on success, and also for -EWOULDBLOCK (the lock is
 * held by a dying daemon: the LU answers NOT READY and the shell calls backend_retry()). err (size
 * errlen) gets a sentence on failure. Main thread.
 */
int backend_open(const struct backend_options *o, struct backend **out, char *err, size_t errlen);
/*
 * Once a flush has failed, every later one fails the same: the kernel reports what it could not
 * write back only once, and from whichever reactor the next flush comes, it covers what was lost.
 * This forgets it, when the administrator has said so. Any thread.
 */
void backend_clear_error(struct backend *be);
/*
 * Tries again for the lock that open did not get. 0: it is ours now. -EWOULDBLOCK: still not. Other
 * -errno: what is there is not what was opened; be->errbuf says what. Main thread or a worker.
 */
int backend_retry(struct backend *be);
void backend_close(struct backend *be);
/*
 * True, only with io->at_once: io has ended, result and answer are there, done() will not be
 * called.
 */
bool backend_submit(struct backend *be, struct io_req *io);
/*
 * Reads without a copy: where [off, off + len) is in the store's own memory, or NULL when it is to
 * be read as ever. To be looked at until this reactor submits a change or goes back to its loop;
 * what others write meanwhile shows.
 */
const uint8_t *backend_lend(struct backend *be, uint64_t off, uint64_t len);
/*
 * To be called before an initiator is told of writes that have ended: from here on every processor
 * sees them. (Memory is written past the cache, and to wait for that once a turn instead of once a
 * write costs a fifteenth less. What goes to other threads is ordered by enqueue() in
 * mailbox.c.)
 */
static inline void backend_settle(void)
{
#ifdef __x86_64__
	__builtin_ia32_sfence();
#endif
}
const struct io_caps *backend_caps(const struct backend *be);

#endif
