/* SPDX-License-Identifier: Apache-2.0 */
/* Journals: what was appended is read back, whatever happened to the end of the files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "target/journal.h"
#include "target/log.h"
#include "target/rcall.h"
#include "target/reactor.h"
#include "tests/unit/unit.h"

static char dir[] = "/var/tmp/hf-journal-XXXXXX";
static char file[2][64];

/* ---- a file system that fails, or stands still: instead of the C library's ---- */

static enum { SYNC_GOOD, SYNC_BAD, SYNC_HUNG } sync_mode;	/* atomic */
static unsigned syncs_bad;	/* atomic: how many have failed */

int fdatasync(int fd)
{
	while (__atomic_load_n(&sync_mode, __ATOMIC_RELAXED) == SYNC_HUNG)
		usleep(1000);
	if (__atomic_load_n(&sync_mode, __ATOMIC_RELAXED) == SYNC_BAD) {
		__atomic_add_fetch(&syncs_bad, 1, __ATOMIC_RELAXED);
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* What a machine that stands still makes worthless is done so often. */
enum { TRIES = 4 };

static unsigned since_ms(const struct timespec *from)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned)((t.tv_sec - from->tv_sec) * 1000 + (t.tv_nsec - from->tv_nsec) / 1000000);
}

static void sync_set(unsigned mode)
{
	__atomic_store_n(&sync_mode, mode, __ATOMIC_RELAXED);
}

/* ---- appending, on a reactor as LUs do ---- */

struct burst {
	struct journal *j;
	unsigned from, n;
	const char *pad;
};

static void append_here(void *arg)
{
	struct burst *b = arg;
	char body[JOURNAL_BODY_MAX + 1];

	for (unsigned i = b->from; i < b->from + b->n; i++) {
		snprintf(body, sizeof(body), "{\"n\":%u%s%s%s}", i, b->pad ? ",\"pad\":\"" : "",
			 b->pad ? b->pad : "", b->pad ? "\"" : "");
		journal_append(b->j, body);
	}
}

static void settle(struct journal *j)
{
	while (journal_busy(j))
		usleep(100);
}

static void append(struct journal *j, unsigned from, unsigned n, const char *pad)
{
	struct burst b = { .j = j, .from = from, .n = n, .pad = pad };

	rcall_each(append_here, &b);
	settle(j);
}

/* ---- reading ---- */

struct seen {
	unsigned n, stop_at;
	uint64_t first, last, lost;
	bool gaps; /* sequences that are not there */
	char text[256];
};

static bool see(void *arg, const struct journal_record *r)
{
	struct seen *s = arg;
	const char *lost = strstr(r->json, "\"lost\":");

	CU_ASSERT(strlen(r->json) == r->len && r->json[r->len - 1] == '}');
	s->gaps |= s->n && r->seq != s->last + 1;
	if (!s->n++)
		s->first = r->seq;
	CU_ASSERT(s->n == 1 || r->seq > s->last);
	s->last = r->seq;
	if (lost)
		s->lost += strtoull(lost + 7, NULL, 10);
	snprintf(s->text, sizeof(s->text), "%s", r->json);
	return s->n != s->stop_at;
}

static struct seen look(struct journal *j, uint64_t from, unsigned *bad)
{
	struct seen s = { 0 };

	CU_ASSERT_EQUAL(journal_read(j, from, see, &s, bad), 0);
	return s;
}

static struct journal *reopen(struct journal *j)
{
	journal_close(j);
	j = journal_open(dir, "test");
	CU_ASSERT_FATAL(j != NULL);
	return j;
}

static struct journal *fresh(void)
{
	unlink(file[0]);
	unlink(file[1]);
	return reopen(NULL);
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) ? -1 : st.st_size;
}

static size_t file_get(const char *name, char *buf, size_t cap)
{
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, buf, cap);

	CU_ASSERT_FATAL(fd >= 0 && n >= 0 && (size_t)n < cap);
	close(fd);
	return (size_t)n;
}

static void file_put(const char *name, const char *buf, size_t n)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(write(fd, buf, n) == (ssize_t)n);
	close(fd);
}

/* ---- tests ---- */

static void test_no_journal(void)
{
	struct burst b = { .n = 3 };

	rcall_each(append_here, &b);
	CU_ASSERT_EQUAL(look(NULL, 0, NULL).n, 0);
	CU_ASSERT(!journal_busy(NULL) && !journal_lost(NULL));
	journal_close(NULL);
}

static void test_made_by_the_first_record(void)
{
	struct journal *j = fresh();
	struct seen s = look(j, 0, NULL);

	CU_ASSERT(s.n == 0 && size_of(file[0]) < 0 && size_of(file[1]) < 0);
	append(j, 1, 1, NULL);
	CU_ASSERT(size_of(file[0]) > 0 && size_of(file[1]) < 0);
	journal_close(j);
}

static void test_lines(void)
{
	struct journal *j = fresh();
	struct seen s;
	struct timespec t;
	char want[64], *at;
	uint64_t ns;

	append(j, 7, 1, NULL);
	s = look(j, 0, NULL);
	clock_gettime(CLOCK_REALTIME, &t);
	CU_ASSERT(s.n == 1 && s.first == 1);
	at = strstr(s.text, "\"time\":");
	CU_ASSERT_FATAL(at != NULL);
	ns = strtoull(at + 7, NULL, 10);
	CU_ASSERT(ns / 1000000000 >= (uint64_t)t.tv_sec - 10);
	CU_ASSERT(ns / 1000000000 <= (uint64_t)t.tv_sec);
	snprintf(want, sizeof(want), "{\"seq\":1,\"time\":%" PRIu64 ",\"n\":7}", ns);
	CU_ASSERT_STRING_EQUAL(s.text, want);
	journal_close(j);
}

static void test_goes_on_over_restarts(void)
{
	struct journal *j = fresh();
	struct seen s;

	for (unsigned i = 0; i < 5; i++) {
		append(j, i, 3, NULL);
		j = reopen(j);
	}
	s = look(j, 0, NULL);
	CU_ASSERT(s.n == 15 && s.first == 1 && s.last == 15 && !s.gaps);
	s = look(j, 13, NULL);
	CU_ASSERT(s.n == 3 && s.first == 13);
	s = (struct seen){ .stop_at = 4 };
	CU_ASSERT_EQUAL(journal_read(j, 2, see, &s, NULL), 0);
	CU_ASSERT(s.n == 4 && s.last == 5);
	journal_close(j);
}

/* Whatever of the last record is there, the two before it are, and the next one fits behind. */
static void test_torn_at_every_byte(void)
{
	static char buf[4096];
	struct journal *j = fresh();
	size_t two, all;
	unsigned bad;
	struct seen s;

	append(j, 0, 2, NULL);
	two = (size_t)size_of(file[0]);
	append(j, 2, 1, NULL);
	all = file_get(file[0], buf, sizeof(buf));
	for (size_t cut = two; cut < all; cut++) {
		file_put(file[0], buf, cut);
		j = reopen(j);
		CU_ASSERT_EQUAL(size_of(file[0]), (off_t)two);
		CU_ASSERT_EQUAL(look(j, 0, NULL).n, 2);
		append(j, 2, 1, NULL);
		s = look(j, 0, &bad);
		CU_ASSERT(s.n == 3 && s.last == 3 && !bad);
	}
	journal_close(j);
}

static void test_damaged_at_every_byte(void)
{
	static char buf[4096], hurt[4096];
	struct journal *j = fresh();
	size_t one, two, all;
	unsigned bad;
	struct seen s;

	append(j, 0, 1, NULL);
	one = (size_t)size_of(file[0]);
	append(j, 1, 1, NULL);
	two = (size_t)size_of(file[0]);
	append(j, 2, 1, NULL);
	all = file_get(file[0], buf, sizeof(buf));
	for (size_t at = 0; at < all; at++) {
		memcpy(hurt, buf, all);
		hurt[at] ^= 1;
		file_put(file[0], hurt, all);
		j = reopen(j);
		s = look(j, 0, &bad);
		/* The last one is cut off when it is hurt; a lost newline takes its neighbour. */
		CU_ASSERT_EQUAL(s.n, at == one - 1 || at == two - 1 ? 1 : 2);
		CU_ASSERT_EQUAL(bad, at < two - 1);
		append(j, 3, 1, NULL);
		s = look(j, 0, NULL);
		CU_ASSERT(s.last == (at < two - 1 ? 4 : at == two - 1 ? 2 : 3));
	}
	journal_close(j);
}

static void test_zeroes_behind(void)
{
	static char buf[8192];
	struct journal *j = fresh();
	size_t n;

	append(j, 0, 2, NULL);
	n = file_get(file[0], buf, sizeof(buf) - 4096);
	memset(buf + n, 0, 4096);
	file_put(file[0], buf, n + 4096);
	j = reopen(j);
	append(j, 2, 1, NULL);
	CU_ASSERT(look(j, 0, NULL).last == 3 && look(j, 0, NULL).n == 3);
	/* Nothing but noise. */
	memset(buf, 'x', sizeof(buf));
	file_put(file[0], buf, sizeof(buf));
	j = reopen(j);
	CU_ASSERT_EQUAL(look(j, 0, NULL).n, 0);
	append(j, 0, 1, NULL);
	CU_ASSERT_EQUAL(look(j, 0, NULL).n, 1);
	journal_close(j);
}

/* Long files are looked at at their ends only. */
static void test_rotation(void)
{
	struct journal *j = fresh();
	unsigned n = 0, bad;
	struct seen s;

	for (; n < 3 * JOURNAL_KEEP + 100; n += 100) {
		append(j, n, 100, "as long as a change of a reservation is with its names, more "
			"or less, so that the files are long");
		if (n % 4700 == 0)
			j = reopen(j);
		if (n % 2300 == 0) {
			s = look(j, 0, &bad);
			CU_ASSERT(s.last == n + 100 && !s.gaps && !bad);
			CU_ASSERT(s.n >= JOURNAL_KEEP || s.n == n + 100);
			CU_ASSERT(s.n <= 2 * JOURNAL_KEEP + 1000);
		}
	}
	j = reopen(j);
	s = look(j, 0, &bad);
	CU_ASSERT(s.last == n && s.n >= JOURNAL_KEEP && !s.gaps && !bad);
	CU_ASSERT_EQUAL(journal_lost(j), 0);
	CU_ASSERT(size_of(file[0]) < 8 << 20 && size_of(file[1]) < 8 << 20);
	journal_close(j);
}

/* More than there is room for at once: some are lost, and that is told where they would be. */
static void test_too_many_at_once(void)
{
	struct journal *j = fresh();
	struct seen s;

	append(j, 0, 20000, NULL);
	append(j, 20000, 1, NULL);
	s = look(j, 0, NULL);
	CU_ASSERT(journal_lost(j) > 0);
	CU_ASSERT(s.lost == journal_lost(j));
	CU_ASSERT_EQUAL(s.last, 20001);
	CU_ASSERT(strstr(s.text, "\"n\":20000") != NULL);
	journal_close(j);
}

/* A file system without room, by the limit on file sizes. */
static void test_no_room(void)
{
	struct rlimit old, few;
	struct journal *j = fresh();
	unsigned bad;
	struct seen s;

	signal(SIGXFSZ, SIG_IGN);
	append(j, 0, 10, NULL);
	getrlimit(RLIMIT_FSIZE, &old);
	few = old;
	few.rlim_cur = (rlim_t)size_of(file[0]) + 25;	/* in the middle of a line */
	setrlimit(RLIMIT_FSIZE, &few);
	append(j, 10, 1, NULL);
	append(j, 11, 4, NULL);
	CU_ASSERT_EQUAL(journal_lost(j), 5);
	s = look(j, 0, &bad);
	CU_ASSERT(s.n == 10 && !bad);
	setrlimit(RLIMIT_FSIZE, &old);
	CU_ASSERT_EQUAL(look(j, 0, NULL).n, 10);
	append(j, 15, 2, NULL);
	s = look(j, 0, &bad);
	CU_ASSERT(s.n == 13 && s.lost == 5 && s.last == 17 && !bad);
	append(j, 17, 1, NULL);
	s = look(j, 0, &bad);
	CU_ASSERT(s.n == 14 && s.lost == 5);
	CU_ASSERT_EQUAL(journal_lost(j), 5);
	journal_close(j);
}

/* A journal whose directory is gone, and comes back. */
static void test_no_directory(void)
{
	char aside[80];
	struct journal *j = fresh();
	struct seen s;

	snprintf(aside, sizeof(aside), "%s.aside", dir);
	CU_ASSERT_EQUAL_FATAL(rename(dir, aside), 0);
	append(j, 0, 3, NULL);
	CU_ASSERT_EQUAL(journal_lost(j), 3);
	CU_ASSERT_EQUAL_FATAL(rename(aside, dir), 0);
	append(j, 3, 1, NULL);
	s = look(j, 0, NULL);
	CU_ASSERT(s.n == 2 && s.lost == 3 && s.last == 4);
	journal_close(j);
}

static void test_longest_record(void)
{
	static char body[JOURNAL_BODY_MAX + 1], pad[JOURNAL_BODY_MAX];
	struct journal *j = fresh();
	unsigned bad;
	struct seen s;

	memset(pad, 'a', sizeof(pad) - 1);
	snprintf(body, sizeof(body), "{\"n\":1,\"pad\":\"\"}");
	pad[JOURNAL_BODY_MAX - strlen(body)] = 0;
	append(j, 1, 1, pad);
	append(j, 2, 1, NULL);
	j = reopen(j);
	s = look(j, 0, &bad);
	CU_ASSERT(s.n == 2 && !bad);
	journal_close(j);
}

/* Reading while it is written and its files take turns. */
static void test_read_while_written(void)
{
	struct journal *j = fresh();
	struct burst b = { .j = j, .n = 300 };
	unsigned bad;
	struct seen s;

	for (; b.from < JOURNAL_KEEP * 3; b.from += b.n) {
		rcall_each(append_here, &b);
		s = look(j, 0, &bad);
		CU_ASSERT(!s.gaps && !bad);
		CU_ASSERT(s.n >= JOURNAL_KEEP || s.n == s.last);
		settle(j);
	}
	journal_close(j);
}

/* Closing waits for what is pending. */
static void test_close_writes(void)
{
	struct journal *j = fresh();
	struct burst b = { .j = j, .n = 500 };

	rcall_each(append_here, &b);
	j = reopen(j);
	CU_ASSERT_EQUAL(look(j, 0, NULL).n, 500);
	journal_close(j);
}

/* What was written, but not synced before the sync failed, counts as lost, and is. */
static void test_sync_fails(void)
{
	struct timespec from;
	struct journal *j;
	unsigned bad;
	struct seen s;

	__atomic_store_n(&syncs_bad, 0, __ATOMIC_RELAXED);
	/* All of it before its timer syncs: once more, if the machine stood still. */
	for (unsigned i = 0; i < TRIES; i++) {
		j = fresh();
		clock_gettime(CLOCK_MONOTONIC, &from);
		append(j, 0, 1, NULL);	/* synced at once */
		append(j, 1, 2, NULL);
		append(j, 3, 3, NULL);
		CU_ASSERT_EQUAL(look(j, 0, NULL).n, 6);
		sync_set(SYNC_BAD);
		if (since_ms(&from) < 900 || i + 1 == TRIES)
			break;
		sync_set(SYNC_GOOD);
		journal_close(j);
	}
	for (unsigned ms = 0; !journal_lost(j) && ms < 5000; ms++)
		usleep(1000);
	settle(j);
	CU_ASSERT_EQUAL(__atomic_load_n(&syncs_bad, __ATOMIC_RELAXED), 1);
	sync_set(SYNC_GOOD);
	CU_ASSERT_EQUAL(journal_lost(j), 5);
	s = look(j, 0, &bad);
	CU_ASSERT(s.n == 1 && s.last == 1 && !bad);
	append(j, 6, 1, NULL);
	s = look(j, 0, &bad);
	CU_ASSERT(s.n == 3 && s.lost == 5 && s.last == 7 && !bad);
	j = reopen(j);
	CU_ASSERT_EQUAL(look(j, 0, NULL).n, 3);
	journal_close(j);
}

/* The same when the file that takes its turn cannot be had on stable storage. */
static void test_sync_fails_at_rotation(void)
{
	struct timespec from;
	struct journal *j;
	struct seen s;

	for (unsigned i = 0; i < TRIES; i++) {
		j = fresh();
		for (unsigned n = 0; n < JOURNAL_KEEP - 500; n += 500)
			append(j, n, 500, NULL);
		clock_gettime(CLOCK_MONOTONIC, &from);
		usleep(1100000);	/* synced by its timer; what comes within a second is not */
		settle(j);
		append(j, JOURNAL_KEEP - 500, 500, NULL);
		sync_set(SYNC_BAD);
		if (since_ms(&from) < 1600 || i + 1 == TRIES)
			break;
		sync_set(SYNC_GOOD);
		journal_close(j);
	}
	append(j, JOURNAL_KEEP, 1, NULL);
	sync_set(SYNC_GOOD);
	CU_ASSERT_EQUAL(journal_lost(j), 501);
	CU_ASSERT(size_of(file[1]) < 0);
	append(j, JOURNAL_KEEP + 1, 1, NULL);
	s = look(j, 0, NULL);
	CU_ASSERT_EQUAL(s.lost, 501);
	CU_ASSERT_EQUAL(s.n, JOURNAL_KEEP - 500 + 2);	/* with the line that tells of them */
	CU_ASSERT(size_of(file[1]) > 0);
	journal_close(j);
}

/* ---- a journal that is stuck ---- */

static struct work store;
static bool stored;	/* atomic */

static void store_run(struct work *w)
{
}

static void store_done(struct work *w)
{
	__atomic_store_n(&stored, true, __ATOMIC_RELAXED);
}

static void store_here(void *arg)
{
	store = (struct work){ .class = WORK_STORE, .run = store_run, .done = store_done };
	work_submit(&store);
}

/* Stores of reservations go on; and all journals together are waited for once. */
static void test_stuck(void)
{
	enum { STUCK = 5 };
	struct journal *j[STUCK];
	struct burst b = { .n = 1 };
	struct timespec from;
	unsigned took = -1u;
	char name[16], path[80];

	for (unsigned i = 0; i < STUCK; i++) {
		snprintf(name, sizeof(name), "stuck%u", i);
		j[i] = journal_open(dir, name);
		CU_ASSERT_FATAL(j[i] != NULL);
	}
	CU_ASSERT_EQUAL(journals_settle(1000), 0);
	sync_set(SYNC_HUNG);
	for (unsigned i = 0; i < STUCK; i++) {
		b.j = j[i];
		rcall_each(append_here, &b);
	}
	rcall_each(store_here, NULL);
	for (unsigned ms = 0; !__atomic_load_n(&stored, __ATOMIC_RELAXED) && ms < 5000; ms++)
		usleep(1000);
	CU_ASSERT(__atomic_load_n(&stored, __ATOMIC_RELAXED));
	for (unsigned i = 0; i < TRIES && took >= 1900; i++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		CU_ASSERT_EQUAL(journals_settle(400), STUCK);
		took = since_ms(&from);
	}
	CU_ASSERT(took >= 390 && took < 1900);
	CU_ASSERT(works_pending() >= STUCK);
	sync_set(SYNC_GOOD);
	CU_ASSERT_EQUAL(journals_settle(5000), 0);
	for (unsigned i = 0; i < STUCK; i++) {
		CU_ASSERT_EQUAL(look(j[i], 0, NULL).n, 1);
		journal_close(j[i]);
		snprintf(path, sizeof(path), "%s/stuck%u.0", dir, i);
		CU_ASSERT_EQUAL(unlink(path), 0);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_no_journal), UNIT(test_made_by_the_first_record), UNIT(test_lines),
		UNIT(test_goes_on_over_restarts), UNIT(test_torn_at_every_byte),
		UNIT(test_damaged_at_every_byte), UNIT(test_zeroes_behind), UNIT(test_rotation),
		UNIT(test_too_many_at_once), UNIT(test_no_room), UNIT(test_no_directory),
		UNIT(test_longest_record), UNIT(test_read_while_written), UNIT(test_close_writes),
		UNIT(test_sync_fails), UNIT(test_sync_fails_at_rotation), UNIT(test_stuck),
	};
	struct reactor_options o = { .count = 1, .workers = 1 };
	int rc;

	log_init(LOG_LEVEL_ERROR);	/* warnings are what is asked for here, by the hundred */
	if (!mkdtemp(dir) || reactors_start(&o))
		return 1;
	for (unsigned i = 0; i < 2; i++)
		snprintf(file[i], sizeof(file[i]), "%s/test.%u", dir, i);
	rc = unit_run("journal", tests, sizeof(tests) / sizeof(tests[0]));
	reactors_stop();
	unlink(file[0]);
	unlink(file[1]);
	rmdir(dir);
	return rc;
}
