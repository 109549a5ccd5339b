/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamps on a block device, or a file, through the kernel. One thread a lane.
 *
 *	stamp-dev [-b] [-l LANE] [-t TRACK] [-w MS] run DEVICE LEDGER MODES LANES SECONDS STOPFILE
 *	stamp-dev [-b] check DEVICE LEDGER
 *	stamp-dev replay TRACK LEDGER
 *
 * `run` ends after SECONDS or as soon as STOPFILE exists. Any I/O error ends it with status 1: the
 * disk may make a program wait, not fail. -b goes through the page cache, else it is O_DIRECT. -l:
 * the first lane's number, so that several programs can write one disk. -t keeps in TRACK, a file
 * of the host, what was acknowledged; of a machine that died `replay` makes the ledger from it. -w:
 * a rest after each write.
 */
#include "stamp.h"

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int disk, track_file = -1;
static struct stamp_ledger ledger;
static struct stamp_track track;
static const char *stop_file;
static useconds_t rest_us;
static uint64_t stop_ms;

/* Noted before anything else is done; O_DSYNC brings it to the host. */
static void track_note(const struct stamp_lane *lane)
{
	size_t i = (size_t)(lane - ledger.lane);

	track.lane[i].acks++;
	if (track_file >= 0 &&
	    pwrite(track_file, &track.lane[i].acks, sizeof(track.lane[i].acks),
		   (off_t)offsetof(struct stamp_track, lane[i].acks)) != sizeof(track.lane[i].acks))
		err(1, "track");
}

static void track_start(const char *path)
{
	stamp_track_start(&ledger, &track);
	track_file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_DSYNC | O_CLOEXEC, 0644);
	if (track_file < 0 || write(track_file, &track, sizeof(track)) != sizeof(track))
		err(1, "%s", path);
}

static int replay(const char *from, const char *to)
{
	FILE *f = fopen(from, "r");

	if (!f || fread(&track, sizeof(track), 1, f) != 1)
		err(1, "%s", from);
	fclose(f);
	stamp_track_replay(&track, &ledger);
	stamp_save(&ledger, to);
	stamp_report(&ledger, stdout);
	return 0;
}

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
		track_note(lane);
		if (rest_us)
			usleep(rest_us);
		if (!stamp_flush_due(lane))
			continue;
		if (fdatasync(disk))
			err(1, "flush");
		stamp_flush_done(lane);
		track_note(lane);
	}
	free(iov.iov_base);
	return NULL;
}

static int dev_read(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	return pread(disk, data, (size_t)count * STAMP_SECTOR, (off_t)(sector * STAMP_SECTOR)) !=
	       (ssize_t)count * STAMP_SECTOR;
}

static int run(char **argv, unsigned int first, const char *track_path)
{
	pthread_t thread[STAMP_LANES_MAX];
	struct stamp_ledger *l = &ledger;
	bool old = !access(argv[1], F_OK);
	unsigned int i;

	stamp_open(l, argv[1], (unsigned int)atoi(argv[3]), argv[2]);
	if (old && (first || track_path))
		errx(2, "%s goes on where it was: not with -l or -t", argv[1]);
	for (i = 0; i < l->lanes; i++)
		l->lane[i].index += first;
	if (track_path)
		track_start(track_path);
	stop_ms = stamp_now_ms() + 1000 * (uint64_t)atoi(argv[4]);
	stop_file = argv[5];
	for (i = 0; i < l->lanes; i++)
		if (pthread_create(&thread[i], NULL, lane_run, &l->lane[i]))
			errx(1, "thread");
	for (i = 0; i < l->lanes; i++)
		pthread_join(thread[i], NULL);
	stamp_save(l, argv[1]);
	stamp_report(l, stdout);
	return 0;
}

static int check(char **argv)
{
	uint64_t forgotten, bad;

	stamp_open(&ledger, argv[1], 0, "fua");
	bad = stamp_check(&ledger, dev_read, NULL, &forgotten);
	stamp_save(&ledger, argv[1]);
	return bad != 0;
}

int main(int argc, char **argv)
{
	const char *track_path = NULL, *verb;
	unsigned int first = 0;
	int c, direct = O_DIRECT;

	while ((c = getopt(argc, argv, "+bl:t:w:")) != -1)
		if (c == 'b')
			direct = 0;
		else if (c == 'l')
			first = (unsigned int)atoi(optarg);
		else if (c == 't')
			track_path = optarg;
		else if (c == 'w')
			rest_us = (useconds_t)atoi(optarg) * 1000;
		else
			return 2;
	argc -= optind;
	argv += optind;
	verb = argc ? argv[0] : "";
	if (argc == 3 && !strcmp(verb, "replay"))
		return replay(argv[1], argv[2]);
	if (!(argc == 7 && !strcmp(verb, "run")) && !(argc == 3 && !strcmp(verb, "check")))
		errx(2, "usage: stamp-dev [-b] [-l LANE] [-t TRACK] [-w MS] run DEVICE LEDGER "
			"MODES LANES SECONDS STOPFILE | [-b] check DEVICE LEDGER | replay TRACK "
			"LEDGER");
	disk = open(argv[1], O_RDWR | direct | O_CLOEXEC);
	if (disk < 0)
		err(1, "%s", argv[1]);
	return *verb == 'r' ? run(argv + 1, first, track_path) : check(argv + 1);
}
