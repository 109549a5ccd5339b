# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by scenarios after lib.sh. A host set up as docs/multipath.md says, and verified I/O to its
# disk while something happens to it.
#
#	multipath_boot NODE [BOOT]	boots it (guest_boot, or what BOOT says), up to where it may log in
#	paths NODE N			waits until so many paths are usable
#	io_start NODE, io_end NODE WHAT LIMIT	LIMIT: the longest pause that is accepted, ms
#	path_session NODE FABRIC	"PEER SINCE COMMANDS" of its session there, as Holdfast has it
#	target_healthy			Holdfast has one session on each fabric, and nothing left over

# What the guide's timeouts allow one lost path: a ping each 2 s, 3 s for its answer, 5 s for a new
# login. On top of that a slow machine has as long again.
HF_PATH_LIMIT=20000

multipath_boot() {
	"${2:-guest_boot}" "$1"
	guest "$1" "$(guide multipath timeouts)
$(guide multipath multipath-conf)"
	# Instead of systemd, which guests do not have.
	guest "$1" 'initiator_start
		modprobe -a dm_multipath dm_service_time
		/lib/systemd/systemd-udevd --daemon
		setsid multipathd -d -s >>/hf/$HF_NAME/multipathd.log 2>&1 &
		wait_for 10 multipathd show daemon'
}

# A login is tried for 5 s, a path looked at every 4 s; and a slow machine.
paths() {
	guest "$1" "wait_for 40 paths_ready $2 ||
		{ multipathd show paths format '%d %o %t %T %C' >&2; multipath -ll >&2; false; }"
}

# fio from 64M on, stamps below it. The ledger goes on from the last time.
io_start() {
	guest "$1" 'rm -f /tmp/stop'
	guest_start "$1" '
		while ! [ -e /tmp/stop ]; do
			fio --name=a --filename=/dev/mapper/mpatha --offset=64M --size=16M --rw=randrw \
				--ioengine=libaio --iodepth=8 --direct=1 --bsrange=4k-64k \
				--verify=crc32c --verify_fatal=1 --minimal >/tmp/fio.said
			echo done >>/tmp/fio.done
		done &
		fio=$!
		/hf/stamp-dev run /dev/mapper/mpatha /tmp/ledger fua,flush 4 280 /tmp/stop
		wait $fio'
}

io_end() {
	local said
	guest "$1" 'touch /tmp/stop'
	said=$(guest_wait "$1" 90)
	say "$2: $said"
	[[ $said =~ ^([0-9]+)\ writes.*pause\ ([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -gt 100 ] || fail "$2: too few writes to prove anything"
	[ "${BASH_REMATCH[2]}" -lt "$3" ] || fail "$2: a pause of ${BASH_REMATCH[2]} ms: limit $3"
	guest "$1" '/hf/stamp-dev check /dev/mapper/mpatha /tmp/ledger; [ -s /tmp/fio.done ]'
}

path_session() {
	holdfast --json session list | jq -r --arg node "$1" --arg portal "fabric$2" '.sessions[] |
		select(.target and .portal == $portal and (.initiator | endswith(":" + $node))) |
		"\(.peer) \(.since) \(.commands)"'
}

target_healthy() {
	hf_wait 40 hf_sessions_two || fail "sessions, connections or commands are left over"
	! grep -E 'level=(warn|error)' "$HF_RUN/target.$HF_STARTS.log" || fail "Holdfast warned"
}

hf_sessions_two() {
	[ "$(holdfast --json session list | jq -r '[.sessions[].portal] | sort | join(" ")')" = "fabric1 fabric2" ] &&
		[ "$(holdfast --json status | jq -r '"\(.connections) \(.half_open) \(.tasks)"')" = "2 0 0" ]
}
