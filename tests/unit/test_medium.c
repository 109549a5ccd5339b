/* SPDX-License-Identifier: Apache-2.0 */
/* READ, WRITE, ORWRITE, WRITE ATOMIC, SYNCHRONIZE CACHE, PRE-FETCH, REASSIGN BLOCKS as traces. */
#include <errno.h>
#include <string.h>

#include "tests/unit/step_world.h"
#include "tests/unit/unit.h"

static struct step_world w;
static uint8_t data[8 << 20];

enum { CAPACITY = WORLD_SIZE / 512 };

static void begin(void)
{
	world_init(&w);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 512);
	memcpy(w.disk, data, WORLD_SIZE);
}

#define BEGIN() begin()
#define END() world_fini(&w)

static void test_read(void)
{
	BEGIN();
	TRACE(&w, IN, 512, NULL, "read 512+512 in+0; GOOD in=512 want=512",
	      0x28, 0, B4(1), 0, B2(1), 0);
	CU_ASSERT_EQUAL(memcmp(w.c.in, data + 512, 512), 0);
	TRACE(&w, IN, 512, NULL, "read 512+512 in+0; GOOD in=512 want=512",
	      0xa8, 0, B4(1), B4(1), 0, 0);
	TRACE(&w, IN, 512, NULL, "read 512+512 in+0; GOOD in=512 want=512",
	      0x88, 0x10, B8(1), B4(1), 0, 0);
	TRACE(&w, IN, 512, NULL, "read 512+512 in+0; GOOD in=512 want=512", 0x08, 0, 0, 1, 1, 0);
	/* READ(6): zero is 256, and there are 21 bits of LBA. */
	TRACE(&w, IN, 131072, NULL, "read 0+131072 in+0; GOOD in=131072 want=131072",
	      0x08, 0, 0, 0, 0, 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/21/00 info=2097151", 0x08, 0x1f, 0xff, 0xff, 1, 0);
	/* Units. */
	TRACE(&w, IN, 0x280000, NULL,
	      "read 0+1048576 in+0; read 1048576+1048576 in+1048576; "
	      "read 2097152+524288 in+2097152; "
	      "GOOD in=2621440 want=2621440", 0x28, 0, B4(0), 0, B2(0x1400), 0);
	END();
}

static void test_read_range(void)
{
	BEGIN();
	TRACE(&w, IN, 0, NULL, "GOOD", 0x28, 0, B4(0), 0, B2(0), 0);
	TRACE(&w, IN, 0, NULL, "GOOD", 0x28, 0, B4(CAPACITY), 0, B2(0), 0);
	TRACE(&w, IN, 0, NULL, "CHECK 5/21/00 info=16385", 0x28, 0, B4(CAPACITY + 1), 0, B2(0), 0);
	TRACE(&w, IN, 0, NULL, "CHECK 5/21/00 info=4294967295", 0x28, 0, B4(-1), 0, B2(0), 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/21/00 info=16384", 0x28, 0, B4(CAPACITY), 0, B2(1), 0);
	TRACE(&w, IN, 1024, NULL, "CHECK 5/21/00 info=16384",
	      0x28, 0, B4(CAPACITY - 1), 0, B2(2), 0);
	TRACE(&w, IN, 512, NULL, "read 8388096+512 in+0; GOOD in=512 want=512",
	      0x28, 0, B4(CAPACITY - 1), 0, B2(1), 0);
	/* Nothing wraps. */
	TRACE(&w, IN, 512, NULL, "CHECK 5/21/00 info=18446744073709551615",
	      0x88, 0, B8(0xffffffffffffffff), B4(1), 0, 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/21/00 info=18446744073709551615",
	      0x88, 0, B8(0xffffffffffffffff), B4(0xffffffff), 0, 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/21/00 info=9223372036854775808",
	      0x88, 0, B8(1ull << 63), B4(1), 0, 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/21/00 info=36028797018963968",
	      0x88, 0, B8(1ull << 55), B4(1), 0, 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/21/00 info=16384", 0xa8, 0, B4(1), B4(0xffffffff), 0, 0);
	/* Above MAXIMUM TRANSFER LENGTH (8192 blocks): a pointer to the length field. */
	TRACE(&w, IN, 8193 * 512, NULL, "CHECK 5/24/00 cdb:7", 0x28, 0, B4(0), 0, B2(8193), 0);
	TRACE(&w, IN, 8193 * 512, NULL, "CHECK 5/24/00 cdb:6", 0xa8, 0, B4(0), B4(8193), 0, 0);
	TRACE(&w, IN, 8193 * 512, NULL, "CHECK 5/24/00 cdb:10", 0x88, 0, B8(0), B4(8193), 0, 0);
	END();
}

static void test_read_residual(void)
{
	BEGIN();
	TRACE(&w, IN, 10000, NULL, "read 0+512 in+0; GOOD in=512 want=512",
	      0x28, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, IN, 0, NULL, "GOOD want=512", 0x28, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "GOOD want=512", 0x28, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, IN, 200, NULL, "read 0+512 in+0; GOOD in=512 want=512",
	      0x28, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, IN, 512, NULL, "read 0+512 in+0; GOOD in=512 want=1024",
	      0x28, 0, B4(0), 0, B2(2), 0);
	TRACE(&w, IN, 513, NULL, "read 0+1024 in+0; GOOD in=1024 want=1536",
	      0x28, 0, B4(0), 0, B2(3), 0);
	/* The wrong direction. */
	TRACE(&w, OUT, 512, data, "CHECK 5/0e/03", 0x28, 0, B4(0), 0, B2(1), 0);
	END();
}

static void test_read_error(void)
{
	BEGIN();
	w.fail_io = 2;
	w.fail_err = -EIO;
	TRACE(&w, IN, 0x180000, NULL,
	      "read 0+1048576 in+0; read 1048576+524288 in+1048576; CHECK 3/11/00",
	      0x28, 0, B4(0), 0, B2(0xc00), 0);
	END();
}

/* A write that ends during the flush would be read, and not be on the medium: the hold. */
static void test_read_fua(void)
{
	BEGIN();
	TRACE(&w, IN, 512, NULL, "hold 512+512; flush; read 512+512 in+0; GOOD in=512 want=512",
	      0x28, 0x08, B4(1), 0, B2(1), 0);
	CU_ASSERT_EQUAL(memcmp(w.c.in, data + 512, 512), 0);
	TRACE(&w, IN, 512, NULL, "hold 512+512; flush; read 512+512 in+0; GOOD in=512 want=512",
	      0xa8, 0x0a, B4(1), B4(1), 0, 0);
	/* FUA_NV alone; units. */
	TRACE(&w, IN, 0x180000, NULL,
	      "hold 0+1572864; flush; read 0+1048576 in+0; read 1048576+524288 in+1048576; "
	      "GOOD in=1572864 want=1572864", 0x88, 0x02, B8(0), B4(0xc00), 0, 0);
	/* The bits are LBA in READ(6). */
	TRACE(&w, IN, 512, NULL, "CHECK 5/21/00 info=655360", 0x08, 0x0a, 0, 0, 1, 0);
	/* Blocks that are not asked for need not be on the medium. */
	TRACE(&w, IN, 0, NULL, "GOOD", 0x28, 0x08, B4(1), 0, B2(0), 0);
	TRACE(&w, IN, 0, NULL, "GOOD want=512", 0x28, 0x08, B4(1), 0, B2(1), 0);
	TRACE(&w, IN, 512, NULL, "hold 0+512; flush; read 0+512 in+0; GOOD in=512 want=1024",
	      0x28, 0x08, B4(0), 0, B2(2), 0);
	/* Without a write cache blocks are in the store's before their WRITE has ended. */
	w.v.modes.wce = false;
	TRACE(&w, IN, 512, NULL, "hold 0+512; flush; read 0+512 in+0; GOOD in=512 want=512",
	      0x28, 0x08, B4(0), 0, B2(1), 0);
	w.v.caps.durable = true;
	TRACE(&w, IN, 512, NULL, "read 0+512 in+0; GOOD in=512 want=512",
	      0x28, 0x08, B4(0), 0, B2(1), 0);
	END();
}

static void fail_lu(struct step_world *x, enum scsi_event ev)
{
	x->v.failed = ev == SCSI_EV_HELD || ev == SCSI_EV_READY;
}

/* What SYNCHRONIZE CACHE would say. */
static void test_read_fua_fails(void)
{
	BEGIN();
	w.fail_io = 1;
	w.fail_err = -EIO;
	TRACE(&w, IN, 512, NULL, "hold 0+512; flush; CHECK 3/0c/00 flush-failed",
	      0x28, 0x08, B4(0), 0, B2(1), 0);
	w.fail_err = -ENOSPC;
	TRACE(&w, IN, 512, NULL, "hold 0+512; flush; CHECK 7/27/07 flush-failed",
	      0x28, 0x08, B4(0), 0, B2(1), 0);
	w.fail_io = 2;
	w.fail_err = -EIO;
	TRACE(&w, IN, 512, NULL, "hold 0+512; flush; read 0+512 in+0; CHECK 3/11/00",
	      0x28, 0x08, B4(0), 0, B2(1), 0);
	/* Once data is lost no flush says that all is well; who does not ask for it can read. */
	w.fail_io = 0;
	w.between = fail_lu;
	TRACE(&w, IN, 512, NULL, "hold 0+512; CHECK 3/0c/00", 0x28, 0x08, B4(0), 0, B2(1), 0);
	w.between = NULL;
	w.v.failed = true;
	TRACE(&w, IN, 512, NULL, "hold 0+512; CHECK 3/0c/00", 0x28, 0x08, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 3/0c/00", 0x35, 0, B4(0), 0, B2(0), 0);
	TRACE(&w, IN, 512, NULL, "read 0+512 in+0; GOOD in=512 want=512",
	      0x28, 0, B4(0), 0, B2(1), 0);
	END();
}

static void test_protection(void)
{
	BEGIN();
	TRACE(&w, IN, 512, NULL, "CHECK 5/24/00 cdb:1.7", 0x28, 0x20, B4(0), 0, B2(1), 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/24/00 cdb:1.7", 0x88, 0xe0, B8(0), B4(1), 0, 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/24/00 cdb:1.7", 0xaa, 0x40, B4(0), B4(1), 0, 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/24/00 cdb:1.7", 0x8b, 0x20, B8(0), B4(1), 0, 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/24/00 cdb:1.7", 0x41, 0x20, B4(0), 0, B2(1), 0);
	END();
}

static void test_write(void)
{
	BEGIN();
	TRACE(&w, OUT, 512, data, "gather 512; write 1024+512 out+0; GOOD want=512",
	      0x2a, 0, B4(2), 0, B2(1), 0);
	CU_ASSERT_EQUAL(memcmp(w.disk + 1024, data, 512), 0);
	TRACE(&w, OUT, 512, data, "gather 512; write 1024+512 out+0; GOOD want=512",
	      0x0a, 0, 0, 2, 1, 0);
	TRACE(&w, OUT, 512, data, "gather 512; write 1024+512 out+0; GOOD want=512",
	      0xaa, 0, B4(2), B4(1), 0, 0);
	TRACE(&w, OUT, 0x180000, data,
	      "gather 1572864; write 0+1048576 out+0; write 1048576+524288 out+1048576; "
	      "GOOD want=1572864", 0x8a, 0, B8(0), B4(0xc00), 0, 0);
	TRACE(&w, OUT, 0, NULL, "GOOD", 0x2a, 0, B4(0), 0, B2(0), 0);
	TRACE(&w, OUT, 0, NULL, "CHECK 5/21/00 info=16385", 0x2a, 0, B4(CAPACITY + 1), 0, B2(0), 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/21/00 info=18446744073709551615",
	      0x8a, 0, B8(0xffffffffffffffff), B4(1), 0, 0);
	END();
}

static void test_write_residual(void)
{
	BEGIN();
	TRACE(&w, OUT, 0, NULL, "GOOD want=512", 0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 1024, data, "gather 512; write 0+512 out+0; GOOD want=512",
	      0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 10000, data, "gather 512; write 0+512 out+0; GOOD want=512",
	      0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "gather 512; write 0+512 out+0; GOOD want=1024",
	      0x2a, 0, B4(0), 0, B2(2), 0);
	/* Half a block is not written. */
	TRACE(&w, OUT, 200, data, "CHECK 5/0e/03 want=512", 0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 700, data, "CHECK 5/0e/03 want=1024", 0x2a, 0, B4(0), 0, B2(2), 0);
	TRACE(&w, IN, 512, NULL, "CHECK 5/0e/03 want=512", 0x2a, 0, B4(0), 0, B2(1), 0);
	END();
}

static void test_write_through(void)
{
	BEGIN();
	TRACE(&w, OUT, 512, data, "gather 512; write 0+512 out+0; flush; GOOD want=512",
	      0x2a, 0x08, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "gather 512; write 0+512 out+0; flush; GOOD want=512",
	      0x2a, 0x02, B4(0), 0, B2(1), 0);
	w.v.modes.wce = false;
	TRACE(&w, OUT, 512, data, "gather 512; write 0+512 out+0; flush; GOOD want=512",
	      0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "gather 512; write 0+512 out+0; flush; GOOD want=512",
	      0x0a, 0, 0, 0, 1, 0);
	w.v.caps.durable = true;
	TRACE(&w, OUT, 512, data, "gather 512; write 0+512 out+0; GOOD want=512",
	      0x2a, 0x08, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "GOOD", 0x35, 0, B4(0), 0, B2(0), 0);
	END();
}

static void test_write_errors(void)
{
	BEGIN();
	w.fail_io = 1;
	w.fail_err = -ENOSPC;
	TRACE(&w, OUT, 512, data, "gather 512; write 0+512 out+0; CHECK 7/27/07 want=512",
	      0x2a, 0, B4(0), 0, B2(1), 0);
	w.fail_err = -EIO;
	TRACE(&w, OUT, 512, data, "gather 512; write 0+512 out+0; CHECK 3/0c/00 want=512",
	      0x2a, 0x08, B4(0), 0, B2(1), 0);
	w.fail_io = 2;
	TRACE(&w, OUT, 512, data,
	      "gather 512; write 0+512 out+0; flush; CHECK 3/0c/00 want=512 flush-failed",
	      0x2a, 0x08, B4(0), 0, B2(1), 0);
	END();
}

/* Preempted between two units: the second is never handed over. */
static void preempt_after_first(struct step_world *x, enum scsi_event ev)
{
	if (ev == SCSI_EV_IO)
		x->gate.access &= ~(1u << PRC_WRITE);
}

static void test_gate_at_every_unit(void)
{
	BEGIN();
	w.between = preempt_after_first;
	TRACE(&w, OUT, 0x180000, data,
	      "gather 1572864; write 0+1048576 out+0; STATUS 18 want=1572864",
	      0x8a, 0, B8(0), B4(0xc00), 0, 0);
	END();
}

static void shrink(struct step_world *x, enum scsi_event ev)
{
	x->v.caps.size = 512;
}

static void test_lu_shrinks_meanwhile(void)
{
	BEGIN();
	w.between = shrink;
	TRACE(&w, OUT, 1024, data, "gather 1024; CHECK 5/21/00 info=1 want=1024",
	      0x2a, 0, B4(0), 0, B2(2), 0);
	END();
}

static void test_4k(void)
{
	BEGIN();
	w.v.block_size = 4096;
	TRACE(&w, IN, 4096, NULL, "read 4096+4096 in+0; GOOD in=4096 want=4096",
	      0x28, 0, B4(1), 0, B2(1), 0);
	TRACE(&w, IN, 4096, NULL, "CHECK 5/21/00 info=2048",
	      0x28, 0, B4(WORLD_SIZE / 4096), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/0e/03 want=4096", 0x2a, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, IN, 1025 * 4096, NULL, "CHECK 5/24/00 cdb:7", 0x28, 0, B4(0), 0, B2(1025), 0);
	END();
}

static void test_orwrite(void)
{
	uint8_t want[1024];

	BEGIN();
	for (unsigned i = 0; i < sizeof(want); i++)
		want[i] = w.disk[512 + i] | data[4096 + i];
	TRACE(&w, OUT, 1024, data + 4096,
	      "gather 1024; hold 512+1024; read 512+1024 scratch+0; write 512+1024 scratch+0; "
	      "GOOD want=1024", 0x8b, 0, B8(1), B4(2), 0, 0);
	CU_ASSERT_EQUAL(memcmp(w.disk + 512, want, sizeof(want)), 0);
	TRACE(&w, OUT, 0x180000, data,
	      "gather 1572864; hold 0+1572864; flush; "
	      "read 0+1048576 scratch+0; write 0+1048576 scratch+0; "
	      "read 1048576+524288 scratch+0; write 1048576+524288 scratch+0; flush; "
	      "GOOD want=1572864", 0x8b, 0x08, B8(0), B4(0xc00), 0, 0);
	for (unsigned i = 0; i < sizeof(want); i++)
		CU_ASSERT_EQUAL(w.disk[0x170000 + i], data[0x170000 + i]);
	TRACE(&w, OUT, 0, NULL, "GOOD", 0x8b, 0, B8(0), B4(0), 0, 0);
	TRACE(&w, OUT, 0, NULL, "CHECK 5/21/00 info=16385", 0x8b, 0, B8(CAPACITY + 1), B4(0), 0, 0);
	TRACE(&w, OUT, 8193 * 512, NULL, "CHECK 5/24/00 cdb:10", 0x8b, 0, B8(0), B4(8193), 0, 0);
	w.fail_io = 1;
	w.fail_err = -EIO;
	TRACE(&w, OUT, 512, data,
	      "gather 512; hold 0+512; read 0+512 scratch+0; CHECK 3/11/00 want=512",
	      0x8b, 0, B8(0), B4(1), 0, 0);
	END();
}

static void test_write_atomic(void)
{
	BEGIN();
	TRACE(&w, OUT, 512, data, "CHECK 5/20/00", 0x9c, 0, B8(0), 0, 0, B2(1), 0, 0);
	w.v.caps.atomic_max = 4096;
	TRACE(&w, OUT, 1024, data,
	      "gather 1024; hold 512+1024; write 512+1024 out+0 atomic; GOOD want=1024",
	      0x9c, 0, B8(1), 0, 0, B2(2), 0, 0);
	TRACE(&w, OUT, 512, data,
	      "gather 512; hold 0+512; write 0+512 out+0 atomic; flush; GOOD want=512",
	      0x9c, 0x08, B8(0), 0, 0, B2(1), 0, 0);
	TRACE(&w, OUT, 9 * 512, data, "CHECK 5/24/00 cdb:12", 0x9c, 0, B8(0), 0, 0, B2(9), 0, 0);
	TRACE(&w, OUT, 0, NULL, "GOOD", 0x9c, 0, B8(0), 0, 0, B2(0), 0, 0);
	TRACE(&w, OUT, 0, NULL, "CHECK 5/21/00 info=18446744073709551615",
	      0x9c, 0, B8(-1), 0, 0, B2(0), 0, 0);
	/* Never a part of it; no boundary. */
	TRACE(&w, OUT, 512, data, "CHECK 5/0e/03 want=1024", 0x9c, 0, B8(0), 0, 0, B2(2), 0, 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/24/00 cdb:11.0", 0x9c, 0, B8(0), 0, 1, B2(1), 0, 0);
	/* A store that promises more than one unit is not believed beyond it. */
	w.v.caps.atomic_max = 4 << 20;
	TRACE(&w, OUT, 2049 * 512, data, "CHECK 5/24/00 cdb:12",
	      0x9c, 0, B8(0), 0, 0, B2(2049), 0, 0);
	END();
}

static void test_sync_cache(void)
{
	BEGIN();
	TRACE(&w, NONE, 0, NULL, "flush; GOOD", 0x35, 0, B4(0), 0, B2(0), 0);
	TRACE(&w, NONE, 0, NULL, "flush; GOOD", 0x35, 0x02, B4(8), 0, B2(8), 0);
	TRACE(&w, NONE, 0, NULL, "flush; GOOD", 0x91, 0, B8(0), B4(0), 0, 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/21/00 info=16385",
	      0x35, 0, B4(CAPACITY + 1), 0, B2(0), 0);
	w.fail_io = 1;
	w.fail_err = -EIO;
	TRACE(&w, NONE, 0, NULL, "flush; CHECK 3/0c/00 flush-failed", 0x91, 0, B8(0), B4(0), 0, 0);
	w.fail_err = -ENOSPC;
	TRACE(&w, NONE, 0, NULL, "flush; CHECK 7/27/07 flush-failed", 0x91, 0, B8(0), B4(0), 0, 0);
	END();
}

static void test_prefetch(void)
{
	BEGIN();
	TRACE(&w, NONE, 0, NULL, "prefetch 512+512; GOOD", 0x34, 0, B4(1), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "prefetch 512+512; GOOD", 0x90, 0x02, B8(1), B4(1), 3, 0);
	TRACE(&w, NONE, 0, NULL, "prefetch 8388096+512; GOOD",
	      0x34, 0, B4(CAPACITY - 1), 0, B2(0), 0);
	TRACE(&w, NONE, 0, NULL, "GOOD", 0x34, 0, B4(CAPACITY), 0, B2(0), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/21/00 info=16384", 0x34, 0, B4(CAPACITY), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/21/00 info=18446744073709551615",
	      0x90, 0, B8(-1), B4(0), 0, 0);
	w.fail_io = 1;
	w.fail_err = -EOPNOTSUPP;
	TRACE(&w, NONE, 0, NULL, "prefetch 0+512; GOOD", 0x34, 0, B4(0), 0, B2(1), 0);
	END();
}

static void test_reassign(void)
{
	static const uint8_t two[] = { 0, 0, 0, 8, B4(1), B4(CAPACITY - 1) };
	static const uint8_t wide[] = { 0, 0, 0, 8, B8(CAPACITY) };
	static const uint8_t longlist[] = { 0, 1, 0, 0 };
	static const uint8_t reserved[] = { 1, 0, 0, 0 };

	BEGIN();
	TRACE(&w, OUT, sizeof(two), two, "gather 12; GOOD want=12", 0x07, 0, 0, 0, 0, 0);
	TRACE(&w, OUT, 4, two, "gather 4; CHECK 5/1a/00 want=4", 0x07, 0, 0, 0, 0, 0);
	TRACE(&w, OUT, 3, two, "CHECK 5/1a/00", 0x07, 0, 0, 0, 0, 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/1a/00", 0x07, 0, 0, 0, 0, 0);
	TRACE(&w, OUT, sizeof(wide), wide, "gather 12; CHECK 5/21/00 info=16384 want=12",
	      0x07, 0x02, 0, 0, 0, 0);
	TRACE(&w, OUT, 4, longlist, "gather 4; CHECK 5/1a/00 want=4", 0x07, 0x01, 0, 0, 0, 0);
	TRACE(&w, OUT, 4, reserved, "gather 4; CHECK 5/26/00 param:0 want=4", 0x07, 0, 0, 0, 0, 0);
	END();
}

UNIT_MAIN("medium",
	UNIT(test_read),
	UNIT(test_read_range),
	UNIT(test_read_residual),
	UNIT(test_read_error),
	UNIT(test_read_fua),
	UNIT(test_read_fua_fails),
	UNIT(test_protection),
	UNIT(test_write),
	UNIT(test_write_residual),
	UNIT(test_write_through),
	UNIT(test_write_errors),
	UNIT(test_gate_at_every_unit),
	UNIT(test_lu_shrinks_meanwhile),
	UNIT(test_4k),
	UNIT(test_orwrite),
	UNIT(test_write_atomic),
	UNIT(test_sync_cache),
	UNIT(test_prefetch),
	UNIT(test_reassign))
