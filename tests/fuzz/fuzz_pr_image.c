/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of persistent images: as it comes, and (first byte odd) with length and checksum made
 * right, so that what lies behind them is reached. What is accepted is put again as the same bytes.
 */
#include <stdlib.h>

#include "pr/pr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* CRC32C by its definition. */
static uint32_t crc_slow(const uint8_t *p, size_t len)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < 8 * len; i++)
		crc = crc >> 1 ^ ((crc ^ (uint32_t)(p[i / 8] >> i % 8)) & 1 ? 0x82f63b78 : 0);
	return ~crc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pr_state *s;
	static uint8_t *again;
	uint8_t *copy;

	if (!s) {
		s = malloc(pr_state_max());
		again = malloc(pr_image_max());
	}
	if (!size)
		return 0;
	copy = malloc(size);
	memcpy(copy, data + 1, --size);
	if (data[0] & 1 && size >= 20) {
		put_be32(copy + 12, (uint32_t)size);
		put_be32(copy + size - 4, crc_slow(copy, size - 4));
	}
	if (pr_image_get(copy, size, s, pr_state_max())) {
		struct nexus who = { .tpgt = 1, .initiator = "iqn.a" };

		if (pr_image_put(s, again, pr_image_max()) != size || memcmp(again, copy, size))
			abort();
		pr_access(s, &who);
		for (uint8_t sa = 0; sa < 4; sa++)
			pr_in_max(s, sa);
	}
	free(copy);
	return 0;
}
