/* SPDX-License-Identifier: Apache-2.0 */
/* Vital product data (SPC-4 7.8, SBC-3 6.6): one function per page, found by a table. */
#include "scsi/inquiry.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "scsi/mode.h"

typedef void vpd_fn(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w);

struct vpd_page {
	uint8_t code;
	vpd_fn *body;		/* writes what follows the 4-byte header */
};

/* Designators of VPD 83h (SPC-4 7.8.6.1). */
enum {
	CODE_SET_BINARY = 1, CODE_SET_ASCII = 2, CODE_SET_UTF8 = 3,
	ASSOC_LU = 0, ASSOC_PORT = 1, ASSOC_DEVICE = 2,
	DESIG_T10 = 1, DESIG_NAA = 3, DESIG_REL_PORT = 4, DESIG_PORT_GROUP = 5, DESIG_NAME = 8,
	PROTOCOL_ISCSI = 5,
};

static void vpd_00(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w);

static void vpd_80_serial(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	wcur_put(w, v->id->serial, strlen(v->id->serial));
}

static void designator_head(struct wcur *w, unsigned code_set, unsigned assoc, unsigned type,
			    size_t len)
{
	bool port = assoc != ASSOC_LU;

	assert(len <= UINT8_MAX);
	wcur_u8(w, (uint8_t)((port ? PROTOCOL_ISCSI << 4 : 0) | code_set));
	/* PIV goes with a protocol identifier. */
	wcur_u8(w, (uint8_t)((port ? 0x80 : 0) | assoc << 4 | type));
	wcur_u8(w, 0);
	wcur_u8(w, (uint8_t)len);
}

/*
 * SCSI name strings end in a NUL and are filled with NULs to a multiple of four (SPC-4 7.8.6.11).
 */
static void designator_name(struct wcur *w, unsigned assoc, const char *name)
{
	size_t len = strlen(name), padded = (len + 4) & ~(size_t)3;

	designator_head(w, CODE_SET_UTF8, assoc, DESIG_NAME, padded);
	wcur_put(w, name, len);
	wcur_zero(w, padded - len);
}

static void designator_u16(struct wcur *w, unsigned type, uint16_t id)
{
	designator_head(w, CODE_SET_BINARY, ASSOC_PORT, type, 4);
	wcur_be16(w, 0);
	wcur_be16(w, id);
}

/*
 * Device identification. The LU's names come first and the NAA first of all, as initiators tend to
 * take the first they understand. The port is the one this nexus goes through: each portal group is
 * one target port, and a port group of its own.
 */
static void vpd_83_identification(const struct scsi_cmd *c, const struct lu_value *v,
				  struct wcur *w)
{
	char port[ISCSI_NAME_MAX + sizeof(",t,0x0001")];
	const char *t10_id = v->id->t10_id[0] ? v->id->t10_id : v->id->serial;
	unsigned naa = lu_naa_len(v->id->naa);

	designator_head(w, CODE_SET_BINARY, ASSOC_LU, DESIG_NAA, naa);
	wcur_put(w, v->id->naa, naa);

	designator_head(w, CODE_SET_ASCII, ASSOC_LU, DESIG_T10, LU_VENDOR_LEN + strlen(t10_id));
	inquiry_ascii(w, inquiry_vendor(v), LU_VENDOR_LEN);
	wcur_put(w, t10_id, strlen(t10_id));

	designator_u16(w, DESIG_REL_PORT, c->nexus->tpgt);
	designator_u16(w, DESIG_PORT_GROUP, c->nexus->tpgt);

	/* RFC 7143 4.4.2: the port's name is the target's with ",t," and the portal group tag. */
	snprintf(port, sizeof(port), "%s,t,0x%04x", c->target->name, c->nexus->tpgt);
	designator_name(w, ASSOC_PORT, port);
	designator_name(w, ASSOC_DEVICE, c->target->name);
}

static void vpd_86_extended(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	wcur_u8(w, 0);					/* SPT, GRD_CHK: no protection */
	wcur_u8(w, 0x07);				/* HEADSUP, ORDSUP, SIMPSUP */
	wcur_u8(w, mode_wce_possible(v) ? 0x01 : 0);	/* V_SUP: a volatile cache */
	/* LUICLR shall be one; it is so as long as the LUNs of a running daemon do not change. */
	wcur_u8(w, 0x01);
	wcur_zero(w, 0x3c - 4);
}

/* All mode pages are shared by all I_T nexuses (SPC-4 7.8; 3Fh/FFh stands for all). */
static void vpd_87_mode_policy(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	wcur_u8(w, 0x3f);
	wcur_u8(w, 0xff);
	wcur_u8(w, 0);		/* MLUS=0, shared */
	wcur_u8(w, 0);
}

static uint32_t blocks_of(const struct lu_value *v, uint64_t bytes)
{
	uint64_t n = bytes / v->block_size;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* Bytes. Windows' TRIM does not work with less, nor without a valid alignment. */
enum { UNMAP_GRANULARITY_MIN = 32 << 10 };

static uint32_t unmap_granularity(const struct lu_value *v)
{
	uint32_t bytes = v->caps.discard_granularity;

	return blocks_of(v, bytes < UNMAP_GRANULARITY_MIN ? UNMAP_GRANULARITY_MIN : bytes);
}

static void vpd_b0_limits(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	bool thin = lu_thin(v);
	uint32_t atomic = v->caps.atomic_max < IO_UNIT_MAX ? v->caps.atomic_max : IO_UNIT_MAX;

	wcur_u8(w, 0);					/* WSNZ=0: see WRITE_SAME_BLOCKS_MAX */
	wcur_u8(w, CAW_BLOCKS_MAX);
	wcur_be16(w, (uint16_t)(1u << v->phys_exp));	/* OPTIMAL TRANSFER LENGTH GRANULARITY */
	wcur_be32(w, blocks_of(v, SCSI_XFER_MAX));	/* MAXIMUM TRANSFER LENGTH */
	wcur_be32(w, blocks_of(v, IO_UNIT_MAX));	/* OPTIMAL TRANSFER LENGTH: our own unit */
	wcur_be32(w, 0);				/* MAXIMUM PREFETCH LENGTH: no limit */
	wcur_be32(w, thin ? UINT32_MAX : 0);		/* MAXIMUM UNMAP LBA COUNT: no limit */
	wcur_be32(w, thin ? UNMAP_DESCRIPTORS_MAX : 0);
	wcur_be32(w, thin ? unmap_granularity(v) : 0);
	wcur_be32(w, thin ? 0x80000000 : 0);		/* UGAVALID, alignment 0 */
	wcur_be64(w, WRITE_SAME_BLOCKS_MAX);
	/* Atomic writes may start and end at any block; no boundaries inside them (SBC-4 4.29). */
	wcur_be32(w, blocks_of(v, atomic));
	wcur_be32(w, 0);
	wcur_be32(w, 0);
	wcur_be32(w, 0);
	wcur_be32(w, 0);
}

static void vpd_b1_characteristics(const struct scsi_cmd *c, const struct lu_value *v,
				   struct wcur *w)
{
	/* 1: non-rotating; 0 would say that nothing is reported. */
	wcur_be16(w, v->caps.rotational ? 7200 : 1);
	wcur_zero(w, 2);
	wcur_u8(w, 0x01);				/* VBULS: VERIFY sees zeroes there */
	wcur_zero(w, 0x3c - 5);
}

uint8_t vpd_threshold_exponent(const struct lu_value *v)
{
	uint8_t e = 0;

	/*
	 * 1 MiB: 32 bits then count 4 PiB, and 0 is not allowed (it says there are no thresholds).
	 */
	while ((uint64_t)v->block_size << e < (1u << 20))
		e++;
	return e;
}

static void vpd_b2_provisioning(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	bool thin = lu_thin(v);

	wcur_u8(w, thin ? vpd_threshold_exponent(v) : 0);
	wcur_u8(w, thin ? 0xe4 : 0);			/* LBPU, LBPWS, LBPWS10, LBPRZ */
	wcur_u8(w, thin ? 0x02 : 0);			/* PROVISIONING TYPE: thin */
	wcur_u8(w, 0);
}

/* Ascending, as page 00h lists them (SPC-4 7.8). */
static const struct vpd_page vpd_pages[] = {
	{ 0x00, vpd_00 },
	{ 0x80, vpd_80_serial },
	{ 0x83, vpd_83_identification },
	{ 0x86, vpd_86_extended },
	{ 0x87, vpd_87_mode_policy },
	{ 0xb0, vpd_b0_limits },
	{ 0xb1, vpd_b1_characteristics },
	{ 0xb2, vpd_b2_provisioning },
};

static const struct vpd_page *vpd_find(const struct lu_value *v, uint8_t code)
{
	for (unsigned i = 0; i < sizeof(vpd_pages) / sizeof(vpd_pages[0]); i++)
		if (vpd_pages[i].code == code)
			return v || code == 0 ? &vpd_pages[i] : NULL;
	return NULL;
}

static void vpd_00(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	for (unsigned i = 0; i < sizeof(vpd_pages) / sizeof(vpd_pages[0]); i++)
		if (vpd_find(v, vpd_pages[i].code))
			wcur_u8(w, vpd_pages[i].code);
}

bool vpd_supported(const struct lu_value *v, uint8_t page)
{
	return vpd_find(v, page) != NULL;
}

void vpd_build(const struct scsi_cmd *c, const struct lu_value *v, struct wcur *w)
{
	const struct vpd_page *p = vpd_find(v, c->cdb[2]);

	if (!p)
		return;
	wcur_u8(w, v ? INQUIRY_DISK : INQUIRY_NO_LU);
	wcur_u8(w, p->code);
	wcur_be16(w, 0);
	p->body(c, v, w);
	wcur_patch_be16(w, 2, (uint16_t)(w->len - 4));
}
