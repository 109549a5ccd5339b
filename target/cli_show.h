/* SPDX-License-Identifier: Apache-2.0 */
/* The views of `holdfast`: an answer of the daemon in, lines for people out. */
#ifndef TARGET_CLI_SHOW_H
#define TARGET_CLI_SHOW_H

#include <jansson.h>
#include <stdio.h>

void cli_show_status(FILE *out, json_t *result);
void cli_show_sessions(FILE *out, json_t *result);
void cli_show_luns(FILE *out, json_t *result);
void cli_show_recovered(FILE *out, json_t *result);
void cli_show_pr(FILE *out, json_t *result);
void cli_show_history(FILE *out, json_t *result);
void cli_show_pruned(FILE *out, json_t *result);
void cli_show_json(FILE *out, json_t *result);

#endif
