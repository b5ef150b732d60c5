#!/usr/bin/env bash
# Boots Sampan on QEMU's microvm: no PCI, no BIOS, virtio-mmio only, entered through PVH.
# Options: --help
# shellcheck disable=SC1091,SC2034,SC2154 # variables pass both ways between this and qemu.sh
set -euo pipefail
board_arch=x86_64 kernel_file=vmlinux
. "$(dirname "$0")/../qemu.sh"

qemu_options "$@"

# With ACPI there is no PIT, and TCG offers no other clock that the kernel can measure its timers by.
# Without ACPI there is no power button, and fw_cfg cannot be found: hence the key on the command line.
# TCG's TSC is the host's and does not drift; the jiffies that the kernel checks it against do.
case $accel in
kvm) acpi=on ;;
*)
	acpi=off
	words+=(tsc=nowatchdog)
	[[ -z $ssh_key ]] || words+=("sampan.authorized_key=\"$(<"$ssh_key")\"")
	;;
esac

for id in "${disks[@]}"; do
	boot+=(-device "virtio-blk-device,drive=$id")
done

qemu_exec qemu-system-x86_64 \
	-machine "microvm,rtc=on,acpi=$acpi" -accel "$accel" -cpu "$cpu" -smp "$cpus" -m "$memory" \
	"${boot[@]}" \
	-device virtio-net-device,netdev=net \
	-device virtio-rng-device \
	"${common[@]}"
