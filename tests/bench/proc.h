/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU time of another process, all its threads, those that ended as well (io_uring's kernel
 * workers are threads of it, and come and go), from its CPU clock, in nanoseconds. How often they
 * were put on a core is in /proc/PID/task/TID/schedstat, without those that ended.
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct proc_cpu {
	uint64_t ns;			/* user + system */
	uint64_t runs;			/* times a thread was put on a core; 0 when unknown */
};

static inline uint64_t proc_runs(long pid)
{
	uint64_t all = 0, runs;
	char path[320];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%ld/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		FILE *f;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/task/%s/schedstat", pid, d->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%*u %*u %" SCNu64, &runs) == 1)
			all += runs;
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return all;
}

/* False when there is no such process. */
static inline bool proc_cpu(long pid, struct proc_cpu *c)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid((pid_t)pid, &clock) || clock_gettime(clock, &ts))
		return false;
	c->ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	c->runs = proc_runs(pid);
	return true;
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
