/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scalars of the configuration: text to value, and whether text is what it should be. Pure; any
 * thread. Nothing here accepts a part of a text: all of it is the value or none.
 */
#ifndef TARGET_CONFIG_TEXT_H
#define TARGET_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* true/false, on/off, yes/no, in lower case. */
bool text_bool(const char *text, bool *value);

/*
 * Decimal digits without sign or leading zero (010 is 8 to some readers of YAML and 10 to others);
 * false also when over 64 bits.
 */
bool text_number(const char *text, uint64_t *value);

/* The same in bytes, with one of K M G T after it (powers of 1024). */
bool text_size(const char *text, uint64_t *value);

/* The 36 characters of RFC 4122 section 3, either case. */
bool text_uuid(const char *text, uint8_t uuid[16]);

/* Hexadecimal digits, either case, to bytes; false when there are others, or not pairs. */
bool text_hex(const char *text, uint8_t *bytes);

enum { TEXT_HOST_MAX = 64 };
/*
 * "192.0.2.1:3260" or "[2001:db8::1]:3260"; host gets the address as inet_ntop(3) writes it,
 * without brackets.
 */
bool text_listen(const char *text, char host[TEXT_HOST_MAX], uint16_t *port);

/*
 * Checks (schema_check): true, or false with what is wrong in why ("" when there is nothing more to
 * say than that it is not what was expected).
 */
bool text_is_name(const char *text, char *why, size_t size);
bool text_is_listen(const char *text, char *why, size_t size);
/* RFC 7143 4.2.7, in lower case as 4.2.7.2 (RFC 3722) normalises it. */
bool text_is_iscsi_name(const char *text, char *why, size_t size);
/* Printable ASCII, blanks inside only. */
bool text_is_ascii(const char *text, char *why, size_t size);
/* An NAA identifier of a format that LUs have (SPC-4 7.8.6.6: 2h, 3h, 5h, 6h). */
bool text_is_naa(const char *text, char *why, size_t size);
/* A shell pattern for initiator names, which are lower-cased before they are compared. */
bool text_is_pattern(const char *text, char *why, size_t size);

#endif
