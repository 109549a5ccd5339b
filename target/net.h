/* SPDX-License-Identifier: Apache-2.0 */
/* Portals: listening sockets and addresses. */
#ifndef TARGET_NET_H
#define TARGET_NET_H

#include <stddef.h>

#include "target/config.h"

/*
 * Binds every portal. 0, or -errno with a log line that names the portal. Main thread, before
 * net_listen().
 */
int net_bind(const struct config *cfg);
/* Starts accepting, on reactor 0; connections are dealt out to all reactors in turn. Any thread. */
void net_listen(void);
/* Accepts no more. Sends to reactor 0; net_closed() tells when it has happened. */
void net_stop(void);
bool net_closed(void);

/* "addr:port" of both ends of a socket. */
void net_names(int fd, char *peer, char *local, size_t len);

#endif
