/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mode parameters (SPC-4 7.5, SBC-3 6.5): MODE SENSE is a plan, MODE SELECT a change of the LU's
 * value.
 */
#ifndef SCSI_MODE_H
#define SCSI_MODE_H

#include "scsi/change.h"

/*
 * MODE SELECT(6/10) at the LU's home. rq->cdb is the command's, rq->param its parameter list
 * (rq->param_len bytes). *next starts as a copy of old; modes, saved and the event are changed in
 * it. fx->status, sense, changed, persist and flush are set; fx's arrays are not used. Pure;
 * SPC-4 6.11, 6.12.
 */
void mode_select(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
		 struct lu_fx *fx);

/*
 * Whether the LU may have a volatile write cache at all: not for a witness, and not where each
 * write is durable anyway. Where it may not, WCE reads 0 and cannot be changed.
 */
bool mode_wce_possible(const struct lu_value *v);

/* Clears WCE in all mode values where it is not possible. For whoever makes a LU's first value. */
void mode_limit(struct lu_value *v);

#endif
