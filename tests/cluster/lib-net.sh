# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by lib.sh. Network: a namespace with three bridges, a tap for each guest on each. 1 and 2
# are the storage fabrics, where the target is; 3 is the nodes' own, for what they tell each other.
#
#	path_cut GUEST NETWORK, path_mend GUEST NETWORK	its leg on that network
#	in_net COMMAND...		on the target's side of both fabrics
#	in_net_start NAME COMMAND...	the same in the background
#	in_net_stop NAME		SIGTERM, waits for it, has its status

hf_net_make() {
	local f
	ip netns add "$HF_NS"
	echo "$HF_NS" >"$HF_RUN/netns"
	ip -n "$HF_NS" link set lo up
	for f in 1 2 3; do
		ip -n "$HF_NS" link add "fabric$f" type bridge
		[ $f = 3 ] || ip -n "$HF_NS" addr add "10.77.$f.1/24" dev "fabric$f"
		ip -n "$HF_NS" link set "fabric$f" up
	done
	[ "${HF_PCAP:-1}" = 1 ] || return 0
	# The last of what was said on the fabrics: headers, in a ring of files.
	for f in 1 2; do
		setsid ip netns exec "$HF_NS" tcpdump -Z root -i "fabric$f" -U -s 144 -C 8 -W 3 \
			-w "$HF_RUN/fabric$f.pcap" tcp port 3260 >/dev/null 2>&1 &
		hf_proc_note "tcpdump$f" $!
	done
}

in_net() {
	ip netns exec "$HF_NS" "$@"
}

in_net_start() {
	setsid ip netns exec "$HF_NS" "${@:2}" &
	hf_proc_note "$1" $!
}

in_net_stop() {
	local pid status=0
	pid=$(cut -d' ' -f1 "$HF_RUN/procs/$1")
	kill -TERM "$pid" 2>/dev/null || :
	hf_wait 10 hf_gone "$pid" || fail "$1 does not end"
	wait "$pid" || status=$?
	rm -f "$HF_RUN/procs/$1"
	return $status
}

path_cut() { ip -n "$HF_NS" link set "$1-$2" down; }
path_mend() { ip -n "$HF_NS" link set "$1-$2" up; }

