/* SPDX-License-Identifier: Apache-2.0 */
/* Data transfer: immediate, unsolicited and solicited data, bursts, residuals (RFC
 * 7143 4.2.5, 11.4, 11.7, 11.8). */
#include <string.h>

#include "tests/daemon/wire.h"

enum { MAX_BLOCKS = 8192 };
static uint8_t out[MAX_BLOCKS * BLOCK], in[MAX_BLOCKS * BLOCK];

static bool write_read(struct wire *w, uint32_t lba, uint16_t blocks, uint32_t stamp, bool no_imm,
		       bool no_unsol)
{
	struct io io;

	fill_blocks(out, lba, blocks, stamp);
	io_write(&io, 0, lba, blocks, out);
	io.no_imm = no_imm;
	io.no_unsol = no_unsol;
	if (!io_good(w, &io))
		return false;
	memset(in, 0xa5, blocks * (size_t)BLOCK);
	io_read(&io, 0, lba, blocks, in);
	return io_good(w, &io) && same_blocks(in, lba, blocks, stamp) &&
	       io.got == blocks * (uint32_t)BLOCK;
}

/* Every way to send the data of a write, in every size around the limits. */
static void test_ways(void)
{
	static const char *const modes[] = {
		"InitialR2T=Yes\nImmediateData=No\n",
		"InitialR2T=Yes\nImmediateData=Yes\n",
		"InitialR2T=No\nImmediateData=No\n",
		"InitialR2T=No\nImmediateData=Yes\n",
	};
	static const uint16_t sizes[] = { 1,  2,  7,  8,  9,  15,  16,	17,  31,
					  32, 33, 63, 64, 65, 127, 128, 129, 200 };
	char keys[256];
	uint32_t stamp = 0;

	daemon_start("iscsi: {max_recv_data_segment_length: 8K}\n", NULL, NULL);
	for (unsigned m = 0; m < 4; m++) {
		struct wire *w;

		snprintf(keys, sizeof(keys),
			 "%sFirstBurstLength=16384\nMaxBurstLength=32768\nMaxOutstandingR2T=2\n"
			 "MaxRecvDataSegmentLength=4096\n",
			 modes[m]);
		w = wire_open(&(struct login_opts){ .keys = keys }, 1);
		CU_ASSERT_EQUAL(w->initial_r2t, m < 2);
		CU_ASSERT_EQUAL(w->immediate, m & 1);
		CU_ASSERT(m == 0 || w->first_burst == 16384); /* irrelevant in the first (13.14) */
		CU_ASSERT_EQUAL(w->max_burst, 32768);
		CU_ASSERT_EQUAL(w->max_send, 8192);
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			for (unsigned how = 0; how < 4; how++)
				CU_ASSERT(
					write_read(w, 10 + i, sizes[i], ++stamp, how & 1, how & 2));
		wire_close(w);
	}
	daemon_stop();
}

/* TCP knows no PDUs: everything in pieces of a few bytes, and many PDUs in one piece. */
static void test_framing(void)
{
	static const size_t chunks[] = { 1, 3, 47, 48, 49, 1000 };
	static uint8_t all[64 * (BHS_LEN + BLOCK)];
	struct wire *w;
	struct io io;
	struct pdu p;
	size_t n = 0;

	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		w = wire_connect();
		CU_ASSERT_PTR_NOT_NULL_FATAL(w);
		w->chunk = chunks[i];
		CU_ASSERT_EQUAL(wire_login(w, &(struct login_opts){ .digests = i & 1, .isid = 3 }),
				0);
		for (unsigned k = 0; k < 5; k++) {
			io_tur(&io, 0);
			CU_ASSERT_FATAL(io_run(w, &io));
			if (io.status == ST_GOOD)
				break;
		}
		CU_ASSERT(write_read(w, i, 5, i, false, false));
		CU_ASSERT(write_read(w, i, 5, i + 50, true, false));
		wire_close(w);
	}
	/* 64 writes with immediate data in one send */
	w = wire_open(NULL, 1);
	for (unsigned i = 0; i < 64; i++) {
		struct pdu c = { .cmd = { .opcode = OP_SCSI_CMD,
					  .flags = PDU_FINAL | CMD_WRITE | ATTR_SIMPLE,
					  .edtl = be32_of(BLOCK),
					  .data_len = be24_of(BLOCK) } };

		io_write(&io, 0, i, 1, out);
		c.cmd.itt = be32_of(1000 + i);
		c.cmd.cmdsn = be32_of(w->cmdsn++);
		memcpy(c.cmd.cdb, io.cdb, 16);
		memcpy(all + n, c.b, BHS_LEN);
		fill_blocks(all + n + BHS_LEN, i, 1, 9);
		n += BHS_LEN + BLOCK;
	}
	wire_send_raw(w, all, n);
	for (unsigned i = 0; i < 64; i++) {
		CU_ASSERT_FATAL(wire_recv(w, &p, WIRE_MS * wire_slow()) == 1);
		CU_ASSERT(p.h.opcode == OP_SCSI_RSP && p.rsp.status == ST_GOOD);
	}
	io_read(&io, 0, 0, 64, in);
	CU_ASSERT(io_good(w, &io) && same_blocks(in, 0, 64, 9));
	daemon_stop();
}

/* Data-In: split at MaxRecvDataSegmentLength and MaxBurstLength, F at each sequence's end, S in the
 * last (11.7). */
static void test_data_in_split(void)
{
	static const struct {
		const char *keys;
		uint32_t segment, burst;
	} rows[] = {
		{ "MaxRecvDataSegmentLength=512\nMaxBurstLength=1024\nFirstBurstLength=512\n", 512,
		  1024 },
		{ "MaxRecvDataSegmentLength=1000\nMaxBurstLength=2500\nFirstBurstLength=512\n",
		  1000, 2500 },
		{ "MaxRecvDataSegmentLength=65536\nMaxBurstLength=4096\nFirstBurstLength=512\n",
		  65536, 4096 },
		{ "MaxRecvDataSegmentLength=4096\nMaxBurstLength=1048576\n", 4096, 1048576 },
		{ "MaxRecvDataSegmentLength=16777215\nMaxBurstLength=16777215\n", 16777215,
		  1048576 },
	};

	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire *w = wire_open(&(struct login_opts){ .keys = rows[i].keys }, 1);

		CU_ASSERT_EQUAL(w->max_burst, rows[i].burst);
		for (uint16_t blocks = 1; blocks <= 64; blocks = (uint16_t)(blocks * 2 + 1)) {
			uint32_t len = blocks * (uint32_t)BLOCK, pdus = 0;
			struct io io;

			for (uint32_t off = 0; off < len;) { /* as many PDUs as needed, no more */
				uint32_t burst =
					len - off < rows[i].burst ? len - off : rows[i].burst;

				pdus += (burst + rows[i].segment - 1) / rows[i].segment;
				off += burst;
			}
			io_read(&io, 0, 3, blocks, in);
			CU_ASSERT(io_good(w, &io));
			CU_ASSERT_EQUAL(io.got, len);
			CU_ASSERT_EQUAL(io.datain_pdus, pdus);
			CU_ASSERT(io.status_in_data);
			CU_ASSERT_EQUAL(io.longest_burst,
					len < rows[i].burst ? len : rows[i].burst);
		}
		wire_close(w);
	}
	daemon_stop();
}

/* So many R2Ts have come, and not one more. */
static void await_r2ts(struct io *io, unsigned n)
{
	CU_ASSERT_FATAL(io_await_r2ts(io, n));
	CU_ASSERT_EQUAL_FATAL(io->nr2t, n);
}

/* R2Ts: MaxBurstLength each, as many at once as negotiated; answered in turn, by a slow initiator
 * in small PDUs. */
static void test_r2ts(void)
{
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	for (unsigned outstanding = 1; outstanding <= 4; outstanding++) {
		char keys[128];

		snprintf(keys, sizeof(keys),
			 "MaxOutstandingR2T=%u\nMaxBurstLength=8192\nFirstBurstLength=8192\n"
			 "ImmediateData=No\n",
			 outstanding);
		w = wire_open(&(struct login_opts){ .keys = keys }, 1);
		CU_ASSERT_EQUAL(w->max_r2t, outstanding);
		fill_blocks(out, 50, 160, outstanding);
		io_write(&io, 0, 50, 160, out);
		io.manual = true;
		io_start(w, &io);
		await_r2ts(&io, outstanding);
		CU_ASSERT(wire_quiet(w, 100));
		CU_ASSERT_EQUAL(io.nr2t, outstanding);
		for (unsigned i = 0; !io.done && i < 10; i++) {
			const struct bhs_r2t *r = &io.r2t[i];
			uint32_t off, end, sn = 0;

			await_r2ts(&io, i + outstanding < 10 ? i + outstanding : 10);
			off = be32_get(r->offset);
			end = off + be32_get(r->length);
			CU_ASSERT_EQUAL(end - off, 8192);
			for (; off < end; off += 1024, sn++)
				io_data_out(&io, be32_get(r->ttt), sn, off, 1024,
					    off + 1024 == end);
			io.open_r2ts--;
		}
		CU_ASSERT(io_wait(&io, WIRE_MS));
		CU_ASSERT_EQUAL(io.status, ST_GOOD);
		CU_ASSERT_EQUAL(io.r2ts, 10);
		io_read(&io, 0, 50, 160, in);
		CU_ASSERT(io_good(w, &io) && same_blocks(in, 50, 160, outstanding));
		wire_close(w);
	}
	daemon_stop();
}

/* Two R2Ts of a command are answered in their order (DataSequenceInOrder=Yes), those of two
 * commands in any. */
static void test_r2ts_interleaved(void)
{
	static uint8_t b[64 * BLOCK];
	struct io x, y, r;
	struct wire *w;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&(struct login_opts){ .keys = "ImmediateData=No\nMaxBurstLength=65536\n" },
		      1);
	fill_blocks(out, 0, 64, 1);
	fill_blocks(b, 64, 64, 2);
	io_write(&x, 0, 0, 64, out);
	io_write(&y, 0, 64, 64, b);
	x.manual = y.manual = true;
	io_start(w, &x);
	io_start(w, &y);
	CU_ASSERT(wire_alive(w));
	CU_ASSERT(wire_quiet(w, 100));
	CU_ASSERT_FATAL(x.nr2t == 1 && y.nr2t == 1);
	CU_ASSERT_NOT_EQUAL(be32_get(x.r2t[0].ttt), be32_get(y.r2t[0].ttt));
	for (uint32_t off = 0, sn = 0; off < x.edtl; off += 4096, sn++) {
		bool last = off + 4096 == x.edtl;

		io_data_out(&y, be32_get(y.r2t[0].ttt), sn, off, 4096, last);
		io_data_out(&x, be32_get(x.r2t[0].ttt), sn, off, 4096, last);
	}
	CU_ASSERT(io_wait(&x, WIRE_MS) && io_wait(&y, WIRE_MS));
	CU_ASSERT_EQUAL(x.status | y.status, ST_GOOD);
	io_read(&r, 0, 0, 64, in);
	CU_ASSERT(io_good(w, &r) && same_blocks(in, 0, 64, 1));
	io_read(&r, 0, 64, 64, in);
	CU_ASSERT(io_good(w, &r) && same_blocks(in, 64, 64, 2));
	daemon_stop();
}

/* 4 MiB in one command, both ways; and many commands whose R2Ts are more than there are tags. */
static void test_large_and_many(void)
{
	static struct io io[100];
	static uint8_t bufs[100][16 * BLOCK];
	struct wire *w;
	struct io r;
	unsigned asked = 0;

	daemon_start("limits: {commands: 128}\n", NULL, NULL);
	w = wire_open(
		&(struct login_opts){ .keys = "MaxRecvDataSegmentLength=262144\nInitialR2T=No\n" },
		1);
	CU_ASSERT(write_read(w, 0, MAX_BLOCKS, 77, false, false));
	wire_close(w);

	w = wire_open(
		&(struct login_opts){
			.keys = "MaxOutstandingR2T=4\nMaxBurstLength=1024\nFirstBurstLength=512\n"
				"ImmediateData=No\n" },
		1);
	for (unsigned i = 0; i < 100; i++) {
		fill_blocks(bufs[i], 16 * i, 16, i);
		io_write(&io[i], 0, 16 * i, 16, bufs[i]);
		io[i].manual = true;
		io_start(w, &io[i]);
	}
	CU_ASSERT(wire_alive(w));
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	for (unsigned i = 0; i < 100; i++)
		asked += io[i].nr2t;
	CU_ASSERT(asked >=
		  100); /* a few commands do not starve the others: most have at least one */
	for (unsigned left = 100; left;) {
		struct pdu p;

		left = 0;
		for (unsigned i = 0; i < 100; i++) {
			left += !io[i].done;
			for (unsigned k = 0; k < io[i].nr2t; k++)
				io_answer(&io[i], &io[i].r2t[k]);
			io[i].nr2t = 0;
		}
		if (left)
			CU_ASSERT_EQUAL_FATAL(wire_pump(w, &p, WIRE_MS * wire_slow()), 2);
	}
	for (unsigned i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(io[i].status, ST_GOOD);
		io_read(&r, 0, 16 * i, 16, in);
		CU_ASSERT(io_good(w, &r) && same_blocks(in, 16 * i, 16, i));
	}
	daemon_stop();
}

/* ---- what is not as negotiated
 * ----------------------------------------------------------------------------- */

/* The write of blocks 100.. with stamp 2 over stamp 1 was refused: by sense, Reject or the
 * connection's end. */
static void refused(struct wire *w, struct io *io, uint16_t blocks)
{
	struct wire *other;
	struct io r;
	struct pdu p;
	int got;

	while ((got = wire_pump(w, &p, WIRE_MS * wire_slow())) > 0) {
		if (io->done)
			break;
		if (got == 1)
			CU_ASSERT_EQUAL(p.h.opcode, OP_REJECT);
	}
	CU_ASSERT(io->done || got < 0);
	if (io->done) {
		CU_ASSERT_EQUAL(io->status, ST_CHECK);
		CU_ASSERT_EQUAL(io_key(io), KEY_ABORTED);
		CU_ASSERT(wire_alive(w));
	}
	io_forget(io);
	other = wire_open(&(struct login_opts){ .isid = 9 }, 1);
	io_read(&r, 0, 100, blocks, in);
	CU_ASSERT(io_good(other, &r) && same_blocks(in, 100, blocks, 1));
	wire_close(other);
}

static struct wire *start_refused(struct io *io, const char *keys, uint16_t blocks)
{
	struct wire *w;

	daemon_start("iscsi: {max_recv_data_segment_length: 64K}\n", NULL, NULL);
	w = wire_open(&(struct login_opts){ .keys = keys }, 1);
	CU_ASSERT(write_read(w, 100, blocks, 1, false, false));
	fill_blocks(out, 100, blocks, 2);
	io_write(io, 0, 100, blocks, out);
	io->manual = io->no_imm = io->no_unsol = true;
	return w;
}

static uint32_t first_r2t(struct wire *w, struct io *io)
{
	io_start(w, io);
	CU_ASSERT_FATAL(io_await_r2ts(io, 1));
	return be32_get(io->r2t[0].ttt);
}

static void test_wrong_offset(void)
{
	struct io io;
	struct wire *w = start_refused(&io, NULL, 16);
	uint32_t ttt = first_r2t(w, &io);

	io_data_out(&io, ttt, 0, 512, 4096, false);
	refused(w, &io, 16);
	daemon_stop();
}

/* The transfer tag of one command with the task tag of another (7.6: inconsistent field contents):
 * whose data it is nobody can say.
 */
static void test_wrong_task(void)
{
	struct io io;
	struct wire *w = start_refused(&io, NULL, 16);
	uint32_t ttt = first_r2t(w, &io);

	io.itt += 1000;
	io_data_out(&io, ttt, 0, 0, 16 * BLOCK, true);
	io.itt -= 1000;
	refused(w, &io, 16);
	daemon_stop();
}

static void test_wrong_datasn(void)
{
	struct io io;
	struct wire *w = start_refused(&io, NULL, 16);
	uint32_t ttt = first_r2t(w, &io);

	io_data_out(&io, ttt, 0, 0, 4096, false);
	io_data_out(&io, ttt, 2, 4096, 4096, true);
	refused(w, &io, 16);
	daemon_stop();
}

/* More than the R2T asked for. */
static void test_beyond_r2t(void)
{
	struct io io;
	struct wire *w = start_refused(&io, "MaxBurstLength=4096\nFirstBurstLength=4096\n", 16);
	uint32_t ttt = first_r2t(w, &io);

	io_data_out(&io, ttt, 0, 0, 8192, true);
	refused(w, &io, 16);
	daemon_stop();
}

/* Less: 11.4.7.2 calls it "incorrect amount of data", 0Bh 0C/0D. */
static void test_short_of_r2t(void)
{
	struct io io;
	struct wire *w = start_refused(&io, NULL, 16);
	uint32_t ttt = first_r2t(w, &io);

	io_data_out(&io, ttt, 0, 0, 4096, true);
	refused(w, &io, 16);
	CU_ASSERT(!io.done || io_asc(&io) == 0x0c0d);
	daemon_stop();
}

/* F missing in the last PDU of the sequence: more is announced than may come. */
static void test_no_final(void)
{
	struct io io;
	struct wire *w = start_refused(&io, NULL, 16);
	uint32_t ttt = first_r2t(w, &io);

	io_data_out(&io, ttt, 0, 0, 8192, false);
	refused(w, &io, 16);
	daemon_stop();
}

/* The unsolicited data is less than it has to be: all of the command's, or FirstBurstLength
 * (11.4.7.2). */
static void test_short_unsolicited(void)
{
	struct io io;
	struct wire *w = start_refused(&io, "InitialR2T=No\nImmediateData=No\n", 32);
	struct pdu p = { .cmd = { .opcode = OP_SCSI_CMD, .flags = CMD_WRITE | ATTR_SIMPLE } };

	io.w = w;
	io.itt = wire_next_itt(w);
	p.cmd.itt = be32_of(io.itt);
	p.cmd.edtl = be32_of(io.edtl);
	p.cmd.cmdsn = be32_of(w->cmdsn++);
	p.cmd.expstatsn = be32_of(w->expstatsn);
	memcpy(p.cmd.cdb, io.cdb, 16);
	io.next = w->ios;
	w->ios = &io;
	wire_send(w, &p, NULL, 0);
	io_data_out(&io, ISCSI_TAG_NONE, 0, 0, 4096, true);
	io.solicited = 4096;
	refused(w, &io, 32);
	CU_ASSERT(!io.done || io_asc(&io) == 0x0c0d);
	daemon_stop();
}

/* Unsolicited data although InitialR2T=Yes, immediate data although ImmediateData=No: 0Bh 0C/0C
 * (11.4.7.2). */
static void test_unexpected_data(void)
{
	struct io io;
	struct wire *w = start_refused(&io, "InitialR2T=Yes\nImmediateData=No\n", 16);

	w->immediate = true;
	io.no_imm = false;
	io_start(w, &io);
	refused(w, &io, 16);
	CU_ASSERT(!io.done || io_asc(&io) == 0x0c0c);
	daemon_stop();

	w = start_refused(&io, "InitialR2T=Yes\nImmediateData=No\n", 16);
	w->initial_r2t = false;
	io.no_unsol = false;
	io_start(w, &io);
	refused(w, &io, 16);
	CU_ASSERT(!io.done || io_asc(&io) == 0x0c0c);
	daemon_stop();
}

/* More unsolicited data than FirstBurstLength. */
static void test_beyond_first_burst(void)
{
	struct io io;
	struct wire *w = start_refused(&io, "InitialR2T=No\nFirstBurstLength=4096\n", 32);

	w->first_burst = 16384;
	io.no_imm = io.no_unsol = false;
	io_start(w, &io);
	refused(w, &io, 32);
	daemon_stop();

	w = start_refused(&io, "InitialR2T=No\nImmediateData=No\nFirstBurstLength=4096\n", 32);
	w->first_burst = 16384;
	w->max_send = 2048;
	io.no_imm = io.no_unsol = false;
	io_start(w, &io);
	refused(w, &io, 32);
	daemon_stop();
}

/* Data for tags that never were, that are over, or of another command: nobody's blocks change. */
static void test_dead_tags(void)
{
	struct io io, r;
	struct wire *w;
	uint32_t ttt;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&(struct login_opts){ .keys = "ImmediateData=No\n" }, 1);
	CU_ASSERT(write_read(w, 100, 16, 1, false, false));
	fill_blocks(out, 100, 16, 2);
	io_write(&io, 0, 100, 16, out);
	io.manual = true;
	ttt = first_r2t(w, &io);
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_ABORT_TASK, 0, io.itt, io.cmdsn), TMF_RSP_COMPLETE);
	/* late data, in several PDUs: consumed in silence, the connection stays */
	for (uint32_t i = 0; i < 8; i++)
		io_data_out(&io, ttt, i, i * 1024, 1024, i == 7);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	io_data_out(&io, ttt, 0, 0, 8192, true); /* the same tag again, now free or another's */
	io_data_out(&io, ISCSI_TAG_NONE, 0, 0, 8192,
		    true); /* unsolicited for a command that is gone */
	CU_ASSERT(!io.done);
	io_forget(&io);
	CU_ASSERT(wire_alive(w));
	io_read(&r, 0, 100, 16, in);
	CU_ASSERT(io_good(w, &r) && same_blocks(in, 100, 16, 1));

	/* a tag that never was: silence, a Reject, or the end of the connection, no more */
	io.w = w;
	io_data_out(&io, 0x12345678, 0, 0, 512, true);
	wire_closed(w, 50);
	wire_close(w);
	w = wire_open(NULL, 1);
	CU_ASSERT(wire_alive(w));
	io_read(&r, 0, 100, 16, in);
	CU_ASSERT(io_good(w, &r) && same_blocks(in, 100, 16, 1));
	daemon_stop();
}

/* ---- residuals (11.4.5)
 * ------------------------------------------------------------------------------------ */

static void test_read_residuals(void)
{
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	CU_ASSERT(write_read(w, 0, 16, 5, false, false));
	/* expects more than there is */
	io_read(&io, 0, 0, 4, in);
	io.edtl = 16 * BLOCK;
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.status, ST_GOOD);
	CU_ASSERT_EQUAL(io.flags, RSP_UNDERFLOW);
	CU_ASSERT_EQUAL(io.residual, 12 * BLOCK);
	CU_ASSERT_EQUAL(io.got, 4 * BLOCK);
	CU_ASSERT(same_blocks(in, 0, 4, 5));
	/* expects less: exactly that much comes */
	memset(in, 0xee, sizeof(in));
	io_read(&io, 0, 0, 4, in);
	io.edtl = BLOCK + 100;
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.status, ST_GOOD);
	CU_ASSERT_EQUAL(io.flags, RSP_OVERFLOW);
	CU_ASSERT_EQUAL(io.residual, 3 * BLOCK - 100);
	CU_ASSERT_EQUAL(io.got, BLOCK + 100);
	CU_ASSERT(same_blocks(in, 0, 1, 5));
	CU_ASSERT_EQUAL(in[BLOCK + 100], 0xee);
	/* nothing is expected: EDTL 0 with and without R */
	for (unsigned r = 0; r < 2; r++) {
		io_read(&io, 0, 0, 4, in);
		io.edtl = 0;
		io.rd = r;
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(io.got, 0);
		if (io.status == ST_GOOD) {
			CU_ASSERT_EQUAL(io.flags, RSP_OVERFLOW);
			CU_ASSERT_EQUAL(io.residual, 4 * BLOCK);
		} else {
			CU_ASSERT_EQUAL(io.status, ST_CHECK);
		}
	}
	/* a command without data, for which some is expected */
	io_tur(&io, 0);
	io.rd = true;
	io.edtl = 1000;
	io.buf = in;
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.status, ST_GOOD);
	CU_ASSERT_EQUAL(io.flags, RSP_UNDERFLOW);
	CU_ASSERT_EQUAL(io.residual, 1000);
	/* an error: nothing came of what was expected */
	io_read(&io, 0, 0xfffffff0, 4, in);
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.status, ST_CHECK);
	CU_ASSERT_EQUAL(io_asc(&io), 0x2100);
	CU_ASSERT_EQUAL(io.got, 0);
	CU_ASSERT_EQUAL(io.flags, RSP_UNDERFLOW);
	CU_ASSERT_EQUAL(io.residual, 4 * BLOCK);
	/* an allocation length that is less than there is, is no overflow (SPC-4 4.2.5.6) */
	io_sense(&io, 0, in, 18);
	io.cdb[4] = 8;
	io.edtl = 18;
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.got, 8);
	CU_ASSERT_EQUAL(io.flags, RSP_UNDERFLOW);
	CU_ASSERT_EQUAL(io.residual, 10);
	daemon_stop();
}

static void test_write_residuals(void)
{
	static const char *const modes[] = { "ImmediateData=Yes\n", "ImmediateData=No\n",
					     "InitialR2T=No\nImmediateData=No\n" };
	struct io io;

	daemon_start(NULL, NULL, NULL);
	for (unsigned m = 0; m < 3; m++) {
		struct wire *w = wire_open(&(struct login_opts){ .keys = modes[m] }, 1);

		CU_ASSERT(write_read(w, 0, 32, 5, false, false));
		/* the initiator would send more than the command takes: underflow */
		fill_blocks(out, 0, 32, 6);
		io_write(&io, 0, 0, 4, out);
		io.edtl = 20 * BLOCK;
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(io.status, ST_GOOD);
		CU_ASSERT_EQUAL(io.flags, RSP_UNDERFLOW);
		CU_ASSERT_EQUAL(io.residual, 16 * BLOCK);
		io_read(&io, 0, 0, 4, in);
		CU_ASSERT(io_good(w, &io) && same_blocks(in, 0, 4, 6));
		io_read(&io, 0, 4, 28, in);
		CU_ASSERT(io_good(w, &io) && same_blocks(in, 4, 28, 5));
		/* less than the command takes: overflow; what did not come is not written */
		fill_blocks(out, 0, 32, 7);
		io_write(&io, 0, 0, 8, out);
		io.edtl = 2 * BLOCK;
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT(io.status == ST_GOOD || io.status == ST_CHECK);
		CU_ASSERT_EQUAL(io.flags, RSP_OVERFLOW);
		CU_ASSERT_EQUAL(io.residual, 6 * BLOCK);
		io_read(&io, 0, 2, 2, in);
		CU_ASSERT(io_good(w, &io) && same_blocks(in, 2, 2, 6));
		/* EDTL 0: nothing is written, and it is said */
		for (unsigned wr = 0; wr < 2; wr++) {
			io_write(&io, 0, 10, 2, out);
			io.edtl = 0;
			io.wr = wr;
			CU_ASSERT(io_run(w, &io));
			if (io.status == ST_GOOD) {
				CU_ASSERT_EQUAL(io.flags, RSP_OVERFLOW);
				CU_ASSERT_EQUAL(io.residual, 2 * BLOCK);
			} else {
				CU_ASSERT_EQUAL(io.status, ST_CHECK);
			}
			io_read(&io, 0, 10, 2, in);
			CU_ASSERT(io_good(w, &io) && same_blocks(in, 10, 2, 5));
		}
		/* data for a command that takes none */
		io_tur(&io, 0);
		io.wr = true;
		io.edtl = 4096;
		io.buf = out;
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(io.flags, RSP_UNDERFLOW);
		CU_ASSERT_EQUAL(io.residual, 4096);
		/* an error before any data is asked for */
		io_write(&io, 0, 0xfffffff0, 16, out);
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(io.status, ST_CHECK);
		CU_ASSERT_EQUAL(io_asc(&io), 0x2100);
		CU_ASSERT(wire_alive(w));
		wire_close(w);
	}
	daemon_stop();
}

/* More than VPD B0h's MAXIMUM TRANSFER LENGTH: refused before any data moves; an EDTL of gigabytes
 * costs nothing. */
static void test_too_long(void)
{
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	for (unsigned d = 0; d < 2; d++) {
		w = wire_open(&(struct login_opts){ .digests = d, .keys = "InitialR2T=No\n" }, 1);
		io_write(&io, 0, 0, 16384, out);
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(io.status, ST_CHECK);
		CU_ASSERT_EQUAL(io_key(&io), KEY_ILLEGAL);
		io_read(&io, 0, 0, 16384, in);
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(io.status, ST_CHECK);
		CU_ASSERT_EQUAL(io.got, 0);
		io_read(&io, 0, 0, 8, in);
		io.edtl = 0xfffffff0;
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(io.residual, 0xfffffff0 - 8 * BLOCK);
		fill_blocks(out, 7, 8, d);
		io_write(&io, 0, 7, 8, out);
		io.edtl = 0xfffffff0;
		io.no_unsol = true;
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT_EQUAL(io.status, ST_GOOD);
		CU_ASSERT_EQUAL(io.residual, 0xfffffff0 - 8 * BLOCK);
		io_read(&io, 0, 7, 8, in);
		CU_ASSERT(io_good(w, &io) && same_blocks(in, 7, 8, d));
		wire_close(w);
	}
	daemon_stop();
}

/* R and W against the direction of the command, and both: an answer each time, and nothing is
 * written. */
static void test_directions(void)
{
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	CU_ASSERT(write_read(w, 0, 4, 5, false, false));
	fill_blocks(out, 0, 4, 6);
	for (unsigned flags = 0; flags < 4; flags++) {
		io_write(&io, 0, 0, 4, out); /* CDB: WRITE */
		io.rd = flags & 1;
		io.wr = flags & 2;
		if (flags == 2)
			continue;
		if (flags == 3)
			io.no_imm = true;
		io.buf = in;
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT(io.status == ST_CHECK || io.flags == RSP_OVERFLOW || flags == 3);
		io_read(&io, 0, 0, 4, in); /* CDB: READ */
		io.rd = flags & 1 && flags != 1;
		io.wr = true;
		io.no_imm = true;
		CU_ASSERT(io_run(w, &io));
		CU_ASSERT(wire_alive(w));
	}
	io_read(&io, 0, 0, 4, in);
	CU_ASSERT(io_good(w, &io));
	daemon_stop();
}

/* What a store fails is told of, also what is new among that which has failed for long. */
static void test_failed_told(void)
{
	uint8_t buf[BLOCK] = { 0 };
	struct wire *w;
	struct io io;

	daemon_start(NULL, "      - {lun: 0, name: m0, backend: memory, size: 16M, filters: "
			   "\"fault:op=read+write,off=0,len=512\"}\n", NULL);
	w = wire_open(NULL, 1);
	for (unsigned i = 0; i < 12; i++) {
		io_read(&io, 0, 0, 1, buf);
		CU_ASSERT(io_run(w, &io) && io.status == ST_CHECK && io_key(&io) == 3);
	}
	io_write(&io, 0, 0, 1, buf);
	CU_ASSERT(io_run(w, &io) && io.status == ST_CHECK && io_key(&io) == 3);
	io_read(&io, 0, 1, 1, buf);
	CU_ASSERT(io_good(w, &io));
	daemon_stop();
	/* Eight at once; the others at the end, as one. */
	CU_ASSERT_EQUAL(daemon_log_count("event=io_failed lun=m0 op=read off=0 len=512 err=EIO"),
			9);
	CU_ASSERT_EQUAL(daemon_log_count(" times=4 last="), 1);
	CU_ASSERT_EQUAL(daemon_log_count("event=io_failed lun=m0 op=write"), 1);
	CU_ASSERT_EQUAL(daemon_log_count("event=io_failed"), 10);
}

UNIT_MAIN("daemon data", UNIT(test_ways), UNIT(test_framing), UNIT(test_data_in_split),
	  UNIT(test_r2ts), UNIT(test_r2ts_interleaved), UNIT(test_large_and_many),
	  UNIT(test_wrong_offset), UNIT(test_wrong_task), UNIT(test_wrong_datasn),
	  UNIT(test_beyond_r2t), UNIT(test_short_of_r2t), UNIT(test_no_final),
	  UNIT(test_short_unsolicited), UNIT(test_unexpected_data), UNIT(test_beyond_first_burst),
	  UNIT(test_dead_tags), UNIT(test_read_residuals), UNIT(test_write_residuals),
	  UNIT(test_too_long), UNIT(test_directions), UNIT(test_failed_told))
