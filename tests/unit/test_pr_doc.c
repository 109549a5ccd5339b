/* SPDX-License-Identifier: Apache-2.0 */
/* The document of `pr export` and `pr import`. */
#include "pr/state.h"
#include "scsi/wire.h"
#include "target/pr_doc.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

static struct lu_world w;
static struct pr_state *out;
static char err[512];

/* Two registrants, the second holds. */
static json_t *sample(void)
{
	struct pr_state *s = calloc(1, pr_state_max());
	json_t *doc;

	pr_copy(s, pr_none);
	pr_add(s, &w.a, 0x1122334455667788);
	pr_add(s, &w.b, 0xfedcba9876543210);
	pr_reserve(s, 1, PR_WRITE_EXCLUSIVE_RO);
	s->generation = 0xfffffffe;
	s->aptpl = true;
	doc = pr_doc_put(s, &w.id, &w.target);
	CU_ASSERT_FATAL(doc != NULL);
	CU_ASSERT(pr_doc_get(doc, &w.id, &w.target, out, err, sizeof(err)));
	CU_ASSERT(out->size == s->size && !memcmp(out, s, s->size));
	free(s);
	return doc;
}

static void test_there_and_back(void)
{
	static const uint8_t types[] = { 0, 1, 3, 5, 6, 7, 8 };
	struct pr_state *s = calloc(1, pr_state_max());

	json_decref(sample());
	for (unsigned n = 0; n < 3; n++) {
		for (unsigned i = 0; i < sizeof(types); i++) {
			json_t *doc;

			pr_copy(s, pr_none);
			if (n > 0)
				pr_add(s, &w.a, 1);
			if (n > 1)
				pr_add(s, &w.b, UINT64_MAX);
			if (n && types[i])
				pr_reserve(s, n - 1, types[i]);
			doc = pr_doc_put(s, &w.id, &w.target);
			CU_ASSERT(pr_doc_get(doc, &w.id, &w.target, out, err, sizeof(err)));
			CU_ASSERT(out->size == s->size && !memcmp(out, s, s->size));
			json_decref(doc);
		}
	}
	free(s);
}

static void test_full(void)
{
	struct pr_state *s = calloc(1, pr_state_max());
	struct nexus n = w.a;
	json_t *doc, *one;
	char *text;

	pr_copy(s, pr_none);
	memset(n.initiator, 'x', ISCSI_NAME_MAX);
	for (unsigned i = 0; i < PR_REGISTRANTS_MAX; i++) {
		put_be16(n.isid + 4, (uint16_t)i);
		pr_add(s, &n, i + 1);
	}
	doc = pr_doc_put(s, &w.id, &w.target);
	CU_ASSERT(pr_doc_get(doc, &w.id, &w.target, out, err, sizeof(err)));
	CU_ASSERT(out->size == s->size && !memcmp(out, s, s->size));
	/* It fits into a request of the control socket (control.c). */
	text = json_dumps(doc, JSON_COMPACT);
	CU_ASSERT(text && strlen(text) < (2 << 20) - 4096);
	free(text);
	one = json_deep_copy(json_array_get(json_object_get(doc, "registrants"), 0));
	json_object_set_new(one, "isid", json_string("ffffffffffff"));
	json_array_append_new(json_object_get(doc, "registrants"), one);
	CU_ASSERT_FALSE(pr_doc_get(doc, &w.id, &w.target, out, err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "registrants[1024]: too many (expected at most 1024 "
				    "registrants)");
	json_decref(doc);
	free(s);
}

/* A name that cannot be text is told, not changed. */
static void test_name_not_utf8(void)
{
	struct pr_state *s = calloc(1, pr_state_max());
	struct nexus n = w.a;

	pr_copy(s, pr_none);
	n.initiator[3] = '\xff';
	pr_add(s, &n, 1);
	CU_ASSERT_PTR_NULL(pr_doc_put(s, &w.id, &w.target));
	free(s);
}

/* One member is changed (NULL: taken away), and the error names it and what was expected. */
static void test_errors(void)
{
	static const struct {
		const char *member, *json, *error;
		bool reg;	/* of the first registrant */
	} t[] = {
		{ "format", NULL, "\"format\" is missing (expected a string)", false },
		{ "format", "7", "\"format\" is no string (expected a string)", false },
		{ "format", "\"x\"", "\"format\" is \"x\" (expected \"holdfast-pr\")", false },
		{ "version", "2", "\"version\" is 2 (expected 1)", false },
		{ "version", "-1", "\"version\" is no such number", false },
		{ "uuid", "\"a\"", "\"uuid\" is a, so this is another LUN's", false },
		{ "type", "2", "\"type\" is 2 (expected 0, 1, 3, 5, 6, 7 or 8)", false },
		{ "type", "16", "\"type\" is no such number (expected a whole number from 0 to 15)",
		  false },
		{ "type", "0", "there is a \"holder\" without a reservation", false },
		{ "type", "7", "1 of 2 registrants have \"holder\" true (expected all, and at "
		  "least one with \"type\" 7)", false },
		{ "generation", "4294967296", "\"generation\" is no such number", false },
		{ "generation", "1.5", "\"generation\" is no such number", false },
		{ "aptpl", "0", "\"aptpl\" is neither true nor false", false },
		{ "registrants", NULL, "\"registrants\" is missing (expected an array)", false },
		{ "registrants", "{}", "\"registrants\" is no array", false },
		{ "registrants", "[]", "0 of 0 registrants have \"holder\" true", false },
		{ "registrants", "[7]", "registrants[0]: is no object", false },
		{ "registrant", "[]", "\"registrant\" is no member of it", false },
		{ "initiator", "\"\"", "registrants[0]: \"initiator\" has 0 bytes", true },
		{ "initiator", "\"a b\"", "registrants[0]: \"initiator\" has a character", true },
		{ "initiator", "\"a,b\"", "registrants[0]: \"initiator\" has a character", true },
		{ "initiator", "\"a\\u0000b\"", "registrants[0]: \"initiator\" is no", true },
		{ "isid", "\"1\"", "registrants[0]: \"isid\" is \"1\" (expected 12 hex", true },
		{ "isid", "\"00000000000g\"", "registrants[0]: \"isid\" is", true },
		{ "target", "\"iqn.x:y\"", "registrants[0]: \"target\" is iqn.x:y", true },
		{ "group", "77", "registrants[0]: the target has no portal group 77 (expected "
		  "one of 1, 2)", true },
		{ "group", "65536", "registrants[0]: \"group\" is no such number", true },
		{ "key", "\"0x0000000000000000\"", "registrants[0]: \"key\" is", true },
		{ "key", "\"0x12\"", "registrants[0]: \"key\" is \"0x12\" (expected 0x", true },
		{ "key", "18", "registrants[0]: \"key\" is no string", true },
		{ "holder", NULL, "registrants[0]: \"holder\" is missing", true },
		{ "holder", "true", "2 of 2 registrants have \"holder\" true (expected one", true },
		{ "kez", "1", "registrants[0]: \"kez\" is no member of it", true },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		json_t *doc = sample(), *at = doc;

		if (t[i].reg)
			at = json_array_get(json_object_get(doc, "registrants"), 0);
		if (t[i].json)
			json_object_set_new(at, t[i].member,
					    json_loads(t[i].json, JSON_DECODE_ANY | JSON_ALLOW_NUL,
						       NULL));
		else
			json_object_del(at, t[i].member);
		err[0] = 0;
		CU_ASSERT_FALSE(pr_doc_get(doc, &w.id, &w.target, out, err, sizeof(err)));
		if (strncmp(err, t[i].error, strlen(t[i].error))) {
			printf("%s=%s: %s\n", t[i].member, t[i].json ? t[i].json : "-", err);
			CU_FAIL("another error");
		}
		json_decref(doc);
	}
}

static void test_twice(void)
{
	json_t *doc = sample(), *regs = json_object_get(doc, "registrants"), *copy;

	copy = json_deep_copy(json_array_get(regs, 0));
	json_object_set_new(copy, "initiator", json_string("IQN.2026-11.COM.EXAMPLE:A"));
	json_object_set_new(copy, "key", json_string("0x0000000000000001"));
	json_array_append_new(regs, copy);
	CU_ASSERT_FALSE(pr_doc_get(doc, &w.id, &w.target, out, err, sizeof(err)));
	CU_ASSERT(strstr(err, "registrants[2]: iqn.2026-11.com.example:a, ISID ") == err);
	CU_ASSERT(strstr(err, "is registered already") != NULL);
	json_decref(doc);
	doc = json_array();
	CU_ASSERT_FALSE(pr_doc_get(doc, &w.id, &w.target, out, err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "the document is no object");
	json_decref(doc);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_there_and_back), UNIT(test_full), UNIT(test_name_not_utf8),
		UNIT(test_errors), UNIT(test_twice),
	};
	int rc;

	lu_world_init(&w);
	out = calloc(1, pr_state_max());
	rc = unit_run("pr_doc", tests, sizeof(tests) / sizeof(tests[0]));
	free(out);
	lu_world_fini(&w);
	return rc;
}
