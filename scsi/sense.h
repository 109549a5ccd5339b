/* SPDX-License-Identifier: Apache-2.0 */
/* Sense data (SPC-4 4.5): a value inside, fixed or descriptor format at the edge. */
#ifndef SCSI_SENSE_H
#define SCSI_SENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/io.h"
#include "scsi/limits.h"

enum scsi_status {		/* SAM-5 5.3.1 */
	SAM_GOOD = 0x00,
	SAM_CHECK_CONDITION = 0x02,
	SAM_CONDITION_MET = 0x04,
	SAM_BUSY = 0x08,
	SAM_RESERVATION_CONFLICT = 0x18,
	SAM_TASK_SET_FULL = 0x28,
	SAM_ACA_ACTIVE = 0x30,
	SAM_TASK_ABORTED = 0x40,
};

enum sense_key {		/* SPC-4 table 48 */
	SK_NO_SENSE = 0x0,
	SK_RECOVERED_ERROR = 0x1,
	SK_NOT_READY = 0x2,
	SK_MEDIUM_ERROR = 0x3,
	SK_HARDWARE_ERROR = 0x4,
	SK_ILLEGAL_REQUEST = 0x5,
	SK_UNIT_ATTENTION = 0x6,
	SK_DATA_PROTECT = 0x7,
	SK_ABORTED_COMMAND = 0xb,
	SK_MISCOMPARE = 0xe,
};

struct sense {
	uint8_t key, asc, ascq;
	bool info_valid;
	bool sks_valid;		/* sense key specific bytes below hold something */
	uint8_t sks[3];		/* SPC-4 4.5.2.4; SKSV is bit 7 of sks[0] */
	uint64_t info;		/* INFORMATION: an LBA, or an offset for MISCOMPARE */
};

/*
 * key, ASC and ASCQ packed into one number, so that a condition is one name (list grows with need).
 */
#define SENSE_CODE(key, asc, ascq) ((uint32_t)(key) << 16 | (uint32_t)(asc) << 8 | (uint32_t)(ascq))
enum {
	SENSE_NONE = 0,
	SENSE_LU_NOT_READY_BECOMING = SENSE_CODE(0x2, 0x04, 0x01),
	SENSE_LU_NOT_READY_MANUAL = SENSE_CODE(0x2, 0x04, 0x03),
	SENSE_WRITE_ERROR = SENSE_CODE(0x3, 0x0c, 0x00),
	SENSE_READ_ERROR = SENSE_CODE(0x3, 0x11, 0x00),
	SENSE_INTERNAL_FAILURE = SENSE_CODE(0x4, 0x44, 0x00),
	SENSE_INVALID_FIELD_CIU =
		SENSE_CODE(0x5, 0x0e, 0x03), /* COMMAND INFORMATION UNIT: EDTL and CDB disagree */
	SENSE_PARAM_LIST_LENGTH = SENSE_CODE(0x5, 0x1a, 0x00),
	SENSE_INVALID_OPCODE = SENSE_CODE(0x5, 0x20, 0x00),
	SENSE_LBA_OUT_OF_RANGE = SENSE_CODE(0x5, 0x21, 0x00),
	SENSE_INVALID_FIELD_CDB = SENSE_CODE(0x5, 0x24, 0x00),
	SENSE_LUN_NOT_SUPPORTED = SENSE_CODE(0x5, 0x25, 0x00),
	SENSE_INVALID_FIELD_PARAM = SENSE_CODE(0x5, 0x26, 0x00),
	SENSE_INVALID_RELEASE = SENSE_CODE(0x5, 0x26, 0x04),
	SENSE_SAVING_NOT_SUPPORTED = SENSE_CODE(0x5, 0x39, 0x00),
	SENSE_INSUFF_REG_RESOURCES = SENSE_CODE(0x5, 0x55, 0x04),
	SENSE_INSUFF_RESOURCES = SENSE_CODE(0x5, 0x55, 0x03),
	SENSE_WRITE_PROTECTED = SENSE_CODE(0x7, 0x27, 0x00),
	SENSE_SPACE_ALLOC_FAILED = SENSE_CODE(0x7, 0x27, 0x07),
	SENSE_TRY_AGAIN =
		SENSE_CODE(0xb, 0x44, 0x00), /* a passing failure inside: initiators retry */
	SENSE_NEXUS_LOSS_ABORT = SENSE_CODE(0xb, 0x29, 0x07),
	SENSE_PROTOCOL_CRC = SENSE_CODE(0xb, 0x47, 0x05),
	SENSE_UNEXPECTED_UNSOLICITED = SENSE_CODE(0xb, 0x0c, 0x0c),
	SENSE_NOT_ENOUGH_UNSOLICITED = SENSE_CODE(0xb, 0x0c, 0x0d),
	SENSE_MISCOMPARE_VERIFY = SENSE_CODE(0xe, 0x1d, 0x00),
};

/* Sense with nothing but key, ASC and ASCQ. */
static inline struct sense sense_of(uint32_t code)
{
	return (struct sense){ .key = (uint8_t)(code >> 16),
			       .asc = (uint8_t)(code >> 8),
			       .ascq = (uint8_t)code };
}

/*
 * Sense with a field pointer (SPC-4 4.5.2.4.2): `byte` is the offset of the offending field in the
 * CDB (code SENSE_INVALID_FIELD_CDB ...) or in the parameter list; `bit` 0..7, or -1 when a whole
 * byte is meant.
 */
struct sense sense_field(uint32_t code, bool in_cdb, unsigned byte, int bit);

/* Sense with INFORMATION set. */
struct sense sense_info(uint32_t code, uint64_t info);

/*
 * The one table from a store's -errno to SPC terms. err < 0; op says what was tried. -ENOSPC and
 * -EDQUOT are SPACE ALLOCATION FAILED (07/27/07), never a medium error.
 */
struct sense sense_from_errno(enum io_op op, int err);

/*
 * Writes sense data into out (at least SENSE_MAX bytes), fixed (70h) or descriptor (72h) format,
 * and gives its length. In fixed format an INFORMATION over 32 bits leaves VALID 0 (SPC-4 4.5.3).
 */
size_t sense_format(const struct sense *s, bool descriptor, uint8_t *out);

#endif
