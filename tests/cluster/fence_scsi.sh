#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's fence_scsi between two nodes that write: on, status, monitor, off, and on again. Of a node
# that was fenced nothing arrives any more: the other writes over its blocks, and what it wrote stays,
# however long the first goes on trying. Then a node that comes back by a new login, whose old
# registration is another nexus': later versions of fence_scsi preempt their own key then, Debian's
# 4.12 does not, so here sg_persist sends what they send.
. "$(dirname "$0")/lib.sh"
hf_begin fence_scsi

disk 1 shared 64M
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
	fence "$1" "$2" /dev/shared "fence_scsi -o off -k ${1}1 -d /dev/shared -a"
	pr_is 1 "type 5 of $2" "$2 1 ${2}1"
	status_is "$1" "${1}1" off
	status_is "$2" "${1}1" off
}

say "both nodes are put on"
agent a on a1
agent b on b1
pr_is 1 "type 5 of a" "a 1 a1" "b 1 b1"
for node in a b; do
	status_is $node a1 on
	status_is $node b1 on
	guest $node 'fence_scsi -o monitor -d /dev/shared; /tmp/fence_scsi_check'
done
guest a '! fence_scsi -o off -k a1 -d /dev/shared'	# nobody fences himself

say "b fences a, which holds the reservation"
off a b
guest a 'status=0; /tmp/fence_scsi_check || status=$?; [ $status = 2 ]'
say "a comes back"
agent a on a1
pr_is 1 "type 5 of b" "a 1 a1" "b 1 b1"
guest a 'fio --name=a --filename=/dev/shared --offset=16M --size=8M --rw=randwrite --direct=1 \
	--ioengine=libaio --iodepth=8 --bsrange=4k-64k --verify=crc32c --verify_fatal=1 --minimal'
say "b, which holds the reservation now, fences a, a registrant"
off a b
agent a on a1
pr_is 1 "type 5 of b" "a 1 a1" "b 1 b1"
conflicts=$(holdfast --json lun list | jq '.luns[0].counters.conflicts')
[ "$conflicts" -gt 100 ] || fail "Holdfast counted $conflicts conflicts"

# come_back NODE: a new login, another ISID. What is still registered for the old one helps nobody.
# The agent registers and, because its key was there before, preempts it, which ends what is stale.
come_back() {
	guest "$1" "iscsiadm -m node -T \$IQN --logout
		path_login 1; ln -sf \$(lun_dev \$IQN 1) /dev/shared
		sg_turs /dev/shared || :
		! dd if=/dev/zero of=/dev/shared bs=4k count=1 oflag=direct
		sg_persist -n -i -k -d /dev/shared | grep -q 0x${1}1
		sg_turs /dev/shared
		sg_persist -n -o -I -S ${1}1 -d /dev/shared -Z"
	expect "registrations of $1" "$(pr_show 1 | grep -c "^$1 1 ${1}1")" 2
	guest "$1" "sg_turs /dev/shared
		sg_persist -n -o -P -T 5 -K ${1}1 -S ${1}1 -d /dev/shared"
}
say "a, a registrant, logs in anew: its preempt ends both its registrations, and it registers again"
come_back a
pr_is 1 "type 5 of b" "b 1 b1"
guest a 'sg_turs /dev/shared; sg_persist -n -o -I -S a1 -d /dev/shared -Z
	dd if=/dev/zero of=/dev/shared bs=4k count=1 oflag=direct'
pr_is 1 "type 5 of b" "a 1 a1" "b 1 b1"
say "b, the holder, logs in anew: its preempt moves the reservation to where it is now"
come_back b
pr_is 1 "type 5 of b" "a 1 a1" "b 1 b1"
guest b 'dd if=/dev/zero of=/dev/shared bs=4k count=1 oflag=direct'
target_stop
say "done"
