/* SPDX-License-Identifier: Apache-2.0 */
/* COMPARE AND WRITE. */
#include <assert.h>

#include "scsi/medium.h"
#include "scsi/plans.h"

enum { PH_START, PH_SYNCING, PH_READING, PH_WRITING, PH_FLUSHING };

enum { CDB_FUA = 0x0a };	/* FUA, or FUA_NV of earlier drafts */

_Static_assert((uint64_t)CAW_BLOCKS_MAX * 4096 <= IO_UNIT_MAX, "COMPARE AND WRITE is one unit");

static enum scsi_next compare_read(struct scsi_cmd *c, const struct lu_value *v, uint64_t half)
{
	c->phase = PH_READING;
	return medium_io(c, v, IO_READ, AREA_SCRATCH, 0, half, IO_UNIT_MAX);
}

/*
 * COMPARE AND WRITE (SBC-3 5.2): NUMBER OF LOGICAL BLOCKS blocks to compare with, then as many to
 * write, in data-out. All of data-out is here before the range is held; reading, comparing and
 * writing happen under the hold. FUA is about what is read and what is written.
 */
enum scsi_next plan_compare_write(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint64_t half = c->nblocks * v->block_size, at;

	switch (ev) {
	case SCSI_EV_ARRIVED:
		c->fua = c->cdb[1] & CDB_FUA;
		if (!c->nblocks)
			return scsi_good(c);
		c->need_scratch = (uint32_t)half;
		return medium_take_exact(c, 2 * half) ? SCSI_GATHER : SCSI_COMPLETE;
	case SCSI_EV_READY:
		c->hold_off = c->lba * v->block_size;
		c->hold_len = half;
		return SCSI_HOLD;
	case SCSI_EV_HELD:
		if (c->fua && !v->caps.durable) {
			c->phase = PH_SYNCING;
			return medium_sync(c, v);
		}
		return compare_read(c, v, half);
	default:
		assert(ev == SCSI_EV_IO);
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
	}
	if (c->phase == PH_SYNCING)
		return compare_read(c, v, half);
	if (c->phase == PH_FLUSHING)
		return scsi_good(c);
	if (c->phase == PH_WRITING)
		return medium_finish(c, v, PH_FLUSHING);
	/* INFORMATION: the offset of the first differing byte in data-out (SBC-3 5.2). */
	at = medium_differ(c->scratch, c->out, half);
	if (at < half)
		return scsi_fail(c, sense_info(SENSE_MISCOMPARE_VERIFY, at));
	c->pos = 0;
	c->phase = PH_WRITING;
	return medium_io(c, v, IO_WRITE, AREA_OUT, half, half, IO_UNIT_MAX);
}
