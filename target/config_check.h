/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the values of a configuration mean together: names that are given once, references that lead
 * somewhere, secrets that are secret, defaults that depend on other keys. Main thread.
 */
#ifndef TARGET_CONFIG_CHECK_H
#define TARGET_CONFIG_CHECK_H

#include <sys/types.h>

#include "target/config.h"
#include "target/config_read.h"

struct check {
	struct reader *r; /* errors go there; its document is still open */
	struct config *c;
	bool files;	 /* look at what paths lead to, and read secrets from their files */
	mode_t mode;	 /* of the configuration file; with files */
	const char *dir; /* the directory it is in; with files */
};

/* Completes c, which reader_section() filled from the root node, or adds errors to the reader. */
void config_check(struct check *k);

/*
 * Parts of it, in other files.
 */

/* One `auth` section; map NULL: there is none. The reader's path is that of the section. */
void check_auth(struct check *k, const yaml_node_t *map, struct login_auth *auth);
/* All LUNs of all targets. */
void check_luns(struct check *k);
/* Where the daemon keeps things of its own; with files. */
void check_dirs(struct check *k);

/*
 * Paths; what they give is freed by the caller. dir/path, or path when it is absolute, without
 * empty and "." components; the directory that path is in; whether there is this directory, or will
 * be, as the daemon makes the last component of state_dir and data_dir when it starts.
 */
char *path_join(const char *dir, const char *path);
char *path_dir(const char *path);
bool dir_will_be(const struct check *k, const char *dir);

/* A value that nobody else may have, and whose it is. */
struct check_unique {
	char *text;	      /* allocated */
	unsigned target, lun; /* indices as in the document */
	unsigned order;
	const yaml_node_t *map; /* the section it is in */
};

/*
 * Sorts by text and reports every value that an earlier one has already, as an error about `key`;
 * frees the texts. what: "the name", "the path". of_lun: the values belong to LUNs, else to the
 * items of a list called `list` at the top of the file.
 */
void check_unique(struct check *k, struct check_unique *u, unsigned n, const char *key,
		  const char *what, const char *list, bool of_lun);

/* Path of targets[t].luns[l] (only when the reader is at the top); undone by path_pop(r, 0). */
void check_path_lun(struct check *k, unsigned t, unsigned l);

#endif
