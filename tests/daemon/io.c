/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI commands of the test initiator, and what must hold for their Data-In, R2T and Response PDUs.
 */
#include <string.h>

#include "tests/daemon/wire.h"
#include "tests/daemon/wire_impl.h"

static void io_init(struct io *io, uint16_t lun, uint8_t opcode, uint32_t edtl, void *buf)
{
	memset(io, 0, sizeof(*io));
	io->lun = lun;
	io->cdb[0] = opcode;
	io->attr = ATTR_SIMPLE;
	io->edtl = edtl;
	io->buf = buf;
}

void io_read(struct io *io, uint16_t lun, uint32_t lba, uint16_t blocks, void *buf)
{
	io_init(io, lun, 0x28, blocks * (uint32_t)BLOCK, buf);
	put_be32(io->cdb + 2, lba);
	put_be16(io->cdb + 7, blocks);
	io->rd = true;
}

void io_write(struct io *io, uint16_t lun, uint32_t lba, uint16_t blocks, void *buf)
{
	io_read(io, lun, lba, blocks, buf);
	io->cdb[0] = 0x2a;
	io->rd = false;
	io->wr = true;
}

void io_caw(struct io *io, uint16_t lun, uint32_t lba, uint8_t blocks, void *buf)
{
	io_init(io, lun, 0x89, 2u * blocks * BLOCK, buf);
	put_be32(io->cdb + 6, lba);
	io->cdb[13] = blocks;
	io->wr = true;
}

void io_tur(struct io *io, uint16_t lun)
{
	io_init(io, lun, 0x00, 0, NULL);
}

void io_sense(struct io *io, uint16_t lun, void *buf, uint8_t len)
{
	io_init(io, lun, 0x03, len, buf);
	io->cdb[4] = len;
	io->rd = true;
}

bool io_data_out(struct io *io, uint32_t ttt, uint32_t datasn, uint32_t off, uint32_t len,
		 bool final)
{
	struct pdu p = { .out = {
				 .opcode = OP_DATA_OUT,
				 .flags = final ? PDU_FINAL : 0,
				 .itt = be32_of(io->itt),
				 .ttt = be32_of(ttt),
				 .expstatsn = be32_of(io->w->expstatsn),
				 .datasn = be32_of(datasn),
				 .offset = be32_of(off),
			 } };

	wire_lun(p.out.lun, io->lun);
	return wire_send(io->w, &p, io->buf + off, len);
}

/* A sequence of Data-Outs: unsolicited, or what an R2T asks for. */
static bool data_sequence(struct io *io, uint32_t ttt, uint32_t off, uint32_t end)
{
	for (uint32_t sn = 0; off < end; sn++) {
		uint32_t n = end - off < io->w->max_send ? end - off : io->w->max_send;

		if (!io_data_out(io, ttt, sn, off, n, off + n == end))
			return false;
		off += n;
	}
	return true;
}

bool io_answer(struct io *io, const struct bhs_r2t *r)
{
	uint32_t off = be32_get(r->offset);

	io->open_r2ts--;
	return data_sequence(io, be32_get(r->ttt), off, off + be32_get(r->length));
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

bool io_start(struct wire *w, struct io *io)
{
	struct pdu p = { .cmd = {
				 .opcode = OP_SCSI_CMD,
				 .edtl = be32_of(io->edtl),
				 .expstatsn = be32_of(w->expstatsn),
			 } };
	uint32_t imm = 0, unsol = 0;

	io->w = w;
	if (!io->keep_itt)
		io->itt = wire_next_itt(w);
	if (!io->keep_cmdsn) {
		io->cmdsn = w->cmdsn;
		if (!io->immediate)
			w->cmdsn++;
	}
	if (io->wr) {
		uint32_t most = least(io->edtl, w->first_burst);

		if (w->immediate && !io->no_imm)
			imm = least(most, w->max_send);
		unsol = !w->initial_r2t && !io->no_unsol ? most : imm;
	}
	p.cmd.opcode |= io->immediate ? PDU_IMMEDIATE : 0;
	p.cmd.flags = (uint8_t)((unsol > imm ? 0 : PDU_FINAL) | (io->rd ? CMD_READ : 0) |
				(io->wr ? CMD_WRITE : 0) | io->attr);
	p.cmd.itt = be32_of(io->itt);
	p.cmd.cmdsn = be32_of(io->cmdsn);
	wire_lun(p.cmd.lun, io->lun);
	memcpy(p.cmd.cdb, io->cdb, 16);
	io->sent = io->solicited = unsol;
	io->started = true;
	io->next = w->ios;
	w->ios = io;
	return wire_send(w, &p, io->buf, imm) && data_sequence(io, ISCSI_TAG_NONE, imm, unsol);
}

void io_forget(struct io *io)
{
	struct io **p;

	if (!io->w)
		return;
	for (p = &io->w->ios; *p && *p != io; p = &(*p)->next)
		;
	if (*p)
		*p = io->next;
	io->w = NULL;
}

static void io_end(struct io *io)
{
	struct wire *w = io->w;

	io->done = true;
	io->ended = wire_now();
	io_forget(io);
	io->w = w; /* for late Data-Outs a test may send */
}

/* RFC 7143 11.7: DataSN counts from 0, offsets without a gap (DataPDUInOrder=Yes), bursts closed by
 * F, S only with F. */
static void input_data(struct io *io, const struct pdu *p)
{
	struct wire *w = io->w;
	uint32_t off = be32_get(p->in.offset);
	bool status = p->h.flags & DATAIN_STATUS;

	if (!io->rd)
		wire_violation(w, "Data-In for a command without R");
	if (be32_get(p->in.datasn) != io->datain_pdus)
		wire_violation(w, "DataSN %u, expected %u", be32_get(p->in.datasn),
			       io->datain_pdus);
	if (off != io->got || off + (uint64_t)p->len > io->edtl)
		wire_violation(w, "Data-In at %u + %u: %u were received of %u", off, p->len,
			       io->got, io->edtl);
	else if (p->len)
		memcpy(io->buf + off, p->data, p->len);
	if (be32_get(p->in.ttt) != ISCSI_TAG_NONE || p->h.flags & DATAIN_ACK)
		wire_violation(w, "Data-In asks for an acknowledgement");
	io->datain_pdus++;
	io->got += p->len;
	io->burst += p->len;
	if (io->burst > io->longest_burst)
		io->longest_burst = io->burst;
	if (io->burst > w->max_burst)
		wire_violation(w, "Data-In sequence of %u bytes, MaxBurstLength %u", io->burst,
			       w->max_burst);
	if (p->h.flags & PDU_FINAL)
		io->burst = 0;
	if (status) {
		if (!(p->h.flags & PDU_FINAL))
			wire_violation(w, "Data-In with S but without F");
		io->status = p->in.status;
		io->flags = p->h.flags & (DATAIN_OVERFLOW | DATAIN_UNDERFLOW);
		io->residual = be32_get(p->in.residual);
		io->status_in_data = true;
		io_end(io);
	} else if (p->h.flags & (DATAIN_OVERFLOW | DATAIN_UNDERFLOW) || p->in.status) {
		wire_violation(w, "Data-In without S has O, U or a status");
	}
}

/* RFC 7143 11.8: in order, without a gap or overlap, at most MaxBurstLength each, at most
 * MaxOutstandingR2T at once. */
static void input_r2t(struct io *io, const struct pdu *p)
{
	struct wire *w = io->w;
	uint32_t off = be32_get(p->r2t.offset), len = be32_get(p->r2t.length);
	uint8_t lun[8];

	wire_lun(lun, io->lun);
	if (p->h.flags != PDU_FINAL || p->len || memcmp(lun, p->r2t.lun, 8))
		wire_violation(w, "R2T: flags, data or LUN");
	if (!io->wr)
		wire_violation(w, "R2T for a command without W");
	if (be32_get(p->r2t.r2tsn) != io->r2ts)
		wire_violation(w, "R2TSN %u, expected %u", be32_get(p->r2t.r2tsn), io->r2ts);
	if (off != io->solicited || !len || len > w->max_burst || (uint64_t)off + len > io->edtl)
		wire_violation(w, "R2T for %u + %u: asked before up to %u of %u", off, len,
			       io->solicited, io->edtl);
	if (be32_get(p->r2t.ttt) == ISCSI_TAG_NONE)
		wire_violation(w, "R2T with TTT ffffffff");
	io->solicited = off + len;
	io->r2ts++;
	if (++io->open_r2ts > io->most_r2ts)
		io->most_r2ts = io->open_r2ts;
	if (io->open_r2ts > w->max_r2t)
		wire_violation(w, "%u R2Ts outstanding, MaxOutstandingR2T %u", io->open_r2ts,
			       w->max_r2t);
	if (!io->manual)
		io_answer(io, &p->r2t);
	else if (io->nr2t < IO_R2TS)
		io->r2t[io->nr2t++] = p->r2t;
}

static void input_response(struct io *io, const struct pdu *p)
{
	struct wire *w = io->w;

	io->response = p->rsp.response;
	io->status = p->rsp.status;
	io->flags = p->h.flags & (RSP_OVERFLOW | RSP_UNDERFLOW);
	io->residual = be32_get(p->rsp.residual);
	io->expdatasn = be32_get(p->rsp.expdatasn);
	if (!(p->h.flags & PDU_FINAL) || p->h.flags & ~(PDU_FINAL | RSP_OVERFLOW | RSP_UNDERFLOW))
		wire_violation(w, "SCSI Response with flags %02x", p->h.flags);
	if (io->burst)
		wire_violation(w, "SCSI Response, but the last Data-In had no F");
	if (io->flags == (RSP_OVERFLOW | RSP_UNDERFLOW) || (!io->flags && io->residual))
		wire_violation(w, "SCSI Response: flags %02x, residual %u", p->h.flags,
			       io->residual);
	/* 11.4.8: it counts Data-Ins; without any it MUST be 0, whatever was asked for by R2T. */
	if (io->expdatasn != io->datain_pdus)
		wire_violation(w, "ExpDataSN %u after %u Data-Ins", io->expdatasn, io->datain_pdus);
	if (p->len >= 2) {
		io->sense_len = get_be16(p->data);
		if (io->sense_len + 2 > p->len)
			wire_violation(w, "SenseLength %u in %u bytes", io->sense_len, p->len);
		else
			memcpy(io->sense, p->data + 2, least(io->sense_len, sizeof(io->sense)));
	}
	io_end(io);
}

bool io_input(struct wire *w, const struct pdu *p)
{
	uint8_t op = p->h.opcode;
	uint32_t itt = be32_get(p->h.itt);
	struct io *io;

	if (op != OP_DATA_IN && op != OP_R2T && op != OP_SCSI_RSP)
		return false;
	for (io = w->ios; io && io->itt != itt; io = io->next)
		;
	if (!io) {
		wire_violation(w, "opcode %02x for ITT %u, of which nothing is under way", op, itt);
		return true;
	}
	if (op == OP_DATA_IN)
		input_data(io, p);
	else if (op == OP_R2T)
		input_r2t(io, p);
	else
		input_response(io, p);
	return true;
}

bool io_wait(struct io *io, unsigned ms)
{
	uint64_t end = wire_now() + (uint64_t)ms * wire_slow();
	struct pdu p;

	while (!io->done) {
		uint64_t now = wire_now();
		int r;

		if (!io->w)
			return false;
		r = wire_pump(io->w, &p, now < end ? (unsigned)(end - now) : 0);
		if (r == 2)
			continue;
		if (r == 1)
			printf("    opcode %02x (%02x) came while command %02x was under way\n",
			       p.h.opcode, p.h.b2, io->cdb[0]);
		if (r < 0)
			printf("    connection ended while command %02x was under way\n",
			       io->cdb[0]);
		return false;
	}
	return true;
}

bool io_await_r2ts(struct io *io, unsigned n)
{
	uint64_t end = wire_now() + (uint64_t)WIRE_MS * wire_slow();

	while (io->nr2t < n && wire_now() < end && wire_quiet(io->w, 5))
		;
	return io->nr2t >= n;
}

bool io_run(struct wire *w, struct io *io)
{
	bool ok = io_start(w, io) && io_wait(io, WIRE_MS);

	if (!ok)
		io_forget(io);
	return ok;
}

bool io_good(struct wire *w, struct io *io)
{
	if (!io_run(w, io))
		return false;
	if (io->response || io->status || io->flags) {
		printf("    command %02x: response %02x, status %02x, sense %x %04x, flags %02x, "
		       "residual %u\n",
		       io->cdb[0], io->response, io->status, io_key(io), io_asc(io), io->flags,
		       io->residual);
		return false;
	}
	return true;
}

uint8_t io_key(const struct io *io)
{
	if (!io->sense_len)
		return 0;
	return (io->sense[0] & 0x7f) >= 0x72 ? io->sense[1] & 0xf : io->sense[2] & 0xf;
}

uint16_t io_asc(const struct io *io)
{
	if (!io->sense_len)
		return 0;
	return (io->sense[0] & 0x7f) >= 0x72 ? get_be16(io->sense + 2) : get_be16(io->sense + 12);
}

void fill_blocks(uint8_t *buf, uint32_t lba, uint32_t blocks, uint32_t stamp)
{
	for (uint32_t i = 0; i < blocks * BLOCK / 8; i++) {
		put_be32(buf + 8 * i, lba + i / (BLOCK / 8));
		put_be32(buf + 8 * i + 4, stamp ^ i % (BLOCK / 8));
	}
}

bool same_blocks(const uint8_t *buf, uint32_t lba, uint32_t blocks, uint32_t stamp)
{
	for (uint32_t i = 0; i < blocks * BLOCK / 8; i++)
		if (get_be32(buf + 8 * i) != lba + i / (BLOCK / 8) ||
		    get_be32(buf + 8 * i + 4) != (stamp ^ i % (BLOCK / 8))) {
			printf("    byte %u: block %u stamp %08x, expected %u %08x\n", 8 * i,
			       get_be32(buf + 8 * i), get_be32(buf + 8 * i + 4) ^ i % (BLOCK / 8),
			       lba + i / (BLOCK / 8), stamp);
			return false;
		}
	return true;
}
