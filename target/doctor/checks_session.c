/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that go and come back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/doctor/doctor.h"

enum { WE_RO = 5, CLOSE_MS = 5000, STEP_MS = 50, RESTART_MS = 60000 };

static const struct step restarted[] = {
	{ C, V_KEYS, "ab", 0, GOOD, "registrations are lost", false },
	{ C, V_HOLDER, "a", WE_RO, GOOD, "the reservation is lost", false },
	{ 0 },
};

/* A reconnect is no news to anybody but, at most, to who lost the nexus. */
static void reconnect(struct doctor *d)
{
	struct node *b = &d->nodes[B];
	int worst = 0;

	if (!pr_do(b, PROUT_REGISTER_IGNORE, 0, 0, b->key, GOOD))
		return;
	for (int i = 0; i < 3; i++) {
		uint16_t first;
		int n;

		node_drop(b);
		check_line(d, b->label, "(the connection is cut)", "", 0);
		if (!node_login(b)) {
			check_fail(d, "%s", d->why);
			return;
		}
		n = node_settle(b, &first);
		if (n < 0 || n > 1)
			check_fail(d,
				   "B gets %d unit attentions after a reconnect, the first "
				   "%04Xh",
				   n < 0 ? 16 : n, first);
		else if (n && first != 0x2907)
			check_warn(d,
				   "B is told %04Xh after a reconnect: nothing of that kind "
				   "happened",
				   first);
		worst = n > worst ? n : worst;
	}
	for (int i = 0; i < MAIN_NODES; i++) {
		uint16_t first;

		if (i != B && node_settle(&d->nodes[i], &first))
			check_fail(d, "%s is told %04Xh when B reconnects", d->nodes[i].label,
				   first);
	}
	check_note(d, "%d unit attentions after a reconnect", worst);
}

/* RFC 7143 6.3.5: the new session of the same ISID replaces the old one. */
static void reinstate(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B], *x = &d->nodes[MAIN_NODES];
	struct cdb w = cdb_write(0, 0, d->block, NULL, false), tur = cdb_tur();
	int64_t end;

	if (!pr_do(a, PROUT_REGISTER_IGNORE, 0, 0, a->key, GOOD) ||
	    !pr_do(b, PROUT_REGISTER_IGNORE, 0, 0, b->key, GOOD) ||
	    !pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD))
		return;
	snprintf(x->name, sizeof(x->name), "%s", b->name);
	x->isid = b->isid;
	x->portal = b->portal;
	check_line(d, "B again", "login, same name and ISID, the old session open", "", 0);
	if (!node_login(x)) {
		check_fail(d, "%s: a node whose connection hangs cannot come back", d->why);
		return;
	}
	for (end = now_us() + CLOSE_MS * 1000; !node_closed(b) && now_us() < end && !doctor_stop;)
		doctor_wait(d, STEP_MS);
	if (b->ctx)
		check_fail(d, "the old session stays beside the new one");
	node_settle(x, NULL);
	node_expect(x, &tur, GOOD, NULL);
	node_expect(x, &w, GOOD, "the registration does not belong to the new session");
	node_logout(x);
}

static bool all_back(struct doctor *d)
{
	int64_t end = now_us() + RESTART_MS * 1000ll;
	int up = 0;

	/* While it starts it refuses: that is no sign of a target that hangs. */
	while (up < MAIN_NODES && now_us() < end && !doctor_stop) {
		if (node_login(&d->nodes[up]))
			node_settle(&d->nodes[up++], NULL);
		else
			doctor_wait(d, STEP_MS * 5);
	}
	d->timeouts = 0;
	return up == MAIN_NODES;
}

static void restart(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B], *c = &d->nodes[C];
	struct cdb w = cdb_write(0, 0, d->block, NULL, false);
	int status;

	for (int i = A; i <= B; i++) {
		struct cdb r = cdb_pr_out(PROUT_REGISTER, 0, 0, d->nodes[i].key, PR_APTPL);

		if (i != A2 && !node_expect(&d->nodes[i], &r, GOOD, "APTPL=1 is not taken"))
			return;
	}
	if (!pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD))
		return;
	for (int i = 0; i < MAIN_NODES; i++)
		node_drop(&d->nodes[i]);
	check_line(d, "", d->restart, "", 0);
	status = system(d->restart);
	if (status) {
		check_skip(d, "the restart command fails (%d)", status);
		return;
	}
	if (!all_back(d)) {
		check_fail(d, "the target does not come back within %d s: %s", RESTART_MS / 1000,
			   d->why);
		return;
	}
	steps_run(d, restarted);
	if (node_expect(c, &w, CONFLICT, "a node that was never let in writes") &&
	    node_expect(a, &w, GOOD, "the owner cannot write"))
		node_expect(b, &w, GOOD, "a registered node cannot write");
}

static void discovery(struct doctor *d)
{
	struct node *x = &d->nodes[MAIN_NODES];

	snprintf(x->name, sizeof(x->name), "%s", d->nodes[A].name);
	for (int i = A; i <= A2; i++) {
		x->portal = d->nodes[i].portal;
		x->isid = d->nodes[A].isid + 50;
		if (!node_discover(x)) {
			check_warn(d, "no discovery at %s (another password?): %s", x->portal,
				   d->why);
			continue;
		}
		check_line(d, d->nodes[i].label, "SendTargets=All",
			   x->found ? "found" : "not found", 0);
		if (!x->found)
			check_fail(d, "%s names %u targets, and this is not among them", x->portal,
				   x->targets);
		check_note(d, "%u targets", x->targets);
	}
}

/* clang-format off */
const struct check checks_session[] = {
	{ "discovery", "SendTargets names the target at every portal", "RFC 7143 appendix C",
	  "A discovery session lists what one may log in to.",
	  "Windows' iSCSI initiator and iscsiadm find nothing to connect to.", 0, discovery },
	{ "reconnect", "a reconnect brings no storm of unit attentions", "SAM-5 5.14, 6.3.4",
	  "At most one, I_T NEXUS LOSS OCCURRED (29h/07h), and only for that nexus.",
	  "POWER ON, RESET after every glitch makes Linux and Windows fail I/O or rescan; told to "
	  "others it spreads.", NEED_ALONE, reconnect },
	{ "reinstatement", "a node replaces its own hanging session", "RFC 7143 6.3.5",
	  "The old session is closed, the registration passes to the new one.",
	  "A node whose network stalled waits for minutes, or works on beside its own ghost.",
	  NEED_ALONE, reinstate },
	{ "restart", "reservations survive a restart of the target", "SPC-4 5.13.5 (APTPL)",
	  "Registered with APTPL=1: after the restart keys and reservation are as they were.",
	  "After a restart of the storage nobody owns the disk, and fenced nodes write.",
	  NEED_ALONE | NEED_RESTART, restart },
	{ 0 },
};
/* clang-format on */
