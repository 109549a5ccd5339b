#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each planted bug of target/mutate.h must be found, within so many worlds; and without one nothing.
#
#	tests/sim/mutants.sh [BUILD] [WORLDS]
set -u
B=${1:-build}
worlds=${2:-2000}
sim=$B/tests/sim/sim-mutants
passed=0 failed=0
mapfile -t names < <(sed -n 's/^\t\(MUT_[A-Z_]*\),$/\1/p' "$(dirname "$0")/../../target/mutate.h" | tail -n +2)
for i in "${!names[@]}"; do
	out=$(timeout 120 "$sim" --mutation $((i + 1)) --seeds "$worlds" 2>&1)
	if ! grep -aq '^seed' <<< "$out"; then
		echo "NOT FOUND: ${names[i]} in $worlds worlds, or in 120 s"
		failed=$((failed + 1))
	else
		echo "${names[i]}: $(grep -a '^seed' <<< "$out" | tail -n 1)"
		passed=$((passed + 1))
	fi
done
[ "${#names[@]}" -gt 0 ] || failed=1
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
