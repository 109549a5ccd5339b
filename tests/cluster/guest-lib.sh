# SPDX-License-Identifier: Apache-2.0
# What the commands of a guest may use: sourced before each of them.
# shellcheck shell=bash
set -euo pipefail

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || { echo "waited too long for: $*" >&2; return 1; }
		sleep 0.1
	done
}

# fails COMMAND...: it does. (`! COMMAND` does not end a job when the command succeeds, but where it is the last one.)
fails() {
	if "$@"; then
		echo "succeeded: $*" >&2
		return 1
	fi
}

# initiator_start: modules and iscsid.
initiator_start() {
	modprobe -a iscsi_tcp sd_mod sg
	setsid iscsid -f -d 2 >>"/hf/$HF_NAME/iscsid.log" 2>&1 &
	wait_for 10 iscsid_answers
}

# Status 21: no sessions.
iscsid_answers() {
	local status=0
	iscsiadm -m session || status=$?
	[ $status = 0 ] || [ $status = 21 ]
}

# node_set IQN NAME=VALUE...: of the node record.
node_set() {
	local iqn=$1 kv
	shift
	for kv; do
		iscsiadm -m node -T "$iqn" -o update -n "${kv%%=*}" -v "${kv#*=}"
	done
}

# iqn NAME: the name of another target than $IQN. IQN=$(iqn NAME) before what follows makes it that one.
iqn() {
	echo "${IQN%:*}:$1"
}

# login [FABRIC]...: finds the target and logs in through these fabrics, or both. A path that is cut
# is noticed in 2 s, with multipath_start given up after another 2 s.
login() {
	local f
	iscsiadm -m discovery -t sendtargets -p "$PORTAL"
	node_set "$IQN" "node.conn[0].timeo.noop_out_interval=1" "node.conn[0].timeo.noop_out_timeout=1"
	for f in "${@:-1 2}"; do
		path_login $f
	done
}

# path_login FABRIC...: of what was found.
path_login() {
	local f
	for f; do
		iscsiadm -m node -T "$IQN" -p "10.77.$f.1:3260" --login
	done
}

# path_dev FABRIC: the disk behind that path (where there is one LUN).
path_dev() {
	local c
	for c in /sys/class/iscsi_connection/connection*; do
		[ "$(cat "$c/persistent_address")" = "10.77.$1.1" ] || continue
		c=${c##*connection}
		ls -d "/sys/class/iscsi_session/session${c%:*}"/device/target*/*/block/* | sed 's,.*/,/dev/,'
	done
}

# multipath_start KEY: udevd and multipathd; KEY is what it registers on paths that come later.
multipath_start() {
	cat >/etc/multipath.conf <<-EOF
		defaults {
			find_multipaths no
			user_friendly_names yes
			polling_interval 1
			max_polling_interval 1
			no_path_retry queue
			fast_io_fail_tmo 2
			reservation_key 0x$1:aptpl
		}
	EOF
	modprobe -a dm_multipath dm_service_time
	/lib/systemd/systemd-udevd --daemon
	multipathd
}

# paths_ready N: so many paths of the disk, /dev/mapper/mpatha, are usable. paths_wait N: waits for it.
paths_ready() {
	[ -b /dev/mapper/mpatha ] &&
		[ "$(multipathd show paths raw format '%t %T' | grep -c '^active ready')" = "$1" ]
}

paths_wait() {
	wait_for 20 paths_ready "$1"
}

# lun_find IQN LUN: its block device, nothing while there is none. (Several paths: the first.)
lun_find() {
	local session disk
	for session in /sys/class/iscsi_session/session*; do
		[ "$(cat "$session/targetname" 2>/dev/null)" = "$1" ] || continue
		for disk in "$session"/device/target*/*:"$2"/block/*; do
			[ -e "$disk" ] && echo "/dev/${disk##*/}" && return 0
		done
	done
	return 1
}

# lun_dev IQN LUN: waits for it.
lun_dev() {
	wait_for 20 lun_find "$1" "$2"
	lun_find "$1" "$2"
}

# no_io_errors: the kernel has reported none since it booted, or since `dmesg -C`. To be asked before a logout: what still
# looks at a disk that is taken away (a partition scan) gets "device offline", and that is no fault.
no_io_errors() {
	! dmesg | grep -E 'I/O error|EXT4-fs (error|warning)|XFS .*(error|orrupt|hut)'
}
