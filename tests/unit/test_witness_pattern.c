/* SPDX-License-Identifier: Apache-2.0 */
/* Cluster software recognised by what it does; everything else stays unknown. */
#include "tests/unit/witness_world.h"

static void two_nodes(void)
{
	ww_world();
	for (char n = 'a'; n <= 'b'; n++)
		ww_login(nx(n));
}

/* A node reads a region, in so many pieces of so many bytes, and writes its own block in it. */
static void region_beat(char n, uint64_t off, unsigned pieces, uint32_t len, unsigned block,
			uint32_t size)
{
	for (unsigned i = 0; i < pieces; i++)
		ww_io(nx(n), false, off + (uint64_t)i * len, len);
	ww_io(nx(n), true, off + (uint64_t)block * size, size);
}

static void test_windows(void)
{
	ww_world();
	win_login('a');
	win_register('a');
	win_defend('a', 3);
	CU_ASSERT(ww_only(-1));
	win_defend('a', 2);
	CU_ASSERT_EQUAL(ww_sure(WITNESS_WINDOWS), WITNESS_LIKELY);
	win_defend('a', 10);
	CU_ASSERT_EQUAL(ww_sure(WITNESS_WINDOWS), WITNESS_SURE);
	CU_ASSERT(ww_only(WITNESS_WINDOWS));
	CU_ASSERT(ww.picture.owner.renews);
	/* One entry when the rhythm was seen, not one per defence. */
	CU_ASSERT_EQUAL(ww_count(WITNESS_DEFENDED, 'a'), 1);
	/* For an hour: every ten minutes. */
	win_defend('a', 1200);
	CU_ASSERT_EQUAL(ww_count(WITNESS_DEFENDED, 'a'), 1 + 6);
	CU_ASSERT(ww_replays());
}

/* The owner only looks at the keys every 3 s. */
static void test_windows_looks(void)
{
	ww_world();
	win_login('a');
	win_register('a');
	CU_ASSERT_EQUAL(ww_pr(nx_of('a', 1, 1), RESERVE, 5, win_key('a'), 0), 0);
	for (unsigned i = 0; i < 8; i++) {
		ww_look(nx_of('a', 1, 1), 0);
		ww_wait(3000);
	}
	CU_ASSERT_EQUAL(ww_sure(WITNESS_WINDOWS), WITNESS_LIKELY);
	CU_ASSERT(ww.picture.owner.renews);
	CU_ASSERT(ww_only(WITNESS_WINDOWS));
}

/* A challenge makes it sure earlier. */
static void test_windows_challenged(void)
{
	ww_world();
	win_login('a');
	win_login('b');
	win_register('a');
	win_defend('a', 3);
	win_register('b');
	CU_ASSERT_EQUAL(ww_pr(nx_of('b', 1, 1), RESERVE, 5, win_key('b'), 0), 0x18);
	CU_ASSERT_EQUAL(ww_count(WITNESS_CHALLENGED, 'b'), 1);
	win_defend('a', 3);
	CU_ASSERT_EQUAL(ww_sure(WITNESS_WINDOWS), WITNESS_SURE);
	CU_ASSERT(ww_only(WITNESS_WINDOWS));
}

/* The same rhythm on a reservation of another type, and type 5 in another rhythm. */
static void test_not_windows(void)
{
	/* An owner that hangs early is not taken for something else. */
	ww_world();
	win_login('a');
	win_register('a');
	win_defend('a', 2);
	ww_wait(60000);
	CU_ASSERT(ww_only(-1));
	ww_world();
	ww_login(nx('a'));
	ww_pr(nx('a'), REGISTER, 0, 0, 0xabcdef0123456789);
	for (unsigned i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 1, 0xabcdef0123456789, 0), 0);
		ww_wait(3000);
	}
	CU_ASSERT(ww_only(-1));
	ww_world();
	ww_login(nx('a'));
	ww_pr(nx('a'), REGISTER, 0, 0, 0xabcdef0123456789);
	for (unsigned i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 0xabcdef0123456789, 0), 0);
		ww_wait(i % 3 ? 700 : 9000);
	}
	CU_ASSERT(ww_only(-1));
}

static void scsi_on(char n, uint64_t key)
{
	ww_login(nx(n));
	CU_ASSERT_EQUAL(ww_pr(nx(n), REGISTER_AND_IGNORE, 0, 0, key), 0);
}

static void test_fence_scsi(void)
{
	ww_world();
	scsi_on('a', 0x4d2a0001);
	CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 0x4d2a0001, 0), 0);
	ww_wait(5000);
	CU_ASSERT(ww_only(-1));
	ww_wait(15000);
	CU_ASSERT_EQUAL(ww_sure(WITNESS_FENCE_SCSI), WITNESS_LIKELY);
	scsi_on('b', 0x4d2a0002);
	CU_ASSERT_EQUAL(ww_pr(nx('b'), RESERVE, 5, 0x4d2a0002, 0), 0x18);
	ww_wait(1000);
	CU_ASSERT_EQUAL(ww_sure(WITNESS_FENCE_SCSI), WITNESS_SURE);
	CU_ASSERT(ww_only(WITNESS_FENCE_SCSI));
	/* Keys that have nothing in common. */
	ww_world();
	scsi_on('a', 0x4d2a0001);
	CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 0x4d2a0001, 0), 0);
	scsi_on('b', 0x4d2b0002);
	ww_wait(60000);
	CU_ASSERT(ww_only(-1));
}

/* Its status and monitor read the keys, now and then as regularly as Windows defends. */
static void test_fence_looks(void)
{
	ww_world();
	scsi_on('a', 0x4d2a0001);
	CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 0x4d2a0001, 0), 0);
	scsi_on('b', 0x4d2a0002);
	ww_wait(1000);
	CU_ASSERT_EQUAL(ww_sure(WITNESS_FENCE_SCSI), WITNESS_SURE);
	for (unsigned i = 0; i < 12; i++) {
		ww_look(nx('a'), 0);
		ww_wait(3000);
	}
	ww_wait(60000);
	CU_ASSERT(!ww.picture.owner.renews);
	CU_ASSERT_EQUAL(ww_count(WITNESS_DEFENDED, 'a'), 0);
	CU_ASSERT(!(ww.picture.warnings & 1u << WITNESS_NO_DEFENCE));
	CU_ASSERT(ww_only(WITNESS_FENCE_SCSI));
	CU_ASSERT(ww_replays());
}

static void test_fence_mpath(void)
{
	ww_world();
	for (char n = 'a'; n <= 'b'; n++)
		for (uint8_t i = 1; i <= 2; i++) {
			ww_login(nx_of(n, i, i));
			ww_pr(nx_of(n, i, i), REGISTER, 0, 0, (uint64_t)n - 'a' + 1);
		}
	CU_ASSERT_EQUAL(ww_pr(nx_of('a', 1, 1), RESERVE, 5, 1, 0), 0);
	ww_wait(20000);
	CU_ASSERT_EQUAL(ww_sure(WITNESS_FENCE_MPATH), WITNESS_LIKELY);
	CU_ASSERT_EQUAL(ww_pr(nx_of('a', 1, 1), PREEMPT_AND_ABORT, 5, 1, 2), 0);
	ww_wait(1000);
	CU_ASSERT_EQUAL(ww_sure(WITNESS_FENCE_MPATH), WITNESS_SURE);
	CU_ASSERT(ww_only(WITNESS_FENCE_MPATH));
	/* On one path only it could be anything. */
	ww_world();
	scsi_on('a', 1);
	scsi_on('b', 2);
	CU_ASSERT_EQUAL(ww_pr(nx('a'), RESERVE, 5, 1, 0), 0);
	ww_wait(60000);
	CU_ASSERT(ww_only(-1));
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

static void sbd_loop(char n, unsigned slot, uint32_t block)
{
	ww_io(nx(n), false, 0, block);
	ww_io(nx(n), false, (1 + 2 * slot) * block, block);
	ww_io(nx(n), false, (2 + 2 * slot) * block, block);
}

static void test_sbd(void)
{
	for (uint32_t block = 512; block <= 4096; block *= 8) {
		ww_world();
		for (char n = 'a'; n <= 'c'; n++)
			ww_login(nx(n));
		for (unsigned i = 0; i < 3; i++) {
			sbd_loop('a', 0, block);
			ww_wait(1000);
		}
		CU_ASSERT(ww_only(-1));
		for (unsigned i = 0; i < 3; i++) {
			sbd_loop('a', 0, block);
			ww_wait(1010);
		}
		CU_ASSERT_EQUAL(ww_sure(WITNESS_SBD), WITNESS_LIKELY);
		for (unsigned i = 0; i < 6; i++) {
			sbd_loop('a', 0, block);
			sbd_loop('b', 1, block);
			sbd_loop('c', 7, block);
			ww_wait(1010);
		}
		CU_ASSERT_EQUAL(ww_sure(WITNESS_SBD), WITNESS_SURE);
		CU_ASSERT(ww_only(WITNESS_SBD));
		CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 0), 3);
		/* One stops, and comes back. */
		for (unsigned i = 0; i < 10; i++) {
			sbd_loop('a', 0, block);
			sbd_loop('b', 1, block);
			ww_wait(1010);
		}
		CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 'c'), 2);
		CU_ASSERT(ww.picture.warnings & 1u << WITNESS_BEAT_LOST);
		for (unsigned i = 0; i < 6; i++) {
			sbd_loop('a', 0, block);
			sbd_loop('b', 1, block);
			sbd_loop('c', 7, block);
			ww_wait(1010);
		}
		CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 'c'), 3);
		CU_ASSERT(!(ww.picture.warnings & 1u << WITNESS_BEAT_LOST));
		CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 0), 5);
		CU_ASSERT(ww_replays());
	}
}

/* A loop timeout other than the 1 s that is usual. */
static void test_sbd_slow(void)
{
	for (unsigned loop = 2000; loop <= 4000; loop += 1000) {
		two_nodes();
		for (unsigned i = 0; i < 8; i++) {
			sbd_loop('a', 0, 512);
			sbd_loop('b', 1, 512);
			ww_wait(loop + 10);
		}
		CU_ASSERT_EQUAL(ww_sure(WITNESS_SBD), WITNESS_SURE);
		CU_ASSERT(ww_only(WITNESS_SBD));
	}
}

/*
 * The kernel cuts the lockspace of sanlock and the region of o2cb into pieces: a MiB into what the
 * initiator sends at once, 255 slots of 4 KiB into 16 KiB.
 */
static void test_pieces(void)
{
	two_nodes();
	for (unsigned i = 0; i < 6; i++) {
		/* Host 1 and host 2000, the last one there may be. */
		region_beat('a', 1 << 20, 4, 256 << 10, 0, 512);
		region_beat('b', 1 << 20, 4, 256 << 10, 1999, 512);
		ww_wait(20000);
	}
	CU_ASSERT_EQUAL(ww_sure(WITNESS_SANLOCK), WITNESS_SURE);
	CU_ASSERT(ww_only(WITNESS_SANLOCK));

	two_nodes();
	for (unsigned i = 0; i < 10; i++) {
		region_beat('a', 8 << 20, 2, 16 << 10, 1, 4096);
		region_beat('b', 8 << 20, 2, 16 << 10, 6, 4096);
		ww_wait(2000);
	}
	CU_ASSERT_EQUAL(ww_sure(WITNESS_O2CB), WITNESS_SURE);
	CU_ASSERT(ww_only(WITNESS_O2CB));
}

static void test_o2cb(void)
{
	two_nodes();
	for (unsigned i = 0; i < 10; i++) {
		region_beat('a', 1 << 20, 1, 3 * 512, 0, 512);
		if (i >= 5)
			region_beat('b', 1 << 20, 1, 3 * 512, 1, 512);
		ww_wait(2000);
		if (i == 4)
			CU_ASSERT_EQUAL(ww_sure(WITNESS_O2CB), WITNESS_LIKELY);
	}
	CU_ASSERT_EQUAL(ww_sure(WITNESS_O2CB), WITNESS_SURE);
	CU_ASSERT(ww_only(WITNESS_O2CB));
	/* Writes in that rhythm, but nobody reads what the others say. */
	ww_world();
	ww_login(nx('a'));
	for (unsigned i = 0; i < 10; i++) {
		ww_io(nx('a'), true, 1 << 20, 512);
		ww_io(nx('a'), false, 5 << 20, 3 * 512);
		ww_wait(2000);
	}
	CU_ASSERT(ww_only(-1));
}

static void test_sanlock(void)
{
	for (unsigned wait = 2000; wait <= 20000; wait += 6000) {
		two_nodes();
		for (unsigned i = 0; i < 6; i++) {
			region_beat('a', 1 << 20, 1, 1 << 20, 0, 512);
			region_beat('b', 1 << 20, 1, 1 << 20, 1, 512);
			ww_wait(wait);
		}
		CU_ASSERT_EQUAL(ww_sure(WITNESS_SANLOCK), WITNESS_SURE);
		CU_ASSERT(ww_only(WITNESS_SANLOCK));
	}
	/* A write outside of what is read. */
	ww_world();
	ww_login(nx('a'));
	for (unsigned i = 0; i < 6; i++) {
		ww_io(nx('a'), false, 1 << 20, 1 << 20);
		ww_io(nx('a'), true, 2 << 20, 512);
		ww_wait(20000);
	}
	CU_ASSERT(ww_only(-1));
}

/* ---- noise ----------------------------------------------------------------------------------- */

static uint32_t noise = 12345;
static uint32_t rnd(uint32_t n)
{
	noise = noise * 1664525 + 1013904223;
	return (noise >> 8) % n;
}

/* A file system with a journal, a path checker every 5 s, a backup. */
static void test_noise(void)
{
	ww_world();
	for (char n = 'a'; n <= 'd'; n++)
		ww_login(nx(n));
	for (unsigned i = 0; i < 40000; i++) {
		struct nexus n = nx((char)('a' + rnd(4)));

		ww_io(n, rnd(2), (uint64_t)rnd(1000) * 512, 512u << rnd(8));
		ww_ms += rnd(40);
		if (!rnd(3))
			ww_io(nx('a'), false, (uint64_t)i * 65536, 65536);
		if (!(i % 250))
			ww_io(nx('b'), false, 0, 4096);
	}
	ww_wait(1000);
	CU_ASSERT(ww_only(-1));
	CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 0), 0);
	CU_ASSERT(ww_replays());
}

/* A heartbeat goes on in the middle of it. */
static void test_beat_in_noise(void)
{
	ww_world();
	for (char n = 'a'; n <= 'd'; n++)
		ww_login(nx(n));
	for (unsigned i = 0; i < 20; i++) {
		sbd_loop('a', 0, 512);
		sbd_loop('b', 1, 512);
		for (unsigned k = 0; k < 1000; k++) {
			ww_io(nx('c'), rnd(2), (uint64_t)(1000 + rnd(100000)) * 512, 4096);
			ww_ms++;
		}
	}
	CU_ASSERT_EQUAL(ww_sure(WITNESS_SBD), WITNESS_SURE);
	CU_ASSERT(ww_only(WITNESS_SBD));
}

/* Of what is not looked at nothing is said; of others it is. */
static void test_blind(void)
{
	struct nexus a = nx('a');

	two_nodes();
	for (unsigned i = 0; i < 8; i++) {
		sbd_loop('a', 0, 512);
		sbd_loop('b', 1, 512);
		ww_wait(1000);
	}
	CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 0), 2);
	for (unsigned i = 0; i < 20; i++) {
		ww_event((struct witness_event){ .kind = WITNESS_EV_BLIND, .who = &a });
		ww_wait(1000);
	}
	CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 'a'), 1);
	CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 'b'), 2);
	ww_wait(10000);
	CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 'a'), 2);
	/* Nothing was looked at. */
	ww_world();
	ww_login(nx('a'));
	for (unsigned i = 0; i < 30; i++) {
		if (i < 8)
			sbd_loop('a', 0, 512);
		else
			ww_event((struct witness_event){ .kind = WITNESS_EV_BLIND });
		ww_wait(1000);
	}
	CU_ASSERT_EQUAL(ww_count(WITNESS_BEAT, 'a'), 1);
	CU_ASSERT(ww_replays());
}

UNIT_MAIN("witness pattern", UNIT(test_windows), UNIT(test_windows_looks),
	  UNIT(test_windows_challenged), UNIT(test_not_windows), UNIT(test_fence_scsi),
		UNIT(test_fence_looks),
	  UNIT(test_fence_mpath), UNIT(test_sbd), UNIT(test_sbd_slow),
	  UNIT(test_pieces), UNIT(test_o2cb), UNIT(test_sanlock),
	  UNIT(test_noise), UNIT(test_beat_in_noise), UNIT(test_blind))
