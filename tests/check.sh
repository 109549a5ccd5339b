#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every part of `make check` and adds up what each says in its last line, "N passed, N failed, N skipped". A part that ends without
# such a line, or with an error, counts as one failure. Logs: $B/check/PART.log.
#
#	tests/check.sh [PART...]	only these parts
set -u
cd "$(dirname "$0")/.." || exit 1
B=${B:-build}
logs=$B/check
mkdir -p "$logs"
passed=0 failed=0 skipped=0 bad=

# One line per part: name, time limit in seconds, command.
parts() {
	cat <<END
lint 120 tests/lint/run.sh
install 120 tests/install/run.sh $B
units 600 tests/unit/run.sh $B
fuzz 300 tests/fuzz/run.sh $B-asan
asan 900 tests/unit/run.sh $B-asan
tsan 1200 tests/unit/run.sh $B-tsan
race 120 tests/tsan/run.sh
daemon 300 tests/daemon/run.sh $B
daemon-asan 400 tests/daemon/run.sh $B-asan
daemon-tsan 600 tests/daemon/run.sh $B-tsan
sim 300 env B=$B tests/sim/run.sh $B
sim-asan 300 tests/sim/run.sh $B-asan 5000 300
pr 600 tests/pr/run.sh $B
pr-asan 400 tests/pr/run.sh $B-asan
pr-tsan 600 tests/pr/run.sh $B-tsan
doctor 300 tests/doctor/run.sh $B
doctor-asan 300 tests/doctor/run.sh $B-asan short
conformance 900 env HF_BUILD=$B tests/conformance/iscsi-test-cu/run.sh
cluster 2400 env HF_SHORT=1 HF_BUILD=$B tests/cluster/run.sh
bench 480 env BENCH_SECONDS=1 B=$B tests/bench/run.sh check
END
}

run() {
	local name=$1 limit=$2 line start=$SECONDS rc
	shift 2
	printf '%-14s ' "$name"
	timeout --kill-after=20 "$limit" "$@" > "$logs/$name.log" 2>&1
	rc=$?
	line=$(grep -aE '(^|: )[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$logs/$name.log" | tail -n 1)
	if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)? ]]; then
		local f=${BASH_REMATCH[2]}
		passed=$((passed + BASH_REMATCH[1]))
		skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
		if [ $rc != 0 ] && [ "$f" = 0 ]; then f=1; fi
		failed=$((failed + f))
	else
		line="no result, exit status $rc"
		failed=$((failed + 1))
	fi
	echo "${line#*: } ($((SECONDS - start)) s)"
	grep -aE '^ *SKIP' "$logs/$name.log" | sed 's/^/    /' | head -n 40
	if [ $rc != 0 ]; then
		bad="$bad $name"
		echo "    failed; the end of $logs/$name.log:"
		tail -n 40 "$logs/$name.log" | sed 's/^/    | /'
	fi
}

while read -r name limit cmd; do
	[ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
	# shellcheck disable=SC2086
	run "$name" "$limit" $cmd < /dev/null
done < <(parts)
# Last, as the end is what one gets to see: which tests of which part.
for name in $bad; do
	echo "failed: $name"
	grep -aE '\bFAIL(ED)?\b|BROKEN|Sanitizer:|runtime error:|^[ |]+[0-9]+\. .*:[0-9]+ +- ' "$logs/$name.log" |
		sed 's/^[ |]*/    | /' | head -n 12
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
