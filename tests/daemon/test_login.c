/* SPDX-License-Identifier: Apache-2.0 */
/* Login as the wire sees it: status codes, limits, reinstatement, discovery (RFC
 * 7143 6.3, 11.13, 4.3). */
#include <string.h>
#include <sys/resource.h>

#include "tests/daemon/wire.h"

/* One login on a connection of its own: the status, and the connection is closed after a failure
 * (11.13.5). */
static int try_login(const struct login_opts *o)
{
	struct wire *w = wire_connect();
	int r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	r = wire_login(w, o);
	if (r)
		CU_ASSERT(wire_closed(w, 2000));
	wire_close(w);
	return r;
}

static void test_plain(void)
{
	struct wire *w;

	daemon_start("limits: {commands: 32}\n", NULL, NULL);
	w = wire_open(&(struct login_opts){ .cmdsn = 77, .isid = 1 }, 0);
	CU_ASSERT_EQUAL(w->expcmdsn, 77);
	CU_ASSERT_EQUAL(w->maxcmdsn, 77 + 32 - 1);
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

static void test_statuses(void)
{
	daemon_start(NULL, NULL, "    initiators: [\"iqn.2026-11.com.example:host*\"]\n");
	CU_ASSERT_EQUAL(try_login(NULL), 0);
	CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .initiator = "" }), 0x0207);
	CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .target = "" }), 0x0207);
	CU_ASSERT_EQUAL(
		try_login(&(struct login_opts){ .target = "iqn.2026-11.com.example:nobody" }),
		0x0203);
	CU_ASSERT_EQUAL(
		try_login(&(struct login_opts){ .initiator = "iqn.2026-11.com.example:eve" }),
		0x0202);
	CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .tsih = 4711 }), 0x020a);
	/* names of other case are the same after normalisation (4.2.7.2: stringprep makes lower
	 * case) */
	CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .target = "iqn.2026-11.com.EXAMPLE:T1" }),
			0);
	daemon_stop();
}

/* One request made by hand: the status of its response. */
static int raw_login(struct pdu *req, const char *text, uint32_t len)
{
	struct wire *w = wire_connect();
	struct pdu p;
	int r = -1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	req->h.itt = be32_of(7);
	wire_send(w, req, text, len);
	if (wire_recv(w, &p, WIRE_MS * wire_slow()) == 1) {
		CU_ASSERT_EQUAL(p.h.opcode, OP_LOGIN_RSP);
		CU_ASSERT_EQUAL(be32_get(p.h.itt), 7);
		r = p.login_rsp.status_class << 8 | p.login_rsp.status_detail;
	}
	if (r)
		CU_ASSERT(wire_closed(w, 2000));
	wire_close(w);
	return r;
}

#define NAMES "InitiatorName=" WIRE_INITIATOR "\0TargetName=" WIRE_TARGET "\0SessionType=Normal"

static void test_bad_requests(void)
{
	const struct pdu good = { .login = {
					  .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
					  .flags = LOGIN_TRANSIT | STAGE_OPERATIONAL << 2 |
						   STAGE_FULL_FEATURE,
					  .isid = { 0x80 },
				  } };
	static const char type[] =
		"InitiatorName=" WIRE_INITIATOR "\0TargetName=" WIRE_TARGET "\0SessionType=Fancy";
	static const char twice[] = NAMES "\0MaxBurstLength=8192\0MaxBurstLength=8192";
	static const char number[] = NAMES "\0MaxBurstLength=lots";
	static const char noequals[] = NAMES "\0MaxBurstLength";
	struct pdu p = good;
	int r;

	daemon_start(NULL, NULL, NULL);
	CU_ASSERT_EQUAL(raw_login(&p, NAMES, sizeof(NAMES)), 0);
	p = good;
	p.login.version_min = p.login.version_max = 1;
	CU_ASSERT_EQUAL(raw_login(&p, NAMES, sizeof(NAMES)), 0x0205);
	p = good;
	CU_ASSERT_EQUAL(raw_login(&p, type, sizeof(type)), 0x0209);
	p = good; /* a stage that leads backwards, and stage 2, which does not exist (11.12.3) */
	p.login.flags = LOGIN_TRANSIT | STAGE_OPERATIONAL << 2 | STAGE_SECURITY;
	CU_ASSERT_EQUAL(raw_login(&p, NAMES, sizeof(NAMES)) >> 8, 2);
	p = good;
	p.login.flags = 2 << 2;
	CU_ASSERT_EQUAL(raw_login(&p, NAMES, sizeof(NAMES)) >> 8, 2);
	p = good; /* full feature phase is no stage to start in */
	p.login.flags = LOGIN_TRANSIT | STAGE_FULL_FEATURE << 2 | STAGE_FULL_FEATURE;
	CU_ASSERT_EQUAL(raw_login(&p, NAMES, sizeof(NAMES)) >> 8, 2);
	p = good; /* T and C exclude each other (11.12.2) */
	p.login.flags |= LOGIN_CONTINUE;
	CU_ASSERT_EQUAL(raw_login(&p, NAMES, sizeof(NAMES)) >> 8, 2);
	p = good; /* a key twice (6.1) */
	CU_ASSERT_EQUAL(raw_login(&p, twice, sizeof(twice)) >> 8, 2);
	p = good; /* no value, no "=" */
	r = raw_login(&p, noequals, sizeof(noequals));
	CU_ASSERT_EQUAL(r >> 8, 2);
	p = good; /* a value out of range may also be answered Reject (6.2): login goes on or ends,
		     no more */
	r = raw_login(&p, number, sizeof(number));
	CU_ASSERT(r == 0 || r >> 8 == 2);
	CU_ASSERT_EQUAL(try_login(NULL), 0);
	daemon_stop();
}

static const uint8_t not_login[] = { OP_NOP_OUT,  OP_SCSI_CMD,	 OP_TMF_REQ, OP_TEXT_REQ,
				     OP_DATA_OUT, OP_LOGOUT_REQ, 0x1f };

/* Anything but a login request before the full feature phase ends the connection (RFC 7143 6.3:
 * MUST). */
static void test_not_a_login(void)
{
	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < sizeof(not_login); i++) {
		struct wire *w = wire_connect();
		struct pdu p = { .h = { .opcode = not_login[i] | PDU_IMMEDIATE,
					.flags = PDU_FINAL,
					.itt = be32_of(3) } };

		CU_ASSERT_PTR_NOT_NULL_FATAL(w);
		wire_send(w, &p, NULL, 0);
		CU_ASSERT(wire_closed(w, 2000));
		wire_close(w);
	}
	CU_ASSERT_EQUAL(try_login(NULL), 0);
	daemon_stop();
}

/* 4.2.3: "Once the Login Phase has started, if the target receives any PDU except a Login Request,
 * it MUST send a Login reject (with Status "invalid during login") and then disconnect."
 */
static void test_not_in_login(void)
{
	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < sizeof(not_login); i++) {
		struct wire *w = wire_connect();
		struct pdu p = { .login = { .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
					    .flags = STAGE_OPERATIONAL << 2,
					    .isid = { 0x80, 1, 2, 3, 4, 5 },
					    .itt = be32_of(1) } },
			   q;

		CU_ASSERT_PTR_NOT_NULL_FATAL(w);
		wire_send(w, &p, NAMES, sizeof(NAMES));
		CU_ASSERT_FATAL(wire_recv(w, &q, WIRE_MS) == 1);
		CU_ASSERT_EQUAL(q.login_rsp.status_class, 0);
		p = (struct pdu){ .h = { .opcode = not_login[i] | PDU_IMMEDIATE,
					 .flags = PDU_FINAL,
					 .itt = be32_of(3) } };
		wire_send(w, &p, "data", 4);
		CU_ASSERT_FATAL(wire_recv(w, &q, WIRE_MS) == 1);
		CU_ASSERT_EQUAL(q.h.opcode, OP_LOGIN_RSP);
		CU_ASSERT_EQUAL(be32_get(q.h.itt), 3);
		CU_ASSERT_EQUAL(q.login_rsp.status_class << 8 | q.login_rsp.status_detail, 0x020b);
		CU_ASSERT_EQUAL(q.login_rsp.isid[5], 5);
		CU_ASSERT(wire_closed(w, 2000));
		wire_close(w);
	}
	daemon_stop();
}

/* A login is refused once: what was sent behind it is not answered, nor a line in the log each. */
static void test_refused_once(void)
{
	enum { N = 200 };
	static struct bhs_login_req bad[N];
	struct wire *w;
	struct pdu q;
	unsigned n = 0;

	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < N; i++)
		bad[i] = (struct bhs_login_req){ .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
						 .version_max = 9,
						 .version_min = 9 };
	w = wire_connect();
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	wire_send_raw(w, bad, sizeof(bad));
	while (wire_recv(w, &q, WIRE_MS) == 1)
		n++;
	CU_ASSERT_EQUAL(n, 1);
	daemon_log_await("event=close", 1);
	CU_ASSERT_EQUAL(daemon_log_count("event=login_refused"), 1);
	wire_close(w);
	daemon_stop();
}

/*
 * A host that tries again and again is told of a few times, and counted: what others do is still
 * seen at once. (The minutes in between are test_log_limit's.)
 */
static void test_refused_often(void)
{
	static const char *const lost[] = { "event=login_refused ", "event=close " };
	enum { N = 40 };

	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < N; i++)
		CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .target = "iqn.x:typo" }), 0x0203);
	CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .target = "iqn.x:other" }), 0x0203);
	CU_ASSERT_EQUAL(daemon_log_await("target=iqn.x:other", 1), 1);
	CU_ASSERT_EQUAL(daemon_log_count("target=iqn.x:typo"), 8);
	daemon_stop();
	/* Nothing is lost: at the end what was left out is told. */
	CU_ASSERT_EQUAL(daemon_log_count("target=iqn.x:typo"), 9);
	for (unsigned i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
		CU_ASSERT(daemon_log_count(lost[i]) <= 10);
	CU_ASSERT_EQUAL(daemon_log_count(" times=32 last="), 1);
}

/* Text in two requests, C=1 in the first (RFC 7143 6.2): the target answers the first with an empty
 * response. */
static void test_continued_text(void)
{
	static const char text[] = NAMES;
	struct pdu p = { .login = { .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
				    .flags = LOGIN_CONTINUE | STAGE_OPERATIONAL << 2,
				    .isid = { 0x80 } } },
		   q;
	struct wire *w;

	daemon_start(NULL, NULL, NULL);
	w = wire_connect();
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	wire_send(w, &p, text, 21);
	CU_ASSERT_FATAL(wire_recv(w, &q, WIRE_MS) == 1 && q.h.opcode == OP_LOGIN_RSP);
	CU_ASSERT_EQUAL(q.login_rsp.status_class, 0);
	CU_ASSERT_EQUAL(q.len, 0);
	CU_ASSERT_EQUAL(q.h.flags & (LOGIN_TRANSIT | LOGIN_CONTINUE), 0);
	p.login.flags = LOGIN_TRANSIT | STAGE_OPERATIONAL << 2 | STAGE_FULL_FEATURE;
	p.login.expstatsn = be32_of(w->expstatsn);
	wire_send(w, &p, text + 21, sizeof(text) - 21);
	CU_ASSERT_FATAL(wire_recv(w, &q, WIRE_MS) == 1 && q.h.opcode == OP_LOGIN_RSP);
	CU_ASSERT_EQUAL(q.login_rsp.status_class, 0);
	CU_ASSERT(q.h.flags & LOGIN_TRANSIT);
	CU_ASSERT_NOT_EQUAL(be16_get(q.login_rsp.tsih), 0);
	daemon_stop();
}

/* Login text without an end: a limit, not memory. */
static void test_endless_text(void)
{
	char text[4096];
	struct pdu p = { .login = { .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
				    .flags = LOGIN_CONTINUE | STAGE_OPERATIONAL << 2,
				    .isid = { 0x80 } } },
		   q;
	struct wire *w;
	bool refused = false;

	daemon_start(NULL, NULL, NULL);
	w = wire_connect();
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	memset(text, 'a', sizeof(text));
	for (unsigned i = 0; i < 256 && !refused; i++) {
		if (!wire_send(w, &p, text, sizeof(text)) || wire_recv(w, &q, WIRE_MS) != 1)
			refused = true;
		else if (q.login_rsp.status_class == 2)
			refused = true;
	}
	CU_ASSERT(refused);
	CU_ASSERT(wire_closed(w, 2000));
	CU_ASSERT_EQUAL(try_login(NULL), 0);
	daemon_stop();
}

/* Connections that have not logged in: no more than the limit, and not for ever. */
static void test_half_open(void)
{
	struct wire *in, *w[3], *dribble;
	struct pdu login = { .login = { .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE } };
	uint64_t start;

	daemon_start("limits: {logins: 3, login_timeout: 3}\n", NULL, NULL);
	in = wire_open(NULL, 1); /* not half open any more */
	start = wire_now();
	for (unsigned i = 0; i < 3; i++) {
		w[i] = wire_connect();
		CU_ASSERT_PTR_NOT_NULL_FATAL(w[i]);
	}
	wire_sleep(50 * wire_slow());
	for (unsigned i = 0; i < 3;
	     i++) { /* beyond the limit: closed at once, not after the time-out */
		struct wire *extra = wire_connect();

		CU_ASSERT(!extra || wire_closed(extra, 2500));
		wire_close(extra);
	}
	CU_ASSERT(wire_now() - start < 2900 * wire_slow());
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT(wire_closed(w[i], WIRE_MS));
	CU_ASSERT(wire_now() - start >= 2900);
	/* bytes that trickle in do not keep it open */
	start = wire_now();
	dribble = wire_connect();
	CU_ASSERT_PTR_NOT_NULL_FATAL(dribble);
	for (unsigned i = 0; i < 40 && !dribble->eof; i++) {
		struct pdu p;

		if (!wire_send_raw(dribble, login.b + i, 1) || wire_recv(dribble, &p, 100) < 0)
			break;
	}
	CU_ASSERT(wire_closed(dribble, 2500));
	CU_ASSERT(wire_now() - start >= 2900);
	CU_ASSERT(wire_now() - start < 6500 * wire_slow());
	CU_ASSERT(wire_alive(in));
	CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .isid = 9 }), 0);
	daemon_stop();
}

/* More connections than descriptors: those beyond are closed, and the log says why. */
static void test_files(void)
{
	enum { N = 200, FILES = 128 };
	struct rlimit limit = { FILES, FILES };
	struct wire *in, *w[N];
	unsigned closed = 0;
	char rest[64];
	struct pdu p;
	uint64_t t;
	int r;

	daemon_start("limits: {login_timeout: 60}\n", NULL, NULL);
	in = wire_open(NULL, 1);
	CU_ASSERT_EQUAL_FATAL(prlimit(wire_daemon.pid, RLIMIT_NOFILE, &limit, NULL), 0);
	for (unsigned i = 0; i < N; i++) {
		w[i] = wire_connect();
		CU_ASSERT_PTR_NOT_NULL_FATAL(w[i]);
	}
	CU_ASSERT(wire_closed(w[N - 1], 2000));
	for (unsigned i = 0; i < N; i++)
		closed += wire_recv(w[i], &p, 0) < 0;
	CU_ASSERT(closed > N - FILES && closed < N);
	CU_ASSERT_EQUAL(daemon_log_await("too many open files", 8), 8);
	CU_ASSERT(wire_alive(in));
	for (unsigned i = 0; i < N; i++)
		wire_close(w[i]);
	/* as soon as their ends are noticed */
	for (t = wire_now(); (r = try_login(&(struct login_opts){ .isid = 9 })) &&
			     wire_now() - t < WIRE_MS * wire_slow();)
		wire_sleep(20);
	CU_ASSERT_EQUAL(r, 0);
	daemon_stop();
	snprintf(rest, sizeof(rest), "LimitNOFILE=)\" times=%u last=", closed - 8);
	CU_ASSERT_EQUAL(daemon_log_count(rest), 1);
}

static void test_session_limit(void)
{
	struct wire *a, *b, *c;

	daemon_start("limits: {sessions: 2}\n", NULL, NULL);
	a = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	b = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .isid = 3 }), 0x0302);
	/* the same nexus again needs no further session */
	c = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	CU_ASSERT(wire_closed(b, 2000));
	CU_ASSERT(wire_alive(c));
	CU_ASSERT_EQUAL(wire_logout(a, LOGOUT_SESSION, 0), LOGOUT_RSP_OK);
	CU_ASSERT(wire_closed(a, 2000));
	CU_ASSERT_EQUAL(try_login(&(struct login_opts){ .isid = 3 }), 0);
	CU_ASSERT(wire_alive(c));
	daemon_stop();
}

/* RFC 7143 6.3.5: a login with TSIH 0 and the name, ISID and portal group of a session takes its
 * place. */
static void test_reinstatement(void)
{
	static const char luns[] = "      - {lun: 0, name: m0, backend: memory, size: 16M}\n";
	static const char more[] = "  - name: " WIRE_TARGET2 "\n    luns:\n"
				   "      - {lun: 0, name: m1, backend: memory, size: 16M}\n";
	uint8_t data[64 * BLOCK], back[64 * BLOCK];
	struct wire *old, *other_isid, *other_name, *other_target, *fresh;
	struct io io, r;

	daemon_start(NULL, luns, more);
	old = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	other_isid = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	other_name =
		wire_open(&(struct login_opts){ .isid = 1, .initiator = WIRE_INITIATOR "2" }, 1);
	other_target = wire_open(&(struct login_opts){ .isid = 1, .target = WIRE_TARGET2 }, 1);

	/* a write waits for its data: it must never happen */
	fill_blocks(data, 8, 64, 0xdead);
	io_write(&io, 0, 8, 64, data);
	io.no_imm = io.no_unsol = io.manual = true;
	io_start(old, &io);
	wire_quiet(old, 50);
	CU_ASSERT(io.nr2t >= 1);

	fresh = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	CU_ASSERT(wire_closed(old, 2000));
	CU_ASSERT(wire_alive(fresh));
	CU_ASSERT(wire_alive(other_isid));
	CU_ASSERT(wire_alive(other_name));
	CU_ASSERT(wire_alive(other_target));
	io_forget(&io);
	io_read(&r, 0, 8, 64, back);
	CU_ASSERT(io_good(fresh, &r));
	memset(data, 0, sizeof(data));
	CU_ASSERT(!memcmp(back, data, sizeof(back)));
	/* again and again, each taking over from the one before */
	for (unsigned i = 0; i < 20; i++) {
		struct wire *next = wire_open(&(struct login_opts){ .isid = 1 }, 0);

		CU_ASSERT(wire_closed(fresh, 2000));
		wire_close(fresh);
		fresh = next;
	}
	CU_ASSERT(wire_alive(fresh));
	CU_ASSERT(wire_alive(other_isid));
	daemon_stop();
}

/* A login that only begins, or fails, takes nobody's place. */
static void test_failed_reinstatement(void)
{
	struct wire *old, *w;
	struct pdu p = { .login = { .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
				    .flags = STAGE_OPERATIONAL << 2 } },
		   q;

	daemon_start(NULL, NULL, NULL);
	old = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	w = wire_connect();
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	memcpy(p.login.isid, old->isid, 6);
	wire_send(w, &p, NAMES, sizeof(NAMES));
	CU_ASSERT(wire_recv(w, &q, WIRE_MS) == 1 && q.h.opcode == OP_LOGIN_RSP &&
		  !q.login_rsp.status_class);
	CU_ASSERT(wire_alive(old));
	wire_close(w);
	CU_ASSERT_EQUAL(
		try_login(&(struct login_opts){ .isid = 1, .target = "iqn.2026-11.com.example:x" }),
		0x0203);
	CU_ASSERT(wire_alive(old));
	daemon_stop();
}

/* Two logins of one nexus at once: one of the two sessions is left, and it works. */
static void test_login_race(void)
{
	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < 20; i++) {
		struct wire *w[2];
		struct pdu p = { .login = { .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
					    .isid = { 0x80 },
					    .flags = LOGIN_TRANSIT | STAGE_OPERATIONAL << 2 |
						     STAGE_FULL_FEATURE } };
		unsigned alive = 0;

		for (unsigned j = 0; j < 2; j++) {
			w[j] = wire_connect();
			CU_ASSERT_PTR_NOT_NULL_FATAL(w[j]);
		}
		for (unsigned j = 0; j < 2; j++)
			wire_send(w[j], &p, NAMES, sizeof(NAMES));
		for (unsigned j = 0; j < 2; j++) {
			struct pdu q;
			int r = wire_recv(w[j], &q, WIRE_MS * wire_slow());

			CU_ASSERT_NOT_EQUAL(r, 0); /* an answer, or the end of the connection */
			if (r == 1 && !q.login_rsp.status_class)
				w[j]->full_feature = true;
		}
		wire_sleep(20);
		for (unsigned j = 0; j < 2; j++)
			if (w[j]->full_feature && !wire_closed(w[j], 30))
				alive += wire_alive(w[j]);
		CU_ASSERT_EQUAL(alive, 1);
		for (unsigned j = 0; j < 2; j++)
			wire_close(w[j]);
	}
	daemon_stop();
}

/* MaxConnections=1, ERL 0: no second connection for a session, and the session does not mind. */
static void test_tsih_refused(void)
{
	struct wire *w;
	int r;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	r = try_login(&(struct login_opts){ .isid = 1, .tsih = w->tsih, .cid = 1 });
	CU_ASSERT(r == 0x0206 || r == 0x0208);
	CU_ASSERT(wire_alive(w));
	r = try_login(&(struct login_opts){ .isid = 1, .tsih = (uint16_t)(w->tsih + 1) });
	CU_ASSERT_EQUAL(r, 0x020a);
	/* the TSIH of another initiator's session */
	r = try_login(&(struct login_opts){
		.isid = 1, .tsih = w->tsih, .initiator = WIRE_INITIATOR "2", .cid = 1 });
	CU_ASSERT_EQUAL(r >> 8, 2);
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/* A login request in the full feature phase is a protocol error (RFC 7143 6.3.? and 11.12). */
static void test_login_twice(void)
{
	struct pdu p = { .login = { .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
				    .isid = { 0x80 },
				    .itt = be32_of(99),
				    .flags = LOGIN_TRANSIT | STAGE_OPERATIONAL << 2 |
					     STAGE_FULL_FEATURE } };
	struct wire *w, *other;
	int r;

	daemon_start(NULL, NULL, NULL);
	other = wire_open(&(struct login_opts){ .isid = 2 }, 1);
	w = wire_open(NULL, 1);
	p.login.cmdsn = be32_of(w->cmdsn);
	p.login.expstatsn = be32_of(w->expstatsn);
	wire_send(w, &p, NAMES, sizeof(NAMES));
	r = wire_recv(w, &p, WIRE_MS);
	if (r == 1) {
		CU_ASSERT_EQUAL(p.h.opcode, OP_REJECT);
		CU_ASSERT_EQUAL(p.reject.reason, REJECT_PROTOCOL);
	} else {
		CU_ASSERT_EQUAL(r, -1);
	}
	CU_ASSERT(wire_alive(other));
	daemon_stop();
}

/* RFC 7143 4.3: a discovery session takes SendTargets and logout, nothing else. */
static void test_discovery(void)
{
	static const char more[] =
		"  - name: " WIRE_TARGET2 "\n    initiators: [\"iqn.2026-11.com.example:nobody\"]\n"
		"    luns:\n      - {lun: 0, name: m1, backend: memory, size: 16M}\n";
	static const char all[] = "SendTargets=All",
			  own[] = "SendTargets=", address[] = "TargetAddress=127.0.0.1:";
	struct pdu p = { .text = { .opcode = OP_TEXT_REQ | PDU_IMMEDIATE,
				   .flags = PDU_FINAL,
				   .itt = be32_of(50),
				   .ttt = be32_of(ISCSI_TAG_NONE) } },
		   q;
	struct wire *w;
	struct io io;
	char want[64];

	daemon_start(NULL, NULL, more);
	w = wire_open(&(struct login_opts){ .discovery = true }, 0);
	p.text.cmdsn = be32_of(w->cmdsn);
	wire_send(w, &p, all, sizeof(all));
	CU_ASSERT_FATAL(wire_expect(w, OP_TEXT_RSP, &q, WIRE_MS));
	CU_ASSERT_EQUAL(be32_get(q.h.itt), 50);
	CU_ASSERT_EQUAL(be32_get(q.text_rsp.ttt), ISCSI_TAG_NONE);
	CU_ASSERT(q.h.flags & PDU_FINAL);
	CU_ASSERT_PTR_NOT_NULL(memmem(q.data, q.len, "TargetName=" WIRE_TARGET,
				      sizeof("TargetName=" WIRE_TARGET)));
	snprintf(want, sizeof(want), "%s%u,1", address, wire_daemon.port);
	CU_ASSERT_PTR_NOT_NULL(memmem(q.data, q.len, want, strlen(want) + 1));
	/* who may not log in does not see it */
	CU_ASSERT_PTR_NULL(memmem(q.data, q.len, WIRE_TARGET2, strlen(WIRE_TARGET2)));

	io_tur(&io, 0);
	io_start(w, &io);
	CU_ASSERT(wire_expect(w, OP_REJECT, &q, WIRE_MS));
	io_forget(&io);
	CU_ASSERT_EQUAL(w->expcmdsn, io.cmdsn); /* 7.3 */
	wire_tmf_send(w, TMF_LU_RESET, 0, ISCSI_TAG_NONE, 0);
	CU_ASSERT(wire_expect(w, OP_REJECT, &q, WIRE_MS));
	wire_close(w);

	w = wire_open(&(struct login_opts){ .discovery = true }, 0);
	CU_ASSERT_EQUAL(wire_logout(w, LOGOUT_SESSION, 0), LOGOUT_RSP_OK);
	CU_ASSERT(wire_closed(w, 2000));

	/* in a normal session: its own target only, and "All" is refused (RFC 7143 appendix C) */
	w = wire_open(NULL, 0);
	wire_send(w, &p, own, sizeof(own));
	CU_ASSERT_FATAL(wire_expect(w, OP_TEXT_RSP, &q, WIRE_MS));
	CU_ASSERT_PTR_NOT_NULL(memmem(q.data, q.len, "TargetName=" WIRE_TARGET,
				      sizeof("TargetName=" WIRE_TARGET)));
	p.text.itt = be32_of(51);
	wire_send(w, &p, all, sizeof(all));
	CU_ASSERT_FATAL(wire_recv(w, &q, WIRE_MS) == 1);
	CU_ASSERT(q.h.opcode == OP_REJECT ||
		  (q.h.opcode == OP_TEXT_RSP && !memmem(q.data, q.len, "TargetName", 10)));
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

/* Two discovery sessions of one initiator and ISID do not end each other's host's normal session.
 */
static void test_discovery_beside_session(void)
{
	struct wire *w, *d;

	daemon_start(NULL, NULL, NULL);
	w = wire_open(&(struct login_opts){ .isid = 1 }, 1);
	d = wire_open(&(struct login_opts){ .isid = 1, .discovery = true }, 0);
	CU_ASSERT(wire_alive(w));
	wire_close(d);
	CU_ASSERT(wire_alive(w));
	daemon_stop();
}

UNIT_MAIN("daemon login", UNIT(test_plain), UNIT(test_statuses), UNIT(test_bad_requests),
	  UNIT(test_not_a_login), UNIT(test_not_in_login), UNIT(test_refused_once),
	  UNIT(test_refused_often),
	  UNIT(test_continued_text), UNIT(test_endless_text), UNIT(test_half_open),
	  UNIT(test_files), UNIT(test_session_limit), UNIT(test_reinstatement),
	  UNIT(test_failed_reinstatement), UNIT(test_login_race), UNIT(test_tsih_refused),
	  UNIT(test_login_twice), UNIT(test_discovery), UNIT(test_discovery_beside_session))
