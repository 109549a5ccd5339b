# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by scenarios that play a storage server's administrator. The server has the target's addresses, and /etc, /run,
# /var/lib and /srv (the scenario's disks) of its own; systemctl is a script there that does what Debian's unit of tgt and
# ours say. What it starts ends with it.
#
#	server_boot
#	server COMMANDS		bash there; an error is an error here
#	server_says COMMANDS	the same, and prints what they print

server_boot() {
	mkdir -p "$HF_RUN/bin" "$HF_RUN/run"
	cat >"$HF_RUN/bin/systemctl" <<-'EOF'
		#!/bin/bash
		ready() { for _ in $(seq 200); do "$@" 2>/dev/null >&2 && return; sleep 0.05; done; return 1; }
		case "$*" in
		"start tgt")
			mkdir -p /run/tgtd
			setsid tgtd -f >>/run/tgtd.log 2>&1 &
			echo $! >/run/tgtd.pid
			ready tgtadm --op show --mode sys && tgtadm --op update --mode sys --name State -v offline &&
				tgt-admin -e -c /etc/tgt/targets.conf && tgtadm --op update --mode sys --name State -v ready ;;
		"stop tgt")
			tgtadm --op update --mode sys --name State -v offline
			tgt-admin --offline ALL
			tgt-admin --update ALL -c /dev/null -f
			tgtadm --op delete --mode system ;;
		"kill --signal=KILL tgt") kill -9 "$(cat /run/tgtd.pid)" ;;
		"start holdfast")
			mkdir -p /run/holdfast /var/lib/holdfast
			setsid holdfastd --config /etc/holdfast/holdfast.yaml >/run/holdfastd.log 2>&1 &
			echo $! >/run/holdfastd.pid
			ready grep state=ready /run/holdfastd.log ;;
		"stop holdfast") kill -TERM "$(cat /run/holdfastd.pid)" ;;
		"daemon-reload" | "disable tgt" | "enable holdfast") ;;
		*) echo "no such systemctl here: $*" >&2; exit 1 ;;
		esac
	EOF
	chmod +x "$HF_RUN/bin/systemctl"
	# The last line is what the server is: the first process of its own, whose end is the end of all.
	in_net_start server unshare --mount --pid --fork --kill-child --mount-proc bash -c "
		mount -t tmpfs tmpfs /mnt
		for d in etc var/lib; do
			mkdir -p /mnt/up/\$d /mnt/work/\$d
			mount -t overlay -o lowerdir=/\$d,upperdir=/mnt/up/\$d,workdir=/mnt/work/\$d overlay /\$d
		done
		mount --bind '$HF_RUN/run' /run
		mount --bind '$HF_RUN/disks' /srv
		mkdir -p /etc/holdfast
		touch '$HF_RUN/server.up'
		while :; do sleep 1000; done"
	# Where what looks at the daemon expects them.
	ln -s run/holdfast/control.sock "$HF_RUN/control.sock"
	ln -s run/holdfastd.log "$HF_RUN/target.1.log"
	hf_wait 10 test -e "$HF_RUN/server.up" || fail "no storage server"
	HF_SERVER_PID=$(cat "/proc/$(cut -d' ' -f1 "$HF_RUN/procs/server")/task/"*/children)
}

server() {
	server_says "$@" >"$HF_RUN/server.out"
}

server_says() {
	nsenter -t "${HF_SERVER_PID% }" -m -n -p env PATH="$HF_RUN/bin:$HF_BUILD:/usr/sbin:/usr/bin:/sbin:/bin" \
		bash -euo pipefail -c "$1"
}
