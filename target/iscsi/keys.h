/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text keys of iSCSI (RFC 7143 section 13, and section 12 for security) in one table, and the
 * rules by which an offer and our own wish become a result (RFC 7143 6.2). Pure: no state but the
 * caller's; callable from any thread.
 */
#ifndef TARGET_ISCSI_KEYS_H
#define TARGET_ISCSI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/iscsi/login.h"

enum {
	KEY_NAME_MAX = 63,		/* RFC 7143 6.1: a key-name has at most 63 bytes */
	KEY_VALUE_MAX = 255,		/* RFC 7143 6.1: a simple value, if nothing else is said */
	KEY_LIST_MAX = 8192,		/* a list of values has no limit of its own */
	KEY_BINARY_MAX = 2050,		/* 1024 bytes (12.1.3) as "0x" and hex digits */
};

/* The table's rows, in its order. */
enum key_id {
	KEY_AUTH_METHOD, KEY_CHAP_A, KEY_CHAP_I, KEY_CHAP_C, KEY_CHAP_N, KEY_CHAP_R,
	KEY_KRB_AP_REQ, KEY_KRB_AP_REP,
	KEY_SRP_U, KEY_TARGET_AUTH, KEY_SRP_GROUP, KEY_SRP_A, KEY_SRP_B, KEY_SRP_S, KEY_SRP_M,
	KEY_SRP_HM,
	KEY_INITIATOR_NAME, KEY_TARGET_NAME, KEY_SESSION_TYPE, KEY_INITIATOR_ALIAS,
	KEY_TARGET_ALIAS, KEY_TARGET_ADDRESS, KEY_TARGET_PORTAL_GROUP_TAG, KEY_SEND_TARGETS,
	KEY_HEADER_DIGEST, KEY_DATA_DIGEST, KEY_MAX_CONNECTIONS, KEY_INITIAL_R2T,
	KEY_IMMEDIATE_DATA, KEY_MAX_RECV_DATA_SEGMENT_LENGTH, KEY_MAX_BURST_LENGTH,
	KEY_FIRST_BURST_LENGTH, KEY_DEFAULT_TIME2WAIT, KEY_DEFAULT_TIME2RETAIN,
	KEY_MAX_OUTSTANDING_R2T, KEY_DATA_PDU_IN_ORDER, KEY_DATA_SEQUENCE_IN_ORDER,
	KEY_ERROR_RECOVERY_LEVEL, KEY_TASK_REPORTING, KEY_ISCSI_PROTOCOL_LEVEL,
	KEY_OFMARKER, KEY_IFMARKER, KEY_OFMARKINT, KEY_IFMARKINT,
	KEYS
};

enum key_type {
	KEY_BOOLEAN,		/* Yes or No */
	KEY_NUMBER,		/* one number in [min, max] */
	KEY_LIST,		/* the originator's choices, by preference */
	KEY_TEXT,		/* names, declared */
	KEY_SECURITY_DATA,	/* of an authentication method: CHAP, or one we never agree to */
};

/* The result function: RFC 7143 6.2.1, 6.2.2 and each key's own clause. */
enum key_rule {
	KEY_OR, KEY_AND, KEY_MIN, KEY_MAX, KEY_FIRST, KEY_DECLARES,
	KEY_FIXED,		/* whatever is offered, the answer is always the same (13.25) */
};

enum key_use {
	KEY_IN_SECURITY = 0x01,		/* stage SecurityNegotiation ("any-stage" keys have both) */
	KEY_IN_OPERATIONAL = 0x02,	/* stage LoginOperationalNegotiation */
	KEY_IN_FULL_FEATURE = 0x04,	/* Text Request in the full feature phase */
	KEY_LEADING_ONLY = 0x08,	/* LO: not when a connection is added to a session */
	KEY_BY_INITIATOR = 0x10,
	KEY_BY_TARGET = 0x20,
	KEY_NOT_DISCOVERY = 0x40,	/* irrelevant in a discovery session */
	KEY_REPEATS = 0x80,		/* may be said again in the same words: see keys.c */
	KEY_LAST = 0x100,		/* depends on other keys of the text: comes after them */
};

/* Where a value lives in a struct; size 0: nowhere. */
struct key_field {
	uint16_t offset;
	uint8_t size;			/* bytes: 1, 2, 4 */
};

struct key {
	const char *name;
	uint8_t type, rule;		/* enum key_type, enum key_rule */
	uint16_t use;			/* enum key_use */
	uint16_t value_max;		/* longest value, bytes */
	uint32_t min, max, preset;	/* range and default of a number; default of a boolean */
	struct key_field param;		/* in struct iscsi_params */
	struct key_field offer;		/* in struct iscsi_offer; size 0: see ours */
	uint32_t ours;			/* the constant we wish, where there is no offer */
	const char *clause;		/* RFC 7143 */
	const char *fixed;		/* with KEY_FIXED */
};

extern const struct key keys[KEYS];

/* The key of that name, or NULL. Key names are case sensitive (RFC 7143 6.1). */
const struct key *key_find(const char *name, size_t len);

/*
 * What holds when nothing is negotiated (section 13's defaults). own_max_recv_dsl too is the
 * default until it is declared.
 */
void params_init(struct iscsi_params *p);

enum key_answer {
	KEY_ANSWERED,		/* answer holds what to send */
	KEY_SILENT,		/* a declaration: nothing to send */
};

/*
 * Negotiates one boolean, numeric or list key that the initiator offered: puts the result into *p
 * and our answer into answer (cap at least 32 bytes). What cannot be agreed is answered Reject and
 * leaves *p as it was (RFC 7143 6.2). `negotiated` has a bit for each key with a result so far.
 */
enum key_answer key_negotiate(const struct key *k, const struct iscsi_offer *offer, bool discovery,
			      uint64_t negotiated, struct iscsi_params *p, const char *value,
			      char *answer, size_t cap);

/* A decimal or hex constant (RFC 7143 6.1) of at most max; false: not one. */
bool key_number(const char *value, uint32_t max, uint32_t *n);
/* Whether one of the comma separated values is item. */
bool key_list_has(const char *list, const char *item);
/* Reject, Irrelevant, NotUnderstood: answers, never offers. */
bool key_value_is_answer(const char *value);

/* Reading text: one key=value pair, not NUL terminated but for its value. */
struct pair {
	const char *name, *value;
	uint32_t name_len, value_len;
};

enum pair_next { PAIR_FOUND, PAIR_END, PAIR_MALFORMED };

/* The next pair of text at *pos. Each pair ends in at least one NUL, within len (RFC 7143 6.1). */
enum pair_next pair_next(const char *text, uint32_t len, uint32_t *pos, struct pair *p);

/* Writing text. Once something did not fit, overflow stays true. */
struct text_out {
	char *buf;
	uint32_t len, cap;
	bool overflow;
};

void text_put(struct text_out *o, const char *name, size_t name_len, const char *value);
void text_put_key(struct text_out *o, enum key_id id, const char *value);
void text_put_number(struct text_out *o, enum key_id id, uint32_t value);

#endif
