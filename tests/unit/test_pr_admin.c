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

UNIT_MAIN("pr_admin", UNIT(test_nothing_to_clear), UNIT(test_everything_goes), UNIT(test_full))
