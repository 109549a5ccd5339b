/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A witness LUN without a daemon: nodes by letter (pr_cmd.h), a clock that is set by hand, every
 * entry kept. For the unit tests of witness/.
 */
#ifndef TESTS_WITNESS_WORLD_H
#define TESTS_WITNESS_WORLD_H

#include "pr/state.h"
#include "tests/unit/pr_cmd.h"
#include "tests/unit/unit.h"
#include "witness/health.h"
#include "witness/pattern.h"
#include "witness/story.h"

enum { WW_ENTRIES = 20000 };

static struct witness ww;
static struct witness_entry ww_entry[WW_ENTRIES]; /* in the order they came */
static unsigned ww_n;
static uint64_t ww_ms; /* monotonic */
static int64_t ww_utc; /* utc - monotonic */

static inline void ww_emit(void *arg, const struct witness_entry *e)
{
	if (ww_n == WW_ENTRIES)
		abort();
	ww_entry[ww_n++] = *e;
}

static inline struct witness_time ww_now(void)
{
	return witness_now(&ww, (uint64_t)((int64_t)ww_ms + ww_utc), ww_ms);
}

static inline void ww_event(struct witness_event ev)
{
	ev.mono_ms = ww_ms;
	ev.utc_ms = (uint64_t)((int64_t)ww_ms + ww_utc);
	witness_step(&ww, &ev, ww_emit, NULL);
}

static inline void ww_start(void)
{
	ww_event((struct witness_event){ .kind = WITNESS_EV_START, .pr.after = pr_now });
}

/* 2026-11-22 03:00:00 UTC, nothing registered. */
static inline void ww_world(void)
{
	pr_world();
	witness_init(&ww);
	ww_n = 0;
	ww_ms = 1000000;
	ww_utc = INT64_C(1795316400000) - 1000000;
	ww_start();
}

/* Time goes by, with a tick each second. */
static inline void ww_wait(uint64_t ms)
{
	for (uint64_t end = ww_ms + ms; ww_ms < end;) {
		ww_ms += end - ww_ms < 1000 ? end - ww_ms : 1000;
		ww_event((struct witness_event){ .kind = WITNESS_EV_TICK });
	}
}

static inline void ww_login(struct nexus n)
{
	ww_event((struct witness_event){ .kind = WITNESS_EV_LOGIN, .who = &n });
}

static inline void ww_logout(struct nexus n, bool clean)
{
	ww_event((struct witness_event){
		.kind = WITNESS_EV_LOGOUT, .who = &n, .logout.clean = clean });
}

/* A PR OUT; its status as pr() gives it. */
static inline uint32_t ww_pr(struct nexus n, uint8_t sa, uint8_t type, uint64_t key,
			     uint64_t sa_key)
{
	struct pr_state *before = malloc(pr_state_size(pr_now));
	uint32_t rc;

	memcpy(before, pr_now, pr_state_size(pr_now));
	rc = pr(n, sa, type, key, sa_key, 0);
	ww_event((struct witness_event){ .kind = WITNESS_EV_PR,
					 .who = &n,
					 .pr = { .sa = sa,
						 .status = fx.status,
						 .key = key,
						 .sa_key = sa_key,
						 .before = fx.changed ? before : pr_now,
						 .after = pr_now } });
	free(before);
	return rc;
}

static inline void ww_io(struct nexus n, bool write, uint64_t off, uint32_t len)
{
	ww_event((struct witness_event){ .kind = WITNESS_EV_IO,
					 .who = &n,
					 .io = { .write = write, .off = off, .len = len } });
}

static inline void ww_look(struct nexus n, uint8_t sa)
{
	ww_event((struct witness_event){ .kind = WITNESS_EV_LOOK, .who = &n, .pr.sa = sa });
}

static inline unsigned ww_image(const struct witness_picture *p, uint8_t *buf)
{
	struct wcur c = wcur_of(buf, WITNESS_IMAGE_MAX);

	witness_picture_put(p, &c);
	if (c.len > WITNESS_IMAGE_MAX)
		abort();
	return (unsigned)c.len;
}

static inline bool ww_same(const struct witness_picture *a, const struct witness_picture *b)
{
	static uint8_t x[WITNESS_IMAGE_MAX], y[WITNESS_IMAGE_MAX];
	unsigned n = ww_image(a, x);

	return ww_image(b, y) == n && !memcmp(x, y, n);
}

/* What the entries add up to is the picture. */
static inline bool ww_replays(void)
{
	static struct witness_picture p;

	witness_picture_init(&p);
	for (unsigned i = 0; i < ww_n; i++)
		witness_picture_apply(&p, &ww_entry[i]);
	return ww_same(&p, &ww.picture);
}

/* How many entries of a kind, of this node (0: any). */
static inline unsigned ww_count(enum witness_kind kind, char node)
{
	struct nexus n = nx(node ? node : 'x');
	unsigned k = 0;

	for (unsigned i = 0; i < ww_n; i++)
		k += ww_entry[i].kind == kind &&
		     (!node || !strcmp(ww_entry[i].who.initiator, n.initiator));
	return k;
}

static inline enum witness_confidence ww_sure(enum witness_software s)
{
	return (enum witness_confidence)ww.picture.software[s].confidence;
}

/* Nothing is recognised but, if at all, this one. */
static inline bool ww_only(int s)
{
	bool ok = true;

	for (int i = 0; i < WITNESS_SOFTWARES; i++)
		ok &= i == s || ww_sure((enum witness_software)i) == WITNESS_UNKNOWN;
	return ok;
}

static inline bool ww_story_is(const char *want)
{
	char got[WITNESS_STORY_MAX];
	struct witness_time now = ww_now();

	witness_story(&ww, &now, got, sizeof(got));
	if (strcmp(got, want))
		printf("--- wanted\n%s--- got\n%s---\n", want, got);
	return !strcmp(got, want);
}

/* ---- anything at all: the same for the same ww_seed -------------------------------------------
 */

static uint64_t ww_seed;
static inline uint32_t ww_rnd(uint32_t n)
{
	ww_seed = ww_seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(ww_seed >> 33) % n;
}

static inline struct nexus ww_some(unsigned nodes)
{
	struct nexus n =
		nx_of((char)('a' + ww_rnd(nodes)), (uint8_t)ww_rnd(3), pr_tpgts[ww_rnd(3)]);

	/* More nodes than there is room for. */
	if (nodes > 26)
		snprintf(n.initiator, sizeof(n.initiator), "iqn.x:%u", ww_rnd(nodes));
	return n;
}

static inline void ww_random(unsigned nodes)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	static const uint16_t waits[] = { 0, 1, 200, 1000, 1000, 3000, 20000 };
	struct nexus n = ww_some(nodes);
	uint64_t key = pr_registered(pr_now, &n) && ww_rnd(8)
			       ? pr_now->regs[pr_find(pr_now, &n)].key
			       : ww_rnd(4);

	switch (ww_rnd(10)) {
	case 0:
		ww_login(n);
		break;
	case 1:
		ww_logout(n, ww_rnd(2));
		break;
	case 2:
	case 3:
		ww_pr(n, ww_rnd(2) ? REGISTER : REGISTER_AND_IGNORE, 0, key, ww_rnd(5));
		break;
	case 4:
	case 5:
		ww_pr(n, (uint8_t)(ww_rnd(20) ? RESERVE + ww_rnd(5) : CLEAR),
		      types[ww_rnd(ww_rnd(4) ? 3 : 6)], key, ww_rnd(5));
		break;
	case 6:
		ww_io(n, ww_rnd(2), ww_rnd(8) * 512, 512);
		break;
	case 7:
		ww_look(n, (uint8_t)ww_rnd(4));
		break;
	case 8:
		ww_event((struct witness_event){
			.kind = WITNESS_EV_SPACE,
			.space = { (enum witness_space)ww_rnd(2), ww_rnd(10), 100 } });
		ww_event((struct witness_event){ .kind = WITNESS_EV_JOURNAL,
						 .journal.lost = ww_rnd(2) });
		ww_event((struct witness_event){ .kind = WITNESS_EV_LATENCY,
						 .latency = { ww_rnd(9), 0, ww_rnd(1000000) } });
		break;
	default:
		ww_wait(waits[ww_rnd(7)]);
		if (!ww_rnd(50))
			ww_utc += ww_rnd(1000000) - INT64_C(500000);
		if (!ww_rnd(100)) {
			ww_ms = ww_rnd(5000);
			ww_start();
		}
	}
}

/* ---- what clusters do ------------------------------------------------------------------------ */

/* Windows: node n registers on both its paths. Keys: a random part, the node, a mark. */
static inline uint64_t win_key(char n)
{
	return UINT64_C(0x5d3c11aa0000734d) | (uint64_t)n << 16;
}

static inline void win_register(char n)
{
	for (uint8_t i = 1; i <= 2; i++)
		CU_ASSERT_EQUAL(ww_pr(nx_of(n, i, i), REGISTER_AND_IGNORE, 0, 0, win_key(n)), 0);
}

static inline void win_login(char n)
{
	for (uint8_t i = 1; i <= 2; i++)
		ww_login(nx_of(n, i, i));
}

/* The owner defends for so many rounds of 3 s. */
static inline void win_defend(char n, unsigned rounds)
{
	while (rounds--) {
		CU_ASSERT_EQUAL(ww_pr(nx_of(n, 1, 1), RESERVE, 5, win_key(n), 0), 0);
		ww_wait(3000);
	}
}

#endif
