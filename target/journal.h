/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journals: records that are only ever added to, kept in the state directory over restarts and
 * loss of power, bounded. A LU has one for its reservations (history.h) and a witness one more.
 *
 * A record is a line of text, so that it can be read without this program:
 *
 *	CCCCCCCC {"seq":17,"time":1795315321000000000,"kind":"..."}
 *
 * CCCCCCCC: CRC32C of the object, in hex. seq: grows by one with each record and goes on over
 * restarts. time: UTC, nanoseconds since 1970, as the clock said (it may be set back; seq never
 * is). Two files, NAME.0 and NAME.1, take turns: when the newer one has JOURNAL_KEEP records, the
 * older one makes room for a new one. So at least the last JOURNAL_KEEP records are there.
 *
 * What could not be written is lost, not waited for: nothing stops because a journal is stuck. The
 * loss is in the journal itself when it can be written again, as a record with "lost": how many.
 *
 * A NULL journal swallows records and has none.
 */
#ifndef TARGET_JOURNAL_H
#define TARGET_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JOURNAL_KEEP = 10000,	 /* records, at least */
	JOURNAL_LINE_MAX = 8192, /* bytes of a line, its end included */
	/* Of what journal_append() takes: checksum, sequence and time are added. */
	JOURNAL_BODY_MAX = JOURNAL_LINE_MAX - 128,
};

struct journal;

/*
 * The journal `name` in dir; what is there already is looked at, an end that was torn is cut off
 * (with a warning). No file is made before the first record. Trouble with the files is logged and
 * does not keep a journal from being opened; NULL only when memory is out. Main thread.
 */
struct journal *journal_open(const char *dir, const char *name);

/*
 * The last record that was there when it was opened, NULL: none. As long as the journal. Any
 * thread.
 */
const char *journal_last(const struct journal *j);

/*
 * Writes what is pending, waiting for it some seconds at most, and closes; one that a worker still
 * has then is left open, with a warning. While the reactors still run, but nothing is appended any
 * more. Main thread.
 */
void journal_close(struct journal *j);

/*
 * Before the end of the process: all journals that are open write and sync what is pending, and are
 * waited for together, ms milliseconds at most. How many are still at it, each with a warning. To
 * be closed still. Main thread, while the reactors run.
 */
unsigned journals_settle(unsigned ms);

/*
 * Adds a record: `body` is a JSON object, "{...}", of at most JOURNAL_BODY_MAX bytes, without
 * newlines, with members other than "seq", "time" and "lost". It is copied; a worker writes it at
 * once, and syncs it a second later at most: at once when nothing was for a second. One reactor
 * only, the same at every call; never blocks. A record for which there is no room (the file system
 * stands still, or memory is out) is lost, and counted.
 */
void journal_append(struct journal *j, const char *body);

/* Records lost since the daemon started. Any thread. */
uint64_t journal_lost(const struct journal *j);
/* Whether there are records that are not written yet (and then maybe not synced). Any thread. */
bool journal_busy(const struct journal *j);

struct journal_record {
	uint64_t seq, time_ns;
	const char *json;	/* the whole object, NUL terminated */
	size_t len;		/* bytes of it */
};

/*
 * Calls fn for each record from sequence `from` on, oldest first, until it gives false or there is
 * none. Lines that are damaged are skipped and counted in *bad (may be NULL). While the journal is
 * written: what is on its way may be missing. 0 or -errno. Any thread that may block.
 */
int journal_read(const struct journal *j, uint64_t from,
		 bool (*fn)(void *arg, const struct journal_record *r), void *arg, unsigned *bad);

#endif
