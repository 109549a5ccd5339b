/* SPDX-License-Identifier: Apache-2.0 */
/* What the oracle's files share: oracle.c, changes.c. */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H

#include <stdlib.h>
#include <string.h>

#include "pr/pr.h"
#include "pr/state.h"
#include "scsi/ua.h"
#include "target/daemon.h"
#include "target/session.h"
#include "tests/sim/hooks.h"
#include "tests/sim/medium.h"
#include "tests/sim/sim.h"

enum { VALUES = 8192, SAM_ABORTED = 0x40, SAM_CONFLICT = 0x18, SAM_CHECK = 0x02 };

/* A value of a LU, as far as reservations go. */
struct value {
	uint64_t epoch, boot;
	uint32_t readers, writers; /* paths that may */
	struct pr_state *pr;
	bool wce;
	bool never; /* could not be stored: it never was */
};

/* A change that home evaluated. */
struct change {
	unsigned lun;
	enum lu_change_kind kind;
	const struct lu_request *rq; /* compared, never followed */
	int64_t value; /* in force after it */
	uint64_t boot;
	struct path *path;
	struct cmd *cmd; /* NULL: task management and the like */
	uint8_t status;
	bool changed, aborts, answered;
	bool store_failed;   /* while its value was on the way there */
	bool own;	     /* PREEMPT AND ABORT of one's own key */
	struct cmd **covers; /* what it aborts */
	unsigned ncovers;
	uint32_t ua_to[PATHS_MAX]; /* 1 << ua: ordered for it */
	uint64_t answered_at;
	uint32_t gate_of[PATHS_MAX]; /* its session that had a gate then, or 0 */
};

/* A unit attention of one kind for one path on one LU. */
struct attention {
	unsigned due;  /* orders not reported yet, at most */
	int64_t last;  /* the change that ordered it last */
	bool reported; /* since then */
	bool must;     /* that change was answered: the next command reports it */
	uint64_t since;
};

struct olu {
	struct value *v;
	int64_t n, answered;
	int64_t told; /* the same, but not what was found at start: nobody knows of that yet */
	struct attention ua[PATHS_MAX][UA_COUNT];
	uint32_t touched[PATHS_MAX]; /* session that has a gate here */
	uint64_t flush_failed, flush_failed_boot; /* when */
};

extern struct oracle {
	struct olu lus[LUNS];
	struct change *changes;
	int64_t nchanges, room;
	struct unit *units;
	/* What task management of each path covers. */
	struct {
		struct cmd **v;
		unsigned n;
	} covered[PATHS_MAX];
	struct {
		uint64_t writes, conflicts, aborted, changes, caws, uas, reads, fua_reads;
		uint64_t in_flight, orphans;
	} seen;
} orc;

/* changes.c */
void value_push(unsigned lun, const struct lu_value *v);
/* Whether p has (want) or lacks access under some value from `since` on. */
bool access_since(unsigned lun, int64_t since, unsigned p, bool write, bool want);
/* The promise, (a): under the value answered last, or a later one. */
void check_writer(const struct unit *u, const char *when);
/* Unit attentions that outlive their nexus's session. */
bool kept_for_later(enum ua ua);
void change_answered(struct change *ch);
/* Orders of this kind that are not in force everywhere, or were not at `since`. */
unsigned ua_coming(unsigned lun, unsigned p, enum ua ua, uint64_t since);
/* The unit attention c reports, or those it should have. */
void check_attention(struct cmd *c);

/* oracle.c */
void cmd_over(struct cmd *c);
/* From now on c has no effect any more. Who aborts his own commands gets no answer to them. */
void cover(struct cmd *c, const struct path *by, const char *why);
/* Adds a path's commands in its task set on a LU, without one. */
void collect(struct cmd ***v, unsigned *n, struct path *p, unsigned lun, const struct cmd *but);

#endif
