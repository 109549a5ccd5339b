/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One LU with two target ports and a handful of I_T nexuses, on top of step_world.h: every command
 * goes through scsi_step(), its gate and the LU's home as in the daemon. What the tests see of
 * reservations is what an initiator sees: status, sense, unit attentions, data of PERSISTENT
 * RESERVE IN. Tests that include this are written from the standards, not from the code.
 */
#ifndef TESTS_SPEC_WORLD_H
#define TESTS_SPEC_WORLD_H

#include "scsi/change.h"
#include "tests/unit/step_world.h"

/* Service actions: SPC-4 6.16.2 (PERSISTENT RESERVE OUT) and 6.15.1 (PERSISTENT RESERVE IN). */
enum {
	REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE,
	REGISTER_AND_MOVE,
};
enum { READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS };
enum { SPEC_I_PT = 8, ALL_TG_PT = 4, APTPL = 1 };	/* byte 20; REGISTER AND MOVE: byte 17 */
enum { UNREG = 2 };

enum { SPEC_PORTS = 2, SPEC_IPORTS = 4, SPEC_NEXUSES = SPEC_PORTS * SPEC_IPORTS };

/*
 * Three nodes, one of which has two ISIDs; port tags that are not adjacent. The lengths of the
 * names leave 2, 3 and 0 when a TransportID's text is divided by 4; all hexadecimal digits occur.
 */
static const uint16_t spec_tpgts[SPEC_PORTS] = { 1, 7 };
static const struct { const char *name; uint8_t isid[6]; } spec_iports[SPEC_IPORTS] = {
	{ "iqn.2026-11.com.example:a", { 0x80, 1, 2, 3, 4, 0xaf } },
	{ "iqn.2026-11.com.example:a", { 0x80, 1, 2, 3, 4, 0xb0 } },
	{ "iqn.2026-11.com.example:node-b", { 0x80, 0x57, 0x68, 3, 4, 0xaf } },
	{ "iqn.2026-11.com.example:c-z", { 0, 2, 0x3d, 0xac, 0xef, 0x19 } },
};

/* Nexus numbers: through the first port A0 B0 C0 D0, through the second A1 B1 C1 D1. */
enum { A0, B0, C0, D0, A1, B1, C1, D1 };

struct spec_world {
	struct step_world w;		/* first: the change hook gets back from it */
	struct lu_ident id;
	struct scsi_target target;
	struct nexus nexus[SPEC_NEXUSES];
	struct gate gate[SPEC_NEXUSES];
	unsigned who;			/* runs the command in work */
	uint64_t seq;
	struct lu_fx fx;		/* of the last change */
	unsigned changes;		/* evaluated at home so far */
	unsigned strangers;		/* unit attentions for a nexus that is not of this world */
	struct pr_state *buf[2];
	unsigned turn;
	struct nexus *abort;
	struct ua_order *ua;
};

static inline unsigned spec_who(const struct spec_world *s, const struct nexus *n)
{
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		if (nexus_eq(&s->nexus[i], n))
			return i;
	return SPEC_NEXUSES;
}

/* What the LU's home and every port do with a change, at once and in one thread. */
static inline void spec_home(struct spec_world *s, const struct lu_request *rq)
{
	struct lu_value next = s->w.v;
	struct lu_fx *fx = &s->fx;
	uint32_t cap = PR_REGISTRANTS_MAX + 1;

	memset(fx, 0xee, sizeof(*fx));		/* what lu_change() gives, it must set */
	fx->changed = fx->persist = fx->flush = fx->abort_all = true;
	fx->abort = s->abort;
	fx->ua = s->ua;
	fx->cap = cap;
	fx->pr_buf = s->buf[s->turn];
	fx->pr_cap = (uint32_t)pr_state_max();
	s->changes++;
	lu_change(&s->w.v, rq, &next, fx);
	if (!fx->changed)
		return;
	if (next.pr == s->buf[s->turn])
		s->turn = !s->turn;
	s->w.v = next;
	s->w.v.epoch++;
	for (uint32_t i = 0; i < fx->nua; i++) {
		unsigned to = spec_who(s, &fx->ua[i].to);

		if (to == SPEC_NEXUSES)
			s->strangers++;
		else
			s->gate[to].ua |= 1u << fx->ua[i].ua;
	}
	for (unsigned i = 0; i < SPEC_NEXUSES; i++)
		gate_derive(&s->gate[i], &s->w.v, &s->nexus[i]);
}

static inline void spec_change(struct step_world *w)
{
	struct spec_world *s = (struct spec_world *)w;
	struct scsi_cmd *c = &w->c;
	struct lu_request rq = { .kind = LU_CHANGE_CMD, .seq = ++s->seq, .has_nexus = true,
				 .nexus = s->nexus[s->who], .cdb_len = c->cdb_len,
				 .param_len = c->need_out, .param = c->out };

	memcpy(rq.cdb, c->cdb, sizeof(rq.cdb));
	s->gate[s->who] = w->gate;
	spec_home(s, &rq);
	w->gate = s->gate[s->who];
	c->status = s->fx.status;
	c->sense = s->fx.sense;
}

static inline struct spec_world *spec_new(void)
{
	struct spec_world *s = calloc(1, sizeof(*s));

	assert(s);
	world_init(&s->w);
	s->target = s->w.target;
	s->target.tpgts = spec_tpgts;
	s->target.ntpgts = SPEC_PORTS;
	s->w.v.target = &s->target;
	s->w.target = s->target;
	s->w.v.caps.atomic_max = 64 << 10;
	s->w.change = spec_change;
	s->seq = 1;
	for (unsigned i = 0; i < SPEC_NEXUSES; i++) {
		struct nexus *n = &s->nexus[i];

		n->tpgt = spec_tpgts[i / SPEC_IPORTS];
		memcpy(n->isid, spec_iports[i % SPEC_IPORTS].isid, 6);
		snprintf(n->initiator, sizeof(n->initiator), "%s",
			 spec_iports[i % SPEC_IPORTS].name);
		s->gate[i].seen = s->seq;
		gate_derive(&s->gate[i], &s->w.v, n);
	}
	for (unsigned i = 0; i < 2; i++)
		s->buf[i] = malloc(pr_state_max());
	s->abort = malloc((PR_REGISTRANTS_MAX + 1) * sizeof(*s->abort));
	s->ua = malloc((PR_REGISTRANTS_MAX + 1) * sizeof(*s->ua));
	assert(s->buf[0] && s->buf[1] && s->abort && s->ua);
	return s;
}

static inline void spec_free(struct spec_world *s)
{
	world_fini(&s->w);
	free(s->buf[0]);
	free(s->buf[1]);
	free(s->abort);
	free(s->ua);
	free(s);
}

/* Nothing registered, nobody reserves, no unit attention waits. */
static inline void spec_reset(struct spec_world *s)
{
	s->w.v.pr = pr_none;
	s->w.v.reserved6 = false;
	s->w.v.modes = (struct lu_modes){ .wce = true };
	for (unsigned i = 0; i < SPEC_NEXUSES; i++) {
		s->gate[i].ua = 0;
		gate_derive(&s->gate[i], &s->w.v, &s->nexus[i]);
	}
}

/* Runs a command of nexus `who`; gives the trace (step_world.h). Data-in stays in s->w.c.in. */
static inline const char *spec_run(struct spec_world *s, unsigned who, const uint8_t *cdb,
				   size_t cdb_len, enum op_dir dir, uint32_t edtl, const void *out)
{
	const char *trace;

	s->who = who;
	s->w.nexus = s->nexus[who];
	s->w.gate = s->gate[who];
	trace = world_run(&s->w, cdb, cdb_len, dir, edtl, out);
	s->gate[who] = s->w.gate;
	return trace;
}

/* How a command ended, in one number: 0 GOOD, SENSE_CODE() for CHECK CONDITION, else the status. */
static inline uint32_t spec_result(const struct spec_world *s)
{
	const struct scsi_cmd *c = &s->w.c;

	if (c->status == SAM_CHECK_CONDITION)
		return SENSE_CODE(c->sense.key, c->sense.asc, c->sense.ascq);
	return c->status;
}

/* PERSISTENT RESERVE OUT with a parameter list of len bytes; plen: PARAMETER LIST LENGTH. */
static inline uint32_t spec_out_raw(struct spec_world *s, unsigned who, unsigned sa,
				    unsigned scope_type, const uint8_t *list, uint32_t len,
				    uint32_t plen)
{
	uint8_t cdb[10] = { 0x5f, (uint8_t)sa, (uint8_t)scope_type };

	put_be32(cdb + 5, plen);
	spec_run(s, who, cdb, sizeof(cdb), len ? OUT : NONE, len, list);
	return spec_result(s);
}

/* The same with the basic parameter list of 24 bytes (SPC-4 6.16.3). flags: byte 20. */
static inline uint32_t spec_out(struct spec_world *s, unsigned who, unsigned sa, unsigned type,
				uint64_t key, uint64_t sa_key, unsigned flags)
{
	uint8_t list[24] = { 0 };

	put_be64(list, key);
	put_be64(list + 8, sa_key);
	list[20] = (uint8_t)flags;
	return spec_out_raw(s, who, sa, type, list, sizeof(list), sizeof(list));
}

/* Appends the TransportID of an initiator port (SPC-4 7.6.4.6, format 01b), by hand. */
static inline size_t spec_tid(uint8_t *p, unsigned iport)
{
	const uint8_t *i = spec_iports[iport].isid;
	size_t n;

	memset(p, 0, 300);
	p[0] = 0x45;
	n = (size_t)snprintf((char *)p + 4, 290, "%s,i,0x%02x%02x%02x%02x%02x%02x",
			     spec_iports[iport].name, i[0], i[1], i[2], i[3], i[4], i[5]) + 1;
	n = (n + 3) & ~(size_t)3;
	if (n < 20)
		n = 20;
	put_be16(p + 2, (uint16_t)n);
	return n + 4;
}

/* REGISTER AND MOVE (SPC-4 6.16.4) to nexus `to`; flags: byte 17. */
static inline uint32_t spec_move(struct spec_world *s, unsigned who, uint64_t key, uint64_t sa_key,
				 unsigned to, unsigned flags)
{
	uint8_t list[24 + 304] = { 0 };
	uint32_t len = (uint32_t)spec_tid(list + 24, to % SPEC_IPORTS);

	put_be64(list, key);
	put_be64(list + 8, sa_key);
	list[17] = (uint8_t)flags;
	put_be16(list + 18, s->nexus[to].tpgt);
	put_be32(list + 20, len);
	return spec_out_raw(s, who, REGISTER_AND_MOVE, 0, list, 24 + len, 24 + len);
}

/* PERSISTENT RESERVE IN; the answer is in s->w.c.in, s->w.c.in_len bytes. */
static inline uint32_t spec_in(struct spec_world *s, unsigned who, unsigned sa, unsigned alloc)
{
	uint8_t cdb[10] = { 0x5e, (uint8_t)sa };

	put_be16(cdb + 7, (uint16_t)alloc);
	spec_run(s, who, cdb, sizeof(cdb), IN, alloc, NULL);
	return spec_result(s);
}

#endif
