# SPDX-License-Identifier: Apache-2.0
# A node of a Windows cluster. Sourced by jobs of the scenario windows, after guest-lib.sh.
# shellcheck shell=bash

# disk LUN COMMAND...: clusdisk on csv1, dtc, sql or quorum, over both paths.
disk() {
	local iqn session path lun=0 paths=()
	iqn=$(iqn cluster1)
	case $1 in
	quorum) iqn=$(iqn quorum) ;;
	dtc) lun=1 ;;
	sql) lun=2 ;;
	esac
	for session in /sys/class/iscsi_session/session*; do
		[ "$(cat "$session/targetname")" = "$iqn" ] || continue
		for path in "$session"/device/target*/*:"$lun"/block/*; do
			paths+=("/dev/${path##*/}")
		done
	done
	[ ${#paths[@]} = 2 ] || { echo "$1 has ${#paths[@]} paths" >&2; return 1; }
	shift
	/hf/clusdisk "$HF_NAME" "/hf/$HF_NAME/times" "${paths[0]},${paths[1]}" "$@"
}

# cluster_login: both targets, through both portals, with the secret of the guide.
cluster_login() {
	initiator_start
	iscsiadm -m discovery -t sendtargets -p 10.77.1.1
	iscsiadm -m discovery -t sendtargets -p 10.77.2.1
	for IQN in $(iqn quorum) $(iqn cluster1); do
		node_set "$IQN" node.session.auth.authmethod=CHAP node.session.auth.username=hyperv \
			node.session.auth.password=storage-secret
		path_login 1 2
		lun_dev "$IQN" 0
	done
	wait_for 20 disk sql read
}
