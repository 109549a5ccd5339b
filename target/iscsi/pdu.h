/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iSCSI PDUs on the wire (RFC 7143 section 11). Only layout and names; nothing here has behaviour.
 */
#ifndef TARGET_ISCSI_PDU_H
#define TARGET_ISCSI_PDU_H

#include <stdbool.h>
#include <stdint.h>

#include "scsi/wire.h"

enum { BHS_LEN = 48, ISCSI_TAG_NONE = 0xffffffffu };

enum iscsi_opcode { /* 11.2.1.2; bit 6 is I, masked off */
		    OP_NOP_OUT = 0x00,
		    OP_SCSI_CMD = 0x01,
		    OP_TMF_REQ = 0x02,
		    OP_LOGIN_REQ = 0x03,
		    OP_TEXT_REQ = 0x04,
		    OP_DATA_OUT = 0x05,
		    OP_LOGOUT_REQ = 0x06,
		    OP_SNACK = 0x10,
		    OP_NOP_IN = 0x20,
		    OP_SCSI_RSP = 0x21,
		    OP_TMF_RSP = 0x22,
		    OP_LOGIN_RSP = 0x23,
		    OP_TEXT_RSP = 0x24,
		    OP_DATA_IN = 0x25,
		    OP_LOGOUT_RSP = 0x26,
		    OP_R2T = 0x31,
		    OP_ASYNC = 0x32,
		    OP_REJECT = 0x3f,
};

enum {
	PDU_IMMEDIATE = 0x40, /* in byte 0 */
	PDU_FINAL = 0x80,     /* in byte 1 */
	/* SCSI Command, byte 1 (11.3.1) */
	CMD_READ = 0x40,
	CMD_WRITE = 0x20,
	CMD_ATTR_MASK = 0x07,
	/* SCSI Response, byte 1 (11.4.1) */
	RSP_BIDI_OVERFLOW = 0x10,
	RSP_BIDI_UNDERFLOW = 0x08,
	RSP_OVERFLOW = 0x04,
	RSP_UNDERFLOW = 0x02,
	/* Data-In, byte 1 (11.7.1) */
	DATAIN_ACK = 0x40,
	DATAIN_OVERFLOW = 0x04,
	DATAIN_UNDERFLOW = 0x02,
	DATAIN_STATUS = 0x01,
	/* Login and text, byte 1 (11.12, 11.10) */
	LOGIN_TRANSIT = 0x80,
	LOGIN_CONTINUE = 0x40,
	TEXT_CONTINUE = 0x40,
	/* Login stages */
	STAGE_SECURITY = 0,
	STAGE_OPERATIONAL = 1,
	STAGE_FULL_FEATURE = 3,
};

enum iscsi_reject { /* 11.17.1 */
		    REJECT_DATA_DIGEST = 0x02,
		    REJECT_SNACK = 0x03,
		    REJECT_PROTOCOL = 0x04,
		    REJECT_NOT_SUPPORTED = 0x05,
		    REJECT_TOO_MANY_IMMEDIATE = 0x06,
		    REJECT_TASK_IN_PROGRESS = 0x07,
		    REJECT_INVALID_DATA_ACK = 0x08,
		    REJECT_INVALID_FIELD = 0x09,
		    REJECT_LONG_OPERATION = 0x0a,
		    REJECT_NEGOTIATION_RESET = 0x0b,
		    REJECT_WAITING_FOR_LOGOUT = 0x0c,
};

enum iscsi_tmf { /* 11.5.1 */
		 TMF_ABORT_TASK = 1,
		 TMF_ABORT_TASK_SET = 2,
		 TMF_CLEAR_ACA = 3,
		 TMF_CLEAR_TASK_SET = 4,
		 TMF_LU_RESET = 5,
		 TMF_TARGET_WARM_RESET = 6,
		 TMF_TARGET_COLD_RESET = 7,
		 TMF_TASK_REASSIGN = 8,
};

enum iscsi_tmf_rsp { /* 11.6.1 */
		     TMF_RSP_COMPLETE = 0,
		     TMF_RSP_NO_TASK = 1,
		     TMF_RSP_NO_LUN = 2,
		     TMF_RSP_STILL_ALLEGIANT = 3,
		     TMF_RSP_NO_REASSIGN = 4,
		     TMF_RSP_NOT_SUPPORTED = 5,
		     TMF_RSP_AUTH_FAILED = 6,
		     TMF_RSP_REJECTED = 255,
};

enum iscsi_logout_reason { LOGOUT_SESSION = 0, LOGOUT_CONNECTION = 1, LOGOUT_RECOVERY = 2 };
enum iscsi_logout_rsp {
	LOGOUT_RSP_OK = 0,
	LOGOUT_RSP_NO_CID = 1,
	LOGOUT_RSP_NO_RECOVERY = 2,
	LOGOUT_RSP_CLEANUP = 3
};
enum iscsi_async {
	ASYNC_SCSI = 0,
	ASYNC_LOGOUT = 1,
	ASYNC_DROP_CONN = 2,
	ASYNC_DROP_ALL = 3,
	ASYNC_NEGOTIATE = 4
};

struct bhs {			/* what all have in common */
	uint8_t opcode, flags, b2, b3;
	uint8_t ahs_len;	/* in 4-byte words */
	be24 data_len;
	uint8_t lun[8];
	be32 itt;
	uint8_t rest[28];
};

struct bhs_scsi_cmd {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, edtl, cmdsn, expstatsn;
	uint8_t cdb[16];
};

struct bhs_scsi_rsp {
	uint8_t opcode, flags, response, status, ahs_len;
	be24 data_len;
	uint8_t rsvd[8];
	be32 itt, snack, statsn, expcmdsn, maxcmdsn, expdatasn, bidi_residual, residual;
};

struct bhs_tmf_req {
	uint8_t opcode, function, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, rtt, cmdsn, expstatsn, refcmdsn, expdatasn;
	uint8_t rsvd2[8];
};

struct bhs_tmf_rsp {
	uint8_t opcode, flags, response, rsvd, ahs_len;
	be24 data_len;
	uint8_t rsvd2[8];
	be32 itt, rsvd3, statsn, expcmdsn, maxcmdsn;
	uint8_t rsvd4[12];
};

struct bhs_data_out {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, ttt, rsvd2, expstatsn, rsvd3, datasn, offset, rsvd4;
};

struct bhs_data_in {
	uint8_t opcode, flags, rsvd, status, ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, ttt, statsn, expcmdsn, maxcmdsn, datasn, offset, residual;
};

struct bhs_r2t {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, ttt, statsn, expcmdsn, maxcmdsn, r2tsn, offset, length;
};

struct bhs_async {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 ffffffff, rsvd2, statsn, expcmdsn, maxcmdsn;
	uint8_t event, vcode;
	be16 param1, param2, param3;
	uint8_t rsvd3[4];
};

struct bhs_text_req {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, ttt, cmdsn, expstatsn;
	uint8_t rsvd2[16];
};

struct bhs_text_rsp {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, ttt, statsn, expcmdsn, maxcmdsn;
	uint8_t rsvd2[12];
};

struct bhs_login_req {
	uint8_t opcode, flags, version_max, version_min, ahs_len;
	be24 data_len;
	uint8_t isid[6];
	be16 tsih;
	be32 itt;
	be16 cid, rsvd;
	be32 cmdsn, expstatsn;
	uint8_t rsvd2[16];
};

struct bhs_login_rsp {
	uint8_t opcode, flags, version_max, version_active, ahs_len;
	be24 data_len;
	uint8_t isid[6];
	be16 tsih;
	be32 itt, rsvd, statsn, expcmdsn, maxcmdsn;
	uint8_t status_class, status_detail;
	uint8_t rsvd2[10];
};

struct bhs_logout_req {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t rsvd2[8];
	be32 itt;
	be16 cid, rsvd3;
	be32 cmdsn, expstatsn;
	uint8_t rsvd4[16];
};

struct bhs_logout_rsp {
	uint8_t opcode, flags, response, rsvd, ahs_len;
	be24 data_len;
	uint8_t rsvd2[8];
	be32 itt, rsvd3, statsn, expcmdsn, maxcmdsn, rsvd4;
	be16 time2wait, time2retain;
	be32 rsvd5;
};

struct bhs_reject {
	uint8_t opcode, flags, reason, rsvd, ahs_len;
	be24 data_len;
	uint8_t rsvd2[8];
	be32 ffffffff, rsvd3, statsn, expcmdsn, maxcmdsn, datasn;
	uint8_t rsvd4[8];
};

struct bhs_nop_out {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, ttt, cmdsn, expstatsn;
	uint8_t rsvd2[16];
};

struct bhs_nop_in {
	uint8_t opcode, flags, rsvd[2], ahs_len;
	be24 data_len;
	uint8_t lun[8];
	be32 itt, ttt, statsn, expcmdsn, maxcmdsn;
	uint8_t rsvd2[12];
};

#define BHS_CHECK(t) _Static_assert(sizeof(struct t) == BHS_LEN, #t)
BHS_CHECK(bhs);
BHS_CHECK(bhs_scsi_cmd);
BHS_CHECK(bhs_scsi_rsp);
BHS_CHECK(bhs_tmf_req);
BHS_CHECK(bhs_tmf_rsp);
BHS_CHECK(bhs_data_out);
BHS_CHECK(bhs_data_in);
BHS_CHECK(bhs_r2t);
BHS_CHECK(bhs_async);
BHS_CHECK(bhs_text_req);
BHS_CHECK(bhs_text_rsp);
BHS_CHECK(bhs_login_req);
BHS_CHECK(bhs_login_rsp);
BHS_CHECK(bhs_logout_req);
BHS_CHECK(bhs_logout_rsp); BHS_CHECK(bhs_reject); BHS_CHECK(bhs_nop_out); BHS_CHECK(bhs_nop_in);

#endif
