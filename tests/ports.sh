# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ports_claim N FIRST LAST NAME: N free ports of 127.0.0.1 in ports[]. Each belongs to one run at a time (a lock that goes with the
# shell): several build directories are tested at once. Ends the test when there are not enough.
ports=()
ports_claim() {
	local p fd
	for p in $(seq "$2" "$3"); do
		exec {fd}> "/tmp/holdfast-$4-$p.lock" || continue
		if flock -n "$fd" && ! (exec 3<> "/dev/tcp/127.0.0.1/$p") 2> /dev/null; then
			ports+=("$p")
			[ ${#ports[@]} = "$1" ] && return
		else
			exec {fd}>&-
		fi
	done
	echo "no free ports"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}
