# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Part of run.sh: what lies under LUNs that are not memory. A file in the page cache, on ext4 and on XFS, each a loop-mounted
# image in $work; and a block device with O_DIRECT, a loop device that itself goes to its image with direct I/O. Every server
# has files and a device of its own, of the same size and filled in the same way. The mounts are seen in this script's own
# namespace only, and a device is given up while it is held open: so both go when the last process here ends, however it does.

PATH=$PATH:/usr/sbin:/sbin		# losetup, mkfs
declare -A media_lun=([file]=2 [ext4]=3 [xfs]=4 [direct]=5) on
media=" file"		# those there are; file: wherever $work is

# device_make NAME SIZE [direct]: sets device. Direct I/O to the image is for the rows that need it a must: losetup may set it, fail
# with the device there already, or say it did and leave it off.
device_make() {
	local image=$work/$1-device.img held rc=1
	truncate -s "$2" "$image" && device=$(losetup -f --show "$image") || return 1
	losetup --direct-io=on "$device"
	if [ "${3:-}" = direct ] && [ "$(cat "/sys/block/${device#/dev/}/loop/dio")" != 1 ]; then
		echo "$device has no direct I/O to its image in $work" >&2
	else
		exec {held}<>"$device" && rc=0
	fi
	losetup -d "$device"	# when it is held no more
	return $rc
}

media_file_system() {	# media_file_system TYPE
	local device options=
	[ $1 = ext4 ] && options="-o noinit_itable"	# no ext4lazyinit beside the rows
	device_make $1 8G && mkdir -p "$work/$1" && "mkfs.$1" -q "$device" && mount $options "$device" "$work/$1"
}

# Finds out what can be had here. Rows on what cannot are left out, and it says so.
media_up() {
	local m why device
	for m in ext4 xfs direct; do
		why=
		if [ -z "${BENCH_UNSHARED:-}" ]; then
			why="needs root and a mount namespace"
		elif [ $m = direct ]; then
			device_make try 1M direct 2>"$work/media" || why="no loop device for it: $(tail -1 "$work/media")"
		else
			media_file_system $m >"$work/media" 2>&1 || why="cannot be mounted (mkfs.$m, loop device): $(tail -1 "$work/media")"
		fi
		if [ -z "$why" ]; then
			media="$media $m"
		else
			skip "LUNs on $m: $why"
			rows=$(grep -v -e "-$m-" <<<"$rows")
		fi
	done
	[[ $media = *ext4* ]] || [ $mode = check ] || rows="$rows
read-file-qd32x8|-r100 -q32 -n8 -l 2|yes
write-file-qd32x8|-r0 -q32 -n8 -l 2|yes"
}

media_down() {
	local m
	for m in ext4 xfs; do mountpoint -q "$work/$m" && umount "$work/$m"; done
}

# Others may have wanted the memory: what is read from the page cache is there when the row begins.
media_warm() {		# media_warm ROW TARGET
	case $1 in
	read-ext4-*) cat "$work/ext4/$2.img" 2>/dev/null >/dev/null ;;
	read-xfs-*) cat "$work/xfs/$2.img" 2>/dev/null >/dev/null ;;
	esac
}

# media_make NAME: sets on[MEDIUM] to the file or device that server is to use. media_up found that it can be had: else it fails.
media_make() {
	local m dir device
	on=()
	for m in $media; do
		if [ $m = direct ]; then
			device_make "$1" $file_size direct || { fail "$1: no device for its LUN on $m"; return 1; }
			on[$m]=$device
		else
			dir=$work/$m
			[ $m = file ] && dir=$work
			on[$m]=$dir/$1.img
			truncate -s "$file_size" "${on[$m]}" || { fail "$1: no file for its LUN on $m"; return 1; }
		fi
	done
}

media_luns() {		# those of media_make, for holdfastd
	local m
	for m in $media; do
		echo "      - {lun: ${media_lun[$m]}, name: $1-$m, path: ${on[$m]}$([ $m = direct ] && echo ", direct: on")}"
	done
}

# fio on the device: its output to $work/fio, CPU seconds it took (all its threads, io_uring's too) to $work/fio.cpu
device_fio() {		# device_fio OPTIONS...
	local TIMEFORMAT='%U %S'
	{ time timeout 60 $pin_target fio --name=device --filename="${args[device]}" --ioengine=io_uring --direct=1 --thread --norandommap \
		--iodepth_batch_submit=32 --iodepth_batch_complete_min=1 --iodepth_batch_complete_max=256 --time_based \
		--percentile_list=50:99:99.9 --output-format=terse --terse-version=3 "$@" >"$work/fio" 2>&1; } 2>"$work/fio.cpu"
}

device_up() {
	local device
	if ! command -v fio >/dev/null; then
		skip "device: not measured by itself: no fio (Debian package fio)"
		return
	fi
	device_make device $file_size direct && dd if=/dev/zero of="$device" bs=1M count="$(megabytes $file_size)" oflag=direct 2>/dev/null ||
		{ fail "device: none, or it cannot be filled"; return; }
	args[device]=$device
	device_fio --rw=randread --bs=4k --runtime=1ms || { fail "device: $(tail -1 "$work/fio")"; return; }
	device_start=$(cat "$work/fio.cpu")	# what fio takes to start and to end
	names="$names device"
}

# The device by itself: as many requests in flight as all sessions of the row have, but no more than it takes at a time, on the
# core of the targets. The same line as hf-bench prints.
device_one() {		# device_one LABEL OPTIONS: -rPERCENT -qDEPTH -nSESSIONS -bSIZE
	local label=$1 o rw=randread depth=1 sessions=1 block=4K most
	shift
	for o in "$@"; do
		case $o in
		-r0) rw=randwrite ;;
		-q*) depth=${o#-q} ;;
		-n*) sessions=${o#-n} ;;
		-b*) block=${o#-b} ;;
		esac
	done
	depth=$((depth * sessions))
	most=$(cat "/sys/block/${args[device]#/dev/}/queue/nr_requests")
	device_fio --rw=$rw --bs=$block --iodepth=$((depth < most ? depth : most)) --runtime="$(awk "BEGIN { print $seconds * 1000 }")ms" ||
		{ tail -3 "$work/fio"; return 1; }
	# Terse: reads from field 6, writes from 47: KiB, KiB/s, IOPS, ms; completion times from the 9th on, percentiles from the 13th.
	awk -F';' -v label=$label -v at=$([ $rw = randread ] && echo 6 || echo 47) -v cpu="$(cat "$work/fio.cpu") $device_start" '
		function percentile(n,    part) { split($(at + 11 + n), part, "="); return part[2] }
		$1 == 3 && $(at + 2) > 0 {
			split(cpu, s, " ")
			printf "label=%s iops=%.0f mbs=%.1f mean=%s p50=%s p99=%s p999=%s max=%s cpu=%.3f gen=0 runs=0 fair=1 busy=0\n", label,
				$(at + 2), $(at + 1) * 1024 / 1e6, $(at + 10), percentile(1), percentile(2), percentile(3), $(at + 9),
				(s[1] + s[2] - s[3] - s[4]) * 1e9 / $(at + 2) / $(at + 3)
			ok = 1
		}
		END { exit !ok }' "$work/fio" >>"$work/results"
}
