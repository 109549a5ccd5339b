/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what in the presence of reservations: the tables of the standards, typed from them,
 * and every row of the command table run against every type and role, through the step function,
 * the gate and the LU's home. A command of the command table that has no row here fails.
 */
#include "tests/unit/spec_world.h"
#include "tests/unit/unit.h"

/*
 * Columns as SPC-4 table 65 and SBC-3 table 13 have them, for a LU with a persistent reservation
 * that another I_T nexus holds; A allowed, C conflict:
 *	[0] from any I_T nexus, Write Exclusive
 *	[1] from any I_T nexus, Exclusive Access
 *	[2] from a registered I_T nexus, registrants only and all registrants types
 *	[3] from an I_T nexus that is not registered, Write Exclusive of those types
 *	[4] from an I_T nexus that is not registered, Exclusive Access of those types
 * spc2: SPC-2 table 10 and annex B.1, "addressed LU is reserved by another initiator"; the 12 and
 * 16 byte forms, which are younger, as their 10 byte form; '-' where SPC-2 has no such command.
 */
struct row {
	const char *name;
	uint8_t cdb[16];
	uint16_t data;		/* bytes of data-out, or room for data-in */
	const char *pr;
	char spc2;
	const uint8_t *out;	/* data-out; NULL: zeroes */
};

static const uint8_t unmap_list[24] = { 0, 22, 0, 16, [19] = 8 };
static const uint8_t reassign_list[8] = { [3] = 4 };
#define BLK(n) [13] = (n)

static const struct row rows[] = {
	/* SPC-4 table 65 */
	{ "INQUIRY", { 0x12, [4] = 96 }, 96, "AAAAA", 'A' },
	{ "LOG SENSE", { 0x4d, [2] = 0x40, [8] = 64 }, 64, "AAAAA", 'A' },
	{ "MODE SELECT(6)", { 0x15, 0x10, [4] = 4 }, 4, "CCACC", 'C' },
	{ "MODE SELECT(10)", { 0x55, 0x10, [8] = 8 }, 8, "CCACC", 'C' },
	{ "MODE SENSE(6)", { 0x1a, 0, 0x0a, 0, 64 }, 64, "ACAAC", 'C' },
	{ "MODE SENSE(10)", { 0x5a, 0, 0x0a, [8] = 64 }, 64, "ACAAC", 'C' },
	{ "PERSISTENT RESERVE IN, READ KEYS", { 0x5e, 0, [8] = 64 }, 64, "AAAAA", 'C' },
	{ "PERSISTENT RESERVE IN, READ RESERVATION", { 0x5e, 1, [8] = 64 }, 64, "AAAAA", 'C' },
	{ "PERSISTENT RESERVE IN, REPORT CAPABILITIES", { 0x5e, 2, [8] = 64 }, 64, "AAAAA", 'C' },
	{ "PERSISTENT RESERVE IN, READ FULL STATUS", { 0x5e, 3, [8] = 64 }, 64, "AAAAA", 'C' },
	{ "REPORT LUNS", { 0xa0, [9] = 64 }, 64, "AAAAA", 'A' },
	{ "REPORT SUPPORTED OPERATION CODES", { 0xa3, 0x0c, [8] = 4 }, 1024, "ACAAC", '-' },
	{ "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", { 0xa3, 0x0d, [9] = 16 }, 16, "ACAAC",
	  '-' },
	{ "REPORT TARGET PORT GROUPS", { 0xa3, 0x0a, [9] = 64 }, 64, "AAAAA", '-' },
	{ "REQUEST SENSE", { 0x03, [4] = 18 }, 18, "AAAAA", 'A' },
	{ "TEST UNIT READY", { 0x00 }, 0, "AAAAA", 'C' },
	/* SBC-3 table 13; PREVENT ALLOW MEDIUM REMOVAL was in SPC-3's table before */
	{ "COMPARE AND WRITE", { 0x89, BLK(1) }, 1024, "CCACC", 'C' },
	{ "GET LBA STATUS", { 0x9e, 0x12, BLK(24) }, 24, "ACAAC", '-' },
	{ "ORWRITE(16)", { 0x8b, BLK(1) }, 512, "CCACC", 'C' },
	{ "PRE-FETCH(10)", { 0x34, [8] = 1 }, 0, "ACAAC", 'C' },
	{ "PRE-FETCH(16)", { 0x90, BLK(1) }, 0, "ACAAC", 'C' },
	{ "PREVENT ALLOW MEDIUM REMOVAL, prevent 0", { 0x1e }, 0, "AAAAA", 'A' },
	{ "PREVENT ALLOW MEDIUM REMOVAL, prevent 1", { 0x1e, [4] = 1 }, 0, "CCACC", 'C' },
	{ "READ(6)", { 0x08, [4] = 1 }, 512, "ACAAC", 'C' },
	{ "READ(10)", { 0x28, [8] = 1 }, 512, "ACAAC", 'C' },
	{ "READ(12)", { 0xa8, [9] = 1 }, 512, "ACAAC", 'C' },
	{ "READ(16)", { 0x88, BLK(1) }, 512, "ACAAC", 'C' },
	{ "READ CAPACITY(10)", { 0x25 }, 8, "AAAAA", 'A' },
	{ "READ CAPACITY(16)", { 0x9e, 0x10, BLK(32) }, 32, "AAAAA", 'A' },
	{ "REASSIGN BLOCKS", { 0x07 }, 8, "CCACC", 'C', reassign_list },
	{ "START STOP UNIT, start 1", { 0x1b, [4] = 1 }, 0, "AAAAA", 'A' },
	{ "START STOP UNIT, start 0", { 0x1b }, 0, "CCACC", 'C' },
	{ "START STOP UNIT, power condition 1", { 0x1b, [4] = 0x10 }, 0, "CCACC", 'C' },
	{ "SYNCHRONIZE CACHE(10)", { 0x35 }, 0, "CCACC", 'C' },
	{ "SYNCHRONIZE CACHE(16)", { 0x91 }, 0, "CCACC", 'C' },
	{ "UNMAP", { 0x42, [8] = 24 }, 24, "CCACC", 'C', unmap_list },
	{ "VERIFY(10)", { 0x2f, [8] = 1 }, 0, "ACAAC", 'C' },
	{ "VERIFY(12)", { 0xaf, [9] = 1 }, 0, "ACAAC", 'C' },
	{ "VERIFY(16)", { 0x8f, BLK(1) }, 0, "ACAAC", 'C' },
	{ "WRITE(6)", { 0x0a, [4] = 1 }, 512, "CCACC", 'C' },
	{ "WRITE(10)", { 0x2a, [8] = 1 }, 512, "CCACC", 'C' },
	{ "WRITE(12)", { 0xaa, [9] = 1 }, 512, "CCACC", 'C' },
	{ "WRITE(16)", { 0x8a, BLK(1) }, 512, "CCACC", 'C' },
	{ "WRITE AND VERIFY(10)", { 0x2e, [8] = 1 }, 512, "CCACC", 'C' },
	{ "WRITE AND VERIFY(12)", { 0xae, [9] = 1 }, 512, "CCACC", 'C' },
	{ "WRITE AND VERIFY(16)", { 0x8e, BLK(1) }, 512, "CCACC", 'C' },
	{ "WRITE ATOMIC(16)", { 0x9c, BLK(8) }, 4096, "CCACC", 'C' },	/* SBC-4's table */
	{ "WRITE SAME(10)", { 0x41, [8] = 1 }, 512, "CCACC", 'C' },
	{ "WRITE SAME(16)", { 0x93, BLK(1) }, 512, "CCACC", 'C' },
};

/*
 * SPC-4 table 66, PERSISTENT RESERVE OUT service actions, the reservation being another's: from a
 * registered I_T nexus, and from one that is not. none: from a nexus that is not registered with a
 * LU that has registrations but no reservation (SPC-4 5.13.1, 6.16.3).
 */
static const struct {
	const char *name;
	uint8_t sa;
	char registered, unregistered, none;
} outs[] = {
	{ "CLEAR", CLEAR, 'A', 'C', 'C' },
	{ "PREEMPT", PREEMPT, 'A', 'C', 'C' },
	{ "PREEMPT AND ABORT", PREEMPT_AND_ABORT, 'A', 'C', 'C' },
	{ "REGISTER", REGISTER, 'A', 'A', 'A' },
	{ "REGISTER AND IGNORE EXISTING KEY", REGISTER_AND_IGNORE, 'A', 'A', 'A' },
	{ "REGISTER AND MOVE", REGISTER_AND_MOVE, 'C', 'C', '-' },
	{ "RELEASE", RELEASE, 'A', 'C', 'C' },
	{ "RESERVE", RESERVE, 'C', 'C', 'C' },
};

static const uint8_t reserve_codes[] = { 0x16, 0x56 }, release_codes[] = { 0x17, 0x57 };

enum role { HOLDER, REGISTERED, UNREGISTERED, ROLES };
static const char *const role_names[] = { "holder", "registered", "not registered" };
static const unsigned role_nexus[ROLES] = { A0, B0, C0 };
static const uint64_t role_key[ROLES] = { 0xaaaa, 0xbbbb, 0 };
static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };

/* A0 and B0 are registered; A0 holds a reservation of the type, if there is one. */
static void set_up(struct spec_world *s, unsigned type)
{
	spec_reset(s);
	CU_ASSERT_EQUAL(spec_out(s, A0, REGISTER, 0, 0, role_key[HOLDER], 0), 0);
	CU_ASSERT_EQUAL(spec_out(s, B0, REGISTER, 0, 0, role_key[REGISTERED], 0), 0);
	if (type)
		CU_ASSERT_EQUAL(spec_out(s, A0, RESERVE, type, role_key[HOLDER], 0, 0), 0);
}

static const struct scsi_op *find_op(const struct row *r)
{
	for (unsigned i = 0; i < scsi_nops; i++)
		if (scsi_ops[i].opcode == r->cdb[0] &&
		    (scsi_ops[i].sa < 0 || scsi_ops[i].sa == (r->cdb[1] & 0x1f)))
			return &scsi_ops[i];
	return NULL;
}

static uint32_t run_row(struct spec_world *s, const struct row *r, unsigned who)
{
	const struct scsi_op *op = find_op(r);
	enum op_dir dir = r->data ? op->dir : NONE;

	spec_run(s, who, r->cdb, op->len, dir, r->data, r->out);
	return spec_result(s);
}

/* Allowed: it ends well, so that nothing else hides a conflict. Conflict: it touched nothing. */
static void judge(const struct spec_world *s, char want, const char *name, unsigned type,
		  const char *role)
{
	uint32_t got = spec_result(s);
	bool good = got == SAM_GOOD || got == SAM_CONDITION_MET;
	bool right = want == 'A' ? good : got == SAM_RESERVATION_CONFLICT && !s->w.nio;

	CU_ASSERT(right);
	if (!right)
		fprintf(stderr, "%s, type %u, %s: want %s, got %06x (%s)\n", name, type, role,
			want == 'A' ? "allowed" : "conflict", got, s->w.trace);
}

static char wanted(const struct row *r, unsigned type, enum role role)
{
	if (!type || role == HOLDER)
		return 'A';
	if (type == 1 || type == 3)
		return r->pr[type == 3];
	if (role == REGISTERED)
		return r->pr[2];
	return r->pr[type == 5 || type == 7 ? 3 : 4];
}

static void test_every_command_has_a_row(void)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];
		unsigned n = 0;

		for (unsigned k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
			n += find_op(&rows[k]) == op;
		for (unsigned k = 0; k < sizeof(outs) / sizeof(outs[0]); k++)
			n += op->opcode == 0x5f && outs[k].sa == op->sa;
		for (unsigned k = 0; k < 2; k++)
			n += op->opcode == reserve_codes[k] || op->opcode == release_codes[k];
		CU_ASSERT(n > 0);
		if (!n)
			fprintf(stderr, "no row for %s\n", op->name);
	}
	for (unsigned k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
		CU_ASSERT_PTR_NOT_NULL(find_op(&rows[k]));
}

static void test_persistent_reservation(void)
{
	struct spec_world *s = spec_new();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];

		for (unsigned role = 0; role < ROLES; role++) {
			spec_reset(s);			/* nobody is registered */
			run_row(s, r, role_nexus[role]);
			judge(s, 'A', r->name, 0, "nobody registered");
			set_up(s, 0);
			run_row(s, r, role_nexus[role]);
			judge(s, 'A', r->name, 0, role_names[role]);
			for (unsigned t = 0; t < sizeof(types); t++) {
				set_up(s, types[t]);
				run_row(s, r, role_nexus[role]);
				judge(s, wanted(r, types[t], role), r->name, types[t],
				      role_names[role]);
			}
		}
	}
	spec_free(s);
}

/* The same initiator port through the other target port is another I_T nexus, not registered. */
static void test_other_target_port(void)
{
	struct spec_world *s = spec_new();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned t = 0; t < sizeof(types); t++) {
			set_up(s, types[t]);
			run_row(s, &rows[i], A1);
			judge(s, wanted(&rows[i], types[t], UNREGISTERED), rows[i].name, types[t],
			      "holder's other path");
		}
	spec_free(s);
}

/*
 * A command that was accepted must not change the medium (nor the mode values) once its nexus has
 * lost its right: C0 preempts A0 before the command's next step, whatever that is (its data, its
 * hold, its first I/O). Whether it still reads is its own business: SPC-4 5.13.1 leaves the time at
 * which a reservation meets commands that were received before to the device server.
 */
static struct lu_value taken;

static void take_away(struct step_world *w, enum scsi_event ev)
{
	struct spec_world *s = (struct spec_world *)w;

	(void)ev;
	w->v = taken;
	gate_derive(&w->gate, &w->v, &s->nexus[s->who]);
}

static bool has_changed_medium(const struct spec_world *s)
{
	static const char *const ops[] = { "write ", "zero ", "discard " };
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		n += strstr(s->w.trace, ops[i]) != NULL;
	return n;
}

/* A0 as it was before, and `taken`, in which C0 holds a reservation of the type alone. */
static void set_up_taken(struct spec_world *s, unsigned type)
{
	uint64_t victim = type >= 7 ? 0 : role_key[HOLDER];	/* all registrants: everybody */
	struct lu_value before;

	set_up(s, type);
	CU_ASSERT_EQUAL(spec_out(s, C0, REGISTER, 0, 0, 0xcccc, 0), 0);
	before = s->w.v;
	CU_ASSERT_EQUAL(spec_out(s, C0, PREEMPT, type >= 7 ? 1 : type, 0xcccc, victim, 0), 0);
	taken = s->w.v;
	s->w.v = before;
	s->gate[A0].ua = 0;
	gate_derive(&s->gate[A0], &before, &s->nexus[A0]);
}

static void test_right_lost_on_the_way(void)
{
	struct spec_world *s = spec_new();
	unsigned tried = 0;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		bool mode_select = r->cdb[0] == 0x15 || r->cdb[0] == 0x55;

		for (unsigned t = 0; t < sizeof(types); t++) {
			set_up_taken(s, types[t]);
			run_row(s, r, A0);
			if (!has_changed_medium(s) && !mode_select)
				continue;
			set_up_taken(s, types[t]);
			s->w.between = take_away;
			run_row(s, r, A0);
			s->w.between = NULL;
			s->w.nio = has_changed_medium(s);
			judge(s, 'C', r->name, types[t], "preempted on the way");
			tried++;
		}
	}
	CU_ASSERT(tried >= 15 * sizeof(types));
	spec_free(s);
}

static uint32_t run_out(struct spec_world *s, unsigned sa, enum role role, unsigned type)
{
	unsigned who = role_nexus[role];
	uint64_t key = role_key[role];

	switch (sa) {
	case REGISTER:
	case REGISTER_AND_IGNORE:
		return spec_out(s, who, sa, 0, key, 0xdddd, 0);
	case REGISTER_AND_MOVE:
		return spec_move(s, who, key, 0xdddd, D0, 0);
	case PREEMPT:
	case PREEMPT_AND_ABORT:	/* the registration of B0, or of A0 if B0 asks */
		return spec_out(s, who, sa, type ? type : 1, key,
				role == REGISTERED ? 0xaaaa : 0xbbbb, 0);
	default:
		return spec_out(s, who, sa, type ? type : 1, key, 0, 0);
	}
}

static void test_reserve_out(void)
{
	struct spec_world *s = spec_new();

	for (unsigned i = 0; i < sizeof(outs) / sizeof(outs[0]); i++)
		for (unsigned t = 0; t < sizeof(types); t++) {
			bool all = types[t] >= 7, move = outs[i].sa == REGISTER_AND_MOVE;
			char holder = all && move ? 'C' : 'A'; /* SPC-4 5.13.8 */

			set_up(s, types[t]);
			run_out(s, outs[i].sa, HOLDER, types[t]);
			judge(s, holder, outs[i].name, types[t], role_names[HOLDER]);
			set_up(s, types[t]);
			run_out(s, outs[i].sa, REGISTERED, types[t]);
			judge(s, all ? holder : outs[i].registered, outs[i].name, types[t],
			      role_names[REGISTERED]);
			set_up(s, types[t]);
			run_out(s, outs[i].sa, UNREGISTERED, types[t]);
			judge(s, outs[i].unregistered, outs[i].name, types[t],
			      role_names[UNREGISTERED]);
		}
	for (unsigned i = 0; i < sizeof(outs) / sizeof(outs[0]); i++) {
		if (outs[i].none == '-')
			continue;
		set_up(s, 0);
		run_out(s, outs[i].sa, UNREGISTERED, 0);
		judge(s, outs[i].none, outs[i].name, 0, role_names[UNREGISTERED]);
	}
	spec_free(s);
}

static uint32_t run_simple(struct spec_world *s, unsigned who, uint8_t opcode)
{
	const uint8_t cdb[10] = { opcode };

	spec_run(s, who, cdb, opcode < 0x20 ? 6 : 10, NONE, 0, NULL);
	return spec_result(s);
}

/* Whether who may write. */
static bool writes(struct spec_world *s, unsigned who)
{
	static const uint8_t cdb[10] = { 0x2a, [8] = 1 };

	spec_run(s, who, cdb, sizeof(cdb), OUT, 512, NULL);
	return spec_result(s) == SAM_GOOD;
}

/*
 * SPC-4 5.13.3: with a reservation, RESERVE and RELEASE end in GOOD and do nothing for a holder,
 * and for a registered nexus if the type is a registrants one. In all other cases SPC-2 5.5.1: they
 * conflict as long as anybody is registered.
 */
static void test_compatible_reservation_handling(void)
{
	struct spec_world *s = spec_new();

	for (unsigned op = 0; op < 4; op++)
		for (unsigned t = 0; t <= sizeof(types); t++)
			for (unsigned role = 0; role < ROLES; role++) {
				uint8_t opcode = op < 2 ? reserve_codes[op] : release_codes[op - 2];
				unsigned type = t < sizeof(types) ? types[t] : 0;
				bool good = role == HOLDER ? type : role == REGISTERED && type >= 5;
				const void *pr;

				set_up(s, type);
				pr = s->w.v.pr;
				run_simple(s, role_nexus[role], opcode);
				judge(s, good ? 'A' : 'C', op < 2 ? "RESERVE" : "RELEASE", type,
				      role_names[role]);
				CU_ASSERT_PTR_EQUAL(s->w.v.pr, pr);
				CU_ASSERT_FALSE(s->w.v.reserved6);
				CU_ASSERT(writes(s, A0));	/* the reservation is as it was */
				CU_ASSERT_EQUAL(writes(s, B0), !type || type >= 5);
				CU_ASSERT_EQUAL(writes(s, C0), !type);
			}
	spec_free(s);
}

/* SPC-2 5.5.2 and tables 10, 11, B.1: reserved by A0, with either form, asked by A0 and C0. */
static void test_reserve_release(void)
{
	struct spec_world *s = spec_new();

	for (unsigned form = 0; form < 2; form++) {
		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			bool pr_in = rows[i].cdb[0] == 0x5e;

			spec_reset(s);
			CU_ASSERT_EQUAL(run_simple(s, A0, reserve_codes[form]), 0);
			run_row(s, &rows[i], A0);
			/* SPC-2 5.5.1: conflict "regardless of initiator" */
			judge(s, pr_in ? 'C' : 'A', rows[i].name, 0, "who reserved");
			run_row(s, &rows[i], C0);
			if (rows[i].spc2 != '-')
				judge(s, rows[i].spc2, rows[i].name, 0, "reserved by another");
			run_row(s, &rows[i], A1);
			if (rows[i].spc2 != '-')
				judge(s, rows[i].spc2, rows[i].name, 0, "the other path");
		}
		for (unsigned i = 0; i < sizeof(outs) / sizeof(outs[0]); i++)
			for (unsigned role = HOLDER; role < ROLES; role++) {
				spec_reset(s);
				CU_ASSERT_EQUAL(run_simple(s, A0, reserve_codes[form]), 0);
				CU_ASSERT_EQUAL(run_out(s, outs[i].sa, role, 1),
						SAM_RESERVATION_CONFLICT);
				CU_ASSERT_FALSE(pr_any(s->w.v.pr));
			}
		for (unsigned other = 0; other < 2; other++) {
			spec_reset(s);
			CU_ASSERT_EQUAL(run_simple(s, A0, reserve_codes[form]), 0);
			CU_ASSERT_EQUAL(run_simple(s, A0, reserve_codes[other]), 0);
			CU_ASSERT_EQUAL(run_simple(s, C0, reserve_codes[other]),
					SAM_RESERVATION_CONFLICT);
			/* A release by another is good and releases nothing (SPC-2 5.5.2.2). */
			CU_ASSERT_EQUAL(run_simple(s, C0, release_codes[other]), 0);
			CU_ASSERT_FALSE(writes(s, C0));
			CU_ASSERT(writes(s, A0));
			CU_ASSERT_EQUAL(run_simple(s, A0, release_codes[other]), 0);
			CU_ASSERT(writes(s, C0));
			CU_ASSERT_EQUAL(run_simple(s, C0, release_codes[form]), 0);
		}
	}
	spec_free(s);
}

/* A change that passed its gate and reaches home after another: as lu_change() finds the LU. */
static uint32_t at_home(struct spec_world *s, unsigned who, uint8_t opcode, uint8_t sa,
			uint8_t type, uint64_t key, uint64_t sa_key)
{
	uint8_t list[24] = { 0 };
	struct lu_request rq = { .kind = LU_CHANGE_CMD, .seq = ++s->seq, .has_nexus = true,
				 .nexus = s->nexus[who], .cdb = { opcode, sa, type },
				 .cdb_len = opcode < 0x20 ? 6 : 10, .param = list };

	put_be64(list, key);
	put_be64(list + 8, sa_key);
	if (opcode == 0x5f)
		rq.cdb[8] = rq.param_len = sizeof(list);
	if (opcode == 0x55) {
		rq.cdb[1] = 0x10;
		rq.cdb[8] = rq.param_len = 8;
	}
	spec_home(s, &rq);
	if (s->fx.status == SAM_RESERVATION_CONFLICT)
		CU_ASSERT_FALSE(s->fx.changed);
	return s->fx.status;
}

/*
 * Two changes that passed their gates at the same time: the second is judged by what the first has
 * made. SPC-2 5.5.1, SPC-4 5.13.1: the order is the device server's, each is one uninterrupted
 * event.
 */
static void test_judged_again_at_home(void)
{
	struct spec_world *s = spec_new();

	for (unsigned form = 0; form < 2; form++) {
		spec_reset(s);
		CU_ASSERT_EQUAL(at_home(s, A0, reserve_codes[form], 0, 0, 0, 0), 0);
		CU_ASSERT_EQUAL(at_home(s, B0, reserve_codes[form], 0, 0, 0, 0),
				SAM_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(at_home(s, B0, release_codes[form], 0, 0, 0, 0), 0);
		CU_ASSERT_FALSE(writes(s, B0));
		CU_ASSERT(writes(s, A0));
		for (unsigned sa = REGISTER; sa <= REGISTER_AND_IGNORE; sa++)
			for (unsigned who = A0; who <= B0; who++)
				CU_ASSERT_EQUAL(at_home(s, who, 0x5f, (uint8_t)sa, 1, 0, 0xa),
						SAM_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(at_home(s, B0, 0x55, 0, 0, 0, 0), SAM_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(at_home(s, A0, 0x55, 0, 0, 0, 0), 0);
		CU_ASSERT_FALSE(pr_any(s->w.v.pr));

		spec_reset(s);
		CU_ASSERT_EQUAL(at_home(s, A0, 0x5f, REGISTER, 0, 0, 0xa), 0);
		CU_ASSERT_EQUAL(at_home(s, A0, reserve_codes[form], 0, 0, 0, 0),
				SAM_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(at_home(s, A0, 0x5f, RESERVE, 3, 0xa, 0), 0);
		CU_ASSERT_EQUAL(at_home(s, B0, 0x55, 0, 0, 0, 0), SAM_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(at_home(s, B0, reserve_codes[form], 0, 0, 0, 0),
				SAM_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(at_home(s, A0, reserve_codes[form], 0, 0, 0, 0), 0);
		CU_ASSERT_FALSE(s->w.v.reserved6);
	}
	spec_free(s);
}

UNIT_MAIN("spec_access",
	UNIT(test_judged_again_at_home),
	UNIT(test_every_command_has_a_row),
	UNIT(test_persistent_reservation),
	UNIT(test_other_target_port),
	UNIT(test_right_lost_on_the_way),
	UNIT(test_reserve_out),
	UNIT(test_compatible_reservation_handling),
	UNIT(test_reserve_release))
