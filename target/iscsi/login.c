/* SPDX-License-Identifier: Apache-2.0 */
/* The login phase as a stage machine: RFC 7143 6.3, 11.12, 11.13. */
#include "target/iscsi/login.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "target/iscsi/chap.h"
#include "target/iscsi/keys.h"
#include "target/iscsi/name.h"

/*
 * The stage changes an initiator may ask for with the T bit (11.12.3, and the figure of 6.3); any
 * other is an error.
 */
static const struct {
	uint8_t from, to;
} transitions[] = {
	{ STAGE_SECURITY, STAGE_OPERATIONAL },
	{ STAGE_SECURITY, STAGE_FULL_FEATURE },
	{ STAGE_OPERATIONAL, STAGE_FULL_FEATURE },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* One request while it is worked on. */
struct step {
	struct login *l;
	const struct login_env *env;
	const struct bhs_login_req *req;
	bool transit, more; /* T and C of the request */
	uint8_t csg, nsg;
	uint8_t chap_state; /* before this text */
	struct chap_keys chap;
	struct text_out out;
};

void login_init(struct login *l)
{
	memset(l, 0, sizeof(*l));
	l->target_index = -1;
	params_init(&l->params);
}

static bool fail(struct login *l, enum login_status status, const char *why)
{
	l->phase = LOGIN_FAILED;
	l->status_class = (uint8_t)(status >> 8);
	l->status_detail = (uint8_t)status;
	l->why = why;
	return false;
}

/*
 * What every response has: 11.13. TSIH is the initiator's until the caller knows better. What made
 * us refuse need not be a login request, so the ISID is the first one's.
 */
static void rsp_init(const struct login *l, const struct bhs_login_req *req,
		     struct bhs_login_rsp *rsp)
{
	memset(rsp, 0, sizeof(*rsp));
	rsp->opcode = OP_LOGIN_RSP;
	memcpy(rsp->isid, l->begun ? l->isid : req->isid, sizeof(rsp->isid));
	rsp->tsih = l->begun ? be16_of(l->tsih) : req->tsih;
	rsp->itt = req->itt;
	rsp->flags = req->flags & 0x0c; /* CSG */
	rsp->status_class = l->status_class;
	rsp->status_detail = l->status_detail;
}

void login_refuse(struct login *l, const struct bhs_login_req *req, uint8_t status_class,
		  uint8_t status_detail, const char *why, struct bhs_login_rsp *rsp)
{
	fail(l, (enum login_status)(status_class << 8 | status_detail), why);
	rsp_init(l, req, rsp);
}

/* Who must prove itself here, and how. NULL until the target is known. */
static const struct login_auth *auth_of(const struct login *l, const struct login_env *env)
{
	if (l->discovery)
		return &env->discovery_auth;
	return l->target_index >= 0 ? &env->targets[l->target_index].auth : NULL;
}

static bool auth_required(const struct login *l, const struct login_env *env)
{
	const struct login_auth *auth = auth_of(l, env);

	return auth && auth->user[0];
}

/* Opcode, version, flags and stage of the header: 11.12.1 to 11.12.4. */
static bool check_header(struct step *s)
{
	struct login *l = s->l;

	if ((s->req->opcode & 0x3f) != OP_LOGIN_REQ)
		return fail(l, LOGIN_ST_INVALID_REQUEST,
			    "a request other than a login request during login");
	if (s->req->version_min > 0)
		return fail(l, LOGIN_ST_VERSION, "the initiator has no iSCSI version 0");
	if (++l->requests > LOGIN_REQUESTS_MAX)
		return fail(l, LOGIN_ST_INITIATOR_ERROR, "too many login requests");
	if (s->csg != STAGE_SECURITY && s->csg != STAGE_OPERATIONAL)
		return fail(l, LOGIN_ST_INITIATOR_ERROR, "the current stage is none of a login");
	if (s->transit && s->more)
		return fail(l, LOGIN_ST_INITIATOR_ERROR, "T and C bit together");
	if (s->transit) {
		unsigned i = 0;

		while (i < COUNT(transitions) &&
		       (transitions[i].from != s->csg || transitions[i].to != s->nsg))
			i++;
		if (i == COUNT(transitions))
			return fail(l, LOGIN_ST_INITIATOR_ERROR, "no such stage transition");
	}
	return true;
}

/*
 * What the first request sets and the others must repeat: ISID, TSIH, CID; the stage is what we
 * agreed to last.
 */
static bool check_sequence(struct step *s)
{
	struct login *l = s->l;

	if (!l->begun) {
		l->begun = true;
		memcpy(l->isid, s->req->isid, sizeof(l->isid));
		l->tsih = be16_get(s->req->tsih);
		l->cid = be16_get(s->req->cid);
		l->cmdsn = be32_get(s->req->cmdsn);
		l->expstatsn = be32_get(s->req->expstatsn);
		l->stage = s->csg;
	}
	if (memcmp(l->isid, s->req->isid, sizeof(l->isid)) || l->tsih != be16_get(s->req->tsih) ||
	    l->cid != be16_get(s->req->cid))
		return fail(l, LOGIN_ST_INITIATOR_ERROR, "ISID, TSIH or CID changed during login");
	if (l->stage != s->csg)
		return fail(l, LOGIN_ST_INITIATOR_ERROR,
			    "a login request of another stage than agreed");
	return true;
}

/*
 * Whether the initiator may send this key now. *skip: it may, and there is nothing more to do with
 * it.
 */
static bool check_key(struct step *s, const struct key *k, const struct pair *p, bool *skip)
{
	struct login *l = s->l;
	uint64_t bit = 1ull << (k - keys);
	unsigned stage_use = l->stage == STAGE_SECURITY ? KEY_IN_SECURITY : KEY_IN_OPERATIONAL;

	*skip = false;
	if (p->value_len > k->value_max)
		return fail(l, LOGIN_ST_INITIATOR_ERROR, "a value is longer than its key allows");
	/* Reject, NotUnderstood, Irrelevant answer what we declared, and are no offers (6.2). */
	if ((k->type != KEY_TEXT || !(k->use & KEY_BY_INITIATOR)) &&
	    key_value_is_answer(p->value)) {
		*skip = true;
		return l->sent & bit ||
		       fail(l, LOGIN_ST_INITIATOR_ERROR, "an answer to what was not asked");
	}
	if (!(k->use & KEY_BY_INITIATOR))
		return fail(l, LOGIN_ST_INITIATOR_ERROR, "a key only a target may send");
	if (!(k->use & stage_use))
		return fail(l, LOGIN_ST_INITIATOR_ERROR, "a key that has no place in this stage");
	if (k->use & KEY_LEADING_ONLY && !(k->use & KEY_REPEATS) && l->tsih)
		return fail(l, LOGIN_ST_INITIATOR_ERROR,
			    "a key of the leading login on another connection");
	if (l->seen & bit && !(k->use & KEY_REPEATS))
		return fail(l, LOGIN_ST_INITIATOR_ERROR, "a key was sent twice");
	return true;
}

/* The declarations that say who wants what. */
static bool declare(struct step *s, const struct key *k, const struct pair *p)
{
	struct login *l = s->l;
	bool again = l->seen & 1ull << (k - keys), same = true, discovery;
	char name[ISCSI_NAME_MAX + 1];

	l->seen |= 1ull << (k - keys);
	switch (k - keys) {
	case KEY_INITIATOR_NAME:
		if (!name_normalize(p->value, name))
			return fail(l, LOGIN_ST_INITIATOR_ERROR,
				    "InitiatorName is not an iSCSI name");
		same = !strcmp(name, l->initiator);
		if (!again && !l->identified)
			memcpy(l->initiator, name, strlen(name) + 1);
		break;
	case KEY_TARGET_NAME:
		if (!name_normalize(p->value, name))
			return fail(l, LOGIN_ST_NOT_FOUND, "TargetName is not an iSCSI name");
		same = !strcmp(name, l->target);
		if (!again && !l->identified)
			memcpy(l->target, name, strlen(name) + 1);
		break;
	case KEY_SESSION_TYPE:
		discovery = !strcmp(p->value, "Discovery");
		if (!discovery && strcmp(p->value, "Normal"))
			return fail(l, LOGIN_ST_SESSION_TYPE,
				    "SessionType is neither Discovery nor Normal");
		same = discovery == l->discovery;
		if (!again && !l->identified)
			l->discovery = discovery;
		break;
	case KEY_INITIATOR_ALIAS:
		/* It may change even in the full feature phase (13.7). */
		memcpy(l->alias, p->value, p->value_len + 1);
		return true;
	}
	/* 6.3: what the first text did not say is final too. */
	if ((again || l->identified) && !same)
		return fail(l, LOGIN_ST_INITIATOR_ERROR,
			    "a name or the session type changed during login");
	return true;
}

/*
 * First look at a complete text: its form, the right of each key to be there, and the declarations.
 */
static bool text_scan(struct step *s)
{
	struct login *l = s->l;
	uint32_t pos = 0;
	enum pair_next got;
	struct pair p;
	bool skip;

	while ((got = pair_next(l->in, l->in_len, &pos, &p)) == PAIR_FOUND) {
		const struct key *k = key_find(p.name, p.name_len);

		if (!k)
			continue;
		if (!check_key(s, k, &p, &skip))
			return false;
		if (skip)
			continue;
		if (k->type == KEY_TEXT) {
			if (!declare(s, k, &p))
				return false;
		} else {
			l->seen |= 1ull << (k - keys);
		}
	}
	return got == PAIR_END ||
	       fail(l, LOGIN_ST_INITIATOR_ERROR, "text that is not key=value pairs closed by NUL");
}

/*
 * The target must be there, on this portal group, for this initiator; looked up each time, for the
 * configuration can change.
 */
static bool find_target(struct step *s)
{
	const struct login_target *t;
	struct login *l = s->l;
	unsigned i = 0;

	l->target_index = name_find_target(s->env, l->target);
	if (l->target_index < 0)
		return fail(l, l->identified ? LOGIN_ST_REMOVED : LOGIN_ST_NOT_FOUND,
			    l->identified ? "the target was removed during login" :
					    "no such target");
	t = &s->env->targets[l->target_index];
	while (i < t->nportals && t->portals[i].tpgt != s->env->tpgt)
		i++;
	if (i == t->nportals)
		return fail(l, LOGIN_ST_NOT_FOUND, "the target is not served by this portal group");
	if (!name_admitted(t, l->initiator))
		return fail(l, LOGIN_ST_NOT_AUTHORIZED,
			    "the initiator is not among those the target admits");
	return true;
}

/* 6.3 and 11.12.10: what the first complete text must have told. */
static bool identify(struct step *s)
{
	struct login *l = s->l;

	if (!l->initiator[0])
		return fail(l, LOGIN_ST_MISSING_PARAM, "no InitiatorName");
	if (!l->discovery && !l->target[0])
		return fail(l, LOGIN_ST_MISSING_PARAM, "no TargetName in a normal session");
	if (!l->discovery && !find_target(s))
		return false;
	if (l->stage == STAGE_OPERATIONAL && auth_required(l, s->env) && !l->auth_done)
		return fail(l, LOGIN_ST_AUTH_FAILED,
			    "authentication is required, and the initiator skips it");
	return true;
}

/*
 * 13.9: the portal group tag with the first response that carries text; 13.6: the alias at any
 * time, so now.
 */
static void greet(struct step *s)
{
	struct login *l = s->l;

	l->identified = true;
	if (l->discovery)
		return;
	text_put_number(&s->out, KEY_TARGET_PORTAL_GROUP_TAG, s->env->tpgt);
	l->sent |= 1ull << KEY_TARGET_PORTAL_GROUP_TAG;
	if (s->env->targets[l->target_index].alias[0]) {
		text_put_key(&s->out, KEY_TARGET_ALIAS, s->env->targets[l->target_index].alias);
		l->sent |= 1ull << KEY_TARGET_ALIAS;
	}
}

/*
 * 12.1: the first method of the list we are allowed to use: CHAP where a secret is configured, else
 * None. When there is none, 6.2.1 lets us answer Reject or end the negotiation: ending it tells the
 * user what is wrong.
 */
static bool auth_method(struct step *s, const char *list)
{
	struct login *l = s->l;

	if (auth_required(l, s->env)) {
		if (!key_list_has(list, "CHAP"))
			return fail(l, LOGIN_ST_AUTH_FAILED,
				    "authentication is required, and the initiator offers no CHAP");
		l->chap.state = CHAP_AGREED;
		text_put_key(&s->out, KEY_AUTH_METHOD, "CHAP");
		return true;
	}
	if (!key_list_has(list, "None"))
		return fail(l, LOGIN_ST_AUTH_FAILED,
			    "the initiator insists on authentication, and none is configured");
	text_put_key(&s->out, KEY_AUTH_METHOD, "None");
	return true;
}

static bool security_key(struct step *s, const struct key *k, const char *value)
{
	switch (k - keys) {
	case KEY_CHAP_A:
		s->chap.a = value;
		return true;
	case KEY_CHAP_I:
		s->chap.i = value;
		return true;
	case KEY_CHAP_C:
		s->chap.c = value;
		return true;
	case KEY_CHAP_N:
		s->chap.n = value;
		return true;
	case KEY_CHAP_R:
		s->chap.r = value;
		return true;
	}
	return fail(s->l, LOGIN_ST_INITIATOR_ERROR,
		    "a key of an authentication method that was not agreed on");
}

/* What we are ready to agree to with this target. */
static struct iscsi_offer offer_of(const struct step *s)
{
	struct iscsi_offer o = s->env->offer;
	int i = s->l->target_index;

	if (i >= 0 && s->env->targets[i].first_burst &&
	    o.first_burst > s->env->targets[i].first_burst)
		o.first_burst = s->env->targets[i].first_burst;
	return o;
}

/* Second look: one pair is negotiated and answered. */
static bool negotiate(struct step *s, const struct key *k, const struct pair *p)
{
	struct iscsi_offer offer = offer_of(s);
	struct login *l = s->l;
	char answer[32];

	if (!k) {
		if (!key_value_is_answer(p->value))
			text_put(&s->out, p->name, p->name_len, "NotUnderstood");
		return true;
	}
	if (k->type == KEY_TEXT || key_value_is_answer(p->value))
		return true;
	if (k == &keys[KEY_AUTH_METHOD])
		return auth_method(s, p->value);
	if (k->type == KEY_SECURITY_DATA)
		return security_key(s, k, p->value);
	if (key_negotiate(k, &offer, l->discovery, l->negotiated, &l->params, p->value, answer,
			  sizeof(answer)) == KEY_ANSWERED)
		text_put(&s->out, p->name, p->name_len, answer);
	if (k->rule == KEY_DECLARES || !key_value_is_answer(answer))
		l->negotiated |= 1ull << (k - keys);
	return true;
}

/* All pairs in their order, those that depend on others last. */
static bool text_negotiate(struct step *s)
{
	struct login *l = s->l;
	struct pair p;

	for (int last = 0; last <= 1; last++) {
		uint32_t pos = 0;

		while (pair_next(l->in, l->in_len, &pos, &p) == PAIR_FOUND) {
			const struct key *k = key_find(p.name, p.name_len);

			if ((k && k->use & KEY_LAST) == (last != 0) && !negotiate(s, k, &p))
				return false;
		}
	}
	return true;
}

static bool chap_run(struct step *s)
{
	struct login *l = s->l;
	bool any = s->chap.a || s->chap.i || s->chap.c || s->chap.n || s->chap.r;

	if (s->chap_state != CHAP_AGREED && s->chap_state != CHAP_CHALLENGED)
		return !any ||
		       fail(l, LOGIN_ST_INITIATOR_ERROR, "a CHAP key where CHAP was not agreed on");
	switch (chap_step(&l->chap, auth_of(l, s->env), s->env->random, &s->chap, &s->out,
			  &l->why)) {
	case CHAP_REFUSED:
		return fail(l, LOGIN_ST_AUTH_FAILED, l->why);
	case CHAP_PROVEN:
		l->auth_done = true;
		break;
	case CHAP_GOING_ON:
		break;
	}
	return true;
}

/* The work of a stage on one complete text. */
static bool text_process(struct step *s)
{
	struct login *l = s->l;
	const struct key *mrdsl = &keys[KEY_MAX_RECV_DATA_SEGMENT_LENGTH];
	uint32_t own = s->env->offer.own_max_recv_dsl;

	if (!text_scan(s) || !identify(s))
		return false;
	if (!l->identified)
		greet(s);
	s->chap_state = l->chap.state;
	if (!text_negotiate(s))
		return false;
	if (l->stage == STAGE_SECURITY) {
		if (!chap_run(s))
			return false;
		if (s->transit && auth_required(l, s->env) && l->chap.state == CHAP_IDLE)
			return fail(l, LOGIN_ST_AUTH_FAILED,
				    "authentication is required, and the initiator offers none");
	} else if (!l->declared) {
		/* 13.12: declared once; until then, and in the login itself, the default holds. */
		l->declared = true;
		own = own < mrdsl->min ? mrdsl->min : own;
		own = own > mrdsl->max ? mrdsl->max : own;
		l->params.own_max_recv_dsl = own;
		text_put_number(&s->out, KEY_MAX_RECV_DATA_SEGMENT_LENGTH, own);
		l->sent |= 1ull << KEY_MAX_RECV_DATA_SEGMENT_LENGTH;
	}
	if (s->out.overflow)
		return fail(l, LOGIN_ST_NO_RESOURCES,
			    "the answer is longer than a negotiation may be");
	return true;
}

/* What must hold when the full feature phase is entered. */
static bool settle(struct step *s)
{
	const struct iscsi_offer *offer = &s->env->offer;
	struct login *l = s->l;
	struct iscsi_params *p = &l->params;

	if (auth_required(l, s->env) && !l->auth_done)
		return fail(l, LOGIN_ST_AUTH_FAILED, "authentication is required by now");
	if ((offer->header_digest_required && !p->header_digest) ||
	    (offer->data_digest_required && !p->data_digest))
		return fail(l, LOGIN_ST_INITIATOR_ERROR,
			    "a digest is required that the initiator does not use");
	if (p->first_burst > p->max_burst) {
		/* 13.14. A FirstBurstLength nobody spoke of just follows. */
		if (l->negotiated & 1ull << KEY_FIRST_BURST_LENGTH)
			return fail(l, LOGIN_ST_INITIATOR_ERROR,
				    "FirstBurstLength is greater than MaxBurstLength");
		p->first_burst = p->max_burst;
	}
	l->phase = LOGIN_DONE;
	return true;
}

/*
 * The next part of our answer, and the stage transition if the initiator asked for it and nothing
 * stands against it.
 */
static bool respond(struct step *s, struct bhs_login_rsp *rsp, const char **text,
		    uint32_t *text_len)
{
	struct login *l = s->l;
	uint32_t n = l->out_len - l->out_pos;

	l->pending_text = n > LOGIN_PDU_TEXT_MAX;
	if (l->pending_text)
		n = LOGIN_PDU_TEXT_MAX;
	*text = l->out + l->out_pos;
	*text_len = n;
	l->out_pos += n;
	rsp->data_len = be24_of(n);
	if (l->pending_text) {
		rsp->flags |= LOGIN_CONTINUE;
		return true;
	}
	if (!s->transit ||
	    (l->stage == STAGE_SECURITY && auth_required(l, s->env) && !l->auth_done))
		return true;
	if (s->nsg == STAGE_FULL_FEATURE && !settle(s))
		return false;
	l->stage = s->nsg;
	rsp->flags |= LOGIN_TRANSIT | s->nsg;
	return true;
}

/*
 * One request whose header is right. *whole: the text is complete and was worked on, or there is
 * more of ours to send.
 */
static bool text_take(struct step *s, const void *data, uint32_t len, bool *whole)
{
	struct login *l = s->l;

	*whole = true;
	if (len > LOGIN_PDU_TEXT_MAX)
		return fail(l, LOGIN_ST_INITIATOR_ERROR,
			    "a login request with more than 8192 bytes of text");
	if (l->pending_text) {
		/* 6.2: until our answer is complete the initiator only asks for its rest. */
		if (len || s->more)
			return fail(l, LOGIN_ST_INITIATOR_ERROR,
				    "text before our answer was complete");
		return identify(s);
	}
	if (len > sizeof(l->in) - l->in_len)
		return fail(l, LOGIN_ST_NO_RESOURCES,
			    "the text is longer than a negotiation may be");
	if (len)
		memcpy(l->in + l->in_len, data, len);
	l->in_len += len;
	if (s->more) {
		/* An empty PDU would not let the initiator go on: that is no continuation. */
		*whole = false;
		return len || fail(l, LOGIN_ST_INITIATOR_ERROR, "C bit without text");
	}
	l->out_len = l->out_pos = 0;
	s->out = (struct text_out){ .buf = l->out, .cap = sizeof(l->out) };
	if (!text_process(s))
		return false;
	l->out_len = s->out.len;
	l->in_len = 0;
	return true;
}

enum login_phase login_request(struct login *l, const struct login_env *env,
			       const struct bhs_login_req *req, const void *data, uint32_t len,
			       struct bhs_login_rsp *rsp, const char **text, uint32_t *text_len)
{
	struct step s = {
		.l = l,
		.env = env,
		.req = req,
		.transit = req->flags & LOGIN_TRANSIT,
		.more = req->flags & LOGIN_CONTINUE,
		.csg = req->flags >> 2 & 3,
		.nsg = req->flags & 3,
	};
	bool whole, ok;

	assert(data || !len);
	*text = NULL;
	*text_len = 0;
	rsp_init(l, req, rsp);
	if (l->phase == LOGIN_DONE)
		fail(l, LOGIN_ST_INVALID_REQUEST, "a login request after the login");
	ok = l->phase == LOGIN_GOING && check_header(&s) && check_sequence(&s) &&
	     text_take(&s, data, len, &whole) && (!whole || respond(&s, rsp, text, text_len));
	if (!ok) {
		assert(l->phase == LOGIN_FAILED);
		*text = NULL;
		*text_len = 0;
		rsp_init(l, req, rsp);
	}
	return l->phase;
}
