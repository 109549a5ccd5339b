/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load itself: sessions with tags, what they send (commands, Data-Out) and what they accept.
 * Everything a target sends is checked: opcode, task tag, sequence numbers, offsets, lengths,
 * status, residuals, digests; with verify the data too. The first wrong thing is said on stderr and
 * ends the run.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "tests/bench/hist.h"
#include "tests/bench/probe.h"
#include "tests/bench/session.h"
#include "tests/bench/stamp.h"
#include "tests/bench/wire.h"

enum { RX_LEN = 256 << 10, IOVS = 1024, LUNS = 4096, QD_MAX = 4096, LEN_MAX = 1 << 20, SENSE = 64 };

struct lun {
	unsigned number;
	uint8_t address[8];		/* SAM-4 4.6: single level */
	uint64_t blocks;
	uint32_t block_size;
	struct stamps stamps;
};

/* One command. */
struct tag {
	uint32_t itt; /* tag number | generation: an answer that comes twice does not fit */
	bool busy, write;
	uint8_t lun;
	uint32_t len, got;		/* bytes asked for; bytes of Data-In */
	uint32_t burst;			/* bytes of Data-In since the last F bit */
	uint32_t sn;			/* next DataSN or R2TSN */
	uint32_t given;			/* bytes of a write handed to the socket's queue */
	uint32_t gen;
	uint64_t off, start;		/* byte on the LUN; ns */
	uint8_t *buf;			/* verify only */
	const struct probe_kind *probe;	/* NULL: of the load */
};

/* One PDU to send: its header is in heads[], its data is somebody's who outlives it. */
struct out {
	const uint8_t *data;
	uint32_t len, crc;
};

struct session {
	struct link l;
	unsigned number, busy, ntags, nfree, head_len; /* tags: the load's, then the probe's */
	struct tag *tags;
	uint32_t *free_tags;
	uint64_t cursor, ios;
	/* sending */
	uint8_t *heads;
	struct out *outs;
	uint32_t out_mask, get, put;
	size_t done;			/* bytes of the first that are sent */
	bool want_out;
	/* receiving */
	uint8_t head[BHS_LEN + 4];
	uint32_t have;
	bool in_data;
	uint32_t left, pad,
		digest; /* bytes of the data segment still to come, of padding, of digest */
	uint32_t crc, crc_got;
	struct tag *tag;		/* whose Data-In it is, or NULL */
	uint32_t sense_len;
	uint8_t sense[SENSE];
};

/* What to do; one generator per process. */
static struct {
	struct offer offer;
	bool floor, seq, verify, cdb10, discard, poll, fenced;
	double rate; /* commands per second, whatever the target does; 0: as fast as it answers */
	unsigned sessions, qd, read_pct, nluns;
	uint32_t len_min, len_max;
	uint64_t range, count,
		rng; /* count: commands still to issue, ~0 for as long as time allows */
	struct lun luns[LUNS];
} g;

static struct {
	uint64_t reads, writes, bytes, busy, shut_out, aborted, checked, r2ts, nops;
	struct hist hist;
	bool stopping, readback;
	bool starved; /* somebody has a free tag and found nothing to do with it */
	unsigned rb_lun;
	uint64_t rb_piece;
	uint8_t rx[RX_LEN];
	uint8_t pattern[LEN_MAX];
	int ep;
} st;

__attribute__((format(printf, 2, 3)))
static int wrong(const struct session *s, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "hf-bench: session %u: ", s->number);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

static uint64_t rnd(void)
{
	g.rng ^= g.rng << 13;
	g.rng ^= g.rng >> 7;
	g.rng ^= g.rng << 17;
	return g.rng * 0x2545f4914f6cdd1du;
}

/* 0..n-1, near enough even */
static uint64_t rnd_below(uint64_t n)
{
	return (uint64_t)((unsigned __int128)rnd() * n >> 64);
}

/* ---- sending ---- */

/* Queues one PDU, returns its zeroed header; the caller fills it and then calls out_seal. */
static uint8_t *out_new(struct session *s, const uint8_t *data, uint32_t len)
{
	uint8_t *h = s->heads + (size_t)(s->put & s->out_mask) * s->head_len;

	if (s->put - s->get > s->out_mask) {
		fprintf(stderr, "hf-bench: send queue too short\n"); /* sized for all that can be
									asked for */
		abort();
	}
	memset(h, 0, BHS_LEN);
	be24_put(h + O_DSL, len);
	s->outs[s->put++ & s->out_mask] = (struct out){ data, len, 0 };
	return h;
}

static void out_seal(struct session *s, uint8_t *h)
{
	struct out *o = &s->outs[(s->put - 1) & s->out_mask];

	if (s->l.hdigest) {
		uint32_t crc = crc_of(h, BHS_LEN);

		memcpy(h + BHS_LEN, &crc, 4);
	}
	if (s->l.ddigest && o->len)
		o->crc = crc_of(o->data, o->len);
}

static const uint8_t *tag_data(const struct tag *t)
{
	return t->buf ? t->buf : t->probe && t->probe->param[7] ? t->probe->param : st.pattern;
}

/* Data-Out PDUs for [off, off + len) of a write, in segments the target can take; the last has the
 * F bit (11.7). */
static void data_out(struct session *s, struct tag *t, uint32_t ttt, const uint8_t *lun,
		     uint32_t off, uint32_t len)
{
	for (uint32_t sn = 0; len; sn++) {
		uint32_t n = len < s->l.peer_mrdsl ? len : s->l.peer_mrdsl;
		uint8_t *h = out_new(s, tag_data(t) + off, n);

		h[0] = OP_DATA_OUT;
		h[O_FLAGS] = n == len ? F_FINAL : 0;
		memcpy(h + O_LUN, lun, 8);
		be32_put(h + O_ITT, t->itt);
		be32_put(h + O_TTT, ttt);
		be32_put(h + O_EXPSTATSN, s->l.statsn);
		be32_put(h + O_DATASN, sn);
		be32_put(h + O_OFFSET, off);
		out_seal(s, h);
		off += n;
		len -= n;
		t->given += n;
	}
}

static void cdb_put(uint8_t *cdb, const struct lun *u, const struct tag *t)
{
	uint64_t lba = t->probe ? 0 : t->off / u->block_size;
	uint32_t n = t->probe ? 0 : t->len / u->block_size;

	if (t->probe) {
		probe_cdb(cdb, t->probe);
	} else if (g.cdb10) {
		cdb[0] = t->write ? 0x2a : 0x28;
		be32_put(cdb + 2, (uint32_t)lba);
		cdb[7] = (uint8_t)(n >> 8);
		cdb[8] = (uint8_t)n;
	} else {
		cdb[0] = t->write ? 0x8a : 0x88;
		be64_put(cdb + 2, lba);
		be32_put(cdb + 10, n);
	}
}

static void command_out(struct session *s, struct tag *t)
{
	const struct lun *u = &g.luns[t->lun];
	const uint8_t *address = t->probe ? probe.lun : u->address;
	uint32_t imm = 0, burst = 0;
	uint8_t *h;

	if (t->write) {
		burst = s->l.first_burst < t->len ? s->l.first_burst : t->len;
		if (s->l.immediate)
			imm = burst < s->l.peer_mrdsl ? burst : s->l.peer_mrdsl;
		if (s->l.initial_r2t)
			burst = imm;
	}
	h = out_new(s, tag_data(t), imm);
	h[0] = OP_SCSI_CMD;
	h[O_FLAGS] =
		(uint8_t)((burst > imm ? 0 : F_FINAL) | (t->write ? F_WRITE : F_READ) | F_SIMPLE);
	memcpy(h + O_LUN, address, 8);
	be32_put(h + O_ITT, t->itt);
	be32_put(h + O_EXPLEN, t->len);
	be32_put(h + O_CMDSN, s->l.cmdsn++);
	be32_put(h + O_EXPSTATSN, s->l.statsn);
	cdb_put(h + O_CDB, u, t);
	out_seal(s, h);
	t->given = imm;
	if (burst > imm)
		data_out(s, t, TAG_NONE, address, imm, burst - imm);
}

static int session_flush(struct session *s)
{
	static struct iovec iov[IOVS + 3];
	bool want;

	while (s->get != s->put) {
		struct msghdr m = { .msg_iov = iov };
		size_t skip = s->done, want_bytes = 0;
		ssize_t n;

		for (uint32_t i = s->get; i != s->put && m.msg_iovlen < IOVS; i++) {
			struct out *o = &s->outs[i & s->out_mask];
			struct iovec part[3] = {
				{ s->heads + (size_t)(i & s->out_mask) * s->head_len, s->head_len },
				{ (void *)(uintptr_t)o->data, o->len },
				{ &o->crc, o->len && s->l.ddigest ? 4 : 0 },
			};

			for (unsigned k = 0; k < 3; k++) {
				struct iovec *last = m.msg_iovlen ? &iov[m.msg_iovlen - 1] : NULL;
				uint8_t *base = part[k].iov_base;
				size_t len = part[k].iov_len;

				if (skip >= len) {
					skip -= len;
					continue;
				}
				if (last &&
				    (uint8_t *)last->iov_base + last->iov_len == base + skip && !k)
					last->iov_len += len - skip; /* headers lie side by side */
				else
					iov[m.msg_iovlen++] =
						(struct iovec){ base + skip, len - skip };
				want_bytes += len - skip;
				skip = 0;
			}
		}
		n = sendmsg(s->l.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return wrong(s, "send: %s", strerror(errno));
		s->done += (size_t)n;
		while (s->get != s->put) {
			struct out *o = &s->outs[s->get & s->out_mask];
			size_t whole = s->head_len + o->len + (o->len && s->l.ddigest ? 4 : 0);

			if (s->done < whole)
				break;
			s->done -= whole;
			s->get++;
		}
		if ((size_t)n < want_bytes)
			break;
	}
	want = s->get != s->put;
	if (want != s->want_out) {
		struct epoll_event e = { .events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = s };

		epoll_ctl(st.ep, EPOLL_CTL_MOD, s->l.fd, &e);
		s->want_out = want;
	}
	return 0;
}

/* ---- what to do next ---- */

/* The next stretch of written pieces, in order, for the last look at everything. */
static bool readback_next(struct tag *t)
{
	for (; st.rb_lun < g.nluns; st.rb_lun++, st.rb_piece = 0) {
		struct stamps *sp = &g.luns[st.rb_lun].stamps;
		uint64_t step = g.luns[st.rb_lun].block_size / STAMP, n = 0;

		while (st.rb_piece < sp->pieces && !sp->gen[st.rb_piece])
			st.rb_piece += step;
		while (st.rb_piece + n < sp->pieces && sp->gen[st.rb_piece + n] &&
		       n * STAMP < g.len_max)
			n += step;
		if (!n)
			continue;
		t->write = false;
		t->lun = (uint8_t)st.rb_lun;
		t->off = st.rb_piece * STAMP;
		t->len = (uint32_t)(n * STAMP);
		st.rb_piece += n;
		return true;
	}
	return false;
}

/* Chooses LUN, place, length and direction. False: nothing that may be done now. */
static bool tag_choose(struct session *s, struct tag *t)
{
	if (st.readback)
		return readback_next(t);
	for (unsigned tries = 0; tries < 64; tries++) {
		struct lun *u;
		uint64_t range, slots;

		t->lun = g.nluns > 1 ? (uint8_t)rnd_below(g.nluns) : 0;
		u = &g.luns[t->lun];
		t->write = g.read_pct == 0 || (g.read_pct < 100 && rnd_below(100) >= g.read_pct);
		t->len = g.len_min;
		if (g.len_max > g.len_min)
			t->len += (uint32_t)rnd_below((g.len_max - g.len_min) / u->block_size + 1) *
				  u->block_size;
		range = u->blocks * u->block_size;
		if (range > g.range)
			range = g.range;
		if (g.seq) {
			if (s->cursor + t->len > range)
				s->cursor = 0;
			t->off = s->cursor;
			s->cursor += t->len;
		} else {
			uint32_t align = g.len_max > g.len_min ? u->block_size : t->len;

			slots = (range - t->len) / align + 1;
			t->off = rnd_below(slots) * align;
		}
		if (!g.verify)
			return true;
		if (stamps_free(&u->stamps, t->off / STAMP, t->len / STAMP, t->write))
			return true;
	}
	st.starved = true;
	return false;
}

static void tag_begin(struct session *s, struct tag *t, uint64_t start)
{
	s->busy++;
	t->busy = true;
	t->itt = (t->itt + QD_MAX) & 0x7fffffff;
	t->got = t->burst = t->sn = 0;
	t->start = start;
	command_out(s, t);
}

/* Starts one command, its time counted from `start`. False: none can be started on this session
 * now. */
static bool session_issue(struct session *s, uint64_t start)
{
	struct stamps *sp;
	struct tag *t;

	if (!s->nfree || !g.count || (st.stopping && !st.readback))
		return false;
	if (!g.floor && (int32_t)(s->l.maxcmdsn - s->l.cmdsn) < 0)
		return false;			/* window closed (RFC 7143 4.2.2.1) */
	t = &s->tags[s->free_tags[s->nfree - 1]];
	if (!tag_choose(s, t))
		return false;
	if (g.verify) {
		sp = &g.luns[t->lun].stamps;
		stamps_take(sp, t->off / STAMP, t->len / STAMP, t->write);
		if (t->write)
			t->gen = stamps_write(sp, t->buf, t->off / STAMP, t->len / STAMP,
					      g.luns[t->lun].number);
	}
	if (!st.readback && g.count != ~0ull)
		g.count--;
	s->nfree--;
	tag_begin(s, t, start);
	return true;
}

/* The probe's next command, if it is due and the window lets it out. */
static int probe_fill(struct session *s)
{
	struct tag *t = &s->tags[g.qd];
	uint64_t now = now_ns();

	if (now < probe.due || st.stopping || (int32_t)(s->l.maxcmdsn - s->l.cmdsn) < 0)
		return 0;
	t->probe = &probe_kinds[probe.next++ % PROBE_KINDS];
	t->write = t->probe->write;
	t->len = t->probe->len;
	probe.due = ~0ull;
	tag_begin(s, t, now);
	return session_flush(s);
}

/* As many as there are tags; at a fixed rate the clock starts them instead. */
static void session_fill(struct session *s, uint64_t now)
{
	if (g.rate && !st.readback)
		return;
	while (session_issue(s, now))
		;
}

/* ---- receiving ---- */

/*
 * Fair answers, counted and tried again: BUSY, TASK SET FULL; with --fenced what a nexus that is
 * preempted gets, too: RESERVATION CONFLICT, TASK ABORTED, unit attentions.
 */
static bool fair(const struct session *s, uint8_t status)
{
	uint64_t *count = status == 0x08 || status == 0x28 ? &st.busy : NULL;

	if (g.fenced && status == 0x40)
		count = &st.aborted;
	else if (g.fenced && (status == 0x18 || (status == 0x02 && s->sense_len >= 16 &&
						 (s->sense[4] & 15) == 6)))
		count = &st.shut_out;
	if (count)
		++*count;
	return count;
}

static int tag_end(struct session *s, struct tag *t, uint8_t status, uint64_t now)
{
	bool retry = status && fair(s, status);
	uint64_t piece = t->off / STAMP, n = t->len / STAMP;

	if (status && !retry)
		return wrong(s, "%s at byte %llu, %u bytes: status %02x, sense %x/%02x/%02x",
			     t->write ? "write" : "read", (unsigned long long)t->off, t->len,
			     status, s->sense_len >= 16 ? s->sense[4] & 15 : 0,
			     s->sense_len >= 16 ? s->sense[14] : 0,
			     s->sense_len >= 16 ? s->sense[15] : 0);
	if (!status && (t->write ? t->given : t->got) != t->len)
		return wrong(s, "%s ended with %u of %u bytes", t->write ? "write" : "read",
			     t->write ? t->given : t->got, t->len);
	if (t->probe) {
		if (retry)
			return wrong(s, "%s: status %02x", t->probe->name, status);
		probe_end(t->probe, t->start, now);
		t->busy = false;
		s->busy--;
		return 0;
	}
	if (g.verify) {
		struct lun *u = &g.luns[t->lun];

		stamps_give(&u->stamps, piece, n, t->write);
		if (!status && t->write)
			stamps_written(&u->stamps, piece, n, t->gen);
		else if (!status &&
			 !stamps_check(&u->stamps, t->buf, piece, n, u->number, &st.checked))
			return wrong(s, "the data is wrong");
	}
	if (retry) {
		if (g.count != ~0ull)
			g.count++;
	} else {
		if (!st.stopping) { /* what ends after the measured time does not count */
			hist_add(&st.hist, now - t->start);
			st.bytes += t->len;
			*(t->write ? &st.writes : &st.reads) += 1;
		}
		s->ios++;
	}
	t->busy = false;
	s->busy--;
	s->free_tags[s->nfree++] = (uint32_t)(t - s->tags);
	return 0;
}

static int take_statsn(struct session *s, const uint8_t *h)
{
	if (g.floor)
		return 0;
	if (be32_at(h + O_STATSN) != s->l.statsn)
		return wrong(s, "opcode %02x: StatSN %u, expected %u", h[0], be32_at(h + O_STATSN),
			     s->l.statsn);
	s->l.statsn++;
	return 0;
}

static int take_data_in(struct session *s, const uint8_t *h, struct tag *t, uint32_t dsl)
{
	if (t->write)
		return wrong(s, "Data-In for a write");
	if (!g.floor && be32_at(h + O_DATASN) != t->sn)
		return wrong(s, "Data-In: DataSN %u, expected %u", be32_at(h + O_DATASN), t->sn);
	if (!g.floor && be32_at(h + O_OFFSET) != t->got)
		return wrong(s, "Data-In: offset %u, expected %u", be32_at(h + O_OFFSET), t->got);
	if (dsl > t->len - t->got || (!g.floor && dsl > s->l.mrdsl))
		return wrong(s, "Data-In: %u bytes at %u of %u, segment limit %u", dsl, t->got,
			     t->len, s->l.mrdsl);
	t->sn++;
	t->burst += dsl;
	if (t->burst > s->l.max_burst)
		return wrong(s, "Data-In: a sequence of more than MaxBurstLength");
	if (h[O_FLAGS] & F_FINAL)
		t->burst = 0;
	if (h[O_FLAGS] & F_STATUS &&
	    (!(h[O_FLAGS] & F_FINAL) || h[O_FLAGS] & (F_OVERFLOW | F_UNDERFLOW)))
		return wrong(s, "Data-In: flags %02x", h[O_FLAGS]);
	return 0;
}

static int take_r2t(struct session *s, const uint8_t *h, struct tag *t)
{
	uint32_t off = be32_at(h + O_OFFSET), len = be32_at(h + O_DESIRED),
		 ttt = be32_at(h + O_TTT);

	if (!t->write || ttt == TAG_NONE || be32_at(h + O_DATASN) != t->sn)
		return wrong(s, "R2T: target task tag %08x, R2TSN %u, expected %u", ttt,
			     be32_at(h + O_DATASN), t->sn);
	if (!len || len > s->l.max_burst || off != t->given || len > t->len - off)
		return wrong(s, "R2T: %u bytes at %u of %u, %u given, MaxBurstLength %u", len, off,
			     t->len, t->given, s->l.max_burst);
	t->sn++;
	st.r2ts++;
	data_out(s, t, ttt, h + O_LUN, off, len);
	return 0;
}

/* A ping of the target's (11.19): answered when it asks for that. */
static int take_nop(struct session *s, const uint8_t *h)
{
	uint8_t *o;

	if (be32_at(h + O_ITT) != TAG_NONE)
		return wrong(s, "NOP-In for a NOP-Out never sent");
	st.nops++;
	if (be32_at(h + O_TTT) == TAG_NONE)
		return 0;
	o = out_new(s, NULL, 0);
	o[0] = OP_NOP_OUT | OP_IMMEDIATE;
	o[O_FLAGS] = F_FINAL;
	memcpy(o + O_LUN, h + O_LUN, 8);
	be32_put(o + O_ITT, TAG_NONE);
	memcpy(o + O_TTT, h + O_TTT, 4);
	be32_put(o + O_CMDSN, s->l.cmdsn);
	be32_put(o + O_EXPSTATSN, s->l.statsn);
	out_seal(s, o);
	return 0;
}

/* The header is in s->head, whole: checks it and prepares for its data segment. */
static int take_head(struct session *s)
{
	const uint8_t *h = s->head;
	uint32_t dsl = be24_at(h + O_DSL), itt = be32_at(h + O_ITT);
	struct tag *t = NULL;

	if (s->l.hdigest) {
		uint32_t crc = crc_of(h, BHS_LEN);

		if (memcmp(h + BHS_LEN, &crc, 4))
			return wrong(s, "wrong header digest");
	}
	if (h[O_AHS])
		return wrong(s, "opcode %02x with an additional header", h[0]);
	if (!g.floor && (int32_t)(be32_at(h + O_MAXCMDSN) - s->l.maxcmdsn) > 0)
		s->l.maxcmdsn = be32_at(h + O_MAXCMDSN);
	if (h[0] == OP_DATA_IN || h[0] == OP_SCSI_RSP || h[0] == OP_R2T) {
		if ((itt & (QD_MAX - 1)) < s->ntags)
			t = &s->tags[itt & (QD_MAX - 1)];
		if (!t || !t->busy || t->itt != itt)
			return wrong(s, "opcode %02x: initiator task tag %08x is not in use", h[0],
				     itt);
	}
	s->tag = t;
	s->left = dsl;
	s->pad = -dsl & 3;
	s->digest = dsl && s->l.ddigest ? 4 : 0;
	s->crc = CRC_START;
	s->sense_len = 0;
	s->in_data = true;
	switch (h[0]) {
	case OP_DATA_IN:
		return take_data_in(s, h, t, dsl);
	case OP_SCSI_RSP:
		if (h[O_RESPONSE] || (!h[O_STATUS] && h[O_FLAGS] != F_FINAL) || dsl > 8192)
			return wrong(s, "SCSI response %02x, flags %02x, %u bytes", h[O_RESPONSE],
				     h[O_FLAGS], dsl);
		return 0;
	case OP_R2T:
		return take_r2t(s, h, t);
	case OP_NOP_IN:
		return take_nop(s, h);
	case OP_REJECT:
		return wrong(s, "Reject, reason %02x", h[O_RESPONSE]);
	case OP_ASYNC:
		return wrong(s, "asynchronous message, event %u", h[36]);
	default:
		return wrong(s, "opcode %02x", h[0]);
	}
}

/* The PDU is complete. */
static int take_end(struct session *s, uint64_t now)
{
	const uint8_t *h = s->head;

	if (s->l.ddigest && be24_at(h + O_DSL) && s->crc_got != ~s->crc)
		return wrong(s, "wrong data digest");
	s->in_data = false;
	s->have = 0;
	if (h[0] == OP_SCSI_RSP || (h[0] == OP_DATA_IN && h[O_FLAGS] & F_STATUS))
		return take_statsn(s, h) ? -1 : tag_end(s, s->tag, h[O_STATUS], now);
	return 0;
}

static void take_data(struct session *s, const uint8_t *p, uint32_t n)
{
	if (s->head[0] == OP_DATA_IN) {
		if (s->tag->buf)
			memcpy(s->tag->buf + s->tag->got, p, n);
		s->tag->got += n;
	} else if (s->head[0] == OP_SCSI_RSP) {
		uint32_t m = n < SENSE - s->sense_len ? n : SENSE - s->sense_len;

		memcpy(s->sense + s->sense_len, p, m);
		s->sense_len += m;
	}
	if (s->l.ddigest)
		s->crc = crc_more(s->crc, p, n);
	s->left -= n;
}

static int session_input(struct session *s, const uint8_t *p, size_t n, uint64_t now)
{
	for (;;) {
		size_t m;

		if (!s->in_data) {
			m = s->head_len - s->have < n ? s->head_len - s->have : n;
			memcpy(s->head + s->have, p, m);
			s->have += (uint32_t)m;
			p += m;
			n -= m;
			if (s->have < s->head_len)
				return 0;
			if (take_head(s))
				return -1;
		}
		m = s->left < n ? s->left : n;
		if (m) {
			take_data(s, p, (uint32_t)m);
			p += m;
			n -= m;
		}
		for (; !s->left && s->pad && n; s->pad--, p++, n--)
			if (s->l.ddigest)
				s->crc = crc_more(s->crc, p, 1);
		for (; !s->left && !s->pad && s->digest && n; s->digest--, p++, n--)
			s->crc_got = s->crc_got >> 8 | (uint32_t)*p << 24;
		if (s->left || s->pad || s->digest)
			return 0;
		if (take_end(s, now))
			return -1;
	}
}

/* The socket is readable: takes what is there, starts what that makes room for. */
static int session_ready(struct session *s, uint64_t *now)
{
	ssize_t n;

	if (g.discard && s->in_data && s->left > 4096 && s->head[0] == OP_DATA_IN &&
	    !s->l.ddigest) {
		n = recv(s->l.fd, st.rx, s->left,
			 MSG_DONTWAIT | MSG_TRUNC); /* the kernel drops it uncopied (tcp(7)) */
		*now = now_ns();
		if (n > 0) {
			s->tag->got += (uint32_t)n;
			s->left -= (uint32_t)n;
			n = 0;
			if (!s->left && session_input(s, st.rx, 0, *now))
				return -1;
			session_fill(s, *now);
			return session_flush(s);
		}
	} else {
		n = recv(s->l.fd, st.rx, RX_LEN, MSG_DONTWAIT);
		*now = now_ns();
	}
	if (n == 0)
		return wrong(s, "the target closed the connection");
	if (n < 0)
		return errno == EAGAIN ? session_flush(s)
				       : wrong(s, "receive: %s", strerror(errno));
	if (session_input(s, st.rx, (size_t)n, *now))
		return -1;
	session_fill(s, *now);
	return session_flush(s);
}

/* ---- birth ---- */

static int session_open(struct session *s, unsigned number)
{
	uint32_t outs = 1, need, seg;

	s->number = number;
	if (link_connect(&s->l, g.offer.host, g.offer.port))
		return -1;
	if (g.floor) {
		s->l.peer_mrdsl = s->l.mrdsl = s->l.max_burst = s->l.first_burst = (1 << 24) - 1;
		s->l.immediate = true;
	} else if (link_login(&s->l, &g.offer, number)) {
		return -1;
	}
	for (unsigned i = 0; i < g.nluns && !g.floor; i++)
		if (link_capacity(&s->l, g.luns[i].address, &g.luns[i].blocks,
				  &g.luns[i].block_size))
			return -1;
	if (probe.on && !number && probe_begin(&s->l))
		return -1;
	seg = s->l.peer_mrdsl < 512 ? 512 : s->l.peer_mrdsl;
	need = g.qd * (g.len_max / seg + g.len_max / (s->l.max_burst < 512 ? 512 : s->l.max_burst) +
		       3) +
	       64;
	if (g.fenced)			/* an aborted write's Data-Out may still wait there */
		need *= 2;
	while (outs < need)
		outs *= 2;
	s->out_mask = outs - 1;
	s->head_len = BHS_LEN + (s->l.hdigest ? 4 : 0);
	s->heads = malloc((size_t)outs * s->head_len);
	s->outs = malloc((size_t)outs * sizeof(*s->outs));
	s->ntags = g.qd + (probe.on && !number);
	s->tags = calloc(s->ntags + 1, sizeof(*s->tags));
	s->free_tags = malloc((g.qd + 1) * sizeof(*s->free_tags));
	if (!s->heads || !s->outs || !s->tags || !s->free_tags)
		return wrong(s, "no memory");
	s->tags[g.qd].itt = g.qd;
	for (uint32_t i = 0; i < g.qd; i++) {
		s->tags[i].itt = i;
		s->free_tags[s->nfree++] = g.qd - 1 - i;
		if (g.verify && !(s->tags[i].buf = malloc(g.len_max)))
			return wrong(s, "no memory");
	}
	return 0;
}

#endif
