/* SPDX-License-Identifier: Apache-2.0 */
/* Logout of all kinds (RFC 7143 11.14, 11.15), and the daemon's own end: asynchronous events,
 * SIGTERM. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/daemon/wire.h"

static uint8_t out[64 * BLOCK], late_out[64 * BLOCK], in[64 * BLOCK];

static void test_reasons(void)
{
	struct wire *w, *other;
	struct pdu p, q;

	daemon_start(NULL, NULL, NULL);
	other = wire_open(&(struct login_opts){ .isid = 9 }, 1);
	w = wire_open(NULL, 1);
	CU_ASSERT_EQUAL(wire_logout(w, LOGOUT_SESSION, 0), LOGOUT_RSP_OK);
	CU_ASSERT(wire_closed(w, 2000));
	w = wire_open(NULL, 1);
	CU_ASSERT_EQUAL(wire_logout(w, LOGOUT_SESSION, 77),
			LOGOUT_RSP_OK); /* the CID does not matter here */
	CU_ASSERT(wire_closed(w, 2000));
	w = wire_open(&(struct login_opts){ .cid = 5 }, 1);
	CU_ASSERT_EQUAL(wire_logout(w, LOGOUT_CONNECTION, 6), LOGOUT_RSP_NO_CID);
	CU_ASSERT(wire_alive(w));
	CU_ASSERT_EQUAL(wire_logout(w, LOGOUT_RECOVERY, 5), LOGOUT_RSP_NO_RECOVERY);
	CU_ASSERT(wire_alive(w));
	CU_ASSERT_EQUAL(wire_logout(w, LOGOUT_CONNECTION, 5), LOGOUT_RSP_OK);
	CU_ASSERT(wire_closed(w, 2000));
	/* a reason nobody knows */
	w = wire_open(NULL, 1);
	p = (struct pdu){ .logout = { .opcode = OP_LOGOUT_REQ | PDU_IMMEDIATE,
				      .flags = PDU_FINAL | 0x55,
				      .itt = be32_of(wire_next_itt(w)),
				      .cmdsn = be32_of(w->cmdsn) } };
	wire_send(w, &p, NULL, 0);
	CU_ASSERT(wire_expect(w, OP_REJECT, &q, WIRE_MS));
	CU_ASSERT(wire_alive(w));
	CU_ASSERT(wire_alive(other));
	daemon_stop();
}

/* A numbered logout waits for the commands before it; what comes behind it is not served any more.
 */
static void test_numbered(void)
{
	struct pdu p = { .logout = { .opcode = OP_LOGOUT_REQ, .flags = PDU_FINAL } }, q;
	struct io io, behind;
	struct wire *w;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	p.logout.itt = be32_of(wire_next_itt(w));
	p.logout.cmdsn = be32_of(w->cmdsn + 1);
	w->cmdsn += 2;
	wire_send(w, &p, NULL, 0);
	CU_ASSERT(wire_quiet(w, WIRE_QUIET_MS));
	fill_blocks(out, 0, 8, 1);
	io_write(&io, 0, 0, 8, out);
	io.keep_cmdsn = true;
	io.cmdsn = w->cmdsn - 2;
	io_start(w, &io);
	fill_blocks(out + 8 * BLOCK, 100, 8, 2);
	io_write(&behind, 0, 100, 8, out + 8 * BLOCK);
	io_start(w, &behind);
	CU_ASSERT(wire_expect(w, OP_LOGOUT_RSP, &q, WIRE_MS));
	CU_ASSERT_EQUAL(q.logout_rsp.response, LOGOUT_RSP_OK);
	CU_ASSERT(wire_closed(w, 2000));
	CU_ASSERT(!behind.done);
	w = wire_open(NULL, 1);
	io_read(&io, 0, 100, 8, in);
	CU_ASSERT(io_good(w, &io));
	memset(out, 0, sizeof(out));
	CU_ASSERT(!memcmp(in, out, 8 * BLOCK));
	daemon_stop();
}

/* With commands under way: they end with the session, without a word; the next session is whole at
 * once. */
static void test_with_tasks(void)
{
	struct io io[4], hung, r;
	struct wire *w;
	char luns[512];

	daemon_touch("hang");
	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: m0, backend: memory, size: 16M}\n"
		 "      - {lun: 1, name: m1, backend: memory, size: 16M, filters: "
		 "\"fault:op=read,while=%s,hang\"}\n",
		 daemon_path("hang"));
	daemon_start(NULL, luns, NULL);
	w = wire_open(NULL, 2);
	fill_blocks(out, 0, 64, 3);
	for (unsigned i = 0; i < 4; i++) {
		io_write(&io[i], 0, 0, 64, out);
		io[i].no_imm = io[i].manual = true;
		io_start(w, &io[i]);
	}
	io_read(&hung, 1, 0, 8, in);
	io_start(w, &hung);
	CU_ASSERT(wire_quiet(w, 50));
	CU_ASSERT_EQUAL(wire_logout(w, LOGOUT_SESSION, 0), LOGOUT_RSP_OK);
	CU_ASSERT(wire_closed(w, 2000));
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT(!io[i].done);
	CU_ASSERT(!hung.done);
	w = wire_open(NULL, 1);
	io_read(&r, 0, 0, 64, in);
	CU_ASSERT(io_good(w, &r));
	memset(out, 0, sizeof(out));
	CU_ASSERT(!memcmp(in, out, sizeof(in)));
	daemon_remove("hang");
	daemon_stop();
}

/* ---- SIGTERM
 * ------------------------------------------------------------------------------------
 */

static bool exit_ok(void)
{
	return daemon_wait(WIRE_STOP_MS) && WIFEXITED(wire_daemon.status) &&
	       !WEXITSTATUS(wire_daemon.status);
}

/* Who is asked to log out has 1.5 s: time enough, unless somebody stands still. */
enum { LOGOUT_MS = 1500 };

/* Nobody there: at once. */
static bool term_idle(bool last)
{
	uint64_t t;

	daemon_start(NULL, NULL, NULL);
	t = wire_now();
	kill(wire_daemon.pid, SIGTERM);
	CU_ASSERT(exit_ok());
	t = wire_now() - t;
	CU_ASSERT(!last || t < LOGOUT_MS * wire_slow());
	return last || t < LOGOUT_MS * wire_slow();
}

static void test_term_idle(void)
{
	wire_tries(term_idle);
}

/* Sessions are asked to log out (11.9.1, event 1); when they have, the daemon ends at once. */
static bool term_polite(bool last)
{
	struct wire *w[3], *d;
	struct pdu p;
	uint64_t t;

	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < 3; i++)
		w[i] = wire_open(&(struct login_opts){ .isid = (uint8_t)i, .digests = i == 1 }, 1);
	d = wire_open(&(struct login_opts){ .isid = 8, .discovery = true }, 0);
	t = wire_now();
	kill(wire_daemon.pid, SIGTERM);
	for (unsigned i = 0; i < 3; i++) {
		bool left = wire_expect(w[i], OP_ASYNC, &p, WIRE_MS);

		if (left) {
			CU_ASSERT_EQUAL(p.async.event, ASYNC_LOGOUT);
			CU_ASSERT_EQUAL(be32_get(p.async.ffffffff), 0xffffffff);
			CU_ASSERT_EQUAL(p.h.flags, PDU_FINAL);
			CU_ASSERT(be16_get(p.async.param3) <= 5); /* seconds we have to log out */
			left = wire_logout(w[i], LOGOUT_SESSION, 0) == LOGOUT_RSP_OK;
		}
		if (!left && wire_now() - t >= LOGOUT_MS && !last) {
			CU_ASSERT(exit_ok());
			daemon_stop();
			return false;
		}
		CU_ASSERT_FATAL(left);
		CU_ASSERT(wire_closed(w[i], WIRE_MS));
	}
	wire_close(d);
	CU_ASSERT(exit_ok());
	t = wire_now() - t;
	CU_ASSERT(!last || t < LOGOUT_MS * wire_slow());
	return last || t < LOGOUT_MS * wire_slow();
}

static void test_term_polite(void)
{
	wire_tries(term_polite);
}

/* Who does not react is disconnected in time. */
static void test_term_deaf(void)
{
	struct wire *w, *half;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(NULL, 1);
	half = wire_connect();
	CU_ASSERT_PTR_NOT_NULL(half);
	kill(wire_daemon.pid, SIGTERM);
	CU_ASSERT(exit_ok());
	CU_ASSERT(wire_closed(w, 100));
}

/* Until its initiator has logged out a session is served as before: a status that says "not now" is
 * an I/O error to some (QEMU's scsi-block). What was under way ends as it should, and is on the
 * medium. */
static bool term_serves(bool last)
{
	struct io slow, late, r;
	struct wire *w;
	struct pdu p;
	char luns[512];
	uint64_t t;
	bool served;

	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: f0, path: %s, size: 16M, "
		 "filters: \"delay:op=write,ms=400\"}\n",
		 daemon_path("f0.img"));
	daemon_start(NULL, luns, NULL);
	w = wire_open(NULL, 1);
	fill_blocks(out, 10, 64, 6);
	io_write(&slow, 0, 10, 64, out);
	io_start(w, &slow);
	CU_ASSERT(wire_alive(w));
	t = wire_now();
	kill(wire_daemon.pid, SIGTERM);
	fill_blocks(late_out, 200, 64, 8);
	io_write(&late, 0, 200, 64, late_out);
	served = wire_expect(w, OP_ASYNC, &p, WIRE_MS) && io_good(w, &late) &&
		 io_wait(&slow, WIRE_MS);
	/* no new session */
	{
		struct wire *n = wire_connect();

		CU_ASSERT(!n || wire_login(n, &(struct login_opts){ .isid = 7 }) != 0);
		wire_close(n);
	}
	served = served && wire_logout(w, LOGOUT_SESSION, 0) == LOGOUT_RSP_OK;
	if (!served && wire_now() - t >= LOGOUT_MS && !last) {
		CU_ASSERT(exit_ok());
		daemon_stop();
		return false;
	}
	CU_ASSERT_FATAL(served);
	CU_ASSERT_EQUAL(slow.status, ST_GOOD);
	wire_close(w);
	CU_ASSERT(exit_ok());
	daemon_restart();
	w = wire_open(NULL, 1);
	io_read(&r, 0, 10, 64, in);
	CU_ASSERT(io_good(w, &r) && same_blocks(in, 10, 64, 6));
	io_read(&r, 0, 200, 64, in);
	CU_ASSERT(io_good(w, &r) && same_blocks(in, 200, 64, 8));
	daemon_stop();
	remove(daemon_path("f0.img"));
	return true;
}

static void test_term_serves(void)
{
	wire_tries(term_serves);
}

/* A backend that does not come back, a write that waits for its data: it ends in time all the same.
 */
static void test_term_stuck(void)
{
	struct io starved, hung;
	struct wire *w;
	char luns[512];

	daemon_touch("hang");
	snprintf(luns, sizeof(luns),
		 "      - {lun: 0, name: m0, backend: memory, size: 16M}\n"
		 "      - {lun: 1, name: m1, backend: memory, size: 16M, filters: "
		 "\"fault:while=%s,hang\"}\n",
		 daemon_path("hang"));
	daemon_start(NULL, luns, NULL);
	w = wire_open(NULL, 2);
	io_write(&starved, 0, 0, 64, out);
	starved.no_imm = starved.manual = true;
	io_start(w, &starved);
	io_write(&hung, 1, 0, 8, out);
	io_start(w, &hung);
	CU_ASSERT(wire_alive(w));
	kill(wire_daemon.pid, SIGTERM);
	CU_ASSERT(daemon_wait(WIRE_STOP_MS));
	CU_ASSERT(!daemon_alive());
	CU_ASSERT_EQUAL(daemon_log_count("event=stop ios="), 1);
	daemon_remove("hang");
}

/* In the middle of everything: reads, writes that wait for data, COMPARE AND WRITE, logins. */
static void test_term_loaded(void)
{
	static struct io io[8][24];
	static uint8_t bufs[8][24][16 * BLOCK];
	struct wire *w[8];
	char luns[512];

	for (unsigned round = 0; round < 6; round++) {
		snprintf(luns, sizeof(luns),
			 "      - {lun: 0, name: m0, backend: memory, size: 16M, filters: "
			 "\"delay:min_us=1,max_us=2000\"}\n"
			 "      - {lun: 1, name: f1, path: %s, size: 16M}\n",
			 daemon_path("f1.img"));
		daemon_start(NULL, luns, NULL);
		for (unsigned i = 0; i < 8; i++)
			w[i] = wire_open(
				&(struct login_opts){ .isid = (uint8_t)i, .digests = i & 1 }, 2);
		for (unsigned k = 0; k < 24; k++)
			for (unsigned i = 0; i < 8; i++) {
				struct io *o = &io[i][k];

				if (k % 4 == 0)
					io_read(o, k & 1, 8 * k, 16, bufs[i][k]);
				else if (k % 4 == 3)
					io_caw(o, i & 1, 1000 + k, 1, bufs[i][k]);
				else
					io_write(o, i & 1, 100 * i + k, 16, bufs[i][k]);
				o->no_imm = k % 3 == 0;
				o->manual = k % 6 == 0;
				io_start(w[i], o);
			}
		for (unsigned i = 0; i < 3; i++)
			wire_connect();
		wire_sleep(round * 3);
		kill(wire_daemon.pid, SIGTERM);
		for (unsigned i = 0; i < 8; i++)
			if (i % 3 == 0)
				wire_close(w[i]);
		CU_ASSERT(exit_ok());
		CU_ASSERT_EQUAL(daemon_log_count("level=error"), 0);
	}
	remove(daemon_path("f1.img"));
}

/* Twice, and SIGINT: no second meaning. */
static void test_term_twice(void)
{
	daemon_start(NULL, NULL, NULL);
	wire_open(NULL, 1);
	kill(wire_daemon.pid, SIGTERM);
	wire_sleep(20);
	if (daemon_alive())
		kill(wire_daemon.pid, SIGTERM);
	CU_ASSERT(daemon_wait(WIRE_STOP_MS));
	daemon_start(NULL, NULL, NULL);
	kill(wire_daemon.pid, SIGINT);
	CU_ASSERT(exit_ok());
}

UNIT_MAIN("daemon logout", UNIT(test_reasons), UNIT(test_numbered), UNIT(test_with_tasks),
	  UNIT(test_term_idle), UNIT(test_term_polite), UNIT(test_term_deaf),
	  UNIT(test_term_serves), UNIT(test_term_stuck), UNIT(test_term_loaded),
	  UNIT(test_term_twice))
