# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Part of run.sh: does the cost per I/O grow with the number of LUNs, or of sessions that are logged in and idle? And what do
# these cost? The same load each time, 8 sessions at queue depth 32, 4 KiB, in turn: on one LUN; at random on 4,096 LUNs of
# the same size in all, in the same daemon; on the one LUN again while 10,000 sessions are idle.

scale_idle=10000
scale_kib=64		# of memory for an idle session, at most

scale_luns() {
	local i
	cat <<-END
		  - name: $iqn
		    luns: [{lun: 0, name: one, backend: memory, size: $size}]
		  - name: $iqn-many
		    luns:
	END
	for ((i = 0; i < 4096; i++)); do
		echo "      - {lun: $i, name: l$i, backend: memory, size: $(($(megabytes $size) / 4))K}"
	done
}

scale_rss() { awk -v page=$(($(getconf PAGESIZE) / 1024)) '{ print $2 * page }' "/proc/$1/statm"; }	# KiB
scale_cpu() { cat /proc/$1/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f\n", ns }'; }

# scale_rows NAME OPTIONS: a row of reads and one of writes
scale_rows() {
	local name=$1
	shift
	one scale-read $name -r100 -q32 -n8 "$@" && one scale-write $name -r0 -q32 -n8 "$@" || fail "$name"
}

scale_idle_sessions() {
	local p=${pid[scale]} before cpu i kib g
	before=$(scale_rss $p)
	"$tools/hf-bench" ${args[scale]} -P $p --idle -n $scale_idle -T 600 >/dev/null 2>"$work/idle" &
	g=$!
	pids="$pids $g"
	for ((i = 0; i < 1200; i++)); do
		[ "$(ls "/proc/$p/fd" | wc -l)" -gt $scale_idle ] && break
		kill -0 $g 2>/dev/null || { fail "$scale_idle idle sessions: $(cat "$work/idle")"; return; }
		sleep 0.1
	done
	sleep 1
	kib=$((($(scale_rss $p) - before) * 10 / scale_idle))
	cpu=$(scale_cpu $p)
	sleep 5
	cpu=$(($(scale_cpu $p) - cpu))
	echo "idle sessions: $scale_idle, $((kib / 10)).$((kib % 10)) KiB each, $(awk "BEGIN { printf \"%.2f\", $cpu / 5e7 }") % of a core"
	[ $kib -le $((scale_kib * 10)) ] && pass || fail "an idle session costs more than $scale_kib KiB"
	for ((i = 0; i < repeat; i++)); do scale_rows 10000-idle; done
	kill $g
}

scale() {
	local i login_patience=200	# 8 sessions ask 4,096 LUNs for their sizes
	if [ "$(ulimit -Hn)" -lt $((scale_idle + 4200)) ]; then
		skip "scale: ulimit -n allows $(ulimit -Hn) descriptors"
		return
	fi
	ulimit -n "$(ulimit -Hn)"
	# The state of 4,096 LUNs: in memory, or its start takes a minute of this machine's disk.
	BENCH_CONFIG="${BENCH_CONFIG:-}
$(poll_off)" work=$shm start_patience=2000 daemon_up scale ${BENCH_DRIVERS:-epoll} $((port + 1)) "$holdfastd1" "$(scale_luns)" || return
	args[1-lun]=${args[scale]} args[10000-idle]=${args[scale]}
	args[4096-luns]="-p $((port + 1)) -t $iqn-many -l $(seq -s, 0 4095)"
	pid[1-lun]=${pid[scale]} pid[4096-luns]=${pid[scale]} pid[10000-idle]=${pid[scale]}
	timeout 100 "$tools/hf-bench" ${args[scale]} -F -b 256K -q 8 -T 100 >/dev/null || fail "fill"
	: >"$work/results"
	one warm 4096-luns -r0 -q32 -n8 || fail "4096 LUNs"
	: >"$work/results"
	for ((i = 0; i < repeat; i++)); do
		scale_rows 1-lun
		scale_rows 4096-luns
	done
	scale_idle_sessions
	awk -v base=1-lun -v json="$B/scale.json" -f "$top/tests/bench/table.awk" "$work/results"
}
