/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens on a witness LUN, as the shell saw it: the input of everything in witness/. Times
 * are the caller's; nothing here reads a clock.
 */
#ifndef WITNESS_EVENT_H
#define WITNESS_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "scsi/nexus.h"

struct pr_state;

/*
 * A moment. UTC is what people are shown and may be set back or forth; the monotonic clock is what
 * durations are made of, but only within one run of the daemon. run 0: never.
 */
struct witness_time {
	uint64_t utc_ms, mono_ms;
	uint32_t run;
};

static inline bool witness_time_is(const struct witness_time *t)
{
	return t->run != 0;
}

/*
 * Milliseconds from one moment to a later one, -1 when that cannot be told: a moment that never
 * was, or, across runs of the daemon, a clock that was set back.
 */
static inline int64_t witness_time_between(const struct witness_time *from,
					   const struct witness_time *to)
{
	bool mono = from->run == to->run;
	uint64_t a = mono ? from->mono_ms : from->utc_ms, b = mono ? to->mono_ms : to->utc_ms;

	return witness_time_is(from) && witness_time_is(to) && a <= b ? (int64_t)(b - a) : -1;
}

enum witness_event_kind {
	WITNESS_EV_START, /* the daemon has started: pr.after is what it found stored, NULL: it
			   * cannot be read */
	WITNESS_EV_LOGIN, /* of nexus `who` */
	WITNESS_EV_LOGOUT,
	WITNESS_EV_PR,	    /* a PERSISTENT RESERVE OUT ended, or the administrator's change */
	WITNESS_EV_LOOK,    /* a PERSISTENT RESERVE IN ended GOOD */
	WITNESS_EV_IO,	    /* a READ or WRITE ended GOOD */
	WITNESS_EV_LATENCY, /* of commands, summed up */
	WITNESS_EV_SPACE,   /* how full a file system is that the witness stands on */
	WITNESS_EV_JOURNAL, /* how many entries the journal could not keep */
	WITNESS_EV_BLIND,   /* some I/O was not looked at: there was too much (who: of this one) */
	WITNESS_EV_TICK,    /* nothing; time goes by (about once a second) */
	WITNESS_EV_STOP,    /* the daemon ends: what was to be told later is told now */
};

enum witness_space { WITNESS_SPACE_STORE, WITNESS_SPACE_STATE, WITNESS_SPACES };

struct witness_event {
	enum witness_event_kind kind;
	uint64_t utc_ms, mono_ms;
	const struct nexus *who; /* PR: NULL is the administrator */
	union {
		struct {
			bool clean; /* logged out; else the connection broke */
		} logout;
		struct {
			uint8_t sa;	/* service action; LOOK: of PERSISTENT RESERVE IN */
			uint8_t status; /* enum scsi_status */
			uint64_t key, sa_key;
			const struct pr_state *before, *after; /* the same when nothing changed */
		} pr;
		struct {
			bool write;
			uint64_t off; /* bytes */
			uint32_t len; /* bytes */
		} io;
		struct {
			uint32_t n, max_us;
			uint64_t sum_us;
		} latency;
		struct {
			enum witness_space which;
			uint64_t free, size; /* bytes */
		} space;
		struct {
			uint64_t lost; /* entries that are not in it and not made good for */
		} journal;
	};
};

#endif
