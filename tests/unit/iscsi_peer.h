/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initiator's side of negotiations, for unit tests and fuzzers: a small world, and requests from
 * C literals.
 */
#ifndef TESTS_ISCSI_PEER_H
#define TESTS_ISCSI_PEER_H

#include <stdlib.h>
#include <string.h>

#include "target/iscsi/keys.h"
#include "target/iscsi/login.h"

#define PEER_INI "iqn.1991-05.com.microsoft:node1"
#define PEER_OPEN "iqn.2026-11.com.example:open"
#define PEER_CHAP "iqn.2026-11.com.example:chap"
#define PEER_PICKY "iqn.2026-11.com.example:picky"
#define PEER_ELSEWHERE "iqn.2026-11.com.example:elsewhere"

static const char *const peer_patterns[] = { "iqn.1991-05.com.microsoft:*" };
static const struct login_portal peer_here[] = { { "192.0.2.1:3260", 1 },
						 { "[2001:db8::1]:3260", 1 } };
static const struct login_portal peer_there[] = { { "192.0.2.9:3260", 2 } };

static const struct login_target peer_targets[] = {
	{ .name = PEER_OPEN, .alias = "quorum", .portals = peer_here, .nportals = 2 },
	{ .name = PEER_CHAP,
	  .portals = peer_here,
	  .nportals = 1,
	  .auth = { "node", "twelve-bytes-or-more", "array", "another-secret-12" } },
	{ .name = PEER_PICKY,
	  .portals = peer_here,
	  .nportals = 1,
	  .initiators = peer_patterns,
	  .ninitiators = 1 },
	{ .name = PEER_ELSEWHERE, .portals = peer_there, .nportals = 1 },
};

/* Reproducible: counts up from where it was. */
static uint8_t peer_seed;

static void peer_random(void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(peer_seed++ * 7 + 3);
}

static inline struct login_env peer_env(void)
{
	return (struct login_env){
		.targets = peer_targets,
		.ntargets = 4,
		.tpgt = 1,
		.local_address = "192.0.2.1:3260",
		.random = peer_random,
		.offer = { .own_max_recv_dsl = 262144,
			   .max_burst = 1048576,
			   .first_burst = 262144,
			   .max_outstanding_r2t = 4,
			   .header_digest = true,
			   .data_digest = true,
			   .immediate_data = true },
	};
}

/* A connection at login, and the last answer. */
struct peer {
	struct login l;
	struct login_env env;
	struct bhs_login_req req;
	struct bhs_login_rsp rsp;
	const char *text;
	uint32_t text_len;
};

static inline struct peer *peer_new(void)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->env = peer_env();
	login_init(&p->l);
	p->req.opcode = OP_LOGIN_REQ | PDU_IMMEDIATE;
	memcpy(p->req.isid, "\x40\x00\x01\x37\x00\x00", 6);
	p->req.itt = be32_of(0x11223344);
	p->req.cid = be16_of(7);
	p->req.cmdsn = be32_of(99);
	p->req.expstatsn = be32_of(5);
	return p;
}

static inline enum login_phase peer_send_n(struct peer *p, unsigned flags, const void *text,
					   uint32_t len)
{
	p->req.flags = (uint8_t)flags;
	p->req.data_len = be24_of(len);
	return login_request(&p->l, &p->env, &p->req, text, len, &p->rsp, &p->text, &p->text_len);
}

/* Pairs as one literal, "A=1\0B=2": the literal's own NUL closes the last. */
#define peer_send(p, flags, literal)                                                               \
	peer_send_n(p, flags, literal, sizeof(literal) == 1 ? 0 : sizeof(literal))

/* The value the answer has for a key, or NULL. */
static inline const char *text_value(const char *text, uint32_t len, const char *key)
{
	uint32_t pos = 0;
	struct pair pair;

	while (pair_next(text, len, &pos, &pair) == PAIR_FOUND)
		if (strlen(key) == pair.name_len && !memcmp(pair.name, key, pair.name_len))
			return pair.value;
	return NULL;
}

static inline bool peer_got(const struct peer *p, const char *key, const char *value)
{
	const char *got = p->text ? text_value(p->text, p->text_len, key) : NULL;

	return value ? got && !strcmp(got, value) : !got;
}

static inline unsigned peer_status(const struct peer *p)
{
	return p->rsp.status_class << 8 | p->rsp.status_detail;
}

/* Flags of requests and responses: CSG, T with NSG, C. */
enum {
	F_SEC = STAGE_SECURITY << 2, F_OP = STAGE_OPERATIONAL << 2,
	F_TO_OP = LOGIN_TRANSIT | STAGE_OPERATIONAL, F_TO_FFP = LOGIN_TRANSIT | STAGE_FULL_FEATURE,
	F_C = LOGIN_CONTINUE,
};

#define WHO "InitiatorName=" PEER_INI "\0"
#define NORMAL "SessionType=Normal\0"
#define TO_OPEN WHO NORMAL "TargetName=" PEER_OPEN "\0"
#define TO_CHAP WHO NORMAL "TargetName=" PEER_CHAP "\0"

#endif
