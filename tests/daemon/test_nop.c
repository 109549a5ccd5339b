/* SPDX-License-Identifier: Apache-2.0 */
/* NOP-Out and NOP-In, both ways (RFC 7143 11.18, 11.19). */
#include <string.h>
#include <sys/socket.h>

#include "tests/daemon/wire.h"

static uint32_t nop(struct wire *w, bool immediate, uint32_t ttt, const uint8_t lun[8],
		    const void *data, uint32_t len)
{
	struct pdu p = { .nop_out = { .opcode = OP_NOP_OUT | (immediate ? PDU_IMMEDIATE : 0),
				      .flags = PDU_FINAL,
				      .ttt = be32_of(ttt) } };

	if (lun)
		memcpy(p.nop_out.lun, lun, 8);
	p.nop_out.itt = be32_of(wire_next_itt(w));
	p.nop_out.cmdsn = be32_of(immediate ? w->cmdsn : w->cmdsn++);
	p.nop_out.expstatsn = be32_of(w->expstatsn);
	wire_send(w, &p, data, len);
	return be32_get(p.h.itt);
}

static void test_echo(void)
{
	static uint8_t data[65536];
	static const uint32_t sizes[] = { 0, 1, 4, 511, 4096, 8191, 8192 };
	struct wire *w;
	struct pdu p;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 0);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (unsigned imm = 0; imm < 2; imm++) {
			uint32_t itt = nop(w, imm, ISCSI_TAG_NONE, NULL, data, sizes[i]),
				 before = w->expstatsn;

			CU_ASSERT_FATAL(wire_expect(w, OP_NOP_IN, &p, WIRE_MS));
			CU_ASSERT_EQUAL(be32_get(p.h.itt), itt);
			CU_ASSERT_EQUAL(be32_get(p.nop_in.ttt), ISCSI_TAG_NONE);
			CU_ASSERT_EQUAL(p.h.flags, PDU_FINAL);
			CU_ASSERT_EQUAL(p.len, sizes[i]);
			CU_ASSERT(!memcmp(p.data, data, p.len));
			CU_ASSERT_EQUAL(w->expstatsn, before + 1);
			CU_ASSERT_EQUAL(w->expcmdsn, w->cmdsn);
		}
	/* more than we take: cut at our MaxRecvDataSegmentLength (11.19.? "up to") */
	if (w->max_send >= 65536) {
		nop(w, true, ISCSI_TAG_NONE, NULL, data, 65536);
		CU_ASSERT_FATAL(wire_expect(w, OP_NOP_IN, &p, WIRE_MS));
		CU_ASSERT_EQUAL(p.len, 8192);
		CU_ASSERT(!memcmp(p.data, data, p.len));
	}
	/* many at once come back in order */
	for (unsigned i = 0; i < 20; i++)
		nop(w, false, ISCSI_TAG_NONE, NULL, data + i, 100 + i);
	for (unsigned i = 0; i < 20; i++) {
		CU_ASSERT_FATAL(wire_expect(w, OP_NOP_IN, &p, WIRE_MS));
		CU_ASSERT_EQUAL(be32_get(p.h.itt), w->itt - 19 + i);
		CU_ASSERT_EQUAL(p.len, 100 + i);
	}
	daemon_stop();
}

/* ITT ffffffff: no answer is wanted (11.18). */
static void test_no_answer(void)
{
	struct pdu p = { .nop_out = { .opcode = OP_NOP_OUT | PDU_IMMEDIATE,
				      .flags = PDU_FINAL,
				      .itt = be32_of(ISCSI_TAG_NONE),
				      .ttt = be32_of(ISCSI_TAG_NONE) } };
	struct wire *w;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 0);
	p.nop_out.cmdsn = be32_of(w->cmdsn);
	p.nop_out.expstatsn = be32_of(w->expstatsn);
	wire_send(w, &p, NULL, 0);
	wire_send(w, &p, "keep alive", 10);
	p.nop_out.ttt = be32_of(0x4711); /* the answer to a ping that never was */
	wire_send(w, &p, NULL, 0);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/* The target pings who is idle; who answers stays, who does not is dropped (limits nop_interval,
 * nop_timeout). False: somebody stood still for long enough to be dropped. */
static bool pings(bool last)
{
	struct wire *good, *dead, *busy, *killed;
	uint64_t start, now, before, longest = 0, died = 0;
	unsigned seen = 0, wrong = 0;
	bool whole = true;
	struct pdu p;
	struct io io;

	daemon_start("limits: {nop_interval: 1, nop_timeout: 1}\n", NULL, NULL);
	good = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	start = wire_now();
	dead = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	busy = wire_open(&(struct login_opts){ .isid = 3 }, 1);
	killed = wire_open(&(struct login_opts){ .isid = 4 }, 1);
	dead->no_pong = true;
	wire_kill(killed);
	for (now = before = start; now - start < 4500 && whole; before = now) {
		now = wire_now();
		whole = wire_pump(good, &p, 20) >= 0 && daemon_alive();
		if (!died && wire_pump(dead, &p, 20) < 0)
			died = wire_now();
		io_tur(&io, 0);
		whole &= io_good(busy, &io);
		/* From before the command before this one to this one's answer: was it idle? */
		wrong += busy->pings > seen && wire_now() - before < 900;
		seen = busy->pings;
		longest = wire_now() - before > longest ? wire_now() - before : longest;
	}
	before = wire_now();
	whole &= wire_alive(good) && wire_alive(busy);
	longest = wire_now() - before > longest ? wire_now() - before : longest;
	if (!(whole && died && good->pings >= 2) && longest > 700 && !last) {
		daemon_stop();
		return false;
	}
	CU_ASSERT(whole);
	CU_ASSERT(good->pings >= 2);
	CU_ASSERT(dead->pings >= 1);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(died && died - start >= 1500);
	daemon_stop();
	return true;
}

static void test_target_pings(void)
{
	wire_tries(pings);
}

/* Who answers a ping and then falls silent is given up nop_interval + nop_timeout after that. */
static void test_silent_after_ping(void)
{
	struct wire *w;
	uint64_t asked, answered;
	struct pdu p;

	daemon_start("limits: {nop_interval: 1, nop_timeout: 5}\n", NULL, NULL);
	w = wire_open(NULL, 0);
	do
		asked = wire_now();
	while (!w->pings && wire_pump(w, &p, 100) >= 0);
	CU_ASSERT_FATAL(w->pings);
	answered = wire_now();
	w->no_pong = true;
	while (wire_pump(w, &p, 100) >= 0 && wire_now() - answered < 20000 * wire_slow())
		;
	/* To the second, and some for a machine that is busy; 10 would be the second ping's. */
	CU_ASSERT(wire_now() - asked >= 5500);
	CU_ASSERT(wire_now() - answered < 9500 * wire_slow());
	daemon_stop();
}

/* The ping itself: TTT valid, ITT ffffffff, no data; its StatSN is shown, not taken (checked by
 * wire.c; 11.19). */
static void test_ping_fields(void)
{
	struct wire *w;
	struct pdu p = { .h = { .opcode = 0 } };
	int r;

	daemon_start("limits: {nop_interval: 1, nop_timeout: 20}\n", NULL, NULL);
	w = wire_open(NULL, 0);
	r = wire_recv(w, &p, 3000 * wire_slow());
	CU_ASSERT_EQUAL_FATAL(r, 1);
	CU_ASSERT_EQUAL(p.h.opcode, OP_NOP_IN);
	CU_ASSERT_EQUAL(p.h.flags, PDU_FINAL);
	CU_ASSERT_EQUAL(be32_get(p.h.itt), ISCSI_TAG_NONE);
	CU_ASSERT_NOT_EQUAL(be32_get(p.nop_in.ttt), ISCSI_TAG_NONE);
	CU_ASSERT_EQUAL(p.len, 0);
	/* any traffic of the initiator's shows that it lives, also without the pong */
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/* Who reads slowly what it asked for, for longer than both limits, and has nothing to say
 * meanwhile, lives; who reads nothing of it does not. */
static void test_slow_reader(void)
{
	enum { READS = 24, BLOCKS = (1 << 20) / BLOCK };
	static uint8_t buf[1 << 20];
	static struct io slow_io[READS], dead_io[READS];
	static const int small = 65536;
	struct wire *slow, *dead;
	uint64_t start;
	struct pdu p;

	/* Room for a machine that stands still: then nobody reads. */
	daemon_start("limits: {nop_interval: 1, nop_timeout: 3}\n", NULL, NULL);
	slow = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	dead = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	setsockopt(slow->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(dead->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (unsigned i = 0; i < READS; i++) {
		io_read(&slow_io[i], 0, 0, BLOCKS, buf);
		io_read(&dead_io[i], 0, 0, BLOCKS, buf);
		CU_ASSERT_FATAL(io_start(slow, &slow_io[i]) && io_start(dead, &dead_io[i]));
	}
	start = wire_now();
	while (!slow_io[READS - 1].done && wire_pump(slow, &p, WIRE_MS) > 0)
		wire_sleep(2);
	CU_ASSERT(slow_io[READS - 1].done);
	CU_ASSERT(wire_now() - start > 5000);
	CU_ASSERT(daemon_log_await("no answer to our NOP-In", 1) > 0);
	CU_ASSERT(wire_alive(slow));
	for (unsigned i = 0; i < READS; i++)
		io_forget(&dead_io[i]);
	CU_ASSERT(wire_closed(dead, WIRE_MS));
	daemon_stop();
}

/* RFC 7143 4.3: a discovery session takes nothing but SendTargets and logout. So it is not pinged,
 * as it could not answer, but ends when it has been idle for as long; a NOP-Out is rejected. */
static void test_discovery(void)
{
	struct wire *d, *e;
	uint64_t t;
	struct pdu p;

	daemon_start("limits: {nop_interval: 1, nop_timeout: 2}\n", NULL, NULL);
	t = wire_now();
	d = wire_open(&(struct login_opts){ .discovery = true }, 0);
	e = wire_open(&(struct login_opts){ .discovery = true, .isid = 2 }, 0);
	nop(e, true, ISCSI_TAG_NONE, NULL, NULL, 0);
	CU_ASSERT(wire_expect(e, OP_REJECT, &p, WIRE_MS));
	CU_ASSERT_EQUAL(p.reject.reason, REJECT_PROTOCOL);
	CU_ASSERT_EQUAL(wire_recv(d, &p, 5000 * wire_slow()), -1);
	CU_ASSERT(wire_now() - t > 2200);
	daemon_stop();
}

UNIT_MAIN("daemon nop", UNIT(test_echo), UNIT(test_no_answer), UNIT(test_target_pings),
	  UNIT(test_silent_after_ping), UNIT(test_ping_fields), UNIT(test_slow_reader),
	  UNIT(test_discovery))
