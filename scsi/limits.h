/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named limits, in one place, each with its reason. Everything a peer can make grow has one here.
 */
#ifndef SCSI_LIMITS_H
#define SCSI_LIMITS_H

enum {
	/* RFC 3720 3.2.6.1 / RFC 7143 4.2.7: an iSCSI name has at most 223 bytes. */
	ISCSI_NAME_MAX = 223,
	/* One flat-addressed LUN per byte pair; Windows reaches 0..255 without help (CLUSTERS). */
	LUN_MAX = 4095,
	/* The longest CDB any row of the command table has. */
	SCSI_CDB_MAX = 32,
	/* 64 nodes with 4 paths, and as many stale ones again, twice over. */
	PR_REGISTRANTS_MAX = 1024,
	/* One READ or WRITE: what VPD B0h says as MAXIMUM TRANSFER LENGTH (bytes). */
	SCSI_XFER_MAX = 4 << 20,
	/* Largest parameter list taken from an initiator (PR OUT with SPEC_I_PT is the longest). */
	SCSI_PARAM_MAX = 64 << 10,
	/* Units handed to a backend: a drain on a healthy device is then milliseconds. */
	IO_UNIT_MAX = 1 << 20,
	/* Descriptors in one UNMAP (VPD B0h). */
	UNMAP_DESCRIPTORS_MAX = 256,
	/*
	 * WRITE SAME: VPD B0h MAXIMUM WRITE SAME LENGTH (blocks); 64 MiB or 512 MiB are zeroed in
	 * milliseconds, and a pattern is written in time. VPD B0h reports WSNZ=0: NUMBER OF LOGICAL
	 * BLOCKS zero means "to the end of the LU" and is refused only when that is more than this
	 * (SBC-3 5.44).
	 */
	WRITE_SAME_BLOCKS_MAX = 128 << 10,
	/*
	 * A WRITE SAME pattern that is not zero is multiplied to this many bytes, then written unit
	 * by unit.
	 */
	WRITE_SAME_UNIT_MAX = 256 << 10,
	/*
	 * Deallocating and zeroing touch metadata only, on what we serve: larger units, still
	 * milliseconds (bytes).
	 */
	IO_DISCARD_UNIT_MAX = 256 << 20,
	IO_ZERO_UNIT_MAX = 16 << 20,
	/* PRE-FETCH is a hint: no more than this is read ahead for one command (bytes). */
	PREFETCH_MAX = 16 << 20,
	/* COMPARE AND WRITE: VPD B0h MAXIMUM COMPARE AND WRITE LENGTH is one byte. */
	CAW_BLOCKS_MAX = 255,
	/* Sense data we build: 18 bytes fixed, descriptors up to this. */
	SENSE_MAX = 64,
	/* NAA designator: 16 bytes for IEEE Registered Extended, 8 for the others. */
	LU_NAA_LEN = 16,
	/* VPD 80h serial: 32 hex digits, or what another target had. */
	LU_SERIAL_MAX = 64,
	/* T10 VENDOR IDENTIFICATION and PRODUCT IDENTIFICATION of INQUIRY. */
	LU_VENDOR_LEN = 8,
	LU_PRODUCT_LEN = 16,
	/* What follows the vendor in the T10 designator. */
	LU_T10_ID_MAX = 96,
	LU_NAME_MAX = 64,
};

#endif
