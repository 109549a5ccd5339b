#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Replays every fuzzer's corpus, or with T=seconds in the environment fuzzes each for that long. $1: the build directory.
set -u
B=${1:-build-asan}
T=${T:-0}
passed=0 failed=0
for f in "$B"/tests/fuzz/fuzz_*; do
	case $f in *.o|*.d) continue ;; esac
	name=$(basename "$f"); name=${name#fuzz_}
	corpus=tests/fuzz/corpus/$name
	if [ "$T" -gt 0 ]; then
		work=$(mktemp -d)
		dict=
		[ ! -e tests/fuzz/"$name".dict ] || dict=-dict=tests/fuzz/$name.dict
		# shellcheck disable=SC2086
		"$f" -max_total_time="$T" -print_final_stats=1 -artifact_prefix="$B/" $dict "$work" "$corpus" > "$B/fuzz-$name.log" 2>&1
		rc=$?
		rm -rf "$work"
		echo "$name: $(grep -a stat::number_of_executed_units "$B/fuzz-$name.log") status $rc"
	else
		n=$(find "$corpus" -type f | wc -l)
		"$f" -runs=0 -artifact_prefix="$B/" "$corpus" > "$B/fuzz-$name.log" 2>&1
		rc=$?
		[ "$n" -gt 0 ] || rc=99
		echo "$name: $n inputs replayed, status $rc"
	fi
	if [ $rc = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		tail -n 30 "$B/fuzz-$name.log"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
