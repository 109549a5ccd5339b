/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon's object files call instead of the C library, the kernel and two functions of its
 * own: the names are exchanged in the object files (Makefile, tests/sim/symbols), so the daemon's
 * code in here is what the daemon runs, bit for bit.
 */
#ifndef TESTS_SIM_HOOKS_H
#define TESTS_SIM_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* core.c */
void *sim_malloc(size_t n);
void *sim_calloc(size_t n, size_t size);
void *sim_aligned_alloc(size_t align, size_t n);
void *sim_realloc(void *p, size_t n);
char *sim_strdup(const char *s);
void sim_free(void *p);
/* Whether who (a return address) belongs to a pool that keeps memory to the end by design. */
bool mem_pooled(void *who, char *name, size_t len);

/* os.c */
int sim_open(const char *path, int flags, ...);
int sim_close(int fd);
int sim_fsync(int fd);
int sim_mkdir(const char *path, mode_t mode);
int sim_rename(const char *from, const char *to);
int sim_posix_fallocate(int fd, off_t off, off_t len);
ssize_t sim_pread(int fd, void *buf, size_t n, off_t off);
ssize_t sim_pwrite(int fd, const void *buf, size_t n, off_t off);
ssize_t sim_readv(int fd, const struct iovec *iov, int n);
ssize_t sim_recv(int fd, void *buf, size_t n, int flags);
ssize_t sim_sendmsg(int fd, const struct msghdr *m, int flags);
int sim_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
int sim_clock_gettime(clockid_t clock, struct timespec *ts);

/* disk.c */
struct backend;
struct io_req;
bool sim_backend_submit(struct backend *be, struct io_req *io);

/* oracle.c */
struct lu_value;
struct lu_request;
struct lu_fx;
void sim_lu_change(const struct lu_value *old, const struct lu_request *rq, struct lu_value *next,
		   struct lu_fx *fx);

#endif
