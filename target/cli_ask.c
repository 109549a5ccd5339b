/* SPDX-License-Identifier: Apache-2.0 */
#include "target/cli_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	ANSWER_MS = 60000,	/* the daemon gives up on itself much earlier */
	ANSWER_MAX = 256 << 20, /* bytes: 10,000 sessions are 10 MB */
};

static int connect_failed(const char *path, int err)
{
	fprintf(stderr, "holdfast: %s: %s\n", path, strerror(err));
	switch (err) {
	case ENOENT:
		fputs("holdfast: is holdfastd running, and is this the control: of its "
		      "configuration? (--socket PATH says another)\n",
		      stderr);
		break;
	case ECONNREFUSED:
		fputs("holdfast: nobody listens there: holdfastd is not running, and was killed "
		      "the last time\n",
		      stderr);
		break;
	case EACCES:
	case EPERM:
		fputs("holdfast: only the user holdfastd runs as may ask it, usually root (try "
		      "sudo)\n",
		      stderr);
		break;
	case EAGAIN:
		fputs("holdfast: too many others are asking it: try again\n", stderr);
		break;
	}
	return -1;
}

static int dial(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		fprintf(stderr,
			"holdfast: %s: too long for a socket (expected at most %zu bytes)\n", path,
			sizeof(sa.sun_path) - 1);
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return connect_failed(path, err);
	}
	return fd;
}

static bool send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One line; NULL with a message. The caller's. */
static char *receive_line(int fd, size_t *len)
{
	long long end = now_ms() + ANSWER_MS;
	char *buf = NULL;
	size_t have = 0, cap = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		long long left = end - now_ms();
		ssize_t n;

		if (have == cap) {
			cap = cap ? cap * 2 : 65536;
			buf = cap > ANSWER_MAX ? NULL : realloc(buf, cap);
			if (!buf) {
				fputs("holdfast: the answer is too long\n", stderr);
				return NULL;
			}
		}
		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			fprintf(stderr, "holdfast: holdfastd does not answer within %d s\n",
				ANSWER_MS / 1000);
			break;
		}
		n = recv(fd, buf + have, cap - have, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0) {
			fputs("holdfast: holdfastd ended the connection without an answer: it is "
			      "stopping\n",
			      stderr);
			break;
		}
		have += (size_t)n;
		if (buf[have - 1] == '\n') {
			*len = have - 1;
			return buf;
		}
	}
	free(buf);
	return NULL;
}

json_t *cli_ask(const char *socket_path, json_t *rq)
{
	json_t *answer = NULL;
	json_error_t err;
	char *line, *buf = NULL;
	size_t len = 0;
	int fd;

	line = json_dumps(rq, JSON_COMPACT);
	if (!line)
		abort();
	fd = dial(socket_path);
	if (fd >= 0) {
		if (send_all(fd, line, strlen(line)) && send_all(fd, "\n", 1))
			buf = receive_line(fd, &len);
		else
			fprintf(stderr, "holdfast: cannot ask holdfastd: %s\n", strerror(errno));
		close(fd);
	}
	free(line);
	if (!buf)
		return NULL;
	answer = json_loadb(buf, len, 0, &err);
	free(buf);
	if (!answer)
		fprintf(stderr, "holdfast: the answer is no JSON (%s): is %s holdfastd's?\n",
			err.text, socket_path);
	return answer;
}
