/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: one thread, one poll(2) loop, a bounded number of clients, each with one
 * request in work. What a command needs to know is gathered on the reactors (query.c) in moments;
 * what a client is slow at, only that client waits for.
 */
#include "target/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "target/control_cmd.h"
#include "target/log.h"

enum {
	CLIENTS_MAX = 64, /* at once; more wait in the backlog */
	CONTROL_BACKLOG = 64,
	/* Bytes of one request line; PR_REGISTRANTS_MAX of them imported take the most. */
	REQUEST_MAX = 2 << 20,
	REQUEST_MS = 10000,	/* for a whole request to come */
	ANSWER_MS = 30000,	/* for the client to take an answer */
	CHANGE_MS = 10000,	/* for a LU to make a change */
	ACCEPT_PAUSE_MS = 200,	/* after accept(2) failed: out of descriptors */
	/* A killed daemon gives its descriptors back a moment after its death. */
	CLAIM_TRIES = 40,
	CLAIM_WAIT_US = 50000,
};

enum client_state { CLIENT_FREE, CLIENT_READING, CLIENT_WAITING, CLIENT_WRITING };

struct client {
	enum client_state state;
	int fd;
	struct ucred who;
	uint64_t deadline; /* ms */
	char *in;	   /* REQUEST_MAX bytes */
	size_t have;	   /* of in */
	char *out;
	size_t out_len, out_off;
	struct control_change *change; /* CLIENT_WAITING */
	bool last;		       /* close when the answer is out */
};

static struct {
	int listen_fd, lock_fd;
	char *path;
	pthread_t thread;
	bool running;
	bool stop;	    /* atomic */
	uint64_t accept_at; /* ms: not before */
	struct client clients[CLIENTS_MAX];
} control = { .listen_fd = -1, .lock_fd = -1 };

/* Written by reactors when a change ended, also after control_stop(): never closed. */
static int wake_fd = -1;

/* ---- clients --------------------------------------------------------------------------------- */

static void client_close(struct client *c)
{
	close(c->fd);
	free(c->in);
	free(c->out);
	if (c->change)
		control_cmd_abandon(c->change);
	*c = (struct client){ 0 };
}

static void client_read_next(struct client *c)
{
	free(c->out);
	c->out = NULL;
	c->out_len = c->out_off = 0;
	c->state = CLIENT_READING;
	c->deadline = reactor_now_ms() + REQUEST_MS;
}

static void client_write(struct client *c)
{
	while (c->out_off < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			client_close(c);
			return;
		}
		c->out_off += (size_t)n;
	}
	if (c->last)
		client_close(c);
	else
		client_read_next(c);
}

/* Takes over the answer. */
static void client_answer(struct client *c, json_t *answer)
{
	size_t len;

	/* Never to be wondered about: a line that could not be made is an answer too. */
	c->out = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	json_decref(answer);
	if (!c->out)
		c->out = strdup("{\"ok\":false,\"code\":\"internal\",\"error\":\"out of memory\"}");
	if (!c->out) {
		client_close(c);
		return;
	}
	/* The end of the line takes the place of the NUL. */
	len = strlen(c->out);
	c->out[len] = '\n';
	c->out_len = len + 1;
	c->out_off = 0;
	c->state = CLIENT_WRITING;
	c->deadline = reactor_now_ms() + ANSWER_MS;
	client_write(c);
}

/* Answers one request, if it is there in whole: a client that sends many does not keep the others
 * waiting. */
static void client_work(struct client *c)
{
	char *end = c->have ? memchr(c->in, '\n', c->have) : NULL;
	size_t len = end ? (size_t)(end - c->in) : c->have;

	if (end) {
		json_t *a = control_cmd_begin(c->in, len, &c->who, &c->change);

		c->have -= len + 1;
		memmove(c->in, end + 1, c->have);
		if (c->change) {
			c->state = CLIENT_WAITING;
			c->deadline = reactor_now_ms() + CHANGE_MS;
			return;
		}
		client_answer(c, a);
	} else if (c->have == REQUEST_MAX) {
		c->last = true;
		client_answer(c, control_error("bad_request", NULL,
					       "the request is longer than %d bytes", REQUEST_MAX));
	}
}

/* There is a request to be answered without reading. */
static bool client_has_request(const struct client *c)
{
	return c->state == CLIENT_READING && c->have && memchr(c->in, '\n', c->have);
}

static void client_read(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->have, REQUEST_MAX - c->have, MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	c->have += (size_t)n;
	client_work(c);
}

static void client_changed(struct client *c)
{
	json_t *a = control_cmd_end(c->change);

	c->change = NULL;
	client_answer(c, a);
}

static void client_late(struct client *c)
{
	switch (c->state) {
	case CLIENT_WAITING:
		client_changed(c);
		break;
	case CLIENT_READING:
		/* In the middle of a request it is told; between two, the connection just ends. */
		c->last = true;
		if (c->have)
			client_answer(c, control_error("bad_request", NULL,
						       "no whole request within %d s",
						       REQUEST_MS / 1000));
		else
			client_close(c);
		break;
	default:
		client_close(c);
		break;
	}
}

static void client_ready(struct client *c, short revents)
{
	if (c->state == CLIENT_WAITING && control_cmd_ended(c->change))
		client_changed(c);
	else if (client_has_request(c))
		client_work(c);
	else if (reactor_now_ms() >= c->deadline)
		client_late(c);
	else if (c->state == CLIENT_WRITING && revents)
		client_write(c);
	else if (c->state == CLIENT_READING && revents)
		client_read(c);
	else if (revents & (POLLERR | POLLHUP))
		client_close(c);
}

static struct client *client_slot(void)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (control.clients[i].state == CLIENT_FREE)
			return &control.clients[i];
	return NULL;
}

static void client_accept(void)
{
	struct client *c = client_slot();
	socklen_t len = sizeof(c->who);
	int fd = accept4(control.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* Gone already, or no descriptor left: the latter must not spin. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			control.accept_at = reactor_now_ms() + ACCEPT_PAUSE_MS;
		return;
	}
	*c = (struct client){ .fd = fd, .in = malloc(REQUEST_MAX) };
	if (!c->in || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->who, &len)) {
		client_close(c);
		return;
	}
	client_read_next(c);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static short client_events(const struct client *c)
{
	return c->state == CLIENT_READING ? POLLIN : c->state == CLIENT_WRITING ? POLLOUT : 0;
}

/* Milliseconds until the first deadline, -1 for none. */
static int next_deadline(uint64_t now)
{
	uint64_t at = control.accept_at > now ? control.accept_at : UINT64_MAX;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &control.clients[i];

		if (client_has_request(c))
			return 0;
		if (c->state != CLIENT_FREE && c->deadline < at)
			at = c->deadline;
	}
	return at == UINT64_MAX ? -1 : at <= now ? 0 : (int)(at - now);
}

static void control_turn(void)
{
	struct pollfd p[CLIENTS_MAX + 2];
	uint64_t now = reactor_now_ms(), count;
	bool room = client_slot() && now >= control.accept_at;

	p[0] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = room ? control.listen_fd : -1, .events = POLLIN };
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &control.clients[i];

		p[i + 2] = (struct pollfd){ .fd = c->state == CLIENT_FREE ? -1 : c->fd,
					    .events = client_events(c) };
	}
	if (poll(p, CLIENTS_MAX + 2, next_deadline(now)) < 0)
		return;
	/* Before the changes are looked at, so that one that ends now wakes the next turn. */
	if (p[0].revents && read(wake_fd, &count, sizeof(count)) < 0)
		(void)0;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (control.clients[i].state != CLIENT_FREE)
			client_ready(&control.clients[i], p[i + 2].revents);
	if (p[1].revents)
		client_accept();
}

static void *control_main(void *arg)
{
	while (!__atomic_load_n(&control.stop, __ATOMIC_ACQUIRE))
		control_turn();
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (control.clients[i].state != CLIENT_FREE)
			client_close(&control.clients[i]);
	return NULL;
}

/* ---- the socket ------------------------------------------------------------------------------ */

static int control_fail(const char *what)
{
	log_error("event=control path=%s msg=%s", LOG_Q(control.path), LOG_Q(what));
	return -1;
}

static int control_fail_errno(const char *doing)
{
	char text[200];

	snprintf(text, sizeof(text), "%s: %s", doing, strerror(errno));
	return control_fail(text);
}

/* The directory the socket is in, when only that is missing (/run is empty after a boot). */
static void make_dir(void)
{
	char *dir = strdup(control.path), *slash = dir ? strrchr(dir, '/') : NULL;

	if (slash && slash != dir) {
		*slash = 0;
		if (mkdir(dir, 0755) == 0)
			log_info("event=control msg=\"made directory\" path=%s", LOG_Q(dir));
	}
	free(dir);
}

/*
 * A socket in the file system stays behind when its daemon is killed, and looking whether somebody
 * listens, then removing it, would be a race of two starting daemons. So the one that may do it
 * holds a lock, on a file beside it that is never removed.
 */
static int lock_open(void)
{
	size_t len = strlen(control.path) + sizeof(".lock");
	char *name = malloc(len);

	if (!name)
		return control_fail("out of memory");
	snprintf(name, len, "%s.lock", control.path);
	control.lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(name);
	return control.lock_fd < 0
		       ? control_fail_errno("cannot make the lock file beside the control socket")
		       : 0;
}

enum claim { CLAIM_OURS, CLAIM_IN_USE, CLAIM_FAILED };

/* Removes what a killed daemon left. */
static enum claim claim_name(const struct sockaddr_un *sa)
{
	struct stat st;
	int fd, err;

	if (lstat(control.path, &st)) {
		if (errno == ENOENT)
			return CLAIM_OURS;
		control_fail_errno("cannot look at the control socket");
		return CLAIM_FAILED;
	}
	if (!S_ISSOCK(st.st_mode)) {
		control_fail("something that is no socket has this name: it was left alone "
			     "(expected a free name for control:)");
		return CLAIM_FAILED;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	err = fd < 0 || connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (!err || err == EAGAIN) /* EAGAIN: its backlog is full, so somebody has it */
		return CLAIM_IN_USE;
	if (err == ENOENT)
		return CLAIM_OURS;
	errno = err;
	if (err != ECONNREFUSED || unlink(control.path)) {
		control_fail_errno("cannot remove the socket of a daemon that was killed");
		return CLAIM_FAILED;
	}
	log_info("event=control path=%s msg=\"removed the socket of a daemon that was killed\"",
		 LOG_Q(control.path));
	return CLAIM_OURS;
}

static enum claim claim(const struct sockaddr_un *sa)
{
	if (!flock(control.lock_fd, LOCK_EX | LOCK_NB))
		return claim_name(sa);
	if (errno == EWOULDBLOCK)
		return CLAIM_IN_USE;
	control_fail_errno("cannot lock the file beside the control socket");
	return CLAIM_FAILED;
}

static int control_claim(const struct sockaddr_un *sa)
{
	enum claim c = claim(sa);

	for (unsigned i = 0; c == CLAIM_IN_USE && i < CLAIM_TRIES; i++) {
		usleep(CLAIM_WAIT_US);
		c = claim(sa);
	}
	if (c == CLAIM_IN_USE)
		control_fail("another holdfastd has this control socket: stop it, or give this one "
			     "a control: of its own");
	return c == CLAIM_OURS ? 0 : -1;
}

static int control_bind(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int err;

	if (strlen(control.path) >= sizeof(sa.sun_path))
		return control_fail("too long for a socket (expected at most 107 bytes)");
	memcpy(sa.sun_path, control.path, strlen(control.path) + 1);
	make_dir();
	if (lock_open() || control_claim(&sa))
		return -1;
	control.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control.listen_fd < 0)
		return control_fail_errno("cannot make a socket");
	/* The mode is right from its first moment on: 0600. */
	mask = umask(0177);
	err = bind(control.listen_fd, (struct sockaddr *)&sa, sizeof(sa)) ? errno : 0;
	umask(mask);
	errno = err;
	if (err)
		return control_fail_errno("cannot bind");
	if (listen(control.listen_fd, CONTROL_BACKLOG)) {
		err = errno;
		unlink(control.path);
		errno = err;
		return control_fail_errno("cannot listen");
	}
	return 0;
}

static void control_release(void)
{
	if (control.listen_fd >= 0)
		close(control.listen_fd);
	if (control.lock_fd >= 0)
		close(control.lock_fd);
	control.listen_fd = control.lock_fd = -1;
	free(control.path);
	control.path = NULL;
}

int control_start(const struct config *cfg)
{
	int err;

	control.path = strdup(cfg->control);
	if (wake_fd < 0)
		wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!control.path || wake_fd < 0) {
		control_release();
		log_error("event=control msg=\"out of memory or descriptors\"");
		return -1;
	}
	control_cmd_init(wake_fd);
	if (control_bind()) {
		control_release();
		return -1;
	}
	__atomic_store_n(&control.stop, false, __ATOMIC_RELEASE);
	control.accept_at = 0;
	err = pthread_create(&control.thread, NULL, control_main, NULL);
	if (err) {
		errno = err;
		control_fail_errno("cannot start its thread");
		unlink(control.path);
		control_release();
		return -1;
	}
	pthread_setname_np(control.thread, "hf-control");
	control.running = true;
	return 0;
}

void control_stop(void)
{
	uint64_t one = 1;

	if (!control.running)
		return;
	__atomic_store_n(&control.stop, true, __ATOMIC_RELEASE);
	if (write(wake_fd, &one, sizeof(one)) < 0)
		log_debug("event=control msg=\"wake-up pending already\"");
	pthread_join(control.thread, NULL);
	control.running = false;
	unlink(control.path);
	control_release();
}
