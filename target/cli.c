/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast: a command line for the control socket. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "target/cli_show.h"
#include "target/cli_table.h"

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };

enum {
	ANSWER_MS = 60000,	/* the daemon gives up on itself much earlier */
	ANSWER_MAX = 256 << 20, /* bytes: 10,000 sessions are 10 MB */
	WORDS_MAX = 2,		/* of a command's name */
};

#define CONTROL_DEFAULT "/run/holdfast/control.sock"

struct cli_cmd {
	const char *name;
	enum { LUN_NONE, LUN_OPTIONAL, LUN_NEEDED } lun;
	bool force; /* must be given: it destroys something */
	const char *help;
	void (*show)(FILE *out, json_t *result);
};

static const struct cli_cmd cmds[] = {
	{ "status", LUN_NONE, false, "what the daemon is and how it does", cli_show_status },
	{ "session list", LUN_NONE, false, "who is logged in", cli_show_sessions },
	{ "lun list", LUN_OPTIONAL, false, "the disks, their state and what was done with them",
	  cli_show_luns },
	{ "lun recover", LUN_NEEDED, false, "let a disk whose cache could not be written go on",
	  cli_show_recovered },
	{ "pr show", LUN_OPTIONAL, false, "persistent reservations: who registered, who holds",
	  cli_show_pr },
	{ "pr clear", LUN_NEEDED, true, "drop all registrations and the reservation of a disk",
	  cli_show_pr },
};
enum { NCMDS = sizeof(cmds) / sizeof(cmds[0]) };

struct cli {
	const char *socket;
	bool json, force;
	const struct cli_cmd *cmd;
	const char *lun;
};

/* ---- what was typed -------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: holdfast [--socket PATH] [--json] COMMAND\n\ncommands:\n", out);
	for (unsigned i = 0; i < NCMDS; i++) {
		char left[80];

		snprintf(left, sizeof(left), "%s%s%s", cmds[i].name,
			 cmds[i].force ? " --force" : "",
			 cmds[i].lun == LUN_NEEDED     ? " TARGET/LUN"
			 : cmds[i].lun == LUN_OPTIONAL ? " [TARGET/LUN]"
						       : "");
		fprintf(out, "  %-32s%s\n", left, cmds[i].help);
	}
	fputs("\noptions:\n"
	      "  -s, --socket PATH               the daemon's control socket "
	      "(default " CONTROL_DEFAULT ")\n"
	      "  -j, --json                      print JSON, for programs\n"
	      "  -f, --force                     really do what destroys something\n"
	      "  -V, --version                   print the version\n"
	      "  -h, --help                      print this\n",
	      out);
}

/* How many words of the command's name were typed; all of them: it is the one. */
static unsigned words_typed(const struct cli_cmd *c, int argc, char **argv, unsigned *words)
{
	const char *name = c->name;
	unsigned hit = 0;

	for (*words = 0; *name; (*words)++) {
		size_t n = strcspn(name, " ");

		if (hit == *words && (int)hit < argc && strlen(argv[hit]) == n &&
		    !memcmp(argv[hit], name, n))
			hit++;
		name += n + (name[n] == ' ');
	}
	return hit;
}

static int unknown(int argc, char **argv)
{
	const char *names[NCMDS], *near;
	char typed[128] = "";
	bool group = false;

	for (int i = 0; i < argc && i < WORDS_MAX; i++)
		snprintf(typed + strlen(typed), sizeof(typed) - strlen(typed), "%s%s", i ? " " : "",
			 argv[i]);
	for (unsigned i = 0; i < NCMDS; i++) {
		unsigned words;

		names[i] = cmds[i].name;
		group |= words_typed(&cmds[i], argc, argv, &words) > 0;
	}
	if (!group || argc > 1) {
		near = cli_nearest(typed, names, NCMDS);
		if (!near && argc > 1)
			near = cli_nearest(argv[0], names, NCMDS);
		fprintf(stderr, "holdfast: unknown command '%s'", typed);
		fprintf(stderr,
			near ? "; did you mean '%s'?\n"
			     : "; 'holdfast --help' shows the commands\n",
			near);
		return EXIT_USAGE;
	}
	fprintf(stderr, "holdfast: '%s' is not all of a command (expected", typed);
	for (unsigned i = 0, n = 0; i < NCMDS; i++) {
		unsigned words;

		if (words_typed(&cmds[i], argc, argv, &words))
			fprintf(stderr, "%s '%s'", n++ ? " or" : "", cmds[i].name);
	}
	fputs(")\n", stderr);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int parse_command(struct cli *cli, int argc, char **argv)
{
	unsigned words = 0;

	if (!argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	for (unsigned i = 0; i < NCMDS && !cli->cmd; i++)
		if (words_typed(&cmds[i], argc, argv, &words) == words)
			cli->cmd = &cmds[i];
	if (!cli->cmd)
		return unknown(argc, argv);
	argc -= (int)words;
	argv += words;
	if (cli->cmd->lun == LUN_NEEDED && !argc) {
		fprintf(stderr,
			"holdfast: '%s' of what? (expected: holdfast %s TARGET/LUN, as 'holdfast "
			"lun list' shows them)\n",
			cli->cmd->name, cli->cmd->name);
		return EXIT_USAGE;
	}
	if (cli->cmd->lun != LUN_NONE && argc) {
		json_t *text = json_string(argv[0]);

		json_decref(text);
		if (!text) {
			fputs("holdfast: the argument is no UTF-8 (expected TARGET/LUN, or the "
			      "name of a LUN)\n",
			      stderr);
			return EXIT_USAGE;
		}
		cli->lun = argv[0];
		argc--;
		argv++;
	}
	if (argc) {
		fprintf(stderr, "holdfast: unexpected argument '%s' after '%s'\n", argv[0],
			cli->cmd->name);
		return EXIT_USAGE;
	}
	if (cli->force && !cli->cmd->force) {
		fprintf(stderr, "holdfast: '%s' takes no --force\n", cli->cmd->name);
		return EXIT_USAGE;
	}
	return -1;
}

static int parse(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "force", no_argument, NULL, 'f' },	    { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },	    { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:jfVh", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			cli->socket = optarg;
			break;
		case 'j':
			cli->json = true;
			break;
		case 'f':
			cli->force = true;
			break;
		case 'V':
			printf("holdfast %s\n", HOLDFAST_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			fputs("holdfast: 'holdfast --help' shows the options\n", stderr);
			return EXIT_USAGE;
		}
	}
	return parse_command(cli, argc - optind, argv + optind);
}

/* ---- the daemon ------------------------------------------------------------------------------ */

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

static json_t *ask(const struct cli *cli)
{
	json_t *rq = json_pack("{s:s}", "cmd", cli->cmd->name), *answer = NULL;
	json_error_t err;
	char *line, *buf = NULL;
	size_t len = 0;
	int fd;

	if (cli->lun)
		json_object_set_new(rq, "lun", json_string(cli->lun));
	if (cli->force)
		json_object_set_new(rq, "force", json_true());
	line = json_dumps(rq, JSON_COMPACT);
	json_decref(rq);
	if (!line)
		abort();
	fd = dial(cli->socket);
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
			err.text, cli->socket);
	return answer;
}

static int tell_error(json_t *answer)
{
	json_t *hint = cli_at(answer, "hint");
	char text[2048];

	fprintf(stderr, "holdfast: %s\n",
		cli_text(cli_at(answer, "error"), CLI_TEXT, text, sizeof(text)));
	if (hint)
		fprintf(stderr, "holdfast: %s\n", cli_text(hint, CLI_TEXT, text, sizeof(text)));
	return EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	struct cli cli = { .socket = CONTROL_DEFAULT };
	int rc = parse(&cli, argc, argv);
	json_t *answer, *result;

	if (rc >= 0)
		return rc;
	if (cli.cmd->force && !cli.force) {
		fprintf(stderr,
			"holdfast: '%s' destroys something: say --force when that is meant\n",
			cli.cmd->name);
		return EXIT_USAGE;
	}
	answer = ask(&cli);
	if (!answer)
		return EXIT_REFUSED;
	result = cli_at(answer, "result");
	if (!json_is_true(cli_at(answer, "ok")) || !result) {
		rc = tell_error(answer);
	} else {
		rc = 0;
		if (cli.json) {
			json_dumpf(result, stdout, JSON_INDENT(2));
			putchar('\n');
		} else {
			cli.cmd->show(stdout, result);
		}
	}
	json_decref(answer);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "holdfast: cannot print: %s\n", strerror(errno));
		return EXIT_REFUSED;
	}
	return rc;
}
