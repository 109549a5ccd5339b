/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request at the control socket, for the files that have commands (control_*.c). All functions:
 * the control thread.
 */
#ifndef TARGET_CONTROL_RQ_H
#define TARGET_CONTROL_RQ_H

#include "target/control_cmd.h"
#include "target/query.h"

struct control_cmd;

struct control_request {
	const struct control_cmd *cmd;
	const struct ucred *who;
	struct lu *lu;		/* "lun" */
	bool force, dry_run, holder;
	json_int_t last;	/* records; 0: not given */
	json_int_t older_than;	/* seconds */
	json_int_t since;	/* seconds since 1970, UTC; 0: not given */
	json_t *after;		/* {NAME: sequence}; borrowed */
	json_t *document;	/* borrowed */
	struct control_change *change; /* out: not answered yet */
};

/* Arguments that a command takes. */
enum control_arg {
	ARG_LUN = 1 << 0,
	ARG_LUN_NEEDED = 1 << 1,	/* with ARG_LUN */
	ARG_FORCE = 1 << 2,
	ARG_LAST = 1 << 3,
	ARG_DRY_RUN = 1 << 4,
	ARG_HOLDER = 1 << 5,
	ARG_OLDER_THAN = 1 << 6,
	ARG_DOCUMENT = 1 << 7,
	ARG_SINCE = 1 << 8,
	ARG_AFTER = 1 << 9,
	ARG_LUN_READY = 1 << 10,	/* with ARG_LUN_NEEDED: its reservations are known */
};

struct control_cmd {
	const char *name;
	unsigned args;	/* enum control_arg */
	json_t *(*run)(struct control_request *rq); /* the answer; NULL with rq->change */
	/* The result of a change that was made. */
	json_t *(*after)(const struct control_change *c);
};

/* A change of a LU on its way: the asker's and the change's reference; the last one frees it. */
struct control_change {
	struct lu_change c;
	unsigned refs; /* atomic */
	bool ended;    /* atomic: c.status holds */
	const struct control_cmd *cmd;
	struct pr_state *pr; /* c.rq.pr, or NULL */
	json_t *plan;	     /* for after(), or NULL */
};

/* {"ok": true, "result": ...}; NULL: out of memory. */
json_t *control_answer(json_t *result);

/*
 * Starts a change of rq->lu, which rq->change is then; logged, with who asked. Takes over pr and
 * plan, either may be NULL. Gives an error's answer, or NULL.
 */
json_t *control_change_begin(struct control_request *rq, enum lu_change_kind kind, bool holders,
			     struct pr_state *pr, json_t *plan);

/* What "force" missing is answered with: what the command would do. */
json_t *control_needs_force(const char *what, const struct lu *lu);

/* Commands about reservations (control_pr.c). */
json_t *control_pr_show(struct control_request *rq);
json_t *control_pr_history(struct control_request *rq);
json_t *control_pr_export(struct control_request *rq);
json_t *control_pr_import(struct control_request *rq);
json_t *control_pr_prune(struct control_request *rq);
json_t *control_pr_clear(struct control_request *rq);
json_t *control_pr_after(const struct control_change *c);
json_t *control_pr_pruned(const struct control_change *c);

/* About witness LUNs (control_witness.c). */
json_t *control_witness_show(struct control_request *rq);
json_t *control_witness_log(struct control_request *rq);
json_t *control_witness_explain(struct control_request *rq);

#endif
