#!/usr/bin/env bash
# Boots Sampan on QEMU's virt, an arm64 machine with PCI Express. Options: --help
# shellcheck disable=SC1091,SC2034,SC2154 # variables pass both ways between this and qemu.sh
set -euo pipefail
board_arch=arm64 kernel_file=kernel.gz
. "$(dirname "$0")/../qemu.sh"

qemu_options "$@"

# 0 is taken by a direct boot
bootindex=1
for id in "${disks[@]}"; do
	boot+=(-device "virtio-blk-pci,drive=$id,bootindex=$((bootindex++))")
done

qemu_exec qemu-system-aarch64 \
	-machine virt,gic-version=max -accel "$accel" -cpu "$cpu" -smp "$cpus" -m "$memory" \
	"${boot[@]}" \
	-device virtio-net-pci,netdev=net,romfile= \
	-device virtio-rng-pci \
	-device virtio-keyboard-pci \
	-device i6300esb -action watchdog=reset \
	"${common[@]}"
