/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <semaphore.h>

#include "target/rcall.h"
#include "target/reactor.h"

struct rcall {
	struct msg msg;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void rcall_here(struct msg *m)
{
	struct rcall *c = caa_container_of(m, struct rcall, msg);

	c->fn(c->arg);
	sem_post(&c->done);
}

void rcall_each(void (*fn)(void *arg), void *arg)
{
	assert(!reactor_self());
	for (unsigned i = 0; i < reactor_count(); i++) {
		struct rcall c = { .msg.fn = rcall_here, .fn = fn, .arg = arg };

		sem_init(&c.done, 0, 0);
		reactor_send(reactor_at(i), &c.msg);
		while (sem_wait(&c.done))
			;
		sem_destroy(&c.done);
	}
}

static void nothing(void *arg)
{
}

void rcall_flush(void)
{
	rcall_each(nothing, NULL);
}
