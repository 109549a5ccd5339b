#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The target runs in a guest whose disk survives it. Power is cut (kill -9 of the guest, so its page
# cache is gone) under writes with FUA, with flushes, on a write-through disk and, to see that the
# cut cuts, with neither. After a reboot what was acknowledged as durable is there.
. "$(dirname "$0")/lib.sh"
hf_begin powercut
[ "$HF_TARGET" = holdfast ] || skip "only holdfastd is put into a guest"
! grep -qE '__(asan|tsan)_init' "$HF_DAEMON" || skip "no sanitizer build runs inside a guest"

disk 0 cached 64M write_cache: on
disk 1 through 64M write_cache: off
disk 2 careless 64M write_cache: on
array=10.77.1.11:3260

bundle "$HF_DAEMON"

# The array's power goes on: its file system recovers, the daemon starts.
array_start() {
	guest_boot a ubd "$HF_RUN/array.disk"
	guest a "cp /hf/holdfast.yaml /etc && chmod 600 /etc/holdfast.yaml
		mkdir -p /data && mount /dev/ubda /data && mkdir -p /data/disks /data/state
		setsid /hf/holdfastd/run --config /etc/holdfast.yaml >/hf/\$HF_NAME/target.log 2>&1 &
		wait_for 20 grep -q state=ready /hf/\$HF_NAME/target.log"
}

# From outside, through libiscsi. stamps_start DISK MODES LANES; stamps_check DISK
stamps_start() {
	in_net_start "stamps-$1" "$HF_TOOLS/stamp-iscsi" run "iscsi://$array/$HF_IQN/$1" \
		"$HF_RUN/ledger.$1" "$2" "$3" 60 >"$HF_RUN/said.$1"
}

stamps_check() {
	in_net timeout 60 "$HF_TOOLS/stamp-iscsi" check "iscsi://$array/$HF_IQN/$1" \
		"$HF_RUN/ledger.$1"
}

for kind in ext4:auto xfs:epoll; do
	fs=${kind%:*}
	HF_DRIVER=${kind#*:}
	say "an array on $fs, driver: $HF_DRIVER"
	target_config /data "$array" >"$HF_RUN/share/holdfast.yaml"
	rm -f "$HF_RUN"/ledger.* "$HF_RUN/array.disk"
	truncate -s 1G "$HF_RUN/array.disk"
	guest_boot a ubd "$HF_RUN/array.disk"
	guest a "mkfs.$fs -q /dev/ubda"
	guest_kill a
	array_start
	for round in 1 2 3; do
		stamps_start 0 fua,flush 8
		stamps_start 1 through 4
		stamps_start 2 volatile 2
		sleep 3.$((RANDOM % 10))
		guest_kill a
		say "power cut ($round)"
		for lun in 0 1 2; do
			in_net_stop stamps-$lun
			say "disk $lun: $(cat "$HF_RUN/said.$lun")"
			[ "$(cut -d' ' -f1 "$HF_RUN/said.$lun")" -gt 30 ] || fail "too few writes to prove anything"
		done
		array_start
		for lun in 0 1 2; do
			stamps_check $lun >"$HF_RUN/said" || fail "disk $lun: $(cat "$HF_RUN/said")"
			said=$(tail -n 1 "$HF_RUN/said")
			say "disk $lun: $said"
		done
		[[ $said =~ ([0-9]+)\ not\ durable ]]
		[ "${BASH_REMATCH[1]}" -gt 0 ] ||
			fail "the careless disk forgot nothing: this was no power cut"
	done
	guest_kill a
done
say "done"
