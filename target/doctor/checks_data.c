/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks: how soon they are read and written, and whether every node sees the same. */
#include <stdlib.h>
#include <string.h>

#include "target/doctor/doctor.h"

enum { READS = 100 };

static int by_ms(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Windows' validation complains of I/O that takes long; its cluster gives a disk up after seconds.
 */
static void judge_latency(struct doctor *d, double *ms, unsigned n, const char *what)
{
	qsort(ms, n, sizeof(ms[0]), by_ms);
	if (ms[n - 1] > 3000)
		check_fail(d, "a %s took %.0f ms", what, ms[n - 1]);
	else if (ms[n / 2] > 100 || ms[n - 1] > 1000)
		check_warn(d, "%ss took %.1f ms in the middle, %.0f ms at most", what, ms[n / 2],
			   ms[n - 1]);
	check_note(d, "%ss: %.2f ms in the middle, %.2f ms at most", what, ms[n / 2], ms[n - 1]);
}

static void latency_read(struct doctor *d)
{
	double ms[READS];

	for (unsigned i = 0; i < READS; i++) {
		struct node *n = &d->nodes[i % MAIN_NODES];
		struct cdb c = cdb_read(d->blocks / READS * i, 1, d->block);
		struct answer a = node_do(n, &c);

		if (!expect(n, &c, &a, GOOD, NULL))
			return;
		if (a.len != d->block)
			check_fail(d, "%s: %s: %u bytes", n->label, c.text, a.len);
		ms[i] = a.ms;
	}
	judge_latency(d, ms, READS, "read");
}

static void latency_write(struct doctor *d)
{
	uint8_t data[4096];
	double ms[READS];

	if (!scratch_save(d))
		return;
	memset(data, 0x5a, sizeof(data));
	for (unsigned i = 0; i < READS; i++) {
		struct node *n = &d->nodes[i % MAIN_NODES];
		struct cdb c =
			cdb_write(d->scratch + i % d->scratch_blocks, 1, d->block, data, true);
		struct answer a = node_do(n, &c);

		if (!expect(n, &c, &a, GOOD, NULL))
			return;
		ms[i] = a.ms;
	}
	judge_latency(d, ms, READS, "write");
}

static void coherent(struct doctor *d)
{
	uint8_t found;

	for (int i = 0; i < MAIN_NODES; i++) {
		if (!scratch_fill(&d->nodes[i], (uint8_t)(0x10 + i)))
			return;
		for (int j = 0; j < MAIN_NODES; j++)
			if (!scratch_is(&d->nodes[j], (uint8_t)(0x10 + i), &found)) {
				check_fail(d, "%s wrote %02Xh, %s reads %02Xh", d->nodes[i].label,
					   0x10 + i, d->nodes[j].label, found);
				return;
			}
	}
}

static void compare_write(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B];
	uint8_t data[2 * 4096] = { 0 }, found;
	struct cdb c = cdb_compare_write(d->scratch, 1, d->block, data);
	struct answer r;

	if (!scratch_fill(a, 0x21))
		return;
	memset(data, 0x21, d->block);
	memset(data + d->block, 0x22, d->block);
	r = node_do(a, &c);
	if (r.how == HOW_STATUS && r.status == 2 && r.key == 5 && r.asc == 0x20) {
		check_skip(d, "COMPARE AND WRITE is not supported: Windows, sanlock and LVM do not "
			      "send it, VMware does");
		return;
	}
	if (!expect(a, &c, &r, GOOD, NULL))
		return;
	r = node_do(b, &c);
	if (r.how != HOW_STATUS || r.status != 2 || r.key != 0x0e)
		check_fail(d, "B compares with what is not there any more, and is not told "
			      "MISCOMPARE (Eh)");
	memset(data, 0x22, d->block);
	memset(data + d->block, 0x21, d->block);
	node_expect(b, &c, GOOD, NULL);
	if (!scratch_is(a, 0x21, &found))
		check_fail(d, "what was written is not there: %02Xh", found);
}

/* clang-format off */
const struct check checks_data[] = {
	{ "latency-read", "reads come soon", "MS-CSVP 3.2.4.1 CprepDiskRawRead (latency is judged)",
	  "Single blocks all over the disk, from every node.",
	  "Windows warns of disk access latency; sbd and sanlock fence nodes.", 0, latency_read },
	{ "latency-write", "writes with FUA come soon",
	  "MS-CSVP 3.2.4.2 CprepDiskRawWrite, 3.2.4.21 CprepDiskGetArbSectors",
	  "Single scratch blocks with FUA, from every node.",
	  "Heartbeats on the disk (sbd, sanlock, o2cb) miss their time.", NEED_WRITES,
	  latency_write },
	{ "coherent", "what one node writes every node reads", "SBC-3 5 (READ, WRITE)",
	  "512 KiB written by each node and read by all.",
	  "A cache that is not shared: no cluster file system survives that.", NEED_WRITES,
	  coherent },
	{ "compare-write", "COMPARE AND WRITE compares", "SBC-3 5.2",
	  "Equal: written; different: MISCOMPARE, not written.",
	  "Locks on the disk (VMware ATS) are given twice.",
	  NEED_WRITES, compare_write },
	{ 0 },
};
/* clang-format on */
