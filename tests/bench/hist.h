/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log-linear histogram of nanoseconds: 64 buckets to each power of two, so a percentile is right
 * to 1.6 %, and adding a value costs a bit scan and an increment.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

enum { HIST_SUB = 6, HIST_BUCKETS = (64 - HIST_SUB + 1) << HIST_SUB };

struct hist {
	uint64_t n, sum, max;
	uint64_t bucket[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t v)
{
	unsigned msb;

	if (v < (1u << HIST_SUB))
		return (unsigned)v;
	msb = 63 - (unsigned)__builtin_clzll(v);
	return ((msb - HIST_SUB + 1) << HIST_SUB) +
	       (unsigned)((v >> (msb - HIST_SUB)) & ((1u << HIST_SUB) - 1));
}

/* The middle of bucket i, in nanoseconds. */
static inline double hist_value(unsigned i)
{
	unsigned octave = i >> HIST_SUB;
	double width;

	if (!octave)
		return i;
	width = (double)(1ull << (octave - 1));
	return (double)((1u << HIST_SUB) + (i & ((1u << HIST_SUB) - 1))) * width + width / 2;
}

static inline void hist_add(struct hist *h, uint64_t ns)
{
	h->n++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
	h->bucket[hist_index(ns)]++;
}

/* q of 0..1, answer in microseconds; 0 when empty. */
static inline double hist_us(const struct hist *h, double q)
{
	uint64_t want = (uint64_t)(q * (double)h->n), seen = 0;
	double v;

	if (want >= h->n && h->n)
		want = h->n - 1;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > want) {
			v = hist_value(i);
			return (v < (double)h->max ? v : (double)h->max) / 1000;
		}
	}
	return 0;
}

/* How many are over ns (to the bucket). */
static inline uint64_t hist_over(const struct hist *h, uint64_t ns)
{
	uint64_t n = 0;

	for (unsigned i = hist_index(ns) + 1; i < HIST_BUCKETS; i++)
		n += h->bucket[i];
	return n;
}

#endif
