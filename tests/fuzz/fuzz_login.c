/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login text. Input: an option byte, then records of flags (1 byte), length (2 bytes, big-endian)
 * and that many bytes of text, each a login request of one connection. What must hold whatever was
 * sent is checked after each response.
 */
#include <assert.h>
#include <stdint.h>

#include "tests/unit/iscsi_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPT_DISCOVERY_AUTH = 1, OPT_ADDED = 2, OPT_DIGESTS = 4, OPT_NOT_HERE = 8, OPT_REMOVED = 16 };

static void check_text(const char *text, uint32_t len)
{
	uint32_t pos = 0;
	struct pair pair;
	enum pair_next got;

	while ((got = pair_next(text, len, &pos, &pair)) == PAIR_FOUND)
		;
	assert(got == PAIR_END);
}

static void check_done(const struct peer *p)
{
	const struct iscsi_params *q = &p->l.params;
	const struct login_auth *auth = &p->env.discovery_auth;

	assert(p->rsp.flags & LOGIN_TRANSIT && (p->rsp.flags & 3) == STAGE_FULL_FEATURE);
	assert(p->l.initiator[0] && p->l.discovery == (p->l.target_index < 0));
	if (!p->l.discovery) {
		assert(!strcmp(p->l.target, p->env.targets[p->l.target_index].name));
		assert(strcmp(p->l.target, PEER_ELSEWHERE));
		auth = &p->env.targets[p->l.target_index].auth;
	}
	assert(!auth->user[0] || p->l.auth_done);
	assert(!p->env.offer.header_digest_required || q->header_digest);
	assert(q->max_recv_dsl >= 512 && q->max_recv_dsl < 1 << 24 && q->own_max_recv_dsl >= 512);
	assert(q->max_burst >= 512 && q->max_burst <= p->env.offer.max_burst &&
	       q->first_burst >= 512);
	assert(q->first_burst <= q->max_burst && q->max_connections == 1 && q->erl == 0 &&
	       !q->ifmarker && !q->ofmarker);
	assert(q->max_outstanding_r2t >= 1 && q->max_outstanding_r2t <= 4 && q->data_pdu_in_order);
	assert(q->time2wait <= 3600 && q->task_reporting < 2 && q->protocol_level < 2);
}

static void check_response(const struct peer *p, bool whole)
{
	unsigned status = peer_status(p);

	assert(p->rsp.opcode == OP_LOGIN_RSP && p->text_len <= LOGIN_PDU_TEXT_MAX &&
	       be24_get(p->rsp.data_len) == p->text_len);
	assert(!(p->rsp.flags & LOGIN_TRANSIT) || !(p->rsp.flags & LOGIN_CONTINUE));
	assert((p->l.phase == LOGIN_FAILED) == (status != 0) &&
	       (!status || (p->l.why && !p->text_len)));
	assert(!status || (status >= 0x0200 && status <= 0x020b) ||
	       (status >= 0x0300 && status <= 0x0302));
	if (whole)
		check_text(p->text, p->text_len);
	if (p->l.phase == LOGIN_DONE)
		check_done(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer *p;
	uint8_t options;
	bool parts = false;

	if (!size)
		return 0;
	peer_seed = 0;
	p = peer_new();
	options = *data++;
	size--;
	if (options & OPT_DISCOVERY_AUTH)
		p->env.discovery_auth = peer_targets[1].auth;
	if (options & OPT_ADDED)
		p->req.tsih = be16_of(9);
	p->env.offer.header_digest_required = options & OPT_DIGESTS;
	if (options & OPT_NOT_HERE)
		p->env.tpgt = 3;
	while (size >= 3) {
		unsigned flags = data[0];
		uint32_t len = get_be16(data + 1);
		char *text;

		data += 3;
		size -= 3;
		if (len > size)
			len = (uint32_t)size;
		text = malloc(len + 1);		/* its own block: so that reading past it is seen */
		if (!text)
			abort();
		memcpy(text, data, len);
		peer_send_n(p, flags, text, len);
		free(text);
		check_response(p, !parts && !(p->rsp.flags & LOGIN_CONTINUE));
		parts = p->rsp.flags & LOGIN_CONTINUE;
		if (options & OPT_REMOVED)
			p->env.ntargets = 1;
		data += len;
		size -= len;
	}
	free(p);
	return 0;
}
