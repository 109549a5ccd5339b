/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread sanitizer and liburcu: its queue is inline assembly, which the sanitizer neither
 * instruments nor understands. So in its builds the queue's functions are called in the library (no
 * _LGPL_SOURCE), and the hand-over is declared: release before a message is made visible, acquire
 * after it was taken. Everything else here is compiler atomics, which it knows.
 * tests/tsan/planted_race.c shows that a real race is still reported.
 */
#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif

#ifdef HAVE_TSAN
#include <sanitizer/tsan_interface.h>
#define HANDOVER_GIVE(p) __tsan_release(p)
#define HANDOVER_TAKE(p) __tsan_acquire(p)
#else
#define _LGPL_SOURCE
#define HANDOVER_GIVE(p) ((void)(p))
#define HANDOVER_TAKE(p) ((void)(p))
#endif

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <urcu/compiler.h>
#include <urcu/arch.h>
#include <urcu/wfcqueue.h>

#include "target/mailbox.h"

static void eventfd_post(int fd)
{
	uint64_t one = 1;
	ssize_t n;

	/* It cannot be full: a token is written only for a thread that sleeps. */
	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	assert(n == sizeof(one));
}

static void eventfd_take(int fd)
{
	uint64_t v;
	ssize_t n;

	do
		n = read(fd, &v, sizeof(v));
	while (n < 0 && errno == EINTR);
	assert(n == sizeof(v));
}

/* ---- doorbell ------------------------------------------------------------------------------- */

int doorbell_init(struct doorbell *b)
{
	b->asleep = 0;
	b->fd = eventfd(0, EFD_CLOEXEC);
	return b->fd < 0 ? -errno : 0;
}

void doorbell_fini(struct doorbell *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

void doorbell_ring(struct doorbell *b)
{
	/*
	 * Between what the caller made visible and the look at the flag; pairs with the one in
	 * doorbell_doze().
	 */
	cmm_smp_mb();
	if (__atomic_load_n(&b->asleep, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&b->asleep, 0, __ATOMIC_ACQ_REL))
		eventfd_post(b->fd);
}

void doorbell_doze(struct doorbell *b)
{
	__atomic_store_n(&b->asleep, 1, __ATOMIC_RELAXED);
	cmm_smp_mb();
}

void doorbell_sleep(struct doorbell *b)
{
	eventfd_take(b->fd);
}

void doorbell_nap(struct doorbell *b, int ms)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };

	/* Who has cleared the flag rings, or is about to: not in the midst of the next sleep. */
	if (poll(&p, 1, ms) <= 0 && __atomic_exchange_n(&b->asleep, 0, __ATOMIC_ACQ_REL))
		return;
	eventfd_take(b->fd);
}

void doorbell_awake(struct doorbell *b)
{
	__atomic_store_n(&b->asleep, 0, __ATOMIC_RELAXED);
}

bool doorbell_asleep(const struct doorbell *b)
{
	return __atomic_load_n(&b->asleep, __ATOMIC_RELAXED);
}

/* ---- mailbox -------------------------------------------------------------------------------- */

int mailbox_init(struct mailbox *b)
{
	__cds_wfcq_init(&b->head, &b->tail);
	return doorbell_init(&b->bell);
}

void mailbox_fini(struct mailbox *b)
{
	doorbell_fini(&b->bell);
}

/*
 * To the end of a queue: the sender's part of all that follows. The exchange in it also puts
 * streaming stores in order (backend_settle()); a mere store with release semantics would not.
 */
static void enqueue(struct __cds_wfcq_head *head, struct cds_wfcq_tail *tail, struct msg *m)
{
	cds_wfcq_node_init(&m->node);
	HANDOVER_GIVE(tail);
	cds_wfcq_enqueue(head, tail, &m->node);
}

void mailbox_put_quietly(struct mailbox *b, struct msg *m)
{
	enqueue(&b->head, &b->tail, m);
}

void mailbox_put(struct mailbox *b, struct msg *m)
{
	mailbox_put_quietly(b, m);
	doorbell_ring(&b->bell);
}

/*
 * Never the blocking variants: they poll(2) for 10 ms when a sender was preempted between its two
 * stores, and with it every connection of this reactor.
 */
struct msg *mailbox_get(struct mailbox *b)
{
	struct cds_wfcq_node *n = __cds_wfcq_dequeue_nonblocking(&b->head, &b->tail);

	if (!n || n == CDS_WFCQ_WOULDBLOCK)
		return NULL;
	HANDOVER_TAKE(&b->tail);
	return caa_container_of(n, struct msg, node);
}

bool mailbox_empty(struct mailbox *b)
{
	return cds_wfcq_empty(&b->head, &b->tail);
}

bool mailbox_sleep(struct mailbox *b)
{
	doorbell_doze(&b->bell);
	if (mailbox_empty(b))
		return true;
	doorbell_awake(&b->bell);
	return false;
}

/* ---- piles ---------------------------------------------------------------------------------- */

int pile_init(struct pile *p)
{
	__cds_wfcq_init(&p->head, &p->tail);
	return -pthread_mutex_init(&p->lock, NULL);
}

void pile_fini(struct pile *p)
{
	pthread_mutex_destroy(&p->lock);
}

void pile_put(struct pile *p, struct msg *m)
{
	enqueue(&p->head, &p->tail, m);
}

struct msg *pile_get(struct pile *p)
{
	struct cds_wfcq_node *n;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		n = __cds_wfcq_dequeue_nonblocking(&p->head, &p->tail);
		pthread_mutex_unlock(&p->lock);
		if (n != CDS_WFCQ_WOULDBLOCK)
			break;
		sched_yield();
	}
	if (!n)
		return NULL;
	HANDOVER_TAKE(&p->tail);
	return caa_container_of(n, struct msg, node);
}

/* ---- jobs ----------------------------------------------------------------------------------- */

int jobs_init(struct jobs *q)
{
	int err = pile_init(&q->pile);

	if (err)
		return err;
	q->sleepers = 0;
	q->closed = 0;
	if (!sem_init(&q->tokens, 0, 0))
		return 0;
	err = -errno;
	pile_fini(&q->pile);
	return err;
}

void jobs_fini(struct jobs *q)
{
	sem_destroy(&q->tokens);
	pile_fini(&q->pile);
}

static void token_put(struct jobs *q)
{
	int err = sem_post(&q->tokens);

	assert(!err);			/* no more than there are receivers */
	(void)err;
}

static void token_take(struct jobs *q)
{
	int err;

	do
		err = sem_wait(&q->tokens);
	while (err && errno == EINTR);
	assert(!err);
}

/* One sleeper less, if there is any: whoever takes it off the count settles its token. */
static bool jobs_claim_sleeper(struct jobs *q)
{
	unsigned n = __atomic_load_n(&q->sleepers, __ATOMIC_RELAXED);

	while (n)
		if (__atomic_compare_exchange_n(&q->sleepers, &n, n - 1, true, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

void jobs_put(struct jobs *q, struct msg *m)
{
	pile_put(&q->pile, m);
	cmm_smp_mb();			/* pairs with the one in jobs_wait() */
	if (jobs_claim_sleeper(q))
		token_put(q);
}

static void jobs_wait(struct jobs *q)
{
	__atomic_add_fetch(&q->sleepers, 1, __ATOMIC_RELAXED);
	cmm_smp_mb();
	if ((!cds_wfcq_empty(&q->pile.head, &q->pile.tail) ||
	     __atomic_load_n(&q->closed, __ATOMIC_RELAXED)) &&
	    jobs_claim_sleeper(q))
		return;			/* took (some) sleeper off: no token was written for it */
	token_take(q);
}

struct msg *jobs_get(struct jobs *q)
{
	struct msg *m;

	for (;;) {
		if (__atomic_load_n(&q->closed, __ATOMIC_ACQUIRE))
			return NULL;
		m = pile_get(&q->pile);
		if (m)
			return m;
		jobs_wait(q);
	}
}

void jobs_close(struct jobs *q, unsigned receivers)
{
	__atomic_store_n(&q->closed, 1, __ATOMIC_RELEASE);
	cmm_smp_mb();
	/* A token for each, asleep or about to be: nobody sleeps here again. */
	while (receivers--)
		token_put(q);
}

/* ---- slots ---------------------------------------------------------------------------------- */

/*
 * A ring of n slots. For the ticket t (counting up) slot t % n has seq == t when it may be filled,
 * t + 1 when it is filled and may be read; the reader leaves it with t + n, the ticket that comes
 * there next.
 */
static struct slot *slots_at(const struct slots *s, uint64_t ticket)
{
	return (struct slot *)(void *)(s->mem + (ticket & s->mask) * s->stride);
}

int slots_init(struct slots *s, uint32_t n, size_t bytes)
{
	int err;

	assert(n && !(n & (n - 1)));
	*s = (struct slots){ .mask = n - 1 };
	s->stride = (sizeof(struct slot) + bytes + 63) / 64 * 64;
	s->mem = aligned_alloc(64, s->stride * n);
	if (!s->mem)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		slots_at(s, i)->seq = i;
	err = doorbell_init(&s->bell);
	if (err) {
		free(s->mem);
		s->mem = NULL;
	}
	return err;
}

void slots_fini(struct slots *s)
{
	doorbell_fini(&s->bell);
	free(s->mem);
	s->mem = NULL;
}

struct slot *slots_claim(struct slots *s)
{
	uint64_t t = __atomic_load_n(&s->head, __ATOMIC_RELAXED);

	for (;;) {
		struct slot *slot = slots_at(s, t);
		uint64_t seq = __atomic_load_n(&slot->seq, __ATOMIC_ACQUIRE);

		if (seq == t) {
			if (__atomic_compare_exchange_n(&s->head, &t, t + 1, true, __ATOMIC_RELAXED,
							__ATOMIC_RELAXED))
				return slot;
		} else if ((int64_t)(seq - t) < 0) {	/* not read yet since the last time round */
			__atomic_add_fetch(&s->dropped, 1, __ATOMIC_RELAXED);
			return NULL;
		} else {
			t = __atomic_load_n(&s->head, __ATOMIC_RELAXED);
		}
	}
}

void slots_commit(struct slots *s, struct slot *slot)
{
	/* Still the ticket's value: only the claimer writes it now. */
	__atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELEASE);
	doorbell_ring(&s->bell);
}

struct slot *slots_peek(struct slots *s)
{
	struct slot *slot = slots_at(s, s->tail);

	return __atomic_load_n(&slot->seq, __ATOMIC_ACQUIRE) == s->tail + 1 ? slot : NULL;
}

void slots_release(struct slots *s, struct slot *slot)
{
	assert(slot == slots_at(s, s->tail));
	__atomic_store_n(&slot->seq, s->tail + s->mask + 1, __ATOMIC_RELEASE);
	s->tail++;
}

uint64_t slots_dropped(const struct slots *s)
{
	return __atomic_load_n(&s->dropped, __ATOMIC_RELAXED);
}
