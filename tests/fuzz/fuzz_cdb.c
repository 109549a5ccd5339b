/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any CDB, with any direction, EDTL, data-out, state of the LU and trouble on the way, goes through
 * the step. tests/unit/step_world.h asserts what may never happen: I/O outside the LU or a buffer,
 * a unit too large, data-out beyond EDTL, a command that does not end.
 *
 * Input: 2 bytes of LU state, 1 of trouble and when, 1 of direction and how much smaller EDTL is,
 * 3 of EDTL, 16 of CDB, data-out.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/step_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 23 };

static struct step_world w;
static uint8_t trouble;
static unsigned countdown;

static void make_trouble(struct step_world *x, enum scsi_event ev)
{
	if (countdown-- != 0)
		return;
	switch (trouble & 7) {
	case 1:
		x->no_lu = true;
		break;
	case 2:
		x->gate.access = 0;
		break;
	case 3:
		x->v.failed = true;
		break;
	case 4:
		x->v.caps.size = 4096;
		break;
	case 5:
		x->v.modes.swp = true;
		break;
	case 6:
		x->v.caps.extents = !x->v.caps.extents;
		break;
	}
}

static void state_set(const uint8_t *data)
{
	uint8_t *disk = w.disk;

	world_drop(&w);
	if (disk)
		world_init_on(&w, disk);
	else
		world_init(&w);
	w.v.modes.wce = data[0] & 1;
	w.v.caps.durable = data[0] & 2;
	w.v.caps.readonly = data[0] & 4;
	w.v.failed = data[0] & 8;
	w.v.not_ready = data[0] & 16;
	w.v.caps.extents = data[0] & 32;
	if (data[0] & 64)
		w.v.caps.discard_granularity = 0;
	if (data[0] & 128)
		w.v.block_size = 4096;
	if (data[1] & 1)
		w.v.caps.atomic_max = 65536;
	w.id.reserve6 = data[1] & 2;
	w.no_lu = (data[1] & 12) == 12;
	w.gate.ua = (data[1] & 48) == 48 ? 1u << (data[1] >> 6) : 0;
	for (unsigned i = 0; i < sizeof(w.mapped); i++)
		w.mapped[i] = data[i % HEAD] >> (i & 7) & 1;
	trouble = data[2];
	countdown = data[2] >> 3;
	w.between = make_trouble;
	if ((data[2] & 7) == 7) {
		w.fail_io = 1 + (data[2] >> 5);
		w.fail_err = data[2] & 8 ? -EIO : -ENOSPC;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[9 << 20];
	uint32_t edtl;
	size_t n;

	if (size < HEAD)
		return 0;
	state_set(data);
	edtl = (get_be24(data + 4) >> (data[3] >> 3 & 15)) % sizeof(out);
	/* Data-out repeats what the input has, up to what a command could take. */
	n = size - HEAD;
	if (n && edtl) {
		size_t have = n < edtl ? n : edtl;

		memcpy(out, data + HEAD, have);
		if (have < edtl)
			memset(out + have, data[HEAD], edtl - have < 65536 ? edtl - have : 65536);
	}
	world_run(&w, data + 7, 16, (enum op_dir)((data[3] & 7) % 3), edtl, out);
	assert(w.steps < 100000);
	assert(w.c.status != SAM_CHECK_CONDITION || w.c.sense.key != SK_NO_SENSE);
	return 0;
}
