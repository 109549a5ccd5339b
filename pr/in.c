/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE IN (SPC-4 6.15): one function per service action. */
#include "pr/state.h"
#include "pr/transportid.h"

enum {
	SCOPE_LU = 0,
	/*
	 * REPORT CAPABILITIES, byte 2 (SPC-4 table 207). RLR_C is 0: reservations are never lost in
	 * part.
	 */
	CRH = 0x10, SIP_C = 0x08, ATP_C = 0x04, PTPL_C = 0x01,
	/*
	 * Byte 3. ALLOW COMMANDS 100b: as table 65 has it, without the exceptions of older devices.
	 */
	TMV = 0x80, ALLOW_COMMANDS = 4 << 4, PTPL_A = 0x01,
	/* Bytes 4 and 5 (table 209): all six types. */
	TYPES_LOW = 0x80 | 0x40 | 0x20 | 0x08 | 0x02, TYPES_HIGH = 0x01,
	R_HOLDER = 0x01,
};

/* SPC-4 6.15.2. A key stands there once for each nexus that has it. */
static void read_keys(const struct pr_state *s, struct wcur *out)
{
	wcur_be32(out, s->generation);
	wcur_be32(out, 8u * s->nregs);
	for (unsigned i = 0; i < s->nregs; i++)
		wcur_be64(out, s->regs[i].key);
}

/* SPC-4 6.15.3. Under an all registrants type the key is 0 (5.13.10). */
static void read_reservation(const struct pr_state *s, struct wcur *out)
{
	wcur_be32(out, s->generation);
	if (s->type == PR_NONE) {
		wcur_be32(out, 0);
		return;
	}
	wcur_be32(out, 16);
	wcur_be64(out, s->holder == PR_NO_HOLDER ? 0 : s->regs[s->holder].key);
	wcur_zero(out, 5);
	wcur_u8(out, (uint8_t)(SCOPE_LU << 4 | s->type));
	wcur_zero(out, 2);
}

/* SPC-4 6.15.4. */
static void report_capabilities(const struct pr_state *s, struct wcur *out)
{
	wcur_be16(out, 8);
	wcur_u8(out, CRH | SIP_C | ATP_C | PTPL_C);
	wcur_u8(out, TMV | ALLOW_COMMANDS | (s->aptpl ? PTPL_A : 0));
	wcur_u8(out, TYPES_LOW);
	wcur_u8(out, TYPES_HIGH);
	wcur_zero(out, 2);
}

/* SPC-4 6.15.5. One descriptor for each I_T nexus, so ALL_TG_PT is 0 in all of them. */
static void read_full_status(const struct pr_state *s, struct wcur *out)
{
	size_t start = out->len;

	wcur_be32(out, s->generation);
	wcur_be32(out, 0);
	for (unsigned i = 0; i < s->nregs; i++) {
		const struct pr_reg *r = &s->regs[i];
		bool holder = pr_is_holder(s, i);
		size_t at;

		wcur_be64(out, r->key);
		wcur_zero(out, 4);
		wcur_u8(out, holder ? R_HOLDER : 0);
		wcur_u8(out, holder ? (uint8_t)(SCOPE_LU << 4 | s->type) : 0);
		wcur_zero(out, 4);
		wcur_be16(out, r->tpgt);
		at = out->len;
		wcur_be32(out, 0);
		transportid_put(out, pr_name(s, r), r->isid);
		wcur_patch_be32(out, at, (uint32_t)(out->len - at - 4));
	}
	wcur_patch_be32(out, start + 4, (uint32_t)(out->len - start - 8));
}

static void (*const actions[])(const struct pr_state *s, struct wcur *out) = {
	read_keys, read_reservation, report_capabilities, read_full_status,
};

bool pr_in(const struct pr_state *s, const struct scsi_target *target, uint8_t sa, struct wcur *out)
{
	if (sa >= sizeof(actions) / sizeof(actions[0]))
		return false;
	actions[sa](s, out);
	return true;
}

size_t pr_in_max(const struct pr_state *s, uint8_t sa)
{
	/* A cursor with no room counts what the whole answer takes. */
	struct wcur none = wcur_of(NULL, 0);

	pr_in(s, NULL, sa, &none);
	return none.len;
}
