/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter "check": ends the program when someone around it breaks the contract in a way that
 * backend_submit() cannot see. For tests.
 *
 *	(always)	the buffer of a write is not changed before the write ends; nothing is under
 *			way at close
 *	verify		reads back after every write, and every discard and zero of at most 1 MiB.
 *			Only where nobody writes the same place at the same time
 *	atomic=64K	says that writes up to this length are atomic (caps.atomic_max), which this
 *			filter cannot make true
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/filter.h"
#include "scsi/limits.h"

struct check {
	bool verify;
	uint64_t atomic;
	_Atomic uint64_t under_way;
};

/* What check knows of one I/O, at filter_io.p. */
struct witness {
	uint64_t sum;			/* of a write's data at submit */
	char *copy;			/* what is read back */
};

static const struct filter_arg check_args[] = {
	{ "verify", ARG_SWITCH, offsetof(struct check, verify) },
	{ "atomic", ARG_U64, offsetof(struct check, atomic) },
};

static int check_open(struct backend *be, const struct backend_options *o)
{
	struct check *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	r = filter_args(be, o->filters, check_args, sizeof(check_args) / sizeof(check_args[0]), c);
	if (!r && (c->atomic > IO_UNIT_MAX || c->atomic % o->block_size))
		r = backend_fail(be, -EINVAL, "filter check: atomic is whole blocks, at most 1M");
	if (r) {
		free(c);
		return r;
	}
	if (c->atomic)
		be->caps.atomic_max = (uint32_t)c->atomic;
	be->priv = c;
	return 0;
}

static void check_close(struct backend *be)
{
	struct check *c = be->priv;

	assert(!atomic_load(&c->under_way));
	free(c);
}

/* FNV-1a, eight bytes at a time. */
static uint64_t data_sum(const void *data, uint64_t len)
{
	uint64_t sum = 0xcbf29ce484222325u, word;
	const char *p = data;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		sum = (sum ^ word) * 0x100000001b3u;
	}
	for (; len; p++, len--)
		sum = (sum ^ (unsigned char)*p) * 0x100000001b3u;
	return sum;
}

static void check_broken(const struct io_req *io, const char *what)
{
	fprintf(stderr, "check: %s: %s off=%llu len=%llu\n", what, io_op_name(io->op),
		(unsigned long long)io->off, (unsigned long long)io->len);
	abort();
}

static void check_end(struct filter_io *f, int result)
{
	struct check *c = f->be->priv;
	struct witness *w = f->p;

	if (w)
		free(w->copy);
	atomic_fetch_sub(&c->under_way, 1);
	filter_io_end(f, result);
}

static void check_read_back(struct io_req *io)
{
	struct filter_io *f = filter_io_of(io);
	struct io_req *up = f->up;
	struct witness *w = f->p;

	if (io->result)
		check_broken(up, "what was written could not be read");
	if (up->op == IO_WRITE && memcmp(w->copy, up->buf, up->len))
		check_broken(up, "what was written does not read back");
	if (up->op != IO_WRITE && (w->copy[0] || memcmp(w->copy, w->copy + 1, up->len - 1)))
		check_broken(up, "what was cleared does not read back zeroes");
	check_end(f, 0);
}

static void check_done(struct io_req *io)
{
	struct filter_io *f = filter_io_of(io);
	struct check *c = f->be->priv;
	struct witness *w = f->p;

	if (io->op == IO_WRITE && data_sum(io->buf, io->len) != w->sum)
		check_broken(io, "the buffer changed under a write");
	if (io->result || !c->verify || !io_changes_medium(io->op) || io->len > IO_UNIT_MAX) {
		check_end(f, io->result);
		return;
	}
	w->copy = aligned_alloc(4096, (io->len + 4095) / 4096 * 4096);
	if (!w->copy)
		abort();
	memset(w->copy, 0xaa, io->len);
	f->io = (struct io_req){
		.op = IO_READ,
		.off = io->off,
		.len = io->len,
		.buf = w->copy,
		.done = check_read_back,
	};
	filter_io_down(f);
}

static void check_submit(struct backend *be, struct io_req *io)
{
	struct filter_io *f = filter_io_new(be, io, check_done);
	struct check *c = be->priv;
	struct witness *w;

	if (!f)
		return;
	f->p = w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	atomic_fetch_add(&c->under_way, 1);
	if (io->op == IO_WRITE)
		w->sum = data_sum(io->buf, io->len);
	f->io.flags &= ~(uint32_t)IO_F_ATOMIC;
	filter_io_down(f);
}

const struct backend_ops check_ops = {
	.type = "check",
	.open = check_open,
	.close = check_close,
	.submit = check_submit,
};
