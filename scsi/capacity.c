/* SPDX-License-Identifier: Apache-2.0 */
/* READ CAPACITY(10) and (16): SBC-3 5.15, 5.16. */
#include <assert.h>

#include "scsi/plans.h"

enum {
	CAPACITY16_LEN = 32,
	CAPACITY_PMI = 0x01,
	CAPACITY_LBPME = 0x80,
	CAPACITY_LBPRZ = 0x40,
};

static uint64_t capacity_last(const struct lu_value *v)
{
	uint64_t blocks = lu_blocks(v);

	return blocks ? blocks - 1 : 0;
}

/*
 * PMI and the LBA field are obsolete in SBC-3; older initiators send them by SBC-2's rules: an LBA
 * without PMI is an error, with PMI the answer is the last block before a substantial delay, which
 * is the last of all.
 */
static bool capacity_lba_ok(uint64_t lba, uint8_t pmi, const struct lu_value *v)
{
	return pmi & CAPACITY_PMI ? lba <= capacity_last(v) : lba == 0;
}

static void capacity10_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	uint64_t last = capacity_last(v);

	wcur_be32(w, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	wcur_be32(w, v->block_size);
}

enum scsi_next plan_read_capacity10(struct scsi_cmd *c, const struct lu_value *v,
				    enum scsi_event ev)
{
	if (!capacity_lba_ok(get_be32(c->cdb + 2), c->cdb[8], v))
		return scsi_bad_cdb(c, 2, -1);
	return plan_answer(c, v, ev, 8, capacity10_build);
}

static void capacity16_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	assert(v->phys_exp < 16);
	wcur_be64(w, capacity_last(v));
	wcur_be32(w, v->block_size);
	wcur_u8(w, 0);				/* P_TYPE, PROT_EN: no protection information */
	wcur_u8(w, v->phys_exp);		/* LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT */
	/* LOWEST ALIGNED LOGICAL BLOCK ADDRESS is 0: a LU starts on a physical block. */
	wcur_u8(w, lu_thin(v) ? CAPACITY_LBPME | CAPACITY_LBPRZ : 0);
	wcur_zero(w, CAPACITY16_LEN - w->len);
}

enum scsi_next plan_read_capacity16(struct scsi_cmd *c, const struct lu_value *v,
				    enum scsi_event ev)
{
	if (!capacity_lba_ok(get_be64(c->cdb + 2), c->cdb[14], v))
		return scsi_bad_cdb(c, 2, -1);
	return plan_answer(c, v, ev, get_be32(c->cdb + 10), capacity16_build);
}
