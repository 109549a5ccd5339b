/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is an UNMAP parameter list. Whatever it is, I/O stays inside the LU and the command
 * ends: with GOOD, and then every whole descriptor's blocks read zero, or with ILLEGAL REQUEST.
 */
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/step_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct step_world w;

static void check_zero(uint64_t lba, uint32_t n)
{
	uint64_t off = lba * w.v.block_size, len = (uint64_t)n * w.v.block_size;

	assert(off <= WORLD_SIZE && len <= WORLD_SIZE - off);
	for (uint64_t i = 0; i < len; i += w.v.block_size)
		assert(w.disk[off + i] == 0 && w.disk[off + i + w.v.block_size - 1] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t cdb[10] = { 0x42 };

	if (size > 65535)
		return 0;
	if (!w.disk)
		world_init(&w);
	memset(w.disk, 0xff, 1 << 20);
	put_be16(&cdb[7], (uint16_t)size);
	world_run(&w, cdb, sizeof(cdb), OP_DIR_OUT, (uint32_t)size, data);
	if (w.c.status != SAM_GOOD) {
		assert(w.c.sense.key == SK_ILLEGAL_REQUEST);
		return 0;
	}
	if (size < 8)
		return 0;
	for (size_t at = 8, end = 8 + (size_t)get_be16(data + 2); at + 16 <= end; at += 16) {
		assert(at + 16 <= size);
		check_zero(get_be64(data + at), get_be32(data + at + 8));
	}
	return 0;
}
