/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent reservations as Windows' cluster validation and its cluster disks use them: tables of
 * steps. Hosts A (with a second path A2), B and C; C does not register unless a step says so.
 */
#include "target/doctor/doctor.h"

#define STEP(node, verb, keys, type, want, why) { node, V_##verb, keys, type, want, why, false }
#define SOFT(node, verb, keys, type, want, why) { node, V_##verb, keys, type, want, why, true }
#define END { 0, V_END, NULL, 0, 0, NULL, false }

enum { WE = 1, EA = 3, WE_RO = 5, EA_RO = 6, WE_AR = 7, EA_AR = 8 }; /* SPC-4 table 64 */

/* A and B are registered, A holds type 5: the state of a Windows cluster disk. */
#define CLUSTER                                                                                    \
	STEP(A, REGISTER, "0a", 0, GOOD, "no node can register"),                                  \
	STEP(B, REGISTER, "0b", 0, GOOD, "no second node can register"),                           \
	STEP(A, RESERVE, "a", WE_RO, GOOD, "the disk cannot be brought online")

static const struct step registering[] = {
	STEP(A, KEYS, "", 0, GOOD, "somebody registered for us"),
	STEP(A, REGISTER, "0a", 0, GOOD, "no node can register"),
	STEP(C, KEYS, "a", 0, GOOD, "nodes cannot see who is registered"),
	STEP(A, REGISTER, "0b", 0, CONFLICT, "a registered node needs its key to change it"),
	STEP(A, REGISTER, "xb", 0, CONFLICT, "a wrong key must not pass"),
	STEP(A, REGISTER, "ab", 0, GOOD, "a node cannot change its key"),
	STEP(B, KEYS, "b", 0, GOOD, "the old key stays beside the new one"),
	STEP(A, REGISTER, "ba", 0, GOOD, "a node cannot change its key"),
	STEP(C, REGISTER, "ac", 0, CONFLICT, "an unregistered node has no key to give"),
	STEP(A, REGISTER, "a0", 0, GOOD, "a node cannot unregister"),
	STEP(A, KEYS, "", 0, GOOD, "a node that left stays registered"),
	STEP(A, REGISTER, "00", 0, GOOD, "unregistering twice is no error"),
	END,
};

static const struct step ignoring[] = {
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, "Windows and fence_scsi cannot register"),
	STEP(B, REGISTER_IGNORE, "xb", 0, GOOD, "the first key must be ignored"),
	STEP(A, REGISTER_IGNORE, "xc", 0, GOOD, "a registered node cannot change its key"),
	STEP(A, KEYS, "bc", 0, GOOD, "keys are lost or doubled"),
	STEP(A, REGISTER_IGNORE, "00", 0, GOOD, "a node cannot unregister"),
	STEP(B, REGISTER_IGNORE, "00", 0, GOOD, "a node cannot unregister"),
	STEP(C, REGISTER_IGNORE, "00", 0, GOOD, "unregistering without a registration is no error"),
	STEP(A, KEYS, "", 0, GOOD, "a node that left stays registered"),
	END,
};

static const struct step unregistered[] = {
	STEP(A, REGISTER, "0a", 0, GOOD, NULL),
	STEP(C, RESERVE, "0", WE_RO, CONFLICT, "nodes that never registered could take the disk"),
	STEP(C, RESERVE, "a", WE_RO, CONFLICT, "another node's key must not pass"),
	STEP(A, RESERVE, "x", WE_RO, CONFLICT, "a wrong key must not pass"),
	STEP(A, HOLDER, "", 0, GOOD, "a refused RESERVE reserved"),
	STEP(C, RELEASE, "a", WE_RO, CONFLICT, "another node's key must not pass"),
	STEP(C, CLEAR, "a", 0, CONFLICT, "another node's key must not pass"),
	STEP(C, PREEMPT, "aa", WE_RO, CONFLICT, "a fenced node could take the disk back"),
	STEP(C, PREEMPT_ABORT, "aa", WE_RO, CONFLICT, "a fenced node could take the disk back"),
	STEP(A, KEYS, "a", 0, GOOD, "a refused command changed registrations"),
	END,
};

static const struct step reserving[] = {
	CLUSTER,
	STEP(C, HOLDER, "a", WE_RO, GOOD, "\"Failed to read PR\""),
	STEP(A, RESERVE, "a", WE_RO, GOOD, "the owner cannot re-assert its reservation"),
	STEP(A, RESERVE, "a", EA_RO, CONFLICT, "a RESERVE must not change the type"),
	STEP(B, RESERVE, "b", WE_RO, CONFLICT, "two nodes own the disk"),
	STEP(C, HOLDER, "a", WE_RO, GOOD, "a refused RESERVE changed the reservation"),
	STEP(A, REGISTER, "a0", 0, GOOD, "an owner cannot leave"),
	STEP(C, HOLDER, "", 0, GOOD, "a reservation stays without its holder"),
	STEP(B, TUR, "", 0, UA_RES_RELEASED, "nodes are not told that the disk is free"),
	STEP(B, RESERVE, "b", WE_RO, GOOD, "the next node cannot own the disk"),
	END,
};

static const struct step access_5[] = {
	CLUSTER,
	STEP(A, WRITE, "", 0, GOOD, "the owner cannot write"),
	STEP(B, WRITE, "", 0, GOOD, "no cluster shared volume: other nodes cannot write"),
	STEP(C, WRITE, "", 0, CONFLICT, "a node that was never let in writes"),
	STEP(A2, WRITE, "", 0, CONFLICT, "a path that is not registered writes"),
	STEP(C, READ, "", 0, GOOD, "nodes cannot look at the disk before they join"),
	STEP(C, TUR, "", 0, GOOD, "nodes cannot look at the disk before they join"),
	STEP(C, INQUIRY, "", 0, GOOD, "nodes cannot look at the disk before they join"),
	STEP(C, CAPACITY, "", 0, GOOD, "nodes cannot look at the disk before they join"),
	STEP(C, KEYS, "ab", 0, GOOD, "nodes cannot look at the disk before they join"),
	STEP(C, REGISTER, "0c", 0, GOOD, "nodes cannot join"),
	STEP(C, WRITE, "", 0, GOOD, "a node that joined cannot write"),
	STEP(C, REGISTER, "c0", 0, GOOD, "a node cannot leave"),
	STEP(C, WRITE, "", 0, CONFLICT, "a node that left writes"),
	END,
};

static const struct step access_types[] = {
	STEP(A, REGISTER, "0a", 0, GOOD, NULL),
	STEP(B, REGISTER, "0b", 0, GOOD, NULL),
	SOFT(A, RESERVE, "a", WE, GOOD, "type 1, write exclusive"),
	SOFT(B, WRITE, "", 0, CONFLICT, "type 1: other registrants write"),
	SOFT(B, READ, "", 0, GOOD, "type 1: others read"),
	SOFT(A, RELEASE, "a", WE, GOOD, "type 1"),
	SOFT(A, RESERVE, "a", EA, GOOD, "type 3, exclusive access"),
	SOFT(B, READ, "", 0, CONFLICT, "type 3: other registrants read"),
	SOFT(A, RELEASE, "a", EA, GOOD, "type 3"),
	SOFT(A, RESERVE, "a", EA_RO, GOOD, "type 6, exclusive access - registrants only"),
	SOFT(B, WRITE, "", 0, GOOD, "type 6: registrants write"),
	SOFT(C, READ, "", 0, CONFLICT, "type 6: others read"),
	SOFT(A, RELEASE, "a", EA_RO, GOOD, "type 6"),
	SOFT(B, TUR, "", 0, UA_RES_RELEASED, "type 6: registrants are told"),
	SOFT(A, RESERVE, "a", WE_AR, GOOD, "type 7, write exclusive - all registrants"),
	SOFT(B, RELEASE, "b", WE_AR, GOOD, "type 7: every registrant holds it"),
	SOFT(A, TUR, "", 0, UA_RES_RELEASED, "type 7: registrants are told"),
	SOFT(B, RESERVE, "b", EA_AR, GOOD, "type 8, exclusive access - all registrants"),
	SOFT(A, HOLDER, "0", EA_AR, GOOD, "type 8: READ RESERVATION shows no key"),
	SOFT(C, READ, "", 0, CONFLICT, "type 8: others read"),
	SOFT(A, RELEASE, "a", EA_AR, GOOD, "type 8"),
	END,
};

static const struct step releasing[] = {
	CLUSTER,
	STEP(B, RELEASE, "b", WE_RO, GOOD, "a RELEASE by another registrant is no error"),
	STEP(C, HOLDER, "a", WE_RO, GOOD, "another node released the owner's reservation"),
	STEP(A, RELEASE, "x", WE_RO, CONFLICT, "a wrong key must not pass"),
	SOFT(A, RELEASE, "a", EA_RO, BAD_RELEASE, "the wrong type must not pass"),
	STEP(C, HOLDER, "a", WE_RO, GOOD, "a refused RELEASE released"),
	STEP(A, RELEASE, "a", WE_RO, GOOD, "the owner cannot let the disk go: no failover"),
	STEP(C, HOLDER, "", 0, GOOD, "the reservation stays"),
	STEP(B, TUR, "", 0, UA_RES_RELEASED, "nodes are not told that the disk is free"),
	STEP(B, TUR, "", 0, GOOD, "a unit attention is told twice"),
	STEP(A, TUR, "", 0, GOOD, "who released must not be told"),
	STEP(C, TUR, "", 0, GOOD, "who is not registered must not be told"),
	STEP(A, RELEASE, "a", WE_RO, GOOD, "releasing twice is no error"),
	STEP(A, KEYS, "ab", 0, GOOD, "RELEASE must leave registrations"),
	STEP(C, WRITE, "", 0, GOOD, "without a reservation everybody writes"),
	END,
};

static const struct step preempt_member[] = {
	CLUSTER,
	STEP(C, REGISTER, "0c", 0, GOOD, NULL),
	STEP(A, PREEMPT, "ab", WE_RO, GOOD, "the owner cannot fence a node"),
	STEP(A, KEYS, "ac", 0, GOOD, "the fenced node stays registered"),
	STEP(A, HOLDER, "a", WE_RO, GOOD, "fencing a member changed the reservation"),
	STEP(B, WRITE, "", 0, UA_REGS_PREEMPTED, "the fenced node is not told"),
	STEP(B, WRITE, "", 0, CONFLICT, "the fenced node writes: corruption"),
	STEP(B, PREEMPT, "ba", WE_RO, CONFLICT, "the fenced node fences the owner"),
	STEP(C, TUR, "", 0, GOOD, "others must not be told"),
	STEP(A, TUR, "", 0, GOOD, "who preempted must not be told"),
	STEP(C, WRITE, "", 0, GOOD, "others lost their access"),
	END,
};

static const struct step preempt_holder[] = {
	CLUSTER,
	STEP(B, PREEMPT, "ba", WE_RO, GOOD, "no node can take over from a dead owner"),
	STEP(C, HOLDER, "b", WE_RO, GOOD, "the reservation did not move to who preempted"),
	STEP(C, KEYS, "b", 0, GOOD, "the old owner stays registered"),
	STEP(A, WRITE, "", 0, UA_REGS_PREEMPTED, "the old owner is not told"),
	STEP(A, WRITE, "", 0, CONFLICT, "the old owner writes: corruption"),
	STEP(A, RESERVE, "a", WE_RO, CONFLICT, "the old owner takes the disk back"),
	STEP(B, WRITE, "", 0, GOOD, "the new owner cannot write"),
	END,
};

static const struct step preempt_wrong[] = {
	CLUSTER,
	STEP(A, PREEMPT, "ax", WE_RO, CONFLICT, "preempting a key that nobody has succeeds: the "
						"loser of a race believes it won"),
	SOFT(A, PREEMPT, "a0", WE_RO, BAD_PARAMETER, "key 0 means nothing with type 5"),
	STEP(A, PREEMPT, "xb", WE_RO, CONFLICT, "a wrong key must not pass"),
	STEP(C, PREEMPT, "0b", WE_RO, CONFLICT, "a node that is not registered fences"),
	STEP(A, KEYS, "ab", 0, GOOD, "a refused PREEMPT removed registrations"),
	STEP(A, HOLDER, "a", WE_RO, GOOD, "a refused PREEMPT changed the reservation"),
	STEP(B, TUR, "", 0, GOOD, "a refused PREEMPT was told"),
	END,
};

static const struct step clearing[] = {
	CLUSTER,
	STEP(B, CLEAR, "x", 0, CONFLICT, "a wrong key must not pass"),
	STEP(C, CLEAR, "0", 0, CONFLICT, "a node that is not registered clears"),
	STEP(B, CLEAR, "b", 0, GOOD, "Clear-ClusterDiskReservation fails"),
	STEP(C, KEYS, "", 0, GOOD, "registrations stay"),
	STEP(C, HOLDER, "", 0, GOOD, "the reservation stays"),
	STEP(A, TUR, "", 0, UA_RES_PREEMPTED, "registered nodes are not told"),
	STEP(A, TUR, "", 0, GOOD, "a unit attention is told twice"),
	STEP(B, TUR, "", 0, GOOD, "who cleared must not be told"),
	STEP(C, TUR, "", 0, GOOD, "who is not registered must not be told"),
	STEP(C, WRITE, "", 0, GOOD, "without a reservation everybody writes"),
	END,
};

/* MS-CSVP's order: CLEAR what is left, REGISTER, RESERVE, then PREEMPT or RELEASE. */
static const struct step validation[] = {
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, "CprepDiskPRRegister"),
	STEP(A, CLEAR, "a", 0, GOOD, "CprepDiskPRClear"),
	STEP(A, HOLDER, "", 0, GOOD, "CprepDiskIsPRPresent"),
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, "CprepDiskPRRegister"),
	STEP(A, RESERVE, "a", WE_RO, GOOD, "CprepDiskPRReserve"),
	STEP(A, HOLDER, "a", WE_RO, GOOD, "CprepDiskIsPRPresent: 2, held by this node"),
	STEP(B, HOLDER, "a", WE_RO, GOOD, "CprepDiskIsPRPresent: 1, held by another"),
	STEP(B, WRITE, "", 0, CONFLICT, "CprepDiskRawWrite by a node without a key"),
	STEP(B, REGISTER_IGNORE, "0b", 0, GOOD, "CprepDiskPRRegister"),
	STEP(B, WRITE, "", 0, GOOD, "CprepDiskRawWrite by a node with a key"),
	STEP(B, KEYS, "ab", 0, GOOD, "CprepDiskFindKey3"),
	STEP(B, PREEMPT, "ba", WE_RO, GOOD, "CprepDiskPRPreempt"),
	STEP(A, WRITE, "", 0, UA_REGS_PREEMPTED, "CprepDiskRawWrite by the node that lost"),
	STEP(A, WRITE, "", 0, CONFLICT, "CprepDiskRawWrite by the node that lost"),
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, "CprepDiskPRRegister"),
	STEP(A, RESERVE, "a", WE_RO, CONFLICT, "CprepDiskPRReserve against an owner"),
	STEP(B, RELEASE, "b", WE_RO, GOOD, "CprepDiskPRRelease"),
	STEP(A, TUR, "", 0, UA_RES_RELEASED, "the other node is not told"),
	STEP(A, RESERVE, "a", WE_RO, GOOD, "CprepDiskPRReserve after a release"),
	STEP(A, RELEASE, "a", WE_RO, GOOD, "CprepDiskPRRelease"),
	STEP(B, TUR, "", 0, UA_RES_RELEASED, "the other node is not told"),
	STEP(B, REGISTER, "b0", 0, GOOD, "CprepDiskPRUnRegister"),
	STEP(A, REGISTER, "a0", 0, GOOD, "CprepDiskPRUnRegister"),
	STEP(C, KEYS, "", 0, GOOD, "keys stay after validation"),
	END,
};

/* N paths times M nodes register; equal keys on several nexuses are normal. */
static const struct step two_paths[] = {
	STEP(A, REGISTER_IGNORE, "0a", 0, GOOD, NULL),
	STEP(A2, REGISTER_IGNORE, "0a", 0, GOOD, "a second path cannot register the same key"),
	STEP(B, REGISTER_IGNORE, "0b", 0, GOOD, NULL),
	STEP(B, KEYS, "aab", 0, GOOD, "READ KEYS has one entry for each nexus"),
	STEP(A, RESERVE, "a", WE_RO, GOOD, NULL),
	STEP(A2, WRITE, "", 0, GOOD, "the second path cannot write"),
	STEP(A, DROP, "", 0, GOOD, NULL),
	STEP(A2, WRITE, "", 0, GOOD, "with the first path the second loses its access"),
	STEP(B, HOLDER, "a", WE_RO, GOOD, "with the first path the reservation goes"),
	STEP(A, LOGIN, "", 0, GOOD, "the path does not come back"),
	STEP(A, WRITE, "", 0, GOOD, "a path that comes back cannot write"),
	STEP(B, PREEMPT, "ba", WE_RO, GOOD, "the node cannot be fenced"),
	STEP(B, KEYS, "b", 0, GOOD, "one path of the fenced node stays registered"),
	STEP(A, WRITE, "", 0, UA_REGS_PREEMPTED, "the first path is not told"),
	STEP(A2, WRITE, "", 0, UA_REGS_PREEMPTED, "the second path is not told"),
	STEP(A, WRITE, "", 0, CONFLICT, "the fenced node writes through its first path"),
	STEP(A2, WRITE, "", 0, CONFLICT, "the fenced node writes through its second path"),
	END,
};

#define LOST(how)                                                                                  \
	CLUSTER, STEP(A, how, "", 0, GOOD, NULL),                                                  \
		STEP(B, KEYS, "ab", 0, GOOD, "with its session the owner's registration goes"),    \
		STEP(B, HOLDER, "a", WE_RO, GOOD, "with its session the reservation goes"),        \
		STEP(C, WRITE, "", 0, CONFLICT, "anybody writes as soon as the owner is cut off"), \
		STEP(A, LOGIN, "", 0, GOOD, "the owner does not come back"),                       \
		STEP(A, KEYS, "ab", 0, GOOD, "the owner's registration went when it came back"),   \
		STEP(A, WRITE, "", 0, GOOD, "the owner is not known any more when it comes back"), \
		STEP(A, RESERVE, "a", WE_RO, GOOD, "the owner cannot re-assert its reservation"),  \
		END

static const struct step lost[] = { LOST(DROP) };
static const struct step left[] = { LOST(LOGOUT) };

/* Fenced while it was away: when it comes back it must not write. */
static const struct step fenced_away[] = {
	CLUSTER,
	STEP(B, DROP, "", 0, GOOD, NULL),
	STEP(A, PREEMPT, "ab", WE_RO, GOOD, "a node that is away cannot be fenced"),
	STEP(A, KEYS, "a", 0, GOOD, "a node that is away stays registered"),
	STEP(B, LOGIN, "", 0, GOOD, "the node does not come back"),
	STEP(B, WRITE, "", 0, CONFLICT, "a node that was fenced while it was away writes"),
	STEP(B, RESERVE, "b", WE_RO, CONFLICT, "a node that was fenced while it was away owns"),
	END,
};

#define CLAUSE_LOSS "SPC-4 5.13.1: persistent reservations are not released by I_T nexus loss"

const struct check checks_pr[] = {
	{ "pr-register", "nodes register, change their key, leave",
	  "SPC-4 5.13.7, 6.16; MS-CSVP 3.4.4.9 CprepDiskPRRegister3",
	  "REGISTER adds, changes and removes one registration and checks the key.",
	  "Nodes cannot join or leave the cluster.", NEED_ALONE, NULL, registering },
	{ "pr-register-ignore", "REGISTER AND IGNORE EXISTING KEY ignores it",
	  "SPC-4 5.13.7; MS-CSVP 3.2.4.16 CprepDiskPRRegister",
	  "The RESERVATION KEY field is ignored, also from a nexus that is not registered.",
	  "Windows and fence_scsi register this way.", NEED_ALONE, NULL, ignoring },
	{ "pr-unregistered", "who is not registered, or gives a wrong key, changes nothing",
	  "SPC-4 5.13.7, 5.13.11", "RESERVATION CONFLICT, whatever the service action.",
	  "A fenced node fences back. With another status than RESERVATION CONFLICT, Windows and "
	  "Linux retry instead of giving up.", NEED_ALONE, NULL, unregistered },
	{ "pr-reserve", "one node owns the disk",
	  "SPC-4 5.13.9; MS-CSVP 3.2.4.18 CprepDiskPRReserve",
	  "One RESERVE succeeds; the holder may repeat it; READ RESERVATION tells.",
	  "The disk does not come online, or on two nodes.", NEED_ALONE, NULL, reserving },
	{ "pr-access", "type 5 lets registered nodes write, and everybody read",
	  "SPC-4 5.13.1, table 65; SBC-3 table 13",
	  "Writes of others end in RESERVATION CONFLICT; what looks at the disk does not.",
	  "No cluster shared volume, or no fence at all.", NEED_ALONE, NULL, access_5 },
	{ "pr-types", "the other types", "SPC-4 5.13.1, tables 64 and 65",
	  "Types 1, 3, 6, 7 and 8 do what their names say.",
	  "Windows and fence_scsi use type 5 only; mpathpersist and guests may use others.",
	  NEED_ALONE, NULL, access_types },
	{ "pr-release", "only the owner releases, the others are told",
	  "SPC-4 5.13.11.2.2; MS-CSVP 3.2.4.19 CprepDiskPRRelease",
	  "RELEASE by others does nothing; registered nodes get 2Ah/04h once.",
	  "Planned failover does not work.", NEED_ALONE, NULL, releasing },
	{ "pr-preempt-member", "the owner fences a member",
	  "SPC-4 5.13.11.2.4 to .6; MS-CSVP 3.4.4.11 CprepDiskPRPreempt3",
	  "That registration goes, nothing else changes; the victim gets 2Ah/05h, then conflicts.",
	  "A node that left the cluster keeps writing: corruption.", NEED_ALONE, NULL,
	  preempt_member },
	{ "pr-preempt-holder", "a node takes over from the owner",
	  "SPC-4 5.13.11.2.4 to .6; MS-CSVP 3.2.4.23 CprepDiskPRPreempt",
	  "Reservation and registration of the owner pass in one step.", "No failover.", NEED_ALONE,
	  NULL, preempt_holder },
	{ "pr-preempt-wrong", "a PREEMPT of nobody is refused", "SPC-4 5.13.11.2.4",
	  "RESERVATION CONFLICT if no registration has the key.",
	  "Both sides of a split believe they have fenced the other.", NEED_ALONE, NULL,
	  preempt_wrong },
	{ "pr-clear", "CLEAR removes everything",
	  "SPC-4 5.13.11.2.7; MS-CSVP 3.2.4.24 CprepDiskPRClear",
	  "No registration, no reservation; registered nodes get 2Ah/03h once.",
	  "Disks of a former cluster cannot be used again.", NEED_ALONE, NULL, clearing },
	{ "pr-validation", "the sequence of Windows' validation, two nodes",
	  "MS-CSVP 3.2.4.15 to 3.2.4.24, 3.4.4.9 to 3.4.4.15",
	  "Register, clear, reserve, is one present, find key, preempt, release, unregister.",
	  "\"Validate SCSI-3 Persistent Reservation\" fails, and Microsoft does not support it.",
	  NEED_ALONE, NULL, validation },
	{ "pr-two-paths", "two paths of a host share a key", "SPC-4 5.13.7, 6.15.2",
	  "Each nexus is registered by itself; a PREEMPT of the key removes both.",
	  "MPIO and multipath: a path that fails takes access with it, or one that stays keeps a "
	  "fenced node writing.", NEED_ALONE, NULL, two_paths },
	{ "pr-session-loss", "registrations outlive a lost connection", CLAUSE_LOSS,
	  "After the connection is cut and made again everything is as before.",
	  "Every network glitch takes the disk from its owner; what it writes then fails, or the "
	  "fence is open.", NEED_ALONE, NULL, lost },
	{ "pr-logout", "registrations outlive a logout", CLAUSE_LOSS,
	  "After logout and login everything is as before.",
	  "Restarting the initiator service, or migrating a guest that has a session of its own, "
	  "loses the disk.", NEED_ALONE, NULL, left },
	{ "pr-fenced-away", "a node fenced while it is away stays out", "SPC-4 5.13.11.2.4",
	  "PREEMPT removes registrations of nexuses without a session.",
	  "A node that hangs, is fenced and comes back writes over the new owner's data.",
	  NEED_ALONE, NULL, fenced_away },
	{ 0 },
};
