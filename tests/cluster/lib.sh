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
#	HF_PCAP=1	capture packets (needs tcpdump)
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
	for tool in ip unshare mmdebstrap gcc jq timeout; do
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
	[ -s "$1/netns" ] && ip netns delete "$(cat "$1/netns")"
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
	echo "----"
}

# ---- network: a namespace, two fabrics (bridges), a tap for each guest on each

hf_net_make() {
	local f
	ip netns add "$HF_NS"
	echo "$HF_NS" >"$HF_RUN/netns"
	ip -n "$HF_NS" link set lo up
	for f in 1 2; do
		ip -n "$HF_NS" link add "fabric$f" type bridge
		ip -n "$HF_NS" addr add "10.77.$f.1/24" dev "fabric$f"
		ip -n "$HF_NS" link set "fabric$f" up
	done
	if [ "${HF_PCAP:-0}" = 1 ] && command -v tcpdump >/dev/null; then
		setsid ip netns exec "$HF_NS" tcpdump -i any -s 256 -w "$HF_RUN/packets.pcap" >/dev/null 2>&1 &
		hf_proc_note tcpdump $!
	fi
}

# in_net COMMAND...: on the target's side of both fabrics.
in_net() {
	ip netns exec "$HF_NS" "$@"
}

# in_net_start NAME COMMAND...: the same in the background.
# in_net_stop NAME: SIGTERM, waits for it, has its status.
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

# path_cut GUEST FABRIC, path_mend GUEST FABRIC
path_cut() { ip -n "$HF_NS" link set "$1-$2" down; }
path_mend() { ip -n "$HF_NS" link set "$1-$2" up; }

# ---- the target
#
#	disk LUN NAME SIZE [KEY: VALUE]...	a file LUN of the target $HF_IQN
#	target_auth USER SECRET [MUTUAL_USER MUTUAL_SECRET]
#	target_start, target_kill (power goes), target_stop (in order)

HF_DISKS=()
HF_AUTH=()
HF_STARTS=0

disk() {
	HF_DISKS+=("$*")
}

target_auth() {
	HF_AUTH=("$@")
}

# target_config WHERE LISTEN...: the configuration, with data and state under WHERE, and a portal,
# each in a group of its own, on each address.
target_config() {
	local d lun name size keys i
	echo "state_dir: $1/state"
	echo "data_dir: $1/disks"
	echo "control: $1/control.sock"
	echo "driver: $HF_DRIVER"
	echo "reactors: 2"
	echo "portals:"
	for ((i = 1; i < $#; i++)); do
		echo "  - {name: fabric$i, listen: \"${*:i+1:1}\", group: $i}"
	done
	echo "targets:"
	echo "  - name: $HF_IQN"
	if [ ${#HF_AUTH[@]} != 0 ]; then
		echo "    auth:"
		echo "      user: ${HF_AUTH[0]}"
		echo "      secret: ${HF_AUTH[1]}"
	fi
	if [ ${#HF_AUTH[@]} = 4 ]; then
		echo "      mutual_user: ${HF_AUTH[2]}"
		echo "      mutual_secret: ${HF_AUTH[3]}"
	fi
	echo "    luns:"
	for d in "${HF_DISKS[@]}"; do
		read -r lun name size keys <<<"$d"
		echo "      - {lun: $lun, name: $name, path: $name.img, size: $size${keys:+, $keys}}"
	done
}

target_start() {
	HF_STARTS=$((HF_STARTS + 1))
	"hf_start_$HF_TARGET" "$HF_RUN/target.$HF_STARTS.log"
}

# For sanitizer builds. The pools live until the end: no search for leaks.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$HF_TOP/tests/tsan/suppressions exitcode=66}

hf_start_holdfast() {
	target_config "$HF_RUN" "$HF_PORTAL" 10.77.2.1:3260 >"$HF_RUN/target.yaml"
	chmod 600 "$HF_RUN/target.yaml"
	setsid ip netns exec "$HF_NS" "$HF_DAEMON" --config "$HF_RUN/target.yaml" >"$1" 2>&1 &
	HF_TARGET_PID=$!
	hf_proc_note target $!
	hf_wait 20 hf_ready_or_gone "$1" || fail "the target is not ready after 20 s"
	grep -q state=ready "$1" || fail "the target ended"
}

hf_ready_or_gone() {
	grep -q state=ready "$1" || ! kill -0 "$HF_TARGET_PID" 2>/dev/null
}

hf_start_tgtd() {
	local d lun name size keys
	export TGT_IPC_SOCKET=$HF_RUN/tgtd.ipc
	setsid ip netns exec "$HF_NS" tgtd -f --iscsi portal="$HF_PORTAL" >"$1" 2>&1 &
	HF_TARGET_PID=$!
	hf_proc_note target $!
	hf_wait 20 tgt --op show --mode target || fail "tgtd is not ready"
	tgt --op new --mode target --tid 1 --targetname "$HF_IQN"
	for d in HeaderDigest DataDigest; do
		tgt --op update --mode target --tid 1 --name $d --value None,CRC32C
	done
	for d in "${HF_DISKS[@]}"; do
		read -r lun name size keys <<<"$d"
		truncate -s "$size" "$HF_RUN/disks/$name.img"
		# tgtd has a LUN 0 of its own.
		tgt --op new --mode logicalunit --tid 1 --lun "$lun" --backing-store "$HF_RUN/disks/$name.img"
		tgt --op update --mode logicalunit --tid 1 --lun "$lun" --params thin_provisioning=1
	done
	if [ ${#HF_AUTH[@]} != 0 ]; then
		tgt --op new --mode account --user "${HF_AUTH[0]}" --password "${HF_AUTH[1]}"
		tgt --op bind --mode account --tid 1 --user "${HF_AUTH[0]}"
	fi
	if [ ${#HF_AUTH[@]} = 4 ]; then
		tgt --op new --mode account --user "${HF_AUTH[2]}" --password "${HF_AUTH[3]}"
		tgt --op bind --mode account --tid 1 --user "${HF_AUTH[2]}" --outgoing
	fi
	tgt --op bind --mode target --tid 1 --initiator-address ALL
}

tgt() {
	in_net tgtadm --lld iscsi "$@"
}

target_kill() {
	hf_proc_kill "$HF_RUN/procs/target"
}

# target_stop: SIGTERM; it has 5 s, and ends with status 0.
target_stop() {
	local status=0
	[ "$HF_TARGET" = holdfast ] || { target_kill; return; }
	kill -TERM "$HF_TARGET_PID"
	hf_wait 7 hf_gone "$HF_TARGET_PID" || fail "the target did not stop within 7 s of SIGTERM"
	wait "$HF_TARGET_PID" || status=$?
	rm -f "$HF_RUN/procs/target"
	expect "exit status of the target after SIGTERM" $status 0
}

# A child of ours that nobody has waited for yet is a zombie: gone, too.
hf_gone() {
	case "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" in ''|Z) return 0 ;; *) return 1 ;; esac
}

# holdfast ...: the command line of the running daemon.
holdfast() {
	"$(dirname "$HF_DAEMON")/holdfast" --socket "$HF_RUN/control.sock" "$@"
}

# pr_show LUN: the persistent reservation as the daemon has it, "type 5 of a" or "none", and below it
# a line "NODE PORTAL_GROUP KEY" for each registration, sorted.
pr_show() {
	holdfast --json pr show "$HF_IQN/$1" | jq -r 'def node: .initiator | sub(".*:"; "");
		.luns[0] | (if .type == 0 then "none" else "type \(.type) of " +
			([.registrants[] | select(.holder) | node] | unique | join(" ")) end),
		([.registrants[] | "\(node) \(.group) \(.key | sub("^0x0*"; ""))"] | sort[])'
}

# pr_is LUN RESERVATION [REGISTRATION]...: it is so; pr_becomes SECONDS ...: it is so in time.
pr_is() {
	local want
	[ "$HF_TARGET" = holdfast ] || return 0
	want=$(printf '%s\n' "${@:2}")
	HF_PR_SEEN=$(pr_show "$1")
	[ "$HF_PR_SEEN" = "$want" ] || fail "reservations: ${HF_PR_SEEN//$'\n'/, }; expected ${want//$'\n'/, }"
}

pr_becomes() {
	local end=$((SECONDS + $1))
	shift
	while ! (pr_is "$@") 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || pr_is "$@"
		sleep 0.1
	done
}

# disk_used NAME: bytes its file occupies.
disk_used() {
	sync -f "$HF_RUN/disks/$1.img"
	echo $(($(stat -c %b "$HF_RUN/disks/$1.img") * 512))
}

# ---- guests
#
#	guest_boot NAME [ubd FILE]	a machine with a leg on both fabrics; NAME is one letter
#	guest NAME [-t SECONDS] COMMANDS	runs them (bash with guest-lib.sh; an error ends them and
#				is an error here; HF_VERBOSE=1 shows what they print)
#	guest_says ...		the same, and prints what they print
#	guest_start NAME COMMANDS	in the background
#	guest_wait NAME [SECONDS]	waits for the last one started so
#	guest_kill NAME		pulls the plug

declare -A HF_BACK=()

guest_boot() {
	local g=$1 mem=${HF_GUEST_MEMORY:-320M} nets=() f host mac ubd=()
	hf_root_make
	host=$((10 + $(printf %d "'$g") - $(printf %d "'a") + 1))
	rm -rf "$HF_RUN/share/$g"
	mkdir -p "$HF_RUN/share/$g"
	cp "$HF_DIR/guest-init" "$HF_DIR/guest-lib.sh" "$HF_TOOLS/stamp-dev" "$HF_TOOLS/fenced" \
		"$HF_RUN/share/"
	for f in 1 2; do
		ip -n "$HF_NS" link show "$g-$f" >/dev/null 2>&1 || hf_tap_make "$g-$f" "fabric$f"
		mac=$(printf '02:77:00:00:0%d:%02x' $f $host)
		# Else a search for the guest that began when it was down can fail when it is up.
		ip -n "$HF_NS" neigh replace "10.77.$f.$host" lladdr "$mac" dev "fabric$f" nud permanent
		# Without gro=1 large writes hang.
		nets+=("vec$((f - 1)):transport=tap,ifname=$g-$f,mac=$mac,depth=128,gro=1")
	done
	[ $# = 1 ] || ubd=("ubda=$3")
	TMPDIR=$(hf_memory_dir) LD_PRELOAD=$HF_TOOLS/uml-shim.so setsid setarch -R \
		ip netns exec "$HF_NS" "$HF_UML" mem="$mem" umid="$g" uml_dir="$HF_RUN/uml/" \
		con=null con0=null,fd:1 con1=null ssl=null rootfstype=hostfs rootflags="$HF_ROOT" \
		ro init=/hf-boot loglevel=5 "${nets[@]}" "${ubd[@]}" HF_NAME="$g" \
		HF_SHARE="$HF_RUN/share" HF_ADDRS="10.77.1.$host/24,10.77.2.$host/24" \
		>>"$HF_RUN/$g.console" 2>&1 </dev/null &
	hf_proc_note "guest-$g" $!
	disown		# a power cut is nothing to be told about
	echo 0 >"$HF_RUN/$g.jobs"
	hf_wait 60 hf_guest_up_or_gone "$g" $! || fail "guest $g did not boot in 60 s"
	[ -e "$HF_RUN/share/$g/up" ] && return
	grep -q 'system call numbers\.\.\.OK' "$HF_RUN/$g.console" ||
		skip "User-Mode Linux may not trace its processes here"
	fail "guest $g died while booting"
}

hf_guest_up_or_gone() {
	[ -e "$HF_RUN/share/$1/up" ] || hf_gone "$2"
}

hf_tap_make() {
	ip -n "$HF_NS" tuntap add dev "$1" mode tap
	ip -n "$HF_NS" link set "$1" master "$2" up
}

guest() {
	if [ "${HF_VERBOSE:-0}" = 1 ]; then
		guest_says "$@" >&2
	else
		guest_says "$@" >/dev/null
	fi
}

guest_says() {
	local g=$1 limit=60
	shift
	if [ "$1" = -t ]; then
		limit=$2
		shift 2
	fi
	hf_job_start "$g" "$*"
	hf_job_wait "$g" "$(hf_job_last "$g")" "$limit"
}

guest_start() {
	hf_job_start "$1" "$2"
	HF_BACK[$1]=$(hf_job_last "$1")
}

guest_wait() {
	hf_job_wait "$1" "${HF_BACK[$1]}" "${2:-60}"
}

hf_job_start() {
	local n=$(($(hf_job_last "$1") + 1))
	echo $n >"$HF_RUN/$1.jobs"
	printf 'IQN=%s PORTAL=%s ADDR=%s\n%s\n' "$HF_IQN" "$HF_PORTAL" "$HF_ADDR" "$2" \
		>"$HF_RUN/share/$1/$n.sh"
	: >"$HF_RUN/share/$1/$n.go"
}

# In a file: $(guest_says ...) is a subshell.
hf_job_last() {
	cat "$HF_RUN/$1.jobs"
}

hf_job_wait() {
	local base=$HF_RUN/share/$1/$2
	hf_wait "$3" hf_job_ended "$1" "$base" ||
		fail "guest $1: not done after $3 s: $(head -c 300 "$base.sh")"
	[ -e "$base.rc" ] || fail "guest $1 died"
	cat "$base.out"
	[ "$(cat "$base.rc")" = 0 ] && return
	echo "guest $1: job ${base##*/} ended with status $(cat "$base.rc")" >&2
	return 1
}

hf_job_ended() {
	[ -e "$2.rc" ] || ! [ -e "$HF_RUN/procs/guest-$1" ] ||
		hf_gone "$(cut -d' ' -f1 "$HF_RUN/procs/guest-$1")"
}

guest_kill() {
	hf_proc_kill "$HF_RUN/procs/guest-$1"
}

# fence VICTIM BY DEVICE COMMANDS: both guests write to the device (64M), BY to the first 16M, VICTIM
# to 4M from 32M on. BY runs the commands that fence VICTIM, and writes over its blocks. From then on
# every write of VICTIM fails, none takes 2 s, no write of BY fails, and what BY wrote stays.
fence() {
	local victim=$1 by=$2 dev=$3 said
	guest "$by" "rm -f /tmp/stop /tmp/ledger; head -c 4M /dev/zero | tr '\\0' $by >/tmp/mark
		dd if=/dev/zero of=$dev bs=1M count=16 oflag=direct"
	guest "$victim" 'rm -f /tmp/stop'
	guest_start "$by" "/hf/stamp-dev run $dev /tmp/ledger fua,flush 4 60 /tmp/stop"
	guest_start "$victim" "/hf/fenced $dev 32 4 16 60 /tmp/stop"
	sleep 1
	guest "$by" "$4
		dd if=/tmp/mark of=$dev seek=8 bs=4M oflag=direct"
	sleep 1
	guest "$victim" 'touch /tmp/stop'
	guest "$by" 'touch /tmp/stop'
	said=$(guest_wait "$victim" 10)
	say "$victim: $said"
	[[ $said =~ ^([0-9]+)\ writes,\ ([0-9]+)\ failed,\ 0\ got\ through.*longest\ ([0-9]+)\ ms ]] ||
		fail "$victim was fenced: $said"
	[ "${BASH_REMATCH[1]}" -gt 50 ] && [ "${BASH_REMATCH[2]}" -gt 50 ] ||
		fail "too few writes to prove anything"
	[ "${BASH_REMATCH[3]}" -lt 2000 ] || fail "a write took ${BASH_REMATCH[3]} ms: limit 2000"
	say "$by: $(guest_wait "$by" 10)"
	guest "$by" "/hf/stamp-dev check $dev /tmp/ledger
		dd if=$dev skip=8 bs=4M count=1 iflag=direct | cmp - /tmp/mark"
}

# Guest memory is a file: where there is room, and where it may be executed.
hf_memory_dir() {
	local d
	if ! [ -s "$HF_RUN/memory" ]; then
		for d in /dev/shm "$HF_RUN"; do
			d=$(mktemp -d "$d/hf-mem.XXXXXX") || continue
			[ "$(df --output=avail -k "$d" | tail -n 1)" -gt 1000000 ] &&
				printf '#!/bin/sh\n' >"$d/x" && chmod +x "$d/x" && "$d/x" 2>/dev/null && break
			rm -rf "$d"
		done
		echo "$d" >"$HF_RUN/memory"
	fi
	cat "$HF_RUN/memory"
}

# bundle PROGRAM: a copy under /hf/NAME of the guests, with its libraries, whatever the host is. Run
# it there by /hf/NAME/run.
bundle() {
	local dir lib
	dir=$HF_RUN/share/$(basename "$1")
	mkdir -p "$dir/lib"
	cp "$1" "$dir/program"
	for lib in $(ldd "$1" | grep -o '/[^ ]*'); do
		cp -L "$lib" "$dir/lib/"
	done
	cat >"$dir/run" <<-'EOF'
		#!/bin/sh
		d=${0%/run}
		exec "$d"/lib/ld-linux*.so* --library-path "$d/lib" "$d/program" "$@"
	EOF
	chmod +x "$dir/run"
}

# ---- what is made once and cached

# hf_tools_make: the C programs here, by the hash of their sources.
hf_tools_make() {
	local tool hash flags=(-std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-unused-parameter)
	hash=$(cat "$HF_DIR"/*.[ch] | sha256sum | cut -c1-16)
	HF_TOOLS=$HF_CACHE/tools-$hash
	[ -d "$HF_TOOLS" ] && return
	mkdir -p "$HF_RUN/tools"
	for tool in stamp-dev fenced; do
		gcc "${flags[@]}" -static -o "$HF_RUN/tools/$tool" \
			"$HF_DIR/$tool.c" "$HF_DIR/stamp.c" -lpthread
	done
	gcc "${flags[@]}" -o "$HF_RUN/tools/stamp-iscsi" \
		"$HF_DIR/stamp-iscsi.c" "$HF_DIR/stamp.c" -liscsi
	gcc "${flags[@]}" -shared -fPIC -o "$HF_RUN/tools/uml-shim.so" "$HF_DIR/uml-shim.c"
	hf_cache_put "$HF_RUN/tools" "$HF_TOOLS"
}

# hf_cache_put FROM TO: all or nothing; the first of two wins.
hf_cache_put() {
	mkdir -p "$HF_CACHE"
	rm -rf "$HF_CACHE/.new.$$"
	cp -a "$1" "$HF_CACHE/.new.$$"
	mv -T "$HF_CACHE/.new.$$" "$2" 2>/dev/null || rm -rf "$HF_CACHE/.new.$$"
}

# hf_root_make: sets HF_ROOT, the root of the guests, and HF_UML, their kernel. One run makes them,
# others wait.
hf_root_make() {
	local packages hash sources suite
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	packages=$(sed 's/#.*//' "$HF_DIR/guest-packages" | xargs | tr ' ' ,)
	hash=$( (echo "$suite $packages"; declare -f hf_root_build) | sha256sum | cut -c1-16)
	HF_ROOT=$HF_CACHE/root-$hash
	HF_UML=$HF_ROOT/usr/bin/linux.uml
	[ -d "$HF_ROOT" ] && return
	sources=$(grep -lsw "$suite" /etc/apt/sources.list.d/*debian.sources /etc/apt/sources.list |
		head -n 1) || :
	[ -n "$sources" ] || skip "no Debian package sources for the guests"
	mkdir -p "$HF_CACHE"
	(
		flock 9
		[ -d "$HF_ROOT" ] || hf_root_build "$HF_ROOT" "$suite" "$packages" "$sources"
	) 9>"$HF_CACHE/lock"
}

# hf_root_build DIR SUITE PACKAGES SOURCES
hf_root_build() {
	local new=$1.new log=$1.log thin
	say "making the guests' root (once): $1"
	rm -rf "$new" "$new.uml"
	mkdir -p "$new.uml"
	chmod 777 "$new.uml"	# for apt's own user
	(
		cd "$new.uml"
		apt-get -q download user-mode-linux ||
			{ apt-get -q update && apt-get -q download user-mode-linux; }
		dpkg -x ./*.deb .
	) >"$log" 2>&1 || { tail -n 20 "$log"; skip "no package user-mode-linux to be had"; }
	thin=(--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
		--dpkgopt='path-exclude=/usr/share/doc/*' --aptopt='Acquire::Languages "none"'
		--aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io)
	timeout 900 mmdebstrap --variant=minbase --mode=root --include="$3" "${thin[@]}" \
		"$2" "$new" "$4" >>"$log" 2>&1 || { tail -n 20 "$log"; skip "mmdebstrap made no root"; }
	cp "$new.uml/usr/bin/linux.uml" "$new/usr/bin/"
	mkdir -p "$new/lib/modules"
	cp -a "$new.uml/usr/lib/uml/modules/." "$new/lib/modules/"
	cat >"$new/hf-boot" <<-'EOF'
		#!/bin/sh
		mount -t proc proc /proc
		mount -t hostfs -o "$HF_SHARE" none /mnt
		exec /bin/bash /mnt/guest-init
	EOF
	chmod +x "$new/hf-boot"
	rm -rf "$new.uml"
	mv -T "$new" "$1"
}
