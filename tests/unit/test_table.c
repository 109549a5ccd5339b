/* SPDX-License-Identifier: Apache-2.0 */
/* The command table as data: what dispatch, validation and RSOC rely on. */
#include <string.h>

#include "scsi/table.h"
#include "tests/unit/step_world.h"
#include "tests/unit/unit.h"

static void test_sorted_and_unique(void)
{
	for (unsigned i = 1; i < scsi_nops; i++) {
		const struct scsi_op *a = &scsi_ops[i - 1], *b = &scsi_ops[i];

		CU_ASSERT(a->opcode < b->opcode || (a->opcode == b->opcode && a->sa < b->sa));
		/* An opcode has service actions or it has none. */
		CU_ASSERT(a->opcode != b->opcode || (a->sa >= 0 && b->sa >= 0));
		CU_ASSERT(strcmp(a->name, b->name) != 0);
	}
}

/* SPC-4 4.2.5.1: the group code says how long a CDB is. */
static unsigned group_length(uint8_t opcode)
{
	static const uint8_t len[8] = { 6, 10, 10, 0, 16, 12, 0, 0 };

	return len[opcode >> 5];
}

static void test_shape(void)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		CU_ASSERT_PTR_NOT_NULL(op->name);
		CU_ASSERT_PTR_NOT_NULL(op->plan);
		CU_ASSERT_EQUAL(op->len, group_length(op->opcode));
		CU_ASSERT(op->dir <= OP_DIR_OUT && op->pr < PRC_COUNT);
		/* What answers without a LU answers before everything else. */
		if (op->flags & OP_NO_LU)
			CU_ASSERT(op->flags & OP_UA_PASS && op->flags & OP_NOT_READY &&
				  op->pr == PRC_FREE);
		if (op->flags & OP_WRITE)
			CU_ASSERT_EQUAL(op->pr, PRC_WRITE);
	}
}

static void test_usage(void)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		CU_ASSERT_EQUAL(op->usage[0], op->opcode);
		if (op->sa >= 0)
			CU_ASSERT_EQUAL(op->usage[1] & 0x1f, op->sa);
		for (unsigned b = op->len; b < SCSI_CDB_MAX; b++)
			CU_ASSERT_EQUAL(op->usage[b], 0);
		/* NACA and LINK are refused (NORMACA=0). */
		CU_ASSERT_EQUAL(op->usage[op->len - 1], 0);
	}
}

static bool usage_full(const struct scsi_op *op, unsigned at, unsigned n)
{
	while (n--)
		if (at >= op->len || op->usage[at++] != 0xff)
			return false;
	return true;
}

/* LBA and length of medium commands lie in the CDB and are evaluated. */
static void test_lba_and_length(void)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		if (!(op->flags & OP_BLOCK))
			continue;
		switch (op->len) {
		case 6:
			CU_ASSERT(op->usage[1] == 0x1f && usage_full(op, 2, 3));
			break;
		case 10:
			CU_ASSERT(usage_full(op, 2, 4) && usage_full(op, 7, 2));
			break;
		case 12:
			CU_ASSERT(usage_full(op, 2, 8));
			break;
		default:
			CU_ASSERT(usage_full(op, 2, 8));
			CU_ASSERT(op->opcode == 0x89 ? usage_full(op, 13, 1) :
				  op->opcode == 0x9c ? usage_full(op, 12, 2) :
				  usage_full(op, 10, 4));
		}
		/* No protection information: the field must be zero. */
		CU_ASSERT_EQUAL(op->usage[1] & 0xe0, 0);
	}
}

static void test_find(void)
{
	struct step_world w;
	bool bad_sa;

	world_init(&w);
	w.v.caps.atomic_max = 65536;
	for (unsigned i = 0; i < scsi_nops; i++) {
		CU_ASSERT_PTR_EQUAL(scsi_op_find(scsi_ops[i].usage, &w.v, &bad_sa), &scsi_ops[i]);
		CU_ASSERT_PTR_EQUAL(scsi_op_find(scsi_ops[i].usage, NULL, &bad_sa), &scsi_ops[i]);
	}
	CU_ASSERT_PTR_NULL(scsi_op_find((const uint8_t[]){ 0x01, 0 }, &w.v, &bad_sa));
	CU_ASSERT_FALSE(bad_sa);
	CU_ASSERT_PTR_NULL(scsi_op_find((const uint8_t[]){ 0xff, 0 }, &w.v, &bad_sa));
	CU_ASSERT_FALSE(bad_sa);
	CU_ASSERT_PTR_NULL(scsi_op_find((const uint8_t[]){ 0x9e, 0x11 }, &w.v, &bad_sa));
	CU_ASSERT_TRUE(bad_sa);
	CU_ASSERT_PTR_NULL(scsi_op_find((const uint8_t[]){ 0x5f, 0x08 }, &w.v, &bad_sa));
	CU_ASSERT_TRUE(bad_sa);
	world_fini(&w);
}

/* Rows that depend on the LU are as if they were not there. */
static void test_supported(void)
{
	static const uint8_t unmap[] = { 0x42, 0 }, atomic[] = { 0x9c, 0 }, reserve[] = { 0x16, 0 };
	struct step_world w;
	bool bad_sa;

	world_init(&w);
	CU_ASSERT_PTR_NULL(scsi_op_find(atomic, &w.v, &bad_sa));
	CU_ASSERT_PTR_NOT_NULL(scsi_op_find(unmap, &w.v, &bad_sa));
	CU_ASSERT_PTR_NOT_NULL(scsi_op_find(reserve, &w.v, &bad_sa));
	w.v.caps.atomic_max = 4096;
	w.v.caps.discard_granularity = 0;
	w.id.reserve6 = false;
	CU_ASSERT_PTR_NOT_NULL(scsi_op_find(atomic, &w.v, &bad_sa));
	CU_ASSERT_PTR_NULL(scsi_op_find(unmap, &w.v, &bad_sa));
	CU_ASSERT_PTR_NULL(scsi_op_find(reserve, &w.v, &bad_sa));
	world_fini(&w);
}

/* Every single bit that no row evaluates is refused, with a pointer to it. */
static void test_masks_are_enforced(void)
{
	struct step_world w;

	world_init(&w);
	w.v.caps.atomic_max = 65536;
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		for (unsigned byte = 1; byte < op->len; byte++) {
			for (int bit = 0; bit < 8; bit++) {
				uint8_t cdb[16] = { op->opcode, op->sa >= 0 ? (uint8_t)op->sa : 0 };
				bool sa_bit = byte == 1 && op->sa >= 0 && bit < 5;
				int at = bit;

				if (op->usage[byte] & 1 << bit || sa_bit)
					continue;
				if (byte == 1 && bit > 5 - 1 && op->flags & OP_BLOCK)
					at = 7;
				cdb[byte] |= (uint8_t)(1 << bit);
				world_run(&w, cdb, op->len, OP_DIR_NONE, 0, NULL);
				CU_ASSERT_EQUAL(w.c.status, SAM_CHECK_CONDITION);
				CU_ASSERT_EQUAL(w.c.sense.asc, 0x24);
				CU_ASSERT_EQUAL(w.c.sense.sks[0], 0xc8 | at);
				CU_ASSERT_EQUAL(w.c.sense.sks[2], byte);
			}
		}
	}
	world_fini(&w);
}

/* Every row is really executed: nothing answers INVALID OPCODE, and each ends. */
static void test_all_are_executed(void)
{
	static uint8_t data[65536];
	struct step_world w;

	world_init(&w);
	w.v.caps.atomic_max = 65536;
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];
		uint8_t cdb[16] = { op->opcode, op->sa >= 0 ? (uint8_t)op->sa : 0 };

		world_run(&w, cdb, op->len, op->dir, op->dir == OP_DIR_NONE ? 0 : sizeof(data),
			  data);
		CU_ASSERT_PTR_EQUAL(w.c.op, op);
		if (w.c.status == SAM_CHECK_CONDITION)
			CU_ASSERT_NOT_EQUAL(w.c.sense.asc, 0x20);
	}
	world_fini(&w);
}

UNIT_MAIN("table",
	UNIT(test_sorted_and_unique),
	UNIT(test_shape),
	UNIT(test_usage),
	UNIT(test_lba_and_length),
	UNIT(test_find),
	UNIT(test_supported),
	UNIT(test_masks_are_enforced),
	UNIT(test_all_are_executed))
