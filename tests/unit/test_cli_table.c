/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line prints. */
#include <string.h>

#include "target/cli_show.h"
#include "target/cli_table.h"
#include "tests/unit/unit.h"

#define COLS(a) (a), (unsigned)(sizeof(a) / sizeof((a)[0]))

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	if (!j)
		abort();
	return j;
}

static void test_sizes(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} t[] = {
		{ 0, "0" },	      { 512, "512" },
		{ 1023, "1023" },     { 1024, "1K" },
		{ 1536, "1.5K" },     { 500ull << 30, "500G" },
		{ 1ull << 40, "1T" }, { (1ull << 40) - 1, "1024.0G" },
		{ 1ull << 60, "1E" }, { UINT64_MAX, "16.0E" },
	};
	char buf[32];

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		CU_ASSERT_STRING_EQUAL(cli_size(t[i].bytes, buf, sizeof(buf)), t[i].text);
}

static void test_durations(void)
{
	char buf[64];

	CU_ASSERT_STRING_EQUAL(cli_duration(0, buf, sizeof(buf)), "00:00:00");
	CU_ASSERT_STRING_EQUAL(cli_duration(86399, buf, sizeof(buf)), "23:59:59");
	CU_ASSERT_STRING_EQUAL(cli_duration(86400 * 3 + 3661, buf, sizeof(buf)), "3d 01:01:01");
}

static void test_paths(void)
{
	json_t *j = parse("{\"a\": {\"b\": {\"c\": 7}}, \"d\": 1}");

	CU_ASSERT_EQUAL(json_integer_value(cli_at(j, "a.b.c")), 7);
	CU_ASSERT_EQUAL(json_integer_value(cli_at(j, "d")), 1);
	CU_ASSERT_PTR_EQUAL(cli_at(j, NULL), j);
	CU_ASSERT_PTR_NULL(cli_at(j, "a.x.c"));
	CU_ASSERT_PTR_NULL(cli_at(j, "d.e"));
	CU_ASSERT_PTR_NULL(cli_at(NULL, "d"));
	json_decref(j);
}

/* One value in every format. */
static void test_formats(void)
{
	static const struct {
		const char *json;
		enum cli_format format;
		const char *text;
	} t[] = {
		{ "[null]", CLI_TEXT, "-" },
		{ "[\"x\"]", CLI_TEXT, "x" },
		{ "[12]", CLI_COUNT, "12" },
		{ "[1.25]", CLI_TEXT, "1.2" },
		{ "[true]", CLI_TEXT, "yes" },
		{ "[false]", CLI_TEXT, "no" },
		{ "[{}]", CLI_TEXT, "-" },
		{ "[1024]", CLI_SIZE, "1K" },
		{ "[1500000]", CLI_CPU, "1.50 s" },
		{ "[\"2026-11-21T23:04:57.123Z\"]", CLI_TIME, "2026-11-21 23:04:57Z" },
		{ "[{\"header_digest\": \"None\", \"data_digest\": \"None\"}]", CLI_DIGESTS,
		  "none" },
		{ "[{\"header_digest\": \"CRC32C\", \"data_digest\": \"None\"}]", CLI_DIGESTS,
		  "header" },
		{ "[{\"header_digest\": \"None\", \"data_digest\": \"CRC32C\"}]", CLI_DIGESTS,
		  "data" },
		{ "[{\"header_digest\": \"CRC32C\", \"data_digest\": \"CRC32C\"}]", CLI_DIGESTS,
		  "header+data" },
		{ "[{\"type\": 0, \"reserve6\": false}]", CLI_PR, "-" },
		{ "[{\"type\": 1}]", CLI_PR, "WE" },
		{ "[{\"type\": 2}]", CLI_PR, "-" },
		{ "[{\"type\": 8}]", CLI_PR, "EA-AR" },
		{ "[{\"type\": 99}]", CLI_PR, "-" },
		{ "[{\"type\": 0, \"reserve6\": true}]", CLI_PR, "RESERVE6" },
	};
	char buf[64];

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		json_t *j = parse(t[i].json);

		CU_ASSERT_STRING_EQUAL(
			cli_text(json_array_get(j, 0), t[i].format, buf, sizeof(buf)), t[i].text);
		json_decref(j);
	}
}

/* Names come from initiators: no escape sequence reaches the terminal, no character is cut. */
static void test_clean(void)
{
	json_t *j = json_string("a\x1b[31m\n\x7f\xc2\x9b"
				"b\xc3\xa4");
	char buf[64], small[6];

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_STRING_EQUAL(cli_text(j, CLI_TEXT, buf, sizeof(buf)), "a?[31m???b\xc3\xa4");
	json_decref(j);
	j = json_string("abcd\xc3\xa4");
	CU_ASSERT_STRING_EQUAL(cli_text(j, CLI_TEXT, small, sizeof(small)), "abcd");
	CU_ASSERT_STRING_EQUAL(cli_text(j, CLI_TEXT, small, 5), "abcd");
	json_decref(j);
	j = json_string("ab\xc3\xa4 cd");
	CU_ASSERT_STRING_EQUAL(cli_text(j, CLI_TEXT, small, 5), "ab\xc3\xa4");
	json_decref(j);
}

/* What fn prints of a JSON text. The caller's. */
static char *printed(void (*fn)(FILE *out, json_t *j), const char *json)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	json_t *j = parse(json);

	if (!out)
		abort();
	fn(out, j);
	fclose(out);
	json_decref(j);
	return text;
}

static void two_columns(FILE *out, json_t *rows)
{
	static const struct cli_column cols[] = {
		{ "NAME", "n", CLI_TEXT },
		{ "SIZE", "s", CLI_SIZE },
		{ "STATE", "x", CLI_TEXT },
	};

	cli_table(out, " ", COLS(cols), rows);
}

static void test_table(void)
{
	char *s = printed(two_columns, "[{\"n\": \"\xc3\xa4\", \"s\": 1048576, \"x\": \"ready\"},"
				       " {\"n\": \"longer\", \"s\": 12}]");

	CU_ASSERT_STRING_EQUAL(s, " NAME    SIZE  STATE\n"
				  " \xc3\xa4         1M  ready\n"
				  " longer    12  -\n");
	free(s);
	s = printed(two_columns, "[]");
	CU_ASSERT_STRING_EQUAL(s, " NAME  SIZE  STATE\n");
	free(s);
}

/* Answers that lack what a view wants, as from a daemon of another version. */
static void test_views_of_nothing(void)
{
	static void (*const views[])(FILE *, json_t *) = { cli_show_status, cli_show_sessions,
							   cli_show_luns, cli_show_recovered,
							   cli_show_pr };

	for (unsigned i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		free(printed(views[i], "{}"));
		free(printed(views[i], "[]"));
		free(printed(views[i], "{\"luns\": [{}], \"sessions\": [{}], \"reactors\": [{}]}"));
	}
}

static void test_pr_view(void)
{
	char *s = printed(
		cli_show_pr,
		"{\"luns\": [{\"target\": \"t\", \"lun\": 3, \"name\": \"n\", \"type\": 5,"
		" \"type_name\": \"five\", \"scope\": \"LU\", \"generation\": 9, \"aptpl\": true,"
		" \"reserve6\": null, \"registrants\": [{\"key\": \"0x1\", \"holder\": true,"
		" \"logged_in\": false, \"initiator\": \"i\", \"isid\": \"80\", \"group\": 1,"
		" \"peer\": null, \"initiator_sessions\": 0}]}]}");

	CU_ASSERT_STRING_EQUAL(
		s, "t/3 (n): five (type 5, scope LU), 1 registrant, generation 9, APTPL\n"
		   "  KEY  HOLDER  LOGGED IN  INITIATOR  ISID  GROUP  PEER  ITS SESSIONS\n"
		   "  0x1  yes     no         i          80        1  -                0\n");
	free(s);
}

static void test_nearest(void)
{
	static const char *const words[] = { "status", "session list", "lun list", "pr show" };

	CU_ASSERT_STRING_EQUAL(cli_nearest("statsu", words, 4), "status");
	CU_ASSERT_STRING_EQUAL(cli_nearest("sessions list", words, 4), "session list");
	CU_ASSERT_STRING_EQUAL(cli_nearest("lum list", words, 4), "lun list");
	CU_ASSERT_PTR_NULL(cli_nearest("frobnicate", words, 4));
	CU_ASSERT_PTR_NULL(cli_nearest("", words, 4));
	CU_ASSERT_PTR_NULL(cli_nearest("x", words, 0));
	/* Longer than any word. */
	CU_ASSERT_PTR_NULL(cli_nearest(
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", words,
		4));
}

UNIT_MAIN("cli_table", UNIT(test_sizes), UNIT(test_durations), UNIT(test_paths), UNIT(test_formats),
	  UNIT(test_clean), UNIT(test_table), UNIT(test_views_of_nothing), UNIT(test_pr_view),
	  UNIT(test_nearest))
