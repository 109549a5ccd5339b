/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody watches here: nothing depends on it, and its journal is a file. */
#include "target/witness.h"

void witness_new(struct lu *lu, const char *state_dir, const char *path)
{
}

void witness_start(struct lu *lu, const struct store_image *img)
{
}

void witness_stop(struct lu *lu)
{
}

void witness_note(struct lu *lu, const struct lu_change *c, struct lu_ref *before,
		  struct lu_ref *after)
{
}

void witness_commit(struct lu *lu)
{
}

void witness_drop(struct lu *lu)
{
}

void witness_login(const struct node *node, const struct nexus *who)
{
}

void witness_logout(const struct node *node, const struct nexus *who, bool clean)
{
}

void witness_ended(struct task *t)
{
}
