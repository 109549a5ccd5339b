/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MODE SELECT parameter lists, and MODE SENSE CDBs against what they lead to. Input: byte 0 what LU
 * it is, byte 1 which command and its flags, 8 bytes of a MODE SENSE CDB, then the parameter list.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pr/pr.h"
#include "scsi/cmd.h"
#include "scsi/mode.h"

enum { HEAD = 10 };

static const struct nexus nexus = { .tpgt = 1,
				    .isid = { 0x80 },
				    .initiator = "iqn.2026-11.com.example:a" };
static const uint16_t tpgts[] = { 1 }, luns[] = { 0 };
static const struct scsi_target target = {
	.name = "iqn.2026-11.com.example:t", .tpgts = tpgts, .ntpgts = 1, .luns = luns, .nluns = 1
};

static void lu_of(uint8_t kind, struct lu_ident *id, struct lu_value *v)
{
	memset(id, 0, sizeof(*id));
	memset(v, 0, sizeof(*v));
	id->witness = kind & 1;
	v->id = id;
	v->target = &target;
	v->pr = pr_none;
	v->block_size = kind & 2 ? 4096 : 512;
	v->caps.size = kind & 4 ? 1ull << 44 : 1u << 30;
	v->caps.durable = kind & 8;
	v->caps.align = 1;
	v->modes = (struct lu_modes){
		.wce = kind & 16, .d_sense = kind & 32, .swp = kind & 64, .tas = kind & 128
	};
	v->saved = v->defaults = (struct lu_modes){ .wce = true, .tas = true };
	mode_limit(v);
}

static void sense(const struct lu_value *v, const uint8_t *in, bool ten)
{
	struct scsi_cmd c = { .cdb = { ten ? 0x5a : 0x1a },
			      .cdb_len = 16,
			      .dir_in = true,
			      .edtl = 65536,
			      .nexus = &nexus,
			      .target = &target };
	struct gate g = { 0 };
	uint32_t len;

	memcpy(c.cdb + 1, in, 8);
	gate_derive(&g, v, &nexus);
	g.ua = 0;
	if (scsi_step(&c, v, &g, SCSI_EV_ARRIVED) == SCSI_COMPLETE)
		return;
	c.in = malloc(c.need_in);
	assert(scsi_step(&c, v, &g, SCSI_EV_READY) == SCSI_COMPLETE);
	assert(c.status == SAM_GOOD && c.in_len <= c.need_in);
	if (c.in_len >= 2) {
		/* MODE DATA LENGTH is the whole's, however little was asked for. */
		len = ten ? get_be16(c.in) + 2u : c.in[0] + 1u;
		assert(c.in_len == (len < c.need_in ? len : c.need_in));
	}
	free(c.in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lu_ident id;
	struct lu_value v, next;
	struct lu_fx fx = { 0 };
	struct lu_request rq = {
		.kind = LU_CHANGE_CMD, .seq = 1, .has_nexus = true, .nexus = nexus
	};
	bool ten;

	if (size < HEAD)
		return 0;
	lu_of(data[0], &id, &v);
	ten = data[1] & 0x80;
	rq.cdb[0] = ten ? 0x55 : 0x15;
	rq.cdb[1] = data[1] & 0x11;
	rq.param = data + HEAD;
	rq.param_len = (uint32_t)(size - HEAD > SCSI_PARAM_MAX ? SCSI_PARAM_MAX : size - HEAD);
	lu_change(&v, &rq, &next, &fx);
	assert(fx.status == SAM_GOOD || fx.status == SAM_CHECK_CONDITION);
	if (fx.status != SAM_GOOD) {
		assert(!fx.changed && !fx.persist && !fx.flush &&
		       fx.sense.key == SK_ILLEGAL_REQUEST);
		assert(!memcmp(&v.modes, &next.modes, sizeof(v.modes)) &&
		       !memcmp(&v.saved, &next.saved, sizeof(v.saved)));
		assert(!next.events[UA_MODE_CHANGED].seq);
	}
	assert(mode_wce_possible(&v) || (!next.modes.wce && !next.saved.wce));
	assert(!fx.persist || rq.cdb[1] & 1);
	assert(fx.changed == (memcmp(&v.modes, &next.modes, sizeof(v.modes)) || fx.persist));
	assert(!memcmp(&v.defaults, &next.defaults, sizeof(v.defaults)));
	sense(&next, data + 2, ten);
	return 0;
}
