/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data buffers: page aligned, in powers of two, kept per reactor. What the whole daemon may hold is
 * bounded; the shared counter is touched only when memory really comes or goes, not per I/O.
 */
#ifndef TARGET_BUF_H
#define TARGET_BUF_H

#include <stdint.h>

enum { BUF_MIN = 4096, BUF_MAX = 16 << 20 };

struct buf {
	struct buf *next;
	uint8_t *data;
	uint32_t size;		/* bytes, a power of two */
	uint8_t account;	/* enum buf_account: whose they are */
};

/*
 * At least n bytes (0 < n <= BUF_MAX), contents unspecified; NULL when the daemon's budget is used
 * up. On top of it the lane has a sixteenth of its own. This reactor's.
 */
struct buf *buf_get(uint32_t n);
/*
 * The same for what must go on even then, and is little: logins, reservations, sense data. Another
 * sixteenth is for these alone.
 */
struct buf *buf_need(uint32_t n);
/*
 * The same for what is no I/O, pings and text with their answers: what anybody may send who may
 * discover. A sixteenth beside the budget, and never more than that, so that it takes nothing from
 * those who use a disk.
 */
struct buf *buf_aside(uint32_t n);
void buf_put(struct buf *b);		/* NULL is fine; on the reactor that got it */
void buf_budget(uint64_t bytes);	/* main thread, before start */
uint64_t buf_share(void);		/* any thread: bytes that one nexus may hold, a quarter */
uint64_t buf_used(void);		/* any thread: bytes held by the daemon, pools included */
void buf_trim(void);			/* gives this reactor's free buffers back */

#endif
