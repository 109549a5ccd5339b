/* SPDX-License-Identifier: Apache-2.0 */
/* iSCSI TransportIDs (SPC-4 7.6.4.6, tables 505 and 506). */
#include "pr/transportid.h"

enum {
	FORMAT_DEVICE = 0,		/* 00b: by iSCSI name */
	FORMAT_PORT = 1,		/* 01b: by name and ISID */
	PROTOCOL_ISCSI = 5,
	HEADER = 4,			/* format and protocol, reserved, ADDITIONAL LENGTH */
	ISID_DIGITS = 12,
};

static const char separator[5] = { ',', 'i', ',', '0', 'x' };

/*
 * Copies an iSCSI name as we compare names: in lower case (RFC 7143 4.2.7.2 normalizes to it).
 * Control characters and blanks are in no iSCSI name, nor is a comma, which would make the text
 * forms ambiguous.
 */
static bool name_take(const uint8_t *p, size_t len, struct nexus *out)
{
	if (!len || len > ISCSI_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint8_t ch = p[i];

		if (ch <= ' ' || ch == ',' || ch == 0x7f)
			return false;
		if (ch >= 'A' && ch <= 'Z')
			ch += 'a' - 'A';
		out->initiator[i] = (char)ch;
	}
	return true;
}

static int hex_digit(uint8_t ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* The ISID is a number in hexadecimal; some write it without its leading zeros. */
static bool isid_take(const uint8_t *p, size_t len, uint8_t isid[6])
{
	uint64_t v = 0;

	if (!len || len > ISID_DIGITS)
		return false;
	for (size_t i = 0; i < len; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return false;
		v = v << 4 | (unsigned)d;
	}
	for (int i = 5; i >= 0; i--, v >>= 8)
		isid[i] = (uint8_t)v;
	return true;
}

bool transportid_get(struct rcur *c, struct transportid *out)
{
	uint8_t kind = rcur_u8(c);
	const uint8_t *text, *nul, *sep;
	uint16_t len;

	rcur_u8(c);
	len = rcur_be16(c);
	text = rcur_take(c, len);
	memset(out, 0, sizeof(*out));
	if (!text || (kind & 0xf) != PROTOCOL_ISCSI || len < TRANSPORTID_MIN - HEADER || len % 4)
		return false;
	/* The text ends at the first NUL, whatever follows it. */
	nul = memchr(text, 0, len);
	if (!nul)
		return false;
	len = (uint16_t)(nul - text);

	switch (kind >> 6) {
	case FORMAT_DEVICE:
		return name_take(text, len, &out->iport);
	case FORMAT_PORT:
		sep = memmem(text, len, separator, sizeof(separator));
		if (!sep || !name_take(text, (size_t)(sep - text), &out->iport))
			return false;
		sep += sizeof(separator);
		out->has_isid = true;
		return isid_take(sep, (size_t)(nul - sep), out->iport.isid);
	default:
		return false;
	}
}

/* Header, text, one NUL and padding. */
static void put(struct wcur *out, uint8_t format, const char *initiator, const char *tail,
		size_t tail_len)
{
	size_t text = strlen(initiator) + tail_len;
	size_t len = (text + 1 + 3) / 4 * 4;

	if (len < TRANSPORTID_MIN - HEADER)
		len = TRANSPORTID_MIN - HEADER;
	wcur_u8(out, (uint8_t)(format << 6 | PROTOCOL_ISCSI));
	wcur_u8(out, 0);
	wcur_be16(out, (uint16_t)len);
	wcur_put(out, initiator, strlen(initiator));
	wcur_put(out, tail, tail_len);
	wcur_zero(out, len - text);
}

void transportid_put(struct wcur *out, const char *initiator, const uint8_t isid[6])
{
	static const char digits[] = "0123456789abcdef";
	char tail[sizeof(separator) + ISID_DIGITS];

	memcpy(tail, separator, sizeof(separator));
	for (unsigned i = 0; i < 6; i++) {
		tail[sizeof(separator) + 2 * i] = digits[isid[i] >> 4];
		tail[sizeof(separator) + 2 * i + 1] = digits[isid[i] & 0xf];
	}
	put(out, FORMAT_PORT, initiator, tail, sizeof(tail));
}

void transportid_put_device(struct wcur *out, const char *initiator)
{
	put(out, FORMAT_DEVICE, initiator, "", 0);
}
