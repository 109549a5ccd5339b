#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sanlock's leases from two nodes, on a witness and on a data LUN at once: a program runs only while it holds the leases of
# both. The other node does not get them, also while the target is killed and started again; it gets them when the program
# ends, and when the node that ran it lost its power, but not before its lease has expired. What was written under a lease is
# there, and Holdfast tells the story right.
. "$(dirname "$0")/lib.sh"
hf_begin sanlock

# sanlock's I/O timeout, 10 s as a rule: it renews every 2 of them, and a node is dead for the others after 8 of them and 60 s,
# which its watchdog has to fire.
io=2
disk 1 shared 64M
disk 2 leases 8M
disks_of witness
disk 0 quorum 16M type: witness
target_start
for node in a b; do
	guest_boot $node
	guest $node 'initiator_start; login 1; ln -s $(lun_dev $IQN 1) /dev/shared; ln -s $(lun_dev $IQN 2) /dev/leases
		IQN=$(iqn witness); login 1; ln -s $(lun_dev $IQN 0) /dev/quorum
		mkdir -p /run/sanlock; sanlock daemon -w 0 -U root -G root -e $HF_NAME; wait_for 10 sanlock client status'
done

# /hf/leased COMMAND: runs it while the node holds the leases of both disks; sanlock ends it if they are lost. -11: the one who
# had them is just giving them back.
cat >"$HF_RUN/share/leased" <<'END'
#!/bin/bash
said=$(mktemp)
until sanlock client command -r W:vm:/dev/quorum:1048576 -r D:vm:/dev/leases:1048576 -c "$@" >$said 2>&1; do
	grep -q 'acquire done -11' $said || { cat $said; exit 1; }
	sleep 0.2
done
cat $said
END
chmod +x "$HF_RUN/share/leased"
# refused NODE: it does not get them, because another has them (SANLK_ACQUIRE_IDLIVE, -243).
refused() {
	guest_says "$1" "! /hf/leased /bin/true" | grep -q 'acquire done -243' || fail "$1 was not refused"
}
story() {
	story_becomes "$1" witness/0 "Nobody has reserved this disk: it has no owner.
Nobody is registered.
$2
This looks like sanlock (sure)."
}
both="The sanlock heartbeat of a beats.
The sanlock heartbeat of b beats."

guest a "for l in W:quorum D:leases; do
		sanlock client init -s \${l%:*}:0:/dev/\${l#*:}:0 -o $io
		sanlock client init -r \${l%:*}:vm:/dev/\${l#*:}:1048576
	done"
for node in a:1 b:2; do
	guest_start ${node%:*} "for l in W:quorum D:leases; do
			sanlock client add_lockspace -s \${l%:*}:${node#*:}:/dev/\${l#*:}:0 -o $io
		done"
done
guest_wait a >/dev/null
guest_wait b >/dev/null

say "a writes under its leases; b is refused"
guest_start a "/hf/leased /hf/stamp-dev -t /hf/a.track run /dev/shared /tmp/ledger fua,flush 4 120 /tmp/stop"
guest a "wait_for 10 test -s /hf/a.track"
refused b
story 40 "$both"
say "the target is killed, and started again: no lease is lost, b is refused as before"
target_kill
target_start
story 60 "$both"
refused b
guest a 'touch /tmp/stop'
said=$(guest_wait a | tail -n 1)
say "a: $said"
[[ $said =~ ([0-9]+)\ writes.*pause\ ([0-9]+) ]]
[ "${BASH_REMATCH[1]}" -gt 100 ] || fail "too few writes to prove anything"
[ "${BASH_REMATCH[2]}" -lt 20000 ] || fail "a waited ${BASH_REMATCH[2]} ms: limit 20000"
guest a 'cp /tmp/ledger /hf/ledger'

say "a's program has ended: b gets the leases at once, finds what a wrote, and discards it"
guest b "/hf/leased /bin/sh -c '/hf/stamp-dev check /dev/shared /hf/ledger && blkdiscard /dev/shared'"

say "a writes again, and loses its power: b waits until a's lease has expired"
rm -f "$HF_RUN/share/a.track"
guest_start a "rm /tmp/stop /tmp/ledger; /hf/leased /hf/stamp-dev -t /hf/a.track run /dev/shared /tmp/ledger fua,flush 4 120 /tmp/stop"
guest a "wait_for 10 test -s /hf/a.track; sleep 3"
guest_kill a
gone=$SECONDS
guest_start b "until /hf/leased /bin/true; do sleep 1; done"
story 40 "The sanlock heartbeat of a stopped: the last was at T, S ago.
a lost its last session at T.
The sanlock heartbeat of b beats."
guest_wait b 200 >/dev/null
waited=$((SECONDS - gone))
say "b waited $waited s"
# From a's last renewal on, up to two I/O timeouts before; and b looks every few seconds.
[ $waited -ge $((6 * io + 60 - 2)) ] && [ $waited -le $((8 * io + 60 + 30)) ] || fail "b waited $waited s"
said=$(guest_says b "/hf/stamp-dev replay /hf/a.track /tmp/ledger
	/hf/leased /hf/stamp-dev check /dev/shared /tmp/ledger" | tail -n 1)
say "b: $said"
show_is witness/0 "nobody owns it
software: sanlock (sure)
WARNING: the heartbeat of a has stopped
INITIATOR OWNER SESSIONS KEYS GONE SINCE CHALLENGED HEARTBEAT BEATS
a no 0 0 T - sanlock no
b no 1 0 - - sanlock yes"
log_tells witness/0 "the daemon started
it looks like sanlock (sure)
the daemon started
the heartbeat of a (sanlock, at byte 0) beats
the heartbeat of a (sanlock, at byte 0) stopped; the last was S before
warning begins: heartbeat_lost
a (ISID I, group 1) lost its connection"
target_stop
say "done"
