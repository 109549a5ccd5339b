#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the wire tests (test_*.c) and the command line's (*cli.sh) of a build directory, each against daemons of its own, under
# both event loop drivers, and adds up their counts. Two at a time.
#
#	tests/daemon/run.sh [BUILD_DIR [NAME...]]	only these: login, data, cli, ...
#
# What a sanitizer writes into a daemon's log fails the test that runs (daemon.c); what it finds in the test programs
# themselves fails them by their exit status.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:-build}
shift || true
export HOLDFASTD=${HOLDFASTD:-$(realpath "$B")/holdfastd}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$PWD/tests/tsan/suppressions halt_on_error=0 exitcode=66}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Sanitizers cost time: time-outs grow with them, and the stress test's share shrinks. All drivers see every program in a plain
# build; in a sanitizer build the second driver sees those that differ most with it.
sanitized=
again='login cmdsn data digest nop reject tmf task_set isolation hold logout stress'
if nm "$HOLDFASTD" 2>/dev/null | grep -q ' __[at]san_init'; then
	export WIRE_SLOW=${WIRE_SLOW:-5}
	export WIRE_STRESS=${WIRE_STRESS:-5}
	again='data tmf logout stress'
	sanitized=yes
fi

# One line per run: driver, name, command.
plan() {
	local driver name
	for driver in auto epoll; do
		for name in stress tmf login logout hold data isolation portal nop cmdsn digest reject task_set; do
			[ -x "$B/tests/daemon/test_$name" ] || continue
			[ $driver = auto ] || [[ " $again " = *" $name "* ]] || continue
			echo "$driver $name $B/tests/daemon/test_$name"
		done
	done
	for f in "$B"/tests/daemon/test_*; do	# one that is not in the list above
		name=$(basename "$f")
		name=${name#test_}
		[[ $name = *.* || " stress tmf login logout hold data isolation portal nop cmdsn digest reject task_set " = *" $name "* ]] ||
			echo "auto $name $f"
	done
	# Its load is a plain program.
	[ -n "$sanitized" ] || printf '%s hung tests/daemon/hung.sh %s\n' auto "$B" epoll "$B"
	echo "auto cli tests/daemon/cli.sh $B"
	echo "auto pr_cli tests/daemon/pr_cli.sh $B"
	echo "auto witness_cli tests/daemon/witness_cli.sh $B"
}

one() {
	local start=$SECONDS log=$1/$3.$2
	export WIRE_DRIVER=$2
	shift 3
	timeout --kill-after=10 400 "$@" > "$log" 2>&1
	echo "exit status $?" >> "$log"
	echo "seconds $((SECONDS - start))" >> "$log"
}
export -f one

while read -r driver name cmd; do
	[ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
	echo "one $out $driver $name $cmd"
done < <(plan) | xargs -P 2 -I{} bash -c '{}'

passed=0 failed=0 skipped=0
for f in "$out"/*; do
	line=$(grep -aE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$f" | tail -n 1)
	p=0 n=1 s=0
	if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped ]]; then
		p=${BASH_REMATCH[1]} n=${BASH_REMATCH[2]} s=${BASH_REMATCH[3]}
	fi
	grep -q '^exit status 0$' "$f" || [ "$n" != 0 ] || n=1
	printf '%-18s %s passed, %s failed, %s skipped (%s s)\n' "$(basename "$f")" "$p" "$n" "$s" \
		"$(sed -n 's/^seconds //p' "$f")" | sed 's/ passed,/ ok,/; s/ failed,/ bad,/; s/ skipped/ left out/'
	grep -a '^ *SKIP' "$f"
	if [ "$n" != 0 ]; then
		tail -n 200 "$f" | sed 's/^/    | /'
	fi
	passed=$((passed + p)) failed=$((failed + n)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
