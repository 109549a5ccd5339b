#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Linux host finds its disks, logs in with CHAP and digests, puts ext4 and XFS on them, and finds
# its data again.
. "$(dirname "$0")/lib.sh"
hf_begin basic

disk 1 ext4 1G
disk 2 xfs 1G
target_auth node secret-of-the-node array secret-of-the-array
target_start
guest_boot a
guest a 'initiator_start'

say "discovery shows the target on its portals"
found=$(guest_says a 'iscsiadm -m discovery -t sendtargets -p $PORTAL')
grep -q "^$HF_PORTAL,1 $HF_IQN\$" <<<"$found"
# One path is enough here.
guest a 'for p in $(ls /etc/iscsi/nodes/$IQN | grep -v "^$ADDR,"); do
		iscsiadm -m node -T $IQN -p ${p%%,*} -o delete
	done'

say "without CHAP, and with a wrong secret, there is no login"
guest a '! iscsiadm -m node -T $IQN --login'
guest a 'node_set $IQN node.session.auth.authmethod=CHAP \
		node.session.auth.username=node node.session.auth.password=not-the-secret
	! iscsiadm -m node -T $IQN --login'

say "login with CHAP"
guest a 'node_set $IQN node.session.auth.password=secret-of-the-node
	iscsiadm -m node -T $IQN --login
	iscsiadm -m node -T $IQN --logout'

say "mutual CHAP: a target that does not know its own secret is left, one that does is kept"
guest a 'node_set $IQN node.session.auth.username_in=array \
		node.session.auth.password_in=not-the-arrays-secret
	! iscsiadm -m node -T $IQN --login'
guest a 'node_set $IQN node.session.auth.password_in=secret-of-the-array \
		"node.conn[0].iscsi.HeaderDigest=CRC32C" "node.conn[0].iscsi.DataDigest=CRC32C"
	dmesg -C
	iscsiadm -m node -T $IQN --login'
digests=$(guest_says a 'cat /sys/class/iscsi_connection/connection*/{header,data}_digest')
expect "header and data digests" "$(xargs <<<"$digests")" "1 1"

say "ext4 and XFS"
guest a 'mkdir -p /ext4 /xfs
	mkfs.ext4 -q $(lun_dev $IQN 1); mount $(lun_dev $IQN 1) /ext4
	mkfs.xfs -q $(lun_dev $IQN 2); mount $(lun_dev $IQN 2) /xfs'
guest a -t 120 'for fs in ext4 xfs; do
		fio --name=$fs --directory=/$fs --size=64M --rw=randwrite --bsrange=4k-256k \
			--ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 --minimal
		fio --name=$fs-fsync --directory=/$fs --size=4M --rw=randwrite --bs=4k --fsync=8 \
			--verify=crc32c --verify_fatal=1 --minimal
		dd if=/dev/urandom of=/$fs/random bs=1M count=16 status=none
	done
	find /ext4 /xfs -type f | xargs sha256sum >/tmp/sums
	[ $(wc -l </tmp/sums) = 6 ]'

for fs in ext4 xfs; do
	guest a "dd if=/dev/urandom of=/$fs/big bs=1M count=64 status=none; sync -f /$fs"
	before=$(disk_used $fs)
	guest a "rm /$fs/big; sync -f /$fs; fstrim -v /$fs"
	after=$(disk_used $fs)
	say "fstrim of $fs gave back $(((before - after) >> 20)) of 64 MiB"
	[ $((before - after)) -ge $((48 << 20)) ] || fail "fstrim of $fs: $before before, $after after"
done

say "logout, login: the data is there"
guest a 'umount /ext4 /xfs; no_io_errors; iscsiadm -m node -T $IQN --logout; fails lun_find $IQN 1; dmesg -C'
guest a 'iscsiadm -m node -T $IQN --login
	e2fsck -fn $(lun_dev $IQN 1); xfs_repair -n $(lun_dev $IQN 2)
	mount $(lun_dev $IQN 1) /ext4; mount $(lun_dev $IQN 2) /xfs
	sha256sum --quiet -c /tmp/sums
	umount /ext4 /xfs
	no_io_errors
	iscsiadm -m node -T $IQN --logout'

target_stop
say "done"
