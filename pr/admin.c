/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator does to the reservations of a LU: like an action of PERSISTENT RESERVE OUT,
 * but by no I_T nexus. */
#include <assert.h>

#include "pr/state.h"

static void order(struct lu_fx *fx, const struct pr_state *s, unsigned i, enum ua ua)
{
	struct ua_order *o = &fx->ua[fx->nua++];

	assert(fx->nua <= fx->cap);
	pr_nexus(s, i, &o->to);
	o->ua = ua;
}

/* The new value is a change like those that PRGENERATION counts (SPC-4 6.15.2; it wraps). */
static const struct pr_state *made(struct lu_fx *fx, uint32_t generation)
{
	fx->pr_buf->generation = generation + 1;
	fx->changed = fx->persist = true;
	return fx->pr_buf;
}

const struct pr_state *pr_admin_clear(const struct pr_state *old, struct lu_fx *fx)
{
	if (!old->nregs && old->type == PR_NONE)
		return old;
	assert(fx->pr_buf != old && fx->pr_cap >= old->size && fx->cap >= old->nregs);
	for (unsigned i = 0; i < old->nregs; i++)
		order(fx, old, i, UA_RESERVATIONS_PREEMPTED);
	pr_copy(fx->pr_buf, old);
	pr_clear(fx->pr_buf);
	return made(fx, old->generation);
}

/* Who is told what when `next` takes the place of `old`: as PREEMPT and RELEASE tell it. */
static void import_order(struct lu_fx *fx, const struct pr_state *old, unsigned i,
			 const struct pr_state *next)
{
	struct nexus n;
	int k;

	pr_nexus(old, i, &n);
	k = pr_find(next, &n);
	if (k < 0)
		order(fx, old, i, UA_REGISTRATIONS_PREEMPTED);
	else if (old->type != PR_NONE && pr_is_holder(old, i) && !pr_is_holder(next, (unsigned)k))
		order(fx, old, i, UA_RESERVATIONS_PREEMPTED);
	else if (old->type != PR_NONE && next->type != old->type &&
		 (next->type != PR_NONE || pr_type_registrants(old->type)))
		order(fx, old, i, UA_RESERVATIONS_RELEASED);
}

const struct pr_state *pr_admin_import(const struct pr_state *old, const struct pr_state *value,
				       struct lu_fx *fx)
{
	struct pr_state *next = fx->pr_buf;

	assert(next != old && next != value && fx->pr_cap >= value->size &&
	       fx->cap >= old->nregs);
	pr_copy(next, value);
	next->generation = old->generation;
	if (old->size == next->size && !memcmp(old, next, old->size))
		return old;
	for (unsigned i = 0; i < old->nregs; i++)
		import_order(fx, old, i, next);
	return made(fx, value->generation > old->generation ? value->generation : old->generation);
}

const struct pr_state *pr_admin_prune(const struct pr_state *old, const struct pr_state *gone,
				      bool holders, struct lu_fx *fx)
{
	struct pr_state *next = fx->pr_buf;
	bool any = false, released = false;

	assert(next != old && next != gone && fx->pr_cap >= old->size && fx->cap >= old->nregs);
	pr_copy(next, old);
	/* From the end, so that the records in front keep their numbers. */
	for (unsigned i = old->nregs; i-- > 0; ) {
		struct nexus n;
		int k;

		pr_nexus(old, i, &n);
		k = pr_find(gone, &n);
		if (k < 0 || gone->regs[k].key != old->regs[i].key)
			continue;
		if (old->type != PR_NONE && pr_is_holder(old, i) && !holders)
			continue;
		any = true;
		order(fx, old, i, UA_REGISTRATIONS_PREEMPTED);
		released |= pr_remove(next, i);
	}
	if (!any)
		return old;
	/* As after PERSISTENT RESERVE OUT, when the holder's registration goes (5.13.11.2.3). */
	for (unsigned i = 0; released && pr_type_registrants(old->type) && i < next->nregs; i++)
		order(fx, next, i, UA_RESERVATIONS_RELEASED);
	return made(fx, old->generation);
}
