/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise (ARCHITECTURE.md) on the wire. Eight sessions of node A, on both reactors, write
 * stamped blocks to a region; node B shuts A out; from the answer on nothing of A may appear there.
 *
 *	hammer abort [ROUNDS]	with PREEMPT AND ABORT
 *	hammer preempt [ROUNDS]	with PREEMPT, and now and then with RESERVE
 *	hammer kill [ROUNDS]	the daemon is killed (kill -9) under A's writes and started again;
 *				then B preempts
 *
 * In the first two every write (WRITE, WRITE SAME, UNMAP) lies in the delay filter for 0 to 50 ms
 * between submit and medium. Of A's writes some wait for data that A withholds until B has its
 * answer, some have brought half of it, some are sent in the very moment of the PREEMPT, some after
 * the answer. In half of the rounds all eight write, in a quarter one or two, and in a quarter
 * those that write lose their connections just before the PREEMPT.
 *
 * A round has A's writes in flight when at least one of them, that had all its data and was in the
 * daemon's hands (a NOP behind it was answered) before B sent the command, is not answered when the
 * daemon has read the command (a NOP behind it, too), or when its connection is lost. At least 80 %
 * of the rounds must have.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/pr/prcmd.h"

enum {
	CONNS = 8,
	SLOT = 8,   /* blocks */
	SLOTS = 64, /* of the region */
	BIG = 16,   /* slots of a write that waits for its data */
	MARK = 4,   /* slots B marks with one write */
	WRITES = 16,
	DELAY_MS = 50,
	KEY_A = 0xaaaa,
	KEY_B = 0xbbbb,
	LIMIT_MS = 2000, /* a PR command with a healthy backend */
};

struct awrite {
	struct io io;
	uint8_t *buf;
	uint32_t half; /* bytes of what was asked for that were sent at once */
	bool starved, late, counted;
};

struct aconn {
	struct wire *w;
	bool idle; /* in this round */
	struct awrite wr[WRITES];
	unsigned n;
};

static struct aconn a[CONNS];
static struct wire *bs[2]; /* B's two sessions, one on each reactor; they take turns */
static struct wire *b;
static unsigned rounds = 100, round_no, seq;
static bool abort_mode;
static unsigned bad; /* what was wrong in this round */
static unsigned total, good, aborted, conflicts, in_flight_rounds;
static uint32_t *times; /* us, of each PREEMPT */

static struct {
	uint8_t sa, type; /* of B's command */
	const char *what;
} closing;

static void wrong(const char *what, const struct awrite *w)
{
	printf("    round %u (%s): %s: LBA %u, %u blocks, result %06x\n", round_no, closing.what,
	       what, get_be32(w->io.cdb + 2), get_be16(w->io.cdb + 7), io_result(&w->io));
	bad++;
}

/* ---- node A ---------------------------------------------------------------------------------- */

/* A quarter of the commands changes the medium in another way: WRITE SAME (10), UNMAP. */
static void a_other(struct io *io, unsigned kind)
{
	uint8_t *p = io->buf;

	if (kind == 0) {
		io->cdb[0] = 0x41;
		io->edtl = BLOCK;
	} else if (kind == 1) {
		memset(p, 0, 24);
		put_be16(p, 22);
		put_be16(p + 2, 16);
		memcpy(p + 12, io->cdb + 2, 4);
		put_be32(p + 16, get_be16(io->cdb + 7));
		memset(io->cdb, 0, sizeof(io->cdb));
		io->cdb[0] = 0x42;
		put_be16(io->cdb + 7, 24);
		io->edtl = 24;
	}
}

static struct awrite *a_write(struct aconn *c, bool starved)
{
	struct awrite *w = &c->wr[c->n];
	unsigned slots = starved ? BIG : 1 + pr_random(4), slot = pr_random(SLOTS - slots + 1);
	uint32_t stamp = 0xa0000000 | (round_no & 0xffff) << 12 | (seq++ & 0xfff);
	uint8_t *buf = w->buf;

	if (c->n == WRITES || !c->w || c->idle)
		return NULL;
	c->n++;
	if (!buf)
		buf = malloc(BIG * SLOT * BLOCK);
	if (!buf)
		abort();
	memset(w, 0, sizeof(*w));
	w->buf = buf;
	w->starved = starved;
	fill_blocks(buf, slot * SLOT, slots * SLOT, stamp);
	io_write(&w->io, 0, slot * SLOT, (uint16_t)(slots * SLOT), buf);
	if (!starved)
		a_other(&w->io, pr_random(8));
	w->io.no_imm = w->io.no_unsol = w->io.manual = starved;
	total++;
	CU_ASSERT_FATAL(io_start(c->w, &w->io));
	return w;
}

/* Takes in what has come, and does not wait. */
static void a_pump(void)
{
	struct pdu p;

	for (unsigned i = 0; i < CONNS; i++) {
		int r = 0;

		while (a[i].w && (r = wire_pump(a[i].w, &p, 0)) == 2)
			;
		CU_ASSERT_FATAL(r == 0);
	}
}

/* The first half of the data asked for, without the end. */
static void a_half(struct awrite *w)
{
	if (!w->io.nr2t || w->io.done)
		return;
	w->half = be32_get(w->io.r2t[0].length) / 2;
	io_data_out(&w->io, be32_get(w->io.r2t[0].ttt), 0, be32_get(w->io.r2t[0].offset), w->half,
		    false);
}

/* The data that was withheld: also where the command was aborted, as an initiator must. */
static void a_feed(struct awrite *w)
{
	for (unsigned i = 0; i < w->io.nr2t; i++) {
		const struct bhs_r2t *r = &w->io.r2t[i];
		uint32_t skip = i ? 0 : w->half;

		io_data_out(&w->io, be32_get(r->ttt), skip ? 1 : 0, be32_get(r->offset) + skip,
			    be32_get(r->length) - skip, true);
	}
	w->io.nr2t = 0;
	w->io.manual = false;
}

static void each_starved(void (*fn)(struct awrite *w))
{
	for (unsigned i = 0; i < CONNS; i++)
		for (unsigned k = 0; k < a[i].n; k++)
			if (a[i].wr[k].starved && a[i].w)
				fn(&a[i].wr[k]);
}

/* Writes that are in the daemon's hands when this returns. */
static void a_burst(void)
{
	for (unsigned i = 0; i < CONNS; i++) {
		unsigned n = 2 + pr_random(3);

		a_write(&a[i], true);
		while (n--)
			a_write(&a[i], false);
	}
	for (unsigned i = 0; i < CONNS; i++)
		CU_ASSERT_FATAL(wire_alive(a[i].w));
	for (unsigned i = 0; i < CONNS; i++) {
		for (unsigned k = 0; k < a[i].n; k++)
			a[i].wr[k].counted = !a[i].wr[k].starved;
		CU_ASSERT(a[i].idle || a[i].wr[0].io.nr2t == 1);
		if (a[i].n && pr_random(2))
			a_half(&a[i].wr[0]);
	}
}

static void a_more(unsigned most, bool late)
{
	for (unsigned n = pr_random(most + 1); n; n--) {
		struct awrite *w = a_write(&a[pr_random(CONNS)], false);

		if (w)
			w->late = late;
	}
}

static unsigned a_unanswered(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CONNS; i++)
		for (unsigned k = 0; k < a[i].n && a[i].w; k++)
			n += a[i].wr[k].counted && !a[i].wr[k].io.done;
	return n;
}

/* Who writes in this round: all, or a few, so that each reactor is at times the only busy one. */
static void a_choose(void)
{
	unsigned some = round_no % 4 < 2 ? CONNS : 1 + pr_random(2);

	for (unsigned i = 0; i < CONNS; i++)
		a[i].idle = some < CONNS;
	while (some < CONNS && some--)
		a[pr_random(CONNS)].idle = false;
}

/*
 * The connections that write are lost, with writes in the backend; they come back after the round.
 * True when there were such writes.
 */
static bool a_lose(void)
{
	bool any;

	a_pump();
	any = a_unanswered() != 0;
	for (unsigned i = 0; i < CONNS; i++) {
		if (a[i].idle)
			continue;
		wire_kill(a[i].w);
		a[i].w = NULL;
	}
	wire_sleep(2); /* the daemon notices */
	return any;
}

static void a_open(unsigned i)
{
	a[i].w = pr_open("node-a", (uint8_t)(i + 1), 1 + i / 4);
}

static void a_judge(struct awrite *w)
{
	uint32_t r = io_result(&w->io);

	good += r == ST_GOOD;
	aborted += r == RES_ABORTED;
	conflicts += r == RES_CONFLICT;
	if (r != ST_GOOD && r != RES_CONFLICT && !(r == RES_ABORTED && abort_mode) &&
	    (r >> 16 != KEY_ATTENTION || w->counted || w->starved))
		wrong("an answer that cannot be", w);
	if (w->counted && r == RES_CONFLICT)
		wrong("a write that was in the backend ended in a conflict", w);
	if (r == ST_GOOD && w->starved)
		wrong("of node A after the answer: a write whose data came later is GOOD", w);
	if (r == ST_GOOD && w->late)
		wrong("of node A after the answer: a write sent later is GOOD", w);
}

/* Everything A has sent is answered, but where the connection was lost. */
static void a_end(void)
{
	for (unsigned i = 0; i < CONNS; i++) {
		for (unsigned k = 0; k < a[i].n && a[i].w; k++) {
			struct awrite *w = &a[i].wr[k];

			if (!w->io.done && !io_wait(&w->io, WIRE_MS)) {
				wrong("no answer", w);
				io_forget(&w->io);
				continue;
			}
			a_judge(w);
		}
	}
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void a_register(void)
{
	struct prout p[CONNS];

	for (unsigned i = 0; i < CONNS; i++) {
		a[i].n = 0;
		if (!a[i].w)
			a_open(i);
		CU_ASSERT_FATAL(tur_good(a[i].w, 0));
		prout_set(&p[i], 0, PR_REGISTER_AND_IGNORE, 0, 0, KEY_A, 0);
		CU_ASSERT_FATAL(io_start(a[i].w, &p[i].io));
	}
	for (unsigned i = 0; i < CONNS; i++)
		CU_ASSERT_FATAL(io_wait(&p[i].io, WIRE_MS) && !p[i].io.status);
}

/* Who holds what before B's command, round by round. */
static const struct {
	const char *what;
	uint8_t type;	 /* of the reservation; 0: none, and A is not registered either */
	bool a_holds;	 /* (or all of them do) */
	uint8_t sa;	 /* PR_PREEMPT stands for both */
	uint8_t new_type;
} scenes[] = {
	{ "A holds type 5", TYPE_WERO, true, PR_PREEMPT, TYPE_WERO },
	{ "B holds type 5", TYPE_WERO, false, PR_PREEMPT, TYPE_WERO },
	{ "A holds type 6, B takes type 5", TYPE_EARO, true, PR_PREEMPT, TYPE_WERO },
	{ "type 7", TYPE_WEAR, true, PR_PREEMPT, TYPE_WEAR },
	{ "type 8", TYPE_EAAR, true, PR_PREEMPT, TYPE_EAAR },
	{ "none, RESERVE type 3", 0, false, PR_RESERVE, TYPE_EA },
	{ "none, RESERVE type 1", 0, false, PR_RESERVE, TYPE_WE },
};

static void arm(void)
{
	unsigned n = abort_mode ? 5 : sizeof(scenes) / sizeof(scenes[0]), k = round_no % n;

	b = bs[pr_random(2)];
	CU_ASSERT_FATAL(!prout_clean(b, PR_REGISTER_AND_IGNORE, 0, 0, KEY_B, 0));
	CU_ASSERT_FATAL(!prout(b, PR_CLEAR, 0, KEY_B, 0, 0));
	CU_ASSERT_FATAL(!prout(b, PR_REGISTER_AND_IGNORE, 0, 0, KEY_B, 0));
	a_register();
	closing.what = scenes[k].what;
	closing.sa = scenes[k].sa;
	closing.type = scenes[k].new_type;
	if (closing.sa == PR_PREEMPT && abort_mode)
		closing.sa = PR_PREEMPT_AND_ABORT;
	if (!scenes[k].type) {
		for (unsigned i = 0; i < CONNS; i++)
			CU_ASSERT_FATAL(!prout(a[i].w, PR_REGISTER, 0, KEY_A, 0, 0));
		return;
	}
	CU_ASSERT_FATAL(!prout(scenes[k].a_holds ? a[0].w : b, PR_RESERVE, scenes[k].type,
			       scenes[k].a_holds ? KEY_A : KEY_B, 0, 0));
}

static struct {
	struct io io[SLOTS / MARK];
	uint8_t buf[SLOTS * SLOT * BLOCK];
} mark;

static void b_mark_start(void)
{
	fill_blocks(mark.buf, 0, SLOTS * SLOT, 0xb0000000 | round_no);
	for (unsigned i = 0; i < SLOTS / MARK; i++) {
		io_write(&mark.io[i], 0, i * MARK * SLOT, MARK * SLOT,
			 mark.buf + i * MARK * SLOT * BLOCK);
		CU_ASSERT_FATAL(io_start(b, &mark.io[i]));
	}
}

static void b_mark_end(void)
{
	for (unsigned i = 0; i < SLOTS / MARK; i++)
		CU_ASSERT_FATAL(io_wait(&mark.io[i], WIRE_MS) && !mark.io[i].status);
}

static void b_look(void)
{
	static uint8_t got[SLOTS * SLOT * BLOCK];

	for (unsigned i = 0; i < SLOTS; i += BIG) {
		struct io io;

		io_read(&io, 0, i * SLOT, BIG * SLOT, got + i * SLOT * BLOCK);
		CU_ASSERT_FATAL(io_good(b, &io));
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (!same_blocks(got + i * SLOT * BLOCK, i * SLOT, SLOT, 0xb0000000 | round_no)) {
			printf("    round %u (%s): of node A after the answer: slot %u\n", round_no,
			       closing.what, i);
			bad++;
		}
}

/* B's command; what it took is noted. */
static void shut_out(bool lost)
{
	struct prout p;
	uint64_t start;

	prout_set(&p, 0, closing.sa, closing.type, KEY_B, closing.sa == PR_RESERVE ? 0 : KEY_A, 0);
	start = pr_us();
	CU_ASSERT_FATAL(io_start(b, &p.io));
	a_more(4, false);
	CU_ASSERT_FATAL(wire_alive(b));
	a_pump();
	in_flight_rounds += lost || a_unanswered();
	CU_ASSERT_FATAL(io_wait(&p.io, WIRE_MS));
	times[round_no] = (uint32_t)(pr_us() - start);
	if (io_result(&p.io)) {
		printf("    round %u (%s): B's command: %06x\n", round_no, closing.what,
		       io_result(&p.io));
		bad++;
	}
}

static void round_run(void)
{
	bool mark_first, lost = false;

	arm();
	a_choose();
	a_burst();
	wire_sleep(pr_random(8));
	a_more(8, false);
	if (round_no % 4 == 3)
		lost = a_lose();
	shut_out(lost);
	mark_first = pr_random(2);
	if (mark_first)
		b_mark_start();
	each_starved(a_feed);
	a_more(8, true);
	if (!mark_first)
		b_mark_start();
	a_end();
	b_mark_end();
	wire_sleep(DELAY_MS + 5);
	b_look();
}

static int cmp_u32(const void *x, const void *y)
{
	uint32_t p = *(const uint32_t *)x, q = *(const uint32_t *)y;

	return p < q ? -1 : p > q;
}

static void nodes_open(void)
{
	for (unsigned i = 0; i < CONNS; i++)
		a_open(i);
	for (unsigned i = 0; i < 2; i++)
		bs[i] = pr_open("node-b", (uint8_t)(i + 1), 1);
	b = bs[0];
}

static void test_hammer(void)
{
	uint32_t *sorted = calloc(rounds, sizeof(*sorted));

	times = calloc(rounds, sizeof(*times));
	CU_ASSERT_FATAL(times && sorted);
	pr_daemon(NULL, "      - {lun: 0, name: m0, backend: memory, size: 16M, filters: "
			"\"delay:op=write+zero+discard,max_us=50000\"}\n");
	nodes_open();
	CU_ASSERT(daemon_log_await("reactor=0", CONNS / 2) >= CONNS / 2);
	CU_ASSERT(daemon_log_await("reactor=1", CONNS / 2) >= CONNS / 2);
	for (round_no = 0; round_no < rounds && !bad; round_no++)
		round_run();
	memcpy(sorted, times, round_no * sizeof(*times));
	qsort(sorted, round_no, sizeof(*sorted), cmp_u32);
	printf("    %u rounds; A's writes in flight in %u of them (%u %%); of %u writes %u good, "
	       "%u aborted, %u conflicts\n",
	       round_no, in_flight_rounds, 100 * in_flight_rounds / round_no, total, good, aborted,
	       conflicts);
	printf("    B's command took p50 %.1f ms, p99 %.1f ms, at most %.1f ms\n",
	       sorted[round_no / 2] / 1e3, sorted[round_no * 99 / 100] / 1e3,
	       sorted[round_no - 1] / 1e3);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT(in_flight_rounds * 100 >= round_no * 80);
	/* But for two: the machine may stand still. */
	CU_ASSERT(round_no > 2 && sorted[round_no - 3] < LIMIT_MS * 1000u * wire_slow());
	CU_ASSERT(sorted[round_no - 1] < WIRE_MS * 1000u * wire_slow());
	free(sorted);
	free(times);
	daemon_stop();
}

/* ---- kill -9 --------------------------------------------------------------------------------- */

static unsigned killed_with;

/* What the killed daemon had said is taken in; how many of A's writes it had not answered. */
static unsigned a_killed(void)
{
	unsigned n = 0;
	struct pdu p;

	for (unsigned i = 0; i < CONNS; i++) {
		while (wire_pump(a[i].w, &p, 100) == 2)
			;
		for (unsigned k = 0; k < a[i].n; k++)
			n += !a[i].wr[k].io.done;
		wire_close(a[i].w);
	}
	return n;
}

/*
 * In odd rounds B has its answer before the daemon is killed, and the new one must know; in even
 * ones A is registered still, and B shuts it out then. Either way writes of A may be in the kernel.
 */
static void kill_round(void)
{
	bool before = round_no & 1;
	uint8_t sa = round_no & 2 ? PR_PREEMPT : PR_PREEMPT_AND_ABORT;

	closing.what = before ? "then kill -9" : "after kill -9";
	CU_ASSERT_FATAL(!prout_clean(b, PR_REGISTER_AND_IGNORE, 0, 0, KEY_B, 0));
	a_register();
	CU_ASSERT_FATAL(!prout(a[0].w, PR_RESERVE, TYPE_WERO, KEY_A, 0, 0));
	for (unsigned n = 3 + pr_random(6); n; n--)
		for (unsigned i = 0; i < CONNS; i++)
			a_write(&a[i], false);
	if (before)
		CU_ASSERT_FATAL(!prout(b, sa, TYPE_WERO, KEY_B, KEY_A, 0));
	for (unsigned i = 0; i < CONNS; i++)
		a_write(&a[i], false);
	pr_daemon_kill();
	killed_with += a_killed() != 0;
	b = NULL;
	for (unsigned i = 0; i < 2; i++)
		wire_close(bs[i]);
	daemon_restart();
	nodes_open();
	if (!before)
		CU_ASSERT_FATAL(!prout_clean(b, sa, TYPE_WERO, KEY_B, KEY_A, 0));
	b_mark_start();
	for (unsigned i = 0; i < CONNS; i++) {
		a[i].n = 0;
		a_write(&a[i], false)->late = true;
	}
	a_end();
	b_mark_end();
	wire_sleep(100);
	b_look();
	CU_ASSERT_FATAL(!prout_clean(b, PR_CLEAR, 0, KEY_B, 0, 0));
}

static void test_kill(void)
{
	char lun[WIRE_PATH + 100];

	snprintf(lun, sizeof(lun),
		 "      - {lun: 0, name: f0, path: \"%s\", size: 16M, write_cache: on}\n",
		 daemon_path("f0.img"));
	pr_daemon(NULL, lun);
	nodes_open();
	for (round_no = 0; round_no < rounds && !bad; round_no++)
		kill_round();
	printf("    %u rounds; %u with writes of A unanswered when the daemon was killed\n",
	       round_no, killed_with);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT(killed_with);
	daemon_stop();
}

int main(int argc, char **argv)
{
	static struct unit_test test = { "hammer", test_hammer };
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "kill"))
		test.fn = test_kill;
	else if (!strcmp(mode, "abort"))
		abort_mode = true;
	else if (strcmp(mode, "preempt")) {
		fprintf(stderr, "hammer abort|preempt|kill [ROUNDS]\n");
		return 2;
	}
	if (argc > 2 && atoi(argv[2]) > 0)
		rounds = (unsigned)atoi(argv[2]);
	return unit_run(mode, &test, 1);
}
