/* SPDX-License-Identifier: Apache-2.0 */
/* config_check.h: paths, and the directories of the daemon's own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target/config_check.h"

char *path_join(const char *dir, const char *path)
{
	size_t size = strlen(dir) + strlen(path) + 3, n = 0;
	char *joined = must_alloc(size, 1), *out = must_alloc(size, 1);

	snprintf(joined, size, "%s%s%s", *path == '/' ? "" : dir, *path == '/' ? "" : "/", path);
	if (*joined == '/')
		out[n++] = '/';
	for (const char *p = joined; *p;) {
		size_t len = strcspn(p, "/");

		if (len && !(len == 1 && *p == '.')) {
			if (n && out[n - 1] != '/')
				out[n++] = '/';
			memcpy(out + n, p, len);
			n += len;
		}
		p += len;
		p += *p == '/';
	}
	if (!n)
		out[n++] = '.';
	free(joined);
	return out;
}

char *path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = must_strdup(slash ? path : ".");

	if (slash)
		dir[slash - path + (slash == path)] = '\0';
	return dir;
}

bool dir_will_be(const struct check *k, const char *dir)
{
	const char *const made[] = { k->c->state_dir, k->c->data_dir };
	struct stat st;
	bool will = !stat(dir, &st) && S_ISDIR(st.st_mode);

	for (unsigned i = 0; i < 2 && !will; i++) {
		char *join = path_join(".", made[i]);

		will = !strcmp(join, dir);
		free(join);
	}
	return will;
}

/* A directory of which the daemon makes the last component: can it? map, key: who says so. */
static void check_own(struct check *k, const char *key, const char *path)
{
	const yaml_node_t *root = k->r->doc.root;
	char *own = path_join(".", path), *dir = path_dir(own);
	struct stat st;

	if (!stat(own, &st)) {
		if (!S_ISDIR(st.st_mode))
			reader_error_key(k->r, root, key, "%s is not a directory (expected one)",
					 own);
	} else if (errno != ENOENT && errno != EACCES) {
		reader_error_key(k->r, root, key, "%s: %s (expected a directory)", own,
				 strerror(errno));
	} else if (errno == ENOENT && !dir_will_be(k, dir)) {
		reader_error_key(k->r, root, key,
				 "%s cannot be created, as there is no directory %s (expected "
				 "one: is the file system mounted?)", own, dir);
	}
	free(dir);
	free(own);
}

void check_dirs(struct check *k)
{
	char *control = path_dir(k->c->control);

	check_own(k, "state_dir", k->c->state_dir);
	if (reader_has(k->r, k->r->doc.root, "data_dir"))
		check_own(k, "data_dir", k->c->data_dir);
	check_own(k, "control", control);
	free(control);
}
