/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write-behind on a disk of which the test says how fast it is: this program has a page cache of
 * its own, and its sync_file_range() and fdatasync() are what file_sync.c calls. How much is dirty,
 * which writes wait for how long, and what a flush finds left to do.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <unistd.h>

#include "backends/file.h"
#include "tests/unit/backend_suite.h"

enum { MIB = 1 << 20, PAGE = 4096, SIZE = 1 << 30, PAGES = SIZE / PAGE };

static struct {
	_Atomic uint8_t dirty[PAGES];
	_Atomic uint64_t clean_at[SIZE / MIB];	/* ns: when what was begun there is written */
	uint64_t busy_until;			/* the thread's */
	_Atomic uint64_t bps;			/* bytes a second; 0: as long as go says */
	sem_t go;
	_Atomic uint64_t flushed;		/* bytes a flush found dirty */
} disk;

static uint64_t ns_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void ns_sleep_until(uint64_t at)
{
	struct timespec ts = { (time_t)(at / 1000000000), (long)(at % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* All that is dirty there is on its way: bytes. */
static uint64_t disk_begin(uint64_t off, uint64_t len)
{
	uint64_t n = 0, end = off + len < SIZE ? off + len : SIZE, now = ns_now();

	for (uint64_t at = off; at < end; at += PAGE)
		n += PAGE * atomic_exchange(&disk.dirty[at / PAGE], 0);
	if (disk.busy_until < now)
		disk.busy_until = now;
	if (disk.bps)
		disk.busy_until += n * 1000000000 / disk.bps;
	for (uint64_t at = off / MIB; at * MIB < end; at++)
		atomic_store(&disk.clean_at[at], disk.busy_until);
	return n;
}

int sync_file_range(int fd, off64_t off, off64_t len, unsigned flags)
{
	if (flags == SYNC_FILE_RANGE_WRITE)
		disk_begin((uint64_t)off, (uint64_t)len);
	else if (!disk.bps)
		sem_wait(&disk.go);
	else
		ns_sleep_until(disk.clean_at[off / MIB]);
	return 0;
}

int fdatasync(int fd)
{
	atomic_fetch_add(&disk.flushed, disk_begin(0, SIZE));
	if (disk.bps)
		ns_sleep_until(disk.busy_until);
	return 0;
}

/* ---- a store of which only that is real ------------------------------------------------------ */

static void store_submit(struct backend *be, struct io_req *io)
{
	if (io->op == IO_FLUSH) {
		file_sync_flush(be->priv, io);
		return;
	}
	for (uint64_t at = io->off; at < io->off + io->len; at += PAGE)
		atomic_store(&disk.dirty[at / PAGE], 1);
	if (!file_sync_wrote(be->priv, io))
		backend_complete_later(io, 0);
}

static const struct backend_ops ops = { .type = "store", .submit = store_submit };
static struct file_sync file;
static struct backend store = { .ops = &ops, .priv = &file, .caps = { .size = SIZE, .align = 1 } };
static char *buf;

static void store_up(uint64_t bps)
{
	memset(&disk, 0, sizeof(disk));
	atomic_store(&disk.bps, bps);
	sem_init(&disk.go, 0, 0);
	memset(&file, 0, sizeof(file));
	CU_ASSERT_EQUAL_FATAL(file_sync_init(&file, 0, SIZE, "store"), 0);
}

static void store_down(void)
{
	file_sync_fini(&file);
	sem_destroy(&disk.go);
}

static uint64_t cells_sum(const struct file_dirty *d)
{
	uint64_t n = 0;

	for (size_t i = 0; i < d->count; i++)
		n += d->cells[i] < d->full ? d->cells[i] : d->full;
	return n;
}

static uint64_t disk_dirty(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < PAGES; i++)
		n += PAGE * disk.dirty[i];
	return n;
}

/* Keeps 32 writes of len bytes going, at random places, until ns have passed or n are done. */
static uint64_t store_write(uint64_t len, uint64_t ns, unsigned n)
{
	enum { DEPTH = 32 };
	static struct suite_io s[DEPTH];
	uint64_t end = ns_now() + ns;
	unsigned begun = 0, ended = 0;

	do {
		struct suite_io *w = &s[begun % DEPTH];

		if (begun >= DEPTH) {
			CU_ASSERT(suite_wait(w, 60000) && !w->io.result);
			ended++;
		}
		suite_start(w, begun++, &store, IO_WRITE, 0, unit_draw() % (SIZE / len) * len, len,
			    buf);
	} while (ns_now() < end && begun < n);
	for (; ended < begun; ended++)
		CU_ASSERT(suite_wait(&s[ended % DEPTH], 60000) && !s[ended % DEPTH].io.result);
	return begun * len;
}

/* ---- how much is dirty, and where ------------------------------------------------------------ */

static void test_dirty_counts(void)
{
	static const uint64_t sizes[] = { 512, MIB, SIZE, 10ull << 40, 1ull << 62 };
	struct file_slice part;
	struct file_dirty d;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(file_dirty_init(&d, sizes[i]), 0);
		CU_ASSERT(d.count <= 1 << 18);
		CU_ASSERT_FALSE(file_dirty_take(&d, MIB, &part));
		CU_ASSERT_EQUAL(file_dirty_add(&d, sizes[i] - 512, 512), 512);
		CU_ASSERT_TRUE(file_dirty_take(&d, MIB, &part));
		CU_ASSERT_EQUAL(part.bytes, 512);
		CU_ASSERT(part.off <= sizes[i] - 512 && part.off + part.len >= sizes[i]);
		CU_ASSERT_FALSE(file_dirty_take(&d, MIB, &part));
		CU_ASSERT_EQUAL(d.bytes, 512);
		file_dirty_fini(&d);
	}
	CU_ASSERT_EQUAL_FATAL(file_dirty_init(&d, SIZE), 0);
	/* Across granules; again and again. */
	CU_ASSERT_EQUAL(file_dirty_add(&d, 5 * MIB + 4096, MIB), MIB);
	CU_ASSERT_EQUAL(d.cells[5], MIB - 4096);
	CU_ASSERT_EQUAL(d.cells[6], 4096);
	for (unsigned i = 0; i < 10000; i++)
		file_dirty_add(&d, 6 * MIB, MIB / 2 + 512);
	CU_ASSERT_EQUAL(d.bytes, 2 * MIB - 4096);
	/* In parts, round and round. */
	CU_ASSERT_EQUAL(file_dirty_add(&d, 100 * MIB, 4096), 2 * MIB);
	CU_ASSERT_TRUE(file_dirty_take(&d, MIB - 4096, &part));
	CU_ASSERT(part.off == 5 * MIB && part.len == MIB && part.bytes == MIB - 4096);
	CU_ASSERT_EQUAL(file_dirty_add(&d, 5 * MIB, 4096), 2 * MIB + 4096);
	CU_ASSERT_TRUE(file_dirty_take(&d, UINT64_MAX, &part));
	CU_ASSERT(part.off == 6 * MIB && part.len == 95 * MIB && part.bytes == MIB + 4096);
	CU_ASSERT_TRUE(file_dirty_take(&d, UINT64_MAX, &part));
	CU_ASSERT(part.off == 5 * MIB && part.len == MIB && part.bytes == 4096);
	CU_ASSERT_FALSE(file_dirty_take(&d, UINT64_MAX, &part));
	file_dirty_fini(&d);
}

/* The same data over and over is dirty once: nothing is written out, and nobody waits. */
static void test_hot_data(void)
{
	store_up(0);
	for (unsigned i = 0; i < 400; i++)
		CU_ASSERT_EQUAL(suite_io(&store, IO_WRITE, i % 16 * MIB, MIB, buf), 0);
	CU_ASSERT_EQUAL(file.dirty.bytes, 16 * MIB);
	CU_ASSERT_FALSE(file.started);
	store_down();
}

/* From both reactors: what is dirty is never thought to be less, nor forgotten. */
static void test_nothing_forgotten(void)
{
	uint64_t wrote;

	store_up(2000ull * MIB);
	wrote = store_write(64 << 10, 60000000000, 12000);
	CU_ASSERT_EQUAL(wrote, 750 * MIB);
	/* Until it has come to rest. */
	for (unsigned i = 0; i < 1000 && atomic_load(&file.behind); i++)
		usleep(10000);
	CU_ASSERT_FALSE(atomic_load(&file.behind));
	CU_ASSERT(file.dirty.bytes < file.limit / 2);
	CU_ASSERT_EQUAL((uint64_t)file.dirty.bytes, cells_sum(&file.dirty));
	CU_ASSERT(disk_dirty() > 0);
	CU_ASSERT(disk_dirty() <= (uint64_t)file.dirty.bytes);
	CU_ASSERT_EQUAL(suite_io(&store, IO_FLUSH, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(file.dirty.bytes, 0);
	CU_ASSERT_EQUAL(disk_dirty(), 0);
	store_down();
}

/* ---- the limit ------------------------------------------------------------------------------- */

/*
 * Writes that come faster than the disk takes them: a flush finds no more to do than the disk does
 * in its time, whether that is little or much.
 */
static void test_limit_follows_disk(void)
{
	const uint64_t slow = 40 * MIB, fast = 4000ull * MIB;

	store_up(slow);
	store_write(64 << 10, 4000000000, -1u);
	CU_ASSERT(file.limit >= FILE_DIRTY_MIN && file.limit <= 20 * MIB);
	for (unsigned i = 0; i < 5; i++) {
		store_write(64 << 10, 100000000, -1u);
		atomic_store(&disk.flushed, 0);
		CU_ASSERT_EQUAL(suite_io(&store, IO_FLUSH, 0, 0, NULL), 0);
		CU_ASSERT(atomic_load(&disk.flushed) <= 25 * MIB);
	}
	atomic_store(&disk.bps, fast);
	store_write(64 << 10, 3000000000, 40000);
	CU_ASSERT(file.limit > 100 * MIB && file.limit <= FILE_DIRTY_MAX);
	/* And back: before long, although it was misjudged. */
	atomic_store(&disk.bps, slow);
	store_write(64 << 10, 6000000000, -1u);
	CU_ASSERT(file.limit <= 20 * MIB);
	store_down();
}

/* On a disk that hangs writes end up to the limit; then as many as parts, the oldest first. */
static void test_writes_wait_in_turn(void)
{
	enum { FREE = FILE_DIRTY_FIRST / MIB, PARKED = 16 };
	static struct suite_io s[PARKED];

	store_up(0);
	for (unsigned i = 0; i < FREE; i++)
		CU_ASSERT_EQUAL(suite_io(&store, IO_WRITE, i * MIB, MIB, buf), 0);
	for (unsigned i = 0; i < PARKED; i++) {
		suite_start(&s[i], i, &store, IO_WRITE, 0, (FREE + i) * MIB, MIB, buf);
		CU_ASSERT_FALSE(suite_wait(&s[i], 10));
	}
	/* A part is a 32nd of the limit: two of them, or fewer if the limit fell. */
	for (unsigned i = 0; i < 4; i++) {
		sem_post(&disk.go);
		CU_ASSERT_TRUE(i || suite_wait(&s[0], 10000));
		CU_ASSERT_FALSE(suite_wait(&s[2 * i + 2], 50));
	}
	/* The disk is back. */
	atomic_store(&disk.bps, 1000ull * MIB);
	sem_post(&disk.go);
	for (unsigned i = 0; i < PARKED; i++)
		CU_ASSERT(suite_wait(&s[i], 10000) && !s[i].io.result);
	CU_ASSERT_EQUAL(suite_io(&store, IO_FLUSH, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(disk_dirty(), 0);
	store_down();
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_dirty_counts),
		UNIT(test_hot_data),
		UNIT(test_nothing_forgotten),
		UNIT(test_limit_follows_disk),
		UNIT(test_writes_wait_in_turn),
	};

	buf = suite_buf(MIB);
	return suite_run("backend_sync", tests, sizeof(tests) / sizeof(tests[0]), DRIVER_AUTO);
}
