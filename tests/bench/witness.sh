# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Part of run.sh: is a witness answered in time? The probe (hf-bench --probe) sends one command at a time to a witness LUN,
# from a process that goes ahead of the load on their core; 16 sessions at queue depth 64 saturate data LUNs meanwhile. On a
# session (and target) of its own; and "same": it shares its session with a sixteenth of the load. Each cell's ratio is to
# the idle row of the same target and session, measured in the same round. Targets take turns in each row.
#
# The witness and, for "memory" rows on tgtd, the data lie on tmpfs: it is the target that is looked at, not this disk. Only
# the "file" rows touch a real file system, through the page cache.

# name | LUN | options
witness_loads="idle||
read-256k-memory|1|-r100 -b256K
write-256k-memory|1|-r0 -b256K
write-256k-r2t-memory|1|-r0 -b256K --no-immediate --initial-r2t
read-4k-memory|1|-r100
write-4k-memory|1|-r0
read-256k-file|2|-r100 -b256K
write-256k-file|2|-r0 -b256K
read-4k-file|2|-r100
write-4k-file|2|-r0"

# The variants of holdfastd are lines of configuration: name | lines.
witness_variants="lane-on|witness: {lane: on}
lane-off|witness: {lane: off}"

declare -A own same data	# hf-bench's target options for the three uses, by variant
witnesses=

witness_luns() {	# witness_luns DIR: the configuration's targets
	cat <<-END
		  - name: $iqn-witness
		    luns:
		      - {lun: 0, name: own, type: witness, path: $shm/$1-own.img, size: 16M}
		  - name: $iqn
		    luns:
		      - {lun: 0, name: same, type: witness, path: $shm/$1-same.img, size: 16M}
		      - {lun: 1, name: memory, backend: memory, size: $size}
		      - {lun: 2, name: file, path: $work/$1-data.img, size: $file_size}
	END
}

witness_holdfast() {	# witness_holdfast NAME PORT LINES
	local name=$1 l d=${BENCH_DRIVERS:-io_uring}
	BENCH_CONFIG=$3 daemon_up $name ${d%% *} $2 "$holdfastd1" "$(witness_luns $name)" || return 1
	own[$name]="-p $2 -t $iqn-witness --probe 0"
	same[$name]="-p $2 -t $iqn --probe 0"
	data[$name]="-p $2 -t $iqn"
	for l in 1 2; do
		timeout 120 $pin_generator "$tools/hf-bench" ${data[$name]} -l $l -F -b 1M -q 8 -T 100 >/dev/null || fail "witness: fill"
	done
	witnesses="$witnesses $name"
}

# tgtd's LUN 0 is its own: the witness is LUN 3, and the probe has target 2 to itself.
witness_tgtd() {	# witness_tgtd PORT
	local adm="tgtadm -C $port --lld iscsi" lun
	mkdir -p "$shm/tgt"
	truncate -s $size "$shm/tgt.img"
	truncate -s 16M "$shm/tgt-own.img" "$shm/tgt-same.img"
	tgtd_up $1 || return 1	# with its LUNs 1 (tmpfs) and 2 (file)
	$adm --op new --mode target --tid 2 -T $iqn-witness &&
		$adm --op new --mode logicalunit --tid 2 --lun 1 -b "$shm/tgt-own.img" --bstype rdwr &&
		$adm --op bind --mode target --tid 2 -I ALL &&
		$adm --op new --mode logicalunit --tid 1 --lun 3 -b "$shm/tgt-same.img" --bstype rdwr || return 1
	own[tgtd]="-p $1 -t $iqn-witness --probe 1"
	same[tgtd]="-p $1 -t $iqn --probe 3"
	data[tgtd]="-p $1 -t $iqn"
	for lun in 1 2; do
		timeout 120 $pin_generator "$tools/hf-bench" ${data[tgtd]} -l $lun -F -b 1M -q 8 -T 100 >/dev/null || fail "witness: fill"
	done
	witnesses="$witnesses tgtd"
}

witness_up() {
	local name lines n=1
	if config_knows "witness: {lane: off}"; then
		while IFS='|' read -r name lines; do
			witness_holdfast $name $((port + n)) "$lines"
			n=$((n + 1))
		done <<<"$witness_variants"
	else
		skip "lane on and off: the configuration does not know 'witness: lane': $(tail -1 "$work/knows/log")"
		witness_holdfast now $((port + 1)) ""
	fi
}

# One cell: the load, then the probe beside it; their lines go to $work/results.
witness_cell() {	# witness_cell LOAD LUN OPTIONS PLACE VARIANT
	local row=$1 lun=$2 opts=$3 place=$4 v=$5 load= n=16 carry="-q 0"
	[ $place = same ] && n=15
	if [ -n "$opts" ]; then
		[ $place = same ] && carry="-q 64 -n 1 -l $lun $opts"
		$pin_generator "$tools/hf-bench" ${data[$v]} -l $lun -q 64 -n $n $opts -w 0.3 -T 1000 --label $row/$place/$v >>"$work/results" &
		load=$!
		sleep 0.4
	fi
	local target=${own[$v]}
	[ $place = same ] && target=${same[$v]}
	timeout $((${seconds%.*} + 60)) $pin_generator $first "$tools/hf-bench" $target --initiator iqn.2026-11.com.example:probe \
		$carry -T $seconds -w 0.3 --patience 30 --label $row/$place/$v >"$work/cell"
	local rc=$?
	# What shares the probe's session is load, too, but not all of it.
	sed "s|^\(label=[^ ]*\) ios=.*|\1 part=1|" "$work/cell" >>"$work/results"
	if [ -n "$load" ]; then
		kill $load
		wait $load || rc=1
	fi
	if [ $rc = 0 ]; then pass; else fail "witness: $row, $place session, $v"; fi
}

witness_table() {	# witness_table JSON LOADS...: rows that match
	local i row lun opts place v
	: >"$work/results"
	for ((i = 0; i < repeat; i++)); do
		while IFS='|' read -r row lun opts; do
			case $row in ${BENCH_ROWS:-$2}) ;; *) continue ;; esac
			for place in ${BENCH_PLACES:-own same}; do
				for v in $witnesses; do
					case " ${BENCH_TARGETS:-$witnesses} " in *" $v "*) ;; *) continue ;; esac
					witness_cell "$row" "$lun" "$opts" $place $v
				done
			done
		done <<<"$witness_loads"
	done
	awk -v json="$1" -f "$top/tests/bench/witness.awk" "$work/results"
}

witness() {
	witness_up
	if ! command -v tgtd >/dev/null || ! command -v tgtadm >/dev/null; then
		skip "tgtd: not installed (Debian package tgt)"
	elif [ "$(id -u)" != 0 ]; then
		skip "tgtd: needs root"
	elif ! witness_tgtd $((port + 8)); then
		skip "tgtd: does not start here: $(tail -1 "$work/tgtd")"
	fi
	witness_table "$B/witness.json" "*"
}

# For `make check`, where half a second on a shared machine must do: with the lane a witness's own session does not notice the
# load (once or twice the idle time; without the lane hundreds of times it). On the same session it must be answered at all.
witness_check() {
	local seconds=0.7 repeat=1
	if ! config_knows "witness: {lane: off}"; then
		skip "witness beside a load: the configuration does not know 'witness: lane'"
		return
	fi
	witness_holdfast lane-on $((port + 1)) "witness: {lane: on}" || return
	witness_table "$work/witness.json" "@(idle|*256k-memory)" | awk '$4 == "command" || $4 == "all"'
	if awk -F'[:,]' '/"command": "all"/ {
			own = /"session": "own"/
			for (i = 1; i < NF; i++) {
				if ($i ~ /p50_to_idle/ && own && $(i + 1) > 15) bad = 1
				if ($i ~ /p50_us/ && !own && $(i + 1) > 2000000) bad = 1
				if ($i ~ /p99_us/ && own && $(i + 1) > 150000) bad = 1
			}
			n++
		}
		END { exit bad || n != 6 }' "$work/witness.json"; then
		pass
	else
		fail "the witness waits for the load"
	fi
}
