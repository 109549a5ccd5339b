/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the control socket: a line of JSON in, an object out.
 *
 *	{"cmd": "pr show", "lun": "iqn.2026-11.com.example:cluster1/0"}
 *	{"ok": true, "result": {...}}
 *	{"ok": false, "code": "not_found", "error": "what was expected", "hint": "what to do"}
 *
 * All of it on the control thread.
 */
#ifndef TARGET_CONTROL_CMD_H
#define TARGET_CONTROL_CMD_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/socket.h>

struct control_change;

/* Once, before the first command. wake: an eventfd to be written when a change ended; stays open.
 */
void control_cmd_init(int wake);

/*
 * One request. Gives the answer (the caller's), or NULL when it waits for a LU: then *change is
 * what to call control_cmd_end() with once control_cmd_ended() says so, or the time is up. who: the
 * peer, for the log.
 */
json_t *control_cmd_begin(const char *line, size_t len, const struct ucred *who,
			  struct control_change **change);
bool control_cmd_ended(const struct control_change *c);
/* The answer; c is gone. Before its end: it will be made nevertheless, and the answer says so. */
json_t *control_cmd_end(struct control_change *c);
/* Nobody waits for the answer any more. */
void control_cmd_abandon(struct control_change *c);

/* {"ok": false, ...}; hint may be NULL. */
json_t *control_error(const char *code, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Splits "TARGET/LUN": the LUN is a decimal number after the last slash. False when there is no
 * slash or no number (text may then be a LUN's name). name_len: bytes of TARGET.
 */
bool control_lun_parse(const char *text, size_t *name_len, unsigned *lun);

#endif
