# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by lib.sh. The target.
#
#	disk LUN NAME SIZE [KEY: VALUE]...	a file LUN of the target $HF_IQN
#	disks_of NAME			the disks that follow are of the target $(iqn NAME)
#	target_auth USER SECRET [MUTUAL_USER MUTUAL_SECRET]
#	target_start, target_kill (power goes), target_stop (in order)

HF_DISKS=()
HF_DISKS_OF=			# empty: of $HF_IQN
HF_AUTH=()
HF_STARTS=0
HF_PORTALS=("$HF_PORTAL" 10.77.2.1:3260)	# where Holdfast listens

disk() {
	HF_DISKS+=("${HF_DISKS_OF:-$HF_IQN} $*")
}

disks_of() {
	HF_DISKS_OF=$(iqn "$1")
}

iqn() {
	echo "${HF_IQN%:*}:$1"
}

target_auth() {
	HF_AUTH=("$@")
}

# target_config WHERE LISTEN...: the configuration, with data and state under WHERE, and a portal,
# each in a group of its own, on each address.
target_config() {
	local d of lun name size keys i last=
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
	for d in "${HF_DISKS[@]}"; do
		read -r of lun name size keys <<<"$d"
		[ "$of" = "$last" ] || hf_target_head "$of"
		last=$of
		echo "      - {lun: $lun, name: $name, path: $name.img, size: $size${keys:+, $keys}}"
	done
}

hf_target_head() {
	echo "  - name: $1"
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
}

target_start() {
	HF_STARTS=$((HF_STARTS + 1))
	"hf_start_$HF_TARGET" "$HF_RUN/target.$HF_STARTS.log"
}

# For sanitizer builds. The pools live until the end: no search for leaks.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$HF_TOP/tests/tsan/suppressions exitcode=66}

hf_start_holdfast() {
	target_config "$HF_RUN" "${HF_PORTALS[@]}" >"$HF_RUN/target.yaml"
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
	local d of lun name size keys
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
		read -r of lun name size keys <<<"$d"
		[ "$of" = "$HF_IQN" ] || skip "one target is enough for tgtd"
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

# pr_show LUN, or TARGET/LUN: the persistent reservation as the daemon has it, "type 5 of a" or "none", and below it
# a line "NODE PORTAL_GROUP KEY" for each registration, sorted.
pr_show() {
	local lun=$1
	[[ $lun = */* ]] || lun=${HF_IQN##*:}/$lun
	holdfast --json pr show "$(iqn "$lun")" | jq -r 'def node: .initiator | sub(".*:"; "");
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
	hf_becomes "$1" pr_is "${@:2}"
}

# disk_used NAME: bytes its file occupies.
disk_used() {
	sync -f "$HF_RUN/disks/$1.img"
	echo $(($(stat -c %b "$HF_RUN/disks/$1.img") * 512))
}

