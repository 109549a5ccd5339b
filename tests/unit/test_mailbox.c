/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-over between threads: order, nothing lost, nobody left asleep. For `make tsan` above all. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target/log.h"
#include "target/mailbox.h"
#include "tests/unit/unit.h"

enum { SENDERS = 3, EACH = 100000 };

struct letter {
	struct msg m;
	uint32_t sender, number;
	uint64_t check; /* plain data: the sanitizer sees when the hand-over does not order it */
};

static struct letter *letters[SENDERS];
static uint32_t next_number[SENDERS];

static void nothing(struct msg *m)
{
}

static struct letter *letters_new(unsigned sender, void (*fn)(struct msg *))
{
	struct letter *l = calloc(EACH, sizeof(*l));

	for (uint32_t i = 0; i < EACH; i++) {
		l[i].m.fn = fn;
		l[i].sender = sender;
		l[i].number = i;
	}
	return l;
}

static void letter_check(struct letter *l)
{
	CU_ASSERT_FATAL(l->sender < SENDERS);
	if (l->number != next_number[l->sender] || l->check != l->number * UINT64_C(7))
		CU_FAIL("out of order, or not what was sent");
	next_number[l->sender] = l->number + 1;
	l->check = 0;
}

/* ---- the mailbox by itself
 * ------------------------------------------------------------------------------------- */

static struct mailbox box;

static void *sender_main(void *arg)
{
	struct letter *l = arg;

	for (uint32_t i = 0; i < EACH; i++) {
		l[i].check = i * UINT64_C(7);
		mailbox_put(&box, &l[i].m);
		if (i % 256 == 0)	/* time for the receiver to fall asleep */
			nanosleep(&(struct timespec){ 0, 1000 }, NULL);
	}
	return NULL;
}

static void test_many_senders(void)
{
	pthread_t t[SENDERS];
	unsigned got = 0, slept = 0;

	CU_ASSERT_EQUAL_FATAL(mailbox_init(&box), 0);
	CU_ASSERT(mailbox_empty(&box));
	CU_ASSERT_PTR_NULL(mailbox_get(&box));
	memset(next_number, 0, sizeof(next_number));
	for (unsigned i = 0; i < SENDERS; i++) {
		letters[i] = letters_new(i, nothing);
		pthread_create(&t[i], NULL, sender_main, letters[i]);
	}
	while (got < SENDERS * EACH) {
		struct msg *m = mailbox_get(&box);

		if (m) {
			letter_check((struct letter *)(void *)m);
			got++;
		} else if (mailbox_sleep(&box)) {
			doorbell_sleep(&box.bell);
			slept++;
		}
	}
	for (unsigned i = 0; i < SENDERS; i++) {
		pthread_join(t[i], NULL);
		CU_ASSERT_EQUAL(next_number[i], EACH);
		free(letters[i]);
	}
	CU_ASSERT(mailbox_empty(&box));
	printf("%u messages, slept %u times\n", got, slept);
	mailbox_fini(&box);
}

/* ---- between reactors
 * ------------------------------------------------------------------------------------------- */

static sem_t finished;
static unsigned received;

static void letter_arrived(struct msg *m)
{
	CU_ASSERT_PTR_EQUAL(reactor_self(), reactor_at(0));
	letter_check((struct letter *)(void *)m);
	if (++received == SENDERS * EACH)
		sem_post(&finished);
}

/* In portions, so that senders and receiver go to sleep and wake in between. */
static struct sender {
	struct msg m;
	uint32_t sent;
} senders[SENDERS];

static void send_portion(struct msg *m)
{
	struct sender *s = (struct sender *)(void *)m;
	struct letter *l = letters[s - senders];

	for (unsigned i = 0; i < 100 && s->sent < EACH; i++, s->sent++) {
		l[s->sent].check = s->sent * UINT64_C(7);
		reactor_send(reactor_at(0), &l[s->sent].m);
	}
	if (s->sent < EACH)
		reactor_send(reactor_self(), m);
}

static void between_reactors(enum reactor_driver driver)
{
	struct reactor_options o = { .count = SENDERS + 1, .driver = driver, .workers = 1 };

	if (reactors_start(&o)) {
		CU_ASSERT_EQUAL(driver, DRIVER_URING);
		printf("SKIP io_uring is not to be had\n");
		return;
	}
	sem_init(&finished, 0, 0);
	received = 0;
	memset(next_number, 0, sizeof(next_number));
	for (unsigned i = 0; i < SENDERS; i++) {
		letters[i] = letters_new(i, letter_arrived);
		senders[i] = (struct sender){ .m.fn = send_portion };
		reactor_send(reactor_at(i + 1), &senders[i].m);
	}
	sem_wait(&finished);
	reactors_stop();
	for (unsigned i = 0; i < SENDERS; i++)
		free(letters[i]);
}

static void test_fifo_io_uring(void)
{
	between_reactors(DRIVER_URING);
}

static void test_fifo_epoll(void)
{
	between_reactors(DRIVER_EPOLL);
}

/* ---- jobs
 * ----------------------------------------------------------------------------------------
 */

enum { RECEIVERS = 4 };
static struct jobs jobs;
static unsigned done_jobs;	/* atomic */

static void *receiver_main(void *arg)
{
	struct msg *m;

	while ((m = jobs_get(&jobs))) {
		struct letter *l = (struct letter *)(void *)m;

		if (l->check != l->number * UINT64_C(7))
			abort();
		l->check = 0;
		__atomic_add_fetch(&done_jobs, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *giver_main(void *arg)
{
	struct letter *l = arg;

	for (uint32_t i = 0; i < EACH; i++) {
		l[i].check = i * UINT64_C(7);
		jobs_put(&jobs, &l[i].m);
		if (i % 1000 == 0)
			sched_yield();
	}
	return NULL;
}

static void test_jobs(void)
{
	pthread_t give[2], take[RECEIVERS];
	unsigned want = 2 * EACH;

	CU_ASSERT_EQUAL_FATAL(jobs_init(&jobs), 0);
	for (unsigned i = 0; i < RECEIVERS; i++)
		pthread_create(&take[i], NULL, receiver_main, NULL);
	for (unsigned i = 0; i < 2; i++) {
		letters[i] = letters_new(i, nothing);
		pthread_create(&give[i], NULL, giver_main, letters[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(give[i], NULL);
	for (unsigned i = 0; i < 10000 && __atomic_load_n(&done_jobs, __ATOMIC_RELAXED) < want; i++)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	CU_ASSERT_EQUAL(__atomic_load_n(&done_jobs, __ATOMIC_RELAXED), want);
	jobs_close(&jobs, RECEIVERS);
	for (unsigned i = 0; i < RECEIVERS; i++)
		pthread_join(take[i], NULL);
	for (unsigned i = 0; i < 2; i++)
		free(letters[i]);
	jobs_fini(&jobs);
}

/* ---- slots
 * ----------------------------------------------------------------------------------------
 */

static struct slots slots;
static unsigned slot_senders;	/* atomic: still running */

static void *slot_sender_main(void *arg)
{
	uint32_t who = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < EACH; i++) {
		struct slot *s = slots_claim(&slots);
		uint32_t text[2] = { who, i };

		if (!s) {
			sched_yield();
			continue;
		}
		memcpy(s->data, text, sizeof(text));
		s->len = sizeof(text);
		slots_commit(&slots, s);
	}
	__atomic_sub_fetch(&slot_senders, 1, __ATOMIC_RELEASE);
	doorbell_ring(&slots.bell);
	return NULL;
}

static void test_slots(void)
{
	int64_t last[SENDERS] = { -1, -1, -1 };
	pthread_t t[SENDERS];
	struct slot *s;
	unsigned got = 0, bad = 0, turns = 0;

	CU_ASSERT_EQUAL_FATAL(slots_init(&slots, 64, 8), 0);
	slot_senders = SENDERS;
	for (uintptr_t i = 0; i < SENDERS; i++)
		pthread_create(&t[i], NULL, slot_sender_main, (void *)i);
	for (;;) {
		bool over = !__atomic_load_n(&slot_senders, __ATOMIC_ACQUIRE);

		while ((s = slots_peek(&slots))) {
			uint32_t text[2];

			memcpy(text, s->data, sizeof(text));
			CU_ASSERT_FATAL(s->len == 8 && text[0] < SENDERS);
			if (text[1] <= last[text[0]])
				bad++;
			last[text[0]] = text[1];
			slots_release(&slots, s);
			got++;
		}
		if (over)
			break;
		doorbell_doze(&slots.bell);
		if (slots_peek(&slots) || !__atomic_load_n(&slot_senders, __ATOMIC_ACQUIRE))
			doorbell_awake(&slots.bell);
		else if (turns++ & 1)
			doorbell_nap(&slots.bell, 0);	/* over at once, or just when it rings */
		else
			doorbell_sleep(&slots.bell);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(got + slots_dropped(&slots), SENDERS * EACH);
	printf("%u through, %llu dropped\n", got, (unsigned long long)slots_dropped(&slots));
	slots_fini(&slots);
}

static void test_slots_full(void)
{
	struct slot *s[4];

	CU_ASSERT_EQUAL_FATAL(slots_init(&slots, 4, 8), 0);
	for (unsigned i = 0; i < 4; i++) {
		s[i] = slots_claim(&slots);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s[i]);
	}
	CU_ASSERT_PTR_NULL(slots_claim(&slots));
	CU_ASSERT_EQUAL(slots_dropped(&slots), 1);
	slots_commit(&slots, s[1]);
	CU_ASSERT_PTR_NULL(slots_peek(&slots));	/* the first is not filled yet */
	slots_commit(&slots, s[0]);
	CU_ASSERT_PTR_EQUAL(slots_peek(&slots), s[0]);
	slots_release(&slots, s[0]);
	CU_ASSERT_PTR_EQUAL(slots_claim(&slots), s[0]);
	CU_ASSERT_PTR_EQUAL(slots_peek(&slots), s[1]);
	slots_fini(&slots);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_many_senders),
		UNIT(test_fifo_io_uring),
		UNIT(test_fifo_epoll),
		UNIT(test_jobs),
		UNIT(test_slots),
		UNIT(test_slots_full),
	};

	log_init(LOG_LEVEL_ERROR);
	return unit_run("mailbox", tests, sizeof(tests) / sizeof(tests[0]));
}
