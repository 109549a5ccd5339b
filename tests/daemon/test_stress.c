/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random mix from sixteen connections, from a seed, with what every block must hold checked on
 *every read.
 *
 * Each connection has blocks of its own on each LUN. A block's content is a stamp. A write that was
 *answered GOOD makes it certain; one that was refused before execution (unit attention, BUSY, TASK
 *SET FULL) leaves it as it was; one that was aborted, or whose connection died, leaves either. The
 *first read afterwards decides, and from then on it must not change any more: this is the promise
 *that nothing of an aborted task, or of a dead session, happens after the task management response,
 *or after the nexus' next command was answered.
 *
 *	WIRE_STRESS=SECONDS (default 6), WIRE_SEED=N
 */
#include <string.h>

#include "tests/daemon/wire.h"

enum {
	CONNS = 16,
	LUNS = 3,
	DEPTH = 8,
	REGION = 256, /* blocks of one connection on one LUN */
	LONGEST = 64,
	SHARED = CONNS * REGION, /* counters, one block each, for COMPARE AND WRITE */
	COUNTERS = 4,
	MAYBES = 5, /* of a block, before it has to be read */
	DOUBTS = 16,
	AGAIN_MS = 60,
};

struct block {
	uint32_t now;		/* the stamp that was certain last */
	uint32_t maybe[MAYBES]; /* what may have come since */
	unsigned nmaybe;
	bool busy; /* a command on it is under way */
};

enum kind { READ, WRITE, CAW, OTHER };

struct op {
	bool used;
	enum kind kind;
	unsigned lun, at, n; /* of the connection's region */
	uint32_t stamp;
	bool aborting;
	bool twice;	/* a read to be done again, AGAIN_MS later: nothing may have changed */
	uint64_t again; /* when; 0: not waiting */
	uint64_t start;
	struct io io;
	uint8_t buf[LONGEST * BLOCK];
};

struct client {
	struct wire *w;
	unsigned i;
	uint64_t random;
	struct block block[LUNS][REGION];
	struct op op[DEPTH];
	struct {
		unsigned lun, at, n;
	} doubt[DOUBTS]; /* ranges to be looked at, twice */
	unsigned ndoubts;
	uint32_t tmf_itt; /* an ABORT TASK under way */
	struct op *tmf_op;
};
static struct client clients[CONNS];
static uint64_t believed[COUNTERS], certain[COUNTERS],
	unsure[COUNTERS]; /* increments: answered GOOD, and perhaps */
static uint32_t stamps;
static uint64_t ops, kills, aborts, resets, attentions, slowest;

static uint32_t roll(struct client *c, uint32_t n)
{
	c->random ^= c->random << 13, c->random ^= c->random >> 7, c->random ^= c->random << 17;
	return (uint32_t)(c->random >> 11) % n;
}

static uint32_t lba_of(const struct client *c, unsigned at)
{
	return c->i * REGION + at;
}

static void client_login(struct client *c)
{
	static const char *const keys[] = {
		"InitialR2T=No\nMaxRecvDataSegmentLength=262144\nMaxOutstandingR2T=4\n",
		"InitialR2T=Yes\nImmediateData=No\nMaxBurstLength=4096\nFirstBurstLength="
		"4096\nMaxOutstandingR2T=2\n",
		"InitialR2T=No\nFirstBurstLength=2048\nMaxRecvDataSegmentLength="
		"1024\nMaxBurstLength=8192\n",
		"ImmediateData=Yes\nMaxRecvDataSegmentLength=4100\n",
	};

	c->w = wire_open(&(struct login_opts){ .isid = (uint8_t)c->i,
					       .keys = keys[roll(c, 4)],
					       .cmdsn = roll(c, 2) ? 0xfffffff0u : 1,
					       .digests = roll(c, 3) == 0 },
			 0);
	c->tmf_op = NULL;
}

static void set_busy(struct client *c, const struct op *o, bool busy)
{
	for (unsigned k = 0; k < o->n; k++)
		c->block[o->lun][o->at + k].busy = busy;
}

/* How a write ended: it happened, it did not, or who knows. */
static void settle(struct client *c, struct op *o, bool done, bool perhaps)
{
	for (unsigned k = 0; k < o->n && o->kind == WRITE; k++) {
		struct block *b = &c->block[o->lun][o->at + k];

		if (done) {
			b->now = o->stamp;
			b->nmaybe = 0;
		} else if (perhaps) {
			b->maybe[b->nmaybe++] = o->stamp;
		}
	}
	if (o->kind == WRITE && perhaps && c->ndoubts < DOUBTS) {
		c->doubt[c->ndoubts].lun = o->lun;
		c->doubt[c->ndoubts].at = o->at;
		c->doubt[c->ndoubts++].n = o->n;
	}
	if (o->kind == CAW) {
		certain[o->at] += done;
		unsure[o->at] += perhaps;
		/* what it may hold: looked for from below, once somebody else's attempt was cut off
		 */
		if (done)
			believed[o->at] = get_be64(o->buf + BLOCK);
		else if (believed[o->at] == get_be64(o->buf))
			believed[o->at] = believed[o->at] < certain[o->at] + unsure[o->at]
						  ? believed[o->at] + 1
						  : certain[o->at];
	} else {
		set_busy(c, o, false);
	}
	o->used = false;
}

static bool may_hold(const struct block *b, uint32_t stamp)
{
	bool is = stamp == b->now;

	for (unsigned i = 0; i < b->nmaybe; i++)
		is |= stamp == b->maybe[i];
	return is;
}

static void check_read(struct client *c, struct op *o)
{
	CU_ASSERT_EQUAL(o->io.got, o->n * (uint32_t)BLOCK);
	for (unsigned k = 0; k < o->n; k++) {
		struct block *b = &c->block[o->lun][o->at + k];
		const uint8_t *p = o->buf + k * BLOCK;
		uint32_t stamp = get_be32(p + 4);

		if (!may_hold(b, stamp) ||
		    (stamp && !same_blocks(p, lba_of(c, o->at + k), 1, stamp))) {
			printf("    connection %u LUN %u block %u: stamp %x, must be %x or one of "
			       "%u\n",
			       c->i, o->lun, o->at + k, stamp, b->now, b->nmaybe);
			CU_FAIL("a block holds what it must not");
		}
		b->now = stamp;
		b->nmaybe = 0;
	}
}

static void op_ended(struct client *c, struct op *o)
{
	struct io *io = &o->io;
	uint64_t ms = io->ended - o->start;

	ops++;
	if (ms > slowest)
		slowest = ms;
	if (io->status == ST_GOOD) {
		if (o->kind == READ)
			check_read(c, o);
		if (o->kind == READ && o->twice) {
			o->twice = false;
			o->again = io->ended + AGAIN_MS;
			return; /* the range stays ours */
		}
		settle(c, o, true, false);
		return;
	}
	if (io->status == ST_ABORTED) {
		settle(c, o, false, true);
		return;
	}
	if (io->status == ST_CHECK) {
		attentions += io_key(io) == KEY_ATTENTION;
		CU_ASSERT(io_key(io) == KEY_ATTENTION ||
			  (o->kind == CAW && io_key(io) == KEY_MISCOMPARE));
	} else {
		CU_ASSERT(io->status == ST_FULL || io->status == ST_BUSY);
	}
	settle(c, o, false, false);
}

/* The connection ends, one way or another; the nexus comes back on a new one. */
static void client_kill(struct client *c)
{
	struct wire *old = c->w;
	uint32_t how = roll(c, 3);

	kills++;
	for (unsigned i = 0; i < DEPTH; i++) {
		struct op *o = &c->op[i];

		if (o->used && o->io.done) {
			o->twice = false;
			if (o->again)
				settle(c, o, false, false);
			else
				op_ended(c, o);
		} else if (o->used) {
			io_forget(&o->io);
			settle(c, o, false, true);
		}
	}
	if (how == 0)
		wire_close(old);
	else if (how == 1)
		wire_kill(old);
	client_login(c);
	if (how == 2) /* reinstatement: the old connection was still there */
		wire_close(old);
}

/* A range of the region on which nothing is under way; false when there is none where it looked. */
static bool pick(struct client *c, struct op *o)
{
	o->lun = roll(c, LUNS);
	o->n = roll(c, 4) ? 1 + roll(c, 8) : 1 + roll(c, LONGEST);
	o->at = roll(c, REGION - o->n + 1);
	for (unsigned k = 0; k < o->n; k++)
		if (c->block[o->lun][o->at + k].busy)
			return false;
	set_busy(c, o, true);
	return true;
}

/* A block of which so much is not known that it has to be read first. */
static bool too_unsure(const struct client *c, const struct op *o)
{
	bool is = false;

	for (unsigned k = 0; k < o->n; k++)
		is |= c->block[o->lun][o->at + k].nmaybe == MAYBES;
	return is;
}

/* Reads again what was read before. */
static void op_again(struct client *c, struct op *o)
{
	if ((int32_t)(c->w->maxcmdsn - c->w->cmdsn) < 0)
		return;
	o->again = 0;
	o->start = wire_now();
	io_read(&o->io, (uint16_t)o->lun, lba_of(c, o->at), (uint16_t)o->n, o->buf);
	CU_ASSERT(io_start(c->w, &o->io));
}

/* The next range in doubt, when nothing is under way on it. */
static bool pick_doubt(struct client *c, struct op *o)
{
	unsigned i = c->ndoubts ? roll(c, c->ndoubts) : 0;

	if (!c->ndoubts)
		return false;
	o->lun = c->doubt[i].lun;
	o->at = c->doubt[i].at;
	o->n = c->doubt[i].n;
	for (unsigned k = 0; k < o->n; k++)
		if (c->block[o->lun][o->at + k].busy)
			return false;
	c->doubt[i] = c->doubt[--c->ndoubts];
	set_busy(c, o, true);
	return true;
}

static void op_start(struct client *c, struct op *o)
{
	uint32_t what = roll(c, 100);
	uint32_t lba;

	if ((int32_t)(c->w->maxcmdsn - c->w->cmdsn) < 0)
		return;
	o->n = 0;
	o->twice = false;
	o->again = 0;
	if (pick_doubt(c, o)) {
		o->kind = READ;
		o->twice = true;
		io_read(&o->io, (uint16_t)o->lun, lba_of(c, o->at), (uint16_t)o->n, o->buf);
	} else if (what < 88) {
		if (!pick(c, o))
			return;
		lba = lba_of(c, o->at);
		o->kind = what < 45 || too_unsure(c, o) ? READ : WRITE;
		if (o->kind == READ) {
			io_read(&o->io, (uint16_t)o->lun, lba, (uint16_t)o->n, o->buf);
		} else {
			o->stamp = ++stamps << 8 | 1;
			fill_blocks(o->buf, lba, o->n, o->stamp);
			io_write(&o->io, (uint16_t)o->lun, lba, (uint16_t)o->n, o->buf);
			o->io.no_imm = roll(c, 4) == 0;
			o->io.no_unsol = roll(c, 4) == 0;
			if (roll(c, 8) == 0)
				o->io.cdb[1] = 0x08; /* FUA */
		}
	} else if (what < 94) { /* add one to a counter, by what is believed to be in it */
		o->kind = CAW;
		o->at = roll(c, COUNTERS);
		memset(o->buf, 0, 2 * BLOCK);
		put_be64(o->buf, believed[o->at]);
		put_be64(o->buf + BLOCK, believed[o->at] + 1);
		io_caw(&o->io, 0, SHARED + o->at, 1, o->buf);
	} else {
		o->kind = OTHER;
		io_tur(&o->io, (uint16_t)roll(c, LUNS));
		if (what == 99)
			o->io.cdb[0] = 0x35; /* SYNCHRONIZE CACHE */
	}
	o->io.attr = (uint8_t)(roll(c, 20) ? ATTR_SIMPLE : 1 + roll(c, 3));
	o->used = true;
	o->aborting = false;
	o->start = wire_now();
	CU_ASSERT(io_start(c->w, &o->io));
}

static void client_play(struct client *c)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		struct op *o = &c->op[i];

		if (o->used && o->again) {
			if (wire_now() >= o->again)
				op_again(c, o);
			continue;
		}
		if (o->used && !o->aborting && o->io.done)
			op_ended(c, o);
		if (!o->used && roll(c, 4))
			op_start(c, o);
	}
	if (!c->tmf_op && roll(c, 60) == 0) {
		struct op *o = &c->op[roll(c, DEPTH)];

		if (o->used && !o->io.done) {
			c->tmf_op = o;
			o->aborting = true;
			c->tmf_itt = wire_tmf_send(c->w, TMF_ABORT_TASK, o->io.lun, o->io.itt,
						   o->io.cmdsn);
			aborts++;
		}
	}
	if (roll(c, 400) == 0)
		client_kill(c);
	else if (roll(c, 3000) == 0 && !c->tmf_op) {
		resets++;
		wire_tmf_send(c->w, TMF_LU_RESET, (uint16_t)roll(c, LUNS), ISCSI_TAG_NONE, 0);
		/* our own tasks there end without a word: the easiest is to start anew */
		client_kill(c);
	}
}

static void client_input(struct client *c)
{
	struct pdu p;
	int r = wire_pump(c->w, &p, 4 * WIRE_MS * wire_slow());	/* a flush may take seconds */

	if (r == 2)
		return;
	if (r != 1) {
		CU_FAIL("a connection ended that nobody killed");
		client_kill(c);
		return;
	}
	CU_ASSERT_EQUAL(p.h.opcode, OP_TMF_RSP);
	if (p.h.opcode == OP_TMF_RSP && c->tmf_op && be32_get(p.h.itt) == c->tmf_itt) {
		struct op *o = c->tmf_op;

		c->tmf_op = NULL;
		o->aborting = false;
		if (!o->io.done) {
			CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_COMPLETE);
			io_forget(&o->io);
			settle(c, o, false, true);
		} else {
			op_ended(c, o);
		}
	}
}

static void run(const char *top, unsigned seconds)
{
	const char *seed = getenv("WIRE_SEED");
	uint64_t end;
	char luns[1024];
	struct wire *w[CONNS];
	unsigned failures = CU_get_number_of_failures();

	memset(clients, 0, sizeof(clients));
	memset(believed, 0, sizeof(believed));
	memset(certain, 0, sizeof(certain));
	memset(unsure, 0, sizeof(unsure));
	ops = kills = aborts = resets = attentions = slowest = 0;
	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: m0, backend: memory, size: 16M, "
		 "filters: \"delay:min_us=1,max_us=300\"}\n"
		 "      - {lun: 1, name: f1, path: %s, size: 16M}\n"
		 "      - {lun: 2, name: m2, backend: memory, size: 16M, filters: "
		 "\"fault:op=write,ms=40,every=6\"}\n",
		 daemon_path("f1.img"));
	daemon_start(top, luns, NULL);
	for (unsigned i = 0; i < CONNS; i++) {
		clients[i].i = i;
		clients[i].random =
			0x9e3779b97f4a7c15ull * (i + 1 + (seed ? strtoul(seed, NULL, 0) : 0));
		client_login(&clients[i]);
	}
	end = wire_now() + seconds * 1000ull;
	while (wire_now() < end && daemon_alive() && CU_get_number_of_failures() < failures + 20) {
		int i;

		for (unsigned k = 0; k < CONNS; k++) {
			client_play(&clients[k]);
			w[k] = clients[k].w;
		}
		while ((i = wire_poll(w, CONNS, 2)) >= 0) {
			client_input(&clients[i]);
			w[i] = NULL; /* each once, then all play again */
		}
	}
	/* the end: everything under way ends, and every block is looked at */
	for (unsigned k = 0; k < CONNS; k++) {
		struct client *c = &clients[k];

		for (unsigned i = 0; i < DEPTH; i++)
			if (c->op[i].used) {
				struct op *o = &c->op[i];

				while ((!o->io.done || o->aborting) && o->used)
					client_input(c);
				o->twice = false;
				if (o->used && o->again)
					settle(c, o, false, false);
				else if (o->used)
					op_ended(c, o);
			}
		for (unsigned l = 0; l < LUNS; l++)
			for (unsigned at = 0; at < REGION; at += LONGEST) {
				struct op *o = &c->op[0];

				do {
					*o = (struct op){
						.kind = READ, .lun = l, .at = at, .n = LONGEST
					};
					io_read(&o->io, (uint16_t)l, lba_of(c, at), LONGEST,
						o->buf);
					CU_ASSERT_FATAL(io_run(c->w, &o->io));
				} while (o->io.status == ST_CHECK &&
					 io_key(&o->io) == KEY_ATTENTION);
				CU_ASSERT_EQUAL(o->io.status, ST_GOOD);
				check_read(c, o);
			}
	}
	for (unsigned k = 0; k < COUNTERS; k++) {
		uint8_t b[BLOCK];
		struct io io;

		io_read(&io, 0, SHARED + k, 1, b);
		CU_ASSERT(io_good(clients[0].w, &io));
		CU_ASSERT(get_be64(b) >= certain[k] && get_be64(b) <= certain[k] + unsure[k]);
	}
	printf("    %llu commands, %llu kills, %llu aborts, %llu resets, %llu unit attentions, "
	       "slowest %llu ms\n",
	       (unsigned long long)ops, (unsigned long long)kills, (unsigned long long)aborts,
	       (unsigned long long)resets, (unsigned long long)attentions,
	       (unsigned long long)slowest);
	CU_ASSERT(ops > 500);
	CU_ASSERT(slowest < 4 * WIRE_MS * wire_slow());
	daemon_stop();
	remove(daemon_path("f1.img"));
}

static unsigned seconds(void)
{
	const char *s = getenv("WIRE_STRESS");

	return s ? (unsigned)atoi(s) : 6;
}

static void test_two_reactors(void)
{
	run("reactors: 2\n", seconds());
}
static void test_one_reactor(void)
{
	run("reactors: 1\n", seconds() / 2 + 1);
}
/* Little of everything: windows and buffers run out. */
static void test_tight(void)
{
	run("reactors: 2\nlimits: {commands: 4, buffers: 16M}\niscsi: "
	    "{max_recv_data_segment_length: 512}\n",
	    seconds() / 2 + 1);
}

UNIT_MAIN("daemon stress", UNIT(test_two_reactors), UNIT(test_one_reactor), UNIT(test_tight))
