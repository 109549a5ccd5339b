# SPDX-License-Identifier: Apache-2.0
# For cli.sh and pr_cli.sh, which source it with the build directory as $1: a daemon, `holdfast`, what
# it printed.
# shellcheck shell=bash
set -u
shopt -s lastpipe	# so that raw() at the end of a pipe sets rc here
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
B=${1:-build}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$PWD/tests/tsan/suppressions halt_on_error=0 exitcode=66}
D=$(mktemp -d)
chmod 711 "$D"
cp "$B/holdfast" "$D/holdfast"		# where another user can run it
S=$D/run/control.sock
IQN=iqn.2026-11.com.example
passed=0 failed=0 skipped=0 daemon='' nexus='' storm=''
out=$D/out err=$D/err rc=0

cleanup() {
	[ -z "$storm" ] || kill "$storm" 2> /dev/null
	[ -z "$nexus" ] || kill "$nexus" 2> /dev/null
	[ -z "$daemon" ] || kill -9 "$daemon" 2> /dev/null
	wait 2> /dev/null
	! mountpoint -q "$D/full" || umount "$D/full"
	rm -rf "$D"
}
trap cleanup EXIT

# ok NAME COMMAND...: one test.
ok() {
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name: $*"
		echo "    status $rc; stdout, stderr of the last command:"
		head -n 20 "$out" | sed 's/^/    | /'
		head -n 20 "$err" | sed 's/^/    | /'
	fi
}
skip() {
	skipped=$((skipped + 1))
	echo "SKIP: $*"
}
have() { command -v "$1" > /dev/null; }

hf() { timeout 90 "$D/holdfast" --socket "$S" "$@" > "$out" 2> "$err"; rc=$?; }
# Status and what standard error says.
says() { [ "$rc" = "$1" ] && grep -qF -- "$2" "$err"; }
shows() { [ "$rc" = 0 ] && grep -qE -- "$1" "$out"; }
json() { [ "$rc" = 0 ] && jq -e "$1" < "$out" > /dev/null; }

# ---- ports and daemons ---------------------------------------------------------------------------
. tests/ports.sh
ports_claim 2 13420 13439 cli

# config FILE PORT STATE CONTROL
config() {
	cat > "$1" <<END
state_dir: $D/$3
control: $4
reactors: 2
limits: {nop_interval: 600, sessions: 20000}
portals:
  - {name: net, listen: "127.0.0.1:$2", group: 1}
targets:
  - name: $IQN:quorum
    luns:
      - {lun: 0, name: quorum, type: witness, path: quorum.img, size: 16M}
  - name: $IQN:cluster1
    luns:
      - {lun: 0, name: csv, path: csv.img, size: 1T}
      - {lun: 7, name: dtc, backend: memory, size: 200M, block_size: 4096, naa: 30000001000000AB, serial: S 1,
         filters: "fault:op=flush,while=$D/noflush"}
      - {lun: 8, name: slow, backend: memory, size: 16M, filters: "fault:op=write,hang,while=$D/hang"}
  - name: $IQN:many
    luns:
      - {lun: 0, name: many, backend: memory, size: 16M}
END
}
start() { # CONFIG: the daemon; its log is $D/log
	rm -f "$D/log"	# the one before says that it is ready, too
	# What a reactor keeps in its pools it does not give back at the end: no leak.
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 "$B/holdfastd" --config "$1" 2> "$D/log" &
	daemon=$!
	for _ in $(seq 600); do
		grep -qs state=ready "$D/log" && return 0
		kill -0 $daemon 2> /dev/null || return 1
		sleep 0.1
	done
	return 1
}
finish() { # signal: gives the exit status
	local status
	kill "-$1" "$daemon"
	wait "$daemon" 2> /dev/null
	status=$?
	daemon=
	return $status
}
# Asks until it is so.
soon() {
	local _
	for _ in $(seq 300); do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}
# The log says so, now or in a moment: it is written by a thread of its own.
logs() { soon grep -q -- "$1" "$D/log"; }
clean_log() { ! grep -aE -A 25 'Sanitizer|runtime error' "$D/log" | head -n 80 | grep -a .; }

tell() { # a line to nexus.py; its answer in $answer
	answer=
	echo "$*" >&"${NEXUS[1]}" && read -r -t 120 answer <&"${NEXUS[0]}"
}
told() { tell "${@:2}" && [ "$answer" = "$1" ]; }
