/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU time of another process, all its threads (io_uring's kernel workers are threads of it
 * too), from /proc/PID/task/TID/schedstat, in nanoseconds; where the kernel has no schedstat, from
 * /proc/PID/stat in clock ticks. Threads that ended before the second look are missed, so compare
 * only processes with steady threads.
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct proc_cpu {
	uint64_t ns;			/* user + system */
	uint64_t runs;			/* times a thread was put on a core; 0 when unknown */
};

static inline bool proc_ticks(long pid, struct proc_cpu *c)
{
	char path[64], line[1024], *p;
	uint64_t user, sys;
	FILE *f;
	bool ok = false;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f) && (p = strrchr(line, ')')) &&
	    sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
		   &user, &sys) == 2) {
		c->ns = (user + sys) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
		c->runs = 0;
		ok = true;
	}
	fclose(f);
	return ok;
}

/* False when there is no such process. */
static inline bool proc_cpu(long pid, struct proc_cpu *c)
{
	char path[320];
	struct dirent *d;
	DIR *dir;
	bool any = false;

	memset(c, 0, sizeof(*c));
	snprintf(path, sizeof(path), "/proc/%ld/task", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((d = readdir(dir))) {
		uint64_t ns, runs;
		FILE *f;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/task/%s/schedstat", pid, d->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%" SCNu64 " %*u %" SCNu64, &ns, &runs) == 2) {
			c->ns += ns;
			c->runs += runs;
			any = true;
		}
		fclose(f);
	}
	closedir(dir);
	return any || proc_ticks(pid, c);
}

/* Resident bytes of a process, 0 when there is none. */
static inline uint64_t proc_rss(long pid)
{
	char path[64];
	uint64_t pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/statm", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%*u %" SCNu64, &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

#endif
