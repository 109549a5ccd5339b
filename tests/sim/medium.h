/* SPDX-License-Identifier: Apache-2.0 */
/* medium.c: the oracle's idea of the blocks. Private to the oracle. */
#ifndef TESTS_SIM_MEDIUM_H
#define TESTS_SIM_MEDIUM_H

#include "tests/sim/sim.h"

void medium_start(void);
void medium_stop(void);
/* The block has new content from now on; c (or NULL) did it. */
void medium_effect(unsigned lun, uint64_t block, const uint8_t *data, struct cmd *c);
const uint8_t *medium_now(unsigned lun, uint64_t block);
/* Whether the block ever had this content between two times, both included. */
bool medium_had(unsigned lun, uint64_t block, const uint8_t *data, uint64_t from, uint64_t to);
/* c, a READ with FUA, was answered: what it brought survives. */
void medium_read_durable(const struct cmd *c);
/* c was answered GOOD and durable; or, for a flush, so is all that was answered before it was sent.
 */
void medium_durable(struct cmd *c);
void medium_flushed(struct cmd *c);
/* Found after a loss of power, or of a cache. */
void medium_found(unsigned lun, uint64_t block, const uint8_t *data, bool stable);

#endif
