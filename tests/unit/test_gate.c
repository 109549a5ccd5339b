/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/gate.h"

#include "scsi/ua.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

#define BIT(n) (1u << (n))

static const uint32_t all = BIT(PRC_COUNT) - 1;

static void test_open_when_nothing_is_reserved(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(lu_access(&w.v, &w.a), all);
	lu_world_fini(&w);
}

static void test_reserve6_leaves_others_what_is_free(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.v.reserved6 = true;
	w.v.reserved6_by = w.a;
	CU_ASSERT_EQUAL(lu_access(&w.v, &w.b), BIT(PRC_FREE));
	/* The holder has all but persistent reservations. */
	CU_ASSERT_EQUAL(lu_access(&w.v, &w.a), all & ~(BIT(PRC_PR_IN) | BIT(PRC_PR_OUT)));
	/* The same initiator port through another target port is another nexus. */
	w.a.tpgt = 2;
	CU_ASSERT_EQUAL(lu_access(&w.v, &w.a), BIT(PRC_FREE));
	lu_world_fini(&w);
}

static void test_reserve6_conflicts_as_commands(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.v.reserved6 = true;
	w.v.reserved6_by = w.b;
	CU_ASSERT_EQUAL(RUN(&w, 0x00, 0, 0, 0, 0, 0), SAM_RESERVATION_CONFLICT);
	CU_ASSERT_EQUAL(RUN(&w, 0x1a, 0, 0x3f, 0, 255, 0), SAM_RESERVATION_CONFLICT);
	CU_ASSERT_EQUAL(RUN(&w, 0x5e, 0, 0, 0, 0, 0, 0, 0, 255, 0), SAM_RESERVATION_CONFLICT);
	CU_ASSERT_EQUAL(RUN(&w, 0x12, 0, 0, 0, 96, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(RUN(&w, 0x03, 0, 0, 0, 18, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(RUN(&w, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), SAM_GOOD);
	w.v.reserved6_by = w.a;
	CU_ASSERT_EQUAL(RUN(&w, 0x00, 0, 0, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(RUN(&w, 0x5e, 0, 0, 0, 0, 0, 0, 0, 255, 0), SAM_RESERVATION_CONFLICT);
	lu_world_fini(&w);
}

static void test_event_reaches_each_gate_once(void)
{
	struct lu_world w;
	struct gate g = { 0 };

	lu_world_init(&w);
	w.v.events[UA_LU_RESET] = (struct lu_event){ .seq = 5 };
	gate_derive(&g, &w.v, &w.a);
	CU_ASSERT_EQUAL(g.ua, BIT(UA_LU_RESET));
	CU_ASSERT_EQUAL(g.seen, 5);
	CU_ASSERT_EQUAL(g.epoch, w.v.epoch);
	g.ua = 0;
	gate_derive(&g, &w.v, &w.a);
	CU_ASSERT_EQUAL(g.ua, 0);
	lu_world_fini(&w);
}

static void test_event_spares_its_origin(void)
{
	struct lu_world w;
	struct gate ga = { 0 }, gb = { 0 };

	lu_world_init(&w);
	w.v.events[UA_MODE_CHANGED] =
		(struct lu_event){ .seq = 7, .has_origin = true, .origin = w.a };
	gate_derive(&ga, &w.v, &w.a);
	gate_derive(&gb, &w.v, &w.b);
	CU_ASSERT_EQUAL(ga.ua, 0);
	CU_ASSERT_EQUAL(gb.ua, BIT(UA_MODE_CHANGED));
	/* An event of an older login is not reported to a newer one. */
	gb = (struct gate){ .seen = 7 };
	gate_derive(&gb, &w.v, &w.b);
	CU_ASSERT_EQUAL(gb.ua, 0);
	lu_world_fini(&w);
}

/*
 * The change was evaluated before the login, and is in force after it: what the nexus had looked up
 * meanwhile is not so any more.
 */
static void test_event_comes_into_force_after_login(void)
{
	struct lu_world w;
	struct gate g = { .seen = 12 };

	lu_world_init(&w);
	w.v.events[UA_LU_RESET] = (struct lu_event){ .seq = 3 };
	gate_derive(&g, &w.v, &w.a);
	CU_ASSERT_EQUAL(g.ua, 0);
	w.v.events[UA_MODE_CHANGED] =
		(struct lu_event){ .seq = 10, .has_origin = true, .origin = w.b };
	gate_derive(&g, &w.v, &w.a);
	CU_ASSERT_EQUAL(g.ua, BIT(UA_MODE_CHANGED));
	g.ua = 0;
	gate_derive(&g, &w.v, &w.a);
	CU_ASSERT_EQUAL(g.ua, 0);
	lu_world_fini(&w);
}

static void test_attentions_add_up(void)
{
	struct lu_world w;
	struct gate g = { .ua = BIT(UA_POWER_ON), .seen = 3 };

	lu_world_init(&w);
	w.v.events[UA_BUS_RESET] = (struct lu_event){ .seq = 3 };
	w.v.events[UA_CAPACITY_CHANGED] = (struct lu_event){ .seq = 9 };
	w.v.events[UA_LUNS_CHANGED] = (struct lu_event){ .seq = 4 };
	gate_derive(&g, &w.v, &w.a);
	CU_ASSERT_EQUAL(g.ua, BIT(UA_POWER_ON) | BIT(UA_CAPACITY_CHANGED) | BIT(UA_LUNS_CHANGED));
	CU_ASSERT_EQUAL(g.seen, 9);
	lu_world_fini(&w);
}

static void test_every_attention_has_a_code(void)
{
	for (unsigned ua = 0; ua < UA_COUNT; ua++) {
		CU_ASSERT_EQUAL(ua_sense_code((enum ua)ua) >> 16, SK_UNIT_ATTENTION);
		CU_ASSERT_NOT_EQUAL(ua_sense_code((enum ua)ua) & 0xffff, 0);
		for (unsigned other = 0; other < ua; other++)
			CU_ASSERT_NOT_EQUAL(ua_sense_code((enum ua)ua),
					    ua_sense_code((enum ua)other));
	}
}

UNIT_MAIN("gate",
	UNIT(test_open_when_nothing_is_reserved),
	UNIT(test_reserve6_leaves_others_what_is_free),
	UNIT(test_reserve6_conflicts_as_commands),
	UNIT(test_event_reaches_each_gate_once),
	UNIT(test_event_spares_its_origin),
	UNIT(test_event_comes_into_force_after_login),
	UNIT(test_attentions_add_up),
	UNIT(test_every_attention_has_a_code))
