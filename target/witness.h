/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shell around witness/: feeds what happens on a LUN of `type: witness` to it, at the LU's
 * home, and keeps its conclusions in a journal (state_dir/lu-UUID.witness.0 and .1). Nothing waits
 * for it: events are messages, I/O is sampled per reactor into small buffers that are sent on every
 * 100 ms, and what does not fit is counted, not kept. LUNs of another type have none of it.
 */
#ifndef TARGET_WITNESS_H
#define TARGET_WITNESS_H

#include "target/daemon.h"
#include "target/store.h"
#include "witness/watch.h"

struct journal;
struct task;
struct witness_watch;

/* A watch for a LU that is a witness, lu->watch; main thread, before it serves. Without memory it
 * has none (with a log line). */
void witness_new(struct lu *lu, const char *state_dir, const char *path);
/*
 * Its journal is ours now: read, and followed from here. img: what is stored (NULL: it is damaged).
 * What was sent to home before waits for it. Main thread.
 */
void witness_start(struct lu *lu, const struct store_image *img);
/* Main thread; nobody is logged in any more, the reactors still run. */
void witness_stop(struct lu *lu);

/*
 * A PERSISTENT RESERVE OUT, or another change of the reservations, was evaluated on `before`; after
 * is the same when it changed nothing. It is not in force before witness_commit(), and never after
 * witness_drop(). The LU's home.
 */
void witness_note(struct lu *lu, const struct lu_change *c, struct lu_ref *before,
		  struct lu_ref *after);
void witness_commit(struct lu *lu);
void witness_drop(struct lu *lu);

/* A nexus logged in to a target, or out (clean: in order). Its reactor. */
void witness_login(const struct node *node, const struct nexus *who);
void witness_logout(const struct node *node, const struct nexus *who, bool clean);

/* A command to a watched LU ended. Its reactor. */
void witness_ended(struct task *t);

/* ---- asking ---------------------------------------------------------------------------------- */

struct witness_view {
	struct witness w;
	struct witness_time now;
	bool started;	  /* it has a journal */
	uint64_t dropped; /* samples of I/O that were not looked at */
	uint64_t lost;	  /* entries that are not in the journal, and not made good for */
};
/* Copies what is known: on the LU's home only (rcall_each()). False: not watched, or not home. */
bool witness_view_take(const struct lu *lu, struct witness_view *out);
/* For journal_read(); NULL: none. Any thread. */
struct journal *witness_journal(const struct lu *lu);

#endif
