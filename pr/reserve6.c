/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESERVE and RELEASE, 6 and 10 bytes, as SPC-2 5.5.1, 7.21 and 7.29 have them, with the exceptions
 * of SPC-4 5.13.3 (CRH=1). Logical unit reservations only: extents and third parties are optional,
 * obsolete and refused. The reservation is the nexus's, it is never persisted, and goes with LU
 * reset, target reset and the loss of the nexus (lu_change()).
 */
#include "pr/state.h"

enum { RESERVE_REFUSED = 0x13 };	/* byte 1: 3RDPTY, LONGID (10 only), EXTENT */

enum outcome { CONFLICT, NOTHING, GO_ON };

static void answer(struct lu_fx *fx, uint8_t status)
{
	fx->status = status;
	fx->sense = sense_of(SENSE_NONE);
	fx->changed = false;
	fx->persist = false;
}

/* What persistent reservations have to say about it. */
static enum outcome judge(const struct pr_state *pr, const struct nexus *who)
{
	int i = pr_find(pr, who);

	/* SPC-4 5.13.3: GOOD without effect for holders, and for registrants under the RR types. */
	if (i >= 0 && (pr_is_holder(pr, (unsigned)i) || pr_type_registrants(pr->type)))
		return NOTHING;
	/* SPC-2 5.5.1: while any initiator is registered all others conflict. */
	return pr_any(pr) ? CONFLICT : GO_ON;
}

/* True when the command goes on as SPC-2 has it; else fx is filled. */
static bool begin(const struct lu_value *old, const struct lu_request *rq, struct lu_fx *fx)
{
	uint8_t bad = rq->cdb[1] & RESERVE_REFUSED;

	answer(fx, SAM_GOOD);
	if (bad) {
		fx->status = SAM_CHECK_CONDITION;
		/* The highest of the bits at fault */
		fx->sense = sense_field(SENSE_INVALID_FIELD_CDB, true, 1,
					31 - __builtin_clz((unsigned)bad));
		return false;
	}
	switch (judge(old->pr, &rq->nexus)) {
	case CONFLICT:
		fx->status = SAM_RESERVATION_CONFLICT;
		return false;
	case NOTHING:
		return false;
	default:
		return true;
	}
}

void pr_reserve6(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
		 struct lu_fx *fx)
{
	if (!begin(old, rq, fx))
		return;
	if (old->reserved6) {
		if (!nexus_eq(&old->reserved6_by, &rq->nexus))
			fx->status = SAM_RESERVATION_CONFLICT;
		return;
	}
	next->reserved6 = true;
	next->reserved6_by = rq->nexus;
	fx->changed = true;
}

void pr_release6(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
		 struct lu_fx *fx)
{
	/* SPC-2 7.21.1: it is not an error to release what one does not hold. */
	if (!begin(old, rq, fx) || !old->reserved6 || !nexus_eq(&old->reserved6_by, &rq->nexus))
		return;
	next->reserved6 = false;
	memset(&next->reserved6_by, 0, sizeof(next->reserved6_by));
	fx->changed = true;
}
