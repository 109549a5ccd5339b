/* SPDX-License-Identifier: Apache-2.0 */
/* Header and data digests, good and bad, and padding (RFC 7143 11.2.3, 11.2.4, 7.7, 7.8, 13.1). */
#include <string.h>

#include "tests/daemon/wire.h"

static const struct login_opts digests = { .digests = true };

static void test_good(void)
{
	uint8_t data[129 * BLOCK], back[129 * BLOCK];
	static const uint16_t sizes[] = { 1, 8, 16, 17, 64, 129 };
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&(struct login_opts){ .digests = true, .keys = "InitialR2T=No\n" }, 1);
	CU_ASSERT(w->hdigest && w->ddigest);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill_blocks(data, 100, sizes[i], i);
		io_write(&io, 0, 100, sizes[i], data);
		io.no_imm = i & 1;
		CU_ASSERT(io_good(w, &io));
		memset(back, 0xee, sizeof(back));
		io_read(&io, 0, 100, sizes[i], back);
		CU_ASSERT(io_good(w, &io) && same_blocks(back, 100, sizes[i], i));
	}
	/* sense data has lengths that need padding */
	io_read(&io, 0, 0xfffffff0, 1, back);
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT(io.status == ST_CHECK && io_key(&io) == KEY_ILLEGAL);
	daemon_stop();
}

/* One of the two only. */
static void test_each_alone(void)
{
	static const char *const keys[] = { "HeaderDigest=CRC32C,None\n", "DataDigest=CRC32C\n",
					    "HeaderDigest=None,CRC32C\nDataDigest=None\n" };
	uint8_t data[20 * BLOCK], back[20 * BLOCK];
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < 3; i++) {
		w = wire_open(&(struct login_opts){ .keys = keys[i] }, 1);
		CU_ASSERT_EQUAL(w->hdigest, i == 0);
		CU_ASSERT_EQUAL(w->ddigest, i == 1);
		fill_blocks(data, 0, 20, i);
		io_write(&io, 0, 0, 20, data);
		CU_ASSERT(io_good(w, &io));
		io_read(&io, 0, 0, 20, back);
		CU_ASSERT(io_good(w, &io) && same_blocks(back, 0, 20, i));
		wire_close(w);
	}
	daemon_stop();
	daemon_start("iscsi: {header_digest: required, data_digest: required}\n", NULL, NULL);
	w = wire_connect();
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(wire_login(w, &(struct login_opts){ .keys = "HeaderDigest=None\n" }) >> 8,
			2);
	wire_close(w);
	w = wire_open(&digests, 1);
	CU_ASSERT(w->hdigest && w->ddigest);
	daemon_stop();
	daemon_start("iscsi: {header_digest: off, data_digest: off}\n", NULL, NULL);
	w = wire_open(
		&(struct login_opts){
			.keys = "HeaderDigest=CRC32C,None\nDataDigest=CRC32C,None\n" },
		1);
	CU_ASSERT(!w->hdigest && !w->ddigest);
	daemon_stop();
}

static uint32_t ping_data(struct wire *w, const void *data, uint32_t len)
{
	struct pdu p = { .nop_out = { .opcode = OP_NOP_OUT | PDU_IMMEDIATE,
				      .flags = PDU_FINAL,
				      .ttt = be32_of(ISCSI_TAG_NONE) } };

	p.nop_out.itt = be32_of(wire_next_itt(w));
	p.nop_out.cmdsn = be32_of(w->cmdsn);
	p.nop_out.expstatsn = be32_of(w->expstatsn);
	wire_send(w, &p, data, len);
	return be32_get(p.h.itt);
}

static void test_padding(void)
{
	uint8_t data[64];
	struct pdu p;
	struct wire *w;

	daemon_start(NULL, NULL, NULL);
	for (unsigned d = 0; d < 2; d++) {
		w = wire_open(&(struct login_opts){ .digests = d }, 0);
		for (uint32_t n = 0; n < sizeof(data); n++) {
			uint32_t itt;

			memset(data, (int)(0x80 + n), sizeof(data));
			itt = ping_data(w, data, n);
			CU_ASSERT_FATAL(wire_expect(w, OP_NOP_IN, &p, WIRE_MS));
			CU_ASSERT_EQUAL(be32_get(p.h.itt), itt);
			CU_ASSERT_EQUAL(p.len, n);
			CU_ASSERT(!memcmp(p.data, data, p.len));
		}
		wire_close(w);
	}
	daemon_stop();
}

/* A header that cannot be trusted: the connection ends (7.7; ERL 0 has nothing else), others stay.
 */
static void test_bad_header(void)
{
	uint8_t data[BLOCK], back[BLOCK];
	struct wire *w, *other;
	struct io io, r;

	daemon_start(NULL, NULL, NULL);
	other = wire_open(&(struct login_opts){ .isid = 2, .digests = true }, 1);
	w = wire_open(&digests, 1);
	fill_blocks(data, 7, 1, 7);
	io_write(&io, 0, 7, 1, data);
	w->break_hdigest = true;
	io_start(w, &io);
	CU_ASSERT(wire_closed(w, 2000));
	CU_ASSERT(!io.done);
	CU_ASSERT(wire_alive(other));
	io_read(&r, 0, 7, 1, back);
	CU_ASSERT(io_good(other, &r));
	memset(data, 0, sizeof(data));
	CU_ASSERT(!memcmp(data, back, BLOCK));
	daemon_stop();
}

/* Reads the Reject of a PDU with a bad data digest: reason 02h, and the header as it was sent
 * (7.8, 11.17). */
static bool digest_reject(struct wire *w, uint8_t opcode, uint32_t itt)
{
	struct pdu p;

	if (!wire_expect(w, OP_REJECT, &p, WIRE_MS))
		return false;
	CU_ASSERT_EQUAL(p.reject.reason, REJECT_DATA_DIGEST);
	CU_ASSERT_EQUAL(be32_get(p.h.itt), ISCSI_TAG_NONE);
	CU_ASSERT(p.h.flags & PDU_FINAL);
	CU_ASSERT(p.len >= BHS_LEN);
	CU_ASSERT_EQUAL(p.data[0] & 0x3f, opcode);
	CU_ASSERT_EQUAL(get_be32(p.data + 16), itt);
	return true;
}

/*
 * 7.8: the PDU is discarded and rejected. A command with immediate data was then never received:
 * its number is still expected, and the command may be sent again as it was ("implicitly recovered
 * when the task is retried").
 */
static void test_bad_immediate_data(void)
{
	uint8_t data[4 * BLOCK], back[4 * BLOCK];
	struct io io, again, r;
	struct wire *w;
	uint32_t n;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&digests, 1);
	n = w->cmdsn;
	fill_blocks(data, 30, 4, 30);
	io_write(&io, 0, 30, 4, data);
	w->break_ddigest = true;
	io_start(w, &io);
	CU_ASSERT(digest_reject(w, OP_SCSI_CMD, io.itt));
	CU_ASSERT_EQUAL(w->expcmdsn, n);
	io_forget(&io);
	CU_ASSERT(!io.done);
	io_write(&again, 0, 30, 4, data);
	again.keep_cmdsn = again.keep_itt = true;
	again.cmdsn = n;
	again.itt = io.itt;
	io_start(w, &again);
	CU_ASSERT(io_wait(&again, WIRE_MS));
	CU_ASSERT_EQUAL(again.status, ST_GOOD);
	io_read(&r, 0, 30, 4, back);
	CU_ASSERT(io_good(w, &r) && same_blocks(back, 30, 4, 30));
	daemon_stop();
}

static void test_bad_ping_data(void)
{
	uint8_t data[100];
	struct wire *w;
	uint32_t itt;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&digests, 0);
	memset(data, 5, sizeof(data));
	w->break_ddigest = true;
	itt = ping_data(w, data, sizeof(data));
	CU_ASSERT(digest_reject(w, OP_NOP_OUT, itt));
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/*
 * 7.8 for a Data-Out, solicited or not: Reject, and at ERL 0 the command ends in CHECK CONDITION,
 * 0Bh 47/05 "protocol service CRC error" (11.4.7.2), when all data that is asked for has come (F
 * bit). Nothing is written.
 */
static void bad_data_out(const char *keys, bool first_pdu)
{
	uint8_t data[64 * BLOCK], back[64 * BLOCK];
	struct io io, r;
	struct wire *w;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&(struct login_opts){ .digests = true, .keys = keys }, 1);
	w->max_send = 8192;
	fill_blocks(data, 200, 64, 1);
	io_write(&io, 0, 200, 64, data);
	CU_ASSERT(io_good(w, &io));

	fill_blocks(data, 200, 64, 2);
	io_write(&io, 0, 200, 64, data);
	io.no_imm = io.no_unsol = io.manual = true;
	if (w->initial_r2t) {
		uint32_t ttt, off, len;

		io_start(w, &io);
		while (!io.nr2t)
			CU_ASSERT_FATAL(wire_quiet(w, 20));
		ttt = be32_get(io.r2t[0].ttt);
		off = be32_get(io.r2t[0].offset);
		len = be32_get(io.r2t[0].length);
		CU_ASSERT_FATAL(len >= 3 * 8192 && off == 0);
		for (uint32_t sn = 0, at = 0; at < len; at += 8192, sn++) {
			w->break_ddigest = first_pdu ? sn == 0 : at + 8192 >= len;
			io_data_out(&io, ttt, sn, at, 8192, at + 8192 >= len);
		}
	} else {
		struct pdu p = { .cmd = { .opcode = OP_SCSI_CMD,
					  .flags = CMD_WRITE | ATTR_SIMPLE } };

		/* by hand: the command without F, then the unsolicited sequence */
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
		for (uint32_t sn = 0, at = 0; at < io.edtl; at += 8192, sn++) {
			w->break_ddigest = first_pdu ? sn == 0 : at + 8192 >= io.edtl;
			io_data_out(&io, ISCSI_TAG_NONE, sn, at, 8192, at + 8192 >= io.edtl);
		}
		io.solicited = io.edtl;
	}
	CU_ASSERT(digest_reject(w, OP_DATA_OUT, io.itt));
	/* other R2Ts of the command may still have to be answered */
	while (!io.done && wire_quiet(w, 50) && io.nr2t > 1) {
		for (unsigned i = 1; i < io.nr2t; i++)
			io_answer(&io, &io.r2t[i]);
		io.nr2t = 1;
	}
	CU_ASSERT(io_wait(&io, WIRE_MS));
	CU_ASSERT_EQUAL(io.status, ST_CHECK);
	CU_ASSERT_EQUAL(io_key(&io), KEY_ABORTED);
	CU_ASSERT_EQUAL(io_asc(&io), 0x4705);
	CU_ASSERT(wire_alive(w));
	io_read(&r, 0, 200, 64, back);
	CU_ASSERT(io_good(w, &r) && same_blocks(back, 200, 64, 1));
	daemon_stop();
}

static void test_bad_solicited(void)
{
	bad_data_out(NULL, true);
}
static void test_bad_solicited_last(void)
{
	bad_data_out(NULL, false);
}
static void test_bad_unsolicited(void)
{
	bad_data_out("InitialR2T=No\n", true);
}
static void test_bad_unsolicited_last(void)
{
	bad_data_out("InitialR2T=No\n", false);
}

UNIT_MAIN("daemon digest", UNIT(test_good), UNIT(test_each_alone), UNIT(test_padding),
	  UNIT(test_bad_header), UNIT(test_bad_immediate_data), UNIT(test_bad_ping_data),
	  UNIT(test_bad_solicited), UNIT(test_bad_solicited_last), UNIT(test_bad_unsolicited),
	  UNIT(test_bad_unsolicited_last))
