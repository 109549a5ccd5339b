/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places for the backends' tests to keep files: tmpfs, ext4 and XFS in loop files, and loop devices
 * themselves.
 */
#ifndef TESTS_BACKEND_MEDIA_H
#define TESTS_BACKEND_MEDIA_H

#include <ftw.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

struct medium {
	const char *name;
	const char *make;		/* shell: $F its image, $D its folder; prints its path */
	const char *remove;		/* shell: $P is what make printed */
	bool device;
	char path[128];
	char why[160];			/* why it is not there; empty: it is */
};

static struct medium media[] = {
	{ .name = "tmpfs" },
	{ .name = "ext4",
	  .make = "truncate -s 300M $F && mkfs.ext4 -q -F $F && mount -o loop $F $D && echo $D",
	  .remove = "umount $P" },
	{ .name = "xfs",
	  .make = "truncate -s 400M $F && mkfs.xfs -q -f $F && mount -o loop $F $D && echo $D",
	  .remove = "umount $P" },
	{ .name = "loop512",
	  .make = "truncate -s 64M $F && losetup -f --show $F",
	  .remove = "losetup -d $P",
	  .device = true },
	{ .name = "loop4096",
	  .make = "truncate -s 64M $F && losetup -f --show -b 4096 --direct-io=on $F",
	  .remove = "losetup -d $P",
	  .device = true },
	/* One whose file system can be frozen, $D: what is written to it then hangs. */
	{ .name = "loopice",
	  .make = "truncate -s 100M $F && mkfs.ext4 -q -F $F && mount -o loop $F $D && "
		  "truncate -s 64M $D/f && losetup -f --show $D/f",
	  .remove = "losetup -d $P; umount $D",
	  .device = true },
	/* Eight megabytes, and a device of 64 over them. */
	{ .name = "full",
	  .make = "mount -t tmpfs -o size=8M none $D && echo $D",
	  .remove = "umount $P" },
	{ .name = "loopfull",
	  .make = "mount -t tmpfs -o size=8M none $D && truncate -s 64M $D/f && "
		  "losetup -f --show $D/f",
	  .remove = "losetup -d $P; umount $D",
	  .device = true },
};
#define MEDIA (sizeof(media) / sizeof(media[0]))

static char media_top[64];

static inline void medium_make(struct medium *m)
{
	char cmd[512];
	FILE *out;

	m->why[0] = 0;
	if (!m->make) {
		snprintf(m->path, sizeof(m->path), "/dev/shm/%s", strrchr(media_top, '/') + 1);
		if (mkdir(m->path, 0700))
			snprintf(m->why, sizeof(m->why), "no /dev/shm");
		return;
	}
	if (geteuid()) {
		snprintf(m->why, sizeof(m->why), "needs root");
		return;
	}
	snprintf(cmd, sizeof(cmd),
		 "export PATH=$PATH:/sbin:/usr/sbin; F=%s/%s.img; D=%s/%s; mkdir -p $D; "
		 "{ %s; } 2>>%s/log",
		 media_top, m->name, media_top, m->name, m->make, media_top);
	out = popen(cmd, "r");
	if (!out || !fgets(m->path, sizeof(m->path), out))
		snprintf(m->why, sizeof(m->why), "could not be made (no loop devices, or no mkfs)");
	m->path[strcspn(m->path, "\n")] = 0;
	if (out && pclose(out) && !m->why[0])
		snprintf(m->why, sizeof(m->why), "could not be made");
}

static inline void media_remove(void);

/*
 * Makes them, and leaves a process behind that removes them when this one ends, however it does.
 * Before there are threads.
 */
static inline void media_make(void)
{
	int status = 0;
	pid_t pid;

	const char *tmp = getenv("TMPDIR");

	snprintf(media_top, sizeof(media_top), "%s/holdfast-XXXXXX",
		 tmp && strlen(tmp) < 32 ? tmp : "/tmp");
	if (!mkdtemp(media_top))
		abort();
	for (unsigned i = 0; i < MEDIA; i++)
		medium_make(&media[i]);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid)
		return;
	waitpid(pid, &status, 0);
	media_remove();
	if (WIFSIGNALED(status))
		fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static inline void media_remove(void)
{
	char cmd[512];

	for (unsigned i = 0; i < MEDIA; i++) {
		if (media[i].why[0] || !media[i].remove)
			continue;
		snprintf(cmd, sizeof(cmd), "export PATH=$PATH:/sbin:/usr/sbin; P=%s; D=%s/%s; %s",
			 media[i].path, media_top, media[i].name, media[i].remove);
		if (system(cmd))
			fprintf(stderr, "left behind: %s\n", media[i].path);
	}
	snprintf(cmd, sizeof(cmd), "rm -rf --one-file-system %s /dev/shm/%s", media_top,
		 strrchr(media_top, '/') + 1);
	if (system(cmd))
		fprintf(stderr, "left behind: %s\n", media_top);
}

static inline const struct medium *media_find(const char *name)
{
	for (unsigned i = 0; i < MEDIA; i++)
		if (!strcmp(media[i].name, name))
			return &media[i];
	abort();
}

#endif
