/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side is the home reactor's but for what is marked: it collects lines, and a worker
 * writes them, a batch at a time; what comes meanwhile is the next batch. Reading looks at the
 * files only.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/journal_file.h"
#include "target/log.h"
#include "target/rcall.h"
#include "target/reactor.h"
#include "target/state_file.h"

enum {
	PENDING_MAX = 256 << 10, /* bytes of lines that wait to be written */
	AHEAD = 1 << 20,	 /* bytes reserved in front of the end: some 2,500 records */
	CLOSE_MS = 2000,	 /* for the last batch, when closing */
	/*
	 * Between two fdatasync: they make the file system's own journal move, for which the
	 * stores of reservations on it would wait in a storm of changes.
	 */
	SYNC_MS = 1000,
};

/* Lines that were not written yet. */
struct batch {
	char *buf;
	size_t len, cap;
	uint64_t first;	  /* sequence of the first line */
	unsigned records; /* lines, but for those that tell of lost ones */
	uint64_t told;	  /* lost records that its lines tell of */
};

struct journal {
	struct journal *other; /* main thread: the next of all that are open */
	uint64_t next;	   /* sequence of the next record */
	uint64_t lost;	   /* records lost that no line tells of yet */
	uint64_t lost_all; /* atomic: since the start */
	bool warned;
	struct batch pending;
	struct reactor *home; /* of the first record: where all this is */
	struct timer timer;   /* to the next fdatasync, when one is due */
	uint64_t synced_at;   /* ms, of the last one */
	bool closing;
	bool busy; /* atomic: the rest is the worker's */
	bool sync; /* fdatasync after the batch */
	bool sync_failed;
	struct batch batch;
	struct batch unsynced; /* what was written since the last fdatasync; without the lines */
	struct work work;
	int err;
	int fd;		    /* of the newer file, -1: not open */
	unsigned newer;	    /* 0, 1 */
	struct journal_segment seg; /* the newer file */
	uint64_t reserved;  /* bytes of it */
	bool reserve_warned;
	char *last;	    /* as journal_last() gives it */
	char path[];	    /* of the files, without the digit at the end */
};

/* Those that are open. */
static struct journal *journals;

/* ---- opening --------------------------------------------------------------------------------- */

/* What is behind the last good line was being written when the daemon died. */
static void tail_cut(const struct journal *j, unsigned i, int fd, const struct journal_segment *s)
{
	if (s->end == s->size)
		return;
	log_warn("event=journal path=%s msg=\"the end was torn: %" PRIu64 " bytes cut off\"",
		 LOG_Q(j->path), s->size - s->end);
	if (ftruncate(fd, (off_t)s->end))
		log_warn("event=journal path=%s%u msg=\"cannot be cut: %s\"", j->path, i,
			 strerror(errno));
}

struct journal *journal_open(const char *dir, const char *name)
{
	size_t room = strlen(dir) + strlen(name) + 3;
	struct journal *j = calloc(1, sizeof(*j) + room);

	if (!j)
		return NULL;
	j->fd = -1;
	snprintf(j->path, room, "%s/%s.", dir, name);
	for (unsigned i = 0; i < 2; i++) {
		int fd = journal_file_open(j->path, i, O_RDWR);
		struct journal_segment s = { 0 };
		int err = fd < 0 ? fd : journal_segment_look(fd, &s);

		if (err && err != -ENOENT)
			log_warn("event=journal path=%s%u msg=\"cannot be read: %s\"", j->path, i,
				 strerror(-err));
		if (!err)
			tail_cut(j, i, fd, &s);
		if (fd >= 0)
			close(fd);
		if (!err && (!j->seg.there || s.last > j->seg.last)) {
			free(j->last);
			j->last = s.text;
			j->seg = s;
			j->newer = i;
		} else {
			free(s.text);
		}
	}
	j->next = j->seg.last + 1;
	j->other = journals;
	journals = j;
	return j;
}

/* ---- a batch is written: worker -------------------------------------------------------------- */

/*
 * On stable storage with what was written. When that fails it never will be: the kernel says so
 * once and takes the pages for clean then. They may be there or not; so they go, and are told as
 * lost.
 */
static int segment_sync(struct journal *j)
{
	int err = fdatasync(j->fd) ? -errno : 0;

	if (err)
		j->seg.end -= j->unsynced.len;
	else
		j->unsynced = (struct batch){ 0 };
	j->sync_failed = err;
	return err;
}

/* The older file makes room. Readers that have it open still have it. */
static int segment_begin(struct journal *j)
{
	unsigned i = j->seg.there ? !j->newer : 0;
	char path[4096];
	int fd, err;

	err = j->unsynced.len ? segment_sync(j) : 0;
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s%u", j->path, i);
	if (unlink(path) && errno != ENOENT)
		return -errno;
	fd = journal_file_open(j->path, i, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	if (j->fd >= 0)
		close(j->fd);
	j->fd = fd;
	j->newer = i;
	j->seg = (struct journal_segment){ .there = true, .first = j->batch.first };
	j->reserved = 0;
	return state_sync_dir(path);
}

static int segment_ready(struct journal *j)
{
	if (!j->seg.first || j->batch.first - j->seg.first >= JOURNAL_KEEP)
		return segment_begin(j);
	if (j->fd >= 0)
		return 0;
	j->fd = journal_file_open(j->path, j->newer, O_RDWR);
	if (j->fd == -ENOENT)
		return segment_begin(j);
	return j->fd < 0 ? j->fd : 0;
}

/* A file system that gets full later does not stop us soon. */
static void reserve(struct journal *j)
{
	uint64_t need = (j->seg.end + j->batch.len + 2 * AHEAD - 1) / AHEAD * AHEAD;
	int err = need > j->reserved &&
		  fallocate(j->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)need) ? errno : 0;

	if (!err || err == EOPNOTSUPP)
		j->reserved = need;
	else if (!j->reserve_warned)
		log_warn("event=journal path=%s%u msg=\"no room can be reserved: %s\"", j->path,
			 j->newer, strerror(err));
	j->reserve_warned |= err && err != EOPNOTSUPP;
}

static int batch_write(struct journal *j)
{
	int err = j->batch.len ? segment_ready(j) : 0;

	if (!err && j->batch.len)
		reserve(j);
	if (!err)
		err = state_write(j->fd, j->batch.buf, j->batch.len, j->seg.end);
	if (!err && j->sync)
		err = segment_sync(j);
	if (!err) {
		j->seg.end += j->batch.len;
		return 0;
	}
	if (j->fd < 0)
		return err;
	/* A part of it must not be taken for what comes in its place. */
	j->reserved = 0;
	if (ftruncate(j->fd, (off_t)j->seg.end))
		log_debug("event=journal path=%s%u msg=\"cannot be cut: %s\"", j->path, j->newer,
			  strerror(errno));
	return err;
}

/* ---- records come: home ---------------------------------------------------------------------- */

static void batch_free(struct batch *b)
{
	free(b->buf);
	*b = (struct batch){ 0 };
}

/* Its records will not be written; what it was to tell must be told by another. */
static void batch_lose(struct journal *j, struct batch *b)
{
	j->lost += b->records + b->told;
	__atomic_add_fetch(&j->lost_all, b->records, __ATOMIC_RELAXED);
	batch_free(b);
}

static void lose_one(struct journal *j)
{
	j->lost++;
	__atomic_add_fetch(&j->lost_all, 1, __ATOMIC_RELAXED);
}

static void trouble(struct journal *j, const char *why)
{
	if (!j->warned)
		log_warn("event=journal path=%s lost=%" PRIu64 " msg=\"cannot be written, records "
			 "are lost until it can: %s\"", LOG_Q(j->path), j->lost, why);
	j->warned = true;
}

/* How a batch ended. */
static void batch_end(struct journal *j)
{
	if (j->sync)
		j->synced_at = reactor_now_ms();
	if (!j->err) {
		if (!j->sync) {
			j->unsynced.len += j->batch.len;
			j->unsynced.records += j->batch.records;
			j->unsynced.told += j->batch.told;
		}
		if (j->warned && j->batch.told)
			log_info("event=journal path=%s msg=\"is written again\" lost=%" PRIu64,
				 LOG_Q(j->path), j->batch.told);
		j->warned &= !j->batch.told;
		batch_free(&j->batch);
		return;
	}
	/* Most likely what waits could not be written either; and so what is lost is one piece. */
	if (j->sync_failed)
		batch_lose(j, &j->unsynced);
	batch_lose(j, &j->batch);
	batch_lose(j, &j->pending);
	trouble(j, strerror(-j->err));
}

static void write_run(struct work *w)
{
	struct journal *j = caa_container_of(w, struct journal, work);

	j->sync_failed = false;
	j->err = batch_write(j);
}

static void write_done(struct work *w);

static void write_begin(struct journal *j)
{
	j->sync = j->closing || reactor_now_ms() >= j->synced_at + SYNC_MS;
	j->batch = j->pending;
	j->pending = (struct batch){ 0 };
	j->work.class = WORK_RECORD;
	j->work.run = write_run;
	j->work.done = write_done;
	__atomic_store_n(&j->busy, true, __ATOMIC_RELAXED);
	work_submit(&j->work);
}

static void write_done(struct work *w)
{
	struct journal *j = caa_container_of(w, struct journal, work);

	batch_end(j);
	if (j->pending.len || (j->closing && j->unsynced.len)) {
		write_begin(j);
		return;
	}
	if (j->unsynced.len)
		timer_arm(&j->timer, SYNC_MS);
	__atomic_store_n(&j->busy, false, __ATOMIC_RELEASE);
}

/* Also an empty batch is synced. */
static void sync_due(struct timer *t)
{
	struct journal *j = caa_container_of(t, struct journal, timer);

	if (!__atomic_load_n(&j->busy, __ATOMIC_RELAXED) && j->unsynced.len)
		write_begin(j);
}

static void settle_here(void *arg)
{
	struct journal *j = arg;

	if (reactor_self() != j->home)
		return;
	j->closing = true;
	timer_cancel(&j->timer);
	sync_due(&j->timer);
}

/* A line at the end of what is pending; false when there is no room. */
static bool line_put(struct journal *j, uint64_t seq, const char *body, size_t len)
{
	struct batch *b = &j->pending;
	struct timespec t;
	size_t n, need = b->len + len + (JOURNAL_LINE_MAX - JOURNAL_BODY_MAX);
	char *line;

	if (need > PENDING_MAX)
		return false;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 2 * JOURNAL_LINE_MAX;
		char *buf = realloc(b->buf, cap);

		if (!buf)
			return false;
		b->buf = buf;
		b->cap = cap;
	}
	clock_gettime(CLOCK_REALTIME, &t);
	line = b->buf + b->len;
	n = JOURNAL_CRC_LEN;
	n += (size_t)sprintf(line + n, "{\"seq\":%" PRIu64 ",\"time\":%" PRIu64 "%s", seq,
			     (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec,
			     len > 2 ? "," : "");
	memcpy(line + n, body + 1, len - 1);	/* without its opening brace */
	n += len - 1;
	sprintf(line, "%08" PRIx32, journal_crc(line + JOURNAL_CRC_LEN, n - JOURNAL_CRC_LEN));
	line[JOURNAL_CRC_LEN - 1] = ' ';
	line[n++] = '\n';
	if (!b->len)
		b->first = seq;
	b->len += n;
	return true;
}

void journal_append(struct journal *j, const char *body)
{
	size_t len = strlen(body);
	uint64_t seq;
	char lost[48];

	assert(len >= 2 && len <= JOURNAL_BODY_MAX && body[0] == '{' && body[len - 1] == '}');
	if (!j)
		return;
	j->home = reactor_self();
	j->timer.fn = sync_due;
	seq = j->next++;
	/* In the place of the last one that was lost. */
	snprintf(lost, sizeof(lost), "{\"lost\":%" PRIu64 "}", j->lost);
	if (j->lost && line_put(j, seq - 1, lost, strlen(lost))) {
		j->pending.told += j->lost;
		j->lost = 0;
	}
	if (!j->lost && line_put(j, seq, body, len)) {
		j->pending.records++;
	} else {
		lose_one(j);
		trouble(j, "the file system stands still");
	}
	if (j->pending.len && !__atomic_load_n(&j->busy, __ATOMIC_RELAXED))
		write_begin(j);
}

/* Whether it was written in the time; what is not is left as it is: a worker has it. */
static bool settled(const struct journal *j, uint64_t until)
{
	while (journal_busy(j)) {
		if (reactor_now_ms() >= until) {
			log_warn("event=journal path=%s msg=\"the last records are not written: "
				 "the file system stands still\"", LOG_Q(j->path));
			return false;
		}
		usleep(1000);
	}
	return true;
}

unsigned journals_settle(unsigned ms)
{
	uint64_t until = reactor_now_ms() + ms;
	unsigned stuck = 0;

	for (struct journal *j = journals; j; j = j->other)
		rcall_each(settle_here, j);
	for (struct journal *j = journals; j; j = j->other)
		stuck += !settled(j, until);
	return stuck;
}

void journal_close(struct journal *j)
{
	struct journal **at = &journals;

	if (!j)
		return;
	rcall_each(settle_here, j);
	if (!settled(j, reactor_now_ms() + CLOSE_MS))
		return;
	while (*at != j)
		at = &(*at)->other;
	*at = j->other;
	if (j->lost)
		log_warn("event=journal path=%s msg=\"%" PRIu64 " records were lost\"",
			 LOG_Q(j->path), j->lost);
	batch_free(&j->pending);
	if (j->fd >= 0)
		close(j->fd);
	free(j->last);
	free(j);
}

uint64_t journal_lost(const struct journal *j)
{
	return j ? __atomic_load_n(&j->lost_all, __ATOMIC_RELAXED) : 0;
}

const char *journal_last(const struct journal *j)
{
	return j ? j->last : NULL;
}

bool journal_busy(const struct journal *j)
{
	return j && __atomic_load_n(&j->busy, __ATOMIC_ACQUIRE);
}

int journal_read(const struct journal *j, uint64_t from,
		 bool (*fn)(void *arg, const struct journal_record *r), void *arg, unsigned *bad)
{
	if (bad)
		*bad = 0;
	return j ? journal_read_files(j->path, from, fn, arg, bad) : 0;
}
