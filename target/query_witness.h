/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about witness LUNs, as JSON; the names here are promised in holdfast(8): add, never
 * rename. `only`: one LU that is a witness; NULL: all there are. A new object, NULL: out of memory.
 * The control thread, or any other that may block.
 */
#ifndef TARGET_QUERY_WITNESS_H
#define TARGET_QUERY_WITNESS_H

#include "target/query.h"

json_t *query_witness_json(const struct lu *only);
json_t *query_witness_story_json(const struct lu *only);

/* {"luns": how many there are, "warnings": [{"lun": name, "name", "text"}]}, for the status. */
json_t *query_witness_status_json(void);

struct query_witness_log {
	uint64_t last;	   /* records of each LU, at most */
	uint64_t since_ns; /* UTC: not older than this */
	json_t *after;	   /* NULL, or {"NAME": sequence}: only what came after that; borrowed */
};
json_t *query_witness_log_json(const struct lu *only, const struct query_witness_log *q);

#endif
