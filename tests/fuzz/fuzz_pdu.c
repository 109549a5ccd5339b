/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers. Input: an option byte, then PDUs as on the wire (48 bytes of header and its data
 * segment, unpadded), to login_request until the login is done and to text_request after it; or to
 * text_request at once.
 */
#include <assert.h>
#include <stdint.h>

#include "tests/unit/iscsi_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPT_TEXT = 1, OPT_NORMAL = 2, OPT_SMALL_PARTS = 4, OPT_SMALL_OUT = 8 };

/* The session after the login. */
struct session {
	struct text t;
	char out[65536];
};

static void text_one(struct session *s, struct peer *p, uint8_t options,
		     const struct bhs_text_req *req, const char *data, uint32_t len)
{
	uint32_t max_data = options & OPT_SMALL_PARTS ? 20 : p->l.params.max_recv_dsl, text_len;
	bool discovery = options & OPT_TEXT ? !(options & OPT_NORMAL) : p->l.discovery;
	struct bhs_text_rsp rsp;
	const char *text;
	uint8_t reason = 0;

	if (text_request(&s->t, &p->env, discovery, p->l.initiator, discovery ? "" : PEER_OPEN,
			 &p->l.params, req, data, len, max_data, &rsp, &text, &text_len,
			 &reason) == TEXT_REJECT) {
		assert(reason == REJECT_PROTOCOL || reason == REJECT_LONG_OPERATION);
		return;
	}
	assert(rsp.opcode == OP_TEXT_RSP && text_len <= max_data &&
	       be24_get(rsp.data_len) == text_len);
	assert(!(rsp.flags & PDU_FINAL) || req->flags & PDU_FINAL);
	assert((rsp.flags & (PDU_FINAL | TEXT_CONTINUE)) != (PDU_FINAL | TEXT_CONTINUE));
	assert(!(rsp.flags & PDU_FINAL) == (be32_get(rsp.ttt) != ISCSI_TAG_NONE));
	/* Reads every byte, so that a wrong pointer is seen. */
	for (uint32_t i = 0, sum = 0; i < text_len; i++) {
		sum += (uint8_t)text[i];
		assert(sum < 1u << 31);
	}
	assert(p->l.params.max_recv_dsl >= 512 && p->l.params.max_recv_dsl < 1 << 24);
}

/* True once the login is over without success. */
static bool login_one(struct peer *p, const struct bhs_login_req *req, const char *data,
		      uint32_t len)
{
	enum login_phase phase = login_request(&p->l, &p->env, req, data, len, &p->rsp, &p->text,
					       &p->text_len);

	assert(p->text_len <= LOGIN_PDU_TEXT_MAX && be24_get(p->rsp.data_len) == p->text_len);
	assert((phase == LOGIN_FAILED) == (peer_status(p) != 0));
	return phase == LOGIN_FAILED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union {
		struct bhs bhs;
		struct bhs_login_req login;
		struct bhs_text_req text;
	} head;
	struct session *s = calloc(1, sizeof(*s));
	struct peer *p;
	uint8_t options = size ? data[0] : 0;
	bool over = !size;

	if (!s)
		abort();
	peer_seed = 0;
	p = peer_new();
	text_init(&s->t, s->out, options & OPT_SMALL_OUT ? 200 : sizeof(s->out));
	if (size) {
		data++;
		size--;
	}
	while (!over && size >= BHS_LEN) {
		uint32_t len;
		char *copy;

		memcpy(&head, data, BHS_LEN);
		data += BHS_LEN;
		size -= BHS_LEN;
		len = be24_get(head.bhs.data_len);
		if (len > size)
			len = (uint32_t)size;
		copy = malloc(len + 1);
		if (!copy)
			abort();
		memcpy(copy, data, len);
		if (options & OPT_TEXT || p->l.phase == LOGIN_DONE)
			text_one(s, p, options, &head.text, copy, len);
		else
			over = login_one(p, &head.login, copy, len);
		free(copy);
		data += len;
		size -= len;
	}
	free(p);
	free(s);
	return 0;
}
