/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator's own iSCSI initiator, the part before the load: connect, log in (RFC 7143
 * section 6: no authentication, straight to the operational stage), a few commands one at a time,
 * log out. Blocking, each wait bounded by WAIT_S. Functions return 0, or -1 after a message on
 * stderr.
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/bench/wire.h"

enum { WAIT_S = 5, TEXT_MAX = 8192, SEND_MAX = 65536 };

struct offer {
	const char *host, *initiator, *target;
	unsigned port;
	bool hdigest, ddigest, initial_r2t, immediate;
	uint32_t mrdsl, max_burst, first_burst, max_r2t;
};

struct link {
	int fd;
	uint32_t cmdsn, statsn, maxcmdsn; /* next CmdSN; StatSN expected next; last MaxCmdSN */
	bool hdigest, ddigest, initial_r2t, immediate;
	uint32_t mrdsl;				/* ours: what the target may send */
	uint32_t peer_mrdsl;			/* the target's */
	uint32_t max_burst, first_burst;
};

/* Only loopback: this tool is not to be pointed at somebody's storage. */
static inline int link_connect(struct link *l, const char *host, unsigned port)
{
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr any;
	} sa = { .v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) } };
	socklen_t len = sizeof(sa.v4);
	struct timeval tv = { .tv_sec = WAIT_S };
	int one = 1;

	if (inet_pton(AF_INET, host, &sa.v4.sin_addr) != 1 ||
	    ntohl(sa.v4.sin_addr.s_addr) >> 24 != 127) {
		sa.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					       .sin6_port = htons((uint16_t)port) };
		len = sizeof(sa.v6);
		if (inet_pton(AF_INET6, host, &sa.v6.sin6_addr) != 1 ||
		    !IN6_IS_ADDR_LOOPBACK(&sa.v6.sin6_addr)) {
			fprintf(stderr,
				"hf-bench: %s: a loopback address is needed (127.x.x.x or ::1)\n",
				host);
			return -1;
		}
	}
	l->fd = socket(sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd >= 0) {
		setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	if (l->fd < 0 || connect(l->fd, &sa.any, len)) {
		fprintf(stderr, "hf-bench: %s port %u: %s\n", host, port, strerror(errno));
		return -1;
	}
	return 0;
}

static inline int send_all(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0) {
			fprintf(stderr, "hf-bench: send: %s\n", strerror(errno));
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static inline int recv_all(int fd, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = recv(fd, p, len, 0);

		if (n <= 0) {
			fprintf(stderr, "hf-bench: receive: %s\n",
				n ? strerror(errno) : "the target closed the connection");
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Sends one PDU with its data segment, padding and digests. */
static inline int pdu_send(struct link *l, uint8_t *bhs, const void *data, uint32_t len)
{
	uint8_t buf[BHS_LEN + 4 + SEND_MAX + 8];
	uint32_t n = BHS_LEN, crc, pad = -len & 3;

	if (len > SEND_MAX)
		return -1;
	be24_put(bhs + O_DSL, len);
	memcpy(buf, bhs, BHS_LEN);
	if (l->hdigest) {
		crc = crc_of(bhs, BHS_LEN);
		memcpy(buf + n, &crc, 4);
		n += 4;
	}
	if (len) {
		memcpy(buf + n, data, len);
		memset(buf + n + len, 0, pad);
		crc = crc_of(buf + n, len + pad);
		n += len + pad;
		if (l->ddigest) {
			memcpy(buf + n, &crc, 4);
			n += 4;
		}
	}
	return send_all(l->fd, buf, n);
}

/* Receives one PDU; *len is the room at data, and then the bytes there. */
static inline int pdu_recv(struct link *l, uint8_t *bhs, uint8_t *data, uint32_t *len)
{
	uint32_t crc, dsl;

	if (recv_all(l->fd, bhs, BHS_LEN))
		return -1;
	if (l->hdigest) {
		if (recv_all(l->fd, &crc, 4))
			return -1;
		if (crc != crc_of(bhs, BHS_LEN)) {
			fprintf(stderr, "hf-bench: wrong header digest\n");
			return -1;
		}
	}
	dsl = be24_at(bhs + O_DSL);
	if (bhs[O_AHS] || ((dsl + 3) & ~3u) > *len) {
		fprintf(stderr,
			"hf-bench: opcode %02x: data segment of %u bytes, AHS %u: more than "
			"expected\n",
			bhs[0], dsl, bhs[O_AHS] * 4u);
		return -1;
	}
	*len = dsl;
	if (!dsl)
		return 0;
	if (recv_all(l->fd, data, (dsl + 3) & ~3u))
		return -1;
	if (l->ddigest) {
		if (recv_all(l->fd, &crc, 4))
			return -1;
		if (crc != crc_of(data, (dsl + 3) & ~3u)) {
			fprintf(stderr, "hf-bench: wrong data digest\n");
			return -1;
		}
	}
	return 0;
}

/* Takes the sequence numbers of a PDU that has a StatSN of its own. */
static inline int link_statsn(struct link *l, const uint8_t *bhs)
{
	if (be32_at(bhs + O_STATSN) != l->statsn) {
		fprintf(stderr, "hf-bench: opcode %02x: StatSN %u, expected %u\n", bhs[0],
			be32_at(bhs + O_STATSN), l->statsn);
		return -1;
	}
	l->statsn++;
	l->maxcmdsn = be32_at(bhs + O_MAXCMDSN);
	return 0;
}

static inline size_t key_put(char *text, size_t n, const char *key, const char *value)
{
	return n + (size_t)snprintf(text + n, TEXT_MAX - n, "%s=%s", key, value) + 1;
}

static inline size_t key_number(char *text, size_t n, const char *key, uint32_t value)
{
	char s[16];

	snprintf(s, sizeof(s), "%u", value);
	return key_put(text, n, key, s);
}

static inline size_t login_text(char *text, const struct offer *o)
{
	size_t n = 0;

	n = key_put(text, n, "InitiatorName", o->initiator);
	n = key_put(text, n, "SessionType", "Normal");
	n = key_put(text, n, "TargetName", o->target);
	n = key_put(text, n, "HeaderDigest", o->hdigest ? "CRC32C" : "None");
	n = key_put(text, n, "DataDigest", o->ddigest ? "CRC32C" : "None");
	n = key_put(text, n, "InitialR2T", o->initial_r2t ? "Yes" : "No");
	n = key_put(text, n, "ImmediateData", o->immediate ? "Yes" : "No");
	n = key_number(text, n, "MaxRecvDataSegmentLength", o->mrdsl);
	n = key_number(text, n, "MaxBurstLength", o->max_burst);
	n = key_number(text, n, "FirstBurstLength", o->first_burst);
	n = key_number(text, n, "MaxOutstandingR2T", o->max_r2t);
	n = key_put(text, n, "ErrorRecoveryLevel", "0");
	n = key_put(text, n, "MaxConnections", "1");
	return n;
}

static inline void login_keys(struct link *l, char *text, size_t len)
{
	for (size_t i = 0; i < len; i += strlen(text + i) + 1) {
		char *key = text + i, *value = strchr(key, '=');
		size_t k = value ? (size_t)(value++ - key) : 0;

		if (!k)
			continue;
		if (k == 24 && !memcmp(key, "MaxRecvDataSegmentLength", k))
			l->peer_mrdsl = (uint32_t)strtoul(value, NULL, 0);
		else if (k == 14 && !memcmp(key, "MaxBurstLength", k))
			l->max_burst = (uint32_t)strtoul(value, NULL, 0);
		else if (k == 16 && !memcmp(key, "FirstBurstLength", k))
			l->first_burst = (uint32_t)strtoul(value, NULL, 0);
		else if (k == 10 && !memcmp(key, "InitialR2T", k))
			l->initial_r2t = !strcmp(value, "Yes");
		else if (k == 13 && !memcmp(key, "ImmediateData", k))
			l->immediate = !strcmp(value, "Yes");
		else if (k == 12 && !memcmp(key, "HeaderDigest", k))
			l->hdigest = !strcmp(value, "CRC32C");
		else if (k == 10 && !memcmp(key, "DataDigest", k))
			l->ddigest = !strcmp(value, "CRC32C");
	}
}

/* Logs in; number makes the ISID (type 10b: random, RFC 7143 11.12.5) and so the nexus. */
static inline int link_login(struct link *l, const struct offer *o, unsigned number)
{
	char text[TEXT_MAX + 4] = "";
	uint8_t bhs[BHS_LEN];
	uint32_t send = (uint32_t)login_text(text, o);
	struct link parsed = { .fd = l->fd,
			       .max_burst = o->max_burst,
			       .first_burst = o->first_burst,
			       .peer_mrdsl = 8192,
			       .initial_r2t = true,
			       .immediate = true,
			       .mrdsl = o->mrdsl };

	l->hdigest = l->ddigest = false;	/* not before full feature phase */
	for (unsigned round = 0; round < 8; round++) {
		uint32_t len = TEXT_MAX;

		memset(bhs, 0, sizeof(bhs));
		bhs[0] = OP_LOGIN | OP_IMMEDIATE;
		bhs[O_FLAGS] = 0x80 | 1 << 2 | 3;	/* T, CSG operational, NSG full feature */
		bhs[8] = 0x80;
		be32_put(bhs + 9, number + 1);
		be32_put(bhs + O_CMDSN, 1);
		be32_put(bhs + O_EXPSTATSN, round ? parsed.statsn : 0);
		if (pdu_send(l, bhs, text, send) || pdu_recv(l, bhs, (uint8_t *)text, &len))
			return -1;
		if (bhs[0] != OP_LOGIN_RSP || bhs[36]) {
			fprintf(stderr,
				"hf-bench: login refused: opcode %02x, status class %u detail %u\n",
				bhs[0], bhs[36], bhs[37]);
			return -1;
		}
		text[len] = 0;
		login_keys(&parsed, text, len);
		parsed.statsn = be32_at(bhs + O_STATSN) + 1;
		parsed.maxcmdsn = be32_at(bhs + O_MAXCMDSN);
		if (bhs[O_FLAGS] & 0x80 && (bhs[O_FLAGS] & 3) == 3) {
			parsed.cmdsn = 1;
			*l = parsed;
			if (l->hdigest == o->hdigest && l->ddigest == o->ddigest)
				return 0;
			fprintf(stderr,
				"hf-bench: the target did not agree to the digests asked for\n");
			return -1;
		}
		send = 0;
	}
	fprintf(stderr, "hf-bench: login does not end\n");
	return -1;
}

/*
 * One command: with data out (at most what one PDU takes: immediate, or when asked for), else with
 * data in when there is room for some, else without data. in_len: room at in, and then bytes read.
 */
struct command {
	const uint8_t *lun, *cdb;
	unsigned cdb_len;
	const void *out;
	uint32_t out_len;
	uint8_t *in;
	uint32_t in_len;
	uint32_t sense;			/* answer: key << 16 | ASC << 8 | ASCQ */
};

/* Sends a command and waits for its end. Returns the SCSI status, or -1. */
static inline int link_command(struct link *l, struct command *c)
{
	uint8_t bhs[BHS_LEN] = { OP_SCSI_CMD, F_FINAL | F_SIMPLE }, data[TEXT_MAX];
	uint32_t room = c->in_len;

	c->in_len = c->sense = 0;
	if (c->out_len)
		bhs[O_FLAGS] |= F_WRITE;
	else if (room)
		bhs[O_FLAGS] |= F_READ;
	memcpy(bhs + O_LUN, c->lun, 8);
	be32_put(bhs + O_ITT, 0x7fff0000 | (l->cmdsn & 0xffff));
	be32_put(bhs + O_EXPLEN, c->out_len ? c->out_len : room);
	be32_put(bhs + O_CMDSN, l->cmdsn++);
	be32_put(bhs + O_EXPSTATSN, l->statsn);
	memcpy(bhs + O_CDB, c->cdb, c->cdb_len);
	if (pdu_send(l, bhs, c->out, l->immediate ? c->out_len : 0))
		return -1;
	for (;;) {
		uint32_t n = sizeof(data);

		if (pdu_recv(l, bhs, data, &n))
			return -1;
		if (bhs[0] == OP_NOP_IN && be32_at(bhs + O_ITT) == TAG_NONE)
			continue;
		if (bhs[0] == OP_DATA_IN) {
			if (c->in_len + n > room)
				return -1;
			memcpy(c->in + c->in_len, data, n);
			c->in_len += n;
			if (!(bhs[O_FLAGS] & F_STATUS))
				continue;
		} else if (bhs[0] == OP_R2T && be32_at(bhs + O_DESIRED) == c->out_len) {
			bhs[0] = OP_DATA_OUT;	/* LUN, both tags and the offset stay */
			bhs[O_FLAGS] = F_FINAL;
			be32_put(bhs + O_CMDSN, 0);
			be32_put(bhs + O_EXPSTATSN, l->statsn);
			be32_put(bhs + O_MAXCMDSN, 0);
			be32_put(bhs + O_DESIRED, 0);
			if (pdu_send(l, bhs, c->out, c->out_len))
				return -1;
			continue;
		} else if (bhs[0] == OP_SCSI_RSP) {
			if (n >= 16)
				c->sense = (uint32_t)(data[4] & 15) << 16 |
					   (uint32_t)data[14] << 8 | data[15];
		} else {
			fprintf(stderr, "hf-bench: opcode %02x in answer to a command\n", bhs[0]);
			return -1;
		}
		if (link_statsn(l, bhs))
			return -1;
		return bhs[O_STATUS];
	}
}

/* Clears unit attentions. */
static inline int link_ready(struct link *l, const uint8_t *lun)
{
	static const uint8_t tur[6];
	struct command c = { .lun = lun, .cdb = tur, .cdb_len = sizeof(tur) };
	int st = -1;

	for (unsigned i = 0; i < 16 && st; i++) {
		st = link_command(l, &c);
		if (st < 0)
			return -1;
	}
	if (st)
		fprintf(stderr, "hf-bench: TEST UNIT READY: status %02x sense %06x\n", st, c.sense);
	return st ? -1 : 0;
}

/* Clears unit attentions and asks for the size. */
static inline int link_capacity(struct link *l, const uint8_t *lun, uint64_t *blocks,
				uint32_t *block_size)
{
	static const uint8_t rc16[16] = { 0x9e, 0x10, [13] = 32 }, rc10[10] = { 0x25 };
	uint8_t buf[32];
	struct command c = { lun, rc16, sizeof(rc16), .in = buf, .in_len = sizeof(buf) };
	int st;

	if (link_ready(l, lun))
		return -1;
	st = link_command(l, &c);
	if (st == 0 && c.in_len >= 12) {
		*blocks = be64_at(buf) + 1;
		*block_size = be32_at(buf + 8);
		return 0;
	}
	c = (struct command){ lun, rc10, sizeof(rc10), .in = buf, .in_len = 8 };
	st = st < 0 ? st : link_command(l, &c);
	if (st == 0 && c.in_len >= 8) {
		*blocks = (uint64_t)be32_at(buf) + 1;
		*block_size = be32_at(buf + 4);
		return 0;
	}
	fprintf(stderr, "hf-bench: READ CAPACITY: status %02x sense %06x\n", st, c.sense);
	return -1;
}

/* Closes the session; what the target says to it is checked. */
static inline int link_logout(struct link *l)
{
	uint8_t bhs[BHS_LEN] = { OP_LOGOUT | OP_IMMEDIATE, 0x80 }, data[TEXT_MAX];
	uint32_t len;

	be32_put(bhs + O_ITT, 0x7ffffff0);
	be32_put(bhs + O_CMDSN, l->cmdsn);
	be32_put(bhs + O_EXPSTATSN, l->statsn);
	if (pdu_send(l, bhs, NULL, 0))
		return -1;
	do {
		len = sizeof(data);
		if (pdu_recv(l, bhs, data, &len))
			return -1;
	} while (bhs[0] == OP_NOP_IN);
	if (bhs[0] != OP_LOGOUT_RSP || bhs[O_RESPONSE]) {
		fprintf(stderr, "hf-bench: logout: opcode %02x response %u\n", bhs[0],
			bhs[O_RESPONSE]);
		return -1;
	}
	return 0;
}

#endif
