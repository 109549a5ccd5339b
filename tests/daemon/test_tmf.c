/* SPDX-License-Identifier: Apache-2.0 */
/* Task management (RFC 7143 4.2.3, 11.5, 11.6; SAM-5 7) against tasks that wait for data or hang in
 * the backend. */
#include <string.h>

#include "tests/daemon/wire.h"

enum { N = 16 };
static uint8_t out[16][64 * BLOCK], in[64 * BLOCK];

/* LUN 0 works; in LUN 1 reads and writes hang while the file "hang" exists. A second target with
 * one LUN. */
static void start(const char *top)
{
	char luns[1024];
	static const char more[] = "  - name: " WIRE_TARGET2 "\n    luns:\n"
				   "      - {lun: 0, name: n0, backend: memory, size: 16M}\n";

	daemon_remove("hang");
	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: m0, backend: memory, size: 16M}\n"
		 "      - {lun: 1, name: m1, backend: memory, size: 16M, "
		 "filters: \"fault:op=read+write,while=%s,hang\"}\n",
		 daemon_path("hang"));
	daemon_start(top, luns, more);
}

/* Starts a write that waits for its data: its first R2T has come. */
static void starve(struct wire *w, struct io *io, uint16_t lun, uint32_t lba, uint8_t *data)
{
	fill_blocks(data, lba, N, 0xbad);
	io_write(io, lun, lba, N, data);
	io->no_imm = io->no_unsol = io->manual = true;
	io_start(w, io);
	CU_ASSERT_FATAL(io_await_r2ts(io, 1));
}

/* These blocks were never written. */
static bool untouched(struct wire *w, uint16_t lun, uint32_t lba)
{
	static const uint8_t zero[N * BLOCK];
	struct io r;

	io_read(&r, lun, lba, N, in);
	return io_good(w, &r) && !memcmp(in, zero, sizeof(zero));
}

/* The next command gets a unit attention; its ASC/ASCQ, or 0 when there was none. */
static uint16_t attention(struct wire *w, uint16_t lun)
{
	struct io io;

	io_tur(&io, lun);
	CU_ASSERT_FATAL(io_run(w, &io));
	if (io.status == ST_GOOD)
		return 0;
	CU_ASSERT_EQUAL(io.status, ST_CHECK);
	CU_ASSERT_EQUAL(io_key(&io), KEY_ATTENTION);
	return io_asc(&io);
}

static void test_answers(void)
{
	struct wire *w;
	int r;

	start(NULL);
	w = wire_open(NULL, 2);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, 0x7777, w->cmdsn - 1), TMF_RSP_NO_TASK);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, 0x7777, w->cmdsn + 1000), TMF_RSP_NO_TASK);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, 0x7777, w->cmdsn), TMF_RSP_NO_TASK);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK_SET, 0, ISCSI_TAG_NONE, 0), TMF_RSP_COMPLETE);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_CLEAR_TASK_SET, 0, ISCSI_TAG_NONE, 0), TMF_RSP_COMPLETE);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_LU_RESET, 0, ISCSI_TAG_NONE, 0), TMF_RSP_COMPLETE);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_TARGET_WARM_RESET, 0, ISCSI_TAG_NONE, 0), TMF_RSP_COMPLETE);
	r = wire_tmf(w, TMF_CLEAR_ACA, 0, ISCSI_TAG_NONE, 0);
	CU_ASSERT(r == TMF_RSP_NOT_SUPPORTED || r == TMF_RSP_COMPLETE || r == TMF_RSP_REJECTED);
	r = wire_tmf(w, TMF_TASK_REASSIGN, 0, 0x7777, 0);
	CU_ASSERT(r == TMF_RSP_NO_REASSIGN || r == TMF_RSP_NO_TASK || r == TMF_RSP_REJECTED);
	for (unsigned fn = 0; fn < 128; fn += fn == 0 ? 9 : 17) {
		r = wire_tmf(w, (uint8_t)fn, 0, ISCSI_TAG_NONE, 0);
		CU_ASSERT(r == TMF_RSP_NOT_SUPPORTED || r == TMF_RSP_REJECTED);
	}
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK_SET, 5, ISCSI_TAG_NONE, 0), TMF_RSP_NO_LUN);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_CLEAR_TASK_SET, 5, ISCSI_TAG_NONE, 0), TMF_RSP_NO_LUN);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_LU_RESET, 5, ISCSI_TAG_NONE, 0), TMF_RSP_NO_LUN);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_LU_RESET, 0x3fff, ISCSI_TAG_NONE, 0), TMF_RSP_NO_LUN);
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/* The LUN field: its eight bytes are a LUN, not two; and a task is on one LU only (11.5.4). */
static void test_lun_field(void)
{
	static const uint8_t odd[][8] = {
		{ 0, 0, 1 }, { 0x80 }, { 0xc0, 0 }, { 1, 0 }, { 0xff, 0xff }
	};
	struct wire *w, *other;
	struct io io;

	start(NULL);
	w = wire_open(NULL, 2);
	other = wire_open(&(struct login_opts){ .isid = 2 }, 2);
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		for (unsigned fn = TMF_ABORT_TASK_SET; fn <= TMF_LU_RESET; fn++) {
			struct pdu p = { .tmf = { .opcode = OP_TMF_REQ | PDU_IMMEDIATE,
						  .function = (uint8_t)(PDU_FINAL | fn),
						  .rtt = be32_of(ISCSI_TAG_NONE) } };

			if (fn == TMF_CLEAR_ACA)
				continue;
			memcpy(p.tmf.lun, odd[i], 8);
			p.tmf.itt = be32_of(wire_next_itt(w));
			p.tmf.cmdsn = be32_of(w->cmdsn);
			wire_send(w, &p, NULL, 0);
			CU_ASSERT_FATAL(wire_expect(w, OP_TMF_RSP, &p, WIRE_MS));
			CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_NO_LUN);
		}
	CU_ASSERT_EQUAL(attention(other, 0), 0);
	starve(w, &io, 0, 0, out[0]);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 1, io.itt, io.cmdsn), TMF_RSP_NO_TASK);
	io_answer(&io, &io.r2t[0]);
	CU_ASSERT(io_wait(&io, WIRE_MS));
	CU_ASSERT_EQUAL(io.status, ST_GOOD);
	/* flat space addressing names the same LUN */
	CU_ASSERT_EQUAL(attention(w, 1), 0);
	daemon_stop();
}

/*
 * A write that waits for data, aborted, and then its data, in one PDU or two: ms until the answer,
 * the least of three, as a machine may stand still. Without the data it comes after a second.
 */
static uint64_t abort_answered(struct wire *w, uint32_t lba, unsigned pdus)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 3; i++, lba += N) {
		uint32_t len = N * BLOCK / pdus;
		struct io io;
		struct pdu p;
		uint64_t t;

		starve(w, &io, 0, lba, out[0]);
		t = wire_now();
		/* the first of two is on its way when it is aborted */
		if (pdus == 2)
			io_data_out(&io, be32_get(io.r2t[0].ttt), 0, 0, len, false);
		wire_tmf_send(w, TMF_ABORT_TASK, 0, io.itt, io.cmdsn);
		io_data_out(&io, be32_get(io.r2t[0].ttt), pdus - 1, (pdus - 1) * len, len, true);
		CU_ASSERT(wire_expect(w, OP_TMF_RSP, &p, WIRE_MS));
		t = wire_now() - t;
		CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_COMPLETE);
		CU_ASSERT(!io.done);
		io_forget(&io);
		CU_ASSERT(untouched(w, 0, lba));
		least = t < least ? t : least;
	}
	return least;
}

/* A write that waits for data: aborted within the second the design allows, at once when its data
 * comes or with FastAbort. */
static void test_abort_starved(void)
{
	struct io io, again;
	struct wire *w;
	uint64_t t;

	start(NULL);
	/* nothing more comes from the initiator */
	w = wire_open(NULL, 1);
	starve(w, &io, 0, 0, out[0]);
	t = wire_now();
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, io.itt, io.cmdsn), TMF_RSP_COMPLETE);
	CU_ASSERT(wire_now() - t < 4000 * wire_slow());
	CU_ASSERT(!io.done);
	io_forget(&io);
	CU_ASSERT(untouched(w, 0, 0));
	/* its tag is free again */
	io_write(&again, 0, 0, N, out[0]);
	again.keep_itt = true;
	again.itt = io.itt;
	CU_ASSERT(io_good(w, &again));

	/* 4.2.3.3: the initiator answers what is asked for, then the response comes */
	CU_ASSERT(abort_answered(w, 100, 1) < 800);
	/* that tag 1 never got its data delays nobody any more */
	CU_ASSERT(abort_answered(w, 200, 2) < 500);
	daemon_stop();
}

/* More tags than there are, all of them dead and never answered: the next commands get theirs. */
static void test_dead_tags_are_reused(void)
{
	static struct io io[90];
	static uint8_t data[32 * BLOCK];
	struct wire *w;
	struct io r;

	start(NULL);
	w = wire_open(&(struct login_opts){ .keys = "MaxBurstLength=1024\nFirstBurstLength=512\n"
						    "MaxOutstandingR2T=4\nImmediateData=No\n" },
		      1);
	for (unsigned round = 0; round < 3; round++) {
		fill_blocks(data, 0, 32, 0xbad);
		for (unsigned i = 0; i < 90; i++) {
			io_write(&io[i], 0, 0, 32, data);
			io[i].manual = true;
			io_start(w, &io[i]);
		}
		CU_ASSERT(wire_quiet(w, 100 * wire_slow()));
		CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK_SET, 0, ISCSI_TAG_NONE, 0), 0);
		for (unsigned i = 0; i < 90; i++) {
			CU_ASSERT(!io[i].done);
			io_forget(&io[i]);
		}
	}
	fill_blocks(data, 0, 32, 1);
	io_write(&r, 0, 0, 32, data);
	CU_ASSERT(io_good(w, &r));
	/* one command's abort lets the commands behind it have its tags */
	for (unsigned i = 0; i < 90; i++) {
		fill_blocks(data, 0, 32, 2);
		io_write(&io[i], 0, 0, 32, data);
		io[i].manual = true;
		io_start(w, &io[i]);
	}
	CU_ASSERT(wire_quiet(w, 100 * wire_slow()));
	CU_ASSERT_EQUAL(io[89].nr2t, 0);
	for (unsigned i = 0; i < 89; i++)
		wire_tmf_send(w, TMF_ABORT_TASK, 0, io[i].itt, io[i].cmdsn);
	for (unsigned i = 0; i < 89; i++) {
		struct pdu p;

		CU_ASSERT(wire_expect(w, OP_TMF_RSP, &p, WIRE_MS));
	}
	CU_ASSERT(io_await_r2ts(&io[89], 1));
	for (unsigned i = 0; i < 89; i++)
		io_forget(&io[i]);
	io[89].manual = false;
	for (unsigned k = 0; k < io[89].nr2t; k++)
		io_answer(&io[89], &io[89].r2t[k]);
	CU_ASSERT(io_wait(&io[89], WIRE_MS));
	CU_ASSERT_EQUAL(io[89].status, ST_GOOD);
	daemon_stop();
}

static unsigned asked_of(const struct io *io, unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += io[i].nr2t;
	return sum;
}

/*
 * Commands behind all the tags there are: when everything is aborted none of them is asked for data
 * first, and the answer waits for no more data than was asked for before: ms until it came.
 */
static uint64_t abort_waiting(uint8_t function, bool by_other)
{
	enum { WRITES = 90, BURST = 1024 };
	static struct io io[WRITES];
	static uint8_t data[32 * BLOCK];
	bool both = function == TMF_TARGET_WARM_RESET;
	struct wire *w, *from;
	struct pdu p;
	unsigned asked;
	uint64_t t;

	start(NULL);
	w = wire_open(&(struct login_opts){ .keys = "MaxBurstLength=1024\n"
						    "FirstBurstLength=512\n"
						    "MaxOutstandingR2T=4\n"
						    "ImmediateData=No\n" },
		      2);
	from = by_other ? wire_open(&(struct login_opts){ .isid = 2 }, 1) : w;
	for (unsigned i = 0; i < WRITES; i++) {
		io_write(&io[i], both && i % 2, 0, 32, data);
		io[i].manual = true;
		io_start(w, &io[i]);
	}
	CU_ASSERT(wire_alive(w));
	asked = asked_of(io, WRITES);
	CU_ASSERT_EQUAL(asked, 256);
	t = wire_now();
	wire_tmf_send(from, function, 0, ISCSI_TAG_NONE, 0);
	if (from != w)
		CU_ASSERT(wire_expect(from, OP_TMF_RSP, &p, WIRE_MS));
	for (unsigned i = 0; i < WRITES; i++)
		for (unsigned n = 0; n < io[i].nr2t; n++)
			io_data_out(&io[i], be32_get(io[i].r2t[n].ttt), 0, n * BURST, BURST, true);
	if (from == w)
		CU_ASSERT(wire_expect(from, OP_TMF_RSP, &p, WIRE_MS));
	CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_COMPLETE);
	t = wire_now() - t;
	CU_ASSERT(wire_alive(w));
	CU_ASSERT_EQUAL(asked_of(io, WRITES), asked);
	for (unsigned i = 0; i < WRITES; i++) {
		CU_ASSERT_EQUAL(io[i].done, from != w);
		CU_ASSERT(!io[i].done || io[i].status == ST_ABORTED);
		io_forget(&io[i]);
	}
	daemon_stop();
	return t;
}

static void test_abort_waiting(void)
{
	static const struct {
		uint8_t function;
		bool by_other;
	} kinds[] = { { TMF_ABORT_TASK_SET, false },
		      { TMF_LU_RESET, false },
		      { TMF_LU_RESET, true },
		      { TMF_TARGET_WARM_RESET, false } };

	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		uint64_t t = UINT64_MAX;

		/* A machine may stand still; without data it takes a second each time. */
		for (unsigned i = 0; i < 3 && t >= 700 * wire_slow(); i++)
			t = abort_waiting(kinds[k].function, kinds[k].by_other);
		CU_ASSERT(t < 700 * wire_slow());
	}
}

/* Unsolicited data was announced (F=0) but does not come. */
static void test_abort_unsolicited(void)
{
	struct pdu p = { .cmd = { .opcode = OP_SCSI_CMD,
				  .flags = CMD_WRITE | ATTR_SIMPLE,
				  .edtl = be32_of(N * BLOCK) } };
	struct wire *w;
	struct io io;

	start(NULL);
	w = wire_open(&(struct login_opts){ .keys = "InitialR2T=No\nImmediateData=No\n" }, 1);
	io_write(&io, 0, 0, N, out[0]);
	io.w = w;
	io.itt = wire_next_itt(w);
	io.cmdsn = w->cmdsn++;
	p.cmd.itt = be32_of(io.itt);
	p.cmd.cmdsn = be32_of(io.cmdsn);
	memcpy(p.cmd.cdb, io.cdb, 16);
	wire_send(w, &p, NULL, 0);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, io.itt, io.cmdsn), TMF_RSP_COMPLETE);
	io_data_out(&io, ISCSI_TAG_NONE, 0, 0, N * BLOCK, true);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT(untouched(w, 0, 0));
	daemon_stop();
}

/*
 * A write that is in the backend may still change the medium: no answer before it has ended (the
 * design's promise b). A read changes nothing: answered at once.
 */
static void test_abort_hung(void)
{
	struct io rd, wr, r;
	struct pdu p;
	struct wire *w;
	uint64_t t;

	start(NULL);
	w = wire_open(NULL, 2);
	daemon_touch("hang");
	io_read(&rd, 1, 0, N, in);
	io_start(w, &rd);
	CU_ASSERT(wire_quiet(w, 50));
	t = wire_now();
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 1, rd.itt, rd.cmdsn), TMF_RSP_COMPLETE);
	CU_ASSERT(wire_now() - t < 4000 * wire_slow()); /* it hangs for ever */
	io_forget(&rd);

	fill_blocks(out[0], 0, N, 1);
	io_write(&wr, 1, 0, N, out[0]);
	io_start(w, &wr);
	CU_ASSERT(wire_quiet(w, 50));
	wire_tmf_send(w, TMF_ABORT_TASK, 1, wr.itt, wr.cmdsn);
	CU_ASSERT(wire_quiet(w, 300));
	CU_ASSERT(wire_alive(w));
	daemon_remove("hang");
	CU_ASSERT(wire_expect(w, OP_TMF_RSP, &p, WIRE_MS));
	CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_COMPLETE);
	CU_ASSERT(!wr.done);
	io_forget(&wr);
	/* from here on the old write is history */
	fill_blocks(out[1], 0, N, 2);
	io_write(&r, 1, 0, N, out[1]);
	CU_ASSERT(io_good(w, &r));
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	io_read(&r, 1, 0, N, in);
	CU_ASSERT(io_good(w, &r) && same_blocks(in, 0, N, 2));
	daemon_stop();
}

/* ABORT TASK SET and, with a task set per nexus (TST=001b), CLEAR TASK SET: ours on this LUN,
 * nobody else's. */
static void abort_set(uint8_t fn)
{
	struct io mine[3], dormant, other_lun, theirs;
	struct wire *a, *b;

	start(NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 2);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 2);
	for (unsigned i = 0; i < 3; i++)
		starve(a, &mine[i], 0, 100 * i, out[i]);
	starve(a, &other_lun, 1, 0, out[3]);
	starve(b, &theirs, 0, 500, out[4]);
	/* one that waits in the task set for those before it */
	io_read(&dormant, 0, 0, N, in);
	dormant.attr = ATTR_ORDERED;
	io_start(a, &dormant);
	CU_ASSERT(wire_quiet(a, 50));
	CU_ASSERT_EQUAL(wire_tmf(a, fn, 0, ISCSI_TAG_NONE, 0), TMF_RSP_COMPLETE);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT(!mine[i].done);
		io_data_out(&mine[i], be32_get(mine[i].r2t[0].ttt), 0, 0, 8192, true);
		io_forget(&mine[i]);
	}
	CU_ASSERT(!dormant.done);
	io_forget(&dormant);
	CU_ASSERT(wire_quiet(a, WIRE_QUIET_MS));
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT(untouched(a, 0, 100 * i));
	/* the others go on as if nothing had been */
	io_answer(&other_lun, &other_lun.r2t[0]);
	CU_ASSERT(io_wait(&other_lun, WIRE_MS));
	CU_ASSERT_EQUAL(other_lun.status, ST_GOOD);
	io_answer(&theirs, &theirs.r2t[0]);
	CU_ASSERT(io_wait(&theirs, WIRE_MS));
	CU_ASSERT_EQUAL(theirs.status, ST_GOOD);
	CU_ASSERT_EQUAL(attention(a, 0), 0);
	CU_ASSERT_EQUAL(attention(b, 0), 0);
	daemon_stop();
}

static void test_abort_task_set(void)
{
	abort_set(TMF_ABORT_TASK_SET);
}
static void test_clear_task_set(void)
{
	abort_set(TMF_CLEAR_TASK_SET);
}

/*
 * LOGICAL UNIT RESET: every nexus' tasks on the LUN end, those of others with TASK ABORTED (TAS=1),
 * the issuer's without a word; a unit attention 29/xx for everyone else; other LUNs notice nothing.
 */
static void test_lu_reset(void)
{
	struct io mine, hung, other_lun, theirs[2], dormant;
	struct wire *a, *b, *c;
	struct pdu p;
	uint16_t asc;

	start(NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 2);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 2);
	c = wire_open(&(struct login_opts){ .initiator = WIRE_INITIATOR "3", .isid = 1 }, 2);
	starve(a, &mine, 1, 0, out[0]);
	starve(a, &other_lun, 0, 0, out[1]);
	starve(b, &theirs[0], 1, 100, out[2]);
	starve(b, &theirs[1], 1, 200, out[3]);
	io_read(&dormant, 1, 0, N, in);
	dormant.attr = ATTR_ORDERED;
	io_start(b, &dormant);
	daemon_touch("hang");
	fill_blocks(out[4], 300, N, 4);
	io_write(&hung, 1, 300, N, out[4]);
	io_start(c, &hung);
	CU_ASSERT(wire_alive(c)); /* so it is in the backend */
	CU_ASSERT(wire_quiet(c, 50));
	wire_tmf_send(a, TMF_LU_RESET, 1, ISCSI_TAG_NONE, 0);
	/* c's write is in the backend: no answer yet */
	CU_ASSERT(wire_quiet(a, 200));
	daemon_remove("hang");
	CU_ASSERT(wire_expect(a, OP_TMF_RSP, &p, WIRE_MS));
	CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_COMPLETE);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT(io_wait(&theirs[i], WIRE_MS));
		CU_ASSERT_EQUAL(theirs[i].status, ST_ABORTED);
		io_data_out(&theirs[i], be32_get(theirs[i].r2t[0].ttt), 0, 0, 8192, true);
	}
	CU_ASSERT(io_wait(&dormant, WIRE_MS));
	CU_ASSERT_EQUAL(dormant.status, ST_ABORTED);
	CU_ASSERT(io_wait(&hung, WIRE_MS));
	CU_ASSERT_EQUAL(hung.status, ST_ABORTED);
	CU_ASSERT(!mine.done);
	io_forget(&mine);
	CU_ASSERT(wire_quiet(b, 50));
	asc = attention(b, 1);
	CU_ASSERT_EQUAL(asc >> 8, 0x29);
	CU_ASSERT_EQUAL(attention(b, 1), 0);
	asc = attention(c, 1);
	CU_ASSERT_EQUAL(asc >> 8, 0x29);
	asc = attention(a, 1);
	CU_ASSERT(asc == 0 || asc >> 8 == 0x29);
	CU_ASSERT_EQUAL(attention(a, 1), 0);
	CU_ASSERT_EQUAL(attention(a, 0), 0);
	CU_ASSERT_EQUAL(attention(b, 0), 0);
	CU_ASSERT(untouched(b, 1, 0));
	CU_ASSERT(untouched(b, 1, 100));
	CU_ASSERT(untouched(b, 1, 200));
	io_answer(&other_lun, &other_lun.r2t[0]);
	CU_ASSERT(io_wait(&other_lun, WIRE_MS));
	CU_ASSERT_EQUAL(other_lun.status, ST_GOOD);
	daemon_stop();
}

/* What the issuer sends behind a reset, before its answer, was not there to be reset: it is
 * answered. From several sessions, as only some live on the LU's own reactor. */
static void test_behind_reset(void)
{
	static struct io io[8][12];
	static uint8_t data[8][12][N * BLOCK];
	struct wire *w[8];

	start("reactors: 3\n");
	for (unsigned k = 0; k < 8; k++)
		w[k] = wire_open(&(struct login_opts){ .isid = (uint8_t)k }, 2);
	for (unsigned k = 0; k < 8; k++) {
		struct pdu p;
		uint32_t itt = wire_tmf_send(w[k], TMF_LU_RESET, k & 1, ISCSI_TAG_NONE, 0);

		for (unsigned i = 0; i < 12; i++) {
			fill_blocks(data[k][i], N * i, N, k);
			if (i & 1)
				io_write(&io[k][i], k & 1, N * i, N, data[k][i]);
			else
				io_read(&io[k][i], k & 1, N * i, N, data[k][i]);
			io[k][i].no_imm = i & 2;
			io[k][i].attr = i == 7 ? ATTR_ORDERED : ATTR_SIMPLE;
			io_start(w[k], &io[k][i]);
		}
		CU_ASSERT(wire_expect(w[k], OP_TMF_RSP, &p, WIRE_MS));
		CU_ASSERT_EQUAL(be32_get(p.h.itt), itt);
		for (unsigned i = 0; i < 12; i++) {
			CU_ASSERT(io_wait(&io[k][i], WIRE_MS));
			CU_ASSERT(io[k][i].status == ST_GOOD || io[k][i].status == ST_CHECK ||
				  io[k][i].status == ST_ABORTED);
		}
		CU_ASSERT(wire_alive(w[k]));
	}
	daemon_stop();
}

/* TARGET WARM RESET: all LUNs of the target; the sessions stay (11.5.1). */
static void test_warm_reset(void)
{
	struct io theirs[2];
	struct wire *a, *b, *t2;

	start(NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 2);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 2);
	t2 = wire_open(&(struct login_opts){ .isid = 3, .target = WIRE_TARGET2 }, 1);
	starve(b, &theirs[0], 0, 0, out[0]);
	starve(b, &theirs[1], 1, 0, out[1]);
	CU_ASSERT_EQUAL(wire_tmf(a, TMF_TARGET_WARM_RESET, 0, ISCSI_TAG_NONE, 0), TMF_RSP_COMPLETE);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT(io_wait(&theirs[i], WIRE_MS));
		CU_ASSERT_EQUAL(theirs[i].status, ST_ABORTED);
		CU_ASSERT_EQUAL(attention(b, (uint16_t)i) >> 8, 0x29);
		CU_ASSERT_EQUAL(attention(b, (uint16_t)i), 0);
	}
	CU_ASSERT(wire_alive(a));
	CU_ASSERT_EQUAL(attention(t2, 0), 0);
	daemon_stop();
}

/* TARGET COLD RESET: then all sessions of the target end (11.5.1), the response comes before. */
static void test_cold_reset(void)
{
	struct wire *a, *b, *t2, *again;
	struct io theirs;

	start(NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 2);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 2);
	t2 = wire_open(&(struct login_opts){ .isid = 3, .target = WIRE_TARGET2 }, 1);
	starve(b, &theirs, 0, 0, out[0]);
	CU_ASSERT_EQUAL(wire_tmf(a, TMF_TARGET_COLD_RESET, 0, ISCSI_TAG_NONE, 0), TMF_RSP_COMPLETE);
	CU_ASSERT(wire_closed(a, 2000));
	CU_ASSERT(wire_closed(b, 2000));
	CU_ASSERT(wire_alive(t2));
	again = wire_open(&(struct login_opts){ .isid = 1 }, 2);
	CU_ASSERT(untouched(again, 0, 0));
	daemon_stop();
}

/*
 * 11.6.1: ABORT TASK for a command not yet received, named by RefCmdSN inside the window: "Function
 * complete", and the number counts as received. The command, when it comes, is ignored.
 */
static void test_abort_not_received(void)
{
	struct io late, held;
	struct wire *w;
	uint32_t n;

	start(NULL);
	w = wire_open(NULL, 1);
	n = w->cmdsn;
	w->cmdsn += 2;
	io_tur(&held, 0);
	held.keep_cmdsn = true;
	held.cmdsn = n + 1;
	io_start(w, &held);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, 0x999, n), TMF_RSP_COMPLETE);
	CU_ASSERT(io_wait(&held, WIRE_MS));
	CU_ASSERT_EQUAL(held.status, ST_GOOD);
	CU_ASSERT(wire_alive(w));
	CU_ASSERT_EQUAL(w->expcmdsn, n + 2);
	fill_blocks(out[0], 0, N, 3);
	io_write(&late, 0, 0, N, out[0]);
	late.keep_cmdsn = late.keep_itt = true;
	late.cmdsn = n;
	late.itt = 0x999;
	io_start(w, &late);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT(!late.done);
	io_forget(&late);
	CU_ASSERT(untouched(w, 0, 0));

	/* the one that was received, but waits for its turn: gone as well, its number still counts
	 */
	n = w->cmdsn;
	w->cmdsn += 2;
	io_write(&held, 0, 0, N, out[0]);
	held.keep_cmdsn = true;
	held.cmdsn = n + 1;
	io_start(w, &held);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, held.itt, held.cmdsn), TMF_RSP_COMPLETE);
	io_forget(&held);
	io_tur(&late, 0);
	late.keep_cmdsn = true;
	late.cmdsn = n;
	io_start(w, &late);
	CU_ASSERT(io_wait(&late, WIRE_MS));
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT_EQUAL(w->expcmdsn, n + 2);
	CU_ASSERT(untouched(w, 0, 0));
	daemon_stop();
}

/* A numbered task management request waits for its predecessors, and then takes those too. */
static void test_numbered_tmf(void)
{
	struct pdu tmf = { .tmf = { .opcode = OP_TMF_REQ,
				    .function = PDU_FINAL | TMF_ABORT_TASK_SET,
				    .rtt = be32_of(ISCSI_TAG_NONE) } },
		   p;
	struct wire *w;
	struct io io;
	uint32_t n;

	start(NULL);
	w = wire_open(NULL, 1);
	n = w->cmdsn;
	w->cmdsn += 2;
	tmf.tmf.cmdsn = be32_of(n + 1);
	tmf.tmf.itt = be32_of(wire_next_itt(w));
	wire_send(w, &tmf, NULL, 0);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	fill_blocks(out[0], 0, N, 3);
	io_write(&io, 0, 0, N, out[0]);
	io.no_imm = io.keep_cmdsn = io.manual = true;
	io.cmdsn = n;
	io_start(w, &io);
	CU_ASSERT(wire_expect(w, OP_TMF_RSP, &p, WIRE_MS));
	CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_COMPLETE);
	CU_ASSERT(!io.done);
	io_forget(&io);
	CU_ASSERT(untouched(w, 0, 0));
	daemon_stop();
}

/* Abort against completion: either the status comes first and the task does not exist, or it never
 * comes. */
static void test_race(void)
{
	unsigned aborted = 0, done = 0;
	struct wire *w;

	start(NULL);
	w = wire_open(NULL, 1);
	for (unsigned i = 0; i < 400; i++) {
		struct io io;
		struct pdu p;

		fill_blocks(out[0], 0, 64, i);
		io_write(&io, 0, 0, (uint16_t)(i % 64 + 1), out[0]);
		io.no_imm = i & 1;
		io_start(w, &io);
		wire_tmf_send(w, TMF_ABORT_TASK, 0, io.itt, io.cmdsn);
		CU_ASSERT_FATAL(wire_expect(w, OP_TMF_RSP, &p, WIRE_MS));
		if (io.done) {
			CU_ASSERT_EQUAL(io.status, ST_GOOD);
			CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_NO_TASK);
			done++;
		} else {
			CU_ASSERT_EQUAL(p.tmf_rsp.response, TMF_RSP_COMPLETE);
			aborted++;
		}
		io_forget(&io);
	}
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	CU_ASSERT(wire_alive(w));
	CU_ASSERT_EQUAL(done + aborted, 400);
	daemon_stop();
}

/* More functions at once than the target keeps, the connection lost while they wait, a reset that
 * waits for a dead session. */
static void test_storm(void)
{
	struct wire *a, *b;
	struct io wr;
	unsigned answers = 0;
	struct pdu p;
	int r;

	start(NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 2);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 2);
	daemon_touch("hang");
	fill_blocks(out[0], 0, N, 1);
	io_write(&wr, 1, 0, N, out[0]);
	io_start(a, &wr);
	CU_ASSERT(wire_quiet(a, 50));
	for (unsigned i = 0; i < 50; i++)
		wire_tmf_send(a, i & 1 ? TMF_ABORT_TASK_SET : TMF_LU_RESET, 1, ISCSI_TAG_NONE, 0);
	while ((r = wire_pump(a, &p, 100 * wire_slow())) > 0) {
		if (r == 2)
			continue;
		CU_ASSERT_EQUAL(p.h.opcode, OP_TMF_RSP);
		CU_ASSERT(p.tmf_rsp.response == TMF_RSP_REJECTED ||
			  p.tmf_rsp.response == TMF_RSP_COMPLETE);
		answers++;
	}
	CU_ASSERT(answers < 50);
	wire_kill(a);
	wire_tmf_send(b, TMF_LU_RESET, 1, ISCSI_TAG_NONE, 0);
	CU_ASSERT(wire_quiet(b, 200));
	a = wire_open(&(struct login_opts){ .isid = 1 }, 1); /* LUN 0 is not touched by any of it */
	CU_ASSERT(wire_alive(a));
	daemon_remove("hang");
	CU_ASSERT(wire_expect(b, OP_TMF_RSP, &p, WIRE_MS));
	CU_ASSERT_EQUAL(attention(a, 1) >> 8, 0x29);
	daemon_stop();
}

UNIT_MAIN("daemon tmf", UNIT(test_answers), UNIT(test_lun_field), UNIT(test_abort_starved),
	  UNIT(test_dead_tags_are_reused), UNIT(test_abort_waiting),
	  UNIT(test_abort_unsolicited), UNIT(test_abort_hung),
	  UNIT(test_abort_task_set), UNIT(test_clear_task_set), UNIT(test_lu_reset),
	  UNIT(test_behind_reset), UNIT(test_warm_reset), UNIT(test_cold_reset),
	  UNIT(test_abort_not_received), UNIT(test_numbered_tmf), UNIT(test_race), UNIT(test_storm))
