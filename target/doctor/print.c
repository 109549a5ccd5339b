/* SPDX-License-Identifier: Apache-2.0 */
/* What a check found: the lines a person reads, and one JSON document. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "target/doctor/doctor.h"

const char *const verdict_names[] = { "pass", "skipped", "warn", "fail" };

enum { LINES_SHOWN = 24 };

void printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
			*s = '?';
}

static const char *clean_text(const char *s, char *out, size_t size)
{
	snprintf(out, size, "%s", s);
	printable(out);
	return out;
}

void print_result(const struct doctor *d, const struct result *r)
{
	static const char *const words[] = { "PASS", "SKIP", "WARN", "FAIL" };
	const struct check *c = r->check;
	unsigned first = r->nlines > LINES_SHOWN && !d->verbose ? r->nlines - LINES_SHOWN : 0;
	char text[500];

	clean_text(r->text, text, sizeof(text));
	/* With a pass the text is what was measured. */
	if (r->verdict == PASS && text[0])
		printf("%s  %-24s%s (%s)\n", words[r->verdict], c->name, c->title, text);
	else
		printf("%s  %-24s%s\n%s%s%s", words[r->verdict], c->name, c->title,
		       text[0] ? "        " : "", text, text[0] ? "\n" : "");
	if (r->verdict == PASS && !d->verbose)
		return;
	if (r->verdict == WARN || r->verdict == FAIL || d->verbose)
		printf("      asked by  %s: %s\n      means     %s\n", c->clause, c->asks,
		       c->meaning);
	if (r->verdict != SKIPPED && r->nlines) {
		printf("      sent and came back%s:\n", first ? " (the end)" : "");
		for (unsigned i = first; i < r->nlines; i++) {
			const struct line *l = &r->lines[i];

			clean_text(l->answer, text, sizeof(text));
			if (text[0])
				printf("        %-6s %s -> %s, %.1f ms\n", l->node, l->sent, text,
				       l->ms);
			else
				printf("        %-6s %s\n", l->node, l->sent);
		}
	}
}

static void count(const struct result *r, unsigned n, unsigned out[4])
{
	memset(out, 0, 4 * sizeof(out[0]));
	for (unsigned i = 0; i < n; i++)
		out[r[i].verdict]++;
}

void print_summary(const struct doctor *d, const struct result *r, unsigned n, double seconds)
{
	unsigned v[4];

	count(r, n, v);
	printf("\n%s/%d at %s%s%s: %u passed, %u warnings, %u failed, %u skipped, %.1f s\n",
	       d->target, d->lun, d->portal, d->second ? " and " : "", d->second ? d->portal2 : "",
	       v[PASS], v[WARN], v[FAIL], v[SKIPPED], seconds);
	if (v[FAIL])
		puts("Do not run a cluster on this disk before what failed is understood.");
}

static json_t *text_of(const char *s)
{
	char text[500];

	return json_string(clean_text(s, text, sizeof(text)));
}

static json_t *json_of(const struct result *r)
{
	const struct check *c = r->check;
	json_t *lines = json_array();

	for (unsigned i = 0; i < r->nlines; i++) {
		const struct line *l = &r->lines[i];

		json_array_append_new(lines, json_pack("{s:o, s:o, s:o, s:f}", "node",
						       text_of(l->node), "sent", text_of(l->sent),
						       "answer", text_of(l->answer), "ms", l->ms));
	}
	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:f, s:o}", "name", c->name, "title",
			 c->title, "verdict", verdict_names[r->verdict], "text", text_of(r->text),
			 "clause", c->clause, "asks", c->asks, "meaning", c->meaning, "seconds",
			 r->seconds, "exchange", lines);
}

void print_json(const struct doctor *d, const struct result *r, unsigned n, double seconds)
{
	json_t *checks = json_array(), *doc;
	unsigned v[4];

	count(r, n, v);
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(checks, json_of(&r[i]));
	doc = json_pack(
		"{s:s, s:o, s:i, s:o, s:o, s:b, s:b, s:I, s:i, s:f, s:{s:i, s:i, s:i, s:i}, s:o, "
		"s:o}",
		"version", HOLDFAST_VERSION, "target", text_of(d->target), "lun", d->lun, "portal",
		text_of(d->portal), "second_portal", d->second ? text_of(d->portal2) : json_null(),
		"allow_writes", d->writes, "real_time", d->real_time, "blocks",
		(json_int_t)d->blocks, "block_size", (int)d->block, "seconds", seconds, "summary",
		"pass", (int)v[PASS], "warn", (int)v[WARN], "fail", (int)v[FAIL], "skipped",
		(int)v[SKIPPED], "checks", checks, "error",
		d->why[0] ? text_of(d->why) : json_null());
	json_dumpf(doc, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(doc);
}
