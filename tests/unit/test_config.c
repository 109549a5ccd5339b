/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config_frame.h"

#include "target/log.h"

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
	CU_ASSERT(!c->reactors && !c->workers && c->poll_us == 50 && c->driver == DRIVER_AUTO);
	CU_ASSERT_EQUAL(c->log_level, LOG_LEVEL_INFO);
	CU_ASSERT_EQUAL(c->pr_retain, CONFIG_PR_RETAIN_ALWAYS);
	CU_ASSERT(c->offer.own_max_recv_dsl == 262144 && c->offer.max_burst == 1048576 &&
		  c->offer.first_burst == 262144);
	CU_ASSERT(c->offer.max_outstanding_r2t == 4 && !c->offer.initial_r2t &&
		  c->offer.immediate_data);
	CU_ASSERT(c->offer.header_digest && c->offer.data_digest);
	CU_ASSERT(!c->offer.header_digest_required && !c->offer.data_digest_required);
	CU_ASSERT(!c->discovery_auth.user[0] && !t->auth.user[0]);
	CU_ASSERT(c->limits.login_timeout == 30 && c->limits.logins == 256 &&
		  c->limits.sessions == 10240);
	CU_ASSERT(c->limits.commands == 128 && c->limits.lun_commands == 0 &&
		  c->limits.buffers == 1 << 30);
	CU_ASSERT(c->limits.nop_interval == 15 && c->limits.nop_timeout == 15);
	CU_ASSERT_EQUAL_FATAL(c->nportals, 1);
	CU_ASSERT_STRING_EQUAL(c->portals[0].name, "default");
	CU_ASSERT_STRING_EQUAL(c->portals[0].host, "0.0.0.0");
	CU_ASSERT(c->portals[0].port == 3260 && c->portals[0].group == 1);
	CU_ASSERT_EQUAL_FATAL(c->ntargets, 1);
	CU_ASSERT(t->nportals == 1 && t->portals[0] == 0 && t->ninitiators == 0 && !t->alias &&
		  t->line == 2);
	CU_ASSERT_EQUAL_FATAL(t->nluns, 1);
	CU_ASSERT(l->lun == 7 && l->type == LUN_DATA && l->size == 1 << 30 && l->line == 3);
	CU_ASSERT_STRING_EQUAL(l->backend, "file");
	CU_ASSERT_STRING_EQUAL(l->path, "/var/lib/holdfast/a.img");
	CU_ASSERT(l->engine == RIO_AUTO && !l->direct && l->write_cache && !l->readonly &&
		  l->reserve6);
	CU_ASSERT(!l->preallocate && l->block_size == 512 && l->physical_block_size == 4096);
	CU_ASSERT(!l->uuid_given && !l->filters && l->pr_retain == CONFIG_PR_RETAIN_ALWAYS);
	config_free(c);
}

static void test_everything(void)
{
	struct config *c = good("state_dir: s\ndata_dir: ./d//e/\ncontrol: c.sock\nreactors: "
				"2\nworkers: 3\ndriver: epoll\npoll_us: 0\n"
				"log_level: debug\npr_retain: standard\n"
				"iscsi: {max_recv_data_segment_length: 8192, max_burst_length: "
				"64K, max_outstanding_r2t: 1,\n"
				"  header_digest: required, data_digest: off, initial_r2t: yes, "
				"immediate_data: false}\n"
				"discovery_auth: {user: d, secret: discover-me-1}\n"
				"limits: {login_timeout: 1, logins: 2, sessions: 3, commands: 4, "
				"lun_commands: 4, buffers: 16M,\n"
				"  nop_interval: 5, nop_timeout: 6}\n"
				"portals:\n- {name: a, listen: \"192.0.2.1:1\", group: 65535}\n- "
				"{name: b, listen: \"[2001:DB8:0::1]:65535\"}\n"
				"targets:\n- name: naa.600140500000000000000000000000ab\n  alias: "
				"\"\\u00e4\"\n  portals: [b]\n"
				"  initiators: [\"*:x\", iqn.2026-11.com.example:y]\n"
				"  auth: {user: u, secret: \"123456789012\", mutual_user: m, "
				"mutual_secret: 210987654321}\n"
				"  luns:\n"
				"  - {lun: 4095, name: z, path: /z, size: 8192, engine: libaio, "
				"direct: on, write_cache: off,\n"
				"     block_size: 4096, physical_block_size: 64K, readonly: true, "
				"reserve6: no, preallocate: yes,\n"
				"     uuid: 6BA7B810-9dad-41d1-80b4-00c04fd430c8, pr_retain: "
				"always, naa: 60000000000000000E00000000010001, serial: beaf11, "
				"t10_id: \"00010001\", vendor: IET, product: A B, filters: "
				"\"delay:ms=5|log\"}\n"
				"  - {lun: 3, name: y, type: witness, backend: memory, size: 64M}\n"
				"  - {lun: 1, name: x, type: witness, path: x, size: 64M, "
				"write_cache: on, reserve6: on, preallocate: off}\n"
				"  - {lun: 0, name: w, type: witness, path: w}\n"
				"  - {lun: 2, name: v, backend: null, size: 1T}\n");
	const struct config_target *t = &c->targets[0];
	const struct config_lun *l = t->luns;
	static const uint8_t uuid[16] =
		"\x6b\xa7\xb8\x10\x9d\xad\x41\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8";

	CU_ASSERT_STRING_EQUAL(c->state_dir, "s");
	CU_ASSERT(c->reactors == 2 && c->workers == 3 && !c->poll_us && c->driver == DRIVER_EPOLL &&
		  c->log_level == LOG_LEVEL_DEBUG);
	CU_ASSERT(c->offer.own_max_recv_dsl == 8192 && c->offer.max_burst == 65536 &&
		  c->offer.first_burst == 65536);
	CU_ASSERT(c->offer.header_digest && c->offer.header_digest_required &&
		  !c->offer.data_digest);
	CU_ASSERT(c->offer.initial_r2t && !c->offer.immediate_data &&
		  c->offer.max_outstanding_r2t == 1);
	CU_ASSERT_STRING_EQUAL(c->discovery_auth.secret, "discover-me-1");
	CU_ASSERT(c->limits.nop_timeout == 6 && c->limits.lun_commands == 4 &&
		  c->limits.buffers == 16 << 20);
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
	CU_ASSERT(!l[0].write_cache && !l[0].reserve6 && l[0].preallocate &&
		  l[0].pr_retain == CONFIG_PR_RETAIN_STANDARD);
	CU_ASSERT_STRING_EQUAL(l[0].path, "d/e/w");
	CU_ASSERT(l[1].write_cache && l[1].reserve6 && !l[1].preallocate &&
		  l[1].type == LUN_WITNESS);
	CU_ASSERT_STRING_EQUAL(l[2].backend, "null");
	CU_ASSERT(!l[3].path && !l[3].preallocate);
	CU_ASSERT(l[4].lun == 4095 && l[4].engine == RIO_AIO && l[4].direct && !l[4].write_cache &&
		  l[4].readonly);
	CU_ASSERT(l[4].block_size == 4096 && l[4].physical_block_size == 65536 && !l[4].reserve6 &&
		  l[4].preallocate);
	CU_ASSERT(l[4].uuid_given && !memcmp(l[4].uuid, uuid, 16) &&
		  l[4].pr_retain == CONFIG_PR_RETAIN_ALWAYS);
	CU_ASSERT_STRING_EQUAL(l[4].naa, "60000000000000000E00000000010001");
	CU_ASSERT_STRING_EQUAL(l[4].serial, "beaf11");
	CU_ASSERT_STRING_EQUAL(l[4].t10_id, "00010001");
	CU_ASSERT_STRING_EQUAL(l[4].vendor, "IET");
	CU_ASSERT_STRING_EQUAL(l[4].product, "A B");
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
		n += (size_t)sprintf(text + n, "%s%02x",
				     i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	CU_ASSERT_STRING_EQUAL(text, UUID_OF_A);
	config_free(c);
}

/* ---- documents and keys ---- */

static void test_document(void)
{
	bad("", "t.yaml: the file is empty (expected a mapping of keys to values)\n");
	bad("- a\n", "t.yaml:1: found a list (expected a mapping of keys to values)\n");
	bad("text\n", "t.yaml:1: found \"text\" (expected a mapping of keys to values)\n");
	bad(NO_TARGETS "---\n",
	    "t.yaml:2: a second document (expected one document, without further ---)\n");
	bad("a: &b {c: *b}\n",
	    "t.yaml:1: an anchor &b (expected the value alone: anchors are not taken)\n");
	bad("# \xff\n", "t.yaml:1: byte 2: invalid leading UTF-8 octet (expected UTF-8 text)\n");
	bad("targets: [\n", "t.yaml:2: not YAML: did not find expected node content while parsing "
			    "a flow node in column 1\n");
	bad("state_dir: /x\n",
	    "t.yaml:1: targets: missing (expected a list of 0 to 4096 mappings)\n");
	config_free(good(NO_TARGETS));
}

static void test_unknown_key(void)
{
	bad("portal: []\n" NO_TARGETS,
	    "t.yaml:1: portal: unknown key (expected perhaps portals)\n");
	bad(LUN "path: a, siez: 1G}\n",
	    "t.yaml:4: targets[0].luns[0].siez: unknown key (expected perhaps size)\n");
	bad(LUN "path: a, Size: 1G}\n",
	    "t.yaml:4: targets[0].luns[0].Size: unknown key (expected perhaps size)\n");
	bad("limits:\n  comands: 5\n" NO_TARGETS,
	    "t.yaml:2: limits.comands: unknown key (expected perhaps commands)\n");
	bad("portals:\n- {name: a, listen: '1.2.3.4:5', tpgt: 3}\n" NO_TARGETS,
	    "t.yaml:2: portals[0].tpgt: unknown key (expected one of name, listen, group, "
	    "congestion)\n");
	bad("\"x\\ty\": 1\n" NO_TARGETS,
	    "t.yaml:1: x?y: unknown key (expected one of state_dir, data_dir, control, reactors, "
	    "workers, driver, poll_us, log_level, pr_retain, iscsi, discovery_auth, limits, "
	    "witness, portals, "
	    "targets)\n");
	bad("? [a]\n: 1\n" NO_TARGETS, "t.yaml:1: found a list as a key (expected a word)\n");
	bad("'': 1\n" NO_TARGETS, "t.yaml:1: found \"\" as a key (expected a word)\n");
	bad("\"log_level\\0\": debug\n" NO_TARGETS,
	    "t.yaml:1: found \"log_level?\" as a key (expected a word)\n");
}

static void test_duplicate_key(void)
{
	bad("reactors: 1\nworkers: 1\nreactors: 1\n" NO_TARGETS,
	    "t.yaml:3: reactors: given a second time (expected once; the first is on line 1)\n");
	bad(LUN "path: a,\n     size: 1G, name: b}\n",
	    "t.yaml:5: targets[0].luns[0].name: given a second time (expected once; the first is "
	    "on line 4)\n");
	bad(NO_TARGETS "targets: [{}]\n",
	    "t.yaml:2: targets: given a second time (expected once; the first is on line 1)\n");
}

static void test_missing_key(void)
{
	bad(TARGET "luns:\n  -\n   path: a\n",
	    "t.yaml:5: targets[0].luns[0].lun: missing (expected a whole number from 0 to 4095)\n"
	    "t.yaml:5: targets[0].luns[0].name: missing (expected letters, digits, '.', '_' and "
	    "'-', first a letter or digit, "
	    "1 to 64 bytes)\n");
	bad("targets:\n- luns: []\n",
	    "t.yaml:2: targets[0].name: missing (expected a name such as "
	    "iqn.2026-11.com.example:cluster1, "
	    "eui. and 16 or naa. and 16 or 32 hex digits, 1 to 223 bytes)\n");
	bad("portals:\n- {group: 2}\n" NO_TARGETS,
	    "t.yaml:2: portals[0].name: missing (expected letters, digits, '.', '_' and '-', first "
	    "a letter or digit, 1 to 64 bytes)\n"
	    "t.yaml:2: portals[0].listen: missing (expected a numeric address and port such as "
	    "192.0.2.1:3260 or "
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
#define SWITCH(value, found)                                                                       \
	one(frame, value, "}\n",                                                                   \
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
#define NUMBER(value, found)                                                                       \
	one("reactors: ", value, "\n" NO_TARGETS,                                                  \
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

#define SIZE(value, found)                                                                         \
	one(frame, value, "}\n",                                                                   \
	    "t.yaml:4: targets[0].luns[0].size: found " found                                      \
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
	bad("log_level: verbose\n" NO_TARGETS,
	    "t.yaml:1: log_level: found \"verbose\" (expected error, warn, info or debug)\n");
	bad("driver: select\n" NO_TARGETS,
	    "t.yaml:1: driver: found \"select\" (expected auto, io_uring or epoll)\n");
	bad("pr_retain: never\n" NO_TARGETS,
	    "t.yaml:1: pr_retain: found \"never\" (expected always or standard)\n");
	bad("iscsi: {header_digest: on}\n" NO_TARGETS,
	    "t.yaml:1: iscsi.header_digest: found \"on\" (expected off, allowed or required)\n");
	bad(LUN "path: a, engine: aio}\n", "t.yaml:4: targets[0].luns[0].engine: found \"aio\" "
					   "(expected auto, io_uring, libaio or workers)\n");
	bad(LUN "path: a, type: quorum}\n",
	    "t.yaml:4: targets[0].luns[0].type: found \"quorum\" (expected data or witness)\n");
	bad(LUN "path: a, backend: ram}\n", "t.yaml:4: targets[0].luns[0].backend: found \"ram\" "
					    "(expected file, memory or null)\n");
	bad(LUN "path: a, backend: ~}\n", "t.yaml:4: targets[0].luns[0].backend: found nothing "
					  "(expected file, memory or null)\n");
}

static void test_string(void)
{
	char text[400] = LUN "path: a, filters: ", name[80], expected[300];

	config_free(good(TARGET "alias: 42\n"));
	config_free(good(TARGET "alias: '42'\n"));
	bad(TARGET "alias:\n",
	    "t.yaml:3: targets[0].alias: found nothing (expected text, 1 to 255 bytes)\n");
	bad(TARGET "alias: ''\n", "t.yaml:3: targets[0].alias: found \"\", which is 0 bytes long "
				  "(expected text, 1 to 255 bytes)\n");
	bad(TARGET "alias: [a]\n",
	    "t.yaml:3: targets[0].alias: found a list (expected text, 1 to 255 bytes)\n");
	bad(TARGET "alias: \"a\\nb\"\n", "t.yaml:3: targets[0].alias: found \"a?b\", which has a "
					 "control character (expected text, 1 to 255 bytes)\n");
	bad(TARGET "alias: \"a\\0b\"\n",
	    "t.yaml:3: targets[0].alias: found \"a?b\" (expected text, 1 to 255 bytes)\n");
	memset(name, 'n', 65);
	name[65] = '\0';
	snprintf(text, sizeof(text), TARGET "luns: [{lun: 0, path: a, name: %s}]\n", name);
	snprintf(expected, sizeof(expected),
		 "t.yaml:3: targets[0].luns[0].name: found \"%s\", which is 65 bytes long "
		 "(expected letters, digits, '.', '_' and '-', first a letter or digit, 1 to 64 "
		 "bytes)\n",
		 name);
	bad(text, expected);
#define NAME(value)                                                                                \
	bad(TARGET "luns: [{lun: 0, path: a, name: " value "}]\n",                                 \
	    "t.yaml:3: targets[0].luns[0].name: found \"" value "\" "                              \
	    "(expected letters, digits, '.', '_' and '-', first a letter or digit, 1 to 64 "       \
	    "bytes)\n")
	NAME("../x");
	NAME(".x");
	NAME("a/b");
	NAME("a b");
}

static void test_uuid(void)
{
#define UUID(value)                                                                                \
	bad(LUN "path: a, uuid: " value "}\n",                                                     \
	    "t.yaml:4: targets[0].luns[0].uuid: found \"" value                                    \
	    "\" (expected a UUID such as 6ba7b810-9dad-41d1-80b4-00c04fd430c8)\n")
	UUID("1");
	UUID("6ba7b8109dad41d180b400c04fd430c8");
	UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c");
	UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c80");
	UUID("6ba7b810-9dad-41d1-80b4-00c04fd430cg");
	UUID("6ba7b810-9dad-41d1-80b4000c04fd430c8");
	bad(LUN "path: a, uuid: 00000000-0000-0000-0000-000000000000}\n",
	    "t.yaml:4: targets[0].luns[0].uuid: the UUID of all zeroes (expected one of its "
	    "own)\n");
	/* The NAA designator has no room for the first digit. */
	bad(LUN "path: a, uuid: 6ba7b810-9dad-41d1-80b4-00c04fd430c8}\n"
		"  - {lun: 1, name: b, path: b, uuid: 7ba7b810-9dad-41d1-80b4-00c04fd430c8}\n",
	    "t.yaml:5: targets[0].luns[1].uuid: \"7ba7b810-9dad-41d1-80b4-00c04fd430c8\" is the "
	    "UUID of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
	/* One may not be given what another has by its name. */
	bad(LUN "path: a}\n  - {lun: 1, name: b, path: b, uuid: " UUID_OF_A "}\n",
	    "t.yaml:5: targets[0].luns[1].uuid: \"" UUID_OF_A
	    "\" is the UUID of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
	bad(TARGET "luns:\n  - {lun: 1, name: b, path: b, uuid: " UUID_OF_A
		   "}\n  - {lun: 0, name: a, path: a}\n",
	    "t.yaml:5: targets[0].luns[1].uuid: the default is the UUID of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
	bad(LUN "path: a, uuid: 6ba7b810-9dad-41d1-80b4-00c04fd430c8}\n"
		"  - {lun: 1, name: b, path: b, uuid: 6BA7B810-9dad-41d1-80b4-00c04fd430c8}\n",
	    "t.yaml:5: targets[0].luns[1].uuid: \"6BA7B810-9dad-41d1-80b4-00c04fd430c8\" is the "
	    "UUID of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
}

static void test_shown(void)
{
	static const char *const naas[] = { "2000000000000001", "3000000000000001",
					    "5000000000000001" };
	char text[200];

	for (unsigned i = 0; i < sizeof(naas) / sizeof(naas[0]); i++) {
		snprintf(text, sizeof(text), LUN "path: a, naa: %s}\n", naas[i]);
		config_free(good(text));
	}
#define NAA(value)                                                                               \
	bad(LUN "path: a, naa: " value "}\n",                                                    \
	    "t.yaml:4: targets[0].luns[0].naa: found \"" value                                    \
	    "\" (expected 32 hex digits that begin with 6, or 16 that begin with 2, 3 or 5, 16 "  \
	    "to 32 bytes)\n")
	NAA("1000000000000001");
	NAA("6000000000000001");
	NAA("30000000000000000e00000000010001");
	NAA("6000000000000000ge00000000010001");
	NAA("60000000000000000e0000000001000");
	bad(LUN "path: a, vendor: \"\\u00e4\"}\n",
	    "t.yaml:4: targets[0].luns[0].vendor: found \"??\" (expected ASCII, 1 to 8 "
	    "bytes)\n");
	bad(LUN "path: a, product: \" x\"}\n",
	    "t.yaml:4: targets[0].luns[0].product: found \" x\" (expected ASCII, 1 to 16 "
	    "bytes)\n");
	/* In either case, and derived from another's UUID. */
	bad(LUN "path: a, naa: 6000000000000000000000000000000A}\n"
		"  - {lun: 1, name: b, path: b, naa: 6000000000000000000000000000000a}\n",
	    "t.yaml:5: targets[0].luns[1].naa: \"6000000000000000000000000000000a\" is the NAA of "
	    "targets[0].luns[0] on line 4 already (expected a different one)\n");
	bad(LUN "path: a}\n  - {lun: 1, name: b, path: b, naa: " NAA_OF_A "}\n",
	    "t.yaml:5: targets[0].luns[1].naa: \"" NAA_OF_A "\" is the NAA of targets[0].luns[0] "
	    "on line 4 already (expected a different one)\n");
	/* Its own is nobody else's. */
	config_free(good(LUN "path: a, naa: " NAA_OF_A "}\n"));
	bad(LUN "path: a, serial: s1}\n  - {lun: 1, name: b, path: b, serial: s1}\n",
	    "t.yaml:5: targets[0].luns[1].serial: \"s1\" is the serial of targets[0].luns[0] on "
	    "line 4 already (expected a different one)\n");
	/* A T10 designator is vendor and identifier together. */
	bad(LUN "path: a, vendor: IET, t10_id: t1}\n"
		"  - {lun: 1, name: b, path: b, t10_id: t1, vendor: IET}\n",
	    "t.yaml:5: targets[0].luns[1].t10_id: \"t1\" is the T10 designator of "
	    "targets[0].luns[0] on line 4 already (expected a different one)\n");
	config_free(good(LUN "path: a, vendor: IET, t10_id: t1}\n"
			     "  - {lun: 1, name: b, path: b, t10_id: t1}\n"));
}

static void test_lists(void)
{
	bad("portals: a\n" NO_TARGETS,
	    "t.yaml:1: portals: found \"a\" (expected a list of 1 to 64 mappings)\n");
	bad("portals: []\n" NO_TARGETS,
	    "t.yaml:1: portals: found a list of 0 (expected a list of 1 to 64 mappings)\n");
	bad("targets: {}\n",
	    "t.yaml:1: targets: found a mapping (expected a list of 0 to 4096 mappings)\n");
	bad("targets: [7]\n",
	    "t.yaml:1: targets[0]: found \"7\" (expected a mapping of keys to values)\n");
	bad(TARGET "luns: 7\n",
	    "t.yaml:3: targets[0].luns: found \"7\" (expected a list of 0 to 4096 mappings)\n");
	bad(TARGET "luns: [[]]\n",
	    "t.yaml:3: targets[0].luns[0]: found a list (expected a mapping of keys to values)\n");
	bad("limits: [1]\n" NO_TARGETS,
	    "t.yaml:1: limits: found a list (expected a mapping of keys to values)\n");
	bad("limits:\n" NO_TARGETS,
	    "t.yaml:1: limits: found nothing (expected a mapping of keys to values)\n");
}

UNIT_MAIN("config",
	UNIT(test_defaults),
	UNIT(test_everything),
	UNIT(test_uuid_derived),
	UNIT(test_document),
	UNIT(test_unknown_key),
	UNIT(test_duplicate_key),
	UNIT(test_missing_key),
	UNIT(test_switch),
	UNIT(test_number),
	UNIT(test_size),
	UNIT(test_size_blocks),
	UNIT(test_word),
	UNIT(test_string),
	UNIT(test_uuid),
	UNIT(test_shown),
	UNIT(test_lists))
