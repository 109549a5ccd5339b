/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the configuration share: a text is good, or it is refused with exactly these
 * lines.
 */
#ifndef TESTS_CONFIG_FRAME_H
#define TESTS_CONFIG_FRAME_H

#include "tests/unit/unit.h"

#include <string.h>

#include "target/config.h"

/* What comes next is on line 4, and on line 3. */
#define LUN                                                                                        \
	"targets:\n- name: iqn.2026-11.com.example:t\n  luns:\n  - {lun: 0, name: a, "
#define TARGET "targets:\n- name: iqn.2026-11.com.example:t\n  "
#define NO_TARGETS "targets: []\n"
/*
 * Of LUN: sha256sum's first 16 bytes, with version 8 and variant 10b. The identity of a disk must
 * never change.
 */
#define UUID_OF_A "047228c3-3485-8945-bd2b-6a14732e402e"
#define NAA_OF_A  "647228c334858945bd2b6a14732e402e"

static char *messages; /* of the last parse */

static inline struct config *parse(const char *text)
{
	size_t len;
	FILE *f;
	struct config *c;

	free(messages);
	f = open_memstream(&messages, &len);
	c = config_parse("t.yaml", text, strlen(text), f);
	fclose(f);
	return c;
}

static inline struct config *good(const char *text)
{
	struct config *c = parse(text);

	if (!c || *messages)
		fprintf(stderr, "\nrefused:\n%s\n%s", text, messages);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(messages, "");
	return c;
}

static inline void compare(const char *text, const char *expected)
{
	if (strcmp(messages, expected))
		fprintf(stderr, "\n%s\nfound:\n%s\nexpected:\n%s", text, messages, expected);
	CU_ASSERT_STRING_EQUAL(messages, expected);
}

/* Refused with exactly these lines. */
static inline void bad(const char *text, const char *expected)
{
	struct config *c = parse(text);

	CU_ASSERT_PTR_NULL(c);
	config_free(c);
	compare(text, expected);
}

#endif
