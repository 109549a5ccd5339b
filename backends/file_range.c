/* SPDX-License-Identifier: Apache-2.0 */
/* The file backend's work on ranges: discard, zero, extents, space. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backends/file.h"
#include "scsi/limits.h"

/* What zeroes are written from. Never written to, so it costs no memory. */
static char zeroes[IO_UNIT_MAX] __attribute__((aligned(4096)));

bool file_can_punch(int fd, uint64_t size)
{
	/*
	 * Past the end there is nothing to lose, and what cannot punch says so before it looks at
	 * the range.
	 */
	return !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)size, 4096) ||
	       errno == EFBIG;
}

bool file_can_extents(int fd)
{
	return lseek(fd, 0, SEEK_HOLE) >= 0;
}

/* ---- discard and zero ------------------------------------------------------------------------ */

enum range_how { PUNCH, ZERO_RANGE, WRITE_ZEROES, RANGE_HOWS };

static const struct {
	int mode;			/* fallocate(2) */
	uint32_t cannot;		/* FILE_NO_* when the kernel does not know it here */
} range_how[RANGE_HOWS] = {
	[PUNCH] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FILE_NO_PUNCH },
	[ZERO_RANGE] = { FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FILE_NO_ZERO_RANGE },
};

/*
 * In which order they are tried; all of them leave zeroes in the whole range, also at ragged edges.
 */
static const uint8_t range_deallocate[RANGE_HOWS] = { PUNCH, ZERO_RANGE, WRITE_ZEROES };
static const uint8_t range_keep[RANGE_HOWS] = { ZERO_RANGE, PUNCH, WRITE_ZEROES };

static void range_next(struct file *f, struct io_req *io);

static void range_written(struct rio *r)
{
	struct io_req *io = container(r, struct io_req, rio);
	uint64_t at = r->off + r->len;

	if (r->result || at == io->off + io->len) {
		backend_complete(io, r->result);
		return;
	}
	r->off = at;
	r->len = io->off + io->len - at;
	if (r->len > IO_UNIT_MAX)
		r->len = IO_UNIT_MAX;
	rio_submit(r);
}

static void range_ended(struct rio *r)
{
	struct io_req *io = container(r, struct io_req, rio);
	struct file *f = io->be->priv;

	if (r->result == -EOPNOTSUPP || r->result == -ENOSYS) {
		atomic_fetch_or(&f->cannot, r->mode & FALLOC_FL_PUNCH_HOLE ? FILE_NO_PUNCH
									   : FILE_NO_ZERO_RANGE);
		range_next(f, io);
		return;
	}
	backend_complete(io, r->result);
}

/* Starts the next of the ways to clear io's range; io->step counts those tried. */
static void range_next(struct file *f, struct io_req *io)
{
	bool deallocate = io->op == IO_DISCARD || (io->flags & IO_F_UNMAP);
	const uint8_t *order = deallocate ? range_deallocate : range_keep;
	uint32_t cannot = atomic_load_explicit(&f->cannot, memory_order_relaxed);
	struct rio *r = &io->rio;
	enum range_how how;

	do {
		assert(io->step < RANGE_HOWS);
		how = order[io->step++];
	} while (range_how[how].cannot & cannot);

	memset(r, 0, sizeof(*r));
	file_rio(f, r);
	r->off = io->off;
	r->len = io->len;
	if (how == WRITE_ZEROES) {
		r->op = RIO_WRITE;
		r->buf = zeroes;
		if (r->len > IO_UNIT_MAX)
			r->len = IO_UNIT_MAX;
		r->done = range_written;
	} else {
		r->op = RIO_FALLOCATE;
		r->mode = range_how[how].mode;
		r->done = range_ended;
	}
	rio_submit(r);
}

void file_discard(struct file *f, struct io_req *io)
{
	range_next(f, io);
}

void file_zero(struct file *f, struct io_req *io)
{
	range_next(f, io);
}

/* ---- extents and space ----------------------------------------------------------------------- */

/*
 * Where the run that off is in ends, and what it is, as far as `end`. A block that is partly mapped
 * is mapped. 0 or -errno. Past the last data SEEK_DATA says ENXIO. Preallocated space that was not
 * written counts as a hole: it reads zeroes, but is ours; a preallocated store therefore never
 * asks.
 */
static int extent_find(const struct file *f, uint64_t off, uint64_t end, uint64_t *upto,
		       bool *mapped)
{
	uint64_t block = f->block_size;
	off_t data, hole;

	data = lseek(f->fd, (off_t)off, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		return -errno;
	*mapped = false;
	*upto = end;
	if (data < 0 || (uint64_t)data >= end)
		return 0;
	*upto = (uint64_t)data - (uint64_t)data % block;
	if (*upto > off)
		return 0;
	*mapped = true;
	*upto = end;
	hole = lseek(f->fd, data, SEEK_HOLE);
	if (hole < 0)
		return -errno;
	hole = (off_t)(((uint64_t)hole + block - 1) / block * block);
	if ((uint64_t)hole < end)
		*upto = (uint64_t)hole;
	return 0;
}

static void extent_run(struct work *w)
{
	struct io_req *io = container(w, struct io_req, work);
	const struct file *f = io->be->priv;
	uint64_t upto = 0;

	io->result = extent_find(f, io->off, io->off + io->len, &upto, &io->answer.extent.mapped);
	io->answer.extent.len = upto - io->off;
}

static void space_run(struct work *w)
{
	struct io_req *io = container(w, struct io_req, work);
	const struct file *f = io->be->priv;
	struct statvfs fs;
	struct stat st;
	uint64_t used;

	if (fstat(f->fd, &st) < 0 || fstatvfs(f->fd, &fs) < 0) {
		io->result = -errno;
		return;
	}
	/* The file system's own blocks (maps) count too and may pass the size. */
	used = (uint64_t)st.st_blocks * 512;
	io->answer.space.used = used < io->be->caps.size ? used : io->be->caps.size;
	if (__builtin_mul_overflow(fs.f_bavail, fs.f_frsize, &io->answer.space.avail))
		io->answer.space.avail = UINT64_MAX;
	io->result = 0;
}

static void range_worked(struct work *w)
{
	struct io_req *io = container(w, struct io_req, work);

	backend_complete(io, io->result);
}

static void range_work(struct io_req *io, void (*run)(struct work *w))
{
	memset(&io->work, 0, sizeof(io->work));
	io->work.class = WORK_MEDIUM;
	io->work.run = run;
	io->work.done = range_worked;
	work_submit(&io->work);
}

void file_extent(struct file *f, struct io_req *io)
{
	if (io->be->caps.extents) {
		range_work(io, extent_run);
		return;
	}
	io->answer.extent.mapped = true;
	io->answer.extent.len = io->len;
	backend_complete_later(io, 0);
}

void file_space(struct file *f, struct io_req *io)
{
	if (!f->device) {
		range_work(io, space_run);
		return;
	}
	io->answer.space.used = io->be->caps.size;
	io->answer.space.avail = 0;
	backend_complete_later(io, 0);
}
