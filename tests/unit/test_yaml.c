/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "target/yaml.h"

static struct doc_error error;

/* 0 or -1, as doc_read(). */
static int read_text(struct doc *d, const char *text)
{
	return doc_read(d, text, strlen(text), &error);
}

static void refused_n(const char *text, size_t len, unsigned line, const char *what)
{
	struct doc d;

	if (!doc_read(&d, text, len, &error)) {
		doc_free(&d);
		CU_FAIL("taken");
		fprintf(stderr, "taken: %s\n", text);
		return;
	}
	if (error.line != line || strcmp(error.what, what))
		fprintf(stderr, "\nfound    %u: %s\nexpected %u: %s\n", error.line, error.what,
			line, what);
	CU_ASSERT_EQUAL(error.line, line);
	CU_ASSERT_STRING_EQUAL(error.what, what);
}

static void refused(const char *text, unsigned line, const char *what)
{
	refused_n(text, strlen(text), line, what);
}

static void test_empty(void)
{
	static const char what[] = "the file is empty (expected a mapping of keys to values)";

	refused("", 0, what);
	refused("\n\n", 0, what);
	refused("# nothing but a comment\n", 0, what);
	refused("---\n", 0, what);
	refused("---\n...\n", 0, what);
	refused("\xef\xbb\xbf", 0, what);
}

static void test_documents(void)
{
	static const char what[] = "a second document (expected one document, without further ---)";
	struct doc d;

	refused("a: 1\n---\nb: 2\n", 2, what);
	refused("a: 1\n...\n---\n", 3, what);
	CU_ASSERT_EQUAL(read_text(&d, "%YAML 1.1\n---\na: 1\n...\n"), 0);
	doc_free(&d);
}

static void test_aliases(void)
{
	refused("a: &x 1\nb: *x\n", 1,
		"an anchor &x (expected the value alone: anchors are not taken)");
	refused("a: &x [*x]\n", 1,
		"an anchor &x (expected the value alone: anchors are not taken)");
	refused("&top\na: {b: *top}\n", 1,
		"an anchor &top (expected the value alone: anchors are not taken)");
	refused("a: 1\nb: *x\n", 2,
		"an alias *x (expected the value itself: aliases are not taken)");
}

static void test_tags(void)
{
	refused("a: 1\nb: !!int 5\n", 2,
		"a tag tag:yaml.org,2002:int (expected the value alone: tags are not taken)");
	refused("a: !x {}\n", 1, "a tag !x (expected the value alone: tags are not taken)");
	refused("a: !x []\n", 1, "a tag !x (expected the value alone: tags are not taken)");
}

static void test_depth(void)
{
	char text[64] = "";
	struct doc d;

	memset(text, '[', DOC_DEPTH_MAX);
	memset(text + DOC_DEPTH_MAX, ']', DOC_DEPTH_MAX);
	CU_ASSERT_EQUAL(read_text(&d, text), 0);
	doc_free(&d);
	memset(text, '[', DOC_DEPTH_MAX + 1);
	memset(text + DOC_DEPTH_MAX + 1, ']', DOC_DEPTH_MAX + 1);
	refused(text, 1, "lists and mappings more than 16 deep (expected fewer)");
}

static void test_size(void)
{
	char *text = malloc(DOC_BYTES_MAX + 1);
	struct doc d;

	memset(text, '#', DOC_BYTES_MAX + 1);
	memcpy(text, "a: 1\n", 5);
	refused_n(text, DOC_BYTES_MAX + 1, 0,
		  "1048577 bytes long (expected 1048576 bytes at most)");
	CU_ASSERT_EQUAL(doc_read(&d, text, DOC_BYTES_MAX, &error), 0);
	doc_free(&d);
	free(text);
}

static void test_encoding(void)
{
	refused("a: 1\nb: 2\nc: \xff\n", 3,
		"byte 13: invalid leading UTF-8 octet (expected UTF-8 text)");
	refused("a: \xc3(\n", 1, "byte 4: invalid trailing UTF-8 octet (expected UTF-8 text)");
	refused("a: 1\nb: \x01\n", 2,
		"byte 8: control characters are not allowed (expected UTF-8 text)");
	refused_n("a: 1\n\0\n", 7, 2,
		  "byte 5: control characters are not allowed (expected UTF-8 text)");
	/* UTF-16 by its mark. */
	refused_n("\xff\xfe"
		  "a\0:\0",
		  6, 1, "byte 0: invalid leading UTF-8 octet (expected UTF-8 text)");
}

static void test_syntax(void)
{
	refused("a: 1\nb: [1, 2\nc: 3\n", 3,
		"not YAML: did not find expected ',' or ']' while parsing a flow sequence in "
		"column 2");
	refused("a: 1\n b: 2\n", 2,
		"not YAML: mapping values are not allowed in this context in column 3");
	refused("a:\n\t- b\n", 2,
		"not YAML: found character that cannot start any token while scanning for the next "
		"token in column 1, a tab (expected blanks)");
	refused("a: @b\n", 1,
		"not YAML: found character that cannot start any token while scanning for the next "
		"token in column 4");
	refused("a: \"x\n", 2,
		"not YAML: found unexpected end of stream while scanning a quoted scalar in column "
		"1");
}

static void test_nodes(void)
{
	static const char text[] = "name: quorum\n"
				   "luns:\n"
				   "  - {lun: 0, 'size': \"500M\"}\n"
				   "  - 7\n"
				   "none:\n"
				   "tilde: ~\n"
				   "quoted: '~'\n"
				   "block: |\n"
				   "  text\n"
				   "nul: \"a\\0b\"\n";
	const yaml_node_t *list, *item;
	yaml_node_t *key, *value;
	struct doc d;

	CU_ASSERT_EQUAL_FATAL(read_text(&d, text), 0);
	CU_ASSERT(doc_is_map(d.root) && !doc_is_list(d.root) && !doc_is_scalar(d.root));
	CU_ASSERT_EQUAL(doc_count(d.root), 7);
	doc_pair(&d, d.root, 6, &key, &value);
	CU_ASSERT_STRING_EQUAL(doc_text(key), "nul");
	CU_ASSERT_EQUAL(doc_line(key), 10);
	CU_ASSERT_PTR_NULL(doc_text(value));
	list = doc_get(&d, d.root, "luns");
	CU_ASSERT_FATAL(doc_is_list(list));
	CU_ASSERT_EQUAL(doc_count(list), 2);
	item = doc_item(&d, list, 0);
	CU_ASSERT_EQUAL(doc_line(item), 3);
	CU_ASSERT_STRING_EQUAL(doc_text(doc_get(&d, item, "size")), "500M");
	CU_ASSERT_FALSE(doc_is_plain(doc_get(&d, item, "size")));
	CU_ASSERT_TRUE(doc_is_plain(doc_get(&d, item, "lun")));
	CU_ASSERT_PTR_NULL(doc_get(&d, item, "name"));
	CU_ASSERT_PTR_NULL(doc_get(&d, NULL, "name"));
	CU_ASSERT_PTR_NULL(doc_get(&d, list, "name"));
	CU_ASSERT_EQUAL(doc_count(doc_item(&d, list, 1)), 0);
	CU_ASSERT_TRUE(doc_is_null(doc_get(&d, d.root, "none")));
	CU_ASSERT_TRUE(doc_is_null(doc_get(&d, d.root, "tilde")));
	CU_ASSERT_FALSE(doc_is_null(doc_get(&d, d.root, "quoted")));
	CU_ASSERT_STRING_EQUAL(doc_text(doc_get(&d, d.root, "block")), "text\n");
	CU_ASSERT(doc_index(&d, d.root) != doc_index(&d, list));
	CU_ASSERT(doc_index(&d, item) < doc_nodes(&d));
	doc_free(&d);
}

static void test_describe(void)
{
	struct doc d;
	char buf[16];

	CU_ASSERT_EQUAL_FATAL(read_text(&d, "[a, \"b\\tc\xc3\xa4\", [], {}, '', 0123456789abcdef]"),
			      0);
	CU_ASSERT_STRING_EQUAL(doc_describe(doc_item(&d, d.root, 0), buf, sizeof(buf)), "\"a\"");
	CU_ASSERT_STRING_EQUAL(doc_describe(doc_item(&d, d.root, 1), buf, sizeof(buf)),
			       "\"b?c??\"");
	CU_ASSERT_STRING_EQUAL(doc_describe(doc_item(&d, d.root, 2), buf, sizeof(buf)), "a list");
	CU_ASSERT_STRING_EQUAL(doc_describe(doc_item(&d, d.root, 3), buf, sizeof(buf)),
			       "a mapping");
	CU_ASSERT_STRING_EQUAL(doc_describe(doc_item(&d, d.root, 4), buf, sizeof(buf)), "\"\"");
	CU_ASSERT_STRING_EQUAL(doc_describe(doc_item(&d, d.root, 5), buf, sizeof(buf)),
			       "\"0123456789...\"");
	CU_ASSERT_STRING_EQUAL(doc_describe(NULL, buf, sizeof(buf)), "nothing");
	doc_free(&d);
}

UNIT_MAIN("yaml", UNIT(test_empty), UNIT(test_documents), UNIT(test_aliases), UNIT(test_tags),
	  UNIT(test_depth), UNIT(test_size), UNIT(test_encoding), UNIT(test_syntax),
	  UNIT(test_nodes), UNIT(test_describe))
