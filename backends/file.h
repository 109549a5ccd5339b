/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file backend's parts: regular files and block devices.
 *	file.c		open, create, lock, submit
 *	file_range.c	discard, zero, extents, space
 *	file_sync.c	flush and write-behind
 *	blockdev.c	what the kernel says about a device
 */
#ifndef BACKENDS_FILE_H
#define BACKENDS_FILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "backends/impl.h"

enum {
	/*
	 * Buffered: this much dirty data starts a write-behind, so that flushes and drains stay
	 * short (DESIGN 3, Drain).
	 */
	FILE_DIRTY_START = 32 << 20,
	FILE_READ_LONG = 64 << 10,	/* bytes: io_uring's batches are no better from here on */
	/* With this much written while one runs, writes end only when it does: a soft brake. */
	FILE_DIRTY_PARK = 128 << 20,
};

/* What the file system or device was found unable to do. */
enum {
	FILE_NO_PUNCH = 1,
	FILE_NO_ZERO_RANGE = 2,
	FILE_NO_READ_NOW = 4,		/* rio_read_now() */
};

/*
 * Flushes and write-behind of one file run in its own thread, one at a time. One at a time because
 * the kernel reports a write-back error to one fsync only: two that ran together would let one say
 * "stable" for what the other knows was lost. Its own thread because a device that hangs must not
 * take the workers of others with it.
 */
struct file_sync {
	int fd;
	const char *name;
	/* For what is below, to the blank line; never held over a system call that may block. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool started, stop;
	struct io_req *waiting;		/* flushes that came since the running one began */
	struct io_req *parked;		/* writes that are done but wait for the write-behind */
	int error;			/* of a sync: every flush fails until it is cleared */

	atomic_bool behind;		/* a write-behind is wanted or runs */
	_Atomic uint64_t dirty;		/* bytes written since the last sync began */
};

struct file {
	int fd;				/* -1: not open (yet) */
	char *path;
	uint64_t want_size;		/* as configured; 0: as found */
	uint32_t block_size;
	bool device, direct, readonly, preallocate;
	enum rio_engine engine;
	dev_t dev;			/* identity: st_dev and st_ino, or st_rdev and 0 */
	ino_t ino;
	char name[72];			/* the LUN's, for others' error sentences */
	_Atomic uint32_t cannot;	/* FILE_NO_* */
	struct file_sync sync;
	struct file *next;		/* registry */
};

/* ---- file_range.c ---- */

/* IO_DISCARD, IO_ZERO, IO_EXTENT, IO_SPACE. Reactor. */
void file_discard(struct file *f, struct io_req *io);
void file_zero(struct file *f, struct io_req *io);
void file_extent(struct file *f, struct io_req *io);
void file_space(struct file *f, struct io_req *io);
/* Can holes be punched into fd, size bytes long? Changes nothing. May block. */
bool file_can_punch(int fd, uint64_t size);
/* Does fd tell its holes? May block. */
bool file_can_extents(int fd);

/* ---- file_sync.c ---- */

/* name is kept, for the log. */
void file_sync_init(struct file_sync *s, int fd, const char *name);
/* Ends the thread; nothing may be under way. Blocks until a write-behind that runs has ended. */
void file_sync_fini(struct file_sync *s);
/* Forgets the error that made flushes fail. Any thread. */
void file_sync_clear(struct file_sync *s);
/* IO_FLUSH. Reactor. */
void file_sync_flush(struct file_sync *s, struct io_req *io);
/*
 * A buffered write of io->len bytes ended well: true when io is kept and completed later. Reactor.
 */
bool file_sync_wrote(struct file_sync *s, struct io_req *io);

/* ---- blockdev.c ---- */

struct blockdev {
	uint64_t size;			/* bytes */
	uint32_t logical;		/* bytes */
	uint32_t discard_granularity;	/* bytes; 0: cannot, or does not read back zeroes */
	bool rotational;
};
/* 0 or -errno. fd is the device, open. May block. */
int blockdev_read(int fd, struct blockdev *out);
/*
 * A value of the request queue of the device dev (or of the disk it is a partition of); false: not
 * known.
 */
bool blockdev_queue(dev_t dev, const char *what, uint64_t *out);

#endif
