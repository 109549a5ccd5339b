/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, made up at random. */
#include <stdlib.h>
#include <string.h>

#include "pr/transportid.h"
#include "scsi/wire.h"
#include "tests/sim/initiator.h"
#include "tests/sim/medium.h"

static uint64_t ids;

static void *get(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		abort();
	return p;
}

/* A block's content that is nobody else's. */
static void stamp(uint8_t *b, const struct cmd *c, uint64_t block)
{
	uint64_t w = c->id << 24 | block;

	for (unsigned i = 0; i < DISK_BLOCK; i += 8) {
		memcpy(b + i, &w, 8);
		w = w * 0x9e3779b97f4a7c15u + i;
	}
}

static void span(struct cmd *c, uint64_t lba, uint64_t n)
{
	c->lba = lba;
	c->nblocks = n;
	c->effects = get(n);
}

/* Somewhere; mostly where others are too. */
static void span_any(struct cmd *c, uint64_t most)
{
	uint64_t blocks = disk_blocks(c->lun), n, lba;

	n = rnd_chance(600) ? 1 : rnd_between(1, most);
	if (world.big && rnd_chance(30))
		n = rnd_between(2049, 5000);
	if (world.crowded && c->lun)
		n = rnd_between(128, 512);
	if (n > blocks)
		n = blocks;
	lba = rnd_chance(700) && blocks > 32 + n ? rnd_below(32) : rnd_below(blocks - n + 1);
	span(c, lba, n);
}

static void data_out(struct cmd *c, uint64_t blocks)
{
	c->out_len = (uint32_t)(blocks * DISK_BLOCK);
	c->out = get(c->out_len);
	for (uint64_t i = 0; i < blocks; i++)
		stamp(c->out + i * DISK_BLOCK, c, i);
}

static void cdb16(struct cmd *c, uint8_t op, uint8_t flags)
{
	c->cdb[0] = op;
	c->cdb[1] = flags;
	put_be64(c->cdb + 2, c->lba);
	put_be32(c->cdb + 10, (uint32_t)c->nblocks);
}

static void make_read(struct cmd *c)
{
	span_any(c, 16);
	c->fua = rnd_chance(100);
	cdb16(c, 0x88, c->fua ? 0x08 : 0);
	c->in_len = (uint32_t)(c->nblocks * DISK_BLOCK);
	c->in = get(c->in_len);
}

static void make_write(struct cmd *c)
{
	span_any(c, 16);
	c->fua = rnd_chance(200);
	cdb16(c, 0x8a, c->fua ? 0x08 : 0);
	data_out(c, c->nblocks);
}

static void make_unmap(struct cmd *c)
{
	unsigned n = (unsigned)rnd_between(1, 3);
	uint64_t lba = rnd_below(disk_blocks(c->lun) - 32), at = lba;
	uint8_t *d;

	c->out_len = 8 + 16 * n;
	d = c->out = get(c->out_len);
	span(c, lba, 30);
	put_be16(d, (uint16_t)(c->out_len - 2));
	put_be16(d + 2, (uint16_t)(16 * n));
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = (uint32_t)rnd_between(1, 8);

		put_be64(d + 8 + 16 * i, at);
		put_be32(d + 16 + 16 * i, len);
		memset(c->effects + (at - lba), 0x80, len);
		at += len + rnd_below(2);
	}
	c->cdb[0] = 0x42;
	put_be16(c->cdb + 7, (uint16_t)c->out_len);
}

static void make_same(struct cmd *c)
{
	span_any(c, 24);
	if (c->nblocks > 2048)
		c->nblocks = 2048;
	cdb16(c, 0x93, rnd_chance(300) ? 0x08 : 0);
	data_out(c, 1);
	if (rnd_chance(300))
		memset(c->out, 0, DISK_BLOCK);
}

static void make_caw(struct cmd *c)
{
	uint64_t n = rnd_between(1, 2);

	span(c, rnd_below(8) & ~(n - 1), n);
	c->fua = rnd_chance(200);
	c->cdb[0] = 0x89;
	c->cdb[1] = c->fua ? 0x08 : 0;
	put_be64(c->cdb + 2, c->lba);
	c->cdb[13] = (uint8_t)n;
	data_out(c, 2 * n);
	/* What it compares with is what is there now; when it gets there that may be over. */
	for (uint64_t i = 0; i < n; i++)
		memcpy(c->out + i * DISK_BLOCK, medium_now(c->lun, c->lba + i), DISK_BLOCK);
}

static void make_orw(struct cmd *c)
{
	span(c, 8 + rnd_below(4), rnd_between(1, 4));
	c->fua = rnd_chance(200);
	cdb16(c, 0x8b, c->fua ? 0x08 : 0);
	c->out_len = (uint32_t)(c->nblocks * DISK_BLOCK);
	c->out = get(c->out_len);
	for (unsigned i = 0; i < 8; i++)
		c->out[rnd_below(c->out_len)] |= (uint8_t)(1u << rnd_below(8));
}

static void make_sync(struct cmd *c)
{
	span(c, 0, 0);
	c->cdb[0] = 0x91;
}

static void make_tur(struct cmd *c)
{
	span(c, 0, 0);
}

/* Another path's initiator port, as a TransportID; its length. */
static uint32_t transport_id(uint8_t *to, size_t room, const struct nexus **who)
{
	struct wcur w = wcur_of(to, room);

	*who = path_nexus(paths[rnd_below(npaths)]);
	transportid_put(&w, (*who)->initiator, (*who)->isid);
	return (uint32_t)wcur_stored(&w);
}

/* REGISTER AND MOVE (SPC-4 table 217): the list in d, its length. */
static uint32_t move_list(struct path *p, uint8_t *d)
{
	const struct nexus *who;
	uint32_t len = transport_id(d + 24, 256, &who);

	put_be64(d, p->key);
	put_be64(d + 8, paths[path_find(who)]->key);
	d[17] = (uint8_t)rnd_below(4);
	put_be16(d + 18, who->tpgt);
	put_be32(d + 20, len);
	return 24 + len;
}

static void make_pr_out(struct cmd *c)
{
	static const uint8_t actions[] = { 0, 6, 6, 6, 1, 1, 1, 2, 3, 4, 4, 5, 5, 5, 7 };
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	struct path *p = c->path;
	uint8_t sa = actions[rnd_below(sizeof(actions))];
	const struct nexus *who;
	uint64_t sa_key = p->key;
	uint8_t *d;

	span(c, 0, 0);
	c->out_len = 24;
	d = c->out = get(512);
	if (sa == 0 && rnd_chance(400))
		put_be64(d, 0);
	else
		put_be64(d, p->key);
	if ((sa == 0 || sa == 6) && rnd_chance(120))
		sa_key = 0;
	if (sa == 4 || sa == 5) {
		sa_key = paths[rnd_below(npaths)]->key;
		if (rnd_chance(100))
			sa_key = 0;
	}
	put_be64(d + 8, sa_key);
	if (sa == 0 || sa == 6)
		d[20] = (uint8_t)(rnd_below(2) | (rnd_chance(100) ? 0x04 : 0));
	if (sa == 0 && rnd_chance(100)) {
		/* SPEC_I_PT (table 215) */
		d[20] |= 0x08;
		put_be32(d + 24, transport_id(d + 28, 256, &who));
		c->out_len = 28 + get_be32(d + 24);
	}
	if (sa == 7) {
		memset(d, 0, 24);
		c->out_len = move_list(p, d);
	}
	c->cdb[0] = 0x5f;
	c->cdb[1] = sa;
	if (sa != 0 && sa != 6 && sa != 3)
		c->cdb[2] = rnd_chance(600) ? 5 : types[rnd_below(sizeof(types))];
	put_be32(c->cdb + 5, c->out_len);
}

static void make_pr_in(struct cmd *c)
{
	static const uint8_t actions[] = { 0, 1, 3 };

	span(c, 0, 0);
	c->cdb[0] = 0x5e;
	c->cdb[1] = actions[rnd_below(3)];
	put_be16(c->cdb + 7, 4096);
	c->in_len = 4096;
	c->in = get(c->in_len);
}

/* WCE of the caching mode page (SBC-3 6.5.6), saved or not. */
static void make_mode(struct cmd *c)
{
	span(c, 0, 0);
	c->out_len = 24;
	c->out = get(c->out_len);
	c->out[4] = 0x08;
	c->out[5] = 18;
	c->out[6] = rnd_chance(500) ? 0x04 : 0;
	c->cdb[0] = 0x15;
	c->cdb[1] = 0x10 | rnd_chance(500);
	c->cdb[4] = (uint8_t)c->out_len;
}

static void make_reserve6(struct cmd *c)
{
	span(c, 0, 0);
	c->cdb[0] = 0x16;
}

static void make_release6(struct cmd *c)
{
	span(c, 0, 0);
	c->cdb[0] = 0x17;
}

static const struct {
	void (*make)(struct cmd *c);
	unsigned share;
} kinds[K_KINDS] = {
	[K_READ] = { make_read, 250 },	[K_WRITE] = { make_write, 420 },
	[K_UNMAP] = { make_unmap, 30 }, [K_SAME] = { make_same, 30 },
	[K_CAW] = { make_caw, 120 },	[K_ORW] = { make_orw, 60 },
	[K_SYNC] = { make_sync, 30 },	[K_TUR] = { make_tur, 60 },
};

static enum cmd_kind kind_any(void)
{
	uint64_t r = rnd_below(1000);
	unsigned k = 0;

	if (rnd_chance(world.pr_share))
		return rnd_chance(150) ? K_PR_IN : K_PR_OUT;
	if (rnd_chance(world.mode_share))
		return K_MODE;
	if (world.reserve6 && rnd_chance(20))
		return rnd_chance(400) ? K_RESERVE6 : K_RELEASE6;
	while (r >= kinds[k].share)
		r -= kinds[k++].share;
	return (enum cmd_kind)k;
}

/* Long reads and writes; of the witness something short. It comes first, so that it is known. */
static void crowd(struct cmd *c)
{
	static const enum cmd_kind witness[] = { K_READ, K_READ, K_WRITE, K_WRITE, K_PR_IN,
						 K_PR_OUT };
	struct path *p = c->path;

	c->lun = p->witness && (!p->mixed || rnd_chance(200)) ? 0 : world.favourite;
	c->kind = !c->lun ? p->mixed ? witness[rnd_below(6)] : K_READ
		  : rnd_chance(500) ? K_READ
				    : K_WRITE;
}

struct cmd *command_new(struct path *p)
{
	struct cmd *c = get(sizeof(*c));

	c->id = ++ids;
	c->path = p;
	c->lun = rnd_chance(700) ? world.favourite : (unsigned)rnd_below(LUNS);
	c->kind = kind_any();
	c->change = -1;
	if (world.crowded)
		crowd(c);
	switch (c->kind) {
	case K_PR_OUT:
		make_pr_out(c);
		break;
	case K_PR_IN:
		make_pr_in(c);
		break;
	case K_MODE:
		make_mode(c);
		break;
	case K_RESERVE6:
		make_reserve6(c);
		break;
	case K_RELEASE6:
		make_release6(c);
		break;
	default:
		kinds[c->kind].make(c);
		break;
	}
	c->attr = rnd_chance(40) ? 2 : rnd_chance(30) ? 3 : (uint8_t)rnd_below(2);
	c->immediate = rnd_chance(20);
	if (world.crowded) {
		c->attr = 0;
		c->immediate = false;
	}
	c->starve = world.starving && c->out_len && rnd_chance(100);
	return c;
}

void command_free(struct cmd *c)
{
	free(c->out);
	free(c->in);
	free(c->effects);
	free(c);
}

void commands_start(void)
{
	ids = 0;
}
