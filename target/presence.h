/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a nexus was logged in last: logins and logouts are kept in a journal (journal.h) of the
 * daemon, state_dir's sessions.0 and .1, for `pr prune`, which must not take a node that is down
 * for maintenance for one that is gone for good.
 *
 * What is not known exactly is told as late as it can have been: a session that a killed daemon had
 * may have lasted until the next start; a nexus that is not in the journal any more may have been
 * there until the first start in it; where records were lost, until then.
 */
#ifndef TARGET_PRESENCE_H
#define TARGET_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "scsi/nexus.h"

struct presence;
struct session;

/*
 * Before sessions come, after the last has gone; main thread, while reactors run. Without it (the
 * journal of another daemon, memory is out: with a log line) nothing is known of anybody.
 */
void presence_start(const char *dir);
void presence_stop(void);

/* A session of a target began (in), or ended. Its reactor; never blocks. */
void presence_tell(const struct session *s, bool in);

/* Whether something that was told is not in the journal yet. Not a reactor. */
bool presence_busy(void);

/* What is known now. NULL: nothing. The control thread, or any other that may block. */
struct presence *presence_load(void);
void presence_free(struct presence *p);
/*
 * The latest time, UTC in ns, at which a nexus that has no session now can have been logged in to
 * the target. False: nothing is known. p may be NULL.
 */
bool presence_seen(const struct presence *p, const char *target, const struct nexus *n,
		   uint64_t *ns);

#endif
