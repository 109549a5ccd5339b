#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's fence_mpath between two nodes that write through dm-multipath over two fabrics: on, status,
# monitor, off, and on again. A node that was fenced is fenced on all its paths, also on one that was
# cut meanwhile and comes back afterwards.
. "$(dirname "$0")/lib.sh"
hf_begin fence_mpath

disk 1 shared 64M type: witness
dev=/dev/mapper/mpatha
target_start
for node in a b; do
	guest_boot $node
	guest $node "initiator_start; multipath_start ${node}1; login; paths_wait 2"
done

# agent NODE ACTION KEY. status_is NODE KEY on|off
agent() {
	guest "$1" "fence_mpath -o $2 -n $3 -d $dev"
}
status_is() {
	[[ $(guest_says "$1" "fence_mpath -o status -n $2 -d $dev || [ \$? = 2 ]") = "Status: ${3^^}" ]] ||
		fail "$1: the status of $2 is not $3"
}

say "both nodes are put on"
agent a on a1
agent b on b1
pr_is 1 "type 5 of a" "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"
for node in a b; do
	status_is $node a1 on
	status_is $node b1 on
	guest $node "fence_mpath -o monitor -n ${node}1 -d $dev"
done

say "b fences a, which holds the reservation"
fence a b $dev "fence_mpath -o off -n a1 -d $dev"
pr_is 1 "type 5 of b" "b 1 b1" "b 2 b1"
status_is a a1 off
status_is b a1 off

say "a comes back"
agent a on a1
pr_is 1 "type 5 of b" "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"
guest a "fio --name=a --filename=$dev --offset=16M --size=8M --rw=randwrite --direct=1 \
	--ioengine=libaio --iodepth=8 --bsrange=4k-64k --verify=crc32c --verify_fatal=1 --minimal"

say "a's first fabric is cut, b fences it, the fabric comes back: a stays fenced"
path_cut a 1
guest a 'paths_wait 1'
fence a b $dev "fence_mpath -o off -n a1 -d $dev"
path_mend a 1
guest a 'paths_wait 2
	for f in 1 2; do
		fails dd if=/dev/zero of=$(path_dev $f) bs=4k count=1 oflag=direct
	done'
pr_is 1 "type 5 of b" "b 1 b1" "b 2 b1"
took="b took this disk from a at T, with PREEMPT AND ABORT; 2 registrations went with it.
a had owned it for S.
Why: b fenced a, which was logged in.
b fenced a at T, with PREEMPT AND ABORT: 2 registrations removed; the disk's owner stayed.
This looks like Pacemaker with fence_mpath (sure)."
story_becomes 5 1 "$took"
target_stop
say "done"
