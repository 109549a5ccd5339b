/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planted bugs, to show that the tests find them. MUTATION(n) is 0 in every build but one compiled
 * with -DMUTATE=n; there is nothing to configure at run time. The simulation's mutants.sh compiles
 * all of them in at once with -DMUTATE=mutation_on, and sets that variable.
 */
#ifndef TARGET_MUTATE_H
#define TARGET_MUTATE_H

enum {
	MUT_NO_DRAIN =
		1, /* a port acknowledges a publish without waiting for writes in the backend */
	MUT_NO_PERSIST,	 /* a change is published and answered without being stored */
	MUT_GATE_ONCE,	 /* the gate is checked when a command arrives, and not again before its I/O
			  */
	MUT_NO_ORPHANS,	 /* drains do not count writes of sessions that are gone */
	MUT_HOLD_LOCAL,	 /* a hold is told to the asker's port only */
	MUT_PARKED_PASS, /* a command that was parked does not pass the gate again */
	MUT_EARLY_ANSWER, /* a change is answered after the home port's acknowledgement, before the
			     others' */
	MUT_ABORT_NO_DRAIN, /* ABORT TASK (SET), CLEAR TASK SET are answered with writes in the
			       backend */
	MUT_REOPEN_AT_ONCE, /* a session that comes back need not wait for its old self's writes */
	MUT_COUNT
};

#ifdef MUTATE
extern int mutation_on;
#define MUTATION(n) ((MUTATE) == (n))
#else
#define MUTATION(n) 0
#endif

#endif
