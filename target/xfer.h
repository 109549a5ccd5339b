/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data-out of a command (RFC 7143 4.2.5.2, 11.7, 11.8): immediate data, unsolicited Data-Out, R2T
 * and the Data-Out that answers it. Only in order: we negotiate DataPDUInOrder=Yes and
 * DataSequenceInOrder=Yes.
 */
#ifndef TARGET_XFER_H
#define TARGET_XFER_H

#include "target/conn.h"

/* Sends as many R2Ts as MaxOutstandingR2T, MaxBurstLength and what is missing allow. */
void xfer_ask(struct task *t);
/* Its transfer tags are dead from now on; late Data-Out to them is consumed in silence. */
void xfer_forget(struct task *t);
/* Commands that wait for a tag, or for others' data to come, get what there is. */
void xfer_wake(struct session *s);
/* Gives dead tags free that nobody answered for so many milliseconds. */
void xfer_reap(struct session *s, unsigned ms);
/*
 * A Data-Out header: sets c->rx up for its data. False: a protocol error that ends the connection.
 */
bool xfer_data_out(struct conn *c);
/* Its data has come (data_ok: the digest was right). */
void xfer_data_end(struct conn *c, bool data_ok);

#endif
