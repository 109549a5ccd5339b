/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/log.h"
#include "target/log_limit.h"
#include "target/mailbox.h"

enum {
	LOG_SLOTS = 1024, /* lines on their way to the logger */
	LOG_BATCH =
		4096, /* bytes per write(2): PIPE_BUF, so lines of several processes do not mix */
	LOG_STOP_MS = 1000, /* how long log_thread_stop() waits for a reader that does not read */
};

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static int log_level = LOG_LEVEL_INFO;	/* atomic */
static int log_fd = 2;

/*
 * The ring is made once and kept: a thread that is not ours may log until the very end. `logger_on`
 * says whether somebody reads it.
 */
static struct slots ring;
static bool logger_on;			/* atomic */
static bool logger_stop;		/* atomic */
static pthread_t logger;
static struct log_limit limit;		/* the logger's */

void log_init(enum log_level level)
{
	__atomic_store_n(&log_level, (int)level, __ATOMIC_RELAXED);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= __atomic_load_n(&log_level, __ATOMIC_RELAXED);
}

int log_level_parse(const char *s)
{
	for (int i = 0; i <= LOG_LEVEL_DEBUG; i++)
		if (!strcmp(s, level_names[i]))
			return i;
	return -1;
}

const char *log_level_name(enum log_level level)
{
	assert((unsigned)level <= LOG_LEVEL_DEBUG);
	return level_names[level];
}

void log_set_fd(int fd)
{
	assert(!__atomic_load_n(&logger_on, __ATOMIC_RELAXED));
	log_fd = fd;
}

/* ---- one line ------------------------------------------------------------------------------- */

/*
 * "2026-11-21T23:04:57" of a second in UTC. gmtime_r() takes the lock of the time zone; this is
 * called on reactors. Days are counted in years that begin in March, so that the leap day is their
 * last.
 */
static void log_date(char out[20], int64_t seconds)
{
	int64_t days = seconds / 86400 + 719468;	/* since 0000-03-01 */
	unsigned second = (unsigned)(seconds % 86400);
	int64_t era = days / 146097;			/* 400 years */
	unsigned day = (unsigned)(days % 146097);
	unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	unsigned of_year = day - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153;	/* 0: March */
	unsigned of_month = of_year - (153 * month + 2) / 5 + 1;

	year += (unsigned)(era * 400) + (month >= 10);
	month = month >= 10 ? month - 9 : month + 3;
	snprintf(out, 20, "%04u-%02u-%02uT%02u:%02u:%02u", year % 10000, month % 100,
		 of_month % 100, second / 3600 % 100, second / 60 % 60, second % 60);
}

/* The time, LOG_TS characters. */
static void log_now(char out[LOG_TS + 1])
{
	static __thread int64_t stamp_second = -1;
	static __thread char stamp[20];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec < 0)
		now.tv_sec = 0;
	if (now.tv_sec != stamp_second) {
		stamp_second = now.tv_sec;
		log_date(stamp, now.tv_sec);
	}
	snprintf(out, LOG_TS + 1, "%s.%03uZ", stamp, (unsigned)(now.tv_nsec / 1000000) % 1000);
}

/* A whole line, with its newline, into buf of LOG_LINE_MAX bytes. Its length. */
static uint32_t log_vformat(char *buf, enum log_level level, const char *fmt, va_list args)
{
	char ts[LOG_TS + 1];
	size_t n, end;
	int more;

	log_now(ts);
	n = (size_t)snprintf(buf, LOG_LINE_MAX, "ts=%s level=%s ", ts, log_level_name(level));
	more = vsnprintf(buf + n, LOG_LINE_MAX - n, fmt, args);
	end = n + (more > 0 ? (size_t)more : 0);
	if (end > LOG_LINE_MAX - 1) {
		end = LOG_LINE_MAX - 1;
		memcpy(buf + end - 3, "...", 3);
	}
	for (size_t i = n; i < end; i++)
		if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7f)
			buf[i] = '?';
	buf[end] = '\n';
	return (uint32_t)end + 1;
}

__attribute__((format(printf, 3, 4)))
static uint32_t log_format(char *buf, enum log_level level, const char *fmt, ...)
{
	va_list args;
	uint32_t n;

	va_start(args, fmt);
	n = log_vformat(buf, level, fmt, args);
	va_end(args);
	return n;
}

/*
 * All of it, unless the reader goes away, or has not read for LOG_STOP_MS since the logger was told
 * to stop; *stop_waited counts these (NULL: wait for ever).
 */
static void log_write(const char *buf, size_t len, int *stop_waited)
{
	while (len) {
		struct pollfd p = { .fd = log_fd, .events = POLLOUT };
		bool over = stop_waited && *stop_waited >= LOG_STOP_MS;
		ssize_t n;

		if (poll(&p, 1, over ? 0 : 100) == 0) {
			if (over)
				return;
			if (stop_waited && __atomic_load_n(&logger_stop, __ATOMIC_RELAXED))
				*stop_waited += 100;
			continue;
		}
		n = write(log_fd, buf, len);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
}

/* What a slot of the ring holds: the line behind the key of its series (0: it is of none). */
struct log_record {
	struct log_key key;
	char line[LOG_LINE_MAX];
};

static void log_put(enum log_level level, struct log_key key, const char *fmt, va_list args)
{
	int saved = errno;

	if (__atomic_load_n(&logger_on, __ATOMIC_ACQUIRE)) {
		struct slot *slot = slots_claim(&ring);

		if (slot) {
			memcpy(slot->data + offsetof(struct log_record, key), &key, sizeof(key));
			slot->len = log_vformat(slot->data + offsetof(struct log_record, line),
						level, fmt, args);
			slots_commit(&ring, slot);
		}
	} else {
		char buf[LOG_LINE_MAX];

		log_write(buf, log_vformat(buf, level, fmt, args), NULL);
	}
	errno = saved;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	log_put(level, (struct log_key){ 0 }, fmt, args);
	va_end(args);
}

/* FNV-1a of n bytes and of their end. Never 0. */
static uint64_t hash_add(uint64_t hash, const char *s, size_t n)
{
	const uint64_t prime = 0x100000001b3;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)s[i]) * prime;
	hash = (hash ^ 0x100) * prime;
	return hash ? hash : 1;
}

static uint64_t hash_text(uint64_t hash, const char *s)
{
	return hash_add(hash, s ? s : "", s ? strlen(s) : 0);
}

void log_line_about(enum log_level level, const struct log_about *about, const char *fmt, ...)
{
	const char *port = about->peer ? strrchr(about->peer, ':') : NULL;
	struct log_key key;
	va_list args;

	if (!log_enabled(level))
		return;
	key.event = hash_add(0xcbf29ce484222325, fmt, strcspn(fmt, " "));
	key.series = hash_add(key.event, about->peer, port ? (size_t)(port - about->peer) : 0);
	key.series = hash_text(key.series, about->initiator);
	key.series = hash_text(key.series, about->target);
	key.series = hash_text(key.series, about->why);
	va_start(args, fmt);
	log_put(level, key, fmt, args);
	va_end(args);
}

void log_last_words(const char *fmt, ...)
{
	char buf[LOG_LINE_MAX];
	struct pollfd p = { .fd = log_fd, .events = POLLOUT };
	va_list args;
	uint32_t n;

	va_start(args, fmt);
	n = log_vformat(buf, LOG_LEVEL_ERROR, fmt, args);
	va_end(args);
	if (poll(&p, 1, 100) > 0 && write(log_fd, buf, n) < 0)
		return;
}

/* ---- values --------------------------------------------------------------------------------- */

static bool log_plain(unsigned char c)
{
	return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* One character, escaped, into out (4 bytes at most). */
static unsigned log_escape(char out[4], unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char letter = 0;

	if (c == '"' || c == '\\')
		letter = (char)c;
	else if (c == '\n')
		letter = 'n';
	else if (c == '\t')
		letter = 't';
	else if (c >= 0x20 && c < 0x7f) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = letter ? letter : 'x';
	if (letter)
		return 2;
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

const char *log_quote_n(char *buf, size_t size, const void *s, size_t n)
{
	const unsigned char *p = s;
	bool plain = n > 0;
	size_t at = 0;

	assert(size >= 4);
	for (size_t i = 0; plain && i < n; i++)
		plain = log_plain(p[i]);
	if (plain) {
		if (n > size - 1)
			n = size - 1;
		memcpy(buf, p, n);
		buf[n] = '\0';
		return buf;
	}
	buf[at++] = '"';
	for (size_t i = 0; i < n; i++) {
		char esc[4];
		unsigned len = log_escape(esc, p[i]);

		if (at + len + 2 > size)	/* the closing quote and NUL */
			break;
		memcpy(buf + at, esc, len);
		at += len;
	}
	buf[at++] = '"';
	buf[at] = '\0';
	return buf;
}

const char *log_quote(char *buf, size_t size, const char *s)
{
	return log_quote_n(buf, size, s ? s : "", s ? strlen(s) : 0);
}

uint64_t log_dropped(void)
{
	return slots_dropped(&ring);
}

/* ---- the logger ----------------------------------------------------------------------------- */

static uint64_t logger_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What is in the ring and to be written, up to a batch. The bytes. */
static size_t logger_collect(char *batch)
{
	struct slot *slot;
	size_t n = 0;

	while (n + LOG_LINE_MAX <= LOG_BATCH && (slot = slots_peek(&ring))) {
		const char *line = slot->data + offsetof(struct log_record, line);
		struct log_key key;

		memcpy(&key, slot->data + offsetof(struct log_record, key), sizeof(key));
		if (!key.series || log_limit_take(&limit, key, logger_ms(), line, slot->len)) {
			memcpy(batch + n, line, slot->len);
			n += slot->len;
		}
		slots_release(&ring, slot);
	}
	return n;
}

/* What was kept and is due by then, up to a batch. The bytes. */
static size_t logger_due(char *batch, uint64_t ms)
{
	char ts[LOG_TS + 1];
	size_t n = 0, len;

	if (ms < log_limit_next(&limit))
		return 0;
	log_now(ts);
	while (n + LOG_LINE_MAX <= LOG_BATCH &&
	       (len = log_limit_due(&limit, ms, ts, batch + n)))
		n += len;
	return n;
}

/* Sleeps until there is something in the ring, or what was kept is due. */
static void logger_sleep(void)
{
	uint64_t now = logger_ms(), due = log_limit_next(&limit);

	doorbell_doze(&ring.bell);
	if (slots_peek(&ring) || __atomic_load_n(&logger_stop, __ATOMIC_ACQUIRE))
		doorbell_awake(&ring.bell);
	else if (due == UINT64_MAX)
		doorbell_sleep(&ring.bell);
	else
		doorbell_nap(&ring.bell, due > now ? (int)(due - now) : 0);
}

static size_t logger_dropped(char *batch)
{
	static uint64_t told;		/* there is one logger at a time */
	uint64_t dropped = log_dropped(), n = dropped - told;

	told = dropped;
	return n ? log_format(batch, LOG_LEVEL_WARN, "event=log_dropped lines=%llu",
			      (unsigned long long)n)
		 : 0;
}

static void *logger_main(void *arg)
{
	char batch[LOG_BATCH];
	int stop_waited = 0;
	size_t n;

	for (;;) {
		/* At the end what is due later is written, too: nobody else knows of it. */
		bool last = __atomic_load_n(&logger_stop, __ATOMIC_ACQUIRE);

		n = logger_collect(batch);
		if (!n)
			n = logger_dropped(batch);
		if (!n)
			n = logger_due(batch, last ? log_limit_next(&limit) : logger_ms());
		if (n)
			log_write(batch, n, &stop_waited);
		else if (last)
			return NULL;
		else
			logger_sleep();
	}
}

int log_thread_start(void)
{
	int err;

	assert(!__atomic_load_n(&logger_on, __ATOMIC_RELAXED));
	if (!ring.mem) {
		err = slots_init(&ring, LOG_SLOTS, sizeof(struct log_record));
		if (err)
			return err;
	}
	log_limit_init(&limit);
	__atomic_store_n(&logger_stop, false, __ATOMIC_RELAXED);
	err = pthread_create(&logger, NULL, logger_main, NULL);
	if (err)
		return -err;
	pthread_setname_np(logger, "hf-log");
	__atomic_store_n(&logger_on, true, __ATOMIC_RELEASE);
	return 0;
}

static bool logger_end(void)
{
	if (!__atomic_load_n(&logger_on, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&logger_on, false, __ATOMIC_RELEASE);
	__atomic_store_n(&logger_stop, true, __ATOMIC_RELEASE);
	doorbell_ring(&ring.bell);
	return true;
}

void log_thread_leave(void)
{
	struct timespec until;

	if (!logger_end())
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOG_STOP_MS / 1000;
	pthread_clockjoin_np(logger, NULL, CLOCK_MONOTONIC, &until);
}

void log_thread_stop(void)
{
	if (!logger_end())
		return;
	pthread_join(logger, NULL);
	__atomic_store_n(&logger_stop, false, __ATOMIC_RELAXED);
}
