/* SPDX-License-Identifier: Apache-2.0 */
/* What `holdfast` prints for people: values from JSON, in aligned columns. One thread. */
#ifndef TARGET_CLI_TABLE_H
#define TARGET_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_CELL_MAX = 512 };

enum cli_format {
	CLI_TEXT,    /* strings, numbers, yes and no, by their type; null is "-" */
	CLI_SIZE,    /* bytes: 512, 4K, 1.5G, 1T */
	CLI_COUNT,   /* a number, right aligned */
	CLI_CPU,     /* microseconds, as seconds */
	CLI_TIME,    /* a date without fractions */
	CLI_DIGESTS, /* params: "none", "header", "data", "header+data" */
	CLI_PR,	     /* pr: "-", the type's short name, "reserve6" */
};

struct cli_column {
	const char *title;
	const char *path; /* member of the row, dots go deeper: "pr.registrants"; NULL: the row
			     itself */
	enum cli_format format;
};

/* The member at a path, or NULL. Borrowed. */
json_t *cli_at(json_t *row, const char *path);

/* One value as text, control characters as '?', cut off to fit. Returns buf. */
const char *cli_text(json_t *value, enum cli_format format, char *buf, size_t size);
/* Bytes with the largest power of 1024 that leaves a number of 1 or more: exact, or with one
 * decimal. */
const char *cli_size(uint64_t bytes, char *buf, size_t size);
/* Seconds as "3d 04:05:06", "04:05:06". */
const char *cli_duration(uint64_t s, char *buf, size_t size);

/* Titles and rows (a JSON array of objects), each line after `indent`. Numbers to the right. */
void cli_table(FILE *out, const char *indent, const struct cli_column *cols, unsigned ncols,
	       json_t *rows);

/* The nearest of n words to what was typed, or NULL when none is near. */
const char *cli_nearest(const char *typed, const char *const *words, unsigned n);

#endif
