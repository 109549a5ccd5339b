/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config_frame.h"

/* ---- names and references ---- */

static void test_lun_unique(void)
{
	bad(LUN "path: a}\n  - {lun: 0, name: b, path: b}\n",
	    "t.yaml:5: targets[0].luns[1].lun: \"0\" is the number of targets[0].luns[0] on line 4 "
	    "already "
	    "(expected a different one)\n");
	bad(LUN "path: a}\n  - {lun: 1, name: a, path: b}\n",
	    "t.yaml:5: targets[0].luns[1].name: \"a\" is the name of targets[0].luns[0] on line 4 "
	    "already "
	    "(expected a different one)\n");
	/* The name is one in the file, the number one in the target. */
	bad(LUN "path: a}\n- name: iqn.2026-11.com.example:u\n  luns:\n  - {lun: 0, name: a, path: "
		"b}\n",
	    "t.yaml:7: targets[1].luns[0].name: \"a\" is the name of targets[0].luns[0] on line 4 "
	    "already "
	    "(expected a different one)\n");
	bad(LUN "path: x/a}\n  - {lun: 1, name: b, path: .//x/./a}\n",
	    "t.yaml:5: targets[0].luns[1].path: \".//x/./a\" is the path of targets[0].luns[0] on "
	    "line 4 already "
	    "(expected a different one)\n");
	bad("data_dir: /d\n" LUN "path: a}\n  - {lun: 1, name: b, path: /d/a}\n",
	    "t.yaml:6: targets[0].luns[1].path: \"/d/a\" is the path of targets[0].luns[0] on line "
	    "5 already "
	    "(expected a different one)\n");
	bad(LUN "path: a}\n  - {lun: 4096, name: b, path: b}\n",
	    "t.yaml:5: targets[0].luns[1].lun: found \"4096\" (expected a whole number from 0 to "
	    "4095)\n");
}

static void test_target_name(void)
{
	static const char *const names[] = { "iqn.2026-11.com.example",
					     "iqn.2026-11.com.example:a:b-c.1",
					     "eui.02004567a425678d", "naa.52004567ba64678d",
					     "naa.62004567ba64678d0123456789abcdef" };
	char text[100];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "targets: [{name: \"%s\"}]\n", names[i]);
		config_free(good(text));
	}
#define TARGET_NAME(value, which)                                                                  \
	bad("targets: [{name: '" value "'}]\n",                                                    \
	    "t.yaml:1: targets[0].name: found \"" value "\"" which                                 \
	    " (expected a name such as iqn.2026-11.com.example:cluster1, eui. and 16 or naa. and " \
	    "16 or 32 hex digits, "                                                                \
	    "1 to 223 bytes)\n")
	TARGET_NAME("iqn.2026-11.com.example:Disk",
		    ", which has upper-case letters; iSCSI names are compared in lower case: "
		    "iqn.2026-11.com.example:disk");
	TARGET_NAME("disk", "");
	TARGET_NAME("iqn.2026-13.com.example", ", which has no month 13");
	TARGET_NAME("iqn.2026-00.com.example", ", which has no month 00");
	TARGET_NAME("iqn.2026.com.example", "");
	TARGET_NAME("iqn.2026-11.", "");
	/* And nothing about the identities of its LUNs. */
	bad("targets: [{name: x, luns: [{lun: 0, name: a, path: a}, {lun: 1, name: b, path: b}]}"
	    "]\n",
	    "t.yaml:1: targets[0].name: found \"x\" (expected a name such as "
	    "iqn.2026-11.com.example:cluster1, eui. and 16 or naa. and 16 or 32 hex digits, 1 to "
	    "223 bytes)\n");
	TARGET_NAME("iqn.", "");
	TARGET_NAME("eui.0200", "");
	TARGET_NAME("eui.02004567a425678g", "");
	TARGET_NAME("naa.52004567ba64678d0", "");
	TARGET_NAME("iqn.2026-11.com.example:a_b",
		    ", which has a character other than a-z, 0-9, '.', ':' and '-'");
	TARGET_NAME("iqn.2026-11.com.example: b",
		    ", which has a character other than a-z, 0-9, '.', ':' and '-'");
	bad("targets:\n- name: iqn.2026-11.com.example\n- name: iqn.2026-11.com.example\n",
	    "t.yaml:3: targets[1].name: \"iqn.2026-11.com.example\" is the name of targets[0] on "
	    "line 2 already "
	    "(expected a different one)\n");
}

static void test_initiators(void)
{
	bad(TARGET "initiators: []\n",
	    "t.yaml:3: targets[0].initiators: found a list of 0 "
	    "(expected a list of 1 to 1024 initiator names or shell patterns in lower case)\n");
	bad(TARGET "initiators: iqn.x\n",
	    "t.yaml:3: targets[0].initiators: found \"iqn.x\" "
	    "(expected a list of 1 to 1024 initiator names or shell patterns in lower case)\n");
	bad(TARGET "initiators: [a, IQN.x]\n",
	    "t.yaml:3: targets[0].initiators[1]: found \"IQN.x\", which has upper-case "
	    "letters; initiator names are compared in lower case: iqn.x "
	    "(expected initiator names or shell patterns in lower case)\n");
	bad(TARGET "initiators: [a, ~, [], '']\n",
	    "t.yaml:3: targets[0].initiators[1]: found nothing (expected initiator names or shell "
	    "patterns in lower case)\n"
	    "t.yaml:3: targets[0].initiators[2]: found a list (expected initiator names or shell "
	    "patterns in lower case)\n"
	    "t.yaml:3: targets[0].initiators[3]: found \"\" (expected initiator names or shell "
	    "patterns in lower case)\n");
}

static void test_portals(void)
{
#define LISTEN(value)                                                                              \
	bad("portals: [{name: a, listen: '" value "'}]\n" NO_TARGETS,                              \
	    "t.yaml:1: portals[0].listen: found \"" value                                          \
	    "\" (expected a numeric address and port such as 192.0.2.1:3260 or "                   \
	    "[2001:db8::1]:3260, 1 to 63 bytes)\n")
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
	    "t.yaml:1: portals[0].group: found \"65536\" (expected a whole number from 1 to "
	    "65535)\n");
	bad("portals:\n- {name: a, listen: '[::1]:1'}\n- {name: a, listen: "
	    "'[0::1]:1'}\n" NO_TARGETS,
	    "t.yaml:3: portals[1].name: \"a\" is the name of portals[0] on line 2 already "
	    "(expected a different one)\n"
	    "t.yaml:3: portals[1].listen: \"[0::1]:1\" is the address of portals[0] on line 2 "
	    "already "
	    "(expected a different one)\n");
	bad(TARGET "portals: [default, san, default]\n",
	    "t.yaml:3: targets[0].portals[1]: no portal is called \"san\" (expected one of: "
	    "default)\n"
	    "t.yaml:3: targets[0].portals[2]: the portal \"default\" a second time (expected "
	    "once)\n");
	bad(TARGET "portals: []\n", "t.yaml:3: targets[0].portals: found a list of 0 (expected a "
				    "list of 1 to 64 names of portals)\n");
}

/* ---- what belongs together ---- */

static void test_backend(void)
{
	bad(LUN "size: 1G}\n",
	    "t.yaml:4: targets[0].luns[0].path: missing "
	    "(expected the path of a file or block device, or backend: memory)\n");
	bad(LUN "backend: memory}\n", "t.yaml:4: targets[0].luns[0].size: missing (expected a "
				      "size, as backend: memory has none of its own)\n");
	bad(LUN "backend: null}\n", "t.yaml:4: targets[0].luns[0].size: missing (expected a size, "
				    "as backend: null has none of its own)\n");
	bad(LUN "path: /a, engine: libaio}\n",
	    "t.yaml:4: targets[0].luns[0].engine: libaio without direct (expected direct: on "
	    "beside it, or another engine)\n");
	bad(LUN
	    "backend: memory, size: 1G, path: a, direct: off, engine: auto, preallocate: off}\n",
	    "t.yaml:4: targets[0].luns[0].path: has no meaning with backend: memory (expected only "
	    "with backend: file)\n"
	    "t.yaml:4: targets[0].luns[0].engine: has no meaning with backend: memory (expected "
	    "only with backend: file)\n"
	    "t.yaml:4: targets[0].luns[0].direct: has no meaning with backend: memory (expected "
	    "only with backend: file)\n"
	    "t.yaml:4: targets[0].luns[0].preallocate: has no meaning with backend: memory "
	    "(expected only with backend: file)\n");
}

/* As the daemon would find them wrong when it starts, and as far as it would look. */
static void test_filters(void)
{
	static const struct {
		const char *filters, *text;
	} cases[] = {
		{ "iolog", "no filter \"iolog\" (expected fault, delay, log, volatile or check)" },
		{ "log|", "no filter \"\" (expected fault, delay, log, volatile or check)" },
		{ "log:all", "filter log knows no \"all\" (expected no arguments)" },
		{ "log|delay:msec=5", "filter delay knows no \"msec\" (expected op, ms, min_us, "
				      "max_us, seed, after)" },
		{ "delay:ms=soon|log", "filter delay: ms=\"soon\" (expected a number)" },
		{ "delay", "filter delay: give ms= or max_us=, from 1 us to an hour" },
		{ "fault:err=BAD",
		  "filter fault: err=\"BAD\" (expected an error such as EIO or ENOSPC)" },
		{ "fault:op=write+reed",
		  "filter fault: op=\"write+reed\" (expected all, or some of read, write, flush, "
		  "discard, zero, extent, space, prefetch joined by +)" },
		{ "volatile:survive=1001", "filter volatile: survive is at most 1000" },
		{ "check:atomic=700", "filter check: atomic is whole blocks, at most 1M" },
	};
	char text[300], expected[400];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), LUN "path: /no/such/file,\n     filters: \"%s\"}\n",
			 cases[i].filters);
		snprintf(expected, sizeof(expected), "t.yaml:5: targets[0].luns[0].filters: %s\n",
			 cases[i].text);
		bad(text, expected);
	}
	config_free(good(LUN "path: a, filters: \"check|volatile|fault:op=write,while=/no/such,"
			     "err=EIO|delay:ms=5|log\"}\n"));
	/* Whole blocks of which size is not known. */
	bad(LUN "path: a, block_size: 7, filters: \"check:atomic=700\"}\n",
	    "t.yaml:4: targets[0].luns[0].block_size: found \"7\" (expected 512 or 4096)\n");
}

static void test_auth(void)
{
	bad(TARGET "auth: {user: u, secret: elevenbytes}\n",
	    "t.yaml:3: targets[0].auth.secret: found 11 bytes (expected a secret, 12 to 255 "
	    "bytes)\n");
	bad(TARGET "auth: {user: u}\n", "t.yaml:3: targets[0].auth.secret: missing (expected a "
					"secret, or secret_file, as user is given)\n");
	bad(TARGET "auth: {secret: twelve-bytes}\n",
	    "t.yaml:3: targets[0].auth.user: missing (expected a name, as secret is given)\n");
	bad(TARGET "auth: {}\n",
	    "t.yaml:3: targets[0].auth.user: missing (expected user and secret)\n");
	bad(TARGET "auth: {user: u, secret: twelve-bytes, secret_file: f}\n",
	    "t.yaml:3: targets[0].auth.secret_file: given beside secret (expected one of the "
	    "two)\n");
	bad(TARGET "auth: {user: u, secret: twelve-bytes, mutual_user: m}\n",
	    "t.yaml:3: targets[0].auth.mutual_secret: missing (expected a secret, or "
	    "mutual_secret_file, as mutual_user is given)\n");
	bad(TARGET "auth: {user: u, secret: twelve-bytes, mutual_secret_file: m}\n",
	    "t.yaml:3: targets[0].auth.mutual_user: missing (expected a name, as "
	    "mutual_secret_file is given)\n");
	bad(TARGET
	    "auth: {user: u, secret: twelve-bytes, mutual_user: m, mutual_secret: twelve-bytes}\n",
	    "t.yaml:3: targets[0].auth.mutual_secret: the same secret in both directions (expected "
	    "two different ones)\n");
	bad("discovery_auth: {mutual_user: m, mutual_secret: twelve-bytes}\n" NO_TARGETS,
	    "t.yaml:1: discovery_auth.user: missing (expected user and secret, as mutual "
	    "authentication comes on top of them)\n");
	bad("discovery_auth: x\n" NO_TARGETS,
	    "t.yaml:1: discovery_auth: found \"x\" (expected a mapping of keys to values)\n");
	config_free(good(TARGET "auth: {user: u, secret_file: f}\n"));
}

/*
 * Never in a message: not when it is too long, not when it has the wrong characters or is under the
 * wrong type.
 */
static void test_secrets_are_not_shown(void)
{
	char text[600];
	int n = snprintf(text, sizeof(text), TARGET "auth: {user: u, secret: ");

	memset(text + n, 's', 256);
	strcpy(text + n + 256, "}\n");
	bad(text, "t.yaml:3: targets[0].auth.secret: found 256 bytes (expected a secret, 12 to 255 "
		  "bytes)\n");
	bad(TARGET "auth: {user: u, secret: \"hidden-secret\\n\"}\n",
	    "t.yaml:3: targets[0].auth.secret: found 14 bytes, which has a control character "
	    "(expected a secret, 12 to 255 bytes)\n");
	bad(TARGET "auth: {user: u, secret: \"hidden-secret\\0\"}\n",
	    "t.yaml:3: targets[0].auth.secret: found 14 bytes (expected a secret, 12 to 255 "
	    "bytes)\n");
}

static void test_iscsi_limits(void)
{
	bad("iscsi: {first_burst_length: 1M, max_burst_length: 64K}\n" NO_TARGETS,
	    "t.yaml:1: iscsi.first_burst_length: more than max_burst_length (expected at most "
	    "64K)\n");
	bad("iscsi: {max_recv_data_segment_length: 511}\n" NO_TARGETS,
	    "t.yaml:1: iscsi.max_recv_data_segment_length: found \"511\" "
	    "(expected a size from 512 to 16777215: bytes, or a whole number and K, M, G or T)\n");
	bad("iscsi: {max_burst_length: 16M}\n" NO_TARGETS,
	    "t.yaml:1: iscsi.max_burst_length: found \"16M\" "
	    "(expected a size from 512 to 16777215: bytes, or a whole number and K, M, G or T)\n");
	bad("limits: {commands: 16, lun_commands: 17}\n" NO_TARGETS,
	    "t.yaml:1: limits.lun_commands: found 17, more than commands (expected at most 16)\n");
	bad("limits: {buffers: 1M}\n" NO_TARGETS,
	    "t.yaml:1: limits.buffers: found \"1M\" "
	    "(expected a size from 16M to 1T: bytes, or a whole number and K, M, G or T)\n");
}

/* Several at once, by line; none follows from another. */
static void test_all_errors_at_once(void)
{
	char text[5000] = NO_TARGETS;
	const char *last;

	bad("targets:\n- name: iqn.2026-11.com.example:t\n  luns:\n  - {lun: x, name: a, path: a}\n"
	    "  - {lun: x, name: a, path: b, size: 1X}\nreactors: many\nlog: 1\n",
	    "t.yaml:4: targets[0].luns[0].lun: found \"x\" (expected a whole number from 0 to "
	    "4095)\n"
	    "t.yaml:5: targets[0].luns[1].lun: found \"x\" (expected a whole number from 0 to "
	    "4095)\n"
	    "t.yaml:5: targets[0].luns[1].size: found \"1X\" (expected a size from 4K to 8192T: "
	    "bytes, or a whole number and "
	    "K, M, G or T)\n"
	    "t.yaml:5: targets[0].luns[1].name: \"a\" is the name of targets[0].luns[0] on line 4 "
	    "already "
	    "(expected a different one)\n"
	    "t.yaml:6: reactors: found \"many\" (expected a whole number from 0 to 256)\n"
	    "t.yaml:7: log: unknown key (expected one of state_dir, data_dir, control, reactors, "
	    "workers, driver, poll_us, log_level, "
	    "pr_retain, iscsi, discovery_auth, limits, witness, portals, targets)\n");
	for (unsigned i = 0; i < 70; i++)
		sprintf(text + strlen(text), "key%u: 1\n", i);
	CU_ASSERT_PTR_NULL(parse(text));
	last = strstr(messages, "t.yaml: and ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(last);
	CU_ASSERT_STRING_EQUAL(last, "t.yaml: and 20 more errors\n");
}

UNIT_MAIN("config_rules",
	UNIT(test_lun_unique),
	UNIT(test_target_name),
	UNIT(test_initiators),
	UNIT(test_portals),
	UNIT(test_backend),
	UNIT(test_filters),
	UNIT(test_auth),
	UNIT(test_secrets_are_not_shown),
	UNIT(test_iscsi_limits),
	UNIT(test_all_errors_at_once))
