/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHAP: known answers (computed with the openssl command), binary values, and the exchange in a
 * login.
 */
#include "tests/unit/unit.h"

#include <openssl/evp.h>
#include <string.h>

#include "target/iscsi/chap.h"
#include "tests/unit/iscsi_peer.h"

/* id 5Ah, secret below, challenge 01h..10h: printf '\x5a...' | openssl dgst -NAME */
static const struct {
	unsigned alg, len;
	const char *digest;
} known[] = {
	{ CHAP_MD5, 16, "0x147f3f27a1bfca88b697c07c63197ab0" },
	{ CHAP_SHA1, 20, "0x453cff09a1375cecfdd405257d77a0f06f6523a4" },
	{ CHAP_SHA256, 32, "0x4c38700361158647e39d34c0f0c4ea9f5a988e54d55714351bc5c5c965ee0a9a" },
	{ CHAP_SHA3_256, 32, "0x122df2fee441237bf642e073584a42ca673d7f7cdbd3c90e6f77877493dba210" },
};

static const char secret[] = "twelve-bytes-or-more", mutual_secret[] = "another-secret-12";

static void test_known_answers(void)
{
	uint8_t challenge[16], out[CHAP_DIGEST_MAX];
	char hex[2 * CHAP_DIGEST_MAX + 3];

	for (unsigned i = 0; i < 16; i++)
		challenge[i] = (uint8_t)(i + 1);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(chap_digest_len(known[i].alg), known[i].len);
		CU_ASSERT_TRUE(chap_digest(known[i].alg, 0x5a, secret, challenge, 16, out));
		binary_encode(out, known[i].len, hex);
		CU_ASSERT_STRING_EQUAL(hex, known[i].digest);
	}
	CU_ASSERT_EQUAL(chap_digest_len(0), 0);
	CU_ASSERT_EQUAL(chap_digest_len(4), 0);
	CU_ASSERT_EQUAL(chap_digest_len(9), 0);
	CU_ASSERT_FALSE(chap_digest(4, 0, secret, challenge, 16, out));
}

static void test_binary(void)
{
	static const struct {
		const char *value;
		int len;
		const char *bytes;
	} table[] = {
		{ "0x00", 1, "\0" },
		{ "0xfF", 1, "\xff" },
		{ "0X0102", 2, "\1\2" },
		{ "0x102", 2, "\1\2" },
		{ "0x1", 1, "\1" },
		{ "0bAQID", 3, "\1\2\3" },
		{ "0BAQI=", 2, "\1\2" },
		{ "0bAQ==", 1, "\1" },
		{ "0b+/+/", 3, "\xfb\xff\xbf" },
		{ "0bAQIDBAUGBwgJCgsMDQ4PEA==", 16, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20" },
		{ "", -1, NULL },
		{ "0", -1, NULL },
		{ "0x", -1, NULL },
		{ "0b", -1, NULL },
		{ "0xg0", -1, NULL },
		{ "0x0g", -1, NULL },
		{ "0xg", -1, NULL },
		{ "x00", -1, NULL },
		{ "12", -1, NULL },
		{ "0bA", -1, NULL },
		{ "0bAQI", -1, NULL },
		{ "0bAQ=D", -1, NULL },
		{ "0b====", -1, NULL },
		{ "0bA===", -1, NULL },
		{ "0bAQJ=", -1, NULL },
		{ "0bAR==", -1, NULL },
		{ "0bAQ I", -1, NULL },
		{ "0bAQI=AQI=", -1, NULL },
	};
	uint8_t buf[16];
	char hex[8];

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int n = binary_decode(table[i].value, buf, sizeof(buf));

		if (n != table[i].len)
			fprintf(stderr, "%s: %d\n", table[i].value, n);
		CU_ASSERT_EQUAL(n, table[i].len);
		if (n > 0)
			CU_ASSERT_EQUAL(memcmp(buf, table[i].bytes, (size_t)n), 0);
	}
	/* Not a byte more than there is room for. */
	CU_ASSERT_EQUAL(binary_decode("0x010203", buf, 3), 3);
	CU_ASSERT_EQUAL(binary_decode("0x010203", buf, 2), -1);
	CU_ASSERT_EQUAL(binary_decode("0bAQID", buf, 2), -1);
	CU_ASSERT_EQUAL(binary_decode("0bAQI=", buf, 2), 2);
	binary_encode((const uint8_t *)"\x00\xab", 2, hex);
	CU_ASSERT_STRING_EQUAL(hex, "0x00ab");
}

static int base64(const uint8_t *bytes, size_t len, char *out)
{
	strcpy(out, "0b");
	return EVP_EncodeBlock((unsigned char *)out + 2, bytes, (int)len);
}

/* How the initiator answers, for each test a variation. */
struct answer {
	const char *user, *secret;	/* NULL: the right ones */
	const char *id, *challenge;	/* mutual; NULL: none; challenge "reflect": our own back */
	bool as_base64;
};

static struct peer *chap_begin(const char *algs)
{
	struct peer *p = peer_new();
	char text[64];
	int len = snprintf(text, sizeof(text), "CHAP_A=%s", algs);

	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, TO_CHAP "AuthMethod=CHAP,None"), LOGIN_GOING);
	CU_ASSERT_EQUAL(p->rsp.flags, F_SEC);
	CU_ASSERT_TRUE(peer_got(p, "AuthMethod", "CHAP"));
	CU_ASSERT_TRUE(peer_got(p, "TargetPortalGroupTag", "1"));
	peer_send_n(p, F_SEC, text, (uint32_t)len + 1);
	return p;
}

/* The third request; what the target sent is in p. */
static void chap_answer(struct peer *p, const struct answer *a)
{
	const char *alg = text_value(p->text, p->text_len, "CHAP_A"),
		   *id = text_value(p->text, p->text_len, "CHAP_I");
	const char *c = text_value(p->text, p->text_len, "CHAP_C");
	uint8_t challenge[CHAP_BINARY_MAX], digest[CHAP_DIGEST_MAX];
	char text[4096], value[2 * CHAP_DIGEST_MAX + 3], reflected[CHAP_BINARY_MAX];
	uint32_t len;
	int n;

	CU_ASSERT_FATAL(alg && id && c);
	n = binary_decode(c, challenge, sizeof(challenge));
	CU_ASSERT_EQUAL_FATAL(n, (int)chap_digest_len((unsigned)atoi(alg)));
	CU_ASSERT_TRUE(chap_digest((unsigned)atoi(alg), (uint8_t)atoi(id),
				   a->secret ? a->secret : secret, challenge, (size_t)n, digest));
	if (a->as_base64)
		base64(digest, chap_digest_len((unsigned)atoi(alg)), value);
	else
		binary_encode(digest, chap_digest_len((unsigned)atoi(alg)), value);
	strcpy(reflected, c);
	len = (uint32_t)sprintf(text, "CHAP_N=%s", a->user ? a->user : "node") + 1;
	len += (uint32_t)sprintf(text + len, "CHAP_R=%s", value) + 1;
	if (a->id)
		len += (uint32_t)sprintf(text + len, "CHAP_I=%s", a->id) + 1;
	if (a->challenge)
		len += (uint32_t)sprintf(text + len, "CHAP_C=%s",
					 strcmp(a->challenge, "reflect") ? a->challenge
									 : reflected) +
		       1;
	peer_send_n(p, F_SEC | F_TO_OP, text, len);
}

static void test_one_way(void)
{
	static const char *const algs[] = { "5", "6", "7", "8" };

	for (unsigned i = 0; i < 4; i++)
		for (unsigned b = 0; b < 2; b++) {
			struct peer *p = chap_begin(algs[i]);

			CU_ASSERT_EQUAL(p->l.phase, LOGIN_GOING);
			CU_ASSERT_TRUE(peer_got(p, "CHAP_A", algs[i]));
			chap_answer(p, &(struct answer){ .as_base64 = b });
			CU_ASSERT_EQUAL(p->l.phase, LOGIN_GOING);
			CU_ASSERT_EQUAL(p->rsp.flags, F_SEC | F_TO_OP);
			CU_ASSERT_TRUE(peer_got(p, "CHAP_N", NULL));
			CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_DONE);
			free(p);
		}
}

static void test_algorithm_choice(void)
{
	struct peer *p = chap_begin("99,x,,8,5");

	CU_ASSERT_TRUE(peer_got(p, "CHAP_A", "8"));
	free(p);
	p = chap_begin("1,2,3,4,9");
	CU_ASSERT_EQUAL(p->l.phase, LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
	p = chap_begin("");
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
}

static void test_mutual(void)
{
	for (unsigned i = 0; i < 4; i++) {
		char alg[2] = { (char)('0' + known[i].alg), 0 };
		struct peer *p = chap_begin(alg);
		uint8_t challenge[4] = { 1, 2, 3, 4 }, want[CHAP_DIGEST_MAX], got[CHAP_DIGEST_MAX];

		chap_answer(p, &(struct answer){ .id = "200", .challenge = "0x01020304" });
		CU_ASSERT_EQUAL(p->l.phase, LOGIN_GOING);
		CU_ASSERT_EQUAL(p->rsp.flags, F_SEC | F_TO_OP);
		CU_ASSERT_TRUE(peer_got(p, "CHAP_N", "array"));
		chap_digest(known[i].alg, 200, mutual_secret, challenge, 4, want);
		CU_ASSERT_EQUAL(
			binary_decode(text_value(p->text, p->text_len, "CHAP_R"), got, sizeof(got)),
			(int)known[i].len);
		CU_ASSERT_EQUAL(memcmp(got, want, known[i].len), 0);
		CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_DONE);
		free(p);
	}
}

static void test_wrong_answers(void)
{
	static char long_challenge[2 * (CHAP_BINARY_MAX + 1) + 3];
	static const struct answer table[] = {
		{ .secret = "twelve-bytes-or-less" },
		{ .secret = "" },
		{ .user = "nod" },
		{ .user = "NODE" },
		{ .user = "" },
		{ .user = "array", .secret = mutual_secret },
		{ .id = "1" },				/* one without the other */
		{ .challenge = "0x01020304" },
		{ .id = "256", .challenge = "0x01020304" },
		{ .id = "x", .challenge = "0x01020304" },
		{ .id = "1", .challenge = "" },
		{ .id = "1", .challenge = "0x" },
		{ .id = "1", .challenge = "1234" },
		{ .id = "1", .challenge = "reflect" },
		{ .id = "1", .challenge = long_challenge },
		{ .secret = "wrong", .id = "1", .challenge = "0x01020304" },
	};

	strcpy(long_challenge, "0x");
	memset(long_challenge + 2, '1', sizeof(long_challenge) - 3);
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct peer *p = chap_begin("7,5");

		chap_answer(p, &table[i]);
		CU_ASSERT_EQUAL(p->l.phase, LOGIN_FAILED);
		CU_ASSERT_TRUE(peer_status(p) == LOGIN_ST_AUTH_FAILED ||
			       (table[i].challenge == long_challenge &&
				peer_status(p) == LOGIN_ST_INITIATOR_ERROR));
		CU_ASSERT_EQUAL(p->text_len, 0);
		/* The log knows which of the two it was: who sets up a host asks. */
		if (table[i].user) {
			CU_ASSERT_PTR_NOT_NULL(strstr(p->l.why, "CHAP_N is not the user"));
		} else if (table[i].secret) {
			CU_ASSERT_PTR_NOT_NULL(strstr(p->l.why, "another secret"));
		}
		free(p);
	}
}

/* The longest challenge there may be. */
static void test_long_challenge(void)
{
	static char longest[2 * CHAP_BINARY_MAX + 3];
	struct peer *p = chap_begin("7");

	strcpy(longest, "0x");
	memset(longest + 2, '1', sizeof(longest) - 3);
	chap_answer(p, &(struct answer){ .id = "1", .challenge = longest });
	CU_ASSERT_EQUAL(p->l.phase, LOGIN_GOING);
	CU_ASSERT_TRUE(peer_got(p, "CHAP_N", "array"));
	free(p);
}

static void test_out_of_order(void)
{
	static const char *const texts[] = { "CHAP_N=node", "CHAP_R=0x00", "CHAP_A=5\0CHAP_N=node",
					     "X-a=b" };
	struct peer *p;

	for (unsigned i = 0; i < 4; i++) {
		p = peer_new();
		CU_ASSERT_EQUAL(peer_send(p, F_SEC, TO_CHAP "AuthMethod=CHAP"), LOGIN_GOING);
		peer_send_n(p, F_SEC, texts[i],
			    (uint32_t)(i == 2 ? sizeof("CHAP_A=5\0CHAP_N=node")
					      : strlen(texts[i]) + 1));
		CU_ASSERT_EQUAL(p->l.phase, LOGIN_FAILED);
		CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
		free(p);
	}
	/* The challenge left unanswered, then half answered. */
	p = chap_begin("5");
	CU_ASSERT_EQUAL(peer_send(p, F_SEC | F_TO_OP, ""), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
	p = chap_begin("5");
	CU_ASSERT_EQUAL(peer_send(p, F_SEC, "CHAP_N=node"), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
	/* Past the security stage without an answer. */
	p = chap_begin("5");
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);
	/* A second round after the first. */
	p = chap_begin("5");
	chap_answer(p, &(struct answer){ 0 });
	CU_ASSERT_EQUAL(peer_send(p, F_OP, "CHAP_A=5"), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_INITIATOR_ERROR);
	free(p);
}

/* One target, its secrets as given. */
static struct peer *chap_with(const struct login_auth *auth)
{
	static struct login_target t;
	struct peer *p = peer_new();

	t = peer_targets[1];
	t.auth = *auth;
	p->env.targets = &t;
	p->env.ntargets = 1;
	CU_ASSERT_EQUAL(peer_send(p, F_SEC, TO_CHAP "AuthMethod=CHAP"), LOGIN_GOING);
	CU_ASSERT_EQUAL(peer_send(p, F_SEC, "CHAP_A=7"), LOGIN_GOING);
	return p;
}

static void test_bad_configurations(void)
{
	struct login_auth auth = { "node", "twelve-bytes-or-more", "array",
				   "twelve-bytes-or-more" };
	struct peer *p = chap_with(&auth);

	/* One secret for both directions. */
	chap_answer(p, &(struct answer){ .id = "1", .challenge = "0x01020304" });
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
	/* No mutual secret. */
	auth.mutual_user[0] = auth.mutual_secret[0] = 0;
	p = chap_with(&auth);
	chap_answer(p, &(struct answer){ .id = "1", .challenge = "0x01020304" });
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
	p = chap_with(&auth);
	chap_answer(p, &(struct answer){ 0 });
	CU_ASSERT_EQUAL(p->l.phase, LOGIN_GOING);
	free(p);
	/* A user without a secret lets nobody in. */
	auth.secret[0] = 0;
	p = chap_with(&auth);
	chap_answer(p, &(struct answer){ .secret = "" });
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
}

static void test_discovery_auth(void)
{
	struct peer *p = peer_new();

	p->env.discovery_auth = peer_targets[1].auth;
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, WHO "SessionType=Discovery"), LOGIN_FAILED);
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
	p = peer_new();
	p->env.discovery_auth = peer_targets[1].auth;
	CU_ASSERT_EQUAL(peer_send(p, F_SEC, WHO "SessionType=Discovery\0AuthMethod=CHAP"),
			LOGIN_GOING);
	CU_ASSERT_EQUAL(peer_send(p, F_SEC, "CHAP_A=5"), LOGIN_GOING);
	chap_answer(p, &(struct answer){ .id = "0", .challenge = "0bAQID" });
	CU_ASSERT_EQUAL(p->rsp.flags, F_SEC | F_TO_OP);
	CU_ASSERT_TRUE(peer_got(p, "CHAP_N", "array"));
	CU_ASSERT_EQUAL(peer_send(p, F_OP | F_TO_FFP, ""), LOGIN_DONE);
	free(p);
}

/*
 * As under FIPS: no MD5 to be had, so the next one offered is taken. Last, for it changes the
 * process.
 */
static void test_without_md5(void)
{
	struct peer *p;

	CU_ASSERT_TRUE(EVP_set_default_properties(NULL, "fips=yes"));
	CU_ASSERT_EQUAL(chap_digest_len(CHAP_MD5), 0);
	p = chap_begin("5");
	CU_ASSERT_EQUAL(peer_status(p), LOGIN_ST_AUTH_FAILED);
	free(p);
	CU_ASSERT_TRUE(EVP_set_default_properties(NULL, NULL));
	p = chap_begin("5");
	CU_ASSERT_EQUAL(p->l.phase, LOGIN_GOING);
	free(p);
}

UNIT_MAIN("chap",
	UNIT(test_known_answers),
	UNIT(test_binary),
	UNIT(test_one_way),
	UNIT(test_algorithm_choice),
	UNIT(test_mutual),
	UNIT(test_wrong_answers),
	UNIT(test_long_challenge),
	UNIT(test_out_of_order),
	UNIT(test_bad_configurations),
	UNIT(test_discovery_auth),
	UNIT(test_without_md5))
