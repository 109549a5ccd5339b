# SPDX-License-Identifier: Apache-2.0
# Cluster file systems on a node. Sourced by the jobs of their scenarios, after guest-lib.sh.
# shellcheck shell=bash

# ---- OCFS2

# o2cb_config [REGION]: the cluster hf of the nodes a, b and c, in /hf/cluster.conf. Its heartbeat is
# on the device REGION, for all volumes, or else on each volume.
o2cb_config() {
	local i=0 node
	mkdir -p /etc/ocfs2
	o2cb add-cluster hf
	for node in a b c; do
		o2cb add-node --ip 10.77.3.$((11 + i)) --number $i hf $node
		i=$((i + 1))
	done
	if [ $# = 1 ]; then
		o2cb add-heartbeat hf "$1"
		o2cb heartbeat-mode hf global
	fi
	cp /etc/ocfs2/cluster.conf /hf/cluster.conf
}

# o2cb_start THRESHOLD: a node whose heartbeat was not seen for THRESHOLD beats of 2 s is dead; one
# that could not write its own for a beat less resets itself.
o2cb_start() {
	modprobe -a ocfs2_stack_o2cb ocfs2
	mount -t configfs none /sys/kernel/config
	echo o2cb >/sys/fs/ocfs2/cluster_stack
	mkdir -p /etc/ocfs2 /shared
	cp /hf/cluster.conf /etc/ocfs2/cluster.conf
	o2cb register-cluster hf
	echo "$1" >/sys/kernel/config/cluster/hf/heartbeat/dead_threshold
	! grep -q 'heartbeat_mode = global' /hf/cluster.conf || o2cb start-heartbeat hf
}

# o2cb_stop: in order.
o2cb_stop() {
	umount /shared
	! grep -q 'heartbeat_mode = global' /hf/cluster.conf || o2cb stop-heartbeat hf
	o2cb unregister-cluster hf
}

# ---- GFS2

# corosync_config: the cluster hf of the nodes a and b, in /hf/corosync.conf. Two nodes: the one that is
# left has the quorum, once both were there.
corosync_config() {
	cat >/hf/corosync.conf <<-EOF
		totem {
			version: 2
			cluster_name: hf
			transport: udpu
			token: 4000
		}
		quorum {
			provider: corosync_votequorum
			two_node: 1
		}
		nodelist {
			node {
				ring0_addr: 10.77.3.11
				name: a
				nodeid: 1
			}
			node {
				ring0_addr: 10.77.3.12
				name: b
				nodeid: 2
			}
		}
		logging {
			to_syslog: no
			to_stderr: yes
		}
	EOF
}

# dlm_config DEVICE: who is fenced loses his registration of the shared disk itself; who starts gets one.
dlm_config() {
	cat >/hf/dlm.conf <<-EOF
		device scsi /usr/sbin/fence_scsi devices=$1
		connect scsi node=1 key=a1
		connect scsi node=2 key=b1
		unfence scsi
	EOF
}

dlm_start() {
	mkdir -p /etc/corosync /etc/dlm /shared /dev/misc
	local dev
	cp /hf/corosync.conf /etc/corosync/
	cp /hf/dlm.conf /etc/dlm/
	modprobe -a dlm gfs2
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	# udev is not running.
	for dev in dlm-control dlm-monitor dlm_plock; do
		ln -sf ../$dev /dev/misc/$dev
	done
	setsid corosync -f >>"/hf/$HF_NAME/corosync.log" 2>&1 &
	wait_for 30 corosync-quorumtool -s
	setsid dlm_controld -D >>"/hf/$HF_NAME/dlm.log" 2>&1 &
	wait_for 40 dlm_member
}

# This node is one, and so has been unfenced.
dlm_member() {
	dlm_tool status | grep -q "^node $(corosync-cmapctl -g runtime.votequorum.this_node_id | sed 's/.* //') M"
}

# ---- writers

# Each round has its files, and three kinds of writers on each node: O_DIRECT and through the page
# cache into 4 MiB each of /shared/ROUND, at fixed offsets, and into a sparse file of its own, which
# takes blocks and so makes the file system write its journal. They rest a little: those of the shared
# file take its lock from each other, and one could starve. All call fdatasync: RWF_DSYNC is nothing
# to OCFS2 (in 6.1 it looks at the file's O_DSYNC only).

# files_make ROUND [full]: full, the nodes' own are not sparse.
files_make() {
	local node
	dd if=/dev/zero of="/shared/$1" bs=1M count=32
	for node in a b c; do
		truncate -s 16M "/shared/$1-$node"
		[ $# = 1 ] || dd if=/dev/zero of="/shared/$1-$node" bs=1M count=16
	done
	sync
}

# stamps ROUND: until `stamps_stop`.
stamps() {
	local first pids=() pid at=/hf/$1-$HF_NAME shared=/shared/$1
	first=$(($(printf %d "'$HF_NAME") - $(printf %d "'a")))
	rm -f /tmp/stop
	/hf/stamp-dev -w 100 -l $first -t "$at-direct.track" \
		run "$shared" "$at-direct" flush 1 500 /tmp/stop &
	pids+=($!)
	/hf/stamp-dev -w 100 -b -l $((4 + first)) -t "$at-cached.track" \
		run "$shared" "$at-cached" flush 1 500 /tmp/stop &
	pids+=($!)
	/hf/stamp-dev -w 10 -b -t "$at-own.track" \
		run "$shared-$HF_NAME" "$at-own" flush 4 500 /tmp/stop &
	pids+=($!)
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
}

stamps_stop() {
	touch /tmp/stop
}

# stamps_replay ROUND NODE: what a node knew that died.
stamps_replay() {
	local kind
	for kind in direct cached own; do
		/hf/stamp-dev replay "/hf/$1-$2-$kind.track" "/hf/$1-$2-$kind"
	done
}

# stamps_check ROUND NODE...: what they wrote, as this node sees it. The second time and on other
# nodes all must be as it was the first time.
stamps_check() {
	local round=$1 node
	shift
	for node; do
		/hf/stamp-dev check "/shared/$round" "/hf/$round-$node-direct"
		/hf/stamp-dev -b check "/shared/$round" "/hf/$round-$node-cached"
		/hf/stamp-dev -b check "/shared/$round-$node" "/hf/$round-$node-own"
	done
}

# recovered PATTERN: this or another node's kernel has said so.
recovered() {
	[ -e "/hf/$1" ] || { dmesg | grep -q "$1" && touch "/hf/$1"; }
}
