/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast doctor: plays what clusters send to a LUN, and says what came back. One thread; no
 * function here is for another. Bytes of the target are never trusted: each answer has a length.
 */
#ifndef TARGET_DOCTOR_H
#define TARGET_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iscsi_context;
struct doctor;

enum {
	DATA_MAX = 65536,	/* bytes of one answer or one write */
	SCRATCH_MAX = 512 << 10,	/* bytes that are saved, written and restored */
	FOREIGN_MAX = 64,	/* registrations of others that are remembered */
	NODES = 16,		/* sessions at most */
	KEY_MARK = 0x484644,	/* the first three bytes of each of our keys: "HFD" */
};

/* ---- one command (io.c, cdb.c) -------------------------------------------------------- */

/* A command as it is sent. Values: made by the functions of cdb.c, which also say it in words. */
struct cdb {
	uint8_t cdb[16];
	uint8_t len;
	uint32_t in, out;     /* bytes expected, bytes that go with it */
	const uint8_t *data;  /* out bytes; read when the command is started, not later */
	uint8_t param[48];    /* small parameter lists; data == NULL: they are the data */
	char text[120];
};

enum how {
	HOW_STATUS,  /* the target answered with a status */
	HOW_TIMEOUT, /* no answer within the time limit; the session was ended */
	HOW_LOST,    /* the connection was lost, or there was none */
	HOW_STOPPED, /* Ctrl-C */
};

struct answer {
	enum how how;
	uint8_t status, key, asc, ascq; /* SAM-5 5.3.1; key and so on with CHECK CONDITION */
	uint32_t len;			/* bytes of data */
	const uint8_t *data;		/* valid until the next command of that node */
	double ms;
};

/* One of our initiators: an I_T nexus. Its name and ISID outlive its session. */
struct node {
	struct doctor *d;
	struct iscsi_context *ctx; /* NULL: not logged in */
	const char *label, *portal;
	char name[224];
	uint32_t isid;	/* low 24 bits of a random-format ISID */
	uint64_t key;	/* what it registers; nodes of one host share it */
	bool asked_only; /* log in with InitialR2T=Yes, ImmediateData=No */
	bool held;	 /* nothing it is sent is read, so no R2T is answered */
	bool broken;	 /* its connection failed; it is ended at the next turn */
	int login;	 /* -1 under way, else a libiscsi status */
	bool discovery;	 /* a discovery session */
	bool found;	 /* it names the target, among so many */
	unsigned targets;
	struct cmd *cmds;
	uint8_t in[DATA_MAX];
};

/* A command or task management function in flight; cmd_free() by who started it. */
struct cmd {
	struct cmd *next;
	struct node *node;
	struct cdb cdb;
	struct answer a;
	void *task; /* libiscsi's */
	uint8_t *in, *out;
	int64_t start_us;
	bool done, counted;
};

int64_t now_us(void);
/* Turns the loop for so many milliseconds: every session is served. */
void doctor_wait(struct doctor *d, unsigned ms);

/* Logs in as the node's name and ISID. False with d->why. Serves all others meanwhile. */
bool node_login(struct node *n);
/* TEST UNIT READY until no unit attention comes; how many came, -1 without end. asc/ascq of the
 * first in *first (may be NULL). */
int node_settle(struct node *n, uint16_t *first);
void node_logout(struct node *n); /* with a Logout PDU */
void node_drop(struct node *n);	  /* the connection just ends */
/* SendTargets=All (RFC 7143 appendix C) in a session of its own: n->found, n->targets. */
bool node_discover(struct node *n);
/* Whether the target has closed its connection. */
bool node_closed(struct node *n);

/* A command and its answer, noted in the check's transcript. */
struct answer node_do(struct node *n, const struct cdb *c);
struct cmd *cmd_start(struct node *n, const struct cdb *c);
/* ABORT TASK of victim's, or LOGICAL UNIT RESET; a.status is the response (RFC 7143 11.6.1). */
struct cmd *cmd_abort_task(struct node *n, const struct cmd *victim);
struct cmd *cmd_lun_reset(struct node *n);
/* Until it has ended, at most ms (0: the time limit). A command that is late ends its session. */
void cmd_wait(struct cmd *c, unsigned ms);
void cmd_free(struct cmd *c);

struct cdb cdb_tur(void);
struct cdb cdb_inquiry(int page, uint16_t len); /* page -1: the standard data */
struct cdb cdb_report_luns(uint32_t len);
struct cdb cdb_capacity10(void);
struct cdb cdb_capacity16(void);
struct cdb cdb_mode_sense6(uint8_t page);
struct cdb cdb_mode_sense10(uint8_t page);
struct cdb cdb_rtpg(void);
struct cdb cdb_read(uint64_t lba, uint16_t blocks, uint32_t block);
struct cdb cdb_write(uint64_t lba, uint16_t blocks, uint32_t block, const uint8_t *data, bool fua);
struct cdb cdb_sync(void);
struct cdb cdb_unmap(uint64_t lba, uint32_t blocks);
struct cdb cdb_write_same(uint64_t lba, uint16_t blocks, uint32_t block, const uint8_t *data,
			  bool unmap);
struct cdb cdb_compare_write(uint64_t lba, uint8_t blocks, uint32_t block, const uint8_t *data);
struct cdb cdb_orwrite(uint64_t lba, uint16_t blocks, uint32_t block, const uint8_t *data);
struct cdb cdb_reserve6(bool release);

enum pr_in { PRIN_KEYS, PRIN_RESERVATION, PRIN_CAPABILITIES, PRIN_FULL_STATUS };
enum pr_out {
	PROUT_REGISTER,
	PROUT_RESERVE,
	PROUT_RELEASE,
	PROUT_CLEAR,
	PROUT_PREEMPT,
	PROUT_PREEMPT_ABORT,
	PROUT_REGISTER_IGNORE,
};
enum { PR_APTPL = 1, PR_ALL_TG_PT = 4, PR_SPEC_I_PT = 8 }; /* byte 20 of the parameter list */

struct cdb cdb_pr_in(enum pr_in sa, uint16_t len);
struct cdb cdb_pr_out(enum pr_out sa, uint8_t type, uint64_t key, uint64_t sa_key, uint8_t flags);
/* The same for the checks' keys: "A's key" instead of digits. */
const char *key_text(const struct doctor *d, uint64_t key, char out[40]);

/* ---- checks --------------------------------------------------------------------------- */

enum verdict { PASS, SKIPPED, WARN, FAIL };

enum { /* what a check needs; else it is skipped, with the reason */
	NEED_WRITES = 1,
	NEED_ALONE = 2, /* no registrations of others: they might be disturbed */
	NEED_RESTART = 4,
};

struct check {
	const char *name, *title;
	const char *clause;  /* where what is asked stands */
	const char *asks;    /* what it asks */
	const char *meaning; /* for a Hyper-V or KVM cluster, when it fails */
	unsigned needs;
	void (*run)(struct doctor *d);
	const struct step *steps; /* instead of run: see steps.c */
};

/* Each ends with an empty row. */
extern const struct check checks_disk[], checks_data[], checks_pr[], checks_fence[];
extern const struct check checks_arbitration[], checks_abort[], checks_session[], checks_last[];

/* One line of a transcript. */
struct line {
	char node[8], sent[120], answer[100];
	double ms;
};

struct result {
	const struct check *check;
	enum verdict verdict;
	char text[400]; /* the first thing that was wrong, or why skipped, or a measured value */
	struct line *lines;
	unsigned nlines;
	double seconds;
};

struct doctor {
	/* what was asked */
	const char *url, *second, *initiator;
	bool writes, foreign_ok, json, verbose, real_time;
	unsigned limit_ms;
	const char *only, *restart;
	/* the target */
	char portal[256], portal2[256], target[256], user[256], password[256];
	char target_user[256], target_password[256];
	int lun;
	char why[600]; /* the last thing that could not be done */
	/* the LUN */
	uint64_t blocks;
	uint32_t block; /* bytes */
	uint64_t scratch;	 /* LBA */
	uint32_t scratch_blocks; /* 0: none */
	uint8_t *saved;		 /* their contents at the start; NULL: not written yet */
	bool dirty;		 /* they must be written back */
	bool ports_differ;	 /* the two portals are two target ports */
	int sibling;		 /* another LUN of the target, -1 none */
	uint64_t foreign[FOREIGN_MAX];
	unsigned nforeign;
	bool foreign_reserved;
	/* us */
	struct node nodes[NODES];
	uint64_t mark; /* the first 6 bytes of our keys */
	bool cleaning; /* Ctrl-C does not stop what cleans up */
	unsigned timeouts; /* of commands and logins, and checks that could not begin */
	double pr_ms_max; /* the slowest PR command answered */
	char pr_ms_what[120];
	char said[100]; /* the answer to the last READ KEYS or READ RESERVATION */
	/* the check that runs */
	struct result *now;
};

extern volatile int doctor_stop; /* Ctrl-C */

enum { A, A2, B, C, MAIN_NODES }; /* A2: the second path of host A */

/* Worsen the verdict; the first text of the worst stays. */
void check_fail(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_warn(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_skip(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A measured value, shown with a pass. */
void check_note(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_line(struct doctor *d, const char *node, const char *sent, const char *answer,
		double ms);

/* ---- what is expected (steps.c) ------------------------------------------------------- */

enum want {
	GOOD,
	CONFLICT,
	UA_REGS_PREEMPTED, /* 2Ah/05h */
	UA_RES_RELEASED,   /* 2Ah/04h */
	UA_RES_PREEMPTED,  /* 2Ah/03h */
	BAD_RELEASE,	   /* 5h 26h/04h */
	BAD_PARAMETER,	   /* 5h 26h/xx */
	ILLEGAL,	   /* 5h */
	ANY,
};

enum verb { /* rows of a table in steps.c */
	V_END,
	V_TUR,
	V_REGISTER,
	V_REGISTER_IGNORE,
	V_RESERVE,
	V_RELEASE,
	V_CLEAR,
	V_PREEMPT,
	V_PREEMPT_ABORT,
	V_KEYS,	   /* READ KEYS; keys: all of ours, in any order */
	V_HOLDER,  /* READ RESERVATION; keys: of the holder, "" none; type */
	V_WRITE,   /* of a scratch block, or of length 0 without --allow-writes */
	V_READ,
	V_INQUIRY,
	V_CAPACITY,
	V_DROP,	   /* the connection ends without a logout */
	V_LOGOUT,
	V_LOGIN,   /* and unit attentions are eaten */
};

/* Keys are letters: a, b, c those of the hosts, x one that nobody has, 0 zero. */
struct step {
	uint8_t node, verb;
	const char *keys; /* "RS": reservation key, service action key; see V_KEYS, V_HOLDER */
	uint8_t type, want;
	const char *why; /* what it means if not */
	bool soft;	 /* a warning, not a failure */
};

bool answer_is(const struct answer *a, enum want want);
const char *want_text(enum want want);
const char *answer_text(const struct answer *a, char out[100]);
/* True if it is; else the check fails with "node: sent: answer, expected". */
bool expect(struct node *n, const struct cdb *c, const struct answer *a, enum want want,
	    const char *why);
/* node_do() and expect(). */
bool node_expect(struct node *n, const struct cdb *c, enum want want, const char *why);
void steps_run(struct doctor *d, const struct step *s);
uint64_t key_of(const struct doctor *d, char letter);

bool pr_do(struct node *n, enum pr_out sa, uint8_t type, uint64_t key, uint64_t sa_key,
	   enum want want);
/* READ KEYS: ours among them, in keys[max]; how many, -1 no answer. */
int pr_keys(struct node *n, uint64_t *keys, unsigned max, uint32_t *generation);
bool pr_holder(struct node *n, uint64_t *key, uint8_t *type); /* key 0, type 0: none */

/* ---- state of the LUN (clean.c) ------------------------------------------------------- */

bool key_is_ours(const struct doctor *d, uint64_t key);
/* Before the first check: geometry, registrations of others, other LUNs. False with d->why. */
bool clean_survey(struct doctor *d);
/* All main nodes logged in, none of our keys registered, no unit attention left. False: not
 * possible, d->why. */
bool clean_start(struct doctor *d);
/* At the end, on whatever path: unregisters, restores, logs out. False: something stayed. */
bool clean_end(struct doctor *d);
/* Scratch blocks: saved before the first write (scratch_save). False: the check failed. */
bool scratch_save(struct doctor *d);
bool scratch_fill(struct node *n, uint8_t pattern);
/* Whether all of it is this pattern; the first other byte in *found. */
bool scratch_is(struct node *n, uint8_t pattern, uint8_t *found);

/* ---- output (print.c) ----------------------------------------------------------------- */

extern const char *const verdict_names[];
/* What is no printable ASCII becomes a question mark: the target's bytes may be anything. */
void printable(char *s);
void print_result(const struct doctor *d, const struct result *r);
void print_summary(const struct doctor *d, const struct result *r, unsigned n, double seconds);
void print_json(const struct doctor *d, const struct result *r, unsigned n, double seconds);

#endif
