/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random PERSISTENT RESERVE OUT and IN, RESERVE, RELEASE, resets and other commands from several
 * nexuses through two target ports, and after each everything an initiator can see compared with
 * the model of spec_model.h: status, sense, registrations, reservation, generation, capabilities,
 * unit attentions, who is aborted.
 *
 *	SPEC_STEPS=n	so many commands (default STEPS)
 *	SPEC_SEED=n	starts from this seed; each world (WORLD_STEPS commands) has the next one
 */
#include <time.h>

#include "tests/unit/spec_model.h"
#include "tests/unit/spec_seen.h"
#include "tests/unit/unit.h"

/* One thread only: to the thread sanitizer it says little and takes long. */
#ifdef __SANITIZE_THREAD__
enum { STEPS = 40000 };
#else
enum { STEPS = 400000 };
#endif

enum { WORLD_STEPS = 250, PR_UAS = 1 << UA_RESERVATIONS_PREEMPTED |
	1 << UA_RESERVATIONS_RELEASED | 1 << UA_REGISTRATIONS_PREEMPTED };

static uint64_t rng;
static unsigned long count_good, count_errors[5], count_ua, count_taken, count_aborts;

static uint32_t rnd(uint32_t n)		/* splitmix64 */
{
	uint64_t z = rng += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

static bool percent(uint32_t p) { return rnd(100) < p; }

/* Four keys, of which 0 is one. Mostly the right one, where there is a right one. */
static uint64_t random_key(const struct spec_model *m, unsigned who)
{
	if (percent(80))
		return m->reg[who] ? m->key[who] : 0;
	return rnd(4);
}

static void random_req(const struct spec_model *m, struct spec_req *rq)
{
	static const uint8_t actions[] = {
		REGISTER, REGISTER, REGISTER, REGISTER, REGISTER, REGISTER_AND_IGNORE,
		REGISTER_AND_IGNORE, RESERVE, RESERVE, RESERVE, RESERVE, RELEASE, RELEASE,
		PREEMPT, PREEMPT, PREEMPT, PREEMPT_AND_ABORT, PREEMPT_AND_ABORT,
		REGISTER_AND_MOVE, REGISTER_AND_MOVE, REGISTER_AND_MOVE,
	};
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };

	*rq = (struct spec_req){ .who = rnd(SPEC_NEXUSES), .sa = actions[rnd(sizeof(actions))] };
	if (percent(2))
		rq->sa = CLEAR;
	rq->scope = percent(3) ? rnd(16) : 0;
	rq->type = percent(5) ? rnd(16) : types[rnd(sizeof(types))];
	if (m->type && percent(50))
		rq->type = m->type;
	if (m->type && percent(30))
		rq->who = m->holder;
	else if (rq->sa != REGISTER && percent(80))	/* mostly one who may ask */
		for (unsigned k = 0; k < SPEC_NEXUSES && !m->reg[rq->who]; k++)
			rq->who = (rq->who + 1) % SPEC_NEXUSES;
	rq->key = random_key(m, rq->who);
	rq->sa_key = percent(10) ? 0 : rnd(4);
	if ((rq->sa == PREEMPT || rq->sa == PREEMPT_AND_ABORT) && m->type && percent(40))
		rq->sa_key = model_all_registrants(m->type) ? 0 : m->key[m->holder];
	rq->aptpl = percent(30);
	rq->unreg = percent(40);
	rq->all_tg_pt = percent(20);
	rq->spec_i_pt = rq->sa == REGISTER ? percent(25) : percent(2);
	if (rq->spec_i_pt) {
		rq->ntids = rnd(4);
		for (unsigned k = 0; k < rq->ntids; k++)
			rq->tid[k] = rnd(SPEC_IPORTS);
		rq->tid_bad = percent(10);
	}
	rq->to = rnd(SPEC_NEXUSES);
	rq->to_bad = percent(5);
	rq->bad_length = percent(2);
}

static uint32_t send_req(struct spec_world *s, const struct spec_req *rq)
{
	uint8_t list[24 + 4 * 304 + 8] = { 0 };
	uint32_t len = 24;

	put_be64(list, rq->key);
	put_be64(list + 8, rq->sa_key);
	if (rq->sa == REGISTER_AND_MOVE) {
		list[17] = (uint8_t)((rq->unreg ? UNREG : 0) | (rq->aptpl ? APTPL : 0));
		put_be16(list + 18, rq->to_bad ? 3 : s->nexus[rq->to].tpgt);
		len += (uint32_t)spec_tid(list + 24, rq->to % SPEC_IPORTS);
		put_be32(list + 20, len - 24);
	} else {
		list[20] = (uint8_t)((rq->spec_i_pt ? SPEC_I_PT : 0) |
				     (rq->all_tg_pt ? ALL_TG_PT : 0) | (rq->aptpl ? APTPL : 0));
		if (rq->spec_i_pt && rq->sa == REGISTER) {
			len = 28;
			for (unsigned k = 0; k < rq->ntids; k++)
				len += (uint32_t)spec_tid(list + len, rq->tid[k]);
			if (rq->tid_bad) {
				uint32_t n = (uint32_t)spec_tid(list + len, 2);

				list[len] ^= 1;		/* another protocol */
				len += n;
			}
			put_be32(list + 24, len - 28);
		}
	}
	if (rq->bad_length)		/* cut in the middle, or too long for a basic list */
		len = len > 24 ? len - 3 : len + 4;
	return spec_out_raw(s, rq->who, rq->sa, rq->scope << 4 | rq->type, list, len, len);
}

static unsigned error_of(uint32_t result)
{
	switch (result) {
	case SAM_RESERVATION_CONFLICT:	return E_CONFLICT;
	case SENSE_CODE(5, 0x24, 0):	return E_CDB;
	case SENSE_CODE(5, 0x26, 0):	return E_PARAM;
	case SENSE_CODE(5, 0x1a, 0):	return E_LENGTH;
	case SENSE_CODE(5, 0x26, 4):	return E_RELEASE;
	default:			return 1 << 16;
	}
}

#define SAME(cond) do {									\
	if (!(cond)) {									\
		fprintf(stderr, "not so: %s\n", #cond);					\
		return false;								\
	}										\
} while (0)

/* The world against the model. */
static bool same(struct spec_world *s, const struct spec_model *m)
{
	struct spec_seen o;

	SAME(spec_look(s, &o));
	for (unsigned i = 0; i < SPEC_NEXUSES; i++) {
		unsigned ua = s->gate[i].ua & PR_UAS;

		SAME(o.reg[i] == m->reg[i]);
		SAME(!m->reg[i] || o.key[i] == m->key[i]);
		SAME(o.holder[i] == model_holds(m, i));
		SAME(!!(ua & 1 << UA_RESERVATIONS_PREEMPTED) == !!(m->ua[i] & 1 << 3));
		SAME(!!(ua & 1 << UA_RESERVATIONS_RELEASED) == !!(m->ua[i] & 1 << 4));
		SAME(!!(ua & 1 << UA_REGISTRATIONS_PREEMPTED) == !!(m->ua[i] & 1 << 5));
		SAME(pr_registered(s->w.v.pr, &s->nexus[i]) == m->reg[i]);
	}
	SAME(o.type == m->type);
	/* 5.13.10: the key of the reservation is 0 when all registrants hold it. */
	SAME(!m->type || o.rkey == (model_all_registrants(m->type) ? 0 : m->key[m->holder]));
	SAME(o.gen == m->gen);
	SAME(o.ptpl_a == m->aptpl);
	SAME(pr_any(s->w.v.pr) == model_any(m));
	SAME(s->w.v.reserved6 == m->reserved6);
	SAME(!s->strangers);
	return true;
}

/* A unit attention comes before anything else: the lowest, and then it is gone (SAM-5 5.14). */
static bool took_ua(struct spec_world *s, struct spec_model *m, unsigned who)
{
	for (unsigned ascq = 3; ascq <= 5; ascq++)
		if (m->ua[who] & 1u << ascq) {
			count_ua++;
			m->ua[who] &= ~(1u << ascq);
			SAME(spec_result(s) == SENSE_CODE(6, 0x2a, ascq));
			return true;
		}
	return false;
}

static bool step_out(struct spec_world *s, struct spec_model *m)
{
	struct spec_model before = *m;
	unsigned changes = s->changes, hit = 0;
	struct spec_verdict v;
	struct spec_req rq;
	uint32_t got;

	random_req(m, &rq);
	got = send_req(s, &rq);
	if (m->ua[rq.who]) {
		SAME(took_ua(s, m, rq.who));
		SAME(s->changes == changes);
		return same(s, m);
	}
	v = spec_model_out(m, &rq);
	if (got) {
		SAME(error_of(got) & (v.errors | v.maybe));
		SAME(!s->w.c.sense.sks_valid || got == SAM_RESERVATION_CONFLICT ||
		     !!(s->w.c.sense.sks[0] & 0x40) == (error_of(got) == E_CDB));
		SAME(!s->w.c.sense.sks_valid || got == SAM_RESERVATION_CONFLICT ||
		     get_be16(s->w.c.sense.sks + 1) <
		     (error_of(got) == E_CDB ? 10 : s->w.c.need_out));
		for (unsigned k = 0; k < 5; k++)
			count_errors[k] += error_of(got) >> k & 1;
		*m = before;
		SAME(s->changes == changes || !s->fx.changed);
		return same(s, m);
	}
	count_good++;
	SAME(!v.errors);
	if (v.nothing) {	/* 6.15.2 counts every REGISTER, table 67 "does nothing" */
		struct spec_seen o;

		SAME(spec_look(s, &o));
		SAME(o.gen == m->gen || o.gen == m->gen + 1);
		SAME(o.ptpl_a == m->aptpl || o.ptpl_a == rq.aptpl);
		m->gen = o.gen;
		m->aptpl = o.ptpl_a;
	}
	SAME(s->changes == changes + 1);
	for (uint32_t i = 0; i < s->fx.nabort; i++)
		hit |= 1u << spec_who(s, &s->fx.abort[i]);
	if (rq.sa == PREEMPT_AND_ABORT) {
		SAME((hit & ~v.abort_maybe) == v.abort);
		count_aborts += hit != 0;
	} else {
		SAME(!hit);
	}
	SAME(!s->fx.abort_all);
	if (memcmp(&before, m, sizeof(before)))	/* durable before it is answered */
		SAME(s->fx.changed && s->fx.persist);
	count_taken += rq.sa == PREEMPT && before.type && m->holder != before.holder;
	return same(s, m);
}

/* Some command that is not PERSISTENT RESERVE OUT. */
static bool step_other(struct spec_world *s, struct spec_model *m)
{
	static const struct {
		uint8_t cdb[10], dir;
		uint16_t len;
		const char *pr;
		char spc2;
	} cmds[] = {
		{ { 0x00 }, NONE, 0, "AAAAA", 'C' },			/* TEST UNIT READY */
		{ { 0x28, [8] = 1 }, IN, 512, "ACAAC", 'C' },		/* READ(10) */
		{ { 0x2a, [8] = 1 }, OUT, 512, "CCACC", 'C' },		/* WRITE(10) */
		{ { 0x5a, 0, 0x0a, [8] = 32 }, IN, 32, "ACAAC", 'C' },	/* MODE SENSE(10) */
		{ { 0x35 }, NONE, 0, "CCACC", 'C' },			/* SYNCHRONIZE CACHE(10) */
	};
	unsigned who = rnd(SPEC_NEXUSES), k = rnd(sizeof(cmds) / sizeof(cmds[0]));
	size_t len = cmds[k].cdb[0] ? 10 : 6;

	spec_run(s, who, cmds[k].cdb, len, (enum op_dir)cmds[k].dir, cmds[k].len, NULL);
	if (m->ua[who])
		SAME(took_ua(s, m, who));
	else
		SAME(spec_result(s) == (spec_model_allows(m, who, cmds[k].pr, cmds[k].spc2) ?
					SAM_GOOD : SAM_RESERVATION_CONFLICT));
	return same(s, m);
}

/* PERSISTENT RESERVE IN, cut anywhere, is a prefix of the whole answer. */
static bool step_in(struct spec_world *s, struct spec_model *m)
{
	unsigned who = rnd(SPEC_NEXUSES), sa = rnd(4), alloc = rnd(100);
	uint8_t full[SPEC_NEXUSES * 360];
	size_t n = seen_answer(s, sa, full, sizeof(full));

	spec_in(s, who, sa, alloc);
	if (m->ua[who]) {
		SAME(took_ua(s, m, who));
	} else if (m->reserved6) {
		SAME(spec_result(s) == SAM_RESERVATION_CONFLICT);
	} else {
		SAME(spec_result(s) == SAM_GOOD);
		SAME(s->w.c.in_len == (alloc < n ? alloc : n));
		SAME(!s->w.c.in_len || !memcmp(s->w.c.in, full, s->w.c.in_len));
	}
	return same(s, m);
}

static bool step_reserve6(struct spec_world *s, struct spec_model *m)
{
	static const uint8_t opcodes[] = { 0x16, 0x56, 0x17, 0x57 };
	unsigned who = m->reserved6 && percent(80) ? m->by6 : rnd(SPEC_NEXUSES);
	uint8_t cdb[10] = { opcodes[rnd(4)] };

	spec_run(s, who, cdb, cdb[0] < 0x20 ? 6 : 10, NONE, 0, NULL);
	if (m->ua[who])
		SAME(took_ua(s, m, who));
	else
		SAME(spec_result(s) == spec_model_reserve6(m, who, cdb[0] & 1));
	return same(s, m);
}

/* Resets and lost nexuses end RESERVE(6), and leave persistent reservations alone (5.13.5). */
static bool step_event(struct spec_world *s, struct spec_model *m)
{
	static const enum lu_change_kind kinds[] = {
		LU_CHANGE_RESET, LU_CHANGE_TARGET_RESET, LU_CHANGE_NEXUS_LOST,
	};
	struct lu_request rq = { .kind = kinds[rnd(3)], .seq = ++s->seq, .has_nexus = true };
	unsigned who = rnd(SPEC_NEXUSES);

	rq.nexus = s->nexus[who];
	spec_home(s, &rq);
	if (rq.kind != LU_CHANGE_NEXUS_LOST || m->by6 == who)
		m->reserved6 = false;
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)	/* 29/xx is another test's */
		s->gate[i].ua &= PR_UAS;
	return same(s, m);
}

static bool step(struct spec_world *s, struct spec_model *m)
{
	uint32_t k = rnd(100);

	if (k < 2)
		return step_event(s, m);
	if (k < 5 || (m->reserved6 && k < 25))	/* or nothing else would happen for long */
		return step_reserve6(s, m);
	if (k < 15)
		return step_in(s, m);
	return k < 40 ? step_other(s, m) : step_out(s, m);
}

static unsigned long long setting(const char *name, unsigned long long otherwise)
{
	const char *v = getenv(name);

	return v && *v ? strtoull(v, NULL, 0) : otherwise;
}

static void test_model(void)
{
	unsigned long long steps = setting("SPEC_STEPS", STEPS), done = 0;
	unsigned long long seed = setting("SPEC_SEED", (unsigned long long)time(NULL) * 100000);
	struct spec_world *s = spec_new();
	unsigned failures = 0;
	char text[256];

	printf(" %llu steps from SPEC_SEED=%llu ", steps, seed);
	for (; done < steps && failures < 3; seed++) {
		struct spec_model m = { 0 };

		rng = seed;
		spec_reset(s);
		for (unsigned i = 0; i < WORLD_STEPS; i++, done++) {
			if (step(s, &m))
				continue;
			failures++;
			fprintf(stderr, "SPEC_SEED=%llu, step %u: CDB %02x %02x %02x of nexus %u: "
				"%s\n  now: %s\n", seed, i, s->w.c.cdb[0], s->w.c.cdb[1],
				s->w.c.cdb[2], s->who, s->w.trace, spec_state(s, text));
			break;
		}
	}
	CU_ASSERT_EQUAL(failures, 0);
	spec_free(s);
	printf("(good %lu, conflict %lu, CDB %lu, parameter %lu, length %lu, release %lu, UA %lu, "
	       "taken %lu, aborts %lu) ", count_good, count_errors[0], count_errors[1],
	       count_errors[2], count_errors[3], count_errors[4], count_ua, count_taken,
	       count_aborts);
	/* The mix is worth something only if it gets everywhere. */
	if (steps < 100000)
		return;
	CU_ASSERT(count_good > steps / 20 && count_ua > steps / 100);
	CU_ASSERT(count_taken > steps / 1000 && count_aborts > steps / 1000);
	for (unsigned k = 0; k < 5; k++)
		CU_ASSERT(count_errors[k] > steps / 2000);
}

UNIT_MAIN("spec_property",
	UNIT(test_model))
