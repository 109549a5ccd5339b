/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator does to reservations. */
#include "pr/state.h"
#include "scsi/wire.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

struct value {
	struct lu_world w;
	struct pr_state *pr; /* of w.v */
};

static void value_init(struct value *v)
{
	lu_world_init(&v->w);
	v->pr = calloc(1, pr_state_max());
	pr_copy(v->pr, pr_none);
	v->w.v.pr = v->pr;
}

static void value_fini(struct value *v)
{
	free(v->pr);
	lu_world_fini(&v->w);
}

static uint8_t clear(struct value *v)
{
	return lu_world_change(&v->w, LU_CHANGE_PR_CLEAR, NULL, NULL, 0, NULL, 0);
}

static void test_nothing_to_clear(void)
{
	struct value v;

	value_init(&v);
	v.pr->generation = 4;
	CU_ASSERT_EQUAL(clear(&v), SAM_GOOD);
	CU_ASSERT(!v.w.fx.changed && !v.w.fx.persist && !v.w.fx.nua && !v.w.fx.nabort);
	value_fini(&v);
}

static void test_everything_goes(void)
{
	struct value v;
	const struct pr_state *next;

	value_init(&v);
	pr_add(v.pr, &v.w.a, 0x11);
	pr_add(v.pr, &v.w.b, 0x22);
	pr_reserve(v.pr, 1, PR_EXCLUSIVE_ACCESS);
	v.pr->generation = 0xffffffff;
	v.pr->aptpl = true;
	CU_ASSERT_FALSE(lu_access(&v.w.v, &v.w.a) & 1u << PRC_WRITE);
	CU_ASSERT_EQUAL(clear(&v), SAM_GOOD);
	next = v.w.next.pr;
	CU_ASSERT(v.w.fx.changed && v.w.fx.persist && next == v.w.fx.pr_buf);
	CU_ASSERT(next->nregs == 0 && next->type == PR_NONE && next->holder == PR_NO_HOLDER);
	CU_ASSERT_EQUAL(next->generation, 0); /* one more, and it wrapped */
	CU_ASSERT(next->aptpl);
	CU_ASSERT_TRUE(lu_access(&v.w.next, &v.w.a) & 1u << PRC_WRITE);
	/* CLEAR aborts nothing (SPC-4 5.13.11.2.7). */
	CU_ASSERT(!v.w.fx.nabort && !v.w.fx.abort_all);
	/* Who asked is no nexus, so all are told. */
	CU_ASSERT_EQUAL(v.w.fx.nua, 2);
	CU_ASSERT(nexus_eq(&v.w.fx.ua[0].to, &v.w.a) && nexus_eq(&v.w.fx.ua[1].to, &v.w.b));
	CU_ASSERT_EQUAL(v.w.fx.ua[0].ua, UA_RESERVATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(v.w.fx.ua[1].ua, UA_RESERVATIONS_PREEMPTED);
	/* The old value is as it was. */
	CU_ASSERT(v.pr->nregs == 2 && v.pr->type == PR_EXCLUSIVE_ACCESS);
	value_fini(&v);
}

/* As many as there can be, and while a RESERVE(6) is held, which stays. */
static void test_full(void)
{
	struct value v;
	struct nexus n;

	value_init(&v);
	n = v.w.a;
	for (unsigned i = 0; i < PR_REGISTRANTS_MAX; i++) {
		put_be16(n.isid + 4, (uint16_t)i);
		CU_ASSERT_TRUE(pr_add(v.pr, &n, i + 1));
	}
	pr_reserve(v.pr, 0, PR_WRITE_EXCLUSIVE_AR);
	v.w.v.reserved6 = true;
	v.w.v.reserved6_by = v.w.b;
	CU_ASSERT_EQUAL(clear(&v), SAM_GOOD);
	CU_ASSERT(v.w.fx.changed && v.w.next.pr->nregs == 0 && v.w.next.reserved6);
	CU_ASSERT_EQUAL(v.w.fx.nua, PR_REGISTRANTS_MAX);
	value_fini(&v);
}

/* ---- import and prune ------------------------------------------------------------------------ */

static uint8_t change(struct value *v, enum lu_change_kind kind, const struct pr_state *pr,
		      bool holders)
{
	struct lu_request rq = { .kind = kind, .seq = ++v->w.seq, .pr = pr, .pr_holders = holders };

	lu_change(&v->w.v, &rq, &v->w.next, &v->w.fx);
	return v->w.fx.status;
}

/* The one unit attention ordered for a nexus; UA_COUNT: none. */
static enum ua told(const struct value *v, const struct nexus *n)
{
	enum ua ua = UA_COUNT;

	for (unsigned i = 0; i < v->w.fx.nua; i++) {
		if (!nexus_eq(&v->w.fx.ua[i].to, n))
			continue;
		CU_ASSERT_EQUAL(ua, UA_COUNT);
		ua = v->w.fx.ua[i].ua;
	}
	return ua;
}

static struct pr_state *other_value(void)
{
	struct pr_state *s = calloc(1, pr_state_max());

	pr_copy(s, pr_none);
	return s;
}

/* a holds and stays registered, b goes, c comes and holds. */
static void test_import(void)
{
	struct value v;
	struct pr_state *in = other_value();
	struct nexus c;
	const struct pr_state *next;

	value_init(&v);
	c = nexus_make("iqn.2026-11.com.example:c", 3, 1);
	pr_add(v.pr, &v.w.a, 0x11);
	pr_add(v.pr, &v.w.b, 0x22);
	pr_reserve(v.pr, 0, PR_WRITE_EXCLUSIVE_RO);
	v.pr->generation = 9;
	pr_add(in, &c, 0x33);
	pr_add(in, &v.w.a, 0x12);
	pr_reserve(in, 0, PR_WRITE_EXCLUSIVE_RO);
	in->aptpl = true;
	in->generation = 4;
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_IMPORT, in, false), SAM_GOOD);
	next = v.w.next.pr;
	CU_ASSERT(v.w.fx.changed && v.w.fx.persist && next == v.w.fx.pr_buf && next != in);
	CU_ASSERT(!v.w.fx.nabort && !v.w.fx.abort_all);
	CU_ASSERT_EQUAL(next->generation, 10);
	CU_ASSERT(next->aptpl && next->nregs == 2 && next->holder == 0);
	CU_ASSERT_EQUAL(next->regs[pr_find(next, &v.w.a)].key, 0x12);
	CU_ASSERT_FALSE(pr_registered(next, &v.w.b));
	CU_ASSERT_EQUAL(v.w.fx.nua, 2);
	CU_ASSERT_EQUAL(told(&v, &v.w.a), UA_RESERVATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(told(&v, &v.w.b), UA_REGISTRATIONS_PREEMPTED);
	/* The document's PRGENERATION, when it is the later one. */
	in->generation = 0xffffffff;
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_IMPORT, in, false), SAM_GOOD);
	CU_ASSERT_EQUAL(v.w.next.pr->generation, 0);
	free(in);
	value_fini(&v);
}

static void test_import_other_type(void)
{
	static const struct {
		uint8_t old, next;
		enum ua a, b;	/* a is the holder of the old one, and registered first */
	} t[] = {
		{ PR_WRITE_EXCLUSIVE_RO, PR_NONE, UA_RESERVATIONS_PREEMPTED,
		  UA_RESERVATIONS_RELEASED },
		{ PR_WRITE_EXCLUSIVE_RO, PR_EXCLUSIVE_ACCESS_RO, UA_RESERVATIONS_RELEASED,
		  UA_RESERVATIONS_RELEASED },
		{ PR_WRITE_EXCLUSIVE, PR_NONE, UA_RESERVATIONS_PREEMPTED, UA_COUNT },
		{ PR_WRITE_EXCLUSIVE, PR_EXCLUSIVE_ACCESS, UA_RESERVATIONS_RELEASED,
		  UA_RESERVATIONS_RELEASED },
		{ PR_EXCLUSIVE_ACCESS_AR, PR_NONE, UA_RESERVATIONS_PREEMPTED,
		  UA_RESERVATIONS_PREEMPTED },
		{ PR_EXCLUSIVE_ACCESS_AR, PR_WRITE_EXCLUSIVE_AR, UA_RESERVATIONS_RELEASED,
		  UA_RESERVATIONS_RELEASED },
		{ PR_NONE, PR_WRITE_EXCLUSIVE, UA_COUNT, UA_COUNT },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct value v;
		struct pr_state *in = other_value();

		value_init(&v);
		pr_add(v.pr, &v.w.a, 0x11);
		pr_add(v.pr, &v.w.b, 0x22);
		pr_copy(in, v.pr);
		if (t[i].old)
			pr_reserve(v.pr, 0, t[i].old);
		if (t[i].next)
			pr_reserve(in, 0, t[i].next);
		CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_IMPORT, in, false), SAM_GOOD);
		CU_ASSERT_EQUAL(v.w.next.pr->type, t[i].next);
		CU_ASSERT_EQUAL(told(&v, &v.w.a), t[i].a);
		CU_ASSERT_EQUAL(told(&v, &v.w.b), t[i].b);
		free(in);
		value_fini(&v);
	}
}

static void test_import_of_the_same(void)
{
	struct value v;
	struct pr_state *in = other_value();

	value_init(&v);
	pr_add(v.pr, &v.w.a, 0x11);
	v.pr->generation = 3;
	pr_copy(in, v.pr);
	in->generation = 7;
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_IMPORT, in, false), SAM_GOOD);
	CU_ASSERT(!v.w.fx.changed && !v.w.fx.nua && v.w.next.pr == v.pr);
	/* What is stored is another's yet. */
	v.w.v.not_ready = true;
	in->aptpl = true;
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_IMPORT, in, false), SAM_BUSY);
	CU_ASSERT_FALSE(v.w.fx.changed);
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_PRUNE, in, false), SAM_BUSY);
	free(in);
	value_fini(&v);
}

static void test_prune(void)
{
	struct value v;
	struct pr_state *gone = other_value();
	struct nexus c, d;
	const struct pr_state *next;

	value_init(&v);
	c = nexus_make("iqn.2026-11.com.example:c", 3, 1);
	d = nexus_make("iqn.2026-11.com.example:d", 4, 1);
	pr_add(v.pr, &v.w.a, 0x11);
	pr_add(v.pr, &v.w.b, 0x22);
	pr_add(v.pr, &c, 0x33);
	pr_reserve(v.pr, 1, PR_WRITE_EXCLUSIVE_RO);
	v.pr->generation = 5;
	pr_add(gone, &v.w.a, 0x11);
	pr_add(gone, &v.w.b, 0x22);	/* holds */
	pr_add(gone, &c, 0x34);		/* registered anew meanwhile */
	pr_add(gone, &d, 0x44);		/* gone already */
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_PRUNE, gone, false), SAM_GOOD);
	next = v.w.next.pr;
	CU_ASSERT(v.w.fx.changed && v.w.fx.persist && !v.w.fx.nabort);
	CU_ASSERT(next->nregs == 2 && next->generation == 6);
	CU_ASSERT(pr_registered(next, &v.w.b) && pr_registered(next, &c));
	CU_ASSERT(next->type == PR_WRITE_EXCLUSIVE_RO && next->holder == 0);
	CU_ASSERT(v.w.fx.nua == 1 && told(&v, &v.w.a) == UA_REGISTRATIONS_PREEMPTED);

	/* Holders, too: the reservation goes, and who stays is told. */
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_PRUNE, gone, true), SAM_GOOD);
	next = v.w.next.pr;
	CU_ASSERT(next->nregs == 1 && next->type == PR_NONE && next->generation == 6);
	CU_ASSERT_EQUAL(told(&v, &v.w.a), UA_REGISTRATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(told(&v, &v.w.b), UA_REGISTRATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(told(&v, &c), UA_RESERVATIONS_RELEASED);

	/* Of other types nobody who is left lost anything (SPC-4 5.13.11.2.3). */
	pr_reserve(v.pr, 1, PR_WRITE_EXCLUSIVE);
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_PRUNE, gone, true), SAM_GOOD);
	CU_ASSERT(v.w.next.pr->type == PR_NONE && told(&v, &c) == UA_COUNT);

	/* All hold one of these types. */
	pr_reserve(v.pr, 0, PR_WRITE_EXCLUSIVE_AR);
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_PRUNE, gone, false), SAM_GOOD);
	CU_ASSERT(!v.w.fx.changed && !v.w.fx.nua && v.w.next.pr == v.pr);
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_PRUNE, gone, true), SAM_GOOD);
	CU_ASSERT(v.w.next.pr->nregs == 1 && v.w.next.pr->type == PR_WRITE_EXCLUSIVE_AR);
	CU_ASSERT_EQUAL(v.w.fx.nua, 2);
	/* The old value is as it was. */
	CU_ASSERT(v.pr->nregs == 3 && v.pr->generation == 5);
	free(gone);
	value_fini(&v);
}

/* As many as there can be, each told once. */
static void test_prune_full(void)
{
	struct value v;
	struct pr_state *gone = other_value();
	struct nexus n;

	value_init(&v);
	n = v.w.a;
	for (unsigned i = 0; i < PR_REGISTRANTS_MAX; i++) {
		put_be16(n.isid + 4, (uint16_t)i);
		CU_ASSERT_TRUE(pr_add(v.pr, &n, 7));
	}
	pr_reserve(v.pr, 3, PR_EXCLUSIVE_ACCESS_RO);
	pr_copy(gone, v.pr);
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_PRUNE, gone, true), SAM_GOOD);
	CU_ASSERT(v.w.next.pr->nregs == 0 && v.w.next.pr->type == PR_NONE);
	CU_ASSERT_EQUAL(v.w.fx.nua, PR_REGISTRANTS_MAX);
	pr_copy(gone, pr_none);
	CU_ASSERT_EQUAL(change(&v, LU_CHANGE_PR_IMPORT, gone, true), SAM_GOOD);
	CU_ASSERT_EQUAL(v.w.fx.nua, PR_REGISTRANTS_MAX);
	free(gone);
	value_fini(&v);
}

UNIT_MAIN("pr_admin", UNIT(test_nothing_to_clear), UNIT(test_everything_goes), UNIT(test_full),
	  UNIT(test_import), UNIT(test_import_other_type), UNIT(test_import_of_the_same),
	  UNIT(test_prune), UNIT(test_prune_full))
