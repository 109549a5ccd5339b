/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a journal, read: lines, what a file begins and ends with, all records. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <isa-l.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/journal_file.h"

enum {
	PEEK = 256 << 10, /* bytes looked at, at both ends of a file that is opened */
};

/* ---- lines ----------------------------------------------------------------------------------- */

uint32_t journal_crc(const char *p, size_t n)
{
	return crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, 0xffffffffu);
}

static bool number_get(const char **p, const char *before, uint64_t *n)
{
	size_t len = strlen(before);
	char *end;

	if (strncmp(*p, before, len) || (*p)[len] < '0' || (*p)[len] > '9')
		return false;
	errno = 0;
	*n = strtoull(*p + len, &end, 10);
	*p = end;
	return !errno;
}

/* A line without its newline, NUL terminated instead. */
static bool line_get(const char *line, size_t len, struct journal_record *r)
{
	const char *p = line + JOURNAL_CRC_LEN;
	char crc[JOURNAL_CRC_LEN + 1];

	if (len <= JOURNAL_CRC_LEN || len >= JOURNAL_LINE_MAX)
		return false;
	snprintf(crc, sizeof(crc), "%08" PRIx32 " ", journal_crc(p, len - JOURNAL_CRC_LEN));
	if (memcmp(line, crc, JOURNAL_CRC_LEN))
		return false;
	r->json = p;
	r->len = len - JOURNAL_CRC_LEN;
	return number_get(&p, "{\"seq\":", &r->seq) && r->seq &&
	       number_get(&p, ",\"time\":", &r->time_ns);
}

/* Where the next line is to be looked for; from is among the bytes of a file. */
struct lines {
	char *p, *end;
};

enum line { LINE_NONE, LINE_GOOD, LINE_BAD };

/* LINE_NONE: no more whole lines; l->p is at what is left. */
static enum line lines_next(struct lines *l, struct journal_record *r)
{
	char *line = l->p, *nl = memchr(l->p, '\n', (size_t)(l->end - l->p));

	if (!nl)
		return LINE_NONE;
	*nl = 0;
	l->p = nl + 1;
	return line_get(line, (size_t)(nl - line), r) ? LINE_GOOD : LINE_BAD;
}

/* ---- files ----------------------------------------------------------------------------------- */

int journal_file_open(const char *path, unsigned i, int flags)
{
	char file[4096];
	int fd;

	snprintf(file, sizeof(file), "%s%u", path, i);
	fd = open(file, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

static int range_load(int fd, uint64_t off, uint64_t len, struct lines *l)
{
	size_t have = 0;

	l->p = malloc(len + 1);
	if (!l->p)
		return -ENOMEM;
	while (have < len) {
		ssize_t n = pread(fd, l->p + have, len - have, (off_t)(off + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(l->p);
			return -errno;
		}
		if (!n)
			break;
		have += (size_t)n;
	}
	l->end = l->p + have;
	return 0;
}

/*
 * The records in [from, to) of a file: first and last sequence, and where the last one ends. A
 * range that begins in the middle of a line begins with a bad one.
 */
static int range_look(int fd, uint64_t from, uint64_t to, struct journal_segment *s)
{
	struct journal_record r;
	struct lines l;
	char *base, *last = NULL;
	int err = range_load(fd, from, to - from, &l);

	if (err)
		return err;
	base = l.p;
	s->first = s->last = s->end = 0;
	s->text = NULL;
	for (enum line k; (k = lines_next(&l, &r)) != LINE_NONE; ) {
		if (k == LINE_BAD || r.seq <= s->last)
			continue;
		s->last = r.seq;
		s->end = from + (uint64_t)(l.p - base);
		last = (char *)(uintptr_t)r.json;
		if (!s->first)
			s->first = r.seq;
	}
	s->text = last ? strdup(last) : NULL;
	free(base);
	return 0;
}

/* A long one is looked at where it begins and where it ends only, if there are records. */
int journal_segment_look(int fd, struct journal_segment *s)
{
	struct journal_segment head, tail;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	*s = (struct journal_segment){ .there = true, .size = (uint64_t)st.st_size };
	if (s->size <= 2 * PEEK)
		return range_look(fd, 0, s->size, s);
	err = range_look(fd, 0, PEEK, &head);
	if (err)
		return err;
	free(head.text);
	err = range_look(fd, s->size - PEEK, s->size, &tail);
	if (err)
		return err;
	if (!head.first || !tail.last) {
		free(tail.text);
		return range_look(fd, 0, s->size, s);
	}
	s->first = head.first;
	s->last = tail.last;
	s->end = tail.end;
	s->text = tail.text;
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A file as it is now: all of it. */
static int segment_load(const char *path, unsigned i, struct lines *l)
{
	struct stat st;
	int fd = journal_file_open(path, i, O_RDONLY), err;

	*l = (struct lines){ NULL, NULL };
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = fstat(fd, &st) ? -errno : range_load(fd, 0, (uint64_t)st.st_size, l);
	close(fd);
	return err;
}

/* The sequence a file begins with; 0 when it has no record. */
static uint64_t lines_first(const struct lines *all)
{
	for (char *p = all->p, *nl; p && (nl = memchr(p, '\n', (size_t)(all->end - p)));
	     p = nl + 1) {
		struct journal_record r;
		bool good;

		*nl = 0;
		good = line_get(p, (size_t)(nl - p), &r);
		*nl = '\n';
		if (good)
			return r.seq;
	}
	return 0;
}

int journal_read_files(const char *path, uint64_t from,
		       bool (*fn)(void *arg, const struct journal_record *r), void *arg,
		       unsigned *bad)
{
	struct lines l[2];
	char *base[2] = { NULL, NULL };
	uint64_t last = 0;
	unsigned skipped = 0, older;
	bool more = true;
	int err = 0;

	if (bad)
		*bad = 0;
	for (unsigned i = 0; i < 2 && !err; i++) {
		err = segment_load(path, i, &l[i]);
		base[i] = err ? NULL : l[i].p;
	}
	older = !err && lines_first(&l[1]) < lines_first(&l[0]);
	for (unsigned k = 0; k < 2 && !err && more; k++) {
		struct lines *s = &l[k ? !older : older];
		struct journal_record r;

		for (enum line n; s->p && more && (n = lines_next(s, &r)) != LINE_NONE; ) {
			if (n == LINE_BAD || r.seq <= last) {
				skipped++;
				continue;
			}
			last = r.seq;
			if (r.seq >= from)
				more = fn(arg, &r);
		}
	}
	free(base[0]);
	free(base[1]);
	if (bad)
		*bad = skipped;
	return err;
}
