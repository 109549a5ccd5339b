/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon under test: configuration, start, stop, and what its log says. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/daemon/wire.h"
#include "tests/daemon/wire_impl.h"

struct daemon wire_daemon;

uint64_t wire_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

unsigned wire_slow(void)
{
	static unsigned slow;

	if (!slow) {
		const char *s = getenv("WIRE_SLOW");

		slow = s && atoi(s) > 0 ? (unsigned)atoi(s) : 1;
	}
	return slow;
}

void wire_sleep(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}

void wire_tries(bool (*attempt)(bool last))
{
	for (unsigned i = 1; !attempt(i == WIRE_TRIES); i++)
		printf("    somebody stood still: once more\n");
}

/*
 * A port of our own: several test programs run at once, of several build directories, so each port
 * is claimed by a lock on a file for as long as the program runs.
 */
static uint16_t port_claim(void)
{
	const char *base = getenv("WIRE_PORT");
	uint16_t first = base ? (uint16_t)atoi(base) : 13440;

	for (uint16_t port = first; port < first + 40; port++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
		int on = 1, s, lock;
		char path[64];

		snprintf(path, sizeof(path), "/tmp/.holdfast-test-port-%u", port);
		lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
		if (lock < 0)
			continue;
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (!flock(lock, LOCK_EX | LOCK_NB) && !bind(s, (struct sockaddr *)&a, sizeof(a))) {
			close(s);
			return port; /* the lock stays open */
		}
		close(s);
		close(lock);
	}
	fprintf(stderr, "no free port from %u on\n", first);
	exit(2);
}

static void remove_tree(const char *dir)
{
	pid_t pid = fork();

	if (!pid) {
		execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

/* At exit: no daemon and no directory is left, but a failed test's log is shown. */
static void daemon_atexit(void)
{
	if (wire_daemon.pid) {
		kill(wire_daemon.pid, SIGKILL);
		waitpid(wire_daemon.pid, NULL, 0);
	}
	if (wire_daemon.dir[0] && !getenv("WIRE_KEEP"))
		remove_tree(wire_daemon.dir);
}

static void path_in(char out[WIRE_PATH], const char *name)
{
	if (snprintf(out, WIRE_PATH, "%s/%s", wire_daemon.dir, name) >= WIRE_PATH)
		abort();
}

static void daemon_dir(void)
{
	struct daemon *d = &wire_daemon;
	const char *tmp = getenv("TMPDIR");

	if (d->dir[0])
		return;
	snprintf(d->dir, sizeof(d->dir), "%.100s/hf-wire.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(d->dir)) {
		perror(d->dir);
		exit(2);
	}
	d->port = port_claim();
	d->port2 = port_claim();
	path_in(d->config, "t.yaml");
	path_in(d->log, "log");
	atexit(daemon_atexit);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static char *log_read(void)
{
	FILE *f = fopen(wire_daemon.log, "r");
	size_t room = 16 << 20, n;
	char *text = malloc(room + 1);

	if (!text)
		abort();
	n = f ? fread(text, 1, room, f) : 0;
	text[n] = 0;
	if (f)
		fclose(f);
	return text;
}

static unsigned count_in(const char *hay, const char *needle)
{
	unsigned n = 0;

	for (const char *p = hay; (p = strstr(p, needle)); p += strlen(needle))
		n++;
	return n;
}

unsigned daemon_log_count(const char *text)
{
	char *log = log_read();
	unsigned n = count_in(log, text);

	free(log);
	return n;
}

unsigned daemon_log_await(const char *text, unsigned n)
{
	uint64_t end = wire_now() + WIRE_MS * wire_slow();
	unsigned count;

	while ((count = daemon_log_count(text)) < n && wire_now() < end)
		wire_sleep(20);
	return count;
}

static void log_show(const char *why)
{
	char *log = log_read(), *p = log;
	size_t n = strlen(log);

	if (n > 12000)
		p += n - 12000;
	printf("--- %s; the end of the daemon's log:\n%s---\n", why, p);
	free(log);
}

/* What a sanitizer or an assertion leaves in the log is a failure, whatever the test saw. */
static void log_check(void)
{
	static const char *const bad[] = {
		"ERROR: AddressSanitizer",
		"ERROR: LeakSanitizer",
		"WARNING: ThreadSanitizer",
		"runtime error:",
		"Assertion",
		"UndefinedBehaviorSanitizer",
	};
	char *log = log_read();

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *p = strstr(log, bad[i]);

		if (p) {
			printf("--- the daemon's log says:\n%.8000s\n---\n", p);
			CU_FAIL("a sanitizer or an assertion spoke");
			break;
		}
	}
	free(log);
}

/* The daemon of the build directory this program is in: BUILD/tests/daemon/test_x. */
static const char *own_daemon(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);

	path[n > 0 ? n : 0] = 0;
	for (unsigned up = 0; up < 3; up++) {
		char *slash = strrchr(path, '/');

		if (slash)
			*slash = 0;
	}
	strcat(path, "/holdfastd");
	return path;
}

void daemon_restart(void)
{
	struct daemon *d = &wire_daemon;
	const char *program = getenv("HOLDFASTD");
	uint64_t end;

	CU_ASSERT_FATAL(!d->pid);
	if (!program)
		program = own_daemon();
	remove(d->log);
	d->pid = fork();
	if (!d->pid) {
		int fd = open(d->log, O_WRONLY | O_CREAT | O_APPEND, 0644);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(program, "holdfastd", "--config", d->config, (char *)NULL);
		fprintf(stderr, "%s: %s\n", program, strerror(errno));
		_exit(127);
	}
	end = wire_now() + 10000ull * wire_slow();
	while (!daemon_log_count("state=ready")) {
		if (wire_now() > end || !daemon_alive()) {
			log_show("holdfastd does not start");
			CU_FAIL_FATAL("holdfastd does not start");
		}
		wire_sleep(5);
	}
}

void daemon_start(const char *top, const char *luns, const char *more)
{
	struct daemon *d = &wire_daemon;
	const char *driver = getenv("WIRE_DRIVER");
	bool reactors = top && strstr(top, "reactors:");
	FILE *f;

	if (d->pid)
		daemon_stop();
	daemon_dir();
	remove_tree(daemon_path("state"));
	f = fopen(d->config, "w");
	if (!f)
		abort();
	fprintf(f, "state_dir: %s/state\ncontrol: %s/control.sock\n", d->dir, d->dir);
	fprintf(f, "driver: %s\n%s%s", driver ? driver : "auto", reactors ? "" : "reactors: 2\n",
		top ? top : "");
	if (!top || !strstr(top, "portals:"))
		fprintf(f, "portals:\n  - {name: a, listen: \"127.0.0.1:%u\", group: 1}\n",
			d->port);
	fprintf(f, "targets:\n  - name: " WIRE_TARGET "\n    luns:\n%s%s",
		luns ? luns : "      - {lun: 0, name: m0, backend: memory, size: 64M}\n",
		more ? more : "");
	fclose(f);
	daemon_restart();
}

bool daemon_alive(void)
{
	struct daemon *d = &wire_daemon;

	if (d->pid && waitpid(d->pid, &d->status, WNOHANG) == d->pid)
		d->pid = 0;
	return d->pid;
}

bool daemon_wait(unsigned ms)
{
	uint64_t end = wire_now() + (uint64_t)ms * wire_slow();

	while (daemon_alive()) {
		if (wire_now() > end)
			return false;
		wire_sleep(5);
	}
	return true;
}

void daemon_stop(void)
{
	struct daemon *d = &wire_daemon;

	wire_close_all();
	if (!d->pid)
		return;
	if (!daemon_alive()) {
		log_show("holdfastd has ended by itself");
		log_check();
		CU_FAIL("holdfastd has ended by itself");
		return;
	}
	kill(d->pid, SIGTERM);
	if (!daemon_wait(WIRE_STOP_MS)) {
		int pid = d->pid;

		log_show("holdfastd does not end after SIGTERM");
		CU_FAIL("holdfastd does not end after SIGTERM");
		kill(pid, SIGABRT);
		waitpid(pid, &d->status, 0);
		d->pid = 0;
	} else if (!WIFEXITED(d->status) || WEXITSTATUS(d->status)) {
		printf("wait status %#x\n", (unsigned)d->status);
		log_show("holdfastd ended with an error");
		CU_FAIL("holdfastd ended with an error");
	}
	log_check();
}

const char *daemon_path(const char *name)
{
	static char path[WIRE_PATH];

	daemon_dir();
	path_in(path, name);
	return path;
}

void daemon_touch(const char *name)
{
	int fd = open(daemon_path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		abort();
	close(fd);
}

void daemon_remove(const char *name)
{
	unlink(daemon_path(name));
}
