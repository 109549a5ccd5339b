/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters: backends that wrap another, for tests and for looking at what happens. In the
 * configuration a list, outermost first: "log|delay:ms=50|fault:op=write,err=EIO,every=100". Their
 * arguments are key=value, or a key alone for a switch, separated by commas; sizes take K M G T.
 * fault.c, delay.c, iolog.c, volatile.c and check.c say which they know.
 */
#ifndef BACKENDS_FILTER_H
#define BACKENDS_FILTER_H

#include "backends/impl.h"

/* ---- arguments ------------------------------------------------------------------------------- */

enum arg_kind {
	ARG_U64,	/* uint64_t: a number, K M G T allowed */
	ARG_SWITCH,	/* bool: the key alone, or yes, no */
	ARG_OPS,	/* uint32_t: names joined by '+', or "all"; bits 1 << enum io_op */
	ARG_ERRNO,	/* int: EIO and the like, kept negative */
	ARG_PATH,	/* char[ARG_PATH_MAX] */
};
enum { ARG_PATH_MAX = 200 };

struct filter_arg {
	const char *name;
	enum arg_kind kind;
	size_t at;			/* offsetof the value in what is filled */
};

/*
 * Reads args (NULL: none) into `into` by the table of n rows; what is not named keeps its value. 0,
 * or -EINVAL with a sentence in be->errbuf that names the argument and what was expected.
 */
int filter_args(struct backend *be, const char *args, const struct filter_arg *table, unsigned n,
		void *into);

/* ---- an I/O on its way through a filter ------------------------------------------------------ */

/*
 * The filter's own copy of an I/O. The caller's, `up`, is not touched until it ends. Allocated per
 * I/O: filters are not for speed.
 */
struct filter_io {
	struct io_req io;		/* what goes down; io.done is the filter's */
	struct io_req *up;
	struct backend *be;		/* the filter's own link */
	struct timer timer;
	uint64_t began;			/* ns, reactor_now() */
	uint64_t n;			/* the filter's */
	void *p;			/* the filter's; freed with it */
};

/*
 * A copy of up, to go down; done is what the copy calls. NULL when there is no memory: then up was
 * completed already with -ENOMEM. From submit() only.
 */
struct filter_io *filter_io_new(struct backend *be, struct io_req *up,
				void (*done)(struct io_req *io));
static inline struct filter_io *filter_io_of(struct io_req *io)
{
	return container(io, struct filter_io, io);
}
/* Submits it to the wrapped backend. */
void filter_io_down(struct filter_io *f);
/* Frees it and completes up, with its answer. Not from submit(). */
void filter_io_end(struct filter_io *f, int result);
/* A done() that only ends. */
void filter_io_pass(struct io_req *io);

/* The first filter of that kind at be or under it, or NULL. */
struct backend *filter_find(struct backend *be, const struct backend_ops *ops);

/* A number from seed and counter, the same in every run (splitmix64). */
uint64_t filter_random(uint64_t seed, uint64_t counter);

/* ---- for tests ------------------------------------------------------------------------------- */

/* Lets what hangs in the fault filters of the chain go on, now and from now on. Any thread. */
void fault_release(struct backend *be);

/*
 * The power fails: what was not flushed in the volatile filter of the chain is gone (but for what
 * its arguments let survive). Any thread. Answers still under way are the caller's to ignore.
 */
void volatile_crash(struct backend *be);

#endif
