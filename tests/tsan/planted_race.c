/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A race on purpose: writes to a message after sending it. liburcu's queue is annotated in
 *target/mailbox.c, and an annotation that says too much would hide every such mistake. So `make
 *tsan` builds this too, with the sanitizer, and the run must fail:
 *
 *	make SAN=thread B=build-tsan build-tsan/libshell.a
 *	gcc -std=gnu11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=thread tests/tsan/planted_race.c
 *build-tsan/libshell.a \ -lurcu-common -luring -laio -lpthread -o build-tsan/planted_race
 *	build-tsan/planted_race race     exit status 66 and "WARNING: ThreadSanitizer: data race" in
 *letter_read or main build-tsan/planted_race          exit status 0: the same without the mistake
 *is clean
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "target/mailbox.h"

enum { LETTERS = 1000 };

static struct letter {
	struct msg m;
	int text;
} letters[LETTERS];

static struct mailbox box;
static long sum;

static void letter_read(struct msg *m)
{
	sum += ((struct letter *)(void *)m)->text;
}

static void *receiver(void *arg)
{
	for (unsigned got = 0; got < LETTERS;) {
		struct msg *m = mailbox_get(&box);

		if (m) {
			m->fn(m);
			got++;
		} else if (mailbox_sleep(&box)) {
			doorbell_sleep(&box.bell);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	bool race = argc > 1 && !strcmp(argv[1], "race");
	pthread_t t;

	if (mailbox_init(&box) || pthread_create(&t, NULL, receiver, NULL))
		return 1;
	for (int i = 0; i < LETTERS; i++) {
		letters[i].m.fn = letter_read;
		letters[i].text = i;
		mailbox_put(&box, &letters[i].m);
		if (race)
			letters[i].text = i;	/* not ours any more */
	}
	pthread_join(t, NULL);
	printf("%ld\n", sum);
	mailbox_fini(&box);
	return 0;
}
