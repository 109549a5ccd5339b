/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: JSON requests, one per line, from `holdfast`. A thread of its own, so that a
 * slow reader delays nobody. */
#ifndef TARGET_CONTROL_H
#define TARGET_CONTROL_H

#include "target/config.h"

/* Binds cfg->control (mode 0600) and starts the thread. 0 or -1 with a log line. Main thread. */
int control_start(const struct config *cfg);
/* Ends the thread and removes the socket. */
void control_stop(void);

#endif
