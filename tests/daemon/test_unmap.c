/* SPDX-License-Identifier: Apache-2.0 */
/* UNMAP and ranges held for COMPARE AND WRITE: who waits for whom. */
#include <string.h>

#include "tests/daemon/wire.h"

enum { FAR = 4096 };

static void start_hung(const char *op)
{
	char luns[1024];

	daemon_touch("hang");
	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: m0, backend: memory, size: 64M, filters: "
		 "\"fault:op=%s,while=%s,hang\"}\n",
		 op, daemon_path("hang"));
	daemon_start("reactors: 1\n", luns, NULL);
}

/* UNMAP of `n` ranges of 8 blocks. */
static void io_unmap(struct io *io, uint8_t *buf, const uint32_t *lbas, unsigned n)
{
	memset(io, 0, sizeof(*io));
	memset(buf, 0, 8 + 16 * n);
	buf[1] = (uint8_t)(6 + 16 * n);
	buf[3] = (uint8_t)(16 * n);
	for (unsigned i = 0; i < n; i++) {
		put_be64(buf + 8 + 16 * i, lbas[i]);
		put_be32(buf + 16 + 16 * i, 8);
	}
	io->cdb[0] = 0x42;
	io->cdb[8] = (uint8_t)(8 + 16 * n);
	io->attr = ATTR_SIMPLE;
	io->wr = true;
	io->edtl = 8 + 16 * n;
	io->buf = buf;
}

/*
 * An UNMAP under way counts as all of its ranges, whichever it is at: COMPARE AND WRITE of blocks
 * of the first, or of the last, waits for its end, and then runs.
 */
static void test_unmap(void)
{
	static const uint32_t lbas[][2] = { { 0, FAR }, { FAR, 0 } };

	for (unsigned i = 0; i < 2; i++) {
		uint8_t list[64], data[2 * BLOCK], block[BLOCK];
		struct io unmap, caw, wr;
		struct wire *w;

		start_hung("discard");
		w = wire_open(NULL, 1);
		fill_blocks(block, 0, 1, 1);
		io_write(&wr, 0, 0, 1, block);
		CU_ASSERT(io_good(w, &wr));
		io_unmap(&unmap, list, lbas[i], 2);
		CU_ASSERT(io_start(w, &unmap));
		/* what the UNMAP leaves there, then new content */
		memset(data, 0, BLOCK);
		fill_blocks(data + BLOCK, 0, 1, 2);
		io_caw(&caw, 0, 0, 1, data);
		CU_ASSERT(io_start(w, &caw));
		CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
		CU_ASSERT(!unmap.done && !caw.done);
		daemon_remove("hang");
		CU_ASSERT(io_wait(&unmap, WIRE_MS));
		CU_ASSERT_EQUAL(unmap.status, ST_GOOD);
		CU_ASSERT(io_wait(&caw, WIRE_MS));
		CU_ASSERT_EQUAL(caw.status, ST_GOOD);
		daemon_stop();
	}
}

UNIT_MAIN("daemon unmap", UNIT(test_unmap))
