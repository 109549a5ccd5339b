/* SPDX-License-Identifier: Apache-2.0 */
/* From the configuration to targets, LUs and their stores. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target/daemon.h"
#include "target/hex.h"
#include "target/history.h"
#include "target/log.h"
#include "target/mutate.h"
#include "scsi/mode.h"
#include "target/buf.h"
#include "target/config_text.h"
#include "target/store.h"
#include "target/witness.h"

/*
 * Of each write on a target with data and witnesses so much may come unasked: a queue full of
 * writes in the initiator's socket is in front of its next command to the witness. More is asked
 * for as it can be taken (xfer.c).
 */
enum { MIXED_FIRST_BURST = 8 << 10 };

struct daemon daemon_state;

/*
 * NAA 6h (SPC-4 7.8.6.6): 4 bits NAA, 24 bits company, 36 + 64 bits ours. Without a registered OUI
 * the bits are the uuid's.
 */
static void naa_derive(struct lu_ident *id)
{
	memcpy(id->naa, id->uuid, sizeof(id->naa));
	id->naa[0] = (uint8_t)(0x60 | (id->naa[0] & 0x0f));
}

static void ident_make(struct lu_ident *id, const struct config_lun *l)
{
	id->lun = l->lun;
	id->witness = l->type == LUN_WITNESS;
	id->reserve6 = l->reserve6;
	snprintf(id->name, sizeof(id->name), "%s", l->name);
	memcpy(id->uuid, l->uuid, sizeof(id->uuid));
	if (!l->naa[0] || !text_hex(l->naa, id->naa))
		naa_derive(id);
	memcpy(id->serial, l->serial, sizeof(id->serial));
	if (!id->serial[0])
		hex_put(id->serial, id->uuid, sizeof(id->uuid));
	memcpy(id->t10_id, l->t10_id, sizeof(id->t10_id));
	memcpy(id->vendor, l->vendor, sizeof(id->vendor));
	memcpy(id->product, l->product, sizeof(id->product));
}

static uint8_t log2u(uint32_t n)
{
	uint8_t e = 0;

	while (n > 1) {
		n >>= 1;
		e++;
	}
	return e;
}

/*
 * A witness is at home on the lane. Its sessions are too, unless they carry data as well: that
 * would be in the way of the others.
 */
static struct reactor *lun_home(const struct daemon *d, const struct config_lun *l)
{
	if (l->type == LUN_WITNESS && reactor_lane())
		return reactor_lane();
	return reactor_at(d->nlus %
			  (MUTATION(MUT_LANE_SHARED) ? reactor_count() : reactor_dealt()));
}

static struct lu *lun_open(struct daemon *d, struct node *node, const struct config_lun *l)
{
	struct backend_options o = {
		.type = l->backend,
		.path = l->path,
		.size = l->size,
		.block_size = l->block_size,
		.engine = l->engine,
		.direct = l->direct,
		.readonly = l->readonly,
		.preallocate = l->preallocate,
		.filters = l->filters,
		.name = l->name,
	};
	struct lu_modes modes = { .wce = l->write_cache, .tas = true };
	struct lu_value v;
	struct lu_ident id;
	struct backend *be = NULL;
	struct store *store = NULL;
	struct store_image img = { .pr = pr_none };
	char err[256] = "";
	struct lu *lu;
	int e;

	memset(&id, 0, sizeof(id));
	ident_make(&id, l);
	e = backend_open(&o, &be, err, sizeof(err));
	if (e && !(e == -EWOULDBLOCK && be)) {
		log_error("event=lun_failed target=%s lun=%u name=%s line=%u msg=%s",
			  node->cfg->name, l->lun, l->name, l->line, LOG_Q(err));
		return NULL;
	}
	e = store_open(d->cfg->state_dir, l->uuid, l->pr_retain == CONFIG_PR_RETAIN_STANDARD,
		       &store, &img, err, sizeof(err));
	/* Damaged: this LU refuses I/O until the administrator has chosen; the others serve. */
	if (e)
		log_error("event=lun_failed target=%s lun=%u name=%s msg=%s", node->cfg->name,
			  l->lun, l->name, LOG_Q(err));
	if (e && e != -EBADMSG) {
		backend_close(be);
		return NULL;
	}
	memset(&v, 0, sizeof(v));
	v.caps = *backend_caps(be);
	v.caps.readonly |= l->readonly;
	v.block_size = l->block_size;
	v.phys_exp = log2u(l->physical_block_size / l->block_size);
	v.not_ready = be->busy || e == -EBADMSG;
	v.damaged = v.not_ready && !be->busy;
	v.failed = v.failed_stored = img.failed;
	v.stored = img.version;
	v.defaults = modes;
	v.saved = img.has_modes ? img.saved : modes;
	v.id = &id;
	v.modes = v.saved;
	mode_limit(&v);
	v.pr = img.pr;
	lu = lu_new(&id, &node->scsi, be, store, &v, lun_home(d, l));
	if (!lu) {
		log_error("event=lun_failed name=%s msg=\"out of memory\"", l->name);
		store_close(store);
		backend_close(be);
		return NULL;
	}
	lu->index = d->nlus;
	if (be->busy)
		log_warn("event=lun_waiting lun=%s msg=%s", l->name, LOG_Q(err));
	log_info("event=lun target=%s lun=%u name=%s type=%s size=%llu block=%u home=%u %s%s",
		 node->cfg->name, l->lun, l->name, id.witness ? "witness" : "data",
		 (unsigned long long)v.caps.size, v.block_size, reactor_index(lu->home), be->about,
		 v.not_ready ? be->busy ? " state=waiting_for_lock" : " state=damaged"
		 : v.failed  ? " state=failed"
			     : "");
	witness_new(lu, d->cfg->state_dir, l->path);
	if (!be->busy) {
		history_start(lu, d->cfg->state_dir, e ? NULL : &img);
		witness_start(lu, e ? NULL : &img);
	}
	return lu;
}

static unsigned witnesses(const struct config_target *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->nluns; i++)
		n += t->luns[i].type == LUN_WITNESS;
	return n;
}

static int node_build(struct daemon *d, struct node *n, struct login_target *lt,
		      const struct config_target *t)
{
	const struct config *cfg = d->cfg;
	uint16_t *tpgts = calloc(t->nportals + 1, sizeof(*tpgts)),
		 *luns = calloc(t->nluns + 1, sizeof(*luns));
	struct login_portal *lp = calloc(t->nportals + 1, sizeof(*lp));
	unsigned ntpgts = 0, nwitnesses = reactor_lane() ? witnesses(t) : 0;

	n->cfg = t;
	n->lane = nwitnesses && nwitnesses == t->nluns;
	n->lus = calloc(LUN_MAX + 1, sizeof(struct lu *));
	if (!tpgts || !luns || !lp || !n->lus)
		return -1;
	n->scsi = (struct scsi_target){ .name = t->name, .tpgts = tpgts, .luns = luns };
	*lt = (struct login_target){
		.initiators = (const char *const *)t->initiators,
		.ninitiators = t->ninitiators,
		.auth = t->auth,
		.portals = lp,
		.nportals = t->nportals,
		.first_burst = nwitnesses && !n->lane ? MIXED_FIRST_BURST : 0,
	};
	snprintf(lt->name, sizeof(lt->name), "%s", t->name);
	snprintf(lt->alias, sizeof(lt->alias), "%s", t->alias ? t->alias : "");
	for (unsigned i = 0; i < t->nportals; i++) {
		const struct config_portal *p = &cfg->portals[t->portals[i]];
		unsigned k = 0;

		snprintf(lp[i].address, sizeof(lp[i].address),
			 strchr(p->host, ':') ? "[%s]:%u" : "%s:%u", p->host, p->port);
		lp[i].tpgt = p->group;
		/* Portals of one group are one target port: kept once, ascending. */
		while (k < ntpgts && tpgts[k] < p->group)
			k++;
		if (k < ntpgts && tpgts[k] == p->group)
			continue;
		memmove(&tpgts[k + 1], &tpgts[k], (ntpgts - k) * sizeof(*tpgts));
		tpgts[k] = p->group;
		ntpgts++;
	}
	n->scsi.ntpgts = ntpgts;
	for (unsigned i = 0; i < t->nluns; i++) {
		struct lu *lu = lun_open(d, n, &t->luns[i]);

		if (!lu)
			return -1;
		d->lus[d->nlus++] = lu;
		n->lus[t->luns[i].lun] = lu;
		luns[n->scsi.nluns++] = t->luns[i].lun;
	}
	return 0;
}

int daemon_build(struct daemon *d, const struct config *cfg)
{
	unsigned nluns = 0;

	for (unsigned i = 0; i < cfg->ntargets; i++)
		nluns += cfg->targets[i].nluns;
	d->cfg = cfg;
	buf_budget(cfg->limits.buffers);
	if (mkdir(cfg->state_dir, 0700) && errno != EEXIST) {
		log_error("event=state_dir path=%s msg=\"cannot create: %s\"", cfg->state_dir,
			  strerror(errno));
		return -1;
	}
	if (mkdir(cfg->data_dir, 0700) && errno != EEXIST) {
		log_error("event=data_dir path=%s msg=\"cannot create: %s\"", cfg->data_dir,
			  strerror(errno));
		return -1;
	}
	d->nodes = calloc(cfg->ntargets + 1, sizeof(*d->nodes));
	d->login_targets = calloc(cfg->ntargets + 1, sizeof(*d->login_targets));
	d->lus = calloc(nluns + 1, sizeof(struct lu *));
	if (!d->nodes || !d->login_targets || !d->lus)
		return -1;
	for (unsigned i = 0; i < cfg->ntargets; i++) {
		d->nodes[i].index = i;
		d->nnodes++;
		if (node_build(d, &d->nodes[i], &d->login_targets[i], &cfg->targets[i]))
			return -1;
	}
	return 0;
}

void daemon_teardown(struct daemon *d)
{
	for (unsigned i = 0; i < d->nlus; i++) {
		struct backend *be = d->lus[i]->be;
		struct store *store = d->lus[i]->store;

		history_stop(d->lus[i]);
		witness_stop(d->lus[i]);
		lu_free(d->lus[i]);
		backend_close(be);
		store_close(store);
	}
	for (unsigned i = 0; i < d->nnodes; i++) {
		free((void *)(uintptr_t)d->nodes[i].scsi.tpgts);
		free((void *)(uintptr_t)d->nodes[i].scsi.luns);
		free((void *)(uintptr_t)d->login_targets[i].portals);
		free(d->nodes[i].lus);
	}
	free(d->nodes);
	free(d->login_targets);
	free(d->lus);
	*d = (struct daemon){ 0 };
}
