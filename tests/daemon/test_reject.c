/* SPDX-License-Identifier: Apache-2.0 */
/* What no initiator should send: Reject with the header, or the end of that connection, never more
 * (RFC 7143 11.17). */
#include <string.h>

#include "tests/daemon/wire.h"

/*
 * Sends it and reads the Reject. True when it came: complete header inside, StatSN taken (wire.c),
 * and the CmdSN of a non-immediate request is not taken (7.3). False when the connection ended
 * instead.
 */
static bool rejected(struct wire *w, struct pdu *p, const void *data, uint32_t len, uint8_t *reason)
{
	uint32_t exp = w->expcmdsn;
	struct pdu sent;
	struct pdu q;
	int r;

	p->cmd.expstatsn = be32_of(w->expstatsn);
	wire_send(w, p, data, len);
	sent = *p;
	r = wire_recv(w, &q, WIRE_MS * wire_slow());
	CU_ASSERT_NOT_EQUAL(r, 0);
	if (r != 1)
		return false;
	CU_ASSERT_EQUAL_FATAL(q.h.opcode, OP_REJECT);
	CU_ASSERT_EQUAL(q.h.flags, PDU_FINAL);
	CU_ASSERT_EQUAL(be32_get(q.h.itt), ISCSI_TAG_NONE);
	CU_ASSERT_FATAL(q.len >= BHS_LEN);
	CU_ASSERT(!memcmp(q.data, sent.b, BHS_LEN));
	CU_ASSERT_EQUAL(w->expcmdsn, exp);
	*reason = q.reject.reason;
	return true;
}

static void test_unknown_opcodes(void)
{
	static const uint8_t target_ops[] = { OP_NOP_IN,   OP_SCSI_RSP, OP_TMF_RSP,    OP_LOGIN_RSP,
					      OP_TEXT_RSP, OP_DATA_IN,	OP_LOGOUT_RSP, OP_R2T,
					      OP_ASYNC,	   OP_REJECT };
	struct wire *w;
	uint8_t reason;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	for (unsigned imm = 0; imm < 2; imm++) {
		for (uint8_t op = 0x07; op <= 0x1f; op++) {
			struct pdu p = { .cmd = { .opcode =
							  (uint8_t)(op | (imm ? PDU_IMMEDIATE : 0)),
						  .flags = PDU_FINAL } };

			if (op == OP_SNACK)
				continue;
			p.h.itt = be32_of(wire_next_itt(w));
			p.cmd.cmdsn = be32_of(w->cmdsn);
			CU_ASSERT(rejected(w, &p, "data", op & 3, &reason));
			CU_ASSERT_EQUAL(reason, REJECT_NOT_SUPPORTED);
		}
	}
	CU_ASSERT(wire_alive(w));
	for (unsigned i = 0; i < sizeof(target_ops); i++) {
		struct pdu p = { .cmd = { .opcode = target_ops[i], .flags = PDU_FINAL } };

		p.h.itt = be32_of(wire_next_itt(w));
		p.cmd.cmdsn = be32_of(w->cmdsn);
		if (!rejected(w, &p, NULL, 0, &reason)) {
			wire_close(w);
			w = wire_open(NULL, 1);
		}
	}
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/* SNACK at ErrorRecoveryLevel 0 (11.16): rejected. */
static void test_snack(void)
{
	struct wire *w;
	uint8_t reason;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	for (unsigned type = 0; type < 4; type++) {
		struct pdu p = { .cmd = { .opcode = OP_SNACK,
					  .flags = (uint8_t)(PDU_FINAL | type) } };

		p.h.itt = be32_of(type ? ISCSI_TAG_NONE : 77);
		memset(p.b + 20, 0xff, 4);
		CU_ASSERT(rejected(w, &p, NULL, 0, &reason));
		CU_ASSERT(reason == REJECT_SNACK || reason == REJECT_PROTOCOL ||
			  reason == REJECT_NOT_SUPPORTED);
	}
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

static struct pdu text_pdu(struct wire *w, uint8_t flags, uint32_t ttt)
{
	struct pdu p = { .text = { .opcode = OP_TEXT_REQ, .flags = flags, .ttt = be32_of(ttt) } };

	p.text.itt = be32_of(wire_next_itt(w));
	p.text.cmdsn = be32_of(w->cmdsn);
	return p;
}

/* Text requests that continue nothing, keys that belong to login, text that is no text. */
static void test_text(void)
{
	static const char own[] = "SendTargets=", login_key[] = "MaxConnections=2",
			  odd[] = "X-com.example.odd=1";
	struct wire *w;
	struct pdu p, q;
	uint8_t reason;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	/* a TTT we never got (11.10.4) */
	p = text_pdu(w, PDU_FINAL, 0x1234);
	CU_ASSERT(rejected(w, &p, own, sizeof(own), &reason));
	/* F and C exclude each other (11.10.2) */
	p = text_pdu(w, PDU_FINAL | TEXT_CONTINUE, ISCSI_TAG_NONE);
	CU_ASSERT(rejected(w, &p, own, sizeof(own), &reason));
	CU_ASSERT(reason == REJECT_PROTOCOL || reason == REJECT_INVALID_FIELD);
	/* a key of login only, after login: any answer but to take it (13: "LO") */
	p = text_pdu(w, PDU_FINAL, ISCSI_TAG_NONE);
	p.text.expstatsn = be32_of(w->expstatsn);
	wire_send(w, &p, login_key, sizeof(login_key));
	w->cmdsn++;
	CU_ASSERT_EQUAL(wire_recv(w, &q, WIRE_MS), 1);
	if (q.h.opcode == OP_TEXT_RSP) {
		CU_ASSERT(!memmem(q.data, q.len, "MaxConnections=2", 16));
	} else {
		w->cmdsn--;
		CU_ASSERT_EQUAL(q.h.opcode, OP_REJECT);
		CU_ASSERT_EQUAL(w->expcmdsn, w->cmdsn);
	}
	/* a key nobody knows: NotUnderstood (6.2) */
	p = text_pdu(w, PDU_FINAL, ISCSI_TAG_NONE);
	w->cmdsn++;
	wire_send(w, &p, odd, sizeof(odd));
	CU_ASSERT_FATAL(wire_expect(w, OP_TEXT_RSP, &q, WIRE_MS));
	CU_ASSERT_PTR_NOT_NULL(memmem(q.data, q.len, "X-com.example.odd=NotUnderstood", 31));
	CU_ASSERT(wire_alive(w));
	/* in two parts, C in the first: an empty answer with a TTT, then the rest under it (6.2) */
	p = text_pdu(w, TEXT_CONTINUE, ISCSI_TAG_NONE);
	w->cmdsn++;
	wire_send(w, &p, own, 5);
	CU_ASSERT_FATAL(wire_expect(w, OP_TEXT_RSP, &q, WIRE_MS));
	CU_ASSERT_EQUAL(q.len, 0);
	CU_ASSERT(!(q.h.flags & PDU_FINAL));
	CU_ASSERT_NOT_EQUAL_FATAL(be32_get(q.text_rsp.ttt), ISCSI_TAG_NONE);
	{
		be32 itt = p.h.itt;

		p = text_pdu(w, PDU_FINAL, be32_get(q.text_rsp.ttt));
		p.h.itt = itt;
		w->cmdsn++;
	}
	wire_send(w, &p, own + 5, sizeof(own) - 5);
	CU_ASSERT_FATAL(wire_expect(w, OP_TEXT_RSP, &q, WIRE_MS));
	CU_ASSERT_PTR_NOT_NULL(memmem(q.data, q.len, WIRE_TARGET, strlen(WIRE_TARGET)));
	CU_ASSERT(q.h.flags & PDU_FINAL);
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/* MaxRecvDataSegmentLength may be declared anew in the full feature phase (13.12), and then holds.
 */
static void test_text_mrdsl(void)
{
	static const char key[] = "MaxRecvDataSegmentLength=1024";
	static uint8_t in[64 * BLOCK];
	struct wire *w;
	struct pdu p, q;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	p = text_pdu(w, PDU_FINAL, ISCSI_TAG_NONE);
	w->cmdsn++;
	wire_send(w, &p, key, sizeof(key));
	CU_ASSERT_FATAL(wire_recv(w, &q, WIRE_MS) == 1);
	if (q.h.opcode == OP_TEXT_RSP && !memmem(q.data, q.len, "Reject", 6)) {
		w->max_recv = 1024;
		io_read(&io, 0, 0, 64, in);
		CU_ASSERT(io_good(w, &io));
		CU_ASSERT_EQUAL(io.datain_pdus, 32);
	} else if (q.h.opcode == OP_REJECT) {
		w->cmdsn--;
	}
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/* More data than the target declared to take: a protocol error; the connection may end, nothing
 * else may. */
static void test_oversize(void)
{
	static uint8_t big[300 << 10];
	static const uint8_t ops[] = { OP_NOP_OUT,  OP_SCSI_CMD, OP_TEXT_REQ,
				       OP_DATA_OUT, OP_TMF_REQ,	 OP_LOGOUT_REQ };
	struct wire *w, *other;
	uint8_t reason;

	daemon_start("iscsi: {max_recv_data_segment_length: 64K}\n", NULL, NULL);
	other = wire_open(&(struct login_opts){ .isid = 7 }, 1);
	for (unsigned i = 0; i < sizeof(ops); i++) {
		struct pdu p = { .cmd = { .opcode = ops[i] | PDU_IMMEDIATE,
					  .flags = PDU_FINAL | CMD_WRITE,
					  .edtl = be32_of(sizeof(big)) } };

		w = wire_open(NULL, 1);
		CU_ASSERT_EQUAL(w->max_send, 65536);
		p.h.itt = be32_of(wire_next_itt(w));
		p.cmd.cmdsn = be32_of(w->cmdsn);
		if (rejected(w, &p, big, sizeof(big), &reason))
			CU_ASSERT(reason == REJECT_PROTOCOL || reason == REJECT_INVALID_FIELD);
		CU_ASSERT(wire_alive(other));
		wire_close(w);
	}
	/* the largest length there is, and nothing behind it */
	w = wire_open(NULL, 1);
	{
		struct pdu p = { .h = { .opcode = OP_NOP_OUT | PDU_IMMEDIATE,
					.flags = PDU_FINAL,
					.ahs_len = 255,
					.data_len = be24_of(0xffffff) } };

		wire_send_raw(w, p.b, BHS_LEN);
		wire_sleep(50);
		wire_close(w);
	}
	CU_ASSERT(wire_alive(other));
	daemon_stop();
}

/* Additional header segments (11.2.2): an extended CDB, an unknown type, lengths that do not fit.
 */
static void test_ahs(void)
{
	static const struct {
		uint8_t ahs[40];
		uint32_t len;
	} rows[] = {
		{ { 0, 1, 1 }, 4 },		   /* extended CDB of no byte */
		{ { 0, 5, 1, 0, 1, 2, 3, 4 }, 8 }, /* of 4 bytes */
		{ { 0, 17, 1 }, 20 },		   /* of 16 bytes: a CDB of 32 */
		{ { 0, 33, 1 }, 36 },		   /* of 32: more than there is */
		{ { 0, 5, 2, 0, 0, 0, 2, 0 }, 8 }, /* bidirectional read length */
		{ { 0, 5, 9, 0, 1, 2, 3, 4 }, 8 }, /* unknown type */
		{ { 0xff, 0xff, 1 }, 8 },	   /* longer than the whole */
		{ { 0, 0, 0, 0 }, 4 },		   /* nothing */
		{ { 0, 0, 1, 0, 0, 0, 1, 0 }, 8 },
	};
	struct wire *w;

	daemon_start(NULL, NULL, NULL);
	for (unsigned d = 0; d < 2; d++) {
		w = wire_open(&(struct login_opts){ .digests = d }, 1);
		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct pdu p = { .cmd = { .opcode = OP_SCSI_CMD,
						  .flags = PDU_FINAL | ATTR_SIMPLE } },
				   q;
			int r;

			p.cmd.cdb[0] = i == 2 ? 0x7f : 0x00;
			p.cmd.itt = be32_of(wire_next_itt(w));
			p.cmd.cmdsn = be32_of(w->cmdsn);
			p.cmd.expstatsn = be32_of(w->expstatsn);
			w->cmdsn++;
			wire_send_ahs(w, &p, rows[i].ahs, rows[i].len, NULL, 0);
			r = wire_recv(w, &q, WIRE_MS);
			CU_ASSERT_NOT_EQUAL(r, 0);
			if (r != 1) {
				wire_close(w);
				w = wire_open(&(struct login_opts){ .digests = d }, 1);
				continue;
			}
			CU_ASSERT(q.h.opcode == OP_SCSI_RSP || q.h.opcode == OP_REJECT);
			if (q.h.opcode == OP_REJECT)
				w->cmdsn--;
			else
				CU_ASSERT_EQUAL(be32_get(q.h.itt), be32_get(p.h.itt));
		}
		/* on requests that take none: ignored or refused, and the data behind it is found
		 */
		for (unsigned i = 0; i < 2; i++) {
			static const uint8_t ahs[1020] = { 0, 1, 9 };
			struct pdu p = { .nop_out = { .opcode = OP_NOP_OUT | PDU_IMMEDIATE,
						      .flags = PDU_FINAL,
						      .ttt = be32_of(ISCSI_TAG_NONE) } },
				   q;

			p.nop_out.itt = be32_of(wire_next_itt(w));
			p.nop_out.cmdsn = be32_of(w->cmdsn);
			wire_send_ahs(w, &p, ahs, i ? sizeof(ahs) : 4, "hello", 5);
			CU_ASSERT_EQUAL(wire_recv(w, &q, WIRE_MS), 1);
			CU_ASSERT(q.h.opcode == OP_REJECT ||
				  (q.len == 5 && !memcmp(q.data, "hello", 5)));
		}
		CU_ASSERT(wire_alive(w));
		wire_close(w);
	}
	daemon_stop();
}

/* LUNs that do not exist or are written in ways nobody uses (SAM-5 4.7): 05h 25/00. */
static void test_luns(void)
{
	static const uint8_t luns[][8] = {
		{ 0, 9 },	{ 0x40, 9 },
		{ 0x4f, 0xff }, { 0x80 },
		{ 0xc1, 1 },	{ 0, 0, 1 },
		{ 1, 0 },	{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	for (unsigned i = 0; i < sizeof(luns) / sizeof(luns[0]); i++) {
		struct pdu p = { .cmd = { .opcode = OP_SCSI_CMD,
					  .flags = PDU_FINAL | ATTR_SIMPLE } };

		io_tur(&io, 0);
		io.w = w;
		io.itt = wire_next_itt(w);
		io.next = w->ios;
		w->ios = &io;
		memcpy(p.cmd.lun, luns[i], 8);
		p.cmd.itt = be32_of(io.itt);
		p.cmd.cmdsn = be32_of(w->cmdsn++);
		wire_send(w, &p, NULL, 0);
		CU_ASSERT(io_wait(&io, WIRE_MS));
		CU_ASSERT_EQUAL(io.status, ST_CHECK);
		CU_ASSERT_EQUAL(io_key(&io), KEY_ILLEGAL);
		CU_ASSERT_EQUAL(io_asc(&io), 0x2500);
	}
	/* LUN 0 in flat space addressing is LUN 0 */
	{
		struct pdu p = { .cmd = { .opcode = OP_SCSI_CMD,
					  .flags = PDU_FINAL | ATTR_SIMPLE,
					  .lun = { 0x40 } } };

		io_tur(&io, 0);
		io.w = w;
		io.itt = wire_next_itt(w);
		io.next = w->ios;
		w->ios = &io;
		p.cmd.itt = be32_of(io.itt);
		p.cmd.cmdsn = be32_of(w->cmdsn++);
		wire_send(w, &p, NULL, 0);
		CU_ASSERT(io_wait(&io, WIRE_MS));
		CU_ASSERT_EQUAL(io.status, ST_GOOD);
	}
	daemon_stop();
}

/* ACA is not supported (NORMACA=0): the attribute and NACA=1 are refused, unknown attributes too.
 */
static void test_attributes(void)
{
	struct wire *w;
	struct io io;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	for (uint8_t attr = 0; attr < 8; attr++) {
		io_tur(&io, 0);
		io.attr = attr;
		CU_ASSERT(io_run(w, &io));
		if (attr < ATTR_ACA)
			CU_ASSERT_EQUAL(io.status, ST_GOOD);
	}
	io_tur(&io, 0);
	io.cdb[5] = 0x04;
	CU_ASSERT(io_run(w, &io));
	CU_ASSERT_EQUAL(io.status, ST_CHECK);
	CU_ASSERT_EQUAL(io_asc(&io), 0x2400);
	daemon_stop();
}

/* Noise from a seed, after login and before: the daemon and the others live on. */
static void test_noise(void)
{
	struct wire *other;
	uint64_t x = 88172645463325252ull;

	daemon_start(NULL, NULL, NULL);
	other = wire_open(&(struct login_opts){ .isid = 7 }, 1);
	for (unsigned i = 0; i < 300; i++) {
		struct wire *w = i & 1 ? wire_open(NULL, 0) : wire_connect();
		struct pdu p;
		uint8_t data[256];

		CU_ASSERT_PTR_NOT_NULL_FATAL(w);
		for (unsigned k = 0; k < 8; k++) {
			for (unsigned b = 0; b < BHS_LEN; b++) {
				x ^= x << 13, x ^= x >> 7, x ^= x << 17;
				p.b[b] = (uint8_t)x;
			}
			memset(data, (int)x, sizeof(data));
			p.b[0] = (uint8_t)((x >> 20) % 7 | (x >> 30 & 1 ? 0x40 : 0));
			if ((p.b[0] & 0x3f) == OP_TMF_REQ &&
			    (p.b[1] & 0x7f) == TMF_TARGET_COLD_RESET)
				p.b[1]++; /* that one does end the others */
			p.h.ahs_len = 0;
			if (x >> 40 & 1)
				p.cmd.cmdsn = be32_of(w->cmdsn + (x >> 44 & 3));
			if (!wire_send(w, &p, data, (uint32_t)(x >> 32 & 0xff)))
				break;
		}
		wire_kill(w);
	}
	CU_ASSERT(wire_alive(other));
	daemon_stop();
}

UNIT_MAIN("daemon reject", UNIT(test_unknown_opcodes), UNIT(test_snack), UNIT(test_text),
	  UNIT(test_text_mrdsl), UNIT(test_oversize), UNIT(test_ahs), UNIT(test_luns),
	  UNIT(test_attributes), UNIT(test_noise))
