/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is expected and what came: a check can be a table of steps, "this node sends this with these
 * keys, and that is the answer". One interpreter runs them all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/wire.h"
#include "target/doctor/doctor.h"

static const struct {
	const char *text;
	uint8_t status;
	int key, asc, ascq; /* -1: any */
} wants[] = {
	[GOOD] = { "GOOD", 0x00, -1, -1, -1 },
	[CONFLICT] = { "RESERVATION CONFLICT", 0x18, -1, -1, -1 },
	[UA_REGS_PREEMPTED] = { "unit attention 2Ah/05h, REGISTRATIONS PREEMPTED", 2, 6, 0x2a, 5 },
	[UA_RES_RELEASED] = { "unit attention 2Ah/04h, RESERVATIONS RELEASED", 2, 6, 0x2a, 4 },
	[UA_RES_PREEMPTED] = { "unit attention 2Ah/03h, RESERVATIONS PREEMPTED", 2, 6, 0x2a, 3 },
	[BAD_RELEASE] = { "5h 26h/04h, INVALID RELEASE OF PERSISTENT RESERVATION", 2, 5, 0x26, 4 },
	[BAD_PARAMETER] = { "5h 26h, INVALID FIELD IN PARAMETER LIST", 2, 5, 0x26, -1 },
	[ILLEGAL] = { "CHECK CONDITION, ILLEGAL REQUEST", 2, 5, -1, -1 },
	[ANY] = { "any answer", 0, -1, -1, -1 },
};

static const struct {
	uint8_t status;
	const char *name;
} statuses[] = {
	{ 0x00, "GOOD" },
	{ 0x02, "CHECK CONDITION" },
	{ 0x04, "CONDITION MET" },
	{ 0x08, "BUSY" },
	{ 0x28, "TASK SET FULL" },
	{ 0x30, "ACA ACTIVE" },
	{ 0x18, "RESERVATION CONFLICT" },
	{ 0x40, "TASK ABORTED" },
};

/* What clusters meet; the rest is told in numbers. */
static const struct {
	uint16_t ascq;
	const char *name;
} senses[] = {
	{ 0x0401, "BECOMING READY" },
	{ 0x0403, "MANUAL INTERVENTION REQUIRED" },
	{ 0x1d00, "MISCOMPARE DURING VERIFY OPERATION" },
	{ 0x2000, "INVALID COMMAND OPERATION CODE" },
	{ 0x2100, "LBA OUT OF RANGE" },
	{ 0x2400, "INVALID FIELD IN CDB" },
	{ 0x2500, "LOGICAL UNIT NOT SUPPORTED" },
	{ 0x2600, "INVALID FIELD IN PARAMETER LIST" },
	{ 0x2604, "INVALID RELEASE OF PERSISTENT RESERVATION" },
	{ 0x2700, "WRITE PROTECTED" },
	{ 0x2900, "POWER ON, RESET, OR BUS DEVICE RESET OCCURRED" },
	{ 0x2901, "POWER ON OCCURRED" },
	{ 0x2903, "BUS DEVICE RESET FUNCTION OCCURRED" },
	{ 0x2907, "I_T NEXUS LOSS OCCURRED" },
	{ 0x2a03, "RESERVATIONS PREEMPTED" },
	{ 0x2a04, "RESERVATIONS RELEASED" },
	{ 0x2a05, "REGISTRATIONS PREEMPTED" },
	{ 0x2f00, "COMMANDS CLEARED BY ANOTHER INITIATOR" },
	{ 0x3f0e, "REPORTED LUNS DATA HAS CHANGED" },
	{ 0x5504, "INSUFFICIENT REGISTRATION RESOURCES" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *answer_text(const struct answer *a, char out[100])
{
	static const char *const hows[] = {
		[HOW_TIMEOUT] = "no answer within the time limit",
		[HOW_LOST] = "the connection was lost",
		[HOW_STOPPED] = "interrupted",
	};
	const char *name = NULL;

	if (a->how != HOW_STATUS) {
		snprintf(out, 100, "%s", hows[a->how]);
		return out;
	}
	if (a->status == 2) {
		for (size_t i = 0; i < COUNT(senses); i++)
			if (senses[i].ascq == (a->asc << 8 | a->ascq))
				name = senses[i].name;
		snprintf(out, 100, "CHECK CONDITION %Xh %02Xh/%02Xh%s%s", a->key, a->asc, a->ascq,
			 name ? " " : "", name ? name : "");
		return out;
	}
	for (size_t i = 0; i < COUNT(statuses); i++)
		if (statuses[i].status == a->status)
			name = statuses[i].name;
	if (name)
		snprintf(out, 100, "%s", name);
	else
		snprintf(out, 100, "status %02Xh", a->status);
	return out;
}

const char *want_text(enum want want)
{
	return wants[want].text;
}

bool answer_is(const struct answer *a, enum want want)
{
	if (a->how != HOW_STATUS)
		return false;
	return want == ANY || (a->status == wants[want].status &&
			       (wants[want].key < 0 || wants[want].key == a->key) &&
			       (wants[want].asc < 0 || wants[want].asc == a->asc) &&
			       (wants[want].ascq < 0 || wants[want].ascq == a->ascq));
}

bool expect(struct node *n, const struct cdb *c, const struct answer *a, enum want want,
	    const char *why)
{
	char text[100];

	if (answer_is(a, want))
		return true;
	check_fail(n->d, "%s: %s: %s, expected %s%s%s", n->label, c->text, answer_text(a, text),
		   wants[want].text, why ? ": " : "", why ? why : "");
	return false;
}

bool node_expect(struct node *n, const struct cdb *c, enum want want, const char *why)
{
	struct answer a = node_do(n, c);

	return expect(n, c, &a, want, why);
}

/* ---- reservations --------------------------------------------------------------------- */

uint64_t key_of(const struct doctor *d, char letter)
{
	switch (letter) {
	case 'a':
		return d->nodes[A].key;
	case 'b':
		return d->nodes[B].key;
	case 'c':
		return d->nodes[C].key;
	case 'x':
		return d->mark << 16 | 0xffff;
	default:
		return 0;
	}
}

bool key_is_ours(const struct doctor *d, uint64_t key)
{
	return key >> 16 == d->mark;
}

bool pr_do(struct node *n, enum pr_out sa, uint8_t type, uint64_t key, uint64_t sa_key,
	   enum want want)
{
	struct cdb c = cdb_pr_out(sa, type, key, sa_key, 0);

	return node_expect(n, &c, want, NULL);
}

/* Who comes while we run is left alone from then on. */
static void foreign_note(struct doctor *d, uint64_t key)
{
	for (unsigned i = 0; i < d->nforeign; i++)
		if (d->foreign[i] == key)
			return;
	if (d->nforeign < FOREIGN_MAX)
		d->foreign[d->nforeign++] = key;
	check_fail(d,
		   "READ KEYS lists %llx, which is none of ours: somebody else registers, or "
		   "keys are mangled",
		   (unsigned long long)key);
}

int pr_keys(struct node *n, uint64_t *keys, unsigned max, uint32_t *generation)
{
	struct cdb c = cdb_pr_in(PRIN_KEYS, 8 + 8 * 512);
	struct answer a = node_do(n, &c);
	int found = 0;
	uint32_t bytes;

	answer_text(&a, n->d->said);
	if (!answer_is(&a, GOOD) || a.len < 8)
		return -1;
	bytes = get_be32(a.data + 4);
	if (bytes > a.len - 8)
		bytes = a.len - 8;
	if (generation)
		*generation = get_be32(a.data);
	for (uint32_t i = 0; i + 8 <= bytes; i += 8) {
		uint64_t key = get_be64(a.data + 8 + i);

		if (!key_is_ours(n->d, key))
			foreign_note(n->d, key);
		else if ((unsigned)found < max)
			keys[found++] = key;
	}
	return found;
}

bool pr_holder(struct node *n, uint64_t *key, uint8_t *type)
{
	struct cdb c = cdb_pr_in(PRIN_RESERVATION, 24);
	struct answer a = node_do(n, &c);

	*key = *type = 0;
	answer_text(&a, n->d->said);
	if (!answer_is(&a, GOOD) || a.len < 8)
		return false;
	if (get_be32(a.data + 4) >= 16 && a.len >= 24) {
		*key = get_be64(a.data + 8);
		*type = a.data[21] & 0x0f;
	}
	return true;
}

/* ---- steps ---------------------------------------------------------------------------- */

typedef bool step_fn(struct node *n, const struct step *s);

static bool ua_wanted(enum want want)
{
	return want == UA_REGS_PREEMPTED || want == UA_RES_RELEASED || want == UA_RES_PREEMPTED;
}

static bool step_send(struct node *n, const struct step *s, const struct cdb *c)
{
	struct answer a = node_do(n, c);
	char text[100];

	if (answer_is(&a, s->want))
		return true;
	/* A target may look at the length before the reservation: nothing would be written. */
	if (s->verb == V_WRITE && !n->d->writes && s->want == CONFLICT && answer_is(&a, GOOD)) {
		check_warn(n->d,
			   "%s: a WRITE of length 0 was not refused: %s (--allow-writes tells "
			   "for sure)",
			   n->label, s->why);
		return true;
	}
	if (s->soft && a.how == HOW_STATUS) {
		check_warn(n->d, "%s: %s: %s, expected %s: %s", n->label, c->text,
			   answer_text(&a, text), want_text(s->want), s->why);
		return true;
	}
	if (ua_wanted(s->want) && a.how == HOW_STATUS && a.status == 2 && a.key == 6 &&
	    a.asc == 0x2a) {
		check_warn(n->d, "%s: %s: %s, expected %s: told in other words", n->label, c->text,
			   answer_text(&a, text), want_text(s->want));
		return true;
	}
	expect(n, c, &a, s->want, s->why);
	/* A unit attention that is missing is a failure, and does not hide what comes after. */
	return a.how == HOW_STATUS && ua_wanted(s->want);
}

static bool step_simple(struct node *n, const struct step *s)
{
	struct cdb c = s->verb == V_TUR	      ? cdb_tur()
		       : s->verb == V_INQUIRY ? cdb_inquiry(-1, 96)
		       : s->verb == V_READ    ? cdb_read(0, 1, n->d->block)
					      : cdb_capacity10();

	return step_send(n, s, &c);
}

static bool step_pr_out(struct node *n, const struct step *s)
{
	static const enum pr_out sas[] = {
		[V_REGISTER] = PROUT_REGISTER,
		[V_REGISTER_IGNORE] = PROUT_REGISTER_IGNORE,
		[V_RESERVE] = PROUT_RESERVE,
		[V_RELEASE] = PROUT_RELEASE,
		[V_CLEAR] = PROUT_CLEAR,
		[V_PREEMPT] = PROUT_PREEMPT,
		[V_PREEMPT_ABORT] = PROUT_PREEMPT_ABORT,
	};
	uint64_t rk = key_of(n->d, s->keys[0]);
	uint64_t sk = s->keys[0] ? key_of(n->d, s->keys[1]) : 0;
	struct cdb c = cdb_pr_out(sas[s->verb], s->type, rk, sk, 0);

	return step_send(n, s, &c);
}

static bool step_write(struct node *n, const struct step *s)
{
	struct doctor *d = n->d;
	uint8_t data[4096] = { 0x55 };
	bool real = d->writes && d->block <= sizeof(data) && scratch_save(d);
	struct cdb c = real ? cdb_write(d->scratch, 1, d->block, data, false)
			    : cdb_write(0, 0, d->block, NULL, false);

	return step_send(n, s, &c);
}

static int by_key(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool step_keys(struct node *n, const struct step *s)
{
	uint64_t have[64], want[64];
	int nhave = pr_keys(n, have, 64, NULL), nwant = (int)strlen(s->keys);

	if (nhave < 0) {
		check_fail(n->d, "%s: READ KEYS: %s, expected GOOD: %s", n->label, n->d->said,
			   s->why);
		return false;
	}
	for (int i = 0; i < nwant; i++)
		want[i] = key_of(n->d, s->keys[i]);
	qsort(have, (size_t)nhave, sizeof(have[0]), by_key);
	qsort(want, (size_t)nwant, sizeof(want[0]), by_key);
	if (nhave == nwant && !memcmp(have, want, (size_t)nhave * sizeof(have[0])))
		return true;
	check_fail(n->d, "%s: READ KEYS lists %d keys of ours, expected %d%s%s%s: %s", n->label,
		   nhave, nwant, nwant ? " (those of " : "", s->keys, nwant ? ")" : "", s->why);
	return false;
}

static bool step_holder(struct node *n, const struct step *s)
{
	uint64_t key, want = s->keys[0] ? key_of(n->d, s->keys[0]) : 0;
	uint8_t type;

	if (!pr_holder(n, &key, &type)) {
		check_fail(n->d, "%s: READ RESERVATION: %s, expected GOOD: %s", n->label,
			   n->d->said, s->why);
		return false;
	}
	if (key == want && type == s->type)
		return true;
	check_fail(n->d,
		   "%s: READ RESERVATION: type %u with key %llx, expected type %u, key %llx: "
		   "%s",
		   n->label, type, (unsigned long long)key, s->type, (unsigned long long)want,
		   s->why);
	return false;
}

static bool step_session(struct node *n, const struct step *s)
{
	check_line(n->d, n->label,
		   s->verb == V_DROP	 ? "(the connection is cut)"
		   : s->verb == V_LOGOUT ? "logout"
					 : "login, same name and ISID",
		   "", 0);
	if (s->verb == V_DROP) {
		node_drop(n);
	} else if (s->verb == V_LOGOUT) {
		node_logout(n);
	} else {
		if (!node_login(n)) {
			check_fail(n->d, "%s: %s", n->d->why, s->why);
			return false;
		}
		node_settle(n, NULL);
	}
	return true;
}

static step_fn *const verbs[] = {
	[V_TUR] = step_simple,		 [V_INQUIRY] = step_simple,
	[V_READ] = step_simple,		 [V_CAPACITY] = step_simple,
	[V_REGISTER] = step_pr_out,	 [V_REGISTER_IGNORE] = step_pr_out,
	[V_RESERVE] = step_pr_out,	 [V_RELEASE] = step_pr_out,
	[V_CLEAR] = step_pr_out,	 [V_PREEMPT] = step_pr_out,
	[V_PREEMPT_ABORT] = step_pr_out, [V_KEYS] = step_keys,
	[V_HOLDER] = step_holder,	 [V_WRITE] = step_write,
	[V_DROP] = step_session,	 [V_LOGOUT] = step_session,
	[V_LOGIN] = step_session,
};

void steps_run(struct doctor *d, const struct step *s)
{
	for (; s->verb != V_END; s++)
		if (!verbs[s->verb](&d->nodes[s->node], s))
			return;
}
