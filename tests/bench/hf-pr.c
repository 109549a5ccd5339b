/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hf-pr: persistent reservations beside a load of hf-bench's. It makes the state that a load is
 * measured in (`set`), and takes rights away from a running load again and again, timing every
 * command (`rounds`). It is a node of its own ("...:hf-pr"); the load's sessions are registered by
 * it with SPEC_I_PT (SPC-4 6.16.3), as a session cannot take part in a load and be used from here.
 */
#include <getopt.h>
#include <inttypes.h>

#include "tests/bench/hist.h"
#include "tests/bench/session.h"

enum {
	SA_REGISTER,
	SA_RESERVE,
	SA_RELEASE,
	SA_CLEAR,
	SA_PREEMPT,
	SA_PREEMPT_AND_ABORT,
	SA_REGISTER_AND_IGNORE,
	SA_REGISTER_AND_MOVE,
	SA_IN = 0x20,			/* PR IN service actions, here so much higher */
	SA_READ_KEYS = SA_IN,
	SA_READ_RESERVATION,
	SA_REPORT_CAPABILITIES,
	SA_READ_FULL_STATUS,
	SAS,
	SPEC_I_PT = 8,
	WERO = 5,			/* Write Exclusive, Registrants Only */
	KEY = 0x10ad,			/* what this node registers the load with */
	OWN = 0x0f00,
	SECOND = 1000000,
};

static const char *const sa_name[SAS + 1] = {
	[SAS] = "all",
	[SA_REGISTER] = "REGISTER",
	[SA_RESERVE] = "RESERVE",
	[SA_RELEASE] = "RELEASE",
	[SA_CLEAR] = "CLEAR",
	[SA_PREEMPT] = "PREEMPT",
	[SA_PREEMPT_AND_ABORT] = "PREEMPT_AND_ABORT",
	[SA_REGISTER_AND_IGNORE] = "REGISTER_AND_IGNORE",
	[SA_REGISTER_AND_MOVE] = "REGISTER_AND_MOVE",
	[SA_READ_KEYS] = "READ_KEYS",
	[SA_READ_RESERVATION] = "READ_RESERVATION",
	[SA_REPORT_CAPABILITIES] = "REPORT_CAPABILITIES",
	[SA_READ_FULL_STATUS] = "READ_FULL_STATUS",
};

static struct {
	struct offer offer;
	const char *load, *label;
	uint8_t lun[8];
	struct link l;
	struct hist hist[SAS + 1];	/* by service action; of all */
	uint64_t rng;
} p = {
	.offer = { .host = "127.0.0.1",
		   .port = 3260,
		   .initiator = "iqn.2026-11.com.example:hf-pr",
		   .immediate = true,
		   .mrdsl = 8192,
		   .max_burst = 262144,
		   .first_burst = 65536,
		   .max_r2t = 1 },
	.load = "iqn.2026-11.com.example:hf-bench",
	.label = "hf-pr",
	.rng = 88172645463325252u,
};

static const char usage_text[] =
	"usage: hf-pr -t IQN [-a ADDR] [-p PORT] [-l LUN] [--load IQN] [--label TEXT] COMMAND\n"
	"  set 0          no registration\n"
	"  set 1          this node alone is registered; no reservation\n"
	"  set N LOAD     N registrations: this node's, those of the load's first LOAD sessions,\n"
	"                 others; this node reserves: Write Exclusive, Registrants Only\n"
	"  rounds N LOAD  N times: registers the load's sessions, reserves, shuts them out in one\n"
	"                 of four ways (every second time PREEMPT AND ABORT), leaves; says the\n"
	"                 times of all commands\n";

__attribute__((noreturn))
static void usage(const char *what)
{
	if (what)
		fprintf(stderr, "hf-pr: %s\n", what);
	fputs(usage_text, what ? stderr : stdout);
	exit(what ? 2 : 0);
}

static void random_sleep_us(unsigned from, unsigned to)
{
	p.rng ^= p.rng << 13;
	p.rng ^= p.rng >> 7;
	p.rng ^= p.rng << 17;
	usleep(from + (unsigned)(p.rng % (to - from)));
}

/* One command until something else than a unit attention comes. Its time, if it came to GOOD, is
 * counted. */
static int command(unsigned sa, const struct command *wanted)
{
	struct command c;
	int st;

	do {
		uint64_t start = now_ns();

		c = *wanted;
		st = link_command(&p.l, &c);
		if (!st) {
			uint64_t took = now_ns() - start;

			hist_add(&p.hist[sa], took);
			hist_add(&p.hist[SAS], took);
		}
	} while (st == 2 && c.sense >> 16 == 6);
	if (st > 0)
		fprintf(stderr, "hf-pr: %s: status %02x sense %06x\n", sa_name[sa], st, c.sense);
	return st ? -1 : 0;
}

static int pr_out(unsigned sa, uint64_t key, uint64_t sa_key, uint8_t *param, uint32_t len)
{
	uint8_t basic[24] = { 0 }, cdb[10] = { 0x5f, (uint8_t)sa, WERO };
	struct command c = { p.lun, cdb, sizeof(cdb), .out = basic, .out_len = sizeof(basic) };

	if (param) {
		c.out = param;
		c.out_len = len;
	} else {
		param = basic;
	}
	be64_put(param, key);
	be64_put(param + 8, sa_key);
	be32_put(cdb + 5, c.out_len);
	return command(sa, &c);
}

static int pr_in(unsigned sa)
{
	static uint8_t buf[TEXT_MAX];
	uint8_t cdb[10] = { 0x5e, (uint8_t)(sa - SA_IN), [7] = sizeof(buf) >> 8 };
	struct command c = { p.lun, cdb, sizeof(cdb), .in = buf, .in_len = sizeof(buf) };

	return command(sa, &c);
}

/* The initiator port of one of link_login()'s sessions (SPC-4 7.6.4.6, format 01b); bytes put. */
static uint32_t transportid_put(uint8_t *out, const char *name, unsigned number)
{
	uint32_t n = (uint32_t)sprintf((char *)out + 4, "%s,i,0x80%08x00", name, number + 1) + 1;

	while (n < 20 || n % 4)
		out[4 + n++] = 0;
	out[0] = 0x45;
	out[1] = 0;
	out[2] = (uint8_t)(n >> 8);
	out[3] = (uint8_t)n;
	return n + 4;
}

/* Registers this node, the load's first sessions and so many others, all with KEY. */
static int register_all(unsigned load, unsigned others)
{
	static uint8_t param[SEND_MAX];
	uint32_t len = 28;

	memset(param, 0, 28);
	param[20] = SPEC_I_PT;
	for (unsigned i = 0; i < load + others; i++) {
		if (len > sizeof(param) - 300)
			usage("too many registrants");
		len += i < load ? transportid_put(param + len, p.load, i)
				: transportid_put(param + len, "iqn.2026-11.com.example:o", i);
	}
	be32_put(param + 24, len - 28);
	return pr_out(SA_REGISTER, 0, KEY, param, len);
}

static int all_clear(void)
{
	if (pr_out(SA_REGISTER_AND_IGNORE, 0, KEY, NULL, 0))
		return -1;
	return pr_out(SA_CLEAR, KEY, 0, NULL, 0);
}

static int state_set(unsigned registrants, unsigned load)
{
	if (registrants > 1 && registrants < load + 1)
		usage("more of the load than of all");
	if (all_clear())
		return -1;
	if (registrants == 1)
		return pr_out(SA_REGISTER, 0, KEY, NULL, 0);
	if (registrants > 1 && (register_all(load, registrants - load - 1) ||
				pr_out(SA_RESERVE, KEY, 0, NULL, 0)))
		return -1;
	return 0;
}

/* TAS=1 in the control mode page (SPC-4 7.5.8): who is preempted is told of each command. */
static int tas_on(void)
{
	uint8_t page[16], sense[6] = { 0x1a, 0x08, 0x0a, 0, sizeof(page) };
	uint8_t select[6] = { 0x15, 0x10, 0, 0, sizeof(page) };
	struct command get = { p.lun, sense, 6, .in = page, .in_len = sizeof(page) };
	struct command set = { p.lun, select, 6, .out = page, .out_len = sizeof(page) };

	if (link_command(&p.l, &get) || get.in_len < sizeof(page) || (page[4] & 0x3f) != 0x0a) {
		fprintf(stderr, "hf-pr: MODE SENSE: no control mode page\n");
		return -1;
	}
	memset(page, 0, 4);
	page[4] = 0x0a;
	page[9] |= 0x40;
	if (link_command(&p.l, &set)) {
		fprintf(stderr, "hf-pr: MODE SELECT: sense %06x\n", set.sense);
		return -1;
	}
	return 0;
}

/* The reservation goes to the load's first session and comes back by preempting that. */
static int move_away(void)
{
	uint8_t param[24 + 300] = { 0 };
	uint32_t n = transportid_put(param + 24, p.load, 0);

	param[19] = 1;			/* relative target port: portal group 1 */
	be32_put(param + 20, n);
	return pr_out(SA_REGISTER_AND_MOVE, OWN, KEY, param, 24 + n);
}

static int one_round(unsigned i, unsigned load)
{
	static const uint8_t ways[4] = { SA_PREEMPT_AND_ABORT, SA_PREEMPT, SA_PREEMPT_AND_ABORT,
					 SA_CLEAR };
	unsigned way = ways[i % 4];

	if (register_all(load, 0) || pr_out(SA_REGISTER_AND_IGNORE, 0, OWN, NULL, 0) ||
	    pr_out(SA_RESERVE, OWN, 0, NULL, 0) || pr_out(SA_REGISTER, OWN, OWN, NULL, 0))
		return -1;
	for (unsigned sa = SA_IN; sa < SAS; sa++)
		if (pr_in(sa))
			return -1;
	if (i % 8 >= 4 && move_away())
		return -1;
	random_sleep_us(2000, 12000);
	if (pr_out(way, OWN, KEY, NULL, 0))
		return -1;
	if (way == SA_CLEAR)
		return 0;
	random_sleep_us(500, 2000);	/* they are shut out for a while */
	return pr_out(SA_RELEASE, OWN, 0, NULL, 0) || pr_out(SA_REGISTER, OWN, 0, NULL, 0) ? -1 : 0;
}

static int rounds(unsigned n, unsigned load)
{
	if (tas_on() || all_clear())
		return -1;
	memset(p.hist, 0, sizeof(p.hist));
	for (unsigned i = 0; i < n; i++)
		if (one_round(i, load))
			return -1;
	for (unsigned sa = 0; sa <= SAS; sa++) {
		const struct hist *h = &p.hist[sa];

		if (h->n)
			printf("label=%s command=%s n=%" PRIu64
			       " p50=%.1f p99=%.1f max=%.1f late=%" PRIu64 "\n",
			       p.label, sa_name[sa], h->n, hist_us(h, 0.5), hist_us(h, 0.99),
			       (double)h->max / 1e3, hist_over(h, 100000000));
	}
	return 0;
}

static unsigned number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || !*text || v > SECOND)
		usage("not a number");
	return (unsigned)v;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "load", required_argument, NULL, 'L' },
		{ "label", required_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned n, load;
	int o;

	while ((o = getopt_long(argc, argv, "ht:a:p:l:", longs, NULL)) != -1)
		switch (o) {
		case 'h': usage(NULL);
		case 't': p.offer.target = optarg; break;
		case 'a': p.offer.host = optarg; break;
		case 'p': p.offer.port = number(optarg); break;
		case 'l': p.lun[1] = (uint8_t)number(optarg); break;
		case 'L': p.load = optarg; break;
		case 'x': p.label = optarg; break;
		default: usage("unknown option");
		}
	if (!p.offer.target || argc - optind < 2 || argc - optind > 3)
		usage("-t IQN and a command are needed");
	n = number(argv[optind + 1]);
	load = argc - optind == 3 ? number(argv[optind + 2]) : 0;
	if (link_connect(&p.l, p.offer.host, p.offer.port) || link_login(&p.l, &p.offer, 0) ||
	    link_ready(&p.l, p.lun))
		return 2;
	if (!strcmp(argv[optind], "set") ? state_set(n, load)
	    : !strcmp(argv[optind], "rounds") ? rounds(n, load)
					      : -1)
		return 1;
	return link_logout(&p.l) ? 1 : 0;
}
