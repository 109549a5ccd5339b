/* SPDX-License-Identifier: Apache-2.0 */
/* Gates: what a nexus may do, and what it has yet to be told, from a LU's value. */
#include "scsi/gate.h"

#include <assert.h>

#include "pr/pr.h"
#include "scsi/lu.h"

#define PRC_BIT(class) (1u << (class))

enum { PRC_ALL = (1u << PRC_COUNT) - 1 };

_Static_assert(UA_COUNT <= 32 && PRC_COUNT <= 32, "gate masks are 32 bits");

/*
 * SPC-2 5.5.1 and table 9: while a RESERVE(6/10) is held, everybody else is refused all but what
 * never conflicts. PERSISTENT RESERVE IN and OUT are refused even to the holder, so that the two
 * kinds of reservation never mix.
 */
static uint32_t reserve6_access(const struct lu_value *v, const struct nexus *who)
{
	if (!v->reserved6)
		return PRC_ALL;
	if (!nexus_eq(&v->reserved6_by, who))
		return PRC_BIT(PRC_FREE);
	return PRC_ALL & ~(PRC_BIT(PRC_PR_IN) | PRC_BIT(PRC_PR_OUT));
}

uint32_t lu_access(const struct lu_value *v, const struct nexus *who)
{
	assert(v->pr);
	return reserve6_access(v, who) & pr_access(v->pr, who);
}

void gate_derive(struct gate *g, const struct lu_value *v, const struct nexus *who)
{
	uint64_t newest = 0;

	for (unsigned ua = 0; ua < UA_COUNT; ua++) {
		const struct lu_event *e = &v->events[ua];

		if (e->seq > newest)
			newest = e->seq;
		if (e->seq <= g->seen)
			continue;
		if (!e->has_origin || !nexus_eq(&e->origin, who))
			g->ua |= 1u << ua;
	}
	/*
	 * Not the login's number any more, which may be after that of a change that is on its way:
	 * it comes into force after what this nexus saw.
	 */
	g->seen = newest;
	g->access = lu_access(v, who);
	g->epoch = v->epoch;
}
