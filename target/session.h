/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: an I_T nexus while it is logged in (RFC 7143 4.4.1), with its CmdSN window, its tasks
 * and its gates. It lives on one reactor, and so do all its connections.
 */
#ifndef TARGET_SESSION_H
#define TARGET_SESSION_H

#include "target/daemon.h"
#include "target/iscsi/login.h"
#include "target/task.h"

struct conn;

enum {
	TASK_HASH = 64,
	GATE_PAGE = 64, /* LUNs per page of the gate table */
	GATE_PAGES = (LUN_MAX + GATE_PAGE) / GATE_PAGE,
	R2T_SLOTS = 256, /* outstanding R2Ts of one session */
	TMFS_MAX = 16,	 /* task management functions of one session in work at once */
};

struct r2t {
	struct task *task; /* NULL: free, or its task is gone: late data is consumed in silence */
	uint32_t ttt;
	uint32_t off, end, next;	/* bytes of the command's data; next byte expected */
	uint32_t datasn;
	uint32_t gen;
	uint64_t dead_ns;		/* since when task is NULL */
	uint16_t free_next;
	bool used;
};

struct session {
	struct cds_list_head link;	/* reactor's list */
	struct node *node;		/* target; NULL in discovery sessions */
	struct nexus_ref *nexus;
	struct registry_entry *entry;
	struct conn *conn;		/* MaxConnections=1 */
	struct iscsi_params params;
	bool discovery, closing;
	bool logged_out;		/* by a Logout request */
	uint16_t tsih, cid;
	char alias[64];
	uint64_t login_seq;		/* event_seq_now() at login */
	uint64_t since_ns;		/* wall clock, ns */

	uint32_t expcmdsn, maxcmdsn;
	unsigned window;		/* commands at once */
	unsigned inuse;			/* non-immediate commands that occupy the window */
	struct cds_list_head early;	/* struct early, by CmdSN: came before their predecessors */

	unsigned ntasks;
	struct cds_list_head tasks;
	struct cds_list_head hash[TASK_HASH];
	struct lun_gate **gates[GATE_PAGES];
	unsigned ngates;

	struct r2t *r2ts;		/* R2T_SLOTS, made with the first R2T */
	uint16_t r2t_free;
	struct cds_list_head want_r2t;	/* tasks waiting for a free tag */
	uint64_t r2t_bytes;		/* asked for and not all there, of live tasks */
	bool mixed; /* data and a witness: what is the witness's goes ahead */
	struct cds_list_head tmfs;	/* struct tmf: task management in work */
	unsigned ntmfs;
	unsigned dead_tags;		/* R2Ts of tasks that are gone, whose data may still come */
	struct text text;
	char *text_out;

	uint64_t cmds, bytes_in, bytes_out;
};

/*
 * Makes a session for a login that succeeded, on this reactor. NULL with a login status when it
 * cannot be (limits). Reinstatement (RFC 7143 6.3.5): the caller has ended the older session of the
 * same nexus before.
 */
struct session *session_new(struct conn *c, const struct login *l, const struct nexus *n,
			    struct node *node, struct registry_entry *e);
/* Ends it: tasks aborted, gates orphaned, memory freed; the connection is the caller's. */
void session_free(struct session *s, const char *why);

struct task *session_find_task(struct session *s, uint32_t itt);
void session_add_task(struct session *s, struct task *t);
void session_del_task(struct session *s, struct task *t);
/*
 * Its oldest command, of a gate or (NULL) of all; NULL: there is none. *looked grows by the number
 * of tasks looked at.
 */
const struct task *session_oldest(const struct session *s, const struct lun_gate *g,
				  unsigned *looked);
struct lun_gate *session_gate(struct session *s,
			      uint16_t lun); /* made on first use; NULL: no such LUN */
struct lun_gate *session_gate_peek(struct session *s, uint16_t lun);
/* From now on it is a mixed one. */
void session_mix(struct session *s);

/* CmdSN (RFC 7143 4.2.2.1): what to do with a numbered PDU. NOW has taken the number. */
enum cmdsn_verdict { CMDSN_NOW, CMDSN_LATER, CMDSN_IGNORE };
enum cmdsn_verdict session_take_cmdsn(struct session *s, uint32_t cmdsn, bool immediate);
/* Would it be ignored? Takes nothing. */
bool session_ignores_cmdsn(struct session *s, uint32_t cmdsn, bool immediate);
void session_window_update(struct session *s);

/* Serial number arithmetic (RFC 1982, 32 bits). */
static inline bool sn_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* A request that waits for the CmdSNs before it. */
struct early {
	struct cds_list_head link;
	uint32_t cmdsn;
	struct task *task;		/* a SCSI command; we hold a reference */
	struct buf *buf;		/* the data of another request */
	uint32_t len;
	uint8_t hdr[BHS_LEN];		/* opcode ffh: an aborted number, nothing to do */
};
/* Keeps a request for later; takes over buf, and a reference to t. */
void session_early(struct session *s, uint32_t cmdsn, const void *hdr, struct task *t,
		   struct buf *buf, uint32_t len);
/* The next request whose turn has come (its number is taken), or NULL. The caller frees it. */
struct early *session_early_next(struct session *s);
/*
 * ABORT TASK for a command not yet received (RFC 7143 11.5.1): its number counts as received. False
 * when outside the window.
 */
bool session_skip_cmdsn(struct session *s, uint32_t cmdsn);

/* Task management (tmf.c). */
void tmf_request(struct conn *c, const struct bhs_tmf_req *h);
void tmf_tags_gone(struct session *s);		/* s->dead_tags reached 0 */
void tmf_session_gone(struct session *s);

#endif
