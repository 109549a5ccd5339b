/* SPDX-License-Identifier: Apache-2.0 */
/* What fence_scsi, fence_mpath, mpathpersist, multipathd and LVM send. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "scsi/wire.h"
#include "target/doctor/doctor.h"

#define STEP(node, verb, keys, type, want, why)              \
	{                                                    \
		node, V_##verb, keys, type, want, why, false \
	}
#define END                                       \
	{                                         \
		0, V_END, NULL, 0, 0, NULL, false \
	}

enum { WE_RO = 5, WE_AR = 7 };

/* clang-format off */
static const struct step fence_scsi[] = {
	STEP(A, TUR, "", 0, GOOD, "the disk is not ready"),
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, "\"on\" fails"),
	STEP(A, HOLDER, "", 0, GOOD, NULL),
	STEP(A, RESERVE, "a", WE_RO, GOOD, "\"on\" fails"),
	STEP(B, TUR, "", 0, GOOD, "the disk is not ready"),
	STEP(B, REGISTER_IGNORE, "0b", 0, GOOD, "\"on\" fails on the second node"),
	STEP(B, HOLDER, "a", WE_RO, GOOD, "\"status\" fails"),
	STEP(C, REGISTER_IGNORE, "0c", 0, GOOD, "\"on\" fails on the third node"),
	STEP(B, KEYS, "abc", 0, GOOD, "\"monitor\" fails"),
	STEP(A, WRITE, "", 0, GOOD, "a node that is on cannot write"),
	STEP(B, WRITE, "", 0, GOOD, "a node that is on cannot write"),
	STEP(B, PREEMPT_ABORT, "ba", WE_RO, GOOD, "\"off\" fails: the node cannot be fenced"),
	STEP(B, KEYS, "bc", 0, GOOD, "\"off\" did nothing"),
	STEP(B, HOLDER, "b", WE_RO, GOOD, "the reservation was lost"),
	STEP(A, WRITE, "", 0, UA_REGS_PREEMPTED, "the fenced node is not told"),
	STEP(A, WRITE, "", 0, CONFLICT, "the fenced node writes: corruption"),
	STEP(C, TUR, "", 0, GOOD, "other nodes are disturbed"),
	STEP(C, WRITE, "", 0, GOOD, "other nodes lose their access"),
	STEP(B, PREEMPT_ABORT, "bc", WE_RO, GOOD, "\"off\" of a second node fails"),
	STEP(B, HOLDER, "b", WE_RO, GOOD, "the reservation was lost"),
	STEP(C, TUR, "", 0, UA_REGS_PREEMPTED, "the fenced node is not told"),
	STEP(C, WRITE, "", 0, CONFLICT, "the fenced node writes: corruption"),
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, "a fenced node cannot come back after its restart"),
	STEP(A, WRITE, "", 0, GOOD, "a fenced node cannot come back after its restart"),
	END,
};

/* LVM's shared volume groups: type 7, and a victim that is fenced while all others hold on. */
static const struct step lvm[] = {
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, "vgchange --persist start fails"),
	STEP(A, RESERVE, "a", WE_AR, GOOD, "vgchange --persist start fails"),
	STEP(B, REGISTER_IGNORE, "0b", 0, GOOD, "a second host cannot start"),
	STEP(B, RESERVE, "b", WE_AR, GOOD, "every registrant holds the reservation"),
	STEP(C, REGISTER_IGNORE, "0c", 0, GOOD, "a third host cannot start"),
	STEP(C, WRITE, "", 0, GOOD, "a host that started cannot write"),
	STEP(A, PREEMPT_ABORT, "ac", WE_AR, GOOD, "vgchange --persist remove fails"),
	STEP(A, KEYS, "ab", 0, GOOD, "the removed host stays registered, or others with it not"),
	STEP(A, HOLDER, "0", WE_AR, GOOD, "the reservation of all was lost with one"),
	STEP(C, TUR, "", 0, UA_REGS_PREEMPTED, "the removed host is not told"),
	STEP(C, WRITE, "", 0, CONFLICT, "the removed host writes: corruption"),
	STEP(B, WRITE, "", 0, GOOD, "other hosts lose their access"),
	STEP(A, REGISTER, "a0", 0, GOOD, "vgchange --persist stop fails"),
	STEP(B, HOLDER, "0", WE_AR, GOOD, "the first to stop ends it for all"),
	STEP(B, WRITE, "", 0, GOOD, "the first to stop ends it for all"),
	STEP(B, REGISTER, "b0", 0, GOOD, "vgchange --persist stop fails"),
	STEP(B, HOLDER, "", 0, GOOD, "the reservation stays without registrants"),
	END,
};

/* A node restarted with another ISID: its old registration is flushed by preempting its own key. */
static const struct step self_preempt[] = {
	STEP(A2, REGISTER_IGNORE, "0a", 0, GOOD, NULL),
	STEP(B, REGISTER_IGNORE, "0b", 0, GOOD, NULL),
	STEP(A2, RESERVE, "a", WE_RO, GOOD, NULL),
	STEP(A2, DROP, "", 0, GOOD, NULL),
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, "a node cannot come back with another ISID"),
	STEP(A, KEYS, "aab", 0, GOOD, "each nexus has a registration of its own"),
	STEP(A, PREEMPT, "aa", WE_RO, GOOD, "stale registrations of a node cannot be flushed"),
	STEP(A, KEYS, "ab", 0, GOOD, "who preempts its own key stays, and nobody else with it"),
	STEP(A, HOLDER, "a", WE_RO, GOOD, "the reservation moves to who preempted"),
	STEP(A, WRITE, "", 0, GOOD, "the node cannot write after it"),
	STEP(B, WRITE, "", 0, GOOD, "other nodes lose their access"),
	STEP(A2, LOGIN, "", 0, GOOD, NULL),
	STEP(A2, WRITE, "", 0, CONFLICT, "the flushed registration still writes"),
	END,
};
/* clang-format on */

/* ---- REPORT CAPABILITIES, READ FULL STATUS -------------------------------------------- */

static bool capabilities_get(struct node *n, uint8_t out[8], bool *have)
{
	struct cdb c = cdb_pr_in(PRIN_CAPABILITIES, 8);
	struct answer a = node_do(n, &c);

	*have = false;
	if (a.how != HOW_STATUS)
		return expect(n, &c, &a, GOOD, NULL);
	if (!answer_is(&a, GOOD) || a.len < 8)
		return true;
	*have = true;
	memcpy(out, a.data, 8);
	return true;
}

static void capabilities(struct doctor *d)
{
	/* Byte 4 and 5 of the type mask (SPC-4 table 208). */
	static const struct {
		uint8_t type, byte, bit;
	} types[] = { { 1, 4, 0x02 }, { 3, 4, 0x08 }, { 5, 4, 0x20 },
		      { 6, 4, 0x40 }, { 7, 4, 0x80 }, { 8, 5, 0x01 } };
	struct node *n = &d->nodes[A];
	uint8_t cap[8];
	bool have;

	if (!capabilities_get(n, cap, &have))
		return;
	if (!have) {
		check_fail(d, "REPORT CAPABILITIES is not answered");
		return;
	}
	if (get_be16(cap) != 8)
		check_fail(d, "LENGTH is %u, expected 8", get_be16(cap));
	if (!(cap[3] & 0x80)) {
		check_warn(d, "TMV is 0: no type mask");
		return;
	}
	if (!pr_do(n, PROUT_REGISTER, 0, 0, n->key, GOOD))
		return;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		bool said = cap[types[i].byte] & types[i].bit;
		struct cdb c = cdb_pr_out(PROUT_RESERVE, types[i].type, n->key, 0, 0);
		struct answer a = node_do(n, &c);

		if (answer_is(&a, GOOD) != said)
			check_fail(d, "the type mask says %s of type %u, and a RESERVE of it %s",
				   said ? "yes" : "no", types[i].type, said ? "fails" : "succeeds");
		if (answer_is(&a, GOOD)) {
			c = cdb_pr_out(PROUT_RELEASE, types[i].type, n->key, 0, 0);
			node_do(n, &c);
		}
	}
	if (!(cap[4] & 0x20))
		check_fail(d, "type 5 is not in the type mask");
	check_note(d, "PTPL_C %u, ATP_C %u, SIP_C %u, types %02X%02X", cap[2] & 1, cap[2] >> 2 & 1,
		   cap[2] >> 3 & 1, cap[4], cap[5]);
}

/* One full status descriptor (SPC-4 table 212): whose is it? */
static void full_status_one(struct doctor *d, const uint8_t *p, uint32_t len, unsigned *seen)
{
	uint64_t key = get_be64(p);
	uint32_t id = get_be32(p + 20);

	if (!key_is_ours(d, key))
		return;
	for (int i = 0; i < MAIN_NODES; i++) {
		struct node *n = &d->nodes[i];
		size_t name = strlen(n->name);
		char isid[24];

		/* TransportID of iSCSI (SPC-4 7.6.4.6), with the initiator port's name. */
		snprintf(isid, sizeof(isid), ",i,0x80%06x4844", n->isid & 0xffffff);
		if (key != n->key || id < 4 + name + 17 || id > len - 24 || (p[24] & 0x0f) != 5 ||
		    p[24] >> 6 != 1 || memcmp(p + 28, n->name, name) ||
		    strncasecmp((const char *)p + 28 + name, isid, 17))
			continue;
		*seen |= 1u << i;
		if ((p[12] & 1) != (i == A))
			check_fail(d, "R_HOLDER is %u for %s, and A holds the reservation",
				   p[12] & 1, n->label);
		if ((p[12] & 1) && (p[13] & 0x0f) != WE_RO)
			check_fail(d, "TYPE is %u, A reserved type 5", p[13] & 0x0f);
	}
}

static void full_status(struct doctor *d)
{
	struct cdb c = cdb_pr_in(PRIN_FULL_STATUS, 8192);
	struct answer a;
	unsigned seen = 0, count = 0;
	uint32_t len;

	for (int i = A; i <= B; i++)
		if (!pr_do(&d->nodes[i], PROUT_REGISTER, 0, 0, d->nodes[i].key, GOOD))
			return;
	if (!pr_do(&d->nodes[A], PROUT_RESERVE, WE_RO, d->nodes[A].key, 0, GOOD))
		return;
	a = node_do(&d->nodes[C], &c);
	if (!expect(&d->nodes[C], &c, &a, GOOD, NULL) || a.len < 8)
		return;
	len = get_be32(a.data + 4) + 8 < a.len ? get_be32(a.data + 4) + 8 : a.len;
	for (uint32_t i = 8; i + 24 <= len; count++) {
		uint32_t id = get_be32(a.data + i + 20);

		if (id > len - i - 24) {
			check_fail(d, "descriptor %u goes beyond the end of the answer", count);
			return;
		}
		full_status_one(d, a.data + i, 24 + id, &seen);
		i += 24 + id;
	}
	for (int i = A; i <= B; i++)
		if (!(seen >> i & 1))
			check_fail(d,
				   "%s is registered, and no descriptor has its key with its "
				   "name and ISID",
				   d->nodes[i].label);
	check_note(d, "%u descriptors", count);
}

static void aptpl(struct doctor *d)
{
	struct node *n = &d->nodes[A];
	struct cdb c = cdb_pr_out(PROUT_REGISTER, 0, 0, n->key, PR_APTPL);
	struct answer a;
	uint8_t cap[8];
	bool have;

	if (!capabilities_get(n, cap, &have))
		return;
	a = node_do(n, &c);
	if (!have || !(cap[2] & 1)) {
		if (answer_is(&a, GOOD))
			check_fail(d, "APTPL=1 is taken, and REPORT CAPABILITIES does not promise "
				      "it (PTPL_C)");
		else
			check_warn(d, "reservations do not survive a restart of the target");
		return;
	}
	if (!expect(n, &c, &a, GOOD, "PTPL_C is 1") || !capabilities_get(n, cap, &have))
		return;
	if (have && !(cap[3] & 1))
		check_fail(d, "PTPL_A is 0 after a registration with APTPL=1");
	c = cdb_pr_out(PROUT_REGISTER, 0, n->key, 0, 0);
	node_expect(n, &c, GOOD, NULL);
}

static void all_tg_pt(struct doctor *d)
{
	struct node *n = &d->nodes[A], *x = &d->nodes[C + 1];
	struct cdb c = cdb_pr_out(PROUT_REGISTER, 0, 0, n->key, PR_ALL_TG_PT);
	uint64_t keys[8];
	uint8_t cap[8];
	bool have;

	if (!capabilities_get(n, cap, &have))
		return;
	if (!have || !(cap[2] & 4)) {
		if (node_expect(n, &c, ILLEGAL, "ATP_C is 0, so ALL_TG_PT=1 must be refused"))
			check_warn(d, "ALL_TG_PT is not supported: each path must register itself");
		return;
	}
	if (!node_expect(n, &c, GOOD, "ATP_C is 1"))
		return;
	if (!d->ports_differ) {
		check_note(d, "accepted; its effect needs a second portal in another portal group");
		return;
	}
	/* The same initiator port at the other target port is registered already. */
	snprintf(x->name, sizeof(x->name), "%s", n->name);
	x->isid = n->isid;
	x->portal = d->nodes[A2].portal;
	if (!node_login(x)) {
		check_fail(d, "%s", d->why);
		return;
	}
	node_settle(x, NULL);
	if (pr_do(n, PROUT_RESERVE, WE_RO, n->key, 0, GOOD)) {
		c = cdb_write(0, 0, d->block, NULL, false);
		node_expect(x, &c, GOOD, "the other target port does not know the registration");
	}
	c = cdb_pr_out(PROUT_REGISTER, 0, n->key, 0, PR_ALL_TG_PT);
	node_expect(n, &c, GOOD, NULL);
	if (pr_keys(n, keys, 8, NULL) > 0)
		check_fail(d, "unregistering with ALL_TG_PT leaves a registration");
	node_logout(x);
}

/* The TransportID of a node's initiator port (SPC-4 7.6.4.6); its length. */
static uint32_t transport_id(const struct node *n, uint8_t out[280])
{
	uint32_t len;

	memset(out, 0, 280);
	out[0] = 0x45; /* with ISID, iSCSI */
	len = (uint32_t)snprintf((char *)out + 4, 272, "%s,i,0x80%06x4844", n->name,
				 n->isid & 0xffffff);
	len = (len + 1 + 3) & ~3u;
	put_be16(out + 2, (uint16_t)len);
	return 4 + len;
}

static void spec_i_pt(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B];
	uint8_t list[28 + 280] = { 0 }, cap[8];
	struct cdb c = cdb_pr_out(PROUT_REGISTER, 0, 0, a->key, PR_SPEC_I_PT);
	struct cdb w = cdb_write(0, 0, d->block, NULL, false);
	uint32_t id = transport_id(b, list + 28);
	bool have;

	memcpy(list, c.param, 24);
	put_be32(list + 24, id);
	c.data = list;
	c.out = 28 + id;
	put_be32(c.cdb + 5, c.out);
	if (!capabilities_get(a, cap, &have))
		return;
	if (!have || !(cap[2] & 8)) {
		if (node_expect(a, &c, ILLEGAL, "SIP_C is 0, so SPEC_I_PT=1 must be refused"))
			check_warn(d, "SPEC_I_PT is not supported: each node must register itself");
		return;
	}
	if (!node_expect(a, &c, GOOD, "SIP_C is 1") ||
	    !pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD))
		return;
	node_expect(b, &w, GOOD, "the node that was named is not registered");
	/* It has the key it was given. */
	pr_do(b, PROUT_REGISTER, 0, a->key, 0, GOOD);
	node_expect(b, &w, CONFLICT, "a node that left writes");
}

static void generation(struct doctor *d)
{
	struct node *a = &d->nodes[A], *b = &d->nodes[B];
	uint32_t g[6] = { 0 };
	uint64_t k[8];

	pr_keys(a, k, 8, &g[0]);
	pr_do(a, PROUT_REGISTER, 0, 0, a->key, GOOD);
	pr_keys(a, k, 8, &g[1]);
	pr_do(b, PROUT_REGISTER_IGNORE, 0, 0, b->key, GOOD);
	pr_keys(a, k, 8, &g[2]);
	pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD);
	pr_keys(a, k, 8, &g[3]);
	pr_do(a, PROUT_RELEASE, WE_RO, a->key, 0, GOOD);
	pr_keys(a, k, 8, &g[4]);
	pr_do(a, PROUT_CLEAR, 0, a->key, 0, GOOD);
	pr_keys(a, k, 8, &g[5]);
	if (g[1] != g[0] + 1 || g[2] != g[1] + 1 || g[5] != g[4] + 1)
		check_warn(d,
			   "PRGENERATION is not one more after REGISTER, REGISTER AND IGNORE, "
			   "CLEAR: %u %u %u, %u %u",
			   g[0], g[1], g[2], g[4], g[5]);
	if (g[3] != g[2] || g[4] != g[3])
		check_warn(d, "PRGENERATION changes with RESERVE or RELEASE: %u %u %u", g[2], g[3],
			   g[4]);
}

/* ---- what else writes ----------------------------------------------------------------- */

static void other_writes(struct doctor *d)
{
	static uint8_t data[2 * 4096];
	struct node *a = &d->nodes[A], *c = &d->nodes[C];
	const struct {
		struct cdb cdb;
		const char *why;
	} sent[] = {
		{ cdb_write(d->scratch, 1, d->block, data, true), NULL },
		{ cdb_unmap(d->scratch, d->scratch_blocks), "discards data" },
		{ cdb_write_same(d->scratch, 8, d->block, data, false), "writes zeros" },
		{ cdb_write_same(d->scratch, 8, d->block, data, true), "discards data" },
		{ cdb_compare_write(d->scratch, 1, d->block, data), "takes locks" },
		{ cdb_orwrite(d->scratch, 1, d->block, data), "sets bits" },
	};
	unsigned refused = 0, unknown = 0;
	uint8_t found;

	memset(data, 0x31, d->block);
	memset(data + d->block, 0x32, d->block);
	if (!scratch_fill(a, 0x31) || !pr_do(a, PROUT_REGISTER, 0, 0, a->key, GOOD) ||
	    !pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD))
		return;
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		struct answer r = node_do(c, &sent[i].cdb);
		char text[100];

		if (r.how != HOW_STATUS)
			check_fail(d, "C: %s: %s", sent[i].cdb.text, answer_text(&r, text));
		refused += answer_is(&r, CONFLICT);
		unknown += r.status == 2 && r.key == 5;
		/* ILLEGAL REQUEST: the command does not exist there. */
		if (answer_is(&r, GOOD) || (r.status == 2 && r.key == 0x0e))
			check_fail(d, "C: %s: %s, expected RESERVATION CONFLICT: a fenced node %s",
				   sent[i].cdb.text, answer_text(&r, text),
				   sent[i].why ? sent[i].why : "writes");
	}
	if (!scratch_is(a, 0x31, &found))
		check_fail(d, "a node without a registration changed the disk: %02Xh where 31h was",
			   found);
	check_note(d, "%u commands refused, %u not supported", refused, unknown);
}

/* The same without touching a block: lengths of zero. */
static void empty_writes(struct doctor *d)
{
	struct node *a = &d->nodes[A], *c = &d->nodes[C];
	const struct cdb sent[] = {
		cdb_write(0, 0, d->block, NULL, false),
		cdb_unmap(0, 0),
		cdb_compare_write(0, 0, d->block, NULL),
		cdb_sync(),
	};

	if (!pr_do(a, PROUT_REGISTER, 0, 0, a->key, GOOD) ||
	    !pr_do(a, PROUT_RESERVE, WE_RO, a->key, 0, GOOD))
		return;
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		struct answer r = node_do(c, &sent[i]);
		char text[100];

		if (r.how != HOW_STATUS)
			check_fail(d, "C: %s: %s", sent[i].text, answer_text(&r, text));
		else if (answer_is(&r, GOOD))
			check_warn(d, "C: %s: GOOD, expected RESERVATION CONFLICT (SBC-3 table 13)",
				   sent[i].text);
	}
}

/* clang-format off */
const struct check checks_fence[] = {
	{ "fence-scsi", "fence_scsi: on, status, monitor, off", "SPC-4 5.13; fence_scsi",
	  "TEST UNIT READY, register, reserve type 5, PREEMPT AND ABORT of the victim's key.",
	  "Pacemaker cannot fence with this disk: a split ends in corruption or a halt.",
	  NEED_ALONE, NULL, fence_scsi },
	{ "fence-self-preempt", "a node flushes its own stale registrations",
	  "SPC-4 5.13.11.2.4 to .6; fence_scsi, mpathpersist",
	  "PREEMPT of one's own key removes the other nexuses with it, not one's own.",
	  "After a restart with another ISID a node cannot come back.", NEED_ALONE, NULL,
	  self_preempt },
	{ "lvm-shared", "LVM's shared volume groups: start, remove, stop",
	  "SPC-4 5.13.10, 5.13.11.2.4 to .6; lvmpersist(8)",
	  "Type 7 is held by all who are registered, and ends with the last.",
	  "Volume groups with --setpersist lose a host's access, or do not fence it.", NEED_ALONE,
	  NULL, lvm },
	{ "pr-capabilities", "REPORT CAPABILITIES is true", "SPC-4 6.15.4",
	  "The type mask lists what RESERVE takes.",
	  "mpathpersist and guests choose by it what to send.", NEED_ALONE, capabilities },
	{ "pr-full-status", "READ FULL STATUS names who is registered", "SPC-4 6.15.5",
	  "One descriptor for each nexus: key, holder, type, iSCSI TransportID.",
	  "fence_mpath and mpathpersist cannot see which path has a key.", NEED_ALONE,
	  full_status },
	{ "pr-aptpl", "reservations survive a restart of the target (APTPL)",
	  "SPC-4 5.13.5, 6.16.3",
	  "With PTPL_C 1, APTPL=1 is taken and PTPL_A tells; else it is refused.",
	  "After a restart of the storage nobody owns the disk, and fenced nodes are free. "
	  "(That it is kept is tried with --restart.)", NEED_ALONE, aptpl },
	{ "pr-all-tg-pt", "ALL_TG_PT registers through all target ports", "SPC-4 5.13.7, 6.16.3",
	  "With ATP_C 1 the initiator port is registered at every target port.",
	  "mpathpersist registers each path by itself then.", NEED_ALONE, all_tg_pt },
	{ "pr-spec-i-pt", "SPEC_I_PT registers other initiators", "SPC-4 5.13.7, 6.16.3",
	  "With SIP_C 1 the initiator ports of the list are registered, too.",
	  "mpathpersist --transport-id fails.", NEED_ALONE, spec_i_pt },
	{ "pr-generation", "PRGENERATION counts changes of registrations", "SPC-4 6.15.2",
	  "One more with each REGISTER, PREEMPT, CLEAR; not with RESERVE and RELEASE.",
	  "Software that compares it misses a change, or sees one where none is.", NEED_ALONE,
	  generation },
	{ "pr-empty-writes", "commands of length 0 pass the reservation check, too",
	  "SBC-3 table 13", "RESERVATION CONFLICT for a node without a registration.",
	  "A hint that commands are checked by what they do, not by what they are.", NEED_ALONE,
	  empty_writes },
	{ "pr-other-writes", "UNMAP, WRITE SAME, COMPARE AND WRITE, ORWRITE are writes",
	  "SBC-3 table 13", "RESERVATION CONFLICT for a node without a registration.",
	  "A fenced node discards or overwrites the cluster's data.", NEED_WRITES | NEED_ALONE,
	  other_writes },
	{ 0 },
};
/* clang-format on */
