/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a LU's value: a function from the old value and a request to the next value and its
 * effects. The shell runs it at the LU's home, one change at a time, persists what must be durable,
 * publishes, drains, and only then answers.
 */
#ifndef SCSI_CHANGE_H
#define SCSI_CHANGE_H

#include "scsi/lu.h"
#include "scsi/sense.h"

enum lu_change_kind {
	LU_CHANGE_CMD,	 /* MODE SELECT(6/10), RESERVE/RELEASE(6/10), PERSISTENT RESERVE OUT */
	LU_CHANGE_RESET, /* LOGICAL UNIT RESET */
	LU_CHANGE_TARGET_RESET, /* TARGET WARM / COLD RESET, for this LU */
	LU_CHANGE_NEXUS_LOST,	/* the nexus's session ended: RESERVE(6) goes (SPC-2 5.5.1) */
	LU_CHANGE_FAILED,	/* a flush failed */
	LU_CHANGE_REPAIRED,	/* the administrator cleared that */
	LU_CHANGE_CAPS, /* the store's capabilities or readiness changed (rq->caps, not_ready,
			   damaged) */
	LU_CHANGE_LUNS, /* the target's LUN inventory changed */
	LU_CHANGE_PR_CLEAR, /* the administrator clears all registrations and the reservation */
	LU_CHANGE_PR_IMPORT, /* ... puts rq->pr in their place */
	LU_CHANGE_PR_PRUNE, /* ... removes those that are in rq->pr */
};

/* Plain data: it crosses reactors, later gateways. */
struct lu_request {
	enum lu_change_kind kind;
	uint64_t seq; /* event sequence to stamp on LU-wide events; unique, growing, never 0 */
	bool has_nexus;
	struct nexus nexus;		/* who asks */
	uint8_t cdb[SCSI_CDB_MAX];
	uint8_t cdb_len;
	uint32_t param_len;
	const uint8_t *param;		/* parameter list; belongs to the request */
	struct io_caps caps;
	bool not_ready, damaged;
	/*
	 * LU_CHANGE_CAPS: the durable part as it is now (not copied); NULL: as it was.
	 * LU_CHANGE_PR_IMPORT, _PRUNE: belongs to the request, as param does.
	 */
	const struct pr_state *pr;
	bool failed;			/* with pr: a flush failed, and nobody repaired it */
	uint64_t stored;		/* with pr: its version */
	bool has_saved;			/* with pr: saved holds, else the defaults do */
	struct lu_modes saved;
	uint32_t uid;			/* LU_CHANGE_PR_*: the administrator's */
	bool pr_holders;		/* LU_CHANGE_PR_PRUNE: holders, too */
};

/* A unit attention for one nexus. */
struct ua_order {
	struct nexus to;
	enum ua ua;
};

/* What a change does besides the next value. The shell provides the arrays. */
struct lu_fx {
	uint8_t status;			/* enum scsi_status: the answer, given last of all */
	struct sense sense;
	bool changed;			/* next differs from old: publish */
	bool persist;			/* the durable part differs: store before publishing */
	bool refusable;			/* what cannot be stored does not happen; else it does */
	bool event;			/* one of next->events is new: everyone is told */
	bool flush;			/* WCE went off: the cache is flushed before the answer */
	bool abort_all; /* every command of every nexus on this LU is aborted and drained */
	uint32_t nabort;
	struct nexus *abort; /* PREEMPT AND ABORT: commands of these are aborted and drained */
	uint32_t nua;
	struct ua_order *ua;
	uint32_t cap; /* room in abort[] and ua[], at least PR_REGISTRANTS_MAX + 1 each */
	struct pr_state
		*pr_buf; /* where a new PR value is made; next->pr points here if it changed */
	uint32_t pr_cap;		/* bytes there, at least pr_state_max() */
};

/* Whether a change does something to commands or nexuses, besides the next value. */
static inline bool lu_fx_reach(const struct lu_fx *fx)
{
	return fx->abort_all || fx->nabort || fx->nua || fx->event || fx->flush;
}

/*
 * Evaluates rq against old. *next starts as a copy of old; on return it is the next value
 * (fx->changed) or unspecified. next->epoch is left to the shell. Pure.
 */
void lu_change(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
	       struct lu_fx *fx);

#endif
