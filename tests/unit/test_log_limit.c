/* SPDX-License-Identifier: Apache-2.0 */
/* What repeats itself in the log: seen at once, seen to go on, and only so much of it. */
#include <string.h>

#include "target/log_limit.h"
#include "tests/unit/unit.h"

#define TS1 "2026-11-21T03:00:00.000Z"
#define TS2 "2026-11-21T03:10:00.000Z"

enum { MIN = 60000, HOUR = 60 * MIN };

static struct log_limit limit;
static char out[LOG_LINE_MAX + 1];

static bool take(unsigned subject, uint64_t now, const char *text)
{
	char line[LOG_LINE_MAX];
	int n = snprintf(line, sizeof(line), "ts=" TS1 " level=warn event=x %s\n", text);

	return log_limit_take(&limit, (struct log_key){ 1000 + subject, 7 }, now, line,
			      (uint32_t)n);
}

/* The next line that is due, as a string; empty: none. */
static const char *due(uint64_t now)
{
	uint32_t n = log_limit_due(&limit, now, TS2, out);

	CU_ASSERT(n <= LOG_LINE_MAX);
	out[n] = '\0';
	return out;
}

static void test_first_at_once(void)
{
	log_limit_init(&limit);
	for (unsigned i = 0; i < LOG_AT_ONCE; i++)
		CU_ASSERT(take(1, 5000, "a"));
	CU_ASSERT(!take(1, 5000, "a"));
	CU_ASSERT(take(2, 5000, "b"));	/* somebody else's */
}

static void test_told_later(void)
{
	log_limit_init(&limit);
	CU_ASSERT_EQUAL(log_limit_next(&limit), UINT64_MAX);
	for (unsigned i = 0; i < LOG_AT_ONCE; i++)
		take(1, 0, "conn=1");
	CU_ASSERT_EQUAL(log_limit_next(&limit), UINT64_MAX);
	CU_ASSERT(!take(1, 10, "conn=2"));
	CU_ASSERT(!take(1, 20, "conn=3"));
	CU_ASSERT_EQUAL(log_limit_next(&limit), MIN);
	CU_ASSERT_STRING_EQUAL(due(MIN - 1), "");
	CU_ASSERT_STRING_EQUAL(due(MIN), "ts=" TS2 " level=warn event=x conn=3 times=2 last=" TS1
				     "\n");
	CU_ASSERT_STRING_EQUAL(due(MIN), "");
	CU_ASSERT_EQUAL(log_limit_next(&limit), UINT64_MAX);
	/* It goes on: two minutes now. */
	CU_ASSERT(!take(1, MIN + 1, "conn=4"));
	CU_ASSERT_EQUAL(log_limit_next(&limit), 3 * MIN);
}

static void test_quiet_is_over(void)
{
	log_limit_init(&limit);
	for (unsigned i = 0; i <= LOG_AT_ONCE; i++)
		take(1, 0, "a");
	CU_ASSERT(*due(MIN));
	/* Nothing for the two minutes it would have waited. */
	CU_ASSERT(take(1, 3 * MIN, "a"));
	/* What was kept is not forgotten over that, though nobody asked in time. */
	log_limit_init(&limit);
	for (unsigned i = 0; i <= LOG_AT_ONCE; i++)
		take(1, 0, "a");
	CU_ASSERT(!take(1, HOUR, "b"));
	CU_ASSERT_PTR_NOT_NULL(strstr(due(HOUR), " b times=2 "));
}

/* Sixty-four hosts, once a second each, for a day; the clock of the logger's thread. */
static void test_day(void)
{
	enum { HOSTS = 64, STEP = 1000 };
	unsigned lines = 0;
	uint64_t n = 0, counted = 0, last_line = 0, silence = 0, now;

	log_limit_init(&limit);
	for (now = 0; now < 24 * HOUR; now += STEP) {
		for (unsigned h = 0; h < HOSTS; h++, n++)
			if (take(h, now, "a")) {
				lines++;
				counted++;
			}
		while (*due(now)) {
			uint64_t times = 0;

			sscanf(strstr(out, "times="), "times=%lu", &times);
			lines++;
			counted += times;
			silence = now - last_line > silence ? now - last_line : silence;
			last_line = now;
		}
	}
	while (*due(now + HOUR)) {
		uint64_t times = 0;

		sscanf(strstr(out, "times="), "times=%lu", &times);
		counted += times;
	}
	CU_ASSERT_EQUAL(counted, n);		/* each was told or counted */
	CU_ASSERT(lines < HOSTS * 110);		/* of 86,400 per host */
	CU_ASSERT(silence <= LOG_WAIT_MAX_MS);	/* and it is seen to go on */
}

/* Who comes with a new name each time gets the places there are; others in their series do not. */
static void test_many_names(void)
{
	unsigned lines = 0;

	log_limit_init(&limit);
	for (unsigned i = 0; i < LOG_AT_ONCE; i++)
		take(0, 0, "mine");
	for (unsigned i = 1; i < 100000; i++)
		lines += take(i, 100, "a");
	CU_ASSERT_EQUAL(lines, LOG_SUBJECTS - 1 + LOG_AT_ONCE);
	CU_ASSERT(!take(0, 200, "mine"));
	/* Places come back when their series have been quiet for long. */
	CU_ASSERT(*due(MIN + 100));
	CU_ASSERT(*due(MIN + 100));
	CU_ASSERT_STRING_EQUAL(due(MIN + 100), "");
	CU_ASSERT(!take(200000, MIN + 200, "a"));
	CU_ASSERT(take(200001, 100 + MIN + LOG_WAIT_MAX_MS, "a"));
	CU_ASSERT(take(200001, 100 + MIN + LOG_WAIT_MAX_MS, "a"));
}

static void test_long_line(void)
{
	char text[LOG_LINE_MAX];

	memset(text, 'x', sizeof(text));
	text[LOG_LINE_MAX - 60] = '\0';
	log_limit_init(&limit);
	for (unsigned i = 0; i <= LOG_AT_ONCE; i++)
		take(1, 0, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(due(MIN), "xxx times=1 last=" TS1 "\n"));
}

UNIT_MAIN("log limit", UNIT(test_first_at_once), UNIT(test_told_later), UNIT(test_quiet_is_over),
	  UNIT(test_day), UNIT(test_many_names), UNIT(test_long_line))
