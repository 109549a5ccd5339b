/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a configuration: either a value that keeps what config.h promises, or lines that
 * each begin with the file's name; never both and never neither.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/limits.h"
#include "target/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lun(const struct config_lun *l)
{
	assert(l->name && strlen(l->name) >= 1 && strlen(l->name) <= LU_NAME_MAX &&
	       !strchr(l->name, '/'));
	assert(l->lun <= LUN_MAX);
	assert(!strcmp(l->backend, "file") ? !!l->path : !l->path && l->size);
	assert(l->block_size == 512 || l->block_size == 4096);
	assert(l->size % l->block_size == 0);
	assert(l->physical_block_size >= l->block_size &&
	       l->physical_block_size % l->block_size == 0);
}

static void check_auth(const struct login_auth *a)
{
	/* Secrets from files are not read here. */
	assert(!a->secret[0] || (a->user[0] && strlen(a->secret) >= 12));
	assert(!a->mutual_user[0] || a->user[0]);
	assert(!a->mutual_secret[0] || (a->mutual_user[0] && strcmp(a->secret, a->mutual_secret)));
}

static void check_config(const struct config *c)
{
	assert(c->state_dir && c->data_dir && c->control && c->nportals > 0);
	assert(c->offer.first_burst <= c->offer.max_burst);
	check_auth(&c->discovery_auth);
	for (unsigned i = 0; i < c->nportals; i++)
		assert(c->portals[i].name && c->portals[i].host[0] && c->portals[i].port &&
		       c->portals[i].group);
	for (unsigned i = 0; i < c->ntargets; i++) {
		const struct config_target *t = &c->targets[i];

		assert(t->name && strlen(t->name) <= ISCSI_NAME_MAX && t->nportals > 0);
		check_auth(&t->auth);
		for (unsigned p = 0; p < t->nportals; p++)
			assert(t->portals[p] < c->nportals);
		for (unsigned l = 0; l < t->nluns; l++) {
			check_lun(&t->luns[l]);
			assert(!l || t->luns[l - 1].lun < t->luns[l].lun);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *messages = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&messages, &len);
	struct config *c = config_parse("f", data, size, f);

	fclose(f);
	assert(!c == (len > 0));
	if (c)
		check_config(c);
	for (char *line = messages; *line; line = strchr(line, '\n') + 1)
		assert((!strncmp(line, "f:", 2)) && strchr(line, '\n'));
	config_free(c);
	free(messages);
	return 0;
}
