/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/inquiry.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

/* Reads a page whole and checks its header; gives the length of what follows. */
static unsigned page(struct lu_world *w, uint8_t code)
{
	CU_ASSERT_EQUAL_FATAL(RUN(w, 0x12, 1, code, 4, 0, 0), SAM_GOOD);
	CU_ASSERT_FATAL(w->c.in_len >= 4);
	CU_ASSERT_EQUAL(w->in[0], 0);
	CU_ASSERT_EQUAL(w->in[1], code);
	CU_ASSERT_EQUAL(get_be16(w->in + 2), w->c.in_len - 4);
	return w->c.in_len - 4;
}

static void test_list_is_sorted_and_true(void)
{
	static const uint8_t want[] = { 0x00, 0x80, 0x83, 0x86, 0x87, 0xb0, 0xb1, 0xb2 };
	struct lu_world w;
	uint8_t list[256];
	unsigned n, at = 0;

	lu_world_init(&w);
	n = page(&w, 0x00);
	CU_ASSERT_EQUAL_FATAL(n, sizeof(want));
	CU_ASSERT(!memcmp(w.in + 4, want, n));
	memcpy(list, w.in + 4, n);
	for (unsigned code = 0; code < 256; code++) {
		bool listed = at < n && list[at] == code;

		at += listed;
		CU_ASSERT_EQUAL(RUN(&w, 0x12, 1, (uint8_t)code, 4, 0, 0),
				listed ? SAM_GOOD : SAM_CHECK_CONDITION);
		CU_ASSERT_EQUAL(vpd_supported(&w.v, (uint8_t)code), listed);
	}
	lu_world_fini(&w);
}

static void test_truncation_keeps_page_length(void)
{
	static const uint8_t codes[] = { 0x00, 0x80, 0x83, 0x86, 0x87, 0xb0, 0xb1, 0xb2 };
	struct lu_world w;
	uint8_t whole[1024];
	unsigned len;

	lu_world_init(&w);
	for (unsigned i = 0; i < sizeof(codes); i++) {
		len = page(&w, codes[i]) + 4;
		memcpy(whole, w.in, len);
		for (unsigned n = 0; n <= len + 2; n++) {
			CU_ASSERT_EQUAL(
				RUN(&w, 0x12, 1, codes[i], (uint8_t)(n >> 8), (uint8_t)n, 0),
				SAM_GOOD);
			CU_ASSERT_EQUAL(w.c.in_len, n < len ? n : len);
			CU_ASSERT(!w.in || !memcmp(w.in, whole, w.c.in_len));
		}
	}
	lu_world_fini(&w);
}

static void test_serial(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(page(&w, 0x80), 32);
	CU_ASSERT(!memcmp(w.in + 4, w.id.serial, 32));
	lu_world_fini(&w);
}

/* The designator of this association and type, or NULL; *n counts them. */
static const uint8_t *designator(const struct lu_world *w, unsigned assoc, unsigned type,
				 unsigned *n)
{
	const uint8_t *found = NULL;
	unsigned at = 4;

	*n = 0;
	while (at + 4 <= w->c.in_len) {
		const uint8_t *d = w->in + at;

		CU_ASSERT_FATAL(at + 4 + d[3] <= w->c.in_len);
		if ((d[1] >> 4 & 3) == assoc && (d[1] & 15) == type) {
			found = d;
			++*n;
		}
		at += 4u + d[3];
	}
	CU_ASSERT_EQUAL(at, w->c.in_len);
	return found;
}

static void test_identification(void)
{
	struct lu_world w;
	const uint8_t *d;
	unsigned n;

	lu_world_init(&w);
	w.a.tpgt = 2;
	page(&w, 0x83);
	d = designator(&w, 0, 3, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_PTR_EQUAL(d, w.in + 4);			/* first of all */
	CU_ASSERT_EQUAL(d[0], 0x01);
	CU_ASSERT_EQUAL(d[1], 0x03);
	CU_ASSERT_EQUAL(d[3], 16);
	CU_ASSERT(!memcmp(d + 4, w.id.naa, 16));
	d = designator(&w, 0, 1, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_EQUAL(d[0], 0x02);
	CU_ASSERT_EQUAL(d[3], 40);
	CU_ASSERT(!memcmp(d + 4, "HOLDFAST0123456789abcdef0123456789abcdef", 40));
	d = designator(&w, 1, 4, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_EQUAL(d[0], 0x51);
	CU_ASSERT_EQUAL(d[1], 0x94);
	CU_ASSERT_EQUAL(get_be32(d + 4), 2);
	d = designator(&w, 1, 5, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_EQUAL(get_be32(d + 4), 2);
	d = designator(&w, 1, 8, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_EQUAL(d[0], 0x53);
	CU_ASSERT_STRING_EQUAL((const char *)d + 4, "iqn.2026-11.com.example:cluster1,t,0x0002");
	CU_ASSERT_EQUAL(d[3] % 4, 0);
	d = designator(&w, 2, 8, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_EQUAL(d[1], 0xa8);
	CU_ASSERT_STRING_EQUAL((const char *)d + 4, "iqn.2026-11.com.example:cluster1");

	/* As another target had it: an NAA of 8 bytes, names of its own. */
	memcpy(w.id.naa, "\x30\0\0\0\0\1\0\1", 8);
	strcpy(w.id.vendor, "IET");
	strcpy(w.id.t10_id, "00010001");
	page(&w, 0x83);
	d = designator(&w, 0, 3, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT(d[3] == 8 && !memcmp(d + 4, "\x30\0\0\0\0\1\0\1", 8));
	d = designator(&w, 0, 1, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT(d[3] == 16 && !memcmp(d + 4, "IET     00010001", 16));
	lu_world_fini(&w);
}

static void test_longest_names(void)
{
	static char name[ISCSI_NAME_MAX + 1];
	struct lu_world w;
	const uint8_t *d;
	unsigned n;

	lu_world_init(&w);
	memset(name, 'x', ISCSI_NAME_MAX);
	w.target.name = name;
	w.a.tpgt = 65535;
	page(&w, 0x83);
	d = designator(&w, 1, 8, &n);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_EQUAL(strlen((const char *)d + 4), ISCSI_NAME_MAX + 9);
	CU_ASSERT_STRING_EQUAL((const char *)d + 4 + ISCSI_NAME_MAX, ",t,0xffff");
	lu_world_fini(&w);
}

static void test_extended_and_policy(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(page(&w, 0x86), 0x3c);
	CU_ASSERT_EQUAL(w.in[4], 0);
	CU_ASSERT_EQUAL(w.in[5], 0x07);
	CU_ASSERT_EQUAL(w.in[6], 0x01);
	CU_ASSERT_EQUAL(w.in[7], 0x01);		/* LUICLR, as SPC-4 7.8.7 wants it */
	w.v.caps.durable = true;
	page(&w, 0x86);
	CU_ASSERT_EQUAL(w.in[6], 0);
	CU_ASSERT_EQUAL(page(&w, 0x87), 4);
	CU_ASSERT_EQUAL(get_be32(w.in + 4), 0x3fff0000);
	lu_world_fini(&w);
}

static void test_limits_thin(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(page(&w, 0xb0), 0x3c);
	CU_ASSERT_EQUAL(w.in[4], 0);					/* WSNZ */
	CU_ASSERT_EQUAL(w.in[5], 255);
	CU_ASSERT_EQUAL(get_be16(w.in + 6), 8);
	CU_ASSERT_EQUAL(get_be32(w.in + 8), SCSI_XFER_MAX / 512);
	CU_ASSERT_EQUAL(get_be32(w.in + 12), IO_UNIT_MAX / 512);
	CU_ASSERT_EQUAL(get_be32(w.in + 20), 0xffffffff);
	CU_ASSERT_EQUAL(get_be32(w.in + 24), UNMAP_DESCRIPTORS_MAX);
	CU_ASSERT_EQUAL(get_be32(w.in + 28), 64); /* 32 KiB though the store has 4 KiB */
	CU_ASSERT_EQUAL(get_be32(w.in + 32), 0x80000000);
	CU_ASSERT_EQUAL(get_be64(w.in + 36), WRITE_SAME_BLOCKS_MAX);
	CU_ASSERT_EQUAL(get_be32(w.in + 44), 0);
	w.v.caps.discard_granularity = 65536;
	w.v.block_size = 4096;
	w.v.phys_exp = 0;
	w.v.caps.atomic_max = 65536;
	page(&w, 0xb0);
	CU_ASSERT_EQUAL(get_be16(w.in + 6), 1);
	CU_ASSERT_EQUAL(get_be32(w.in + 8), SCSI_XFER_MAX / 4096);
	CU_ASSERT_EQUAL(get_be32(w.in + 28), 16);
	CU_ASSERT_EQUAL(get_be32(w.in + 44), 16);
	w.v.caps.atomic_max = 16 << 20;
	page(&w, 0xb0);
	CU_ASSERT_EQUAL(get_be32(w.in + 44), IO_UNIT_MAX / 4096);
	lu_world_fini(&w);
}

static void test_provisioning(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(page(&w, 0xb2), 4);
	CU_ASSERT_EQUAL(w.in[4], 11);
	CU_ASSERT_EQUAL(w.in[5], 0xe4);
	CU_ASSERT_EQUAL(w.in[6], 2);
	w.v.block_size = 4096;
	page(&w, 0xb2);
	CU_ASSERT_EQUAL(w.in[4], 8);
	w.v.caps.discard_granularity = 0;
	page(&w, 0xb2);
	CU_ASSERT_EQUAL(get_be32(w.in + 4), 0);
	page(&w, 0xb0);
	CU_ASSERT_EQUAL(get_be32(w.in + 20), 0);
	CU_ASSERT_EQUAL(get_be32(w.in + 24), 0);
	CU_ASSERT_EQUAL(get_be64(w.in + 28), 0);
	lu_world_fini(&w);
}

static void test_rotation_rate_is_told(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(page(&w, 0xb1), 0x3c);
	CU_ASSERT_EQUAL(get_be16(w.in + 4), 1);
	/* VBULS: VERIFY compares unmapped blocks too, as zeroes (SBC-3 5.29). */
	CU_ASSERT_EQUAL(w.in[8], 0x01);
	w.v.caps.rotational = true;
	page(&w, 0xb1);
	CU_ASSERT_EQUAL(get_be16(w.in + 4), 7200);
	lu_world_fini(&w);
}

UNIT_MAIN("vpd",
	UNIT(test_list_is_sorted_and_true),
	UNIT(test_truncation_keeps_page_length),
	UNIT(test_serial),
	UNIT(test_identification),
	UNIT(test_longest_names),
	UNIT(test_extended_and_policy),
	UNIT(test_limits_thin),
	UNIT(test_provisioning),
	UNIT(test_rotation_rate_is_told))
