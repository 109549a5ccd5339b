#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A path that loses large packets while small ones pass: logins, pings and path checks go through,
# data does not. With what docs/multipath.md sets against it the pauses are bounded, nothing written
# is lost, and Holdfast keeps no connection that is dead.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-multipath.sh"
. "$(dirname "$0")/lib-trouble.sh"
hf_begin mtu

disk 1 shared 128M
target_start
multipath_boot a
trouble_ready a
guest a "$(guide multipath retries)"
guest a "$(guide multipath probing)"
in_net bash -c "$(guide multipath probing)"
guest a "$(guide multipath login)"
paths a 2
expect "retries of the kernel" "$(guest_says a 'cat /sys/class/scsi_disk/*/max_retries' | xargs)" "1 1"

say "with tcp_mtu_probing on both sides, packets over 1200 bytes are lost on fabric 2: the path goes on"
io_start a
sleep 1
trouble_large a 2 both 1200
sleep 15
before=$(path_session a 2 | cut -d' ' -f3)
sleep 5
after=$(path_session a 2 | cut -d' ' -f3)
for way in in out; do
	[ "$(trouble_counted a 2 $way)" -gt 0 ] || fail "nothing was lost $way of the host"
done
trouble_end a 2
io_end a "with probing" $HF_PATH_LIMIT
[ $((after - before)) -gt 30 ] || fail "$((after - before)) commands in 5 s over the path"

say "without: the path fails, comes back and fails, until multipathd holds it back or finds no priority for it"
guest a 'sysctl -w net.ipv4.tcp_mtu_probing=0'
in_net sysctl -qw net.ipv4.tcp_mtu_probing=0
# A connection that has found its size keeps it.
guest a "$(guide multipath remove)"
paths a 1
guest a "$(guide multipath add)"
paths a 2
peer=$(path_session a 2 | cut -d' ' -f1)
io_start a
sleep 1
trouble_large a 2 both 1200
sleep 75
said=$(guest_says a 'multipathd show paths raw format "%d %t %T, priority %p;"' | xargs)
say "paths: $said"
# Two tries, each 2 + 3 s and a new login; and as long again for a slow machine. With Linux' six tries it is 40 s.
io_end a "without probing" 30000
grep -q "event=close .*peer=$peer" "$HF_RUN/target.1.log" || fail "Holdfast kept the dead connection"

say "the network is as it was, and so is Holdfast"
trouble_end a 2
target_healthy
target_stop
say "done"
