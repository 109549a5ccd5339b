/* SPDX-License-Identifier: Apache-2.0 */
/* iSCSI names (RFC 7143 4.2.7) and the patterns that say who may use a target. Pure. */
#ifndef TARGET_ISCSI_NAME_H
#define TARGET_ISCSI_NAME_H

#include <stdbool.h>

#include "target/iscsi/login.h"

/*
 * Checks an iqn., eui. or naa. name and writes it lower-cased to out. False: not a name, out
 * untouched. The date of an iqn. name is not looked at and '_' is let through, since names in use
 * break both rules; what could confuse a log line or a TransportID is not.
 */
bool name_normalize(const char *in, char out[ISCSI_NAME_MAX + 1]);

/*
 * Shell pattern: *, ?, [a-z], [!a-z], \x; ASCII letters match without regard to case. Takes time
 * |pattern| x |name| at most.
 */
bool name_match(const char *pattern, const char *name);

/* Whether the initiator may use the target: one of its patterns matches, or it has none. */
bool name_admitted(const struct login_target *t, const char *initiator);

/* The target of that name in env, or -1. */
int name_find_target(const struct login_env *env, const char *name);

#endif
