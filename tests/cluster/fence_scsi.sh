#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's fence_scsi between two nodes that write: on, status, monitor, off, and on again. Of a node
# that was fenced nothing arrives any more: the other writes over its blocks, and what it wrote stays,
# however long the first goes on trying. Then a node that comes back by a new login, whose old
# registration is another nexus': later versions of fence_scsi preempt their own key then, Debian's
# 4.12 does not, so here sg_persist sends what they send. Each time Holdfast tells the story right.
. "$(dirname "$0")/lib.sh"
hf_begin fence_scsi

disk 1 shared 64M type: witness
# As the agent makes them of corosync's: a hash of the cluster's name, the node.
declare -A key=([a]=4d2a0000 [b]=4d2a0001)
target_start
for node in a b; do
	guest_boot $node
	guest $node "initiator_start; login 1; ln -s \$(lun_dev \$IQN 1) /dev/shared
		mkdir -p /run/cluster; ln -s /usr/sbin/fence_scsi /tmp/fence_scsi_check"
done

# agent NODE ACTION KEY. status_is NODE KEY on|off
agent() {
	guest "$1" "fence_scsi -o $2 -k $3 -d /dev/shared -a"
}
status_is() {
	[[ $(guest_says "$1" "fence_scsi -o status -k $2 -d /dev/shared || [ \$? = 2 ]") = "Status: ${3^^}" ]] ||
		fail "$1: the status of $2 is not $3"
}

# off VICTIM BY: under I/O.
off() {
	fence "$1" "$2" /dev/shared "fence_scsi -o off -k ${key[$1]} -d /dev/shared -a"
	pr_is 1 "type 5 of $2" "$2 1 ${key[$2]}"
	status_is "$1" "${key[$1]}" off
	status_is "$2" "${key[$1]}" off
}

say "both nodes are put on"
agent a on "${key[a]}"
agent b on "${key[b]}"
pr_is 1 "type 5 of a" "a 1 ${key[a]}" "b 1 ${key[b]}"
for node in a b; do
	status_is $node "${key[a]}" on
	status_is $node "${key[b]}" on
	guest $node 'fence_scsi -o monitor -d /dev/shared; /tmp/fence_scsi_check'
done
guest a "! fence_scsi -o off -k ${key[a]} -d /dev/shared"	# nobody fences himself

say "b fences a, which holds the reservation"
off a b
guest a 'status=0; /tmp/fence_scsi_check || status=$?; [ $status = 2 ]'
took="b took this disk from a at T, with PREEMPT AND ABORT; 1 registration went with it.
a had owned it for S.
Why: b fenced a, which was logged in."
looks="This looks like Pacemaker with fence_scsi (sure)."
story_becomes 3 1 "$took
$looks"
say "a comes back"
agent a on "${key[a]}"
pr_is 1 "type 5 of b" "a 1 ${key[a]}" "b 1 ${key[b]}"
guest a 'fio --name=a --filename=/dev/shared --offset=16M --size=8M --rw=randwrite --direct=1 \
	--ioengine=libaio --iodepth=8 --bsrange=4k-64k --verify=crc32c --verify_fatal=1 --minimal'
say "b, which holds the reservation now, fences a, a registrant"
off a b
agent a on "${key[a]}"
pr_is 1 "type 5 of b" "a 1 ${key[a]}" "b 1 ${key[b]}"
fenced="b fenced a at T, with PREEMPT AND ABORT: 1 registration removed; the disk's owner stayed."
story_is 1 "$took
$fenced
$looks"
conflicts=$(holdfast --json lun list | jq '.luns[0].counters.conflicts')
[ "$conflicts" -gt 100 ] || fail "Holdfast counted $conflicts conflicts"

# come_back NODE: a new login, another ISID. What is still registered for the old one helps nobody.
# The agent registers and, because its key was there before, preempts it, which ends what is stale.
come_back() {
	guest "$1" "iscsiadm -m node -T \$IQN --logout
		path_login 1; ln -sf \$(lun_dev \$IQN 1) /dev/shared
		sg_turs /dev/shared || :
		fails dd if=/dev/zero of=/dev/shared bs=4k count=1 oflag=direct
		sg_persist -n -i -k -d /dev/shared | grep -q 0x${key[$1]}
		sg_turs /dev/shared
		sg_persist -n -o -I -S ${key[$1]} -d /dev/shared -Z"
	expect "registrations of $1" "$(pr_show 1 | grep -c "^$1 1 ${key[$1]}")" 2
	guest "$1" "sg_turs /dev/shared
		sg_persist -n -o -P -T 5 -K ${key[$1]} -S ${key[$1]} -d /dev/shared"
}
say "a, a registrant, logs in anew: its preempt ends both its registrations, and it registers again"
come_back a
pr_is 1 "type 5 of b" "b 1 ${key[b]}"
guest a "sg_turs /dev/shared; sg_persist -n -o -I -S ${key[a]} -d /dev/shared -Z
	dd if=/dev/zero of=/dev/shared bs=4k count=1 oflag=direct"
pr_is 1 "type 5 of b" "a 1 ${key[a]}" "b 1 ${key[b]}"
say "b, the holder, logs in anew: its preempt moves the reservation to where it is now"
come_back b
pr_is 1 "type 5 of b" "a 1 ${key[a]}" "b 1 ${key[b]}"
guest b 'dd if=/dev/zero of=/dev/shared bs=4k count=1 oflag=direct'
story_is 1 "$took
$fenced
$looks"
show_is 1 "owned by b
for S, write exclusive, registrants only (type 5)
software: fence_scsi (sure)
INITIATOR OWNER SESSIONS KEYS GONE SINCE CHALLENGED HEARTBEAT BEATS
a no 1 1 - - - -
b yes 1 1 - - - -"
log_tells 1 "the daemon started
a (ISID I, group 1) registered key 000000004d2a0000: REGISTER AND IGNORE EXISTING KEY
a owns the disk now: RESERVE, type 5
it looks like fence_scsi (sure)
b owns the disk now: PREEMPT AND ABORT, type 5
b removed the registration of a (ISID I, group 1): PREEMPT AND ABORT
b removed the registration of a (ISID I, group 1): PREEMPT AND ABORT
a (ISID I, group 1) logged out
a (ISID I, group 1) logged in
a (ISID I, group 1) is not registered any more: PREEMPT
b (ISID I, group 1) logged out"
target_stop
say "done"
