/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A LU with nothing but reservations: nexuses by letter, PR OUT commands by a line of C, and what
 * came of them. For the unit tests of pr/.
 */
#ifndef TESTS_PR_CMD_H
#define TESTS_PR_CMD_H

#include <stdio.h>
#include <stdlib.h>


#include "pr/pr.h"
#include "pr/transportid.h"

enum {
	REGISTER,
	RESERVE,
	RELEASE,
	CLEAR,
	PREEMPT,
	PREEMPT_AND_ABORT,
	REGISTER_AND_IGNORE,
	REGISTER_AND_MOVE,

	F_APTPL = 1,
	F_ALL_TG_PT = 4,
	F_SPEC_I_PT = 8, /* byte 20 of the basic parameter list */
	F_UNREG = 2,	 /* byte 17 of REGISTER AND MOVE's, with F_APTPL */

	PARAM_MAX = 64 << 10,
};

static const uint16_t pr_tpgts[] = { 1, 2, 7 };
static const struct scsi_target pr_target = {
	.name = "iqn.2026-11.com.example:t", .tpgts = pr_tpgts, .ntpgts = 3,
};

static struct pr_state *pr_now, *pr_spare; /* the value in force, and where the next one is made */
static struct lu_fx fx;				/* of the last command */
static uint8_t pr_param[PARAM_MAX];

/* Nexus of initiator node `name` (a letter), session `isid`, target port `tpgt`. */
static inline struct nexus nx_of(char name, uint8_t isid, uint16_t tpgt)
{
	struct nexus n = { .tpgt = tpgt, .isid = { 0x80, 0, 0, 0x11, 0, isid } };

	snprintf(n.initiator, sizeof(n.initiator), "iqn.1991-05.com.example:node-%c", name);
	return n;
}

/* Nexus by letter: session 1 through port 1. */
static inline struct nexus nx(char name)
{
	return nx_of(name, 1, 1);
}

static inline void pr_world(void)
{
	if (!pr_now) {
		fx.cap = PR_REGISTRANTS_MAX + 1;
		fx.abort = calloc(fx.cap, sizeof(*fx.abort));
		fx.ua = calloc(fx.cap, sizeof(*fx.ua));
		fx.pr_cap = (uint32_t)pr_state_max();
		pr_now = malloc(fx.pr_cap);
		pr_spare = malloc(fx.pr_cap);
		if (!fx.abort || !fx.ua || !pr_now || !pr_spare)
			abort();
	}
	memcpy(pr_now, pr_none, pr_state_size(pr_none));
}

/*
 * Sends a PR OUT and, if it changed something, puts the new value in force. Gives 0 for GOOD, 18h
 * for RESERVATION CONFLICT, else key, ASC and ASCQ as one number (SENSE_CODE).
 */
static inline uint32_t pr_send(struct nexus who, uint8_t sa, uint8_t scope_type,
			       const uint8_t *param, uint32_t len)
{
	struct lu_request rq = {
		.kind = LU_CHANGE_CMD, .seq = 1, .has_nexus = true, .nexus = who, .cdb_len = 10,
		.cdb = { 0x5f, sa, scope_type }, .param_len = len, .param = param,
	};
	const struct pr_state *next;
	uint8_t *before = malloc(pr_state_size(pr_now));

	put_be32(rq.cdb + 5, len);
	memcpy(before, pr_now, pr_state_size(pr_now));
	fx.pr_buf = pr_spare;
	next = pr_out(pr_now, &pr_target, &rq, &fx);
	/* The old value is never written to, and is the answer unless something changed. */
	if (memcmp(before, pr_now, pr_state_size(pr_now)) || (next != pr_now) != fx.changed ||
	    (fx.changed && fx.status != SAM_GOOD) || fx.changed != fx.persist)
		abort();
	free(before);
	if (next != pr_now) {
		pr_spare = pr_now;
		pr_now = fx.pr_buf;
	}
	if (fx.status == SAM_CHECK_CONDITION)
		return SENSE_CODE(fx.sense.key, fx.sense.asc, fx.sense.ascq);
	return fx.status;
}

/* A basic parameter list: key, service action key, byte 20. */
static inline uint32_t pr(struct nexus who, uint8_t sa, uint8_t type, uint64_t key, uint64_t sa_key,
			  uint8_t flags)
{
	uint8_t param[24] = { 0 };

	put_be64(param, key);
	put_be64(param + 8, sa_key);
	param[20] = flags;
	return pr_send(who, sa, type, param, sizeof(param));
}

/* REGISTER with SPEC_I_PT and n initiator ports. */
static inline uint32_t pr_spec(struct nexus who, uint64_t key, uint64_t sa_key, uint8_t flags,
			       const struct nexus *list, unsigned n)
{
	struct wcur c = wcur_of(pr_param, sizeof(pr_param));

	wcur_be64(&c, key);
	wcur_be64(&c, sa_key);
	wcur_zero(&c, 4);
	wcur_u8(&c, flags | F_SPEC_I_PT);
	wcur_zero(&c, 3);
	wcur_be32(&c, 0);
	for (unsigned i = 0; i < n; i++)
		transportid_put(&c, list[i].initiator, list[i].isid);
	wcur_patch_be32(&c, 24, (uint32_t)c.len - 28);
	return pr_send(who, REGISTER, 0, pr_param, (uint32_t)c.len);
}

static inline uint32_t pr_move(struct nexus who, uint64_t key, uint64_t sa_key, uint8_t flags,
			       struct nexus to)
{
	struct wcur c = wcur_of(pr_param, sizeof(pr_param));

	wcur_be64(&c, key);
	wcur_be64(&c, sa_key);
	wcur_u8(&c, 0);
	wcur_u8(&c, flags);
	wcur_be16(&c, to.tpgt);
	wcur_be32(&c, 0);
	transportid_put(&c, to.initiator, to.isid);
	wcur_patch_be32(&c, 20, (uint32_t)c.len - 24);
	return pr_send(who, REGISTER_AND_MOVE, 0, pr_param, (uint32_t)c.len);
}

/* Whether the last command raised exactly n unit attentions, among them this one. */
static inline bool ua_has(struct nexus to, enum ua ua)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < fx.nua; i++)
		hits += nexus_eq(&fx.ua[i].to, &to) && fx.ua[i].ua == ua;
	return hits == 1;
}

static inline bool abort_has(struct nexus who)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < fx.nabort; i++)
		hits += nexus_eq(&fx.abort[i], &who);
	return hits == 1;
}

/* PR IN: fields of the answers. */
static uint8_t pr_in_buf[512 << 10];

static inline size_t pr_read(uint8_t sa)
{
	struct wcur c = wcur_of(pr_in_buf, sizeof(pr_in_buf));

	memset(pr_in_buf, 0xaa, 1024);
	if (!pr_in(pr_now, &pr_target, sa, &c) || c.len != pr_in_max(pr_now, sa) ||
	    c.len > sizeof(pr_in_buf))
		abort();
	return c.len;
}

static inline uint32_t pr_generation(void)
{
	pr_read(0);
	return get_be32(pr_in_buf);
}

static inline unsigned pr_count(void)
{
	pr_read(0);
	return get_be32(pr_in_buf + 4) / 8;
}

/* Type of the reservation (0: none), and its key. */
static inline uint8_t pr_type_now(void)
{
	pr_read(1);
	return get_be32(pr_in_buf + 4) ? pr_in_buf[21] : 0;
}

static inline uint64_t pr_key_now(void)
{
	pr_read(1);
	return get_be32(pr_in_buf + 4) ? get_be64(pr_in_buf + 8) : 0;
}

/* The key of a nexus (0: not registered), and whether it is a holder, from READ FULL STATUS. */
static inline uint64_t pr_key_of(struct nexus who, bool *holder)
{
	size_t len = pr_read(3);
	struct rcur c = rcur_of(pr_in_buf + 8, len - 8);

	*holder = false;
	while (c.left) {
		uint64_t key = rcur_be64(&c);
		struct transportid tid;
		uint8_t flags;
		struct rcur t;
		uint32_t n;

		rcur_be32(&c);
		flags = rcur_u8(&c);
		rcur_take(&c, 5);
		tid.iport.tpgt = 0;
		uint16_t tpgt = rcur_be16(&c);

		n = rcur_be32(&c);
		t = rcur_of(rcur_take(&c, n), n);
		if (c.bad || !transportid_get(&t, &tid) || t.left || !tid.has_isid)
			abort();
		if (tpgt == who.tpgt && nexus_same_iport(&tid.iport, &who)) {
			*holder = flags & 1;
			return key;
		}
	}
	return 0;
}

static inline uint64_t key_of(struct nexus who)
{
	bool holder;

	return pr_key_of(who, &holder);
}

static inline bool holds(struct nexus who)
{
	bool holder;

	pr_key_of(who, &holder);
	return holder;
}

#endif
