/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening files and devices: what is created, what is refused and in which words, locks, and what a
 * failed write-back does.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/file.h"
#include "tests/unit/backend_media.h"
#include "tests/unit/backend_suite.h"

enum { MIB = 1 << 20 };

static char err[256], dir[64];

static char *in_dir(const char *name)
{
	static char path[4][160];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, 160, "%s/%s", dir, name);
	return p;
}

static struct backend_options options(const char *path, uint64_t size)
{
	return (struct backend_options){
		.type = "file", .path = path, .size = size, .block_size = 512, .name = "lun-a"
	};
}

/* Opens, expects `want`, and a sentence with `says` in it. NULL unless 0 or -EWOULDBLOCK. */
static struct backend *open_as(const struct backend_options *o, int want, const char *says)
{
	struct backend *be;
	int r;

	memset(err, 0, sizeof(err));
	r = backend_open(o, &be, err, sizeof(err));
	if (r != want || (says && !strstr(err, says))) {
		printf("  %s: got %d \"%s\", want %d \"%s\"\n", o->path ? o->path : "-", r, err,
		       want, says ? says : "");
		CU_FAIL("open");
	}
	CU_ASSERT_EQUAL(!be, r && r != -EWOULDBLOCK);
	return be;
}

static void make_file(const char *path, off_t size)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);

	if (fd < 0 || ftruncate(fd, size))
		abort();
	close(fd);
}

static struct stat stat_of(const char *path)
{
	struct stat st = { 0 };

	stat(path, &st);
	return st;
}

static void test_create_sparse(void)
{
	char *path = in_dir("new.img");
	struct backend_options o = options(path, 64 * MIB);
	struct backend *be = open_as(&o, 0, NULL);
	struct stat st = stat_of(path);

	CU_ASSERT_EQUAL(st.st_size, 64 * MIB);
	CU_ASSERT(st.st_blocks * 512 < MIB);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(backend_caps(be)->size, 64 * MIB);
	CU_ASSERT_PTR_NOT_NULL(strstr(be->about, "engine="));
	backend_close(be);
	/* As found, and with the same size. */
	be = open_as(&o, 0, NULL);
	backend_close(be);
	o.size = 0;
	be = open_as(&o, 0, NULL);
	CU_ASSERT_EQUAL(backend_caps(be)->size, 64 * MIB);
	backend_close(be);
	unlink(path);
}

static void test_preallocate(void)
{
	char *path = in_dir("witness.img");
	struct backend_options o = options(path, 8 * MIB);
	struct backend *be;
	int fd;

	o.preallocate = true;
	be = open_as(&o, 0, NULL);
	CU_ASSERT(stat_of(path).st_blocks * 512 >= 8 * MIB);
	CU_ASSERT_EQUAL(backend_caps(be)->discard_granularity, 0);
	CU_ASSERT_FALSE(backend_caps(be)->extents);
	/* Zeroing with leave to unmap keeps what was allocated. */
	CU_ASSERT_EQUAL(suite_io_answer(be, IO_ZERO, IO_F_UNMAP, 0, 8 * MIB, NULL, NULL), 0);
	CU_ASSERT(stat_of(path).st_blocks * 512 >= 8 * MIB);
	backend_close(be);
	/* Holes in one that exists are filled, data stays. */
	fd = open(path, O_RDWR);
	CU_ASSERT_EQUAL(pwrite(fd, "data", 4, 0), 4);
	CU_ASSERT_EQUAL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, MIB, 4 * MIB), 0);
	CU_ASSERT(stat_of(path).st_blocks * 512 < 8 * MIB);
	be = open_as(&o, 0, NULL);
	CU_ASSERT(stat_of(path).st_blocks * 512 >= 8 * MIB);
	char back[4];
	CU_ASSERT_EQUAL(pread(fd, back, 4, 0), 4);
	CU_ASSERT(!memcmp(back, "data", 4));
	backend_close(be);
	close(fd);
	unlink(path);
}

static void test_refusals(void)
{
	char *small = in_dir("small.img"), *odd = in_dir("odd.img");
	struct backend_options o;

	make_file(small, MIB);
	o = options(small, 2 * MIB);
	open_as(&o, -EINVAL, "fewer than its size of 2097152");
	CU_ASSERT_EQUAL(stat_of(small).st_size, MIB);
	o.size = MIB / 2;
	open_as(&o, -EINVAL, "1048576 bytes, more than its size of 524288");
	CU_ASSERT_EQUAL(stat_of(small).st_size, MIB);

	make_file(odd, MIB + 512);
	o = options(odd, 0);
	o.block_size = 4096;
	open_as(&o, -EINVAL, "4096-byte blocks");
	make_file(odd, 0);
	o = options(odd, 0);
	open_as(&o, -EINVAL, "is empty");
	unlink(odd);
	unlink(small);

	o = options(in_dir("missing.img"), 0);
	open_as(&o, -ENOENT, "does not exist");
	o.size = MIB;
	o.readonly = true;
	open_as(&o, -ENOENT, "read-only");
	CU_ASSERT_EQUAL(access(in_dir("missing.img"), F_OK), -1);
	o = options(in_dir("nodir/missing.img"), MIB);
	open_as(&o, -ENOENT, "cannot create");
	o = options(dir, 0);
	open_as(&o, -EINVAL, "neither a regular file nor a block device");
	o = options("/dev/null", 0);
	open_as(&o, -EINVAL, "neither");
	mkfifo(in_dir("fifo"), 0600);
	o = options(in_dir("fifo"), 0);
	open_as(&o, -EINVAL, "neither");
	unlink(in_dir("fifo"));
	o = options(NULL, MIB);
	open_as(&o, -EINVAL, "needs a path");
	o = options("", MIB);
	open_as(&o, -EINVAL, "needs a path");
	o = options(in_dir("x"), MIB + 100);
	open_as(&o, -EINVAL, "512-byte blocks");
	o = options(in_dir("x"), MIB);
	o.block_size = 520;
	open_as(&o, -EINVAL, "power of two");
	o.block_size = 512;
	o.type = "tape";
	open_as(&o, -EINVAL, "no backend \"tape\"");
	o.type = "memory";
	o.size = 0;
	open_as(&o, -EINVAL, "needs a size");
	o.type = "null";
	open_as(&o, -EINVAL, "needs a size");
}

/* A file that cannot be made whole is not left behind. */
static void test_create_fails_cleanly(void)
{
	char path[200];
	const struct medium *m = media_find("ext4");
	struct backend_options o = options(path, 1ull << 30);

	if (m->why[0])
		SUITE_SKIP(m->why);
	snprintf(path, sizeof(path), "%s/huge.img", m->path);
	o.preallocate = true;
	open_as(&o, -ENOSPC, "all allocated: No space left");
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	o.preallocate = false;
	o.size = 1ull << 60;
	open_as(&o, -EFBIG, "cannot create");
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
}

static void test_readonly(void)
{
	char *path = in_dir("ro.img"), *buf = suite_buf(4096);
	struct backend_options o = options(path, 0);
	struct backend *be;

	make_file(path, MIB);
	chmod(path, 0400);
	o.readonly = true;
	be = open_as(&o, 0, NULL);
	CU_ASSERT_TRUE(backend_caps(be)->readonly);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, 4096, buf), 0);
	memset(buf, 0, 4096);
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, 4096, buf), -EROFS);
	CU_ASSERT_EQUAL(suite_io(be, IO_ZERO, 0, 4096, NULL), -EROFS);
	CU_ASSERT_EQUAL(suite_io(be, IO_DISCARD, 0, 4096, NULL), -EROFS);
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
	backend_close(be);
	unlink(path);
	free(buf);
}

/* ---- locks ----------------------------------------------------------------------------------- */

static void test_two_on_one_file(void)
{
	char *path = in_dir("one.img"), *link_path = in_dir("other-name.img");
	struct backend_options a = options(path, MIB), b = options(link_path, 0);
	struct backend *be = open_as(&a, 0, NULL);

	b.name = "lun-b";
	CU_ASSERT_EQUAL(symlink(path, link_path), 0);
	open_as(&b, -EBUSY, "already in use by lun-a");
	unlink(link_path);
	CU_ASSERT_EQUAL(link(path, link_path), 0);
	open_as(&b, -EBUSY, "already in use by lun-a");
	backend_close(be);
	be = open_as(&b, 0, NULL);
	backend_close(be);
	unlink(link_path);
	unlink(path);
}

/* A process that holds a lock on path until it is told to go. */
static pid_t holder_start(const char *path, int flags, int *tell)
{
	int ready[2], go[2];
	char c;
	pid_t pid;

	if (pipe(ready) || pipe(go))
		abort();
	pid = fork();
	if (!pid) {
		int fd = open(path, O_RDWR | flags);

		close(go[1]);
		c = fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) ? 'y' : 'n';
		if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(ready[1]);
	close(go[0]);
	if (pid < 0 || read(ready[0], &c, 1) != 1 || c != 'y')
		abort();
	close(ready[0]);
	*tell = go[1];
	return pid;
}

static void holder_end(pid_t pid, int tell)
{
	close(tell);
	waitpid(pid, NULL, 0);
}

static void lock_run(const char *path, int flags, uint64_t size, const char *says)
{
	struct backend_options o = options(path, 0);
	char *buf = suite_buf(4096);
	struct backend *be;
	int tell;
	pid_t pid = holder_start(path, flags, &tell);

	o.filters = "check";
	be = open_as(&o, -EWOULDBLOCK, says);
	CU_ASSERT_TRUE(be->busy);
	/* What it is is known; it does nothing. */
	CU_ASSERT_EQUAL(backend_caps(be)->size, size);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, 4096, buf), -EBUSY);
	CU_ASSERT_EQUAL(backend_retry(be), -EWOULDBLOCK);
	CU_ASSERT_TRUE(be->busy);
	CU_ASSERT_STRING_NOT_EQUAL(be->errbuf, "");
	/* The second LUN on it is an error even so. */
	open_as(&o, -EBUSY, "already in use by");
	holder_end(pid, tell);
	CU_ASSERT_EQUAL(backend_retry(be), 0);
	CU_ASSERT_FALSE(be->busy);
	CU_ASSERT_EQUAL(backend_retry(be), 0);
	memset(buf, 7, 4096);
	CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, 0, 4096, buf), 0);
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
	/* Now it is ours, for others too. */
	int fd = open(path, O_RDWR | flags);
	CU_ASSERT(fd < 0 || (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK));
	if (fd >= 0)
		close(fd);
	backend_close(be);
	fd = open(path, O_RDWR | flags);
	CU_ASSERT(fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB));
	close(fd);
	/* Closed while still waiting. */
	pid = holder_start(path, flags, &tell);
	be = open_as(&o, -EWOULDBLOCK, says);
	backend_close(be);
	holder_end(pid, tell);
	free(buf);
}

static void test_lock_file(void)
{
	char *path = in_dir("locked.img");

	make_file(path, MIB);
	lock_run(path, 0, MIB, "is locked by another process");
	unlink(path);
}

static void test_lock_device(void)
{
	const struct medium *m = media_find("loop512");

	if (m->why[0])
		SUITE_SKIP(m->why);
	lock_run(m->path, O_EXCL, 64 * MIB, "is in use");
	lock_run(m->path, 0, 64 * MIB, "is locked by another process");
}

/* While its lock was waited for the file changed: not what was shown to initiators. */
static void test_lock_then_changed(void)
{
	char *path = in_dir("changing.img");
	struct backend_options o = options(path, 0);
	struct backend *be;
	int tell;
	pid_t pid;

	make_file(path, MIB);
	pid = holder_start(path, 0, &tell);
	be = open_as(&o, -EWOULDBLOCK, NULL);
	CU_ASSERT_EQUAL(truncate(path, 2 * MIB), 0);
	holder_end(pid, tell);
	CU_ASSERT_EQUAL(backend_retry(be), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(be->errbuf, "changed its size"));
	CU_ASSERT_TRUE(be->busy);
	CU_ASSERT_EQUAL(truncate(path, MIB), 0);
	CU_ASSERT_EQUAL(backend_retry(be), 0);
	backend_close(be);

	pid = holder_start(path, 0, &tell);
	be = open_as(&o, -EWOULDBLOCK, NULL);
	CU_ASSERT_EQUAL(rename(path, in_dir("moved.img")), 0);
	make_file(path, MIB);
	holder_end(pid, tell);
	CU_ASSERT_EQUAL(backend_retry(be), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(be->errbuf, "replaced"));
	backend_close(be);
	unlink(path);
	unlink(in_dir("moved.img"));
}

/* ---- devices --------------------------------------------------------------------------------- */

static void test_device_sizes(void)
{
	const struct medium *m = media_find("loop4096");
	struct backend_options o = options(m->path, 0);

	if (m->why[0])
		SUITE_SKIP(m->why);
	open_as(&o, -EINVAL, "needs blocks of 4096 bytes");
	o.block_size = 4096;
	o.size = 32 * MIB;
	open_as(&o, -EINVAL, "more than its size");
	o.size = 128 * MIB;
	open_as(&o, -EINVAL, "fewer than its size");
	o.size = 64 * MIB;
	backend_close(open_as(&o, 0, NULL));
}

/* ---- dirty data ------------------------------------------------------------------------------ */

/* More than the bound, from both reactors: all of it ends, and is there. */
static void test_write_behind(void)
{
	const struct medium *m = media_find("ext4");
	enum { N = 180, DEPTH = 8 };
	static struct suite_io s[DEPTH];
	char path[200], *buf = suite_buf(MIB), *back = suite_buf(MIB);
	struct backend_options o = options(path, N * (uint64_t)MIB);
	struct backend *be;

	if (m->why[0])
		SUITE_SKIP(m->why);
	snprintf(path, sizeof(path), "%s/behind.img", m->path);
	suite_fill(buf, 0, MIB, 1);
	be = open_as(&o, 0, NULL);
	for (unsigned i = 0; i < N + DEPTH; i++) {
		struct suite_io *w = &s[i % DEPTH];

		if (i >= DEPTH)
			CU_ASSERT(suite_wait(w, 60000) && !w->io.result);
		if (i < N)
			suite_start(w, i, be, IO_WRITE, 0, (uint64_t)i * MIB, MIB, buf);
	}
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
	for (unsigned i = 0; i < N; i += 37) {
		CU_ASSERT_EQUAL(suite_io(be, IO_READ, (uint64_t)i * MIB, MIB, back), 0);
		CU_ASSERT(!memcmp(buf, back, MIB));
	}
	backend_close(be);
	unlink(path);
	free(buf);
	free(back);
}

/*
 * A device that loses what it was given: a loop device over a sparse file in a file system that is
 * full. Every flush from then on fails, whichever reactor it comes from, until the administrator
 * clears it; reads and other stores go on.
 */
static void test_write_back_error_sticks(void)
{
	const struct medium *m = media_find("loopfull");
	struct backend_options o = options(m->path, 0);
	enum { FLUSHES = 6 };
	static struct suite_io s[FLUSHES];
	char *buf = suite_buf(MIB);
	struct backend *be;

	if (m->why[0])
		SUITE_SKIP(m->why);
	log_init(LOG_LEVEL_ERROR);
	be = open_as(&o, 0, NULL);
	suite_fill(buf, 0, MIB, 1);
	for (unsigned i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, (uint64_t)i * MIB, MIB, buf), 0);
	for (unsigned i = 0; i < FLUSHES; i++)
		suite_start(&s[i], i, be, IO_FLUSH, 0, 0, 0, NULL);
	for (unsigned i = 0; i < FLUSHES; i++)
		CU_ASSERT(suite_wait(&s[i], 60000) && s[i].io.result < 0);
	for (unsigned i = 0; i < FLUSHES; i++)
		CU_ASSERT(suite_io(be, IO_FLUSH, 0, 0, NULL) < 0);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, MIB, buf), 0);
	backend_clear_error(be);
	CU_ASSERT_EQUAL(suite_io(be, IO_FLUSH, 0, 0, NULL), 0);
	backend_close(be);
	free(buf);
}

static int frozen;

static void thaw(int sig)
{
	(void)ioctl(frozen, FITHAW, 0);
}

/*
 * A device that hangs, with more requests than its queue has places: the reactors go on. libaio's
 * io_submit() would wait for a place.
 */
static void test_device_hangs(void)
{
	const struct medium *m = media_find("loopice");
	struct backend_options o = options(m->path, 0), none = o;
	enum { N = 400 };
	static struct suite_io s[N], other[4];
	char path[200], *buf = suite_buf(MIB);
	struct backend *be, *memory;

	if (m->why[0])
		SUITE_SKIP(m->why);
	o.direct = true;
	o.engine = RIO_AIO;
	none.type = "memory";
	none.size = MIB;
	be = open_as(&o, 0, NULL);
	memory = open_as(&none, 0, NULL);
	snprintf(path, sizeof(path), "%s/loopice", media_top);
	frozen = open(path, O_RDONLY | O_DIRECTORY);
	suite_fill(buf, 0, MIB, 1);
	CU_ASSERT_EQUAL_FATAL(ioctl(frozen, FIFREEZE, 0), 0);
	signal(SIGALRM, thaw);		/* or a reactor that waits would leave it so, */
	alarm(3);		/* and be ended for it after 5 s */
	for (unsigned i = 0; i < N; i++)
		suite_start(&s[i], i, be, IO_WRITE, 0, i * 8192ull, 4096, buf);
	for (unsigned i = 0; i < 4; i++) {
		suite_start(&other[i], i, memory, IO_WRITE, 0, i * 4096ull, 4096, buf);
		CU_ASSERT(suite_wait(&other[i], 2500) && !other[i].io.result);
	}
	CU_ASSERT(!suite_wait(&s[N - 1], 100));		/* it does hang */
	CU_ASSERT_EQUAL(ioctl(frozen, FITHAW, 0), 0);
	alarm(0);
	for (unsigned i = 0; i < N; i++)
		CU_ASSERT(suite_wait(&s[i], 60000) && !s[i].io.result);
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, (N - 1) * 8192ull, 4096, buf + 4096), 0);
	CU_ASSERT_EQUAL(memcmp(buf, buf + 4096, 4096), 0);
	close(frozen);
	backend_close(memory);
	backend_close(be);
	free(buf);
}

static _Atomic unsigned pwrites, pwrites_reactor;

/* The C library's, counted. */
ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	atomic_fetch_add(reactor_self() ? &pwrites_reactor : &pwrites, 1);
	return syscall(SYS_pwrite64, fd, buf, n, off);
}

/*
 * A write to the page cache may wait whatever the file system says (XFS with little space left, for
 * seconds): it is done by a thread that may, and not by io_uring, which would try first.
 */
static void test_buffered_write_not_on_reactor(void)
{
	static const char *const names[] = { "tmpfs", "ext4", "xfs" };
	char path[200], *buf = suite_buf(MIB);
	enum { N = 64 };
	static struct suite_io s[N];

	for (unsigned m = 0; m < sizeof(names) / sizeof(names[0]); m++) {
		const struct medium *on = media_find(names[m]);
		struct backend_options o = options(path, N * (uint64_t)MIB);
		struct backend *be;

		if (on->why[0])
			SUITE_SKIP(on->why);
		snprintf(path, sizeof(path), "%s/lun.img", on->path);
		be = open_as(&o, 0, NULL);
		for (unsigned again = 0; again < 2; again++) {
			atomic_store(&pwrites, 0);
			for (unsigned i = 0; i < N; i++)
				suite_start(&s[i], i, be, IO_WRITE, 0, i * (uint64_t)MIB, 4096,
					    buf);
			for (unsigned i = 0; i < N; i++)
				CU_ASSERT(suite_wait(&s[i], 10000) && !s[i].io.result);
			CU_ASSERT_EQUAL(atomic_load(&pwrites), N);
		}
		backend_close(be);
		unlink(path);
	}
	CU_ASSERT_EQUAL(atomic_load(&pwrites_reactor), 0);
	free(buf);
}

/* A full file system is ENOSPC, not a failing disk. */
static void test_no_space(void)
{
	const struct medium *m = media_find("full");
	char path[200], *buf = suite_buf(MIB);
	struct backend_options o = options(path, 64 * MIB);
	struct backend *be;
	int r = 0;

	if (m->why[0])
		SUITE_SKIP(m->why);
	snprintf(path, sizeof(path), "%s/lun.img", m->path);
	be = open_as(&o, 0, NULL);
	memset(buf, 1, MIB);
	for (unsigned i = 0; i < 64 && !r; i++)
		r = suite_io(be, IO_WRITE, (uint64_t)i * MIB, MIB, buf);
	CU_ASSERT_EQUAL(r, -ENOSPC);
	backend_close(be);
	unlink(path);
	free(buf);
}

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = {
		UNIT(test_create_sparse),
		UNIT(test_preallocate),
		UNIT(test_refusals),
		UNIT(test_create_fails_cleanly),
		UNIT(test_readonly),
		UNIT(test_two_on_one_file),
		UNIT(test_lock_file),
		UNIT(test_lock_device),
		UNIT(test_lock_then_changed),
		UNIT(test_device_sizes),
		UNIT(test_write_behind),
		UNIT(test_write_back_error_sticks),
		UNIT(test_device_hangs),
		UNIT(test_buffered_write_not_on_reactor),
		UNIT(test_no_space),
	};
	int r;

	media_make();
	snprintf(dir, sizeof(dir), "%s", media_top);
	r = suite_run("backend_file", tests, sizeof(tests) / sizeof(tests[0]),
		      argc > 1 && !strcmp(argv[1], "epoll") ? DRIVER_EPOLL : DRIVER_AUTO);
	return r;
}
