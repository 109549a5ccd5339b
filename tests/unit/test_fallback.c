/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reactors do where the kernel, or who runs it, does not let them: each case in a child
 * process in which seccomp answers some system calls with an error. And the watchdog, which ends a
 * process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "target/driver.h"
#include "target/log.h"
#include "target/reactor.h"
#include "tests/unit/unit.h"

/* In the child: the exit status says which line did not hold. */
#define CHECK(x) do { if (!(x)) _exit(__LINE__ % 200 + 1); } while (0)

static pid_t child(void (*fn)(void))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		log_init(-1);
		fn();
		_exit(0);
	}
	CU_ASSERT_FATAL(pid > 0);
	return pid;
}

static int child_end(pid_t pid)
{
	int status = -1;

	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return status;
}

static void in_child(void (*fn)(void))
{
	int status = child_end(child(fn));

	if (status)
		printf("child: exit %d (line modulo 200, plus 1), signal %d\n", WEXITSTATUS(status),
		       WTERMSIG(status));
	CU_ASSERT_EQUAL(status, 0);
}

/* From here on this process's system call nr fails with err. */
static void forbid(int nr, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

static int up(enum reactor_driver driver, unsigned stall_ms)
{
	struct reactor_options o = {
		.count = 2, .driver = driver, .workers = 2, .stall_ms = stall_ms
	};

	return reactors_start(&o);
}

/* ---- io_uring
 * ----------------------------------------------------------------------------------------
 */

static void no_io_uring(void)
{
	forbid(SYS_io_uring_setup, EPERM);
	CHECK(up(DRIVER_URING, 0) == -EPERM);
	CHECK(reactor_count() == 0);
	CHECK(up(DRIVER_AUTO, 0) == 0);
	CHECK(!strcmp(reactor_driver_name(), "epoll"));
	reactors_stop();
}

static void test_io_uring_forbidden(void)
{
	in_child(no_io_uring);
}

/* The probe finds it, and then there are no descriptors left for a ring per reactor. */
static void few_descriptors(void)
{
	for (rlim_t n = 4; n < 40; n++) {
		int err;

		CHECK(!setrlimit(RLIMIT_NOFILE, &(struct rlimit){ n, 64 }));
		err = up(DRIVER_AUTO, 0);
		CHECK(err == 0 || err == -EMFILE);
		CHECK(!err == (reactor_count() == 2));
		if (!err)
			reactors_stop();
	}
	CHECK(up(DRIVER_AUTO, 0) == 0);
	reactors_stop();
}

static void test_few_descriptors(void)
{
	in_child(few_descriptors);
}

/* ---- epoll and libaio
 * ----------------------------------------------------------------------------------------
 */

static sem_t ended;
static struct rio rio;
static struct timer timer;
static char page[8192] __attribute__((aligned(4096)));

static void rio_ended(struct rio *r)
{
	sem_post(&ended);
}

static void rio_start(struct msg *m)
{
	rio_submit(&rio);
}

static void timer_fired(struct timer *t)
{
	sem_post(&ended);
}

static void timer_start(struct msg *m)
{
	timer.fn = timer_fired;
	timer_arm(&timer, 20);
}

static void send_and_wait(void (*fn)(struct msg *))
{
	static struct msg m;
	struct timespec until;

	sem_init(&ended, 0, 0);
	m.fn = fn;
	reactor_send(reactor_at(1), &m);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	CHECK(!sem_timedwait(&ended, &until));
}

static void no_epoll_pwait2(void)
{
	uint64_t began = clock_ns();

	forbid(SYS_epoll_pwait2, ENOSYS);
	CHECK(up(DRIVER_EPOLL, 0) == 0);
	send_and_wait(timer_start);
	CHECK(clock_ns() - began >= 20000000);
	reactors_stop();
}

static void test_no_epoll_pwait2(void)
{
	in_child(no_epoll_pwait2);
}

static void direct_write(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_DIRECT, 0600);

	CHECK(fd >= 0);
	rio = (struct rio){ .op = RIO_WRITE,
			    .fd = fd,
			    .len = sizeof(page),
			    .buf = page,
			    .direct = true,
			    .engine = RIO_AIO,
			    .result = 77,
			    .done = rio_ended };
	send_and_wait(rio_start);
	CHECK(rio.result == 0);
	CHECK(lseek(fd, 0, SEEK_END) == sizeof(page));
	close(fd);
}

/* No contexts left on this machine: known beforehand, or only when the reactor wants its own. */
static void no_io_setup(void)
{
	enum rio_engine got;
	const char *why;

	forbid(SYS_io_setup, EAGAIN);
	CHECK(up(DRIVER_EPOLL, 0) == 0);
	CHECK(!rio_engine(RIO_AUTO, true, &got, &why) && got == RIO_WORKERS);
	CHECK(strstr(why, "aio-max-nr"));
	CHECK(rio_engine(RIO_AIO, true, &got, &why) == -ENOTSUP);
	direct_write();
	reactors_stop();
}

static void no_io_submit(void)
{
	forbid(SYS_io_submit, EAGAIN);
	CHECK(up(DRIVER_EPOLL, 0) == 0);
	direct_write();
	reactors_stop();
}

static void test_libaio(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_DIRECT, 0600);

	if (fd < 0) {
		printf("SKIP no O_DIRECT here: %s\n", strerror(errno));
		return;
	}
	close(fd);
	in_child(no_io_setup);
	in_child(no_io_submit);
}

/* ---- what rio_step() makes of the kernel's answers
 * -------------------------------------------------------------------- */

static void test_rio_step(void)
{
	char buf[1000], name[] = "/tmp/test_fallback.XXXXXX";
	struct rio r = { .op = RIO_READ,
			 .fd = mkstemp(name),
			 .off = 0,
			 .len = 1000,
			 .buf = buf,
			 .direct = true };

	CU_ASSERT_FATAL(r.fd >= 0);
	unlink(name);
	CU_ASSERT_EQUAL_FATAL(ftruncate(r.fd, 700), 0);
	memset(buf, 'x', sizeof(buf));
	/* Interrupted; no resources, but not for ever; a part; another, up to the end inside a
	 * block. */
	CU_ASSERT(!rio_step(&r, -EINTR) && !rio_tired(&r));
	for (unsigned i = 0; i < RIO_RETRIES; i++)
		CU_ASSERT(!rio_step(&r, -EAGAIN) && !rio_tired(&r));
	CU_ASSERT(!rio_step(&r, -EAGAIN) && rio_tired(&r));
	CU_ASSERT(!rio_step(&r, 512) && !rio_tired(&r) && rio_chunk(&r) == 488);
	CU_ASSERT(!rio_step(&r, 188) && rio_chunk(&r) == 300);
	CU_ASSERT(rio_step(&r, -EINVAL));
	CU_ASSERT_EQUAL(r.result, 0);
	CU_ASSERT(buf[699] == 'x' && buf[700] == 0 && buf[999] == 0);
	/* EINVAL anywhere else is one. */
	r.pos = 512;
	CU_ASSERT(rio_step(&r, -EINVAL) && r.result == -EINVAL);
	r.pos = 0;
	CU_ASSERT(rio_step(&r, -EINVAL) && r.result == -EINVAL);
	r.op = RIO_WRITE;
	r.pos = 700;
	CU_ASSERT(rio_step(&r, -EINVAL) && r.result == -EINVAL);
	r.pos = 0;
	CU_ASSERT(rio_step(&r, 0) && r.result == -EIO);
	CU_ASSERT(rio_step(&r, 1000) && r.result == 0);
	r.op = RIO_FDATASYNC;
	CU_ASSERT(rio_step(&r, -EIO) && r.result == -EIO);
	close(r.fd);
}

/* ---- watchdog
 * ----------------------------------------------------------------------------------------
 */

static void stall(struct msg *m)
{
	struct timespec ts = { 60, 0 };

	nanosleep(&ts, NULL);
}

static void stall_reactor(void)
{
	static struct msg m = { .fn = stall };
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	signal(SIGABRT, SIG_DFL);
	CHECK(up(DRIVER_AUTO, 100) == 0);
	reactor_send(reactor_at(1), &m);
	nanosleep(&(struct timespec){ 10, 0 }, NULL);
}

static void test_watchdog(void)
{
	int status = child_end(child(stall_reactor));

	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Sleeping is no stall, nor is being stopped, nor the time that passed while nobody ran. */
static void rest_and_be_stopped(void)
{
	CHECK(up(DRIVER_AUTO, 500) == 0);
	nanosleep(&(struct timespec){ 1, 0 }, NULL);
	send_and_wait(timer_start);
	reactors_stop();
}

static void test_watchdog_patience(void)
{
	pid_t pid = child(rest_and_be_stopped);

	nanosleep(&(struct timespec){ 0, 200000000 }, NULL);
	kill(pid, SIGSTOP);
	nanosleep(&(struct timespec){ 1, 500000000 }, NULL);
	kill(pid, SIGCONT);
	CU_ASSERT_EQUAL(child_end(pid), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_io_uring_forbidden),
		UNIT(test_few_descriptors),
		UNIT(test_no_epoll_pwait2),
		UNIT(test_libaio),
		UNIT(test_rio_step),
		UNIT(test_watchdog),
		UNIT(test_watchdog_patience),
	};

	return unit_run("fallback", tests, sizeof(tests) / sizeof(tests[0]));
}
