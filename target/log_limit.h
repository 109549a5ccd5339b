/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What repeats itself in the log: a host with a wrong password that tries again for days, sixty
 * four of them after a mistyped line, must neither fill the disk nor hide the other lines. Lines of
 * one kind about one subject are a series. The first few of it are written at once; from then on
 * the latest is written a minute later, two minutes after that and so on, with how often it
 * happened in between. A series that has been quiet for as long as it waited begins anew.
 *
 * Pure: no clock, no allocation, no lock; the logger's thread has the one there is. Times are
 * milliseconds of any clock that only goes forward.
 */
#ifndef TARGET_LOG_LIMIT_H
#define TARGET_LOG_LIMIT_H

#include "target/log.h"

enum {
	LOG_AT_ONCE = 8,	/* lines of a series, before it has to wait */
	LOG_WAIT_MS = 60000,	/* at first; then twice as long each time */
	LOG_WAIT_MAX_MS = 16 * LOG_WAIT_MS,
	LOG_SUBJECTS = 512,
	LOG_EVENTS = 16,	/* see log_limit_take() */
	LOG_SERIES = LOG_SUBJECTS + LOG_EVENTS,
	LOG_TS = 24,		/* bytes of 2026-11-21T23:04:57.123Z */
};

/* Which series a line belongs to. */
struct log_key {
	uint64_t series, event;		/* hashes of all that tells it apart, of the event alone */
};

struct log_limit {
	struct log_series {
		uint64_t hash;		/* 0: never used */
		uint64_t due_ms;	/* what is kept is written then; nothing kept: it is over */
		uint64_t times;		/* since the last line */
		uint32_t wait_ms;
		uint32_t told;		/* lines at once */
		uint32_t len;		/* of the line kept */
	} series[LOG_SERIES];
	uint64_t next_ms;		/* the first due_ms of those that keep something */
	char kept[LOG_SERIES][LOG_LINE_MAX];
};

void log_limit_init(struct log_limit *l);

/*
 * Whether this line (whole, as in log.h, at most LOG_LINE_MAX bytes) is to be written now. If not
 * it is kept, in place of the one before it, and counted. When there are more subjects than places
 * those without one share a series per event.
 */
bool log_limit_take(struct log_limit *l, struct log_key key, uint64_t now_ms, const char *line,
		    uint32_t len);

/*
 * The next line that was kept and is due, into out (LOG_LINE_MAX bytes), with the time ts of LOG_TS
 * bytes and at its end how often it happened since the line before, and when the last time. Its
 * length; 0: none is due.
 */
uint32_t log_limit_due(struct log_limit *l, uint64_t now_ms, const char *ts, char *out);

/* When the next is due; UINT64_MAX: nothing is kept. */
uint64_t log_limit_next(const struct log_limit *l);

#endif
