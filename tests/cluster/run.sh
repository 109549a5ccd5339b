#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the scenarios, or ONLY=name[,name]. One line each, the output of those that failed, and in the
# end `N passed, N failed, N skipped`. Exit status 1 when one failed. HF_BUILD=DIR: where the daemon
# is. HF_LOGS=DIR keeps the outputs. HF_SHORT=1 leaves out what takes long, and says so. lib.sh
# knows more variables.
set -u
limit=300			# seconds of one scenario
declare -A limits=([migrate]=600 [migrate-kernel]=600 [pacemaker_scsi]=900 [pacemaker_mpath]=900 [alua]=600
	[ocfs2]=600 [windows]=600 [moving]=600)	# of those with another
all=(qemu-img basic restart powercut sg_persist mpathpersist fence_scsi fence_mpath lvm pr-powercut moving
	migrate migrate-restart)
# Those that do not fit the time of `make check` (HF_SHORT=1).
long=(migrate-kernel multipath windows alua network mtu sbd pacemaker_scsi pacemaker_mpath ocfs2 ocfs2-restart
	gfs2 sanlock)

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

passed=0 failed=0 skipped=0 child=
work=$(mktemp -d "${TMPDIR:-/tmp}/hf-run.XXXXXX")
export TMPDIR=$work

# What a scenario that was killed has left.
leftovers() {
	local left
	for left in "$work"/hf-*.*; do
		[ -d "$left/procs" ] && [ "${HF_KEEP:-0}" != 1 ] &&
			bash -c '. ./lib.sh; set +e; hf_cleanup "$1"; rm -rf "$1"' run "$left"
	done
}

end() {
	leftovers
	[ "${HF_KEEP:-0}" = 1 ] || rm -rf "$work"
}
trap end EXIT
trap '[ -z "$child" ] || { kill -TERM "$child"; wait "$child"; }; exit 1' INT TERM

# limited SECONDS OUTPUT COMMAND...: its status, 124 or 137 when it took too long.
limited() {
	timeout -k 30 "$1" "${@:3}" >"$2" 2>&1 </dev/null &
	child=$!
	wait "$child"
}

# The root of the guests is made once: that time is no scenario's.
[ "$(id -u)" != 0 ] || ! command -v mmdebstrap >/dev/null ||
	limited 900 "$work/root.out" bash -c '. ./lib.sh; HF_T0=${EPOCHREALTIME/[.,]/}; hf_root_make'

for name in "${all[@]}"; do
	start=$SECONDS
	out=$work/$name.out
	status=1
	if [ -x "$name.sh" ]; then
		limited "${limits[$name]:-$limit}" "$out" "./$name.sh"
		status=$?
	else
		echo "FAIL: no such scenario" >"$out"
	fi
	case $status in
	0) passed=$((passed + 1)) said=ok ;;
	77) skipped=$((skipped + 1)) said="SKIP $(sed -n 's/^SKIP: //p' "$out" | tail -n 1)" ;;
	124 | 137) failed=$((failed + 1)) said="FAILED over ${limits[$name]:-$limit} s" ;;
	*) failed=$((failed + 1)) said="FAILED $(sed -n 's/^FAIL: //p' "$out" | head -n 1)" ;;
	esac
	case $said in
	SKIP*) echo "SKIP cluster/$name: ${said#SKIP }" ;;
	*) printf 'cluster/%-13s %3d s  %s\n' "$name" $((SECONDS - start)) "$said" ;;
	esac
	case $said in FAILED*) sed 's/^/    /' "$out" ;; esac
	[ -z "$logs" ] || { mkdir -p "$logs" && cp "$out" "$logs/"; }
	leftovers
done
if [ -z "${ONLY:-}" ] && [ "${HF_SHORT:-0}" = 1 ]; then
	for name in "${long[@]}"; do
		skipped=$((skipped + 1))
		echo "SKIP cluster/$name: takes long; make cluster ONLY=$name"
	done
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
