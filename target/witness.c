/* SPDX-License-Identifier: Apache-2.0 */
#include "target/witness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "pr/state.h"
#include "scsi/table.h"
#include "target/journal.h"
#include "target/log.h"
#include "target/rcall.h"
#include "target/state_file.h"
#include "target/task.h"
#include "target/witness_json.h"
#include "witness/health.h"

enum {
	SAMPLES = 64,	   /* I/Os of one reactor in 100 ms that are looked at */
	SAMPLE_SHARE = 16, /* of them, of one nexus: a flood of one hides no other */
	SAMPLE_MS = 100,
	TICK_MS = 1000,
	SPACE_TICKS = 10,     /* between two looks at the file systems */
	STOP_MS = 2000,	      /* for a worker that looks */
	EARLY_MAX = 1024,     /* logins and logouts before the journal is ours */
	PICTURE_EVERY = 1000, /* entries; well below JOURNAL_KEEP */
	/* Entries that are kept at once, and per second: a flood must not wash the journal out. */
	TOKENS = 2000,
	TOKENS_S = 20,
	TOKENS_CALM = 100, /* so many again: a flood is over */
};

/* Something on its way to home. */
struct note {
	struct msg msg;
	struct note *next;
	struct lu *lu;
	struct witness_event ev;
	struct nexus who;
	struct lu_ref *before, *after; /* of a change */
};

struct sample {
	struct nexus_ref *who; /* a reference, until the buffer is back */
	uint64_t ms, off;
	uint32_t len;
	uint8_t kind; /* WITNESS_EV_LOOK, WITNESS_EV_IO */
	uint8_t sa;
	bool write;
};

/* A reactor's samples; at home while `away`. */
struct batch {
	struct msg msg;
	struct timer timer;
	struct lu *lu;
	struct reactor *from;
	bool away, armed;
	uint64_t missed_away; /* its reactor's also while it is away */
	uint64_t missed;
	struct nexus_ref *flooder; /* had its share, and more; a reference */
	bool missed_any;	   /* others were missed, too */
	uint32_t lats, lat_max_us;
	uint64_t lat_us;
	unsigned n;
	struct sample v[SAMPLES];
};

struct witness_watch {
	struct lu *lu;
	const char *state_dir, *path; /* of the configuration; path NULL: no file */
	struct batch *batches;	      /* reactor_count() of them, each its reactor's */
	/* Home's. */
	struct journal *journal; /* atomic */
	bool started, stopping;
	struct note *notes, **tail; /* changes that are not in force yet */
	struct note *early, **early_tail;
	unsigned nearly;
	uint64_t dropped;
	struct timer tick;
	unsigned ticks;
	uint64_t since_picture; /* entries */
	uint64_t unkept;	/* entries not handed to the journal since the last picture */
	uint64_t lost_seen;	/* journal_lost() at the last picture */
	uint64_t picture_ticks; /* when it was written; 0: nothing to be looked after */
	unsigned tokens;	/* entries that may be kept now */
	struct {
		struct work work;
		bool busy;
		bool ok[WITNESS_SPACES];
		uint64_t free[WITNESS_SPACES], size[WITNESS_SPACES];
	} space;
	struct witness w;
};

static uint64_t utc_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Also in the daemon's log: what an administrator looks for there. */
static void entry_log(const struct witness_watch *x, const struct witness_entry *e)
{
	char text[WITNESS_TEXT_MAX];
	struct witness_time now = e->at;
	const char *lun = x->lu->id.name, *kind = witness_kind_name(e->kind);

	if (e->kind == WITNESS_WARNING && e->flag)
		log_warn("event=witness_warning lun=%s what=%s state=begins msg=%s", lun,
			 witness_warning_name(e->how),
			 LOG_Q(witness_warning_text(&x->w, (enum witness_warning)e->how, &now, text,
						    sizeof(text))));
	else if (e->kind == WITNESS_WARNING)
		log_info("event=witness_warning lun=%s what=%s state=over", lun,
			 witness_warning_name(e->how));
	else if (e->kind == WITNESS_OWNED || e->kind == WITNESS_CHALLENGED ||
		 e->kind == WITNESS_REMOVED || e->kind == WITNESS_SOFTWARE)
		log_info("event=witness_%s lun=%s msg=%s", kind, lun,
			 log_quote((char[512]){ 0 }, 512,
				   witness_entry_text(e, text, sizeof(text))));
}

static void append(struct witness_watch *x, json_t *o)
{
	char body[JOURNAL_BODY_MAX + 1];
	size_t n = o ? json_dumpb(o, body, JOURNAL_BODY_MAX, JSON_COMPACT) : 0;

	json_decref(o);
	if (!n || n > JOURNAL_BODY_MAX) {
		x->unkept++;
		return;
	}
	body[n] = 0;
	journal_append(x->journal, body);
}

static void emit(void *arg, const struct witness_entry *e)
{
	struct witness_watch *x = arg;

	x->since_picture++;
	if (!x->tokens) {
		x->unkept++;
		return;
	}
	x->tokens--;
	entry_log(x, e);
	append(x, witness_entry_json(e));
}

/*
 * The picture as a whole: the journal forgets what is old, and may have lost something. What comes
 * before it is not needed any more.
 */
static void picture_keep(struct witness_watch *x)
{
	uint8_t *image = malloc(WITNESS_IMAGE_MAX);
	struct wcur c = wcur_of(image, WITNESS_IMAGE_MAX);

	if (!image)
		return;
	x->unkept = 0;
	x->since_picture = 0;
	x->lost_seen = journal_lost(x->journal);
	witness_picture_put(&x->w.picture, &c);
	for (size_t off = 0; off < wcur_stored(&c); off += WITNESS_PART)
		append(x, witness_part_json(image, wcur_stored(&c), off));
	free(image);
}

static uint64_t lost(const struct witness_watch *x)
{
	return x->unkept + journal_lost(x->journal) - x->lost_seen;
}

static void step(struct witness_watch *x, struct witness_event *ev)
{
	uint64_t now = reactor_now_ms();

	if (!ev->mono_ms || ev->mono_ms > now)
		ev->mono_ms = now;
	/* When it happened, by the calendar of now. */
	ev->utc_ms = utc_ms() - (now - ev->mono_ms);
	witness_step(&x->w, ev, emit, x);
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool space_of(const char *path, uint64_t *free, uint64_t *size)
{
	struct statvfs s;

	if (!path || statvfs(path, &s))
		return false;
	*free = (uint64_t)s.f_bavail * s.f_frsize;
	*size = (uint64_t)s.f_blocks * s.f_frsize;
	return true;
}

static void space_run(struct work *w)
{
	struct witness_watch *x = caa_container_of(w, struct witness_watch, space.work);
	const char *paths[WITNESS_SPACES] = {
		[WITNESS_SPACE_STORE] = x->path, [WITNESS_SPACE_STATE] = x->state_dir
	};

	for (unsigned i = 0; i < WITNESS_SPACES; i++)
		x->space.ok[i] = space_of(paths[i], &x->space.free[i], &x->space.size[i]);
}

static void space_done(struct work *w)
{
	struct witness_watch *x = caa_container_of(w, struct witness_watch, space.work);

	__atomic_store_n(&x->space.busy, false, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < WITNESS_SPACES && !x->stopping; i++) {
		struct witness_event ev = { .kind = WITNESS_EV_SPACE,
					    .space = { (enum witness_space)i, x->space.free[i],
						       x->space.size[i] } };

		if (x->space.ok[i])
			step(x, &ev);
	}
}

static void space_look(struct witness_watch *x)
{
	if (x->space.busy)
		return;
	__atomic_store_n(&x->space.busy, true, __ATOMIC_RELAXED);
	x->space.work.class = WORK_MEDIUM;
	x->space.work.run = space_run;
	x->space.work.done = space_done;
	work_submit(&x->space.work);
}

/*
 * Once what was lost is over, the picture as it is now makes good for it. If that cannot be written
 * either, it is tried again later.
 */
static void journal_look(struct witness_watch *x)
{
	struct witness_event ev = { .kind = WITNESS_EV_JOURNAL };
	bool calm = x->tokens >= TOKENS_CALM && !journal_busy(x->journal);

	ev.journal.lost = lost(x);
	if (ev.journal.lost != x->w.journal_lost)
		step(x, &ev);
	if (x->since_picture >= PICTURE_EVERY ||
	    (ev.journal.lost && calm && !(x->ticks % SPACE_TICKS)))
		picture_keep(x);
}

static void ticked(struct timer *t)
{
	struct witness_watch *x = caa_container_of(t, struct witness_watch, tick);
	struct witness_event ev = { .kind = WITNESS_EV_TICK };

	timer_arm(&x->tick, TICK_MS);
	x->tokens = x->tokens + TOKENS_S < TOKENS ? x->tokens + TOKENS_S : TOKENS;
	if (x->ticks++ % SPACE_TICKS == 0)
		space_look(x);
	step(x, &ev);
	journal_look(x);
}

/* ---- changes: home --------------------------------------------------------------------------- */

static struct note *note_new(struct lu *lu, enum witness_event_kind kind, const struct nexus *who)
{
	struct note *n = calloc(1, sizeof(*n));

	if (!n) {
		log_warn("event=witness lun=%s msg=\"something was not noted: out of memory\"",
			 lu->id.name);
		return NULL;
	}
	n->lu = lu;
	n->ev.kind = kind;
	if (who) {
		n->who = *who;
		n->ev.who = &n->who;
	}
	return n;
}

static void note_free(struct note *n)
{
	lu_ref_put(n->before);
	lu_ref_put(n->after);
	free(n);
}

void witness_note(struct lu *lu, const struct lu_change *c, struct lu_ref *before,
		  struct lu_ref *after)
{
	struct witness_watch *x = lu->watch;
	bool out = c->rq.kind == LU_CHANGE_CMD && c->rq.cdb[0] == 0x5f;
	struct note *n;

	/* What comes with the store's lock is told by witness_start(). */
	if (!x || c->rq.kind == LU_CHANGE_CAPS ||
	    (!out && before->v.pr == after->v.pr) || (out && c->rq.param_len < 16))
		return;
	n = note_new(lu, WITNESS_EV_PR, out ? &c->rq.nexus : NULL);
	if (!n)
		return;
	n->ev.pr.status = c->status;
	if (out) {
		n->ev.pr.sa = c->rq.cdb[1] & 0x1f;
		n->ev.pr.key = get_be64(c->rq.param);
		n->ev.pr.sa_key = get_be64(c->rq.param + 8);
	}
	n->before = lu_ref_get(before);
	n->after = lu_ref_get(after);
	*x->tail = n;
	x->tail = &n->next;
}

static void notes_end(struct witness_watch *x, bool happened)
{
	while (x && x->notes) {
		struct note *n = x->notes;

		x->notes = n->next;
		n->ev.pr.before = n->before->v.pr;
		n->ev.pr.after = n->after == n->before ? n->ev.pr.before : n->after->v.pr;
		/* Before the start: it finds what came of it. */
		if (happened && x->started)
			step(x, &n->ev);
		note_free(n);
	}
	if (x)
		x->tail = &x->notes;
}

void witness_commit(struct lu *lu)
{
	notes_end(lu->watch, true);
}

void witness_drop(struct lu *lu)
{
	notes_end(lu->watch, false);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void session_told(struct msg *m)
{
	struct note *n = caa_container_of(m, struct note, msg);
	struct witness_watch *x = n->lu->watch;

	if (!x->started && !x->stopping && x->nearly < EARLY_MAX) {
		x->nearly++;
		*x->early_tail = n;
		x->early_tail = &n->next;
		return;
	}
	if (x->started && !x->stopping)
		step(x, &n->ev);
	free(n);
}

static void session_tell(const struct node *node, enum witness_event_kind kind,
			 const struct nexus *who, bool clean)
{
	for (unsigned i = 0; i < node->scsi.nluns; i++) {
		struct lu *lu = node->lus[node->scsi.luns[i]];
		struct note *n = lu->watch ? note_new(lu, kind, who) : NULL;

		if (!n)
			continue;
		if (kind == WITNESS_EV_LOGOUT)
			n->ev.logout.clean = clean;
		/* It may have to wait for the LU's lock. */
		n->ev.mono_ms = reactor_now_ms();
		n->msg.fn = session_told;
		reactor_send(lu->home, &n->msg);
	}
}

void witness_login(const struct node *node, const struct nexus *who)
{
	session_tell(node, WITNESS_EV_LOGIN, who, false);
}

void witness_logout(const struct node *node, const struct nexus *who, bool clean)
{
	session_tell(node, WITNESS_EV_LOGOUT, who, clean);
}

/* ---- I/O ------------------------------------------------------------------------------------- */

/* The buffer is back on its reactor. */
static void batch_back(struct msg *m)
{
	struct batch *b = caa_container_of(m, struct batch, msg);

	for (unsigned i = 0; i < b->n; i++)
		nexus_ref_put(b->v[i].who);
	if (b->flooder)
		nexus_ref_put(b->flooder);
	b->flooder = NULL;
	b->missed = b->missed_away;
	b->missed_any = b->missed_away != 0;
	b->missed_away = 0;
	b->n = 0;
	b->lats = b->lat_max_us = 0;
	b->lat_us = 0;
	b->away = false;
}

static void sample_step(struct witness_watch *x, const struct sample *s)
{
	struct witness_event ev = { .kind = (enum witness_event_kind)s->kind,
				    .mono_ms = s->ms,
				    .who = &s->who->nexus };

	if (ev.kind == WITNESS_EV_LOOK) {
		ev.pr.sa = s->sa;
	} else {
		ev.io.write = s->write;
		ev.io.off = s->off;
		ev.io.len = s->len;
	}
	step(x, &ev);
}

static void batch_told(struct msg *m)
{
	struct batch *b = caa_container_of(m, struct batch, msg);
	struct witness_watch *x = b->lu->watch;
	bool on = x->started && !x->stopping;

	for (unsigned i = 0; i < b->n && on; i++)
		sample_step(x, &b->v[i]);
	if (b->lats && on) {
		struct witness_event ev = { .kind = WITNESS_EV_LATENCY,
					    .latency = { b->lats, b->lat_max_us, b->lat_us } };

		step(x, &ev);
	}
	if (b->missed && on) {
		struct witness_event ev = { .kind = WITNESS_EV_BLIND };

		if (!b->missed_any)
			ev.who = &b->flooder->nexus;
		x->dropped += b->missed;
		step(x, &ev);
	}
	b->msg.fn = batch_back;
	reactor_send(b->from, &b->msg);
}

static void batch_due(struct timer *t)
{
	struct batch *b = caa_container_of(t, struct batch, timer);

	b->armed = false;
	b->away = true;
	b->msg.fn = batch_told;
	reactor_send(b->lu->home, &b->msg);
}

/* What a command did to the medium, or what it looked at; false: neither. */
static bool sample_of(const struct task *t, struct sample *s)
{
	switch (t->cmd.op->opcode) {
	case 0x08:
	case 0x28:
	case 0xa8:
	case 0x88: /* READ */
		s->kind = WITNESS_EV_IO;
		break;
	case 0x0a:
	case 0x2a:
	case 0xaa:
	case 0x8a: /* WRITE */
	case 0x2e:
	case 0xae:
	case 0x8e: /* WRITE AND VERIFY */
	case 0x89: /* COMPARE AND WRITE */
		s->kind = WITNESS_EV_IO;
		s->write = true;
		break;
	case 0x5e: /* PERSISTENT RESERVE IN */
		s->kind = WITNESS_EV_LOOK;
		s->sa = t->cmd.cdb[1] & 0x1f;
		return true;
	default:
		return false;
	}
	s->off = t->cmd.lba * t->gate->port->value->v.block_size;
	s->len = (uint32_t)(t->cmd.nblocks * t->gate->port->value->v.block_size);
	return true;
}

/* Whether there is room for one more I/O of a nexus; counted if not. */
static bool batch_takes(struct batch *b, struct nexus_ref *who)
{
	unsigned n = 0;

	if (b->away) {
		b->missed_away++;
		return false;
	}
	for (unsigned i = 0; who != b->flooder && i < b->n && b->n >= SAMPLE_SHARE; i++)
		n += b->v[i].who == who;
	if (who != b->flooder && n < SAMPLE_SHARE && b->n < SAMPLES)
		return true;
	b->missed++;
	if (!b->flooder && n >= SAMPLE_SHARE) {
		who->refs++;
		b->flooder = who;
	}
	b->missed_any |= who != b->flooder;
	return false;
}

static void batch_time(struct batch *b, uint64_t us)
{
	b->lats++;
	b->lat_us += us;
	if (us > b->lat_max_us)
		b->lat_max_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void witness_ended(struct task *t)
{
	struct lu *lu = t->gate->port->lu;
	struct sample s = { .who = t->gate->nexus, .ms = reactor_now_ms() };
	struct batch *b;

	if (!lu->watch || t->dead || t->cmd.status != SAM_GOOD || !t->cmd.op || !sample_of(t, &s))
		return;
	b = &lu->watch->batches[reactor_index(reactor_self())];
	if (!batch_takes(b, s.who))
		return;
	s.who->refs++;
	b->v[b->n++] = s;
	if (s.kind == WITNESS_EV_IO && t->begun_ns)
		batch_time(b, (reactor_now() - t->begun_ns) / 1000);
	if (!b->armed) {
		b->armed = true;
		timer_arm(&b->timer, SAMPLE_MS);
	}
}

/* ---- start and stop -------------------------------------------------------------------------- */

void witness_new(struct lu *lu, const char *state_dir, const char *path)
{
	struct witness_watch *x;

	if (!lu->id.witness)
		return;
	x = calloc(1, sizeof(*x));
	if (x)
		x->batches = calloc(reactor_count(), sizeof(*x->batches));
	if (!x || !x->batches) {
		log_warn("event=witness lun=%s msg=\"not watched: out of memory\"", lu->id.name);
		free(x);
		return;
	}
	x->lu = lu;
	x->state_dir = state_dir;
	x->path = path;
	x->tail = &x->notes;
	x->early_tail = &x->early;
	x->tokens = TOKENS;
	x->tick.fn = ticked;
	for (unsigned i = 0; i < reactor_count(); i++) {
		x->batches[i].lu = lu;
		x->batches[i].from = reactor_at(i);
		x->batches[i].timer.fn = batch_due;
	}
	lu->watch = x;
}

struct start {
	struct msg msg;
	struct lu *lu;
	struct journal *journal;
	struct witness_replay *replay;
	struct pr_state *pr; /* NULL: damaged */
};

static void started(struct msg *m)
{
	struct start *s = caa_container_of(m, struct start, msg);
	struct witness_watch *x = s->lu->watch;
	struct witness_event ev = { .kind = WITNESS_EV_START };

	witness_init(&x->w);
	x->w.picture = s->replay->picture;
	x->since_picture = s->replay->entries;
	x->unkept = s->replay->gap;
	__atomic_store_n(&x->journal, s->journal, __ATOMIC_RELEASE);
	x->started = true;
	/*
	 * What is in force: a change may have come before this message, or be on its way to be. A
	 * LU that waits for its store's lock has what is stored only with the change that follows.
	 */
	ev.pr.after = !x->lu->value->v.not_ready ? x->lu->value->v.pr : s->pr;
	step(x, &ev);
	while (x->early) {
		struct note *n = x->early;

		x->early = n->next;
		step(x, &n->ev);
		free(n);
	}
	x->early_tail = &x->early;
	timer_arm(&x->tick, TICK_MS);
	free(s->pr);
	free(s->replay);
	free(s);
}

static bool replay_take(void *arg, const struct journal_record *r)
{
	witness_replay_record(arg, r->json, r->len);
	return true;
}

void witness_start(struct lu *lu, const struct store_image *img)
{
	struct witness_watch *x = lu->watch;
	struct start *s;
	char name[STATE_NAME_MAX];
	unsigned bad = 0;
	int err;

	if (!x)
		return;
	state_name(name, lu->id.uuid, "witness");
	s = calloc(1, sizeof(*s));
	if (s)
		s->replay = malloc(sizeof(*s->replay));
	if (s && img)
		s->pr = malloc(pr_state_size(img->pr));
	if (!s || !s->replay || (img && !s->pr)) {
		log_warn("event=witness lun=%s msg=\"not watched: out of memory\"", lu->id.name);
		if (s)
			free(s->replay);
		free(s);
		return;
	}
	if (img)
		memcpy(s->pr, img->pr, pr_state_size(img->pr));
	witness_replay_init(s->replay);
	s->lu = lu;
	s->journal = journal_open(x->state_dir, name);
	err = journal_read(s->journal, 0, replay_take, s->replay, &bad);
	if (err || bad)
		log_warn("event=witness lun=%s bad=%u err=%d msg=\"the journal could not be read "
			 "completely\"",
			 lu->id.name, bad, -err);
	s->replay->gap |= err || bad;
	s->msg.fn = started;
	reactor_send(lu->home, &s->msg);
}

/* Nothing of it is armed any more; on each reactor. */
static void stop_here(void *arg)
{
	struct witness_watch *x = arg;
	struct batch *b = &x->batches[reactor_index(reactor_self())];

	timer_cancel(&b->timer);
	if (!b->away)
		batch_back(&b->msg);
	if (x->lu->home != reactor_self())
		return;
	if (x->started && !x->stopping) {
		struct witness_event ev = { .kind = WITNESS_EV_STOP };

		step(x, &ev);
	}
	x->stopping = true;
	timer_cancel(&x->tick);
	notes_end(x, false);
}

struct waiting {
	const struct witness_watch *x;
	bool busy;
};

static void look_busy(void *arg)
{
	struct waiting *w = arg;

	w->busy |= w->x->batches[reactor_index(reactor_self())].away ||
		   __atomic_load_n(&w->x->space.busy, __ATOMIC_ACQUIRE);
}

void witness_stop(struct lu *lu)
{
	struct witness_watch *x = lu->watch;
	struct waiting w = { .x = x, .busy = true };

	if (!x)
		return;
	/* A start, logins and batches that have not arrived yet do. */
	rcall_each(stop_here, x);
	rcall_each(stop_here, x);
	for (unsigned ms = 0; w.busy && ms < STOP_MS; ms++) {
		w.busy = false;
		rcall_each(look_busy, &w);
		if (w.busy)
			usleep(1000);
	}
	/* A file system stands still: a worker has it. */
	if (w.busy)
		return;
	while (x->early) {
		struct note *n = x->early;

		x->early = n->next;
		free(n);
	}
	journal_close(x->journal);
	lu->watch = NULL;
	free(x->batches);
	free(x);
}

/* ---- asking ---------------------------------------------------------------------------------- */

bool witness_view_take(const struct lu *lu, struct witness_view *out)
{
	const struct witness_watch *x = lu->watch;

	if (!x || lu->home != reactor_self())
		return false;
	out->w = x->w;
	out->now = witness_now(&x->w, utc_ms(), reactor_now_ms());
	out->started = x->started;
	out->dropped = x->dropped;
	out->lost = lost(x);
	return true;
}

struct journal *witness_journal(const struct lu *lu)
{
	return lu->watch ? __atomic_load_n(&lu->watch->journal, __ATOMIC_ACQUIRE) : NULL;
}
