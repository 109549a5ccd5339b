/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reservations of a LU as a document, for `pr export` and `pr import`: complete, versioned,
 * for people to read and to edit. holdfast(8) describes it. No I/O; any thread.
 */
#ifndef TARGET_PR_DOC_H
#define TARGET_PR_DOC_H

#include <jansson.h>

#include "pr/pr.h"

#define PR_DOC_FORMAT "holdfast-pr"
enum { PR_DOC_VERSION = 1 };

/* A new object; NULL: out of memory, or a name that is no UTF-8. */
json_t *pr_doc_put(const struct pr_state *s, const struct lu_ident *id,
		   const struct scsi_target *target);

/*
 * Checks everything and makes the value in out (pr_state_max() bytes). False: err says what is
 * wrong, where, and what was expected; out is undefined.
 */
bool pr_doc_get(json_t *doc, const struct lu_ident *id, const struct scsi_target *target,
		struct pr_state *out, char *err, size_t size);

#endif
