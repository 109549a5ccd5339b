/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE OUT, service action by service action, from the text of SPC-4. */
#include "tests/unit/unit.h"

#include "tests/unit/pr_cmd.h"

#define GOOD(x) CU_ASSERT_EQUAL((x), SAM_GOOD)
#define CONFLICT(x) CU_ASSERT_EQUAL((x), SAM_RESERVATION_CONFLICT)
#define FAILS(x, code) CU_ASSERT_EQUAL((x), (code))

static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };

/* A with key 0xa, B 0xb, C 0xc, all registered. */
static void three(void)
{
	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, 0));
	GOOD(pr(nx('b'), REGISTER, 0, 0, 0xb, 0));
	GOOD(pr(nx('c'), REGISTER, 0, 0, 0xc, 0));
	CU_ASSERT_EQUAL(pr_generation(), 3);
}

/* SPC-4 table 67 */
static void test_register_table(void)
{
	pr_world();
	/* unregistered: key 0, SA key 0: nothing */
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0, F_APTPL));
	CU_ASSERT_FALSE(fx.changed);
	GOOD(pr_spec(nx('a'), 0, 0, 0, (struct nexus[]){ nx('b') }, 1));
	CU_ASSERT_FALSE(fx.changed);
	CU_ASSERT_EQUAL(pr_generation(), 0);
	/* unregistered: non-zero key */
	CONFLICT(pr(nx('a'), REGISTER, 0, 1, 2, 0));
	CONFLICT(pr(nx('a'), REGISTER, 0, 1, 0, 0));
	CONFLICT(pr_spec(nx('a'), 1, 2, 0, (struct nexus[]){ nx('b') }, 1));
	CU_ASSERT_EQUAL(pr_count(), 0);
	/* unregistered: registers; SCOPE and TYPE are ignored */
	GOOD(pr(nx('a'), REGISTER, 0xff, 0, 0xa, 0));
	CU_ASSERT_EQUAL(key_of(nx('a')), 0xa);
	CU_ASSERT_EQUAL(pr_generation(), 1);
	/* registered: wrong key, also 0 */
	CONFLICT(pr(nx('a'), REGISTER, 0, 0xb, 0xc, 0));
	CONFLICT(pr(nx('a'), REGISTER, 0, 0, 0xc, 0));
	CONFLICT(pr(nx('a'), REGISTER, 0, 0, 0, 0));
	CU_ASSERT_EQUAL(pr_generation(), 1);
	/* registered: changes the key; also to the same */
	GOOD(pr(nx('a'), REGISTER, 0, 0xa, 0xa1, 0));
	CU_ASSERT_EQUAL(key_of(nx('a')), 0xa1);
	GOOD(pr(nx('a'), REGISTER, 0, 0xa1, 0xa1, 0));
	CU_ASSERT_EQUAL(pr_generation(), 3);
	/* registered and SPEC_I_PT */
	FAILS(pr_spec(nx('a'), 0xa1, 0xa2, 0, (struct nexus[]){ nx('b') }, 1),
	      SENSE_INVALID_FIELD_PARAM);
	FAILS(pr_spec(nx('a'), 0xa1, 0, 0, (struct nexus[]){ nx('b') }, 1),
	      SENSE_INVALID_FIELD_PARAM);
	CONFLICT(pr_spec(nx('a'), 0xa2, 0, 0, (struct nexus[]){ nx('b') }, 1));
	CU_ASSERT_EQUAL(pr_count(), 1);
	/* unregisters */
	GOOD(pr(nx('a'), REGISTER, 0, 0xa1, 0, 0));
	CU_ASSERT_EQUAL(pr_count(), 0);
	CU_ASSERT_EQUAL(pr_generation(), 4);
	CU_ASSERT_EQUAL(fx.nua, 0);
}

/* SPC-4 table 68 */
static void test_register_and_ignore_table(void)
{
	pr_world();
	GOOD(pr(nx('a'), REGISTER_AND_IGNORE, 0, 7, 0, 0));
	CU_ASSERT_FALSE(fx.changed);
	GOOD(pr(nx('a'), REGISTER_AND_IGNORE, 0, 7, 0xa, 0));
	CU_ASSERT_EQUAL(key_of(nx('a')), 0xa);
	GOOD(pr(nx('a'), REGISTER_AND_IGNORE, 0, 9, 0xa1, 0));
	CU_ASSERT_EQUAL(key_of(nx('a')), 0xa1);
	FAILS(pr(nx('b'), REGISTER_AND_IGNORE, 0, 0, 0xb, F_SPEC_I_PT), SENSE_INVALID_FIELD_PARAM);
	GOOD(pr(nx('a'), REGISTER_AND_IGNORE, 0, 9, 0, 0));
	CU_ASSERT_EQUAL(pr_count(), 0);
	CU_ASSERT_EQUAL(pr_generation(), 3);
}

/*
 * A nexus is name, ISID and target port; the same key on several is nothing special (SPC-4 5.13.7).
 */
static void test_identity(void)
{
	struct nexus all[] = { nx_of('a', 1, 1), nx_of('a', 1, 2), nx_of('a', 2, 1),
			       nx_of('b', 1, 1) };

	pr_world();
	for (unsigned i = 0; i < 4; i++) {
		GOOD(pr(all[i], REGISTER, 0, 0, 0x55, 0));
		CU_ASSERT_EQUAL(pr_count(), i + 1);
	}
	GOOD(pr(all[2], REGISTER, 0, 0x55, 0, 0));
	CU_ASSERT_EQUAL(pr_count(), 3);
	CU_ASSERT_EQUAL(key_of(all[2]), 0);
	CU_ASSERT_EQUAL(key_of(all[1]), 0x55);
	CU_ASSERT_TRUE(pr_registered(pr_now, &all[0]));
	CU_ASSERT_FALSE(pr_registered(pr_now, &all[2]));
}

/*
 * 5.13.7: anything but registering, from an unregistered nexus; and a wrong key from a registered
 * one, first of all.
 */
static void test_key_check(void)
{
	for (uint8_t sa = RESERVE; sa <= PREEMPT_AND_ABORT; sa++) {
		three();
		CONFLICT(pr(nx('d'), sa, 1, 0, 0xa, 0));
		CONFLICT(pr(nx('d'), sa, 1, 0xa, 0xa, 0));
		CONFLICT(pr(nx('a'), sa, 1, 0, 0xb, 0));
		CONFLICT(pr(nx('a'), sa, 1, 0xb, 0xb, 0));
		CONFLICT(pr(nx('a'), sa, 0x12, 0xb, 0, 0));	/* regardless of SCOPE */
		CU_ASSERT_EQUAL(pr_count(), 3);
		CU_ASSERT_EQUAL(pr_type_now(), 0);
		CU_ASSERT_EQUAL(pr_generation(), 3);
	}
	CONFLICT(pr_move(nx('d'), 0, 0xb, 0, nx('b')));
	CONFLICT(pr_move(nx('a'), 0xb, 0xb, 0, nx('b')));
}

/* SPC-4 6.16.1, 6.16.3 */
static void test_lengths(void)
{
	uint8_t param[64] = { 0 };

	pr_world();
	put_be64(param + 8, 0xa);
	for (uint8_t sa = REGISTER; sa <= REGISTER_AND_IGNORE; sa++)
		for (uint32_t len = 0; len < sizeof(param); len++)
			if (len != 24)
				FAILS(pr_send(nx('a'), sa, 5, param, len), SENSE_PARAM_LIST_LENGTH);
	for (uint32_t len = 0; len < 24; len++)
		FAILS(pr_send(nx('a'), REGISTER_AND_MOVE, 5, param, len), SENSE_PARAM_LIST_LENGTH);
	for (uint8_t sa = 8; sa < 0x20; sa++)
		FAILS(pr_send(nx('a'), sa, 5, param, 24), SENSE_INVALID_FIELD_CDB);
	CU_ASSERT_EQUAL(pr_count(), 0);
	/* SPEC_I_PT is invalid in all but REGISTER. */
	for (uint8_t sa = RESERVE; sa <= REGISTER_AND_IGNORE; sa++)
		FAILS(pr(nx('a'), sa, 5, 0, 0xa, F_SPEC_I_PT), SENSE_INVALID_FIELD_PARAM);
}

/* The initiator sends less than PARAMETER LIST LENGTH says. */
static void test_short_data(void)
{
	uint8_t param[24] = { 0 };
	struct lu_request rq = { .has_nexus = true,
				 .nexus = nx('a'),
				 .cdb = { 0x5f, 0 },
				 .cdb_len = 10,
				 .param = param,
				 .param_len = 20 };

	pr_world();
	rq.cdb[8] = 24;
	fx.pr_buf = pr_spare;
	CU_ASSERT_PTR_EQUAL(pr_out(pr_now, &pr_target, &rq, &fx), pr_now);
	CU_ASSERT_EQUAL(fx.status, SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(fx.sense.asc, 0x1a);
	/* More than it says is no matter. */
	rq.cdb[8] = 24;
	rq.param_len = 24;
	put_be64(param + 8, 0xa);
	CU_ASSERT_PTR_EQUAL(pr_out(pr_now, &pr_target, &rq, &fx), fx.pr_buf);
	CU_ASSERT_EQUAL(fx.status, SAM_GOOD);
}

/* SPC-4 5.13.9 */
static void test_reserve(void)
{
	for (unsigned t = 0; t < 6; t++) {
		bool ar = types[t] >= 7;

		three();
		FAILS(pr(nx('a'), RESERVE, 0x10 | types[t], 0xa, 0, 0), SENSE_INVALID_FIELD_CDB);
		FAILS(pr(nx('a'), RESERVE, 0, 0xa, 0, 0), SENSE_INVALID_FIELD_CDB);
		FAILS(pr(nx('a'), RESERVE, 2, 0xa, 0, 0), SENSE_INVALID_FIELD_CDB);
		FAILS(pr(nx('a'), RESERVE, 4, 0xa, 0, 0), SENSE_INVALID_FIELD_CDB);
		FAILS(pr(nx('a'), RESERVE, 9, 0xa, 0, 0), SENSE_INVALID_FIELD_CDB);
		FAILS(pr(nx('a'), RESERVE, 15, 0xa, 0, 0), SENSE_INVALID_FIELD_CDB);
		CU_ASSERT_EQUAL(fx.sense.sks[0] & 0xc0, 0xc0);	/* SKSV, C/D: in the CDB */
		CU_ASSERT_EQUAL(fx.sense.sks[2], 2);
		CU_ASSERT_EQUAL(pr_type_now(), 0);
		GOOD(pr(nx('a'), RESERVE, types[t], 0xa, 0x1234, 0));
		CU_ASSERT_EQUAL(fx.nua, 0);
		CU_ASSERT_EQUAL(pr_type_now(), types[t]);
		CU_ASSERT_EQUAL(pr_key_now(), ar ? 0 : 0xa);
		CU_ASSERT_TRUE(holds(nx('a')));
		CU_ASSERT_EQUAL(holds(nx('b')), ar);
		CU_ASSERT_EQUAL(pr_generation(), 3);
		/* The holder again: nothing. Another type: conflict. */
		GOOD(pr(nx('a'), RESERVE, types[t], 0xa, 0, 0));
		CU_ASSERT_FALSE(fx.changed);
		CONFLICT(pr(nx('a'), RESERVE, types[t] == 1 ? 3 : 1, 0xa, 0, 0));
		/* Another: conflict, but every registrant holds an all registrants type. */
		CU_ASSERT_EQUAL(pr(nx('b'), RESERVE, types[t], 0xb, 0, 0),
				ar ? SAM_GOOD : SAM_RESERVATION_CONFLICT);
		CONFLICT(pr(nx('b'), RESERVE, types[t] == 1 ? 3 : 1, 0xb, 0, 0));
		CU_ASSERT_EQUAL(pr_type_now(), types[t]);
	}
}

/* SPC-4 5.13.11.2.2 */
static void test_release(void)
{
	for (unsigned t = 0; t < 6; t++) {
		uint8_t wrong = types[t] == 5 ? 6 : 5;
		bool ar = types[t] >= 7;

		three();
		GOOD(pr(nx('a'), RELEASE, types[t], 0xa, 0, 0));	/* nothing there */
		CU_ASSERT_FALSE(fx.changed);
		GOOD(pr(nx('a'), RESERVE, types[t], 0xa, 0, 0));
		FAILS(pr(nx('a'), RELEASE, wrong, 0xa, 0, 0), SENSE_INVALID_RELEASE);
		FAILS(pr(nx('a'), RELEASE, 0x10 | types[t], 0xa, 0, 0), SENSE_INVALID_RELEASE);
		if (!ar) {
			GOOD(pr(nx('b'), RELEASE, types[t], 0xb, 0, 0));
			CU_ASSERT_FALSE(fx.changed);
			GOOD(pr(nx('b'), RELEASE, wrong, 0xb, 0, 0));
			CU_ASSERT_EQUAL(pr_type_now(), types[t]);
		}
		GOOD(pr(ar ? nx('b') : nx('a'), RELEASE, types[t], ar ? 0xb : 0xa, 0, 0));
		CU_ASSERT_EQUAL(pr_type_now(), 0);
		CU_ASSERT_EQUAL(pr_count(), 3);
		CU_ASSERT_EQUAL(pr_generation(), 3);
		CU_ASSERT_EQUAL(fx.nua, types[t] >= 5 ? 2 : 0);
		if (types[t] >= 5) {
			CU_ASSERT_TRUE(ua_has(nx('c'), UA_RESERVATIONS_RELEASED));
			CU_ASSERT_TRUE(ua_has(ar ? nx('a') : nx('b'), UA_RESERVATIONS_RELEASED));
		}
	}
}

/* SPC-4 5.13.11.2.3 */
static void test_unregister_holder(void)
{
	for (unsigned t = 0; t < 6; t++) {
		uint8_t sa = t % 2 ? REGISTER : REGISTER_AND_IGNORE;

		three();
		GOOD(pr(nx('b'), RESERVE, types[t], 0xb, 0, 0));
		GOOD(pr(nx('a'), sa, 0, 0xa, 0, 0));		/* not the (only) holder */
		CU_ASSERT_EQUAL(pr_type_now(), types[t]);
		CU_ASSERT_EQUAL(fx.nua, 0);
		CU_ASSERT_EQUAL(pr_key_now(), types[t] >= 7 ? 0 : 0xb);
		GOOD(pr(nx('b'), sa, 0, 0xb, 0, 0));
		if (types[t] >= 7) {
			CU_ASSERT_EQUAL(pr_type_now(), types[t]);
			CU_ASSERT_EQUAL(fx.nua, 0);
			CU_ASSERT_TRUE(holds(nx('c')));
			GOOD(pr(nx('c'), sa, 0, 0xc, 0, 0));
			CU_ASSERT_EQUAL(fx.nua, 0);
			CU_ASSERT_EQUAL(pr_count(), 0);
		} else {
			CU_ASSERT_EQUAL(fx.nua, types[t] >= 5 ? 1 : 0);
			CU_ASSERT_EQUAL(ua_has(nx('c'), UA_RESERVATIONS_RELEASED), types[t] >= 5);
		}
		CU_ASSERT_EQUAL(pr_type_now(), 0);
	}
}

/* SPC-4 5.13.11.2.7 */
static void test_clear(void)
{
	for (unsigned t = 0; t <= 6; t++) {
		three();
		if (t < 6)
			GOOD(pr(nx('a'), RESERVE, types[t], 0xa, 0, 0));
		GOOD(pr(nx('b'), CLEAR, 0xff, 0xb, 0x99, 0));
		CU_ASSERT_EQUAL(pr_count(), 0);
		CU_ASSERT_EQUAL(pr_type_now(), 0);
		CU_ASSERT_EQUAL(pr_generation(), 4);
		CU_ASSERT_EQUAL(fx.nua, 2);
		CU_ASSERT_EQUAL(fx.nabort, 0);
		CU_ASSERT_TRUE(ua_has(nx('a'), UA_RESERVATIONS_PREEMPTED));
		CU_ASSERT_TRUE(ua_has(nx('c'), UA_RESERVATIONS_PREEMPTED));
		CU_ASSERT_FALSE(pr_any(pr_now));
	}
}

/* SPC-4 table 72, 5.13.11.2.5: removing registrations; SCOPE and TYPE are ignored */
static void test_preempt_registrations(void)
{
	for (unsigned t = 0; t <= 6; t++) {
		uint8_t sa = t % 2 ? PREEMPT : PREEMPT_AND_ABORT;

		three();
		GOOD(pr(nx_of('c', 2, 1), REGISTER, 0, 0, 0xc, 0));
		if (t < 6)
			GOOD(pr(nx('a'), RESERVE, types[t], 0xa, 0, 0));
		if (t < 4 || t == 6)
			FAILS(pr(nx('b'), sa, 5, 0xb, 0, 0), SENSE_INVALID_FIELD_PARAM);
		CONFLICT(pr(nx('b'), sa, 5, 0xb, 0x99, 0));
		CU_ASSERT_EQUAL(pr_generation(), 4);
		GOOD(pr(nx('b'), sa, 0xf2, 0xb, 0xc, 0));
		CU_ASSERT_EQUAL(pr_generation(), 5);
		CU_ASSERT_EQUAL(pr_count(), 2);
		CU_ASSERT_EQUAL(pr_type_now(), t < 6 ? types[t] : 0);
		CU_ASSERT_EQUAL(fx.nua, 2);
		CU_ASSERT_TRUE(ua_has(nx('c'), UA_REGISTRATIONS_PREEMPTED));
		CU_ASSERT_TRUE(ua_has(nx_of('c', 2, 1), UA_REGISTRATIONS_PREEMPTED));
		CU_ASSERT_EQUAL(fx.nabort, sa == PREEMPT ? 0 : 2);
		if (sa == PREEMPT_AND_ABORT) {
			CU_ASSERT_TRUE(abort_has(nx('c')));
			CU_ASSERT_TRUE(abort_has(nx_of('c', 2, 1)));
		}
		/*
		 * Oneself, when not the holder: "The registration is removed", without a unit
		 * attention.
		 */
		GOOD(pr(nx('b'), sa, 0, 0xb, 0xb, 0));
		CU_ASSERT_EQUAL(pr_count(), 1);
		CU_ASSERT_EQUAL(fx.nua, 0);
		CU_ASSERT_EQUAL(fx.nabort, sa == PREEMPT ? 0 : 1);
		CU_ASSERT_EQUAL(holds(nx('a')), t < 6);
	}
}

/* SPC-4 5.13.11.2.4.3: preempting the reservation */
static void test_preempt_reservation(void)
{
	for (unsigned t = 0; t < 4; t++) {
		for (unsigned n = 0; n < 6; n++) {
			uint8_t sa = (t + n) % 2 ? PREEMPT : PREEMPT_AND_ABORT;

			three();
			GOOD(pr(nx_of('a', 1, 2), REGISTER, 0, 0, 0xa, 0));
			GOOD(pr(nx('a'), RESERVE, types[t], 0xa, 0, 0));
			FAILS(pr(nx('b'), sa, 0x10 | types[n], 0xb, 0xa, 0),
			      SENSE_INVALID_FIELD_CDB);
			FAILS(pr(nx('b'), sa, 2, 0xb, 0xa, 0), SENSE_INVALID_FIELD_CDB);
			CU_ASSERT_EQUAL(fx.nabort, 0);
			CU_ASSERT_EQUAL(pr_count(), 4);
			GOOD(pr(nx('b'), sa, types[n], 0xb, 0xa, 0));
			CU_ASSERT_EQUAL(pr_count(), 2);
			CU_ASSERT_EQUAL(pr_type_now(), types[n]);
			CU_ASSERT_TRUE(holds(nx('b')));
			CU_ASSERT_EQUAL(holds(nx('c')), types[n] >= 7);
			CU_ASSERT_EQUAL(pr_generation(), 5);
			CU_ASSERT_TRUE(ua_has(nx('a'), UA_REGISTRATIONS_PREEMPTED));
			CU_ASSERT_TRUE(ua_has(nx_of('a', 1, 2), UA_REGISTRATIONS_PREEMPTED));
			CU_ASSERT_EQUAL(ua_has(nx('c'), UA_RESERVATIONS_RELEASED),
					types[n] != types[t]);
			CU_ASSERT_EQUAL(fx.nua, types[n] != types[t] ? 3 : 2);
			CU_ASSERT_EQUAL(fx.nabort, sa == PREEMPT ? 0 : 2);
			CU_ASSERT_EQUAL(abort_has(nx('a')), sa != PREEMPT);
		}
	}
}

/*
 * 5.13.11.2.4.3: the holder preempts itself; other nexuses with its key go (fence_scsi does this)
 */
static void test_preempt_self(void)
{
	three();
	GOOD(pr(nx_of('a', 9, 1), REGISTER, 0, 0, 0xa, 0));
	GOOD(pr(nx('a'), RESERVE, 5, 0xa, 0, 0));
	GOOD(pr(nx('a'), PREEMPT, 5, 0xa, 0xa, 0));
	CU_ASSERT_EQUAL(pr_count(), 3);
	CU_ASSERT_TRUE(holds(nx('a')));
	CU_ASSERT_EQUAL(fx.nua, 1);
	CU_ASSERT_TRUE(ua_has(nx_of('a', 9, 1), UA_REGISTRATIONS_PREEMPTED));
	GOOD(pr(nx('a'), PREEMPT_AND_ABORT, 6, 0xa, 0xa, 0));
	CU_ASSERT_EQUAL(pr_type_now(), 6);
	CU_ASSERT_EQUAL(fx.nua, 2);
	CU_ASSERT_TRUE(ua_has(nx('b'), UA_RESERVATIONS_RELEASED));
	CU_ASSERT_TRUE(ua_has(nx('c'), UA_RESERVATIONS_RELEASED));
	CU_ASSERT_EQUAL(fx.nabort, 1);
	CU_ASSERT_TRUE(abort_has(nx('a')));
	/* A nexus that shares the holder's key takes over and keeps its registration. */
	GOOD(pr(nx_of('a', 9, 1), REGISTER, 0, 0, 0xa, 0));
	GOOD(pr(nx_of('a', 9, 1), PREEMPT, 6, 0xa, 0xa, 0));
	CU_ASSERT_TRUE(holds(nx_of('a', 9, 1)));
	CU_ASSERT_EQUAL(key_of(nx('a')), 0);
	CU_ASSERT_EQUAL(fx.nua, 1);
	CU_ASSERT_TRUE(ua_has(nx('a'), UA_REGISTRATIONS_PREEMPTED));
}

/* Table 72: all registrants types: key 0 takes the reservation from all, another only removes */
static void test_preempt_all_registrants(void)
{
	for (unsigned t = 4; t < 6; t++) {
		for (unsigned n = 0; n < 6; n++) {
			three();
			GOOD(pr(nx('a'), RESERVE, types[t], 0xa, 0, 0));
			FAILS(pr(nx('b'), PREEMPT, 0x2, 0xb, 0, 0), SENSE_INVALID_FIELD_CDB);
			GOOD(pr(nx('b'), PREEMPT_AND_ABORT, types[n], 0xb, 0, 0));
			CU_ASSERT_EQUAL(pr_count(), 1);
			CU_ASSERT_EQUAL(pr_type_now(), types[n]);
			CU_ASSERT_TRUE(holds(nx('b')));
			CU_ASSERT_EQUAL(fx.nua, 2);
			CU_ASSERT_TRUE(ua_has(nx('a'), UA_REGISTRATIONS_PREEMPTED));
			CU_ASSERT_TRUE(ua_has(nx('c'), UA_REGISTRATIONS_PREEMPTED));
			CU_ASSERT_EQUAL(
				fx.nabort,
				3); /* all registered ones, the sender's other commands too */
		}
		three();
		GOOD(pr(nx('a'), RESERVE, types[t], 0xa, 0, 0));
		GOOD(pr(nx('b'), PREEMPT, 1, 0xb, 0xa, 0));
		CU_ASSERT_EQUAL(pr_type_now(), types[t]);
		CU_ASSERT_EQUAL(pr_count(), 2);
		/* The last ones: the reservation goes with them. */
		GOOD(pr(nx('b'), REGISTER, 0, 0xb, 0xc, 0));
		GOOD(pr(nx('b'), PREEMPT, 1, 0xc, 0xc, 0));
		CU_ASSERT_EQUAL(pr_count(), 0);
		CU_ASSERT_EQUAL(pr_type_now(), 0);
		CU_ASSERT_EQUAL(fx.nua, 1);
		CU_ASSERT_TRUE(ua_has(nx('c'), UA_REGISTRATIONS_PREEMPTED));
	}
}

/* 6.16.3: as if the request came through each target port */
static void test_all_tg_pt(void)
{
	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, F_ALL_TG_PT));
	CU_ASSERT_EQUAL(pr_count(), 3);
	CU_ASSERT_EQUAL(pr_generation(), 1);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(key_of(nx_of('a', 1, pr_tpgts[i])), 0xa);
	GOOD(pr(nx_of('a', 1, 7), REGISTER, 0, 0xa, 0xa7, 0));
	/* One port's key does not fit: nothing happens on any. */
	CONFLICT(pr(nx('a'), REGISTER, 0, 0xa, 0xa2, F_ALL_TG_PT));
	CONFLICT(pr(nx('a'), REGISTER, 0, 0xa, 0, F_ALL_TG_PT));
	CU_ASSERT_EQUAL(key_of(nx('a')), 0xa);
	GOOD(pr(nx('a'), REGISTER_AND_IGNORE, 0, 0, 0xa2, F_ALL_TG_PT));
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(key_of(nx_of('a', 1, pr_tpgts[i])), 0xa2);
	GOOD(pr(nx_of('a', 1, 2), RESERVE, 5, 0xa2, 0, 0));
	CU_ASSERT_FALSE(holds(nx('a')));
	GOOD(pr(nx('b'), REGISTER, 0, 0, 0xb, 0));
	GOOD(pr(nx('a'), REGISTER, 0, 0xa2, 0, F_ALL_TG_PT));
	CU_ASSERT_EQUAL(pr_count(), 1);
	CU_ASSERT_EQUAL(pr_type_now(), 0);
	CU_ASSERT_EQUAL(fx.nua, 1);
	CU_ASSERT_TRUE(ua_has(nx('b'), UA_RESERVATIONS_RELEASED));
	/* A port where there is nothing to unregister is no obstacle. */
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, 0));
	GOOD(pr(nx('a'), REGISTER, 0, 0xa, 0, F_ALL_TG_PT));
	GOOD(pr(nx('a'), REGISTER_AND_IGNORE, 0, 0, 0, F_ALL_TG_PT));
	CU_ASSERT_FALSE(fx.changed);
	/* Registered elsewhere only: the key is not 0 there. */
	GOOD(pr(nx_of('a', 1, 2), REGISTER, 0, 0, 0xa, 0));
	CONFLICT(pr(nx('a'), REGISTER, 0, 0, 0xa, F_ALL_TG_PT));
	GOOD(pr(nx('a'), REGISTER_AND_IGNORE, 0, 0, 0, F_ALL_TG_PT));
	CU_ASSERT_EQUAL(key_of(nx_of('a', 1, 2)), 0);
}

static void test_spec_i_pt(void)
{
	struct nexus list[] = { nx('b'), nx('c'), nx('a'), nx('b') };

	pr_world();
	GOOD(pr_spec(nx('a'), 0, 0x5, F_APTPL, list, 4));	/* twice, and oneself */
	CU_ASSERT_EQUAL(pr_count(), 3);
	CU_ASSERT_EQUAL(pr_generation(), 1);
	CU_ASSERT_EQUAL(key_of(nx('c')), 0x5);
	/* Footnote b of table 67: all or nothing */
	list[0] = nx('e');
	FAILS(pr_spec(nx('d'), 0, 0x5, 0, list, 2), SENSE_INVALID_FIELD_PARAM);
	CU_ASSERT_EQUAL(fx.sense.sks[2],
			28 + 4 + 48); /* the field pointer names the second TransportID */
	CU_ASSERT_EQUAL(pr_count(), 3);
	CU_ASSERT_EQUAL(key_of(nx('d')), 0);
	/* No TransportID at all is a list, too. */
	GOOD(pr_spec(nx('d'), 0, 0xd, 0, list, 0));
	CU_ASSERT_EQUAL(pr_count(), 4);
	/* With ALL_TG_PT: initiators x ports */
	pr_world();
	GOOD(pr_spec(nx('a'), 0, 0x5, F_ALL_TG_PT, list, 2));
	CU_ASSERT_EQUAL(pr_count(), 9);
	CU_ASSERT_EQUAL(key_of(nx_of('e', 1, 7)), 0x5);
}

/* Broken lists, byte by byte */
static void test_spec_i_pt_broken(void)
{
	struct nexus list[] = { nx('b'), nx('c') };
	struct wcur c = wcur_of(NULL, 0);
	uint32_t len;

	pr_world();
	transportid_put(&c, list[0].initiator, list[0].isid);
	len = 28 + 2 * (uint32_t)c.len;
	GOOD(pr_spec(nx('a'), 0, 0x5, 0, list, 2));
	for (uint32_t n = 24; n < len; n++) {
		pr_world();
		FAILS(pr_send(nx('a'), REGISTER, 0, pr_param, n), SENSE_PARAM_LIST_LENGTH);
	}
	/* More than the list says is ignored. */
	pr_world();
	GOOD(pr_send(nx('a'), REGISTER, 0, pr_param, len + 7));
	/* A TransportID cut short by the length of the list */
	for (uint32_t n = len - 29; n > (len - 28) / 2; n--) {
		pr_world();
		put_be32(pr_param + 24, n);
		FAILS(pr_send(nx('a'), REGISTER, 0, pr_param, len), SENSE_INVALID_FIELD_PARAM);
		CU_ASSERT_FALSE(pr_any(pr_now));
	}
	put_be32(pr_param + 24, 0xffffffff);
	FAILS(pr_send(nx('a'), REGISTER, 0, pr_param, len), SENSE_PARAM_LIST_LENGTH);
	/* Format 00b may be refused. */
	c = wcur_of(pr_param + 28, sizeof(pr_param) - 28);
	transportid_put_device(&c, list[0].initiator);
	put_be32(pr_param + 24, (uint32_t)c.len);
	FAILS(pr_send(nx('a'), REGISTER, 0, pr_param, 28 + (uint32_t)c.len),
	      SENSE_INVALID_FIELD_PARAM);
}

/* SPC-4 5.13.8, table 70 */
static void test_move(void)
{
	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, 0));
	GOOD(pr(nx('c'), REGISTER, 0, 0, 0xc, 0));
	FAILS(pr_move(nx('a'), 0xa, 0xb, 0, nx('b')), SENSE_INVALID_FIELD_CDB); /* no reservation */
	GOOD(pr(nx('a'), RESERVE, 1, 0xa, 0, 0));
	CONFLICT(pr_move(nx('c'), 0xc, 0xb, 0, nx('b'))); /* not the holder */
	FAILS(pr_move(nx('a'), 0xa, 0, 0, nx('b')), SENSE_INVALID_FIELD_PARAM);
	FAILS(pr_move(nx('a'), 0xa, 0xb, 0, nx('a')), SENSE_INVALID_FIELD_PARAM);
	FAILS(pr_move(nx('a'), 0xa, 0xb, 0, nx_of('a', 1, 2)),
	      SENSE_INVALID_FIELD_PARAM); /* same initiator port */
	FAILS(pr_move(nx('a'), 0xa, 0xb, 0, nx_of('b', 1, 3)),
	      SENSE_INVALID_FIELD_PARAM); /* no such port */
	CU_ASSERT_EQUAL(pr_generation(), 2);
	GOOD(pr_move(nx('a'), 0xa, 0xb, F_APTPL, nx_of('b', 1, 7)));
	CU_ASSERT_EQUAL(fx.nua, 0);
	CU_ASSERT_EQUAL(pr_generation(), 3);
	CU_ASSERT_EQUAL(pr_count(), 3);
	CU_ASSERT_EQUAL(pr_type_now(), 1);
	CU_ASSERT_EQUAL(pr_key_now(), 0xb);
	CU_ASSERT_TRUE(holds(nx_of('b', 1, 7)));
	pr_read(2);
	CU_ASSERT_EQUAL(pr_in_buf[3] & 1, 1);
	/* To a registered one, whose key changes; UNREG */
	GOOD(pr_move(nx_of('b', 1, 7), 0xb, 0xc1, F_UNREG, nx('c')));
	CU_ASSERT_EQUAL(key_of(nx('c')), 0xc1);
	CU_ASSERT_EQUAL(key_of(nx_of('b', 1, 7)), 0);
	CU_ASSERT_TRUE(holds(nx('c')));
	CU_ASSERT_EQUAL(pr_count(), 2);
	CU_ASSERT_EQUAL(fx.nua, 0);
	/* All registrants types cannot be moved. */
	GOOD(pr(nx('c'), PREEMPT, 7, 0xc1, 0xc1, 0));
	CONFLICT(pr_move(nx('a'), 0xa, 0xb, 0, nx('b')));
}

static void test_move_broken(void)
{
	uint32_t len;

	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, 0));
	GOOD(pr(nx('a'), RESERVE, 5, 0xa, 0, 0));
	FAILS(pr_move(nx('a'), 0xa, 0xb, 0, nx('a')),
	      SENSE_INVALID_FIELD_PARAM); /* leaves pr_param filled */
	len = 24 + get_be32(pr_param + 20);
	for (uint32_t n = 0; n < len; n++)
		FAILS(pr_send(nx('a'), REGISTER_AND_MOVE, 0, pr_param, n), SENSE_PARAM_LIST_LENGTH);
	for (uint32_t n = 0; n < len - 24; n++) {
		put_be32(pr_param + 20, n);
		FAILS(pr_send(nx('a'), REGISTER_AND_MOVE, 0, pr_param, len),
		      SENSE_INVALID_FIELD_PARAM);
	}
	CU_ASSERT_EQUAL(pr_generation(), 1);
}

/* The last valid APTPL counts; other service actions and failed commands do not. */
static void test_aptpl(void)
{
	static const struct {
		uint8_t sa;
		uint64_t key, sa_key;
		uint8_t flags;
		bool after;
	} steps[] = {
		{ REGISTER, 0, 0xa, F_APTPL, true },
		{ RESERVE, 0xa, 0, 0, true },
		{ RELEASE, 0xa, 0, 0, true },
		{ REGISTER, 0xb, 0xc, 0, true }, /* conflict */
		{ REGISTER, 0xa, 0xa, 0, false },
		{ REGISTER_AND_IGNORE, 0, 0xa, F_APTPL, true },
		{ CLEAR, 0xa, 0, 0, true },
		{ REGISTER_AND_IGNORE, 0, 0, 0, true }, /* does nothing */
		{ REGISTER_AND_IGNORE, 0, 0xa, F_APTPL, true },
		{ REGISTER, 0xa, 0, 0, false },
	};

	pr_world();
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		pr(nx('a'), steps[i].sa, 5, steps[i].key, steps[i].sa_key, steps[i].flags);
		pr_read(2);
		CU_ASSERT_EQUAL(pr_in_buf[3] & 1, steps[i].after);
	}
}

/*
 * 5.13.7: INSUFFICIENT REGISTRATION RESOURCES, nothing changed; and all of it still works when
 * full.
 */
static void test_full(void)
{
	struct nexus list[9];
	struct nexus who;

	pr_world();
	for (unsigned i = 0; i < PR_REGISTRANTS_MAX - 2; i++) {
		who = nx_of('a' + i % 26, (uint8_t)i, (uint16_t)(1000 + i / 256));
		CU_ASSERT_EQUAL_FATAL(pr(who, REGISTER, 0, 0, 0x1000 + i % 2, 0), SAM_GOOD);
	}
	for (unsigned i = 0; i < 9; i++)
		list[i] = nx_of('A', (uint8_t)i, 1);
	/* One too many; the name is looked at in lower case. */
	FAILS(pr_spec(nx('!'), 0, 1, F_APTPL, list, 2), SENSE_INSUFF_REG_RESOURCES);
	CU_ASSERT_EQUAL(pr_count(), PR_REGISTRANTS_MAX - 2);
	FAILS(pr(nx('!'), REGISTER, 0, 0, 1, F_ALL_TG_PT), SENSE_INSUFF_REG_RESOURCES);
	CU_ASSERT_EQUAL(pr_count(), PR_REGISTRANTS_MAX - 2);
	GOOD(pr_spec(nx('!'), 0, 1, 0, list, 1));
	CU_ASSERT_EQUAL(pr_count(), PR_REGISTRANTS_MAX);
	FAILS(pr(nx('?'), REGISTER, 0, 0, 1, 0), SENSE_INSUFF_REG_RESOURCES);
	FAILS(pr(nx('?'), REGISTER_AND_IGNORE, 0, 0, 1, 0), SENSE_INSUFF_REG_RESOURCES);
	GOOD(pr(nx('!'), REGISTER, 0, 1, 2, 0));
	GOOD(pr(nx('!'), RESERVE, 5, 2, 0, 0));
	FAILS(pr_move(nx('!'), 2, 3, 0, nx('?')), SENSE_INSUFF_REG_RESOURCES);
	GOOD(pr_move(nx('!'), 2, 3, F_UNREG, nx('?')));
	CU_ASSERT_EQUAL(pr_count(), PR_REGISTRANTS_MAX);
	CU_ASSERT_TRUE(holds(nx('?')));
	GOOD(pr(nx('?'), PREEMPT_AND_ABORT, 5, 3, 0x1001, 0));
	CU_ASSERT_EQUAL(fx.nua, PR_REGISTRANTS_MAX / 2 - 1);
	CU_ASSERT_EQUAL(fx.nabort, PR_REGISTRANTS_MAX / 2 - 1);
	CU_ASSERT_EQUAL(pr_count(), PR_REGISTRANTS_MAX / 2 + 1);
	GOOD(pr(nx('?'), CLEAR, 0, 3, 0, 0));
	CU_ASSERT_EQUAL(fx.nua, PR_REGISTRANTS_MAX / 2);
	CU_ASSERT_EQUAL(pr_state_size(pr_now), pr_state_size(pr_none));
}

/* The longest names, all different: the value stays inside pr_state_max(). */
static void test_largest(void)
{
	struct nexus who = { .tpgt = 1 };

	pr_world();
	memset(who.initiator, 'x', ISCSI_NAME_MAX);
	for (unsigned i = 0; i < PR_REGISTRANTS_MAX; i++) {
		/* From the back to the front and in between, so that names move. */
		snprintf(who.initiator + ISCSI_NAME_MAX - 4, 5, "%04u",
			 i * 37 % PR_REGISTRANTS_MAX);
		CU_ASSERT_EQUAL_FATAL(pr(who, REGISTER, 0, 0, 1 + i, 0), SAM_GOOD);
	}
	CU_ASSERT_EQUAL(pr_state_size(pr_now), pr_state_max());
	CU_ASSERT_EQUAL(key_of(who), PR_REGISTRANTS_MAX);
	GOOD(pr(who, RESERVE, 7, PR_REGISTRANTS_MAX, 0, 0));
	GOOD(pr(who, PREEMPT, 5, PR_REGISTRANTS_MAX, 0, 0));
	CU_ASSERT_EQUAL(pr_count(), 1);
	CU_ASSERT_EQUAL(fx.nua, PR_REGISTRANTS_MAX - 1);
	CU_ASSERT_TRUE(holds(who));
}

/* 6.15.2: a wrapping counter */
static void test_generation(void)
{
	three();
	GOOD(pr(nx('a'), RESERVE, 5, 0xa, 0, 0));
	GOOD(pr(nx('a'), RELEASE, 5, 0xa, 0, 0));
	CU_ASSERT_EQUAL(pr_generation(), 3);
	GOOD(pr(nx('a'), PREEMPT, 5, 0xa, 0xb, 0));
	CU_ASSERT_EQUAL(pr_generation(), 4);
	CONFLICT(pr(nx('a'), PREEMPT, 5, 0xa, 0xb, 0));
	CU_ASSERT_EQUAL(pr_generation(), 4);
	GOOD(pr(nx('a'), CLEAR, 5, 0xa, 0xb, 0));
	CU_ASSERT_EQUAL(pr_generation(), 5);
	GOOD(pr(nx('a'), REGISTER, 5, 0, 0xb, 0));
	CU_ASSERT_EQUAL(pr_generation(), 6);
}

UNIT_MAIN("pr_out",
	UNIT(test_register_table),
	UNIT(test_register_and_ignore_table),
	UNIT(test_identity),
	UNIT(test_key_check),
	UNIT(test_lengths),
	UNIT(test_short_data),
	UNIT(test_reserve),
	UNIT(test_release),
	UNIT(test_unregister_holder),
	UNIT(test_clear),
	UNIT(test_preempt_registrations),
	UNIT(test_preempt_reservation),
	UNIT(test_preempt_self),
	UNIT(test_preempt_all_registrants),
	UNIT(test_all_tg_pt),
	UNIT(test_spec_i_pt),
	UNIT(test_spec_i_pt_broken),
	UNIT(test_move),
	UNIT(test_move_broken),
	UNIT(test_aptpl),
	UNIT(test_full),
	UNIT(test_largest),
	UNIT(test_generation))
