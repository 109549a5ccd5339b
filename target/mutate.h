/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planted bugs, to show that the tests find them. MUTATION(n) is 0 in every build but one compiled
 * with -DMUTATE=n; there is nothing to configure at run time. The simulation's mutants.sh compiles
 * all of them in at once with -DMUTATE=mutation_on, and sets that variable.
 */
#ifndef TARGET_MUTATE_H
#define TARGET_MUTATE_H

enum {
	MUT_NONE,
	/* A port acknowledges a publish without waiting for writes in the backend. */
	MUT_NO_DRAIN,
	/* A change is published and answered without being stored. */
	MUT_NO_PERSIST,
	/* The gate is checked when a command arrives, and not again before its I/O. */
	MUT_GATE_ONCE,
	/* Drains do not count writes of sessions that are gone. */
	MUT_NO_ORPHANS,
	/* A hold is told to the asker's port only. */
	MUT_HOLD_LOCAL,
	/* A command that was parked does not pass the gate again. */
	MUT_PARKED_PASS,
	/* A change is answered after the home port's acknowledgement, before the others'. */
	MUT_EARLY_ANSWER,
	/* ABORT TASK (SET), CLEAR TASK SET are answered with writes in the backend. */
	MUT_ABORT_NO_DRAIN,
	/* A session that comes back need not wait for its old self's writes. */
	MUT_REOPEN_AT_ONCE,
	/* A port that comes while a change is published gets the value before it. */
	MUT_OLD_FIRST,
	/* PREEMPT AND ABORT and resets leave alone what is not in the backend yet. */
	MUT_NO_ABORT,
	/* A hold is granted while older I/O in its range is under way. */
	MUT_HOLD_AT_ONCE,
	/* Unit attentions of a change do not reach the gates there are. */
	MUT_UA_LOST,
	/* What the issuer of a reset sends before home comes to it vanishes. */
	MUT_RESET_SILENT,
	/* The store takes the newest slot, acknowledged or refused. */
	MUT_NEWEST_SLOT,
	/* Changes made together are stored only if the last of them must be. */
	MUT_BURST_LAST,
	/* A reset of a LU that waits for its store's lock is answered before it has it. */
	MUT_RESET_UNREADY,
	/* A commit record that could not be written, and may be there, is not taken back. */
	MUT_COMMIT_LEFT,
	/* On a session with data, what is a witness's stands behind what is queued. */
	MUT_NOT_AHEAD,
	/* All data is asked for at once on such a session. */
	MUT_ASK_ALL,
	/* A witness's own data waits there like any other. */
	MUT_OWN_WAITS,
	/* Turns of connections beside such a session are as long as anywhere. */
	MUT_LONG_TURN,
	/* Data LUNs are at home on the witness's reactor, too. */
	MUT_LANE_SHARED,
	MUT_COUNT
};

#ifdef MUTATE
extern int mutation_on;
#define MUTATION(n) ((MUTATE) == (n))
#else
#define MUTATION(n) 0
#endif

#endif
