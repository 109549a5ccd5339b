#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Is the thread sanitizer still able to see a race through the mailbox? A planted one must be reported, the same program without it must be
# clean. $B: the build directory; its -tsan twin must be built.
set -u
L=${B:-build}-tsan
passed=0 failed=0
# shellcheck disable=SC2046
${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=thread $(pkg-config --cflags liburing liburcu-qsbr) \
	tests/tsan/planted_race.c "$L/libshell.a" "$L/libpure.a" $(pkg-config --libs liburing liburcu-qsbr libisal libcrypto yaml-0.1) \
	-laio -lpthread -o "$L/planted_race" || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }

expect() {
	local what=$1 want=$2 rc
	shift 2
	"$@" > "$L/planted_race.log" 2>&1
	rc=$?
	if [ $rc = "$want" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$what: exit status $rc, expected $want"
		tail -n 30 "$L/planted_race.log"
	fi
}
expect "the planted race is reported" 66 "$L/planted_race" race
expect "without it nothing is reported" 0 "$L/planted_race"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
