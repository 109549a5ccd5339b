/* SPDX-License-Identifier: Apache-2.0 */
/* CDBs and parameter lists (SPC-4, SBC-3), and what they are in words. */
#include <stdio.h>
#include <string.h>

#include "scsi/wire.h"
#include "target/doctor/doctor.h"

#define SAY(c, ...) snprintf((c).text, sizeof((c).text), __VA_ARGS__)

struct cdb cdb_tur(void)
{
	struct cdb c = { .len = 6 };

	SAY(c, "TEST UNIT READY");
	return c;
}

struct cdb cdb_inquiry(int page, uint16_t len)
{
	struct cdb c = { .len = 6, .in = len, .cdb = { 0x12, page >= 0 } };

	c.cdb[2] = page >= 0 ? (uint8_t)page : 0;
	put_be16(c.cdb + 3, len);
	if (page < 0)
		SAY(c, "INQUIRY");
	else
		SAY(c, "INQUIRY, VPD page %02Xh", (unsigned)page);
	return c;
}

struct cdb cdb_report_luns(uint32_t len)
{
	struct cdb c = { .len = 12, .in = len, .cdb = { 0xa0 } };

	put_be32(c.cdb + 6, len);
	SAY(c, "REPORT LUNS");
	return c;
}

struct cdb cdb_capacity10(void)
{
	struct cdb c = { .len = 10, .in = 8, .cdb = { 0x25 } };

	SAY(c, "READ CAPACITY(10)");
	return c;
}

struct cdb cdb_capacity16(void)
{
	struct cdb c = { .len = 16, .in = 32, .cdb = { 0x9e, 0x10 } };

	c.cdb[13] = 32;
	SAY(c, "READ CAPACITY(16)");
	return c;
}

struct cdb cdb_mode_sense6(uint8_t page)
{
	struct cdb c = { .len = 6, .in = 255, .cdb = { 0x1a, 0x08, page, 0, 255 } };

	SAY(c, "MODE SENSE(6), page %02Xh, DBD", page);
	return c;
}

struct cdb cdb_mode_sense10(uint8_t page)
{
	struct cdb c = { .len = 10, .in = 512, .cdb = { 0x5a, 0x08, page } };

	put_be16(c.cdb + 7, 512);
	SAY(c, "MODE SENSE(10), page %02Xh, DBD", page);
	return c;
}

struct cdb cdb_rtpg(void)
{
	struct cdb c = { .len = 12, .in = 2048, .cdb = { 0xa3, 0x0a } };

	put_be32(c.cdb + 6, 2048);
	SAY(c, "REPORT TARGET PORT GROUPS");
	return c;
}

/* Opcodes of the (10) form; the (16) form is 60h further, with the LBA in eight bytes. */
static struct cdb cdb_rw(uint8_t op, const char *name, uint64_t lba, uint16_t blocks)
{
	struct cdb c = { .len = 10, .cdb = { op } };

	if (lba >> 32) {
		c.len = 16;
		c.cdb[0] = (uint8_t)(op + 0x60);
		put_be64(c.cdb + 2, lba);
		put_be32(c.cdb + 10, blocks);
	} else {
		put_be32(c.cdb + 2, (uint32_t)lba);
		put_be16(c.cdb + 7, blocks);
	}
	SAY(c, "%s(%u), LBA %llu, %u blocks", name, c.len, (unsigned long long)lba, blocks);
	return c;
}

struct cdb cdb_read(uint64_t lba, uint16_t blocks, uint32_t block)
{
	struct cdb c = cdb_rw(0x28, "READ", lba, blocks);

	c.in = blocks * block;
	return c;
}

struct cdb cdb_write(uint64_t lba, uint16_t blocks, uint32_t block, const uint8_t *data, bool fua)
{
	struct cdb c = cdb_rw(0x2a, fua ? "WRITE FUA" : "WRITE", lba, blocks);

	c.cdb[1] = fua ? 0x08 : 0;
	c.out = blocks * block;
	c.data = data;
	return c;
}

struct cdb cdb_sync(void)
{
	struct cdb c = { .len = 10, .cdb = { 0x35 } };

	SAY(c, "SYNCHRONIZE CACHE(10)");
	return c;
}

/* SBC-3 5.28; 0 blocks: a list without descriptors, which is no error. */
struct cdb cdb_unmap(uint64_t lba, uint32_t blocks)
{
	uint16_t desc = blocks ? 16 : 0;
	struct cdb c = { .len = 10, .out = 8u + desc, .cdb = { 0x42 } };

	put_be16(c.cdb + 7, (uint16_t)c.out);
	put_be16(c.param, (uint16_t)(c.out - 2));
	put_be16(c.param + 2, desc);
	put_be64(c.param + 8, lba);
	put_be32(c.param + 16, blocks);
	SAY(c, "UNMAP, LBA %llu, %u blocks", (unsigned long long)lba, blocks);
	return c;
}

struct cdb cdb_write_same(uint64_t lba, uint16_t blocks, uint32_t block, const uint8_t *data,
			  bool unmap)
{
	struct cdb c = { .len = 16, .out = block, .data = data, .cdb = { 0x93 } };

	c.cdb[1] = unmap ? 0x08 : 0;
	put_be64(c.cdb + 2, lba);
	put_be32(c.cdb + 10, blocks);
	SAY(c, "WRITE SAME(16)%s, LBA %llu, %u blocks", unmap ? " UNMAP" : "",
	    (unsigned long long)lba, blocks);
	return c;
}

struct cdb cdb_compare_write(uint64_t lba, uint8_t blocks, uint32_t block, const uint8_t *data)
{
	struct cdb c = { .len = 16, .out = 2u * blocks * block, .data = data, .cdb = { 0x89 } };

	put_be64(c.cdb + 2, lba);
	c.cdb[13] = blocks;
	SAY(c, "COMPARE AND WRITE, LBA %llu, %u blocks", (unsigned long long)lba, blocks);
	return c;
}

struct cdb cdb_orwrite(uint64_t lba, uint16_t blocks, uint32_t block, const uint8_t *data)
{
	struct cdb c = { .len = 16, .out = blocks * block, .data = data, .cdb = { 0x8b } };

	put_be64(c.cdb + 2, lba);
	put_be32(c.cdb + 10, blocks);
	SAY(c, "ORWRITE(16), LBA %llu, %u blocks", (unsigned long long)lba, blocks);
	return c;
}

struct cdb cdb_reserve6(bool release)
{
	struct cdb c = { .len = 6, .cdb = { release ? 0x17 : 0x16 } };

	SAY(c, release ? "RELEASE(6)" : "RESERVE(6)");
	return c;
}

/* ---- persistent reservations (SPC-4 6.15, 6.16) --------------------------------------- */

struct cdb cdb_pr_in(enum pr_in sa, uint16_t len)
{
	static const char *const names[] = { "READ KEYS", "READ RESERVATION", "REPORT CAPABILITIES",
					     "READ FULL STATUS" };
	struct cdb c = { .len = 10, .in = len, .cdb = { 0x5e, (uint8_t)sa } };

	put_be16(c.cdb + 7, len);
	SAY(c, "PERSISTENT RESERVE IN, %s", names[sa]);
	return c;
}

struct cdb cdb_pr_out(enum pr_out sa, uint8_t type, uint64_t key, uint64_t sa_key, uint8_t flags)
{
	static const struct {
		const char *name;
		bool type, key, sa_key;
	} acts[] = {
		[PROUT_REGISTER] = { "REGISTER", false, true, true },
		[PROUT_RESERVE] = { "RESERVE", true, true, false },
		[PROUT_RELEASE] = { "RELEASE", true, true, false },
		[PROUT_CLEAR] = { "CLEAR", false, true, false },
		[PROUT_PREEMPT] = { "PREEMPT", true, true, true },
		[PROUT_PREEMPT_ABORT] = { "PREEMPT AND ABORT", true, true, true },
		[PROUT_REGISTER_IGNORE] = { "REGISTER AND IGNORE", false, false, true },
	};
	struct cdb c = { .len = 10, .out = 24, .cdb = { 0x5f, (uint8_t)sa, type } };
	char k[24] = "", s[40] = "", t[12] = "";

	put_be32(c.cdb + 5, 24);
	put_be64(c.param, key);
	put_be64(c.param + 8, sa_key);
	c.param[20] = flags;
	if (acts[sa].type)
		snprintf(t, sizeof(t), ", type %u", type);
	if (acts[sa].key)
		snprintf(k, sizeof(k), ", key %llx", (unsigned long long)key);
	if (acts[sa].sa_key)
		snprintf(s, sizeof(s), ", service action key %llx", (unsigned long long)sa_key);
	SAY(c, "PR OUT %s%s%s%s%s%s", acts[sa].name, t, k, s, flags & PR_APTPL ? ", APTPL" : "",
	    flags & PR_ALL_TG_PT   ? ", ALL_TG_PT"
	    : flags & PR_SPEC_I_PT ? ", SPEC_I_PT"
				   : "");
	return c;
}
