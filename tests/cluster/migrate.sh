#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# KVM's live migration: a virtual machine with a LUN by QEMU's own initiator (iscsi://, libiscsi) moves
# back and forth between two hosts, twenty times (HF_SHORT=1: four), while it writes with O_DIRECT.
# Nothing is lost on the medium, and nobody waits for long. A reservation the guest makes reaches the
# target; it is of the host it was made on, and stays there when the guest goes.
#
# migrate-kernel does it with the LUNs in the hosts' kernels.
. "$(dirname "$0")/lib.sh"
. "$HF_DIR/lib-qemu.sh"
hf_begin migrate
moves=${HF_MOVES:-$([ "${HF_SHORT:-0}" = 1 ] && echo 4 || echo 20)}

disk 1 data 256M
disk 2 quorum 16M
disk 3 vms 64M
target_start

say "a, a host whose kernel has the LUNs"
guest_boot a
guest a 'initiator_start; /lib/systemd/systemd-udevd --daemon'
guest a "$(guide proxmox-libvirt kernel); udevadm settle; $(guide proxmox-libvirt lvm)"
guest a 'vgs --noheadings -o name | grep -w vms'
guest_kill a

host_make h1 21
host_make h2 22
on_host h1 "$(guide proxmox-libvirt look)" | grep 'virtual size: 256 MiB' >/dev/null
# shellcheck disable=SC2046
vm_boot v h1 $(vm_disks h1)
say "v runs on h1; a reservation from inside it"
guest v "$(guide proxmox-libvirt reserve)
	dd if=/dev/zero of=/dev/lun2 bs=1M count=8 oflag=direct"
pr_is 2 "type 5 of h1" "h1 1 abc"
! in_net qemu-io -f raw -c 'write 0 4k' "iscsi://$HF_PORTAL/$HF_IQN/2" >/dev/null 2>&1 || fail "anybody may write"
used=$(disk_used quorum)
guest v 'blkdiscard -o 0 -l 4194304 /dev/lun2'
expect "given back by a discard of 4 MiB" $((used - $(disk_used quorum))) 4194304

guest_start v '/hf/stamp-dev run /dev/lun1 /tmp/ledger fua,flush 4 1200 /tmp/stop'
sleep 2
pause_start data
slowest=0
for ((i = 1; i <= moves; i++)); do
	to=h$((i % 2 + 1))
	# shellcheck disable=SC2046
	vm_move v $to $(vm_disks $to)
	say "moved to $to in $HF_MOVE_MS ms, stood still for $HF_DOWN_MS ms"
	[ "$HF_MOVE_MS" -lt "$slowest" ] || slowest=$HF_MOVE_MS
	sleep 0.$((RANDOM % 10))
done
pause_stop
say "$moves moves, the slowest $slowest ms, the longest time without a write $HF_PAUSE_MS ms"
# QEMU aims at 300 ms; emulated, on a machine that does other things too, it has been 2 s.
[ "$HF_PAUSE_MS" -lt 10000 ] || fail "nothing was written for $HF_PAUSE_MS ms: limit 10000"
vm_stamps v data

say "the reservation is as it was; the guest comes by another nexus now, and has to take it over"
pr_is 2 "type 5 of h1" "h1 1 abc"
guest v "! dd if=/dev/zero of=/dev/lun2 bs=4k count=1 oflag=direct
	$(guide proxmox-libvirt take-over)
	dd if=/dev/zero of=/dev/lun2 bs=4k count=1 oflag=direct"
pr_is 2 "type 5 of $to" "$to 1 abc"
target_stop
say "done"
