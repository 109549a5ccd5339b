/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in words. */
#include "witness/entry.h"

#include <inttypes.h>
#include <stdio.h>

static const char *name_at(const char *const *names, unsigned n, unsigned i)
{
	return i < n ? names[i] : NULL;
}

const char *witness_kind_name(unsigned kind)
{
	static const char *const names[WITNESS_KINDS] = {
		[WITNESS_STARTED] = "started",
		[WITNESS_LOGGED_IN] = "login",
		[WITNESS_LOGGED_OUT] = "logout",
		[WITNESS_REGISTERED] = "registered",
		[WITNESS_UNREGISTERED] = "unregistered",
		[WITNESS_REMOVED] = "removed",
		[WITNESS_OWNED] = "owner",
		[WITNESS_DEFENDED] = "defended",
		[WITNESS_CHALLENGED] = "challenged",
		[WITNESS_BEAT] = "heartbeat",
		[WITNESS_MESSAGE] = "message",
		[WITNESS_SOFTWARE] = "software",
		[WITNESS_WARNING] = "warning",
	};

	return name_at(names, WITNESS_KINDS, kind);
}

const char *witness_software_name(unsigned software)
{
	static const char *const names[WITNESS_SOFTWARES] = {
		[WITNESS_WINDOWS] = "windows",	       [WITNESS_FENCE_SCSI] = "fence_scsi",
		[WITNESS_FENCE_MPATH] = "fence_mpath", [WITNESS_SBD] = "sbd",
		[WITNESS_SANLOCK] = "sanlock",	       [WITNESS_O2CB] = "o2cb",
	};

	return name_at(names, WITNESS_SOFTWARES, software);
}

const char *witness_confidence_name(unsigned confidence)
{
	static const char *const names[WITNESS_CONFIDENCES] = { "unknown", "likely", "sure" };

	return name_at(names, WITNESS_CONFIDENCES, confidence);
}

const char *witness_warning_name(unsigned warning)
{
	static const char *const names[WITNESS_WARNINGS] = {
		[WITNESS_ONE_REGISTRANT] = "one_registrant",
		[WITNESS_NO_DEFENCE] = "no_defence",
		[WITNESS_OWNER_GONE] = "owner_gone",
		[WITNESS_PATH_LOST] = "path_lost",
		[WITNESS_BEAT_LOST] = "heartbeat_lost",
		[WITNESS_SLOW] = "slow",
		[WITNESS_FULL] = "nearly_full",
		[WITNESS_JOURNAL_LOST] = "journal_lost",
	};

	return name_at(names, WITNESS_WARNINGS, warning);
}

const char *witness_how_name(unsigned how)
{
	static const char *const names[WITNESS_HOWS] = {
		[WITNESS_REGISTER] = "REGISTER",
		[WITNESS_RESERVE] = "RESERVE",
		[WITNESS_RELEASE] = "RELEASE",
		[WITNESS_CLEAR] = "CLEAR",
		[WITNESS_PREEMPT] = "PREEMPT",
		[WITNESS_PREEMPT_ABORT] = "PREEMPT AND ABORT",
		[WITNESS_REGISTER_IGNORE] = "REGISTER AND IGNORE EXISTING KEY",
		[WITNESS_MOVE] = "REGISTER AND MOVE",
		[WITNESS_ADMIN] = "a command of the administrator",
		[WITNESS_FOUND] = "what was stored when the daemon started",
	};

	return name_at(names, WITNESS_HOWS, how);
}

const char *witness_time_text(const struct witness_time *t, char *buf, size_t size)
{
	uint64_t s = t->utc_ms / 1000;
	unsigned sec = (unsigned)(s % 86400);
	/* The date of a day number, by eras of 400 years that begin with a March. */
	uint64_t z = s / 86400 + 719468, era = z / 146097;
	unsigned doe = (unsigned)(z % 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153, day = doy - (153 * mp + 2) / 5 + 1;
	unsigned month = mp < 10 ? mp + 3 : mp - 9;

	snprintf(buf, size, "%04" PRIu64 "-%02u-%02u %02u:%02u:%02u UTC",
		 yoe + era * 400 + (month <= 2), month, day, sec / 3600, sec / 60 % 60, sec % 60);
	return buf;
}

const char *witness_span_text(int64_t ms, char *buf, size_t size)
{
	int64_t s = (ms + 500) / 1000, min = (s + 30) / 60, h = s / 3600;

	if (ms < 0)
		snprintf(buf, size, "some time");
	else if (ms < 1000)
		snprintf(buf, size, "%" PRId64 " ms", ms);
	else if (s < 120)
		snprintf(buf, size, "%" PRId64 " s", s);
	else if (min < 120)
		snprintf(buf, size, "%" PRId64 " min", min);
	else if (h < 48)
		snprintf(buf, size, "%" PRId64 " h %" PRId64 " min", h, s / 60 % 60);
	else
		snprintf(buf, size, "%" PRId64 " days", h / 24);
	return buf;
}

/* "name" or "name (ISID 800000000001, group 1)" */
static const char *nexus_text(const struct witness_entry *e, char *buf, size_t size)
{
	const uint8_t *i = e->who.isid;

	snprintf(buf, size, "%s (ISID %02x%02x%02x%02x%02x%02x, group %u)", e->who.initiator, i[0],
		 i[1], i[2], i[3], i[4], i[5], e->who.tpgt);
	return buf;
}

static void text_owned(const struct witness_entry *e, const char *how, char *buf, size_t size)
{
	bool all = e->flag;

	if (!e->who.initiator[0] && !all)
		snprintf(buf, size, "nobody owns the disk any more: %s%s%s", how,
			 e->other[0] ? " of " : "", e->other);
	else
		snprintf(buf, size, "%s owns the disk now: %s%s%s, type %u",
			 all ? "every registered host" : e->who.initiator, how,
			 e->other[0] && strcmp(e->other, e->who.initiator) ? " of " : "",
			 strcmp(e->other, e->who.initiator) ? e->other : "", e->type);
}

static void text_beat(const struct witness_entry *e, char *buf, size_t size)
{
	const char *as = witness_software_name(e->how);
	int n = snprintf(buf, size, "the heartbeat of %s (%s, at byte %" PRIu64 ") %s",
			 e->who.initiator, as ? as : "unknown", e->value,
			 e->flag ? "beats" : "stopped");

	if (!e->flag && witness_time_is(&e->when) && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, "; the last was %s before",
			 witness_span_text(witness_time_between(&e->when, &e->at), (char[48]){ 0 },
					   48));
}

/* What is not in the journal, because it had repeated itself. */
static const char *untold_text(const struct witness_entry *e, char *buf, size_t size)
{
	snprintf(buf, size, " (after %u logins and logouts that are not listed)", e->count);
	return e->count ? buf : "";
}

const char *witness_entry_text(const struct witness_entry *e, char *buf, size_t size)
{
	char nexus[ISCSI_NAME_MAX + 64], more[80];
	const char *who = e->who.initiator, *how = witness_how_name(e->how);

	nexus_text(e, nexus, sizeof(nexus));
	how = how ? how : "?";
	switch (e->kind) {
	case WITNESS_STARTED:
		snprintf(buf, size, "the daemon started");
		break;
	case WITNESS_LOGGED_IN:
		snprintf(buf, size, "%s logged in%s", nexus, untold_text(e, more, sizeof(more)));
		break;
	case WITNESS_LOGGED_OUT:
		snprintf(buf, size, "%s %s%s", nexus,
			 e->flag ? "logged out" : "lost its connection",
			 untold_text(e, more, sizeof(more)));
		break;
	case WITNESS_REGISTERED:
		snprintf(buf, size, "%s registered key %016" PRIx64 ": %s", nexus, e->value, how);
		break;
	case WITNESS_UNREGISTERED:
		snprintf(buf, size, "%s is not registered any more: %s%s%s", nexus, how,
			 e->other[0] && strcmp(e->other, who) ? " of " : "",
			 strcmp(e->other, who) ? e->other : "");
		break;
	case WITNESS_REMOVED:
		snprintf(buf, size, "%s removed the registration of %s: %s", e->other, nexus, how);
		break;
	case WITNESS_OWNED:
		text_owned(e, how, buf, size);
		break;
	case WITNESS_DEFENDED:
		snprintf(buf, size, "%s defended the disk %u time%s%s", who, e->count,
			 e->count == 1 ? "" : "s", e->flag ? ", in rhythm" : "");
		break;
	case WITNESS_CHALLENGED:
		snprintf(more, sizeof(more), " (%u times)", e->count);
		snprintf(buf, size, "%s challenged %s: %s, a conflict%s", who, e->other, how,
			 e->count > 1 ? more : "");
		break;
	case WITNESS_BEAT:
		text_beat(e, buf, size);
		break;
	case WITNESS_MESSAGE:
		how = witness_software_name(e->how);
		snprintf(buf, size, "%s wrote a message of %s to %s", who, how ? how : "unknown",
			 e->other);
		break;
	case WITNESS_SOFTWARE:
		how = witness_software_name(e->how);
		snprintf(buf, size, e->type ? "it looks like %s (%s)" : "it was not %s after all",
			 how ? how : "?", e->type == WITNESS_SURE ? "sure" : "likely");
		break;
	case WITNESS_WARNING:
		how = witness_warning_name(e->how);
		snprintf(buf, size, "warning %s: %s", e->flag ? "begins" : "is over",
			 how ? how : "?");
		break;
	default:
		snprintf(buf, size, "something a later version knows");
		break;
	}
	return buf;
}
