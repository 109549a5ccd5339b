/* SPDX-License-Identifier: Apache-2.0 */
/* What the LUN says of itself, through every path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/wire.h"
#include "target/doctor/doctor.h"

enum { IDS_MAX = 16, ID_MAX = 256, LUNS_MAX = 32 };

static struct answer good(struct node *n, const struct cdb *c, uint32_t least)
{
	struct answer a = node_do(n, c);

	if (expect(n, c, &a, GOOD, NULL) && a.len < least) {
		check_fail(n->d, "%s: %s: %u bytes came, at least %u are defined", n->label,
			   c->text, a.len, least);
		a.how = HOW_LOST;
	}
	if (a.status)
		a.how = HOW_LOST;
	return a;
}

/* ---- INQUIRY -------------------------------------------------------------------------- */

static void inquiry(struct doctor *d)
{
	struct cdb c = cdb_inquiry(-1, 96);
	struct answer a = good(&d->nodes[A], &c, 36);
	bool descriptor = false;

	if (a.how != HOW_STATUS)
		return;
	if (a.data[0])
		check_fail(d,
			   "peripheral qualifier and type are %02Xh, expected 00h: a connected "
			   "disk",
			   a.data[0]);
	if (a.data[1] & 0x80)
		check_fail(d, "RMB is 1: clusters take no removable disk");
	if (a.data[2] < 4)
		check_fail(d, "VERSION is %02Xh, expected at least 04h (SPC-2)", a.data[2]);
	if ((a.data[3] & 0x0f) != 2)
		check_fail(d, "RESPONSE DATA FORMAT is %u, expected 2", a.data[3] & 0x0f);
	if (!(a.data[7] & 2))
		check_warn(d, "CMDQUE is 0: one command at a time is slow");
	for (uint32_t i = 8; i < 36; i++)
		if (a.data[i] < 0x20 || a.data[i] > 0x7e)
			check_fail(d,
				   "byte %u of vendor, product and revision is no printable "
				   "ASCII",
				   i);
	for (uint32_t i = 58; i + 2 <= a.len && i < 74; i += 2)
		descriptor |= (get_be16(a.data + i) & 0xffe0) == 0x0960;
	if (!descriptor)
		check_warn(d, "no version descriptor says iSCSI (096xh)");
	if (d->ports_differ && !(a.data[6] & 0x10))
		check_warn(d, "MULTIP is 0, but there are two target ports");
	check_note(d, "%.8s %.16s %.4s", a.data + 8, a.data + 16, a.data + 32);
}

static bool page_listed(const struct answer *a, uint8_t page)
{
	for (uint32_t i = 4; i < a->len && i - 4 < get_be16(a->data + 2); i++)
		if (a->data[i] == page)
			return true;
	return false;
}

static void vpd_pages(struct doctor *d)
{
	static const struct {
		uint8_t page;
		bool must;
		const char *why;
	} wanted[] = {
		{ 0x00, true, "the list itself" },
		{ 0x80, true, "Windows shows it, multipath may use it" },
		{ 0x83, true, "what disks are told apart by" },
		{ 0xb0, false, "limits: without it Windows and Linux send no UNMAP" },
		{ 0xb1, false, "rotation rate: without it the disk is taken for a rotating one" },
		{ 0xb2, false, "thin provisioning" },
	};
	struct cdb c = cdb_inquiry(0, 255);
	struct answer a = good(&d->nodes[A], &c, 5);
	uint8_t pages[256];
	uint32_t n;

	if (a.how != HOW_STATUS)
		return;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (page_listed(&a, wanted[i].page))
			continue;
		if (wanted[i].must)
			check_fail(d, "VPD page %02Xh is not listed: %s", wanted[i].page,
				   wanted[i].why);
		else
			check_warn(d, "VPD page %02Xh is not listed: %s", wanted[i].page,
				   wanted[i].why);
	}
	n = a.len - 4 < get_be16(a.data + 2) ? a.len - 4 : get_be16(a.data + 2);
	memcpy(pages, a.data + 4, n);
	for (uint32_t i = 0; i < n; i++) {
		if (i && pages[i] <= pages[i - 1])
			check_fail(d, "the pages are not listed in ascending order");
		c = cdb_inquiry(pages[i], 1024);
		a = good(&d->nodes[A], &c, 4);
		if (a.how == HOW_STATUS &&
		    (a.data[1] != pages[i] || get_be16(a.data + 2) + 4u < a.len ||
		     (a.len < 1024 && get_be16(a.data + 2) + 4u != a.len)))
			check_fail(d,
				   "VPD page %02Xh answers with page %02Xh, page length %u, in "
				   "%u bytes",
				   pages[i], a.data[1], get_be16(a.data + 2), a.len);
	}
}

/* ---- page 83h ------------------------------------------------------------------------- */

struct ids {
	unsigned n;
	struct {
		uint8_t type, len;
		uint8_t id[ID_MAX];
	} id[IDS_MAX];
	bool port, group; /* relative target port, target port group */
};

/* The designators of the logical unit. */
static bool ids_get(struct node *n, struct ids *ids)
{
	struct cdb c = cdb_inquiry(0x83, 1024);
	struct answer a = good(n, &c, 4);

	memset(ids, 0, sizeof(*ids));
	if (a.how != HOW_STATUS)
		return false;
	for (uint32_t i = 4; i + 4 <= a.len; i += 4u + a.data[i + 3]) {
		uint8_t type = a.data[i + 1] & 0x0f, where = a.data[i + 1] >> 4 & 3;
		uint8_t len = a.data[i + 3];

		if (i + 4u + len > a.len) {
			check_fail(n->d,
				   "VPD page 83h: a designator of %u bytes goes beyond its "
				   "end",
				   len);
			return false;
		}
		ids->port |= where == 1 && type == 4;
		ids->group |= where == 1 && type == 5;
		if (where == 0 && ids->n < IDS_MAX) {
			ids->id[ids->n].type = type;
			ids->id[ids->n].len = len;
			memcpy(ids->id[ids->n++].id, a.data + i + 4, len);
		}
	}
	return true;
}

/* MS-CSVP 2.2.10, SPC-4 7.8.6: those that are unique in the world. */
static bool id_counts(uint8_t type)
{
	return type == 2 || type == 3 || type == 8;
}

static void vpd_83(struct doctor *d)
{
	struct ids ids;
	bool unique = false;

	if (!ids_get(&d->nodes[A], &ids))
		return;
	for (unsigned i = 0; i < ids.n; i++) {
		uint8_t len = ids.id[i].len, naa = ids.id[i].id[0] >> 4;

		unique |= id_counts(ids.id[i].type) && len;
		if (ids.id[i].type == 2 && len != 8 && len != 12 && len != 16)
			check_fail(d, "an EUI-64 designator has %u bytes", len);
		if (ids.id[i].type == 3 && len != (naa == 6 ? 16 : 8))
			check_fail(d, "an NAA designator of type %u has %u bytes", naa, len);
		if (ids.id[i].type == 3 && len >= 8) {
			unsigned sum = 0;

			for (uint8_t j = 1; j < len; j++)
				sum |= ids.id[i].id[j];
			if (!sum)
				check_fail(d, "the NAA designator is all zeros");
		}
	}
	if (!unique)
		check_fail(d,
			   "no NAA, EUI-64 or SCSI name string designator names the logical unit "
			   "(%u others do)",
			   ids.n);
	if (!ids.port)
		check_warn(d, "no relative target port designator: paths cannot be told apart");
	check_note(d, "%u designators of the logical unit", ids.n);
}

static const char *ids_differ(const struct ids *x, const struct ids *y)
{
	if (x->n != y->n)
		return "another number of designators";
	for (unsigned i = 0; i < x->n; i++)
		if (x->id[i].type != y->id[i].type || x->id[i].len != y->id[i].len ||
		    memcmp(x->id[i].id, y->id[i].id, x->id[i].len))
			return "another designator";
	return NULL;
}

static void vpd_paths(struct doctor *d)
{
	static struct ids ids[MAIN_NODES];
	uint8_t serial[256];
	struct cdb c = cdb_inquiry(0x80, 255);
	uint32_t len = 0;

	for (int i = 0; i < MAIN_NODES; i++) {
		struct answer a = good(&d->nodes[i], &c, 4);
		const char *how;

		if (a.how != HOW_STATUS || !ids_get(&d->nodes[i], &ids[i]))
			return;
		/* ids_get() used the node's buffer: the serial number once more. */
		a = good(&d->nodes[i], &c, 4);
		if (a.how != HOW_STATUS)
			return;
		how = ids_differ(&ids[0], &ids[i]);
		if (how)
			check_fail(d, "%s, at %s: %s than A sees", d->nodes[i].label,
				   d->nodes[i].portal, how);
		if (i && (a.len != len || memcmp(serial, a.data, len < 256 ? len : 255)))
			check_fail(d, "%s, at %s: another serial number (page 80h) than A sees",
				   d->nodes[i].label, d->nodes[i].portal);
		if (!i) {
			len = a.len < 255 ? a.len : 255;
			memcpy(serial, a.data, len);
		}
	}
}

static unsigned luns_get(struct doctor *d, int *luns)
{
	struct cdb c = cdb_report_luns(8 + 8 * 512);
	struct answer a = good(&d->nodes[A], &c, 8);
	unsigned n = 0;

	if (a.how != HOW_STATUS)
		return 0;
	for (uint32_t i = 8; i + 8 <= a.len && i - 8 < get_be32(a.data); i += 8)
		if (a.data[i] >> 6 < 2 && n < LUNS_MAX)
			luns[n++] = get_be16(a.data + i) & 0x3fff;
	return n;
}

static void report_luns(struct doctor *d)
{
	int luns[LUNS_MAX], lun = d->lun;
	unsigned n = luns_get(d, luns), seen = 0;
	struct cdb c = cdb_inquiry(-1, 96);

	for (unsigned i = 0; i < n; i++)
		seen += luns[i] == lun;
	if (n && n < LUNS_MAX && seen != 1)
		check_fail(d, "LUN %d is listed %u times", lun, seen);
	/* SAM-5 4.7.7: LUN 0 is where initiators ask, whether there is a disk or not. */
	d->lun = 0;
	good(&d->nodes[A], &c, 36);
	d->lun = lun;
	check_note(d, "%u LUNs", n);
}

static void vpd_unique(struct doctor *d)
{
	static struct ids mine, other;
	int luns[LUNS_MAX], lun = d->lun;
	unsigned n = luns_get(d, luns), others = 0;

	if (!ids_get(&d->nodes[A], &mine))
		return;
	for (unsigned i = 0; i < n; i++) {
		struct cdb c = cdb_inquiry(-1, 96);
		struct answer a;

		if (luns[i] == lun)
			continue;
		d->lun = luns[i];
		a = node_do(&d->nodes[A], &c);
		/* A controller LUN (tgtd's LUN 0) is no disk. */
		if (!answer_is(&a, GOOD) || a.len < 36 || a.data[0] ||
		    !ids_get(&d->nodes[A], &other))
			continue;
		others++;
		for (unsigned j = 0; j < other.n; j++)
			for (unsigned k = 0; k < mine.n; k++)
				if (id_counts(mine.id[k].type) &&
				    mine.id[k].type == other.id[j].type &&
				    mine.id[k].len == other.id[j].len &&
				    !memcmp(mine.id[k].id, other.id[j].id, mine.id[k].len))
					check_fail(d,
						   "LUN %d has the same designator (type %u) as "
						   "LUN %d",
						   luns[i], mine.id[k].type, lun);
	}
	d->lun = lun;
	if (!others)
		check_skip(d, "the target shows no other disk to compare with");
	check_note(d, "compared with %u other disks", others);
}

/* ---- geometry, modes ------------------------------------------------------------------ */

static void capacity(struct doctor *d)
{
	struct cdb c = cdb_capacity16(), c10 = cdb_capacity10();
	struct answer a = good(&d->nodes[A], &c, 32);
	uint64_t last;
	uint32_t block;
	uint8_t thin, exponent;

	if (a.how != HOW_STATUS)
		return;
	last = get_be64(a.data);
	block = get_be32(a.data + 8);
	exponent = a.data[13] & 0x0f;
	thin = a.data[14] >> 6;
	a = good(&d->nodes[A], &c10, 8);
	if (a.how != HOW_STATUS)
		return;
	if (get_be32(a.data) != (last > 0xffffffff ? 0xffffffff : (uint32_t)last) ||
	    get_be32(a.data + 4) != block)
		check_fail(d, "READ CAPACITY(10) says %u, %u and READ CAPACITY(16) %llu, %u",
			   get_be32(a.data), get_be32(a.data + 4), (unsigned long long)last, block);
	if (block != 512 && block != 4096)
		check_fail(d, "blocks of %u bytes: Windows takes 512 and 4096", block);
	if (block << exponent > 4096)
		check_warn(d, "physical blocks of %u bytes: Windows takes at most 4096",
			   block << exponent);
	check_note(d, "%llu blocks of %u bytes, %s", (unsigned long long)last + 1, block,
		   thin & 2 ? "thin" : "not thin");
}

static void thin(struct doctor *d)
{
	struct cdb c = cdb_capacity16();
	struct answer a = good(&d->nodes[A], &c, 32);
	uint32_t granularity, most;

	if (a.how != HOW_STATUS)
		return;
	if (!(a.data[14] & 0x80)) {
		check_skip(d, "the LUN is not thin (LBPME 0)");
		return;
	}
	if (!(a.data[14] & 0x40))
		check_warn(d, "LBPRZ is 0: what was unmapped does not read as zeros");
	c = cdb_inquiry(0xb2, 64);
	a = good(&d->nodes[A], &c, 8);
	if (a.how == HOW_STATUS && !(a.data[5] & 0xe0))
		check_fail(d, "LBPME is 1, but page B2h offers neither UNMAP nor WRITE SAME");
	c = cdb_inquiry(0xb0, 64);
	a = good(&d->nodes[A], &c, 36);
	if (a.how != HOW_STATUS)
		return;
	most = get_be32(a.data + 20);
	granularity = get_be32(a.data + 28);
	if (!most)
		check_warn(d, "MAXIMUM UNMAP LBA COUNT is 0: no UNMAP is sent");
	if ((uint64_t)granularity * d->block < 32768)
		check_warn(d, "OPTIMAL UNMAP GRANULARITY is %u blocks: Windows' TRIM needs 32 KiB",
			   granularity);
	if (a.len < 36 || !(a.data[32] & 0x80))
		check_warn(d, "UGAVALID is 0");
}

static void rotation(struct doctor *d)
{
	struct cdb c = cdb_inquiry(0xb1, 64);
	struct answer a = node_do(&d->nodes[A], &c);

	if (answer_is(&a, ILLEGAL)) {
		check_warn(d, "no VPD page B1h: the disk is taken for a rotating one");
		return;
	}
	if (!expect(&d->nodes[A], &c, &a, GOOD, NULL) || a.len < 6)
		return;
	if (!get_be16(a.data + 4))
		check_warn(d, "the rotation rate is not reported (0000h)");
	check_note(d, "rotation rate %04Xh", get_be16(a.data + 4));
}

static void modes(struct doctor *d)
{
	static const struct {
		uint8_t page;
		bool must;
	} pages[] = { { 0x08, true }, { 0x0a, true }, { 0x1a, false }, { 0x3f, true } };

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct cdb c6 = cdb_mode_sense6(pages[i].page);
		struct cdb c10 = cdb_mode_sense10(pages[i].page);
		struct answer a = node_do(&d->nodes[A], &c6);

		if (!pages[i].must && !answer_is(&a, GOOD)) {
			check_warn(d, "mode page %02Xh is not there", pages[i].page);
			continue;
		}
		if (expect(&d->nodes[A], &c6, &a, GOOD, NULL)) {
			if (a.len < 4 || a.data[0] + 1u > a.len)
				check_fail(d, "%s: %u bytes, MODE DATA LENGTH %u", c6.text, a.len,
					   a.len ? a.data[0] : 0);
			else if (a.data[2] & 0x80)
				check_fail(d, "the disk is write protected (WP 1)");
		}
		a = good(&d->nodes[A], &c10, 8);
		if (a.how == HOW_STATUS && get_be16(a.data) + 2u > a.len && a.len < c10.in)
			check_fail(d, "%s: %u bytes, MODE DATA LENGTH %u", c10.text, a.len,
				   get_be16(a.data));
	}
}

static void alua(struct doctor *d)
{
	struct cdb inq = cdb_inquiry(-1, 96), c = cdb_rtpg();
	struct answer a = good(&d->nodes[A], &inq, 36);
	uint8_t first[2048];
	uint32_t len;

	if (a.how != HOW_STATUS)
		return;
	if (!(a.data[5] & 0x30)) {
		check_skip(d, "the LUN claims no ALUA (TPGS 0), and none is needed");
		return;
	}
	a = good(&d->nodes[A], &c, 12);
	if (a.how != HOW_STATUS)
		return;
	len = a.len < sizeof(first) ? a.len : sizeof(first);
	memcpy(first, a.data, len);
	for (int i = A2; i < MAIN_NODES; i++) {
		a = good(&d->nodes[i], &c, 12);
		if (a.how == HOW_STATUS && (a.len != len || memcmp(first, a.data, len)))
			check_fail(d, "%s at %s is told other target port groups than A",
				   d->nodes[i].label, d->nodes[i].portal);
	}
}

/* clang-format off */
const struct check checks_disk[] = {
	{ "inquiry", "the INQUIRY data are those of a cluster's disk", "SPC-4 6.6.2; WHCP",
	  "A connected disk, SPC-2 or later, printable names.",
	  "Windows does not list the disk for clusters.", 0, inquiry },
	{ "vpd-pages", "the VPD pages clusters ask for are there", "SPC-4 7.8; WHCP",
	  "Pages 00h, 80h, 83h; every page that is listed answers with its own code and length.",
	  "Windows' validation and udev ask each listed page and give up at the first that lies.",
	  0, vpd_pages },
	{ "vpd-83", "page 83h names the disk",
	  "MS-CSVP 3.2.4.13 CprepDiskGetUniqueIds; SPC-4 7.8.6",
	  "A designator of the logical unit of type SCSI name string, EUI-64 or NAA.",
	  "Windows' validation ends with an error: disks cannot be told apart across nodes. "
	  "multipath makes no map.", 0, vpd_83 },
	{ "vpd-paths", "the disk has the same names for every node and path",
	  "MS-CSVP 3.2.4.13; SPC-4 7.8.6", "The same designators and serial number everywhere.",
	  "Paths become separate disks: corruption.", 0, vpd_paths },
	{ "vpd-unique", "no other disk of the target has the same names",
	  "MS-CSVP 3.2.4.8 CprepDiskVerifyUnique", "Designators differ between LUNs.",
	  "Two disks are taken for two paths of one: corruption.", 0, vpd_unique },
	{ "report-luns", "REPORT LUNS lists the disk once, LUN 0 answers",
	  "SPC-4 6.33; SAM-5 4.7.7",
	  "The LUN is listed; INQUIRY of LUN 0 is answered.", "The disk is not found by a scan.", 0,
	  report_luns },
	{ "capacity", "both READ CAPACITY agree", "SBC-3 5.15, 5.16; WHCP",
	  "The same last LBA and block length; blocks of 512 or 4096 bytes.",
	  "Windows and Linux use different ends of the disk, or none.", 0, capacity },
	{ "thin", "thin provisioning as Windows wants it", "SBC-3 6.6; WHCP",
	  "Pages B0h and B2h say how to UNMAP, in 32 KiB or more.",
	  "Space is not given back: TRIM is not sent or does nothing.", 0, thin },
	{ "rotation", "the rotation rate is told", "SBC-3 6.6; WHCP", "Page B1h, not 0000h.",
	  "Windows cannot choose between HDD and SSD policies.", 0, rotation },
	{ "modes", "MODE SENSE of what clusters look at, and no write protection",
	  "SPC-4 6.13, 6.14; SBC-3 6.5; MS-CSVP 3.4.4.8 CprepDiskIsReadOnly3",
	  "Pages 08h, 0Ah, 3Fh in both lengths with DBD; WP 0.",
	  "The disk comes read-only, or the cache setting is guessed.", 0, modes },
	{ "alua", "target port groups are told alike on every path", "SPC-4 6.37",
	  "REPORT TARGET PORT GROUPS gives one answer through every port.",
	  "MPIO and multipath choose paths from contradictory states.", 0, alua },
	{ 0 },
};
/* clang-format on */
