/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The persistent image of a reservations value. Big endian:
 *
 *	0	8	"HFPRSTAT"
 *	8	4	version: 1
 *	12	4	length of the whole image, bytes
 *	16	4	PRGENERATION
 *	20	4	length of the name table, bytes
 *	24	2	number of registrations
 *	26	2	index of the holder, FFFFh when there is none or all are
 *	28	1	type, 0 without a reservation
 *	29	1	bit 0: APTPL
 *	30	2	0
 *	32		registrations, 20 bytes each: key (8), offset of the name (4), target
 *			portal group tag (2), ISID (6)
 *			name table: null-terminated names, ascending
 *		4	CRC32C of all bytes before it
 *
 * There is one image for each value and the other way round. A reader takes nothing else: an image
 * that is not whole is for the administrator to look at, not for us to guess at.
 */
#include "pr/state.h"

enum {
	VERSION = 1,
	HEADER = 32,
	RECORD = 20,
	TRAILER = 4,
	FLAG_APTPL = 1,
};

static const uint8_t magic[8] = { 'H', 'F', 'P', 'R', 'S', 'T', 'A', 'T' };

/* CRC32C (RFC 7143 13.1's polynomial), four bits at a time: images are small and rare. */
static uint32_t crc32c(const uint8_t *p, size_t len)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	uint32_t crc = 0xffffffff;

	while (len--) {
		crc ^= *p++;
		crc = crc >> 4 ^ nibble[crc & 0xf];
		crc = crc >> 4 ^ nibble[crc & 0xf];
	}
	return ~crc;
}

size_t pr_image_max(void)
{
	return HEADER + PR_REGISTRANTS_MAX * (RECORD + ISCSI_NAME_MAX + 1) + TRAILER;
}

size_t pr_image_put(const struct pr_state *s, uint8_t *out, size_t cap)
{
	size_t len = HEADER + (size_t)s->nregs * RECORD + s->names_len + TRAILER;
	struct wcur c = wcur_of(out, cap);

	if (cap < len)
		return 0;
	wcur_put(&c, magic, sizeof(magic));
	wcur_be32(&c, VERSION);
	wcur_be32(&c, (uint32_t)len);
	wcur_be32(&c, s->generation);
	wcur_be32(&c, s->names_len);
	wcur_be16(&c, s->nregs);
	wcur_be16(&c, s->holder);
	wcur_u8(&c, s->type);
	wcur_u8(&c, s->aptpl ? FLAG_APTPL : 0);
	wcur_be16(&c, 0);
	for (unsigned i = 0; i < s->nregs; i++) {
		const struct pr_reg *r = &s->regs[i];

		wcur_be64(&c, r->key);
		wcur_be32(&c, r->name);
		wcur_be16(&c, r->tpgt);
		wcur_put(&c, r->isid, sizeof(r->isid));
	}
	wcur_put(&c, pr_names(s), s->names_len);
	wcur_be32(&c, crc32c(out, c.len));
	return c.len;
}

/*
 * One name of the table. Which characters an initiator name may have is for login to say; whatever
 * a nexus was let in with must come back.
 */
static bool name_valid(const char *name, size_t room, size_t *len)
{
	*len = strnlen(name, room);
	return *len && *len < room && *len <= ISCSI_NAME_MAX;
}

/* The name table: ascending, every name used. */
static bool names_valid(const struct pr_state *s)
{
	const char *names = pr_names(s);
	const char *before = NULL;

	for (uint32_t off = 0; off < s->names_len; ) {
		bool used = false;
		size_t len;

		if (!name_valid(names + off, s->names_len - off, &len) ||
		    (before && strcmp(before, names + off) >= 0))
			return false;
		for (unsigned i = 0; i < s->nregs && !used; i++)
			used = s->regs[i].name == off;
		if (!used)
			return false;
		before = names + off;
		off += (uint32_t)len + 1;
	}
	return true;
}

/*
 * The records: a key, a name that starts where it says, no nexus twice. Needs a valid name table to
 * mean something.
 */
static bool regs_valid(const struct pr_state *s)
{
	const char *names = pr_names(s);

	for (unsigned i = 0; i < s->nregs; i++) {
		const struct pr_reg *r = &s->regs[i];

		if (!r->key || r->name >= s->names_len || (r->name && names[r->name - 1]))
			return false;
		for (unsigned k = 0; k < i; k++)
			if (s->regs[k].name == r->name && s->regs[k].tpgt == r->tpgt &&
			    !memcmp(s->regs[k].isid, r->isid, sizeof(r->isid)))
				return false;
	}
	return true;
}

/*
 * A single holder is a registrant; all registrants are at least one; no reservation has no holder
 * (SPC-4 5.13.10).
 */
static bool holder_valid(const struct pr_state *s)
{
	if (s->type == PR_NONE)
		return s->holder == PR_NO_HOLDER;
	if (!pr_type_valid(s->type))
		return false;
	if (pr_type_all_registrants(s->type))
		return s->holder == PR_NO_HOLDER && s->nregs;
	return s->holder < s->nregs;
}

bool pr_image_get(const uint8_t *in, size_t len, struct pr_state *buf, size_t cap)
{
	struct rcur c = rcur_of(in, len);
	struct pr_state s = { .size = sizeof(s) };
	const uint8_t *p;
	uint8_t flags;

	p = rcur_take(&c, sizeof(magic));
	if (!p || memcmp(p, magic, sizeof(magic)) || rcur_be32(&c) != VERSION ||
	    rcur_be32(&c) != len)
		return false;
	s.generation = rcur_be32(&c);
	s.names_len = rcur_be32(&c);
	s.nregs = rcur_be16(&c);
	s.holder = rcur_be16(&c);
	s.type = rcur_u8(&c);
	flags = rcur_u8(&c);
	s.aptpl = flags & FLAG_APTPL;
	if (flags & ~FLAG_APTPL || rcur_be16(&c) || c.bad || s.nregs > PR_REGISTRANTS_MAX ||
	    s.names_len > PR_REGISTRANTS_MAX * (ISCSI_NAME_MAX + 1) ||
	    len != HEADER + (size_t)s.nregs * RECORD + s.names_len + TRAILER ||
	    get_be32(in + len - TRAILER) != crc32c(in, len - TRAILER))
		return false;
	s.size += (uint32_t)(s.nregs * sizeof(struct pr_reg)) + s.names_len;
	if (cap < s.size)
		return false;

	*buf = s;
	for (unsigned i = 0; i < s.nregs; i++) {
		struct pr_reg *r = &buf->regs[i];

		r->key = rcur_be64(&c);
		r->name = rcur_be32(&c);
		r->tpgt = rcur_be16(&c);
		memcpy(r->isid, rcur_take(&c, sizeof(r->isid)), sizeof(r->isid));
		r->spare = 0;
	}
	memcpy(buf->regs + s.nregs, rcur_take(&c, s.names_len), s.names_len);
	return regs_valid(buf) && names_valid(buf) && holder_valid(buf);
}
