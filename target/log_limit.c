/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "target/log_limit.h"

enum {
	TS_AT = 3,			/* behind "ts=" */
	TAIL_MAX = 80,			/* " times=N last=TS\n" */
};

void log_limit_init(struct log_limit *l)
{
	memset(l->series, 0, sizeof(l->series));
	l->next_ms = UINT64_MAX;
}

/* The series of this hash among n; else one that nobody has, or has used for long; else NULL. */
static struct log_series *series_get(struct log_series *all, unsigned n, uint64_t hash,
				     uint64_t now_ms)
{
	struct log_series *room = NULL;

	for (unsigned i = 0; i < n; i++) {
		struct log_series *s = &all[i];

		if (s->hash == hash)
			return s;
		if (!room && (!s->hash || (!s->times && now_ms >= s->due_ms + LOG_WAIT_MAX_MS)))
			room = s;
	}
	if (room)
		*room = (struct log_series){ .hash = hash };
	return room;
}

bool log_limit_take(struct log_limit *l, struct log_key key, uint64_t now_ms, const char *line,
		    uint32_t len)
{
	struct log_series *s = series_get(l->series, LOG_SUBJECTS, key.series, now_ms);

	assert(key.series && key.event && len > TS_AT + LOG_TS && len <= LOG_LINE_MAX);
	if (!s)
		s = series_get(l->series + LOG_SUBJECTS, LOG_EVENTS, key.event, now_ms);
	if (!s)
		return true;
	if (!s->times && now_ms >= s->due_ms)
		s->told = 0;
	if (s->told < LOG_AT_ONCE) {
		s->told++;
		s->wait_ms = LOG_WAIT_MS;
		s->due_ms = now_ms + s->wait_ms;
		return true;
	}
	s->times++;
	s->len = len;
	memcpy(l->kept[s - l->series], line, len);
	if (s->due_ms < l->next_ms)
		l->next_ms = s->due_ms;
	return false;
}

static uint32_t kept_write(const struct log_series *s, const char *line, const char *ts, char *out)
{
	uint32_t n = s->len - 1;	/* without its newline */
	int tail;

	if (n > LOG_LINE_MAX - TAIL_MAX)
		n = LOG_LINE_MAX - TAIL_MAX;
	memcpy(out, line, n);
	memcpy(out + TS_AT, ts, LOG_TS);
	tail = snprintf(out + n, TAIL_MAX, " times=%" PRIu64 " last=%.*s\n", s->times, LOG_TS,
			line + TS_AT);
	assert(tail > 0 && tail < TAIL_MAX);
	return n + (uint32_t)tail;
}

uint32_t log_limit_due(struct log_limit *l, uint64_t now_ms, const char *ts, char *out)
{
	struct log_series *due = NULL;
	uint32_t len;

	if (now_ms < l->next_ms)
		return 0;
	l->next_ms = UINT64_MAX;
	for (unsigned i = 0; i < LOG_SERIES; i++) {
		struct log_series *s = &l->series[i];

		if (!s->times)
			continue;
		if (!due && s->due_ms <= now_ms)
			due = s;
		else if (s->due_ms < l->next_ms)
			l->next_ms = s->due_ms;
	}
	if (!due)
		return 0;
	len = kept_write(due, l->kept[due - l->series], ts, out);
	due->times = 0;
	due->wait_ms = due->wait_ms < LOG_WAIT_MAX_MS ? 2 * due->wait_ms : LOG_WAIT_MAX_MS;
	due->due_ms = now_ms + due->wait_ms;
	return len;
}

uint64_t log_limit_next(const struct log_limit *l)
{
	return l->next_ms;
}
