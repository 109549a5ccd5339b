/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task: one SCSI command from its PDU to its last response byte. Its memory and buffers belong to
 * the reactor, not to the session, because I/O in the backend outlives connection and session: an
 * aborted or orphaned task is marked dead and freed when its I/O has ended.
 */
#ifndef TARGET_TASK_H
#define TARGET_TASK_H

#include "scsi/cmd.h"
#include "target/buf.h"
#include "target/lu.h"

enum task_state {
	TASK_NEW,	/* PDU seen; data segment or CmdSN predecessors missing */
	TASK_DORMANT,	/* in its gate's task set, behind an ORDERED task, or the gate is closed */
	TASK_STARTING,	/* waits for the port's subscription */
	TASK_GATHERING, /* waits for data-out */
	TASK_PARKED,	/* waits for a hold to be released */
	TASK_IO,	/* a unit is in the backend */
	TASK_HOLDING,	/* asked for a hold */
	TASK_CHANGING,	/* at the LU's home */
	TASK_SENDING,	/* completed; response queued */
};

struct task {
	/*
	 * Filled in by whoever uses them: task_new() clears from cmd on. Most commands touch little
	 * of it.
	 */
	struct io_req io;
	struct lu_hold hold;
	struct lu_change change;

	struct scsi_cmd cmd;
	struct session *session;	/* NULL: orphaned */
	struct lun_gate *gate;		/* NULL: no such LU */
	enum task_state state;
	bool dead;			/* aborted: nothing goes on but what is in the backend */
	bool tell;			/* dead, but answers TASK ABORTED */
	unsigned refs;
	bool enabled;			/* counted in gate->running */
	bool counted;			/* counted in gate->ntasks and the session's */
	bool immediate;
	bool windowed;			/* occupies a slot of the command window */
	uint8_t refuse; /* enum scsi_status to end with instead of running; 0: run */
	uint32_t itt, cmdsn;
	struct cds_list_head link;	/* session->tasks */
	struct cds_list_head hash;	/* session->hash[] */
	struct cds_list_head wait;	/* whichever list its state says */

	/* Data-out (RFC 7143 4.2.5.2): what is to come, in order. */
	struct {
		uint32_t got;		/* bytes received, in order */
		uint32_t asked;		/* bytes asked for by R2T or allowed unsolicited */
		uint32_t unsol_end;	/* unsolicited bytes may reach to here */
		bool unsol_open;	/* unsolicited Data-Out still expected (F not seen) */
		uint32_t unsol_sn;	/* DataSN of the next unsolicited Data-Out */
		uint32_t r2tsn;
		unsigned r2ts;		/* outstanding */
		bool wanted;		/* SCSI_GATHER was returned: R2Ts may go out */
		bool bad; /* the data was damaged or broke the rules: `fault` instead of execution
			   */
	} out;
	struct sense fault;

	/* Data-In: what of it is in PDUs already (reply.c). */
	struct {
		uint32_t len;		/* bytes that go */
		uint32_t pos;		/* bytes in PDUs */
		uint32_t burst;		/* of them in the sequence in hand */
		uint32_t sn;		/* DataSN of the next */
	} in;

	const uint8_t *lent;		/* cmd.in is in the store's memory (conn_lend()) */

	struct buf *bin, *bout, *bscratch;

	/* In the backend. */
	struct cds_list_head busy;	/* port->busy */
	bool in_busy;
	bool pending;			/* a unit is in the backend */
	bool marked;			/* by the publish in hand: its drain waits for it */
	uint64_t seq;			/* of the unit in the backend */
	uint64_t first_seq;		/* of its first unit */

	bool told_failed;		/* home, that its flush failed */
	uint64_t begun_ns;		/* enabled; of a watched LU */
	uint64_t came_ns;		/* into its session */
};

/*
 * References: the session's (from task_new to task_complete or task_abort), one per transmit
 * descriptor, one while a unit is in the backend, one while a hold or a change is on its way, one
 * while data is being received. The last one frees it; this reactor only.
 */
struct task *task_new(void);
void task_get(struct task *t);
void task_put(struct task *t);
/* A buffer of n bytes for it, goes with it; NULL when its nexus or the daemon holds too many. */
struct buf *task_buf(struct task *t, uint32_t n);
void task_trim(void);			/* frees what this reactor keeps for reuse; when it ends */

/* The command is complete as received and its turn has come: enters its task set. */
void task_deliver(struct task *t);
/* Runs the step function on and carries out what it says. */
void task_run(struct task *t, enum scsi_event ev);
/* Data-out moved on: continue if it is all there, ask for more if it may be asked for. */
void task_data(struct task *t);
/* cmd.status and cmd.sense are final: respond (unless dead) and leave the session. */
void task_complete(struct task *t);

/*
 * Aborts: no response of its own from now on, except TASK ABORTED where `tell` says so. A unit in
 * the backend ends by itself first (drain to learn when), and the task occupies its place until
 * then.
 */
void task_abort(struct task *t, bool tell);
/* Its session ends: like an abort, and the task forgets the session at once. */
void task_orphan(struct task *t);

/* Goes on with what waits in a gate's task set (called when a gate opens or a task leaves). */
void gate_kick(struct lun_gate *g);
/*
 * While several tasks of a gate are aborted none of the others starts, or is asked for data, in
 * their place.
 */
void gate_freeze(struct lun_gate *g);
void gate_thaw(struct lun_gate *g);

#endif
