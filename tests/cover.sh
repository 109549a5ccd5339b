#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Line coverage of the pure core from a --coverage build whose unit tests have run: per file, and in all.
set -u
B=$1
total=0 hit=0
while read -r f; do
	read -r pct of < <(gcov -n -o "$B/obj/$(dirname "$f")" "$f" 2>/dev/null |
		awk -v f="$f" '$0 ~ "^File .*" f { on = 1 } on && /Lines executed/ { sub(/.*:/, ""); sub(/%/, ""); print $1, $3; exit }')
	[ -n "${of:-}" ] || continue
	printf '%7s %% of %5s  %s\n' "$pct" "$of" "$f"
	total=$((total + of))
	hit=$(awk -v h="$hit" -v p="$pct" -v o="$of" 'BEGIN { printf "%.0f", h + p * o / 100 }')
done < <(ls scsi/*.c pr/*.c witness/*.c target/iscsi/*.c 2>/dev/null)
awk -v h="$hit" -v t="$total" 'BEGIN { printf "pure core: %d of %d lines, %.1f %%\n", h, t, t ? 100 * h / t : 0 }'
