/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recognising cluster software by what it does. Nobody is asked and nothing is read from the
 * disk; what could be something else stays unknown.
 */
#ifndef WITNESS_PATTERN_H
#define WITNESS_PATTERN_H

#include "witness/watch.h"

/* Notes that a node did something, and gives the rhythm it belongs to. */
struct witness_rhythm *witness_rhythm_note(struct witness *w, unsigned node, enum witness_act act,
					   uint64_t off, uint32_t len, uint64_t mono_ms);
/* Whether it goes on: it has been regular, and the next beat is not long overdue. */
bool witness_rhythm_beats(const struct witness_rhythm *r, uint64_t mono_ms);

/* What a node's heartbeat is, by its I/O: a software and the place on the disk. False: none. */
bool witness_heartbeat(const struct witness *w, unsigned node, uint64_t mono_ms,
		       enum witness_software *as, uint64_t *off);
/* Whether the heartbeat that was recognised earlier still beats; when it did last, 0: unknown. */
bool witness_heartbeat_on(const struct witness *w, unsigned node, uint64_t mono_ms,
			  uint64_t *last_ms);

/* How sure it is that a software is at work. */
enum witness_confidence witness_recognise(const struct witness *w, enum witness_software s,
					  uint64_t mono_ms);

#endif
