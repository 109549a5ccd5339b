# SPDX-License-Identifier: Apache-2.0
# hf-bench's lines of a witness run in (label=LOAD/PLACE/TARGET); tables in milliseconds out, JSON into -v json=FILE. Of several
# rounds the median of each figure.

{
	delete v
	for (i = 1; i <= NF; i++) {
		eq = index($i, "=")
		v[substr($i, 1, eq - 1)] = substr($i, eq + 1)
	}
	split(v["label"], part, "/")
	cell = v["label"]
}

"iops" in v {
	add(cell, "load", "mbs", v["mbs"])
	add(cell, "load", "iops", v["iops"])
	next
}

"probe" in v {
	if (!(cell in seen_cell)) {
		seen_cell[cell] = 1
		cells[++ncells] = cell
	}
	if (!(v["probe"] in seen_kind)) {
		seen_kind[v["probe"]] = 1
		kinds[++nkinds] = v["probe"]
	}
	split("n p50 p99 p999 max", keys, " ")
	for (i in keys)
		add(cell, v["probe"], keys[i], v[keys[i]])
}

function add(c, kind, key, x) {
	all[c, kind, key, ++count[c, kind, key]] = x + 0
}

function median(c, kind, key,    n, i, j, x, a) {
	n = count[c, kind, key]
	for (i = 1; i <= n; i++) {
		x = all[c, kind, key, i]
		for (j = i - 1; j >= 1 && a[j] > x; j--)
			a[j + 1] = a[j]
		a[j + 1] = x
	}
	return !n ? 0 : n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

function ratio(c, kind, key,    p, idle) {
	split(c, p, "/")
	idle = median("idle/" p[2] "/" p[3], kind, key)
	return idle > 0 ? median(c, kind, key) / idle : 0
}

function line(c, kind,    p) {
	split(c, p, "/")
	printf "%-18s %-5s %-9s %-10s %6d %8.2f %8.2f %8.2f %8.2f %8.1f %8.1f %9.0f\n", p[1], p[2], p[3], kind, median(c, kind, "n"),
		median(c, kind, "p50") / 1e3, median(c, kind, "p99") / 1e3, median(c, kind, "p999") / 1e3, median(c, kind, "max") / 1e3,
		ratio(c, kind, "p50"), ratio(c, kind, "p999"), median(c, "load", "mbs")
}

END {
	if (!ncells)
		exit
	printf "%-18s %-5s %-9s %-10s %6s %8s %8s %8s %8s %8s %8s %9s\n", "load", "sess.", "target", "command", "n", "p50 ms", "p99 ms",
		"p99.9 ms", "max ms", "p50/idle", "p99.9/i.", "load MB/s"
	for (i = 1; i <= ncells; i++)
		line(cells[i], "all")
	print ""
	for (i = 1; i <= ncells; i++)
		for (k = 1; k <= nkinds; k++)
			if (kinds[k] != "all")
				line(cells[i], kinds[k])
	if (json == "")
		exit
	printf "[" > json
	for (i = 1; i <= ncells; i++)
		for (k = 1; k <= nkinds; k++) {
			c = cells[i]
			split(c, p, "/")
			printf "%s\n  {\"load\": \"%s\", \"session\": \"%s\", \"target\": \"%s\", \"command\": \"%s\", \"n\": %d, " \
				"\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, \"p50_to_idle\": %.2f, " \
				"\"p999_to_idle\": %.2f, \"load_mbs\": %.1f}", sep, p[1], p[2], p[3], kinds[k], median(c, kinds[k], "n"),
				median(c, kinds[k], "p50"), median(c, kinds[k], "p99"), median(c, kinds[k], "p999"),
				median(c, kinds[k], "max"), ratio(c, kinds[k], "p50"), ratio(c, kinds[k], "p999"),
				median(c, "load", "mbs") > json
			sep = ","
		}
	print "\n]" > json
}
