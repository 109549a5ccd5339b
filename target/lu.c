/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The home of a LU: changes one at a time, persisted, published, acknowledged, answered; and holds.
 */
#include <assert.h>
#include <stdlib.h>

#include "pr/state.h"
#include "target/history.h"
#include "target/log.h"
#include "target/lu.h"
#include "target/mutate.h"
#include "target/port.h"
#include "target/store.h"
#include "target/witness.h"

enum {
	CHANGES_TOGETHER = 64,	/* each copies the value: bounds a turn of the reactor */
	RESETS_UNREADY = 64,	/* that wait for the store's lock */
};

static uint64_t event_seq = 1;

uint64_t event_seq_next(void)
{
	return __atomic_add_fetch(&event_seq, 1, __ATOMIC_SEQ_CST);
}

uint64_t event_seq_now(void)
{
	return __atomic_load_n(&event_seq, __ATOMIC_SEQ_CST);
}

struct lu_ref *lu_ref_get(struct lu_ref *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void lu_ref_put(struct lu_ref *r)
{
	if (r && __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(r);
}

/* A published copy of v, its PR value behind it. */
static struct lu_ref *lu_ref_new(const struct lu_value *v)
{
	size_t prlen = pr_state_size(v->pr);
	struct lu_ref *r = malloc(sizeof(*r) + prlen);

	if (!r)
		return NULL;
	r->refs = 1;
	r->v = *v;
	memcpy(r + 1, v->pr, prlen);
	r->v.pr = (const struct pr_state *)(r + 1);
	return r;
}

struct lu *lu_new(const struct lu_ident *id, const struct scsi_target *target, struct backend *be,
		  struct store *store, const struct lu_value *first, struct reactor *home)
{
	struct lu *lu = calloc(1, sizeof(*lu));
	struct lu_value v = *first;

	if (!lu)
		return NULL;
	lu->id = *id;
	lu->target = target;
	lu->be = be;
	lu->store = store;
	lu->home = home;
	CDS_INIT_LIST_HEAD(&lu->changes);
	CDS_INIT_LIST_HEAD(&lu->unready);
	CDS_INIT_LIST_HEAD(&lu->over);
	CDS_INIT_LIST_HEAD(&lu->holds);
	lu_owed_init(&lu->owed);
	v.id = &lu->id;
	v.target = target;
	v.epoch = 1;
	lu->value = lu_ref_new(&v);
	lu->ports = aligned_alloc(64, reactor_count() * sizeof(*lu->ports));
	for (unsigned i = 0; lu->ports && i < reactor_count(); i++)
		lu_port_init(&lu->ports[i], lu, reactor_at(i));
	lu->fx.cap = PR_REGISTRANTS_MAX + 1;
	lu->fx.abort = calloc(lu->fx.cap, sizeof(*lu->fx.abort));
	lu->fx.ua = calloc(lu->fx.cap, sizeof(*lu->fx.ua));
	lu->fx.pr_cap = (uint32_t)pr_state_max();
	lu->fx.pr_buf = malloc(lu->fx.pr_cap);
	if (!lu->value || !lu->ports || !lu->fx.abort || !lu->fx.ua || !lu->fx.pr_buf) {
		lu_free(lu);
		return NULL;
	}
	return lu;
}

void lu_free(struct lu *lu)
{
	if (!lu)
		return;
	for (unsigned i = 0; lu->ports && i < reactor_count(); i++)
		lu_ref_put(lu->ports[i].value);
	lu_ref_put(lu->value);
	free(lu->ports);
	lu_owed_free(&lu->owed);
	free(lu->fx.abort);
	free(lu->fx.ua);
	free(lu->fx.pr_buf);
	free(lu);
}

/* ---- subscriptions -------------------------------------------------------------------------- */

void lu_subscribe(struct msg *m)
{
	struct lu_port *p = caa_container_of(m, struct lu_port, subscribe);
	struct lu *lu = p->lu;
	struct lu_hold *h;

	/*
	 * Ordered with the changes: a publish in hand was sent to the ports known before, so a port
	 * that comes now gets the value that publish brings (nothing of this port can be in the
	 * backend under an older one).
	 */
	lu->subscribed[reactor_index(p->reactor)] = true;
	p->first = lu_ref_get(lu->acks && !MUTATION(MUT_OLD_FIRST) ? lu->next : lu->value);
	/*
	 * Before the value, so that nothing can start past them. Nothing of this port runs yet: no
	 * ack is needed.
	 */
	cds_list_for_each_entry(h, &lu->holds, link)
		if (h->active && !h->leaving)
			lu_hold_tell(h, p, true);
	p->subscribe.fn = lu_port_subscribed;
	reactor_send(p->reactor, &p->subscribe);
}

/* ---- changes -------------------------------------------------------------------------------- */

static void change_next(struct lu *lu);

/* The changes evaluated together, in the order they came: from the queue to another list. */
static void batch_move(struct lu *lu, struct cds_list_head *to)
{
	while (lu->batch) {
		struct lu_change *c = cds_list_first_entry(&lu->changes, struct lu_change, link);

		lu->batch--;
		cds_list_del(&c->link);
		cds_list_add_tail(&c->link, to);
	}
}

/* The changes evaluated together are over: answer them, in order, and go on with what waits. */
static void changes_answer(struct lu *lu)
{
	witness_commit(lu);
	batch_move(lu, &lu->over);
	while (!cds_list_empty(&lu->over)) {
		struct lu_change *c = cds_list_first_entry(&lu->over, struct lu_change, link);

		cds_list_del(&c->link);
		c->msg.fn = lu_change_answered;
		reactor_send(c->from ? c->from : lu->home, &c->msg);
	}
	lu->changing = false;
	change_next(lu);
}

/* None of them happened. */
static void changes_refuse(struct lu *lu, uint8_t status, struct sense sense)
{
	struct lu_change *c;
	unsigned n = 0;

	history_drop(lu);
	witness_drop(lu);
	lu_ref_put(lu->next);
	lu->next = NULL;
	cds_list_for_each_entry(c, &lu->changes, link) {
		if (n++ == lu->batch)
			break;
		c->status = status;
		c->sense = sense;
	}
	changes_answer(lu);
}

void lu_change_answered(struct msg *m)
{
	struct lu_change *c = caa_container_of(m, struct lu_change, msg);

	c->done(c);
}

static void told(struct lu_change *c)
{
	free(c);
}

static struct lu_change *news(enum lu_change_kind kind, const struct nexus *n)
{
	struct lu_change *c = calloc(1, sizeof(*c));

	/* Forgetting it would be a lie: about data, or a reservation nobody could release. */
	if (!c)
		abort();
	c->rq.kind = kind;
	if (n) {
		c->rq.has_nexus = true;
		c->rq.nexus = *n;
	}
	c->done = told;
	return c;
}

void lu_tell_failed(struct lu *lu)
{
	lu_change_submit(lu, news(LU_CHANGE_FAILED, NULL));
}

void lu_tell_nexus_lost(struct lu *lu, const struct nexus *n)
{
	lu_change_submit(lu, news(LU_CHANGE_NEXUS_LOST, n));
}

static void cache_off_flushed(struct io_req *io)
{
	struct lu *lu = caa_container_of(io, struct lu, flush);

	struct lu_change *failed;

	if (!io->result) {
		changes_answer(lu);
		return;
	}
	/* The failure is in force, and stored, before anybody hears of it. */
	lu->last->status = SAM_CHECK_CONDITION;
	lu->last->sense = sense_from_errno(IO_FLUSH, io->result);
	batch_move(lu, &lu->over);
	failed = news(LU_CHANGE_FAILED, NULL);
	failed->lu = lu;
	cds_list_add(&failed->link, &lu->changes);
	lu->changing = false;
	change_next(lu);
}

/* A table that fills up is seen before initiators are refused. */
static void registrants_watch(const struct lu *lu)
{
	unsigned before = lu->value->v.pr->nregs, now = lu->next->v.pr->nregs;
	unsigned many = PR_REGISTRANTS_MAX * 4 / 5;

	if (before < many && now >= many)
		log_warn("event=pr_registrants lun=%s registrants=%u max=%u msg=\"nearly as many "
			 "registrations as there may be\"", lu->id.name, now, PR_REGISTRANTS_MAX);
}

static void publish_done(struct lu *lu)
{
	registrants_watch(lu);
	history_commit(lu);
	witness_commit(lu);
	lu_ref_put(lu->value);
	lu->value = lu->next;
	lu->next = NULL;
	if (!lu->fx.flush) {
		changes_answer(lu);
		return;
	}
	/*
	 * The write cache is off: everyone flushes for himself from now on, and what was cached
	 * goes now.
	 */
	lu->flush.op = IO_FLUSH;
	lu->flush.done = cache_off_flushed;
	backend_submit(lu->be, &lu->flush);
}

void lu_publish_acked(struct msg *m)
{
	struct lu_port *p = caa_container_of(m, struct lu_port, note.msg);
	struct lu *lu = p->lu;

	if (MUTATION(MUT_EARLY_ANSWER) && p->reactor != lu->home)
		return;
	assert(lu->acks > 0);
	if (--lu->acks == 0)
		publish_done(lu);
}

static void publish(struct lu *lu)
{
	lu_owed_put(&lu->owed, lu->fx.ua, lu->fx.nua);
	for (unsigned i = 0; i < reactor_count(); i++) {
		struct lu_port *p = &lu->ports[i];

		if (!lu->subscribed[i])
			continue;
		if (!MUTATION(MUT_EARLY_ANSWER) || p->reactor == lu->home)
			lu->acks++;
		p->note.value = lu_ref_get(lu->next);
		p->note.fx = &lu->fx;
		p->note.rq = &lu->last->rq;
		p->note.msg.fn = lu_port_publish;
		reactor_send(p->reactor, &p->note.msg);
	}
	if (!lu->acks)
		publish_done(lu);
}

static void persisted(void *arg, int err)
{
	struct lu *lu = arg;

	if (err) {
		log_error("event=store_failed lun=%s err=%d "
			  "msg=\"a change could not be made durable%s\"",
			  lu->id.name, -err, lu->fx.refusable ? " and was refused" : "");
		/* Not durable, so it never was: the old value stays, the initiator learns. */
		if (lu->fx.refusable) {
			changes_refuse(lu, SAM_CHECK_CONDITION, sense_of(SENSE_INTERNAL_FAILURE));
			return;
		}
		lu->next->v.stored--;
		lu->next->v.failed_stored = false;
	}
	publish(lu);
}

/*
 * Evaluates a change on what those before it made of the value, and adds its effects to theirs.
 * False: no memory.
 */
static bool change_eval(struct lu *lu, struct lu_change *c)
{
	const struct lu_value *old = lu->next ? &lu->next->v : &lu->value->v;
	struct lu_value next = *old;
	bool persist = lu->fx.persist;
	struct lu_ref *made;

	c->rq.seq = event_seq_next();
	lu->last = c;
	lu_change(old, &c->rq, &next, &lu->fx);
	c->status = lu->fx.status;
	c->sense = lu->fx.sense;
	if (!MUTATION(MUT_BURST_LAST))
		lu->fx.persist |= persist;
	if (!lu->fx.changed && !lu_fx_reach(&lu->fx)) {
		witness_note(lu, c, lu->next ? lu->next : lu->value,
			     lu->next ? lu->next : lu->value);
		return true;
	}
	next.epoch = old->epoch + 1;
	made = lu_owed_reserve(&lu->owed, lu->fx.nua) ? lu_ref_new(&next) : NULL;
	if (!made) {
		/* What is so cannot be refused; a restart finds it. */
		if (!lu->fx.refusable)
			abort();
		return false;
	}
	history_note(lu, c, old, &next);
	witness_note(lu, c, lu->next ? lu->next : lu->value, made);
	lu_ref_put(lu->next);
	lu->next = made;
	return true;
}

/*
 * A burst (a cluster that starts registers hundreds of paths at once) is made durable and published
 * as one value: commands that follow one another, up to the first that does more than change the
 * value. What changes nothing is answered at once, unless what stands before it is not done.
 */
static void changes_begin(struct lu *lu)
{
	struct lu_change *c;

	lu->fx.persist = false;
	cds_list_for_each_entry(c, &lu->changes, link) {
		if (lu->next && (c->rq.kind != LU_CHANGE_CMD || lu->batch == CHANGES_TOGETHER))
			break;
		lu->batch++;
		if (__atomic_load_n(&c->cancelled, __ATOMIC_SEQ_CST)) {
			c->status = SAM_TASK_ABORTED;
			c->sense = sense_of(SENSE_NONE);
		} else if (!change_eval(lu, c)) {
			changes_refuse(lu, SAM_BUSY, sense_of(SENSE_NONE));
			return;
		}
		if (!lu->next || lu_fx_reach(&lu->fx) || c->rq.kind != LU_CHANGE_CMD)
			break;
	}
	if (!lu->next) {
		changes_answer(lu);
		return;
	}
	if (lu->fx.persist && lu->store && !MUTATION(MUT_NO_PERSIST)) {
		struct lu_value *v = &lu->next->v;
		/* The configured values were not saved: the configuration may change. */
		struct store_image img = { .saved = v->saved, .failed = v->failed, .pr = v->pr,
					   .version = v->stored++ };

		img.has_modes = memcmp(&v->saved, &v->defaults, sizeof(v->saved)) != 0;
		store_put(lu->store, &img, persisted, lu);
		return;
	}
	publish(lu);
}

/*
 * While a daemon that died still has the store's lock, its writes may reach the medium: after a
 * reset was answered they must not (the promise, (b) and (c)). So it waits for the lock.
 */
static bool waits_for_lock(const struct lu *lu)
{
	return lu->value->v.not_ready && !lu->value->v.damaged && !MUTATION(MUT_RESET_UNREADY);
}

static void unready_next(struct lu *lu)
{
	struct lu_change *c, *tmp;

	if (!waits_for_lock(lu)) {
		cds_list_splice(&lu->unready, &lu->changes);
		CDS_INIT_LIST_HEAD(&lu->unready);
		lu->nunready = 0;
		return;
	}
	cds_list_for_each_entry_safe(c, tmp, &lu->changes, link)
		if (c->rq.kind == LU_CHANGE_RESET || c->rq.kind == LU_CHANGE_TARGET_RESET) {
			cds_list_del(&c->link);
			if (lu->nunready == RESETS_UNREADY) {
				c->status = SAM_BUSY;
				cds_list_add_tail(&c->link, &lu->over);
				continue;
			}
			lu->nunready++;
			cds_list_add_tail(&c->link, &lu->unready);
		}
}

/*
 * A loop, not a recursion by way of changes_answer(): thousands that change nothing may wait in a
 * row.
 */
static void change_next(struct lu *lu)
{
	if (lu->evaluating)
		return;
	lu->evaluating = true;
	while (!lu->changing) {
		unready_next(lu);
		if (cds_list_empty(&lu->changes) && cds_list_empty(&lu->over))
			break;
		if (cds_list_empty(&lu->changes)) {
			changes_answer(lu);
			continue;
		}
		lu->changing = true;
		changes_begin(lu);
	}
	lu->evaluating = false;
}

static void change_arrived(struct msg *m)
{
	struct lu_change *c = caa_container_of(m, struct lu_change, msg);

	cds_list_add_tail(&c->link, &c->lu->changes);
	change_next(c->lu);
}

void lu_change_submit(struct lu *lu, struct lu_change *c)
{
	c->lu = lu;
	c->from = reactor_self();
	c->msg.fn = change_arrived;
	reactor_send(lu->home, &c->msg);
}

/* ---- holds ---------------------------------------------------------------------------------- */

void lu_hold_tell(struct lu_hold *h, struct lu_port *p, bool quiet)
{
	struct hold_note *n = &h->notes[reactor_index(p->reactor)];

	if (!quiet)
		h->acks++;
	n->hold = h;
	n->port = p;
	n->quiet = quiet;
	n->msg.fn = lu_port_hold;
	reactor_send(p->reactor, &n->msg);
}

/*
 * First come, first served among those that overlap; the rest do not wait for each other. Looked at
 * are those for which a hold of this range that came, or is gone, can make a difference.
 */
static void holds_next(struct lu *lu, uint64_t off, uint64_t len)
{
	struct lu_hold *h, *e;

	cds_list_for_each_entry(h, &lu->holds, link) {
		bool blocked = false;

		if (h->active || !ranges_overlap(h->off, h->len, off, len))
			continue;
		cds_list_for_each_entry(e, &lu->holds, link) {
			if (e == h)
				break;
			if (ranges_overlap(h->off, h->len, e->off, e->len)) {
				blocked = true;
				break;
			}
		}
		if (blocked)
			continue;
		h->active = true;
		for (unsigned i = 0; i < reactor_count(); i++)
			if (lu->subscribed[i] &&
			    (!MUTATION(MUT_HOLD_LOCAL) || &lu->ports[i] == h->port))
				lu_hold_tell(h, &lu->ports[i], false);
	}
}

static void hold_arrived(struct msg *m)
{
	struct lu_hold *h = caa_container_of(m, struct lu_hold, msg);

	assert(h->len);
	h->acks = 0;
	h->active = h->leaving = false;
	cds_list_add_tail(&h->link, &h->port->lu->holds);
	holds_next(h->port->lu, h->off, h->len);
}

static void hold_granted(struct msg *m)
{
	struct lu_hold *h = caa_container_of(m, struct lu_hold, msg);

	h->state = HOLD_GRANTED;
	h->granted(h);
}

/* A port let go of what overlaps, or has forgotten the range. */
void lu_hold_acked(struct msg *m)
{
	struct hold_note *n = caa_container_of(m, struct hold_note, msg);
	struct lu_hold *h = n->hold;

	assert(h->acks > 0);
	if (--h->acks)
		return;
	h->msg.fn = hold_granted;
	reactor_send(h->port->reactor, &h->msg);
}

static void hold_gone(struct msg *m)
{
	struct lu_hold *h = caa_container_of(m, struct lu_hold, msg);

	h->released(h);
}

void lu_unhold_acked(struct msg *m)
{
	struct hold_note *n = caa_container_of(m, struct hold_note, unmsg);
	struct lu_hold *h = n->hold;
	struct lu *lu = h->port->lu;

	assert(h->acks > 0);
	if (--h->acks)
		return;
	cds_list_del(&h->link);
	holds_next(lu, h->off, h->len);
	h->msg.fn = hold_gone;
	reactor_send(h->port->reactor, &h->msg);
}

static void hold_released(struct msg *m)
{
	struct lu_hold *h = caa_container_of(m, struct lu_hold, msg);

	h->acks = 0;
	h->leaving = true;		/* a port that comes now would never be told to forget it */
	for (unsigned i = 0; i < reactor_count(); i++) {
		struct hold_note *n = &h->notes[i];

		if (!n->hold)
			continue;
		h->acks++;
		n->unmsg.fn = lu_port_unhold;
		reactor_send(n->port->reactor, &n->unmsg);
	}
}

void lu_hold_ask(struct lu_hold *h)
{
	if (!h->notes)
		h->notes = calloc(reactor_count(), sizeof(*h->notes));
	else
		memset(h->notes, 0, reactor_count() * sizeof(*h->notes));
	if (!h->notes)
		abort();	/* the daemon is lost without them, a restart is not */
	h->state = HOLD_ASKED;
	h->msg.fn = hold_arrived;
	reactor_send(h->port->lu->home, &h->msg);
}

void lu_hold_release(struct lu_hold *h)
{
	assert(h->state == HOLD_GRANTED);
	h->state = HOLD_RELEASED;
	h->msg.fn = hold_released;
	reactor_send(h->port->lu->home, &h->msg);
}
