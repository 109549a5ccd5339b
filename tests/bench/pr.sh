# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Part of run.sh: what reservations cost. The gate: CPU per I/O with 0, 1, 9 and 256 registrants (with 9 and more a Write
# Exclusive, Registrants Only reservation is held, and the load is registered), each state made anew before each run of the
# same load on the same LUN, in turn. The commands: hf-pr takes a running load's rights away, round by round.

gate_rows="read-qd32x8|-r100
write-qd32x8|-r0"

# What runs while PR commands are timed: name | LUN | options. First nothing: what they take by themselves, the commit to the
# disk included. Of those with r2t, writes always wait for data.
pr_loads="idle|0|
write-4k-memory|0|-r0 -q32 -n8
write-64k-r2t-memory|0|-r0 -q16 -n8 -b64K --initial-r2t --no-immediate
write-64k-r2t-file|1|-r0 -q16 -n8 -b64K --initial-r2t --no-immediate
read-256k-memory|0|-r100 -q8 -n8 -b256K"

# A daemon with a memory LUN and one on a file, both written once.
pr_up() {		# pr_up DRIVER
	local l
	daemon_up pr "$1" $((port + 6)) "$holdfastd1" "
  - name: $iqn
    luns:
      - {lun: 0, name: pr, backend: memory, size: $size}
      - {lun: 1, name: pr-file, path: $work/pr.img, size: 256M}" || return 1
	args[pr]="-p $((port + 6)) -t $iqn"
	for l in 0 1; do
		timeout 120 $pin_generator "$tools/hf-bench" ${args[pr]} -l $l -F -b 1M -q 8 -T 100 >/dev/null || fail "pr: fill"
	done
}

gate() {		# gate REPEAT JSON
	local i k n load row opts
	# In another order each time: what the machine does every so many seconds would meet the same one.
	local counts=(0 1 9 256)
	: >"$work/results"
	for ((i = 0; i < $1; i++)); do
		while IFS='|' read -r row opts; do
			for ((k = 0; k < ${#counts[@]}; k++)); do
				n=${counts[(k + i) % ${#counts[@]}]}
				load=
				[ $n -gt 1 ] && load=8
				"$tools/hf-pr" ${args[pr]} set $n $load || { fail "gate: $n registrants"; continue; }
				if one gate-$row pr -q32 -n8 $opts --label gate-$row/registrants-$n; then pass; else fail "gate: $row, $n"; fi
			done
		done <<<"$gate_rows"
	done
	"$tools/hf-pr" ${args[pr]} set 0 || fail "gate: no way back"
	awk -v json="$2" -v base=registrants-0 -f "$top/tests/bench/table.awk" "$work/results"
}

pr_commands() {		# pr_commands ROUNDS: lines into $work/commands
	local row lun opts load
	: >"$work/commands"
	while IFS='|' read -r row lun opts; do
		load=
		if [ -n "$opts" ]; then
			$pin_generator "$tools/hf-bench" ${args[pr]} --label $row -l $lun $opts --fenced -T 1000 >"$work/load" &
			load=$!
			sleep 0.7
		fi
		if ! timeout 120 $pin_generator $first "$tools/hf-pr" ${args[pr]} -l $lun --label $row rounds $1 8 >>"$work/commands"; then
			fail "pr: commands beside $row"
		fi
		[ -n "$load" ] || continue
		kill $load
		wait $load || fail "pr: $row does not end well"
		cat "$work/load" >>"$work/commands"
	done <<<"$pr_loads"
}

# A p99 of all commands beside a load over 300 ms, or one over 2 s, fails, as in tests/pr: 100 ms is the aim, and whether it was met is printed. There
# must have been something to abort where writes wait for data, or the figures say nothing.
commands_judge() {
	local line bad=0
	while read -r line; do
		echo "$line"
		case $line in BAD*) bad=1 ;; esac
	done < <(awk -v json="$1" -f "$top/tests/bench/pr.awk" "$work/commands")
	if [ $bad = 0 ]; then pass; else fail "PR commands under load (lines BAD)"; fi
}

pr() {
	local d=${BENCH_DRIVERS:-io_uring}
	pr_up "${d%% *}" || return
	echo "The gate's cost (1st: no registrant)"
	gate $repeat "$work/gate.json"
	echo
	pr_commands 400
	commands_judge "$work/commands.json"
	printf '{"driver": "%s", "gate":\n%s,\n"commands":\n%s}\n' ${d%% *} "$(<"$work/gate.json")" "$(<"$work/commands.json")" >"$B/pr.json"
}

# The gate must not grow: far beyond what a shared machine does, far below what a look at 256 registrants costs. The least of five
# counts, as others only ever add; and of a MiB that stays in the cache, for how fast memory is depends on who else wants it.
pr_check() {
	local gate_rows="read-qd32x8|-r100 -R1M
write-qd32x8|-r0 -R1M"
	pr_up epoll || return
	seconds=0.3
	gate 5 "$work/gate.json"
	if awk '/^label=gate-/ {
			split($1, l, "[=/]")
			match($0, / cpu=[0-9.]+/)
			cpu = substr($0, RSTART + 5, RLENGTH - 5) + 0
			k = l[2] "/" l[3]
			if (!(k in least) || cpu < least[k])
				least[k] = cpu
		}
		END {
			for (k in least) {
				n++
				base = k
				sub(/-[0-9]+$/, "-0", base)
				if (!(least[base] > 0) || least[k] > 1.4 * least[base])
					bad = 1
			}
			exit bad || n != 8
		}' "$work/results"; then
		pass
	else
		fail "the gate's cost grows with the registrants"
	fi
	pr_commands 24
	commands_judge /dev/null
}
