/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: YAML in, one checked value out. Nothing is half-read: either everything
 * was as expected or there is an error with file, line, key, what was found and what was expected.
 */
#ifndef TARGET_CONFIG_H
#define TARGET_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "target/iscsi/login.h"
#include "target/reactor.h"

struct config_portal {
	char *name;
	char *listen;			/* as written: "0.0.0.0:3260", "[::]:3260" */
	char host[64];			/* numeric address */
	uint16_t port;
	uint16_t group;			/* portal group tag, 1.. */
	char *congestion;		/* TCP's congestion control, NULL: the system's */
};

enum lun_type { LUN_DATA, LUN_WITNESS };

/*
 * What becomes of registrations and reservations that were made without APTPL when the daemon
 * starts again: kept always, or as SPC-4 has it after a power loss, where APTPL decides (a new boot
 * of the host counts as one).
 */
enum config_pr_retain { CONFIG_PR_RETAIN_ALWAYS, CONFIG_PR_RETAIN_STANDARD };

struct config_lun {
	uint16_t lun;
	char *name; /* unique in the file; default "TARGETSUFFIX-lunN" is not made up: required */
	enum lun_type type;
	char *backend;			/* "file" (default when path is given), "memory", "null" */
	char *path; /* ready for open(2): a relative one has data_dir in front; NULL unless "file"
		     */
	uint64_t size;			/* bytes; 0: as found */
	enum rio_engine engine;
	bool direct, write_cache, readonly;
	uint32_t block_size, physical_block_size;
	uint8_t uuid[16]; /* given, or derived from the name (SHA-256 of target name and LUN name,
			     version bits set) */
	bool uuid_given;
	/* What initiators see instead of what derives from the uuid; "" when not given. */
	char naa[2 * LU_NAA_LEN + 1];	/* hexadecimal digits */
	char serial[LU_SERIAL_MAX + 1];
	char t10_id[LU_T10_ID_MAX + 1];
	char vendor[LU_VENDOR_LEN + 1];
	char product[LU_PRODUCT_LEN + 1];
	bool reserve6;			/* default: on for data, off for a witness */
	bool preallocate; /* every block allocated at creation; default: off for data, on for a
			     witness */
	enum config_pr_retain pr_retain;	/* default: the file's pr_retain */
	char *filters;			/* for tests: "delay:..|fault:..", NULL none */
	unsigned line;			/* in the file, for messages */
};

struct config_target {
	char *name;
	char *alias;
	unsigned *portals;		/* indices into config.portals */
	unsigned nportals;
	char **initiators;
	unsigned ninitiators;
	struct login_auth auth;
	struct config_lun *luns;	/* sorted by lun */
	unsigned nluns;
	unsigned line;
};

struct config {
	char *file;
	char *state_dir;
	char *data_dir;			/* base of relative paths; default: state_dir */
	char *control;
	unsigned reactors, workers;
	unsigned poll_us;
	enum reactor_driver driver;
	unsigned log_level;		/* enum log_level */
	enum config_pr_retain pr_retain;	/* for LUNs that do not say otherwise */
	struct iscsi_offer offer;	/* section `iscsi:` */
	struct login_auth discovery_auth;
	/* section `witness:` */
	struct {
		bool lane; /* on: a reactor of their own for witness LUNs */
	} witness;
	/* section `limits:`, each with a default and a range */
	struct {
		unsigned login_timeout;		/* s, 30 */
		unsigned logins;		/* half open at once, 256 */
		unsigned sessions;		/* 10240 */
		unsigned commands;		/* per session: the CmdSN window, 128 */
		unsigned lun_commands; /* of one session on one LUN; 0: 3/4 of commands once it uses
					  several LUNs */
		uint64_t buffers;      /* bytes of data buffers in the whole daemon, 1 GiB */
		unsigned nop_interval;		/* s idle before a ping, 15 */
		unsigned nop_timeout;		/* s for its answer, 15 */
	} limits;
	struct config_portal *portals;
	unsigned nportals;
	struct config_target *targets;
	unsigned ntargets;
};

/*
 * Reads and checks a file. On success a new value, to be freed by config_free; on failure NULL, and
 * every error found as a line "FILE:LINE: KEY: what is wrong (expected ...)" on `errors`. Main
 * thread.
 */
struct config *config_load(const char *file, FILE *errors);
/*
 * The same from memory (tests, fuzzers): no file is looked at, `file` is only its name in messages.
 * Secrets that are in files of their own stay empty, so such a value is not for serving with.
 */
struct config *config_parse(const char *file, const void *text, size_t len, FILE *errors);
void config_free(struct config *c);
/* Whether any LUN is of type witness. */
bool config_has_witness(const struct config *c);

#endif
