/* SPDX-License-Identifier: Apache-2.0 */
/* Linked behind the daemon's object files: where their variables end. */
#include "tests/sim/marks.h"

__thread char mark_tls_last[64] __attribute__((aligned(64)));
char mark_data_last[64] __attribute__((aligned(64))) = { 1 };
char mark_bss_last[64] __attribute__((aligned(64)));
