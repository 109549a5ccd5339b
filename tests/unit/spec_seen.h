/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an initiator can see of reservations: the four PERSISTENT RESERVE IN answers, taken apart by
 * hand and checked against each other, and the unit attentions that wait, fetched with TEST UNIT
 * READY. As a structure for the property test, as text for the cases.
 */
#ifndef TESTS_SPEC_SEEN_H
#define TESTS_SPEC_SEEN_H

#include "tests/unit/spec_world.h"

/* How commands end, as spec_result() says it. */
enum {
	GOOD = SAM_GOOD, CONFLICT = SAM_RESERVATION_CONFLICT,
	BAD_CDB = SENSE_CODE(5, 0x24, 0), BAD_PARAM = SENSE_CODE(5, 0x26, 0),
	BAD_RELEASE = SENSE_CODE(5, 0x26, 4), BAD_LENGTH = SENSE_CODE(5, 0x1a, 0),
	NO_RESOURCES = SENSE_CODE(5, 0x55, 4),
};

/* Where the text leaves open which of the two: both are right, and the state must be as it was. */
static inline uint32_t param_or(uint32_t got, uint32_t other)
{
	return got == other ? BAD_PARAM : got;
}

struct spec_seen {
	uint32_t gen;			/* PRGENERATION */
	bool reg[SPEC_NEXUSES], holder[SPEC_NEXUSES];
	uint64_t key[SPEC_NEXUSES];
	unsigned type;			/* 0: no reservation */
	uint64_t rkey;			/* READ RESERVATION's key */
	bool ptpl_a;			/* REPORT CAPABILITIES: power loss is survived */
};

#define SEEN(cond) do {									\
	if (!(cond)) {									\
		fprintf(stderr, "PERSISTENT RESERVE IN: not so: %s\n", #cond);		\
		return false;								\
	}										\
} while (0)

static inline size_t seen_answer(const struct spec_world *s, unsigned sa, uint8_t *buf, size_t cap)
{
	struct wcur w = wcur_of(buf, cap);

	if (!pr_in(s->w.v.pr, &s->target, (uint8_t)sa, &w) || w.len > cap ||
	    w.len > pr_in_max(s->w.v.pr, (uint8_t)sa))
		return 0;
	return w.len;
}

/* SPC-4 6.15.5: one full status descriptor; gives its length, 0 if it is not one. */
static inline size_t seen_descriptor(const struct spec_world *s, const uint8_t *p, size_t left,
				     struct spec_seen *o)
{
	uint8_t tid[304];
	size_t n, want;

	SEEN(left >= 24);
	n = get_be32(p + 20);
	SEEN(n >= 24 && n % 4 == 0 && left >= 24 + n);
	SEEN(!get_be32(p + 8) && !(p[12] & ~3) && !get_be32(p + 14));
	for (unsigned i = 0; i < SPEC_NEXUSES; i++) {
		want = spec_tid(tid, i % SPEC_IPORTS);
		if (want != n || memcmp(tid, p + 24, n))
			continue;
		if (!(p[12] & 2) && get_be16(p + 18) != s->nexus[i].tpgt)
			continue;
		SEEN(!o->reg[i]);		/* a nexus is registered once */
		o->reg[i] = true;
		o->key[i] = get_be64(p);
		o->holder[i] = p[12] & 1;
		SEEN(!o->holder[i] || p[13] == o->type);	/* LU_SCOPE is 0 */
		want = 0;
		if (!(p[12] & 2))
			return 24 + n;
	}
	SEEN(!want);				/* somebody it was */
	return 24 + n;
}

/* READ KEYS lists a key once per registration, in whatever order (SPC-4 6.15.2). */
static inline bool seen_keys(const struct spec_seen *o, const uint8_t *p, size_t n)
{
	bool taken[SPEC_NEXUSES] = { false };
	unsigned regs = 0;

	SEEN(n >= 8 && get_be32(p + 4) == n - 8 && n % 8 == 0);
	SEEN(get_be32(p) == o->gen);
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		regs += o->reg[i];
	SEEN(n / 8 - 1 == regs);
	for (size_t k = 8; k < n; k += 8) {
		unsigned i = 0;

		while (i < SPEC_NEXUSES &&
		       (taken[i] || !o->reg[i] || o->key[i] != get_be64(p + k)))
			i++;
		SEEN(i < SPEC_NEXUSES);
		taken[i] = true;
	}
	return true;
}

/* Looks; false (and a line on stderr) if the answers are malformed or contradict each other. */
static inline bool spec_look(const struct spec_world *s, struct spec_seen *o)
{
	/* SPC-4 6.15.4: all six types. */
	static const uint8_t types[2] = { 0xea, 0x01 };
	uint8_t buf[SPEC_NEXUSES * 360];
	size_t n, at;

	*o = (struct spec_seen){ 0 };
	n = seen_answer(s, READ_RESERVATION, buf, sizeof(buf));
	SEEN(n >= 8 && get_be32(buf + 4) == n - 8 && (n == 8 || n == 24));
	o->gen = get_be32(buf);
	if (n == 24) {
		SEEN(!get_be32(buf + 16) && !buf[20] && !buf[22] && !buf[23]);
		SEEN(!(buf[21] & 0xf0) && buf[21]);
		o->rkey = get_be64(buf + 8);
		o->type = buf[21];
	}
	n = seen_answer(s, READ_FULL_STATUS, buf, sizeof(buf));
	SEEN(n >= 8 && get_be32(buf + 4) == n - 8 && get_be32(buf) == o->gen);
	for (at = 8; at < n;) {
		size_t len = seen_descriptor(s, buf + at, n - at, o);

		SEEN(len);
		at += len;
	}
	n = seen_answer(s, READ_KEYS, buf, sizeof(buf));
	if (!seen_keys(o, buf, n))
		return false;
	n = seen_answer(s, REPORT_CAPABILITIES, buf, sizeof(buf));
	SEEN(n == 8 && get_be16(buf) == 8);
	/* CRH, SIP_C, ATP_C, PTPL_C; TMV */
	SEEN(buf[2] == 0x1d && (buf[3] & 0x8e) == 0x80 && !memcmp(buf + 4, types, 2) &&
	     !get_be16(buf + 6));
	o->ptpl_a = buf[3] & 1;
	return true;
}

static inline void __attribute__((format(printf, 2, 3)))
seen_say(char *out, const char *fmt, ...)
{
	size_t len = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + len, 256 - len, fmt, ap);
	va_end(ap);
}

static inline void seen_nexus(char *out, unsigned i)
{
	seen_say(out, "%s%c%u", *out ? " " : "", (int)('A' + i % SPEC_IPORTS), i / SPEC_IPORTS);
}

/*
 * "A0=a* B0=b 5:a": who is registered with which key, * for a holder, then type and key of the
 * reservation. out: 256 bytes.
 */
static inline const char *spec_state(const struct spec_world *s, char *out)
{
	struct spec_seen o;

	*out = 0;
	if (!spec_look(s, &o))
		return "malformed";
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		if (o.reg[i]) {
			seen_nexus(out, i);
			seen_say(out, "=%llx%s", (unsigned long long)o.key[i],
				 o.holder[i] ? "*" : "");
		}
	if (o.type)
		seen_say(out, " %u:%llx", o.type, (unsigned long long)o.rkey);
	return out;
}

static inline uint32_t spec_gen(const struct spec_world *s)
{
	struct spec_seen o;

	return spec_look(s, &o) ? o.gen : ~0u;
}

/* "B0:2a05 C0:2a04": fetches every unit attention there is, as the nexuses would. */
static inline const char *spec_uas(struct spec_world *s, char *out)
{
	static const uint8_t tur[6];

	*out = 0;
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		for (;;) {
			spec_run(s, i, tur, sizeof(tur), NONE, 0, NULL);
			if (s->w.c.status != SAM_CHECK_CONDITION || strlen(out) > 200)
				break;
			seen_nexus(out, i);
			seen_say(out, ":%x%02x%02x", s->w.c.sense.key == 6 ? 0 :
				 s->w.c.sense.key, s->w.c.sense.asc, s->w.c.sense.ascq);
		}
	if (s->strangers)
		seen_say(out, " and %u strangers", s->strangers);
	return out;
}

/* "B0 C0": whose commands the last change aborts. */
static inline const char *spec_aborts(const struct spec_world *s, char *out)
{
	bool hit[SPEC_NEXUSES + 1] = { false };

	*out = 0;
	for (uint32_t i = 0; i < s->fx.nabort; i++)
		hit[spec_who(s, &s->fx.abort[i])] = true;
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		if (hit[i])
			seen_nexus(out, i);
	if (hit[SPEC_NEXUSES])
		seen_say(out, " and strangers");
	if (s->fx.abort_all)
		seen_say(out, " everybody");
	return out;
}

/*
 * After a PERSISTENT RESERVE OUT: its result, the state, and the unit attentions (which are then
 * fetched). For use with CUnit.
 */
#define AFTER(s, got, want, state, uas) do {						\
	char st_[256], ua_[256];							\
	uint32_t got_ = (got), want_ = (want);						\
	const char *s_ = spec_state((s), st_), *u_ = spec_uas((s), ua_);		\
	bool ok_ = got_ == want_ && !strcmp(s_, (state)) && !strcmp(u_, (uas));		\
											\
	CU_ASSERT(ok_);									\
	if (!ok_)									\
		fprintf(stderr, "line %d:\n  want %06x, \"%s\", \"%s\"\n  got  %06x, \"%s\", "	\
			"\"%s\"\n", __LINE__, want_, (state), (uas), got_, s_, u_);	\
} while (0)

#endif
