/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LUN is left as it was found: what was there before, how each check finds it, and what goes
 * away at the end on every path. Only keys that begin with this run's mark are ever removed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/wire.h"
#include "target/doctor/doctor.h"

enum { KEYS_MAX = 64, CLEANUP_MS = 3000, WRITE_EXCLUSIVE_RO = 5, MIB = 1 << 20 };

/* ---- before the first check ----------------------------------------------------------- */

static bool survey_capacity(struct doctor *d)
{
	struct cdb c = cdb_capacity16();
	struct answer a = node_do(&d->nodes[A], &c);
	char text[100];

	if (answer_is(&a, GOOD) && a.len >= 12) {
		d->blocks = get_be64(a.data) + 1;
		d->block = get_be32(a.data + 8);
	} else {
		c = cdb_capacity10();
		a = node_do(&d->nodes[A], &c);
		if (!answer_is(&a, GOOD) || a.len < 8) {
			snprintf(d->why, sizeof(d->why), "LUN %d is no disk one can read: %s: %s",
				 d->lun, c.text, answer_text(&a, text));
			return false;
		}
		d->blocks = (uint64_t)get_be32(a.data) + 1;
		d->block = get_be32(a.data + 4);
	}
	if (d->block < 512 || d->block > 4096 || d->block & (d->block - 1) || !d->blocks) {
		snprintf(d->why, sizeof(d->why), "blocks of %u bytes are not supported", d->block);
		return false;
	}
	/* Not the end itself, where partition tables keep their copy. */
	if (d->blocks * d->block >= 8 * MIB) {
		d->scratch_blocks = SCRATCH_MAX / d->block;
		d->scratch = (d->blocks - 2 * MIB / d->block) & ~(uint64_t)(65536 / d->block - 1);
	}
	return true;
}

static void survey_foreign(struct doctor *d)
{
	struct cdb c = cdb_pr_in(PRIN_KEYS, 8 + 8 * FOREIGN_MAX);
	struct answer a = node_do(&d->nodes[A], &c);
	uint64_t key;
	uint8_t type;

	if (answer_is(&a, GOOD) && a.len >= 8)
		for (uint32_t i = 8;
		     i + 8 <= a.len && i - 8 < get_be32(a.data + 4) && d->nforeign < FOREIGN_MAX;
		     i += 8)
			d->foreign[d->nforeign++] = get_be64(a.data + i);
	if (pr_holder(&d->nodes[A], &key, &type))
		d->foreign_reserved = type != 0;
}

static void survey_siblings(struct doctor *d)
{
	struct cdb c = cdb_report_luns(4096);
	struct answer a = node_do(&d->nodes[A], &c);

	d->sibling = -1;
	if (!answer_is(&a, GOOD) || a.len < 8)
		return;
	for (uint32_t i = 8; i + 8 <= a.len && i - 8 < get_be32(a.data); i += 8) {
		/* Single level addresses below 16384 (SAM-5 4.7.7.2, 4.7.7.3). */
		int lun = get_be16(a.data + i) & 0x3fff;

		if (lun != d->lun && a.data[i] >> 6 < 2 && d->sibling < 0)
			d->sibling = lun;
	}
}

/* The relative target port (SPC-4 7.8.6.7) a node sees in page 83h, 0 none. */
static uint16_t relative_port(struct node *n)
{
	struct cdb c = cdb_inquiry(0x83, 1024);
	struct answer a = node_do(n, &c);

	if (!answer_is(&a, GOOD))
		return 0;
	for (uint32_t i = 4; i + 4 <= a.len && i + 4u + a.data[i + 3] <= a.len;
	     i += 4u + a.data[i + 3])
		if ((a.data[i + 1] & 0x3f) == 0x14 && a.data[i + 3] >= 4)
			return get_be16(a.data + i + 6);
	return 0;
}

bool clean_survey(struct doctor *d)
{
	for (int i = 0; i < MAIN_NODES; i++) {
		if (!node_login(&d->nodes[i]))
			return false;
		node_settle(&d->nodes[i], NULL);
	}
	if (!survey_capacity(d))
		return false;
	survey_foreign(d);
	survey_siblings(d);
	if (d->second)
		d->ports_differ = relative_port(&d->nodes[A]) != relative_port(&d->nodes[A2]);
	return true;
}

/* ---- scratch -------------------------------------------------------------------------- */

/* Runs fn over the scratch blocks, as many at a time as one command takes. */
static bool scratch_each(struct node *n,
			 bool (*fn)(struct node *n, uint32_t at, uint16_t count, void *arg),
			 void *arg)
{
	struct doctor *d = n->d;
	uint32_t step = DATA_MAX / d->block;

	for (uint32_t at = 0; at < d->scratch_blocks; at += step)
		if (!fn(n, at,
			(uint16_t)(d->scratch_blocks - at < step ? d->scratch_blocks - at : step),
			arg))
			return false;
	return true;
}

static bool save_some(struct node *n, uint32_t at, uint16_t count, void *arg)
{
	struct doctor *d = n->d;
	struct cdb c = cdb_read(d->scratch + at, count, d->block);
	struct answer a = node_do(n, &c);

	if (!expect(n, &c, &a, GOOD, "what is there cannot be saved, so nothing is written"))
		return false;
	if (a.len != c.in) {
		check_fail(d, "%s: %s: %u of %u bytes", n->label, c.text, a.len, c.in);
		return false;
	}
	memcpy((uint8_t *)arg + (size_t)at * d->block, a.data, a.len);
	return true;
}

bool scratch_save(struct doctor *d)
{
	uint8_t *p;

	if (d->saved)
		return true;
	if (!d->writes || !d->scratch_blocks)
		return false;
	p = malloc((size_t)d->scratch_blocks * d->block);
	if (!p)
		abort();
	if (!scratch_each(&d->nodes[A], save_some, p)) {
		free(p);
		return false;
	}
	d->saved = p;
	d->dirty = true;
	return true;
}

static bool fill_some(struct node *n, uint32_t at, uint16_t count, void *arg)
{
	static uint8_t data[DATA_MAX];
	struct cdb c = cdb_write(n->d->scratch + at, count, n->d->block, data, false);

	memset(data, *(uint8_t *)arg, sizeof(data));
	return node_expect(n, &c, GOOD, NULL);
}

bool scratch_fill(struct node *n, uint8_t pattern)
{
	return scratch_save(n->d) && scratch_each(n, fill_some, &pattern);
}

static bool compare_some(struct node *n, uint32_t at, uint16_t count, void *arg)
{
	struct cdb c = cdb_read(n->d->scratch + at, count, n->d->block);
	struct answer a = node_do(n, &c);
	uint8_t *pattern = arg; /* expected, found */

	if (!expect(n, &c, &a, GOOD, NULL))
		return false;
	pattern[1] = pattern[0];
	for (uint32_t i = 0; i < a.len; i++)
		if (a.data[i] != pattern[0]) {
			pattern[1] = a.data[i];
			return false;
		}
	return true;
}

bool scratch_is(struct node *n, uint8_t pattern, uint8_t *found)
{
	uint8_t both[2] = { pattern, pattern };
	bool same = scratch_each(n, compare_some, both);

	*found = both[1];
	return same;
}

static bool restore_some(struct node *n, uint32_t at, uint16_t count, void *arg)
{
	struct doctor *d = n->d;
	struct cdb c = cdb_write(d->scratch + at, count, d->block,
				 (uint8_t *)arg + (size_t)at * d->block, false);
	struct answer a = node_do(n, &c);

	return answer_is(&a, GOOD);
}

/* ---- registrations -------------------------------------------------------------------- */

static bool nodes_ready(struct doctor *d)
{
	for (int i = 0; i < NODES; i++) {
		struct node *n = &d->nodes[i];

		if (i >= MAIN_NODES || n->held || n->asked_only)
			node_drop(n);
		n->asked_only = false;
		if (i < MAIN_NODES && !n->ctx && !node_login(n))
			return false;
	}
	return true;
}

static int keys_left(struct doctor *d, uint64_t *keys)
{
	int n = pr_keys(&d->nodes[A], keys, KEYS_MAX, NULL);

	if (n < 0)
		/* A unit attention may be in the way. */
		n = pr_keys(&d->nodes[A], keys, KEYS_MAX, NULL);
	return n;
}

/* A node that is not known any more under its name cannot take its own key back: another does. */
static void preempt_left(struct doctor *d, const uint64_t *keys, int n)
{
	struct node *a = &d->nodes[A];
	struct cdb c = cdb_pr_out(PROUT_REGISTER_IGNORE, 0, 0, a->key, 0);

	node_do(a, &c);
	for (int i = 0; i < n; i++) {
		if (keys[i] == a->key)
			continue;
		c = cdb_pr_out(PROUT_PREEMPT, WRITE_EXCLUSIVE_RO, a->key, keys[i], 0);
		node_do(a, &c);
	}
	/* What the target keeps under its own key for a session that is gone. */
	c = cdb_pr_out(PROUT_PREEMPT, WRITE_EXCLUSIVE_RO, a->key, a->key, 0);
	node_do(a, &c);
	c = cdb_pr_out(PROUT_REGISTER_IGNORE, 0, 0, 0, 0);
	node_do(a, &c);
}

static bool keys_remove(struct doctor *d)
{
	struct cdb none = cdb_pr_out(PROUT_REGISTER_IGNORE, 0, 0, 0, 0);
	uint64_t keys[KEYS_MAX];
	int n = keys_left(d, keys);

	for (int i = 0; n > 0 && i < NODES; i++) {
		struct node *x = &d->nodes[i];

		/* The extra sessions of a burst registered too. */
		if (i >= MAIN_NODES && !x->ctx && x->key && !node_login(x))
			continue;
		if (x->ctx) {
			struct answer a = node_do(x, &none);

			if (a.how == HOW_STATUS && a.status == 2 && a.key == 6)
				node_do(x, &none);
		}
	}
	if (n > 0)
		n = keys_left(d, keys);
	if (n > 0) {
		preempt_left(d, keys, n);
		n = keys_left(d, keys);
	}
	if (n > 0)
		snprintf(d->why, sizeof(d->why),
			 "%d of our registrations cannot be removed, the "
			 "first has key %llx",
			 n, (unsigned long long)keys[0]);
	return n <= 0;
}

bool clean_start(struct doctor *d)
{
	uint64_t key;
	uint8_t type;

	if (!nodes_ready(d) || !keys_remove(d) || !nodes_ready(d))
		return false;
	for (int i = 0; i < MAIN_NODES; i++)
		if (node_settle(&d->nodes[i], NULL) < 0) {
			snprintf(d->why, sizeof(d->why), "%s: unit attentions do not end",
				 d->nodes[i].label);
			return false;
		}
	if (pr_holder(&d->nodes[A], &key, &type) && type && !d->foreign_reserved) {
		snprintf(d->why, sizeof(d->why), "a reservation of type %u, key %llx stays", type,
			 (unsigned long long)key);
		return false;
	}
	return true;
}

bool clean_end(struct doctor *d)
{
	bool clean;

	d->cleaning = true;
	d->now = NULL;
	if (d->limit_ms > CLEANUP_MS)
		d->limit_ms = CLEANUP_MS;
	/* Whatever is in flight after Ctrl-C ends with its session. */
	for (int i = 0; doctor_stop && i < NODES; i++)
		node_drop(&d->nodes[i]);
	clean = clean_start(d);
	if (d->dirty) {
		if (d->nodes[A].ctx && scratch_each(&d->nodes[A], restore_some, d->saved)) {
			struct cdb c = cdb_sync();

			node_do(&d->nodes[A], &c);
			d->dirty = false;
		} else {
			snprintf(d->why, sizeof(d->why),
				 "%u scratch blocks from LBA %llu could not be "
				 "restored",
				 d->scratch_blocks, (unsigned long long)d->scratch);
			clean = false;
		}
	}
	for (int i = 0; i < NODES; i++)
		node_logout(&d->nodes[i]);
	free(d->saved);
	d->saved = NULL;
	return clean;
}
