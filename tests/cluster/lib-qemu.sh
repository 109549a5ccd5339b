# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the scenarios that need it. Guests of QEMU: Debian's own kernel, emulated. They start in
# 10 to 20 s and are five times slower than those of User-Mode Linux, but have what its kernel lacks
# (scsi_dh_alua, several processors), and they can move.
#
#	qemu_boot NAME [OPTION]...	a guest like guest_boot's: same root, same networks, same jobs
#
#	host_make HOST N		a machine that runs virtual machines: a namespace of its own with
#					a leg on each network, 10.77.1.N to 10.77.3.N; path_cut HOST NETWORK
#	on_host HOST COMMANDS
#	vm_boot VM HOST [OPTION]...	a virtual machine that can move: its root is in its memory, jobs
#					come by a virtio-serial port. guest, guest_says, guest_start,
#					guest_wait and guest_kill serve it as they do the others
#	vm_move VM HOST OPTION...	moves it; OPTIONs are for QEMU there. Sets HF_MOVE_MS, HF_DOWN_MS
#	vm_move_start, vm_move_wait	the same in two steps; HF_MOVE_RATE: bytes a second, to make it last
#	qmp PROCESS COMMAND [ARGUMENTS]	asks QEMU (NAME, or VM-HOST), arguments as JSON; prints what it
#					returns

HF_QEMU_NEEDS=(qemu-system-x86_64 busybox cpio depmod)
# What the disk-less root has beyond busybox, by its path in the guests' root.
HF_QEMU_PARTS=(bin/bash bin/dd usr/bin/flock usr/bin/sg_inq usr/bin/sg_persist usr/bin/sg_turs usr/bin/sg_unmap usr/bin/sg_vpd)
# Of the kernel's modules, what is kept (a directory each) and what a guest boots with.
HF_QEMU_KEEP=(arch block crypto drivers/{block,char,md,net/*.ko,scsi,virtio} fs lib mm net)
HF_QEMU_MODULES=(virtio_pci virtio_net virtio_console virtio_scsi sd_mod sg 9p 9pnet_virtio overlay)

# vm_disks HOST: the options for LUN 1 and 2 by QEMU's own initiator, as the guide has them. In the guest LUN N is the
# disk /dev/lunN.
vm_disks() {
	local HOST=$1 disks
	eval "$(guide proxmox-libvirt options)"
	echo "$disks"
}

# vm_stamps VM DISK: ends the stamps (ledger /tmp/ledger, stop file /tmp/stop), tells what the guest saw, and
# checks the medium, whatever the guest thinks is on it.
vm_stamps() {
	local said
	guest "$1" 'touch /tmp/stop'
	said=$(guest_wait "$1" 60)
	guest "$1" no_io_errors
	say "$1: $said"
	[[ $said =~ ([0-9]+)\ writes ]]
	[ "${BASH_REMATCH[1]}" -gt 100 ] || fail "too few writes to prove anything"
	guest_says "$1" 'gzip -c /tmp/ledger | base64' | base64 -d | gunzip >"$HF_RUN/$2.ledger"
	said=$("$HF_TOOLS/stamp-dev" check "$HF_RUN/disks/$2.img" "$HF_RUN/$2.ledger") || fail "the medium: $said"
	say "the medium: $said"
}

# pause_start DISK; pause_stop sets HF_PAUSE_MS: the longest time in between in which nothing was written to it.
pause_start() {
	in_net_start pause "$HF_TOOLS/pause" "$HF_RUN/disks/$1.img" >"$HF_RUN/pause"
}

pause_stop() {
	in_net_stop pause
	HF_PAUSE_MS=$(cut -d' ' -f1 "$HF_RUN/pause")
}

# ---- what is made once

# hf_qemu_make: sets HF_KERNEL, a directory: vmlinuz, initrd, and the modules in usr/lib/modules.
hf_qemu_make() {
	local tool hash
	for tool in "${HF_QEMU_NEEDS[@]}"; do
		command -v "$tool" >/dev/null || skip "no $tool (make deps installs it)"
	done
	hf_root_make
	hash=$( (echo "${HF_ROOT##*/} ${HF_QEMU_PARTS[*]} ${HF_QEMU_KEEP[*]} ${HF_QEMU_MODULES[*]}"
		declare -f hf_kernel_build hf_initrd_build; cat "$HF_DIR/qemu-init") | sha256sum | cut -c1-16)
	HF_KERNEL=$HF_CACHE/kernel-$hash
	[ -d "$HF_KERNEL" ] && return
	(
		flock 9
		[ -d "$HF_KERNEL" ] || hf_kernel_build "$HF_KERNEL"
	) 9>"$HF_CACHE/lock"
}

# hf_kernel_build DIR
hf_kernel_build() {
	local new=$1.new version keep
	say "making the emulated guests' kernel (once): $1"
	rm -rf "$new" "$new.deb"
	mkdir -p "$new/usr/lib/modules" "$new.deb"
	chmod 777 "$new.deb"	# for apt's own user
	(
		cd "$new.deb"
		version=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p')
		apt-get -q download "${version:-linux-image-amd64}" || {
			apt-get -q update
			apt-get -q download "$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p')"
		}
		dpkg -x ./*.deb .
	) >"$1.log" 2>&1 || { tail -n 20 "$1.log"; skip "no package linux-image-amd64 to be had"; }
	cp "$new.deb"/boot/vmlinuz-* "$new/vmlinuz"
	version=$(ls "$new.deb/lib/modules")
	(
		cd "$new.deb/lib/modules/$version/kernel"
		# shellcheck disable=SC2068
		for keep in ${HF_QEMU_KEEP[@]}; do
			mkdir -p "$new/usr/lib/modules/$version/kernel/$(dirname "$keep")"
			cp -a "$keep" "$new/usr/lib/modules/$version/kernel/$(dirname "$keep")"
		done
	)
	cp "$new.deb/lib/modules/$version"/modules.{builtin,order}* "$new/usr/lib/modules/$version/"
	ln -s usr/lib "$new/lib"
	depmod -b "$new" "$version"
	hf_initrd_build "$new" "$version"
	rm -rf "$new.deb" "$new/lib" "$1.log"
	mv -T "$new" "$1"
}

# hf_initrd_build KERNEL VERSION: busybox, the modules to boot with, some programs of the guests' root.
hf_initrd_build() {
	local root=$1.root file
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,etc/iscsi,hf,lib64,media,mnt,proc,root,run,sbin,sys,tmp,usr/lib/modules/"$2"}
	ln -s usr/lib "$root/lib"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for file in $(busybox --list); do
		[ "$file" = busybox ] || ln -s busybox "$root/bin/$file"
	done
	for file in "${HF_QEMU_PARTS[@]}"; do
		rm -f "$root/bin/${file##*/}"
		cp "$HF_ROOT/$file" "$root/bin/"
		# The libraries, as the guests' own loader finds them.
		chroot "$HF_ROOT" ldd "/$file" | grep -o '/[^ ]*' | while read -r file; do
			mkdir -p "$root/$(dirname "$file")"
			cp -L "$HF_ROOT/$file" "$root/$file"
		done
	done
	for file in $(modprobe -d "$1" -S "$2" -a --show-depends "${HF_QEMU_MODULES[@]}" |
		sed -n 's/^insmod *//p' | sort -u); do
		file=${file#*/modules/}
		mkdir -p "$root/usr/lib/modules/$(dirname "$file")"
		cp "$1/usr/lib/modules/$file" "$root/usr/lib/modules/$file"
	done
	cp "$1/usr/lib/modules/$2"/modules.{builtin,order}* "$root/usr/lib/modules/$2/"
	depmod -b "$root" "$2"
	cp "$HF_DIR/qemu-init" "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$1/initrd"
	rm -rf "$root"
}

# ---- processes

# hf_qemu ROLE GUEST PROCESS NAMESPACE KERNEL_WORDS OPTION...: starts one, noted as ROLE-GUEST. Does not wait.
hf_qemu() {
	local role=$1 g=$2 process=$3 ns=$4 words=$5 base=$HF_RUN/qemu/$3
	shift 5
	rm -f "$base.in" "$base.out"
	mkfifo "$base.in" "$base.out"
	setsid ip netns exec "$ns" qemu-system-x86_64 -name "$process" -nodefaults -no-user-config \
		-accel tcg,thread=multi -cpu max -m "${HF_GUEST_MEMORY:-320M}" -display none -no-reboot \
		-kernel "$HF_KERNEL/vmlinuz" -initrd "$HF_RUN/qemu/$g.initrd" \
		-append "console=ttyS0 loglevel=5 mitigations=off panic=-1 HF_NAME=$g $words" \
		-chardev "file,id=console,path=$HF_RUN/$g.console,append=on" -serial chardev:console \
		-chardev "pipe,id=qmp,path=$base" -mon chardev=qmp,mode=control \
		"$@" >>"$HF_RUN/$process.console" 2>&1 </dev/null &
	hf_proc_note "$role-$g" $!
	disown		# a power cut is nothing to be told about
	# What is said before it has opened its end would be lost: it greets first.
	hf_wait 60 hf_qemu_greets_or_gone "$base" $! && ! hf_gone $! || fail "QEMU $process did not start"
	qmp "$process" qmp_capabilities >/dev/null
}

hf_qemu_greets_or_gone() {
	hf_gone "$2" || IFS= read -t 1 -r _ <>"$1.out"
}

# hf_qmp_send PROCESS COMMAND [ARGUMENTS]: without waiting for the answer.
hf_qmp_send() {
	# Opened for both: an end that nobody has is none to wait for.
	jq -nc --arg c "$2" --argjson a "${3:-{\}}" '{execute: $c, id: $c, arguments: $a}' \
		1<>"$HF_RUN/qemu/$1.in"
}

# qmp PROCESS COMMAND [ARGUMENTS]. Events on the way are kept in PROCESS.events.
qmp() {
	local base=$HF_RUN/qemu/$1 line
	hf_qmp_send "$@"
	while IFS= read -t 60 -r line; do
		case $line in
		*'"event"'*) echo "$line" >>"$base.events" ;;
		*"\"id\": \"$2\""*) jq -ec 'if has("return") then .return else error(.error.desc) end' \
			<<<"$line"; return ;;
		esac
	done <>"$base.out"
	fail "QEMU $1 does not answer $2"
}

# hf_qemu_up NAME: it has booted.
hf_qemu_up() {
	local pid
	pid=$(cut -d' ' -f1 "$HF_RUN/procs/guest-$1")
	hf_wait 180 hf_guest_up_or_gone "$1" "$pid" || fail "guest $1 did not boot in 180 s"
	[ -e "$HF_RUN/share/$1/up" ] || fail "guest $1 died while booting"
}

qemu_boot() {
	local g=$1 f options=()
	shift
	hf_qemu_make
	hf_guest_share "$g"
	for f in 1 2 3; do
		hf_guest_leg "$g" $f
		options+=(-netdev "tap,id=net$f,ifname=$g-$f,script=no,downscript=no"
			-device "virtio-net-pci,netdev=net$f,mac=$HF_MAC,romfile=")
	done
	for f in "root,path=$HF_ROOT,readonly=on" "kernel,path=$HF_KERNEL,readonly=on" \
		"share,path=$HF_RUN/share"; do
		options+=(-virtfs "local,mount_tag=$f,security_model=none,multidevs=remap")
	done
	mkdir -p "$HF_RUN/qemu"
	ln -sf "$HF_KERNEL/initrd" "$HF_RUN/qemu/$g.initrd"
	hf_qemu guest "$g" "$g" "$HF_NS" "HF_ROOT=9p HF_ADDRS=$(hf_guest_addrs "$g")" "${options[@]}" "$@"
	hf_qemu_up "$g"
}

# ---- machines that move

declare -A HF_HOST_ADDR=()

host_make() {
	local f ns=$HF_NS-$1
	ip netns add "$ns"
	echo "$ns" >>"$HF_RUN/netns"
	ip -n "$ns" link set lo up
	for f in 1 2 3; do
		ip -n "$HF_NS" link add "$1-$f" type veth peer name "net$f" netns "$ns"
		ip -n "$HF_NS" link set "$1-$f" master "fabric$f" up
		ip -n "$ns" addr add "10.77.$f.$2/24" dev "net$f"
		ip -n "$ns" link set "net$f" up
	done
	HF_HOST_ADDR[$1]=10.77.3.$2
}

# on_host HOST COMMANDS
on_host() {
	ip netns exec "$HF_NS-$1" bash -ec "$2"
}

# hf_vm ROLE VM HOST OPTION...
hf_vm() {
	hf_qemu "$1" "$2" "$2-$3" "$HF_NS-$3" "" -device virtio-serial-pci \
		-chardev "pipe,id=port,path=$HF_RUN/qemu/$2.port" -device virtserialport,chardev=port,name=hf \
		"${@:4}"
}

vm_boot() {
	hf_vm_make "$1"
	hf_port_start "$1"
	echo "$2" >"$HF_RUN/qemu/$1.host"
	hf_vm guest "$@"
	hf_vm_up "$1"
}

# hf_vm_make VM: its initramfs, with what is in the share of others, and where its jobs are.
hf_vm_make() {
	local second=$HF_RUN/qemu/$1.share
	qemu-img --help | grep ' iscsi' >/dev/null || skip "QEMU has no iscsi (package qemu-block-extra)"
	hf_qemu_make
	hf_guest_share "$1"
	rm -rf "$second"
	mkdir -p "$second/hf"
	cp "$HF_RUN"/share/{guest-init,guest-lib.sh,stamp-dev,fenced} "$second/hf/"
	{
		cat "$HF_KERNEL/initrd"
		cd "$second" && find hf | cpio -o -H newc --quiet
	} >"$HF_RUN/qemu/$1.initrd"
}

hf_vm_up() {
	hf_qemu_up "$1"
	# Disks are found in any order.
	guest "$1" 'wait_for 20 ls -d /sys/block/sd*
		for disk in /sys/block/sd*; do
			lun=$(readlink -f $disk/device); lun=${lun%:0}
			ln -s ${disk##*/} /dev/lun${lun##*:}
		done'
}

# The other end of qemu-init's port, where $1 is the share's directory. One for all processes of a virtual machine:
# only one of them runs it.
HF_PORT_SERVE='cd "$1" || exit
	while read -r n status out; do
		[ "$n" != up ] || { touch up; continue; }
		base64 -d <<<"$out" >"$n.out"
		echo "$status" >"$n.tmp"
		mv "$n.tmp" "$n.rc"
	done'

hf_port_start() {
	local port=$HF_RUN/qemu/$1.port
	[ ! -e "$HF_RUN/procs/port-$1" ] || hf_proc_kill "$HF_RUN/procs/port-$1"
	rm -f "$port.in" "$port.out"
	mkfifo "$port.in" "$port.out"
	setsid bash -c "$HF_PORT_SERVE" port "$HF_RUN/share/$1" <>"$port.out" &
	hf_proc_note "port-$1" $!
}

# hf_port_send VM N: that job.
hf_port_send() {
	local host said
	host=$(cat "$HF_RUN/qemu/$1.host")
	said="$2 $(base64 -w 0 <"$HF_RUN/share/$1/$2.sh")"
	if [ -e "$HF_RUN/procs/guest-$host" ]; then
		(guest "$host" "echo $said 1<>/tmp/port.in") || :	# a host that is a guest itself
	else
		echo "$said" 1<>"$HF_RUN/qemu/$1.port.in"
	fi
}

vm_move() {
	vm_move_start "$@"
	vm_move_wait "$1"
}

vm_move_start() {
	local vm=$1 from
	from=$(cat "$HF_RUN/qemu/$vm.host")
	hf_vm incoming "$@" -incoming "tcp:${HF_HOST_ADDR[$2]}:4444"
	echo "$2" >"$HF_RUN/qemu/$vm.to"
	qmp "$vm-$from" migrate-set-parameters "{\"max-bandwidth\": ${HF_MOVE_RATE:-128000000}}" >/dev/null
	qmp "$vm-$from" migrate "{\"uri\": \"tcp:${HF_HOST_ADDR[$2]}:4444\"}" >/dev/null
}

# vm_move_wait VM [SECONDS]
vm_move_wait() {
	local vm=$1 from to pid info
	from=$(cat "$HF_RUN/qemu/$vm.host")
	to=$(cat "$HF_RUN/qemu/$vm.to")
	hf_wait "${2:-60}" hf_moved "$vm-$from" || fail "$vm has not moved after ${2:-60} s"
	info=$(qmp "$vm-$from" query-migrate)
	[ "$(jq -r .status <<<"$info")" = completed ] || fail "$vm did not move: $info"
	HF_MOVE_MS=$(jq '."total-time"' <<<"$info")
	HF_DOWN_MS=$(jq .downtime <<<"$info")
	hf_wait 30 hf_runs "$vm-$to" || fail "$vm does not run on $to: $(qmp "$vm-$to" query-status)"
	hf_qmp_send "$vm-$from" quit
	pid=$(cut -d' ' -f1 "$HF_RUN/procs/guest-$vm")
	hf_wait 10 hf_gone "$pid" || fail "QEMU $vm-$from does not end"
	mv "$HF_RUN/procs/incoming-$vm" "$HF_RUN/procs/guest-$vm"
	echo "$to" >"$HF_RUN/qemu/$vm.host"
}

hf_moved() {
	local status
	status=$(qmp "$1" query-migrate | jq -r .status)
	[ "$status" = completed ] || [ "$status" = failed ]
}

hf_runs() {
	[ "$(qmp "$1" query-status | jq -r .status)" = running ]
}
