/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hf-bench: an iSCSI load generator that is lighter than the targets it measures. One thread,
 * epoll, one receive and one send per session and turn. tests/bench/README.md says how to use it
 * and what the figures mean; load.h is the load itself, session.h the login.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/bench/load.h"
#include "tests/bench/proc.h"

static struct {
	double seconds, warmup, patience;
	long pid;
	bool json, fill, idle, abrupt;
	const char *label;
} run = { .seconds = 1, .warmup = 0.2, .patience = 10, .label = "hf-bench" };

static struct {
	double seconds, target_us, gen_us, runs, fair;
	uint64_t ios;
} result;

static const char usage_text[] =
	"usage: hf-bench -t IQN [options]        drive an iSCSI target on loopback\n"
	"       hf-bench --floor [options]       drive the raw TCP floor server\n"
	"  -a ADDR -p PORT    where it listens (127.0.0.1, 3260)\n"
	"  -l LUN[,LUN...]    logical units, chosen at random per command (0)\n"
	"  -b SIZE[-SIZE]     bytes per command, 512 to 1M; a range: random lengths (4K)\n"
	"  -q DEPTH           commands outstanding per session, to 4096 (1)\n"
	"  -n SESSIONS        (1)\n"
	"  -r PERCENT         reads of all commands: 100 read, 0 write (100)\n"
	"  -s                 sequential; default random\n"
	"  -T SECONDS         measured time (1);  -w SECONDS before it, not measured (0.2)\n"
	"  -c COUNT           end after so many commands instead (-T then is the bound)\n"
	"  -R SIZE            use only the first SIZE bytes of a LUN (all; with -V 32M)\n"
	"  -V                 verify: stamped writes, reads checked, all read back at the end\n"
	"  --rate N           N commands a second, timed from when they were due, spread over the "
	"sessions\n"
	"  --idle             only log in, wait -T seconds, say what that costs process -P\n"
	"  -F                 fill: write the range once in order, then end\n"
	"  -P PID             measure that process's CPU time\n"
	"  --10               READ(10) and WRITE(10); default (16)\n"
	"  --hdigest --ddigest          ask for CRC32C\n"
	"  --mrdsl N --burst N --first N --r2ts N --initial-r2t --no-immediate    what to offer at "
	"login\n"
	"  --discard          drop long Data-In in the kernel, uncopied\n"
	"  --poll             never sleep\n"
	"  --fenced           RESERVATION CONFLICT, TASK ABORTED, unit attentions are no errors\n"
	"  --probe LUN        the first session times single commands on that LUN; -q 0: only\n"
	"                     those\n"
	"  --no-logout        at the end only close the connections\n"
	"  --patience SECONDS how long to wait for the last answers (10)\n"
	"  --seed N  --initiator IQN  --label TEXT  --json\n";

__attribute__((noreturn))
static void usage(const char *what)
{
	if (what)
		fprintf(stderr, "hf-bench: %s\n", what);
	fputs(usage_text, what ? stderr : stdout);
	exit(what ? 2 : 0);
}

static uint64_t size_of(const char *text, char **end)
{
	uint64_t v = strtoull(text, end, 10);
	const char *units = "KMGT", *u = **end ? strchr(units, **end & ~0x20) : NULL;

	if (u) {
		v <<= 10 * (u - units + 1);
		++*end;
	}
	return v;
}

static uint64_t size_arg(const char *text)
{
	char *end;
	uint64_t v = size_of(text, &end);

	if (*end)
		usage("not a size");
	return v;
}

static void range_arg(const char *text)
{
	char *end;
	uint64_t min = size_of(text, &end), max = min;

	if (*end == '-')
		max = size_of(end + 1, &end);
	if (*end || min < 512 || max > LEN_MAX || max < min || min % 512 || max % 512)
		usage("-b: 512 to 1M, multiples of 512");
	g.len_min = (uint32_t)min;
	g.len_max = (uint32_t)max;
}

static void luns_arg(char *text)
{
	g.nluns = 0;			/* the last -l counts */
	for (char *p = strtok(text, ","); p; p = strtok(NULL, ",")) {
		unsigned long n = strtoul(p, NULL, 10);
		struct lun *u = &g.luns[g.nluns < LUNS ? g.nluns : 0];

		if (n > 16383 || ++g.nluns > LUNS)
			usage("-l: at most 4096 LUNs of 0 to 16383");
		u->number = (unsigned)n;
		u->address[0] = (uint8_t)(n < 256 ? 0 : 0x40 | n >> 8);
		u->address[1] = (uint8_t)n;
	}
}

enum {
	L_10 = 256,
	L_FLOOR,
	L_HDIGEST,
	L_DDIGEST,
	L_MRDSL,
	L_BURST,
	L_FIRST,
	L_R2TS,
	L_IR2T,
	L_NOIMM,
	L_DISCARD,
	L_POLL,
	L_SEED,
	L_INITIATOR,
	L_LABEL,
	L_JSON,
	L_PATIENCE,
	L_RATE,
	L_IDLE,
	L_FENCED,
	L_NOLOGOUT,
	L_PROBE
};

static const struct option long_options[] = {
	{ "10", no_argument, NULL, L_10 },
	{ "floor", no_argument, NULL, L_FLOOR },
	{ "hdigest", no_argument, NULL, L_HDIGEST },
	{ "ddigest", no_argument, NULL, L_DDIGEST },
	{ "mrdsl", required_argument, NULL, L_MRDSL },
	{ "burst", required_argument, NULL, L_BURST },
	{ "first", required_argument, NULL, L_FIRST },
	{ "r2ts", required_argument, NULL, L_R2TS },
	{ "initial-r2t", no_argument, NULL, L_IR2T },
	{ "no-immediate", no_argument, NULL, L_NOIMM },
	{ "discard", no_argument, NULL, L_DISCARD },
	{ "poll", no_argument, NULL, L_POLL },
	{ "seed", required_argument, NULL, L_SEED },
	{ "initiator", required_argument, NULL, L_INITIATOR },
	{ "label", required_argument, NULL, L_LABEL },
	{ "json", no_argument, NULL, L_JSON },
	{ "patience", required_argument, NULL, L_PATIENCE },
	{ "rate", required_argument, NULL, L_RATE },
	{ "idle", no_argument, NULL, L_IDLE },
	{ "fenced", no_argument, NULL, L_FENCED },
	{ "no-logout", no_argument, NULL, L_NOLOGOUT },
	{ "probe", required_argument, NULL, L_PROBE },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void option_long(int o)
{
	switch (o) {
	case L_10: g.cdb10 = true; break;
	case L_FLOOR: g.floor = true; break;
	case L_HDIGEST: g.offer.hdigest = true; break;
	case L_DDIGEST: g.offer.ddigest = true; break;
	case L_MRDSL: g.offer.mrdsl = (uint32_t)size_arg(optarg); break;
	case L_BURST: g.offer.max_burst = (uint32_t)size_arg(optarg); break;
	case L_FIRST: g.offer.first_burst = (uint32_t)size_arg(optarg); break;
	case L_R2TS: g.offer.max_r2t = (uint32_t)atoi(optarg); break;
	case L_IR2T: g.offer.initial_r2t = true; break;
	case L_NOIMM: g.offer.immediate = false; break;
	case L_DISCARD: g.discard = true; break;
	case L_POLL: g.poll = true; break;
	case L_SEED: g.rng = strtoull(optarg, NULL, 0) * 2 + 1; break;
	case L_INITIATOR: g.offer.initiator = optarg; break;
	case L_LABEL: run.label = optarg; break;
	case L_RATE: g.rate = atof(optarg); break;
	case L_IDLE: run.idle = true; break;
	case L_NOLOGOUT: run.abrupt = true; break;
	case L_PATIENCE: run.patience = atof(optarg); break;
	case L_PROBE:
		probe.on = true;
		probe.lun[1] = (uint8_t)atoi(optarg);
		break;
	case L_FENCED: g.fenced = true; break;
	case L_JSON: run.json = true; break;
	default: usage("unknown option");
	}
}

static void option(int o)
{
	switch (o) {
	case 'h': usage(NULL);
	case 't': g.offer.target = optarg; break;
	case 'a': g.offer.host = optarg; break;
	case 'p': g.offer.port = (unsigned)atoi(optarg); break;
	case 'l': luns_arg(optarg); break;
	case 'b': range_arg(optarg); break;
	case 'q': g.qd = (unsigned)atoi(optarg); break;
	case 'n': g.sessions = (unsigned)atoi(optarg); break;
	case 'r': g.read_pct = (unsigned)atoi(optarg); break;
	case 's': g.seq = true; break;
	case 'T': run.seconds = atof(optarg); break;
	case 'w': run.warmup = atof(optarg); break;
	case 'c': g.count = strtoull(optarg, NULL, 10); break;
	case 'R': g.range = size_arg(optarg); break;
	case 'V': g.verify = true; break;
	case 'F': run.fill = true; break;
	case 'P': run.pid = atol(optarg); break;
	default: option_long(o);
	}
}

static void options(int argc, char **argv)
{
	int o;

	g.offer = (struct offer){ .host = "127.0.0.1",
				  .port = 3260,
				  .initiator = "iqn.2026-11.com.example:hf-bench",
				  .immediate = true,
				  .mrdsl = 262144,
				  .max_burst = 1 << 20,
				  .first_burst = 262144,
				  .max_r2t = 4 };
	g.sessions = g.qd = 1;
	g.read_pct = 100;
	g.len_min = g.len_max = 4096;
	g.count = ~0ull;
	g.rng = 0x9e3779b97f4a7c15u;
	while ((o = getopt_long(argc, argv, "ht:a:p:l:b:q:n:r:sT:w:c:R:VFP:", long_options,
				NULL)) != -1)
		option(o);
	if (optind != argc)
		usage("too many arguments");
	if (!g.floor && !g.offer.target)
		usage("-t: which target?");
	if (probe.on && g.floor)
		usage("--probe: not with the floor");
	if ((!g.qd && !probe.on) || g.qd + probe.on > QD_MAX || !g.sessions ||
	    g.sessions > 100000 || g.read_pct > 100)
		usage("-q 1 to 4096, -n 1 to 100000, -r 0 to 100");
	if (g.rate < 0 || g.rate > 1e8 || (run.idle && !run.pid))
		usage("--rate: commands a second; --idle needs -P");
	if (run.seconds <= 0 || run.seconds > 3600 || run.warmup < 0 || run.warmup > 3600 ||
	    run.patience < 0 || run.patience > 3600)
		usage("-T and -w: seconds, to 3600");
	if (!g.qd)
		g.nluns = 0;
	else if (!g.nluns)
		luns_arg((char[]){ "0" });
	if (run.fill) {
		g.verify = false;
		g.seq = true;
		g.read_pct = 0;
		g.sessions = 1;
		run.warmup = 0;
	}
	if (g.floor)
		g.cdb10 = false;		/* it knows one shape */
	if (g.count != ~0ull)
		run.warmup = 0;
	if (!g.range)
		g.range = g.verify ? 32 << 20 : ~0ull;
}

/* Sizes are known: is the request possible on these LUNs? */
static bool luns_prepare(void)
{
	for (unsigned i = 0; i < g.nluns; i++) {
		struct lun *u = &g.luns[i];
		uint64_t bytes;

		if (g.floor) {
			u->block_size = 512;
			u->blocks = (g.range == ~0ull ? 1ull << 30 : g.range) / 512;
		}
		bytes = u->blocks * u->block_size;
		if (bytes > g.range)
			bytes = g.range;
		if (u->block_size < 512 || g.len_min % u->block_size || g.len_max % u->block_size ||
		    g.len_max > bytes ||
		    (g.cdb10 && (u->blocks > 0xffffffffu || g.len_max / u->block_size > 65535))) {
			fprintf(stderr,
				"hf-bench: lun %u: %" PRIu64
				" blocks of %u bytes do not allow that\n",
				u->number, u->blocks, u->block_size);
			return false;
		}
		if (g.verify && stamps_init(&u->stamps, bytes, rnd())) {
			fprintf(stderr, "hf-bench: no memory\n");
			return false;
		}
		if (run.fill)
			g.count = bytes / g.len_max;
	}
	return true;
}

static struct session *sessions_open(void)
{
	static struct session *all;		/* lives until the process ends */
	struct rlimit files;

	all = calloc(g.sessions, sizeof(*all));
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < g.sessions + 64) {
		files.rlim_cur =
			g.sessions + 64 < files.rlim_max ? g.sessions + 64 : files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	st.ep = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; all && i < g.sessions; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &all[i] };

		if (session_open(&all[i], i) || epoll_ctl(st.ep, EPOLL_CTL_ADD, all[i].l.fd, &e))
			return NULL;
	}
	return all && luns_prepare() ? all : NULL;
}

static int sessions_logout(struct session *all)
{
	for (unsigned i = 0; i < g.sessions && !g.floor && !run.abrupt; i++)
		if (link_logout(&all[i].l))
			return -1;
	return 0;
}

static unsigned all_busy(const struct session *all)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g.sessions; i++)
		n += all[i].busy;
	return n;
}

static int all_fill(struct session *all, uint64_t now)
{
	st.starved = false;
	for (unsigned i = 0; i < g.sessions; i++) {
		session_fill(&all[i], now);
		if (session_flush(&all[i]))
			return -1;
	}
	return 0;
}

/*
 * What is due at the rate asked for, one session after the other. A command that finds no free tag
 * is late, and its time says so.
 */
static int rate_fill(struct session *all, uint64_t now)
{
	static uint64_t begun, issued;
	static unsigned next;
	uint64_t due;

	if (!begun)
		begun = now;
	for (unsigned tried = 0; tried < g.sessions;) {
		struct session *s = &all[next % g.sessions];

		due = begun + (uint64_t)((double)issued * 1e9 / g.rate);
		if (due > now)
			break;
		if (session_issue(s, due)) {
			issued++;
			tried = 0;
			if (session_flush(s))
				return -1;
		} else {
			tried++;
		}
		next++;
	}
	return 0;
}

static void stuck(const struct session *all, uint64_t now)
{
	for (unsigned i = 0; i < g.sessions; i++)
		for (unsigned k = 0; k < g.qd; k++) {
			const struct tag *t = &all[i].tags[k];

			if (!t->busy)
				continue;
			fprintf(stderr,
				"hf-bench: no answer: session %u of %u busy %u, %s of %u bytes at "
				"%" PRIu64 " after %.1f s, "
				"%u in, %u out; unsent PDUs %u\n",
				i, g.sessions, all_busy(all), t->write ? "write" : "read", t->len,
				t->off, (double)(now - t->start) / 1e9, t->got, t->given,
				all[i].put - all[i].get);
			return;
		}
	fprintf(stderr, "hf-bench: commands stay unissued: the command window is closed\n");
}

struct marks {
	uint64_t at, cpu;
	struct proc_cpu target;
};

static uint64_t own_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool mark(struct marks *m)
{
	if (run.pid && !proc_cpu(run.pid, &m->target)) {
		fprintf(stderr, "hf-bench: no process %ld\n", run.pid);
		return false;
	}
	if (!run.pid)
		memset(&m->target, 0, sizeof(m->target));
	m->cpu = own_cpu();
	m->at = now_ns();
	return true;
}

/* From here on it counts. */
static bool measure_begin(struct session *all, struct marks *m)
{
	memset(&st.hist, 0, sizeof(st.hist));
	memset(probe.hist, 0, sizeof(probe.hist));
	st.reads = st.writes = st.bytes = 0;
	st.busy = st.shut_out = st.aborted = 0;
	for (unsigned i = 0; i < g.sessions; i++)
		all[i].ios = 0;
	return mark(m);
}

static bool measure_end(const struct session *all, const struct marks *m)
{
	struct marks end;
	uint64_t least = ~0ull;
	double n;

	if (!mark(&end))
		return false;
	result.ios = st.reads + st.writes;
	n = result.ios ? (double)result.ios : 1;
	result.seconds = (double)(end.at - m->at) / 1e9;
	result.target_us = (double)(end.target.ns - m->target.ns) / 1e3 / n;
	if (end.target.runs > m->target.runs)
		result.runs = (double)(end.target.runs - m->target.runs) / n;
	result.gen_us = (double)(end.cpu - m->cpu) / 1e3 / n;
	for (unsigned i = 0; i < g.sessions; i++)
		if (all[i].ios < least)
			least = all[i].ios;
	result.fair = (double)least * g.sessions / n;
	return true;
}

static void report(void)
{
	const struct hist *h = &st.hist;
	static const char *const fmt[2] = {
		"label=%s ios=%" PRIu64
		" seconds=%.3f iops=%.0f mbs=%.1f mean=%.1f p50=%.1f p99=%.1f p999=%.1f max=%.1f "
		"cpu=%.3f gen=%.3f runs=%.3f fair=%.2f busy=%" PRIu64 " shut_out=%" PRIu64
		" aborted=%" PRIu64
		" r2ts=%" PRIu64 " checked=%" PRIu64 "\n",
		"{\"label\": \"%s\", \"ios\": %" PRIu64
		", \"seconds\": %.3f, \"iops\": %.0f, \"mbs\": %.1f, \"mean\": %.1f, "
		"\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, \"cpu\": %.3f, "
		"\"gen\": %.3f, \"runs\": %.3f, "
		"\"fair\": %.2f, \"busy\": %" PRIu64 ", \"shut_out\": %" PRIu64
		", \"aborted\": %" PRIu64 ", \"r2ts\": %" PRIu64 ", \"checked\": %" PRIu64 "}\n",
	};

	printf(fmt[run.json], run.label, result.ios, result.seconds,
	       (double)result.ios / result.seconds, (double)st.bytes / result.seconds / 1e6,
	       h->n ? (double)h->sum / (double)h->n / 1e3 : 0, hist_us(h, 0.5), hist_us(h, 0.99),
	       hist_us(h, 0.999), (double)h->max / 1e3, result.target_us, result.gen_us,
	       result.runs, result.fair, st.busy, st.shut_out, st.aborted, st.r2ts, st.checked);
}

/* Waits for answers, for the probe's next turn, or a little. */
static int wait_ready(struct epoll_event *ev, int n)
{
	struct timespec ts = { .tv_nsec = g.poll || g.rate > 0 ? 0 : 20000000 };

	if (probe.on && ts.tv_nsec && probe.due != ~0ull) {
		uint64_t now = now_ns();

		ts.tv_nsec = probe.due > now ? (long)(probe.due - now) : 0;
	}
	return epoll_pwait2(st.ep, ev, n, &ts, NULL);
}

static volatile sig_atomic_t ended;

static void end_asked(int sig)
{
	ended = 1;
}

/*
 * Runs the load to its end, or until SIGINT or SIGTERM: 0, 1 something was wrong, 3 the target does
 * not answer.
 */
static int load_run(struct session *all)
{
	struct epoll_event ev[256];
	uint64_t now = now_ns(), begin = now + (uint64_t)(run.warmup * 1e9);
	uint64_t end = begin + (uint64_t)(run.seconds * 1e9),
		 give_up = end + (uint64_t)(run.patience * 1e9);
	bool measuring = false;
	struct marks m;

	signal(SIGINT, end_asked);
	signal(SIGTERM, end_asked);
	if (run.warmup == 0) {			/* a counted run counts all of it */
		measuring = true;
		if (!measure_begin(all, &m))
			return 1;
	}
	if (all_fill(all, now))
		return 1;
	for (;;) {
		int n = wait_ready(ev, 256);

		if (n <= 0)
			now = now_ns();
		for (int i = 0; i < n; i++)
			if (session_ready(ev[i].data.ptr, &now))
				return 1;
		if (g.rate > 0 && !st.readback && rate_fill(all, now))
			return 1;
		if (probe.on && probe.due != ~0ull && probe_fill(&all[0]))
			return 1;
		if (st.starved && all_fill(all, now))
			return 1;
		if (!measuring && now >= begin) {
			measuring = true;
			if (!measure_begin(all, &m))
				return 1;
		}
		if (ended && end > now) {
			end = now;
			give_up = end + (uint64_t)(run.patience * 1e9);
		}
		if (!st.stopping && (now >= end || !g.count) && (now >= end || !all_busy(all))) {
			if (!measuring || !measure_end(all, &m))
				return 1;
			st.stopping = true;
		}
		if (st.stopping && !all_busy(all)) {
			if (!g.verify || st.readback)
				return 0;
			g.count = ~0ull;
			st.readback = true;
			if (all_fill(all, now))
				return 1;
			if (!all_busy(all))
				return 0;
		}
		if (now >= give_up) {
			stuck(all, now);
			return 3;
		}
	}
}

/*
 * Logs in, waits, and says what idle sessions cost: resident memory and CPU time of process -P.
 * Pings are answered, or the target would end the sessions (RFC 7143 11.19).
 */
static int idle_run(void)
{
	uint64_t rss = proc_rss(run.pid), begin, now;
	struct session *all = sessions_open();
	struct epoll_event ev[256];
	struct proc_cpu a, b;

	usleep(300000);				/* what the logins left to do */
	if (!all || !proc_cpu(run.pid, &a))
		return 2;
	st.stopping = true;			/* no commands */
	begin = now = now_ns();
	while ((double)(now - begin) < run.seconds * 1e9) {
		int n = wait_ready(ev, 256);

		for (int i = 0; i < n; i++)
			if (session_ready(ev[i].data.ptr, &now))
				return 1;
		now = now_ns();
	}
	if (!proc_cpu(run.pid, &b))
		return 1;
	printf("label=%s idle_sessions=%u kib_per_session=%.2f cpu_percent=%.3f\n", run.label,
	       g.sessions, ((double)proc_rss(run.pid) - (double)rss) / 1024 / g.sessions,
	       100.0 * (double)(b.ns - a.ns) / (double)(now_ns() - begin));
	return sessions_logout(all) ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct session *all;
	int rc;

	options(argc, argv);
	for (unsigned i = 0; i < sizeof(st.pattern) / 8; i++)
		((uint64_t *)(void *)st.pattern)[i] = i * 0x9e3779b97f4a7c15u;
	if (run.idle)
		return idle_run();
	all = sessions_open();
	if (!all)
		return 2;
	rc = load_run(all);
	if (rc)
		return rc;
	if (g.qd)
		report();
	if (probe.on)
		probe_report(run.label);
	return sessions_logout(all) ? 1 : 0;
}
