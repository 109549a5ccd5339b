/* SPDX-License-Identifier: Apache-2.0 */
/* What daemon.c, wire.c and io.c know of each other. */
#ifndef TESTS_DAEMON_WIRE_IMPL_H
#define TESTS_DAEMON_WIRE_IMPL_H

#include "tests/daemon/wire.h"

void wire_close_all(void);
/* Prints, counts, and fails the running test. */
void wire_violation(struct wire *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A PDU that belongs to an io: carries it out, true. */
bool io_input(struct wire *w, const struct pdu *p);

static inline bool sn_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

#endif
