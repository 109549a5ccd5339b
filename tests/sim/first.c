/* SPDX-License-Identifier: Apache-2.0 */
/* Linked before the daemon's object files: where their variables begin. last.c is where they end.
 */
#include "tests/sim/marks.h"

__thread char mark_tls_first[64] __attribute__((aligned(64)));
char mark_data_first[64] __attribute__((aligned(64))) = { 1 };
char mark_bss_first[64] __attribute__((aligned(64)));
