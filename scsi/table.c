/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command table: data only. Sources: CDBs from SPC-4 clause 6, SBC-3 clause 5 (WRITE ATOMIC:
 * SBC-4); reservation classes from SPC-4 table 65 and SBC-3 table 13, for RESERVE(6/10) SPC-2
 * tables 9 and B.1. MODE SENSE and the REPORT SUPPORTED commands are refused to unregistered
 * nexuses under an exclusive access reservation and allowed under a write exclusive one, as reads
 * are. What depends on a bit of the CDB (START STOP UNIT, PREVENT ALLOW MEDIUM REMOVAL) has the
 * stricter class here and is eased in step.c.
 *
 * Usage data: the CONTROL byte is zero, since neither NACA (NORMACA is 0) nor the vendor bits are
 * evaluated. Protection fields are not evaluated: there is no protection information, so they must
 * be zero (SBC-3 4.22). GROUP NUMBER, DPO and (where drafts had them) FUA_NV and SYNC_NV are
 * accepted; they change nothing, or less than we do anyway.
 */
#include "scsi/table.h"

#include "scsi/plans.h"

static bool is_thin(const struct lu_value *v)
{
	return lu_thin(v);
}

static bool has_reserve6(const struct lu_value *v)
{
	return v->id->reserve6;
}

static bool has_atomic(const struct lu_value *v)
{
	return v->caps.atomic_max != 0;
}

#define FF2 0xff, 0xff
#define FF4 FF2, FF2
#define FF8 FF4, FF4

/*
 * name, opcode, service action, length, direction, reservations, flags,
 *	supported, plan, usage
 */
const struct scsi_op scsi_ops[] = {
	{ "TEST UNIT READY", 0x00, -1, 6, OP_DIR_NONE, PRC_INFO, 0,
	  NULL, plan_test_unit_ready, { 0x00, 0, 0, 0, 0, 0 } },
	{ "REQUEST SENSE", 0x03, -1, 6, OP_DIR_IN, PRC_FREE, OP_UA_PASS | OP_NO_LU | OP_NOT_READY,
	  NULL, plan_request_sense, { 0x03, 0x01, 0, 0, 0xff, 0 } },
	{ "REASSIGN BLOCKS", 0x07, -1, 6, OP_DIR_OUT, PRC_WRITE, OP_WRITE,
	  NULL, plan_reassign, { 0x07, 0x03, 0, 0, 0, 0 } },
	{ "READ(6)", 0x08, -1, 6, OP_DIR_IN, PRC_READ, OP_BLOCK,
	  NULL, plan_read, { 0x08, 0x1f, FF2, 0xff, 0 } },
	{ "WRITE(6)", 0x0a, -1, 6, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write, { 0x0a, 0x1f, FF2, 0xff, 0 } },
	{ "INQUIRY", 0x12, -1, 6, OP_DIR_IN, PRC_FREE, OP_UA_PASS | OP_NO_LU | OP_NOT_READY,
	  NULL, plan_inquiry, { 0x12, 0x01, FF2, 0xff, 0 } },
	{ "MODE SELECT(6)", 0x15, -1, 6, OP_DIR_OUT, PRC_WRITE, OP_HOME,
	  NULL, plan_change, { 0x15, 0x11, 0, 0, 0xff, 0 } },
	{ "RESERVE(6)", 0x16, -1, 6, OP_DIR_NONE, PRC_RESERVE, OP_HOME,
	  has_reserve6, plan_change, { 0x16, 0, 0, 0, 0, 0 } },
	{ "RELEASE(6)", 0x17, -1, 6, OP_DIR_NONE, PRC_FREE, OP_HOME,
	  has_reserve6, plan_change, { 0x17, 0, 0, 0, 0, 0 } },
	{ "MODE SENSE(6)", 0x1a, -1, 6, OP_DIR_IN, PRC_READ, 0,
	  NULL, plan_mode_sense, { 0x1a, 0x08, FF2, 0xff, 0 } },
	{ "START STOP UNIT", 0x1b, -1, 6, OP_DIR_NONE, PRC_WRITE, 0,
	  NULL, plan_start_stop, { 0x1b, 0x01, 0, 0x0f, 0xf7, 0 } },
	{ "PREVENT ALLOW MEDIUM REMOVAL", 0x1e, -1, 6, OP_DIR_NONE, PRC_WRITE, 0,
	  NULL, plan_prevent_allow, { 0x1e, 0, 0, 0, 0x03, 0 } },
	{ "READ CAPACITY(10)", 0x25, -1, 10, OP_DIR_IN, PRC_FREE, 0,
	  NULL, plan_read_capacity10, { 0x25, 0, FF4, 0, 0, 0x01, 0 } },
	{ "READ(10)", 0x28, -1, 10, OP_DIR_IN, PRC_READ, OP_BLOCK,
	  NULL, plan_read, { 0x28, 0x1a, FF4, 0x3f, FF2, 0 } },
	{ "WRITE(10)", 0x2a, -1, 10, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write, { 0x2a, 0x1a, FF4, 0x3f, FF2, 0 } },
	{ "WRITE AND VERIFY(10)", 0x2e, -1, 10, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write_verify, { 0x2e, 0x16, FF4, 0x3f, FF2, 0 } },
	{ "VERIFY(10)", 0x2f, -1, 10, OP_DIR_OUT, PRC_READ, OP_BLOCK,
	  NULL, plan_verify, { 0x2f, 0x16, FF4, 0x3f, FF2, 0 } },
	{ "PRE-FETCH(10)", 0x34, -1, 10, OP_DIR_NONE, PRC_READ, OP_BLOCK,
	  NULL, plan_prefetch, { 0x34, 0x02, FF4, 0x3f, FF2, 0 } },
	{ "SYNCHRONIZE CACHE(10)", 0x35, -1, 10, OP_DIR_NONE, PRC_WRITE, OP_BLOCK,
	  NULL, plan_sync_cache, { 0x35, 0x06, FF4, 0x3f, FF2, 0 } },
	{ "WRITE SAME(10)", 0x41, -1, 10, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write_same, { 0x41, 0x08, FF4, 0x3f, FF2, 0 } },
	{ "UNMAP", 0x42, -1, 10, OP_DIR_OUT, PRC_WRITE, OP_WRITE,
	  is_thin, plan_unmap, { 0x42, 0, 0, 0, 0, 0, 0x3f, FF2, 0 } },
	{ "LOG SENSE", 0x4d, -1, 10, OP_DIR_IN, PRC_FREE, OP_NOT_READY,
	  NULL, plan_log_sense, { 0x4d, 0, FF2, 0, FF4, 0 } },
	{ "MODE SELECT(10)", 0x55, -1, 10, OP_DIR_OUT, PRC_WRITE, OP_HOME,
	  NULL, plan_change, { 0x55, 0x11, 0, 0, 0, 0, 0, FF2, 0 } },
	{ "RESERVE(10)", 0x56, -1, 10, OP_DIR_NONE, PRC_RESERVE, OP_HOME,
	  has_reserve6, plan_change, { 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "RELEASE(10)", 0x57, -1, 10, OP_DIR_NONE, PRC_FREE, OP_HOME,
	  has_reserve6, plan_change, { 0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "MODE SENSE(10)", 0x5a, -1, 10, OP_DIR_IN, PRC_READ, 0,
	  NULL, plan_mode_sense, { 0x5a, 0x18, FF2, 0, 0, 0, FF2, 0 } },
	{ "PERSISTENT RESERVE IN, READ KEYS", 0x5e, 0x00, 10, OP_DIR_IN, PRC_PR_IN, 0,
	  NULL, plan_pr_in, { 0x5e, 0x00, 0, 0, 0, 0, 0, FF2, 0 } },
	{ "PERSISTENT RESERVE IN, READ RESERVATION", 0x5e, 0x01, 10, OP_DIR_IN, PRC_PR_IN, 0,
	  NULL, plan_pr_in, { 0x5e, 0x01, 0, 0, 0, 0, 0, FF2, 0 } },
	{ "PERSISTENT RESERVE IN, REPORT CAPABILITIES", 0x5e, 0x02, 10, OP_DIR_IN, PRC_PR_IN, 0,
	  NULL, plan_pr_in, { 0x5e, 0x02, 0, 0, 0, 0, 0, FF2, 0 } },
	{ "PERSISTENT RESERVE IN, READ FULL STATUS", 0x5e, 0x03, 10, OP_DIR_IN, PRC_PR_IN, 0,
	  NULL, plan_pr_in, { 0x5e, 0x03, 0, 0, 0, 0, 0, FF2, 0 } },
	{ "PERSISTENT RESERVE OUT, REGISTER", 0x5f, 0x00, 10, OP_DIR_OUT, PRC_PR_OUT, OP_HOME,
	  NULL, plan_change, { 0x5f, 0x00, 0xff, 0, 0, FF4, 0 } },
	{ "PERSISTENT RESERVE OUT, RESERVE", 0x5f, 0x01, 10, OP_DIR_OUT, PRC_PR_OUT, OP_HOME,
	  NULL, plan_change, { 0x5f, 0x01, 0xff, 0, 0, FF4, 0 } },
	{ "PERSISTENT RESERVE OUT, RELEASE", 0x5f, 0x02, 10, OP_DIR_OUT, PRC_PR_OUT, OP_HOME,
	  NULL, plan_change, { 0x5f, 0x02, 0xff, 0, 0, FF4, 0 } },
	{ "PERSISTENT RESERVE OUT, CLEAR", 0x5f, 0x03, 10, OP_DIR_OUT, PRC_PR_OUT, OP_HOME,
	  NULL, plan_change, { 0x5f, 0x03, 0xff, 0, 0, FF4, 0 } },
	{ "PERSISTENT RESERVE OUT, PREEMPT", 0x5f, 0x04, 10, OP_DIR_OUT, PRC_PR_OUT, OP_HOME,
	  NULL, plan_change, { 0x5f, 0x04, 0xff, 0, 0, FF4, 0 } },
	{ "PERSISTENT RESERVE OUT, PREEMPT AND ABORT",
	  0x5f, 0x05, 10, OP_DIR_OUT, PRC_PR_OUT, OP_HOME,
	  NULL, plan_change, { 0x5f, 0x05, 0xff, 0, 0, FF4, 0 } },
	{ "PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY",
	  0x5f, 0x06, 10, OP_DIR_OUT, PRC_PR_OUT, OP_HOME,
	  NULL, plan_change, { 0x5f, 0x06, 0xff, 0, 0, FF4, 0 } },
	{ "PERSISTENT RESERVE OUT, REGISTER AND MOVE",
	  0x5f, 0x07, 10, OP_DIR_OUT, PRC_PR_OUT, OP_HOME,
	  NULL, plan_change, { 0x5f, 0x07, 0xff, 0, 0, FF4, 0 } },
	{ "READ(16)", 0x88, -1, 16, OP_DIR_IN, PRC_READ, OP_BLOCK,
	  NULL, plan_read, { 0x88, 0x1a, FF8, FF4, 0x3f, 0 } },
	{ "COMPARE AND WRITE", 0x89, -1, 16, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_compare_write, { 0x89, 0x1a, FF8, 0, 0, 0, 0xff, 0x3f, 0 } },
	{ "WRITE(16)", 0x8a, -1, 16, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write, { 0x8a, 0x1a, FF8, FF4, 0x3f, 0 } },
	{ "ORWRITE(16)", 0x8b, -1, 16, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_orwrite, { 0x8b, 0x1a, FF8, FF4, 0x3f, 0 } },
	{ "WRITE AND VERIFY(16)", 0x8e, -1, 16, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write_verify, { 0x8e, 0x16, FF8, FF4, 0x3f, 0 } },
	{ "VERIFY(16)", 0x8f, -1, 16, OP_DIR_OUT, PRC_READ, OP_BLOCK,
	  NULL, plan_verify, { 0x8f, 0x16, FF8, FF4, 0x3f, 0 } },
	{ "PRE-FETCH(16)", 0x90, -1, 16, OP_DIR_NONE, PRC_READ, OP_BLOCK,
	  NULL, plan_prefetch, { 0x90, 0x02, FF8, FF4, 0x3f, 0 } },
	{ "SYNCHRONIZE CACHE(16)", 0x91, -1, 16, OP_DIR_NONE, PRC_WRITE, OP_BLOCK,
	  NULL, plan_sync_cache, { 0x91, 0x06, FF8, FF4, 0x3f, 0 } },
	{ "WRITE SAME(16)", 0x93, -1, 16, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write_same, { 0x93, 0x09, FF8, FF4, 0x3f, 0 } },
	{ "WRITE ATOMIC(16)", 0x9c, -1, 16, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  has_atomic, plan_write_atomic, { 0x9c, 0x18, FF8, 0, 0, FF2, 0x3f, 0 } },
	{ "READ CAPACITY(16)", 0x9e, 0x10, 16, OP_DIR_IN, PRC_FREE, 0,
	  NULL, plan_read_capacity16, { 0x9e, 0x10, FF8, FF4, 0x01, 0 } },
	{ "GET LBA STATUS", 0x9e, 0x12, 16, OP_DIR_IN, PRC_READ, OP_BLOCK,
	  NULL, plan_get_lba_status, { 0x9e, 0x12, FF8, FF4, 0, 0 } },
	{ "REPORT LUNS", 0xa0, -1, 12, OP_DIR_IN, PRC_FREE, OP_UA_PASS | OP_NO_LU | OP_NOT_READY,
	  NULL, plan_report_luns, { 0xa0, 0, 0xff, 0, 0, 0, FF4, 0, 0 } },
	{ "REPORT TARGET PORT GROUPS", 0xa3, 0x0a, 12, OP_DIR_IN, PRC_FREE, OP_NOT_READY,
	  NULL, plan_rtpg, { 0xa3, 0xea, 0, 0, 0, 0, FF4, 0, 0 } },
	{ "REPORT SUPPORTED OPERATION CODES", 0xa3, 0x0c, 12, OP_DIR_IN, PRC_READ, OP_NOT_READY,
	  NULL, plan_report_opcodes, { 0xa3, 0x0c, 0x87, FF4, FF2, 0xff, 0, 0 } },
	{ "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS",
	  0xa3, 0x0d, 12, OP_DIR_IN, PRC_READ, OP_NOT_READY,
	  NULL, plan_report_tmfs, { 0xa3, 0x0d, 0x80, 0, 0, 0, FF4, 0, 0 } },
	{ "READ(12)", 0xa8, -1, 12, OP_DIR_IN, PRC_READ, OP_BLOCK,
	  NULL, plan_read, { 0xa8, 0x1a, FF8, 0x3f, 0 } },
	{ "WRITE(12)", 0xaa, -1, 12, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write, { 0xaa, 0x1a, FF8, 0x3f, 0 } },
	{ "WRITE AND VERIFY(12)", 0xae, -1, 12, OP_DIR_OUT, PRC_WRITE, OP_BLOCK | OP_WRITE,
	  NULL, plan_write_verify, { 0xae, 0x16, FF8, 0x3f, 0 } },
	{ "VERIFY(12)", 0xaf, -1, 12, OP_DIR_OUT, PRC_READ, OP_BLOCK,
	  NULL, plan_verify, { 0xaf, 0x16, FF8, 0x3f, 0 } },
};

const unsigned scsi_nops = sizeof(scsi_ops) / sizeof(scsi_ops[0]);
