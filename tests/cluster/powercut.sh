#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The target runs in a guest whose disk survives it. Power is cut (kill -9 of the guest, so its page cache is gone) under
# writes with FUA, with flushes, on a write-through disk and, to see that the cut cuts, with neither. After a reboot what was
# acknowledged as durable is there.
. "$(dirname "$0")/lib.sh"
hf_begin powercut
[ "$HF_TARGET" = holdfast ] || skip "only holdfastd is put into a guest"

disk 0 cached 64M write_cache: on
disk 1 through 64M write_cache: off
disk 2 careless 64M write_cache: on
array=10.77.1.11:3260

bundle "$HF_DAEMON"
target_config /data "$array" >"$HF_RUN/share/holdfast.yaml"
truncate -s 1G "$HF_RUN/array.disk"

# The array's power goes on: its file system recovers, the daemon starts.
array_start() {
	guest_boot a ubd "$HF_RUN/array.disk"
	guest a "cp /hf/holdfast.yaml /etc && chmod 600 /etc/holdfast.yaml
		mkdir -p /data && mount /dev/ubda /data && mkdir -p /data/disks /data/state
		setsid /hf/holdfastd/run --config /etc/holdfast.yaml >/hf/target.log 2>&1 &
		wait_for 20 grep -q state=ready /hf/target.log"
}

# stamps run|check DISK...: from outside, through libiscsi.
stamps() {
	in_net "$HF_TOOLS/stamp-iscsi" "$1" "iscsi://$array/$HF_IQN/$2" "$HF_RUN/ledger.$2" "${@:3}"
}

for fs in ext4 xfs; do
	say "an array on $fs"
	rm -f "$HF_RUN"/ledger.* "$HF_RUN/array.disk"
	truncate -s 1G "$HF_RUN/array.disk"
	guest_boot a ubd "$HF_RUN/array.disk"
	guest a "mkfs.$fs -q /dev/ubda"
	guest_kill a
	array_start
	for round in 1 2 3; do
		stamps run 0 fua,flush 8 60 >"$HF_RUN/said.0" &
		stamps run 1 through 4 60 >"$HF_RUN/said.1" &
		stamps run 2 volatile 2 60 >"$HF_RUN/said.2" &
		sleep 3
		guest_kill a
		say "power cut ($round)"
		hf_stamps_end
		for lun in 0 1 2; do
			say "disk $lun: $(cat "$HF_RUN/said.$lun")"
			[ "$(cut -d' ' -f1 "$HF_RUN/said.$lun")" -gt 30 ] || fail "too few writes to prove anything"
		done
		array_start
		for lun in 0 1 2; do
			stamps check $lun >"$HF_RUN/said.$lun" || { cat "$HF_RUN/said.$lun"; fail "disk $lun lost what it promised"; }
			say "disk $lun: $(cat "$HF_RUN/said.$lun")"
		done
		[[ $(cat "$HF_RUN/said.2") =~ ([0-9]+)\ not\ durable ]]
		[ "${BASH_REMATCH[1]}" -gt 0 ] || fail "nothing was forgotten: this was no power cut"
	done
	guest_kill a
done
say "done"
