/* SPDX-License-Identifier: Apache-2.0 */
/* The table of text keys and what is done by it. */
#include "target/iscsi/keys.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SEC KEY_IN_SECURITY
#define OPER KEY_IN_OPERATIONAL
#define ANY (KEY_IN_SECURITY | KEY_IN_OPERATIONAL)
#define FFP KEY_IN_FULL_FEATURE
#define LO KEY_LEADING_ONLY
#define INI KEY_BY_INITIATOR
#define TGT KEY_BY_TARGET
#define BOTH (KEY_BY_INITIATOR | KEY_BY_TARGET)
#define NODISC KEY_NOT_DISCOVERY
#define PARAM(f) .param = { offsetof(struct iscsi_params, f), sizeof(((struct iscsi_params *)0)->f) }
#define OFFER(f) .offer = { offsetof(struct iscsi_offer, f), sizeof(((struct iscsi_offer *)0)->f) }
#define SECRET(id, n, c) [id] = { .name = n, .type = KEY_SECURITY_DATA, .rule = KEY_DECLARES, .use = SEC | BOTH, \
				  .value_max = KEY_BINARY_MAX, .clause = c }

enum { BURST_MAX = (1 << 24) - 1 };

/*
 * KEY_REPEATS: RFC 7143 6.3 forbids to declare anything twice, but libiscsi says again in the operational stage who it is and which
 * target it wants, after having said so in the security stage. The same words once more change nothing; other words are an error.
 */
const struct key keys[KEYS] = {
	[KEY_AUTH_METHOD] = { .name = "AuthMethod", .type = KEY_LIST, .rule = KEY_FIRST, .use = SEC | BOTH,
		.value_max = KEY_LIST_MAX, .clause = "12.1" },
	SECRET(KEY_CHAP_A, "CHAP_A", "12.1.3"),
	SECRET(KEY_CHAP_I, "CHAP_I", "12.1.3"),
	SECRET(KEY_CHAP_C, "CHAP_C", "12.1.3"),
	SECRET(KEY_CHAP_N, "CHAP_N", "12.1.3"),
	SECRET(KEY_CHAP_R, "CHAP_R", "12.1.3"),
	/* Methods we never agree to: known, so never NotUnderstood, and always out of place. */
	SECRET(KEY_KRB_AP_REQ, "KRB_AP_REQ", "12.1.1"),
	SECRET(KEY_KRB_AP_REP, "KRB_AP_REP", "12.1.1"),
	SECRET(KEY_SRP_U, "SRP_U", "12.1.2"),
	SECRET(KEY_TARGET_AUTH, "TargetAuth", "12.1.2"),
	SECRET(KEY_SRP_GROUP, "SRP_GROUP", "12.1.2"),
	SECRET(KEY_SRP_A, "SRP_A", "12.1.2"),
	SECRET(KEY_SRP_B, "SRP_B", "12.1.2"),
	SECRET(KEY_SRP_S, "SRP_s", "12.1.2"),
	SECRET(KEY_SRP_M, "SRP_M", "12.1.2"),
	SECRET(KEY_SRP_HM, "SRP_HM", "12.1.2"),

	[KEY_INITIATOR_NAME] = { .name = "InitiatorName", .type = KEY_TEXT, .rule = KEY_DECLARES,
		.use = ANY | INI | KEY_REPEATS, .value_max = KEY_VALUE_MAX, .clause = "13.5" },
	[KEY_TARGET_NAME] = { .name = "TargetName", .type = KEY_TEXT, .rule = KEY_DECLARES,
		.use = ANY | BOTH | KEY_REPEATS, .value_max = KEY_VALUE_MAX, .clause = "13.4" },
	[KEY_SESSION_TYPE] = { .name = "SessionType", .type = KEY_TEXT, .rule = KEY_DECLARES,
		.use = ANY | LO | INI | KEY_REPEATS, .value_max = KEY_VALUE_MAX, .clause = "13.21" },
	[KEY_INITIATOR_ALIAS] = { .name = "InitiatorAlias", .type = KEY_TEXT, .rule = KEY_DECLARES,
		.use = ANY | FFP | INI | KEY_REPEATS, .value_max = KEY_VALUE_MAX, .clause = "13.7" },
	[KEY_TARGET_ALIAS] = { .name = "TargetAlias", .type = KEY_TEXT, .rule = KEY_DECLARES, .use = ANY | FFP | TGT,
		.value_max = KEY_VALUE_MAX, .clause = "13.6" },
	[KEY_TARGET_ADDRESS] = { .name = "TargetAddress", .type = KEY_TEXT, .rule = KEY_DECLARES, .use = ANY | FFP | TGT,
		.value_max = KEY_VALUE_MAX, .clause = "13.8" },
	[KEY_TARGET_PORTAL_GROUP_TAG] = { .name = "TargetPortalGroupTag", .type = KEY_TEXT, .rule = KEY_DECLARES, .use = ANY | TGT,
		.value_max = KEY_VALUE_MAX, .clause = "13.9" },
	[KEY_SEND_TARGETS] = { .name = "SendTargets", .type = KEY_TEXT, .rule = KEY_DECLARES, .use = FFP | INI,
		.value_max = KEY_VALUE_MAX, .clause = "13.3" },

	[KEY_HEADER_DIGEST] = { .name = "HeaderDigest", .type = KEY_LIST, .rule = KEY_FIRST, .use = OPER | BOTH,
		.value_max = KEY_LIST_MAX, PARAM(header_digest), OFFER(header_digest), .clause = "13.1" },
	[KEY_DATA_DIGEST] = { .name = "DataDigest", .type = KEY_LIST, .rule = KEY_FIRST, .use = OPER | BOTH,
		.value_max = KEY_LIST_MAX, PARAM(data_digest), OFFER(data_digest), .clause = "13.1" },
	[KEY_MAX_CONNECTIONS] = { .name = "MaxConnections", .type = KEY_NUMBER, .rule = KEY_MIN,
		.use = OPER | LO | BOTH | NODISC, .value_max = KEY_VALUE_MAX, .min = 1, .max = 65535, .preset = 1,
		PARAM(max_connections), .ours = 1, .clause = "13.2" },
	[KEY_INITIAL_R2T] = { .name = "InitialR2T", .type = KEY_BOOLEAN, .rule = KEY_OR, .use = OPER | LO | BOTH | NODISC,
		.value_max = KEY_VALUE_MAX, .preset = true, PARAM(initial_r2t), OFFER(initial_r2t), .clause = "13.10" },
	[KEY_IMMEDIATE_DATA] = { .name = "ImmediateData", .type = KEY_BOOLEAN, .rule = KEY_AND,
		.use = OPER | LO | BOTH | NODISC, .value_max = KEY_VALUE_MAX, .preset = true, PARAM(immediate_data),
		OFFER(immediate_data), .clause = "13.11" },
	[KEY_MAX_RECV_DATA_SEGMENT_LENGTH] = { .name = "MaxRecvDataSegmentLength", .type = KEY_NUMBER, .rule = KEY_DECLARES,
		.use = OPER | FFP | BOTH, .value_max = KEY_VALUE_MAX, .min = 512, .max = BURST_MAX, .preset = 8192,
		PARAM(max_recv_dsl), OFFER(own_max_recv_dsl), .clause = "13.12" },
	[KEY_MAX_BURST_LENGTH] = { .name = "MaxBurstLength", .type = KEY_NUMBER, .rule = KEY_MIN,
		.use = OPER | LO | BOTH | NODISC, .value_max = KEY_VALUE_MAX, .min = 512, .max = BURST_MAX, .preset = 262144,
		PARAM(max_burst), OFFER(max_burst), .clause = "13.13" },
	[KEY_FIRST_BURST_LENGTH] = { .name = "FirstBurstLength", .type = KEY_NUMBER, .rule = KEY_MIN,
		.use = OPER | LO | BOTH | NODISC | KEY_LAST, .value_max = KEY_VALUE_MAX, .min = 512, .max = BURST_MAX,
		.preset = 65536, PARAM(first_burst), OFFER(first_burst), .clause = "13.14" },
	/* Ours is 0: a lost connection may come back at once, so what the initiator wishes holds. */
	[KEY_DEFAULT_TIME2WAIT] = { .name = "DefaultTime2Wait", .type = KEY_NUMBER, .rule = KEY_MAX, .use = OPER | LO | BOTH,
		.value_max = KEY_VALUE_MAX, .min = 0, .max = 3600, .preset = 2, PARAM(time2wait), .ours = 0, .clause = "13.15" },
	/* Ours is 0: at error recovery level 0 nothing of a session outlives its only connection. */
	[KEY_DEFAULT_TIME2RETAIN] = { .name = "DefaultTime2Retain", .type = KEY_NUMBER, .rule = KEY_MIN, .use = OPER | LO | BOTH,
		.value_max = KEY_VALUE_MAX, .min = 0, .max = 3600, .preset = 20, PARAM(time2retain), .ours = 0,
		.clause = "13.16" },
	[KEY_MAX_OUTSTANDING_R2T] = { .name = "MaxOutstandingR2T", .type = KEY_NUMBER, .rule = KEY_MIN,
		.use = OPER | LO | BOTH | NODISC, .value_max = KEY_VALUE_MAX, .min = 1, .max = 65535, .preset = 1,
		PARAM(max_outstanding_r2t), OFFER(max_outstanding_r2t), .clause = "13.17" },
	[KEY_DATA_PDU_IN_ORDER] = { .name = "DataPDUInOrder", .type = KEY_BOOLEAN, .rule = KEY_OR,
		.use = OPER | LO | BOTH | NODISC, .value_max = KEY_VALUE_MAX, .preset = true, PARAM(data_pdu_in_order),
		.ours = true, .clause = "13.18" },
	[KEY_DATA_SEQUENCE_IN_ORDER] = { .name = "DataSequenceInOrder", .type = KEY_BOOLEAN, .rule = KEY_OR,
		.use = OPER | LO | BOTH | NODISC, .value_max = KEY_VALUE_MAX, .preset = true, PARAM(data_sequence_in_order),
		.ours = true, .clause = "13.19" },
	[KEY_ERROR_RECOVERY_LEVEL] = { .name = "ErrorRecoveryLevel", .type = KEY_NUMBER, .rule = KEY_MIN, .use = OPER | LO | BOTH,
		.value_max = KEY_VALUE_MAX, .min = 0, .max = 2, .preset = 0, PARAM(erl), .ours = 0, .clause = "13.20" },
	[KEY_TASK_REPORTING] = { .name = "TaskReporting", .type = KEY_LIST, .rule = KEY_FIRST, .use = OPER | LO | BOTH | NODISC,
		.value_max = KEY_LIST_MAX, PARAM(task_reporting), .clause = "13.23" },
	/* Level 2 would promise the task management functions of RFC 7144. */
	[KEY_ISCSI_PROTOCOL_LEVEL] = { .name = "iSCSIProtocolLevel", .type = KEY_NUMBER, .rule = KEY_MIN,
		.use = OPER | LO | BOTH | NODISC, .value_max = KEY_VALUE_MAX, .min = 0, .max = 31, .preset = 1,
		PARAM(protocol_level), .ours = 1, .clause = "13.24" },
	/* 13.25: No is allowed besides Reject, and initiators that still offer the markers take it better. */
	[KEY_OFMARKER] = { .name = "OFMarker", .type = KEY_BOOLEAN, .rule = KEY_FIXED, .use = OPER | BOTH,
		.value_max = KEY_VALUE_MAX, PARAM(ofmarker), .fixed = "No", .clause = "13.25" },
	[KEY_IFMARKER] = { .name = "IFMarker", .type = KEY_BOOLEAN, .rule = KEY_FIXED, .use = OPER | BOTH,
		.value_max = KEY_VALUE_MAX, PARAM(ifmarker), .fixed = "No", .clause = "13.25" },
	[KEY_OFMARKINT] = { .name = "OFMarkInt", .type = KEY_NUMBER, .rule = KEY_FIXED, .use = OPER | BOTH,
		.value_max = KEY_VALUE_MAX, .fixed = "Reject", .clause = "13.25" },
	[KEY_IFMARKINT] = { .name = "IFMarkInt", .type = KEY_NUMBER, .rule = KEY_FIXED, .use = OPER | BOTH,
		.value_max = KEY_VALUE_MAX, .fixed = "Reject", .clause = "13.25" },
};

/* The values of a list key we may choose, as they are kept in struct iscsi_params. */
struct choice {
	uint8_t key, value;
	const char *word;
};

/*
 * TaskReporting: FastAbort is not among them; it promises Asynchronous Messages with AsyncEvent 5 to the other sessions (4.2.3.4).
 * ResponseFence costs nothing with one connection a session.
 */
static const struct choice choices[] = {
	{ KEY_HEADER_DIGEST, true, "CRC32C" }, { KEY_HEADER_DIGEST, false, "None" },
	{ KEY_DATA_DIGEST, true, "CRC32C" }, { KEY_DATA_DIGEST, false, "None" },
	{ KEY_TASK_REPORTING, 1, "ResponseFence" }, { KEY_TASK_REPORTING, 0, "RFC3720" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct key *key_find(const char *name, size_t len)
{
	for (unsigned i = 0; i < KEYS; i++)
		if (strlen(keys[i].name) == len && !memcmp(keys[i].name, name, len))
			return &keys[i];
	return NULL;
}

static uint32_t field_get(const void *base, struct key_field f)
{
	const uint8_t *at = (const uint8_t *)base + f.offset;
	uint16_t half;
	uint32_t word;

	switch (f.size) {
	case 1:
		return *at;
	case 2:
		memcpy(&half, at, sizeof(half));
		return half;
	default:
		assert(f.size == 4);
		memcpy(&word, at, sizeof(word));
		return word;
	}
}

static void field_set(void *base, struct key_field f, uint32_t v)
{
	uint8_t *at = (uint8_t *)base + f.offset;
	uint16_t half = (uint16_t)v;

	switch (f.size) {
	case 1:
		*at = (uint8_t)v;
		break;
	case 2:
		memcpy(at, &half, sizeof(half));
		break;
	default:
		assert(f.size == 4);
		memcpy(at, &v, sizeof(v));
	}
}

void params_init(struct iscsi_params *p)
{
	memset(p, 0, sizeof(*p));
	for (unsigned i = 0; i < KEYS; i++)
		if (keys[i].param.size)
			field_set(p, keys[i].param, keys[i].preset);
	p->own_max_recv_dsl = keys[KEY_MAX_RECV_DATA_SEGMENT_LENGTH].preset;
}

bool key_number(const char *value, uint32_t max, uint32_t *n)
{
	bool hex = value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
	uint32_t base = hex ? 16 : 10, digit;
	uint64_t v = 0;

	if (hex)
		value += 2;
	if (!*value)
		return false;
	for (; *value; value++) {
		if (*value >= '0' && *value <= '9')
			digit = (uint32_t)(*value - '0');
		else if (hex && *value >= 'a' && *value <= 'f')
			digit = (uint32_t)(*value - 'a' + 10);
		else if (hex && *value >= 'A' && *value <= 'F')
			digit = (uint32_t)(*value - 'A' + 10);
		else
			return false;
		v = v * base + digit;
		if (v > max)
			return false;
	}
	*n = (uint32_t)v;
	return true;
}

bool key_list_has(const char *list, const char *item)
{
	size_t want = strlen(item), len;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if (len == want && !memcmp(list, item, len))
			return true;
		if (!list[len])
			return false;
	}
}

bool key_value_is_answer(const char *value)
{
	return !strcmp(value, "Reject") || !strcmp(value, "Irrelevant") || !strcmp(value, "NotUnderstood");
}

static uint32_t key_ours(const struct key *k, const struct iscsi_offer *offer)
{
	return k->offer.size ? field_get(offer, k->offer) : k->ours;
}

/* Whether we may choose that value: a digest can be switched off, or be demanded, by the configuration. */
static bool choice_allowed(const struct choice *c, const struct iscsi_offer *offer)
{
	bool demanded;

	if (c->key == KEY_TASK_REPORTING)
		return true;
	demanded = c->key == KEY_HEADER_DIGEST ? offer->header_digest_required : offer->data_digest_required;
	return c->value ? demanded || key_ours(&keys[c->key], offer) : !demanded;
}

/* The first value of the originator's list that we support (RFC 7143 6.2.1), or NULL. */
static const struct choice *list_choose(const struct key *k, const struct iscsi_offer *offer, const char *list)
{
	size_t len;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		for (unsigned i = 0; i < COUNT(choices); i++)
			if (&keys[choices[i].key] == k && strlen(choices[i].word) == len &&
			    !memcmp(choices[i].word, list, len) && choice_allowed(&choices[i], offer))
				return &choices[i];
		if (!list[len])
			return NULL;
	}
}

static const char *negotiate_list(const struct key *k, const struct iscsi_offer *offer, struct iscsi_params *p,
				  const char *value)
{
	const struct choice *c = list_choose(k, offer, value);

	if (!c)
		return "Reject";
	field_set(p, k->param, c->value);
	return c->word;
}

static const char *negotiate_boolean(const struct key *k, const struct iscsi_offer *offer, struct iscsi_params *p,
				     const char *value)
{
	bool yes = !strcmp(value, "Yes"), ours = key_ours(k, offer);

	if (!yes && strcmp(value, "No"))
		return "Reject";
	yes = k->rule == KEY_OR ? yes || ours : yes && ours;
	field_set(p, k->param, yes);
	return yes ? "Yes" : "No";
}

/* False: no number, or out of range. */
static bool negotiate_number(const struct key *k, const struct iscsi_offer *offer, struct iscsi_params *p, const char *value,
			     uint32_t *result)
{
	uint32_t n, ours = key_ours(k, offer);

	if (!key_number(value, k->max, &n) || n < k->min)
		return false;
	if (k->rule == KEY_DECLARES) {
		field_set(p, k->param, n);
		return true;
	}
	/* A configured wish beyond the key's own range must not become an answer. */
	ours = ours < k->min ? k->min : ours > k->max ? k->max : ours;
	/* 13.14: FirstBurstLength never exceeds MaxBurstLength, which has its value by now (KEY_LAST). */
	if (k == &keys[KEY_FIRST_BURST_LENGTH] && ours > p->max_burst)
		ours = p->max_burst;
	if (k->rule == KEY_MIN ? n > ours : n < ours)
		n = ours;
	field_set(p, k->param, n);
	*result = n;
	return true;
}

/* Section 13, "Irrelevant when" of each key. */
static bool key_irrelevant(const struct key *k, bool discovery, uint64_t negotiated, const struct iscsi_params *p)
{
	const uint64_t both = 1ull << KEY_INITIAL_R2T | 1ull << KEY_IMMEDIATE_DATA;

	if (discovery && k->use & KEY_NOT_DISCOVERY)
		return true;
	return k == &keys[KEY_FIRST_BURST_LENGTH] && (negotiated & both) == both && p->initial_r2t && !p->immediate_data;
}

enum key_answer key_negotiate(const struct key *k, const struct iscsi_offer *offer, bool discovery, uint64_t negotiated,
			      struct iscsi_params *p, const char *value, char *answer, size_t cap)
{
	const char *word = NULL;
	uint32_t n = 0;

	assert(cap >= 32 && k->type != KEY_TEXT && k->type != KEY_SECURITY_DATA);
	if (key_irrelevant(k, discovery, negotiated, p))
		word = "Irrelevant";
	else if (k->rule == KEY_FIXED)
		word = k->fixed;
	else if (k->type == KEY_LIST)
		word = negotiate_list(k, offer, p, value);
	else if (k->type == KEY_BOOLEAN)
		word = negotiate_boolean(k, offer, p, value);
	else if (!negotiate_number(k, offer, p, value, &n))
		word = "Reject";
	else if (k->rule == KEY_DECLARES)
		return KEY_SILENT;
	if (word)
		snprintf(answer, cap, "%s", word);
	else
		snprintf(answer, cap, "%u", n);
	return KEY_ANSWERED;
}

enum pair_next pair_next(const char *text, uint32_t len, uint32_t *pos, struct pair *p)
{
	const char *end, *equals;

	while (*pos < len && !text[*pos])
		++*pos;
	if (*pos >= len)
		return PAIR_END;
	p->name = text + *pos;
	end = memchr(p->name, 0, len - *pos);
	if (!end)
		return PAIR_MALFORMED;
	equals = memchr(p->name, '=', (size_t)(end - p->name));
	if (!equals || equals == p->name || equals - p->name > KEY_NAME_MAX)
		return PAIR_MALFORMED;
	/* A name we do not know goes back into an answer and perhaps a log: printable ASCII only (6.1 has fewer still). */
	for (const char *c = p->name; c < equals; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return PAIR_MALFORMED;
	p->name_len = (uint32_t)(equals - p->name);
	p->value = equals + 1;
	p->value_len = (uint32_t)(end - p->value);
	*pos = (uint32_t)(end + 1 - text);
	return PAIR_FOUND;
}

void text_put(struct text_out *o, const char *name, size_t name_len, const char *value)
{
	size_t value_len = strlen(value), need = name_len + value_len + 2;

	if (o->overflow || need > o->cap - o->len) {
		o->overflow = true;
		return;
	}
	memcpy(o->buf + o->len, name, name_len);
	o->buf[o->len + name_len] = '=';
	memcpy(o->buf + o->len + name_len + 1, value, value_len + 1);
	o->len += (uint32_t)need;
}

void text_put_key(struct text_out *o, enum key_id id, const char *value)
{
	text_put(o, keys[id].name, strlen(keys[id].name), value);
}

void text_put_number(struct text_out *o, enum key_id id, uint32_t value)
{
	char word[16];

	snprintf(word, sizeof(word), "%u", value);
	text_put_key(o, id, word);
}
