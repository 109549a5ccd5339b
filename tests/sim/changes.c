/* SPDX-License-Identifier: Apache-2.0 */
/* The LUs' values in the order home makes them, what each change promised, and unit attentions. */
#include "tests/sim/oracle.h"

/* ---- values ---- */

void value_push(unsigned lun, const struct lu_value *v)
{
	struct olu *o = &orc.lus[lun];
	struct value *n = &o->v[o->n++];
	size_t size = pr_state_size(v->pr);

	if (o->n >= VALUES)
		fail("the world is too long");
	*n = (struct value){ .epoch = v->epoch, .boot = sim_boot, .pr = malloc(size) };
	if (!n->pr)
		abort();
	memcpy(n->pr, v->pr, size);
	n->wce = v->modes.wce;
	for (unsigned p = 0; p < npaths; p++) {
		uint32_t a = lu_access(v, path_nexus(paths[p]));

		n->readers |= (a >> PRC_READ & 1) << p;
		n->writers |= (a >> PRC_WRITE & 1) << p;
	}
}

/* Whether p has (want) or lacks access under some value from `since` on. */
bool access_since(unsigned lun, int64_t since, unsigned p, bool write, bool want)
{
	for (int64_t i = orc.lus[lun].n - 1; i >= since; i--) {
		const struct value *v = &orc.lus[lun].v[i];

		if (!v->never && ((write ? v->writers : v->readers) >> p & 1) == want)
			return true;
	}
	return false;
}

uint64_t oracle_answered(unsigned lun)
{
	return (uint64_t)orc.lus[lun].answered;
}

/* The promise, (a): under the value answered last, or a later one. */
void check_writer(const struct unit *u, const char *when)
{
	if (!io_changes_medium((enum io_op)u->op) || !u->path)
		return;
	if (!access_since(u->lun, u->orphan ? orc.lus[u->lun].told : orc.lus[u->lun].answered,
			  path_no(u->path), true, true))
		fail("(a) %s: unit %llu of %s itt %x on lun %u, which may not write since value "
		     "%lld",
		     when, (unsigned long long)u->id, path_name(u->path), u->cmd ? u->cmd->itt : 0,
		     u->lun, (long long)orc.lus[u->lun].answered);
}

/* ---- changes ---- */

static struct change *change_new(void)
{
	if (orc.nchanges == orc.room) {
		orc.room = orc.room ? 2 * orc.room : 256;
		orc.changes = realloc(orc.changes, (size_t)orc.room * sizeof(*orc.changes));
		if (!orc.changes)
			abort();
	}
	orc.changes[orc.nchanges] = (struct change){ 0 };
	return &orc.changes[orc.nchanges++];
}

static void ua_order(struct change *ch, unsigned p, enum ua ua)
{
	struct attention *a = &orc.lus[ch->lun].ua[p][ua];

	ch->ua_to[p] |= 1u << ua;
	ch->gate_of[p] = orc.lus[ch->lun].touched[p];
	a->due++;
	a->last = ch - orc.changes;
	/* What a connection given up still brings may be told it, and nobody hears. */
	a->reported = path_ghost(paths[p]);
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
	for (int64_t i = orc.nchanges - 1; i >= 0; i--)
		if (orc.changes[i].lun == lun) {
			own_silent(&orc.changes[i]);
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
	struct olu *o = &orc.lus[lun];

	for (int64_t i = o->n - 1; i >= 0 && o->v[i].boot == sim_boot && o->v[i].epoch != epoch;
	     i--)
		o->v[i].never = true;
}

/* The value in force, as far as home knows. */
static int64_t value_last(unsigned lun)
{
	int64_t i = orc.lus[lun].n - 1;

	while (orc.lus[lun].v[i].never)
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

	ahead_work(lun);
	values_settle(lun, old->epoch);
	last_settled(lun);
	lu_change(old, rq, next, fx);
	ch = change_new();
	ch->lun = lun;
	ch->kind = rq->kind;
	ch->rq = rq;
	ch->boot = sim_boot;
	ch->path = p >= 0 ? paths[p] : NULL;
	if (rq->kind == LU_CHANGE_CMD) {
		const struct lu_change *c = caa_container_of(rq, struct lu_change, rq);
		const struct task *t = caa_container_of(c, struct task, change);

		ch->cmd = oracle_cmd(ch->path, t->itt);
		ch->cmd->change = ch - orc.changes;
	}
	ch->status = fx->status;
	ch->changed = fx->changed;
	ch->aborts = fx->abort_all || fx->nabort;
	if (fx->changed) {
		struct lu_value v = *next;

		v.epoch = old->epoch + 1;
		value_push(lun, &v);
		orc.seen.changes++;
	}
	ch->value = value_last(lun);
	ua_orders(ch, old, next, fx);
	if (ch->aborts)
		change_covers(ch, fx);
	TRACE("change %lld of lun %u by %s: kind %d cdb %02x/%02x status %02x%s, value %lld "
	      "writers %x, aborts %u",
	      (long long)(ch - orc.changes), lun, ch->path ? path_name(ch->path) : "-", rq->kind,
	      rq->cdb[0], rq->cdb[1], fx->status, fx->changed ? " changed" : "",
	      (long long)ch->value, orc.lus[lun].v[ch->value].writers, ch->ncovers);
}

bool kept_for_later(enum ua ua)
{
	return ua >= UA_RESERVATIONS_PREEMPTED && ua <= UA_REGISTRATIONS_PREEMPTED;
}

static void ua_answered(struct change *ch)
{
	for (unsigned p = 0; p < npaths; p++)
		for (unsigned ua = 0; ua < UA_COUNT; ua++) {
			struct attention *a = &orc.lus[ch->lun].ua[p][ua];

			if (!(ch->ua_to[p] >> ua & 1) || a->last != ch - orc.changes || a->reported)
				continue;
			/*
			 * About reservations every registrant hears, sooner or later; about resets
			 * and the like who was there.
			 */
			if (kept_for_later((enum ua)ua) ||
			    (ch->gate_of[p] && orc.lus[ch->lun].touched[p] == ch->gate_of[p])) {
				a->must = true;
				a->since = sim_now;
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
		if (at_least >= 0 && orc.lus[lun].v[at_least].boot == sim_boot &&
		    p->value->v.epoch < orc.lus[lun].v[at_least].epoch)
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

void change_answered(struct change *ch)
{
	struct olu *o = &orc.lus[ch->lun];

	ch->answered = true;
	ch->answered_at = sim_now;
	if (ch->value > o->answered) {
		o->answered = o->told = ch->value;
		for (struct unit *u = orc.units; u; u = u->next)
			if (u->lun == ch->lun) {
				check_writer(u, "in the backend when a change was answered");
				if (ch->aborts && u->orphan)
					fail("(c) a reset of lun %u was answered, and a dead "
					     "daemon's unit %llu is under way",
					     ch->lun, (unsigned long long)u->id);
				orc.seen.in_flight += io_changes_medium((enum io_op)u->op);
			}
	}
	check_gates(ch->lun, ch->value);
	own_silent(ch);
	for (unsigned i = 0; i < ch->ncovers; i++)
		cover(ch->covers[i], ch->cmd ? ch->path : NULL,
		      ch->kind == LU_CHANGE_CMD ? "PREEMPT AND ABORT" : "a reset");
	ua_answered(ch);
}

/* ---- unit attentions ---- */

unsigned ua_coming(unsigned lun, unsigned p, enum ua ua, uint64_t since)
{
	unsigned n = 0;

	for (int64_t i = orc.nchanges - 1; i >= 0 && i > orc.nchanges - 64; i--) {
		const struct change *ch = &orc.changes[i];

		n += ch->lun == lun && ch->boot == sim_boot &&
		     (!ch->answered || ch->answered_at >= since) && ch->ua_to[p] >> ua & 1;
	}
	return n;
}

static void ua_reported(struct cmd *c)
{
	unsigned p = path_no(c->path);

	for (unsigned ua = 0; ua < UA_COUNT; ua++) {
		struct attention *a = &orc.lus[c->lun].ua[p][ua];

		if (ua_sense_code((enum ua)ua) != c->sense)
			continue;
		if (!a->due)
			fail("%s itt %x lun %u: unit attention %06x that nobody ordered, or a "
			     "second time",
			     path_name(c->path), c->itt, c->lun, c->sense);
		orc.seen.uas++;
		/* Orders not answered when it came in may have reached this port after it. */
		a->due = ua_coming(c->lun, p, (enum ua)ua, c->consumed);
		a->must = false;
		a->reported = true;
		return;
	}
	fail("%s itt %x: unknown unit attention %06x", path_name(c->path), c->itt, c->sense);
}

void check_attention(struct cmd *c)
{
	unsigned p = path_no(c->path);

	if (c->status == SAM_CHECK && c->sense >> 16 == SK_UNIT_ATTENTION) {
		ua_reported(c);
		return;
	}
	if (c->status != 0 && c->status != SAM_CONFLICT)
		return;
	for (unsigned ua = 0; ua < UA_COUNT; ua++) {
		struct attention *a = &orc.lus[c->lun].ua[p][ua];

		if (a->must && c->sent > a->since)
			fail("%s itt %x lun %u: unit attention %06x was due", path_name(c->path),
			     c->itt, c->lun, ua_sense_code((enum ua)ua));
	}
}
