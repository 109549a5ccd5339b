/* SPDX-License-Identifier: Apache-2.0 */
/* The story: from the change of ownership kept in the picture to sentences. */
#include "witness/story.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	WAITED_MS = 60000, /* a challenger waits 7 s */
	HANDED_MS = 60000, /* given up and taken within this: a planned move */
	SILENT_MS = 6000,  /* two of Windows' defences missed: the owner was not there */
};

struct out {
	char *buf;
	size_t size, len;
};

static void say(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->buf + o->len, o->size - o->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		o->len += (size_t)n < o->size - o->len ? (size_t)n : o->size - o->len - 1;
}

#define TIME(t)	   witness_time_text((t), (char[WITNESS_TEXT_TIME]){ 0 }, WITNESS_TEXT_TIME)
#define SPAN(a, b) witness_span_text(witness_time_between((a), (b)), (char[48]){ 0 }, 48)

static const char *how_text(unsigned how)
{
	const char *s = witness_how_name(how);

	return s ? s : "?";
}

/* ---- who had it before ----------------------------------------------------------------------- */

static void say_before(struct out *o, const struct witness_change *c)
{
	int64_t waited = witness_time_between(&c->challenged, &c->at);

	say(o, "%s had owned it for %s", c->from, SPAN(&c->owned, &c->at));
	if (witness_time_is(&c->defended))
		say(o, ", and defended it%s until %s, %s before", c->renewed ? " in rhythm" : "",
		    TIME(&c->defended), SPAN(&c->defended, &c->at));
	if (witness_time_is(&c->gone))
		say(o, "; its last session had ended %s before", SPAN(&c->gone, &c->at));
	say(o, ".\n");
	/* Others ask once for what they do not get, and mean nothing by it (fence_scsi). */
	if (waited >= 0 && waited <= WAITED_MS && c->how != WITNESS_PREEMPT_ABORT)
		say(o, "%s had challenged it at %s, and waited %s.\n", c->to, TIME(&c->challenged),
		    SPAN(&c->challenged, &c->at));
}

static void say_why_taken(struct out *o, const struct witness_change *c)
{
	bool silent = c->renewed && witness_time_between(&c->defended, &c->at) >= SILENT_MS;

	if (witness_time_is(&c->gone) && silent)
		say(o, "Why: %s was gone, and its reservation was not defended any more.\n",
		    c->from);
	else if (witness_time_is(&c->gone))
		say(o, "Why: %s was gone.\n", c->from);
	else if (silent)
		say(o, "Why: %s was logged in, but did not defend its reservation any more.\n",
		    c->from);
	else if (c->how == WITNESS_PREEMPT_ABORT)
		say(o, "Why: %s fenced %s, which was logged in.\n", c->to, c->from);
	else
		say(o, "Why: by force; %s was logged in.\n", c->from);
}

/* It was nobody's: who gave it up, if that was just before? */
static void say_free(struct out *o, const struct witness_change *c,
		     const struct witness_change *was)
{
	int64_t gap = witness_time_between(&was->at, &c->at);

	if (!witness_time_is(&was->at) || was->to[0] || was->all || !was->from[0]) {
		say(o, "Nobody owned it before.\n");
		return;
	}
	if (!strcmp(was->by, was->from))
		say(o, "%s had given it up %s before, with %s.\n", was->from,
		    SPAN(&was->at, &c->at), how_text(was->how));
	else
		say(o, "%s had lost it %s before, by %s%s%s.\n", was->from, SPAN(&was->at, &c->at),
		    how_text(was->how), was->by[0] ? " of " : "", was->by);
	if (gap >= 0 && gap <= HANDED_MS && !strcmp(was->by, was->from))
		say(o, strcmp(c->to, was->from) ? "Why: a planned move; nothing was forced.\n"
						: "Why: it took back what it had given up.\n");
	else if (gap > HANDED_MS || gap < 0)
		say(o, "Why: the disk was free.\n");
}

/* ---- the last change ------------------------------------------------------------------------- */

static void say_lost(struct out *o, const struct witness_change *c)
{
	say(o, "Nobody owns this disk since %s: %s%s%s.\n", TIME(&c->at), how_text(c->how),
	    c->by[0] ? " of " : "", c->by);
	if (c->from[0])
		say(o, "%s had owned it for %s.\n", c->from, SPAN(&c->owned, &c->at));
}

static void say_taken(struct out *o, const struct witness_change *c,
		      const struct witness_change *was)
{
	const char *to = c->all ? "Every registered host" : c->to;

	if (c->how == WITNESS_FOUND) {
		say(o,
		    "%s owned this disk when the daemon started at %s; how that came about is "
		    "not in the journal.\n",
		    to, TIME(&c->at));
		return;
	}
	if (!c->from[0]) {
		say(o, "%s took this disk at %s, with %s.\n", to, TIME(&c->at), how_text(c->how));
		say_free(o, c, was);
		return;
	}
	if (c->how == WITNESS_MOVE && !strcmp(c->by, c->from)) {
		say(o, "%s handed this disk to %s at %s, with %s.\n", c->from, to, TIME(&c->at),
		    how_text(c->how));
		say_before(o, c);
		return;
	}
	say(o, "%s took this disk from %s at %s, with %s", to, c->from, TIME(&c->at),
	    how_text(c->how));
	if (c->removed)
		say(o, "; %u registration%s went with it", c->removed, c->removed == 1 ? "" : "s");
	say(o, ".\n");
	say_before(o, c);
	say_why_taken(o, c);
}

static void say_removal(struct out *o, const struct witness_picture *p)
{
	const struct witness_removal *r = &p->removal;

	if (!witness_time_is(&r->at) || r->owner ||
	    (witness_time_is(&p->change[0].at) &&
	     witness_time_between(&p->change[0].at, &r->at) < 0))
		return;
	say(o, "%s %s %s at %s, with %s: %u registration%s removed; the disk's owner stayed.\n",
	    r->by, r->how == WITNESS_PREEMPT_ABORT ? "fenced" : "shut out", r->who, TIME(&r->at),
	    how_text(r->how), r->count, r->count == 1 ? "" : "s");
}

/* ---- who is there ---------------------------------------------------------------------------- */

static void say_members(struct out *o, const struct witness_picture *p)
{
	unsigned n = witness_members(p), k = 0;

	say(o, n ? "Registered: " : "Nobody is registered.\n");
	for (unsigned i = 0; i < WITNESS_NODES; i++)
		if (p->node[i].name[0] && witness_node_keys(&p->node[i]))
			say(o, "%s%s", k++ ? ", " : "", p->node[i].name);
	if (n)
		say(o, ".\n");
}

/* A message that came just before the last beat: the node was told to end. (Times are of different
 * commands, which may have overtaken each other.) */
static bool was_shot(const struct witness_node *n)
{
	int64_t ms = witness_time_between(&n->mailed, &n->beat_at);

	return witness_time_is(&n->mailed) &&
	       (ms < 0 ? witness_time_between(&n->beat_at, &n->mailed) <= SILENT_MS
		       : ms <= WAITED_MS);
}

static void say_stopped(struct out *o, const struct witness_node *n, const struct witness_time *now)
{
	say(o, "stopped: the last was at %s, %s ago.\n", TIME(&n->beat_at), SPAN(&n->beat_at, now));
	if (was_shot(n))
		say(o, "Why: %s had sent it a message at %s, a poison pill as it looks.\n",
		    n->mailer, TIME(&n->mailed));
	else if (witness_time_is(&n->gone))
		say(o, "%s lost its last session at %s.\n", n->name, TIME(&n->gone));
	else if (witness_node_sessions(n))
		say(o, "%s is logged in.\n", n->name);
}

static void say_beats(struct out *o, const struct witness_picture *p,
		      const struct witness_time *now)
{
	for (unsigned i = 0; i < WITNESS_NODES; i++) {
		const struct witness_node *n = &p->node[i];

		if (!n->name[0] || n->beat == WITNESS_BEAT_NONE)
			continue;
		say(o, "The %s heartbeat of %s ", witness_software_name(n->beat_as), n->name);
		if (n->beat == WITNESS_BEATS_ON)
			say(o, "beats.\n");
		else
			say_stopped(o, n, now);
	}
}

static void say_software(struct out *o, const struct witness_picture *p)
{
	static const char *const names[WITNESS_SOFTWARES] = {
		[WITNESS_WINDOWS] = "Windows Server failover clustering",
		[WITNESS_FENCE_SCSI] = "Pacemaker with fence_scsi",
		[WITNESS_FENCE_MPATH] = "Pacemaker with fence_mpath",
		[WITNESS_SBD] = "sbd",
		[WITNESS_SANLOCK] = "sanlock",
		[WITNESS_O2CB] = "OCFS2's o2cb",
	};
	unsigned k = 0;

	for (unsigned i = 0; i < WITNESS_SOFTWARES; i++)
		if (p->software[i].confidence)
			say(o, "%s%s (%s)", k++ ? ", " : "This looks like ", names[i],
			    witness_confidence_name(p->software[i].confidence));
	say(o, k ? ".\n" : "What software uses it is unknown.\n");
}

const char *witness_story(const struct witness *w, const struct witness_time *now, char *buf,
			  size_t size)
{
	const struct witness_picture *p = &w->picture;
	const struct witness_change *c = &p->change[0];
	struct out o = { buf, size, 0 };

	buf[0] = 0;
	if (!witness_time_is(&c->at))
		say(&o, "Nobody has reserved this disk: it has no owner.\n");
	else if (c->to[0] || c->all)
		say_taken(&o, c, c + 1);
	else
		say_lost(&o, c);
	say_removal(&o, p);
	if (p->owner.node == WITNESS_NOBODY)
		say_members(&o, p);
	say_beats(&o, p, now);
	say_software(&o, p);
	return buf;
}
