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
#define FIELD(s, f) { offsetof(struct s, f), sizeof(((struct s *)0)->f) }

/* Rows: name, clause of RFC 7143, where and by whom it may be said, and what the type needs. */
#define ROW(n, c, t, r, u, longest) \
	.name = n, .clause = c, .type = t, .rule = r, .use = u, .value_max = longest
/* Something said about oneself. */
#define TEXT(n, c, u) { ROW(n, c, KEY_TEXT, KEY_DECLARES, u, KEY_VALUE_MAX) }
/* A key of an authentication method. */
#define SECRET(n, c) { ROW(n, c, KEY_SECURITY_DATA, KEY_DECLARES, SEC | BOTH, KEY_BINARY_MAX) }
#define LIST(n, c, u, ...) { ROW(n, c, KEY_LIST, KEY_FIRST, u, KEY_LIST_MAX), __VA_ARGS__ }
/* Both ends of the range, the default, where the result goes; then our side. */
#define NUMBER(n, c, r, u, lo, hi, dflt, f, ...) \
	{ ROW(n, c, KEY_NUMBER, r, u, KEY_VALUE_MAX), .min = lo, .max = hi, .preset = dflt, \
	  .param = FIELD(iscsi_params, f), __VA_ARGS__ }
#define BOOLEAN(n, c, r, u, dflt, f, ...) \
	{ ROW(n, c, KEY_BOOLEAN, r, u, KEY_VALUE_MAX), .preset = dflt, \
	  .param = FIELD(iscsi_params, f), __VA_ARGS__ }
#define OBSOLETE(n, t, answer, ...) \
	{ ROW(n, "13.25", t, KEY_FIXED, OPER | BOTH, KEY_VALUE_MAX), .fixed = answer, __VA_ARGS__ }
/* Our side: a wish from the configuration, or always the same. */
#define OFFER(f) .offer = FIELD(iscsi_offer, f)
#define OURS(v) .ours = v
#define PARAM(f) .param = FIELD(iscsi_params, f)

enum { LENGTH_MIN = 512, LENGTH_MAX = (1 << 24) - 1 };

/*
 * KEY_REPEATS: RFC 7143 6.3 forbids to declare anything twice, but older versions of libiscsi say
 * again in the operational stage who they are and which target they want, having said so in the
 * security stage. The same words once more change nothing; other words are an error.
 */
const struct key keys[KEYS] = {
	[KEY_AUTH_METHOD] = LIST("AuthMethod", "12.1", SEC | BOTH, OURS(0)),
	[KEY_CHAP_A] = SECRET("CHAP_A", "12.1.3"),
	[KEY_CHAP_I] = SECRET("CHAP_I", "12.1.3"),
	[KEY_CHAP_C] = SECRET("CHAP_C", "12.1.3"),
	[KEY_CHAP_N] = SECRET("CHAP_N", "12.1.3"),
	[KEY_CHAP_R] = SECRET("CHAP_R", "12.1.3"),
	/* Methods we never agree to: known, so never NotUnderstood, and always out of place. */
	[KEY_KRB_AP_REQ] = SECRET("KRB_AP_REQ", "12.1.1"),
	[KEY_KRB_AP_REP] = SECRET("KRB_AP_REP", "12.1.1"),
	[KEY_SRP_U] = SECRET("SRP_U", "12.1.2"),
	[KEY_TARGET_AUTH] = SECRET("TargetAuth", "12.1.2"),
	[KEY_SRP_GROUP] = SECRET("SRP_GROUP", "12.1.2"),
	[KEY_SRP_A] = SECRET("SRP_A", "12.1.2"),
	[KEY_SRP_B] = SECRET("SRP_B", "12.1.2"),
	[KEY_SRP_S] = SECRET("SRP_s", "12.1.2"),
	[KEY_SRP_M] = SECRET("SRP_M", "12.1.2"),
	[KEY_SRP_HM] = SECRET("SRP_HM", "12.1.2"),

	[KEY_INITIATOR_NAME] = TEXT("InitiatorName", "13.5", ANY | INI | KEY_REPEATS),
	[KEY_TARGET_NAME] = TEXT("TargetName", "13.4", ANY | BOTH | KEY_REPEATS),
	[KEY_SESSION_TYPE] = TEXT("SessionType", "13.21", ANY | LO | INI | KEY_REPEATS),
	[KEY_INITIATOR_ALIAS] = TEXT("InitiatorAlias", "13.7", ANY | FFP | INI | KEY_REPEATS),
	[KEY_TARGET_ALIAS] = TEXT("TargetAlias", "13.6", ANY | FFP | TGT),
	[KEY_TARGET_ADDRESS] = TEXT("TargetAddress", "13.8", ANY | FFP | TGT),
	[KEY_TARGET_PORTAL_GROUP_TAG] = TEXT("TargetPortalGroupTag", "13.9", ANY | TGT),
	[KEY_SEND_TARGETS] = TEXT("SendTargets", "13.3", FFP | INI),

	[KEY_HEADER_DIGEST] = LIST("HeaderDigest", "13.1", OPER | BOTH, PARAM(header_digest),
				   OFFER(header_digest)),
	[KEY_DATA_DIGEST] = LIST("DataDigest", "13.1", OPER | BOTH, PARAM(data_digest),
				 OFFER(data_digest)),
	[KEY_MAX_CONNECTIONS] = NUMBER("MaxConnections", "13.2", KEY_MIN, OPER | LO | BOTH | NODISC,
				       1, 65535, 1, max_connections, OURS(1)),
	[KEY_INITIAL_R2T] = BOOLEAN("InitialR2T", "13.10", KEY_OR, OPER | LO | BOTH | NODISC,
				    true, initial_r2t, OFFER(initial_r2t)),
	[KEY_IMMEDIATE_DATA] = BOOLEAN("ImmediateData", "13.11", KEY_AND, OPER | LO | BOTH | NODISC,
				       true, immediate_data, OFFER(immediate_data)),
	[KEY_MAX_RECV_DATA_SEGMENT_LENGTH] =
		NUMBER("MaxRecvDataSegmentLength", "13.12", KEY_DECLARES, OPER | FFP | BOTH,
		       LENGTH_MIN, LENGTH_MAX, 8192, max_recv_dsl, OFFER(own_max_recv_dsl)),
	[KEY_MAX_BURST_LENGTH] =
		NUMBER("MaxBurstLength", "13.13", KEY_MIN, OPER | LO | BOTH | NODISC,
		       LENGTH_MIN, LENGTH_MAX, 262144, max_burst, OFFER(max_burst)),
	[KEY_FIRST_BURST_LENGTH] =
		NUMBER("FirstBurstLength", "13.14", KEY_MIN, OPER | LO | BOTH | NODISC | KEY_LAST,
		       LENGTH_MIN, LENGTH_MAX, 65536, first_burst, OFFER(first_burst)),
	/* Ours is 0: a lost connection may come back at once, so the initiator's wish holds. */
	[KEY_DEFAULT_TIME2WAIT] = NUMBER("DefaultTime2Wait", "13.15", KEY_MAX, OPER | LO | BOTH,
					 0, 3600, 2, time2wait, OURS(0)),
	/* Ours is 0: at error recovery level 0 nothing outlives a session's only connection. */
	[KEY_DEFAULT_TIME2RETAIN] = NUMBER("DefaultTime2Retain", "13.16", KEY_MIN, OPER | LO | BOTH,
					   0, 3600, 20, time2retain, OURS(0)),
	[KEY_MAX_OUTSTANDING_R2T] =
		NUMBER("MaxOutstandingR2T", "13.17", KEY_MIN, OPER | LO | BOTH | NODISC,
		       1, 65535, 1, max_outstanding_r2t, OFFER(max_outstanding_r2t)),
	[KEY_DATA_PDU_IN_ORDER] =
		BOOLEAN("DataPDUInOrder", "13.18", KEY_OR, OPER | LO | BOTH | NODISC,
			true, data_pdu_in_order, OURS(true)),
	[KEY_DATA_SEQUENCE_IN_ORDER] =
		BOOLEAN("DataSequenceInOrder", "13.19", KEY_OR, OPER | LO | BOTH | NODISC,
			true, data_sequence_in_order, OURS(true)),
	[KEY_ERROR_RECOVERY_LEVEL] = NUMBER("ErrorRecoveryLevel", "13.20", KEY_MIN,
					    OPER | LO | BOTH, 0, 2, 0, erl, OURS(0)),
	[KEY_TASK_REPORTING] = LIST("TaskReporting", "13.23", OPER | LO | BOTH | NODISC,
				    PARAM(task_reporting)),
	/* Level 2 would promise the task management functions of RFC 7144. */
	[KEY_ISCSI_PROTOCOL_LEVEL] =
		NUMBER("iSCSIProtocolLevel", "13.24", KEY_MIN, OPER | LO | BOTH | NODISC,
		       0, 31, 1, protocol_level, OURS(1)),
	/* No is allowed besides Reject, and who still offers the markers takes it better. */
	[KEY_OFMARKER] = OBSOLETE("OFMarker", KEY_BOOLEAN, "No", PARAM(ofmarker)),
	[KEY_IFMARKER] = OBSOLETE("IFMarker", KEY_BOOLEAN, "No", PARAM(ifmarker)),
	[KEY_OFMARKINT] = OBSOLETE("OFMarkInt", KEY_NUMBER, "Reject", OURS(0)),
	[KEY_IFMARKINT] = OBSOLETE("IFMarkInt", KEY_NUMBER, "Reject", OURS(0)),
};

/* The values of a list key we may choose, as they are kept in struct iscsi_params. */
struct choice {
	uint8_t key, value;
	const char *word;
};

/*
 * TaskReporting: FastAbort is not among them; it promises Asynchronous Messages with AsyncEvent 5
 * to the other sessions (4.2.3.4). ResponseFence costs nothing with one connection a session.
 */
static const struct choice choices[] = {
	{ KEY_HEADER_DIGEST, true, "CRC32C" },      { KEY_HEADER_DIGEST, false, "None" },
	{ KEY_DATA_DIGEST, true, "CRC32C" },        { KEY_DATA_DIGEST, false, "None" },
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
	return !strcmp(value, "Reject") || !strcmp(value, "Irrelevant") ||
	       !strcmp(value, "NotUnderstood");
}

static uint32_t key_ours(const struct key *k, const struct iscsi_offer *offer)
{
	return k->offer.size ? field_get(offer, k->offer) : k->ours;
}

/*
 * Whether we may choose that value: a digest can be switched off, or be demanded, by the
 * configuration.
 */
static bool choice_allowed(const struct choice *c, const struct iscsi_offer *offer)
{
	bool demanded;

	if (c->key == KEY_TASK_REPORTING)
		return true;
	demanded = c->key == KEY_HEADER_DIGEST ? offer->header_digest_required
					       : offer->data_digest_required;
	return c->value ? demanded || key_ours(&keys[c->key], offer) : !demanded;
}

/* The first value of the originator's list that we support (RFC 7143 6.2.1), or NULL. */
static const struct choice *list_choose(const struct key *k, const struct iscsi_offer *offer,
					const char *list)
{
	size_t len;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		for (unsigned i = 0; i < COUNT(choices); i++)
			if (&keys[choices[i].key] == k && strlen(choices[i].word) == len &&
			    !memcmp(choices[i].word, list, len) &&
			    choice_allowed(&choices[i], offer))
				return &choices[i];
		if (!list[len])
			return NULL;
	}
}

static const char *negotiate_list(const struct key *k, const struct iscsi_offer *offer,
				  struct iscsi_params *p, const char *value)
{
	const struct choice *c = list_choose(k, offer, value);

	if (!c)
		return "Reject";
	field_set(p, k->param, c->value);
	return c->word;
}

static const char *negotiate_boolean(const struct key *k, const struct iscsi_offer *offer,
				     struct iscsi_params *p, const char *value)
{
	bool yes = !strcmp(value, "Yes"), ours = key_ours(k, offer);

	if (!yes && strcmp(value, "No"))
		return "Reject";
	yes = k->rule == KEY_OR ? yes || ours : yes && ours;
	field_set(p, k->param, yes);
	return yes ? "Yes" : "No";
}

/* False: no number, or out of range. */
static bool negotiate_number(const struct key *k, const struct iscsi_offer *offer,
			     struct iscsi_params *p, const char *value, uint32_t *result)
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
	/*
	 * 13.14: FirstBurstLength never exceeds MaxBurstLength, which has its value by now
	 * (KEY_LAST).
	 */
	if (k == &keys[KEY_FIRST_BURST_LENGTH] && ours > p->max_burst)
		ours = p->max_burst;
	if (k->rule == KEY_MIN ? n > ours : n < ours)
		n = ours;
	field_set(p, k->param, n);
	*result = n;
	return true;
}

/* Section 13, "Irrelevant when" of each key. */
static bool key_irrelevant(const struct key *k, bool discovery, uint64_t negotiated,
			   const struct iscsi_params *p)
{
	const uint64_t both = 1ull << KEY_INITIAL_R2T | 1ull << KEY_IMMEDIATE_DATA;

	if (discovery && k->use & KEY_NOT_DISCOVERY)
		return true;
	return k == &keys[KEY_FIRST_BURST_LENGTH] && (negotiated & both) == both &&
	       p->initial_r2t && !p->immediate_data;
}

enum key_answer key_negotiate(const struct key *k, const struct iscsi_offer *offer, bool discovery,
			      uint64_t negotiated, struct iscsi_params *p, const char *value,
			      char *answer, size_t cap)
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
	/*
	 * A name we do not know goes back into an answer and perhaps a log: printable ASCII only
	 * (6.1 has fewer still).
	 */
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
