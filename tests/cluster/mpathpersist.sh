#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mpathpersist from two nodes, a and b, each with two fabrics to two portal groups, and what Holdfast
# says about it: every service action, a path cut and brought back, a path added later, the target
# killed. mpathpersist takes --transport-id but does not send it (multipath-tools 0.9.4 leaves the
# SPEC_I_PT bit out), so that one is sent by sg_persist.
. "$(dirname "$0")/lib.sh"
hf_begin mpathpersist

disk 1 shared 64M
target_start
for node in a b; do
	guest_boot $node
	guest $node "initiator_start; multipath_start ${node}1"
done

# mp NODE OPTIONS: mpathpersist --out there. mp_conflict NODE OPTIONS: answered RESERVATION CONFLICT.
mp() {
	guest "$1" "mpathpersist --out ${*:2} /dev/mapper/mpatha"
}
mp_conflict() {
	guest_says "$1" "! mpathpersist --out ${*:2} /dev/mapper/mpatha" |
		grep -q 'Reservation Conflict' || fail "$*: no reservation conflict"
}
# asked NODE OPTION: mpathpersist --in, in one line.
asked() {
	guest_says "$1" "mpathpersist --in $2 /dev/mapper/mpatha" | xargs
}
# writes NODE, writes_not NODE: one block, past all caches.
writes() {
	guest "$1" 'dd if=/dev/zero of=/dev/mapper/mpatha bs=4k count=1 oflag=direct'
}
writes_not() {
	guest_says "$1" '! dd if=/dev/zero of=/dev/mapper/mpatha bs=4k count=1 oflag=direct' |
		grep -q 'Invalid exchange' || fail "$1: no reservation conflict"
}

guest a 'login; paths_wait 2'
guest b 'login 1; paths_wait 1'

say "a registers through both portals, not a second time, then another key"
mp a --register --param-sark=a1 --param-aptpl
pr_is 1 none "a 1 a1" "a 2 a1"
mp_conflict a --register --param-sark=a1
mp a --register --param-rk=a1 --param-sark=a2
pr_is 1 none "a 1 a2" "a 2 a2"
mp a --register-ignore --param-sark=a1 --param-aptpl
pr_is 1 none "a 1 a1" "a 2 a1"
expect "keys" "$(asked b -k)" "PR generation=0x6, 2 registered reservation keys follow: 0xa1 0xa1"

say "a reserves: b, which has not registered, cannot write; then it registers, and can"
mp a --reserve --param-rk=a1 --prout-type=5
pr_is 1 "type 5 of a" "a 1 a1" "a 2 a1"
writes a
writes_not b
mp_conflict b --reserve --param-rk=b1 --prout-type=5
mp b --register-ignore --param-sark=b1 --param-aptpl
pr_is 1 "type 5 of a" "a 1 a1" "a 2 a1" "b 1 b1"
writes b
mp_conflict b --reserve --param-rk=b1 --prout-type=5

say "a path is added to b: multipathd registers it, and it can be written through"
guest b 'path_login 2; paths_wait 2'
pr_becomes 10 1 "type 5 of a" "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"
guest b 'dd if=/dev/zero of=$(path_dev 2) bs=4k count=1 oflag=direct'

say "b sees what a has done"
expect "the reservation" "$(asked b -r)" "PR generation=0x8, Reservation follows: \
Key = 0xa1 scope = LU_SCOPE, type = Write Exclusive, registrants only"
full=$(asked b -s)
expect "registrations in full status" "$(grep -o 'Key = ' <<<"$full" | wc -l)" 4
expect "holders in full status" "$(grep -o 'Reservation holder >>' <<<"$full" | wc -l)" 1
[[ $full =~ "Reservation holder >> scope: LU_SCOPE, type: Write Exclusive, registrants only iSCSI \
world wide unique port id: iqn.2026-11.com.example:a,i,0x" ]] || fail "full status: $full"
[[ $(asked b -c) =~ "(CRH): 1 ".*"(SIP_C): 1 ".*"(ATP_C): 1 ".*"(PTPL_C): 1 ".*"(PTPL_A): 1" ]] ||
	fail "capabilities: $(asked b -c)"

say "a writes; its first fabric is cut and brought back, then its second, then the target is killed"
guest_start a '/hf/stamp-dev run /dev/mapper/mpatha /tmp/ledger fua,flush 4 120 /tmp/stop'
for fabric in 1 2; do
	path_cut a $fabric
	guest a 'paths_wait 1'
	expect "the key that reserves" "$(asked a -r | grep -o 0xa1)" 0xa1
	path_mend a $fabric
	guest a 'paths_wait 2'
done
target_kill
target_start
guest a 'paths_wait 2'
guest b 'paths_wait 2'
guest a 'touch /tmp/stop'
said=$(guest_wait a)
say "a: $said"
[[ $said =~ pause\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -lt 20000 ] || fail "a waited too long"
guest a '/hf/stamp-dev check /dev/mapper/mpatha /tmp/ledger'
pr_is 1 "type 5 of a" "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"

# out VICTIM BY ACTION: under I/O; VICTIM comes back.
out() {
	fence "$1" "$2" /dev/mapper/mpatha "mpathpersist --out --$3 --param-rk=${2}1 --param-sark=${1}1 \
		--prout-type=5 /dev/mapper/mpatha"
	pr_is 1 "type 5 of $2" "$2 1 ${2}1" "$2 2 ${2}1"
	mp "$1" --register-ignore "--param-sark=${1}1" --param-aptpl
	writes "$1"
}

say "b preempts a, which writes; a comes back, and preempts and aborts b, which writes"
out a b preempt
out b a preempt-abort
pr_is 1 "type 5 of a" "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"

say "a preempts its own key: one of its paths is left, and holds; it registers again"
mp a --preempt --param-rk=a1 --param-sark=a1 --prout-type=5
[[ $(pr_show 1 | xargs) =~ ^"type 5 of a a "[12]" a1 b 1 b1 b 2 b1"$ ]] || fail "$(pr_show 1)"
mp a --register-ignore --param-sark=a1
pr_is 1 "type 5 of a" "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"

say "release, another type, which all registrants hold and any releases, clear"
mp a --release --param-rk=a1 --prout-type=5
pr_is 1 none "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"
mp a --reserve --param-rk=a1 --prout-type=7
pr_is 1 "type 7 of a b" "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"
mp b --release --param-rk=b1 --prout-type=7
pr_is 1 none "a 1 a1" "a 2 a1" "b 1 b1" "b 2 b1"
mp a --clear --param-rk=a1
pr_is 1 none

say "ALL_TG_PT: each of a's two paths registers it for both portals, and unregisters it"
mp a --register --param-sark=a1 --param-alltgpt --param-aptpl
pr_is 1 none "a 1 a1" "a 1 a1" "a 2 a1" "a 2 a1"
mp a --register --param-rk=a1 --param-sark=0 --param-alltgpt
pr_is 1 none

say "SPEC_I_PT: a registers b through its first portal, and reserves: b writes without having asked"
port=$(holdfast --json session list | jq -r '.sessions[] | select(.group == 1 and
	(.initiator | endswith(":b"))) | "\(.initiator),i,0x\(.isid)"')
guest a "sg_persist -n --out --register --param-sark=a1 --transport-id=$port \$(path_dev 1)
	sg_persist -n --out --reserve --param-rk=a1 --prout-type=5 \$(path_dev 1)"
pr_is 1 "type 5 of a" "a 1 a1" "b 1 a1"
guest b 'dd if=/dev/zero of=$(path_dev 1) bs=4k count=1 oflag=direct
	! dd if=/dev/zero of=$(path_dev 2) bs=4k count=1 oflag=direct'
mp a --register-ignore --param-sark=a1
mp a --clear --param-rk=a1
pr_is 1 none
target_stop
say "done"
