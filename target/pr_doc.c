/* SPDX-License-Identifier: Apache-2.0 */
#include "target/pr_doc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pr/state.h"
#include "target/history.h"
#include "target/query.h"

/* ---- to a document --------------------------------------------------------------------------- */

static json_t *registrant_put(const struct pr_state *s, unsigned i,
			      const struct scsi_target *target)
{
	char key[24];
	struct nexus n;
	json_t *o;

	pr_nexus(s, i, &n);
	o = json_pack("{s:s}", "initiator", n.initiator);
	if (!o)
		return NULL;
	snprintf(key, sizeof(key), "0x%016" PRIx64, s->regs[i].key);
	query_put_hex(o, "isid", n.isid, sizeof(n.isid));
	query_put_string(o, "target", target->name);
	query_put_int(o, "group", n.tpgt);
	query_put_string(o, "key", key);
	query_put_bool(o, "holder", s->type != PR_NONE && pr_is_holder(s, i));
	return o;
}

json_t *pr_doc_put(const struct pr_state *s, const struct lu_ident *id,
		   const struct scsi_target *target)
{
	json_t *o = json_object(), *a = json_array();

	query_put_string(o, "format", PR_DOC_FORMAT);
	query_put_int(o, "version", PR_DOC_VERSION);
	query_put_string(o, "target", target->name);
	query_put_int(o, "lun", id->lun);
	query_put_string(o, "name", id->name);
	query_put_uuid(o, "uuid", id->uuid);
	query_put_int(o, "type", s->type);
	query_put_string(o, "type_name", history_type_name(s->type));
	query_put_int(o, "generation", s->generation);
	query_put_bool(o, "aptpl", s->aptpl);
	json_object_set_new(o, "registrants", a);
	for (unsigned i = 0; i < s->nregs; i++) {
		if (json_array_append_new(a, registrant_put(s, i, target))) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

/* ---- from a document ------------------------------------------------------------------------- */

struct reader {
	const struct scsi_target *target;
	struct pr_state *out;
	char *err;
	size_t size;
	char where[48];		/* "registrants[7]: ", or nothing */
	unsigned holders, holder; /* how many, the last */
};

static bool wrong(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct reader *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(r->err, r->size, "%s%s", r->where, text);
	return false;
}

static bool get_string(struct reader *r, json_t *o, const char *name, const char **s)
{
	json_t *v = json_object_get(o, name);

	*s = json_string_value(v);
	if (*s && strlen(*s) == json_string_length(v))
		return true;
	return wrong(r, "\"%s\" is %s (expected a string)", name, v ? "no string" : "missing");
}

static bool get_int(struct reader *r, json_t *o, const char *name, json_int_t max, json_int_t *n)
{
	json_t *v = json_object_get(o, name);

	*n = json_integer_value(v);
	if (json_is_integer(v) && *n >= 0 && *n <= max)
		return true;
	return wrong(r, "\"%s\" is %s (expected a whole number from 0 to %" JSON_INTEGER_FORMAT ")",
		     name, v ? "no such number" : "missing", max);
}

static bool get_bool(struct reader *r, json_t *o, const char *name, bool *b)
{
	json_t *v = json_object_get(o, name);

	*b = json_is_true(v);
	if (json_is_boolean(v))
		return true;
	return wrong(r, "\"%s\" is %s (expected true or false)", name,
		     v ? "neither true nor false" : "missing");
}

/* Members nobody knows are mistakes, usually of spelling. */
static bool only(struct reader *r, json_t *o, const char *const *names)
{
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v) {
		unsigned i = 0;

		while (names[i] && strcmp(names[i], key))
			i++;
		if (!names[i])
			return wrong(r, "\"%.64s\" is no member of it", key);
	}
	return true;
}

/* Exactly `digits` hexadecimal digits. */
static bool hex(const char *s, unsigned digits, uint64_t *n)
{
	*n = 0;
	if (strlen(s) != digits || strspn(s, "0123456789abcdefABCDEF") != digits)
		return false;
	for (; *s; s++)
		*n = *n << 4 | (uint64_t)(*s <= '9' ? *s - '0' : (*s | 0x20) - 'a' + 10);
	return true;
}

/* As PERSISTENT RESERVE OUT takes names in TransportIDs: RFC 7143 4.2.7.2 in the widest sense. */
static bool name_get(struct reader *r, const char *s, struct nexus *n)
{
	size_t len = strlen(s);

	if (!len || len > ISCSI_NAME_MAX)
		return wrong(r, "\"initiator\" has %zu bytes (expected 1 to %d)", len,
			     ISCSI_NAME_MAX);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c == ',' || c == 0x7f)
			return wrong(r, "\"initiator\" has a character that is in no iSCSI name "
					"(expected none of blank, comma, control characters)");
		n->initiator[i] = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
	}
	return true;
}

static bool group_get(struct reader *r, json_int_t group, struct nexus *n)
{
	char groups[128] = "";

	for (unsigned i = 0; i < r->target->ntpgts; i++) {
		size_t at = strlen(groups);

		if (r->target->tpgts[i] == group) {
			n->tpgt = (uint16_t)group;
			return true;
		}
		snprintf(groups + at, sizeof(groups) - at, "%s%u", i ? ", " : "",
			 r->target->tpgts[i]);
	}
	return wrong(r, "the target has no portal group %d (expected one of %s)", (int)group,
		     groups);
}

static bool registrant_get(struct reader *r, json_t *o)
{
	static const char *const names[] = { "initiator", "isid", "target", "group", "key",
					     "holder", NULL };
	const char *initiator, *isid, *target, *key;
	uint64_t isid_n, key_n;
	json_int_t group;
	struct nexus n;
	bool holder;

	memset(&n, 0, sizeof(n));
	if (!json_is_object(o))
		return wrong(r, "is no object");
	if (!only(r, o, names) || !get_string(r, o, "initiator", &initiator) ||
	    !get_string(r, o, "isid", &isid) || !get_string(r, o, "target", &target) ||
	    !get_int(r, o, "group", UINT16_MAX, &group) || !get_string(r, o, "key", &key) ||
	    !get_bool(r, o, "holder", &holder) || !name_get(r, initiator, &n) ||
	    !group_get(r, group, &n))
		return false;
	if (strcmp(target, r->target->name))
		return wrong(r, "\"target\" is %.230s (expected that of the LUN, %s)", target,
			     r->target->name);
	if (!hex(isid, 12, &isid_n))
		return wrong(r, "\"isid\" is \"%.40s\" (expected 12 hexadecimal digits)", isid);
	for (unsigned i = 6; i-- > 0; isid_n >>= 8)
		n.isid[i] = (uint8_t)isid_n;
	if (strncmp(key, "0x", 2) || !hex(key + 2, 16, &key_n) || !key_n)
		return wrong(r, "\"key\" is \"%.40s\" (expected 0x and 16 hexadecimal digits, "
				"not all 0)", key);
	if (pr_registered(r->out, &n))
		return wrong(r, "%s, ISID %s, group %u is registered already", n.initiator, isid,
			     n.tpgt);
	if (!pr_add(r->out, &n, key_n))
		return wrong(r, "too many (expected at most %d registrants)", PR_REGISTRANTS_MAX);
	if (holder)
		r->holder = r->out->nregs - 1u;
	r->holders += holder;
	return true;
}

/* SPC-4 5.13.10: who holds a reservation of which type. */
static bool holders_get(struct reader *r, uint8_t type)
{
	unsigned n = r->out->nregs;

	if (type == PR_NONE && r->holders)
		return wrong(r, "there is a \"holder\" without a reservation (expected none with "
				"\"type\" 0)");
	if (type == PR_NONE)
		return true;
	if (pr_type_all_registrants(type) ? !n || r->holders != n : r->holders != 1)
		return wrong(r, "%u of %u registrants have \"holder\" true (expected %s with "
				"\"type\" %u)", r->holders, n,
			     pr_type_all_registrants(type) ? "all, and at least one" : "one", type);
	pr_reserve(r->out, r->holder, type);
	return true;
}

/* Whose it is, and what it is. */
static bool head_get(struct reader *r, json_t *doc, const struct lu_ident *id)
{
	static const char *const names[] = { "format", "version", "exported", "target", "lun",
					     "name", "uuid", "type", "type_name", "generation",
					     "aptpl", "registrants", NULL };
	json_t *own = json_object();
	const char *format, *uuid, *expected;
	json_int_t version;
	bool ok;

	query_put_uuid(own, "uuid", id->uuid);
	expected = json_string_value(json_object_get(own, "uuid"));
	ok = expected && only(r, doc, names) && get_string(r, doc, "format", &format) &&
	     get_int(r, doc, "version", INT32_MAX, &version) && get_string(r, doc, "uuid", &uuid);
	if (ok && strcmp(format, PR_DOC_FORMAT))
		ok = wrong(r, "\"format\" is \"%.40s\" (expected \"%s\")", format, PR_DOC_FORMAT);
	else if (ok && version != PR_DOC_VERSION)
		ok = wrong(r, "\"version\" is %" JSON_INTEGER_FORMAT " (expected %d)", version,
			   PR_DOC_VERSION);
	else if (ok && strcmp(uuid, expected))
		ok = wrong(r, "\"uuid\" is %.40s, so this is another LUN's (expected %s, that of "
			      "LUN %s)", uuid, expected, id->name);
	json_decref(own);
	return ok;
}

bool pr_doc_get(json_t *doc, const struct lu_ident *id, const struct scsi_target *target,
		struct pr_state *out, char *err, size_t size)
{
	struct reader r = { .target = target, .out = out, .err = err, .size = size };
	json_int_t type, generation;
	json_t *regs, *o;
	size_t i;

	pr_copy(out, pr_none);
	if (!json_is_object(doc))
		return wrong(&r, "the document is no object");
	if (!head_get(&r, doc, id) || !get_int(&r, doc, "type", 15, &type) ||
	    !get_int(&r, doc, "generation", UINT32_MAX, &generation) ||
	    !get_bool(&r, doc, "aptpl", &out->aptpl))
		return false;
	if (type != PR_NONE && !pr_type_valid((uint8_t)type))
		return wrong(&r, "\"type\" is %d (expected 0, 1, 3, 5, 6, 7 or 8)", (int)type);
	out->generation = (uint32_t)generation;
	regs = json_object_get(doc, "registrants");
	if (!json_is_array(regs))
		return wrong(&r, "\"registrants\" is %s (expected an array)",
			     regs ? "no array" : "missing");
	json_array_foreach(regs, i, o) {
		snprintf(r.where, sizeof(r.where), "registrants[%zu]: ", i);
		if (!registrant_get(&r, o))
			return false;
	}
	r.where[0] = 0;
	return holders_get(&r, (uint8_t)type);
}
