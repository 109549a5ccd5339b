# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For guests that are hosts of a virtual machine themselves (migrate-kernel): /hf/kvm is what QEMU needs.

# kvm_start OPTION...: the machine v, with a QMP and a job port at pipes in /tmp; see lib-qemu.sh.
kvm_start() {
	local options=(-nodefaults -no-user-config -display none -no-reboot -L /hf/kvm/firmware
		-accel tcg,thread=multi,tb-size=64 -cpu max -m 192M -kernel /hf/kvm/vmlinuz -initrd /hf/kvm/initrd
		-append 'console=ttyS0 loglevel=5 mitigations=off panic=-1 HF_NAME=v'
		-chardev file,id=console,path=/hf/v/console.log,append=on -serial chardev:console
		-chardev pipe,id=qmp,path=/tmp/qmp -mon chardev=qmp,mode=control -device virtio-serial-pci
		-chardev pipe,id=port,path=/tmp/port -device virtserialport,chardev=port,name=hf)
	rm -f /tmp/{qmp,port}.{in,out}
	mkfifo /tmp/{qmp,port}.{in,out}
	setsid bash -c "$HF_PORT_SERVE" port /hf/v <>/tmp/port.out >/dev/null 2>&1 &
	QEMU_MODULE_DIR=/hf/kvm/modules setsid /hf/qemu-system-x86_64/run "${options[@]}" "$@" \
		>>"/hf/$HF_NAME/kvm.log" 2>&1 &
	# shellcheck disable=SC2034
	IFS= read -t 60 -r greeting <>/tmp/qmp.out
	kvm_ask '{"execute": "qmp_capabilities"}'
}

# kvm_ask JSON: a command of QMP; prints the answer.
kvm_ask() {
	local line
	echo "$1" 1<>/tmp/qmp.in
	while IFS= read -t 50 -r line; do
		case $line in
		*'"return"'*) echo "$line"; return ;;
		*'"error"'*) echo "$line"; return 1 ;;
		*) echo "$line" >>"/hf/$HF_NAME/events.log" ;;
		esac
	done <>/tmp/qmp.out
	return 1
}
