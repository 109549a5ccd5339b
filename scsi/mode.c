/* SPDX-License-Identifier: Apache-2.0 */
/* Mode pages by a table, MODE SENSE and MODE SELECT, each for CDBs of 6 and 10 bytes. */
#include "scsi/mode.h"

#include <assert.h>
#include <string.h>

#include "scsi/plans.h"

enum {
	MODE_PAGE_MAX = 40,		/* bytes of the longest page, header included */
	MODE_PAGE_ALL = 0x3f,
	MODE_SUBPAGE_ALL = 0xff,
	MODE_PS = 0x80, MODE_SPF = 0x40, MODE_CODE = 0x3f,
	MODE_SENSE_6 = 0x1a, MODE_SENSE_10 = 0x5a,
	MODE_SELECT_6 = 0x15, MODE_SELECT_10 = 0x55,
	MODE_DBD = 0x08, MODE_LLBAA = 0x10, MODE_LONGLBA = 0x01,
	MODE_PF = 0x10, MODE_SP = 0x01,
	MODE_WP = 0x80, MODE_DPOFUA = 0x10,
	BLOCK_DESC = 8, BLOCK_DESC_LONG = 16,

	CACHING_WCE = 0x04,		/* byte 2 */
	CONTROL_TST_NEXUS = 0x20,	/* byte 2: TST=001b, a task set per nexus */
	CONTROL_D_SENSE = 0x04,		/* byte 2 */
	CONTROL_QAM_UNRESTRICTED = 0x10, /* byte 3 */
	CONTROL_SWP = 0x08,		/* byte 4 */
	CONTROL_TAS = 0x40,		/* byte 5 */
	CONTROL_EXT_IALUAE = 0x01,	/* byte 4 */
	IE_DEXCPT = 0x08,		/* byte 2 */
};

enum mode_pc { PC_CURRENT, PC_CHANGEABLE, PC_DEFAULT, PC_SAVED };

/*
 * One mode page. put writes the fields for the values m into a page that is zero but for its
 * header; get reads back what can change. What can change is not listed anywhere: it is where put
 * differs between all values false and all true.
 */
struct mode_page {
	uint8_t code, sub;
	uint8_t len;		/* bytes, header included */
	bool savable;
	void (*put)(const struct lu_value *v, const struct lu_modes *m, uint8_t *p);
	void (*get)(const uint8_t *p, struct lu_modes *m);
};

bool mode_wce_possible(const struct lu_value *v)
{
	return !v->id->witness && !v->caps.durable;
}

void mode_limit(struct lu_value *v)
{
	if (mode_wce_possible(v))
		return;
	v->modes.wce = v->saved.wce = v->defaults.wce = false;
}

static void page_zero(const struct lu_value *v, const struct lu_modes *m, uint8_t *p)
{
}

static void page_caching(const struct lu_value *v, const struct lu_modes *m, uint8_t *p)
{
	if (m->wce && mode_wce_possible(v))
		p[2] |= CACHING_WCE;
}

static void page_caching_get(const uint8_t *p, struct lu_modes *m)
{
	m->wce = p[2] & CACHING_WCE;
}

/* QERR=00b, NORMACA and UA_INTLCK_CTRL 0, ATO 0: all zero bits. */
static void page_control(const struct lu_value *v, const struct lu_modes *m, uint8_t *p)
{
	p[2] = CONTROL_TST_NEXUS | (m->d_sense ? CONTROL_D_SENSE : 0);
	p[3] = CONTROL_QAM_UNRESTRICTED;
	p[4] = m->swp ? CONTROL_SWP : 0;
	p[5] = m->tas ? CONTROL_TAS : 0;
}

static void page_control_get(const uint8_t *p, struct lu_modes *m)
{
	m->d_sense = p[2] & CONTROL_D_SENSE;
	m->swp = p[4] & CONTROL_SWP;
	m->tas = p[5] & CONTROL_TAS;
}

/* TPGS=01b in INQUIRY: implicit asymmetric access is enabled, and cannot be otherwise. */
static void page_control_ext(const struct lu_value *v, const struct lu_modes *m, uint8_t *p)
{
	p[4] = CONTROL_EXT_IALUAE;
}

/* Nothing is predicted: exception control is disabled. */
static void page_exceptions(const struct lu_value *v, const struct lu_modes *m, uint8_t *p)
{
	p[2] = IE_DEXCPT;
}

/*
 * Ascending by page code and subpage (SPC-4 7.5.1); a page's length is what the standard's version
 * we claim says.
 */
static const struct mode_page mode_pages[] = {
	{ 0x02, 0x00, 16, false, page_zero, NULL },	/* disconnect-reconnect: unused by iSCSI */
	{ 0x08, 0x00, 20, true, page_caching, page_caching_get },
	{ 0x0a, 0x00, 12, true, page_control, page_control_get },
	{ 0x0a, 0x01, 32, false, page_control_ext, NULL },
	{ 0x1a, 0x00, 40, false, page_zero, NULL },	/* power condition: no timer runs */
	{ 0x1c, 0x00, 12, false, page_exceptions, NULL },
};

static const unsigned mode_npages = sizeof(mode_pages) / sizeof(mode_pages[0]);

static unsigned page_header_len(const struct mode_page *pg)
{
	return pg->sub ? 4 : 2;
}

/* The page's bytes for the values m; PS only in what MODE SENSE gives. */
static void page_fill(const struct mode_page *pg, const struct lu_value *v,
		      const struct lu_modes *m, uint8_t *p)
{
	memset(p, 0, MODE_PAGE_MAX);
	pg->put(v, m, p);
	p[0] = (uint8_t)((pg->savable ? MODE_PS : 0) | (pg->sub ? MODE_SPF : 0) | pg->code);
	if (pg->sub) {
		p[1] = pg->sub;
		put_be16(p + 2, (uint16_t)(pg->len - 4));
	} else {
		p[1] = (uint8_t)(pg->len - 2);
	}
}

/* The page with the bits that can change set (SPC-4 6.13.3); the header is as ever. */
static void page_fill_changeable(const struct mode_page *pg, const struct lu_value *v, uint8_t *p)
{
	static const struct lu_modes none = { 0 };
	static const struct lu_modes all = {
		.wce = true, .d_sense = true, .swp = true, .tas = true,
	};
	uint8_t q[MODE_PAGE_MAX];

	page_fill(pg, v, &none, q);
	page_fill(pg, v, &all, p);
	for (unsigned i = page_header_len(pg); i < pg->len; i++)
		p[i] ^= q[i];
}

static void page_fill_pc(const struct mode_page *pg, const struct lu_value *v, enum mode_pc pc,
			 uint8_t *p)
{
	switch (pc) {
	case PC_CURRENT:
		page_fill(pg, v, &v->modes, p);
		break;
	case PC_CHANGEABLE:
		page_fill_changeable(pg, v, p);
		break;
	case PC_DEFAULT:
		page_fill(pg, v, &v->defaults, p);
		break;
	case PC_SAVED:
		page_fill(pg, v, &v->saved, p);
		break;
	}
}

/* Whether a MODE SENSE for code and sub means this page (SPC-4 6.13.1). */
static bool page_wanted(const struct mode_page *pg, uint8_t code, uint8_t sub)
{
	if (code != MODE_PAGE_ALL && code != pg->code)
		return false;
	return sub == MODE_SUBPAGE_ALL || sub == pg->sub;
}

static bool page_code_known(uint8_t code)
{
	for (unsigned i = 0; i < mode_npages; i++)
		if (page_wanted(&mode_pages[i], code, MODE_SUBPAGE_ALL))
			return true;
	return false;
}

static bool page_known(uint8_t code, uint8_t sub)
{
	if (code == MODE_PAGE_ALL)
		return sub == 0 || sub == MODE_SUBPAGE_ALL;
	for (unsigned i = 0; i < mode_npages; i++)
		if (page_wanted(&mode_pages[i], code, sub))
			return true;
	return false;
}

static uint32_t blocks_short(const struct lu_value *v)
{
	return lu_blocks(v) > UINT32_MAX ? UINT32_MAX : (uint32_t)lu_blocks(v);
}

static void block_descriptor(const struct lu_value *v, bool longlba, struct wcur *w)
{
	if (longlba) {			/* SBC-3 6.4.2.3 */
		wcur_be64(w, lu_blocks(v));
		wcur_be32(w, 0);
		wcur_be32(w, v->block_size);
	} else {			/* SBC-3 6.4.2.2 */
		wcur_be32(w, blocks_short(v));
		wcur_u8(w, 0);
		wcur_be24(w, v->block_size);
	}
}

static void mode_sense_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	bool ten = c->cdb[0] == MODE_SENSE_10;
	bool dbd = c->cdb[1] & MODE_DBD;
	bool longlba = ten && !dbd && (c->cdb[1] & MODE_LLBAA);
	uint8_t bd = dbd ? 0 : longlba ? BLOCK_DESC_LONG : BLOCK_DESC;
	uint8_t dsp = (lu_write_protected(v) ? MODE_WP : 0) | MODE_DPOFUA;
	uint8_t page[MODE_PAGE_MAX];

	if (ten) {
		wcur_be16(w, 0);
		wcur_u8(w, 0);			/* MEDIUM TYPE */
		wcur_u8(w, dsp);
		wcur_u8(w, longlba ? MODE_LONGLBA : 0);
		wcur_u8(w, 0);
		wcur_be16(w, bd);
	} else {
		wcur_u8(w, 0);
		wcur_u8(w, 0);
		wcur_u8(w, dsp);
		wcur_u8(w, bd);
	}
	if (bd)
		block_descriptor(v, longlba, w);
	for (unsigned i = 0; i < mode_npages; i++) {
		const struct mode_page *pg = &mode_pages[i];

		if (!page_wanted(pg, c->cdb[2] & MODE_CODE, c->cdb[3]))
			continue;
		page_fill_pc(pg, v, c->cdb[2] >> 6, page);
		wcur_put(w, page, pg->len);
	}
	if (ten) {
		wcur_patch_be16(w, 0, (uint16_t)(w->len - 2));
	} else {
		uint8_t len = (uint8_t)(w->len - 1);

		assert(w->len <= 256);
		wcur_patch(w, 0, &len, 1);
	}
}

enum scsi_next plan_mode_sense(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	uint8_t code = c->cdb[2] & MODE_CODE;

	if (!page_code_known(code))
		return scsi_bad_cdb(c, 2, 5);
	if (!page_known(code, c->cdb[3]))
		return scsi_bad_cdb(c, 3, -1);
	return plan_answer(c, v, ev, c->cdb[0] == MODE_SENSE_10 ? get_be16(c->cdb + 7) : c->cdb[4],
			   mode_sense_build);
}

/* A MODE SELECT parameter list being read. */
struct select {
	const struct lu_value *v;
	const uint8_t *p;
	uint32_t len, at;	/* bytes, and how many were read */
	struct lu_modes modes;
	struct sense bad;	/* key 0 while all is well */
};

static bool select_bad(struct select *s, uint32_t byte, int bit)
{
	s->bad = sense_field(SENSE_INVALID_FIELD_PARAM, false, byte, bit);
	return false;
}

static bool select_short(struct select *s)
{
	s->bad = sense_of(SENSE_PARAM_LIST_LENGTH);
	return false;
}

/*
 * Block descriptors may repeat what is, or hold zeroes; the number of blocks may also be all ones,
 * the LU's greatest (SBC-3 6.4.2.2). A LU's capacity and block length are not changed this way.
 */
static bool select_block_descriptor(struct select *s, bool longlba)
{
	const uint8_t *d = s->p + s->at;
	uint64_t blocks = longlba ? get_be64(d) : get_be32(d);
	uint64_t same = longlba ? lu_blocks(s->v) : blocks_short(s->v);
	uint64_t ones = longlba ? UINT64_MAX : UINT32_MAX;
	uint32_t length = longlba ? get_be32(d + 12) : get_be24(d + 5);

	if (blocks && blocks != same && blocks != ones)
		return select_bad(s, s->at, -1);
	if (length && length != s->v->block_size)
		return select_bad(s, s->at + (longlba ? 12 : 5), -1);
	return true;
}

/*
 * The mode parameter header and the block descriptor (SPC-4 7.5.5). MODE DATA LENGTH and WP mean
 * nothing here.
 */
static bool select_header(struct select *s, bool ten)
{
	uint32_t head = ten ? 8 : 4;
	bool longlba;
	uint32_t bd, want;

	if (s->len < head)
		return select_short(s);
	if (s->p[ten ? 2 : 1])			/* MEDIUM TYPE */
		return select_bad(s, ten ? 2 : 1, -1);
	longlba = ten && (s->p[4] & MODE_LONGLBA);
	bd = ten ? get_be16(s->p + 6) : s->p[3];
	want = longlba ? BLOCK_DESC_LONG : BLOCK_DESC;
	if (bd && bd != want)
		return select_bad(s, ten ? 6 : 3, -1);
	if (bd > s->len - head)
		return select_short(s);
	s->at = head;
	if (bd && !select_block_descriptor(s, longlba))
		return false;
	s->at += bd;
	return true;
}

static const struct mode_page *page_find(uint8_t code, uint8_t sub)
{
	for (unsigned i = 0; i < mode_npages; i++)
		if (mode_pages[i].code == code && mode_pages[i].sub == sub)
			return &mode_pages[i];
	return NULL;
}

/* Bits that cannot change must be as they are (SPC-4 6.11). */
static bool select_page_unchanged(struct select *s, const struct mode_page *pg)
{
	const uint8_t *d = s->p + s->at;
	uint8_t now[MODE_PAGE_MAX], mask[MODE_PAGE_MAX];

	page_fill(pg, s->v, &s->modes, now);
	page_fill_changeable(pg, s->v, mask);
	for (unsigned i = page_header_len(pg); i < pg->len; i++) {
		uint8_t diff = (uint8_t)((d[i] ^ now[i]) & ~mask[i]);
		int bit = 7;

		if (!diff)
			continue;
		while (!(diff >> bit & 1))
			bit--;
		return select_bad(s, s->at + i, bit);
	}
	return true;
}

static bool select_page(struct select *s)
{
	const uint8_t *d = s->p + s->at;
	uint32_t left = s->len - s->at;
	bool spf = d[0] & MODE_SPF;
	const struct mode_page *pg;
	uint32_t len;

	if (left < (spf ? 4 : 2))
		return select_short(s);
	if (!page_code_known(d[0] & MODE_CODE) || (d[0] & MODE_CODE) == MODE_PAGE_ALL)
		return select_bad(s, s->at, 5);
	/* A subpage format header for subpage 0 names no page at all (SPC-4 7.5.7). */
	pg = spf && !d[1] ? NULL : page_find(d[0] & MODE_CODE, spf ? d[1] : 0);
	if (!pg)
		return spf ? select_bad(s, s->at + 1, -1) : select_bad(s, s->at, 6);
	len = spf ? get_be16(d + 2) + 4u : d[1] + 2u;
	if (len != pg->len)
		return select_bad(s, s->at + (spf ? 2 : 1), -1);
	if (left < len)
		return select_short(s);
	if (!select_page_unchanged(s, pg))
		return false;
	if (pg->get)
		pg->get(d, &s->modes);
	s->at += len;
	return true;
}

void mode_select(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
		 struct lu_fx *fx)
{
	bool ten = rq->cdb[0] == MODE_SELECT_10;
	struct select s = {
		.v = old, .p = rq->param, .len = rq->param_len, .modes = old->modes,
	};
	bool ok;

	assert(ten || rq->cdb[0] == MODE_SELECT_6);
	ok = !s.len || select_header(&s, ten);		/* nothing at all is no error */
	if (ok && s.at < s.len && !(rq->cdb[1] & MODE_PF)) {
		/* Without PF what follows is in a vendor's own format, and we have none. */
		s.bad = sense_field(SENSE_INVALID_FIELD_CDB, true, 1, 4);
		ok = false;
	}
	while (ok && s.at < s.len)
		ok = select_page(&s);
	if (!ok) {
		/* Nothing at all is changed (SPC-4 6.11). */
		fx->status = SAM_CHECK_CONDITION;
		fx->sense = s.bad;
		return;
	}
	next->modes = s.modes;
	/* All pages that can be saved, not only those sent (SPC-4 6.11). */
	if (rq->cdb[1] & MODE_SP)
		next->saved = s.modes;
	fx->persist = memcmp(&old->saved, &next->saved, sizeof(old->saved)) != 0;
	fx->changed = fx->persist || memcmp(&old->modes, &next->modes, sizeof(old->modes)) != 0;
	/* What the cache held until now must not be lost either. */
	fx->flush = old->modes.wce && !next->modes.wce;
}
