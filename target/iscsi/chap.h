/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHAP as iSCSI has it (RFC 7143 12.1.3, RFC 1994; algorithms 7 and 8 from IANA's registry). Pure
 * but for OpenSSL's digests.
 */
#ifndef TARGET_ISCSI_CHAP_H
#define TARGET_ISCSI_CHAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/iscsi/keys.h"
#include "target/iscsi/login.h"

enum chap_alg { CHAP_MD5 = 5, CHAP_SHA1 = 6, CHAP_SHA256 = 7, CHAP_SHA3_256 = 8 };

enum {
	CHAP_BINARY_MAX = 1024,		/* RFC 7143 12.1.3: CHAP_C and CHAP_R */
	CHAP_DIGEST_MAX = 32,
};

enum chap_state {
	CHAP_IDLE,			/* not agreed on */
	CHAP_AGREED,			/* AuthMethod=CHAP was answered: CHAP_A is next */
	CHAP_CHALLENGED,		/* the challenge is out: CHAP_N and CHAP_R are next */
	CHAP_FINISHED,
};

/* The CHAP keys of one text; NULL: not there. */
struct chap_keys {
	const char *a, *i, *c, *n, *r;
};

enum chap_result { CHAP_GOING_ON, CHAP_PROVEN, CHAP_REFUSED };

/*
 * One step as authenticator, and as peer when the initiator wants us to prove ourselves too. Our
 * keys go to out; random is only called for a challenge. CHAP_REFUSED: *why is a static sentence
 * for the log; the initiator learns only "authentication failure".
 */
enum chap_result chap_step(struct chap *chap, const struct login_auth *auth,
			   void (*random)(void *buf, size_t len), const struct chap_keys *in,
			   struct text_out *out, const char **why);

/* Length of the algorithm's digest; 0: unknown, or not in this OpenSSL (MD5 under FIPS). */
unsigned chap_digest_len(unsigned alg);

/* digest(id, secret, challenge), RFC 1994 4.1, to out. False: no such algorithm here. */
bool chap_digest(unsigned alg, uint8_t id, const char *secret, const uint8_t *challenge,
		 size_t challenge_len, uint8_t out[CHAP_DIGEST_MAX]);

/*
 * A binary value, "0x" hex or "0b" base64 (RFC 7143 6.1), to buf; its length, or -1: malformed or
 * longer than cap.
 */
int binary_decode(const char *value, uint8_t *buf, size_t cap);

/* As "0x" and hex digits; buf has room for 2 * len + 3 bytes. */
void binary_encode(const uint8_t *bytes, size_t len, char *buf);

#endif
