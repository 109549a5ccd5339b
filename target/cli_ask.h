/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast's side of the control socket. One thread. */
#ifndef TARGET_CLI_ASK_H
#define TARGET_CLI_ASK_H

#include <jansson.h>

/* Sends a request and waits for its answer: a new reference. NULL with a message on stderr. */
json_t *cli_ask(const char *socket_path, json_t *rq);

#endif
