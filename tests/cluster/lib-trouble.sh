# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by scenarios after lib.sh. Trouble on a node's leg, made in the node, whose kernel has netem
# (the host's may not): what it sends passes a queue of its interface, what it receives one of an
# interface in between (ifb). Packets of TCP are not joined there (no GSO, no GRO): what is lost is one
# packet as on a cable.
#
#	trouble_ready NODE		before any
#	trouble NODE FABRIC WAY NETEM...	WAY: out (of the node), in, or both; see tc-netem(8)
#	trouble_large NODE FABRIC WAY BYTES	IP packets that are larger are lost
#	trouble_end NODE FABRIC
#	trouble_counted NODE FABRIC WAY	packets dropped so far

trouble_ready() {
	local f
	for f in 1 2; do
		ip -n "$HF_NS" link set "fabric$f" gso_max_segs 1
	done
	guest "$1" 'modprobe -a sch_netem sch_ingress sch_prio act_mirred act_gact cls_matchall cls_basic em_cmp
		modprobe ifb numifbs=0
		for f in 1 2; do
			ip link set vec$((f - 1)) gso_max_segs 1 gro_max_size 1500
			ip link add in$f type ifb
			ip link set in$f up txqueuelen 1000
			tc qdisc add dev vec$((f - 1)) ingress
			tc filter add dev vec$((f - 1)) ingress matchall action mirred egress redirect dev in$f
		done'
}

# hf_trouble_devs FABRIC WAY
hf_trouble_devs() {
	case $2 in
	out) echo "vec$(($1 - 1))" ;;
	in) echo "in$1" ;;
	both) echo "vec$(($1 - 1)) in$1" ;;
	esac
}

trouble() {
	guest "$1" "for dev in $(hf_trouble_devs "$2" "$3"); do
			tc qdisc replace dev \$dev root netem ${*:4}
		done"
}

trouble_large() {
	guest "$1" "for dev in $(hf_trouble_devs "$2" "$3"); do
			tc qdisc replace dev \$dev root handle 1: prio
			tc filter add dev \$dev parent 1: basic match 'cmp(u16 at 2 layer network gt $4)' \
				action drop
		done"
}

trouble_end() {
	guest "$1" "for dev in $(hf_trouble_devs "$2" both); do
			tc qdisc del dev \$dev root || :
		done"
}

trouble_counted() {
	guest_says "$1" "tc -s qdisc show dev $(hf_trouble_devs "$2" "$3") root |
		sed -n 's/.*dropped \\([0-9]*\\).*/\\1/p'"
}
