#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Live migration with the LUNs in the hosts' kernels: a and b log in, and QEMU runs in them. The host
# of the bed has no initiator in its kernel; guests of User-Mode Linux have, and QEMU emulates in them
# at a third of its speed. One LUN is a disk of QEMU's (scsi-hd, cache none), the other is handed
# through with qemu-pr-helper: the reservation is of the host's nexus, outlives a restart of the
# target, and is there when the machine has come back.
. "$(dirname "$0")/lib.sh"
. "$HF_DIR/lib-qemu.sh"
hf_begin migrate-kernel
rounds=${HF_MOVES:-$([ "${HF_SHORT:-0}" = 1 ] && echo 2 || echo 6)}

disk 1 data 256M
disk 2 quorum 16M
target_start
hf_vm_make v
kvm=$HF_RUN/share/kvm
mkdir -p "$kvm/firmware" "$kvm/modules"
cp "$HF_KERNEL/vmlinuz" "$kvm/"
cp "$HF_RUN/qemu/v.initrd" "$kvm/initrd"
cp -Ln /usr/share/seabios/*.bin /usr/share/qemu/*.bin "$kvm/firmware/"
cp /usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so "$kvm/modules/"
cp "$HF_DIR/guest-kvm.sh" "$HF_RUN/share/"
bundle "$(command -v qemu-system-x86_64)"
bundle "$(command -v qemu-pr-helper)"

# v_start HOST [OPTION]...; v_ask HOST COMMAND [ARGUMENTS]: QMP, its answer; v_on HOST: it runs there now.
v_start() {
	guest "$1" ". /hf/guest-kvm.sh; HF_PORT_SERVE='$HF_PORT_SERVE'
		$(guide proxmox-libvirt kernel-options)
		kvm_start \$disks ${*:2}"
}
v_ask() {
	guest_says "$1" ". /hf/guest-kvm.sh; kvm_ask '{\"execute\": \"$2\", \"arguments\": ${3:-{\}}}'" |
		jq -c .return
}
v_on() {
	echo "$1" >"$HF_RUN/qemu/v.host"
	cp "$HF_RUN/procs/guest-$1" "$HF_RUN/procs/guest-v"
}

# v_move TO
v_move() {
	local from info
	from=$(cat "$HF_RUN/qemu/v.host")
	v_start "$1" -incoming tcp:0:4444
	v_ask "$from" migrate "{\"uri\": \"tcp:10.77.3.$(hf_guest_host "$1"):4444\"}" >/dev/null
	hf_wait 100 v_is "$from" query-migrate completed || fail "v has not moved after 100 s"
	hf_wait 30 v_is "$1" query-status running || fail "v does not run on $1"
	info=$(v_ask "$from" query-migrate)
	guest "$from" "echo '{\"execute\": \"quit\"}' 1<>/tmp/qmp.in; wait_for 20 eval '! pgrep -f hf/kvm/initrd'"
	v_on "$1"
	say "moved to $1 in $(jq '."total-time"' <<<"$info") ms, stood still for $(jq .downtime <<<"$info") ms"
}
v_is() {
	[ "$(v_ask "$1" "$2" | jq -r .status)" = "$3" ]
}

for host in a b; do
	HF_GUEST_MEMORY=700M guest_boot $host
	guest $host "initiator_start; /lib/systemd/systemd-udevd --daemon
		$(guide proxmox-libvirt kernel); udevadm settle
		printf '#!/bin/sh\nexec /hf/qemu-pr-helper/run \"\$@\"\n' >/usr/bin/qemu-pr-helper
		chmod +x /usr/bin/qemu-pr-helper
		$(guide proxmox-libvirt helper)"
done
v_start a
v_on a
hf_vm_up v
say "v runs on a, and has a reservation"
guest v "$(guide proxmox-libvirt reserve)
	dd if=/dev/zero of=/dev/lun2 bs=1M count=1 oflag=direct"
pr_is 2 "type 5 of a" "a 1 abc"
guest_start v '/hf/stamp-dev run /dev/lun1 /tmp/ledger fua,flush 4 1200 /tmp/stop'
sleep 2

pause_start data
say "the target is killed"
target_kill
target_start
guest v 'dd if=/dev/zero of=/dev/lun2 bs=1M count=1 oflag=direct'
pr_is 2 "type 5 of a" "a 1 abc"
for ((i = 1; i <= rounds; i += 2)); do
	v_move b
	guest v '! dd if=/dev/zero of=/dev/lun2 bs=4k count=1 oflag=direct'
	v_move a
	guest v 'dd if=/dev/zero of=/dev/lun2 bs=4k count=1 oflag=direct'
done
pause_stop
say "the longest time without a write: $HF_PAUSE_MS ms"
# A login after the target was killed, and moves, of a machine emulated within an emulated one.
[ "$HF_PAUSE_MS" -lt 30000 ] || fail "nothing was written for $HF_PAUSE_MS ms: limit 30000"
vm_stamps v data
pr_is 2 "type 5 of a" "a 1 abc"
target_stop
say "done"
