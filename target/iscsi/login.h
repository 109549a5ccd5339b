/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login, text negotiation and discovery (RFC 7143 sections 6, 12, 13) as pure state machines: a
 * request PDU in, a response PDU and what to do next out. One instance belongs to one connection;
 * no sockets, no clock, no allocation.
 */
#ifndef TARGET_ISCSI_LOGIN_H
#define TARGET_ISCSI_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/limits.h"
#include "target/iscsi/pdu.h"

enum {
	LOGIN_TEXT_MAX =
		16384, /* all text of one negotiation sequence, C-bit continuation included */
	LOGIN_PDU_TEXT_MAX =
		8192, /* RFC 7143 6.1: a login PDU's data, default MaxRecvDataSegmentLength */
	LOGIN_REQUESTS_MAX = 64, /* login requests on one connection before it is given up */
	CHAP_SECRET_MAX = 255,
	CHAP_NAME_MAX = 255,
};

/* What was negotiated (RFC 7143 section 13). Numbers in bytes unless the key says otherwise. */
struct iscsi_params {
	bool header_digest, data_digest;	/* CRC32C chosen */
	bool initial_r2t, immediate_data, data_pdu_in_order, data_sequence_in_order, ifmarker,
		ofmarker;
	uint32_t max_recv_dsl; /* what the INITIATOR declared: the longest data segment we may send
				*/
	uint32_t own_max_recv_dsl;		/* what we declared */
	uint32_t max_burst, first_burst;
	uint16_t max_connections, max_outstanding_r2t;
	uint16_t time2wait, time2retain;	/* seconds */
	uint8_t erl;
	uint8_t task_reporting;			/* 0 RFC3720, 1 ResponseFence, 2 FastAbort */
	uint8_t protocol_level;			/* iSCSIProtocolLevel */
};

/* What we are ready to agree to; limits from the configuration. */
struct iscsi_offer {
	uint32_t own_max_recv_dsl;		/* default 262144 */
	uint32_t max_burst;			/* default 1048576 */
	uint32_t first_burst;			/* default 262144 */
	uint16_t max_outstanding_r2t;		/* default 4 */
	bool header_digest, data_digest;	/* allow CRC32C (default true) */
	bool initial_r2t, immediate_data;	/* our wish: false, true */
	bool header_digest_required, data_digest_required;
};

struct login_auth { /* strings NUL terminated; empty user: no authentication */
	char user[CHAP_NAME_MAX + 1], secret[CHAP_SECRET_MAX + 1];
	char mutual_user[CHAP_NAME_MAX + 1], mutual_secret[CHAP_SECRET_MAX + 1];
};

/* One portal as SendTargets names it. */
struct login_portal {
	char address[64]; /* "192.0.2.1:3260" or "[2001:db8::1]:3260"; wildcard listeners:
			     "0.0.0.0:3260", see local_address */
	uint16_t tpgt;
};

/* A target as login sees it. */
struct login_target {
	char name[ISCSI_NAME_MAX + 1];
	char alias[256];
	const char *const *initiators;		/* shell patterns; none: anyone */
	unsigned ninitiators;
	struct login_auth auth;
	const struct login_portal *portals;	/* every portal it is reachable through */
	unsigned nportals;
	uint32_t first_burst;			/* most FirstBurstLength; 0: as offered */
};

/*
 * The world a login happens in: read only while the call lasts, so configuration can change between
 * calls.
 */
struct login_env {
	const struct login_target *targets;
	unsigned ntargets;
	struct login_auth discovery_auth;	/* empty user: none needed */
	struct iscsi_offer offer;
	uint16_t tpgt;				/* of the portal the connection came in by */
	const char *local_address; /* "addr:port" of this connection's own end: SendTargets gives it
				      in place of a wildcard address */
	void (*random)(void *buf, size_t len);	/* cryptographic randomness */
};

/*
 * Status class and detail of a login response as one number (RFC 7143 11.13.5). Redirection (class
 * 1) is never used.
 */
enum login_status {
	LOGIN_ST_OK = 0x0000,
	LOGIN_ST_INITIATOR_ERROR = 0x0200,
	LOGIN_ST_AUTH_FAILED = 0x0201,
	LOGIN_ST_NOT_AUTHORIZED = 0x0202,
	LOGIN_ST_NOT_FOUND = 0x0203,
	LOGIN_ST_REMOVED = 0x0204,
	LOGIN_ST_VERSION = 0x0205,
	LOGIN_ST_TOO_MANY_CONNS = 0x0206,
	LOGIN_ST_MISSING_PARAM = 0x0207,
	LOGIN_ST_CANT_INCLUDE = 0x0208,
	LOGIN_ST_SESSION_TYPE = 0x0209,
	LOGIN_ST_NO_SESSION = 0x020a,
	LOGIN_ST_INVALID_REQUEST = 0x020b,
	LOGIN_ST_TARGET_ERROR = 0x0300,
	LOGIN_ST_UNAVAILABLE = 0x0301,
	LOGIN_ST_NO_RESOURCES = 0x0302,
};

/* One CHAP exchange (RFC 7143 12.1.3); chap.c's. */
struct chap {
	uint8_t state, alg, id;
	uint8_t challenge_len;
	uint8_t challenge[64];
};

enum login_phase { LOGIN_GOING, LOGIN_DONE, LOGIN_FAILED };

struct login {
	enum login_phase phase;
	/* Known once parsed; final when LOGIN_DONE. */
	bool discovery;				/* SessionType */
	char initiator[ISCSI_NAME_MAX + 1];	/* lower-cased */
	char alias[256];
	char target[ISCSI_NAME_MAX + 1];
	int target_index;			/* in env->targets, or -1 */
	uint8_t isid[6];
	uint16_t tsih;				/* as the initiator sent it: 0 a new session */
	uint16_t cid;
	uint32_t cmdsn; /* of the first login request: the session's first CmdSN */
	uint32_t expstatsn;
	struct iscsi_params params;
	uint8_t status_class, status_detail;	/* with LOGIN_FAILED */
	const char *why;			/* LOGIN_FAILED: a static sentence for the log */
	/* The machine's own state. */
	uint8_t stage;				/* where the next request must say it is */
	uint8_t requests;
	bool begun;	 /* a first request came: ISID, TSIH, CID and stage are known */
	bool identified; /* its whole text was seen: names and session type are final */
	bool auth_done, declared;
	bool pending_text; /* our answer did not fit one PDU: more to send on the next empty request
			    */
	uint64_t seen;	   /* keys the initiator sent (bit: enum key_id): twice is an error (RFC
			      7143 6.3) */
	uint64_t negotiated;			/* keys with a result */
	uint64_t sent;				/* keys we declared */
	struct chap chap;
	uint32_t in_len, out_len, out_pos;
	char in[LOGIN_TEXT_MAX];		/* text gathered over C-bit continuation */
	char out[LOGIN_TEXT_MAX];		/* text to send */
};

void login_init(struct login *l);

/*
 * One login request PDU (header and its data segment, len bytes) in. *rsp is filled but for StatSN,
 * ExpCmdSN, MaxCmdSN and TSIH (the caller's, when phase is LOGIN_DONE or the session is known);
 * *text / *text_len give the data segment to send, valid until the next call. After LOGIN_FAILED
 * the response is sent and the connection closed. Anything a peer may send is answered; RFC 7143
 * 6.3, 11.12, 11.13.
 */
enum login_phase login_request(struct login *l, const struct login_env *env,
			       const struct bhs_login_req *req, const void *data, uint32_t len,
			       struct bhs_login_rsp *rsp, const char **text, uint32_t *text_len);

/*
 * Makes a refusal for reasons the machine cannot know (busy, session limit, no such TSIH): fills
 * rsp with class and detail.
 */
void login_refuse(struct login *l, const struct bhs_login_req *req, uint8_t status_class,
		  uint8_t status_detail, const char *why, struct bhs_login_rsp *rsp);

/*
 * Text requests of the full feature phase: SendTargets and the keys that may change there (RFC 7143
 * 11.10, Appendix C).
 */
struct text {
	uint32_t itt, ttt; /* of the exchange in progress; ttt ISCSI_TAG_NONE: none */
	uint32_t in_len, out_len, out_pos;
	char in[LOGIN_TEXT_MAX];
	char *out; /* the caller's buffer for the answer (SendTargets can be long) */
	uint32_t out_cap;
	/* text.c's own state */
	uint32_t next_ttt;
	uint32_t max_recv_dsl; /* declared in this exchange, in force when it ends; 0: nothing
				  declared */
	uint64_t seen;				/* keys of this exchange */
	bool pending;				/* of out there is more to send */
};

enum text_next { TEXT_ANSWER, TEXT_REJECT };

void text_init(struct text *t, char *out, uint32_t out_cap);

/*
 * One text request in; *rsp is filled but for the sequence numbers. max_data: bytes of text one
 * response PDU may have. discovery and target say what session it is (SendTargets=All only in
 * discovery sessions; in a normal one it names just its own target). TEXT_REJECT: *reason is an
 * enum iscsi_reject.
 */
enum text_next text_request(struct text *t, const struct login_env *env, bool discovery,
			    const char *initiator, const char *target, struct iscsi_params *params,
			    const struct bhs_text_req *req, const void *data, uint32_t len,
			    uint32_t max_data, struct bhs_text_rsp *rsp, const char **text,
			    uint32_t *text_len, uint8_t *reason);

#endif
