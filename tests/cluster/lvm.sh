#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two nodes take a volume group from each other, twenty times, by LVM's way: register, then preempt and
# abort the other, who writes to a logical volume all the while (the kernel's own target hangs then).
# Each is answered within 2 s, every write of the loser fails and none hangs, and what the winner
# writes stays.
#
# Debian 12's lvm2 (2.03.16) has no lvmpersist yet; here sg_persist sends what `lvmpersist start
# --ourkey OURS --removekey THEIRS --access ex` sends through it, without the wait between the two that
# lvmpersist has for the sake of the kernel's target: reads of the winner are under way on its own
# session, as udev's are which a registration sets off.
. "$(dirname "$0")/lib.sh"
hf_begin lvm
rounds=20

# Writes take up to 200 ms to reach the medium, so that some are always on their way there.
disk 1 pv 64M 'filters: "delay:op=write,max_us=200000"'
target_start
for node in a b; do
	guest_boot $node
	guest $node 'initiator_start; dmesg -n 1; modprobe dm_mod
		login 1; ln -s $(lun_dev $IQN 1) /dev/pv
		head -c 4M /dev/zero | tr "\0" $HF_NAME >/tmp/mark'
done

# lvm_start NODE: as the first one does it.
lvm_start() {
	guest "$1" "sg_turs /dev/pv || :
		sg_persist --in --report-capabilities /dev/pv | grep -q 'Write Exclusive: 1'
		sg_persist --no-inquiry --out --register-ignore --param-sark=0x${1}1 /dev/pv
		sg_persist --no-inquiry --out --reserve --param-rk=0x${1}1 --prout-type=1 /dev/pv"
}

# lvm_take NODE FROM: as one that takes over, and writes over the volume at once. Prints in how many
# ms each of the two commands was answered.
lvm_take() {
	guest_says "$1" "sg_turs /dev/pv >/dev/null 2>&1 || :
		sg_persist --in --report-capabilities /dev/pv 2>&1 | grep -q 'Write Exclusive: 1'
		sg_persist --no-inquiry --in --read-keys /dev/pv 2>&1 | grep -q ' 0x${2}1\$'
		for i in 1 2; do
			dd if=/dev/pv of=/dev/null bs=64k count=200 iflag=direct status=none &
		done
		took() {
			sg_persist -vvv --no-inquiry --out \"\$@\" /dev/pv 2>&1 | sed -n 's/.*duration=\([0-9]*\).*/\1/p'
		}
		took --register-ignore --param-sark=0x${1}1
		took --preempt-abort --param-sark=0x${2}1 --param-rk=0x${1}1 --prout-type=1
		dd if=/tmp/mark of=/dev/vg/lv bs=4M oflag=direct status=none
		wait"
}

# lvm_use NODE: finds what it wrote when it took the volume, and writes to it until lvm_leave.
lvm_use() {
	rm -f "$HF_RUN/share/$1/stop" "$HF_RUN/share/$1/uses"
	guest_start "$1" 'dd if=/dev/vg/lv bs=1M iflag=direct status=none | cmp - /tmp/mark
		touch /hf/$HF_NAME/uses
		/hf/fenced /dev/vg/lv 0 4 16 60 /hf/$HF_NAME/stop'
	hf_wait 20 test -e "$HF_RUN/share/$1/uses" || fail "$1: what it wrote is not there"
	sleep 0.3
}
lvm_leave() {
	touch "$HF_RUN/share/$1/stop"
	guest_wait "$1" 20
}

say "a makes a volume group and reserves it, b sees it and cannot write"
lvm_start a
pr_is 1 "type 1 of a" "a 1 a1"
guest a 'pvcreate -q /dev/pv; vgcreate -q vg /dev/pv; lvcreate -q -Z n -W n -n lv -L 4M vg; vgmknodes'
guest b 'vgchange -q -ay vg; vgmknodes; ! dd if=/dev/zero of=/dev/vg/lv bs=4k count=1 oflag=direct'

slowest=0 wrote=0 refused=0 longest=0
loser=a winner=b
guest a 'dd if=/tmp/mark of=/dev/vg/lv bs=4M oflag=direct'
lvm_use a
for ((round = 1; round <= rounds; round++)); do
	took=$(lvm_take $winner $loser)
	read -r register preempt <<<"${took//$'\n'/ }"
	[ -n "$preempt" ] || fail "round $round: no answer"
	[ "$register" -lt 2000 ] && [ "$preempt" -lt 2000 ] ||
		fail "round $round: $register ms to register, $preempt ms to preempt and abort"
	slowest=$((preempt > slowest ? preempt : slowest))
	pr_is 1 "type 1 of $winner" "$winner 1 ${winner}1"
	said=$(lvm_leave $loser)
	[[ $said =~ ^([0-9]+)\ writes,\ ([0-9]+)\ failed,\ 0\ got\ through.*longest\ ([0-9]+)\ ms ]] ||
		fail "round $round: $loser: $said"
	[ "${BASH_REMATCH[1]}" -gt 0 ] && [ "${BASH_REMATCH[2]}" -gt 0 ] || fail "round $round: $loser: $said"
	[ "${BASH_REMATCH[3]}" -lt 2000 ] || fail "round $round: a write took ${BASH_REMATCH[3]} ms"
	longest=$((BASH_REMATCH[3] > longest ? BASH_REMATCH[3] : longest))
	wrote=$((wrote + BASH_REMATCH[1])) refused=$((refused + BASH_REMATCH[2]))
	lvm_use $winner
	read -r loser winner <<<"$winner $loser"
done
said=$(lvm_leave $loser)
[[ $said =~ \ 0\ failed ]] || fail "$loser: $said"
guest $loser 'vgck vg'
say "$rounds times: preempt and abort took $slowest ms at most; $wrote writes, the longest $longest ms, $refused refused"
target_stop
say "done"
