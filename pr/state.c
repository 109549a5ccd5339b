/* SPDX-License-Identifier: Apache-2.0 */
/* The reservations value: one flat block (see pr/state.h). */
#include "pr/state.h"

#include <assert.h>

enum { PR_NAME_ROOM = ISCSI_NAME_MAX + 1 };

static const struct pr_state none = {
	.size = sizeof(struct pr_state),
	.holder = PR_NO_HOLDER,
};

const struct pr_state *const pr_none = &none;

static char *names_of(struct pr_state *s)
{
	return (char *)(s->regs + s->nregs);
}

size_t pr_state_size(const struct pr_state *s)
{
	return s->size;
}

size_t pr_state_max(void)
{
	return sizeof(struct pr_state) +
	       PR_REGISTRANTS_MAX * (sizeof(struct pr_reg) + PR_NAME_ROOM);
}

bool pr_type_valid(uint8_t type)
{
	return type == PR_WRITE_EXCLUSIVE || type == PR_EXCLUSIVE_ACCESS ||
	       pr_type_registrants(type);
}

/*
 * Offset of the first name that is not less than `name`; *hit when it is equal. The table is
 * sorted, but its entries have no fixed length: a walk.
 */
static uint32_t name_seek(const struct pr_state *s, const char *name, bool *hit)
{
	const char *names = pr_names(s);
	uint32_t off = 0;

	*hit = false;
	while (off < s->names_len) {
		int d = strcmp(names + off, name);

		if (d >= 0) {
			*hit = d == 0;
			break;
		}
		off += (uint32_t)strlen(names + off) + 1;
	}
	return off;
}

int pr_find(const struct pr_state *s, const struct nexus *who)
{
	/* The short fields first: hardly a name is ever compared in vain. */
	for (unsigned i = 0; i < s->nregs; i++) {
		const struct pr_reg *r = &s->regs[i];

		if (r->tpgt == who->tpgt && !memcmp(r->isid, who->isid, sizeof(r->isid)) &&
		    !strcmp(pr_name(s, r), who->initiator))
			return (int)i;
	}
	return -1;
}

void pr_nexus(const struct pr_state *s, unsigned i, struct nexus *out)
{
	const struct pr_reg *r = &s->regs[i];
	const char *name = pr_name(s, r);

	assert(i < s->nregs);
	memset(out, 0, sizeof(*out));
	out->tpgt = r->tpgt;
	memcpy(out->isid, r->isid, sizeof(out->isid));
	memcpy(out->initiator, name, strlen(name));
}

bool pr_is_holder(const struct pr_state *s, unsigned i)
{
	return pr_type_all_registrants(s->type) || s->holder == i;
}

bool pr_any(const struct pr_state *s)
{
	return s->nregs != 0;
}

static bool same_nexus(const struct pr_state *a, unsigned i, const struct pr_state *b, unsigned k)
{
	const struct pr_reg *x = &a->regs[i], *y = &b->regs[k];

	return x->tpgt == y->tpgt && !memcmp(x->isid, y->isid, sizeof(x->isid)) &&
	       !strcmp(pr_name(a, x), pr_name(b, y));
}

bool pr_same_reservation(const struct pr_state *a, const struct pr_state *b)
{
	if (a->type != b->type || (a->holder == PR_NO_HOLDER) != (b->holder == PR_NO_HOLDER))
		return false;
	return a->holder == PR_NO_HOLDER || same_nexus(a, a->holder, b, b->holder);
}

/*
 * Both are in the order of registration as a rule, so what was not touched is at the same place but
 * for those removed before it; only what is not there is looked for.
 */
void pr_diff(const struct pr_state *a, const struct pr_state *b, pr_diff_fn *fn, void *arg)
{
	unsigned k = 0;
	struct nexus n;

	for (unsigned i = 0; i < a->nregs; i++) {
		int at = (int)k;

		if (k < b->nregs && same_nexus(a, i, b, k)) {
			k++;
		} else {
			pr_nexus(a, i, &n);
			at = pr_find(b, &n);
		}
		if (at < 0)
			fn(arg, PR_DIFF_GONE, a, i);
		else if (b->regs[at].key != a->regs[i].key)
			fn(arg, PR_DIFF_KEY, b, (unsigned)at);
	}
	for (; k < b->nregs; k++) {
		pr_nexus(b, k, &n);
		if (!pr_registered(a, &n))
			fn(arg, PR_DIFF_CAME, b, k);
	}
}

bool pr_registered(const struct pr_state *s, const struct nexus *who)
{
	return pr_find(s, who) >= 0;
}

void pr_copy(struct pr_state *to, const struct pr_state *from)
{
	assert(to != from);
	memcpy(to, from, from->size);
}

/* Makes room for a name at its place in the table, or finds it there; gives its offset. */
static uint32_t name_put(struct pr_state *s, const char *name)
{
	bool hit;
	uint32_t off = name_seek(s, name, &hit);
	uint32_t len = (uint32_t)strlen(name) + 1;
	char *names = names_of(s);

	assert(len <= PR_NAME_ROOM);
	if (hit)
		return off;
	memmove(names + off + len, names + off, s->names_len - off);
	memcpy(names + off, name, len);
	for (unsigned i = 0; i < s->nregs; i++)
		if (s->regs[i].name >= off)
			s->regs[i].name += len;
	s->names_len += len;
	s->size += len;
	return off;
}

/* Drops a name when no record has it any more. */
static void name_drop(struct pr_state *s, uint32_t off)
{
	char *names = names_of(s);
	uint32_t len = (uint32_t)strlen(names + off) + 1;

	for (unsigned i = 0; i < s->nregs; i++)
		if (s->regs[i].name == off)
			return;
	memmove(names + off, names + off + len, s->names_len - off - len);
	for (unsigned i = 0; i < s->nregs; i++)
		if (s->regs[i].name > off)
			s->regs[i].name -= len;
	s->names_len -= len;
	s->size -= len;
}

bool pr_add(struct pr_state *s, const struct nexus *who, uint64_t key)
{
	struct pr_reg r = { .key = key, .tpgt = who->tpgt };

	assert(key && pr_find(s, who) < 0);
	if (s->nregs >= PR_REGISTRANTS_MAX)
		return false;
	r.name = name_put(s, who->initiator);
	memcpy(r.isid, who->isid, sizeof(r.isid));
	memmove(names_of(s) + sizeof(r), names_of(s), s->names_len);
	s->regs[s->nregs++] = r;
	s->size += (uint32_t)sizeof(r);
	return true;
}

bool pr_remove(struct pr_state *s, unsigned i)
{
	uint32_t name = s->regs[i].name;
	bool released = false;

	assert(i < s->nregs);
	memmove(&s->regs[i], &s->regs[i + 1],
		s->size - sizeof(*s) - (i + 1) * sizeof(struct pr_reg));
	s->nregs--;
	s->size -= (uint32_t)sizeof(struct pr_reg);
	name_drop(s, name);
	if (s->holder == i || (!s->nregs && s->type != PR_NONE)) {
		pr_release(s);
		released = true;
	} else if (s->holder != PR_NO_HOLDER && s->holder > i) {
		s->holder--;
	}
	return released;
}

void pr_release(struct pr_state *s)
{
	s->type = PR_NONE;
	s->holder = PR_NO_HOLDER;
}

void pr_reserve(struct pr_state *s, unsigned i, uint8_t type)
{
	assert(i < s->nregs && pr_type_valid(type));
	s->type = type;
	s->holder = pr_type_all_registrants(type) ? PR_NO_HOLDER : (uint16_t)i;
}

void pr_clear(struct pr_state *s)
{
	pr_release(s);
	s->nregs = 0;
	s->names_len = 0;
	s->size = sizeof(*s);
}

void pr_power_on(struct pr_state *s)
{
	if (!s->aptpl)
		pr_clear(s);
	s->generation = 0;
}
