/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that are under way when their node is fenced, aborted or reset. The victim logs in without
 * immediate and unsolicited data, sends writes and answers no R2T: they are surely in the target
 * when the other node acts, and their data come later.
 */
#include <stdio.h>
#include <string.h>

#include "target/doctor/doctor.h"

enum {
	WE_RO = 5,
	VICTIMS = 4,
	STREAM = 16,
	ARRIVE_MS = 60,
	END_MS = 2000,
	LATE_MS = 300,
	SLOW_MS = 2000,
	OLD = 0x61,
	NEW = 0x62,
	FENCED = 0x66
};

/* ---- a victim with writes in the target ----------------------------------------------- */

struct victim {
	struct node *n;
	struct cmd *c[VICTIMS];
	unsigned count;
};

static bool fenceable(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B];

	return pr_do(a, PROUT_REGISTER_IGNORE, 0, 0, a->key, GOOD) &&
	       pr_do(b, PROUT_REGISTER_IGNORE, 0, 0, b->key, GOOD) &&
	       pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD) && scratch_fill(a, OLD);
}

static bool asked_only(struct node *n)
{
	n->asked_only = true;
	if (!node_login(n)) {
		check_fail(n->d, "%s", n->d->why);
		return false;
	}
	node_settle(n, NULL);
	return true;
}

static void victim_start(struct doctor *d, struct victim *v, unsigned count)
{
	static uint8_t data[DATA_MAX];
	uint16_t blocks = (uint16_t)(DATA_MAX / d->block);

	memset(data, FENCED, sizeof(data));
	v->n = &d->nodes[B];
	v->count = count;
	v->n->held = true;
	for (unsigned i = 0; i < count; i++) {
		struct cdb w = cdb_write(d->scratch + i * blocks, blocks, d->block, data, false);

		v->c[i] = cmd_start(v->n, &w);
	}
	doctor_wait(d, ARRIVE_MS);
}

/*
 * Sends the data after all. How many of the commands got status GOOD. Those that are not answered
 * stay with the session, which is needed a little longer.
 */
static unsigned victim_end(struct doctor *d, struct victim *v, bool aborted)
{
	unsigned good = 0, silent = 0;

	v->n->held = false;
	for (unsigned i = 0; i < v->count; i++) {
		cmd_wait(v->c[i], i ? LATE_MS : END_MS);
		good += v->c[i]->done && answer_is(&v->c[i]->a, GOOD);
		silent += !v->c[i]->done;
	}
	if (silent && !aborted)
		check_warn(d, "%u writes of the victim are never answered", silent);
	return good;
}

static void victim_free(struct victim *v)
{
	for (unsigned i = 0; i < v->count; i++)
		cmd_free(v->c[i]);
}

/* Whatever the victim sent must not be on the disk, now and a little later. */
static void nothing_landed(struct doctor *d, const char *what)
{
	uint8_t found;

	for (int i = 0; i < 2; i++) {
		if (!scratch_is(&d->nodes[A], NEW, &found)) {
			check_fail(d,
				   "a write that was under way was carried out after the %s was "
				   "answered: %02Xh on the disk, %02Xh was written after it",
				   what, found, NEW);
			return;
		}
		doctor_wait(d, LATE_MS);
	}
}

static bool refused_now(struct node *n, bool told)
{
	struct cdb tur = cdb_tur(), w = cdb_write(0, 0, n->d->block, NULL, false);
	uint16_t first;

	if (!n->ctx && !node_login(n)) {
		check_fail(n->d, "%s", n->d->why);
		return false;
	}
	if (node_settle(n, &first) < 0)
		check_fail(n->d, "%s: %s: unit attentions do not end", n->label, tur.text);
	if (!told && first >> 8 != 0x2a)
		check_warn(n->d, "%s: the fenced node is not told (2Ah/05h), but %04Xh", n->label,
			   first);
	return node_expect(n, &w, CONFLICT, "the fenced node writes");
}

static void preempt_held(struct doctor *d, enum pr_out sa)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B];
	struct cdb p = cdb_pr_out(sa, WE_RO, a->key, b->key, 0);
	const char *name = sa == PROUT_PREEMPT ? "PREEMPT" : "PREEMPT AND ABORT";
	struct victim v;
	struct answer r;
	unsigned good;
	bool told = false;

	if (!asked_only(b) || !fenceable(d))
		return;
	victim_start(d, &v, VICTIMS);
	r = node_do(a, &p);
	if (expect(a, &p, &r, GOOD, "a node with writes under way cannot be fenced")) {
		if (r.ms > SLOW_MS)
			check_warn(d, "%s took %.0f ms", name, r.ms);
		if (scratch_fill(a, NEW)) {
			good = victim_end(d, &v, sa == PROUT_PREEMPT_ABORT);
			if (good)
				check_fail(d,
					   "%u writes of the fenced node ended with GOOD after "
					   "the %s was answered",
					   good, name);
			for (unsigned i = 0; i < v.count; i++)
				told |= v.c[i]->done && v.c[i]->a.key == 6 && v.c[i]->a.asc == 0x2a;
			nothing_landed(d, name);
			refused_now(b, told || !b->ctx);
		}
		check_note(d, "answered in %.1f ms with %u writes under way", r.ms, v.count);
	}
	victim_free(&v);
}

static void preempt_writes(struct doctor *d)
{
	preempt_held(d, PROUT_PREEMPT);
}

static void preempt_abort_writes(struct doctor *d)
{
	preempt_held(d, PROUT_PREEMPT_ABORT);
}

/* ---- a victim at full speed ----------------------------------------------------------- */

static void preempt_abort_load(struct doctor *d)
{
	static uint8_t data[DATA_MAX];
	static const unsigned waits[] = { 0, 2, 10 };
	struct node *a = &d->nodes[A], *b = &d->nodes[B];
	uint16_t blocks = (uint16_t)(DATA_MAX / d->block);
	struct cdb p = cdb_pr_out(PROUT_PREEMPT_ABORT, WE_RO, a->key, b->key, 0);
	double most = 0;

	memset(data, FENCED, sizeof(data));
	for (unsigned round = 0; round < sizeof(waits) / sizeof(waits[0]); round++) {
		struct cmd *c[STREAM];
		struct answer r;

		if ((!b->ctx && !node_login(b)) || !fenceable(d)) {
			check_fail(d, "%s", d->why);
			return;
		}
		for (unsigned i = 0; i < STREAM; i++) {
			struct cdb w = cdb_write(d->scratch + i % 8 * blocks, blocks, d->block,
						 data, false);

			c[i] = cmd_start(b, &w);
		}
		doctor_wait(d, waits[round]);
		r = node_do(a, &p);
		if (expect(a, &p, &r, GOOD, "a node that writes cannot be fenced")) {
			most = r.ms > most ? r.ms : most;
			if (scratch_fill(a, NEW)) {
				doctor_wait(d, LATE_MS);
				nothing_landed(d, "PREEMPT AND ABORT");
				refused_now(b, true);
			}
		}
		for (unsigned i = 0; i < STREAM; i++)
			cmd_free(c[i]);
	}
	if (most > SLOW_MS)
		check_warn(d, "PREEMPT AND ABORT took %.0f ms", most);
	check_note(d, "answered in at most %.1f ms with up to %u writes under way", most, STREAM);
}

/* ---- task management ------------------------------------------------------------------ */

static bool complete(struct cmd *c)
{
	struct doctor *d = c->node->d;
	char text[100];

	cmd_wait(c, 0);
	if (c->a.how == HOW_STATUS && !c->a.status)
		return true;
	if (c->a.how == HOW_STATUS)
		check_fail(d, "%s: response %u, expected 0, function complete", c->cdb.text,
			   c->a.status);
	else
		check_fail(d, "%s: %s", c->cdb.text, answer_text(&c->a, text));
	return false;
}

static void abort_task(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B];
	struct cdb tur = cdb_tur();
	struct victim v;
	struct cmd *t;

	if (!scratch_fill(a, OLD) || !asked_only(b))
		return;
	victim_start(d, &v, 1);
	t = cmd_abort_task(b, v.c[0]);
	doctor_wait(d, ARRIVE_MS);
	b->held = false;
	if (complete(t)) {
		check_note(d, "answered in %.1f ms", t->a.ms - ARRIVE_MS);
		if (scratch_fill(a, NEW)) {
			if (victim_end(d, &v, true))
				check_warn(d, "the aborted write ended with GOOD");
			nothing_landed(d, "ABORT TASK");
			node_expect(b, &tur, GOOD,
				    "the session is of no use after ABORT TASK: "
				    "VMware and Linux log in again");
		}
	}
	cmd_free(t);
	victim_free(&v);
}

/* A reset is told to every nexus (SAM-5 6.3.3). */
static void told_of_reset(struct doctor *d, int node, bool issuer)
{
	uint16_t first;
	struct node *n = &d->nodes[node];

	if (!n->ctx && !node_login(n))
		return;
	if (node_settle(n, &first) < 0)
		check_fail(d, "%s: unit attentions do not end", n->label);
	if (first >> 8 == 0x29)
		return;
	if (issuer)
		check_note(d, "the issuer itself is told %04Xh", first);
	else
		check_warn(d, "%s is not told of the reset (29h/xx), but %04Xh", n->label, first);
}

static void sibling_settle(struct doctor *d, bool expected_quiet)
{
	int lun = d->lun;
	uint16_t first;

	if (d->sibling < 0)
		return;
	d->lun = d->sibling;
	for (int i = A; i <= A2; i++)
		if (node_settle(&d->nodes[i], &first) && expected_quiet)
			check_fail(d, "%s is told of the reset of LUN %d on LUN %d: %04Xh",
				   d->nodes[i].label, lun, d->sibling, first);
	d->lun = lun;
}

static void lun_reset(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B];
	struct victim v = { .count = 0 };
	uint64_t keys[8], holder;
	uint8_t type;
	struct cmd *t;

	sibling_settle(d, false);
	if (d->writes ? !asked_only(b) || !fenceable(d)
		      : !pr_do(a, PROUT_REGISTER, 0, 0, a->key, GOOD) ||
				!pr_do(b, PROUT_REGISTER, 0, 0, b->key, GOOD) ||
				!pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD))
		return;
	if (d->writes)
		victim_start(d, &v, 2);
	t = cmd_lun_reset(&d->nodes[C]);
	if (complete(t)) {
		told_of_reset(d, A, false);
		told_of_reset(d, A2, false);
		told_of_reset(d, C, true);
		if (d->writes && scratch_fill(a, NEW)) {
			victim_end(d, &v, true);
			nothing_landed(d, "reset");
		}
		told_of_reset(d, B, true);
		sibling_settle(d, true);
		if (pr_keys(a, keys, 8, NULL) != 2 || !pr_holder(a, &holder, &type) ||
		    holder != a->key || type != WE_RO)
			check_fail(d, "the reset removed registrations or the reservation");
		check_note(d, "answered in %.1f ms%s", t->a.ms,
			   d->sibling < 0 ? "; there is no other LUN to look at" : "");
	}
	cmd_free(t);
	victim_free(&v);
}

/* clang-format off */
const struct check checks_abort[] = {
	{ "preempt-writes", "PREEMPT, and the victim's writes are under way",
	  "SPC-4 5.13.11.2.4; SAM-5: a command is judged when it is carried out",
	  "From the answer on, nothing the victim sent changes the disk.",
	  "What a fenced node had queued lands on top of the new owner's data: corruption.",
	  NEED_WRITES | NEED_ALONE, preempt_writes },
	{ "preempt-abort-writes", "PREEMPT AND ABORT, and the victim's writes are under way",
	  "SPC-4 5.13.11.2.6", "The victim's commands are aborted before the answer.",
	  "fence_scsi and LVM rely on it; some targets hang here, or let the writes pass.",
	  NEED_WRITES | NEED_ALONE, preempt_abort_writes },
	{ "preempt-abort-load", "PREEMPT AND ABORT of a node that writes at full speed",
	  "SPC-4 5.13.11.2.6", "As before, without holding anything back, three times.",
	  "LVM registers, then fences while I/O runs: the lock-up of some kernel targets.",
	  NEED_WRITES | NEED_ALONE, preempt_abort_load },
	{ "abort-task", "ABORT TASK aborts", "RFC 7143 11.5, 11.6; SAM-5 7.2",
	  "Function complete; the write does not change the disk afterwards; the session goes on.",
	  "A time-out of one command becomes a lost session, or an old write overtakes its retry.",
	  NEED_WRITES | NEED_ALONE, abort_task },
	{ "lun-reset", "LOGICAL UNIT RESET resets that LUN only, and no reservation",
	  "SAM-5 6.3.3, 7.7; RFC 7143 11.5; WHCP",
	  "Every nexus is told 29h on this LUN and none on others; registrations stay.",
	  "Windows resets LUNs in arbitration: one disk's trouble becomes every disk's.",
	  NEED_ALONE, lun_reset },
	{ 0 },
};
/* clang-format on */
