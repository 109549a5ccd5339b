/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes of one file, grouped, and the write-behind that keeps them short. */
#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/file.h"
#include "target/log.h"

void file_sync_init(struct file_sync *s, int fd, const char *name)
{
	s->fd = fd;
	s->name = name;
	s->error = 0;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
}

static void list_complete(struct io_req *io, int result)
{
	struct io_req *next;

	for (; io; io = next) {
		next = io->next;
		backend_complete_from(io, result);
	}
}

/* One fdatasync or write-behind. 0 or -errno. */
static int sync_run(const struct file_sync *s, bool flush)
{
	int r;

	if (flush)
		r = fdatasync(s->fd);
	else
		r = sync_file_range(s->fd, 0, 0,
				    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
	return r < 0 ? -errno : 0;
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
	int r;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->waiting && !atomic_load(&s->behind) && !s->stop)
			pthread_cond_wait(&s->wake, &s->lock);
		if (s->stop)
			break;
		group = s->waiting;
		parked = s->parked;
		s->waiting = s->parked = NULL;
		atomic_store(&s->dirty, 0);
		pthread_mutex_unlock(&s->lock);

		r = sync_run(s, group);

		pthread_mutex_lock(&s->lock);
		if (r && !s->error) {
			s->error = r;
			log_error("event=sync_failed lun=%s errno=%d", LOG_Q(s->name), -r);
		}
		r = s->error;
		/* Those parked meanwhile go with the next write-behind. */
		atomic_store(&s->behind, s->parked != NULL);
		pthread_mutex_unlock(&s->lock);
		list_complete(parked, 0);
		list_complete(group, r);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

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
	uint64_t dirty = atomic_fetch_add_explicit(&s->dirty, io->len, memory_order_relaxed) +
			 io->len;
	bool park = false;

	if (dirty < FILE_DIRTY_START)
		return false;
	if (dirty < FILE_DIRTY_PARK && atomic_load_explicit(&s->behind, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&s->lock);
	/*
	 * Asked again under the lock: the sync that took this write's share may have begun since.
	 */
	park = atomic_load(&s->dirty) >= FILE_DIRTY_PARK && !s->stop;
	if (!sync_wake(s)) {
		atomic_store(&s->behind, true);
		if (park) {
			io->next = s->parked;
			s->parked = io;
		}
	} else {
		park = false;
	}
	pthread_mutex_unlock(&s->lock);
	return park;
}
