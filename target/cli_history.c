/* SPDX-License-Identifier: Apache-2.0 */
/* The views of `pr history` and `pr prune`. */
#include <stdarg.h>
#include <stdbool.h>

#include "target/cli_show.h"
#include "target/cli_table.h"

#define NCOLS(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))
/* For printf, so the buffer is the caller's. */
#define CELL(v, format) cli_text((v), (format), (char[CLI_CELL_MAX]){ 0 }, CLI_CELL_MAX)
#define TEXT(o, path) CELL(cli_at((o), (path)), CLI_TEXT)

enum { NAMED = 2 }; /* registrations of each kind that a line names */

void cli_show_json(FILE *out, json_t *r)
{
	json_dumpf(r, out, JSON_INDENT(2));
	fputc('\n', out);
}

static void show_lun(FILE *out, json_t *l)
{
	fprintf(out, "%s/%lld (%s): ", TEXT(l, "target"),
		(long long)json_integer_value(cli_at(l, "lun")), TEXT(l, "name"));
}

/* ---- history --------------------------------------------------------------------------------- */

static const struct cli_column history_cols[] = {
	{ "SEQ", "seq", CLI_COUNT },	      { "TIME", "time", CLI_TEXT },
	{ "ACTION", "action", CLI_TEXT },     { "BY", "who", CLI_TEXT },
	{ "KEY", "key", CLI_TEXT },	      { "SERVICE ACTION KEY", "sa_key", CLI_TEXT },
	{ "GENERATION", "generation", CLI_COUNT }, { "KEYS", "registrants", CLI_COUNT },
	{ "RESERVATION", "reservation", CLI_TEXT }, { "REGISTRATIONS", "what", CLI_TEXT },
};

struct line {
	char text[CLI_CELL_MAX];
	size_t len;
};

static void line_add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void line_add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, sizeof(l->text) - l->len, fmt, ap);
	va_end(ap);
	l->len += n < 0 ? 0 : (size_t)n;
	if (l->len >= sizeof(l->text))
		l->len = sizeof(l->text) - 1;
}

static void add_nexus(struct line *l, json_t *n)
{
	line_add(l, "%s %s %s", TEXT(n, "initiator"), TEXT(n, "isid"), TEXT(n, "group"));
}

static void add_list(struct line *l, json_t *list, const char *sign)
{
	size_t i, n = json_array_size(list);
	json_t *o;

	json_array_foreach(list, i, o) {
		if (i == NAMED) {
			line_add(l, " %sand %zu more", sign, n - i);
			break;
		}
		line_add(l, "%s%s", l->len ? " " : "", sign);
		add_nexus(l, o);
		line_add(l, " %s", TEXT(o, "key"));
	}
}

static void row_set(json_t *row, const char *name, const struct line *l)
{
	/* Cut off in the middle of a character it is no string. */
	if (json_object_set_new(row, name, json_string(l->text)))
		json_object_set_new(row, name, json_string("..."));
}

static void row_by(json_t *row)
{
	json_t *by = cli_at(row, "by"), *admin = cli_at(by, "administrator");
	struct line l = { .len = 0 };

	if (admin)
		line_add(&l, "administrator, uid %lld", (long long)json_integer_value(admin));
	else if (json_is_object(by))
		add_nexus(&l, by);
	else
		line_add(&l, "-");
	row_set(row, "who", &l);
}

static void row_reservation(json_t *row)
{
	json_t *after = cli_at(row, "after"), *r6 = cli_at(row, "reserve6");
	struct line l = { .len = 0 };

	if (json_is_object(after)) {
		line_add(&l, "%s", CELL(after, CLI_PR));
		if (json_is_object(cli_at(after, "holder"))) {
			line_add(&l, " ");
			add_nexus(&l, cli_at(after, "holder"));
		}
	} else if (after) {
		line_add(&l, "none");
	}
	if (r6)
		line_add(&l, "%s", json_is_object(r6) ? "RESERVE6" : "RESERVE6 released");
	row_set(row, "reservation", &l);
}

/* The record becomes a row of the table. */
static void row_make(json_t *row)
{
	struct line l = { .len = 0 };

	if (cli_at(row, "lost")) {
		line_add(&l, "(%s records were lost)", TEXT(row, "lost"));
		row_set(row, "action", &l);
		return;
	}
	row_by(row);
	row_reservation(row);
	add_list(&l, cli_at(row, "added"), "+");
	add_list(&l, cli_at(row, "removed"), "-");
	add_list(&l, cli_at(row, "changed"), "~");
	if (cli_at(row, "more"))
		line_add(&l, " and %s more", TEXT(row, "more"));
	row_set(row, "what", &l);
}

void cli_show_history(FILE *out, json_t *r)
{
	json_t *l, *rows, *row;
	size_t i, k;

	json_array_foreach(cli_at(r, "luns"), i, l) {
		rows = cli_at(l, "changes");
		show_lun(out, l);
		fprintf(out, "%zu change%s", json_array_size(rows),
			json_array_size(rows) == 1 ? "" : "s");
		if (json_integer_value(cli_at(l, "damaged_lines")))
			fprintf(out, ", %s damaged lines", TEXT(l, "damaged_lines"));
		if (json_integer_value(cli_at(l, "lost")))
			fprintf(out, ", %s lost", TEXT(l, "lost"));
		if (json_is_string(cli_at(l, "error")))
			fprintf(out, ", cannot be read: %s", TEXT(l, "error"));
		fputc('\n', out);
		json_array_foreach(rows, k, row)
			row_make(row);
		if (json_array_size(rows))
			cli_table(out, "  ", history_cols, NCOLS(history_cols), rows);
	}
}

/* ---- prune ----------------------------------------------------------------------------------- */

static const struct cli_column pruned_cols[] = {
	{ "KEY", "key", CLI_TEXT },	{ "HOLDER", "holder", CLI_TEXT },
	{ "INITIATOR", "initiator", CLI_TEXT }, { "ISID", "isid", CLI_TEXT },
	{ "GROUP", "group", CLI_COUNT },	{ "NOT LOGGED IN SINCE", "last_seen", CLI_TIME },
	{ "KEPT", "why", CLI_TEXT },
};

static void show_list(FILE *out, const char *title, json_t *rows, unsigned ncols)
{
	if (!json_array_size(rows))
		return;
	fprintf(out, "%s\n", title);
	cli_table(out, "  ", pruned_cols, ncols, rows);
}

void cli_show_pruned(FILE *out, json_t *r)
{
	json_t *pruned = cli_at(r, "pruned"), *kept = cli_at(r, "kept");
	bool dry = json_is_true(cli_at(r, "dry_run"));

	show_lun(out, r);
	fprintf(out, "%zu registration%s %s, %zu not logged in kept\n", json_array_size(pruned),
		json_array_size(pruned) == 1 ? "" : "s", dry ? "would be pruned" : "pruned",
		json_array_size(kept));
	show_list(out, dry ? "would be pruned:" : "pruned:", pruned, NCOLS(pruned_cols) - 1);
	show_list(out, "kept:", kept, NCOLS(pruned_cols));
}
