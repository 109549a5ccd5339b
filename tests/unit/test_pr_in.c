/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE IN (SPC-4 6.15) and iSCSI TransportIDs (7.6.4.6), byte by byte. */
#include "tests/unit/unit.h"

#include "tests/unit/pr_cmd.h"

#define GOOD(x) CU_ASSERT_EQUAL((x), SAM_GOOD)

static bool answer_is(uint8_t sa, const char *hex)
{
	size_t len = pr_read(sa);

	if (len * 2 != strlen(hex))
		return false;
	for (size_t i = 0; i < len; i++) {
		char two[3];

		snprintf(two, sizeof(two), "%02x", pr_in_buf[i]);
		if (memcmp(two, hex + 2 * i, 2))
			return false;
	}
	return true;
}

static void test_empty(void)
{
	struct wcur none = wcur_of(NULL, 0);

	pr_world();
	CU_ASSERT_TRUE(answer_is(0, "0000000000000000"));
	CU_ASSERT_TRUE(answer_is(1, "0000000000000000"));
	/* CRH, SIP_C, ATP_C, PTPL_C; TMV, ALLOW COMMANDS 100b; all six types */
	CU_ASSERT_TRUE(answer_is(2, "00081dc0ea010000"));
	CU_ASSERT_TRUE(answer_is(3, "0000000000000000"));
	for (unsigned sa = 4; sa < 256; sa++) {
		CU_ASSERT_FALSE(pr_in(pr_now, &pr_target, (uint8_t)sa, &none));
		CU_ASSERT_EQUAL(pr_in_max(pr_now, (uint8_t)sa), 0);
	}
	CU_ASSERT_EQUAL(none.len, 0);
}

static void test_read_keys(void)
{
	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0x1122334455667788, F_APTPL));
	GOOD(pr(nx('b'), REGISTER, 0, 0, 0xb, 0));
	GOOD(pr(nx('c'), REGISTER, 0, 0, 0xb, F_APTPL));
	/* Equal keys are listed as often as they are registered. */
	CU_ASSERT_TRUE(answer_is(0, "00000003"
				    "00000018"
				    "1122334455667788"
				    "000000000000000b"
				    "000000000000000b"));
	CU_ASSERT_TRUE(answer_is(2, "00081dc1ea010000"));
}

static void test_read_reservation(void)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };

	for (unsigned t = 0; t < 6; t++) {
		char hex[64];

		pr_world();
		GOOD(pr(nx('a'), REGISTER, 0, 0, 0x1122334455667788, 0));
		CU_ASSERT_TRUE(answer_is(1, "00000001" "00000000"));
		GOOD(pr(nx('a'), RESERVE, types[t], 0x1122334455667788, 0, 0));
		snprintf(hex, sizeof(hex), "00000001" "00000010" "%s" "00000000" "00" "%02x" "0000",
			 types[t] >= 7 ? "0000000000000000" : "1122334455667788", types[t]);
		CU_ASSERT_TRUE(answer_is(1, hex));
	}
}

static void test_read_full_status(void)
{
	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, 0));
	GOOD(pr(nx_of('b', 2, 7), REGISTER, 0, 0, 0xb, 0));
	GOOD(pr(nx('a'), RESERVE, 5, 0xa, 0, 0));
	/* "iqn.1991-05.com.example:node-a,i,0x800000110001": 47 characters, NUL, to 48 */
	CU_ASSERT_TRUE(answer_is(3, "00000002"
				    "00000098"
				    "000000000000000a"
				    "00000000"
				    "01"
				    "05"
				    "00000000"
				    "0001"
				    "00000034"
				    "45000030"
				    "69716e2e313939312d30352e636f6d2e6578616d706c653a6e6f64652d612c"
				    "692c3078383030303030313130303031"
				    "00"
				    "000000000000000b"
				    "00000000"
				    "00"
				    "00"
				    "00000000"
				    "0007"
				    "00000034"
				    "45000030"
				    "69716e2e313939312d30352e636f6d2e6578616d706c653a6e6f64652d622c"
				    "692c3078383030303030313130303032"
				    "00"));
	/* All registrants: all are holders. */
	GOOD(pr(nx('a'), PREEMPT, 8, 0xa, 0xa, 0));
	CU_ASSERT_TRUE(holds(nx('a')));
	CU_ASSERT_TRUE(holds(nx_of('b', 2, 7)));
	pr_read(3);
	CU_ASSERT_EQUAL(pr_in_buf[8 + 12], 1);
	CU_ASSERT_EQUAL(pr_in_buf[8 + 13], 8);
}

/* 4.2.5.6: the length fields do not know the allocation length. */
static void test_truncated(void)
{
	uint8_t whole[4096], part[4096];

	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, F_ALL_TG_PT));
	GOOD(pr(nx('a'), RESERVE, 5, 0xa, 0, 0));
	for (uint8_t sa = 0; sa < 4; sa++) {
		size_t len = pr_read(sa);

		memcpy(whole, pr_in_buf, len);
		for (size_t cap = 0; cap <= len; cap++) {
			struct wcur c = wcur_of(part, cap);

			memset(part, 0xaa, sizeof(part));
			CU_ASSERT_TRUE(pr_in(pr_now, &pr_target, sa, &c));
			CU_ASSERT_EQUAL(c.len, len);
			CU_ASSERT_FALSE(memcmp(part, whole, cap));
			CU_ASSERT_EQUAL(part[cap], 0xaa);
		}
	}
}

/* Not at the start of the buffer: length fields are where they belong. */
static void test_offset(void)
{
	uint8_t buf[512];
	struct wcur c = wcur_of(buf, sizeof(buf));

	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, 0));
	wcur_be32(&c, 0x12345678);
	CU_ASSERT_TRUE(pr_in(pr_now, &pr_target, 3, &c));
	CU_ASSERT_EQUAL(get_be32(buf), 0x12345678);
	CU_ASSERT_EQUAL(get_be32(buf + 4), 1);
	CU_ASSERT_EQUAL(get_be32(buf + 8), c.len - 12);
}

static bool tid(const void *text, uint16_t len, uint8_t kind, struct transportid *out)
{
	uint8_t buf[600] = { kind };
	struct rcur c;

	put_be16(buf + 2, len);
	memcpy(buf + 4, text, len);
	c = rcur_of(buf, 4u + len);
	return transportid_get(&c, out);
}

/* The name and ISID of a text padded with NULs to a multiple of 4 (or "-"). */
static const char *tid_text(const char *text, uint8_t kind)
{
	static char out[300];
	char padded[500] = { 0 };
	size_t len = strlen(text) / 4 * 4 + 4;
	struct transportid t;

	strcpy(padded, text);
	if (!tid(padded, (uint16_t)(len < 20 ? 20 : len), kind, &t))
		return "-";
	if (!t.has_isid)
		return strcpy(out, t.iport.initiator);
	snprintf(out, sizeof(out), "%s %02x%02x%02x%02x%02x%02x", t.iport.initiator,
		 t.iport.isid[0], t.iport.isid[1], t.iport.isid[2], t.iport.isid[3],
		 t.iport.isid[4], t.iport.isid[5]);
	return out;
}

static void test_transportid_get(void)
{
	static const struct { const char *text; uint8_t kind; const char *want; } rows[] = {
		{ "iqn.a:b,i,0x0123456789ab", 0x45, "iqn.a:b 0123456789ab" },
		{ "IQN.A:B,i,0x0123456789AB", 0x45, "iqn.a:b 0123456789ab" },
		{ "iqn.a:b,i,0x23D000001", 0x45, "iqn.a:b 00023d000001" },
		{ "iqn.a:b,i,0x0", 0x75, "iqn.a:b 000000000000" },	/* reserved bits */
		{ "iqn.a:b", 0x05, "iqn.a:b" },
		{ "eui.02004567A425678D", 0x05, "eui.02004567a425678d" },
		{ "iqn.a:b,i,0x0123456789abc", 0x45, "-" },	/* 13 digits */
		{ "iqn.a:b,i,0x", 0x45, "-" },
		{ "iqn.a:b,i,0x01g", 0x45, "-" },
		{ "iqn.a:b,i,0X01", 0x45, "-" },
		{ "iqn.a:b,j,0x01", 0x45, "-" },
		{ "iqn.a:b", 0x45, "-" },
		{ ",i,0x01", 0x45, "-" },
		{ "iqn.a,b,i,0x01", 0x45, "-" },
		{ "iqn.a:b,i,0x01", 0x05, "-" },		/* the name would have a comma */
		{ "", 0x05, "-" },
		{ "iqn.a b", 0x05, "-" },
		{ "iqn.a\tb", 0x05, "-" },
		{ "iqn.a\x7f", 0x05, "-" },
		{ "iqn.a:b,i,0x01", 0x46, "-" },		/* SAS */
		{ "iqn.a:b,i,0x01", 0x40, "-" },
		{ "iqn.a:b,i,0x01", 0x85, "-" },		/* formats 10b and 11b */
		{ "iqn.a:b,i,0x01", 0xc5, "-" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_STRING_EQUAL(tid_text(rows[i].text, rows[i].kind), rows[i].want);
	}
}

static void test_transportid_edges(void)
{
	char text[500];
	struct transportid t;

	/* 223 bytes is the longest name. */
	memset(text, 0, sizeof(text));
	memset(text, 'n', 223);
	CU_ASSERT_TRUE(tid(text, 224, 5, &t));
	CU_ASSERT_EQUAL(strlen(t.iport.initiator), 223);
	text[223] = 'n';
	CU_ASSERT_FALSE(tid(text, 228, 5, &t));
	/* Not null-terminated, too short, no multiple of 4 */
	memset(text, 'n', sizeof(text));
	CU_ASSERT_FALSE(tid(text, 40, 5, &t));
	memset(text + 8, 0, 100);
	CU_ASSERT_TRUE(tid(text, 20, 5, &t));
	CU_ASSERT_TRUE(tid(text, 40, 5, &t));
	CU_ASSERT_FALSE(tid(text, 16, 5, &t));
	CU_ASSERT_FALSE(tid(text, 0, 5, &t));
	for (uint16_t len = 21; len < 24; len++)
		CU_ASSERT_FALSE(tid(text, len, 5, &t));
	/*
	 * "The first byte containing an ASCII null character terminates the field": what follows is
	 * of no interest.
	 */
	memcpy(text, "iqn.a:b,i,0x1\0\xff\xff\xff\xff\xff\xff", 20);
	CU_ASSERT_TRUE(tid(text, 20, 0x45, &t));
	CU_ASSERT_EQUAL(t.iport.isid[5], 1);
}

/*
 * Whatever is built can be read, is long enough and a multiple of 4; and takes up exactly what it
 * says.
 */
static void test_transportid_put(void)
{
	static const uint8_t isid[6] = { 0x80, 0x12, 0xab, 0, 0, 1 };
	char name[ISCSI_NAME_MAX + 1] = { 0 };
	uint8_t buf[300];

	for (unsigned n = 1; n <= ISCSI_NAME_MAX; n++) {
		for (unsigned device = 0; device < 2; device++) {
			struct wcur w = wcur_of(buf, sizeof(buf));
			struct transportid t;
			struct rcur r;

			memset(name, 'a', n);
			memset(buf, 0xaa, sizeof(buf));
			if (device)
				transportid_put_device(&w, name);
			else
				transportid_put(&w, name, isid);
			CU_ASSERT_FATAL(w.len >= 24 && w.len % 4 == 0 && w.len <= 228 + 20);
			CU_ASSERT_EQUAL(w.len, 4u + get_be16(buf + 2));
			CU_ASSERT_EQUAL(buf[w.len - 1], 0);
			r = rcur_of(buf, w.len);
			CU_ASSERT_TRUE(transportid_get(&r, &t));
			CU_ASSERT_EQUAL(r.left, 0);
			CU_ASSERT_EQUAL(t.has_isid, !device);
			CU_ASSERT_STRING_EQUAL(t.iport.initiator, name);
			if (!device)
				CU_ASSERT_FALSE(memcmp(t.iport.isid, isid, 6));
			for (size_t cut = 0; cut < w.len; cut++) {
				r = rcur_of(buf, cut);
				CU_ASSERT_FALSE(transportid_get(&r, &t));
			}
		}
	}
}

UNIT_MAIN("pr_in",
	UNIT(test_empty),
	UNIT(test_read_keys),
	UNIT(test_read_reservation),
	UNIT(test_read_full_status),
	UNIT(test_truncated),
	UNIT(test_offset),
	UNIT(test_transportid_get),
	UNIT(test_transportid_edges),
	UNIT(test_transportid_put))
