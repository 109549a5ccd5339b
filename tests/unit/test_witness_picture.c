/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random events: whatever happens, the entries add up to the picture, and the picture survives as
 * bytes. HOLDFAST_WITNESS_SEEDS=n runs that many.
 */
#include "tests/unit/witness_world.h"

static void test_replay(void)
{
	static uint8_t image[WITNESS_IMAGE_MAX];
	static struct witness_picture p;
	const char *env = getenv("HOLDFAST_WITNESS_SEEDS");
	unsigned seeds = env ? (unsigned)atoi(env) : 300, kinds[WITNESS_KINDS] = { 0 };
	uint64_t overflows = 0;

	for (unsigned k = 0; k < seeds; k++) {
		unsigned nodes = k % 4 ? 2 + k % 5 : 100, part;
		struct rcur r;

		ww_seed = k;
		ww_world();
		for (unsigned i = 0; i < 1000; i++)
			ww_random(nodes);
		CU_ASSERT_FATAL(ww_replays());
		for (unsigned i = 0; i < ww_n; i++)
			kinds[ww_entry[i].kind]++;
		overflows += ww.picture.overflow;
		/* A picture that was kept in the middle, and what came after it. */
		part = ww_rnd(ww_n);
		witness_picture_init(&p);
		for (unsigned i = 0; i < part; i++)
			witness_picture_apply(&p, &ww_entry[i]);
		r = rcur_of(image, ww_image(&p, image));
		CU_ASSERT_FATAL(witness_picture_get(&r, &p));
		for (unsigned i = part; i < ww_n; i++)
			witness_picture_apply(&p, &ww_entry[i]);
		CU_ASSERT_FATAL(ww_same(&p, &ww.picture));
		/* What is shown of it ends, whatever it is. */
		{
			char story[WITNESS_STORY_MAX], text[WITNESS_TEXT_MAX];
			struct witness_time now = ww_now();

			CU_ASSERT(strlen(witness_story(&ww, &now, story, sizeof(story))) > 0);
			for (unsigned i = 0; i < WITNESS_WARNINGS; i++)
				CU_ASSERT(strlen(witness_warning_text(&ww, (enum witness_warning)i,
								      &now, text, sizeof(text))) >
					  0);
			for (unsigned i = 0; i < ww_n; i++)
				CU_ASSERT(strlen(witness_entry_text(&ww_entry[i], text,
								    sizeof(text))) > 0);
		}
	}
	/* The random events are worth something. */
	for (unsigned i = 0; i < WITNESS_KINDS; i++)
		if (i != WITNESS_BEAT && i != WITNESS_MESSAGE && i != WITNESS_SOFTWARE)
			CU_ASSERT(kinds[i] > 0);
	CU_ASSERT(overflows > 0);
}

/* Who is registered and who owns is what the reservations say. */
static void test_truth(void)
{
	for (unsigned k = 0; k < 100; k++) {
		ww_seed = 1000 + k;
		ww_world();
		for (unsigned i = 0; i < 500; i++) {
			unsigned keys = 0;

			ww_random(4);
			for (unsigned j = 0; j < WITNESS_NODES; j++)
				keys += witness_node_keys(&ww.picture.node[j]);
			CU_ASSERT_FATAL(keys == pr_now->nregs);
			for (unsigned j = 0; j < pr_now->nregs; j++) {
				struct nexus n;
				int m;

				pr_nexus(pr_now, j, &n);
				m = witness_node_find(&ww.picture, n.initiator);
				CU_ASSERT_FATAL(m >= 0);
				CU_ASSERT_FATAL(witness_path_find(&ww.picture.node[m], &n)->key ==
						pr_now->regs[j].key);
			}
			CU_ASSERT_FATAL(ww.picture.owner.type == pr_now->type);
			if (pr_now->type && pr_now->holder != PR_NO_HOLDER) {
				struct nexus n;

				pr_nexus(pr_now, pr_now->holder, &n);
				CU_ASSERT_FATAL(!strcmp(witness_owner_node(&ww.picture)->name,
							n.initiator));
			} else {
				CU_ASSERT_FATAL(!witness_owner_node(&ww.picture));
			}
		}
	}
}

/* Entries no daemon wrote: nothing breaks, and the picture can still be kept. */
static void test_garbage(void)
{
	static uint8_t image[WITNESS_IMAGE_MAX];
	static struct witness_picture p;

	for (unsigned k = 0; k < 200; k++) {
		ww_seed = 5000 + k;
		witness_picture_init(&p);
		for (unsigned i = 0; i < 500; i++) {
			struct witness_entry e = {
				.at = { ww_rnd(1000), ww_rnd(1000), 1 + ww_rnd(3) },
				.kind = (uint8_t)ww_rnd(WITNESS_KINDS + 2),
				.how = (uint8_t)ww_rnd(12),
				.type = (uint8_t)ww_rnd(10),
				.flag = ww_rnd(2),
				.count = ww_rnd(100),
				.value = ww_rnd(3),
				.when = { ww_rnd(1000), ww_rnd(1000), 1 + ww_rnd(3) },
			};
			char text[64];

			if (ww_rnd(10))
				e.who = ww_some(ww_rnd(2) ? 3 : 90);
			if (ww_rnd(3))
				snprintf(e.other, sizeof(e.other), "iqn.x:%u", ww_rnd(90));
			witness_picture_apply(&p, &e);
			witness_entry_text(&e, text, sizeof(text));
		}
		CU_ASSERT_FATAL(ww_image(&p, image) <= sizeof(image));
	}
}

/* Bytes that are no picture. */
static void test_image(void)
{
	static uint8_t image[WITNESS_IMAGE_MAX], again[WITNESS_IMAGE_MAX];
	static struct witness_picture p;
	unsigned n, taken = 0;

	ww_seed = 77;
	ww_world();
	for (unsigned i = 0; i < 1000; i++)
		ww_random(5);
	n = ww_image(&ww.picture, image);
	for (unsigned i = 0; i < n; i++) {
		struct rcur r = rcur_of(image, i);

		CU_ASSERT_FATAL(!witness_picture_get(&r, &p));
	}
	image[n] = 0;
	{
		struct rcur r = rcur_of(image, n + 1);

		CU_ASSERT(!witness_picture_get(&r, &p));
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < 4; k++) {
			uint8_t was = image[i];
			struct rcur r = rcur_of(image, n);

			image[i] = k == 3 ? (uint8_t)(was ^ 1u << ww_rnd(8)) : (uint8_t)(k * 127);
			/* What is taken for a picture is one: it gives the same bytes again. */
			if (witness_picture_get(&r, &p)) {
				taken++;
				CU_ASSERT_FATAL(ww_image(&p, again) == n &&
						!memcmp(image, again, n));
			}
			image[i] = was;
		}
	CU_ASSERT(taken > 0);
}

/* The largest picture fits. */
static void test_largest(void)
{
	static uint8_t image[WITNESS_IMAGE_MAX];
	static struct witness_picture p;
	struct rcur r;

	witness_picture_init(&p);
	for (unsigned i = 0; i < WITNESS_NODES; i++)
		for (unsigned k = 0; k < WITNESS_PATHS; k++) {
			struct witness_entry e = { .kind = WITNESS_REGISTERED,
						   .value = 1,
						   .at = { 1, 1, 1 } };

			memset(e.who.initiator, 'a', ISCSI_NAME_MAX);
			e.who.initiator[0] = (char)('0' + i);
			e.who.isid[0] = (uint8_t)k;
			witness_picture_apply(&p, &e);
			e.kind = WITNESS_LOGGED_IN;
			witness_picture_apply(&p, &e);
			e.kind = WITNESS_OWNED;
			memset(e.other, 'b', ISCSI_NAME_MAX);
			witness_picture_apply(&p, &e);
			e.kind = WITNESS_CHALLENGED;
			witness_picture_apply(&p, &e);
		}
	CU_ASSERT_EQUAL(p.overflow, 0);
	r = rcur_of(image, ww_image(&p, image));
	CU_ASSERT(witness_picture_get(&r, &p));
	CU_ASSERT_EQUAL(witness_members(&p), WITNESS_NODES);
}

UNIT_MAIN("witness picture", UNIT(test_replay), UNIT(test_truth), UNIT(test_garbage),
	  UNIT(test_image), UNIT(test_largest))
