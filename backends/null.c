/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing: reads are zeroes, writes vanish. For measuring what is above it. */
#include <stdio.h>
#include <string.h>

#include "backends/impl.h"

static int null_open(struct backend *be, const struct backend_options *o)
{
	if (!o->size)
		return backend_fail(be, -EINVAL, "a null backend needs a size");
	be->caps = (struct io_caps){
		.size = o->size,
		.discard_granularity = 32768,
		.align = 1,
		.extents = true,
		.readonly = o->readonly,
	};
	snprintf(be->about, sizeof(be->about), "engine=null");
	return 0;
}

static void null_close(struct backend *be)
{
}

static void null_submit(struct backend *be, struct io_req *io)
{
	if (io->op == IO_READ)
		memset(io->buf, 0, io->len);
	if (io->op == IO_EXTENT) {
		io->answer.extent.len = io->len;
		io->answer.extent.mapped = false;
	}
	if (io->op == IO_SPACE) {
		io->answer.space.used = 0;
		io->answer.space.avail = be->caps.size;
	}
	backend_complete_later(io, 0);
}

const struct backend_ops null_ops = {
	.type = "null",
	.open = null_open,
	.close = null_close,
	.submit = null_submit,
};
