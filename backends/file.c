/* SPDX-License-Identifier: Apache-2.0 */
/* Regular files and block devices as stores: find or create, lock, read, write. */
#include "backends/file.h"

#include <assert.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <unistd.h>

typedef unsigned long long ull;

/* ---- one store, one backend ------------------------------------------------------------------ */

/*
 * The files this process has open as stores, by identity and not by path. flock would refuse the
 * second one too, but could not tell it from a dying daemon, which is waited for.
 */
static struct file *registry;
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * Enters f, unless its store is there already: then the name of the backend that has it, else NULL.
 */
static const char *registry_enter(struct file *f, char name[72])
{
	struct file *p;

	pthread_mutex_lock(&registry_lock);
	for (p = registry; p; p = p->next)
		if (p != f && p->device == f->device && p->dev == f->dev && p->ino == f->ino)
			break;
	if (p) {
		memcpy(name, p->name, sizeof(p->name));
	} else {
		f->next = registry;
		registry = f;
	}
	pthread_mutex_unlock(&registry_lock);
	return p ? name : NULL;
}

static void registry_leave(struct file *f)
{
	pthread_mutex_lock(&registry_lock);
	for (struct file **p = &registry; *p; p = &(*p)->next)
		if (*p == f) {
			*p = f->next;
			break;
		}
	pthread_mutex_unlock(&registry_lock);
}

/* ---- open ------------------------------------------------------------------------------------ */

/* Makes the new name itself durable. */
static int directory_sync(const char *path)
{
	char *copy = strdup(path);
	int fd, r = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	free(copy);
	return r;
}

static int open_flags(const struct file *f)
{
	return (f->readonly ? O_RDONLY : O_RDWR) | (f->direct ? O_DIRECT : 0) | O_CLOEXEC |
	       O_NOCTTY;
}

/*
 * Reads do not note when they were: that is a transaction of the file system, for which a read from
 * the cache would wait. It is the right of the file's owner, and root's.
 */
static int fd_open(const struct file *f, int flags)
{
	int fd = open(f->path, open_flags(f) | flags | O_NOATIME, 0600);

	return fd < 0 && errno == EPERM ? open(f->path, open_flags(f) | flags, 0600) : fd;
}

/*
 * Opens a file that was not there; it is durable, whole and ours, or it is not there again. 0 or
 * -errno.
 */
static int file_create(struct backend *be, struct file *f)
{
	int r;

	if (!f->want_size)
		return backend_fail(be, -ENOENT,
				    "%s does not exist; with a size it would be created", f->path);
	if (f->readonly)
		return backend_fail(be, -ENOENT, "%s does not exist and would be read-only",
				    f->path);
	f->fd = fd_open(f, O_CREAT | O_EXCL);
	if (f->fd < 0)
		return backend_fail(be, -errno, "cannot create %s: %s", f->path, strerror(errno));
	if (flock(f->fd, LOCK_EX | LOCK_NB) < 0)
		r = -errno;
	else if (ftruncate(f->fd, (off_t)f->want_size) < 0)
		r = -errno;
	else if (f->preallocate && (r = posix_fallocate(f->fd, 0, (off_t)f->want_size)))
		r = -r;
	else if (fsync(f->fd) < 0)
		r = -errno;
	else
		r = directory_sync(f->path);
	if (!r)
		return 0;
	backend_fail(be, r, "cannot create %s with %llu bytes%s: %s", f->path, (ull)f->want_size,
		     f->preallocate ? ", all allocated" : "", strerror(-r));
	unlink(f->path);
	close(f->fd);
	f->fd = -1;
	return r;
}

/*
 * Opens what st describes; a device exclusively. 0, or -errno; -EWOULDBLOCK: it is someone else's.
 */
static int file_open_existing(struct backend *be, struct file *f, const struct stat *before)
{
	struct stat st;
	int r;

	if (!S_ISREG(before->st_mode) && !S_ISBLK(before->st_mode))
		return backend_fail(be, -EINVAL, "%s is neither a regular file nor a block device",
				    f->path);
	f->device = S_ISBLK(before->st_mode);
	f->fd = fd_open(f, f->device ? O_EXCL : 0);
	if (f->fd < 0 && f->device && errno == EBUSY)
		return backend_fail(be, -EWOULDBLOCK,
				    "%s is in use: mounted, or held by another process", f->path);
	if (f->fd < 0 && f->direct && errno == EINVAL)
		return backend_fail(be, -EINVAL,
				    "%s: its file system does not do direct I/O (direct: true)",
				    f->path);
	if (f->fd < 0)
		return backend_fail(be, -errno, "cannot open %s: %s", f->path, strerror(errno));
	if (fstat(f->fd, &st) < 0 || (st.st_mode & S_IFMT) != (before->st_mode & S_IFMT) ||
	    st.st_rdev != before->st_rdev) {
		r = backend_fail(be, -ESTALE, "%s was replaced while it was opened", f->path);
	} else if (flock(f->fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ?
			backend_fail(be, -EWOULDBLOCK, "%s is locked by another process", f->path) :
			backend_fail(be, -errno, "cannot lock %s: %s", f->path, strerror(errno));
		if (r == -EWOULDBLOCK)
			return r;
	} else {
		return 0;
	}
	close(f->fd);
	f->fd = -1;
	return r;
}

/* ---- what it can do -------------------------------------------------------------------------- */

/* Alignment that direct I/O needs, bytes; buffers have 4096 anyway. */
static uint32_t direct_align(const struct file *f, int fd, const struct stat *st)
{
	uint64_t logical;
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (!statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) && (sx.stx_mask & STATX_DIOALIGN) &&
	    is_power_of_two(sx.stx_dio_offset_align) && sx.stx_dio_mem_align <= 4096)
		return sx.stx_dio_offset_align;
#endif
	if (blockdev_queue(f->device ? st->st_rdev : st->st_dev, "logical_block_size", &logical) &&
	    is_power_of_two(logical) && logical <= 65536)
		return (uint32_t)logical;
	return 512;
}

/* The size against what was asked for. Nothing is ever cut, overwritten or hidden. */
static int size_check(struct backend *be, const struct file *f, uint64_t size)
{
	if (f->want_size && size < f->want_size)
		return backend_fail(be, -EINVAL,
				    "%s has %llu bytes, fewer than its size of %llu; it is not "
				    "extended, nor overwritten",
				    f->path, (ull)size, (ull)f->want_size);
	if (f->want_size && size > f->want_size)
		return backend_fail(
			be, -EINVAL,
			"%s has %llu bytes, more than its size of %llu, which would hide "
			"the rest; leave size out to serve all",
			f->path, (ull)size, (ull)f->want_size);
	if (!size)
		return backend_fail(be, -EINVAL, "%s is empty", f->path);
	if (size % f->block_size)
		return backend_fail(be, -EINVAL,
				    "%s has %llu bytes, not a whole number of %u-byte blocks",
				    f->path, (ull)size, f->block_size);
	return 0;
}

static uint32_t file_granularity(const struct stat *st)
{
	if (st->st_blksize < 4096 || st->st_blksize > 1 << 20 ||
	    !is_power_of_two((uint64_t)st->st_blksize))
		return 4096;
	return (uint32_t)st->st_blksize;
}

/*
 * What fd can do (which may be another descriptor than f->fd while the lock is someone else's).
 * Changes nothing in the store. 0 or -errno.
 */
static int caps_read(struct backend *be, const struct file *f, int fd, struct io_caps *out)
{
	struct io_caps caps = { .align = 1, .readonly = f->readonly };
	struct blockdev dev = { .logical = 512 };
	uint64_t rotational;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return backend_fail(be, -errno, "cannot stat %s: %s", f->path, strerror(errno));
	r = f->device ? blockdev_read(fd, &dev) : 0;
	if (r)
		return backend_fail(be, r, "cannot read the geometry of %s: %s", f->path,
				    strerror(-r));
	caps.size = f->device ? dev.size : (uint64_t)st.st_size;
	r = size_check(be, f, caps.size);
	if (r)
		return r;
	if (f->direct)
		caps.align = direct_align(f, fd, &st);
	if (caps.align > f->block_size || dev.logical > f->block_size)
		return backend_fail(be, -EINVAL, "%s needs blocks of %u bytes, block_size is %u",
				    f->path, caps.align > dev.logical ? caps.align : dev.logical,
				    f->block_size);
	if (f->device) {
		caps.rotational = dev.rotational;
		caps.discard_granularity = f->readonly ? 0 : dev.discard_granularity;
	} else {
		caps.rotational = blockdev_queue(st.st_dev, "rotational", &rotational) &&
				  rotational;
		caps.extents = !f->preallocate && file_can_extents(fd);
		if (!f->readonly && !f->preallocate && file_can_punch(fd, caps.size))
			caps.discard_granularity = file_granularity(&st);
	}
	*out = caps;
	return 0;
}

/* The caps of a device that another has: looked at through a descriptor that asks for nothing. */
static int caps_peek(struct backend *be, struct file *f)
{
	int fd = f->fd >= 0 ? f->fd : open(f->path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return backend_fail(be, -errno, "cannot open %s: %s", f->path, strerror(errno));
	r = caps_read(be, f, fd, &be->caps);
	if (fd != f->fd)
		close(fd);
	return r;
}

/* ---- attach and detach ----------------------------------------------------------------------- */

static int identity_read(struct backend *be, struct file *f, const struct stat *st)
{
	char other[72];

	f->device = S_ISBLK(st->st_mode);
	f->dev = f->device ? st->st_rdev : st->st_dev;
	f->ino = f->device ? 0 : st->st_ino;
	if (registry_enter(f, other))
		return backend_fail(be, -EBUSY, "%s is already in use by %s", f->path, other);
	return 0;
}

/*
 * What only the holder of the lock may do. The caps that were shown while it was waited for must
 * still be true.
 */
static int file_settle(struct backend *be, struct file *f)
{
	struct io_caps caps = { 0 };
	int r = caps_read(be, f, f->fd, &caps);

	if (r)
		return r;
	if (!be->caps.size)
		be->caps = caps;
	if (caps.size != be->caps.size || caps.align != be->caps.align)
		return backend_fail(be, -ESTALE,
				    "%s changed its size while its lock was waited for", f->path);
	if (f->preallocate && !f->readonly && !f->device) {
		/* Takes nothing that is there away, and is quick when all is. */
		r = -posix_fallocate(f->fd, 0, (off_t)be->caps.size);
		if (!r && fsync(f->fd) < 0)
			r = -errno;
		if (r)
			return backend_fail(be, r, "cannot allocate all %llu bytes of %s: %s",
					    (ull)be->caps.size, f->path, strerror(-r));
	}
	if (!be->caps.discard_granularity)
		atomic_fetch_or(&f->cannot, FILE_NO_PUNCH);
	r = file_sync_init(&f->sync, f->fd, be->caps.size, f->name);
	return r ? backend_fail(be, r, "%s: %s", f->path, strerror(-r)) : 0;
}

/*
 * Opens and locks. 0, -EWOULDBLOCK (caps are filled), or another -errno; f->fd is open only after
 * 0.
 */
static int file_attach(struct backend *be, struct file *f)
{
	struct stat st;
	int r, peek;

	if (!stat(f->path, &st)) {
		r = file_open_existing(be, f, &st);
	} else {
		if (errno != ENOENT)
			return backend_fail(be, -errno, "cannot open %s: %s", f->path,
					    strerror(errno));
		r = file_create(be, f);
		if (!r && fstat(f->fd, &st) < 0)
			r = -errno;
	}
	if (!f->ino && !f->dev && (!r || r == -EWOULDBLOCK)) {
		/* Two of our own on one store is an error, not something to wait for. */
		peek = identity_read(be, f, &st);
		if (peek)
			r = peek;
	} else if (!r && (f->dev != (f->device ? st.st_rdev : st.st_dev) ||
			  (!f->device && f->ino != st.st_ino))) {
		r = backend_fail(be, -ESTALE, "%s was replaced while its lock was waited for",
				 f->path);
	}
	if (!r)
		r = file_settle(be, f);
	else if (r == -EWOULDBLOCK && !be->caps.size && (peek = caps_peek(be, f)))
		r = peek;
	if (r && f->fd >= 0) {
		close(f->fd);
		f->fd = -1;
	}
	return r;
}

static void file_free(struct file *f)
{
	registry_leave(f);
	free(f->path);
	free(f);
}

static int file_open(struct backend *be, const struct backend_options *o)
{
	static const char *const engines[] = {
		[RIO_AUTO] = "auto",
		[RIO_URING] = "io_uring",
		[RIO_AIO] = "libaio",
		[RIO_WORKERS] = "workers",
	};
	struct file *f = calloc(1, sizeof(*f));
	const char *why = "";
	int r;

	if (!f || !(f->path = strdup(o->path ? o->path : ""))) {
		free(f);
		return -ENOMEM;
	}
	be->priv = f;
	f->fd = -1;
	f->want_size = o->size;
	f->block_size = o->block_size;
	f->direct = o->direct;
	f->readonly = o->readonly;
	f->preallocate = o->preallocate;
	snprintf(f->name, sizeof(f->name), "%s", o->name ? o->name : "another LUN");
	r = rio_engine(o->engine, o->direct, &f->engine, &why);
	if (r)
		backend_fail(be, r, "engine %s: %s", engines[o->engine], why ? why : strerror(-r));
	else if (!f->path[0])
		r = backend_fail(be, -EINVAL, "a file backend needs a path");
	else
		r = file_attach(be, f);
	if (r && r != -EWOULDBLOCK) {
		file_free(f);
		return r;
	}
	snprintf(be->about, sizeof(be->about), "engine=%s direct=%s kind=%s", engines[f->engine],
		 f->direct ? "yes" : "no", f->device ? "device" : "file");
	if (!be->caps.align)
		be->caps.align = 1;
	return r;
}

static int file_retry(struct backend *be)
{
	return file_attach(be, be->priv);
}

static void file_close(struct backend *be)
{
	struct file *f = be->priv;

	if (f->fd >= 0) {
		file_sync_fini(&f->sync);
		close(f->fd);
	}
	file_free(f);
}

static void file_clear_error(struct backend *be)
{
	struct file *f = be->priv;

	if (f->fd >= 0)
		file_sync_clear(&f->sync);
}

/* ---- I/O ------------------------------------------------------------------------------------- */

void file_rio(const struct file *f, struct rio *r)
{
	r->fd = f->fd;
	r->direct = f->direct;
	r->may_wait = atomic_load_explicit(&f->cannot, memory_order_relaxed) & FILE_NO_NOWAIT;
	r->engine = f->engine;
}

static void rio_ended(struct rio *r)
{
	struct io_req *io = container(r, struct io_req, rio);
	struct file *f = io->be->priv;

	/* Once: a write to it with every request would be all reactors' cache line. */
	if (r->may_wait && r->result != -EOPNOTSUPP &&
	    !(atomic_load_explicit(&f->cannot, memory_order_relaxed) & FILE_NO_NOWAIT))
		atomic_fetch_or(&f->cannot, FILE_NO_NOWAIT);
	if (io->op == IO_WRITE && !r->result && !f->direct && file_sync_wrote(&f->sync, io))
		return;
	backend_complete(io, r->result);
}

/*
 * Most reads of a buffered file are of what is in the cache, and nothing is faster than to take
 * them from there: a worker costs six times as much. Only io_uring, which asks for many of them in
 * one system call and does that itself, is as good with short ones. Writes never, neither so nor by
 * io_uring, although XFS offers it: a frozen file system (a snapshot is taken), a page under
 * writeback that must be stable and a full disk make even a write with RWF_NOWAIT wait.
 */
static bool file_read_now(struct file *f, struct io_req *io)
{
	int r;

	if (f->direct || (f->engine == RIO_URING && io->len < FILE_READ_LONG) ||
	    atomic_load_explicit(&f->cannot, memory_order_relaxed) & FILE_NO_READ_NOW)
		return false;
	r = rio_read_now(f->fd, io->buf, io->off, io->len);
	if (r == -EOPNOTSUPP)
		atomic_fetch_or(&f->cannot, FILE_NO_READ_NOW);
	if (r)
		return false;
	backend_complete_later(io, 0);
	return true;
}

static void file_submit(struct backend *be, struct io_req *io)
{
	static const uint8_t rio_op[IO_OPS] = {
		[IO_READ] = RIO_READ, [IO_WRITE] = RIO_WRITE, [IO_PREFETCH] = RIO_FADVISE,
	};
	struct file *f = be->priv;
	struct rio *r = &io->rio;

	switch (io->op) {
	case IO_READ:
		if (file_read_now(f, io))
			return;
		break;
	case IO_FLUSH:
		if (f->readonly)
			backend_complete_later(io, 0);
		else
			file_sync_flush(&f->sync, io);
		return;
	case IO_DISCARD:
		file_discard(f, io);
		return;
	case IO_ZERO:
		file_zero(f, io);
		return;
	case IO_EXTENT:
		file_extent(f, io);
		return;
	case IO_SPACE:
		file_space(f, io);
		return;
	case IO_PREFETCH:
		if (f->direct) {	/* there is no cache to read into */
			backend_complete_later(io, 0);
			return;
		}
		break;
	default:
		break;
	}
	file_rio(f, r);
	r->op = rio_op[io->op];
	r->mode = io->op == IO_PREFETCH ? POSIX_FADV_WILLNEED : 0;
	r->off = io->off;
	r->len = io->len;
	r->buf = io->buf;
	r->done = rio_ended;
	rio_submit(r);
}

const struct backend_ops file_ops = {
	.type = "file",
	.open = file_open,
	.close = file_close,
	.submit = file_submit,
	.retry = file_retry,
	.clear_error = file_clear_error,
};
