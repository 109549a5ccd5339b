#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every unit test program of a build directory, two at a time, and adds up their counts.
set -u
B=${1:-build}
# LeakSanitizer and ThreadSanitizer report on their own; a report is a failure of that program.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$PWD/tests/tsan/suppressions halt_on_error=0 exitcode=66}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
printf '%s\n' "$B"/tests/unit/test_* | grep -v '\.[od]$' |
	xargs -P 2 -I{} sh -c 'timeout 300 "$1" > "$2/$(basename "$1")" 2>&1; echo "exit status $?" >> "$2/$(basename "$1")"' sh {} "$out"
passed=0 failed=0 skipped=0
for f in "$out"/*; do
	name=$(basename "$f")
	line=$(grep -aE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$f" | tail -n 1)
	p=0 n=1 s=0
	if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped ]]; then
		p=${BASH_REMATCH[1]} n=${BASH_REMATCH[2]} s=${BASH_REMATCH[3]}
	fi
	grep -q '^exit status 0$' "$f" || [ "$n" != 0 ] || n=1
	grep -a '^ *SKIP' "$f"
	if [ "$n" != 0 ]; then
		echo "== $name"
		tail -n 60 "$f"
	fi
	passed=$((passed + p)) failed=$((failed + n)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
