/* SPDX-License-Identifier: Apache-2.0 */
/* The fake initiators' own: a path is one nexus, with at most one session. */
#ifndef TESTS_SIM_INITIATOR_H
#define TESTS_SIM_INITIATOR_H

#include "scsi/nexus.h"
#include "target/iscsi/pdu.h"
#include "tests/sim/sim.h"

enum { GIVEN = 256 };

/* One connection's view from here. */
struct link {
	struct link *next; /* all of the world */
	struct vsock *s;
	struct path *p;
	uint8_t *buf; /* what left the daemon and is no whole PDU yet */
	size_t have, room;
	uint64_t last; /* time of the last delivery */
	bool dead;     /* given up, by whichever side */
	uint64_t parsed; /* bytes that left the daemon before those in buf */
};

enum path_state { PATH_DOWN, PATH_LOGIN, PATH_UP, PATH_LEAVING };

struct path {
	struct nexus nexus;
	char name[16];
	unsigned index, node;
	uint64_t key;
	enum path_state state;
	struct link *link, *old; /* old: a session that the new one replaces */
	uint32_t session;	 /* number of the session, grows */
	uint32_t cmdsn, maxcmdsn, expstatsn, itt;
	bool immediate, initial_r2t, fast_abort;
	uint32_t first_burst, max_burst, max_recv;
	unsigned active_on[LUNS];
	unsigned active;  /* commands that are not over */
	struct cmd *cmds; /* all of them, youngest first */
	struct {
		bool pending, consumed, blocks;
		uint32_t itt;
		uint8_t function;
		unsigned lun;
		struct cmd *cmd;
		uint64_t stream_end;
	} tmf;
	uint64_t logout_at;
	uint64_t up_at; /* when the daemon answered its login */
	/* Crowded worlds, ahead.c */
	bool witness;	/* talks to it */
	bool mixed;	/* has read from it in this session */
	uint64_t asked; /* bytes of data asked for that the daemon has not read yet */
	struct {
		uint64_t end;
		uint32_t len;
	} given[GIVEN];
	unsigned given_head, given_tail;
};

/* commands.c: makes one up. */
struct cmd *command_new(struct path *p);
void command_free(struct cmd *c);

#endif
