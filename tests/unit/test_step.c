/* SPDX-License-Identifier: Apache-2.0 */
/* What every command passes before its plan, in its order; and the commands that run at home. */
#include <errno.h>
#include <string.h>

#include "tests/unit/step_world.h"
#include "tests/unit/unit.h"

static struct step_world w;
static uint8_t data[70000];

#define BEGIN() world_init(&w)
#define END() world_fini(&w)

enum { CONFLICT_WRITES = WORLD_ALL & ~(1 << PRC_WRITE) };

static void test_unknown(void)
{
	BEGIN();
	TRACE(&w, NONE, 0, NULL, "CHECK 5/20/00", 0x01, 0, 0, 0, 0, 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/20/00", 0xff, 0, 0, 0, 0, 0);
	TRACE(&w, IN, 32, NULL, "CHECK 5/24/00 cdb:1.4", 0x9e, 0x11, B8(0), B4(32), 0, 0);
	/* An unknown opcode is known to be unknown before a unit attention is reported. */
	w.gate.ua = 1 << UA_LU_RESET;
	TRACE(&w, NONE, 0, NULL, "CHECK 5/20/00", 0x01, 0, 0, 0, 0, 0);
	CU_ASSERT_EQUAL(w.gate.ua, 1 << UA_LU_RESET);
	END();
}

static void test_no_lu(void)
{
	BEGIN();
	w.no_lu = true;
	TRACE(&w, NONE, 0, NULL, "CHECK 5/25/00", 0x00, 0, 0, 0, 0, 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/25/00", 0x28, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/25/00", 0x01, 0, 0, 0, 0, 0);
	world_run(&w, (const uint8_t[]){ 0x12, 0, 0, 0, 36, 0 }, 6, IN, 36, NULL);
	CU_ASSERT_EQUAL(w.c.status, SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in[0], 0x7f);
	world_run(&w, (const uint8_t[]){ 0x03, 0, 0, 0, 18, 0 }, 6, IN, 18, NULL);
	CU_ASSERT_EQUAL(w.c.status, SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in[12], 0x25);
	world_run(&w, (const uint8_t[]){ 0xa0, 0, 0, 0, 0, 0, B4(64), 0, 0 }, 12, IN, 64, NULL);
	CU_ASSERT_EQUAL(w.c.status, SAM_GOOD);
	/* Their CDBs are validated all the same. */
	TRACE(&w, IN, 36, NULL, "CHECK 5/24/00 cdb:1.1", 0x12, 0x02, 0, 0, 36, 0);
	END();
}

/* The LU is taken away between two events. */
static void remove_lu(struct step_world *x, enum scsi_event ev)
{
	x->no_lu = true;
}

static void test_lu_removed_meanwhile(void)
{
	BEGIN();
	w.between = remove_lu;
	TRACE(&w, IN, 512, NULL, "read 0+512 in+0; CHECK 5/25/00", 0x28, 0, B4(0), 0, B2(1), 0);
	END();
}

static void test_unit_attention(void)
{
	BEGIN();
	w.gate.ua = 1 << UA_NEXUS_LOSS | 1 << UA_POWER_ON | 1 << UA_RESERVATIONS_PREEMPTED;
	/* INQUIRY and REPORT LUNS execute and leave it. */
	world_run(&w, (const uint8_t[]){ 0x12, 0, 0, 0, 36, 0 }, 6, IN, 36, NULL);
	CU_ASSERT_EQUAL(w.c.status, SAM_GOOD);
	world_run(&w, (const uint8_t[]){ 0xa0, 0, 0, 0, 0, 0, B4(64), 0, 0 }, 12, IN, 64, NULL);
	CU_ASSERT_EQUAL(w.c.status, SAM_GOOD);
	/* Each once, the lowest first, before everything that may be wrong with the command. */
	TRACE(&w, NONE, 0, NULL, "CHECK 6/29/01", 0x00, 0, 0, 0, 0, 0);
	w.gate.access = 0;
	TRACE(&w, IN, 512, NULL, "CHECK 6/29/07", 0x28, 0xff, B4(-1), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 6/2a/03", 0x00, 0, 0, 0, 0, 0);
	TRACE(&w, NONE, 0, NULL, "STATUS 18", 0x00, 0, 0, 0, 0, 0);
	w.gate.access = WORLD_ALL;
	TRACE(&w, NONE, 0, NULL, "GOOD", 0x00, 0, 0, 0, 0, 0);
	END();
}

/* REQUEST SENSE returns it as data, and it is gone. REPORT LUNS clears what it answers. */
static void test_unit_attention_as_data(void)
{
	BEGIN();
	w.gate.ua = 1 << UA_LU_RESET | 1 << UA_LUNS_CHANGED;
	world_run(&w, (const uint8_t[]){ 0x03, 0, 0, 0, 18, 0 }, 6, IN, 18, NULL);
	CU_ASSERT_EQUAL(w.c.status, SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in[2], SK_UNIT_ATTENTION);
	CU_ASSERT_EQUAL(w.c.in[12], 0x29);
	CU_ASSERT_EQUAL(w.gate.ua, 1 << UA_LUNS_CHANGED);
	world_run(&w, (const uint8_t[]){ 0xa0, 0, 0, 0, 0, 0, B4(64), 0, 0 }, 12, IN, 64, NULL);
	CU_ASSERT_EQUAL(w.gate.ua, 0);
	world_run(&w, (const uint8_t[]){ 0x03, 0, 0, 0, 18, 0 }, 6, IN, 18, NULL);
	CU_ASSERT_EQUAL(w.c.in[2], SK_NO_SENSE);
	/* Not cleared by a command that is refused (SPC-4 6.39), nor where not ready is told. */
	w.gate.ua = 1 << UA_REGISTRATIONS_PREEMPTED | 1 << UA_LUNS_CHANGED;
	TRACE(&w, IN, 18, NULL, "CHECK 5/24/00 cdb:1.7", 0x03, 0x80, 0, 0, 18, 0);
	TRACE(&w, IN, 64, NULL, "CHECK 5/24/00 cdb:1.0", 0xa0, 1, 0, 0, 0, 0, B4(64), 0, 0);
	CU_ASSERT_EQUAL(w.gate.ua, 1 << UA_REGISTRATIONS_PREEMPTED | 1 << UA_LUNS_CHANGED);
	w.v.not_ready = true;
	world_run(&w, (const uint8_t[]){ 0x03, 0, 0, 0, 18, 0 }, 6, IN, 18, NULL);
	CU_ASSERT_EQUAL(w.c.in[2], SK_NOT_READY);
	CU_ASSERT_EQUAL(w.gate.ua, 1 << UA_REGISTRATIONS_PREEMPTED | 1 << UA_LUNS_CHANGED);
	END();
}

static void test_reservation(void)
{
	BEGIN();
	w.gate.access = CONFLICT_WRITES;
	TRACE(&w, IN, 512, NULL, "read 0+512 in+0; GOOD in=512 want=512",
	      0x28, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "STATUS 18", 0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 24, data, "STATUS 18", 0x42, 0, 0, 0, 0, 0, 0, B2(24), 0);
	TRACE(&w, OUT, 512, data, "STATUS 18", 0x41, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 1024, data, "STATUS 18", 0x89, 0, B8(0), 0, 0, 0, 1, 0, 0);
	TRACE(&w, NONE, 0, NULL, "STATUS 18", 0x35, 0, B4(0), 0, B2(0), 0);
	/* Conflict before the CDB is looked at closely. */
	TRACE(&w, OUT, 512, data, "STATUS 18", 0x2a, 0xe0, B4(-1), 0, B2(1), 0);
	w.gate.access = 1 << PRC_FREE;
	TRACE(&w, IN, 512, NULL, "STATUS 18", 0x28, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "STATUS 18", 0x00, 0, 0, 0, 0, 0);
	END();
}

/* START STOP UNIT and PREVENT ALLOW depend on a bit (SBC-3 table 13). */
static void test_reservation_by_bit(void)
{
	BEGIN();
	w.gate.access = CONFLICT_WRITES;
	TRACE(&w, NONE, 0, NULL, "GOOD", 0x1b, 0, 0, 0, 0x01, 0);
	TRACE(&w, NONE, 0, NULL, "STATUS 18", 0x1b, 0, 0, 0, 0x00, 0);
	TRACE(&w, NONE, 0, NULL, "STATUS 18", 0x1b, 0, 0, 0, 0x11, 0);
	TRACE(&w, NONE, 0, NULL, "GOOD", 0x1e, 0, 0, 0, 0x00, 0);
	TRACE(&w, NONE, 0, NULL, "STATUS 18", 0x1e, 0, 0, 0, 0x01, 0);
	END();
}

/* The nexus loses write access while its data is on the way: conflict, never a unit attention. */
static void preempted(struct step_world *x, enum scsi_event ev)
{
	x->gate.access = CONFLICT_WRITES;
	x->gate.ua = 1 << UA_REGISTRATIONS_PREEMPTED;
}

static void test_recheck(void)
{
	BEGIN();
	w.between = preempted;
	TRACE(&w, OUT, 512, data, "gather 512; STATUS 18 want=512", 0x2a, 0, B4(0), 0, B2(1), 0);
	CU_ASSERT_EQUAL(w.nio, 0);
	CU_ASSERT_EQUAL(w.gate.ua, 1 << UA_REGISTRATIONS_PREEMPTED);
	END();
}

static void test_cdb_before_state(void)
{
	BEGIN();
	w.v.not_ready = true;
	w.v.caps.readonly = true;
	TRACE(&w, IN, 512, NULL, "CHECK 5/24/00 cdb:1.7", 0x28, 0x20, B4(0), 0, B2(1), 0);
	TRACE(&w, IN, 512, NULL, "CHECK 2/04/01", 0x28, 0, B4(-1), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 2/04/01", 0x00, 0, 0, 0, 0, 0);
	/* Nothing will become ready by itself. */
	w.v.damaged = true;
	TRACE(&w, NONE, 0, NULL, "CHECK 2/04/03", 0x00, 0, 0, 0, 0, 0);
	world_run(&w, (const uint8_t[]){ 0x03, 0, 0, 0, 18, 0 }, 6, IN, 18, NULL);
	CU_ASSERT(w.c.status == SAM_GOOD && w.c.in[12] == 0x04 && w.c.in[13] == 0x03);
	w.v.damaged = false;
	world_run(&w, (const uint8_t[]){ 0x12, 0, 0, 0, 36, 0 }, 6, IN, 36, NULL);
	CU_ASSERT_EQUAL(w.c.status, SAM_GOOD);
	w.v.not_ready = false;
	/* Write protection before the range. */
	TRACE(&w, OUT, 512, data, "CHECK 7/27/00", 0x2a, 0, B4(-1), 0, B2(1), 0);
	TRACE(&w, OUT, 24, data, "CHECK 7/27/00", 0x42, 0, 0, 0, 0, 0, 0, B2(24), 0);
	w.v.caps.readonly = false;
	w.v.modes.swp = true;
	TRACE(&w, OUT, 512, data, "CHECK 7/27/00", 0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "flush; GOOD", 0x35, 0, B4(0), 0, B2(0), 0);
	END();
}

/* SPC-4 5.13.5.2: what is allowed while the reservations cannot be read yet, and what is not. */
static void test_not_ready(void)
{
	static const struct {
		uint8_t cdb[16], len, dir;
		bool allowed;
	} t[] = {
		{ { 0x12, 0, 0, 0, 36 }, 6, OP_DIR_IN, true },		/* INQUIRY */
		{ { 0x4d, 0, 0x4d, [8] = 64 }, 10, OP_DIR_IN, true },	/* LOG SENSE */
		{ { 0xa0, [9] = 64 }, 12, OP_DIR_IN, true },		/* REPORT LUNS */
		{ { 0xa3, 0x0a, [9] = 64 }, 12, OP_DIR_IN, true },	/* ... TARGET PORT GROUPS */
		{ { 0x03, 0, 0, 0, 18 }, 6, OP_DIR_IN, true },		/* REQUEST SENSE */
		{ { 0x1b, 0, 0, 0, 0x01 }, 6, OP_DIR_NONE, true },	/* START */
		{ { 0x1b, 0, 0, 0, 0x00 }, 6, OP_DIR_NONE, false },	/* STOP */
		{ { 0x1b, 0, 0, 0, 0x11 }, 6, OP_DIR_NONE, false },	/* power condition */
		{ { 0x00 }, 6, OP_DIR_NONE, false },			/* TEST UNIT READY */
		{ { 0x1a, 0, 0x0a, 0, 64 }, 6, OP_DIR_IN, false },	/* MODE SENSE(6) */
		{ { 0x25 }, 10, OP_DIR_IN, false },			/* READ CAPACITY(10) */
		{ { 0x5e, [8] = 64 }, 10, OP_DIR_IN, false },		/* PR IN */
		{ { 0x5f, [8] = 24 }, 10, OP_DIR_OUT, false },		/* PR OUT */
	};

	BEGIN();
	w.v.not_ready = true;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint32_t edtl = t[i].dir == OP_DIR_NONE ? 0 : t[i].dir == OP_DIR_OUT ? 24 : 64;

		world_run(&w, t[i].cdb, t[i].len, t[i].dir, edtl,
			  t[i].dir == OP_DIR_OUT ? data : NULL);
		CU_ASSERT_EQUAL(w.c.status, t[i].allowed ? SAM_GOOD : SAM_CHECK_CONDITION);
		CU_ASSERT_EQUAL(w.c.sense.key, t[i].allowed ? SK_NO_SENSE : SK_NOT_READY);
	}
	END();
}

static void test_control_byte(void)
{
	BEGIN();
	TRACE(&w, NONE, 0, NULL, "CHECK 5/24/00 cdb:5.2", 0x00, 0, 0, 0, 0, 0x04);	/* NACA */
	TRACE(&w, NONE, 0, NULL, "CHECK 5/24/00 cdb:5.0", 0x00, 0, 0, 0, 0, 0x01);	/* LINK */
	TRACE(&w, IN, 512, NULL, "CHECK 5/24/00 cdb:9.2", 0x28, 0, B4(0), 0, B2(1), 0x04);
	/* GROUP NUMBER and DPO are taken and ignored. */
	TRACE(&w, IN, 512, NULL, "read 0+512 in+0; GOOD in=512 want=512",
	      0x28, 0x10, B4(0), 0x1f, B2(1), 0);
	END();
}

/* A flush failed somewhere: writes and flushes fail for everyone, reads go on. */
static void test_failed(void)
{
	BEGIN();
	w.v.failed = true;
	TRACE(&w, OUT, 512, data, "CHECK 3/0c/00", 0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 3/0c/00", 0x35, 0, B4(0), 0, B2(0), 0);
	TRACE(&w, IN, 512, NULL, "read 0+512 in+0; GOOD in=512 want=512",
	      0x28, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "GOOD", 0x00, 0, 0, 0, 0, 0);
	END();
}

static void fail_lu(struct step_world *x, enum scsi_event ev)
{
	x->v.failed = true;
}

/* ... also for those on their way, though not for what has its own error to tell. */
static void test_failed_meanwhile(void)
{
	BEGIN();
	w.between = fail_lu;
	TRACE(&w, OUT, 512, data, "gather 512; CHECK 3/0c/00 want=512",
	      0x2a, 0, B4(0), 0, B2(1), 0);
	w.v.failed = false;
	w.fail_io = 1;
	w.fail_err = -EIO;
	TRACE(&w, NONE, 0, NULL, "flush; CHECK 3/0c/00 flush-failed", 0x35, 0, B4(0), 0, B2(0), 0);
	END();
}

static void test_changes_go_home(void)
{
	BEGIN();
	TRACE(&w, OUT, 24, data, "gather 24; change 24; GOOD want=24", 0x15, 0x10, 0, 0, 24, 0);
	TRACE(&w, OUT, 64, data, "gather 24; change 24; GOOD want=24",
	      0x55, 0x11, 0, 0, 0, 0, 0, B2(24), 0);
	TRACE(&w, OUT, 24, data, "gather 24; change 24; GOOD want=24",
	      0x5f, 0x01, 0x05, 0, 0, B4(24), 0);
	TRACE(&w, NONE, 0, NULL, "change 0; GOOD", 0x16, 0, 0, 0, 0, 0);
	TRACE(&w, NONE, 0, NULL, "change 0; GOOD", 0x17, 0, 0, 0, 0, 0);
	TRACE(&w, NONE, 0, NULL, "change 0; GOOD", 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	TRACE(&w, NONE, 0, NULL, "change 0; GOOD", 0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	/* A parameter list that does not come whole, or is beyond anything. */
	TRACE(&w, OUT, 23, data, "CHECK 5/1a/00", 0x5f, 0x01, 0x05, 0, 0, B4(24), 0);
	TRACE(&w, IN, 24, data, "CHECK 5/1a/00", 0x5f, 0x01, 0x05, 0, 0, B4(24), 0);
	TRACE(&w, OUT, 70000, data, "CHECK 5/1a/00", 0x5f, 0x00, 0, 0, 0, B4(65537), 0);
	TRACE(&w, OUT, 65536, data, "gather 65536; change 65536; GOOD want=65536",
	      0x5f, 0x00, 0, 0, 0, B4(65536), 0);
	TRACE(&w, OUT, 70000, data, "CHECK 5/1a/00", 0x5f, 0x00, 0, 0, 0, B4(0xffffffff), 0);
	/* No third party, no extents. */
	TRACE(&w, NONE, 0, NULL, "CHECK 5/24/00 cdb:1.4", 0x16, 0x10, 0, 0, 0, 0);
	END();
}

UNIT_MAIN("step",
	UNIT(test_unknown),
	UNIT(test_no_lu),
	UNIT(test_lu_removed_meanwhile),
	UNIT(test_unit_attention),
	UNIT(test_unit_attention_as_data),
	UNIT(test_reservation),
	UNIT(test_reservation_by_bit),
	UNIT(test_recheck),
	UNIT(test_cdb_before_state),
	UNIT(test_not_ready),
	UNIT(test_control_byte),
	UNIT(test_failed),
	UNIT(test_failed_meanwhile),
	UNIT(test_changes_go_home))
