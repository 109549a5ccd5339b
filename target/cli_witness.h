/* SPDX-License-Identifier: Apache-2.0 */
/* What `holdfast witness ...` prints for people. One thread. */
#ifndef TARGET_CLI_WITNESS_H
#define TARGET_CLI_WITNESS_H

#include <jansson.h>
#include <stdio.h>

void cli_show_witness(FILE *out, json_t *result);
void cli_show_witness_log(FILE *out, json_t *result);
void cli_show_witness_story(FILE *out, json_t *result);

#endif
