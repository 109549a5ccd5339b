/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe: on the generator's first session, one command at a time to a LUN of its own (a
 * witness), of several kinds in turn, with a pause in between, each timed by itself. The load
 * (load.h) carries it: so it shares a session with a load, or with none (-q 0).
 */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include "tests/bench/hist.h"
#include "tests/bench/session.h"

enum { PROBE_KINDS = 6, PROBE_KEY = 0x77, PROBE_PAUSE_NS = 500000 };

struct probe_kind {
	const char *name;
	uint32_t len;			/* bytes out or in */
	bool write;
	uint8_t cdb[16];		/* READ(10), WRITE(10): without the length */
	uint8_t param[24];		/* of PERSISTENT RESERVE OUT: the key */
};

/* READ KEYS asks for the one key there is; RESERVE is by the holder, as Windows defends a disk. */
static const struct probe_kind probe_kinds[PROBE_KINDS] = {
	{ "read-512", 512, false, { 0x28 }, { 0 } },
	{ "write-512", 512, true, { 0x2a }, { 0 } },
	{ "read-4k", 4096, false, { 0x28 }, { 0 } },
	{ "write-4k", 4096, true, { 0x2a }, { 0 } },
	{ "read-keys", 16, false, { 0x5e, 0, [8] = 16 }, { 0 } },
	{ "reserve", 24, true, { 0x5f, 1, 5, [8] = 24 }, { [7] = PROBE_KEY } },
};

static struct {
	bool on;
	uint8_t lun[8];
	uint32_t block_size;
	unsigned next;
	uint64_t due;			/* when the next command goes out; ~0 while one is out */
	struct hist hist[PROBE_KINDS + 1];	/* by kind; of all */
} probe;

static inline void probe_cdb(uint8_t *cdb, const struct probe_kind *k)
{
	memcpy(cdb, k->cdb, sizeof(k->cdb));
	if (cdb[0] == 0x28 || cdb[0] == 0x2a)
		cdb[8] = (uint8_t)(k->len / probe.block_size);
}

/*
 * Makes this nexus the only one that is registered, and reserves (Write Exclusive, Registrants
 * Only). 0, or -1.
 */
static inline int probe_begin(struct link *l)
{
	/* REGISTER AND IGNORE EXISTING KEY, CLEAR, again, RESERVE */
	static const uint8_t steps[] = { 6, 3, 6, 1 };
	uint64_t blocks;

	if (link_capacity(l, probe.lun, &blocks, &probe.block_size))
		return -1;
	if (probe.block_size != 512 || blocks < 8) {
		fprintf(stderr, "hf-bench: the probe needs 512-byte blocks\n");
		return -1;
	}
	for (unsigned i = 0; i < sizeof(steps); i++) {
		uint8_t cdb[10] = { 0x5f, steps[i], 5, [8] = 24 }, param[24] = { 0 };
		struct command c = { probe.lun, cdb, 10, .out = param, .out_len = 24 };
		int st;

		param[steps[i] == 6 ? 15 : 7] = PROBE_KEY;
		st = link_command(l, &c);
		if (st) {
			fprintf(stderr, "hf-bench: no reservation: %02x: status %02x sense %06x\n",
				steps[i], st, c.sense);
			return -1;
		}
	}
	return 0;
}

/* One has ended. */
static inline void probe_end(const struct probe_kind *k, uint64_t start, uint64_t now)
{
	hist_add(&probe.hist[k - probe_kinds], now - start);
	hist_add(&probe.hist[PROBE_KINDS], now - start);
	probe.due = now + PROBE_PAUSE_NS;
}

static inline void probe_report(const char *label)
{
	for (unsigned i = 0; i <= PROBE_KINDS; i++) {
		const struct hist *h = &probe.hist[i];

		printf("label=%s probe=%s n=%llu p50=%.1f p99=%.1f p999=%.1f max=%.1f\n", label,
		       i < PROBE_KINDS ? probe_kinds[i].name : "all", (unsigned long long)h->n,
		       hist_us(h, 0.5), hist_us(h, 0.99), hist_us(h, 0.999), (double)h->max / 1e3);
	}
}

#endif
