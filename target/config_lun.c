/* SPDX-License-Identifier: Apache-2.0 */
/* config_check.h: the part on LUNs. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backends/backend.h"
#include "target/config_check.h"
#include "target/hex.h"
#include "target/state_file.h"

/* ---- identity ---- */

/*
 * RFC 9562 5.8: version 8 leaves 122 bits to us; variant 10b. From the names only, so that it is
 * the same through every portal, path and restart.
 */
static void lun_uuid_derive(const char *target, const char *name, uint8_t uuid[16])
{
	static const char label[] = "holdfast lu\n";
	size_t len = strlen(label) + strlen(target) + 1 + strlen(name);
	char *text = must_alloc(len + 1, 1);
	uint8_t digest[EVP_MAX_MD_SIZE];

	snprintf(text, len + 1, "%s%s\n%s", label, target, name);
	if (EVP_Digest(text, len, digest, NULL, EVP_sha256(), NULL) != 1) {
		fputs("SHA-256 is not to be had from OpenSSL\n", stderr);
		abort();
	}
	memcpy(uuid, digest, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	free(text);
}

static void lun_uuid(struct check *k, const yaml_node_t *map, const struct config_target *t,
		     struct config_lun *l)
{
	static const uint8_t nil[16];

	l->uuid_given = reader_has(k->r, map, "uuid");
	if (!l->uuid_given && t->name && l->name)
		lun_uuid_derive(t->name, l->name, l->uuid);
	else if (reader_good(k->r, map, "uuid") && !memcmp(l->uuid, nil, 16))
		reader_error_key(k->r, map, "uuid",
				 "the UUID of all zeroes (expected one of its own)");
}

/* ---- the path ---- */

/*
 * What tells two spellings of one file apart from two files: device and inode, or, while there is
 * no file, its directory and its name.
 */
static char *path_identity(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir, *real, *text;
	struct stat st;
	size_t size;

	if (!stat(path, &st)) {
		text = must_alloc(96, 1);
		if (S_ISBLK(st.st_mode))
			snprintf(text, 96, "device %u:%u", major(st.st_rdev), minor(st.st_rdev));
		else
			snprintf(text, 96, "inode %u:%u %ju", major(st.st_dev), minor(st.st_dev),
				 (uintmax_t)st.st_ino);
		return text;
	}
	dir = path_dir(path);
	real = realpath(dir, NULL);
	size = strlen(real ? real : dir) + strlen(path) + 8;
	text = must_alloc(size, 1);
	snprintf(text, size, "path %s/%s", real ? real : dir, slash ? slash + 1 : path);
	free(real);
	free(dir);
	return text;
}

static void lun_file_found(struct check *k, const yaml_node_t *map, const struct config_lun *l,
			   const struct stat *st)
{
	struct reader *r = k->r;
	char have[32], want[32];

	if (S_ISDIR(st->st_mode))
		reader_error_key(r, map, "path",
				 "%s is a directory (expected a file or a block device)", l->path);
	else if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		reader_error_key(r, map, "path",
				 "%s is neither (expected a file or a block device)", l->path);
	else if (S_ISREG(st->st_mode) && reader_good(r, map, "size") &&
		 (uint64_t)st->st_size < l->size)
		reader_error_key(r, map, "size",
				 "%s, but %s has %s only (expected at most that; existing files "
				 "are not grown)",
				 schema_size_text(l->size, want, sizeof(want)), l->path,
				 schema_size_text((uint64_t)st->st_size, have, sizeof(have)));
	else if (S_ISREG(st->st_mode) && !reader_has(r, map, "size") && !st->st_size)
		reader_error_key(
			r, map, "path",
			"%s is empty (expected a file that is the disk, or none and a size)",
			l->path);
}

/* Of devices, and no other file system below: what is written to a file there stays in memory. */
static bool dir_of_devices(const char *dir)
{
	struct stat st, dev;

	if (strncmp(dir, "/dev", 4) || (dir[4] && dir[4] != '/'))
		return false;
	return stat(dir, &st) || stat("/dev", &dev) || st.st_dev == dev.st_dev;
}

/*
 * A file that is to be created. Not when the LUN was served before: its disk is somewhere, on a
 * file system that is not mounted most likely, and an empty one in its place, with its identity and
 * its reservations, is what nobody wants its hosts to find.
 */
static void lun_file_new(struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	char name[STATE_NAME_MAX], *state, *dir = path_dir(l->path);
	struct stat st;

	state_name(name, l->uuid, "state");
	state = path_join(k->c->state_dir, name);
	if (!stat(state, &st))
		reader_error_key(k->r, map, "path",
				 "%s does not exist, but this LUN was served before, as %s shows "
				 "(expected its disk: is the file system mounted? For a new, empty "
				 "one remove %s, and its reservations with it)",
				 l->path, state, state);
	else if (dir_of_devices(dir))
		reader_error_key(k->r, map, "path",
				 "%s does not exist (expected a block device; no file is created "
				 "in %s)",
				 l->path, dir);
	else if (!dir_will_be(k, dir))
		reader_error_key(k->r, map, "path",
				 "%s cannot be created, as there is no directory %s (expected one: "
				 "is the file system mounted?)",
				 l->path, dir);
	free(state);
	free(dir);
}

/* Whether the daemon could open it, as far as can be seen from outside. */
static void lun_file(struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	struct reader *r = k->r;
	struct stat st;

	if (!stat(l->path, &st))
		lun_file_found(k, map, l, &st);
	else if (errno != ENOENT)
		reader_error_key(r, map, "path", "%s: %s (expected a file or a block device)",
				 l->path, strerror(errno));
	else if (!reader_has(r, map, "size"))
		reader_error_key(r, map, "path",
				 "%s does not exist (expected an existing file or block device, or "
				 "a size to create a file)",
				 l->path);
	else if (l->readonly)
		reader_error_key(r, map, "path",
				 "%s does not exist (expected an existing file or block device, as "
				 "it is readonly)",
				 l->path);
	else if (reader_good(r, map, "size"))
		lun_file_new(k, map, l);
}

/* ---- one LUN ---- */

static void lun_backend(struct check *k, const yaml_node_t *map, struct config_lun *l)
{
	static const char *const of_file[] = { "path", "engine", "direct", "preallocate" };
	struct reader *r = k->r;
	char *joined;

	if (reader_has(r, map, "backend") && !reader_good(r, map, "backend"))
		return;
	if (!strcmp(l->backend, "file")) {
		if (!reader_has(r, map, "path"))
			reader_error_key(r, map, "path",
					 "missing (expected the path of a file or block device, or "
					 "backend: memory)");
		if (!reader_good(r, map, "path"))
			return;
		joined = path_join(k->c->data_dir, l->path);
		free(l->path);
		l->path = joined;
		if (reader_good(r, map, "engine") && l->engine == RIO_AIO && !l->direct)
			reader_error_key(r, map, "engine",
					 "libaio without direct (expected direct: on beside it, or "
					 "another engine)");
		if (k->files)
			lun_file(k, map, l);
		return;
	}
	for (unsigned i = 0; i < sizeof(of_file) / sizeof(of_file[0]); i++)
		if (reader_has(r, map, of_file[i]))
			reader_error_key(r, map, of_file[i],
					 "has no meaning with backend: %s (expected only with "
					 "backend: file)",
					 l->backend);
	if (!reader_has(r, map, "size"))
		reader_error_key(r, map, "size",
				 "missing (expected a size, as backend: %s has none of its own)",
				 l->backend);
}

static void lun_blocks(struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	struct reader *r = k->r;

	if (reader_good(r, map, "size") && l->size % l->block_size)
		reader_error_key(
			r, map, "size",
			"found %" PRIu64
			" bytes, which is not whole blocks (expected a multiple of block_size, %u)",
			l->size, l->block_size);
	if (reader_good(r, map, "physical_block_size") &&
	    (l->physical_block_size & (l->physical_block_size - 1) ||
	     l->physical_block_size < l->block_size))
		reader_error_key(r, map, "physical_block_size",
				 "found %u (expected a power of two, not less than block_size, %u)",
				 l->physical_block_size, l->block_size);
}

/* They are put over a store that is none: what is wrong with them is theirs to say. */
static void lun_filters(struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	const struct backend_options o = { .type = "null",
					   .size = l->block_size,
					   .block_size = l->block_size,
					   .filters = l->filters };
	struct backend *be;
	char err[256];

	if (!reader_good(k->r, map, "filters") ||
	    (reader_has(k->r, map, "block_size") && !reader_good(k->r, map, "block_size")))
		return;
	if (backend_open(&o, &be, err, sizeof(err)))
		reader_error_key(k->r, map, "filters", "%s", err);
	else
		backend_close(be);
}

/*
 * A witness disk decides which half of a cluster lives: what it answers is durable, its blocks are
 * there when the store is full, and the old reservations, which block persistent ones, are off.
 */
static void lun_witness(struct check *k, const yaml_node_t *map, struct config_lun *l)
{
	if (!reader_has(k->r, map, "write_cache"))
		l->write_cache = false;
	if (!reader_has(k->r, map, "reserve6"))
		l->reserve6 = false;
	if (!reader_has(k->r, map, "preallocate"))
		l->preallocate = l->path != NULL;
}

static void check_lun(struct check *k, const yaml_node_t *map, const struct config_target *t,
		      struct config_lun *l)
{
	if (!doc_is_map(map))
		return;
	lun_uuid(k, map, t, l);
	lun_backend(k, map, l);
	lun_blocks(k, map, l);
	lun_filters(k, map, l);
	if (l->type == LUN_WITNESS)
		lun_witness(k, map, l);
	if (!reader_has(k->r, map, "pr_retain"))
		l->pr_retain = k->c->pr_retain;
}

/* ---- all of them ---- */

/* What must be unique, as text; NULL when this LUN has none. */
typedef char *unique_text(const struct check *k, const yaml_node_t *map,
			  const struct config_lun *l);

static char *unique_name(const struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	return l->name ? must_strdup(l->name) : NULL;
}

static char *unique_path(const struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	return l->path && reader_good(k->r, map, "path") ? must_strdup(l->path) : NULL;
}

static char *unique_file(const struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	return k->files && l->path && reader_good(k->r, map, "path") ? path_identity(l->path) :
								       NULL;
}

/*
 * Given or derived: a given one may be a copy of another's. Without its first digit, which the NAA
 * designator has no room for. A derived one is equal to another only when the names are, which was
 * said.
 */
static char *unique_uuid(const struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	static const uint8_t none[16];	/* of a target without a good name */
	char *text;

	if (!reader_good(k->r, map, l->uuid_given ? "uuid" : "name") ||
	    !memcmp(l->uuid, none, 16))
		return NULL;
	text = must_alloc(33, 1);
	hex_put(text, l->uuid, 16);
	text[0] = '0';
	return text;
}

/* Given, or what derives from the UUID. */
static char *unique_naa(const struct check *k, const yaml_node_t *map, const struct config_lun *l)
{
	char *text;

	if (!reader_has(k->r, map, "naa")) {
		text = unique_uuid(k, map, l);
		if (text)
			text[0] = '6';
		return text;
	}
	if (!reader_good(k->r, map, "naa"))
		return NULL;
	text = must_strdup(l->naa);
	for (char *p = text; *p; p++)
		*p = *p >= 'A' && *p <= 'F' ? (char)(*p - 'A' + 'a') : *p;
	return text;
}

/* Only given ones: hosts that know disks by these would take two for paths of one. */
static char *unique_serial(const struct check *k, const yaml_node_t *map,
			   const struct config_lun *l)
{
	return l->serial[0] && reader_good(k->r, map, "serial") ? must_strdup(l->serial) : NULL;
}

static char *unique_t10_id(const struct check *k, const yaml_node_t *map,
			   const struct config_lun *l)
{
	char *text;

	if (!l->t10_id[0] || !reader_good(k->r, map, "t10_id"))
		return NULL;
	text = must_alloc(LU_VENDOR_LEN + LU_T10_ID_MAX + 1, 1);
	sprintf(text, "%-*s%s", LU_VENDOR_LEN, l->vendor, l->t10_id);
	return text;
}

static void luns_unique(struct check *k, unsigned total, unique_text *text, const char *key,
			const char *what)
{
	struct check_unique *u = must_alloc(total, sizeof(*u));
	const yaml_node_t *targets = doc_get(&k->r->doc, k->r->doc.root, "targets");
	unsigned n = 0;

	for (unsigned t = 0; t < k->c->ntargets; t++) {
		const yaml_node_t *list =
			doc_get(&k->r->doc, doc_item(&k->r->doc, targets, t), "luns");

		for (unsigned l = 0; l < k->c->targets[t].nluns; l++) {
			const yaml_node_t *map = doc_item(&k->r->doc, list, l);
			char *value = text(k, map, &k->c->targets[t].luns[l]);

			if (value)
				u[n++] = (struct check_unique){
					.text = value, .target = t, .lun = l, .map = map
				};
		}
	}
	check_unique(k, u, n, key, what, NULL, true);
	free(u);
}

/* Numbers are unique within a target. */
static void luns_numbers(struct check *k, unsigned t, const yaml_node_t *list)
{
	struct config_target *target = &k->c->targets[t];
	struct check_unique *u = must_alloc(target->nluns, sizeof(*u));
	unsigned n = 0;

	for (unsigned l = 0; l < target->nluns; l++) {
		const yaml_node_t *map = doc_item(&k->r->doc, list, l);
		char text[8];

		if (!reader_good(k->r, map, "lun"))
			continue;
		snprintf(text, sizeof(text), "%05u", target->luns[l].lun);
		u[n++] = (struct check_unique){
			.text = must_strdup(text), .target = t, .lun = l, .map = map
		};
	}
	check_unique(k, u, n, "lun", "the number", NULL, true);
	free(u);
}

static int lun_compare(const void *a, const void *b)
{
	const struct config_lun *x = a, *y = b;

	return (int)x->lun - (int)y->lun;
}

void check_luns(struct check *k)
{
	const yaml_node_t *targets = doc_get(&k->r->doc, k->r->doc.root, "targets");
	unsigned total = 0, nerrors;

	for (unsigned t = 0; t < k->c->ntargets; t++) {
		struct config_target *target = &k->c->targets[t];
		const yaml_node_t *list =
			doc_get(&k->r->doc, doc_item(&k->r->doc, targets, t), "luns");

		total += target->nluns;
		for (unsigned l = 0; l < target->nluns; l++) {
			check_path_lun(k, t, l);
			check_lun(k, doc_item(&k->r->doc, list, l), target, &target->luns[l]);
			path_pop(k->r, 0);
		}
		luns_numbers(k, t, list);
	}
	luns_unique(k, total, unique_name, "name", "the name");
	luns_unique(k, total, unique_path, "path", "the path");
	luns_unique(k, total, unique_file, "path", "the file");
	nerrors = k->r->nerrors;
	luns_unique(k, total, unique_uuid, "uuid", "the UUID");
	/* Derived ones are equal when the UUIDs are: not to be said twice. */
	if (k->r->nerrors == nerrors)
		luns_unique(k, total, unique_naa, "naa", "the NAA");
	luns_unique(k, total, unique_serial, "serial", "the serial");
	luns_unique(k, total, unique_t10_id, "t10_id", "the T10 designator");
	/* Last: until here elements and items of the document go side by side. */
	for (unsigned t = 0; t < k->c->ntargets; t++)
		if (k->c->targets[t].nluns)
			qsort(k->c->targets[t].luns, k->c->targets[t].nluns,
			      sizeof(struct config_lun), lun_compare);
}
