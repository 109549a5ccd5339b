#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's sbd on a witness that has a target of its own, two nodes with the kernel's software watchdog: the heartbeat while the
# data LUN beside it is saturated; a poison pill; the target killed and started again; a node that loses its path. Each byte
# of the load is verified, and Holdfast tells the story right.
. "$(dirname "$0")/lib.sh"
hf_begin sbd
load=$HF_BUILD/tests/bench/hf-bench
[ -x "$load" ] || skip "no $load (make bench-tools builds it)"

watchdog=8	# seconds; sbd's own default is 5, which leaves a busy machine's guests little
HF_PORTALS+=(127.0.0.1:3260)	# for hf-bench
disk 1 bulk 256M write_cache: on
disk 2 shared 64M
disks_of witness
disk 0 quorum 16M type: witness
target_start

# node_up NODE: logged in, with sbd. No message of sbd is lost: it has its own /dev/log.
node_up() {
	guest_boot "$1"
	guest "$1" 'initiator_start; login 1; ln -s $(lun_dev $IQN 2) /dev/shared
		IQN=$(iqn witness); login 1; ln -s $(lun_dev $IQN 0) /dev/quorum'
}
sbd_start() {
	cat >"$HF_RUN/share/log.py" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("/dev/log")
		f = open(sys.argv[1], "ab", 0)
		while True:
		    f.write(s.recv(8192).rstrip(b"\0\n") + b"\n")
	END
	# A 6.1 UML kernel has a /dev/watchdog that needs a helper on the host; softdog is the second.
	guest "$1" 'setsid python3 /hf/log.py /hf/$HF_NAME/sbd.log >/dev/null 2>&1 </dev/null &
		modprobe softdog; wait_for 5 test -c /dev/watchdog1; wait_for 5 test -S /dev/log
		export SBD_PACEMAKER=no SBD_SYNC_RESOURCE_STARTUP=no
		setsid sbd -d /dev/quorum -w /dev/watchdog1 -n $HF_NAME -v -S 0 watch >/dev/null 2>&1 </dev/null &
		wait_for 10 grep "Set watchdog timeout" /hf/$HF_NAME/sbd.log'
}
# quiet NODE: sbd had nothing to say of its disk.
quiet() {
	! grep -i 'latency\|fail\|error\|lost\|warning\|outdated' "$HF_RUN/share/$1/sbd.log" ||
		fail "$1: sbd was not quiet"
}
# What Holdfast says, but for the heartbeats. It finds out in 25 s that nobody is at the other end of a connection.
story() {
	story_becomes 40 witness/0 "Nobody has reserved this disk: it has no owner.
Nobody is registered.
$1
This looks like sbd (sure)."
}

node_up a
node_up b
guest a "sbd -d /dev/quorum -1 $watchdog -4 $((2 * watchdog)) create
	sbd -d /dev/quorum allocate a; sbd -d /dev/quorum allocate b"
sbd_start a
sbd_start b
story "The sbd heartbeat of a beats.
The sbd heartbeat of b beats."

say "sixteen sessions read and write 4 to 256 KiB, 64 deep, for 20 s, and node b writes"
guest_start b '/hf/stamp-dev run /dev/shared /tmp/ledger fua,flush 4 60 /tmp/stop'
in_net nice -n 10 "$load" -t "$HF_IQN" -l 1 -n 16 -q 64 -b 4K-256K -r 50 -V -R 16M -T 20 --patience 60 >"$HF_RUN/load.out" ||
	fail "a wrong answer under load"
guest b 'touch /tmp/stop'
said=$(guest_wait b)
say "b: $said"
[[ $said =~ pause\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -lt 15000 ] || fail "b waited too long"
guest b '/hf/stamp-dev check /dev/shared /tmp/ledger'
[[ $(cat "$HF_RUN/load.out") =~ \ p50=([0-9]+).*\ max=([0-9]+).*\ checked=([0-9]+) ]]
bulk=$((BASH_REMATCH[1] / 1000))
longest=$(($(holdfast --json witness show | jq '.luns[0].latency.longest_us') / 1000))
say "bulk: half of the commands waited $bulk ms, one $((BASH_REMATCH[2] / 1000)) ms; ${BASH_REMATCH[3]} sectors verified;" \
	"the witness: longest $longest ms"
[ $bulk -gt 20 ] || fail "nothing was saturated"
# As Holdfast counts, from a command's arrival in it on; sbd, which warns at 3 s, would see what comes before. Half of sbd's
# loop; alone the witness takes 1 ms, or 50 when nobody lets the daemon run.
[ "$longest" -lt 500 ] || fail "the witness took $longest ms: limit 500"
quiet a
quiet b

say "the target is killed, and started again at once: both survive"
target_kill
target_start
story "The sbd heartbeat of a beats.
The sbd heartbeat of b beats."
sleep $watchdog
guest_runs a
guest_runs b

say "a sends b the poison pill"
guest_start a 'sbd -d /dev/quorum message b off'
guest_ends b 5 'sysrq: Power Off'
shot="The sbd heartbeat of b stopped: the last was at T, S ago.
Why: a had sent it a message at T, a poison pill as it looks."
story "The sbd heartbeat of a beats.
$shot"

say "b is back, and loses its path: it ends itself, and a goes on"
node_up b
sbd_start b
story "The sbd heartbeat of a beats.
The sbd heartbeat of b beats."
path_cut b 1
guest_ends b $((watchdog + 5)) 'sysrq: Resetting\|Initiating system reboot'
guest_runs a
story "The sbd heartbeat of a beats.
The sbd heartbeat of b stopped: the last was at T, S ago.
b lost its last session at T."
show_is witness/0 "nobody owns it
software: sbd (sure)
WARNING: the heartbeat of b has stopped
INITIATOR OWNER SESSIONS KEYS GONE SINCE CHALLENGED HEARTBEAT BEATS
a no 1 0 - - sbd yes
b no 0 0 T - sbd no"
log_tells witness/0 "the daemon started
it looks like sbd (sure)
the daemon started
the heartbeat of b (sbd, at byte 2048) beats
a wrote a message of sbd to b
the heartbeat of b (sbd, at byte 2048) stopped; the last was S before
warning begins: heartbeat_lost
the heartbeat of b (sbd, at byte 2048) beats
warning is over: heartbeat_lost
the heartbeat of b (sbd, at byte 2048) stopped; the last was S before
b (ISID I, group 1) lost its connection"
target_stop
say "done"
