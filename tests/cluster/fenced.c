/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that does not know it is fenced: writes to its part of a block device and goes on whatever
 * comes of it.
 *
 *	fenced DEVICE FIRST_MIB MIBS LANES SECONDS STOPFILE
 *
 * Ends after SECONDS or as soon as STOPFILE exists, and prints how many writes succeeded and
 * failed, how many succeeded that were begun after the first had failed (a fence that leaks), and
 * how long the longest took.
 */
#include "stamp.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MIB = 1 << 20, BLOCK = 4096, LONGEST = 16 }; /* bytes; blocks of one write */

static int disk;
static uint64_t first_block, blocks, stop_ms;
static const char *stop_file;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long written, failed, late, longest;
static bool any_failed;

static bool failed_yet(void)
{
	bool r;

	pthread_mutex_lock(&lock);
	r = any_failed;
	pthread_mutex_unlock(&lock);
	return r;
}

static void count(bool good, bool after, uint64_t ms)
{
	pthread_mutex_lock(&lock);
	written += good;
	late += good && after;
	failed += !good;
	any_failed = any_failed || !good;
	longest = ms > longest ? ms : longest;
	pthread_mutex_unlock(&lock);
}

static void *lane(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	char *data = aligned_alloc(BLOCK, LONGEST * BLOCK);

	if (!data)
		err(1, "buffer");
	memset(data, 'x', LONGEST * BLOCK);
	while (stamp_now_ms() < stop_ms && access(stop_file, F_OK)) {
		size_t n = 1 + (size_t)rand_r(&seed) % LONGEST;
		uint64_t block = first_block + (uint64_t)rand_r(&seed) % (blocks - n + 1);
		uint64_t start = stamp_now_ms();
		bool after = failed_yet();
		ssize_t got = pwrite(disk, data, n * BLOCK, (off_t)(block * BLOCK));

		count(got == (ssize_t)(n * BLOCK), after, stamp_now_ms() - start);
		if (got < 0)
			usleep(2000); /* the other node needs the processor, too */
	}
	free(data);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[STAMP_LANES_MAX];
	int lanes = argc == 7 ? atoi(argv[4]) : 0;

	if (lanes < 1 || lanes > STAMP_LANES_MAX)
		errx(2, "usage: fenced DEVICE FIRST_MIB MIBS LANES SECONDS STOPFILE");
	disk = open(argv[1], O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		err(1, "%s", argv[1]);
	first_block = strtoull(argv[2], NULL, 0) * (MIB / BLOCK);
	blocks = strtoull(argv[3], NULL, 0) * (MIB / BLOCK);
	if (blocks < LONGEST)
		errx(2, "no room");
	stop_ms = stamp_now_ms() + 1000 * (uint64_t)atoi(argv[5]);
	stop_file = argv[6];
	for (int i = 0; i < lanes; i++)
		if (pthread_create(&thread[i], NULL, lane, (void *)(uintptr_t)(i + 1)))
			errx(1, "thread");
	for (int i = 0; i < lanes; i++)
		pthread_join(thread[i], NULL);
	printf("%lu writes, %lu failed, %lu got through after that, the longest %lu ms\n", written,
	       failed, late, longest);
	return 0;
}
