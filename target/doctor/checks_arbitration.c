/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns the disk when several nodes want it: the races of Windows' cluster. Owners re-assert
 * every 3 s, a challenger waits 7 s before it preempts; here in tenths of that, or with --real-time
 * as it is.
 */
#include <stdio.h>

#include "target/doctor/doctor.h"

enum {
	WE_RO = 5,
	DEFEND_MS = 3000,
	CHALLENGE_MS = 7000,
	SCALE = 10,
	ROUNDS = 8,
	BURST = 12,
	PR_SLOW_MS = 1000,
	PR_LATE_MS = 3000
};

static unsigned scaled(const struct doctor *d, unsigned ms)
{
	return d->real_time ? ms : ms / SCALE;
}

static const char *times(const struct doctor *d)
{
	return d->real_time ? "re-assert 3 s, challenge 7 s: real time"
			    : "re-assert 0.3 s, challenge 0.7 s: a tenth of Windows' times";
}

static bool join(struct doctor *d, int node)
{
	return pr_do(&d->nodes[node], PROUT_REGISTER_IGNORE, 0, 0, d->nodes[node].key, GOOD);
}

/* Whether the reservation is node's. */
static bool owns(struct doctor *d, int node, const char *why)
{
	uint64_t key;
	uint8_t type;

	if (!pr_holder(&d->nodes[B], &key, &type)) {
		check_fail(d, "READ RESERVATION has no answer");
		return false;
	}
	if (key == d->nodes[node].key && type == WE_RO)
		return true;
	check_fail(d, "%s should own the disk, the reservation is of type %u with key %llx: %s",
		   d->nodes[node].label, type, (unsigned long long)key, why);
	return false;
}

/* The owner's turn: re-asserts, and drops every key that is not its own. */
static bool defend(struct doctor *d)
{
	struct node *a = &d->nodes[A];
	uint64_t keys[16];
	int n;

	if (!pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD))
		return false;
	n = pr_keys(a, keys, 16, NULL);
	for (int i = 0; i < n; i++)
		if (keys[i] != a->key && !pr_do(a, PROUT_PREEMPT, WE_RO, a->key, keys[i], GOOD))
			return false;
	return true;
}

static void defended(struct doctor *d)
{
	struct node *b = &d->nodes[B];
	int64_t end;

	check_note(d, "%s", times(d));
	if (!join(d, A) || !pr_do(&d->nodes[A], PROUT_RESERVE, WE_RO, d->nodes[A].key, 0, GOOD) ||
	    !join(d, B) || !pr_do(b, PROUT_RESERVE, WE_RO, b->key, 0, CONFLICT))
		return;
	for (end = now_us() + (int64_t)scaled(d, CHALLENGE_MS) * 1000; now_us() < end;) {
		doctor_wait(d, scaled(d, DEFEND_MS));
		if (!defend(d))
			return;
	}
	/* The challenger was removed: it is told, and its PREEMPT does not pass. */
	node_settle(b, NULL);
	if (pr_do(b, PROUT_PREEMPT, WE_RO, b->key, d->nodes[A].key, CONFLICT))
		owns(d, A, "an owner that defends itself loses the disk");
}

static void undefended(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B];
	struct cdb w = cdb_write(0, 0, d->block, NULL, false);

	check_note(d, "%s", times(d));
	if (!join(d, A) || !pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD) || !join(d, B) ||
	    !pr_do(b, PROUT_RESERVE, WE_RO, b->key, 0, CONFLICT))
		return;
	node_drop(a);
	check_line(d, a->label, "(the connection is cut)", "", 0);
	doctor_wait(d, scaled(d, CHALLENGE_MS));
	if (!pr_do(b, PROUT_PREEMPT, WE_RO, b->key, a->key, GOOD) ||
	    !owns(d, B, "a dead owner keeps the disk"))
		return;
	if (!node_login(a)) {
		check_fail(d, "%s", d->why);
		return;
	}
	node_settle(a, NULL);
	if (node_expect(a, &w, CONFLICT, "the old owner writes when it comes back"))
		pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, CONFLICT);
}

/* All of nodes[first..last] send at once; who got GOOD, -1 none, -2 several or no answer. */
static int race(struct doctor *d, int first, int last, enum pr_out sa, uint64_t sa_key)
{
	struct cmd *c[MAIN_NODES] = { NULL };
	int winner = -1;

	for (int i = first; i <= last; i++) {
		struct cdb cdb;

		if (i == A2)
			continue;
		cdb = cdb_pr_out(sa, WE_RO, d->nodes[i].key, sa_key, 0);
		c[i] = cmd_start(&d->nodes[i], &cdb);
	}
	for (int i = first; i <= last; i++) {
		if (!c[i])
			continue;
		cmd_wait(c[i], 0);
		if (answer_is(&c[i]->a, GOOD))
			winner = winner == -1 ? i : -2;
		else
			expect(&d->nodes[i], &c[i]->cdb, &c[i]->a, CONFLICT,
			       "who loses is told so");
		cmd_free(c[i]);
	}
	return winner;
}

static void multiple(struct doctor *d)
{
	unsigned won[MAIN_NODES] = { 0 };

	for (int round = 0; round < ROUNDS && !doctor_stop; round++) {
		int winner;

		if (!join(d, A) || !join(d, B) || !join(d, C))
			return;
		winner = race(d, A, C, PROUT_RESERVE, 0);
		if (winner < 0) {
			check_fail(d, winner == -1 ? "no node got the free disk"
						   : "several nodes got the disk at once");
			return;
		}
		won[winner]++;
		if (!owns(d, winner, "the winner of the race does not own the disk") ||
		    !pr_do(&d->nodes[winner], PROUT_CLEAR, 0, d->nodes[winner].key, 0, GOOD))
			return;
		for (int i = A; i <= C; i++)
			node_settle(&d->nodes[i], NULL);
	}
	check_note(d, "%d rounds: A %u, B %u, C %u", ROUNDS, won[A], won[B], won[C]);
}

static void failover(struct doctor *d)
{
	for (int round = 0; round < ROUNDS && !doctor_stop; round++) {
		int winner;

		if (!join(d, A) || !join(d, B) || !join(d, C) ||
		    !pr_do(&d->nodes[A], PROUT_RESERVE, WE_RO, d->nodes[A].key, 0, GOOD))
			return;
		winner = race(d, B, C, PROUT_PREEMPT, d->nodes[A].key);
		if (winner < 0) {
			check_fail(d, winner == -1 ? "no node took over"
						   : "several nodes took over: each believes it "
						     "owns the disk");
			return;
		}
		if (!owns(d, winner, "who took over does not own the disk") ||
		    !pr_do(&d->nodes[winner], PROUT_CLEAR, 0, d->nodes[winner].key, 0, GOOD))
			return;
		for (int i = A; i <= C; i++)
			node_settle(&d->nodes[i], NULL);
	}
	check_note(d, "%d rounds", ROUNDS);
}

/* Every path of every node of a cluster registers at once, after a power failure for instance. */
static void burst(struct doctor *d)
{
	struct cmd *c[BURST];
	unsigned have = 0;
	uint64_t keys[64];
	double most = 0;

	for (int i = 0; i < BURST; i++) {
		struct node *n = &d->nodes[MAIN_NODES + i];

		n->key = d->mark << 16 | 0x1000u | (unsigned)i;
		n->isid = d->nodes[A].isid + 100u + (unsigned)i;
		snprintf(n->name, sizeof(n->name), "%s", d->nodes[i % MAIN_NODES].name);
		n->portal = d->nodes[i % MAIN_NODES].portal;
		if (!node_login(n)) {
			check_fail(d, "%s (session %d)", d->why, MAIN_NODES + i + 1);
			break;
		}
		node_settle(n, NULL);
		have++;
	}
	for (unsigned i = 0; i < have; i++) {
		struct node *n = &d->nodes[MAIN_NODES + i];
		struct cdb cdb = cdb_pr_out(PROUT_REGISTER_IGNORE, 0, 0, n->key, 0);

		c[i] = cmd_start(n, &cdb);
	}
	for (unsigned i = 0; i < have; i++) {
		cmd_wait(c[i], 0);
		expect(c[i]->node, &c[i]->cdb, &c[i]->a, GOOD, NULL);
		if (c[i]->a.ms > most)
			most = c[i]->a.ms;
		cmd_free(c[i]);
	}
	if (pr_keys(&d->nodes[A], keys, 64, NULL) != (int)have)
		check_fail(d, "%u sessions registered, READ KEYS has another number", have);
	for (unsigned i = 0; i < have; i++) {
		struct node *n = &d->nodes[MAIN_NODES + i];

		if (pr_do(n, PROUT_REGISTER, 0, n->key, 0, GOOD))
			n->key = 0;
		node_logout(n);
	}
	if (most > PR_SLOW_MS)
		check_warn(d, "the last of %u registrations was answered after %.0f ms", have,
			   most);
	check_note(d, "%u sessions, the last answered after %.1f ms", have, most);
}

static void pr_time(struct doctor *d)
{
	if (d->pr_ms_max > PR_LATE_MS)
		check_fail(d, "%s took %.0f ms", d->pr_ms_what, d->pr_ms_max);
	else if (d->pr_ms_max > PR_SLOW_MS)
		check_warn(d, "%s took %.0f ms", d->pr_ms_what, d->pr_ms_max);
	check_note(d, "the slowest of this run: %.1f ms, %s", d->pr_ms_max, d->pr_ms_what);
}

/* clang-format off */
const struct check checks_arbitration[] = {
	{ "arbitration-defended", "an owner that defends itself keeps the disk",
	  "MS-CSVP 3.2.4.15 CprepDiskPRArbitrate, 3.2.4.6 CprepDiskStopDefense",
	  "The challenger's key is preempted; its PREEMPT then ends in RESERVATION CONFLICT.",
	  "Healthy owners lose their disks: machines fail over without need.", NEED_ALONE,
	  defended },
	{ "arbitration-undefended", "a challenger gets the disk of a dead owner",
	  "MS-CSVP 3.2.4.15 CprepDiskPRArbitrate",
	  "After the time to defend is over, PREEMPT moves the reservation, for good.",
	  "No failover when a node dies, or the dead node comes back writing.", NEED_ALONE,
	  undefended },
	{ "multiple-arbitration", "three nodes race for a free disk, one wins",
	  "SPC-4 5.13.9; MS-CSVP 3.2.4.15",
	  "RESERVEs sent at once: one GOOD, the others conflicts.",
	  "Two nodes bring the disk online: corruption.", NEED_ALONE, multiple },
	{ "simultaneous-failover", "two nodes race to take over, one wins",
	  "SPC-4 5.13.11.2.4; MS-CSVP 3.2.4.23",
	  "PREEMPTs of the same key sent at once: one GOOD, the other a conflict.",
	  "Two nodes bring the disk online: corruption.", NEED_ALONE, failover },
	{ "registration-burst", "all paths of all nodes register at once", "SPC-4 5.13.7; WHCP",
	  "Twelve more sessions register at the same moment, each is answered soon.",
	  "After a power failure the cluster does not form.", 0, burst },
	{ 0 },
};

const struct check checks_last[] = {
	{ "pr-time", "reservation commands are answered soon",
	  "Windows: DiskArbInterval 3 s; sbd: 5 s",
	  "No PERSISTENT RESERVE command of this whole run took longer than 3 s (warning: 1 s).",
	  "Owners that cannot re-assert within 3 s lose their disks.", 0, pr_time },
	{ 0 },
};
/* clang-format on */
