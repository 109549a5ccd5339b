# SPDX-License-Identifier: Apache-2.0
# The scenario library. A scenario sources it, calls hf_begin NAME and tells its story with the
# functions below; any command that fails ends it, with the guests' consoles and the target's log.
# Exit status: 0 passed, 77 cannot run here, else failed.
#
#	HF_CACHE	guest root, UML kernel, helper programs (default ~/.cache/holdfast)
#	HF_BUILD	build directory (default build at the top)
#	HF_DAEMON	the daemon (default $HF_BUILD/holdfastd); its command line beside it
#	HF_TARGET	holdfast or tgtd (to see whether a failure is the bed's)
#	HF_DRIVER	driver: of its configuration (default auto)
#	HF_KEEP=1	leave the working directory behind
#	HF_PCAP=0	do not capture packets
#	HF_LOGS		where the capture of a scenario that failed is left (default $HF_BUILD/cluster)
# shellcheck shell=bash
set -Eeuo pipefail

HF_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HF_TOP=$(cd "$HF_DIR/../.." && pwd)
HF_CACHE=${HF_CACHE:-${HOME:+$HOME/.cache/holdfast}}
HF_CACHE=${HF_CACHE:-/var/cache/holdfast}
HF_BUILD=$(realpath -m "${HF_BUILD:-$HF_TOP/build}")
HF_DAEMON=${HF_DAEMON:-$HF_BUILD/holdfastd}
HF_TARGET=${HF_TARGET:-holdfast}
HF_DRIVER=${HF_DRIVER:-auto}
HF_IQN=iqn.2026-11.com.example:disk
HF_ADDR=10.77.1.1			# of the target on the first fabric; 10.77.2.1 on the second
HF_PORTAL=$HF_ADDR:3260

for HF_PART in net target witness guest cache; do
	# shellcheck source=/dev/null
	. "$HF_DIR/lib-$HF_PART.sh"
done

# ---- telling

say() {
	printf '%6.1f  %s\n' "$(hf_seconds)" "$*"
}

hf_seconds() {
	local now=${EPOCHREALTIME/[.,]/}
	printf '%d.%d' $(((now - HF_T0) / 1000000)) $(((now - HF_T0) / 100000 % 10))
}

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

# expect WHAT GOT WANT
expect() {
	[ "$2" = "$3" ] || fail "$1: $2, expected $3"
}

# hf_becomes SECONDS COMMAND...: a check that fails the scenario has so long to come true.
hf_becomes() {
	hf_wait "$1" hf_apart "${@:2}" || "${@:2}"
}

hf_apart() {
	("$@")
}

# hf_wait SECONDS COMMAND...: until it succeeds; status 1 when it does not in time.
hf_wait() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# ---- begin and end

hf_begin() {
	HF_T0=${EPOCHREALTIME/[.,]/}
	hf_skip_unless_possible
	HF_RUN=$(mktemp -d "${TMPDIR:-/tmp}/hf-$1.XXXXXX")
	HF_NAME=$1
	HF_NS=hf-$1-$$
	mkdir -p "$HF_RUN/share" "$HF_RUN/disks" "$HF_RUN/state" "$HF_RUN/procs" "$HF_RUN/uml"
	# The overlay's copy of what guests see must be readable by their root only.
	chmod 755 "$HF_RUN"
	trap 'hf_end $?' EXIT
	trap 'exit 1' INT TERM HUP PIPE
	trap hf_on_error ERR
	hf_net_make
	hf_tools_make
}

# Says which line of the story it was, not of this file.
hf_on_error() {
	local status=$? i line
	[ "$BASHPID" = $$ ] && [ $status != 77 ] || return 0
	for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
		[ "${BASH_SOURCE[i]##*/}" = lib.sh ] || break
	done
	line=${BASH_LINENO[i - 1]}
	echo "FAIL: ${BASH_SOURCE[i]##*/} line $line:" \
		"$(sed -n "${line}s/^[[:space:]]*//p" "${BASH_SOURCE[i]}")" >&2
}

hf_skip_unless_possible() {
	local tool
	[ "$(id -u)" = 0 ] || skip "needs root (network namespaces)"
	for tool in ip unshare mmdebstrap gcc jq timeout tcpdump; do
		command -v $tool >/dev/null || skip "no $tool (make deps installs it)"
	done
	if [ "$HF_TARGET" = holdfast ]; then
		[ -x "$HF_DAEMON" ] || skip "no $HF_DAEMON (make builds it)"
	else
		command -v tgtd >/dev/null || skip "no tgtd"
	fi
	[ -e /dev/net/tun ] || skip "no /dev/net/tun"
	unshare --net --mount true 2>/dev/null || skip "may not make network namespaces"
}

hf_end() {
	local status=$1
	trap - ERR EXIT
	trap '' PIPE	# clean up, even if nobody reads
	set +e
	grep -ahm 3 '^uml-shim' "$HF_RUN"/*.console 2>/dev/null | sed 's/^/note: /'
	if [ "$status" != 0 ] && [ "$status" != 77 ]; then
		hf_evidence >&2
	fi
	hf_cleanup "$HF_RUN"
	if [ "${HF_KEEP:-0}" = 1 ]; then
		echo "kept: $HF_RUN"
	else
		rm -rf --one-file-system "$HF_RUN"
	fi
	exit "$status"
}

# hf_cleanup RUN: ends what a run started and its namespace, and nothing else. run.sh calls it for a
# run that was killed.
hf_cleanup() {
	local p
	for p in "$1"/procs/*; do
		[ -e "$p" ] && hf_proc_kill "$p"
	done
	[ -s "$1/netns" ] && xargs -n 1 ip netns delete <"$1/netns"
	rm -f "$1/netns"
	[ -s "$1/memory" ] && rm -rf "$(cat "$1/memory")"
	return 0
}

# hf_proc_note NAME PID: a process group of ours, to be ended in the end. The start time tells it
# from a later one of that number.
hf_proc_note() {
	echo "$2 $(cut -d' ' -f22 "/proc/$2/stat" 2>/dev/null)" >"$HF_RUN/procs/$1"
}

hf_proc_kill() {
	local pid start
	read -r pid start <"$1" || return 0
	if [ "$(cut -d' ' -f22 "/proc/$pid/stat" 2>/dev/null)" = "$start" ]; then
		kill -9 -- "-$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
		# A group member may be a moment behind its leader.
		hf_wait 5 hf_group_gone "$pid" || :
	fi
	rm -f "$1"
}

hf_group_gone() {
	! kill -0 -- "-$1" 2>/dev/null
}

hf_evidence() {
	local f
	# What a living guest has not yet written to its share.
	for f in "$HF_RUN"/procs/guest-*; do
		[ -e "$f" ] || continue
		f=${f##*guest-}
		hf_job_start "$f" \
			'{ dmesg | tail -n 40; ip -s link; free -m; } >/hf/$HF_NAME/state.log; sync'
		hf_wait 5 test -e "$HF_RUN/share/$f/$(hf_job_last "$f").rc"
	done
	for f in "$HF_RUN"/target.*.log "$HF_RUN"/*.console "$HF_RUN"/share/*/*.log; do
		[ -s "$f" ] || continue
		echo "---- ${f#"$HF_RUN"/} (last 60 lines)"
		tail -n 60 "$f"
	done
	for f in $(find "$HF_RUN/share" -name '*.out' -printf '%T@ %p\n' | sort -rn | head -n 4 |
		cut -d' ' -f2); do
		echo "---- guest ${f#"$HF_RUN/share/"} (last 40 lines)"
		tail -n 40 "$f"
	done
	if [ -x "$(dirname "$HF_DAEMON")/holdfast" ] && [ -S "$HF_RUN/control.sock" ]; then
		for f in status "session list" "lun list" "pr show"; do
			echo "---- holdfast $f"
			# shellcheck disable=SC2086
			timeout 5 "$(dirname "$HF_DAEMON")/holdfast" --socket "$HF_RUN/control.sock" $f 2>&1
		done
	fi
	mkdir -p "${HF_LOGS:=$HF_BUILD/cluster}"
	for f in "$HF_RUN"/*.pcap?; do
		[ -s "$f" ] || continue
		echo "---- ${f##*/}, its last packets (all of it: $HF_LOGS/$HF_NAME.${f##*/})"
		tcpdump -tt -nn -r "$f" 2>/dev/null | tail -n 8
		cp "$f" "$HF_LOGS/$HF_NAME.${f##*/}"
	done
	echo "----"
}
