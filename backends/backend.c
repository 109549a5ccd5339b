/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a store with its filters, and the contract (backend.h), asserted here for all of them. */
#include "backends/backend.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/impl.h"
#include "scsi/limits.h"

static const struct backend_ops *const backend_types[] = { &file_ops, &memory_ops, &null_ops };
static const struct backend_ops *const filter_types[] = {
	&fault_ops, &delay_ops, &iolog_ops, &volatile_ops, &check_ops,
};

/* How deep this thread is inside backend_submit(): nothing may complete there. */
static _Thread_local unsigned submitting;

/* What this reactor answers at the end of its turn. */
static _Thread_local struct {
	struct io_req *head, **tail;
	struct defer defer;
} ready;

int backend_fail(struct backend *be, int err, const char *fmt, ...)
{
	va_list ap;

	assert(err < 0);
	va_start(ap, fmt);
	vsnprintf(be->errbuf, sizeof(be->errbuf), fmt, ap);
	va_end(ap);
	return err;
}

const struct io_caps *backend_caps(const struct backend *be)
{
	return &be->caps;
}

/* ---- open, retry, close ---------------------------------------------------------------------- */

static const struct backend_ops *ops_find(const struct backend_ops *const *table, size_t n,
					  const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(table[i]->type) == len && !memcmp(table[i]->type, name, len))
			return table[i];
	return NULL;
}
#define OPS_FIND(table, name, len) ops_find(table, sizeof(table) / sizeof((table)[0]), name, len)

/*
 * Opens one link of the chain over next. *out is the new outermost link; on failure the chain under
 * it is untouched.
 * -EWOULDBLOCK counts as opened.
 */
static int link_open(const struct backend_ops *ops, const struct backend_options *o,
		     struct backend *next, struct backend **out, char *err, size_t errlen)
{
	struct backend *be = calloc(1, sizeof(*be));
	int r;

	if (!be) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	be->ops = ops;
	be->next = next;
	if (next) {
		be->caps = next->caps;
		memcpy(be->about, next->about, sizeof(be->about));
	}
	r = ops->open(be, o);
	if (r)
		snprintf(err, errlen, "%s", be->errbuf[0] ? be->errbuf : strerror(-r));
	if (r && r != -EWOULDBLOCK) {
		free(be);
		return r;
	}
	be->busy = r == -EWOULDBLOCK || (next && next->busy);
	assert(be->caps.align && is_power_of_two(be->caps.align));
	assert(be->busy || be->caps.size);
	*out = be;
	return r;
}

/* Opens the filters named in o->filters over *be, innermost (the last) first. */
static int filters_open(const struct backend_options *o, struct backend **be, char *err,
			size_t errlen)
{
	struct backend_options fo = *o;
	char *list = strdup(o->filters), *item, *colon;
	const struct backend_ops *ops;
	int r = 0;

	if (!list) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	do {
		item = strrchr(list, '|');
		item = item ? item + 1 : list;
		colon = strchr(item, ':');
		ops = OPS_FIND(filter_types, item, colon ? (size_t)(colon - item) : strlen(item));
		if (!ops) {
			snprintf(err, errlen,
				 "no filter \"%.60s\" (expected fault, delay, log, volatile or "
				 "check)",
				 item);
			r = -EINVAL;
			break;
		}
		fo.filters = colon && colon[1] ? colon + 1 : NULL;
		r = link_open(ops, &fo, *be, be, err, errlen);
		if (item > list)
			item[-1] = 0;
	} while (!r && item > list);
	free(list);
	return r;
}

int backend_open(const struct backend_options *o, struct backend **out, char *err, size_t errlen)
{
	const struct backend_ops *ops = OPS_FIND(backend_types, o->type, strlen(o->type));
	struct backend *be = NULL;
	int r, busy;

	*out = NULL;
	assert(errlen);
	err[0] = 0;
	if (!ops) {
		snprintf(err, errlen, "no backend \"%s\" (there are file, memory, null)", o->type);
		return -EINVAL;
	}
	if (!is_power_of_two(o->block_size) || o->block_size < 512 || o->block_size > 65536) {
		snprintf(err, errlen, "block size %u is not a power of two from 512 to 65536",
			 o->block_size);
		return -EINVAL;
	}
	if (o->size % o->block_size || o->size > INT64_MAX) {
		snprintf(err, errlen, "size %llu is not a whole number of %u-byte blocks",
			 (unsigned long long)o->size, o->block_size);
		return -EINVAL;
	}
	r = busy = link_open(ops, o, NULL, &be, err, errlen);
	if (be && o->filters && o->filters[0])
		r = filters_open(o, &be, err, errlen);
	if (r && r != -EWOULDBLOCK) {
		if (be)
			backend_close(be);
		return r;
	}
	*out = be;
	return busy;
}

int backend_retry(struct backend *be)
{
	struct backend *bottom = be;
	int r = 0;

	while (bottom->next)
		bottom = bottom->next;
	if (__atomic_load_n(&bottom->busy, __ATOMIC_ACQUIRE)) {
		assert(bottom->ops->retry);
		r = bottom->ops->retry(bottom);
	}
	if (r) {
		if (bottom != be)
			memcpy(be->errbuf, bottom->errbuf, sizeof(be->errbuf));
		return r;
	}
	/* Innermost first, so that whoever finds the outermost open finds all of them open. */
	for (struct backend *end = NULL, *p; end != be; end = p) {
		for (p = be; p->next != end && p->next; p = p->next)
			;
		__atomic_store_n(&p->busy, false, __ATOMIC_RELEASE);
	}
	return 0;
}

void backend_clear_error(struct backend *be)
{
	for (; be; be = be->next)
		if (be->ops->clear_error && !__atomic_load_n(&be->busy, __ATOMIC_ACQUIRE))
			be->ops->clear_error(be);
}

void backend_close(struct backend *be)
{
	struct backend *next;

	for (; be; be = next) {
		next = be->next;
		be->ops->close(be);
		free(be);
	}
}

/* ---- submit and complete --------------------------------------------------------------------- */

/* What the core may ask and a store may not be able to do: -errno for it. */
static int io_refuse(const struct backend *be, const struct io_req *io)
{
	if (__atomic_load_n(&be->busy, __ATOMIC_ACQUIRE))
		return -EBUSY;
	if (be->caps.readonly && io_changes_medium(io->op))
		return -EROFS;
	if (io->op == IO_DISCARD && !be->caps.discard_granularity)
		return -EOPNOTSUPP;
	return 0;
}

static void io_assert(const struct backend *be, const struct io_req *io)
{
	const struct io_caps *caps = &be->caps;

	assert(io->op < IO_OPS && io->done && !io->pending);
	assert(io->from);
	if (io->op == IO_FLUSH || io->op == IO_SPACE)
		return;
	assert(io->len > 0 && io->off <= caps->size && io->len <= caps->size - io->off);
	assert(!((io->off | io->len) & (caps->align - 1)));
	if (io->op != IO_READ && io->op != IO_WRITE)
		return;
	assert(io->len <= IO_UNIT_MAX);
	assert(io->buf && !((uintptr_t)io->buf & (caps->align - 1)));
	assert(!(io->flags & IO_F_ATOMIC) || (io->op == IO_WRITE && io->len <= caps->atomic_max));
}

bool backend_submit(struct backend *be, struct io_req *io)
{
	int refused;

	io->from = reactor_self();
	io_assert(be, io);
	io->be = be;
	io->pending = true;
	io->step = 0;
	submitting++;
	refused = io_refuse(be, io);
	if (refused)
		backend_complete_later(io, refused);
	else
		be->ops->submit(be, io);
	submitting--;
	/* Ended, and not again with somebody else: done() cannot have been called. */
	return io->at_once && !io->pending;
}

const uint8_t *backend_lend(struct backend *be, uint64_t off, uint64_t len)
{
	assert(len > 0 && off <= be->caps.size && len <= be->caps.size - off);
	if (!be->ops->lend || __atomic_load_n(&be->busy, __ATOMIC_ACQUIRE))
		return NULL;
	return be->ops->lend(be, off, len);
}

static void io_ended(struct io_req *io, int result)
{
	assert(io->pending);
	assert(result <= 0 && result > -4096);
	assert(io->from == reactor_self());
	if (io->op == IO_EXTENT && !result)
		assert(io->answer.extent.len > 0 && io->answer.extent.len <= io->len);
	io->pending = false;
	io->result = result;
}

void backend_complete(struct io_req *io, int result)
{
	assert(!submitting);
	io_ended(io, result);
	io->done(io);
}

static void ready_run(struct defer *d)
{
	struct io_req *io = ready.head, *next;

	*ready.tail = NULL;
	ready.head = NULL;
	for (; io; io = next) {
		next = io->next;
		backend_complete(io, io->result);
	}
}

void backend_complete_later(struct io_req *io, int result)
{
	assert(io->from == reactor_self());
	io->result = result;
	if (io->at_once && submitting == 1) {
		io_ended(io, result);
		return;
	}
	if (!ready.head) {
		ready.tail = &ready.head;
		ready.defer.fn = ready_run;
		reactor_defer(&ready.defer);
	}
	*ready.tail = io;
	ready.tail = &io->next;
}

static void complete_msg(struct msg *m)
{
	struct io_req *io = container(m, struct io_req, msg);

	backend_complete(io, io->result);
}

void backend_complete_from(struct io_req *io, int result)
{
	if (io->from == reactor_self() && !submitting) {
		backend_complete(io, result);
		return;
	}
	io->result = result;
	io->msg.fn = complete_msg;
	reactor_send(io->from, &io->msg);
}
