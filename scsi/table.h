/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command table: one row per command and service action. Dispatch, CDB validation with field
 * pointer, reservation policy and REPORT SUPPORTED OPERATION CODES all read the same row.
 */
#ifndef SCSI_TABLE_H
#define SCSI_TABLE_H

#include "scsi/cmd.h"

enum {
	OP_UA_PASS = 1,	  /* executes although a unit attention waits (SAM-5 5.14) */
	OP_NO_LU = 2,	  /* answers for a LUN that does not exist */
	OP_NOT_READY = 4, /* answers although the LU is NOT READY */
	OP_HOME = 8,	  /* changes the LU's value: runs at home */
	OP_WRITE = 16,	  /* changes the medium: refused when write protected or failed */
	OP_BLOCK = 32, /* has LBA and length that must lie inside the LU; reported not ready etc. */
};

enum op_dir { OP_DIR_NONE, OP_DIR_IN, OP_DIR_OUT };

typedef enum scsi_next scsi_plan_fn(struct scsi_cmd *c, const struct lu_value *v,
				    enum scsi_event ev);

struct scsi_op {
	const char *name;		/* as the standard writes it */
	uint8_t opcode;
	int16_t sa;			/* service action, or -1 */
	uint8_t len;			/* CDB length in bytes */
	uint8_t dir;			/* enum op_dir */
	uint8_t pr;			/* enum pr_class */
	uint8_t flags;			/* OP_* */
	bool (*supported)(const struct lu_value *v);	/* NULL: always */
	scsi_plan_fn *plan;
	uint8_t usage[SCSI_CDB_MAX]; /* CDB usage data (SPC-4 6.35.3): bits the device server
					evaluates; the rest must be 0 */
};

extern const struct scsi_op scsi_ops[];		/* sorted by opcode, then service action */
extern const unsigned scsi_nops;

/*
 * The row for a CDB, or NULL. *bad_sa is set when the opcode is known but its service action is not
 * (INVALID FIELD IN CDB rather than INVALID OPCODE). v may be NULL (no such LU). Rows whose
 * supported() says no are as if they were not there.
 */
const struct scsi_op *scsi_op_find(const uint8_t *cdb, const struct lu_value *v, bool *bad_sa);

#endif
