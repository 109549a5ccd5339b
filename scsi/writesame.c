/* SPDX-License-Identifier: Apache-2.0 */
/* WRITE SAME. */
#include <assert.h>

#include "scsi/medium.h"
#include "scsi/plans.h"

enum { PH_START, PH_ZEROING, PH_WRITING, PH_FLUSHING };

enum { OPCODE_WRITE_SAME_16 = 0x93, CDB_UNMAP = 0x08, CDB_NDOB = 0x01 };

static bool cdb_ndob(const struct scsi_cmd *c)
{
	return c->cdb[0] == OPCODE_WRITE_SAME_16 && c->cdb[1] & CDB_NDOB;
}

static bool all_zero(const uint8_t *p, uint32_t len)
{
	return p[0] == 0 && !memcmp(p, p + 1, len - 1);
}

/* Repeats the block in data-out through scratch. */
static void pattern_fill(struct scsi_cmd *c, uint32_t bs)
{
	for (uint32_t at = 0; at < c->need_scratch; at += bs)
		memcpy(c->scratch + at, c->out, bs);
}

static enum scsi_next write_same_start(struct scsi_cmd *c, const struct lu_value *v)
{
	uint64_t total;

	/* LBPWS and LBPWS10 in VPD B2h are zero where the LU is not thin. */
	if (c->cdb[1] & CDB_UNMAP && !lu_thin(v))
		return scsi_bad_cdb(c, 1, 3);
	if (!c->nblocks)			/* WSNZ=0: to the end of the LU (SBC-3 5.44) */
		c->nblocks = lu_blocks(v) - c->lba;
	if (c->nblocks > WRITE_SAME_BLOCKS_MAX)
		return scsi_bad_cdb(c, medium_length_byte(c), -1);
	if (!c->nblocks)
		return scsi_good(c);
	total = c->nblocks * v->block_size;
	if (cdb_ndob(c)) {
		c->phase = PH_ZEROING;
		return SCSI_IO;
	}
	c->need_scratch = (uint32_t)(total < WRITE_SAME_UNIT_MAX ? total : WRITE_SAME_UNIT_MAX);
	return medium_take_exact(c, v->block_size) ? SCSI_GATHER : SCSI_COMPLETE;
}

/* The next unit, by phase. */
static enum scsi_next write_same_next(struct scsi_cmd *c, const struct lu_value *v)
{
	uint64_t total = c->nblocks * v->block_size;
	enum scsi_next next;

	if (c->pos == total)
		return medium_finish(c, v, PH_FLUSHING);
	if (c->phase == PH_WRITING)
		return medium_io(c, v, IO_WRITE, AREA_SCRATCH, 0, total, WRITE_SAME_UNIT_MAX);
	next = medium_io(c, v, IO_ZERO, AREA_NONE, 0, total, IO_ZERO_UNIT_MAX);
	if (c->cdb[1] & CDB_UNMAP)
		c->io.flags = IO_F_UNMAP;
	return next;
}

/*
 * WRITE SAME(10) and (16) (SBC-3 5.43, 5.44). Zeroes are zeroed, and may be deallocated if UNMAP is
 * set: LBPRZ is one, so that reads back the same. UNMAP with a pattern that is not zero could not
 * be read back and is written (SBC-3 4.7.3.4.4). NDOB: as if zeroes had been sent.
 */
enum scsi_next plan_write_same(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	enum scsi_next next;

	switch (ev) {
	case SCSI_EV_ARRIVED:
		next = write_same_start(c, v);
		return next == SCSI_IO ? write_same_next(c, v) : next;
	case SCSI_EV_READY:
		if (all_zero(c->out, v->block_size)) {
			c->phase = PH_ZEROING;
		} else {
			c->phase = PH_WRITING;
			pattern_fill(c, v->block_size);
		}
		return write_same_next(c, v);
	default:
		assert(ev == SCSI_EV_IO);
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
		return c->phase == PH_FLUSHING ? scsi_good(c) : write_same_next(c, v);
	}
}
