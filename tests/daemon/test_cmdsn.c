/* SPDX-License-Identifier: Apache-2.0 */
/* Command numbering and the command window, status numbering (RFC 7143 4.2.2). */
#include <string.h>

#include "tests/daemon/wire.h"

static const char two_luns[] = "      - {lun: 0, name: m0, backend: memory, size: 16M}\n"
			       "      - {lun: 1, name: m1, backend: memory, size: 16M, filters: "
			       "\"fault:op=read,while=%s,hang\"}\n";

static void start_hung(const char *top)
{
	char luns[1024];

	daemon_touch("hang");
	snprintf(luns, sizeof(luns), two_luns, daemon_path("hang"));
	daemon_start(top, luns, NULL);
}

/* A non-immediate NOP-Out: the smallest thing with a CmdSN. */
static uint32_t ping(struct wire *w, uint32_t cmdsn)
{
	struct pdu p = { .nop_out = { .opcode = OP_NOP_OUT,
				      .flags = PDU_FINAL,
				      .ttt = be32_of(ISCSI_TAG_NONE) } };

	p.nop_out.itt = be32_of(wire_next_itt(w));
	p.nop_out.cmdsn = be32_of(cmdsn);
	p.nop_out.expstatsn = be32_of(w->expstatsn);
	wire_send(w, &p, NULL, 0);
	return be32_get(p.h.itt);
}

static bool pong(struct wire *w, uint32_t itt)
{
	struct pdu p;

	return wire_expect(w, OP_NOP_IN, &p, WIRE_MS) && be32_get(p.h.itt) == itt;
}

static void test_advance(void)
{
	struct wire *w;
	struct io io;

	daemon_start("limits: {commands: 16}\n", NULL, NULL);
	w = wire_open(&(struct login_opts){ .cmdsn = 1000 }, 0);
	for (uint32_t i = 0; i < 50; i++) {
		uint32_t before = w->expstatsn;

		io_tur(&io, 0);
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(w->expcmdsn, 1000 + i + 1);
		CU_ASSERT_EQUAL(w->maxcmdsn, 1000 + i + 16);
		CU_ASSERT_EQUAL(w->expstatsn, before + 1);
	}
	CU_ASSERT(pong(w, ping(w, w->cmdsn++)));
	CU_ASSERT_EQUAL(w->expcmdsn, w->cmdsn);
	/* immediate: carries the number, does not take it (4.2.2.1) */
	CU_ASSERT(wire_alive(w));
	CU_ASSERT_EQUAL(w->expcmdsn, w->cmdsn);
	io_tur(&io, 0);
	io.immediate = true;
	CU_ASSERT(io_good(w, &io));
	CU_ASSERT_EQUAL(w->expcmdsn, w->cmdsn);
	daemon_stop();
}

static void test_wrap(void)
{
	uint8_t data[BLOCK];
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&(struct login_opts){ .cmdsn = 0xfffffffc }, 0);
	for (unsigned i = 0; i < 10; i++) {
		io_read(&io, 0, i, 1, data);
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(w->expcmdsn, (uint32_t)(0xfffffffd + i));
	}
	daemon_stop();
	/* and with commands held over the wrap */
	daemon_restart();
	w = wire_open(&(struct login_opts){ .cmdsn = 0xfffffffe }, 0);
	{
		uint32_t c = ping(w, 0), d = ping(w, 1), b = 0, a = 0;

		CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
		w->cmdsn = 2;
		b = ping(w, 0xffffffff);
		a = ping(w, 0xfffffffe);
		CU_ASSERT(pong(w, a));
		CU_ASSERT(pong(w, b));
		CU_ASSERT(pong(w, c));
		CU_ASSERT(pong(w, d));
		CU_ASSERT_EQUAL(w->expcmdsn, 2);
	}
	daemon_stop();
}

/* Commands that come before their predecessors wait for them, and then go in order (4.2.2.1). */
static void test_out_of_order(void)
{
	uint8_t a[BLOCK], b[BLOCK], c[BLOCK], back[BLOCK];
	struct io wa, wb, wc, r, imm;
	struct wire *w;
	uint32_t n;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	n = w->cmdsn;
	fill_blocks(a, 5, 1, 0xa);
	fill_blocks(b, 5, 1, 0xb);
	fill_blocks(c, 5, 1, 0xc);
	io_write(&wa, 0, 5, 1, a);
	io_write(&wb, 0, 5, 1, b);
	io_write(&wc, 0, 5, 1, c);
	wa.keep_cmdsn = wb.keep_cmdsn = wc.keep_cmdsn = true;
	wa.attr = wb.attr = wc.attr = ATTR_ORDERED;
	wa.cmdsn = n, wb.cmdsn = n + 1, wc.cmdsn = n + 2;
	w->cmdsn = n + 3;
	io_start(w, &wc);
	io_start(w, &wb);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT(!wb.done && !wc.done);
	CU_ASSERT_EQUAL(w->expcmdsn, n);
	/* an immediate one does not wait for the gap */
	io_read(&imm, 0, 5, 1, back);
	imm.immediate = true;
	CU_ASSERT(io_good(w, &imm));
	CU_ASSERT_EQUAL(w->expcmdsn, n);
	io_start(w, &wa);
	CU_ASSERT(io_wait(&wa, WIRE_MS) && io_wait(&wb, WIRE_MS) && io_wait(&wc, WIRE_MS));
	CU_ASSERT_EQUAL(wa.status | wb.status | wc.status, 0);
	io_read(&r, 0, 5, 1, back);
	CU_ASSERT(io_good(w, &r));
	CU_ASSERT(same_blocks(back, 5, 1, 0xc));
	CU_ASSERT_EQUAL(w->expcmdsn, n + 4);
	daemon_stop();
}

/* Held writes that need R2Ts, held text and task management: everything with a number waits. */
static void test_held_kinds(void)
{
	static const char own[] = "SendTargets=";
	uint8_t data[64 * BLOCK], back[64 * BLOCK];
	struct pdu text = { .text = { .opcode = OP_TEXT_REQ,
				      .flags = PDU_FINAL,
				      .ttt = be32_of(ISCSI_TAG_NONE) } };
	struct pdu tmf = { .tmf = { .opcode = OP_TMF_REQ,
				    .function = PDU_FINAL | TMF_ABORT_TASK_SET } },
		   p;
	struct io io, r;
	struct wire *w;
	uint32_t n;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	n = w->cmdsn;
	w->cmdsn += 4;
	fill_blocks(data, 64, 64, 3);
	io_write(&io, 0, 64, 64, data);
	io.no_imm = io.keep_cmdsn = true;
	io.cmdsn = n + 1;
	io_start(w, &io);
	text.text.itt = be32_of(wire_next_itt(w));
	text.text.cmdsn = be32_of(n + 2);
	wire_send(w, &text, own, sizeof(own));
	tmf.tmf.itt = be32_of(wire_next_itt(w));
	tmf.tmf.rtt = be32_of(ISCSI_TAG_NONE);
	tmf.tmf.cmdsn = be32_of(n + 3);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT_EQUAL(io.r2ts, 0);
	ping(w, n);
	CU_ASSERT(wire_expect(w, OP_NOP_IN, &p, WIRE_MS));
	CU_ASSERT(wire_expect(w, OP_TEXT_RSP, &p, WIRE_MS));
	CU_ASSERT(io_wait(&io, WIRE_MS));
	CU_ASSERT_EQUAL(io.status, ST_GOOD);
	wire_send(w, &tmf, NULL, 0);
	CU_ASSERT(wire_expect(w, OP_TMF_RSP, &p, WIRE_MS));
	CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_COMPLETE);
	CU_ASSERT_EQUAL(w->expcmdsn, n + 4);
	io_read(&r, 0, 64, 64, back);
	CU_ASSERT(io_good(w, &r) && same_blocks(back, 64, 64, 3));
	daemon_stop();
}

/* Duplicates, old numbers and numbers beyond the window are ignored in silence (4.2.2.1: MUST). */
static void test_ignored(void)
{
	struct wire *w;
	uint32_t n, held;

	daemon_start("limits: {commands: 16}\n", NULL, NULL);
	w = wire_open(&(struct login_opts){ .cmdsn = 100 }, 1);
	n = w->cmdsn;
	w->cmdsn = n + 1;
	CU_ASSERT(pong(w, ping(w, n)));
	ping(w, n); /* done already */
	ping(w, n - 50);
	ping(w, w->maxcmdsn + 1); /* beyond */
	ping(w, w->maxcmdsn + 1000);
	ping(w, n + 0x80000001);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT_EQUAL(w->expcmdsn, n + 1);
	/* twice the same number while it is held: one answer */
	held = ping(w, n + 2);
	ping(w, n + 2);
	w->cmdsn = n + 3;
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT(pong(w, ping(w, n + 1)));
	CU_ASSERT(pong(w, held));
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	/* exactly the last of the window is taken, once those before it came */
	held = ping(w, w->maxcmdsn);
	for (uint32_t i = w->cmdsn, last = w->maxcmdsn; i != last; i++) {
		w->cmdsn = last + 1;
		CU_ASSERT(pong(w, ping(w, i)));
	}
	CU_ASSERT(pong(w, held));
	CU_ASSERT_EQUAL(w->expcmdsn, w->cmdsn);
	daemon_stop();
}

/* An ignored command's data is ignored with it: immediate data, and unsolicited Data-Outs. */
static void test_ignored_data(void)
{
	uint8_t data[32 * BLOCK], back[32 * BLOCK];
	struct io io, r;
	struct wire *w;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(
		&(struct login_opts){ .keys = "InitialR2T=No\nMaxRecvDataSegmentLength=65536\n" },
		1);
	CU_ASSERT(!w->initial_r2t);
	w->max_send = 4096; /* several PDUs */
	fill_blocks(data, 0, 32, 1);
	io_write(&io, 0, 0, 32, data);
	io.keep_cmdsn = true;
	io.cmdsn = w->cmdsn - 1;
	io_start(w, &io);
	CU_ASSERT(io.sent > 4096);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	io_forget(&io);
	CU_ASSERT(wire_alive(w));
	io_read(&r, 0, 0, 32, back);
	CU_ASSERT(io_good(w, &r));
	memset(data, 0, sizeof(data));
	CU_ASSERT(!memcmp(data, back, sizeof(data)));
	daemon_stop();
}

/* The window closes when it is full of commands that do not end, and opens again; immediate ones
 * still go. */
static void test_window_closes(void)
{
	static uint8_t bufs[64][BLOCK];
	static struct io io[64];
	uint32_t first;
	struct io imm;
	struct wire *w;
	unsigned n = 0;

	start_hung("limits: {commands: 8, lun_commands: 8}\n");
	w = wire_open(NULL, 2);
	first = w->cmdsn;
	while (n < 64 && (int32_t)(w->maxcmdsn - w->cmdsn) >= 0) {
		io_read(&io[n], 1, n, 1, bufs[n]);
		io_start(w, &io[n++]);
		/* numbers come with what the target sends: ask for something */
		CU_ASSERT_FATAL(wire_alive(w));
	}
	CU_ASSERT_EQUAL(n, 8);
	CU_ASSERT_EQUAL(w->expcmdsn, first + 8);
	CU_ASSERT_EQUAL(w->maxcmdsn, w->expcmdsn - 1);
	/* beyond: ignored */
	ping(w, w->cmdsn);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	/* immediate: taken, on the LUN that works */
	io_tur(&imm, 0);
	imm.immediate = true;
	CU_ASSERT(io_good(w, &imm));
	CU_ASSERT_EQUAL(w->maxcmdsn, w->expcmdsn - 1);
	daemon_remove("hang");
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT(io_wait(&io[i], WIRE_MS));
		CU_ASSERT_EQUAL(io[i].status, ST_GOOD);
	}
	CU_ASSERT_EQUAL(w->maxcmdsn, first + 15);
	CU_ASSERT(pong(w, ping(w, w->cmdsn++)));
	daemon_stop();
}

/* More immediate commands than the target takes: each is carried out, or rejected with reason 06h
 * (4.2.2.1.?). */
static void immediate_flood(uint8_t attr)
{
	static uint8_t bufs[600][BLOCK];
	static struct io io[600];
	unsigned rejected = 0, answered = 0;
	uint32_t itt;
	struct pdu p;
	struct wire *w;
	int r;

	start_hung("limits: {commands: 8, lun_commands: 8}\n");
	w = wire_open(NULL, 2);
	for (unsigned i = 0; i < 600; i++) {
		io_read(&io[i], 1, i, 1, bufs[i]);
		io[i].immediate = true;
		io[i].attr = attr;
		io_start(w, &io[i]);
	}
	/* An answer behind all of theirs. */
	itt = ping(w, w->cmdsn++);
	while ((r = wire_pump(w, &p, WIRE_MS * wire_slow())) > 0) {
		if (r == 2)
			continue;
		if (p.h.opcode == OP_NOP_IN)
			break;
		CU_ASSERT_EQUAL(p.h.opcode, OP_REJECT);
		CU_ASSERT_EQUAL(p.reject.reason, REJECT_TOO_MANY_IMMEDIATE);
		for (unsigned i = 0; i < 600; i++)
			if (io[i].itt == get_be32(p.data + 16))
				io_forget(&io[i]);
		rejected++;
	}
	CU_ASSERT(r == 1 && be32_get(p.h.itt) == itt);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	for (unsigned i = 0; i < 600; i++)
		answered += io[i].done; /* TASK SET FULL */
	CU_ASSERT(rejected + answered >= 500);
	CU_ASSERT(wire_alive(w));
	daemon_remove("hang");
	for (unsigned i = 0; i < 600; i++)
		if (io[i].w && !io[i].done)
			CU_ASSERT(io_wait(&io[i], WIRE_MS));
	daemon_stop();
}

static void test_immediate_flood(void)
{
	immediate_flood(ATTR_SIMPLE);
	immediate_flood(ATTR_HEAD);
}

/* Two commands with one ITT: the second cannot be told from the first (4.2.2.1, 11.2.1.8: Reject
 * "task in progress"). */
static void test_same_itt(void)
{
	uint8_t a[BLOCK], b[BLOCK];
	struct io first, second, retry;
	struct pdu p;
	struct wire *w;
	int r;

	start_hung(NULL);
	w = wire_open(NULL, 2);
	io_read(&first, 1, 0, 1, a);
	io_start(w, &first);
	/* the same command again, number and all, is a retry: ignored while the first is there */
	io_read(&retry, 1, 0, 1, b);
	retry.keep_itt = retry.keep_cmdsn = true;
	retry.itt = first.itt;
	retry.cmdsn = first.cmdsn;
	io_start(w, &retry);
	io_forget(&retry);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	io_read(&second, 0, 0, 1, b);
	second.keep_itt = true;
	second.itt = first.itt;
	io_start(w, &second);
	io_forget(&second);
	r = wire_recv(w, &p, WIRE_MS);
	if (r == 1) {
		CU_ASSERT_EQUAL(p.h.opcode, OP_REJECT);
		CU_ASSERT(p.reject.reason == REJECT_TASK_IN_PROGRESS ||
			  p.reject.reason == REJECT_PROTOCOL ||
			  p.reject.reason == REJECT_INVALID_FIELD);
		/* 7.3: the number of a rejected command does not count as received */
		CU_ASSERT_EQUAL(w->expcmdsn, second.cmdsn);
		w->cmdsn = second.cmdsn;
		daemon_remove("hang");
		CU_ASSERT(io_wait(&first, WIRE_MS));
	} else {
		CU_ASSERT_EQUAL(r, -1);
		daemon_remove("hang");
	}
	daemon_stop();
}

UNIT_MAIN("daemon cmdsn", UNIT(test_advance), UNIT(test_wrap), UNIT(test_out_of_order),
	  UNIT(test_held_kinds), UNIT(test_ignored), UNIT(test_ignored_data),
	  UNIT(test_window_closes), UNIT(test_immediate_flood), UNIT(test_same_itt))
