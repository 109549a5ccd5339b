/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD for User-Mode Linux 6.1 on processors whose register state is larger than it knows
 * (AMX: 11008 bytes instead of 2696). It saves and restores its processes' registers by ptrace; the
 * host takes them only whole, so it panics in its first process. Here what is too short is
 * completed with zeroes: what lies behind is the tile state, which no guest can have asked for.
 * Where the state is small enough this does nothing.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
enum { XSTATE_MAX = 65536 };

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
