/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says about a block device. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backends/file.h"

bool blockdev_queue(dev_t dev, const char *what, uint64_t *out)
{
	/* A partition has no queue of its own: its disk is the folder above. */
	static const char *const forms[] = {
		"/sys/dev/block/%u:%u/queue/%s", "/sys/dev/block/%u:%u/../queue/%s",
	};
	unsigned long long value;
	char path[128];
	FILE *in;
	int got;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), forms[i], major(dev), minor(dev), what);
		in = fopen(path, "re");
		if (!in)
			continue;
		got = fscanf(in, "%llu", &value);
		fclose(in);
		if (got != 1)
			return false;
		*out = value;
		return true;
	}
	return false;
}

/*
 * A discard (BLKDISCARD) promises nothing about what is read afterwards; write zeroes with leave to
 * unmap does, and that is what fallocate(PUNCH_HOLE) on a device asks for. So a device is thin for
 * us only when it has that.
 */
static uint32_t discard_granularity(dev_t dev, uint32_t logical)
{
	uint64_t zeroes, granularity;

	if (!blockdev_queue(dev, "write_zeroes_max_bytes", &zeroes) || !zeroes ||
	    !blockdev_queue(dev, "discard_granularity", &granularity) || !granularity)
		return 0;
	if (granularity < 4096)
		return 4096;
	if (granularity > 1u << 30 || granularity % logical)
		return 0;
	return (uint32_t)granularity;
}

int blockdev_read(int fd, struct blockdev *out)
{
	uint64_t rotational;
	struct stat st;
	int logical;

	if (fstat(fd, &st) < 0 || ioctl(fd, BLKGETSIZE64, &out->size) < 0 ||
	    ioctl(fd, BLKSSZGET, &logical) < 0)
		return -errno;
	out->logical = (uint32_t)logical;
	out->discard_granularity = discard_granularity(st.st_rdev, out->logical);
	out->rotational = blockdev_queue(st.st_rdev, "rotational", &rotational) && rotational;
	return 0;
}
