/* SPDX-License-Identifier: Apache-2.0 */
/* File I/O through every engine, on every driver, buffered and direct, on a disk's file system and
 * on tmpfs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <semaphore.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "target/log.h"
#include "target/reactor.h"
#include "tests/unit/unit.h"

/* ---- one way to do it: driver, engine, kind of file
 * --------------------------------------------------------------- */

static const char *const dirs[] = { ".", "/dev/shm" };

static const struct way {
	enum reactor_driver driver;
	enum rio_engine engine;
	bool direct;
	const char *name;
} ways[] = {
	{ DRIVER_URING, RIO_URING, false, "io_uring" },
	{ DRIVER_URING, RIO_URING, true, "io_uring direct" },
	{ DRIVER_URING, RIO_AIO, true, "libaio direct, io_uring loop" },
	{ DRIVER_URING, RIO_WORKERS, false, "workers, io_uring loop" },
	{ DRIVER_EPOLL, RIO_AIO, true, "libaio direct" },
	{ DRIVER_EPOLL, RIO_WORKERS, false, "workers" },
	{ DRIVER_EPOLL, RIO_WORKERS, true, "workers direct" },
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]), ALIGN = 4096 };

static const struct way *way;		/* the one under test */
static int file;
static unsigned at;			/* the reactor */

static int open_file(const char *dir, bool direct)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | (direct ? O_DIRECT : 0), 0600);

	if (fd < 0)
		printf("SKIP %s in %s: %s\n", way->name, dir, strerror(errno));
	return fd;
}

static bool reactors_up(enum reactor_driver driver, unsigned workers)
{
	struct reactor_options o = { .count = 1, .driver = driver, .workers = workers };

	if (!reactors_start(&o))
		return true;
	CU_ASSERT_EQUAL(driver, DRIVER_URING);
	printf("SKIP io_uring is not to be had\n");
	return false;
}

/* Every way, in every directory where there is one. */
static void all_ways(void (*fn)(void))
{
	for (unsigned i = 0; i < WAYS; i++) {
		way = &ways[i];
		for (unsigned d = 0; d < 2; d++) {
			file = open_file(dirs[d], way->direct);
			if (file < 0)
				continue;
			if (reactors_up(way->driver, 4)) {
				fn();
				reactors_stop();
			}
			close(file);
		}
	}
}

/* ---- calls from the main thread
 * ------------------------------------------------------------------------------------- */

struct call {
	struct rio r;
	struct msg m;
	sem_t ended;
	bool submitting;
};

static struct call *call_of_msg(struct msg *m)
{
	return (struct call *)(void *)((char *)m - offsetof(struct call, m));
}

static void call_done(struct rio *r)
{
	struct call *c = (struct call *)(void *)r;

	if (c->submitting || reactor_self() != reactor_at(at))
		CU_FAIL("done() from within rio_submit(), or elsewhere");
	sem_post(&c->ended);
}

static void call_submit(struct msg *m)
{
	struct call *c = call_of_msg(m);

	c->submitting = true;
	rio_submit(&c->r);
	c->submitting = false;
}

static void call_begin(struct call *c, enum rio_op op, int fd, void *buf, uint64_t off,
		       uint64_t len)
{
	int mode = c->r.mode;

	*c = (struct call){ .r = { .op = op,
				   .fd = fd,
				   .mode = mode,
				   .off = off,
				   .len = len,
				   .buf = buf,
				   .direct = way->direct,
				   .engine = way->engine,
				   .done = call_done } };
	sem_init(&c->ended, 0, 0);
	c->m.fn = call_submit;
	reactor_send(reactor_at(at), &c->m);
}

static int call_end(struct call *c)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	CU_ASSERT_EQUAL_FATAL(sem_timedwait(&c->ended, &until), 0);
	return c->r.result;
}

static int call_mode(enum rio_op op, int mode, int fd, void *buf, uint64_t off, uint64_t len)
{
	struct call c = { .r.mode = mode };

	call_begin(&c, op, fd, buf, off, len);
	return call_end(&c);
}

static int call(enum rio_op op, int fd, void *buf, uint64_t off, uint64_t len)
{
	return call_mode(op, 0, fd, buf, off, len);
}

static char *buffer(size_t n, int fill)
{
	char *p = aligned_alloc(ALIGN, n);

	memset(p, fill, n);
	return p;
}

static bool all_are(const char *p, size_t n, int c)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != c)
			return false;
	return true;
}

/* ---- tests
 * ----------------------------------------------------------------------------------------
 */

static void read_write(void)
{
	enum { LEN = 3 << 20 };
	char *out = buffer(LEN, 0), *in = buffer(LEN, 0x55);

	for (unsigned i = 0; i < LEN; i++)
		out[i] = (char)(i * 2654435761u >> 24);
	CU_ASSERT_EQUAL(call(RIO_WRITE, file, out, 2 * ALIGN, LEN), 0);
	CU_ASSERT_EQUAL(call(RIO_FDATASYNC, file, NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(call(RIO_READ, file, in, 2 * ALIGN, LEN), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, LEN), 0);
	CU_ASSERT_EQUAL(call(RIO_READ, file, in, 0, 2 * ALIGN), 0);
	CU_ASSERT(all_are(in, 2 * ALIGN, 0));
	if (!way->direct) {
		CU_ASSERT_EQUAL(call(RIO_WRITE, file, out + 1, 7, 333), 0);
		CU_ASSERT_EQUAL(call(RIO_READ, file, in, 6, 335), 0);
		CU_ASSERT(in[0] == 0 && in[334] == 0 && !memcmp(in + 1, out + 1, 333));
	}
	CU_ASSERT_EQUAL(call(RIO_READ, file, NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(call(RIO_WRITE, file, NULL, 0, 0), 0);
	free(out);
	free(in);
}

static void test_read_write(void)
{
	all_ways(read_write);
}

/* The rest of a read past the end is zeroed, wherever the end is. */
static void end_of_file(void)
{
	static const unsigned sizes[] = { 0,	       1,     511,
					  512,	       513,   ALIGN,
					  ALIGN + 512, 10000, 2 * ALIGN + 4000 };
	enum { LEN = 4 * ALIGN };
	char *buf = buffer(LEN, 'x');

	CU_ASSERT_EQUAL(call(RIO_WRITE, file, buf, 0, LEN), 0);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int err;

		CU_ASSERT_EQUAL(ftruncate(file, sizes[i]), 0);
		memset(buf, 0x55, LEN);
		err = call(RIO_READ, file, buf, 0, LEN);
		CU_ASSERT_EQUAL(err, 0);
		CU_ASSERT(all_are(buf, sizes[i], 'x'));
		CU_ASSERT(all_are(buf + sizes[i], LEN - sizes[i], 0));
		memset(buf, 0x55, LEN);
		err = call(RIO_READ, file, buf, 8 * ALIGN, LEN);
		CU_ASSERT_EQUAL(err, 0);
		CU_ASSERT(all_are(buf, LEN, 0));
		CU_ASSERT_EQUAL(ftruncate(file, 0), 0);
		memset(buf, 'x', LEN);
		CU_ASSERT_EQUAL(call(RIO_WRITE, file, buf, 0, LEN), 0);
	}
	free(buf);
}

static void test_end_of_file(void)
{
	all_ways(end_of_file);
}

static void other_operations(void)
{
	enum { LEN = 16 * ALIGN };
	char *buf = buffer(LEN, 'y');
	struct stat st;

	CU_ASSERT_EQUAL(call_mode(RIO_FALLOCATE, 0, file, NULL, 0, LEN), 0);
	CU_ASSERT_EQUAL(fstat(file, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, LEN);
	CU_ASSERT_EQUAL(call(RIO_WRITE, file, buf, 0, LEN), 0);
	CU_ASSERT_EQUAL(call_mode(RIO_FALLOCATE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, file,
				  NULL, ALIGN, 2 * ALIGN),
			0);
	CU_ASSERT_EQUAL(call(RIO_FADVISE, file, NULL, 0, LEN), 0);
	CU_ASSERT_EQUAL(call(RIO_READ, file, buf, 0, LEN), 0);
	CU_ASSERT(all_are(buf, ALIGN, 'y'));
	CU_ASSERT(all_are(buf + ALIGN, 2 * ALIGN, 0));
	CU_ASSERT(all_are(buf + 3 * ALIGN, LEN - 3 * ALIGN, 'y'));
	/* A combination no file system has. */
	CU_ASSERT_EQUAL(call_mode(RIO_FALLOCATE, 0x400000, file, NULL, 0, LEN), -EOPNOTSUPP);
	free(buf);
}

static void test_other_operations(void)
{
	all_ways(other_operations);
}

static void errors(void)
{
	char *buf = buffer(ALIGN, 'z');
	char path[64];
	int fd;

	CU_ASSERT_EQUAL(call(RIO_READ, 1000000, buf, 0, ALIGN), -EBADF);
	CU_ASSERT_EQUAL(call(RIO_FDATASYNC, 1000000, NULL, 0, 0), -EBADF);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	fd = open(path, O_RDONLY | (way->direct ? O_DIRECT : 0));
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(call(RIO_WRITE, fd, buf, 0, ALIGN), -EBADF);
	close(fd);
	if (!way->direct) {
		fd = open("/dev/full", O_RDWR);
		CU_ASSERT_EQUAL(call(RIO_WRITE, fd, buf, 0, ALIGN), -ENOSPC);
		close(fd);
	}
	/* And the engine still works. */
	CU_ASSERT_EQUAL(call(RIO_WRITE, file, buf, 0, ALIGN), 0);
	free(buf);
}

static void test_errors(void)
{
	all_ways(errors);
}

/* More at once than any queue holds, in one turn. */
enum { MANY = 700 };
static struct call many[MANY];

static void many_at_once(void)
{
	char *bufs = buffer((size_t)MANY * ALIGN, 0);
	unsigned bad = 0;

	for (unsigned i = 0; i < MANY; i++) {
		memset(bufs + (size_t)i * ALIGN, (int)(i % 251), ALIGN);
		call_begin(&many[i], RIO_WRITE, file, bufs + (size_t)i * ALIGN, (uint64_t)i * ALIGN,
			   ALIGN);
	}
	for (unsigned i = 0; i < MANY; i++)
		bad += call_end(&many[i]) != 0;
	memset(bufs, 0xff, (size_t)MANY * ALIGN);
	for (unsigned i = 0; i < MANY; i++)
		call_begin(&many[i], RIO_READ, file, bufs + (size_t)i * ALIGN, (uint64_t)i * ALIGN,
			   ALIGN);
	for (unsigned i = 0; i < MANY; i++)
		bad += call_end(&many[i]) != 0 ||
		       !all_are(bufs + (size_t)i * ALIGN, ALIGN, (char)(i % 251));
	CU_ASSERT_EQUAL(bad, 0);
	free(bufs);
}

static void test_many_at_once(void)
{
	all_ways(many_at_once);
}

static void check_engine(enum rio_engine asked, bool direct, int err, enum rio_engine want)
{
	enum rio_engine got = RIO_AUTO;
	const char *why = NULL;

	CU_ASSERT_EQUAL(rio_engine(asked, direct, &got, &why), err);
	CU_ASSERT_PTR_NOT_NULL(why);
	if (!err)
		CU_ASSERT_EQUAL(got, want);
}

static void test_which_engine(void)
{
	if (reactors_up(DRIVER_URING, 1)) {
		CU_ASSERT_STRING_EQUAL(reactor_driver_name(), "io_uring");
		check_engine(RIO_AUTO, false, 0, RIO_URING);
		check_engine(RIO_AUTO, true, 0, RIO_URING);
		check_engine(RIO_URING, true, 0, RIO_URING);
		check_engine(RIO_AIO, false, 0, RIO_WORKERS);
		check_engine(RIO_AIO, true, 0, RIO_AIO);
		check_engine(RIO_WORKERS, true, 0, RIO_WORKERS);
		reactors_stop();
	}
	if (reactors_up(DRIVER_EPOLL, 1)) {
		CU_ASSERT_STRING_EQUAL(reactor_driver_name(), "epoll");
		check_engine(RIO_AUTO, false, 0, RIO_WORKERS);
		check_engine(RIO_AUTO, true, 0, RIO_AIO);
		check_engine(RIO_URING, false, -ENOTSUP, RIO_AUTO);
		check_engine(RIO_AIO, false, 0, RIO_WORKERS);
		check_engine(RIO_AIO, true, 0, RIO_AIO);
		check_engine(RIO_WORKERS, false, 0, RIO_WORKERS);
		check_engine(77, false, -ENOTSUP, RIO_AUTO);
		reactors_stop();
	}
}

/*
 * Requests that hang, on one descriptor, leave workers for another. They hang here because their
 * buffer is a page that userfaultfd does not deliver.
 */
static int uffd_open(char *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { (uintptr_t)page, ALIGN },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		printf("SKIP userfaultfd: %s\n", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

enum { HUNG = 40, FILES = 4, PART = ALIGN / (HUNG * FILES) };

static struct work store;
static sem_t stored;

static void store_run(struct work *w)
{
}

static void store_done(struct work *w)
{
	sem_post(&stored);
}

static void store_start(struct msg *m)
{
	store = (struct work){ .class = WORK_STORE, .run = store_run, .done = store_done };
	work_submit(&store);
}

static void store_one(void)
{
	static struct msg m;
	struct timespec until;

	sem_init(&stored, 0, 0);
	m.fn = store_start;
	reactor_send(reactor_at(at), &m);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	CU_ASSERT_EQUAL_FATAL(sem_timedwait(&stored, &until), 0);
}

/* All files but the last hang, which is read, and something is stored. */
static void hang_and_read(char *page, int uffd, const int fd[], unsigned n)
{
	static struct call hung[FILES][HUNG];
	struct uffdio_zeropage zero = { .range = { (uintptr_t)page, ALIGN } };
	char *buf = buffer(ALIGN, 'h');

	for (unsigned i = 0; i < n - 1; i++) {
		CU_ASSERT_EQUAL(call(RIO_WRITE, fd[i], buf, 0, ALIGN), 0);
		for (unsigned k = 0; k < HUNG; k++)
			call_begin(&hung[i][k], RIO_READ, fd[i], page + (i * HUNG + k) * PART, 0,
				   PART);
	}
	store_one();
	CU_ASSERT_EQUAL(call(RIO_WRITE, fd[n - 1], buf, 0, ALIGN), 0);
	CU_ASSERT_EQUAL(call(RIO_READ, fd[n - 1], buf, 0, ALIGN), 0);
	CU_ASSERT_EQUAL(ioctl(uffd, UFFDIO_ZEROPAGE, &zero), 0);
	for (unsigned i = 0; i < n - 1; i++)
		for (unsigned k = 0; k < HUNG; k++)
			CU_ASSERT_EQUAL(call_end(&hung[i][k]), 0);
	free(buf);
}

static void hung_leave_others(unsigned reactor, unsigned workers, unsigned files)
{
	struct reactor_options o = { .count = 1, .driver = way->driver, .workers = workers,
				     .lane = true };
	char *page = mmap(NULL, ALIGN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int uffd = uffd_open(page), fd[FILES];

	at = reactor;
	for (unsigned i = 0; i < files; i++)
		fd[i] = open_file("/dev/shm", false);
	if (uffd >= 0) {
		CU_ASSERT_EQUAL_FATAL(reactors_start(&o), 0);
		hang_and_read(page, uffd, fd, files);
		reactors_stop();
		close(uffd);
	}
	for (unsigned i = 0; i < files; i++)
		close(fd[i]);
	munmap(page, ALIGN);
	at = 0;
}

/* Three files that hang leave one quarter of the pool, however many workers the others have. */
static void test_hung_files_leave_others(void)
{
	way = &ways[5];
	hung_leave_others(0, 4, 2);
	hung_leave_others(0, 16, 4);
	hung_leave_others(1, 4, 4);
	hung_leave_others(1, 64, 4);
}

static void stuck_start(struct msg *m)
{
	for (unsigned i = 0; i < MANY; i++)
		rio_submit(&many[i].r);
}

/*
 * Writes to one buffered file are given to one worker, all of a turn together. When it hangs in
 * one, what is done already is told all the same, and others do what is behind it. Those that hang
 * go to another file, as they hold the inode's lock, but by a descriptor of the same queue.
 */
static void test_stuck_write(void)
{
	struct reactor_options o = { .count = 1, .driver = DRIVER_EPOLL, .workers = 16 };
	struct uffdio_zeropage zero = { .range = { 0, ALIGN } };
	char *page = mmap(NULL, ALIGN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *buf = buffer(ALIGN, 's'), *in = buffer(ALIGN, 0);
	static struct msg go;
	struct rlimit files = { 0 };
	int uffd = uffd_open(page), other;

	way = &ways[5];
	file = open_file("/dev/shm", false);
	other = open_file("/dev/shm", false);
	if (uffd < 0 || file < 0 || other < 0)
		return;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	CU_ASSERT_EQUAL_FATAL(dup2(other, file + 1024), file + 1024);
	CU_ASSERT_EQUAL_FATAL(reactors_start(&o), 0);
	for (unsigned i = 0; i < MANY; i++) {
		bool hangs = i && !(i % (MANY / 4));

		many[i].r = (struct rio){ .op = RIO_WRITE,
					  .fd = hangs ? file + 1024 : file,
					  .off = (uint64_t)i * ALIGN,
					  .len = ALIGN,
					  .buf = hangs ? page : buf,
					  .engine = RIO_WORKERS,
					  .done = call_done };
		many[i].submitting = false;
		sem_init(&many[i].ended, 0, 0);
	}
	go.fn = stuck_start;
	reactor_send(reactor_at(0), &go);
	for (unsigned i = 0; i < MANY; i++)
		if (!i || i % (MANY / 4))
			CU_ASSERT_EQUAL(call_end(&many[i]), 0);
	/* The same descriptor can still be read. */
	CU_ASSERT_EQUAL(call(RIO_READ, file, in, 0, ALIGN), 0);
	CU_ASSERT(all_are(in, ALIGN, 's'));
	zero.range.start = (uintptr_t)page;
	CU_ASSERT_EQUAL(ioctl(uffd, UFFDIO_ZEROPAGE, &zero), 0);
	for (unsigned i = MANY / 4; i < MANY; i += MANY / 4)
		CU_ASSERT_EQUAL(call_end(&many[i]), 0);
	reactors_stop();
	close(uffd);
	close(file + 1024);
	close(other);
	close(file);
	munmap(page, ALIGN);
	free(buf);
	free(in);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_read_write),
		UNIT(test_end_of_file),
		UNIT(test_other_operations),
		UNIT(test_errors),
		UNIT(test_many_at_once),
		UNIT(test_which_engine),
		UNIT(test_hung_files_leave_others),
		UNIT(test_stuck_write),
	};

	log_init(LOG_LEVEL_WARN);
	return unit_run("rio", tests, sizeof(tests) / sizeof(tests[0]));
}
