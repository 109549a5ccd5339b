/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter "log": a debug line for every I/O that ends, for looking for a fault; the rule of one
 * line per state change does not apply to it. No arguments.
 *
 *	event=io lun=csv1 op=write off=4096 len=8192 flags=0 us=137 result=0
 */
#include <stdlib.h>
#include <string.h>

#include "backends/filter.h"
#include "target/log.h"

static int iolog_open(struct backend *be, const struct backend_options *o)
{
	int r = filter_args(be, o->filters, NULL, 0, NULL);

	if (r)
		return r;
	be->priv = strdup(o->name ? o->name : "");
	return be->priv ? 0 : -ENOMEM;
}

static void iolog_close(struct backend *be)
{
	free(be->priv);
}

static void iolog_done(struct io_req *io)
{
	struct filter_io *f = filter_io_of(io);

	log_debug("event=io lun=%s op=%s off=%llu len=%llu flags=%u us=%llu result=%d",
		  LOG_Q(f->be->priv), io_op_name(io->op), (unsigned long long)io->off,
		  (unsigned long long)io->len, io->flags,
		  (unsigned long long)(reactor_now() - f->began) / 1000, io->result);
	filter_io_end(f, io->result);
}

static void iolog_submit(struct backend *be, struct io_req *io)
{
	struct filter_io *f = filter_io_new(be, io, iolog_done);

	if (f)
		filter_io_down(f);
}

const struct backend_ops iolog_ops = {
	.type = "log",
	.open = iolog_open,
	.close = iolog_close,
	.submit = iolog_submit,
};
