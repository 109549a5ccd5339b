/* SPDX-License-Identifier: Apache-2.0 */
#include "target/cli_table.h"

#include <stdlib.h>
#include <string.h>

json_t *cli_at(json_t *row, const char *path)
{
	char word[64];

	while (path && row) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(word))
			return NULL;
		memcpy(word, path, n);
		word[n] = 0;
		row = json_object_get(row, word);
		path = path[n] ? path + n + 1 : NULL;
	}
	return row;
}

/* ---- one value ------------------------------------------------------------------------------- */

const char *cli_size(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "\0KMGTPE";
	uint64_t unit = 1;
	unsigned u = 0;

	while (u < 6 && bytes / unit >= 1024) {
		unit *= 1024;
		u++;
	}
	if (bytes % unit == 0)
		snprintf(buf, size, "%llu%.1s", (unsigned long long)(bytes / unit), &units[u]);
	else
		snprintf(buf, size, "%.1f%.1s", (double)bytes / (double)unit, &units[u]);
	return buf;
}

const char *cli_duration(uint64_t s, char *buf, size_t size)
{
	unsigned long long d = s / 86400;
	unsigned h = (unsigned)(s / 3600 % 24), m = (unsigned)(s / 60 % 60),
		 sec = (unsigned)(s % 60);

	if (d)
		snprintf(buf, size, "%llud %02u:%02u:%02u", d, h, m, sec);
	else
		snprintf(buf, size, "%02u:%02u:%02u", h, m, sec);
	return buf;
}

/* Names come from initiators: nothing of them is a terminal's command. Cut at a whole UTF-8
 * character. */
static void put_clean(const char *s, char *buf, size_t size)
{
	size_t n = 0;

	for (; *s && n + 1 < size; s++) {
		unsigned char c = (unsigned char)*s;

		/* C0, DEL, and C1 as UTF-8 has it: c2 80..9f. */
		if (c < 0x20 || c == 0x7f)
			c = '?';
		else if (c == 0xc2 && (unsigned char)s[1] < 0xa0 && s[1])
			c = '?', s++;
		buf[n++] = (char)c;
	}
	/* The next byte goes on with a character that began before it. */
	while (n && ((unsigned char)*s & 0xc0) == 0x80) {
		bool first = ((unsigned char)buf[n - 1] & 0xc0) != 0x80;

		n--;
		if (first)
			break;
	}
	buf[n] = 0;
}

static void put_digests(json_t *params, char *buf, size_t size)
{
	const char *h = json_string_value(json_object_get(params, "header_digest"));
	const char *d = json_string_value(json_object_get(params, "data_digest"));
	bool hd = h && strcmp(h, "None"), dd = d && strcmp(d, "None");

	snprintf(buf, size, "%s", hd && dd ? "header+data" : hd ? "header" : dd ? "data" : "none");
}

static void put_pr(json_t *pr, char *buf, size_t size)
{
	static const char *const names[] = {
		[1] = "WE", [3] = "EA", [5] = "WE-RO", [6] = "EA-RO", [7] = "WE-AR", [8] = "EA-AR",
	};
	json_int_t type = json_integer_value(json_object_get(pr, "type"));
	const char *name = type > 0 && type <= 8 ? names[type] : NULL;

	if (json_is_true(json_object_get(pr, "reserve6")))
		name = "RESERVE6";
	snprintf(buf, size, "%s", name ? name : "-");
}

const char *cli_text(json_t *value, enum cli_format format, char *buf, size_t size)
{
	snprintf(buf, size, "-");
	if (!value || json_is_null(value))
		return buf;
	switch (format) {
	case CLI_SIZE:
		return cli_size((uint64_t)json_integer_value(value), buf, size);
	case CLI_CPU:
		snprintf(buf, size, "%.2f s", (double)json_integer_value(value) / 1e6);
		return buf;
	case CLI_DIGESTS:
		put_digests(value, buf, size);
		return buf;
	case CLI_PR:
		put_pr(value, buf, size);
		return buf;
	default:
		break;
	}
	if (json_is_string(value))
		put_clean(json_string_value(value), buf, size);
	else if (json_is_integer(value))
		snprintf(buf, size, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(buf, size, "%.1f", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(buf, size, "%s", json_is_true(value) ? "yes" : "no");
	/* 2026-11-21T23:04:57.123Z -> 2026-11-21 23:04:57Z */
	if (format == CLI_TIME && strlen(buf) == 24) {
		buf[10] = ' ';
		memcpy(buf + 19, "Z", 2);
	}
	return buf;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* Places on the screen: characters, not bytes. */
static unsigned width_of(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool right_aligned(enum cli_format f)
{
	return f == CLI_SIZE || f == CLI_COUNT || f == CLI_CPU;
}

static void put_cell(FILE *out, const char *s, unsigned width, bool right, bool last)
{
	unsigned w = width_of(s), pad = w < width ? width - w : 0;

	if (right)
		fprintf(out, "%*s%s", (int)pad, "", s);
	else
		fprintf(out, "%s%*s", s, last ? 0 : (int)pad, "");
	fputs(last ? "\n" : "  ", out);
}

void cli_table(FILE *out, const char *indent, const struct cli_column *cols, unsigned ncols,
	       json_t *rows)
{
	unsigned *width = calloc(ncols, sizeof(*width));
	char cell[CLI_CELL_MAX];
	json_t *row;
	size_t i;

	if (!width)
		abort();
	for (unsigned c = 0; c < ncols; c++)
		width[c] = width_of(cols[c].title);
	json_array_foreach(rows, i, row) {
		for (unsigned c = 0; c < ncols; c++) {
			unsigned w = width_of(cli_text(cli_at(row, cols[c].path), cols[c].format,
						       cell, sizeof(cell)));

			width[c] = w > width[c] ? w : width[c];
		}
	}
	fputs(indent, out);
	for (unsigned c = 0; c < ncols; c++)
		put_cell(out, cols[c].title, width[c], right_aligned(cols[c].format),
			 c + 1 == ncols);
	json_array_foreach(rows, i, row) {
		fputs(indent, out);
		for (unsigned c = 0; c < ncols; c++)
			put_cell(out,
				 cli_text(cli_at(row, cols[c].path), cols[c].format, cell,
					  sizeof(cell)),
				 width[c], right_aligned(cols[c].format), c + 1 == ncols);
	}
	free(width);
}

/* ---- what was meant -------------------------------------------------------------------------- */

enum { WORD_MAX = 63 };

/* Insertions, deletions, replacements and swapped neighbours that make b of a. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[3][WORD_MAX + 1] = { { 0 } };
	size_t la = strlen(a), lb = strlen(b);

	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *row = d[i % 3], *prev = d[(i - 1) % 3], *prev2 = d[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = prev[j - 1] + (a[i - 1] != b[j - 1]);

			if (prev[j] + 1 < best)
				best = prev[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    prev2[j - 2] + 1 < best)
				best = prev2[j - 2] + 1;
			row[j] = best;
		}
	}
	return d[la % 3][lb];
}

const char *cli_nearest(const char *typed, const char *const *words, unsigned n)
{
	unsigned best = (unsigned)strlen(typed) / 3 + 1;
	const char *found = NULL;

	if (strlen(typed) > WORD_MAX)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		unsigned d = strlen(words[i]) <= WORD_MAX ? distance(typed, words[i]) : best + 1;

		if (d < best || (d == best && !found)) {
			best = d;
			found = words[i];
		}
	}
	return found;
}
