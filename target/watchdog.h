/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends the daemon when a reactor has not turned for stall_ms while it should: partial survival
 * would break the promise of the gate (a closing change waits for that reactor for ever), a restart
 * does not. A sleeping reactor is left asleep.
 */
#ifndef TARGET_WATCHDOG_H
#define TARGET_WATCHDOG_H

int watchdog_start(unsigned stall_ms);	/* main thread, with all reactors there; 0 or -errno */
void watchdog_stop(void);		/* main thread; fine when not started */

#endif
