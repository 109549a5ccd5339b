/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What INQUIRY says: names used by the standard data, the VPD pages and the log page that shares
 * their units.
 */
#ifndef SCSI_INQUIRY_H
#define SCSI_INQUIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "scsi/cmd.h"
#include "scsi/cursor.h"

enum {
	/*
	 * PERIPHERAL QUALIFIER and DEVICE TYPE: a direct access block device that is there, and no
	 * LU at all (SPC-4 6.6.2).
	 */
	INQUIRY_DISK = 0x00,
	INQUIRY_NO_LU = 0x7f,
};

/*
 * ASCII left-aligned in a field of `width` bytes, filled with blanks, cut if too long
 * (SPC-4 4.4.1).
 */
void inquiry_ascii(struct wcur *w, const char *s, unsigned width);

/* T10 VENDOR IDENTIFICATION of a LU; of none at all (v NULL) ours. */
const char *inquiry_vendor(const struct lu_value *v);

/* Whether there is a VPD page `page`; without a LU (v NULL) only 00h is. */
bool vpd_supported(const struct lu_value *v, uint8_t page);

/* Writes VPD page c->cdb[2], or nothing when it is not supported. SPC-4 7.8, SBC-3 6.6. */
void vpd_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w);

/*
 * THRESHOLD EXPONENT of VPD B2h: a resource count in log page 0Ch has units of 2^this blocks
 * (SBC-3 6.6.5). For thin LUs.
 */
uint8_t vpd_threshold_exponent(const struct lu_value *v);

#endif
