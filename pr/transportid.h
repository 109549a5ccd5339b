/* SPDX-License-Identifier: Apache-2.0 */
/* iSCSI TransportIDs (SPC-4 7.6.4.6). Pure; any thread. */
#ifndef PR_TRANSPORTID_H
#define PR_TRANSPORTID_H

#include <stdbool.h>
#include <stddef.h>

#include "scsi/cursor.h"
#include "scsi/nexus.h"

enum {
	TRANSPORTID_MIN = 24, /* SPC-4 7.6.4.1: at least this, and a multiple of 4 (bytes) */
};

/*
 * An initiator port (format 01b), or all initiator ports of an initiator device (format 00b,
 * has_isid false). The nexus's tpgt is 0: a TransportID says nothing about target ports.
 */
struct transportid {
	bool has_isid;
	struct nexus iport;		/* name in lower case */
};

/*
 * Takes one TransportID off the cursor. False when it is cut short, of another protocol, or not
 * well-formed; the cursor is then of no further use.
 */
bool transportid_get(struct rcur *c, struct transportid *out);

/*
 * Writes a format 01b TransportID: null-terminated, null-padded, at least 24 bytes and a multiple
 * of 4.
 */
void transportid_put(struct wcur *out, const char *initiator, const uint8_t isid[6]);

/* Writes a format 00b TransportID. */
void transportid_put_device(struct wcur *out, const char *initiator);

#endif
