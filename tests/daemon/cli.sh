#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line against a real daemon: each command in both forms, what is answered when things
# are wrong, the socket itself.
#
#	tests/daemon/cli.sh [BUILD]
#
# CLI_SESSIONS: how many sessions are listed at once (default 1000).
. "$(dirname "$0")/cli_lib.sh"

# ---- without a daemon ----------------------------------------------------------------------------
config "$D/a.yaml" "${ports[0]}" state-a "$S"
config "$D/b.yaml" "${ports[1]}" state-b "$S"

hf status
ok "no daemon" says 1 "is holdfastd running"
ok "no daemon: the path is named" says 1 "$S"
hf --socket "$D/$(printf 'x%.0s' {1..120})" status
ok "a path too long" says 1 "at most 107 bytes"
hf --help
ok "--help" shows '^usage: holdfast'
hf --version
ok "--version" shows '^holdfast [0-9]+\.[0-9]+'
hf
ok "nothing typed" says 2 "usage: holdfast"
hf frobnicate
ok "an unknown command" says 2 "unknown command 'frobnicate'"
hf sesion lst
ok "a command misspelt" says 2 "did you mean 'session list'?"
hf statsu
ok "letters swapped" says 2 "did you mean 'status'?"
hf session
ok "half a command" says 2 "expected 'session list'"
hf status now
ok "an argument too many" says 2 "unexpected argument 'now'"
hf --frob status
ok "an unknown option" says 2 "--frob"
hf lun recover
ok "an argument missing" says 2 "TARGET/LUN"
hf pr clear csv
ok "what destroys asks for --force" says 2 "--force"
hf pr prune csv
ok "and names --dry-run where there is one" says 2 "--dry-run"
hf doctor iscsi://127.0.0.1/x/0
ok "doctor behind options of the daemon" says 2 "'doctor' comes first"
hf --force status
ok "--force where it means nothing" says 2 "takes no --force"
hf pr show $'\xff'
ok "an argument that is no UTF-8" says 2 "UTF-8"

# ---- the socket ----------------------------------------------------------------------------------
sed -i 's/group: 1}/group: 1, congestion: reno}/' "$D/a.yaml"
ok "the daemon starts, its socket's directory is made" start "$D/a.yaml"
if have ss; then
	ss -tlinH "sport = :${ports[0]}" > "$out" 2> "$err"
	rc=$?
	ok "its portal has the congestion control that was asked for" shows '[[:space:]]reno[[:space:]]'
else
	skip "a portal's congestion control: no ss (Debian package iproute2)"
fi
ok "it is a socket" [ -S "$S" ]
ok "of mode 0600" [ "$(stat -c %a "$S")" = 600 ]
if [ "$(id -u)" = 0 ]; then
	chmod 711 "$D/run"
	timeout 60 setpriv --reuid=65534 --regid=65534 --clear-groups "$D/holdfast" --socket "$S" status > "$out" 2> "$err"
	rc=$?
	ok "another user is refused" says 1 "Permission denied"
	ok "and told who may" says 1 "only the user holdfastd runs as"
else
	skip "permissions: not root, so nobody else to be"
fi
timeout 60 "$B/holdfastd" --config "$D/b.yaml" > "$out" 2> "$err"
rc=$?
ok "a second daemon on the same socket" says 1 "another holdfastd has this control socket"
sed "s/:${ports[1]}/:${ports[0]}/" "$D/b.yaml" > "$D/c.yaml"
timeout 60 "$B/holdfastd" --config "$D/c.yaml" > "$out" 2> "$err"
rc=$?
ok "a port that is taken" says 1 "Address already in use, 'ss -tlnp' shows by whom"
sed "s/127.0.0.1:${ports[1]}/192.0.2.77:${ports[1]}/" "$D/b.yaml" > "$D/c.yaml"
timeout 60 "$B/holdfastd" --config "$D/c.yaml" > "$out" 2> "$err"
rc=$?
ok "an address that is not ours" says 1 "no interface has this address"
sed 's/group: 1}/group: 1, congestion: nosuch}/; s#^control: .*#control: '"$D"'/run-b/control.sock#' "$D/b.yaml" > "$D/c.yaml"
timeout 60 "$B/holdfastd" --config "$D/c.yaml" > "$out" 2> "$err"
rc=$?
ok "a congestion control the kernel has not" says 1 "congestion: the kernel has no such"
hf status
ok "leaves the first alone" shows ready
for _ in {1..20}; do kill -HUP "$daemon"; done
ok "SIGHUP reads nothing, and says so" logs 'name=SIGHUP .*restart'
hf status
ok "and ends nothing" shows ready

# ---- each command, in both forms -----------------------------------------------------------------
pid=$daemon
ok "status: version" shows '^holdfastd [0-9.]+, ready$'
ok "status: pid" shows "^pid +$pid\$"
ok "status: reactors" shows '^REACTOR +SERVES +CONNECTIONS'
hf session list
ok "session list without sessions" shows '^no sessions$'
hf lun list
ok "lun list: titles" shows '^TARGET +LUN +NAME +TYPE +SIZE'
ok "lun list: a row" shows "^$IQN:cluster1 +0 +csv +data +1T +512 +ready"
aligned() {
	awk 'NR == 1 { p = index($0, "NAME") } NR > 1 && (substr($0, p - 1, 1) != " " || substr($0, p, 1) == " ") { bad = 1 }
	     END { exit bad }' "$out"
}
ok "lun list: columns are aligned" aligned
hf lun list "$IQN:cluster1/7"
ok "lun list TARGET/LUN" [ "$(wc -l < "$out")" = 2 ]
hf lun list dtc
ok "lun list NAME" shows '/?dtc +data +200M +4096'
hf lun list "$IQN:cluster1/9"
ok "no such LUN" says 1 "target $IQN:cluster1 has no LUN 9"
hf lun list "$IQN:nowhere/0"
ok "no such target" says 1 "no target \"$IQN:nowhere\""
hf pr show nobody
ok "no such name" says 1 "expected TARGET/LUN, or the name of a LUN"
ok "and what to do" says 1 "holdfast lun list"
hf pr show
ok "pr show" shows "^$IQN:quorum/0 \(quorum\): no reservation, 0 registrants, generation 0\$"
hf lun recover csv
ok "lun recover of a LUN that is well" shows '\(csv\) is ready$'
# Options anywhere.
timeout 60 "$D/holdfast" status --json "--socket=$S" > "$out" 2> "$err"
rc=$?
ok "options behind the command" [ $rc = 0 ]

if have jq; then
	ok "status --json" json ".pid == $pid and .state == \"ready\" and (.version | type) == \"string\""
	ok "status --json: members" json '[.uptime_s, .sessions, .sessions_max, .connections, .half_open,
		.half_open_max, .tasks, .buffers.used, .buffers.budget, .log_dropped, .targets,
		.luns.total, .luns.ready, .luns.waiting_for_lock, .luns.failed] | all(type == "number")'
	ok "status --json: reactors" json '([.reactors[].serves] == ["all", "all", "witness"]) and (.reactors[] | [.reactor, .turns,
		.sleeps, .messages, .ios, .cpu_us, .connections, .sessions, .tasks] | all(type == "number"))'
	ok "status --json: portals" json ".portals == [{\"name\": \"net\", \"listen\": \"127.0.0.1:${ports[0]}\", \"group\": 1}]"
	hf --json session list
	ok "session list --json" json '.sessions == [] and .missed == 0'
	hf --json lun list
	ok "lun list --json" json '[.luns[] | .name] == ["quorum", "csv", "dtc", "slow", "many"]'
	ok "lun list --json: a LUN" json ".luns[2] | .target == \"$IQN:cluster1\" and .lun == 7 and .size == 209715200 and
		.block_size == 4096 and .state == \"ready\" and .engine == \"memory\" and .backend == \"memory\" and .path == null"
	ok "lun list --json: a file" json ".luns[1].path == \"$D/state-a/csv.img\" and .luns[0].type == \"witness\""
	ok "lun list --json: identity" json '.luns[] | (.uuid | test("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")) and
		(.naa | test("^6[0-9a-f]{31}$")) and (.serial | length) == 32'
	ok "lun list --json: an identity that is given" json '.luns[2] | .naa == "30000001000000ab" and .serial == "S 1"'
	ok "lun list --json: counters" json '.luns[0].counters | [.read.ios, .write.bytes, .flush.ios, .discard.ios, .zero.ios,
		.conflicts, .parked] | all(. == 0)'
	hf --json pr show csv
	ok "pr show --json" json ".luns == [{\"target\": \"$IQN:cluster1\", \"lun\": 0, \"name\": \"csv\", \"state\": \"ready\", \"type\": 0,
		\"type_name\": \"none\", \"scope\": null, \"generation\": 0, \"aptpl\": false, \"reserve6\": null, \"registrants\": []}]"
else
	skip "the members of the JSON: no jq"
fi
hf --json lun list "$IQN:cluster1/9"
ok "errors with --json are on standard error" says 1 "has no LUN 9"
ok "and nothing else is printed" [ ! -s "$out" ]

# ---- the protocol --------------------------------------------------------------------------------
raw() { # standard input to the socket; what comes back
	timeout 60 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while True:
    b = s.recv(65536)
    if not b:
        break
    sys.stdout.buffer.write(b)
' "$S" > "$out" 2> "$err"
	rc=$?
}
answers() { [ "$(grep -cF -- "$2" "$out")" = "$1" ]; }
if have python3; then
	echo 'status' | raw
	ok "no JSON" answers 1 '"code":"bad_request"'
	echo '[1]' | raw
	ok "no object" answers 1 '"code":"bad_request"'
	echo '{}' | raw
	ok "no cmd" answers 1 'has no \"cmd\"'
	echo '{"cmd":"status","cmd":"status"}' | raw
	ok "a member twice" answers 1 '"code":"bad_request"'
	echo '{"cmd":"format"}' | raw
	ok "an unknown cmd" answers 1 '"code":"unknown_command"'
	echo '{"cmd":"status","lun":"csv"}' | raw
	ok "an argument it does not take" answers 1 '"code":"bad_request"'
	echo '{"cmd":"lun list","lun":7}' | raw
	ok "an argument of the wrong type" answers 1 '"code":"bad_request"'
	echo '{"cmd":"lun recover"}' | raw
	ok "an argument missing" answers 1 '"code":"bad_request"'
	echo '{"cmd":"pr clear","lun":"csv"}' | raw
	ok "pr clear without force" answers 1 '"code":"refused"'
	printf '{"cmd":"status"}\n{"cmd":"lun recover","lun":"csv"}\n{"cmd":"status"}\n' | raw
	ok "several requests on one connection" answers 3 '"ok":true'
	head -c 2097152 /dev/zero | tr '\0' x | raw
	ok "a request too long" answers 1 'longer than 2097152 bytes'
	for _ in $(seq 3000); do echo '{"cmd":"status"}'; done | raw
	ok "many requests at once" answers 3000 '"ok":true'
	head -c 65536 /dev/urandom | raw
	ok "noise" [ $rc = 0 ]
	printf '{"cmd":"status"' | raw
	ok "half a request, and gone" [ $rc = 0 ]
	# A client that does not read and some that do not ask, while others are answered.
	python3 -c '
import socket, sys, time
idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]
for s in idle:
    s.connect(sys.argv[1])
idle[0].sendall(b"{\"cmd\":\"lun list\"}\n" * 3000)
print("there", flush=True)
time.sleep(60)' "$S" > "$D/idle" &
	idle=$!
	while ! grep -qs there "$D/idle"; do sleep 0.1; done
	before=$SECONDS
	hf status
	ok "idle clients keep nobody waiting" [ $rc = 0 -a $((SECONDS - before)) -lt 30 ]	# they stay for 60 s
	{ kill $idle; wait $idle; } 2> /dev/null
else
	skip "the protocol: no python3"
fi
for _ in $(seq 30); do "$D/holdfast" --socket "$S" status > "$out.$_" 2>&1 & pids="${pids-} $!"; done
rc=0
for p in $pids; do wait "$p" || rc=$?; done
ok "thirty at once" [ $rc = 0 ]

# ---- sessions and reservations --------------------------------------------------------------------
if have python3; then
	coproc NEXUS { exec python3 tests/daemon/nexus.py "${ports[0]}"; }
	nexus=$NEXUS_PID
	ok "two sessions of n1" told "open 2" open $IQN:cluster1 $IQN:n1 2
	ok "one of n2" told "open 3" open $IQN:cluster1 $IQN:n2 1
	hf session list
	ok "session list" shows "^$IQN:cluster1 +$IQN:n1 +800000000001 +[0-9]+ +net +1 +127\.0\.0\.1:[0-9]+ +[01] +20..-..-.. ..:..:..Z +none"
	ok "session list: all of them" [ "$(wc -l < "$out")" = 4 ]
	hf --json session list
	if have jq; then
		ok "session list --json" json "[.sessions[] | .initiator] == [\"$IQN:n1\", \"$IQN:n1\", \"$IQN:n2\"]"
		ok "session list --json: members" json '.sessions[0] | .type == "normal" and .isid == "800000000001" and
			.portal == "net" and .group == 1 and (.tsih | type) == "number" and .params.header_digest == "None" and
			.params.max_connections == 1 and .params.error_recovery_level == 0 and (.since | endswith("Z"))'
	fi
	ok "n1 registers" told "status 00" register 0 0 0x1234
	ok "on both paths" told "status 00" register 1 0 0x1234
	ok "n2 registers" told "status 00" register 2 0 0xfedcba9876543210
	ok "n1 reserves" told "status 00" reserve 0 0 0x1234 5
	hf pr show csv
	ok "pr show: the reservation" shows '\(csv\): write exclusive, registrants only \(type 5, scope LU\), 3 registrants, generation 3$'
	ok "pr show: the holder" shows "^  0x0000000000001234 +yes +yes +$IQN:n1 +800000000001 +1 +127\.0\.0\.1:[0-9]+ +2\$"
	ok "pr show: not a holder" shows "^  0xfedcba9876543210 +no +yes +$IQN:n2 +800000000001 +1 +127"
	hf --json pr show
	if have jq; then
		ok "pr show --json" json '.luns[1] | .type == 5 and .scope == "LU" and .generation == 3 and
			([.registrants[] | .key] == ["0x0000000000001234", "0x0000000000001234", "0xfedcba9876543210"]) and
			([.registrants[] | .holder] == [true, false, false]) and all(.registrants[]; .logged_in)'
	fi
	hf lun list csv
	ok "lun list: type and keys" shows 'WE-RO +3$'

	: > "$D/noflush"
	ok "a flush fails" told "status 02" sync 0 7
	ok "the log says so, and why" logs "event=io_failed lun=dtc op=flush .*err=EIO msg=\"Input/output error\" ini=$IQN:n1"
	ok "and so do writes from then on" told "status 02" write 0 7 4096
	hf lun list dtc
	ok "the LUN has failed" shows ' failed '
	hf status
	ok "status tells" shows '^LUNs +5: 4 ready, 0 waiting for their lock, 0 damaged, 1 failed'
	rm "$D/noflush"
	hf lun recover "$IQN:cluster1/7"
	ok "lun recover" shows '\(dtc\) is ready$'
	ok "writes go again" told "status 00" write 0 7 4096
	ok "flushes too" told "status 00" sync 0 7
	ok "it is in the log" logs 'event=admin cmd="lun recover".* name=dtc uid='

	ok "RESERVE(6)" told "status 00" reserve6 2 7
	hf pr show dtc
	ok "pr show: RESERVE(6)" shows "reserved by RESERVE\(6\): $IQN:n2, ISID 800000000001"

	: > "$D/noflush"
	ok "a flush fails, and nobody recovers" told "status 02" sync 2 7
	rm "$D/noflush"

	hf --force pr clear "$IQN:cluster1/0"
	ok "pr clear" shows '\(csv\): no reservation, 0 registrants, generation 4$'
	ok "n2 is told, once" told "status 02" write 2 0 512
	ok "and may write" told "status 00" write 2 0 512

	# A change behind one that waits for a write the store does not end.
	: > "$D/hang"
	for i in 0 2; do ok "register $i" told "status 00" register $i 8 0x$((i + 1)); done
	ok "a write hangs" told sent write 0 8 512 "&"
	oldest() { hf status; shows '^commands +1 in flight, the oldest for [1-9][0-9]*\.[0-9]+ s$'; }
	ok "status: for how long the oldest command is there" soon oldest
	hf --json lun list slow
	ok "lun list: which disk hangs" json '.luns[0].tasks == 1 and .luns[0].oldest_us > 1000000'
	hf lun list slow
	ok "in the table, too" shows ' 1 +[1-9][0-9]*\.[0-9]+ s '
	hf --json lun list dtc
	ok "and no other" json '.luns[0].oldest_us == 0'
	hf --json session list
	ok "session list: whose command it is" json '[.sessions[] | select(.oldest_us > 1000000) | .initiator] == ["'$IQN':n1"]'
	ok "its PREEMPT AND ABORT" told sent preempt 2 8 0x3 0x1 "&"
	preempting() { hf status; shows '^commands +2 in flight'; }
	ok "waits" soon preempting
	"$D/holdfast" --socket "$S" --force pr clear slow > "$D/clear.out" 2> "$D/clear.err" &
	waiting=$!
	sleep 0.5
	before=$SECONDS
	hf status
	ok "others are answered meanwhile" [ $rc = 0 -a $((SECONDS - before)) -lt 9 ]	# the change waits for 10 s
	hf lun list slow
	ok "the change is seen to wait" [ $rc = 0 ]
	wait $waiting
	rc=$?
	cp "$D/clear.out" "$out"
	cp "$D/clear.err" "$err"
	ok "the answer is in time" says 1 "the change waits for I/O of LUN slow"
	rm "$D/hang"
	cleared() { hf pr show slow; shows '\(slow\): no reservation, 0 registrants'; }
	ok "and it is made in the end" soon cleared

	# Many.
	n=${CLI_SESSIONS:-1000}
	ok "$n sessions" told "open $((3 + n))" open $IQN:many $IQN:crowd "$n"
	before=$SECONDS
	hf session list
	ok "are listed" [ "$(wc -l < "$out")" = $((4 + n)) ]
	hf --json session list
	have jq && ok "as JSON" json "(.sessions | length) == 3 + $n"
	hf status
	ok "and counted" shows "^sessions +$((3 + n)) of 20000\$"
	ok "in time" [ $((SECONDS - before)) -lt 30 ]

	# Looking on while much is going on.
	if have iscsi-perf; then
		timeout 60 iscsi-perf -i $IQN:storm -b 8 -m 16 -t 30 "iscsi://127.0.0.1:${ports[0]}/$IQN:many/0" > /dev/null 2>&1 &
		storm=$!
		bad=0
		for _ in $(seq 10); do
			for c in status "session list" "lun list" "pr show"; do
				# shellcheck disable=SC2086
				hf --json $c
				[ $rc = 0 ] || bad=1
			done
		done
		ok "under load" [ $bad = 0 ]
		{ kill $storm; wait $storm; } 2> /dev/null
		storm=
	else
		skip "under load: no iscsi-perf"
	fi
	{ kill $nexus; wait $nexus; } 2> /dev/null
	nexus=
	nobody() { hf session list; shows '^no sessions$'; }
	ok "all gone" soon nobody
else
	skip "sessions and reservations: no python3"
fi

# ---- stop, kill, start ---------------------------------------------------------------------------
ok "it stops in order" finish TERM
ok "the socket goes with it" [ ! -e "$S" ]
ok "nothing a sanitizer complains about" clean_log
ok "it starts again" start "$D/a.yaml"
if have python3; then
	hf lun list dtc
	ok "the LUN has still failed" shows ' failed '
	hf lun recover dtc
	ok "until it is told" shows 'is ready$'
fi
finish KILL
ok "killed, it leaves its socket" [ -S "$S" ]
hf status
ok "nobody listens there" says 1 "nobody listens there"
ok "a new daemon replaces what was left" start "$D/a.yaml"
ok "and says so" logs 'removed the socket of a daemon that was killed'
hf status
ok "and answers" shows '^LUNs +5$'
# The last flush of all: its failure is not forgotten either.
: > "$D/noflush"
rc=0
finish TERM || rc=$?
ok "what cannot be flushed makes it end with an error" [ $rc = 1 ]
rm "$D/noflush"
ok "started once more" start "$D/a.yaml"
hf lun list dtc
ok "that LUN has failed" shows ' failed '
hf lun recover dtc
ok "until it is told, once more" shows 'is ready$'
ok "stops" finish TERM
: > "$S"
ok "something else of that name" [ "$(start "$D/a.yaml"; echo $?)" = 1 ]
cp "$D/log" "$err"
rc=1
ok "is an error" says 1 "something that is no socket has this name"
ok "and is left alone" [ -f "$S" ]
wait
daemon=
rm "$S"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
