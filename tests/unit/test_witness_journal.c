/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries as records of a journal: read again they add up to the same picture, also when the
 * journal has forgotten its beginning; damaged records are noticed.
 */
#include "tests/unit/witness_world.h"

#include <jansson.h>

#include "target/journal.h"
#include "target/witness_json.h"

enum { RECORDS = 2 * WW_ENTRIES };

static char *record[RECORDS];
static unsigned records;
static struct witness_replay *replay;

static void record_put(json_t *o)
{
	char *s;

	CU_ASSERT_FATAL(o && records < RECORDS);
	/* As the journal does it: its own members first. */
	json_object_set_new(o, "seq", json_integer(records + 1));
	json_object_set_new(o, "time", json_integer(1795316400000000000));
	s = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	CU_ASSERT_FATAL(s && strlen(s) < JOURNAL_BODY_MAX && !strchr(s, '\n'));
	record[records++] = s;
}

/* The world as a journal, with its picture after every `every` entries. */
static void records_make(unsigned every)
{
	static uint8_t image[WITNESS_IMAGE_MAX];
	static struct witness_picture p;

	while (records)
		free(record[--records]);
	witness_picture_init(&p);
	for (unsigned i = 0; i < ww_n; i++) {
		witness_picture_apply(&p, &ww_entry[i]);
		record_put(witness_entry_json(&ww_entry[i]));
		if (!every || i % every != every - 1)
			continue;
		for (size_t n = ww_image(&p, image), off = 0; off < n; off += WITNESS_PART)
			record_put(witness_part_json(image, n, off));
	}
}

static void replay_from(unsigned first)
{
	if (!replay)
		replay = malloc(sizeof(*replay));
	witness_replay_init(replay);
	for (unsigned i = first; i < records; i++)
		witness_replay_record(replay, record[i], strlen(record[i]));
}

static void test_entries(void)
{
	for (unsigned k = 0; k < 60; k++) {
		ww_seed = 300 + k;
		ww_world();
		for (unsigned i = 0; i < 600; i++)
			ww_random(k % 4 ? 4 : 100);
		records_make(0);
		replay_from(0);
		CU_ASSERT_FATAL(ww_same(&replay->picture, &ww.picture));
		CU_ASSERT_FATAL(!replay->gap);
		CU_ASSERT_EQUAL_FATAL(replay->entries, ww_n);
	}
}

static bool same_time(const struct witness_time *a, const struct witness_time *b)
{
	return a->utc_ms == b->utc_ms && a->mono_ms == b->mono_ms && a->run == b->run;
}

/* Each member that an entry may have. */
static void test_members(void)
{
	for (unsigned kind = 0; kind < WITNESS_KINDS; kind++)
		for (unsigned how = 0; how < 10; how++) {
			struct witness_entry e = {
				.at = { UINT64_C(1795316400123), 77, 3 },
				.kind = (uint8_t)kind,
				.how = (uint8_t)how,
				.type = 5,
				.flag = how & 1,
				.count = 4000000000u,
				.value = UINT64_MAX - how,
				.when = { 1, 2, 3 },
				.who = nx('q'),
				.other = "iqn.x:\xc3\xa4",
			}, got;
			bool has = kind >= WITNESS_REGISTERED && kind != WITNESS_DEFENDED;
			json_t *o;

			if (!has)
				e.how = 0;
			else if ((kind == WITNESS_BEAT || kind == WITNESS_MESSAGE ||
				  kind == WITNESS_SOFTWARE) &&
				 how >= WITNESS_SOFTWARES)
				continue;
			else if (kind == WITNESS_WARNING && how >= WITNESS_WARNINGS)
				continue;
			o = witness_entry_json(&e);
			CU_ASSERT_FATAL(witness_entry_read(o, &got));
			CU_ASSERT_FATAL(same_time(&e.at, &got.at));
			CU_ASSERT_FATAL(same_time(&e.when, &got.when));
			CU_ASSERT_FATAL(e.kind == got.kind && e.how == got.how &&
					e.type == got.type && e.flag == got.flag &&
					e.count == got.count && e.value == got.value &&
					nexus_eq(&e.who, &got.who) && !strcmp(e.other, got.other));
			json_decref(o);
		}
}

/* Whatever is left from the last picture on is enough. */
static void test_forgotten(void)
{
	for (unsigned k = 0; k < 20; k++) {
		unsigned last = 0;

		ww_seed = 700 + k;
		ww_world();
		for (unsigned i = 0; i < 1000; i++)
			ww_random(k % 2 ? 4 : 100);
		records_make(100);
		for (unsigned i = 0; i < records; i++)
			if (strstr(record[i], "\"part\":0,"))
				last = i;
		CU_ASSERT_FATAL(last > 0);
		for (unsigned from = 0; from <= last; from += 1 + ww_rnd(200)) {
			replay_from(from);
			CU_ASSERT_FATAL(ww_same(&replay->picture, &ww.picture));
		}
		replay_from(last);
		CU_ASSERT_FATAL(ww_same(&replay->picture, &ww.picture));
		CU_ASSERT_FATAL(replay->entries <= 100 + 60);
		/* A picture of which a part is missing does not count. */
		if (last + 1 < records && strstr(record[last + 1], "\"part\":1,")) {
			replay_from(last + 1);
			CU_ASSERT(!ww_same(&replay->picture, &ww.picture));
		}
	}
}

/* Records that are damaged in every way are no entries, or others; never more. */
static void test_damaged(void)
{
	unsigned gaps = 0;

	ww_seed = 4711;
	ww_world();
	for (unsigned i = 0; i < 500; i++)
		ww_random(4);
	records_make(50);
	for (unsigned k = 0; k < 300; k++) {
		unsigned i = ww_rnd(records), n = (unsigned)strlen(record[i]), at = ww_rnd(n);
		char was = record[i][at], to = (char)(1 + ww_rnd(126));

		record[i][at] = to;
		replay_from(0);
		gaps += replay->gap;
		record[i][at] = was;
	}
	CU_ASSERT(gaps > 0);
	replay_from(0);
	CU_ASSERT(ww_same(&replay->picture, &ww.picture));
}

/* A picture of another version is not read; what it had may be missing: a gap, until the next. */
static void test_version(void)
{
	static uint8_t image[WITNESS_IMAGE_MAX];
	unsigned last = 0, n, from;

	ww_seed = 4712;
	ww_world();
	for (unsigned i = 0; i < 500; i++)
		ww_random(4);
	records_make(100);
	for (unsigned i = 0; i < records; i++)
		if (strstr(record[i], "\"part\":0,"))
			last = i;
	CU_ASSERT_FATAL(last > 0);
	replay_from(last);
	CU_ASSERT(!replay->gap);
	/* The version is behind the magic. */
	from = records;
	n = ww_image(&ww.picture, image);
	for (unsigned v = 0; v < 256; v++) {
		bool ours = v == image[4];
		uint8_t was = image[4];

		image[4] = (uint8_t)v;
		for (size_t off = 0; off < n; off += WITNESS_PART)
			record_put(witness_part_json(image, n, off));
		image[4] = was;
		replay_from(from);
		CU_ASSERT_EQUAL(replay->gap, !ours);
		replay_from(last);
		CU_ASSERT_EQUAL(replay->gap, !ours);
		while (records > from)
			free(record[--records]);
	}
}

/* What the journal says about itself, and what a later version may add. */
static void test_others(void)
{
	static const char *const odd[] = {
		"",
		"{",
		"[]",
		"null",
		"17",
		"{}",
		"{\"kind\":5}",
		"{\"kind\":\"nonsense\"}",
		"{\"kind\":\"owner\"}",
		"{\"kind\":\"owner\",\"how\":\"STEAL\"}",
		"{\"kind\":\"owner\",\"how\":\"RESERVE\",\"type\":-1}",
		"{\"kind\":\"owner\",\"how\":\"RESERVE\",\"type\":256}",
		"{\"kind\":\"login\",\"initiator\":\"iqn.x:a\"}",
		"{\"kind\":\"login\",\"initiator\":\"iqn.x:a\",\"isid\":\"80\"}",
		"{\"kind\":\"login\",\"initiator\":\"iqn.x:a\",\"isid\":\"80000000000z\"}",
		"{\"kind\":\"login\",\"initiator\":7,\"isid\":\"800000000000\"}",
		"{\"kind\":\"login\",\"run\":4294967296}",
		"{\"kind\":\"login\",\"utc\":\"now\"}",
		"{\"seq\":1,\"time\":1,\"lost\":5}",
		"{\"kind\":\"registered\",\"how\":\"REGISTER\",\"value\":\"ten\"}",
		"{\"kind\":\"picture\"}",
		"{\"kind\":\"picture\",\"part\":0,\"parts\":1,\"data\":\"00\"}",
		"{\"kind\":\"picture\",\"part\":0,\"parts\":1,\"data\":\"0\"}",
		"{\"kind\":\"picture\",\"part\":1,\"parts\":1,\"data\":\"00\"}",
		"{\"kind\":\"picture\",\"part\":0,\"parts\":0,\"data\":\"\"}",
		"{\"kind\":\"picture\",\"part\":-1,\"parts\":\"x\",\"data\":5}",
	};
	static struct witness_picture empty;

	witness_picture_init(&empty);
	replay_from(records);
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		witness_replay_record(replay, odd[i], strlen(odd[i]));
	CU_ASSERT(ww_same(&replay->picture, &empty));
	CU_ASSERT(replay->gap);
	CU_ASSERT_EQUAL(replay->entries, 0);
	witness_replay_init(replay);
	witness_replay_record(replay, "{\"seq\":1,\"time\":1,\"lost\":5}", 27);
	CU_ASSERT(replay->gap);
	witness_replay_init(replay);
	{
		const char *good = "{\"kind\":\"started\",\"utc\":5,\"run\":1,\"new\":{\"a\":1}}";

		witness_replay_record(replay, good, strlen(good));
		CU_ASSERT_EQUAL(replay->entries, 1);
		CU_ASSERT(!replay->gap);
	}
	while (records)
		free(record[--records]);
	free(replay);
}

UNIT_MAIN("witness journal", UNIT(test_entries), UNIT(test_members), UNIT(test_forgotten),
	  UNIT(test_damaged), UNIT(test_version), UNIT(test_others))
