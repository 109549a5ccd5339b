/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what: SPC-4 tables 65 and 66, the CRH rules of 5.13.3, and RESERVE(6/10) after SPC-2.
 */
#include "tests/unit/unit.h"

#include "tests/unit/pr_cmd.h"

#define GOOD(x) CU_ASSERT_EQUAL((x), SAM_GOOD)

static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };

static bool may(struct nexus who, enum pr_class class)
{
	return pr_access(pr_now, &who) >> class & 1;
}

/* A holds the reservation of this type (0: none), B is registered, C is not. */
static void held(uint8_t type)
{
	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, 0));
	GOOD(pr(nx('b'), REGISTER, 0, 0, 0xb, 0));
	if (type)
		GOOD(pr(nx('a'), RESERVE, type, 0xa, 0, 0));
}

static void test_nothing_registered(void)
{
	pr_world();
	CU_ASSERT_EQUAL(pr_access(pr_none, &(struct nexus){ 0 }), (1u << PRC_COUNT) - 1);
	CU_ASSERT_EQUAL(pr_access(pr_now, &(struct nexus){ 0 }), (1u << PRC_COUNT) - 1);
	CU_ASSERT_FALSE(pr_any(pr_none));
}

/* Registrations restrict nothing but RESERVE and RELEASE. */
static void test_no_reservation(void)
{
	held(0);
	for (char n = 'a'; n <= 'c'; n++)
		for (unsigned class = 0; class < PRC_COUNT; class++)
			CU_ASSERT_EQUAL(may(nx(n), class), class != PRC_RESERVE);
}

/*
 * Table 65. Its columns: another nexus holds Write Exclusive / Exclusive Access (any nexus); RR
 * types: registered; not registered, Write Exclusive RR / Exclusive Access RR. The rows that stand
 * for our classes: INQUIRY, TEST UNIT READY, MODE SENSE and READ, MODE SELECT and WRITE, PERSISTENT
 * RESERVE IN.
 */
static void test_table_65(void)
{
	enum { WE, EA, RR, WE_RR, EA_RR };
	static const struct { enum pr_class class; char allowed[6]; } rows[] = {
		{ PRC_FREE,   "AAAAA" },
		{ PRC_INFO,   "AAAAA" },
		{ PRC_READ,   "ACAAC" },
		{ PRC_WRITE,  "CCACC" },
		{ PRC_PR_IN,  "AAAAA" },
		{ PRC_PR_OUT, "AAAAA" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum pr_class class = rows[i].class;
		const char *allowed = rows[i].allowed;

		for (unsigned t = 0; t < 6; t++) {
			held(types[t]);
			CU_ASSERT_TRUE(may(nx('a'), class));
			if (types[t] == 1 || types[t] == 3) {
				unsigned col = types[t] == 1 ? WE : EA;

				CU_ASSERT_EQUAL(may(nx('b'), class), allowed[col] == 'A');
				CU_ASSERT_EQUAL(may(nx('c'), class), allowed[col] == 'A');
			} else {
				unsigned col = types[t] == 5 || types[t] == 7 ? WE_RR : EA_RR;

				CU_ASSERT_EQUAL(may(nx('b'), class), allowed[RR] == 'A');
				CU_ASSERT_EQUAL(may(nx('c'), class), allowed[col] == 'A');
			}
		}
	}
}

/* Another session or another target port of the holder's node is another nexus. */
static void test_other_nexus_of_holder(void)
{
	held(1);
	CU_ASSERT_FALSE(may(nx_of('a', 2, 1), PRC_WRITE));
	CU_ASSERT_FALSE(may(nx_of('a', 1, 2), PRC_WRITE));
	CU_ASSERT_TRUE(may(nx_of('a', 1, 2), PRC_READ));
}

/* Table 66: what pr_out() answers while another nexus holds the reservation. */
static void test_table_66(void)
{
	static const struct { uint8_t sa; bool registered, other; } rows[] = {
		{ CLEAR,		true,	false },
		{ PREEMPT,		true,	false },
		{ PREEMPT_AND_ABORT,	true,	false },
		{ REGISTER,		true,	true },
		{ REGISTER_AND_IGNORE,	true,	true },
		{ REGISTER_AND_MOVE,	false,	false },
		{ RELEASE,		true,	false },
		{ RESERVE,		false,	false },
	};

	for (unsigned t = 0; t < 4; t++) {
		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			uint8_t sa = rows[i].sa;

			held(types[t]);
			if (sa == REGISTER_AND_MOVE) {
				CU_ASSERT_EQUAL(pr_move(nx('b'), 0xb, 1, 0, nx('c')),
						SAM_RESERVATION_CONFLICT);
				CU_ASSERT_EQUAL(pr_move(nx('c'), 0, 1, 0, nx('b')),
						SAM_RESERVATION_CONFLICT);
				continue;
			}
			CU_ASSERT_EQUAL(pr(nx('b'), sa, types[t], 0xb, 0xa, 0) == SAM_GOOD,
					rows[i].registered);
			if (sa == RELEASE)
				CU_ASSERT_EQUAL(pr_type_now(), types[t]);
			held(types[t]);
			CU_ASSERT_EQUAL(pr(nx('c'), sa, types[t], 0, 0xa, 0) == SAM_GOOD,
					rows[i].other);
		}
	}
}

/*
 * 5.13.3: RESERVE and RELEASE pass where they are to do nothing with GOOD; SPC-2 5.5.1: conflict
 * with any registration.
 */
static void test_reserve_class(void)
{
	for (unsigned t = 0; t < 6; t++) {
		held(types[t]);
		CU_ASSERT_TRUE(may(nx('a'), PRC_RESERVE));
		CU_ASSERT_EQUAL(may(nx('b'), PRC_RESERVE), types[t] >= 5);
		CU_ASSERT_FALSE(may(nx('c'), PRC_RESERVE));
	}
}

/* RESERVE and RELEASE, by a value of the LU that has nothing else. */

static struct lu_value lu;

static void lu_world(void)
{
	memset(&lu, 0, sizeof(lu));
	lu.pr = pr_now;
}

static uint32_t send6(uint8_t opcode, uint8_t byte1, struct nexus who)
{
	struct lu_request rq = {
		.has_nexus = true, .nexus = who, .cdb = { opcode, byte1 }, .cdb_len = 6
	};
	struct lu_value next = lu;

	fx.status = 0xff;
	if (opcode & 1)
		pr_release6(&lu, &rq, &next, &fx);
	else
		pr_reserve6(&lu, &rq, &next, &fx);
	CU_ASSERT_FALSE(fx.persist);
	CU_ASSERT_PTR_EQUAL(next.pr, lu.pr);
	if (fx.changed) {
		CU_ASSERT_EQUAL(fx.status, SAM_GOOD);
		lu = next;
	}
	return fx.status == SAM_CHECK_CONDITION
		       ? SENSE_CODE(fx.sense.key, fx.sense.asc, fx.sense.ascq)
		       : fx.status;
}

static void test_spc2(void)
{
	static const uint8_t ops[][2] = { { 0x16, 0x17 }, { 0x56, 0x57 } };

	for (unsigned i = 0; i < 2; i++) {
		uint8_t reserve = ops[i][0], release = ops[i][1];

		pr_world();
		lu_world();
		GOOD(send6(release, 0, nx('a')));
		CU_ASSERT_FALSE(fx.changed);
		GOOD(send6(reserve, 0, nx('a')));
		CU_ASSERT_TRUE(lu.reserved6 &&
			       nexus_eq(&lu.reserved6_by, &(struct nexus){ 0 }) == false);
		GOOD(send6(reserve, 0, nx('a')));
		CU_ASSERT_FALSE(fx.changed);
		CU_ASSERT_EQUAL(send6(reserve, 0, nx('b')), SAM_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(send6(reserve, 0, nx_of('a', 2, 1)), SAM_RESERVATION_CONFLICT);
		GOOD(send6(release, 0, nx('b')));
		CU_ASSERT_TRUE(lu.reserved6);
		GOOD(send6(release, 0, nx('a')));
		CU_ASSERT_FALSE(lu.reserved6);
		GOOD(send6(reserve, 0, nx('b')));
		CU_ASSERT_TRUE(lu.reserved6);
		/* Third parties and extents */
		CU_ASSERT_EQUAL(send6(reserve, 0x10, nx('b')), SENSE_INVALID_FIELD_CDB);
		CU_ASSERT_EQUAL(send6(release, 0x01, nx('b')), SENSE_INVALID_FIELD_CDB);
		CU_ASSERT_EQUAL(send6(release, 0x02, nx('b')), SENSE_INVALID_FIELD_CDB);
	}
}

/* 5.13.3 */
static void test_crh(void)
{
	held(0);
	lu_world();
	for (char n = 'a'; n <= 'c'; n++) {
		CU_ASSERT_EQUAL(send6(0x16, 0, nx(n)), SAM_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(send6(0x17, 0, nx(n)), SAM_RESERVATION_CONFLICT);
	}
	for (unsigned t = 0; t < 6; t++) {
		uint32_t registrant = types[t] >= 5 ? SAM_GOOD : SAM_RESERVATION_CONFLICT;

		held(types[t]);
		lu_world();
		for (uint8_t op = 0x16; op <= 0x17; op++) {
			GOOD(send6(op, 0, nx('a')));
			CU_ASSERT_FALSE(fx.changed);
			CU_ASSERT_EQUAL(send6(op, 0, nx('b')), registrant);
			CU_ASSERT_FALSE(fx.changed);
			CU_ASSERT_EQUAL(send6(op, 0, nx('c')), SAM_RESERVATION_CONFLICT);
		}
		CU_ASSERT_EQUAL(pr_type_now(), types[t]);
	}
}

UNIT_MAIN("pr_access",
	UNIT(test_nothing_registered),
	UNIT(test_no_reservation),
	UNIT(test_table_65),
	UNIT(test_other_nexus_of_holder),
	UNIT(test_table_66),
	UNIT(test_reserve_class),
	UNIT(test_spc2),
	UNIT(test_crh))
