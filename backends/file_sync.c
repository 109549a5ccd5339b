/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flushes of one file, grouped, and the write-behind that keeps them short: from half of the limit
 * on the file is written out, part after part; at the limit writes end only as fast as parts do.
 */
#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/file.h"
#include "target/log.h"

static const uint64_t clean_ns = FILE_CLEAN_MS * 1000000ull;

/* Parts are small: the next one is begun before one has ended, and each lets writes go on. */
enum { PARTS = 32 };

int file_sync_init(struct file_sync *s, int fd, uint64_t size, const char *name)
{
	s->fd = fd;
	s->name = name;
	s->error = 0;
	s->parked_end = &s->parked;
	s->limit = FILE_DIRTY_FIRST;
	s->cleaned = FILE_DIRTY_FIRST / 4;
	s->took = clean_ns / 4;
	if (file_dirty_init(&s->dirty, size))
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	return 0;
}

static void list_complete(struct io_req *io, int result)
{
	struct io_req *next;

	for (; io; io = next) {
		next = io->next;
		backend_complete_from(io, result);
	}
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool sync_due(const struct file_sync *s)
{
	return atomic_load(&s->dirty.bytes) >= atomic_load(&s->limit) / 2;
}

/* So much was written out since s->since: what the limit follows. */
static void sync_learn(struct file_sync *s, uint64_t bytes)
{
	uint64_t now = reactor_now(), limit;

	s->took += now - s->since;
	s->since = now;
	s->cleaned += bytes;
	limit = s->cleaned * clean_ns / (s->took + 1);
	if (limit < FILE_DIRTY_MIN)
		limit = FILE_DIRTY_MIN;
	if (limit > FILE_DIRTY_MAX)
		limit = FILE_DIRTY_MAX;
	atomic_store(&s->limit, (int64_t)limit);
	while (s->took > clean_ns || s->cleaned > FILE_DIRTY_MAX) {
		s->took /= 2;
		s->cleaned /= 2;
	}
}

/*
 * Begins to write out the next part, if that is due, and waits for the one before it. 0 or -errno;
 * *bytes: what is clean now.
 */
static int sync_part(struct file_sync *s, uint64_t *bytes)
{
	uint64_t want = (uint64_t)atomic_load(&s->limit) / PARTS;
	struct file_slice next = { .bytes = 0 }, last = s->begun;
	int r = 0;

	if (sync_due(s) && file_dirty_take(&s->dirty, want, &next)) {
		if (!last.bytes)
			s->since = reactor_now();
		if (sync_file_range(s->fd, (off_t)next.off, (off_t)next.len,
				    SYNC_FILE_RANGE_WRITE) < 0)
			r = -errno;
	}
	if (last.bytes) {
		if (sync_file_range(s->fd, (off_t)last.off, (off_t)last.len,
				    SYNC_FILE_RANGE_WAIT_BEFORE) < 0)
			r = -errno;
		sync_learn(s, last.bytes);
	}
	s->begun = next;
	*bytes = last.bytes;
	return r;
}

/* The same for all of it. */
static int sync_all(struct file_sync *s, uint64_t *bytes)
{
	uint64_t most = (uint64_t)atomic_load(&s->limit) / PARTS;
	int64_t all = atomic_load(&s->dirty.bytes);	/* with what is begun */
	struct file_slice part;
	int r = 0;

	*bytes = s->begun.bytes;
	if (!s->begun.bytes)
		s->since = reactor_now();
	/* As much as is dirty now: not what is written meanwhile, nor a look for nothing. */
	while ((int64_t)*bytes < all &&
	       file_dirty_take(&s->dirty, (uint64_t)(all - (int64_t)*bytes), &part))
		*bytes += part.bytes;
	s->begun.bytes = 0;
	if (fdatasync(s->fd) < 0)
		r = -errno;
	/* What a flush of little takes says nothing of the disk's pace. */
	if (*bytes >= most)
		sync_learn(s, *bytes);
	return r;
}

/*
 * Writes that need not wait any longer, now that so many bytes are clean: as many, when the limit
 * is kept; fewer, when it is passed, as it is after it fell. Locked.
 */
static struct io_req *parked_take(struct file_sync *s, uint64_t bytes)
{
	int64_t dirty = atomic_load(&s->dirty.bytes), limit = atomic_load(&s->limit);
	struct io_req *list = NULL, **end = &list;

	s->leave = dirty <= limit ? INT64_MAX : s->leave + (int64_t)bytes * limit / dirty;
	while (s->parked && s->leave > 0) {
		s->leave -= (int64_t)s->parked->len;
		*end = s->parked;
		end = &s->parked->next;
		s->parked = *end;
	}
	*end = NULL;
	if (!s->parked) {
		s->parked_end = &s->parked;
		s->leave = 0;
	}
	return list;
}

/*
 * The file's thread. A flush covers what ended before it was submitted, so the fdatasync for it
 * begins after it was queued. An error, also one that a write-behind met, is told to every flush
 * from then on: the kernel has told it once and will not again.
 */
static void *file_sync_thread(void *arg)
{
	struct file_sync *s = arg;
	struct io_req *group, *parked;
	uint64_t bytes;
	int r;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		group = s->waiting;
		if (!group && !s->begun.bytes && !sync_due(s)) {
			atomic_store(&s->behind, false);
			/* A write may not have seen that; and what it adds has then been added. */
			if (!sync_due(s))
				pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		s->waiting = NULL;
		pthread_mutex_unlock(&s->lock);

		r = group ? sync_all(s, &bytes) : sync_part(s, &bytes);
		atomic_fetch_sub(&s->dirty.bytes, (int64_t)bytes);

		pthread_mutex_lock(&s->lock);
		if (r && !s->error) {
			s->error = r;
			log_error("event=sync_failed lun=%s errno=%d", LOG_Q(s->name), -r);
		}
		r = s->error;
		parked = parked_take(s, bytes);
		pthread_mutex_unlock(&s->lock);
		list_complete(parked, 0);
		list_complete(group, r);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the reactors ---------------------------------------------------------------------------- */

void file_sync_clear(struct file_sync *s)
{
	pthread_mutex_lock(&s->lock);
	s->error = 0;
	pthread_mutex_unlock(&s->lock);
}

/* Wakes the thread, makes it the first time. Locked. 0 or -errno. */
static int sync_wake(struct file_sync *s)
{
	pthread_attr_t attr;
	int r;

	if (s->started) {
		pthread_cond_signal(&s->wake);
		return 0;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	r = pthread_create(&s->thread, &attr, file_sync_thread, s);
	pthread_attr_destroy(&attr);
	if (!r)
		pthread_setname_np(s->thread, "hf-sync");
	s->started = !r;
	return -r;
}

void file_sync_fini(struct file_sync *s)
{
	pthread_mutex_lock(&s->lock);
	assert(!s->waiting && !s->parked);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (s->started)
		pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	file_dirty_fini(&s->dirty);
}

void file_sync_flush(struct file_sync *s, struct io_req *io)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = sync_wake(s);
	if (!r) {
		io->next = s->waiting;
		s->waiting = io;
	}
	pthread_mutex_unlock(&s->lock);
	if (r)
		backend_complete_later(io, r);
}

bool file_sync_wrote(struct file_sync *s, struct io_req *io)
{
	int64_t dirty = file_dirty_add(&s->dirty, io->off, io->len);
	int64_t limit = atomic_load(&s->limit);
	bool park = false;

	if (dirty < limit / 2 || (dirty <= limit && atomic_load(&s->behind)))
		return false;
	pthread_mutex_lock(&s->lock);
	if (!sync_wake(s)) {
		atomic_store(&s->behind, true);
		/* Asked again under the lock: what was too much may be clean by now. */
		park = atomic_load(&s->dirty.bytes) > atomic_load(&s->limit);
		if (park) {
			io->next = NULL;
			*s->parked_end = io;
			s->parked_end = &io->next;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return park;
}
