/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conclusions: what the journal keeps. A picture (picture.h) is what its entries add up to, so an
 * entry carries all that changes.
 */
#ifndef WITNESS_ENTRY_H
#define WITNESS_ENTRY_H

#include <stddef.h>

#include "witness/event.h"

/*
 * who is a node or a nexus, other a node.
 *
 *	STARTED		the daemon; at.run is its new run
 *	LOGGED_IN	who; count: logins and logouts before it that were not told; when it was, if
 *			not now
 *	LOGGED_OUT	who; flag: in order, else the connection broke; count, when: the same
 *	REGISTERED	who; value: the key; how
 *	UNREGISTERED	who; how: by itself, by CLEAR of other, by the administrator
 *	REMOVED		who lost its registration by other; how
 *	OWNED		who holds the reservation from now on (flag: every registrant; else "":
 *			nobody); type; how; other asked for it; count: registrations of others that
 *			went with it
 *	DEFENDED	who did, count times since the last such entry, lately at when; flag: in
 *			rhythm
 *	CHALLENGED	who tried to get what other owns, count times since the last such entry,
 *			lately at when; how
 *	BEAT		the heartbeat of who; flag: it beats, else it stopped, its last was at when;
 *			how: software; value: its place on the disk in bytes
 *	MESSAGE		who wrote to where other looks for messages; how: software
 *	SOFTWARE	how: software; type: confidence
 *	WARNING		how: which; flag: it holds, else it is over
 */
enum witness_kind {
	WITNESS_STARTED,
	WITNESS_LOGGED_IN,
	WITNESS_LOGGED_OUT,
	WITNESS_REGISTERED,
	WITNESS_UNREGISTERED,
	WITNESS_REMOVED,
	WITNESS_OWNED,
	WITNESS_DEFENDED,
	WITNESS_CHALLENGED,
	WITNESS_BEAT,
	WITNESS_MESSAGE,
	WITNESS_SOFTWARE,
	WITNESS_WARNING,
	WITNESS_KINDS,
};

/* How registrations and ownership change: PERSISTENT RESERVE OUT service actions, and more. */
enum witness_how {
	WITNESS_REGISTER,
	WITNESS_RESERVE,
	WITNESS_RELEASE,
	WITNESS_CLEAR,
	WITNESS_PREEMPT,
	WITNESS_PREEMPT_ABORT,
	WITNESS_REGISTER_IGNORE,
	WITNESS_MOVE,
	WITNESS_ADMIN, /* holdfast pr ... */
	WITNESS_FOUND, /* so it was when the daemon started */
	WITNESS_HOWS,
};

enum witness_software {
	WITNESS_WINDOWS,
	WITNESS_FENCE_SCSI,
	WITNESS_FENCE_MPATH,
	WITNESS_SBD,
	WITNESS_SANLOCK,
	WITNESS_O2CB,
	WITNESS_SOFTWARES,
};

enum witness_confidence { WITNESS_UNKNOWN, WITNESS_LIKELY, WITNESS_SURE, WITNESS_CONFIDENCES };

/* Conditions an administrator should know of (health.h). */
enum witness_warning {
	WITNESS_ONE_REGISTRANT,
	WITNESS_NO_DEFENCE,
	WITNESS_OWNER_GONE,
	WITNESS_PATH_LOST,
	WITNESS_BEAT_LOST,
	WITNESS_SLOW,
	WITNESS_FULL,
	WITNESS_JOURNAL_LOST,
	WITNESS_WARNINGS,
};

struct witness_entry {
	struct witness_time at;
	uint8_t kind, how, type;
	bool flag;
	uint32_t count;
	uint64_t value;
	struct witness_time when;
	struct nexus who; /* "": nobody */
	char other[ISCSI_NAME_MAX + 1];
};

/* Names, as they are in the journal and in JSON; NULL beyond the last. */
const char *witness_kind_name(unsigned kind);
const char *witness_software_name(unsigned software);
const char *witness_confidence_name(unsigned confidence);
const char *witness_warning_name(unsigned warning);
/* "PREEMPT AND ABORT", "the administrator", ... */
const char *witness_how_name(unsigned how);

/* "2026-11-22 03:00:17 UTC"; size at least WITNESS_TEXT_TIME. Returns buf. */
enum { WITNESS_TEXT_TIME = 32, WITNESS_TEXT_MAX = 1024 };
const char *witness_time_text(const struct witness_time *t, char *buf, size_t size);
/* "850 ms", "12 s", "3 min", "2 h 5 min", "4 days"; "some time" for less than 0. */
const char *witness_span_text(int64_t ms, char *buf, size_t size);

/* An entry as a sentence without a full stop, the time left out. Returns buf. */
const char *witness_entry_text(const struct witness_entry *e, char *buf, size_t size);

#endif
