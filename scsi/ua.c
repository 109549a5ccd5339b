/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/ua.h"

#include <assert.h>

#include "scsi/sense.h"

static const uint32_t ua_codes[UA_COUNT] = {
	[UA_POWER_ON]			= SENSE_CODE(0x6, 0x29, 0x01),
	[UA_BUS_RESET]			= SENSE_CODE(0x6, 0x29, 0x02),
	[UA_LU_RESET]			= SENSE_CODE(0x6, 0x29, 0x03),
	[UA_NEXUS_LOSS]			= SENSE_CODE(0x6, 0x29, 0x07),
	[UA_COMMANDS_CLEARED]		= SENSE_CODE(0x6, 0x2f, 0x00),
	[UA_RESERVATIONS_PREEMPTED]	= SENSE_CODE(0x6, 0x2a, 0x03),
	[UA_RESERVATIONS_RELEASED]	= SENSE_CODE(0x6, 0x2a, 0x04),
	[UA_REGISTRATIONS_PREEMPTED]	= SENSE_CODE(0x6, 0x2a, 0x05),
	[UA_MODE_CHANGED]		= SENSE_CODE(0x6, 0x2a, 0x01),
	[UA_CAPACITY_CHANGED]		= SENSE_CODE(0x6, 0x2a, 0x09),
	[UA_LUNS_CHANGED]		= SENSE_CODE(0x6, 0x3f, 0x0e),
	[UA_THIN_SOFT_THRESHOLD]	= SENSE_CODE(0x6, 0x38, 0x07),
};

uint32_t ua_sense_code(enum ua ua)
{
	assert((unsigned)ua < UA_COUNT);
	return ua_codes[ua];
}
