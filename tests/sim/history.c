/* SPDX-License-Identifier: Apache-2.0 */
/* No histories and journals here: they are what people read, and nothing depends on them. */
#include "target/history.h"
#include "target/presence.h"

void history_start(struct lu *lu, const char *dir, const struct store_image *img)
{
}

void history_stop(struct lu *lu)
{
}

void history_note(struct lu *lu, const struct lu_change *c, const struct lu_value *old,
		  const struct lu_value *next)
{
}

void history_commit(struct lu *lu)
{
}

void history_drop(struct lu *lu)
{
}

void presence_tell(const struct session *s, bool in)
{
}
