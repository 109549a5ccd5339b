/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "target/conn.h"
#include "target/log.h"
#include "target/net.h"

enum {
	BACKLOG = 1024,
	ACCEPTS_PER_TURN = 64,
	/* A killed daemon's ring gives its listening socket back a moment after its death. */
	BIND_TRIES = 40,
	BIND_WAIT_US = 50000,
	FILES_KEPT = 32, /* descriptors no connection gets: control socket, state files */
};

struct listener {
	struct rfd rfd;
	const struct config_portal *portal;
};

static struct listener *listeners;
static unsigned nlisteners;
static unsigned next_reactor;
static struct msg start_msg, stop_msg;
static bool closed;

static void addr_name(const struct sockaddr_storage *ss, char *out, size_t len)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)ss;

		if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
			inet_ntop(AF_INET, &a->sin6_addr.s6_addr[12], host, sizeof(host));
			snprintf(out, len, "%s:%u", host, ntohs(a->sin6_port));
			return;
		}
		inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host));
		snprintf(out, len, "[%s]:%u", host, ntohs(a->sin6_port));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)ss;

		inet_ntop(AF_INET, &a->sin_addr, host, sizeof(host));
		snprintf(out, len, "%s:%u", host, ntohs(a->sin_port));
	}
}

void net_names(int fd, char *peer, char *local, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	memset(&ss, 0, sizeof(ss));
	getpeername(fd, (struct sockaddr *)&ss, &n);
	addr_name(&ss, peer, len);
	n = sizeof(ss);
	memset(&ss, 0, sizeof(ss));
	getsockname(fd, (struct sockaddr *)&ss, &n);
	addr_name(&ss, local, len);
}

/* 0, or -errno and what did not work. */
static int bind_one(struct listener *l, const char **what)
{
	const struct config_portal *p = l->portal;
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(p->port) };
	bool v6 = strchr(p->host, ':');
	int one = 1, fd, err;

	*what = "cannot listen";
	if (inet_pton(v6 ? AF_INET6 : AF_INET, p->host,
		      v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr) != 1)
		return -EINVAL;
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (v6)	/* so that 0.0.0.0 and [::] can both be portals */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	/* Those accepted inherit it. */
	if (p->congestion && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, p->congestion,
					(socklen_t)strlen(p->congestion))) {
		err = -errno;
		close(fd);
		*what = "congestion: the kernel has no such, or not for this user, see "
			"/proc/sys/net/ipv4/tcp_available_congestion_control";
		return err;
	}
	if (bind(fd, v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4,
		 v6 ? sizeof(a6) : sizeof(a4)) ||
	    listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	l->rfd.fd = fd;
	return 0;
}

struct arrival {
	struct msg msg;
	int fd;
	const struct config_portal *portal;
};

static void arrived(struct msg *m)
{
	struct arrival *a = caa_container_of(m, struct arrival, msg);

	conn_new(a->fd, a->portal);
	free(a);
}

/*
 * The kernel gives the lowest number that is free. At the limit itself accept() fails, the socket
 * stays ready, the loop turns for ever, and nobody can ask the daemon what is wrong.
 */
static bool files_short(int fd)
{
	struct rlimit l;

	return !getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur <= (rlim_t)fd + FILES_KEPT;
}

static void refused(const struct listener *l, int fd, const char *why)
{
	log_about(LOG_LEVEL_WARN, (NULL, NULL, l->portal->name, why),
		  "event=refused portal=%s why=\"%s\"", l->portal->name, why);
	close(fd);
}

static void accept_ready(struct rfd *f, uint32_t ready)
{
	struct listener *l = caa_container_of(f, struct listener, rfd);

	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct arrival *a;

		if (fd < 0)
			return;
		if (files_short(fd)) {
			refused(l, fd, "too many open files (ulimit -n, LimitNOFILE=)");
			continue;
		}
		if (__atomic_add_fetch(&daemon_state.half_open, 1, __ATOMIC_RELAXED) >
		    daemon_state.cfg->limits.logins) {
			__atomic_sub_fetch(&daemon_state.half_open, 1, __ATOMIC_RELAXED);
			refused(l, fd, "too many logins half open (limits.logins)");
			continue;
		}
		a = calloc(1, sizeof(*a));
		if (!a) {
			__atomic_sub_fetch(&daemon_state.half_open, 1, __ATOMIC_RELAXED);
			close(fd);
			continue;
		}
		a->fd = fd;
		a->portal = l->portal;
		a->msg.fn = arrived;
		reactor_send(reactor_at(next_reactor++ % reactor_dealt()), &a->msg);
	}
}

static const char *bind_hint(int err)
{
	return err == -EADDRINUSE      ? ", 'ss -tlnp' shows by whom"
	       : err == -EADDRNOTAVAIL ? ", no interface has this address"
				       : "";
}

int net_bind(const struct config *cfg)
{
	listeners = calloc(cfg->nportals, sizeof(*listeners));
	if (!listeners)
		return -ENOMEM;
	for (unsigned i = 0; i < cfg->nportals; i++) {
		const char *what;
		int err;

		listeners[i].portal = &cfg->portals[i];
		listeners[i].rfd.fn = accept_ready;
		err = bind_one(&listeners[i], &what);
		for (unsigned k = 0; err == -EADDRINUSE && k < BIND_TRIES; k++) {
			usleep(BIND_WAIT_US);
			err = bind_one(&listeners[i], &what);
		}
		if (err) {
			log_error("event=portal name=%s listen=%s msg=\"%s: %s%s\"",
				  cfg->portals[i].name, cfg->portals[i].listen, what,
				  strerror(-err), bind_hint(err));
			return err;
		}
		nlisteners++;
	}
	return 0;
}

static void listen_here(struct msg *m)
{
	for (unsigned i = 0; i < nlisteners; i++)
		rfd_add(&listeners[i].rfd, FD_READ);
}

void net_listen(void)
{
	start_msg.fn = listen_here;
	reactor_send(reactor_at(0), &start_msg);
}

static void stop_here(struct msg *m)
{
	for (unsigned i = 0; i < nlisteners; i++) {
		rfd_del(&listeners[i].rfd);
		close(listeners[i].rfd.fd);
	}
	__atomic_store_n(&closed, true, __ATOMIC_RELEASE);
}

void net_stop(void)
{
	stop_msg.fn = stop_here;
	reactor_send(reactor_at(0), &stop_msg);
}

bool net_closed(void)
{
	return __atomic_load_n(&closed, __ATOMIC_ACQUIRE);
}
