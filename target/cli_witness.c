/* SPDX-License-Identifier: Apache-2.0 */
#include "target/cli_witness.h"

#include <time.h>

#include "target/cli_ask.h"
#include "target/cli_table.h"

#define NCOLS(cols) (sizeof(cols) / sizeof((cols)[0]))
/* A member as text; lives to the end of the enclosing block. */
#define TEXT(o, path, format) \
	cli_text(cli_at((o), (path)), (format), (char[CLI_CELL_MAX]){ 0 }, CLI_CELL_MAX)

/* The same for sentences, which may be longer than a cell. */
enum { SENTENCE_MAX = 4096 };
#define SENTENCE(o, path) \
	cli_text(cli_at((o), (path)), CLI_TEXT, (char[SENTENCE_MAX]){ 0 }, SENTENCE_MAX)

static long long number(json_t *o, const char *path)
{
	return (long long)json_integer_value(cli_at(o, path));
}

/* "TARGET/LUN (NAME)" */
static void put_name(FILE *out, json_t *l)
{
	fprintf(out, "%s/%lld (%s)", TEXT(l, "target", CLI_TEXT), number(l, "lun"),
		TEXT(l, "name", CLI_TEXT));
}

/* Milliseconds at a path, as a duration; "-" when that is not known. */
static const char *age(json_t *o, const char *path, char *buf, size_t size)
{
	json_t *v = cli_at(o, path);

	if (!json_is_integer(v))
		return "-";
	return cli_duration((uint64_t)json_integer_value(v) / 1000, buf, size);
}

/* ---- show ------------------------------------------------------------------------------------ */

static void show_owner(FILE *out, json_t *l)
{
	json_t *o = cli_at(l, "owner");
	char held[64], ago[64];

	if (!json_is_object(o)) {
		fputs(": nobody owns it\n", out);
		return;
	}
	fprintf(out, ": owned by %s\n  for %s, %s (type %lld)\n",
		json_is_true(cli_at(o, "everybody")) ? "every registered host"
						     : TEXT(o, "initiator", CLI_TEXT),
		age(o, "for_ms", held, sizeof(held)), TEXT(o, "type_name", CLI_TEXT),
		number(o, "type"));
	if (number(o, "defences"))
		fprintf(out, "  defended %lld times%s, last %s ago\n", number(o, "defences"),
			json_is_true(cli_at(o, "in_rhythm")) ? ", in rhythm" : "",
			age(o, "defended_ms", ago, sizeof(ago)));
}

static void show_software(FILE *out, json_t *l)
{
	json_t *a = cli_at(l, "software"), *s;
	size_t i;

	fprintf(out, "  software: %s", json_array_size(a) ? "" : "unknown");
	json_array_foreach(a, i, s)
		fprintf(out, "%s%s (%s)", i ? ", " : "", TEXT(s, "name", CLI_TEXT),
			TEXT(s, "confidence", CLI_TEXT));
	fputc('\n', out);
}

static const struct cli_column node_cols[] = {
	{ "INITIATOR", "initiator", CLI_TEXT },
	{ "OWNER", "owner", CLI_TEXT },
	{ "SESSIONS", "sessions", CLI_COUNT },
	{ "KEYS", "keys", CLI_COUNT },
	{ "GONE SINCE", "gone", CLI_TIME },
	{ "CHALLENGED", "challenged", CLI_TIME },
	{ "HEARTBEAT", "heartbeat.software", CLI_TEXT },
	{ "BEATS", "heartbeat.beats", CLI_TEXT },
};

static void show_one(FILE *out, json_t *l)
{
	json_t *warnings = cli_at(l, "warnings"), *nodes = cli_at(l, "nodes"), *w;
	size_t i;

	put_name(out, l);
	if (json_is_false(cli_at(l, "known"))) {
		fputs(": whose it is is not known now\n", out);
	} else if (!json_is_true(cli_at(l, "watched"))) {
		fputs(": not watched (the log says why)\n", out);
		return;
	} else {
		show_owner(out, l);
	}
	show_software(out, l);
	json_array_foreach(warnings, i, w)
		fprintf(out, "  WARNING: %s\n", SENTENCE(w, "text"));
	if (json_array_size(nodes))
		cli_table(out, "  ", node_cols, NCOLS(node_cols), nodes);
	else
		fputs("  no host was ever there\n", out);
}

/* Each LUN, or that there is none. */
static void each(FILE *out, json_t *r, void (*show)(FILE *out, json_t *l))
{
	json_t *a = cli_at(r, "luns"), *l;
	size_t i;

	if (!json_array_size(a))
		fputs("no witness LUNs (type: witness)\n", out);
	json_array_foreach(a, i, l)
		show(out, l);
}

void cli_show_witness(FILE *out, json_t *r)
{
	each(out, r, show_one);
}

void cli_show_witness_status(FILE *out, json_t *w)
{
	json_t *a = cli_at(w, "warnings"), *e;
	size_t i;

	if (!number(w, "luns"))
		return;
	fprintf(out, "%-18s%lld LUN%s%s\n", "witness", number(w, "luns"),
		number(w, "luns") == 1 ? "" : "s", json_array_size(a) ? "" : ", all well");
	json_array_foreach(a, i, e)
		fprintf(out, "%-18sWARNING: %s: %s\n", "", TEXT(e, "lun", CLI_TEXT),
			SENTENCE(e, "text"));
}

/* ---- log ------------------------------------------------------------------------------------- */

static void log_one(FILE *out, json_t *l)
{
	json_t *a = cli_at(l, "entries"), *e;
	size_t i;

	json_array_foreach(a, i, e)
		fprintf(out, "%s %s: %s\n", TEXT(e, "time", CLI_TIME), TEXT(l, "name", CLI_TEXT),
			SENTENCE(e, "text"));
	if (number(l, "damaged_lines"))
		fprintf(out, "%s: %lld lines of the journal are damaged\n",
			TEXT(l, "name", CLI_TEXT), number(l, "damaged_lines"));
	if (json_is_string(cli_at(l, "error")))
		fprintf(out, "%s: the journal cannot be read: %s\n", TEXT(l, "name", CLI_TEXT),
			TEXT(l, "error", CLI_TEXT));
}

void cli_show_witness_log(FILE *out, json_t *r)
{
	each(out, r, log_one);
}

/* ---- follow ---------------------------------------------------------------------------------- */

enum { FOLLOW_MS = 500 };

static void follow_json(json_t *l)
{
	json_t *a = cli_at(l, "entries"), *e;
	size_t i;

	json_array_foreach(a, i, e) {
		json_object_set(e, "name", cli_at(l, "name"));
		json_dumpf(e, stdout, JSON_COMPACT);
		putchar('\n');
	}
}

/* Prints the entries of an answer, and asks for what comes after them the next time. */
static void follow_answer(json_t *rq, json_t *r, bool json)
{
	json_t *after = json_object(), *l;
	size_t i;

	json_array_foreach(cli_at(r, "luns"), i, l) {
		if (json)
			follow_json(l);
		else
			log_one(stdout, l);
		json_object_set(after, json_string_value(cli_at(l, "name")), cli_at(l, "sequence"));
	}
	json_object_set_new(rq, "after", after);
	json_object_del(rq, "since");
	json_object_del(rq, "last");
}

int cli_witness_follow(const char *socket_path, json_t *rq, bool json)
{
	struct timespec pause = { .tv_nsec = FOLLOW_MS * 1000000 };
	bool ok = true;

	while (ok) {
		json_t *a = cli_ask(socket_path, rq), *r = cli_at(a, "result");

		ok = a && json_is_true(cli_at(a, "ok")) && r;
		if (ok)
			follow_answer(rq, r, json);
		else if (a)
			fprintf(stderr, "holdfast: %s\n", TEXT(a, "error", CLI_TEXT));
		json_decref(a);
		/* Nobody reads any more. */
		if (fflush(stdout))
			ok = false;
		if (ok)
			nanosleep(&pause, NULL);
	}
	return 1;
}

/* ---- explain --------------------------------------------------------------------------------- */

static void explain_one(FILE *out, json_t *l)
{
	json_t *a = cli_at(l, "story"), *s;
	size_t i;

	put_name(out, l);
	fputs(":\n", out);
	json_array_foreach(a, i, s)
		fprintf(out, "  %s\n", SENTENCE(s, NULL));
}

void cli_show_witness_story(FILE *out, json_t *r)
{
	each(out, r, explain_one);
}
