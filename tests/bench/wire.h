/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the load generator and the floor server say on the wire. Deliberately not the daemon's own
 * headers: a wrong offset there must not be able to hide here. Numbers are RFC 7143 section 11.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <isa-l/crc.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum {
	BHS_LEN = 48,
	/* initiator opcodes */
	OP_NOP_OUT = 0x00,
	OP_SCSI_CMD = 0x01,
	OP_LOGIN = 0x03,
	OP_DATA_OUT = 0x05,
	OP_LOGOUT = 0x06,
	/* target opcodes */
	OP_NOP_IN = 0x20,
	OP_SCSI_RSP = 0x21,
	OP_LOGIN_RSP = 0x23,
	OP_DATA_IN = 0x25,
	OP_LOGOUT_RSP = 0x26,
	OP_R2T = 0x31,
	OP_ASYNC = 0x32,
	OP_REJECT = 0x3f,
	OP_IMMEDIATE = 0x40,
	F_FINAL = 0x80,
	F_READ = 0x40,
	F_WRITE = 0x20,
	F_SIMPLE = 0x01, /* SCSI command, byte 1 */
	F_OVERFLOW = 0x04,
	F_UNDERFLOW = 0x02,
	F_STATUS = 0x01, /* Data-In and SCSI response, byte 1 */
	/* offsets every PDU shares */
	O_FLAGS = 1,
	O_RESPONSE = 2,
	O_STATUS = 3,
	O_AHS = 4,
	O_DSL = 5,
	O_LUN = 8,
	O_ITT = 16,
	O_TTT = 20,
	O_STATSN = 24,
	O_EXPCMDSN = 28,
	O_MAXCMDSN = 32,
	O_DATASN = 36,
	O_OFFSET = 40,
	O_DESIRED = 44,
	O_EXPLEN = 20,
	O_CMDSN = 24,
	O_EXPSTATSN = 28,
	O_CDB = 32,
};
#define TAG_NONE 0xffffffffu

static inline uint32_t be16_at(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 8 | b[1];
}

static inline uint32_t be24_at(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}

static inline uint32_t be32_at(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static inline uint64_t be64_at(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

static inline void be24_put(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 16);
	b[1] = (uint8_t)(v >> 8);
	b[2] = (uint8_t)v;
}

static inline void be32_put(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

static inline void be64_put(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
}

/* CRC32C in pieces: start with CRC_START, the digest is ~crc, sent least significant byte first
 * (RFC 7143 13.1). */
#define CRC_START 0xffffffffu

static inline uint32_t crc_more(uint32_t crc, const void *p, uint32_t len)
{
	while (len) {			/* isal takes an int */
		uint32_t n = len > 0x40000000 ? 0x40000000 : len;

		crc = crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, crc);
		p = (const uint8_t *)p + n;
		len -= n;
	}
	return crc;
}

static inline uint32_t crc_of(const void *p, uint32_t len)
{
	return ~crc_more(CRC_START, p, len);
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
