/* SPDX-License-Identifier: Apache-2.0 */
/* No journals here: they are what people read, and nothing depends on them. */
#include "target/journal.h"

struct journal *journal_open(const char *dir, const char *name)
{
	return NULL;
}

void journal_close(struct journal *j)
{
}

void journal_append(struct journal *j, const char *body)
{
}
