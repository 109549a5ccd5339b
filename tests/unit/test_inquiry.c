/* SPDX-License-Identifier: Apache-2.0 */
/* INQUIRY's standard data, READ CAPACITY and the small control commands. */
#include <errno.h>

#include "scsi/wire.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

static void test_standard_data(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN(&w, 0x12, 0, 0, 1, 4, 0), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, 96);
	CU_ASSERT_EQUAL(w.c.want, 96);
	CU_ASSERT_EQUAL(w.in[0], 0x00);
	CU_ASSERT_EQUAL(w.in[1], 0x00);			/* RMB */
	CU_ASSERT_EQUAL(w.in[2], 0x06);
	CU_ASSERT_EQUAL(w.in[3], 0x12);			/* HISUP, format 2 */
	CU_ASSERT_EQUAL(w.in[4], 91);
	CU_ASSERT_EQUAL(w.in[5], 0x10);			/* TPGS */
	CU_ASSERT_EQUAL(w.in[6], 0x10);			/* MULTIP */
	CU_ASSERT_EQUAL(w.in[7], 0x02);			/* CMDQUE */
	CU_ASSERT(!memcmp(w.in + 8, "HOLDFASTVIRTUAL-DISK    0.1 ", 28));
	CU_ASSERT_EQUAL(get_be16(w.in + 58), 0x00a0);
	CU_ASSERT_EQUAL(get_be16(w.in + 60), 0x0960);
	CU_ASSERT_EQUAL(get_be16(w.in + 62), 0x0460);
	CU_ASSERT_EQUAL(get_be16(w.in + 64), 0x04c0);
	CU_ASSERT_EQUAL(get_be16(w.in + 66), 0);
	lu_world_fini(&w);
}

static void test_witness_and_single_port(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.id.witness = true;
	w.target.ntpgts = 1;
	CU_ASSERT_EQUAL(RUN(&w, 0x12, 0, 0, 0, 96, 0), SAM_GOOD);
	CU_ASSERT(!memcmp(w.in + 16, "WITNESS         ", 16));
	CU_ASSERT_EQUAL(w.in[6], 0);
	strcpy(w.id.vendor, "IET");
	strcpy(w.id.product, "VIRTUAL-DISK");
	CU_ASSERT_EQUAL(RUN(&w, 0x12, 0, 0, 0, 96, 0), SAM_GOOD);
	CU_ASSERT(!memcmp(w.in + 8, "IET     VIRTUAL-DISK    ", 24));
	lu_world_fini(&w);
}

static void test_every_allocation_length(void)
{
	struct lu_world w;
	uint8_t whole[96];

	lu_world_init(&w);
	RUN(&w, 0x12, 0, 0, 0, 255, 0);
	memcpy(whole, w.in, 96);
	for (unsigned n = 0; n < 600; n++) {
		CU_ASSERT_EQUAL(RUN(&w, 0x12, 0, 0, (uint8_t)(n >> 8), (uint8_t)n, 0), SAM_GOOD);
		CU_ASSERT_EQUAL(w.c.in_len, n < 96 ? n : 96);
		CU_ASSERT(!memcmp(w.in ? w.in : whole, whole, w.c.in_len));
	}
	lu_world_fini(&w);
}

static void test_no_lu(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN_NO_LU(&w, 0x12, 0, 0, 0, 96, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.in[0], 0x7f);
	CU_ASSERT_EQUAL(w.in[2], 0x06);
	CU_ASSERT_EQUAL(w.c.in_len, 96);
	CU_ASSERT_EQUAL(RUN_NO_LU(&w, 0x12, 1, 0, 0, 96, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 5);
	CU_ASSERT_EQUAL(w.in[0], 0x7f);
	CU_ASSERT_EQUAL(w.in[4], 0x00);
	CU_ASSERT_EQUAL(RUN_NO_LU(&w, 0x12, 1, 0x83, 0, 96, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(RUN_NO_LU(&w, 0x00, 0, 0, 0, 0, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_code_of(&w.c.sense), SENSE_LUN_NOT_SUPPORTED);
	lu_world_fini(&w);
}

static void test_bad_fields(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN(&w, 0x12, 0, 1, 0, 96, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_code_of(&w.c.sense), SENSE_INVALID_FIELD_CDB);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
	CU_ASSERT_EQUAL(RUN(&w, 0x12, 2, 0, 0, 96, 0), SAM_CHECK_CONDITION);	/* CMDDT */
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 1);
	CU_ASSERT_EQUAL(RUN(&w, 0x12, 1, 0x8f, 0, 96, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
	lu_world_fini(&w);
}

static void test_capacity_10(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN(&w, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, 8);
	CU_ASSERT_EQUAL(get_be32(w.in), (1u << 21) - 1);
	CU_ASSERT_EQUAL(get_be32(w.in + 4), 512);
	/* An LBA without PMI. */
	CU_ASSERT_EQUAL(RUN(&w, 0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
	CU_ASSERT_EQUAL(RUN(&w, 0x25, 0, 0, 0, 0, 1, 0, 0, 1, 0), SAM_GOOD);
	/* 2 TiB and a block: the last LBA does not fit. */
	w.v.caps.size = (1ull << 41) + 512;
	CU_ASSERT_EQUAL(RUN(&w, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(get_be32(w.in), 0xffffffff);
	w.v.caps.size = (1ull << 41) - 512;
	CU_ASSERT_EQUAL(RUN(&w, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(get_be32(w.in), 0xfffffffe);
	lu_world_fini(&w);
}

static void test_capacity_16(void)
{
	struct lu_world w;

	lu_world_init(&w);
	for (uint8_t n = 0; n < 40; n++) {
		CU_ASSERT_EQUAL(RUN(&w, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n, 0, 0),
				SAM_GOOD);
		CU_ASSERT_EQUAL(w.c.in_len, n < 32 ? n : 32);
	}
	CU_ASSERT_EQUAL(get_be64(w.in), (1u << 21) - 1);
	CU_ASSERT_EQUAL(get_be32(w.in + 8), 512);
	CU_ASSERT_EQUAL(w.in[12], 0);
	CU_ASSERT_EQUAL(w.in[13], 3);
	CU_ASSERT_EQUAL(w.in[14], 0xc0);
	CU_ASSERT_EQUAL(w.in[15], 0);
	w.v.caps.discard_granularity = 0;
	RUN(&w, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	CU_ASSERT_EQUAL(w.in[14], 0);
	CU_ASSERT_EQUAL(RUN(&w, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 32, 0, 0),
			SAM_CHECK_CONDITION);
	w.v.not_ready = true;
	CU_ASSERT_EQUAL(RUN(&w, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0),
			SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_code_of(&w.c.sense), SENSE_LU_NOT_READY_BECOMING);
	lu_world_fini(&w);
}

static void test_request_sense_reports_and_clears(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.v.events[UA_LU_RESET] = (struct lu_event){ .seq = 3 };
	w.v.events[UA_CAPACITY_CHANGED] = (struct lu_event){ .seq = 4 };
	CU_ASSERT_EQUAL(RUN(&w, 0x03, 0, 0, 0, 252, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.in[0] & 0x7f, 0x70);
	CU_ASSERT_EQUAL(w.in[2] & 0x0f, SK_UNIT_ATTENTION);
	CU_ASSERT_EQUAL(get_be16(w.in + 12), 0x2903);
	CU_ASSERT_EQUAL(RUN(&w, 0x03, 1, 0, 0, 252, 0), SAM_GOOD);	/* DESC */
	CU_ASSERT_EQUAL(w.in[0], 0x72);
	CU_ASSERT_EQUAL(w.in[1], SK_UNIT_ATTENTION);
	CU_ASSERT_EQUAL(get_be16(w.in + 2), 0x2a09);
	CU_ASSERT_EQUAL(RUN(&w, 0x03, 0, 0, 0, 252, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.in[2] & 0x0f, SK_NO_SENSE);
	CU_ASSERT_EQUAL(get_be16(w.in + 12), 0);
	CU_ASSERT_EQUAL(w.c.in_len, 18);
	w.v.not_ready = true;
	CU_ASSERT_EQUAL(RUN(&w, 0x03, 0, 0, 0, 252, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.in[2] & 0x0f, SK_NOT_READY);
	CU_ASSERT_EQUAL(RUN_NO_LU(&w, 0x03, 0, 0, 0, 252, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(get_be16(w.in + 12), 0x2500);
	lu_world_fini(&w);
}

static void test_inquiry_passes_an_attention(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.v.events[UA_LU_RESET] = (struct lu_event){ .seq = 3 };
	CU_ASSERT_EQUAL(RUN(&w, 0x12, 0, 0, 0, 96, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(RUN(&w, 0x00, 0, 0, 0, 0, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_code_of(&w.c.sense), SENSE_CODE(6, 0x29, 0x03));
	CU_ASSERT_EQUAL(RUN(&w, 0x00, 0, 0, 0, 0, 0), SAM_GOOD);
	lu_world_fini(&w);
}

static void test_stop_flushes_and_stays_ready(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 0, 0, 0, 0x01, 0), SAM_GOOD);	/* START */
	CU_ASSERT_EQUAL(w.nio, 0);
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 1, 0, 0, 0x00, 0), SAM_GOOD);	/* STOP, IMMED */
	CU_ASSERT_EQUAL(w.nio, 1);
	CU_ASSERT_EQUAL(w.last_op, IO_FLUSH);
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 0, 0, 0, 0x04, 0), SAM_GOOD);	/* NO_FLUSH */
	CU_ASSERT_EQUAL(w.nio, 1);
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 0, 0, 0, 0x30, 0), SAM_GOOD);	/* STANDBY */
	CU_ASSERT_EQUAL(w.nio, 2);
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 0, 0, 0, 0x10, 0), SAM_GOOD);	/* ACTIVE */
	CU_ASSERT_EQUAL(w.nio, 2);
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 0, 0, 0, 0x40, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 4);
	/* No timer of mode page 1Ah is enabled that could be forced to end (SBC-3 table 96). */
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 0, 0, 0, 0xa0, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 0, 0, 0, 0xb0, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(RUN(&w, 0x00, 0, 0, 0, 0, 0), SAM_GOOD);
	w.io_result = -EIO;
	CU_ASSERT_EQUAL(RUN(&w, 0x1b, 0, 0, 0, 0x00, 0), SAM_CHECK_CONDITION);
	CU_ASSERT(w.c.flush_failed);
	CU_ASSERT_EQUAL(sense_code_of(&w.c.sense), SENSE_WRITE_ERROR);
	lu_world_fini(&w);
}

static void test_prevent_allow(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN(&w, 0x1e, 0, 0, 0, 1, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(RUN(&w, 0x1e, 0, 0, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(RUN(&w, 0x1e, 0, 0, 0, 2, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(RUN(&w, 0x1e, 0, 0, 0, 3, 0), SAM_CHECK_CONDITION);
	lu_world_fini(&w);
}

static void test_pr_in(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(RUN(&w, 0x5e, 0, 0, 0, 0, 0, 0, 0, 255, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 8);
	CU_ASSERT_EQUAL(RUN(&w, 0x5e, 2, 0, 0, 0, 0, 0, 0, 3, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 3);
	CU_ASSERT_EQUAL(RUN(&w, 0x5e, 4, 0, 0, 0, 0, 0, 0, 3, 0), SAM_CHECK_CONDITION);
	lu_world_fini(&w);
}

UNIT_MAIN("inquiry",
	UNIT(test_standard_data),
	UNIT(test_witness_and_single_port),
	UNIT(test_every_allocation_length),
	UNIT(test_no_lu),
	UNIT(test_bad_fields),
	UNIT(test_capacity_10),
	UNIT(test_capacity_16),
	UNIT(test_request_sense_reports_and_clears),
	UNIT(test_inquiry_passes_an_attention),
	UNIT(test_stop_flushes_and_stays_ready),
	UNIT(test_prevent_allow),
	UNIT(test_pr_in))
