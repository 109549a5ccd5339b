/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: what one I_T nexus may do on one LU right now, and which unit attentions wait for it.
 * It is a small cache, derived from the LU's published value; it lives on the session's own
 * reactor.
 */
#ifndef SCSI_GATE_H
#define SCSI_GATE_H

#include <stdint.h>

/*
 * How a command meets reservations (SPC-4 table 68, SBC-3 table 13; SPC-2 table 9 for RESERVE(6)).
 * Each row of the command table has one; pr/access.c says for each type and role which classes
 * pass.
 */
enum pr_class {
	PRC_FREE, /* never conflicts: INQUIRY, REPORT LUNS, REQUEST SENSE, RELEASE ... */
	PRC_INFO, /* never conflicts with a PR, conflicts with another's RESERVE(6): TEST UNIT READY
		     ... */
	PRC_READ, /* reads the medium, or state only a reader may have */
	PRC_WRITE,   /* changes the medium or the LU's state for others */
	PRC_RESERVE, /* RESERVE/RELEASE(6/10): conflict with any PR, but for the CRH rules */
	PRC_PR_IN,   /* PERSISTENT RESERVE IN: conflicts with any RESERVE(6) */
	PRC_PR_OUT,  /* PERSISTENT RESERVE OUT: judged by pr_out() itself; conflicts with any
			RESERVE(6) */
	PRC_COUNT
};

/* Unit attentions in the order they are reported (SAM-5 5.14, lower first); a set is a bit mask. */
enum ua {
	UA_POWER_ON,			/* 29/01 */
	UA_BUS_RESET,			/* 29/02: target warm or cold reset */
	UA_LU_RESET,			/* 29/03 BUS DEVICE RESET FUNCTION OCCURRED */
	UA_NEXUS_LOSS,			/* 29/07 */
	UA_COMMANDS_CLEARED,		/* 2F/00 */
	UA_RESERVATIONS_PREEMPTED,	/* 2A/03 */
	UA_RESERVATIONS_RELEASED,	/* 2A/04 */
	UA_REGISTRATIONS_PREEMPTED,	/* 2A/05 */
	UA_MODE_CHANGED,		/* 2A/01 */
	UA_CAPACITY_CHANGED,		/* 2A/09 */
	UA_LUNS_CHANGED,		/* 3F/0E */
	UA_THIN_SOFT_THRESHOLD,		/* 38/07 */
	UA_COUNT
};

struct gate {
	uint64_t epoch;		/* of the lu_value it was derived from */
	uint64_t seen;		/* LU-wide events up to this sequence are in ua */
	uint32_t ua;		/* 1 << enum ua: waiting for this nexus */
	uint32_t access;	/* 1 << enum pr_class: passes */
};

#endif
