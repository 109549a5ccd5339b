#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Holdfast beside the raw TCP floor and Debian's tgtd and istgt: the same load, one after the other, again and again, medians.
# tests/bench/README.md says what the columns mean.
#
#	run.sh [bench]		the whole table (about 9 minutes); also written to $B/bench.json and $B/bench.svg
#	run.sh check [smoke|pr|witness|cost]...	smoke test for `make check` (about a minute): generator, floor and targets under verify, a short table;
#				last line "N passed, N failed, N skipped"
#	run.sh syscalls		system calls per I/O of each target, by strace
#	run.sh pr		what reservations cost: the gate per I/O, PR commands under load; also $B/pr.json
#	run.sh cost		instructions, system calls and bytes copied per I/O, beside tests/bench/baseline.json (40 s)
#	run.sh baseline		the same, then written there
#	run.sh profile		where the CPU time of one I/O goes, by source file and system call, beside the floor's
#	run.sh scale		whether the cost grows with LUNs (1, 4,096), idle sessions (0, 10,000; and what these hold), reactors (1, 2)
#	run.sh witness		how soon a witness is answered beside saturated data LUNs; also $B/witness.json (7 minutes)
#
#	B=DIR (build)  BENCH_SECONDS=N (for `bench` 1; given as 1 it means check)  BENCH_REPEAT=N (3)  BENCH_SIZE=1G  BENCH_DRIVERS="io_uring epoll"
#	BENCH_TARGETS="floor floor-store device holdfast tgtd istgt" (check: floor holdfast tgtd)  BENCH_FLOOR="-H" options for the floors
#	BENCH_ROWS=PATTERN  BENCH_PLACES="own same" (witness)  BENCH_PORT=N (13270, and 12 more)
#	BENCH_SPDK=FILE	SPDK's iscsi_tgt, a further target: spdk (bench, check)
#	BENCH_HOLDFASTD="FILE [NAME=FILE...]"	which daemon; several builds are compared with one another
#	BENCH_CONFIG="key: value" lines added to holdfastd's configuration  BENCH_EXTRA="hf-bench options" added to each row
set -u
shopt -s extglob
# Namespaces of its own. Mounts: what media.sh mounts is gone when the last process here ends, however it does. Network: there TCP's
# congestion control can be one that does not pace by timers, as Debian's default does not; where the system has bbr its timers cost
# every target more than the rest of a long read does. (A namespace may have cubic only if that is the system's.)
if [ -z "${BENCH_UNSHARED:-}" ] && [ "$(id -u)" = 0 ]; then
	for spaces in "-m -n" -m; do
		# shellcheck disable=SC2086
		case $spaces in *-n) unshare $spaces ip link set lo up 2>/dev/null ;; *) unshare $spaces true 2>/dev/null ;; esac || continue
		BENCH_UNSHARED=$spaces exec unshare $spaces bash "$0" "$@"
	done
fi
case ${BENCH_UNSHARED:-} in *-n)
	ip link set lo up
	congestion=/proc/sys/net/ipv4/tcp_congestion_control
	grep -qx 'cubic\|reno' $congestion || echo reno >$congestion
esac
top=$(cd "$(dirname "$0")/../.." && pwd)
B=${B:-build}
case $B in /*) ;; *) B=$top/$B ;; esac
mode=${1:-bench}
[ "${BENCH_SECONDS:-}" = 1 ] && [ $# = 0 ] && mode=check
port=${BENCH_PORT:-13270}
iqn=iqn.2026-11.com.example:bench
tools=$B/tests/bench
holdfastds=${BENCH_HOLDFASTD:-$B/holdfastd}
holdfastd1=${holdfastds%% *} holdfastd1=${holdfastd1#*=}	# the one that single measurements take
case $mode in
bench) seconds=${BENCH_SECONDS:-1} repeat=${BENCH_REPEAT:-3} size=${BENCH_SIZE:-1G} ;;
check) seconds=${BENCH_SECONDS:-0.5} repeat=1 size=${BENCH_SIZE:-128M}
	[ "$seconds" = 1 ] && seconds=0.5 ;;
syscalls) seconds=10 repeat=1 size=${BENCH_SIZE:-128M} ;;
pr) seconds=${BENCH_SECONDS:-1} repeat=${BENCH_REPEAT:-5} size=${BENCH_SIZE:-512M} ;;
witness) seconds=${BENCH_SECONDS:-4} repeat=${BENCH_REPEAT:-1} size=${BENCH_SIZE:-512M} ;;
profile) seconds=${BENCH_SECONDS:-4} repeat=1 size=${BENCH_SIZE:-1G} ;;
scale) seconds=${BENCH_SECONDS:-2} repeat=${BENCH_REPEAT:-3} size=${BENCH_SIZE:-1G} ;;
cost | baseline) seconds=1 repeat=1 size=64M ;;
*) echo "usage: run.sh [bench|check|syscalls|pr|witness|cost|baseline|profile|scale]" >&2; exit 2 ;;
esac

file_size=256M		# of LUNs on a real file system or a device
[ $mode = check ] && file_size=64M

# name | options | floor too? or the device by itself?
rows="read-qd1|-r100 -q1 -n1|yes
read-qd32x1|-r100 -q32 -n1|yes
read-qd32x8|-r100 -q32 -n8|yes
write-qd1|-r0 -q1 -n1|yes
write-qd32x1|-r0 -q32 -n1|yes
write-qd32x8|-r0 -q32 -n8|yes
read-256k-qd8|-r100 -q8 -n1 -b256K -s|yes
write-256k-qd8|-r0 -q8 -n1 -b256K -s|yes"
[ $mode = bench ] && rows="$rows
mixed-qd32x8|-r70 -q32 -n8|yes
read-ext4-qd32x8|-r100 -q32 -n8 -l 3|yes
write-ext4-qd32x8|-r0 -q32 -n8 -l 3|yes
read-xfs-qd32x8|-r100 -q32 -n8 -l 4|yes
write-xfs-qd32x8|-r0 -q32 -n8 -l 4|yes
read-direct-qd32x8|-r100 -q32 -n8 -l 5|device
write-direct-qd32x8|-r0 -q32 -n8 -l 5|device
read-direct-64k-qd32|-r100 -q32 -n1 -b64K -l 5|device
write-direct-64k-qd32|-r0 -q32 -n1 -b64K -l 5|device
read-qd1x64|-r100 -q1 -n64|yes
read-qd8x64|-r100 -q8 -n64|yes
write-qd8x64|-r0 -q8 -n64|yes
read-256k-qd8-digest|-r100 -q8 -n1 -b256K -s --ddigest|no
write-256k-qd8-digest|-r0 -q8 -n1 -b256K -s --ddigest|no"

case $mode in
check) targets="floor holdfast tgtd ${BENCH_SPDK:+spdk}" ;;
bench) targets="floor floor-store device holdfast tgtd istgt ${BENCH_SPDK:+spdk}" ;;
syscalls) targets="floor floor-store holdfast tgtd istgt" ;;
*) targets= ;;		# they start their own
esac
passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "bench: FAILED: $*"; }
skip() { skipped=$((skipped + 1)); echo "SKIP bench: $*"; }

work=$(mktemp -d /tmp/hf-bench.XXXXXX) || exit 2
shm=$work
[ -w /dev/shm ] && shm=$(mktemp -d /dev/shm/hf-bench.XXXXXX)
chmod 700 "$work"
pids=
declare -A pid args luns2
names=

# tgtd ignores SIGTERM while it has targets, and nothing here is worth keeping.
servers_down() {
	local p
	for p in $pids; do kill -9 "$p" 2>/dev/null; wait "$p" 2>/dev/null; done
	pids= names=
}
stop_all() {
	servers_down
	media_down
	rm -rf --one-file-system "$work" "$shm"
}
trap stop_all EXIT
trap 'exit 130' INT TERM HUP

# The probe's own process goes first on the core it shares with the load.
first=
command -v chrt >/dev/null && chrt -f 10 true 2>/dev/null && first="chrt -f 10"

pin_target= pin_generator=
if [ "$(nproc)" -ge 2 ] && command -v taskset >/dev/null; then
	pin_target="taskset -c 0" pin_generator="taskset -c 1"
else
	echo "bench: one core or no taskset: target and generator share what there is"
fi

# until_line FILE PATTERN PID: waits for a server's "I am ready", start_patience twentieths of a second
start_patience=300
until_line() {
	local i
	for ((i = 0; i < start_patience; i++)); do
		grep -q "$2" "$1" 2>/dev/null && return 0
		kill -0 "$3" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

# until_port PORT PID: the same for one that says nothing
until_port() {
	local i
	for ((i = 0; i < start_patience; i++)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
		kill -0 "$2" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

megabytes() {
	case $1 in *G) echo $((${1%G} * 1024)) ;; *M) echo "${1%M}" ;; *) echo $(($1 >> 20)) ;; esac
}

start_floor() {		# start_floor PORT OPTIONS...: sets p
	local listen=$1
	shift
	rm -f "$work/floor.$listen"	# an old "ready" is not ours
	$pin_target "$tools/floor" -p "$listen" -T 1800 "$@" >"$work/floor.$listen" 2>&1 &
	p=$!
	pids="$pids $p"
	until_line "$work/floor.$listen" state=ready $p
}

floor_up() {		# floor_up NAME PORT OPTIONS...
	local name=$1 listen=$2
	shift 2
	start_floor $listen -m "$(megabytes $size)" "$@" ${BENCH_FLOOR:-} || { cat "$work/floor.$listen"; return 1; }
	names="$names $name"
	pid[$name]=$p
	args[$name]="--floor -p $listen -R $size"
}

# Which targets have no part in a row: the floors in what only iSCSI has, the storing one where nothing is stored, the device by
# itself where the LUN is not on one, istgt where there are more sessions than it takes; it and SPDK have no LUNs 2 to 5 (file to
# direct). Polling is measured where a sleep may pay, with one session and 4 KiB: with more there is always something to do.
idle_in() {		# idle_in ROW FLOOR_TOO TARGET
	case $3 in
	floor) [ $2 != yes ] ;;
	device) [ $2 != device ] ;;
	istgt) [[ $1 = *64 || $1 = *-@(file|ext4|xfs|direct)-* ]] ;;
	spdk) [[ $1 = *-@(file|ext4|xfs|direct)-* ]] ;;
	*-polling-*) [[ $1 != *qd@(1|32x1) ]] ;;
	floor-store) [ $2 != yes ] || [ "${1#write}" = "$1" ] ;;
	*) return 1 ;;
	esac
}

# config_knows LINE: does this holdfastd take it in its configuration?
config_knows() {
	local dir=$work/knows
	mkdir -p "$dir"
	cat >"$dir/conf.yaml" <<-END
		state_dir: $dir
		$1
		portals: [{name: a, listen: "127.0.0.1:$port", group: 1}]
		targets: [{name: $iqn, luns: [{lun: 0, name: a, backend: memory, size: 1M}]}]
	END
	"$holdfastd1" --config "$dir/conf.yaml" --check >"$dir/log" 2>&1
}

# CPU per I/O and system calls are taken with polling off; it is a target of its own where it matters.
poll_off() {
	config_knows "poll_us: 0" && echo "poll_us: 0"
}

# daemon_up NAME DRIVER PORT FILE TARGETS: a holdfastd, TARGETS being that part of its configuration
daemon_up() {
	local name=$1 driver=$2 listen=$3 holdfastd=$4 dir=$work/$1
	if [ ! -x "$holdfastd" ]; then
		skip "$name: no $holdfastd"
		return 1
	fi
	mkdir -p "$dir"
	cat >"$dir/conf.yaml" <<-END
		state_dir: $dir
		control: $dir/control.sock
		reactors: ${reactors:-1}
		driver: $driver
		portals:
		  - {name: bench, listen: "127.0.0.1:$listen", group: 1}
		targets:
		$5
		${BENCH_CONFIG:-}
	END
	$pin_target "$holdfastd" --config "$dir/conf.yaml" >"$dir/log" 2>&1 &
	p=$!
	pids="$pids $p"
	if ! until_line "$dir/log" state=ready $p; then
		fail "$name does not start:"
		tail -5 "$dir/log"
		return 1
	fi
	pid[$name]=$p
	args[$name]="-p $listen -t $iqn -l 0"
}

holdfast_up() {		# holdfast_up DRIVER PORT [NAME=]FILE [LINES]
	local name=holdfast-$1
	case $3 in *=*) name=${3%%=*}-$1 ;; esac
	media_make "$name" || return 1
	BENCH_CONFIG="${BENCH_CONFIG:-}
${4-$(poll_off)}" daemon_up "$name" "$1" "$2" "${3#*=}" "
  - name: $iqn
    luns:
      - {lun: 0, name: $name, backend: memory, size: $size}
      - {lun: 1, name: $name-4k, backend: memory, size: 64M, block_size: 4096}
$(media_luns "$name")" || return 1
	names="$names $name"
	luns2[$name]=0,1
}

tgtd_up() {
	local key adm="tgtadm -C $port --lld iscsi" i m
	mkdir -p /var/run/tgtd
	media_make tgtd || return 1
	truncate -s $size "$shm/tgt.img"
	$pin_target tgtd -f -C $port --iscsi portal=127.0.0.1:$1 >"$work/tgtd" 2>&1 &
	p=$!
	pids="$pids $p"
	for ((i = 0; i < 50; i++)); do
		$adm --op new --mode target --tid 1 -T $iqn 2>/dev/null && break
		sleep 0.1
	done
	$adm --op new --mode logicalunit --tid 1 --lun 1 -b "$shm/tgt.img" --bstype rdwr &&
		$adm --op bind --mode target --tid 1 -I ALL || return 1
	for m in $media; do
		$adm --op new --mode logicalunit --tid 1 --lun ${media_lun[$m]} -b "${on[$m]}" \
			--bstype $([ $m = direct ] && echo aio || echo rdwr) || return 1
	done
	for key in MaxRecvDataSegmentLength=262144 MaxXmitDataSegmentLength=262144 MaxBurstLength=1048576 \
		FirstBurstLength=262144 InitialR2T=No MaxOutstandingR2T=4; do
		$adm --op update --mode target --tid 1 -n ${key%=*} -v ${key#*=} || return 1
	done
	names="$names tgtd"
	pid[tgtd]=$p
	args[tgtd]="-p $1 -t $iqn -l 1"
}

# Digests are on or off per target with tgtd: it will not choose.
tgtd_digest() {
	local key
	for key in HeaderDigest DataDigest; do
		tgtadm -C $port --lld iscsi --op update --mode target --tid 1 -n $key -v "$1"
	done
}

# Digests are as the initiator asks. It writes a pid file and says on syslog that it is ready: ask its port. No logout: its
# answers are sent by a second thread of the connection, and on one core with the first it may not have had its turn when that one,
# having taken the Logout, closes: no Logout Response, after up to every second run of large reads. (QueueDepth 0 is without that
# thread, but then StatSN is wrong.)
istgt_up() {
	local dir=$work/istgt
	mkdir -p "$dir"
	truncate -s $size "$shm/istgt.img"
	: >"$dir/auth.conf"
	chmod 600 "$dir/auth.conf"
	cat >"$dir/istgt.conf" <<-END
		[Global]
		  NodeBase "${iqn%:*}"
		  PidFile $dir/pid
		  AuthFile $dir/auth.conf
		  MediaDirectory $dir
		  Timeout 30
		  NopInInterval 20
		  DiscoveryAuthMethod None
		  MaxSessions 1200
		  MaxConnections 4
		  MaxR2T 32
		  MaxOutstandingR2T 4
		  FirstBurstLength 262144
		  MaxBurstLength 1048576
		  MaxRecvDataSegmentLength 262144
		  InitialR2T Yes
		  ImmediateData Yes
		[UnitControl]
		  AuthMethod None
		  Portal UC1 127.0.0.1:$((port + 10))
		  Netmask 127.0.0.1
		[PortalGroup1]
		  Portal DA1 127.0.0.1:$1
		[InitiatorGroup1]
		  InitiatorName "ALL"
		  Netmask 127.0.0.0/8
		[LogicalUnit1]
		  TargetName ${iqn#*:}
		  Mapping PortalGroup1 InitiatorGroup1
		  AuthMethod None
		  UnitType Disk
		  QueueDepth 255
		  LUN0 Storage $shm/istgt.img $(megabytes $size)MB
	END
	$pin_target istgt -q -D -c "$dir/istgt.conf" >"$dir/log" 2>&1 &
	p=$!
	pids="$pids $p"
	start_patience=100 until_port $1 $p || return 1
	names="$names istgt"
	pid[istgt]=$p
	args[istgt]="-p $1 -t $iqn -l 0 --no-logout"
}

targets_up() {
	local t d f m n=1
	case $mode in bench | check) media_up ;; esac
	for t in ${BENCH_TARGETS:-$targets}; do
		case $t in
		floor)
			floor_up floor $port || fail "the floor server does not start" ;;
		floor-store)
			floor_up floor-store $((port + 7)) -s || fail "the storing floor server does not start" ;;
		holdfast)
			for f in $holdfastds; do
				for d in ${BENCH_DRIVERS:-io_uring epoll}; do
					[ $n -gt 6 ] && { skip "$f ($d): six at a time"; continue; }
					holdfast_up "$d" $((port + n)) "$f"
					n=$((n + 1))
				done
			done
			if [ $mode = bench ] && config_knows "poll_us: 50"; then
				holdfast_up ${d:-io_uring} $((port + 11)) "holdfast-polling=$holdfastd1" ""
			fi ;;
		tgtd)
			if ! command -v tgtd >/dev/null || ! command -v tgtadm >/dev/null; then
				skip "tgtd: not installed (Debian package tgt)"
			elif [ "$(id -u)" != 0 ]; then
				skip "tgtd: needs root"
			elif ! tgtd_up $((port + 8)); then
				skip "tgtd: does not start here: $(tail -1 "$work/tgtd")"
			fi ;;
		device)
			[[ $media = *direct* ]] && device_up ;;
		istgt)
			if ! command -v istgt >/dev/null; then
				skip "istgt: not installed (Debian package istgt)"
			elif ! istgt_up $((port + 9)); then
				skip "istgt: does not start here: $(head -3 "$work/istgt/log" | tr "\n" " ")"
			fi ;;
		spdk)
			spdk_up $((port + 12)) || fail "spdk does not start: $(tail -3 "$work/spdk/log")" ;;
		esac
	done
	# Real pages everywhere, written once: an unwritten LUN can answer from nothing. Files as they are written to later, in
	# pieces of 4 KiB: in a page cache of larger folios a short write costs ext4 more (4 us in those of 256 KiB, not 1.8).
	for t in $names; do
		case $t in floor* | device) continue ;; esac
		fill $t -b 256K -q 8
		for m in $media; do
			[[ $t = @(istgt|spdk) || $rows != *"-l ${media_lun[$m]}|"* ]] && continue
			fill $t -l ${media_lun[$m]} $([ $m = direct ] && echo -b 256K -q 8 || echo -b 4K -q 128)
		done
		spdk_turn $t STOP
	done
}

fill() {		# fill TARGET OPTIONS
	local t=$1
	shift
	timeout 120 $pin_generator "$tools/hf-bench" ${args[$t]} -F -T 100 "$@" >/dev/null || fail "$t: fill $*"
}

# one ROW TARGET OPTIONS: a measured run, its line into $work/results. A generator that did not get its core has done nothing, and its
# zeros say nothing of the target: it is asked twice more.
one() {
	local row=$1 t=$2 w=0.2 rc try
	shift 2
	[ $t = device ] && { device_one $row/$t "$@"; return; }
	media_warm $row $t
	case $* in *--ddigest*) [ $t = tgtd ] && tgtd_digest CRC32C ;; esac
	spdk_turn $t CONT
	for try in 1 2 3; do
		timeout $((${seconds%.*} + ${login_patience:-30})) $pin_generator "$tools/hf-bench" --label "$row/$t" ${args[$t]} -P ${pid[$t]} \
			-T $seconds -w $w "$@" ${BENCH_EXTRA:-} >"$work/measured"
		rc=$?
		grep -q ' ios=0 ' "$work/measured" || break
		echo "bench: $row on $t: nothing was done in run $try of 3"
		: >"$work/measured"
		rc=1
	done
	cat "$work/measured" >>"$work/results"
	spdk_turn $t STOP
	case $* in *--ddigest*) [ $t = tgtd ] && tgtd_digest None ;; esac
	return $rc
}

table() {
	local i row opts floor t
	: >"$work/results"
	for ((i = 0; i < repeat; i++)); do
		while IFS='|' read -r row opts floor; do
			case $row in ${BENCH_ROWS:-*}) ;; *) continue ;; esac
			for t in $names; do
				idle_in $row $floor $t && continue
				if one $row $t $opts; then pass; else fail "$row on $t"; fi
			done
		done <<<"$rows"
	done
	awk -v json="$1" -v svg="$2" -f "$top/tests/bench/table.awk" "$work/results"
}

# verify NAME TARGET OPTIONS
verify() {
	local what=$1 t=$2
	shift 2
	spdk_turn $t CONT
	if timeout 40 $pin_generator "$tools/hf-bench" ${args[$t]} -V -w 0 -T $seconds "$@" >"$work/verify" 2>&1; then
		pass
	else
		fail "verify, $what, on $t:"
		tail -3 "$work/verify"
	fi
	spdk_turn $t STOP
}

# The generator must see every damage a target can do; and none where there is none.
selftest() {
	local fault p
	start_floor $((port + 11)) -m 64 -s || { fail "floor -s does not start"; return; }
	args[self]="--floor -p $((port + 11)) -R 64M"
	verify "random lengths" self -r50 -q16 -n4 -b512-256K
	kill $p
	wait $p 2>/dev/null
	for fault in data status itt short opcode twice lost; do
		start_floor $((port + 11)) -m 64 -s -x $fault:500 || { fail "floor -x $fault does not start"; continue; }
		timeout 20 $pin_generator "$tools/hf-bench" ${args[self]} -V -r70 -q16 -n4 -w 0 -T 0.3 --patience 0.5 >"$work/self" 2>&1
		case $? in
		1 | 3) pass ;;
		*) fail "damaged answers ($fault) go unnoticed" ;;
		esac
		kill $p
		wait $p 2>/dev/null
	done
}

smoke() {
	local t m burst
	targets_up
	selftest
	for t in $names; do
		case $t in floor* | device) continue ;; esac	# no iSCSI
		burst="--burst 16384"
		[[ $t = @(tgtd|istgt) ]] && burst=	# they send Data-In sequences longer than MaxBurstLength
		verify "random lengths" $t -r50 -q16 -n4 -b512-256K
		verify "solicited data only" $t -r40 -q8 -n2 -b512-64K --no-immediate --initial-r2t --mrdsl 8192 --first 8192 --10 $burst
		verify "unsolicited Data-Out" $t -r40 -q8 -n2 -b512-256K --no-immediate --first 65536 --r2ts 1
		[ $t = tgtd ] && tgtd_digest CRC32C
		verify "digests" $t -r40 -q8 -n2 -b512-1M --hdigest --ddigest
		[ $t = tgtd ] && tgtd_digest None
		for m in $media; do
			[[ $t = @(istgt|spdk) ]] && continue	# LUN 0 is all they have
			verify "LUN on $m" $t -r50 -q8 -n2 -b4K-64K -l ${media_lun[$m]}
		done
		[ -n "${luns2[$t]:-}" ] && verify "two LUNs" $t -r50 -q8 -n2 -b4K-64K -l ${luns2[$t]}
	done
	table "" ""
}

check() {		# check [PART...]
	local part
	for part in ${*:-smoke pr witness cost}; do
		case $part in
		smoke) smoke ;;
		pr) pr_check ;;
		witness) witness_check ;;
		cost) cost_check ;;
		*) fail "check has no part $part" ;;
		esac
		servers_down
	done
}

# What the table cannot say: latency at 80 % of what each target does with the same 64 sessions (of what the floor does, where that is
# less), timed from when a command was due; idle cost.
extras() {
	local t best floor=
	echo
	for t in $names; do		# the floor is first
		best=$(awk -v want="label=read-qd8x64/$t" '$1 == want { sub(/.* iops=/, ""); print $1 + 0 }' "$work/results" |
			sort -n | awk '{ a[NR] = $1 } END { if (NR) printf "%d", a[int((NR + 1) / 2)] * 0.8 }')
		[ -n "$best" ] || continue
		[ $t != floor ] || floor=$best
		[ -z "$floor" ] || [ $best -lt $floor ] || best=$floor
		idle_in read-80%-load-64 yes $t && continue
		if one "read-80%-load-64" $t -r100 -q8 -n64 --rate $best; then pass; else fail "80 % load on $t"; fi
	done
	grep '^label=read-80%' "$work/results" >"$work/extras" && awk -f "$top/tests/bench/table.awk" "$work/extras"
	echo
	for t in $names; do
		case $t in floor* | device | istgt) continue ;; esac
		spdk_turn $t CONT
		timeout 60 "$tools/hf-bench" --label $t ${args[$t]} -P ${pid[$t]} --idle -n 1000 -T 2 || fail "1000 idle sessions on $t"
		spdk_turn $t STOP
	done
}

syscalls() {
	local row opts floor t n s
	command -v strace >/dev/null || { echo "bench: strace is needed"; return; }
	printf '%-16s %-20s %10s  %s\n' row target calls/IO "each, per IO"
	while IFS='|' read -r row opts floor; do
		case $row in ${BENCH_ROWS:-*}) ;; *) continue ;; esac
		for t in $names; do
			idle_in $row $floor $t && continue
			n=5000
			case $row in *qd1) n=1000 ;; *256k*) n=1000 ;; esac
			strace -f -c -o "$work/strace" -p ${pid[$t]} 2>/dev/null &
			s=$!
			sleep 0.5
			$pin_generator "$tools/hf-bench" ${args[$t]} $opts -c $n -T 20 >/dev/null || fail "$row on $t"
			kill -INT $s
			wait $s 2>/dev/null
			awk -v n=$n -v row=$row -v t=$t '
				$1 + 0 > 0 || $1 == "0.00" { if ($NF == "total") next; calls[$NF] += $4; all += $4 }
				END {
					printf "%-16s %-20s %10.3f ", row, t, all / n
					for (c in calls) if (calls[c] / n >= 0.001) printf " %s %.3f", c, calls[c] / n
					print ""
				}' "$work/strace"
		done
	done <<<"$rows"
}

. "$top/tests/bench/spdk.sh"
. "$top/tests/bench/media.sh"
. "$top/tests/bench/pr.sh"
. "$top/tests/bench/witness.sh"
. "$top/tests/bench/cost.sh"
. "$top/tests/bench/profile.sh"
. "$top/tests/bench/scale.sh"

for t in hf-bench floor hf-pr; do
	[ -x "$tools/$t" ] || { echo "bench: no $tools/$t (make bench-tools)"; exit 2; }
done
[ $mode = check ] || targets_up
case $mode in
bench)
	table "$B/bench.json" "$B/bench.svg"
	extras
	;;
check) shift; check "$@" ;;
syscalls) syscalls ;;
pr) pr ;;
witness) witness ;;
cost) cost_measure ;;
profile) profile ;;
scale) scale ;;
baseline) cost_write ;;
esac
[ $mode = check ] && echo "bench: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
