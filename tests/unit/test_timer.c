/* SPDX-License-Identifier: Apache-2.0 */
/* The heap by itself against a plain list, then timers on a reactor. */
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include "target/log.h"
#include "target/timers.h"
#include "tests/unit/unit.h"

/* ---- the heap
 * ----------------------------------------------------------------------------------------
 */

enum { N = 300 };

struct model {
	struct timer t;
	uint64_t at, order;
	bool armed;
};

static struct timers heap;
static struct model models[N];
static uint64_t model_now, model_orders, fired;

/* The one that must be first. */
static struct model *model_first(void)
{
	struct model *first = NULL;

	for (unsigned i = 0; i < N; i++) {
		struct model *m = &models[i];

		if (m->armed && (!first || m->at < first->at ||
				 (m->at == first->at && m->order < first->order)))
			first = m;
	}
	return first;
}

static void model_fired(struct timer *t)
{
	struct model *m = (struct model *)(void *)t;

	CU_ASSERT_PTR_EQUAL(m, model_first());
	CU_ASSERT(m->at <= model_now);
	CU_ASSERT_EQUAL(t->slot, 0);
	m->armed = false;
	fired++;
}

static void model_step(void)
{
	struct model *m = &models[unit_draw() % N];

	m->t.fn = model_fired;
	switch (unit_draw() % 4) {
	case 0:
	case 1:
		m->at = model_now + unit_draw() % 50;
		m->order = model_orders++;
		m->armed = true;
		timers_arm(&heap, &m->t, m->at);
		break;
	case 2:
		m->armed = false;
		timers_cancel(&heap, &m->t);
		CU_ASSERT_EQUAL(m->t.slot, 0);
		break;
	case 3:
		model_now += unit_draw() % 3;
		timers_run(&heap, model_now);
		CU_ASSERT(!model_first() || model_first()->at > model_now);
		break;
	}
	CU_ASSERT_EQUAL(timers_next(&heap), model_first() ? model_first()->at : UINT64_MAX);
}

static void test_heap_against_list(void)
{
	for (unsigned i = 0; i < 30000; i++)
		model_step();
	CU_ASSERT(fired > 1000);
	timers_fini(&heap);
	for (unsigned i = 0; i < N; i++)
		CU_ASSERT_EQUAL(models[i].t.slot, 0);
}

/* A timer that arms itself for now does not keep timers_run() busy; one that cancels a due one is
 * obeyed. */
static struct timers small;
static struct timer again, victim, killer;
static unsigned again_calls, victim_calls;

static void again_fn(struct timer *t)
{
	again_calls++;
	timers_arm(&small, t, 100);
	timers_arm(&small, &victim, 100);
}

static void victim_fn(struct timer *t)
{
	victim_calls++;
}

static void killer_fn(struct timer *t)
{
	timers_cancel(&small, &victim);
}

static void test_arm_and_cancel_in_callback(void)
{
	again.fn = again_fn;
	victim.fn = victim_fn;
	killer.fn = killer_fn;
	timers_arm(&small, &again, 50);
	timers_run(&small, 49);
	CU_ASSERT_EQUAL(again_calls, 0);
	timers_run(&small, 100);
	CU_ASSERT_EQUAL(again_calls, 1);
	CU_ASSERT_EQUAL(victim_calls, 0);
	timers_run(&small, 100);
	CU_ASSERT_EQUAL(again_calls, 2);
	CU_ASSERT_EQUAL(victim_calls, 0);	/* armed again by the first, behind it */
	timers_cancel(&small, &again);
	timers_run(&small, 100);
	CU_ASSERT_EQUAL(victim_calls, 1);
	timers_arm(&small, &killer, 100);
	timers_arm(&small, &victim, 100);
	timers_run(&small, 200);
	CU_ASSERT_EQUAL(victim_calls, 1);
	CU_ASSERT_EQUAL(timers_next(&small), UINT64_MAX);
	timers_fini(&small);
}

/* ---- on a reactor
 * ----------------------------------------------------------------------------------------
 */

static sem_t finished;
static struct timer timers[6];
static char order[16];
static uint64_t began, late_max;
static const uint64_t due_us[6] = { 30000, 10000, 500, 20000, 0, 20000 };

static void on_timer(struct timer *t)
{
	unsigned i = (unsigned)(t - timers);
	uint64_t at = began + due_us[i] * 1000, now = reactor_now();

	CU_ASSERT(now >= at);
	if (now - at > late_max)
		late_max = now - at;
	order[strlen(order)] = (char)('0' + i);
	if (strlen(order) == 6)
		sem_post(&finished);
}

static void arm_all(struct msg *m)
{
	struct timer never = { .fn = on_timer };

	began = reactor_now();
	for (unsigned i = 0; i < 6; i++) {
		timers[i] = (struct timer){ .fn = on_timer };
		timer_arm_us(&timers[i], due_us[i]);
	}
	timer_arm(&timers[0], 5);
	timer_arm(&timers[0], 30);
	timer_arm(&never, UINT64_MAX);
	timer_cancel(&never);
	timer_cancel(&never);
}

static void test_on_reactor(void)
{
	static const enum reactor_driver drivers[] = { DRIVER_URING, DRIVER_EPOLL };

	for (unsigned i = 0; i < 2; i++) {
		struct reactor_options o = { .count = 1, .driver = drivers[i], .workers = 1 };
		static struct msg m;

		if (reactors_start(&o)) {
			CU_ASSERT_EQUAL(drivers[i], DRIVER_URING);
			printf("SKIP io_uring is not to be had\n");
			continue;
		}
		sem_init(&finished, 0, 0);
		memset(order, 0, sizeof(order));
		late_max = 0;
		m.fn = arm_all;
		reactor_send(reactor_at(0), &m);
		sem_wait(&finished);
		reactors_stop();
		CU_ASSERT_STRING_EQUAL(order, "421350");
		printf("%s: latest timer was %llu us late\n", i ? "epoll" : "io_uring",
		       (unsigned long long)late_max / 1000);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_heap_against_list),
		UNIT(test_arm_and_cancel_in_callback),
		UNIT(test_on_reactor),
	};

	log_init(LOG_LEVEL_ERROR);
	return unit_run("timer", tests, sizeof(tests) / sizeof(tests[0]));
}
