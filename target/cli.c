/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast: a command line for the control socket. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/cli_ask.h"
#include "target/cli_show.h"
#include "target/cli_table.h"
#include "target/cli_witness.h"

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };

enum { WORDS_MAX = 2 };	/* of a command's name */

#define CONTROL_DEFAULT "/run/holdfast/control.sock"

/* Options that are arguments of commands. */
enum cli_opt_bit {
	OPT_FORCE = 1 << 0,
	OPT_LAST = 1 << 1,
	OPT_OLDER_THAN = 1 << 2,
	OPT_DRY_RUN = 1 << 3,
	OPT_HOLDER = 1 << 4,
	OPT_SINCE = 1 << 5,
	OPT_FOLLOW = 1 << 6,
};

/* The value of an option as a member of the request; NULL when it is none. */
static json_t *value_true(const char *text);
static json_t *value_count(const char *text);
static json_t *value_duration(const char *text);
static json_t *value_since(const char *text);

static const struct cli_opt {
	const char *name; /* --name */
	int c;		  /* for getopt_long(); a letter: -c too */
	enum cli_opt_bit bit;
	const char *member;			/* of the request; NULL: nobody is asked */
	json_t *(*value)(const char *text);
	const char *arg, *expected;		/* NULL: it has none */
	const char *help;
} opts[] = {
	{ "force", 'f', OPT_FORCE, "force", value_true, NULL, NULL,
	  "really do what destroys something" },
	{ "last", 256, OPT_LAST, "last", value_count, "N", "a number, such as 50",
	  "pr history, witness log: so many of a disk (default 100, 1000)" },
	{ "older-than", 257, OPT_OLDER_THAN, "older_than", value_duration, "DURATION",
	  "a number and s, m, h, d or w, such as 30d",
	  "pr prune: only who was not logged in for so long" },
	{ "dry-run", 'n', OPT_DRY_RUN, "dry_run", value_true, NULL, NULL,
	  "pr prune: only show what would be done" },
	{ "holder", 258, OPT_HOLDER, "holder", value_true, NULL, NULL,
	  "pr prune: also who holds the reservation" },
	{ "since", 259, OPT_SINCE, "since", value_since, "TIME",
	  "a time in UTC, such as '2026-11-22 03:00', or how long ago, such as 2h",
	  "witness log: nothing older" },
	{ "follow", 'F', OPT_FOLLOW, NULL, value_true, NULL, NULL,
	  "witness log: go on with what happens" },
};
enum { NOPTS = sizeof(opts) / sizeof(opts[0]) };

struct cli_cmd {
	const char *name;
	enum { LUN_NONE, LUN_OPTIONAL, LUN_NEEDED } lun;
	unsigned opts;	/* enum cli_opt_bit: that it takes */
	bool force;	/* --force must be given: it destroys something; --dry-run does instead */
	bool file;	/* a document follows the LUN, or comes on standard input */
	const char *help;
	void (*show)(FILE *out, json_t *result);
};

static const struct cli_cmd cmds[] = {
	{ "status", LUN_NONE, 0, false, false, "what the daemon is and how it does",
	  cli_show_status },
	{ "session list", LUN_NONE, 0, false, false, "who is logged in", cli_show_sessions },
	{ "lun list", LUN_OPTIONAL, 0, false, false,
	  "the disks, their state and what was done with them", cli_show_luns },
	{ "lun recover", LUN_NEEDED, 0, false, false,
	  "let a disk whose cache could not be written go on", cli_show_recovered },
	{ "pr show", LUN_OPTIONAL, 0, false, false,
	  "persistent reservations: who registered, who holds", cli_show_pr },
	{ "pr history", LUN_OPTIONAL, OPT_LAST, false, false,
	  "who changed them, when, and how; the newest last", cli_show_history },
	{ "pr export", LUN_NEEDED, 0, false, false, "print them as a document (JSON)",
	  cli_show_json },
	{ "pr import", LUN_NEEDED, OPT_FORCE, true, true,
	  "put those of a document in the place of what is there", cli_show_pr },
	{ "pr prune", LUN_NEEDED, OPT_FORCE | OPT_OLDER_THAN | OPT_DRY_RUN | OPT_HOLDER, true,
	  false, "drop registrations of who is not logged in any more", cli_show_pruned },
	{ "pr clear", LUN_NEEDED, OPT_FORCE, true, false,
	  "drop all registrations and the reservation of a disk", cli_show_pr },
	{ "witness show", LUN_OPTIONAL, 0, false, false,
	  "quorum disks: who owns them, who is there, what is wrong", cli_show_witness },
	{ "witness log", LUN_OPTIONAL, OPT_LAST | OPT_SINCE | OPT_FOLLOW, false, false,
	  "what happened on them; the newest last", cli_show_witness_log },
	{ "witness explain", LUN_OPTIONAL, 0, false, false,
	  "who owns them now, since when, and why", cli_show_witness_story },
};
enum { NCMDS = sizeof(cmds) / sizeof(cmds[0]) };

struct cli {
	const char *socket;
	bool json;
	unsigned given; /* enum cli_opt_bit */
	const struct cli_cmd *cmd;
	json_t *rq;
};

/* ---- values of options ----------------------------------------------------------------------- */

static json_t *value_true(const char *text)
{
	return json_true();
}

static json_t *value_scaled(const char *text, const char *units, const json_int_t *scale)
{
	char *end;
	long long n;
	const char *u = "";

	errno = 0;
	n = strtoll(text, &end, 10);
	if (*text < '0' || *text > '9' || errno || n < 1 || n > 1000000000)
		return NULL;
	if (units) {
		u = *end ? strchr(units, *end) : NULL;
		if (!u)
			return NULL;
		n *= scale[u - units];
		end++;
	}
	return *end ? NULL : json_integer(n);
}

static json_t *value_count(const char *text)
{
	return value_scaled(text, NULL, NULL);
}

static json_t *value_duration(const char *text)
{
	static const json_int_t scale[] = { 1, 60, 3600, 86400, 7 * 86400 };

	return value_scaled(text, "smhdw", scale);
}

/* A time, or how long ago, as seconds since 1970. */
static json_t *value_since(const char *text)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
					     "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M",
					     "%Y-%m-%dT%H:%M",	  "%Y-%m-%d" };
	json_t *ago = value_duration(text);

	if (ago) {
		json_integer_set(ago, (json_int_t)time(NULL) - json_integer_value(ago));
		return ago;
	}
	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, forms[i], &tm);

		if (end && !*end && timegm(&tm) > 0)
			return json_integer((json_int_t)timegm(&tm));
	}
	return NULL;
}

/* ---- what was typed -------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: holdfast [--socket PATH] [--json] COMMAND\n\ncommands:\n", out);
	for (unsigned i = 0; i < NCMDS; i++) {
		char left[80];

		snprintf(left, sizeof(left), "%s%s%s%s", cmds[i].name,
			 cmds[i].force ? " --force" : "",
			 cmds[i].lun == LUN_NEEDED     ? " TARGET/LUN"
			 : cmds[i].lun == LUN_OPTIONAL ? " [TARGET/LUN]"
						       : "",
			 cmds[i].file ? " [FILE]" : "");
		fprintf(out, "  %-38s%s\n", left, cmds[i].help);
	}
	fprintf(out, "  %-38s%s\n", "doctor URL",
		"can clusters use this disk of any iSCSI target?");
	fputs("\noptions:\n"
	      "  -s, --socket PATH               the daemon's control socket "
	      "(default " CONTROL_DEFAULT ")\n"
	      "  -j, --json                      print JSON, for programs\n", out);
	for (unsigned i = 0; i < NOPTS; i++) {
		char left[80], letter[8] = "    ";

		if (opts[i].c < 256)
			snprintf(letter, sizeof(letter), "-%c, ", opts[i].c);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, opts[i].name,
			 opts[i].arg ? " " : "", opts[i].arg ? opts[i].arg : "");
		fprintf(out, "  %-32s%s\n", left, opts[i].help);
	}
	fputs("  -V, --version                   print the version\n"
	      "  -h, --help                      print this\n", out);
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

	if (!strcmp(argv[0], "doctor")) {
		fputs("holdfast: 'doctor' comes first, and asks no daemon: 'holdfast doctor "
		      "--help' shows its options\n", stderr);
		return EXIT_USAGE;
	}
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

/* The document of `pr import`: a file's, or of standard input. */
static json_t *load(const char *file)
{
	bool std = !file || !strcmp(file, "-");
	FILE *f = std ? stdin : fopen(file, "re");
	json_error_t err;
	json_t *j;

	if (!f) {
		fprintf(stderr, "holdfast: %s: %s\n", file, strerror(errno));
		return NULL;
	}
	j = json_loadf(f, JSON_REJECT_DUPLICATES, &err);
	if (!j)
		fprintf(stderr, "holdfast: %s, line %d, column %d: %s (expected a document as "
			"'holdfast pr export' prints it)\n", std ? "standard input" : file,
			err.line, err.column, err.text);
	if (!std)
		fclose(f);
	return j;
}

static int take_lun(struct cli *cli, const char *text)
{
	json_t *lun = json_string(text);

	if (!lun) {
		fputs("holdfast: the argument is no UTF-8 (expected TARGET/LUN, or the name of a "
		      "LUN)\n", stderr);
		return EXIT_USAGE;
	}
	json_object_set_new(cli->rq, "lun", lun);
	return -1;
}

/* Options that the command does not take, or needs. */
static int check_options(const struct cli *cli)
{
	for (unsigned i = 0; i < NOPTS; i++) {
		if (cli->given & opts[i].bit && !(cli->cmd->opts & opts[i].bit)) {
			fprintf(stderr, "holdfast: '%s' takes no --%s\n", cli->cmd->name,
				opts[i].name);
			return EXIT_USAGE;
		}
	}
	if (cli->cmd->force && !(cli->given & (OPT_FORCE | OPT_DRY_RUN))) {
		fprintf(stderr,
			"holdfast: '%s' destroys something: say --force when that is meant%s\n",
			cli->cmd->name,
			cli->cmd->opts & OPT_DRY_RUN ? ", --dry-run to see what it would do" : "");
		return EXIT_USAGE;
	}
	return -1;
}

/* -1: go on; else the exit status. */
static int parse_command(struct cli *cli, int argc, char **argv)
{
	const char *file = NULL;
	unsigned words = 0;
	int rc;

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
		rc = take_lun(cli, argv[0]);
		if (rc >= 0)
			return rc;
		argc--;
		argv++;
	}
	if (cli->cmd->file && argc) {
		file = argv[0];
		argc--;
		argv++;
	}
	if (argc) {
		fprintf(stderr, "holdfast: unexpected argument '%s' after '%s'\n", argv[0],
			cli->cmd->name);
		return EXIT_USAGE;
	}
	rc = check_options(cli);
	if (rc < 0 && cli->cmd->file) {
		json_t *doc = load(file);

		if (!doc)
			return EXIT_REFUSED;
		json_object_set_new(cli->rq, "document", doc);
	}
	return rc;
}

/* An option that is an argument; -1 or the exit status. */
static int take_option(struct cli *cli, int c)
{
	const struct cli_opt *o = opts;
	json_t *v;

	while (o->c != c)
		o++;
	v = o->value(optarg);
	if (!v) {
		fprintf(stderr, "holdfast: --%s '%s' is not understood (expected %s)\n", o->name,
			optarg, o->expected);
		return EXIT_USAGE;
	}
	json_object_set_new(cli->rq, o->member, v);
	cli->given |= o->bit;
	return -1;
}

static int parse(struct cli *cli, int argc, char **argv)
{
	struct option longs[NOPTS + 5] = {
		{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "version", no_argument, NULL, 'V' },	    { "help", no_argument, NULL, 'h' },
	};
	int c, rc;

	for (unsigned i = 0; i < NOPTS; i++)
		longs[4 + i] = (struct option){ opts[i].name, opts[i].arg ? required_argument
									   : no_argument,
						NULL, opts[i].c };
	while ((c = getopt_long(argc, argv, "s:jfnFVh", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			cli->socket = optarg;
			break;
		case 'j':
			cli->json = true;
			break;
		case 'V':
			printf("holdfast %s\n", HOLDFAST_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		case '?':
			fputs("holdfast: 'holdfast --help' shows the options\n", stderr);
			return EXIT_USAGE;
		default:
			rc = take_option(cli, c);
			if (rc >= 0)
				return rc;
			break;
		}
	}
	return parse_command(cli, argc - optind, argv + optind);
}

/* ---- the answer ------------------------------------------------------------------------------ */

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

static int show(const struct cli *cli, json_t *answer)
{
	json_t *result = cli_at(answer, "result");

	if (!json_is_true(cli_at(answer, "ok")) || !result)
		return tell_error(answer);
	if (cli->json)
		cli_show_json(stdout, result);
	else
		cli->cmd->show(stdout, result);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "holdfast: cannot print: %s\n", strerror(errno));
		return EXIT_REFUSED;
	}
	return 0;
}

/*
 * A program of its own, with a library that nothing else needs: beside this one, or in PATH. Its
 * options are its own. Gives an exit status if it is not there.
 */
static int doctor(char **argv)
{
	static char name[] = "holdfast-doctor";
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(name) - 1);
	char *slash;

	argv[0] = name;
	path[n > 0 ? n : 0] = 0;
	slash = strrchr(path, '/');
	if (slash) {
		memcpy(slash + 1, name, sizeof(name));
		execv(path, argv);
	}
	execvp(name, argv);
	fprintf(stderr,
		"holdfast: %s: %s: is it installed? (it is neither beside this program nor in "
		"PATH)\n",
		name, strerror(errno));
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct cli cli = { .socket = CONTROL_DEFAULT };
	json_t *answer;
	int rc;

	if (argc > 1 && !strcmp(argv[1], "doctor"))
		return doctor(argv + 1);
	cli.rq = json_object();
	rc = parse(&cli, argc, argv);

	if (rc < 0) {
		json_object_set_new(cli.rq, "cmd", json_string(cli.cmd->name));
		if (cli.given & OPT_FOLLOW) {
			rc = cli_witness_follow(cli.socket, cli.rq, cli.json);
		} else {
			answer = cli_ask(cli.socket, cli.rq);
			rc = answer ? show(&cli, answer) : EXIT_REFUSED;
			json_decref(answer);
		}
	}
	json_decref(cli.rq);
	return rc;
}
