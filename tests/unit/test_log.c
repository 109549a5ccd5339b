/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/log.h"
#include "tests/unit/unit.h"

static int pipe_fd[2];

static void pipe_open(void)
{
	CU_ASSERT_EQUAL_FATAL(pipe(pipe_fd), 0);
	log_set_fd(pipe_fd[1]);
	log_init(LOG_LEVEL_INFO);
}

static void pipe_close(void)
{
	log_set_fd(2);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

/* What was written, as a string. */
static const char *pipe_read(void)
{
	static char buf[65536];
	ssize_t n;

	fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK);
	n = read(pipe_fd[0], buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void test_format(void)
{
	const char *s;
	struct tm tm = { 0 };
	time_t now = time(NULL), then;
	int ms;
	char level[8];

	pipe_open();
	errno = EXDEV;
	log_warn("event=x n=%d s=%s", 5, "a\nb\x7f" "c");
	CU_ASSERT_EQUAL(errno, EXDEV);
	s = pipe_read();
	CU_ASSERT_EQUAL(sscanf(s, "ts=%d-%d-%dT%d:%d:%d.%dZ level=%7s ", &tm.tm_year, &tm.tm_mon,
			       &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, level),
			8);
	CU_ASSERT_EQUAL(strcspn(s, "Z"), strlen("ts=2026-11-21T23:04:57.123"));
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	then = timegm(&tm);
	CU_ASSERT(then - now <= 5 && now - then <= 5);
	CU_ASSERT_STRING_EQUAL(level, "warn");
	CU_ASSERT_PTR_NOT_NULL(strstr(s, "Z level=warn event=x n=5 s=a?b?c\n"));
	pipe_close();
}

static void test_levels(void)
{
	pipe_open();
	log_debug("event=no");
	CU_ASSERT_STRING_EQUAL(pipe_read(), "");
	log_init(LOG_LEVEL_DEBUG);
	log_debug("event=yes");
	CU_ASSERT_PTR_NOT_NULL(strstr(pipe_read(), "level=debug event=yes\n"));
	log_init(LOG_LEVEL_ERROR);
	log_warn("event=no");
	CU_ASSERT_STRING_EQUAL(pipe_read(), "");
	CU_ASSERT(log_enabled(LOG_LEVEL_ERROR) && !log_enabled(LOG_LEVEL_WARN));
	CU_ASSERT_EQUAL(log_level_parse("info"), LOG_LEVEL_INFO);
	CU_ASSERT_EQUAL(log_level_parse("INFO"), -1);
	CU_ASSERT_STRING_EQUAL(log_level_name(LOG_LEVEL_DEBUG), "debug");
	pipe_close();
}

static void test_long_line(void)
{
	char big[3000];
	const char *s;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	pipe_open();
	log_info("a=%s", big);
	s = pipe_read();
	CU_ASSERT_EQUAL(strlen(s), LOG_LINE_MAX);
	CU_ASSERT_STRING_EQUAL(s + LOG_LINE_MAX - 5, "x...\n");
	pipe_close();
}

static void test_quote(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "iqn.2026-01.org:a,b", "iqn.2026-01.org:a,b" },
		{ "", "\"\"" },
		{ NULL, "\"\"" },
		{ "a b", "\"a b\"" },
		{ "a=b", "\"a=b\"" },
		{ "say \"hi\"\\", "\"say \\\"hi\\\"\\\\\"" },
		{ "l1\nl2\t\x01\xff", "\"l1\\nl2\\t\\x01\\xff\"" },
	};
	char buf[64], small[8];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_STRING_EQUAL(log_quote(buf, sizeof(buf), cases[i].in), cases[i].out);
	CU_ASSERT_STRING_EQUAL(log_quote_n(buf, sizeof(buf), "a\0b", 3), "\"a\\x00b\"");
	CU_ASSERT_STRING_EQUAL(log_quote(small, sizeof(small), "abcdefghij"), "abcdefg");
	CU_ASSERT_STRING_EQUAL(log_quote(small, sizeof(small), "a cdefghij"), "\"a cde\"");
	CU_ASSERT_STRING_EQUAL(log_quote(small, sizeof(small), "a \1\1"),
			       "\"a \""); /* no half escape */
	CU_ASSERT_STRING_EQUAL(log_quote(small, 4, "\1"), "\"\"");
	CU_ASSERT_STRING_EQUAL(LOG_Q("x y"), "\"x y\"");
}

/* ---- through the logger's thread
 * ------------------------------------------------------------------------------------ */

enum { LOGGERS = 3, LINES = 200 };

static void *log_main(void *arg)
{
	for (unsigned i = 0; i < LINES; i++)
		log_info("event=line who=%u n=%u", (unsigned)(uintptr_t)arg, i);
	return NULL;
}

static void test_thread(void)
{
	unsigned next[LOGGERS] = { 0 }, lines = 0, who, n;
	pthread_t t[LOGGERS];
	uint64_t dropped = log_dropped();
	char *s, *save = NULL;

	pipe_open();
	CU_ASSERT_EQUAL_FATAL(log_thread_start(), 0);
	for (uintptr_t i = 0; i < LOGGERS; i++)
		pthread_create(&t[i], NULL, log_main, (void *)i);
	for (unsigned i = 0; i < LOGGERS; i++)
		pthread_join(t[i], NULL);
	log_thread_stop();
	CU_ASSERT_EQUAL(log_dropped(), dropped);
	for (s = strtok_r((char *)(uintptr_t)pipe_read(), "\n", &save); s;
	     s = strtok_r(NULL, "\n", &save)) {
		const char *event = strstr(s, "event=line");

		CU_ASSERT_PTR_NOT_NULL_FATAL(event);
		CU_ASSERT_EQUAL_FATAL(sscanf(event, "event=line who=%u n=%u", &who, &n), 2);
		CU_ASSERT_EQUAL(n, next[who]);
		next[who]++;
		lines++;
	}
	CU_ASSERT_EQUAL(lines, LOGGERS * LINES);
	pipe_close();
}

static unsigned count(const char *s, const char *what)
{
	unsigned n = 0;

	for (; (s = strstr(s, what)); s++)
		n++;
	return n;
}

/* What belongs together and what does not; log_limit.h has its own test. */
static void test_series(void)
{
	const char *s;

	pipe_open();
	CU_ASSERT_EQUAL_FATAL(log_thread_start(), 0);
	for (unsigned i = 0; i < 50; i++) {
		char peer[32];

		snprintf(peer, sizeof(peer), "[fe80::1]:%u", 1000 + i);
		log_about(LOG_LEVEL_WARN, (peer, "a", "t", "w"), "event=x n=%u", i);
		log_about(LOG_LEVEL_WARN, (peer, "a", "t", "w"), "event=y n=%u", i);
		log_about(LOG_LEVEL_WARN, (peer, "b", "t", "w"), "event=x ini=b");
		log_about(LOG_LEVEL_WARN, (peer, NULL, "a", NULL), "event=x target=a");
		log_about(LOG_LEVEL_WARN, ("[fe80::2]:1", "a", "t", "w"), "event=x peer=2");
		log_about(LOG_LEVEL_DEBUG, (NULL), "event=debug");
		log_info("event=x plain");
	}
	log_thread_stop();
	s = pipe_read();
	CU_ASSERT_EQUAL(count(s, "event=x n="), 9);	/* eight, and the last one at the end */
	CU_ASSERT_EQUAL(count(s, "event=x n=49 times=42 last="), 1);
	CU_ASSERT_EQUAL(count(s, "event=y n=49 times=42 last="), 1);
	CU_ASSERT_EQUAL(count(s, "event=x ini=b"), 9);
	CU_ASSERT_EQUAL(count(s, "event=x target=a"), 9);
	CU_ASSERT_EQUAL(count(s, "event=x peer=2"), 9);
	CU_ASSERT_EQUAL(count(s, "event=debug"), 0);
	CU_ASSERT_EQUAL(count(s, "event=x plain"), 50);
	/* A logger that starts knows of none. */
	CU_ASSERT_EQUAL_FATAL(log_thread_start(), 0);
	log_about(LOG_LEVEL_WARN, ("[fe80::1]:1", "a", "t", "w"), "event=x n=0");
	log_thread_stop();
	CU_ASSERT_EQUAL(count(pipe_read(), "event=x n=0\n"), 1);
	pipe_close();
}

/*
 * Nobody reads: callers are not held up, what does not fit is counted and told later, and stopping
 * ends.
 */
static void test_reader_stalled(void)
{
	uint64_t before = log_dropped();
	char big[900];
	unsigned told = 0;
	const char *s;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	pipe_open();
	CU_ASSERT_EQUAL_FATAL(log_thread_start(), 0);
	for (unsigned i = 0; i < 3000; i++)
		log_info("n=%u a=%s", i, big);
	CU_ASSERT(log_dropped() > before);
	for (unsigned i = 0; i < 5000 && !told; i++) {
		s = strstr(pipe_read(), "event=log_dropped lines=");
		if (s)
			CU_ASSERT_EQUAL(sscanf(s, "event=log_dropped lines=%u", &told), 1);
		nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
	}
	CU_ASSERT_EQUAL(told, log_dropped() - before);
	for (unsigned i = 0; i < 1000; i++)
		log_info("n=%u a=%s", i, big);
	log_thread_stop();
	pipe_close();
	/* And again with what is left in the ring. */
	pipe_open();
	CU_ASSERT_EQUAL_FATAL(log_thread_start(), 0);
	log_thread_stop();
	pipe_close();
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_format),
		UNIT(test_levels),
		UNIT(test_long_line),
		UNIT(test_quote),
		UNIT(test_thread),
		UNIT(test_series),
		UNIT(test_reader_stalled),
	};

	return unit_run("log", tests, sizeof(tests) / sizeof(tests[0]));
}
