/* SPDX-License-Identifier: Apache-2.0 */
/* The last change of ownership as a short story: who, when, why. Pure. */
#ifndef WITNESS_STORY_H
#define WITNESS_STORY_H

#include "witness/watch.h"

enum { WITNESS_STORY_MAX = 8192 };

/* Lines, each ended by a newline; NUL terminated, cut off to fit. Returns buf. */
const char *witness_story(const struct witness *w, const struct witness_time *now, char *buf,
			  size_t size);

#endif
