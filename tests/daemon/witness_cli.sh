#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# holdfast witness show, log, explain: in both forms, with their options, and what they refuse. What they say after what clusters
# do is tests/pr/witness.c's.
#
#	tests/daemon/witness_cli.sh [BUILD]
. "$(dirname "$0")/cli_lib.sh"

for tool in python3 jq; do
	have $tool || { skip "all of it: no $tool"; echo "$passed passed, $failed failed, $skipped skipped"; exit 0; }
done
config "$D/a.yaml" "${ports[0]}" state-a "$S"
WHEN='20..-..-.. ..:..:..'

asks() { hf --json "${@:2}"; json "$1"; }	# filter, arguments

# ---- without a daemon ----------------------------------------------------------------------------
hf witness
ok "half a command" says 2 "expected 'witness show' or 'witness log' or 'witness explain'"
hf witness shwo
ok "a command misspelt" says 2 "did you mean 'witness show'?"
for bad in yesterday 2026 2026-13-01 2026-11-22T 5y -3h ''; do
	hf witness log --since "$bad"
	ok "--since '$bad'" says 2 "expected a time in UTC"
done
hf witness show --since 1h
ok "--since where it means nothing" says 2 "takes no --since"
hf pr history --follow
ok "--follow where it means nothing" says 2 "takes no --follow"
hf witness log --follow
ok "--follow without a daemon" [ "$rc" = 1 ]

# ---- nobody there --------------------------------------------------------------------------------
ok "the daemon starts" start "$D/a.yaml"
hf witness show
ok "show: nobody" shows "^$IQN:quorum/0 \(quorum\): nobody owns it\$"
ok "show: no host" shows '^  no host was ever there$'
hf witness explain quorum
ok "explain: nobody" shows '^  Nobody has reserved this disk: it has no owner\.$'
hf witness show csv
ok "a LUN that is none" says 1 "LUN csv is no witness"
hf witness explain "$IQN:cluster1/0"
ok "a LUN that is none, explained" says 1 "is no witness"
hf witness log "$IQN:quorum/3"
ok "no such LUN" says 1 "has no LUN 3"
hf status
ok "status: all well" shows '^witness +1 LUN, all well$'

# ---- two hosts -----------------------------------------------------------------------------------
coproc NEXUS { exec python3 tests/daemon/nexus.py "${ports[0]}"; }
nexus=$NEXUS_PID
ok "one logs in" told "open 1" open $IQN:quorum $IQN:n1 1
ok "another, twice" told "open 3" open $IQN:quorum $IQN:n2 2
ok "register" told "status 00" register 0 0 0x1122334455667788
ok "reserve" told "status 00" reserve 0 0 0x1122334455667788 5
ok "a challenge" told "status 18" reserve 1 0 0x99 5
hf witness show
ok "show: the owner" shows "^$IQN:quorum/0 \(quorum\): owned by $IQN:n1\$"
ok "show: the type" shows 'write exclusive, registrants only \(type 5\)$'
ok "show: software" shows '^  software: unknown$'
ok "show: titles" shows '^  INITIATOR +OWNER +SESSIONS +KEYS +GONE SINCE +CHALLENGED +HEARTBEAT +BEATS *$'
ok "show: a row" shows "^  $IQN:n1 +yes +1 +1 +- +- +- +-\$"
ok "show: the challenger" shows "^  $IQN:n2 +no +2 +0 +- +${WHEN}Z +- +-\$"
hf --json witness show quorum
ok "show --json: which" json ".luns | length == 1 and .[0].target == \"$IQN:quorum\" and .[0].lun == 0 and .[0].name == \"quorum\""
ok "show --json: the owner" json ".luns[0].owner | .initiator == \"$IQN:n1\" and .type == 5 and .everybody == false and
	(.since | test(\"^20.*Z\$\")) and .for_ms >= 0 and .defences == 0 and .in_rhythm == false and .defended == null"
ok "show --json: nodes" json ".luns[0].nodes | map(.initiator) == [\"$IQN:n1\", \"$IQN:n2\"]"
ok "show --json: paths" json '.luns[0].nodes[0].paths == [.luns[0].nodes[0].paths[0] | {isid, group: 1, logged_in: true, lost: false,
	since, key: "0x1122334455667788"}] and (.luns[0].nodes[1].paths | length) == 2'
ok "show --json: counts" json '.luns[0].counts == {changes: 1, challenges: 1, removals: 0, defences: 0, no_room: 0}'
ok "show --json: numbers" json '.luns[0] | .run == 1 and .watched == true and .journal_lost == 0 and .samples_dropped == 0 and
	.latency.usual_us >= 0 and .warnings == [] and .software == []'
ok "show --json: space" soon asks '.luns[0].space | .store.free > 0 and .state.size > .state.free' witness show
hf witness explain
ok "explain" shows "^  $IQN:n1 took this disk at $WHEN UTC, with RESERVE\\.\$"
hf --json witness explain
ok "explain --json" json ".luns[0].story | length == 3 and (.[0] | startswith(\"$IQN:n1 took this disk\"))"

# ---- the journal ---------------------------------------------------------------------------------
ok "log: all of it" soon asks '.luns[0].entries | map(.kind) == ["started", "login", "login", "login", "registered", "owner", "challenged"]' witness log
ok "log --json: an entry" json ".luns[0].entries[5] | .seq == 6 and .initiator == \"$IQN:n1\" and .how == \"RESERVE\" and .type == 5 and
	.text == \"$IQN:n1 owns the disk now: RESERVE, type 5\" and (.time | test(\"^20.*Z\$\"))"
ok "log --json: the end" json '.luns[0] | .sequence == 7 and .damaged_lines == 0 and .error == null'
hf witness log
ok "log: lines" shows "^${WHEN}Z quorum: $IQN:n1 \(ISID 800000000001, group 1\) registered key 1122334455667788: REGISTER"
hf --json witness log --last 2
ok "log --last" json '.luns[0].entries | map(.kind) == ["owner", "challenged"]'
hf --json witness log quorum --since 1h
ok "log --since DURATION" json '.luns[0].entries | length == 7'
hf --json witness log --since "$(date -u -d tomorrow +%F)"
ok "log --since TIME" json '.luns[0].entries == []'
hf --json witness log --since "$(date -u -d yesterday '+%F %H:%M')"
ok "log --since TIME, earlier" json '.luns[0].entries | length == 7'
echo '{"cmd": "witness log", "after": 5}' | timeout 10 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read()); print(s.recv(65536).decode())' "$S" > "$out"
ok "after: no object" grep -q '"code":"bad_request"' "$out"

follows() { # file, text
	soon grep -qF -- "$2" "$1"
}
timeout 60 "$D/holdfast" --socket "$S" witness log --follow --last 1 > "$D/follow" 2> "$err" &
follow=$!
timeout 60 "$D/holdfast" --socket "$S" --json witness log -F quorum > "$D/follow.json" 2> "$err" &
follow2=$!
ok "follow: begins with the last" follows "$D/follow" "challenged"
ok "follow --json: begins with all" follows "$D/follow.json" '"kind":"started"'
ok "something happens" told "status 00" register 2 0 0x42
ok "follow: it is told" follows "$D/follow" "$IQN:n2 (ISID 800000000002, group 1) registered key 0000000000000042"
ok "follow --json: it is told" follows "$D/follow.json" '"value":"0x0000000000000042"'
ok "follow: each once" [ "$(wc -l < "$D/follow")" = 2 ]
ok "follow --json: one object a line" [ "$(jq -c .name < "$D/follow.json" | sort | uniq -c | tr -s ' ')" = ' 8 "quorum"' ]
{ kill $follow $follow2; wait $follow $follow2; } 2> /dev/null

# ---- all of them are gone ------------------------------------------------------------------------
{ kill "$nexus"; wait "$nexus"; } 2> /dev/null
nexus=
ok "sessions are gone" soon asks '.luns[0].nodes | all(.sessions == 0 and .gone != null)' witness show
ok "the warning" soon asks '.luns[0].warnings | map(.name) | index("owner_gone")' witness show
soon_status() { hf status; shows '^ +WARNING: quorum: the owner, '; }
ok "status: the warning" soon soon_status
ok "status --json: the warning" asks '.witness | .luns == 1 and (.warnings | map([.lun, .name])) == [["quorum", "owner_gone"]]' status
logged_once() { [ "$(grep -c 'event=witness_warning lun=quorum what=owner_gone state=begins' "$D/log")" = 1 ]; }
ok "the log: once" soon logged_once

# ---- again ---------------------------------------------------------------------------------------
ok "it ends" finish TERM
ok "nothing was found" clean_log
ok "it starts again" start "$D/a.yaml"
ok "what was known is" asks ".luns[0] | .run == 2 and .owner.initiator == \"$IQN:n1\" and .counts.challenges == 1" witness show
ok "it ends again" finish TERM
ok "nothing was found then either" clean_log

# ---- its reservations cannot be read -------------------------------------------------------------
f=$(find "$D" -name "$(basename "$(find "$D" -name '*.witness.0')" .witness.0).state")
cp "$f" "$D/kept"
dd if=/dev/urandom of="$f" bs=1k count=400 conv=notrunc 2> /dev/null
ok "it starts with a damaged store" start "$D/a.yaml"
hf witness show
ok "nobody is said to own it, or not to" shows ' \(quorum\): whose it is is not known now$'
ok "why" shows '^  WARNING: its reservations cannot be read'
hf status
ok "all is not well" shows '^ +WARNING: quorum: its reservations cannot be read'
ok "what was known is not forgotten" asks '.luns[0] | .state == "damaged" and .known == false and (.nodes | any(.keys > 0))' witness show
hf witness explain
ok "the story begins with it" shows '^ *Not ready: its reservations cannot be read'
ok "it ends" finish TERM
cp "$D/kept" "$f"
ok "brought back" start "$D/a.yaml"
ok "all is as it was" asks ".luns[0] | .state == \"ready\" and .known and .owner.initiator == \"$IQN:n1\"" witness show
hf --json witness log
ok "and nothing happened" json '[.luns[0].entries[-3:][].kind] | all(. == "started" or . == "stopped" or . == "warning")'
ok "it ends once more" finish TERM
ok "nothing was found then" clean_log
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
