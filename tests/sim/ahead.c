/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done ahead of a witness's command: bounded in bytes, turns and commands, whatever the
 * clock says. Crowded worlds (world.h) have sessions whose long reads and writes fill every queue
 * there is; some of them talk to the witness as well, one command at a time.
 */
#include "tests/sim/initiator.h"
#include "target/reactor.h"

enum {
	KIB = 1024,
	PDU_MOST = 64 * KIB, /* what initiators take in one (initiator.c, login()) */
	/* Of what is queued so much has its numbers, and cannot be passed any more. */
	NUMBERED_MOST = 128 * KIB + PDU_MOST + 8 * KIB,
	/* Asked for and not there yet, of a session's data: a burst more than the cap. */
	ASKED_MOST = 512 * KIB + 256 * KIB,
	/* Of one connection, in one turn of its reactor. */
	TURN_MOST = 128 * KIB + PDU_MOST + 8 * KIB,
	READS_MOST = 1, OWN_READS_MOST = 4,
};

static struct {
	uint64_t checked, ahead, asked, turn; /* how often; the most there was, bytes */
} seen;

/* All that has left the daemon on this path's connection. */
static uint64_t left_so_far(const struct path *p)
{
	return p->link ? p->link->parsed + p->link->have : 0;
}

void ahead_begin(struct path *p)
{
	p->mixed = false;
	p->asked = 0;
	p->given_head = p->given_tail = 0;
}

/* The daemon has what it needs to go on with c. */
void ahead_go(struct cmd *c)
{
	c->go = left_so_far(c->path);
	c->going = c->path->mixed && !c->lun;
}

/*
 * What the daemon says to c begins here in the stream. A change's answer is not looked at: when it
 * came back from home is not known here.
 */
void ahead_said(struct cmd *c, bool answer, uint64_t at)
{
	uint64_t n = at > c->go ? at - c->go : 0;

	if (!world.crowded || c->lun)
		return;
	if (c->going && !(answer && c->kind == K_PR_OUT)) {
		seen.checked++;
		seen.ahead = n > seen.ahead ? n : seen.ahead;
		if (n > NUMBERED_MOST)
			fail("%s itt %x: %llu bytes of data went ahead of the witness",
			     path_name(c->path), c->itt, (unsigned long long)n);
	}
	c->going = false;
	c->path->mixed |= c->kind == K_READ;
}

/* An R2T for c leaves. */
void ahead_asked(struct cmd *c, uint32_t len)
{
	struct path *p = c->path;

	if (!world.crowded || !c->lun)
		return;
	p->asked += len;
	if (!p->mixed)
		return;
	seen.asked = p->asked > seen.asked ? p->asked : seen.asked;
	if (p->asked > ASKED_MOST)
		fail("%s: %llu bytes of data are asked for: they are in front of the witness's "
		     "commands",
		     path_name(p), (unsigned long long)p->asked);
}

/* What an R2T asked for is in the stream now, up to its byte `end`. */
void ahead_given(struct cmd *c, uint32_t len, uint64_t end)
{
	struct path *p = c->path;

	if (!world.crowded || !c->lun)
		return;
	if (p->given_head - p->given_tail == GIVEN)
		fail("%s: more data under way than there is room to note", path_name(p));
	p->given[p->given_head].len = len;
	p->given[p->given_head++ % GIVEN].end = end;
}

/* The daemon has read that far. */
void ahead_taken(struct path *p, uint64_t upto)
{
	while (p->given_tail != p->given_head && p->given[p->given_tail % GIVEN].end <= upto)
		p->asked -= p->given[p->given_tail++ % GIVEN].len;
}

static bool shares(const struct reactor *r)
{
	for (unsigned i = 0; i < npaths; i++)
		if (paths[i]->mixed && paths[i]->link && !paths[i]->link->dead &&
		    vsock_watcher(paths[i]->link->s) == r)
			return true;
	return false;
}

void ahead_turn(const struct path *p, const struct reactor *r, uint64_t out, unsigned reads)
{
	if (!world.crowded || !shares(r))
		return;
	seen.turn = out > seen.turn ? out : seen.turn;
	if (out > TURN_MOST)
		fail("%s was sent %llu bytes in one turn of a reactor with a witness's sessions",
		     path_name(p), (unsigned long long)out);
	if (reads > (p->mixed ? OWN_READS_MOST : READS_MOST))
		fail("%s was read from %u times in one turn of a reactor with a witness's sessions",
		     path_name(p), reads);
}

/* Something of a LU is done by this reactor. */
void ahead_work(unsigned lun)
{
	if (world.lane && lun && reactor_self() == reactor_lane())
		fail("lun %u is served by the witness's reactor", lun);
}

void ahead_stats(void)
{
	printf("%llu times something was said to a witness's command on a session with data: at "
	       "most %llu KiB went ahead of it, %llu KiB were asked for; a turn had %llu KiB\n",
	       (unsigned long long)seen.checked, (unsigned long long)(seen.ahead / KIB),
	       (unsigned long long)(seen.asked / KIB), (unsigned long long)(seen.turn / KIB));
}
