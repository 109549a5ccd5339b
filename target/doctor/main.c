/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast-doctor: the command line, the run, and what each check may. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <iscsi/iscsi.h>

#include "target/doctor/doctor.h"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_INTERRUPTED = 130,
	TIMEOUTS_MAX = 4,
	LIMIT_DEFAULT_S = 10,
	LIMIT_MAX_S = 600,
	ISCSI_PORT = 3260
};

volatile int doctor_stop;

static const struct check *const groups[] = {
	checks_disk,	    checks_data,  checks_pr,	  checks_fence,
	checks_arbitration, checks_abort, checks_session, checks_last,
};
enum { NGROUPS = sizeof(groups) / sizeof(groups[0]), CHECKS_MAX = 128 };

/* ---- verdicts ------------------------------------------------------------------------- */

static void worsen(struct doctor *d, enum verdict v, const char *fmt, va_list ap)
{
	struct result *r = d->now;

	if (!r || (v == PASS ? r->verdict != PASS || r->text[0] : v <= r->verdict))
		return;
	r->verdict = v;
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
}

#define VERDICT(name, verdict)                                    \
	void check_##name(struct doctor *d, const char *fmt, ...) \
	{                                                         \
		va_list ap;                                       \
                                                                  \
		va_start(ap, fmt);                                \
		worsen(d, verdict, fmt, ap);                      \
		va_end(ap);                                       \
	}
VERDICT(fail, FAIL)
VERDICT(warn, WARN)
VERDICT(skip, SKIPPED)
VERDICT(note, PASS)

void check_line(struct doctor *d, const char *node, const char *sent, const char *answer, double ms)
{
	struct result *r = d->now;
	struct line *l;

	if (!r)
		return;
	l = realloc(r->lines, (r->nlines + 1) * sizeof(*l));
	if (!l)
		abort();
	r->lines = l;
	l += r->nlines++;
	snprintf(l->node, sizeof(l->node), "%s", node);
	snprintf(l->sent, sizeof(l->sent), "%s", sent);
	snprintf(l->answer, sizeof(l->answer), "%s", answer);
	l->ms = ms;
}

/* ---- the command line ----------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: holdfast doctor [OPTIONS] iscsi://[USER%PASSWORD@]HOST[:PORT]/TARGET/LUN\n\n"
	      "Plays what Windows and Linux clusters send to a disk, against any iSCSI target, on "
	      "a "
	      "LUN nobody uses,\nand says what came back and what it means.\n\n"
	      "  -2, --second-portal HOST[:PORT]  a second path to the LUN\n"
	      "  -w, --allow-writes               also write: 512 KiB near the end, saved and "
	      "restored\n"
	      "  -F, --foreign-ok                 go on if others are registered, with what cannot "
	      "disturb them\n"
	      "  -j, --json                       one JSON document, with everything sent and "
	      "answered\n"
	      "  -v, --verbose                    everything sent and answered, also of what "
	      "passed\n"
	      "  -o, --only NAME[,NAME...]        only these checks\n"
	      "  -l, --list                       the checks there are\n"
	      "  -t, --time-limit SECONDS         for one command (default 10)\n"
	      "  -r, --real-time                  arbitration in Windows' times, not a tenth of "
	      "them\n"
	      "  -i, --initiator NAME             the initiator name of all nodes (default: one "
	      "each)\n"
	      "  -R, --restart COMMAND            a shell command that restarts the target: do "
	      "reservations survive?\n"
	      "  -V, --version, -h, --help\n\n"
	      "Exit status: 0 nothing failed, 1 something failed, 2 usage, no connection, or a LUN "
	      "in use.\n",
	      out);
}

static void list(void)
{
	for (unsigned g = 0; g < NGROUPS; g++)
		for (const struct check *c = groups[g]; c->name; c++)
			printf("%-24s%s%s\n", c->name, c->title,
			       c->needs & NEED_WRITES ? " (--allow-writes)" : "");
}

static int refuse(const char *fmt, const char *arg)
{
	fputs("holdfast doctor: ", stderr);
	fprintf(stderr, fmt, arg);
	fputs("\n", stderr);
	return EXIT_USAGE;
}

static bool name_in(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, name, len) && (p[len] == ',' || !p[len]))
			return true;
	return false;
}

/* The first of a list. */
static bool known(const char *list)
{
	size_t len = strcspn(list, ",");

	for (unsigned g = 0; g < NGROUPS; g++)
		for (const struct check *c = groups[g]; c->name; c++)
			if (strlen(c->name) == len && !strncmp(c->name, list, len))
				return true;
	return false;
}

/* -1: go on. */
static int parse_url(struct doctor *d)
{
	struct iscsi_context *ctx = iscsi_create_context("iqn.2026-11.com.example:doctor");
	struct iscsi_url *u = ctx ? iscsi_parse_full_url(ctx, d->url) : NULL;

	if (!u) {
		fprintf(stderr,
			"holdfast doctor: '%s' is no URL of a LUN (expected "
			"iscsi://[USER%%PASSWORD@]HOST[:PORT]/TARGET/LUN)\n",
			d->url);
		iscsi_destroy_context(ctx);
		return EXIT_USAGE;
	}
	snprintf(d->portal, sizeof(d->portal), "%s", u->portal);
	snprintf(d->target, sizeof(d->target), "%s", u->target);
	snprintf(d->user, sizeof(d->user), "%s", u->user);
	snprintf(d->password, sizeof(d->password), "%s", u->passwd);
	snprintf(d->target_user, sizeof(d->target_user), "%s", u->target_user);
	snprintf(d->target_password, sizeof(d->target_password), "%s", u->target_passwd);
	d->lun = u->lun;
	iscsi_destroy_url(u);
	if (d->second) {
		char url[300];

		snprintf(url, sizeof(url), "iscsi://%s", d->second);
		u = iscsi_parse_portal_url(ctx, url);
		if (u)
			snprintf(d->portal2, sizeof(d->portal2), "%s", u->portal);
		iscsi_destroy_url(u);
	}
	iscsi_destroy_context(ctx);
	if (d->second && !d->portal2[0])
		return refuse("'%s' is no portal (expected HOST[:PORT])", d->second);
	return -1;
}

static int parse(struct doctor *d, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "second-portal", required_argument, NULL, '2' },
		{ "allow-writes", no_argument, NULL, 'w' },
		{ "foreign-ok", no_argument, NULL, 'F' },
		{ "json", no_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "only", required_argument, NULL, 'o' },
		{ "list", no_argument, NULL, 'l' },
		{ "time-limit", required_argument, NULL, 't' },
		{ "real-time", no_argument, NULL, 'r' },
		{ "initiator", required_argument, NULL, 'i' },
		{ "restart", required_argument, NULL, 'R' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char *end;
	long s;
	int c;

	while ((c = getopt_long(argc, argv, "2:wFjvo:lt:ri:R:Vh", longs, NULL)) != -1) {
		switch (c) {
		case '2':
			d->second = optarg;
			break;
		case 'w':
			d->writes = true;
			break;
		case 'F':
			d->foreign_ok = true;
			break;
		case 'j':
			d->json = true;
			break;
		case 'v':
			d->verbose = true;
			break;
		case 'o':
			d->only = optarg;
			for (const char *p = optarg; p;
			     p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
				if (!known(p))
					return refuse("there is no check '%s' (--list shows them)",
						      p);
			break;
		case 'l':
			list();
			return 0;
		case 't':
			errno = 0;
			s = strtol(optarg, &end, 10);
			if (errno || *end || end == optarg || s < 1 || s > LIMIT_MAX_S)
				return refuse("a time limit is 1 to 600 seconds, not '%s'", optarg);
			d->limit_ms = (unsigned)s * 1000;
			break;
		case 'r':
			d->real_time = true;
			break;
		case 'i':
			if (strlen(optarg) > 223)
				return refuse("'%s' is too long for an initiator name", optarg);
			d->initiator = optarg;
			break;
		case 'R':
			d->restart = optarg;
			break;
		case 'V':
			printf("holdfast doctor %s\n", HOLDFAST_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			return refuse("%s shows the options", "'holdfast doctor --help'");
		}
	}
	if (optind + 1 != argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	d->url = argv[optind];
	return parse_url(d);
}

/* ---- the run -------------------------------------------------------------------------- */

static void nodes_init(struct doctor *d)
{
	static const struct {
		const char *label, *host;
		uint8_t key;
	} who[MAIN_NODES] = { { "A", "a", 1 }, { "A2", "a", 1 }, { "B", "b", 2 }, { "C", "c", 3 } };
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint32_t)now_us();
	/* 24 bits of mark, 24 random bits; the last 16 are the node. */
	d->mark = (uint64_t)KEY_MARK << 24 | (random & 0xffffff);
	for (int i = 0; i < NODES; i++) {
		struct node *n = &d->nodes[i];

		n->d = d;
		n->label = i < MAIN_NODES ? who[i].label : "extra";
		n->portal = d->portal;
		n->isid = (random + (unsigned)i) & 0xffffff;
		if (i >= MAIN_NODES)
			continue;
		n->key = d->mark << 16 | who[i].key;
		if (d->initiator)
			snprintf(n->name, sizeof(n->name), "%s", d->initiator);
		else
			snprintf(n->name, sizeof(n->name), "iqn.2026-11.io.holdfast:doctor-%s",
				 who[i].host);
	}
	if (d->second)
		d->nodes[A2].portal = d->portal2;
}

static const char *cannot(const struct doctor *d, const struct check *c)
{
	if (d->timeouts >= TIMEOUTS_MAX)
		return "the target has stopped answering";
	if (c->needs & NEED_WRITES && !d->writes)
		return "it writes: say --allow-writes";
	if (c->needs & NEED_WRITES && !d->scratch_blocks)
		return "the LUN is smaller than 8 MiB: there is no room to write";
	if (c->needs & NEED_RESTART && !d->restart)
		return "say how the target is restarted: --restart COMMAND";
	if (c->needs & (NEED_ALONE | NEED_WRITES) && d->nforeign)
		return "others are registered, and might be disturbed";
	return NULL;
}

static void run_check(struct doctor *d, struct result *r)
{
	const char *why = cannot(d, r->check);
	int64_t start = now_us();
	bool ready = !why && clean_start(d);

	d->now = r;
	/* Once more: somebody may have registered meanwhile. */
	if (!why)
		why = cannot(d, r->check);
	if (why) {
		check_skip(d, "%s", why);
	} else if (!ready) {
		d->timeouts++;
		if (doctor_stop)
			check_skip(d, "interrupted");
		else
			check_fail(d, "it cannot begin, after the check before it: %s", d->why);
	} else if (r->check->steps) {
		steps_run(d, r->check->steps);
	} else {
		r->check->run(d);
	}
	r->seconds = (double)(now_us() - start) / 1e6;
	d->now = NULL;
}

static bool tell_start(struct doctor *d)
{
	if (!d->json)
		printf("holdfast doctor: LUN %d of %s at %s%s%s, %llu blocks of %u bytes%s\n\n",
		       d->lun, d->target, d->portal, d->second ? " and " : "",
		       d->second ? d->portal2 : "", (unsigned long long)d->blocks, d->block,
		       d->second && !d->ports_differ ? "; both portals are one target port" : "");
	if (!d->nforeign && !d->foreign_reserved)
		return true;
	if (d->foreign_ok) {
		if (!d->json)
			printf("%u registrations of others are left alone.\n\n", d->nforeign);
		return true;
	}
	snprintf(d->why, sizeof(d->why),
		 "the LUN is in use: %u registrations of others, the first with "
		 "key %016llx%s. --foreign-ok runs what cannot disturb them%s",
		 d->nforeign, d->nforeign ? (unsigned long long)d->foreign[0] : 0,
		 d->foreign_reserved ? ", and a reservation" : "",
		 d->nforeign && d->foreign[0] >> 40 == KEY_MARK
			 ? " (this key is of a holdfast doctor that was killed, or still runs)"
			 : "");
	return false;
}

static const struct check cleanup_check = {
	"cleanup",
	"the LUN is as it was found",
	"holdfast-doctor(8)",
	"None of our registrations and no reservation is left; what was overwritten is restored.",
	"Something of this run stays on the disk.",
	0,
	NULL,
	NULL,
};

static unsigned run_all(struct doctor *d, struct result *results)
{
	unsigned n = 0;

	for (unsigned g = 0; g < NGROUPS && !doctor_stop; g++)
		for (const struct check *c = groups[g]; c->name && !doctor_stop; c++) {
			if (d->only && !name_in(d->only, c->name))
				continue;
			results[n].check = c;
			run_check(d, &results[n]);
			if (!d->json && !doctor_stop) {
				print_result(d, &results[n]);
				/* Nobody reads any more: clean up and end. */
				if (fflush(stdout))
					doctor_stop = 1;
			}
			n++;
		}
	return n;
}

static void on_signal(int sig)
{
	(void)sig;
	doctor_stop = 1;
}

static int doctor(struct doctor *d)
{
	static struct result results[CHECKS_MAX];
	int64_t start = now_us();
	unsigned n = 0;
	bool failed = false, up = clean_survey(d) && tell_start(d);

	if (up) {
		n = run_all(d, results);
		results[n].check = &cleanup_check;
		d->why[0] = 0;
		if (!clean_end(d)) {
			results[n].verdict = FAIL;
			snprintf(results[n].text, sizeof(results[n].text), "%s", d->why);
		} else {
			d->why[0] = 0;
		}
		if (!d->json)
			print_result(d, &results[n]);
		n++;
	} else {
		for (int i = 0; i < NODES; i++)
			node_logout(&d->nodes[i]);
		fprintf(stderr, "holdfast doctor: %s\n", d->why);
	}
	for (unsigned i = 0; i < n; i++)
		failed |= results[i].verdict == FAIL;
	if (d->json)
		print_json(d, results, n, (double)(now_us() - start) / 1e6);
	else if (up)
		print_summary(d, results, n, (double)(now_us() - start) / 1e6);
	for (unsigned i = 0; i < n; i++)
		free(results[i].lines);
	if (fflush(stdout) || ferror(stdout))
		fprintf(stderr, "holdfast doctor: cannot print: %s\n", strerror(errno));
	if (doctor_stop) {
		fprintf(stderr, "holdfast doctor: interrupted%s\n",
			n && results[n - 1].verdict == PASS ? "; the LUN is as it was found" : "");
		return EXIT_INTERRUPTED;
	}
	return !up ? EXIT_USAGE : failed ? EXIT_FAILED : 0;
}

int main(int argc, char **argv)
{
	static struct doctor d = { .limit_ms = LIMIT_DEFAULT_S * 1000, .sibling = -1 };
	struct sigaction sa = { .sa_handler = on_signal };
	int rc = parse(&d, argc, argv);

	if (rc >= 0)
		return rc;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	/* A reader of our output that goes away must not keep us from cleaning up. */
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	nodes_init(&d);
	return doctor(&d);
}
