/* SPDX-License-Identifier: Apache-2.0 */
/* The persistent image: what is put comes back, byte for byte, and nothing else is taken. */
#include "tests/unit/unit.h"

#include "pr/state.h"
#include "tests/unit/pr_cmd.h"

#define GOOD(x) CU_ASSERT_EQUAL((x), SAM_GOOD)

static uint8_t image[512 << 10];
static struct pr_state *back;

static size_t put(void)
{
	size_t len;

	if (!back)
		back = malloc(pr_state_max());
	len = pr_image_put(pr_now, image, sizeof(image));
	CU_ASSERT_FATAL(len && len <= pr_image_max());
	return len;
}

static bool get(size_t len)
{
	/* On the heap and no longer than said, for the sanitizers. */
	uint8_t *copy = malloc(len ? len : 1);
	bool ok;

	memcpy(copy, image, len);
	ok = pr_image_get(copy, len, back, pr_state_max());
	free(copy);
	return ok;
}

static void round_trip(void)
{
	size_t len = put();

	CU_ASSERT_TRUE_FATAL(get(len));
	CU_ASSERT_EQUAL(pr_state_size(back), pr_state_size(pr_now));
	CU_ASSERT_FALSE(memcmp(back, pr_now, pr_state_size(pr_now)));
	/* Too little room, on either side */
	CU_ASSERT_EQUAL(pr_image_put(pr_now, image, len - 1), 0);
	CU_ASSERT_FALSE(pr_image_get(image, len, back, pr_state_size(pr_now) - 1));
	CU_ASSERT_TRUE(pr_image_get(image, len, back, pr_state_size(pr_now)));
}

static void some(void)
{
	pr_world();
	GOOD(pr(nx('b'), REGISTER, 0, 0, 0xb, F_ALL_TG_PT | F_APTPL));
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xa, F_APTPL));
	GOOD(pr(nx_of('a', 2, 2), REGISTER, 0, 0, 0xa, F_APTPL));
	GOOD(pr(nx('a'), RESERVE, 5, 0xa, 0, 0));
}

static void test_round_trip(void)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };

	pr_world();
	round_trip();
	for (unsigned t = 0; t < 6; t++) {
		some();
		round_trip();
		GOOD(pr(nx('a'), PREEMPT, types[t], 0xa, 0xa, 0));
		round_trip();
		GOOD(pr(nx('a'), CLEAR, 0, 0xa, 0, 0));
		round_trip();
	}
}

static void test_largest(void)
{
	struct nexus who = { .tpgt = 1 };

	pr_world();
	memset(who.initiator, 'x', ISCSI_NAME_MAX);
	for (unsigned i = 0; i < PR_REGISTRANTS_MAX; i++) {
		snprintf(who.initiator + ISCSI_NAME_MAX - 4, 5, "%04u", i);
		CU_ASSERT_EQUAL_FATAL(pr(who, REGISTER, 0, 0, 1 + i, 0), SAM_GOOD);
	}
	CU_ASSERT_EQUAL(put(), pr_image_max());
	round_trip();
}

/* Names that no login should let in are no reason to lose reservations. */
static void test_odd_names(void)
{
	static const char *const names[] = { "x",	  "\x01",	  "a b,c",
					     "IQN.Upper", "iqn.\xc3\xa4", "\xff" };

	pr_world();
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct nexus who = { .tpgt = 1 };

		strcpy(who.initiator, names[i]);
		GOOD(pr(who, REGISTER, 0, 0, 1, 0));
	}
	round_trip();
}

/* The format as written down in pr/image.c; it may only change together with its version. */
static void test_format(void)
{
	static const char want[] = "4846505253544154"
				   "00000001"
				   "00000057"
				   "00000001"
				   "0000001f"
				   "0001"
				   "0000"
				   "05"
				   "01"
				   "0000"
				   "0000000000000abc"
				   "00000000"
				   "0001"
				   "800000110001"
				   "69716e2e313939312d30352e636f6d2e6578616d706c653a6e6f64652d61"
				   "00";
	size_t len;

	pr_world();
	GOOD(pr(nx('a'), REGISTER, 0, 0, 0xabc, F_APTPL));
	GOOD(pr(nx('a'), RESERVE, 5, 0xabc, 0, 0));
	len = put();
	CU_ASSERT_EQUAL_FATAL(len, 0x57);
	for (size_t i = 0; i < len - 4; i++) {
		char two[3];

		snprintf(two, sizeof(two), "%02x", image[i]);
		CU_ASSERT_FALSE(memcmp(two, want + 2 * i, 2));
	}
	CU_ASSERT_EQUAL(get_be32(image + len - 4), 0xc711a841);
}

/* Every length but the right one, every bit of it turned over */
static void test_damage(void)
{
	size_t len;

	some();
	len = put();
	for (size_t n = 0; n < len; n++)
		CU_ASSERT_FALSE(get(n));
	CU_ASSERT_FALSE(get(len + 1));
	for (size_t i = 0; i < 8 * len; i++) {
		image[i / 8] ^= (uint8_t)(1 << i % 8);
		CU_ASSERT_FALSE(get(len));
		image[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	CU_ASSERT_TRUE(get(len));
}

/*
 * CRC32C by its definition, to sign images that are wrong in other ways; RFC 7143 appendix's value
 * for 32 zero bytes.
 */
static uint32_t crc_slow(const uint8_t *p, size_t len)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < 8 * len; i++) {
		uint32_t bit = (crc ^ (uint32_t)(p[i / 8] >> i % 8)) & 1;

		crc = crc >> 1 ^ (bit ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static bool get_signed(size_t len)
{
	put_be32(image + 12, (uint32_t)len);
	put_be32(image + len - 4, crc_slow(image, len - 4));
	return get(len);
}

static void test_crc(void)
{
	static const uint8_t zeros[32];
	size_t len;

	CU_ASSERT_EQUAL(crc_slow(zeros, 32), 0x8a9136aa);
	some();
	len = put();
	CU_ASSERT_EQUAL(get_be32(image + len - 4), crc_slow(image, len - 4));
	CU_ASSERT_TRUE(get_signed(len));
}

/*
 * Images that are signed but not well-formed. Offsets are those of the format; some() has 5 records
 * and 2 names of 30 bytes and a NUL.
 */
static void test_malformed(void)
{
	enum { REC = 32, NAMES = REC + 5 * 20 };
	static const struct { const char *what; uint8_t at, len, bytes[8]; } rows[] = {
		{ "magic", 0, 1, { 'h' } },
		{ "version 0", 8, 4, { 0, 0, 0, 0 } },
		{ "version 2", 8, 4, { 0, 0, 0, 2 } },
		{ "names too long", 20, 4, { 0, 0, 0, 63 } },
		{ "names much too long", 20, 4, { 0xff, 0xff, 0xff, 0xff } },
		{ "too few records", 24, 2, { 0, 4 } },
		{ "too many records", 24, 2, { 0xff, 0xff } },
		{ "holder is no record", 26, 2, { 0, 5 } },
		{ "no holder", 26, 2, { 0xff, 0xff } },
		{ "type 0 with a holder", 28, 1, { 0 } },
		{ "type 2", 28, 1, { 2 } },
		{ "type 4", 28, 1, { 4 } },
		{ "type 7 with a holder", 28, 1, { 7 } },
		{ "type 9", 28, 1, { 9 } },
		{ "type 255", 28, 1, { 255 } },
		{ "flags", 29, 1, { 3 } },
		{ "spare", 31, 1, { 1 } },
		{ "key 0", REC, 8, { 0 } },
		{ "name off its start", REC + 8, 4, { 0, 0, 0, 1 } },
		{ "name past the end", REC + 8, 4, { 0, 0, 0, 62 } },
		{ "name far past the end", REC + 8, 4, { 0xff, 0xff, 0xff, 0xff } },
		{ "same nexus twice", REC + 20 + 12, 2, { 0, 1 } },
		{ "names not ascending", NAMES + 29, 1, { 'c' } },
		{ "names equal", NAMES + 29, 1, { 'b' } },
		{ "empty name", NAMES, 1, { 0 } },
		{ "not terminated", NAMES + 61, 1, { 'x' } },
		{ "two names run together", NAMES + 30, 1, { 'x' } },
	};
	size_t len;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		some();
		len = put();
		CU_ASSERT_EQUAL_FATAL(len, NAMES + 62 + 4);
		CU_ASSERT_TRUE_FATAL(memcmp(image + rows[i].at, rows[i].bytes, rows[i].len));
		memcpy(image + rows[i].at, rows[i].bytes, rows[i].len);
		if (get_signed(len))
			CU_FAIL(rows[i].what);
	}
	/* A name that nobody has: both records of A become B's. */
	some();
	len = put();
	put_be32(image + REC + 3 * 20 + 8, 31);
	image[REC + 3 * 20 + 13] = 9;
	put_be32(image + REC + 4 * 20 + 8, 31);
	image[REC + 4 * 20 + 13] = 8;
	CU_ASSERT_FALSE(get_signed(len));
	/* All registrants of nobody */
	pr_world();
	len = put();
	image[28] = 7;
	CU_ASSERT_FALSE(get_signed(len));
}

/* SPC-4 5.13.5.1, 6.15.2: what a loss of power leaves */
static void test_power_on(void)
{
	for (unsigned aptpl = 0; aptpl < 2; aptpl++) {
		some();
		GOOD(pr(nx('a'), REGISTER, 0, 0xa, 0xa, aptpl ? F_APTPL : 0));
		put();
		pr_copy(back, pr_now);
		pr_power_on(back);
		CU_ASSERT_EQUAL(pr_any(back), aptpl);
		CU_ASSERT_EQUAL(back->type, aptpl ? 5 : 0);
		CU_ASSERT_EQUAL(back->generation, 0);
	}
}

UNIT_MAIN("pr_image",
	UNIT(test_round_trip),
	UNIT(test_largest),
	UNIT(test_odd_names),
	UNIT(test_format),
	UNIT(test_damage),
	UNIT(test_crc),
	UNIT(test_malformed),
	UNIT(test_power_on))
