/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as hexadecimal digits. */
#ifndef TARGET_HEX_H
#define TARGET_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes 2 * n digits, in lower case, and a NUL. Any thread. */
static inline void hex_put(char *out, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

#endif
