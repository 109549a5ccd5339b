/* SPDX-License-Identifier: Apache-2.0 */
/* From events to entries: a function per kind of event. */
#include "witness/watch.h"

#include <assert.h>
#include <stddef.h>

#include "pr/state.h"
#include "scsi/sense.h"
#include "witness/health.h"
#include "witness/pattern.h"
#include "witness/step.h"

enum {
	TICK_MS = 900,
	DEFENCES_MS = 600000, /* a defence that goes on is told of so often */
	QUIET_MS = 10000,     /* after the last one: told of, too */
	BLIND_MS = 5000,
	MESSAGE_MS = 10000,   /* one message of a node to another, however often */
};

struct witness_time witness_now(const struct witness *w, uint64_t utc_ms, uint64_t mono_ms)
{
	return (struct witness_time){ utc_ms, mono_ms, w->picture.run };
}

void witness_init(struct witness *w)
{
	memset(w, 0, sizeof(*w));
	witness_picture_init(&w->picture);
}

void step_rhythms_forget(struct witness *w, unsigned node)
{
	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++)
		if (w->rhythm[i].node == node)
			w->rhythm[i].used = false;
}

/* A new node; another may have had its place in the picture. */
static void node_begin(struct witness *w, unsigned n)
{
	step_rhythms_forget(w, n);
	repeat_forget(w, n);
}

void step_tell(struct step *s, struct witness_entry *e)
{
	const struct witness_picture *p = &s->w->picture;
	bool known = witness_node_find(p, e->who.initiator) >= 0;
	int n;

	e->at = s->at;
	witness_picture_apply(&s->w->picture, e);
	n = known ? -1 : witness_node_find(p, e->who.initiator);
	if (n >= 0)
		node_begin(s->w, (unsigned)n);
	s->emit(s->arg, e);
}

/* ---- defence --------------------------------------------------------------------------------- */

void step_tell_defences(struct step *s, bool rhythm)
{
	const struct witness_node *n = witness_owner_node(&s->w->picture);
	struct witness_entry e = { .kind = WITNESS_DEFENDED,
				   .count = s->w->untold,
				   .when = s->w->defended,
				   .flag = rhythm };

	if (!s->w->untold || !n)
		return;
	memcpy(e.who.initiator, n->name, sizeof(n->name));
	s->w->untold = 0;
	s->w->told_ms = s->at.mono_ms;
	step_tell(s, &e);
}

static void defend(struct step *s, enum witness_act act, uint64_t off)
{
	const struct witness_owner *o = &s->w->picture.owner;
	const struct witness_rhythm *r =
		witness_rhythm_note(s->w, o->node, act, off, 0, s->ev->mono_ms);
	bool rhythm = witness_rhythm_beats(r, s->at.mono_ms) && r->period_ms <= QUIET_MS;

	/* Looking at the keys is a defence only when it is done as one. */
	if (act == WITNESS_ACT_LOOK && !rhythm)
		return;
	s->w->defended = s->at;
	s->w->untold++;
	if (rhythm > o->renews || s->at.mono_ms - s->w->told_ms >= DEFENCES_MS)
		step_tell_defences(s, rhythm);
}

/* ---- PERSISTENT RESERVE OUT ------------------------------------------------------------------ */

static bool holds(const struct pr_state *st)
{
	return st->type != PR_NONE;
}

static bool holder_is(const struct pr_state *st, const struct nexus *n)
{
	struct nexus h;

	if (!holds(st) || st->holder == PR_NO_HOLDER)
		return false;
	pr_nexus(st, st->holder, &h);
	return nexus_eq(&h, n);
}

static uint8_t how_of(const struct step *s)
{
	return !s->ev->who		      ? WITNESS_ADMIN
	       : s->ev->pr.sa <= WITNESS_MOVE ? s->ev->pr.sa
					      : WITNESS_REGISTER;
}

static void by(const struct step *s, struct witness_entry *e)
{
	if (s->ev->who)
		memcpy(e->other, s->ev->who->initiator, sizeof(e->other));
}

/* A registration is there: new, or with another key. */
static void tell_registered(struct step *s, const struct pr_state *st, unsigned i, uint8_t how)
{
	struct witness_entry e = { .kind = WITNESS_REGISTERED,
				   .how = how,
				   .value = st->regs[i].key };

	pr_nexus(st, i, &e.who);
	step_tell(s, &e);
}

static bool preempts(uint8_t how)
{
	return how == WITNESS_PREEMPT || how == WITNESS_PREEMPT_ABORT;
}

static void tell_gone(struct step *s, const struct nexus *who, uint8_t how)
{
	bool other = s->ev->who && strcmp(s->ev->who->initiator, who->initiator);
	struct witness_entry e = { .how = how,
				   .who = *who,
				   .kind = other && preempts(how) ? WITNESS_REMOVED
								  : WITNESS_UNREGISTERED };

	by(s, &e);
	step_tell(s, &e);
}

static void count_others(void *arg, enum pr_diff what, const struct pr_state *st, unsigned i)
{
	struct step *s = arg;
	struct nexus n;

	pr_nexus(st, i, &n);
	s->others += what == PR_DIFF_GONE &&
		     (!s->ev->who || strcmp(n.initiator, s->ev->who->initiator));
}

static void tell_diff(void *arg, enum pr_diff what, const struct pr_state *st, unsigned i)
{
	struct step *s = arg;
	struct nexus n;

	pr_nexus(st, i, &n);
	if (what == PR_DIFF_GONE)
		tell_gone(s, &n, how_of(s));
	else
		tell_registered(s, st, i, how_of(s));
}

static void tell_owner(struct step *s, const struct pr_state *st, uint8_t how, uint32_t removed)
{
	struct witness_entry e = { .kind = WITNESS_OWNED,
				   .how = how,
				   .type = st->type,
				   .count = removed,
				   .flag = holds(st) && st->holder == PR_NO_HOLDER };

	if (holds(st) && st->holder != PR_NO_HOLDER)
		pr_nexus(st, st->holder, &e.who);
	if (how != WITNESS_FOUND)
		by(s, &e);
	/* What was done as another owner is no rhythm of the new one. */
	for (unsigned i = 0; i < WITNESS_RHYTHMS; i++)
		if (s->w->rhythm[i].act == WITNESS_ACT_DEFEND ||
		    s->w->rhythm[i].act == WITNESS_ACT_LOOK)
			s->w->rhythm[i].used = false;
	s->w->defended = (struct witness_time){ 0 };
	s->w->told_ms = s->at.mono_ms;
	step_tell(s, &e);
	/* The first beat: from here it goes on. */
	if (witness_owner_node(&s->w->picture) && how != WITNESS_FOUND)
		witness_rhythm_note(s->w, s->w->picture.owner.node, WITNESS_ACT_DEFEND, 0, 0,
				    s->at.mono_ms);
}

/* Someone who is not the owner asked for what the owner has, and did not get it. */
static void step_conflict(struct step *s)
{
	const struct witness_picture *p = &s->w->picture;
	const struct witness_node *owner = witness_owner_node(p);

	if (s->ev->pr.status != SAM_RESERVATION_CONFLICT || !s->ev->who || !owner ||
	    !strcmp(owner->name, s->ev->who->initiator) ||
	    (s->ev->pr.sa != WITNESS_RESERVE && !preempts(s->ev->pr.sa)))
		return;
	repeat_challenge(s);
}

static void step_pr(struct step *s)
{
	const struct pr_state *a = s->ev->pr.before, *b = s->ev->pr.after;
	bool same = pr_same_reservation(a, b), own = s->ev->who && holder_is(a, s->ev->who);

	if (s->ev->pr.status != SAM_GOOD) {
		step_conflict(s);
		return;
	}
	/*
	 * SPC-4 5.13.9: a holder's RESERVE of what it holds is GOOD and changes nothing. It also
	 * takes the keys of challengers away; aborting their commands, too, is fencing.
	 */
	if (same && own && (s->ev->pr.sa == WITNESS_RESERVE || s->ev->pr.sa == WITNESS_PREEMPT))
		defend(s, WITNESS_ACT_DEFEND, 0);
	if (a == b)
		return;
	if (!same || b->nregs < a->nregs)
		step_tell_defences(s, false);
	if (!same) {
		repeat_challenges(s);
		pr_diff(a, b, count_others, s);
		tell_owner(s, b, how_of(s), s->others);
	}
	pr_diff(a, b, tell_diff, s);
}

/* ---- the start ------------------------------------------------------------------------------- */

/* The registrations of the picture that are not stored (any more). */
static void found_gone(struct step *s, const struct pr_state *st)
{
	for (unsigned i = 0; i < WITNESS_NODES; i++)
		for (unsigned k = 0; k < WITNESS_PATHS; k++) {
			const struct witness_node *n = &s->w->picture.node[i];
			const struct witness_path *a = &n->path[k];
			struct witness_entry e = { .kind = WITNESS_UNREGISTERED,
						   .how = WITNESS_FOUND };

			if (!n->name[0] || !a->key)
				continue;
			memcpy(e.who.initiator, n->name, sizeof(n->name));
			memcpy(e.who.isid, a->isid, sizeof(a->isid));
			e.who.tpgt = a->tpgt;
			if (!pr_registered(st, &e.who))
				step_tell(s, &e);
		}
}

static bool owner_known(const struct witness_picture *p, const struct pr_state *st)
{
	const struct witness_node *n = witness_owner_node(p);
	struct nexus h;

	if (!holds(st))
		return p->owner.node == WITNESS_NOBODY;
	if (st->holder == PR_NO_HOLDER)
		return p->owner.node == WITNESS_EVERYBODY && p->owner.type == st->type;
	pr_nexus(st, st->holder, &h);
	return n && !strcmp(n->name, h.initiator) && p->owner.type == st->type &&
	       p->owner.tpgt == h.tpgt && !memcmp(p->owner.isid, h.isid, sizeof(h.isid));
}

/* The journal may miss what happened last, or be another disk's: what is stored counts. */
static void step_start(struct step *s)
{
	const struct pr_state *st = s->ev->pr.after;
	struct witness_entry e = { .kind = WITNESS_STARTED };

	s->at.run = s->w->picture.run + 1 ? s->w->picture.run + 1 : 1;
	memset((char *)s->w + offsetof(struct witness, started), 0,
	       sizeof(*s->w) - offsetof(struct witness, started));
	s->w->started = s->at;
	s->w->latest_ms = s->at.mono_ms;
	s->w->pace.since_ms = s->w->ticked_ms = s->w->told_ms = s->at.mono_ms;
	step_tell(s, &e);
	if (!st)
		return;
	if (!owner_known(&s->w->picture, st))
		tell_owner(s, st, WITNESS_FOUND, 0);
	found_gone(s, st);
	for (unsigned i = 0; i < st->nregs; i++) {
		const struct witness_path *a;
		struct nexus n;
		int k;

		pr_nexus(st, i, &n);
		k = witness_node_find(&s->w->picture, n.initiator);
		a = k < 0 ? NULL : witness_path_find(&s->w->picture.node[k], &n);
		if (!a || a->key != st->regs[i].key)
			tell_registered(s, st, i, WITNESS_FOUND);
	}
}

/* ---- I/O ------------------------------------------------------------------------------------- */

/*
 * A write of a node to where another looks for its messages. That one only reads there, but for
 * taking a message away; so one is told once, however often it is written within a short time.
 */
static void check_message(struct step *s, unsigned from)
{
	for (unsigned i = 0; s->ev->io.write && i < WITNESS_NODES; i++) {
		const struct witness_node *n = &s->w->picture.node[i];
		struct witness_entry e = { .kind = WITNESS_MESSAGE, .how = n->beat_as };
		int64_t since = witness_time_between(&n->mailed, &s->at);

		if (i == from || !n->name[0] || n->beat != WITNESS_BEATS_ON ||
		    n->beat_as != WITNESS_SBD || s->ev->io.off != n->beat_off ||
		    (since >= 0 && since < MESSAGE_MS &&
		     !strcmp(n->mailer, s->ev->who->initiator)))
			continue;
		memcpy(e.who.initiator, s->ev->who->initiator, sizeof(e.who.initiator));
		memcpy(e.other, n->name, sizeof(e.other));
		step_tell(s, &e);
	}
}

static void step_io(struct step *s)
{
	int i = witness_node_find(&s->w->picture, s->ev->who->initiator);

	if (i < 0)
		return;
	check_message(s, (unsigned)i);
	witness_rhythm_note(s->w, (unsigned)i,
			    s->ev->io.write ? WITNESS_ACT_WRITE : WITNESS_ACT_READ, s->ev->io.off,
			    s->ev->io.len, s->ev->mono_ms);
}

/* fence_scsi and fence_mpath look whether all is well: theirs is a reservation nobody defends. */
static bool fence_at_work(const struct step *s)
{
	return witness_recognise(s->w, WITNESS_FENCE_SCSI, s->at.mono_ms) == WITNESS_SURE ||
	       witness_recognise(s->w, WITNESS_FENCE_MPATH, s->at.mono_ms) == WITNESS_SURE;
}

static void step_look(struct step *s)
{
	const struct witness_node *n = witness_owner_node(&s->w->picture);

	if (n && !strcmp(n->name, s->ev->who->initiator) && !fence_at_work(s))
		defend(s, WITNESS_ACT_LOOK, s->ev->pr.sa);
}

/* ---- as time goes by ------------------------------------------------------------------------- */

/* What was not seen lately may have been there. */
static bool blind(const struct step *s, unsigned node)
{
	uint64_t at = s->w->blind_ms[node];

	return at && s->at.mono_ms - at < BLIND_MS;
}

static void check_beat(struct step *s, unsigned i)
{
	const struct witness_node *n = &s->w->picture.node[i];
	struct witness_entry e = { .kind = WITNESS_BEAT };
	enum witness_software as;
	uint64_t off = 0, last;
	bool beats = witness_heartbeat(s->w, i, s->at.mono_ms, &as, &off);

	memcpy(e.who.initiator, n->name, sizeof(n->name));
	if (beats && (n->beat != WITNESS_BEATS_ON || n->beat_as != as || n->beat_off != off)) {
		e.flag = true;
		e.how = (uint8_t)as;
		e.value = off;
		step_tell(s, &e);
	} else if (!beats && n->beat == WITNESS_BEATS_ON && !blind(s, i) &&
		   !witness_heartbeat_on(s->w, i, s->at.mono_ms, &last)) {
		if (last && last <= s->at.mono_ms && s->at.mono_ms - last <= s->at.utc_ms)
			e.when = (struct witness_time){ s->at.utc_ms - (s->at.mono_ms - last), last,
							s->at.run };
		e.how = n->beat_as;
		e.value = n->beat_off;
		step_tell(s, &e);
	}
}

static void tell_software(struct step *s, unsigned which, enum witness_confidence c)
{
	struct witness_entry e = { .kind = WITNESS_SOFTWARE,
				   .how = (uint8_t)which,
				   .type = (uint8_t)c };

	step_tell(s, &e);
}

/* Verdicts grow. One that is sure about reservations ends the others about them. */
static void check_software(struct step *s)
{
	const struct witness_verdict *v = s->w->picture.software;

	for (unsigned i = 0; i < WITNESS_SOFTWARES; i++) {
		enum witness_confidence c =
			witness_recognise(s->w, (enum witness_software)i, s->at.mono_ms);

		if (c <= v[i].confidence)
			continue;
		tell_software(s, i, c);
		for (unsigned k = 0; c == WITNESS_SURE && k <= WITNESS_FENCE_MPATH; k++)
			if (k != i && i <= WITNESS_FENCE_MPATH && v[k].confidence)
				tell_software(s, k, WITNESS_UNKNOWN);
	}
}

static void check_health(struct step *s)
{
	uint32_t now = witness_health(s->w, &s->at), was = s->w->picture.warnings;

	for (unsigned i = 0; i < WITNESS_WARNINGS; i++) {
		struct witness_entry e = { .kind = WITNESS_WARNING,
					   .how = (uint8_t)i,
					   .flag = now >> i & 1 };

		if ((now ^ was) >> i & 1)
			step_tell(s, &e);
	}
}

static void step_tick(struct step *s)
{
	struct witness *w = s->w;

	w->ticked_ms = s->at.mono_ms;
	if (w->untold && s->at.mono_ms - w->defended.mono_ms >= QUIET_MS)
		step_tell_defences(s, false);
	for (unsigned i = 0; i < WITNESS_NODES; i++)
		if (w->picture.node[i].name[0])
			check_beat(s, i);
	repeat_tick(s);
	check_software(s);
	witness_pace_step(&w->pace, s->at.mono_ms);
	check_health(s);
}

static void step_latency(struct step *s)
{
	witness_pace_note(&s->w->pace, s->ev->latency.n, s->ev->latency.sum_us,
			  s->ev->latency.max_us);
}

static void step_space(struct step *s)
{
	enum witness_space i = s->ev->space.which;

	assert(i < WITNESS_SPACES);
	s->w->space[i].known = true;
	s->w->space[i].free = s->ev->space.free;
	s->w->space[i].size = s->ev->space.size;
}

static void step_journal(struct step *s)
{
	s->w->journal_lost = s->ev->journal.lost;
}

static void step_blind(struct step *s)
{
	int k = s->ev->who ? witness_node_find(&s->w->picture, s->ev->who->initiator) : -1;

	for (int i = 0; i < WITNESS_NODES; i++)
		if (i == k || !s->ev->who)
			s->w->blind_ms[i] = s->at.mono_ms;
}

static void step_stop(struct step *s)
{
	step_tell_defences(s, false);
	repeat_challenges(s);
}

void witness_step(struct witness *w, const struct witness_event *ev, witness_emit_fn *emit,
		  void *arg)
{
	static void (*const fns[])(struct step * s) = {
		[WITNESS_EV_START] = step_start,     [WITNESS_EV_LOGIN] = repeat_login,
		[WITNESS_EV_LOGOUT] = repeat_logout, [WITNESS_EV_PR] = step_pr,
		[WITNESS_EV_LOOK] = step_look,	     [WITNESS_EV_IO] = step_io,
		[WITNESS_EV_LATENCY] = step_latency, [WITNESS_EV_SPACE] = step_space,
		[WITNESS_EV_JOURNAL] = step_journal, [WITNESS_EV_BLIND] = step_blind,
		[WITNESS_EV_TICK] = step_tick,	     [WITNESS_EV_STOP] = step_stop,
	};
	struct step s = { .w = w,
			  .ev = ev,
			  .emit = emit,
			  .arg = arg,
			  .at = witness_now(w, ev->utc_ms, ev->mono_ms) };

	/* Samples of I/O come a little later than what else happened. */
	if (ev->kind != WITNESS_EV_START && s.at.mono_ms < w->latest_ms)
		s.at.mono_ms = w->latest_ms;
	w->latest_ms = s.at.mono_ms;
	assert((unsigned)ev->kind < sizeof(fns) / sizeof(fns[0]));
	assert(ev->kind == WITNESS_EV_START || witness_time_is(&w->started));
	fns[ev->kind](&s);
	if (ev->kind != WITNESS_EV_TICK && ev->kind != WITNESS_EV_START &&
	    s.at.mono_ms - w->ticked_ms >= TICK_MS)
		step_tick(&s);
}
