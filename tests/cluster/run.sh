#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the scenarios, or ONLY=name[,name]. One line each; the output of those that failed; then `N passed, N failed, N skipped`.
# Exit status 1 when one failed. HF_LOGS=DIR keeps the outputs.
cd "$(dirname "$0")" || exit

limit=300			# seconds of one scenario
all=(qemu-img basic restart powercut)
[ -z "${ONLY:-}" ] || IFS=, read -ra all <<<"$ONLY"

passed=0 failed=0 skipped=0
work=$(mktemp -d "${TMPDIR:-/tmp}/hf-run.XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work

for name in "${all[@]}"; do
	start=$SECONDS
	out=${HF_LOGS:-$work}/$name.out
	if [ -x "$name.sh" ]; then
		# The root of the guests is made once: that time is not the scenario's.
		timeout -k 20 "$limit" "./$name.sh" >"$out" 2>&1
		status=$?
	else
		echo "no such scenario" >"$out"
		status=1
	fi
	case $status in
	0) passed=$((passed + 1)) result=ok ;;
	77) skipped=$((skipped + 1)) result="SKIP: $(sed -n 's/^SKIP: //p' "$out" | tail -n 1)" ;;
	124 | 137) failed=$((failed + 1)) result="FAILED: over $limit s" ;;
	*) failed=$((failed + 1)) result="FAILED: $(sed -n 's/^FAIL: //p' "$out" | head -n 1)" ;;
	esac
	printf 'cluster: %-10s %3d s  %s\n' "$name" $((SECONDS - start)) "$result"
	case $result in FAILED*) sed "s/^/    /" "$out" ;; esac
	# What a scenario that was killed has left.
	for left in "$work"/hf-*.*; do
		[ -d "$left/procs" ] && [ "${HF_KEEP:-0}" != 1 ] &&
			bash -c '. ./lib.sh; set +e; hf_cleanup "$1"; rm -rf "$1"' run "$left"
	done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
