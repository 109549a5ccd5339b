/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deterministic world: what its parts share. One thread, one clock, one stream of random
 * numbers; whatever happens is an event in one queue. README.md says what is real and what is not.
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct reactor;

/* Virtual time, ns. */
#define US  1000ull
#define MS  1000000ull
#define SEC 1000000000ull

/* ---- core.c: randomness, events, words ---- */

extern uint64_t sim_now;
extern uint64_t sim_steps; /* events run so far */
extern bool sim_tracing;
extern uint64_t sim_seed;

uint64_t rnd(void);
uint64_t rnd_below(uint64_t n);			/* 0 .. n-1; n > 0 */
uint64_t rnd_between(uint64_t lo, uint64_t hi); /* both included */
bool rnd_chance(unsigned per_mille);
/* A delay of about `mean` ns: mostly short, now and then ten times as long. */
uint64_t rnd_delay(uint64_t mean);

/*
 * fn(arg, n) at a time. `boot`: forgotten when the daemon dies (kill -9, power) before that.
 */
typedef void event_fn(void *arg, uint64_t n);
void event_at(uint64_t at, bool boot, event_fn *fn, void *arg, uint64_t n);
static inline void event_in(uint64_t ns, bool boot, event_fn *fn, void *arg, uint64_t n)
{
	event_at(sim_now + ns, boot, fn, arg, n);
}
extern uint64_t sim_boot;  /* counts the daemon's lives */
bool event_run(void);	   /* the next one; false: there is none */
uint64_t event_next(void); /* when, UINT64_MAX: none */
void events_clear(void);

void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define TRACE(...)                          \
	do {                                \
		if (sim_tracing)            \
			trace(__VA_ARGS__); \
	} while (0)

/* An invariant does not hold: says so, with how to see it again, and ends the process. */
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

void core_start(uint64_t seed);

/* The daemon's memory: every block it got, so that a death frees all and an end leaves none. */
void mem_free_all(void);
size_t mem_blocks(void);
/* Prints where what is left was allocated, except what pools keep by design. True: there is some.
 */
bool mem_leaks(void);

/* ---- reactor.c: target/reactor.h, target/log.h ---- */

void sim_reactors_start(unsigned n, bool with_lane);
void sim_reactors_stop(void); /* the daemon is gone */
extern uint64_t sim_turns;    /* so far */
void sim_reactors_stall(unsigned r, uint64_t ns);
bool sim_reactors_idle(void);
/* The process dies: what workers are writing gets there, or in part, or not. */
void sim_works_kill(void);
/* From now on nobody else runs until leave: code that is not in a turn runs as reactor r's. */
void reactor_enter(struct reactor *r);
void reactor_leave(void);
/* fn(arg) runs on r in a turn of its own: what completes from the kernel. FIFO for equal times. */
void reactor_post(struct reactor *r, uint64_t at, void (*fn)(void *arg), void *arg);
/* Its descriptors may have become ready at that time. */
void reactor_poke(struct reactor *r, uint64_t at);
/* Puts the daemon's variables back to what they are when a process starts. */
void image_save(void);
void image_reset(void);

/* ---- os.c: the store's files, the connections' sockets ---- */

void os_start(void);
void os_stop(void);
/* Of what is written from now on so much still reaches the disk; and everything again. */
void os_dying(void);
void os_dead(void);

struct vsock;
struct path;
struct vsock *vsock_new(
	struct path *peer); /* one end the daemon's (vsock_fd), one the initiator's */
int vsock_fd(const struct vsock *s);
void vsock_send(struct vsock *s, const void *p, size_t n); /* initiator to daemon */
uint64_t vsock_sent(const struct vsock *s);		   /* bytes so far, that way */
void vsock_shut(struct vsock *s, bool reset);		   /* by the initiator */
void vsock_forget(struct vsock *s);			   /* the initiator is done with it */
void vsocks_kill(void);			  /* the daemon died: every initiator sees a reset */
bool vsock_closed(const struct vsock *s); /* by the daemon */
struct reactor *vsock_watcher(const struct vsock *s);
bool vsock_ready(int fd, uint32_t want, uint32_t *ready);
void vsock_watch(int fd, struct reactor *r); /* NULL: nobody */

/* ---- disk.c: the store under the LUs, and what is on its way there ---- */

enum { DISK_BLOCK = 512, LUNS = 3 };

void disks_start(void); /* a new world */
void disks_stop(void);
void disk_setup(unsigned lun, uint64_t blocks, bool filtered);
uint64_t disk_blocks(unsigned lun);
const uint8_t *disk_block(unsigned lun, uint64_t b);
bool disk_filtered(unsigned lun); /* the volatile filter is over it: what it lost is lost */
void disk_stall(unsigned lun, uint64_t until); /* nothing ends before */
void disks_kill(bool power);		       /* the daemon died, or all lost power */
bool disk_busy(unsigned lun);		       /* writes of a dead daemon still on their way */

/* ---- oracle.c: what must hold ---- */

enum { PATHS_MAX = 12 };

enum cmd_kind {
	K_READ,
	K_WRITE,
	K_UNMAP,
	K_SAME,
	K_CAW,
	K_ORW,
	K_SYNC,
	K_TUR,
	K_PR_OUT,
	K_PR_IN,
	K_RESERVE6,
	K_RELEASE6,
	K_MODE,
	K_KINDS
};

/* One command an initiator sent. */
struct cmd {
	struct cmd *next; /* of its path */
	struct path *path;
	uint64_t id;
	enum cmd_kind kind;
	uint32_t itt, cmdsn, session;
	unsigned lun;
	uint8_t cdb[16];
	uint64_t lba, nblocks;
	bool fua;
	uint8_t attr; /* enum scsi_attr */
	bool immediate;
	bool begun;   /* had a unit in the backend */
	uint8_t *out; /* data-out */
	uint32_t out_len, in_len;
	uint8_t *in; /* data-in, as received by the oracle */
	uint32_t in_got;
	uint8_t *effects;		/* per block of the span: how often it changed the medium */
	uint64_t sent, consumed, ended; /* times; 0: not yet */
	uint64_t boot;			/* the daemon's life it was sent in */
	uint64_t stream_end;		/* bytes of the connection up to its end */
	uint64_t unasked_end; /* the same, with what comes unasked behind it; 0: it has come */
	uint64_t go; /* bytes that had left the daemon when it could go on (ahead.c) */
	bool going;
	uint64_t answered_at_send;	/* the oracle's `answered` of its LU then */
	bool over;			/* answered, or its session is gone */
	bool answered;
	bool silent;	  /* need not be answered */
	bool lost;	  /* its session went before the answer */
	bool starve;	  /* its R2Ts are answered late */
	uint64_t data_at; /* when its last data goes out */
	bool dead;	  /* an abort that covers it was answered: no effect from now on */
	const char *dead_by;
	uint8_t status;
	uint32_t sense;	  /* key, ASC, ASCQ */
	int64_t change;	  /* PR OUT and the like: number of its change, or -1 */
	unsigned running; /* units in the backend */
};

/* A unit of I/O between hand-over and end. */
struct unit {
	struct unit *next;
	unsigned lun;
	struct path *path; /* who */
	struct cmd *cmd;   /* NULL: nobody's (a flush of the LU itself) */
	uint64_t id;
	int op;
	uint64_t off, len;
	int result;
	bool orphan; /* its daemon is dead */
};

void oracle_start(unsigned paths);
void oracle_stop(void);
void oracle_sent(struct cmd *c);
void oracle_answer(struct cmd *c); /* the last byte of the answer left the daemon */
/* only: of ABORT TASK; NULL: the path's task set on the LU, or on all. */
void oracle_tmf_consumed(struct path *p, unsigned lun, bool all, struct cmd *only);
void oracle_tmf_answer(struct path *p, uint8_t function, unsigned lun, uint8_t response);
void oracle_session_lost(struct path *p); /* closed: nothing is answered any more */
/* From disk.c. */
void oracle_submit(struct unit *u);
void oracle_unit_end(struct unit *u);
void oracle_effect(struct unit *u, uint64_t block,
		   const uint8_t *data); /* the block's new content */
struct cmd *oracle_cmd(struct path *p, uint32_t itt);
/* Around deaths. */
void oracle_kill(bool power);
void oracle_power_block(unsigned lun, uint64_t block,
			const uint8_t *data); /* as found afterwards */
void oracle_rebooted(void);
bool oracle_busy(void); /* something is in the backend */
void oracle_settled(void);
void oracle_gates(void);
void oracle_end(void); /* nothing is under way: every command has ended */
void oracle_store_fails(void);
void oracle_stats(void);

/* ahead.c: what is in front of a witness's command */
void ahead_begin(struct path *p); /* a session */
void ahead_go(struct cmd *c);
void ahead_said(struct cmd *c, bool answer, uint64_t at);
void ahead_asked(struct cmd *c, uint32_t len);
void ahead_given(struct cmd *c, uint32_t len, uint64_t end);
void ahead_taken(struct path *p, uint64_t upto);
void ahead_turn(const struct path *p, const struct reactor *r, uint64_t out, unsigned reads);
void ahead_work(unsigned lun);
void ahead_stats(void);

/* witness.c */
void witness_check(bool quiet); /* quiet: nothing is under way */
void witness_kill(void);
void witness_forget(void);	/* a new world */
void witness_stats(void);
void sim_run_on(uint64_t ns);	/* events of so much time */
uint64_t oracle_answered(unsigned lun);

/* ---- initiator.c ---- */

struct nexus;
extern struct path *paths[PATHS_MAX];
extern unsigned npaths;
void initiators_start(void);
void initiators_stop(void);
void initiators_quiesce(bool on); /* nothing new; what was held back is given */
bool initiators_idle(void);
void initiators_logout(void);
bool initiators_gone(void);
void commands_start(void);
/* It has given a connection up, and the daemon does not know that yet: commands may still come. */
bool path_ghost(const struct path *p);
void path_cmd_over(struct path *p, unsigned lun); /* the oracle: one less is under way */
int path_find(const struct nexus *n);		  /* -1: nobody's */
const struct nexus *path_nexus(const struct path *p);
unsigned path_no(const struct path *p);
const char *path_name(const struct path *p);
bool path_logged_in(const struct path *p);
uint32_t path_session(const struct path *p); /* number of its session */
uint64_t path_up_at(const struct path *p);   /* its login was answered, sim_now then */
struct cmd *path_cmds(const struct path *p);
/* From os.c. */
void path_output(struct path *p, struct vsock *s, const uint8_t *bytes,
		 size_t n);					    /* left the daemon */
void path_consumed(struct path *p, struct vsock *s, uint64_t upto); /* the daemon has read so far */
void path_closed(struct path *p, struct vsock *s);		    /* by the daemon */
void path_connect(struct path *p, struct vsock *s); /* sim.c: to a reactor of its choice */

/* ---- world.c ---- */

struct world {
	/* One LU's store stands still for a while: the others must not care. */
	bool isolation;
	unsigned stalled_lun;
	uint64_t stalled_from, stalled_to;
	unsigned reactors, paths;
	bool lane; /* the last reactor; LUN 0 is a witness, at home there */
	uint64_t duration; /* ns of activity */
	uint64_t turn_mean, msg_mean, io_mean, net_mean, think_mean;
	unsigned depth; /* commands at once per path */
	uint64_t blocks[LUNS];
	bool filtered[LUNS], write_cache[LUNS], standard, starving, faults;
	unsigned kills;					      /* daemon deaths to come */
	unsigned pr_share, tmf_share, drop_share, mode_share; /* per mille */
	bool big;					      /* commands of several units */
	bool crowded; /* long commands fill all queues of sessions with data and a witness */
	bool same_keys, reserve6, flush_fails;
	unsigned favourite; /* the LUN where most happens */
	bool clock_jumps;
	uint64_t clock_set; /* by how much the calendar was set since, ns; forth, or back again */
};
extern struct world world;
bool daemon_up(void);
bool daemon_ready(void); /* every LU has its lock */

#endif
