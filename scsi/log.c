/* SPDX-License-Identifier: Apache-2.0 */
/* LOG SENSE (SPC-4 6.8, 7.3; SBC-3 6.3): one function per page, found by a table. */
#include <assert.h>

#include "scsi/inquiry.h"
#include "scsi/plans.h"

enum {
	LOG_SP = 0x01,
	LOG_CODE = 0x3f,
	LOG_SUBPAGE_ALL = 0xff,
	LOG_DS = 0x80, LOG_SPF = 0x40,
	LOG_BINARY_LIST = 0x03,		/* parameter control byte: FORMAT AND LINKING 11b */
	LOG_HEAD = 4,
	LOG_PROVISIONING = 0x0c,
	TEMPERATURE_UNKNOWN = 0xff,
	SCOPE_LU = 0x01, SCOPE_SHARED = 0x02,
};

typedef void log_fn(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w);

struct log_page {
	uint8_t code, sub;
	uint16_t last;		/* greatest parameter code */
	bool (*supported)(const struct lu_value *v);	/* NULL: always */
	log_fn *body;		/* what follows the header, from PARAMETER POINTER on */
};

static log_fn log_pages_list, log_subpages_list;

/*
 * Whether the parameter is asked for: PARAMETER POINTER names the first (SPC-4 6.8); and its
 * header.
 */
static bool log_param(const struct scsi_cmd *c, struct wcur *w, uint16_t code, uint8_t len)
{
	if (code < get_be16(c->cdb + 5))
		return false;
	wcur_be16(w, code);
	wcur_u8(w, LOG_BINARY_LIST);
	wcur_u8(w, len);
	return true;
}

static uint32_t threshold_sets(const struct lu_value *v, uint64_t bytes, bool up)
{
	uint64_t set = (uint64_t)v->block_size << vpd_threshold_exponent(v);
	uint64_t n = bytes / set + (up && bytes % set);

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void log_resource(const struct scsi_cmd *c, struct wcur *w, uint16_t code, uint32_t count,
			 uint8_t scope)
{
	if (!log_param(c, w, code, 8))
		return;
	wcur_be32(w, count);
	wcur_u8(w, scope);
	wcur_zero(w, 3);
}

/*
 * Logical block provisioning (SBC-3 6.3.4): what the store said of its space, in threshold sets. A
 * store that cannot tell leaves the parameters out.
 */
static void log_provisioning(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	if (c->io.result)
		return;
	log_resource(c, w, 0x0001, threshold_sets(v, c->io.answer.space.avail, false),
		     SCOPE_SHARED);
	log_resource(c, w, 0x0002, threshold_sets(v, c->io.answer.space.used, true), SCOPE_LU);
}

/* Temperature (SPC-4 7.3): there is no sensor, and that is what is said. */
static void log_temperature(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	for (uint16_t code = 0; code <= 1; code++) {	/* temperature, reference temperature */
		if (!log_param(c, w, code, 2))
			continue;
		wcur_u8(w, 0);
		wcur_u8(w, TEMPERATURE_UNKNOWN);
	}
}

/* Informational exceptions (SPC-4 7.3): none. */
static void log_exceptions(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	if (!log_param(c, w, 0, 4))
		return;
	wcur_u8(w, 0);				/* ASC */
	wcur_u8(w, 0);				/* ASCQ */
	wcur_u8(w, TEMPERATURE_UNKNOWN);
	wcur_u8(w, 0);
}

/* Ascending by page code, then subpage (SPC-4 7.3). */
static const struct log_page log_pages[] = {
	{ 0x00, 0x00, 0, NULL, log_pages_list },
	{ 0x00, 0xff, 0, NULL, log_subpages_list },
	{ LOG_PROVISIONING, 0x00, 2, lu_thin, log_provisioning },
	{ 0x0d, 0x00, 1, NULL, log_temperature },
	{ 0x2f, 0x00, 0, NULL, log_exceptions },
};

static const unsigned log_npages = sizeof(log_pages) / sizeof(log_pages[0]);

static const struct log_page *log_find(const struct lu_value *v, uint8_t code, uint8_t sub)
{
	for (unsigned i = 0; i < log_npages; i++) {
		const struct log_page *pg = &log_pages[i];

		if (pg->code == code && pg->sub == sub && (!pg->supported || pg->supported(v)))
			return pg;
	}
	return NULL;
}

/* Whether any page has this code, so that an error points at the subpage and not at the page. */
static bool log_code_known(const struct lu_value *v, uint8_t code)
{
	return log_find(v, code, 0) != NULL;
}

static void log_pages_list(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	for (unsigned i = 0; i < log_npages; i++)
		if (!log_pages[i].sub && log_find(v, log_pages[i].code, 0))
			wcur_u8(w, log_pages[i].code);
}

static void log_subpages_list(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	for (unsigned i = 0; i < log_npages; i++) {
		if (!log_find(v, log_pages[i].code, log_pages[i].sub))
			continue;
		wcur_u8(w, log_pages[i].code);
		wcur_u8(w, log_pages[i].sub);
	}
}

static void log_sense_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	const struct log_page *pg = log_find(v, c->cdb[2] & LOG_CODE, c->cdb[3]);

	if (!pg)		/* the LU was thin on ARRIVED and is not any more */
		return;
	/*
	 * The pages that list pages have nothing that could be saved, and DS=0; for the others
	 * saving is disabled.
	 */
	wcur_u8(w, (uint8_t)((pg->code ? LOG_DS : 0) | (pg->sub ? LOG_SPF : 0) | pg->code));
	wcur_u8(w, pg->sub);
	wcur_be16(w, 0);
	pg->body(c, v, w);
	wcur_patch_be16(w, 2, (uint16_t)(w->len - LOG_HEAD));
}

/*
 * PC (threshold, cumulative, default ...) is for counters; the parameters here are lists, for which
 * it means nothing (SPC-4 6.8). Nothing can be saved, so SP is refused.
 */
enum scsi_next plan_log_sense(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	const uint8_t *cdb = c->cdb;
	const struct log_page *pg = log_find(v, cdb[2] & LOG_CODE, cdb[3]);

	if (ev == SCSI_EV_ARRIVED) {
		if (cdb[1] & LOG_SP)
			return scsi_bad_cdb(c, 1, 0);
		if (!log_code_known(v, cdb[2] & LOG_CODE))
			return scsi_bad_cdb(c, 2, 5);
		if (!pg)
			return scsi_bad_cdb(c, 3, -1);
		if (get_be16(cdb + 5) > pg->last)
			return scsi_bad_cdb(c, 5, -1);
	}
	if (ev == SCSI_EV_READY && (cdb[2] & LOG_CODE) == LOG_PROVISIONING) {
		c->io = (struct scsi_io){ .op = IO_SPACE, .len = v->caps.size, .area = AREA_NONE };
		return SCSI_IO;
	}
	if (ev == SCSI_EV_IO)		/* the buffer is there already */
		ev = SCSI_EV_READY;
	return plan_answer(c, v, ev, get_be16(cdb + 7), log_sense_build);
}
