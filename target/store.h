/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable part of a LU (saved mode values, persistent reservations, a failed flush): a small
 * versioned asynchronous store. On one host it is a preallocated file with two slots written
 * alternately in place; behind this interface a shared store can come later.
 */
#ifndef TARGET_STORE_H
#define TARGET_STORE_H

#include "pr/pr.h"
#include "target/reactor.h"

struct store;

/* What is kept. */
struct store_image {
	struct lu_modes saved;
	bool has_modes;			/* false: never saved, the configured defaults hold */
	bool failed;			/* a flush failed, and nobody repaired it */
	const struct pr_state *pr;
	bool power_on;			/* read: what a loss of power leaves of it */
	uint64_t version;		/* loaded: of this image; put: of the one it replaces */
};

/*
 * Opens or creates a LU's store under dir. On success *img is what was last acknowledged (pr points
 * into memory of the store, valid until close). With `standard` a boot id other than the one
 * written with it counts as a loss of power (pr_power_on()); else everything is kept. -EBADMSG: an
 * acknowledged image is damaged; the LU must refuse I/O until the administrator has chosen; *out
 * is set all the same, for store_reload() and store_close(). err gets a sentence. Main thread.
 */
int store_open(const char *dir, const uint8_t uuid[16], bool standard, struct store **out,
	       struct store_image *img, char *err, size_t errlen);
/*
 * Reads again what is there, as store_open() did: who had the LU before may have stored more until
 * its lock was ours. Main thread, before anything is put.
 */
int store_reload(struct store *s, struct store_image *img);
void store_close(struct store *s);

/*
 * Writes a new image in place of version img->version: compare and swap. done(arg, err) is called
 * on the calling reactor: 0 when it is on stable storage, as version + 1; -ESTALE when the store
 * had another version (nobody else writes this store; a shared one has others); else -errno. One
 * at a time. img need only live for the call.
 */
void store_put(struct store *s, const struct store_image *img, void (*done)(void *arg, int err),
	       void *arg);

#endif
