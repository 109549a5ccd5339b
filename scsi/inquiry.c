/* SPDX-License-Identifier: Apache-2.0 */
/* INQUIRY (SPC-4 6.6): the standard data; the VPD pages are in vpd.c. */
#include "scsi/inquiry.h"

#include <string.h>

#include "scsi/plans.h"

#ifndef HOLDFAST_VERSION
#define HOLDFAST_VERSION "0.1"
#endif

enum {
	INQUIRY_VERSION_SPC4 = 0x06,
	INQUIRY_HISUP = 0x10,		/* REPORT LUNS uses the hierarchical LUN format */
	INQUIRY_FORMAT = 0x02,
	INQUIRY_TPGS_IMPLICIT = 0x10,
	INQUIRY_MULTIP = 0x10,
	INQUIRY_CMDQUE = 0x02,
	INQUIRY_LEN = 96,		/* up to the end of the reserved bytes, SPC-4 6.6.2 */
	INQUIRY_EVPD = 0x01,
	INQUIRY_CMDDT = 0x02,		/* obsolete since SPC-3 */
};

/* SPC-4 6.6.2, annex E; none claims a revision, as none was certified. */
static const uint16_t version_descriptors[] = {
	0x00a0,		/* SAM-5 */
	0x0960,		/* iSCSI */
	0x0460,		/* SPC-4 */
	0x04c0,		/* SBC-3 */
};

void inquiry_ascii(struct wcur *w, const char *s, unsigned width)
{
	size_t len = strnlen(s, width);

	wcur_put(w, s, len);
	for (; len < width; len++)
		wcur_u8(w, ' ');
}

/* PRODUCT REVISION LEVEL has room for major and minor of the version only. */
static void inquiry_revision(struct wcur *w)
{
	char rev[5] = "";
	unsigned dots = 0;

	for (unsigned i = 0; i < 4 && HOLDFAST_VERSION[i]; i++) {
		dots += HOLDFAST_VERSION[i] == '.';
		if (dots > 1)
			break;
		rev[i] = HOLDFAST_VERSION[i];
	}
	inquiry_ascii(w, rev, 4);
}

const char *inquiry_vendor(const struct lu_value *v)
{
	return v && v->id->vendor[0] ? v->id->vendor : "HOLDFAST";
}

static const char *inquiry_product(const struct lu_value *v)
{
	if (v && v->id->product[0])
		return v->id->product;
	return v && v->id->witness ? "WITNESS" : "VIRTUAL-DISK";
}

static void inquiry_standard(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	bool multip = v && c->target && c->target->ntpgts > 1;

	wcur_u8(w, v ? INQUIRY_DISK : INQUIRY_NO_LU);
	wcur_u8(w, 0);					/* RMB */
	wcur_u8(w, INQUIRY_VERSION_SPC4);
	wcur_u8(w, INQUIRY_HISUP | INQUIRY_FORMAT);
	wcur_u8(w, INQUIRY_LEN - 5);			/* ADDITIONAL LENGTH */
	wcur_u8(w, v ? INQUIRY_TPGS_IMPLICIT : 0);	/* SCCS, ACC, TPGS, 3PC, PROTECT */
	wcur_u8(w, multip ? INQUIRY_MULTIP : 0);
	wcur_u8(w, INQUIRY_CMDQUE);
	inquiry_ascii(w, inquiry_vendor(v), LU_VENDOR_LEN);
	inquiry_ascii(w, inquiry_product(v), LU_PRODUCT_LEN);
	inquiry_revision(w);
	wcur_zero(w, 58 - 36);				/* vendor specific, SPI bits */
	for (unsigned i = 0; i < sizeof(version_descriptors) / sizeof(version_descriptors[0]); i++)
		wcur_be16(w, version_descriptors[i]);
	wcur_zero(w, INQUIRY_LEN - w->len);
}

enum scsi_next plan_inquiry(struct scsi_cmd *c, const struct lu_value *v, enum scsi_event ev)
{
	bool evpd = c->cdb[1] & INQUIRY_EVPD;
	uint16_t alloc = get_be16(c->cdb + 3);

	if (c->cdb[1] & INQUIRY_CMDDT)
		return scsi_bad_cdb(c, 1, 1);
	/*
	 * SPC-4 6.6.1: a page code without EVPD, and a page that does not exist, are both errors in
	 * byte 2.
	 */
	if (evpd ? !vpd_supported(v, c->cdb[2]) : c->cdb[2] != 0)
		return scsi_bad_cdb(c, 2, -1);
	return plan_answer(c, v, ev, alloc, evpd ? vpd_build : inquiry_standard);
}
