/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT LUNS, REPORT SUPPORTED OPERATION CODES and TASK MANAGEMENT FUNCTIONS, REPORT TARGET PORT
 * GROUPS.
 */
#include "scsi/table.h"
#include "scsi/wire.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

#define REPORT_LUNS(w, select, alloc) \
	RUN((w), 0xa0, 0, (select), 0, 0, 0, 0, 0, (uint8_t)((alloc) >> 8), (uint8_t)(alloc), 0, 0)
#define RSOC(w, options, op, sa)                                                                   \
	RUN((w), 0xa3, 0x0c, (options), (op), (uint8_t)((sa) >> 8), (uint8_t)(sa), 0, 0, 0xff,     \
	    0xff, 0, 0)

static void test_luns(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.luns[2] = 255;
	w.luns[3] = 256;
	w.luns[4] = 4095;
	w.target.nluns = 5;
	for (uint8_t select = 0; select <= 2; select += 2) {
		CU_ASSERT_EQUAL(REPORT_LUNS(&w, select, 512), SAM_GOOD);
		CU_ASSERT_EQUAL_FATAL(w.c.in_len, 48);
		CU_ASSERT_EQUAL(get_be32(w.in), 40);
		CU_ASSERT_EQUAL(get_be64(w.in + 8), 0);
		CU_ASSERT_EQUAL(get_be64(w.in + 16), 0x0001000000000000);
		CU_ASSERT_EQUAL(get_be64(w.in + 24), 0x00ff000000000000);
		CU_ASSERT_EQUAL(get_be64(w.in + 32), 0x4100000000000000);
		CU_ASSERT_EQUAL(get_be64(w.in + 40), 0x4fff000000000000);
	}
	CU_ASSERT_EQUAL(REPORT_LUNS(&w, 1, 512), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 8);
	CU_ASSERT_EQUAL(get_be32(w.in), 0);
	CU_ASSERT_EQUAL(REPORT_LUNS(&w, 0, 16), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 16);
	CU_ASSERT_EQUAL(get_be32(w.in), 40);
	CU_ASSERT_EQUAL(REPORT_LUNS(&w, 0, 15), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 6);
	CU_ASSERT_EQUAL(REPORT_LUNS(&w, 3, 512), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
	lu_world_fini(&w);
}

static void test_luns_without_any(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.target.nluns = 0;
	CU_ASSERT_EQUAL(RUN_NO_LU(&w, 0xa0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(get_be32(w.in), 0);
	CU_ASSERT_EQUAL(RUN_NO_LU(&w, 0xa0, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(get_be32(w.in), 8);
	CU_ASSERT_EQUAL(get_be64(w.in + 8), 0);
	lu_world_fini(&w);
}

static void test_luns_clear_their_attention(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.v.events[UA_LUNS_CHANGED] = (struct lu_event){ .seq = 3 };
	CU_ASSERT_EQUAL(REPORT_LUNS(&w, 0, 512), SAM_GOOD);
	CU_ASSERT_EQUAL(RUN(&w, 0x00, 0, 0, 0, 0, 0), SAM_GOOD);
	lu_world_fini(&w);
}

static unsigned offered(const struct lu_value *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < scsi_nops; i++)
		n += !scsi_ops[i].supported || scsi_ops[i].supported(v);
	return n;
}

static void test_all_commands(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RSOC(&w, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, 4 + offered(&w.v) * 8);
	CU_ASSERT_EQUAL(get_be32(w.in), w.c.in_len - 4);
	for (unsigned at = 4; at < w.c.in_len; at += 8) {
		CU_ASSERT_EQUAL(w.in[at + 5] & 0x02, 0);
		CU_ASSERT(w.in[at + 5] & 1 || !get_be16(w.in + at + 2));
		CU_ASSERT(get_be16(w.in + at + 6) >= 6);
	}
	CU_ASSERT_EQUAL(RSOC(&w, 0x80, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, 4 + offered(&w.v) * 20);
	for (unsigned at = 4; at < w.c.in_len; at += 20) {
		CU_ASSERT_EQUAL(w.in[at + 5] & 0x02, 0x02);
		CU_ASSERT_EQUAL(get_be16(w.in + at + 8), 10);
	}
	/* What the LU does not have is not listed. */
	w.id.reserve6 = false;
	w.v.caps.discard_granularity = 0;
	CU_ASSERT_EQUAL(RSOC(&w, 0, 0, 0), SAM_GOOD);
	for (unsigned at = 4; at < w.c.in_len; at += 8) {
		CU_ASSERT_NOT_EQUAL(w.in[at], 0x16);
		CU_ASSERT_NOT_EQUAL(w.in[at], 0x42);
	}
	lu_world_fini(&w);
}

/* Each row by option 1 or 2, whichever it must be, and by 3; the other one is an error. */
static void test_one_command_for_each_row(void)
{
	struct lu_world w;

	lu_world_init(&w);
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];
		unsigned sa = op->sa < 0 ? 0 : (unsigned)op->sa;
		uint8_t right = op->sa < 0 ? 1 : 2;

		if (op->supported && !op->supported(&w.v))
			continue;
		CU_ASSERT_EQUAL(RSOC(&w, (uint8_t)(3 - right), op->opcode, sa),
				SAM_CHECK_CONDITION);
		CU_ASSERT_EQUAL(sense_code_of(&w.c.sense), SENSE_INVALID_FIELD_CDB);
		CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
		for (unsigned k = 0; k < 4; k++) {
			bool rctd = k & 1;
			uint8_t options = (uint8_t)((k & 2 ? 3 : right) | (rctd ? 0x80 : 0));

			CU_ASSERT_EQUAL(RSOC(&w, options, op->opcode, sa), SAM_GOOD);
			CU_ASSERT_EQUAL_FATAL(w.c.in_len, 4u + op->len + (rctd ? 12 : 0));
			CU_ASSERT_EQUAL(w.in[1], 3 | (rctd ? 0x80 : 0));
			CU_ASSERT_EQUAL(get_be16(w.in + 2), op->len);
			CU_ASSERT_EQUAL(w.in[4], op->opcode);
			if (op->sa >= 0)
				CU_ASSERT_EQUAL(w.in[5] & 0x1f, sa);
			if (rctd)
				CU_ASSERT_EQUAL(get_be16(w.in + 4 + op->len), 10);
		}
	}
	lu_world_fini(&w);
}

static void test_unsupported_command(void)
{
	struct lu_world w;

	lu_world_init(&w);
	for (uint8_t options = 1; options <= 3; options++) {
		CU_ASSERT_EQUAL(RSOC(&w, options, 0xff, 0), SAM_GOOD);
		CU_ASSERT_EQUAL(w.c.in_len, 4);
		CU_ASSERT_EQUAL(w.in[1], 1);
		CU_ASSERT_EQUAL(get_be16(w.in + 2), 0);
	}
	/* A service action an operation code does not have. */
	CU_ASSERT_EQUAL(RSOC(&w, 2, 0x9e, 0x1f), SAM_GOOD);
	CU_ASSERT_EQUAL(w.in[1], 1);
	CU_ASSERT_EQUAL(RSOC(&w, 3, 0x00, 1), SAM_GOOD);
	CU_ASSERT_EQUAL(w.in[1], 1);
	/* UNMAP where nothing can be deallocated. */
	w.v.caps.discard_granularity = 0;
	CU_ASSERT_EQUAL(RSOC(&w, 1, 0x42, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.in[1], 1);
	CU_ASSERT_EQUAL(RSOC(&w, 4, 0x12, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
	lu_world_fini(&w);
}

static void test_tmfs(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN(&w, 0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 4);
	CU_ASSERT_EQUAL(get_be32(w.in), 0xda000000);
	CU_ASSERT_EQUAL(RUN(&w, 0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 16);
	CU_ASSERT_EQUAL(get_be32(w.in), 0xda00000c);
	lu_world_fini(&w);
}

static void test_port_groups(void)
{
	static const uint8_t want[] = { 0, 0, 0, 24, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1,
					0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2 };
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN(&w, 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, sizeof(want));
	CU_ASSERT(!memcmp(w.in, want, sizeof(want)));
	/* The same through the other port. */
	w.a.tpgt = 2;
	CU_ASSERT_EQUAL(RUN(&w, 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), SAM_GOOD);
	CU_ASSERT(!memcmp(w.in, want, sizeof(want)));
	CU_ASSERT_EQUAL(RUN(&w, 0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, sizeof(want) + 4);
	CU_ASSERT_EQUAL(get_be32(w.in), 28);
	CU_ASSERT_EQUAL(w.in[4], 0x10);
	CU_ASSERT(!memcmp(w.in + 8, want + 4, sizeof(want) - 4));
	CU_ASSERT_EQUAL(RUN(&w, 0xa3, 0x4a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 1);
	lu_world_fini(&w);
}

UNIT_MAIN("report",
	UNIT(test_luns),
	UNIT(test_luns_without_any),
	UNIT(test_luns_clear_their_attention),
	UNIT(test_all_commands),
	UNIT(test_one_command_for_each_row),
	UNIT(test_unsupported_command),
	UNIT(test_tmfs),
	UNIT(test_port_groups))
