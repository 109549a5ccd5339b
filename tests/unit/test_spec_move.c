/* SPDX-License-Identifier: Apache-2.0 */
/* REGISTER AND MOVE as SPC-4 5.13.8 and 6.16.4 have it; see test_spec_actions.c. */
#include "tests/unit/spec_seen.h"
#include "tests/unit/unit.h"

static const uint8_t movable[] = { 1, 3, 5, 6 };

/* 5.13.8, table 70: REGISTER AND MOVE. */
static void test_move(void)
{
	struct spec_world *s = spec_new();
	char want[64];

	for (unsigned i = 0; i < sizeof(movable); i++) {
		unsigned type = movable[i];

		spec_reset(s);
		/* No reservation: an error; from an unregistered nexus a conflict (6.16.3) too. */
		CU_ASSERT(spec_move(s, A0, 0, 0xb, B0, 0) == CONFLICT ||
			  spec_result(s) == BAD_CDB);
		AFTER(s, spec_result(s), spec_result(s), "", "");
		CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
		AFTER(s, spec_move(s, A0, 0xa, 0xb, B0, 0), BAD_CDB, "A0=a", "");
		CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, type, 0xa, 0, 0), GOOD);
		CU_ASSERT_EQUAL(spec_out(s, C1, REGISTER, 0, 0, 0xc, 0), GOOD);
		snprintf(want, sizeof(want), "A0=a* C1=c %u:a", type);
		AFTER(s, spec_move(s, B0, 0, 0xb, B0, 0), CONFLICT, want, "");
		AFTER(s, spec_move(s, C1, 0xc, 0xb, B0, 0), CONFLICT, want, "");
		AFTER(s, spec_move(s, A0, 0xb, 0xb, B0, 0), CONFLICT, want, "");
		AFTER(s, param_or(spec_move(s, A0, 0xa, 0, B0, 0), BAD_CDB), BAD_PARAM, want, "");
		/* To oneself, also through another port: it is the same initiator port. */
		AFTER(s, spec_move(s, A0, 0xa, 0xb, A0, 0), BAD_PARAM, want, "");
		AFTER(s, spec_move(s, A0, 0xa, 0xb, A1, 0), BAD_PARAM, want, "");
		/* To one not registered; the source stays registered; nobody is told. */
		snprintf(want, sizeof(want), "A0=a B1=b* C1=c %u:b", type);
		AFTER(s, spec_move(s, A0, 0xa, 0xb, B1, 0), GOOD, want, "");
		/* To one that is registered: gets the new key. UNREG: the source goes. */
		snprintf(want, sizeof(want), "A0=a C1=d* %u:d", type);
		AFTER(s, spec_move(s, B1, 0xb, 0xd, C1, UNREG), GOOD, want, "");
		/* The same key, back; and a key that another one has too. */
		snprintf(want, sizeof(want), "A0=a* C1=d %u:a", type);
		AFTER(s, spec_move(s, C1, 0xd, 0xa, A0, 0), GOOD, want, "");
		snprintf(want, sizeof(want), "C1=a* %u:a", type);
		AFTER(s, spec_move(s, A0, 0xa, 0xa, C1, UNREG), GOOD, want, "");
	}
	for (unsigned type = 7; type <= 8; type++) {	/* all registrants: nothing to move */
		spec_reset(s);
		CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
		CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, type, 0xa, 0, 0), GOOD);
		snprintf(want, sizeof(want), "A0=a* %u:0", type);
		AFTER(s, spec_move(s, A0, 0xa, 0xb, B0, 0), CONFLICT, want, "");
	}
	spec_free(s);
}

/* 6.16.4: its parameter list. */
static void test_move_list(void)
{
	struct spec_world *s = spec_new();
	uint8_t list[400] = { [7] = 0xa, [15] = 0xb, [19] = 7 };
	uint32_t tid = (uint32_t)spec_tid(list + 24, 1), len = 24 + tid;
	uint32_t got;

	spec_reset(s);
	put_be32(list + 20, tid);
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, 3, 0xa, 0, 0), GOOD);
#define BAD(want) AFTER(s, param_or(spec_out_raw(s, A0, REGISTER_AND_MOVE, 0, list, len, len), \
				    BAD_LENGTH), (want), "A0=a* 3:a", "")
	for (len = 0; len < 24 + tid; len++)	/* the list ends early */
		BAD(BAD_PARAM);
	len = 24 + tid;
	for (uint32_t n = 0; n < tid; n++) {	/* the TransportID is truncated */
		put_be32(list + 20, n);
		len = 24 + n;
		BAD(BAD_PARAM);
	}
	len = 24 + tid;
	for (uint32_t n = tid + 1; n < tid + 9; n++) {	/* more promised than there is */
		put_be32(list + 20, n);
		BAD(BAD_PARAM);
	}
	put_be32(list + 20, 0xffffffff);
	BAD(BAD_PARAM);
	put_be32(list + 20, tid);
	for (unsigned port = 0; port < 10; port++)	/* ports there are: 1 and 7 */
		if (port != 1 && port != 7) {
			list[19] = (uint8_t)port;
			BAD(BAD_PARAM);
		}
	list[18] = 1;
	list[19] = 7;
	BAD(BAD_PARAM);
	list[18] = 0;
	for (unsigned i = 0; i < 16; i++)
		if (i != 5) {				/* protocol, format */
			list[24] = (uint8_t)(0x40 | i);
			BAD(BAD_PARAM);
		}
	list[24] = 0x85;
	BAD(BAD_PARAM);
	list[24] = 0x45;
	/* One TransportID, not two */
	len = 24 + tid + (uint32_t)spec_tid(list + 24 + tid, 2);
	put_be32(list + 20, len - 24);
	BAD(BAD_PARAM);
	len = 24 + tid;
	put_be32(list + 20, tid);
	strcpy((char *)list + 28, "iqn.2026-11.com.example:a, b");
	BAD(BAD_PARAM);
	spec_tid(list + 24, 1);
	/*
	 * Format 00b names an initiator device: 7.6.4.6 wants it refused unless exactly one
	 * initiator port of that name is known. Of the asker's own it is the asker at least.
	 */
	memset(list + 24, 0, tid);
	list[24] = 0x05;
	put_be16(list + 26, (uint16_t)(tid - 4));
	strcpy((char *)list + 28, spec_iports[A0].name);
	BAD(BAD_PARAM);
	spec_tid(list + 24, 1);
	/* SCOPE and TYPE are ignored: the reservation keeps its own (5.13.8 b). */
	got = spec_out_raw(s, A0, REGISTER_AND_MOVE, 5, list, len, len);
	AFTER(s, got, GOOD, "A0=a B1=b* 3:b", "");
#undef BAD
	spec_free(s);
}

UNIT_MAIN("spec_move",
	UNIT(test_move),
	UNIT(test_move_list))
