#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh in a guest of tests/cluster, by the kernel's initiator: A and B are two initiator names of
# one host, each through a portal of its own. A scenario like those of tests/cluster/run.sh: exit
# status 0 passed, 77 cannot run here.
. "$(dirname "$0")/../../cluster/lib.sh"
hf_begin sg_persist

disk 1 pr 64M
target_start
guest_boot a
cp "$(dirname "$0")/run.sh" "$HF_RUN/share/sg_persist.sh"
cp "$(dirname "$0")/expected" "$HF_RUN/share/expected"
guest a 'initiator_start
	iscsiadm -m iface -I second -o new
	iscsiadm -m iface -I second -o update -n iface.initiatorname -v iqn.2026-11.com.example:second
	iscsiadm -m discovery -t sendtargets -p $PORTAL -I default -I second
	iscsiadm -m node -T $IQN -p $PORTAL -I default --login
	iscsiadm -m node -T $IQN -p 10.77.2.1:3260 -I second --login
	for i in default second; do
		find_it() {
			for s in /sys/class/iscsi_session/session*; do
				[ "$(cat $s/ifacename)" = $i ] || continue
				for d in $s/device/target*/*:1/block/*; do
					[ -e "$d" ] && echo "/dev/${d##*/}" >/tmp/$i && return
				done
			done
			return 1
		}
		wait_for 20 find_it
	done'
say "the transcript"
guest_says a -t 250 '/hf/sg_persist.sh $(cat /tmp/default) $(cat /tmp/second)'
target_stop
say "done"
