# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Part of run.sh: does the cost per I/O grow with the number of LUNs, or of sessions that are logged in and idle? And what do
# these cost? The same load each time, 8 sessions at queue depth 32, 4 KiB, in turn: on one LUN; at random on 4,096 LUNs of
# the same size in all, in the same daemon; on the one LUN again while 10,000 sessions are idle. And what a second reactor brings.

scale_idle=10000
scale_kib=64		# of memory for an idle session, at most
scale_nop=15		# seconds: limits.nop_interval. Each idle session is pinged once in that time, so that long is looked.
scale_hot=256M		# the LUN of each of the four daemons of the rows on reactors
scale_driver=${BENCH_DRIVERS:-epoll} scale_driver=${scale_driver%% *}

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
	# A name of its own, or the load's logins would reinstate the first of these sessions (RFC 7143 6.3.5).
	"$tools/hf-bench" ${args[scale]} --initiator $iqn-idle -P $p --idle -n $scale_idle -T 600 >/dev/null 2>"$work/idle" &
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
	sleep $scale_nop
	cpu=$(($(scale_cpu $p) - cpu))
	echo "idle sessions: $scale_idle, $((kib / 10)).$((kib % 10)) KiB each, $(awk "BEGIN { printf \"%.2f\", $cpu / 1e7 / $scale_nop }") % of a core" \
		"($scale_nop s, each pinged once)"
	[ $kib -le $((scale_kib * 10)) ] && pass || fail "an idle session costs more than $scale_kib KiB"
	for ((i = 0; i < repeat; i++)); do scale_rows 10000-idle; done
	kill $g 2>/dev/null || fail "$scale_idle idle sessions: not to the end: $(cat "$work/idle")"
	wait $g
	pids=${pids% $g}
}

scale_sessions() {
	local i login_patience=200	# 8 sessions ask 4,096 LUNs for their sizes
	if [ "$(ulimit -Hn)" -lt $((scale_idle + 4200)) ]; then
		skip "scale: ulimit -n allows $(ulimit -Hn) descriptors"
		return
	fi
	ulimit -n "$(ulimit -Hn)"
	# The state of 4,096 LUNs: in memory, or its start takes a minute of this machine's disk.
	BENCH_CONFIG="${BENCH_CONFIG:-}
limits: {nop_interval: $scale_nop}
$(poll_off)" work=$shm start_patience=2000 daemon_up scale $scale_driver $((port + 1)) "$holdfastd1" "$(scale_luns)" || return
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
	servers_down
}

# One hot LUN, with one reactor and with two, beside two daemons of one reactor each, which share nothing. Four generators of
# two sessions, two on each core, one of these for each of the daemons: so all three have the same neighbours and their data come
# from the same places. The targets' threads run where the scheduler puts them.
reactors_one() {	# reactors_one ROW TARGET "PORT PORT" "PID PID" OPTIONS
	local label=$1/$2 ports=($3) servers=($4) i g= bad=0 others=$pids
	shift 4
	for i in 0 1 2 3; do
		${pin_generator:+taskset -c $((i / 2))} timeout 60 "$tools/hf-bench" --label "$label" -p ${ports[i % 2]} -t $iqn -P ${servers[i % 2]} \
			--initiator $iqn-$i -n2 -T $seconds "$@" ${BENCH_EXTRA:-} >"$work/part.$i" &
		g="$g $!"
		pids="$pids $!"
	done
	for i in $g; do wait $i || bad=1; done
	pids=$others
	[ $bad = 0 ] && ! grep -q ' ios=0 ' "$work"/part.? || return 1
	# Each part saw all CPU time of its server, which two or all four of them share.
	awk -v label="$label" -v sharing=$((servers[0] == servers[1] ? 4 : 2)) '
		function more(k) { return v[k] > max[k] ? v[k] : max[k] }
		{
			for (i = 1; i <= NF; i++) {
				split($i, part, "=")
				v[part[1]] = part[2]
			}
			for (k in v)
				max[k] = more(k)
			fair = NR == 1 || v["fair"] + 0 < fair ? v["fair"] + 0 : fair
			ios += v["ios"]
			iops += v["iops"]
			mbs += v["mbs"]
			cpu += v["cpu"] * v["ios"] / sharing
			runs += v["runs"] * v["ios"] / sharing
			gen += v["gen"] * v["ios"]
		}
		END {
			printf "label=%s iops=%.0f mbs=%.1f mean=%s p50=%s p99=%s p999=%s max=%s cpu=%.3f gen=%.3f runs=%.3f fair=%.2f busy=0\n",
				label, iops, mbs, max["mean"], max["p50"], max["p99"], max["p999"], max["max"], cpu / ios, gen / ios, runs / ios, fair
		}' "$work"/part.? >>"$work/results"
}

reactors_up() {		# reactors_up NAME REACTORS PORT
	BENCH_CONFIG="${BENCH_CONFIG:-}
$(poll_off)" reactors=$2 pin_target=${pin_target:+taskset -c 0,1} daemon_up $1 $scale_driver $3 "$holdfastd1" "
  - name: $iqn
    luns: [{lun: 0, name: hot, backend: memory, size: $scale_hot}]" && fill $1 -b 256K -q 8
}

scale_reactors() {
	local i a=$((port + 2)) b=$((port + 3)) c=$((port + 4)) d=$((port + 5)) row opts
	reactors_up one 1 $a && reactors_up two 2 $b && reactors_up this 1 $c && reactors_up that 1 $d || return 1
	for ((i = 0; i < repeat + 2; i++)); do
		for row in "reactors-read -r100" "reactors-write -r0"; do
			opts="${row#* } -q32"
			row=${row% *}
			reactors_one $row 1-reactor "$a $a" "${pid[one]} ${pid[one]}" $opts &&
				reactors_one $row 2-reactors "$b $b" "${pid[two]} ${pid[two]}" $opts &&
				reactors_one $row 2-daemons "$c $d" "${pid[this]} ${pid[that]}" $opts || fail "$row"
		done
	done
}

# Two cores for themselves give two reactors 2 / ratio of one's IOPS: 1.8 is the aim. What the two daemons lose as well, no target
# could help.
scale_judge() {
	awk '$1 ~ /^reactors-/ { cpu[$1, $2] = $8 }
	END {
		for (i = split("reactors-read reactors-write", row, " "); i; i--) {
			two = cpu[row[i], "2-reactors"]
			one = cpu[row[i], "1-reactor"]
			apart = cpu[row[i], "2-daemons"]
			if (!two || !one || !apart) {
				bad++
				continue
			}
			printf "%s: %.2f of the CPU per I/O of one reactor, so with two cores for themselves %.1f times its IOPS; ", row[i],
				two / one, 2 * one / two
			printf "%.2f of that of two daemons\n", two / apart
			bad += 2 * (one > apart ? one : apart) / two < 1.8
		}
		exit bad > 0
	}' "$work/table" && pass || fail "two reactors: less than 1.8 times one"
}

scale() {
	local judge=
	: >"$work/results"
	scale_sessions
	if [ -z "$pin_target" ]; then
		skip "two reactors: one core or no taskset"
	elif scale_reactors; then
		judge=scale_judge
	fi
	awk -v base="1-lun 1-reactor" -v json="$B/scale.json" -f "$top/tests/bench/table.awk" "$work/results" | tee "$work/table"
	$judge
}
