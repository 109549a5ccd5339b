# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the scenarios of cluster file systems.
#
#	node GUEST COMMANDS	the same as guest, guest_says and guest_start, with guest-clusterfs.sh
#	node_says, node_start
#	nodes GUESTS COMMANDS	on all of them at the same time
#	load_start ROUND NODES	writers on each, until all were told of some writes to the shared file
#	load_stop LIMIT NODES	each has written, none waited LIMIT ms

cp "$HF_DIR/guest-clusterfs.sh" "$HF_RUN/share/"
declare -A HF_LOAD=()

node() { guest "$1" ". /hf/guest-clusterfs.sh; $2"; }
node_says() { guest_says "$1" ". /hf/guest-clusterfs.sh; $2"; }
node_start() { guest_start "$1" ". /hf/guest-clusterfs.sh; $2"; }

nodes() { guests "$1" 90 ". /hf/guest-clusterfs.sh; $2"; }

load_start() {
	local n
	for n in $2; do
		node_start "$n" "stamps $1"
		HF_LOAD[$n]=${HF_BACK[$n]}
	done
	for n in $2; do
		hf_wait 60 hf_told "$1-$n-direct" && hf_wait 60 hf_told "$1-$n-cached" ||
			fail "$n cannot write the shared file"
	done
}

# The first lane of that track has some acknowledgements (stamp.h).
hf_told() {
	[ "$(od -An -tu8 -j24 -N8 "$HF_RUN/share/$1.track")" -gt 8 ]
}

load_stop() {
	local n said line pause=0
	for n in $2; do
		node "$n" stamps_stop
	done
	for n in $2; do
		HF_BACK[$n]=${HF_LOAD[$n]}
		said=$(guest_wait "$n" 60)
		while read -r line; do
			[[ $line =~ ^[0-9]+\ writes\ and\ ([0-9]+)\ flushes.*\ ([0-9]+)\ ms$ ]]
			[ "${BASH_REMATCH[1]}" -gt 1 ] || fail "$n: $line: that proves nothing"
			pause=$((BASH_REMATCH[2] > pause ? BASH_REMATCH[2] : pause))
		done <<<"$said"
		say "$n: ${said//$'\n'/; }"
	done
	[ $pause -lt "$1" ] || fail "a writer waited $pause ms: limit $1"
}
