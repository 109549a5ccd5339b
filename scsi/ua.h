/* SPDX-License-Identifier: Apache-2.0 */
/* Unit attentions: what each one is reported as. */
#ifndef SCSI_UA_H
#define SCSI_UA_H

#include <stdint.h>

#include "scsi/gate.h"

/*
 * The SENSE_CODE (UNIT ATTENTION, ASC, ASCQ) that reports ua; ua must be < UA_COUNT. Pure, any
 * thread. (SPC-4 4.5.6)
 */
uint32_t ua_sense_code(enum ua ua);

#endif
