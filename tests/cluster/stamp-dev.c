/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamps on a block device, through the kernel. One thread a lane.
 *
 *	stamp-dev run DEVICE LEDGER MODES LANES SECONDS STOPFILE
 *	stamp-dev check DEVICE LEDGER
 *
 * `run` ends after SECONDS or as soon as STOPFILE exists. Any I/O error ends it with status 1: the
 * disk may make a program wait, not fail.
 */
#include "stamp.h"

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int disk;
static const char *stop_file;
static uint64_t stop_ms;

static void *lane_run(void *arg)
{
	struct stamp_lane *lane = arg;
	struct iovec iov;
	uint64_t sector;

	iov.iov_base = aligned_alloc(4096, STAMP_WRITE_MAX * STAMP_SECTOR);
	if (!iov.iov_base)
		err(1, "buffer");
	while (stamp_now_ms() < stop_ms && access(stop_file, F_OK)) {
		sector = stamp_write_start(lane, iov.iov_base);
		iov.iov_len = (size_t)lane->count * STAMP_SECTOR;
		if (pwritev2(disk, &iov, 1, (off_t)(sector * STAMP_SECTOR),
			     lane->mode == STAMP_FUA ? RWF_DSYNC : 0) != (ssize_t)iov.iov_len)
			err(1, "write of sector %llu", (unsigned long long)sector);
		stamp_write_done(lane);
		if (!stamp_flush_due(lane))
			continue;
		if (fdatasync(disk))
			err(1, "flush");
		stamp_flush_done(lane);
	}
	free(iov.iov_base);
	return NULL;
}

static int dev_read(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	return pread(disk, data, (size_t)count * STAMP_SECTOR, (off_t)(sector * STAMP_SECTOR)) !=
	       (ssize_t)count * STAMP_SECTOR;
}

int main(int argc, char **argv)
{
	static struct stamp_ledger l;
	pthread_t thread[STAMP_LANES_MAX];
	uint64_t forgotten, bad;
	unsigned int i;
	bool run = argc == 8 && !strcmp(argv[1], "run");

	if (!run && !(argc == 4 && !strcmp(argv[1], "check")))
		errx(2, "usage: stamp-dev run DEVICE LEDGER MODES LANES SECONDS STOPFILE | check "
			"DEVICE LEDGER");
	disk = open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		err(1, "%s", argv[2]);
	stamp_open(&l, argv[3], run ? (unsigned int)atoi(argv[5]) : 0, run ? argv[4] : "fua");
	if (!run) {
		bad = stamp_check(&l, dev_read, NULL, &forgotten);
		stamp_save(&l, argv[3]);
		return bad != 0;
	}
	stop_ms = stamp_now_ms() + 1000 * (uint64_t)atoi(argv[6]);
	stop_file = argv[7];
	for (i = 0; i < l.lanes; i++)
		if (pthread_create(&thread[i], NULL, lane_run, &l.lane[i]))
			errx(1, "thread");
	for (i = 0; i < l.lanes; i++)
		pthread_join(thread[i], NULL);
	stamp_save(&l, argv[3]);
	stamp_report(&l, stdout);
	return 0;
}
