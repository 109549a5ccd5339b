/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file backend's parts: regular files and block devices.
 *	file.c		open, create, lock, submit
 *	file_range.c	discard, zero, extents, space
 *	file_sync.c	flush and write-behind
 *	file_dirty.c	how much is dirty, and where
 *	blockdev.c	what the kernel says about a device
 */
#ifndef BACKENDS_FILE_H
#define BACKENDS_FILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "backends/impl.h"

enum {
	FILE_READ_LONG = 64 << 10,	/* bytes: io_uring's batches are no better from here on */
	/*
	 * Buffered: no more is dirty than what the disk was seen to write out in FILE_CLEAN_MS, so
	 * that a flush, a drain and the end of the daemon stay short (DESIGN 3, Drain); and no more
	 * than FILE_DIRTY_MAX bytes, for the disk that was misjudged.
	 */
	FILE_CLEAN_MS = 250,
	FILE_DIRTY_MIN = 4 << 20,
	FILE_DIRTY_FIRST = 64 << 20,	/* while nothing is known of the disk */
	FILE_DIRTY_MAX = 256 << 20,
};

/* What the file system or device was found unable to do. */
enum {
	FILE_NO_PUNCH = 1,
	FILE_NO_ZERO_RANGE = 2,
	FILE_NO_READ_NOW = 4,		/* rio_read_now() */
	FILE_NO_NOWAIT = 8,		/* rio.may_wait */
};

/*
 * Where a file is dirty: bytes written per granule since that was last written out. Written again
 * counts again, but not for more than all of the granule.
 */
struct file_dirty {
	unsigned shift;			/* granules are 1 << shift bytes, */
	size_t count;			/* so many, */
	uint32_t full;			/* and full with so many */
	_Atomic uint32_t *cells;
	/* Of all cells and of what was taken and not yet subtracted; may be late, even below 0. */
	_Atomic int64_t bytes;
	size_t next;			/* file_dirty_take() goes on here */
};

/* A part of a file that is to be written out, and how much of it is dirty. */
struct file_slice {
	uint64_t off, len, bytes;
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
	struct file_dirty dirty;
	atomic_bool behind;		/* a write-behind is wanted or runs */
	_Atomic int64_t limit;		/* with more dirty than this, writes wait */
	/* The thread's: what was written out lately, and how long it took. */
	uint64_t cleaned, took;		/* bytes, ns */
	uint64_t since;			/* when the last of it ended */
	struct file_slice begun;	/* under way */

	/* For what is below; never held over a system call that may block. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool started, stop;
	struct io_req *waiting;		/* flushes that came since the running one began */
	struct io_req *parked, **parked_end;	/* writes done, but too many; the oldest first */
	int64_t leave;			/* bytes of them that may go; below 0: went too early */
	int error;			/* of a sync: every flush fails until it is cleared */
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

/* ---- file.c ---- */

/* What every request to f has in common: all of r but op, mode, off, len, buf and done. */
void file_rio(const struct file *f, struct rio *r);

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

/* Of a file of size bytes. name is kept, for the log. 0 or -ENOMEM: then there is no fini. */
int file_sync_init(struct file_sync *s, int fd, uint64_t size, const char *name);
/* Ends the thread; nothing may be under way. Blocks until a write-behind that runs has ended. */
void file_sync_fini(struct file_sync *s);
/* Forgets the error that made flushes fail. Any thread. */
void file_sync_clear(struct file_sync *s);
/* IO_FLUSH. Reactor. */
void file_sync_flush(struct file_sync *s, struct io_req *io);
/*
 * A buffered write of io's range ended well: true when io is kept and completed later. Reactor.
 */
bool file_sync_wrote(struct file_sync *s, struct io_req *io);

/* ---- file_dirty.c ---- */

/* For a file of size bytes. 0 or -ENOMEM. */
int file_dirty_init(struct file_dirty *d, uint64_t size);
void file_dirty_fini(struct file_dirty *d);
/* [off, off + len) was written. How much is dirty now, bytes, nearly. Any thread. */
int64_t file_dirty_add(struct file_dirty *d, uint64_t off, uint64_t len);
/*
 * The next part, going round the file, with want bytes dirty if there are so many before its end;
 * false: none. They count until they are subtracted from d->bytes. One thread.
 */
bool file_dirty_take(struct file_dirty *d, uint64_t want, struct file_slice *out);

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
