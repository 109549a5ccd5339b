/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A witness LUN as clusters use it, on the wire and in their own time: what `holdfast witness`
 * says afterwards is compared as text; and the journal after kill -9, and with a state directory
 * that is full.
 *
 *	witness [KILLS]
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/pr/prcmd.h"

enum { PATHS = 2, CHUNK = 512 /* blocks */ };

static struct wire *path[26][PATHS]; /* of the node of a letter */
static unsigned kills = 12;

/* ---- nodes ----------------------------------------------------------------------------------- */

static void node_open(char n)
{
	char name[16];

	snprintf(name, sizeof(name), "node-%c", n);
	for (unsigned k = 0; k < PATHS; k++)
		path[n - 'a'][k] = pr_open(name, (uint8_t)(k + 1), k + 1);
}

/* Its power is gone. */
static void node_dies(char n)
{
	for (unsigned k = 0; k < PATHS; k++)
		wire_kill(path[n - 'a'][k]);
}

static uint64_t key(char n)
{
	return UINT64_C(0x5d3c11aa0000734d) | (uint64_t)n << 16;
}

static uint32_t out(char n, unsigned k, uint8_t sa, uint64_t key1, uint64_t key2)
{
	return prout_clean(path[n - 'a'][k], sa, TYPE_WERO, key1, key2, 0);
}

static void registers(char n, uint64_t with)
{
	for (unsigned k = 0; k < PATHS; k++)
		CU_ASSERT(!out(n, k, PR_REGISTER_AND_IGNORE, 0, with));
}

/* So many times, 3 s after each other. */
static void defends(char n, unsigned rounds)
{
	while (rounds--) {
		CU_ASSERT(!out(n, 0, PR_RESERVE, key(n), 0));
		wire_sleep(3000);
	}
}

static void witness_daemon(void)
{
	char lun[512];

	snprintf(lun, sizeof(lun),
		 "      - {lun: 0, name: quorum, type: witness, path: \"%s\", size: 16M}\n",
		 daemon_path("quorum.img"));
	unlink(daemon_path("quorum.img"));
	pr_daemon(NULL, lun);
}

/* ---- holdfast -------------------------------------------------------------------------------- */

static char *ask(const char *args)
{
	static char text[1 << 22];
	char cmd[1024], bin[512];
	size_t n;
	FILE *f;

	snprintf(bin, sizeof(bin), "%s", getenv("HOLDFASTD") ?: "build/holdfastd");
	if (strrchr(bin, '/'))
		strcpy(strrchr(bin, '/'), "/holdfast");
	snprintf(cmd, sizeof(cmd), "'%s' --socket '%s/control.sock' %s 2>&1", bin, wire_daemon.dir,
		 args);
	f = popen(cmd, "r");
	CU_ASSERT_FATAL(f != NULL);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	if (pclose(f)) {
		printf("    holdfast %s: %s\n", args, text);
		CU_FAIL("holdfast failed");
	}
	return text;
}

/* The first LUN of the answer; to be given back. */
static json_t *ask_json(const char *args)
{
	char cmd[256];
	json_t *j, *l;

	snprintf(cmd, sizeof(cmd), "--json %s", args);
	j = json_loads(ask(cmd), 0, NULL);
	l = json_incref(json_array_get(json_object_get(j, "luns"), 0));
	json_decref(j);
	CU_ASSERT_FATAL(json_is_object(l));
	return l;
}

/* Times become "T", and what lies between them "S": the machine is slow now and then. */
static void mask(char *text)
{
	char *to = text;

	while (*text) {
		int n = 0;

		if (*text >= '0' && *text <= '9' &&
		    sscanf(text, "%*4d-%*2d-%*2d %*2d:%*2d:%*2d UTC%n", &n) >= 0 && n) {
			*to++ = 'T';
			text += n;
		} else if ((*text == ' ' || *text == '\n') &&
			   sscanf(text, " %*d%*1[ ]%*[ms]%n", &n) >= 0 && n &&
			   (strchr(" ,.\n;", text[n]) || !text[n])) {
			*to++ = *text;
			*to++ = 'S';
			text += n;
		} else {
			*to++ = *text++;
		}
	}
	*to = 0;
}

static bool explains(const char *want)
{
	char *got = ask("witness explain");

	mask(got);
	if (strcmp(got, want))
		printf("--- wanted\n%s--- got\n%s---\n", want, got);
	return !strcmp(got, want);
}

static json_t *node_of(json_t *show, const char *name)
{
	json_t *n;
	size_t i;

	json_array_foreach(json_object_get(show, "nodes"), i, n)
		if (!strcmp(json_string_value(json_object_get(n, "initiator")), name))
			return n;
	return NULL;
}

static long long num(json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

/* It defends its disk in rhythm: nobody stood still among the last times. */
static bool in_rhythm(void)
{
	json_t *show = ask_json("witness show");
	bool is = json_is_true(json_object_get(json_object_get(show, "owner"), "in_rhythm"));

	json_decref(show);
	return is;
}

/* Whether a software is recognised, how surely; "unknown". */
static const char *software(json_t *show, const char *name)
{
	static char text[32];
	json_t *s;
	size_t i;

	snprintf(text, sizeof(text), "unknown");
	json_array_foreach(json_object_get(show, "software"), i, s)
		if (!strcmp(json_string_value(json_object_get(s, "name")), name))
			snprintf(text, sizeof(text), "%s",
				 json_string_value(json_object_get(s, "confidence")));
	return text;
}

static bool warns(const char *name)
{
	json_t *show = ask_json("witness show"), *w;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(show, "warnings"), i, w)
		found |= !strcmp(json_string_value(json_object_get(w, "name")), name);
	json_decref(show);
	return found;
}

/* A warning begins (or is over) within so long. */
static bool warns_within(const char *name, bool on, unsigned ms)
{
	uint64_t end = wire_now() + (uint64_t)ms * wire_slow();

	while (warns(name) != on) {
		if (wire_now() > end)
			return false;
		wire_sleep(200);
	}
	return true;
}

#define TARGET WIRE_TARGET "/0 (quorum):\n"
#define A      "iqn.1991-05.com.example:node-a"
#define B      "iqn.1991-05.com.example:node-b"
#define C      "iqn.1991-05.com.example:node-c"

/* ---- what clusters do ------------------------------------------------------------------------ */

static void test_windows(void)
{
	json_t *show, *owner;
	unsigned rounds;

	witness_daemon();
	node_open('a');
	node_open('b');
	registers('a', key('a'));
	defends('a', 5);
	for (rounds = 5; rounds < 15 && !in_rhythm(); rounds++)
		defends('a', 1);
	show = ask_json("witness show");
	CU_ASSERT_STRING_EQUAL(software(show, "windows"), "likely");
	owner = json_object_get(show, "owner");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(owner, "initiator")), A);
	CU_ASSERT(json_is_true(json_object_get(owner, "in_rhythm")));
	CU_ASSERT_EQUAL(num(owner, "defences"), rounds - 1);
	CU_ASSERT_EQUAL(num(owner, "type"), 5);
	CU_ASSERT(num(owner, "defended_ms") >= 2500 &&
		  num(owner, "defended_ms") < 8000 * (int)wire_slow());
	CU_ASSERT_EQUAL(num(node_of(show, A), "sessions"), 2);
	CU_ASSERT_EQUAL(num(node_of(show, A), "keys"), 2);
	CU_ASSERT_EQUAL(num(node_of(show, B), "keys"), 0);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(show, "warnings")), 0);
	json_decref(show);
	/* It dies; the other waits, and takes over. */
	node_dies('a');
	registers('b', key('b'));
	CU_ASSERT_EQUAL(out('b', 0, PR_RESERVE, key('b'), 0), RES_CONFLICT);
	wire_sleep(7000);
	CU_ASSERT(warns_within("no_defence", true, 3000));
	CU_ASSERT(warns_within("owner_gone", true, 6000));
	CU_ASSERT(!out('b', 0, PR_PREEMPT, key('b'), key('a')));
	defends('b', 1);
	CU_ASSERT(explains(
		TARGET "  " B " took this disk from " A " at T, with PREEMPT; 2 registrations went "
		       "with it.\n"
		       "  " A
		       " had owned it for S, and defended it in rhythm until T, S before; its last "
		       "session had ended S before.\n"
		       "  " B " had challenged it at T, and waited S.\n"
		       "  Why: " A " was gone, and its reservation was not defended any more.\n"
		       "  This looks like Windows Server failover clustering (sure).\n"));
	CU_ASSERT(warns_within("no_defence", false, 3000));
	CU_ASSERT(!warns("owner_gone"));
	show = ask_json("witness show");
	CU_ASSERT_EQUAL(num(node_of(show, A), "sessions"), 0);
	CU_ASSERT(json_is_string(json_object_get(node_of(show, A), "gone")));
	CU_ASSERT_EQUAL(num(json_object_get(show, "counts"), "changes"), 2);
	CU_ASSERT_EQUAL(num(json_object_get(show, "counts"), "challenges"), 1);
	json_decref(show);
	CU_ASSERT_EQUAL(daemon_log_await("event=witness_warning lun=quorum what=no_defence "
					 "state=begins", 1), 1);
	/* A planned move back. */
	CU_ASSERT(!out('b', 0, PR_RELEASE, key('b'), 0));
	node_open('a');
	registers('a', key('a'));
	CU_ASSERT(!out('a', 0, PR_RESERVE, key('a'), 0));
	CU_ASSERT(explains(TARGET
			   "  " A " took this disk at T, with RESERVE.\n"
			   "  " B " had given it up S before, with RELEASE.\n"
			   "  Why: a planned move; nothing was forced.\n"
			   "  This looks like Windows Server failover clustering (sure).\n"));
	daemon_stop();
	/* All of it is known after a restart. */
	daemon_restart();
	CU_ASSERT(explains(TARGET
			   "  " A " took this disk at T, with RESERVE.\n"
			   "  " B " had given it up S before, with RELEASE.\n"
			   "  Why: a planned move; nothing was forced.\n"
			   "  This looks like Windows Server failover clustering (sure).\n"));
	show = ask_json("witness show");
	CU_ASSERT_EQUAL(num(show, "run"), 2);
	CU_ASSERT_EQUAL(num(json_object_get(show, "counts"), "changes"), 4);
	json_decref(show);
	daemon_stop();
}

static void test_fence_scsi(void)
{
	json_t *show;

	witness_daemon();
	for (char n = 'a'; n <= 'c'; n++) {
		node_open(n);
		CU_ASSERT(tur_good(path[n - 'a'][0], 0));
		registers(n, UINT64_C(0x4d2a0001) + (uint64_t)(n - 'a'));
	}
	CU_ASSERT(!out('a', 0, PR_RESERVE, 0x4d2a0001, 0));
	CU_ASSERT_EQUAL(out('b', 0, PR_RESERVE, 0x4d2a0002, 0), RES_CONFLICT);
	CU_ASSERT(!out('b', 0, PR_PREEMPT_AND_ABORT, 0x4d2a0002, 0x4d2a0003));
	wire_sleep(2500);
	CU_ASSERT(explains(TARGET "  " A " took this disk at T, with RESERVE.\n"
				  "  Nobody owned it before.\n"
				  "  " B " fenced " C
				  " at T, with PREEMPT AND ABORT: 2 registrations "
				  "removed; the disk's owner stayed.\n"
				  "  This looks like Pacemaker with fence_scsi (sure).\n"));
	CU_ASSERT(!out('b', 0, PR_PREEMPT_AND_ABORT, 0x4d2a0002, 0x4d2a0001));
	CU_ASSERT(explains(TARGET "  " B " took this disk from " A " at T, with PREEMPT AND ABORT; "
				  "2 registrations went with it.\n"
				  "  " A " had owned it for S.\n"
				  "  Why: " B " fenced " A ", which was logged in.\n"
				  "  This looks like Pacemaker with fence_scsi (sure).\n"));
	show = ask_json("witness show");
	CU_ASSERT_STRING_EQUAL(software(show, "windows"), "unknown");
	json_decref(show);
	daemon_stop();
}

static void reads(char n, uint32_t block)
{
	static uint8_t buf[BLOCK];
	struct io io;

	io_read(&io, 0, block, 1, buf);
	CU_ASSERT(io_good(path[n - 'a'][0], &io));
}

/* Beats that are missed or late make no rhythm: it takes some more then. */
static bool sbd_is_sure(void)
{
	json_t *show = ask_json("witness show");
	bool is = !strcmp(software(show, "sbd"), "sure");

	json_decref(show);
	return is;
}

static void test_sbd(void)
{
	json_t *show;

	witness_daemon();
	node_open('a');
	node_open('b');
	for (unsigned i = 0; i < 7 || (i < 30 && !sbd_is_sure()); i++) {
		for (char n = 'a'; n <= 'b'; n++) {
			reads(n, 0);
			reads(n, 1u + 2 * (unsigned)(n - 'a'));
			reads(n, 2u + 2 * (unsigned)(n - 'a'));
		}
		wire_sleep(1000);
	}
	show = ask_json("witness show");
	CU_ASSERT_STRING_EQUAL(software(show, "sbd"), "sure");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(show, "software")), 1);
	json_decref(show);
	CU_ASSERT(explains(TARGET "  Nobody has reserved this disk: it has no owner.\n"
				  "  Nobody is registered.\n"
				  "  The sbd heartbeat of " A " beats.\n"
				  "  The sbd heartbeat of " B " beats.\n"
				  "  This looks like sbd (sure).\n"));
	node_dies('b');
	CU_ASSERT(warns_within("heartbeat_lost", true, 9000));
	daemon_stop();
}

/* Somebody reads as fast as it can: it is not all looked at, and nobody else goes unseen. */
static void test_flood(void)
{
	json_t *show;

	witness_daemon();
	for (char n = 'a'; n <= 'c'; n++)
		node_open(n);
	for (uint64_t next = wire_now(), i = 0; i < 8 || (i < 30 && !sbd_is_sure()); i++) {
		for (char n = 'a'; n <= 'b'; n++) {
			reads(n, 1u + 2 * (unsigned)(n - 'a'));
			reads(n, 2u + 2 * (unsigned)(n - 'a'));
		}
		for (next += 1000; wire_now() < next;)
			reads('c', 1000 + pr_random(1000));
	}
	show = ask_json("witness show");
	CU_ASSERT_STRING_EQUAL(software(show, "sbd"), "sure");
	CU_ASSERT(num(show, "samples_dropped") > 100);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(show, "warnings")), 0);
	json_decref(show);
	daemon_stop();
}

/* ---- the journal ----------------------------------------------------------------------------- */

/* Something, soon after the last something. */
static void something(void)
{
	static uint8_t buf[BLOCK];
	struct io io;
	char n = (char)('a' + pr_random(3));
	struct wire *w = path[n - 'a'][pr_random(PATHS)];

	switch (pr_random(8)) {
	case 0:
	case 1:
		prout_clean(w, PR_REGISTER_AND_IGNORE, 0, 0, pr_random(5) ? (uint64_t)n : 0, 0);
		break;
	case 2:
	case 3:
		prout_clean(w, PR_RESERVE, TYPE_WERO, (uint64_t)n, 0, 0);
		break;
	case 4:
		prout_clean(w, PR_RELEASE, TYPE_WERO, (uint64_t)n, 0, 0);
		break;
	case 5:
		prout_clean(w, PR_PREEMPT, TYPE_WERO, (uint64_t)n, 'a' + pr_random(3), 0);
		break;
	case 6:
		node_dies(n);
		node_open(n);
		break;
	default:
		io_read(&io, 0, pr_random(100), 1, buf);
		io_run(w, &io); /* a unit attention is an answer, too */
	}
}

/* The picture says of registrations and their owner what the reservations say. */
static void same_as_pr(void)
{
	json_t *show = ask_json("witness show"), *pr = ask_json("pr show"), *r, *n;
	json_t *owner = json_object_get(show, "owner");
	unsigned keys = 0;
	size_t i;

	json_array_foreach(json_object_get(show, "nodes"), i, n)
		keys += (unsigned)num(n, "keys");
	CU_ASSERT_EQUAL(keys, json_array_size(json_object_get(pr, "registrants")));
	CU_ASSERT_EQUAL(json_is_object(owner), num(pr, "type") != 0);
	json_array_foreach(json_object_get(pr, "registrants"), i, r)
		if (json_is_true(json_object_get(r, "holder")))
			CU_ASSERT_STRING_EQUAL(
				json_string_value(json_object_get(r, "initiator")),
				json_string_value(json_object_get(owner, "initiator")) ?: "-");
	json_decref(show);
	json_decref(pr);
}

static void journal_whole(void)
{
	json_t *l = ask_json("witness log");

	CU_ASSERT_EQUAL(num(l, "damaged_lines"), 0);
	CU_ASSERT(json_is_null(json_object_get(l, "error")));
	CU_ASSERT(json_array_size(json_object_get(l, "entries")) > 0);
	json_decref(l);
}

static void test_kill(void)
{
	witness_daemon();
	for (unsigned i = 0; i < kills; i++) {
		for (char n = 'a'; n <= 'c'; n++)
			node_open(n);
		for (uint64_t end = wire_now() + pr_random(600); wire_now() < end;)
			something();
		pr_daemon_kill();
		for (char n = 'a'; n <= 'c'; n++)
			node_dies(n);
		pr_daemon_restart();
		same_as_pr();
		journal_whole();
	}
	/* Ended in order, nothing is missing. */
	for (char n = 'a'; n <= 'c'; n++)
		node_open(n);
	for (unsigned i = 0; i < 100; i++)
		something();
	{
		json_t *before = ask_json("witness show"), *after;
		json_t *was = json_object_get(before, "counts");

		daemon_stop();
		daemon_restart();
		after = ask_json("witness show");
		CU_ASSERT(json_equal(was, json_object_get(after, "counts")));
		CU_ASSERT(json_equal(json_object_get(before, "owner"), json_null()) ==
			  json_is_null(json_object_get(after, "owner")));
		json_decref(before);
		json_decref(after);
	}
	same_as_pr();
	journal_whole();
	CU_ASSERT(!daemon_log_count("bad="));
	daemon_stop();
}

/* A last line that was being written, in every length. */
static void test_torn(void)
{
	char cmd[512], name[WIRE_PATH + 32] = "";
	unsigned cut[] = { 1, 2, 9, 40, 100 };
	FILE *f;

	witness_daemon();
	node_open('a');
	registers('a', key('a'));
	CU_ASSERT(!out('a', 0, PR_RESERVE, key('a'), 0));
	daemon_stop();
	snprintf(cmd, sizeof(cmd), "ls '%s'/state/*.witness.0", wire_daemon.dir);
	f = popen(cmd, "r");
	CU_ASSERT_FATAL(f && fgets(name, sizeof(name), f));
	pclose(f);
	name[strcspn(name, "\n")] = 0;
	for (unsigned i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		struct stat st;

		CU_ASSERT_FATAL(!stat(name, &st));
		CU_ASSERT_FATAL(!truncate(name, st.st_size - cut[i]));
		daemon_restart();
		same_as_pr();
		journal_whole();
		CU_ASSERT(explains(TARGET "  " A " took this disk at T, with RESERVE.\n"
					  "  Nobody owned it before.\n"
					  "  What software uses it is unknown.\n"));
		daemon_stop();
	}
	/* Nothing of it is left: what is stored is found. */
	CU_ASSERT_FATAL(!truncate(name, 0));
	daemon_restart();
	same_as_pr();
	CU_ASSERT(explains(TARGET "  " A " owned this disk when the daemon started at T; how that "
				  "came about is not in the journal.\n"
				  "  What software uses it is unknown.\n"));
	daemon_stop();
}

/* Somebody registers again and again: the journal keeps its past, and the picture what came of it.
 */
static void test_burst(void)
{
	json_t *before, *after, *l;

	witness_daemon();
	node_open('a');
	node_open('b');
	registers('a', key('a'));
	CU_ASSERT(!out('a', 0, PR_RESERVE, key('a'), 0));
	for (unsigned i = 1; i <= 3000; i++)
		CU_ASSERT(!out('b', i % PATHS, PR_REGISTER_AND_IGNORE, 0, i));
	CU_ASSERT_EQUAL(out('b', 0, PR_RESERVE, 3000, 0), RES_CONFLICT);
	CU_ASSERT(warns_within("journal_lost", true, 3000));
	same_as_pr();
	CU_ASSERT(warns_within("journal_lost", false, 40000));
	before = ask_json("witness show");
	CU_ASSERT_EQUAL(num(json_object_get(before, "counts"), "challenges"), 1);
	l = ask_json("witness log --last 10000");
	CU_ASSERT(json_array_size(json_object_get(l, "entries")) < 2500);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(
				       json_array_get(json_object_get(l, "entries"), 0), "kind")),
			       "started");
	json_decref(l);
	pr_daemon_kill();
	pr_daemon_restart();
	after = ask_json("witness show");
	CU_ASSERT(json_equal(json_object_get(before, "counts"), json_object_get(after, "counts")));
	same_as_pr();
	journal_whole();
	json_decref(before);
	json_decref(after);
	daemon_stop();
}

/* The state directory has room for the reservations, and for nothing else. */
static void test_full(void)
{
	const char *state = NULL;
	char dir[WIRE_PATH];

	witness_daemon();
	daemon_stop();
	snprintf(dir, sizeof(dir), "%s", daemon_path("state"));
	state = dir;
	/* The LU's store takes 504 KiB. */
	CU_ASSERT_FATAL(!mount("none", state, "tmpfs", 0, "size=516k"));
	daemon_restart();
	node_open('a');
	node_open('b');
	for (unsigned i = 0; i < 30; i++) {
		registers('a', key('a'));
		CU_ASSERT(!out('a', 0, PR_RESERVE, key('a'), 0));
		CU_ASSERT(!out('a', 0, PR_RELEASE, key('a'), 0));
		CU_ASSERT(!out('a', 0, PR_CLEAR, key('a'), 0));
	}
	registers('a', key('a'));
	CU_ASSERT(!out('a', 0, PR_RESERVE, key('a'), 0));
	reads('b', 7);
	CU_ASSERT(warns_within("nearly_full", true, 15000));
	CU_ASSERT(warns_within("journal_lost", true, 15000));
	same_as_pr();
	/* There is room again. */
	CU_ASSERT_FATAL(!mount("none", state, "tmpfs", MS_REMOUNT, "size=64m"));
	CU_ASSERT(warns_within("nearly_full", false, 15000));
	CU_ASSERT(warns_within("journal_lost", false, 40000));
	CU_ASSERT_EQUAL(daemon_log_await("what=nearly_full state=begins", 1), 1);
	same_as_pr();
	journal_whole();
	daemon_stop();
	daemon_restart();
	same_as_pr();
	CU_ASSERT(explains(TARGET "  " A " took this disk at T, with RESERVE.\n"
				  "  " A " had given it up S before, with RELEASE.\n"
				  "  Why: it took back what it had given up.\n"
				  "  What software uses it is unknown.\n"));
	daemon_stop();
	CU_ASSERT(!umount(state));
}

static uint32_t data_io(bool wr, uint32_t lba, uint8_t *buf)
{
	struct io io;

	(wr ? io_write : io_read)(&io, 1, lba, CHUNK, buf);
	return io_run(path[0][0], &io) ? io_result(&io) : RES_NONE;
}

/*
 * A full file system under a data LUN, and under the witness beside it: the data LUN says so with
 * the sense for it (SBC-3 4.7.3.6), and works where it has room; the witness has its blocks, and
 * reservations their store; the administrator is warned.
 */
static void test_data_full(void)
{
	static uint8_t buf[CHUNK * BLOCK], back[CHUNK * BLOCK];
	static struct prout p;
	char space[400];
	char lun[1024];
	uint32_t n = 0, r;

	snprintf(space, sizeof(space), "%s", daemon_path("space"));
	CU_ASSERT_FATAL(!mkdir(space, 0700) && !mount("none", space, "tmpfs", 0, "size=40m"));
	snprintf(lun, sizeof(lun),
		 "      - {lun: 0, name: quorum, type: witness, path: \"%s/q.img\", size: 16M}\n"
		 "      - {lun: 1, name: data, path: \"%s/data.img\", size: 256M}\n",
		 space, space);
	pr_daemon(NULL, lun);
	path[0][0] = pr_open("node-a", 1, 1);
	CU_ASSERT(!prout_clean(path[0][0], PR_REGISTER_AND_IGNORE, TYPE_WERO, 0, key('a'), 0));
	(void)data_io(false, 0, back); /* unit attentions */
	do {
		fill_blocks(buf, n * CHUNK, CHUNK, n);
		r = data_io(true, n * CHUNK, buf);
	} while (!r && ++n < (256u << 20) / sizeof(buf));
	printf("    %u writes of %u KiB until there was no room\n", n, CHUNK / 2);
	CU_ASSERT_EQUAL(r, RES_SENSE(7, 0x2707));
	CU_ASSERT_FATAL(n > 1);
	CU_ASSERT_EQUAL(data_io(true, (n + 1) * CHUNK, buf), RES_SENSE(7, 0x2707));
	/* What has blocks can be read and written. */
	CU_ASSERT(!data_io(false, 0, back) && same_blocks(back, 0, CHUNK, 0));
	fill_blocks(buf, 0, CHUNK, 77);
	CU_ASSERT(!data_io(true, 0, buf) && !data_io(false, 0, back) &&
		  same_blocks(back, 0, CHUNK, 77));
	/* The witness goes on, everywhere, and so do reservations of both. */
	for (uint32_t i = 0; i < 32; i++) {
		struct io io;

		fill_blocks(buf, i * 1024, 1, i);
		io_write(&io, 0, i * 1024, 1, buf);
		CU_ASSERT(io_good(path[0][0], &io));
	}
	CU_ASSERT(!out('a', 0, PR_RESERVE, key('a'), 0));
	prout_set(&p, 1, PR_REGISTER_AND_IGNORE, 0, 0, key('a'), 0);
	CU_ASSERT(io_run(path[0][0], &p.io) && !io_result(&p.io));
	CU_ASSERT(warns_within("nearly_full", true, 15000));
	same_as_pr();
	/* There is room again. */
	CU_ASSERT_FATAL(!mount("none", space, "tmpfs", MS_REMOUNT, "size=512m"));
	fill_blocks(buf, n * CHUNK, CHUNK, n);
	CU_ASSERT(!data_io(true, n * CHUNK, buf));
	CU_ASSERT(warns_within("nearly_full", false, 15000));
	daemon_stop();
	CU_ASSERT(!umount(space));
}

/* A file system of our own is for root to mount. */
static bool can_mount(void)
{
	char dir[] = "/tmp/hf-mount-XXXXXX";
	bool ok = mkdtemp(dir) && !mount("none", dir, "tmpfs", 0, "size=64k");

	if (!ok)
		printf("SKIP full file systems: mount: %s\n", strerror(errno));
	else
		umount(dir);
	rmdir(dir);
	return ok;
}

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = {
		UNIT(test_windows), UNIT(test_fence_scsi), UNIT(test_sbd),
		UNIT(test_flood),   UNIT(test_torn),	   UNIT(test_kill),
		UNIT(test_burst),   UNIT(test_data_full), UNIT(test_full), /* the last two */
	};
	unsigned n = sizeof(tests) / sizeof(tests[0]);
	const char *only = getenv("WITNESS_ONLY");
	int rc;

	if (argc > 1)
		kills = (unsigned)atoi(argv[1]);
	for (unsigned i = 0; only && i < n; i++)
		if (!strcmp(only, tests[i].name))
			return unit_run("witness", &tests[i], 1);
	if (can_mount())
		return unit_run("witness", tests, n);
	rc = unit_run("witness", tests, n - 2);
	if (!rc)
		printf("witness: %u passed, 0 failed, 2 skipped\n", n - 2);
	return rc;
}
