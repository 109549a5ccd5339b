#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The target is killed (kill -9) three times under I/O and started again, and once stopped in order,
# as for an upgrade. The host waits, recovers by itself, sees no error, and nothing it was told is
# durable is gone.
. "$(dirname "$0")/lib.sh"
hf_begin restart

disk 1 cached 256M write_cache: on
disk 2 through 256M write_cache: off
disk 3 ext4 512M
target_start
guest_boot a
guest a 'initiator_start
	iscsiadm -m discovery -t sendtargets -p $PORTAL
	iscsiadm -m node -T $IQN -p $PORTAL --login
	lun_dev $IQN 1; lun_dev $IQN 2
	mkdir /ext4; mkfs.ext4 -q $(lun_dev $IQN 3); mount $(lun_dev $IQN 3) /ext4'

say "stamps with FUA and with flushes on one disk, plain ones on a write-through disk, fio on ext4"
guest_start a '
	/hf/stamp-dev run $(lun_dev $IQN 1) /tmp/cached fua,flush 6 300 /tmp/stop >/tmp/cached.said &
	one=$!
	/hf/stamp-dev run $(lun_dev $IQN 2) /tmp/through through 4 300 /tmp/stop >/tmp/through.said &
	two=$!
	while ! [ -e /tmp/stop ]; do
		fio --name=ext4 --directory=/ext4 --size=8M --rw=randwrite --bsrange=4k-64k \
			--fsync=16 --overwrite=1 --verify=crc32c --verify_fatal=1 --minimal >/tmp/fio.said
	done
	wait $one; wait $two'
for round in 1 2 3; do
	sleep 2
	target_kill
	say "killed ($round)"
	sleep 0.$((RANDOM % 10))
	target_start
done
sleep 2
target_stop
say "stopped in order"
target_start
sleep 2
guest a 'touch /tmp/stop'
guest_wait a 120
guest a 'no_io_errors'
for disk in cached through; do
	said=$(guest_says a "cat /tmp/$disk.said")
	say "$disk: $said"
	[[ $said =~ ([0-9]+)\ writes.*pause\ ([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -gt 100 ] || fail "too few writes to prove anything"
	[ "${BASH_REMATCH[2]}" -lt 30000 ] || fail "the host waited ${BASH_REMATCH[2]} ms: limit 30000"
done

say "once more, and now the host's own caches go too: the guest loses power with the target"
guest a 'cp /tmp/cached /tmp/through /hf/$HF_NAME/; umount /ext4; sync'
guest_kill a
target_kill
target_start
guest_boot b
cp "$HF_RUN/share/a/cached" "$HF_RUN/share/a/through" "$HF_RUN/share/"
guest b 'initiator_start
	iscsiadm -m discovery -t sendtargets -p $PORTAL
	iscsiadm -m node -T $IQN -p $PORTAL --login
	e2fsck -fn $(lun_dev $IQN 3)'
for lun in 1:cached 2:through; do
	said=$(guest_says b "/hf/stamp-dev check \$(lun_dev \$IQN ${lun%:*}) /hf/${lun#*:}")
	say "${lun#*:}: $said"
done
guest b 'iscsiadm -m node -T $IQN --logout'
target_stop
say "done"
