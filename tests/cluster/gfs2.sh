#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two nodes write a GFS2 volume. corosync says who is there, and dlm_controld fences who is not by
# Debian's fence_scsi (dlm.conf; no Pacemaker): dlm gives a lost node's locks to nobody before an
# agent says that it is fenced, and here that is so because of the reservation on the volume itself,
# not because somebody typed `dlm_tool fence_ack`. One node loses its power, comes back, and then only
# stops talking and goes on writing. Each time the other fences it, replays its journal, goes on, and
# reads all that it was told is durable.
#
# Two things are GFS2's own, of 6.1. Its journal trusts in barriers that have been gone from the kernel
# for long: it sends a header with a flush in front, but does not wait for the blocks before it, so a
# node that dies in between can leave a journal that contradicts itself. Mounted with nobarrier it
# waits; then the LUN must have no volatile cache, and this one has none. And fdatasync by several
# threads on a sparse file can return before a block's allocation is in the journal (so it is on
# User-Mode Linux's own disk, too, without any iSCSI): the files here are not sparse.
. "$(dirname "$0")/lib.sh"
hf_begin gfs2
. "$HF_DIR/lib-clusterfs.sh"

# corosync's token is lost after 4 s, and is agreed on again in about as much; dlm_controld and
# fence_scsi (Python, starts a program for each command) take what a busy machine takes.
limit=40000

disk 1 shared 512M write_cache: off
target_start
begin() {
	guest_boot "$1"
	guest "$1" 'initiator_start; login 1; ln -s $(lun_dev $IQN 1) /dev/gfs2'
}
for n in a b; do
	begin $n
done
node a 'corosync_config; dlm_config /dev/gfs2
	mkfs.gfs2 -q -O -p lock_dlm -t hf:shared -j 2 -J 8 /dev/gfs2'
nodes "a b" dlm_start
# One after the other: a has journal 0, b journal 1.
node a 'mount -t gfs2 -o nobarrier /dev/gfs2 /shared'
node b 'mount -t gfs2 -o nobarrier /dev/gfs2 /shared'
holder=$(pr_show 1 | sed -n 's/^type 5 of //p')
pr_is 1 "type 5 of $holder" "a 1 a1" "b 1 b1"

# lose ROUND HOW: b does without a, to which HOW happens while both write.
lose() {
	node b "files_make $1 full"
	load_start "$1" "a b"
	$2
	node b "dmesg -C; wait_for $((limit / 1000)) recovered 'jid=0: Journal replayed'; rm /hf/jid*"
	pr_is 1 "type 5 of b" "b 1 b1"
	say "a is fenced, and its journal is replayed"
	sleep 2
	load_stop $limit b
}

# told ROUND: and b reads it.
told() {
	local said
	said=$(node_says b "stamps_replay $1 a" | xargs)
	say "a was told: $said"
	node b "stamps_check $1 a b; no_io_errors"
}

say "a loses its power"
power_off() { guest_kill a; }
lose 1 power_off
told 1
say "a comes back"
begin a
node a 'dlm_start; mount -t gfs2 -o nobarrier /dev/gfs2 /shared; stamps_check 1 a b'
pr_is 1 "type 5 of b" "a 1 a1" "b 1 b1"

say "a's corosync stops, its kernel goes on"
conflicts() { holdfast --json lun list | jq '.luns[0].counters.conflicts'; }
before=$(conflicts)
stop_talking() { guest a 'kill -STOP $(pidof corosync)'; }
lose 2 stop_talking
guest a 'wait_for 20 sh -c "dmesg | grep -q \"reservation conflict\""'
say "a's kernel was refused $(($(conflicts) - before)) times"
guest_kill a
told 2
node b 'umount /shared; fsck.gfs2 -n /dev/gfs2'
target_stop
say "done"
