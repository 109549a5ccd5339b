/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent reservations (SPC-4 5.13) as a value: pr_out(old, request) -> new, status, effects.
 * Flat, variable length, without pointers, so it can be persisted, sent and compared as bytes.
 */
#ifndef PR_PR_H
#define PR_PR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/change.h"
#include "scsi/cursor.h"
#include "scsi/gate.h"
#include "scsi/nexus.h"
#include "scsi/sense.h"

enum pr_type {			/* SPC-4 table 64 */
	PR_NONE = 0,
	PR_WRITE_EXCLUSIVE = 1,
	PR_EXCLUSIVE_ACCESS = 3,
	PR_WRITE_EXCLUSIVE_RO = 5,
	PR_EXCLUSIVE_ACCESS_RO = 6,
	PR_WRITE_EXCLUSIVE_AR = 7,
	PR_EXCLUSIVE_ACCESS_AR = 8,
};

extern const struct pr_state *const pr_none;	/* nothing registered, generation 0 */

size_t pr_state_size(const struct pr_state *s);	/* bytes of this value */
size_t pr_state_max(void); /* bytes of the largest value (PR_REGISTRANTS_MAX, longest names) */

/*
 * Classes (1 << enum pr_class) `who` may use under s, as far as PR goes (RESERVE(6) is lu_access's
 * business). Pure.
 */
uint32_t pr_access(const struct pr_state *s, const struct nexus *who);

/* Whether any I_T nexus is registered / this one is. */
bool pr_any(const struct pr_state *s);
bool pr_registered(const struct pr_state *s, const struct nexus *who);

/*
 * PERSISTENT RESERVE OUT. rq->cdb and rq->param are the command's; target gives the portal group
 * tags for ALL_TG_PT and SPEC_I_PT. fx is as in lu_change(): status, sense, changed, persist,
 * abort[], ua[], and the new value in fx->pr_buf when fx->changed. Gives the new value or old.
 */
const struct pr_state *pr_out(const struct pr_state *old, const struct scsi_target *target,
			      const struct lu_request *rq, struct lu_fx *fx);

/*
 * CLEAR (SPC-4 5.13.11.2.7) by the administrator: all registrations and the reservation go, every
 * registered nexus is told. fx as in lu_change(), initialised. Gives the new value or old.
 */
const struct pr_state *pr_admin_clear(const struct pr_state *old, struct lu_fx *fx);

/*
 * The administrator puts `value` (canonical, see state.h) in the place of old: one change, with a
 * PRGENERATION after both. Who loses his registration, or his reservation, is told as by PREEMPT.
 * fx as above. Gives the new value, or old when that says the same.
 */
const struct pr_state *pr_admin_import(const struct pr_state *old, const struct pr_state *value,
				       struct lu_fx *fx);

/*
 * The administrator removes the registrations that are in `gone` with the same key: who came back
 * and registered anew meanwhile is left alone. Holders of the reservation stay unless `holders`;
 * with the last of them it is released. fx as above. Gives the new value or old.
 */
const struct pr_state *pr_admin_prune(const struct pr_state *old, const struct pr_state *gone,
				      bool holders, struct lu_fx *fx);

/*
 * PERSISTENT RESERVE IN: writes the answer to service action sa into out (which truncates to the
 * allocation length). False for an unknown service action.
 */
bool pr_in(const struct pr_state *s, const struct scsi_target *target, uint8_t sa,
	   struct wcur *out);

/* The longest answer pr_in() can give for s and sa, bytes. */
size_t pr_in_max(const struct pr_state *s, uint8_t sa);

/*
 * RESERVE(6/10) as SPC-2 has it, with SPC-4's CRH rules (CRH=1 in REPORT CAPABILITIES). Fills fx as
 * lu_change() does.
 */
void pr_reserve6(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
		 struct lu_fx *fx);
void pr_release6(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
		 struct lu_fx *fx);

/*
 * The persistent image: versioned, checksummed, byte order fixed. pr_image_put gives its length (0
 * if cap is too small); pr_image_get parses one into buf and gives false for anything not
 * well-formed in every respect.
 */
size_t pr_image_max(void);
size_t pr_image_put(const struct pr_state *s, uint8_t *out, size_t cap);
bool pr_image_get(const uint8_t *in, size_t len, struct pr_state *buf, size_t cap);

#endif
