/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A LU, its target and two nexuses for unit tests, and a driver that takes one command through
 * scsi_step() as the shell would, with buffers of exactly the size asked for.
 */
#ifndef TESTS_LU_WORLD_H
#define TESTS_LU_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "pr/pr.h"
#include "scsi/change.h"
#include "scsi/cmd.h"

struct lu_world {
	struct lu_ident id;
	struct scsi_target target;
	uint16_t tpgts[4], luns[8];
	struct lu_value v;
	struct nexus a, b;
	struct gate gate;	/* of a */
	/* What the next commands' I/O ends with. */
	int io_result;
	union io_answer io_answer;
	unsigned nio;
	enum io_op last_op;
	/* The last command's outcome. */
	struct scsi_cmd c;
	uint8_t *in;
	/* For changes. */
	struct nexus abort[PR_REGISTRANTS_MAX + 1];
	struct ua_order ua[PR_REGISTRANTS_MAX + 1];
	struct lu_fx fx;
	struct lu_value next;
	uint64_t seq;
};

static inline struct nexus nexus_make(const char *name, uint8_t isid, uint16_t tpgt)
{
	struct nexus n = { .tpgt = tpgt };

	n.isid[0] = 0x80;
	n.isid[5] = isid;
	strcpy(n.initiator, name);
	return n;
}

/* A thin 1 GiB LU with two ports and LUNs 0, 1, 5. */
static inline void lu_world_init(struct lu_world *w)
{
	memset(w, 0, sizeof(*w));
	w->tpgts[0] = 1;
	w->tpgts[1] = 2;
	w->luns[0] = 0;
	w->luns[1] = 1;
	w->luns[2] = 5;
	w->target = (struct scsi_target){ .name = "iqn.2026-11.com.example:cluster1",
					  .tpgts = w->tpgts,
					  .ntpgts = 2,
					  .luns = w->luns,
					  .nluns = 3 };
	w->id = (struct lu_ident){ .lun = 1, .reserve6 = true, .name = "csv1",
				   .serial = "0123456789abcdef0123456789abcdef" };
	for (unsigned i = 0; i < LU_NAA_LEN; i++)
		w->id.naa[i] = (uint8_t)(i ? i : 0x60);
	w->v = (struct lu_value){
		.epoch = 1,
		.id = &w->id,
		.target = &w->target,
		.block_size = 512,
		.phys_exp = 3,
		.pr = pr_none,
		.caps = { .size = 1ull << 30,
			  .discard_granularity = 4096,
			  .align = 1,
			  .extents = true },
		.modes = { .wce = true, .tas = true },
	};
	w->v.saved = w->v.defaults = w->v.modes;
	w->a = nexus_make("iqn.2026-11.com.example:a", 1, 1);
	w->b = nexus_make("iqn.2026-11.com.example:b", 2, 2);
	gate_derive(&w->gate, &w->v, &w->a);
	w->fx.cap = PR_REGISTRANTS_MAX + 1;
	w->fx.abort = w->abort;
	w->fx.ua = w->ua;
	w->fx.pr_cap = (uint32_t)pr_state_max();
	w->fx.pr_buf = malloc(pr_state_max());
	w->seq = 1;
}

static inline void lu_world_fini(struct lu_world *w)
{
	free(w->in);
	free(w->fx.pr_buf);
	w->in = NULL;
	w->fx.pr_buf = NULL;
}

/*
 * Runs one data-in or no-data command of nexus a to its end on v (may be NULL); gives the status.
 */
static inline uint8_t lu_world_run_on(struct lu_world *w, const struct lu_value *v,
				      const uint8_t *cdb, unsigned len)
{
	enum scsi_event ev = SCSI_EV_ARRIVED;
	unsigned steps = 0;

	free(w->in);
	w->in = NULL;
	memset(&w->c, 0, sizeof(w->c));
	memcpy(w->c.cdb, cdb, len);
	w->c.cdb_len = len < 16 ? 16 : (uint8_t)len;
	w->c.attr = ATTR_SIMPLE;
	w->c.dir_in = true;
	w->c.edtl = 1 << 20;
	w->c.lun = w->id.lun;
	w->c.nexus = &w->a;
	w->c.target = &w->target;
	if (v)
		gate_derive(&w->gate, v, &w->a);
	while (steps++ < 100) {
		switch (scsi_step(&w->c, v, v ? &w->gate : NULL, ev)) {
		case SCSI_COMPLETE:
			return w->c.status;
		case SCSI_BUFFERS:
			w->in = w->c.in = malloc(w->c.need_in);
			memset(w->in, 0xee, w->c.need_in);
			ev = SCSI_EV_READY;
			break;
		case SCSI_IO:
			w->nio++;
			w->last_op = w->c.io.op;
			w->c.io.result = w->io_result;
			w->c.io.answer = w->io_answer;
			ev = SCSI_EV_IO;
			break;
		default:
			abort();
		}
	}
	abort();
}

static inline uint8_t lu_world_run(struct lu_world *w, const uint8_t *cdb, unsigned len)
{
	return lu_world_run_on(w, &w->v, cdb, len);
}

#define RUN(w, ...)                                                                                \
	lu_world_run((w), (const uint8_t[]){ __VA_ARGS__ },                                        \
		     sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define RUN_NO_LU(w, ...)                                                                          \
	lu_world_run_on((w), NULL, (const uint8_t[]){ __VA_ARGS__ },                               \
			sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Runs a change; w->next and w->fx have the outcome, w->v is what it was. */
static inline uint8_t lu_world_change(struct lu_world *w, enum lu_change_kind kind,
				      const struct nexus *who, const uint8_t *cdb, unsigned cdb_len,
				      const void *param, uint32_t param_len)
{
	struct lu_request rq = { .kind = kind,
				 .seq = ++w->seq,
				 .cdb_len = (uint8_t)cdb_len,
				 .param = param,
				 .param_len = param_len,
				 .caps = w->v.caps,
				 .not_ready = w->v.not_ready };

	if (who) {
		rq.has_nexus = true;
		rq.nexus = *who;
	}
	if (cdb)
		memcpy(rq.cdb, cdb, cdb_len);
	lu_change(&w->v, &rq, &w->next, &w->fx);
	return w->fx.status;
}

static inline void lu_world_publish(struct lu_world *w)
{
	if (!w->fx.changed)
		return;
	w->next.epoch = w->v.epoch + 1;
	w->v = w->next;
}

static inline uint32_t sense_code_of(const struct sense *s)
{
	return SENSE_CODE(s->key, s->asc, s->ascq);
}

/* The field pointer of a sense: its byte; SKSV must be set. */
static inline int sense_pointer(const struct sense *s)
{
	return s->sks_valid && s->sks[0] & 0x80 ? s->sks[1] << 8 | s->sks[2] : -1;
}

#endif
