/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold, checked at every step that can break it. The oracle follows each LU's values in
 * the order in which home makes them, each command from its first byte to its answer, and each unit
 * of I/O from hand-over to its effect and its end.
 */
#include "tests/sim/oracle.h"

struct oracle orc;

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
	c->answered_at_send = (uint64_t)orc.lus[c->lun].answered;
	c->boot = sim_boot;
	c->change = -1;
}

void cmd_over(struct cmd *c)
{
	if (c->over)
		return;
	c->over = true;
	c->ended = sim_now;
	path_cmd_over(c->path, c->lun);
}

/* From now on c has no effect any more. Who aborts his own commands gets no answer to them. */
void cover(struct cmd *c, const struct path *by, const char *why)
{
	if (c->path == by)
		cmd_over(c);
	if (c->dead)
		return;
	c->dead = true;
	c->dead_by = why;
	if (c->over && !c->running)
		return;
	orc.seen.aborted++;
	for (struct unit *u = orc.units; u; u = u->next)
		if (u->cmd == c && io_changes_medium((enum io_op)u->op))
			fail("(b) %s was answered, and unit %llu of %s itt %x is still under way",
			     why, (unsigned long long)u->id, path_name(c->path), c->itt);
}

static bool in_task_set(const struct cmd *c, unsigned lun)
{
	return c->lun == lun && c->consumed && (!c->over || c->running);
}

void collect(struct cmd ***v, unsigned *n, struct path *p, unsigned lun, const struct cmd *but)
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

/* ---- answers ---- */

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
	orc.seen.reads++;
	if (c->fua) {
		medium_read_durable(c);
		orc.seen.fua_reads++;
	}
}

/* Whether the write cache was on under some value since then. */
static bool cached_since(unsigned lun, int64_t since)
{
	for (int64_t i = orc.lus[lun].n - 1; i >= since; i--)
		if (orc.lus[lun].v[i].wce && !orc.lus[lun].v[i].never)
			return true;
	return false;
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
	orc.seen.writes++;
	orc.seen.caws += c->kind == K_CAW;
	if (c->fua || !cached_since(c->lun, (int64_t)c->answered_at_send))
		medium_durable(c);
}

static void check_pr_in(const struct cmd *c)
{
	struct olu *o = &orc.lus[c->lun];

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

/* MODE SELECT that turned the write cache off: all that was in it is durable now. */
static bool turned_off(const struct cmd *c)
{
	const struct change *ch = &orc.changes[c->change];

	return ch->changed && ch->value > 0 && !orc.lus[c->lun].v[ch->value].wce &&
	       orc.lus[c->lun].v[ch->value - 1].wce;
}

static void check_good(struct cmd *c)
{
	unsigned p = path_no(c->path);
	const struct olu *o = &orc.lus[c->lun];

	/* A failed flush is never forgotten. */
	if (o->flush_failed_boot == sim_boot && c->boot == sim_boot && c->sent > o->flush_failed &&
	    (c->kind == K_SYNC || c->fua))
		fail("%s itt %x lun %u: durable, after a flush failed", path_name(c->path), c->itt,
		     c->lun);

	if (c->kind == K_READ || writes(c)) {
		if (!access_since(c->lun, (int64_t)c->answered_at_send, p, c->kind != K_READ, true))
			fail("%s itt %x lun %u: GOOD without access", path_name(c->path), c->itt,
			     c->lun);
	}
	if (c->kind == K_READ)
		check_read(c);
	else if (writes(c))
		check_write(c);
	else if (c->kind == K_SYNC || (c->kind == K_MODE && turned_off(c)))
		medium_flushed(c);
	else if (c->kind == K_PR_IN)
		check_pr_in(c);
}

static void check_change(struct cmd *c)
{
	struct change *ch = &orc.changes[c->change];

	if (c->kind == K_MODE && c->sense == 0x030c00 && ch->status == 0 &&
	    orc.lus[c->lun].flush_failed_boot == sim_boot) {
		/* The write cache is off, but what was in it could not be flushed. */
		change_answered(ch);
		return;
	}
	if (ch->store_failed && c->status == SAM_CHECK && c->sense == 0x044400) {
		/* It could not be stored, or stood behind one that could not. */
		if (ch->changed)
			orc.lus[c->lun].v[ch->value].never = true;
		ch->answered = true;
		return;
	}
	if (c->status == SAM_ABORTED)
		return;
	if (c->status != ch->status)
		fail("%s itt %x: status %02x, home said %02x", path_name(c->path), c->itt,
		     c->status, ch->status);
	change_answered(ch);
}

/* A store that stands still stalls its own LU and no other, also within one session. */
static void check_isolation(const struct cmd *c)
{
	if (!world.isolation || c->lun == world.stalled_lun || c->starve || !c->consumed)
		return;
	if (c->consumed >= world.stalled_from && c->consumed < world.stalled_to &&
	    sim_now - c->consumed > SEC)
		fail("%s itt %x lun %u took %llu ms while lun %u stood still", path_name(c->path),
		     c->itt, c->lun, (unsigned long long)((sim_now - c->consumed) / MS),
		     world.stalled_lun);
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
	orc.lus[c->lun].touched[p] = c->session;
	if (c->change >= 0)
		check_change(c);
	if (c->status == 0)
		check_good(c);
	else if (c->status == SAM_CONFLICT && (c->kind == K_READ || writes(c))) {
		orc.seen.conflicts++;
		if (!access_since(c->lun, (int64_t)c->answered_at_send, p, c->kind != K_READ,
				  false))
			fail("%s itt %x lun %u: a conflict with nobody", path_name(c->path), c->itt,
			     c->lun);
	}
	check_isolation(c);
	if (c->kind == K_PR_OUT && sim_now - c->consumed > 10 * SEC)
		fail("%s itt %x: PR OUT took %llu ms", path_name(c->path), c->itt,
		     (unsigned long long)((sim_now - c->consumed) / MS));
}

void oracle_session_lost(struct path *p)
{
	unsigned open[LUNS] = { 0 };

	for (struct cmd *c = path_cmds(p); c; c = c->next)
		if (!c->over) {
			open[c->lun]++;
			c->lost = true;
			cmd_over(c);
		}
	for (unsigned i = 0; i < LUNS; i++) {
		for (unsigned ua = 0; ua < UA_COUNT; ua++) {
			struct attention *a = &orc.lus[i].ua[path_no(p)][ua];

			if (!kept_for_later((enum ua)ua)) {
				/* A change on its way comes into force in the next session. */
				a->must = false;
				a->due = ua_coming(i, path_no(p), (enum ua)ua, sim_now);
			} else if (open[i]) {
				/* An answer that is lost may have told it. */
				a->must = false;
				a->reported = true;
			}
		}
		orc.lus[i].touched[path_no(p)] = 0;
	}
	orc.covered[path_no(p)].n = 0;
}

/* ---- task management ---- */

/* What task management of one's own session covers is what stood before them. One at a time per
 * path. */
void oracle_tmf_consumed(struct path *p, unsigned lun, bool all, struct cmd *only)
{
	unsigned i = path_no(p);

	orc.covered[i].n = 0;
	if (!only) {
		for (unsigned l = 0; l < LUNS; l++)
			if (l == lun || all)
				collect(&orc.covered[i].v, &orc.covered[i].n, p, l, NULL);
		/* An orphan of an older session is not of this task set. */
		for (unsigned k = 0; k < orc.covered[i].n;)
			if (orc.covered[i].v[k]->session != path_session(p))
				orc.covered[i].v[k] = orc.covered[i].v[--orc.covered[i].n];
			else
				k++;
		return;
	}
	if (!in_task_set(only, only->lun) || only->over)
		return;
	orc.covered[i].v = realloc(orc.covered[i].v, sizeof(struct cmd *));
	if (!orc.covered[i].v)
		abort();
	orc.covered[i].v[orc.covered[i].n++] = only;
}

void oracle_tmf_answer(struct path *p, uint8_t function, unsigned lun, uint8_t response)
{
	unsigned n = path_no(p);

	TRACE("%s: task management %u on lun %u answered: %u", path_name(p), function, lun,
	      response);
	if (response != TMF_RSP_COMPLETE)
		return;
	for (unsigned i = 0; i < orc.covered[n].n; i++)
		cover(orc.covered[n].v[i], p,
		      function == TMF_ABORT_TASK ? "its ABORT TASK"
		      : function >= TMF_LU_RESET ? "its own reset"
						 : "its task set's abort");
	orc.covered[n].n = 0;
	if (function < TMF_LU_RESET)
		return;
	for (int64_t i = orc.nchanges - 1; i >= 0; i--) {
		struct change *ch = &orc.changes[i];

		if (ch->path != p || ch->answered || ch->boot != sim_boot ||
		    ch->kind == LU_CHANGE_CMD || ch->kind == LU_CHANGE_NEXUS_LOST)
			continue;
		if (function != TMF_LU_RESET || ch->lun == lun)
			change_answered(ch);
	}
}

/* ---- units ---- */

/* SAM-5 8.6, within one session: what ORDERED and HEAD OF QUEUE keep apart is never mixed. */
static void check_order(const struct cmd *c)
{
	for (const struct cmd *d = path_cmds(c->path); d && d->session == c->session; d = d->next) {
		bool later = (int32_t)(d->cmdsn - c->cmdsn) > 0;

		if (d == c || d->lun != c->lun || d->immediate || c->immediate ||
		    c->attr == ATTR_HEAD_OF_QUEUE || d->attr == ATTR_HEAD_OF_QUEUE)
			continue;
		if (c->attr != ATTR_ORDERED && d->attr != ATTR_ORDERED)
			continue;
		if (later ? d->begun : d->running)
			fail("%s itt %x lun %u (attribute %u) runs with itt %x (attribute %u)",
			     path_name(c->path), c->itt, c->lun, c->attr, d->itt, d->attr);
	}
}

void oracle_submit(struct unit *u)
{
	check_writer(u, "handed to the backend");
	ahead_work(u->lun);
	if (u->cmd)
		check_order(u->cmd);
	for (struct unit *v = orc.units; v; v = v->next) {
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
		u->cmd->begun = true;
	}
	u->next = orc.units;
	orc.units = u;
}

void oracle_unit_end(struct unit *u)
{
	struct unit **at = &orc.units;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	if (u->cmd)
		u->cmd->running--;
	if (u->cmd && world.crowded)
		ahead_go(u->cmd);
	orc.seen.orphans += u->orphan;
	if (u->op == IO_FLUSH && u->result && orc.lus[u->lun].flush_failed_boot != sim_boot) {
		orc.lus[u->lun].flush_failed = sim_now;
		orc.lus[u->lun].flush_failed_boot = sim_boot;
	}
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
		struct olu *o = &orc.lus[i];
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

static void store_fails(const struct lu_request *rq)
{
	for (int64_t i = orc.nchanges - 1; i >= 0; i--)
		if (orc.changes[i].rq == rq) {
			orc.changes[i].store_failed = true;
			return;
		}
}

/* A write of some LU's store fails: whatever is on its way to one may be refused. */
void oracle_store_fails(void)
{
	for (unsigned i = 0; i < daemon_state.nlus; i++) {
		const struct lu *lu = daemon_state.lus[i];
		const struct lu_change *c;
		unsigned n = 0;

		cds_list_for_each_entry(c, &lu->changes, link)
			if (n++ < lu->batch)
				store_fails(&c->rq);
	}
}

/* ---- start and end ---- */

void oracle_start(unsigned n)
{
	medium_start();
	memset(orc.lus, 0, sizeof(orc.lus));
	for (unsigned i = 0; i < LUNS; i++) {
		orc.lus[i].v = calloc(VALUES, sizeof(struct value));
		if (!orc.lus[i].v)
			abort();
	}
	last_death_power = false;
	orc.nchanges = 0;
	orc.units = NULL;
}

/* Whatever has not ended, and where it is. */
static void say_open(void)
{
	for (unsigned p = 0; p < npaths; p++)
		for (struct cmd *c = path_cmds(paths[p]); c; c = c->next)
			if (!c->over || c->running)
				TRACE("open: %s itt %x lun %u cdb %02x, read at %.3f%s%s, %u units",
				      path_name(c->path), c->itt, c->lun, c->cdb[0],
				      (double)c->consumed / 1e6,
				      c->attr == ATTR_ORDERED ? ", ORDERED" : "",
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

bool oracle_busy(void)
{
	return orc.units != NULL;
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
	if (orc.units)
		fail("unit %llu did not end", (unsigned long long)orc.units->id);
}

void oracle_stop(void)
{
	medium_stop();
	for (unsigned i = 0; i < LUNS; i++) {
		for (int64_t k = 0; k < orc.lus[i].n; k++)
			free(orc.lus[i].v[k].pr);
		free(orc.lus[i].v);
		orc.lus[i].v = NULL;
	}
	for (int64_t i = 0; i < orc.nchanges; i++)
		free(orc.changes[i].covers);
	orc.nchanges = 0;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		free(orc.covered[i].v);
		orc.covered[i].v = NULL;
		orc.covered[i].n = 0;
	}
	orc.units = NULL;
}

void oracle_stats(void)
{
	printf("writes %llu, reads %llu (with FUA %llu), conflicts %llu, "
	       "aborted under way %llu, changes %llu, compare-and-writes %llu, "
	       "unit attentions %llu, writes in flight at "
	       "answers %llu, landed after a death %llu\n",
	       (unsigned long long)orc.seen.writes, (unsigned long long)orc.seen.reads,
	       (unsigned long long)orc.seen.fua_reads,
	       (unsigned long long)orc.seen.conflicts, (unsigned long long)orc.seen.aborted,
	       (unsigned long long)orc.seen.changes, (unsigned long long)orc.seen.caws,
	       (unsigned long long)orc.seen.uas, (unsigned long long)orc.seen.in_flight,
	       (unsigned long long)orc.seen.orphans);
}
