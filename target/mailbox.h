/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand-over between threads. Everything in Holdfast that one thread gives to another goes through
 * this file: messages to a reactor, jobs to the workers, lines to the logger. It is one file
 * because the thread sanitizer cannot see into liburcu's queue and has to be told, and because it
 * must be possible to read all of it.
 */
#ifndef TARGET_MAILBOX_H
#define TARGET_MAILBOX_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/wfcqueue.h>

#include "target/reactor.h"

/*
 * Wakes one thread that sleeps on an eventfd, and costs no system call while that thread is awake.
 * The sleeper says that it is about to sleep, looks again for what it would sleep through, and
 * sleeps; the waker makes its thing visible, then looks whether someone sleeps. With a full barrier
 * between the two steps on either side one of them sees the other.
 */
struct doorbell {
	int fd;				/* eventfd, blocking reads */
	unsigned asleep;		/* atomic */
};

int doorbell_init(struct doorbell *b);		/* 0 or -errno */
void doorbell_fini(struct doorbell *b);
void doorbell_ring(struct doorbell *b);		/* any thread: wakes the sleeper, if there is one */
void doorbell_doze(
	struct doorbell *b); /* the sleeper: from now on ring me. Then look again, then sleep */
void doorbell_sleep(struct doorbell *b); /* the sleeper, after doorbell_doze(): until it rings.
					    Reactors wait in their driver instead */
/* The same, for ms milliseconds at most; a signal that the thread takes ends it, too. */
void doorbell_nap(struct doorbell *b, int ms);
void doorbell_awake(struct doorbell *b);	/* the sleeper: I am awake anyway */
bool doorbell_asleep(const struct doorbell *b);	/* any thread; a snapshot */

/* ---- messages to one reactor: many senders, one receiver
 * ---------------------------------------------- */

struct mailbox {
	struct cds_wfcq_tail tail;	/* the senders' */
	struct __cds_wfcq_head head __attribute__((aligned(64)));	/* the receiver's */
	struct doorbell bell __attribute__((aligned(64)));
};

int mailbox_init(struct mailbox *b);		/* 0 or -errno */
void mailbox_fini(struct mailbox *b);		/* what is still in it is forgotten */

/* Any thread; wait-free. The message belongs to the receiver from here on: not even to be looked
 * at. */
void mailbox_put(struct mailbox *b, struct msg *m);
/*
 * The same, but a receiver that sleeps is not woken: it finds the message when it wakes up, or when
 * the sender rings b->bell.
 */
void mailbox_put_quietly(struct mailbox *b, struct msg *m);

/* Receiver. The oldest message, NULL when there is none, or none yet: a sender is half way through,
 * see mailbox_empty(). */
struct msg *mailbox_get(struct mailbox *b);
bool mailbox_empty(struct mailbox *b);		/* receiver; false also for a message half way in */

/* Receiver: true: sleep now, senders will ring bell.fd; false: there is something to do. */
bool mailbox_sleep(struct mailbox *b);

/* ---- piles: many senders, many receivers, nobody waits for a message to come --------------- */

struct pile {
	struct cds_wfcq_tail tail;
	struct __cds_wfcq_head head __attribute__((aligned(64)));
	pthread_mutex_t lock;		/* among receivers only: a sender never waits */
};

int pile_init(struct pile *p);			/* 0 or -errno */
void pile_fini(struct pile *p);			/* what is still in it is forgotten */
void pile_put(struct pile *p, struct msg *m);	/* any thread; wait-free */
/* The oldest, NULL: empty. May wait for a sender that is half way through: not on a reactor. */
struct msg *pile_get(struct pile *p);

/* ---- jobs for a pool of threads: a pile, and sleep ------------------------------------------ */

struct jobs {
	struct pile pile;
	sem_t tokens;	   /* one for each receiver to be woken: an eventfd would wake them all */
	unsigned sleepers; /* atomic: receivers asleep for which no token was written yet */
	unsigned closed;		/* atomic */
};

int jobs_init(struct jobs *q);			/* 0 or -errno */
void jobs_fini(struct jobs *q);
void jobs_put(struct jobs *q, struct msg *m);	/* any thread; wait-free */
struct msg *jobs_get(struct jobs *q); /* waits; NULL once closed, whatever is still queued */
void jobs_close(struct jobs *q, unsigned receivers);	/* ends every jobs_get() */

/* ---- fixed-size records to one thread, dropped when it is behind: many senders, one receiver
 * -------------- */

struct slot {
	uint64_t seq;			/* atomic: whose turn it is, see mailbox.c */
	uint32_t len;			/* bytes used of data */
	char data[];
};

struct slots {
	char *mem;
	size_t stride;
	uint32_t mask;
	struct doorbell bell;
	uint64_t head __attribute__((aligned(64)));	/* atomic: next to claim */
	uint64_t tail __attribute__((aligned(64)));	/* the receiver's */
	uint64_t dropped;		/* atomic */
};

int slots_init(struct slots *s, uint32_t n, size_t bytes);	/* n: a power of two; 0 or -errno */
void slots_fini(struct slots *s);
struct slot *slots_claim(struct slots *s);	/* any thread; NULL: full, and counted */
void slots_commit(struct slots *s, struct slot *slot);
struct slot *slots_peek(struct slots *s);	/* receiver; NULL: nothing to be had now */
void slots_release(struct slots *s, struct slot *slot);	/* receiver; the one peeked */
uint64_t slots_dropped(const struct slots *s);

/* ---- single values one thread writes and others read
 * ------------------------------------------------------ */

static inline void counter_set(uint64_t *c, uint64_t v)
{
	__atomic_store_n(c, v, __ATOMIC_RELAXED);
}

/* Only for the one thread that writes c. */
static inline void counter_add(uint64_t *c, uint64_t n)
{
	counter_set(c, *c + n);
}

static inline uint64_t counter_get(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

#endif
