/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_MARKS_H
#define TESTS_SIM_MARKS_H

extern __thread char mark_tls_first[64], mark_tls_last[64];
extern char mark_data_first[64], mark_data_last[64], mark_bss_first[64], mark_bss_last[64];

#endif
