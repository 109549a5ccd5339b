# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by lib.sh. Guests.
#
#	guest_boot NAME [ubd FILE]	a machine with a leg on each network; NAME is one letter
#	guest NAME [-t SECONDS] COMMANDS	runs them (bash with guest-lib.sh; an error ends them and
#				is an error here; HF_VERBOSE=1 shows what they print)
#	guest_says ...		the same, and prints what they print
#	guest_start NAME COMMANDS	in the background
#	guest_wait NAME [SECONDS]	waits for the last one started so
#	guests "NAME..." SECONDS COMMANDS	on all of them at the same time
#	guest_kill NAME		pulls the plug
#	guest_ends NAME SECONDS HOW	it ends by itself in time, and its console says this

declare -A HF_BACK=()

guest_boot() {
	local g=$1 mem=${HF_GUEST_MEMORY:-320M} nets=() f ubd=()
	hf_root_make
	hf_guest_share "$g"
	for f in 1 2 3; do
		hf_guest_leg "$g" $f
		# Without gro=1 large writes hang.
		nets+=("vec$((f - 1)):transport=tap,ifname=$g-$f,mac=$HF_MAC,depth=128,gro=1")
	done
	[ $# = 1 ] || ubd=("ubda=$3")
	echo $(($(cat "$HF_RUN/$g.console" 2>/dev/null | wc -c) + 1)) >"$HF_RUN/$g.booted"
	TMPDIR=$(hf_memory_dir) LD_PRELOAD=$HF_TOOLS/uml-shim.so setsid setarch -R \
		ip netns exec "$HF_NS" "$HF_UML" mem="$mem" umid="$g" uml_dir="$HF_RUN/uml/" \
		con=null con0=null,fd:1 con1=null ssl=null rootfstype=hostfs rootflags="$HF_ROOT" \
		ro init=/hf-boot loglevel=5 "${nets[@]}" "${ubd[@]}" HF_NAME="$g" \
		HF_SHARE="$HF_RUN/share" HF_ADDRS="$(hf_guest_addrs "$g")" \
		>>"$HF_RUN/$g.console" 2>&1 </dev/null &
	hf_proc_note "guest-$g" $!
	disown		# a power cut is nothing to be told about
	hf_wait 60 hf_guest_up_or_gone "$g" $! || fail "guest $g did not boot in 60 s"
	[ -e "$HF_RUN/share/$g/up" ] && return
	grep -q 'system call numbers\.\.\.OK' "$HF_RUN/$g.console" ||
		skip "User-Mode Linux may not trace its processes here"
	fail "guest $g died while booting"
}

# hf_guest_share NAME: what it shares with the host, as it is before it boots.
hf_guest_share() {
	rm -rf "$HF_RUN/share/$1"
	mkdir -p "$HF_RUN/share/$1"
	cp "$HF_DIR/guest-init" "$HF_DIR/guest-lib.sh" "$HF_TOOLS/stamp-dev" "$HF_TOOLS/fenced" \
		"$HF_RUN/share/"
	echo 0 >"$HF_RUN/$1.jobs"
}

# The last byte of its addresses: a 11, b 12.
hf_guest_host() {
	echo $((10 + $(printf %d "'$1") - $(printf %d "'a") + 1))
}

hf_guest_addrs() {
	local host
	host=$(hf_guest_host "$1")
	echo "10.77.1.$host/24,10.77.2.$host/24,10.77.3.$host/24"
}

# hf_guest_leg NAME NETWORK: a tap, and HF_MAC, the address at its other end.
hf_guest_leg() {
	local host
	host=$(hf_guest_host "$1")
	ip -n "$HF_NS" link show "$1-$2" >/dev/null 2>&1 || hf_tap_make "$1-$2" "fabric$2"
	HF_MAC=$(printf '02:77:00:00:0%d:%02x' "$2" "$host")
	# Else a search for the guest that began when it was down can fail when it is up.
	[ "$2" = 3 ] || ip -n "$HF_NS" neigh replace "10.77.$2.$host" lladdr "$HF_MAC" \
		dev "fabric$2" nud permanent
}

hf_guest_up_or_gone() {
	[ -e "$HF_RUN/share/$1/up" ] || hf_gone "$2"
}

hf_tap_make() {
	ip -n "$HF_NS" tuntap add dev "$1" mode tap
	ip -n "$HF_NS" link set "$1" master "$2" up
}

guest() {
	if [ "${HF_VERBOSE:-0}" = 1 ]; then
		guest_says "$@" >&2
	else
		guest_says "$@" >/dev/null
	fi
}

guest_says() {
	local g=$1 limit=60
	shift
	if [ "$1" = -t ]; then
		limit=$2
		shift 2
	fi
	hf_job_start "$g" "$*"
	hf_job_wait "$g" "$(hf_job_last "$g")" "$limit"
}

guest_start() {
	hf_job_start "$1" "$2"
	HF_BACK[$1]=$(hf_job_last "$1")
}

guest_wait() {
	hf_job_wait "$1" "${HF_BACK[$1]}" "${2:-60}"
}

guests() {
	local g
	for g in $1; do
		guest_start "$g" "$3"
	done
	for g in $1; do
		guest_wait "$g" "$2" >/dev/null
	done
}

hf_job_start() {
	local n=$(($(hf_job_last "$1") + 1))
	echo $n >"$HF_RUN/$1.jobs"
	printf 'IQN=%s PORTAL=%s ADDR=%s\n%s\n' "$HF_IQN" "$HF_PORTAL" "$HF_ADDR" "$2" \
		>"$HF_RUN/share/$1/$n.sh"
	: >"$HF_RUN/share/$1/$n.go"
	[ ! -e "$HF_RUN/qemu/$1.host" ] || hf_port_send "$1" $n
}

# In a file: $(guest_says ...) is a subshell.
hf_job_last() {
	cat "$HF_RUN/$1.jobs"
}

hf_job_wait() {
	local base=$HF_RUN/share/$1/$2
	hf_wait "$3" hf_job_ended "$1" "$base" ||
		fail "guest $1: not done after $3 s: $(head -c 300 "$base.sh")"
	[ -e "$base.rc" ] || fail "guest $1 died"
	cat "$base.out"
	[ "$(cat "$base.rc")" = 0 ] && return
	echo "guest $1: job ${base##*/} ended with status $(cat "$base.rc")" >&2
	return 1
}

hf_job_ended() {
	[ -e "$2.rc" ] || ! [ -e "$HF_RUN/procs/guest-$1" ] ||
		hf_gone "$(cut -d' ' -f1 "$HF_RUN/procs/guest-$1")"
}

guest_kill() {
	hf_proc_kill "$HF_RUN/procs/guest-$1"
}

guest_ends() {
	hf_wait "$2" hf_guest_says "$1" "$3" || fail "guest $1: no '$3' in $2 s"
	# Its kernel has ended with that. One that resets itself boots once more, see guest-init; but
	# User-Mode Linux hangs at times in its own restart, from a timer's interrupt.
	hf_wait 5 hf_gone "$(cut -d' ' -f1 "$HF_RUN/procs/guest-$1")" || :
	hf_proc_kill "$HF_RUN/procs/guest-$1"
}

# Of its console, what came since it was booted.
hf_guest_says() {
	tail -c "+$(cat "$HF_RUN/$1.booted")" "$HF_RUN/$1.console" | grep -aq "$2"
}

# guest_runs NAME: it has not ended, nor reset itself.
guest_runs() {
	! hf_gone "$(cut -d' ' -f1 "$HF_RUN/procs/guest-$1")" || fail "guest $1 has ended"
	! hf_guest_says "$1" 'sysrq: Resetting\|Initiating system reboot' || fail "guest $1 was reset"
}

# fence VICTIM BY DEVICE COMMANDS: both guests write to the device (64M), BY to the first 16M, VICTIM
# to 4M from 32M on. BY runs the commands that fence VICTIM, and writes over its blocks. From then on
# every write of VICTIM fails, none takes 2 s, no write of BY fails, and what BY wrote stays. In steps,
# for those who fence by other means:
#
#	fence_writers VICTIM BY DEVICE [N M]	both write, VICTIM in 16 threads, BY in 4 (or N, M)
#	fence_mark BY DEVICE		VICTIM is fenced now: BY writes over its blocks
#	fence_check VICTIM BY DEVICE [MS]	both end; what is asked for above (MS: instead of 2 s,
#				and of BY's pauses, too)
fence() {
	fence_writers "$1" "$2" "$3"
	sleep 1
	guest "$2" "$4"
	fence_mark "$2" "$3"
	sleep 1
	fence_check "$1" "$2" "$3"
}

fence_writers() {
	guest "$2" "rm -f /tmp/stop-fence /tmp/ledger; head -c 4M /dev/zero | tr '\\0' $2 >/tmp/mark
		dd if=/dev/zero of=$3 bs=1M count=16 oflag=direct"
	guest "$1" 'rm -f /tmp/stop-fence'
	guest_start "$2" "/hf/stamp-dev run $3 /tmp/ledger fua,flush ${5:-4} 300 /tmp/stop-fence"
	guest_start "$1" "/hf/fenced $3 32 4 ${4:-16} 300 /tmp/stop-fence"
}

fence_mark() {
	guest "$1" "dd if=/tmp/mark of=$2 seek=8 bs=4M oflag=direct"
}

fence_check() {
	local victim=$1 by=$2 dev=$3 limit=${4:-2000} said
	guest "$victim" 'touch /tmp/stop-fence'
	guest "$by" 'touch /tmp/stop-fence'
	said=$(guest_wait "$victim" 10)
	say "$victim: $said"
	[[ $said =~ ^([0-9]+)\ writes,\ ([0-9]+)\ failed,\ 0\ got\ through.*longest\ ([0-9]+)\ ms ]] ||
		fail "$victim was fenced: $said"
	[ "${BASH_REMATCH[1]}" -gt 50 ] && [ "${BASH_REMATCH[2]}" -gt 50 ] ||
		fail "too few writes to prove anything"
	[ "${BASH_REMATCH[3]}" -lt "$limit" ] || fail "a write took ${BASH_REMATCH[3]} ms: limit $limit"
	said=$(guest_wait "$by" 10)
	say "$by: $said"
	[ $# -lt 4 ] || { [[ $said =~ pause\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -lt "$limit" ]; } ||
		fail "$by wrote nothing for ${BASH_REMATCH[1]} ms: limit $limit"
	guest "$by" "/hf/stamp-dev check $dev /tmp/ledger
		dd if=$dev skip=8 bs=4M count=1 iflag=direct | cmp - /tmp/mark"
}

# Guest memory is a file: where there is room, and where it may be executed.
hf_memory_dir() {
	local d
	if ! [ -s "$HF_RUN/memory" ]; then
		for d in /dev/shm "$HF_RUN"; do
			d=$(mktemp -d "$d/hf-mem.XXXXXX") || continue
			[ "$(df --output=avail -k "$d" | tail -n 1)" -gt 1000000 ] &&
				printf '#!/bin/sh\n' >"$d/x" && chmod +x "$d/x" && "$d/x" 2>/dev/null && break
			rm -rf "$d"
		done
		echo "$d" >"$HF_RUN/memory"
	fi
	cat "$HF_RUN/memory"
}

# bundle PROGRAM: a copy under /hf/NAME of the guests, with its libraries, whatever the host is. Run
# it there by /hf/NAME/run.
bundle() {
	local dir lib
	dir=$HF_RUN/share/$(basename "$1")
	mkdir -p "$dir/lib"
	cp "$1" "$dir/program"
	for lib in $(ldd "$1" | grep -o '/[^ ]*'); do
		cp -L "$lib" "$dir/lib/"
	done
	cat >"$dir/run" <<-'EOF'
		#!/bin/sh
		d=${0%/run}
		exec "$d"/lib/ld-linux*.so* --library-path "$d/lib" "$d/program" "$@"
	EOF
	chmod +x "$dir/run"
}

# guide GUIDE BLOCK: what stands in docs/GUIDE.md between "```sh BLOCK" and "```", for `guest`: what
# a guide tells its reader to type is what scenarios run. Lint looks that each block is run.
guide() {
	awk -v block="$2" '/^```/ { on = !on && $2 == block; found += on; next } on
		END { exit !found }' "$HF_TOP/docs/$1.md" || fail "docs/$1.md has no block $2"
}
