/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of the reservations value, and how to look into it and make the next one. Private to
 * pr/, but for those who show the value (`pr show`, `pr export`, `pr prune`).
 *
 * One flat block: header, records, name table. An initiator name is stored once, however many
 * registrations it has. The value is canonical: records in the order of registration, names
 * ascending and each one used, every spare byte 0. So two equal values are equal bytes.
 *
 * All functions are pure; any thread. Those that change a value work in place on a block that
 * nobody else sees yet (the fx->pr_buf of pr_out()).
 */
#ifndef PR_STATE_H
#define PR_STATE_H

#include "pr/pr.h"

enum { PR_NO_HOLDER = 0xffff };

struct pr_reg {
	uint64_t key;		/* never 0 */
	uint32_t name;		/* offset of the initiator's name in the name table, bytes */
	uint16_t tpgt;
	uint8_t isid[6];
	uint32_t spare;		/* 0 */
};

struct pr_state {
	uint32_t size;		/* bytes of the whole value */
	uint32_t generation;	/* PRGENERATION (SPC-4 6.15.2) */
	uint32_t names_len;	/* bytes of the name table */
	uint16_t nregs;
	uint16_t holder;	/* record; PR_NO_HOLDER: none, or all of them (all registrants) */
	uint8_t type;		/* enum pr_type; PR_NONE: no reservation */
	bool aptpl;		/* the last valid APTPL bit received */
	uint8_t spare[6];	/* 0 */
	struct pr_reg regs[];	/* nregs records, then names_len bytes of NUL terminated names */
};

static inline const char *pr_names(const struct pr_state *s)
{
	return (const char *)(s->regs + s->nregs);
}

static inline const char *pr_name(const struct pr_state *s, const struct pr_reg *r)
{
	return pr_names(s) + r->name;
}

/* The kinds of type (SPC-4 5.13.10, table 71). */
bool pr_type_valid(uint8_t type);
static inline bool pr_type_all_registrants(uint8_t type)
{
	return type == PR_WRITE_EXCLUSIVE_AR || type == PR_EXCLUSIVE_ACCESS_AR;
}
static inline bool pr_type_registrants_only(uint8_t type)
{
	return type == PR_WRITE_EXCLUSIVE_RO || type == PR_EXCLUSIVE_ACCESS_RO;
}
/* "RR" in SPC-4 table 65: registrants only or all registrants. */
static inline bool pr_type_registrants(uint8_t type)
{
	return pr_type_registrants_only(type) || pr_type_all_registrants(type);
}

/* Index of the record of this nexus, or -1. */
int pr_find(const struct pr_state *s, const struct nexus *who);

/* The same type, held by the same. */
bool pr_same_reservation(const struct pr_state *a, const struct pr_state *b);

/*
 * What became of the registrations from a to b, whatever their order: fn is told of those that are
 * gone (a's, by index) or have another key (b's), in the order of a; then of those that came (b's).
 */
enum pr_diff { PR_DIFF_GONE, PR_DIFF_KEY, PR_DIFF_CAME };
typedef void pr_diff_fn(void *arg, enum pr_diff what, const struct pr_state *s, unsigned i);
void pr_diff(const struct pr_state *a, const struct pr_state *b, pr_diff_fn *fn, void *arg);

/* Record i as a nexus. */
void pr_nexus(const struct pr_state *s, unsigned i, struct nexus *out);

/*
 * Whether record i is a persistent reservation holder (SPC-4 5.13.10): each one under an all
 * registrants type.
 */
bool pr_is_holder(const struct pr_state *s, unsigned i);

/* Copies a value; to has at least pr_state_size(from) bytes. */
void pr_copy(struct pr_state *to, const struct pr_state *from);

/*
 * Appends a registration; false when PR_REGISTRANTS_MAX is reached. `who` must not be registered;
 * key must not be 0.
 */
bool pr_add(struct pr_state *s, const struct nexus *who, uint64_t key);

/*
 * Removes record i. When it was the holder's, or the last one under an all registrants type, the
 * reservation is released (SPC-4 5.13.10). Gives true if the reservation was released.
 */
bool pr_remove(struct pr_state *s, unsigned i);

/* Releases the reservation; makes record i (ignored for all registrants types) its holder. */
void pr_release(struct pr_state *s);
void pr_reserve(struct pr_state *s, unsigned i, uint8_t type);

/* Removes all registrations and the reservation; generation and APTPL stay. */
void pr_clear(struct pr_state *s);

/*
 * What a loss of power leaves (SPC-4 5.13.5, 6.15.2): everything if APTPL was set, else nothing;
 * PRGENERATION is 0 in either case. In place.
 */
void pr_power_on(struct pr_state *s);

#endif
