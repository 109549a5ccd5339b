/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about a witness LUN: a flat, bounded value that only witness_picture_apply()
 * changes. So the entries of the journal, applied one after the other, give the picture again.
 */
#ifndef WITNESS_PICTURE_H
#define WITNESS_PICTURE_H

#include "scsi/cursor.h"
#include "witness/entry.h"

enum {
	WITNESS_NODES = 64, /* initiators; the largest clusters have as many nodes */
	WITNESS_PATHS = 16, /* of one node */
	WITNESS_CHANGES = 4,
	WITNESS_NOBODY = 255,	    /* as a node's index */
	WITNESS_EVERYBODY = 254,    /* all registrants hold the reservation (types 7 and 8) */
	WITNESS_SETTLED_MS = 60000, /* registered for so long: a member, not a challenger */
};

struct witness_path {
	uint8_t isid[6];
	uint16_t tpgt;
	bool used, session, lost;  /* lost: its session broke and did not come back */
	uint64_t key;		   /* 0: not registered */
	uint8_t how;		   /* it was registered */
	struct witness_time since; /* session, or lost */
	struct witness_time registered;
};

enum witness_beat_state { WITNESS_BEAT_NONE, WITNESS_BEATS_ON, WITNESS_BEAT_STOPPED };

struct witness_node {
	char name[ISCSI_NAME_MAX + 1];	/* "": not used */
	struct witness_time first;	/* seen */
	uint64_t seen;			/* entry that told of it lately, by number */
	struct witness_time gone;	/* its last session ended; never: it has one, or had none */
	struct witness_time challenged; /* it tried to get the disk from its owner */
	uint8_t beat, beat_as;		/* enum witness_beat_state, witness_software */
	uint64_t beat_off;
	struct witness_time beat_at; /* since when; stopped: the last one */
	struct witness_time mailed;  /* it was written a message, by mailer */
	char mailer[ISCSI_NAME_MAX + 1];
	struct witness_path path[WITNESS_PATHS];
};

struct witness_owner {
	uint8_t node; /* index, WITNESS_NOBODY, WITNESS_EVERYBODY */
	uint8_t type; /* enum pr_type */
	uint8_t isid[6];
	uint16_t tpgt;
	bool renews; /* defends in rhythm */
	struct witness_time since, defended;
	uint64_t defences;
};

/* A change of ownership, with what there was to say when it happened. */
struct witness_change {
	struct witness_time at;
	uint8_t how, type;
	uint8_t software; /* likely or sure then; WITNESS_SOFTWARES: unknown */
	bool all;	  /* to all registrants */
	bool renewed;	  /* from had defended in rhythm */
	char from[ISCSI_NAME_MAX + 1], to[ISCSI_NAME_MAX + 1], by[ISCSI_NAME_MAX + 1];
	struct witness_time owned;	/* from, since */
	struct witness_time defended;	/* from's last defence */
	struct witness_time gone;	/* from's last session had ended */
	struct witness_time challenged; /* by to */
	uint32_t removed;		/* registrations others lost with it */
};

/* A node lost its registrations by another. */
struct witness_removal {
	struct witness_time at;
	uint8_t how;
	uint32_t count; /* registrations */
	bool owner;	/* it was the owner */
	char who[ISCSI_NAME_MAX + 1], by[ISCSI_NAME_MAX + 1];
};

struct witness_verdict {
	uint8_t confidence;
	struct witness_time at;
};

struct witness_picture {
	uint64_t entries;	 /* applied */
	uint32_t run;		 /* of the daemon */
	struct witness_time now; /* of the last entry */
	struct witness_node node[WITNESS_NODES];
	struct witness_owner owner;
	struct witness_change change[WITNESS_CHANGES]; /* newest first */
	struct witness_removal removal;		       /* the last one */
	struct witness_verdict software[WITNESS_SOFTWARES];
	uint32_t warnings; /* 1 << enum witness_warning */
	uint64_t changes, challenges, removals, defences;
	uint64_t overflow; /* times there was no room for a node or a path */
	uint8_t members;   /* most nodes that were registered for some time */
	bool aborted;	   /* PREEMPT AND ABORT was seen */
};

void witness_picture_init(struct witness_picture *p);

/* Takes an entry over. Any entry, also one no daemon would write. */
void witness_picture_apply(struct witness_picture *p, const struct witness_entry *e);

/* Index of a node, or -1. */
int witness_node_find(const struct witness_picture *p, const char *name);
/* A path of a node, or NULL. */
const struct witness_path *witness_path_find(const struct witness_node *n, const struct nexus *who);
unsigned witness_node_sessions(const struct witness_node *n);
unsigned witness_node_keys(const struct witness_node *n); /* registered paths */
/* The owner's node; NULL: nobody, or everybody. */
const struct witness_node *witness_owner_node(const struct witness_picture *p);
/* Nodes with a registration. */
unsigned witness_members(const struct witness_picture *p);

/*
 * The picture as bytes: canonical, so equal pictures are equal bytes. put counts all and stores
 * what fits (at most WITNESS_IMAGE_MAX); get gives false, with *p unspecified, for anything that
 * put did not write.
 */
enum { WITNESS_IMAGE_MAX = 160 << 10 };
void witness_picture_put(const struct witness_picture *p, struct wcur *out);
bool witness_picture_get(struct rcur *in, struct witness_picture *p);

#endif
