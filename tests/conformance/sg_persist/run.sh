#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Persistent reservations as sg_persist shows them: every service action, every type, from two
# initiators. For any target: two block devices that are one logical unit through two I_T nexuses,
# A and B. Block 0 is overwritten; all registrations of the logical unit are cleared.
#
#	run.sh DEVICE_A DEVICE_B
#
# RUN_A=, RUN_B=: a command that runs the rest of its arguments where the device is (ssh node2).
# Prints a transcript, and what of it differs from `expected` (SPC-4); last line: N passed, N
# failed, N skipped, where each step of the transcript counts. Needs sg3-utils.
# shellcheck disable=SC2086,SC2034
set -u
here=$(cd "$(dirname "$0")" && pwd)
[ $# = 2 ] || { echo "usage: run.sh DEVICE_A DEVICE_B (block 0 is overwritten)"; exit 2; }
dev_A=$1 dev_B=$2	# named by at()
RUN_A=${RUN_A:-} RUN_B=${RUN_B:-}
got=$(mktemp)
trap 'rm -f "$got" "$got".*' EXIT
a=a1a1 b=b2b2 none=0

# In User-Mode Linux a process costs much: few are started here.

# at WHO COMMAND...: there, with its device as the last argument.
at() {
	local run=RUN_$1 d=dev_$1
	${!run} "${@:2}" "${!d}"
}

say() {
	echo "$*"
	echo "$*" >>"$got"
}

title() {
	say
	say "# $*"
}

# out WHO OPTIONS...: PERSISTENT RESERVE OUT. Exit statuses: sg3_utils(8).
out() {
	local status=0 said
	at $1 sg_persist -n --out "${@:2}" >/dev/null 2>&1 || status=$?
	case $status in
	0) said=good ;;
	5) said="illegal request" ;;
	6) said="unit attention" ;;
	11) said="aborted command" ;;
	24) said="reservation conflict" ;;
	*) said="exit status $status" ;;
	esac
	set -- "${@//$port_B/of B}"
	say "${*//=$rtpi_B/ of B}: $said"
}

# told WHO: its unit attentions, all of them.
told() {
	local i text
	for i in 1 2 3 4 5 6; do
		text=$(at $1 sg_turs -v 2>&1) && break
		if [[ $text =~ 'Additional sense: '([^$'\n']*) ]]; then
			say "$1 is told: ${BASH_REMATCH[1]}"
		else
			say "$1 is told something else: $text"
		fi
	done
	[ $i != 1 ] || say "$1 is told nothing"
}

# io WHO: whether it may read and write. The kernel tells of a conflict as an I/O error.
io() {
	local run=RUN_$1 d=dev_$1 may=
	${!run} dd if="${!d}" of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null && may=reads
	${!run} dd if=/dev/zero of="${!d}" bs=4096 count=1 oflag=direct 2>/dev/null && may+=writes
	case $may in
	readswrites) say "$1 reads and writes" ;;
	reads) say "$1 reads" ;;
	writes) say "$1 writes" ;;
	*) say "$1 neither reads nor writes" ;;
	esac
}

# READ FULL STATUS as WHO sees it: regs[initiator port and target port]=key and role.
declare -A regs=()
full_status() {
	local line key='' role='' port='' text
	regs=()
	{ text=$(at $1 sg_persist -n --in -s 2>&1); } 2>/dev/null	# zero bytes
	while read -r line; do
		case $line in
		Key=*) key=${line#Key=0x} role= ;;
		*"Relative port address"*) port=${line##* } ;;
		*"not a reservation holder"*) ;;
		*"Reservation holder"*) role=holds ;;
		*type:*) [ -z "$role" ] || role="holds ${line##*type: }" ;;
		*"unique port id"*) regs["${line##*: } $port"]="$key $role" ;;
		esac
	done <<<"$text"
}

# state: both registrations with their role as B sees them, and the reservation as A does.
state() {
	local port rtpi who line key='' lines=() text
	full_status B
	for who in A B; do
		port=port_$who rtpi=rtpi_$who
		port=${regs["${!port} ${!rtpi}"]:-}
		[ -z "$port" ] || lines+=("    $who has ${port% }")
	done
	text=$(at A sg_persist -n --in -r 2>&1)
	while read -r line; do
		case $line in
		*Key=0x*) key=${line##*Key=0x} ;;
		*type:*) lines+=("    reserved: key $key, ${line##*type: }") ;;
		esac
	done <<<"$text"
	[ ${#lines[@]} != 0 ] || lines=("    nothing")
	for line in "${lines[@]}"; do
		say "$line"
	done
}

# find_port WHO: sets port_WHO, its initiator port "NAME,i,0xISID", and rtpi_WHO, the target port.
find_port() {
	local port
	again $1 --register-ignore --param-sark=7e57
	full_status $1
	for port in "${!regs[@]}"; do
		[ "${regs[$port]% *}" != 7e57 ] || printf -v port_$1 %s "${port% *}"
		[ "${regs[$port]% *}" != 7e57 ] || printf -v rtpi_$1 %s "${port#* }"
	done
	again $1 --register-ignore --param-sark=$none
}

# again WHO OPTIONS...: PERSISTENT RESERVE OUT until it is not a unit attention that comes.
again() {
	local status=6
	while [ $status = 6 ]; do
		status=0
		at $1 sg_persist -n --out "${@:2}" >/dev/null 2>&1 || status=$?
	done
}

# clean: no registrations, nobody is owed anything.
clean() {
	again A --register-ignore --param-sark=$a
	again A --clear --param-rk=$a
	until at B sg_turs >/dev/null 2>&1; do :; done
}

both() {
	clean
	out A --register --param-sark=$a
	out B --register --param-sark=$b
}

command -v sg_persist >/dev/null || [ -n "$RUN_A" ] || {
	echo "SKIP: no sg_persist (sg3-utils)"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}
port_A=- port_B=- rtpi_A=- rtpi_B=-
clean
find_port A
find_port B
echo "A: $dev_A, $port_A through port $rtpi_A"
echo "B: $dev_B, $port_B through port $rtpi_B"
if [ "$port_A" = - ] || [ "$port_B" = - ] || [ "$port_A $rtpi_A" = "$port_B $rtpi_B" ]; then
	echo "these are not one logical unit through two I_T nexuses"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
: >"$got"

title "REGISTER, REGISTER AND IGNORE EXISTING KEY"
out A --register --param-rk=$a --param-sark=$a
out A --register --param-sark=$none
out A --register --param-sark=$a
out A --register --param-sark=$b
out A --register --param-rk=$a --param-sark=aaaa
out A --register-ignore --param-sark=$a
out B --register-ignore --param-sark=$a
state
out B --register-ignore --param-sark=$b
state
out B --register --param-rk=$b --param-sark=$none
out B --register-ignore --param-sark=$none
state
told A
told B

title "without a registration nothing but REGISTER"
out B --reserve --param-rk=$b --prout-type=5
out B --release --param-rk=$b --prout-type=5
out B --clear --param-rk=$b
out B --preempt --param-rk=$b --param-sark=$a --prout-type=5
out B --preempt-abort --param-rk=$b --param-sark=$a --prout-type=5

for type in 1 3 5 6 7 8; do
	title "type $type: RESERVE, who may what, RELEASE"
	both
	out A --reserve --param-rk=$a --prout-type=$type
	state
	io A
	io B
	out A --reserve --param-rk=$a --prout-type=$type
	out B --reserve --param-rk=$b --prout-type=$type
	out A --reserve --param-rk=$a --prout-type=$((type == 5 ? 6 : 5))
	out A --release --param-rk=$a --prout-type=$((type == 1 ? 3 : 1))
	out B --register --param-rk=$b --param-sark=$none
	told A
	io B
	out B --register --param-sark=$b
	out A --release --param-rk=$a --prout-type=$type
	told A
	told B
	state
	io B

	title "type $type: the holder unregisters"
	both
	out A --reserve --param-rk=$a --prout-type=$type
	out A --register --param-rk=$a --param-sark=$none
	told B
	state
	io A

	title "type $type: PREEMPT"
	both
	out A --reserve --param-rk=$a --prout-type=$type
	out B --preempt --param-rk=$b --param-sark=$a --prout-type=$type
	told A
	told B
	state
	io A
	io B

	title "type $type: PREEMPT AND ABORT"
	both
	out A --reserve --param-rk=$a --prout-type=$type
	out B --preempt-abort --param-rk=$b --param-sark=$a --prout-type=$type
	told A
	told B
	state

	title "type $type: a registrant is preempted"
	both
	out A --reserve --param-rk=$a --prout-type=$type
	out A --preempt-abort --param-rk=$a --param-sark=$b --prout-type=$type
	told B
	state
	io A
	io B
done

title "all registrants: PREEMPT of everybody with key 0"
both
out A --reserve --param-rk=$a --prout-type=7
out B --preempt --param-rk=$b --param-sark=$none --prout-type=8
told A
state

title "PREEMPT of a key nobody has; with key 0; with a type of its own"
both
out A --reserve --param-rk=$a --prout-type=5
out B --preempt --param-rk=$b --param-sark=cccc --prout-type=5
out B --preempt --param-rk=$b --param-sark=$none --prout-type=5
out B --preempt --param-rk=$b --param-sark=$a --prout-type=3
told A
state
out A --register --param-sark=$a
io A

title "types and scopes that do not exist"
both
for type in 0 2 4 9; do
	out A --reserve --param-rk=$a --prout-type=$type
done
state

title "CLEAR"
both
out A --reserve --param-rk=$a --prout-type=6
out B --clear --param-rk=$a
out B --clear --param-rk=$b
told A
told B
state
io A

title "REGISTER AND MOVE"
both
out A --register-move --param-rk=$a --param-sark=$b --relative-target-port=$rtpi_B \
	--transport-id=$port_B
out A --reserve --param-rk=$a --prout-type=5
out B --register-move --param-rk=$b --param-sark=$b --relative-target-port=$rtpi_B \
	--transport-id=$port_B
out A --register-move --param-rk=$a --param-sark=$none --relative-target-port=$rtpi_B \
	--transport-id=$port_B
out A --register-move --param-rk=$a --param-sark=bbbb --relative-target-port=$rtpi_B \
	--transport-id=$port_B
told A
told B
state
out B --reserve --param-rk=bbbb --prout-type=5
clean
out A --register --param-sark=$a
out A --reserve --param-rk=$a --prout-type=3
out A --register-move --unreg --param-rk=$a --param-sark=$b --relative-target-port=$rtpi_B \
	--transport-id=$port_B
state
io A
io B

title "SPEC_I_PT: A registers B, too (ALL_TG_PT: B may come through another port)"
clean
out A --register --param-sark=$a --param-alltgpt --transport-id=$port_B
state
out A --reserve --param-rk=$a --prout-type=5
io B
out B --register --param-rk=$a --param-sark=$b
state
out A --register --param-rk=$a --param-sark=$a --transport-id=$port_B

title "ALL_TG_PT, APTPL, REPORT CAPABILITIES"
clean
capabilities() {
	local line text
	text=$(at A sg_persist -n --in -c 2>&1)
	while read -r line; do
		case $line in *"): "[01] | *Exclusive*": "[01]) say "    $line" ;; esac
	done <<<"$text"
}
out A --register --param-sark=$a --param-alltgpt
out A --register --param-rk=$a --param-sark=$a --param-aptpl
capabilities
out B --register --param-sark=$b
capabilities
clean

echo
passed=$(grep -vc '^#\|^$' "$got")
if diff -u --label expected --label "this target" "$here/expected" "$got" >"$got.diff"; then
	failed=0
else
	failed=$(grep -c '^-[^-]' "$got.diff")
	[ "$failed" != 0 ] || failed=1
	passed=$((passed > failed ? passed - failed : 0))
	cat "$got.diff"
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
