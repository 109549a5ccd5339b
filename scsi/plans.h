/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plans: one function per command (or family of commands), called by scsi_step() through the
 * command table. By the time a plan is called the CDB has passed its usage mask, the LU is there
 * (unless OP_NO_LU) and ready (unless OP_NOT_READY), not write protected and not failed (if
 * OP_WRITE), and no reservation is in the way.
 *
 * A plan is called first with SCSI_EV_ARRIVED, then with the event that answers what it asked for
 * last. Its state is in the command (lba, nblocks, pos, phase, index). Plans are pure; any thread,
 * one call at a time per command.
 */
#ifndef SCSI_PLANS_H
#define SCSI_PLANS_H

#include "scsi/cmd.h"
#include "scsi/cursor.h"
#include "scsi/table.h"

/* --- readwrite.c --- */
scsi_plan_fn plan_read;			/* READ(6/10/12/16) */
scsi_plan_fn plan_write;		/* WRITE(6/10/12/16) */
scsi_plan_fn plan_write_atomic;		/* WRITE ATOMIC(16) */
scsi_plan_fn plan_orwrite;		/* ORWRITE(16) */

/* --- verify.c --- */
scsi_plan_fn plan_verify;		/* VERIFY(10/12/16) */
scsi_plan_fn plan_write_verify;		/* WRITE AND VERIFY(10/12/16) */

/* --- compare.c --- */
scsi_plan_fn plan_compare_write;	/* COMPARE AND WRITE */

/* --- writesame.c --- */
scsi_plan_fn plan_write_same;		/* WRITE SAME(10/16) */

/* --- unmap.c --- */
scsi_plan_fn plan_unmap;		/* UNMAP */
scsi_plan_fn plan_get_lba_status;	/* GET LBA STATUS */

/* --- medium.c --- */
scsi_plan_fn plan_sync_cache;		/* SYNCHRONIZE CACHE(10/16) */
scsi_plan_fn plan_prefetch;		/* PRE-FETCH(10/16) */
scsi_plan_fn plan_reassign;		/* REASSIGN BLOCKS */

/* --- step.c --- */
/*
 * Commands whose work is a change of the LU's value: MODE SELECT(6/10), RESERVE/RELEASE(6/10),
 * PERSISTENT RESERVE OUT. Gathers the parameter list the CDB announces and sends both home; home
 * validates them.
 */
scsi_plan_fn plan_change;

/* --- the control commands (one file per noun) --- */
scsi_plan_fn plan_inquiry;
scsi_plan_fn plan_report_luns;
/*
 * scsi_step() has put the unit attention that REQUEST SENSE reports, and clears, into c->sense: all
 * zero if there is none.
 */
scsi_plan_fn plan_request_sense;
scsi_plan_fn plan_test_unit_ready;
scsi_plan_fn plan_mode_sense;		/* MODE SENSE(6) and (10), by c->cdb[0] */
scsi_plan_fn plan_log_sense;
scsi_plan_fn plan_report_opcodes;
scsi_plan_fn plan_report_tmfs;
scsi_plan_fn plan_rtpg;			/* REPORT TARGET PORT GROUPS */
scsi_plan_fn plan_start_stop;
scsi_plan_fn plan_prevent_allow;
scsi_plan_fn plan_read_capacity10;
scsi_plan_fn plan_read_capacity16;
scsi_plan_fn plan_pr_in;		/* PERSISTENT RESERVE IN, all four service actions */

/*
 * Writes a whole answer through w; the cursor drops what exceeds the allocation length. v is NULL
 * only for OP_NO_LU rows.
 */
typedef void plan_build_fn(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w);

/*
 * The whole of a control command that answers with data: on ARRIVED asks for a buffer of the
 * allocation length (SPC-4 4.2.5.6; bytes, bounded by SCSI_PARAM_MAX, longer than any answer); on
 * READY builds the answer into c->in and completes with GOOD, in_len and want being the bytes
 * stored. An allocation length of zero is no error and completes at once, without calling build. A
 * plan refuses what it does not like before it calls this.
 */
enum scsi_next plan_answer(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev,
			   uint32_t alloc_len, plan_build_fn *build);

#endif
