/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary between the device server and a block store: operations, in bytes, and their
 * results.
 */
#ifndef SCSI_IO_H
#define SCSI_IO_H

#include <stdbool.h>
#include <stdint.h>

enum io_op {
	IO_READ,
	IO_WRITE,
	IO_FLUSH,	/* everything completed before it is on stable storage when it ends */
	IO_DISCARD,	/* deallocate; reads back zeroes afterwards */
	IO_ZERO,	/* write zeroes; IO_F_UNMAP: may deallocate */
	IO_EXTENT,	/* at off: is it allocated, and how far does that go (within len)? */
	IO_SPACE,	/* how much is used and how much is free under the LU */
	IO_PREFETCH,	/* a hint: read into the cache */
	IO_OPS
};

enum {
	IO_F_UNMAP = 1, /* IO_ZERO may deallocate */
	IO_F_ATOMIC =
		2, /* IO_WRITE is all or nothing over power loss (only where caps.atomic_max) */
};

/* True for what can change the medium: what a drain waits for. */
static inline bool io_changes_medium(enum io_op op)
{
	return op == IO_WRITE || op == IO_DISCARD || op == IO_ZERO;
}

/* Extra results of IO_EXTENT and IO_SPACE. */
union io_answer {
	struct {
		uint64_t len; /* bytes from off for which `mapped` holds; > 0 on success */
		bool mapped;
	} extent;
	struct {
		uint64_t used;		/* bytes */
		uint64_t avail;		/* bytes */
	} space;
};

/* What a store can do; asked once at open. */
struct io_caps {
	uint64_t size;			/* bytes, a whole number of blocks */
	uint32_t discard_granularity;	/* bytes; 0: cannot discard (not thin) */
	uint32_t atomic_max; /* bytes a single write may have and be atomic over power loss; 0: none
			      */
	uint32_t align; /* bytes: alignment that offsets, lengths and buffers need (1 when none) */
	bool extents;	/* IO_EXTENT tells the truth (else all is reported mapped) */
	bool readonly;
	bool rotational;
	bool durable;			/* every write is on stable storage when it ends */
};

#endif
