/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw TCP floor: what any target must at least do. One thread, epoll. For each 48-byte request
 *it sends 48 bytes and the data asked for out of a mapping, or takes 48 bytes and the data in and
 *sends 48. No login, no window, no LUN, no checks. The frames are shaped like iSCSI's, so that
 *hf-bench drives it with the very loop that drives a target.
 *
 *	floor -p PORT [-m MIB] [-s] [-H] [-x FAULT:N] [-T SECONDS]
 *
 * -s stores what is written (then hf-bench -V works on it). -H asks for huge pages. -x damages
 *every Nth answer: this is how the generator's own checks are tested. It ends by itself after
 *SECONDS (default 900), or by SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/wire.h"

enum {
	RX = 256 << 10,
	QUEUE = 8192, /* answers of one connection; over RX / BHS_LEN, so one receive always fits */
	IOVS = 1024,
};

enum fault {
	FAULT_NONE,
	FAULT_DATA,
	FAULT_STATUS,
	FAULT_ITT,
	FAULT_SHORT,
	FAULT_OPCODE,
	FAULT_TWICE,
	FAULT_LOST,
	FAULTS
};
static const char *const fault_names[FAULTS] = {
	[FAULT_NONE] = "none",	 [FAULT_DATA] = "data",	  [FAULT_STATUS] = "status",
	[FAULT_ITT] = "itt",	 [FAULT_SHORT] = "short", [FAULT_OPCODE] = "opcode",
	[FAULT_TWICE] = "twice", [FAULT_LOST] = "lost",
};

struct answer {
	const uint8_t *data;
	uint32_t len;
	uint8_t head[BHS_LEN];
};

struct conn {
	int fd;
	uint32_t have;			/* bytes of a request split over two receives */
	uint32_t left;			/* bytes of a write still to come */
	uint64_t to;			/* where in the mapping they go */
	uint8_t head[BHS_LEN];
	uint32_t get, put, done;	/* queue of answers; bytes of the first that are sent */
	bool blocked;			/* the socket is full: epoll waits for EPOLLOUT only */
	struct answer queue[QUEUE];
};

static uint8_t *store;
static uint64_t store_len = 1ull << 30;
static bool storing, huge;
static enum fault fault;
static uint64_t fault_every, answers;
static uint8_t rx[RX];
static uint8_t bad[1 << 20];		/* FAULT_DATA */
static int ep;

static void answer_damage(struct conn *c, struct answer *a)
{
	if (!fault_every || ++answers % fault_every)
		return;
	switch (fault) {
	case FAULT_DATA:
		if (a->len && a->len <= sizeof(bad)) {
			memcpy(bad, a->data, a->len);
			bad[a->len / 2] ^= 1;
			a->data = bad;
		}
		break;
	case FAULT_STATUS:
		a->head[O_STATUS] = 0x02;
		break;
	case FAULT_ITT:
		a->head[O_ITT + 3] ^= 0x55;
		break;
	case FAULT_SHORT:
		if (a->len) {
			a->len -= 512;
			be24_put(a->head + O_DSL, a->len);
		} else {
			a->head[O_FLAGS] |= F_UNDERFLOW;
		}
		break;
	case FAULT_OPCODE:
		a->head[0] = OP_REJECT;
		break;
	case FAULT_TWICE:
		c->queue[(c->put + 1) % QUEUE] = *a;
		c->put++;
		break;
	case FAULT_LOST:
		c->put--;
		break;
	default:
		break;
	}
}

static void answer_put(struct conn *c, bool read, uint64_t off, uint32_t len)
{
	struct answer *a = &c->queue[c->put % QUEUE];

	memset(a->head, 0, BHS_LEN);
	a->head[0] = read ? OP_DATA_IN : OP_SCSI_RSP;
	a->head[O_FLAGS] = read ? F_FINAL | F_STATUS : F_FINAL;
	memcpy(a->head + O_ITT, c->head + O_ITT, 4);
	a->len = read ? len : 0;
	a->data = store + off;
	be24_put(a->head + O_DSL, a->len);
	answer_damage(c, a);
	c->put++;
}

/* One whole request is in c->head. False: nonsense. */
static bool request_take(struct conn *c)
{
	uint64_t off = be64_at(c->head + O_CDB + 2) * 512;
	uint32_t len = be32_at(c->head + O_EXPLEN);

	if (c->head[0] != OP_SCSI_CMD || len > store_len || off > store_len - len || len >= 1 << 24)
		return false;
	if (c->head[O_FLAGS] & F_READ) {
		answer_put(c, true, off, len);
	} else {
		c->to = off;
		c->left = be24_at(c->head + O_DSL);
		if (c->left != len)
			return false;
		if (!len)
			answer_put(c, false, 0, 0);
	}
	return true;
}

/*
 * As cheaply as it goes: whole lines are written past the cache, at random places of a GiB that
 * costs less than memcpy().
 */
static void store_put(uint64_t at, const uint8_t *p, size_t n)
{
	uint8_t *to = store + at;
#ifdef __x86_64__
	size_t head = -(uintptr_t)to & 63;

	if (n >= 512) {
		memcpy(to, p, head);
		for (to += head, p += head, n -= head; n >= 64; to += 64, p += 64, n -= 64)
			for (int i = 0; i < 64; i += 16)
				_mm_stream_si128((void *)(to + i),
						 _mm_loadu_si128((const void *)(p + i)));
	}
#endif
	memcpy(to, p, n);
}

static bool conn_input(struct conn *c, const uint8_t *p, size_t n)
{
	while (n) {
		if (c->left) {
			size_t m = n < c->left ? n : c->left;

			if (storing) {
				store_put(c->to, p, m);
				c->to += m;
			}
			c->left -= (uint32_t)m;
			p += m;
			n -= m;
			if (!c->left)
				answer_put(c, false, 0, 0);
		} else {
			size_t m = BHS_LEN - c->have < n ? BHS_LEN - c->have : n;

			memcpy(c->head + c->have, p, m);
			c->have += (uint32_t)m;
			p += m;
			n -= m;
			if (c->have == BHS_LEN) {
				c->have = 0;
				if (!request_take(c))
					return false;
			}
		}
	}
	return true;
}

static bool conn_flush(struct conn *c)
{
	static struct iovec iov[IOVS];

	while (c->get != c->put) {
		struct msghdr m = { .msg_iov = iov };
		uint32_t skip = c->done;
		ssize_t n;

		for (uint32_t i = c->get; i != c->put && m.msg_iovlen + 2 <= IOVS; i++) {
			struct answer *a = &c->queue[i % QUEUE];

			if (skip < BHS_LEN)
				iov[m.msg_iovlen++] =
					(struct iovec){ a->head + skip, BHS_LEN - skip };
			skip = skip < BHS_LEN ? 0 : skip - BHS_LEN;
			if (a->len > skip)
				iov[m.msg_iovlen++] =
					(struct iovec){ (void *)(uintptr_t)(a->data + skip),
							a->len - skip };
			skip = 0;
		}
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0)
			return false;
		for (size_t left = (size_t)n + c->done; c->get != c->put; c->get++) {
			size_t whole = BHS_LEN + c->queue[c->get % QUEUE].len;

			c->done = (uint32_t)left;
			if (left < whole)
				break;
			left -= whole;
			c->done = 0;
		}
	}
	return true;
}

/* False: the connection has ended. */
static bool conn_ready(struct conn *c, uint32_t ev)
{
	bool blocked;

	if (ev & EPOLLIN) {
		ssize_t n = recv(c->fd, rx, sizeof(rx), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (n > 0 && !conn_input(c, rx, (size_t)n))
			return false;
	} else if (ev & (EPOLLHUP | EPOLLERR)) {
		return false;
	}
	if (!conn_flush(c))
		return false;
	blocked = c->get != c->put;
	if (blocked != c->blocked) {
		struct epoll_event e = { .events = blocked ? EPOLLOUT : EPOLLIN, .data.ptr = c };

		epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
		c->blocked = blocked;
	}
	return true;
}

static void conn_accept(int listener)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct conn *c;
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->fd = fd;
	e.data.ptr = c;
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static int listen_on(unsigned port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 1024)) {
		fprintf(stderr, "floor: 127.0.0.1:%u: %s\n", port, strerror(errno));
		exit(2);
	}
	return fd;
}

static void options(int argc, char **argv, unsigned *port, unsigned *life)
{
	int o;

	while ((o = getopt(argc, argv, "p:m:sHx:T:")) != -1) {
		char *colon;

		switch (o) {
		case 'p':
			*port = (unsigned)atoi(optarg);
			break;
		case 'm':
			store_len = strtoull(optarg, NULL, 10) << 20;
			break;
		case 's':
			storing = true;
			break;
		case 'H':
			huge = true;
			break;
		case 'T':
			*life = (unsigned)atoi(optarg);
			break;
		case 'x':
			colon = strchr(optarg, ':');
			fault_every = colon ? strtoull(colon + 1, NULL, 10) : 100;
			if (colon)
				*colon = 0;
			for (fault = FAULT_NONE;
			     fault < FAULTS && strcmp(optarg, fault_names[fault]); fault++)
				;
			if (fault < FAULTS)
				break;
			fprintf(stderr, "floor: -x: no such fault\n");
			exit(2);
		default:
			fprintf(stderr, "usage: floor -p PORT [-m MIB] [-s] [-H] [-x FAULT:N] [-T "
					"SECONDS]\n");
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	unsigned port = 13260, life = 900;
	struct epoll_event e = { .events = EPOLLIN }, ev[64];
	int listener;

	options(argc, argv, &port, &life);
	alarm(life);
	store = mmap(NULL, store_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (store == MAP_FAILED || !store_len) {
		fprintf(stderr, "floor: no memory\n");
		return 2;
	}
	if (huge)
		madvise(store, store_len, MADV_HUGEPAGE);
	memset(store, 0xa5, store_len);		/* real pages, not the zero page */
	listener = listen_on(port);
	ep = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);	/* data.ptr NULL: the listener */
	puts("state=ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (!c) {
				conn_accept(listener);
			} else if (!conn_ready(c, ev[i].events)) {
				close(c->fd);
				free(c);
			}
		}
	}
}
