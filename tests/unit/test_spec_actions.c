/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE OUT, service action by service action, as SPC-4 5.13 and 6.16 have it: status,
 * sense, the state PERSISTENT RESERVE IN shows, unit attentions to exactly whom. Written from the
 * text. REGISTER AND MOVE: test_spec_move.c; SPEC_I_PT and ALL_TG_PT: test_spec_params.c.
 */
#include "tests/unit/spec_seen.h"
#include "tests/unit/unit.h"

static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
#define ALL_TYPES(t, i) (unsigned i = 0, t = types[0]; i < sizeof(types); \
			 i++, t = i < sizeof(types) ? types[i] : 0)

static bool all_registrants(unsigned type) { return type >= 7; }
static bool registrants_only(unsigned type) { return type == 5 || type == 6; }

/* Three registered: A0 with a, B0 with b, C1 (another port) with c; A0 reserves. */
static void set_up(struct spec_world *s, unsigned type)
{
	spec_reset(s);
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, C1, REGISTER, 0, 0, 0xc, 0), GOOD);
	if (type)
		CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, type, 0xa, 0, 0), GOOD);
}

/* A state text with %s for "*" of those who hold only with all registrants, then the type. */
static const char *state_of(unsigned type, const char *fmt, uint64_t key)
{
	static char out[256];
	const char *all = all_registrants(type) ? "*" : "";
	int n;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	n = snprintf(out, sizeof(out), fmt, all, all, all);
#pragma GCC diagnostic pop
	if (type)
		snprintf(out + n, sizeof(out) - (size_t)n, " %u:%llx", type,
			 all_registrants(type) ? 0 : (unsigned long long)key);
	return out;
}

/* 5.13.7, table 67: behaviour of REGISTER, by who asks and with which keys. */
static void test_register(void)
{
	struct spec_world *s = spec_new();

	spec_reset(s);
	/* Not registered: RESERVATION KEY must be zero. */
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0x1, 0xa, 0), CONFLICT, "", "");
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0x1, 0, 0), CONFLICT, "", "");
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0, 0, 0), GOOD, "", "");	/* does nothing */
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD, "A0=a", "");
	/* Another ISID, and the same through another target port, are other nexuses. */
	AFTER(s, spec_out(s, B0, REGISTER, 0, 0xa, 0xb, 0), CONFLICT, "A0=a", "");
	AFTER(s, spec_out(s, A1, REGISTER, 0, 0xa, 0xb, 0), CONFLICT, "A0=a", "");
	/* Same key on many nexuses: allowed, READ KEYS lists it for each (6.15.2). */
	AFTER(s, spec_out(s, B0, REGISTER, 0, 0, 0xa, 0), GOOD, "A0=a B0=a", "");
	AFTER(s, spec_out(s, A1, REGISTER, 0, 0, 0xa, 0), GOOD, "A0=a B0=a A1=a", "");
	/* Registered: RESERVATION KEY must be the registered one. */
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0, 0x1, 0), CONFLICT, "A0=a B0=a A1=a", "");
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0xb, 0, 0), CONFLICT, "A0=a B0=a A1=a", "");
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0xa, 0x1, 0), GOOD, "A0=1 B0=a A1=a", "");
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0x1, 0x1, 0), GOOD, "A0=1 B0=a A1=a", "");
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0x1, 0, 0), GOOD, "B0=a A1=a", "");
	AFTER(s, spec_out(s, B0, REGISTER, 0, 0xa, 0, 0), GOOD, "A1=a", "");
	AFTER(s, spec_out(s, A1, REGISTER, 0, 0xa, 0, 0), GOOD, "", "");
	/* SCOPE and TYPE are ignored (6.16.2). */
	AFTER(s, spec_out(s, A0, REGISTER, 0xff, 0, UINT64_MAX, 0), GOOD,
	      "A0=ffffffffffffffff", "");
	spec_free(s);
}

/* 5.13.7, table 68: REGISTER AND IGNORE EXISTING KEY; RESERVATION KEY is ignored. */
static void test_register_and_ignore(void)
{
	struct spec_world *s = spec_new();

	spec_reset(s);
	AFTER(s, spec_out(s, A0, REGISTER_AND_IGNORE, 0, 0x77, 0, 0), GOOD, "", "");
	AFTER(s, spec_out(s, A0, REGISTER_AND_IGNORE, 0, 0x77, 0xa, 0), GOOD, "A0=a", "");
	AFTER(s, spec_out(s, A0, REGISTER_AND_IGNORE, 0, 0x77, 0xb, 0), GOOD, "A0=b", "");
	AFTER(s, spec_out(s, B0, REGISTER_AND_IGNORE, 0xff, 0, 0xb, 0), GOOD, "A0=b B0=b", "");
	AFTER(s, spec_out(s, A0, REGISTER_AND_IGNORE, 0, 0x77, 0, 0), GOOD, "B0=b", "");
	spec_free(s);
}

/* 5.13.7: a new key for a holder: the reservation stays and shows the new key. */
static void test_change_key_of_holder(void)
{
	struct spec_world *s = spec_new();

	for ALL_TYPES(type, i) {
		set_up(s, type);
		AFTER(s, spec_out(s, A0, REGISTER, 0, 0xa, 0x5, 0), GOOD,
		      state_of(type, "A0=5* B0=b%s C1=c%s", 0x5), "");
		AFTER(s, spec_out(s, A0, REGISTER_AND_IGNORE, 0, 0, 0x6, 0), GOOD,
		      state_of(type, "A0=6* B0=b%s C1=c%s", 0x6), "");
		AFTER(s, spec_out(s, B0, REGISTER_AND_IGNORE, 0, 0, 0x7, 0), GOOD,
		      state_of(type, "A0=6* B0=7%s C1=c%s", 0x6), "");
	}
	spec_free(s);
}

/* 5.13.11.2.3: unregistering, by role and type, both ways. */
static void test_unregister(void)
{
	struct spec_world *s = spec_new();

	for (unsigned sa = REGISTER; sa <= REGISTER_AND_IGNORE; sa += REGISTER_AND_IGNORE)
		for ALL_TYPES(type, i) {
			/* Not a holder, or not the last one: the reservation stays. */
			set_up(s, type);
			AFTER(s, spec_out(s, B0, sa, 0, 0xb, 0, 0), GOOD,
			      state_of(type, "A0=a* C1=c%s", 0xa), "");
			/* The holder: released; registrants only: the others are told. */
			set_up(s, type);
			if (all_registrants(type))
				AFTER(s, spec_out(s, A0, sa, 0, 0xa, 0, 0), GOOD,
				      state_of(type, "B0=b* C1=c*", 0), "");
			else
				AFTER(s, spec_out(s, A0, sa, 0, 0xa, 0, 0), GOOD, "B0=b C1=c",
				      registrants_only(type) ? "B0:02a04 C1:02a04" : "");
			/* The last one: whatever the type, the reservation is gone. */
			CU_ASSERT_EQUAL(spec_out(s, B0, sa, 0, 0xb, 0, 0), GOOD);
			AFTER(s, spec_out(s, C1, sa, 0, 0xc, 0, 0), GOOD, "", "");
		}
	spec_free(s);
}

/* 5.13.9: RESERVE, and again. */
static void test_reserve(void)
{
	struct spec_world *s = spec_new();

	for ALL_TYPES(type, i) {
		const char *held;

		set_up(s, 0);
		AFTER(s, spec_out(s, A0, RESERVE, type, 0xb, 0, 0), CONFLICT, "A0=a B0=b C1=c", "");
		AFTER(s, spec_out(s, A1, RESERVE, type, 0xa, 0, 0), CONFLICT, "A0=a B0=b C1=c", "");
		AFTER(s, spec_out(s, D0, RESERVE, type, 0, 0, 0), CONFLICT, "A0=a B0=b C1=c", "");
		held = state_of(type, "A0=a* B0=b%s C1=c%s", 0xa);
		/* SERVICE ACTION RESERVATION KEY, ALL_TG_PT and APTPL are ignored (6.16.2). */
		AFTER(s, spec_out(s, A0, RESERVE, type, 0xa, 0x9, ALL_TG_PT | APTPL), GOOD, held,
		      "");
		for ALL_TYPES(again, k) {
			/* From a holder, same type and scope: nothing; else conflict. */
			AFTER(s, spec_out(s, A0, RESERVE, again, 0xa, 0, 0),
			      again == type ? GOOD : CONFLICT, held, "");
			/* From another: conflict, unless all registrants hold it. */
			AFTER(s, spec_out(s, B0, RESERVE, again, 0xb, 0, 0),
			      again == type && all_registrants(type) ? GOOD : CONFLICT, held, "");
			AFTER(s, spec_out(s, C1, RESERVE, again, 0x1, 0, 0), CONFLICT, held, "");
		}
	}
	spec_free(s);
}

/* 6.16.1, tables 205 and 206: only LU_SCOPE; types 0, 2, 4 are obsolete, 9 to F reserved. */
static void test_scope_and_type(void)
{
	static const uint8_t actions[] = { RESERVE, PREEMPT, PREEMPT_AND_ABORT };
	struct spec_world *s = spec_new();

	for (unsigned k = 0; k < sizeof(actions); k++)
		for (unsigned type = 0; type < 16; type++)
			for (unsigned scope = 0; scope < 16; scope++) {
				bool ok = !scope && (type == 1 || type == 3 ||
						     (type >= 5 && type <= 8));

				if (ok)
					continue;
				/* PREEMPT: A0's own reservation, so that SCOPE and TYPE count. */
				set_up(s, actions[k] == RESERVE ? 0 : 1);
				AFTER(s, spec_out(s, A0, actions[k], scope << 4 | type, 0xa, 0xa,
						  0), BAD_CDB,
				      actions[k] == RESERVE ? "A0=a B0=b C1=c" :
				      "A0=a* B0=b C1=c 1:a", "");
			}
	for (unsigned scope = 1; scope < 16; scope++) {
		set_up(s, 1);
		AFTER(s, spec_out(s, A0, RESERVE, scope << 4 | 1, 0xa, 0, 0),
		      s->w.c.status == CONFLICT ? CONFLICT : BAD_CDB, "A0=a* B0=b C1=c 1:a", "");
	}
	spec_free(s);
}

/* 5.13.11.2.2 */
static void test_release(void)
{
	struct spec_world *s = spec_new();

	set_up(s, 0);
	for ALL_TYPES(none, n) {	/* nothing to release: good */
		AFTER(s, spec_out(s, A0, RELEASE, none, 0xa, 0, 0), GOOD, "A0=a B0=b C1=c", "");
		AFTER(s, spec_out(s, A0, RELEASE, none, 0xb, 0, 0), CONFLICT, "A0=a B0=b C1=c", "");
		AFTER(s, spec_out(s, D0, RELEASE, none, 0, 0, 0), CONFLICT, "A0=a B0=b C1=c", "");
	}
	for ALL_TYPES(type, i) {
		bool tell = type >= 5;

		set_up(s, type);
		const char *held = state_of(type, "A0=a* B0=b%s C1=c%s", 0xa);

		AFTER(s, spec_out(s, A0, RELEASE, type, 0x1, 0, 0), CONFLICT, held, "");
		AFTER(s, spec_out(s, D0, RELEASE, type, 0, 0, 0), CONFLICT, held, "");
		for ALL_TYPES(wrong, k)
			if (wrong != type)
				AFTER(s, spec_out(s, A0, RELEASE, wrong, 0xa, 0, 0), BAD_RELEASE,
				      held, "");
		if (!all_registrants(type))	/* registered, not a holder: good, not released */
			for ALL_TYPES(any, j)
				AFTER(s, spec_out(s, B0, RELEASE, any, 0xb, 0, 0), GOOD, held, "");
		/* Registrants types: every registered nexus but the one that asked is told. */
		AFTER(s, spec_out(s, A0, RELEASE, type, 0xa, 0, 0), GOOD, "A0=a B0=b C1=c",
		      tell ? "B0:02a04 C1:02a04" : "");
		if (!all_registrants(type))
			continue;
		set_up(s, type);		/* all registrants: any of them may */
		AFTER(s, spec_out(s, C1, RELEASE, type, 0xc, 0, 0), GOOD, "A0=a B0=b C1=c",
		      "A0:02a04 B0:02a04");
	}
	spec_free(s);
}

/* 5.13.11.2.7 */
static void test_clear(void)
{
	struct spec_world *s = spec_new();

	set_up(s, 0);
	AFTER(s, spec_out(s, B0, CLEAR, 0, 0xb, 0, 0), GOOD, "", "A0:02a03 C1:02a03");
	AFTER(s, spec_out(s, B0, CLEAR, 0, 0, 0, 0), CONFLICT, "", "");
	for ALL_TYPES(type, i) {
		set_up(s, type);
		AFTER(s, spec_out(s, B0, CLEAR, 0, 0xa, 0, 0), CONFLICT,
		      state_of(type, "A0=a* B0=b%s C1=c%s", 0xa), "");
		AFTER(s, spec_out(s, B1, CLEAR, 0, 0xb, 0, 0), CONFLICT,
		      state_of(type, "A0=a* B0=b%s C1=c%s", 0xa), "");
		/* From any registered nexus; SCOPE, TYPE and the second key are ignored. */
		AFTER(s, spec_out(s, B0, CLEAR, 0xff, 0xb, 0x9, 0), GOOD, "", "A0:02a03 C1:02a03");
	}
	spec_free(s);
}

/* 5.13.11.2.4.3: the key is a holder's: reservation and registrations are preempted. */
static void test_preempt_holder(void)
{
	struct spec_world *s = spec_new();

	for ALL_TYPES(type, i)
		for ALL_TYPES(now, k) {
			char ua[64] = "A0:02a05", state[64];

			if (all_registrants(type))
				continue;
			/* The type changes: those that stay registered are told so. */
			if (now != type)
				strcat(ua, " C1:02a04");
			snprintf(state, sizeof(state), "B0=b* C1=c%s %u:%x",
				 all_registrants(now) ? "*" : "", now,
				 all_registrants(now) ? 0 : 0xb);
			set_up(s, type);
			AFTER(s, spec_out(s, B0, PREEMPT, now, 0xb, 0xa, 0), GOOD, state, ua);
			CU_ASSERT_EQUAL(s->fx.nabort, 0);
		}
	spec_free(s);
}

/* 5.13.11.2.4.3: a holder preempts itself: new reservation, its registration stays. */
static void test_preempt_self(void)
{
	struct spec_world *s = spec_new();

	for ALL_TYPES(type, i)
		for ALL_TYPES(now, k) {
			if (all_registrants(type))
				continue;
			set_up(s, type);
			AFTER(s, spec_out(s, A0, PREEMPT, now, 0xa, 0xa, 0), GOOD,
			      state_of(now, "A0=a* B0=b%s C1=c%s", 0xa),
			      now != type ? "B0:02a04 C1:02a04" : "");
			/* Stale registrations with the same key go with it. */
			set_up(s, type);
			CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0xb, 0xa, 0), GOOD);
			AFTER(s, spec_out(s, A0, PREEMPT, now, 0xa, 0xa, 0), GOOD,
			      state_of(now, "A0=a* C1=c%s", 0xa),
			      now != type ? "B0:02a05 C1:02a04" : "B0:02a05");
			/* One who shares the holder's key takes over and keeps its registration. */
			set_up(s, type);
			CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0xb, 0xa, 0), GOOD);
			AFTER(s, spec_out(s, B0, PREEMPT, now, 0xa, 0xa, 0), GOOD,
			      state_of(now, "B0=a* C1=c%s", 0xa),
			      now != type ? "A0:02a05 C1:02a04" : "A0:02a05");
		}
	spec_free(s);
}

/* 5.13.11.2.4.4: the key is nobody's who holds: registrations go, the reservation stays. */
static void test_preempt_registrations(void)
{
	struct spec_world *s = spec_new();

	for (unsigned t = 0; t <= sizeof(types); t++) {
		unsigned type = t < sizeof(types) ? types[t] : 0;
		const char *a = type ? "A0=a* B0=b%s" : "A0=a B0=b%s";

		if (all_registrants(type))
			continue;
		set_up(s, type);	/* SCOPE and TYPE are ignored */
		AFTER(s, spec_out(s, B0, PREEMPT, 1, 0xb, 0xc, 0), GOOD, state_of(type, a, 0xa),
		      "C1:02a05");
		set_up(s, type);
		AFTER(s, spec_out(s, B0, PREEMPT, 0xff, 0xb, 0xc, 0), GOOD, state_of(type, a, 0xa),
		      "C1:02a05");
		/* Nobody has that key, and a wrong key of one's own */
		AFTER(s, spec_out(s, B0, PREEMPT, 1, 0xb, 0xc, 0), CONFLICT, state_of(type, a, 0xa),
		      "");
		AFTER(s, spec_out(s, B0, PREEMPT, 1, 0xa, 0xa, 0), CONFLICT, state_of(type, a, 0xa),
		      "");
		AFTER(s, spec_out(s, C1, PREEMPT, 1, 0xc, 0xa, 0), CONFLICT, state_of(type, a, 0xa),
		      "");
		/* One's own registration, and a namesake's: both go, oneself is not told. */
		set_up(s, type);
		CU_ASSERT_EQUAL(spec_out(s, C1, REGISTER, 0, 0xc, 0xb, 0), GOOD);
		AFTER(s, spec_out(s, B0, PREEMPT, 1, 0xb, 0xb, 0), GOOD,
		      state_of(type, type ? "A0=a*" : "A0=a", 0xa), "C1:02a05");
	}
	/* Zero identifies nobody unless all registrants hold (5.13.11.2.4.1). */
	for ALL_TYPES(type, i) {
		if (all_registrants(type))
			continue;
		set_up(s, type);
		AFTER(s, spec_out(s, B0, PREEMPT, type, 0xb, 0, 0), BAD_PARAM,
		      state_of(type, "A0=a* B0=b%s C1=c%s", 0xa), "");
		AFTER(s, spec_out(s, A0, PREEMPT_AND_ABORT, type, 0xa, 0, 0), BAD_PARAM,
		      state_of(type, "A0=a* B0=b%s C1=c%s", 0xa), "");
	}
	spec_free(s);
}

/* 5.13.11.2.4: all registrants: a key removes those registrations, zero everybody's. */
static void test_preempt_all_registrants(void)
{
	struct spec_world *s = spec_new();

	for (unsigned type = 7; type <= 8; type++) {
		for ALL_TYPES(now, k) {
			set_up(s, type);
			AFTER(s, spec_out(s, B0, PREEMPT, now, 0xb, 0, 0), GOOD,
			      state_of(now, "B0=b*", 0xb), "A0:02a05 C1:02a05");
		}
		set_up(s, type);
		AFTER(s, spec_out(s, B0, PREEMPT, 1, 0xb, 0xa, 0), GOOD,
		      state_of(type, "B0=b* C1=c*", 0), "A0:02a05");
		AFTER(s, spec_out(s, B0, PREEMPT, 1, 0xb, 0xa, 0), CONFLICT,
		      state_of(type, "B0=b* C1=c*", 0), "");
		AFTER(s, spec_out(s, C1, PREEMPT, 1, 0xc, 0xc, 0), GOOD,
		      state_of(type, "B0=b*", 0), "");
		/* The last registration removed takes the reservation along. */
		AFTER(s, spec_out(s, B0, PREEMPT, 1, 0xb, 0xb, 0), GOOD, "", "");
	}
	spec_free(s);
}

/*
 * 5.13.11.2.6: as PREEMPT, and all commands of the nexuses associated with the reservation or the
 * registrations preempted are aborted, but for the PERSISTENT RESERVE OUT itself: so those of the
 * one that asks too, where the reservation it preempts is its own, or all registrants'.
 */
static void test_preempt_and_abort(void)
{
	struct spec_world *s = spec_new();
	char who[256];

	for ALL_TYPES(type, i) {
		set_up(s, type);
		if (all_registrants(type)) {
			AFTER(s, spec_out(s, B0, PREEMPT_AND_ABORT, 3, 0xb, 0, 0), GOOD,
			      "B0=b* 3:b", "A0:02a05 C1:02a05");
			CU_ASSERT_STRING_EQUAL(spec_aborts(s, who), "A0 B0 C1");
			set_up(s, type);
			AFTER(s, spec_out(s, B0, PREEMPT_AND_ABORT, 3, 0xb, 0xc, 0), GOOD,
			      state_of(type, "A0=a* B0=b*", 0), "C1:02a05");
			CU_ASSERT_STRING_EQUAL(spec_aborts(s, who), "C1");
			continue;
		}
		AFTER(s, spec_out(s, B0, PREEMPT_AND_ABORT, type, 0xb, 0xa, 0), GOOD,
		      state_of(type, "B0=b* C1=c", 0xb), "A0:02a05");
		CU_ASSERT_STRING_EQUAL(spec_aborts(s, who), "A0");
		CU_ASSERT_FALSE(s->fx.abort_all);
		AFTER(s, spec_out(s, B0, PREEMPT_AND_ABORT, type, 0xb, 0xb, 0), GOOD,
		      state_of(type, "B0=b* C1=c", 0xb), "");
		CU_ASSERT_STRING_EQUAL(spec_aborts(s, who), "B0");
		AFTER(s, spec_out(s, B0, PREEMPT_AND_ABORT, type, 0xb, 0xc, 0), GOOD,
		      state_of(type, "B0=b*", 0xb), "C1:02a05");
		CU_ASSERT_STRING_EQUAL(spec_aborts(s, who), "C1");
		AFTER(s, spec_out(s, B0, PREEMPT_AND_ABORT, type, 0xb, 0xc, 0), CONFLICT,
		      state_of(type, "B0=b*", 0xb), "");
		CU_ASSERT_EQUAL(s->fx.nabort, 0);
		AFTER(s, spec_out(s, A0, PREEMPT_AND_ABORT, type, 0xa, 0xb, 0), CONFLICT,
		      state_of(type, "B0=b*", 0xb), "");
		set_up(s, type);		/* its own registration only */
		AFTER(s, spec_out(s, B0, PREEMPT_AND_ABORT, type, 0xb, 0xb, 0), GOOD,
		      state_of(type, "A0=a* C1=c", 0xa), "");
		CU_ASSERT_STRING_EQUAL(spec_aborts(s, who), "B0");
	}
	spec_free(s);
}

/* 6.15.2: what counts in PRGENERATION, and that errors do not. */
static void test_generation(void)
{
	struct spec_world *s = spec_new();
	uint32_t gen;

	spec_reset(s);
	CU_ASSERT_EQUAL(spec_gen(s), 0);
#define STEP(by, got, want) do {							\
	gen = spec_gen(s);								\
	CU_ASSERT_EQUAL((got), (want));							\
	CU_ASSERT_EQUAL(spec_gen(s), gen + (by));					\
} while (0)
	STEP(1, spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	STEP(1, spec_out(s, A0, REGISTER, 0, 0xa, 0xa, 0), GOOD);
	STEP(1, spec_out(s, B0, REGISTER_AND_IGNORE, 0, 0, 0xb, 0), GOOD);
	STEP(1, spec_out(s, C1, REGISTER, 0, 0, 0xc, ALL_TG_PT), GOOD);
	STEP(0, spec_out(s, B0, REGISTER, 0, 0x1, 0xb, 0), CONFLICT);
	STEP(0, spec_out(s, A0, RESERVE, 5, 0xa, 0, 0), GOOD);
	STEP(0, spec_out(s, A0, RESERVE, 5, 0xa, 0, 0), GOOD);
	STEP(0, spec_out(s, B0, RESERVE, 5, 0xb, 0, 0), CONFLICT);
	STEP(0, spec_out(s, A0, RELEASE, 6, 0xa, 0, 0), BAD_RELEASE);
	STEP(0, spec_out(s, B0, RELEASE, 5, 0xb, 0, 0), GOOD);
	STEP(1, spec_move(s, A0, 0xa, 0xd, D1, 0), GOOD);
	STEP(0, spec_move(s, A0, 0xa, 0xd, D1, 0), CONFLICT);
	STEP(1, spec_out(s, A0, PREEMPT, 5, 0xa, 0xd, 0), GOOD);
	STEP(0, spec_out(s, A0, PREEMPT, 5, 0xa, 0xd, 0), CONFLICT);
	STEP(0, spec_out(s, A0, PREEMPT, 5, 0xa, 0, 0), BAD_PARAM);
	STEP(0, spec_out(s, A0, RELEASE, 5, 0xa, 0, 0), GOOD);
	s->gate[B0].ua = s->gate[C1].ua = s->gate[C0].ua = 0;
	STEP(1, spec_out(s, A0, PREEMPT_AND_ABORT, 5, 0xa, 0xb, 0), GOOD);
	s->gate[B0].ua = 0;
	STEP(0, spec_out(s, B0, CLEAR, 0, 0xb, 0, 0), CONFLICT);
	STEP(1, spec_out(s, C1, REGISTER, 0, 0xc, 0, 0), GOOD);
	STEP(0, spec_in(s, A0, READ_KEYS, 100), GOOD);
	STEP(0, spec_in(s, A0, READ_RESERVATION, 100), GOOD);
	STEP(0, spec_in(s, A0, REPORT_CAPABILITIES, 100), GOOD);
	STEP(0, spec_in(s, A0, READ_FULL_STATUS, 100), GOOD);
	STEP(1, spec_out(s, A0, CLEAR, 0, 0xa, 0, 0), GOOD);
	CU_ASSERT_NOT_EQUAL(spec_gen(s), 0);
#undef STEP
	spec_free(s);
}

UNIT_MAIN("spec_actions",
	UNIT(test_register),
	UNIT(test_register_and_ignore),
	UNIT(test_change_key_of_holder),
	UNIT(test_unregister),
	UNIT(test_reserve),
	UNIT(test_scope_and_type),
	UNIT(test_release),
	UNIT(test_clear),
	UNIT(test_preempt_holder),
	UNIT(test_preempt_self),
	UNIT(test_preempt_registrations),
	UNIT(test_preempt_all_registrants),
	UNIT(test_preempt_and_abort),
	UNIT(test_generation))
