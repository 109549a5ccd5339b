/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who changed the reservations of a LU, when, and how: a journal (journal.h) per LU, state_dir's
 * lu-UUID.history.0 and .1. A record is added when the change is in force, also what a start of the
 * daemon changed. Nothing waits for it; so when the daemon is killed the last changes may not be in
 * it. Each record has a checksum of the value it left: at the next start it is seen, and recorded,
 * that something is missing.
 *
 * Members of a record besides those of the journal (holdfast(8), "pr history"):
 *
 *	by		{"initiator", "isid", "group"}, {"administrator": uid}, or null: the daemon
 *	action		"REGISTER", ..., "administrator: clear", "power on", ...
 *	type		of a PERSISTENT RESERVE OUT that has one
 *	key, sa_key	of a PERSISTENT RESERVE OUT
 *	added, removed, changed		registrations, with their new keys, old keys, new keys
 *	more		how many of these are not listed, for want of room
 *	before, after	the reservation, if it changed: {"type", "type_name", "holder"}
 *	reserve6	who holds RESERVE(6/10), or null; if that changed
 *	registrants, generation, aptpl	of the new value
 *	value		CRC32C of the new value
 */
#ifndef TARGET_HISTORY_H
#define TARGET_HISTORY_H

#include "target/lu.h"
#include "target/store.h"

struct history;

/*
 * Starts the history of a LU whose store was read just now: img is what is there (NULL: it is
 * damaged). At lu->home it is in use, lu->history, before anything that is sent there afterwards.
 * Main thread.
 */
void history_start(struct lu *lu, const char *dir, const struct store_image *img);
/* Main thread, nothing is changed any more but the reactors still run. */
void history_stop(struct lu *lu);

/*
 * A change was evaluated; it is not in force before history_commit(), and never after
 * history_drop(). The LU's home; nothing without a history.
 */
void history_note(struct lu *lu, const struct lu_change *c, const struct lu_value *old,
		  const struct lu_value *next);
void history_commit(struct lu *lu);
void history_drop(struct lu *lu);

/* For journal_read(); NULL: none. Any thread. */
struct journal *history_journal(const struct lu *lu);

/* "write exclusive", ...: pr_type as words; "none", "unknown". */
const char *history_type_name(uint8_t type);

#endif
