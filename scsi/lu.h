/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A logical unit as a value. `struct lu_value` is immutable once published: home makes the next
 * one, every reactor reads the last one it was given. All that can change about a LU at run time is
 * in it.
 */
#ifndef SCSI_LU_H
#define SCSI_LU_H

#include <stdbool.h>
#include <stdint.h>

#include "scsi/gate.h"
#include "scsi/io.h"
#include "scsi/limits.h"
#include "scsi/nexus.h"

struct pr_state;

/*
 * The target a LU belongs to, as SCSI sees it (REPORT LUNS, VPD 83h, REPORT TARGET PORT GROUPS).
 * Immutable.
 */
struct scsi_target {
	const char *name;	/* iSCSI name */
	const uint16_t *tpgts;	/* its target ports: portal group tags, ascending; each is also the
				   relative port id */
	unsigned ntpgts;
	const uint16_t *luns;	/* LUN numbers, ascending */
	unsigned nluns;
};

/*
 * Who a LU is. Immutable while the LU is configured; derived from its name or uuid, never from
 * paths.
 */
struct lu_ident {
	uint16_t lun;
	bool witness;
	bool reserve6;			/* RESERVE/RELEASE(6/10) supported (off for a witness) */
	char name[LU_NAME_MAX + 1];	/* configured name, unique within the daemon */
	char serial[LU_SERIAL_MAX + 1];	/* VPD 80h */
	uint8_t naa[LU_NAA_LEN];	/* VPD 83h: lu_naa_len() bytes */
	uint8_t uuid[16];		/* what the two above derive from, unless given */
	/* Given to look like the target before this one; "" is ours. */
	char vendor[LU_VENDOR_LEN + 1];
	char product[LU_PRODUCT_LEN + 1];
	char t10_id[LU_T10_ID_MAX + 1];	/* "": the serial */
};

/* Mode parameters that can change (SPC-4 7.5, SBC-3 6.5). */
struct lu_modes {
	bool wce;	/* caching 08h: WRITE CACHE ENABLE */
	bool d_sense;	/* control 0Ah: descriptor format sense */
	bool swp;	/* control 0Ah: software write protect */
	bool tas;	/* control 0Ah: TASK ABORTED status */
};

/*
 * A LU-wide event: everyone but `origin` gets the unit attention, once, if it happened after their
 * login.
 */
struct lu_event {
	uint64_t seq;		/* global event sequence; 0: never happened */
	bool has_origin;
	struct nexus origin;
};

struct lu_value {
	uint64_t epoch;			/* grows by one with each publish */
	struct io_caps caps;		/* of the store; caps.size may change (2A/09) */
	uint32_t block_size;		/* bytes: 512 or 4096 */
	uint8_t phys_exp; /* log2(physical blocks / logical block), READ CAPACITY(16) */
	bool failed; /* a flush failed: writes and flushes fail until repaired by the administrator
		      */
	bool failed_stored; /* the store knows that, too */
	bool not_ready; /* 04/01: the store is not ours yet (locked by a dying daemon) */
	bool damaged;	/* not ready and 04/03: what is stored cannot be read */
	struct lu_modes modes, saved;	/* current and saved values */
	struct lu_modes defaults;	/* as configured */
	const struct lu_ident *id;
	const struct scsi_target *target;
	uint64_t stored;		/* version of its durable part in the store */
	bool reserved6;			/* RESERVE(6/10) is held by reserved6_by */
	struct nexus reserved6_by;
	struct lu_event events[UA_COUNT];	/* LU-wide ones only */
	const struct pr_state *pr;	/* never NULL; &pr_none when nothing is registered */
};

/* Bytes of an NAA designator: format 6h (IEEE Registered Extended) has 16, the others 8. */
static inline unsigned lu_naa_len(const uint8_t *naa)
{
	return naa[0] >> 4 == 6 ? LU_NAA_LEN : LU_NAA_LEN / 2;
}

/* Number of logical blocks. */
static inline uint64_t lu_blocks(const struct lu_value *v)
{
	return v->caps.size / v->block_size;
}

/* Whether the LU is thin: LBPME in READ CAPACITY(16), VPD B2h, UNMAP supported. */
static inline bool lu_thin(const struct lu_value *v)
{
	return v->caps.discard_granularity != 0;
}

/* Read-only by configuration, by the store, or by SWP. */
static inline bool lu_write_protected(const struct lu_value *v)
{
	return v->caps.readonly || v->modes.swp;
}

/*
 * The classes (1 << enum pr_class) that `who` may use: reservations of both kinds taken together.
 * Pure.
 */
uint32_t lu_access(const struct lu_value *v, const struct nexus *who);

/*
 * Brings a gate up to a value: access, and unit attentions for LU-wide events after g->seen that
 * `who` did not cause. A new gate has seen = the event sequence at its session's login, and
 * everything else 0; from then on it is that of the value's newest event.
 */
void gate_derive(struct gate *g, const struct lu_value *v, const struct nexus *who);

#endif
