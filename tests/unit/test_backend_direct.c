/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel is asked for O_DIRECT: libaio's io_submit() is this test's, which looks at each
 * request, refuses some, and hands on the others.
 */
#include <fcntl.h>
#include <libaio.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/unit/backend_suite.h"

enum { MIB = 1 << 20 };

static struct {
	bool unknown;			/* RWF_NOWAIT is */
	int32_t fault;			/* answered to what is at fault_at */
	uint64_t fault_at;
	_Atomic unsigned asked, nowait;	/* requests; of these with RWF_NOWAIT */
} kernel;

static int kernel_submit(io_context_t ctx, struct iocb *cb)
{
	bool nowait = cb->aio_rw_flags & RWF_NOWAIT;

	atomic_fetch_add(&kernel.asked, 1);
	atomic_fetch_add(&kernel.nowait, nowait);
	if (nowait && kernel.unknown)
		return -EOPNOTSUPP;
	if (kernel.fault && (uint64_t)cb->u.c.offset == kernel.fault_at)
		return kernel.fault;
	return syscall(SYS_io_submit, ctx, 1, &cb) < 0 ? -errno : 1;
}

/* The library's: those before the first that is refused, else its error. */
int io_submit(io_context_t ctx, long nr, struct iocb **ios)
{
	int r = 1, i;

	for (i = 0; i < nr && r == 1; i++)
		r = kernel_submit(ctx, ios[i]);
	if (r == 1)
		return i;
	return i > 1 ? i - 1 : r;
}

static char path[64];

/* A LUN of 8 MiB, all written; NULL: no O_DIRECT here. */
static struct backend *lun_open(void)
{
	struct backend_options o = {
		.type = "file", .path = path, .size = 8 * MIB, .block_size = 4096,
		.name = "lun", .direct = true, .engine = RIO_AIO,
	};
	char err[256] = "", *buf = suite_buf(MIB);
	struct backend *be;
	int r;

	memset(&kernel, 0, sizeof(kernel));
	snprintf(path, sizeof(path), "./test_backend_direct.%d", getpid());
	unlink(path);
	r = backend_open(&o, &be, err, sizeof(err));
	if (r == -EINVAL && strstr(err, "does not do direct I/O")) {
		free(buf);
		return NULL;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	for (uint64_t at = 0; at < 8 * MIB; at += MIB) {
		suite_fill(buf, at, MIB, 1);
		CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, at, MIB, buf), 0);
	}
	free(buf);
	CU_ASSERT(kernel.asked > 0);
	return be;
}

static void lun_close(struct backend *be)
{
	backend_close(be);
	unlink(path);
}

/* A file that does not know RWF_NOWAIT is asked with it until it has said so, and no more. */
static void test_nowait_unknown(void)
{
	struct backend *be = lun_open();
	char *buf;

	if (!be)
		SUITE_SKIP("the file system here does not do direct I/O");
	buf = suite_buf(4096);
	kernel.unknown = true;
	kernel.asked = kernel.nowait = 0;
	for (uint64_t at = 0; at < 64; at++) {
		suite_fill(buf, at * 4096, 4096, 2);
		CU_ASSERT_EQUAL(suite_io(be, IO_WRITE, at * 4096, 4096, buf), 0);
		CU_ASSERT_EQUAL(suite_io(be, IO_READ, at * 4096, 4096, buf), 0);
		CU_ASSERT(suite_is(buf, at * 4096, 4096, 2));
	}
	CU_ASSERT_EQUAL(kernel.nowait, 1);
	CU_ASSERT_EQUAL(kernel.asked, 1 + 2 * 64);
	lun_close(be);

	/* Another file, and be it on the same descriptor, is asked anew. */
	be = lun_open();
	CU_ASSERT_EQUAL(kernel.nowait, kernel.asked);
	lun_close(be);
	free(buf);
}

/* What is not supported for another reason is an error, and says nothing of RWF_NOWAIT. */
static void test_not_supported(void)
{
	struct backend *be = lun_open();
	char *buf;

	if (!be)
		SUITE_SKIP("the file system here does not do direct I/O");
	buf = suite_buf(4096);
	kernel.fault = -EOPNOTSUPP;
	kernel.fault_at = 4096;
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 4096, 4096, buf), -EOPNOTSUPP);
	kernel.asked = kernel.nowait = 0;
	CU_ASSERT_EQUAL(suite_io(be, IO_READ, 0, 4096, buf), 0);
	CU_ASSERT_EQUAL(kernel.asked, 1);
	CU_ASSERT_EQUAL(kernel.nowait, 1);
	lun_close(be);
	free(buf);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_nowait_unknown),
		UNIT(test_not_supported),
	};

	return suite_run("backend_direct", tests, sizeof(tests) / sizeof(tests[0]), DRIVER_EPOLL);
}
