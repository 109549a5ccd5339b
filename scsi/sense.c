/* SPDX-License-Identifier: Apache-2.0 */
/* Sense data: building the value, and its two wire formats. */
#include "scsi/sense.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "scsi/wire.h"

struct sense sense_field(uint32_t code, bool in_cdb, unsigned byte, int bit)
{
	struct sense s = sense_of(code);

	assert(bit >= -1 && bit <= 7 && byte <= 0xffff);
	s.sks_valid = true;
	s.sks[0] = 0x80;				/* SKSV */
	if (in_cdb)
		s.sks[0] |= 0x40;			/* C/D: the CDB */
	if (bit >= 0)
		s.sks[0] |= (uint8_t)(0x08 | bit);	/* BPV and BIT POINTER */
	put_be16(&s.sks[1], (uint16_t)byte);
	return s;
}

struct sense sense_info(uint32_t code, uint64_t info)
{
	struct sense s = sense_of(code);

	s.info_valid = true;
	s.info = info;
	return s;
}

/*
 * What an errno means for commands that read (or ask) and for those that write, zero, deallocate or
 * flush.
 */
static const struct {
	int err;
	uint32_t reading, writing;
} sense_errnos[] = {
	/* The thin store is full: the medium is well (SBC-3 4.7.3.6). */
	{ -ENOSPC,	SENSE_READ_ERROR,		SENSE_SPACE_ALLOC_FAILED },
	{ -EDQUOT,	SENSE_READ_ERROR,		SENSE_SPACE_ALLOC_FAILED },
	{ -EROFS,	SENSE_READ_ERROR,		SENSE_WRITE_PROTECTED },
	{ -EPERM,	SENSE_READ_ERROR,		SENSE_WRITE_PROTECTED },
	{ -EACCES,	SENSE_READ_ERROR,		SENSE_WRITE_PROTECTED },
	/* The store went away. */
	{ -ENODEV,	SENSE_LU_NOT_READY_MANUAL,	SENSE_LU_NOT_READY_MANUAL },
	{ -ENXIO,	SENSE_LU_NOT_READY_MANUAL,	SENSE_LU_NOT_READY_MANUAL },
	{ -ESHUTDOWN,	SENSE_LU_NOT_READY_MANUAL,	SENSE_LU_NOT_READY_MANUAL },
	/* Passing: an initiator may just try again. */
	{ -ENOMEM,	SENSE_TRY_AGAIN,		SENSE_TRY_AGAIN },
	{ -EAGAIN,	SENSE_TRY_AGAIN,		SENSE_TRY_AGAIN },
	{ -EBUSY,	SENSE_TRY_AGAIN,		SENSE_TRY_AGAIN },
	{ -EINTR,	SENSE_TRY_AGAIN,		SENSE_TRY_AGAIN },
	{ -ECANCELED,	SENSE_TRY_AGAIN,		SENSE_TRY_AGAIN },
	{ -ETIMEDOUT,	SENSE_TRY_AGAIN,		SENSE_TRY_AGAIN },
	/* We asked the store for something it cannot do: our mistake, not the medium's. */
	{ -EINVAL,	SENSE_INTERNAL_FAILURE,		SENSE_INTERNAL_FAILURE },
	{ -EOPNOTSUPP,	SENSE_INTERNAL_FAILURE,		SENSE_INTERNAL_FAILURE },
	{ -ENOSYS,	SENSE_INTERNAL_FAILURE,		SENSE_INTERNAL_FAILURE },
	{ -EBADF,	SENSE_INTERNAL_FAILURE,		SENSE_INTERNAL_FAILURE },
	{ -EFAULT,	SENSE_INTERNAL_FAILURE,		SENSE_INTERNAL_FAILURE },
	{ -EFBIG,	SENSE_INTERNAL_FAILURE,		SENSE_INTERNAL_FAILURE },
};

struct sense sense_from_errno(enum io_op op, int err)
{
	bool writing = io_changes_medium(op) || op == IO_FLUSH;

	assert(err < 0);
	for (size_t i = 0; i < sizeof(sense_errnos) / sizeof(sense_errnos[0]); i++)
		if (sense_errnos[i].err == err)
			return sense_of(writing ? sense_errnos[i].writing :
					sense_errnos[i].reading);
	return sense_of(writing ? SENSE_WRITE_ERROR : SENSE_READ_ERROR);
}

/* Fixed format, current error (SPC-4 4.5.3). */
static size_t sense_format_fixed(const struct sense *s, uint8_t *out)
{
	out[0] = 0x70;
	if (s->info_valid && s->info <= UINT32_MAX) {
		out[0] |= 0x80;				/* VALID */
		put_be32(&out[3], (uint32_t)s->info);
	}
	out[2] = s->key;
	out[7] = 18 - 8;				/* ADDITIONAL SENSE LENGTH */
	out[12] = s->asc;
	out[13] = s->ascq;
	if (s->sks_valid)
		memcpy(&out[15], s->sks, 3);
	return 18;
}

/* Descriptor format, current error (SPC-4 4.5.2). */
static size_t sense_format_descriptor(const struct sense *s, uint8_t *out)
{
	size_t len = 8;

	out[0] = 0x72;
	out[1] = s->key;
	out[2] = s->asc;
	out[3] = s->ascq;
	if (s->info_valid) {				/* information descriptor, 4.5.2.2 */
		out[len] = 0x00;
		out[len + 1] = 0x0a;
		out[len + 2] = 0x80;			/* VALID */
		put_be64(&out[len + 4], s->info);
		len += 12;
	}
	if (s->sks_valid) {				/* sense key specific descriptor, 4.5.2.4 */
		out[len] = 0x02;
		out[len + 1] = 0x06;
		memcpy(&out[len + 4], s->sks, 3);
		len += 8;
	}
	out[7] = (uint8_t)(len - 8);			/* ADDITIONAL SENSE LENGTH */
	return len;
}

size_t sense_format(const struct sense *s, bool descriptor, uint8_t *out)
{
	memset(out, 0, SENSE_MAX);
	return descriptor ? sense_format_descriptor(s, out) : sense_format_fixed(s, out);
}
