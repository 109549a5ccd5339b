# SPDX-License-Identifier: Apache-2.0
# hf-pr's lines and those of the loads beside it, in; a table out, in milliseconds; JSON into -v json=FILE.

{
	delete v
	for (i = 1; i <= NF; i++) {
		eq = index($i, "=")
		x = substr($i, eq + 1)
		v[substr($i, 1, eq - 1)] = x ~ /^[0-9.]+$/ ? x + 0 : x
	}
	load = v["label"]
}

!("command" in v) {
	printf "%-22s %-20s %d IOPS, %.0f MB/s; aborted %d, shut out %d\n\n", load, "the load", v["iops"], v["mbs"], v["aborted"],
		v["shut_out"]
	if (load ~ /r2t/ && v["aborted"] < aborts)
		print "BAD: nearly nothing was aborted"
	json_line(sprintf("\"load\": \"%s\", \"iops\": %d, \"mbs\": %.1f, \"aborted\": %d, \"shut_out\": %d", load, v["iops"],
		v["mbs"], v["aborted"], v["shut_out"]))
	aborts = 0
	next
}

{
	if (!heads++)
		printf "%-22s %-20s %6s %9s %9s %9s  %s\n", "load", "PR command", "n", "p50 ms", "p99 ms", "max ms", "100 ms"
	printf "%-22s %-20s %6d %9.2f %9.2f %9.2f  %s\n", load, v["command"], v["n"], v["p50"] / 1e3, v["p99"] / 1e3, v["max"] / 1e3,
		v["max"] <= 1e5 ? "kept" : v["p99"] <= 1e5 ? "but for " v["late"] : "NOT kept, " v["late"] " late"
	if (v["command"] == "all" && (v["p99"] > 3e5 || v["max"] > 2e6))
		print "BAD: too late"
	if (v["command"] == "PREEMPT_AND_ABORT")
		aborts = v["n"]
	lines++
	json_line(sprintf("\"load\": \"%s\", \"command\": \"%s\", \"n\": %d, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f",
		load, v["command"], v["n"], v["p50"], v["p99"], v["max"]))
}

function json_line(s) {
	printf "%s  {%s}", json_n++ ? ",\n" : "[\n", s > json
}

END {
	if (!lines)
		print "BAD: no PR command was timed"
	print "\n]" > json
}
