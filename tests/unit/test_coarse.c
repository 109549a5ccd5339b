/* SPDX-License-Identifier: Apache-2.0 */
/* Timers to the second, on a reactor's clock that the test sets and a timer that it fires. */
#include <string.h>

#include "target/coarse.h"
#include "target/reactor.h"
#include "tests/unit/unit.h"

#define MS 1000000ull
#define SECOND (1000 * MS)

enum { N = 10000 };

static uint64_t now = 1000 * SECOND + 123 * MS, armed = UINT64_MAX;
static struct timer *timer;
static unsigned ticks, in_tick, most;

static struct one {
	struct coarse c;
	uint64_t not_before, fired;	/* ns */
	unsigned times;
	uint64_t again_ms;
} ones[N];

/* ---- what the reactor would do --------------------------------------------------------------- */

uint64_t reactor_now(void)
{
	return now;
}

void timer_arm_us(struct timer *t, uint64_t us)
{
	timer = t;
	armed = now + us * 1000;
}

static void tick(void)
{
	CU_ASSERT_FATAL(timer && armed != UINT64_MAX);
	now = armed > now ? armed : now;
	armed = UINT64_MAX;
	ticks++;
	in_tick = 0;
	timer->fn(timer);
	most = in_tick > most ? in_tick : most;
	now += MS / 10;			/* a turn takes its time */
}

static void run_until(uint64_t ns)
{
	while (armed <= ns)
		tick();
	now = ns;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void fired(struct coarse *c)
{
	struct one *o = (struct one *)(void *)c;

	in_tick++;
	o->times++;
	o->fired = now;
	CU_ASSERT(now >= o->not_before);
	if (o->again_ms) {
		o->not_before = now + o->again_ms * MS;
		coarse_arm(c, o->again_ms);
	}
}

static void one_arm(struct one *o, uint64_t ms)
{
	o->c.fn = fired;
	o->not_before = now + ms * MS;
	coarse_arm(&o->c, ms);
}

static void fresh(void)
{
	for (unsigned i = 0; i < N; i++)
		coarse_cancel(&ones[i].c);
	memset(ones, 0, sizeof(ones));
	ticks = most = 0;
}

/* Not too early, less than a second too late; far ones, too, and after a long time asleep. */
static void test_when(void)
{
	static const uint64_t ms[] = { 0, 1, 876, 877, 878, 1000, 15000, 62877, 63000, 64000, 65000,
				       200000, 3600000 };
	enum { HOW_MANY = sizeof(ms) / sizeof(ms[0]) };

	fresh();
	for (unsigned i = 0; i < HOW_MANY; i++)
		one_arm(&ones[i], ms[i]);
	run_until(now + 4000 * SECOND);
	for (unsigned i = 0; i < HOW_MANY; i++) {
		CU_ASSERT_EQUAL(ones[i].times, 1);
		CU_ASSERT(ones[i].fired < ones[i].not_before + SECOND + 10 * MS);
	}
	/* Nobody is waited for any more: nothing to wake up for. */
	CU_ASSERT_EQUAL(armed, UINT64_MAX);
	fresh();
	one_arm(&ones[0], 1000);
	one_arm(&ones[1], 70000);
	now += 500 * SECOND;
	run_until(now + SECOND);
	CU_ASSERT(ones[0].times == 1 && ones[1].times == 1);
}

static void test_arm_and_cancel(void)
{
	fresh();
	one_arm(&ones[0], 5000);
	one_arm(&ones[1], 5000);
	one_arm(&ones[2], 20000);
	coarse_cancel(&ones[1].c);
	coarse_cancel(&ones[1].c);
	one_arm(&ones[2], 1000);	/* sooner */
	run_until(now + 2000 * MS);
	CU_ASSERT_EQUAL(ones[2].times, 1);
	one_arm(&ones[0], 10000);	/* later */
	run_until(now + 9000 * MS);
	CU_ASSERT_EQUAL(ones[0].times, 0);
	run_until(now + 2000 * MS);
	CU_ASSERT_EQUAL(ones[0].times, 1);
	CU_ASSERT_EQUAL(ones[1].times, 0);
}

/*
 * Ten thousand that were armed together: in bunches, with others' turns in between, and all of them
 * in less than a second; those that were armed one after the other wake once a second.
 */
static void test_many(void)
{
	uint64_t last = 0;

	fresh();
	for (unsigned i = 0; i < N; i++)
		one_arm(&ones[i], 15000);
	run_until(now + 17 * SECOND);
	for (unsigned i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(ones[i].times, 1);
		last = ones[i].fired > last ? ones[i].fired : last;
	}
	CU_ASSERT_EQUAL(most, COARSE_PER_TURN);
	CU_ASSERT(last < ones[0].not_before + 2 * SECOND);

	fresh();
	for (unsigned i = 0; i < 400; i++) {
		ones[i].again_ms = 15000;
		one_arm(&ones[i], 15000);
		now += 37 * MS;
	}
	ticks = 0;
	run_until(now + 160 * SECOND);
	for (unsigned i = 0; i < 400; i++)
		CU_ASSERT(ones[i].times >= 10);
	CU_ASSERT(ticks <= 176);
}

/* While some of those that are due wait for their turn, another is armed: nobody is forgotten. */
static void test_armed_meanwhile(void)
{
	fresh();
	for (unsigned i = 0; i < 3 * COARSE_PER_TURN; i++)
		one_arm(&ones[i], 1000);
	do
		tick();
	while (!in_tick);
	CU_ASSERT_EQUAL(in_tick, COARSE_PER_TURN);
	one_arm(&ones[N - 1], 15000);
	coarse_cancel(&ones[3 * COARSE_PER_TURN - 1].c);
	tick();
	tick();
	CU_ASSERT_EQUAL(in_tick, COARSE_PER_TURN - 1);
	CU_ASSERT_EQUAL(ones[3 * COARSE_PER_TURN - 1].times, 0);
	run_until(now + 17 * SECOND);
	CU_ASSERT_EQUAL(ones[N - 1].times, 1);
	for (unsigned i = 0; i < 3 * COARSE_PER_TURN - 1; i++)
		CU_ASSERT_EQUAL(ones[i].times, 1);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_when),
		UNIT(test_arm_and_cancel),
		UNIT(test_many),
		UNIT(test_armed_meanwhile),
	};

	return unit_run("coarse", tests, sizeof(tests) / sizeof(tests[0]));
}
