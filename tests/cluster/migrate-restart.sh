#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The storage server fails under a virtual machine (migrate): holdfastd is killed while the guest
# writes and while it moves, and is stopped in order, as for an upgrade, while it moves. QEMU's
# initiator, libiscsi, logs in again by itself and sends what was not answered: the guest waits and
# sees no error, nothing is lost, and the reservation it had made is as it was.
. "$(dirname "$0")/lib.sh"
. "$HF_DIR/lib-qemu.sh"
hf_begin migrate-restart

disk 1 data 256M
disk 2 quorum 16M
target_start
host_make h1 21
host_make h2 22
# goes MAKE_IT_GO: the target goes and comes back.
goes() {
	"$1"
	sleep 0.$((RANDOM % 10))
	target_start
}

# goes_while_moving TO MAKE_IT_GO: slow enough for that to be in the middle of it.
goes_while_moving() {
	local from status
	from=$(cat "$HF_RUN/qemu/v.host")
	# shellcheck disable=SC2046
	HF_MOVE_RATE=8000000 vm_move_start v "$1" $(vm_disks "$1")
	sleep 1
	status=$(qmp "v-$from" query-migrate | jq -r .status)
	expect "the move, when the target goes" "$status" active
	goes "$2"
	vm_move_wait v 120
	say "moved to $1 in $HF_MOVE_MS ms, stood still for $HF_DOWN_MS ms"
}

# shellcheck disable=SC2046
vm_boot v h1 $(vm_disks h1)
guest v "$(guide proxmox-libvirt reserve)"
pr_is 2 "type 5 of h1" "h1 1 abc"
guest_start v '/hf/stamp-dev run /dev/lun1 /tmp/ledger fua,flush 4 600 /tmp/stop'
sleep 2

pause_start data
say "the target is killed while v writes on h1"
goes target_kill
sleep 5
say "the target is killed while v moves"
goes_while_moving h2 target_kill
sleep 5
say "the target is stopped in order while v moves back"
goes_while_moving h1 target_stop
sleep 5
pause_stop
say "the longest time without a write: $HF_PAUSE_MS ms"
# libiscsi waits 3 s between two logins, and longer with every one that fails.
[ "$HF_PAUSE_MS" -lt 30000 ] || fail "nothing was written for $HF_PAUSE_MS ms: limit 30000"
vm_stamps v data
expect "what QEMU says of v" "$(qmp v-h1 query-status | jq -r .status)" running	# and with it, its events
! grep -h BLOCK_IO_ERROR "$HF_RUN"/qemu/*.events || fail "QEMU saw errors"
pr_is 2 "type 5 of h1" "h1 1 abc"
target_stop
say "done"
