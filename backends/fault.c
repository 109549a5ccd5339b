/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter "fault": things that go wrong, at the same I/Os in every run.
 *
 * Which I/Os:
 *	op=read+write	of these kinds (default all; write for torn)
 *	off=, len=	that touch these bytes (flush and space touch none)
 *	while=PATH	as long as this file exists (looked at for every such I/O)
 * Which of those, counted from 1:
 *	first=N		not before the Nth (default 1)
 *	every=N		then every Nth (default 1)
 *	count=N		at most N in all (default: no end)
 *	permille=P, seed=S	and then only P of 1000, chosen by the seed
 * What happens to them:
 *	err=EIO		they fail (the default, when nothing else is said)
 *	torn=N		writes write their first N bytes, then fail; N is rounded down to what the
 *			store can write
 *	after		they are carried out, and fail nevertheless
 *	ms=N		they take so much longer; without err, torn or after they then succeed
 *	hang		they stand still until fault_release(), or until while's file is removed;
 *			then they are carried out as if nothing had been, unless err, torn or after
 *			is given too
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/filter.h"
#include "target/log.h"

enum { HANG_POLL_MS = 20 };

struct fault {
	uint32_t ops;
	uint64_t off, len, first, every, count, permille, seed, torn, ms;
	char path[ARG_PATH_MAX];
	int err;
	bool after, hang;
	atomic_bool released;
	_Atomic uint64_t seen, done;
	char name[72];
};

static const struct filter_arg fault_args[] = {
	{ "op", ARG_OPS, offsetof(struct fault, ops) },
	{ "off", ARG_U64, offsetof(struct fault, off) },
	{ "len", ARG_U64, offsetof(struct fault, len) },
	{ "while", ARG_PATH, offsetof(struct fault, path) },
	{ "first", ARG_U64, offsetof(struct fault, first) },
	{ "every", ARG_U64, offsetof(struct fault, every) },
	{ "count", ARG_U64, offsetof(struct fault, count) },
	{ "permille", ARG_U64, offsetof(struct fault, permille) },
	{ "seed", ARG_U64, offsetof(struct fault, seed) },
	{ "err", ARG_ERRNO, offsetof(struct fault, err) },
	{ "torn", ARG_U64, offsetof(struct fault, torn) },
	{ "after", ARG_SWITCH, offsetof(struct fault, after) },
	{ "ms", ARG_U64, offsetof(struct fault, ms) },
	{ "hang", ARG_SWITCH, offsetof(struct fault, hang) },
};

static int fault_validate(struct backend *be, struct fault *f)
{
	const uint32_t all = (1u << IO_OPS) - 1;

	if (f->torn != UINT64_MAX && f->ops == all)
		f->ops = 1u << IO_WRITE;
	if (f->torn != UINT64_MAX && f->ops != 1u << IO_WRITE)
		return backend_fail(be, -EINVAL, "filter fault: torn is for writes, leave op= out");
	if (f->torn != UINT64_MAX && f->after)
		return backend_fail(be, -EINVAL, "filter fault: torn and after exclude each other");
	if (!f->every || !f->first)
		return backend_fail(be, -EINVAL, "filter fault: first and every count from 1");
	if (f->permille > 1000)
		return backend_fail(be, -EINVAL, "filter fault: permille is at most 1000");
	if (f->ms > 3600 * 1000)
		return backend_fail(be, -EINVAL, "filter fault: ms is at most an hour");
	if (f->off && !f->len)
		return backend_fail(be, -EINVAL, "filter fault: off needs a len");
	if (!f->err && (f->torn != UINT64_MAX || f->after || (!f->ms && !f->hang)))
		f->err = -EIO;
	return 0;
}

static int fault_open(struct backend *be, const struct backend_options *o)
{
	struct fault *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->ops = (1u << IO_OPS) - 1;
	f->first = f->every = f->seed = 1;
	f->permille = 1000;
	f->torn = UINT64_MAX;
	snprintf(f->name, sizeof(f->name), "%s", o->name ? o->name : "");
	r = filter_args(be, o->filters, fault_args, sizeof(fault_args) / sizeof(fault_args[0]), f);
	if (!r)
		r = fault_validate(be, f);
	if (r) {
		free(f);
		return r;
	}
	be->priv = f;
	return 0;
}

static void fault_close(struct backend *be)
{
	free(be->priv);
}

static bool fault_armed(const struct fault *f)
{
	return !f->path[0] || !access(f->path, F_OK);
}

/* Is it this one's turn to go wrong? Counts. */
static bool fault_hits(struct fault *f, const struct io_req *io)
{
	uint64_t n;

	if (!(f->ops >> io->op & 1))
		return false;
	if (f->len) {
		if (io->op == IO_FLUSH || io->op == IO_SPACE)
			return false;
		/* off + len of the arguments may pass 2^64. */
		if (io->off < f->off ? f->off - io->off >= io->len : io->off - f->off >= f->len)
			return false;
	}
	if (!fault_armed(f))
		return false;
	n = atomic_fetch_add(&f->seen, 1) + 1;
	if (n < f->first || (n - f->first) % f->every)
		return false;
	if (f->permille < 1000 && filter_random(f->seed, n) % 1000 >= f->permille)
		return false;
	return atomic_fetch_add(&f->done, 1) < f->count || !f->count;
}

/* It was carried out, or its first part. */
static void fault_done(struct io_req *io)
{
	struct filter_io *fio = filter_io_of(io);
	const struct fault *f = fio->be->priv;

	filter_io_end(fio, io->result ? io->result : f->err);
}

/* The waiting is over, if there was any: carries out what is to be carried out. On a timer. */
static void fault_act(struct filter_io *fio)
{
	const struct fault *f = fio->be->priv;
	uint64_t part = f->torn < fio->io.len ? f->torn : fio->io.len;

	part -= part % fio->be->caps.align;
	if (f->torn != UINT64_MAX && part) {
		fio->io.len = part;
		fio->io.flags &= ~(uint32_t)IO_F_ATOMIC;
		fio->io.done = fault_done;
	} else if (f->after) {
		fio->io.done = fault_done;
	} else if (f->err) {
		filter_io_end(fio, f->err);
		return;
	}
	filter_io_down(fio);
}

static void fault_timer(struct timer *t)
{
	struct filter_io *fio = container(t, struct filter_io, timer);
	struct fault *f = fio->be->priv;

	if (f->hang && !atomic_load(&f->released) && !(f->path[0] && !fault_armed(f)))
		timer_arm(t, HANG_POLL_MS);
	else
		fault_act(fio);
}

static void fault_submit(struct backend *be, struct io_req *io)
{
	struct filter_io *fio = filter_io_new(be, io, filter_io_pass);
	struct fault *f = be->priv;

	if (!fio)
		return;
	if (!fault_hits(f, io)) {
		filter_io_down(fio);
		return;
	}
	log_info("event=fault lun=%s op=%s off=%llu len=%llu", LOG_Q(f->name), io_op_name(io->op),
		 (unsigned long long)io->off, (unsigned long long)io->len);
	fio->timer.fn = fault_timer;
	timer_arm(&fio->timer, f->ms);
}

void fault_release(struct backend *be)
{
	while ((be = filter_find(be, &fault_ops))) {
		atomic_store(&((struct fault *)be->priv)->released, true);
		be = be->next;
	}
}

const struct backend_ops fault_ops = {
	.type = "fault",
	.open = fault_open,
	.close = fault_close,
	.submit = fault_submit,
};
