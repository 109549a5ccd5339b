/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator does to the reservations of a LU: like an action of PERSISTENT RESERVE OUT,
 * but by no I_T nexus. */
#include <assert.h>

#include "pr/state.h"

const struct pr_state *pr_admin_clear(const struct pr_state *old, struct lu_fx *fx)
{
	if (!old->nregs && old->type == PR_NONE)
		return old;
	assert(fx->pr_buf != old && fx->pr_cap >= old->size && fx->cap >= old->nregs);
	for (unsigned i = 0; i < old->nregs; i++) {
		struct ua_order *order = &fx->ua[fx->nua++];

		pr_nexus(old, i, &order->to);
		order->ua = UA_RESERVATIONS_PREEMPTED;
	}
	pr_copy(fx->pr_buf, old);
	pr_clear(fx->pr_buf);
	fx->pr_buf->generation++; /* wraps (6.15.2) */
	fx->changed = fx->persist = true;
	return fx->pr_buf;
}
