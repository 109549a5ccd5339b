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
