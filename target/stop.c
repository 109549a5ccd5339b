/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/conn.h"
#include "target/journal.h"
#include "target/log.h"
#include "target/net.h"
#include "target/rcall.h"
#include "target/stop.h"

/* Until when, in ms from the beginning: a stage that is quick leaves its time to the next. */
enum {
	LOGOUT_MS = 1500,	/* initiators log out by themselves */
	DRAIN_MS = 3000,	/* what is in the backends ends */
	FLUSH_MS = 4500,	/* so do the flushes of the caches */
	TOLD_MS = 5000,		/* and the stores know of those that failed */
	WORKS_MS = 7000,	/* and what workers have in hand has ended, as have journals */
	POLL_US = 5000,
};

static uint64_t begin_ms;

/*
 * Polls on every reactor until *count is 0 or the time is up. What it says was looked at after
 * that: a daemon that stood still meanwhile must not take for unfinished what has ended.
 */
static unsigned wait_zero(void (*fn)(void *), unsigned *count, unsigned until_ms)
{
	for (;;) {
		bool last = reactor_now_ms() >= begin_ms + until_ms;

		*count = 0;
		rcall_each(fn, count);
		if (!*count || last)
			return *count;
		usleep(POLL_US);
	}
}

static void ask_logout(struct conn *c, void *arg)
{
	if (c->state == CONN_FULL)
		reply_async(c, ASYNC_LOGOUT, 0, 0, 1);	/* within 1 s (RFC 7143 11.9.1) */
	else
		conn_close(c, "shutting down");
}

static void ask_all(void *arg)
{
	conn_each(ask_logout, arg);
}

static void count_conn(struct conn *c, void *arg)
{
	(*(unsigned *)arg)++;
}

static void count_conns(void *arg)
{
	conn_each(count_conn, arg);
}

static void close_conn(struct conn *c, void *arg)
{
	conn_close(c, "shutting down");
}

static void close_all(void *arg)
{
	conn_each(close_conn, arg);
}

static void count_busy(void *arg)
{
	for (unsigned i = 0; i < daemon_state.nlus; i++) {
		struct lu *lu = daemon_state.lus[i];

		*(unsigned *)arg += lu->ports[reactor_index(reactor_self())].pending;
		if (lu->home == reactor_self())
			*(unsigned *)arg += lu->changing || !cds_list_empty(&lu->holds);
	}
}

static void count_changing(void *arg)
{
	for (unsigned i = 0; i < daemon_state.nlus; i++)
		if (daemon_state.lus[i]->home == reactor_self())
			*(unsigned *)arg += daemon_state.lus[i]->changing;
}

struct flush {
	struct io_req io;
	struct lu *lu;
	bool started, ended;
};
static struct flush *flushes;

static void flushed(struct io_req *io)
{
	caa_container_of(io, struct flush, io)->ended = true;
}

static void flush_here(void *arg)
{
	for (unsigned i = 0; i < daemon_state.nlus; i++) {
		struct flush *f = &flushes[i];

		f->lu = daemon_state.lus[i];
		if (f->lu->home != reactor_self())
			continue;
		if (!f->started && !f->lu->be->busy) {
			f->started = true;
			f->io.op = IO_FLUSH;
			f->io.done = flushed;
			backend_submit(f->lu->be, &f->io);
		}
		*(unsigned *)arg += f->started && !f->ended;
	}
}

/* What this reactor keeps for reuse. */
static void trim(void *arg)
{
	conn_trim();
	task_trim();
	buf_trim();
}

unsigned stop_service(void)
{
	unsigned n, busy, bad = 0;
	bool told = false;

	begin_ms = reactor_now_ms();
	__atomic_store_n(&daemon_state.stopping, true, __ATOMIC_RELAXED);
	net_stop();
	while (!net_closed())
		usleep(POLL_US);
	rcall_each(ask_all, NULL);
	if (wait_zero(count_conns, &n, LOGOUT_MS)) {
		log_info("event=stop conns=%u msg=\"closing connections that did not log out\"", n);
		rcall_each(close_all, NULL);
	}
	/* What closing sent from reactor to reactor has arrived, and so has what that sent. */
	rcall_flush();
	rcall_flush();
	if (wait_zero(count_busy, &busy, DRAIN_MS))
		log_error("event=stop ios=%u msg=\"I/O that did not end is left to the kernel\"",
			  busy);
	flushes = calloc(daemon_state.nlus + 1, sizeof(*flushes));
	if (flushes)
		wait_zero(flush_here, &n, FLUSH_MS);
	for (unsigned i = 0; flushes && i < daemon_state.nlus; i++) {
		struct flush *f = &flushes[i];

		if (f->started && (!f->ended || f->io.result)) {
			log_error("event=stop lun=%s msg=\"%s\"", f->lu->id.name,
				  f->ended ? strerror(-f->io.result)
					   : "the last flush did not end");
			bad++;
		}
		/* The kernel has told it, and tells no one again: the store keeps it. */
		if (f->started && f->ended && f->io.result) {
			lu_tell_failed(f->lu);
			told = true;
		}
	}
	rcall_flush();
	if (told && wait_zero(count_changing, &n, TOLD_MS))
		log_error("event=stop msg=\"a failed flush could not be kept\"");
	rcall_each(trim, NULL);
	return bad + busy;
}

unsigned stop_works(void)
{
	uint64_t now = reactor_now_ms(), end = begin_ms + WORKS_MS;
	unsigned n;

	/* What sessions told at their end arrives. */
	rcall_flush();
	journals_settle(now < end ? (unsigned)(end - now) : 0);
	while ((n = works_pending()) && reactor_now_ms() < end)
		usleep(POLL_US);
	if (n)
		log_error("event=stop works=%u msg=\"a file system stands still: what workers "
			  "have in hand is left to the kernel\"", n);
	return n;
}
