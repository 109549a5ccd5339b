/* SPDX-License-Identifier: Apache-2.0 */
/* The history of a LU's reservations: what a record says, and what is seen at a start. */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "pr/state.h"
#include "scsi/wire.h"
#include "target/history.h"
#include "target/journal.h"
#include "target/log.h"
#include "target/rcall.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

static char dir[] = "/var/tmp/hf-history-XXXXXX";
static struct lu *lu;
static struct pr_state *old, *next;
static struct lu_value old_v, next_v;
static struct lu_change change;
static uint8_t param[24];
static struct nexus a, b;
static json_t *records;

static bool collect(void *arg, const struct journal_record *r)
{
	json_array_append_new(records, json_loads(r->json, 0, NULL));
	return true;
}

/* All records; the last one. */
static json_t *last(void)
{
	unsigned bad;

	while (journal_busy(history_journal(lu)))
		usleep(100);
	json_decref(records);
	records = json_array();
	CU_ASSERT_EQUAL(journal_read(history_journal(lu), 0, collect, NULL, &bad), 0);
	CU_ASSERT_EQUAL(bad, 0);
	return json_array_get(records, json_array_size(records) - 1);
}

static void nothing(void *arg)
{
}

static void start(const struct store_image *img)
{
	history_start(lu, dir, img);
	rcall_each(nothing, NULL);
}

static void remove_files(void)
{
	char path[128];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/lu-%032x.history.%u", dir, 0, i);
		unlink(path);
	}
}

static void begin(void)
{
	struct store_image img = { .pr = pr_none };

	remove_files();
	pr_copy(old, pr_none);
	pr_copy(next, pr_none);
	old_v = (struct lu_value){ .pr = old };
	next_v = (struct lu_value){ .pr = next };
	memset(&change, 0, sizeof(change));
	memset(param, 0, sizeof(param));
	start(&img);
	CU_ASSERT_PTR_NULL(last());
}

static void end(void)
{
	history_stop(lu);
	CU_ASSERT_PTR_NULL(history_journal(lu));
}

static void note_here(void *arg)
{
	history_note(lu, &change, &old_v, &next_v);
	if (*(bool *)arg)
		history_commit(lu);
	else
		history_drop(lu);
}

static void note(bool keep)
{
	rcall_each(note_here, &keep);
}

static void out_by(const struct nexus *who, uint8_t sa, uint8_t type, uint64_t key, uint64_t sa_key)
{
	change.rq = (struct lu_request){ .kind = LU_CHANGE_CMD, .has_nexus = true, .nexus = *who,
					 .param = param, .param_len = sizeof(param) };
	change.rq.cdb[0] = 0x5f;
	change.rq.cdb[1] = sa;
	change.rq.cdb[2] = type;
	put_be64(param, key);
	put_be64(param + 8, sa_key);
}

/* Without what differs from run to run. */
static bool says(json_t *r, const char *want)
{
	json_t *w = json_loads(want, 0, NULL), *copy = json_deep_copy(r);
	bool same;

	json_object_del(copy, "seq");
	json_object_del(copy, "time");
	json_object_del(copy, "value");
	same = w && json_equal(copy, w);
	if (!same)
		json_dumpf(copy, stdout, JSON_INDENT(1));
	json_decref(w);
	json_decref(copy);
	return same;
}

static void test_register(void)
{
	begin();
	pr_add(next, &a, 0x1234);
	next->generation = 1;
	out_by(&a, 0, 0, 0, 0x1234);
	note(true);
	CU_ASSERT(says(last(), "{\"by\":{\"initiator\":\"iqn.2026-11.com.example:a\",\"isid\":"
		"\"800000000001\",\"group\":1},\"action\":\"REGISTER\","
		"\"key\":\"0x0000000000000000\","
		"\"sa_key\":\"0x0000000000001234\",\"registrants\":1,"
		"\"generation\":1,\"aptpl\":false,"
		"\"added\":[{\"initiator\":\"iqn.2026-11.com.example:a\",\"isid\":\"800000000001\","
		"\"group\":1,\"key\":\"0x0000000000001234\"}],\"removed\":[],\"changed\":[]}"));
	/* Not in force: not recorded. */
	note(false);
	CU_ASSERT(last() && json_array_size(records) == 1);
	/* Nothing about reservations. */
	next_v.pr = old;
	note(true);
	CU_ASSERT(last() && json_array_size(records) == 1);
	end();
}

static void test_preempt(void)
{
	struct nexus c = nexus_make("iqn.2026-11.com.example:c", 1, 1);

	begin();
	pr_add(old, &a, 1);
	pr_add(old, &b, 2);
	pr_add(old, &c, 3);
	pr_reserve(old, 0, PR_WRITE_EXCLUSIVE_RO);
	pr_copy(next, old);
	pr_remove(next, 0);
	pr_reserve(next, 0, PR_EXCLUSIVE_ACCESS_RO);
	next->regs[1].key = 4;
	out_by(&b, 5, PR_EXCLUSIVE_ACCESS_RO, 2, 1);
	note(true);
	CU_ASSERT(says(last(), "{\"by\":{\"initiator\":\"iqn.2026-11.com.example:b\",\"isid\":"
		"\"800000000002\",\"group\":2},\"action\":\"PREEMPT AND ABORT\",\"type\":6,"
		"\"key\":\"0x0000000000000002\",\"sa_key\":\"0x0000000000000001\","
		"\"before\":{\"type\":5,\"type_name\":\"write exclusive, registrants only\","
		"\"holder\":{\"initiator\":\"iqn.2026-11.com.example:a\",\"isid\":\"800000000001\","
		"\"group\":1,\"key\":\"0x0000000000000001\"}},"
		"\"after\":{\"type\":6,\"type_name\":\"exclusive access, registrants only\","
		"\"holder\":{\"initiator\":\"iqn.2026-11.com.example:b\",\"isid\":\"800000000002\","
		"\"group\":2,\"key\":\"0x0000000000000002\"}},"
		"\"registrants\":2,\"generation\":0,\"aptpl\":false,\"added\":[],"
		"\"removed\":[{\"initiator\":\"iqn.2026-11.com.example:a\","
		"\"isid\":\"800000000001\","
		"\"group\":1,\"key\":\"0x0000000000000001\"}],"
		"\"changed\":[{\"initiator\":\"iqn.2026-11.com.example:c\","
		"\"isid\":\"800000000001\","
		"\"group\":1,\"key\":\"0x0000000000000004\"}]}"));
	end();
}

static void test_administrator(void)
{
	begin();
	pr_add(old, &a, 1);
	change.rq.kind = LU_CHANGE_PR_CLEAR;
	change.rq.uid = 1001;
	note(true);
	CU_ASSERT(says(last(), "{\"by\":{\"administrator\":1001},"
		"\"action\":\"administrator: clear\","
		"\"registrants\":0,\"generation\":0,\"aptpl\":false,\"added\":[],"
		"\"removed\":[{\"initiator\":\"iqn.2026-11.com.example:a\","
		"\"isid\":\"800000000001\","
		"\"group\":1,\"key\":\"0x0000000000000001\"}],\"changed\":[]}"));
	end();
}

static void test_reserve6(void)
{
	begin();
	change.rq = (struct lu_request){ .kind = LU_CHANGE_CMD, .has_nexus = true, .nexus = a };
	change.rq.cdb[0] = 0x16;
	next_v = old_v;
	next_v.reserved6 = true;
	next_v.reserved6_by = a;
	note(true);
	CU_ASSERT(says(last(), "{\"by\":{\"initiator\":\"iqn.2026-11.com.example:a\",\"isid\":"
		"\"800000000001\",\"group\":1},\"action\":\"RESERVE(6)\","
		"\"reserve6\":{\"initiator\":"
		"\"iqn.2026-11.com.example:a\",\"isid\":\"800000000001\",\"group\":1},"
		"\"registrants\":0,\"generation\":0,\"aptpl\":false,"
		"\"added\":[],\"removed\":[],\"changed\":[]}"));
	end();
}

/* Everything at once: as much as fits is listed, the rest is counted. */
static void test_large(void)
{
	struct nexus n = a;
	json_t *r;
	size_t listed;

	begin();
	memset(n.initiator, '"', ISCSI_NAME_MAX);
	for (unsigned i = 0; i < PR_REGISTRANTS_MAX; i++) {
		put_be16(n.isid + 4, (uint16_t)i);
		pr_add(old, &n, i + 1);
	}
	pr_reserve(old, 5, PR_EXCLUSIVE_ACCESS);
	out_by(&n, 3, 0, 1, 0);
	note(true);
	r = last();
	CU_ASSERT_FATAL(r != NULL);
	listed = json_array_size(json_object_get(r, "removed"));
	CU_ASSERT(listed > 0);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(r, "more")) + (json_int_t)listed, 1024);
	end();
}

/* Kept and added ones are told apart when the order differs, as after an import. */
static void test_other_order(void)
{
	json_t *r;

	begin();
	pr_add(old, &a, 1);
	pr_add(old, &b, 2);
	pr_add(next, &b, 2);
	pr_add(next, &a, 1);
	change.rq.kind = LU_CHANGE_PR_IMPORT;
	note(true);
	r = last();
	CU_ASSERT_EQUAL(json_array_size(json_object_get(r, "added")), 0);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(r, "removed")), 0);
	end();
}

/* The value at a start is the one the last record left, or that is recorded. */
static void test_start(void)
{
	struct store_image img = { .pr = next };
	json_t *r;

	begin();
	pr_add(next, &a, 1);
	out_by(&a, 0, 0, 0, 1);
	note(true);
	CU_ASSERT(last() && json_array_size(records) == 1);
	end();
	start(&img);
	CU_ASSERT(last() && json_array_size(records) == 1);
	end();
	next->generation = 7;
	start(&img);
	r = last();
	CU_ASSERT_EQUAL(json_array_size(records), 2);
	CU_ASSERT(says(r, "{\"by\":null,\"action\":\"found at start\",\"after\":null,"
		"\"registrants\":1,\"generation\":7,\"aptpl\":false,"
		"\"added\":[],\"removed\":[],\"changed\":[]}"));
	end();
	img.power_on = true;
	start(&img);
	CU_ASSERT(last() && json_array_size(records) == 2);
	end();
	pr_clear(next);
	start(&img);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(last(), "action")), "power on");
	end();
	start(NULL);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(last(), "action")), "damaged");
	end();
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_register), UNIT(test_preempt), UNIT(test_administrator),
		UNIT(test_reserve6), UNIT(test_large), UNIT(test_other_order), UNIT(test_start),
	};
	struct reactor_options o = { .count = 1, .workers = 1 };
	int rc;

	log_init(LOG_LEVEL_ERROR);
	if (!mkdtemp(dir) || reactors_start(&o))
		return 1;
	a = nexus_make("iqn.2026-11.com.example:a", 1, 1);
	b = nexus_make("iqn.2026-11.com.example:b", 2, 2);
	old = calloc(1, pr_state_max());
	next = calloc(1, pr_state_max());
	lu = calloc(1, sizeof(*lu));
	lu->home = reactor_at(0);
	rc = unit_run("history", tests, sizeof(tests) / sizeof(tests[0]));
	reactors_stop();
	json_decref(records);
	free(lu);
	free(old);
	free(next);
	remove_files();
	rmdir(dir);
	return rc;
}
