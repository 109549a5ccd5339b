/* SPDX-License-Identifier: Apache-2.0 */
/* VERIFY and WRITE AND VERIFY. */
#include <assert.h>

#include "scsi/medium.h"
#include "scsi/plans.h"

enum { PH_START, PH_SYNCING, PH_VERIFYING, PH_WRITING, PH_FLUSHING };

enum bytchk {			/* SBC-3 table 112 */
	BYTCHK_MEDIUM = 0,	/* just readable */
	BYTCHK_EACH = 1,	/* against as many blocks of data-out */
	BYTCHK_SAME = 3,	/* each against the one block of data-out */
};

static unsigned cdb_bytchk(const struct scsi_cmd *c)
{
	return c->cdb[1] >> 1 & 3;
}

/* Refuses what is above VPD B0h's MAXIMUM TRANSFER LENGTH. */
static bool transfer_fits(struct scsi_cmd *c, const struct lu_value *v)
{
	if (c->nblocks <= SCSI_XFER_MAX / v->block_size)
		return true;
	scsi_bad_cdb(c, medium_length_byte(c), -1);
	return false;
}

/*
 * The unit just read is in scratch, pos has advanced past it. Gives the offset in data-out of the
 * first byte that differs, or -1.
 */
static int64_t unit_differs(const struct scsi_cmd *c, const struct lu_value *v, unsigned bytchk)
{
	uint64_t start = c->pos - c->io.len, len = c->io.len, at, bs = v->block_size;

	if (bytchk == BYTCHK_EACH) {
		at = medium_differ(c->scratch, c->out + start, len);
		return at < len ? (int64_t)(start + at) : -1;
	}
	for (uint64_t off = 0; bytchk == BYTCHK_SAME && off < len; off += bs) {
		at = medium_differ(c->scratch + off, c->out, bs);
		if (at < bs)
			return (int64_t)at;
	}
	return -1;
}

/* Reads the next unit of `total` bytes, or ends the command. */
static enum scsi_next verify_next(struct scsi_cmd *c, const struct lu_value *v, uint64_t total)
{
	if (c->pos == total)
		return scsi_good(c);
	c->phase = PH_VERIFYING;
	return medium_io(c, v, IO_READ, AREA_SCRATCH, 0, total, IO_UNIT_MAX);
}

/*
 * After SCSI_EV_IO of a unit read: compares and goes on. A miscompare reports in INFORMATION where
 * in data-out the first byte differs (SBC-3 4.18.6 for COMPARE AND WRITE; the same serves here).
 */
static enum scsi_next verify_went_on(struct scsi_cmd *c, const struct lu_value *v, unsigned bytchk,
				     uint64_t total)
{
	int64_t at = unit_differs(c, v, bytchk);

	if (at >= 0)
		return scsi_fail(c, sense_info(SENSE_MISCOMPARE_VERIFY, (uint64_t)at));
	return verify_next(c, v, total);
}

/*
 * What is verified is the medium: a volatile cache's newer blocks are written to it first (SBC-3
 * 5.29, SBC-4 4.15.8). The range is not held: of a block that is written meanwhile nobody knows
 * what VERIFY should find.
 */
static enum scsi_next verify_begin(struct scsi_cmd *c, const struct lu_value *v, uint64_t total)
{
	if (!total || v->caps.durable)
		return verify_next(c, v, total);
	c->phase = PH_SYNCING;
	return medium_sync(c, v);
}

/* Bytes of the medium that VERIFY looks at. */
static uint64_t verify_total(const struct scsi_cmd *c, const struct lu_value *v, unsigned bytchk)
{
	if (bytchk == BYTCHK_EACH)
		return c->need_out;
	if (bytchk == BYTCHK_SAME && !c->need_out)
		return 0;
	return c->nblocks * v->block_size;
}

static enum scsi_next verify_start(struct scsi_cmd *c, const struct lu_value *v, unsigned bytchk)
{
	uint64_t total;

	/* 10b is reserved. The field's left-most bit is 2. */
	if (bytchk == 2)
		return scsi_bad_cdb(c, 1, 2);
	/* Whether data moves or not (SBC-4 table 33). */
	if (!transfer_fits(c, v))
		return SCSI_COMPLETE;
	if (bytchk == BYTCHK_EACH && !medium_take(c, v, c->nblocks * v->block_size))
		return SCSI_COMPLETE;
	if (bytchk == BYTCHK_SAME && c->nblocks && !medium_take(c, v, v->block_size))
		return SCSI_COMPLETE;
	total = verify_total(c, v, bytchk);
	c->need_scratch = (uint32_t)(total < IO_UNIT_MAX ? total : IO_UNIT_MAX);
	return c->need_out ? SCSI_GATHER : verify_begin(c, v, total);
}

/*
 * VERIFY (SBC-3 5.29 to 5.31). Verification length zero is no error. With BYTCHK zero no data-out
 * is taken, whatever EDTL says.
 */
enum scsi_next plan_verify(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	unsigned bytchk = cdb_bytchk(c);

	switch (ev) {
	case SCSI_EV_ARRIVED:
		return verify_start(c, v, bytchk);
	case SCSI_EV_READY:
		return verify_begin(c, v, verify_total(c, v, bytchk));
	default:
		assert(ev == SCSI_EV_IO);
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
		if (c->phase == PH_SYNCING)
			return verify_next(c, v, verify_total(c, v, bytchk));
		return verify_went_on(c, v, bytchk, verify_total(c, v, bytchk));
	}
}

/*
 * WRITE AND VERIFY (SBC-3 5.36 to 5.38): writes, flushes, since what is verified is the medium,
 * then reads back; with BYTCHK 01b what was read is compared with data-out.
 */
enum scsi_next plan_write_verify(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	unsigned bytchk = cdb_bytchk(c);

	switch (ev) {
	case SCSI_EV_ARRIVED:
		if (bytchk > BYTCHK_EACH)
			return scsi_bad_cdb(c, 1, 2);
		c->fua = true;
		if (!transfer_fits(c, v) || !medium_take(c, v, c->nblocks * v->block_size))
			return SCSI_COMPLETE;
		c->need_scratch = c->need_out < IO_UNIT_MAX ? c->need_out : IO_UNIT_MAX;
		c->phase = PH_WRITING;
		return c->need_out ? SCSI_GATHER : scsi_good(c);
	case SCSI_EV_READY:
		break;
	default:
		assert(ev == SCSI_EV_IO);
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
		if (c->phase == PH_VERIFYING)
			return verify_went_on(c, v, bytchk, c->need_out);
	}
	if (c->phase == PH_WRITING && c->pos < c->need_out)
		return medium_io(c, v, IO_WRITE, AREA_OUT, c->pos, c->need_out, IO_UNIT_MAX);
	if (c->phase == PH_WRITING && medium_must_flush(c, v)) {
		c->phase = PH_FLUSHING;
		return medium_flush(c);
	}
	c->pos = 0;
	return verify_next(c, v, c->need_out);
}
