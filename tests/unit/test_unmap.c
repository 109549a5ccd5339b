/* SPDX-License-Identifier: Apache-2.0 */
/* UNMAP, WRITE SAME and GET LBA STATUS as traces. */
#include <errno.h>
#include <string.h>

#include "tests/unit/step_world.h"
#include "tests/unit/unit.h"

static struct step_world w;
static uint8_t ones[512], zeroes[512];

enum { CAPACITY = WORLD_SIZE / 512 };

static void begin(void)
{
	world_init(&w);
	memset(ones, 0xff, sizeof(ones));
	memset(w.disk, 0xaa, WORLD_SIZE);
	memset(w.mapped, true, sizeof(w.mapped));
}

#define BEGIN() begin()
#define END() world_fini(&w)

/* A parameter list with n descriptors of lba, number pairs; gives its length. */
static uint32_t list_make(uint8_t *p, unsigned n, const uint64_t *pairs)
{
	memset(p, 0, 8 + 16 * n);
	put_be16(p, (uint16_t)(6 + 16 * n));
	put_be16(p + 2, (uint16_t)(16 * n));
	for (unsigned i = 0; i < n; i++) {
		put_be64(p + 8 + 16 * i, pairs[2 * i]);
		put_be32(p + 16 + 16 * i, (uint32_t)pairs[2 * i + 1]);
	}
	return 8 + 16 * n;
}

/* UNMAP with a parameter list of len bytes, as CDB and EDTL both say. */
static const char *unmap(const uint8_t *list, uint32_t len)
{
	const uint8_t cdb[10] = { 0x42, 0, 0, 0, 0, 0, 0, B2(len), 0 };

	return world_run(&w, cdb, sizeof(cdb), OP_DIR_OUT, len, list);
}

#define UNMAP(list, len, want) CU_ASSERT(world_trace_is(unmap((list), (len)), (want), __LINE__))

static void test_unmap(void)
{
	uint8_t p[64];
	uint32_t len;

	BEGIN();
	len = list_make(p, 2, (const uint64_t[]){ 8, 8, 100, 3 });
	UNMAP(p, len, "gather 40; discard 4096+4096; discard 51200+1536; GOOD want=40");
	CU_ASSERT_EQUAL(w.disk[4095], 0xaa);
	CU_ASSERT_EQUAL(w.disk[4096], 0);
	CU_ASSERT_EQUAL(w.disk[51200 + 1535], 0);
	CU_ASSERT_EQUAL(w.disk[51200 + 1536], 0xaa);
	CU_ASSERT_FALSE(w.mapped[1]);
	/* Zero blocks are no error, also just behind the end; none at all neither. */
	len = list_make(p, 3, (const uint64_t[]){ 0, 0, CAPACITY, 0, 5, 1 });
	UNMAP(p, len, "gather 56; discard 2560+512; GOOD want=56");
	len = list_make(p, 1, (const uint64_t[]){ CAPACITY, 0 });
	UNMAP(p, len, "gather 24; GOOD want=24");
	UNMAP(p, 0, "GOOD");
	len = list_make(p, 0, NULL);
	UNMAP(p, len, "gather 8; GOOD want=8");
	w.v.modes.wce = false;
	UNMAP(p, len, "gather 8; GOOD want=8");
	len = list_make(p, 1, (const uint64_t[]){ 0, CAPACITY });
	UNMAP(p, len, "gather 24; discard 0+8388608; flush; GOOD want=24");
	END();
}

static void test_unmap_range(void)
{
	uint8_t p[64];
	uint32_t len;

	BEGIN();
	/* Nothing is deallocated when one of them is wrong. */
	len = list_make(p, 2, (const uint64_t[]){ 0, 8, CAPACITY - 1, 2 });
	UNMAP(p, len, "gather 40; CHECK 5/21/00 info=16384 want=40");
	len = list_make(p, 1, (const uint64_t[]){ UINT64_MAX, 1 });
	UNMAP(p, len, "gather 24; CHECK 5/21/00 info=18446744073709551615 want=24");
	len = list_make(p, 1, (const uint64_t[]){ UINT64_MAX - 5, UINT32_MAX });
	UNMAP(p, len, "gather 24; CHECK 5/21/00 info=18446744073709551610 want=24");
	len = list_make(p, 1, (const uint64_t[]){ CAPACITY + 1, 0 });
	UNMAP(p, len, "gather 24; CHECK 5/21/00 info=16385 want=24");
	END();
}

static void test_unmap_lengths(void)
{
	static uint8_t many[8 + 16 * 257];
	uint8_t p[64];
	uint32_t len;

	BEGIN();
	len = list_make(p, 2, (const uint64_t[]){ 8, 8, 100, 3 });
	UNMAP(p, 7, "CHECK 5/1a/00 want=7");
	/* What PARAMETER LIST LENGTH cuts off is ignored: a descriptor, or all of them. */
	UNMAP(p, 39, "gather 39; discard 4096+4096; GOOD want=39");
	UNMAP(p, 24, "gather 24; discard 4096+4096; GOOD want=24");
	UNMAP(p, 23, "gather 23; GOOD want=23");
	/* The two lengths inside contradict each other. */
	put_be16(p, 22);
	UNMAP(p, 40, "gather 40; CHECK 5/26/00 param:2 want=40");
	put_be16(p, 38);
	put_be16(p + 2, 48);
	UNMAP(p, 40, "gather 40; CHECK 5/26/00 param:2 want=40");
	/* A descriptor cut short by the length is ignored. */
	put_be16(p + 2, 31);
	UNMAP(p, 40, "gather 40; discard 4096+4096; GOOD want=40");
	put_be16(p + 2, 15);
	UNMAP(p, 40, "gather 40; GOOD want=40");
	/* More data than the descriptors need is no error. */
	put_be16(p + 2, 16);
	UNMAP(p, 40, "gather 40; discard 4096+4096; GOOD want=40");
	/* EDTL shorter than the list. */
	TRACE(&w, OUT, 39, p, "CHECK 5/1a/00 want=40", 0x42, 0, 0, 0, 0, 0, 0, B2(40), 0);
	TRACE(&w, OUT, 60, p, "gather 40; discard 4096+4096; GOOD want=40",
	      0x42, 0, 0, 0, 0, 0, 0, B2(40), 0);
	/* MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT. */
	memset(many, 0, sizeof(many));
	put_be16(many, 6 + 16 * 257);
	put_be16(many + 2, 16 * 257);
	UNMAP(many, sizeof(many), "gather 4120; CHECK 5/26/00 param:2 want=4120");
	put_be16(many + 2, 16 * 256);
	UNMAP(many, sizeof(many), "gather 4120; GOOD want=4120");
	/* ANCHOR is not supported. */
	TRACE(&w, OUT, 40, p, "CHECK 5/24/00 cdb:1.0", 0x42, 0x01, 0, 0, 0, 0, 0, B2(40), 0);
	w.v.caps.discard_granularity = 0;
	UNMAP(p, len, "CHECK 5/20/00");
	END();
}

static void test_unmap_units(void)
{
	uint8_t p[64];
	uint32_t len;

	BEGIN();
	/* The disk is smaller than a unit: pretend, without touching it. */
	w.v.caps.size = 1ull << 40;
	w.fail_io = 1;
	w.fail_err = -EIO;
	len = list_make(p, 1, (const uint64_t[]){ 0x100000000 >> 9, 0x100000 });
	UNMAP(p, len, "gather 24; discard 4294967296+268435456; CHECK 3/0c/00 want=24");
	w.fail_err = -ENOSPC;
	UNMAP(p, len, "gather 24; discard 4294967296+268435456; CHECK 7/27/07 want=24");
	END();
}

static void test_write_same(void)
{
	BEGIN();
	TRACE(&w, OUT, 512, zeroes, "gather 512; zero 512+1024; GOOD want=512",
	      0x41, 0, B4(1), 0, B2(2), 0);
	TRACE(&w, OUT, 512, zeroes, "gather 512; zero 512+1024 unmap; GOOD want=512",
	      0x41, 0x08, B4(1), 0, B2(2), 0);
	TRACE(&w, OUT, 512, ones, "gather 512; write 512+1024 scratch+0; GOOD want=512",
	      0x41, 0, B4(1), 0, B2(2), 0);
	/* A pattern cannot be read back from nothing: it is written, UNMAP or not. */
	TRACE(&w, OUT, 512, ones, "gather 512; write 512+1024 scratch+0; GOOD want=512",
	      0x93, 0x08, B8(1), B4(2), 0, 0);
	CU_ASSERT_EQUAL(w.disk[511], 0xaa);
	CU_ASSERT_EQUAL(w.disk[512], 0xff);
	CU_ASSERT_EQUAL(w.disk[1535], 0xff);
	CU_ASSERT_EQUAL(w.disk[1536], 0xaa);
	TRACE(&w, OUT, 512, ones,
	      "gather 512; write 0+262144 scratch+0; write 262144+262144 scratch+0; "
	      "write 524288+512 scratch+0; GOOD want=512", 0x93, 0, B8(0), B4(1025), 0, 0);
	CU_ASSERT_EQUAL(w.disk[524288 + 511], 0xff);
	CU_ASSERT_EQUAL(w.disk[524288 + 512], 0xaa);
	/* NDOB: no data-out. */
	TRACE(&w, NONE, 0, NULL, "zero 512+1024; GOOD", 0x93, 0x01, B8(1), B4(2), 0, 0);
	TRACE(&w, NONE, 0, NULL, "zero 512+1024 unmap; GOOD", 0x93, 0x09, B8(1), B4(2), 0, 0);
	w.v.modes.wce = false;
	TRACE(&w, NONE, 0, NULL, "zero 512+1024 unmap; flush; GOOD",
	      0x93, 0x09, B8(1), B4(2), 0, 0);
	END();
}

static void test_write_same_to_the_end(void)
{
	BEGIN();
	TRACE(&w, OUT, 512, zeroes, "gather 512; zero 8387072+1536 unmap; GOOD want=512",
	      0x41, 0x08, B4(CAPACITY - 3), 0, B2(0), 0);
	TRACE(&w, OUT, 512, zeroes, "gather 512; zero 0+8388608; GOOD want=512",
	      0x93, 0, B8(0), B4(0), 0, 0);
	TRACE(&w, OUT, 512, zeroes, "GOOD", 0x93, 0, B8(CAPACITY), B4(0), 0, 0);
	TRACE(&w, OUT, 512, zeroes, "CHECK 5/21/00 info=16385",
	      0x93, 0, B8(CAPACITY + 1), B4(0), 0, 0);
	TRACE(&w, OUT, 512, zeroes, "CHECK 5/21/00 info=4294967295", 0x41, 0, B4(-1), 0, B2(0), 0);
	END();
}

static void test_write_same_refused(void)
{
	BEGIN();
	TRACE(&w, OUT, 512, zeroes, "CHECK 5/24/00 cdb:1.4", 0x41, 0x10, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, zeroes, "CHECK 5/24/00 cdb:1.0", 0x41, 0x01, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 256, zeroes, "CHECK 5/0e/03 want=512", 0x41, 0x08, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 1024, zeroes, "CHECK 5/0e/03 want=512", 0x41, 0x08, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, zeroes, "CHECK 5/21/00 info=16384", 0x41, 0, B4(CAPACITY), 0, B2(1), 0);
	w.v.caps.discard_granularity = 0;
	TRACE(&w, OUT, 512, zeroes, "CHECK 5/24/00 cdb:1.3", 0x41, 0x08, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, zeroes, "gather 512; zero 0+512; GOOD want=512",
	      0x41, 0, B4(0), 0, B2(1), 0);
	/* MAXIMUM WRITE SAME LENGTH, also when zero means more than that. */
	w.v.caps.size = 1ull << 40;
	TRACE(&w, OUT, 512, zeroes, "CHECK 5/24/00 cdb:10",
	      0x93, 0, B8(0), B4(WRITE_SAME_BLOCKS_MAX + 1), 0, 0);
	TRACE(&w, OUT, 512, zeroes, "CHECK 5/24/00 cdb:10", 0x93, 0, B8(0), B4(0), 0, 0);
	w.fail_io = 1;
	w.fail_err = -ENOSPC;
	TRACE(&w, OUT, 512, zeroes, "gather 512; zero 0+16777216; CHECK 7/27/07 want=512",
	      0x93, 0, B8(0), B4(WRITE_SAME_BLOCKS_MAX), 0, 0);
	END();
}

/* One descriptor of the last answer. */
static bool desc_is(unsigned i, uint64_t lba, uint32_t n, uint8_t status)
{
	const uint8_t *d = w.c.in + 8 + 16 * i;

	return get_be64(d) == lba && get_be32(d + 8) == n && d[12] == status && !d[13] && !d[14] &&
	       !d[15];
}

static void test_get_lba_status(void)
{
	BEGIN();
	memset(w.mapped + 1, false, 2);
	memset(w.mapped + 4, false, WORLD_SIZE / WORLD_PAGE - 4);
	TRACE(&w, IN, 4096, NULL,
	      "buffers 4096; extent 0+8388608; extent 4096+8384512; extent 12288+8376320; "
	      "extent 16384+8372224; GOOD in=72 want=72", 0x9e, 0x12, B8(0), B4(4096), 0, 0);
	CU_ASSERT_EQUAL(get_be32(w.c.in), 68);
	CU_ASSERT_EQUAL(get_be32(w.c.in + 4), 0);
	CU_ASSERT(desc_is(0, 0, 8, 0));
	CU_ASSERT(desc_is(1, 8, 16, 1));
	CU_ASSERT(desc_is(2, 24, 8, 0));
	CU_ASSERT(desc_is(3, 32, CAPACITY - 32, 1));
	/* From the middle of an extent. */
	world_run(&w, (const uint8_t[]){ 0x9e, 0x12, B8(9), B4(24), 0, 0 },
		  16, OP_DIR_IN, 24, NULL);
	CU_ASSERT_EQUAL(w.c.in_len, 24);
	CU_ASSERT_EQUAL(get_be32(w.c.in), 20);
	CU_ASSERT(desc_is(0, 9, 15, 1));
	/* The last block. */
	world_run(&w, (const uint8_t[]){ 0x9e, 0x12, B8(CAPACITY - 1), B4(24), 0, 0 },
		  16, OP_DIR_IN, 24,
		  NULL);
	CU_ASSERT(desc_is(0, CAPACITY - 1, 1, 1));
	/* Room for two and a half. */
	world_run(&w, (const uint8_t[]){ 0x9e, 0x12, B8(0), B4(48), 0, 0 },
		  16, OP_DIR_IN, 48, NULL);
	CU_ASSERT_EQUAL(w.c.in_len, 40);
	/* Less than one: cut. */
	TRACE(&w, IN, 10, NULL,
	      "buffers 24; extent 0+8388608; extent 4096+8384512; GOOD in=10 want=10",
	      0x9e, 0x12, B8(0), B4(10), 0, 0);
	TRACE(&w, IN, 0, NULL, "GOOD", 0x9e, 0x12, B8(0), B4(0), 0, 0);
	END();
}

static void test_get_lba_status_range(void)
{
	BEGIN();
	TRACE(&w, IN, 24, NULL, "CHECK 5/21/00 info=16384", 0x9e, 0x12, B8(CAPACITY), B4(24), 0, 0);
	TRACE(&w, IN, 24, NULL, "CHECK 5/21/00 info=18446744073709551615",
	      0x9e, 0x12, B8(-1), B4(24), 0, 0);
	TRACE(&w, IN, 24, NULL, "CHECK 5/21/00 info=9223372036854775808",
	      0x9e, 0x12, B8(1ull << 63), B4(24), 0, 0);
	w.fail_io = 1;
	w.fail_err = -EIO;
	TRACE(&w, IN, 24, NULL, "buffers 24; extent 0+8388608; CHECK 3/11/00",
	      0x9e, 0x12, B8(0), B4(24), 0, 0);
	END();
}

/* A store that cannot tell, and a LU of more blocks than a descriptor counts. */
static void test_get_lba_status_all_mapped(void)
{
	BEGIN();
	w.v.caps.extents = false;
	TRACE(&w, IN, 4096, NULL, "buffers 4096; GOOD in=24 want=24",
	      0x9e, 0x12, B8(1), B4(4096), 0, 0);
	CU_ASSERT(desc_is(0, 1, CAPACITY - 1, 0));
	w.v.caps.size = 3ull << 40;
	world_run(&w, (const uint8_t[]){ 0x9e, 0x12, B8(0), B4(4096), 0, 0 },
		  16, OP_DIR_IN, 4096, NULL);
	CU_ASSERT_EQUAL(w.c.in_len, 40);
	CU_ASSERT(desc_is(0, 0, UINT32_MAX, 0));
	CU_ASSERT(desc_is(1, UINT32_MAX, (uint32_t)((3ull << 31) - UINT32_MAX), 0));
	world_run(&w, (const uint8_t[]){ 0x9e, 0x12, B8(0), B4(24), 0, 0 },
		  16, OP_DIR_IN, 24, NULL);
	CU_ASSERT_EQUAL(w.c.in_len, 24);
	END();
}

/* Extents that do not end on a block: a block is deallocated only if all of it is. */
static void test_get_lba_status_ragged(void)
{
	BEGIN();
	w.v.block_size = 8192;		/* two pages of the disk in memory each */
	memset(w.mapped, false, 3);
	world_run(&w, (const uint8_t[]){ 0x9e, 0x12, B8(0), B4(4096), 0, 0 },
		  16, OP_DIR_IN, 4096, NULL);
	CU_ASSERT(desc_is(0, 0, 1, 1));
	CU_ASSERT(desc_is(1, 1, WORLD_SIZE / 8192 - 1, 0));
	CU_ASSERT_EQUAL(w.c.in_len, 40);
	END();
}

UNIT_MAIN("unmap",
	UNIT(test_unmap),
	UNIT(test_unmap_range),
	UNIT(test_unmap_lengths),
	UNIT(test_unmap_units),
	UNIT(test_write_same),
	UNIT(test_write_same_to_the_end),
	UNIT(test_write_same_refused),
	UNIT(test_get_lba_status),
	UNIT(test_get_lba_status_range),
	UNIT(test_get_lba_status_all_mapped),
	UNIT(test_get_lba_status_ragged))
