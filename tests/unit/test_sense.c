/* SPDX-License-Identifier: Apache-2.0 */
/* Sense data: field pointers, INFORMATION, both formats, errno. */
#include <errno.h>
#include <string.h>

#include "scsi/sense.h"
#include "tests/unit/unit.h"

static void expect(const struct sense *s, bool descriptor, const uint8_t *want, size_t len)
{
	uint8_t out[SENSE_MAX];

	memset(out, 0xee, sizeof(out));
	CU_ASSERT_EQUAL(sense_format(s, descriptor, out), len);
	CU_ASSERT_EQUAL(memcmp(out, want, len), 0);
}

static void test_plain(void)
{
	static const uint8_t fixed[18] = { 0x70, 0, 0x5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x21 };
	static const uint8_t desc[8] = { 0x72, 0x5, 0x21, 0, 0, 0, 0, 0 };
	struct sense s = sense_of(SENSE_LBA_OUT_OF_RANGE);

	expect(&s, false, fixed, sizeof(fixed));
	expect(&s, true, desc, sizeof(desc));
}

static void test_field_pointer(void)
{
	static const uint8_t fixed[18] = { 0x70, 0, 0x5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0,
					   0xcb, 0, 1 };
	static const uint8_t desc[16] = { 0x72, 0x5, 0x24, 0, 0, 0, 0, 8, 0x02, 0x06, 0, 0,
					  0xcb, 0, 1, 0 };
	struct sense s = sense_field(SENSE_INVALID_FIELD_CDB, true, 1, 3);

	expect(&s, false, fixed, sizeof(fixed));
	expect(&s, true, desc, sizeof(desc));
	s = sense_field(SENSE_INVALID_FIELD_PARAM, false, 0x1234, -1);
	CU_ASSERT_EQUAL(s.sks[0], 0x80);
	CU_ASSERT_EQUAL(s.sks[1], 0x12);
	CU_ASSERT_EQUAL(s.sks[2], 0x34);
	CU_ASSERT_EQUAL(s.asc, 0x26);
}

static void test_information(void)
{
	static const uint8_t fixed[18] = { 0xf0, 0, 0xe, 0, 0, 1, 2, 10, 0, 0, 0, 0, 0x1d };
	static const uint8_t desc[20] = { 0x72, 0xe, 0x1d, 0, 0, 0, 0, 12, 0x00, 0x0a, 0x80, 0,
					  0, 0, 0, 0, 0, 0, 1, 2 };
	static const uint8_t wide[18] = { 0x70, 0, 0xe, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x1d };
	struct sense s = sense_info(SENSE_MISCOMPARE_VERIFY, 0x102);

	expect(&s, false, fixed, sizeof(fixed));
	expect(&s, true, desc, sizeof(desc));
	/* More than 32 bits: not valid in fixed format. */
	s = sense_info(SENSE_MISCOMPARE_VERIFY, 0x100000000);
	expect(&s, false, wide, sizeof(wide));
	s = sense_info(SENSE_MISCOMPARE_VERIFY, UINT32_MAX);
	{
		uint8_t out[SENSE_MAX];

		sense_format(&s, false, out);
		CU_ASSERT_EQUAL(out[0], 0xf0);
	}
}

static void test_both_descriptors(void)
{
	struct sense s = sense_field(SENSE_INVALID_FIELD_CDB, true, 2, -1);
	uint8_t out[SENSE_MAX];

	s.info_valid = true;
	CU_ASSERT_EQUAL(sense_format(&s, true, out), 28);
	CU_ASSERT_EQUAL(out[7], 20);
	CU_ASSERT_EQUAL(out[20], 0x02);
}

static uint32_t from(enum io_op op, int err)
{
	struct sense s = sense_from_errno(op, err);

	return SENSE_CODE(s.key, s.asc, s.ascq);
}

static void test_errno(void)
{
	CU_ASSERT_EQUAL(from(IO_READ, -EIO), SENSE_READ_ERROR);
	CU_ASSERT_EQUAL(from(IO_EXTENT, -EIO), SENSE_READ_ERROR);
	CU_ASSERT_EQUAL(from(IO_WRITE, -EIO), SENSE_WRITE_ERROR);
	CU_ASSERT_EQUAL(from(IO_FLUSH, -EIO), SENSE_WRITE_ERROR);
	CU_ASSERT_EQUAL(from(IO_DISCARD, -EIO), SENSE_WRITE_ERROR);
	CU_ASSERT_EQUAL(from(IO_ZERO, -ENOSPC), SENSE_SPACE_ALLOC_FAILED);
	CU_ASSERT_EQUAL(from(IO_WRITE, -ENOSPC), SENSE_SPACE_ALLOC_FAILED);
	CU_ASSERT_EQUAL(from(IO_WRITE, -EDQUOT), SENSE_SPACE_ALLOC_FAILED);
	CU_ASSERT_EQUAL(from(IO_FLUSH, -ENOSPC), SENSE_SPACE_ALLOC_FAILED);
	CU_ASSERT_EQUAL(from(IO_WRITE, -EROFS), SENSE_WRITE_PROTECTED);
	CU_ASSERT_EQUAL(from(IO_READ, -ENODEV), SENSE_LU_NOT_READY_MANUAL);
	CU_ASSERT_EQUAL(from(IO_WRITE, -ENOMEM), SENSE_TRY_AGAIN);
	CU_ASSERT_EQUAL(from(IO_READ, -EINVAL), SENSE_INTERNAL_FAILURE);
	/* Whatever else: an error of the medium, by direction. */
	CU_ASSERT_EQUAL(from(IO_READ, -EILSEQ), SENSE_READ_ERROR);
	CU_ASSERT_EQUAL(from(IO_WRITE, -12345), SENSE_WRITE_ERROR);
}

UNIT_MAIN("sense",
	UNIT(test_plain),
	UNIT(test_field_pointer),
	UNIT(test_information),
	UNIT(test_both_descriptors),
	UNIT(test_errno))
