/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the test initiator: bytes to PDUs and back, login, and what must hold for every
 * PDU. */
#include "tests/daemon/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/daemon/wire_impl.h"

static struct wire *open_wires;

void wire_violation(struct wire *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("    violation (tsih %u): ", w->tsih);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	w->violations++;
	CU_FAIL("the target broke the protocol");
}

/* CRC32C as on the wire: least significant byte first (RFC 7143 13.1). */
static void digest_put(uint8_t out[4], const void *a, size_t alen, const void *b, size_t blen)
{
	uint32_t crc = 0xffffffff;

	crc = crc32_iscsi((unsigned char *)(uintptr_t)a, (int)alen, crc);
	if (blen)
		crc = crc32_iscsi((unsigned char *)(uintptr_t)b, (int)blen, crc);
	crc = ~crc;
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(crc >> 8 * i);
}

struct wire *wire_connect(void)
{
	return wire_connect_to("127.0.0.1", wire_daemon.port);
}

struct wire *wire_connect_to(const char *host, uint16_t port)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool six = strchr(host, ':');
	struct wire *w = calloc(1, sizeof(*w));
	int on = 1;

	if (!w || inet_pton(six ? AF_INET6 : AF_INET, host,
			    six ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr) != 1)
		abort();
	w->fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (w->fd < 0 ||
	    connect(w->fd, six ? (void *)&a6 : (void *)&a4, six ? sizeof(a6) : sizeof(a4))) {
		if (w->fd >= 0)
			close(w->fd);
		free(w);
		return NULL;
	}
	setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(w->fd, F_SETFL, O_NONBLOCK);
	w->max_send = 8192;
	w->max_recv = 8192;
	w->rx_room = 64 << 10;
	w->rx = malloc(w->rx_room);
	if (!w->rx)
		abort();
	w->next_open = open_wires;
	open_wires = w;
	return w;
}

static void wire_free(struct wire *w)
{
	struct wire **p = &open_wires;

	while (*p && *p != w)
		p = &(*p)->next_open;
	if (!*p)
		abort();
	*p = w->next_open;
	for (struct io *io = w->ios; io; io = io->next)
		io->w = NULL;
	close(w->fd);
	free(w->rx);
	free(w);
}

void wire_close(struct wire *w)
{
	if (w)
		wire_free(w);
}

void wire_kill(struct wire *w)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	wire_free(w);
}

void wire_close_all(void)
{
	while (open_wires)
		wire_free(open_wires);
}

uint32_t wire_next_itt(struct wire *w)
{
	if (++w->itt == ISCSI_TAG_NONE)
		w->itt = 1;
	return w->itt;
}

/* SAM-4 4.6: peripheral device addressing below 256, flat space above. */
void wire_lun(uint8_t b[8], uint16_t lun)
{
	memset(b, 0, 8);
	if (lun >= 256)
		b[0] = (uint8_t)(0x40 | lun >> 8);
	b[1] = (uint8_t)lun;
}

/* Reads what is there into the buffer. False when the connection has ended. */
static bool rx_fill(struct wire *w)
{
	ssize_t n;

	if (w->rx_used) {
		memmove(w->rx, w->rx + w->rx_used, w->rx_have - w->rx_used);
		w->rx_have -= w->rx_used;
		w->rx_used = 0;
	}
	if (w->rx_have == w->rx_room) {
		w->rx_room *= 2;
		w->rx = realloc(w->rx, w->rx_room);
		if (!w->rx)
			abort();
	}
	n = read(w->fd, w->rx + w->rx_have, w->rx_room - w->rx_have);
	if (n > 0)
		w->rx_have += (size_t)n;
	else if (!n || (errno != EAGAIN && errno != EINTR))
		w->eof = true;
	return !w->eof;
}

/*
 * Writes everything; meanwhile reads, so that two sides that both write do not wait for each other
 * for ever. (The reading moves the buffer: a PDU's data is not valid any more after a send.)
 */
bool wire_send_raw(struct wire *w, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t end = wire_now() + 4ull * WIRE_MS * wire_slow();

	while (len) {
		ssize_t n =
			send(w->fd, p, w->chunk && w->chunk < len ? w->chunk : len, MSG_NOSIGNAL);
		struct pollfd pfd = { .fd = w->fd, .events = POLLIN | POLLOUT };

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (wire_now() > end) {
			wire_violation(w, "the target does not read for a long time");
			return false;
		}
		if (poll(&pfd, 1, 1000) > 0 && pfd.revents & POLLIN && !rx_fill(w))
			return false;
	}
	return true;
}

bool wire_send_ahs(struct wire *w, struct pdu *p, const void *ahs, uint32_t ahs_len,
		   const void *data, uint32_t len)
{
	size_t room = BHS_LEN + ahs_len + 4 + len + 8, n = BHS_LEN;
	uint8_t *out = calloc(1, room);
	bool ok;

	if (!out || ahs_len % 4)
		abort();
	p->h.ahs_len = (uint8_t)(ahs_len / 4);
	p->h.data_len = be24_of(len);
	memcpy(out, p->b, BHS_LEN);
	if (ahs_len) {
		memcpy(out + n, ahs, ahs_len);
		n += ahs_len;
	}
	if (w->full_feature && w->hdigest) {
		digest_put(out + n, out, n, NULL, 0);
		if (w->break_hdigest)
			out[n] ^= 0x5a;
		n += 4;
	}
	if (len) {
		size_t start = n;

		memcpy(out + n, data, len);
		n += (len + 3) & ~3u;
		if (w->full_feature && w->ddigest) {
			digest_put(out + n, out + start, n - start, NULL, 0);
			if (w->break_ddigest)
				out[n] ^= 0x5a;
			n += 4;
		}
	}
	w->break_hdigest = w->break_ddigest = false;
	ok = wire_send_raw(w, out, n);
	free(out);
	return ok;
}

bool wire_send(struct wire *w, struct pdu *p, const void *data, uint32_t len)
{
	return wire_send_ahs(w, p, NULL, 0, data, len);
}

/* The bytes of a whole PDU at the start of the buffer, or 0. */
static size_t rx_pdu(const struct wire *w)
{
	const uint8_t *b = w->rx + w->rx_used;
	size_t have = w->rx_have - w->rx_used, need = BHS_LEN;
	uint32_t len;

	if (have < BHS_LEN)
		return 0;
	len = get_be24(b + 5);
	need += 4u * b[4] + (w->full_feature && w->hdigest ? 4 : 0) + ((len + 3) & ~3u);
	need += w->full_feature && w->ddigest && len ? 4 : 0;
	return have < need ? 0 : need;
}

/* The opcode's use of StatSN: takes one, shows the next, or has none (RFC 7143 4.2.2.2 and 11). */
static void check_numbers(struct wire *w, const struct pdu *p)
{
	uint8_t op = p->h.opcode & 0x3f;
	bool takes = true, has = true;
	uint32_t statsn = get_be32(p->b + 24), exp = get_be32(p->b + 28), max = get_be32(p->b + 32);

	if (op == OP_R2T || (op == OP_NOP_IN && be32_get(p->h.itt) == ISCSI_TAG_NONE))
		takes = false;
	if (op == OP_DATA_IN && !(p->h.flags & DATAIN_STATUS))
		takes = has = false;
	if (has && w->statsn_known && statsn != w->expstatsn)
		wire_violation(w, "opcode %02x has StatSN %u, expected %u", op, statsn,
			       w->expstatsn);
	if (takes) {
		w->expstatsn = statsn + 1;
		w->statsn_known = true;
	}
	if (op == OP_LOGIN_RSP) {
		w->expcmdsn = exp;
		w->maxcmdsn = max;
		return;
	}
	if (sn_before(max,
		      exp - 1)) /* to be ignored, says 4.2.2.1: a target has no reason to say it */
		wire_violation(w, "opcode %02x: MaxCmdSN %u, ExpCmdSN %u", op, max, exp);
	if (sn_before(exp, w->expcmdsn))
		wire_violation(w, "opcode %02x: ExpCmdSN went from %u to %u", op, w->expcmdsn, exp);
	if (sn_before(max, w->maxcmdsn))
		wire_violation(w, "opcode %02x: MaxCmdSN went from %u to %u", op, w->maxcmdsn, max);
	if (sn_before(w->cmdsn, exp))
		wire_violation(w, "opcode %02x: ExpCmdSN %u, but %u was never sent", op, exp,
			       exp - 1);
	w->expcmdsn = exp;
	w->maxcmdsn = max;
}

static void check_digests(struct wire *w, const uint8_t *b, const uint8_t *data, uint32_t len)
{
	uint32_t padded = (len + 3) & ~3u;
	uint8_t d[4];

	if (w->full_feature && w->hdigest) {
		digest_put(d, b, BHS_LEN + 4u * b[4], NULL, 0);
		if (memcmp(d, b + BHS_LEN + 4u * b[4], 4))
			wire_violation(w, "opcode %02x: header digest", b[0]);
	}
	for (uint32_t i = len; i < padded; i++)
		if (data[i])
			wire_violation(w, "opcode %02x: padding is not zero", b[0]);
	if (w->full_feature && w->ddigest && len) {
		digest_put(d, data, padded, NULL, 0);
		if (memcmp(d, data + padded, 4))
			wire_violation(w, "opcode %02x: data digest", b[0]);
	}
}

int wire_recv(struct wire *w, struct pdu *p, unsigned ms)
{
	uint64_t end = wire_now() + ms;
	const uint8_t *b;
	size_t n;

	while (!(n = rx_pdu(w))) {
		uint64_t now = wire_now();
		struct pollfd pfd = { .fd = w->fd, .events = POLLIN };

		if (w->eof)
			return -1;
		/* Late is who stood still ourselves, too: what is there by now counts. */
		if (poll(&pfd, 1, now < end ? (int)(end - now) : 0) > 0)
			rx_fill(w);
		else if (wire_now() >= end)
			return 0;
	}
	b = w->rx + w->rx_used;
	memcpy(p->b, b, BHS_LEN);
	p->len = be24_get(p->h.data_len);
	p->data = b + BHS_LEN + 4u * b[4] + (w->full_feature && w->hdigest ? 4 : 0);
	w->rx_used += n;
	if (p->len > w->max_recv)
		wire_violation(w, "opcode %02x: %u bytes of data, %u were declared", b[0], p->len,
			       w->max_recv);
	if (b[0] & 0xc0 || b[4])
		wire_violation(w, "opcode byte %02x, AHS length %u", b[0], b[4]);
	check_digests(w, b, p->data, p->len);
	check_numbers(w, p);
	return 1;
}

int wire_pump(struct wire *w, struct pdu *p, unsigned ms)
{
	int r = wire_recv(w, p, ms);

	if (r != 1)
		return r;
	if (io_input(w, p))
		return 2;
	if (p->h.opcode == OP_NOP_IN && be32_get(p->h.itt) == ISCSI_TAG_NONE) {
		struct pdu pong = { .nop_out = {
					    .opcode = OP_NOP_OUT | PDU_IMMEDIATE,
					    .flags = PDU_FINAL,
					    .itt = be32_of(ISCSI_TAG_NONE),
					    .ttt = p->nop_in.ttt,
					    .cmdsn = be32_of(w->cmdsn),
					    .expstatsn = be32_of(w->expstatsn),
				    } };

		memcpy(pong.nop_out.lun, p->nop_in.lun, 8);
		w->pings++;
		if (be32_get(p->nop_in.ttt) != ISCSI_TAG_NONE && !w->no_pong)
			wire_send(w, &pong, NULL, 0);
		return 2;
	}
	return 1;
}

bool wire_expect(struct wire *w, uint8_t opcode, struct pdu *p, unsigned ms)
{
	uint64_t end = wire_now() + (uint64_t)ms * wire_slow();

	for (;;) {
		uint64_t now = wire_now();
		int r = wire_pump(w, p, now < end ? (unsigned)(end - now) : 0);

		if (r == 2)
			continue;
		if (r == 1 && p->h.opcode == opcode)
			return true;
		if (r == 1)
			printf("    opcode %02x came, %02x was expected\n", p->h.opcode, opcode);
		else
			printf("    opcode %02x did not come: %s\n", opcode,
			       r ? "connection ended" : "time");
		return false;
	}
}

bool wire_quiet(struct wire *w, unsigned ms)
{
	uint64_t end = wire_now() + ms;
	struct pdu p;

	for (;;) {
		uint64_t now = wire_now();
		int r = now > end ? 0 : wire_pump(w, &p, (unsigned)(end - now));

		if (r == 2)
			continue;
		if (r)
			printf("    %s %02x, nothing was expected\n",
			       r == 1 ? "opcode" : "connection ended after",
			       r == 1 ? p.h.opcode : 0u);
		return !r;
	}
}

bool wire_closed(struct wire *w, unsigned ms)
{
	uint64_t end = wire_now() + (uint64_t)ms * wire_slow();
	struct pdu p;

	for (;;) {
		uint64_t now = wire_now();
		int r = wire_recv(w, &p, now < end ? (unsigned)(end - now) : 0);

		if (r < 1)
			return r < 0;
	}
}

bool wire_alive(struct wire *w)
{
	struct pdu p = { .nop_out = {
				 .opcode = OP_NOP_OUT | PDU_IMMEDIATE,
				 .flags = PDU_FINAL,
				 .itt = be32_of(wire_next_itt(w)),
				 .ttt = be32_of(ISCSI_TAG_NONE),
				 .cmdsn = be32_of(w->cmdsn),
				 .expstatsn = be32_of(w->expstatsn),
			 } };
	be32 itt = p.h.itt;

	return wire_send(w, &p, NULL, 0) && wire_expect(w, OP_NOP_IN, &p, WIRE_MS) &&
	       be32_get(p.h.itt) == be32_get(itt);
}

int wire_poll(struct wire **w, unsigned n, unsigned ms)
{
	struct pollfd pfd[64];

	if (n > 64)
		abort();
	for (unsigned i = 0; i < n; i++) {
		if (w[i] && (rx_pdu(w[i]) || w[i]->eof))
			return (int)i;
		pfd[i] = (struct pollfd){ .fd = w[i] ? w[i]->fd : -1, .events = POLLIN };
	}
	if (poll(pfd, n, (int)ms) > 0)
		for (unsigned i = 0; i < n; i++)
			if (pfd[i].revents)
				return (int)i;
	return -1;
}
