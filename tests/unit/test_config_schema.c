/* SPDX-License-Identifier: Apache-2.0 */
/* Run from the top of the tree: conf/ and docs/ are looked at. */
#include "tests/unit/config_frame.h"

#include <glob.h>
#include <stdarg.h>

#include "target/config_schema.h"

/* ---- what is delivered ---- */

static void test_conf(void)
{
	static char text[1 << 20];
	unsigned files = 0;
	glob_t g;

	CU_ASSERT_EQUAL_FATAL(glob("conf/*.yaml", 0, NULL, &g), 0);
	CU_ASSERT_EQUAL_FATAL(glob("conf/examples/*.yaml", GLOB_APPEND, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		FILE *f = fopen(g.gl_pathv[i], "r");
		struct config *c;

		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
		c = good(text);
		CU_ASSERT(c->ntargets > 0);
		config_free(c);
		files++;
	}
	CU_ASSERT(files >= 5);
	globfree(&g);
}

/* The classic cluster: the quorum alone on its target, the rest on another. */
static void test_quickstart(void)
{
	struct config *c = config_load("conf/quickstart.yaml", stderr);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(c->ntargets, 2);
	CU_ASSERT_STRING_EQUAL(c->portals[0].host, "127.0.0.1");
	CU_ASSERT(c->targets[0].nluns == 1 && c->targets[0].luns[0].type == LUN_WITNESS);
	CU_ASSERT_EQUAL(c->targets[0].luns[0].size, 500ull << 20);
	CU_ASSERT_EQUAL_FATAL(c->targets[1].nluns, 3);
	CU_ASSERT_EQUAL(c->targets[1].luns[0].size, 1ull << 40);
	CU_ASSERT_EQUAL(c->targets[1].luns[1].size, 200ull << 20);
	CU_ASSERT_EQUAL(c->targets[1].luns[2].size, 500ull << 30);
	config_free(c);
}

/* ---- the table ---- */

static void test_schema(void)
{
	const struct schema *s;

	for (unsigned i = 0; (s = config_schema_section(i)); i++) {
		CU_ASSERT(s->nkeys > 0 && s->nkeys <= 32);
		for (unsigned j = 0; j < s->nkeys; j++) {
			const struct schema_key *k = &s->keys[j];
			char expect[256];

			CU_ASSERT_PTR_EQUAL(schema_find(s, k->name), k);
			CU_ASSERT_PTR_EQUAL(schema_nearest(s, k->name), k);
			CU_ASSERT(k->doc && k->doc[strlen(k->doc) - 1] == '.');
			CU_ASSERT(k->offset == SCHEMA_NOWHERE || k->offset + k->width <= s->size);
			CU_ASSERT_EQUAL(!!k->words,
					k->type == SCHEMA_WORD || !strcmp(k->name, "backend"));
			CU_ASSERT_EQUAL(!!k->sub, k->type == SCHEMA_MAP || k->type == SCHEMA_LIST);
			CU_ASSERT(k->required ? !k->def && !k->deftext : true);
			CU_ASSERT(strlen(schema_expect(k, expect, sizeof(expect))) > 0);
		}
	}
}

static void test_schema_doc(void)
{
	CU_ASSERT_STRING_EQUAL(config_schema_doc("targets.luns.size"), "How large the disk is.");
	CU_ASSERT_STRING_EQUAL(config_schema_doc("reactors"),
			       "Threads that serve; 0 is one per core.");
	CU_ASSERT_PTR_NULL(config_schema_doc("targets.luns.siz"));
	CU_ASSERT_PTR_NULL(config_schema_doc("targets.luns.size.x"));
	CU_ASSERT_PTR_NULL(config_schema_doc(""));
}

/* Blanks and newlines are one blank, so that filling lines changes nothing. */
static char *page_read(void)
{
	FILE *f = fopen("docs/holdfast.yaml.5.scd", "r");
	char *text = calloc(1, 1 << 18), *out = text;
	bool blank = false;
	int c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	/* Paragraphs stay apart: an empty line becomes a form feed. */
	for (int last = '\n'; (c = getc(f)) != EOF; last = c) {
		if (c == '\n' && last == '\n')
			*out++ = '\f';
		else if (c == ' ' || c == '\t' || c == '\n')
			blank = true;
		else if (c != '\\') {
			if (blank && out > text && out[-1] != '\f')
				*out++ = ' ';
			blank = false;
			*out++ = (char)c;
		}
	}
	fclose(f);
	return text;
}

/* The paragraph of a key in its section has this text. */
static void page_has(const struct schema *s, const struct schema_key *k, const char *entry,
		     const char *fmt, ...)
{
	char want[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	if (!strstr(entry, want))
		fprintf(stderr, "\nholdfast.yaml.5.scd: %s: %s: no \"%s\"\n", s->title, k->name,
			want);
	CU_ASSERT_PTR_NOT_NULL(strstr(entry, want));
}

static void page_check(const struct schema *s, const struct schema_key *k, const char *section)
{
	char head[64], entry[2048], lo[32], hi[32];
	const char *p;

	snprintf(head, sizeof(head), "\f*%s:* _", k->name);
	p = strstr(section, head);
	if (!p) {
		fprintf(stderr, "\nholdfast.yaml.5.scd: %s: no entry for %s\n", s->title, k->name);
		CU_FAIL("no entry");
		return;
	}
	snprintf(entry, sizeof(entry), "%.*s", (int)strcspn(p + 1, "\f"), p + 1);
	if (k->def || k->deftext)
		page_has(s, k, entry, "Default: %s.", k->deftext ? k->deftext : k->def);
	if (k->required)
		page_has(s, k, entry, "Required.");
	for (const struct schema_word *w = k->words; w && w->word; w++)
		page_has(s, k, entry, "%s", w->word);
	if (k->type == SCHEMA_INT || k->type == SCHEMA_SIZE || k->type == SCHEMA_LIST ||
	    k->type == SCHEMA_STRINGS)
		page_has(s, k, entry, "%s to %s",
			 k->type == SCHEMA_SIZE ?
				 schema_size_text(k->min, lo, sizeof(lo)) :
				 (sprintf(lo, "%llu", (unsigned long long)k->min), lo),
			 k->type == SCHEMA_SIZE ?
				 schema_size_text(k->max, hi, sizeof(hi)) :
				 (sprintf(hi, "%llu", (unsigned long long)k->max), hi));
}

/*
 * Every key of the schema, with its default and its range, is in the manual page; and no key that
 * is not.
 */
static void test_manual_page(void)
{
	char *page = page_read(), title[32];
	const struct schema *s;
	unsigned keys = 0, entries = 0;

	for (unsigned i = 0; (s = config_schema_section(i)); i++) {
		char *section, *end;

		snprintf(title, sizeof(title), "# %s\f", s->title);
		section = strstr(page, title);
		CU_ASSERT_PTR_NOT_NULL_FATAL(section);
		end = strstr(section, "\f# ");
		CU_ASSERT_PTR_NOT_NULL_FATAL(end);
		*end = '\0';
		for (unsigned j = 0; j < s->nkeys; j++, keys++)
			page_check(s, &s->keys[j], section);
		for (const char *p = section; (p = strstr(p, ":* _")); p++)
			entries++;
		*end = '\f';
	}
	CU_ASSERT_EQUAL(entries, keys);
	free(page);
}

/* And in the example that has them all. */
static void test_example_has_every_key(void)
{
	static char text[1 << 16];
	FILE *f = fopen("conf/holdfast.yaml", "r");
	const struct schema *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	for (unsigned i = 0; (s = config_schema_section(i)); i++) {
		for (unsigned j = 0; j < s->nkeys; j++) {
			char key[64];

			if (s->keys[j].secret) /* the file is readable by all */
				continue;
			snprintf(key, sizeof(key), "%s:", s->keys[j].name);
			if (!strstr(text, key))
				fprintf(stderr, "\nconf/holdfast.yaml: no %s\n", key);
			CU_ASSERT_PTR_NOT_NULL(strstr(text, key));
		}
	}
}

UNIT_MAIN("config_schema",
	UNIT(test_conf),
	UNIT(test_quickstart),
	UNIT(test_schema),
	UNIT(test_schema_doc),
	UNIT(test_manual_page),
	UNIT(test_example_has_every_key))
