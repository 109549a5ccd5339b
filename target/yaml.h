/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small YAML document, read whole, every node with its line: what libyaml's document API gives,
 * minus what a configuration has no use for and a person could be surprised by (anchors and
 * aliases, tags, a second document, deep nesting). Knows nothing of Holdfast.
 *
 * Any thread; one document belongs to one thread.
 */
#ifndef TARGET_YAML_H
#define TARGET_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

enum {
	DOC_BYTES_MAX =
		1 << 20, /* a longer text is refused: libyaml needs about 100 bytes for each node */
	DOC_DEPTH_MAX = 16, /* lists and mappings inside each other */
};

struct doc {
	yaml_document_t yaml;
	yaml_node_t *root;
};

struct doc_error {
	unsigned line;	/* 1..; 0: of the whole text */
	char what[160]; /* "what was found (expected what)" */
};

/*
 * Reads len bytes of text, which stay the caller's. 0, and *d is to be freed by doc_free(); or -1,
 * *e says why and *d needs nothing. An empty text is an error.
 */
int doc_read(struct doc *d, const void *text, size_t len, struct doc_error *e);
void doc_free(struct doc *d);

/* Nodes belong to the document. */
bool doc_is_map(const yaml_node_t *n);
bool doc_is_list(const yaml_node_t *n);
bool doc_is_scalar(const yaml_node_t *n);
unsigned doc_line(const yaml_node_t *n);
unsigned doc_index(const struct doc *d,
		   const yaml_node_t *n); /* 0..doc_nodes()-1, a different one for each node */
unsigned doc_nodes(const struct doc *d);

unsigned doc_count(const yaml_node_t *n); /* items of a list, pairs of a mapping; 0 for a scalar */
yaml_node_t *doc_item(const struct doc *d, const yaml_node_t *list, unsigned i);
void doc_pair(const struct doc *d, const yaml_node_t *map, unsigned i, yaml_node_t **key,
	      yaml_node_t **value);
/* The value of the first key of that name, or NULL; also NULL when map is NULL or not a mapping. */
yaml_node_t *doc_get(const struct doc *d, const yaml_node_t *map, const char *key);

/* A scalar's text; NULL when n is not a scalar or has a NUL inside. */
const char *doc_text(const yaml_node_t *n);
/* Written without quotes (and not as a block). */
bool doc_is_plain(const yaml_node_t *n);
/* Nothing written, or an unquoted ~ or null. */
bool doc_is_null(const yaml_node_t *n);

/*
 * For messages: `"text"`, `nothing`, `a list`, `a mapping`; unprintable bytes as '?', cut off to
 * fit. Returns buf.
 */
const char *doc_describe(const yaml_node_t *n, char *buf, size_t size);
const char *doc_quote(const char *text, size_t len, char *buf, size_t size);

#endif
