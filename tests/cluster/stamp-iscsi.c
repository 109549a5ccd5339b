/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamps through libiscsi, all lanes at once in one session.
 *
 *	stamp-iscsi run URL LEDGER MODES LANES SECONDS
 *	stamp-iscsi check URL LEDGER
 *
 * `run` ends after SECONDS, at SIGTERM, or when the session is lost: somebody pulled the plug, and
 * the ledger says what had been acknowledged by then. What the disk refuses with CHECK CONDITION
 * ends it with status 1. Status 3: no session.
 */
#include "stamp.h"

#include <err.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct iscsi_context *iscsi;
static int lun;
static volatile sig_atomic_t stopped;
static bool lost, refused;
static unsigned int under_way;
static uint8_t *lane_data[STAMP_LANES_MAX];

static void lane_next(struct stamp_lane *lane);

static void on_term(int sig)
{
	stopped = 1;
}

/* Whether the command ended well; says so when it did not. */
static bool answer_good(struct iscsi_context *ctx, int status, const char *what)
{
	under_way--;
	if (status == SCSI_STATUS_GOOD)
		return true;
	if (status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_ERROR ||
	    status == SCSI_STATUS_TIMEOUT) {
		lost = true;
		return false;
	}
	if (!refused)
		fprintf(stderr, "%s: status %#x: %s\n", what, status, iscsi_get_error(ctx));
	refused = true;
	return false;
}

static void write_done(struct iscsi_context *ctx, int status, void *command_data,
		       void *private_data)
{
	struct scsi_task *task = command_data;
	struct stamp_lane *lane = private_data;

	if (answer_good(ctx, status, "write")) {
		stamp_write_done(lane);
		lane_next(lane);
	}
	scsi_free_scsi_task(task);
}

static void flush_done(struct iscsi_context *ctx, int status, void *command_data,
		       void *private_data)
{
	struct scsi_task *task = command_data;
	struct stamp_lane *lane = private_data;

	if (answer_good(ctx, status, "flush")) {
		stamp_flush_done(lane);
		lane_next(lane);
	}
	scsi_free_scsi_task(task);
}

static void lane_next(struct stamp_lane *lane)
{
	struct scsi_task *task;
	uint64_t sector;

	if (stopped || lost || refused)
		return;
	if (stamp_flush_due(lane)) {
		task = iscsi_synchronizecache16_task(iscsi, lun, 0, 0, 0, 0, flush_done, lane);
	} else {
		sector = stamp_write_start(lane, lane_data[lane->index]);
		task = iscsi_write16_task(iscsi, lun, sector, lane_data[lane->index],
					  lane->count * STAMP_SECTOR, STAMP_SECTOR, 0, 0,
					  lane->mode == STAMP_FUA, 0, 0, write_done, lane);
	}
	if (task)
		under_way++;
	else
		lost = true;
}

static int iscsi_read(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	struct scsi_task *task = iscsi_read16_sync(iscsi, lun, sector, count * STAMP_SECTOR,
						   STAMP_SECTOR, 0, 0, 0, 0, 0);
	int bad = !task || task->status != SCSI_STATUS_GOOD ||
		  task->datain.size != (int)count * STAMP_SECTOR;

	if (bad)
		fprintf(stderr, "read: %s\n", iscsi_get_error(iscsi));
	else
		memcpy(data, task->datain.data, (size_t)count * STAMP_SECTOR);
	if (task)
		scsi_free_scsi_task(task);
	return bad;
}

static void disk_open(const char *text)
{
	struct iscsi_url *url;

	iscsi = iscsi_create_context("iqn.2026-11.com.example:stamp");
	if (!iscsi)
		errx(1, "no context");
	url = iscsi_parse_full_url(iscsi, text);
	if (!url)
		errx(2, "%s", iscsi_get_error(iscsi));
	lun = url->lun;
	iscsi_set_noautoreconnect(iscsi, 1);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(iscsi, ISCSI_HEADER_DIGEST_NONE_CRC32C);
	if (url->user[0])
		iscsi_set_initiator_username_pwd(iscsi, url->user, url->passwd);
	if (iscsi_set_targetname(iscsi, url->target) ||
	    iscsi_full_connect_sync(iscsi, url->portal, lun))
		errx(3, "%s: %s", text, iscsi_get_error(iscsi));
	iscsi_destroy_url(url);
}

static void lanes_run(struct stamp_ledger *l, uint64_t stop_ms)
{
	unsigned int i;

	for (i = 0; i < l->lanes; i++) {
		lane_data[i] = aligned_alloc(4096, STAMP_WRITE_MAX * STAMP_SECTOR);
		if (!lane_data[i])
			err(1, "buffer");
		lane_next(&l->lane[i]);
	}
	while (under_way && !lost && !stopped) {
		struct pollfd p = { .fd = iscsi_get_fd(iscsi),
				    .events = (short)iscsi_which_events(iscsi) };

		if (poll(&p, 1, 100) >= 0 && iscsi_service(iscsi, p.revents) < 0)
			lost = true;
		if (stamp_now_ms() >= stop_ms)
			stopped = 1;
	}
}

int main(int argc, char **argv)
{
	static struct stamp_ledger l;
	uint64_t forgotten, bad;
	bool run = argc == 7 && !strcmp(argv[1], "run");

	if (!run && !(argc == 4 && !strcmp(argv[1], "check")))
		errx(2, "usage: stamp-iscsi run URL LEDGER MODES LANES SECONDS | check URL LEDGER");
	signal(SIGTERM, on_term);
	disk_open(argv[2]);
	stamp_open(&l, argv[3], run ? (unsigned int)atoi(argv[5]) : 0, run ? argv[4] : "fua");
	if (!run) {
		bad = stamp_check(&l, iscsi_read, NULL, &forgotten);
		stamp_save(&l, argv[3]);
		iscsi_logout_sync(iscsi);
		return bad != 0;
	}
	lanes_run(&l, stamp_now_ms() + 1000 * (uint64_t)atoi(argv[6]));
	stamp_save(&l, argv[3]);
	stamp_report(&l, stdout);
	return refused;
}
