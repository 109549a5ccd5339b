/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a YAML document to structs by the schema, collecting errors on the way. Knows keys and
 * types, not what they mean together: that is config_check.c.
 *
 * One reader belongs to one thread.
 */
#ifndef TARGET_CONFIG_READ_H
#define TARGET_CONFIG_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "target/config_schema.h"
#include "target/yaml.h"

enum { READER_ERRORS_MAX = 50 }; /* more are counted, not kept */

struct reader_error {
	unsigned line; /* 0: of the whole file */
	char *text;    /* "KEY: what" */
};

struct reader {
	const char *file;
	struct doc doc;
	bool *bad;	/* by doc_index(): an error was said about this value */
	char path[256]; /* "targets[0].luns[2].size" */
	struct reader_error errors[READER_ERRORS_MAX];
	unsigned nerrors, left_out;
};

/*
 * Path of what follows; returns what path_pop() needs to go back. A path that is too long is cut
 * off: only messages have it.
 */
size_t path_key(struct reader *r, const char *key);
size_t path_index(struct reader *r, unsigned i);
void path_pop(struct reader *r, size_t mark);

/* An error about node (its line; NULL: none) at the present path. */
void reader_error(struct reader *r, const yaml_node_t *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * The same one key below the present path, which may be absent from map: then the line is that of
 * map.
 */
void reader_error_key(struct reader *r, const yaml_node_t *map, const char *key, const char *fmt,
		      ...) __attribute__((format(printf, 4, 5)));
/* An error on a line, about no key. */
void reader_error_line(struct reader *r, unsigned line, const char *what);

/* The key is there and nothing was wrong with it. */
bool reader_good(const struct reader *r, const yaml_node_t *map, const char *key);
/* The key is there. */
bool reader_has(const struct reader *r, const yaml_node_t *map, const char *key);

/*
 * Fills a zeroed struct from a mapping (NULL: nothing but defaults). Allocates what
 * reader_free_section() frees.
 */
void reader_section(struct reader *r, const struct schema *s, const yaml_node_t *map,
		    void *section);
void reader_free_section(const struct schema *s, void *section);

/* All errors as "FILE:LINE: KEY: what", sorted by line. */
void reader_print(struct reader *r, FILE *errors);
void reader_free(struct reader *r); /* not the document */

/* malloc(3) that ends the program when there is no memory: at start there is nothing to go on with.
 */
void *must_alloc(size_t n, size_t size);
char *must_strdup(const char *s);

#endif
