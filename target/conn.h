/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: a socket, the PDU being received, the PDUs to be sent. Receiving needs no buffer of
 * its own: every reactor reads into one scratch area, headers are gathered in the connection, data
 * segments go straight to where they belong.
 */
#ifndef TARGET_CONN_H
#define TARGET_CONN_H

#include "target/coarse.h"
#include "target/iscsi/login.h"
#include "target/session.h"

enum {
	AHS_MAX = 1020,
	CONN_TEXT_MAX = 16384,		/* data segment of a text request */
};

/*
 * How a PDU carries StatSN (RFC 7143 4.2.2.2): not at all, the next one without taking it, or
 * taking it.
 */
enum tx_sn { SN_NONE, SN_PEEK, SN_TAKE };

struct txd {
	struct txd *next;
	uint8_t bhs[BHS_LEN + 4];	/* with room for the header digest */
	uint8_t tail[8];		/* padding and data digest */
	const uint8_t *data;
	uint32_t len;
	uint8_t bhs_len, tail_len;
	uint8_t sn;			/* enum tx_sn */
	bool stamped;
	bool more;			/* reply_more() makes the one behind it */
	bool ahead;			/* of those queued before it */
	struct task *task; /* a reference to it is dropped when sent; data is in its buffers */
	struct buf *buf;		/* goes when sent */
};

enum conn_state { CONN_LOGIN, CONN_MOVING, CONN_FULL, CONN_CLOSING };

struct conn {
	struct rfd rfd;
	struct cds_list_head link;	/* the reactor's connections */
	struct reactor *reactor;
	unsigned id;			/* for the log */
	enum conn_state state;
	const struct config_portal *portal;
	char peer[64], local[64];
	struct session *session;
	struct login *login;		/* until the full feature phase */
	struct registry_entry *claim;	/* of the login in hand */
	struct msg move;
	struct admission *admission;	/* with CONN_MOVING */
	struct reactor *move_to;
	struct timer timer;		/* of the login, or of a connection that is to end */
	struct coarse look;		/* does the peer live? */
	uint64_t last_sign;		/* ns: of life, see conn_look */
	bool pinged;
	bool close_after_tx;
	bool input;			/* inside conn_run: closing waits for its end */
	bool half_open;			/* counted in daemon_state.half_open */
	const char *why;		/* it closes */

	bool hdigest, ddigest;		/* in force */
	uint32_t max_data_in;		/* data segment we accept */
	uint32_t statsn;
	uint32_t ttt;			/* of our pings */

	struct {
		enum { RX_HEADER, RX_DATA, RX_TAIL } state;
		uint8_t hdr[BHS_LEN + AHS_MAX + 4];
		uint32_t have, need;	/* of hdr, bytes */
		uint8_t tail[8];	/* padding and digest */
		uint32_t tail_have, tail_need;
		uint8_t *dst;		/* NULL: discarded */
		uint32_t len, got, room; /* room: bytes that dst takes; the rest is discarded */
		uint32_t crc;
		struct task *task;	/* whose data it is; we hold a reference */
		struct r2t *r2t;
		struct buf *buf;	/* data of anything but SCSI commands */
		bool skip;		/* header handled completely, data of no interest */
	} rx;

	struct txd *tx_head, **tx_tail;
	size_t tx_off;			/* bytes of tx_head already sent */
	size_t tx_batch;		/* bytes numbered and handed to the socket at once, about */
	unsigned tx_count;
	size_t tx_owed;			/* bytes of data queued since the queue was empty */
	uint64_t tx_turn;		/* reactor_now() when it sent last, and how much */
	size_t tx_spent;
	struct defer flush;
};

/*
 * A connection for an accepted socket, on this reactor. The socket is the connection's from then
 * on.
 */
void conn_new(int fd, const struct config_portal *portal);
/* Ends it: at once, or at the end of conn_run(). Logged with why. */
void conn_close(struct conn *c, const char *why);
/* Calls fn, which may close or move the connection and still use it: c may be gone afterwards. */
void conn_run(struct conn *c, void (*fn)(struct conn *c));

/* A descriptor to fill; BHS zeroed. Never NULL (aborts when memory is out: a few dozen bytes). */
struct txd *conn_tx(struct conn *c, enum tx_sn sn);
/* Queues it; sent at the end of the loop turn. */
void conn_send(struct conn *c, struct txd *d);
/*
 * Data-In from memory that is the store's (task.lent) is for the connection whose input is being
 * worked on, true: before the reactor does anything else, or changes a medium, conn_lent_end()
 * gives it to the socket, and copies what that does not take to the tasks' own buffers.
 */
bool conn_lend(struct conn *c);
void conn_lent_end(void);
/*
 * The same, ahead of what is queued and has no numbers yet (of what came ahead, behind). The order
 * of answers is the target's business, but a sequence of Data-In must go the same way as a whole.
 */
void conn_send_ahead(struct conn *c, struct txd *d);
/*
 * From now on little is given to the socket before it is sent, so that conn_send_ahead() has
 * something to be ahead of.
 */
void conn_keep_short(struct conn *c);

/* The PDU layer (request.c): a header has come, then its data. */
void request_begin(struct conn *c);
void request_end(struct conn *c, bool data_ok);
/* The 8-byte LUN (SAM-5 4.7): peripheral device or flat space addressing; else LUN_MAX + 1. */
uint16_t request_lun(const uint8_t l[8]);
void conn_login(struct conn *c);			/* a login request is complete (admit.c) */
/* Rejects the request whose header this is: the one being received, or one that waited. */
void conn_reject(struct conn *c, const uint8_t *hdr, enum iscsi_reject reason);
void conn_full_feature(struct conn *c);		/* login is over */
void conn_attach(struct conn *c);		/* to this reactor */
void conn_detach(struct conn *c);
void conn_depart(struct conn *c);		/* CONN_MOVING: to c->move_to */
void conn_stamp(struct conn *c); /* what is queued leaves as things are now: numbers, digests */
/*
 * What login and text see of the world, for this connection; valid while the connection does not
 * change.
 */
void conn_login_env(struct conn *c, struct login_env *env);
/* Calls fn for each connection of this reactor; fn may close it. */
void conn_each(void (*fn)(struct conn *c, void *arg), void *arg);
/* Gives back what this reactor keeps for reuse; when it ends. */
void conn_trim(void);

/* Replies (reply.c). */
void reply_task(struct task *t);		/* Data-In and status of a completed task */
/*
 * The Data-In behind d, made when d gets its numbers: however small MaxRecvDataSegmentLength is, a
 * read has one descriptor more than what goes to the socket at once.
 */
struct txd *reply_more(struct conn *c, const struct txd *d);
void reply_r2t(struct task *t, struct r2t *r);
void reply_nop_in(struct conn *c, uint32_t itt, uint32_t ttt, const uint8_t lun[8],
		  struct buf *data, uint32_t len);
void reply_tmf(struct conn *c, uint32_t itt, uint8_t response);
void reply_logout(struct conn *c, uint32_t itt, uint8_t response);
void reply_async(struct conn *c, uint8_t event, uint16_t p1, uint16_t p2, uint16_t p3);

#endif
