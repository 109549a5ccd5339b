/* SPDX-License-Identifier: Apache-2.0 */
/* Between journal.c, which writes, and journal_read.c. Threads that may block. */
#ifndef TARGET_JOURNAL_FILE_H
#define TARGET_JOURNAL_FILE_H

#include "target/journal.h"

enum { JOURNAL_CRC_LEN = 9 }; /* bytes before the object: checksum and blank */

/* A file and what is in it. */
struct journal_segment {
	bool there;
	uint64_t first, last; /* sequences, 0: no record */
	uint64_t end;	      /* bytes: behind the last good line */
	uint64_t size;	      /* bytes */
	char *text;	      /* the last record, NULL: none; the caller's */
};

uint32_t journal_crc(const char *p, size_t n);

/* path: of the files, without the digit at the end, which is i. The descriptor, or -errno. */
int journal_file_open(const char *path, unsigned i, int flags);

/* Of a long file both ends are looked at only, if there are records. 0 or -errno. */
int journal_segment_look(int fd, struct journal_segment *s);

/* journal_read() */
int journal_read_files(const char *path, uint64_t from,
		       bool (*fn)(void *arg, const struct journal_record *r), void *arg,
		       unsigned *bad);

#endif
