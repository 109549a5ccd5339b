/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TARGET_STOP_H
#define TARGET_STOP_H

/*
 * Ends service in order, within 5 s: no new logins, sessions are asked to log out and served until
 * they do, or are closed; what is in the backends ends, caches are flushed. Main thread. 0, or the
 * number of LUs whose flush failed or did not end, and of units of I/O that did not.
 */
unsigned stop_service(void);

/*
 * After it: what the journals have is written and synced, and what else workers have in hand ends,
 * within 7 s of stop_service()'s beginning. 0, or how many of their jobs did not end: then nothing
 * may be closed or freed, only the process ended. Main thread.
 */
unsigned stop_works(void);

#endif
