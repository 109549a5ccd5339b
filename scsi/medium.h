/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plans of medium commands share: the span of a CDB, units of I/O, the closing flush.
 * Inside scsi/ only.
 */
#ifndef SCSI_MEDIUM_H
#define SCSI_MEDIUM_H

#include "scsi/cmd.h"
#include "scsi/table.h"

/*
 * Reads LOGICAL BLOCK ADDRESS and the length in blocks of an OP_BLOCK command's CDB into c->lba and
 * c->nblocks, and checks that they lie inside the LU (LBA equal to the capacity is inside only with
 * length zero). False: c is failed with LBA OUT OF RANGE.
 */
bool medium_span(struct scsi_cmd *c, const struct lu_value *v);

/* Where the length field of the command's CDB starts, for a field pointer. */
unsigned medium_length_byte(const struct scsi_cmd *c);

/* True when blocks [lba, lba + n) lie inside the LU; no overflow whatever the numbers. */
bool medium_inside(const struct lu_value *v, uint64_t lba, uint64_t n);

/*
 * Completes the command with LOGICAL BLOCK ADDRESS OUT OF RANGE: blocks from lba on do not lie
 * inside the LU, and INFORMATION has the first that does not (SBC-3 4.20, SBC-4 4.18.1).
 */
enum scsi_next medium_outside(struct scsi_cmd *c, const struct lu_value *v, uint64_t lba);

/*
 * Data the initiator is ready to move in the direction, bytes: EDTL when the command PDU has the
 * direction's bit.
 */
uint32_t medium_edtl(const struct scsi_cmd *c, enum op_dir dir);

/*
 * Settles data-out: want bytes are asked for by the CDB. Sets c->want and c->need_out, the whole
 * blocks that EDTL holds. False: c is failed, because a block would be cut in two, or the PDU has
 * the wrong direction.
 */
bool medium_take(struct scsi_cmd *c, const struct lu_value *v, uint64_t want);

/*
 * As medium_take(), for commands that make no sense with a part of their data: EDTL must be exactly
 * want. SAM has no rule for this; FCP-4 9.4.2 allows the refusal and it loses nobody's data.
 */
bool medium_take_exact(struct scsi_cmd *c, uint64_t want);

/*
 * Hands out the next unit of a command that works through `total` bytes from its LBA: c->pos bytes
 * are done, a unit is at most `unit` bytes. area_off is where the unit's data is in `area`.
 */
enum scsi_next medium_io(struct scsi_cmd *c, const struct lu_value *v, enum io_op op,
			 enum scsi_area area, uint64_t area_off, uint64_t total, uint64_t unit);

/*
 * After SCSI_EV_IO: true when c->io failed; c is then failed with the sense for it. Else c->pos has
 * advanced if that was a unit.
 */
bool medium_io_failed(struct scsi_cmd *c);

/*
 * Whether what was written must be made durable before the command ends: FUA, or no write cache to
 * speak of.
 */
bool medium_must_flush(const struct scsi_cmd *c, const struct lu_value *v);

/* A flush of everything. */
enum scsi_next medium_flush(struct scsi_cmd *c);

/*
 * The same for a command that needs what was written before it on the medium. When a flush has lost
 * data no later one may say that all is well: c is then failed with WRITE ERROR.
 */
enum scsi_next medium_sync(struct scsi_cmd *c, const struct lu_value *v);

/*
 * Ends a command that wrote: with medium_flush() and phase `flushing` if it must, else with GOOD.
 */
enum scsi_next medium_finish(struct scsi_cmd *c, const struct lu_value *v, uint8_t flushing);

/* Offset of the first byte in which a and b differ, or len. */
uint64_t medium_differ(const uint8_t *a, const uint8_t *b, uint64_t len);

#endif
