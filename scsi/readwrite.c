/* SPDX-License-Identifier: Apache-2.0 */
/* READ, WRITE, ORWRITE and WRITE ATOMIC. */
#include <assert.h>
#include <string.h>

#include "scsi/medium.h"
#include "scsi/plans.h"

enum { PH_START, PH_SYNCING, PH_READING, PH_WRITING, PH_FLUSHING };

enum { CDB_FUA = 0x08, CDB_FUA_NV = 0x02 };

/* Refuses a transfer above VPD B0h's MAXIMUM TRANSFER LENGTH (SBC-3 6.6.4). */
static bool transfer_fits(struct scsi_cmd *c, const struct lu_value *v, uint64_t max)
{
	if (c->nblocks <= max / v->block_size)
		return true;
	scsi_bad_cdb(c, medium_length_byte(c), -1);
	return false;
}

/*
 * FUA, and FUA_NV of drafts of SBC-3, which FUA's effect satisfies. The 6-byte commands have
 * neither.
 */
static bool cdb_fua(const struct scsi_cmd *c)
{
	return c->cdb[1] & (CDB_FUA | CDB_FUA_NV) && c->op->len > 6;
}

/*
 * READ (SBC-3 5.10 to 5.13). With FUA what is read is on the medium: a volatile cache's newer
 * blocks are written to it first (SBC-3 4.15, 5.11). The range is held meanwhile, or a WRITE that
 * ends after the flush began would be read, and not be there after a loss of power.
 */
enum scsi_next plan_read(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint64_t move;

	switch (ev) {
	case SCSI_EV_ARRIVED:
		if (!transfer_fits(c, v, SCSI_XFER_MAX))
			return SCSI_COMPLETE;
		c->want = c->nblocks * v->block_size;
		if (c->want && !c->dir_in && c->edtl)
			return scsi_fail(c, sense_of(SENSE_INVALID_FIELD_CIU));
		/* Whole blocks, enough of them for EDTL: the shell cuts the last one. */
		move = medium_edtl(c, OP_DIR_IN);
		move = (move + v->block_size - 1) / v->block_size * v->block_size;
		c->need_in = (uint32_t)(move < c->want ? move : c->want);
		if (!cdb_fua(c) || !c->need_in || v->caps.durable)
			break;
		c->hold_off = c->lba * v->block_size;
		c->hold_len = c->need_in;
		return SCSI_HOLD;
	case SCSI_EV_HELD:
		return medium_sync(c, v);
	default:
		assert(ev == SCSI_EV_IO);
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
	}
	if (c->pos < c->need_in)
		return medium_io(c, v, IO_READ, AREA_IN, c->pos, c->need_in, IO_UNIT_MAX);
	c->in_len = c->need_in;
	return scsi_good(c);
}

/* WRITE (SBC-3 5.32 to 5.35). */
enum scsi_next plan_write(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	switch (ev) {
	case SCSI_EV_ARRIVED:
		c->fua = cdb_fua(c);
		if (!transfer_fits(c, v, SCSI_XFER_MAX) ||
		    !medium_take(c, v, c->nblocks * v->block_size))
			return SCSI_COMPLETE;
		return c->need_out ? SCSI_GATHER : scsi_good(c);
	case SCSI_EV_IO:
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
		if (c->phase == PH_FLUSHING)
			return scsi_good(c);
		break;
	default:
		assert(ev == SCSI_EV_READY);
	}
	if (c->pos < c->need_out)
		return medium_io(c, v, IO_WRITE, AREA_OUT, c->pos, c->need_out, IO_UNIT_MAX);
	return medium_finish(c, v, PH_FLUSHING);
}

/*
 * WRITE ATOMIC(16) (SBC-4 5.48): one unit, all or nothing over power loss (the store's promise) and
 * for whoever looks at the same blocks (the hold). Never a part of it.
 */
enum scsi_next plan_write_atomic(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint64_t max = v->caps.atomic_max < IO_UNIT_MAX ? v->caps.atomic_max : IO_UNIT_MAX;
	enum scsi_next next;

	switch (ev) {
	case SCSI_EV_ARRIVED:
		c->fua = cdb_fua(c);
		if (!transfer_fits(c, v, max))
			return SCSI_COMPLETE;
		if (!c->nblocks)
			return scsi_good(c);
		if (!medium_take_exact(c, c->nblocks * v->block_size))
			return SCSI_COMPLETE;
		return SCSI_GATHER;
	case SCSI_EV_READY:
		c->hold_off = c->lba * v->block_size;
		c->hold_len = c->need_out;
		return SCSI_HOLD;
	case SCSI_EV_HELD:
		next = medium_io(c, v, IO_WRITE, AREA_OUT, 0, c->need_out, IO_UNIT_MAX);
		c->io.flags = IO_F_ATOMIC;
		return next;
	default:
		assert(ev == SCSI_EV_IO);
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
		return c->phase == PH_FLUSHING ? scsi_good(c) : medium_finish(c, v, PH_FLUSHING);
	}
}

/*
 * The blocks just read are in scratch: ORs data-out into them. pos has advanced past them. By
 * words, of which every block is a whole number: a unit may be 1 MiB, and the reactor waits.
 */
static void orwrite_merge(struct scsi_cmd *c)
{
	const uint8_t *from = c->out + (c->pos - c->io.len);
	uint64_t have, more;

	assert(c->io.len % sizeof(have) == 0);
	for (uint64_t i = 0; i < c->io.len; i += sizeof(have)) {
		memcpy(&have, c->scratch + i, sizeof(have));
		memcpy(&more, from + i, sizeof(more));
		have |= more;
		memcpy(c->scratch + i, &have, sizeof(have));
	}
}

/*
 * ORWRITE(16) (SBC-3 5.6), bitmask operation. The range is held, so that reading, merging and
 * writing back unit by unit is one operation for everybody else. FUA is about what is read and what
 * is written.
 */
enum scsi_next plan_orwrite(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	switch (ev) {
	case SCSI_EV_ARRIVED:
		c->fua = cdb_fua(c);
		if (!transfer_fits(c, v, SCSI_XFER_MAX) ||
		    !medium_take(c, v, c->nblocks * v->block_size))
			return SCSI_COMPLETE;
		c->need_scratch = c->need_out < IO_UNIT_MAX ? c->need_out : IO_UNIT_MAX;
		return c->need_out ? SCSI_GATHER : scsi_good(c);
	case SCSI_EV_READY:
		c->hold_off = c->lba * v->block_size;
		c->hold_len = c->need_out;
		return SCSI_HOLD;
	case SCSI_EV_HELD:
		break;
	default:
		assert(ev == SCSI_EV_IO);
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
		if (c->phase == PH_FLUSHING)
			return scsi_good(c);
		if (c->phase == PH_READING) {
			orwrite_merge(c);
			c->pos -= c->io.len;
			c->phase = PH_WRITING;
			return medium_io(c, v, IO_WRITE, AREA_SCRATCH, 0, c->need_out, IO_UNIT_MAX);
		}
	}
	if (c->pos == c->need_out)
		return medium_finish(c, v, PH_FLUSHING);
	if (c->phase == PH_START && c->fua && !v->caps.durable) {
		c->phase = PH_SYNCING;
		return medium_sync(c, v);
	}
	c->phase = PH_READING;
	return medium_io(c, v, IO_READ, AREA_SCRATCH, 0, c->need_out, IO_UNIT_MAX);
}
