/* SPDX-License-Identifier: Apache-2.0 */
/* UNMAP and GET LBA STATUS. */
#include <assert.h>

#include "scsi/cursor.h"
#include "scsi/medium.h"
#include "scsi/plans.h"

enum { PH_START, PH_DISCARDING, PH_FLUSHING };

enum { UNMAP_HEADER = 8, UNMAP_DESCRIPTOR = 16 };

/*
 * Descriptors in the parameter list, of which the header is there. One that UNMAP BLOCK DESCRIPTOR
 * DATA LENGTH or PARAMETER LIST LENGTH cuts short is ignored (SBC-3 5.28.2); none is no error.
 */
static uint32_t unmap_count(const struct scsi_cmd *c)
{
	uint32_t len = get_be16(&c->out[2]), there = c->need_out - UNMAP_HEADER;

	return (len < there ? len : there) / UNMAP_DESCRIPTOR;
}

/* Loads descriptor c->index into lba and nblocks. */
static void unmap_load(struct scsi_cmd *c)
{
	const uint8_t *d = c->out + UNMAP_HEADER + (size_t)c->index * UNMAP_DESCRIPTOR;

	c->lba = get_be64(&d[0]);
	c->nblocks = get_be32(&d[8]);
	c->pos = 0;
}

/* Checks the whole parameter list (SBC-3 5.28.2) before anything is deallocated. */
static bool unmap_valid(struct scsi_cmd *c, const struct lu_value *v)
{
	struct rcur r = rcur_of(c->out, c->need_out);
	uint32_t data_len = rcur_be16(&r), desc_len = rcur_be16(&r), n = unmap_count(c);

	rcur_be32(&r);					/* reserved */
	/* A list that says it is longer than all that there is. */
	if (desc_len && desc_len + UNMAP_HEADER > data_len + 2) {
		scsi_fail(c, sense_field(SENSE_INVALID_FIELD_PARAM, false, 2, -1));
		return false;
	}
	if (n > UNMAP_DESCRIPTORS_MAX) {
		scsi_fail(c, sense_field(SENSE_INVALID_FIELD_PARAM, false, 2, -1));
		return false;
	}
	for (; n; n--) {
		uint64_t lba = rcur_be64(&r);
		uint32_t blocks = rcur_be32(&r);

		rcur_be32(&r);				/* reserved */
		if (!medium_inside(v, lba, blocks)) {
			medium_outside(c, v, lba);
			return false;
		}
	}
	return true;
}

/* The next unit of the next descriptor that has one left. */
static enum scsi_next unmap_next(struct scsi_cmd *c, const struct lu_value *v)
{
	while (c->index < unmap_count(c)) {
		/*
		 * The ends may be ragged: IO_DISCARD makes the whole range read zeroes (LBPRZ) and
		 * deallocates what it can.
		 */
		if (c->pos < c->nblocks * v->block_size)
			return medium_io(c, v, IO_DISCARD, AREA_NONE, 0, c->nblocks * v->block_size,
					 IO_DISCARD_UNIT_MAX);
		c->index++;
		if (c->index < unmap_count(c))
			unmap_load(c);
	}
	return unmap_count(c) ? medium_finish(c, v, PH_FLUSHING) : scsi_good(c);
}

/* UNMAP (SBC-3 5.28). */
enum scsi_next plan_unmap(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	switch (ev) {
	case SCSI_EV_ARRIVED:
		c->want = get_be16(&c->cdb[7]);
		if (!c->want)
			return scsi_good(c);	/* PARAMETER LIST LENGTH zero is no error */
		if (c->want < UNMAP_HEADER || medium_edtl(c, OP_DIR_OUT) < c->want)
			return scsi_fail(c, sense_of(SENSE_PARAM_LIST_LENGTH));
		c->need_out = (uint32_t)c->want;
		return SCSI_GATHER;
	case SCSI_EV_READY:
		if (!unmap_valid(c, v))
			return SCSI_COMPLETE;
		if (unmap_count(c))
			unmap_load(c);
		c->phase = PH_DISCARDING;
		return unmap_next(c, v);
	default:
		assert(ev == SCSI_EV_IO);
		if (medium_io_failed(c))
			return SCSI_COMPLETE;
		return c->phase == PH_FLUSHING ? scsi_good(c) : unmap_next(c, v);
	}
}

enum { GLS_HEADER = 8, GLS_DESCRIPTOR = 16, GLS_MIN = GLS_HEADER + GLS_DESCRIPTOR };
enum { GLS_MAPPED = 0, GLS_DEALLOCATED = 1 };	/* PROVISIONING STATUS */

/* Descriptors there is room for: at least one, though the shell may have to cut it. */
static uint32_t gls_room(const struct scsi_cmd *c)
{
	return (c->need_in - GLS_HEADER) / GLS_DESCRIPTOR;
}

/*
 * Adds blocks to the answer: to its last descriptor if that has the same status. False when there
 * is no room for a further one. lba + pos is where they start; index counts descriptors.
 */
static bool gls_add(struct scsi_cmd *c, uint64_t lba, uint64_t blocks, uint8_t status)
{
	while (blocks) {
		uint8_t *d = c->in + GLS_HEADER + (size_t)c->index * GLS_DESCRIPTOR;
		uint8_t *last = c->index ? d - GLS_DESCRIPTOR : NULL;
		uint32_t part;

		if (last && (last[12] & 0x0f) == status && get_be32(&last[8]) < UINT32_MAX) {
			uint32_t have = get_be32(&last[8]);

			part = (uint32_t)(blocks < UINT32_MAX - have ? blocks : UINT32_MAX - have);
			put_be32(&last[8], have + part);
		} else {
			if (c->index == gls_room(c))
				return false;
			part = (uint32_t)(blocks < UINT32_MAX ? blocks : UINT32_MAX);
			memset(d, 0, GLS_DESCRIPTOR);
			put_be64(&d[0], lba);
			put_be32(&d[8], part);
			d[12] = status;
			c->index++;
		}
		lba += part;
		blocks -= part;
	}
	return true;
}

/* PARAMETER DATA LENGTH, and the end. */
static enum scsi_next gls_done(struct scsi_cmd *c)
{
	uint32_t alloc = get_be32(&c->cdb[10]), len = GLS_HEADER + c->index * GLS_DESCRIPTOR;

	memset(c->in, 0, GLS_HEADER);
	put_be32(&c->in[0], len - 4);
	c->in_len = len < alloc ? len : alloc;
	c->want = c->in_len;
	return scsi_good(c);
}

/* Asks for the extent at pos, or ends. */
static enum scsi_next gls_next(struct scsi_cmd *c, const struct lu_value *v)
{
	uint64_t start = c->lba * v->block_size, total;

	if (start + c->pos >= v->caps.size)
		return gls_done(c);
	total = v->caps.size - start;
	return medium_io(c, v, IO_EXTENT, AREA_NONE, 0, total, total);
}

/*
 * Takes the answer for the extent at pos. A block is deallocated only if all of it is: mapped bytes
 * count up to whole blocks, holes down.
 */
static enum scsi_next gls_take(struct scsi_cmd *c, const struct lu_value *v)
{
	uint64_t bs = v->block_size, max = c->io.len / bs, blocks = c->io.answer.extent.len / bs;
	bool mapped = c->io.answer.extent.mapped;

	if (c->io.answer.extent.len > c->io.len)
		blocks = max;
	else if (mapped)
		blocks += c->io.answer.extent.len % bs != 0;
	if (!blocks) {
		mapped = true;
		blocks = 1;
	}
	if (!gls_add(c, c->lba + c->pos / bs, blocks, mapped ? GLS_MAPPED : GLS_DEALLOCATED))
		return gls_done(c);
	c->pos += blocks * bs;
	return gls_next(c, v);
}

/*
 * GET LBA STATUS (SBC-3 5.4): from the starting LBA on, as many descriptors as the allocation
 * length holds or until the LU ends. A store that cannot tell has everything mapped.
 */
enum scsi_next plan_get_lba_status(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint32_t alloc = get_be32(&c->cdb[10]);

	switch (ev) {
	case SCSI_EV_ARRIVED:
		if (!alloc)
			return scsi_good(c);
		if (alloc > SCSI_PARAM_MAX)
			alloc = SCSI_PARAM_MAX;
		c->need_in = alloc < GLS_MIN ? GLS_MIN : alloc;
		return SCSI_BUFFERS;
	case SCSI_EV_READY:
		if (v->caps.extents)
			return gls_next(c, v);
		gls_add(c, c->lba, lu_blocks(v) > c->lba ? lu_blocks(v) - c->lba : 0, GLS_MAPPED);
		return gls_done(c);
	default:
		assert(ev == SCSI_EV_IO);
		if (c->io.result < 0)
			return scsi_fail(c, sense_from_errno(IO_EXTENT, c->io.result));
		return gls_take(c, v);
	}
}
