# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by lib.sh. What `holdfast witness` says of a LUN (type: witness), as text. LUN is a number
# or TARGET/LUN. A node is its name alone, a moment T, how long something took or is ago S.
#
#	story_is LUN TEXT		`witness explain` says exactly this
#	story_becomes SECONDS LUN TEXT	it does in time
#	show_is LUN TEXT		`witness show`, below its first line, the blanks squeezed
#	log_tells LUN TEXT		these lines of `witness log` are there in this order, others
#				between them; how many times is left out
#
# For tgtd, which tells nothing, they are true.

hf_witness_mask() {
	sed -E "s/${HF_IQN%:*}:([a-z]+)/\\1/g
		s/20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}( UTC|Z)/T/g
		s/\\b([0-9]+ (ms|s|min|days)|[0-9]+ h [0-9]+ min|some time|([0-9]+d )?[0-9]{2}:[0-9]{2}:[0-9]{2})\\b/S/g
		s/defended [0-9]+ times?/defended N times/
		s/ISID [0-9a-f]{12}/ISID I/"
}

# hf_witness_says COMMAND LUN
hf_witness_says() {
	local lun=$2
	[[ $lun = */* ]] || lun=${HF_IQN##*:}/$lun
	holdfast witness "$1" "$(iqn "$lun")" | hf_witness_mask
}

# hf_same WHAT GOT WANT
hf_same() {
	[ "$2" = "$3" ] || fail "$1 is:"$'\n'"$2"$'\n'"expected:"$'\n'"$3"
}

story_is() {
	[ "$HF_TARGET" = holdfast ] || return 0
	hf_same "the story of $1" "$(hf_witness_says explain "$1" | sed '1d; s/^  //')" "$2"
}

story_becomes() {
	hf_becomes "$1" story_is "${@:2}"
}

show_is() {
	[ "$HF_TARGET" = holdfast ] || return 0
	hf_same "witness show $1" \
		"$(hf_witness_says show "$1" | sed -E '1s/^.*\): //; s/^ +//; s/ +$//' | tr -s ' ')" "$2"
}

log_tells() {
	local got line want
	[ "$HF_TARGET" = holdfast ] || return 0
	got=$(hf_witness_says log "$1" | sed -E 's/^T [^:]*: //; s/ \([0-9]+ times\)$//')
	exec 8<<<"$got"
	while read -r want; do
		while :; do
			read -r line <&8 ||
				fail "the log of $1 has no line (behind those before)"$'\n'"$want"$'\n'"but:"$'\n'"$got"
			[ "$line" != "$want" ] || break
		done
	done <<<"$2"
	exec 8<&-
}
