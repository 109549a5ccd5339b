#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cluster of docs/kvm-pacemaker.md, which is run here block by block: Pacemaker, corosync, fence_scsi,
# a witness. Both nodes write to a raw disk, the active one also a journal on a file system. The
# cluster's network is split: the active node fences the other and goes on. The other is reset, joins,
# is unfenced, and writes. Then the active node stands still: the other fences it and takes over; it
# wakes, and nothing of what it had in hand arrives. Each time Holdfast tells who fenced whom and why.
. "$(dirname "$0")/lib.sh"
. "$HF_DIR/lib-pacemaker.sh"
hf_begin pacemaker_scsi
declare -A cluster_keys=([a]=$(cluster_key a) [b]=$(cluster_key b))
cluster_fabrics=(1)
vm1=/dev/disk/by-id/wwn-0x6407bd13e6f483aabb0c193cfc824557

# back NODE: it resets itself, joins, and writes.
back() {
	guest "$1" "status=0; { $(guide kvm-pacemaker check); } || status=\$?; [ \$status = 2 ]"
	watchdog "$1" fence_scsi
	path_mend "$1" 3
	cluster_boot "$1"
	guest "$1" "$(guide kvm-pacemaker storage)"
	cluster_install "$1"
	keys_are -
	say "$1 is back, and unfenced"
	writes_again "$1"
	mon "$1" 60 'Online: \[ a b \]'
}

# Asleep for 30 s, it has lost its session, too.
story_of_takeover() {
	local took looks
	took="$off took this disk from $on at T, with PREEMPT AND ABORT; 1 registration went with it.
$on had owned it for S"
	looks="This looks like Pacemaker with fence_scsi (sure)."
	(story_is quorum/0 "$took; its last session had ended S before.
Why: $on was gone.
$looks") 2>/dev/null || story_is quorum/0 "$took.
Why: $off fenced $on, which was logged in.
$looks"
}

target_start
cluster_boot a
cluster_boot b
guests "a b" 120 "$(guide kvm-pacemaker storage)"
say "the cluster is set up as the guide has it"
guest a "$(guide kvm-pacemaker install)
	$(guide kvm-pacemaker names)
	$(guide kvm-pacemaker format)"
cluster_form "$(guide kvm-pacemaker fencing)"
guest a "$(guide kvm-pacemaker resources)"
vm_start
guest a "$(guide kvm-pacemaker status)"

say "$on runs the machine; the cluster network is split, and both write"
fence_writers $off $on $vm1 2 2
sleep 2
path_cut $off 3
is_fenced $off
fence_mark $on $vm1
tried
fence_check $off $on $vm1 5000
vm_wrote $on $on 10000
story_after_split fence_scsi "1 registration"
say "$off finds out and resets itself, the network is mended"
back $off

say "$on stands still: $off fences it, and takes over"
fence_writers $on $off $vm1 2 2
sleep 2
freeze $on
is_fenced $on
fence_mark $off $vm1
mon $off 60 "vm[[:space:]].*Started $off"
path_cut $on 3
thaw $on
say "$on wakes"
sleep 3
fence_check $on $off $vm1 120000
vm_wrote $off "$on $off" 120000
acked=$(guest_says $on 'cat /tmp/acked')
guest $off "grep -q '^$((acked)) $on ' /srv/images/journal"
story_of_takeover
eval "$(guide kvm-pacemaker who)"
back $on
target_stop
say "done"
