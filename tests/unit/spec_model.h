/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent reservations as SPC-4 5.13 tells them, slowly and plainly: arrays over the nexuses of
 * spec_world.h, one function per service action, each written from its clause without having seen
 * pr/. Where several errors apply at once the text gives no order, where it is silent or two
 * clauses differ it gives no answer: then the model names all answers that are right, and the state
 * must be that of the one given.
 */
#ifndef TESTS_SPEC_MODEL_H
#define TESTS_SPEC_MODEL_H

#include "tests/unit/spec_world.h"

enum {	/* how a PERSISTENT RESERVE OUT may fail; a set */
	E_CONFLICT = 1,		/* RESERVATION CONFLICT */
	E_CDB = 2,		/* INVALID FIELD IN CDB */
	E_PARAM = 4,		/* INVALID FIELD IN PARAMETER LIST */
	E_LENGTH = 8,		/* PARAMETER LIST LENGTH ERROR */
	E_RELEASE = 16,		/* INVALID RELEASE OF PERSISTENT RESERVATION */
};

struct spec_req {
	unsigned who, sa, scope, type;
	uint64_t key, sa_key;
	bool spec_i_pt, all_tg_pt, aptpl, unreg;
	unsigned ntids, tid[3];		/* SPEC_I_PT: initiator ports */
	bool tid_bad;			/* and one more, which is none */
	bool bad_length;		/* PARAMETER LIST LENGTH is wrong */
	unsigned to;			/* REGISTER AND MOVE: a nexus */
	bool to_bad;			/* REGISTER AND MOVE: no such target port */
};

struct spec_model {
	bool reg[SPEC_NEXUSES];
	uint64_t key[SPEC_NEXUSES];
	unsigned type, holder;		/* 0: no reservation; holder unless all registrants */
	uint32_t gen;
	bool aptpl;
	unsigned ua[SPEC_NEXUSES];	/* 1 << ASCQ of 2Ah: waiting */
	bool reserved6;			/* by RESERVE(6/10) of nexus by6 */
	unsigned by6;
};

struct spec_verdict {
	unsigned errors;		/* not 0: one of these, and nothing changes */
	unsigned maybe;			/* GOOD, but these are right too */
	bool nothing;			/* GOOD, and "do nothing": PRGENERATION and APTPL? */
	unsigned abort, abort_maybe;	/* 1 << nexus: whose commands */
};

static inline bool model_all_registrants(unsigned type) { return type == 7 || type == 8; }
static inline bool model_registrants_only(unsigned type) { return type == 5 || type == 6; }
static inline bool model_type_ok(unsigned scope, unsigned type)
{
	return scope == 0 && (type == 1 || type == 3 || (type >= 5 && type <= 8));
}

static inline bool model_holds(const struct spec_model *m, unsigned i)
{
	return m->type && m->reg[i] && (model_all_registrants(m->type) || m->holder == i);
}

static inline bool model_any(const struct spec_model *m)
{
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		if (m->reg[i])
			return true;
	return false;
}

static inline void model_tell(struct spec_model *m, unsigned i, unsigned ascq)
{
	m->ua[i] |= 1u << ascq;
}

static inline void model_tell_registered(struct spec_model *m, unsigned but, unsigned ascq)
{
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		if (m->reg[i] && i != but)
			model_tell(m, i, ascq);
}

/* 5.13.11.2.3, of the nexuses in gone; `asker` is never told. */
static inline void model_unregister(struct spec_model *m, const bool *gone, unsigned asker)
{
	bool holder = false;

	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		if (gone[i] && m->reg[i]) {
			holder |= m->type && !model_all_registrants(m->type) && m->holder == i;
			m->reg[i] = false;
		}
	if (!m->type)
		return;
	if (holder) {
		if (model_registrants_only(m->type))
			model_tell_registered(m, asker, 4);
		m->type = 0;
	} else if (!model_any(m)) {
		m->type = 0;
	}
}

/* 5.13.7 and tables 67, 68 */
static inline void model_register(struct spec_model *m, const struct spec_req *rq,
				  struct spec_verdict *v)
{
	bool ignore = rq->sa == REGISTER_AND_IGNORE, nothing = true;
	bool mine[SPEC_NEXUSES] = { false }, add[SPEC_NEXUSES] = { false };

	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		mine[i] = i == rq->who ||
			  (rq->all_tg_pt && i % SPEC_IPORTS == rq->who % SPEC_IPORTS);
	for (unsigned i = 0; i < SPEC_NEXUSES; i++) {
		if (!mine[i])
			continue;
		nothing &= !rq->sa_key && !m->reg[i];
		if (ignore)
			continue;
		/* Another port with nothing to unregister is no reason to refuse. */
		if (!m->reg[i] && !rq->sa_key && i != rq->who)
			continue;
		if (rq->key != (m->reg[i] ? m->key[i] : 0))
			v->errors |= E_CONFLICT;
	}
	if (rq->spec_i_pt && !ignore) {
		unsigned bad = 0;

		if (m->reg[rq->who])
			v->errors |= E_CDB | E_PARAM;
		if (rq->tid_bad || rq->bad_length)
			bad |= E_PARAM | E_LENGTH;
		for (unsigned k = 0; k < rq->ntids; k++)
			for (unsigned p = 0; p < SPEC_PORTS; p++) {
				unsigned i = p * SPEC_IPORTS + rq->tid[k];

				if (!rq->all_tg_pt && p != rq->who / SPEC_IPORTS)
					continue;
				add[i] = true;
				if (m->reg[i])
					bad |= E_PARAM | E_CDB;
			}
		/* "ignore" in table 67 when both keys are zero: the list need not be looked at. */
		if (rq->sa_key)
			v->errors |= bad;
		else
			v->maybe |= bad;
	}
	if (v->errors)
		return;
	v->nothing = nothing;
	if (nothing)
		return;
	m->gen++;
	m->aptpl = rq->aptpl;
	if (!rq->sa_key) {
		model_unregister(m, mine, rq->who);
		return;
	}
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		if (mine[i] || add[i]) {
			m->reg[i] = true;
			m->key[i] = rq->sa_key;
		}
}

/* 5.13.9 */
static inline void model_reserve(struct spec_model *m, const struct spec_req *rq,
				 struct spec_verdict *v)
{
	if (!model_type_ok(rq->scope, rq->type))
		v->errors |= E_CDB;
	if (m->type && !(model_holds(m, rq->who) && rq->scope == 0 && rq->type == m->type))
		v->errors |= E_CONFLICT;
	if (v->errors || m->type)
		return;
	m->type = rq->type;
	m->holder = rq->who;
}

/* 5.13.11.2.2 */
static inline void model_release(struct spec_model *m, const struct spec_req *rq,
				 struct spec_verdict *v)
{
	bool bad = !model_type_ok(rq->scope, rq->type);
	unsigned type = m->type;

	if (!model_holds(m, rq->who)) {		/* good, nothing is released */
		v->maybe |= bad ? E_CDB : 0;
		return;
	}
	if (rq->scope != 0 || rq->type != type)
		v->errors |= E_RELEASE | (bad ? E_CDB : 0);
	if (v->errors)
		return;
	m->type = 0;
	if (model_registrants_only(type) || model_all_registrants(type))
		model_tell_registered(m, rq->who, 4);
}

/* 5.13.11.2.7 */
static inline void model_clear(struct spec_model *m, const struct spec_req *rq,
			       struct spec_verdict *v)
{
	if (v->errors)
		return;
	model_tell_registered(m, rq->who, 3);
	memset(m->reg, 0, sizeof(m->reg));
	m->type = 0;
	m->gen++;
}

/* 5.13.11.2.4 and 5.13.11.2.6 */
static inline void model_preempt(struct spec_model *m, const struct spec_req *rq,
				 struct spec_verdict *v)
{
	bool all = model_all_registrants(m->type), take, lost[SPEC_NEXUSES];
	unsigned type = m->type, holder = m->holder, n = 0;

	/* Does the key identify a holder? Under all registrants types zero does. */
	take = type && (all ? !rq->sa_key : m->key[holder] == rq->sa_key);
	for (unsigned i = 0; i < SPEC_NEXUSES; i++) {
		lost[i] = m->reg[i] && (take && all ? true : m->key[i] == rq->sa_key);
		n += lost[i];
	}
	if (!rq->sa_key && !all)
		v->errors |= type ? E_PARAM : E_PARAM | E_CONFLICT;
	else if (!n)
		v->errors |= E_CONFLICT;
	if (take && !model_type_ok(rq->scope, rq->type))
		v->errors |= E_CDB;
	if (v->errors)
		return;
	m->gen++;
	for (unsigned i = 0; i < SPEC_NEXUSES; i++) {
		if (!lost[i])
			continue;
		if (i == rq->who && take)	/* keeps its registration; its own commands? */
			*(all || holder == i ? &v->abort : &v->abort_maybe) |= 1u << i;
		else
			v->abort |= 1u << i;
		if (i != rq->who)
			model_tell(m, i, 5);
		if (i != rq->who || !take)
			m->reg[i] = false;
	}
	if (take) {
		m->type = rq->type;
		m->holder = rq->who;
		if (rq->type != type)
			model_tell_registered(m, rq->who, 4);
	} else if (!model_any(m)) {
		m->type = 0;
	}
}

/* 5.13.8, table 70 */
static inline void model_move(struct spec_model *m, const struct spec_req *rq,
			      struct spec_verdict *v)
{
	bool gone[SPEC_NEXUSES] = { [0] = false };

	if (!m->type)
		v->errors |= E_CDB;
	else if (!model_holds(m, rq->who) || model_all_registrants(m->type))
		v->errors |= E_CONFLICT;
	if (!rq->sa_key)
		v->errors |= E_PARAM | E_CDB;
	if (rq->to % SPEC_IPORTS == rq->who % SPEC_IPORTS || rq->to_bad)
		v->errors |= E_PARAM;
	if (rq->bad_length)
		v->errors |= E_PARAM | E_LENGTH;
	if (rq->scope)			/* ignored (5.13.8 b), yet LU_SCOPE in 6.16.2 */
		v->maybe |= E_CDB;
	if (v->errors)
		return;
	m->gen++;
	m->aptpl = rq->aptpl;
	m->reg[rq->to] = true;
	m->key[rq->to] = rq->sa_key;
	m->holder = rq->to;
	gone[rq->who] = rq->unreg;
	model_unregister(m, gone, rq->who);
}

/* One PERSISTENT RESERVE OUT from a nexus for which no unit attention waits. */
static inline struct spec_verdict spec_model_out(struct spec_model *m, const struct spec_req *rq)
{
	static void (*const actions[])(struct spec_model *, const struct spec_req *,
				       struct spec_verdict *) = {
		[REGISTER] = model_register, [REGISTER_AND_IGNORE] = model_register,
		[RESERVE] = model_reserve, [RELEASE] = model_release, [CLEAR] = model_clear,
		[PREEMPT] = model_preempt, [PREEMPT_AND_ABORT] = model_preempt,
		[REGISTER_AND_MOVE] = model_move,
	};
	bool reg = rq->sa == REGISTER || rq->sa == REGISTER_AND_IGNORE;
	struct spec_model old = *m;
	struct spec_verdict v = { 0 };

	if (m->reserved6)		/* SPC-2 5.5.1 */
		v.errors |= E_CONFLICT;
	/* 6.16.3: the key is verified, but for REGISTER of an unregistered nexus and IGNORE. */
	if (!reg && (!m->reg[rq->who] || m->key[rq->who] != rq->key))
		v.errors |= E_CONFLICT;
	if (rq->sa != REGISTER && rq->sa != REGISTER_AND_MOVE && rq->spec_i_pt)
		v.errors |= E_PARAM | (rq->bad_length ? E_LENGTH : 0);
	else if (rq->bad_length && !rq->spec_i_pt && rq->sa != REGISTER_AND_MOVE)
		v.errors |= E_LENGTH;
	actions[rq->sa](m, rq, &v);
	if (v.errors)
		*m = old;
	return v;
}

/* 5.13.3 and SPC-2 5.5.2: RESERVE and RELEASE; gives GOOD or RESERVATION CONFLICT. */
static inline uint32_t spec_model_reserve6(struct spec_model *m, unsigned who, bool release)
{
	if (model_any(m)) {
		bool rr = model_registrants_only(m->type) || model_all_registrants(m->type);

		return model_holds(m, who) || (rr && m->reg[who]) ? SAM_GOOD :
			SAM_RESERVATION_CONFLICT;
	}
	if (release) {
		if (m->reserved6 && m->by6 == who)
			m->reserved6 = false;
		return SAM_GOOD;
	}
	if (m->reserved6 && m->by6 != who)
		return SAM_RESERVATION_CONFLICT;
	m->reserved6 = true;
	m->by6 = who;
	return SAM_GOOD;
}

/* SPC-4 table 65: columns and spc2 as in test_spec_access.c. */
static inline bool spec_model_allows(const struct spec_model *m, unsigned who, const char *pr,
				     char spc2)
{
	if (m->reserved6)
		return m->by6 == who || spc2 == 'A';
	if (!m->type || model_holds(m, who))
		return true;
	if (m->type == 1 || m->type == 3)
		return pr[m->type == 3] == 'A';
	if (m->reg[who])
		return pr[2] == 'A';
	return pr[m->type == 5 || m->type == 7 ? 3 : 4] == 'A';
}

#endif
