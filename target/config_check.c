/* SPDX-License-Identifier: Apache-2.0 */
#include "target/config_check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/config_text.h"

/* ---- values that are unique ---- */

static int unique_compare(const void *a, const void *b)
{
	const struct check_unique *x = a, *y = b;
	int diff = strcmp(x->text, y->text);

	return diff ? diff : x->order < y->order ? -1 : x->order > y->order;
}

void check_path_lun(struct check *k, unsigned t, unsigned l)
{
	assert(!k->r->path[0]);
	path_key(k->r, "targets");
	path_index(k->r, t);
	path_key(k->r, "luns");
	path_index(k->r, l);
}

static void unique_path(struct check *k, const struct check_unique *u, const char *list,
			bool of_lun)
{
	path_pop(k->r, 0);
	if (of_lun) {
		check_path_lun(k, u->target, u->lun);
	} else {
		path_key(k->r, list);
		path_index(k->r, u->target);
	}
}

void check_unique(struct check *k, struct check_unique *u, unsigned n, const char *key,
		  const char *what, const char *list, bool of_lun)
{
	char first[64], found[256];
	const yaml_node_t *value;

	for (unsigned i = 0; i < n; i++)
		u[i].order = i;
	qsort(u, n, sizeof(*u), unique_compare);
	for (unsigned i = 1, owner = 0; i < n; i++) {
		if (strcmp(u[i].text, u[owner].text)) {
			owner = i;
			continue;
		}
		unique_path(k, &u[owner], list, of_lun);
		snprintf(first, sizeof(first), "%.63s", k->r->path);
		unique_path(k, &u[i], list, of_lun);
		value = doc_get(&k->r->doc, u[i].map, key);
		reader_error_key(k->r, u[i].map, key,
				 "%s is %s of %s on line %u already (expected a different one)",
				 value ? doc_describe(value, found, sizeof(found)) : "the default",
				 what, first, doc_line(u[owner].map));
		path_pop(k->r, 0);
	}
	for (unsigned i = 0; i < n; i++)
		free(u[i].text);
}

/* ---- authentication ---- */

/* Reads a secret from a file of its own: the same care as with the configuration file itself. */
static void secret_read(struct check *k, const yaml_node_t *map, const char *key, char *secret)
{
	const char *name = doc_text(doc_get(&k->r->doc, map, key));
	char path[8192], text[CHAP_SECRET_MAX + 3];
	const char *wrong;
	struct stat st;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s%s%s", *name == '/' ? "" : k->dir, *name == '/' ? "" : "/",
		 name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		reader_error_key(k->r, map, key,
				 "cannot open %s: %s (expected a file that holds the secret)", path,
				 strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		reader_error_key(k->r, map, key,
				 "%s is not a regular file (expected a file that holds the secret)",
				 path);
	} else if (st.st_mode & 077) {
		reader_error_key(k->r, map, key,
				 "%s has mode %04o: others can read the secret (expected 0600)",
				 path, (unsigned)st.st_mode & 07777);
	} else {
		len = read(fd, text, sizeof(text));
		if (len > 0 && text[len - 1] == '\n')
			len--;
		if (len > 0 && text[len - 1] == '\r')
			len--;
		wrong = len < 0				    ? "not readable"
			: len < 12			    ? "too short"
			: len > CHAP_SECRET_MAX		    ? "too long"
			: memchr(text, '\n', (size_t)len)  ? "more than one line"
			: memchr(text, '\0', (size_t)len) ? "with a NUL in it"
							    : NULL;
		if (wrong) {
			reader_error_key(k->r, map, key,
					 "the secret in %s is %s (expected one line of 12 to %d "
					 "bytes)", path, wrong, CHAP_SECRET_MAX);
		} else {
			memcpy(secret, text, (size_t)len);
			secret[len] = '\0';
		}
		explicit_bzero(text, sizeof(text));
	}
	close(fd);
}

/* user with its secret or secret_file: both or neither. */
static void check_credentials(struct check *k, const yaml_node_t *map, const char *user,
			      const char *secret, const char *secret_file, char *value)
{
	struct reader *r = k->r;
	bool inside = reader_has(r, map, secret), apart = reader_has(r, map, secret_file);

	if (inside && apart)
		reader_error_key(r, map, secret_file, "given beside %s (expected one of the two)",
				 secret);
	if (reader_has(r, map, user) && !inside && !apart)
		reader_error_key(r, map, secret,
				 "missing (expected a secret, or %s, as %s is given)", secret_file,
				 user);
	if (!reader_has(r, map, user) && (inside || apart))
		reader_error_key(r, map, user, "missing (expected a name, as %s is given)",
				 inside ? secret : secret_file);
	if (inside && k->files && (k->mode & 077))
		reader_error_key(r, map, secret,
				 "a secret in a file of mode %04o, which others can read (expected "
				 "mode 0600, or %s)",
				 (unsigned)k->mode & 07777, secret_file);
	if (k->files && !inside && reader_good(r, map, secret_file))
		secret_read(k, map, secret_file, value);
}

void check_auth(struct check *k, const yaml_node_t *map, struct login_auth *auth)
{
	struct reader *r = k->r;
	bool mutual = reader_has(r, map, "mutual_user") || reader_has(r, map, "mutual_secret") ||
		      reader_has(r, map, "mutual_secret_file");

	if (!doc_is_map(map))
		return;
	check_credentials(k, map, "user", "secret", "secret_file", auth->secret);
	check_credentials(k, map, "mutual_user", "mutual_secret", "mutual_secret_file",
			  auth->mutual_secret);
	/*
	 * RFC 7143 12.1.3: the target answers a challenge only from an initiator that answered its
	 * own.
	 */
	if (!doc_count(map) ||
	    (mutual && !reader_has(r, map, "user") && !reader_has(r, map, "secret") &&
	     !reader_has(r, map, "secret_file")))
		reader_error_key(r, map, "user", "missing (expected user and secret%s)",
				 mutual ? ", as mutual authentication comes on top of them" : "");
	/*
	 * RFC 7143 9.2.1: else an initiator could have the target compute the answer to the
	 * target's own challenge.
	 */
	if (auth->secret[0] && !strcmp(auth->secret, auth->mutual_secret))
		reader_error_key(
			r, map,
			reader_has(r, map, "mutual_secret") ? "mutual_secret" :
							      "mutual_secret_file",
			"the same secret in both directions (expected two different ones)");
}

/* ---- portals ---- */

static void default_portal(struct config *c)
{
	c->portals = must_alloc(1, sizeof(*c->portals));
	c->nportals = 1;
	c->portals[0].name = must_strdup("default");
	c->portals[0].listen = must_strdup("0.0.0.0:3260");
	c->portals[0].group = 1;
}

static void check_portals(struct check *k, const yaml_node_t *list)
{
	struct config *c = k->c;
	struct check_unique *names, *listens;
	unsigned nnames = 0, nlistens = 0;
	char text[TEXT_HOST_MAX + 8];

	if (!list)
		default_portal(c);
	names = must_alloc(c->nportals, sizeof(*names));
	listens = must_alloc(c->nportals, sizeof(*listens));
	for (unsigned i = 0; i < c->nportals; i++) {
		struct config_portal *p = &c->portals[i];
		const yaml_node_t *map = list ? doc_item(&k->r->doc, list, i) : NULL;

		if (p->listen && text_listen(p->listen, p->host, &p->port)) {
			snprintf(text, sizeof(text), "%s:%u", p->host, p->port);
			listens[nlistens++] = (struct check_unique){ .text = must_strdup(text),
								     .target = i,
								     .map = map };
		}
		if (p->name)
			names[nnames++] = (struct check_unique){ .text = must_strdup(p->name),
								 .target = i,
								 .map = map };
	}
	check_unique(k, names, nnames, "name", "the name", "portals", false);
	check_unique(k, listens, nlistens, "listen", "the address", "portals", false);
	free(names);
	free(listens);
}

/* ---- targets ---- */

static int portal_find(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->nportals; i++)
		if (c->portals[i].name && !strcmp(c->portals[i].name, name))
			return (int)i;
	return -1;
}

static void portals_all(const struct config *c, struct config_target *t)
{
	t->portals = must_alloc(c->nportals, sizeof(*t->portals));
	for (unsigned i = 0; i < c->nportals; i++)
		t->portals[t->nportals++] = i;
}

static void unknown_portal(struct check *k, const yaml_node_t *item)
{
	char list[256] = "", found[80];
	size_t n = 0;

	for (unsigned i = 0; i < k->c->nportals && n < sizeof(list); i++)
		if (k->c->portals[i].name)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "",
					      k->c->portals[i].name);
	reader_error(k->r, item, "no portal is called %s (expected one of: %s)",
		     doc_describe(item, found, sizeof(found)), list);
}

/* Names to indices. The reader's path is that of the target. */
static void check_target_portals(struct check *k, const yaml_node_t *map, struct config_target *t)
{
	const yaml_node_t *list = doc_get(&k->r->doc, map, "portals");
	size_t mark;

	if (!list) {
		portals_all(k->c, t);
		return;
	}
	if (!reader_good(k->r, map, "portals"))
		return;
	t->portals = must_alloc(doc_count(list), sizeof(*t->portals));
	mark = path_key(k->r, "portals");
	for (unsigned i = 0; i < doc_count(list); i++) {
		const yaml_node_t *item = doc_item(&k->r->doc, list, i);
		size_t item_mark = path_index(k->r, i);
		int index = portal_find(k->c, doc_text(item));
		bool twice = false;

		for (unsigned j = 0; j < t->nportals; j++)
			twice |= (int)t->portals[j] == index;
		if (index < 0)
			unknown_portal(k, item);
		else if (twice)
			reader_error(k->r, item, "the portal \"%s\" a second time (expected once)",
				     doc_text(item));
		else
			t->portals[t->nportals++] = (unsigned)index;
		path_pop(k->r, item_mark);
	}
	path_pop(k->r, mark);
}

static void check_targets(struct check *k, const yaml_node_t *list)
{
	struct config *c = k->c;
	struct check_unique *names = must_alloc(c->ntargets, sizeof(*names));
	unsigned n = 0;

	for (unsigned i = 0; i < c->ntargets; i++) {
		struct config_target *t = &c->targets[i];
		const yaml_node_t *map = doc_item(&k->r->doc, list, i);
		size_t mark = path_key(k->r, "targets"), auth_mark;

		path_index(k->r, i);
		check_target_portals(k, map, t);
		auth_mark = path_key(k->r, "auth");
		check_auth(k, doc_get(&k->r->doc, map, "auth"), &t->auth);
		path_pop(k->r, auth_mark);
		path_pop(k->r, mark);
		if (t->name)
			names[n++] = (struct check_unique){ .text = must_strdup(t->name),
							    .target = i,
							    .map = map };
	}
	check_unique(k, names, n, "name", "the name", "targets", false);
	free(names);
}

/* ---- the rest ---- */

static void check_iscsi(struct check *k, const yaml_node_t *map)
{
	struct iscsi_offer *o = &k->c->offer;
	char max[32];
	size_t mark;

	if (o->first_burst <= o->max_burst)
		return;
	if (!reader_has(k->r, map, "first_burst_length")) {
		o->first_burst = o->max_burst;
		return;
	}
	/* RFC 7143 13.14. */
	mark = path_key(k->r, "iscsi");
	reader_error_key(k->r, map, "first_burst_length",
			 "more than max_burst_length (expected at most %s)",
			 schema_size_text(o->max_burst, max, sizeof(max)));
	path_pop(k->r, mark);
}

static void check_limits(struct check *k, const yaml_node_t *map)
{
	size_t mark = path_key(k->r, "limits");

	if (k->c->limits.lun_commands > k->c->limits.commands &&
	    reader_good(k->r, map, "lun_commands"))
		reader_error_key(k->r, map, "lun_commands",
				 "found %u, more than commands (expected at most %u)",
				 k->c->limits.lun_commands, k->c->limits.commands);
	path_pop(k->r, mark);
}

void config_check(struct check *k)
{
	const struct doc *d = &k->r->doc;
	const yaml_node_t *root = d->root;
	size_t mark;

	if (!doc_is_map(root))
		return;
	if (!k->c->data_dir)
		k->c->data_dir = must_strdup(k->c->state_dir);
	check_iscsi(k, doc_get(d, root, "iscsi"));
	check_limits(k, doc_get(d, root, "limits"));
	mark = path_key(k->r, "discovery_auth");
	check_auth(k, doc_get(d, root, "discovery_auth"), &k->c->discovery_auth);
	path_pop(k->r, mark);
	check_portals(k, doc_get(d, root, "portals"));
	check_targets(k, doc_get(d, root, "targets"));
	if (k->files)
		check_dirs(k);
	check_luns(k);
}
