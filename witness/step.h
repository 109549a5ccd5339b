/* SPDX-License-Identifier: Apache-2.0 */
/* The event in hand, for the files that make entries of events (watch.c, repeat.c). */
#ifndef WITNESS_STEP_H
#define WITNESS_STEP_H

#include "witness/watch.h"

struct step {
	struct witness *w;
	const struct witness_event *ev;
	struct witness_time at;
	witness_emit_fn *emit;
	void *arg;
	uint32_t others; /* registrations of others that are gone */
};

/* An entry: stamped, taken over by the picture, handed on. */
void step_tell(struct step *s, struct witness_entry *e);
/* What a node did again and again until now does not go on. */
void step_rhythms_forget(struct witness *w, unsigned node);
/* Defences so far become an entry, before something else does that is understood by them. */
void step_tell_defences(struct step *s, bool rhythm);

/* repeat.c: what repeats itself is told now and then, with how often it was. */

void repeat_login(struct step *s);
void repeat_logout(struct step *s);
/* Its command was refused because of the owner's reservation. */
void repeat_challenge(struct step *s);
/* Those that are not told yet, before the disk changes hands. */
void repeat_challenges(struct step *s);
void repeat_tick(struct step *s);
/* Another node has this place in the picture now. */
void repeat_forget(struct witness *w, unsigned node);

#endif
