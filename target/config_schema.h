/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of all configuration keys: type, range, default, where the value goes, and a
 * sentence for people. Reader, messages, manual page (a test compares them) and `struct config` are
 * all driven by it or checked against it.
 *
 * Constant data: any thread.
 */
#ifndef TARGET_CONFIG_SCHEMA_H
#define TARGET_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
	SCHEMA_BOOL,	/* bool */
	SCHEMA_INT,	/* unsigned integer of `width` bytes, decimal */
	SCHEMA_SIZE,	/* the same in bytes, with K, M, G, T as powers of 1024 */
	SCHEMA_WORD,	/* one of `words`: unsigned integer of `width` bytes, or through set() */
	SCHEMA_STRING,	/* char *, allocated */
	SCHEMA_CHARS,	/* char[width] */
	SCHEMA_UUID,	/* uint8_t[16] */
	SCHEMA_STRINGS, /* char **, allocated, with a count */
	SCHEMA_MAP,	/* a struct inside the struct, by `sub` */
	SCHEMA_LIST,	/* an allocated array of structs, by `sub`, with a count */
};

/* A value that is checked but kept nowhere: whoever checks the meaning takes it from the document.
 */
#define SCHEMA_NOWHERE SIZE_MAX

struct schema_word {
	const char *word;
	unsigned value;
};

/*
 * Is this text what the key wants? true, or false with *why what is wrong with it ("has upper case
 * letters"), as a sentence in why when it must be made (size bytes), else NULL is left there for
 * "it is just not that".
 */
typedef bool schema_check(const char *text, char *why, size_t size);

struct schema_key {
	const char *name;
	enum schema_type type;
	bool required, secret; /* secret: never shown in messages */
	size_t offset;	       /* in the section's struct; SCHEMA_NOWHERE */
	size_t width;	       /* of the field, bytes */
	size_t count;	       /* SCHEMA_STRINGS, SCHEMA_LIST: offset of the `unsigned` count */
	uint64_t min, max;     /* of a number; length in bytes of a string; items of a list */
	const char *def; /* default, as one would write it; NULL: none, or the text in `deftext` */
	const char *deftext;		 /* a default that depends on other keys, for people */
	const struct schema_word *words; /* SCHEMA_WORD, and strings that must be one of them; ends
					    with a NULL word */
	void (*set)(void *section, unsigned value); /* SCHEMA_WORD: instead of storing the number */
	schema_check *check;			    /* strings */
	const char *expect;			    /* strings: "an address and port such as ..." */
	const struct schema *sub;
	const char *doc;
};

struct schema {
	const char *title; /* of its section in holdfast.yaml(5) */
	size_t size;	   /* of the struct */
	size_t line;	   /* offset of an `unsigned` that takes the line, or SCHEMA_NOWHERE */
	const struct schema_key *keys;
	unsigned nkeys;
};

extern const struct schema config_schema; /* of the whole file: struct config */

/*
 * Every section once, in the order of the file: 0 is the whole file; NULL at the end. For manual
 * pages and tests.
 */
const struct schema *config_schema_section(unsigned i);

/* The sentence on the key at a path without indices ("targets.luns.size"); NULL: no such key. */
const char *config_schema_doc(const char *path);

/*
 * "on or off", "a whole number from 0 to 256": what the key takes, for messages and pages. Returns
 * buf.
 */
const char *schema_expect(const struct schema_key *k, char *buf, size_t size);

/* A size as one would write it, with the largest unit that divides it. Returns buf. */
const char *schema_size_text(uint64_t bytes, char *buf, size_t size);

/* The key nearest in spelling to an unknown one, or NULL when none is near. */
const struct schema_key *schema_nearest(const struct schema *s, const char *name);
const struct schema_key *schema_find(const struct schema *s, const char *name);

#endif
