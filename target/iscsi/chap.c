/* SPDX-License-Identifier: Apache-2.0 */
/* CHAP: digests, binary values, the exchange. */
#include "target/iscsi/chap.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static const struct {
	uint8_t alg, len;
	const char *name;
} algs[] = {
	{ CHAP_MD5, 16, "MD5" },
	{ CHAP_SHA1, 20, "SHA1" },
	{ CHAP_SHA256, 32, "SHA256" },
	{ CHAP_SHA3_256, 32, "SHA3-256" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static EVP_MD *alg_fetch(unsigned alg)
{
	for (unsigned i = 0; i < COUNT(algs); i++)
		if (algs[i].alg == alg)
			return EVP_MD_fetch(NULL, algs[i].name, NULL);
	return NULL;
}

unsigned chap_digest_len(unsigned alg)
{
	EVP_MD *md = alg_fetch(alg);

	if (!md)
		return 0;
	EVP_MD_free(md);
	for (unsigned i = 0; i < COUNT(algs); i++)
		if (algs[i].alg == alg)
			return algs[i].len;
	return 0;
}

bool chap_digest(unsigned alg, uint8_t id, const char *secret, const uint8_t *challenge,
		 size_t challenge_len, uint8_t out[CHAP_DIGEST_MAX])
{
	EVP_MD *md = alg_fetch(alg);
	EVP_MD_CTX *ctx = md ? EVP_MD_CTX_new() : NULL;
	bool ok;

	/* In parts: a concatenation would leave the secret in a buffer of ours. */
	ok = ctx && EVP_DigestInit_ex2(ctx, md, NULL) && EVP_DigestUpdate(ctx, &id, 1) &&
	     EVP_DigestUpdate(ctx, secret, strlen(secret)) &&
	     EVP_DigestUpdate(ctx, challenge, challenge_len) && EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return ok;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int hex_decode(const char *s, uint8_t *buf, size_t cap)
{
	size_t digits = strlen(s), n = (digits + 1) / 2, at = 0;
	int hi = 0, lo;

	if (!digits || n > cap)
		return -1;
	/* An odd number of digits: the first one is a byte of its own, as in a number. */
	if (digits % 2) {
		lo = hex_digit(*s++);
		if (lo < 0)
			return -1;
		buf[at++] = (uint8_t)lo;
	}
	for (; *s; s += 2) {
		hi = hex_digit(s[0]);
		lo = hex_digit(s[1]);
		if (hi < 0 || lo < 0)
			return -1;
		buf[at++] = (uint8_t)(hi << 4 | lo);
	}
	return (int)n;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* RFC 4648 section 4: groups of four, '=' only at the end, and the bits it leaves over are zero. */
static int base64_decode(const char *s, uint8_t *buf, size_t cap)
{
	size_t len = strlen(s), pad = 0, n;
	uint32_t bits = 0;

	if (!len || len % 4)
		return -1;
	while (pad < 2 && s[len - 1 - pad] == '=')
		pad++;
	n = len / 4 * 3 - pad;
	if (n > cap)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int d = i >= len - pad ? 0 : base64_digit(s[i]);

		if (d < 0)
			return -1;
		bits = bits << 6 | (uint32_t)d;
		if (i % 4 != 3)
			continue;
		for (size_t j = 0; j < 3; j++) {
			uint8_t byte = (uint8_t)(bits >> (16 - 8 * j));

			if (i / 4 * 3 + j < n)
				buf[i / 4 * 3 + j] = byte;
			else if (byte)
				return -1;
		}
		bits = 0;
	}
	return (int)n;
}

int binary_decode(const char *value, uint8_t *buf, size_t cap)
{
	if (value[0] != '0')
		return -1;
	if (value[1] == 'x' || value[1] == 'X')
		return hex_decode(value + 2, buf, cap);
	if (value[1] == 'b' || value[1] == 'B')
		return base64_decode(value + 2, buf, cap);
	return -1;
}

void binary_encode(const uint8_t *bytes, size_t len, char *buf)
{
	static const char digits[] = "0123456789abcdef";

	*buf++ = '0';
	*buf++ = 'x';
	for (size_t i = 0; i < len; i++) {
		*buf++ = digits[bytes[i] >> 4];
		*buf++ = digits[bytes[i] & 15];
	}
	*buf = 0;
}

static enum chap_result refuse(const char **why, const char *sentence)
{
	*why = sentence;
	return CHAP_REFUSED;
}

/* CHAP_A: the first algorithm of the initiator's list that we have. */
static unsigned alg_choose(const char *list)
{
	char word[8];
	uint32_t alg;
	size_t len;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if (len < sizeof(word)) {
			memcpy(word, list, len);
			word[len] = 0;
			if (key_number(word, 255, &alg) && chap_digest_len(alg))
				return alg;
		}
		if (!list[len])
			return 0;
	}
}

static enum chap_result challenge_send(struct chap *chap, void (*random)(void *buf, size_t len),
				       const struct chap_keys *in, struct text_out *out,
				       const char **why)
{
	char hex[2 * CHAP_DIGEST_MAX + 3];

	if (!in->a || in->n || in->r || in->i || in->c)
		return refuse(why, "CHAP_A, and nothing else of CHAP, was expected");
	chap->alg = (uint8_t)alg_choose(in->a);
	if (!chap->alg)
		return refuse(why, "none of the CHAP algorithms offered is supported here");
	/* As long as the digest: guessing one is no easier than guessing the other. */
	chap->challenge_len = (uint8_t)chap_digest_len(chap->alg);
	random(chap->challenge, chap->challenge_len);
	random(&chap->id, 1);
	binary_encode(chap->challenge, chap->challenge_len, hex);
	text_put_number(out, KEY_CHAP_A, chap->alg);
	text_put_number(out, KEY_CHAP_I, chap->id);
	text_put_key(out, KEY_CHAP_C, hex);
	chap->state = CHAP_CHALLENGED;
	return CHAP_GOING_ON;
}

/*
 * The initiator's name and response; both are looked at whatever the other is, in time that does
 * not tell which was wrong.
 */
static bool response_right(const struct chap *chap, const struct login_auth *auth,
			   const struct chap_keys *in)
{
	uint8_t got[CHAP_DIGEST_MAX] = { 0 }, want[CHAP_DIGEST_MAX] = { 0 };
	unsigned len = chap->challenge_len;	/* the digest's length as well: see above */
	bool name = !strcmp(in->n, auth->user), right;

	if (binary_decode(in->r, got, sizeof(got)) != (int)len)
		return false;
	right = chap_digest(chap->alg, chap->id, auth->secret, chap->challenge, chap->challenge_len,
			    want) &&
		!CRYPTO_memcmp(got, want, len);
	OPENSSL_cleanse(want, sizeof(want));
	return right & name;
}

static enum chap_result mutual_answer(const struct chap *chap, const struct login_auth *auth,
				      const struct chap_keys *in, struct text_out *out,
				      const char **why)
{
	uint8_t challenge[CHAP_BINARY_MAX], digest[CHAP_DIGEST_MAX];
	char hex[2 * CHAP_DIGEST_MAX + 3];
	uint32_t id;
	int len;

	if (!in->i || !in->c)
		return refuse(why, "CHAP_I and CHAP_C come together");
	if (!auth->mutual_user[0] || !auth->mutual_secret[0])
		return refuse(why, "mutual CHAP is wanted, and no mutual_secret is configured");
	/* 9.2.1: with one secret both ways, anyone could have us compute his own response. */
	if (!strcmp(auth->secret, auth->mutual_secret))
		return refuse(why,
			      "mutual CHAP needs a mutual_secret that differs from the secret");
	if (!key_number(in->i, 255, &id))
		return refuse(why, "CHAP_I is not a number of one byte");
	len = binary_decode(in->c, challenge, sizeof(challenge));
	if (len <= 0)
		return refuse(why, "CHAP_C is not a binary value of 1 to 1024 bytes");
	/* 9.2.1: the target's own challenge must not come back to it. */
	if (len == chap->challenge_len && !CRYPTO_memcmp(challenge, chap->challenge, (size_t)len))
		return refuse(why, "the initiator sent our own CHAP challenge back");
	if (!chap_digest(chap->alg, (uint8_t)id, auth->mutual_secret, challenge, (size_t)len,
			 digest))
		return refuse(why, "the CHAP digest could not be computed");
	binary_encode(digest, chap->challenge_len, hex);
	text_put_key(out, KEY_CHAP_N, auth->mutual_user);
	text_put_key(out, KEY_CHAP_R, hex);
	return CHAP_PROVEN;
}

enum chap_result chap_step(struct chap *chap, const struct login_auth *auth,
			   void (*random)(void *buf, size_t len), const struct chap_keys *in,
			   struct text_out *out, const char **why)
{
	assert(chap->state == CHAP_AGREED || chap->state == CHAP_CHALLENGED);
	if (chap->state == CHAP_AGREED)
		return challenge_send(chap, random, in, out, why);
	if (!in->n || !in->r || in->a)
		return refuse(why, "CHAP_N and CHAP_R were expected");
	/* An empty secret would let in whoever says its name. */
	if (!auth->user[0] || !auth->secret[0] || !response_right(chap, auth, in))
		/* For the log; the initiator learns nothing of it. */
		return refuse(why, strcmp(in->n, auth->user)
					   ? "CHAP_N is not the user that is configured"
					   : "CHAP_R is wrong: another secret is configured");
	chap->state = CHAP_FINISHED;
	if (!in->i && !in->c)
		return CHAP_PROVEN;
	/* Only now, to an initiator that has proven itself. */
	return mutual_answer(chap, auth, in, out, why);
}
