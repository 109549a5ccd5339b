/* SPDX-License-Identifier: Apache-2.0 */
/* Run from the top of the tree: conf/ and docs/ are looked at. */
#include "tests/unit/unit.h"

#include <glob.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/config.h"
#include "target/config_schema.h"
#include "target/log.h"

/* ---- frames ---- */

#define LUN "targets:\n- name: iqn.2026-11.com.example:t\n  luns:\n  - {lun: 0, name: a, "	/* line 4 */
#define TARGET "targets:\n- name: iqn.2026-11.com.example:t\n  "				/* line 3 */
#define NO_TARGETS "targets: []\n"
/* sha256sum's first 16 bytes, with version 8 and variant 10b. The identity of a disk must never change. */
#define UUID_OF_A "047228c3-3485-8945-bd2b-6a14732e402e"

static char *messages;		/* of the last parse */

static struct config *parse(const char *text)
{
	size_t len;
	FILE *f;
	struct config *c;

	free(messages);
	f = open_memstream(&messages, &len);
	c = config_parse("t.yaml", text, strlen(text), f);
	fclose(f);
	return c;
}

static struct config *good(const char *text)
{
	struct config *c = parse(text);

	if (!c || *messages)
		fprintf(stderr, "\nrefused:\n%s\n%s", text, messages);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(messages, "");
	return c;
}

static void compare(const char *text, const char *expected)
{
	if (strcmp(messages, expected))
		fprintf(stderr, "\n%s\nfound:\n%s\nexpected:\n%s", text, messages, expected);
	CU_ASSERT_STRING_EQUAL(messages, expected);
}

/* Refused with exactly these lines. */
static void bad(const char *text, const char *expected)
{
	struct config *c = parse(text);

	CU_ASSERT_PTR_NULL(c);
	config_free(c);
	compare(text, expected);
}

/* ---- good ones ---- */

static void test_defaults(void)
{
	struct config *c = good(TARGET "luns: [{lun: 7, name: a, path: a.img, size: 1G}]\n");
	const struct config_target *t = &c->targets[0];
	const struct config_lun *l = &t->luns[0];

	CU_ASSERT_STRING_EQUAL(c->file, "t.yaml");
	CU_ASSERT_STRING_EQUAL(c->state_dir, "/var/lib/holdfast");
	CU_ASSERT_STRING_EQUAL(c->data_dir, "/var/lib/holdfast");
	CU_ASSERT_STRING_EQUAL(c->control, "/run/holdfast/control.sock");
	CU_ASSERT(!c->reactors && !c->workers && c->driver == DRIVER_AUTO);
	CU_ASSERT_EQUAL(c->log_level, LOG_LEVEL_INFO);
	CU_ASSERT_EQUAL(c->pr_retain, CONFIG_PR_RETAIN_ALWAYS);
	CU_ASSERT(c->offer.own_max_recv_dsl == 262144 && c->offer.max_burst == 1048576 && c->offer.first_burst == 262144);
	CU_ASSERT(c->offer.max_outstanding_r2t == 4 && !c->offer.initial_r2t && c->offer.immediate_data);
	CU_ASSERT(c->offer.header_digest && c->offer.data_digest);
	CU_ASSERT(!c->offer.header_digest_required && !c->offer.data_digest_required);
	CU_ASSERT(!c->discovery_auth.user[0] && !t->auth.user[0]);
	CU_ASSERT(c->limits.login_timeout == 30 && c->limits.logins == 256 && c->limits.sessions == 10240);
	CU_ASSERT(c->limits.commands == 128 && c->limits.lun_commands == 0 && c->limits.buffers == 1 << 30);
	CU_ASSERT(c->limits.nop_interval == 15 && c->limits.nop_timeout == 15);
	CU_ASSERT_EQUAL_FATAL(c->nportals, 1);
	CU_ASSERT_STRING_EQUAL(c->portals[0].name, "default");
	CU_ASSERT_STRING_EQUAL(c->portals[0].host, "0.0.0.0");
	CU_ASSERT(c->portals[0].port == 3260 && c->portals[0].group == 1);
	CU_ASSERT_EQUAL_FATAL(c->ntargets, 1);
	CU_ASSERT(t->nportals == 1 && t->portals[0] == 0 && t->ninitiators == 0 && !t->alias && t->line == 2);
	CU_ASSERT_EQUAL_FATAL(t->nluns, 1);
	CU_ASSERT(l->lun == 7 && l->type == LUN_DATA && l->size == 1 << 30 && l->line == 3);
	CU_ASSERT_STRING_EQUAL(l->backend, "file");
	CU_ASSERT_STRING_EQUAL(l->path, "/var/lib/holdfast/a.img");
	CU_ASSERT(l->engine == RIO_AUTO && !l->direct && l->write_cache && !l->readonly && l->reserve6);
	CU_ASSERT(!l->preallocate && l->block_size == 512 && l->physical_block_size == 4096);
	CU_ASSERT(!l->uuid_given && !l->filters && l->pr_retain == CONFIG_PR_RETAIN_ALWAYS);
	config_free(c);
}

static void test_everything(void)
{
	struct config *c = good(
		"state_dir: s\ndata_dir: ./d//e/\ncontrol: c.sock\nreactors: 2\nworkers: 3\ndriver: epoll\n"
		"log_level: debug\npr_retain: standard\n"
		"iscsi: {max_recv_data_segment_length: 8192, max_burst_length: 64K, max_outstanding_r2t: 1,\n"
		"  header_digest: required, data_digest: off, initial_r2t: yes, immediate_data: false}\n"
		"discovery_auth: {user: d, secret: discover-me-1}\n"
		"limits: {login_timeout: 1, logins: 2, sessions: 3, commands: 4, lun_commands: 4, buffers: 16M,\n"
		"  nop_interval: 5, nop_timeout: 6}\n"
		"portals:\n- {name: a, listen: \"192.0.2.1:1\", group: 65535}\n- {name: b, listen: \"[2001:DB8:0::1]:65535\"}\n"
		"targets:\n- name: naa.600140500000000000000000000000ab\n  alias: \"\\u00e4\"\n  portals: [b]\n"
		"  initiators: [\"*:x\", iqn.2026-11.com.example:y]\n"
		"  auth: {user: u, secret: \"123456789012\", mutual_user: m, mutual_secret: 210987654321}\n"
		"  luns:\n"
		"  - {lun: 4095, name: z, path: /z, size: 8192, engine: libaio, direct: on, write_cache: off,\n"
		"     block_size: 4096, physical_block_size: 64K, readonly: true, reserve6: no, preallocate: yes,\n"
		"     uuid: 6BA7B810-9dad-41d1-80b4-00c04fd430c8, pr_retain: always, filters: \"delay:ms=5|log\"}\n"
		"  - {lun: 3, name: y, type: witness, backend: memory, size: 64M}\n"
		"  - {lun: 1, name: x, type: witness, path: x, size: 64M, write_cache: on, reserve6: on, preallocate: off}\n"
		"  - {lun: 0, name: w, type: witness, path: w}\n"
		"  - {lun: 2, name: v, backend: null, size: 1T}\n");
	const struct config_target *t = &c->targets[0];
	const struct config_lun *l = t->luns;
	static const uint8_t uuid[16] = "\x6b\xa7\xb8\x10\x9d\xad\x41\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8";

	CU_ASSERT_STRING_EQUAL(c->state_dir, "s");
	CU_ASSERT(c->reactors == 2 && c->workers == 3 && c->driver == DRIVER_EPOLL && c->log_level == LOG_LEVEL_DEBUG);
	CU_ASSERT(c->offer.own_max_recv_dsl == 8192 && c->offer.max_burst == 65536 && c->offer.first_burst == 65536);
	CU_ASSERT(c->offer.header_digest && c->offer.header_digest_required && !c->offer.data_digest);
	CU_ASSERT(c->offer.initial_r2t && !c->offer.immediate_data && c->offer.max_outstanding_r2t == 1);
	CU_ASSERT_STRING_EQUAL(c->discovery_auth.secret, "discover-me-1");
	CU_ASSERT(c->limits.nop_timeout == 6 && c->limits.lun_commands == 4 && c->limits.buffers == 16 << 20);
	CU_ASSERT_STRING_EQUAL(c->portals[1].host, "2001:db8::1");
	CU_ASSERT_STRING_EQUAL(c->portals[1].listen, "[2001:DB8:0::1]:65535");
	CU_ASSERT(c->portals[0].group == 65535 && c->portals[1].port == 65535);
	CU_ASSERT_STRING_EQUAL(t->alias, "\xc3\xa4");
	CU_ASSERT(t->nportals == 1 && t->portals[0] == 1 && t->ninitiators == 2);
	CU_ASSERT_STRING_EQUAL(t->initiators[0], "*:x");
	CU_ASSERT_STRING_EQUAL(t->auth.secret, "123456789012");
	CU_ASSERT_STRING_EQUAL(t->auth.mutual_secret, "210987654321");
	CU_ASSERT_EQUAL_FATAL(t->nluns, 5);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(l[i].lun, i);
	CU_ASSERT(!l[0].write_cache && !l[0].reserve6 && l[0].preallocate && l[0].pr_retain == CONFIG_PR_RETAIN_STANDARD);
	CU_ASSERT_STRING_EQUAL(l[0].path, "d/e/w");
	CU_ASSERT(l[1].write_cache && l[1].reserve6 && !l[1].preallocate && l[1].type == LUN_WITNESS);
	CU_ASSERT_STRING_EQUAL(l[2].backend, "null");
	CU_ASSERT(!l[3].path && !l[3].preallocate);
	CU_ASSERT(l[4].lun == 4095 && l[4].engine == RIO_AIO && l[4].direct && !l[4].write_cache && l[4].readonly);
	CU_ASSERT(l[4].block_size == 4096 && l[4].physical_block_size == 65536 && !l[4].reserve6 && l[4].preallocate);
	CU_ASSERT(l[4].uuid_given && !memcmp(l[4].uuid, uuid, 16) && l[4].pr_retain == CONFIG_PR_RETAIN_ALWAYS);
	CU_ASSERT_STRING_EQUAL(l[4].filters, "delay:ms=5|log");
	config_free(c);
}

static void test_uuid_derived(void)
{
	struct config *c = good(LUN "backend: memory, size: 1M}\n");
	const uint8_t *u = c->targets[0].luns[0].uuid;
	char text[37];
	size_t n = 0;

	for (unsigned i = 0; i < 16; i++)
		n += (size_t)sprintf(text + n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	CU_ASSERT_STRING_EQUAL(text, UUID_OF_A);
	config_free(c);
}

/* ---- documents and keys ---- */

static void test_document(void)
{
	bad("", "t.yaml: the file is empty (expected a mapping of keys to values)\n");
	bad("- a\n", "t.yaml:1: found a list (expected a mapping of keys to values)\n");
	bad("text\n", "t.yaml:1: found \"text\" (expected a mapping of keys to values)\n");
	bad(NO_TARGETS "---\n", "t.yaml:2: a second document (expected one document, without further ---)\n");
	bad("a: &b {c: *b}\n", "t.yaml:1: an anchor &b (expected the value alone: anchors are not taken)\n");
	bad("# \xff\n", "t.yaml:1: byte 2: invalid leading UTF-8 octet (expected UTF-8 text)\n");
	bad("targets: [\n", "t.yaml:2: not YAML: did not find expected node content while parsing a flow node in column 1\n");
	bad("state_dir: /x\n", "t.yaml:1: targets: missing (expected a list of 0 to 4096 mappings)\n");
	config_free(good(NO_TARGETS));
}

static void test_unknown_key(void)
{
	bad("portal: []\n" NO_TARGETS, "t.yaml:1: portal: unknown key (expected perhaps portals)\n");
	bad(LUN "path: a, siez: 1G}\n", "t.yaml:4: targets[0].luns[0].siez: unknown key (expected perhaps size)\n");
	bad(LUN "path: a, Size: 1G}\n", "t.yaml:4: targets[0].luns[0].Size: unknown key (expected perhaps size)\n");
	bad("limits:\n  comands: 5\n" NO_TARGETS, "t.yaml:2: limits.comands: unknown key (expected perhaps commands)\n");
	bad("portals:\n- {name: a, listen: '1.2.3.4:5', tpgt: 3}\n" NO_TARGETS,
	    "t.yaml:2: portals[0].tpgt: unknown key (expected one of name, listen, group)\n");
	bad("\"x\\ty\": 1\n" NO_TARGETS, "t.yaml:1: x?y: unknown key (expected one of state_dir, data_dir, control, reactors, "
	    "workers, driver, log_level, pr_retain, iscsi, discovery_auth, limits, portals, targets)\n");
	bad("? [a]\n: 1\n" NO_TARGETS, "t.yaml:1: found a list as a key (expected a word)\n");
	bad("'': 1\n" NO_TARGETS, "t.yaml:1: found \"\" as a key (expected a word)\n");
	bad("\"log_level\\0\": debug\n" NO_TARGETS, "t.yaml:1: found \"log_level?\" as a key (expected a word)\n");
}

static void test_duplicate_key(void)
{
	bad("reactors: 1\nworkers: 1\nreactors: 1\n" NO_TARGETS,
	    "t.yaml:3: reactors: given a second time (expected once; the first is on line 1)\n");
	bad(LUN "path: a,\n     size: 1G, name: b}\n",
	    "t.yaml:5: targets[0].luns[0].name: given a second time (expected once; the first is on line 4)\n");
	bad(NO_TARGETS "targets: [{}]\n", "t.yaml:2: targets: given a second time (expected once; the first is on line 1)\n");
}

static void test_missing_key(void)
{
	bad(TARGET "luns:\n  -\n   path: a\n",
	    "t.yaml:5: targets[0].luns[0].lun: missing (expected a whole number from 0 to 4095)\n"
	    "t.yaml:5: targets[0].luns[0].name: missing (expected letters, digits, '.', '_' and '-', first a letter or digit, "
	    "1 to 64 bytes)\n");
	bad("targets:\n- luns: []\n",
	    "t.yaml:2: targets[0].name: missing (expected a name such as iqn.2026-11.com.example:cluster1, "
	    "eui. and 16 or naa. and 16 or 32 hex digits, 1 to 223 bytes)\n");
	bad("portals:\n- {group: 2}\n" NO_TARGETS,
	    "t.yaml:2: portals[0].name: missing (expected letters, digits, '.', '_' and '-', first a letter or digit, 1 to 64 bytes)\n"
	    "t.yaml:2: portals[0].listen: missing (expected a numeric address and port such as 192.0.2.1:3260 or "
	    "[2001:db8::1]:3260, 1 to 63 bytes)\n");
}

/* ---- types ---- */

static void one(const char *frame, const char *value, const char *tail, const char *expected)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%s%s", frame, value, tail);
	if (expected)
		bad(text, expected);
	else
		config_free(good(text));
}

static void test_switch(void)
{
	static const char frame[] = LUN "path: a, direct: ";
	static const char *const words[] = { "on", "off", "true", "false", "yes", "no" };

	for (unsigned i = 0; i < 6; i++)
		one(frame, words[i], "}\n", NULL);
#define SWITCH(value, found) one(frame, value, "}\n", \
	"t.yaml:4: targets[0].luns[0].direct: found " found " (expected on or off)\n")
	SWITCH("maybe", "\"maybe\"");
	SWITCH("1", "\"1\"");
	SWITCH("ON", "\"ON\"");
	SWITCH("\"on\"", "\"on\", which is in quotes");
	SWITCH("", "nothing");
	SWITCH("~", "nothing");
	SWITCH("[on]", "a list");
	SWITCH("{a: on}", "a mapping");
}

static void test_number(void)
{
#define NUMBER(value, found) one("reactors: ", value, "\n" NO_TARGETS, \
	"t.yaml:1: reactors: found " found " (expected a whole number from 0 to 256)\n")
	one("reactors: ", "0", "\n" NO_TARGETS, NULL);
	one("reactors: ", "256", "\n" NO_TARGETS, NULL);
	NUMBER("257", "\"257\"");
	NUMBER("1.5", "\"1.5\"");
	NUMBER("010", "\"010\", which has a leading zero");
	NUMBER("0x10", "\"0x10\"");
	NUMBER("-1", "\"-1\"");
	NUMBER("+1", "\"+1\"");
	NUMBER("1_0", "\"1_0\"");
	NUMBER("1K", "\"1K\"");
	NUMBER("\"1\"", "\"1\", which is in quotes");
	NUMBER("18446744073709551617", "\"18446744073709551617\"");
	NUMBER("on", "\"on\"");
	NUMBER("[]", "a list");
	NUMBER("", "nothing");
}

static void test_size(void)
{
	static const char frame[] = LUN "path: a, size: ";

#define SIZE(value, found) one(frame, value, "}\n", "t.yaml:4: targets[0].luns[0].size: found " found \
	" (expected a size from 4K to 8192T: bytes, or a whole number and K, M, G or T)\n")
	one(frame, "4096", "}\n", NULL);
	one(frame, "8192T", "}\n", NULL);
	one(frame, "\"500M\"", "}\n", NULL);
	SIZE("1.5T", "\"1.5T\"");
	SIZE("1TB", "\"1TB\"");
	SIZE("1t", "\"1t\"");
	SIZE("1 T", "\"1 T\"");
	SIZE("T", "\"T\"");
	SIZE("3K", "\"3K\"");
	SIZE("0", "\"0\"");
	SIZE("04096", "\"04096\", which has a leading zero");
	SIZE("8193T", "\"8193T\"");
	SIZE("16777216T", "\"16777216T\"");
	SIZE("-1G", "\"-1G\"");
}

static void test_size_blocks(void)
{
	bad(LUN "path: a, size: 5000}\n",
	    "t.yaml:4: targets[0].luns[0].size: found 5000 bytes, which is not whole blocks "
	    "(expected a multiple of block_size, 512)\n");
	bad(LUN "path: a, size: 10K, block_size: 4096}\n",
	    "t.yaml:4: targets[0].luns[0].size: found 10240 bytes, which is not whole blocks "
	    "(expected a multiple of block_size, 4096)\n");
	bad(LUN "path: a, block_size: 1024}\n",
	    "t.yaml:4: targets[0].luns[0].block_size: found \"1024\" (expected 512 or 4096)\n");
	bad(LUN "path: a, physical_block_size: 5000}\n",
	    "t.yaml:4: targets[0].luns[0].physical_block_size: found 5000 "
	    "(expected a power of two, not less than block_size, 512)\n");
	bad(LUN "path: a, block_size: 4096, physical_block_size: 512}\n",
	    "t.yaml:4: targets[0].luns[0].physical_block_size: found 512 "
	    "(expected a power of two, not less than block_size, 4096)\n");
	bad(LUN "path: a, physical_block_size: 128K}\n",
	    "t.yaml:4: targets[0].luns[0].physical_block_size: found \"128K\" "
	    "(expected a size from 512 to 64K: bytes, or a whole number and K, M, G or T)\n");
}

static void test_word(void)
{
	bad("log_level: verbose\n" NO_TARGETS, "t.yaml:1: log_level: found \"verbose\" (expected error, warn, info or debug)\n");
	bad("driver: select\n" NO_TARGETS, "t.yaml:1: driver: found \"select\" (expected auto, io_uring or epoll)\n");
	bad("pr_retain: never\n" NO_TARGETS, "t.yaml:1: pr_retain: found \"never\" (expected always or standard)\n");
	bad("iscsi: {header_digest: on}\n" NO_TARGETS,
	    "t.yaml:1: iscsi.header_digest: found \"on\" (expected off, allowed or required)\n");
	bad(LUN "path: a, engine: aio}\n",
	    "t.yaml:4: targets[0].luns[0].engine: found \"aio\" (expected auto, io_uring, libaio or workers)\n");
	bad(LUN "path: a, type: quorum}\n",
	    "t.yaml:4: targets[0].luns[0].type: found \"quorum\" (expected data or witness)\n");
	bad(LUN "path: a, backend: ram}\n",
	    "t.yaml:4: targets[0].luns[0].backend: found \"ram\" (expected file, memory or null)\n");
	bad(LUN "path: a, backend: ~}\n",
	    "t.yaml:4: targets[0].luns[0].backend: found nothing (expected file, memory or null)\n");
}

static void test_string(void)
{
	char text[400] = LUN "path: a, filters: ", name[80], expected[300];

	config_free(good(TARGET "alias: 42\n"));
	config_free(good(TARGET "alias: '42'\n"));
	bad(TARGET "alias:\n", "t.yaml:3: targets[0].alias: found nothing (expected text, 1 to 255 bytes)\n");
	bad(TARGET "alias: ''\n",
	    "t.yaml:3: targets[0].alias: found \"\", which is 0 bytes long (expected text, 1 to 255 bytes)\n");
	bad(TARGET "alias: [a]\n", "t.yaml:3: targets[0].alias: found a list (expected text, 1 to 255 bytes)\n");
	bad(TARGET "alias: \"a\\nb\"\n",
	    "t.yaml:3: targets[0].alias: found \"a?b\", which has a control character (expected text, 1 to 255 bytes)\n");
	bad(TARGET "alias: \"a\\0b\"\n",
	    "t.yaml:3: targets[0].alias: found \"a?b\" (expected text, 1 to 255 bytes)\n");
	memset(name, 'n', 65);
	name[65] = '\0';
	snprintf(text, sizeof(text), TARGET "luns: [{lun: 0, path: a, name: %s}]\n", name);
	snprintf(expected, sizeof(expected), "t.yaml:3: targets[0].luns[0].name: found \"%s\", which is 65 bytes long "
		 "(expected letters, digits, '.', '_' and '-', first a letter or digit, 1 to 64 bytes)\n", name);
	bad(text, expected);
#define NAME(value) bad(TARGET "luns: [{lun: 0, path: a, name: " value "}]\n", \
	"t.yaml:3: targets[0].luns[0].name: found \"" value "\" " \
	"(expected letters, digits, '.', '_' and '-', first a letter or digit, 1 to 64 bytes)\n")
	NAME("../x");
	NAME(".x");
	NAME("a/b");
	NAME("a b");
}

static void test_uuid(void)
{
#define UUID(value) bad(LUN "path: a, uuid: " value "}\n", "t.yaml:4: targets[0].luns[0].uuid: found \"" value \
	"\" (expected a UUID such as 6ba7b810-9dad-41d1-80b4-00c04fd430c8)\n")
	UUID("1");
	UUID("6ba7b8109dad41d180b400c04fd430c8");
	UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c");
	UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c80");
	UUID("6ba7b810-9dad-41d1-80b4-00c04fd430cg");
	UUID("6ba7b810-9dad-41d1-80b4000c04fd430c8");
	bad(LUN "path: a, uuid: 00000000-0000-0000-0000-000000000000}\n",
	    "t.yaml:4: targets[0].luns[0].uuid: the UUID of all zeroes (expected one of its own)\n");
	/* The NAA designator has no room for the first digit. */
	bad(LUN "path: a, uuid: 6ba7b810-9dad-41d1-80b4-00c04fd430c8}\n"
	    "  - {lun: 1, name: b, path: b, uuid: 7ba7b810-9dad-41d1-80b4-00c04fd430c8}\n",
	    "t.yaml:5: targets[0].luns[1].uuid: \"7ba7b810-9dad-41d1-80b4-00c04fd430c8\" is the UUID of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
	/* One may not be given what another has by its name. */
	bad(LUN "path: a}\n  - {lun: 1, name: b, path: b, uuid: " UUID_OF_A "}\n",
	    "t.yaml:5: targets[0].luns[1].uuid: \"" UUID_OF_A "\" is the UUID of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
	bad(TARGET "luns:\n  - {lun: 1, name: b, path: b, uuid: " UUID_OF_A "}\n  - {lun: 0, name: a, path: a}\n",
	    "t.yaml:5: targets[0].luns[1].uuid: the default is the UUID of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
	bad(LUN "path: a, uuid: 6ba7b810-9dad-41d1-80b4-00c04fd430c8}\n"
	    "  - {lun: 1, name: b, path: b, uuid: 6BA7B810-9dad-41d1-80b4-00c04fd430c8}\n",
	    "t.yaml:5: targets[0].luns[1].uuid: \"6BA7B810-9dad-41d1-80b4-00c04fd430c8\" is the UUID of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
}

static void test_lists(void)
{
	bad("portals: a\n" NO_TARGETS, "t.yaml:1: portals: found \"a\" (expected a list of 1 to 64 mappings)\n");
	bad("portals: []\n" NO_TARGETS, "t.yaml:1: portals: found a list of 0 (expected a list of 1 to 64 mappings)\n");
	bad("targets: {}\n", "t.yaml:1: targets: found a mapping (expected a list of 0 to 4096 mappings)\n");
	bad("targets: [7]\n", "t.yaml:1: targets[0]: found \"7\" (expected a mapping of keys to values)\n");
	bad(TARGET "luns: 7\n", "t.yaml:3: targets[0].luns: found \"7\" (expected a list of 0 to 4096 mappings)\n");
	bad(TARGET "luns: [[]]\n", "t.yaml:3: targets[0].luns[0]: found a list (expected a mapping of keys to values)\n");
	bad("limits: [1]\n" NO_TARGETS, "t.yaml:1: limits: found a list (expected a mapping of keys to values)\n");
	bad("limits:\n" NO_TARGETS, "t.yaml:1: limits: found nothing (expected a mapping of keys to values)\n");
}

/* ---- names and references ---- */

static void test_lun_unique(void)
{
	bad(LUN "path: a}\n  - {lun: 0, name: b, path: b}\n",
	    "t.yaml:5: targets[0].luns[1].lun: \"0\" is the number of targets[0].luns[0] on line 4 already "
	    "(expected a different one)\n");
	bad(LUN "path: a}\n  - {lun: 1, name: a, path: b}\n",
	    "t.yaml:5: targets[0].luns[1].name: \"a\" is the name of targets[0].luns[0] on line 4 already "
	    "(expected a different one)\n");
	/* The name is one in the file, the number one in the target. */
	bad(LUN "path: a}\n- name: iqn.2026-11.com.example:u\n  luns:\n  - {lun: 0, name: a, path: b}\n",
	    "t.yaml:7: targets[1].luns[0].name: \"a\" is the name of targets[0].luns[0] on line 4 already "
	    "(expected a different one)\n");
	bad(LUN "path: x/a}\n  - {lun: 1, name: b, path: .//x/./a}\n",
	    "t.yaml:5: targets[0].luns[1].path: \".//x/./a\" is the path of targets[0].luns[0] on line 4 already "
	    "(expected a different one)\n");
	bad("data_dir: /d\n" LUN "path: a}\n  - {lun: 1, name: b, path: /d/a}\n",
	    "t.yaml:6: targets[0].luns[1].path: \"/d/a\" is the path of targets[0].luns[0] on line 5 already "
	    "(expected a different one)\n");
	bad(LUN "path: a}\n  - {lun: 4096, name: b, path: b}\n",
	    "t.yaml:5: targets[0].luns[1].lun: found \"4096\" (expected a whole number from 0 to 4095)\n");
}

static void test_target_name(void)
{
	static const char *const names[] = {
		"iqn.2026-11.com.example", "iqn.2026-11.com.example:a:b-c.1", "eui.02004567a425678d", "naa.52004567ba64678d",
		"naa.62004567ba64678d0123456789abcdef"
	};
	char text[100];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "targets: [{name: \"%s\"}]\n", names[i]);
		config_free(good(text));
	}
#define TARGET_NAME(value, which) bad("targets: [{name: '" value "'}]\n", "t.yaml:1: targets[0].name: found \"" value "\"" which \
	" (expected a name such as iqn.2026-11.com.example:cluster1, eui. and 16 or naa. and 16 or 32 hex digits, " \
	"1 to 223 bytes)\n")
	TARGET_NAME("iqn.2026-11.com.example:Disk", ", which has upper-case letters; iSCSI names are compared in lower case: "
		    "iqn.2026-11.com.example:disk");
	TARGET_NAME("disk", "");
	TARGET_NAME("iqn.2026-13.com.example", ", which has no month 13");
	TARGET_NAME("iqn.2026-00.com.example", ", which has no month 00");
	TARGET_NAME("iqn.2026.com.example", "");
	TARGET_NAME("iqn.2026-11.", "");
	TARGET_NAME("iqn.", "");
	TARGET_NAME("eui.0200", "");
	TARGET_NAME("eui.02004567a425678g", "");
	TARGET_NAME("naa.52004567ba64678d0", "");
	TARGET_NAME("iqn.2026-11.com.example:a_b", ", which has a character other than a-z, 0-9, '.', ':' and '-'");
	TARGET_NAME("iqn.2026-11.com.example: b", ", which has a character other than a-z, 0-9, '.', ':' and '-'");
	bad("targets:\n- name: iqn.2026-11.com.example\n- name: iqn.2026-11.com.example\n",
	    "t.yaml:3: targets[1].name: \"iqn.2026-11.com.example\" is the name of targets[0] on line 2 already "
	    "(expected a different one)\n");
}

static void test_initiators(void)
{
	bad(TARGET "initiators: []\n", "t.yaml:3: targets[0].initiators: found a list of 0 "
	    "(expected a list of 1 to 1024 initiator names or shell patterns in lower case)\n");
	bad(TARGET "initiators: iqn.x\n", "t.yaml:3: targets[0].initiators: found \"iqn.x\" "
	    "(expected a list of 1 to 1024 initiator names or shell patterns in lower case)\n");
	bad(TARGET "initiators: [a, IQN.x]\n", "t.yaml:3: targets[0].initiators[1]: found \"IQN.x\", which has upper-case "
	    "letters; initiator names are compared in lower case: iqn.x "
	    "(expected initiator names or shell patterns in lower case)\n");
	bad(TARGET "initiators: [a, ~, [], '']\n",
	    "t.yaml:3: targets[0].initiators[1]: found nothing (expected initiator names or shell patterns in lower case)\n"
	    "t.yaml:3: targets[0].initiators[2]: found a list (expected initiator names or shell patterns in lower case)\n"
	    "t.yaml:3: targets[0].initiators[3]: found \"\" (expected initiator names or shell patterns in lower case)\n");
}

static void test_portals(void)
{
#define LISTEN(value) bad("portals: [{name: a, listen: '" value "'}]\n" NO_TARGETS, "t.yaml:1: portals[0].listen: found \"" value \
	"\" (expected a numeric address and port such as 192.0.2.1:3260 or [2001:db8::1]:3260, 1 to 63 bytes)\n")
	LISTEN("127.0.0.1");
	LISTEN("127.0.0.1:");
	LISTEN(":3260");
	LISTEN("127.0.0.1:0");
	LISTEN("127.0.0.1:65536");
	LISTEN("127.0.0.1:03260");
	LISTEN("127.0.0.256:3260");
	LISTEN("127.1:3260");
	LISTEN("localhost:3260");
	LISTEN("::1:3260");
	LISTEN("[::1]");
	LISTEN("[::1]3260");
	LISTEN("[127.0.0.1]:3260");
	LISTEN("[]:3260");
	LISTEN("[fe80::1%lo]:3260");
	bad("portals: [{name: a, listen: '[::1]:1', group: 0}]\n" NO_TARGETS,
	    "t.yaml:1: portals[0].group: found \"0\" (expected a whole number from 1 to 65535)\n");
	bad("portals: [{name: a, listen: '[::1]:1', group: 65536}]\n" NO_TARGETS,
	    "t.yaml:1: portals[0].group: found \"65536\" (expected a whole number from 1 to 65535)\n");
	bad("portals:\n- {name: a, listen: '[::1]:1'}\n- {name: a, listen: '[0::1]:1'}\n" NO_TARGETS,
	    "t.yaml:3: portals[1].name: \"a\" is the name of portals[0] on line 2 already (expected a different one)\n"
	    "t.yaml:3: portals[1].listen: \"[0::1]:1\" is the address of portals[0] on line 2 already "
	    "(expected a different one)\n");
	bad(TARGET "portals: [default, san, default]\n",
	    "t.yaml:3: targets[0].portals[1]: no portal is called \"san\" (expected one of: default)\n"
	    "t.yaml:3: targets[0].portals[2]: the portal \"default\" a second time (expected once)\n");
	bad(TARGET "portals: []\n",
	    "t.yaml:3: targets[0].portals: found a list of 0 (expected a list of 1 to 64 names of portals)\n");
}

/* ---- what belongs together ---- */

static void test_backend(void)
{
	bad(LUN "size: 1G}\n", "t.yaml:4: targets[0].luns[0].path: missing "
	    "(expected the path of a file or block device, or backend: memory)\n");
	bad(LUN "backend: memory}\n",
	    "t.yaml:4: targets[0].luns[0].size: missing (expected a size, as backend: memory has none of its own)\n");
	bad(LUN "backend: null}\n",
	    "t.yaml:4: targets[0].luns[0].size: missing (expected a size, as backend: null has none of its own)\n");
	bad(LUN "backend: memory, size: 1G, path: a, direct: off, engine: auto, preallocate: off}\n",
	    "t.yaml:4: targets[0].luns[0].path: has no meaning with backend: memory (expected only with backend: file)\n"
	    "t.yaml:4: targets[0].luns[0].engine: has no meaning with backend: memory (expected only with backend: file)\n"
	    "t.yaml:4: targets[0].luns[0].direct: has no meaning with backend: memory (expected only with backend: file)\n"
	    "t.yaml:4: targets[0].luns[0].preallocate: has no meaning with backend: memory "
	    "(expected only with backend: file)\n");
}

static void test_auth(void)
{
	bad(TARGET "auth: {user: u, secret: elevenbytes}\n",
	    "t.yaml:3: targets[0].auth.secret: found 11 bytes (expected a secret, 12 to 255 bytes)\n");
	bad(TARGET "auth: {user: u}\n",
	    "t.yaml:3: targets[0].auth.secret: missing (expected a secret, or secret_file, as user is given)\n");
	bad(TARGET "auth: {secret: twelve-bytes}\n",
	    "t.yaml:3: targets[0].auth.user: missing (expected a name, as secret is given)\n");
	bad(TARGET "auth: {}\n", "t.yaml:3: targets[0].auth.user: missing (expected user and secret)\n");
	bad(TARGET "auth: {user: u, secret: twelve-bytes, secret_file: f}\n",
	    "t.yaml:3: targets[0].auth.secret_file: given beside secret (expected one of the two)\n");
	bad(TARGET "auth: {user: u, secret: twelve-bytes, mutual_user: m}\n",
	    "t.yaml:3: targets[0].auth.mutual_secret: missing (expected a secret, or mutual_secret_file, as mutual_user is given)\n");
	bad(TARGET "auth: {user: u, secret: twelve-bytes, mutual_secret_file: m}\n",
	    "t.yaml:3: targets[0].auth.mutual_user: missing (expected a name, as mutual_secret_file is given)\n");
	bad(TARGET "auth: {user: u, secret: twelve-bytes, mutual_user: m, mutual_secret: twelve-bytes}\n",
	    "t.yaml:3: targets[0].auth.mutual_secret: the same secret in both directions (expected two different ones)\n");
	bad("discovery_auth: {mutual_user: m, mutual_secret: twelve-bytes}\n" NO_TARGETS,
	    "t.yaml:1: discovery_auth.user: missing (expected user and secret, as mutual authentication comes on top of them)\n");
	bad("discovery_auth: x\n" NO_TARGETS,
	    "t.yaml:1: discovery_auth: found \"x\" (expected a mapping of keys to values)\n");
	config_free(good(TARGET "auth: {user: u, secret_file: f}\n"));
}

/* Never in a message: not when it is too long, not when it has the wrong characters or is under the wrong type. */
static void test_secrets_are_not_shown(void)
{
	char text[600];
	int n = snprintf(text, sizeof(text), TARGET "auth: {user: u, secret: ");

	memset(text + n, 's', 256);
	strcpy(text + n + 256, "}\n");
	bad(text, "t.yaml:3: targets[0].auth.secret: found 256 bytes (expected a secret, 12 to 255 bytes)\n");
	bad(TARGET "auth: {user: u, secret: \"hidden-secret\\n\"}\n",
	    "t.yaml:3: targets[0].auth.secret: found 14 bytes, which has a control character "
	    "(expected a secret, 12 to 255 bytes)\n");
	bad(TARGET "auth: {user: u, secret: \"hidden-secret\\0\"}\n",
	    "t.yaml:3: targets[0].auth.secret: found 14 bytes (expected a secret, 12 to 255 bytes)\n");
}

static void test_iscsi_limits(void)
{
	bad("iscsi: {first_burst_length: 1M, max_burst_length: 64K}\n" NO_TARGETS,
	    "t.yaml:1: iscsi.first_burst_length: more than max_burst_length (expected at most 64K)\n");
	bad("iscsi: {max_recv_data_segment_length: 511}\n" NO_TARGETS,
	    "t.yaml:1: iscsi.max_recv_data_segment_length: found \"511\" "
	    "(expected a size from 512 to 16777215: bytes, or a whole number and K, M, G or T)\n");
	bad("iscsi: {max_burst_length: 16M}\n" NO_TARGETS, "t.yaml:1: iscsi.max_burst_length: found \"16M\" "
	    "(expected a size from 512 to 16777215: bytes, or a whole number and K, M, G or T)\n");
	bad("limits: {commands: 16, lun_commands: 17}\n" NO_TARGETS,
	    "t.yaml:1: limits.lun_commands: found 17, more than commands (expected at most 16)\n");
	bad("limits: {buffers: 1M}\n" NO_TARGETS, "t.yaml:1: limits.buffers: found \"1M\" "
	    "(expected a size from 16M to 1T: bytes, or a whole number and K, M, G or T)\n");
}

/* Several at once, by line; none follows from another. */
static void test_all_errors_at_once(void)
{
	char text[5000] = NO_TARGETS;
	const char *last;

	bad("targets:\n- name: iqn.2026-11.com.example:t\n  luns:\n  - {lun: x, name: a, path: a}\n"
	    "  - {lun: x, name: a, path: b, size: 1X}\nreactors: many\nlog: 1\n",
	    "t.yaml:4: targets[0].luns[0].lun: found \"x\" (expected a whole number from 0 to 4095)\n"
	    "t.yaml:5: targets[0].luns[1].lun: found \"x\" (expected a whole number from 0 to 4095)\n"
	    "t.yaml:5: targets[0].luns[1].size: found \"1X\" (expected a size from 4K to 8192T: bytes, or a whole number and "
	    "K, M, G or T)\n"
	    "t.yaml:5: targets[0].luns[1].name: \"a\" is the name of targets[0].luns[0] on line 4 already "
	    "(expected a different one)\n"
	    "t.yaml:6: reactors: found \"many\" (expected a whole number from 0 to 256)\n"
	    "t.yaml:7: log: unknown key (expected one of state_dir, data_dir, control, reactors, workers, driver, log_level, "
	    "pr_retain, iscsi, discovery_auth, limits, portals, targets)\n");
	for (unsigned i = 0; i < 70; i++)
		sprintf(text + strlen(text), "key%u: 1\n", i);
	CU_ASSERT_PTR_NULL(parse(text));
	last = strstr(messages, "t.yaml: and ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(last);
	CU_ASSERT_STRING_EQUAL(last, "t.yaml: and 20 more errors\n");
}

/* ---- files ---- */

static char dir[] = "/tmp/holdfast-config-XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
	f = fopen(path, "w");
	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

/* Loads dir/c.yaml; "@" in expected stands for the directory; expected NULL: it must be good. */
static struct config *load(const char *name, const char *expected)
{
	char path[128], want[2048] = "";
	struct config *c;
	size_t len, n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	free(messages);
	f = open_memstream(&messages, &len);
	c = config_load(path, f);
	fclose(f);
	for (const char *p = expected ? expected : ""; *p; p++)
		n += (size_t)snprintf(want + n, sizeof(want) - n, *p == '@' ? "%s" : "%.1s", *p == '@' ? dir : p);
	compare(name, want);
	CU_ASSERT_EQUAL(!c, !!expected);
	return c;
}

static void load_text(const char *text, mode_t mode, const char *expected)
{
	write_file("c.yaml", text, mode);
	config_free(load("c.yaml", expected));
}

static void test_file_itself(void)
{
	char *big = malloc((1 << 20) + 2);

	load("missing.yaml", "@/missing.yaml: cannot open: No such file or directory (expected a configuration file)\n");
	load(".", "@/.: is a directory (expected a configuration file)\n");
	memset(big, '#', (1 << 20) + 1);
	big[(1 << 20) + 1] = '\0';
	load_text(big, 0600, "@/c.yaml: longer than 1048576 bytes (expected fewer)\n");
	free(big);
	load_text("", 0600, "@/c.yaml: the file is empty (expected a mapping of keys to values)\n");
	load_text(NO_TARGETS, 0644, NULL);
}

static void test_file_fifo(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/fifo", dir);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	load("fifo", "@/fifo: is not a regular file (expected a configuration file)\n");
	unlink(path);
}

static void test_secret_modes(void)
{
	static const char inside[] = TARGET "auth: {user: u, secret: twelve-bytes}\n";
	static const char mutual[] = TARGET "auth: {user: u, secret_file: s, mutual_user: m, mutual_secret: twelve-bytes}\n";

	load_text(inside, 0600, NULL);
	load_text(inside, 0400, NULL);
	load_text(inside, 0640, "@/c.yaml:3: targets[0].auth.secret: a secret in a file of mode 0640, which others can read "
		  "(expected mode 0600, or secret_file)\n");
	load_text(inside, 0604, "@/c.yaml:3: targets[0].auth.secret: a secret in a file of mode 0604, which others can read "
		  "(expected mode 0600, or secret_file)\n");
	write_file("s", "other-secret", 0600);
	load_text(mutual, 0600, NULL);
	load_text(mutual, 0644, "@/c.yaml:3: targets[0].auth.mutual_secret: a secret in a file of mode 0644, which others can "
		  "read (expected mode 0600, or mutual_secret_file)\n");
}

static void test_secret_files(void)
{
	static const char text[] = TARGET "auth: {user: u, secret_file: s, mutual_user: m, mutual_secret_file: m}\n";
	struct config *c;
	char line[300];

	write_file("s", "secret-one-1\n", 0600);
	write_file("m", "secret-two-2\r\n", 0400);
	write_file("c.yaml", text, 0644);
	c = load("c.yaml", NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(c->targets[0].auth.secret, "secret-one-1");
	CU_ASSERT_STRING_EQUAL(c->targets[0].auth.mutual_secret, "secret-two-2");
	config_free(c);
	write_file("m", "secret-one-1", 0600);
	load_text(text, 0644, "@/c.yaml:3: targets[0].auth.mutual_secret_file: the same secret in both directions "
		  "(expected two different ones)\n");
	write_file("m", "secret-two-2", 0640);
	load_text(text, 0644, "@/c.yaml:3: targets[0].auth.mutual_secret_file: @/m has mode 0640: others can read the secret "
		  "(expected 0600)\n");
#define HOLDS "@/c.yaml:3: targets[0].auth.mutual_secret_file: @/m does not hold one line of 12 to 255 bytes (expected that)\n"
	write_file("m", "elevenbytes\n", 0600);
	load_text(text, 0644, HOLDS);
	write_file("m", "two lines in\nhere", 0600);
	load_text(text, 0644, HOLDS);
	write_file("m", "", 0600);
	load_text(text, 0644, HOLDS);
	memset(line, 'x', 256);
	line[256] = '\0';
	write_file("m", line, 0600);
	load_text(text, 0644, HOLDS);
	line[255] = '\n';
	write_file("m", line, 0600);
	load_text(text, 0644, NULL);
	load_text(TARGET "auth: {user: u, secret_file: missing}\n", 0600, "@/c.yaml:3: targets[0].auth.secret_file: "
		  "cannot open @/missing: No such file or directory (expected a file that holds the secret)\n");
	load_text(TARGET "auth: {user: u, secret_file: /tmp}\n", 0600, "@/c.yaml:3: targets[0].auth.secret_file: "
		  "/tmp is not a regular file (expected a file that holds the secret)\n");
}

static void load_lun(const char *rest, const char *expected)
{
	char text[1024];

	snprintf(text, sizeof(text), "data_dir: %s\n" LUN "%s\n", dir, rest);
	load_text(text, 0644, expected);
}

static void test_lun_files(void)
{
	char path[128];

	write_file("disk", "", 0600);
	snprintf(path, sizeof(path), "%s/disk", dir);
	load_lun("path: disk}", "@/c.yaml:5: targets[0].luns[0].path: @/disk is empty "
		 "(expected a file that is the disk, or none and a size)\n");
	if (truncate(path, 1 << 20))
		abort();
	load_lun("path: disk}", NULL);
	load_lun("path: disk, size: 1M}", NULL);
	load_lun("path: disk, size: 2M}", "@/c.yaml:5: targets[0].luns[0].size: 2M, but @/disk has 1M only "
		 "(expected at most that; existing files are not grown)\n");
	load_lun("path: new, size: 2M}", NULL);
	load_lun("path: new}", "@/c.yaml:5: targets[0].luns[0].path: @/new does not exist "
		 "(expected an existing file or block device, or a size to create a file)\n");
	load_lun("path: new, size: 2M, readonly: on}", "@/c.yaml:5: targets[0].luns[0].path: @/new does not exist "
		 "(expected an existing file or block device, as it is readonly)\n");
	load_lun("path: ., size: 2M}", "@/c.yaml:5: targets[0].luns[0].path: @ is a directory "
		 "(expected a file or a block device)\n");
	load_lun("path: /dev/null, size: 2M}", "@/c.yaml:5: targets[0].luns[0].path: /dev/null is neither "
		 "(expected a file or a block device)\n");
	load_lun("path: disk/x, size: 2M}", "@/c.yaml:5: targets[0].luns[0].path: @/disk/x: Not a directory "
		 "(expected a file or a block device)\n");
}

static void test_lun_same_file(void)
{
	char disk[128], other[128];

	write_file("disk", "", 0600);
	snprintf(disk, sizeof(disk), "%s/disk", dir);
	snprintf(other, sizeof(other), "%s/soft", dir);
	if (truncate(disk, 1 << 20) || symlink("disk", other))
		abort();
#define SAME(path) "@/c.yaml:6: targets[0].luns[1].path: \"" path "\" is the file of targets[0].luns[0] on line 5 already " \
	"(expected a different one)\n"
	load_lun("path: disk}\n  - {lun: 1, name: b, path: soft}", SAME("soft"));
	unlink(other);
	if (link(disk, other))
		abort();
	load_lun("path: disk}\n  - {lun: 1, name: b, path: soft}", SAME("soft"));
	unlink(other);
	/* A directory by another name, and no file in it yet. */
	if (symlink(".", other))
		abort();
	load_lun("path: new, size: 1M}\n  - {lun: 1, name: b, path: soft/new, size: 1M}", SAME("soft/new"));
	load_lun("path: new, size: 1M}\n  - {lun: 1, name: b, path: soft/old, size: 1M}", NULL);
	unlink(other);
}

/* ---- what is delivered ---- */

static void test_conf(void)
{
	static char text[1 << 20];
	unsigned files = 0;
	glob_t g;

	CU_ASSERT_EQUAL_FATAL(glob("conf/*.yaml", 0, NULL, &g), 0);
	CU_ASSERT_EQUAL_FATAL(glob("conf/examples/*.yaml", GLOB_APPEND, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		FILE *f = fopen(g.gl_pathv[i], "r");
		struct config *c;

		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
		c = good(text);
		CU_ASSERT(c->ntargets > 0);
		config_free(c);
		files++;
	}
	CU_ASSERT(files >= 5);
	globfree(&g);
}

/* The classic cluster: the quorum alone on its target, the rest on another. */
static void test_quickstart(void)
{
	struct config *c = config_load("conf/quickstart.yaml", stderr);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(c->ntargets, 2);
	CU_ASSERT_STRING_EQUAL(c->portals[0].host, "127.0.0.1");
	CU_ASSERT(c->targets[0].nluns == 1 && c->targets[0].luns[0].type == LUN_WITNESS);
	CU_ASSERT_EQUAL(c->targets[0].luns[0].size, 500ull << 20);
	CU_ASSERT_EQUAL_FATAL(c->targets[1].nluns, 3);
	CU_ASSERT_EQUAL(c->targets[1].luns[0].size, 1ull << 40);
	CU_ASSERT_EQUAL(c->targets[1].luns[1].size, 200ull << 20);
	CU_ASSERT_EQUAL(c->targets[1].luns[2].size, 500ull << 30);
	config_free(c);
}

/* ---- the table ---- */

static void test_schema(void)
{
	const struct schema *s;

	for (unsigned i = 0; (s = config_schema_section(i)); i++) {
		CU_ASSERT(s->nkeys > 0 && s->nkeys <= 32);
		for (unsigned j = 0; j < s->nkeys; j++) {
			const struct schema_key *k = &s->keys[j];
			char expect[256];

			CU_ASSERT_PTR_EQUAL(schema_find(s, k->name), k);
			CU_ASSERT_PTR_EQUAL(schema_nearest(s, k->name), k);
			CU_ASSERT(k->doc && k->doc[strlen(k->doc) - 1] == '.');
			CU_ASSERT(k->offset == SCHEMA_NOWHERE || k->offset + k->width <= s->size);
			CU_ASSERT_EQUAL(!!k->words, k->type == SCHEMA_WORD || !strcmp(k->name, "backend"));
			CU_ASSERT_EQUAL(!!k->sub, k->type == SCHEMA_MAP || k->type == SCHEMA_LIST);
			CU_ASSERT(k->required ? !k->def && !k->deftext : true);
			CU_ASSERT(strlen(schema_expect(k, expect, sizeof(expect))) > 0);
		}
	}
}

static void test_schema_doc(void)
{
	CU_ASSERT_STRING_EQUAL(config_schema_doc("targets.luns.size"), "How large the disk is.");
	CU_ASSERT_STRING_EQUAL(config_schema_doc("reactors"), "Threads that serve; 0 is one per core.");
	CU_ASSERT_PTR_NULL(config_schema_doc("targets.luns.siz"));
	CU_ASSERT_PTR_NULL(config_schema_doc("targets.luns.size.x"));
	CU_ASSERT_PTR_NULL(config_schema_doc(""));
}

/* Blanks and newlines are one blank, so that filling lines changes nothing. */
static char *page_read(void)
{
	FILE *f = fopen("docs/holdfast.yaml.5.scd", "r");
	char *text = calloc(1, 1 << 18), *out = text;
	bool blank = false;
	int c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	/* Paragraphs stay apart: an empty line becomes a form feed. */
	for (int last = '\n'; (c = getc(f)) != EOF; last = c) {
		if (c == '\n' && last == '\n')
			*out++ = '\f';
		else if (c == ' ' || c == '\t' || c == '\n')
			blank = true;
		else if (c != '\\') {
			if (blank && out > text && out[-1] != '\f')
				*out++ = ' ';
			blank = false;
			*out++ = (char)c;
		}
	}
	fclose(f);
	return text;
}

/* The paragraph of a key in its section has this text. */
static void page_has(const struct schema *s, const struct schema_key *k, const char *entry, const char *fmt, ...)
{
	char want[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	if (!strstr(entry, want))
		fprintf(stderr, "\nholdfast.yaml.5.scd: %s: %s: no \"%s\"\n", s->title, k->name, want);
	CU_ASSERT_PTR_NOT_NULL(strstr(entry, want));
}

static void page_check(const struct schema *s, const struct schema_key *k, const char *section)
{
	char head[64], entry[2048], lo[32], hi[32];
	const char *p;

	snprintf(head, sizeof(head), "\f*%s:* _", k->name);
	p = strstr(section, head);
	if (!p) {
		fprintf(stderr, "\nholdfast.yaml.5.scd: %s: no entry for %s\n", s->title, k->name);
		CU_FAIL("no entry");
		return;
	}
	snprintf(entry, sizeof(entry), "%.*s", (int)strcspn(p + 1, "\f"), p + 1);
	if (k->def || k->deftext)
		page_has(s, k, entry, "Default: %s.", k->deftext ? k->deftext : k->def);
	if (k->required)
		page_has(s, k, entry, "Required.");
	for (const struct schema_word *w = k->words; w && w->word; w++)
		page_has(s, k, entry, "%s", w->word);
	if (k->type == SCHEMA_INT || k->type == SCHEMA_SIZE || k->type == SCHEMA_LIST || k->type == SCHEMA_STRINGS)
		page_has(s, k, entry, "%s to %s", k->type == SCHEMA_SIZE ? schema_size_text(k->min, lo, sizeof(lo)) :
			 (sprintf(lo, "%llu", (unsigned long long)k->min), lo), k->type == SCHEMA_SIZE ?
			 schema_size_text(k->max, hi, sizeof(hi)) : (sprintf(hi, "%llu", (unsigned long long)k->max), hi));
}

/* Every key of the schema, with its default and its range, is in the manual page; and no key that is not. */
static void test_manual_page(void)
{
	char *page = page_read(), title[32];
	const struct schema *s;
	unsigned keys = 0, entries = 0;

	for (unsigned i = 0; (s = config_schema_section(i)); i++) {
		char *section, *end;

		snprintf(title, sizeof(title), "# %s\f", s->title);
		section = strstr(page, title);
		CU_ASSERT_PTR_NOT_NULL_FATAL(section);
		end = strstr(section, "\f# ");
		CU_ASSERT_PTR_NOT_NULL_FATAL(end);
		*end = '\0';
		for (unsigned j = 0; j < s->nkeys; j++, keys++)
			page_check(s, &s->keys[j], section);
		for (const char *p = section; (p = strstr(p, ":* _")); p++)
			entries++;
		*end = '\f';
	}
	CU_ASSERT_EQUAL(entries, keys);
	free(page);
}

/* And in the example that has them all. */
static void test_example_has_every_key(void)
{
	static char text[1 << 16];
	FILE *f = fopen("conf/holdfast.yaml", "r");
	const struct schema *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	for (unsigned i = 0; (s = config_schema_section(i)); i++) {
		for (unsigned j = 0; j < s->nkeys; j++) {
			char key[64];

			if (s->keys[j].secret)	/* the file is readable by all */
				continue;
			snprintf(key, sizeof(key), "%s:", s->keys[j].name);
			if (!strstr(text, key))
				fprintf(stderr, "\nconf/holdfast.yaml: no %s\n", key);
			CU_ASSERT_PTR_NOT_NULL(strstr(text, key));
		}
	}
}

static const struct unit_test tests[] = {
	UNIT(test_defaults), UNIT(test_everything), UNIT(test_uuid_derived), UNIT(test_document), UNIT(test_unknown_key),
	UNIT(test_duplicate_key), UNIT(test_missing_key), UNIT(test_switch), UNIT(test_number), UNIT(test_size),
	UNIT(test_size_blocks), UNIT(test_word), UNIT(test_string), UNIT(test_uuid), UNIT(test_lists), UNIT(test_lun_unique),
	UNIT(test_target_name), UNIT(test_initiators), UNIT(test_portals), UNIT(test_backend), UNIT(test_auth),
	UNIT(test_secrets_are_not_shown), UNIT(test_iscsi_limits), UNIT(test_all_errors_at_once), UNIT(test_file_itself),
	UNIT(test_file_fifo), UNIT(test_secret_modes), UNIT(test_secret_files), UNIT(test_lun_files), UNIT(test_lun_same_file),
	UNIT(test_conf), UNIT(test_quickstart), UNIT(test_schema), UNIT(test_schema_doc), UNIT(test_manual_page),
	UNIT(test_example_has_every_key),
};

int main(void)
{
	static const char *const made[] = { "c.yaml", "s", "m", "disk" };
	int failed;

	if (!mkdtemp(dir))
		abort();
	failed = unit_run("config", tests, sizeof(tests) / sizeof(tests[0]));
	for (unsigned i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
		unlink(path);
	}
	rmdir(dir);
	free(messages);
	return failed;
}
