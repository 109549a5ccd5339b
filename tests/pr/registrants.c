/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many registrants: equal keys on many nexuses, one initiator port through several portal groups,
 * 1,024 registrations and then INSUFFICIENT REGISTRATION RESOURCES (SPC-4 5.13.7, 6.16).
 */
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/pr/prcmd.h"
#include "scsi/limits.h"

enum { SESSIONS = 16, KEY = 0xe0, BATCH = 128 };

static struct wire *w[SESSIONS];

static void all_open(void)
{
	char name[16];

	for (unsigned i = 0; i < SESSIONS; i++) {
		snprintf(name, sizeof(name), "node-%u", i / 4);
		w[i] = pr_open(name, (uint8_t)(i % 4), 1 + i % 2);
	}
}

static unsigned keys(struct wire *from, uint32_t *generation)
{
	static uint8_t buf[8 + 8 * PR_REGISTRANTS_MAX];
	int got = prin(from, PR_READ_KEYS, buf, sizeof(buf));

	CU_ASSERT_FATAL(got >= 8 && (uint32_t)got == 8 + get_be32(buf + 4));
	if (generation)
		*generation = get_be32(buf);
	return (unsigned)(got - 8) / 8;
}

/* REGISTER with SPEC_I_PT for n ports of initiator "...:spec-BATCH", ISIDs from 0 up. */
static uint32_t register_for(struct wire *from, uint64_t key, uint64_t sa_key, uint8_t flags,
			     unsigned batch, unsigned n)
{
	uint8_t *param = calloc(1, 65536);
	uint32_t len = 28, r;
	char name[64];

	CU_ASSERT_FATAL(param != NULL);
	snprintf(name, sizeof(name), "iqn.1991-05.com.example:spec-%u", batch);
	put_be64(param, key);
	put_be64(param + 8, sa_key);
	param[20] = PR_F_SPEC_I_PT | flags;
	for (unsigned i = 0; i < n; i++)
		len += transportid_make(param + len, name,
					(uint8_t[6]){ 0x80, 0, 0, 0, (uint8_t)batch, (uint8_t)i });
	put_be32(param + 24, len - 28);
	r = prout_raw(from, 0, PR_REGISTER, 0, param, len);
	free(param);
	return r;
}

/* One key for all of a cluster: each nexus has it for itself, PREEMPT takes it from all at once. */
static void test_equal_keys(void)
{
	struct prfull f;

	pr_daemon(NULL, NULL);
	all_open();
	for (unsigned i = 0; i < SESSIONS - 1; i++)
		CU_ASSERT(!prout(w[i], PR_REGISTER, 0, 0, KEY, 0));
	CU_ASSERT_EQUAL(keys(w[0], NULL), SESSIONS - 1);
	CU_ASSERT(!prout(w[3], PR_RESERVE, TYPE_WERO, KEY, 0, 0));
	/* An equal key does not make a holder. */
	CU_ASSERT_EQUAL(prout(w[4], PR_RESERVE, TYPE_WERO, KEY, 0, 0), RES_CONFLICT);
	CU_ASSERT(!prout(w[4], PR_RELEASE, TYPE_WERO, KEY, 0, 0));
	CU_ASSERT_FATAL(prfull_get(w[15], &f));
	for (unsigned i = 0; i < f.n; i++)
		CU_ASSERT(f.r[i].key == KEY &&
			  f.r[i].holder == (&f.r[i] == prfull_find(&f, "node-0", 3, 2)));
	prfull_free(&f);
	/* It unregisters itself, nobody else. */
	CU_ASSERT(!prout(w[4], PR_REGISTER, 0, KEY, 0, 0));
	CU_ASSERT_EQUAL(keys(w[0], NULL), SESSIONS - 2);
	CU_ASSERT(!prout(w[4], PR_REGISTER, 0, 0, KEY, 0));
	/* Preempting its own key, a holder stays, and stays alone (SPC-4 5.13.11.2.4). */
	CU_ASSERT(!prout(w[3], PR_PREEMPT, TYPE_WERO, KEY, KEY, 0));
	CU_ASSERT_EQUAL(keys(w[3], NULL), 1);
	for (unsigned i = 0; i < SESSIONS; i++) {
		CU_ASSERT_EQUAL(tur(w[i], 0), i != 3 && i != 15 ? UA_REG_PREEMPTED : 0);
		CU_ASSERT_EQUAL(tur(w[i], 0), 0);
	}
	CU_ASSERT_FATAL(prfull_get(w[15], &f));
	CU_ASSERT(f.n == 1 && f.r[0].holder && f.r[0].type == TYPE_WERO);
	prfull_free(&f);
	daemon_stop();
}

static uint32_t write_one(struct wire *from)
{
	uint8_t buf[BLOCK] = { 0 };
	struct io io;

	io_write(&io, 0, 0, 1, buf);
	return io_run(from, &io) ? io_result(&io) : RES_NONE;
}

/* The same initiator port through two target ports is two nexuses; ALL_TG_PT registers both. */
static void test_ports(void)
{
	struct wire *one, *two, *other;
	struct prfull f;

	pr_daemon(NULL, NULL);
	one = pr_open("node-a", 1, 1);
	two = pr_open("node-a", 1, 2);
	other = pr_open("node-b", 1, 1);
	CU_ASSERT(!prout(other, PR_REGISTER, 0, 0, 0xb, 0));
	CU_ASSERT(!prout(other, PR_RESERVE, TYPE_WERO, 0xb, 0, 0));
	CU_ASSERT(!prout(one, PR_REGISTER, 0, 0, KEY, 0));
	CU_ASSERT(!write_one(one));
	CU_ASSERT_EQUAL(write_one(two), RES_CONFLICT);
	CU_ASSERT_EQUAL(prout(two, PR_REGISTER, 0, KEY, KEY, 0), RES_CONFLICT);
	CU_ASSERT(!prout(one, PR_REGISTER, 0, KEY, 0, 0));
	CU_ASSERT(!prout(one, PR_REGISTER, 0, 0, KEY, PR_F_ALL_TG_PT));
	CU_ASSERT(!write_one(one));
	CU_ASSERT(!write_one(two));
	CU_ASSERT_FATAL(prfull_get(one, &f));
	CU_ASSERT_EQUAL(f.n, 3);
	CU_ASSERT(prfull_find(&f, "node-a", 1, 1) && prfull_find(&f, "node-a", 1, 2));
	prfull_free(&f);
	/* Another key on one port only; PREEMPT of it leaves the other port alone. */
	CU_ASSERT(!prout(two, PR_REGISTER, 0, KEY, KEY + 1, 0));
	CU_ASSERT(!prout(other, PR_PREEMPT, TYPE_WERO, 0xb, KEY + 1, 0));
	CU_ASSERT(!write_one(one));
	CU_ASSERT_EQUAL(write_one(two), UA_REG_PREEMPTED);
	CU_ASSERT_EQUAL(write_one(two), RES_CONFLICT);
	/* Through all ports: gone through all. */
	CU_ASSERT(!prout(one, PR_REGISTER_AND_IGNORE, 0, 0, KEY, PR_F_ALL_TG_PT));
	CU_ASSERT(!write_one(two));
	CU_ASSERT(!prout(two, PR_REGISTER, 0, KEY, 0, PR_F_ALL_TG_PT));
	CU_ASSERT_EQUAL(write_one(one), RES_CONFLICT);
	CU_ASSERT_EQUAL(write_one(two), RES_CONFLICT);
	daemon_stop();
}

static void no_more(struct wire *from, unsigned n, uint32_t generation)
{
	uint32_t g;

	CU_ASSERT_EQUAL(keys(from, &g), n);
	CU_ASSERT_EQUAL(g, generation);
}

/* As many as there may be, and one more; a full table is no special state otherwise. */
static void test_full(void)
{
	unsigned n = 0;
	uint32_t gen;
	uint8_t head[8];
	uint64_t start;

	pr_daemon(NULL, NULL);
	all_open();
	/* Each batch by a session that unregisters again: what it registered stays. */
	while (n + BATCH <= PR_REGISTRANTS_MAX) {
		unsigned more = n ? BATCH : BATCH - SESSIONS;

		CU_ASSERT_FATAL(!register_for(w[0], 0, KEY, 0, n / BATCH, more));
		CU_ASSERT_FATAL(!prout(w[0], PR_REGISTER, 0, KEY, 0, 0));
		n += BATCH;
	}
	n -= SESSIONS;
	CU_ASSERT_EQUAL_FATAL(n, PR_REGISTRANTS_MAX - SESSIONS);
	for (unsigned i = 0; i < SESSIONS - 2; i++)
		CU_ASSERT(!prout(w[i], PR_REGISTER_AND_IGNORE, 0, 0, KEY, 0));
	CU_ASSERT_EQUAL(keys(w[0], &gen), PR_REGISTRANTS_MAX - 2);
	CU_ASSERT_EQUAL(daemon_log_await("event=pr_registrants", 1), 1);

	/* All of a list, or none of it. */
	CU_ASSERT_EQUAL(register_for(w[14], 0, KEY, 0, 90, 2), ERR_NO_REG_RESOURCES);
	no_more(w[0], PR_REGISTRANTS_MAX - 2, gen);
	CU_ASSERT_EQUAL(register_for(w[14], 0, KEY, PR_F_ALL_TG_PT, 90, 1), ERR_NO_REG_RESOURCES);
	no_more(w[0], PR_REGISTRANTS_MAX - 2, gen);
	CU_ASSERT(!prout(w[14], PR_REGISTER, 0, 0, 0xbad, 0));
	CU_ASSERT_EQUAL(prout(w[15], PR_REGISTER, 0, 0, KEY, PR_F_ALL_TG_PT), ERR_NO_REG_RESOURCES);
	CU_ASSERT(!prout(w[15], PR_REGISTER, 0, 0, KEY, 0));
	CU_ASSERT_EQUAL(keys(w[0], &gen), PR_REGISTRANTS_MAX);
	CU_ASSERT_EQUAL(register_for(w[13], KEY, KEY, 0, 90, 1), RES_SENSE(5, 0x2600));

	/* Full: nobody comes in, a key may change, who leaves makes room, all as ever. */
	struct wire *late = pr_open("late", 1, 1);

	CU_ASSERT_EQUAL(prout(late, PR_REGISTER, 0, 0, 7, 0), ERR_NO_REG_RESOURCES);
	CU_ASSERT_EQUAL(prout(late, PR_REGISTER_AND_IGNORE, 0, 0, 7, 0), ERR_NO_REG_RESOURCES);
	no_more(late, PR_REGISTRANTS_MAX, gen);
	CU_ASSERT(!prout(w[14], PR_REGISTER, 0, 0xbad, 0xb, 0));
	CU_ASSERT(!prout(w[14], PR_RESERVE, TYPE_WERO, 0xb, 0, 0));
	CU_ASSERT(!write_one(w[5]));
	CU_ASSERT_EQUAL(write_one(late), RES_CONFLICT);
	CU_ASSERT(!prout(w[15], PR_REGISTER, 0, KEY, 0, 0));
	CU_ASSERT(!prout(late, PR_REGISTER, 0, 0, 7, 0));
	CU_ASSERT(!write_one(late));

	/* READ FULL STATUS is longer than an allocation length can say: cut off, its length true.
	 */
	CU_ASSERT_EQUAL(prin(late, PR_READ_FULL_STATUS, head, sizeof(head)), (int)sizeof(head));
	CU_ASSERT(get_be32(head + 4) >= PR_REGISTRANTS_MAX * 64u);

	/* A restart knows all of them. */
	pr_daemon_kill();
	for (unsigned i = 0; i < SESSIONS; i++)
		wire_close(w[i]);
	wire_close(late);
	daemon_restart();
	all_open();
	late = pr_open("late", 1, 1);
	CU_ASSERT_EQUAL(keys(late, NULL), PR_REGISTRANTS_MAX);
	CU_ASSERT(!write_one(w[5]));

	/* One PREEMPT takes them all but two. */
	start = pr_us();
	CU_ASSERT(!prout(w[14], PR_PREEMPT_AND_ABORT, TYPE_WERO, 0xb, KEY, 0));
	printf("    %u registrations preempted at once in %.1f ms\n", PR_REGISTRANTS_MAX - 2,
	       (double)(pr_us() - start) / 1e3);
	CU_ASSERT_EQUAL(keys(w[14], NULL), 2);
	for (unsigned i = 0; i < SESSIONS - 2; i++) {
		CU_ASSERT_EQUAL(tur(w[i], 0), UA_REG_PREEMPTED);
		CU_ASSERT_EQUAL(write_one(w[i]), RES_CONFLICT);
	}
	CU_ASSERT_EQUAL(write_one(w[15]), RES_CONFLICT);
	CU_ASSERT(!write_one(w[14]));
	CU_ASSERT(!write_one(late));
	daemon_stop();
}

/* How often the only LU's store was written: the newer sequence number of its two slots. */
static uint64_t stores(void)
{
	char path[256];
	uint64_t newest = 0;
	struct stat st;
	glob_t g;
	int fd;

	snprintf(path, sizeof(path), "%s/lu-*.state", daemon_path("state"));
	CU_ASSERT_FATAL(!glob(path, 0, NULL, &g) && g.gl_pathc == 1);
	fd = open(g.gl_pathv[0], O_RDONLY);
	globfree(&g);
	CU_ASSERT_FATAL(fd >= 0 && !fstat(fd, &st));
	for (unsigned i = 0; i < 2; i++) {
		uint8_t b[16];
		off_t slot = (st.st_size - 8192) / 2;

		CU_ASSERT_FATAL(pread(fd, b, sizeof(b), 8192 + (off_t)i * slot) == sizeof(b));
		if (!memcmp(b, "HFSLOT2\n", 8) && get_be64(b + 8) > newest)
			newest = get_be64(b + 8);
	}
	close(fd);
	return newest;
}

/* A cluster that starts: each path registers, all at once. All are counted, few stored alone. */
static void test_burst(void)
{
	enum { EACH = 16, ALL = SESSIONS * EACH };
	static struct prout p[ALL];
	uint64_t before;
	uint32_t gen, g;

	pr_daemon(NULL, NULL);
	all_open();
	CU_ASSERT(!prout(w[0], PR_REGISTER, 0, 0, KEY, 0));
	keys(w[0], &gen);
	before = stores();
	for (unsigned i = 0; i < ALL; i++) {
		prout_set(&p[i], 0, PR_REGISTER_AND_IGNORE, 0, 0, KEY + i, 0);
		CU_ASSERT_FATAL(io_start(w[i % SESSIONS], &p[i].io));
	}
	for (unsigned i = 0; i < ALL; i++)
		CU_ASSERT(io_wait(&p[i].io, WIRE_MS) && !p[i].io.status);
	CU_ASSERT_EQUAL(keys(w[0], &g), SESSIONS);
	CU_ASSERT_EQUAL(g, gen + ALL);
	printf("    %u registrations at once, stored %u times\n", ALL,
	       (unsigned)(stores() - before));
	CU_ASSERT(stores() - before <= ALL / 2);
	/* What was answered is there after kill -9. */
	pr_daemon_kill();
	for (unsigned i = 0; i < SESSIONS; i++)
		wire_close(w[i]);
	daemon_restart();
	all_open();
	CU_ASSERT_EQUAL(keys(w[0], NULL), SESSIONS);
	for (unsigned i = 0; i < SESSIONS; i++)
		CU_ASSERT(!prout(w[i], PR_REGISTER, 0, KEY + ALL - SESSIONS + i, 0, 0));
	CU_ASSERT_EQUAL(keys(w[0], NULL), 0);
	daemon_stop();
}

/* Who is away is owed each unit attention once, so many releases push nobody else's out. */
static void test_owed(void)
{
	unsigned n = PR_REGISTRANTS_MAX - BATCH;

	pr_daemon(NULL, NULL);
	w[0] = pr_open("node-a", 0, 1);
	w[1] = pr_open("node-b", 1, 1);
	CU_ASSERT(!prout(w[1], PR_REGISTER, 0, 0, KEY + 1, 0));
	wire_close(w[1]);
	for (unsigned i = 0; i < n / BATCH; i++) {
		CU_ASSERT_FATAL(!register_for(w[0], 0, KEY, 0, i, BATCH - 1));
		CU_ASSERT_FATAL(!prout(w[0], PR_REGISTER, 0, KEY, 0, 0));
	}
	CU_ASSERT_FATAL(!prout(w[0], PR_REGISTER, 0, 0, KEY + 2, 0));
	CU_ASSERT(!prout(w[0], PR_PREEMPT, TYPE_WERO, KEY + 2, KEY + 1, 0));
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT(!prout(w[0], PR_RESERVE, TYPE_WERO, KEY + 2, 0, 0));
		CU_ASSERT(!prout(w[0], PR_RELEASE, TYPE_WERO, KEY + 2, 0, 0));
	}
	{
		struct login_opts o = { .initiator = "iqn.1991-05.com.example:node-b", .isid = 1 };

		w[1] = wire_open(&o, 0);
	}
	CU_ASSERT_EQUAL(tur(w[1], 0), UA_REG_PREEMPTED);
	CU_ASSERT_EQUAL(tur(w[1], 0), 0);
	daemon_stop();
}

UNIT_MAIN("registrants", UNIT(test_burst), UNIT(test_equal_keys), UNIT(test_ports),
	  UNIT(test_full), UNIT(test_owed))
