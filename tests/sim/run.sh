#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Worlds of the simulation for `make check`: each seed is a test. Then the planted bugs (mutants.sh).
#
#	tests/sim/run.sh [BUILD] [FIRST] [COUNT]
set -u
B=${1:-build}
first=${2:-1} count=${3:-${SEEDS:-1200}}
here=$(dirname "$0")
passed=0 failed=0
end=$((first + count))
at=$first
while [ "$at" -lt "$end" ]; do
	out=$(timeout 240 "$B/tests/sim/sim" --seed "$at" --seeds $((end - at)) --stats 2>&1)
	rc=$?
	[ $rc != 0 ] || { echo "$out"; passed=$((passed + end - at)); break; }
	# Whether it fails or crashes, it names the world.
	bad=$(grep -aoE '^seed [0-9]+' <<< "$out" | tail -n 1 | cut -d' ' -f2)
	bad=${bad:-$at}
	echo "== seed $bad, exit status $rc"
	tail -n 4 <<< "$out"
	passed=$((passed + bad - at)) failed=$((failed + 1))
	at=$((bad + 1))
	[ $failed -lt 10 ] || { echo "and so on"; break; }
done
if [ -x "$B/tests/sim/sim-mutants" ]; then
	m=$("$here/mutants.sh" "$B")
	echo "$m"
	if [[ $(tail -n 1 <<< "$m") =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
	else
		failed=$((failed + 1))
	fi
fi
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
