/* SPDX-License-Identifier: Apache-2.0 */
/* The store of a LU: what was acknowledged is there, a torn newer slot falls back, a damaged
 * acknowledged one is not hidden. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pr/state.h"
#include "target/store.h"
#include "tests/unit/unit.h"

static char dir[] = "/var/tmp/hf-store-XXXXXX";
static const uint8_t uuid[16] = { 0xab, 1, 2, 3 };
static char file[256];

enum { PAGE_SIZE = 4096 };

static bool wrote;
static int wrote_err;

static void put_done(void *arg, int err)
{
	wrote_err = err;
	__atomic_store_n(&wrote, true, __ATOMIC_RELEASE);
}

struct put {
	struct msg msg;
	struct store *s;
	const struct store_image *img;
};

static void put_here(struct msg *m)
{
	struct put *p = caa_container_of(m, struct put, msg);

	store_put(p->s, p->img, put_done, NULL);
}

/* Puts from a reactor, as homes do, and waits. */
static int put_version(struct store *s, const struct store_image *img)
{
	struct put p = { .msg.fn = put_here, .s = s, .img = img };

	wrote = false;
	reactor_send(reactor_at(0), &p.msg);
	while (!__atomic_load_n(&wrote, __ATOMIC_ACQUIRE))
		usleep(100);
	return wrote_err;
}

/* The same in place of whatever is there. */
static int put(struct store *s, const struct store_image *img)
{
	struct store_image now, new = *img;

	CU_ASSERT_EQUAL(store_reload(s, &now), 0);
	new.version = now.version;
	return put_version(s, &new);
}

static int reopen(struct store **s, struct store_image *img, bool standard)
{
	char err[256];

	store_close(*s);
	*s = NULL;
	return store_open(dir, uuid, standard, s, img, err, sizeof(err));
}

/* Flips a byte of the slot (0, 1) or commit page (-2, -1) on disk. */
static void damage(int slot, off_t at)
{
	struct stat st;
	off_t size;
	int fd = open(file, O_RDWR);
	uint8_t b;

	CU_ASSERT_FATAL(fd >= 0 && !fstat(fd, &st));
	size = (st.st_size - 2 * PAGE_SIZE) / 2;
	at += slot < 0 ? (slot + 2) * PAGE_SIZE : 2 * PAGE_SIZE + slot * size;
	CU_ASSERT(pread(fd, &b, 1, at) == 1);
	b ^= 0xff;
	CU_ASSERT(pwrite(fd, &b, 1, at) == 1);
	close(fd);
}

static void keep_commit(int i, uint8_t page[PAGE_SIZE])
{
	int fd = open(file, O_RDONLY);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(pread(fd, page, PAGE_SIZE, i * PAGE_SIZE) == PAGE_SIZE);
	close(fd);
}

static void restore_commit(int i, const uint8_t page[PAGE_SIZE])
{
	int fd = open(file, O_WRONLY);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(pwrite(fd, page, PAGE_SIZE, i * PAGE_SIZE) == PAGE_SIZE);
	close(fd);
}

static const struct store_image with_wce = { .saved = { .wce = true }, .has_modes = true };

static struct store_image image(bool wce)
{
	struct store_image i = with_wce;

	i.saved.wce = wce;
	i.pr = pr_none;
	return i;
}

static void test_new_is_empty(void)
{
	struct store_image img;
	struct store *s = NULL;

	unlink(file);
	CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
	CU_ASSERT(!img.has_modes);
	CU_ASSERT(!pr_any(img.pr));
	store_close(s);
}

static void test_last_put_is_read(void)
{
	struct store_image img, a;
	struct store *s = NULL;

	unlink(file);
	CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
	for (unsigned i = 0; i < 5; i++) {
		a = image(i % 2);
		a.has_modes = i != 4;
		a.failed = i / 2 % 2;
		CU_ASSERT(put(s, &a) == 0);
		CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
		CU_ASSERT(img.has_modes == a.has_modes && img.saved.wce == i % 2);
		CU_ASSERT(img.failed == a.failed);
		/* Compare and swap: what replaces another version than there is does not. */
		a.failed = !a.failed;
		a.version = img.version - 1;
		CU_ASSERT_EQUAL(put_version(s, &a), -ESTALE);
		a.version = img.version;
		CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
		CU_ASSERT(img.failed != a.failed && img.version == a.version);
	}
	store_close(s);
}

/* The first image is sequence 1, in slot 1; the n-th put is sequence n + 1. */
static void test_torn_newer_falls_back(void)
{
	uint8_t commit[PAGE_SIZE];
	struct store_image img, a = image(true), b = image(false);
	struct store *s = NULL;

	unlink(file);
	CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
	CU_ASSERT(put(s, &a) == 0);	/* 2, slot 0 */
	/* As a crash in the middle leaves it: the slot torn, its commit record still the one
	 * before. */
	keep_commit(1, commit);
	CU_ASSERT(put(s, &b) == 0); /* 3, slot 1 */
	damage(1, 30);
	restore_commit(1, commit);
	CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
	CU_ASSERT(img.saved.wce);
	store_close(s);
}

/* Written, but its commit record is not: the change was refused, or never answered. */
static void test_not_acknowledged_is_dropped(void)
{
	struct store_image img, a = image(true), b = image(false);
	struct store *s = NULL;
	char commit[PAGE_SIZE];
	int fd;

	for (int puts = 0; puts < 3; puts++) {
		unlink(file);
		CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
		for (int i = 0; i < puts; i++)
			CU_ASSERT(put(s, &a) == 0);
		/* The next is sequence puts + 2; its record goes to page puts % 2. */
		fd = open(file, O_RDWR | O_CLOEXEC);
		CU_ASSERT_FATAL(fd >= 0);
		CU_ASSERT(pread(fd, commit, PAGE_SIZE, (puts % 2) * PAGE_SIZE) == PAGE_SIZE);
		CU_ASSERT(put(s, &b) == 0);
		CU_ASSERT(pwrite(fd, commit, PAGE_SIZE, (puts % 2) * PAGE_SIZE) == PAGE_SIZE);
		close(fd);
		CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
		CU_ASSERT(img.has_modes == (puts != 0));
		CU_ASSERT(!puts || img.saved.wce);
		/* And the next image is found again. */
		CU_ASSERT(put(s, &b) == 0);
		CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
		CU_ASSERT(img.has_modes && !img.saved.wce);
		store_close(s);
		s = NULL;
	}
}

/* A commit record is written when its slot is whole: with both gone nobody knows what was
 * acknowledged. */
static void test_both_damaged_is_refused(void)
{
	struct store_image img, a = image(true), b = image(false);
	struct store *s = NULL;

	unlink(file);
	CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
	CU_ASSERT(put(s, &a) == 0);
	CU_ASSERT(put(s, &b) == 0);
	damage(1, 30);
	damage(-1, 3);
	CU_ASSERT(reopen(&s, &img, false) == -EBADMSG);
	store_close(s);
}

static void test_damaged_acknowledged_is_refused(void)
{
	struct store_image img, a = image(true), b = image(false);
	struct store *s = NULL;

	unlink(file);
	CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
	CU_ASSERT(put(s, &a) == 0);
	CU_ASSERT(put(s, &b) == 0);
	damage(1, 30);
	CU_ASSERT(reopen(&s, &img, false) == -EBADMSG);
	store_close(s);
}

/* A value with one registration, by the only way there is: PERSISTENT RESERVE OUT. */
static const struct pr_state *registered(bool aptpl, void *buf, uint32_t cap)
{
	static const uint16_t tpgts[] = { 1 };
	static const struct scsi_target target = { .name = "iqn.t", .tpgts = tpgts, .ntpgts = 1 };
	static struct nexus abort_list[PR_REGISTRANTS_MAX + 1];
	static struct ua_order ua_list[PR_REGISTRANTS_MAX + 1];
	uint8_t param[24] = { [15] = 7, [20] = aptpl };
	struct lu_request rq = { .kind = LU_CHANGE_CMD,
				 .has_nexus = true,
				 .nexus = { .tpgt = 1, .initiator = "iqn.a" },
				 .cdb = { 0x5f, 0, 0, 0, 0, 0, 0, 0, 24 },
				 .cdb_len = 10,
				 .param = param,
				 .param_len = 24 };
	struct lu_fx fx = { .abort = abort_list,
			    .ua = ua_list,
			    .cap = PR_REGISTRANTS_MAX + 1,
			    .pr_buf = buf,
			    .pr_cap = cap };
	const struct pr_state *s = pr_out(pr_none, &target, &rq, &fx);

	CU_ASSERT(fx.status == SAM_GOOD && pr_any(s));
	return s;
}

static void test_new_boot(void)
{
	void *buf = malloc(pr_state_max());
	struct store_image img, a = image(true);

	for (unsigned aptpl = 0; aptpl < 2; aptpl++) {
		struct store *s = NULL;

		unlink(file);
		setenv("HOLDFAST_BOOT_ID", "11111111-1111-1111-1111-111111111111", 1);
		CU_ASSERT_FATAL(reopen(&s, &img, true) == 0);
		a.pr = registered(aptpl, buf, (uint32_t)pr_state_max());
		CU_ASSERT(put(s, &a) == 0);
		CU_ASSERT_FATAL(reopen(&s, &img, true) == 0);
		CU_ASSERT(pr_any(img.pr));
		setenv("HOLDFAST_BOOT_ID", "22222222-2222-2222-2222-222222222222", 1);
		CU_ASSERT_FATAL(reopen(&s, &img, false) == 0);
		CU_ASSERT(pr_any(img.pr));
		CU_ASSERT_FATAL(reopen(&s, &img, true) == 0);
		CU_ASSERT(pr_any(img.pr) == aptpl);
		store_close(s);
	}
	free(buf);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_new_is_empty),
		UNIT(test_last_put_is_read),
		UNIT(test_torn_newer_falls_back),
		UNIT(test_not_acknowledged_is_dropped),
		UNIT(test_damaged_acknowledged_is_refused), UNIT(test_both_damaged_is_refused),
		UNIT(test_new_boot),
	};
	struct reactor_options o = { .count = 1, .workers = 1 };
	int rc;

	if (!mkdtemp(dir) || reactors_start(&o))
		return 1;
	snprintf(file, sizeof(file), "%s/lu-ab010203000000000000000000000000.state", dir);
	rc = unit_run("store", tests, sizeof(tests) / sizeof(tests[0]));
	reactors_stop();
	unlink(file);
	rmdir(dir);
	return rc;
}
