/* SPDX-License-Identifier: Apache-2.0 */
/* The operating system as the daemon sees it: files in memory for the store, and sockets. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "target/reactor.h"
#include "tests/sim/hooks.h"
#include "tests/sim/sim.h"

enum { FILES = 16, FILE_FD = 1000, SOCK_FD = 2000, SOCKS = 4096, SECTOR = 512 };
enum { SOCK_ROOM = 64 << 10, SOCK_LARGE = 4 << 20 }; /* bytes under way to an initiator */

/* ---- files ---- */

struct file {
	char name[256];
	uint8_t *data;
	size_t size;
};

static struct file files[FILES];
/* While dying: so many more sectors reach the disk; UINT64_MAX: all. */
static uint64_t sectors_left = UINT64_MAX;

static struct file *file_find(const char *name)
{
	for (unsigned i = 0; i < FILES; i++)
		if (files[i].data && !strcmp(files[i].name, name))
			return &files[i];
	return NULL;
}

static struct file *file_of(int fd)
{
	assert(fd >= FILE_FD && fd < FILE_FD + FILES && files[fd - FILE_FD].data);
	return &files[fd - FILE_FD];
}

int sim_open(const char *path, int flags, ...)
{
	struct file *f;
	unsigned i;

	if (flags & O_DIRECTORY)
		return FILE_FD + FILES;
	f = file_find(path);
	if (f)
		return FILE_FD + (int)(f - files);
	if (!(flags & O_CREAT)) {
		errno = ENOENT;
		return -1;
	}
	for (i = 0; files[i].data; i++)
		assert(i + 1 < FILES);
	f = &files[i];
	snprintf(f->name, sizeof(f->name), "%s", path);
	f->size = 0;
	f->data = calloc(1, 1);
	if (!f->data)
		abort();
	return FILE_FD + (int)i;
}

int sim_posix_fallocate(int fd, off_t off, off_t len)
{
	struct file *f = file_of(fd);
	size_t end = (size_t)(off + len);

	if (end > f->size) {
		uint8_t *p = calloc(1, end);

		if (!p)
			abort();
		memcpy(p, f->data, f->size);
		free(f->data);
		f->data = p;
		f->size = end;
	}
	return 0;
}

ssize_t sim_pread(int fd, void *buf, size_t n, off_t off)
{
	struct file *f = file_of(fd);

	if ((size_t)off >= f->size)
		return 0;
	if (n > f->size - (size_t)off)
		n = f->size - (size_t)off;
	memcpy(buf, f->data + off, n);
	return (ssize_t)n;
}

static bool must_succeed;

ssize_t sim_pwrite(int fd, const void *buf, size_t n, off_t off)
{
	struct file *f = file_of(fd);

	if (world.faults && daemon_up() && sectors_left == UINT64_MAX && !must_succeed &&
	    rnd_chance(100)) {
		TRACE("the store's write fails");
		oracle_store_fails();
		/* A part of it may be there all the same. */
		n = rnd_below(n / SECTOR) * SECTOR;
		/*
		 * A commit record: its first sector is all of it. It may be there; then what takes
		 * it back must succeed, or nobody could tell what to do after a death.
		 */
		if (off < 8192) {
			must_succeed = rnd_below(2);
			n = must_succeed ? SECTOR : 0;
		}
		memcpy(f->data + off, buf, n);
		errno = EIO;
		return -1;
	}
	must_succeed = false;
	assert((size_t)off + n <= f->size);
	if (sectors_left != UINT64_MAX) {
		size_t whole = n / SECTOR < sectors_left ? n : sectors_left * SECTOR;

		memcpy(f->data + off, buf, whole);
		sectors_left -= (whole + SECTOR - 1) / SECTOR;
		return (ssize_t)n;
	}
	memcpy(f->data + off, buf, n);
	return (ssize_t)n;
}

int sim_fsync(int fd)
{
	return 0;
}

int sim_mkdir(const char *path, mode_t mode)
{
	return 0;
}

int sim_rename(const char *from, const char *to)
{
	struct file *f = file_find(from), *old = file_find(to);

	assert(f && !old);
	snprintf(f->name, sizeof(f->name), "%s", to);
	return 0;
}

/* The boot begins at 10,000 s of its own clock; the calendar is of no importance. */
int sim_clock_gettime(clockid_t clock, struct timespec *ts)
{
	uint64_t now = 10000 * SEC + sim_now + (clock == CLOCK_REALTIME ? world.clock_set : 0);

	ts->tv_sec = (time_t)(now / SEC);
	ts->tv_nsec = (long)(now % SEC);
	return 0;
}

void os_start(void)
{
	sectors_left = UINT64_MAX;
}

/* ---- sockets ---- */

/* Bytes on their way to the daemon. */
struct chunk {
	struct chunk *next;
	uint64_t at;
	size_t n, done;
	uint8_t b[];
};

struct vsock {
	int fd;
	struct path *peer;
	struct reactor *watcher;
	struct chunk *head, **tail;
	uint64_t sent, taken; /* bytes by the initiator; of them read by the daemon */
	uint64_t last;	      /* time the last chunk arrives */
	uint64_t to_peer;     /* bytes under way to the initiator */
	bool shut, reset;     /* by the initiator */
	bool closed;	      /* by the daemon */
	bool forgotten;	      /* by the initiator */
	uint64_t shut_at, out_last;
	uint64_t turn, turn_out; /* in this turn of its reactor: bytes sent, */
	unsigned turn_reads;	 /* reads that found something */
};

static struct vsock *socks[SOCKS];
static unsigned nsocks;

static struct vsock *sock_of(int fd)
{
	assert(fd >= SOCK_FD && fd < SOCK_FD + (int)nsocks && socks[fd - SOCK_FD]);
	return socks[fd - SOCK_FD];
}

struct vsock *vsock_new(struct path *peer)
{
	struct vsock *s = calloc(1, sizeof(*s));

	assert(s && nsocks < SOCKS);
	s->fd = SOCK_FD + (int)nsocks;
	s->peer = peer;
	s->tail = &s->head;
	socks[nsocks++] = s;
	return s;
}

int vsock_fd(const struct vsock *s)
{
	return s->fd;
}

uint64_t vsock_sent(const struct vsock *s)
{
	return s->sent;
}

struct reactor *vsock_watcher(const struct vsock *s)
{
	return s->closed ? NULL : s->watcher;
}

static size_t sock_room(void)
{
	return world.crowded ? SOCK_LARGE : SOCK_ROOM;
}

static void in_turn(struct vsock *s, size_t out, unsigned reads)
{
	if (s->turn != sim_turns) {
		s->turn = sim_turns;
		s->turn_out = s->turn_reads = 0;
	}
	s->turn_out += out;
	s->turn_reads += reads;
	ahead_turn(s->peer, s->watcher, s->turn_out, s->turn_reads);
}

static void poke(struct vsock *s, uint64_t at)
{
	if (s->watcher)
		reactor_poke(s->watcher, at);
}

static void send_chunk(struct vsock *s, const uint8_t *p, size_t n)
{
	struct chunk *c = malloc(sizeof(*c) + n);
	uint64_t at = sim_now + rnd_delay(world.net_mean);

	if (!c)
		abort();
	if (at < s->last)
		at = s->last;
	s->last = at;
	*c = (struct chunk){ .at = at, .n = n };
	memcpy(c->b, p, n);
	*s->tail = c;
	s->tail = &c->next;
	s->sent += n;
	poke(s, at);
}

void vsock_send(struct vsock *s, const void *p, size_t n)
{
	const uint8_t *b = p;

	/* Now and then the network cuts it in pieces. */
	while (n > 1 && rnd_chance(60)) {
		size_t k = 1 + rnd_below(n - 1);

		send_chunk(s, b, k);
		b += k;
		n -= k;
	}
	send_chunk(s, b, n);
}

void vsock_shut(struct vsock *s, bool reset)
{
	uint64_t at = sim_now + rnd_delay(world.net_mean);

	s->shut = true;
	s->reset = reset;
	s->shut_at = at > s->last && !reset ? at : reset ? at : s->last;
	poke(s, s->shut_at);
}

void vsock_forget(struct vsock *s)
{
	s->forgotten = true;
}

bool vsock_closed(const struct vsock *s)
{
	return s->closed;
}

void vsock_watch(int fd, struct reactor *r)
{
	struct vsock *s = sock_of(fd);

	s->watcher = r;
	if (!r)
		return;
	if (s->head)
		poke(s, s->head->at);
	if (s->shut)
		poke(s, s->shut_at);
}

static bool input_ready(const struct vsock *s)
{
	return s->head && s->head->at <= sim_now;
}

static bool end_ready(const struct vsock *s)
{
	return s->shut && s->shut_at <= sim_now && (s->reset || !s->head);
}

bool vsock_ready(int fd, uint32_t want, uint32_t *ready)
{
	struct vsock *s = sock_of(fd);

	*ready = 0;
	if (want & FD_READ && (input_ready(s) || end_ready(s)))
		*ready |= FD_READ;
	if (want & FD_WRITE && (s->to_peer < sock_room() || end_ready(s)))
		*ready |= FD_WRITE;
	if (*ready)
		return true;
	/* Not yet, but then. */
	if (want & FD_READ && s->head)
		poke(s, s->head->at);
	if (want & FD_READ && s->shut)
		poke(s, s->shut_at);
	return false;
}

static void chunk_drop(struct vsock *s)
{
	struct chunk *c = s->head;

	s->head = c->next;
	if (!s->head)
		s->tail = &s->head;
	free(c);
}

/* What is there, or the beginning of it. */
static ssize_t take(struct vsock *s, const struct iovec *iov, int n)
{
	size_t got = 0;
	bool brief = rnd_chance(50);

	assert(!s->closed);
	if (s->shut && s->reset && s->shut_at <= sim_now) {
		errno = ECONNRESET;
		return -1;
	}
	for (int i = 0; i < n; i++) {
		size_t at = 0;

		while (at < iov[i].iov_len && input_ready(s)) {
			struct chunk *c = s->head;
			size_t k = c->n - c->done;

			if (k > iov[i].iov_len - at)
				k = iov[i].iov_len - at;
			if (brief && k > 1)
				k = 1 + rnd_below(k - 1);
			memcpy((uint8_t *)iov[i].iov_base + at, c->b + c->done, k);
			c->done += k;
			at += k;
			got += k;
			if (c->done == c->n)
				chunk_drop(s);
			if (brief)
				goto out;
		}
		if (at < iov[i].iov_len)
			break;
	}
out:
	if (got) {
		in_turn(s, 0, 1);
		s->taken += got;
		path_consumed(s->peer, s, s->taken);
		return (ssize_t)got;
	}
	if (end_ready(s))
		return 0;
	errno = EAGAIN;
	return -1;
}

ssize_t sim_readv(int fd, const struct iovec *iov, int n)
{
	return take(sock_of(fd), iov, n);
}

ssize_t sim_recv(int fd, void *buf, size_t n, int flags)
{
	struct iovec iov = { buf, n };

	return take(sock_of(fd), &iov, 1);
}

static void delivered(void *arg, uint64_t n)
{
	struct vsock *s = arg;

	s->to_peer -= n;
	if (!s->closed)
		poke(s, sim_now);
}

ssize_t sim_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct vsock *s = sock_of(fd);
	size_t total = 0, room, at = 0;
	uint8_t *b;

	assert(!s->closed);
	if (s->shut && s->shut_at <= sim_now) {
		errno = s->reset ? ECONNRESET : EPIPE;
		return -1;
	}
	for (size_t i = 0; i < m->msg_iovlen; i++)
		total += m->msg_iov[i].iov_len;
	room = s->to_peer < sock_room() ? sock_room() - s->to_peer : 0;
	if (!room || rnd_chance(20)) {
		poke(s, sim_now + rnd_delay(world.net_mean) + 1);
		errno = EAGAIN;
		return -1;
	}
	if (total > room)
		total = room;
	if (total > 1 && rnd_chance(50))
		total = 1 + rnd_below(total - 1);
	b = malloc(total);
	if (!b)
		abort();
	for (size_t i = 0; i < m->msg_iovlen && at < total; i++) {
		size_t k = m->msg_iov[i].iov_len;

		if (k > total - at)
			k = total - at;
		memcpy(b + at, m->msg_iov[i].iov_base, k);
		at += k;
	}
	in_turn(s, total, 0);
	s->to_peer += total;
	event_in(rnd_delay(world.net_mean), false, delivered, s, total);
	if (!s->forgotten)
		path_output(s->peer, s, b, total);
	free(b);
	return (ssize_t)total;
}

int sim_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	return 0;
}

int sim_close(int fd)
{
	struct vsock *s;

	if (fd < SOCK_FD)
		return 0;
	s = sock_of(fd);
	assert(!s->closed && !s->watcher);
	s->closed = true;
	if (!s->forgotten)
		path_closed(s->peer, s);
	return 0;
}

void vsocks_kill(void)
{
	for (unsigned i = 0; i < nsocks; i++) {
		struct vsock *s = socks[i];

		if (!s || s->closed)
			continue;
		s->closed = true;
		s->watcher = NULL;
		if (!s->forgotten)
			path_closed(s->peer, s);
	}
}

void os_dying(void)
{
	switch (rnd_below(3)) {
	case 0:
		sectors_left = 0;
		break;
	case 1:
		sectors_left = UINT64_MAX;
		break;
	default:
		sectors_left = rnd_below(6);
		break;
	}
}

void os_dead(void)
{
	sectors_left = UINT64_MAX;
}

void os_stop(void)
{
	for (unsigned i = 0; i < nsocks; i++) {
		while (socks[i]->head)
			chunk_drop(socks[i]);
		free(socks[i]);
		socks[i] = NULL;
	}
	nsocks = 0;
	for (unsigned i = 0; i < FILES; i++) {
		free(files[i].data);
		files[i] = (struct file){ 0 };
	}
}
