/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/mode.h"

#include "scsi/wire.h"
#include "tests/unit/lu_world.h"
#include "tests/unit/unit.h"

enum { PC_CURRENT, PC_CHANGEABLE, PC_DEFAULT, PC_SAVED };

#define SENSE6(w, dbd, pc, page, sub)                                                              \
	RUN((w), 0x1a, (dbd) ? 8 : 0, (uint8_t)((pc) << 6 | (page)), (sub), 255, 0)

/* Reads one page without block descriptor; gives where it starts, or NULL. */
static const uint8_t *page_of(struct lu_world *w, unsigned pc, uint8_t code, uint8_t sub)
{
	if (SENSE6(w, true, pc, code, sub) != SAM_GOOD)
		return NULL;
	CU_ASSERT_EQUAL(w->in[0], w->c.in_len - 1);
	CU_ASSERT_EQUAL(w->in[3], 0);
	return w->in + 4;
}

/* MODE SELECT(6) by nexus a. */
static uint8_t select6(struct lu_world *w, bool save, const uint8_t *list, unsigned len)
{
	uint8_t cdb[6] = { 0x15, save ? 0x11 : 0x10, 0, 0, (uint8_t)len, 0 };

	return lu_world_change(w, LU_CHANGE_CMD, &w->a, cdb, 6, list, len);
}

static uint8_t select10(struct lu_world *w, const uint8_t *list, unsigned len)
{
	uint8_t cdb[10] = { 0x55, 0x10, 0, 0, 0, 0, 0, 0, (uint8_t)len, 0 };

	return lu_world_change(w, LU_CHANGE_CMD, &w->a, cdb, 10, list, len);
}

/* A MODE SELECT(6) list of a header and the current page; gives its length. */
static unsigned list_of(struct lu_world *w, uint8_t code, uint8_t sub, uint8_t *list)
{
	const uint8_t *p = page_of(w, PC_CURRENT, code, sub);
	unsigned len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	len = w->c.in_len - 4;
	memset(list, 0, 4);
	memcpy(list + 4, p, len);
	return len + 4;
}

static void test_control_page(void)
{
	static const uint8_t cur[12] = { 0x8a, 0x0a, 0x20, 0x10, 0, 0x40 },
			     mask[12] = { 0x8a, 0x0a, 0x04, 0, 0x08, 0x40 };
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT(!memcmp(page_of(&w, PC_CURRENT, 0x0a, 0), cur, 12));
	CU_ASSERT_EQUAL(w.c.in_len, 16);
	CU_ASSERT(!memcmp(page_of(&w, PC_CHANGEABLE, 0x0a, 0), mask, 12));
	w.v.modes.d_sense = w.v.modes.swp = true;
	CU_ASSERT_EQUAL(page_of(&w, PC_CURRENT, 0x0a, 0)[2], 0x24);
	CU_ASSERT_EQUAL(page_of(&w, PC_CURRENT, 0x0a, 0)[4], 0x08);
	CU_ASSERT_EQUAL(w.in[2], 0x90);					/* WP by SWP */
	CU_ASSERT(!memcmp(page_of(&w, PC_SAVED, 0x0a, 0), cur, 12));
	CU_ASSERT(!memcmp(page_of(&w, PC_DEFAULT, 0x0a, 0), cur, 12));
	lu_world_fini(&w);
}

static void test_caching_page(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(page_of(&w, PC_CURRENT, 0x08, 0)[0], 0x88);
	CU_ASSERT_EQUAL(page_of(&w, PC_CURRENT, 0x08, 0)[1], 0x12);
	CU_ASSERT_EQUAL(page_of(&w, PC_CURRENT, 0x08, 0)[2], 0x04);
	CU_ASSERT_EQUAL(page_of(&w, PC_CHANGEABLE, 0x08, 0)[2], 0x04);
	w.id.witness = true;
	CU_ASSERT_EQUAL(page_of(&w, PC_CURRENT, 0x08, 0)[2], 0);
	CU_ASSERT_EQUAL(page_of(&w, PC_CHANGEABLE, 0x08, 0)[2], 0);
	w.id.witness = false;
	w.v.caps.durable = true;
	CU_ASSERT_EQUAL(page_of(&w, PC_CHANGEABLE, 0x08, 0)[2], 0);
	mode_limit(&w.v);
	CU_ASSERT(!w.v.modes.wce && !w.v.saved.wce && !w.v.defaults.wce && w.v.modes.tas);
	lu_world_fini(&w);
}

/* All pages, in order, each of the length it says; gives how many. */
static unsigned pages_walk(const uint8_t *p, unsigned len)
{
	unsigned n = 0, last = 0;

	while (len >= 2) {
		bool spf = p[0] & 0x40;
		unsigned size = spf ? get_be16(p + 2) + 4u : p[1] + 2u,
			 key = (p[0] & 0x3fu) << 8 | (spf ? p[1] : 0);

		CU_ASSERT(key > last);
		CU_ASSERT_FATAL(size <= len);
		last = key;
		p += size;
		len -= size;
		n++;
	}
	CU_ASSERT_EQUAL(len, 0);
	return n;
}

static void test_all_pages(void)
{
	struct lu_world w;

	lu_world_init(&w);
	for (unsigned pc = 0; pc < 4; pc++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(page_of(&w, pc, 0x3f, 0));
		CU_ASSERT_EQUAL(pages_walk(w.in + 4, w.c.in_len - 4), 5);
		CU_ASSERT_PTR_NOT_NULL_FATAL(page_of(&w, pc, 0x3f, 0xff));
		CU_ASSERT_EQUAL(pages_walk(w.in + 4, w.c.in_len - 4), 6);
		CU_ASSERT_PTR_NOT_NULL_FATAL(page_of(&w, pc, 0x0a, 0xff));
		CU_ASSERT_EQUAL(pages_walk(w.in + 4, w.c.in_len - 4), 2);
		CU_ASSERT_PTR_NOT_NULL_FATAL(page_of(&w, pc, 0x0a, 0x01));
		CU_ASSERT_EQUAL(get_be32(w.in + 4), 0x4a01001c);
		CU_ASSERT_EQUAL(w.in[8], pc == PC_CHANGEABLE ? 0 : 1);
	}
	CU_ASSERT_EQUAL(SENSE6(&w, true, 0, 0x1a, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 44);
	CU_ASSERT_EQUAL(SENSE6(&w, true, 0, 0x1c, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(SENSE6(&w, true, 0, 0x02, 0), SAM_GOOD);
	lu_world_fini(&w);
}

static void test_sense_bad_fields(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(SENSE6(&w, true, 0, 0x01, 0), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 2);
	CU_ASSERT_EQUAL(SENSE6(&w, true, 0, 0x08, 1), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 3);
	CU_ASSERT_EQUAL(SENSE6(&w, true, 0, 0x3f, 1), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.c.sense), 3);
	CU_ASSERT_EQUAL(SENSE6(&w, true, 0, 0x00, 0), SAM_CHECK_CONDITION);
	lu_world_fini(&w);
}

static void test_block_descriptors(void)
{
	struct lu_world w;

	lu_world_init(&w);
	CU_ASSERT_EQUAL(SENSE6(&w, false, 0, 0x08, 0), SAM_GOOD);
	CU_ASSERT_EQUAL_FATAL(w.c.in_len, 4 + 8 + 20);
	CU_ASSERT_EQUAL(get_be32(w.in), (31u << 24) | 0x1008);		/* DPOFUA, one descriptor */
	CU_ASSERT_EQUAL(get_be32(w.in + 4), 1u << 21);
	CU_ASSERT_EQUAL(get_be32(w.in + 8), 512);
	w.v.caps.size = 1ull << 42;
	w.v.caps.readonly = true;
	CU_ASSERT_EQUAL(SENSE6(&w, false, 0, 0x08, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(get_be32(w.in + 4), 0xffffffff);
	CU_ASSERT_EQUAL(w.in[2], 0x90);
	/* MODE SENSE(10), short and long, and with DBD whatever LLBAA says. */
	CU_ASSERT_EQUAL(RUN(&w, 0x5a, 0, 0x08, 0, 0, 0, 0, 1, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 8 + 8 + 20);
	CU_ASSERT_EQUAL(get_be16(w.in), 34);
	CU_ASSERT_EQUAL(w.in[4], 0);
	CU_ASSERT_EQUAL(get_be16(w.in + 6), 8);
	CU_ASSERT_EQUAL(RUN(&w, 0x5a, 0x10, 0x08, 0, 0, 0, 0, 1, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 8 + 16 + 20);
	CU_ASSERT_EQUAL(w.in[4], 1);
	CU_ASSERT_EQUAL(get_be16(w.in + 6), 16);
	CU_ASSERT_EQUAL(get_be64(w.in + 8), 1ull << 33);
	CU_ASSERT_EQUAL(get_be32(w.in + 20), 512);
	CU_ASSERT_EQUAL(RUN(&w, 0x5a, 0x18, 0x08, 0, 0, 0, 0, 1, 0, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 8 + 20);
	CU_ASSERT_EQUAL(w.in[4], 0);
	/* Truncated: the length is still that of the whole. */
	CU_ASSERT_EQUAL(RUN(&w, 0x1a, 8, 0x08, 0, 3, 0), SAM_GOOD);
	CU_ASSERT_EQUAL(w.c.in_len, 3);
	CU_ASSERT_EQUAL(w.in[0], 23);
	lu_world_fini(&w);
}

static void test_select_each_bit(void)
{
	struct lu_world w;
	uint8_t list[64];
	unsigned n;

	lu_world_init(&w);
	n = list_of(&w, 0x0a, 0, list);
	list[4 + 2] |= 0x04;
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_GOOD);
	CU_ASSERT(w.fx.changed && !w.fx.persist && !w.fx.flush);
	CU_ASSERT(w.next.modes.d_sense && !w.next.saved.d_sense && w.next.modes.tas &&
		  w.next.modes.wce);
	CU_ASSERT_EQUAL(w.next.events[UA_MODE_CHANGED].seq, w.seq);
	CU_ASSERT(w.next.events[UA_MODE_CHANGED].has_origin);
	CU_ASSERT(nexus_eq(&w.next.events[UA_MODE_CHANGED].origin, &w.a));
	lu_world_publish(&w);
	list[4 + 4] |= 0x08;
	list[4 + 5] &= (uint8_t)~0x40;
	CU_ASSERT_EQUAL(select6(&w, true, list, n), SAM_GOOD);
	CU_ASSERT(w.fx.changed && w.fx.persist);
	CU_ASSERT(w.next.modes.swp && !w.next.modes.tas && w.next.saved.swp &&
		  w.next.saved.d_sense && !w.next.saved.tas);
	CU_ASSERT(w.next.defaults.tas && !w.next.defaults.swp);
	lu_world_publish(&w);
	/* The same again changes nothing, and nobody is told. */
	CU_ASSERT_EQUAL(select6(&w, true, list, n), SAM_GOOD);
	CU_ASSERT(!w.fx.changed && !w.fx.persist);
	CU_ASSERT_NOT_EQUAL(w.next.events[UA_MODE_CHANGED].seq, w.seq);
	lu_world_fini(&w);
}

/* SP saves all pages that can be saved as they are now, not only those sent (SPC-4 6.11). */
static void test_save_saves_all(void)
{
	struct lu_world w;
	uint8_t list[64];
	unsigned n;

	lu_world_init(&w);
	n = list_of(&w, 0x08, 0, list);
	list[4 + 2] = 0;
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_GOOD);
	CU_ASSERT(!w.next.modes.wce && w.next.saved.wce);
	lu_world_publish(&w);
	n = list_of(&w, 0x0a, 0, list);
	CU_ASSERT_EQUAL(select6(&w, true, list, n), SAM_GOOD);
	CU_ASSERT(w.fx.changed && w.fx.persist && !w.fx.event);
	CU_ASSERT(!w.next.modes.wce && !w.next.saved.wce);
	lu_world_publish(&w);
	/* With no page at all, too. */
	n = list_of(&w, 0x0a, 0, list);
	list[4 + 4] |= 0x08;
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_GOOD);
	lu_world_publish(&w);
	CU_ASSERT_EQUAL(select6(&w, true, NULL, 0), SAM_GOOD);
	CU_ASSERT(w.fx.persist && w.next.modes.swp && w.next.saved.swp);
	lu_world_publish(&w);
	CU_ASSERT_EQUAL(select6(&w, false, NULL, 0), SAM_GOOD);
	CU_ASSERT(!w.fx.changed && !w.fx.persist);
	lu_world_fini(&w);
}

static void test_select_cache_off_flushes(void)
{
	struct lu_world w;
	uint8_t list[64];
	unsigned n;

	lu_world_init(&w);
	n = list_of(&w, 0x08, 0, list);
	list[4] &= 0x3f;			/* PS is reserved here; either is taken */
	list[4 + 2] = 0;
	CU_ASSERT_EQUAL(select6(&w, true, list, n), SAM_GOOD);
	CU_ASSERT(w.fx.changed && w.fx.persist && w.fx.flush);
	CU_ASSERT(!w.next.modes.wce && !w.next.saved.wce);
	lu_world_publish(&w);
	list[4 + 2] = 4;
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_GOOD);
	CU_ASSERT(w.next.modes.wce && !w.next.saved.wce && !w.fx.flush && !w.fx.persist);
	lu_world_fini(&w);
}

/* Every bit of every page: it can be set and cleared, or is refused with a pointer to it. */
static void test_select_unchangeable_bits(void)
{
	static const struct { uint8_t code, sub; } pages[] = {
		{ 0x02, 0 }, { 0x08, 0 }, { 0x0a, 0 }, { 0x0a, 1 }, { 0x1a, 0 }, { 0x1c, 0 },
	};
	struct lu_world w;
	uint8_t list[64], mask[64];
	unsigned n, refused = 0, taken = 0;

	lu_world_init(&w);
	for (unsigned i = 0; i < 6; i++) {
		n = list_of(&w, pages[i].code, pages[i].sub, list);
		memcpy(mask + 4, page_of(&w, PC_CHANGEABLE, pages[i].code, pages[i].sub), n - 4);
		CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_GOOD);
		for (unsigned at = 4 + (pages[i].sub ? 4 : 2); at < n; at++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				list[at] ^= (uint8_t)(1 << bit);
				if (mask[at] >> bit & 1) {
					CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_GOOD);
					CU_ASSERT(w.fx.changed);
					taken++;
				} else {
					CU_ASSERT_EQUAL(select6(&w, false, list, n),
							SAM_CHECK_CONDITION);
					CU_ASSERT_EQUAL(sense_code_of(&w.fx.sense),
							SENSE_INVALID_FIELD_PARAM);
					CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), (int)at);
					CU_ASSERT_EQUAL(w.fx.sense.sks[0], 0x88 | bit);
					CU_ASSERT(!w.fx.changed);
					refused++;
				}
				list[at] ^= (uint8_t)(1 << bit);
			}
		}
	}
	CU_ASSERT_EQUAL(taken, 4);
	CU_ASSERT(refused > 500);
	lu_world_fini(&w);
}

static void test_select_all_or_nothing(void)
{
	struct lu_world w;
	uint8_t list[128], second[64];
	unsigned n, m;

	lu_world_init(&w);
	n = list_of(&w, 0x08, 0, list);
	m = list_of(&w, 0x0a, 0, second);
	list[4 + 2] = 0;
	memcpy(list + n, second + 4, m - 4);
	CU_ASSERT_EQUAL(select6(&w, false, list, n + m - 4), SAM_GOOD);
	CU_ASSERT(w.fx.changed);
	list[n + 3] ^= 0x06;					/* QERR */
	CU_ASSERT_EQUAL(select6(&w, true, list, n + m - 4), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), (int)n + 3);
	CU_ASSERT(!w.fx.changed && !w.fx.persist && !w.fx.flush);
	lu_world_fini(&w);
}

/* Every shorter list of a valid one is refused, but for the lengths at which a list may end. */
static void test_select_short_lists(void)
{
	struct lu_world w;
	uint8_t list[64];
	unsigned n;

	lu_world_init(&w);
	n = list_of(&w, 0x0a, 1, list);
	for (unsigned len = 0; len <= n; len++) {
		uint8_t *exact = malloc(len ? len : 1);
		bool whole = len == 0 || len == 4 || len == n;

		memcpy(exact, list, len);
		CU_ASSERT_EQUAL(select6(&w, false, exact, len),
				whole ? SAM_GOOD : SAM_CHECK_CONDITION);
		if (!whole)
			CU_ASSERT_EQUAL(sense_code_of(&w.fx.sense), SENSE_PARAM_LIST_LENGTH);
		free(exact);
	}
	lu_world_fini(&w);
}

static void test_select_block_descriptor(void)
{
	struct lu_world w;
	uint8_t l6[12] = { 0, 0, 0x80, 8 }, l10[24] = { 0, 0, 0, 0, 1, 0, 0, 16 };

	lu_world_init(&w);
	CU_ASSERT_EQUAL(select6(&w, false, l6, 12), SAM_GOOD);		/* all zero */
	put_be32(l6 + 4, 1u << 21);
	put_be24(l6 + 9, 512);
	CU_ASSERT_EQUAL(select6(&w, false, l6, 12), SAM_GOOD);		/* what is */
	put_be32(l6 + 4, 0xffffffff);
	CU_ASSERT_EQUAL(select6(&w, false, l6, 12), SAM_GOOD);
	put_be24(l6 + 9, 4096);
	CU_ASSERT_EQUAL(select6(&w, false, l6, 12), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 9);
	put_be24(l6 + 9, 512);
	put_be32(l6 + 4, 1000);
	CU_ASSERT_EQUAL(select6(&w, false, l6, 12), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 4);
	CU_ASSERT_EQUAL(select6(&w, false, l6, 11), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_code_of(&w.fx.sense), SENSE_PARAM_LIST_LENGTH);
	l6[3] = 16;
	CU_ASSERT_EQUAL(select6(&w, false, l6, 12), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 3);
	l6[3] = 0;
	l6[1] = 1;
	CU_ASSERT_EQUAL(select6(&w, false, l6, 4), SAM_CHECK_CONDITION);	/* MEDIUM TYPE */
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 1);
	CU_ASSERT_EQUAL(select10(&w, l10, 24), SAM_GOOD);
	put_be64(l10 + 8, 1u << 21);
	put_be32(l10 + 20, 512);
	CU_ASSERT_EQUAL(select10(&w, l10, 24), SAM_GOOD);
	put_be32(l10 + 20, 513);
	CU_ASSERT_EQUAL(select10(&w, l10, 24), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 20);
	CU_ASSERT_EQUAL(select10(&w, l10, 7), SAM_CHECK_CONDITION);
	lu_world_fini(&w);
}

static void test_select_bad_pages(void)
{
	struct lu_world w;
	uint8_t cdb[6] = { 0x15, 0x00, 0, 0, 16, 0 }, list[64];
	unsigned n;

	lu_world_init(&w);
	n = list_of(&w, 0x0a, 0, list);
	CU_ASSERT_EQUAL(lu_world_change(&w, LU_CHANGE_CMD, &w.a, cdb, 6, list, n),
			SAM_CHECK_CONDITION); /* PF=0 */
	CU_ASSERT_EQUAL(sense_code_of(&w.fx.sense), SENSE_INVALID_FIELD_CDB);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 1);
	list[5] = 0x0b;							/* PAGE LENGTH */
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 5);
	list[5] = 0x0a;
	list[4] = 0x0b;							/* no such page */
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 4);
	list[4] = 0x3f;
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_CHECK_CONDITION);
	list[4] = 0x4a; /* SPF with subpage 0Ah, then 0 */
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 5);
	list[5] = 0;
	CU_ASSERT_EQUAL(select6(&w, false, list, n), SAM_CHECK_CONDITION);
	CU_ASSERT_EQUAL(sense_pointer(&w.fx.sense), 5);
	lu_world_fini(&w);
}

UNIT_MAIN("mode",
	UNIT(test_control_page),
	UNIT(test_caching_page),
	UNIT(test_all_pages),
	UNIT(test_sense_bad_fields),
	UNIT(test_block_descriptors),
	UNIT(test_select_each_bit),
	UNIT(test_save_saves_all),
	UNIT(test_select_cache_off_flushes),
	UNIT(test_select_unchangeable_bits),
	UNIT(test_select_all_or_nothing),
	UNIT(test_select_short_lists),
	UNIT(test_select_block_descriptor),
	UNIT(test_select_bad_pages))
