/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file per LU: a header page and two slots, written alternately in place, so that a full file
 * system cannot stop a change. A slot:
 *
 *	magic "HFSLOT2\n" | sequence (8) | length (4) | CRC32C (4) | flags (1) | modes (1) | boot id
 *(36) | PR image | zeroes
 *
 * The newer slot with a right checksum counts. A torn newer slot was never acknowledged, and the
 * older one counts. What was acknowledged and cannot be read any more is not replaced by something
 * older in silence: the slot that was complete is remembered by the commit record in the header of
 * the *other* slot's successor (`acked`), so a damaged acknowledged slot is told from a torn one.
 */
#include <errno.h>
#include <fcntl.h>
#include <isa-l.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pr/state.h"
#include "target/log.h"
#include "target/mutate.h"
#include "target/state_file.h"
#include "target/store.h"

enum {
	PAGE = 4096,
	SLOT_HEADER = 64,
	BOOT_ID_LEN = 36,
	BOOT_ID_OFF = 26,
	COMMIT_OFF = 0, /* two commit records, a page each: sequence last acknowledged, CRC */
	SLOTS_OFF = 2 * PAGE,
};
static const char slot_magic[8] = "HFSLOT2\n", commit_magic[8] = "HFCMIT2\n";

struct store {
	int fd;
	uint64_t seq;			/* of the image on disk */
	char boot[BOOT_ID_LEN + 1];	/* this boot of the host */
	bool standard;			/* pr_retain */
	size_t slot_size;
	uint8_t *buf;			/* one slot, aligned */
	uint8_t *commit;		/* one page, aligned */
	struct pr_state *pr;		/* as loaded */
	struct work work;
	size_t len;			/* bytes of buf to write */
	int err;
	bool doubt;			/* a record may vouch for what was refused */
	void (*done)(void *arg, int err);
	void *arg;
	char path[];
};

static uint32_t crc_of(const uint8_t *p, size_t n)
{
	return crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, 0xffffffffu);
}

/*
 * Slot layout, after the magic: sequence @8, length of payload @16, CRC @20, flags @24, modes @25,
 * boot id @26, PR image @64.
 */
static size_t slot_put(struct store *s, const struct store_image *img, uint64_t seq)
{
	size_t n = pr_image_put(img->pr, s->buf + SLOT_HEADER, s->slot_size - SLOT_HEADER), whole;

	if (!n)
		return 0;
	memset(s->buf, 0, SLOT_HEADER);
	memcpy(s->buf, slot_magic, 8);
	put_be64(s->buf + 8, seq);
	put_be32(s->buf + 16, (uint32_t)n);
	s->buf[24] = (uint8_t)(img->has_modes | img->failed << 1);
	s->buf[25] = (uint8_t)(img->saved.wce | img->saved.d_sense << 1 | img->saved.swp << 2 |
			       img->saved.tas << 3);
	memcpy(s->buf + BOOT_ID_OFF, s->boot, BOOT_ID_LEN);
	whole = (SLOT_HEADER + n + PAGE - 1) & ~(size_t)(PAGE - 1);
	memset(s->buf + SLOT_HEADER + n, 0, whole - SLOT_HEADER - n);
	put_be32(s->buf + 20, crc_of(s->buf, SLOT_HEADER + n));
	return whole;
}

/* Reads a slot into buf; its sequence, or 0 when it holds nothing whole. */
static uint64_t slot_get(struct store *s, unsigned slot)
{
	uint32_t n, crc;
	ssize_t got = pread(s->fd, s->buf, s->slot_size, (off_t)(SLOTS_OFF + slot * s->slot_size));

	if (got < SLOT_HEADER || memcmp(s->buf, slot_magic, 8))
		return 0;
	n = get_be32(s->buf + 16);
	crc = get_be32(s->buf + 20);
	if (n > (size_t)got - SLOT_HEADER)
		return 0;
	put_be32(s->buf + 20, 0);
	return crc_of(s->buf, SLOT_HEADER + n) == crc ? get_be64(s->buf + 8) : 0;
}

#define COMMIT_UNREADABLE UINT64_MAX

/* The sequence a commit record vouches for, 0: never written, or COMMIT_UNREADABLE. */
static uint64_t commit_get(struct store *s, unsigned i)
{
	static const uint8_t blank[20];

	if (pread(s->fd, s->commit, PAGE, (off_t)i * PAGE) != PAGE)
		return COMMIT_UNREADABLE;
	if (!memcmp(s->commit, blank, sizeof(blank)))
		return 0;
	if (memcmp(s->commit, commit_magic, 8) ||
	    crc_of(s->commit, 16) != get_be32(s->commit + 16))
		return COMMIT_UNREADABLE;
	return get_be64(s->commit + 8);
}

static void commit_put(struct store *s, uint64_t seq)
{
	memset(s->commit, 0, PAGE);
	memcpy(s->commit, commit_magic, 8);
	put_be64(s->commit + 8, seq);
	put_be32(s->commit + 16, crc_of(s->commit, 16));
}

/* Page i vouches for image seq (0: for none). */
static int commit_write(struct store *s, unsigned i, uint64_t seq)
{
	commit_put(s, seq);
	return state_write(s->fd, s->commit, PAGE, (uint64_t)i * PAGE);
}

/*
 * The slot is durable before the commit record that vouches for it. A record that could not be
 * written may be there all the same: it is taken back, so that what was refused does not come into
 * force by a restart; and until that is done nothing is written to the slot it vouches for.
 */
static int store_write(struct store *s)
{
	unsigned i = s->seq % 2;
	int err = s->doubt ? commit_write(s, i, 0) : 0;

	if (err)
		return err;
	s->doubt = false;
	err = state_write(s->fd, s->buf, s->len, SLOTS_OFF + i * s->slot_size);
	if (err)
		return err;
	err = commit_write(s, i, s->seq);
	if (err && !MUTATION(MUT_COMMIT_LEFT))
		s->doubt = commit_write(s, i, 0) != 0;
	return err;
}

/*
 * A new store: written whole under another name, then renamed, so that a half-made one is never
 * seen.
 */
static int store_create(struct store *s)
{
	char tmp[4096];
	struct store_image img = { .pr = pr_none };
	int err;

	snprintf(tmp, sizeof(tmp), "%s.new", s->path);
	s->fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s->fd < 0)
		return -errno;
	err = posix_fallocate(s->fd, 0, (off_t)(SLOTS_OFF + 2 * s->slot_size));
	if (err)
		return -err;
	s->seq = 1;
	s->len = slot_put(s, &img, s->seq);
	err = store_write(s);
	if (!err && (fsync(s->fd) || rename(tmp, s->path)))
		err = -errno;
	return err ? err : state_sync_dir(s->path);
}

/* HOLDFAST_BOOT_ID stands in for the host's in tests of pr_retain: standard. */
static void boot_id_get(char out[BOOT_ID_LEN + 1])
{
	const char *env = getenv("HOLDFAST_BOOT_ID");
	FILE *f = env ? NULL : fopen("/proc/sys/kernel/random/boot_id", "re");

	memset(out, 0, BOOT_ID_LEN + 1);
	if (env)
		snprintf(out, BOOT_ID_LEN + 1, "%s", env);
	else if (!f || !fgets(out, BOOT_ID_LEN + 1, f))
		log_warn("event=boot_id msg=\"cannot be read: every start counts as a new boot\"");
	if (f)
		fclose(f);
}

int store_reload(struct store *s, struct store_image *img)
{
	uint64_t acked = 0, seq[2], commit[2];
	unsigned newest;

	for (unsigned i = 0; i < 2; i++) {
		commit[i] = commit_get(s, i);
		if (commit[i] > acked && commit[i] != COMMIT_UNREADABLE)
			acked = commit[i];
		seq[i] = slot_get(s, i);
		/* The record is written when its slot is durable: both unreadable is damage. */
		if (commit[i] == COMMIT_UNREADABLE && !seq[i])
			return -EBADMSG;
	}
	newest = seq[1] > seq[0];
	/*
	 * A slot whose commit record is still the one before it was not acknowledged: the daemon
	 * died between the two writes, or one of them failed and the change was refused. What was
	 * refused must not come into force by a restart. When the record cannot be read the slot
	 * counts: it may have been acknowledged.
	 */
	if (commit[newest] < seq[newest] && !MUTATION(MUT_NEWEST_SLOT))
		newest = !newest;
	if (seq[newest] < acked || !seq[newest])
		return -EBADMSG;
	s->seq = slot_get(s, newest);
	if (!pr_image_get(s->buf + SLOT_HEADER, get_be32(s->buf + 16), s->pr, pr_state_max()))
		return -EBADMSG;
	img->has_modes = s->buf[24] & 1;
	img->failed = s->buf[24] & 2;
	img->saved = (struct lu_modes){ .wce = s->buf[25] & 1,
					.d_sense = s->buf[25] & 2,
					.swp = s->buf[25] & 4,
					.tas = s->buf[25] & 8 };
	img->power_on = s->standard && (!s->boot[0] ||
					memcmp(s->buf + BOOT_ID_OFF, s->boot, BOOT_ID_LEN));
	if (img->power_on)
		pr_power_on(s->pr);
	img->pr = s->pr;
	img->version = s->seq;
	return 0;
}

int store_open(const char *dir, const uint8_t uuid[16], bool standard, struct store **out,
	       struct store_image *img, char *err, size_t errlen)
{
	size_t path_len = strlen(dir) + 1 + STATE_NAME_MAX;
	struct store *s = calloc(1, sizeof(*s) + path_len);
	char name[STATE_NAME_MAX];
	int e = -ENOMEM;

	*img = (struct store_image){ .pr = pr_none };
	if (!s)
		goto fail;
	s->fd = -1;
	s->standard = standard;
	boot_id_get(s->boot);
	state_name(name, uuid, "state");
	snprintf(s->path, path_len, "%s/%s", dir, name);
	s->slot_size = (SLOT_HEADER + pr_image_max() + PAGE - 1) & ~(size_t)(PAGE - 1);
	s->buf = aligned_alloc(PAGE, s->slot_size);
	s->commit = aligned_alloc(PAGE, PAGE);
	s->pr = malloc(pr_state_max());
	if (!s->buf || !s->commit || !s->pr)
		goto fail;
	/*
	 * O_DSYNC: a change is answered when it is on stable storage. O_DIRECT where the file
	 * system has it.
	 */
	s->fd = open(s->path, O_RDWR | O_DSYNC | O_DIRECT | O_CLOEXEC);
	if (s->fd < 0 && errno == EINVAL)
		s->fd = open(s->path, O_RDWR | O_DSYNC | O_CLOEXEC);
	if (s->fd < 0 && errno == ENOENT) {
		e = store_create(s);
		if (e)
			goto fail;
		close(s->fd);
		s->fd = open(s->path, O_RDWR | O_DSYNC | O_DIRECT | O_CLOEXEC);
		if (s->fd < 0 && errno == EINVAL)
			s->fd = open(s->path, O_RDWR | O_DSYNC | O_CLOEXEC);
	}
	if (s->fd < 0) {
		e = -errno;
		goto fail;
	}
	e = store_reload(s, img);
	if (e)
		goto fail;
	*out = s;
	return 0;
fail:
	if (e == -EBADMSG)
		snprintf(err, errlen,
			 "%s: the reservations last acknowledged cannot be read (checksum): move "
			 "the file away to start without any, "
			 "or bring it back from a copy",
			 s->path);
	else
		snprintf(err, errlen, "%s: %s", s ? s->path : dir, strerror(-e));
	if (e == -EBADMSG)
		*out = s;
	else
		store_close(s);
	return e;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->buf);
	free(s->commit);
	free(s->pr);
	free(s);
}

static void put_run(struct work *w)
{
	struct store *s = caa_container_of(w, struct store, work);

	if (!s->err)
		s->err = store_write(s);
}

static void put_done(struct work *w)
{
	struct store *s = caa_container_of(w, struct store, work);

	/* Not written: the next try takes the same place, the older slot stays. */
	if (s->err && s->err != -ESTALE)
		s->seq--;
	s->done(s->arg, s->err);
}

void store_put(struct store *s, const struct store_image *img, void (*done)(void *arg, int err),
	       void *arg)
{
	s->done = done;
	s->arg = arg;
	s->err = img->version == s->seq ? 0 : -ESTALE;
	if (!s->err) {
		s->seq++;
		s->len = slot_put(s, img, s->seq);
	}
	s->work.run = put_run;
	s->work.done = put_done;
	work_submit(&s->work);
}
