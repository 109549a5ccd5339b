#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A block device that hangs under O_DIRECT, with more writes waiting for it than its queue takes: other LUNs of the same reactor
# are served on, no thread of the kernel's stands and waits, and when it goes on nothing is lost. The device is a loop device on
# a file of a file system that is frozen for a second and a half.
#
#	tests/daemon/hung.sh [BUILD]	WIRE_DRIVER: the reactors' (auto)
if [ -z "${HUNG_UNSHARED:-}" ] && [ "$(id -u)" = 0 ] && unshare -m true 2> /dev/null; then
	HUNG_UNSHARED=1 exec unshare -m bash "$0" "$@"	# what is mounted here is seen here, and goes with it
fi
. "$(dirname "$0")/cli_lib.sh"
PATH=$PATH:/usr/sbin:/sbin
bench=$B/tests/bench/hf-bench frozen='' device='' other=''

leave() {
	[ -z "$frozen" ] || fsfreeze -u "$D/m"
	[ -z "$daemon" ] || kill -9 "$daemon" 2> /dev/null
	wait 2> /dev/null
	daemon=
	[ -z "$device" ] || losetup -d "$device"
	[ -z "$other" ] || losetup -d "$other"
	! mountpoint -q "$D/m" || umount "$D/m"
	cleanup
}
trap leave EXIT
result() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ]
	exit
}

[ -n "${HUNG_UNSHARED:-}" ] || { skip "all of it: needs root and a mount namespace"; result; }
for tool in mkfs.ext4 losetup fsfreeze "$bench"; do
	have "$tool" || { skip "all of it: no $tool"; result; }
done

# loop IMAGE: sets dev
loop() { dev=$(losetup -f --show "$1") && losetup --direct-io=on "$dev"; }
media() {
	mkdir "$D/m" && truncate -s 200M "$D/fs.img" && mkfs.ext4 -q "$D/fs.img" && mount -o loop "$D/fs.img" "$D/m" &&
		dd if=/dev/zero of="$D/m/device.img" bs=1M count=64 status=none && loop "$D/m/device.img" && device=$dev &&
		dd if=/dev/zero of="$D/other.img" bs=1M count=32 status=none && loop "$D/other.img" && other=$dev &&
		dd if=/dev/zero of="$D/file.img" bs=1M count=32 status=none && fsfreeze -f "$D/m" && fsfreeze -u "$D/m"
}
media > "$out" 2>&1 || { skip "all of it: no loop devices, or nothing that freezes: $(tail -n 1 "$out")"; result; }

cat > "$D/a.yaml" <<END
state_dir: $D/state
control: $S
driver: ${WIRE_DRIVER:-auto}
reactors: 1
portals: [{name: net, listen: "127.0.0.1:${ports[0]}", group: 1}]
targets:
  - name: $IQN:hung
    luns:
      - {lun: 0, name: hung, path: $device, direct: on}
      - {lun: 1, name: other, path: $other, direct: on}
      - {lun: 2, name: file, path: $D/file.img}
END
ok "it starts" start "$D/a.yaml"

# load LUN NAME OPTIONS: sets ios; a status that is not GOOD or an answer that is wrong fails
load() {
	timeout 30 "$bench" -p "${ports[0]}" -t $IQN:hung --initiator "$IQN-$2" -l "$1" "${@:3}" > "$out.$2" 2> "$err"
	rc=$?
	ios=$(sed -n 's/.* ios=\([0-9]*\) .*/\1/p' "$out.$2")
	[ $rc = 0 ] && [ "${ios:-0}" -ge 50 ]
}
# Writes the device has and does not end.
stands() { awk '{ exit !($2 >= 64) }' "/sys/block/${device#/dev/}/inflight"; }
kernel_threads() { grep -l '^iou-wrk' /proc/"$daemon"/task/*/comm 2> /dev/null | wc -l; }

ok "the device works" load 0 before -r0 -q8 -n1 -T 0.2
load 0 hung -r0 -q32 -n16 -T 3 &
pid=$!
sleep 0.5
fsfreeze -f "$D/m" && frozen=1
{ sleep 4; fsfreeze -u "$D/m"; } > /dev/null 2>&1 &	# whatever becomes of what follows
thaw=$!
sleep 0.3
ok "it hangs, with many writes" stands
ok "another device is served" load 1 other -r50 -q8 -n1 -T 0.5
ok "a file is served" load 2 file -r50 -q8 -n1 -T 0.5
ok "no threads wait in the kernel" [ "$(kernel_threads)" -le 16 ]
ok "it still hangs" stands
kill $thaw 2> /dev/null && fsfreeze -u "$D/m"
frozen=
ok "all that waited has ended well" wait $pid
ok "what is written then is read" load 0 after -V -r50 -q32 -n8 -T 0.3
ok "it ends" finish TERM
ok "nothing was found" clean_log

# The file system with the journals stands still when the daemon is to end: a stop that is quick otherwise waits for it.
if have python3; then
	cat > "$D/b.yaml" <<-END
		state_dir: $D/m/state
		control: $S
		driver: ${WIRE_DRIVER:-auto}
		portals: [{name: net, listen: "127.0.0.1:${ports[0]}", group: 1}]
		targets: [{name: $IQN:memory, luns: [{lun: 0, name: memory, backend: memory, size: 16M}]}]
	END
	ok "it starts with its state there" start "$D/b.yaml"
	coproc NEXUS { exec python3 tests/daemon/nexus.py "${ports[0]}"; }
	nexus=$NEXUS_PID
	ok "a session" told "open 1" open $IQN:memory $IQN:n1 1
	fsfreeze -f "$D/m" && frozen=1
	{ sleep 2.8; fsfreeze -u "$D/m"; } > /dev/null 2>&1 &
	thaw=$!
	{ kill "$nexus"; wait "$nexus"; } 2> /dev/null	# its end is a record
	nexus=
	sleep 0.2
	ok "it ends in order" finish TERM
	ok "with all its records" [ "$(grep -c 'records are not written' "$D/log")" = 0 ]
	wait $thaw && frozen=
else
	skip "journals that stand still: no python3"
fi
result
