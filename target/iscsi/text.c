/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text requests of the full feature phase (RFC 7143 6.4, 11.10, 11.11) and discovery (Appendix C).
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "target/iscsi/keys.h"
#include "target/iscsi/login.h"
#include "target/iscsi/name.h"

/* Whose request this is: what text_request was told, kept together. */
struct asker {
	struct text *t;
	const struct login_env *env;
	bool discovery;
	const char *initiator, *target;
	uint8_t *reason;
};

static void exchange_end(struct text *t)
{
	t->ttt = ISCSI_TAG_NONE;
	t->in_len = t->out_len = t->out_pos = 0;
	t->max_recv_dsl = 0;
	t->seen = 0;
	t->pending = false;
}

void text_init(struct text *t, char *out, uint32_t out_cap)
{
	assert(out && out_cap);
	memset(t, 0, sizeof(*t));
	t->out = out;
	t->out_cap = out_cap;
	exchange_end(t);
}

/* "host:port" or "[host]:port" in two; false: neither. */
static bool address_split(const char *address, char host[64], const char **port)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : 0;

	if (!n || n >= 64)
		return false;
	memcpy(host, address, n);
	host[n] = 0;
	*port = colon + 1;
	return true;
}

/*
 * An IPv4 address in IPv6's clothes, as a dual-stack listener sees its clients' side, is told as
 * IPv4.
 */
static void host_unmap(char host[64])
{
	static const char prefix[] = "[::ffff:";
	size_t n = strlen(host);

	if (strncmp(host, prefix, sizeof(prefix) - 1) || !strchr(host, '.') || host[n - 1] != ']')
		return;
	memmove(host, host + sizeof(prefix) - 1, n - sizeof(prefix) + 1);
	host[n - sizeof(prefix)] = 0;
}

/*
 * The address an initiator can use for a portal: its own, or for a wildcard the host part of the
 * address this connection came in by, with the portal's port. False: a wildcard of which no address
 * is known (another family, so another listener).
 */
static bool portal_address(const struct login_env *env, const struct login_portal *p, char out[96])
{
	char host[64], local[64];
	const char *port, *local_port;
	bool v4, v6;

	if (!address_split(p->address, host, &port))
		return false;
	v4 = !strcmp(host, "0.0.0.0");
	v6 = !strcmp(host, "[::]");
	if (!v4 && !v6) {
		snprintf(out, 96, "%s", p->address);
		return true;
	}
	if (!env->local_address || !address_split(env->local_address, local, &local_port))
		return false;
	host_unmap(local);
	/*
	 * [::] may take IPv4 connections too; whether this one does is known only of the group we
	 * came in by.
	 */
	if (v4 ? local[0] == '[' : local[0] != '[' && p->tpgt != env->tpgt)
		return false;
	snprintf(out, 96, "%s:%s", local, port);
	return true;
}

/*
 * Whether an earlier portal of the target was told with the same words: two wildcards can become
 * one address.
 */
static bool portal_told(const struct login_env *env, const struct login_target *t, unsigned before,
			const char *address)
{
	char earlier[96];

	for (unsigned i = 0; i < before; i++)
		if (t->portals[i].tpgt == t->portals[before].tpgt &&
		    portal_address(env, &t->portals[i], earlier) && !strcmp(earlier, address))
			return true;
	return false;
}

/*
 * Appendix C: TargetName, then a TargetAddress for each portal. A target with no address that could
 * be told is left out.
 */
static void target_put(const struct login_env *env, const struct login_target *t,
		       struct text_out *o)
{
	char address[96], value[112];
	bool named = false;

	for (unsigned i = 0; i < t->nportals; i++) {
		if (!portal_address(env, &t->portals[i], address) ||
		    portal_told(env, t, i, address))
			continue;
		if (!named)
			text_put_key(o, KEY_TARGET_NAME, t->name);
		named = true;
		snprintf(value, sizeof(value), "%s,%u", address, t->portals[i].tpgt);
		text_put_key(o, KEY_TARGET_ADDRESS, value);
	}
}

/*
 * An initiator is told only of targets it may use: of the others it learns nothing, not even that
 * they are there.
 */
static void target_put_named(const struct asker *a, const char *name, struct text_out *o)
{
	int i = name_find_target(a->env, name);

	if (i >= 0 && name_admitted(&a->env->targets[i], a->initiator))
		target_put(a->env, &a->env->targets[i], o);
}

/*
 * Appendix C: "All" in discovery sessions only, nothing in normal ones only (its own target), a
 * name in both.
 */
static void send_targets(const struct asker *a, const char *value, struct text_out *o)
{
	char name[ISCSI_NAME_MAX + 1];

	if (!strcmp(value, "All") && a->discovery) {
		for (unsigned i = 0; i < a->env->ntargets && !o->overflow; i++)
			if (name_admitted(&a->env->targets[i], a->initiator))
				target_put(a->env, &a->env->targets[i], o);
	} else if (!*value && !a->discovery) {
		target_put_named(a, a->target, o);
	} else if (name_normalize(value, name) && (a->discovery || !strcasecmp(name, a->target))) {
		target_put_named(a, name, o);
	} else {
		text_put_key(o, KEY_SEND_TARGETS, "Reject");
	}
}

static bool reject(const struct asker *a, enum iscsi_reject reason)
{
	exchange_end(a->t);
	*a->reason = reason;
	return false;
}

static bool pair_take(const struct asker *a, const struct pair *p, struct text_out *o)
{
	const struct key *k = key_find(p->name, p->name_len);
	struct iscsi_params declared;
	char answer[32];
	uint64_t bit;

	if (key_value_is_answer(p->value) && (!k || k->type != KEY_TEXT))
		return true; /* we declare nothing here, but an answer must not be answered */
	if (!k) {
		text_put(o, p->name, p->name_len, "NotUnderstood");
		return true;
	}
	bit = 1ull << (k - keys);
	if (p->value_len > k->value_max || !(k->use & KEY_BY_INITIATOR) || a->t->seen & bit)
		return reject(a, REJECT_PROTOCOL);
	a->t->seen |= bit;
	if (!(k->use & KEY_IN_FULL_FEATURE)) {
		text_put(o, p->name, p->name_len, "Reject");
	} else if (k == &keys[KEY_SEND_TARGETS]) {
		send_targets(a, p->value, o);
	} else if (k == &keys[KEY_MAX_RECV_DATA_SEGMENT_LENGTH]) {
		if (key_negotiate(k, &a->env->offer, a->discovery, 0, &declared, p->value, answer,
				  sizeof(answer)) == KEY_ANSWERED)
			text_put(o, p->name, p->name_len, answer);
		else
			a->t->max_recv_dsl = declared.max_recv_dsl;
	}
	return true;
}

static bool text_answer(const struct asker *a)
{
	struct text *t = a->t;
	struct text_out o = { .buf = t->out, .cap = t->out_cap };
	enum pair_next got;
	uint32_t pos = 0;
	struct pair p;

	while ((got = pair_next(t->in, t->in_len, &pos, &p)) == PAIR_FOUND)
		if (!pair_take(a, &p, &o))
			return false;
	if (got == PAIR_MALFORMED)
		return reject(a, REJECT_PROTOCOL);
	if (o.overflow)
		return reject(a, REJECT_LONG_OPERATION);
	t->in_len = 0;
	t->out_len = o.len;
	t->out_pos = 0;
	return true;
}

/*
 * 11.10.4: the reserved tag begins an exchange (and drops one that was going on); any other must be
 * the one we gave.
 */
static bool exchange_check(const struct asker *a, const struct bhs_text_req *req)
{
	struct text *t = a->t;
	uint32_t ttt = be32_get(req->ttt), itt = be32_get(req->itt);

	if (ttt == ISCSI_TAG_NONE) {
		exchange_end(t);
		t->itt = itt;
		return true;
	}
	return (ttt == t->ttt && itt == t->itt) || reject(a, REJECT_PROTOCOL);
}

static bool text_gather(const struct asker *a, bool more, const void *data, uint32_t len)
{
	struct text *t = a->t;

	if (t->pending)
		/* 6.2: until our answer is complete the initiator only asks for its rest. */
		return (!len && !more) || reject(a, REJECT_PROTOCOL);
	if (len > sizeof(t->in) - t->in_len)
		return reject(a, REJECT_LONG_OPERATION);
	if (len)
		memcpy(t->in + t->in_len, data, len);
	t->in_len += len;
	return more || text_answer(a);
}

static uint32_t ttt_new(struct text *t)
{
	if (t->next_ttt == ISCSI_TAG_NONE)
		t->next_ttt = 0;
	return t->next_ttt++;
}

enum text_next text_request(struct text *t, const struct login_env *env, bool discovery,
			    const char *initiator, const char *target, struct iscsi_params *params,
			    const struct bhs_text_req *req, const void *data, uint32_t len,
			    uint32_t max_data, struct bhs_text_rsp *rsp, const char **text,
			    uint32_t *text_len, uint8_t *reason)
{
	struct asker a = { t, env, discovery, initiator, target, reason };
	bool final = req->flags & PDU_FINAL, more = req->flags & TEXT_CONTINUE;
	uint32_t n;

	assert((data || !len) && max_data);
	*text = NULL;
	*text_len = 0;
	memset(rsp, 0, sizeof(*rsp));
	if (final && more) { /* 11.10.2 */
		reject(&a, REJECT_PROTOCOL);
		return TEXT_REJECT;
	}
	if (!exchange_check(&a, req) || !text_gather(&a, more, data, len))
		return TEXT_REJECT;
	rsp->opcode = OP_TEXT_RSP;
	rsp->itt = req->itt;
	n = t->out_len - t->out_pos;
	t->pending = n > max_data;
	if (t->pending)
		n = max_data;
	*text = n ? t->out + t->out_pos : NULL;
	*text_len = n;
	t->out_pos += n;
	rsp->data_len = be24_of(n);
	if (t->pending)
		rsp->flags = TEXT_CONTINUE;
	if (final && !t->pending) {
		/*
		 * 11.11.1: F answers F, and then the tag is the reserved one; what was declared
		 * holds from here.
		 */
		rsp->flags = PDU_FINAL;
		if (t->max_recv_dsl)
			params->max_recv_dsl = t->max_recv_dsl;
		exchange_end(t);
	} else if (t->ttt == ISCSI_TAG_NONE) {
		t->ttt = ttt_new(t);
	}
	rsp->ttt = be32_of(t->ttt);
	return TEXT_ANSWER;
}
