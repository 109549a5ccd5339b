/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a file is dirty, and where: an estimate that never looks at the page cache. */
#include <stdlib.h>

#include "backends/file.h"

enum {
	GRANULE_MIN = 20,		/* log2 of bytes */
	CELLS_MAX = 1 << 18,		/* 1 MiB of counters, used only where there are writes */
	/* Cells count no further; the limits are far below. */
	CELL_MAX = 1 << 30,
};

int file_dirty_init(struct file_dirty *d, uint64_t size)
{
	d->shift = GRANULE_MIN;
	while (size >> d->shift >= CELLS_MAX)
		d->shift++;
	d->count = (size_t)(size >> d->shift) + 1;
	d->full = d->shift < 30 ? 1u << d->shift : CELL_MAX;
	d->next = 0;
	atomic_store(&d->bytes, 0);
	d->cells = calloc(d->count, sizeof(*d->cells));
	return d->cells ? 0 : -ENOMEM;
}

void file_dirty_fini(struct file_dirty *d)
{
	free(d->cells);
}

static uint32_t at_most(uint32_t n, uint32_t bound)
{
	return n < bound ? n : bound;
}

int64_t file_dirty_add(struct file_dirty *d, uint64_t off, uint64_t len)
{
	uint64_t end = off + len, sum = 0;

	for (uint64_t upto; off < end; off = upto) {
		_Atomic uint32_t *cell = &d->cells[off >> d->shift];
		uint32_t n, old;

		upto = ((off >> d->shift) + 1) << d->shift;
		if (upto > end)
			upto = end;
		/* What is dirty already and written again does not take longer to write out. */
		if (atomic_load_explicit(cell, memory_order_relaxed) >= d->full)
			continue;
		n = (uint32_t)(upto - off);
		old = atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
		sum += at_most(old + n, d->full) - at_most(old, d->full);
	}
	return sum ? atomic_fetch_add(&d->bytes, (int64_t)sum) + (int64_t)sum
		   : atomic_load(&d->bytes);
}

bool file_dirty_take(struct file_dirty *d, uint64_t want, struct file_slice *out)
{
	*out = (struct file_slice){ .bytes = 0 };
	for (size_t seen = 0; seen < d->count && out->bytes < want; seen++) {
		uint32_t n = 0;

		if (d->next == d->count) {
			if (out->bytes)
				break;
			d->next = 0;
		}
		if (atomic_load_explicit(&d->cells[d->next], memory_order_relaxed))
			n = atomic_exchange_explicit(&d->cells[d->next], 0, memory_order_relaxed);
		if (n && !out->bytes)
			out->off = (uint64_t)d->next << d->shift;
		d->next++;
		out->bytes += at_most(n, d->full);
		if (n)
			out->len = ((uint64_t)d->next << d->shift) - out->off;
	}
	return out->bytes;
}
