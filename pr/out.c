/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE OUT (SPC-4 5.13, 6.16): one function per service action. Each one judges
 * against the old value and makes the new one in fx->pr_buf, which nobody sees unless the command
 * ends GOOD; so "nothing is changed" needs no undoing.
 */
#include <assert.h>

#include "pr/state.h"
#include "pr/transportid.h"

enum {
	PARAM_BASIC = 24,	/* bytes: the basic list; the fixed part of REGISTER AND MOVE's */
	PARAM_TIDS = 28,	/* behind TRANSPORTID PARAMETER DATA LENGTH (table 215) */
	PARAM_SA_KEY = 8,
	PARAM_FLAGS = 20,	/* table 214: SPEC_I_PT, ALL_TG_PT, APTPL */
	MOVE_RTPI = 18,		/* table 217 */
	MOVE_TID_LEN = 20,

	SPEC_I_PT = 0x08, ALL_TG_PT = 0x04, APTPL = 0x01,
	MOVE_UNREG = 0x02,
};

struct pr_op {
	const struct pr_state *old;
	struct pr_state *next;		/* NULL until something changes */
	const struct scsi_target *target;
	const struct nexus *who;
	struct lu_fx *fx;
	int self;			/* who's record in old, or -1 */
	uint8_t scope, type;
	uint64_t key, sa_key;
	bool spec_i_pt, all_tg_pt, aptpl, unreg;
	uint16_t rtpi;
	struct rcur tids;		/* the TransportIDs */
	const uint8_t *tids_start;
};

struct pr_action {
	void (*fn)(struct pr_op *op);
	bool key_needed;	/* the nexus must be registered and RESERVATION KEY its key */
	bool move;		/* the parameter list is REGISTER AND MOVE's */
	bool spec_i_pt;		/* SPEC_I_PT is valid */
	bool counts;		/* increments PRGENERATION */
};

/* Answers. */

static void op_conflict(struct pr_op *op)
{
	op->fx->status = SAM_RESERVATION_CONFLICT;
	op->next = NULL;
}

static void op_fail(struct pr_op *op, struct sense sense)
{
	op->fx->status = SAM_CHECK_CONDITION;
	op->fx->sense = sense;
	op->next = NULL;
}

static void op_bad_param(struct pr_op *op, unsigned byte, int bit)
{
	op_fail(op, sense_field(SENSE_INVALID_FIELD_PARAM, false, byte, bit));
}

/* Starts the new value as a copy of the old one. */
static struct pr_state *op_begin(struct pr_op *op)
{
	assert(op->fx->pr_cap >= op->old->size);
	op->next = op->fx->pr_buf;
	pr_copy(op->next, op->old);
	return op->next;
}

/*
 * Effects. A nexus gets at most one unit attention and one abort from one command, so cap is never
 * reached.
 */

static void op_ua(struct pr_op *op, const struct pr_state *s, unsigned i, enum ua ua)
{
	struct ua_order *order = &op->fx->ua[op->fx->nua++];

	assert(op->fx->nua <= op->fx->cap);
	pr_nexus(s, i, &order->to);
	order->ua = ua;
}

/* For every registered nexus but the one that sent the command. */
static void op_ua_others(struct pr_op *op, const struct pr_state *s, enum ua ua)
{
	int self = pr_find(s, op->who);

	for (unsigned i = 0; i < s->nregs; i++)
		if ((int)i != self)
			op_ua(op, s, i, ua);
}

static void op_abort(struct pr_op *op, const struct pr_state *s, unsigned i)
{
	assert(op->fx->nabort < op->fx->cap);
	pr_nexus(s, i, &op->fx->abort[op->fx->nabort++]);
}

static bool op_holds(const struct pr_op *op)
{
	return op->old->type != PR_NONE && pr_is_holder(op->old, (unsigned)op->self);
}

/* SCOPE and TYPE of a reservation to be made (SPC-4 6.16.1, tables 205 and 206). */
static bool op_scope_type(struct pr_op *op)
{
	if (op->scope != 0) {
		op_fail(op, sense_field(SENSE_INVALID_FIELD_CDB, true, 2, 7));
		return false;
	}
	if (!pr_type_valid(op->type)) {
		op_fail(op, sense_field(SENSE_INVALID_FIELD_CDB, true, 2, 3));
		return false;
	}
	return true;
}

/* REGISTER, REGISTER AND IGNORE EXISTING KEY (SPC-4 5.13.7) */

/*
 * The k-th target port a registration is for: the one the command came through, then, with
 * ALL_TG_PT, all others.
 */
static bool op_port(const struct pr_op *op, unsigned *k, uint16_t *tpgt)
{
	if (*k == 0) {
		*tpgt = op->who->tpgt;
		*k = 1;
		return true;
	}
	if (!op->all_tg_pt)
		return false;
	while (*k <= op->target->ntpgts) {
		*tpgt = op->target->tpgts[(*k)++ - 1];
		if (*tpgt != op->who->tpgt)
			return true;
	}
	return false;
}

/* Registers an initiator port with all ports the command is for, or gives it a new key there. */
static bool register_ports(struct pr_op *op, struct nexus *nexus)
{
	uint16_t tpgt;

	for (unsigned k = 0; op_port(op, &k, &tpgt); ) {
		int i;

		nexus->tpgt = tpgt;
		i = pr_find(op->next, nexus);
		if (i >= 0) {
			op->next->regs[i].key = op->sa_key;
		} else if (!pr_add(op->next, nexus, op->sa_key)) {
			op_fail(op, sense_of(SENSE_INSUFF_REG_RESOURCES));
			return false;
		}
	}
	return true;
}

/*
 * SPEC_I_PT: the listed initiator ports too, all or none (6.16.3). Naming a registered one is an
 * error (table 67, footnote b); naming one twice, or the sender, is not. Format 00b would register
 * all initiator ports of that name that are known: whoever happens to be logged in now, which is no
 * part of this value, and not who comes back with another ISID. It "may be rejected" (7.6.4.6), and
 * is; 01b is what should not be.
 */
static bool register_listed(struct pr_op *op)
{
	while (op->tids.left) {
		unsigned at = PARAM_TIDS + (unsigned)(op->tids.p - op->tids_start);
		struct transportid tid;
		uint16_t tpgt;

		if (!transportid_get(&op->tids, &tid) || !tid.has_isid) {
			op_bad_param(op, at, -1);
			return false;
		}
		for (unsigned k = 0; op_port(op, &k, &tpgt); ) {
			tid.iport.tpgt = tpgt;
			if (pr_registered(op->old, &tid.iport)) {
				op_bad_param(op, at, -1);
				return false;
			}
		}
		if (!register_ports(op, &tid.iport))
			return false;
	}
	return true;
}

/* Unregisters the sender's initiator port from all ports the command is for (5.13.11.2.3). */
static void unregister_ports(struct pr_op *op)
{
	struct nexus nexus = *op->who;
	uint8_t type = op->old->type;
	bool released = false;
	uint16_t tpgt;

	for (unsigned k = 0; op_port(op, &k, &tpgt); ) {
		int i;

		nexus.tpgt = tpgt;
		i = pr_find(op->next, &nexus);
		if (i >= 0 && pr_remove(op->next, (unsigned)i))
			released = true;
	}
	/* When the last all registrants holder goes there is nobody left to tell. */
	if (released && pr_type_registrants_only(type))
		op_ua_others(op, op->next, UA_RESERVATIONS_RELEASED);
}

static void op_register(struct pr_op *op)
{
	struct nexus nexus = *op->who;

	op_begin(op)->aptpl = op->aptpl;
	if (!op->sa_key) {
		unregister_ports(op);
		return;
	}
	if (register_ports(op, &nexus) && op->spec_i_pt)
		register_listed(op);
}

/*
 * Table 67 for one target port: RESERVATION KEY must be the key that is registered there, 0 when
 * none is. With ALL_TG_PT it is as if the request came through each port (6.16.3), and one answer
 * stands for all: GOOD only when it would be GOOD on each.
 */
static bool register_key_fits(const struct pr_op *op, const struct nexus *nexus)
{
	int i = pr_find(op->old, nexus);

	if (i >= 0)
		return op->old->regs[i].key == op->key;
	/* Nothing to unregister on another port is what the sender wants. */
	return !op->key || (!op->sa_key && op->self >= 0);
}

static void do_register(struct pr_op *op)
{
	struct nexus nexus = *op->who;
	uint16_t tpgt;

	for (unsigned k = 0; op_port(op, &k, &tpgt); ) {
		nexus.tpgt = tpgt;
		if (!register_key_fits(op, &nexus)) {
			op_conflict(op);
			return;
		}
	}
	/*
	 * "Do nothing except return GOOD status": neither APTPL nor PRGENERATION changes, and
	 * SPEC_I_PT is ignored.
	 */
	if (op->self < 0 && !op->sa_key)
		return;
	if (op->self >= 0 && op->spec_i_pt) {
		op_bad_param(op, PARAM_FLAGS, 3);
		return;
	}
	op_register(op);
}

static void do_register_and_ignore(struct pr_op *op)
{
	struct nexus nexus = *op->who;
	bool any = false;
	uint16_t tpgt;

	for (unsigned k = 0; op_port(op, &k, &tpgt); ) {
		nexus.tpgt = tpgt;
		any = any || pr_registered(op->old, &nexus);
	}
	if (op->sa_key || any)		/* else table 68: do nothing except return GOOD status */
		op_register(op);
}

/* RESERVE (SPC-4 5.13.9) */
static void do_reserve(struct pr_op *op)
{
	if (!op_scope_type(op))
		return;
	if (op->old->type == PR_NONE)
		pr_reserve(op_begin(op), (unsigned)op->self, op->type);
	else if (!op_holds(op) || op->type != op->old->type)
		op_conflict(op);
}

/*
 * RELEASE (SPC-4 5.13.11.2.2): by others than a holder it does nothing, whatever its SCOPE and
 * TYPE.
 */
static void do_release(struct pr_op *op)
{
	uint8_t type = op->old->type;

	if (!op_holds(op))
		return;
	if (op->scope != 0 || op->type != type) {
		op_fail(op, sense_of(SENSE_INVALID_RELEASE));
		return;
	}
	pr_release(op_begin(op));
	if (pr_type_registrants(type))
		op_ua_others(op, op->next, UA_RESERVATIONS_RELEASED);
}

/* CLEAR (SPC-4 5.13.11.2.7) */
static void do_clear(struct pr_op *op)
{
	op_ua_others(op, op->old, UA_RESERVATIONS_PREEMPTED);
	pr_clear(op_begin(op));
}

/* PREEMPT, PREEMPT AND ABORT (SPC-4 5.13.11.2.4 to .6) */

/* Which registrations go: those with the key, or all (all registrants type and key 0). */
static bool victim(const struct pr_op *op, unsigned i)
{
	return !op->sa_key || op->old->regs[i].key == op->sa_key;
}

/*
 * Removes the victims; `spare`, if any, is kept. From the end, so that the records in front keep
 * their numbers.
 */
static void preempt_remove(struct pr_op *op, int spare)
{
	for (unsigned i = op->old->nregs; i-- > 0; ) {
		if (!victim(op, i) || (int)i == spare)
			continue;
		if ((int)i != op->self)
			op_ua(op, op->old, i, UA_REGISTRATIONS_PREEMPTED);
		pr_remove(op->next, i);
	}
}

static void do_preempt(struct pr_op *op)
{
	const struct pr_state *old = op->old;
	bool all = pr_type_all_registrants(old->type);
	bool takes, any = false;

	if (!op->sa_key && !all) {
		op_bad_param(op, PARAM_SA_KEY, -1);		/* table 72 */
		return;
	}
	for (unsigned i = 0; i < old->nregs && !any; i++)
		any = victim(op, i);
	if (!any) {
		op_conflict(op);				/* 5.13.11.2.5 */
		return;
	}
	/* Table 72: does the key identify the holder? Under all registrants types only 0 does. */
	takes = all ? !op->sa_key
		    : old->holder != PR_NO_HOLDER && old->regs[old->holder].key == op->sa_key;
	if (takes && !op_scope_type(op))
		return;

	op_begin(op);
	if (!takes) {
		/*
		 * SCOPE and TYPE are ignored; the sender's own registration goes too if it has that
		 * key.
		 */
		preempt_remove(op, -1);
		return;
	}
	preempt_remove(op, op->self);
	pr_release(op->next);
	pr_reserve(op->next, (unsigned)pr_find(op->next, op->who), op->type);
	if (op->type != old->type)
		op_ua_others(op, op->next, UA_RESERVATIONS_RELEASED);
}

static void do_preempt_and_abort(struct pr_op *op)
{
	do_preempt(op);
	if (op->fx->status != SAM_GOOD)
		return;
	/*
	 * 5.13.11.2.6: for all nexuses with that key (all at all, if it is 0), the sender included;
	 * the PR OUT itself is spared, which is for the shell to see to.
	 */
	for (unsigned i = 0; i < op->old->nregs; i++)
		if (victim(op, i))
			op_abort(op, op->old, i);
}

/* REGISTER AND MOVE (SPC-4 5.13.8) */

static bool has_port(const struct scsi_target *target, uint16_t tpgt)
{
	for (unsigned i = 0; i < target->ntpgts; i++)
		if (target->tpgts[i] == tpgt)
			return true;
	return false;
}

static void do_register_and_move(struct pr_op *op)
{
	uint8_t type = op->old->type;
	struct transportid tid;
	int i;

	if (type == PR_NONE) {
		op_fail(op, sense_field(SENSE_INVALID_FIELD_CDB, true, 1, 4));
		return;
	}
	if (pr_type_all_registrants(type) || !op_holds(op)) {
		op_conflict(op);
		return;
	}
	if (!op->sa_key) {
		op_bad_param(op, PARAM_SA_KEY, -1);		/* table 70 */
		return;
	}
	/*
	 * Exactly one TransportID, and of one initiator port: a reservation has one holder. So no
	 * format 00b here either (7.6.4.6).
	 */
	if (!transportid_get(&op->tids, &tid) || op->tids.left || !tid.has_isid ||
	    nexus_same_iport(&tid.iport, op->who)) {
		op_bad_param(op, PARAM_BASIC, -1);
		return;
	}
	if (!has_port(op->target, op->rtpi)) {
		op_bad_param(op, MOVE_RTPI, -1);
		return;
	}
	tid.iport.tpgt = op->rtpi;

	op_begin(op)->aptpl = op->aptpl;
	pr_release(op->next);
	if (op->unreg)
		pr_remove(op->next, (unsigned)op->self);
	i = pr_find(op->next, &tid.iport);
	if (i >= 0) {
		op->next->regs[i].key = op->sa_key;
	} else if (pr_add(op->next, &tid.iport, op->sa_key)) {
		i = op->next->nregs - 1;
	} else {
		op_fail(op, sense_of(SENSE_INSUFF_REG_RESOURCES));
		return;
	}
	pr_reserve(op->next, (unsigned)i, type);
}

static const struct pr_action actions[] = {	/* by SERVICE ACTION (SPC-4 tables 213, 216) */
	/* function		   key	  move	 spec	counts */
	{ do_register,		   false, false, true,	true },
	{ do_reserve,		   true,  false, false, false },
	{ do_release,		   true,  false, false, false },
	{ do_clear,		   true,  false, false, true },
	{ do_preempt,		   true,  false, false, true },
	{ do_preempt_and_abort,	   true,  false, false, true },
	{ do_register_and_ignore,  false, false, false, true },
	{ do_register_and_move,	   true,  true,  false, true },
};

/* The TransportIDs: `len` bytes at the cursor. */
static bool parse_tids(struct pr_op *op, struct rcur *c, uint32_t len)
{
	/* 6.16.3 a), 6.16.4 a): PARAMETER LIST LENGTH must cover it. */
	if (c->bad || len > c->left) {
		op_fail(op, sense_of(SENSE_PARAM_LIST_LENGTH));
		return false;
	}
	op->tids = rcur_of(c->p, len);
	op->tids_start = c->p;
	return true;
}

static bool parse_basic(struct pr_op *op, const struct pr_action *a, struct rcur *c, uint32_t len)
{
	uint8_t flags;

	rcur_take(c, 4);			/* obsolete */
	flags = rcur_u8(c);
	rcur_take(c, 3);
	op->spec_i_pt = flags & SPEC_I_PT;
	op->all_tg_pt = flags & ALL_TG_PT;
	op->aptpl = flags & APTPL;
	if (!op->spec_i_pt) {
		if (len == PARAM_BASIC)
			return true;
		op_fail(op, sense_of(SENSE_PARAM_LIST_LENGTH));		/* 6.16.1 */
		return false;
	}
	if (!a->spec_i_pt) {
		op_bad_param(op, PARAM_FLAGS, 3);
		return false;
	}
	return parse_tids(op, c, rcur_be32(c));
}

static bool parse_move(struct pr_op *op, struct rcur *c)
{
	uint8_t flags;
	uint32_t len;

	rcur_u8(c);
	flags = rcur_u8(c);
	op->unreg = flags & MOVE_UNREG;
	op->aptpl = flags & APTPL;
	op->rtpi = rcur_be16(c);
	len = rcur_be32(c);
	if (len < TRANSPORTID_MIN || len % 4) {
		op_bad_param(op, MOVE_TID_LEN, -1);
		return false;
	}
	return parse_tids(op, c, len);
}

static bool parse(struct pr_op *op, const struct pr_action *a, const struct lu_request *rq)
{
	uint32_t len = get_be32(rq->cdb + 5);
	struct rcur c;

	/* Shorter than the shortest, or the initiator sent less than the CDB says. */
	if (len < PARAM_BASIC || len > rq->param_len) {
		op_fail(op, sense_of(SENSE_PARAM_LIST_LENGTH));
		return false;
	}
	c = rcur_of(rq->param, len);
	op->scope = rq->cdb[2] >> 4;
	op->type = rq->cdb[2] & 0xf;
	op->key = rcur_be64(&c);
	op->sa_key = rcur_be64(&c);
	return a->move ? parse_move(op, &c) : parse_basic(op, a, &c, len);
}

const struct pr_state *pr_out(const struct pr_state *old, const struct scsi_target *target,
			      const struct lu_request *rq, struct lu_fx *fx)
{
	struct pr_op op = { .old = old, .target = target, .who = &rq->nexus, .fx = fx };
	uint8_t sa = rq->cdb[1] & 0x1f;
	const struct pr_action *a;

	assert(rq->has_nexus && fx->pr_buf != old && fx->pr_cap >= pr_state_max() &&
	       fx->cap > PR_REGISTRANTS_MAX);
	fx->status = SAM_GOOD;
	fx->sense = sense_of(SENSE_NONE);
	fx->changed = fx->persist = fx->abort_all = false;
	fx->nabort = fx->nua = 0;

	if (sa >= sizeof(actions) / sizeof(actions[0])) {
		op_fail(&op, sense_field(SENSE_INVALID_FIELD_CDB, true, 1, 4));
		return old;
	}
	a = &actions[sa];
	if (!parse(&op, a, rq))
		return old;
	op.self = pr_find(old, op.who);
	/*
	 * 6.16.3: the key is verified whatever SERVICE ACTION and SCOPE are; 5.13.7 for the
	 * unregistered.
	 */
	if (a->key_needed && (op.self < 0 || old->regs[op.self].key != op.key))
		op_conflict(&op);
	else
		a->fn(&op);

	if (fx->status != SAM_GOOD) {
		fx->nabort = fx->nua = 0;
		return old;
	}
	if (!op.next)
		return old;
	if (a->counts)
		op.next->generation++;		/* wraps (6.15.2) */
	/* Whatever APTPL says: a restart of the daemon is no loss of power (pr_retain). */
	fx->changed = fx->persist = true;
	return op.next;
}
