/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE OUT with any CDB and parameter list, one after the other on one state. Each
 * command in the input: nexus (1 byte), bytes 1 and 2 of the CDB, the difference between PARAMETER
 * LIST LENGTH and the data sent (1, signed), length of the data (2), data. After each: the value is
 * one that an image can be made of, and gives itself back.
 */
#include <stdlib.h>

#include "pr/pr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t tpgts[] = { 1, 2, 7 };
static const struct scsi_target target = { .name = "iqn.t", .tpgts = tpgts, .ntpgts = 3 };

static void check(const struct pr_state *s)
{
	static uint8_t *image;
	static struct pr_state *back;
	size_t len;

	if (!image) {
		image = malloc(pr_image_max());
		back = malloc(pr_state_max());
	}
	if (pr_state_size(s) > pr_state_max())
		abort();
	len = pr_image_put(s, image, pr_image_max());
	if (!len || !pr_image_get(image, len, back, pr_state_max()) ||
	    pr_state_size(back) != pr_state_size(s) || memcmp(back, s, pr_state_size(s)))
		abort();
	for (uint8_t sa = 0; sa < 4; sa++) {
		struct wcur out = wcur_of(image, 64);

		if (!pr_in(s, &target, sa, &out) || out.len != pr_in_max(s, sa))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pr_state *values[2];
	static struct lu_fx fx = { .cap = PR_REGISTRANTS_MAX + 1 };
	struct rcur c = rcur_of(data, size);
	const struct pr_state *now = pr_none;
	unsigned turn = 0;

	if (!values[0]) {
		values[0] = malloc(pr_state_max());
		values[1] = malloc(pr_state_max());
		fx.ua = malloc(fx.cap * sizeof(*fx.ua));
		fx.abort = malloc(fx.cap * sizeof(*fx.abort));
		fx.pr_cap = (uint32_t)pr_state_max();
	}
	while (c.left && !c.bad) {
		struct lu_request rq = { .has_nexus = true, .cdb = { 0x5f }, .cdb_len = 10 };
		uint8_t who = rcur_u8(&c);
		const uint8_t *param;
		int8_t off;
		uint16_t len;
		uint8_t *copy;

		rq.nexus = (struct nexus){ .tpgt = tpgts[who % 3], .isid = { who >> 4 & 1 } };
		strcpy(rq.nexus.initiator, who & 8 ? "iqn.a" : "iqn.bb");
		rq.cdb[1] = rcur_u8(&c);
		rq.cdb[2] = rcur_u8(&c);
		off = (int8_t)rcur_u8(&c);
		len = rcur_be16(&c);
		if (len > c.left)
			len = (uint16_t)c.left;
		param = rcur_take(&c, len);
		if (!param)
			break;
		/* A block of its own, so that the sanitizer sees a read past its end. */
		copy = malloc(len ? len : 1);
		memcpy(copy, param, len);
		rq.param = copy;
		rq.param_len = len;
		put_be32(rq.cdb + 5, (uint32_t)(len + off));
		fx.pr_buf = values[turn];
		if (pr_out(now, &target, &rq, &fx) != now) {
			if (fx.status != SAM_GOOD || !fx.changed)
				abort();
			now = fx.pr_buf;
			turn = !turn;
			check(now);
		} else if (fx.changed || fx.nua || fx.nabort) {
			/* PREEMPT AND ABORT never ends GOOD without a change. */
			abort();
		}
		free(copy);
	}
	return 0;
}
