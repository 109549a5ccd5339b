/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "target/hex.h"
#include "target/state_file.h"

void state_name(char out[STATE_NAME_MAX], const uint8_t uuid[16], const char *kind)
{
	char hex[33];

	hex_put(hex, uuid, 16);
	snprintf(out, STATE_NAME_MAX, "lu-%s.%s", hex, kind);
}

int state_write(int fd, const void *p, size_t n, uint64_t off)
{
	const uint8_t *at = p;

	while (n) {
		ssize_t w = pwrite(fd, at, n, (off_t)off);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w ? -errno : -EIO;
		at += w;
		off += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

int state_sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	int fd, err;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}
