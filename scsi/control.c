/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small control commands: TEST UNIT READY, REQUEST SENSE, START STOP UNIT, PREVENT ALLOW MEDIUM
 * REMOVAL, PERSISTENT RESERVE IN.
 */
#include "pr/pr.h"
#include "scsi/plans.h"

enum {
	REQUEST_SENSE_DESC = 0x01,
	START_STOP_START = 0x01,
	START_STOP_NO_FLUSH = 0x04,
	PREVENT_MASK = 0x03,
};

/* SPC-4 6.47. Not ready, unit attentions and reservations were all seen to by the step. */
enum scsi_next plan_test_unit_ready(struct scsi_cmd *c, const struct lu_value *v,
				    enum scsi_event ev)
{
	return scsi_good(c);
}

/*
 * SPC-4 6.39: sense data as parameter data, with status GOOD. What it reports, first match: no such
 * LU; the unit attention that waited, which the step took out of the gate and left in c->sense on
 * ARRIVED (so it counts as reported); not ready; nothing.
 */
static void request_sense_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	struct sense s = sense_of(SENSE_NONE);
	uint8_t buf[SENSE_MAX];

	if (!v)
		s = sense_of(SENSE_LUN_NOT_SUPPORTED);
	else if (c->sense.key == SK_UNIT_ATTENTION)
		s = c->sense;
	else if (v->not_ready)
		s = scsi_not_ready(v);
	wcur_put(w, buf, sense_format(&s, c->cdb[1] & REQUEST_SENSE_DESC, buf));
}

enum scsi_next plan_request_sense(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	return plan_answer(c, v, ev, c->cdb[4], request_sense_build);
}

/*
 * POWER CONDITION codes a block device may be asked for (SBC-3 5.20). FORCE_IDLE_0 and
 * FORCE_STANDBY_0 are errors where no timer is enabled (mode page 1Ah).
 */
static bool power_condition_known(uint8_t condition)
{
	static const uint16_t known = 1 << 0x0 |	/* START_VALID */
				      1 << 0x1 |	/* ACTIVE */
				      1 << 0x2 |	/* IDLE */
				      1 << 0x3 |	/* STANDBY */
				      1 << 0x7;		/* LU_CONTROL */

	return known >> condition & 1;
}

/*
 * Whether the request leads to a state in which the cache would be lost: stopped or standby
 * (SBC-3 5.20, NO_FLUSH).
 */
static bool start_stop_flushes(const struct scsi_cmd *c)
{
	uint8_t condition = c->cdb[4] >> 4;

	if (c->cdb[4] & START_STOP_NO_FLUSH)
		return false;
	if (condition == 0)
		return !(c->cdb[4] & START_STOP_START);
	return condition == 0x2 || condition == 0x3;
}

/*
 * START STOP UNIT (SBC-3 5.20). The disk is shared, and no node may stop it for the others: power
 * conditions are accepted and change nothing. What a node relies on when it stops a disk holds all
 * the same: the cache is on stable storage when the answer comes (also with IMMED, which merely
 * allows an earlier answer). There is nothing to load or eject, so LOEJ has no effect either.
 */
enum scsi_next plan_start_stop(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	if (ev == SCSI_EV_ARRIVED) {
		if (!power_condition_known(c->cdb[4] >> 4))
			return scsi_bad_cdb(c, 4, 7);
		if (!start_stop_flushes(c))
			return scsi_good(c);
	}
	return plan_sync_cache(c, v, ev);
}

/*
 * SBC-3 5.8 / SPC-3: the medium cannot be removed, so preventing that is always in force. PREVENT
 * 10b and 11b are obsolete.
 */
enum scsi_next plan_prevent_allow(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	if ((c->cdb[4] & PREVENT_MASK) > 1)
		return scsi_bad_cdb(c, 4, 1);
	return scsi_good(c);
}

static void pr_in_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	pr_in(v->pr, c->target, c->cdb[1] & 0x1f, w);
}

/* SPC-4 6.15: always from the last published value; never queues behind a change. */
enum scsi_next plan_pr_in(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	return plan_answer(c, v, ev, get_be16(c->cdb + 7), pr_in_build);
}
