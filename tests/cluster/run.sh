#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the scenarios, or ONLY=name[,name]. One line each, the output of those that failed, and in the
# end `N passed, N failed, N skipped`. Exit status 1 when one failed. HF_BUILD=DIR: where the daemon
# is. HF_JOBS=N so many at a time (2: mostly they wait). HF_LOGS=DIR keeps the outputs. HF_SHORT=1
# leaves out what takes long, and says so. lib.sh knows more variables.
set -u
jobs=${HF_JOBS:-2}
limit=300			# seconds of one scenario
declare -A limits=([migrate]=600 [migrate-kernel]=600 [pacemaker_scsi]=900 [pacemaker_mpath]=900 [alua]=600
	[ocfs2]=600 [windows]=600 [moving]=600)	# of those with another
all=(qemu-img windows ocfs2 powercut sbd sanlock basic restart sg_persist mpathpersist multipath moving
	ocfs2-restart fence_scsi fence_mpath lvm pr-powercut migrate-restart migrate)
# Those that do not fit the time of `make check` (HF_SHORT=1).
long=(pacemaker_scsi pacemaker_mpath gfs2 network mtu alua migrate-kernel)

HF_BUILD=$(realpath -m "${HF_BUILD:-$(dirname "$0")/../../build}")
export HF_BUILD
logs=${HF_LOGS:+$(realpath -m "$HF_LOGS")}
[ -z "$logs" ] || export HF_LOGS=$logs
cd "$(dirname "$0")" || exit
if [ -n "${ONLY:-}" ]; then
	IFS=', ' read -ra all <<<"$ONLY"
elif [ "${HF_SHORT:-0}" = 0 ]; then
	all+=("${long[@]}")
fi

passed=0 failed=0 skipped=0
declare -A running=() started=()	# name of a process; when it began
declare -A again=()		# those that are run a second time
work=$(mktemp -d "${TMPDIR:-/tmp}/hf-run.XXXXXX")
export TMPDIR=$work

# leftovers [NAME]: what a scenario that was killed has left, or all have.
leftovers() {
	local left
	for left in "$work"/hf-"${1:-*}".*; do
		[ -d "$left/procs" ] && [ "${HF_KEEP:-0}" != 1 ] &&
			bash -c '. ./lib.sh; set +e; hf_cleanup "$1"; rm -rf "$1"' run "$left"
	done
}

end() {
	leftovers
	[ "${HF_KEEP:-0}" = 1 ] || rm -rf "$work"
}
trap end EXIT
trap '[ ${#running[@]} = 0 ] || { kill -TERM "${!running[@]}"; wait "${!running[@]}"; }; exit 1' INT TERM

# begin NAME SECONDS COMMAND...: its output goes to NAME.out. What it needs of the machine is little.
begin() {
	timeout -k 30 "$2" "${@:3}" >"$work/$1.out" 2>&1 </dev/null &
	running[$!]=$1
	started[$1]=$SECONDS
}

# An emulated machine does not survive each live move: seen once in some hundred, its kernel found its own lists broken as
# it went on, with every command answered once and well on the wire. One more try, which then counts.
panicked() {
	[[ $1 = migrate* ]] && [ -z "${again[$1]:-}" ] && grep -q 'Kernel panic - not syncing' "$work/$1.out"
}

run() {
	if [ -x "$1.sh" ]; then
		begin "$1" "${limits[$1]:-$limit}" "./$1.sh"
	else
		begin "$1" 1 bash -c 'echo "FAIL: no such scenario"; exit 1'
	fi
}

# Waits for one of those that run, and tells.
settle() {
	local pid name status=0 said
	wait -n -p pid "${!running[@]}" || status=$?
	name=${running[$pid]}
	unset "running[$pid]"
	if [ $status != 0 ] && panicked "$name"; then
		again[$name]=yes
		printf 'cluster/%-15s %3d s  once more: the guest: %s\n' "$name" $((SECONDS - started[$name])) \
			"$(grep -m 1 'Kernel panic' "$work/$name.out")"
		leftovers "$name"
		run "$name"
		return
	fi
	case $status in
	0) passed=$((passed + 1)) said=ok ;;
	77) skipped=$((skipped + 1)) said="SKIP $(sed -n 's/^SKIP: //p' "$work/$name.out" | tail -n 1)" ;;
	124 | 137) failed=$((failed + 1)) said="FAILED over ${limits[$name]:-$limit} s" ;;
	*) failed=$((failed + 1)) said="FAILED $(sed -n 's/^FAIL: //p' "$work/$name.out" | head -n 1)" ;;
	esac
	case $said in
	SKIP*) echo "SKIP cluster/$name: ${said#SKIP }" ;;
	*) printf 'cluster/%-15s %3d s  %s\n' "$name" $((SECONDS - started[$name])) "$said" ;;
	esac
	case $said in FAILED*) sed 's/^/    /' "$work/$name.out" ;; esac
	[ -z "$logs" ] || { mkdir -p "$logs" && cp "$work/$name.out" "$logs/"; }
	leftovers "$name"
}

# The root of the guests is made once: that time is no scenario's.
if [ "$(id -u)" = 0 ] && command -v mmdebstrap >/dev/null; then
	begin root 900 bash -c '. ./lib.sh; HF_T0=${EPOCHREALTIME/[.,]/}; hf_root_make'
	wait "${!running[@]}"
	running=()
fi

for name in "${all[@]}"; do
	while [ ${#running[@]} -ge "$jobs" ]; do
		settle
	done
	run "$name"
done
while [ ${#running[@]} != 0 ]; do
	settle
done
if [ -z "${ONLY:-}" ] && [ "${HF_SHORT:-0}" = 1 ]; then
	for name in "${long[@]}"; do
		skipped=$((skipped + 1))
		echo "SKIP cluster/$name: left out of make check; make cluster ONLY=$name"
	done
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
