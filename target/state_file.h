/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the state directory (store.h, journal.h) have in common. */
#ifndef TARGET_STATE_FILE_H
#define TARGET_STATE_FILE_H

#include <stddef.h>
#include <stdint.h>

enum { STATE_NAME_MAX = 64 };

/* "lu-UUID.KIND", the name of a LU's file; kind has at most 24 letters. Any thread. */
void state_name(char out[STATE_NAME_MAX], const uint8_t uuid[16], const char *kind);
/* Writes all n bytes at offset off: 0 or -errno. A thread that may block. */
int state_write(int fd, const void *p, size_t n, uint64_t off);
/* Makes the name of this file durable: 0 or -errno. A thread that may block. */
int state_sync_dir(const char *path);

#endif
