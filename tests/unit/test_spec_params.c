/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the parameter lists of PERSISTENT RESERVE OUT: lengths, TransportIDs (SPEC_I_PT),
 * ALL_TG_PT, APTPL; and the answers of PERSISTENT RESERVE IN, cut anywhere. From the text of SPC-4
 * 5.13, 6.15, 6.16 and 7.6.4; see test_spec_actions.c.
 */
#include "tests/unit/spec_seen.h"
#include "tests/unit/unit.h"

/* REGISTER with SPEC_I_PT: a parameter list under construction (6.16.3). */
struct list {
	uint8_t b[4096];
	uint32_t len;
};

static struct list *list_new(struct list *l, uint64_t key, uint64_t sa_key, unsigned flags)
{
	memset(l, 0, sizeof(*l));
	put_be64(l->b, key);
	put_be64(l->b + 8, sa_key);
	l->b[20] = (uint8_t)(SPEC_I_PT | flags);
	l->len = 28;
	return l;
}

/* Appends n bytes and counts them in TRANSPORTID PARAMETER DATA LENGTH. */
static struct list *list_add(struct list *l, const void *p, size_t n)
{
	memcpy(l->b + l->len, p, n);
	l->len += (uint32_t)n;
	put_be32(l->b + 24, l->len - 28);
	return l;
}

static struct list *list_iport(struct list *l, unsigned iport)
{
	uint8_t tid[304];

	return list_add(l, tid, spec_tid(tid, iport));
}

/* A TransportID of format code `format` with any text, of `size` bytes in all. */
static struct list *list_text(struct list *l, unsigned format, const char *text, size_t size)
{
	uint8_t tid[512] = { (uint8_t)(format << 6 | 5) };

	put_be16(tid + 2, (uint16_t)(size - 4));
	memcpy(tid + 4, text, strlen(text) < size - 4 ? strlen(text) : size - 4);
	return list_add(l, tid, size);
}

static uint32_t list_send(struct spec_world *s, unsigned who, const struct list *l)
{
	return spec_out_raw(s, who, REGISTER, 0, l->b, l->len, l->len);
}

/* 6.16.1: 24 bytes, unless SPEC_I_PT or REGISTER AND MOVE. */
static void test_list_length(void)
{
	struct spec_world *s = spec_new();

	for (unsigned sa = REGISTER; sa <= REGISTER_AND_IGNORE; sa++)
		for (unsigned len = 0; len < 80; len++) {
			uint8_t list[80] = { [7] = 0xa, [15] = sa == PREEMPT ||
						sa == PREEMPT_AND_ABORT ? 0xb : 0x9 };

			if (len == 24)
				continue;
			spec_reset(s);
			CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
			CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, 0), GOOD);
			if (sa == RELEASE)
				CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, 5, 0xa, 0, 0), GOOD);
			AFTER(s, spec_out_raw(s, A0, sa, 5, list, len, len), BAD_LENGTH,
			      sa == RELEASE ? "A0=a* B0=b 5:a" : "A0=a B0=b", "");
		}
	/* More than can be: no buffer of that size, no crash, an error. */
	for (unsigned sa = REGISTER; sa <= REGISTER_AND_MOVE; sa++) {
		static const uint32_t much[] = { 65537, 1 << 20, 0x7fffffff, 0xffffffff };
		uint8_t list[24] = { [7] = 0xa, [15] = 0x9, [20] = SPEC_I_PT };

		for (unsigned i = 0; i < 4; i++) {
			uint32_t got = spec_out_raw(s, A0, sa, 5, list, 24, much[i]);

			CU_ASSERT(got == BAD_LENGTH || got == SENSE_CODE(5, 0x0e, 3));
		}
		/* The CDB announces more than the command brings. */
		CU_ASSERT_EQUAL(spec_out_raw(s, A0, sa, 5, list, 23, 24) >> 16, 5);
		CU_ASSERT_EQUAL(spec_out_raw(s, A0, sa, 5, NULL, 0, 24) >> 16, 5);
	}
	CU_ASSERT_STRING_EQUAL(spec_state(s, (char[256]){ 0 }), "A0=a B0=b");
	spec_free(s);
}

/* 6.15.1, 6.16.2: what is not a service action is an invalid field in the CDB. */
static void test_reserved_service_actions(void)
{
	struct spec_world *s = spec_new();

	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	for (unsigned sa = 4; sa < 32; sa++)
		CU_ASSERT_EQUAL(spec_in(s, A0, sa, 64), BAD_CDB);
	for (unsigned sa = 8; sa < 32; sa++)
		AFTER(s, spec_out(s, A0, sa, 1, 0xa, 0, 0), BAD_CDB, "A0=a", "");
	spec_free(s);
}

/* 5.13.7, 6.16.3: each nexus named that is not registered gets the key, all or none of them. */
static void test_spec_i_pt(void)
{
	struct spec_world *s = spec_new();
	struct list l;

	spec_reset(s);
	list_iport(list_iport(list_new(&l, 0, 0xa, 0), 1), 3);
	AFTER(s, list_send(s, A0, &l), GOOD, "A0=a B0=a D0=a", "");
	/*
	 * One that is registered, at whatever place: its registration fails, so none is made (table
	 * 57's footnote; one reads "each unregistered nexus" without it as "skip the others").
	 * Through the other port they are other nexuses.
	 */
	list_iport(list_iport(list_new(&l, 0, 0xc, 0), 2), 0);
	AFTER(s, param_or(list_send(s, C0, &l), BAD_CDB), BAD_PARAM, "A0=a B0=a D0=a", "");
	AFTER(s, list_send(s, C1, &l), GOOD, "A0=a B0=a D0=a A1=c C1=c", "");
	/* The one who asks and one twice in the list: as if once. An empty list. */
	spec_reset(s);
	list_iport(list_iport(list_iport(list_new(&l, 0, 0xa, 0), 0), 1), 1);
	AFTER(s, list_send(s, A0, &l), GOOD, "A0=a B0=a", "");
	AFTER(s, list_send(s, C0, list_new(&l, 0, 0xc, 0)), GOOD, "A0=a B0=a C0=c", "");
	/* A registered nexus must not use it; nothing to register: nothing happens (table 67). */
	list_iport(list_new(&l, 0xa, 0xb, 0), 3);
	AFTER(s, param_or(list_send(s, A0, &l), BAD_CDB), BAD_PARAM, "A0=a B0=a C0=c", "");
	list_iport(list_new(&l, 0xa, 0, 0), 3);
	AFTER(s, param_or(list_send(s, A0, &l), BAD_CDB), BAD_PARAM, "A0=a B0=a C0=c", "");
	list_iport(list_new(&l, 0xb, 0xb, 0), 3);
	AFTER(s, list_send(s, A0, &l), CONFLICT, "A0=a B0=a C0=c", "");
	AFTER(s, list_send(s, D0, &l), CONFLICT, "A0=a B0=a C0=c", "");
	list_iport(list_new(&l, 0, 0, 0), 3);
	AFTER(s, list_send(s, A1, &l), GOOD, "A0=a B0=a C0=c", "");
	/* Not with another service action, whose list would else be of the right length. */
	for (unsigned sa = RESERVE; sa <= REGISTER_AND_IGNORE; sa++)
		AFTER(s, spec_out(s, A0, sa, 1, 0xa, 0xa, SPEC_I_PT), BAD_PARAM,
		      "A0=a B0=a C0=c", "");
	spec_free(s);
}

/*
 * 7.6.4.6: what is no iSCSI TransportID, at the end of a list with a good one: nothing happens.
 * Fewer than 12 digits are not judged: the text wants "the hexadecimal digits" of the ISID, RFC
 * 7143 calls it a hex-constant, which may lack leading zeroes.
 */
static void test_bad_transportids(void)
{
	static const struct { unsigned format; const char *text; size_t size; } bad[] = {
		{ 1, "iqn.2026-11.com.example:a,i,0x800102030405ff", 60 },	/* ISID long */
		{ 1, "iqn.2026-11.com.example:a,i,0x80010203040g", 60 },
		{ 1, "iqn.2026-11.com.example:a,i,0x", 60 },
		{ 1, "iqn.2026-11.com.example:a,i,800102030405", 60 },
		{ 1, "iqn.2026-11.com.example:a,t,0x800102030405", 60 },
		{ 1, "iqn.2026-11.com.example:a", 60 },
		{ 1, ",i,0x800102030405", 24 },				/* no name */
		{ 1, "iqn.2026-11.com.example: a,i,0x800102030405", 60 },
		{ 1, "iqn.2026-11.com.example:a\x7f,i,0x800102030405", 60 },
		{ 1, "iqn.2026-11.com.example:a,b,i,0x800102030405", 60 },
		{ 1, "iqn.2026-11.com.example:a,i,0x80010203040:", 60 },
		{ 1, "", 24 },
		{ 0, "", 24 },
		/* no NUL */
		{ 1, "iqn.2026-11.com.example:abcdefghijklmnopqr,i,0x800102030405", 60 },
		{ 2, "iqn.2026-11.com.example:a,i,0x800102030405", 60 },	/* no such format */
		{ 3, "iqn.2026-11.com.example:a,i,0x800102030405", 60 },
		{ 1, "iqn.2026-11.com.example:a,i,0x800102030405", 58 },	/* not times 4 */
		{ 1, "iqn.ab,i,0x800102030405", 20 },			/* less than 24 bytes */
	};
	struct spec_world *s = spec_new();
	struct list l;
	char name[260];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (unsigned first = 0; first < 2; first++) {
			uint32_t got;

			spec_reset(s);
			list_new(&l, 0, 0xa, 0);
			if (first)
				list_iport(&l, 1);
			list_text(&l, bad[i].format, bad[i].text, bad[i].size);
			got = param_or(list_send(s, A0, &l), BAD_LENGTH);
			AFTER(s, got, BAD_PARAM, "", "");
			if (got != BAD_PARAM)
				fprintf(stderr, "TransportID %u: %s\n", i, bad[i].text);
		}
	/* Names of 223 bytes are good, of 224 not. */
	for (unsigned n = 223; n <= 224; n++) {
		memset(name, 'x', sizeof(name));
		memcpy(name, "iqn.", 4);
		strcpy(name + n, ",i,0x800102030405");
		spec_reset(s);
		list_text(list_new(&l, 0, 0xa, 0), 1, name, 248);
		CU_ASSERT_EQUAL(param_or(list_send(s, A0, &l), BAD_LENGTH),
				n == 223 ? GOOD : BAD_PARAM);
		CU_ASSERT_EQUAL(pr_any(s->w.v.pr), n == 223);
	}
	/* Another protocol's TransportID (0 FC to 6 SAS, 5 is iSCSI). */
	for (unsigned protocol = 0; protocol < 16; protocol++) {
		spec_reset(s);
		list_iport(list_new(&l, 0, 0xa, 0), 1);
		l.b[28] = (uint8_t)((l.b[28] & 0xf0) | protocol);
		AFTER(s, list_send(s, A0, &l), protocol == 5 ? GOOD : BAD_PARAM,
		      protocol == 5 ? "A0=a B0=a" : "", "");
	}
	spec_free(s);
}

/*
 * 7.6.4.6, format 00b: all initiator ports of that name the device server knows of. It knows the
 * registered ones and those logged in; what it must not do is register somebody else, or half.
 */
static void test_initiator_device(void)
{
	struct spec_world *s = spec_new();
	struct list l;

	spec_reset(s);
	CU_ASSERT_EQUAL(spec_out(s, C0, REGISTER, 0, 0, 0xc, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, C0, RESERVE, 1, 0xc, 0, 0), GOOD);
	list_text(list_iport(list_new(&l, 0, 0xa, 0), 1), 0, spec_iports[C0].name, 36);
	AFTER(s, list_send(s, A0, &l), BAD_PARAM, "C0=c* 1:c", "");
	spec_free(s);
}

/* RFC 7143 4.2.7: names compare without case; hexadecimal digits come in both. */
static void test_transportid_case(void)
{
	struct spec_world *s = spec_new();
	struct list l;

	spec_reset(s);
	list_text(list_new(&l, 0, 0xa, 0), 1, "IQN.2026-11.COM.Example:A,i,0x8001020304B0", 60);
	AFTER(s, list_send(s, A0, &l), GOOD, "A0=a B0=a", "");
	list_text(list_new(&l, 0, 0xc, 0), 1, "IQN.2026-11.COM.EXAMPLE:C-Z,i,0x00023DACEF19", 60);
	AFTER(s, list_send(s, C0, &l), GOOD, "A0=a B0=a C0=c D0=c", "");
	spec_free(s);
}

/* 6.16.3: TRANSPORTID PARAMETER DATA LENGTH against the list and the TransportIDs in it. */
static void test_transportid_lengths(void)
{
	struct spec_world *s = spec_new();
	struct list l;
	uint32_t full;

	list_iport(list_iport(list_new(&l, 0, 0xa, 0), 1), 2);
	full = l.len;
	for (uint32_t cut = 24; cut < full; cut++) {	/* the list ends early */
		spec_reset(s);
		AFTER(s, param_or(spec_out_raw(s, A0, REGISTER, 0, l.b, cut, cut), BAD_LENGTH),
		      BAD_PARAM, "", "");
	}
	for (uint32_t n = 1; n < full - 28; n++) {	/* a TransportID is truncated */
		uint32_t first = 4 + (uint32_t)get_be16(l.b + 30);

		if (n == first)
			continue;
		spec_reset(s);
		put_be32(l.b + 24, n);
		AFTER(s, param_or(spec_out_raw(s, A0, REGISTER, 0, l.b, 28 + n, 28 + n),
				  BAD_LENGTH), BAD_PARAM, "", "");
	}
	for (uint32_t more = 1; more < 5; more++) {	/* it promises more than there is */
		spec_reset(s);
		put_be32(l.b + 24, full - 28 + more);
		AFTER(s, param_or(list_send(s, A0, &l), BAD_LENGTH), BAD_PARAM, "", "");
	}
	put_be32(l.b + 24, 0xfffffff0);
	AFTER(s, param_or(list_send(s, A0, &l), BAD_LENGTH), BAD_PARAM, "", "");
	spec_free(s);
}

/* 6.16.3: as if the same request had come through each target port. */
static void test_all_tg_pt(void)
{
	struct spec_world *s = spec_new();
	struct list l;

	spec_reset(s);
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0, 0xa, ALL_TG_PT), GOOD, "A0=a A1=a", "");
	AFTER(s, spec_out(s, A1, REGISTER, 0, 0xa, 0xb, ALL_TG_PT), GOOD, "A0=b A1=b", "");
	AFTER(s, spec_out(s, A1, REGISTER, 0, 0xb, 0xc, 0), GOOD, "A0=b A1=c", "");
	/* The key is wrong on the other port: the request would conflict there. */
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0xb, 0xd, ALL_TG_PT), CONFLICT, "A0=b A1=c", "");
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0xb, 0, ALL_TG_PT), CONFLICT, "A0=b A1=c", "");
	AFTER(s, spec_out(s, A0, REGISTER_AND_IGNORE, 0, 0, 0xd, ALL_TG_PT), GOOD, "A0=d A1=d", "");
	AFTER(s, spec_out(s, A0, RESERVE, 5, 0xd, 0, 0), GOOD, "A0=d* A1=d 5:d", "");
	AFTER(s, spec_out(s, B1, REGISTER_AND_IGNORE, 0, 0, 0xb, 0), GOOD, "A0=d* A1=d B1=b 5:d",
	      "");
	/* Unregistered everywhere: the reservation goes, others are told, the asker's ports not. */
	AFTER(s, spec_out(s, A0, REGISTER, 0, 0xd, 0, ALL_TG_PT), GOOD, "B1=b", "B1:02a04");
	/* Not registered here, but there. */
	AFTER(s, spec_out(s, B0, REGISTER, 0, 0, 0xc, ALL_TG_PT), CONFLICT, "B1=b", "");
	AFTER(s, spec_out(s, B0, REGISTER_AND_IGNORE, 0, 0, 0xc, ALL_TG_PT), GOOD, "B0=c B1=c", "");
	/* With SPEC_I_PT: every port of every initiator port named. */
	spec_reset(s);
	list_iport(list_iport(list_new(&l, 0, 0xa, ALL_TG_PT), 1), 3);
	AFTER(s, list_send(s, A1, &l), GOOD, "A0=a B0=a D0=a A1=a B1=a D1=a", "");
	/* Ignored with other service actions (6.16.2). */
	AFTER(s, spec_out(s, A0, RESERVE, 1, 0xa, 0, ALL_TG_PT), GOOD,
	      "A0=a* B0=a D0=a A1=a B1=a D1=a 1:a", "");
	AFTER(s, spec_out(s, A0, RELEASE, 1, 0xa, 0, ALL_TG_PT), GOOD,
	      "A0=a B0=a D0=a A1=a B1=a D1=a", "");
	AFTER(s, spec_out(s, A0, CLEAR, 1, 0xa, 0, ALL_TG_PT), GOOD, "",
	      "B0:02a03 D0:02a03 A1:02a03 B1:02a03 D1:02a03");
	spec_free(s);
}

static bool ptpl_a(struct spec_world *s)
{
	struct spec_seen o;

	CU_ASSERT(spec_look(s, &o));
	return o.ptpl_a;
}

/* 5.13.5, 6.15.4: the last successful REGISTER (of any kind) decides; nothing else does. */
static void test_aptpl(void)
{
	struct spec_world *s = spec_new();

	spec_reset(s);
	CU_ASSERT_FALSE(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, APTPL), GOOD);
	CU_ASSERT(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0x1, 0xb, 0), CONFLICT);
	CU_ASSERT(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, 1, 0xa, 0, 0), GOOD);
	CU_ASSERT(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, 0), GOOD);
	CU_ASSERT_FALSE(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_out(s, B0, PREEMPT, 1, 0xb, 0xa, APTPL), GOOD);
	CU_ASSERT_FALSE(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_move(s, B0, 0xb, 0xc, C0, APTPL), GOOD);
	CU_ASSERT(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_move(s, B0, 0xb, 0xc, C0, 0), CONFLICT);
	CU_ASSERT(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_out(s, C0, RELEASE, 1, 0xc, 0, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, C0, REGISTER_AND_IGNORE, 1, 0, 0xc, APTPL), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, C0, CLEAR, 1, 0xc, 0, 0), GOOD);
	CU_ASSERT(ptpl_a(s));
	CU_ASSERT_EQUAL(spec_out(s, C0, REGISTER_AND_IGNORE, 1, 0, 0xc, 0), GOOD);
	CU_ASSERT_FALSE(ptpl_a(s));
	spec_free(s);
}

static uint32_t home_result(const struct spec_world *s)
{
	if (s->fx.status == SAM_CHECK_CONDITION)
		return SENSE_CODE(s->fx.sense.key, s->fx.sense.asc, s->fx.sense.ascq);
	return s->fx.status;
}

/* At home: fewer bytes have come than the CDB announces. They are not read, nothing happens. */
static void test_short_of_data(void)
{
	struct spec_world *s = spec_new();

	spec_reset(s);
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, 3, 0xa, 0, 0), GOOD);
	for (unsigned sa = REGISTER; sa <= REGISTER_AND_MOVE; sa++)
		for (uint32_t have = 0; have < 24; have++) {
			uint8_t *list = calloc(1, have + 1);
			struct lu_request rq = { .kind = LU_CHANGE_CMD, .seq = ++s->seq,
						 .has_nexus = true, .nexus = s->nexus[A0],
						 .cdb = { 0x5f, (uint8_t)sa, 3, [8] = 24 },
						 .cdb_len = 10, .param_len = have };

			if (have > 7)
				list[7] = 0xa;
			rq.param = have ? list : NULL;
			spec_home(s, &rq);
			CU_ASSERT_NOT_EQUAL(home_result(s), GOOD);
			CU_ASSERT_FALSE(s->fx.changed);
			free(list);
		}
	CU_ASSERT_STRING_EQUAL(spec_state(s, (char[256]){ 0 }), "A0=a* 3:a");
	spec_free(s);
}

/* An initiator that is not of this world registers, or unregisters (off). */
static uint32_t stranger(struct spec_world *s, unsigned n, unsigned sa, bool off)
{
	uint8_t list[24] = { [8] = !off };
	struct lu_request rq = { .kind = LU_CHANGE_CMD, .seq = ++s->seq, .has_nexus = true,
				 .nexus = { .tpgt = 1 }, .cdb = { 0x5f, (uint8_t)sa, [8] = 24 },
				 .cdb_len = 10, .param = list, .param_len = 24 };

	put_be32(list + 12, off ? 0 : n);
	snprintf(rq.nexus.initiator, sizeof(rq.nexus.initiator), "iqn.2026-11.com.example:s%u", n);
	spec_home(s, &rq);
	return home_result(s);
}

static uint32_t key_list_length(struct spec_world *s, unsigned who)
{
	CU_ASSERT_EQUAL(spec_in(s, who, READ_KEYS, 8), GOOD);
	return s->w.c.in_len == 8 ? get_be32(s->w.c.in + 4) : 0;
}

/* 6.16.1: no room for a registration: 55/04, and nothing has changed. */
static void test_insufficient_resources(void)
{
	struct spec_world *s = spec_new();
	struct list l;

	spec_reset(s);
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, 1, 0xa, 0, 0), GOOD);
	for (unsigned n = 1; n < PR_REGISTRANTS_MAX - 1; n++)
		CU_ASSERT_EQUAL(stranger(s, n, REGISTER, false), GOOD);
	CU_ASSERT_EQUAL(key_list_length(s, A0), 8 * (PR_REGISTRANTS_MAX - 1));
	/* Two with room for one: neither. */
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, ALL_TG_PT), NO_RESOURCES);
	list_iport(list_new(&l, 0, 0xb, 0), 2);
	CU_ASSERT_EQUAL(list_send(s, B0, &l), NO_RESOURCES);
	CU_ASSERT_EQUAL(key_list_length(s, A0), 8 * (PR_REGISTRANTS_MAX - 1));
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, 0), GOOD);
	CU_ASSERT_EQUAL(key_list_length(s, A0), 8 * PR_REGISTRANTS_MAX);
	/* Full: no new one, in no way; everything else still works. */
	CU_ASSERT_EQUAL(stranger(s, 5000, REGISTER, false), NO_RESOURCES);
	CU_ASSERT_EQUAL(spec_out(s, C0, REGISTER_AND_IGNORE, 0, 0, 0xc, 0), NO_RESOURCES);
	CU_ASSERT_EQUAL(spec_move(s, A0, 0xa, 0xc, C0, 0), NO_RESOURCES);
	CU_ASSERT_EQUAL(spec_out(s, C0, REGISTER, 0, 0x1, 0xc, 0), CONFLICT);
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0xb, 0xd, 0), GOOD);
	CU_ASSERT_EQUAL(spec_move(s, A0, 0xa, 0xd, B0, 0), GOOD);
	CU_ASSERT_EQUAL(spec_move(s, B0, 0xd, 0xa, A0, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0xd, 0, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, C0, REGISTER, 0, 0, 0xc, 0), GOOD);
	CU_ASSERT_EQUAL(spec_in(s, A0, READ_FULL_STATUS, 65535), GOOD);
	CU_ASSERT_EQUAL(s->w.c.in_len, 65535);		/* there is more */
	CU_ASSERT_EQUAL(spec_out(s, A0, CLEAR, 0, 0xa, 0, 0), GOOD);
	CU_ASSERT_EQUAL(s->fx.nua, PR_REGISTRANTS_MAX - 1);
	CU_ASSERT_EQUAL(key_list_length(s, A0), 0);
	spec_free(s);
}

/* Initiators with ever new names come and go: nothing of them stays (random ISIDs do that). */
static void test_come_and_go(void)
{
	struct spec_world *s = spec_new();
	size_t size;

	spec_reset(s);
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	size = pr_state_size(s->w.v.pr);
	for (unsigned n = 1; n < 3 * PR_REGISTRANTS_MAX; n++) {
		CU_ASSERT_EQUAL(stranger(s, n, REGISTER_AND_IGNORE, false), GOOD);
		CU_ASSERT(pr_state_size(s->w.v.pr) <= pr_state_max());
		CU_ASSERT_EQUAL(stranger(s, n, REGISTER_AND_IGNORE, true), GOOD);
		CU_ASSERT_EQUAL(pr_state_size(s->w.v.pr), size);
	}
	CU_ASSERT_EQUAL(key_list_length(s, A0), 8);
	CU_ASSERT_STRING_EQUAL(spec_state(s, (char[256]){ 0 }), "A0=a");
	spec_free(s);
}

/* 4.2.5.6, 6.15: an answer is cut at the allocation length, its length fields are not. */
static void test_allocation_length(void)
{
	struct spec_world *s = spec_new();
	uint8_t full[1024];

	spec_reset(s);
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, ALL_TG_PT), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, RESERVE, 6, 0xb, 0, 0), GOOD);
	for (unsigned sa = READ_KEYS; sa <= READ_FULL_STATUS; sa++) {
		uint32_t n;

		CU_ASSERT_EQUAL(spec_in(s, D1, sa, sizeof(full)), GOOD);
		n = s->w.c.in_len;
		CU_ASSERT(n >= 8 && n < sizeof(full));
		CU_ASSERT_EQUAL(n, sa == REPORT_CAPABILITIES ? get_be16(s->w.c.in) :
				8 + get_be32(s->w.c.in + 4));
		memcpy(full, s->w.c.in, n);
		for (unsigned alloc = 0; alloc <= n + 4; alloc++) {
			CU_ASSERT_EQUAL(spec_in(s, D1, sa, alloc), GOOD);
			CU_ASSERT_EQUAL(s->w.c.in_len, alloc < n ? alloc : n);
			CU_ASSERT(!s->w.c.in_len || !memcmp(s->w.c.in, full, s->w.c.in_len));
		}
	}
	/*
	 * 6.15.4: ALLOW COMMANDS. TEST UNIT READY passes every reservation and MODE SENSE passes
	 * Write Exclusive (test_spec_access.c), which 010b would deny; 101b and up are reserved.
	 */
	CU_ASSERT_EQUAL(spec_in(s, D1, REPORT_CAPABILITIES, 8), GOOD);
	CU_ASSERT_NOT_EQUAL(s->w.c.in[3] >> 4 & 7, 2);
	CU_ASSERT((s->w.c.in[3] >> 4 & 7) < 5);
	spec_free(s);
}

/* SAM-5 5.14: a unit attention comes first, once, and the command that met it has done nothing. */
static void test_unit_attention_first(void)
{
	struct spec_world *s = spec_new();
	char text[256];

	spec_reset(s);
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, A0, CLEAR, 0, 0xa, 0, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, 0), SENSE_CODE(6, 0x2a, 3));
	CU_ASSERT_STRING_EQUAL(spec_state(s, text), "");
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, 0xb, 0), GOOD);
	/* Two of them: released before preempted, by ASCQ. */
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, 0xa, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, RESERVE, 5, 0xb, 0, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, RELEASE, 5, 0xb, 0, 0), GOOD);
	CU_ASSERT_EQUAL(spec_out(s, B0, PREEMPT, 5, 0xb, 0xa, 0), GOOD);
	CU_ASSERT_STRING_EQUAL(spec_uas(s, text), "A0:02a04 A0:02a05");
	spec_free(s);
}

UNIT_MAIN("spec_params",
	UNIT(test_list_length),
	UNIT(test_reserved_service_actions),
	UNIT(test_spec_i_pt),
	UNIT(test_bad_transportids),
	UNIT(test_initiator_device),
	UNIT(test_transportid_case),
	UNIT(test_transportid_lengths),
	UNIT(test_all_tg_pt),
	UNIT(test_aptpl),
	UNIT(test_short_of_data),
	UNIT(test_insufficient_resources),
	UNIT(test_come_and_go),
	UNIT(test_allocation_length),
	UNIT(test_unit_attention_first))
