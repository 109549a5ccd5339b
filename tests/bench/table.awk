# SPDX-License-Identifier: Apache-2.0
# hf-bench's lines in, medians side by side out; also as JSON (-v json=FILE) and as a plot (-v svg=FILE). Ratios are to the
# first target of base (-v base="NAME...") that a row has: the device by itself, or the floor.

BEGIN {
	bases = split(base == "" ? "device floor" : base, base_name, " ")
}

function base_of(r,    i) {
	for (i = 1; i < bases; i++)
		if (count[r, base_name[i]])
			break
	return base_name[i]
}

{
	delete v
	for (i = 1; i <= NF; i++) {
		eq = index($i, "=")
		v[substr($i, 1, eq - 1)] = substr($i, eq + 1)
	}
	split(v["label"], part, "/")
	row = part[1]
	target = part[2]
	if (!(row in seen_row)) {
		seen_row[row] = 1
		row_name[++rows] = row
	}
	if (!(target in seen_target)) {
		seen_target[target] = 1
		target_name[++targets] = target
	}
	n = ++count[row, target]
	for (k in v)
		all[row, target, k, n] = v[k]
}

function median(r, t, k,    n, i, j, x, a) {
	n = count[r, t]
	for (i = 1; i <= n; i++) {
		x = all[r, t, k, i] + 0
		for (j = i - 1; j >= 1 && a[j] > x; j--)
			a[j + 1] = a[j]
		a[j + 1] = x
	}
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

function ratio(r, t, k,    f) {
	f = count[r, base_of(r)] ? median(r, base_of(r), k) : 0
	return f > 0 ? median(r, t, k) / f : 0
}

function shown(x) {
	return x > 0 ? sprintf("%.2f", x) : "-"
}

function print_table(    i, j, r, t, short) {
	short = base == "" ? "flr" : "1st"
	printf "%-22s %-19s %10s %8s %9s %9s %9s %9s %8s %8s %8s %7s %5s\n", "row", "target", "IOPS", "MB/s", "p50 us", "p99 us",
		"p99.9 us", "CPU us/IO", "CPU/" short, "IOPS/" short, "wakes/IO", "gen us", "fair"
	for (i = 1; i <= rows; i++) {
		r = row_name[i]
		for (j = 1; j <= targets; j++) {
			t = target_name[j]
			if (!count[r, t])
				continue
			printf "%-22s %-19s %10.0f %8.0f %9.1f %9.1f %9.1f %9.2f %8s %8s %8.3f %7.2f %5.2f\n", r, t,
				median(r, t, "iops"), median(r, t, "mbs"), median(r, t, "p50"), median(r, t, "p99"),
				median(r, t, "p999"), median(r, t, "cpu"), shown(ratio(r, t, "cpu")),
				shown(ratio(r, t, "iops")), median(r, t, "runs"), median(r, t, "gen"), median(r, t, "fair")
		}
	}
}

function print_json(    i, j, k, r, t, keys, nk, sep) {
	nk = split("iops mbs mean p50 p99 p999 max cpu gen runs fair busy", keys, " ")
	print "[" > json
	for (i = 1; i <= rows; i++)
		for (j = 1; j <= targets; j++) {
			r = row_name[i]
			t = target_name[j]
			if (!count[r, t])
				continue
			printf "%s  {\"row\": \"%s\", \"target\": \"%s\", \"runs_made\": %d", sep, r, t, count[r, t] > json
			for (k = 1; k <= nk; k++)
				printf ", \"%s\": %.3f", keys[k], median(r, t, keys[k]) > json
			printf ", \"cpu_to_%s\": %.3f, \"iops_to_%s\": %.3f}", base_of(r), ratio(r, t, "cpu"),
				base_of(r), ratio(r, t, "iops") > json
			sep = ",\n"
		}
	print "\n]" > json
	close(json)
}

# Bars: CPU per I/O as a multiple of the floor's, one group per row, cut at 10.
function print_svg(    i, j, r, t, x, y, w, colour, nc) {
	nc = split("#888888 #1f77b4 #2ca02c #d62728 #9467bd #ff7f0e #8c564b #e377c2", colour, " ")
	y = 40
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n",
		70 + rows * (targets * 14 + 12) > svg
	print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>" > svg
	print "<text x=\"10\" y=\"20\" font-size=\"15\">Target CPU per I/O, as a multiple of the raw TCP floor, or of fio on the device (bars end at 10)</text>" > svg
	for (i = 1; i <= rows; i++) {
		r = row_name[i]
		printf "<text x=\"10\" y=\"%d\">%s</text>\n", y + 12, r > svg
		for (j = 1; j <= targets; j++) {
			t = target_name[j]
			x = count[r, t] ? ratio(r, t, "cpu") : 0
			if (x <= 0)
				continue
			w = (x > 10 ? 10 : x) * 50
			printf "<rect x=\"170\" y=\"%d\" width=\"%.1f\" height=\"12\" fill=\"%s\"/>\n", y, w, colour[(j - 1) % nc + 1] > svg
			printf "<text x=\"%.1f\" y=\"%d\" font-size=\"11\">%s %.2f (%.2f us)</text>\n", 175 + w, y + 10, t, x,
				median(r, t, "cpu") > svg
			y += 14
		}
		y += 12
	}
	print "</svg>" > svg
	close(svg)
}

END {
	if (!rows)
		exit
	print_table()
	if (json != "")
		print_json()
	if (svg != "")
		print_svg()
}
