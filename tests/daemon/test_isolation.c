/* SPDX-License-Identifier: Apache-2.0 */
/* A LUN whose backend stands still, at full queue depth: the others of the same session answer in
 * time. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/daemon/wire.h"

enum { MANY = 256 };
static struct io hung[MANY];
static uint8_t bufs[MANY][8 * BLOCK], in[64 * BLOCK];

static void start_ops(const char *top, const char *kind, const char *ops)
{
	char luns[1024], backend[256];

	snprintf(backend, sizeof(backend), "path: %s, size: 16M", daemon_path("f1.img"));
	daemon_touch("hang");
	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: m0, backend: memory, size: 16M}\n"
		 "      - {lun: 1, name: f1, %s, filters: \"fault:%swhile=%s,hang\"}\n"
		 "      - {lun: 2, name: m2, backend: memory, size: 16M}\n",
		 kind ? kind : backend, ops, daemon_path("hang"));
	daemon_start(top, luns, NULL);
}

static void start(const char *top, const char *kind)
{
	start_ops(top, kind, "");
}

/* Commands for LUN 1 until the window is full or it says TASK SET FULL: how many are left hanging.
 */
static unsigned fill(struct wire *w, bool writes)
{
	unsigned n = 0, full = 0;

	while (n < MANY && (int32_t)(w->maxcmdsn - w->cmdsn) >= 0) {
		if (writes) {
			fill_blocks(bufs[n], 8 * n, 8, n);
			io_write(&hung[n], 1, 8 * n, 8, bufs[n]);
		} else {
			io_read(&hung[n], 1, 8 * n, 8, bufs[n]);
		}
		io_start(w, &hung[n]);
		n++;
		CU_ASSERT_FATAL(wire_alive(w));
		if (hung[n - 1].done) {
			CU_ASSERT_EQUAL(hung[n - 1].status, ST_FULL);
			if (++full == 5)
				break;
		}
	}
	CU_ASSERT_EQUAL(full, 5); /* the LUN's share ends before the window does */
	return n;
}

static void one_session(bool writes, const char *kind)
{
	struct wire *w;
	unsigned n, left = 0;
	uint64_t t;

	start("limits: {commands: 64}\n", kind);
	w = wire_open(NULL, 3);
	n = fill(w, writes);
	for (unsigned i = 0; i < n; i++)
		left += !hung[i].done;
	CU_ASSERT(left > 8 && left < 64);
	t = wire_now();
	for (unsigned i = 0; i < 100; i++) {
		struct io io;

		fill_blocks(in, i, 64, i);
		io_write(&io, i & 2, i, 64, in);
		CU_ASSERT_FATAL(io_good(w, &io));
		io_read(&io, i & 2, i, 64, in);
		CU_ASSERT_FATAL(io_good(w, &io) && same_blocks(in, i, 64, i));
	}
	CU_ASSERT(wire_now() - t < 6000 * wire_slow()); /* the other hangs for ever */
	/* INQUIRY and REPORT LUNS, which need no medium, answer on the hung LUN, too, when they may
	 * pass */
	{
		struct io io;

		io_sense(&io, 1, in, 36);
		io.cdb[0] = 0x12;
		io.attr = ATTR_HEAD;
		CU_ASSERT(io_run(w, &io));
	}
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT(!hung[i].done || hung[i].status == ST_FULL);
	daemon_remove("hang");
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT(io_wait(&hung[i], WIRE_MS));
		CU_ASSERT(hung[i].status == ST_GOOD || hung[i].status == ST_FULL);
	}
	daemon_stop();
	unlink(daemon_path("f1.img"));
}

static void test_reads_memory(void)
{
	one_session(false, "backend: memory, size: 16M");
}
static void test_writes_memory(void)
{
	one_session(true, "backend: memory, size: 16M");
}
static void test_writes_file(void)
{
	one_session(true, NULL);
}

/* The share as configured. */
static void test_share(void)
{
	struct wire *w;
	unsigned n, left = 0;

	start("limits: {commands: 64, lun_commands: 10}\n", NULL);
	w = wire_open(NULL, 3);
	n = fill(w, false);
	for (unsigned i = 0; i < n; i++)
		left += !hung[i].done;
	CU_ASSERT_EQUAL(left, 10);
	daemon_remove("hang");
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT(io_wait(&hung[i], WIRE_MS));
	/* and it has its share again */
	daemon_touch("hang");
	n = fill(w, false);
	daemon_remove("hang");
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT(io_wait(&hung[i], WIRE_MS));
	daemon_stop();
}

/* PERSISTENT RESERVE OUT and IN of a session whose own I/O has used its share up. */
static void test_share_spares_reservations(void)
{
	uint8_t param[24] = { 0 }, keys[64];
	struct wire *w;
	struct io io;
	unsigned n;

	start("limits: {commands: 64, lun_commands: 10}\n", NULL);
	w = wire_open(NULL, 3);
	n = fill(w, false);
	memset(&io, 0, sizeof(io));
	io.lun = 1;
	io.attr = ATTR_SIMPLE;
	io.cdb[0] = 0x5f;	/* REGISTER AND IGNORE EXISTING KEY */
	io.cdb[1] = 6;
	io.cdb[8] = io.edtl = sizeof(param);
	io.wr = true;
	io.buf = param;
	put_be64(param + 8, 0xabc);
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.status, ST_GOOD);
	memset(&io, 0, sizeof(io));
	io.lun = 1;
	io.attr = ATTR_SIMPLE;
	io.cdb[0] = 0x5e;	/* READ KEYS */
	io.cdb[8] = io.edtl = sizeof(keys);
	io.rd = true;
	io.buf = keys;
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.status, ST_GOOD);
	CU_ASSERT_EQUAL(get_be64(keys + 8), 0xabc);
	daemon_remove("hang");
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT(io_wait(&hung[i], WIRE_MS));
	daemon_stop();
}

/* A session that uses one LUN only has nobody to leave room for: the window is its own. */
static void test_lone_lun(void)
{
	struct wire *w;
	unsigned n = 0;
	struct io io;

	start("limits: {commands: 64}\n", NULL);
	w = wire_open(NULL, 0);
	io_tur(&io, 1);
	CU_ASSERT(io_run(w, &io)); /* a unit attention */
	while (n < MANY && (int32_t)(w->maxcmdsn - w->cmdsn) >= 0) {
		io_read(&hung[n], 1, 8 * n, 8, bufs[n]);
		io_start(w, &hung[n]);
		CU_ASSERT_FATAL(wire_alive(w));
		CU_ASSERT(!hung[n].done);
		n++;
	}
	CU_ASSERT(n > 48);
	daemon_remove("hang");
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT(io_wait(&hung[i], WIRE_MS) && hung[i].status == ST_GOOD);
	daemon_stop();
}

/* The session dies while its writes hang: it may log in again at once and use the other LUNs; the
 * hung one queues, then BUSY. */
static void test_relogin(void)
{
	struct io io, queued;
	struct wire *w, *other;
	static uint8_t late[8 * BLOCK];
	unsigned n;

	/* reads would come back: it is the gate that holds them */
	start_ops("limits: {commands: 64}\n", "backend: memory, size: 16M", "op=write,");
	w = wire_open(NULL, 3);
	other = wire_open(&(struct login_opts){ .initiator = WIRE_INITIATOR "2" }, 3);
	n = fill(w, true);
	wire_kill(w);
	w = wire_open(NULL, 1);
	io_read(&io, 2, 0, 8, in);
	CU_ASSERT(io_run(w, &io)); /* a unit attention, perhaps */
	io_read(&io, 2, 0, 8, in);
	CU_ASSERT(io_good(w, &io));
	io_tur(&io, 1);
	CU_ASSERT(io_run(w, &io)); /* what does not touch the medium is answered */
	io_read(&queued, 1, 0, 8, late);
	io_start(w, &queued);
	CU_ASSERT(wire_quiet(w, 200));
	CU_ASSERT(!queued.done); /* behind its old self's writes */
	io_tur(&io, 1);
	CU_ASSERT(io_good(other, &io)); /* another nexus is not concerned */
	daemon_remove("hang");
	CU_ASSERT(io_wait(&queued, WIRE_MS));
	/* none of the old writes happens from here on */
	for (unsigned i = 0; i < 10; i++) {
		io_tur(&io, 1);
		CU_ASSERT(io_run(w, &io));
		if (io.status == ST_GOOD)
			break;
	}
	fill_blocks(in, 0, 8, 0x5555);
	io_write(&io, 1, 0, 8, in);
	CU_ASSERT(io_good(w, &io));
	wire_sleep(50);
	io_read(&io, 1, 0, 8, in);
	CU_ASSERT(io_good(w, &io) && same_blocks(in, 0, 8, 0x5555));
	CU_ASSERT(n > 0);
	daemon_stop();
}

/* Two sessions on a hung LUN do not use up each other's window, and logging in is always possible.
 */
static void test_sessions(void)
{
	struct wire *a, *b, *c;
	unsigned na, left = 0;
	struct io io;

	start("limits: {commands: 64}\n", NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 3);
	na = fill(a, false);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 3);
	io_read(&io, 1, 0, 8, in);
	io_start(b, &io);
	CU_ASSERT(wire_alive(b));
	CU_ASSERT(!io.done); /* hangs, but is not refused */
	c = wire_open(&(struct login_opts){ .isid = 3 }, 3);
	CU_ASSERT(wire_alive(c));
	daemon_remove("hang");
	CU_ASSERT(io_wait(&io, WIRE_MS));
	for (unsigned i = 0; i < na; i++) {
		CU_ASSERT(io_wait(&hung[i], WIRE_MS));
		left += hung[i].status == ST_GOOD;
	}
	CU_ASSERT(left > 8);
	daemon_stop();
}

/* Who does not read what it asked for gets no more, costs nobody else anything, and finds all of it
 * in the end. */
static void test_slow_reader(void)
{
	static uint8_t big[64][512 * BLOCK];
	static struct io io[64];
	struct wire *w, *other;
	struct io r;
	uint64_t t;

	daemon_start("limits: {commands: 64}\n", NULL, NULL);
	w = wire_open(&(struct login_opts){ .keys = "MaxRecvDataSegmentLength=512\n" }, 1);
	other = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	fill_blocks(big[0], 0, 512, 3);
	io_write(&r, 0, 0, 512, big[0]);
	CU_ASSERT(io_good(other, &r));
	for (unsigned i = 0; i < 64; i++) {
		io_read(&io[i], 0, 0, 512, big[i]);
		io_start(w, &io[i]);
	}
	t = wire_now();
	for (unsigned i = 0; i < 200; i++) {
		fill_blocks(in, 1000 + i, 64, i);
		io_write(&r, 0, 1000 + i, 64, in);
		CU_ASSERT_FATAL(io_good(other, &r));
	}
	CU_ASSERT(wire_now() - t < 6000 * wire_slow()); /* nobody reads meanwhile */
	for (unsigned i = 0; i < 64; i++) {
		CU_ASSERT(io_wait(&io[i], WIRE_MS));
		CU_ASSERT(io[i].status == ST_GOOD && same_blocks(big[i], 0, 512, 3));
	}
	/* one that never reads, killed: nothing is left of it */
	for (unsigned i = 0; i < 64; i++) {
		io_read(&io[i], 0, 0, 512, big[i]);
		io_start(w, &io[i]);
	}
	wire_sleep(50);
	wire_kill(w);
	CU_ASSERT(wire_alive(other));
	daemon_stop();
}

/* As many long writes at once as its share of the buffers has room for: none is refused. */
static bool all_served(struct wire *w)
{
	enum { N = 6 };
	static uint8_t data[N][2048 * BLOCK];
	static struct io io[N];
	bool good = true;

	for (unsigned i = 0; i < N; i++) {
		io_write(&io[i], 0, i * 2048, 2048, data[i]);
		io_start(w, &io[i]);
	}
	for (unsigned i = 0; i < N; i++)
		good &= io_wait(&io[i], WIRE_MS) && io[i].status == ST_GOOD;
	return good;
}

/* What SendTargets answers: the targets. 0: no room for the answer. */
static unsigned discovered(void)
{
	static const char all[] = "SendTargets=All";
	struct wire *w = wire_open(&(struct login_opts){ .discovery = true }, 0);
	struct pdu p = { .text = { .opcode = OP_TEXT_REQ | PDU_IMMEDIATE,
				   .flags = PDU_FINAL,
				   .itt = be32_of(50),
				   .ttt = be32_of(ISCSI_TAG_NONE) } },
		   q;
	unsigned n = 0;

	p.text.cmdsn = be32_of(w->cmdsn);
	wire_send(w, &p, all, sizeof(all));
	if (!wire_expect(w, OP_TEXT_RSP, &q, WIRE_MS))
		q.len = 0;
	for (uint32_t i = 0; i + 11 <= q.len; i++)
		n += !memcmp(q.data + i, "TargetName=", 11);
	wire_close(w);
	return n;
}

/* Pings with data whose answers nobody reads: they pile up, but not in front of others. */
static void test_ping_flood(void)
{
	static uint8_t data[64 << 10];
	struct pdu p = { .nop_out = { .opcode = OP_NOP_OUT | PDU_IMMEDIATE,
				      .flags = PDU_FINAL,
				      .ttt = be32_of(ISCSI_TAG_NONE),
				      .data_len = be24_of(sizeof(data)) } };
	struct wire *w, *other;
	struct io r;

	daemon_start("limits: {buffers: 32M}\n", NULL, NULL);
	w = wire_open(NULL, 1);
	other = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	p.nop_out.itt = be32_of(1);
	p.nop_out.cmdsn = be32_of(w->cmdsn);
	for (unsigned i = 0; i < 1000; i++) {
		/* what does not fit into the socket is not sent, and nothing is read */
		if (send(w->fd, p.b, BHS_LEN, MSG_NOSIGNAL | MSG_DONTWAIT) != BHS_LEN ||
		    send(w->fd, data, sizeof(data), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(data)) {
			wire_sleep(5);
			break;
		}
		if (i % 16 == 0)
			wire_sleep(2);
	}
	for (unsigned i = 0; i < 50; i++) {
		fill_blocks(in, i, 64, i);
		io_write(&r, 0, 100 + i, 64, in);
		CU_ASSERT_FATAL(io_good(other, &r));
		io_read(&r, 0, 100 + i, 64, in);
		CU_ASSERT_FATAL(io_good(other, &r));
	}
	CU_ASSERT(all_served(other));
	wire_kill(w);
	CU_ASSERT(wire_alive(other));
	daemon_stop();
}

/* Sends requests until the target takes no more for a while, and reads nothing. */
static void flood(struct wire *w, const void *bytes, size_t len, unsigned n)
{
	struct timeval patience = { .tv_usec = 300000 };

	setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	while (n-- && send(w->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len)
		;
}

/*
 * Discovery sessions, which anybody may have: answers nobody reads, and requests whose turn never
 * comes. Neither takes the buffers of those who use a disk.
 */
static void test_text_hoard(void)
{
	enum { SESSIONS = 6 };
	static uint8_t asks[BHS_LEN + 8000], early[BHS_LEN + (256 << 10)];
	struct bhs_text_req *h = (struct bhs_text_req *)asks;
	struct wire *w[2 * SESSIONS], *other;
	unsigned n;
	uint64_t t;
	struct login_opts o = { .discovery = true,
				.keys = "MaxRecvDataSegmentLength=262144\n" };

	daemon_start("limits: {buffers: 32M}\n", NULL, NULL);
	other = wire_open(&(struct login_opts){ .isid = 99 }, 1);
	/* Keys nobody knows: an answer is three times as long. */
	for (unsigned i = 0; i < 1000; i++)
		snprintf((char *)asks + BHS_LEN + i * 8, 8, "k%05u=", i);
	*h = (struct bhs_text_req){ .opcode = OP_TEXT_REQ | PDU_IMMEDIATE,
				    .flags = PDU_FINAL,
				    .data_len = be24_of(8000),
				    .ttt = be32_of(ISCSI_TAG_NONE) };
	for (unsigned i = 0; i < SESSIONS; i++) {
		o.isid = (uint8_t)i;
		w[i] = wire_open(&o, 0);
		h->cmdsn = be32_of(w[i]->cmdsn);
		flood(w[i], asks, sizeof(asks), 1000);
	}
	CU_ASSERT(all_served(other));
	for (unsigned i = 0; i < SESSIONS; i++) {
		o.isid = (uint8_t)(SESSIONS + i);
		w[SESSIONS + i] = wire_open(&o, 0);
		h = (struct bhs_text_req *)early;
		*h = *(struct bhs_text_req *)asks;
		h->opcode = OP_TEXT_REQ;
		h->data_len = be24_of(256 << 10);
		for (unsigned k = 1; k < 60; k++) {
			h->cmdsn = be32_of(w[SESSIONS + i]->cmdsn + k);
			flood(w[SESSIONS + i], early, sizeof(early), 1);
		}
	}
	CU_ASSERT(all_served(other));
	for (unsigned i = 0; i < 2 * SESSIONS; i++)
		wire_kill(w[i]);
	/* Then there is room for an honest one again, as soon as their ends are noticed. */
	for (t = wire_now(); !(n = discovered()) && wire_now() - t < WIRE_MS * wire_slow();)
		wire_sleep(50);
	CU_ASSERT_EQUAL(n, 1);
	daemon_stop();
}

/*
 * One session's writes that wait for data want all the buffers there are: it gets its share, and
 * others are served all the same.
 */
static void test_buffers(void)
{
	static uint8_t data[2048 * BLOCK];
	static struct io io[60];
	struct wire *a, *b;
	unsigned refused = 0;
	struct io r;

	daemon_start("limits: {commands: 64, buffers: 16M}\n", NULL, NULL);
	a = wire_open(&(struct login_opts){ .isid = 1, .keys = "ImmediateData=No\n" }, 1);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	for (unsigned i = 0; i < 60; i++) {
		io_write(&io[i], 0, 0, 2048, data);
		io[i].manual = true;
		io_start(a, &io[i]);
	}
	CU_ASSERT(wire_alive(a));
	CU_ASSERT(wire_quiet(a, 100));
	for (unsigned i = 0; i < 60; i++)
		if (io[i].done) {
			CU_ASSERT(io[i].status == ST_FULL || io[i].status == ST_BUSY);
			refused++;
		}
	/* A quarter of what there is may be one nexus's: another's long write finds room. */
	CU_ASSERT(refused >= 60 - 4);
	io_write(&r, 0, 4096, 2048, data);
	CU_ASSERT(io_good(b, &r));
	for (unsigned i = 0; i < 100; i++) {
		fill_blocks(in, i, 8, i);
		io_write(&r, 0, 100 + i, 8, in);
		CU_ASSERT_FATAL(io_good(b, &r));
		io_read(&r, 0, 100 + i, 8, in);
		CU_ASSERT_FATAL(io_good(b, &r));
	}
	CU_ASSERT_EQUAL(wire_tmf(a, TMF_ABORT_TASK_SET, 0, ISCSI_TAG_NONE, 0), TMF_RSP_COMPLETE);
	for (unsigned i = 0; i < 60; i++)
		io_forget(&io[i]);
	io_write(&r, 0, 0, 2048, data);
	CU_ASSERT(io_good(a, &r));
	daemon_stop();
}

UNIT_MAIN("daemon isolation", UNIT(test_reads_memory), UNIT(test_writes_memory),
	  UNIT(test_writes_file), UNIT(test_share),
	  UNIT(test_share_spares_reservations), UNIT(test_lone_lun), UNIT(test_relogin),
	  UNIT(test_sessions), UNIT(test_slow_reader), UNIT(test_ping_flood), UNIT(test_text_hoard),
	  UNIT(test_buffers))
