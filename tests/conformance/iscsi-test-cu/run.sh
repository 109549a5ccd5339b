#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# libiscsi's conformance suite against the daemon, on several kinds of LUN and both drivers. Every test passes, or
# stands in `expected` with the clause that makes it not apply. That list can only shrink: a test in it that passes
# is a failure here, as is one that fails or is skipped without standing there, or that says nothing at all.
#
#	HF_BUILD	where holdfastd is (default: build)
#	HF_BEDS		names of beds to run (default: all)
#	HF_LIMIT	seconds for the whole (default 170); HF_SUITE_LIMIT: for one suite (default 60)
#	HF_KEEP		set: the temporary directory with all logs is kept
#
# Prints what is wrong, test by test, and as its last line `N passed, N failed, N skipped`, where skipped are those
# that `expected` lists. Exit status 0 if nothing failed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
build=${HF_BUILD:-build}
limit=${HF_LIMIT:-170}
suite_limit=${HF_SUITE_LIMIT:-60}
iqn=iqn.2026-11.com.example:conformance
user=tester
secret=for-tests-only-16

[ "${build#/}" = "$build" ] && build=$top/$build

give_up() {
	echo "iscsi-test-cu: $*"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}
command -v iscsi-test-cu >/dev/null || give_up "not installed (Debian: libiscsi-bin)"
[ -x "$build/holdfastd" ] || give_up "no $build/holdfastd"

# A bed is a LUN of a target of its own, on the daemon with one of the drivers:
#	name driver LUN-keys | login | paths | suites (all, or a list; a leading - leaves out)
# login is - or chap. The program offers HeaderDigest=None,CRC32C: the daemon on io_uring requires the latter.
beds() {
	cat <<-'T'
	memory-epoll epoll {backend: memory, size: 1G} | - | 1 | -ReadOnly,WriteAtomic16,MultipathIO
	memory-uring io_uring {backend: memory, size: 30M, physical_block_size: 512, filters: "check:atomic=128K"} | chap | 2 | -ReadOnly
	file io_uring {path: file.img, size: 1G} | - | 1 | -ReadOnly,WriteAtomic16,MultipathIO
	file-epoll epoll {path: file-epoll.img, size: 1G} | - | 2 | CompareAndWrite,GetLBAStatus,OrWrite,Read10,Unmap,Verify10,Write10,WriteSame10,WriteSame16,WriteVerify10,MultipathIO,iSCSITMF
	file-4k io_uring {path: file4k.img, size: 1G, block_size: 4096} | - | 2 | -ReadOnly,WriteAtomic16,ExtendedCopy,PreventAllow,ReadDefectData10,ReadDefectData12,ReceiveCopyResults,Reserve6,Sanitize,StartStopUnit,iSCSIcmdsn,iSCSIdatasn
	witness epoll {path: witness.img, size: 100M, type: witness} | - | 2 | CompareAndWrite,Inquiry,Mandatory,ModeSense6,MultipathIO,PrinReadKeys,PrinReportCapabilities,PrinServiceactionRange,ProutClear,ProutPreempt,ProutRegister,ProutReserve,Read10,Read16,ReadCapacity10,ReadCapacity16,ReportSupportedOpcodes,TestUnitReady,Verify10,Write10,Write16,WriteVerify10,iSCSITMF
	readonly epoll {backend: memory, size: 100M, readonly: on} | - | 1 | Inquiry,Mandatory,Prefetch10,Prefetch16,Read6,Read10,Read12,Read16,ReadCapacity10,ReadCapacity16,ReadOnly,ReportSupportedOpcodes,TestUnitReady,Verify10,Verify12,Verify16
	T
}

bed_wanted() {
	[ -z "${HF_BEDS:-}" ] || [[ " $HF_BEDS " == *" $1 "* ]]
}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/hf-conformance.XXXXXX") || exit 1
[ -z "${HF_KEEP:-}" ] || echo "logs: $tmp"
pids=()
declare -A daemon

clean_up() {
	trap - EXIT
	for p in "${pids[@]}"; do
		children=$(pgrep -P "$p")
		# shellcheck disable=SC2086
		kill "$p" $children 2>/dev/null
	done
	for p in "${daemon[@]}"; do
		kill "$p" 2>/dev/null
	done
	wait 2>/dev/null
	[ -n "${HF_KEEP:-}" ] || rm -rf "$tmp"
}
trap clean_up EXIT
trap 'give_up "stopped after $SECONDS s"' INT TERM HUP

# ---- the daemons -----------------------------------------------------------------------------------------
declare -A port

# make_config DRIVER PORT: two portals, PORT and PORT + 1, each a group of its own; a target for each bed.
make_config() {
	local name driver keys login rest
	mkdir -p "$tmp/$1/data"
	cat <<-T
	state_dir: $tmp/$1
	data_dir: $tmp/$1/data
	control: $tmp/$1/control.sock
	reactors: 2
	driver: $1
	iscsi:
	  header_digest: $(if [ "$1" = io_uring ]; then echo required; else echo allowed; fi)
	portals:
	  - {name: a, listen: "127.0.0.1:$2", group: 1}
	  - {name: b, listen: "127.0.0.1:$(($2 + 1))", group: 2}
	targets:
	T
	beds | while read -r name driver rest; do
		[ "$driver" = "$1" ] || continue
		IFS='|' read -r keys login _ <<<"$rest"
		echo "  - name: $iqn-$name"
		[ "${login// /}" = chap ] && echo "    auth: {user: $user, secret: $secret}"
		echo "    luns:"
		echo "      - {lun: 0, name: $name, ${keys#\{}"
	done
}

# start DRIVER: a port that is taken shows when the daemon ends; then another is tried.
start() {
	local _
	for _ in 1 2 3 4 5 6; do
		port[$1]=$((20000 + RANDOM % 12000 * 2))
		(umask 077; make_config "$1" "${port[$1]}" >"$tmp/$1.yaml")
		"$build/holdfastd" --config "$tmp/$1.yaml" >"$tmp/$1.log" 2>&1 &
		daemon[$1]=$!
		for _ in $(seq 100); do
			grep -q state=ready "$tmp/$1.log" && return 0
			kill -0 "${daemon[$1]}" 2>/dev/null || break
			sleep 0.1
		done
		kill "${daemon[$1]}" 2>/dev/null
		wait "${daemon[$1]}" 2>/dev/null
		unset "daemon[$1]"
	done
	sed 's/^/    /' "$tmp/$1.log"
	return 1
}

# ---- the tests -------------------------------------------------------------------------------------------
all_suites=$(iscsi-test-cu -l | sed -n 's/^ALL\.\([^.]*\)$/\1/p')

suites_of() {
	local s
	for s in $all_suites; do
		case $1 in
		all)	echo "$s" ;;
		-*)	[[ ",${1#-}," == *",$s,"* ]] || echo "$s" ;;
		*)	[[ ",$1," == *",$s,"* ]] && echo "$s" ;;
		esac
	done
}

# run_bed NAME DRIVER LOGIN PATHS SUITES: what each suite printed to $tmp/NAME/SUITE. A process for each suite,
# since the program goes round in circles when one suite's hook is still in place at the start of the next.
run_bed() {
	local name=$1 at=${port[$2]} who='' url suite
	[ "$3" = chap ] && who="$user%$secret@"
	url=("iscsi://${who}127.0.0.1:$at/$iqn-$name/0")
	[ "$4" = 2 ] && url+=("iscsi://${who}127.0.0.1:$((at + 1))/$iqn-$name/0")
	mkdir -p "$tmp/$name"
	for suite in $(suites_of "$5"); do
		timeout "$suite_limit" iscsi-test-cu --dataloss --allow-sanitize -t "ALL.$suite" "${url[@]}" \
			>"$tmp/$name/$suite" 2>&1 </dev/null
		echo "exit status $?" >>"$tmp/$name/$suite"
	done
}

# Reads what suites printed; gives lines "Suite.Test pass|fail|skip why". The verdict is the word `passed` or `FAILED`
# at the start of a line or at the end of the test's own; in between are the test's words, indented.
verdicts() {
	awk '
	function verdict(v) {
		if (test == "")
			return
		if (v == "pass" && skipped)
			v = "skip"
		print suite "." test, v, (v == "pass" ? "" : why)
		if (v != "fail")
			test = ""
		failed = v == "fail"
	}
	FNR == 1 { flush(); suite = FILENAME; sub(/.*\//, "", suite) }
	function flush() { if (test != "" && !failed) print suite "." test, "fail", "no verdict (time limit, or it crashed)"; test = ""; failed = 0 }
	/^  Test: / {
		flush()
		test = $2
		skipped = 0
		why = ""
		sub(/^  Test: [^ ]+ \.\.\./, "")
	}
	/\[SKIPPED\]/ { skipped = 1 }
	/\[(SKIPPED|FAILED)\]/ && why == "" && !failed { why = $0; sub(/.*\[(SKIPPED|FAILED)\] */, "", why) }
	/^passed/ { verdict("pass") }
	/^FAILED/ { verdict("fail") }
	/^    [0-9]+\. / && failed { print suite "." test, "note", $0 }
	END { flush() }' "$@"
}

start epoll || give_up "holdfastd does not start (driver epoll)"
if ! start io_uring; then
	grep -q 'io_uring' "$tmp/io_uring.log" || give_up "holdfastd does not start (driver io_uring)"
	give_up "this machine does not allow io_uring"
fi

( sleep "$limit" && kill -TERM $$ ) 2>/dev/null &
pids+=($!)
watchdog=$!
running=()
while read -r name driver rest; do
	bed_wanted "$name" || continue
	IFS='|' read -r _ login paths suites <<<"$rest"
	run_bed "$name" "$driver" "${login// /}" "${paths// /}" "${suites// /}" &
	running+=($!)
	pids+=($!)
done < <(beds)
for p in "${running[@]}"; do
	wait "$p"
done
pkill -TERM -P "$watchdog"
wait "$watchdog" 2>/dev/null

# ---- the results -----------------------------------------------------------------------------------------
passed=0 failed=0 skipped=0

bad() {
	failed=$((failed + 1))
	echo "FAIL $*"
}

# expected: SUITE.TEST[@BED,BED] skip|fail:LINE[,LINE] "clause and reason"
declare -A want used
while read -r test verdict reason; do
	case $test in ''|\#*) continue ;; esac
	case $verdict in skip|fail:[0-9]*) ;; *) bad "expected: $test: '$verdict' is neither skip nor fail:LINE"; continue ;; esac
	[[ $reason == \"*\" ]] || bad "expected: $test has no reason"
	if [ "$test" = "${test%@*}" ]; then
		want[$test]=$verdict
	else
		for b in $(tr , ' ' <<<"${test#*@}"); do
			want[${test%@*}@$b]=$verdict
		done
	fi
done <"$here/expected"

while read -r name driver rest; do
	bed_wanted "$name" || continue
	IFS='|' read -r _ _ _ suites <<<"$rest"
	suites=$(tr -d ' ' <<<"$suites")
	verdicts "$tmp/$name"/* >"$tmp/$name.verdicts"
	declare -A got=() at=()
	while read -r test verdict why; do
		if [ "$verdict" = note ]; then
			[ "${got[$test]}" = bad ] && echo "     $why"
			[[ $why =~ :([0-9]+)\  ]] && at[$test]+=${at[$test]:+,}${BASH_REMATCH[1]}
			continue
		fi
		w=${want[$test@$name]:-${want[$test]:-pass}}
		used[$test]=1
		used[$test@$name]=1
		got[$test]=ok
		if [ "${w%:*}" != "$verdict" ]; then
			got[$test]=bad
			if [ "$verdict" = pass ]; then
				bad "$name $test passes: take it out of \`expected'"
			elif [ "$w" = pass ]; then
				bad "$name $test: $verdict: $why"
			else
				bad "$name $test: $verdict, but \`expected' says $w: $why"
			fi
		elif [ "$verdict" = pass ]; then
			passed=$((passed + 1))
		else
			skipped=$((skipped + 1))
		fi
	done <"$tmp/$name.verdicts"
	for test in "${!got[@]}"; do
		w=${want[$test@$name]:-${want[$test]:-pass}}
		[[ $w != fail:* || ${got[$test]} = bad || ${w#*:} = "${at[$test]:-}" ]] ||
			bad "$name $test: fails at line ${at[$test]:-none}, \`expected' says ${w#*:}"
	done
	# A test that was never begun has no verdict either.
	for suite in $(suites_of "$suites"); do
		for test in $(iscsi-test-cu -l | sed -n "s/^ALL\.\($suite\.[^.]*\)$/\1/p"); do
			[ -n "${got[$test]:-}" ] && continue
			bad "$name $test: it did not run: $(tail -n 2 "$tmp/$name/$suite" | tr '\n' ' ')"
		done
	done
done < <(beds)

if [ -z "${HF_BEDS:-}" ]; then
	for test in "${!want[@]}"; do
		[ -n "${used[$test]:-}" ] || bad "expected: $test: there is no such test"
	done
fi

# The daemons end in order, and said nothing that needs a look.
for d in epoll io_uring; do
	kill -TERM "${daemon[$d]}" 2>/dev/null
	( sleep 10; kill -KILL "${daemon[$d]}" ) 2>/dev/null &
	killer=$!
	wait "${daemon[$d]}"
	status=$?
	kill "$killer" 2>/dev/null
	unset "daemon[$d]"
	if [ "$status" = 0 ]; then
		passed=$((passed + 1))
	else
		bad "holdfastd ($d) ended with status $status"
		tail -n 40 "$tmp/$d.log"
	fi
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
