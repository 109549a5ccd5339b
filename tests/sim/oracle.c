/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold, checked at every step that can break it. The oracle follows each LU's values in
 * the order in which home makes them, each command from its first byte to its answer, and each unit
 * of I/O from hand-over to its effect and its end.
 */
#include <stdlib.h>
#include <string.h>

#include "pr/pr.h"
#include "pr/state.h"
#include "scsi/ua.h"
#include "target/daemon.h"
#include "target/session.h"
#include "tests/sim/hooks.h"
#include "tests/sim/medium.h"
#include "tests/sim/sim.h"

enum { VALUES = 8192, SAM_ABORTED = 0x40, SAM_CONFLICT = 0x18, SAM_CHECK = 0x02 };

/* A value of a LU, as far as reservations go. */
struct value {
	uint64_t epoch, boot;
	uint32_t readers, writers; /* paths that may */
	struct pr_state *pr;
	bool never; /* could not be stored: it never was */
};

/* A change that home evaluated. */
struct change {
	unsigned lun;
	enum lu_change_kind kind;
	int64_t value; /* in force after it */
	uint64_t boot;
	struct path *path;
	struct cmd *cmd; /* NULL: task management and the like */
	uint8_t status;
	bool changed, aborts, answered;
	bool own;	     /* PREEMPT AND ABORT of one's own key */
	struct cmd **covers; /* what it aborts */
	unsigned ncovers;
	uint32_t ua_to[PATHS_MAX]; /* 1 << ua: ordered for it */
	uint64_t answered_at;
	uint32_t gate_of[PATHS_MAX]; /* its session that had a gate then, or 0 */
};

/* A unit attention of one kind for one path on one LU. */
struct attention {
	unsigned due;  /* orders not reported yet, at most */
	int64_t last;  /* the change that ordered it last */
	bool reported; /* since then */
	bool must;     /* that change was answered: the next command reports it */
	uint64_t since;
};

struct olu {
	struct value *v;
	int64_t n, answered;
	int64_t answered_cmd; /* by a command: a reset may be answered by a LU that is not ready */
	struct attention ua[PATHS_MAX][UA_COUNT];
	uint32_t touched[PATHS_MAX]; /* session that has a gate here */
	unsigned failed_stores;
};

static struct olu lus[LUNS];
static struct change *changes;
static int64_t nchanges, room;
static struct unit *units;
/* What task management of each path covers. */
static struct {
	struct cmd **v;
	unsigned n;
} covered[PATHS_MAX];
static struct {
	uint64_t writes, conflicts, aborted, changes, caws, uas, reads, in_flight, orphans,
		lost_uas;
} seen;

/* ---- values ---- */

static void value_push(unsigned lun, const struct lu_value *v)
{
	struct olu *o = &lus[lun];
	struct value *n = &o->v[o->n++];
	size_t size = pr_state_size(v->pr);

	if (o->n >= VALUES)
		fail("the world is too long");
	*n = (struct value){ .epoch = v->epoch, .boot = sim_boot, .pr = malloc(size) };
	if (!n->pr)
		abort();
	memcpy(n->pr, v->pr, size);
	for (unsigned p = 0; p < npaths; p++) {
		uint32_t a = lu_access(v, path_nexus(paths[p]));

		n->readers |= (a >> PRC_READ & 1) << p;
		n->writers |= (a >> PRC_WRITE & 1) << p;
	}
}

/* Whether p has (want) or lacks access under some value from `since` on. */
static bool access_since(unsigned lun, int64_t since, unsigned p, bool write, bool want)
{
	for (int64_t i = lus[lun].n - 1; i >= since; i--) {
		const struct value *v = &lus[lun].v[i];

		if (!v->never && ((write ? v->writers : v->readers) >> p & 1) == want)
			return true;
	}
	return false;
}

uint64_t oracle_answered(unsigned lun)
{
	return (uint64_t)lus[lun].answered;
}

/* The promise, (a): under the value answered last, or a later one. */
static void check_writer(const struct unit *u, const char *when)
{
	if (!io_changes_medium((enum io_op)u->op) || !u->path)
		return;
	if (!access_since(u->lun, u->orphan ? lus[u->lun].answered_cmd : lus[u->lun].answered,
			  path_no(u->path), true, true))
		fail("(a) %s: unit %llu of %s itt %x on lun %u, which may not write since value "
		     "%lld",
		     when, (unsigned long long)u->id, path_name(u->path), u->cmd ? u->cmd->itt : 0,
		     u->lun, (long long)lus[u->lun].answered);
}

/* ---- commands ---- */

struct cmd *oracle_cmd(struct path *p, uint32_t itt)
{
	for (struct cmd *c = path_cmds(p); c; c = c->next)
		if (c->itt == itt)
			return c;
	fail("%s has no command %x", path_name(p), itt);
}

void oracle_sent(struct cmd *c)
{
	c->answered_at_send = (uint64_t)lus[c->lun].answered;
	c->boot = sim_boot;
	c->change = -1;
}

static void cmd_over(struct cmd *c)
{
	if (c->over)
		return;
	c->over = true;
	c->ended = sim_now;
	path_cmd_over(c->path);
}

/* From now on c has no effect any more. Who aborts his own commands gets no answer to them. */
static void cover(struct cmd *c, const struct path *by, const char *why)
{
	if (c->path == by)
		cmd_over(c);
	if (c->dead)
		return;
	c->dead = true;
	c->dead_by = why;
	if (c->over && !c->running)
		return;
	seen.aborted++;
	for (struct unit *u = units; u; u = u->next)
		if (u->cmd == c && io_changes_medium((enum io_op)u->op))
			fail("(b) %s was answered, and unit %llu of %s itt %x is still under way",
			     why, (unsigned long long)u->id, path_name(c->path), c->itt);
}

static bool in_task_set(const struct cmd *c, unsigned lun)
{
	return c->lun == lun && c->consumed && (!c->over || c->running);
}

static void collect(struct cmd ***v, unsigned *n, struct path *p, unsigned lun,
		    const struct cmd *but)
{
	for (struct cmd *c = path_cmds(p); c; c = c->next) {
		/* A dead daemon's commands are in nobody's task set: its LU is not ready until they
		 * have ended. */
		if (c == but || c->boot != sim_boot || !in_task_set(c, lun))
			continue;
		*v = realloc(*v, (*n + 1) * sizeof(struct cmd *));
		if (!*v)
			abort();
		(*v)[(*n)++] = c;
	}
}

/* ---- changes ---- */

static struct change *change_new(void)
{
	if (nchanges == room) {
		room = room ? 2 * room : 256;
		changes = realloc(changes, (size_t)room * sizeof(*changes));
		if (!changes)
			abort();
	}
	changes[nchanges] = (struct change){ 0 };
	return &changes[nchanges++];
}

static void ua_order(struct change *ch, unsigned p, enum ua ua)
{
	struct attention *a = &lus[ch->lun].ua[p][ua];

	ch->ua_to[p] |= 1u << ua;
	ch->gate_of[p] = lus[ch->lun].touched[p];
	a->due++;
	a->last = ch - changes;
	a->reported = false;
}

static void ua_orders(struct change *ch, const struct lu_value *old, const struct lu_value *next,
		      const struct lu_fx *fx)
{
	for (uint32_t i = 0; i < fx->nua; i++) {
		int p = path_find(&fx->ua[i].to);

		if (p >= 0)
			ua_order(ch, (unsigned)p, fx->ua[i].ua);
	}
	for (unsigned ua = 0; fx->changed && ua < UA_COUNT; ua++) {
		const struct lu_event *e = &next->events[ua];

		if (e->seq == old->events[ua].seq)
			continue;
		for (unsigned p = 0; p < npaths; p++)
			if (!e->has_origin || !nexus_eq(&e->origin, path_nexus(paths[p])))
				ua_order(ch, p, (enum ua)ua);
	}
}

/*
 * Whether home knows the port that this nexus uses. If not, its commands there have not begun, and
 * nobody can tell that they were there before.
 */
static bool known_at_home(unsigned lun, unsigned p)
{
	const struct lu *lu = daemon_state.lus[lun];
	const struct lun_gate *g;

	for (unsigned i = 0; i < reactor_count(); i++) {
		if (!lu->subscribed[i])
			continue;
		cds_list_for_each_entry(g, &lu->ports[i].gates, link)
			if (nexus_eq(&g->nexus->nexus, path_nexus(paths[p])))
				return true;
	}
	return false;
}

static void change_covers(struct change *ch, const struct lu_fx *fx)
{
	for (unsigned p = 0; p < npaths; p++) {
		bool all = fx->abort_all;

		if (!known_at_home(ch->lun, p))
			continue;
		for (uint32_t i = 0; i < fx->nabort && !all; i++)
			all = nexus_eq(&fx->abort[i], path_nexus(paths[p]));
		if (all && ch->cmd && ch->path == paths[p])
			ch->own = true;
		if (all)
			collect(&ch->covers, &ch->ncovers, paths[p], ch->lun, ch->cmd);
	}
}

/* Who preempts himself gets no answers to what he sent until that was over. */
static void own_silent(const struct change *ch)
{
	for (struct cmd *c = ch->own ? path_cmds(ch->path) : NULL; c; c = c->next)
		if (!c->over && c->lun == ch->lun && c != ch->cmd) {
			c->silent = true;
			cmd_over(c);
		}
}

static void last_settled(unsigned lun)
{
	for (int64_t i = nchanges - 1; i >= 0; i--)
		if (changes[i].lun == lun) {
			own_silent(&changes[i]);
			return;
		}
}

/* Long after the last change: whatever it did is done. */
void oracle_settled(void)
{
	for (unsigned i = 0; i < LUNS; i++)
		last_settled(i);
}

/* A change is evaluated on the value with this epoch: what came after it could not be stored, and
 * never was. */
static void values_settle(unsigned lun, uint64_t epoch)
{
	struct olu *o = &lus[lun];

	for (int64_t i = o->n - 1; i >= 0 && o->v[i].boot == sim_boot && o->v[i].epoch != epoch;
	     i--)
		o->v[i].never = true;
}

/* The value in force, as far as home knows. */
static int64_t value_last(unsigned lun)
{
	int64_t i = lus[lun].n - 1;

	while (lus[lun].v[i].never)
		i--;
	return i;
}

/* Home evaluates a change: called by target/lu.c in place of lu_change(). */
void sim_lu_change(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
		   struct lu_fx *fx)
{
	unsigned lun = old->id->lun;
	struct change *ch;
	int p = rq->has_nexus ? path_find(&rq->nexus) : -1;

	values_settle(lun, old->epoch);
	last_settled(lun);
	lu_change(old, rq, next, fx);
	ch = change_new();
	ch->lun = lun;
	ch->kind = rq->kind;
	ch->boot = sim_boot;
	ch->path = p >= 0 ? paths[p] : NULL;
	if (rq->kind == LU_CHANGE_CMD) {
		const struct lu_change *c = caa_container_of(rq, struct lu_change, rq);
		const struct task *t = caa_container_of(c, struct task, change);

		ch->cmd = oracle_cmd(ch->path, t->itt);
		ch->cmd->change = ch - changes;
	}
	ch->status = fx->status;
	ch->changed = fx->changed;
	ch->aborts = fx->abort_all || fx->nabort;
	if (fx->changed) {
		struct lu_value v = *next;

		v.epoch = old->epoch + 1;
		value_push(lun, &v);
		seen.changes++;
	}
	ch->value = value_last(lun);
	ua_orders(ch, old, next, fx);
	if (ch->aborts)
		change_covers(ch, fx);
	TRACE("change %lld of lun %u by %s: kind %d cdb %02x/%02x status %02x%s, value %lld "
	      "writers %x, aborts %u",
	      (long long)(ch - changes), lun, ch->path ? path_name(ch->path) : "-", rq->kind,
	      rq->cdb[0], rq->cdb[1], fx->status, fx->changed ? " changed" : "",
	      (long long)ch->value, lus[lun].v[ch->value].writers, ch->ncovers);
}

static void ua_answered(struct change *ch)
{
	for (unsigned p = 0; p < npaths; p++)
		for (unsigned ua = 0; ua < UA_COUNT; ua++) {
			struct attention *a = &lus[ch->lun].ua[p][ua];

			if (!(ch->ua_to[p] >> ua & 1) || a->last != ch - changes || a->reported)
				continue;
			if (ch->gate_of[p] && lus[ch->lun].touched[p] == ch->gate_of[p]) {
				a->must = true;
				a->since = sim_now;
			} else {
				seen.lost_uas++;
			}
		}
}

/* Each gate says what the acknowledged value says. */
static void check_gates(unsigned lun, int64_t at_least)
{
	const struct lu *lu = daemon_state.lus[lun];

	for (unsigned i = 0; i < reactor_count(); i++) {
		const struct lu_port *p = &lu->ports[i];
		const struct lun_gate *g;

		if (p->state != PORT_LIVE)
			continue;
		if (at_least >= 0 && lus[lun].v[at_least].boot == sim_boot &&
		    p->value->v.epoch < lus[lun].v[at_least].epoch)
			fail("lun %u: value %lld was answered, the port of reactor %u has epoch "
			     "%llu",
			     lun, (long long)at_least, i, (unsigned long long)p->value->v.epoch);
		cds_list_for_each_entry(g, &p->gates, link)
			if (g->g.access != lu_access(&p->value->v, &g->nexus->nexus) ||
			    g->g.epoch != p->value->v.epoch)
				fail("lun %u reactor %u: the gate of %s is not what the value says",
				     lun, i, g->nexus->nexus.initiator);
	}
}

void oracle_gates(void)
{
	for (unsigned i = 0; i < daemon_state.nlus; i++)
		check_gates(i, -1);
}

static void change_answered(struct change *ch)
{
	struct olu *o = &lus[ch->lun];

	ch->answered = true;
	ch->answered_at = sim_now;
	if (ch->value > o->answered) {
		o->answered = ch->value;
		if (ch->kind == LU_CHANGE_CMD)
			o->answered_cmd = ch->value;
		for (struct unit *u = units; u; u = u->next)
			if (u->lun == ch->lun) {
				check_writer(u, "in the backend when a change was answered");
				seen.in_flight += io_changes_medium((enum io_op)u->op);
			}
	}
	check_gates(ch->lun, ch->value);
	own_silent(ch);
	for (unsigned i = 0; i < ch->ncovers; i++)
		cover(ch->covers[i], ch->cmd ? ch->path : NULL,
		      ch->kind == LU_CHANGE_CMD ? "PREEMPT AND ABORT" : "a reset");
	ua_answered(ch);
}

/* ---- answers ---- */

static void ua_reported(struct cmd *c)
{
	unsigned p = path_no(c->path);

	for (unsigned ua = 0; ua < UA_COUNT; ua++) {
		struct attention *a = &lus[c->lun].ua[p][ua];

		if (ua_sense_code((enum ua)ua) != c->sense)
			continue;
		if (!a->due)
			fail("%s itt %x lun %u: unit attention %06x that nobody ordered, or a "
			     "second time",
			     path_name(c->path), c->itt, c->lun, c->sense);
		seen.uas++;
		/* Orders not answered when it came in may have reached this port after it. */
		a->due = 0;
		for (int64_t i = nchanges - 1; i >= 0 && i > nchanges - 64; i--) {
			const struct change *ch = &changes[i];

			a->due += ch->lun == c->lun && ch->boot == sim_boot &&
				  (!ch->answered || ch->answered_at >= c->consumed) &&
				  ch->ua_to[p] >> ua & 1;
		}
		a->must = false;
		a->reported = true;
		return;
	}
	fail("%s itt %x: unknown unit attention %06x", path_name(c->path), c->itt, c->sense);
}

static void check_attention(struct cmd *c)
{
	unsigned p = path_no(c->path);

	if (c->status == SAM_CHECK && c->sense >> 16 == SK_UNIT_ATTENTION) {
		ua_reported(c);
		return;
	}
	if (c->status != 0 && c->status != SAM_CONFLICT)
		return;
	for (unsigned ua = 0; ua < UA_COUNT; ua++) {
		struct attention *a = &lus[c->lun].ua[p][ua];

		if (a->must && c->sent > a->since)
			fail("%s itt %x lun %u: unit attention %06x was due", path_name(c->path),
			     c->itt, c->lun, ua_sense_code((enum ua)ua));
	}
}

static bool writes(const struct cmd *c)
{
	return c->kind == K_WRITE || c->kind == K_UNMAP || c->kind == K_SAME || c->kind == K_CAW ||
	       c->kind == K_ORW;
}

static void check_read(const struct cmd *c)
{
	if (c->in_got != c->in_len)
		fail("%s itt %x: %u bytes read instead of %u", path_name(c->path), c->itt,
		     c->in_got, c->in_len);
	for (uint64_t i = 0; i < c->nblocks; i++)
		if (!medium_had(c->lun, c->lba + i, c->in + i * DISK_BLOCK, c->sent, sim_now))
			fail("%s itt %x lun %u: block %llu was read with content it did not have",
			     path_name(c->path), c->itt, c->lun, (unsigned long long)(c->lba + i));
	seen.reads++;
}

static void check_write(struct cmd *c)
{
	for (uint64_t i = 0; i < c->nblocks; i++) {
		if (c->kind == K_UNMAP && !(c->effects[i] & 0x80))
			continue;
		if (!(c->effects[i] & 0x7f))
			fail("%s itt %x lun %u: answered GOOD, and block %llu was not written",
			     path_name(c->path), c->itt, c->lun, (unsigned long long)(c->lba + i));
		if ((c->effects[i] & 0x7f) > 1 && c->kind != K_UNMAP)
			fail("%s itt %x lun %u: block %llu was written twice", path_name(c->path),
			     c->itt, c->lun, (unsigned long long)(c->lba + i));
	}
	seen.writes++;
	seen.caws += c->kind == K_CAW;
	if (c->fua || !world.write_cache[c->lun])
		medium_durable(c);
}

static void check_pr_in(const struct cmd *c)
{
	struct olu *o = &lus[c->lun];

	for (int64_t i = o->n - 1; i >= (int64_t)c->answered_at_send; i--) {
		uint8_t buf[4096];
		struct wcur w = wcur_of(buf, sizeof(buf));

		if (o->v[i].never)
			continue;
		pr_in(o->v[i].pr, &daemon_state.nodes[0].scsi, c->cdb[1] & 0x1f, &w);
		if (wcur_stored(&w) == c->in_got && !memcmp(buf, c->in, c->in_got))
			return;
	}
	fail("%s itt %x lun %u: PR IN tells of no value in force since it was sent",
	     path_name(c->path), c->itt, c->lun);
}

static void check_good(struct cmd *c)
{
	unsigned p = path_no(c->path);

	if (c->kind == K_READ || writes(c)) {
		if (!access_since(c->lun, (int64_t)c->answered_at_send, p, c->kind != K_READ, true))
			fail("%s itt %x lun %u: GOOD without access", path_name(c->path), c->itt,
			     c->lun);
	}
	if (c->kind == K_READ)
		check_read(c);
	else if (writes(c))
		check_write(c);
	else if (c->kind == K_SYNC)
		medium_flushed(c);
	else if (c->kind == K_PR_IN)
		check_pr_in(c);
}

static void check_change(struct cmd *c)
{
	struct change *ch = &changes[c->change];

	if (ch->changed && c->status == SAM_CHECK && ch->status == 0) {
		/* It could not be stored. */
		if (!lus[c->lun].failed_stores)
			fail("%s itt %x: failed, and nothing did", path_name(c->path), c->itt);
		lus[c->lun].failed_stores--;
		lus[c->lun].v[ch->value].never = true;
		ch->answered = true;
		for (unsigned p = 0; p < npaths; p++)
			for (unsigned ua = 0; ua < UA_COUNT; ua++)
				if (ch->ua_to[p] >> ua & 1 && lus[c->lun].ua[p][ua].due)
					lus[c->lun].ua[p][ua].due--;
		return;
	}
	if (c->status == SAM_ABORTED)
		return;
	if (c->status != ch->status)
		fail("%s itt %x: status %02x, home said %02x", path_name(c->path), c->itt,
		     c->status, ch->status);
	change_answered(ch);
}

void oracle_answer(struct cmd *c)
{
	unsigned p = path_no(c->path);

	TRACE("%s itt %x lun %u answered: status %02x sense %06x", path_name(c->path), c->itt,
	      c->lun, c->status, c->sense);
	if (c->over && !c->silent)
		fail("%s itt %x: a second answer", path_name(c->path), c->itt);
	cmd_over(c);
	c->answered = true;
	if (c->dead && c->dead_by[0] == 'i' && c->status != SAM_ABORTED)
		fail("%s itt %x: answered after its own abort was", path_name(c->path), c->itt);
	check_attention(c);
	lus[c->lun].touched[p] = c->session;
	if (c->change >= 0)
		check_change(c);
	if (c->status == 0)
		check_good(c);
	else if (c->status == SAM_CONFLICT && (c->kind == K_READ || writes(c))) {
		seen.conflicts++;
		if (!access_since(c->lun, (int64_t)c->answered_at_send, p, c->kind != K_READ,
				  false))
			fail("%s itt %x lun %u: a conflict with nobody", path_name(c->path), c->itt,
			     c->lun);
	}
	if (c->kind == K_PR_OUT && sim_now - c->consumed > 10 * SEC)
		fail("%s itt %x: PR OUT took %llu ms", path_name(c->path), c->itt,
		     (unsigned long long)((sim_now - c->consumed) / MS));
}

void oracle_session_lost(struct path *p)
{
	for (struct cmd *c = path_cmds(p); c; c = c->next)
		if (!c->over) {
			c->lost = true;
			cmd_over(c);
		}
	for (unsigned i = 0; i < LUNS; i++) {
		for (unsigned ua = 0; ua < UA_COUNT; ua++) {
			struct attention *a = &lus[i].ua[path_no(p)][ua];

			a->must = false;
			/* What a registrant was to hear about reservations may be kept for its next
			 * session. */
			if (ua < UA_RESERVATIONS_PREEMPTED || ua > UA_REGISTRATIONS_PREEMPTED)
				a->due = 0;
		}
		lus[i].touched[path_no(p)] = 0;
	}
	covered[path_no(p)].n = 0;
}

/* ---- task management ---- */

/* What task management of one's own session covers is what stood before them. One at a time per
 * path. */
void oracle_tmf_consumed(struct path *p, unsigned lun, bool all, struct cmd *only)
{
	unsigned i = path_no(p);

	covered[i].n = 0;
	if (!only) {
		for (unsigned l = 0; l < LUNS; l++)
			if (l == lun || all)
				collect(&covered[i].v, &covered[i].n, p, l, NULL);
		/* An orphan of an older session is not of this task set. */
		for (unsigned k = 0; k < covered[i].n;)
			if (covered[i].v[k]->session != path_session(p))
				covered[i].v[k] = covered[i].v[--covered[i].n];
			else
				k++;
		return;
	}
	if (!in_task_set(only, only->lun) || only->over)
		return;
	covered[i].v = realloc(covered[i].v, sizeof(struct cmd *));
	if (!covered[i].v)
		abort();
	covered[i].v[covered[i].n++] = only;
}

void oracle_tmf_answer(struct path *p, uint8_t function, unsigned lun, uint8_t response)
{
	unsigned n = path_no(p);

	TRACE("%s: task management %u on lun %u answered: %u", path_name(p), function, lun,
	      response);
	if (response != TMF_RSP_COMPLETE)
		return;
	for (unsigned i = 0; i < covered[n].n; i++)
		cover(covered[n].v[i], p,
		      function == TMF_ABORT_TASK ? "its ABORT TASK"
		      : function >= TMF_LU_RESET ? "its own reset"
						 : "its task set's abort");
	covered[n].n = 0;
	if (function < TMF_LU_RESET)
		return;
	for (int64_t i = nchanges - 1; i >= 0; i--) {
		struct change *ch = &changes[i];

		if (ch->path != p || ch->answered || ch->boot != sim_boot ||
		    ch->kind == LU_CHANGE_CMD || ch->kind == LU_CHANGE_NEXUS_LOST)
			continue;
		if (function != TMF_LU_RESET || ch->lun == lun)
			change_answered(ch);
	}
}

/* ---- units ---- */

void oracle_submit(struct unit *u)
{
	check_writer(u, "handed to the backend");
	for (struct unit *v = units; v; v = v->next) {
		if (v->lun != u->lun)
			continue;
		if (v->orphan)
			fail("unit %llu of %s on lun %u while a dead daemon's unit %llu is under "
			     "way",
			     (unsigned long long)u->id, u->path ? path_name(u->path) : "-", u->lun,
			     (unsigned long long)v->id);
		if (u->cmd && v->cmd && u->path == v->path && v->cmd->session < u->cmd->session &&
		    io_changes_medium((enum io_op)v->op))
			fail("unit %llu of %s itt %x on lun %u overtakes unit %llu of its older "
			     "session",
			     (unsigned long long)u->id, path_name(u->path), u->cmd->itt, u->lun,
			     (unsigned long long)v->id);
	}
	if (u->cmd) {
		if (u->cmd->dead && io_changes_medium((enum io_op)u->op))
			fail("(b) unit %llu of %s itt %x, after %s was answered",
			     (unsigned long long)u->id, path_name(u->path), u->cmd->itt,
			     u->cmd->dead_by);
		u->cmd->running++;
	}
	u->next = units;
	units = u;
}

void oracle_unit_end(struct unit *u)
{
	struct unit **at = &units;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	if (u->cmd)
		u->cmd->running--;
	seen.orphans += u->orphan;
}

/* COMPARE AND WRITE and ORWRITE: nothing came between their read and their write. */
static void check_atomic(const struct cmd *c, unsigned lun, uint64_t block, const uint8_t *data)
{
	const uint8_t *old = medium_now(lun, block);
	uint64_t i = block - c->lba;

	if (c->kind == K_CAW && memcmp(old, c->out + i * DISK_BLOCK, DISK_BLOCK))
		fail("%s itt %x lun %u: COMPARE AND WRITE of block %llu, which had changed since "
		     "the compare",
		     path_name(c->path), c->itt, lun, (unsigned long long)block);
	if (c->kind != K_ORW)
		return;
	for (unsigned k = 0; k < DISK_BLOCK; k++)
		if (data[k] != (old[k] | c->out[i * DISK_BLOCK + k]))
			fail("%s itt %x lun %u: ORWRITE of block %llu lost another's bits",
			     path_name(c->path), c->itt, lun, (unsigned long long)block);
}

void oracle_effect(struct unit *u, uint64_t block, const uint8_t *data)
{
	static const uint8_t zeroes[DISK_BLOCK];
	struct cmd *c = u->cmd;

	if (!data)
		data = zeroes;
	check_writer(u, "changes the medium");
	if (c) {
		if (c->dead)
			fail("(b) %s itt %x changes block %llu after %s was answered",
			     path_name(c->path), c->itt, (unsigned long long)block, c->dead_by);
		if (!writes(c) || block < c->lba || block >= c->lba + c->nblocks)
			fail("%s itt %x changes block %llu, which is none of its business",
			     path_name(c->path), c->itt, (unsigned long long)block);
		if (c->kind == K_WRITE &&
		    memcmp(data, c->out + (block - c->lba) * DISK_BLOCK, DISK_BLOCK))
			fail("%s itt %x: block %llu gets data that is not its own",
			     path_name(c->path), c->itt, (unsigned long long)block);
		check_atomic(c, u->lun, block, data);
		c->effects[block - c->lba]++;
	}
	medium_effect(u->lun, block, data, c);
}

/* ---- deaths ---- */

static bool last_death_power;

void oracle_kill(bool power)
{
	last_death_power = power;
}

void oracle_power_block(unsigned lun, uint64_t block, const uint8_t *data)
{
	medium_found(lun, block, data, last_death_power);
}

/* What the new daemon has read must be what was answered last, or a later change that was on its
 * way. */
void oracle_rebooted(void)
{
	for (unsigned i = 0; i < LUNS; i++) {
		const struct lu_value *v = &daemon_state.lus[i]->value->v;
		struct olu *o = &lus[i];
		bool found = !o->n;

		for (int64_t k = o->n - 1; k >= o->answered && !found; k--) {
			struct pr_state *pr = o->v[k].pr;
			struct pr_state *copy = malloc(pr_state_size(pr));

			if (!copy)
				abort();
			memcpy(copy, pr, pr_state_size(pr));
			if (world.standard && last_death_power)
				pr_power_on(copy);
			found = pr_state_size(copy) == pr_state_size(v->pr) &&
				!memcmp(copy, v->pr, pr_state_size(copy));
			free(copy);
		}
		if (!found)
			fail("lun %u: the reservations found at start are none that were answered "
			     "last or were on their way",
			     i);
		value_push(i, v);
		o->answered = o->n - 1;
		memset(o->touched, 0, sizeof(o->touched));
		memset(o->ua, 0, sizeof(o->ua));
	}
}

void oracle_store_fails(unsigned lun)
{
	for (unsigned i = 0; i < LUNS; i++)
		lus[i].failed_stores++;
}

/* ---- start and end ---- */

void oracle_start(unsigned n)
{
	medium_start();
	memset(lus, 0, sizeof(lus));
	for (unsigned i = 0; i < LUNS; i++) {
		lus[i].v = calloc(VALUES, sizeof(struct value));
		if (!lus[i].v)
			abort();
	}
	last_death_power = false;
	nchanges = 0;
	units = NULL;
}

/* Whatever has not ended, and where it is. */
static void say_open(void)
{
	for (unsigned p = 0; p < npaths; p++)
		for (struct cmd *c = path_cmds(paths[p]); c; c = c->next)
			if (!c->over || c->running)
				TRACE("open: %s itt %x lun %u cdb %02x, read at %.3f%s%s, %u units",
				      path_name(c->path), c->itt, c->lun, c->cdb[0],
				      (double)c->consumed / 1e6, c->ordered ? ", ORDERED" : "",
				      c->dead ? ", dead" : "", c->running);
	for (unsigned i = 0; i < daemon_state.nlus; i++)
		for (unsigned k = 0; k < reactor_count(); k++) {
			struct lu_port *p = &daemon_state.lus[i]->ports[k];
			struct lun_gate *g;
			struct task *t;

			cds_list_for_each_entry(g, &p->gates, link) {
				TRACE("lun %u reactor %u: gate of %s %02x port %u: %u tasks, %u "
				      "run%s%s",
				      i, k, g->nexus->nexus.initiator, g->nexus->nexus.isid[5],
				      g->nexus->nexus.tpgt, g->ntasks, g->running,
				      g->closed ? ", closed" : "", g->session ? "" : ", orphan");
				if (g->session)
					cds_list_for_each_entry(t, &g->session->tasks, link)
						if (t->gate == g)
							TRACE("  task %x state %d%s%s%s: out %u of "
							      "%u, asked %u, %u R2Ts",
							      t->itt, t->state,
							      t->pending ? ", pending" : "",
							      t->dead ? ", dead" : "",
							      t->enabled ? "" : ", waits",
							      t->out.got, t->cmd.need_out,
							      t->out.asked, t->out.r2ts);
			}
		}
}

void oracle_end(void)
{
	if (sim_tracing)
		say_open();
	for (unsigned p = 0; p < npaths; p++)
		for (struct cmd *c = path_cmds(paths[p]); c; c = c->next)
			if (!c->over || c->running)
				fail("%s itt %x lun %u kind %d did not end", path_name(paths[p]),
				     c->itt, c->lun, c->kind);
	if (units)
		fail("unit %llu did not end", (unsigned long long)units->id);
}

void oracle_stop(void)
{
	medium_stop();
	for (unsigned i = 0; i < LUNS; i++) {
		for (int64_t k = 0; k < lus[i].n; k++)
			free(lus[i].v[k].pr);
		free(lus[i].v);
		lus[i].v = NULL;
	}
	for (int64_t i = 0; i < nchanges; i++)
		free(changes[i].covers);
	nchanges = 0;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		free(covered[i].v);
		covered[i].v = NULL;
		covered[i].n = 0;
	}
	units = NULL;
}

void oracle_stats(void)
{
	printf("writes %llu, reads %llu, conflicts %llu, aborted under way %llu, changes %llu, "
	       "compare-and-writes %llu, "
	       "unit attentions %llu (%llu to sessions without a gate), writes in flight at "
	       "answers %llu, landed after a death %llu\n",
	       (unsigned long long)seen.writes, (unsigned long long)seen.reads,
	       (unsigned long long)seen.conflicts, (unsigned long long)seen.aborted,
	       (unsigned long long)seen.changes, (unsigned long long)seen.caws,
	       (unsigned long long)seen.uas, (unsigned long long)seen.lost_uas,
	       (unsigned long long)seen.in_flight, (unsigned long long)seen.orphans);
}
