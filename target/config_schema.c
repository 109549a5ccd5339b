/* SPDX-License-Identifier: Apache-2.0 */
#include "target/config_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "scsi/limits.h"
#include "target/config.h"
#include "target/config_text.h"
#include "target/log.h"

#define FIELD(s, m) .offset = offsetof(struct s, m), .width = sizeof(((struct s *)NULL)->m)
#define KEYS(k) .keys = (k), .nkeys = sizeof(k) / sizeof((k)[0])
#define KI ((uint64_t)1 << 10)
#define MI ((uint64_t)1 << 20)
#define GI ((uint64_t)1 << 30)
#define TI ((uint64_t)1 << 40)

/* ---- words ---- */

static const struct schema_word words_log_level[] = { { "error", LOG_LEVEL_ERROR },
						      { "warn", LOG_LEVEL_WARN },
						      { "info", LOG_LEVEL_INFO },
						      { "debug", LOG_LEVEL_DEBUG },
						      { NULL, 0 } };

static const struct schema_word words_driver[] = { { "auto", DRIVER_AUTO },
						   { "io_uring", DRIVER_URING },
						   { "epoll", DRIVER_EPOLL },
						   { NULL, 0 } };

static const struct schema_word words_engine[] = { { "auto", RIO_AUTO },
						   { "io_uring", RIO_URING },
						   { "libaio", RIO_AIO },
						   { "workers", RIO_WORKERS },
						   { NULL, 0 } };

static const struct schema_word words_pr_retain[] = { { "always", CONFIG_PR_RETAIN_ALWAYS },
						      { "standard", CONFIG_PR_RETAIN_STANDARD },
						      { NULL, 0 } };

static const struct schema_word words_lun_type[] = { { "data", LUN_DATA },
						     { "witness", LUN_WITNESS },
						     { NULL, 0 } };

static const struct schema_word words_backend[] = {
	{ "file", 0 }, { "memory", 0 }, { "null", 0 }, { NULL, 0 }
};

/* READ CAPACITY and every initiator know these two. */
static const struct schema_word words_block_size[] = { { "512", 512 },
						       { "4096", 4096 },
						       { NULL, 0 } };

enum digest { DIGEST_OFF, DIGEST_ALLOWED, DIGEST_REQUIRED };
static const struct schema_word words_digest[] = { { "off", DIGEST_OFF },
						   { "allowed", DIGEST_ALLOWED },
						   { "required", DIGEST_REQUIRED },
						   { NULL, 0 } };

static void set_header_digest(void *section, unsigned value)
{
	struct iscsi_offer *o = section;

	o->header_digest = value != DIGEST_OFF;
	o->header_digest_required = value == DIGEST_REQUIRED;
}

static void set_data_digest(void *section, unsigned value)
{
	struct iscsi_offer *o = section;

	o->data_digest = value != DIGEST_OFF;
	o->data_digest_required = value == DIGEST_REQUIRED;
}

/* ---- sections, innermost first ---- */

static const struct schema_key keys_auth[] = {
	{ "user", SCHEMA_CHARS, FIELD(login_auth, user), .min = 1, .max = CHAP_NAME_MAX,
	  .expect = "a name",
	  .doc = "The CHAP name the initiator gives. Without it nobody is asked to authenticate." },
	{ "secret", SCHEMA_CHARS, .secret = true, FIELD(login_auth, secret), .min = 12,
	  .max = CHAP_SECRET_MAX,
	  .expect = "a secret", .doc = "The secret the initiator proves it knows." },
	{ "secret_file", SCHEMA_STRING, .offset = SCHEMA_NOWHERE, .min = 1, .max = 4095,
	  .expect = "a path", .doc = "A file that holds the secret instead." },
	{ "mutual_user", SCHEMA_CHARS, FIELD(login_auth, mutual_user), .min = 1,
	  .max = CHAP_NAME_MAX,
	  .expect = "a name",
	  .doc = "The CHAP name the target gives when it is asked to authenticate in turn." },
	{ "mutual_secret", SCHEMA_CHARS, .secret = true, FIELD(login_auth, mutual_secret),
	  .min = 12,
	  .max = CHAP_SECRET_MAX, .expect = "a secret",
	  .doc = "The secret the target proves it knows; not the same as secret." },
	{ "mutual_secret_file", SCHEMA_STRING, .offset = SCHEMA_NOWHERE, .min = 1, .max = 4095,
	  .expect = "a path", .doc = "A file that holds the mutual secret instead." },
};
static const struct schema schema_auth = {
	.title = "AUTH", .size = sizeof(struct login_auth), .line = SCHEMA_NOWHERE, KEYS(keys_auth)
};

static const struct schema_key keys_lun[] = {
	{ "lun", SCHEMA_INT, .required = true, FIELD(config_lun, lun), .max = LUN_MAX,
	  .doc = "The logical unit number within the target." },
	{ "name", SCHEMA_STRING, .required = true, FIELD(config_lun, name), .min = 1,
	  .max = LU_NAME_MAX,
	  .check = text_is_name,
	  .expect = "letters, digits, '.', '_' and '-', first a letter or digit",
	  .doc = "What people call it, once in the file. The disk's identity derives from it." },
	{ "type", SCHEMA_WORD, FIELD(config_lun, type), .words = words_lun_type, .def = "data",
	  .doc = "data, or witness for a cluster's quorum disk." },
	{ "backend", SCHEMA_STRING, FIELD(config_lun, backend), .min = 1, .max = 16,
	  .words = words_backend,
	  .def = "file", .doc = "Where the data is." },
	{ "path", SCHEMA_STRING, FIELD(config_lun, path), .min = 1, .max = 4095, .expect = "a path",
	  .doc = "The file or block device of the file backend." },
	{ "size", SCHEMA_SIZE, FIELD(config_lun, size), .min = 4 * KI, .max = 8192 * TI,
	  .deftext = "as found", .doc = "How large the disk is." },
	{ "engine", SCHEMA_WORD, FIELD(config_lun, engine), .words = words_engine, .def = "auto",
	  .doc = "How the kernel is asked for file I/O." },
	{ "direct", SCHEMA_BOOL, FIELD(config_lun, direct), .def = "off",
	  .doc = "Bypass the page cache (O_DIRECT)." },
	{ "write_cache", SCHEMA_BOOL, FIELD(config_lun, write_cache), .def = "on",
	  .deftext = "on for data, off for a witness",
	  .doc = "WCE at start: a write may be answered before it is durable." },
	{ "block_size", SCHEMA_WORD, FIELD(config_lun, block_size), .words = words_block_size,
	  .def = "512",
	  .doc = "Bytes in a logical block." },
	{ "physical_block_size", SCHEMA_SIZE, FIELD(config_lun, physical_block_size), .min = 512,
	  .max = 64 * KI,
	  .def = "4096", .doc = "Bytes in a physical block, as initiators are told." },
	{ "readonly", SCHEMA_BOOL, FIELD(config_lun, readonly), .def = "off",
	  .doc = "Refuse every write." },
	{ "uuid", SCHEMA_UUID, FIELD(config_lun, uuid),
	  .deftext = "derived from target name and LUN name",
	  .doc = "The identity initiators see, when it must not follow from the name." },
	{ "naa", SCHEMA_CHARS, FIELD(config_lun, naa), .min = 16, .max = 2 * LU_NAA_LEN,
	  .check = text_is_naa,
	  .expect = "32 hex digits that begin with 6, or 16 that begin with 2, 3 or 5",
	  .deftext = "derived from uuid", .doc = "The NAA designator, as another target had it." },
	{ "serial", SCHEMA_CHARS, FIELD(config_lun, serial), .min = 1, .max = LU_SERIAL_MAX,
	  .check = text_is_ascii, .expect = "ASCII", .deftext = "derived from uuid",
	  .doc = "The unit serial number, as another target had it." },
	{ "t10_id", SCHEMA_CHARS, FIELD(config_lun, t10_id), .min = 1, .max = LU_T10_ID_MAX,
	  .check = text_is_ascii, .expect = "ASCII", .deftext = "the serial",
	  .doc = "What follows the vendor in the T10 designator." },
	{ "vendor", SCHEMA_CHARS, FIELD(config_lun, vendor), .min = 1, .max = LU_VENDOR_LEN,
	  .check = text_is_ascii, .expect = "ASCII", .deftext = "HOLDFAST",
	  .doc = "The vendor INQUIRY names." },
	{ "product", SCHEMA_CHARS, FIELD(config_lun, product), .min = 1, .max = LU_PRODUCT_LEN,
	  .check = text_is_ascii, .expect = "ASCII",
	  .deftext = "VIRTUAL-DISK, WITNESS for a witness",
	  .doc = "The product INQUIRY names." },
	{ "reserve6", SCHEMA_BOOL, FIELD(config_lun, reserve6), .def = "on",
	  .deftext = "on for data, off for a witness",
	  .doc = "Offer RESERVE and RELEASE, the reservations before the persistent ones." },
	{ "preallocate", SCHEMA_BOOL, FIELD(config_lun, preallocate), .def = "off",
	  .deftext = "off for data, on for a witness",
	  .doc = "Allocate every block when the file is created, instead of a sparse file." },
	{ "pr_retain", SCHEMA_WORD, FIELD(config_lun, pr_retain), .words = words_pr_retain,
	  .deftext = "the file's pr_retain", .doc = "The same for this LUN." },
	{ "filters", SCHEMA_STRING, FIELD(config_lun, filters), .min = 1, .max = 1023,
	  .expect = "filters such as delay:ms=50|log", .deftext = "none",
	  .doc = "What stands between the LUN and its store: faults and delays for tests." },
};
static const struct schema schema_lun = {
	.title = "LUNS", .size = sizeof(struct config_lun),
	  .line = offsetof(struct config_lun, line), KEYS(keys_lun)
};

static const struct schema_key keys_target[] = {
	{ "name", SCHEMA_STRING, .required = true, FIELD(config_target, name), .min = 1,
	  .max = ISCSI_NAME_MAX,
	  .check = text_is_iscsi_name,
	  .expect = "a name such as iqn.2026-11.com.example:cluster1, "
		    "eui. and 16 or naa. and 16 or 32 hex digits",
	  .doc = "The iSCSI name." },
	{ "alias", SCHEMA_STRING, FIELD(config_target, alias), .min = 1, .max = 255,
	  .expect = "text", .deftext = "none",
	  .doc = "TargetAlias: a name for people that initiators may show." },
	{ "portals", SCHEMA_STRINGS, .offset = SCHEMA_NOWHERE, .min = 1, .max = 64,
	  .deftext = "all",
	  .expect = "names of portals", .doc = "The portals it is reached through." },
	{ "initiators", SCHEMA_STRINGS, FIELD(config_target, initiators),
	  .count = offsetof(struct config_target, ninitiators),
	  .min = 1, .max = 1024, .check = text_is_pattern,
	  .expect = "initiator names or shell patterns in lower case",
	  .deftext = "any", .doc = "Who may log in." },
	{ "auth", SCHEMA_MAP, FIELD(config_target, auth), .sub = &schema_auth, .deftext = "none",
	  .doc = "How initiators authenticate." },
	{ "luns", SCHEMA_LIST, FIELD(config_target, luns),
	  .count = offsetof(struct config_target, nluns),
	  .max = LUN_MAX + 1, .sub = &schema_lun, .deftext = "none", .doc = "The disks." },
};
static const struct schema schema_target = {
	.title = "TARGETS", .size = sizeof(struct config_target),
	  .line = offsetof(struct config_target, line),
	KEYS(keys_target)
};

static const struct schema_key keys_portal[] = {
	{ "name", SCHEMA_STRING, .required = true, FIELD(config_portal, name), .min = 1, .max = 64,
	  .check = text_is_name,
	  .expect = "letters, digits, '.', '_' and '-', first a letter or digit",
	  .doc = "What targets call it." },
	{ "listen", SCHEMA_STRING, .required = true, FIELD(config_portal, listen), .min = 1,
	  .max = 63,
	  .check = text_is_listen,
	  .expect = "a numeric address and port such as 192.0.2.1:3260 or [2001:db8::1]:3260",
	  .doc = "Address and TCP port." },
	{ "group", SCHEMA_INT, FIELD(config_portal, group), .min = 1, .max = 65535, .def = "1",
	  .doc = "The portal group tag: portals of one group are one target port." },
	{ "congestion", SCHEMA_STRING, FIELD(config_portal, congestion), .min = 1, .max = 15,
	  .check = text_is_name, .deftext = "the system's",
	  .expect = "a TCP congestion control such as cubic or dctcp",
	  .doc = "How TCP paces what is sent: net.ipv4.tcp_available_congestion_control has "
		 "them." },
};
static const struct schema schema_portal = {
	.title = "PORTALS", .size = sizeof(struct config_portal), .line = SCHEMA_NOWHERE,
	  KEYS(keys_portal)
};

/*
 * RFC 7143 13.12, 13.13, 13.14, 13.17 give the ranges; outstanding R2Ts cost buffers, hence fewer
 * than 65535.
 */
static const struct schema_key keys_iscsi[] = {
	{ "max_recv_data_segment_length", SCHEMA_SIZE, FIELD(iscsi_offer, own_max_recv_dsl),
	  .min = 512, .max = 16777215,
	  .def = "256K", .doc = "MaxRecvDataSegmentLength we declare." },
	{ "max_burst_length", SCHEMA_SIZE, FIELD(iscsi_offer, max_burst), .min = 512,
	  .max = 16777215, .def = "1M",
	  .doc = "MaxBurstLength: most data of one R2T or Data-In sequence." },
	{ "first_burst_length", SCHEMA_SIZE, FIELD(iscsi_offer, first_burst), .min = 512,
	  .max = 16777215, .def = "256K",
	  .doc = "FirstBurstLength: most data sent without an R2T." },
	{ "max_outstanding_r2t", SCHEMA_INT, FIELD(iscsi_offer, max_outstanding_r2t), .min = 1,
	  .max = 64, .def = "4",
	  .doc = "MaxOutstandingR2T of one command." },
	{ "header_digest", SCHEMA_WORD, .offset = SCHEMA_NOWHERE, .words = words_digest,
	  .set = set_header_digest,
	  .def = "allowed", .doc = "CRC32C over PDU headers." },
	{ "data_digest", SCHEMA_WORD, .offset = SCHEMA_NOWHERE, .words = words_digest,
	  .set = set_data_digest,
	  .def = "allowed", .doc = "CRC32C over PDU data." },
	{ "initial_r2t", SCHEMA_BOOL, FIELD(iscsi_offer, initial_r2t), .def = "off",
	  .doc = "InitialR2T: insist on an R2T before any unsolicited Data-Out." },
	{ "immediate_data", SCHEMA_BOOL, FIELD(iscsi_offer, immediate_data), .def = "on",
	  .doc = "ImmediateData: take data within the command PDU." },
};
static const struct schema schema_iscsi = {
	.title = "ISCSI", .size = sizeof(struct iscsi_offer), .line = SCHEMA_NOWHERE,
	  KEYS(keys_iscsi)
};

/* The struct has no name: its fields are found from struct config. */
#define LIMIT(m) .offset = offsetof(struct config, limits.m) - offsetof(struct config, limits), \
	.width = sizeof(((struct config *)NULL)->limits.m)
static const struct schema_key keys_limits[] = {
	{ "login_timeout", SCHEMA_INT, LIMIT(login_timeout), .min = 1, .max = 3600, .def = "30",
	  .doc = "Seconds from connecting to the end of login." },
	{ "logins", SCHEMA_INT, LIMIT(logins), .min = 1, .max = 65535, .def = "256",
	  .doc = "Connections that have not logged in yet." },
	{ "sessions", SCHEMA_INT, LIMIT(sessions), .min = 1, .max = 65535, .def = "10240",
	  .doc = "Sessions." },
	{ "commands", SCHEMA_INT, LIMIT(commands), .min = 4, .max = 4096, .def = "128",
	  .doc = "Commands of one session at once: the CmdSN window." },
	{ "lun_commands", SCHEMA_INT, LIMIT(lun_commands), .max = 4096, .def = "0",
	  .doc = "Commands of one session on one LUN at once; 0 is three quarters of commands once "
		 "the session uses several LUNs." },
	{ "buffers", SCHEMA_SIZE, LIMIT(buffers), .min = 16 * MI, .max = TI, .def = "1G",
	  .doc = "Data buffers of the whole daemon." },
	{ "nop_interval", SCHEMA_INT, LIMIT(nop_interval), .min = 1, .max = 3600, .def = "15",
	  .doc = "Seconds a session may be idle before it is pinged." },
	{ "nop_timeout", SCHEMA_INT, LIMIT(nop_timeout), .min = 1, .max = 3600, .def = "15",
	  .doc = "Seconds to wait for the answer before the connection is dropped." },
};
static const struct schema schema_limits = {
	.title = "LIMITS", .size = sizeof(((struct config *)NULL)->limits), .line = SCHEMA_NOWHERE,
	  KEYS(keys_limits)
};

static const struct schema_key keys_witness[] = {
	{ "lane", SCHEMA_BOOL, .width = sizeof(bool), .def = "on",
	  .doc = "Serve witness LUNs by a thread of their own, ahead of everything else." },
};
static const struct schema schema_witness = {
	.title = "WITNESS", .size = sizeof(((struct config *)NULL)->witness),
	  .line = SCHEMA_NOWHERE, KEYS(keys_witness)
};

static const struct schema_key keys_config[] = {
	{ "state_dir", SCHEMA_STRING, FIELD(config, state_dir), .min = 1, .max = 4000,
	  .expect = "a path",
	  .def = "/var/lib/holdfast",
	  .doc = "The directory of what must survive: reservations, mode pages, journals." },
	{ "data_dir", SCHEMA_STRING, FIELD(config, data_dir), .min = 1, .max = 4000,
	  .expect = "a path",
	  .deftext = "state_dir", .doc = "Where the relative paths of LUNs start." },
	/* sun_path of struct sockaddr_un has 108 bytes with its NUL. */
	{ "control", SCHEMA_STRING, FIELD(config, control), .min = 1, .max = 107,
	  .expect = "a path",
	  .def = "/run/holdfast/control.sock", .doc = "The socket holdfast(8) talks to." },
	{ "reactors", SCHEMA_INT, FIELD(config, reactors), .max = REACTORS_MAX, .def = "0",
	  .doc = "Threads that serve; 0 is one per core." },
	{ "workers", SCHEMA_INT, FIELD(config, workers), .max = 256, .def = "0",
	  .doc = "Threads for what may block; 0 lets the daemon choose." },
	{ "driver", SCHEMA_WORD, FIELD(config, driver), .words = words_driver, .def = "auto",
	  .doc = "What the event loops run on." },
	{ "poll_us", SCHEMA_INT, FIELD(config, poll_us), .max = 1000, .def = "50",
	  .doc = "Microseconds a reactor may look for work before it sleeps; 0 is never." },
	{ "log_level", SCHEMA_WORD, FIELD(config, log_level), .words = words_log_level,
	  .def = "info",
	  .doc = "The least important lines that are logged." },
	{ "pr_retain", SCHEMA_WORD, FIELD(config, pr_retain), .words = words_pr_retain,
	  .def = "always",
	  .doc = "What becomes of registrations made without APTPL when the daemon starts again." },
	{ "iscsi", SCHEMA_MAP, FIELD(config, offer), .sub = &schema_iscsi,
	  .deftext = "the defaults of its keys",
	  .doc = "What is offered in login negotiation." },
	{ "discovery_auth", SCHEMA_MAP, FIELD(config, discovery_auth), .sub = &schema_auth,
	  .deftext = "none",
	  .doc = "How initiators authenticate to discover." },
	{ "limits", SCHEMA_MAP, FIELD(config, limits), .sub = &schema_limits,
	  .deftext = "the defaults of its keys",
	  .doc = "What peers can make grow, and how far." },
	{ "witness", SCHEMA_MAP, FIELD(config, witness), .sub = &schema_witness,
	  .deftext = "the defaults of its keys",
	  .doc = "How the quorum disks of clusters are served." },
	{ "portals", SCHEMA_LIST, FIELD(config, portals),
	  .count = offsetof(struct config, nportals), .min = 1, .max = 64,
	  .sub = &schema_portal, .deftext = "one named default on 0.0.0.0:3260 in group 1",
	  .doc = "Where the daemon listens." },
	{ "targets", SCHEMA_LIST, .required = true, FIELD(config, targets),
	  .count = offsetof(struct config, ntargets),
	  .max = 4096, .sub = &schema_target, .doc = "What it serves." },
};
const struct schema config_schema = {
	.title = "THE FILE", .size = sizeof(struct config), .line = SCHEMA_NOWHERE,
	  KEYS(keys_config)
};

static const struct schema *const sections[] = {
	&config_schema, &schema_iscsi, &schema_limits, &schema_witness, &schema_portal,
	&schema_target, &schema_auth, &schema_lun
};

/* ---- looking things up ---- */

const struct schema *config_schema_section(unsigned i)
{
	return i < sizeof(sections) / sizeof(sections[0]) ? sections[i] : NULL;
}

static const struct schema_key *schema_find_n(const struct schema *s, const char *name, size_t len)
{
	for (unsigned i = 0; i < s->nkeys; i++)
		if (strlen(s->keys[i].name) == len && !memcmp(s->keys[i].name, name, len))
			return &s->keys[i];
	return NULL;
}

const struct schema_key *schema_find(const struct schema *s, const char *name)
{
	return schema_find_n(s, name, strlen(name));
}

const char *config_schema_doc(const char *path)
{
	const struct schema *s = &config_schema;

	for (;;) {
		const char *dot = strchrnul(path, '.');
		const struct schema_key *k =
			s ? schema_find_n(s, path, (size_t)(dot - path)) : NULL;

		if (!k)
			return NULL;
		if (!*dot)
			return k->doc;
		s = k->sub;
		path = dot + 1;
	}
}

/* Edits (insert, delete, replace, swap neighbours) from a to b, both shorter than EDIT_MAX. */
enum { EDIT_MAX = 48 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[3][EDIT_MAX + 1];
	unsigned la = (unsigned)strlen(a), lb = (unsigned)strlen(b);

	for (unsigned j = 0; j <= lb; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned *now = row[i % 3], *last = row[(i - 1) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return row[la % 3][lb];
}

const struct schema_key *schema_nearest(const struct schema *s, const char *name)
{
	const struct schema_key *best = NULL;
	unsigned best_distance = (unsigned)strlen(name) / 3 + 1;

	if (strlen(name) >= EDIT_MAX)
		return NULL;
	for (unsigned i = 0; i < s->nkeys; i++) {
		unsigned distance = edit_distance(name, s->keys[i].name);

		if (distance <= best_distance && (!best || distance < best_distance)) {
			best = &s->keys[i];
			best_distance = distance;
		}
	}
	/* Every letter changed is no likeness. */
	return best && best_distance < strlen(best->name) ? best : NULL;
}

/* ---- what a key takes ---- */

const char *schema_size_text(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "KMGT";
	int unit = -1;

	while (bytes && bytes % 1024 == 0 && unit < 3) {
		bytes /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(buf, size, "%" PRIu64, bytes);
	else
		snprintf(buf, size, "%" PRIu64 "%c", bytes, units[unit]);
	return buf;
}

static void schema_expect_words(const struct schema_word *w, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (; w->word && n < size; w++) {
		const char *before = !n ? "" : w[1].word ? ", " : " or ";

		n += (size_t)snprintf(buf + n, size - n, "%s%s", before, w->word);
	}
}

const char *schema_expect(const struct schema_key *k, char *buf, size_t size)
{
	char lo[32], hi[32];

	switch (k->type) {
	case SCHEMA_BOOL: snprintf(buf, size, "on or off"); break;
	case SCHEMA_INT:
		snprintf(buf, size, "a whole number from %" PRIu64 " to %" PRIu64, k->min, k->max);
		break;
	case SCHEMA_SIZE:
		snprintf(buf, size,
			 "a size from %s to %s: bytes, or a whole number and K, M, G or T",
			 schema_size_text(k->min, lo, sizeof(lo)),
			 schema_size_text(k->max, hi, sizeof(hi)));
		break;
	case SCHEMA_WORD: schema_expect_words(k->words, buf, size); break;
	case SCHEMA_STRING:
	case SCHEMA_CHARS:
		if (k->words)
			schema_expect_words(k->words, buf, size);
		else
			snprintf(buf, size, "%s, %" PRIu64 " to %" PRIu64 " bytes", k->expect,
				 k->min, k->max);
		break;
	case SCHEMA_UUID:
		snprintf(buf, size, "a UUID such as 6ba7b810-9dad-41d1-80b4-00c04fd430c8");
		break;
	case SCHEMA_STRINGS:
		snprintf(buf, size, "a list of %" PRIu64 " to %" PRIu64 " %s", k->min, k->max,
			 k->expect);
		break;
	case SCHEMA_MAP: snprintf(buf, size, "a mapping of keys to values"); break;
	case SCHEMA_LIST:
		snprintf(buf, size, "a list of %" PRIu64 " to %" PRIu64 " mappings", k->min,
			 k->max);
		break;
	}
	return buf;
}
