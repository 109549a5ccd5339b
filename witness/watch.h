/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching a witness LUN: events in, entries out. The picture is what the entries add up to; beside
 * it is what matters only while the daemon runs: rhythms, averages, what is not yet an entry.
 *
 * Pure; one thread at a time. struct witness has some 220 KiB and no pointers.
 */
#ifndef WITNESS_WATCH_H
#define WITNESS_WATCH_H

#include "witness/picture.h"

enum { WITNESS_RHYTHMS = 256 };

/* What a node does again and again at one place. */
enum witness_act { WITNESS_ACT_READ, WITNESS_ACT_WRITE, WITNESS_ACT_LOOK, WITNESS_ACT_DEFEND };

struct witness_rhythm {
	bool used;
	uint8_t node, act;
	uint8_t times;	  /* intervals in a row that are alike; stops at 255 */
	uint32_t len;	  /* bytes */
	uint64_t off;	  /* bytes; LOOK: service action */
	uint64_t last_ms; /* monotonic */
	uint32_t period_ms;
};

struct witness_pace {
	uint64_t since_ms;	      /* of the window in hand */
	uint64_t n, sum_us;	      /* in it */
	uint32_t usual_us, lately_us; /* mean latency: over long, of the last window; 0: none */
	uint32_t longest_us;	      /* of this run */
	uint8_t slow;		      /* windows in a row */
	bool warned;
};

/* Entries that may be told at once, and what was not. */
struct witness_share {
	uint8_t spent;
	uint64_t since_ms; /* monotonic */
	uint32_t untold;
};

/* How a path's session is, if that is not told yet. */
struct witness_held {
	bool is, on, clean;
	uint8_t isid[6];
	uint16_t tpgt;
	struct witness_time at;
};

/* Of one node: all its paths of the picture, and as many that may take their places. */
enum { WITNESS_HELD = 2 * WITNESS_PATHS };

/* What a node does again and again (repeat.c). */
struct witness_repeat {
	struct witness_share sessions;
	struct witness_held held[WITNESS_HELD];
	uint32_t challenges; /* not told yet; the last one: */
	struct witness_time challenged;
	uint8_t isid[6];
	uint16_t tpgt;
	uint8_t how;
	uint64_t due_ms; /* when challenges may be told next, monotonic */
	uint32_t wait_ms;
};

struct witness {
	struct witness_picture picture;
	/* From here on: of this run only. */
	struct witness_time started;
	struct witness_time defended;  /* the owner's last defence, also if no entry tells yet */
	uint32_t untold;	       /* defences that no entry tells of */
	uint64_t told_ms;	       /* when the last entry about defences was made */
	uint64_t latest_ms, ticked_ms; /* of events; of the last look at what time brings */
	struct witness_rhythm rhythm[WITNESS_RHYTHMS];
	struct witness_pace pace;
	struct {
		bool known;
		uint64_t free, size;
	} space[WITNESS_SPACES];
	uint64_t journal_lost;
	uint64_t blind_ms[WITNESS_NODES]; /* when I/O of a node was missed last */
	struct witness_repeat repeat[WITNESS_NODES];
	struct witness_share strangers; /* logins of initiators that are not in the picture */
};

/* The picture may be filled by replay (witness_picture_apply, _get) before the first event. */
void witness_init(struct witness *w);

/*
 * One event; emit is called for each entry it leads to, after the picture has taken it over. The
 * first event is WITNESS_EV_START. Monotonic time does not go back, but that I/O and LOOK may be
 * told of a little late.
 */
typedef void witness_emit_fn(void *arg, const struct witness_entry *e);
void witness_step(struct witness *w, const struct witness_event *ev, witness_emit_fn *emit,
		  void *arg);

/* Challenges so far, those that no entry tells of included. */
uint64_t witness_challenges(const struct witness *w);

/* The moment of monotonic time mono_ms of this run (for what is asked between events). */
struct witness_time witness_now(const struct witness *w, uint64_t utc_ms, uint64_t mono_ms);

#endif
