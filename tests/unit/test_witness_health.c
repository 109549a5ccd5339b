/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings: when each one begins, what it says, and when it is over. */
#include "tests/unit/witness_world.h"

#define A "iqn.1991-05.com.example:node-a"
#define B "iqn.1991-05.com.example:node-b"

static bool warns(enum witness_warning i)
{
	return ww.picture.warnings >> i & 1;
}

static bool says(enum witness_warning i, const char *want)
{
	char text[WITNESS_TEXT_MAX];
	struct witness_time now = ww_now();

	witness_warning_text(&ww, i, &now, text, sizeof(text));
	if (strcmp(text, want))
		printf("--- wanted %s\n--- got    %s\n", want, text);
	return !strcmp(text, want);
}

/* How often a warning began, and ended. */
static unsigned told(enum witness_warning i, bool on)
{
	unsigned n = 0;

	for (unsigned k = 0; k < ww_n; k++)
		n += ww_entry[k].kind == WITNESS_WARNING && ww_entry[k].how == i &&
		     ww_entry[k].flag == on;
	return n;
}

static void test_well(void)
{
	ww_world();
	win_login('a');
	win_register('a');
	win_defend('a', 100);
	CU_ASSERT_EQUAL(ww.picture.warnings, 0);
	CU_ASSERT_EQUAL(ww_count(WITNESS_WARNING, 0), 0);
}

static void test_one_registrant(void)
{
	ww_world();
	ww_login(nx('a'));
	ww_login(nx('b'));
	ww_pr(nx('a'), REGISTER, 0, 0, 0xa);
	ww_wait(70000);
	CU_ASSERT(!warns(WITNESS_ONE_REGISTRANT));
	/* A challenger that comes and goes was no member. */
	ww_pr(nx('b'), REGISTER, 0, 0, 0xb);
	ww_wait(10000);
	ww_pr(nx('a'), PREEMPT, 0, 0xa, 0xb);
	ww_wait(1000);
	CU_ASSERT(!warns(WITNESS_ONE_REGISTRANT));
	ww_pr(nx('b'), REGISTER, 0, 0, 0xb);
	ww_wait(70000);
	ww_pr(nx('b'), REGISTER, 0, 0xb, 0);
	ww_wait(1000);
	CU_ASSERT(warns(WITNESS_ONE_REGISTRANT));
	CU_ASSERT(says(WITNESS_ONE_REGISTRANT, "only one host is registered, of 2 that were"));
	ww_pr(nx('b'), REGISTER, 0, 0, 0xb);
	ww_wait(1000);
	CU_ASSERT(!warns(WITNESS_ONE_REGISTRANT));
	CU_ASSERT_EQUAL(told(WITNESS_ONE_REGISTRANT, true), 1);
	CU_ASSERT_EQUAL(told(WITNESS_ONE_REGISTRANT, false), 1);
	/* All gone: it is not used any more. */
	ww_pr(nx('b'), CLEAR, 0, 0xb, 0);
	ww_pr(nx('b'), REGISTER, 0, 0, 0xb);
	ww_wait(1000);
	CU_ASSERT(!warns(WITNESS_ONE_REGISTRANT));
	CU_ASSERT(ww_replays());
}

static void test_no_defence(void)
{
	ww_world();
	win_login('a');
	win_register('a');
	win_defend('a', 5);
	ww_wait(7000);
	CU_ASSERT(!warns(WITNESS_NO_DEFENCE));
	ww_wait(2000);
	CU_ASSERT(warns(WITNESS_NO_DEFENCE));
	CU_ASSERT(says(WITNESS_NO_DEFENCE, "the owner, " A ", has not defended the disk for 12 s"));
	ww_wait(30000);
	win_defend('a', 2);
	CU_ASSERT(!warns(WITNESS_NO_DEFENCE));
	CU_ASSERT_EQUAL(told(WITNESS_NO_DEFENCE, true), 1);
	CU_ASSERT_EQUAL(told(WITNESS_NO_DEFENCE, false), 1);
	/* An owner that never defends, as KVM's: no warning. */
	ww_world();
	ww_login(nx('a'));
	ww_pr(nx('a'), REGISTER, 0, 0, 0xa);
	ww_pr(nx('a'), RESERVE, 5, 0xa, 0);
	ww_wait(100000);
	CU_ASSERT(!warns(WITNESS_NO_DEFENCE));
	CU_ASSERT(ww_replays());
}

static void test_owner_gone(void)
{
	ww_world();
	win_login('a');
	win_register('a');
	win_defend('a', 1);
	ww_logout(nx_of('a', 1, 1), false);
	ww_wait(20000);
	CU_ASSERT(!warns(WITNESS_OWNER_GONE));
	CU_ASSERT(warns(WITNESS_PATH_LOST));
	CU_ASSERT(says(WITNESS_PATH_LOST, A " has lost a path"));
	ww_logout(nx_of('a', 2, 2), true);
	ww_wait(10000);
	CU_ASSERT(!warns(WITNESS_OWNER_GONE));
	ww_wait(1000);
	CU_ASSERT(warns(WITNESS_OWNER_GONE));
	CU_ASSERT(says(WITNESS_OWNER_GONE, "the owner, " A ", has had no session for 11 s"));
	CU_ASSERT(!warns(WITNESS_PATH_LOST));
	ww_login(nx_of('a', 2, 2));
	ww_login(nx_of('a', 1, 1));
	ww_wait(1000);
	CU_ASSERT(!ww.picture.warnings);
	/* The daemon starts again; the owner comes back at once, or does not. */
	ww_start();
	ww_wait(5000);
	CU_ASSERT(!warns(WITNESS_OWNER_GONE));
	ww_wait(6000);
	CU_ASSERT(warns(WITNESS_OWNER_GONE));
	CU_ASSERT(ww_replays());
}

/* Logged out in order: no path is missed. Back with another ISID: neither. */
static void test_path_lost(void)
{
	ww_world();
	ww_login(nx_of('a', 1, 1));
	ww_login(nx_of('a', 2, 2));
	ww_logout(nx_of('a', 2, 2), true);
	ww_wait(60000);
	CU_ASSERT(!ww.picture.warnings);
	ww_login(nx_of('a', 2, 2));
	ww_logout(nx_of('a', 2, 2), false);
	ww_wait(5000);
	CU_ASSERT(!ww.picture.warnings);
	ww_wait(6000);
	CU_ASSERT(warns(WITNESS_PATH_LOST));
	ww_login(nx_of('a', 7, 2));
	ww_wait(1000);
	CU_ASSERT(!ww.picture.warnings);
	CU_ASSERT_EQUAL(witness_node_sessions(&ww.picture.node[0]), 2);
	CU_ASSERT(ww_replays());
}

static void latency(uint32_t us, unsigned seconds)
{
	while (seconds--) {
		ww_event((struct witness_event){ .kind = WITNESS_EV_LATENCY,
						 .latency = { 10, us, us * UINT64_C(10) } });
		ww_wait(1000);
	}
}

static void test_slow(void)
{
	ww_world();
	latency(2000, 60);
	latency(60000, 20);
	CU_ASSERT(!warns(WITNESS_SLOW));
	latency(60000, 20);
	CU_ASSERT(warns(WITNESS_SLOW));
	CU_ASSERT(says(WITNESS_SLOW, "commands take 60 ms, usually 2 ms"));
	latency(60000, 600);
	CU_ASSERT(warns(WITNESS_SLOW));
	latency(2500, 20);
	CU_ASSERT(!warns(WITNESS_SLOW));
	CU_ASSERT_EQUAL(told(WITNESS_SLOW, true), 1);
	CU_ASSERT_EQUAL(ww.pace.longest_us, 60000);
	/* Four times as long as very short is short. */
	latency(10000, 100);
	CU_ASSERT(!warns(WITNESS_SLOW));
}

static void space(enum witness_space which, uint64_t free, uint64_t size)
{
	ww_event(
		(struct witness_event){ .kind = WITNESS_EV_SPACE, .space = { which, free, size } });
	ww_wait(1000);
}

static void test_full(void)
{
	ww_world();
	space(WITNESS_SPACE_STORE, 5ull << 30, 100ull << 30);
	CU_ASSERT(!ww.picture.warnings);
	space(WITNESS_SPACE_STORE, 4ull << 30, 100ull << 30);
	CU_ASSERT(warns(WITNESS_FULL));
	CU_ASSERT(says(WITNESS_FULL, "the file system of the disk has 4 % left"));
	space(WITNESS_SPACE_STATE, 0, 1 << 20);
	CU_ASSERT(says(WITNESS_FULL, "the file system of the state directory has 0 % left"));
	space(WITNESS_SPACE_STATE, 1 << 20, 1 << 20);
	space(WITNESS_SPACE_STORE, 6ull << 30, 100ull << 30);
	CU_ASSERT(!ww.picture.warnings);
	CU_ASSERT_EQUAL(told(WITNESS_FULL, true), 1);
	ww_event((struct witness_event){ .kind = WITNESS_EV_JOURNAL, .journal.lost = 3 });
	ww_wait(1000);
	CU_ASSERT(warns(WITNESS_JOURNAL_LOST));
	CU_ASSERT(says(WITNESS_JOURNAL_LOST, "3 entries could not be written into the journal"));
}

/* What people read. */
static void test_text(void)
{
	struct {
		int64_t ms;
		const char *text;
	} spans[] = { { -1, "some time" },	 { 0, "0 ms" },
		      { 999, "999 ms" },	 { 1000, "1 s" },
		      { 119400, "119 s" },	 { 120000, "2 min" },
		      { 7140000, "119 min" },	 { 7200000, "2 h 0 min" },
		      { 9000000, "2 h 30 min" }, { 172799000, "47 h 59 min" },
		      { 172800000, "2 days" } };
	struct {
		uint64_t s;
		const char *text;
	} times[] = { { 0, "1970-01-01 00:00:00 UTC" },
		      { 951782400, "2000-02-29 00:00:00 UTC" },
		      { 1709251199, "2024-02-29 23:59:59 UTC" },
		      { 1709251200, "2024-03-01 00:00:00 UTC" },
		      { 4107542400, "2100-03-01 00:00:00 UTC" },
		      { 1798761599, "2026-12-31 23:59:59 UTC" } };
	char buf[64];

	for (unsigned i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		CU_ASSERT_STRING_EQUAL(witness_span_text(spans[i].ms, buf, sizeof(buf)),
				       spans[i].text);
	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct witness_time t = { .utc_ms = times[i].s * 1000, .run = 1 };

		CU_ASSERT_STRING_EQUAL(witness_time_text(&t, buf, sizeof(buf)), times[i].text);
	}
	for (unsigned i = 0; i < WITNESS_KINDS; i++)
		CU_ASSERT(witness_kind_name(i) != NULL);
	for (unsigned i = 0; i < WITNESS_WARNINGS; i++)
		CU_ASSERT(witness_warning_name(i) != NULL);
	for (unsigned i = 0; i < WITNESS_HOWS; i++)
		CU_ASSERT(witness_how_name(i) != NULL);
	for (unsigned i = 0; i < WITNESS_SOFTWARES; i++)
		CU_ASSERT(witness_software_name(i) != NULL);
	CU_ASSERT_PTR_NULL(witness_kind_name(WITNESS_KINDS));
}

/* Each entry in words. */
static void test_entries(void)
{
	struct {
		struct witness_entry e;
		const char *text;
	} rows[] = {
		{ { .kind = WITNESS_STARTED }, "the daemon started" },
		{ { .kind = WITNESS_LOGGED_IN, .who = nx('a') }, A " logged in" },
		{ { .kind = WITNESS_LOGGED_OUT, .who = nx('a'), .flag = true }, A " logged out" },
		{ { .kind = WITNESS_LOGGED_OUT, .who = nx('a') }, A " lost its connection" },
		{ { .kind = WITNESS_REGISTERED, .who = nx('a'), .how = 6, .value = 0xabc },
		  A " registered key 0000000000000abc: REGISTER AND IGNORE EXISTING KEY" },
		{ { .kind = WITNESS_UNREGISTERED, .who = nx('a'), .how = 3, .other = B },
		  A " is not registered any more: CLEAR of " B },
		{ { .kind = WITNESS_UNREGISTERED, .who = nx('a'), .how = 0, .other = A },
		  A " is not registered any more: REGISTER" },
		{ { .kind = WITNESS_REMOVED, .who = nx('a'), .how = 5, .other = B },
		  B " removed the registration of " A ": PREEMPT AND ABORT" },
		{ { .kind = WITNESS_OWNED, .who = nx('a'), .how = 4, .other = A, .type = 5 },
		  A " owns the disk now: PREEMPT, type 5" },
		{ { .kind = WITNESS_OWNED, .how = 1, .other = A, .type = 7, .flag = true },
		  "every registered host owns the disk now: RESERVE of " A ", type 7" },
		{ { .kind = WITNESS_OWNED, .how = 2, .other = A },
		  "nobody owns the disk any more: RELEASE of " A },
		{ { .kind = WITNESS_DEFENDED, .who = nx('a'), .count = 1 },
		  A " defended the disk 1 time" },
		{ { .kind = WITNESS_DEFENDED, .who = nx('a'), .count = 200, .flag = true },
		  A " defended the disk 200 times, in rhythm" },
		{ { .kind = WITNESS_CHALLENGED, .who = nx('a'), .how = 1, .other = B },
		  A " challenged " B ": RESERVE, a conflict" },
		{ { .kind = WITNESS_BEAT,
		    .who = nx('a'),
		    .how = WITNESS_SBD,
		    .flag = true,
		    .value = 1024 },
		  "the heartbeat of " A " (sbd, at byte 1024) beats" },
		{ { .kind = WITNESS_BEAT, .who = nx('a'), .how = WITNESS_O2CB },
		  "the heartbeat of " A " (o2cb, at byte 0) stopped" },
		{ { .kind = WITNESS_BEAT,
		    .at = { 9000, 9000, 1 },
		    .when = { 3000, 3000, 1 },
		    .who = nx('a'),
		    .how = WITNESS_O2CB },
		  "the heartbeat of " A " (o2cb, at byte 0) stopped; the last was 6 s before" },
		{ { .kind = WITNESS_MESSAGE, .who = nx('a'), .how = WITNESS_SBD, .other = B },
		  A " wrote a message of sbd to " B },
		{ { .kind = WITNESS_SOFTWARE, .how = WITNESS_SANLOCK, .type = WITNESS_LIKELY },
		  "it looks like sanlock (likely)" },
		{ { .kind = WITNESS_SOFTWARE, .how = WITNESS_SANLOCK },
		  "it was not sanlock after all" },
		{ { .kind = WITNESS_WARNING, .how = WITNESS_FULL, .flag = true },
		  "warning begins: nearly_full" },
		{ { .kind = 200 }, "something a later version knows" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char got[WITNESS_TEXT_MAX], want[WITNESS_TEXT_MAX];
		const char *rest = rows[i].text;
		bool nexus =
			rows[i].e.kind >= WITNESS_LOGGED_IN && rows[i].e.kind <= WITNESS_REMOVED;

		/* Where a nexus is told of, its path is, too. */
		want[0] = 0;
		if (nexus) {
			const char *at = strstr(rest, A);

			snprintf(want, sizeof(want), "%.*s" A " (ISID 800000110001, group 1)",
				 (int)(at - rest), rest);
			rest = at + strlen(A);
		}
		snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s", rest);
		witness_entry_text(&rows[i].e, got, sizeof(got));
		if (strcmp(got, want))
			printf("--- wanted %s\n--- got    %s\n", want, got);
		CU_ASSERT_STRING_EQUAL(got, want);
	}
}

UNIT_MAIN("witness health", UNIT(test_well), UNIT(test_one_registrant), UNIT(test_no_defence),
	  UNIT(test_owner_gone), UNIT(test_path_lost), UNIT(test_slow), UNIT(test_full),
	  UNIT(test_text), UNIT(test_entries))
