/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a LU's home and its ports say to each other: message handlers, each named after what
 * arrives. Private to lu.c and port.c.
 */
#ifndef TARGET_PORT_H
#define TARGET_PORT_H

#include "target/lu.h"

/* Home tells one port about one hold. */
struct hold_note {
	struct msg msg,
		unmsg; /* "hold", "let go": two, the first may still be on its way when quiet */
	struct lu_hold *hold;		/* NULL: this port was not told */
	struct lu_port *port;
	bool quiet;			/* no ack awaited */
	struct cds_list_head link;	/* port->held */
	struct drain drain;
};

static inline bool ranges_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b + blen && b < a + alen;
}

void lu_port_init(struct lu_port *p, struct lu *lu, struct reactor *r);

/* at home */
void lu_subscribe(struct msg *m);		/* a port wants the LU */
void lu_publish_acked(struct msg *m);		/* a port took the value over and has drained */
void lu_hold_acked(struct msg *m);
void lu_unhold_acked(struct msg *m);
void lu_hold_tell(struct lu_hold *h, struct lu_port *p, bool quiet);
/* at a port */
void lu_port_subscribed(struct msg *m);
void lu_port_publish(struct msg *m);
void lu_port_hold(struct msg *m);
void lu_port_unhold(struct msg *m);
/* at the asker */
void lu_change_answered(struct msg *m);

#endif
