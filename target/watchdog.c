/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "target/driver.h"
#include "target/log.h"
#include "target/watchdog.h"

struct watched {
	uint64_t turns;
	uint64_t stalled_ms;
};

static struct {
	pthread_t thread;
	int end;			/* eventfd; 0: not started */
	unsigned stall_ms;
	struct watched *watched;
} dog;

/*
 * A tick counts for no more than twice its length: when the whole process was stopped (SIGSTOP, a
 * suspended machine), the clock went on and nobody turned, and that is no stall.
 */
static void dog_tick(uint64_t passed_ms, unsigned tick_ms)
{
	if (passed_ms > 2 * tick_ms)
		passed_ms = 2 * tick_ms;
	for (unsigned i = 0; i < reactor_count(); i++) {
		struct watched *w = &dog.watched[i];
		bool asleep;
		uint64_t turns = reactor_turns(reactor_at(i), &asleep);

		w->stalled_ms = asleep || turns != w->turns ? 0 : w->stalled_ms + passed_ms;
		w->turns = turns;
		if (w->stalled_ms < dog.stall_ms)
			continue;
		log_last_words("event=reactor_stalled reactor=%u ms=%llu effect=abort", i,
			       (unsigned long long)w->stalled_ms);
		abort();
	}
}

static void *dog_main(void *arg)
{
	unsigned tick_ms = dog.stall_ms / 5 ? dog.stall_ms / 5 : 1;
	uint64_t last = clock_ns() / 1000000;

	for (;;) {
		struct pollfd p = { .fd = dog.end, .events = POLLIN };
		uint64_t now;

		if (poll(&p, 1, (int)tick_ms) > 0)
			return NULL;
		now = clock_ns() / 1000000;
		dog_tick(now - last, tick_ms);
		last = now;
	}
}

int watchdog_start(unsigned stall_ms)
{
	int err;

	dog.stall_ms = stall_ms;
	dog.watched = calloc(reactor_count(), sizeof(*dog.watched));
	if (!dog.watched)
		return -ENOMEM;
	dog.end = eventfd(0, EFD_CLOEXEC);
	err = dog.end < 0 ? -errno : -pthread_create(&dog.thread, NULL, dog_main, NULL);
	if (!err) {
		pthread_setname_np(dog.thread, "hf-dog");
		return 0;
	}
	if (dog.end >= 0)
		close(dog.end);
	free(dog.watched);
	dog.watched = NULL;
	return err;
}

void watchdog_stop(void)
{
	uint64_t one = 1;

	if (!dog.watched)
		return;
	if (write(dog.end, &one, sizeof(one)) < 0)
		abort();
	pthread_join(dog.thread, NULL);
	close(dog.end);
	free(dog.watched);
	dog.watched = NULL;
}
