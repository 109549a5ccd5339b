/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text requests: SendTargets in both kinds of session, long answers in parts, and the exchange's
 * tags.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "tests/unit/iscsi_peer.h"

#define OUT_MAX (256 << 10)

/* A session in full feature phase, and the last answer. */
struct talk {
	struct text t;
	struct login_env env;
	bool discovery;
	const char *initiator;
	struct iscsi_params params;
	struct bhs_text_req req;
	struct bhs_text_rsp rsp;
	const char *text;
	uint32_t len, max_data;
	uint8_t reason;
	char out[OUT_MAX];
};

static struct talk *talk_new(bool discovery)
{
	struct talk *k = calloc(1, sizeof(*k));

	if (!k)
		abort();
	k->env = peer_env();
	k->discovery = discovery;
	k->initiator = PEER_INI;
	k->max_data = 8192;
	params_init(&k->params);
	text_init(&k->t, k->out, sizeof(k->out));
	k->req.opcode = OP_TEXT_REQ;
	k->req.itt = be32_of(7);
	k->req.ttt = be32_of(ISCSI_TAG_NONE);
	return k;
}

static enum text_next talk_n(struct talk *k, unsigned flags, const void *text, uint32_t len)
{
	k->req.flags = (uint8_t)flags;
	k->reason = 0;
	return text_request(&k->t, &k->env, k->discovery, k->initiator,
			    k->discovery ? "" : PEER_OPEN, &k->params, &k->req, text, len,
			    k->max_data, &k->rsp, &k->text, &k->len, &k->reason);
}

#define talk_send(k, flags, literal)                                                               \
	talk_n(k, flags, literal, sizeof(literal) == 1 ? 0 : sizeof(literal))

static bool said(const struct talk *k, const char *text, size_t len)
{
	return k->len == len && !memcmp(k->text ? k->text : "", text, len);
}

#define SAID(k, literal)                                                                           \
	CU_ASSERT_TRUE(said(k, literal, sizeof(literal) == 1 ? 0 : sizeof(literal)))
#define A_OPEN                                                                                     \
	"TargetName=" PEER_OPEN                                                                    \
	"\0TargetAddress=192.0.2.1:3260,1\0TargetAddress=[2001:db8::1]:3260,1\0"
#define A_CHAP "TargetName=" PEER_CHAP "\0TargetAddress=192.0.2.1:3260,1\0"
#define A_PICKY "TargetName=" PEER_PICKY "\0TargetAddress=192.0.2.1:3260,1\0"
#define A_ELSEWHERE "TargetName=" PEER_ELSEWHERE "\0TargetAddress=192.0.2.9:3260,2"

static void test_all(void)
{
	struct talk *k = talk_new(true);

	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=All"), TEXT_ANSWER);
	SAID(k, A_OPEN A_CHAP A_PICKY A_ELSEWHERE);
	CU_ASSERT_EQUAL(k->rsp.opcode, OP_TEXT_RSP);
	CU_ASSERT_EQUAL(k->rsp.flags, PDU_FINAL);
	CU_ASSERT_EQUAL(be32_get(k->rsp.itt), 7);
	CU_ASSERT_EQUAL(be32_get(k->rsp.ttt), ISCSI_TAG_NONE);
	CU_ASSERT_EQUAL(be24_get(k->rsp.data_len), k->len);
	/* Another initiator does not even learn that the picky one is there. */
	k->initiator = "iqn.1993-08.org.debian:1";
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=All"), TEXT_ANSWER);
	SAID(k, A_OPEN A_CHAP A_ELSEWHERE);
	free(k);
}

static void test_named(void)
{
	struct talk *k = talk_new(true);

	talk_send(k, PDU_FINAL, "SendTargets=" PEER_CHAP);
	SAID(k, "TargetName=" PEER_CHAP "\0TargetAddress=192.0.2.1:3260,1");
	talk_send(k, PDU_FINAL, "SendTargets=IQN.2026-11.com.example:CHAP");
	SAID(k, "TargetName=" PEER_CHAP "\0TargetAddress=192.0.2.1:3260,1");
	talk_send(k, PDU_FINAL, "SendTargets=iqn.2026-11.com.example:none");
	SAID(k, "");
	CU_ASSERT_EQUAL(k->rsp.flags, PDU_FINAL);
	k->initiator = "iqn.1993-08.org.debian:1";
	talk_send(k, PDU_FINAL, "SendTargets=" PEER_PICKY);
	SAID(k, "");
	talk_send(k, PDU_FINAL, "SendTargets=");
	SAID(k, "SendTargets=Reject");
	talk_send(k, PDU_FINAL, "SendTargets=rubbish");
	SAID(k, "SendTargets=Reject");
	free(k);
}

static void test_normal_session(void)
{
	struct talk *k = talk_new(false);

	talk_send(k, PDU_FINAL, "SendTargets=");
	SAID(k, "TargetName=" PEER_OPEN
		"\0TargetAddress=192.0.2.1:3260,1\0TargetAddress=[2001:db8::1]:3260,1");
	talk_send(k, PDU_FINAL, "SendTargets=" PEER_OPEN);
	SAID(k, "TargetName=" PEER_OPEN
		"\0TargetAddress=192.0.2.1:3260,1\0TargetAddress=[2001:db8::1]:3260,1");
	talk_send(k, PDU_FINAL, "SendTargets=All");
	SAID(k, "SendTargets=Reject");
	talk_send(k, PDU_FINAL, "SendTargets=" PEER_CHAP);
	SAID(k, "SendTargets=Reject");
	free(k);
}

static void test_wildcards(void)
{
	static const struct login_portal portals[] = {
		{ "0.0.0.0:3260", 1 }, { "[::]:3261", 1 }, { "0.0.0.0:3262", 2 }, { "[::]:3263", 2 }
	};
	static const struct {
		const char *local;
		const char *answer;
		size_t len;
	} table[] = {
#define T "TargetName=iqn.x\0TargetAddress="
#define ROW(local, text) { local, text, sizeof(text) }
		ROW("192.0.2.7:3260", T
		    "192.0.2.7:3260,1\0TargetAddress=192.0.2.7:3261,1\0"
		      "TargetAddress=192.0.2.7:3262,2"),
		ROW("[::ffff:192.0.2.7]:3260", T
		    "192.0.2.7:3260,1\0TargetAddress=192.0.2.7:3261,1\0"
		      "TargetAddress=192.0.2.7:3262,2"),
		ROW("[2001:db8::7]:3261",
		    T "[2001:db8::7]:3261,1\0TargetAddress=[2001:db8::7]:3263,2"),
		ROW("[fe80::1%eth0]:3261",
		    T "[fe80::1%eth0]:3261,1\0TargetAddress=[fe80::1%eth0]:3263,2"),
		{ "rubbish", "", 0 },
		{ NULL, "", 0 },
	};
	struct login_target t = { .name = "iqn.x", .portals = portals, .nportals = 4 };
	struct talk *k = talk_new(true);

	k->env.targets = &t;
	k->env.ntargets = 1;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		k->env.local_address = table[i].local;
		CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=All"), TEXT_ANSWER);
		CU_ASSERT_TRUE(said(k, table[i].answer, table[i].len));
	}
	free(k);
}

/* Two wildcards that become the same address are told once. */
static void test_same_address_once(void)
{
	static const struct login_portal portals[] = { { "0.0.0.0:3260", 1 },
						       { "[::]:3260", 1 },
						       { "192.0.2.7:3260", 1 } };
	struct login_target t = { .name = "iqn.x", .portals = portals, .nportals = 3 };
	struct talk *k = talk_new(true);

	k->env.targets = &t;
	k->env.ntargets = 1;
	k->env.local_address = "192.0.2.7:3260";
	talk_send(k, PDU_FINAL, "SendTargets=All");
	SAID(k, T "192.0.2.7:3260,1");
	free(k);
}

#define MANY 500

static struct login_target *many_targets(void)
{
	struct login_target *t = calloc(MANY, sizeof(*t));

	if (!t)
		abort();
	for (unsigned i = 0; i < MANY; i++) {
		sprintf(t[i].name, "iqn.2026-11.com.example:target%03u", i);
		t[i].portals = peer_here;
		t[i].nportals = 2;
	}
	return t;
}

/* The whole answer, part by part; checks every header on the way. */
static uint32_t gather(struct talk *k, unsigned flags, char *all)
{
	uint32_t total = 0, parts = 0;

	CU_ASSERT_EQUAL(talk_send(k, flags, "SendTargets=All"), TEXT_ANSWER);
	for (;; parts++) {
		CU_ASSERT_TRUE(k->len <= k->max_data);
		CU_ASSERT_EQUAL(be24_get(k->rsp.data_len), k->len);
		memcpy(all + total, k->text, k->len);
		total += k->len;
		if (!(k->rsp.flags & TEXT_CONTINUE))
			return total;
		CU_ASSERT_EQUAL(k->len, k->max_data);
		CU_ASSERT_EQUAL(k->rsp.flags, TEXT_CONTINUE);
		CU_ASSERT_NOT_EQUAL(be32_get(k->rsp.ttt), ISCSI_TAG_NONE);
		k->req.ttt = k->rsp.ttt;
		CU_ASSERT_EQUAL_FATAL(talk_send(k, flags, ""), TEXT_ANSWER);
	}
}

static void test_long_answer(void)
{
	static const uint32_t sizes[] = { 512, 8192, 65536, 1 << 24 };
	struct login_target *targets = many_targets();
	char *all = calloc(1, OUT_MAX), *again = calloc(1, OUT_MAX);
	uint32_t total = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct talk *k = talk_new(true);
		uint32_t n;

		k->env.targets = targets;
		k->env.ntargets = MANY;
		k->max_data = sizes[i];
		n = gather(k, PDU_FINAL, i ? again : all);
		CU_ASSERT_EQUAL(k->rsp.flags, PDU_FINAL);
		CU_ASSERT_EQUAL(be32_get(k->rsp.ttt), ISCSI_TAG_NONE);
		if (i) {
			CU_ASSERT_EQUAL(n, total);
			CU_ASSERT_EQUAL(memcmp(all, again, n), 0);
		}
		total = n;
		/* The initiator that does not say F gets the end in one more step. */
		k->req.ttt = be32_of(ISCSI_TAG_NONE);
		CU_ASSERT_EQUAL(gather(k, 0, again), total);
		CU_ASSERT_EQUAL(k->rsp.flags, 0);
		CU_ASSERT_NOT_EQUAL(be32_get(k->rsp.ttt), ISCSI_TAG_NONE);
		k->req.ttt = k->rsp.ttt;
		CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, ""), TEXT_ANSWER);
		CU_ASSERT_EQUAL(k->rsp.flags, PDU_FINAL);
		CU_ASSERT_EQUAL(k->len, 0);
		free(k);
	}
	CU_ASSERT_TRUE(total > MANY * 100);
	free(all);
	free(again);
	free(targets);
}

static void test_answer_too_long(void)
{
	struct login_target *targets = many_targets();
	struct talk *k = talk_new(true);

	k->env.targets = targets;
	k->env.ntargets = MANY;
	text_init(&k->t, k->out, 8192);
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=All"), TEXT_REJECT);
	CU_ASSERT_EQUAL(k->reason, REJECT_LONG_OPERATION);
	/* Nothing is left over from it. */
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=iqn.2026-11.com.example:target001"),
			TEXT_ANSWER);
	CU_ASSERT_EQUAL(k->rsp.flags, PDU_FINAL);
	free(k);
	free(targets);
}

static void test_continued_request(void)
{
	static const char text[] = "SendTargets=" PEER_CHAP;

	for (uint32_t cut = 1; cut < sizeof(text); cut++) {
		struct talk *k = talk_new(true);

		CU_ASSERT_EQUAL(talk_n(k, TEXT_CONTINUE, text, cut), TEXT_ANSWER);
		CU_ASSERT_EQUAL(k->rsp.flags, 0);
		CU_ASSERT_EQUAL(k->len, 0);
		CU_ASSERT_NOT_EQUAL(be32_get(k->rsp.ttt), ISCSI_TAG_NONE);
		k->req.ttt = k->rsp.ttt;
		CU_ASSERT_EQUAL(talk_n(k, PDU_FINAL, text + cut, sizeof(text) - cut), TEXT_ANSWER);
		SAID(k, "TargetName=" PEER_CHAP "\0TargetAddress=192.0.2.1:3260,1");
		CU_ASSERT_EQUAL(k->rsp.flags, PDU_FINAL);
		free(k);
	}
}

static void test_rejects(void)
{
	static char block[LOGIN_TEXT_MAX];
	struct talk *k = talk_new(true);

	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL | TEXT_CONTINUE, "SendTargets=All"), TEXT_REJECT);
	CU_ASSERT_EQUAL(k->reason, REJECT_PROTOCOL);
	/* A tag we never gave. */
	k->req.ttt = be32_of(5);
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=All"), TEXT_REJECT);
	CU_ASSERT_EQUAL(k->reason, REJECT_PROTOCOL);
	/* Our tag with another task's. */
	k->req.ttt = be32_of(ISCSI_TAG_NONE);
	CU_ASSERT_EQUAL(talk_send(k, 0, ""), TEXT_ANSWER);
	k->req.ttt = k->rsp.ttt;
	k->req.itt = be32_of(8);
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, ""), TEXT_REJECT);
	k->req.itt = be32_of(7);
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, ""), TEXT_REJECT);
	/* Form, twice, and what only a target says. */
	k->req.ttt = be32_of(ISCSI_TAG_NONE);
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets"), TEXT_REJECT);
	CU_ASSERT_EQUAL(talk_n(k, PDU_FINAL, "SendTargets=All", 15), TEXT_REJECT);
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=All\0SendTargets=All"), TEXT_REJECT);
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "TargetAddress=192.0.2.1:3260,1"), TEXT_REJECT);
	CU_ASSERT_EQUAL(k->reason, REJECT_PROTOCOL);
	/* Too much. */
	CU_ASSERT_EQUAL(talk_n(k, TEXT_CONTINUE, block, sizeof(block)), TEXT_ANSWER);
	k->req.ttt = k->rsp.ttt;
	CU_ASSERT_EQUAL(talk_n(k, TEXT_CONTINUE, block, 1), TEXT_REJECT);
	CU_ASSERT_EQUAL(k->reason, REJECT_LONG_OPERATION);
	free(k);
}

/* A new exchange drops the old one; text instead of the request for the rest is an error. */
static void test_reset(void)
{
	struct talk *k = talk_new(true);

	k->max_data = 512;
	k->req.ttt = be32_of(ISCSI_TAG_NONE);
	k->max_data = 64;
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=All"), TEXT_ANSWER);
	CU_ASSERT_EQUAL(k->rsp.flags, TEXT_CONTINUE);
	k->max_data = 8192;
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=" PEER_CHAP), TEXT_ANSWER);
	SAID(k, "TargetName=" PEER_CHAP "\0TargetAddress=192.0.2.1:3260,1");
	k->max_data = 64;
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "SendTargets=All"), TEXT_ANSWER);
	k->req.ttt = k->rsp.ttt;
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "X=y"), TEXT_REJECT);
	CU_ASSERT_EQUAL(k->reason, REJECT_PROTOCOL);
	free(k);
}

static void test_negotiation(void)
{
	struct talk *k = talk_new(false);

	CU_ASSERT_EQUAL(
		talk_send(k, PDU_FINAL,
			  "MaxBurstLength=4096\0X-what=1\0Some=NotUnderstood\0InitiatorAlias=me\0"
			  "MaxRecvDataSegmentLength=100"),
		TEXT_ANSWER);
	SAID(k, "MaxBurstLength=Reject\0X-what=NotUnderstood\0MaxRecvDataSegmentLength=Reject");
	CU_ASSERT_EQUAL(k->params.max_burst, 262144);
	CU_ASSERT_EQUAL(k->params.max_recv_dsl, 8192);
	/* In force only when the exchange is over. */
	CU_ASSERT_EQUAL(talk_send(k, 0, "MaxRecvDataSegmentLength=65536"), TEXT_ANSWER);
	CU_ASSERT_EQUAL(k->rsp.flags, 0);
	CU_ASSERT_EQUAL(k->params.max_recv_dsl, 8192);
	k->req.ttt = k->rsp.ttt;
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, ""), TEXT_ANSWER);
	CU_ASSERT_EQUAL(k->params.max_recv_dsl, 65536);
	/* And not at all when it was dropped, or said twice. */
	k->req.ttt = be32_of(ISCSI_TAG_NONE);
	CU_ASSERT_EQUAL(talk_send(k, 0, "MaxRecvDataSegmentLength=4096"), TEXT_ANSWER);
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, ""), TEXT_ANSWER);
	CU_ASSERT_EQUAL(k->params.max_recv_dsl, 65536);
	CU_ASSERT_EQUAL(talk_send(k, 0, "MaxRecvDataSegmentLength=4096"), TEXT_ANSWER);
	k->req.ttt = k->rsp.ttt;
	CU_ASSERT_EQUAL(talk_send(k, PDU_FINAL, "MaxRecvDataSegmentLength=4096"), TEXT_REJECT);
	CU_ASSERT_EQUAL(k->params.max_recv_dsl, 65536);
	free(k);
}

UNIT_MAIN("text",
	UNIT(test_all),
	UNIT(test_named),
	UNIT(test_normal_session),
	UNIT(test_wildcards),
	UNIT(test_same_address_once),
	UNIT(test_long_answer),
	UNIT(test_answer_too_long),
	UNIT(test_continued_request),
	UNIT(test_rejects),
	UNIT(test_reset),
	UNIT(test_negotiation))
