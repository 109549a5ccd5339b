#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Three nodes write an OCFS2 volume; o2cb's heartbeat for it is on a LUN of type witness. One node
# loses its power, and then, of the two that are left, the one with the lower number. Those who
# survive declare it dead, recover what it held, go on, and read all that it was told is durable.
# The witness tells the right story.
. "$(dirname "$0")/lib.sh"
hf_begin ocfs2
. "$HF_DIR/lib-clusterfs.sh"

# Of a dead node is known after 7 beats of 2 s (o2cb's least), counted from when others saw its last
# one; its locks and its journal take a few seconds more, and this machine may be busy.
beats=7
limit=45000
nobody="Nobody has reserved this disk: it has no owner.
Nobody is registered."

disk 1 shared 512M write_cache: on
disks_of witness
disk 1 quorum 32M type: witness
target_start

# begin NODE: to where it can start o2cb.
begin() {
	guest_boot "$1"
	guest "$1" 'initiator_start; login 1; IQN=$(iqn witness) login 1
		ln -s $(lun_dev $IQN 1) /dev/ocfs2; ln -s $(lun_dev $(iqn witness) 1) /dev/heartbeat'
}
for n in a b c; do
	begin $n
done
say "the volume, and another one that has the heartbeat"
node a '
	volume=(mkfs.ocfs2 -q --cluster-stack=o2cb --cluster-name=hf --global-heartbeat
		-N 4 -b 4K -C 4K -J size=4M)
	"${volume[@]}" -L shared /dev/ocfs2
	"${volume[@]}" -L heartbeat /dev/heartbeat
	o2cb_config /dev/heartbeat'
nodes "a b c" "o2cb_start $beats; mount -t ocfs2 /dev/ocfs2 /shared"

# crash NODE NUMBER ROUND SURVIVORS: while all write.
crash() {
	local n said
	node "${4%% *}" "files_make $3"
	load_start "$3" "$1 $4"
	say "$1 loses its power while ${4/ / and } go on"
	guest_kill "$1"
	nodes "$4" "wait_for $((limit / 1000)) recovered 'End replay journal (node $2,'"
	say "its journal is replayed"
	sleep 2
	load_stop $limit "$4"
	said=$(node_says "${4%% *}" "stamps_replay $3 $1" | xargs)
	say "$1 was told: $said"
	for n in $4; do
		say "$n reads what was written by:"
		node_says "$n" "stamps_check $3 $4 $1" >/dev/null
	done
}
crash c 2 1 "a b"
story_becomes 40 witness/1 "$nobody
The o2cb heartbeat of a beats.
The o2cb heartbeat of b beats.
The o2cb heartbeat of c stopped: the last was at T, S ago.
c lost its last session at T.
This looks like OCFS2's o2cb (sure)."
crash a 0 2 b
story_becomes 40 witness/1 "$nobody
The o2cb heartbeat of a stopped: the last was at T, S ago.
a lost its last session at T.
The o2cb heartbeat of b beats.
The o2cb heartbeat of c stopped: the last was at T, S ago.
c lost its last session at T.
This looks like OCFS2's o2cb (sure)."

say "both come back and read all"
for n in a c; do
	begin $n
done
nodes "a c" "o2cb_start $beats; mount -t ocfs2 /dev/ocfs2 /shared
	stamps_check 1 a b c; stamps_check 2 a b"
story_is witness/1 "$nobody
The o2cb heartbeat of a beats.
The o2cb heartbeat of b beats.
The o2cb heartbeat of c beats.
This looks like OCFS2's o2cb (sure)."
expect "heartbeats of b that stopped" \
	"$(holdfast witness log | grep -c 'heartbeat of .*:b .* stopped' || :)" 0
nodes "a b c" o2cb_stop
node a 'fsck.ocfs2 -fn /dev/ocfs2; fsck.ocfs2 -fn /dev/heartbeat'
nodes "a b c" 'iscsiadm -m node --logout'

log_tells witness/1 "the daemon started
the heartbeat of c (o2cb, at byte 1119232) beats
the heartbeat of c (o2cb, at byte 1119232) stopped; the last was S before
warning begins: heartbeat_lost
the heartbeat of a (o2cb, at byte 1118208) stopped; the last was S before
c (ISID I, group 1) logged in
the heartbeat of c (o2cb, at byte 1119232) beats
warning is over: heartbeat_lost
b (ISID I, group 1) logged out"
for n in a c; do
	log_tells witness/1 "$n (ISID I, group 1) logged in
$n (ISID I, group 1) lost its connection
$n (ISID I, group 1) logged in
$n (ISID I, group 1) logged out"
done
show_is witness/1 "nobody owns it
software: o2cb (sure)
INITIATOR OWNER SESSIONS KEYS GONE SINCE CHALLENGED HEARTBEAT BEATS
a no 0 0 T - - -
b no 0 0 T - - -
c no 0 0 T - - -"
target_stop
say "done"
