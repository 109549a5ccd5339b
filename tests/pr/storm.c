/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon is killed (kill -9) in the middle of storms of PERSISTENT RESERVE OUT. After each
 * restart READ FULL STATUS gives exactly the state after the last command that was answered, or the
 * one after the command in flight. In even rounds six nexuses send all service actions, one command
 * at a time, and a model of SPC-4 5.13 here says what each comes to. In odd rounds all six change
 * their keys at once, and the old or the new key of each must be there, and PRGENERATION says how
 * many.
 *
 *	storm [KILLS]		default 30
 *
 * With PR_FAR (prcmd.h) each kill is a power cut of the machine the daemon runs in.
 *
 * Then, here only, pr_retain: with `standard` a new boot id (HOLDFAST_BOOT_ID) is a loss of power:
 * APTPL decides.
 */
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "tests/pr/prcmd.h"

enum { N = 6, KEYS = 3 };

static struct {
	char name[8];
	uint8_t isid;
	uint16_t port;
	struct wire *w;
} nx[N];

/* ---- the model ------------------------------------------------------------------------------- */

struct model {
	uint32_t generation;
	uint64_t key[N]; /* 0: not registered */
	int holder;	 /* -1: none, or all of them */
	uint8_t type;
};

struct command {
	unsigned from;
	uint8_t sa, type, flags;
	uint64_t key, sa_key;
	unsigned to; /* REGISTER AND MOVE */
};

static bool all_registrants(uint8_t type)
{
	return type == TYPE_WEAR || type == TYPE_EAAR;
}

static bool holds(const struct model *m, unsigned i)
{
	return m->type && m->key[i] && (all_registrants(m->type) || m->holder == (int)i);
}

static void release(struct model *m)
{
	m->type = 0;
	m->holder = -1;
}

static void unregister(struct model *m, unsigned i)
{
	bool any = false;

	m->key[i] = 0;
	for (unsigned k = 0; k < N; k++)
		any = any || m->key[k];
	if (m->holder == (int)i || !any)
		release(m);
}

static void reserve(struct model *m, unsigned i, uint8_t type)
{
	m->type = type;
	m->holder = all_registrants(type) ? -1 : (int)i;
}

static uint32_t model_preempt(struct model *m, const struct command *c)
{
	bool takes = all_registrants(m->type) ? !c->sa_key
					      : m->holder >= 0 && m->key[m->holder] == c->sa_key;
	bool any = false;

	for (unsigned i = 0; i < N; i++)
		any = any || (m->key[i] && (!c->sa_key || m->key[i] == c->sa_key));
	if (!c->sa_key && !all_registrants(m->type))
		return RES_SENSE(5, 0x2600);
	if (!any)
		return RES_CONFLICT;
	for (unsigned i = 0; i < N; i++)
		if (m->key[i] && (!c->sa_key || m->key[i] == c->sa_key) &&
		    !(takes && i == c->from))
			unregister(m, i);
	if (takes)
		reserve(m, c->from, c->type);
	m->generation++;
	return 0;
}

static uint32_t model_register(struct model *m, const struct command *c)
{
	unsigned i = c->from;

	if (c->sa == PR_REGISTER && m->key[i] != c->key)
		return RES_CONFLICT;
	if (!m->key[i] && !c->sa_key)
		return 0;
	if (c->sa_key)
		m->key[i] = c->sa_key;
	else
		unregister(m, i);
	m->generation++;
	return 0;
}

/* What the command answers; m is the state after it. */
static uint32_t model(struct model *m, const struct command *c)
{
	if (c->sa == PR_REGISTER || c->sa == PR_REGISTER_AND_IGNORE)
		return model_register(m, c);
	if (!m->key[c->from] || m->key[c->from] != c->key)
		return RES_CONFLICT;
	switch (c->sa) {
	case PR_RESERVE:
		if (!m->type)
			reserve(m, c->from, c->type);
		else if (!holds(m, c->from) || m->type != c->type)
			return RES_CONFLICT;
		return 0;
	case PR_RELEASE:
		if (!holds(m, c->from))
			return 0;
		if (m->type != c->type)
			return ERR_BAD_RELEASE;
		release(m);
		return 0;
	case PR_CLEAR:
		memset(m->key, 0, sizeof(m->key));
		release(m);
		m->generation++;
		return 0;
	case PR_REGISTER_AND_MOVE: /* sent by holders only */
		release(m);
		if (c->flags & PR_F_UNREG)
			m->key[c->from] = 0;
		m->key[c->to] = c->sa_key;
		reserve(m, c->to, c->type);
		m->generation++;
		return 0;
	default:
		return model_preempt(m, c);
	}
}

static bool matches(const struct model *m, const struct prfull *f)
{
	unsigned n = 0;

	if (m->generation != f->generation)
		return false;
	for (unsigned i = 0; i < N; i++) {
		const struct prreg *r = prfull_find(f, nx[i].name, nx[i].isid, nx[i].port);

		if (!r != !m->key[i])
			return false;
		if (!r)
			continue;
		n++;
		if (r->key != m->key[i] || r->holder != holds(m, i) ||
		    r->type != (r->holder ? m->type : 0))
			return false;
	}
	return n == f->n;
}

static void model_print(const char *what, const struct model *m)
{
	printf("    %s: generation %u, type %u\n", what, m->generation, m->type);
	for (unsigned i = 0; i < N; i++)
		if (m->key[i])
			printf("      %s isid %u port %u key %llx%s\n", nx[i].name, nx[i].isid,
			       nx[i].port, (unsigned long long)m->key[i],
			       holds(m, i) ? " holder" : "");
}

/* ---- the storm ------------------------------------------------------------------------------- */

static struct model now = { .holder = -1 };
static unsigned kills = 30, answered, lost, kept, late;
static unsigned answer_us = 500; /* about how long an answer takes */

static void random_command(struct command *c)
{
	static const uint8_t types[] = { TYPE_WE, TYPE_EA, TYPE_WERO, TYPE_EARO, TYPE_WEAR,
					 TYPE_EAAR };
	static const uint8_t sas[] = {
		PR_REGISTER, PR_REGISTER_AND_IGNORE, PR_REGISTER_AND_IGNORE, PR_RESERVE, PR_RESERVE,
		PR_RELEASE, PR_CLEAR, PR_PREEMPT, PR_PREEMPT_AND_ABORT, PR_REGISTER_AND_MOVE,
	};

	memset(c, 0, sizeof(*c));
	c->from = pr_random(N);
	c->sa = sas[pr_random(sizeof(sas))];
	c->type = types[pr_random(sizeof(types))];
	c->key = pr_random(8) ? now.key[c->from] : 1 + pr_random(KEYS);
	c->sa_key = pr_random(KEYS + 1);
	c->flags = pr_random(2) ? PR_F_APTPL : 0;
	if (c->sa == PR_RELEASE && pr_random(3))
		c->type = now.type ? now.type : c->type;
	if (c->sa == PR_REGISTER_AND_MOVE) {
		c->to = (c->from + 1 + pr_random(N - 1)) % N;
		c->sa_key = 1 + pr_random(KEYS);
		c->key = now.key[c->from];
		c->type = now.type;
		c->flags |= pr_random(2) ? PR_F_UNREG : 0;
		/* To another initiator port: both sessions of a node have the same name, not ISID.
		 */
		if (now.holder != (int)c->from)
			c->sa = PR_REGISTER_AND_IGNORE;
	}
	if (c->sa != PR_REGISTER && c->sa != PR_REGISTER_AND_IGNORE &&
	    c->sa != PR_REGISTER_AND_MOVE)
		c->flags = 0;
}

struct sent {
	struct io io;
	uint8_t param[256];
};

static void command_start(const struct command *c, struct sent *s)
{
	uint32_t len = 24;

	memset(s, 0, sizeof(*s));
	put_be64(s->param, c->key);
	put_be64(s->param + 8, c->sa_key);
	if (c->sa == PR_REGISTER_AND_MOVE) {
		char name[64];
		uint8_t isid[6] = { 0x80, 0x12, 0x34, 0x56, 0, nx[c->to].isid };

		snprintf(name, sizeof(name), "iqn.1991-05.com.example:%s", nx[c->to].name);
		s->param[17] = c->flags;
		put_be16(s->param + 18, nx[c->to].port);
		len += transportid_make(s->param + 24, name, isid);
		put_be32(s->param + 20, len - 24);
	} else {
		s->param[20] = c->flags;
	}
	s->io.cdb[0] = 0x5f;
	s->io.cdb[1] = c->sa;
	s->io.cdb[2] = c->type;
	put_be32(s->io.cdb + 5, len);
	s->io.attr = ATTR_SIMPLE;
	s->io.wr = true;
	s->io.edtl = len;
	s->io.buf = s->param;
	CU_ASSERT_FATAL(io_start(nx[c->from].w, &s->io));
}

static void all_open(void)
{
	for (unsigned i = 0; i < N; i++)
		nx[i].w = pr_open(nx[i].name, nx[i].isid, nx[i].port);
}

/* What the killed daemon had still said is taken in; then the connections are closed. */
static void all_close(void)
{
	struct pdu p;

	for (unsigned i = 0; i < N; i++) {
		while (wire_pump(nx[i].w, &p, 100) == 2)
			;
		wire_close(nx[i].w);
	}
}

static void command_judge(const struct command *c, const struct sent *s)
{
	struct model next = now;
	uint32_t want = model(&next, c), got = io_result(&s->io);

	if (got >> 16 == KEY_ATTENTION)
		return;
	if (want != got) {
		printf("    %s action %u type %u key %llx %llx: %06x, expected %06x\n",
		       nx[c->from].name, c->sa, c->type, (unsigned long long)c->key,
		       (unsigned long long)c->sa_key, got, want);
		model_print("before", &now);
		CU_FAIL_FATAL("the model says something else");
	}
	if (!got)
		now = next;
}

/* After the restart: `now`, or `then`, which becomes `now`. */
static void look(const struct model *then)
{
	struct prfull f;

	CU_ASSERT_FATAL(prfull_get(nx[0].w, &f));
	if (matches(&now, &f)) {
		lost++;
	} else if (matches(then, &f)) {
		kept++;
		now = *then;
	} else {
		model_print("last answered", &now);
		model_print("in flight", then);
		prfull_print("found", &f);
		CU_FAIL_FATAL("neither the state last answered nor the one in flight");
	}
	prfull_free(&f);
}

/* One at a time. */
static void storm_serial(void)
{
	unsigned steps = 10 + pr_random(60);
	struct command c;
	struct model then;
	struct sent s;

	for (unsigned i = 0;; i++) {
		uint64_t start = pr_us();

		random_command(&c);
		command_start(&c, &s);
		if (i == steps)
			break;
		CU_ASSERT_FATAL(io_wait(&s.io, WIRE_MS));
		answer_us = (7 * answer_us + (unsigned)(pr_us() - start)) / 8;
		command_judge(&c, &s);
		answered++;
	}
	usleep(pr_random(2 * answer_us));
	pr_daemon_kill();
	all_close();
	then = now;
	model(&then, &c);
	if (s.io.done)
		command_judge(&c, &s);
	pr_daemon_restart();
	all_open();
	if (s.io.done)
		then = now;
	look(&then);
	late += s.io.done;
	lost -= s.io.done;
}

/* All at once: every nexus its own key, ever higher. */
static void storm_parallel(void)
{
	static uint64_t fresh = 0x1000;
	unsigned steps = 20 + pr_random(100), unanswered = 0, done = 0;
	struct command c[N];
	struct sent s[N];
	struct prfull f;

	for (unsigned i = 0; i < N; i++)
		CU_ASSERT_FATAL(tur_good(nx[i].w, 0));
	for (unsigned i = 0; i < N; i++) {
		c[i] = (struct command){ .from = i, .sa = PR_REGISTER_AND_IGNORE,
					 .sa_key = fresh++ };
		command_start(&c[i], &s[i]);
	}
	for (unsigned i = 0; i < steps; i++) {
		unsigned k = pr_random(N);

		CU_ASSERT_FATAL(io_wait(&s[k].io, WIRE_MS));
		command_judge(&c[k], &s[k]);
		answered++;
		c[k].sa_key = fresh++;
		command_start(&c[k], &s[k]);
	}
	usleep(pr_random(4 * answer_us));
	pr_daemon_kill();
	all_close();
	for (unsigned i = 0; i < N; i++) {
		if (s[i].io.done)
			command_judge(&c[i], &s[i]);
		else
			unanswered++;
	}
	pr_daemon_restart();
	all_open();
	CU_ASSERT_FATAL(prfull_get(nx[0].w, &f));
	for (unsigned i = 0; i < N; i++) {
		const struct prreg *r = prfull_find(&f, nx[i].name, nx[i].isid, nx[i].port);

		if (!s[i].io.done && r && r->key == c[i].sa_key) {
			model(&now, &c[i]);
			done++;
		}
	}
	if (!matches(&now, &f)) {
		printf("    %u unanswered, %u of them there\n", unanswered, done);
		model_print("answered, and those in flight that are there", &now);
		prfull_print("found", &f);
		CU_FAIL_FATAL("not what was answered");
	}
	kept += done;
	lost += unanswered - done;
	prfull_free(&f);
}

static void test_storm(void)
{
	for (unsigned i = 0; i < N; i++) {
		snprintf(nx[i].name, sizeof(nx[i].name), "node-%c", (char)('a' + i / 2));
		nx[i].isid = (uint8_t)(1 + i % 2);
		nx[i].port = (uint16_t)(1 + i % 2);
	}
	pr_daemon(NULL, NULL);
	all_open();
	for (unsigned k = 0; k < kills; k++) {
		if (k & 1)
			storm_parallel();
		else
			storm_serial();
	}
	printf("    %u kills, %u commands answered before them; the last: %u answered too, %u not "
	       "answered but done, %u not done\n",
	       kills, answered, late, kept, lost);
	daemon_stop();
}

/* ---- pr_retain ------------------------------------------------------------------------------- */

static void power(const char *boot_id)
{
	pr_daemon_kill();
	all_close();
	setenv("HOLDFAST_BOOT_ID", boot_id, 1);
	pr_daemon_restart();
	all_open();
}

#define BOOT(n) "0000000" #n "-1111-2222-3333-444444444444"

static void registered(uint8_t aptpl)
{
	for (unsigned i = 0; i < N; i++)
		CU_ASSERT_FATAL(!prout_clean(nx[i].w, PR_REGISTER_AND_IGNORE, 0, 0, 0x50 + i,
					     i == N - 1 ? aptpl : !aptpl));
	CU_ASSERT_FATAL(!prout(nx[2].w, PR_RESERVE, TYPE_WERO, 0x52, 0, 0));
}

static bool ptpl_active(void)
{
	uint8_t cap[8];

	CU_ASSERT_EQUAL_FATAL(prin(nx[0].w, PR_REPORT_CAPABILITIES, cap, sizeof(cap)), 8);
	return cap[3] & 1;
}

static void test_retain(void)
{
	struct prfull before, f;

	setenv("HOLDFAST_BOOT_ID", BOOT(1), 1);
	pr_daemon("pr_retain: standard\n", NULL);
	all_open();

	/* A restart within one boot keeps everything, generation included. */
	registered(0);
	CU_ASSERT(!ptpl_active());
	CU_ASSERT_FATAL(prfull_get(nx[0].w, &before));
	CU_ASSERT_EQUAL(before.n, N);
	power(BOOT(1));
	CU_ASSERT_FATAL(prfull_get(nx[0].w, &f));
	CU_ASSERT(prfull_same(&f, &before));
	prfull_free(&f);

	/* A loss of power with APTPL=0: nothing is left; PRGENERATION is 0 (SPC-4 6.15.2). */
	power(BOOT(2));
	CU_ASSERT_FATAL(prfull_get(nx[0].w, &f));
	CU_ASSERT(!f.n && !f.generation);
	prfull_free(&f);

	/* With APTPL=1 all is there, but the generation. */
	registered(PR_F_APTPL);
	CU_ASSERT(ptpl_active());
	prfull_free(&before);
	CU_ASSERT_FATAL(prfull_get(nx[0].w, &before));
	power(BOOT(3));
	CU_ASSERT_FATAL(prfull_get(nx[0].w, &f));
	CU_ASSERT_EQUAL(f.generation, 0);
	f.generation = before.generation;
	CU_ASSERT(prfull_same(&f, &before));
	CU_ASSERT(ptpl_active());
	prfull_free(&f);
	prfull_free(&before);
	daemon_stop();

	/* pr_retain: always asks nobody. */
	pr_daemon("pr_retain: always\n", NULL);
	all_open();
	registered(0);
	CU_ASSERT_FATAL(prfull_get(nx[0].w, &before));
	power(BOOT(4));
	CU_ASSERT_FATAL(prfull_get(nx[0].w, &f));
	CU_ASSERT(prfull_same(&f, &before));
	prfull_free(&f);
	prfull_free(&before);
	daemon_stop();
}

static uint32_t no_data(struct wire *w, uint8_t opcode, uint8_t byte4)
{
	struct io io;

	memset(&io, 0, sizeof(io));
	io.cdb[0] = opcode;
	io.cdb[4] = byte4;
	io.attr = ATTR_SIMPLE;
	return io_run(w, &io) ? io_result(&io) : RES_NONE;
}

/*
 * What was stored cannot be read: nothing becomes ready by itself, so initiators are not told to
 * wait (04/03), and a reset does not wait for a lock either.
 */
static void test_damaged(void)
{
	struct login_opts o = { .isid = 1 };
	char junk[4096], path[256];
	struct wire *w;
	glob_t g;
	int fd;

	unsetenv("HOLDFAST_BOOT_ID");
	pr_daemon(NULL, NULL);
	daemon_stop();
	snprintf(path, sizeof(path), "%s/lu-*.state", daemon_path("state"));
	CU_ASSERT_FATAL(!glob(path, 0, NULL, &g) && g.gl_pathc == 1);
	fd = open(g.gl_pathv[0], O_WRONLY);
	globfree(&g);
	memset(junk, 0xa5, sizeof(junk));
	CU_ASSERT_FATAL(fd >= 0);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT(pwrite(fd, junk, sizeof(junk), i * 4096) == sizeof(junk));
	close(fd);
	daemon_restart();
	w = wire_open(&o, 0);
	CU_ASSERT_EQUAL(no_data(w, 0x00, 0), RES_SENSE(2, 0x0403));
	CU_ASSERT_EQUAL(prout(w, PR_REGISTER, 0, 0, 1, 0), RES_SENSE(2, 0x0403));
	CU_ASSERT_EQUAL(no_data(w, 0x1b, 0x01), 0);	/* START, SPC-4 5.13.5.2 */
	CU_ASSERT_EQUAL(wire_tmf(w, TMF_LU_RESET, 0, ISCSI_TAG_NONE, 0), 0);
	CU_ASSERT_EQUAL(no_data(w, 0x00, 0), UA_LUN_RESET);
	CU_ASSERT_EQUAL(no_data(w, 0x00, 0), RES_SENSE(2, 0x0403));
	daemon_stop();
}

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = { UNIT(test_storm), UNIT(test_retain),
						   UNIT(test_damaged) };

	if (argc > 1 && atoi(argv[1]) > 0)
		kills = (unsigned)atoi(argv[1]);
	return unit_run("storm", tests, pr_far() ? 1 : 3);
}
