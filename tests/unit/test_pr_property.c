/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random PERSISTENT RESERVE OUT commands from several nexuses, against a model that is slow and
 * simple: a fixed grid of nexuses, each one registered or not, and for each service action the
 * sentences of SPC-4 one after the other. It shares no code with pr/ but the helper that sends
 * commands; TransportIDs are written out by hand.
 *
 * After each command: status, sense, unit attentions, aborts, and the whole state as PERSISTENT
 * RESERVE IN and pr_access() show it. HOLDFAST_PR_SEED=n runs one seed and says what it does;
 * HOLDFAST_PR_SEEDS=n runs that many.
 */
#include "tests/unit/unit.h"

#include "tests/unit/pr_cmd.h"

enum {
	INITIATORS = 4, PORTS = 3, NEXUSES = INITIATORS * PORTS,
	SEEDS = 8000, COMMANDS = 250,
	KEYS = 4,			/* few, so that they collide */
};

/* The model's state. Nexus i is initiator port i / PORTS through target port i % PORTS. */
struct model {
	bool registered[NEXUSES];
	uint64_t key[NEXUSES];
	unsigned when[NEXUSES];		/* order of registration */
	unsigned clock;
	unsigned type;			/* 0: no persistent reservation */
	int holder;			/* -1: nobody, or all */
	uint32_t generation;
	bool aptpl;
};

/* What a command did, as the model sees it. */
struct verdict {
	uint32_t answer;
	int ua[NEXUSES];		/* -1: none */
	bool aborted[NEXUSES];
};

struct command {
	int from;
	unsigned sa, scope, type;
	uint64_t key, sa_key;
	bool aptpl, all_tg_pt, spec_i_pt, unreg;
	unsigned nlist;
	int list[4];			/* initiator ports; -1: a device (format 00b), -2: broken */
	unsigned rtpi;			/* index of a port, PORTS: one that does not exist */
	uint32_t len_error;		/* added to the parameter list length */
};

static const uint16_t ports[PORTS] = { 1, 2, 7 };

/* Initiator ports 0 and 1 are two sessions of one node; 3 has the longer name. */
static const char *const iport_name[INITIATORS] = { "iqn.x:one", "iqn.x:one", "iqn.x:two",
						    "iqn.x:one-and-a-half" };
static const uint8_t iport_isid[INITIATORS] = { 1, 2, 1, 1 };

static struct nexus nexus_at(int i)
{
	struct nexus n = { .tpgt = ports[i % PORTS],
			   .isid = { 0, 2, 0x3d, 0, 0, iport_isid[i / PORTS] } };

	strcpy(n.initiator, iport_name[i / PORTS]);
	return n;
}

/* Random numbers: xorshift64*. */
static uint64_t seed_state;

static unsigned rnd(unsigned n)
{
	seed_state ^= seed_state >> 12;
	seed_state ^= seed_state << 25;
	seed_state ^= seed_state >> 27;
	return (unsigned)((seed_state * 0x2545f4914f6cdd1d) >> 33) % n;
}

/* The model */

static bool all_registrants(unsigned type)
{
	return type == 7 || type == 8;
}

static bool registrants_only(unsigned type)
{
	return type == 5 || type == 6;
}

static bool valid_type(unsigned type)
{
	return type == 1 || type == 3 || type == 5 || type == 6 || type == 7 || type == 8;
}

/* 5.13.10 */
static bool is_holder(const struct model *m, int i)
{
	return m->type && m->registered[i] && (all_registrants(m->type) || m->holder == i);
}

static unsigned registrants(const struct model *m)
{
	unsigned n = 0;

	for (int i = 0; i < NEXUSES; i++)
		n += m->registered[i];
	return n;
}

static void do_register(struct model *m, int i, uint64_t key)
{
	if (!m->registered[i])
		m->when[i] = m->clock++;
	m->registered[i] = true;
	m->key[i] = key;
}

/*
 * "If the registration of the persistent reservation holder is removed, the reservation shall be
 * released. If the persistent reservation holder is more than one I_T nexus, the reservation shall
 * not be released until the registrations for all persistent reservation holder I_T nexuses are
 * removed" (5.13.10).
 */
static void do_unregister(struct model *m, int i)
{
	bool held = is_holder(m, i);

	m->registered[i] = false;
	m->key[i] = 0;
	if (held && (!all_registrants(m->type) || !registrants(m))) {
		m->type = 0;
		m->holder = -1;
	}
}

static void ua_registered(const struct model *m, struct verdict *v, int but, enum ua ua)
{
	for (int i = 0; i < NEXUSES; i++)
		if (m->registered[i] && i != but)
			v->ua[i] = ua;
}

/* Whether target port p is one that a REGISTER is for. */
static bool port_meant(const struct command *c, int p)
{
	return c->all_tg_pt || p == c->from % PORTS;
}

static uint32_t model_register(struct model *m, const struct command *c, struct verdict *v)
{
	const struct model old = *m;
	int first = c->from / PORTS * PORTS;
	bool ignore = c->sa == REGISTER_AND_IGNORE, anywhere = false;

	for (int p = 0; p < PORTS; p++)
		if (port_meant(c, p) && old.registered[first + p])
			anywhere = true;

	if (!ignore) {
		/* Table 67, through each target port */
		for (int p = 0; p < PORTS; p++) {
			int i = first + p;

			if (!port_meant(c, p))
				continue;
			if (old.registered[i] && c->key != old.key[i])
				return SAM_RESERVATION_CONFLICT;
			if (!old.registered[i] && c->key != 0 &&
			    !(c->sa_key == 0 && old.registered[c->from]))
				return SAM_RESERVATION_CONFLICT;
		}
		if (!old.registered[c->from] && c->sa_key == 0)
			return SAM_GOOD;
		if (old.registered[c->from] && c->spec_i_pt)
			return SENSE_INVALID_FIELD_PARAM;
	} else if (!anywhere && c->sa_key == 0) {
		return SAM_GOOD;				/* table 68 */
	}

	if (c->sa_key == 0) {
		for (int p = 0; p < PORTS; p++)
			if (port_meant(c, p) && m->registered[first + p])
				do_unregister(m, first + p);
		/* 5.13.11.2.3 */
		if (old.type && !m->type && registrants_only(old.type))
			ua_registered(m, v, c->from, UA_RESERVATIONS_RELEASED);
	} else {
		do_register(m, c->from, c->sa_key);
		for (int p = 0; p < PORTS; p++)
			if (port_meant(c, p))
				do_register(m, first + p, c->sa_key);
		for (unsigned k = 0; c->spec_i_pt && k < c->nlist; k++) {
			if (c->list[k] < 0)
				return SENSE_INVALID_FIELD_PARAM;
			for (int p = 0; p < PORTS; p++)
				if (port_meant(c, p) && old.registered[c->list[k] * PORTS + p])
					return SENSE_INVALID_FIELD_PARAM;
			if (port_meant(c, c->from % PORTS))
				do_register(m, c->list[k] * PORTS + c->from % PORTS, c->sa_key);
			for (int p = 0; p < PORTS; p++)
				if (port_meant(c, p))
					do_register(m, c->list[k] * PORTS + p, c->sa_key);
		}
	}
	m->aptpl = c->aptpl;
	m->generation++;
	return SAM_GOOD;
}

static uint32_t model_reserve(struct model *m, const struct command *c)
{
	if (c->scope != 0 || !valid_type(c->type))
		return SENSE_INVALID_FIELD_CDB;
	if (m->type) {
		if (!is_holder(m, c->from) || c->type != m->type)
			return SAM_RESERVATION_CONFLICT;
		return SAM_GOOD;
	}
	m->type = c->type;
	m->holder = all_registrants(c->type) ? -1 : c->from;
	return SAM_GOOD;
}

static uint32_t model_release(struct model *m, const struct command *c, struct verdict *v)
{
	unsigned type = m->type;

	if (!type || !is_holder(m, c->from))
		return SAM_GOOD;
	if (c->scope != 0 || c->type != type)
		return SENSE_INVALID_RELEASE;
	m->type = 0;
	m->holder = -1;
	if (registrants_only(type) || all_registrants(type))
		ua_registered(m, v, c->from, UA_RESERVATIONS_RELEASED);
	return SAM_GOOD;
}

static uint32_t model_clear(struct model *m, const struct command *c, struct verdict *v)
{
	ua_registered(m, v, c->from, UA_RESERVATIONS_PREEMPTED);
	for (int i = 0; i < NEXUSES; i++)
		m->registered[i] = false;
	m->type = 0;
	m->holder = -1;
	m->generation++;
	return SAM_GOOD;
}

static uint32_t model_preempt(struct model *m, const struct command *c, struct verdict *v)
{
	const struct model old = *m;
	bool preempts_reservation, matches = false;

	/* Table 72 */
	if (all_registrants(old.type))
		preempts_reservation = c->sa_key == 0;
	else if (c->sa_key == 0)
		return SENSE_INVALID_FIELD_PARAM;
	else
		preempts_reservation = old.type && old.key[old.holder] == c->sa_key;

	for (int i = 0; i < NEXUSES; i++)
		if (old.registered[i] && (c->sa_key == 0 || old.key[i] == c->sa_key))
			matches = true;
	if (!matches)
		return SAM_RESERVATION_CONFLICT;
	if (preempts_reservation && (c->scope != 0 || !valid_type(c->type)))
		return SENSE_INVALID_FIELD_CDB;

	for (int i = 0; i < NEXUSES; i++) {
		if (!old.registered[i] || !(c->sa_key == 0 || old.key[i] == c->sa_key))
			continue;
		v->aborted[i] = c->sa == PREEMPT_AND_ABORT;
		if (i == c->from && preempts_reservation)
			continue;
		do_unregister(m, i);
		if (i != c->from)
			v->ua[i] = UA_REGISTRATIONS_PREEMPTED;
	}
	if (preempts_reservation) {
		m->type = c->type;
		m->holder = all_registrants(c->type) ? -1 : c->from;
		if (m->type != old.type)
			ua_registered(m, v, c->from, UA_RESERVATIONS_RELEASED);
	}
	m->generation++;
	return SAM_GOOD;
}

static uint32_t model_move(struct model *m, const struct command *c)
{
	int to;

	if (!m->type)
		return SENSE_INVALID_FIELD_CDB;
	if (all_registrants(m->type) || m->holder != c->from)
		return SAM_RESERVATION_CONFLICT;
	if (c->sa_key == 0)
		return SENSE_INVALID_FIELD_PARAM;
	if (c->list[0] < 0 || c->list[0] == c->from / PORTS || c->rtpi == PORTS)
		return SENSE_INVALID_FIELD_PARAM;
	to = c->list[0] * PORTS + (int)c->rtpi;
	/* f) and g) before h): the reservation is another's by then. */
	m->holder = to;
	if (c->unreg)
		do_unregister(m, c->from);
	do_register(m, to, c->sa_key);
	m->aptpl = c->aptpl;
	m->generation++;
	return SAM_GOOD;
}

static void model_run(struct model *m, const struct command *c, struct verdict *v)
{
	const struct model old = *m;

	memset(v, 0, sizeof(*v));
	memset(v->ua, 0xff, sizeof(v->ua));
	if (c->sa != REGISTER_AND_MOVE && c->spec_i_pt && c->sa != REGISTER)
		v->answer = c->len_error < 0x80000000 ? SENSE_INVALID_FIELD_PARAM
						      : SENSE_PARAM_LIST_LENGTH;
	else if (c->len_error &&
		 !((c->spec_i_pt || c->sa == REGISTER_AND_MOVE) && c->len_error < 0x80000000))
		v->answer = SENSE_PARAM_LIST_LENGTH;
	else if (c->sa == REGISTER || c->sa == REGISTER_AND_IGNORE)
		v->answer = model_register(m, c, v);
	else if (!m->registered[c->from] || m->key[c->from] != c->key)
		v->answer = SAM_RESERVATION_CONFLICT;
	else if (c->sa == RESERVE)
		v->answer = model_reserve(m, c);
	else if (c->sa == RELEASE)
		v->answer = model_release(m, c, v);
	else if (c->sa == CLEAR)
		v->answer = model_clear(m, c, v);
	else if (c->sa == REGISTER_AND_MOVE)
		v->answer = model_move(m, c);
	else
		v->answer = model_preempt(m, c, v);
	if (v->answer != SAM_GOOD) {
		*m = old;
		memset(v->ua, 0xff, sizeof(v->ua));
		memset(v->aborted, 0, sizeof(v->aborted));
	}
}

/* Commands: mostly sensible ones, or nothing would ever be registered. */

static void command_make(const struct model *m, struct command *c)
{
	static const unsigned types[] = { 1, 3, 5, 6, 7, 8 };
	static const unsigned sas[] = {
		REGISTER,
		REGISTER,
		REGISTER,
		REGISTER_AND_IGNORE,
		REGISTER_AND_IGNORE,
		RESERVE,
		RESERVE,
		RESERVE,
		RELEASE,
		PREEMPT,
		PREEMPT,
		PREEMPT_AND_ABORT,
		PREEMPT_AND_ABORT,
		REGISTER_AND_MOVE,
		REGISTER_AND_MOVE,
	};

	memset(c, 0, sizeof(*c));
	c->from = (int)rnd(NEXUSES);
	c->sa = rnd(60) ? sas[rnd(sizeof(sas) / sizeof(sas[0]))] : CLEAR;
	c->type = rnd(20) ? types[rnd(6)] : rnd(16);
	if (m->type && rnd(3) == 0)
		c->type = m->type;
	c->scope = rnd(30) ? 0 : rnd(16);
	c->key = rnd(12) ? m->registered[c->from] ? m->key[c->from] : 0 : rnd(KEYS);
	c->sa_key = rnd(6) ? 1 + rnd(KEYS - 1) : 0;
	/* A holder to move from, a holder's key to preempt */
	if (m->type && m->holder >= 0 && rnd(2)) {
		if (c->sa == REGISTER_AND_MOVE || c->sa == RELEASE) {
			c->from = m->holder;
			c->key = m->key[m->holder];
		} else if (c->sa == PREEMPT || c->sa == PREEMPT_AND_ABORT) {
			c->sa_key = m->key[m->holder];
		}
	}
	c->aptpl = rnd(2);
	c->unreg = rnd(2);
	c->all_tg_pt = rnd(6) == 0;
	c->spec_i_pt = rnd(c->sa == REGISTER ? 4 : 40) == 0;
	c->nlist = rnd(5);
	for (unsigned i = 0; i < 4; i++)
		c->list[i] = rnd(12) ? (int)rnd(INITIATORS) : -1 - (int)rnd(2);
	c->rtpi = rnd(PORTS + (rnd(8) == 0));
	if (rnd(40) == 0)
		c->len_error = rnd(2) ? 1 + rnd(3) : -(1 + rnd(3));
}

static unsigned put_tid(uint8_t *p, int iport)
{
	char text[64] = { 0 };
	unsigned len;

	if (iport >= 0)
		snprintf(text, sizeof(text), "%s,i,0x00023d0000%02X", iport_name[iport],
			 iport_isid[iport]);
	else
		strcpy(text, "iqn.x:one");
	len = ((unsigned)strlen(text) + 4) & ~3u;
	if (len < 20)
		len = 20;
	p[0] = iport >= 0 ? 0x45 : iport == -1 ? 0x05 : 0x46;
	p[1] = 0;
	p[2] = 0;
	p[3] = (uint8_t)len;
	memcpy(p + 4, text, len);
	return 4 + len;
}

/* Sends the command as bytes. */
static uint32_t command_send(const struct command *c)
{
	uint8_t p[512] = { 0 };
	unsigned len = 24;

	put_be64(p, c->key);
	put_be64(p + 8, c->sa_key);
	if (c->sa == REGISTER_AND_MOVE) {
		p[17] = (uint8_t)(c->unreg << 1 | c->aptpl);
		put_be16(p + 18, c->rtpi == PORTS ? 3 : ports[c->rtpi]);
		len += put_tid(p + 24, c->list[0]);
		put_be32(p + 20, len - 24);
	} else {
		p[20] = (uint8_t)(c->spec_i_pt << 3 | c->all_tg_pt << 2 | c->aptpl);
		if (c->spec_i_pt && c->sa == REGISTER) {
			len = 28;
			for (unsigned i = 0; i < c->nlist; i++)
				len += put_tid(p + len, c->list[i]);
			put_be32(p + 24, len - 28);
		}
	}
	return pr_send(nexus_at(c->from), (uint8_t)c->sa, (uint8_t)(c->scope << 4 | c->type), p,
		       len + c->len_error);
}

/* Comparing */

static const char *effects_differ(const struct verdict *v)
{
	unsigned uas = 0, aborts = 0;

	for (int i = 0; i < NEXUSES; i++) {
		if (v->ua[i] >= 0) {
			uas++;
			if (!ua_has(nexus_at(i), (enum ua)v->ua[i]))
				return "a unit attention is missing";
		}
		if (v->aborted[i]) {
			aborts++;
			if (!abort_has(nexus_at(i)))
				return "an abort is missing";
		}
	}
	if (fx.nua != uas)
		return "a unit attention too many";
	if (fx.nabort != aborts)
		return "an abort too many";
	return fx.abort_all ? "abort_all" : NULL;
}

/* What the model says a nexus may do: SPC-4 table 65, in words. */
static uint32_t model_access(const struct model *m, int i)
{
	bool we = m->type == 1 || m->type == 5 || m->type == 7;
	bool rr = m->type >= 5;
	bool full = !m->type || is_holder(m, i) || (rr && m->registered[i]);
	bool crh = m->type ? full : !registrants(m);

	return 1u << PRC_FREE | 1u << PRC_INFO | 1u << PRC_PR_IN | 1u << PRC_PR_OUT |
	       (full || we ? 1u << PRC_READ : 0) | (full ? 1u << PRC_WRITE : 0) |
	       (crh ? 1u << PRC_RESERVE : 0);
}

static const char *state_differs(const struct model *m)
{
	unsigned n = registrants(m);
	unsigned order[NEXUSES], k = 0;
	uint8_t *p = pr_in_buf;

	for (unsigned t = 0; t < m->clock; t++)
		for (unsigned i = 0; i < NEXUSES; i++)
			if (m->registered[i] && m->when[i] == t)
				order[k++] = i;

	if (pr_read(0) != 8 + 8 * n || get_be32(p) != m->generation || get_be32(p + 4) != 8 * n)
		return "READ KEYS header";
	for (unsigned i = 0; i < n; i++)
		if (get_be64(p + 8 + 8 * i) != m->key[order[i]])
			return "READ KEYS";

	if (pr_read(1) != (m->type ? 24u : 8u) || get_be32(p) != m->generation ||
	    get_be32(p + 4) != (m->type ? 16 : 0))
		return "READ RESERVATION header";
	if (m->type &&
	    (p[21] != m->type || get_be64(p + 8) != (m->holder >= 0 ? m->key[m->holder] : 0)))
		return "READ RESERVATION";

	pr_read(2);
	if ((p[3] & 1) != m->aptpl)
		return "PTPL_A";

	pr_read(3);
	p += 8;
	for (unsigned i = 0; i < n; i++) {
		int x = (int)order[i];
		char text[64];

		snprintf(text, sizeof(text), "%s,i,0x00023d0000%02x", iport_name[x / PORTS],
			 iport_isid[x / PORTS]);
		if (get_be64(p) != m->key[x] || p[12] != is_holder(m, x) ||
		    p[13] != (is_holder(m, x) ? m->type : 0) ||
		    get_be16(p + 18) != ports[x % PORTS] || p[24] != 0x45 ||
		    strcmp((char *)p + 28, text))
			return "READ FULL STATUS";
		p += 24 + get_be32(p + 20);
	}

	for (int i = 0; i < NEXUSES; i++) {
		struct nexus who = nexus_at(i);

		if (pr_registered(pr_now, &who) != m->registered[i])
			return "registered";
		if (pr_access(pr_now, &who) != model_access(m, i))
			return "access";
	}
	return pr_any(pr_now) == (n != 0) ? NULL : "pr_any";
}

/* The image of the value gives the value back. */
static const char *image_differs(void)
{
	static uint8_t image[64 << 10], state[64 << 10] __attribute__((aligned(16)));
	struct pr_state *s = (void *)state;
	size_t len = pr_image_put(pr_now, image, sizeof(image));

	if (!len || !pr_image_get(image, len, s, sizeof(state)) ||
	    pr_state_size(s) != pr_state_size(pr_now) || memcmp(s, pr_now, pr_state_size(s)))
		return "the image";
	return NULL;
}

static unsigned long answered[8][8];		/* by service action and kind of answer */

static unsigned kind_of(uint32_t answer)
{
	return answer == SAM_GOOD ? fx.changed ? 0 : 1 : answer == SAM_RESERVATION_CONFLICT ? 2 : 3;
}

/* False when the two disagree. */
static bool run_seed(uint64_t seed, bool talk)
{
	struct model m = { .holder = -1 };

	seed_state = seed * 0x9e3779b97f4a7c15 + 1;
	pr_world();
	for (unsigned n = 0; n < COMMANDS; n++) {
		struct command c;
		struct verdict v;
		uint32_t answer;
		const char *bad = NULL;
		uint32_t generation = m.generation;

		command_make(&m, &c);
		answer = command_send(&c);
		model_run(&m, &c, &v);
		answered[c.sa][kind_of(answer)]++;
		if (answer != v.answer)
			bad = "the answer";
		if (!bad)
			bad = effects_differ(&v);
		if (!bad)
			bad = state_differs(&m);
		if (!bad && n % 16 == 0)
			bad = image_differs();
		if (!bad && generation != m.generation && !fx.persist)
			bad = "persist";
		if (talk || bad)
			printf("%u: nexus %d sa %u scope %u type %u key %llx sa_key %llx aptpl %d "
			       "all %d spec %d unreg %d list %u:"
			       " %d %d %d %d rtpi %u len%+d -> %x, model %x; type %u, holder %d, "
			       "%u registered\n",
			       n, c.from, c.sa, c.scope, c.type, (unsigned long long)c.key,
			       (unsigned long long)c.sa_key, c.aptpl, c.all_tg_pt, c.spec_i_pt,
			       c.unreg, c.nlist, c.list[0], c.list[1], c.list[2], c.list[3], c.rtpi,
			       (int)c.len_error, answer, v.answer, m.type, m.holder,
			       registrants(&m));
		if (bad) {
			printf("seed %llu, command %u: %s\n", (unsigned long long)seed, n, bad);
			return false;
		}
	}
	return true;
}

static void test_property(void)
{
	const char *one = getenv("HOLDFAST_PR_SEED");
	const char *many = getenv("HOLDFAST_PR_SEEDS");
	uint64_t seeds = many ? strtoull(many, NULL, 10) : SEEDS;

	if (one) {
		CU_ASSERT_TRUE(run_seed(strtoull(one, NULL, 10), true));
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++)
		CU_ASSERT_TRUE_FATAL(run_seed(seed, false));
	printf(" %llu commands ", (unsigned long long)(seeds * COMMANDS));
}

/*
 * The random commands reach what they are for: each service action changes something, does nothing,
 * conflicts and fails.
 */
static void test_coverage(void)
{
	static const char *const kinds[] = { "GOOD with a change", "GOOD without", "conflict",
					     "check condition" };
	/* CLEAR never does nothing; RESERVE and RELEASE are below. */
	static const bool never[8][4] = {
		[CLEAR] = { [1] = true },
		[PREEMPT] = { [1] = true },
		[PREEMPT_AND_ABORT] = { [1] = true },
		[REGISTER_AND_IGNORE] = { [2] = true },
		[REGISTER_AND_MOVE] = { [1] = true },
	};

	if (getenv("HOLDFAST_PR_SEED") || getenv("HOLDFAST_PR_SEEDS"))
		return;
	for (unsigned sa = 0; sa < 8; sa++) {
		for (unsigned k = 0; k < 4; k++) {
			if ((answered[sa][k] > 100) == never[sa][k]) {
				printf("service action %u, %s: %lu times\n", sa, kinds[k],
				       answered[sa][k]);
				CU_FAIL("coverage");
			}
		}
	}
}

UNIT_MAIN("pr_property",
	UNIT(test_property),
	UNIT(test_coverage))
