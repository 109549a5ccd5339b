/* SPDX-License-Identifier: Apache-2.0 */
/* Login, logout and task management of the test initiator. */
#include <string.h>

#include "tests/daemon/wire.h"
#include "tests/daemon/wire_impl.h"

/* Adds "KEY=VALUE" and its zero byte. */
static uint32_t key_add(char *text, uint32_t n, const char *key, const char *value)
{
	return n + (uint32_t)sprintf(text + n, "%s=%s", key, value) + 1;
}

static uint32_t login_text(char *text, const struct login_opts *o)
{
	const char *ini = o->initiator ? o->initiator : WIRE_INITIATOR;
	const char *tgt = o->target ? o->target : WIRE_TARGET;
	uint32_t n = 0;

	if (ini[0])
		n = key_add(text, n, "InitiatorName", ini);
	n = key_add(text, n, "SessionType", o->discovery ? "Discovery" : "Normal");
	if (tgt[0] && !o->discovery)
		n = key_add(text, n, "TargetName", tgt);
	if (o->digests) {
		n = key_add(text, n, "HeaderDigest", "CRC32C");
		n = key_add(text, n, "DataDigest", "CRC32C");
	}
	for (const char *k = o->keys; k && *k;) {
		const char *e = strchr(k, '\n');
		size_t len = e ? (size_t)(e - k) : strlen(k);

		memcpy(text + n, k, len);
		n += (uint32_t)len;
		text[n++] = 0;
		k = e ? e + 1 : NULL;
	}
	return n;
}

static const char *key_find(const char *text, uint32_t len, const char *key)
{
	size_t k = strlen(key);

	for (uint32_t i = 0; i < len; i += (uint32_t)strlen(text + i) + 1)
		if (!strncmp(text + i, key, k) && text[i + k] == '=')
			return text + i + k + 1;
	return NULL;
}

static void number(const char *text, uint32_t len, const char *key, uint32_t *v)
{
	const char *s = key_find(text, len, key);

	if (s && s[0] >= '0' && s[0] <= '9') /* or Irrelevant (6.2) */
		*v = (uint32_t)strtoul(s, NULL, 0);
}

static void yes(const char *text, uint32_t len, const char *key, bool *v)
{
	const char *s = key_find(text, len, key);

	if (s)
		*v = !strcmp(s, "Yes");
}

/*
 * What is in force now. A target need not answer FirstBurstLength and the like when it was not
 * asked: then the default holds (RFC 7143 section 13), but for MaxRecvDataSegmentLength, which each
 * side declares.
 */
static void learn(struct wire *w, const struct login_opts *o, const char *text, uint32_t len)
{
	const char *mine;

	number(text, len, "MaxRecvDataSegmentLength", &w->max_send);
	number(text, len, "FirstBurstLength", &w->first_burst);
	number(text, len, "MaxBurstLength", &w->max_burst);
	number(text, len, "MaxOutstandingR2T", &w->max_r2t);
	yes(text, len, "InitialR2T", &w->initial_r2t);
	yes(text, len, "ImmediateData", &w->immediate);
	if (key_find(text, len, "HeaderDigest"))
		w->hdigest = !strcmp(key_find(text, len, "HeaderDigest"), "CRC32C");
	if (key_find(text, len, "DataDigest"))
		w->ddigest = !strcmp(key_find(text, len, "DataDigest"), "CRC32C");
	if (key_find(text, len, "TaskReporting"))
		w->fast_abort = !strcmp(key_find(text, len, "TaskReporting"), "FastAbort");
	mine = o->keys ? strstr(o->keys, "MaxRecvDataSegmentLength=") : NULL;
	if (mine)
		w->max_recv =
			(uint32_t)strtoul(mine + strlen("MaxRecvDataSegmentLength="), NULL, 0);
}

int wire_login(struct wire *w, const struct login_opts *o)
{
	static const struct login_opts plain;
	char text[8192], got[16384];
	uint32_t len, ngot = 0;
	struct pdu req = { .login = {
		.opcode = OP_LOGIN_REQ | PDU_IMMEDIATE,
		.flags = LOGIN_TRANSIT | STAGE_OPERATIONAL << 2 | STAGE_FULL_FEATURE,
	} }, p;

	if (!o)
		o = &plain;
	w->first_burst = 65536, w->max_burst = 262144,
	w->max_r2t = 1; /* the defaults of section 13 */
	w->initial_r2t = w->immediate = true;
	w->cmdsn = o->cmdsn;
	w->cid = o->cid;
	memcpy(w->isid, (uint8_t[6]){ 0x80, 0x12, 0x34, 0x56, 0, o->isid }, 6);
	memcpy(req.login.isid, w->isid, 6);
	req.login.tsih = be16_of(o->tsih);
	req.login.cid = be16_of(o->cid);
	req.login.cmdsn = be32_of(w->cmdsn);
	req.login.itt = be32_of(wire_next_itt(w));
	len = login_text(text, o);
	for (unsigned round = 0; round < 20; round++) {
		if (!wire_send(w, &req, text, len) || wire_recv(w, &p, WIRE_MS * wire_slow()) != 1)
			return -1;
		if (p.h.opcode != OP_LOGIN_RSP) {
			wire_violation(w, "opcode %02x answers a login request", p.h.opcode);
			return -1;
		}
		if (p.login_rsp.status_class)
			return p.login_rsp.status_class << 8 | p.login_rsp.status_detail;
		if (be32_get(p.h.itt) != be32_get(req.h.itt) ||
		    memcmp(p.login_rsp.isid, w->isid, 6))
			wire_violation(w, "login response with another ITT or ISID");
		if (ngot + p.len > sizeof(got))
			return -1;
		memcpy(got + ngot, p.data, p.len);
		ngot += p.len;
		if (p.h.flags & LOGIN_TRANSIT)
			break;
		len = 0;
		req.login.expstatsn = be32_of(w->expstatsn);
	}
	learn(w, o, got, ngot);
	w->tsih = be16_get(p.login_rsp.tsih);
	w->full_feature = true;
	if (!w->tsih)
		wire_violation(w, "TSIH 0 at the end of login");
	if (be32_get(p.login_rsp.expcmdsn) != w->cmdsn)
		wire_violation(w, "ExpCmdSN %u after a login with CmdSN %u", w->expcmdsn, w->cmdsn);
	return 0;
}

struct wire *wire_open(const struct login_opts *o, unsigned luns)
{
	struct wire *w = wire_connect();
	int r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	r = wire_login(w, o);
	if (r)
		printf("    login: %04x\n", (unsigned)r);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	for (unsigned l = 0; l < luns; l++) {
		for (unsigned i = 0;; i++) { /* as many as there are */
			struct io io;

			io_tur(&io, (uint16_t)l);
			CU_ASSERT_FATAL(io_run(w, &io));
			if (io.status == ST_GOOD)
				break;
			CU_ASSERT_FATAL(io.status == ST_CHECK && io_key(&io) == KEY_ATTENTION &&
					i < 10);
		}
	}
	return w;
}

uint32_t wire_tmf_send(struct wire *w, uint8_t function, uint16_t lun, uint32_t rtt,
		       uint32_t refcmdsn)
{
	struct pdu p = { .tmf = {
				 .opcode = OP_TMF_REQ | PDU_IMMEDIATE,
				 .function = PDU_FINAL | function,
				 .itt = be32_of(wire_next_itt(w)),
				 .rtt = be32_of(rtt),
				 .cmdsn = be32_of(w->cmdsn),
				 .expstatsn = be32_of(w->expstatsn),
				 .refcmdsn = be32_of(refcmdsn),
			 } };

	wire_lun(p.tmf.lun, lun);
	wire_send(w, &p, NULL, 0);
	return be32_get(p.h.itt);
}

int wire_tmf(struct wire *w, uint8_t function, uint16_t lun, uint32_t rtt, uint32_t refcmdsn)
{
	uint32_t itt = wire_tmf_send(w, function, lun, rtt, refcmdsn);
	struct pdu p;

	if (!wire_expect(w, OP_TMF_RSP, &p, WIRE_MS))
		return -1;
	if (be32_get(p.h.itt) != itt)
		wire_violation(w, "task management response with ITT %u, not %u", be32_get(p.h.itt),
			       itt);
	if (p.h.flags != PDU_FINAL || p.len)
		wire_violation(w, "task management response: flags %02x, %u bytes", p.h.flags,
			       p.len);
	return p.tmf_rsp.response;
}

int wire_logout(struct wire *w, uint8_t reason, uint16_t cid)
{
	struct pdu p = { .logout = {
				 .opcode = OP_LOGOUT_REQ | PDU_IMMEDIATE,
				 .flags = PDU_FINAL | reason,
				 .itt = be32_of(wire_next_itt(w)),
				 .cid = be16_of(cid),
				 .cmdsn = be32_of(w->cmdsn),
				 .expstatsn = be32_of(w->expstatsn),
			 } };
	be32 itt = p.h.itt;

	if (!wire_send(w, &p, NULL, 0) || !wire_expect(w, OP_LOGOUT_RSP, &p, WIRE_MS))
		return -1;
	if (be32_get(p.h.itt) != be32_get(itt) || p.h.flags != PDU_FINAL || p.len)
		wire_violation(w, "logout response: ITT, flags or data");
	return p.logout_rsp.response;
}
