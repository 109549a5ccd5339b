/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What backends and filters share among themselves; nobody else includes it.
 *
 * A backend's submit() starts the work and ends it, later and on the submitting reactor, with
 * exactly one of:
 *	backend_complete()		from a callback of the reactor (rio, work, timer, message)
 *	backend_complete_later()	from within submit(): at the end of the loop turn
 *	backend_complete_from()		from any thread
 */
#ifndef BACKENDS_IMPL_H
#define BACKENDS_IMPL_H

#include <errno.h>
#include <stdatomic.h>

#include "backends/backend.h"

#define container(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/*
 * The last word on io: result is 0 or -errno. On the submitting reactor, never within
 * backend_submit(). io is the submitter's again.
 */
void backend_complete(struct io_req *io, int result);

/*
 * The same from within submit(), for what is answered at once: told by backend_submit() to those
 * who want that, to the others at the end of this loop turn (one defer per reactor carries them
 * all). io may be gone afterwards.
 */
void backend_complete_later(struct io_req *io, int result);

/*
 * The same from any thread: at once when this is the submitting reactor and not within
 * backend_submit(), else by message (io->msg is used).
 */
void backend_complete_from(struct io_req *io, int result);

/* Puts a sentence into be->errbuf and returns err (a negative errno). */
int backend_fail(struct backend *be, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* True for a number with one bit set. */
static inline bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

extern const struct backend_ops file_ops, memory_ops, null_ops;
/*
 * Filters: open() finds the wrapped backend in be->next and its own arguments ("ms=50,op=write",
 * NULL when none) in o->filters.
 */
extern const struct backend_ops fault_ops, delay_ops, iolog_ops, volatile_ops, check_ops;

#endif
