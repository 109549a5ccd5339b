/* SPDX-License-Identifier: Apache-2.0 */
#include "target/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/config_check.h"
#include "target/config_read.h"
#include "target/config_schema.h"
#include "target/yaml.h"

void config_free(struct config *c)
{
	if (!c)
		return;
	/* What is not in the schema: its struct has it by another name. */
	for (unsigned i = 0; i < c->ntargets; i++)
		free(c->targets[i].portals);
	reader_free_section(&config_schema, c);
	free(c->file);
	free(c);
}

/* where: with files, mode and dir set, or zeroed. */
static struct config *config_build(const char *file, const void *text, size_t len,
				   struct check *where, FILE *errors)
{
	struct reader r = { .file = file };
	struct doc_error e;
	struct config *c;

	if (doc_read(&r.doc, text, len, &e)) {
		reader_error_line(&r, e.line, e.what);
		reader_print(&r, errors);
		reader_free(&r);
		return NULL;
	}
	r.bad = must_alloc(doc_nodes(&r.doc), sizeof(*r.bad));
	c = must_alloc(1, sizeof(*c));
	c->file = must_strdup(file);
	reader_section(&r, &config_schema, r.doc.root, c);
	where->r = &r;
	where->c = c;
	config_check(where);
	doc_free(&r.doc);
	if (r.nerrors) {
		reader_print(&r, errors);
		config_free(c);
		c = NULL;
	}
	reader_free(&r);
	return c;
}

struct config *config_parse(const char *file, const void *text, size_t len, FILE *errors)
{
	struct check where = { .files = false };

	return config_build(file, text, len, &where, errors);
}

/* The whole file, malloc'ed, and its mode; NULL after a message. */
static char *config_slurp(const char *file, size_t *len, mode_t *mode, FILE *errors)
{
	/* Not blocking: a FIFO is refused, not waited for. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char *text = NULL;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(errors, "%s: cannot open: %s (expected a configuration file)\n", file,
			strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		fprintf(errors, "%s: %s (expected a configuration file)\n", file,
			S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file");
	} else {
		*mode = st.st_mode;
		*len = 0;
		text = must_alloc(DOC_BYTES_MAX + 1,
				  1); /* one byte more tells that it is too long */
		while (*len < DOC_BYTES_MAX + 1 &&
		       (n = read(fd, text + *len, DOC_BYTES_MAX + 1 - *len)) > 0)
			*len += (size_t)n;
		if (n < 0 || *len > DOC_BYTES_MAX) {
			if (n < 0)
				fprintf(errors, "%s: cannot read: %s\n", file, strerror(errno));
			else
				fprintf(errors, "%s: longer than %d bytes (expected fewer)\n", file,
					DOC_BYTES_MAX);
			free(text);
			text = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	return text;
}

bool config_has_witness(const struct config *c)
{
	for (unsigned i = 0; i < c->ntargets; i++)
		for (unsigned k = 0; k < c->targets[i].nluns; k++)
			if (c->targets[i].luns[k].type == LUN_WITNESS)
				return true;
	return false;
}

struct config *config_load(const char *file, FILE *errors)
{
	struct check where = { .files = true };
	struct config *c;
	size_t len;
	char *text = config_slurp(file, &len, &where.mode, errors);
	char *dir, *slash;

	if (!text)
		return NULL;
	dir = must_strdup(file);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	where.dir = slash ? dir : ".";
	c = config_build(file, text, len, &where, errors);
	explicit_bzero(text, len);
	free(text);
	free(dir);
	return c;
}
