/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about witness LUNs. */
#include "target/control_rq.h"
#include "target/query_witness.h"

enum { LOG_LAST = 1000 }; /* entries of each LUN, unless asked otherwise */

/* An error's answer; NULL when the LU that was asked for, if any, is one. */
static json_t *not_a_witness(const struct control_request *rq)
{
	return rq->lu && !rq->lu->id.witness
		       ? control_error("refused", "'holdfast witness show' shows those there are",
				       "LUN %s is no witness (type: witness)", rq->lu->id.name)
		       : NULL;
}

json_t *control_witness_show(struct control_request *rq)
{
	json_t *error = not_a_witness(rq);

	return error ? error : control_answer(query_witness_json(rq->lu));
}

json_t *control_witness_explain(struct control_request *rq)
{
	json_t *error = not_a_witness(rq);

	return error ? error : control_answer(query_witness_story_json(rq->lu));
}

json_t *control_witness_log(struct control_request *rq)
{
	struct query_witness_log q = {
		.last = rq->last ? (uint64_t)rq->last : LOG_LAST,
		.since_ns = (uint64_t)rq->since * 1000000000u,
		.after = rq->after,
	};
	json_t *error = not_a_witness(rq);

	return error ? error : control_answer(query_witness_log_json(rq->lu, &q));
}
