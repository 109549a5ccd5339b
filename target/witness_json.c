/* SPDX-License-Identifier: Apache-2.0 */
#include "target/hex.h"
#include "target/witness_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef const char *name_fn(unsigned i);

/* What "how" of a kind of entry is a word of. */
static name_fn *how_names(unsigned kind)
{
	switch (kind) {
	case WITNESS_BEAT:
	case WITNESS_MESSAGE:
	case WITNESS_SOFTWARE:
		return witness_software_name;
	case WITNESS_WARNING:
		return witness_warning_name;
	default:
		return witness_how_name;
	}
}

static bool has_how(unsigned kind)
{
	return kind != WITNESS_STARTED && kind != WITNESS_LOGGED_IN && kind != WITNESS_LOGGED_OUT &&
	       kind != WITNESS_DEFENDED;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put(json_t *o, const char *name, uint64_t n)
{
	if (n)
		json_object_set_new(o, name, json_integer((json_int_t)n));
}

/* Times as three members: pre is "" or "when_". */
static void put_time(json_t *o, const char *pre, const struct witness_time *t)
{
	char name[16];

	snprintf(name, sizeof(name), "%sutc", pre);
	put(o, name, t->utc_ms);
	snprintf(name, sizeof(name), "%smono", pre);
	put(o, name, t->mono_ms);
	snprintf(name, sizeof(name), "%srun", pre);
	put(o, name, t->run);
}

static void put_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
	char s[2 * WITNESS_PART + 1];

	hex_put(s, p, n < WITNESS_PART ? n : WITNESS_PART);
	json_object_set_new(o, name, json_string(s));
}

json_t *witness_entry_json(const struct witness_entry *e)
{
	json_t *o = json_object();
	const char *how = has_how(e->kind) ? how_names(e->kind)(e->how) : NULL;
	char key[32];

	json_object_set_new(o, "kind", json_string(witness_kind_name(e->kind)));
	put_time(o, "", &e->at);
	if (how)
		json_object_set_new(o, "how", json_string(how));
	put(o, "type", e->type);
	if (e->flag)
		json_object_set_new(o, "flag", json_true());
	put(o, "count", e->count);
	snprintf(key, sizeof(key), "0x%016" PRIx64, e->value);
	if (e->value)
		json_object_set_new(o, "value", json_string(key));
	put_time(o, "when_", &e->when);
	if (e->who.initiator[0]) {
		json_object_set_new(o, "initiator", json_string(e->who.initiator));
		put_hex(o, "isid", e->who.isid, sizeof(e->who.isid));
		put(o, "group", e->who.tpgt);
	}
	if (e->other[0])
		json_object_set_new(o, "other", json_string(e->other));
	return o;
}

json_t *witness_part_json(const uint8_t *image, size_t len, size_t off)
{
	json_t *o = json_object();
	size_t n = len - off < WITNESS_PART ? len - off : WITNESS_PART;

	json_object_set_new(o, "kind", json_string("picture"));
	json_object_set_new(o, "part", json_integer((json_int_t)(off / WITNESS_PART)));
	json_object_set_new(o, "parts",
			    json_integer((json_int_t)((len + WITNESS_PART - 1) / WITNESS_PART)));
	put_hex(o, "data", image + off, n);
	return o;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A whole number up to max, or 0 when it is not there; false: something else is. */
static bool get(json_t *o, const char *name, uint64_t max, uint64_t *n)
{
	json_t *v = json_object_get(o, name);

	*n = (uint64_t)json_integer_value(v);
	return !v || (json_is_integer(v) && json_integer_value(v) >= 0 && *n <= max);
}

static bool get_time(json_t *o, const char *pre, struct witness_time *t)
{
	uint64_t run;
	char name[16];
	bool ok;

	snprintf(name, sizeof(name), "%srun", pre);
	ok = get(o, name, UINT32_MAX, &run);
	t->run = (uint32_t)run;
	snprintf(name, sizeof(name), "%sutc", pre);
	ok &= get(o, name, INT64_MAX, &t->utc_ms);
	snprintf(name, sizeof(name), "%smono", pre);
	return get(o, name, INT64_MAX, &t->mono_ms) && ok;
}

static bool get_name(json_t *o, const char *member, char *name)
{
	json_t *v = json_object_get(o, member);

	if (!v)
		return true;
	if (!json_is_string(v) || json_string_length(v) > ISCSI_NAME_MAX)
		return false;
	snprintf(name, ISCSI_NAME_MAX + 1, "%s", json_string_value(v));
	return true;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes there are; -1: no hex digits, or more than fit. */
static long get_hex(json_t *o, const char *name, uint8_t *out, size_t room)
{
	json_t *v = json_object_get(o, name);
	const char *s = json_string_value(v);
	size_t n = json_string_length(v) / 2;

	if (!s || n > room || json_string_length(v) % 2)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int hi = digit(s[2 * i]), lo = digit(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return (long)n;
}

static bool get_word(json_t *o, const char *member, name_fn *names, uint8_t *i)
{
	const char *s = json_string_value(json_object_get(o, member)), *n;

	for (*i = 0; s && (n = names(*i)); (*i)++)
		if (!strcmp(s, n))
			return true;
	return false;
}

bool witness_entry_read(json_t *o, struct witness_entry *e)
{
	const char *value = json_string_value(json_object_get(o, "value"));
	uint64_t type, count, group;
	bool ok;

	memset(e, 0, sizeof(*e));
	ok = get_word(o, "kind", witness_kind_name, &e->kind) && get_time(o, "", &e->at) &&
	     get_time(o, "when_", &e->when) && get(o, "type", 255, &type) &&
	     get(o, "count", UINT32_MAX, &count) && get(o, "group", 65535, &group) &&
	     get_name(o, "initiator", e->who.initiator) && get_name(o, "other", e->other);
	if (!ok || (has_how(e->kind) && !get_word(o, "how", how_names(e->kind), &e->how)))
		return false;
	if (e->who.initiator[0] &&
	    get_hex(o, "isid", e->who.isid, sizeof(e->who.isid)) != sizeof(e->who.isid))
		return false;
	e->type = (uint8_t)type;
	e->count = (uint32_t)count;
	e->who.tpgt = (uint16_t)group;
	e->flag = json_is_true(json_object_get(o, "flag"));
	return !value || sscanf(value, "0x%" SCNx64, &e->value) == 1;
}

/* ---- replay ---------------------------------------------------------------------------------- */

void witness_replay_init(struct witness_replay *r)
{
	memset(r, 0, sizeof(*r));
	witness_picture_init(&r->picture);
}

static void replay_part(struct witness_replay *r, json_t *o)
{
	uint64_t part, parts;
	struct rcur in;
	long n;

	if (!get(o, "part", UINT32_MAX, &part) || !get(o, "parts", UINT32_MAX, &parts))
		return;
	if (!part) {
		r->part = 0;
		r->len = 0;
	}
	n = get_hex(o, "data", r->image + r->len, sizeof(r->image) - r->len);
	if (n < 0 || part != r->part) {
		r->part = UINT32_MAX; /* until one begins anew */
		return;
	}
	r->len += (size_t)n;
	if (++r->part < parts)
		return;
	in = rcur_of(r->image, r->len);
	r->part = UINT32_MAX;
	if (!witness_picture_get(&in, &r->whole)) {
		/* Damaged, or another version's: what came before it may have been forgotten. */
		r->gap = true;
		return;
	}
	r->picture = r->whole;
	r->entries = 0;
	r->gap = false;
}

void witness_replay_record(struct witness_replay *r, const char *json, size_t len)
{
	json_t *o = json_loadb(json, len, 0, NULL);
	const char *kind = json_string_value(json_object_get(o, "kind"));
	struct witness_entry e;

	if (kind && !strcmp(kind, "picture")) {
		replay_part(r, o);
	} else if (o && witness_entry_read(o, &e)) {
		witness_picture_apply(&r->picture, &e);
		r->entries++;
	} else {
		r->gap = true;
	}
	json_decref(o);
}
