#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A bad network between a host with multipath (set up as docs/multipath.md says) and Holdfast: loss,
# delay and reordering on both fabrics, a path on which packets go one way only, one that loses large
# packets. Everything written is verified, the longest pause is bounded, Holdfast notices connections
# that are dead and frees them, and in the end is as in the beginning.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-multipath.sh"
. "$(dirname "$0")/lib-trouble.sh"
hf_begin network

disk 1 shared 128M
target_start
multipath_boot a
trouble_ready a
guest a "$(guide multipath login)"
paths a 2

# session_gone FABRIC PEER: Holdfast has ended the session it had with that peer.
session_gone() {
	[[ "$(path_session a "$1")" != "$2 "* ]]
}

while read -r what netem; do
	say "$what on both fabrics: netem $netem"
	for fabric in 1 2; do
		trouble a $fabric both $netem
	done
	io_start a
	sleep 10
	for fabric in 1 2; do
		dropped=$(trouble_counted a $fabric in)
		trouble_end a $fabric
		[ "$what" != loss ] || [ "$dropped" -gt 5 ] || fail "netem lost nothing"
	done
	io_end a "$what" $HF_PATH_LIMIT
done <<-'END'
	loss loss 3%
	delay delay 30ms 10ms 25%
	reordering delay 10ms reorder 50% 50% duplicate 2%
END

# Nothing arrives at the host on fabric 1: its pings are not answered, and it ends the connection. Nothing
# arrives at Holdfast on fabric 2: its NOP-In is not answered.
for half in 1:in 2:out; do
	fabric=${half%:*} way=${half#*:}
	say "fabric $fabric carries packets one way only; nothing passes $way (of the host)"
	paths a 2
	peer=$(path_session a $fabric | cut -d' ' -f1)
	io_start a
	sleep 1
	trouble a $fabric $way loss 100%
	paths a 1
	# limits.nop_interval and nop_timeout, 15 s each.
	hf_wait 45 session_gone $fabric "$peer" || fail "Holdfast keeps the dead session of $peer"
	say "Holdfast: $(grep "event=close .*peer=$peer" "$HF_RUN/target.1.log" | grep -o 'why=.*')"
	trouble_end a $fabric
	paths a 2
	io_end a "one way, not $way" $HF_PATH_LIMIT
done

say "the network is as it was, and so is Holdfast"
io_start a
sleep 3
io_end a "no trouble" 5000
target_healthy
target_stop
say "done"
