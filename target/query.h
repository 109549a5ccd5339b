/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be asked of a running daemon. Everything is copied on the reactor it belongs to, by
 * value, in slices that hold a reactor for a moment only; what is made of it is made on the asking
 * thread.
 *
 * Pointers in the results lead to what never changes while the daemon serves (configuration,
 * targets, the first part of struct lu). All functions: the control thread, or any other that is no
 * reactor.
 */
#ifndef TARGET_QUERY_H
#define TARGET_QUERY_H

#include <jansson.h>

#include "target/daemon.h"
#include "target/iscsi/login.h"

/* ---- gathered -------------------------------------------------------------------------------- */

struct query_session {
	const struct node *node; /* NULL: a discovery session */
	const struct config_portal *portal;
	struct nexus nexus;
	char alias[64], peer[64], local[64];
	struct iscsi_params params;
	uint16_t tsih, cid;
	unsigned conn, reactor;		    /* ids, as in the log */
	unsigned tasks, window, luns;	    /* commands in flight; at most; LUNs used so far */
	uint64_t since_ns;		    /* wall clock */
	uint64_t oldest_us;		    /* the oldest command in flight: for so long; or 0 */
	uint64_t cmds, bytes_in, bytes_out; /* bytes of data the initiator sent, and was sent */
};

struct query_reactor {
	unsigned conns, sessions, tasks;
	uint64_t oldest_us;
};

struct query_sessions {
	struct query_session *v; /* by target, initiator, ISID, portal group */
	unsigned n, cap;
	unsigned missed;		/* came after the room for them was measured */
	struct query_reactor *reactors; /* reactor_count() of them */
};

/* All sessions (v stays NULL with `counts`: reactors only). 0 or -ENOMEM. */
int query_sessions(struct query_sessions *q, bool counts);
void query_sessions_free(struct query_sessions *q);
/* The session of a nexus on a target, or NULL. */
const struct query_session *query_session_of(const struct query_sessions *q,
					     const struct node *node, const struct nexus *who);

struct query_lu {
	const struct lu *lu;
	/* Of the value in force. */
	struct io_caps caps;
	uint32_t block_size;
	uint8_t phys_exp;
	bool failed, not_ready, damaged, write_protected, thin;
	struct lu_modes modes;
	uint8_t pr_type; /* enum pr_type */
	uint32_t pr_generation;
	unsigned pr_registrants;
	bool reserved6;
	/* Of home. */
	bool changing;	  /* a change is being made durable or published */
	unsigned changes; /* waiting or in work */
	/* Sums over the reactors. */
	uint64_t ios[IO_OPS], bytes[IO_OPS], conflicts, parks;
	unsigned sessions; /* that used it since they logged in */
	unsigned busy;	   /* commands with I/O in the backend */
	uint64_t oldest_us; /* of all sessions: the oldest command in flight */
};

/* All LUs, in the daemon's order, or `only` one. n gets their number; to be freed by the caller;
 * NULL: out of memory. */
struct query_lu *query_lus(const struct lu *only, unsigned *n);
/* "ready", "waiting_for_lock", "damaged", "failed" */
const char *query_lu_state(const struct query_lu *q);
const char *query_value_state(const struct lu_value *v);

/* A LU's reservations. */
struct query_pr {
	const struct lu *lu;
	const char *state; /* query_value_state() */
	bool reserved6;
	struct nexus reserved6_by;
	struct pr_state *pr; /* a copy of its own */
};
struct query_pr *query_prs(const struct lu *only, unsigned *n);
void query_prs_free(struct query_pr *v, unsigned n);

/* ---- as JSON, as holdfast(8) describes it. NULL: out of memory ------------------------------- */

json_t *query_status_json(uint64_t uptime_ms);
json_t *query_sessions_json(void);
json_t *query_lus_json(const struct lu *only);
json_t *query_prs_json(const struct lu *only);
/* The last changes of reservations, `last` of each LU at most. */
json_t *query_history_json(const struct lu *only, uint64_t last);

/* Which LU something is about: the same three members everywhere. A new object. */
json_t *query_lu_json(const struct lu *lu);
/* initiator, isid, group. A new object. */
json_t *query_nexus_json(const struct nexus *n);

/* A registrant: its nexus, key, whether it is a holder. A new object. */
struct pr_state;
json_t *query_registrant_json(const struct pr_state *s, unsigned i);

/* One member of an object each. */
void query_put_int(json_t *o, const char *name, uint64_t n);
void query_put_bool(json_t *o, const char *name, bool b);
void query_put_string(json_t *o, const char *name, const char *s);	/* NULL: null */
void query_put_hex(json_t *o, const char *name, const uint8_t *p, unsigned n);	/* 16 at most */
void query_put_uuid(json_t *o, const char *name, const uint8_t u[16]);
void query_put_time(json_t *o, const char *name, uint64_t ns);	/* UTC, with milliseconds */

/* The target a LU belongs to. */
const struct node *query_node(const struct lu *lu);
/* A string; bytes that are no UTF-8 become '?'. NULL gives null. */
json_t *query_string(const char *s);

#endif
