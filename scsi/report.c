/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT LUNS, and the REPORTs of MAINTENANCE IN: operation codes, task management functions,
 * target port groups.
 */
#include <assert.h>
#include <string.h>

#include "scsi/plans.h"

/* --- REPORT LUNS (SPC-4 6.33) --- */

enum {
	LUNS_ADDRESSED = 0x00,		/* SELECT REPORT: all but well known LUs */
	LUNS_WELL_KNOWN = 0x01,
	LUNS_ALL = 0x02,
	LUNS_ALLOC_MIN = 16,
};

/*
 * The first level of the 8 bytes (SAM-5 4.7.7): peripheral device addressing below 256, else flat
 * space addressing.
 */
static void lun_put(struct wcur *w, uint16_t lun)
{
	assert(lun <= LUN_MAX);
	wcur_be16(w, lun < 256 ? lun : (uint16_t)(0x4000 | lun));
	wcur_zero(w, 6);
}

static void report_luns_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	static const uint16_t lun0[] = { 0 };
	const uint16_t *luns = c->target ? c->target->luns : NULL;
	unsigned n = c->target ? c->target->nluns : 0;

	if (c->cdb[2] == LUNS_WELL_KNOWN) {
		n = 0;
	} else if (c->cdb[2] == LUNS_ALL && !n) {
		luns = lun0;	/* an empty inventory is LUN 0, which always answers */
		n = 1;
	}
	wcur_be32(w, n * 8);
	wcur_be32(w, 0);
	for (unsigned i = 0; i < n; i++)
		lun_put(w, luns[i]);
}

/*
 * An allocation length below 16 is refused, as SPC demanded; since then the standard only says it
 * should be at least 16.
 */

enum scsi_next plan_report_luns(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint32_t alloc = get_be32(c->cdb + 6);

	if (c->cdb[2] > LUNS_ALL)
		return scsi_bad_cdb(c, 2, -1);
	if (alloc < LUNS_ALLOC_MIN)
		return scsi_bad_cdb(c, 6, -1);
	return plan_answer(c, v, ev, alloc, report_luns_build);
}

/* --- REPORT SUPPORTED OPERATION CODES (SPC-4 6.35) --- */

enum {
	RSOC_RCTD = 0x80,
	RSOC_OPTIONS = 0x07,
	RSOC_ALL = 0, RSOC_OPCODE = 1, RSOC_SERVICE_ACTION = 2, RSOC_EITHER = 3,
	RSOC_CTDP = 0x02, RSOC_SERVACTV = 0x01,		/* in a command descriptor */
	RSOC_ONE_CTDP = 0x80,				/* in the one command format */
	RSOC_UNSUPPORTED = 1, RSOC_STANDARD = 3,	/* SUPPORT */
	RSOC_TIMEOUTS = 0x000a,				/* length of the timeouts descriptor */
	VARIABLE_LENGTH = 0x7f,				/* its service action is in bytes 8 and 9 */
};

static bool op_offered(const struct scsi_op *op, const struct lu_value *v)
{
	return !op->supported || op->supported(v);
}

/* SPC-4 6.35.4. No times are given (0): they are the store's, and none is known. */
static void rsoc_timeouts(struct wcur *w)
{
	wcur_be16(w, RSOC_TIMEOUTS);
	wcur_zero(w, RSOC_TIMEOUTS);
}

static void rsoc_all(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	bool rctd = c->cdb[2] & RSOC_RCTD;

	wcur_be32(w, 0);
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		if (!op_offered(op, v))
			continue;
		wcur_u8(w, op->opcode);
		wcur_u8(w, 0);
		wcur_be16(w, op->sa < 0 ? 0 : (uint16_t)op->sa);
		wcur_u8(w, 0);
		wcur_u8(w, (rctd ? RSOC_CTDP : 0) | (op->sa < 0 ? 0 : RSOC_SERVACTV));
		wcur_be16(w, op->len);
		if (rctd)
			rsoc_timeouts(w);
	}
	wcur_patch_be32(w, 0, (uint32_t)w->len - 4);
}

/*
 * Usage data has the operation code and the service action themselves where the CDB has them
 * (SPC-4 6.35.3).
 */
static void rsoc_usage(const struct scsi_op *op, struct wcur *w)
{
	uint8_t usage[SCSI_CDB_MAX];

	memcpy(usage, op->usage, sizeof(usage));
	usage[0] = op->opcode;
	if (op->sa >= 0 && op->opcode == VARIABLE_LENGTH)
		put_be16(usage + 8, (uint16_t)op->sa);
	else if (op->sa >= 0)
		usage[1] = (uint8_t)((usage[1] & 0xe0) | op->sa);
	assert(op->len <= sizeof(usage));
	wcur_put(w, usage, op->len);
}

/*
 * The row asked for. An operation code with service actions has one row for each; service action 0
 * with one that has none is its row.
 */
static const struct scsi_op *rsoc_find(const struct lu_value *v, uint8_t opcode, uint16_t sa,
				       bool *has_sa)
{
	const struct scsi_op *found = NULL;

	*has_sa = false;
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		if (op->opcode != opcode || !op_offered(op, v))
			continue;
		if (op->sa >= 0)
			*has_sa = true;
		if (op->sa < 0 ? sa == 0 : op->sa == sa)
			found = op;
	}
	return found;
}

static bool opcode_offered(const struct lu_value *v, uint8_t opcode)
{
	for (unsigned i = 0; i < scsi_nops; i++)
		if (scsi_ops[i].opcode == opcode && op_offered(&scsi_ops[i], v))
			return true;
	return false;
}

static void rsoc_one(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	bool rctd = c->cdb[2] & RSOC_RCTD, has_sa;
	bool by_opcode = (c->cdb[2] & RSOC_OPTIONS) == RSOC_OPCODE;
	const struct scsi_op *op =
		rsoc_find(v, c->cdb[3], by_opcode ? 0 : get_be16(c->cdb + 4), &has_sa);

	wcur_u8(w, 0);
	if (!op) {
		wcur_u8(w, RSOC_UNSUPPORTED);
		wcur_be16(w, 0);
		return;
	}
	wcur_u8(w, (rctd ? RSOC_ONE_CTDP : 0) | RSOC_STANDARD);
	wcur_be16(w, op->len);
	rsoc_usage(op, w);
	if (rctd)
		rsoc_timeouts(w);
}

/*
 * SPC-4 6.35.1: option 1 is for operation codes without service actions and option 2 for those
 * with; the other way round is an error, option 3 takes either. An operation code we do not have at
 * all is no error, but SUPPORT=001b.
 */
enum scsi_next plan_report_opcodes(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint8_t options = c->cdb[2] & RSOC_OPTIONS;
	bool has_sa;

	if (options > RSOC_EITHER)
		return scsi_bad_cdb(c, 2, 2);
	rsoc_find(v, c->cdb[3], 0, &has_sa);
	if (options == RSOC_OPCODE && has_sa)
		return scsi_bad_cdb(c, 2, 2);
	if (options == RSOC_SERVICE_ACTION && !has_sa && opcode_offered(v, c->cdb[3]))
		return scsi_bad_cdb(c, 2, 2);
	return plan_answer(c, v, ev, get_be32(c->cdb + 6),
			   options == RSOC_ALL ? rsoc_all : rsoc_one);
}

/* --- REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 6.36) --- */

enum {
	TMFS_REPD = 0x80,
	TMFS_ATS = 0x80, TMFS_ATSS = 0x40, TMFS_CTSS = 0x10, TMFS_LURS = 0x08, TMFS_TRS = 0x02,
	TMFS_EXTENDED = 0x0c,		/* bytes of timeouts after the first four */
};

static void report_tmfs_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	bool repd = c->cdb[2] & TMFS_REPD;

	wcur_u8(w, TMFS_ATS | TMFS_ATSS | TMFS_CTSS | TMFS_LURS | TMFS_TRS);
	wcur_u8(w, 0);			/* QUERY ..., I_T NEXUS RESET: none */
	wcur_u8(w, 0);
	wcur_u8(w, repd ? TMFS_EXTENDED : 0);
	if (repd)
		wcur_zero(w, TMFS_EXTENDED);	/* TMFTMOV=0: no timeouts are given */
}

enum scsi_next plan_report_tmfs(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	return plan_answer(c, v, ev, get_be32(c->cdb + 6), report_tmfs_build);
}

/* --- REPORT TARGET PORT GROUPS (SPC-4 6.37) --- */

enum {
	RTPG_EXTENDED = 1,		/* PARAMETER DATA FORMAT */
	RTPG_FORMAT_TYPE = 0x10,	/* the same, where the answer has it */
	RTPG_ACTIVE_OPTIMIZED = 0x00,
	RTPG_AO_SUP = 0x01,
};

/*
 * Every port reaches the LU equally well, always: the same answer through each, and no transition
 * ever.
 */
static void rtpg_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	wcur_be32(w, 0);
	if (c->cdb[1] >> 5 == RTPG_EXTENDED) {
		wcur_u8(w, RTPG_FORMAT_TYPE);
		wcur_u8(w, 0);			/* IMPLICIT TRANSITION TIME: not given */
		wcur_be16(w, 0);
	}
	for (unsigned i = 0; i < c->target->ntpgts; i++) {
		uint16_t tpgt = c->target->tpgts[i];

		wcur_u8(w, RTPG_ACTIVE_OPTIMIZED);
		wcur_u8(w, RTPG_AO_SUP);
		wcur_be16(w, tpgt);		/* TARGET PORT GROUP */
		wcur_u8(w, 0);
		wcur_u8(w, 0);			/* STATUS CODE: no change ever */
		wcur_u8(w, 0);
		wcur_u8(w, 1);			/* TARGET PORT COUNT */
		wcur_be16(w, 0);
		wcur_be16(w, tpgt);		/* RELATIVE TARGET PORT IDENTIFIER */
	}
	wcur_patch_be32(w, 0, (uint32_t)w->len - 4);
}

enum scsi_next plan_rtpg(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	if (c->cdb[1] >> 5 > RTPG_EXTENDED)
		return scsi_bad_cdb(c, 1, 7);
	return plan_answer(c, v, ev, get_be32(c->cdb + 6), rtpg_build);
}
