/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw-socket iSCSI initiator for tests, and a daemon to talk to. It says exactly what a test
 * wants said, right or wrong, and looks at every PDU that comes back for what must hold always (RFC
 * 7143): StatSN without a gap, ExpCmdSN and MaxCmdSN that never shrink, DataSN, R2TSN, offsets,
 * burst lengths and F bits in order, digests right, padding zero. What does not hold is a
 * violation: printed, and a failed CUnit assertion in the test that runs.
 *
 * One thread. Times are milliseconds. In a sanitizer build (WIRE_SLOW=N) every time-out is N times
 * as long.
 */
#ifndef TESTS_DAEMON_WIRE_H
#define TESTS_DAEMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/iscsi/pdu.h"
#include "tests/unit/unit.h"

#define WIRE_TARGET    "iqn.2026-11.com.example:t1"
#define WIRE_TARGET2   "iqn.2026-11.com.example:t2"
#define WIRE_INITIATOR "iqn.2026-11.com.example:host"

enum {
	WIRE_MS = 5000,	     /* what must come comes within this */
	WIRE_QUIET_MS = 150, /* what must not come has not come by then */
	WIRE_STOP_MS = 9000, /* SIGTERM has ended the daemon: 7 s, and a slow machine */
	WIRE_TRIES = 4,
	WIRE_PATH = 240,
	BLOCK = 512,
	ATTR_UNTAGGED = 0,
	ATTR_SIMPLE = 1,
	ATTR_ORDERED = 2,
	ATTR_HEAD = 3,
	ATTR_ACA = 4,
	/* SAM-4 statuses */
	ST_GOOD = 0x00,
	ST_CHECK = 0x02,
	ST_BUSY = 0x08,
	ST_CONFLICT = 0x18,
	ST_FULL = 0x28,
	ST_ABORTED = 0x40,
	KEY_ILLEGAL = 5,
	KEY_ATTENTION = 6,
	KEY_ABORTED = 0xb,
	KEY_MISCOMPARE = 0xe,
};

/* ---- the daemon
 * ---------------------------------------------------------------------------------------- */

struct daemon {
	int pid;	      /* 0: not running */
	int status;	      /* of waitpid, once it has ended */
	uint16_t port, port2; /* the second only where a test's own portals use it */
	char dir[WIRE_PATH - 40], config[WIRE_PATH], log[WIRE_PATH];
};
extern struct daemon wire_daemon;

/*
 * Starts holdfastd on a configuration: `top` are lines of the file's top level, `luns` the lines of
 * the first target's LUNs (each "      - {lun: ...}\n"), `more` further lines after them. Any may
 * be NULL (luns: one of 64 MiB in memory). Whatever ran before is stopped. Returns when it accepts
 * logins; a failed assertion and no return when it does not.
 */
void daemon_start(const char *top, const char *luns, const char *more);
/* The same without new files: after daemon_stop or daemon_wait. */
void daemon_restart(void);
/* SIGTERM; asserts that it ends by itself with status 0 and that no sanitizer complained. */
void daemon_stop(void);
/* Waits until it has ended. True when it did in time; the status is in wire_daemon.status. */
bool daemon_wait(unsigned ms);
/* Is it still there? Not a wait. */
bool daemon_alive(void);
/* A file in the daemon's directory, made or removed (for the filters' while=). */
const char *daemon_path(const char *name);
void daemon_touch(const char *name);
void daemon_remove(const char *name);
/* How often the log says this. */
unsigned daemon_log_count(const char *text);
/* The same once it has said so n times, or WIRE_MS are over: a thread of its own writes the log. */
unsigned daemon_log_await(const char *text, unsigned n);

/* Milliseconds since some time; the factor of slow builds; a pause. */
uint64_t wire_now(void);
unsigned wire_slow(void);
void wire_sleep(unsigned ms);
/*
 * A promise about time cannot be seen while the machine, or one of the two programs, stands still
 * for a second. An attempt that shows nothing says false, with the daemon stopped, and is made
 * again. The last of WIRE_TRIES counts whatever it shows: it returns true.
 */
void wire_tries(bool (*attempt)(bool last));

/* ---- connections
 * --------------------------------------------------------------------------------------- */

struct pdu {
	union {
		uint8_t b[BHS_LEN];
		struct bhs h;
		struct bhs_scsi_cmd cmd;
		struct bhs_scsi_rsp rsp;
		struct bhs_tmf_req tmf;
		struct bhs_tmf_rsp tmf_rsp;
		struct bhs_data_out out;
		struct bhs_data_in in;
		struct bhs_r2t r2t;
		struct bhs_async async;
		struct bhs_text_req text;
		struct bhs_text_rsp text_rsp;
		struct bhs_login_req login;
		struct bhs_login_rsp login_rsp;
		struct bhs_logout_req logout;
		struct bhs_logout_rsp logout_rsp;
		struct bhs_reject reject;
		struct bhs_nop_out nop_out;
		struct bhs_nop_in nop_in;
	};
	const uint8_t *data; /* received: valid until the next receive on this connection */
	uint32_t len;
};

struct io;

struct wire {
	int fd;
	struct wire *next_open;
	bool full_feature, hdigest, ddigest, fast_abort;
	uint32_t cmdsn;	    /* the next to send */
	uint32_t expstatsn; /* the next to come */
	bool statsn_known;
	uint32_t expcmdsn, maxcmdsn; /* the highest seen */
	uint32_t itt;		     /* the last used */
	uint16_t tsih, cid;
	uint8_t isid[6];
	/* negotiated */
	uint32_t max_send, max_recv, first_burst, max_burst, max_r2t;
	bool initial_r2t, immediate;
	/* what the next PDU sent gets wrong */
	bool break_hdigest, break_ddigest;
	size_t chunk;	/* not 0: everything is sent in pieces of so many bytes */
	bool no_pong;	/* the target's pings are not answered */
	unsigned pings; /* of the target, seen */
	unsigned violations;
	struct io *ios; /* under way */
	uint8_t *rx;
	size_t rx_have, rx_room, rx_used;
	bool eof;
};

struct login_opts {
	const char *initiator,
		*target; /* NULL: WIRE_INITIATOR, WIRE_TARGET; "": the key is not sent */
	bool discovery;
	uint8_t isid; /* last byte of the ISID */
	uint16_t tsih, cid;
	uint32_t cmdsn;
	bool digests;	  /* offers CRC32C for both */
	const char *keys; /* further ones, each followed by a newline */
};

/* Connects. NULL (no assertion) when that is refused. */
struct wire *wire_connect(void);
/* The same to another numeric address, IPv4 or IPv6, and port. */
struct wire *wire_connect_to(const char *host, uint16_t port);
/* Closes and frees; NULL is fine. daemon_stop does it for all. */
void wire_close(struct wire *w);
/* RST instead of FIN. */
void wire_kill(struct wire *w);
/* Logs in on a connection: status class << 8 | detail, or -1 when the connection ended or nothing
 * came. */
int wire_login(struct wire *w, const struct login_opts *o);
/* Both, asserting success; o may be NULL. Consumes the power-on unit attentions of LUNs 0..luns-1.
 */
struct wire *wire_open(const struct login_opts *o, unsigned luns);

/*
 * Sends a PDU: data segment length, padding and digests are filled in here, everything else is the
 * caller's. False when the connection is gone.
 */
bool wire_send(struct wire *w, struct pdu *p, const void *data, uint32_t len);
bool wire_send_ahs(struct wire *w, struct pdu *p, const void *ahs, uint32_t ahs_len,
		   const void *data, uint32_t len);
bool wire_send_raw(struct wire *w, const void *bytes, size_t len);
/* Receives the next PDU as it is: 1, 0 when none came in time, -1 when the connection has ended. */
int wire_recv(struct wire *w, struct pdu *p, unsigned ms);
/*
 * The same, but what belongs to an io under way is carried out (Data-In stored, R2T answered,
 * status noted) and returns 2; the target's pings are answered and return 2 as well.
 */
int wire_pump(struct wire *w, struct pdu *p, unsigned ms);
/* Pumps until a PDU of this opcode that belongs to no io. Others that belong to none fail the test.
 */
bool wire_expect(struct wire *w, uint8_t opcode, struct pdu *p, unsigned ms);
/* Nothing comes, and the connection stays. */
bool wire_quiet(struct wire *w, unsigned ms);
/* The connection is closed by the target (what comes before is ignored). */
bool wire_closed(struct wire *w, unsigned ms);
/* It answers a ping. */
bool wire_alive(struct wire *w);
/* Waits until one of the connections has something to read; its index, or -1. */
int wire_poll(struct wire **w, unsigned n, unsigned ms);

/* ---- commands
 * ------------------------------------------------------------------------------------------ */

enum { IO_R2TS = 64 };

struct io {
	/* by the caller */
	uint16_t lun;
	uint8_t cdb[16];
	uint8_t attr; /* ATTR_ */
	uint32_t edtl;
	bool rd, wr, immediate; /* R, W and I bits */
	uint8_t *buf;		/* edtl bytes */
	bool no_imm;		/* sends no immediate data even though it may */
	bool no_unsol;		/* sends no unsolicited data: sets F in the command */
	bool manual;		/* R2Ts are kept in r2t[], not answered */
	bool keep_cmdsn;	/* uses cmdsn below instead of the connection's */
	bool keep_itt;
	/* by the library */
	struct wire *w;
	struct io *next;
	uint32_t itt, cmdsn;
	uint32_t sent; /* unsolicited bytes, immediate included */
	bool started, done;
	uint8_t response, status, flags;
	uint32_t residual, expdatasn;
	uint8_t sense[256];
	uint32_t sense_len;
	uint32_t got;		       /* bytes of Data-In */
	uint32_t datain_pdus, r2ts;    /* counts */
	uint32_t burst, longest_burst; /* Data-In of the sequence in hand */
	bool status_in_data;
	uint32_t solicited; /* end of what R2Ts have asked for */
	unsigned open_r2ts, most_r2ts;
	struct bhs_r2t r2t[IO_R2TS]; /* manual */
	unsigned nr2t;
	uint64_t ended; /* wire_now() */
};

void io_read(struct io *io, uint16_t lun, uint32_t lba, uint16_t blocks, void *buf); /* READ (10) */
void io_write(struct io *io, uint16_t lun, uint32_t lba, uint16_t blocks,
	      void *buf); /* WRITE (10) */
void io_caw(struct io *io, uint16_t lun, uint32_t lba, uint8_t blocks,
	    void *buf);						    /* COMPARE AND WRITE */
void io_tur(struct io *io, uint16_t lun);			    /* TEST UNIT READY */
void io_sense(struct io *io, uint16_t lun, void *buf, uint8_t len); /* REQUEST SENSE */
/* Sends the command and its unsolicited data. */
bool io_start(struct wire *w, struct io *io);
/* Pumps until it has ended. False: not in time, or the connection ended. */
bool io_wait(struct io *io, unsigned ms);
/* Both; true when it ended, with whatever status. */
bool io_run(struct wire *w, struct io *io);
/* Both, and the status is GOOD without residual. */
bool io_good(struct wire *w, struct io *io);
/* Forgets it: what comes for it later is a violation. Needed when it will not end (aborted). */
void io_forget(struct io *io);
/* Sense key and ASC/ASCQ of what was returned; 0 and 0 without sense. */
uint8_t io_key(const struct io *io);
uint16_t io_asc(const struct io *io);
/* Pumps until so many of its R2Ts have come. */
bool io_await_r2ts(struct io *io, unsigned n);
/* One Data-Out PDU of an io. */
bool io_data_out(struct io *io, uint32_t ttt, uint32_t datasn, uint32_t off, uint32_t len,
		 bool final);
/* Answers one R2T completely. */
bool io_answer(struct io *io, const struct bhs_r2t *r);

/* Task management: sends, and waits for the response. -1 when none came. */
int wire_tmf(struct wire *w, uint8_t function, uint16_t lun, uint32_t rtt, uint32_t refcmdsn);
/* The parts: the ITT of what was sent. */
uint32_t wire_tmf_send(struct wire *w, uint8_t function, uint16_t lun, uint32_t rtt,
		       uint32_t refcmdsn);
/* Logout; the response code, or -1. */
int wire_logout(struct wire *w, uint8_t reason, uint16_t cid);
uint32_t wire_next_itt(struct wire *w);
void wire_lun(uint8_t b[8], uint16_t lun);

/* A block's content that names itself. */
void fill_blocks(uint8_t *buf, uint32_t lba, uint32_t blocks, uint32_t stamp);
bool same_blocks(const uint8_t *buf, uint32_t lba, uint32_t blocks, uint32_t stamp);

#endif
