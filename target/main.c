/* SPDX-License-Identifier: Apache-2.0 */
/* holdfastd: options, start, waiting for signals, stop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "target/config.h"
#include "target/control.h"
#include "target/daemon.h"
#include "target/history.h"
#include "target/log.h"
#include "target/net.h"
#include "target/presence.h"
#include "target/stop.h"
#include "target/store.h"
#include "target/witness.h"

static const char usage[] =
	"usage: holdfastd [--config FILE] [--check]\n"
	"  -c, --config FILE  configuration (default /etc/holdfast/holdfast.yaml), see "
	"holdfast.yaml(5)\n"
	"  -t, --check        read and check it, serve nothing; exit status 1 when it is wrong\n"
	"  -V, --version      print the version\n"
	"  -h, --help         print this\n";

struct options {
	const char *config;
	bool check;
};

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 't' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:tVh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 't':
			o->check = true;
			break;
		case 'V':
			printf("holdfastd %s\n", HOLDFAST_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "holdfastd: unexpected argument '%s' (expected options only)\n%s",
			argv[optind], usage);
		return 2;
	}
	return -1;
}

static void caps_told(struct lu_change *c)
{
	free(c);
}

/* A LU is ours at last: with what its former owner stored until the end. */
static void lock_won(struct lu *lu)
{
	struct lu_change *c = calloc(1, sizeof(*c));
	struct store_image img;
	int err = store_reload(lu->store, &img);

	if (!c)
		abort();
	if (err) {
		log_error("event=lun_failed lun=%s err=%d msg=\"it stays NOT READY: its "
			  "reservations cannot be read\"", lu->id.name, -err);
	} else {
		log_info("event=lun_ready lun=%s msg=\"the store's lock is ours now\"",
			 lu->id.name);
	}
	history_start(lu, daemon_state.cfg->state_dir, err ? NULL : &img);
	witness_start(lu, err ? NULL : &img);
	c->rq.kind = LU_CHANGE_CAPS;
	c->rq.caps = *backend_caps(lu->be);
	c->rq.not_ready = c->rq.damaged = err != 0;
	c->rq.pr = err ? NULL : img.pr;
	c->rq.has_saved = img.has_modes;
	c->rq.saved = img.saved;
	c->rq.failed = img.failed;
	c->rq.stored = img.version;
	c->done = caps_told;
	lu_change_submit(lu, c);
}

/*
 * LUs whose store is still locked by a daemon that is dying: try again. True while there are any.
 */
static bool retry_locks(void)
{
	bool waiting = false;

	for (unsigned i = 0; i < daemon_state.nlus; i++) {
		struct lu *lu = daemon_state.lus[i];

		if (!lu->be->busy)
			continue;
		if (backend_retry(lu->be))
			waiting = true;
		else
			lock_won(lu);
	}
	return waiting;
}

static void wait_for_signal(const sigset_t *set)
{
	for (;;) {
		struct timespec tick = { .tv_nsec = 200000000 };
		bool waiting = retry_locks();
		int sig = waiting ? sigtimedwait(set, NULL, &tick) : sigwaitinfo(set, NULL);

		if (sig == SIGTERM || sig == SIGINT) {
			log_info("event=signal name=%s", sig == SIGTERM ? "SIGTERM" : "SIGINT");
			return;
		}
		if (sig == SIGHUP)
			log_warn("event=signal name=SIGHUP msg=\"nothing is read again: a change "
				 "of the configuration takes a restart\"");
	}
}

/* A descriptor for each session, and the soft limit is made for programs that use select(). */
static void raise_files(const struct config *cfg)
{
	rlim_t want = (rlim_t)cfg->limits.sessions + cfg->limits.logins;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l))
		log_warn("event=limit what=files err=%d", errno);
	else if (l.rlim_max < want)
		log_warn("event=limit what=files have=%llu want=%llu msg=\"fewer than "
			 "limits.sessions and limits.logins: raise ulimit -n (LimitNOFILE=)\"",
			 (unsigned long long)l.rlim_max, (unsigned long long)want);
}

/* What the kernel still works on must not find its buffers freed, nor can it be waited for. */
static void end_now(unsigned unfinished)
{
	log_thread_leave();	/* with the lines that say why */
	log_last_words("event=stopped state=stopped unfinished=%u", unfinished);
	_exit(1);
}

static void tear_down(void)
{
	daemon_teardown(&daemon_state);
	if (works_pending())
		end_now(works_pending());
	reactors_stop();
}

static int serve(const struct config *cfg)
{
	struct reactor_options ro = { .count = cfg->reactors,
				      .driver = cfg->driver,
				      .workers = cfg->workers,
				      .poll_us = cfg->poll_us,
				      .lane = cfg->witness.lane && config_has_witness(cfg) };
	sigset_t set;
	unsigned bad;
	int err;

	/*
	 * Before any thread exists: they all inherit the mask, and the main thread waits for these.
	 */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGXFSZ);	/* a limit on file sizes is that write's error */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE);
	sigdelset(&set, SIGXFSZ);
	raise_files(cfg);
	if (net_bind(cfg))
		return 1;
	err = reactors_start(&ro);
	if (err)
		return 1;
	if (daemon_build(&daemon_state, cfg) || control_start(cfg)) {
		tear_down();
		return 1;
	}
	presence_start(cfg->state_dir);
	net_listen();
	log_info("event=ready state=ready version=%s reactors=%u driver=%s targets=%u luns=%u",
		 HOLDFAST_VERSION, reactor_count(), reactor_driver_name(), daemon_state.nnodes,
		 daemon_state.nlus);
	sd_notify(0, "READY=1");
	wait_for_signal(&set);
	sd_notify(0, "STOPPING=1");
	control_stop();
	bad = stop_service();
	bad += stop_works();
	if (bad)
		end_now(bad);
	presence_stop();
	/* The reactors idle by now; stores may still ring them while they are closed. */
	tear_down();
	log_info("event=stopped state=stopped failed_flushes=%u", bad);
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options o = { .config = "/etc/holdfast/holdfast.yaml" };
	struct config *cfg;
	int rc = parse_options(argc, argv, &o);

	if (rc >= 0)
		return rc;
	cfg = config_load(o.config, stderr);
	if (!cfg)
		return 1;
	log_init((enum log_level)cfg->log_level);
	if (o.check)
		printf("%s: ok, %u target%s\n", o.config, cfg->ntargets,
		       cfg->ntargets == 1 ? "" : "s");
	else
		rc = serve(cfg);
	config_free(cfg);
	return rc < 0 ? 0 : rc;
}
