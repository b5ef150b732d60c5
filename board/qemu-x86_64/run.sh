#!/usr/bin/env bash
# Boots Sampan on QEMU's q35, a PC with PCI Express and ACPI. Options: --help
# shellcheck disable=SC1091,SC2034,SC2154 # variables pass both ways between this and qemu.sh
set -euo pipefail
board_arch=x86_64 kernel_file=kernel
. "$(dirname "$0")/../qemu.sh"

# a host that is too busy to bring the timer's first interrupts in time is not a broken IO-APIC
board_words=no_timer_check
qemu_options "$@"

# 0 is taken by a direct boot
bootindex=1
for id in "${disks[@]}"; do
	boot+=(-device "virtio-blk-pci,drive=$id,bootindex=$((bootindex++))")
done

qemu_exec qemu-system-x86_64 \
	-machine q35 -accel "$accel" -cpu "$cpu" -smp "$cpus" -m "$memory" \
	"${boot[@]}" \
	-device virtio-net-pci,netdev=net,romfile= \
	-device virtio-rng-pci \
	-device virtio-keyboard-pci \
	-device i6300esb -action watchdog=reset \
	"${common[@]}"
