/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter "delay": holds I/Os back for a time.
 *
 *	op=read+write	which (default all)
 *	ms=50		every one for 50 ms; the same as min_us=50000,max_us=50000
 *	min_us=, max_us=	a time between these, evenly spread
 *	seed=1		what the spread follows; the same seed gives the same times for the same
 *			order of I/Os
 *	after		the I/O is carried out at once and its end held back; else it is held back
 *			itself
 */
#include <stdio.h>
#include <stdlib.h>

#include "backends/filter.h"

struct delay {
	uint32_t ops;
	uint64_t ms, min_us, max_us, seed;
	bool after;
	_Atomic uint64_t counter;
};

static const struct filter_arg delay_args[] = {
	{ "op", ARG_OPS, offsetof(struct delay, ops) },
	{ "ms", ARG_U64, offsetof(struct delay, ms) },
	{ "min_us", ARG_U64, offsetof(struct delay, min_us) },
	{ "max_us", ARG_U64, offsetof(struct delay, max_us) },
	{ "seed", ARG_U64, offsetof(struct delay, seed) },
	{ "after", ARG_SWITCH, offsetof(struct delay, after) },
};

static int delay_open(struct backend *be, const struct backend_options *o)
{
	struct delay *d = calloc(1, sizeof(*d));
	const uint64_t hour_us = 3600ull * 1000 * 1000;
	int r;

	if (!d)
		return -ENOMEM;
	d->ops = (1u << IO_OPS) - 1;
	d->seed = 1;
	r = filter_args(be, o->filters, delay_args, sizeof(delay_args) / sizeof(delay_args[0]), d);
	if (!r && d->ms > hour_us / 1000)
		r = backend_fail(be, -EINVAL, "filter delay: more than an hour");
	if (!r && d->ms)
		d->min_us = d->max_us = d->ms * 1000;
	if (!r && d->max_us < d->min_us)
		d->max_us = d->min_us;
	if (!r && (!d->max_us || d->max_us > hour_us))
		r = backend_fail(be, -EINVAL,
				 "filter delay: give ms= or max_us=, from 1 us to an hour");
	if (r) {
		free(d);
		return r;
	}
	be->priv = d;
	return 0;
}

static void delay_close(struct backend *be)
{
	free(be->priv);
}

static void delay_over(struct timer *t)
{
	struct filter_io *f = container(t, struct filter_io, timer);
	const struct delay *d = f->be->priv;

	if (d->after)
		filter_io_end(f, f->io.result);
	else
		filter_io_down(f);
}

static void delay_done(struct io_req *io)
{
	struct filter_io *f = filter_io_of(io);

	if (f->n)
		timer_arm_us(&f->timer, f->n);
	else
		filter_io_end(f, io->result);
}

static void delay_submit(struct backend *be, struct io_req *io)
{
	struct delay *d = be->priv;
	struct filter_io *f = filter_io_new(be, io, filter_io_pass);
	uint64_t us;

	if (!f)
		return;
	if (!(d->ops >> io->op & 1)) {
		filter_io_down(f);
		return;
	}
	us = d->min_us +
	     filter_random(d->seed, atomic_fetch_add(&d->counter, 1)) % (d->max_us - d->min_us + 1);
	f->timer.fn = delay_over;
	if (d->after) {
		f->n = us;
		f->io.done = delay_done;
		filter_io_down(f);
	} else {
		timer_arm_us(&f->timer, us);
	}
}

const struct backend_ops delay_ops = {
	.type = "delay",
	.open = delay_open,
	.close = delay_close,
	.submit = delay_submit,
};
