/* SPDX-License-Identifier: Apache-2.0 */
/* The world: the daemon's lives and deaths, what happens when, and the command line. */
#include <assert.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/buf.h"
#include "target/config.h"
#include "target/conn.h"
#include "target/daemon.h"
#include "target/net.h"
#include "target/witness.h"
#include "tests/sim/hooks.h"
#include "tests/sim/initiator.h"
#include "tests/sim/sim.h"

struct world world;
int mutation_on;

static struct config *config;
static bool up;

bool daemon_up(void)
{
	return up;
}

/* ---- the daemon ---- */

static struct config *config_make(void)
{
	char text[4096];
	int n;
	struct config *c;

	n = snprintf(text, sizeof(text),
		     "state_dir: /sim\npr_retain: %s\nreactors: %u\nlimits: {commands: 24%s}\n"
		     "portals:\n- {name: a, listen: \"127.0.0.1:3260\", group: 1}\n"
		     "- {name: b, listen: \"127.0.0.1:3261\", group: 2}\n"
		     "targets:\n- name: iqn.2026-11.com.example:sim\n  luns:\n",
		     world.standard ? "standard" : "always", world.reactors,
		     world.big ? ", buffers: 16M" : world.crowded ? ", buffers: 64M" : "");
	for (unsigned i = 0; i < LUNS; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "  - {lun: %u, name: d%u, backend: memory, size: %llu, write_cache: "
			      "%s%s%s}\n",
			      i, i, (unsigned long long)(world.blocks[i] * DISK_BLOCK),
			      world.write_cache[i] ? "on" : "off",
			      world.filtered[i] ? ", filters: \"volatile:limit=64K\"" : "",
			      world.lane && !i ? ", type: witness, reserve6: on" : "");
	c = config_parse("sim.yaml", text, strlen(text), stderr);
	if (!c)
		abort();
	return c;
}

static void caps_told(struct lu_change *c)
{
	sim_free(c);
}

/* What main.c does until every store's lock is ours. */
static void retry_locks(void *arg, uint64_t n)
{
	bool waiting = false;

	for (unsigned i = 0; i < daemon_state.nlus; i++) {
		struct lu *lu = daemon_state.lus[i];
		struct lu_change *c;

		if (!lu->be->busy)
			continue;
		if (backend_retry(lu->be)) {
			waiting = true;
			continue;
		}
		c = sim_calloc(1, sizeof(*c));
		c->rq.kind = LU_CHANGE_CAPS;
		c->rq.caps = *backend_caps(lu->be);
		c->done = caps_told;
		witness_start(lu, &(struct store_image){ .pr = lu->value->v.pr });
		lu_change_submit(lu, c);
	}
	if (waiting)
		event_in(20 * MS, true, retry_locks, NULL, 0);
}

static void daemon_start(void)
{
	image_reset();
	sim_reactors_start(world.reactors, world.lane);
	config = config_make();
	if (daemon_build(&daemon_state, config))
		fail("the daemon does not start");
	oracle_rebooted();
	up = true;
	TRACE("the daemon is up, with %u reactors", world.reactors);
	retry_locks(NULL, 0);
}

/* All it leaves is what its disks and the kernel have. */
static void daemon_kill(bool power)
{
	TRACE("%s", power ? "POWER LOSS" : "KILL -9");
	up = false;
	witness_kill();
	oracle_kill(power);
	sim_works_kill();
	vsocks_kill();
	disks_kill(power);
	sim_boot++;
	sim_reactors_stop();
	mem_free_all();
	image_reset();
	config = NULL;
	if (power) {
		char id[40];

		snprintf(id, sizeof(id), "boot-%llu", (unsigned long long)sim_boot);
		setenv("HOLDFAST_BOOT_ID", id, 1);
	}
}

/* ---- a connection comes in ---- */

struct arrival {
	struct msg msg;
	int fd;
	const struct config_portal *portal;
};

static void arrived(struct msg *m)
{
	struct arrival *a = caa_container_of(m, struct arrival, msg);

	conn_new(a->fd, a->portal);
	sim_free(a);
}

void path_connect(struct path *p, struct vsock *s)
{
	struct arrival *a = sim_calloc(1, sizeof(*a));

	a->msg.fn = arrived;
	a->fd = vsock_fd(s);
	a->portal = &config->portals[p->nexus.tpgt - 1];
	daemon_state.half_open++;
	reactor_send(reactor_at((unsigned)rnd_below(reactor_dealt())), &a->msg);
}

void net_names(int fd, char *peer, char *local, size_t len)
{
	snprintf(peer, len, "sim:%d", fd);
	snprintf(local, len, "127.0.0.1:3260");
}

/* ---- what keeps memory by design ---- */

extern char __executable_start[]; /* the linker's */

bool mem_pooled(void *who, char *name, size_t len)
{
	static const struct {
		void *fn;
		size_t size;
	} pools[] = {
		{ (void *)(uintptr_t)task_new, 512 },
		{ (void *)(uintptr_t)conn_tx, 512 },
		{ (void *)(uintptr_t)lu_hold_ask, 512 },
	};
	char cmd[128];
	FILE *f;

	for (unsigned i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
		if ((char *)who >= (char *)pools[i].fn &&
		    (char *)who < (char *)pools[i].fn + pools[i].size)
			return true;
	snprintf(cmd, sizeof(cmd), "addr2line -f -e /proc/%d/exe %#lx", (int)getpid(),
		 (unsigned long)((char *)who - __executable_start));
	f = popen(cmd, "r");
	snprintf(name, len, "%p", who);
	if (f && fgets(name, (int)len, f))
		name[strcspn(name, "\n")] = 0;
	if (f)
		pclose(f);
	return !strcmp(name, "conn_readable") || !strcmp(name, "conn_ready");
}

/* ---- a world ---- */

/* Long commands on one data LUN, and the witness; nothing else that could delay anybody. */
static void world_crowd(void)
{
	world.crowded = world.lane = true;
	world.big = world.isolation = world.faults = world.flush_fails = world.starving = false;
	world.reserve6 = false;
	world.kills = world.tmf_share = world.drop_share = world.mode_share = 0;
	world.duration = rnd_between(8, 25) * MS;
	world.think_mean = rnd_between(50, 300) * US;
	world.depth = (unsigned)rnd_between(10, 18);
	world.favourite = 1 + (unsigned)rnd_below(LUNS - 1);
	for (unsigned i = 0; i < LUNS; i++)
		world.blocks[i] = i == world.favourite ? 2048 : 64;
}

static void world_make(void)
{
	memset(&world, 0, sizeof(world));
	world.reactors = (unsigned)rnd_between(1, rnd_chance(100) ? 8 : 4);
	world.lane = world.reactors > 1 && rnd_chance(250);
	npaths = world.paths = (unsigned)rnd_between(2, rnd_chance(100) ? PATHS_MAX : 8);
	world.duration = rnd_between(20, 120) * MS;
	world.turn_mean = rnd_between(1, 40) * US;
	world.msg_mean = rnd_between(1, 300) * US;
	world.io_mean = rnd_between(20, 3000) * US;
	world.net_mean = rnd_between(10, 400) * US;
	world.think_mean = rnd_between(100, 2000) * US;
	world.depth = (unsigned)rnd_between(1, 12);
	world.favourite = (unsigned)rnd_below(LUNS);
	for (unsigned i = 0; i < LUNS; i++) {
		world.blocks[i] = 64;
		world.filtered[i] = rnd_chance(250);
		world.write_cache[i] = rnd_chance(700);
	}
	world.big = rnd_chance(20);
	if (world.big)
		world.blocks[world.favourite] = 6000;
	world.standard = rnd_chance(300);
	world.starving = rnd_chance(500);
	world.faults = rnd_chance(200);
	world.flush_fails = rnd_chance(60);
	world.reserve6 = rnd_chance(200);
	world.same_keys = rnd_chance(500);
	world.mode_share = rnd_chance(300) ? (unsigned)rnd_between(5, 40) : 0;
	world.isolation = rnd_chance(80);
	if (world.isolation) {
		world.depth = (unsigned)rnd_between(8, 24);
		world.stalled_lun = (unsigned)rnd_below(LUNS);
	}
	world.kills = rnd_chance(world.faults ? 800 : 400) ? 1 + (unsigned)rnd_below(3) : 0;
	world.pr_share = rnd_chance(150) ? 500 : (unsigned)rnd_between(10, 200);
	world.tmf_share = rnd_chance(500) ? 0 : (unsigned)rnd_between(5, 80);
	world.drop_share = rnd_chance(500) ? 0 : (unsigned)rnd_between(2, 40);
	world.clock_jumps = rnd_chance(300);
	if (world.reactors > 1 && rnd_chance(40))
		world_crowd();
}

static void restart(void *arg, uint64_t n)
{
	daemon_start();
}

static void kill_now(void *arg, uint64_t n)
{
	if (!up)
		return;
	daemon_kill(rnd_chance(500));
	event_in(rnd_delay(5 * MS), false, restart, NULL, 0);
}

static void stand_still(void *arg, uint64_t n)
{
	world.stalled_from = sim_now;
	world.stalled_to = sim_now + 3 * SEC;
	disk_stall(world.stalled_lun, world.stalled_to);
}

/* Now and then a reactor or a store stands still. */
static void trouble(void *arg, uint64_t end)
{
	if (sim_now >= end)
		return;
	event_in(rnd_delay(20 * MS) + MS, false, trouble, NULL, end);
	if (!up)
		return;
	switch (rnd_below(4)) {
	case 0:
		if (!world.clock_jumps)
			break;
		world.clock_set = rnd_chance(500) ? 0 : rnd_below(9000) * SEC;
		TRACE("the calendar is set to %llu s",
		      (unsigned long long)(world.clock_set / SEC));
		break;
	case 1:
		sim_reactors_stall((unsigned)rnd_below(world.reactors), rnd_delay(5 * MS));
		break;
	case 2:
		if (!world.isolation)
			disk_stall((unsigned)rnd_below(LUNS), sim_now + rnd_delay(20 * MS));
		break;
	default:
		break;
	}
}

static void run_until(uint64_t t)
{
	while (event_next() <= t && event_run())
		;
	if (sim_now < t)
		sim_now = t;
}

/* Until nothing is under way any more; what it takes is bounded. */
static void run_quiet(bool (*done)(void), const char *what)
{
	uint64_t end = sim_now + 60 * SEC, settled = sim_now + 5 * SEC;

	while (!done()) {
		if (sim_now > settled) {
			oracle_settled();
			settled = UINT64_MAX;
			continue;
		}
		if (event_next() > end || !event_run()) {
			oracle_end();
			fail("%s: not within a minute", what);
		}
	}
	run_until(sim_now + SEC);
}

static bool quiesced(void)
{
	return up && initiators_idle() && !oracle_busy();
}

static void pools_trim(void)
{
	for (unsigned i = 0; i < world.reactors; i++) {
		reactor_enter(reactor_at(i));
		buf_trim();
		reactor_leave();
	}
}

void sim_run_on(uint64_t ns)
{
	run_until(sim_now + ns);
}

static void daemon_end(void)
{
	witness_check(true);
	for (unsigned i = 0; i < daemon_state.nlus; i++)
		for (unsigned k = 0; k < world.reactors; k++) {
			struct lu_port *p = &daemon_state.lus[i]->ports[k];

			if (!cds_list_empty(&p->gates) || !cds_list_empty(&p->busy) ||
			    !cds_list_empty(&p->starting) || !cds_list_empty(&p->parked) ||
			    !cds_list_empty(&p->drains) || !cds_list_empty(&p->held))
				fail("lun %u reactor %u: something is left in the port", i, k);
			if (daemon_state.lus[i]->changing ||
			    !cds_list_empty(&daemon_state.lus[i]->holds))
				fail("lun %u: something is left at home", i);
		}
	if (daemon_state.nsessions || daemon_state.half_open)
		fail("%u sessions, %u logins left", daemon_state.nsessions, daemon_state.half_open);
	pools_trim();
	if (buf_used())
		fail("%llu bytes of buffers are not given back", (unsigned long long)buf_used());
	daemon_teardown(&daemon_state);
	config_free(config);
	config = NULL;
	if (mem_leaks())
		fail("memory is left");
	sim_boot++;
	sim_reactors_stop();
	mem_free_all();
	up = false;
}

static void world_run(uint64_t seed)
{
	core_start(seed);
	os_start();
	world_make();
	setenv("HOLDFAST_BOOT_ID", "boot-1", 1);
	TRACE("seed %llu: %u reactors, %u paths, %u kills, favourite lun %u%s",
	      (unsigned long long)seed, world.reactors, world.paths, world.kills, world.favourite,
	      world.filtered[world.favourite] ? " (volatile)" : "");
	disks_start();
	for (unsigned i = 0; i < LUNS; i++)
		disk_setup(i, world.blocks[i], world.filtered[i]);
	commands_start();
	initiators_start();
	oracle_start(npaths);
	daemon_start();
	for (unsigned i = 0; i < world.kills && !world.isolation; i++)
		event_in(rnd_below(world.duration), false, kill_now, NULL, 0);
	event_in(rnd_below(10 * MS), false, trouble, NULL, sim_now + world.duration);
	if (world.isolation)
		event_in(rnd_below(world.duration / 2), false, stand_still, NULL, 0);
	run_until(sim_now + world.duration);
	initiators_quiesce(true);
	run_quiet(quiesced, "commands");
	oracle_end();
	oracle_gates();
	initiators_logout();
	run_quiet(initiators_gone, "logout");
	daemon_end();
	oracle_stop();
	witness_forget();
	initiators_stop();
	disks_stop();
	os_stop();
	events_clear();
}

/* ---- the command line ---- */

static const char usage[] = "usage: sim [--seed N] [--seeds N] [--trace] [--stats] [--mutation N]\n"
			    "  --seed N      this world only, or the first of --seeds\n"
			    "  --seeds N     so many worlds (default 1)\n"
			    "  --trace       print what happens\n"
			    "  --stats       print at the end what was seen\n"
			    "  --mutation N  with the planted bug of that number "
			    "(target/mutate.h), where compiled in\n";

/* An assert in the daemon, or worse: names the world all the same. */
static void crashed(int sig)
{
	fail("signal %d", sig);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seeds", required_argument, NULL, 'n' },
		{ "trace", no_argument, NULL, 't' },
		{ "stats", no_argument, NULL, 'S' },
		{ "mutation", required_argument, NULL, 'm' },
		{ 0 },
	};
	uint64_t first = 1, n = 1, steps = 0;
	bool stats = false;
	int c, mutation = 0;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			first = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			n = strtoull(optarg, NULL, 0);
			break;
		case 't':
			sim_tracing = true;
			break;
		case 'S':
			stats = true;
			break;
		case 'm':
			mutation = atoi(optarg);
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	mutation_on = mutation;
	signal(SIGABRT, crashed);
	signal(SIGSEGV, crashed);
	image_save();
	for (uint64_t i = 0; i < n; i++) {
		world_run(first + i);
		steps += sim_steps;
	}
	if (stats) {
		oracle_stats();
		witness_stats();
		ahead_stats();
	}
	printf("%llu worlds, %llu events\n", (unsigned long long)n, (unsigned long long)steps);
	return 0;
}
