/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The login machine: the flows of known initiators, and every refusal of RFC 7143 11.13.5 it can
 * make.
 */
#include "tests/unit/unit.h"

#include "tests/unit/iscsi_peer.h"

/* One request on a new connection must be refused with this status. */
struct refusal {
	unsigned flags;
	const char *text;
	uint32_t len;
	unsigned status;
};

#define REFUSED(f, t, s) { f, t, sizeof(t), s }

static void test_refusals(void)
{
	static const struct refusal table[] = {
		REFUSED(F_SEC | F_TO_OP, "AuthMethod=None", LOGIN_ST_MISSING_PARAM),
		REFUSED(F_SEC | F_TO_OP, WHO "AuthMethod=None", LOGIN_ST_MISSING_PARAM),
		REFUSED(F_SEC, NORMAL "TargetName=" PEER_OPEN, LOGIN_ST_MISSING_PARAM),
		REFUSED(F_SEC, WHO "TargetName=iqn.2026-11.com.example:none", LOGIN_ST_NOT_FOUND),
		REFUSED(F_SEC, WHO "TargetName=rubbish", LOGIN_ST_NOT_FOUND),
		REFUSED(F_SEC, WHO "TargetName=", LOGIN_ST_NOT_FOUND),
		REFUSED(F_SEC, WHO "TargetName=" PEER_ELSEWHERE, LOGIN_ST_NOT_FOUND),
		REFUSED(F_SEC, "InitiatorName=iqn.1993-08.org.debian:1\0TargetName=" PEER_PICKY,
			LOGIN_ST_NOT_AUTHORIZED),
		REFUSED(F_SEC, WHO "SessionType=Strange\0TargetName=" PEER_OPEN,
			LOGIN_ST_SESSION_TYPE),
		REFUSED(F_SEC, "InitiatorName=node1\0TargetName=" PEER_OPEN,
			LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, "InitiatorName=\0TargetName=" PEER_OPEN, LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, "InitiatorName=iqn.a b\0TargetName=" PEER_OPEN,
			LOGIN_ST_INITIATOR_ERROR),
		/* form */
		REFUSED(F_SEC, TO_OPEN "NoEquals", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_OPEN "=x", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_OPEN "X-\x01=x", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC,
			TO_OPEN
			"X-34567890123456789012345678901234567890123456789012345678901234=1",
			LOGIN_ST_INITIATOR_ERROR),
		/* twice */
		REFUSED(F_OP, TO_OPEN "InitialR2T=No\0InitialR2T=No", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_OPEN "AuthMethod=None\0AuthMethod=None",
			LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_OPEN "TargetName=" PEER_PICKY, LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_OPEN "SessionType=Discovery", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_OPEN "InitiatorName=iqn.1993-08.org.debian:2",
			LOGIN_ST_INITIATOR_ERROR),
		/* out of place */
		REFUSED(F_SEC, TO_OPEN "MaxBurstLength=4096", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_OP, TO_OPEN "AuthMethod=None", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_OP, TO_OPEN "SendTargets=All", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_OP, TO_OPEN "TargetAlias=mine", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_OP, TO_OPEN "TargetPortalGroupTag=1", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_OP, TO_OPEN "TargetAddress=a:1,1", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_OP, TO_OPEN "InitialR2T=Reject", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_OPEN "CHAP_A=5", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_OPEN "SRP_U=x", LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC, TO_CHAP "AuthMethod=CHAP\0CHAP_A=5", LOGIN_ST_INITIATOR_ERROR),
		/* stages */
		REFUSED(F_SEC | F_C | F_TO_OP, TO_OPEN, LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_OP | F_TO_OP, TO_OPEN, LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC | LOGIN_TRANSIT, TO_OPEN, LOGIN_ST_INITIATOR_ERROR),
		REFUSED(F_SEC | LOGIN_TRANSIT | 2, TO_OPEN, LOGIN_ST_INITIATOR_ERROR),
		REFUSED(2 << 2, TO_OPEN, LOGIN_ST_INITIATOR_ERROR),
		REFUSED(3 << 2 | F_TO_FFP, TO_OPEN, LOGIN_ST_INITIATOR_ERROR),
		/* authentication */
		REFUSED(F_OP | F_TO_FFP, TO_CHAP, LOGIN_ST_AUTH_FAILED),
		REFUSED(F_SEC | F_TO_OP, TO_CHAP, LOGIN_ST_AUTH_FAILED),
		REFUSED(F_SEC | F_TO_FFP, TO_CHAP, LOGIN_ST_AUTH_FAILED),
		REFUSED(F_SEC | F_TO_OP, TO_CHAP "AuthMethod=None", LOGIN_ST_AUTH_FAILED),
		REFUSED(F_SEC | F_TO_OP, TO_CHAP "AuthMethod=KRB5,SRP", LOGIN_ST_AUTH_FAILED),
		REFUSED(F_SEC | F_TO_OP, TO_OPEN "AuthMethod=CHAP", LOGIN_ST_AUTH_FAILED),
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct peer *p = peer_new();

		if (peer_send_n(p, table[i].flags, table[i].text, table[i].len) != LOGIN_FAILED ||
		    peer_status(p) != table[i].status)
			fprintf(stderr, "refusal %u: phase %u status %04x (%s)\n", i, p->l.phase,
				peer_status(p), p->l.why ? p->l.why : "-");
		CU_ASSERT_EQUAL(p->l.phase, LOGIN_FAILED);
		CU_ASSERT_EQUAL(peer_status(p), table[i].status);
		CU_ASSERT_PTR_NOT_NULL(p->l.why);
		CU_ASSERT_EQUAL(p->rsp.opcode, OP_LOGIN_RSP);
		CU_ASSERT_EQUAL(p->rsp.flags & (LOGIN_TRANSIT | LOGIN_CONTINUE), 0);
		CU_ASSERT_EQUAL(p->text_len, 0);
		/* And it stays that way. */
		CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, TO_OPEN), LOGIN_FAILED);
		free(p);
	}
}

static void test_missing_nul(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send_n(p, F_SEC, TO_OPEN "A=b", sizeof(TO_OPEN "A=b") - 1),
			LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);
}

static void test_header_refusals(void)
{
	struct peer *p = peer_new();

	p->req.version_min = 1;
	p->req.version_max = 1;
	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, TO_OPEN), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_VERSION);
	free(p);

	p = peer_new();
	p->req.opcode = OP_NOP_OUT | PDU_IMMEDIATE;
	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, TO_OPEN), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INVALID_REQUEST);
	free(p);

	/* A version range that has ours in it is fine. */
	p = peer_new();
	p->req.version_max = 3;
	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, TO_OPEN), LOGIN_GOING);
	CU_ASSERT_EQUAL(p->rsp.version_active, 0);
	free(p);
}

static void test_identity_must_stay(void)
{
	for (unsigned what = 0; what < 3; what++) {
		struct peer *p = peer_new();

		CU_ASSERT_EQUAL(peer_send(p, F_SEC, TO_OPEN), LOGIN_GOING);
		if (what == 0)
			p->req.isid[5] ^= 1;
		else if (what == 1)
			p->req.cid = be16_of(8);
		else
			p->req.tsih = be16_of(1);
		CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, ""), LOGIN_FAILED);
		CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
		free(p);
	}
}

/* open-iscsi without CHAP: security stage first, everything operational in one request. */
static void test_open_iscsi(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(
		peer_send(p, F_SEC | F_TO_OP,
			  "InitiatorName=iqn.1993-08.org.debian:01:abc\0InitiatorAlias=host\0"
			  "TargetName=" PEER_OPEN "\0SessionType=Normal\0AuthMethod=CHAP,None"),
		LOGIN_GOING);
	CU_ASSERT_EQUAL(p->rsp.flags, F_SEC | F_TO_OP);
	CU_ASSERT_EQUAL(peer_status(p), 0);
	CU_ASSERT_TRUE(peer_got(p, "AuthMethod", "None"));
	CU_ASSERT_TRUE(peer_got(p, "TargetPortalGroupTag", "1"));
	CU_ASSERT_TRUE(peer_got(p, "TargetAlias", "quorum"));
	CU_ASSERT_TRUE(peer_got(p, "MaxRecvDataSegmentLength", NULL));
	CU_ASSERT_STRING_EQUAL(p->l.alias, "host");
	CU_ASSERT_EQUAL(be32_get(p->rsp.itt), 0x11223344);
	CU_ASSERT_EQUAL(memcmp(p->rsp.isid, p->req.isid, 6), 0);

	CU_ASSERT_EQUAL(
		peer_send(
			p, F_OP | F_TO_FFP,
			"HeaderDigest=CRC32C,None\0DataDigest=None\0DefaultTime2Wait=2\0"
			"DefaultTime2Retain=0\0IFMarker=No\0OFMarker=No\0ErrorRecoveryLevel=0\0"
			"InitialR2T=No\0ImmediateData=Yes\0"
			"MaxBurstLength=16776192\0FirstBurstLength=262144\0"
			"MaxOutstandingR2T=1\0MaxConnections=1\0"
			"DataPDUInOrder=Yes\0DataSequenceInOrder=Yes\0"
			"MaxRecvDataSegmentLength=262144"),
		LOGIN_DONE);
	CU_ASSERT_EQUAL(p->rsp.flags, F_OP | F_TO_FFP);
	CU_ASSERT_TRUE(peer_got(p, "HeaderDigest", "CRC32C"));
	CU_ASSERT_TRUE(peer_got(p, "DataDigest", "None"));
	CU_ASSERT_TRUE(peer_got(p, "DefaultTime2Wait", "2"));
	CU_ASSERT_TRUE(peer_got(p, "DefaultTime2Retain", "0"));
	CU_ASSERT_TRUE(peer_got(p, "IFMarker", "No"));
	CU_ASSERT_TRUE(peer_got(p, "OFMarker", "No"));
	CU_ASSERT_TRUE(peer_got(p, "ErrorRecoveryLevel", "0"));
	CU_ASSERT_TRUE(peer_got(p, "InitialR2T", "No"));
	CU_ASSERT_TRUE(peer_got(p, "ImmediateData", "Yes"));
	CU_ASSERT_TRUE(peer_got(p, "MaxBurstLength", "1048576"));
	CU_ASSERT_TRUE(peer_got(p, "FirstBurstLength", "262144"));
	CU_ASSERT_TRUE(peer_got(p, "MaxOutstandingR2T", "1"));
	CU_ASSERT_TRUE(peer_got(p, "MaxConnections", "1"));
	CU_ASSERT_TRUE(peer_got(p, "MaxRecvDataSegmentLength", "262144"));
	CU_ASSERT_TRUE(peer_got(p, "TargetPortalGroupTag", NULL));

	CU_ASSERT_FALSE(p->l.discovery);
	CU_ASSERT_STRING_EQUAL(p->l.initiator, "iqn.1993-08.org.debian:01:abc");
	CU_ASSERT_STRING_EQUAL(p->l.target, PEER_OPEN);
	CU_ASSERT_EQUAL(p->l.target_index, 0);
	CU_ASSERT_EQUAL(p->l.cid, 7);
	CU_ASSERT_EQUAL(p->l.cmdsn, 99);
	CU_ASSERT_EQUAL(p->l.expstatsn, 5);
	CU_ASSERT_TRUE(p->l.params.header_digest && !p->l.params.data_digest &&
		       !p->l.params.initial_r2t);
	CU_ASSERT_EQUAL(p->l.params.max_recv_dsl, 262144);
	CU_ASSERT_EQUAL(p->l.params.own_max_recv_dsl, 262144);
	CU_ASSERT_EQUAL(p->l.params.max_burst, 1048576);
	CU_ASSERT_EQUAL(p->l.params.first_burst, 262144);
	/* A login request after the end. */
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INVALID_REQUEST);
	free(p);
}

/* Older versions of libiscsi say who they are in both stages. */
static void test_libiscsi(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP,
				  WHO "InitiatorAlias=libiscsi\0TargetName=" PEER_OPEN "\0"
				      "SessionType=Normal\0AuthMethod=CHAP,None"),
			LOGIN_GOING);
	CU_ASSERT_EQUAL(p->rsp.flags, F_SEC | F_TO_OP);
	CU_ASSERT_EQUAL(
		peer_send(
			p, F_OP | F_TO_FFP,
			WHO
			"InitiatorAlias=libiscsi\0TargetName=" PEER_OPEN "\0"
			"SessionType=Normal\0HeaderDigest=None,CRC32C\0DataDigest=None\0"
			"InitialR2T=No\0ImmediateData=Yes\0"
			"MaxBurstLength=262144\0FirstBurstLength=262144\0"
			"MaxRecvDataSegmentLength=262144\0DataPDUInOrder=Yes\0"
			"DataSequenceInOrder=Yes"),
		LOGIN_DONE);
	CU_ASSERT_TRUE(peer_got(p, "HeaderDigest", "None"));
	CU_ASSERT_FALSE(p->l.params.header_digest);
	free(p);
}

/* Straight into the operational stage, one request; names in capitals are the same names. */
static void test_direct_operational(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP,
				  "InitiatorName=IQN.1991-05.COM.Microsoft:NODE1\0"
				  "TargetName=" PEER_PICKY "\0MaxRecvDataSegmentLength=0x10000"),
			LOGIN_DONE);
	CU_ASSERT_EQUAL(p->rsp.flags, F_OP | F_TO_FFP);
	CU_ASSERT_TRUE(peer_got(p, "TargetPortalGroupTag", "1"));
	CU_ASSERT_TRUE(peer_got(p, "MaxRecvDataSegmentLength", "262144"));
	CU_ASSERT_STRING_EQUAL(p->l.initiator, PEER_INI);
	CU_ASSERT_EQUAL(p->l.params.max_recv_dsl, 65536);
	free(p);
}

/*
 * From security straight to full feature: nothing operational was said, so the defaults hold both
 * ways.
 */
static void test_security_to_full_feature(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_FFP, TO_OPEN "AuthMethod=None"), LOGIN_DONE);
	CU_ASSERT_EQUAL(p->l.params.own_max_recv_dsl, 8192);
	CU_ASSERT_EQUAL(p->l.params.max_recv_dsl, 8192);
	CU_ASSERT_TRUE(p->l.params.initial_r2t && p->l.params.immediate_data);
	CU_ASSERT_EQUAL(p->l.params.max_burst, 262144);
	CU_ASSERT_EQUAL(p->l.params.first_burst, 65536);
	CU_ASSERT_EQUAL(p->l.params.protocol_level, 1);
	CU_ASSERT_TRUE(peer_got(p, "MaxRecvDataSegmentLength", NULL));
	free(p);
}

/* One step at a time, without T: we never hurry, and declare once. */
static void test_slow(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send(p, F_SEC, TO_OPEN), LOGIN_GOING);
	CU_ASSERT_EQUAL(p->rsp.flags, F_SEC);
	CU_ASSERT_EQUAL(peer_send(p, F_SEC, "AuthMethod=None"), LOGIN_GOING);
	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, ""), LOGIN_GOING);
	CU_ASSERT_EQUAL(p->rsp.flags, F_SEC | F_TO_OP);
	CU_ASSERT_EQUAL(peer_send(p, F_OP, "InitialR2T=Yes"), LOGIN_GOING);
	CU_ASSERT_EQUAL(p->rsp.flags, F_OP);
	CU_ASSERT_TRUE(peer_got(p, "MaxRecvDataSegmentLength", "262144"));
	CU_ASSERT_EQUAL(peer_send(p, F_OP, "ImmediateData=No"), LOGIN_GOING);
	CU_ASSERT_TRUE(peer_got(p, "MaxRecvDataSegmentLength", NULL));
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, "FirstBurstLength=4096"), LOGIN_DONE);
	/* 13.14: no unsolicited data of any kind, so no first burst. */
	CU_ASSERT_TRUE(peer_got(p, "FirstBurstLength", "Irrelevant"));
	free(p);
}

static void test_stage_mismatch(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, TO_OPEN), LOGIN_GOING);
	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, ""), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);
}

static void test_discovery(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, WHO "SessionType=Discovery\0AuthMethod=None"),
			LOGIN_GOING);
	CU_ASSERT_TRUE(peer_got(p, "TargetPortalGroupTag", NULL));
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP,
				  "MaxBurstLength=4096\0MaxConnections=4\0ErrorRecoveryLevel=2\0"
				  "TaskReporting=RFC3720\0MaxRecvDataSegmentLength=32768"),
			LOGIN_DONE);
	CU_ASSERT_TRUE(p->l.discovery);
	CU_ASSERT_EQUAL(p->l.target_index, -1);
	CU_ASSERT_TRUE(peer_got(p, "MaxBurstLength", "Irrelevant"));
	CU_ASSERT_TRUE(peer_got(p, "MaxConnections", "Irrelevant"));
	CU_ASSERT_TRUE(peer_got(p, "TaskReporting", "Irrelevant"));
	CU_ASSERT_TRUE(peer_got(p, "ErrorRecoveryLevel", "0"));
	CU_ASSERT_EQUAL(p->l.params.max_recv_dsl, 32768);
	CU_ASSERT_EQUAL(p->l.params.max_burst, 262144);
	free(p);
}

static void test_unknown_keys(void)
{
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP,
				  TO_OPEN
				  "X-com.example.speed=9\0What=ever\0\0\0Never=NotUnderstood\0"
				  "TargetPortalGroupTag=NotUnderstood"),
			LOGIN_FAILED);
	free(p);
	p = peer_new();
	CU_ASSERT_EQUAL(peer_send(p, F_OP,
				  TO_OPEN
				  "X-com.example.speed=9\0What=ever\0\0\0Never=NotUnderstood"),
			LOGIN_GOING);
	CU_ASSERT_TRUE(peer_got(p, "X-com.example.speed", "NotUnderstood"));
	CU_ASSERT_TRUE(peer_got(p, "What", "NotUnderstood"));
	CU_ASSERT_TRUE(peer_got(p, "Never", NULL));
	/* Answers to what we declared are taken without a word. */
	CU_ASSERT_EQUAL(
		peer_send(p, F_OP | F_TO_FFP,
			  "TargetPortalGroupTag=NotUnderstood\0"
			  "MaxRecvDataSegmentLength=NotUnderstood\0MaxRecvDataSegmentLength=4096"),
		LOGIN_DONE);
	CU_ASSERT_EQUAL(p->text_len, 0);
	CU_ASSERT_EQUAL(p->l.params.max_recv_dsl, 4096);
	free(p);
}

/* A text cut anywhere, with the C bit, is the same text. */
static void test_continued_request(void)
{
	static const char text[] = TO_OPEN
		"HeaderDigest=CRC32C\0MaxBurstLength=65536\0FirstBurstLength=99999";

	for (uint32_t cut = 1; cut < sizeof(text); cut++) {
		struct peer *p = peer_new();

		CU_ASSERT_EQUAL(peer_send_n(p, F_OP | F_C, text, cut), LOGIN_GOING);
		CU_ASSERT_EQUAL(p->rsp.flags, F_OP);
		CU_ASSERT_EQUAL(p->text_len, 0);
		CU_ASSERT_EQUAL(peer_send_n(p, F_OP | F_TO_FFP, text + cut, sizeof(text) - cut),
				LOGIN_DONE);
		CU_ASSERT_TRUE(peer_got(p, "HeaderDigest", "CRC32C"));
		CU_ASSERT_TRUE(peer_got(p, "FirstBurstLength", "65536"));
		CU_ASSERT_TRUE(peer_got(p, "TargetPortalGroupTag", "1"));
		free(p);
	}
}

static void test_continued_without_end(void)
{
	static char block[8192];
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send_n(p, F_SEC | F_C, block, sizeof(block)), LOGIN_GOING);
	CU_ASSERT_EQUAL(peer_send_n(p, F_SEC | F_C, block, sizeof(block)), LOGIN_GOING);
	CU_ASSERT_EQUAL(peer_send_n(p, F_SEC | F_C, block, 1), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_NO_RESOURCES);
	free(p);

	p = peer_new();
	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_C, ""), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);

	p = peer_new();
	CU_ASSERT_EQUAL(peer_send_n(p, F_SEC, block, 8192), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_MISSING_PARAM);
	free(p);
}

static void test_requests_without_end(void)
{
	struct peer *p = peer_new();
	unsigned n = 1;

	CU_ASSERT_EQUAL(peer_send(p, F_SEC, TO_OPEN), LOGIN_GOING);
	while (peer_send(p, F_SEC, "") == LOGIN_GOING)
		n++;
	CU_ASSERT_EQUAL(n, LOGIN_REQUESTS_MAX);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);
}

/* Text of n unknown keys, whose answers are longer than they are. */
static uint32_t unknown_keys(char *buf, unsigned n)
{
	uint32_t len = sizeof(TO_OPEN) - 1;

	memcpy(buf, TO_OPEN, len);
	for (unsigned i = 0; i < n; i++)
		len += (uint32_t)sprintf(buf + len, "X-%04u=", i) + 1;
	return len;
}

static void test_long_answer(void)
{
	static char buf[LOGIN_PDU_TEXT_MAX];
	uint32_t len = unknown_keys(buf, 600), total;
	struct peer *p = peer_new();

	CU_ASSERT_EQUAL(peer_send_n(p, F_OP | F_TO_FFP, buf, len), LOGIN_GOING);
	CU_ASSERT_EQUAL(p->rsp.flags, F_OP | LOGIN_CONTINUE);
	CU_ASSERT_EQUAL(p->text_len, LOGIN_PDU_TEXT_MAX);
	CU_ASSERT_EQUAL(be24_get(p->rsp.data_len), LOGIN_PDU_TEXT_MAX);
	total = p->text_len;
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_DONE);
	CU_ASSERT_EQUAL(p->rsp.flags, F_OP | F_TO_FFP);
	total += p->text_len;
	CU_ASSERT_TRUE(total >= 600 * sizeof("X-0000=NotUnderstood"));
	CU_ASSERT_TRUE(peer_got(p, "MaxRecvDataSegmentLength", "262144"));
	free(p);

	/* Text while we are not done. */
	p = peer_new();
	CU_ASSERT_EQUAL(peer_send_n(p, F_OP | F_TO_FFP, buf, len), LOGIN_GOING);
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, "X-a=b"), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);

	/* An answer beyond all bounds. */
	p = peer_new();
	len = unknown_keys(buf, 1000);
	CU_ASSERT_EQUAL(peer_send_n(p, F_OP | F_TO_FFP, buf, len), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_NO_RESOURCES);
	free(p);
}

static void test_added_connection(void)
{
	struct peer *p = peer_new();

	p->req.tsih = be16_of(17);
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, TO_OPEN "HeaderDigest=None"), LOGIN_DONE);
	CU_ASSERT_EQUAL(p->l.tsih, 17);
	CU_ASSERT_EQUAL(be16_get(p->rsp.tsih), 17);
	free(p);
	p = peer_new();
	p->req.tsih = be16_of(17);
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, TO_OPEN "MaxBurstLength=4096"), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);
}

/* The configuration changes under a login. */
static void test_target_removed(void)
{
	struct peer *p = peer_new();
	struct login_target open_no_more = peer_targets[0];

	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, TO_OPEN), LOGIN_GOING);
	p->env.targets = peer_targets + 1;
	p->env.ntargets = 3;
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_REMOVED);
	free(p);

	p = peer_new();
	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, TO_OPEN), LOGIN_GOING);
	open_no_more.auth = peer_targets[1].auth;
	p->env.targets = &open_no_more;
	p->env.ntargets = 1;
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
}

static void test_required_digests(void)
{
	struct peer *p = peer_new();

	p->env.offer.header_digest_required = true;
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, TO_OPEN "HeaderDigest=None,CRC32C"),
			LOGIN_DONE);
	CU_ASSERT_TRUE(peer_got(p, "HeaderDigest", "CRC32C"));
	free(p);
	p = peer_new();
	p->env.offer.header_digest_required = true;
	CU_ASSERT_EQUAL(peer_send(p, F_OP, TO_OPEN "HeaderDigest=None"), LOGIN_GOING);
	CU_ASSERT_TRUE(peer_got(p, "HeaderDigest", "Reject"));
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_FAILED);
	free(p);
	p = peer_new();
	p->env.offer.data_digest_required = true;
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, TO_OPEN), LOGIN_FAILED);
	free(p);
}

static void test_bursts(void)
{
	struct peer *p = peer_new();

	/* Nobody spoke of FirstBurstLength: its default follows MaxBurstLength. */
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, TO_OPEN "MaxBurstLength=4096"), LOGIN_DONE);
	CU_ASSERT_EQUAL(p->l.params.first_burst, 4096);
	free(p);
	/* In the wrong order, in one text: still the smaller. */
	p = peer_new();
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP,
				  TO_OPEN "FirstBurstLength=65536\0MaxBurstLength=4096"),
			LOGIN_DONE);
	CU_ASSERT_TRUE(peer_got(p, "FirstBurstLength", "4096"));
	free(p);
	/* Agreed first, then undermined. */
	p = peer_new();
	CU_ASSERT_EQUAL(peer_send(p, F_OP, TO_OPEN "FirstBurstLength=65536"), LOGIN_GOING);
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, "MaxBurstLength=4096"), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);
	/* A target that takes less than others, and says so even when it is named only now. */
	for (unsigned less = 0; less < 2; less++) {
		struct login_target t;

		p = peer_new();
		t = p->env.targets[0];
		t.first_burst = less ? 8192 : 1 << 20;
		p->env.targets = &t;
		p->env.ntargets = 1;
		CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, TO_OPEN "FirstBurstLength=65536"),
				LOGIN_DONE);
		CU_ASSERT_TRUE(peer_got(p, "FirstBurstLength", less ? "8192" : "65536"));
		CU_ASSERT_EQUAL(p->l.params.first_burst, less ? 8192 : 65536);
		free(p);
	}
}

static void test_refuse(void)
{
	struct peer *p = peer_new();

	login_refuse(&p->l, &p->req, 3, 2, "too many sessions", &p->rsp);
	CU_ASSERT_EQUAL(p->l.phase, LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_NO_RESOURCES);
	CU_ASSERT_EQUAL(p->l.status_class, 3);
	CU_ASSERT_EQUAL(p->rsp.opcode, OP_LOGIN_RSP);
	CU_ASSERT_EQUAL(be32_get(p->rsp.itt), 0x11223344);
	free(p);
}

UNIT_MAIN("login",
	UNIT(test_refusals),
	UNIT(test_missing_nul),
	UNIT(test_header_refusals),
	UNIT(test_identity_must_stay),
	UNIT(test_open_iscsi),
	UNIT(test_libiscsi),
	UNIT(test_direct_operational),
	UNIT(test_security_to_full_feature),
	UNIT(test_slow),
	UNIT(test_stage_mismatch),
	UNIT(test_discovery),
	UNIT(test_unknown_keys),
	UNIT(test_continued_request),
	UNIT(test_continued_without_end),
	UNIT(test_requests_without_end),
	UNIT(test_long_answer),
	UNIT(test_added_connection),
	UNIT(test_target_removed),
	UNIT(test_required_digests),
	UNIT(test_bursts),
	UNIT(test_refuse))
