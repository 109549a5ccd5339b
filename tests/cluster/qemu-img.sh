#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# QEMU's tools and libiscsi's, no kernel: copy an image in and out, compare.
. "$(dirname "$0")/lib.sh"
hf_begin qemu-img
for tool in qemu-img iscsi-ls iscsi-inq iscsi-readcapacity16; do
	command -v $tool >/dev/null || skip "no $tool (make deps installs it)"
done
qemu-img --help | grep -q ' iscsi' || skip "qemu-img has no iscsi (package qemu-block-extra)"

disk 1 raw 256M
disk 2 qcow 256M
disk 3 big 128M block_size: 4096
target_start
url=iscsi://$HF_PORTAL/$HF_IQN

say "libiscsi's tools"
listed=$(in_net iscsi-ls -s "iscsi://$HF_PORTAL")
grep -q "Target:$HF_IQN Portal:$HF_PORTAL" <<<"$listed"
# Through every portal.
portals=$(grep -c '^Target:' <<<"$listed")
expect "disks listed" "$(grep -c 'Type:DIRECT_ACCESS' <<<"$listed")" $((3 * portals))
in_net iscsi-inq "$url/1" >"$HF_RUN/inq"
grep -q 'Peripheral Device Type:DIRECT_ACCESS' "$HF_RUN/inq"
for page in 0x00 0x80 0x83 0xb0 0xb1 0xb2; do
	in_net iscsi-inq -e 1 -c $page "$url/1" >>"$HF_RUN/inq"
done
capacity() {
	in_net iscsi-readcapacity16 "$url/$1" | sed -n "s/^$2:\([0-9]*\).*/\1/p"
}
expect "last block of disk 1" "$(capacity 1 'RETURNED LOGICAL BLOCK ADDRESS')" $((256 * 2048 - 1))
[ "$HF_TARGET" != holdfast ] ||
	expect "block length of disk 3" "$(capacity 3 'LOGICAL BLOCK LENGTH IN BYTES')" 4096

say "an image with data, zeroes and holes"
image=$HF_RUN/image
truncate -s 256M "$image"
for at in 0 3 17 64 100 255; do
	dd if=/dev/urandom of="$image" bs=1M seek=$at count=1 conv=notrunc status=none
done
dd if=/dev/zero of="$image" bs=1M seek=30 count=8 conv=notrunc status=none

say "in and out: raw"
in_net qemu-img convert -n -f raw -O raw "$image" "$url/1"
in_net qemu-img compare -f raw -F raw "$image" "$url/1" >/dev/null
in_net qemu-img convert -f raw -O raw "$url/1" "$HF_RUN/back"
cmp "$image" "$HF_RUN/back"
say "zeroes stayed holes: $(($(disk_used raw) >> 20)) MiB used of 256"
[ "$HF_TARGET" != holdfast ] || [ "$(disk_used raw)" -lt $((32 << 20)) ]

say "in and out: qcow2, made on the disk"
truncate -s 128M "$image"
in_net qemu-img convert -f raw -O qcow2 "$image" "$url/2"
in_net qemu-img check -f qcow2 "$url/2" >/dev/null
in_net qemu-img convert -f qcow2 -O raw "$url/2" "$HF_RUN/back"
cmp "$image" "$HF_RUN/back"

if [ "$HF_TARGET" = holdfast ]; then
	say "in and out: 4096-byte blocks"
	in_net qemu-img convert -n -f raw -O raw "$image" "$url/3"
	in_net qemu-img convert -f raw -O raw "$url/3" "$HF_RUN/back"
	cmp "$image" "$HF_RUN/back"
fi

say "qemu-io: write, write zeroes with unmap, discard, flush, read back"
in_net qemu-io -f raw -c 'write -P 0xa5 1M 4M' -c 'write -z -u 2M 1M' -c 'discard 4M 1M' -c flush \
	-c 'read -P 0xa5 1M 1M' -c 'read -P 0 2M 1M' -c 'read -P 0xa5 3M 1M' "$url/1" >"$HF_RUN/io"
if grep -i -E 'fail|error' "$HF_RUN/io"; then
	fail "qemu-io"
fi

target_stop
say "done"
