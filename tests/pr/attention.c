/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit attentions: to exactly whom the standards name, once each, in their order; and what becomes
 * of commands that are aborted while they wait behind others, or whose nexus loses its right in
 * the midst of them.
 *
 * The nexuses: a1 and a2 are two paths of node a, with one key; b and c are other nodes; d is not
 * registered.
 */
#include <string.h>

#include "tests/pr/prcmd.h"

enum { A1, A2, B, C, D, N };
enum { KA = 0xa, KB = 0xb, KC = 0xc, KNEW = 0xf };

static struct wire *w[N];
static const struct {
	const char *name;
	uint8_t isid;
	unsigned group;
	uint64_t key;
} nodes[N] = {
	{ "node-a", 1, 1, KA }, { "node-a", 2, 2, KA }, { "node-b", 1, 1, KB },
	{ "node-c", 1, 2, KC }, { "node-d", 1, 1, 0 },
};

static void open_one(unsigned i)
{
	w[i] = pr_open(nodes[i].name, nodes[i].isid, nodes[i].group);
}

/* Everyone is told what he is owed and registers; the reservation is made. */
static void scene(uint8_t type, unsigned holder)
{
	for (unsigned i = 0; i < N; i++)
		CU_ASSERT_FATAL(tur_good(w[i], 0));
	CU_ASSERT_FATAL(!prout(w[D], PR_REGISTER_AND_IGNORE, 0, 0, 0xd, 0));
	CU_ASSERT_FATAL(!prout(w[D], PR_CLEAR, 0, 0xd, 0, 0));
	for (unsigned i = 0; i < N; i++) {
		CU_ASSERT_FATAL(tur_good(w[i], 0));
		if (nodes[i].key)
			CU_ASSERT_FATAL(!prout(w[i], PR_REGISTER_AND_IGNORE, 0, 0, nodes[i].key, 0))
	}
	if (type)
		CU_ASSERT_FATAL(!prout(w[holder], PR_RESERVE, type, nodes[holder].key, 0, 0))
}

/* Each nexus is told this, once (0: nothing). */
static void told(const char *what, const uint32_t want[N])
{
	for (unsigned i = 0; i < N; i++) {
		uint32_t first = tur(w[i], 0), second = tur(w[i], 0);

		if (first != want[i] || second) {
			printf("    %s: nexus %u was told %06x, then %06x; expected %06x, once\n",
			       what, i, first, second, want[i]);
			CU_FAIL("a unit attention");
		}
	}
}

#define PRE UA_REG_PREEMPTED
#define REL UA_RES_RELEASED
#define CLR UA_RES_PREEMPTED
static const struct {
	const char *what;
	uint8_t type, holder; /* before */
	uint8_t from, sa, new_type;
	uint64_t key, sa_key;
	uint32_t want[N]; /* a1, a2, b, c, d */
} rows[] = {
	/* SPC-4 5.13.11.2.4 to .6 */
	{ "PREEMPT of a registrant",
	  TYPE_WERO,
	  A1,
	  A1,
	  PR_PREEMPT,
	  TYPE_WERO,
	  KA,
	  KC,
	  { 0, 0, 0, PRE, 0 } },
	{ "PREEMPT of a registrant, TYPE ignored",
	  TYPE_WERO,
	  A1,
	  B,
	  PR_PREEMPT,
	  TYPE_EA,
	  KB,
	  KC,
	  { 0, 0, 0, PRE, 0 } },
	{ "PREEMPT AND ABORT of a registrant",
	  TYPE_WERO,
	  A1,
	  B,
	  PR_PREEMPT_AND_ABORT,
	  TYPE_WERO,
	  KB,
	  KC,
	  { 0, 0, 0, PRE, 0 } },
	{ "PREEMPT of the holder",
	  TYPE_WERO,
	  A1,
	  B,
	  PR_PREEMPT,
	  TYPE_WERO,
	  KB,
	  KA,
	  { PRE, PRE, 0, 0, 0 } },
	{ "PREEMPT of the holder, other type",
	  TYPE_WERO,
	  A1,
	  B,
	  PR_PREEMPT,
	  TYPE_EARO,
	  KB,
	  KA,
	  { PRE, PRE, 0, REL, 0 } },
	{ "PREEMPT AND ABORT of the holder, other type",
	  TYPE_EA,
	  A1,
	  B,
	  PR_PREEMPT_AND_ABORT,
	  TYPE_WE,
	  KB,
	  KA,
	  { PRE, PRE, 0, REL, 0 } },
	{ "PREEMPT of all registrants",
	  TYPE_WEAR,
	  A1,
	  B,
	  PR_PREEMPT,
	  TYPE_WEAR,
	  KB,
	  0,
	  { PRE, PRE, 0, PRE, 0 } },
	{ "PREEMPT of one of all registrants",
	  TYPE_EAAR,
	  A1,
	  B,
	  PR_PREEMPT,
	  TYPE_EAAR,
	  KB,
	  KA,
	  { PRE, PRE, 0, 0, 0 } },
	{ "PREEMPT of oneself and one's other path",
	  TYPE_WERO,
	  A1,
	  A1,
	  PR_PREEMPT,
	  TYPE_WERO,
	  KA,
	  KA,
	  { 0, PRE, 0, 0, 0 } },
	{ "PREEMPT without a reservation",
	  0,
	  0,
	  B,
	  PR_PREEMPT,
	  TYPE_WERO,
	  KB,
	  KA,
	  { PRE, PRE, 0, 0, 0 } },
	{ "PREEMPT of a key nobody has", TYPE_WERO, A1, B, PR_PREEMPT, TYPE_WERO, KB, KNEW, { 0 } },
	/* 5.13.11.2.7 */
	{ "CLEAR", TYPE_WERO, A1, B, PR_CLEAR, 0, KB, 0, { CLR, CLR, 0, CLR, 0 } },
	{ "CLEAR without a reservation", 0, 0, A1, PR_CLEAR, 0, KA, 0, { 0, CLR, CLR, CLR, 0 } },
	/* 5.13.11.2.2 */
	{ "RELEASE of type 5",
	  TYPE_WERO,
	  A1,
	  A1,
	  PR_RELEASE,
	  TYPE_WERO,
	  KA,
	  0,
	  { 0, REL, REL, REL, 0 } },
	{ "RELEASE of type 6",
	  TYPE_EARO,
	  A1,
	  A1,
	  PR_RELEASE,
	  TYPE_EARO,
	  KA,
	  0,
	  { 0, REL, REL, REL, 0 } },
	{ "RELEASE of type 7",
	  TYPE_WEAR,
	  A1,
	  C,
	  PR_RELEASE,
	  TYPE_WEAR,
	  KC,
	  0,
	  { REL, REL, REL, 0, 0 } },
	{ "RELEASE of type 8",
	  TYPE_EAAR,
	  A1,
	  A2,
	  PR_RELEASE,
	  TYPE_EAAR,
	  KA,
	  0,
	  { REL, 0, REL, REL, 0 } },
	{ "RELEASE of type 1", TYPE_WE, A1, A1, PR_RELEASE, TYPE_WE, KA, 0, { 0 } },
	{ "RELEASE of type 3", TYPE_EA, A1, A1, PR_RELEASE, TYPE_EA, KA, 0, { 0 } },
	{ "RELEASE by another", TYPE_WERO, A1, B, PR_RELEASE, TYPE_WERO, KB, 0, { 0 } },
	/* 5.13.11.2.3 */
	{ "the holder of type 5 unregisters",
	  TYPE_WERO,
	  A1,
	  A1,
	  PR_REGISTER,
	  0,
	  KA,
	  0,
	  { 0, REL, REL, REL, 0 } },
	{ "the holder of type 6 unregisters",
	  TYPE_EARO,
	  B,
	  B,
	  PR_REGISTER_AND_IGNORE,
	  0,
	  0,
	  0,
	  { REL, REL, 0, REL, 0 } },
	{ "the holder of type 1 unregisters", TYPE_WE, A1, A1, PR_REGISTER, 0, KA, 0, { 0 } },
	{ "the holder of type 3 unregisters", TYPE_EA, A1, A1, PR_REGISTER, 0, KA, 0, { 0 } },
	{ "one of all registrants unregisters", TYPE_WEAR, A1, A1, PR_REGISTER, 0, KA, 0, { 0 } },
	{ "another registrant unregisters", TYPE_WERO, A1, B, PR_REGISTER, 0, KB, 0, { 0 } },
	/* 5.13.7 to 5.13.9 */
	{ "a new key", TYPE_WERO, A1, B, PR_REGISTER, 0, KB, KNEW, { 0 } },
	{ "a new key of the holder", TYPE_WERO, A1, A1, PR_REGISTER_AND_IGNORE, 0, 0, KNEW, { 0 } },
	{ "RESERVE", 0, 0, B, PR_RESERVE, TYPE_EA, KB, 0, { 0 } },
	{ "RESERVE again", TYPE_WERO, A1, A1, PR_RESERVE, TYPE_WERO, KA, 0, { 0 } },
};

static void test_who(void)
{
	pr_daemon(NULL, NULL);
	for (unsigned i = 0; i < N; i++)
		open_one(i);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t r;

		scene(rows[i].type, rows[i].holder);
		r = prout(w[rows[i].from], rows[i].sa, rows[i].new_type, rows[i].key,
			  rows[i].sa_key, 0);
		CU_ASSERT_EQUAL(r, rows[i].sa_key == KNEW && rows[i].sa == PR_PREEMPT
					   ? RES_CONFLICT : 0);
		told(rows[i].what, rows[i].want);
	}
}

/* REGISTER AND MOVE tells nobody (SPC-4 5.13.8). */
static void test_move(void)
{
	uint8_t param[256] = { 0 };
	uint32_t len;

	scene(TYPE_WERO, A1);
	put_be64(param, KA);
	put_be64(param + 8, KC);
	param[17] = PR_F_UNREG;
	put_be16(param + 18, 2);
	len = transportid_make(param + 24, "iqn.1991-05.com.example:node-c", w[C]->isid);
	put_be32(param + 20, len);
	CU_ASSERT(!prout_raw(w[A1], 0, PR_REGISTER_AND_MOVE, 0, param, 24 + len));
	told("REGISTER AND MOVE", (const uint32_t[N]){ 0 });
	CU_ASSERT(!prout(w[C], PR_RESERVE, TYPE_WERO, KC, 0, 0));
	CU_ASSERT_EQUAL(prout(w[A1], PR_RESERVE, TYPE_WERO, KA, 0, 0), RES_CONFLICT);
}

/* A reset tells everyone, also who asked (SAM-5 6.3.3), and leaves reservations alone. */
static void test_reset(void)
{
	static const uint32_t all[N] = { UA_LUN_RESET, UA_LUN_RESET, UA_LUN_RESET, UA_LUN_RESET,
					 UA_LUN_RESET };
	uint32_t warm[N];
	struct prfull before, after;

	scene(TYPE_WERO, A1);
	CU_ASSERT_FATAL(prfull_get(w[B], &before));
	CU_ASSERT_EQUAL(wire_tmf(w[B], TMF_LU_RESET, 0, ISCSI_TAG_NONE, 0), 0);
	told("LOGICAL UNIT RESET", all);
	CU_ASSERT_EQUAL(wire_tmf(w[C], TMF_TARGET_WARM_RESET, 0, ISCSI_TAG_NONE, 0), 0);
	for (unsigned i = 0; i < N; i++)
		warm[i] = UA_WARM_RESET;
	told("TARGET WARM RESET", warm);
	CU_ASSERT_FATAL(prfull_get(w[B], &after));
	CU_ASSERT(prfull_same(&before, &after));
	prfull_free(&before);
	prfull_free(&after);
}

/* Several wait for one nexus: the reset's first (SAM-5 5.14, table 49), each once. */
static void test_order(void)
{
	uint8_t buf[96];
	struct io io;

	scene(TYPE_WERO, A1);
	CU_ASSERT(!prout(w[A1], PR_PREEMPT, TYPE_WERO, KA, KC, 0));
	CU_ASSERT_EQUAL(wire_tmf(w[B], TMF_LU_RESET, 0, ISCSI_TAG_NONE, 0), 0);
	/* INQUIRY and REPORT LUNS report none and leave them; REQUEST SENSE takes one as data. */
	memset(&io, 0, sizeof(io));
	io.cdb[0] = 0x12;
	io.cdb[4] = sizeof(buf);
	io.attr = ATTR_SIMPLE;
	io.rd = true;
	io.edtl = sizeof(buf);
	io.buf = buf;
	CU_ASSERT(io_run(w[C], &io) && io.status == ST_GOOD);
	io_sense(&io, 0, buf, 96);
	CU_ASSERT(io_run(w[C], &io) && io.status == ST_GOOD);
	CU_ASSERT((buf[2] & 0xf) == KEY_ATTENTION && get_be16(buf + 12) == 0x2903);
	CU_ASSERT_EQUAL(tur(w[C], 0), UA_REG_PREEMPTED);
	CU_ASSERT_EQUAL(tur(w[C], 0), 0);
	/* Twice the same before it is told: once. */
	scene(TYPE_WERO, A1);
	CU_ASSERT(!prout(w[A1], PR_RELEASE, TYPE_WERO, KA, 0, 0));
	CU_ASSERT(!prout(w[A1], PR_RESERVE, TYPE_EARO, KA, 0, 0));
	CU_ASSERT(!prout(w[A1], PR_RELEASE, TYPE_EARO, KA, 0, 0));
	told("two RELEASEs", (const uint32_t[N]){ 0, REL, REL, REL, 0 });
}

/*
 * The session is lost and comes back: no POWER ON for that; what a registrant was owed meanwhile it
 * is told (DESIGN: kept for registrants only). A command before anything else on the LUN.
 */
static void test_away(void)
{
	uint8_t buf[BLOCK] = { 0 };
	struct io io;

	scene(TYPE_WERO, A1);
	wire_logout(w[B], 0, 0);
	wire_close(w[B]);
	wire_kill(w[A2]);
	{
		struct login_opts o = { .initiator = "iqn.1991-05.com.example:node-b", .isid = 1 };

		w[B] = wire_open(&o, 0);
		CU_ASSERT_EQUAL(tur(w[B], 0), 0);
		/* Logged in, but it has not touched the LUN since: preempted all the same. */
		wire_close(w[B]);
		w[B] = wire_open(&o, 0);
	}
	CU_ASSERT(!prout(w[A1], PR_PREEMPT, TYPE_WERO, KA, KB, 0));
	io_write(&io, 0, 0, 1, buf);
	CU_ASSERT(io_run(w[B], &io));
	CU_ASSERT_EQUAL(io_result(&io), UA_REG_PREEMPTED);
	io_write(&io, 0, 0, 1, buf);
	CU_ASSERT(io_run(w[B], &io));
	CU_ASSERT_EQUAL(io_result(&io), RES_CONFLICT);
	open_one(A2);
	CU_ASSERT_EQUAL(tur(w[A2], 0), 0);
	daemon_stop();
}

/* All nexuses, on a LUN on which this I/O hangs while there is "hang". */
static void open_hanging(const char *which)
{
	char lun[512];

	snprintf(lun, sizeof(lun),
		 "      - {lun: 0, name: m0, backend: memory, size: 16M, filters: "
		 "\"fault:%s,while=%s,hang\"}\n",
		 which, daemon_path("hang"));
	pr_daemon(NULL, lun);
	for (unsigned i = 0; i < N; i++)
		open_one(i);
}

/*
 * A PR OUT that waits behind another change when its nexus is preempted and aborted does nothing:
 * answered TASK ABORTED, it must not register the fenced node again.
 */
static void test_aborted_change(void)
{
	static uint8_t data[BLOCK];
	struct prout first, second, third;
	struct io wr;
	struct prfull f;

	daemon_touch("hang");
	open_hanging("op=write");
	scene(TYPE_WERO, A1);
	/* c's write holds the first PREEMPT up; the second, and what a1 asks for, wait behind it.
	 */
	io_write(&wr, 0, 0, 1, data);
	CU_ASSERT_FATAL(io_start(w[C], &wr));
	CU_ASSERT_FATAL(wire_alive(w[C]));
	prout_set(&first, 0, PR_PREEMPT, TYPE_WERO, KB, KC, 0);
	CU_ASSERT_FATAL(io_start(w[B], &first.io));
	prout_set(&second, 0, PR_PREEMPT_AND_ABORT, TYPE_WERO, KB, KA, 0);
	CU_ASSERT_FATAL(io_start(w[B], &second.io));
	CU_ASSERT_FATAL(wire_alive(w[B]));
	wire_sleep(50);
	prout_set(&third, 0, PR_REGISTER_AND_IGNORE, 0, 0, KNEW, 0);
	CU_ASSERT_FATAL(io_start(w[A1], &third.io));
	CU_ASSERT_FATAL(wire_alive(w[A1]));
	CU_ASSERT(!third.io.done);
	daemon_remove("hang");
	CU_ASSERT(io_wait(&third.io, WIRE_MS));
	CU_ASSERT(io_wait(&first.io, WIRE_MS) && !first.io.status);
	CU_ASSERT(io_wait(&second.io, WIRE_MS) && !second.io.status);
	CU_ASSERT(io_wait(&wr, WIRE_MS));
	CU_ASSERT_EQUAL(io_result(&third.io), RES_ABORTED);
	CU_ASSERT_FATAL(prfull_get(w[B], &f));
	if (!(f.n == 1 && f.r[0].key == KB && f.r[0].holder)) {
		prfull_print("after PREEMPT AND ABORT", &f);
		CU_FAIL("an aborted PR OUT was carried out");
	}
	prfull_free(&f);
	daemon_stop();
}

enum { UNIT_BLOCKS = 2048, LONG = 3 * UNIT_BLOCKS };	/* io.h: IO_UNIT_MAX */

/* c's command of three units is sent whole; its first unit hangs. */
static void long_start(struct io *io)
{
	daemon_touch("hang");
	CU_ASSERT_FATAL(io_start(w[C], io));
	for (unsigned i = 0; i < 100 && io->wr && io->solicited < io->edtl; i++)
		CU_ASSERT_FATAL(wire_quiet(w[C], 20));
	CU_ASSERT_FATAL(wire_alive(w[C]) && !io->done);
}

/*
 * The right to write ends between two units of a WRITE (SPC-4 5.13.1, 5.13.11.2.4.3): the unit in
 * the backend is waited for and is on the medium when the change is answered; no other follows. A
 * READ is checked once: it goes on, and nobody waits for it.
 */
static void test_between_units(void)
{
	static const struct {
		uint8_t held, sa, type;
		uint64_t sa_key;
		uint32_t want;
	} cases[] = {
		{ TYPE_WERO, PR_PREEMPT, TYPE_WERO, KC, RES_CONFLICT },
		{ TYPE_WERO, PR_PREEMPT_AND_ABORT, TYPE_WERO, KC, RES_ABORTED },
		{ 0, PR_RESERVE, TYPE_WE, 0, RES_CONFLICT },
	};
	static uint8_t zero[LONG * BLOCK], data[LONG * BLOCK], back[LONG * BLOCK];
	struct prout change;
	struct io io;

	open_hanging("op=read+write,off=0,len=512");
	fill_blocks(data, 0, LONG, 7);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scene(cases[i].held, B);
		io_write(&io, 0, 0, LONG, zero);
		CU_ASSERT_FATAL(io_good(w[B], &io));
		io_write(&io, 0, 0, LONG, data);
		long_start(&io);
		prout_set(&change, 0, cases[i].sa, cases[i].type, KB, cases[i].sa_key, 0);
		CU_ASSERT_FATAL(io_start(w[B], &change.io));
		CU_ASSERT(wire_quiet(w[B], 50) && !change.io.done);
		daemon_remove("hang");
		CU_ASSERT(io_wait(&change.io, WIRE_MS) && !change.io.status);
		CU_ASSERT(io_wait(&io, WIRE_MS));
		CU_ASSERT_EQUAL(io_result(&io), cases[i].want);
		io_read(&io, 0, 0, LONG, back);
		CU_ASSERT(io_good(w[B], &io));
		CU_ASSERT(same_blocks(back, 0, UNIT_BLOCKS, 7));
		CU_ASSERT(!memcmp(back + UNIT_BLOCKS * BLOCK, zero, 2 * UNIT_BLOCKS * BLOCK));
	}
	scene(TYPE_EARO, B);
	io_read(&io, 0, 0, LONG, back);
	long_start(&io);
	CU_ASSERT(!prout(w[B], PR_PREEMPT, TYPE_EARO, KB, KC, 0));
	daemon_remove("hang");
	CU_ASSERT(io_wait(&io, WIRE_MS) && io.status == ST_GOOD && io.got == sizeof(back));
	CU_ASSERT_EQUAL(tur(w[C], 0), UA_REG_PREEMPTED);
	io_read(&io, 0, 0, 1, back);
	CU_ASSERT(io_run(w[C], &io));
	CU_ASSERT_EQUAL(io_result(&io), RES_CONFLICT);
	daemon_stop();
}

UNIT_MAIN("attention",
	UNIT(test_who),
	UNIT(test_move),
	UNIT(test_reset),
	UNIT(test_order),
	UNIT(test_away),
	UNIT(test_aborted_change),
	UNIT(test_between_units))
