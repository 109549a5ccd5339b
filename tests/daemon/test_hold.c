/* SPDX-License-Identifier: Apache-2.0 */
/* Holds. COMPARE AND WRITE is atomic (SBC-3 5.2), over sessions on different reactors and against
 * ordinary reads and writes. */
#include <string.h>

#include "tests/daemon/wire.h"

enum { ACTORS = 8 };

static const char fast[] = "      - {lun: 0, name: m0, backend: memory, size: 16M}\n";
static const char slow[] = "      - {lun: 0, name: m0, backend: memory, size: 16M, "
			   "filters: \"delay:min_us=1,max_us=400,seed=3\"}\n";

/* One initiator and what it is at. */
struct actor {
	struct wire *w;
	unsigned state, left, tries;
	uint64_t seen;
	struct io io;
	uint8_t buf[16 * BLOCK];
};
static struct actor actors[ACTORS];

/* Gives each actor's step function a turn whenever its command has ended, until all say they are
 * finished. */
static void play(bool (*step)(struct actor *a, unsigned i), unsigned n)
{
	uint64_t end = wire_now() + 60000ull * wire_slow();
	struct wire *w[ACTORS];
	unsigned playing = n;

	for (unsigned i = 0; i < n; i++) {
		w[i] = actors[i].w;
		CU_ASSERT_FATAL(step(&actors[i], i));
	}
	while (playing) {
		struct pdu p;
		int i = wire_poll(w, n, 5000 * wire_slow());

		if (i < 0 || wire_now() > end) {
			CU_FAIL("it stands still");
			break;
		}
		CU_ASSERT_EQUAL_FATAL(wire_pump(w[i], &p, WIRE_MS * wire_slow()), 2);
		if (actors[i].io.done && !step(&actors[i], (unsigned)i)) {
			w[i] = NULL;
			playing--;
		}
	}
}

static void actors_open(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		memset(&actors[i], 0, sizeof(actors[i]));
		actors[i].w = wire_open(&(struct login_opts){ .isid = (uint8_t)i }, 1);
	}
}

/* ---- a counter
 * ---------------------------------------------------------------------------------------------- */

enum { COUNTER = 40, EACH = 60 };

static void counter_block(uint8_t b[BLOCK], uint64_t v)
{
	for (unsigned i = 0; i < BLOCK / 8; i++)
		put_be64(b + 8 * i, v * (i + 1));
}

static bool count_step(struct actor *a, unsigned i)
{
	switch (a->state) {
	case 0: /* to begin with */
		a->left = EACH;
		break;
	case 1: /* has read */
		CU_ASSERT_EQUAL(a->io.status, ST_GOOD);
		a->seen = get_be64(a->buf);
		{
			uint8_t want[BLOCK];

			counter_block(want, a->seen);
			CU_ASSERT(!memcmp(a->buf, want, BLOCK)); /* never a torn one */
		}
		counter_block(a->buf + BLOCK, a->seen + 1);
		io_caw(&a->io, 0, COUNTER, 1, a->buf);
		a->io.no_imm = i & 1;
		a->state = 2;
		return io_start(a->w, &a->io);
	case 2: /* has tried */
		a->tries++;
		if (a->io.status == ST_GOOD) {
			if (!--a->left)
				return false;
		} else {
			CU_ASSERT_EQUAL(a->io.status, ST_CHECK);
			CU_ASSERT_EQUAL(io_key(&a->io), KEY_MISCOMPARE);
			CU_ASSERT_EQUAL(io_asc(&a->io), 0x1d00);
		}
		break;
	}
	io_read(&a->io, 0, COUNTER, 1, a->buf);
	a->state = 1;
	return io_start(a->w, &a->io);
}

static void count_on(const char *luns)
{
	struct io r;
	uint64_t tries = 0;

	daemon_start(NULL, luns, NULL);
	actors_open(ACTORS);
	play(count_step, ACTORS);
	io_read(&r, 0, COUNTER, 1, actors[0].buf);
	CU_ASSERT(io_good(actors[0].w, &r));
	CU_ASSERT_EQUAL(get_be64(actors[0].buf), ACTORS * EACH);
	for (unsigned i = 0; i < ACTORS; i++)
		tries += actors[i].tries;
	CU_ASSERT(tries >= ACTORS * EACH);
	daemon_stop();
}

static void test_counter(void)
{
	count_on(fast);
}
static void test_counter_slow(void)
{
	count_on(slow);
}

static void test_counter_file(void)
{
	char luns[512];

	snprintf(luns, sizeof(luns), "      - {lun: 0, name: f0, path: %s, size: 16M}\n",
		 daemon_path("f0.img"));
	count_on(luns);
	remove(daemon_path("f0.img"));
}

/* ---- a lock: taken by COMPARE AND WRITE, given back by an ordinary write
 * -------------------------------------- */

enum { LOCK = 50, SHARED = 60, LOCKED_EACH = 25 };

static bool lock_step(struct actor *a, unsigned i)
{
	uint8_t *b = a->buf;

	switch (a->state) {
	case 0:
		a->left = LOCKED_EACH;
		break;
	case 1: /* has tried to take it */
		if (a->io.status != ST_GOOD) {
			CU_ASSERT_EQUAL(io_key(&a->io), KEY_MISCOMPARE);
			break;
		}
		a->state = 2;
		io_read(&a->io, 0, SHARED, 8, b);
		return io_start(a->w, &a->io);
	case 2: /* has read what the lock protects: two counters, far apart */
		CU_ASSERT_EQUAL(get_be64(b), get_be64(b + 7 * BLOCK));
		put_be64(b, get_be64(b) + 1);
		put_be64(b + 7 * BLOCK, get_be64(b));
		a->state = 3;
		io_write(&a->io, 0, SHARED, 8, b);
		return io_start(a->w, &a->io);
	case 3: /* has written it */
		CU_ASSERT_EQUAL(a->io.status, ST_GOOD);
		memset(b, 0, BLOCK);
		a->state = 4;
		io_write(&a->io, 0, LOCK, 1, b);
		return io_start(a->w, &a->io);
	case 4: /* has given the lock back */
		CU_ASSERT_EQUAL(a->io.status, ST_GOOD);
		if (!--a->left)
			return false;
		break;
	}
	memset(b, 0, BLOCK); /* free -> ours */
	memset(b + BLOCK, (int)i + 1, BLOCK);
	a->state = 1;
	io_caw(&a->io, 0, LOCK, 1, b);
	return io_start(a->w, &a->io);
}

static void lock_on(const char *luns)
{
	struct io r;

	daemon_start(NULL, luns, NULL);
	actors_open(ACTORS);
	play(lock_step, ACTORS);
	io_read(&r, 0, SHARED, 8, actors[0].buf);
	CU_ASSERT(io_good(actors[0].w, &r));
	CU_ASSERT_EQUAL(get_be64(actors[0].buf), ACTORS * LOCKED_EACH);
	daemon_stop();
}

static void test_lock(void)
{
	lock_on(fast);
}
static void test_lock_slow(void)
{
	lock_on(slow);
}

/* ---- eight blocks at once: readers see the old or the new, never a mixture
 * ------------------------------------- */

enum { WIDE = 100, ROUNDS = 80 };
static unsigned wide_now;

static void wide_fill(uint8_t *b, unsigned v)
{
	fill_blocks(b, WIDE, 8, v);
}

static bool wide_step(struct actor *a, unsigned i)
{
	if (i == 0) { /* the writer */
		if (a->state++ && a->io.status != ST_GOOD)
			CU_FAIL("a lone COMPARE AND WRITE fails");
		if (wide_now == ROUNDS)
			return false;
		wide_fill(a->buf, wide_now);
		wide_fill(a->buf + 8 * BLOCK, ++wide_now);
		io_caw(&a->io, 0, WIDE, 8, a->buf);
		return io_start(a->w, &a->io);
	}
	if (a->state++) {
		uint32_t v = get_be32(a->buf + 4);

		CU_ASSERT_EQUAL(a->io.status, ST_GOOD);
		CU_ASSERT(v <= wide_now && same_blocks(a->buf, WIDE, 8, v));
		CU_ASSERT(v >= a->seen); /* nor does it go back */
		a->seen = v;
		if (v >= ROUNDS - 1)
			return false;
	}
	io_read(&a->io, 0, WIDE, 8, a->buf);
	return io_start(a->w, &a->io);
}

static void test_readers(void)
{
	static uint8_t b[8 * BLOCK];
	struct io io;

	daemon_start(NULL, slow, NULL);
	actors_open(ACTORS);
	wide_now = 0;
	wide_fill(b, 0);
	io_write(&io, 0, WIDE, 8, b);
	CU_ASSERT(io_good(actors[0].w, &io));
	play(wide_step, 5);
	daemon_stop();
}

/* ---- single cases
 * --------------------------------------------------------------------------------------------- */

/* What it says on a miscompare: key 0Eh, and INFORMATION is the offset of the first byte that
 * differs (SBC-3 5.2). */
static void test_miscompare(void)
{
	uint8_t b[4 * BLOCK], back[2 * BLOCK];
	struct wire *w;
	struct io io;

	daemon_start(NULL, fast, NULL);
	w = wire_open(NULL, 1);
	fill_blocks(b, 5, 2, 1);
	io_write(&io, 0, 5, 2, b);
	CU_ASSERT(io_good(w, &io));
	fill_blocks(b + 2 * BLOCK, 5, 2, 2);
	b[BLOCK + 77] ^= 1;
	io_caw(&io, 0, 5, 2, b);
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.status, ST_CHECK);
	CU_ASSERT_EQUAL(io_key(&io), KEY_MISCOMPARE);
	CU_ASSERT_EQUAL(io_asc(&io), 0x1d00);
	CU_ASSERT_EQUAL(io.sense[0], 0xf0); /* fixed, VALID */
	CU_ASSERT_EQUAL(get_be32(io.sense + 3), BLOCK + 77);
	io_read(&io, 0, 5, 2, back);
	CU_ASSERT(io_good(w, &io) && same_blocks(back, 5, 2, 1));
	b[BLOCK + 77] ^= 1;
	io_caw(&io, 0, 5, 2, b);
	CU_ASSERT(io_good(w, &io));
	io_read(&io, 0, 5, 2, back);
	CU_ASSERT(io_good(w, &io) && same_blocks(back, 5, 2, 2));
	/* no blocks: nothing compared, nothing written, no error */
	io_caw(&io, 0, 5, 0, b);
	CU_ASSERT(io_good(w, &io));
	daemon_stop();
	CU_ASSERT_EQUAL(daemon_log_count("event=io_failed"), 0);
}

/* A write that hangs in the backend holds up COMPARE AND WRITE of its blocks only; a hold of a dead
 * session is given back. */
static void test_hung_and_dead(void)
{
	static uint8_t data[8 * BLOCK], pair[2 * BLOCK], zero[8 * BLOCK];
	struct io wr, caw, other, r;
	struct wire *a, *b, *c;
	char luns[512];

	daemon_touch("hang");
	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: m0, backend: memory, size: 16M, "
		 "filters: \"fault:op=write,off=0,len=4096,count=1,while=%s,hang\"}\n",
		 daemon_path("hang"));
	daemon_start(NULL, luns, NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	c = wire_open(&(struct login_opts){ .isid = 3 }, 1);
	fill_blocks(data, 0, 8, 1);
	io_write(&wr, 0, 0, 8, data);
	io_start(a, &wr);
	CU_ASSERT(wire_alive(a)); /* so it is in the backend */
	memset(pair, 0, sizeof(pair));
	memset(pair + BLOCK, 9, BLOCK);
	io_caw(&caw, 0, 3, 1, pair);
	io_start(b, &caw);
	CU_ASSERT(wire_quiet(b, 100));
	CU_ASSERT(!caw.done);
	/* elsewhere */
	io_caw(&other, 0, 100, 1, pair);
	CU_ASSERT(io_good(c, &other));
	io_read(&r, 0, 200, 8, zero);
	CU_ASSERT(io_good(c, &r));
	/* the one that waits for its hold dies; so does the one whose write hangs */
	wire_kill(b);
	wire_kill(a);
	io_write(&r, 0, 1000, 8, data);
	CU_ASSERT(io_good(c, &r));
	io_read(&r, 0, 0, 8, zero);
	io_start(c, &r);
	wire_quiet(c, 50);
	daemon_remove("hang");
	CU_ASSERT(io_wait(&r, WIRE_MS));
	fill_blocks(data, 0, 8, 2);
	io_write(&r, 0, 0, 8, data);
	CU_ASSERT(io_good(c, &r));
	a = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	io_read(&r, 0, 0, 8, zero);
	CU_ASSERT(io_good(b, &r) && same_blocks(zero, 0, 8, 2));
	daemon_stop();
}

static void io_read_fua(struct io *io, uint32_t lba, uint16_t blocks, void *buf)
{
	io_read(io, 0, lba, blocks, buf);
	io->cdb[1] = 0x08;
}

/* READ with FUA (SBC-3 5.11): what it brings is on the medium; who writes there meanwhile waits. */
static void test_read_fua(void)
{
	static uint8_t old[8 * BLOCK], new[8 * BLOCK], back[8 * BLOCK], far[BLOCK];
	struct io fua, wr, r;
	struct wire *a, *b;
	char luns[512];
	int n;

	n = snprintf(luns, sizeof(luns),
		     "      - {lun: 0, name: m0, backend: memory, size: 16M, "
		     "filters: \"fault:op=flush,while=%s,hang|", daemon_path("hang"));
	snprintf(luns + n, sizeof(luns) - (size_t)n, "fault:op=flush,while=%s\"}\n",
		 daemon_path("fail"));
	daemon_start(NULL, luns, NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	fill_blocks(old, 0, 8, 1);
	fill_blocks(new, 0, 8, 2);
	io_write(&wr, 0, 0, 8, old);
	CU_ASSERT(io_good(a, &wr));
	/* The flush has begun: a write that came now would not be in it. */
	daemon_touch("hang");
	io_read_fua(&fua, 0, 8, back);
	io_start(a, &fua);
	CU_ASSERT(wire_quiet(a, 50));
	io_write(&wr, 0, 4, 4, new + 4 * BLOCK);
	io_start(b, &wr);
	CU_ASSERT(wire_quiet(b, 50) && !wr.done);
	io_read(&r, 0, 100, 1, far);
	CU_ASSERT(io_good(b, &r) && !fua.done && !wr.done);
	daemon_remove("hang");
	CU_ASSERT(io_wait(&fua, WIRE_MS) && fua.status == ST_GOOD && same_blocks(back, 0, 8, 1));
	CU_ASSERT(io_wait(&wr, WIRE_MS) && wr.status == ST_GOOD);
	io_read_fua(&fua, 0, 8, back);
	CU_ASSERT(io_good(a, &fua) && same_blocks(back + 4 * BLOCK, 4, 4, 2));
	/* What SYNCHRONIZE CACHE would get, and from then on everyone's writes. */
	daemon_touch("fail");
	io_read_fua(&fua, 0, 8, back);
	CU_ASSERT(io_run(a, &fua) && fua.status == ST_CHECK && !fua.got);
	CU_ASSERT(io_key(&fua) == 3 && io_asc(&fua) == 0x0c00);
	daemon_remove("fail");
	io_write(&wr, 0, 4, 4, new + 4 * BLOCK);
	CU_ASSERT(io_run(b, &wr) && wr.status == ST_CHECK && io_asc(&wr) == 0x0c00);
	io_read(&r, 0, 0, 8, back);
	CU_ASSERT(io_good(b, &r));
	daemon_stop();
	CU_ASSERT_EQUAL(daemon_log_count("event=io_failed lun=m0 op=flush"), 1);
	CU_ASSERT_EQUAL(daemon_log_count("event=io_failed"), 1);
}

/* Many COMPARE AND WRITEs and READs with FUA of one session at once, to the same block and to
 * others, aborted and killed in the middle: no failed I/O, whatever became of them. */
static void test_chaos(void)
{
	static struct io io[60];
	static uint8_t bufs[60][4 * BLOCK];

	daemon_start(NULL, slow, NULL);
	for (unsigned round = 0; round < 10; round++) {
		struct wire *w[3];
		struct io last;

		for (unsigned k = 0; k < 3; k++)
			w[k] = wire_open(&(struct login_opts){ .isid = (uint8_t)k }, 1);
		for (unsigned i = 0; i < 60; i++) {
			if (i % 5 < 3)
				io_caw(&io[i], 0, 10 + i % 4, 1, bufs[i]);
			else
				io_read_fua(&io[i], 10 + i % 4, 4, bufs[i]);
			io_start(w[i % 3], &io[i]);
		}
		for (unsigned i = 0; i < 60; i += 7)
			wire_tmf_send(w[i % 3], TMF_ABORT_TASK, 0, io[i].itt, io[i].cmdsn);
		if (round & 1)
			wire_kill(w[0]);
		else
			wire_tmf_send(w[0], TMF_LU_RESET, 0, ISCSI_TAG_NONE, 0);
		for (unsigned k = round & 1; k < 3; k++)
			wire_kill(w[k]);
		for (unsigned k = 0; k < 3; k++) {
			w[k] = wire_open(&(struct login_opts){ .isid = (uint8_t)k }, 1);
			io_caw(&last, 0, 10 + k, 1, bufs[0]);
			CU_ASSERT(io_good(w[k], &last));
			wire_close(w[k]);
		}
	}
	daemon_stop();
	CU_ASSERT_EQUAL(daemon_log_count("event=io_failed"), 0);
}

UNIT_MAIN("daemon hold", UNIT(test_counter), UNIT(test_counter_slow), UNIT(test_counter_file),
	  UNIT(test_lock), UNIT(test_lock_slow), UNIT(test_readers), UNIT(test_miscompare),
	  UNIT(test_hung_and_dead), UNIT(test_read_fua), UNIT(test_chaos))
