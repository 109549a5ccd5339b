#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/moving.md: a target is moved from tgtd to Holdfast while two hosts write, one over two paths with multipath, one over one
# path with a file system; and back. Nobody sees an error, nothing is lost, and the disks have the names they had, also for who
# logs in anew. There is no LIO in this kernel: what the guide makes of its configuration is looked at from an initiator.
. "$(dirname "$0")/lib.sh"
. "$HF_DIR/lib-server.sh"
hf_begin moving
command -v tgt-admin >/dev/null || skip "no tgt-admin (Debian package tgt)"

server_boot
truncate -s 128M "$HF_RUN/disks/vm.img" "$HF_RUN/disks/data.img"
server 'cat >/etc/tgt/conf.d/disk.conf <<-EOF
	<target iqn.2026-11.com.example:disk>
		backing-store /srv/vm.img
		backing-store /srv/data.img
	</target>
	EOF
	systemctl start tgt'
guest_boot a
guest_boot b
wwn=/dev/disk/by-id/wwn-0x60000000000000000e00000000010001
guest a "initiator_start; multipath_start a1
	for fabric in 1 2; do
		iscsiadm -m discovery -t sendtargets -p 10.77.\$fabric.1
	done
	path_login 1 2
	wait_for 30 eval '[[ \$(readlink $wwn) = */dm-* ]] && [ \$(multipath -ll | grep -c \"active ready\") = 4 ]'"
guest b 'initiator_start; /lib/systemd/systemd-udevd --daemon
	iscsiadm -m discovery -t sendtargets -p $PORTAL
	path_login 1
	mkfs.ext4 -q $(lun_dev $IQN 2)
	mkdir /ext4; wait_for 30 mount /dev/disk/by-id/scsi-SIET_VIRTUAL-DISK_beaf12 /ext4'

# names GUEST: its disks' names and where they lead (of several paths: whichever), asked anew from the disks; without the second NAA
# of tgt.
names() {
	guest_says "$1" 'for disk in /sys/class/scsi_device/*/device; do echo 1 >$disk/rescan; done
		udevadm trigger --action=change --sysname-match=sd\* --sysname-match=dm-\* --settle
		cd /dev/disk/by-id
		for name in *; do
			disk=/sys/class/block/$(basename $(readlink $name))
			echo "$name $(cat $disk/dm/name 2>/dev/null || readlink $disk/device | sed s,.*:,lun,)"
		done' | grep -v '^scsi-33'
}
# identity GUEST: as the guide asks for it.
identity() {
	guest_says "$1" "$(guide moving identity)"
}

say "what there is"
server "$(guide moving inventory)"
grep -q "Backing store path: /srv/data.img" "$HF_RUN/server.out"
before=$(names a; names b)
said=$(identity a)
expect "LUNs" "$(wc -l <<<"$said")" 2
server "$(guide moving config)"
config=$(guide moving config | tr -s '\n ' ' ')
while read -r line; do
	[[ $config = *"${line#lun *: }}"* ]] || fail "the guide's configuration has not: $line"
done <<<"$said"

say "two hosts write"
guest b "$(guide moving patience)"
guest_start a "/hf/stamp-dev run $wwn /tmp/ledger fua,flush 4 500 /tmp/stop"
guest_start b 'while ! [ -e /tmp/stop ]; do
		fio --name=ext4 --directory=/ext4 --size=8M --rw=randwrite --bsrange=4k-64k \
			--fsync=16 --overwrite=1 --verify=crc32c --verify_fatal=1 --minimal >/tmp/fio.said
	done'
sleep 2
server "$(guide moving over)"
say "over"
server 'timeout 60 bash -c "until [ \$(holdfast --json session list | jq \".sessions | length\") = 3 ]; do sleep 0.2; done"'
say "three sessions are back"
sleep 2
server "$(guide moving look)"
guest a "$(guide moving names)"
expect "the names of the disks" "$(names a; names b)" "$before"
expect "what the disks say they are" "$(identity a)" "$said"

say "and back"
server "$(guide moving back)"
sleep 5
guest a 'touch /tmp/stop'
guest b 'touch /tmp/stop'
wrote=$(guest_wait a 120)
say "a: $wrote"
guest_wait b 120
guest a "/hf/stamp-dev check $wwn /tmp/ledger"
guest b 'no_io_errors; umount /ext4; e2fsck -fn $(lun_dev $IQN 2)'
[[ $wrote =~ ([0-9]+)\ writes.*pause\ ([0-9]+) ]]
[ "${BASH_REMATCH[1]}" -gt 100 ] || fail "too few writes to prove anything"
# 2 s are iscsid's, 2 s multipathd's, and a busy machine has to start a daemon.
[ "${BASH_REMATCH[2]}" -lt 30000 ] || fail "a waited ${BASH_REMATCH[2]} ms: limit 30000"

say "LIO: what is made of its configuration"
server 'systemctl stop tgt
	mkdir -p /etc/rtslib-fb-target
	cat >/etc/rtslib-fb-target/saveconfig.json' <"$HF_DIR/lio-saveconfig.json"
! (server "$(guide moving lio)") 2>"$HF_RUN/lio.err" || fail "CHAP has been lost"
grep -q "auth: found" "$HF_RUN/lio.err" "$HF_RUN/server.out" || fail "CHAP: not what the guide says"
server 'sed -i "s/\"authentication\": 1/\"authentication\": 0/" /etc/rtslib-fb-target/saveconfig.json'
server "$(guide moving lio)
	systemctl start holdfast"
guest b "iscsiadm -m node -T \$IQN --logout
	iscsiadm -m discovery -t sendtargets -p \$PORTAL
	path_login 1
	lun_dev \$IQN 0; lun_dev \$IQN 1"
expect "what they say they are" "$(identity b)" "$(cat <<-'EOF'
	lun 0: naa: 6001405c0ffee0123456789abcdef012, serial: "c0ffee01-2345-6789-abcd-ef0123456789", t10_id: "vm:c0ffee01-2345-6789-abcd-ef0123456789", vendor: LIO-ORG, product: vm
	lun 1: naa: 60014050badcafe0123456789abcdef0, serial: "0badcafe-0123-4567-89ab-cdef01234567", t10_id: "FILEIO:0badcafe-0123-4567-89ab-cdef01234567", vendor: LIO-ORG, product: FILEIO
EOF
)"
server 'holdfast --json lun list' 
jq -e '[.luns[] | [.lun, .path, .write_cache]] == [[0, "/srv/vm.img", true], [1, "/srv/data.img", false]]' <"$HF_RUN/server.out"
server 'systemctl stop holdfast'
say "done"
