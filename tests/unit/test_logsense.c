/* SPDX-License-Identifier: Apache-2.0 */
/* LOG SENSE (scsi/log.c). */
#include <errno.h>

#include "scsi/wire.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

#define LOG_SENSE(w, page, sub, pointer, alloc)                                                    \
	RUN((w), 0x4d, 0, 0x40 | (page), (sub), 0, 0, (pointer), (uint8_t)((alloc) >> 8),          \
	    (uint8_t)(alloc), 0)

static void test_supported_pages(void)
{
	static const uint8_t want[] = { 0x00, 0, 0, 4, 0x00, 0x0c, 0x0d, 0x2f };
	static const uint8_t sub[] = {
		0x40, 0xff, 0, 10, 0, 0, 0, 0xff, 0x0c, 0, 0x0d, 0, 0x2f, 0
	};
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0, 0, 0, 512), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, sizeof(want));
	CU_ASSERT(!memcmp(w.in, want, sizeof(want)));
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0, 0xff, 0, 512), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, sizeof(sub));
	CU_ASSERT(!memcmp(w.in, sub, sizeof(sub)));
	w.v.caps.discard_granularity = 0;
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0, 0, 0, 512), SAM_GOOD);
	CU_ASSERT_EQUAL(w.in[3], 3);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0c, 0, 0, 512), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
	CU_ASSERT_EQUAL(w.nio, 0);
	lu_world_fini(&w);
}

static void test_provisioning(void)
{
	struct lu_world w;

	lu_world_init(&w);
	w.io_answer.space.used = (5u << 20) + 1;
	w.io_answer.space.avail = (7u << 20) + 1;
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0c, 0, 0, 512), SAM_GOOD);
	CU_ASSERT_EQUAL(w.nio, 1);
	CU_ASSERT_EQUAL(w.last_op, IO_SPACE);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, 28);
	CU_ASSERT_EQUAL(get_be16(w.in + 2), 24);
	CU_ASSERT_EQUAL(get_be16(w.in + 4), 1);
	CU_ASSERT_EQUAL(w.in[6], 3);
	CU_ASSERT_EQUAL(w.in[7], 8);
	CU_ASSERT_EQUAL(get_be32(w.in + 8), 7);		/* MiB, rounded down */
	CU_ASSERT_EQUAL(w.in[12], 2);
	CU_ASSERT_EQUAL(get_be16(w.in + 16), 2);
	CU_ASSERT_EQUAL(get_be32(w.in + 20), 6);	/* rounded up */
	CU_ASSERT_EQUAL(w.in[24], 1);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0c, 0, 2, 512), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 16);
	CU_ASSERT_EQUAL(get_be16(w.in + 4), 2);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0c, 0, 3, 512), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 5);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0c, 0, 0, 10), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 10);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0c, 0, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 0);
	w.io_result = -EOPNOTSUPP;
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0c, 0, 0, 512), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 4);
	lu_world_fini(&w);
}

static void test_temperature_and_exceptions(void)
{
	static const uint8_t temp[] = { 0x8d, 0, 0, 12, 0, 0, 3, 2, 0, 0xff, 0, 1, 3, 2, 0, 0xff };
	static const uint8_t ie[] = { 0xaf, 0, 0, 8, 0, 0, 3, 4, 0, 0, 0xff, 0 };
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0d, 0, 0, 512), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, sizeof(temp));
	CU_ASSERT(!memcmp(w.in, temp, sizeof(temp)));
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x2f, 0, 0, 512), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, sizeof(ie));
	CU_ASSERT(!memcmp(w.in, ie, sizeof(ie)));
	lu_world_fini(&w);
}

static void test_bad_fields(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x15, 0, 0, 512), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x0d, 1, 0, 512), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 3);
	CU_ASSERT_EQUAL(LOG_SENSE(&w, 0x00, 0, 1, 512), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 5);
	CU_ASSERT_EQUAL(RUN(&w, 0x4d, 1, 0x40, 0, 0, 0, 0, 1, 0, 0), SAM_CHECK_CONDITION); /* SP */
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 1);
	lu_world_fini(&w);
}

UNIT_MAIN("logsense",
	UNIT(test_supported_pages),
	UNIT(test_provisioning),
	UNIT(test_temperature_and_exceptions),
	UNIT(test_bad_fields))
