/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pr/prcmd.h"

#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

uint64_t pr_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint32_t pr_random(uint32_t below)
{
	static uint64_t x;

	if (!x) {
		const char *s = getenv("PR_SEED");

		x = s ? strtoull(s, NULL, 0) : pr_us();
		x = x ? x : 1;
		printf("PR_SEED=%llu\n", (unsigned long long)x);
	}
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)((x >> 16) % below);
}

/* ---- commands -------------------------------------------------------------------------------- */

uint32_t io_result(const struct io *io)
{
	if (!io->done)
		return RES_NONE;
	if (io->status == ST_CHECK)
		return RES_SENSE(io_key(io), io_asc(io));
	return io->status;
}

static void prout_init(struct io *io, uint16_t lun, uint8_t sa, uint8_t type, void *param,
		       uint32_t len)
{
	memset(io, 0, sizeof(*io));
	io->lun = lun;
	io->cdb[0] = 0x5f;
	io->cdb[1] = sa;
	io->cdb[2] = type;
	put_be32(io->cdb + 5, len);
	io->attr = ATTR_SIMPLE;
	io->wr = true;
	io->edtl = len;
	io->buf = param;
}

void prout_set(struct prout *p, uint16_t lun, uint8_t sa, uint8_t type, uint64_t key,
	       uint64_t sa_key, uint8_t flags)
{
	memset(p->param, 0, sizeof(p->param));
	put_be64(p->param, key);
	put_be64(p->param + 8, sa_key);
	p->param[20] = flags;
	prout_init(&p->io, lun, sa, type, p->param, sizeof(p->param));
}

uint32_t prout(struct wire *w, uint8_t sa, uint8_t type, uint64_t key, uint64_t sa_key,
	       uint8_t flags)
{
	struct prout p;

	prout_set(&p, 0, sa, type, key, sa_key, flags);
	return io_run(w, &p.io) ? io_result(&p.io) : RES_NONE;
}

uint32_t prout_clean(struct wire *w, uint8_t sa, uint8_t type, uint64_t key, uint64_t sa_key,
		     uint8_t flags)
{
	CU_ASSERT(tur_good(w, 0));
	return prout(w, sa, type, key, sa_key, flags);
}

uint32_t prout_raw(struct wire *w, uint16_t lun, uint8_t sa, uint8_t type, void *param,
		   uint32_t len)
{
	struct io io;

	prout_init(&io, lun, sa, type, param, len);
	return io_run(w, &io) ? io_result(&io) : RES_NONE;
}

uint32_t transportid_make(uint8_t *out, const char *name, const uint8_t isid[6])
{
	uint32_t n = (uint32_t)sprintf((char *)out + 4, "%s,i,0x%02x%02x%02x%02x%02x%02x", name,
				       isid[0], isid[1], isid[2], isid[3], isid[4], isid[5]) + 1;

	while (n < 20 || n % 4)
		out[4 + n++] = 0;
	out[0] = 0x45;
	out[1] = 0;
	put_be16(out + 2, (uint16_t)n);
	return n + 4;
}

int prin(struct wire *w, uint8_t sa, void *buf, uint16_t alloc)
{
	struct io io;

	memset(&io, 0, sizeof(io));
	io.cdb[0] = 0x5e;
	io.cdb[1] = sa;
	put_be16(io.cdb + 7, alloc);
	io.attr = ATTR_SIMPLE;
	io.rd = alloc != 0;
	io.edtl = alloc;
	io.buf = buf;
	if (!io_run(w, &io) || io.status != ST_GOOD) {
		printf("    PR IN %u: %06x\n", sa, io_result(&io));
		return -1;
	}
	return (int)io.got;
}

uint32_t tur(struct wire *w, uint16_t lun)
{
	struct io io;

	io_tur(&io, lun);
	return io_run(w, &io) ? io_result(&io) : RES_NONE;
}

bool tur_good(struct wire *w, uint16_t lun)
{
	for (unsigned i = 0; i < 10; i++) {
		uint32_t r = tur(w, lun);

		if (!r)
			return true;
		if (r >> 16 == 2) { /* becoming ready */
			wire_sleep(20);
			i--;
		} else if (r >> 16 != 6) {
			printf("    TEST UNIT READY: %06x\n", r);
			return false;
		}
	}
	return false;
}

/* ---- READ FULL STATUS ------------------------------------------------------------------------ */

static bool reg_parse(const uint8_t *d, uint32_t left, struct prreg *r, uint32_t *used)
{
	uint32_t len, tid;
	const char *comma;
	unsigned v[6];

	if (left < 24)
		return false;
	len = get_be32(d + 20);
	if (len > left - 24 || len < 24 || len % 4)
		return false;
	memset(r, 0, sizeof(*r));
	r->key = get_be64(d);
	r->holder = d[12] & 1;
	r->type = d[13];
	r->port = get_be16(d + 18);
	tid = get_be16(d + 26);
	if (d[24] != 0x45 || tid + 4 != len || !memchr(d + 28, 0, tid) || !r->key ||
	    (r->type && !r->holder))
		return false;
	comma = strstr((const char *)d + 28, ",i,0x");
	if (!comma || comma - (const char *)d - 28 >= (int)sizeof(r->name) ||
	    sscanf(comma + 5, "%2x%2x%2x%2x%2x%2x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) != 6)
		return false;
	memcpy(r->name, d + 28, (size_t)(comma - (const char *)d - 28));
	for (unsigned i = 0; i < 6; i++)
		r->isid[i] = (uint8_t)v[i];
	*used = 24 + len;
	return true;
}

static int reg_cmp(const void *a, const void *b)
{
	const struct prreg *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	r = r ? r : memcmp(x->isid, y->isid, 6);
	return r ? r : (int)x->port - (int)y->port;
}

bool prfull_get(struct wire *w, struct prfull *f)
{
	uint8_t *buf = malloc(65535);
	int got = buf ? prin(w, PR_READ_FULL_STATUS, buf, 65535) : -1;
	uint32_t at = 8;

	memset(f, 0, sizeof(*f));
	if (got >= 8 && get_be32(buf + 4) + 8 == (uint32_t)got) {
		f->generation = get_be32(buf);
		f->r = calloc(1 + (uint32_t)got / 48, sizeof(*f->r));
		while (f->r && at < (uint32_t)got) {
			uint32_t used = 0;

			if (!reg_parse(buf + at, (uint32_t)got - at, &f->r[f->n], &used))
				break;
			f->n++;
			at += used;
		}
	}
	if (got < 8 || !f->r || at != (uint32_t)got) {
		printf("    READ FULL STATUS: %d bytes, not understood from byte %u\n", got, at);
		free(buf);
		prfull_free(f);
		return false;
	}
	qsort(f->r, f->n, sizeof(*f->r), reg_cmp);
	free(buf);
	return true;
}

void prfull_free(struct prfull *f)
{
	free(f->r);
	f->r = NULL;
	f->n = 0;
}

bool prfull_same(const struct prfull *a, const struct prfull *b)
{
	return a->generation == b->generation && a->n == b->n &&
	       (!a->n || !memcmp(a->r, b->r, a->n * sizeof(*a->r)));
}

void prfull_print(const char *what, const struct prfull *f)
{
	printf("    %s: generation %u\n", what, f->generation);
	for (unsigned i = 0; i < f->n; i++)
		printf("      %s isid %02x%02x%02x%02x%02x%02x port %u key %llx%s type %u\n",
		       f->r[i].name, f->r[i].isid[0], f->r[i].isid[1], f->r[i].isid[2],
		       f->r[i].isid[3], f->r[i].isid[4], f->r[i].isid[5], f->r[i].port,
		       (unsigned long long)f->r[i].key, f->r[i].holder ? " holder" : "",
		       f->r[i].type);
}

const struct prreg *prfull_find(const struct prfull *f, const char *name, uint8_t isid,
				uint16_t port)
{
	for (unsigned i = 0; i < f->n; i++) {
		const char *colon = strrchr(f->r[i].name, ':');

		if (colon && !strcmp(colon + 1, name) && f->r[i].isid[5] == isid &&
		    f->r[i].port == port)
			return &f->r[i];
	}
	return NULL;
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static int far_group;		/* process group of the machine it runs in */
static char far_address[2][32]; /* of its portals, while that machine runs */

bool pr_far(void)
{
	return getenv("PR_FAR") != NULL;
}

/* One order on 3, one answer on 0: "PROCESS_GROUP ADDRESS1 ADDRESS2". */
static void far_order(const char *order)
{
	char line[128];

	CU_ASSERT_FATAL(dprintf(3, "%s\n", order) > 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(line, sizeof(line), stdin));
	CU_ASSERT_FATAL(sscanf(line, "%d %31s %31s", &far_group, far_address[0],
			       far_address[1]) == 3);
}

void pr_daemon(const char *top, const char *luns)
{
	struct daemon *d = &wire_daemon;
	const char *driver = getenv("WIRE_DRIVER"), *state = daemon_path("state");
	char cmd[WIRE_PATH + 16];
	FILE *f;

	if (pr_far()) {
		far_order("new");
		return;
	}
	if (d->pid)
		daemon_stop();
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", state);
	if (system(cmd))
		abort();
	f = fopen(d->config, "w");
	if (!f)
		abort();
	fprintf(f, "state_dir: %s/state\ncontrol: %s/control.sock\ndriver: %s\n", d->dir, d->dir,
		driver ? driver : "auto");
	fprintf(f, "%s%s", top && strstr(top, "reactors:") ? "" : "reactors: 2\n", top ? top : "");
	fprintf(f, "portals:\n  - {name: a, listen: \"127.0.0.1:%u\", group: 1}\n", d->port);
	fprintf(f, "  - {name: b, listen: \"127.0.0.2:%u\", group: 2}\n", d->port);
	fprintf(f, "targets:\n  - name: " WIRE_TARGET "\n    luns:\n%s",
		luns ? luns : "      - {lun: 0, name: m0, backend: memory, size: 16M}\n");
	fclose(f);
	daemon_restart();
}

struct wire *pr_open(const char *name, uint8_t isid, unsigned group)
{
	char ini[128];
	struct login_opts o = { .initiator = ini, .isid = isid };
	struct wire *w;

	snprintf(ini, sizeof(ini), "iqn.1991-05.com.example:%s", name);
	if (pr_far())
		w = wire_connect_to(far_address[group - 1], 3260);
	else
		w = wire_connect_to(group == 2 ? "127.0.0.2" : "127.0.0.1", wire_daemon.port);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL_FATAL(wire_login(w, &o), 0);
	CU_ASSERT_FATAL(tur_good(w, 0));
	return w;
}

void pr_daemon_kill(void)
{
	static const char *const bad[] = {
		"ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "runtime error:",
		"Assertion",
	};
	struct daemon *d = &wire_daemon;

	if (pr_far()) {
		CU_ASSERT_FATAL(!kill(-far_group, SIGKILL));
		return;
	}
	CU_ASSERT(daemon_alive());
	if (d->pid) {
		kill(d->pid, SIGKILL);
		CU_ASSERT_FATAL(daemon_wait(5000));
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (daemon_log_count(bad[i])) {
			printf("    the daemon's log has \"%s\": %s\n", bad[i], d->log);
			CU_FAIL("a sanitizer or an assertion spoke");
		}
}

void pr_daemon_restart(void)
{
	if (pr_far())
		far_order("again");
	else
		daemon_restart();
}
