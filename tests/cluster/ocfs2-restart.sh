#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The storage server itself fails under an OCFS2 volume that two nodes write, which has its heartbeat
# on itself: holdfastd is killed twice, and stopped in order once, as for an upgrade. o2cb, with the
# threshold it comes with (31 beats: a node resets itself after 60 s without its own heartbeat), does
# not fence; no writer waits as long as half of that; nothing that was durable is lost, also not for
# nodes that lose their power together with the last of it.
. "$(dirname "$0")/lib.sh"
hf_begin ocfs2-restart
. "$HF_DIR/lib-clusterfs.sh"
limit=30000

disk 1 shared 512M write_cache: on
target_start
for n in a b; do
	guest_boot $n
	guest $n 'initiator_start; login 1; ln -s $(lun_dev $IQN 1) /dev/ocfs2'
done
node a 'o2cb_config
	mkfs.ocfs2 -q --cluster-stack=o2cb --cluster-name=hf -N 4 -b 4K -C 4K -J size=4M -L shared /dev/ocfs2'
nodes "a b" "o2cb_start 31; mount -t ocfs2 /dev/ocfs2 /shared"
node a 'files_make 1'

say "two nodes write"
load_start 1 "a b"
for round in 1 2; do
	sleep 4
	target_kill
	say "killed ($round)"
	sleep 0.$((RANDOM % 10))
	target_start
done
sleep 4
target_stop
say "stopped in order"
target_start
sleep 4
load_stop $limit "a b"
say "both read what both wrote"
node a 'stamps_check 1 a b'
node b 'stamps_check 1 a b; no_io_errors'
guest a 'no_io_errors'

say "once more, and now the nodes' own caches go too"
node a 'files_make 2'
load_start 2 "a b"
target_kill
guest_kill a
guest_kill b
target_start
guest_boot c
guest c 'initiator_start; login 1; ln -s $(lun_dev $IQN 1) /dev/ocfs2'
said=$(node_says c 'o2cb_start 31; mount -t ocfs2 /dev/ocfs2 /shared
	stamps_replay 2 a; stamps_replay 2 b' | grep acknowledged | xargs)
say "a and b were told: $said"
node c 'stamps_check 1 a b; stamps_check 2 a b; o2cb_stop; fsck.ocfs2 -fn /dev/ocfs2'
target_stop
say "done"
