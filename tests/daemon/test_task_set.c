/* SPDX-License-Identifier: Apache-2.0 */
/* Task attributes (SAM-5 8.6) seen through a slow backend: a task set per nexus (TST=001b), QUEUE
 * ALGORITHM MODIFIER=1. */
#include <string.h>

#include "tests/daemon/wire.h"

enum { MS = 150 };
static uint8_t out[8][8 * BLOCK], in[8][8 * BLOCK];

/* Writes take 150 ms on LUN 0, or until daemon_remove("hang"), reads nothing; LUN 1 is fast. */
static struct wire *start(bool hang)
{
	char luns[1024];

	if (hang)
		daemon_touch("hang");
	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: m0, backend: memory, size: 16M, "
		 "filters: \"fault:op=write,while=%s,hang|delay:op=write,ms=150\"}\n"
		 "      - {lun: 1, name: m1, backend: memory, size: 16M}\n",
		 daemon_path("hang"));
	daemon_start(NULL, luns, NULL);
	return wire_open(NULL, 2);
}

static void write_of(struct io *io, unsigned i, uint32_t lba, uint8_t attr)
{
	fill_blocks(out[i], lba, 8, 0x100 + i);
	io_write(io, 0, lba, 8, out[i]);
	io->attr = attr;
}

static void read_of(struct io *io, unsigned i, uint32_t lba, uint8_t attr)
{
	memset(in[i], 0xee, sizeof(in[i]));
	io_read(io, 0, lba, 8, in[i]);
	io->attr = attr;
}

/* SIMPLE tasks do not wait for each other. */
static void test_simple(void)
{
	struct wire *w = start(true);
	struct io a, b;

	write_of(&a, 0, 0, ATTR_SIMPLE);
	read_of(&b, 1, 100, ATTR_SIMPLE);
	io_start(w, &a);
	io_start(w, &b);
	CU_ASSERT(io_wait(&b, WIRE_MS));
	CU_ASSERT(!a.done);
	daemon_remove("hang");
	CU_ASSERT(io_wait(&a, WIRE_MS));
	daemon_stop();
}

/* ORDERED: after everything before it, before everything after it. */
static void test_ordered(void)
{
	struct wire *w = start(false);
	struct io a, b, c, d;
	uint64_t t = wire_now();

	write_of(&a, 0, 0, ATTR_SIMPLE);
	read_of(&b, 1, 0, ATTR_ORDERED);  /* sees a */
	write_of(&c, 2, 0, ATTR_ORDERED); /* after b */
	read_of(&d, 3, 0, ATTR_SIMPLE);	  /* sees c */
	io_start(w, &a);
	io_start(w, &b);
	io_start(w, &c);
	io_start(w, &d);
	CU_ASSERT(io_wait(&d, WIRE_MS));
	CU_ASSERT(a.done && b.done && c.done);
	CU_ASSERT_EQUAL(a.status | b.status | c.status | d.status, ST_GOOD);
	CU_ASSERT(same_blocks(in[1], 0, 8, 0x100));
	CU_ASSERT(same_blocks(in[3], 0, 8, 0x102));
	CU_ASSERT(wire_now() - t >= 2 * MS - 20);
	daemon_stop();
}

/* An ORDERED task waits for the whole task set, not only for overlapping blocks; other LUNs are
 * other task sets. */
static void test_ordered_elsewhere(void)
{
	struct wire *w = start(true);
	struct io a, b, c, other;

	write_of(&a, 0, 0, ATTR_SIMPLE);
	io_tur(&b, 0);
	b.attr = ATTR_ORDERED;
	read_of(&c, 2, 500, ATTR_SIMPLE);
	io_start(w, &a);
	io_start(w, &b);
	io_start(w, &c);
	io_read(&other, 1, 0, 8, in[3]);
	CU_ASSERT(io_good(w, &other));
	CU_ASSERT(!a.done && !b.done && !c.done);
	daemon_remove("hang");
	CU_ASSERT(io_wait(&c, WIRE_MS));
	CU_ASSERT(a.done && b.done);
	daemon_stop();
}

/* HEAD OF QUEUE: does not wait, not even behind ORDERED tasks that do; what comes after ORDERED
 * still waits for it. */
static void test_head_of_queue(void)
{
	struct wire *w = start(true);
	struct io a, b, c, h;

	write_of(&a, 0, 0, ATTR_SIMPLE);
	write_of(&b, 1, 0, ATTR_ORDERED);
	read_of(&c, 2, 0, ATTR_SIMPLE);
	read_of(&h, 3, 100, ATTR_HEAD);
	io_start(w, &a);
	io_start(w, &b);
	io_start(w, &c);
	io_start(w, &h);
	CU_ASSERT(io_wait(&h, WIRE_MS));
	CU_ASSERT(!a.done && !b.done && !c.done);
	daemon_remove("hang");
	CU_ASSERT(io_wait(&c, WIRE_MS));
	CU_ASSERT(a.done && b.done);
	CU_ASSERT(same_blocks(in[2], 0, 8, 0x101));
	daemon_stop();
}

/* SIMPLE tasks that come while a HEAD OF QUEUE task runs wait for it (SAM-5 8.6.4). */
static void test_behind_head(void)
{
	struct wire *w = start(false);
	struct io h, s;

	write_of(&h, 0, 0, ATTR_HEAD);
	read_of(&s, 1, 0, ATTR_SIMPLE);
	io_start(w, &h);
	io_start(w, &s);
	CU_ASSERT(io_wait(&s, WIRE_MS));
	CU_ASSERT(h.done);
	CU_ASSERT(same_blocks(in[1], 0, 8, 0x100));
	daemon_stop();
}

/* UNTAGGED is like SIMPLE (RFC 7143 11.3.1 leaves it to the target); an aborted ORDERED task holds
 * up nobody. */
static void test_abort_ordered(void)
{
	struct wire *w = start(false);
	struct io a, o, s;

	write_of(&a, 0, 0, ATTR_UNTAGGED);
	write_of(&o, 1, 0, ATTR_ORDERED);
	read_of(&s, 2, 0, ATTR_UNTAGGED);
	o.no_imm = o.manual = true;
	io_start(w, &a);
	io_start(w, &o);
	io_start(w, &s);
	CU_ASSERT(io_wait(&a, WIRE_MS));
	CU_ASSERT(wire_quiet(w, 50));
	CU_ASSERT(!s.done); /* o waits for its data, s for o */
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, o.itt, o.cmdsn), TMF_RSP_COMPLETE);
	io_forget(&o);
	CU_ASSERT(io_wait(&s, WIRE_MS));
	CU_ASSERT(same_blocks(in[2], 0, 8, 0x100));
	daemon_stop();
}

/* Another nexus has a task set of its own: an ORDERED task there does not wait for ours. */
static void test_per_nexus(void)
{
	struct wire *w = start(true), *b = wire_open(&(struct login_opts){ .isid = 2 }, 2);
	struct io a, o;

	write_of(&a, 0, 0, ATTR_SIMPLE);
	read_of(&o, 1, 100, ATTR_ORDERED);
	io_start(w, &a);
	CU_ASSERT(wire_alive(w));
	io_start(b, &o);
	CU_ASSERT(io_wait(&o, WIRE_MS));
	CU_ASSERT(wire_quiet(w, 1));
	CU_ASSERT(!a.done);
	daemon_remove("hang");
	CU_ASSERT(io_wait(&a, WIRE_MS));
	daemon_stop();
}

/* A long row of them, each kind in turn: every read sees exactly the writes before its ORDERED
 * barrier. */
static void test_many(void)
{
	static const char luns[] = "      - {lun: 0, name: m0, backend: memory, size: 16M, "
				   "filters: \"delay:min_us=1,max_us=3000,seed=7\"}\n";
	static uint8_t wbuf[30][BLOCK], rbuf[30][BLOCK];
	static struct io wr[30], rd[30];
	struct wire *w;

	daemon_start(NULL, luns, NULL);
	w = wire_open(NULL, 1);
	for (unsigned i = 0; i < 30; i++) {
		fill_blocks(wbuf[i], 9, 1, i);
		io_write(&wr[i], 0, 9, 1, wbuf[i]);
		wr[i].attr = ATTR_ORDERED;
		wr[i].no_imm = i % 3 == 0;
		io_read(&rd[i], 0, 9, 1, rbuf[i]);
		rd[i].attr = i & 1 ? ATTR_SIMPLE : ATTR_UNTAGGED;
		io_start(w, &wr[i]);
		io_start(w, &rd[i]);
	}
	for (unsigned i = 0; i < 30; i++) {
		CU_ASSERT(io_wait(&wr[i], WIRE_MS) && io_wait(&rd[i], WIRE_MS));
		CU_ASSERT(same_blocks(rbuf[i], 9, 1, i));
	}
	daemon_stop();
}

UNIT_MAIN("daemon task set", UNIT(test_simple), UNIT(test_ordered), UNIT(test_ordered_elsewhere),
	  UNIT(test_head_of_queue), UNIT(test_behind_head), UNIT(test_abort_ordered),
	  UNIT(test_per_nexus), UNIT(test_many))
