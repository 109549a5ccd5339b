/* SPDX-License-Identifier: Apache-2.0 */
/* The key table and the result functions of RFC 7143 section 13, row by row; names and patterns. */
#include "tests/unit/unit.h"

#include <string.h>

#include "target/iscsi/name.h"
#include "tests/unit/iscsi_peer.h"

static void test_table(void)
{
	for (unsigned i = 0; i < KEYS; i++) {
		const struct key *k = &keys[i];

		CU_ASSERT_PTR_NOT_NULL_FATAL(k->name);
		CU_ASSERT_TRUE(strlen(k->name) <= KEY_NAME_MAX);
		CU_ASSERT_PTR_NOT_NULL(k->clause);
		CU_ASSERT_PTR_EQUAL(key_find(k->name, strlen(k->name)), k);
		CU_ASSERT_TRUE(k->use & (KEY_BY_INITIATOR | KEY_BY_TARGET));
		CU_ASSERT_TRUE(k->use &
			       (KEY_IN_SECURITY | KEY_IN_OPERATIONAL | KEY_IN_FULL_FEATURE));
		CU_ASSERT_TRUE(k->value_max >= KEY_VALUE_MAX);
		CU_ASSERT_TRUE(k->min <= k->max);
		if (k->type == KEY_NUMBER && k->rule != KEY_FIXED) {
			CU_ASSERT_TRUE(k->preset >= k->min && k->preset <= k->max);
			CU_ASSERT_TRUE(k->param.size);
		}
		CU_ASSERT_EQUAL(k->rule == KEY_FIXED, k->fixed != NULL);
		for (unsigned j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(k->name, keys[j].name);
	}
	CU_ASSERT_PTR_NULL(key_find("maxburstlength", 14));
	CU_ASSERT_PTR_NULL(key_find("MaxBurstLengt", 13));
	CU_ASSERT_PTR_NULL(key_find("", 0));
}

static void test_defaults(void)
{
	struct iscsi_params p;

	params_init(&p);
	CU_ASSERT_FALSE(p.header_digest || p.data_digest || p.ifmarker || p.ofmarker);
	CU_ASSERT_TRUE(p.initial_r2t && p.immediate_data && p.data_pdu_in_order &&
		       p.data_sequence_in_order);
	CU_ASSERT_EQUAL(p.max_recv_dsl, 8192);
	CU_ASSERT_EQUAL(p.own_max_recv_dsl, 8192);
	CU_ASSERT_EQUAL(p.max_burst, 262144);
	CU_ASSERT_EQUAL(p.first_burst, 65536);
	CU_ASSERT_EQUAL(p.max_connections, 1);
	CU_ASSERT_EQUAL(p.max_outstanding_r2t, 1);
	CU_ASSERT_EQUAL(p.time2wait, 2);
	CU_ASSERT_EQUAL(p.time2retain, 20);
	CU_ASSERT_EQUAL(p.erl, 0);
	CU_ASSERT_EQUAL(p.task_reporting, 0);
	CU_ASSERT_EQUAL(p.protocol_level, 1);
}

/* Offered, answered; NULL: a declaration, nothing answered. With the offer of peer_env. */
static void test_results(void)
{
	static const struct {
		enum key_id key;
		const char *offer, *answer;
	} table[] = {
		/* 13.1: the first of the list */
		{ KEY_HEADER_DIGEST, "CRC32C,None", "CRC32C" },
		{ KEY_HEADER_DIGEST, "None,CRC32C", "None" },
		{ KEY_HEADER_DIGEST, "None", "None" },
		{ KEY_HEADER_DIGEST, "Z-com.example.sum,CRC32C", "CRC32C" },
		{ KEY_HEADER_DIGEST, "Z-com.example.sum", "Reject" },
		{ KEY_HEADER_DIGEST, "", "Reject" },
		{ KEY_HEADER_DIGEST, ",,None", "None" },
		{ KEY_HEADER_DIGEST, "crc32c", "Reject" },
		{ KEY_DATA_DIGEST, "CRC32C", "CRC32C" },
		/* 13.2 */
		{ KEY_MAX_CONNECTIONS, "1", "1" },
		{ KEY_MAX_CONNECTIONS, "8", "1" },
		{ KEY_MAX_CONNECTIONS, "65535", "1" },
		{ KEY_MAX_CONNECTIONS, "0", "Reject" },
		{ KEY_MAX_CONNECTIONS, "65536", "Reject" },
		{ KEY_MAX_CONNECTIONS, "", "Reject" },
		{ KEY_MAX_CONNECTIONS, "-1", "Reject" },
		{ KEY_MAX_CONNECTIONS, " 1", "Reject" },
		{ KEY_MAX_CONNECTIONS, "1 ", "Reject" },
		{ KEY_MAX_CONNECTIONS, "99999999999999999999999", "Reject" },
		/* 13.10 OR, 13.11 AND */
		{ KEY_INITIAL_R2T, "Yes", "Yes" },
		{ KEY_INITIAL_R2T, "No", "No" },
		{ KEY_INITIAL_R2T, "no", "Reject" },
		{ KEY_IMMEDIATE_DATA, "Yes", "Yes" },
		{ KEY_IMMEDIATE_DATA, "No", "No" },
		{ KEY_IMMEDIATE_DATA, "", "Reject" },
		/* 13.12 declares */
		{ KEY_MAX_RECV_DATA_SEGMENT_LENGTH, "512", NULL },
		{ KEY_MAX_RECV_DATA_SEGMENT_LENGTH, "16777215", NULL },
		{ KEY_MAX_RECV_DATA_SEGMENT_LENGTH, "511", "Reject" },
		{ KEY_MAX_RECV_DATA_SEGMENT_LENGTH, "16777216", "Reject" },
		/* 13.13, 13.14; hex is a number too */
		{ KEY_MAX_BURST_LENGTH, "512", "512" },
		{ KEY_MAX_BURST_LENGTH, "0x1000", "4096" },
		{ KEY_MAX_BURST_LENGTH, "0X1fFF", "8191" },
		{ KEY_MAX_BURST_LENGTH, "0x", "Reject" },
		{ KEY_MAX_BURST_LENGTH, "0xg", "Reject" },
		{ KEY_MAX_BURST_LENGTH, "16777215", "1048576" },
		{ KEY_MAX_BURST_LENGTH, "511", "Reject" },
		{ KEY_FIRST_BURST_LENGTH, "16777215", "262144" },
		{ KEY_FIRST_BURST_LENGTH, "1024", "1024" },
		/* 13.15 max, 13.16 min */
		{ KEY_DEFAULT_TIME2WAIT, "0", "0" },
		{ KEY_DEFAULT_TIME2WAIT, "3600", "3600" },
		{ KEY_DEFAULT_TIME2WAIT, "3601", "Reject" },
		{ KEY_DEFAULT_TIME2RETAIN, "20", "0" },
		{ KEY_DEFAULT_TIME2RETAIN, "0", "0" },
		{ KEY_MAX_OUTSTANDING_R2T, "1", "1" },
		{ KEY_MAX_OUTSTANDING_R2T, "16", "4" },
		{ KEY_DATA_PDU_IN_ORDER, "No", "Yes" },
		{ KEY_DATA_SEQUENCE_IN_ORDER, "No", "Yes" },
		{ KEY_ERROR_RECOVERY_LEVEL, "2", "0" },
		{ KEY_ERROR_RECOVERY_LEVEL, "3", "Reject" },
		{ KEY_TASK_REPORTING, "RFC3720", "RFC3720" },
		{ KEY_TASK_REPORTING, "FastAbort,ResponseFence,RFC3720", "ResponseFence" },
		{ KEY_TASK_REPORTING, "FastAbort", "Reject" },
		{ KEY_ISCSI_PROTOCOL_LEVEL, "2", "1" },
		{ KEY_ISCSI_PROTOCOL_LEVEL, "0", "0" },
		{ KEY_ISCSI_PROTOCOL_LEVEL, "32", "Reject" },
		/* 13.25 */
		{ KEY_OFMARKER, "Yes", "No" },
		{ KEY_IFMARKER, "No", "No" },
		{ KEY_OFMARKINT, "2048~4096", "Reject" },
		{ KEY_IFMARKINT, "1", "Reject" },
	};
	struct login_env env = peer_env();

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct iscsi_params p, before;
		char answer[32] = "";
		enum key_answer got;

		params_init(&p);
		before = p;
		got = key_negotiate(&keys[table[i].key], &env.offer, false, 0, &p, table[i].offer,
				    answer, sizeof(answer));
		CU_ASSERT_EQUAL(got, table[i].answer ? KEY_ANSWERED : KEY_SILENT);
		if (table[i].answer && strcmp(answer, table[i].answer))
			fprintf(stderr, "%s=%s: %s\n", keys[table[i].key].name, table[i].offer,
				answer);
		if (table[i].answer)
			CU_ASSERT_STRING_EQUAL(answer, table[i].answer);
		/* 6.2: what is rejected stays as it was. */
		if (table[i].answer && !strcmp(answer, "Reject"))
			CU_ASSERT_EQUAL(memcmp(&p, &before, sizeof(p)), 0);
	}
}

static void test_results_are_kept(void)
{
	struct login_env env = peer_env();
	struct iscsi_params p;
	char answer[32];

	params_init(&p);
	key_negotiate(&keys[KEY_MAX_RECV_DATA_SEGMENT_LENGTH], &env.offer, false, 0, &p, "65536",
		      answer, sizeof(answer));
	CU_ASSERT_EQUAL(p.max_recv_dsl, 65536);
	CU_ASSERT_EQUAL(p.own_max_recv_dsl, 8192);
	key_negotiate(&keys[KEY_TASK_REPORTING], &env.offer, false, 0, &p, "ResponseFence", answer,
		      sizeof(answer));
	CU_ASSERT_EQUAL(p.task_reporting, 1);
	key_negotiate(&keys[KEY_MAX_OUTSTANDING_R2T], &env.offer, false, 0, &p, "3", answer,
		      sizeof(answer));
	CU_ASSERT_EQUAL(p.max_outstanding_r2t, 3);
	key_negotiate(&keys[KEY_DEFAULT_TIME2WAIT], &env.offer, false, 0, &p, "300", answer,
		      sizeof(answer));
	CU_ASSERT_EQUAL(p.time2wait, 300);
	key_negotiate(&keys[KEY_DATA_DIGEST], &env.offer, false, 0, &p, "CRC32C", answer,
		      sizeof(answer));
	CU_ASSERT_TRUE(p.data_digest);
	CU_ASSERT_FALSE(p.header_digest);
}

/*
 * The configuration's wishes: both values of a boolean, digests off or demanded, numbers outside a
 * key's range.
 */
static void test_offers(void)
{
	struct login_env env = peer_env();
	struct iscsi_params p;
	char answer[32];

	params_init(&p);
	env.offer.initial_r2t = true;
	env.offer.immediate_data = false;
	key_negotiate(&keys[KEY_INITIAL_R2T], &env.offer, false, 0, &p, "No", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "Yes");
	key_negotiate(&keys[KEY_IMMEDIATE_DATA], &env.offer, false, 0, &p, "Yes", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "No");
	env.offer.header_digest = false;
	key_negotiate(&keys[KEY_HEADER_DIGEST], &env.offer, false, 0, &p, "CRC32C,None", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "None");
	key_negotiate(&keys[KEY_HEADER_DIGEST], &env.offer, false, 0, &p, "CRC32C", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "Reject");
	env.offer.data_digest_required = true;
	key_negotiate(&keys[KEY_DATA_DIGEST], &env.offer, false, 0, &p, "None,CRC32C", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "CRC32C");
	env.offer.max_burst = 0;
	key_negotiate(&keys[KEY_MAX_BURST_LENGTH], &env.offer, false, 0, &p, "4096", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "512");
	env.offer.first_burst = 0xffffffff;
	key_negotiate(&keys[KEY_FIRST_BURST_LENGTH], &env.offer, false, 0, &p, "16777215", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "512");
}

static void test_irrelevant(void)
{
	static const enum key_id irrelevant[] = {
		KEY_MAX_CONNECTIONS,    KEY_INITIAL_R2T,
		KEY_IMMEDIATE_DATA,     KEY_MAX_BURST_LENGTH,
		KEY_FIRST_BURST_LENGTH, KEY_MAX_OUTSTANDING_R2T,
		KEY_DATA_PDU_IN_ORDER,  KEY_DATA_SEQUENCE_IN_ORDER,
		KEY_TASK_REPORTING,     KEY_ISCSI_PROTOCOL_LEVEL,
	};
	const uint64_t both = 1ull << KEY_INITIAL_R2T | 1ull << KEY_IMMEDIATE_DATA;
	struct login_env env = peer_env();
	struct iscsi_params p;
	char answer[32];

	params_init(&p);
	for (unsigned i = 0; i < sizeof(irrelevant) / sizeof(irrelevant[0]); i++) {
		key_negotiate(&keys[irrelevant[i]], &env.offer, true, 0, &p, "1", answer,
			      sizeof(answer));
		CU_ASSERT_STRING_EQUAL(answer, "Irrelevant");
	}
	p.immediate_data = false;
	key_negotiate(&keys[KEY_FIRST_BURST_LENGTH], &env.offer, false, both, &p, "1024", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "Irrelevant");
	p.initial_r2t = false;
	key_negotiate(&keys[KEY_FIRST_BURST_LENGTH], &env.offer, false, both, &p, "1024", answer,
		      sizeof(answer));
	CU_ASSERT_STRING_EQUAL(answer, "1024");
}

static void test_lists(void)
{
	CU_ASSERT_TRUE(key_list_has("CHAP,None", "CHAP"));
	CU_ASSERT_TRUE(key_list_has("CHAP,None", "None"));
	CU_ASSERT_TRUE(key_list_has("None", "None"));
	CU_ASSERT_FALSE(key_list_has("CHAPS,None", "CHAP"));
	CU_ASSERT_FALSE(key_list_has("XCHAP", "CHAP"));
	CU_ASSERT_FALSE(key_list_has("", "CHAP"));
}

static void test_pairs(void)
{
	static const char text[] = "\0\0A=1\0\0\0B=\0C=x=y";
	char longest[KEY_NAME_MAX + 4];
	uint32_t pos = 0;
	struct pair p;

	CU_ASSERT_EQUAL(pair_next(text, sizeof(text), &pos, &p), PAIR_FOUND);
	CU_ASSERT_TRUE(p.name_len == 1 && *p.name == 'A' && p.value_len == 1 &&
		       !strcmp(p.value, "1"));
	CU_ASSERT_EQUAL(pair_next(text, sizeof(text), &pos, &p), PAIR_FOUND);
	CU_ASSERT_TRUE(*p.name == 'B' && p.value_len == 0);
	CU_ASSERT_EQUAL(pair_next(text, sizeof(text), &pos, &p), PAIR_FOUND);
	CU_ASSERT_TRUE(*p.name == 'C' && !strcmp(p.value, "x=y"));
	CU_ASSERT_EQUAL(pair_next(text, sizeof(text), &pos, &p), PAIR_END);
	CU_ASSERT_EQUAL(pair_next(text, sizeof(text), &pos, &p), PAIR_END);
	pos = 0;
	CU_ASSERT_EQUAL(pair_next("A=1", 3, &pos, &p), PAIR_MALFORMED);
	pos = 0;
	CU_ASSERT_EQUAL(pair_next(NULL, 0, &pos, &p), PAIR_END);
	memset(longest, 'k', sizeof(longest));
	strcpy(longest + KEY_NAME_MAX, "=v");
	pos = 0;
	CU_ASSERT_EQUAL(pair_next(longest, sizeof(longest), &pos, &p), PAIR_FOUND);
	memset(longest, 'k', sizeof(longest));
	strcpy(longest + KEY_NAME_MAX + 1, "=");
	pos = 0;
	CU_ASSERT_EQUAL(pair_next(longest, sizeof(longest), &pos, &p), PAIR_MALFORMED);
}

static void test_text_out(void)
{
	char buf[8];
	struct text_out o = { .buf = buf, .cap = sizeof(buf) };

	text_put(&o, "A", 1, "1");
	CU_ASSERT_EQUAL(o.len, 4);
	text_put(&o, "B", 1, "22");
	CU_ASSERT_TRUE(o.overflow);
	CU_ASSERT_EQUAL(o.len, 4);
	text_put(&o, "B", 1, "2");		/* would fit, but what came before did not */
	CU_ASSERT_EQUAL(o.len, 4);
	o = (struct text_out){ .buf = buf, .cap = sizeof(buf) };
	text_put(&o, "A", 1, "12345");
	CU_ASSERT_FALSE(o.overflow);
	CU_ASSERT_EQUAL(o.len, 8);
}

static void test_names(void)
{
	static const char *const good[] = {
		"iqn.2026-11.com.example:cluster1",
		"iqn.1991-05.com.microsoft:node_1.local",
		"eui.02004567A425678D",
		"naa.52004567BA64678D",
		"naa.62004567BA64678D0123456789ABCDEF",
		"IQN.2001-04.com.example",
		"iqn.2001-04.jp.example:\xe5\xa4\xaa",
		"iqn.x",
	};
	static const char *const bad[] = {
		"",
		"iqn.",
		"iqn",
		"eui.0200",
		"eui.02004567A425678G",
		"naa.5200",
		"naa.52004567BA64678D0",
		"cluster1",
		"iqn.a b",
		"iqn.a,b",
		"iqn.a*",
		"iqn.a\x7f",
		"iqn.a\xff",
		"iqn.\xc0\x80",
		"iqn.\xed\xa0\x80",
		"iqn.\xf5\x80\x80\x80",
		"iqn.\xe0\x80\x80",
		"iqn.\xf0\x80\x80\x80",
		"iqn.\xe5\xa4",
		"iqn.\xf4\x90\x80\x80",
		"iqn.a/b",
	};
	char out[ISCSI_NAME_MAX + 1], name[ISCSI_NAME_MAX + 2];

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT_TRUE(name_normalize(good[i], out));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(name_normalize(bad[i], out));
	CU_ASSERT_TRUE(name_normalize("IQN.1991-05.Com.Microsoft:NODE1", out));
	CU_ASSERT_STRING_EQUAL(out, "iqn.1991-05.com.microsoft:node1");
	memset(name, 'a', sizeof(name));
	memcpy(name, "iqn.", 4);
	name[ISCSI_NAME_MAX] = 0;
	CU_ASSERT_TRUE(name_normalize(name, out));
	name[ISCSI_NAME_MAX] = 'a';
	name[ISCSI_NAME_MAX + 1] = 0;
	CU_ASSERT_FALSE(name_normalize(name, out));
}

static void test_patterns(void)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} table[] = {
		{ "*", "iqn.x", true },
		{ "*", "", true },
		{ "", "", true },
		{ "", "a", false },
		{ "a", "", false },
		{ "iqn.1991-05.com.microsoft:*", "iqn.1991-05.com.microsoft:node1", true },
		{ "iqn.1991-05.com.MICROSOFT:Node?", "iqn.1991-05.com.microsoft:node1", true },
		{ "iqn.1991-05.com.microsoft:*", "iqn.1993-08.org.debian:1", false },
		{ "*:node[1-3]", "iqn.x:node2", true },
		{ "*:node[1-3]", "iqn.x:node4", false },
		{ "*:node[!1-3]", "iqn.x:node4", true },
		{ "*:node[!1-3]", "iqn.x:node1", false },
		{ "*:node[^1]", "iqn.x:node1", false },
		{ "a[]]b", "a]b", true },
		{ "a[b", "a[b", true },
		{ "a[A-C]", "ab", true },
		{ "a[x-]", "a-", true },
		{ "a\\*b", "a*b", true },
		{ "a\\*b", "axb", false },
		{ "a\\", "a\\", true },
		{ "a*b*c", "axxbyyc", true },
		{ "a*b*c", "axxbyy", false },
		{ "a**c", "abc", true },
		{ "*a", "ba", true },
		{ "?", "", false },
		{ "abc", "ab", false },
		{ "ab", "abc", false },
	};
	char name[ISCSI_NAME_MAX + 1], pattern[128] = "";

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (name_match(table[i].pattern, table[i].name) != table[i].match)
			fprintf(stderr, "%s against %s\n", table[i].pattern, table[i].name);
		CU_ASSERT_EQUAL(name_match(table[i].pattern, table[i].name), table[i].match);
	}
	/* What takes a naive matcher for ever. */
	memset(name, 'a', ISCSI_NAME_MAX);
	name[ISCSI_NAME_MAX] = 0;
	for (unsigned i = 0; i < 60; i++)
		strcat(pattern, "*a");
	strcat(pattern, "b");
	CU_ASSERT_FALSE(name_match(pattern, name));
	CU_ASSERT_TRUE(name_admitted(&peer_targets[0], "iqn.x"));
	CU_ASSERT_FALSE(name_admitted(&peer_targets[2], "iqn.x"));
	CU_ASSERT_TRUE(name_admitted(&peer_targets[2], PEER_INI));
}

UNIT_MAIN("keys",
	UNIT(test_table),
	UNIT(test_defaults),
	UNIT(test_results),
	UNIT(test_results_are_kept),
	UNIT(test_offers),
	UNIT(test_irrelevant),
	UNIT(test_lists),
	UNIT(test_pairs),
	UNIT(test_text_out),
	UNIT(test_names),
	UNIT(test_patterns))
