/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the medium commands, and the small ones: SYNCHRONIZE CACHE, PRE-FETCH, REASSIGN BLOCKS.
 */
#include "scsi/medium.h"

#include <assert.h>

#include "scsi/cursor.h"
#include "scsi/plans.h"

enum {
	OPCODE_COMPARE_AND_WRITE = 0x89,
	OPCODE_WRITE_ATOMIC_16 = 0x9c,
	OPCODE_GET_LBA_STATUS = 0x9e,
};

unsigned medium_length_byte(const struct scsi_cmd *c)
{
	switch (c->cdb[0]) {
	case OPCODE_COMPARE_AND_WRITE:	return 13;
	case OPCODE_WRITE_ATOMIC_16:	return 12;
	}
	switch (c->op->len) {
	case 6:		return 4;
	case 10:	return 7;
	case 12:	return 6;
	default:	return 10;
	}
}

bool medium_inside(const struct lu_value *v, uint64_t lba, uint64_t n)
{
	uint64_t blocks = lu_blocks(v);

	return lba <= blocks && n <= blocks - lba;
}

enum scsi_next medium_outside(struct scsi_cmd *c, const struct lu_value *v, uint64_t lba)
{
	uint64_t blocks = lu_blocks(v);

	return scsi_fail(c, sense_info(SENSE_LBA_OUT_OF_RANGE, lba < blocks ? blocks : lba));
}

bool medium_span(struct scsi_cmd *c, const struct lu_value *v)
{
	const uint8_t *cdb = c->cdb;
	unsigned at = medium_length_byte(c);

	switch (c->op->len) {
	case 6:
		c->lba = get_be24(&cdb[1]) & 0x1fffff;
		c->nblocks = cdb[4] ? cdb[4] : 256;	/* SBC-3 5.10: zero means 256 */
		break;
	case 10:
		c->lba = get_be32(&cdb[2]);
		c->nblocks = get_be16(&cdb[at]);
		break;
	case 12:
		c->lba = get_be32(&cdb[2]);
		c->nblocks = get_be32(&cdb[at]);
		break;
	default:
		assert(c->op->len == 16);
		c->lba = get_be64(&cdb[2]);
		if (cdb[0] == OPCODE_COMPARE_AND_WRITE)
			c->nblocks = cdb[at];
		else if (cdb[0] == OPCODE_WRITE_ATOMIC_16)
			c->nblocks = get_be16(&cdb[at]);
		else if (cdb[0] == OPCODE_GET_LBA_STATUS)
			c->nblocks = 1;		/* the LBA must exist; there is no length */
		else
			c->nblocks = get_be32(&cdb[at]);
	}
	if (medium_inside(v, c->lba, c->nblocks))
		return true;
	medium_outside(c, v, c->lba);
	return false;
}

uint32_t medium_edtl(const struct scsi_cmd *c, enum op_dir dir)
{
	return (dir == OP_DIR_IN ? c->dir_in : c->dir_out) ? c->edtl : 0;
}

bool medium_take(struct scsi_cmd *c, const struct lu_value *v, uint64_t want)
{
	uint32_t edtl = medium_edtl(c, OP_DIR_OUT);

	c->want = want;
	/*
	 * Half a block cannot be written, and data in the wrong direction would leave the residual
	 * count saying that all was. FCP-4 9.4.2 b) for a length that cuts: no data is transferred,
	 * INVALID FIELD IN COMMAND INFORMATION UNIT.
	 */
	if (want && ((edtl < want && edtl % v->block_size) || (!c->dir_out && c->edtl))) {
		scsi_fail(c, sense_of(SENSE_INVALID_FIELD_CIU));
		return false;
	}
	c->need_out = (uint32_t)(edtl < want ? edtl : want);
	return true;
}

bool medium_take_exact(struct scsi_cmd *c, uint64_t want)
{
	c->want = want;
	if (medium_edtl(c, OP_DIR_OUT) != want) {
		scsi_fail(c, sense_of(SENSE_INVALID_FIELD_CIU));
		return false;
	}
	c->need_out = (uint32_t)want;
	return true;
}

enum scsi_next medium_io(struct scsi_cmd *c, const struct lu_value *v, enum io_op op,
			 enum scsi_area area, uint64_t area_off, uint64_t total, uint64_t unit)
{
	uint64_t off = c->lba * v->block_size + c->pos, left = total - c->pos;
	uint64_t len = left < unit ? left : unit;

	assert(c->pos < total && (area == AREA_NONE || area_off <= UINT32_MAX - len));
	/* The LU may have shrunk since ARRIVED. */
	if (off > v->caps.size || len > v->caps.size - off)
		return medium_outside(c, v, off / v->block_size);
	c->io = (struct scsi_io){
		.op = op, .off = off, .len = len, .area = area, .area_off = (uint32_t)area_off,
	};
	return SCSI_IO;
}

bool medium_io_failed(struct scsi_cmd *c)
{
	assert(c->io.result <= 0);
	if (c->io.result == 0) {
		if (c->io.op != IO_FLUSH)
			c->pos += c->io.len;
		return false;
	}
	if (c->io.op == IO_FLUSH)
		c->flush_failed = true;
	scsi_fail(c, sense_from_errno(c->io.op, c->io.result));
	return true;
}

bool medium_must_flush(const struct scsi_cmd *c, const struct lu_value *v)
{
	return (c->fua || !v->modes.wce) && !v->caps.durable;
}

enum scsi_next medium_flush(struct scsi_cmd *c)
{
	c->io = (struct scsi_io){ .op = IO_FLUSH };
	return SCSI_IO;
}

enum scsi_next medium_sync(struct scsi_cmd *c, const struct lu_value *v)
{
	return v->failed ? scsi_fail(c, sense_of(SENSE_WRITE_ERROR)) : medium_flush(c);
}

enum scsi_next medium_finish(struct scsi_cmd *c, const struct lu_value *v, uint8_t flushing)
{
	if (!medium_must_flush(c, v))
		return scsi_good(c);
	c->phase = flushing;
	return medium_flush(c);
}

uint64_t medium_differ(const uint8_t *a, const uint8_t *b, uint64_t len)
{
	uint64_t i = 0;

	if (!memcmp(a, b, len))
		return len;
	while (a[i] == b[i])
		i++;
	return i;
}

/*
 * SYNCHRONIZE CACHE (SBC-3 5.20). All of the cache is synchronized, whatever the range: a store has
 * no smaller flush worth having. With IMMED status may be given early; it need not be, and an error
 * then needs no deferred sense.
 */
enum scsi_next plan_sync_cache(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	if (ev == SCSI_EV_IO)
		return medium_io_failed(c) ? SCSI_COMPLETE : scsi_good(c);
	return v->caps.durable && !v->failed ? scsi_good(c) : medium_sync(c, v);
}

/*
 * PRE-FETCH (SBC-3 5.8). CONDITION MET promises that all the blocks are in the cache and GOOD that
 * some may not be. The cache is the store's own and drops what it likes, so the promise is never
 * made. The store takes it as a hint, of which a failure is no news: a READ will tell.
 */
enum scsi_next plan_prefetch(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint64_t total;

	if (ev == SCSI_EV_IO)
		return scsi_good(c);
	total = c->nblocks ? c->nblocks : lu_blocks(v) - c->lba;	/* zero: to the end */
	total *= v->block_size;
	if (!total)
		return scsi_good(c);
	return medium_io(c, v, IO_PREFETCH, AREA_NONE, 0, total, PREFETCH_MAX);
}

/* Checks a REASSIGN BLOCKS parameter list (SBC-3 5.19.2) and completes the command. */
static enum scsi_next reassign_check(struct scsi_cmd *c, const struct lu_value *v)
{
	struct rcur r = rcur_of(c->out, c->need_out);
	bool longlba = c->cdb[1] & 0x02, longlist = c->cdb[1] & 0x01;
	uint32_t size = longlba ? 8 : 4, len, at = 4;
	uint16_t reserved;

	if (longlist) {
		len = rcur_be32(&r);
	} else {
		reserved = rcur_be16(&r);
		len = rcur_be16(&r);
		if (reserved)
			return scsi_fail(c, sense_field(SENSE_INVALID_FIELD_PARAM, false, 0, -1));
	}
	if (r.bad || len % size || len > r.left)
		return scsi_fail(c, sense_of(SENSE_PARAM_LIST_LENGTH));
	c->want = 4 + (uint64_t)len;
	for (; len; len -= size, at += size) {
		uint64_t lba = longlba ? rcur_be64(&r) : rcur_be32(&r);

		if (lba >= lu_blocks(v))
			return medium_outside(c, v, lba);
	}
	return scsi_good(c);
}

/*
 * REASSIGN BLOCKS (SBC-3 5.19): accepted, and nothing is moved, since replacing bad blocks is the
 * business of the store's own devices. The CDB has no length: EDTL says how much there is.
 */
enum scsi_next plan_reassign(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint32_t edtl = medium_edtl(c, OP_DIR_OUT);

	if (ev == SCSI_EV_READY)
		return reassign_check(c, v);
	if (edtl < 4)
		return scsi_fail(c, sense_of(SENSE_PARAM_LIST_LENGTH));
	c->need_out = edtl < SCSI_PARAM_MAX ? edtl : SCSI_PARAM_MAX;
	c->want = c->need_out;
	return SCSI_GATHER;
}
