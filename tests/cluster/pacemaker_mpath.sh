#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cluster of docs/kvm-pacemaker.md over two fabrics: dm-multipath and fence_mpath. When the cluster's
# network is split, the active node has just lost its second fabric, and the other its first: it is fenced
# on both paths, by one, and stays fenced when the fabrics are back. It is reset, joins, is unfenced on
# both, and writes.
. "$(dirname "$0")/lib.sh"
. "$HF_DIR/lib-pacemaker.sh"
hf_begin pacemaker_mpath
declare -A cluster_keys=([a]=a1 [b]=b1)
cluster_fabrics=(1 2)
vm1=/dev/mapper/vm1

# paths NODE N: so many are usable there, of three disks.
paths() {
	guest "$1" "ready() { [ \"\$(multipathd show paths raw format '%t %T' | grep -c '^active ready')\" = $2 ]; }
		wait_for 50 ready || { multipathd show paths; exit 1; }"
}
storage() {
	guests "$1" 120 "$(guide kvm-pacemaker multipath)
		$(guide kvm-pacemaker storage_mpath)
		wait_for 30 test -b /dev/mapper/quorum -a -b /dev/mapper/images -a -b $vm1"
}

target_start
cluster_boot a
cluster_boot b
storage "a b"
for node in a b; do
	paths $node 6
done
say "the cluster is set up as the guide has it"
guest a 'mkfs.ext4 -q /dev/mapper/images'
cluster_form "$(guide kvm-pacemaker fencing_mpath)"
guest a "$(guide kvm-pacemaker resources | sed 's,/dev/disk/by-id/wwn-0x[0-9a-f]*,/dev/mapper/images,')"
vm_start

say "$on runs the machine and loses its second fabric, $off the first; the cluster network is split; both write"
fence_writers $off $on $vm1 2 2
sleep 2
path_cut $on 2
path_cut $off 1
path_cut $off 3
is_fenced $off
fence_mark $on $vm1
tried
path_mend $on 2
path_mend $off 1
say "the fabrics are back"
for node in a b; do
	paths $node 6
done
sleep 2
fence_check $off $on $vm1 20000
keys_are $off
vm_wrote $on $on 20000
story_after_split fence_mpath "2 registrations"
say "$off finds out and resets itself, the network is mended"
watchdog $off fence_mpath
path_mend $off 3
cluster_boot $off
storage $off
paths $off 6
cluster_install $off
keys_are -
say "$off is back, and unfenced"
writes_again $off
mon $off 60 'Online: \[ a b \]'
target_stop
say "done"
