/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamps: a disk checker that knows what a disk may have forgotten.
 *
 * Every sector (512 bytes) written carries its own number and a generation; everything else in it
 * follows from these two. A ledger in memory keeps three generations for every sector: issued (some
 * write of it was sent), written (that write was acknowledged) and durable (it was acknowledged
 * with FUA, or a flush sent after its acknowledgement was). After a crash each sector has to hold
 * one whole generation between durable and issued. Anything older is a lost write, anything else is
 * corruption. Writes that are under way at the same time never overlap: each lane has its own
 * region.
 */
#ifndef TESTS_CLUSTER_STAMP_H
#define TESTS_CLUSTER_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	STAMP_SECTOR = 512,
	STAMP_REGION = 4 << 20, /* bytes of one lane */
	STAMP_LANE_SECTORS = STAMP_REGION / STAMP_SECTOR,
	STAMP_UNIT = 8,	       /* writes are multiples of so many sectors, and so aligned */
	STAMP_WRITE_MAX = 256, /* sectors of one write, at most */
	STAMP_LANES_MAX = 64,
};

/* What makes the writes of a lane durable. */
enum stamp_mode {
	STAMP_VOLATILE, /* nothing: such writes may be lost */
	STAMP_FUA,	/* each write has FUA */
	STAMP_FLUSH,	/* a flush after every few writes */
	STAMP_THROUGH,	/* the disk promises it by itself: its write cache is off */
};

struct stamp_sector {
	uint32_t issued, written, durable;
};

struct stamp_lane {
	enum stamp_mode mode;
	unsigned int index;    /* its region is the index-th of the disk */
	uint32_t gen;	       /* of the last write */
	uint32_t start, count; /* the write under way: sectors of the region */
	uint32_t unflushed;    /* writes since the last flush */
	uint64_t rnd;
	uint64_t writes, flushes;
	uint64_t acked_ms, pause_ms; /* the last answer, the longest time between two */
	struct stamp_sector *sector; /* STAMP_LANE_SECTORS */
};

struct stamp_ledger {
	unsigned int lanes;
	struct stamp_lane lane[STAMP_LANES_MAX];
};

/*
 * Makes a ledger of `lanes` lanes (1 to STAMP_LANES_MAX), whose modes are the words of `modes`
 * ("fua,flush,volatile, through") in turn, or reads `path` if that exists. Ends the program with a
 * message when it cannot.
 */
void stamp_open(struct stamp_ledger *l, const char *path, unsigned int lanes, const char *modes);
/* Replaces `path`. Ends the program with a message when it cannot. */
void stamp_save(const struct stamp_ledger *l, const char *path);

/*
 * How far lanes have come, kept where it outlives the machine that writes (a file of its host): a
 * lane's writes and flushes follow from its seed, so their number says which were acknowledged.
 */
struct stamp_track {
	uint32_t lanes;
	struct {
		uint32_t mode, index;
		uint64_t seed, acks; /* writes and flushes acknowledged */
	} lane[STAMP_LANES_MAX];
};

/* Of a new ledger. */
void stamp_track_start(const struct stamp_ledger *l, struct stamp_track *t);
/* The ledger a machine had when it died: what was acknowledged, and what may have been under way.
 */
void stamp_track_replay(const struct stamp_track *t, struct stamp_ledger *l);

/* Plans the next write of a lane and fills `data` (STAMP_WRITE_MAX sectors). Returns the disk's
 * first sector. */
uint64_t stamp_write_start(struct stamp_lane *lane, uint8_t *data);
/* The write under way was acknowledged. */
void stamp_write_done(struct stamp_lane *lane);
/* Whether this lane should flush before its next write. */
bool stamp_flush_due(const struct stamp_lane *lane);
/* A flush that was sent when no write of this lane was under way was acknowledged. */
void stamp_flush_done(struct stamp_lane *lane);

/* Reads `count` sectors from `sector`; 0 or not. */
typedef int stamp_read_fn(void *ctx, uint64_t sector, uint32_t count, uint8_t *data);
/*
 * Compares the disk with the ledger and prints what it found. From then on the ledger says what the
 * disk says. Returns the number of bad sectors. *forgotten: sectors whose last acknowledged, not
 * durable write is gone (allowed).
 */
uint64_t stamp_check(struct stamp_ledger *l, stamp_read_fn *read_fn, void *ctx,
		     uint64_t *forgotten);

/* One line: lanes, writes, flushes, the longest pause. */
void stamp_report(const struct stamp_ledger *l, FILE *out);
uint64_t stamp_now_ms(void);

#endif
