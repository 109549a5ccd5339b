/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause FILE: until SIGTERM, and then says the longest time, in milliseconds, in which nothing was
 * written to FILE, the medium of a disk. What a disk's users felt, whichever they were and whether
 * their clocks ran or not: that of a virtual machine stands still while it is between two hosts.
 */
#include "stamp.h"

#include <err.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	ended = sig;
}

int main(int argc, char **argv)
{
	uint64_t now, last = stamp_now_ms(), longest = 0, changes = 0;
	struct timespec seen = {0};
	struct stat st;

	if (argc != 2)
		errx(2, "usage: pause FILE");
	signal(SIGTERM, on_term);
	while (!ended) {
		if (stat(argv[1], &st))
			err(1, "%s", argv[1]);
		now = stamp_now_ms();
		if (now - last > longest)
			longest = now - last;
		if (st.st_mtim.tv_sec != seen.tv_sec || st.st_mtim.tv_nsec != seen.tv_nsec) {
			seen = st.st_mtim;
			last = now;
			changes++;
		}
		poll(NULL, 0, 2);
	}
	printf("%llu ms, %llu changes\n", (unsigned long long)longest, (unsigned long long)changes);
	return 0;
}
