/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SCSI command and the step function that runs it. The step function does no I/O, waits for
 * nothing and allocates nothing: it is told what happened and says what to do next. The shell (the
 * daemon, or the simulation) does that and comes back with the next event.
 */
#ifndef SCSI_CMD_H
#define SCSI_CMD_H

#include "scsi/lu.h"
#include "scsi/sense.h"

enum scsi_attr {		/* RFC 7143 11.3.1 */
	ATTR_UNTAGGED = 0, ATTR_SIMPLE = 1, ATTR_ORDERED = 2, ATTR_HEAD_OF_QUEUE = 3, ATTR_ACA = 4,
};

enum scsi_event {
	SCSI_EV_ARRIVED, /* the CDB is known; no buffer exists yet */
	SCSI_EV_READY, /* after SCSI_BUFFERS: they exist; after SCSI_GATHER: data-out has arrived in
			  c->out */
	SCSI_EV_IO,    /* c->io has ended: c->io.result (0 or -errno), c->io.answer */
	SCSI_EV_HELD,  /* the range c->hold_off, c->hold_len is ours: nothing else overlaps it */
	SCSI_EV_CHANGED, /* home has answered: c->status and c->sense are set */
};

enum scsi_next {
	SCSI_COMPLETE, /* c->status, c->sense, c->in_len are final (the shell drops any hold) */
	SCSI_BUFFERS,  /* provide buffers of need_in / need_scratch bytes, then SCSI_EV_READY */
	SCSI_GATHER,   /* provide all buffers, collect need_out bytes of data-out into c->out, then
			  SCSI_EV_READY */
	SCSI_IO,       /* submit c->io (checking the gate once more if it changes the medium), then
			  SCSI_EV_IO */
	SCSI_HOLD,     /* get exclusive hold of hold_off, hold_len (bytes), then SCSI_EV_HELD */
	SCSI_CHANGE,   /* send CDB and c->out (need_out bytes, gathered) to the LU's home, then
			  SCSI_EV_CHANGED */
};

enum scsi_area { AREA_NONE, AREA_IN, AREA_OUT, AREA_SCRATCH };

struct scsi_io {
	enum io_op op;
	uint32_t flags;
	uint64_t off;		/* bytes on the LU */
	uint64_t len;		/* bytes; IO_READ and IO_WRITE at most IO_UNIT_MAX */
	enum scsi_area area;	/* which buffer, for IO_READ and IO_WRITE */
	uint32_t area_off;	/* bytes into it */
	int result;
	union io_answer answer;
};

struct scsi_op;

struct scsi_cmd {
	/* Set by the shell before SCSI_EV_ARRIVED. */
	uint8_t cdb[SCSI_CDB_MAX];	/* zero padded */
	uint8_t cdb_len; /* bytes the initiator sent: 16, or more with an extended CDB header
			    segment */
	uint8_t attr;			/* enum scsi_attr */
	bool dir_in, dir_out;		/* R and W bits of the command PDU */
	uint32_t edtl;			/* expected data transfer length, bytes */
	uint16_t lun;
	const struct nexus *nexus;
	const struct scsi_target *target;

	/*
	 * Set by the step. Each need is final once the first BUFFERS, GATHER or IO that uses it is
	 * returned.
	 */
	const struct scsi_op *op;	/* its row; NULL before ARRIVED and for an unknown opcode */
	uint32_t need_in;		/* bytes: data-in buffer */
	uint32_t need_out;		/* bytes: data-out; never more than edtl */
	uint32_t need_scratch; /* bytes: buffer for the step's own I/O (compare, pattern) */
	struct scsi_io io;
	uint64_t hold_off, hold_len;

	/*
	 * Buffers; owned by the shell, valid from the answer to BUFFERS / GATHER / IO until
	 * COMPLETE was sent.
	 */
	uint8_t *in, *out, *scratch;

	/* Results. */
	uint8_t status;			/* enum scsi_status */
	struct sense sense;		/* with SAM_CHECK_CONDITION */
	uint32_t in_len; /* bytes valid in c->in; may exceed edtl: the shell truncates and counts
			    the residual */
	uint64_t want;	 /* bytes this command wanted to move: residual = edtl - want, either way */
	bool flush_failed; /* the shell must tell home, so that the failure is sticky for everyone
			    */

	/* The plan's own state between steps. */
	uint64_t lba, nblocks;		/* of the command */
	uint64_t pos;			/* bytes done */
	uint8_t phase;
	bool fua;
	uint32_t index;			/* of the descriptor in work (UNMAP, GET LBA STATUS) */
};

/*
 * Runs one command one step further. v is the LU's current value as this reactor knows it, or NULL
 * when there is no such LU (INQUIRY, REPORT LUNS and REQUEST SENSE still answer, SPC-4 5.9 / 6.4.1
 * / 6.33). g is the nexus's gate on that LU (NULL with v NULL); unit attentions are taken out of it
 * on ARRIVED, where the reservation is checked first time. Pure; any thread, one at a time per
 * command.
 *
 * On SCSI_EV_ARRIVED the order is SAM's and SPC's: opcode and service action known; LU there; unit
 * attention; reservation conflict; CDB validation against the usage mask; the plan.  (SAM-5 5.14:
 * INQUIRY, REPORT LUNS, REQUEST SENSE pass a unit attention.)
 */
enum scsi_next scsi_step(struct scsi_cmd *c, const struct lu_value *v, struct gate *g,
			 enum scsi_event ev);

/*
 * Checked by the shell immediately before each hand-over to the backend of something that changes
 * the medium, and when a parked command goes on: true if the command may proceed under g; else c is
 * completed with RESERVATION CONFLICT. Never reports a unit attention.
 *
 * So a right that ends in the midst of a command ends there: of a WRITE in several units those that
 * were handed over are on the medium, and no other follows. A READ is checked when it arrives, and
 * goes on. PREEMPT may do so to commands that are enabled (SPC-4 5.13.11.2.4.3). For other changes
 * (another's RESERVE) 5.13.1 says that a command that was checked shall not be completed with
 * RESERVATION CONFLICT because of them. We do: to let it write after the change was answered is
 * what must never happen, and to wait for it is to wait for data its initiator may never send.
 */
bool scsi_recheck(struct scsi_cmd *c, const struct gate *g);

/* What a LU that is not ready says of it (SPC-4 6.47). */
struct sense scsi_not_ready(const struct lu_value *v);

/* Helpers for the plans: fill status and sense and give SCSI_COMPLETE. */
enum scsi_next scsi_good(struct scsi_cmd *c);
enum scsi_next scsi_fail(struct scsi_cmd *c, struct sense s);
enum scsi_next scsi_status(struct scsi_cmd *c, uint8_t status);
/* ILLEGAL REQUEST, INVALID FIELD IN CDB with a field pointer; bit -1: the whole byte. */
enum scsi_next scsi_bad_cdb(struct scsi_cmd *c, unsigned byte, int bit);

#endif
