/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A logical unit at run time: its home (struct lu, one reactor), and one view of it per reactor
 * that uses it (struct lu_port). The protocol between them is ARCHITECTURE.md's "gate": home
 * changes the value, publishes it to the ports, each port takes it over, drains what must not go on
 * and acknowledges; then the change is answered.
 *
 *	requester            home                     every subscribed port
 *	lu_change_submit --> queue, lu_change()
 *	                     persist (store)
 *	                     publish ---------------> new value, gates derived, aborts, drain
 *	                     <----------------------- ack
 *	done() <------------ all acks: answer
 *
 * Holds (COMPARE AND WRITE, ORWRITE, WRITE ATOMIC) travel the same way: home grants ranges first
 * come first served, ports park what overlaps.
 */
#ifndef TARGET_LU_H
#define TARGET_LU_H

#include <pthread.h>
#include <urcu/list.h>

#include "backends/backend.h"
#include "scsi/change.h"
#include "scsi/lu.h"
#include "target/reactor.h"

struct history;
struct lu;
struct lu_port;
struct session;
struct task;
struct witness_watch;

/* A published value: immutable, shared by all ports, freed with its last reference. */
struct lu_ref {
	unsigned refs;			/* atomic; touched at publish only, never per command */
	struct lu_value v;		/* v.pr points behind this struct */
};

/*
 * A change on its way: embedded in whoever asks. Everything in it is by value; the parameter list
 * belongs to the asker and stays until done().
 */
struct lu_change {
	struct msg msg;
	struct lu *lu;
	struct reactor *from;
	struct lu_request rq;
	uint8_t status;			/* answer: enum scsi_status */
	struct sense sense;
	void (*done)(struct lu_change *c);	/* on `from` */
	bool cancelled;			/* atomic, the asker's: not to be begun any more */
	struct cds_list_head link;	/* home's queue */
};

/* Any reactor, or the main thread before start (then from is NULL and done runs at home). */
void lu_change_submit(struct lu *lu, struct lu_change *c);

/*
 * A flush failed: the kernel reports a write-back error once, the LU never forgets it (DESIGN 5).
 * Any reactor.
 */
void lu_tell_failed(struct lu *lu);

/*
 * A nexus's session ended: a RESERVE(6/10) of it goes (SPC-2 5.5.1); nothing else of a LU does. Any
 * reactor.
 */
void lu_tell_nexus_lost(struct lu *lu, const struct nexus *n);

/* Exclusive use of a byte range of the LU, across reactors. */
enum hold_state { HOLD_NONE, HOLD_ASKED, HOLD_GRANTED, HOLD_RELEASED };
struct lu_hold {
	struct msg msg;
	struct lu_port *port;		/* the asker's */
	uint64_t off, len;		/* bytes; len is not 0 */
	enum hold_state state;		/* asker's view */
	void (*granted)(struct lu_hold *h);	/* on the asker's reactor */
	void (*released)(struct lu_hold *h);	/* on the asker's reactor: the struct may go */
	/* home's */
	struct cds_list_head link;
	unsigned acks;
	bool active;			/* ports were told */
	bool leaving;			/* ports are told to forget it */
	struct hold_note *notes;	/* one per reactor */
};
void lu_hold_ask(struct lu_hold *h);		/* h->port, off, len, granted set */
void lu_hold_release(struct lu_hold *h);	/* after granted() only */

/*
 * A drain waits for I/O units already handed to the backend. One mechanism for everything that must
 * wait: publishes, task management, holds, sessions that come back.
 */
enum drain_kind {
	DRAIN_MARKED,	/* medium-changing units of tasks marked by the publish in hand */
	DRAIN_NEXUS,	/* medium-changing units of one nexus, orphans included */
	DRAIN_OLD_SELF, /* all units of one nexus, reads too: their buffers count */
	DRAIN_TASK,	/* of one task */
	DRAIN_RANGE, /* every task, reads too, that overlaps a range, until the whole task has ended
		      */
};
struct drain {
	enum drain_kind kind;
	uint64_t seq;			/* units submitted before the drain only */
	const struct nexus *nexus;	/* DRAIN_NEXUS, DRAIN_OLD_SELF */
	const struct task *task;	/* DRAIN_TASK: compared, never followed */
	uint64_t off, len;		/* DRAIN_RANGE */
	unsigned left;
	void (*done)(struct drain *d);	/* may be called from within drain_start() */
	struct cds_list_head link;
};
void drain_start(struct lu_port *p, struct drain *d);

/*
 * What one session may do on one LU: the gate, and its task set (TST=001b: a task set per nexus, so
 * it lives here).
 */
struct lun_gate {
	struct gate g;
	struct lu_port *port;
	struct session
		*session; /* NULL: the session is gone, I/O of it may still run (an orphan) */
	struct nexus_ref *nexus;
	struct cds_list_head link;	/* port->gates */
	unsigned refs;			/* the session, and every task with I/O in the backend */
	unsigned ntasks;		/* tasks of this session on this LU */
	/* Task attributes (SAM-5 8.6) */
	unsigned running;		/* enabled tasks */
	unsigned barriers; /* of them ORDERED and HEAD OF QUEUE: SIMPLE ones wait for these */
	bool kicking;
	unsigned frozen;		/* nothing is enabled meanwhile */
	struct cds_list_head dormant; /* tasks waiting for an ORDERED one, or to be one; in order */
	/*
	 * The same nexus had an earlier session with I/O still in the backend: closed until that
	 * ended.
	 */
	bool closed;
	bool witness;		/* the LU is one */
	bool watched;		/* and watched: how its commands end is told */
	struct drain reopen;
	bool reserve6; /* a RESERVE(6/10) was sent home: the session's end gives it back */
};

struct registry_entry;
struct nexus_ref {
	unsigned refs;			/* one reactor only */
	uint64_t held[2];		/* bytes of its tasks' buffers: of data, of witnesses */
	struct registry_entry *entry;	/* given back with the last reference */
	struct nexus nexus;
};
struct nexus_ref *nexus_ref_new(const struct nexus *n);
void nexus_ref_put(struct nexus_ref *n);

/*
 * One reactor's view of a LU. All of it is that reactor's alone, `note` and `subscribe` travel, and
 * no cache line of it is another's. What a read or write looks at stands in the first two lines:
 * with thousands of LUNs each of them may be a miss.
 */
struct lu_port {
	struct backend *be;		/* the LU's */
	struct lu_ref *value;
	struct cds_list_head busy;	/* struct task, from first submit to its end */
	struct cds_list_head held;	/* struct hold_note: ranges others may not touch */
	struct cds_list_head drains;
	uint64_t seq;			/* of the last unit of I/O handed to the backend here */
	unsigned pending;		/* units in the backend, of all kinds */
	enum { PORT_NONE, PORT_ASKED, PORT_LIVE } state;
	struct {
		uint64_t ios, bytes;
	} count[IO_OPS];
	uint64_t conflicts, parks;
	struct lu *lu;
	struct reactor *reactor;
	struct cds_list_head gates;	/* struct lun_gate */
	struct cds_list_head starting;	/* struct task, waiting for the subscription */
	struct cds_list_head parked;	/* struct task, waiting for a hold to be released */
	struct msg subscribe;
	struct lu_ref *first;		/* what the subscription brings */
	struct {			/* the publish in hand: home sends one at a time */
		struct msg msg;
		struct lu_ref *value;
		const struct lu_fx *fx;		/* home's, until the ack; so is */
		const struct lu_request *rq;	/* what was asked */
		struct drain drain;
	} note;
} __attribute__((aligned(64)));

/* Unit attentions that no gate has yet (owed.c). All functions: any reactor. */
struct owed;
struct lu_owed {
	pthread_mutex_t lock;
	struct owed *v;			/* oldest first */
	uint32_t n, room;
};
void lu_owed_init(struct lu_owed *o);
void lu_owed_free(struct lu_owed *o);
/* Room for n more orders (at most PR_REGISTRANTS_MAX + 1); false when memory is out. */
bool lu_owed_reserve(struct lu_owed *o, uint32_t n);
/* Home, before the publish that brings them. */
void lu_owed_put(struct lu_owed *o, const struct ua_order *orders, uint32_t n);
/* What a gate was told about reservations and did not report before its session ended. */
void lu_owed_return(struct lu_owed *o, const struct nexus *to, uint32_t ua);
/* What this nexus is owed, 1 << enum ua; it is not any more. */
uint32_t lu_owed_take(struct lu_owed *o, const struct nexus *who);

/* A LU. Fields in the first part never change while it is configured and may be read anywhere. */
struct lu {
	struct lu_ident id;
	const struct scsi_target *target;
	struct backend *be;
	struct reactor *home;
	struct store *store;
	struct witness_watch *watch;	/* of a witness; NULL: it is none, or not watched */
	unsigned index;			/* in the daemon's table */

	struct lu_port *ports;		/* reactor_count() of them */
	struct lu_owed owed;

	/* From here on: home's alone. */
	struct history *history;	/* atomic; NULL: none is kept */
	struct lu_ref *value;
	bool subscribed[REACTORS_MAX];
	struct cds_list_head changes;	/* struct lu_change */
	struct cds_list_head unready;	/* of them resets, until the store's lock is ours */
	struct cds_list_head over;	/* evaluated: answered before anything else ends */
	unsigned nunready;
	unsigned batch;			/* the first so many are in work, as one new value */
	struct lu_change *last;		/* of them evaluated: fx is what it does */
	bool changing;
	bool evaluating;		/* inside change_next() */
	struct lu_ref *next;		/* being persisted or published */
	struct lu_fx fx;
	unsigned acks;			/* awaited */
	struct cds_list_head holds;	/* struct lu_hold, in the order they came */
	struct io_req flush;		/* when a change turns the write cache off */
};

/*
 * Makes a LU with its first value; main thread, before the reactors serve anybody. NULL when memory
 * is out.
 */
struct lu *lu_new(const struct lu_ident *id, const struct scsi_target *target, struct backend *be,
		  struct store *store, const struct lu_value *first, struct reactor *home);
void lu_free(struct lu *lu);		/* main thread, after the reactors stopped */

/* A reactor's port of a LU; starts its subscription when it has none. That reactor only. */
struct lu_port *lu_port_use(struct lu *lu);

/*
 * Readies a gate that session_gate() made. It starts closed when an earlier session of the same
 * nexus still has writes in the backend here: a retried write must not be overtaken by its older
 * self.
 */
void lun_gate_open(struct lun_gate *g, struct lu_port *p, struct session *s,
		   struct nexus_ref *nexus, uint64_t login_seq);
void lun_gate_put(struct lun_gate *g);
/* The session is gone: the gate is freed once its last I/O has ended. */
void lun_gate_orphan(struct lun_gate *g);

/*
 * Hands a task's unit of I/O (t->cmd.io) to the backend, or parks it, or completes it with a
 * conflict: then t may be gone. True, only with at_once: the unit has ended already, and the caller
 * goes on with SCSI_EV_IO.
 */
bool lu_port_submit(struct task *t, bool at_once);
/* The task is over: leaves `busy`, ends range drains. */
void lu_port_task_end(struct task *t);

/* A number that grows with every LU-wide event in the daemon, and is read at login. Any thread. */
uint64_t event_seq_next(void);
uint64_t event_seq_now(void);

struct lu_ref *lu_ref_get(struct lu_ref *r);
void lu_ref_put(struct lu_ref *r);

#endif
