/* SPDX-License-Identifier: Apache-2.0 */
/* VERIFY, WRITE AND VERIFY, COMPARE AND WRITE as traces. */
#include <errno.h>
#include <string.h>

#include "tests/unit/step_world.h"
#include "tests/unit/unit.h"

static struct step_world w;
static uint8_t data[WORLD_SIZE];

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

static void test_verify_medium(void)
{
	BEGIN();
	TRACE(&w, NONE, 0, NULL, "flush; read 512+1024 scratch+0; GOOD",
	      0x2f, 0, B4(1), 0, B2(2), 0);
	TRACE(&w, NONE, 0, NULL, "flush; read 512+1024 scratch+0; GOOD",
	      0xaf, 0x10, B4(1), B4(2), 0, 0);
	TRACE(&w, NONE, 0, NULL, "flush; read 512+1024 scratch+0; GOOD",
	      0x8f, 0, B8(1), B4(2), 0, 0);
	/* Data-out that nobody asked for is not taken. */
	TRACE(&w, OUT, 1024, data, "flush; read 512+1024 scratch+0; GOOD",
	      0x2f, 0, B4(1), 0, B2(2), 0);
	TRACE(&w, NONE, 0, NULL,
	      "flush; read 0+1048576 scratch+0; read 1048576+1048576 scratch+0; "
	      "read 2097152+1048576 scratch+0; read 3145728+1048576 scratch+0; GOOD",
	      0x2f, 0, B4(0), 0, B2(8192), 0);
	/* Above MAXIMUM TRANSFER LENGTH. */
	TRACE(&w, NONE, 0, NULL, "CHECK 5/24/00 cdb:7", 0x2f, 0, B4(0), 0, B2(8193), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/24/00 cdb:6", 0xaf, 0, B4(0), B4(8193), 0, 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/24/00 cdb:10", 0x8f, 0, B8(0), B4(8193), 0, 0);
	TRACE(&w, NONE, 0, NULL, "GOOD", 0x2f, 0, B4(0), 0, B2(0), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/21/00 info=16385",
	      0x2f, 0, B4(CAPACITY + 1), 0, B2(0), 0);
	TRACE(&w, NONE, 0, NULL, "CHECK 5/24/00 cdb:1.7", 0x2f, 0x20, B4(0), 0, B2(1), 0);
	w.fail_io = 1;
	w.fail_err = -EIO;
	TRACE(&w, NONE, 0, NULL, "flush; CHECK 3/0c/00 flush-failed",
	      0x2f, 0, B4(0), 0, B2(1), 0);
	w.fail_io = 2;
	TRACE(&w, NONE, 0, NULL, "flush; read 0+512 scratch+0; CHECK 3/11/00",
	      0x2f, 0, B4(0), 0, B2(1), 0);
	w.fail_io = 0;
	w.v.failed = true;
	TRACE(&w, NONE, 0, NULL, "CHECK 3/0c/00", 0x2f, 0, B4(0), 0, B2(1), 0);
	TRACE(&w, NONE, 0, NULL, "GOOD", 0x2f, 0, B4(0), 0, B2(0), 0);
	w.v.failed = false;
	w.v.caps.durable = true;
	TRACE(&w, NONE, 0, NULL, "read 0+512 scratch+0; GOOD", 0x2f, 0, B4(0), 0, B2(1), 0);
	END();
}

static void test_verify_each(void)
{
	BEGIN();
	TRACE(&w, OUT, 1024, data + 512,
	      "gather 1024; flush; read 512+1024 scratch+0; GOOD want=1024",
	      0x2f, 0x02, B4(1), 0, B2(2), 0);
	w.disk[512 + 700] ^= 1;
	TRACE(&w, OUT, 1024, data + 512,
	      "gather 1024; flush; read 512+1024 scratch+0; CHECK e/1d/00 info=700 want=1024",
	      0x2f, 0x02, B4(1), 0, B2(2), 0);
	/* In the second unit. */
	w.disk[0x100000 + 3] ^= 1;
	TRACE(&w, OUT, 0x100200, data + 0x800,
	      "gather 1049088; flush; read 2048+1048576 scratch+0; "
	      "CHECK e/1d/00 info=1046531 want=1049088",
	      0x8f, 0x02, B8(4), B4(0x801), 0, 0);
	w.disk[0x100000 + 3] ^= 1;
	w.disk[0x100800 + 3] ^= 1;
	TRACE(&w, OUT, 0x100200, data + 0x800,
	      "gather 1049088; flush; read 2048+1048576 scratch+0; read 1050624+512 scratch+0; "
	      "CHECK e/1d/00 info=1048579 want=1049088", 0x8f, 0x02, B8(4), B4(0x801), 0, 0);
	TRACE(&w, OUT, 8193 * 512, data, "CHECK 5/24/00 cdb:7", 0x2f, 0x02, B4(0), 0, B2(8193), 0);
	TRACE(&w, OUT, 0, NULL, "GOOD", 0x2f, 0x02, B4(0), 0, B2(0), 0);
	TRACE(&w, OUT, 0, NULL, "CHECK 5/21/00 info=4294967295", 0x2f, 0x02, B4(-1), 0, B2(0), 0);
	TRACE(&w, OUT, 100, data, "CHECK 5/0e/03 want=512", 0x2f, 0x02, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "gather 512; flush; read 0+512 scratch+0; GOOD want=1024",
	      0x2f, 0x02, B4(0), 0, B2(2), 0);
	END();
}

static void test_verify_same(void)
{
	BEGIN();
	memset(w.disk, 'x', 8192);
	memset(data, 'x', 512);
	TRACE(&w, OUT, 512, data, "gather 512; flush; read 0+8192 scratch+0; GOOD want=512",
	      0x2f, 0x06, B4(0), 0, B2(16), 0);
	w.disk[5130] = 'y';
	TRACE(&w, OUT, 512, data,
	      "gather 512; flush; read 0+8192 scratch+0; CHECK e/1d/00 info=10 want=512",
	      0x2f, 0x06, B4(0), 0, B2(16), 0);
	TRACE(&w, OUT, 0, NULL, "GOOD", 0x2f, 0x06, B4(0), 0, B2(0), 0);
	TRACE(&w, OUT, 0, NULL, "GOOD want=512", 0x2f, 0x06, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/24/00 cdb:7", 0x2f, 0x06, B4(0), 0, B2(8193), 0);
	TRACE(&w, OUT, 8192, data, "CHECK 5/24/00 cdb:1.2", 0x2f, 0x04, B4(0), 0, B2(16), 0);
	END();
}

static void test_write_verify(void)
{
	BEGIN();
	TRACE(&w, OUT, 1024, data + 99,
	      "gather 1024; write 512+1024 out+0; flush; read 512+1024 scratch+0; GOOD want=1024",
	      0x2e, 0x02, B4(1), 0, B2(2), 0);
	CU_ASSERT_EQUAL(memcmp(w.disk + 512, data + 99, 1024), 0);
	TRACE(&w, OUT, 1024, data,
	      "gather 1024; write 512+1024 out+0; flush; read 512+1024 scratch+0; GOOD want=1024",
	      0xae, 0, B4(1), B4(2), 0, 0);
	w.v.caps.durable = true;
	TRACE(&w, OUT, 0x100200, data,
	      "gather 1049088; write 0+1048576 out+0; write 1048576+512 out+1048576; "
	      "read 0+1048576 scratch+0; read 1048576+512 scratch+0; GOOD want=1049088",
	      0x8e, 0x02, B8(0), B4(0x801), 0, 0);
	TRACE(&w, OUT, 0, NULL, "GOOD", 0x2e, 0x02, B4(0), 0, B2(0), 0);
	TRACE(&w, OUT, 0, NULL, "GOOD want=512", 0x2e, 0x02, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/24/00 cdb:1.2", 0x2e, 0x04, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data, "CHECK 5/24/00 cdb:1.2", 0x2e, 0x06, B4(0), 0, B2(1), 0);
	END();
}

/* What comes back is not what was written. */
static void spoil(struct step_world *x, enum scsi_event ev)
{
	x->disk[5] ^= 0x80;
}

static void test_write_verify_fails(void)
{
	BEGIN();
	w.fail_io = 2;
	w.fail_err = -EIO;
	TRACE(&w, OUT, 512, data,
	      "gather 512; write 0+512 out+0; flush; CHECK 3/0c/00 want=512 flush-failed",
	      0x2e, 0x02, B4(0), 0, B2(1), 0);
	w.fail_io = 0;
	w.v.caps.durable = true;
	w.between = spoil;
	TRACE(&w, OUT, 512, data,
	      "gather 512; write 0+512 out+0; read 0+512 scratch+0; CHECK e/1d/00 info=5 want=512",
	      0x2e, 0x02, B4(0), 0, B2(1), 0);
	TRACE(&w, OUT, 512, data,
	      "gather 512; write 0+512 out+0; read 0+512 scratch+0; GOOD want=512",
	      0x2e, 0, B4(0), 0, B2(1), 0);
	END();
}

static void test_compare_and_write(void)
{
	uint8_t list[2048];

	BEGIN();
	memcpy(list, data + 512, 1024);
	memset(list + 1024, 'N', 1024);
	TRACE(&w, OUT, 2048, list,
	      "gather 2048; hold 512+1024; read 512+1024 scratch+0; "
	      "write 512+1024 out+1024; GOOD want=2048",
	      0x89, 0, B8(1), 0, 0, 0, 2, 0, 0);
	CU_ASSERT_EQUAL(memcmp(w.disk + 512, list + 1024, 1024), 0);
	CU_ASSERT_EQUAL(memcmp(w.disk + 1536, data + 1536, 512), 0);
	/* Again: the first byte differs now. */
	TRACE(&w, OUT, 2048, list,
	      "gather 2048; hold 512+1024; read 512+1024 scratch+0; CHECK e/1d/00 info=0 want=2048",
	      0x89, 0, B8(1), 0, 0, 0, 2, 0, 0);
	memset(list, 'N', 1024);
	list[1023] = 'M';
	TRACE(&w, OUT, 2048, list,
	      "gather 2048; hold 512+1024; read 512+1024 scratch+0; "
	      "CHECK e/1d/00 info=1023 want=2048",
	      0x89, 0, B8(1), 0, 0, 0, 2, 0, 0);
	list[1023] = 'N';
	TRACE(&w, OUT, 2048, list,
	      "gather 2048; hold 512+1024; flush; read 512+1024 scratch+0; "
	      "write 512+1024 out+1024; flush; "
	      "GOOD want=2048", 0x89, 0x08, B8(1), 0, 0, 0, 2, 0, 0);
	list[5] ^= 1;
	TRACE(&w, OUT, 2048, list,
	      "gather 2048; hold 512+1024; flush; read 512+1024 scratch+0; "
	      "CHECK e/1d/00 info=5 want=2048", 0x89, 0x02, B8(1), 0, 0, 0, 2, 0, 0);
	list[5] ^= 1;
	w.fail_io = 1;
	w.fail_err = -EIO;
	TRACE(&w, OUT, 2048, list,
	      "gather 2048; hold 512+1024; flush; CHECK 3/0c/00 want=2048 flush-failed",
	      0x89, 0x08, B8(1), 0, 0, 0, 2, 0, 0);
	w.fail_io = 0;
	w.v.caps.durable = true;
	TRACE(&w, OUT, 2048, list,
	      "gather 2048; hold 512+1024; read 512+1024 scratch+0; "
	      "write 512+1024 out+1024; GOOD want=2048", 0x89, 0x08, B8(1), 0, 0, 0, 2, 0, 0);
	END();
}

static void test_compare_and_write_refused(void)
{
	BEGIN();
	TRACE(&w, OUT, 0, NULL, "GOOD", 0x89, 0, B8(0), 0, 0, 0, 0, 0, 0);
	TRACE(&w, OUT, 1024, data, "CHECK 5/21/00 info=16384",
	      0x89, 0, B8(CAPACITY), 0, 0, 0, 1, 0, 0);
	TRACE(&w, OUT, 1024, data, "CHECK 5/21/00 info=18446744073709551615",
	      0x89, 0, B8(-1), 0, 0, 0, 1, 0, 0);
	TRACE(&w, OUT, 2048, data, "CHECK 5/0e/03 want=1024", 0x89, 0, B8(0), 0, 0, 0, 1, 0, 0);
	TRACE(&w, OUT, 2048, data, "CHECK 5/0e/03 want=3072", 0x89, 0, B8(0), 0, 0, 0, 3, 0, 0);
	TRACE(&w, OUT, 0, NULL, "CHECK 5/0e/03 want=1024", 0x89, 0, B8(0), 0, 0, 0, 1, 0, 0);
	TRACE(&w, OUT, 1024, data, "CHECK 5/24/00 cdb:1.7", 0x89, 0x20, B8(0), 0, 0, 0, 1, 0, 0);
	w.fail_io = 1;
	w.fail_err = -EIO;
	TRACE(&w, OUT, 1024, data,
	      "gather 1024; hold 0+512; read 0+512 scratch+0; CHECK 3/11/00 want=1024",
	      0x89, 0, B8(0), 0, 0, 0, 1, 0, 0);
	END();
}

static void preempt_while_held(struct step_world *x, enum scsi_event ev)
{
	if (ev == SCSI_EV_HELD)
		x->gate.access &= ~(1u << PRC_WRITE);
}

/* Access is lost while it waits for the hold: nothing is written. */
static void test_compare_and_write_preempted(void)
{
	static uint8_t list[1024];

	BEGIN();
	memcpy(list, w.disk, 512);
	w.between = preempt_while_held;
	TRACE(&w, OUT, 1024, list,
	      "gather 1024; hold 0+512; read 0+512 scratch+0; STATUS 18 want=1024",
	      0x89, 0, B8(0), 0, 0, 0, 1, 0, 0);
	CU_ASSERT_EQUAL(memcmp(w.disk, data, 512), 0);
	END();
}

static void test_compare_and_write_longest(void)
{
	static uint8_t list[2 * 255 * 4096];

	BEGIN();
	w.v.block_size = 4096;
	memcpy(list, w.disk, sizeof(list) / 2);
	TRACE(&w, OUT, sizeof(list), list,
	      "gather 2088960; hold 0+1044480; read 0+1044480 scratch+0; "
	      "write 0+1044480 out+1044480; "
	      "GOOD want=2088960", 0x89, 0, B8(0), 0, 0, 0, 255, 0, 0);
	END();
}

UNIT_MAIN("verify",
	UNIT(test_verify_medium),
	UNIT(test_verify_each),
	UNIT(test_verify_same),
	UNIT(test_write_verify),
	UNIT(test_write_verify_fails),
	UNIT(test_compare_and_write),
	UNIT(test_compare_and_write_refused),
	UNIT(test_compare_and_write_preempted),
	UNIT(test_compare_and_write_longest))
