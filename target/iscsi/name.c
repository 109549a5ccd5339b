/* SPDX-License-Identifier: Apache-2.0 */
/* iSCSI names and who may use which target. */
#include "target/iscsi/name.h"

#include <string.h>
#include <strings.h>

/* ASCII only: the locale must not decide what a name is. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'f');
}

/*
 * Length of the well-formed UTF-8 sequence at s (2..4), or 0 (RFC 3629: no overlong forms, no
 * surrogates).
 */
static unsigned utf8_len(const unsigned char *s)
{
	unsigned n = 0;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)))
		return 0;
	if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)))
		return 0;
	return n;
}

/*
 * iqn.: letters, digits, '-', '.', ':' and UTF-8 (RFC 7143 4.2.7.2); commas and blanks would break
 * SCSI name strings.
 */
static bool iqn_valid(const char *s)
{
	unsigned n;

	if (!*s)
		return false;
	while (*s) {
		if ((unsigned char)*s < 0x80) {
			if (!is_alnum(*s) && !strchr("-.:_", *s))
				return false;
			s++;
			continue;
		}
		n = utf8_len((const unsigned char *)s);
		if (!n)
			return false;
		s += n;
	}
	return true;
}

static bool hex_valid(const char *s, size_t len, size_t longer)
{
	size_t n = strlen(s);

	if (n != len && n != longer)
		return false;
	for (; *s; s++)
		if (!is_hex(*s))
			return false;
	return true;
}

bool name_normalize(const char *in, char out[ISCSI_NAME_MAX + 1])
{
	size_t n = strlen(in);
	bool ok = false;

	if (n > ISCSI_NAME_MAX)
		return false;
	if (!strncasecmp(in, "iqn.", 4))
		ok = iqn_valid(in + 4);
	else if (!strncasecmp(in, "eui.", 4))
		ok = hex_valid(in + 4, 16, 16); /* 4.2.7.4 */
	else if (!strncasecmp(in, "naa.", 4))
		ok = hex_valid(in + 4, 16, 32); /* 4.2.7.5 */
	if (!ok)
		return false;
	for (size_t i = 0; i <= n; i++)
		out[i] = lower(in[i]);
	return true;
}

/*
 * The set at p (after '['): *end is behind its ']', or NULL when it has none and '[' stands for
 * itself.
 */
static bool set_match(const char *p, char c, const char **end)
{
	bool negated = *p == '!' || *p == '^', in = false, first = true;

	c = lower(c);
	if (negated)
		p++;
	for (; *p && (*p != ']' || first); first = false) {
		char lo = lower(*p++), hi = lo;

		if (*p == '-' && p[1] && p[1] != ']') {
			hi = lower(p[1]);
			p += 2;
		}
		if (c >= lo && c <= hi)
			in = true;
	}
	*end = *p == ']' ? p + 1 : NULL;
	return in != negated;
}

/* One pattern element against one character; *next: the pattern behind it. */
static bool one_match(const char *p, char c, const char **next)
{
	const char *end;
	bool in;

	*next = p + 1;
	if (*p == '?')
		return true;
	if (*p == '[') {
		in = set_match(p + 1, c, &end);
		if (end) {
			*next = end;
			return in;
		}
	}
	if (*p == '\\' && p[1]) {
		p++;
		*next = p + 1;
	}
	return lower(*p) == lower(c);
}

bool name_match(const char *pattern, const char *name)
{
	const char *star = NULL, *again = NULL, *next;

	while (*name) {
		if (*pattern == '*') {
			/* Only the last '*' ever needs to be tried again: hence no recursion. */
			star = ++pattern;
			again = name;
		} else if (*pattern && one_match(pattern, *name, &next)) {
			pattern = next;
			name++;
		} else if (star) {
			pattern = star;
			name = ++again;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

bool name_admitted(const struct login_target *t, const char *initiator)
{
	for (unsigned i = 0; i < t->ninitiators; i++)
		if (name_match(t->initiators[i], initiator))
			return true;
	return t->ninitiators == 0;
}

int name_find_target(const struct login_env *env, const char *name)
{
	for (unsigned i = 0; i < env->ntargets; i++)
		if (!strcasecmp(env->targets[i].name, name))
			return (int)i;
	return -1;
}
