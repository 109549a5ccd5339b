/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging: one line per event, key=value, on stderr.
 *
 *	ts=2026-11-21T23:04:57.123Z level=info event=login conn=7 ini=iqn.2026-01.org.example:a
 *
 * The caller gives what follows level=. A line never blocks a reactor: there it is put on its way
 *to the logger thread and dropped (and counted) when that one is too far behind. Other threads
 *write directly until the logger runs, and through it afterwards.
 *
 * Any function here may be called on any thread unless it says otherwise. None of them changes
 *errno.
 */
#ifndef TARGET_LOG_H
#define TARGET_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Longest line including ts=, level= and the newline, bytes; what is longer is cut off. */
enum { LOG_LINE_MAX = 1024 };

/* What is less important than level is left out. May be called again (reload). */
void log_init(enum log_level level);

/* Would a line of this level be written? For lines that are costly to prepare. */
bool log_enabled(enum log_level level);

/*
 * One line, without newline; control characters in it are replaced by '?'. Strings that come from
 * outside (names, parameters, paths) go through log_quote().
 */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_at(lvl, ...) do { if (log_enabled(lvl)) log_line(lvl, __VA_ARGS__); } while (0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* The same, written directly whatever the state of the logger, waiting 100 ms at most: for the line
 * before abort(). */
void log_last_words(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A value fit for key=value: s as it is when it is not empty and has only printable characters
 * other than blank, '=',
 * '"' and '\'; else in double quotes, with \" \\ \n \t \xHH. Cut off to fit size bytes (size >= 4).
 * NULL gives
 * "". Returns buf.
 */
const char *log_quote(char *buf, size_t size, const char *s);
const char *log_quote_n(char *buf, size_t size, const void *s,
			size_t n); /* n bytes, which may hold NUL */

/* log_info("event=open path=%s", LOG_Q(path)): the buffer lives to the end of the enclosing block.
 */
#define LOG_Q(s) log_quote((char[256]){ 0 }, 256, (s))

/* "error", "warn", "info", "debug" -> level; -1 for anything else. */
int log_level_parse(const char *s);
const char *log_level_name(enum log_level level);

/*
 * A line about what may happen again and again, at its initiator's pace: see log_limit.h. It is of
 * the same series as others with the same event (the first word of fmt) about the same subject. Any
 * of these may be NULL. Until the logger runs every line is written.
 */
struct log_about {
	const char *peer;		/* HOST:PORT; the port makes no difference */
	const char *initiator, *target, *why;
};
void log_line_about(enum log_level level, const struct log_about *about, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* log_about(LOG_LEVEL_WARN, (.peer = c->peer, .why = why), "event=...", ...) */
#define LOG_ABOUT_UNWRAP(...) &(const struct log_about){ __VA_ARGS__ }
#define log_about(lvl, subject, ...) \
	do { \
		if (log_enabled(lvl)) \
			log_line_about(lvl, LOG_ABOUT_UNWRAP subject, __VA_ARGS__); \
	} while (0)

/* Lines dropped because the logger was behind, since the start. */
uint64_t log_dropped(void);

/*
 * The logger thread. reactors_start() and reactors_stop() do this; main thread. Starting twice is
 * an error of the program. log_thread_stop() writes out what is queued. Returns 0 or -errno.
 */
int log_thread_start(void);
void log_thread_stop(void);
/* The same before _exit(): for a second at most, also when what it writes to stands still. */
void log_thread_leave(void);

/* Where lines go; 2 by default. For tests; before log_thread_start(). */
void log_set_fd(int fd);

#endif
