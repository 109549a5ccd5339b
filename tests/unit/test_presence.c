/* SPDX-License-Identifier: Apache-2.0 */
/* When was a nexus logged in last: known, or as late as it can have been. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "target/log.h"
#include "target/presence.h"
#include "target/rcall.h"
#include "target/session.h"
#include "tests/unit/unit.h"

static char dir[] = "/var/tmp/hf-presence-XXXXXX";
static const char target[] = "iqn.2026-11.com.example:t";
static struct config_target cfg = { .name = (char *)(uintptr_t)target };
static struct node node = { .cfg = &cfg };

struct tell {
	struct session s;
	struct nexus_ref nexus;
	bool in;
};

static void tell_here(void *arg)
{
	struct tell *t = arg;

	presence_tell(&t->s, t->in);
}

static struct nexus nexus(const char *name)
{
	struct nexus n = { .tpgt = 3, .isid = { 0x80, 0, 0, 0, 0xab, 0xcd } };

	snprintf(n.initiator, sizeof(n.initiator), "%s", name);
	return n;
}

static void tell(const char *name, uint16_t tsih, bool in)
{
	struct tell t = { .s = { .node = &node, .tsih = tsih }, .in = in };

	t.nexus.nexus = nexus(name);
	t.s.nexus = &t.nexus;
	rcall_each(tell_here, &t);
	usleep(3000);
}

static uint64_t now(void)
{
	struct timespec t;

	usleep(3000);
	clock_gettime(CLOCK_REALTIME, &t);
	usleep(3000);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void settle(void)
{
	while (presence_busy())
		usleep(100);
}

/* UINT64_MAX: nothing is known. */
static uint64_t seen(const char *name)
{
	struct presence *p;
	struct nexus n = nexus(name);
	uint64_t ns;

	settle();
	p = presence_load();
	if (!presence_seen(p, target, &n, &ns))
		ns = UINT64_MAX;
	presence_free(p);
	return ns;
}

static void remove_files(void)
{
	char path[128];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/sessions.%u", dir, i);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/sessions.lock", dir);
	unlink(path);
}

#define BETWEEN(t, a, b) CU_ASSERT((t) > (a) && (t) < (b))

static void test_not_started(void)
{
	tell("a", 1, true);
	CU_ASSERT_EQUAL(seen("a"), UINT64_MAX);
	presence_stop();
}

static void test_logout(void)
{
	uint64_t t0 = now(), t1, t2;

	presence_start(dir);
	t1 = now();
	tell("a", 1, true);
	tell("b", 2, true);
	tell("a", 1, false);
	t2 = now();
	BETWEEN(seen("a"), t1, t2);
	/* Somebody who never was there: not after the start. */
	BETWEEN(seen("c"), t0, t1);
	/* Has a session, as far as the journal knows: now. */
	CU_ASSERT(seen("b") > t2);
	tell("b", 2, false);
	presence_stop();
	/* It survives. */
	presence_start(dir);
	BETWEEN(seen("a"), t1, t2);
	BETWEEN(seen("c"), t0, t1);
	presence_stop();
	remove_files();
}

/* A session of a daemon that was killed may have lasted until the next start. */
static void test_killed(void)
{
	uint64_t t1, t2, t3;

	presence_start(dir);
	tell("a", 1, true);
	tell("b", 2, true);
	tell("b", 2, false);
	t1 = now();
	presence_stop();
	t2 = now();
	presence_start(dir);
	t3 = now();
	BETWEEN(seen("a"), t2, t3);
	CU_ASSERT(seen("b") < t1);
	CU_ASSERT(seen("c") < t1);
	presence_stop();
	remove_files();
}

/* The end of a session that was replaced is told late. */
static void test_replaced(void)
{
	uint64_t t1;

	presence_start(dir);
	tell("a", 1, true);
	tell("a", 2, true);
	tell("a", 1, false);
	t1 = now();
	CU_ASSERT(seen("a") > t1);
	tell("a", 2, false);
	t1 = now();
	CU_ASSERT(seen("a") < t1);
	presence_stop();
	remove_files();
}

/* Records that were lost: anything may have been in them. */
static void test_lost(void)
{
	struct rlimit old, few;
	uint64_t t1, t2;

	presence_start(dir);
	tell("a", 1, true);
	tell("a", 1, false);
	settle();
	t1 = now();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	few = old;
	few.rlim_cur = 100;	/* less than there is: nothing can be written */
	setrlimit(RLIMIT_FSIZE, &few);
	tell("c", 2, true);
	settle();
	setrlimit(RLIMIT_FSIZE, &old);
	tell("b", 2, true);
	t2 = now();
	BETWEEN(seen("a"), t1, t2);
	BETWEEN(seen("c"), t1, t2);
	presence_stop();
	remove_files();
}

/* Another daemon's state_dir: its journal is left alone. */
static void test_two_daemons(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/sessions.lock", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	CU_ASSERT_FATAL(fd >= 0 && !flock(fd, LOCK_EX));
	presence_start(dir);
	tell("a", 1, true);
	CU_ASSERT_EQUAL(seen("a"), UINT64_MAX);
	presence_stop();
	close(fd);
	remove_files();
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_not_started), UNIT(test_logout), UNIT(test_killed), UNIT(test_replaced),
		UNIT(test_lost), UNIT(test_two_daemons),
	};
	struct reactor_options o = { .count = 1, .workers = 1 };
	int rc;

	log_init(LOG_LEVEL_ERROR);
	if (!mkdtemp(dir) || reactors_start(&o))
		return 1;
	rc = unit_run("presence", tests, sizeof(tests) / sizeof(tests[0]));
	reactors_stop();
	remove_files();
	rmdir(dir);
	return rc;
}
