/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/change.h"

#include "scsi/wire.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

static uint8_t cmd6(struct lu_world *w, const struct nexus *who, uint8_t opcode)
{
	uint8_t cdb[6] = { opcode };

	return lu_world_change(w, LU_CHANGE_CMD, who, cdb, 6, NULL, 0);
}

static uint8_t pr_register(struct lu_world *w, const struct nexus *who, uint64_t key)
{
	uint8_t cdb[10] = { 0x5f, 0x06, 0, 0, 0, 0, 0, 0, 24 }, param[24] = { 0 };

	put_be64(param + 8, key);
	return lu_world_change(w, LU_CHANGE_CMD, who, cdb, 10, param, 24);
}

static uint8_t pr_reserve(struct lu_world *w, const struct nexus *who, uint64_t key, uint8_t type)
{
	uint8_t cdb[10] = { 0x5f, 0x01, type, 0, 0, 0, 0, 0, 24 }, param[24] = { 0 };

	put_be64(param, key);
	return lu_world_change(w, LU_CHANGE_CMD, who, cdb, 10, param, 24);
}

/* Publishes a PR value out of fx's buffer, as the shell does: it is copied first. */
static void publish_pr(struct lu_world *w, void **copy)
{
	lu_world_publish(w);
	if (w->fx.changed && w->v.pr == w->fx.pr_buf) {
		size_t n = pr_state_size(w->v.pr);
		void *p = malloc(n);

		memcpy(p, w->v.pr, n);
		free(*copy);
		*copy = p;
		w->v.pr = p;
	}
}

static void test_reserve_and_release(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(cmd6(&w, &w.a, 0x16), SAM_GOOD);
	CU_ASSERT(w.fx.changed && !w.fx.persist && w.next.reserved6 &&
		  nexus_eq(&w.next.reserved6_by, &w.a));
	lu_world_publish(&w);
	CU_ASSERT_EQUAL(cmd6(&w, &w.a, 0x16), SAM_GOOD);
	CU_ASSERT_EQUAL(cmd6(&w, &w.b, 0x16), SAM_RESERVATION_CONFLICT);
	CU_ASSERT_EQUAL(cmd6(&w, &w.b, 0x17), SAM_GOOD);
	CU_ASSERT(!w.fx.changed);
	CU_ASSERT_EQUAL(pr_register(&w, &w.a, 1), SAM_RESERVATION_CONFLICT);
	CU_ASSERT_EQUAL(pr_register(&w, &w.b, 1), SAM_RESERVATION_CONFLICT);
	CU_ASSERT_EQUAL(cmd6(&w, &w.b, 0x15), SAM_RESERVATION_CONFLICT);	/* MODE SELECT */
	CU_ASSERT_EQUAL(cmd6(&w, &w.a, 0x57), SAM_GOOD);
	CU_ASSERT(w.fx.changed && !w.next.reserved6);
	lu_world_fini(&w);
}

static void test_pr_out_makes_the_next_value(void)
{
	struct lu_world w;
	void *copy = NULL;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(pr_register(&w, &w.a, 0x1234), SAM_GOOD);
	CU_ASSERT(w.fx.changed && w.fx.persist);
	CU_ASSERT(pr_registered(w.next.pr, &w.a) && !pr_registered(w.v.pr, &w.a));
	publish_pr(&w, &copy);
	CU_ASSERT_EQUAL(pr_reserve(&w, &w.a, 0x1234, 5), SAM_GOOD);
	publish_pr(&w, &copy);
	CU_ASSERT_EQUAL(lu_access(&w.v, &w.b) & 1u << PRC_WRITE, 0);
	CU_ASSERT(lu_access(&w.v, &w.b) & 1u << PRC_READ);
	/*
	 * MODE SELECT of an unregistered nexus, that was accepted before the reservation was made.
	 */
	CU_ASSERT_EQUAL(cmd6(&w, &w.b, 0x15), SAM_RESERVATION_CONFLICT);
	CU_ASSERT_EQUAL(cmd6(&w, &w.a, 0x15), SAM_GOOD);
	CU_ASSERT_EQUAL(cmd6(&w, &w.b, 0x16), SAM_RESERVATION_CONFLICT);
	lu_world_fini(&w);
	free(copy);
}

static void test_lu_reset(void)
{
	struct lu_world w;
	void *copy = NULL;

	lu_world_init(&w);
	pr_register(&w, &w.a, 0x1234);
	publish_pr(&w, &copy);
	w.v.reserved6 = true;
	w.v.reserved6_by = w.b;
	w.v.modes.d_sense = w.v.modes.swp = true;
	w.v.saved.wce = false;
	CU_ASSERT_EQUAL(lu_world_change(&w, LU_CHANGE_RESET, &w.a, NULL, 0, NULL, 0), SAM_GOOD);
	CU_ASSERT(w.fx.changed && w.fx.abort_all && !w.fx.persist);
	CU_ASSERT(w.fx.flush);					/* the saved WCE is 0 */
	CU_ASSERT(!w.next.reserved6 && !w.next.modes.swp && !w.next.modes.d_sense &&
		  !w.next.modes.wce);
	CU_ASSERT(pr_registered(w.next.pr, &w.a));
	CU_ASSERT_EQUAL(w.next.events[UA_LU_RESET].seq, w.seq);
	CU_ASSERT(!w.next.events[UA_LU_RESET].has_origin);
	CU_ASSERT_EQUAL(w.next.events[UA_BUS_RESET].seq, 0);
	lu_world_fini(&w);
	free(copy);
}

static void test_target_reset(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(lu_world_change(&w, LU_CHANGE_TARGET_RESET, NULL, NULL, 0, NULL, 0),
			SAM_GOOD);
	CU_ASSERT(w.fx.changed && w.fx.abort_all && !w.fx.flush);
	CU_ASSERT_EQUAL(w.next.events[UA_BUS_RESET].seq, w.seq);
	CU_ASSERT_EQUAL(w.next.events[UA_LU_RESET].seq, 0);
	lu_world_fini(&w);
}

static void test_nexus_lost(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.v.reserved6 = true;
	w.v.reserved6_by = w.b;
	CU_ASSERT_EQUAL(lu_world_change(&w, LU_CHANGE_NEXUS_LOST, &w.a, NULL, 0, NULL, 0),
			SAM_GOOD);
	CU_ASSERT(!w.fx.changed && w.next.reserved6);
	CU_ASSERT_EQUAL(lu_world_change(&w, LU_CHANGE_NEXUS_LOST, &w.b, NULL, 0, NULL, 0),
			SAM_GOOD);
	CU_ASSERT(w.fx.changed && !w.next.reserved6 && !w.fx.abort_all);
	lu_world_fini(&w);
}

static void test_failed_and_repaired(void)
{
	struct lu_world w;

	lu_world_init(&w);
	lu_world_change(&w, LU_CHANGE_REPAIRED, NULL, NULL, 0, NULL, 0);
	CU_ASSERT(!w.fx.changed);
	lu_world_change(&w, LU_CHANGE_FAILED, NULL, NULL, 0, NULL, 0);
	CU_ASSERT(w.fx.changed && w.next.failed);
	lu_world_publish(&w);
	lu_world_change(&w, LU_CHANGE_FAILED, NULL, NULL, 0, NULL, 0);
	CU_ASSERT(!w.fx.changed && w.next.failed);
	/* A reset does not heal it. */
	lu_world_change(&w, LU_CHANGE_RESET, &w.a, NULL, 0, NULL, 0);
	CU_ASSERT(w.next.failed);
	lu_world_change(&w, LU_CHANGE_REPAIRED, NULL, NULL, 0, NULL, 0);
	CU_ASSERT(w.fx.changed && !w.next.failed);
	lu_world_fini(&w);
}

static void test_caps(void)
{
	struct lu_world w;
	struct lu_request rq = { .kind = LU_CHANGE_CAPS, .seq = 9 };

	lu_world_init(&w);
	rq.caps = w.v.caps;
	lu_change(&w.v, &rq, &w.next, &w.fx);
	CU_ASSERT(!w.fx.changed);
	rq.caps.size *= 2;
	lu_change(&w.v, &rq, &w.next, &w.fx);
	CU_ASSERT(w.fx.changed);
	CU_ASSERT_EQUAL(w.next.events[UA_CAPACITY_CHANGED].seq, 9);
	CU_ASSERT_EQUAL(lu_blocks(&w.next), 1u << 22);
	rq.caps = w.v.caps;
	rq.not_ready = true;
	lu_change(&w.v, &rq, &w.next, &w.fx);
	CU_ASSERT(w.fx.changed && w.next.not_ready);
	CU_ASSERT_EQUAL(w.next.events[UA_CAPACITY_CHANGED].seq, 0);
	/* The lock was won, and what is stored cannot be read: told apart from waiting. */
	w.v.not_ready = rq.damaged = true;
	lu_change(&w.v, &rq, &w.next, &w.fx);
	CU_ASSERT(w.fx.changed && w.next.not_ready && w.next.damaged);
	w.v.not_ready = rq.damaged = false;
	rq.not_ready = false;
	rq.caps.durable = true;
	lu_change(&w.v, &rq, &w.next, &w.fx);
	CU_ASSERT(w.fx.changed && !w.next.modes.wce && !w.next.saved.wce);
	/* with the durable part, as a former owner left it */
	rq.caps = w.v.caps;
	rq.pr = pr_none;
	lu_change(&w.v, &rq, &w.next, &w.fx);
	CU_ASSERT(w.fx.changed && !w.fx.persist && w.next.pr == pr_none);
	CU_ASSERT_EQUAL(w.next.saved.tas, w.v.defaults.tas);
	rq.has_saved = true;
	rq.saved = (struct lu_modes){ .swp = true };
	lu_change(&w.v, &rq, &w.next, &w.fx);
	CU_ASSERT(w.next.modes.swp && w.next.saved.swp && !w.next.saved.tas);
	lu_world_fini(&w);
}

static void test_luns(void)
{
	struct lu_world w;

	lu_world_init(&w);
	lu_world_change(&w, LU_CHANGE_LUNS, NULL, NULL, 0, NULL, 0);
	CU_ASSERT(w.fx.changed);
	CU_ASSERT_EQUAL(w.next.events[UA_LUNS_CHANGED].seq, w.seq);
	lu_world_fini(&w);
}

static void test_mode_select_tells_the_others(void)
{
	struct lu_world w;
	struct gate ga = { .seen = 1 }, gb = { .seen = 1 };
	uint8_t cdb[6] = { 0x15, 0x10, 0, 0, 16 },
		list[16] = { 0, 0, 0, 0, 0x0a, 0x0a, 0x24, 0x10, 0, 0x40 };

	lu_world_init(&w);
	CU_ASSERT_EQUAL(lu_world_change(&w, LU_CHANGE_CMD, &w.a, cdb, 6, list, 16), SAM_GOOD);
	lu_world_publish(&w);
	gate_derive(&ga, &w.v, &w.a);
	gate_derive(&gb, &w.v, &w.b);
	CU_ASSERT_EQUAL(ga.ua, 0);
	CU_ASSERT_EQUAL(gb.ua, 1u << UA_MODE_CHANGED);
	lu_world_fini(&w);
}

/* A command whose row went away while it waited. */
static void test_command_no_longer_supported(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.id.reserve6 = false;
	CU_ASSERT_EQUAL(cmd6(&w, &w.a, 0x16), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_code_of(&w.fx.sense), SENSE_INVALID_OPCODE);
	CU_ASSERT(!w.fx.changed);
	lu_world_fini(&w);
}

UNIT_MAIN("change",
	UNIT(test_reserve_and_release),
	UNIT(test_pr_out_makes_the_next_value),
	UNIT(test_lu_reset),
	UNIT(test_target_reset),
	UNIT(test_nexus_lost),
	UNIT(test_failed_and_repaired),
	UNIT(test_caps),
	UNIT(test_luns),
	UNIT(test_mode_select_tells_the_others),
	UNIT(test_command_no_longer_supported))
