/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An I_T nexus by value: what persistent reservations, unit attentions and RESERVE(6) are keyed by.
 * It outlives connection, session and daemon, and is plain data in messages. The target's name is
 * not in it: a logical unit belongs to exactly one target, so within a LU it is implied.
 */
#ifndef SCSI_NEXUS_H
#define SCSI_NEXUS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "scsi/limits.h"

struct nexus {
	uint16_t tpgt; /* target portal group tag = relative target port identifier */
	uint8_t isid[6];			/* RFC 7143 11.12.5 */
	char initiator[ISCSI_NAME_MAX + 1];	/* NUL terminated, NUL padded, lower case */
};

/* Same SCSI initiator port: name and ISID (RFC 7143 4.4.2). */
static inline bool nexus_same_iport(const struct nexus *a, const struct nexus *b)
{
	return !memcmp(a->isid, b->isid, sizeof(a->isid)) && !strcmp(a->initiator, b->initiator);
}

static inline bool nexus_eq(const struct nexus *a, const struct nexus *b)
{
	return a->tpgt == b->tpgt && nexus_same_iport(a, b);
}

#endif
