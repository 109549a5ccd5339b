/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What repeats itself: the journal stays short, says how often it was, and adds up to the picture;
 * and what happened once is told at once all the same.
 */
#include "tests/unit/witness_world.h"

enum { MINUTE = 60000 };

/* The sum of the counts of all entries of a kind. */
static unsigned told(enum witness_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ww_n; i++)
		n += ww_entry[i].kind == kind ? ww_entry[i].count : 0;
	return n;
}

static const struct witness_path *path_of(struct nexus n)
{
	int i = witness_node_find(&ww.picture, n.initiator);

	return i < 0 ? NULL : witness_path_find(&ww.picture.node[i], &n);
}

static unsigned sessions_told(void)
{
	return ww_count(WITNESS_LOGGED_IN, 0) + ww_count(WITNESS_LOGGED_OUT, 0);
}

/* A session that comes and goes each second for a day. */
static void test_flapping(void)
{
	struct nexus b = nx_of('b', 1, 1);
	char text[WITNESS_TEXT_MAX];
	const struct witness_entry *last = NULL;
	unsigned once, all = 2;

	ww_world();
	ww_login(nx('a'));
	for (unsigned i = 0; i < 3600; i++) {
		ww_login(b);
		ww_wait(500);
		ww_logout(b, false);
		ww_wait(500);
		all += 2;
	}
	once = sessions_told();
	CU_ASSERT(once > 60 && once < 150);
	CU_ASSERT(ww_replays());
	/* The other is told at once. */
	ww_logout(nx('a'), true);
	CU_ASSERT_EQUAL(sessions_told(), once + 1);
	/* When it is over the picture is right, within a minute or so, and the count too. */
	ww_login(b);
	ww_wait(20 * MINUTE);
	CU_ASSERT_FATAL(path_of(b) && path_of(b)->session);
	ww_logout(b, true);
	CU_ASSERT(!path_of(b) || !path_of(b)->session);
	all += 2;
	CU_ASSERT_EQUAL(sessions_told() + told(WITNESS_LOGGED_IN) + told(WITNESS_LOGGED_OUT), all);
	CU_ASSERT(ww_replays());
	for (unsigned i = 0; i < ww_n; i++)
		if (ww_entry[i].kind == WITNESS_LOGGED_IN && ww_entry[i].count)
			last = &ww_entry[i];
	CU_ASSERT_FATAL(last != NULL);
	witness_entry_text(last, text, sizeof(text));
	CU_ASSERT(strstr(text, " logged in (after ") && strstr(text, "that are not listed)"));
}

/* A login that is told late says when it was. */
static void test_late(void)
{
	struct nexus b = nx_of('b', 1, 1);
	struct witness_time at;

	ww_world();
	ww_login(nx_of('b', 2, 2));
	for (unsigned i = 0; i < 20; i++) {
		ww_login(b);
		ww_logout(b, false);
	}
	ww_login(b);
	at = ww_now();
	CU_ASSERT(!path_of(b) || !path_of(b)->session);
	ww_wait(2 * MINUTE);
	CU_ASSERT_FATAL(path_of(b) && path_of(b)->session);
	CU_ASSERT_EQUAL(path_of(b)->since.utc_ms, at.utc_ms);
	CU_ASSERT(ww_replays());
}

/* Initiators nobody has heard of, a new name each time; and a node that comes meanwhile. */
static void test_strangers(void)
{
	struct nexus n = nx('c');
	unsigned once;

	ww_world();
	ww_login(nx('a'));
	for (unsigned i = 0; i < 7200; i++) {
		snprintf(n.initiator, sizeof(n.initiator), "iqn.x:%u", i);
		ww_login(n);
		ww_wait(250);
		ww_logout(n, true);
		ww_wait(250);
	}
	once = sessions_told();
	/* Each place of the picture once, in and out; then a few in a minute. */
	CU_ASSERT(once > 60 && once < 200 + 2 * WITNESS_NODES);
	CU_ASSERT(ww_replays());
	/* What counts is told whoever does it. */
	CU_ASSERT_EQUAL(ww_pr(nx('d'), REGISTER, 0, 0, 4), 0);
	CU_ASSERT_EQUAL(ww_count(WITNESS_REGISTERED, 'd'), 1);
	CU_ASSERT_EQUAL(ww_pr(nx('d'), RESERVE, 5, 4, 0), 0);
	CU_ASSERT_EQUAL(ww_count(WITNESS_OWNED, 'd'), 1);
	CU_ASSERT(ww_replays());
}

/* The witness is new, or its journal is; and the power of a whole cluster comes back. */
static void test_cluster(void)
{
	struct nexus n[WITNESS_NODES];

	ww_world();
	for (unsigned i = 0; i < WITNESS_NODES; i++) {
		n[i] = nx('x');
		snprintf(n[i].initiator, sizeof(n[i].initiator), "iqn.x:%u", i);
		ww_login(n[i]);
		ww_ms += 100;
	}
	for (unsigned i = 0; i < WITNESS_NODES; i++)
		CU_ASSERT(path_of(n[i]) && path_of(n[i])->session);
	CU_ASSERT(ww_replays());
	/* Those that came last look for sbd's messages; one stops and is missed. */
	for (unsigned i = 0; i < 20; i++) {
		for (unsigned k = 0; k < 2 && (i < 10 || !k); k++) {
			ww_io(n[WITNESS_NODES - 1 - k], false, (1 + 2 * k) * 512, 512);
			ww_io(n[WITNESS_NODES - 1 - k], false, (2 + 2 * k) * 512, 512);
		}
		ww_wait(1000);
	}
	CU_ASSERT_EQUAL(ww.picture.node[WITNESS_NODES - 1].beat, WITNESS_BEATS_ON);
	CU_ASSERT_EQUAL(ww.picture.node[WITNESS_NODES - 2].beat, WITNESS_BEAT_STOPPED);
	CU_ASSERT(ww.picture.warnings & 1u << WITNESS_BEAT_LOST);
	/* Another owns the disk, and is there. */
	CU_ASSERT_EQUAL(ww_pr(n[WITNESS_NODES - 3], REGISTER, 0, 0, 1), 0);
	CU_ASSERT_EQUAL(ww_pr(n[WITNESS_NODES - 3], RESERVE, 5, 1, 0), 0);
	ww_wait(5 * MINUTE);
	CU_ASSERT(!(ww.picture.warnings & 1u << WITNESS_OWNER_GONE));
	CU_ASSERT(ww_replays());
	/* And those that ask for it before their logins are heard of. */
	ww_world();
	CU_ASSERT_EQUAL(ww_pr(nx('a'), REGISTER, 0, 0, 1), 0);
	CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 1, 0), 0);
	for (unsigned i = 1; i < WITNESS_NODES; i++) {
		CU_ASSERT(ww_pr(n[i], RESERVE, 5, 1, 0) != 0);
		CU_ASSERT(path_of(n[i]) && path_of(n[i])->session);
	}
	CU_ASSERT(ww_replays());
}

/* A node that flaps on one path, and then comes on another, too. */
static void test_new_path(void)
{
	struct nexus b = nx_of('b', 1, 1), c = nx_of('b', 2, 2), gone = nx_of('b', 1, 2);
	struct witness_time at;

	ww_world();
	ww_login(b);
	for (unsigned i = 0; i < 20; i++) {
		ww_logout(b, false);
		ww_login(b);
	}
	ww_logout(b, false);
	ww_login(gone);
	ww_login(c);
	at = ww_now();
	ww_logout(gone, true);
	CU_ASSERT(!path_of(c));
	ww_wait(MINUTE + 1000);
	CU_ASSERT_FATAL(path_of(c) && path_of(c)->session);
	CU_ASSERT_EQUAL(path_of(c)->since.utc_ms, at.utc_ms);
	CU_ASSERT(!path_of(gone));
	CU_ASSERT(path_of(b) && path_of(b)->lost);
	/* It comes back with another ISID. */
	b = nx_of('b', 3, 1);
	ww_login(b);
	ww_wait(MINUTE + 1000);
	CU_ASSERT_FATAL(path_of(b) && path_of(b)->session);
	CU_ASSERT(!path_of(nx_of('b', 1, 1)));
	CU_ASSERT_EQUAL(sessions_told() + told(WITNESS_LOGGED_IN) + told(WITNESS_LOGGED_OUT), 46);
	CU_ASSERT(ww_replays());
}

/* Whatever a node's sessions do: a minute after, the picture has them as they are. */
static void test_any_paths(void)
{
	for (unsigned k = 0; k < 200; k++) {
		bool up[2 * WITNESS_PATHS] = { false };
		unsigned ups = 0, events = 0;

		ww_seed = 900 + k;
		ww_world();
		for (unsigned i = 0; i < 400; i++) {
			unsigned p = ww_rnd(2 * WITNESS_PATHS);
			struct nexus n = nx_of('b', (uint8_t)(p / 4), (uint16_t)(p % 4 + 1));

			if (up[p])
				ww_logout(n, ww_rnd(2));
			else if (ups < WITNESS_PATHS)
				ww_login(n);
			else
				continue;
			up[p] = !up[p];
			ups = up[p] ? ups + 1 : ups - 1;
			events++;
			if (!ww_rnd(20))
				ww_wait(ww_rnd(2 * MINUTE));
			else if (!ww_rnd(20))
				ww_ms += ww_rnd(2 * MINUTE); /* between two ticks */
		}
		ww_wait(MINUTE + 1000);
		for (unsigned p = 0; p < 2 * WITNESS_PATHS; p++) {
			const struct witness_path *a =
				path_of(nx_of('b', (uint8_t)(p / 4), (uint16_t)(p % 4 + 1)));

			CU_ASSERT_EQUAL(a && a->session, up[p]);
		}
		CU_ASSERT(sessions_told() + told(WITNESS_LOGGED_IN) + told(WITNESS_LOGGED_OUT) <=
			  events);
		CU_ASSERT(ww_replays());
	}
}

/* A node that asks for the disk again and again. */
static void test_challenges(void)
{
	unsigned asked = 0, entries;
	char text[WITNESS_TEXT_MAX];

	ww_world();
	ww_login(nx('a'));
	ww_login(nx('b'));
	CU_ASSERT_EQUAL(ww_pr(nx('a'), REGISTER, 0, 0, 1), 0);
	CU_ASSERT_EQUAL(ww_pr(nx('b'), REGISTER, 0, 0, 2), 0);
	CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 1, 0), 0);
	for (; asked < 36000; asked++) {
		CU_ASSERT(ww_pr(nx('b'), RESERVE, 5, 2, 0) != 0);
		if (!asked)
			CU_ASSERT_EQUAL(ww_count(WITNESS_CHALLENGED, 'b'), 1);
		ww_ms += 100;
		if (asked % 10 == 0)
			ww_wait(1);
	}
	entries = ww_count(WITNESS_CHALLENGED, 'b');
	CU_ASSERT(entries >= 5 && entries <= 12);
	/* It gets it: what was not told yet comes first, so the story has its last challenge. */
	CU_ASSERT_EQUAL(ww_pr(nx('b'), PREEMPT, 5, 2, 1), 0);
	CU_ASSERT_EQUAL(told(WITNESS_CHALLENGED), asked);
	CU_ASSERT_EQUAL(ww.picture.challenges, asked);
	CU_ASSERT(witness_time_between(&ww.picture.change[0].challenged,
				       &ww.picture.change[0].at) < 1000);
	CU_ASSERT(ww_replays());
	/* What is not told yet counts all the same, and is told before the end. */
	CU_ASSERT_EQUAL(ww_pr(nx('a'), REGISTER, 0, 0, 1), 0);
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT(ww_pr(nx('a'), RESERVE, 5, 1, 0) != 0);
	CU_ASSERT(witness_challenges(&ww) > ww.picture.challenges);
	ww_event((struct witness_event){ .kind = WITNESS_EV_STOP });
	CU_ASSERT_EQUAL(witness_challenges(&ww), ww.picture.challenges);
	CU_ASSERT_EQUAL(told(WITNESS_CHALLENGED), ww.picture.challenges);
	CU_ASSERT(ww_replays());
	for (unsigned i = 0; i < ww_n; i++)
		if (ww_entry[i].kind == WITNESS_CHALLENGED && ww_entry[i].count > 1)
			witness_entry_text(&ww_entry[i], text, sizeof(text));
	CU_ASSERT(strstr(text, "a conflict (") && strstr(text, " times)"));
	/* After a long quiet it is news again. */
	ww_wait(60 * MINUTE);
	entries = ww_count(WITNESS_CHALLENGED, 'a');
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT(ww_pr(nx('a'), RESERVE, 5, 1, 0) != 0);
		CU_ASSERT_EQUAL(ww_count(WITNESS_CHALLENGED, 'a'), entries + i + 1);
		ww_wait(30 * MINUTE);
	}
	CU_ASSERT(ww_replays());
}

/* The same registrations in another order, as `pr import` may leave them: nothing has changed. */
static void test_order(void)
{
	static const char nodes[] = "abcdef";
	struct pr_state *other;
	unsigned n;

	ww_world();
	for (unsigned i = 0; nodes[i]; i++)
		CU_ASSERT_EQUAL(ww_pr(nx(nodes[i]), REGISTER, 0, 0, i + 1), 0);
	CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 1, 0), 0);
	other = malloc(pr_state_size(pr_now));
	memcpy(other, pr_now, pr_state_size(pr_now));
	/* Backwards; the holder stays the same. */
	for (unsigned i = 0; i < pr_now->nregs; i++)
		other->regs[i] = pr_now->regs[pr_now->nregs - 1 - i];
	other->holder = (uint16_t)(pr_now->nregs - 1 - pr_now->holder);
	n = ww_n;
	ww_event((struct witness_event){ .kind = WITNESS_EV_PR,
					 .pr = { .before = pr_now, .after = other } });
	CU_ASSERT_EQUAL(ww_n, n);
	/* From there back, with one less and another key. */
	pr(nx('c'), REGISTER, 0, 3, 0, 0);
	pr(nx('d'), REGISTER, 0, 4, 99, 0);
	ww_event((struct witness_event){ .kind = WITNESS_EV_PR,
					 .pr = { .before = other, .after = pr_now } });
	CU_ASSERT_EQUAL_FATAL(ww_n, n + 2);
	for (unsigned i = n; i < ww_n; i++)
		CU_ASSERT(ww_entry[i].kind == WITNESS_REGISTERED
				  ? ww_entry[i].value == 99 && ww_entry[i].who.initiator[29] == 'd'
				  : ww_entry[i].kind == WITNESS_UNREGISTERED &&
					    ww_entry[i].who.initiator[29] == 'c');
	CU_ASSERT(ww_replays());
	free(other);
}

UNIT_MAIN("witness repeat", UNIT(test_flapping), UNIT(test_late), UNIT(test_strangers),
	  UNIT(test_cluster), UNIT(test_new_path), UNIT(test_any_paths), UNIT(test_challenges),
	  UNIT(test_order))
