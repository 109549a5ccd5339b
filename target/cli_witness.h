/* SPDX-License-Identifier: Apache-2.0 */
/* What `holdfast witness ...` prints for people. One thread. */
#ifndef TARGET_CLI_WITNESS_H
#define TARGET_CLI_WITNESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * `witness log --follow`: asks again and again, and prints what is new; as JSON one entry per line.
 * Until it cannot any more: 1, with a message. rq: the request, which is changed.
 */
int cli_witness_follow(const char *socket_path, json_t *rq, bool json);

void cli_show_witness(FILE *out, json_t *result);
void cli_show_witness_log(FILE *out, json_t *result);
void cli_show_witness_story(FILE *out, json_t *result);
/* The lines of `status`, if there is a witness; w: its member of that name. */
void cli_show_witness_status(FILE *out, json_t *w);

#endif
