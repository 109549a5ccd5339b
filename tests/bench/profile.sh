# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Part of run.sh: where the CPU time of one I/O goes. perf (Debian package linux-perf) looks 4,000 times a second of CPU time
# where the target is; a sample in the kernel counts for the system call, one in the C library for the function called, the
# rest for the source file. The shares of the CPU time per I/O are nanoseconds. The floor beside it makes the same calls.

profile_rows="read-4k-qd32x8|-r100 -q32 -n8
write-4k-qd32x8|-r0 -q32 -n8
read-256k-qd8|-r100 -q8 -b256K -s
write-256k-qd8|-r0 -q8 -b256K -s"

profile_one() {		# profile_one ROW TARGET OPTIONS
	local row=$1 t=$2 p
	shift 2
	: >"$work/results"
	one $row $t "$@" &
	p=$!
	sleep 0.5
	perf record -q -e cpu-clock -F 4000 --call-graph fp -o "$work/perf" -p ${pid[$t]} -- sleep $seconds >"$work/perf.log" 2>&1 ||
		fail "perf: $(tail -1 "$work/perf.log")"
	wait $p || fail "$row on $t"
	{
		nm -l --defined-only "$(readlink /proc/${pid[$t]}/exe)" | awk '$2 ~ /[tT]/ && NF > 3 { sub(/:[0-9]+$/, "", $4); sub(/.*\//, "", $4); print "F", $3, $4 }'
		perf script -i "$work/perf" -F ip,sym,dso 2>/dev/null
	} | awk -v row=$row -v target=$t -v us="$(sed 's/.* cpu=\([0-9.]*\).*/\1/' "$work/results")" '
		$1 == "F" { file[$2] = $3; next }
		NF == 0 {
			if (where != "") {
				n++
				count[where]++
			}
			where = ""
			kernel = 0
			next
		}
		where != "" { next }
		$NF ~ /kernel|\[unknown\]/ { kernel = 1; next }
		{
			sub(/^(__GI_|__libc_)*_*/, "", $2)
			if ($NF ~ /\/lib[a-z]+[-.0-9]*\.so/)
				where = (kernel ? "kernel:" : "") $2
			else if (kernel)
				where = "kernel:" ($2 in file ? file[$2] : $2)
			else
				where = $2 in file ? file[$2] : $2
			sub(/_avx[a-z0-9_]*|_evex[a-z0-9_]*|_erms$/, "", where)
			sub(/_unaligned$/, "", where)
		}
		END {
			if (!n)
				exit
			for (w in count)
				printf "%s %s %s %.0f %.1f\n", row, target, w, count[w] / n * us * 1000, count[w] / n * 100
			printf "%s %s all %.0f 100\n", row, target, us * 1000
		}' >>"$work/profile"
}

profile() {
	local row opts t d=${BENCH_DRIVERS:-epoll}
	if ! command -v perf >/dev/null; then
		skip "profile: no perf (Debian package linux-perf)"
		return
	fi
	: >"$work/profile"
	d=${d%% *}
	floor_up floor $port || return
	holdfast_up $d $((port + 1)) "$holdfastd1" || return
	timeout 120 $pin_generator "$tools/hf-bench" ${args[holdfast-$d]} -F -b 1M -q 8 -T 100 >/dev/null || fail "profile: fill"
	while IFS='|' read -r row opts; do
		case $row in ${BENCH_ROWS:-*}) ;; *) continue ;; esac
		for t in floor holdfast-$d; do
			profile_one $row $t $opts -T $((${seconds%.*} + 2))
		done
	done <<<"$profile_rows"
	awk -v least=${BENCH_LEAST:-0.5} '$5 >= least || $3 == "all"' "$work/profile" | sort -s -k1,1 -k2,2 -k4,4nr |
		awk '{ if (last != $1 $2) printf "\n%s, %s\n", $1, $2; last = $1 $2; printf "  %-28s %7d ns %5.1f %%\n", $3, $4, $5 }'
}
