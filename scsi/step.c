/* SPDX-License-Identifier: Apache-2.0 */
/* The step: what every command passes through before its plan, and what plans end with. */
#include <assert.h>

#include "scsi/medium.h"
#include "scsi/plans.h"
#include "scsi/ua.h"

enum {
	OPCODE_REQUEST_SENSE = 0x03,
	OPCODE_START_STOP_UNIT = 0x1b,
	OPCODE_PREVENT_ALLOW = 0x1e,
	OPCODE_REPORT_LUNS = 0xa0,
};

enum { SA_MASK = 0x1f };		/* SERVICE ACTION in byte 1 (SPC-4 4.2.5.2) */

enum scsi_next scsi_good(struct scsi_cmd *c)
{
	c->status = SAM_GOOD;
	return SCSI_COMPLETE;
}

enum scsi_next scsi_status(struct scsi_cmd *c, uint8_t status)
{
	assert(status != SAM_CHECK_CONDITION);
	c->status = status;
	c->in_len = 0;
	/*
	 * No data-in goes with it: the whole of EDTL is residual. Data-out was asked for all the
	 * same.
	 */
	if (c->op && c->op->dir == OP_DIR_IN)
		c->want = 0;
	return SCSI_COMPLETE;
}

enum scsi_next scsi_fail(struct scsi_cmd *c, struct sense s)
{
	scsi_status(c, SAM_GOOD);
	c->status = SAM_CHECK_CONDITION;
	c->sense = s;
	return SCSI_COMPLETE;
}

enum scsi_next scsi_bad_cdb(struct scsi_cmd *c, unsigned byte, int bit)
{
	return scsi_fail(c, sense_field(SENSE_INVALID_FIELD_CDB, true, byte, bit));
}

const struct scsi_op *scsi_op_find(const uint8_t *cdb, const struct lu_value *v, bool *bad_sa)
{
	unsigned lo = 0, hi = scsi_nops;

	*bad_sa = false;
	while (lo < hi) {			/* the first row with this opcode */
		unsigned mid = (lo + hi) / 2;

		if (scsi_ops[mid].opcode < cdb[0])
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < scsi_nops && scsi_ops[lo].opcode == cdb[0]; lo++) {
		const struct scsi_op *op = &scsi_ops[lo];

		if (v && op->supported && !op->supported(v))
			continue;
		if (op->sa < 0 || op->sa == (cdb[1] & SA_MASK))
			return op;
		*bad_sa = true;
	}
	return NULL;
}

/* START STOP UNIT with START=1 and POWER CONDITION=0. */
static bool cmd_starts(const struct scsi_cmd *c)
{
	return c->cdb[0] == OPCODE_START_STOP_UNIT && (c->cdb[4] & 0xf1) == 0x01;
}

/*
 * The class a command has with its CDB. Starting the unit and PREVENT ALLOW with PREVENT=0 never
 * conflict (SBC-3 table 13; SPC-2 tables 9 and B.1); all else is in the row.
 */
static unsigned cmd_class(const struct scsi_cmd *c)
{
	if (cmd_starts(c))
		return PRC_FREE;
	if (c->cdb[0] == OPCODE_PREVENT_ALLOW && !(c->cdb[4] & 0x03))
		return PRC_FREE;
	return c->op->pr;
}

bool scsi_recheck(struct scsi_cmd *c, const struct gate *g)
{
	if (g->access & 1u << cmd_class(c))
		return true;
	scsi_status(c, SAM_RESERVATION_CONFLICT);
	return false;
}

/* Takes the unit attention out of the gate that is reported first; SENSE_NONE if there is none. */
static uint32_t ua_take(struct gate *g)
{
	unsigned ua;

	if (!g || !g->ua)
		return SENSE_NONE;
	ua = (unsigned)__builtin_ctz(g->ua);
	g->ua &= ~(1u << ua);
	return ua_sense_code((enum ua)ua);
}

/* Whether no bit is set that is not in the usage mask, as with nearly all; vectors tell. */
static bool cdb_within(const uint8_t *cdb, const uint8_t *usage)
{
	unsigned outside = 0;

	for (unsigned i = 0; i < SCSI_CDB_MAX; i++)
		outside |= cdb[i] & (uint8_t)~usage[i];
	return !outside;
}

/*
 * What commands that execute although a unit attention waits do to it. REQUEST SENSE gets it in
 * c->sense, as parameter data, unless the LU is not ready (SPC-4 6.39); REPORT LUNS answers what
 * REPORTED LUNS DATA HAS CHANGED would have announced and clears it (SPC-4 6.33); INQUIRY leaves
 * all alone, as the others do when they will be refused.
 */
static void attention_pass(struct scsi_cmd *c, const struct lu_value *v, struct gate *g)
{
	if (!v || !cdb_within(c->cdb, c->op->usage))
		return;
	if (c->cdb[0] == OPCODE_REQUEST_SENSE && !v->not_ready)
		c->sense = sense_of(ua_take(g));
	else if (c->cdb[0] == OPCODE_REPORT_LUNS)
		g->ua &= ~(1u << UA_LUNS_CHANGED);
}

/* Unit attentions (SAM-5 5.14): true if one is reported instead of executing the command. */
static bool cmd_attention(struct scsi_cmd *c, const struct lu_value *v, struct gate *g)
{
	uint32_t code;

	if (c->op->flags & OP_UA_PASS) {
		attention_pass(c, v, g);
		return false;
	}
	code = ua_take(g);
	if (code == SENSE_NONE)
		return false;
	scsi_fail(c, sense_of(code));
	return true;
}

/*
 * Checks the CDB against the usage mask: a bit that is not evaluated must be zero. The field
 * pointer names the first one's byte and its highest such bit, which for the three protection bits
 * is the field's left-most, 7.
 */
static bool cmd_valid(struct scsi_cmd *c)
{
	const struct scsi_op *op = c->op;

	if (cdb_within(c->cdb, op->usage))
		return true;
	for (unsigned i = 1; i < op->len; i++) {
		uint8_t allowed = op->usage[i], bad;
		int bit = 7;

		if (i == 1 && op->sa >= 0)
			allowed |= SA_MASK;		/* usage has the value there, not a mask */
		bad = c->cdb[i] & (uint8_t)~allowed;
		if (!bad)
			continue;
		if (i == 1 && op->flags & OP_BLOCK && bad & 0xe0 && !(allowed & 0xe0))
			bad = 0x80;
		while (!(bad & 1 << bit))
			bit--;
		scsi_bad_cdb(c, i, bit);
		return false;
	}
	return true;
}

struct sense scsi_not_ready(const struct lu_value *v)
{
	return sense_of(v->damaged ? SENSE_LU_NOT_READY_MANUAL : SENSE_LU_NOT_READY_BECOMING);
}

/* Checks that the LU can do such a command now. */
static bool cmd_possible(struct scsi_cmd *c, const struct lu_value *v)
{
	/* SPC-4 5.13.5.2 has a list of what is answered before the reservations can be read. */
	if (v->not_ready && !(c->op->flags & OP_NOT_READY) && !cmd_starts(c)) {
		scsi_fail(c, scsi_not_ready(v));
		return false;
	}
	if (c->op->flags & OP_WRITE && lu_write_protected(v)) {
		scsi_fail(c, sense_of(SENSE_WRITE_PROTECTED));
		return false;
	}
	if (c->op->flags & OP_WRITE && v->failed) {
		scsi_fail(c, sense_of(SENSE_WRITE_ERROR));
		return false;
	}
	return !(c->op->flags & OP_BLOCK) || medium_span(c, v);
}

static enum scsi_next cmd_arrived(struct scsi_cmd *c, const struct lu_value *v, struct gate *g)
{
	bool bad_sa;

	assert(!v || g);
	c->op = scsi_op_find(c->cdb, v, &bad_sa);
	if (!v && !(c->op && c->op->flags & OP_NO_LU))
		return scsi_fail(c, sense_of(SENSE_LUN_NOT_SUPPORTED));	/* SPC-4 5.9 */
	if (!c->op)
		return bad_sa ? scsi_bad_cdb(c, 1, 4) :
			scsi_fail(c, sense_of(SENSE_INVALID_OPCODE));
	if (cmd_attention(c, v, g))
		return SCSI_COMPLETE;
	if (v && !scsi_recheck(c, g))
		return SCSI_COMPLETE;
	if (!cmd_valid(c) || (v && !cmd_possible(c, v)))
		return SCSI_COMPLETE;
	return c->op->plan(c, v, SCSI_EV_ARRIVED);
}

enum scsi_next scsi_step(struct scsi_cmd *c, const struct lu_value *v, struct gate *g,
			 enum scsi_event ev)
{
	bool failed_io;

	if (ev == SCSI_EV_ARRIVED)
		return cmd_arrived(c, v, g);
	assert(c->op);
	if (!v && !(c->op->flags & OP_NO_LU))	/* the LU was removed meanwhile */
		return scsi_fail(c, sense_of(SENSE_LUN_NOT_SUPPORTED));
	/*
	 * A flush failed meanwhile: no write goes on, or is reported good. What failed itself is
	 * for the plan to tell.
	 */
	failed_io = ev == SCSI_EV_IO && c->io.result < 0;
	if (v && v->failed && c->op->flags & OP_WRITE && !failed_io)
		return scsi_fail(c, sense_of(SENSE_WRITE_ERROR));
	return c->op->plan(c, v, ev);
}

/* PARAMETER LIST LENGTH of the CDBs that plan_change() serves, bytes. */
static uint32_t change_list_length(const uint8_t *cdb)
{
	switch (cdb[0]) {
	case 0x15:	return cdb[4];			/* MODE SELECT(6) */
	case 0x55:	return get_be16(&cdb[7]);	/* MODE SELECT(10) */
	case 0x5f:	return get_be32(&cdb[5]);	/* PERSISTENT RESERVE OUT */
	default:	return 0;		/* RESERVE, RELEASE: no third party, no extents */
	}
}

enum scsi_next plan_change(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint32_t len;

	switch (ev) {
	case SCSI_EV_ARRIVED:
		len = change_list_length(c->cdb);
		/*
		 * Longer than anything we know, or truncated (SPC-4 4.2.5.5): nothing can be
		 * changed by a part of it.
		 */
		if (len > SCSI_PARAM_MAX || len > medium_edtl(c, OP_DIR_OUT))
			return scsi_fail(c, sense_of(SENSE_PARAM_LIST_LENGTH));
		c->want = c->need_out = len;
		return len ? SCSI_GATHER : SCSI_CHANGE;
	case SCSI_EV_READY:
		return SCSI_CHANGE;
	default:
		assert(ev == SCSI_EV_CHANGED);
		return SCSI_COMPLETE;
	}
}

enum scsi_next plan_answer(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev,
			   uint32_t alloc_len, plan_build_fn *build)
{
	uint32_t cap = alloc_len < SCSI_PARAM_MAX ? alloc_len : SCSI_PARAM_MAX;
	struct wcur w;

	if (ev == SCSI_EV_ARRIVED) {
		c->need_in = cap;
		return cap ? SCSI_BUFFERS : scsi_good(c);
	}
	assert(ev == SCSI_EV_READY && c->need_in == cap);
	w = wcur_of(c->in, cap);
	build(c, v, &w);
	c->in_len = (uint32_t)wcur_stored(&w);
	c->want = c->in_len;
	return scsi_good(c);
}
