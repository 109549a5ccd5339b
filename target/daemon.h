/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's furniture: targets with their LUs, and who is logged in. Built once from the
 * configuration, then read by all reactors.
 */
#ifndef TARGET_DAEMON_H
#define TARGET_DAEMON_H

#include "target/config.h"
#include "target/lu.h"

struct conn;
struct session;

/* A target (an iSCSI target node). Immutable after start. */
struct node {
	const struct config_target *cfg;
	unsigned index;			/* in daemon.nodes and in login_env.targets */
	struct scsi_target scsi;
	bool lane;			/* its LUNs are witnesses all: its sessions live there */
	struct lu **lus;		/* LUN_MAX + 1 entries; NULL where there is none */
};

struct daemon {
	const struct config *cfg;
	struct node *nodes;
	unsigned nnodes;
	struct lu **lus;		/* all of them */
	unsigned nlus;
	struct login_target *login_targets;
	bool stopping;			/* atomic: no new logins */
	/* atomic counters */
	unsigned half_open, nsessions;
};
extern struct daemon daemon_state;

/*
 * Opens every store and makes nodes and LUs; main thread, reactors started but idle. 0 or -1 with
 * messages logged.
 */
int daemon_build(struct daemon *d, const struct config *cfg);
void daemon_teardown(struct daemon *d);

/*
 * The registry: which nexus lives on which reactor. A session is made on the reactor that its
 * nexus's last session, or that one's unfinished I/O, lives on: only there can it be reinstated and
 * ordered behind it (RFC 7143 6.3.5). Where there was none it is `new`. Any thread; a mutex, taken
 * at login and logout only.
 */
struct registry_entry;
struct registry_entry *registry_claim(unsigned node, const struct nexus *n, struct reactor *new,
				      struct reactor **where);
void registry_put(struct registry_entry *e);
struct session *registry_session(struct registry_entry *e);	/* on its reactor */
void registry_set(struct registry_entry *e, struct session *s);
/* A session handle nobody uses (RFC 7143 11.12.6), never 0. */
uint16_t registry_tsih(void);
void registry_tsih_put(uint16_t tsih);
/* Whether a session of this target, nexus and TSIH exists. */
bool registry_has_tsih(unsigned node, const struct nexus *n, uint16_t tsih);

#endif
