#!/usr/bin/env bash
# Boots Sampan on QEMU's microvm: no PCI, no BIOS, virtio-mmio only, entered through PVH.
# Options: --help
# shellcheck disable=SC1091,SC2034,SC2154 # variables pass both ways between this and qemu.sh
set -euo pipefail
board_arch=x86_64 kernel_file=vmlinux
. "$(dirname "$0")/../qemu.sh"

qemu_options "$@"

for id in "${disks[@]}"; do
	boot+=(-device "virtio-blk-device,drive=$id")
done

qemu_exec qemu-system-x86_64 \
	-machine microvm,rtc=on -accel "$accel" -cpu "$cpu" -smp "$cpus" -m "$memory" \
	"${boot[@]}" \
	-device virtio-net-device,netdev=net \
	-device virtio-rng-device \
	"${common[@]}"
