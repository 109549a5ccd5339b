#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Reservations by the command line, against a real daemon: their history, also over kills and on a
# full file system; export, import, prune.
#
#	tests/daemon/pr_cli.sh [BUILD]
. "$(dirname "$0")/cli_lib.sh"

for tool in python3 jq; do
	have $tool || { skip "all of it: no $tool"; echo "$passed passed, $failed failed, $skipped skipped"; exit 0; }
done
config "$D/a.yaml" "${ports[0]}" state-a "$S"
N1="$IQN:n1 800000000001 1" N2="$IQN:n2 800000000001 1"
WHEN='20..-..-..T..:..:..\....Z'

enter() { # sessions 0 and 1 of n1, 2 of n2
	coproc NEXUS { exec python3 tests/daemon/nexus.py "${ports[0]}"; }
	nexus=$NEXUS_PID
	told "open 2" open $IQN:cluster1 $IQN:n1 2 && told "open 3" open $IQN:cluster1 $IQN:n2 1
}
leave() { { kill "$nexus"; wait "$nexus"; } 2> /dev/null; nexus=; }
visit() { # initiator, commands: somebody who comes, does it as session 0, and is gone
	local i=$1
	shift
	printf '%s\n' "open $IQN:cluster1 $IQN:$i 1" "$@" | timeout 60 python3 tests/daemon/nexus.py "${ports[0]}" > "$D/visit"
	[ "$(grep -c '^status 00$' "$D/visit")" = $# ] || { cat "$D/visit"; return 1; }
	for _ in $(seq 300); do
		"$D/holdfast" --socket "$S" session list | grep -q "$IQN:$i " || return 0
		sleep 0.1
	done
	return 1
}
# What a LUN's last record says, once it is written.
last() {
	for _ in $(seq 200); do
		hf --json pr history "$1" --last 1
		json ".luns[0].changes[-1] | $2" && return 0
		sleep 0.1
	done
	return 1
}

# ---- without a daemon ----------------------------------------------------------------------------
hf pr prune csv
ok "prune asks for --force" says 2 "--force"
hf pr import csv
ok "import asks for --force" says 2 "--force"
hf pr prune
ok "prune of what" says 2 "TARGET/LUN"
hf pr show csv --last 3
ok "an option of another command" says 2 "'pr show' takes no --last"
for bad in 0 -1 x 1x '' 99999999999; do
	hf pr history --last "$bad"
	ok "--last '$bad'" says 2 "expected a number"
done
for bad in 30 0d d 1y 1dd -1d; do
	hf pr prune csv --dry-run --older-than "$bad"
	ok "--older-than '$bad'" says 2 "expected a number and s, m, h, d or w"
done
hf pr import csv --force "$D/nowhere"
ok "no such document" says 1 "No such file"
echo '{"a": ' > "$D/bad"
hf pr import csv --force "$D/bad"
ok "a document that is no JSON" says 1 "line 2"
hf pr import csv --force - < /dev/null
ok "an empty one" says 1 "standard input"

# ---- history -------------------------------------------------------------------------------------
ok "the daemon starts" start "$D/a.yaml"
hf pr history csv
ok "no change yet" shows '\(csv\): 0 changes$'
ok "no file either" [ -z "$(find "$D/state-a" -name '*.history.*')" ]
ok "three sessions" enter
ok "n1 registers" told "status 00" register 0 0 0x1234
ok "n2 registers" told "status 00" register 2 0 0xfedc
ok "n1 reserves" told "status 00" reserve 0 0 0x1234 5
ok "n2 preempts" told "status 00" preempt 2 0 0xfedc 0x1234
ok "it is in the history" last csv '.seq == 4'
hf pr history csv
ok "the newest is last" [ "$(awk 'NR > 2 { print $1 }' "$out" | tr '\n' ' ')" = "1 2 3 4 " ]
ok "who registered" shows "^ +1 +$WHEN +REGISTER AND IGNORE EXISTING KEY +$N1 +0x0{16} +0x0{12}1234 +1 +1 +\+$N1 0x0{12}1234$"
ok "who reserved" shows "^ +3 +$WHEN +RESERVE +$N1 +0x0{12}1234 +0x0{16} +2 +2 +WE-RO $N1 *$"
ok "who preempted whom" shows "^ +4 +$WHEN +PREEMPT AND ABORT +$N2 +0x0{12}fedc +0x0{12}1234 +3 +1 +WE-RO $N2 +-$N1 0x0{12}1234$"
hf --json pr history csv --last 1
ok "--json, --last" json ".luns | length == 1 and (.[0] | .target == \"$IQN:cluster1\" and .lun == 0 and .name == \"csv\" and
	.damaged_lines == 0 and .lost == 0 and .error == null and (.changes | length) == 1)"
ok "a record" json ".luns[0].changes[0] | .seq == 4 and (.time | endswith(\"Z\")) and .action == \"PREEMPT AND ABORT\" and
	.by == {\"initiator\": \"$IQN:n2\", \"isid\": \"800000000001\", \"group\": 1} and .type == 5 and
	.key == \"0x000000000000fedc\" and .sa_key == \"0x0000000000001234\" and .generation == 3 and .registrants == 1 and
	.before.holder.initiator == \"$IQN:n1\" and .after.holder.initiator == \"$IQN:n2\" and .added == [] and
	[.removed[].initiator] == [\"$IQN:n1\"]"
ok "RESERVE(6)" told "status 00" reserve6 0 7
ok "is recorded too" last dtc ".action == \"RESERVE(6)\" and .reserve6.initiator == \"$IQN:n1\""
hf pr history
ok "of all LUNs" shows '\(quorum\): 0 changes$'
hf --force pr clear csv
ok "the administrator" last csv ".action == \"administrator: clear\" and .by == {\"administrator\": $(id -u)} and .registrants == 0"
hf pr history csv
ok "by user id" shows "administrator: clear +administrator, uid $(id -u) "
ok "n1 is told" told "status 02" write 0 0 512
ok "n2 is told" told "status 02" write 2 0 512

# ---- export, import ------------------------------------------------------------------------------
hf pr export csv
ok "nothing to export" json '.format == "holdfast-pr" and .version == 1 and .type == 0 and .registrants == []'
ok "n1 registers" told "status 00" register 0 0 0x1234
ok "n2 registers" told "status 00" register 2 0 0xfedc
ok "n1 reserves" told "status 00" reserve 0 0 0x1234 5
hf pr export csv
ok "export" json ".target == \"$IQN:cluster1\" and .lun == 0 and .name == \"csv\" and .type == 5 and (.generation | type) == \"number\"
	and .aptpl == false and (.exported | endswith(\"Z\")) and (.uuid | length) == 36 and .registrants == [
	{\"initiator\": \"$IQN:n1\", \"isid\": \"800000000001\", \"target\": \"$IQN:cluster1\", \"group\": 1,
	 \"key\": \"0x0000000000001234\", \"holder\": true},
	{\"initiator\": \"$IQN:n2\", \"isid\": \"800000000001\", \"target\": \"$IQN:cluster1\", \"group\": 1,
	 \"key\": \"0x000000000000fedc\", \"holder\": false}]"
cp "$out" "$D/doc"
# Session 1 is another nexus of n1, which has not registered.
ok "it keeps the others out" told "status 18" write 1 0 512
hf --force pr clear csv
ok "clear" shows '0 registrants'
for i in 0 2; do ok "session $i is told" told "status 02" write $i 0 512; done
ok "all may write" told "status 00" write 1 0 512
hf --force pr import csv "$D/doc"
ok "import" shows '\(csv\): write exclusive, registrants only \(type 5, scope LU\), 2 registrants'
ok "it is in force when it is answered" told "status 18" write 1 0 512
ok "for the registered, too" told "status 00" write 2 0 512
ok "it is recorded" last csv '.action == "administrator: import" and (.added | length) == 2 and .after.type == 5'
hf pr export csv
ok "exported again it is the same" [ "$(jq -S 'del(.generation, .exported)' "$out")" = "$(jq -S 'del(.generation, .exported)' "$D/doc")" ]
ok "but for a later generation" [ "$(jq .generation "$out")" -gt "$(jq .generation "$D/doc")" ]
before=$(jq .generation "$out")
"$D/holdfast" --socket "$S" --force pr import csv < "$D/doc" > "$out" 2> "$err"
rc=$?
ok "the same once more, by standard input" shows '2 registrants'
ok "changes nothing" [ "$("$D/holdfast" --socket "$S" pr export csv | jq .generation)" = "$before" ]
jq 'del(.registrants[1])' "$D/doc" > "$D/one"
hf --force pr import csv "$D/one"
ok "without n2" shows '1 registrant,'
ok "who is told" told "status 02" write 2 0 512
ok "once, and is out" told "status 18" write 2 0 512
ok "n1 is not told" told "status 00" write 0 0 512
refuses() { # jq filter, message
	jq "$1" "$D/doc" > "$D/bad"
	hf --force pr import csv "$D/bad"
	says 1 "$2"
}
ok "another LUN's" refuses '.uuid |= sub("^........"; "00000000")' "so this is another LUN's"
ok "another version" refuses '.version = 2' '"version" is 2 (expected 1)'
ok "two holders" refuses '.registrants[1].holder = true' '2 of 2 registrants have "holder" true (expected one with "type" 5)'
ok "a key of 0" refuses '.registrants[1].key = "0x0000000000000000"' 'registrants[1]: "key" is "0x0000000000000000"'
ok "a portal group that is none" refuses '.registrants[0].group = 9' 'no portal group 9 (expected one of 1)'
ok "the same nexus twice" refuses '.registrants += [.registrants[0]]' 'registrants[2]: iqn.2026-11.com.example:n1, ISID 800000000001'
ok "a member misspelt" refuses '.aptpI = true' '"aptpI" is no member of it'
ok "nothing was changed" says 1 "nothing was changed"
hf pr show csv
ok "indeed" shows '1 registrant,'
ok "a full one" eval 'jq "[range(1024)] as \$r | .registrants[0] as \$x | .registrants = [\$r[] as \$i | \$x | .isid = (\"8000\" +
	(100000000 + \$i | tostring | .[1:])) | .initiator = \"iqn.2026-11.com.example:\" + (\"n\" * 190) | .holder = (\$i == 7)]" "$D/doc" > "$D/many" &&
	hf --force pr import csv "$D/many" && shows "1024 registrants"'
ok "is recorded as far as it fits" last csv '(.added | length) > 10 and .more + (.added | length) == 1024'
hf --force pr import csv "$D/one"
ok "and gone again" shows '1 registrant,'

# ---- prune ---------------------------------------------------------------------------------------
ok "n3 registers and is gone" visit n3 "register 0 0 0x77"
ok "n2 is here" told "status 00" register 2 0 0xfedc
hf pr prune csv --dry-run
ok "--dry-run says who" shows "^  0x0{14}77 +no +$IQN:n3 +800000000001 +1 +20"
ok "and how many" shows '\(csv\): 1 registration would be pruned, 0 not logged in kept$'
hf pr show csv
ok "and does nothing" shows '3 registrants'
hf pr prune csv --force --older-than 1h
ok "it was here lately" shows ': 0 registrations pruned, 1 not logged in kept$'
ok "which is said" shows "$IQN:n3 +800000000001 +1 +20.* +recent\$"
sleep 1.1
pruned() { hf --json pr prune csv --force --older-than 1s; json '.pruned != []'; }
soon pruned
ok "pruned" json ".dry_run == false and .kept == [] and ([.pruned[] | .initiator] == [\"$IQN:n3\"]) and .pruned[0].holder == false
	and (.pruned[0].last_seen | endswith(\"Z\"))"
hf pr show csv
ok "the others are there" shows '2 registrants'
ok "it is recorded" last csv ".action == \"administrator: prune\" and [.removed[].initiator] == [\"$IQN:n3\"]"
hf pr prune csv --force
ok "nobody else is gone" shows ': 0 registrations pruned, 0 not logged in kept$'
# Its session is on LUN 8, which has nothing but its registration.
ok "n4 reserves and is gone" visit n4 "register 0 8 0x99" "reserve 0 8 0x99 5"
hf pr prune slow --force
ok "a holder is kept" shows "$IQN:n4 +800000000001 +1 +20.* +holder\$"
hf pr prune slow --force --holder
ok "unless that is said" shows ': 1 registration pruned, 0 not logged in kept$'
ok "the reservation went with it" last slow '.before.type == 5 and .after == null and .registrants == 0'

# ---- killed --------------------------------------------------------------------------------------
count() { "$D/holdfast" --socket "$S" --json pr history "$1" --last 20000 | jq '.luns[0].changes | length'; }
n=$(count csv)
leave
ok "it stops" finish TERM
ok "it starts again" start "$D/a.yaml"
ok "with its history" [ "$(count csv)" = "$n" ]
ok "and nothing new in it" last csv '.action == "administrator: prune"'
ok "n1 and n2 again" enter
ok "500 changes" told "done 1500" storm 0 0 500 1001
n=$((n + 500))
ok "the last one is written" last csv '.sa_key == "0x00000000000005dc"'
finish KILL
leave
ok "it starts again" start "$D/a.yaml"
ok "all are there" [ "$(count csv)" = "$n" ]
hf --json pr history csv --last 20000
ok "one after the other" json '[.luns[0].changes[].seq] | . == [range(1; length + 1)]'
key_of() {
	printf %d "$("$D/holdfast" --socket "$S" --json pr show "$1" |
		jq -r ".luns[0].registrants[] | select(.initiator == \"$IQN:$2\") | .key")"
}
if have prlimit && prlimit --pid "$daemon" --fsize=4096:; then
	ok "a session" enter
	ok "a limit on file sizes refuses a change" told "status 02" register 0 0 0x777
	ok "and ends nothing" told "status 02" register 0 0 0x778
	prlimit --pid "$daemon" --fsize=unlimited:
	ok "without it it goes on" told "status 00" register 0 0 0x779
	ok "and is recorded" last csv '.sa_key == "0x0000000000000779"'
	leave
else
	skip "a limit on file sizes: no prlimit"
fi
# In the middle: what was answered is in force; the history ends with what is in force.
for round in 1 2 3 4 5; do
	printf '%s\n' "open $IQN:cluster1 $IQN:n1 1" "storm 0 0 100000 $((round * 100000))" |
		timeout 60 python3 tests/daemon/nexus.py "${ports[0]}" > "$D/visit" &
	storm=$!
	# The second change is made when the first was answered.
	for _ in $(seq 300); do
		[ "$(key_of csv n1)" -gt $((round * 100000)) ] && break
		sleep 0.1
	done
	sleep "0.0$((RANDOM % 10))"
	finish KILL
	wait $storm
	storm=
	done=$(sed -n 's/^done //p' "$D/visit")
	start "$D/a.yaml" || break
	hf --json pr show csv
	ok "round $round: is shown" shows registrants
	generation=$(jq '.luns[0].generation' "$out")
	key=$(key_of csv n1)
	ok "round $round: what was answered is there" [ "$key" -ge "${done:-0}" -a "${done:-0}" -gt 0 ]
	ok "round $round: and the history ends with it" last csv ".generation == $generation and (.action == \"found at start\" or .sa_key == \"$(printf '0x%016x' "$key")\")"
done
ok "it stops" finish TERM
# A torn end.
f=$(find "$D/state-a" -name '*.history.0' -size +20k)
truncate -s -7 "$f"
ok "a torn end does not keep it from starting" start "$D/a.yaml"
ok "it says so" logs 'event=journal.*the end was torn'
ok "and that a record is missing" last csv '.action == "found at start"'
ok "it stops" finish TERM
ok "nothing a sanitizer complains about" clean_log

# ---- what a start changes ------------------------------------------------------------------------
cat > "$D/g.yaml" <<END
state_dir: $D/state-g
control: $S
portals:
  - {name: net, listen: "127.0.0.1:${ports[0]}"}
targets:
  - name: $IQN:cluster1
    luns:
      - {lun: 0, name: csv, backend: memory, size: 16M, pr_retain: standard}
END
export HOLDFAST_BOOT_ID=11111111-1111-1111-1111-111111111111
ok "it starts, the first boot" start "$D/g.yaml"
ok "n1 registers" visit n1 "register 0 0 0x1"
ok "it stops" finish TERM
ok "it starts, the same boot" start "$D/g.yaml"
hf pr show csv
ok "the registration is there" shows '1 registrant,'
hf pr history csv
ok "nothing happened" shows ': 1 change$'
ok "it stops" finish TERM
export HOLDFAST_BOOT_ID=22222222-2222-2222-2222-222222222222
ok "it starts, another boot" start "$D/g.yaml"
hf pr show csv
ok "the registration is gone" shows '0 registrants, generation 0$'
ok "which is recorded" last csv '.seq == 2 and .action == "power on" and .by == null and .registrants == 0'
ok "n1 registers" visit n1 "register 0 0 0x2"
ok "it stops" finish TERM
unset HOLDFAST_BOOT_ID
f=$(find "$D/state-g" -name 'lu-*.state')
cp "$f" "$D/kept"
dd if=/dev/urandom of="$f" bs=1k count=400 conv=notrunc 2> /dev/null
ok "it starts with a damaged store" start "$D/g.yaml"
hf lun list csv
ok "the LUN is damaged" shows ' damaged '
ok "which is recorded" last csv '.action == "damaged"'
hf pr show csv
ok "its reservations are not said to be none" shows ' \(csv\): not known: its reservations cannot be read'
hf --json pr show csv
ok "nor in JSON" json '.luns[0].state == "damaged"'
hf pr export csv
ok "they cannot be exported" says 1 "the reservations of LUN csv cannot be read"
hf --force pr clear csv
ok "nor cleared" says 1 "the reservations of LUN csv cannot be read"
hf --dry-run pr prune csv
ok "nor pruned" says 1 "move it away, or bring back a copy"
ok "it stops" finish TERM
rm "$f"
ok "it starts without the store" start "$D/g.yaml"
ok "what it found is recorded" last csv '.action == "found at start" and .registrants == 0'
ok "it stops" finish TERM
ok "nothing a sanitizer complains about" clean_log

# ---- a full file system --------------------------------------------------------------------------
mkdir "$D/full"
if mount -t tmpfs -o size=12M none "$D/full" 2> /dev/null; then
	cat > "$D/f.yaml" <<END
state_dir: $D/full/state
control: $S
portals:
  - {name: net, listen: "127.0.0.1:${ports[0]}"}
targets:
  - name: $IQN:cluster1
    luns:
      - {lun: 0, name: csv, backend: memory, size: 16M}
      - {lun: 7, name: dtc, backend: memory, size: 16M}
END
	ok "it starts on a small file system" start "$D/f.yaml"
	ok "three sessions" enter
	ok "n1 registers" told "status 00" register 0 0 0x1
	ok "its history is begun" last csv '.seq == 1'
	dd if=/dev/zero of="$D/full/fill" bs=64k 2> /dev/null
	: 2> /dev/null > "$D/full/x" && dd if=/dev/zero of="$D/full/x" bs=1 count=1 2> /dev/null
	ok "the file system is full" [ $? != 0 ]
	ok "200 changes" told "done 300" storm 0 0 200 101
	ok "are recorded: room was reserved" last csv '.sa_key == "0x000000000000012c"'
	hf --json pr history csv
	ok "none was lost" json '.luns[0].lost == 0'
	ok "where no room was, changes go on" told "status 00" register 0 7 0x1
	ok "and another" told "status 00" register 2 7 0x2
	counted() { hf pr history dtc; shows '\(dtc\): 0 changes, 2 lost'; }
	ok "their records are lost, and counted" soon counted
	logs 'event=journal.*records are lost'
	ok "it is in the log, once" [ "$(grep -c 'event=journal.*records are lost' "$D/log")" = 1 ]
	rm "$D/full/fill" "$D/full/x"
	ok "room again" told "status 00" reserve 0 7 0x1 5
	ok "the next change is recorded" last dtc '.action == "RESERVE" and .seq == 3'
	hf pr history dtc
	ok "and that some are missing" shows '\(2 records were lost\)'
	leave
	ok "it stops" finish TERM
	ok "nothing a sanitizer complains about" clean_log
	umount "$D/full"
else
	skip "a full file system: no tmpfs can be mounted"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
