#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-multipath over two fabrics to two portal groups, set up as docs/multipath.md says: a path added
# under I/O, each fabric cut and brought back, the target killed (kill -9) and stopped in order as for
# an upgrade. Everything written is verified, the longest pause is bounded, and the reservation stays
# as it was. What mpathpersist can do is mpathpersist.sh's; the kernel's ALUA handler, which these
# guests lack, is alua.sh's.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-multipath.sh"
hf_begin multipath

disk 1 shared 128M
target_start
multipath_boot a
held=("type 5 of a" "a 1 a1" "a 2 a1")

say "two paths, one is taken away; a reserves the disk"
guest a "$(guide multipath login)"
paths a 2
guest a "$(guide multipath remove)"
paths a 1
guest a "$(guide multipath reserve)"
pr_is 1 "type 5 of a" "a 1 a1"
io_start a
sleep 1

say "a second path is added: multipathd registers it, and it is written through"
guest a "$(guide multipath add)"
paths a 2
pr_becomes 10 1 "${held[@]}"
before=$(path_session a 2 | cut -d' ' -f3)
sleep 2
after=$(path_session a 2 | cut -d' ' -f3)
[ $((after - before)) -gt 100 ] || fail "$((after - before)) commands came over the new path"
io_end a "a path added" $HF_PATH_LIMIT

say "what the guide looks at"
said=$(guest_says a "$(guide multipath check)")
for want in 'HOLDFAST,VIRTUAL-DISK' 'group id : 0x1 .*' 'group id : 0x2 .*'; do
	grep -q "$want" <<<"$said" || fail "no '$want' in: $said"
done
expect "portal groups in state active/optimized" "$(grep -c '0x00 (active/optimized)' <<<"$said")" 4
expect "recovery_tmo of the sessions" "$(guest_says a "$(guide multipath recovery)" | xargs)" "5 5"
guest a "$(guide multipath reservation)"

for fabric in 1 2; do
	say "fabric $fabric is cut, and comes back"
	session=$(path_session a $fabric)
	guest a 'dmesg -C; : >/hf/$HF_NAME/multipathd.log'
	io_start a
	sleep 1
	path_cut a $fabric
	paths a 1
	pr_is 1 "${held[@]}"
	sleep 2
	path_mend a $fabric
	paths a 2
	sleep 1
	io_end a "fabric $fabric" $HF_PATH_LIMIT
	# What the guide shows its reader.
	guest a 'dmesg | grep "ping timeout of 3 secs expired"
		dmesg | grep "session recovery timed out after 5 secs"
		dmesg | grep "Failing path"
		dmesg | grep "Reinstating path"
		grep "remaining active paths: 1" /hf/$HF_NAME/multipathd.log'
	[ "$(path_session a $fabric | cut -d' ' -f1)" != "${session%% *}" ] || fail "the same session"
	grep -qE "event=close .*peer=${session%% *} .*why=\"(replaced by a new session|the connection broke)" \
		"$HF_RUN/target.1.log" || fail "Holdfast did not end the session that was cut"
	pr_is 1 "${held[@]}"
done

say "the target is killed under I/O, then stopped in order, as for an upgrade"
guest a 'dmesg -C'
io_start a
sleep 1
target_kill
sleep 1
target_start
paths a 2
pr_is 1 "${held[@]}"
sleep 2
target_stop
target_start
paths a 2
sleep 2
pr_is 1 "${held[@]}"
io_end a "the target killed, and stopped" $HF_PATH_LIMIT

say "both fabrics are cut for longer than paths are waited for: I/O waits, nothing fails"
io_start a
sleep 1
path_cut a 1
path_cut a 2
guest a 'wait_for 40 paths_ready 0'
sleep 3
path_mend a 1
paths a 1
path_mend a 2
paths a 2
io_end a "both fabrics" 50000
pr_is 1 "${held[@]}"
guest a "$(guide multipath release)"
pr_is 1 none
target_stop
say "done"
