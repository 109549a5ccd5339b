/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: bytes in, PDUs framed; PDUs out, one vectored send per loop turn. */
#include <assert.h>
#include <errno.h>
#include <isa-l.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "target/conn.h"
#include "target/log.h"
#include "target/mutate.h"
#include "target/net.h"
#include "target/xfer.h"

enum {
	SCRATCH = 256 << 10, /* one read; a reactor's, so it stays in the cache */
	/*
	 * Behind the rest of a segment this long so much is read into the scratch area: the next
	 * header, and of its data, which is as long in all likelihood, as little as need be copied.
	 */
	RX_LONG = 64 << 10, RX_BEHIND = 1024,
	READS_PER_TURN = 4,  /* then others have their turn */
	/*
	 * Where there are mixed sessions, too, everybody's turn is in front of a witness's command:
	 * reads, and bytes sent (a PDU more).
	 */
	MIXED_READS = 1, MIXED_SEND = 128 << 10,
	IOV_MAX_SEND = 192,
	TX_HIGH = 4096,		/* PDUs queued: more, and we do not read from it (tx_blocked) */
	TX_SHORT = 128 << 10,	/* bytes that may be in front of what goes ahead */
	TX_BATCH = 512 << 10,	/* of one system call: the kernel lets nobody else run meanwhile */
	TXD_KEEP = 4096,
	LONE_BATCH = 8,		/* PDUs */
	PING_EARLY_MS = 100,	/* idle for so much less than limits.nop_interval is idle enough */
};

static __thread uint8_t *scratch;
/*
 * The connection that was read last, and whether it is the only one that sends: then nobody waits
 * for the end of the turn, and its initiator may have a part of the answers while the rest is made.
 */
static __thread const struct conn *last_read;
static __thread bool lone;
static __thread struct {
	struct txd *free;
	unsigned n;
} pool;
static __thread struct conn *lender; /* what the store lent is queued here */
static __thread unsigned nmixed; /* sessions of this reactor that carry data and a witness */
static __thread struct cds_list_head conns;
static __thread bool conns_ready;
static unsigned conn_ids;

/*
 * CRC32C as iSCSI wants it (RFC 7143 13.1): ISA-L starts from a raw register and does not invert.
 */
static uint32_t crc_start(void)
{
	return 0xffffffffu;
}

static uint32_t crc_add(uint32_t crc, const void *p, uint32_t n)
{
	return crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, crc);
}

static void crc_put(uint8_t out[4], uint32_t crc)
{
	crc = ~crc;
	/* The digest's own byte order is little endian on the wire (B.4 of RFC 7143 shows it). */
	out[0] = (uint8_t)crc;
	out[1] = (uint8_t)(crc >> 8);
	out[2] = (uint8_t)(crc >> 16);
	out[3] = (uint8_t)(crc >> 24);
}

static bool crc_is(const uint8_t in[4], uint32_t crc)
{
	uint8_t want[4];

	crc_put(want, crc);
	return !memcmp(in, want, sizeof(want));
}

/* ---- sending -------------------------------------------------------------------------------- */

struct txd *conn_tx(struct conn *c, enum tx_sn sn)
{
	struct txd *d = pool.free;

	if (d) {
		pool.free = d->next;
		pool.n--;
	} else {
		d = malloc(sizeof(*d));
		if (!d)
			abort();
	}
	memset(d, 0, sizeof(*d));
	d->sn = (uint8_t)sn;
	return d;
}

static void txd_free(struct txd *d)
{
	if (d->task)
		task_put(d->task);
	buf_put(d->buf);
	if (pool.n >= TXD_KEEP) {
		free(d);
		return;
	}
	d->next = pool.free;
	pool.free = d;
	pool.n++;
}

void conn_send(struct conn *c, struct txd *d)
{
	d->next = NULL;
	*c->tx_tail = d;
	c->tx_tail = &d->next;
	c->tx_count++;
	c->tx_owed += d->task ? d->task->in.len : d->len;
	reactor_defer(&c->flush);
}

void conn_send_ahead(struct conn *c, struct txd *d)
{
	struct txd **at = &c->tx_head;

	while (*at && ((*at)->stamped || (*at)->ahead))
		at = &(*at)->next;
	d->ahead = true;
	d->next = *at;
	*at = d;
	if (!d->next)
		c->tx_tail = &d->next;
	c->tx_count++;
	reactor_defer(&c->flush);
}

void conn_keep_short(struct conn *c)
{
	int unsent = TX_SHORT;

	nmixed++;
	c->tx_batch = TX_SHORT;
	setsockopt(c->rfd.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

/* Sequence numbers, lengths and digests, at the last moment: they are true when they leave. */
static void txd_stamp(struct conn *c, struct txd *d)
{
	struct bhs_scsi_rsp *h = (struct bhs_scsi_rsp *)d->bhs;
	uint32_t pad = -d->len & 3;

	d->stamped = true;
	h->data_len = be24_of(d->len);
	if (d->sn != SN_NONE)
		h->statsn = be32_of(c->statsn);
	if (d->sn == SN_TAKE)
		c->statsn++;
	if (c->session && h->opcode != OP_LOGIN_RSP) {
		session_window_update(c->session);
		h->expcmdsn = be32_of(c->session->expcmdsn);
		h->maxcmdsn = be32_of(c->session->maxcmdsn);
	}
	d->bhs_len = BHS_LEN;
	if (c->hdigest) {
		crc_put(d->bhs + BHS_LEN, crc_add(crc_start(), d->bhs, BHS_LEN));
		d->bhs_len += 4;
	}
	d->tail_len = (uint8_t)pad;
	if (d->len && c->ddigest) {
		uint32_t crc = crc_add(crc_start(), d->data, d->len);

		if (pad)
			crc = crc_add(crc, d->tail, pad);
		crc_put(d->tail + pad, crc);
		d->tail_len += 4;
	}
}

/* d's turn has come. If there is more of what it is a part of, that stands behind it now. */
static void tx_number(struct conn *c, struct txd *d)
{
	struct txd *more;

	if (d->stamped)
		return;
	txd_stamp(c, d);
	if (!d->more)
		return;
	more = reply_more(c, d);
	more->ahead = d->ahead;
	more->next = d->next;
	d->next = more;
	if (!more->next)
		c->tx_tail = &more->next;
	c->tx_count++;
}

void conn_stamp(struct conn *c)
{
	for (struct txd *d = c->tx_head; d; d = d->next)
		tx_number(c, d);
}

static size_t txd_size(const struct txd *d)
{
	return (size_t)d->bhs_len + d->len + d->tail_len;
}

static unsigned add_iov(struct iovec *v, unsigned n, const void *p, size_t len, size_t *skip)
{
	if (*skip >= len) {
		*skip -= len;
		return n;
	}
	v[n].iov_base = (uint8_t *)(uintptr_t)p + *skip;
	v[n].iov_len = len - *skip;
	*skip = 0;
	return n + 1;
}

static void tx_done(struct conn *c, size_t sent)
{
	sent += c->tx_off;
	while (c->tx_head && c->tx_head->stamped && sent >= txd_size(c->tx_head)) {
		struct txd *d = c->tx_head;

		sent -= txd_size(d);
		c->tx_head = d->next;
		if (!c->tx_head) {
			c->tx_tail = &c->tx_head;
			c->tx_owed = 0;
		}
		c->tx_count--;
		txd_free(d);
	}
	c->tx_off = sent;
}

static void conn_end(struct conn *c);

/* The socket takes no more for now; a peer that does not read is not read from either. */
static void tx_blocked(struct conn *c)
{
	rfd_want(&c->rfd, (c->tx_count > TX_HIGH ? 0 : FD_READ) | FD_WRITE);
}

/* How much it may send now, at once: 0 when it has had its turn. */
static size_t tx_room(struct conn *c)
{
	if (!nmixed || MUTATION(MUT_LONG_TURN))
		return c->tx_batch;
	if (c->tx_turn != reactor_now()) {
		c->tx_turn = reactor_now();
		c->tx_spent = 0;
	}
	return c->tx_spent < MIXED_SEND ? MIXED_SEND - c->tx_spent : 0;
}

/*
 * Sends what is queued: 0 when all of it went, or -errno (-EAGAIN: not now, the socket is full or
 * it is others' turn).
 */
static int tx_push(struct conn *c)
{
	while (c->tx_head) {
		struct iovec iov[IOV_MAX_SEND];
		size_t skip = c->tx_off, total = 0, room = tx_room(c);
		unsigned n = 0;
		ssize_t sent;
		struct msghdr mh = { .msg_iov = iov };

		if (!room)
			return -EAGAIN;
		for (struct txd *d = c->tx_head;
		     d && n + 3 <= IOV_MAX_SEND && total < room; d = d->next) {
			tx_number(c, d);
			total += txd_size(d);
			n = add_iov(iov, n, d->bhs, d->bhs_len, &skip);
			n = add_iov(iov, n, d->data, d->len, &skip);
			n = add_iov(iov, n, d->tail, d->tail_len, &skip);
		}
		mh.msg_iovlen = n;
		total -= c->tx_off;
		backend_settle();
		sent = sendmsg(c->rfd.fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		c->tx_spent += (size_t)sent;
		tx_done(c, (size_t)sent);
		if ((size_t)sent < total)
			return -EAGAIN;
	}
	return 0;
}

static void conn_flush(struct defer *df)
{
	struct conn *c = caa_container_of(df, struct conn, flush);
	int err;

	if (c->state == CONN_MOVING)
		return;
	err = tx_push(c);
	if (err == -EAGAIN) {
		tx_blocked(c);
		return;
	}
	if (err) {
		conn_close(c, "the connection broke while sending");
		return;
	}
	rfd_want(&c->rfd, FD_READ);
	if (c->close_after_tx)
		conn_close(c, c->why);
}

/* With data digests a copy is needed anyway: what they vouch for must not change any more. */
bool conn_lend(struct conn *c)
{
	if (!c->input || c->state != CONN_FULL || c->ddigest || c->session->mixed ||
	    c->rfd.want & FD_WRITE)
		return false;
	lender = c;
	return true;
}

/*
 * What is queued goes before the end of the turn, unless the socket is full. If it is broken:
 * conn_flush() finds the same then.
 */
static void tx_early(struct conn *c)
{
	if (c->state == CONN_FULL && !(c->rfd.want & FD_WRITE) && tx_push(c) == -EAGAIN)
		tx_blocked(c);
}

/* d is the first of t's PDUs that the socket did not take, or not all of. */
static void lent_keep(struct txd *d, struct task *t)
{
	const uint8_t *lent = t->lent;
	size_t at = (size_t)(d->data - lent);

	memcpy(t->bin->data + at, lent + at, t->in.len - at);
	for (; d; d = d->next)
		if (d->task == t)
			d->data = t->bin->data + (d->data - lent);
	t->cmd.in = t->bin->data;
	t->lent = NULL;
}

void conn_lent_end(void)
{
	struct conn *c = lender;

	if (!c)
		return;
	lender = NULL;
	tx_early(c);
	for (struct txd *d = c->tx_head; d; d = d->next)
		if (d->task && d->task->lent)
			lent_keep(d, d->task);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void rx_next_header(struct conn *c)
{
	c->rx.state = RX_HEADER;
	c->rx.have = 0;
	c->rx.need = BHS_LEN;
}

static void rx_release(struct conn *c)
{
	if (c->rx.task)
		task_put(c->rx.task);
	c->rx.task = NULL;
	c->rx.r2t = NULL;
	buf_put(c->rx.buf);
	c->rx.buf = NULL;
}

static void rx_pdu_end(struct conn *c)
{
	bool ok = true;

	if (c->ddigest && c->rx.len) {
		uint32_t pad = c->rx.tail_need - 4;
		uint32_t crc = pad ? crc_add(c->rx.crc, c->rx.tail, pad) : c->rx.crc;

		ok = crc_is(c->rx.tail + pad, crc);
	}
	request_end(c, ok);
	rx_release(c);
	rx_next_header(c);
	if ((lone && c->tx_count >= LONE_BATCH) || c->tx_owed >= TX_BATCH)
		tx_early(c);
}

/* The header is whole: what is it, and where does its data go? */
static void rx_header(struct conn *c)
{
	struct bhs *h = (struct bhs *)c->rx.hdr;
	uint32_t ahs = h->ahs_len * 4u, hd = c->hdigest ? 4 : 0;

	if (c->rx.need == BHS_LEN && (ahs || hd)) {
		c->rx.need = BHS_LEN + ahs + hd;
		return;
	}
	if (hd &&
	    !crc_is(c->rx.hdr + BHS_LEN + ahs, crc_add(crc_start(), c->rx.hdr, BHS_LEN + ahs))) {
		/*
		 * RFC 7143 7.7: with ErrorRecoveryLevel 0 the framing cannot be trusted any more.
		 */
		conn_close(c, "header digest error");
		return;
	}
	c->rx.len = be24_get(h->data_len);
	c->rx.got = 0;
	c->rx.dst = NULL;
	c->rx.room = 0;
	c->rx.crc = crc_start();
	c->rx.skip = false;
	if (c->rx.len > c->max_data_in) {
		conn_close(c, "a data segment longer than MaxRecvDataSegmentLength");
		return;
	}
	request_begin(c);
	if (c->state == CONN_CLOSING)
		return;
	c->rx.tail_have = 0;
	c->rx.tail_need = c->rx.len ? (-c->rx.len & 3) + (c->ddigest ? 4 : 0) : 0;
	c->rx.state = RX_DATA;
}

/* Takes n bytes of the data segment: those at p are copied, or (p NULL) are in place already. */
static void rx_data(struct conn *c, const uint8_t *p, uint32_t n)
{
	if (p && c->rx.got < c->rx.room) {
		uint32_t fit = c->rx.room - c->rx.got < n ? c->rx.room - c->rx.got : n;

		memcpy(c->rx.dst + c->rx.got, p, fit);
	}
	if (c->ddigest)
		c->rx.crc = crc_add(c->rx.crc, p ? p : c->rx.dst + c->rx.got, n);
	c->rx.got += n;
}

/* Ends states that need no further byte. */
static void rx_advance(struct conn *c)
{
	if (c->rx.state == RX_DATA && c->rx.got == c->rx.len)
		c->rx.state = RX_TAIL;
	if (c->rx.state == RX_TAIL && c->rx.tail_have == c->rx.tail_need)
		rx_pdu_end(c);
}

static void conn_input(struct conn *c, const uint8_t *p, size_t n)
{
	while (n && c->state != CONN_CLOSING && c->state != CONN_MOVING) {
		uint32_t take;

		switch (c->rx.state) {
		case RX_HEADER:
			take = c->rx.need - c->rx.have;
			take = take < n ? take : (uint32_t)n;
			memcpy(c->rx.hdr + c->rx.have, p, take);
			c->rx.have += take;
			if (c->rx.have == c->rx.need)
				rx_header(c);
			break;
		case RX_DATA:
			take = c->rx.len - c->rx.got;
			take = take < n ? take : (uint32_t)n;
			rx_data(c, p, take);
			break;
		case RX_TAIL:
		default:
			take = c->rx.tail_need - c->rx.tail_have;
			take = take < n ? take : (uint32_t)n;
			memcpy(c->rx.tail + c->rx.tail_have, p, take);
			c->rx.tail_have += take;
			break;
		}
		p += take;
		n -= take;
		if (c->state != CONN_CLOSING)
			rx_advance(c);
	}
	if (n && c->state == CONN_MOVING)
		conn_close(c, "more bytes behind the last login request");
}

static void conn_readable(struct conn *c)
{
	/* A mixed session's data is in front of its own commands: out of the way with it. */
	bool brief = nmixed && !(c->session && c->session->mixed) && !MUTATION(MUT_LONG_TURN);
	unsigned reads = brief ? MIXED_READS : READS_PER_TURN;

	lone = c == last_read;
	last_read = c;
	if (!scratch)
		scratch = aligned_alloc(4096, SCRATCH);
	for (unsigned i = 0;
	     i < reads && c->state != CONN_CLOSING && c->state != CONN_MOVING; i++) {
		if (c->tx_count > TX_HIGH) {
			rfd_want(&c->rfd, FD_WRITE);
			return;
		}
		struct iovec iov[2] = { { NULL, 0 }, { scratch, SCRATCH } };
		size_t direct = 0;
		bool emptied;
		ssize_t got;

		/* A long data segment goes straight to its place. */
		if (c->rx.state == RX_DATA && c->rx.got < c->rx.room) {
			direct = c->rx.len - c->rx.got;
			if (direct > c->rx.room - c->rx.got)
				direct = c->rx.room - c->rx.got;
			iov[0] = (struct iovec){ c->rx.dst + c->rx.got, direct };
			if (c->rx.len >= RX_LONG)
				iov[1].iov_len = RX_BEHIND;
		}
		got = direct ? readv(c->rfd.fd, iov, 2)
			     : recv(c->rfd.fd, scratch, SCRATCH, MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			conn_close(c, got ? "the connection broke" : "closed by the initiator");
			return;
		}
		c->last_sign = reactor_now();
		c->pinged = false;	/* whatever came: it lives */
		emptied = (size_t)got < direct + iov[1].iov_len;
		if (direct) {
			size_t n = (size_t)got < direct ? (size_t)got : direct;

			rx_data(c, NULL, (uint32_t)n);
			rx_advance(c);
			got -= (ssize_t)n;
		}
		if (got)
			conn_input(c, scratch, (size_t)got);
		/* Asking again would only cost a system call. */
		if (emptied)
			return;
	}
}

void conn_run(struct conn *c, void (*fn)(struct conn *c))
{
	c->input = true;
	fn(c);
	conn_lent_end();
	c->input = false;
	if (c->state == CONN_CLOSING)
		conn_end(c);
	else if (c->state == CONN_MOVING)
		conn_depart(c);
}

static void conn_ready(struct rfd *f, uint32_t ready)
{
	struct conn *c = caa_container_of(f, struct conn, rfd);

	if (ready & FD_WRITE) {
		/* The socket was full, and the peer took some: a ping waits behind the rest. */
		c->last_sign = reactor_now();
		reactor_defer(&c->flush);
	}
	if (ready & (FD_READ | FD_ERROR))
		conn_run(c, conn_readable);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void conn_timer(struct timer *t)
{
	struct conn *c = caa_container_of(t, struct conn, timer);

	conn_close(c, c->state == CONN_LOGIN ? "login took too long (limits.login_timeout)"
					     : c->why);
}

/*
 * A peer shows that it lives by what it sends, and by taking what waits for it: one that reads
 * slowly may have nothing to send, and does not see the ping until it has read what is before it.
 * Its answer to the last ping came a little after the full second at which this is called again.
 */
static void conn_look(struct coarse *k)
{
	struct conn *c = caa_container_of(k, struct conn, look);
	const struct config *cfg = daemon_state.cfg;
	uint64_t idle_ms = (reactor_now() - c->last_sign) / 1000000;
	uint64_t interval_ms = cfg->limits.nop_interval * 1000ull;
	uint64_t limit_ms = interval_ms + cfg->limits.nop_timeout * 1000ull;
	static const uint8_t lun0[8];

	if (c->close_after_tx)		/* conn_timer() sees to it */
		return;
	/* A discovery session takes no NOP-Out (RFC 7143 4.3): not pinged, it may be idle as long.
	 */
	if ((c->pinged || c->session->discovery) && idle_ms >= limit_ms) {
		conn_close(c, c->pinged ? "no answer to our NOP-In (limits.nop_timeout)"
					: "an idle discovery session");
		return;
	}
	if (c->pinged || c->session->discovery) {
		coarse_arm(k, limit_ms - idle_ms);
		return;
	}
	if (idle_ms + PING_EARLY_MS < interval_ms) {
		coarse_arm(k, interval_ms - idle_ms);
		return;
	}
	reply_nop_in(c, ISCSI_TAG_NONE, ++c->ttt & 0x7fffffff, lun0, NULL, 0);
	c->pinged = true;
	/* It may answer, and fall silent then: looked at as early as if it had spoken itself. */
	coarse_arm(k, limit_ms < 2 * interval_ms ? limit_ms - interval_ms : interval_ms);
}

static void half_open_end(struct conn *c)
{
	if (c->half_open)
		__atomic_sub_fetch(&daemon_state.half_open, 1, __ATOMIC_RELAXED);
	c->half_open = false;
}

void conn_full_feature(struct conn *c)
{
	half_open_end(c);
	free(c->login);
	c->login = NULL;
	c->state = CONN_FULL;
	c->last_sign = reactor_now();
	timer_cancel(&c->timer);
	coarse_arm(&c->look, daemon_state.cfg->limits.nop_interval * 1000ull);
}

/* Joins this reactor: after accept, and after a move. */
void conn_attach(struct conn *c)
{
	int err;

	if (!conns_ready) {
		CDS_INIT_LIST_HEAD(&conns);
		conns_ready = true;
	}
	c->reactor = reactor_self();
	cds_list_add_tail(&c->link, &conns);
	err = rfd_add(&c->rfd, FD_READ);
	if (err)
		conn_close(c, "the event loop takes no more sockets");
}

void conn_detach(struct conn *c)
{
	rfd_del(&c->rfd);
	timer_cancel(&c->timer);
	coarse_cancel(&c->look);
	reactor_defer_cancel(&c->flush);
	cds_list_del(&c->link);
}

static void conn_begin(struct conn *c)
{
	conn_attach(c);
	if (c->state != CONN_CLOSING)
		timer_arm(&c->timer, daemon_state.cfg->limits.login_timeout * 1000ull);
}

void conn_new(int fd, const struct config_portal *portal)
{
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (c)
		c->login = malloc(sizeof(*c->login));
	if (!c || !c->login) {
		free(c);
		close(fd);
		__atomic_sub_fetch(&daemon_state.half_open, 1, __ATOMIC_RELAXED);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->rfd.fd = fd;
	c->rfd.fn = conn_ready;
	c->portal = portal;
	c->id = __atomic_add_fetch(&conn_ids, 1, __ATOMIC_RELAXED);
	c->half_open = true;
	c->state = CONN_LOGIN;
	c->tx_tail = &c->tx_head;
	c->tx_batch = TX_BATCH;
	c->flush.fn = conn_flush;
	c->timer.fn = conn_timer;
	c->look.fn = conn_look;
	c->max_data_in = LOGIN_PDU_TEXT_MAX;
	net_names(fd, c->peer, c->local, sizeof(c->peer));
	login_init(c->login);
	rx_next_header(c);
	conn_run(c, conn_begin);
}

static void conn_end(struct conn *c)
{
	struct session *s = c->session;
	const char *who = s ? s->nexus->nexus.initiator : "-";
	struct txd *d;

	log_about(LOG_LEVEL_INFO, (c->peer, who, s && s->node ? s->node->cfg->name : NULL, c->why),
		  "event=close conn=%u peer=%s ini=%s why=\"%s\"", c->id, c->peer, who,
		  c->why ? c->why : "");
	conn_detach(c);
	rx_release(c);
	while ((d = c->tx_head)) {
		c->tx_head = d->next;
		txd_free(d);
	}
	c->tx_tail = &c->tx_head;
	half_open_end(c);
	registry_put(c->claim);
	nmixed -= s && s->mixed;
	if (s)
		session_free(s, c->why);
	close(c->rfd.fd);
	free(c->login);
	free(c->admission);
	free(c);
}

void conn_close(struct conn *c, const char *why)
{
	if (c->state == CONN_CLOSING)
		return;
	c->why = why;
	c->state = CONN_CLOSING;
	if (!c->input)
		conn_end(c);
}

void conn_each(void (*fn)(struct conn *c, void *arg), void *arg)
{
	struct conn *c, *tmp;

	if (!conns_ready)
		return;
	cds_list_for_each_entry_safe(c, tmp, &conns, link)
		fn(c, arg);
}

void conn_trim(void)
{
	struct txd *d;

	while ((d = pool.free)) {
		pool.free = d->next;
		free(d);
	}
	pool.n = 0;
	free(scratch);
	scratch = NULL;
}
