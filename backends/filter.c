/* SPDX-License-Identifier: Apache-2.0 */
/* What all filters share: their arguments, and an I/O on its way through one. */
#include "backends/filter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- arguments ------------------------------------------------------------------------------- */

static const char *const op_names[IO_OPS] = {
	[IO_READ] = "read",	  [IO_WRITE] = "write",	      [IO_FLUSH] = "flush",
	[IO_DISCARD] = "discard", [IO_ZERO] = "zero",	      [IO_EXTENT] = "extent",
	[IO_SPACE] = "space",	  [IO_PREFETCH] = "prefetch",
};

static const struct {
	const char *name;
	int value;
} errnos[] = {
	{ "EIO", EIO },		{ "ENOSPC", ENOSPC },	    { "EDQUOT", EDQUOT },
	{ "EROFS", EROFS },	{ "ENOMEM", ENOMEM },	    { "ETIMEDOUT", ETIMEDOUT },
	{ "ENODEV", ENODEV },	{ "EILSEQ", EILSEQ },	    { "EAGAIN", EAGAIN },
	{ "EBUSY", EBUSY },	{ "EINVAL", EINVAL },	    { "EOPNOTSUPP", EOPNOTSUPP },
	{ "ENOLINK", ENOLINK }, { "EREMOTEIO", EREMOTEIO }, { "ENODATA", ENODATA },
	{ "EBADE", EBADE },	{ "EPERM", EPERM },	    { "ENXIO", ENXIO },
};

const char *io_op_name(enum io_op op)
{
	return op < IO_OPS ? op_names[op] : "?";
}

static bool arg_u64(const char *s, void *out)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno)
		return false;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return false;
		for (const char *u = units; u <= unit; u++)
			if (__builtin_mul_overflow(n, 1024ull, &n))
				return false;
	}
	*(uint64_t *)out = n;
	return true;
}

static bool arg_switch(const char *s, void *out)
{
	bool yes = !*s || !strcmp(s, "yes"), no = !strcmp(s, "no");

	*(bool *)out = yes;
	return yes || no;
}

static bool arg_ops(const char *s, void *out)
{
	uint32_t ops = 0;
	size_t len;

	if (!strcmp(s, "all")) {
		*(uint32_t *)out = (1u << IO_OPS) - 1;
		return true;
	}
	for (;; s += len + 1) {
		enum io_op op;

		len = strcspn(s, "+");
		for (op = 0; op < IO_OPS; op++)
			if (strlen(op_names[op]) == len && !memcmp(op_names[op], s, len))
				break;
		if (op == IO_OPS)
			return false;
		ops |= 1u << op;
		if (!s[len])
			break;
	}
	*(uint32_t *)out = ops;
	return true;
}

static bool arg_errno(const char *s, void *out)
{
	for (unsigned i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
		if (!strcmp(errnos[i].name, s)) {
			*(int *)out = -errnos[i].value;
			return true;
		}
	return false;
}

static bool arg_path(const char *s, void *out)
{
	if (!*s || strlen(s) >= ARG_PATH_MAX)
		return false;
	memcpy(out, s, strlen(s) + 1);
	return true;
}

static const struct {
	bool (*read)(const char *s, void *out);
	const char *expected;
} arg_kinds[] = {
	[ARG_U64] = { arg_u64, "a number" },
	[ARG_SWITCH] = { arg_switch, "nothing, yes or no" },
	[ARG_OPS] = { arg_ops,
		      "all, or some of read, write, flush, discard, zero, extent, space, prefetch "
		      "joined by +" },
	[ARG_ERRNO] = { arg_errno, "an error such as EIO or ENOSPC" },
	[ARG_PATH] = { arg_path, "a path" },
};

static int arg_unknown(struct backend *be, const char *name, const struct filter_arg *table,
		       unsigned n)
{
	char known[160] = "";
	size_t at = 0;

	for (unsigned i = 0; i < n && at < sizeof(known); i++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", i ? ", " : "",
				       table[i].name);
	return backend_fail(be, -EINVAL, "filter %s knows no \"%.40s\" (expected %s)",
			    be->ops->type, name, n ? known : "no arguments");
}

int filter_args(struct backend *be, const char *args, const struct filter_arg *table, unsigned n,
		void *into)
{
	char *copy, *rest, *arg, *value;
	const struct filter_arg *row;
	int r = 0;

	if (!args)
		return 0;
	rest = copy = strdup(args);
	if (!copy)
		return -ENOMEM;
	while (!r && (arg = strsep(&rest, ","))) {
		value = strchr(arg, '=');
		if (value)
			*value++ = 0;
		for (row = table; n && row < table + n && strcmp(row->name, arg); row++)
			;
		if (!n || row == table + n)
			r = arg_unknown(be, arg, table, n);
		else if (!arg_kinds[row->kind].read(value ? value : "", (char *)into + row->at))
			r = backend_fail(be, -EINVAL, "filter %s: %s=\"%.60s\" (expected %s)",
					 be->ops->type, arg, value ? value : "",
					 arg_kinds[row->kind].expected);
	}
	free(copy);
	return r;
}

/* ---- an I/O through a filter ----------------------------------------------------------------- */

struct filter_io *filter_io_new(struct backend *be, struct io_req *up,
				void (*done)(struct io_req *io))
{
	struct filter_io *f = calloc(1, sizeof(*f));

	if (!f) {
		backend_complete_later(up, -ENOMEM);
		return NULL;
	}
	f->io = (struct io_req){
		.op = up->op,
		.flags = up->flags,
		.off = up->off,
		.len = up->len,
		.buf = up->buf,
		.done = done,
	};
	f->up = up;
	f->be = be;
	f->began = reactor_now();
	return f;
}

void filter_io_down(struct filter_io *f)
{
	backend_submit(f->be->next, &f->io);
}

void filter_io_end(struct filter_io *f, int result)
{
	struct io_req *up = f->up;

	assert(!f->io.pending);
	up->answer = f->io.answer;
	timer_cancel(&f->timer);
	free(f->p);
	free(f);
	backend_complete(up, result);
}

void filter_io_pass(struct io_req *io)
{
	filter_io_end(filter_io_of(io), io->result);
}

struct backend *filter_find(struct backend *be, const struct backend_ops *ops)
{
	while (be && be->ops != ops)
		be = be->next;
	return be;
}

uint64_t filter_random(uint64_t seed, uint64_t counter)
{
	uint64_t x = seed + (counter + 1) * 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}
