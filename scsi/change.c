/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a LU's value: one function per kind, and one per command that is a change. */
#include "scsi/change.h"

#include <assert.h>
#include <string.h>

#include "pr/pr.h"
#include "scsi/mode.h"
#include "scsi/table.h"

typedef void change_fn(const struct lu_value *old, const struct lu_request *rq,
		       struct lu_value *next, struct lu_fx *fx);

/* An event for every nexus on the LU but `origin` (NULL: for every nexus). */
static void event_set(struct lu_value *next, struct lu_fx *fx, enum ua ua, uint64_t seq,
		      const struct nexus *origin)
{
	assert(seq);
	fx->event = true;
	next->events[ua] = (struct lu_event){ .seq = seq, .has_origin = origin != NULL };
	if (origin)
		next->events[ua].origin = *origin;
}

static void change_mode_select(const struct lu_value *old, const struct lu_request *rq,
			       struct lu_value *next, struct lu_fx *fx)
{
	mode_select(old, rq, next, fx);
	/*
	 * Only who did not ask is told (SPC-4 6.11). Values that were only saved change nothing for
	 * anyone yet.
	 */
	if (memcmp(&old->modes, &next->modes, sizeof(old->modes)))
		event_set(next, fx, UA_MODE_CHANGED, rq->seq, &rq->nexus);
}

static void change_pr_out(const struct lu_value *old, const struct lu_request *rq,
			  struct lu_value *next, struct lu_fx *fx)
{
	next->pr = pr_out(old->pr, old->target, rq, fx);
}

static const struct {
	uint8_t opcode;
	change_fn *fn;
} change_cmds[] = {
	{ 0x15, change_mode_select },	/* MODE SELECT(6) */
	{ 0x16, pr_reserve6 },		/* RESERVE(6) */
	{ 0x17, pr_release6 },		/* RELEASE(6) */
	{ 0x55, change_mode_select },	/* MODE SELECT(10) */
	{ 0x56, pr_reserve6 },		/* RESERVE(10) */
	{ 0x57, pr_release6 },		/* RELEASE(10) */
	{ 0x5f, change_pr_out },	/* PERSISTENT RESERVE OUT */
};

static change_fn *change_cmd_find(uint8_t opcode)
{
	for (unsigned i = 0; i < sizeof(change_cmds) / sizeof(change_cmds[0]); i++)
		if (change_cmds[i].opcode == opcode)
			return change_cmds[i].fn;
	return NULL;
}

/*
 * A command waited in the LU's queue, and what stood before it may have closed the LU to its nexus:
 * the reservation is checked once more, against the value the command is evaluated on.
 */
static void change_cmd(const struct lu_value *old, const struct lu_request *rq,
		       struct lu_value *next, struct lu_fx *fx)
{
	change_fn *fn = change_cmd_find(rq->cdb[0]);
	bool bad_sa = false;
	const struct scsi_op *op = scsi_op_find(rq->cdb, old, &bad_sa);

	assert(rq->has_nexus && fn);
	if (!op) {
		/* The LU's capabilities changed since the command was accepted. */
		fx->status = SAM_CHECK_CONDITION;
		fx->sense = sense_of(bad_sa ? SENSE_INVALID_FIELD_CDB : SENSE_INVALID_OPCODE);
		return;
	}
	if (!(lu_access(old, &rq->nexus) & 1u << op->pr)) {
		fx->status = SAM_RESERVATION_CONFLICT;
		return;
	}
	fn(old, rq, next, fx);
}

/*
 * SAM-5 6.3.3: a reset of the LU aborts everything, releases RESERVE(6/10), puts the saved mode
 * values in force and leaves persistent reservations alone (SPC-4 5.13.1). Everyone is told, also
 * who asked: SAM has no exception for it.
 */
static void reset_with(struct lu_value *next, struct lu_fx *fx, enum ua ua, uint64_t seq)
{
	next->reserved6 = false;
	memset(&next->reserved6_by, 0, sizeof(next->reserved6_by));
	next->modes = next->saved;
	event_set(next, fx, ua, seq, NULL);
	fx->abort_all = true;
	fx->changed = true;
}

static void change_reset(const struct lu_value *old, const struct lu_request *rq,
			 struct lu_value *next, struct lu_fx *fx)
{
	reset_with(next, fx, UA_LU_RESET, rq->seq);
	fx->flush = old->modes.wce && !next->modes.wce;
}

static void change_target_reset(const struct lu_value *old, const struct lu_request *rq,
				struct lu_value *next, struct lu_fx *fx)
{
	reset_with(next, fx, UA_BUS_RESET, rq->seq);
	fx->flush = old->modes.wce && !next->modes.wce;
}

static void change_nexus_lost(const struct lu_value *old, const struct lu_request *rq,
			      struct lu_value *next, struct lu_fx *fx)
{
	assert(rq->has_nexus);
	if (!old->reserved6 || !nexus_eq(&old->reserved6_by, &rq->nexus))
		return;
	next->reserved6 = false;
	memset(&next->reserved6_by, 0, sizeof(next->reserved6_by));
	fx->changed = true;
	fx->refusable = false;
}

static void change_failed(const struct lu_value *old, const struct lu_request *rq,
			  struct lu_value *next, struct lu_fx *fx)
{
	next->failed = true;
	next->failed_stored = true;
	fx->changed = fx->persist = !old->failed || !old->failed_stored;
	fx->refusable = false;		/* it is so, stored or not */
}

static void change_repaired(const struct lu_value *old, const struct lu_request *rq,
			    struct lu_value *next, struct lu_fx *fx)
{
	next->failed = next->failed_stored = false;
	fx->changed = fx->persist = old->failed;
}

static bool caps_eq(const struct io_caps *a, const struct io_caps *b)
{
	return a->size == b->size && a->discard_granularity == b->discard_granularity &&
	       a->atomic_max == b->atomic_max && a->align == b->align && a->extents == b->extents &&
	       a->readonly == b->readonly && a->rotational == b->rotational &&
	       a->durable == b->durable;
}

static void change_caps(const struct lu_value *old, const struct lu_request *rq,
			struct lu_value *next, struct lu_fx *fx)
{
	fx->refusable = false;
	next->caps = rq->caps;
	next->not_ready = rq->not_ready;
	next->damaged = rq->damaged;
	if (rq->pr) {
		next->pr = rq->pr;
		next->failed = next->failed_stored = rq->failed;
		next->stored = rq->stored;
		next->modes = next->saved = rq->has_saved ? rq->saved : old->defaults;
	}
	mode_limit(next);
	/*
	 * SBC-3 4.10: CAPACITY DATA HAS CHANGED, also for what only READ CAPACITY(16) tells (thin
	 * or not).
	 */
	if (old->caps.size != next->caps.size || lu_thin(old) != lu_thin(next))
		event_set(next, fx, UA_CAPACITY_CHANGED, rq->seq, NULL);
	fx->changed = !caps_eq(&old->caps, &next->caps) || old->not_ready != next->not_ready ||
		      old->damaged != next->damaged || rq->pr;
}

/* SPC-4 6.33: REPORTED LUNS DATA HAS CHANGED. */
static void change_luns(const struct lu_value *old, const struct lu_request *rq,
			struct lu_value *next, struct lu_fx *fx)
{
	event_set(next, fx, UA_LUNS_CHANGED, rq->seq, NULL);
	fx->changed = true;
}

static void change_pr_admin(const struct lu_value *old, const struct lu_request *rq,
			    struct lu_value *next, struct lu_fx *fx)
{
	if (old->not_ready)
		fx->status = SAM_BUSY;	/* what is stored is another's yet */
	else if (rq->kind == LU_CHANGE_PR_IMPORT && old->reserved6)
		fx->status = SAM_RESERVATION_CONFLICT;	/* never both (SPC-2 5.5.1) */
	else if (rq->kind == LU_CHANGE_PR_CLEAR)
		next->pr = pr_admin_clear(old->pr, fx);
	else if (rq->kind == LU_CHANGE_PR_IMPORT)
		next->pr = pr_admin_import(old->pr, rq->pr, fx);
	else
		next->pr = pr_admin_prune(old->pr, rq->pr, rq->pr_holders, fx);
}

static change_fn *const change_kinds[] = {
	[LU_CHANGE_CMD]			= change_cmd,
	[LU_CHANGE_RESET]		= change_reset,
	[LU_CHANGE_TARGET_RESET]	= change_target_reset,
	[LU_CHANGE_NEXUS_LOST]		= change_nexus_lost,
	[LU_CHANGE_FAILED]		= change_failed,
	[LU_CHANGE_REPAIRED]		= change_repaired,
	[LU_CHANGE_CAPS]		= change_caps,
	[LU_CHANGE_LUNS]		= change_luns,
	[LU_CHANGE_PR_CLEAR]		= change_pr_admin,
	[LU_CHANGE_PR_IMPORT]		= change_pr_admin,
	[LU_CHANGE_PR_PRUNE]		= change_pr_admin,
};

void lu_change(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
	       struct lu_fx *fx)
{
	assert(old != next);
	assert((unsigned)rq->kind < sizeof(change_kinds) / sizeof(change_kinds[0]));
	*next = *old;
	fx->status = SAM_GOOD;
	fx->sense = sense_of(SENSE_NONE);
	fx->changed = fx->persist = fx->abort_all = fx->flush = fx->event = false;
	fx->refusable = true;
	fx->nabort = fx->nua = 0;
	change_kinds[rq->kind](old, rq, next, fx);
}
