/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store under the LUs, in place of backends/memory.c: a medium with a volatile cache, which
 * outlives the daemon. And the way there: sim_backend_submit() stands between the daemon's ports
 * and backend_submit(). It is the kernel's queue: a unit reaches the store after a seeded time,
 * changes it in one or several pieces, and its end is told later still. What has not reached the
 * store when the daemon is killed gets there afterwards, or never.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/impl.h"
#include "target/daemon.h"
#include "target/session.h"
#include "tests/sim/hooks.h"
#include "tests/sim/sim.h"

struct disk {
	uint64_t blocks;
	uint8_t *cache, *stable; /* what is read; what power loss leaves */
	bool *dirty;
	bool filtered;
	bool at_once; /* as memory is: no unit is ever on its way */
	bool broken; /* a flush has failed: all others do, too (backends/backend.h) */
	uint64_t stalled_until;
};

/* A unit on its way. */
struct kio {
	struct unit u;
	struct kio *next;
	struct io_req *io; /* NULL: an orphan */
	struct backend *be;
	struct reactor *r;
	void (*done)(struct io_req *io);
	uint64_t from, to; /* blocks that are still to be carried out */
	uint8_t *copy;	   /* an orphan's data */
	int result;
};

static struct disk disks[LUNS];
static struct kio *kios;
static uint64_t unit_ids;

static struct disk *disk_at(unsigned lun)
{
	assert(lun < LUNS);
	return &disks[lun];
}

uint64_t disk_blocks(unsigned lun)
{
	return disk_at(lun)->blocks;
}

const uint8_t *disk_block(unsigned lun, uint64_t b)
{
	return disk_at(lun)->cache + b * DISK_BLOCK;
}

bool disk_filtered(unsigned lun)
{
	return disk_at(lun)->filtered;
}

void disk_stall(unsigned lun, uint64_t until)
{
	TRACE("disk %u stalls until %.3f", lun, (double)until / 1e6);
	disk_at(lun)->stalled_until = until;
}

static void block_put(struct disk *d, uint64_t b, const uint8_t *data)
{
	if (data)
		memcpy(d->cache + b * DISK_BLOCK, data, DISK_BLOCK);
	else
		memset(d->cache + b * DISK_BLOCK, 0, DISK_BLOCK);
	d->dirty[b] = true;
}

/* What a failed one had to write back is clean from then on, as in the kernel, and not there. */
static int flush_all(struct disk *d)
{
	if (world.flush_fails && !d->broken && rnd_chance(30)) {
		TRACE("disk %u: a flush fails", (unsigned)(d - disks));
		d->broken = true;
		memset(d->dirty, 0, d->blocks * sizeof(bool));
	}
	if (d->broken)
		return -EIO;
	for (uint64_t b = 0; b < d->blocks; b++) {
		if (d->dirty[b])
			memcpy(d->stable + b * DISK_BLOCK, d->cache + b * DISK_BLOCK, DISK_BLOCK);
		d->dirty[b] = false;
	}
	return 0;
}

/* ---- the bottom ---- */

static struct kio *kio_of(const struct io_req *io)
{
	for (struct kio *k = kios; k; k = k->next)
		if (k->io == io)
			return k;
	return NULL;
}

/* A block of a unit: read, or changed. */
static void block_do(struct disk *d, enum io_op op, uint8_t *buf, uint64_t first, uint64_t b)
{
	uint8_t *at = buf ? buf + (b - first) * DISK_BLOCK : NULL;

	if (op == IO_READ)
		memcpy(at, d->cache + b * DISK_BLOCK, DISK_BLOCK);
	else
		block_put(d, b, op == IO_WRITE ? at : NULL);
}

static void kio_complete(void *arg)
{
	struct kio *k = arg;

	backend_complete(k->io, k->result);
}

static void kio_piece(void *arg, uint64_t id);

static void kio_pieces(struct kio *k)
{
	struct disk *d = disk_at(k->u.lun);
	uint64_t first = k->u.off / DISK_BLOCK, n = k->to - k->from;

	if (k->u.op == IO_FLUSH) {
		k->result = flush_all(d);
		reactor_post(k->r, sim_now, kio_complete, k);
		return;
	}
	if (world.faults && !k->u.orphan && k->from == first && rnd_chance(8)) {
		/* Something of it, or nothing. */
		TRACE("unit %llu fails", (unsigned long long)k->u.id);
		k->result = -EIO;
		n = rnd_below(n + 1);
		k->to = k->from + n;
	}
	if (n > 1 && rnd_chance(400))
		n = 1 + rnd_below(n - 1);
	for (uint64_t i = 0; i < n; i++, k->from++) {
		block_do(d, (enum io_op)k->u.op, k->io ? k->io->buf : k->copy, first, k->from);
		if (io_changes_medium((enum io_op)k->u.op))
			oracle_effect(&k->u, k->from, disk_block(k->u.lun, k->from));
	}
	if (k->from < k->to)
		event_in(rnd_delay(world.io_mean / 2), !k->u.orphan, kio_piece, k, k->u.id);
	else if (!k->u.orphan)
		reactor_post(k->r, sim_now, kio_complete, k);
}

static void kio_free(struct kio *k)
{
	struct kio **at = &kios;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	free(k->copy);
	free(k);
}

static void kio_piece(void *arg, uint64_t id)
{
	struct kio *k = kios;

	while (k && (k != arg || k->u.id != id))
		k = k->next;
	if (!k)
		return;
	if (disk_at(k->u.lun)->stalled_until > sim_now) {
		event_at(disk_at(k->u.lun)->stalled_until + rnd_below(MS), !k->u.orphan, kio_piece,
			 k, id);
		return;
	}
	kio_pieces(k);
	if (k->u.orphan && k->from == k->to) {
		TRACE("unit %llu of the dead daemon has landed", (unsigned long long)k->u.id);
		oracle_unit_end(&k->u);
		kio_free(k);
	}
}

static void bottom_submit(struct backend *be, struct io_req *io)
{
	struct disk *d = be->priv;
	struct kio *k = kio_of(io);
	int result = 0;

	if (k && io->op != IO_SPACE && io->op != IO_EXTENT && io->op != IO_PREFETCH) {
		kio_pieces(k);
		return;
	}
	/* The volatile filter's own. */
	switch (io->op) {
	case IO_READ:
	case IO_WRITE:
	case IO_ZERO:
	case IO_DISCARD:
		for (uint64_t b = io->off / DISK_BLOCK; b < (io->off + io->len) / DISK_BLOCK; b++)
			block_do(d, io->op, io->buf, io->off / DISK_BLOCK, b);
		break;
	case IO_FLUSH:
		result = flush_all(d);
		break;
	case IO_EXTENT:
		io->answer.extent.mapped = true;
		io->answer.extent.len = io->len;
		break;
	default:
		break;
	}
	backend_complete_later(io, result);
}

bool disk_busy(unsigned lun)
{
	for (struct kio *k = kios; k; k = k->next)
		if (k->u.orphan && k->u.lun == lun)
			return true;
	return false;
}

static int bottom_open(struct backend *be, const struct backend_options *o)
{
	unsigned lun = (unsigned)(o->name[1] - '0');
	struct disk *d = disk_at(lun);

	be->priv = d;
	be->caps = (struct io_caps){
		.size = d->blocks * DISK_BLOCK,
		.discard_granularity = 4096,
		.align = 512,
		.extents = false,
	};
	/* The kernel holds the descriptor, and so the lock, until the dead daemon's requests end.
	 */
	return disk_busy(lun) ? backend_fail(be, -EWOULDBLOCK, "locked") : 0;
}

static int bottom_retry(struct backend *be)
{
	return disk_busy((unsigned)((struct disk *)be->priv - disks)) ? -EWOULDBLOCK : 0;
}

static void bottom_close(struct backend *be) {}

static int no_open(struct backend *be, const struct backend_options *o)
{
	return backend_fail(be, -ENOTSUP, "not in the simulation");
}

static const uint8_t *bottom_lend(struct backend *be, uint64_t off, uint64_t len)
{
	const struct disk *d = be->priv;

	return d->at_once && d->stalled_until <= sim_now && rnd_chance(700) ? d->cache + off : NULL;
}

const struct backend_ops memory_ops = {
	.type = "memory",
	.lend = bottom_lend,
	.open = bottom_open,
	.close = bottom_close,
	.submit = bottom_submit,
	.retry = bottom_retry,
};
const struct backend_ops file_ops = { .type = "file", .open = no_open, .close = bottom_close };

/* ---- the way there ---- */

static void kio_end(void *arg)
{
	struct kio *k = arg;
	struct io_req *io = k->io;
	void (*done)(struct io_req * io) = k->done;

	TRACE("unit %llu ends: %d", (unsigned long long)k->u.id, io->result);
	k->u.result = io->result;
	oracle_unit_end(&k->u);
	kio_free(k);
	io->done = done;
	done(io);
}

static void kio_back(struct io_req *io)
{
	struct kio *k = kio_of(io);

	assert(k);
	reactor_post(k->r, sim_now + rnd_delay(world.io_mean / 2), kio_end, k);
}

/* The daemon's code, not in a turn: it is the reactor's all the same. */
static void kio_go(void *arg, uint64_t n)
{
	struct kio *k = arg;
	struct disk *d = disk_at(k->u.lun);

	if (d->stalled_until > sim_now) {
		event_at(d->stalled_until + rnd_below(MS), true, kio_go, k, n);
		return;
	}
	reactor_enter(k->r);
	if (d->filtered && io_changes_medium((enum io_op)k->u.op))
		for (uint64_t b = k->from; b < k->to; b++)
			oracle_effect(&k->u, b,
				      k->u.op == IO_WRITE
					      ? (uint8_t *)k->io->buf + (b - k->from) * DISK_BLOCK
					      : NULL);
	k->io->done = kio_back;
	if (backend_submit(k->be, k->io))
		kio_back(k->io);
	reactor_leave();
	reactor_poke(k->r, sim_now);
}

/* A store that is as fast as memory: the unit is over before the daemon has turned round. */
static bool kio_now(struct kio *k)
{
	struct io_req *io = k->io;
	struct disk *d = disk_at(k->u.lun);

	oracle_submit(&k->u);
	for (uint64_t b = k->from; b < k->to; b++) {
		block_do(d, io->op, io->buf, io->off / DISK_BLOCK, b);
		if (io_changes_medium(io->op))
			oracle_effect(&k->u, b, disk_block(k->u.lun, b));
	}
	io->result = io->op == IO_FLUSH ? flush_all(d) : 0;
	k->u.result = io->result;
	oracle_unit_end(&k->u);
	free(k);
	return true;
}

bool sim_backend_submit(struct backend *be, struct io_req *io)
{
	struct kio *k = calloc(1, sizeof(*k));
	struct lu *lu = NULL;
	uint64_t delay = rnd_delay(world.io_mean);

	if (!k)
		abort();
	for (unsigned i = 0; i < daemon_state.nlus; i++)
		if (daemon_state.lus[i]->be == be)
			lu = daemon_state.lus[i];
	assert(lu);
	k->io = io;
	k->be = be;
	k->r = reactor_self();
	k->done = io->done;
	k->u.id = ++unit_ids;
	k->u.lun = lu->id.lun;
	k->u.op = (int)io->op;
	k->u.off = io->off;
	k->u.len = io->len;
	if (io->op != IO_FLUSH && io->op != IO_SPACE) {
		k->from = io->off / DISK_BLOCK;
		k->to = (io->off + io->len) / DISK_BLOCK;
		assert(k->to <= disk_at(k->u.lun)->blocks);
	}
	if (io != &lu->flush) {
		struct task *t = caa_container_of(io, struct task, io);
		int p = path_find(&t->gate->nexus->nexus);

		assert(p >= 0);
		k->u.path = paths[p];
		k->u.cmd = oracle_cmd(paths[p], t->itt);
	}
	TRACE("unit %llu of %s itt %x: op %d, lun %u, blocks %llu+%llu",
	      (unsigned long long)k->u.id, k->u.path ? path_name(k->u.path) : "-",
	      k->u.cmd ? k->u.cmd->itt : 0, k->u.op, k->u.lun, (unsigned long long)k->from,
	      (unsigned long long)(k->to - k->from));
	if (io->at_once && disk_at(k->u.lun)->at_once && io->op <= IO_ZERO &&
	    disk_at(k->u.lun)->stalled_until <= sim_now)
		return kio_now(k);
	k->next = kios;
	kios = k;
	oracle_submit(&k->u);
	event_in(delay, true, kio_go, k, 0);
	return false;
}

/* ---- deaths ---- */

/* What the kernel has of it may still land; its data is the kernel's by now. */
static bool kio_orphan(struct kio *k)
{
	if (!io_changes_medium((enum io_op)k->u.op) || k->from == k->to || rnd_chance(300))
		return false;
	if (k->u.op == IO_WRITE) {
		k->copy = malloc(k->u.len);
		if (!k->copy)
			abort();
		memcpy(k->copy, k->io->buf, k->u.len);
	}
	k->io = NULL;
	k->u.orphan = true;
	event_in(rnd_delay(20 * world.io_mean), false, kio_piece, k, k->u.id);
	return true;
}

static void power_off(unsigned lun)
{
	struct disk *d = disk_at(lun);
	unsigned survive = (unsigned)rnd_below(3) * 500;

	for (uint64_t b = 0; b < d->blocks; b++) {
		if (d->dirty[b] && rnd_chance(survive))
			memcpy(d->stable + b * DISK_BLOCK, d->cache + b * DISK_BLOCK, DISK_BLOCK);
		else
			memcpy(d->cache + b * DISK_BLOCK, d->stable + b * DISK_BLOCK, DISK_BLOCK);
		d->dirty[b] = false;
	}
}

/*
 * A new daemon knows nothing of a flush that failed before it, and a real kernel would not write
 * back again what was lost then; ours does.
 */
static void disk_mend(struct disk *d)
{
	d->broken = false;
	for (uint64_t b = 0; b < d->blocks; b++)
		d->dirty[b] |= memcmp(d->cache + b * DISK_BLOCK, d->stable + b * DISK_BLOCK,
				      DISK_BLOCK) != 0;
}

void disks_kill(bool power)
{
	struct kio *k, *next;

	for (k = kios; k; k = next) {
		next = k->next;
		if (k->u.orphan ? !power : !power && !disk_at(k->u.lun)->filtered && kio_orphan(k))
			continue;
		oracle_unit_end(&k->u);
		kio_free(k);
	}
	for (unsigned i = 0; i < LUNS; i++) {
		if (power)
			power_off(i);
		if (disks[i].broken)
			disk_mend(&disks[i]);
	}
	/* Of a filtered one what the filter had not written back is gone even without. */
	for (unsigned i = 0; i < LUNS; i++)
		for (uint64_t b = 0; (power || disks[i].filtered) && b < disks[i].blocks; b++)
			oracle_power_block(i, b, disk_block(i, b));
}

void disks_start(void)
{
	unit_ids = 0;
	memset(disks, 0, sizeof(disks));
}

void disk_setup(unsigned lun, uint64_t blocks, bool filtered)
{
	struct disk *d = disk_at(lun);

	d->blocks = blocks;
	d->filtered = filtered;
	d->at_once = !filtered && rnd_chance(150);
	d->cache = calloc(blocks, DISK_BLOCK);
	d->stable = calloc(blocks, DISK_BLOCK);
	d->dirty = calloc(blocks, sizeof(bool));
	if (!d->cache || !d->stable || !d->dirty)
		abort();
}

void disks_stop(void)
{
	for (unsigned i = 0; i < LUNS; i++) {
		free(disks[i].cache);
		free(disks[i].stable);
		free(disks[i].dirty);
	}
	while (kios)
		kio_free(kios);
}
