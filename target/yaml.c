/* SPDX-License-Identifier: Apache-2.0 */
#include "target/yaml.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- errors ---- */

__attribute__((format(printf, 3, 4)))
static int doc_fail(struct doc_error *e, unsigned line,
							  const char *fmt, ...)
{
	va_list ap;

	e->line = line;
	va_start(ap, fmt);
	vsnprintf(e->what, sizeof(e->what), fmt, ap);
	va_end(ap);
	return -1;
}

static unsigned line_of_offset(const char *text, size_t len, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < len && i < offset; i++)
		line += text[i] == '\n';
	return line;
}

/* The byte at a mark; a line with more than ASCII before it may give another one. */
static char char_at(const char *text, size_t len, const yaml_mark_t *at)
{
	const char *p = text, *end = text + len;

	for (size_t i = 0; i < at->line && p; i++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	return p && at->column < (size_t)(end - p) ? p[at->column] : '\0';
}

/* What libyaml says, as one sentence. A reader error (bad UTF-8) has no mark, only an offset. */
static int doc_fail_parser(struct doc_error *e, const yaml_parser_t *p, const char *text,
			   size_t len)
{
	const char *problem = p->problem ? p->problem : "not understood";

	if (p->error == YAML_MEMORY_ERROR)
		return doc_fail(e, 0, "out of memory");
	if (p->error == YAML_READER_ERROR)
		return doc_fail(e, line_of_offset(text, len, p->problem_offset),
				"byte %zu: %s (expected UTF-8 text)", p->problem_offset, problem);
	return doc_fail(e, (unsigned)p->problem_mark.line + 1, "not YAML: %s%s%s in column %zu%s",
			problem, p->context ? " " : "", p->context ? p->context : "",
			(size_t)p->problem_mark.column + 1,
			char_at(text, len, &p->problem_mark) == '\t'
				? ", a tab (expected blanks)" : "");
}

/* ---- reading ---- */

static void doc_parser(yaml_parser_t *p, const void *text, size_t len)
{
	if (!yaml_parser_initialize(p)) {
		/* Only malloc can fail there; there is nothing to go on with. */
		fputs("out of memory\n", stderr);
		__builtin_trap();
	}
	/* Not from a byte order mark: UTF-16 is refused as bad UTF-8. */
	yaml_parser_set_encoding(p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(p, text, len);
}

struct scan {
	unsigned depth, documents;
	bool content; /* of the first document: more than nothing */
};

/* One event of the first pass; 0 or -1. */
static int doc_scan_event(struct scan *s, const yaml_event_t *ev, struct doc_error *e)
{
	unsigned line = (unsigned)ev->start_mark.line + 1;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (s->documents++)
			return doc_fail(
				e, line,
				"a second document (expected one document, without further ---)");
		break;
	case YAML_ALIAS_EVENT:
		return doc_fail(
			e, line,
			"an alias *%.40s (expected the value itself: aliases are not taken)",
			(const char *)ev->data.alias.anchor);
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		s->content |= s->depth || ev->data.scalar.length ||
			      ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		s->depth++;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		s->depth++;
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		s->depth--;
		s->content = true;
		break;
	default: break;
	}
	if (anchor)
		return doc_fail(
			e, line,
			"an anchor &%.40s (expected the value alone: anchors are not taken)",
			(const char *)anchor);
	if (tag)
		return doc_fail(e, line,
				"a tag %.40s (expected the value alone: tags are not taken)",
				(const char *)tag);
	if (s->depth > DOC_DEPTH_MAX)
		return doc_fail(e, line, "lists and mappings more than %d deep (expected fewer)",
				DOC_DEPTH_MAX);
	return 0;
}

/*
 * The first pass, over events: the document API resolves aliases (they can be cyclic), forgets
 * where they were written, and builds a tree of any depth before one can look at it.
 */
static int doc_scan(const void *text, size_t len, struct doc_error *e)
{
	struct scan s = { 0 };
	yaml_parser_t p;
	yaml_event_t ev;
	bool end = false;
	int err = 0;

	doc_parser(&p, text, len);
	while (!end && !err) {
		if (!yaml_parser_parse(&p, &ev)) {
			err = doc_fail_parser(e, &p, text, len);
			break;
		}
		end = ev.type == YAML_STREAM_END_EVENT;
		err = doc_scan_event(&s, &ev, e);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p);
	if (!err && !s.content)
		err = doc_fail(e, 0, "the file is empty (expected a mapping of keys to values)");
	return err;
}

int doc_read(struct doc *d, const void *text, size_t len, struct doc_error *e)
{
	yaml_parser_t p;
	int err = 0;

	memset(e, 0, sizeof(*e));
	if (len > DOC_BYTES_MAX)
		return doc_fail(e, 0, "%zu bytes long (expected %d bytes at most)", len,
				DOC_BYTES_MAX);
	if (doc_scan(text, len, e))
		return -1;
	doc_parser(&p, text, len);
	if (!yaml_parser_load(&p, &d->yaml)) {
		err = doc_fail_parser(e, &p, text, len);
	} else {
		d->root = yaml_document_get_root_node(&d->yaml);
		assert(d->root); /* the first pass saw content */
	}
	yaml_parser_delete(&p);
	return err;
}

void doc_free(struct doc *d)
{
	yaml_document_delete(&d->yaml);
	d->root = NULL;
}

/* ---- nodes ---- */

bool doc_is_map(const yaml_node_t *n)
{
	return n && n->type == YAML_MAPPING_NODE;
}

bool doc_is_list(const yaml_node_t *n)
{
	return n && n->type == YAML_SEQUENCE_NODE;
}

bool doc_is_scalar(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE;
}

unsigned doc_line(const yaml_node_t *n)
{
	return (unsigned)n->start_mark.line + 1;
}

unsigned doc_index(const struct doc *d, const yaml_node_t *n)
{
	return (unsigned)(n - d->yaml.nodes.start);
}

unsigned doc_nodes(const struct doc *d)
{
	return (unsigned)(d->yaml.nodes.top - d->yaml.nodes.start);
}

unsigned doc_count(const yaml_node_t *n)
{
	if (doc_is_list(n))
		return (unsigned)(n->data.sequence.items.top - n->data.sequence.items.start);
	if (doc_is_map(n))
		return (unsigned)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
	return 0;
}

/* libyaml's getter wants a non-const document and changes nothing. */
static yaml_node_t *doc_node(const struct doc *d, int index)
{
	return yaml_document_get_node((yaml_document_t *)(uintptr_t)&d->yaml, index);
}

yaml_node_t *doc_item(const struct doc *d, const yaml_node_t *list, unsigned i)
{
	assert(doc_is_list(list) && i < doc_count(list));
	return doc_node(d, list->data.sequence.items.start[i]);
}

void doc_pair(const struct doc *d, const yaml_node_t *map, unsigned i, yaml_node_t **key,
	      yaml_node_t **value)
{
	assert(doc_is_map(map) && i < doc_count(map));
	*key = doc_node(d, map->data.mapping.pairs.start[i].key);
	*value = doc_node(d, map->data.mapping.pairs.start[i].value);
}

yaml_node_t *doc_get(const struct doc *d, const yaml_node_t *map, const char *key)
{
	yaml_node_t *k, *v;

	if (!doc_is_map(map))
		return NULL;
	for (unsigned i = 0; i < doc_count(map); i++) {
		const char *text;

		doc_pair(d, map, i, &k, &v);
		text = doc_text(k);
		if (text && !strcmp(text, key))
			return v;
	}
	return NULL;
}

const char *doc_text(const yaml_node_t *n)
{
	const char *text;

	if (!doc_is_scalar(n))
		return NULL;
	text = (const char *)n->data.scalar.value;
	return strlen(text) == n->data.scalar.length ? text : NULL;
}

bool doc_is_plain(const yaml_node_t *n)
{
	return doc_is_scalar(n) && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

bool doc_is_null(const yaml_node_t *n)
{
	const char *text = doc_text(n);

	return doc_is_plain(n) && text &&
	       (!*text || !strcmp(text, "~") || !strcmp(text, "null") || !strcmp(text, "Null") ||
		!strcmp(text, "NULL"));
}

/* ---- for messages ---- */

const char *doc_quote(const char *text, size_t len, char *buf, size_t size)
{
	size_t n = 0;
	bool cut = false;

	assert(size >= 8);
	buf[n++] = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (n + 6 > size) { /* room for this, `..."` and NUL */
			cut = true;
			break;
		}
		buf[n++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	if (cut) {
		memcpy(buf + n, "...", 3);
		n += 3;
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}

const char *doc_describe(const yaml_node_t *n, char *buf, size_t size)
{
	if (doc_is_list(n))
		snprintf(buf, size, "a list");
	else if (doc_is_map(n))
		snprintf(buf, size, "a mapping");
	else if (!n || doc_is_null(n))
		snprintf(buf, size, "nothing");
	else
		doc_quote((const char *)n->data.scalar.value, n->data.scalar.length, buf, size);
	return buf;
}
