/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD for User-Mode Linux 6.1: two things it does not survive.
 *
 * Registers: it saves and restores those of its processes by ptrace, with room for 2696 bytes of
 * them. The host takes them only whole, and on processors with AMX the whole is 11008 bytes: it
 * panics in its first process. Here what is too short is completed with zeroes: what lies behind is
 * the tile state, which no guest can have asked for. Where the state is small this does nothing.
 *
 * Network: when a write to its tap fails once (the tap is down, the host did not like the packet)
 * its driver gives the interface up for ever. Here such a packet is lost, as packets are, and the
 * first few are named on the console.
 */
#include <elf.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
enum {
	XSTATE_MAX = 65536,
	LOST_NAMED = 10,
};

/* glibc's ptrace: PEEK requests put their result behind a pointer of the system call. */
static long ptrace_plain(long request, long pid, void *addr, void *data)
{
	long value, r;

	if (request < PTRACE_PEEKTEXT || request > PTRACE_PEEKUSER)
		return syscall(SYS_ptrace, request, pid, addr, data);
	r = syscall(SYS_ptrace, request, pid, addr, &value);
	if (r < 0)
		return r;
	errno = 0;
	return value;
}

long ptrace(enum __ptrace_request request, ...)
{
	static uint8_t state[XSTATE_MAX] __attribute__((aligned(64)));
	struct iovec whole = { .iov_base = state, .iov_len = sizeof(state) }, *iov;
	void *addr, *data;
	va_list ap;
	long pid;

	va_start(ap, request);
	pid = va_arg(ap, long);
	addr = va_arg(ap, void *);
	data = va_arg(ap, void *);
	va_end(ap);

	if (request != PTRACE_SETREGSET || (uintptr_t)addr != NT_X86_XSTATE)
		return ptrace_plain(request, pid, addr, data);
	iov = data;
	/* How long it has to be is what reading it gives. */
	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, addr, &whole) < 0)
		return -1;
	if (iov->iov_len >= whole.iov_len)
		return ptrace_plain(request, pid, addr, data);
	memset(state + iov->iov_len, 0, whole.iov_len - iov->iov_len);
	memcpy(state, iov->iov_base, iov->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, addr, &whole);
}

/* One line about a lost packet: why, its interface, its size, and its first part, the vnet header.
 */
static void packet_lost(const char *ifname, int why, const struct iovec *iov, int n, size_t len)
{
	static unsigned int lost;
	char line[256];
	int at;

	if (lost++ >= LOST_NAMED)
		return;
	at = snprintf(line, sizeof(line), "uml-shim: %s: packet of %zu bytes lost: %s; header",
		      ifname, len, strerror(why));
	for (size_t i = 0; n > 0 && i < iov[0].iov_len && i < 12; i++)
		at += snprintf(line + at, sizeof(line) - (size_t)at, " %02x",
			       ((const uint8_t *)iov[0].iov_base)[i]);
	line[at++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)at) < 0)
		return;
}

/* Whether this is a tap, and if so, that a packet was lost there; errno stays. */
static bool tap_lost(int fd, const struct iovec *iov, int n, size_t *len)
{
	int why = errno;
	struct ifreq ifr;
	bool tap;

	memset(&ifr, 0, sizeof(ifr));
	tap = !ioctl(fd, TUNGETIFF, &ifr);
	*len = 0;
	for (int i = 0; i < n; i++)
		*len += iov[i].iov_len;
	if (tap)
		packet_lost(ifr.ifr_name, why, iov, n, *len);
	errno = why;
	return tap;
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	ssize_t r = syscall(SYS_writev, fd, iov, n);
	size_t len;

	if (r >= 0 || errno == EAGAIN || errno == EINTR || !tap_lost(fd, iov, n, &len))
		return r;
	return (ssize_t)len;
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
	ssize_t r;
	size_t len;

	do
		r = syscall(SYS_readv, fd, iov, n);
	while (r < 0 && errno != EAGAIN && errno != EINTR && errno != EBADF && errno != EBADFD &&
	       errno != EIO && tap_lost(fd, iov, 0, &len));
	return r;
}
