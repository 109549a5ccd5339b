/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One LU on a disk in memory and a shell that takes one command at a time through scsi_step() and
 * writes down what it was told to do. The trace is the specification: a test compares it with a
 * string. Every buffer has exactly the size asked for, so that a sanitizer sees a byte too many,
 * and what the step may never do is asserted here, once, for tests and fuzzers alike.
 */
#ifndef TESTS_STEP_WORLD_H
#define TESTS_STEP_WORLD_H

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pr/pr.h"
#include "scsi/cmd.h"
#include "scsi/table.h"

enum { WORLD_SIZE = 8 << 20, WORLD_PAGE = 4096, WORLD_ALL = (1 << PRC_COUNT) - 1 };

struct step_world {
	struct lu_ident id;
	struct scsi_target target;
	uint16_t tpgt, lun;
	struct nexus nexus;
	struct lu_value v;
	bool no_lu;
	struct gate gate;
	uint8_t *disk;				/* WORLD_SIZE bytes */
	bool mapped[WORLD_SIZE / WORLD_PAGE];
	/* The io'th I/O of the next command (from 1) ends with err. */
	unsigned fail_io;
	int fail_err;
	/* Called before each event but the first: may change the world under the command. */
	void (*between)(struct step_world *w, enum scsi_event ev);
	/* The LU's home: answers a change in w->c.status and sense. NULL: GOOD, nothing changes. */
	void (*change)(struct step_world *w);
	/* The last command. */
	struct scsi_cmd c;
	unsigned nio, steps;
	bool held;
	char trace[4096];
	size_t tracelen;
};

/* disk: WORLD_SIZE bytes, whose content stays; world_fini() frees it. */
static inline void world_init_on(struct step_world *w, uint8_t *disk)
{
	assert(disk);
	memset(w, 0, sizeof(*w));
	w->disk = disk;
	w->tpgt = 1;
	w->target = (struct scsi_target){ .name = "iqn.2026-11.com.example:t", .tpgts = &w->tpgt,
					  .ntpgts = 1, .luns = &w->lun, .nluns = 1 };
	w->id = (struct lu_ident){ .reserve6 = true, .name = "disk",
				   .serial = "0123456789abcdef0123456789abcdef" };
	w->nexus = (struct nexus){ .tpgt = 1, .initiator = "iqn.2026-11.com.example:i" };
	w->v = (struct lu_value){
		.epoch = 1, .id = &w->id, .target = &w->target, .block_size = 512, .phys_exp = 3,
		.caps = { .size = WORLD_SIZE, .discard_granularity = WORLD_PAGE, .align = 512,
			  .extents = true },
		.modes = { .wce = true }, .pr = pr_none,
	};
	w->gate.access = WORLD_ALL;
}

static inline void world_init(struct step_world *w)
{
	world_init_on(w, calloc(1, WORLD_SIZE));
}

static inline void world_drop(struct step_world *w)
{
	free(w->c.in);
	free(w->c.out);
	free(w->c.scratch);
	memset(&w->c, 0, sizeof(w->c));
}

static inline void world_fini(struct step_world *w)
{
	world_drop(w);
	free(w->disk);
}

static inline void __attribute__((format(printf, 2, 3)))
world_say(struct step_world *w, const char *fmt, ...)
{
	size_t room = sizeof(w->trace) - w->tracelen;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->trace + w->tracelen, room, fmt, ap);
	va_end(ap);
	w->tracelen += (size_t)n < room ? (size_t)n : room - 1;
}

static inline void world_map(struct step_world *w, uint64_t off, uint64_t len, bool mapped)
{
	/* Writing maps every page it touches, discarding unmaps those that are covered. */
	uint64_t from = mapped ? off / WORLD_PAGE : (off + WORLD_PAGE - 1) / WORLD_PAGE;
	uint64_t to = mapped ? (off + len + WORLD_PAGE - 1) / WORLD_PAGE : (off + len) / WORLD_PAGE;

	for (; from < to; from++)
		w->mapped[from] = mapped;
}

static inline void world_extent(struct step_world *w, struct scsi_io *io)
{
	uint64_t page = io->off / WORLD_PAGE, end = page;

	io->answer.extent.mapped = w->mapped[page];
	while (end * WORLD_PAGE < io->off + io->len && w->mapped[end] == w->mapped[page])
		end++;
	io->answer.extent.len = end * WORLD_PAGE - io->off;
	if (io->answer.extent.len > io->len)
		io->answer.extent.len = io->len;
}

/* What the backend contract wants (backends/backend.h) and what cmd.h promises about areas. */
static inline uint8_t *world_io_check(struct step_world *w, const struct scsi_io *io)
{
	struct scsi_cmd *c = &w->c;
	uint8_t *base = NULL;
	uint32_t need = 0;

	assert(io->op < IO_OPS && io->area <= AREA_SCRATCH);
	if (io->op == IO_FLUSH || io->op == IO_SPACE) {
		assert(io->area == AREA_NONE);
		return NULL;
	}
	assert(io->len > 0 && io->off <= w->v.caps.size && io->len <= w->v.caps.size - io->off);
	assert(io->off % w->v.block_size == 0 && io->len % w->v.block_size == 0);
	if (io->op != IO_READ && io->op != IO_WRITE)
		return NULL;
	assert(io->len <= IO_UNIT_MAX && io->area != AREA_NONE);
	if (io->area == AREA_IN)
		base = c->in, need = c->need_in;
	else if (io->area == AREA_OUT)
		base = c->out, need = c->need_out;
	else
		base = c->scratch, need = c->need_scratch;
	assert(base && io->area_off <= need && io->len <= need - io->area_off);
	return base + io->area_off;
}

static inline void world_io(struct step_world *w)
{
	static const char *const ops[IO_OPS] = {
		"read", "write", "flush", "discard", "zero", "extent", "space", "prefetch"
	};
	static const char *const areas[] = { "", " in", " out", " scratch" };
	struct scsi_io *io = &w->c.io;
	uint8_t *buf = world_io_check(w, io);

	world_say(w, "%s", ops[io->op]);
	if (io->len)
		world_say(w, " %llu+%llu", (unsigned long long)io->off,
			  (unsigned long long)io->len);
	if (io->area)
		world_say(w, "%s+%u", areas[io->area], io->area_off);
	if (io->flags)
		world_say(w, " %s", io->flags == IO_F_UNMAP ? "unmap" : "atomic");
	world_say(w, "; ");
	io->result = 0;
	if (++w->nio == w->fail_io) {
		io->result = w->fail_err;
		return;
	}
	switch (io->op) {
	case IO_READ:
		memcpy(buf, w->disk + io->off, io->len);
		break;
	case IO_WRITE:
		memcpy(w->disk + io->off, buf, io->len);
		world_map(w, io->off, io->len, true);
		break;
	case IO_ZERO:
		memset(w->disk + io->off, 0, io->len);
		world_map(w, io->off, io->len, !(io->flags & IO_F_UNMAP));
		break;
	case IO_DISCARD:
		memset(w->disk + io->off, 0, io->len);
		world_map(w, io->off, io->len, false);
		break;
	case IO_EXTENT:
		world_extent(w, io);
		break;
	default:
		break;
	}
}

static inline void world_buffers(struct step_world *w)
{
	struct scsi_cmd *c = &w->c;

	if (!c->in && c->need_in)
		c->in = malloc(c->need_in);
	if (!c->scratch && c->need_scratch)
		c->scratch = malloc(c->need_scratch);
	if (c->need_in)
		memset(c->in, c->pos ? c->in[0] : 0xee, c->pos ? 1 : c->need_in);
}

static inline void world_end(struct step_world *w)
{
	struct scsi_cmd *c = &w->c;
	const struct sense *s = &c->sense;

	assert(c->in_len <= c->need_in);
	if (c->status == SAM_GOOD)
		world_say(w, "GOOD");
	else if (c->status == SAM_CHECK_CONDITION)
		world_say(w, "CHECK %x/%02x/%02x", s->key, s->asc, s->ascq);
	else
		world_say(w, "STATUS %02x", c->status);
	if (c->status == SAM_CHECK_CONDITION && s->sks_valid) {
		world_say(w, " %s:%u", s->sks[0] & 0x40 ? "cdb" : "param",
			  s->sks[1] << 8 | s->sks[2]);
		if (s->sks[0] & 0x08)
			world_say(w, ".%u", s->sks[0] & 7);
	}
	if (c->status == SAM_CHECK_CONDITION && s->info_valid)
		world_say(w, " info=%llu", (unsigned long long)s->info);
	if (c->in_len)
		world_say(w, " in=%u", c->in_len);
	if (c->want)
		world_say(w, " want=%llu", (unsigned long long)c->want);
	if (c->flush_failed)
		world_say(w, " flush-failed");
}

/*
 * Runs one command. edtl bytes in direction dir; out: that many bytes of data-out, or NULL for
 * none. Gives the trace. w->c and its buffers stay until the next run.
 */
static inline const char *world_run(struct step_world *w, const uint8_t *cdb, size_t cdb_len,
				    enum op_dir dir, uint32_t edtl, const void *out)
{
	struct scsi_cmd *c = &w->c;
	enum scsi_event ev = SCSI_EV_ARRIVED;

	world_drop(w);
	w->tracelen = w->nio = w->steps = 0;
	w->held = false;
	w->trace[0] = 0;
	memcpy(c->cdb, cdb, cdb_len);
	c->cdb_len = 16;
	c->attr = ATTR_SIMPLE;
	c->dir_in = dir == OP_DIR_IN;
	c->dir_out = dir == OP_DIR_OUT;
	c->edtl = edtl;
	c->nexus = &w->nexus;
	c->target = &w->target;
	for (;;) {
		enum scsi_next next;

		if (ev != SCSI_EV_ARRIVED && w->between)
			w->between(w, ev);
		if (++w->steps > 100000)
			return "too many steps";
		next = scsi_step(c, w->no_lu ? NULL : &w->v, w->no_lu ? NULL : &w->gate, ev);
		switch (next) {
		case SCSI_COMPLETE:
			world_end(w);
			return w->trace;
		case SCSI_BUFFERS:
			assert(c->need_in || c->need_scratch);
			world_say(w, "buffers %u; ", c->need_in + c->need_scratch);
			world_buffers(w);
			ev = SCSI_EV_READY;
			break;
		case SCSI_GATHER:
			assert(c->need_out && c->need_out <= edtl && c->dir_out && !c->out);
			world_say(w, "gather %u; ", c->need_out);
			world_buffers(w);
			c->out = malloc(c->need_out);
			if (out)
				memcpy(c->out, out, c->need_out);
			else
				memset(c->out, 0, c->need_out);
			ev = SCSI_EV_READY;
			break;
		case SCSI_HOLD:
			assert(c->hold_len && !w->held);
			assert(!c->need_out || c->out);	/* the data is complete before a hold */
			world_say(w, "hold %llu+%llu; ", (unsigned long long)c->hold_off,
				  (unsigned long long)c->hold_len);
			w->held = true;
			ev = SCSI_EV_HELD;
			break;
		case SCSI_CHANGE:
			world_say(w, "change %u; ", c->need_out);
			c->status = SAM_GOOD;
			if (w->change)
				w->change(w);
			ev = SCSI_EV_CHANGED;
			break;
		case SCSI_IO:
			world_buffers(w);
			if (io_changes_medium(c->io.op) && !scsi_recheck(c, &w->gate)) {
				world_end(w);
				return w->trace;
			}
			world_io(w);
			ev = SCSI_EV_IO;
			break;
		}
	}
}

/* True when the trace is as wanted; else both are printed. */
static inline bool world_trace_is(const char *got, const char *want, int line)
{
	if (!strcmp(got, want))
		return true;
	fprintf(stderr, "line %d:\n  want %s\n  got  %s\n", line, want, got);
	return false;
}

/* Runs a CDB given as bytes and compares its trace. For use with CUnit. */
#define TRACE(w, dir, edtl, out, want, ...) do {						\
	static const uint8_t cdb_[] = { __VA_ARGS__ };						\
	CU_ASSERT(world_trace_is(world_run((w), cdb_, sizeof(cdb_), (dir), (edtl), (out)),	\
				 (want), __LINE__));						\
} while (0)

#define IN OP_DIR_IN
#define OUT OP_DIR_OUT
#define NONE OP_DIR_NONE

/* Big-endian fields of a CDB. */
#define B2(x) (uint8_t)((x) >> 8), (uint8_t)(x)
#define B4(x) B2((uint32_t)(x) >> 16), B2((uint32_t)(x))
#define B8(x) B4((uint64_t)(x) >> 32), B4((uint64_t)(x))

#endif
