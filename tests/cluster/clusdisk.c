/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node of a Windows Server failover cluster does with a disk, by SG_IO through the kernel
 * (MS-CSVP 3.2.4.15 to .24; the times of arbitration are the documented ones).
 *
 *	clusdisk NODE TIMES PATH[,PATH]... COMMAND...
 *
 * NODE is a letter; PATHs are the disks of one LUN. The commands are done one after the other, each
 * prints a line. What else is answered than good or RESERVATION CONFLICT ends it with status 1; a
 * unit attention is an answer, after which Windows tries again. How long each answer took is
 * appended to the file TIMES: "pr MICROSECONDS WHAT"; before each of them a TEST UNIT READY goes
 *the same way, "tur MICROSECONDS".
 *
 *	register	on every path at once (REGISTER AND IGNORE EXISTING KEY)
 *	unregister	on every path
 *	reserve, release, clear, preempt=NODE
 *	write, read	one sector, on every path
 *	owner		who holds the reservation, the same through every path
 *	keys		how many registrations each node has, through every path; READ KEYS with
 *every ALLOCATION LENGTH up to more than there is arbitrate	reserves; where somebody has the
 *disk, waits 7 s and preempts him defend=FILE[,NODES]	every 3 s until FILE exists: removes all
 *keys but its own and those of NODES, looks that the disk is its own, reserves again wait=FILE
 *until it exists
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <scsi/sg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
	PATHS_MAX = 8,
	KEYS_MAX = 256,
	SECTOR = 512,
	TRIES = 5,
	ANSWER_MS = 30000,
	DEFEND_S = 3,
	CHALLENGE_S = 7,
	GOOD = 0x00,
	CHECK_CONDITION = 0x02,
	CONFLICT = 0x18,
	UNIT_ATTENTION = 6,
	PR_IN = 0x5e,
	READ_KEYS = 0,
	READ_RESERVATION = 1,
	PR_OUT = 0x5f,
	REGISTER = 0,
	RESERVE = 1,
	RELEASE = 2,
	CLEAR = 3,
	PREEMPT = 4,
	REGISTER_AND_IGNORE = 6,
	WE_RO = 5,
};

static const char *const actions[] = {
	"REGISTER", "RESERVE", "RELEASE", "CLEAR", "PREEMPT", "", "REGISTER AND IGNORE EXISTING KEY"
};
static int paths[PATHS_MAX];
static int npaths;
static char self;
static FILE *times;

/* A random looking half, the node's number, the cluster's mark. */
static uint64_t key_of(char node)
{
	return (uint64_t)(0x5a17c3d1u + 0x01030507u * (unsigned)node) << 32 |
	       (uint64_t)(node - 'a' + 1) << 16 | 0x6d73;
}

static char node_of(uint64_t key)
{
	char node = (char)('a' + (key >> 16 & 0xff) - 1);

	return node >= 'a' && node <= 'z' && key_of(node) == key ? node : '?';
}

static void put_be64(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static uint64_t get_be(const uint8_t *p, int bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The status; *len becomes what was moved. No answer, or another error than a unit attention, ends
 * us. */
static int command(int fd, const uint8_t *cdb, unsigned cdb_len, int direction, void *data,
		   unsigned *len, uint64_t *us)
{
	uint8_t sense[64] = { 0 };
	sg_io_hdr_t h = { .interface_id = 'S',
			  .dxfer_direction = direction,
			  .cmd_len = (uint8_t)cdb_len,
			  .cmdp = (uint8_t *)cdb,
			  .dxferp = data,
			  .dxfer_len = *len,
			  .sbp = sense,
			  .mx_sb_len = sizeof(sense),
			  .timeout = ANSWER_MS };
	uint64_t start = now_us();

	if (ioctl(fd, SG_IO, &h) < 0)
		err(1, "SG_IO");
	*us = now_us() - start;
	if (h.host_status)
		errx(1, "opcode %02x: no answer, host status %02x", cdb[0], h.host_status);
	*len -= (unsigned)h.resid;
	if (h.status == CHECK_CONDITION && (sense[2] & 15) != UNIT_ATTENTION)
		errx(1, "opcode %02x: sense %x/%02x/%02x", cdb[0], sense[2] & 15, sense[12],
		     sense[13]);
	if (h.status != GOOD && h.status != CONFLICT && h.status != CHECK_CONDITION)
		errx(1, "opcode %02x: status %02x", cdb[0], h.status);
	return h.status;
}

static void ready(int fd)
{
	uint8_t cdb[6] = { 0 };
	uint64_t us;

	for (int i = 0; i < TRIES; i++) {
		unsigned none = 0;
		int status = command(fd, cdb, sizeof(cdb), SG_DXFER_NONE, NULL, &none, &us);

		fprintf(times, "tur %llu\n", (unsigned long long)us);
		if (status != CHECK_CONDITION)
			return;
	}
}

static int out(int fd, int action, uint64_t key, uint64_t sa_key)
{
	uint8_t cdb[10] = { PR_OUT, (uint8_t)action, WE_RO, 0, 0, 0, 0, 0, 24 }, list[24] = { 0 };
	int status = CHECK_CONDITION;

	put_be64(list, key);
	put_be64(list + 8, sa_key);
	ready(fd);
	for (int i = 0; i < TRIES && status == CHECK_CONDITION; i++) {
		unsigned len = sizeof(list);
		uint64_t us;

		status = command(fd, cdb, sizeof(cdb), SG_DXFER_TO_DEV, list, &len, &us);
		fprintf(times, "pr %llu %s\n", (unsigned long long)us, actions[action]);
	}
	return status;
}

static unsigned in(int fd, int action, uint8_t *buf, unsigned len)
{
	uint8_t cdb[10] = {
		PR_IN, (uint8_t)action, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len
	};
	int status = CHECK_CONDITION;
	unsigned got = 0;

	for (int i = 0; i < TRIES && status == CHECK_CONDITION; i++) {
		uint64_t us;

		got = len;
		status = command(fd, cdb, sizeof(cdb), SG_DXFER_FROM_DEV, buf, &got, &us);
		fprintf(times, "pr %llu %s\n", (unsigned long long)us,
			action == READ_KEYS ? "READ KEYS" : "READ RESERVATION");
	}
	if (status != GOOD)
		errx(1, "PERSISTENT RESERVE IN %d: status %02x", action, status);
	return got;
}

/* ---- what is known ------------------------------------------------------------------------------
 */

static unsigned keys_read(int fd, uint64_t *keys)
{
	uint8_t buf[8 + 8 * KEYS_MAX];
	unsigned got = in(fd, READ_KEYS, buf, sizeof(buf)), n;

	if (got < 8 || got != 8 + get_be(buf + 4, 4) || got % 8)
		errx(1, "READ KEYS: %u bytes, ADDITIONAL LENGTH %u", got,
		     (unsigned)get_be(buf + 4, 4));
	n = (got - 8) / 8;
	for (unsigned i = 0; i < n; i++)
		keys[i] = get_be(buf + 8 + 8 * i, 8);
	return n;
}

/* Every allocation length: the first bytes of the whole answer, no more than was asked for. */
static void keys_bounds(int fd)
{
	uint8_t whole[8 + 8 * KEYS_MAX], part[8 + 8 * KEYS_MAX];
	unsigned all = in(fd, READ_KEYS, whole, sizeof(whole));

	for (unsigned n = 0; n <= all + 8; n++) {
		unsigned want = n < all ? n : all, got;

		memset(part, 0xee, sizeof(part));
		got = in(fd, READ_KEYS, part, n);
		if (got != want || memcmp(part, whole, want) || part[want] != 0xee)
			errx(1, "READ KEYS of %u bytes: %u came, of %u", n, got, want);
	}
}

static void say_keys(void)
{
	uint64_t keys[PATHS_MAX][KEYS_MAX];
	unsigned n[PATHS_MAX] = { 0 };

	for (int i = 0; i < npaths; i++) {
		n[i] = keys_read(paths[i], keys[i]);
		if (n[i] != n[0] || memcmp(keys[i], keys[0], n[0] * sizeof(keys[0][0])))
			errx(1, "READ KEYS differs from path to path");
		keys_bounds(paths[i]);
	}
	printf("keys");
	for (char node = 'a'; node <= 'z'; node++) {
		unsigned count = 0;

		for (unsigned i = 0; i < n[0]; i++)
			count += keys[0][i] == key_of(node);
		if (count)
			printf(" %c%u", node, count);
	}
	printf("\n");
}

/* '-': nobody. */
static char owner(int fd)
{
	uint8_t buf[64];
	unsigned got = in(fd, READ_RESERVATION, buf, sizeof(buf));

	if (got == 8)
		return '-';
	if (got != 24 || buf[21] != WE_RO)
		errx(1, "READ RESERVATION: %u bytes, type %u", got, buf[21] & 15);
	return node_of(get_be(buf + 8, 8));
}

/* ---- what is done -------------------------------------------------------------------------------
 */

static void *path_register(void *path)
{
	return (void *)(intptr_t)out(*(int *)path, REGISTER_AND_IGNORE, 0, key_of(self));
}

static int do_register(void)
{
	pthread_t thread[PATHS_MAX];
	int status = GOOD;

	for (int i = 0; i < npaths; i++)
		if (pthread_create(&thread[i], NULL, path_register, &paths[i]))
			errx(1, "thread");
	for (int i = 0; i < npaths; i++) {
		void *s;

		pthread_join(thread[i], &s);
		status = s ? (int)(intptr_t)s : status;
	}
	return status;
}

static int do_unregister(void)
{
	int status = GOOD;

	for (int i = 0; i < npaths && status == GOOD; i++)
		status = out(paths[i], REGISTER, key_of(self), 0);
	return status;
}

/* Each path of each node has a sector. */
static int do_sectors(bool write)
{
	int worst = GOOD;

	for (int i = 0; i < npaths; i++) {
		uint8_t cdb[10] = {
			write ? 0x2a : 0x28, 0, 0, 0, 0, (uint8_t)(self * PATHS_MAX + i), 0, 0, 1
		};
		uint8_t data[SECTOR];
		int status = CHECK_CONDITION;

		for (int k = 0; k < TRIES && status == CHECK_CONDITION; k++) {
			unsigned len = sizeof(data);
			uint64_t us;

			memset(data, self, sizeof(data));
			status = command(paths[i], cdb, sizeof(cdb),
					 write ? SG_DXFER_TO_DEV : SG_DXFER_FROM_DEV, data, &len,
					 &us);
		}
		worst = status ? status : worst;
	}
	return worst;
}

static int do_arbitrate(void)
{
	int status = out(paths[0], RESERVE, key_of(self), 0);
	char found;

	if (status == GOOD)
		return GOOD;
	found = owner(paths[0]);
	sleep(CHALLENGE_S);
	/* Its own key was removed meanwhile: the owner has defended the disk. */
	return out(paths[0], PREEMPT, key_of(self), key_of(found));
}

static void do_defend(char *file)
{
	uint64_t keys[KEYS_MAX];
	char *members = strchr(file, ',');

	if (members)
		*members++ = 0;
	while (access(file, F_OK)) {
		unsigned n = keys_read(paths[0], keys);

		for (unsigned i = 0; i < n; i++) {
			char node = node_of(keys[i]);

			/* The same key comes several times; the first PREEMPT takes all of them. */
			if (node == self || (members && strchr(members, node)))
				continue;
			if (out(paths[0], PREEMPT, key_of(self), keys[i]) != GOOD)
				break;
			printf("removed %c\n", node);
			n = keys_read(paths[0], keys);
			i = (unsigned)-1;
		}
		if (owner(paths[0]) != self || out(paths[0], RESERVE, key_of(self), 0) != GOOD) {
			printf("lost to %c\n", owner(paths[0]));
			return;
		}
		for (int i = 0; i < 10 * DEFEND_S && access(file, F_OK); i++)
			usleep(100000);
	}
	printf("defended\n");
}

static void run(char *name)
{
	char *value = strchr(name, '=');
	int status;

	if (value)
		*value++ = 0;
	if (!strcmp(name, "owner")) {
		char first = owner(paths[0]);

		for (int i = 1; i < npaths; i++)
			if (owner(paths[i]) != first)
				errx(1, "the owner differs from path to path");
		printf("owner %c\n", first);
		return;
	}
	if (!strcmp(name, "keys")) {
		say_keys();
		return;
	}
	if (!strcmp(name, "defend") && value) {
		do_defend(value);
		return;
	}
	if (!strcmp(name, "wait") && value) {
		while (access(value, F_OK))
			usleep(1000);
		return;
	}
	if (!strcmp(name, "register"))
		status = do_register();
	else if (!strcmp(name, "unregister"))
		status = do_unregister();
	else if (!strcmp(name, "reserve"))
		status = out(paths[0], RESERVE, key_of(self), 0);
	else if (!strcmp(name, "release"))
		status = out(paths[0], RELEASE, key_of(self), 0);
	else if (!strcmp(name, "clear"))
		status = out(paths[0], CLEAR, key_of(self), 0);
	else if (!strcmp(name, "preempt") && value)
		status = out(paths[0], PREEMPT, key_of(self), key_of(*value));
	else if (!strcmp(name, "write") || !strcmp(name, "read"))
		status = do_sectors(*name == 'w');
	else if (!strcmp(name, "arbitrate"))
		status = do_arbitrate();
	else
		errx(2, "no such command: %s", name);
	printf("%s %s\n", name, status == GOOD ? "good" : "conflict");
}

int main(int argc, char **argv)
{
	if (argc < 5)
		errx(2, "usage: clusdisk NODE TIMES PATH[,PATH]... COMMAND...");
	self = argv[1][0];
	times = fopen(argv[2], "a");
	if (!times)
		err(1, "%s", argv[2]);
	for (char *p = strtok(argv[3], ","); p && npaths < PATHS_MAX; p = strtok(NULL, ",")) {
		paths[npaths] = open(p, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (paths[npaths++] < 0)
			err(1, "%s", p);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 4; i < argc; i++)
		run(argv[i]);
	return fclose(times) ? 1 : 0;
}
