/* SPDX-License-Identifier: Apache-2.0 */
/* Portals and groups, IPv4 and IPv6, SendTargets that needs many responses, logins by the hundred.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/daemon/wire.h"

static char top[4096];
static const char *six = "::1", *six_name = "[::1]";

/* Where the host has no IPv6, one more IPv4 address takes the place of ::1. */
static void six_or_not(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		six = six_name = "127.0.0.2";
	if (fd >= 0)
		close(fd);
}

static void start(const char *more)
{
	char *p = top;

	six_or_not();
	daemon_path(""); /* claims the ports */
	p += sprintf(p, "portals:\n  - {name: a, listen: \"127.0.0.1:%u\", group: 1}\n",
		     wire_daemon.port);
	p += sprintf(p, "  - {name: b, listen: \"%s:%u\", group: 1}\n", six_name, wire_daemon.port);
	sprintf(p, "  - {name: c, listen: \"127.0.0.1:%u\", group: 2}\n", wire_daemon.port2);
	daemon_start(top, NULL, more);
}

static struct wire *login_to(const char *host, uint16_t port, const struct login_opts *o, int want)
{
	struct wire *w = wire_connect_to(host, port);

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(wire_login(w, o), want);
	return w;
}

/* All text of a SendTargets, however many responses it takes: 0 bytes are kept. */
static uint32_t send_targets(struct wire *w, const char *what, char *all, uint32_t room)
{
	struct pdu p = { .text = { .opcode = OP_TEXT_REQ,
				   .flags = PDU_FINAL,
				   .ttt = be32_of(ISCSI_TAG_NONE) } },
		   q;
	char text[300];
	uint32_t n = 0, len = (uint32_t)sprintf(text, "SendTargets=%s", what) + 1;

	p.text.itt = be32_of(wire_next_itt(w));
	for (unsigned i = 0; i < 10000; i++) {
		p.text.cmdsn = be32_of(w->cmdsn++);
		p.text.expstatsn = be32_of(w->expstatsn);
		wire_send(w, &p, text, len);
		CU_ASSERT_FATAL(wire_expect(w, OP_TEXT_RSP, &q, WIRE_MS));
		CU_ASSERT_EQUAL(be32_get(q.h.itt), be32_get(p.h.itt));
		CU_ASSERT_FATAL(n + q.len <= room);
		memcpy(all + n, q.data, q.len);
		n += q.len;
		if (q.h.flags & PDU_FINAL) {
			CU_ASSERT_EQUAL(be32_get(q.text_rsp.ttt), ISCSI_TAG_NONE);
			return n;
		}
		CU_ASSERT_NOT_EQUAL(be32_get(q.text_rsp.ttt), ISCSI_TAG_NONE);
		p.text.ttt = q.text_rsp.ttt;
		len = 0;
	}
	CU_FAIL("SendTargets without an end");
	return n;
}

static bool has(const char *text, uint32_t len, const char *line)
{
	return memmem(text, len, line, strlen(line) + 1);
}

static void test_groups(void)
{
	static const char more[] = "  - name: " WIRE_TARGET2 "\n    portals: [c]\n    luns:\n"
				   "      - {lun: 0, name: n0, backend: memory, size: 16M}\n";
	static char text[65536];
	char line[128];
	struct wire *w, *a, *b, *c;
	uint32_t n;

	start(more);
	/* one nexus is named by the group as well: the same name and ISID through two groups are
	 * two sessions (4.4.3) */
	a = login_to("127.0.0.1", wire_daemon.port, &(struct login_opts){ .isid = 1 }, 0);
	c = login_to("127.0.0.1", wire_daemon.port2, &(struct login_opts){ .isid = 1 }, 0);
	CU_ASSERT(wire_alive(a));
	CU_ASSERT(wire_alive(c));
	/* through another portal of the same group it is the same nexus: reinstatement */
	b = login_to(six, wire_daemon.port, &(struct login_opts){ .isid = 1 }, 0);
	CU_ASSERT(wire_closed(a, 2000));
	CU_ASSERT(wire_alive(b));
	CU_ASSERT(wire_alive(c));
	/* a target that is not behind this portal */
	w = login_to("127.0.0.1", wire_daemon.port, &(struct login_opts){ .target = WIRE_TARGET2 },
		     0x0203);
	wire_close(w);
	w = login_to("127.0.0.1", wire_daemon.port2, &(struct login_opts){ .target = WIRE_TARGET2 },
		     0);
	wire_close(w);
	w = login_to("127.0.0.1", wire_daemon.port,
		     &(struct login_opts){ .discovery = true, .isid = 3 }, 0);
	n = send_targets(w, "All", text, sizeof(text));
	CU_ASSERT(has(text, n, "TargetName=" WIRE_TARGET));
	snprintf(line, sizeof(line), "TargetAddress=127.0.0.1:%u,1", wire_daemon.port);
	CU_ASSERT(has(text, n, line));
	snprintf(line, sizeof(line), "TargetAddress=%s:%u,1", six_name, wire_daemon.port);
	CU_ASSERT(has(text, n, line));
	snprintf(line, sizeof(line), "TargetAddress=127.0.0.1:%u,2", wire_daemon.port2);
	CU_ASSERT(has(text, n, line));
	n = send_targets(w, "iqn.2026-11.com.example:none", text, sizeof(text));
	CU_ASSERT(!memmem(text, n, "TargetName", 10));
	daemon_stop();
}

/* 13.9: TargetPortalGroupTag comes with the first login response of a normal session. */
static void test_tag(void)
{
	static const char names[] =
		"InitiatorName=" WIRE_INITIATOR "\0TargetName=" WIRE_TARGET "\0SessionType=Normal";
	const struct pdu req = { .login = { .opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
					    .isid = { 0x80 } } };
	struct pdu p;

	start(NULL);
	for (unsigned i = 0; i < 4; i++) {
		struct wire *w =
			wire_connect_to("127.0.0.1", i & 1 ? wire_daemon.port2 : wire_daemon.port);

		CU_ASSERT_PTR_NOT_NULL_FATAL(w);
		p = req; /* once in security, once in operational negotiation */
		p.login.flags = i & 2 ? STAGE_OPERATIONAL << 2 : STAGE_SECURITY << 2;
		wire_send(w, &p, names, sizeof(names));
		CU_ASSERT_FATAL(wire_recv(w, &p, WIRE_MS) == 1);
		CU_ASSERT_EQUAL(p.login_rsp.status_class, 0);
		CU_ASSERT(has((const char *)p.data, p.len,
			      i & 1 ? "TargetPortalGroupTag=2" : "TargetPortalGroupTag=1"));
		wire_close(w);
	}
	daemon_stop();
}

/* Three hundred targets, through responses of 512 bytes each. */
static void test_long_discovery(void)
{
	static char more[65536], text[1 << 20];
	struct wire *w;
	char *p = more;
	uint32_t n;
	struct pdu q;

	for (unsigned i = 0; i < 300; i++)
		p += sprintf(p, "  - name: iqn.2026-11.com.example:many.%03u\n", i);
	start(more);
	for (unsigned d = 0; d < 2; d++) {
		w = login_to("127.0.0.1", wire_daemon.port,
			     &(struct login_opts){ .discovery = true,
						   .digests = d,
						   .keys = "MaxRecvDataSegmentLength=512\n" },
			     0);
		n = send_targets(w, "All", text, sizeof(text));
		for (unsigned i = 0; i < 300; i++) {
			char line[80];

			snprintf(line, sizeof(line), "TargetName=iqn.2026-11.com.example:many.%03u",
				 i);
			CU_ASSERT(has(text, n, line));
		}
		CU_ASSERT(has(text, n, "TargetName=" WIRE_TARGET));
		/* once more, and then a new request in the middle of it, which ends the first
		 * (11.10.4) */
		CU_ASSERT_EQUAL(send_targets(w, "All", text, sizeof(text)), n);
		q = (struct pdu){ .text = { .opcode = OP_TEXT_REQ,
					    .flags = PDU_FINAL,
					    .ttt = be32_of(ISCSI_TAG_NONE) } };
		q.text.itt = be32_of(wire_next_itt(w));
		q.text.cmdsn = be32_of(w->cmdsn++);
		wire_send(w, &q, "SendTargets=All", 16);
		CU_ASSERT_FATAL(wire_expect(w, OP_TEXT_RSP, &q, WIRE_MS));
		CU_ASSERT(!(q.h.flags & PDU_FINAL));
		CU_ASSERT_EQUAL(send_targets(w, "All", text, sizeof(text)), n);
		CU_ASSERT_EQUAL(wire_logout(w, LOGOUT_SESSION, 0), LOGOUT_RSP_OK);
		wire_close(w);
	}
	daemon_stop();
}

/* Hundreds of sessions at once, and hundreds one after the other. */
static void test_many(void)
{
	static struct wire *w[200];
	struct io io;

	daemon_start(NULL, NULL, NULL);
	for (unsigned i = 0; i < 200; i++)
		w[i] = wire_open(&(struct login_opts){ .isid = (uint8_t)i }, 1);
	for (unsigned i = 0; i < 200; i++)
		for (unsigned k = 0; k < i; k++)
			if (w[i]->tsih == w[k]->tsih) {
				CU_FAIL("two sessions have one TSIH");
				i = 200;
				break;
			}
	for (unsigned i = 0; i < 200; i++) {
		io_tur(&io, 0);
		CU_ASSERT(io_good(w[i], &io));
	}
	for (unsigned i = 0; i < 200; i++)
		if (i % 3)
			wire_close(w[i]);
		else
			wire_kill(w[i]);
	for (unsigned i = 0; i < 300; i++) {
		struct wire *one = wire_open(&(struct login_opts){ .isid = (uint8_t)(i % 5) }, 0);

		if (i & 1)
			CU_ASSERT_EQUAL(wire_logout(one, LOGOUT_SESSION, 0), LOGOUT_RSP_OK);
		wire_close(one);
	}
	w[0] = wire_open(NULL, 1);
	CU_ASSERT(wire_alive(w[0]));
	daemon_stop();
}

UNIT_MAIN("daemon portal", UNIT(test_groups), UNIT(test_tag), UNIT(test_long_discovery),
	  UNIT(test_many))
