/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent reservations for the test initiator (tests/daemon/wire.h): PR OUT and PR IN, what they
 * answered, and a daemon with two target ports on two addresses. One thread.
 */
#ifndef TESTS_PR_PRCMD_H
#define TESTS_PR_PRCMD_H

#include "tests/daemon/wire.h"

enum pr_sa {
	PR_REGISTER,
	PR_RESERVE,
	PR_RELEASE,
	PR_CLEAR,
	PR_PREEMPT,
	PR_PREEMPT_AND_ABORT,
	PR_REGISTER_AND_IGNORE,
	PR_REGISTER_AND_MOVE,

	PR_F_APTPL = 1,
	PR_F_ALL_TG_PT = 4,
	PR_F_SPEC_I_PT = 8,
	PR_F_UNREG = 2, /* of REGISTER AND MOVE */

	PR_READ_KEYS = 0,
	PR_READ_RESERVATION,
	PR_REPORT_CAPABILITIES,
	PR_READ_FULL_STATUS,

	TYPE_WE = 1,
	TYPE_EA = 3,
	TYPE_WERO = 5,
	TYPE_EARO = 6,
	TYPE_WEAR = 7,
	TYPE_EAAR = 8,
};

/* What a command came to, as one number: 0 GOOD, else the status, or key, ASC and ASCQ. */
#define RES_SENSE(key, asc)  ((uint32_t)(key) << 16 | (asc))
#define RES_CONFLICT	     ((uint32_t)ST_CONFLICT)
#define RES_ABORTED	     ((uint32_t)ST_ABORTED)
#define RES_NONE	     0xffffffffu /* no answer */
#define UA_POWERED	     RES_SENSE(6, 0x2901)
#define UA_WARM_RESET	     RES_SENSE(6, 0x2902)
#define UA_LUN_RESET	     RES_SENSE(6, 0x2903)
#define UA_MODES	     RES_SENSE(6, 0x2a01)
#define UA_RES_PREEMPTED     RES_SENSE(6, 0x2a03)
#define UA_RES_RELEASED	     RES_SENSE(6, 0x2a04)
#define UA_REG_PREEMPTED     RES_SENSE(6, 0x2a05)
#define ERR_NO_REG_RESOURCES RES_SENSE(5, 0x5504)
#define ERR_BAD_RELEASE	     RES_SENSE(5, 0x2604)

uint32_t io_result(const struct io *io);

/* PR OUT with a basic parameter list (or REGISTER AND MOVE's, without a TransportID). */
struct prout {
	struct io io;
	uint8_t param[24];
};
void prout_set(struct prout *p, uint16_t lun, uint8_t sa, uint8_t type, uint64_t key,
	       uint64_t sa_key, uint8_t flags);
/* Sends one to LUN 0 and waits. */
uint32_t prout(struct wire *w, uint8_t sa, uint8_t type, uint64_t key, uint64_t sa_key,
	       uint8_t flags);
/* The same, after unit attentions were taken by TEST UNIT READY. */
uint32_t prout_clean(struct wire *w, uint8_t sa, uint8_t type, uint64_t key, uint64_t sa_key,
		     uint8_t flags);
/* With any parameter list. */
uint32_t prout_raw(struct wire *w, uint16_t lun, uint8_t sa, uint8_t type, void *param,
		   uint32_t len);
/* An initiator port as it stands in parameter lists (SPC-4 7.6.4.6, format 01b); its bytes. */
uint32_t transportid_make(uint8_t *out, const char *name, const uint8_t isid[6]);

/* PR IN of LUN 0: bytes received, -1 unless GOOD. */
int prin(struct wire *w, uint8_t sa, void *buf, uint16_t alloc);

struct prreg {
	uint64_t key;
	bool holder;
	uint8_t type; /* 0 when not holder */
	uint16_t port;
	uint8_t isid[6];
	char name[224];
};
/* READ FULL STATUS, parsed. */
struct prfull {
	uint32_t generation;
	unsigned n;
	struct prreg *r; /* malloc'ed; by name, ISID, port */
};
/* False, with a word on it, when the answer is not well-formed. */
bool prfull_get(struct wire *w, struct prfull *f);
void prfull_free(struct prfull *f);
bool prfull_same(const struct prfull *a, const struct prfull *b);
void prfull_print(const char *what, const struct prfull *f);
const struct prreg *prfull_find(const struct prfull *f, const char *name, uint8_t isid,
				uint16_t port);

/* TEST UNIT READY until GOOD; at most so many unit attentions. False when something else came. */
bool tur_good(struct wire *w, uint16_t lun);
/* One TEST UNIT READY. */
uint32_t tur(struct wire *w, uint16_t lun);

/*
 * A daemon with two portals of two groups, 127.0.0.1 (1) and 127.0.0.2 (2), and two reactors; top
 * and luns as for daemon_start().
 */
void pr_daemon(const char *top, const char *luns);
/* A session of initiator "...:NAME" with that ISID through portal group 1 or 2, LUN 0 ready. */
struct wire *pr_open(const char *name, uint8_t isid, unsigned group);
/* kill -9; asserts that it ran, and that no sanitizer spoke. */
void pr_daemon_kill(void);
/* The same daemon again, after that. */
void pr_daemon_restart(void);
/*
 * PR_FAR in the environment: the daemon runs in a machine of somebody else's, and killing it is
 * killing that (a power cut). Orders go to file descriptor 3: "new" (a first start, without state)
 * or "again"; each is answered on 0 with the machine's process group and its two addresses.
 */
bool pr_far(void);

/* xorshift; from PR_SEED, or the clock; printed once. */
uint32_t pr_random(uint32_t below);

/* Microseconds since some time. */
uint64_t pr_us(void);

#endif
