/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch of a witness LUN, and its journal, which is kept in memory here and may lose its end in
 * a crash. What the journal adds up to is the picture; and when nothing is under way, the picture
 * says of reservations what they are.
 */
#include "target/witness.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pr/state.h"
#include "target/journal.h"
#include "target/rcall.h"
#include "target/witness_json.h"
#include "tests/sim/sim.h"

enum { ROOM = 1 << 16 };

/* There is one witness at most. */
struct journal {
	char *line[ROOM];
	unsigned n;
};
static struct journal journal;
static struct witness_replay replay;
static struct witness_view view;
static uint64_t pictures, entries; /* for the statistics */

struct journal *journal_open(const char *dir, const char *name)
{
	return &journal;
}

void journal_close(struct journal *j) {}

void journal_append(struct journal *j, const char *body)
{
	assert(j == &journal && strlen(body) <= JOURNAL_BODY_MAX);
	/* What is oldest goes, as in files. */
	if (j->n == ROOM) {
		free(j->line[0]);
		memmove(j->line, j->line + 1, (ROOM - 1) * sizeof(j->line[0]));
		j->n--;
	}
	j->line[j->n++] = strdup(body);
	entries++;
}

uint64_t journal_lost(const struct journal *j)
{
	return 0;
}

bool journal_busy(const struct journal *j)
{
	return false;
}

int journal_read(const struct journal *j, uint64_t from,
		 bool (*fn)(void *arg, const struct journal_record *r), void *arg, unsigned *bad)
{
	*bad = 0;
	for (unsigned i = 0; i < j->n; i++) {
		struct journal_record r = { .seq = i + 1,
					    .json = j->line[i],
					    .len = strlen(j->line[i]) };

		if (!fn(arg, &r))
			break;
	}
	return 0;
}

/* Messages arrive meanwhile. */
void rcall_each(void (*fn)(void *arg), void *arg)
{
	sim_run_on(10 * MS);
	for (unsigned i = 0; i < world.reactors; i++) {
		reactor_enter(reactor_at(i));
		fn(arg);
		reactor_leave();
	}
}

static size_t image(const struct witness_picture *p, uint8_t *out)
{
	struct wcur c = wcur_of(out, WITNESS_IMAGE_MAX);

	witness_picture_put(p, &c);
	return wcur_stored(&c);
}

static bool same(const struct witness_picture *a, const struct witness_picture *b)
{
	static uint8_t x[WITNESS_IMAGE_MAX], y[WITNESS_IMAGE_MAX];
	size_t n = image(a, x);

	return image(b, y) == n && !memcmp(x, y, n);
}

static void check_truth(const struct lu *lu)
{
	const struct pr_state *pr = lu->value->v.pr;
	const struct witness_picture *p = &view.w.picture;
	const struct witness_node *owner = witness_owner_node(p);
	unsigned keys = 0;
	struct nexus n;

	for (unsigned i = 0; i < WITNESS_NODES; i++)
		keys += witness_node_keys(&p->node[i]);
	if (p->overflow)
		return;
	if (keys != pr->nregs)
		fail("witness: %u registrations, and %u in the picture", pr->nregs, keys);
	for (unsigned i = 0; i < pr->nregs; i++) {
		const struct witness_path *a;
		int k;

		pr_nexus(pr, i, &n);
		k = witness_node_find(p, n.initiator);
		a = k < 0 ? NULL : witness_path_find(&p->node[k], &n);
		if (!a || a->key != pr->regs[i].key)
			fail("witness: %s has not its key in the picture", n.initiator);
	}
	if (pr->type != p->owner.type)
		fail("witness: type %u, and %u in the picture", pr->type, p->owner.type);
	if (!pr->type || pr->holder == PR_NO_HOLDER)
		return;
	pr_nexus(pr, pr->holder, &n);
	if (!owner || strcmp(owner->name, n.initiator))
		fail("witness: %s holds it, and not in the picture", n.initiator);
}

/* A session began before its login was answered, also if the journal was not ours then. */
static void check_logins(void)
{
	const struct witness_picture *p = &view.w.picture;

	for (unsigned i = 0; i < npaths; i++) {
		const struct nexus *n = path_nexus(paths[i]);
		int k = witness_node_find(p, n->initiator);
		const struct witness_path *a =
			k < 0 ? NULL : witness_path_find(&p->node[k], n);

		if (!world.clock_jumps && a && a->session && path_up_at(paths[i]) &&
		    a->since.utc_ms > (10000 * SEC + path_up_at(paths[i])) / MS)
			fail("witness: %s logged in later than it was told so",
			     path_name(paths[i]));
	}
}

void witness_check(bool quiet)
{
	for (unsigned i = 0; i < daemon_state.nlus; i++) {
		const struct lu *lu = daemon_state.lus[i];
		bool taken;

		if (!lu->watch)
			continue;
		reactor_enter(lu->home);
		taken = witness_view_take(lu, &view);
		reactor_leave();
		if (!taken || !view.started || view.lost)
			continue;
		witness_replay_init(&replay);
		for (unsigned k = 0; k < journal.n; k++)
			witness_replay_record(&replay, journal.line[k], strlen(journal.line[k]));
		if (replay.gap || !same(&replay.picture, &view.w.picture))
			fail("witness: the journal does not add up to the picture");
		pictures++;
		check_logins();
		if (quiet)
			check_truth(lu);
	}
}

/* The daemon dies, in the middle of a write perhaps: the end of the journal may be lost. */
void witness_kill(void)
{
	unsigned n = journal.n && rnd_chance(500) ? (unsigned)rnd_below(4) : 0;

	if (daemon_state.nlus)
		witness_check(false);
	while (n-- && journal.n)
		free(journal.line[--journal.n]);
}

void witness_forget(void)
{
	while (journal.n)
		free(journal.line[--journal.n]);
}

void witness_stats(void)
{
	printf("%llu entries of witnesses' journals, which added up to the picture %llu times\n",
	       (unsigned long long)entries, (unsigned long long)pictures);
}
