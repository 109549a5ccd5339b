/* SPDX-License-Identifier: Apache-2.0 */
#include "target/config_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "scsi/limits.h"

/* ctype.h depends on the locale; these do not. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool text_bool(const char *text, bool *value)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "on", true },	    { "off", false }, { "true", true },
		{ "false", false }, { "yes", true },  { "no", false },
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(text, words[i].word)) {
			*value = words[i].value;
			return true;
		}
	}
	return false;
}

/* Digits from text on; *end is what follows them. */
static bool text_digits(const char *text, const char **end, uint64_t *value)
{
	uint64_t v = 0;
	const char *p = text;

	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (p == text || (text[0] == '0' && p > text + 1))
		return false;
	*end = p;
	*value = v;
	return true;
}

bool text_number(const char *text, uint64_t *value)
{
	const char *end;

	return text_digits(text, &end, value) && !*end;
}

bool text_size(const char *text, uint64_t *value)
{
	static const char units[] = "KMGT";
	const char *end, *unit;

	if (!text_digits(text, &end, value))
		return false;
	if (!*end)
		return true;
	unit = strchr(units, *end);
	if (!unit || end[1])
		return false;
	return !__builtin_mul_overflow(*value, (uint64_t)1 << 10 * (unit - units + 1), value);
}

bool text_hex(const char *text, uint8_t *bytes)
{
	for (; text[0]; text += 2) {
		int high = hex_value(text[0]), low = high < 0 ? -1 : hex_value(text[1]);

		if (low < 0)
			return false;
		*bytes++ = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool text_uuid(const char *text, uint8_t uuid[16])
{
	unsigned n = 0;

	if (strlen(text) != 36)
		return false;
	for (unsigned i = 0; i < 36; i++) {
		int v = hex_value(text[i]);

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (v < 0)
			return false;
		uuid[n / 2] = (uint8_t)(n % 2 ? uuid[n / 2] | v : v << 4);
		n++;
	}
	return true;
}

bool text_listen(const char *text, char host[TEXT_HOST_MAX], uint16_t *port)
{
	uint8_t addr[sizeof(struct in6_addr)];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	int family = AF_INET;
	uint64_t number;

	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		family = AF_INET6;
		text++;
		len -= 2;
	}
	if (!len || len >= TEXT_HOST_MAX || !text_number(colon + 1, &number) || number < 1 ||
	    number > 65535)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(family, host, addr) != 1)
		return false;
	inet_ntop(family, addr, host, TEXT_HOST_MAX);
	*port = (uint16_t)number;
	return true;
}

bool text_is_listen(const char *text, char *why, size_t size)
{
	char host[TEXT_HOST_MAX];
	uint16_t port;

	return text_listen(text, host, &port);
}

bool text_is_name(const char *text, char *why, size_t size)
{
	for (const char *p = text; *p; p++)
		if (!is_lower(*p) && !is_upper(*p) && !is_digit(*p) &&
		    (p == text || !strchr("._-", *p)))
			return false;
	return *text;
}

/* If there are capitals in text, says so with the form without them. */
static bool text_has_upper(const char *text, const char *what, char *why, size_t size)
{
	char lower[ISCSI_NAME_MAX + 1];
	bool found = false;
	size_t n;

	for (n = 0; text[n] && n < sizeof(lower) - 1; n++) {
		found |= is_upper(text[n]);
		lower[n] = (char)(is_upper(text[n]) ? text[n] - 'A' + 'a' : text[n]);
	}
	lower[n] = '\0';
	if (found)
		snprintf(why, size, "has upper-case letters; %s are compared in lower case: %s",
			 what, lower);
	return found;
}

static bool text_is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (hex_value(text[i]) < 0)
			return false;
	return !text[len];
}

/* "2026-11.com.example" and perhaps ":" and anything: RFC 7143 4.2.7.4. */
static bool text_is_iqn_rest(const char *text, char *why, size_t size)
{
	unsigned month;

	for (unsigned i = 0; i < 7; i++)
		if (i == 4 ? text[i] != '-' : !is_digit(text[i]))
			return false;
	month = (unsigned)(text[5] - '0') * 10 + (unsigned)(text[6] - '0');
	if (month < 1 || month > 12) {
		snprintf(why, size, "has no month %02u", month);
		return false;
	}
	return text[7] == '.' && (is_lower(text[8]) || is_digit(text[8]));
}

bool text_is_iscsi_name(const char *text, char *why, size_t size)
{
	if (text_has_upper(text, "iSCSI names", why, size))
		return false;
	for (const char *p = text; *p; p++) {
		if (is_lower(*p) || is_digit(*p) || strchr(".:-", *p))
			continue;
		snprintf(why, size, "has a character other than a-z, 0-9, '.', ':' and '-'");
		return false;
	}
	if (!strncmp(text, "iqn.", 4))
		return text_is_iqn_rest(text + 4, why, size);
	if (!strncmp(text, "eui.", 4))
		return strlen(text) == 20 && text_is_hex(text + 4, 16);
	if (!strncmp(text, "naa.", 4))
		return (strlen(text) == 20 && text_is_hex(text + 4, 16)) ||
		       (strlen(text) == 36 && text_is_hex(text + 4, 32));
	return false;
}

bool text_is_pattern(const char *text, char *why, size_t size)
{
	return *text && !text_has_upper(text, "initiator names", why, size);
}

bool text_is_ascii(const char *text, char *why, size_t size)
{
	for (const char *p = text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			return false;
	return *text && *text != ' ' && text[strlen(text) - 1] != ' ';
}

bool text_is_naa(const char *text, char *why, size_t size)
{
	size_t len = strlen(text);

	return (len == 32 && text[0] == '6' && text_is_hex(text, len)) ||
	       (len == 16 && strchr("235", text[0]) && text_is_hex(text, len));
}
