/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator should know before it hurts. Pure. */
#ifndef WITNESS_HEALTH_H
#define WITNESS_HEALTH_H

#include "witness/watch.h"

/* The conditions that hold: 1 << enum witness_warning. */
uint32_t witness_health(const struct witness *w, const struct witness_time *now);

/* Takes n latencies into account, sum_us together, max_us the longest. */
void witness_pace_note(struct witness_pace *p, uint32_t n, uint64_t sum_us, uint32_t max_us);
/* Closes the window in hand when its time is over. */
void witness_pace_step(struct witness_pace *p, uint64_t mono_ms);

/* A condition in a sentence, with the names and numbers of now. Returns buf. */
const char *witness_warning_text(const struct witness *w, enum witness_warning which,
				 const struct witness_time *now, char *buf, size_t size);

#endif
