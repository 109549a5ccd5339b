#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Persistent reservations against the real daemon of a build directory. Last line: what passed.
#
#	tests/pr/run.sh BUILD_DIR
#
# PR_FULL=1: more kills, and Windows' own seconds.
# ONLY=name[,name]: hammer storm windows registrants attention witness mutants
# Sanitizer builds (BUILD_DIR ends in -asan or -tsan) get more time and do less; what a sanitizer
# says in the daemon's log is a failure.
set -u
build=$(realpath -m "${1:?BUILD_DIR}")
bin=$build/tests/pr
rounds=1000 killed=40 kills=200 deaths=12 windows=(--nodes 64)
case $build in
*-asan) export WIRE_SLOW=${WIRE_SLOW:-4} rounds=40 killed=6 kills=10 deaths=4 windows=(--nodes 16) ;;
*-tsan) export WIRE_SLOW=${WIRE_SLOW:-8} rounds=40 killed=6 kills=10 deaths=4 windows=(--nodes 8) ;;
esac
if [ "${PR_FULL:-0}" = 1 ]; then
	rounds=1000 killed=100 kills=400 deaths=40 windows=(--nodes 64 --real)
fi
export WIRE_PORT=${WIRE_PORT:-13480}
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/hf-pr.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 1' INT TERM
passed=0 failed=0 skipped=0

wanted() {
	[ -z "${ONLY:-}" ] || [[ ",$ONLY," = *",$1,"* ]]
}

# begin NAME PROGRAM ARGS...: runs it, several at once; finish NAME says what came of it.
begin() {
	timeout -k 10 1500 "$bin/$2" "${@:3}" >"$TMPDIR/$1.out" 2>&1 &
	echo $! >"$TMPDIR/$1.pid"
}

finish() {
	local out=$TMPDIR/$1.out status=0 line
	wait "$(cat "$TMPDIR/$1.pid")" || status=$?
	line=$(grep -aE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$out" | tail -n 1)
	if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		skipped=$((skipped + BASH_REMATCH[3]))
		if [ $status != 0 ] && [ "${BASH_REMATCH[2]}" = 0 ]; then
			failed=$((failed + 1))
		else
			failed=$((failed + BASH_REMATCH[2]))
		fi
		echo "$1: ${line#*: }"
	else
		failed=$((failed + 1))
		echo "$1: no result, exit status $status"
	fi
	grep -aE '^    [0-9]+ |^    (B.s command|under load|meanwhile|arbitration|validation)' "$out"
	[ $status = 0 ] || tail -n 60 "$out"
}

# mutant NAME WHAT PROGRAM ARGS...: the daemon with that bug fails the test, and WHAT is said.
mutant() {
	local out=$TMPDIR/mutant.out daemon=$bin/holdfastd-$1
	if ! [ -x "$daemon" ]; then
		echo "SKIP mutant $1: not built (make pr-mutants)"
		skipped=$((skipped + 1))
		return
	fi
	if ! HOLDFASTD=$daemon timeout -k 10 120 "$bin/$3" "${@:4}" >"$out" 2>&1 &&
		grep -q "$2" "$out"; then
		echo "mutant $1: caught by ${*:3}"
		passed=$((passed + 1))
	else
		echo "mutant $1: NOT caught by ${*:3}"
		tail -n 20 "$out"
		failed=$((failed + 1))
	fi
}

# Clusters take their time, most of it asleep: beside all the others.
! wanted witness || begin witness witness "$deaths"
if wanted hammer; then
	begin abort hammer abort $rounds
	begin preempt hammer preempt $rounds
	begin kill hammer kill $killed
	finish abort
	finish preempt
	finish kill
fi
for name in storm registrants attention windows; do
	wanted $name || continue
	case $name in
	storm) begin storm storm $kills ;;
	windows) begin windows windows "${windows[@]}" ;;
	*) begin $name $name ;;
	esac
	finish $name
done
! wanted witness || finish witness
# The mutants are of the plain build only.
if wanted mutants && [[ $build != *-?san ]]; then
	after="of node A after the answer"
	mutant NO_DRAIN "$after" hammer abort 40
	mutant NO_DRAIN "$after" hammer preempt 40
	mutant GATE_ONCE "$after" hammer preempt 40
	mutant EARLY_ANSWER "$after" hammer preempt 80
	mutant NO_ORPHANS "$after" hammer abort 80
	mutant NO_PERSIST "neither the state last answered" storm 10
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
