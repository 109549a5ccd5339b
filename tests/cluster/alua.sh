#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The kernel's own ALUA handler, scsi_dh_alua, which User-Mode Linux lacks: a guest with Debian's stock
# kernel, set up as docs/multipath.md says. It asks REPORT TARGET PORT GROUPS through each path and puts
# each into its portal group; a path is cut and brought back under verified I/O.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-qemu.sh"
. "$(dirname "$0")/lib-multipath.sh"
hf_begin alua

disk 1 shared 128M
target_start
multipath_boot a qemu_boot
guest a "modprobe scsi_dh_alua; dmesg -C; $(guide multipath login)"
paths a 2

say "the handler knows both portal groups as active/optimized"
said=$(guest_says a 'dmesg | grep alua:')
for group in 1 2; do
	# Capitals are the states the target says it can be in: A, active/optimized.
	for want in "port group $group rel port $group" "port group 0$group state A non-preferred supports tolusnA"; do
		[[ $said = *"$want"* ]] || fail "no '$want': $said"
	done
done
for fabric in 1 2; do
	expect "handler and state of path $fabric" "$(guest_says a "d=/sys/block/\$(basename \$(path_dev $fabric))/device
		cat \$d/dh_state \$d/access_state \$d/preferred_path" | xargs)" "alua active/optimized 0"
done
guest a 'multipath -ll | grep "hwhandler=.1 alua"
	[ "$(multipathd show paths raw format %p | xargs)" = "50 50" ]'

say "a fabric is cut, and comes back"
guest a 'dmesg -C'
io_start a
sleep 2
path_cut a 1
paths a 1
sleep 2
path_mend a 1
paths a 2
sleep 2
io_end a "fabric 1" $HF_PATH_LIMIT
guest a 'dmesg | grep "Failing path"; dmesg | grep "Reinstating path"'

say "the target is killed, and started again"
io_start a
sleep 2
target_kill
sleep 1
target_start
paths a 2
sleep 2
io_end a "the target killed" $HF_PATH_LIMIT
target_stop
say "done"
