/* SPDX-License-Identifier: Apache-2.0 */
#include "target/cli_show.h"

#include <string.h>

#include "target/cli_table.h"
#include "target/cli_witness.h"

#define NCOLS(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))

/* A value of an object as text; for printf, so the buffer is the caller's. */
#define TEXT(o, path, format) \
	cli_text(cli_at((o), (path)), (format), (char[CLI_CELL_MAX]){ 0 }, CLI_CELL_MAX)

static long long number(json_t *o, const char *path)
{
	return (long long)json_integer_value(cli_at(o, path));
}

static const char *plural(long long n)
{
	return n == 1 ? "" : "s";
}

/* ---- status ---------------------------------------------------------------------------------- */

static const struct cli_column reactor_cols[] = {
	{ "REACTOR", "reactor", CLI_COUNT },   { "SERVES", "serves", CLI_TEXT },
	{ "CONNECTIONS", "connections", CLI_COUNT },
	{ "SESSIONS", "sessions", CLI_COUNT }, { "TASKS", "tasks", CLI_COUNT },
	{ "TURNS", "turns", CLI_COUNT },       { "SLEEPS", "sleeps", CLI_COUNT },
	{ "MESSAGES", "messages", CLI_COUNT }, { "I/OS", "ios", CLI_COUNT },
	{ "CPU", "cpu_us", CLI_CPU },
};

void cli_show_status(FILE *out, json_t *r)
{
	json_t *portals = cli_at(r, "portals"), *p;
	char up[64];
	size_t i;

	fprintf(out, "holdfastd %s, %s\n", TEXT(r, "version", CLI_TEXT),
		TEXT(r, "state", CLI_TEXT));
	fprintf(out, "%-18s%s\n", "up",
		cli_duration((uint64_t)json_real_value(cli_at(r, "uptime_s")), up, sizeof(up)));
	fprintf(out, "%-18s%lld\n", "pid", number(r, "pid"));
	fprintf(out, "%-18s%s\n", "config", TEXT(r, "config", CLI_TEXT));
	fprintf(out, "%-18s%s, %zu reactor%s\n", "driver", TEXT(r, "driver", CLI_TEXT),
		json_array_size(cli_at(r, "reactors")),
		plural((long long)json_array_size(cli_at(r, "reactors"))));
	json_array_foreach(portals, i, p)
		fprintf(out, "%-18s%s %s, group %lld\n", i ? "" : "portals",
			TEXT(p, "name", CLI_TEXT), TEXT(p, "listen", CLI_TEXT), number(p, "group"));
	fprintf(out, "%-18s%lld\n", "targets", number(r, "targets"));
	fprintf(out, "%-18s%lld", "LUNs", number(r, "luns.total"));
	if (number(r, "luns.ready") != number(r, "luns.total"))
		fprintf(out, ": %lld ready, %lld waiting for their lock, %lld damaged, %lld failed",
			number(r, "luns.ready"), number(r, "luns.waiting_for_lock"),
			number(r, "luns.damaged"), number(r, "luns.failed"));
	fputc('\n', out);
	cli_show_witness_status(out, cli_at(r, "witness"));
	fprintf(out, "%-18s%lld of %lld\n", "sessions", number(r, "sessions"),
		number(r, "sessions_max"));
	fprintf(out, "%-18s%lld, %lld of %lld half open\n", "connections", number(r, "connections"),
		number(r, "half_open"), number(r, "half_open_max"));
	fprintf(out, "%-18s%lld in flight, the oldest for %s\n", "commands", number(r, "tasks"),
		TEXT(r, "oldest_us", CLI_CPU));
	fprintf(out, "%-18s%s of %s\n", "buffers", TEXT(r, "buffers.used", CLI_SIZE),
		TEXT(r, "buffers.budget", CLI_SIZE));
	fprintf(out, "%-18s%lld\n\n", "log lines dropped", number(r, "log_dropped"));
	cli_table(out, "", reactor_cols, NCOLS(reactor_cols), cli_at(r, "reactors"));
}

/* ---- sessions -------------------------------------------------------------------------------- */

static const struct cli_column session_cols[] = {
	{ "TARGET", "target", CLI_TEXT },
	{ "INITIATOR", "initiator", CLI_TEXT },
	{ "ISID", "isid", CLI_TEXT },
	{ "TSIH", "tsih", CLI_COUNT },
	{ "PORTAL", "portal", CLI_TEXT },
	{ "GROUP", "group", CLI_COUNT },
	{ "PEER", "peer", CLI_TEXT },
	{ "REACTOR", "reactor", CLI_COUNT },
	{ "SINCE", "since", CLI_TIME },
	{ "DIGESTS", "params", CLI_DIGESTS },
	{ "COMMANDS", "commands", CLI_COUNT },
	{ "READ", "bytes_to_initiator", CLI_SIZE },
	{ "WRITTEN", "bytes_from_initiator", CLI_SIZE },
	{ "TASKS", "tasks", CLI_COUNT },
	{ "OLDEST", "oldest_us", CLI_CPU },
};

void cli_show_sessions(FILE *out, json_t *r)
{
	json_t *rows = cli_at(r, "sessions");

	if (json_array_size(rows))
		cli_table(out, "", session_cols, NCOLS(session_cols), rows);
	else
		fputs("no sessions\n", out);
	if (number(r, "missed"))
		fprintf(out, "and %lld that logged in just now\n", number(r, "missed"));
}

/* ---- LUNs ------------------------------------------------------------------------------------ */

static const struct cli_column lun_cols[] = {
	{ "TARGET", "target", CLI_TEXT },
	{ "LUN", "lun", CLI_COUNT },
	{ "NAME", "name", CLI_TEXT },
	{ "TYPE", "type", CLI_TEXT },
	{ "SIZE", "size", CLI_SIZE },
	{ "BLOCK", "block_size", CLI_COUNT },
	{ "STATE", "state", CLI_TEXT },
	{ "ENGINE", "engine", CLI_TEXT },
	{ "HOME", "home", CLI_COUNT },
	{ "CACHE", "write_cache", CLI_TEXT },
	{ "THIN", "thin", CLI_TEXT },
	{ "READONLY", "readonly", CLI_TEXT },
	{ "SESSIONS", "sessions", CLI_COUNT },
	{ "TASKS", "tasks", CLI_COUNT },
	{ "OLDEST", "oldest_us", CLI_CPU },
	{ "READ", "counters.read.bytes", CLI_SIZE },
	{ "WRITTEN", "counters.write.bytes", CLI_SIZE },
	{ "CONFLICTS", "counters.conflicts", CLI_COUNT },
	{ "PR", "pr", CLI_PR },
	{ "KEYS", "pr.registrants", CLI_COUNT },
};

void cli_show_luns(FILE *out, json_t *r)
{
	json_t *rows = cli_at(r, "luns");

	if (json_array_size(rows))
		cli_table(out, "", lun_cols, NCOLS(lun_cols), rows);
	else
		fputs("no LUNs\n", out);
}

void cli_show_recovered(FILE *out, json_t *r)
{
	json_t *l = json_array_get(cli_at(r, "luns"), 0);

	fprintf(out, "%s/%lld (%s) is %s\n", TEXT(l, "target", CLI_TEXT), number(l, "lun"),
		TEXT(l, "name", CLI_TEXT), TEXT(l, "state", CLI_TEXT));
}

/* ---- reservations ---------------------------------------------------------------------------- */

static const struct cli_column registrant_cols[] = {
	{ "KEY", "key", CLI_TEXT },
	{ "HOLDER", "holder", CLI_TEXT },
	{ "LOGGED IN", "logged_in", CLI_TEXT },
	{ "INITIATOR", "initiator", CLI_TEXT },
	{ "ISID", "isid", CLI_TEXT },
	{ "GROUP", "group", CLI_COUNT },
	{ "PEER", "peer", CLI_TEXT },
	{ "ITS SESSIONS", "initiator_sessions", CLI_COUNT },
};

/* States in which a LUN has none to show. */
static const struct {
	const char *state, *text;
} unknown_prs[] = {
	{ "damaged", "its reservations cannot be read (the log says which file)" },
	{ "waiting_for_lock", "it waits for the lock of its store, which another process holds" },
};

static void show_pr_of(FILE *out, json_t *l)
{
	json_t *regs = cli_at(l, "registrants"), *r6 = cli_at(l, "reserve6");
	long long n = (long long)json_array_size(regs);

	fprintf(out, "%s/%lld (%s): ", TEXT(l, "target", CLI_TEXT), number(l, "lun"),
		TEXT(l, "name", CLI_TEXT));
	for (unsigned k = 0; k < NCOLS(unknown_prs); k++)
		if (!strcmp(TEXT(l, "state", CLI_TEXT), unknown_prs[k].state)) {
			fprintf(out, "not known: %s\n", unknown_prs[k].text);
			return;
		}
	if (number(l, "type"))
		fprintf(out, "%s (type %lld, scope %s), ", TEXT(l, "type_name", CLI_TEXT),
			number(l, "type"), TEXT(l, "scope", CLI_TEXT));
	else
		fputs("no reservation, ", out);
	fprintf(out, "%lld registrant%s, generation %lld%s\n", n, plural(n),
		number(l, "generation"), json_is_true(cli_at(l, "aptpl")) ? ", APTPL" : "");
	if (json_is_object(r6))
		fprintf(out, "  reserved by RESERVE(6): %s, ISID %s, group %lld\n",
			TEXT(r6, "initiator", CLI_TEXT), TEXT(r6, "isid", CLI_TEXT),
			number(r6, "group"));
	if (n)
		cli_table(out, "  ", registrant_cols, NCOLS(registrant_cols), regs);
}

void cli_show_pr(FILE *out, json_t *r)
{
	json_t *l;
	size_t i;

	json_array_foreach(cli_at(r, "luns"), i, l)
		show_pr_of(out, l);
}
