/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket without a daemon behind it: no reactor, no target. What is gathered from
 * reactors is tested by tests/daemon/cli.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "target/control.h"
#include "target/control_cmd.h"
#include "target/log.h"
#include "target/query.h"
#include "tests/unit/unit.h"

static void test_lun_parse(void)
{
	static const struct {
		const char *text;
		bool ok;
		size_t len;
		unsigned lun;
	} t[] = {
		{ "iqn.2026-11.com.example:a/0", true, 25, 0 },
		{ "a/b/4095", true, 3, 4095 },
		{ "a/4096", true, 1, LUN_MAX + 1 },
		{ "a/99999999999999999999", true, 1, LUN_MAX + 1 },
		{ "a/007", true, 1, 7 },
		{ "csv", false, 0, 0 },
		{ "", false, 0, 0 },
		{ "/1", false, 0, 0 },
		{ "a/", false, 0, 0 },
		{ "a/-1", false, 0, 0 },
		{ "a/1 ", false, 0, 0 },
		{ "a/0x1", false, 0, 0 },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t len = 0;
		unsigned lun = 0;
		bool ok = control_lun_parse(t[i].text, &len, &lun);

		CU_ASSERT_EQUAL(ok, t[i].ok);
		if (ok)
			CU_ASSERT(len == t[i].len && lun == t[i].lun);
	}
}

static const char *code_of(const char *line)
{
	static char code[64];
	struct control_change *change;
	struct ucred who = { 0 };
	json_t *a = control_cmd_begin(line, strlen(line), &who, &change);
	const char *s = json_string_value(json_object_get(a, "code"));

	CU_ASSERT(a && !change);
	snprintf(code, sizeof(code), "%s",
		 s					  ? s
		 : json_is_true(json_object_get(a, "ok")) ? "ok"
							  : "?");
	json_decref(a);
	return code;
}

static void test_requests(void)
{
	static const struct {
		const char *line, *code;
	} t[] = {
		{ "", "bad_request" },
		{ "status", "bad_request" },
		{ "[]", "bad_request" },
		{ "\"status\"", "bad_request" },
		{ "{}", "bad_request" },
		{ "{\"cmd\": 7}", "bad_request" },
		{ "{\"cmd\": \"status\"} x", "bad_request" },
		{ "{\"cmd\": \"status\", \"cmd\": \"status\"}", "bad_request" },
		{ "{\"cmd\": \"\\u0000\"}", "bad_request" },
		{ "{\"cmd\": \"reboot\"}", "unknown_command" },
		{ "{\"cmd\": \"\"}", "unknown_command" },
		{ "{\"cmd\": \"status\", \"force\": true}", "bad_request" },
		{ "{\"cmd\": \"lun list\", \"lun\": null}", "bad_request" },
		{ "{\"cmd\": \"lun list\", \"lun\": \"a/0\"}", "not_found" },
		{ "{\"cmd\": \"lun list\", \"lun\": \"a\"}", "not_found" },
		{ "{\"cmd\": \"lun recover\"}", "bad_request" },
		{ "{\"cmd\": \"pr clear\", \"force\": 1, \"lun\": \"a\"}", "bad_request" },
		{ "{\"cmd\": \"session list\"}", "ok" },
		{ "{\"cmd\": \"lun list\"}", "ok" },
		{ "{\"cmd\": \"pr show\"}", "ok" },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		CU_ASSERT_STRING_EQUAL(code_of(t[i].line), t[i].code);
}

/* Arrays in arrays: the parser's depth is bounded. */
static void test_deep(void)
{
	enum { DEPTH = 60000 };
	char *line = malloc(DEPTH + 1);

	memset(line, '[', DEPTH);
	line[DEPTH] = 0;
	CU_ASSERT_STRING_EQUAL(code_of(line), "bad_request");
	free(line);
}

/* Bytes that are no UTF-8 do not lose the answer. */
static void test_strings(void)
{
	json_t *j = query_string("a\xff\xc3]");

	CU_ASSERT_STRING_EQUAL(json_string_value(j), "a?\?]");
	json_decref(j);
	j = query_string("\xc3\xa4");
	CU_ASSERT_STRING_EQUAL(json_string_value(j), "\xc3\xa4");
	json_decref(j);
	j = query_string(NULL);
	CU_ASSERT(json_is_null(j));
	json_decref(j);
	j = control_error("code", NULL, "%s", "x\xff");
	CU_ASSERT(json_is_false(json_object_get(j, "ok")) && !json_object_get(j, "hint"));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(j, "error")), "x?");
	json_decref(j);
}

/* ---- the socket ------------------------------------------------------------------------------ */

static char dir[64], path[128];
static struct config cfg;

static void socket_begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/hf-control-XXXXXX");
	if (!mkdtemp(dir))
		abort();
	/* In a directory that is not there yet. */
	snprintf(path, sizeof(path), "%s/run/control.sock", dir);
	cfg = (struct config){ .control = path };
}

static void socket_end(void)
{
	char name[160];

	unlink(path);
	snprintf(name, sizeof(name), "%s.lock", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s/run", dir);
	rmdir(name);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void socket_name(struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, path, strlen(path));
}

static int dial(void)
{
	struct sockaddr_un sa;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	socket_name(&sa);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		abort();
	return fd;
}

static void test_socket(void)
{
	static const char rq[] = "{\"cmd\": \"session list\"}\n";
	static const char want[] = "{\"ok\":true,\"result\":{\"sessions\":[],\"missed\":0}}\n";
	char buf[sizeof(want)] = "";
	struct stat st;
	int fd;

	socket_begin();
	CU_ASSERT_EQUAL_FATAL(control_start(&cfg), 0);
	CU_ASSERT(!stat(path, &st) && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0600);
	fd = dial();
	/* Byte by byte, twice on one connection. */
	for (unsigned k = 0; k < 2; k++) {
		for (const char *p = rq; *p; p++)
			CU_ASSERT_EQUAL_FATAL(write(fd, p, 1), 1);
		CU_ASSERT_EQUAL_FATAL(recv(fd, buf, sizeof(want) - 1, MSG_WAITALL),
				      (ssize_t)sizeof(want) - 1);
		CU_ASSERT_STRING_EQUAL(buf, want);
	}
	/* It stops with a client in the middle of a request. */
	CU_ASSERT_EQUAL(write(fd, rq, 5), 5);
	control_stop();
	CU_ASSERT(recv(fd, buf, 1, 0) <= 0);
	close(fd);
	CU_ASSERT(lstat(path, &st) && errno == ENOENT);
	control_stop(); /* fine */
	socket_end();
}

/* More clients than there are places: the rest wait, and have their turn. */
static void test_crowd(void)
{
	enum { CROWD = 100 };
	int fd[CROWD];
	char c;

	socket_begin();
	CU_ASSERT_EQUAL_FATAL(control_start(&cfg), 0);
	for (unsigned i = 0; i < CROWD; i++) {
		fd[i] = dial();
		CU_ASSERT_EQUAL(send(fd[i], "{}\n", 3, MSG_NOSIGNAL), 3);
	}
	for (unsigned i = 0; i < CROWD; i++) {
		CU_ASSERT_EQUAL(recv(fd[i], &c, 1, 0), 1);
		close(fd[i]);
	}
	control_stop();
	socket_end();
}

static void test_stale(void)
{
	struct sockaddr_un sa;
	struct stat st;
	int fd;

	socket_begin();
	*strrchr(path, '/') = 0;
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	path[strlen(path)] = '/';
	/* What a killed daemon leaves: a name nobody listens behind. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	socket_name(&sa);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	CU_ASSERT_EQUAL(control_start(&cfg), 0);
	close(dial());
	control_stop();
	/* Somebody listens there, whoever it is. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	CU_ASSERT_EQUAL(control_start(&cfg), -1);
	CU_ASSERT(!stat(path, &st) && S_ISSOCK(st.st_mode));
	close(fd);
	/* A file of that name, a directory. */
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	CU_ASSERT_EQUAL(control_start(&cfg), -1);
	CU_ASSERT_EQUAL(rmdir(path), 0);
	socket_end();
}

static void test_bad_paths(void)
{
	char longpath[200];
	struct config c = { .control = longpath };

	memset(longpath, 'x', sizeof(longpath));
	memcpy(longpath, "/tmp/", 5);
	longpath[sizeof(longpath) - 1] = 0;
	CU_ASSERT_EQUAL(control_start(&c), -1);
	c.control = (char[]){ "/nonexistent/deeper/control.sock" };
	CU_ASSERT_EQUAL(control_start(&c), -1);
}

static void test_quiet(void)
{
	/* Complaints are expected from here on. */
	log_init(LOG_LEVEL_ERROR);
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

UNIT_MAIN("control", UNIT(test_lun_parse), UNIT(test_requests), UNIT(test_deep), UNIT(test_strings),
	  UNIT(test_quiet), UNIT(test_socket), UNIT(test_crowd), UNIT(test_stale),
	  UNIT(test_bad_paths))
