/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into reactors from outside: control socket, start and stop. */
#ifndef TARGET_RCALL_H
#define TARGET_RCALL_H

/*
 * Runs fn(arg) on each reactor, one after the other, and returns when the last is done: fn may
 * gather into arg without a lock. Never from a reactor's thread.
 */
void rcall_each(void (*fn)(void *arg), void *arg);

/* What was sent to a reactor before has arrived there. Never from a reactor's thread. */
void rcall_flush(void);

#endif
