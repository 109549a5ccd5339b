/* SPDX-License-Identifier: Apache-2.0 */
#include "target/config_read.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/config_text.h"

void *must_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

char *must_strdup(const char *s)
{
	size_t len = strlen(s);
	char *copy = must_alloc(len + 1, 1);

	memcpy(copy, s, len);
	return copy;
}

/* ---- where we are ---- */

__attribute__((format(printf, 2, 3)))
static size_t path_push(struct reader *r, const char *fmt, ...)
{
	size_t mark = strlen(r->path);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->path + mark, sizeof(r->path) - mark, fmt, ap);
	va_end(ap);
	return mark;
}

size_t path_key(struct reader *r, const char *key)
{
	return path_push(r, "%s%s", r->path[0] ? "." : "", key);
}

size_t path_index(struct reader *r, unsigned i)
{
	return path_push(r, "[%u]", i);
}

void path_pop(struct reader *r, size_t mark)
{
	r->path[mark] = '\0';
}

/* ---- errors ---- */

static void reader_keep(struct reader *r, unsigned line, const char *path, const char *what)
{
	struct reader_error *e;

	if (r->nerrors == READER_ERRORS_MAX) {
		r->left_out++;
		return;
	}
	e = &r->errors[r->nerrors++];
	e->line = line;
	e->text = must_alloc(strlen(path) + strlen(what) + 3, 1);
	sprintf(e->text, "%s%s%s", path, *path ? ": " : "", what);
}

static void reader_verror(struct reader *r, const yaml_node_t *node, unsigned line, const char *fmt,
			  va_list ap)
{
	char what[1024];

	if (node)
		r->bad[doc_index(&r->doc, node)] = true;
	vsnprintf(what, sizeof(what), fmt, ap);
	reader_keep(r, line, r->path, what);
}

void reader_error(struct reader *r, const yaml_node_t *node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reader_verror(r, node, node ? doc_line(node) : 0, fmt, ap);
	va_end(ap);
}

void reader_error_key(struct reader *r, const yaml_node_t *map, const char *key, const char *fmt,
		      ...)
{
	const yaml_node_t *node = doc_get(&r->doc, map, key);
	size_t mark = path_key(r, key);
	va_list ap;

	va_start(ap, fmt);
	reader_verror(r, node, node ? doc_line(node) : map ? doc_line(map) : 0, fmt, ap);
	va_end(ap);
	path_pop(r, mark);
}

void reader_error_line(struct reader *r, unsigned line, const char *what)
{
	reader_keep(r, line, "", what);
}

bool reader_has(const struct reader *r, const yaml_node_t *map, const char *key)
{
	return doc_get(&r->doc, map, key);
}

bool reader_good(const struct reader *r, const yaml_node_t *map, const char *key)
{
	const yaml_node_t *n = doc_get(&r->doc, map, key);

	return n && !r->bad[doc_index(&r->doc, n)];
}

/* Lines ascending; equal ones in the order they were found. */
static int reader_error_compare(const void *a, const void *b)
{
	const struct reader_error *x = *(const struct reader_error *const *)a;
	const struct reader_error *y = *(const struct reader_error *const *)b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x < y ? -1 : x > y;
}

void reader_print(struct reader *r, FILE *errors)
{
	const struct reader_error *sorted[READER_ERRORS_MAX];

	for (unsigned i = 0; i < r->nerrors; i++)
		sorted[i] = &r->errors[i];
	qsort(sorted, r->nerrors, sizeof(sorted[0]), reader_error_compare);
	for (unsigned i = 0; i < r->nerrors; i++) {
		if (sorted[i]->line)
			fprintf(errors, "%s:%u: %s\n", r->file, sorted[i]->line, sorted[i]->text);
		else
			fprintf(errors, "%s: %s\n", r->file, sorted[i]->text);
	}
	if (r->left_out)
		fprintf(errors, "%s: and %u more errors\n", r->file, r->left_out);
}

void reader_free(struct reader *r)
{
	for (unsigned i = 0; i < r->nerrors; i++)
		free(r->errors[i].text);
	free(r->bad);
	memset(r, 0, sizeof(*r));
}

/* ---- one value ---- */

/*
 * The error about a value that does not fit its key. A secret is never shown. why: what is wrong
 * with it, if more is known than that it does not fit.
 */
static void reader_unfit(struct reader *r, const struct schema_key *k, const yaml_node_t *n,
			 const char *why)
{
	char found[300], expect[256];

	if (k->secret && doc_is_scalar(n) && !doc_is_null(n))
		snprintf(found, sizeof(found), "%zu bytes", n->data.scalar.length);
	else
		doc_describe(n, found, 80);
	schema_expect(k, expect, sizeof(expect));
	reader_error(r, n, "found %s%s%s (expected %s)", found, *why ? ", which " : "", why,
		     expect);
}

static void field_store(void *field, size_t width, uint64_t value)
{
	switch (width) {
	case 1: *(uint8_t *)field = (uint8_t)value; break;
	case 2: *(uint16_t *)field = (uint16_t)value; break;
	case 4: *(uint32_t *)field = (uint32_t)value; break;
	case 8: *(uint64_t *)field = value; break;
	default: assert(!"width of a number");
	}
}

static bool value_number(const struct schema_key *k, const char *text, bool plain, void *field,
			 char *why, size_t size)
{
	bool is_size = k->type == SCHEMA_SIZE;
	uint64_t v;

	if (!is_size && !plain) {
		snprintf(why, size, "is in quotes");
		return false;
	}
	if (is_size ? !text_size(text, &v) : !text_number(text, &v)) {
		if (text[0] == '0' && text[1] >= '0' && text[1] <= '9')
			snprintf(why, size, "has a leading zero");
		return false;
	}
	if (v < k->min || v > k->max)
		return false;
	field_store(field, k->width, v);
	return true;
}

static bool value_word(const struct schema_key *k, const char *text, void *section, void *field)
{
	for (const struct schema_word *w = k->words; w->word; w++) {
		if (strcmp(w->word, text))
			continue;
		if (k->set)
			k->set(section, w->value);
		else if (field)
			field_store(field, k->width, w->value);
		return true;
	}
	return false;
}

/* Length, characters, and the key's own check. */
static bool value_is_string(const struct schema_key *k, const char *text, char *why, size_t size)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
			snprintf(why, size, "has a control character");
			return false;
		}
	}
	if (k->type != SCHEMA_STRINGS && (len < k->min || len > k->max)) {
		snprintf(why, size, "is %zu bytes long", len);
		/* "found 11 bytes" says it already. */
		if (k->secret)
			why[0] = '\0';
		return false;
	}
	return !k->check || k->check(text, why, size);
}

static bool value_string(const struct schema_key *k, const char *text, void *field, char *why,
			 size_t size)
{
	if (k->words && !value_word(&(struct schema_key){ .words = k->words }, text, NULL, NULL))
		return false;
	if (!value_is_string(k, text, why, size))
		return false;
	if (k->offset == SCHEMA_NOWHERE)
		return true;
	if (k->type == SCHEMA_CHARS) {
		assert(k->max < k->width);
		memcpy(field, text, strlen(text) + 1);
	} else {
		free(*(char **)field);
		*(char **)field = must_strdup(text);
	}
	return true;
}

/* A scalar into its field; false with why. plain: it was written without quotes. */
static bool value_scalar(const struct schema_key *k, const char *text, bool plain, void *section,
			 char *why, size_t size)
{
	void *field = k->offset == SCHEMA_NOWHERE ? NULL : (char *)section + k->offset;

	why[0] = '\0';
	switch (k->type) {
	case SCHEMA_BOOL:
		if (!plain)
			snprintf(why, size, "is in quotes");
		return plain && text_bool(text, field);
	case SCHEMA_INT:
	case SCHEMA_SIZE: return value_number(k, text, plain, field, why, size);
	case SCHEMA_WORD: return value_word(k, text, section, field);
	case SCHEMA_STRING:
	case SCHEMA_CHARS: return value_string(k, text, field, why, size);
	case SCHEMA_UUID: return text_uuid(text, field);
	default: return false;
	}
}

/* ---- lists ---- */

/* A list of the right length; errors are said. */
static bool reader_list(struct reader *r, const struct schema_key *k, const yaml_node_t *n)
{
	char expect[256];

	if (!doc_is_list(n)) {
		reader_unfit(r, k, n, "");
		return false;
	}
	if (doc_count(n) < k->min || doc_count(n) > k->max) {
		schema_expect(k, expect, sizeof(expect));
		reader_error(r, n, "found a list of %u (expected %s)", doc_count(n), expect);
		return false;
	}
	return true;
}

static void reader_strings(struct reader *r, const struct schema_key *k, const yaml_node_t *list,
			   void *section)
{
	char **strings = must_alloc(doc_count(list), sizeof(char *));
	unsigned n = 0;

	for (unsigned i = 0; i < doc_count(list); i++) {
		const yaml_node_t *item = doc_item(&r->doc, list, i);
		const char *text = doc_is_null(item) ? NULL : doc_text(item);
		char why[300] = "", found[80];
		size_t mark = path_index(r, i);

		if (text && value_is_string(k, text, why, sizeof(why))) {
			strings[n++] = must_strdup(text);
		} else {
			reader_error(r, item, "found %s%s%s (expected %s)",
				     doc_describe(item, found, sizeof(found)),
				     *why ? ", which " : "", why, k->expect);
			r->bad[doc_index(&r->doc, list)] = true;
		}
		path_pop(r, mark);
	}
	if (k->offset == SCHEMA_NOWHERE) {
		while (n)
			free(strings[--n]);
		free(strings);
		return;
	}
	*(char ***)((char *)section + k->offset) = strings;
	*(unsigned *)((char *)section + k->count) = n;
}

/*
 * An element for every item, whatever is wrong with it: config_check.c walks items and elements
 * side by side.
 */
static void reader_sections(struct reader *r, const struct schema_key *k, const yaml_node_t *list,
			    void *section)
{
	unsigned n = doc_count(list);
	char *elements = must_alloc(n, k->sub->size);

	*(void **)((char *)section + k->offset) = elements;
	*(unsigned *)((char *)section + k->count) = n;
	for (unsigned i = 0; i < n; i++) {
		size_t mark = path_index(r, i);

		reader_section(r, k->sub, doc_item(&r->doc, list, i), elements + i * k->sub->size);
		path_pop(r, mark);
	}
}

/* ---- sections ---- */

static void reader_value(struct reader *r, const struct schema_key *k, const yaml_node_t *n,
			 void *section)
{
	/* `backend: null` means the backend of that name, whatever YAML thinks of the word. */
	bool null = doc_is_null(n) && !(k->words && *doc_text(n));
	const char *text = null ? NULL : doc_text(n);
	char why[300] = "";

	switch (k->type) {
	case SCHEMA_MAP: reader_section(r, k->sub, n, (char *)section + k->offset); break;
	case SCHEMA_LIST:
		if (reader_list(r, k, n))
			reader_sections(r, k, n, section);
		break;
	case SCHEMA_STRINGS:
		if (reader_list(r, k, n))
			reader_strings(r, k, n, section);
		break;
	default:
		if (!text || !value_scalar(k, text, doc_is_plain(n), section, why, sizeof(why)))
			reader_unfit(r, k, n, why);
	}
}

/* Defaults, also of the sections inside. */
static void reader_defaults(const struct schema *s, void *section)
{
	for (unsigned i = 0; i < s->nkeys; i++) {
		const struct schema_key *k = &s->keys[i];
		char why[300];

		if (k->type == SCHEMA_MAP)
			reader_defaults(k->sub, (char *)section + k->offset);
		if (k->def && !value_scalar(k, k->def, true, section, why, sizeof(why)))
			assert(!"a default that its own key does not take");
	}
}

static void reader_unknown_key(struct reader *r, const struct schema *s, const yaml_node_t *key)
{
	const struct schema_key *near;
	char list[512] = "", name[64];
	size_t n = 0, mark;

	if (!doc_text(key) || !*doc_text(key)) {
		reader_error(r, key, "found %s as a key (expected a word)",
			     doc_describe(key, name, sizeof(name)));
		return;
	}
	near = schema_nearest(s, doc_text(key));
	for (unsigned i = 0; !near && i < s->nkeys && n < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "one of ",
				      s->keys[i].name);
	/* As it was written, without the quotes that doc_quote() puts around it. */
	doc_quote(doc_text(key), strlen(doc_text(key)), name, sizeof(name));
	name[strlen(name) - 1] = '\0';
	mark = path_key(r, name + 1);
	reader_error(r, key, "unknown key (expected %s%s)", near ? "perhaps " : "",
		     near ? near->name : list);
	path_pop(r, mark);
}

/* One pair of a mapping. seen[i]: the line where key i was given, 0 not yet. */
static void reader_pair(struct reader *r, const struct schema *s, const yaml_node_t *map,
			unsigned i, unsigned *seen, void *section)
{
	const struct schema_key *k;
	yaml_node_t *key, *value;
	size_t mark;

	doc_pair(&r->doc, map, i, &key, &value);
	k = doc_text(key) ? schema_find(s, doc_text(key)) : NULL;
	if (!k) {
		reader_unknown_key(r, s, key);
		return;
	}
	mark = path_key(r, k->name);
	if (seen[k - s->keys]) {
		reader_error(r, key, "given a second time (expected once; the first is on line %u)",
			     seen[k - s->keys]);
	} else {
		seen[k - s->keys] = doc_line(key);
		reader_value(r, k, value, section);
	}
	path_pop(r, mark);
}

void reader_section(struct reader *r, const struct schema *s, const yaml_node_t *map, void *section)
{
	unsigned seen[32] = { 0 };
	char found[80], expect[256];

	assert(s->nkeys <= 32);
	reader_defaults(s, section);
	if (map && s->line != SCHEMA_NOWHERE)
		*(unsigned *)((char *)section + s->line) = doc_line(map);
	if (map && !doc_is_map(map)) {
		reader_error(r, map, "found %s (expected a mapping of keys to values)",
			     doc_describe(map, found, sizeof(found)));
		return;
	}
	for (unsigned i = 0; i < doc_count(map); i++)
		reader_pair(r, s, map, i, seen, section);
	for (unsigned i = 0; i < s->nkeys; i++)
		if (s->keys[i].required && !seen[i])
			reader_error_key(r, map, s->keys[i].name, "missing (expected %s)",
					 schema_expect(&s->keys[i], expect, sizeof(expect)));
}

/* ---- freeing ---- */

static void free_strings(const struct schema_key *k, void *section)
{
	char **strings = *(char ***)((char *)section + k->offset);
	unsigned n = *(unsigned *)((char *)section + k->count);

	for (unsigned i = 0; i < n; i++)
		free(strings[i]);
	free(strings);
}

static void free_sections(const struct schema_key *k, void *section)
{
	char *elements = *(char **)((char *)section + k->offset);
	unsigned n = *(unsigned *)((char *)section + k->count);

	for (unsigned i = 0; i < n; i++)
		reader_free_section(k->sub, elements + i * k->sub->size);
	free(elements);
}

void reader_free_section(const struct schema *s, void *section)
{
	for (unsigned i = 0; i < s->nkeys; i++) {
		const struct schema_key *k = &s->keys[i];
		void *field;

		if (k->offset == SCHEMA_NOWHERE)
			continue;
		field = (char *)section + k->offset;
		if (k->type == SCHEMA_MAP)
			reader_free_section(k->sub, field);
		else if (k->type == SCHEMA_LIST)
			free_sections(k, section);
		else if (k->type == SCHEMA_STRINGS)
			free_strings(k, section);
		else if (k->type == SCHEMA_STRING)
			free(*(char **)field);
		else if (k->secret)
			explicit_bzero(field, k->width);
	}
}
