#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `make install` leaves behind works: files in place, options answer, examples pass --check, the quick start serves and stops.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:-build}
top=$PWD
tmp=$(mktemp -d)
pid=
cleanup() { [ -z "$pid" ] || kill -9 "$pid" 2> /dev/null; rm -rf "$tmp"; }
trap cleanup EXIT
passed=0 failed=0 skipped=0

# is NAME command...: the command succeeds.
is() {
	local name=$1
	shift
	if "$@" > "$tmp/out" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name"
		tail -n 20 "$tmp/out" | sed 's/^/    /'
	fi
}
skip() { skipped=$((skipped + 1)); echo "SKIP $1"; }

is "make install" make --no-print-directory B="$B" DESTDIR="$tmp/root" PREFIX=/usr install
d=$tmp/root/usr/sbin/holdfastd
for f in usr/sbin/holdfastd usr/bin/holdfast usr/bin/holdfast-doctor usr/share/man/man8/holdfast-doctor.8 usr/share/man/man8/holdfastd.8 usr/share/man/man5/holdfast.yaml.5 \
	usr/share/man/man8/holdfast.8 usr/lib/systemd/system/holdfast.service \
	$(cd conf && ls examples/*.yaml | sed 's|^|usr/share/doc/holdfast/|') \
	$(grep -o '](docs/[a-z-]*\.md)' README.md | sort -u | sed 's|](\(.*\))|usr/share/doc/holdfast/\1|'); do
	is "$f is installed" test -s "$tmp/root/$f"
done
is "the unit starts the installed daemon" grep -q '^ExecStart=/usr/sbin/holdfastd' "$tmp/root/usr/lib/systemd/system/holdfast.service"
is "--version" sh -c "'$d' --version | grep -q '^holdfastd [0-9]'"
is "--help" sh -c "'$d' --help | grep -q -- --check"
is "holdfast finds its doctor" sh -c "'$tmp/root/usr/bin/holdfast' doctor --list | grep -q '^pr-reserve '"
is "an unknown option is refused" sh -c "! '$d' --nonsense"
is "a missing file is refused by name" sh -c "! '$d' --config /nonexistent.yaml --check 2>&1 | grep -q ok && '$d' --config /nonexistent.yaml --check 2>&1 | grep -q /nonexistent.yaml"
mkdir -p "$tmp/cwd/run/data"
cd "$tmp/cwd" || exit 1
is "conf/quickstart.yaml passes --check" "$d" --config "$top/conf/quickstart.yaml" --check
if [ -x /usr/bin/iscsi-ls ]; then
	"$d" --config "$top/conf/quickstart.yaml" > log 2>&1 &
	pid=$!
	for _ in $(seq 100); do grep -q state=ready log && break; kill -0 $pid 2> /dev/null || break; sleep 0.1; done
	is "the quick start is ready" grep -q state=ready log
	is "it shows its two targets" sh -c "[ \$(timeout 10 iscsi-ls iscsi://127.0.0.1 | grep -c '^Target:iqn.2026-11.com.example:') = 2 ]"
	is "the witness has no volatile cache" sh -c "timeout 10 iscsi-inq iscsi://127.0.0.1/iqn.2026-11.com.example:quorum/0 | grep -q WITNESS"
	start=$(date +%s%N)
	kill -TERM $pid
	wait $pid
	is "SIGTERM ends it with status 0" test $? = 0
	is "within 5 s" test $((($(date +%s%N) - start) / 1000000)) -lt 5000
	grep -q state=ready log || cat log
	pid=
else
	skip "quick start: libiscsi-bin is not installed"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
