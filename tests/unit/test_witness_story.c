/* SPDX-License-Identifier: Apache-2.0 */
/* The story after each scenario, compared as text. */
#include "tests/unit/witness_world.h"

#define A "iqn.1991-05.com.example:node-a"
#define B "iqn.1991-05.com.example:node-b"
#define C "iqn.1991-05.com.example:node-c"

/* The owner loses power: its connections break, nobody defends, the challenger takes over. */
static void test_owner_dies(void)
{
	ww_world();
	win_login('a');
	win_login('b');
	win_register('a');
	win_defend('a', 40); /* two minutes */
	ww_wait(1000);
	ww_logout(nx_of('a', 1, 1), false);
	ww_logout(nx_of('a', 2, 2), false);
	ww_wait(2000);
	win_register('b');
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), RESERVE, 5, win_key('b'), 0), 0x18);
	ww_wait(7000);
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), PREEMPT, 5, win_key('b'), win_key('a')), 0);
	win_defend('b', 5);
	CU_ASSERT(ww_story_is(
		B
		" took this disk from " A " at 2026-11-22 03:02:10 UTC, with PREEMPT; 2 "
		"registrations went with it.\n" A
		" had owned it for 2 min, and defended it in rhythm until 2026-11-22 03:01:57 UTC, "
		"13 s before; its last session had ended 9 s before.\n" B
		" had challenged it at 2026-11-22 03:02:03 UTC, and waited 7 s.\n"
		"Why: " A " was gone, and its reservation was not defended any more.\n"
		"This looks like Windows Server failover clustering (sure).\n"));
	CU_ASSERT_EQUAL(ww.picture.changes, 2);
	CU_ASSERT(ww_replays());
}

/* The owner hangs: it stays logged in. */
static void test_owner_hangs(void)
{
	ww_world();
	win_login('a');
	win_login('b');
	win_register('a');
	win_defend('a', 4);
	ww_wait(2000);
	win_register('b');
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), RESERVE, 5, win_key('b'), 0), 0x18);
	ww_wait(7000);
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), PREEMPT, 5, win_key('b'), win_key('a')), 0);
	CU_ASSERT(ww_story_is(
		B
		" took this disk from " A " at 2026-11-22 03:00:21 UTC, with PREEMPT; 2 "
		"registrations went with it.\n" A
		" had owned it for 21 s, and defended it in rhythm until 2026-11-22 03:00:09 UTC, "
		"12 s before.\n" B
		" had challenged it at 2026-11-22 03:00:14 UTC, and waited 7 s.\n"
		"Why: " A " was logged in, but did not defend its reservation any more.\n"
		"This looks like Windows Server failover clustering (sure).\n"));
}

/* The challenger is turned away: no change of ownership, and the story says who it was. */
static void test_defended(void)
{
	ww_world();
	win_login('a');
	win_login('b');
	win_register('a');
	win_defend('a', 4);
	win_register('b');
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), RESERVE, 5, win_key('b'), 0), 0x18);
	CU_ASSERT_EQUAL(ww_pr(nx_of('a', 1, 1), PREEMPT, 5, win_key('a'), win_key('b')), 0);
	win_defend('a', 2);
	CU_ASSERT(ww_story_is(A " took this disk at 2026-11-22 03:00:00 UTC, with RESERVE.\n"
				"Nobody owned it before.\n" A " shut out " B
				" at 2026-11-22 03:00:12 UTC, with PREEMPT: 2 registrations "
				"removed; the disk's owner stayed.\n"
				"This looks like Windows Server failover clustering (sure).\n"));
	CU_ASSERT_EQUAL(ww.picture.changes, 1);
	CU_ASSERT(ww_replays());
}

static void test_planned_move(void)
{
	ww_world();
	win_login('a');
	win_login('b');
	win_register('a');
	win_defend('a', 20);
	CU_ASSERT_EQUAL(ww_pr(nx_of('a', 1, 1), RELEASE, 5, win_key('a'), 0), 0);
	CU_ASSERT(ww_story_is("Nobody owns this disk since 2026-11-22 03:01:00 UTC: RELEASE of " A
			      ".\n" A " had owned it for 60 s.\n"
			      "Registered: " A ".\n"
			      "This looks like Windows Server failover clustering (sure).\n"));
	ww_wait(1000);
	win_register('b');
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), RESERVE, 5, win_key('b'), 0), 0);
	CU_ASSERT(ww_story_is(B " took this disk at 2026-11-22 03:01:01 UTC, with RESERVE.\n" A
				" had given it up 1 s before, with RELEASE.\n"
				"Why: a planned move; nothing was forced.\n"
				"This looks like Windows Server failover clustering (sure).\n"));
	CU_ASSERT(ww_replays());
}

static void test_fence_scsi(void)
{
	ww_world();
	for (char n = 'a'; n <= 'c'; n++) {
		ww_login(nx(n));
		CU_ASSERT_EQUAL(ww_pr(nx(n), REGISTER_AND_IGNORE, 0, 0,
				      UINT64_C(0x4d2a0000) + (uint64_t)(n - 'a')),
				0);
	}
	CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 0x4d2a0000, 0), 0);
	CU_ASSERT_EQUAL(ww_pr(nx('b'), RESERVE, 5, 0x4d2a0001, 0), 0x18);
	ww_wait(600000);
	/* One that does not own it. */
	CU_ASSERT_EQUAL(ww_pr(nx('a'), PREEMPT_AND_ABORT, 5, 0x4d2a0000, 0x4d2a0002), 0);
	CU_ASSERT(ww_story_is(A
			      " took this disk at 2026-11-22 03:00:00 UTC, with RESERVE.\n"
			      "Nobody owned it before.\n" A " fenced " C
			      " at 2026-11-22 03:10:00 UTC, with PREEMPT AND ABORT: 1 registration "
			      "removed; the disk's owner stayed.\n"
			      "This looks like Pacemaker with fence_scsi (sure).\n"));
	/* The owner: who fences it gets its reservation. */
	ww_wait(60000);
	CU_ASSERT_EQUAL(ww_pr(nx('b'), PREEMPT_AND_ABORT, 5, 0x4d2a0001, 0x4d2a0000), 0);
	CU_ASSERT(ww_story_is(B " took this disk from " A
				" at 2026-11-22 03:11:00 UTC, with PREEMPT AND ABORT; 1 "
				"registration went with it.\n" A " had owned it for 11 min.\n"
				"Why: " B " fenced " A ", which was logged in.\n"
				"This looks like Pacemaker with fence_scsi (sure).\n"));
	CU_ASSERT(ww_replays());
}

static void test_sbd_only(void)
{
	ww_world();
	ww_login(nx('a'));
	ww_login(nx('b'));
	for (unsigned i = 0; i < 20; i++) {
		for (unsigned k = 0; k < 2 && (i < 8 || !k); k++) {
			ww_io(nx((char)('a' + k)), false, (1 + 2 * k) * 512, 512);
			ww_io(nx((char)('a' + k)), false, (2 + 2 * k) * 512, 512);
		}
		ww_wait(1000);
	}
	CU_ASSERT(ww_story_is("Nobody has reserved this disk: it has no owner.\n"
			      "Nobody is registered.\n"
			      "The sbd heartbeat of " A " beats.\n"
			      "The sbd heartbeat of " B " stopped: the last was at 2026-11-22 "
			      "03:00:07 UTC, 13 s ago.\n" B " is logged in.\n"
			      "This looks like sbd (sure).\n"));
	ww_wait(20000);
	ww_logout(nx('b'), false);
	CU_ASSERT(ww_story_is("Nobody has reserved this disk: it has no owner.\n"
			      "Nobody is registered.\n"
			      "The sbd heartbeat of " A " stopped: the last was at 2026-11-22 "
			      "03:00:19 UTC, 21 s ago.\n" A " is logged in.\n"
			      "The sbd heartbeat of " B " stopped: the last was at 2026-11-22 "
			      "03:00:07 UTC, 33 s ago.\n" B
			      " lost its last session at 2026-11-22 03:00:40 UTC.\n"
			      "This looks like sbd (sure).\n"));
	CU_ASSERT(ww_replays());
}

static void sbd_rounds(const char *nodes, unsigned rounds)
{
	while (rounds--) {
		for (const char *n = nodes; *n; n++) {
			ww_io(nx(*n), false, (1 + 2 * (*n - 'a')) * 512, 512);
			ww_io(nx(*n), false, (2 + 2 * (*n - 'a')) * 512, 512);
		}
		ww_wait(1000);
	}
}

/* A poison pill: a writes what b reads, and b ends. */
static void test_sbd_pill(void)
{
	ww_world();
	ww_login(nx('a'));
	ww_login(nx('b'));
	ww_login(nx('c'));
	sbd_rounds("ab", 8);
	/* What b writes there itself, and what c writes elsewhere, is none. */
	ww_io(nx('b'), true, 4 * 512, 512);
	ww_io(nx('c'), true, 6 * 512, 512);
	CU_ASSERT_EQUAL(ww_count(WITNESS_MESSAGE, 0), 0);
	ww_io(nx('a'), true, 4 * 512, 512);
	ww_io(nx('a'), true, 4 * 512, 512);
	CU_ASSERT_EQUAL(ww_count(WITNESS_MESSAGE, 'a'), 1);
	sbd_rounds("ab", 1);
	sbd_rounds("a", 10);
	CU_ASSERT(ww_story_is("Nobody has reserved this disk: it has no owner.\n"
			      "Nobody is registered.\n"
			      "The sbd heartbeat of " A " beats.\n"
			      "The sbd heartbeat of " B " stopped: the last was at 2026-11-22 "
			      "03:00:08 UTC, 11 s ago.\n"
			      "Why: " A " had sent it a message at 2026-11-22 03:00:08 UTC, a "
			      "poison pill as it looks.\n"
			      "This looks like sbd (sure).\n"));
	CU_ASSERT(ww_replays());
	/* It is back, stops much later, and nobody told it to. */
	sbd_rounds("ab", 100);
	sbd_rounds("a", 10);
	CU_ASSERT(ww_story_is("Nobody has reserved this disk: it has no owner.\n"
			      "Nobody is registered.\n"
			      "The sbd heartbeat of " A " beats.\n"
			      "The sbd heartbeat of " B " stopped: the last was at 2026-11-22 "
			      "03:01:58 UTC, 11 s ago.\n" B " is logged in.\n"
			      "This looks like sbd (sure).\n"));
	CU_ASSERT_EQUAL(ww_count(WITNESS_MESSAGE, 0), 1);
	CU_ASSERT(ww_replays());
}

/* Beats of o2cb of a and b; b's end after `both`. */
static void o2cb_beats(unsigned both, unsigned all)
{
	for (unsigned i = 0; i < all; i++) {
		for (unsigned k = 0; k < 2 && (i < both || !k); k++) {
			ww_io(nx((char)('a' + k)), false, 1 << 20, 2 * 4096);
			ww_io(nx((char)('a' + k)), true, (1 << 20) + k * 4096, 4096);
		}
		ww_wait(2000);
	}
}

/* OCFS2: two nodes, one of which loses power. */
static void test_o2cb_only(void)
{
	ww_world();
	ww_login(nx('a'));
	ww_login(nx('b'));
	o2cb_beats(6, 12);
	ww_logout(nx('b'), false);
	CU_ASSERT(ww_story_is("Nobody has reserved this disk: it has no owner.\n"
			      "Nobody is registered.\n"
			      "The o2cb heartbeat of " A " beats.\n"
			      "The o2cb heartbeat of " B " stopped: the last was at 2026-11-22 "
			      "03:00:10 UTC, 14 s ago.\n" B
			      " lost its last session at 2026-11-22 03:00:24 UTC.\n"
			      "This looks like OCFS2's o2cb (sure).\n"));
	CU_ASSERT(ww_replays());
}

/* One unmounts and logs out, at once or when its heartbeat was missed: nobody waits for it. */
static void test_o2cb_left(void)
{
	for (unsigned late = 0; late <= 6; late += 6) {
		ww_world();
		ww_login(nx('a'));
		ww_login(nx('b'));
		o2cb_beats(6, 6 + late);
		CU_ASSERT_EQUAL(!(ww.picture.warnings & 1u << WITNESS_BEAT_LOST), !late);
		ww_logout(nx('b'), true);
		o2cb_beats(0, 6);
		CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 'b'), late ? 2 : 1);
		CU_ASSERT(!(ww.picture.warnings & 1u << WITNESS_BEAT_LOST));
		CU_ASSERT(ww_story_is("Nobody has reserved this disk: it has no owner.\n"
				      "Nobody is registered.\n"
				      "The o2cb heartbeat of " A " beats.\n"
				      "This looks like OCFS2's o2cb (sure).\n"));
		CU_ASSERT(ww_replays());
		ww_login(nx('b'));
		o2cb_beats(6, 6);
		CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 'b'), late ? 3 : 2);
	}
}

/* sanlock: leases of two hosts, one of which ends. */
static void test_sanlock_only(void)
{
	ww_world();
	ww_login(nx('a'));
	ww_login(nx('b'));
	for (unsigned i = 0; i < 12; i++) {
		for (unsigned k = 0; k < 2 && (i < 6 || !k); k++) {
			ww_io(nx((char)('a' + k)), false, 1 << 20, 1 << 20);
			ww_io(nx((char)('a' + k)), true, (1 << 20) + k * 512, 512);
		}
		ww_wait(20000);
	}
	CU_ASSERT(ww_story_is("Nobody has reserved this disk: it has no owner.\n"
			      "Nobody is registered.\n"
			      "The sanlock heartbeat of " A " beats.\n"
			      "The sanlock heartbeat of " B " stopped: the last was at 2026-11-22 "
			      "03:01:40 UTC, 2 min ago.\n" B " is logged in.\n"
			      "This looks like sanlock (sure).\n"));
	CU_ASSERT(ww_replays());
}

/* fence_mpath, on two paths; a path is lost and another node fenced. */
static void test_fence_mpath(void)
{
	ww_world();
	for (char n = 'a'; n <= 'b'; n++)
		for (uint8_t i = 1; i <= 2; i++) {
			ww_login(nx_of(n, i, i));
			ww_pr(nx_of(n, i, i), REGISTER_AND_IGNORE, 0, 0, (uint64_t)n - 'a' + 1);
		}
	CU_ASSERT_EQUAL(ww_pr(nx_of('a', 1, 1), RESERVE, 5, 1, 0), 0);
	ww_wait(30000);
	ww_logout(nx_of('a', 1, 1), false);
	ww_wait(20000);
	CU_ASSERT(ww.picture.warnings == 1u << WITNESS_PATH_LOST);
	CU_ASSERT_EQUAL(ww_pr(nx_of('a', 2, 2), PREEMPT_AND_ABORT, 5, 1, 2), 0);
	ww_wait(1000);
	CU_ASSERT(ww_story_is(A " took this disk at 2026-11-22 03:00:00 UTC, with RESERVE.\n"
				"Nobody owned it before.\n" A " fenced " B
				" at 2026-11-22 03:00:50 UTC, with PREEMPT AND ABORT: 2 "
				"registrations removed; the disk's owner stayed.\n"
				"This looks like Pacemaker with fence_mpath (sure).\n"));
	CU_ASSERT(ww_replays());
}

static void test_register_only(void)
{
	ww_world();
	for (char n = 'a'; n <= 'b'; n++) {
		ww_login(nx(n));
		CU_ASSERT_EQUAL(ww_pr(nx(n), REGISTER, 0, 0, (uint64_t)n), 0);
	}
	CU_ASSERT(ww_story_is("Nobody has reserved this disk: it has no owner.\n"
			      "Registered: " A ", " B ".\n"
			      "What software uses it is unknown.\n"));
}

static void test_others(void)
{
	/* CLEAR by another, and by the administrator. */
	ww_world();
	ww_login(nx('a'));
	ww_login(nx('b'));
	ww_pr(nx('a'), REGISTER, 0, 0, 0xa);
	ww_pr(nx('b'), REGISTER, 0, 0, 0xb);
	ww_pr(nx('a'), RESERVE, 1, 0xa, 0);
	ww_wait(5000);
	CU_ASSERT_EQUAL(ww_pr(nx('b'), CLEAR, 0, 0xb, 0), 0);
	CU_ASSERT(ww_story_is("Nobody owns this disk since 2026-11-22 03:00:05 UTC: CLEAR of " B
			      ".\n" A " had owned it for 5 s.\n"
			      "Nobody is registered.\n"
			      "What software uses it is unknown.\n"));
	ww_pr(nx('b'), REGISTER, 0, 0, 0xb);
	ww_wait(2000);
	ww_pr(nx('b'), RESERVE, 7, 0xb, 0);
	CU_ASSERT(ww_story_is("Every registered host took this disk at 2026-11-22 03:00:07 UTC, "
			      "with RESERVE.\n" A " had lost it 2 s before, by CLEAR of " B ".\n"
			      "What software uses it is unknown.\n"));
	/* REGISTER AND MOVE */
	ww_world();
	ww_login(nx('a'));
	ww_login(nx('b'));
	ww_pr(nx('a'), REGISTER, 0, 0, 0xa);
	ww_pr(nx('a'), RESERVE, 3, 0xa, 0);
	ww_wait(3000);
	{
		struct pr_state *before = malloc(pr_state_size(pr_now));
		struct nexus who = nx('a');

		memcpy(before, pr_now, pr_state_size(pr_now));
		CU_ASSERT_EQUAL(pr_move(nx('a'), 0xa, 0xb, 0, nx('b')), 0);
		ww_event((struct witness_event){
			.kind = WITNESS_EV_PR,
			.who = &who,
			.pr = { .sa = REGISTER_AND_MOVE, .before = before, .after = pr_now } });
		free(before);
	}
	CU_ASSERT(ww_story_is(A " handed this disk to " B " at 2026-11-22 03:00:03 UTC, with "
				"REGISTER AND MOVE.\n" A " had owned it for 3 s.\n"
				"What software uses it is unknown.\n"));
	CU_ASSERT(ww_replays());
	/* The administrator. */
	{
		struct pr_state *before = malloc(pr_state_size(pr_now));

		memcpy(before, pr_now, pr_state_size(pr_now));
		memcpy(pr_now, pr_none, pr_state_size(pr_none));
		ww_event((struct witness_event){ .kind = WITNESS_EV_PR,
						 .pr = { .before = before, .after = pr_now } });
		free(before);
	}
	CU_ASSERT(ww_story_is("Nobody owns this disk since 2026-11-22 03:00:03 UTC: a command of "
			      "the administrator.\n" B " had owned it for 0 ms.\n"
			      "Nobody is registered.\n"
			      "What software uses it is unknown.\n"));
	CU_ASSERT(ww_replays());
}

/* The daemon starts again: with its journal, and without. */
static void test_restart(void)
{
	unsigned n;

	ww_world();
	win_login('a');
	win_register('a');
	win_defend('a', 10);
	ww_ms = 500; /* the machine booted */
	ww_utc = INT64_C(1795316459500);
	ww_start();
	CU_ASSERT(ww_story_is(A " took this disk at 2026-11-22 03:00:00 UTC, with RESERVE.\n"
				"Nobody owned it before.\n"
				"This looks like Windows Server failover clustering (likely).\n"));
	/* What is stored cannot be read: nobody lost anything, as far as is known. */
	n = ww_n;
	ww_event((struct witness_event){ .kind = WITNESS_EV_START });
	CU_ASSERT_EQUAL(ww_n, n + 1);
	CU_ASSERT_EQUAL(witness_node_keys(witness_owner_node(&ww.picture)), 2);
	ww_start();
	CU_ASSERT_EQUAL(ww_n, n + 2);
	/* Time across runs is the wall clock's. */
	ww_login(nx_of('b', 1, 1));
	win_register('b');
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), PREEMPT, 5, win_key('b'), win_key('a')), 0);
	CU_ASSERT(ww_story_is(
		B
		" took this disk from " A " at 2026-11-22 03:01:00 UTC, with PREEMPT; 2 "
		"registrations went with it.\n" A
		" had owned it for 60 s, and defended it in rhythm until 2026-11-22 03:00:09 UTC, "
		"51 s before.\n"
		"Why: " A " was logged in, but did not defend its reservation any more.\n"
		"This looks like Windows Server failover clustering (likely).\n"));
	CU_ASSERT(ww_replays());
	witness_init(&ww);
	ww_n = 0;
	ww_start();
	CU_ASSERT(ww_story_is(B " owned this disk when the daemon started at 2026-11-22 03:01:00 "
				"UTC; how that came about is not in the journal.\n"
				"What software uses it is unknown.\n"));
	CU_ASSERT(ww_replays());
}

/* The clock is set back an hour in the middle: durations do not notice. */
static void test_clock_step(void)
{
	ww_world();
	win_login('a');
	win_login('b');
	win_register('a');
	win_defend('a', 10);
	ww_utc -= 3600 * 1000;
	ww_wait(12000);
	win_register('b');
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), PREEMPT, 5, win_key('b'), win_key('a')), 0);
	CU_ASSERT(ww_story_is(
		B
		" took this disk from " A " at 2026-11-22 02:00:42 UTC, with PREEMPT; 2 "
		"registrations went with it.\n" A
		" had owned it for 42 s, and defended it in rhythm until 2026-11-22 03:00:27 UTC, "
		"15 s before.\n"
		"Why: " A " was logged in, but did not defend its reservation any more.\n"
		"This looks like Windows Server failover clustering (likely).\n"));
	CU_ASSERT(ww_replays());
}

/* A small buffer cuts the story, and nothing else. */
static void test_cut(void)
{
	char buf[600], all[WITNESS_STORY_MAX];
	struct witness_time now;

	ww_world();
	win_login('a');
	win_register('a');
	win_defend('a', 10);
	now = ww_now();
	witness_story(&ww, &now, all, sizeof(all));
	for (size_t n = 1; n < sizeof(buf); n++) {
		memset(buf, 'x', sizeof(buf));
		witness_story(&ww, &now, buf, n);
		CU_ASSERT_FATAL(strlen(buf) == (strlen(all) < n - 1 ? strlen(all) : n - 1));
		CU_ASSERT_FATAL(!strncmp(buf, all, strlen(buf)));
		CU_ASSERT_FATAL(buf[n] == 'x');
	}
}

UNIT_MAIN("witness story", UNIT(test_owner_dies), UNIT(test_owner_hangs), UNIT(test_defended),
	  UNIT(test_planned_move), UNIT(test_fence_scsi), UNIT(test_sbd_only), UNIT(test_sbd_pill),
	  UNIT(test_o2cb_only), UNIT(test_o2cb_left), UNIT(test_sanlock_only),
	  UNIT(test_fence_mpath), UNIT(test_register_only), UNIT(test_others), UNIT(test_restart),
	  UNIT(test_clock_step), UNIT(test_cut))
