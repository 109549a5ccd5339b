#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rules that a compiler does not check. One line per rule that is broken, with the places.
set -u
shopt -s lastpipe	# so that rule() counts in this shell
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
mapfile -t C < <(git ls-files '*.c' '*.h')

# rule NAME: the places on standard input; none is a pass.
rule() {
	local places
	places=$(cat)
	if [ -z "$places" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "BROKEN: $1"
		head -n 20 <<< "$places" | sed 's/^/    /'
	fi
}
pure() { git ls-files 'scsi/*.[ch]' 'pr/*.[ch]' 'witness/*.[ch]' 'target/iscsi/*.[ch]'; }
includes() { xargs -r grep -nE '^#include'; }

pure | includes | grep -E '<(sys/(socket|stat|mman|uio|epoll|time)|pthread|time|unistd|fcntl|netinet|arpa|liburing|libaio|urcu).*>' | rule "a pure part includes nothing that does I/O, threads or time"
pure | xargs -r grep -nE '\b(malloc|calloc|realloc|free|time|clock_gettime|printf|fprintf|fopen|pthread_[a-z_]+)\(' |
	grep -vE '^[^:]+:[0-9]+:[[:space:]]*(\*|/\*|//)' | grep -v EVP_ | rule "a pure part allocates nothing and reads no clock"
git ls-files 'scsi/*.[ch]' 'pr/*.[ch]' | includes | grep -E '"(target|backends|witness)/' |
	rule "scsi/ and pr/ do not see the shell"
git ls-files 'pr/*.[ch]' | includes | grep -E '"scsi/' |
	grep -vE '"scsi/(wire|cursor|sense|nexus|io|gate|limits|lu|change)\.h"' | rule "pr/ sees leaf headers only"
git ls-files 'backends/*.[ch]' | includes | grep -E '"' | grep -vE '"(backends/[a-z_]+|target/(reactor|log)|scsi/(io|limits))\.h"' |
	rule "backends/ sees the reactor's interface and scsi/io.h only"
git ls-files 'target/doctor/*.[ch]' | includes | grep -E '"' | grep -vE '"(target/doctor/doctor|scsi/wire)\.h"' |
	rule "target/doctor/ judges any target and sees nothing of this one but how bytes are put"
git ls-files 'backends/*.[ch]' | xargs -r grep -nE 'SENSE_|SAM_' | rule "backends/ knows no sense code and no SCSI status"
# What a read or a write passes through; it scales with the reactors as long as they write to no line in common. What is left:
# at login and logout, when the pool of buffers is empty, a granule's first write, and the counters of what is dirty in a buffered file.
shared_ok='half_open|conn_ids|nsessions|&used\[|m->map\[|d->bytes|s->dirty.bytes|fetch_add_explicit\(cell,|d->cells\[|f->cannot|s->behind'
git ls-files target/{conn,request,session,task,port,reply,xfer,buf,rio}.c scsi/{step,gate,readwrite,medium}.c \
	backends/{backend,memory,file,file_sync,file_dirty}.c | xargs -r grep -nE '(__atomic_|atomic_)(fetch_|add_|sub_|or_|and_|exchange|compare)|pthread_mutex_lock' |
	grep -vE "$shared_ok|registry_lock|pthread_mutex_lock\(&s->lock\)" | rule "reads and writes change nothing that reactors share"
grep -L 'SPDX-License-Identifier: Apache-2.0' "${C[@]}" Makefile .ci/run .ci/deps | rule "each file names its license"
for f in "${C[@]}"; do expand -t8 "$f" | LC_ALL=C.UTF-8 awk -v f="$f" 'length > 100 { print f ":" NR ": " length " columns" }'; done |
	rule "lines end within 100 columns"
grep -nE ' +$|	+$' "${C[@]}" | rule "no blanks at the end of a line"
git grep -nE '^(<{7}|>{7}) ' | rule "no merge was left half done"
git ls-files 'scsi/*.c' 'pr/*.c' 'target/*.c' 'backends/*.c' | xargs -r grep -nE '\b(strcpy|strcat|gets|strtok)\('  | rule "no string functions without bounds"
git ls-files '*.sh' .ci/run .ci/deps | xargs -r shellcheck -S error -s bash 2>&1 | rule "shellcheck finds no error in scripts"
for f in docs/*.scd; do scdoc < "$f" 2>&1 > /tmp/lint.$$ && mandoc -Tlint -W error /tmp/lint.$$; rm -f /tmp/lint.$$; done 2>&1 |
	rule "the man pages are well formed"
awk 'FNR == 1 { in_block = 0 } /^```/ { in_block = !in_block
	if (in_block && $1 == "```sh") { guide = FILENAME; gsub(/^docs\/|\.md$/, "", guide)
		print guide, ($2 ? $2 : "(a block without a name, line " FNR ")") } }' docs/*.md |
	while read -r block; do
		grep -qE "\(guide $block\)" tests/cluster/*.sh || echo "docs: $block"
	done | rule "each block of shell commands in a guide is run by a scenario"
for tool in shellcheck scdoc mandoc; do
	command -v $tool > /dev/null || { echo "BROKEN: $tool is not installed (make deps)"; failed=$((failed + 1)); }
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
