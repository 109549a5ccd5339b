# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Part of run.sh: what one I/O costs, counted instead of timed, and compared with baseline.json: a shared machine's clock says
# little, its counters a lot.
#
#	instructions	in user space, by callgrind, the epoll driver (valgrind knows little of io_uring)
#	calls-DRIVER	system calls, by strace, under each driver
#	copied		bytes that the daemon copies itself, in pieces of 256 bytes or more (copies.c)
#
# Each row is run once before it counts: pools fill, pages come. How many commands a turn finds in the socket is up to the
# generator, which is fast beside a target under callgrind or strace; a figure that is too high is measured again, twice, and
# the least counts.

# name | what is steady enough to be judged | LUN | registrants | commands | options
cost_rows="read-4k-qd1|instructions copied calls-epoll calls-io_uring|0|0|2000|-r100
write-4k-qd1|instructions copied calls-epoll calls-io_uring|0|0|2000|-r0
read-4k-qd32x8|instructions copied calls-epoll calls-io_uring|0|0|20000|-r100 -q32 -n8
write-4k-qd32x8|instructions copied calls-epoll calls-io_uring|0|0|20000|-r0 -q32 -n8
read-4k-qd32x8-256-registrants|instructions|0|256|20000|-r100 -q32 -n8
write-4k-qd32x8-256-registrants|instructions|0|256|20000|-r0 -q32 -n8
read-256k-qd8|instructions copied|0|0|400|-r100 -q8 -b256K -s
write-256k-qd8|instructions|0|0|400|-r0 -q8 -b256K -s
read-4k-file-qd32|instructions copied calls-epoll|1|0|10000|-r100 -q32"
cost_baseline=$top/tests/bench/baseline.json

cost_luns() {		# cost_luns NAME
	cat <<-END
		  - name: $iqn
		    luns:
		      - {lun: 0, name: memory, backend: memory, size: 64M}
		      - {lun: 1, name: file, path: $work/cost-$1.img, size: 64M}
	END
}

# cost_up NAME DRIVER PORT RUNNER...: a daemon run by RUNNER
cost_up() {
	local name=$1 driver=$2 listen=$3 l
	shift 3
	pin_target="$pin_target $*" BENCH_CONFIG="${BENCH_CONFIG:-}
$(poll_off)" daemon_up $name $driver $listen "$holdfastd1" "$(cost_luns $name)" || return 1
	args[$name]="-p $listen -t $iqn"
	for l in 0 1; do
		timeout 120 $pin_generator "$tools/hf-bench" ${args[$name]} -l $l -F -b 256K -q 8 -T 100 >/dev/null || fail "$name: fill"
	done
}

load_counted() {	# load_counted NAME LUN COMMANDS OPTIONS
	local name=$1 lun=$2 n=$3
	shift 3
	timeout 60 $pin_generator "$tools/hf-bench" ${args[$name]} -l $lun -c $n -T 50 "$@" >/dev/null || fail "cost: $* on $name"
}

cost_registrants() {	# cost_registrants NAME N
	"$tools/hf-pr" ${args[$1]} set $2 $([ $2 = 0 ] || echo 8) || fail "cost: $2 registrants"
}

# The counters: each runs the load and prints the figure per I/O.
count_instructions() {	# NAME LUN COMMANDS OPTIONS
	rm -f "$work"/callgrind.*
	callgrind_control -z ${pid[$1]} >/dev/null 2>&1
	load_counted "$@"
	callgrind_control -d ${pid[$1]} >/dev/null 2>&1
	awk -v n=$3 '/^(summary|totals):/ { ir = $2 } END { if (ir) printf "%.1f\n", ir / n }' "$work"/callgrind.* 2>/dev/null
}

count_calls() {
	local s i
	rm -f "$work/strace"
	strace -f -c -o "$work/strace" -p ${pid[$1]} 2>"$work/strace.err" &
	s=$!
	for ((i = 0; i < 50; i++)); do
		grep -qs attached "$work/strace.err" && break
		sleep 0.05
	done
	load_counted "$@"
	kill -INT $s
	wait $s 2>/dev/null
	# What a login costs is not the I/O's.
	awk -v n=$3 '$NF ~ /^(io_uring_enter|epoll_p?wait2?|(p?read|p?write)(v|v2|64)?|recv(from|msg)|send(to|msg)|futex|io_submit|io_getevents|mprotect|brk|m(un)?map|madvise)$/ { all += $4 }
		END { if (NR) printf "%.4f\n", all / n }' "$work/strace"
}

copied_now() { od -An -td8 -N8 "$work/copies-$1" | tr -d ' '; }

count_copied() {
	local before
	before=$(copied_now $1)
	load_counted "$@"
	awk -v n=$3 -v d=$(($(copied_now $1) - before)) 'BEGIN { printf "%.1f\n", d / n }'
}

# Compilers, C libraries and processors differ in instructions: those of another kind are no baseline.
cost_toolchain() {
	local f have=
	for f in avx2 avx512f erms fsrm; do grep -qw $f /proc/cpuinfo && have="$have $f"; done
	echo "$(readelf -p .comment "$holdfastd1" | sed -n 's/^ *\[.*\] *//p' | head -1), $(getconf GNU_LIBC_VERSION), $(uname -m)$have"
}

# judge ROW WHAT FIGURE: prints "ok", "new", "better" or "worse", and the baseline's figure
cost_judge() {
	awk -v row="$1" -v what="$2" -v x="$3" '
		BEGIN { eps = what == "instructions" ? 10 : what == "copied" ? 16 : 0.01 }
		index($0, "\"row\": \"" row "\"") && index($0, "\"what\": \"" what "\"") {
			match($0, /"per_io": [0-9.]+/)
			base = substr($0, RSTART + 10, RLENGTH - 10) + 0
			found = 1
		}
		END {
			if (!found)
				print "new -"
			else if (x > base * 1.03 && x - base > eps)
				print "worse " base
			else if (x < base * 0.97 && base - x > eps)
				print "better " base
			else
				print "ok " base
		}' "$cost_baseline" 2>/dev/null || echo "new -"	# no such file
}

# One figure, up to three times; a line for the table and one for the JSON.
cost_figure() {		# cost_figure WHAT ROW COUNTER NAME LUN COMMANDS OPTIONS
	local what=$1 row=$2 i x best= verdict base
	shift 2
	for i in 1 2 3; do
		x=$("$@")
		[ -n "$x" ] || { fail "cost: $row: no $what"; return; }
		[ -z "$best" ] || awk "BEGIN { exit !($x < $best) }" && best=$x
		read -r verdict base <<<"$(cost_judge $row $what $best)"
		[ -n "$other_toolchain" ] && [ $what = instructions ] && verdict=unjudged
		[ $verdict = worse ] || break
	done
	printf '%-34s %-16s %12s %12s  %s\n' $row $what $best "$base" $verdict
	printf '{"row": "%s", "what": "%s", "per_io": %s}\n' $row $what $best >>"$work/cost"
	if [ $mode = check ] && [ $verdict = worse ]; then
		fail "cost: $row: $what per I/O: $best, baseline $base (3 % more are allowed)"
		cost_bad=1
	elif [ $mode = check ] && [ $verdict = new ]; then
		fail "cost: $row: $what per I/O has no baseline (tests/bench/run.sh baseline)"
	else
		pass
	fi
}

# What the gate costs must not depend on how many are registered, whatever the baseline says.
gate_judge() {
	if awk -F'"' '{ x = $NF; gsub(/[^0-9.]/, "", x); ir[$4] = x }
		END {
			for (r in ir)
				if (r ~ /-256-registrants$/) {
					one = substr(r, 1, length(r) - 16)
					if (!ir[one] || ir[r] > ir[one] * 1.01 + 10)
						bad = 1
					n++
				}
			exit bad || n != 2
		}' "$work/cost"; then
		pass
	else
		fail "cost: the gate costs more instructions with 256 registrants than with none"
	fi
}

# cost_rows_do WHAT COUNTER NAME
cost_rows_do() {
	local row what lun n regs opts
	cost_registrants $3 0
	while IFS='|' read -r row what lun regs n opts; do
		case " $what " in *" $1 "*) ;; *) continue ;; esac
		[ $regs = 0 ] || cost_registrants $3 $regs
		load_counted $3 $lun $((n / 4)) $opts
		case $1 in calls*) n=$((n * 2)) ;; esac
		cost_figure $1 $row $2 $3 $lun $n $opts
		[ $regs = 0 ] || cost_registrants $3 0
	done <<<"$cost_rows"
}

cost_down() {		# cost_down NAME
	kill ${pid[$1]}
	wait ${pid[$1]} 2>/dev/null
}

cost_measure() {
	local known d n=1
	cost_bad=0 other_toolchain=
	: >"$work/cost"
	known=$(sed -n 's/.*"toolchain": "\(.*\)".*/\1/p' "$cost_baseline" 2>/dev/null)
	printf '%-34s %-16s %12s %12s\n' row what "per I/O" baseline
	if [ "$known" != "$(cost_toolchain)" ]; then
		other_toolchain=yes
		[ $mode = check ] && skip "instructions beside the baseline: that is for $known; this is $(cost_toolchain)"
	fi
	if ! command -v valgrind >/dev/null; then
		skip "instructions: no valgrind"
	elif cost_up instructions epoll $((port + 1)) valgrind --tool=callgrind --callgrind-out-file="$work/callgrind"; then
		cost_rows_do instructions count_instructions instructions
		gate_judge
		cost_down instructions
	fi
	for d in epoll io_uring; do
		n=$((n + 1))
		truncate -s 8 "$work/copies-$d"
		cost_up $d $d $((port + n)) env LD_PRELOAD="$tools/copies.so" HF_COPIES="$work/copies-$d" || continue
		[ $d = epoll ] && cost_rows_do copied count_copied $d
		if ! command -v strace >/dev/null; then
			skip "system calls: no strace"
		elif ! strace -o /dev/null true 2>/dev/null; then
			skip "system calls: strace is not allowed to look"
		else
			cost_rows_do calls-$d count_calls $d
		fi
		cost_down $d
	done
}

cost_check() {
	cost_measure
	[ $cost_bad = 0 ] && return
	cat <<-END
		One I/O costs more than tests/bench/baseline.json says. Find out why (callgrind_annotate, tests/bench/run.sh syscalls);
		if it is the price of something wanted, run tests/bench/run.sh baseline and commit the new figures with it.
	END
}

cost_write() {
	cost_measure
	[ $failed = 0 ] || return
	awk -v toolchain="$(cost_toolchain)" '
		BEGIN { printf "[\n{\"toolchain\": \"%s\"}", toolchain }
		{ printf ",\n%s", $0 }
		END { print "\n]" }' "$work/cost" >"$cost_baseline"
	echo "written: $cost_baseline"
}
