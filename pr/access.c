/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access matrix (SPC-4 5.13.1, tables 65 and 66; SBC-3 table 13): which classes of commands
 * pass, by type and by what the nexus is to the reservation. The class of a command is in its row
 * of the command table.
 */
#include "pr/state.h"

#define C(class) (1u << (class))

enum pr_role { ROLE_NONE, ROLE_REGISTERED, ROLE_HOLDER, ROLE_COUNT };

enum {
	/* Allowed in every column of table 65, and what pr_out() itself judges by table 66. */
	ALWAYS = C(PRC_FREE) | C(PRC_INFO) | C(PRC_PR_IN) | C(PRC_PR_OUT),
	READS = ALWAYS | C(PRC_READ),
	READS_WRITES = READS | C(PRC_WRITE),
	/* The CRH rules let RESERVE and RELEASE of these do nothing with GOOD (SPC-4 5.13.3). */
	EVERYTHING = READS_WRITES | C(PRC_RESERVE),
};

static const uint32_t matrix[PR_EXCLUSIVE_ACCESS_AR + 1][ROLE_COUNT] = {
	/*			     unregistered	registered	holder */
	/*
	 * No reservation. Registrations alone restrict nothing but RESERVE and RELEASE (SPC-2
	 * 5.5.1: they conflict while any initiator is registered); with none at all EVERYTHING
	 * passes, see below.
	 */
	[PR_NONE]		= { READS_WRITES,	READS_WRITES,	READS_WRITES },
	[PR_WRITE_EXCLUSIVE]	= { READS,		READS,		EVERYTHING },
	[PR_EXCLUSIVE_ACCESS]	= { ALWAYS,		ALWAYS,		EVERYTHING },
	[PR_WRITE_EXCLUSIVE_RO]	= { READS,		EVERYTHING,	EVERYTHING },
	[PR_EXCLUSIVE_ACCESS_RO] = { ALWAYS,		EVERYTHING,	EVERYTHING },
	[PR_WRITE_EXCLUSIVE_AR]	= { READS,		EVERYTHING,	EVERYTHING },
	[PR_EXCLUSIVE_ACCESS_AR] = { ALWAYS,		EVERYTHING,	EVERYTHING },
};

uint32_t pr_access(const struct pr_state *s, const struct nexus *who)
{
	enum pr_role role = ROLE_NONE;
	int i;

	if (!s->nregs)
		return EVERYTHING;
	i = pr_find(s, who);
	if (i >= 0)
		role = pr_is_holder(s, (unsigned)i) ? ROLE_HOLDER : ROLE_REGISTERED;
	return matrix[s->type][role];
}
