/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries and pictures as records of a journal. A record is an object:
 *
 *	{"kind": "owner", "utc": ms, "mono": ms, "run": n, "how": "PREEMPT", "type": 5, "count": 2,
 *	 "initiator": "iqn...", "isid": "800000000001", "group": 1, "other": "iqn..."}
 *
 * with the members of struct witness_entry that are not 0 (entry.h); "how" is a word, of which
 * table is the kind's business. From time to time the whole picture follows, as {"kind":
 * "picture", "part": i, "parts": n, "data": hex}, so that what the journal has left is enough.
 *
 * Any thread.
 */
#ifndef TARGET_WITNESS_JSON_H
#define TARGET_WITNESS_JSON_H

#include <jansson.h>

#include "witness/picture.h"

/* A new object; NULL: out of memory. */
json_t *witness_entry_json(const struct witness_entry *e);
/* False for anything witness_entry_json() did not make. Members it does not know are left alone. */
bool witness_entry_read(json_t *o, struct witness_entry *e);

enum { WITNESS_PART = 3800 }; /* bytes of a picture in one record */
/* The part of an image at `off`; NULL: out of memory. */
json_t *witness_part_json(const uint8_t *image, size_t len, size_t off);

/* A picture that is being read again. */
struct witness_replay {
	struct witness_picture picture; /* what the records so far add up to */
	struct witness_picture whole;	/* being read from parts */
	uint64_t entries;		/* since the last whole picture */
	bool gap;			/* records are missing since then */
	size_t len;			/* of image, so far */
	unsigned part;			/* the next one */
	uint8_t image[WITNESS_IMAGE_MAX];
};
void witness_replay_init(struct witness_replay *r);
/* One record. */
void witness_replay_record(struct witness_replay *r, const char *json, size_t len);

#endif
