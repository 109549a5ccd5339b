#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Reservations under a power cut. The target runs in a guest whose disk survives it; outside, six
# nexuses storm it with PERSISTENT RESERVE OUT, one command at a time and all at once. Power is cut
# (kill -9 of the guest) at any moment. After a reboot READ FULL STATUS gives the state after the
# last command that was answered, or the one in flight (tests/pr/storm.c), never anything else. A
# daemon that answers before it has written (if `make pr-mutants` built one) must not get through.
. "$(dirname "$0")/lib.sh"
hf_begin pr-powercut
cuts=5
[ "$HF_TARGET" = holdfast ] || skip "only holdfastd is put into a guest"
! grep -qE '__(asan|tsan)_init' "$HF_DAEMON" || skip "no sanitizer build runs inside a guest"
storm=$HF_BUILD/tests/pr/storm
[ -x "$storm" ] || skip "no $storm (make pr-tests builds it)"

HF_IQN=iqn.2026-11.com.example:t1	# the storm's
disk 0 pr 16M

# The array's power goes on; what the storm may order. `new`: with an empty disk.
array_new() {
	rm -f "$HF_RUN/array.disk"
	truncate -s 512M "$HF_RUN/array.disk"
	array_again "mkfs.$fs -q /dev/ubda"
}

array_again() {
	[ ! -e "$HF_RUN/procs/guest-a" ] || guest_kill a
	guest_boot a ubd "$HF_RUN/array.disk"
	guest a "${1:-:}
		cp /hf/holdfast.yaml /etc && chmod 600 /etc/holdfast.yaml
		mkdir -p /data && mount /dev/ubda /data && mkdir -p /data/disks /data/state
		setsid $daemon --config /etc/holdfast.yaml >/hf/\$HF_NAME/target.log 2>&1 &
		wait_for 20 grep -q state=ready /hf/\$HF_NAME/target.log"
}

# storm_run CUTS: sets status; what it said is in storm.out.
storm_run() {
	local order pid
	coproc STORM {
		exec setsid ip netns exec "$HF_NS" env PR_FAR=1 WIRE_SLOW=4 "$storm" "$1" \
			3>&1 >"$HF_RUN/storm.out" 2>&1
	}
	pid=$STORM_PID
	hf_proc_note storm "$pid"
	exec 5<&"${STORM[0]}" 6>&"${STORM[1]}"
	while read -r order <&5; do
		"array_$order"
		[ "$order" = new ] || say "power cut"
		echo "$(cut -d' ' -f1 "$HF_RUN/procs/guest-a") 10.77.1.11 10.77.2.11" >&6
	done
	exec 5<&- 6>&-
	status=0
	wait "$pid" || status=$?
}

# array_storm FILE_SYSTEM DRIVER DAEMON CUTS
array_storm() {
	fs=$1 HF_DRIVER=$2 daemon=/hf/${3##*/}/run
	bundle "$3"
	target_config /data 10.77.1.11:3260 10.77.2.11:3260 >"$HF_RUN/share/holdfast.yaml"
	storm_run "$4"
}

for kind in ext4:auto xfs:epoll; do
	say "an array on ${kind%:*}, driver: ${kind#*:}"
	array_storm "${kind%:*}" "${kind#*:}" "$HF_DAEMON" $cuts
	[ $status = 0 ] || fail "$(cat "$HF_RUN/storm.out")"
	said=$(grep " kills, " "$HF_RUN/storm.out" | xargs)
	say "$said"
	[[ $said =~ ,\ ([0-9]+)\ commands ]]
	[ "${BASH_REMATCH[1]}" -gt $((cuts * 10)) ] || fail "too few commands to prove anything"
done

liar=$HF_BUILD/tests/pr/holdfastd-NO_PERSIST
if [ -x "$liar" ]; then
	say "a daemon that answers before it has written"
	array_storm ext4 auto "$liar" $cuts
	grep -q "neither the state last answered\|not what was answered" "$HF_RUN/storm.out" ||
		fail "it got through: this was no power cut, or nobody looked"
else
	say "not tried: a daemon that answers before it has written (make pr-mutants)"
fi
say "done"
