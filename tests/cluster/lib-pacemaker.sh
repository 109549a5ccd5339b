# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the scenarios of Pacemaker, behind lib.sh: the cluster of docs/kvm-pacemaker.md. Its blocks do
# the work; this is what is around them.
#
#	cluster_boot NODE		a host with nothing of the cluster
#	cluster_install NODE...		corosync and Pacemaker run there (storage is logged in)
#	cluster_form FENCING		the cluster of a and b, with these commands that make its fencing
#	tried				`off` tried to fence `on`, in vain, and runs nothing
#	mon NODE SECONDS REGEX		crm_mon there says so in time
#	vm_start			a program that writes a journal on the file system joins the group vms; sets on,
#				the node where it runs, off, the other, holder, who reserved the witness
#	vm_journal NODE [FROM]		checks it there: sets vm_last, vm_pause (ms), vm_nodes
#	vm_wrote NODE WHO LIMIT		the same: WHO wrote it, without a pause of LIMIT ms
#	is_fenced NODE			from now on in 75 s
#	keys_are VICTIM|-		on all disks both are registered, or all but VICTIM, in 90 s
#	writes_again NODE		it can, on the raw disk $vm1
#	story_after_split SOFTWARE REGISTRATIONS	`on` has fenced `off`: what the witness tells
#	watchdog NODE AGENT		it finds out that it has been fenced, and resets itself
#	freeze NODE, thaw NODE		as a host whose processors stop, and go on later

HF_GUEST_MEMORY=${HF_GUEST_MEMORY:-384M}
cluster_luns=(quorum/0 disk/1 disk/2)

# The guide's configuration, in the bed's places. Sizes as small as the tests are short.
target_config() {
	guide kvm-pacemaker holdfast.yaml | sed -E "s,^(state_dir:).*,\\1 $1/state,; s,^(data_dir:).*,\\1 $1/disks,
		s/size: [0-9]+G/size: 256M/"
	printf 'control: %s\ndriver: %s\nreactors: 2\n' "$1/control.sock" "$HF_DRIVER"
}

cluster_boot() {
	guest_boot "$1"
	cp "$HF_DIR/guest-systemctl" "$HF_DIR/guest-vm" "$HF_DIR/guest-cib.xml" "$HF_RUN/share/"
	guest "$1" 'cp /hf/guest-systemctl /usr/bin/systemctl
		mkdir -p /usr/lib/ocf/resource.d/example
		ln -s /hf/guest-vm /usr/lib/ocf/resource.d/example/vm
		/lib/systemd/systemd-udevd --daemon
		udevadm trigger'
}

cluster_install() {
	[ -e "$HF_RUN/share/authkey" ] ||
		guest "$1" "$(guide kvm-pacemaker authkey)
			cp /etc/corosync/authkey /hf/"
	guests "$*" 120 "cp /hf/authkey /etc/corosync/
		$(guide kvm-pacemaker corosync)
		install -m 600 -o hacluster -g haclient /hf/guest-cib.xml /var/lib/pacemaker/cib/cib.xml
		$(guide kvm-pacemaker start)"
}

cluster_form() {
	cluster_install a b
	mon a 60 'Online: \[ a b \]'
	guest a "$1
		$(guide kvm-pacemaker order)"
	keys_are -
	say "both are unfenced"
}

mon() {
	guest "$1" -t $(($2 + 10)) "end=\$((SECONDS + $2))
		until crm_mon -1 >/tmp/mon && grep -qE '$3' /tmp/mon; do
			[ \$SECONDS -lt \$end ] || { cat /tmp/mon; exit 1; }
			sleep 1
		done"
}

tried() {
	local lun=${cluster_luns[0]}
	hf_wait 90 hf_witness_tells log "$lun" "$off challenged $on: PREEMPT AND ABORT, a conflict" ||
		fail "$off has not tried to fence $on: $(hf_witness_says log "$lun")"
	guest "$off" 'fails mountpoint /srv/images
		fails /hf/guest-vm monitor'
}

# hf_witness_tells COMMAND LUN TEXT: it is in it.
hf_witness_tells() {
	hf_witness_says "$1" "$2" | grep -qF -- "$3"
}

vm_start() {
	guest a 'cibadmin --modify --allow-create --scope resources --xml-text "
		<group id=\"vms\"><primitive id=\"vm\" class=\"ocf\" provider=\"example\" type=\"vm\"><operations>
		<op id=\"vm-monitor\" name=\"monitor\" interval=\"5s\" timeout=\"20s\"/>
		</operations></primitive></group>"'
	mon a 90 'vm[[:space:]].*Started'
	on=$(guest_says a 'crm_resource --resource vm --locate | grep -o "[ab] *$"')
	on=${on% }
	off=$([ "$on" = a ] && echo b || echo a)
	holder=$(pr_show "${cluster_luns[0]}" | sed -n 's/^type 5 of //p')
}

vm_journal() {
	local said
	said=$(guest_says "$1" "/hf/guest-vm check ${2:-}")
	read -r vm_last vm_pause vm_nodes <<<"$said"
	say "journal: $vm_last lines, longest pause $vm_pause ms, written by $vm_nodes"
}

# As fence_scsi makes them with key_value=hash.
cluster_key() {
	printf '%.4s%.4s' "$(printf kvm | md5sum)" "$(printf %s "$1" | md5sum)"
}

# Token and consensus take 11 s, the head start of who runs what has priority 10 s, the agent a second or
# two; the rest is for busy machines.
is_fenced() {
	local begin=$SECONDS took
	keys_are "$1"
	took=$((SECONDS - begin))
	say "$1 was fenced in $took s"
	[ $took -lt 75 ] || fail "$1 was fenced in $took s: limit 75"
}

vm_wrote() {
	vm_journal "$1"
	expect "who wrote the journal" "$vm_nodes" "$2"
	[ "$vm_pause" -lt "$3" ] || fail "$2 wrote nothing for $vm_pause ms: limit $3"
}

# keys_are VICTIM|-
keys_are() {
	local lun end=$((SECONDS + 90))
	for lun in "${cluster_luns[@]}"; do
		until keys_on "$lun" "$1"; do
			[ $SECONDS -lt $end ] || fail "reservations of $lun: $(pr_show "$lun" | xargs)"
			sleep 0.5
		done
	done
}

keys_on() {
	local node fabric want=()
	for node in a b; do
		for fabric in "${cluster_fabrics[@]}"; do
			[ "$node" = "$2" ] || want+=("$node $fabric ${cluster_keys[$node]}")
		done
	done
	[ "$(pr_show "$1" | sed 1d)" = "$(printf '%s\n' "${want[@]}")" ] && pr_show "$1" | grep -q '^type 5'
}

writes_again() {
	guest "$1" "fio --name=back --filename=$vm1 --offset=48M --size=8M --rw=randwrite --direct=1 --ioengine=libaio \
		--iodepth=4 --bsrange=4k-64k --verify=crc32c --verify_fatal=1 --minimal"
}

story_after_split() {
	if [ "$holder" = "$on" ]; then
		story_becomes 25 "${cluster_luns[0]}" "$on took this disk at T, with RESERVE.
Nobody owned it before.
$on fenced $off at T, with PREEMPT AND ABORT: $2 removed; the disk's owner stayed.
This looks like Pacemaker with $1 (sure)."
	else
		story_becomes 25 "${cluster_luns[0]}" "$on took this disk from $off at T, with PREEMPT AND ABORT; $2 went with it.
$off had owned it for S.
Why: $on fenced $off, which was logged in.
This looks like Pacemaker with $1 (sure)."
	fi
}

# watchdog NODE AGENT: it has been fenced, and what a watchdog runs finds out and resets it.
watchdog() {
	guest "$1" "status=0; /usr/share/cluster/$2_check || status=\$?; [ \$status = 2 ]"
	guest_start "$1" "/usr/share/cluster/$2_check_hardreboot"
	guest_ends "$1" 60 'reboot: Restarting system'
}

# Its process alone: those it traces stand still without it.
freeze() {
	kill -STOP "$(cut -d' ' -f1 "$HF_RUN/procs/guest-$1")"
}
thaw() {
	kill -CONT "$(cut -d' ' -f1 "$HF_RUN/procs/guest-$1")"
}
