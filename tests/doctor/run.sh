#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# holdfast doctor: finds nothing wrong with holdfastd, finds planted bugs and what tgtd is known for, and leaves every LUN as
# it was, also after Ctrl-C, a hung target, or a refusal.
#
#	tests/doctor/run.sh [BUILD [short]]	loopback only; DOCTOR_KEEP=1 keeps the directory with logs
#
# short: without planted bugs and tgtd, for builds with sanitizers.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=$(realpath "${1:-build}")
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
D=$(mktemp -d)
IQN=iqn.2026-11.com.example:doctor
passed=0 failed=0 skipped=0 pids='' rc=0
out=$D/out err=$D/err

# Only what was started here; the tests' daemons have nothing worth an orderly end.
cleanup() {
	for p in $pids $(cat "$D"/hf.*/pid 2> /dev/null); do
		kill -CONT "$p" 2> /dev/null
		kill -9 "$p" 2> /dev/null
	done
	wait 2> /dev/null
	[ -n "${DOCTOR_KEEP:-}" ] && echo "logs: $D" || rm -rf "$D"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

ok() { # NAME COMMAND...
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name: $*"
		echo "    status $rc; the end of standard output and error:"
		tail -n 25 "$out" | sed 's/^/    | /'
		tail -n 5 "$err" | sed 's/^/    | /'
	fi
}
skip() { skipped=$((skipped + 1)); echo "SKIP doctor: $*"; }

# ---- ports ----------------------------------------------------------------------------------------
. tests/ports.sh
ports_claim 4 13500 13529 doctor
one=127.0.0.1:${ports[0]} two=127.0.0.1:${ports[1]}
URL=iscsi://$one/$IQN

# ---- holdfastd -------------------------------------------------------------------------------------
printf 'doctor-secret-14' > "$D/secret"
chmod 600 "$D/secret"

daemon() { # PROGRAM FILTERS: LUN 0 and 1 of a target behind two portals, and one that asks for a password
	local i dir
	dir=$(mktemp -d "$D/hf.XXXX")
	head -c 16M /dev/urandom > "$dir/disk.img"
	cat > "$dir/conf.yaml" <<-END
		state_dir: $dir
		data_dir: $dir
		control: $dir/control.sock
		reactors: 2
		portals:
		  - {name: one, listen: "$one", group: 1}
		  - {name: two, listen: "$two", group: 2}
		targets:
		  - name: $IQN
		    luns:
		      - {lun: 0, name: disk, path: disk.img, size: 16M${2:+, filters: '$2'}}
		      - {lun: 1, name: other, backend: memory, size: 16M}
		      - {lun: 2, name: 4k, backend: memory, size: 16M, block_size: 4096}
		      - {lun: 3, name: small, backend: memory, size: 1M}
		  - name: $IQN-chap
		    auth: {user: node, secret_file: $D/secret}
		    luns:
		      - {lun: 0, name: chap, backend: memory, size: 16M}
	END
	# What an administrator would call: whoever runs is killed, and there is a new one.
	cat > "$dir/restart" <<-END
		[ ! -s "$dir/pid" ] || kill -9 \$(cat "$dir/pid")
		ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 "$1" --config "$dir/conf.yaml" > "$dir/log" 2>&1 &
		echo \$! > "$dir/pid"
		for i in \$(seq 300); do
			grep -qs state=ready "$dir/log" && exit 0
			kill -0 \$(cat "$dir/pid") 2> /dev/null || exit 1
			sleep 0.1
		done
		exit 1
	END
	sock=$dir/control.sock image=$dir/disk.img restart="sh $dir/restart"
	$restart && return 0
	echo "FAILED: $1 does not start"
	tail -n 5 "$dir/log"
	failed=$((failed + 1))
	return 1
}
stop() { # the last one started
	kill -9 "$(cat "${sock%/*}/pid")"
	rm "${sock%/*}/pid"
}

doctor() { timeout 100 "$B/holdfast" doctor "$@" > "$out" 2> "$err"; rc=$?; }
status() { [ $rc = "$1" ]; }
says() { grep -qE -- "$1" "$out" "$err"; }
json() { jq -e "$1" < "$out" > /dev/null; }
registrants() { "$B/holdfast" --socket "$sock" --json pr show "$IQN/0" | jq -e ".luns[0].registrants | length == $1" > /dev/null; }
reservation() { "$B/holdfast" --socket "$sock" --json pr show "$IQN/0" | jq -e ".luns[0].type == $1" > /dev/null; }
untouched() { [ "$(sha256sum < "$image")" = "$sum" ]; }
# A busy machine may be slow: that is a warning of these, and no news about Holdfast.
timing='latency-read|latency-write|pr-time|registration-burst|preempt-writes|preempt-abort-writes|preempt-abort-load'
verdicts() { jq -r '.checks[] | .name + " " + .verdict' "$out"; }
all_pass() { # EXCEPT: nothing but pass; a warning of a slow machine is told
	local odd
	odd=$(verdicts | grep -vE " pass\$|^($1) ") || return 0
	echo "    not passed: $odd" | tr '\n' ' '
	echo
	! grep -qvE "^($timing) warn\$" <<< "$odd"
}
wait_registered() { # at most 10 s: somebody is registered
	local i
	for ((i = 0; i < 100; i++)); do
		registrants 0 || return 0
		sleep 0.1
	done
	return 1
}

echo "== holdfastd: nothing is wrong with it"
daemon "$B/holdfastd" '' || { echo "$passed passed, $failed failed, $skipped skipped"; exit 1; }
sum=$(sha256sum < "$image")
doctor --json --allow-writes --second-portal "$two" --restart "$restart" "$URL/0"
ok "no check fails" status 0
ok "all are run and pass" all_pass 'none'
ok "all checks of --list are there, and cleanup" [ "$(verdicts | wc -l)" = $(($("$B/holdfast" doctor --list | wc -l) + 1)) ]
ok "each says what it asks and means" json '[.checks[] | select(.clause == "" or .asks == "" or .meaning == "" or .title == "")] == []'
ok "each says what was sent and came back" json '[.checks[] | select(.name != "pr-time" and .name != "cleanup" and (.exchange | length) == 0)] == []'
ok "the data are as they were" untouched
ok "no registration stays" registrants 0
doctor "$URL/0"
ok "one portal, without writes" status 0
ok "what writes is skipped, and says why" says '^ +it writes: say --allow-writes'
ok "the summary" says '[0-9]+ passed, .* 0 failed, 9 skipped'
ok "the data are as they were" untouched
doctor --json --allow-writes "$URL/2"
ok "a disk with blocks of 4096 bytes" status 0
ok "all are run and pass, but the restart" all_pass 'restart'
doctor --json --allow-writes --only inquiry,coherent,pr-access "$URL/3"
ok "a disk too small to write: no failure" status 0
ok "skipped with the reason" json '.checks[] | select(.name == "coherent") | .verdict == "skipped" and (.text | test("8 MiB"))'
ok "only what was asked for" json '[.checks[].name] == ["inquiry", "coherent", "pr-access", "cleanup"]'
doctor --only inquiry --initiator iqn.2026-11.com.example:all "$URL/0"
ok "one initiator name for all" status 0
doctor --only inquiry "iscsi://node%doctor-secret-14@$one/$IQN-chap/0"
ok "CHAP" status 0

echo "== refusals"
doctor --only inquiry "iscsi://node%wrong-secret-1@$one/$IQN-chap/0"
ok "a wrong password" status 2
doctor
ok "no URL" status 2
doctor nonsense
ok "a bad URL" status 2
ok "says what is expected" says 'expected iscsi://'
doctor --only nonsense "$URL/0"
ok "an unknown check" status 2
doctor --time-limit 0 "$URL/0"
ok "a bad time limit" status 2
doctor --only nope,thin "$URL/0"
ok "an unknown check among known ones" status 2
doctor --second-portal "" "$URL/0"
ok "a bad second portal" status 2
doctor "iscsi://127.0.0.1:${ports[2]}/$IQN/0"
ok "nobody listens" status 2
ok "says so" says 'login of A at'
doctor --json "iscsi://$one/$IQN-nobody/0"
ok "no such target" status 2
ok "in JSON, too" json '.error | test("login of A")'
doctor "$URL/9"
ok "no such LUN" status 2
timeout 60 python3 -c '
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); time.sleep(60)' "${ports[2]}" &
silent=$!
pids="$pids $silent"
for ((i = 0; i < 50; i++)); do (exec 3<> "/dev/tcp/127.0.0.1/${ports[2]}") 2> /dev/null && break; sleep 0.1; done
start=$SECONDS
doctor --time-limit 1 "iscsi://127.0.0.1:${ports[2]}/$IQN/0"
ok "who never answers" status 2
ok "is said not to" says 'no answer within the time limit'
ok "is given up on soon" [ $((SECONDS - start)) -lt 20 ]	# it would be silent for a minute
kill $silent
cp "$B/holdfast" "$D/holdfast"
(PATH=/nonexistent "$D/holdfast" doctor --list > "$out" 2> "$err")
rc=$?
ok "a doctor that is not installed" status 2
ok "is named" says 'holdfast-doctor.*installed'

echo "== Ctrl-C, and worse"
"$B/holdfast" doctor "$URL/0" 2> "$err" | head -n 3 > "$out"
rc=${PIPESTATUS[0]}
ok "nobody reads: it stops" status 130
ok "no registration stays" registrants 0
slow="--real-time --only arbitration-undefended"
# A job of a script ignores SIGINT unless it asks for it, as doctor does.
# shellcheck disable=SC2086
"$B/holdfast" doctor $slow "$URL/0" > "$out" 2> "$err" &
p=$!
pids="$pids $p"
ok "it is registered" wait_registered
kill -INT $p
wait $p
rc=$?
ok "Ctrl-C ends it with 130" status 130
ok "and it says so" says 'interrupted; the LUN is as it was found'
ok "no registration stays" registrants 0
ok "no reservation stays" reservation 0
for _ in 1 2 3; do	# who stood still here may find it at its end
	"$B/holdfast" doctor --allow-writes --only preempt-writes,abort-task "$URL/0" > "$out" 2> "$err" &
	p=$!
	pids="$pids $p"
	wait_registered
	sleep 0.3
	kill -TERM $p 2> /dev/null
	wait $p
	rc=$?
	[ $rc = 0 ] || break
done
ok "SIGTERM with writes under way" status 130
ok "the data are as they were" untouched
ok "no registration stays" registrants 0
# Killed without a chance: what stays is foreign to the next run.
# shellcheck disable=SC2086
"$B/holdfast" doctor $slow "$URL/0" > "$out" 2> "$err" &
p=$!
pids="$pids $p"
for ((i = 0; i < 100; i++)); do registrants 2 && break; sleep 0.1; done
kill -9 $p
wait $p 2> /dev/null
ok "a killed doctor leaves registrations" registrants 2
doctor --allow-writes "$URL/0"
ok "registrations of others are refused" status 2
ok "says how many, and whose" says '2 registrations of others.* and a reservation.*killed'
doctor --json --allow-writes --foreign-ok "$URL/0"
ok "--foreign-ok goes on" status 0
ok "with what disturbs nobody" json '(.checks[] | select(.name == "pr-reserve") | .verdict) == "skipped" and (.checks[] | select(.name == "vpd-83") | .verdict) == "pass"'
ok "the others' registrations stay" registrants 2
ok "their reservation stays" reservation 5
ok "the data are as they were" untouched
"$B/holdfast" --socket "$sock" pr clear --force "$IQN/0" > /dev/null
doctor "iscsi://127.0.0.1:1/$IQN/0"
ok "no target there: exit status" status 2
ok "and what that means" says 'login of A at 127.0.0.1:1: [a-zA-Z]'
doctor --only restart --restart false "$URL/0"
ok "a restart command that fails is no verdict" status 0
ok "but skipped" says 'SKIP  restart'
# The target hangs.
# shellcheck disable=SC2086
"$B/holdfast" doctor $slow --time-limit 1 "$URL/0" > "$out" 2> "$err" &
p=$!
pids="$pids $p"
wait_registered
kill -STOP "$(cat "${sock%/*}/pid")"
start=$SECONDS
wait $p
rc=$?
kill -CONT "$(cat "${sock%/*}/pid")"
ok "a hung target is a failure" status 1
ok "within its time" [ $((SECONDS - start)) -lt 30 ]
ok "and named" says 'no answer within the time limit'
ok "and that it could not clean up is told" says '^FAIL  cleanup'
stop

if [ "${2:-}" = short ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ]
	exit
fi

echo "== planted bugs"
if [ -x "$B/tests/pr/holdfastd-GATE_ONCE" ] && [ -x "$B/tests/pr/holdfastd-NO_DRAIN" ] && [ -x "$B/tests/pr/holdfastd-NO_PERSIST" ]; then
	daemon "$B/tests/pr/holdfastd-GATE_ONCE" '' && {
		doctor --json --allow-writes --only preempt-writes "$URL/0"
		ok "GATE_ONCE: reservations checked only when a command arrives" status 1
		ok "found by preempt-writes" json '.checks[0] | .verdict == "fail" and (.text | test("fenced node"))'
		stop
	}
	daemon "$B/tests/pr/holdfastd-NO_PERSIST" '' && {
		doctor --json --only restart --restart "$restart" "$URL/0"
		ok "NO_PERSIST: reservations are answered and not stored" status 1
		ok "found by restart" json '.checks[0] | .verdict == "fail" and (.text | test("registrations are lost"))'
		stop
	}
	daemon "$B/tests/pr/holdfastd-NO_DRAIN" 'delay:op=write,min_us=1000,max_us=100000' && {
		# Which write is overtaken is chance: three times three rounds.
		for _ in 1 2 3; do
			doctor --json --allow-writes --only preempt-abort-load "$URL/0"
			status 1 && break
		done
		ok "NO_DRAIN: PREEMPT AND ABORT does not wait for the backend" status 1
		ok "found by preempt-abort-load" json '.checks[0] | .verdict == "fail" and (.text | test("was carried out after"))'
		stop
	}
	daemon "$B/holdfastd" 'delay:op=write,min_us=1000,max_us=100000' && {
		doctor --json --allow-writes --only preempt-writes,preempt-abort-writes,preempt-abort-load,abort-task,lun-reset "$URL/0"
		ok "the daemon without them, as slow" status 0
		stop
	}
else
	skip "planted bugs: no $B/tests/pr/holdfastd-GATE_ONCE (make pr-mutants)"
fi

echo "== tgtd: its known failures, no more and no less"
tgtd_up() {
	local i adm="tgtadm -C ${ports[3]} --lld iscsi"
	mkdir -p /var/run/tgtd
	truncate -s 16M "$D/tgt.img"
	tgtd -f -C "${ports[3]}" --iscsi portal=127.0.0.1:"${ports[3]}" > "$D/tgtd.log" 2>&1 &
	pids="$pids $!"
	for ((i = 0; i < 50; i++)); do
		$adm --op new --mode target --tid 1 -T $IQN-tgt 2> /dev/null && break
		sleep 0.1
	done
	$adm --op new --mode logicalunit --tid 1 --lun 1 -b "$D/tgt.img" --bstype rdwr &&
		$adm --op bind --mode target --tid 1 -I ALL
}
if ! command -v tgtd > /dev/null || ! command -v tgtadm > /dev/null; then
	skip "tgtd: not installed (Debian package tgt)"
elif [ "$(id -u)" != 0 ]; then
	skip "tgtd: needs root"
elif ! tgtd_up; then
	skip "tgtd: does not start here: $(tail -n 1 "$D/tgtd.log")"
else
	doctor --json --allow-writes "iscsi://127.0.0.1:${ports[3]}/$IQN-tgt/1"
	ok "tgtd fails" status 1
	verdicts | grep -vE "^(latency-read|latency-write|pr-time|registration-burst) (pass|warn)\$" > "$D/tgtd"
	grep -v '^#' tests/doctor/tgtd.expected > "$D/tgtd.expected"
	ok "as expected" diff "$D/tgtd.expected" "$D/tgtd"
	doctor --only inquiry --json "iscsi://127.0.0.1:${ports[3]}/$IQN-tgt/1"
	ok "nothing of ours stays there" status 0
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
